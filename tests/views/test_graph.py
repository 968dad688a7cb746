"""The graph that pictures are made from: nodes, edges, folded constants, findings, scopes, and parts of it."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests.browser.models import large
from tests.builders import Net, spread, two_subgraphs
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import BadReference
from tflite_surgeon.views.graph import FAR, INPUT, OPERATOR, OUTPUT, OUTSIDE, Graph, graph_of, graphs_of
from tflite_surgeon.views.graph_parts import around, without_far_edges
from tflite_surgeon.views.graph_scopes import group, path_of


def net(off: float = 1.0) -> ts.Model:
    """x -> FULLY_CONNECTED -> ADD(that, that) -> ADD(that, x); the bias is off by a factor."""
    made = Net()
    x = made.tensor("x", [1, 4], "INT8", 0.5, 3)
    weights = made.tensor("block/dense/kernel", [4, 4], "INT8", 0.25, 0, spread([4, 4], -127, 127))
    bias = made.tensor("block/dense/bias", [4], "INT32", 0.125 * off, 0, [900, -500, 20, 7])
    first = made.tensor("block/dense/out", [1, 4], "INT8", 0.5, 3)
    second = made.tensor("block/sum", [1, 4], "INT8", 0.5, 3)
    third = made.tensor("y", [1, 4], "INT8", 0.5, 3)
    made.operator("FULLY_CONNECTED", 4, [x, weights, bias], [first], "FullyConnectedOptions")
    made.operator("ADD", 2, [first, first], [second], "AddOptions")
    made.operator("ADD", 2, [second, x], [third], "AddOptions")
    return made.model([x], [third])


def edges(graph: Graph) -> set[tuple[str, str, int]]:
    return {(edge.source, edge.target, edge.tensor) for edge in graph.edges}


def test_operators_are_joined_by_tensors_and_constants_stand_inside_them() -> None:
    graph = graph_of(net())
    assert [(node.key, node.kind, node.title) for node in graph.nodes] == [
        ("in0", INPUT, "input"),
        ("op0", OPERATOR, "FULLY_CONNECTED"),
        ("op1", OPERATOR, "ADD"),
        ("op2", OPERATOR, "ADD"),
        ("out0", OUTPUT, "output"),
    ]
    assert [(folded.role, folded.tensor) for folded in graph.nodes[1].folded] == [("weights", 1), ("bias", 2)]
    assert edges(graph) == {
        ("in0", "op0", 0),
        ("op0", "op1", 3),  # Once, though it is read twice.
        ("op1", "op2", 4),
        ("in0", "op2", 0),
        ("op2", "out0", 5),
    }
    assert len(graph.edges) == 5


def test_ranges_are_recorded_ones_else_those_of_scale_and_zero_point() -> None:
    model = net()
    recorded = model.subgraphs[0].tensors[4]
    recorded.quantization.min, recorded.quantization.max = [-1.5, -9.0], [2.5, 7.0]
    values = graph_of(model).values
    assert (values[3].range, values[3].recorded) == (((-128 - 3) * 0.5, (127 - 3) * 0.5), False)
    assert (values[4].range, values[4].recorded) == ((-9.0, 7.0), True)
    model.subgraphs[0].tensors[3].quantization = None
    assert graph_of(model).values[3].range is None


def test_findings_stand_at_their_nodes() -> None:
    model = net(off=13.0)
    findings = ts.check(model)
    assert [(finding.rule, finding.operator) for finding in findings] == [("bias-scale", 0)]
    marked = {node.key: (node.severity, node.findings) for node in graph_of(model, 0, findings).nodes if node.severity}
    assert marked == {"op0": ("error", (0,))}


def test_what_is_missing_or_broken_is_shown_as_such() -> None:
    model = net()
    graph = model.subgraphs[0]
    graph.operators[0].inputs = [BadReference(99), None, graph.tensors[1]]
    graph.operators[1].inputs = None
    graph.operators[1].outputs = None
    graph.operators[2].opcode = BadReference(77)
    graph.tensors[5].type = 120
    graph.tensors[5].shape = None
    graph.outputs = [graph.tensors[5], BadReference(50), None]
    shown = graph_of(model)
    assert [(folded.role, folded.tensor) for folded in shown.nodes[1].folded] == [("input", None), ("bias", 1)]
    assert shown.nodes[3].title == "operator code 77"
    assert shown.nodes[3].version is None
    assert [(folded.role, folded.tensor) for folded in shown.nodes[3].folded] == [("input 0", 4)]
    assert (shown.values[5].type, shown.values[5].shape) == ("type 120", None)
    assert [node.folded != () for node in shown.nodes[4:]] == [False, True, True]


def test_empty_models_have_empty_graphs() -> None:
    assert graphs_of(ts.Model()) == []
    with pytest.raises(SurgeonError, match="there is no subgraph 0: the model has no subgraphs"):
        graph_of(ts.Model())
    graph = graph_of(ts.Model(subgraphs=[ts.SubGraph()]))
    assert (graph.nodes, graph.edges, graph.values, graph.operators) == ((), (), (), 0)
    with pytest.raises(SurgeonError, match="there is no operator 0 in subgraph 0: it has no operators"):
        around(graph, 0, 1)


def test_a_subgraph_that_is_not_there_is_named() -> None:
    model = two_subgraphs(net(), net())
    assert graph_of(model, 1).subgraph == 1
    with pytest.raises(SurgeonError, match="there is no subgraph 2: the model has subgraphs 0 to 1"):
        graph_of(model, 2)


def chain(length: int) -> ts.Model:
    made = Net()
    values = [made.tensor(f"t{number}", [4], "FLOAT32") for number in range(length + 1)]
    for number in range(length):
        made.operator("ADD", 1, [values[number], values[number]], [values[number + 1]], "AddOptions")
    return made.model([values[0]], [values[-1]])


@pytest.mark.parametrize(
    ("depth", "kept", "outside"),
    [(0, {"op5"}, {"beforeop5", "afterop5"}), (2, {f"op{n}" for n in range(3, 8)}, {"beforeop3", "afterop7"})],
)
def test_around_an_operator(depth: int, kept: set[str], outside: set[str]) -> None:
    part = around(graph_of(chain(10)), 5, depth)
    assert {node.key for node in part.nodes if node.kind == OPERATOR} == kept
    assert {node.key for node in part.nodes if node.kind == OUTSIDE} == outside
    assert {edge.source for edge in part.edges} | {edge.target for edge in part.edges} == kept | outside
    assert part.operators == 10


def test_around_everything_is_everything() -> None:
    graph = graph_of(chain(10))
    assert around(graph, 5, 1000) == graph
    with pytest.raises(SurgeonError, match="there is no operator 10 in subgraph 0: it has operators 0 to 9"):
        around(graph, 10, 1)


def test_far_edges_of_a_large_graph_are_cut() -> None:
    graph = graph_of(large(110))
    short = without_far_edges(graph)
    notes = [node for node in short.nodes if node.kind == FAR]
    # The mask of every block but the first few is far away; nothing else is.
    assert {(node.title, node.stands_for) for node in notes} == {("input 1", "in1")}
    assert 105 <= len(notes) <= 110
    assert len(short.edges) == len(graph.edges)
    assert [edge.target for edge in short.edges] == [edge.target for edge in graph.edges]
    assert [edge.tensor for edge in short.edges] == [edge.tensor for edge in graph.edges]


def test_edges_of_a_small_graph_stay() -> None:
    graph = graph_of(large(5))
    assert without_far_edges(graph) is graph


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("model/block/Conv2D", ("model", "block")),
        ("a/Relu;b/c/BiasAdd", ("a",)),
        ("Identity", ()),
        ("", ()),
        ("//a//b/", ("a", "b")),
    ],
)
def test_scopes_of_a_name(name: str, path: tuple[str, ...]) -> None:
    assert path_of(name) == path


def test_groups_are_scopes_with_company() -> None:
    names = {"a": "m/x/one/op", "b": "m/x/one/op2", "c": "m/x/two/op", "d": "m/y/deep/er/op", "e": "m/y/deep/er/op2"}
    assert group(names) == {
        "a": ("x", "one"),
        "b": ("x", "one"),
        "c": ("x",),
        "d": ("y/deep/er",),
        "e": ("y/deep/er",),
    }
    assert group({"a": "only/one"}) == {"a": ()}
    assert group({}) == {}


def test_names_of_a_thousand_scopes_are_no_deeper() -> None:
    names = {str(number): "/".join(["s"] * number) for number in range(1500)}
    assert max(len(scope) for scope in group(names).values()) == 2
