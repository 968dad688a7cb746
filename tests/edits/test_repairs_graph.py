"""Repairs of how nodes and tensors hang together: references, order, who writes where, and shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import Net, layer, node, part
from tests.conditions.case import NAMES
from tests.conditions.moving import Given, constant, moved
from tests.edits.expected import edits
from tests.interpreters import same_outputs, session
from tflite_surgeon.edits.engine import Outcome
from tflite_surgeon.edits.plan import InsertItem, RemoveItem
from tflite_surgeon.flatbuffer.schema import enum_class

NODE = "subgraphs[0].operators[0]"
FAR = ts.BadReference(99)


def fixed(model: ts.Model, rule: str, **arguments: Any) -> Outcome:
    return ts.fix(model, [rule], targets=NAMES, **{"lossy": True, **arguments})


def refusal(model: ts.Model, rule: str, **arguments: Any) -> str:
    """Why it was left alone; nothing is changed."""
    outcome = fixed(model, rule, **arguments)
    assert outcome.plan.edits == ()
    (left,) = outcome.left
    return left.refused.reason


def run(model: ts.Model, runtime: str = "litert-no-delegate") -> Any:
    found = session(runtime).run(ts.dumps(model), seed=0)
    assert found.ok, found.message
    return found


def same(*found: Any, wanted: list[Any]) -> bool:
    """Whether lists hold the same objects, not only equal ones."""
    (items,) = found
    return len(items) == len(wanted) and all(a is b for a, b in zip(items, wanted))


def names(items: list[Any]) -> list[Any]:
    return [getattr(item, "name", item) for item in items]


def wired(*nodes: str, inputs: str = "a", outputs: str = "d", letters: str = "abcd") -> ts.Model:
    """Nodes such as "ADD ab c", on tensors of one kind named by letters."""
    net = Net()
    tensors = {name: net.tensor(name, [1, 4], "INT8", 0.5) for name in letters}
    for text in nodes:
        name, sources, results = text.split()
        table = {"ADD": "AddOptions", "MUL": "MulOptions"}[name]
        net.operator(name, 2, [tensors[t] for t in sources], [tensors[t] for t in results], table)
    return net.model([tensors[t] for t in inputs], [tensors[t] for t in outputs])


# References of nodes


@pytest.mark.parametrize(("position", "name"), [(0, "input"), (1, "weights"), (2, "bias")])
@pytest.mark.parametrize("reference", [FAR, ts.BadReference(-2)])
def test_the_tensor_that_nothing_else_reads_is_put_back(position: int, name: str, reference: Any) -> None:
    model = layer()
    node(model).inputs[position] = reference
    outcome = fixed(model, "tensor-index")
    ((path, (_, new)),) = edits(outcome).items()
    assert path == f"{NODE}.inputs"
    assert names(new) == ["input", "weights", "bias"]
    assert f"input {position} of FULLY_CONNECTED names tensor {reference.index}" in outcome.repairs[0].done.what


@pytest.mark.parametrize(("reference", "rule"), [(FAR, "tensor-index"), (None, "missing-input")])
def test_the_output_that_nothing_computes_is_put_back(reference: Any, rule: str) -> None:
    model = builders.chain(3)
    wanted = node(model, 1).outputs[0].name
    node(model, 1).outputs[0] = reference
    ((path, (_, new)),) = edits(fixed(model, rule)).items()
    assert path == "subgraphs[0].operators[1].outputs"
    assert names(new) == [wanted]


def test_of_two_biases_the_one_in_the_unit_is_put_back() -> None:
    model = builders.one_input(2)
    first, second = (node(model, n).inputs[2] for n in (0, 1))
    for number in (0, 1):
        node(model, number).inputs[2] = FAR
    outcome = fixed(model, "tensor-index")
    assert same([node(outcome.model, n).inputs[2].name for n in (0, 1)], wanted=[first.name, second.name])


def test_where_two_tensors_fit_none_is_put_there() -> None:
    model = layer()
    bias = part(model, "bias")
    model.subgraphs[0].tensors.append(
        ts.Tensor(name="other", shape=[4], type=bias.type, buffer=bias.buffer, quantization=bias.quantization)
    )
    node(model).inputs[2] = FAR
    assert "'bias' and 'other'" in refusal(model, "tensor-index")


def test_a_tensor_that_is_computed_later_does_not_fit() -> None:
    model = wired("ADD aa b", "ADD bb c", "ADD cc d")
    node(model, 0).inputs[1] = FAR
    ((_, (_, new)),) = edits(fixed(model, "tensor-index")).items()
    assert names(new) == ["a", "a"]


@pytest.mark.reality
def test_what_is_put_back_computes_what_it_did() -> None:
    before = run(builders.chain(3))
    model = builders.chain(3)
    node(model, 1).inputs[1] = FAR
    assert same_outputs(before, run(fixed(model, "tensor-index").model))


def test_a_bias_that_is_nowhere_is_one_of_zeros() -> None:
    model = layer("CONV_2D")
    node(model).inputs[2] = None
    model.subgraphs[0].tensors = [t for t in model.subgraphs[0].tensors if t.name != "bias"]
    outcome = ts.fix(model, targets=NAMES)
    bias = part(outcome.model, "bias")
    assert bias.values().tolist() == [0, 0, 0, 0]


# Inputs and outputs of the model


@pytest.mark.parametrize("end", ["inputs", "outputs"])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("reference", [FAR, None])
def test_the_end_of_the_graph_is_put_back(end: str, signed: bool, reference: Any) -> None:
    model = builders.chain(2)
    wanted = getattr(model.subgraphs[0], end)[0].name
    setattr(model.subgraphs[0], end, [reference])
    if not signed:
        model.signature_defs = None
    outcome = fixed(model, "tensor-index")
    ((path, (_, new)),) = edits(outcome).items()
    assert path == f"subgraphs[0].{end}"
    assert names(new) == [wanted]
    assert ("signature" in outcome.repairs[0].done.reason) == signed


def test_an_entry_that_nothing_fits_is_dropped_where_that_is_allowed() -> None:
    model = layer()
    model.subgraphs[0].inputs.append(FAR)
    assert "allow it with --lossy" in refusal(model, "tensor-index", lossy=False)
    outcome = fixed(model, "tensor-index")
    assert names(outcome.model.subgraphs[0].inputs) == ["input"]
    assert outcome.repairs[0].done.loses == "the model has 1 inputs and had 2"


def test_two_inputs_that_are_gone_are_not_told_apart() -> None:
    model = builders.shared_bias((0.02, 0.02))
    model.signature_defs = None
    model.subgraphs[0].inputs = [FAR, None]
    assert "which tensor belongs to which" in refusal(model, "tensor-index")


# Data that is missing


def test_an_input_is_listed_again_where_the_signature_says() -> None:
    model = builders.shared_bias((0.02, 0.02, 0.02))
    first, second, third = model.subgraphs[0].inputs
    model.subgraphs[0].inputs = [first, third]
    ((path, (_, new)),) = edits(fixed(model, "missing-data")).items()
    assert path == "subgraphs[0].inputs"
    assert names(new) == names([first, second, third])


def test_a_tensor_of_no_origin_is_left_alone() -> None:
    model = layer()
    part(model, "weights").buffer = model.buffers[0]
    model.buffers = [buffer for buffer in model.buffers if buffer.data is None or len(buffer.data) != 12]
    assert "nothing tells whether 'weights' was an input" in refusal(model, "missing-data")


def test_a_result_that_nobody_reads_is_the_output() -> None:
    ((path, (_, new)),) = edits(fixed(wired("ADD aa b"), "missing-data")).items()
    assert path == f"{NODE}.outputs"
    assert names(new) == ["d"]


@pytest.mark.reality
def test_a_graph_that_passes_its_input_on_is_sound() -> None:
    model = wired(outputs="a")
    assert run(model).outputs[0][0].shape == (1, 4)
    assert ts.check(model, NAMES, ["missing-data"]) == []


# The operator of a node


def test_the_operator_code_is_told_by_the_options() -> None:
    model = builders.chain(2)
    model.operator_codes.append(
        ts.OperatorCode(deprecated_builtin_code=25, builtin_code=enum_class("BuiltinOperator").SOFTMAX)
    )
    wanted = node(model, 1).opcode
    node(model, 1).opcode = ts.BadReference(9)
    ((path, (_, new)),) = edits(fixed(model, "operator-code-index")).items()
    assert path == "subgraphs[0].operators[1].opcode"
    assert (new.name, new.version) == (wanted.name, wanted.version)


def test_a_node_that_several_operators_would_take_is_left_alone() -> None:
    model = wired("ADD aa b", "ADD ab c", "MUL bc d")
    for number in range(3):
        node(model, number).builtin_options = None
    node(model).opcode = ts.BadReference(9)
    assert "ADD and MUL would take the node" in refusal(model, "operator-code-index")


def test_the_operator_code_that_no_node_names_was_meant() -> None:
    model = wired("ADD aa b", "MUL bb d")
    node(model, 0).builtin_options = node(model, 1).builtin_options = None
    node(model, 0).opcode, wanted = ts.BadReference(9), node(model, 0).opcode
    ((_, (_, new)),) = edits(fixed(model, "operator-code-index")).items()
    assert new.name == wanted.name


def test_a_node_with_options_of_another_operator_is_that_one() -> None:
    net = Net()
    source, made = builders.net_layer(net)
    result = net.tensor("result", [2, 4], "INT8", 1 / 256, -128)
    net.operator("SOFTMAX", 2, [made], [result], "SoftmaxOptions", beta=1.0)
    model = net.model([source], [result])
    node(model).opcode, wanted = node(model, 1).opcode, node(model).opcode
    ((path, (_, new)),) = edits(fixed(model, "tensor-count")).items()
    assert path == f"{NODE}.opcode"
    assert (new.name, new.version) == (wanted.name, wanted.version)


# Order


def moves(outcome: Outcome) -> list[tuple[str, int]]:
    kinds = {RemoveItem: "from", InsertItem: "to"}
    return [(kinds[type(edit)], edit.index) for edit in outcome.plan.edits]  # type: ignore[index,union-attr]


def test_only_the_node_that_is_late_moves() -> None:
    model = wired("ADD bb c", "MUL aa e", "ADD aa b", "ADD ce d", letters="abcde")
    outcome = fixed(model, "operator-order")
    assert moves(outcome) == [("from", 2), ("to", 0)]
    assert [names(o.outputs) for o in outcome.model.subgraphs[0].operators] == [["b"], ["c"], ["e"], ["d"]]


def test_all_late_nodes_are_sorted_at_once() -> None:
    model = wired("ADD cc d", "ADD bb c", "ADD aa b")
    outcome = fixed(model, "operator-order")
    assert [names(o.outputs) for o in outcome.model.subgraphs[0].operators] == [["b"], ["c"], ["d"]]
    assert len(outcome.repairs) == 1
    assert outcome.left == ()


def test_a_circle_is_not_sorted() -> None:
    model = wired("ADD ac b", "ADD bb c", "ADD cc d")
    assert "circle" in refusal(model, "operator-order")


# Who writes where


def test_a_tensor_written_twice_becomes_two() -> None:
    model = wired("ADD aa b", "ADD bb c", "MUL aa b", "ADD bc d")
    outcome = fixed(model, "two-producers")
    graph = outcome.model.subgraphs[0]
    assert [(names(o.inputs), names(o.outputs)) for o in graph.operators] == [
        (["a", "a"], ["b"]),
        (["b", "b"], ["c"]),
        (["a", "a"], ["b_again"]),
        (["b_again", "c"], ["d"]),
    ]
    assert graph.tensors[4].quantization.scale == [0.5]
    assert graph.tensors[4].buffer is outcome.model.buffers[0]


def test_of_two_writers_one_gets_the_tensor_that_nobody_computes() -> None:
    model = wired("ADD aa d", "ADD ab d")
    ((path, (_, new)),) = edits(fixed(model, "two-producers")).items()
    assert path == f"{NODE}.outputs"
    assert names(new) == ["b"]


def test_a_variable_may_be_written_again() -> None:
    model = wired("ADD aa d", "MUL aa d")
    model.subgraphs[0].tensors[3].is_variable = True
    assert "on purpose" in refusal(model, "two-producers")


def test_an_output_in_place_of_an_input_gets_a_tensor_of_its_own() -> None:
    model = wired("ADD ab b", "MUL bb c", "ADD bc b", inputs="ab", outputs="b")
    outcome = fixed(model, "in-place")
    graph = outcome.model.subgraphs[0]
    assert [(names(o.inputs), names(o.outputs)) for o in graph.operators] == [
        (["a", "b"], ["b_again"]),
        (["b_again", "b_again"], ["c"]),
        (["b_again", "c"], ["b_again_2"]),
    ]
    assert names(graph.outputs) == ["b_again_2"]
    assert names([entry.tensor for entry in outcome.model.signature_defs[0].outputs]) == names(graph.outputs)
    assert ts.check(outcome.model, NAMES, ["in-place", "two-producers"]) == []


@pytest.mark.parametrize("shape", [[2, 4], [2, 2, 2]])
def test_a_written_constant_loses_its_bytes(shape: list[int]) -> None:
    model = layer()
    output = part(model, "output")
    output.shape, output.buffer = shape, ts.Buffer(bytes(8))
    found = edits(fixed(model, "constant-output"))
    expected: dict[str, Any] = {"subgraphs[0].tensors[3].buffer": (output.buffer, model.buffers[0])}
    if shape != [2, 4]:
        expected["subgraphs[0].tensors[3].shape"] = (shape, [2, 4])
    assert list(found) == list(expected)
    assert found.get("subgraphs[0].tensors[3].shape") == expected.get("subgraphs[0].tensors[3].shape")


def test_weights_that_another_node_writes_keep_their_bytes() -> None:
    model = builders.chain(2)
    made = node(model, 0).outputs[0].name
    node(model, 0).outputs[0] = node(model, 1).inputs[1]
    outcome = ts.fix(model, targets=NAMES)
    assert names(node(outcome.model, 0).outputs) == [made]


# Shapes


def test_a_stored_shape_becomes_the_computed_one_down_to_the_end() -> None:
    model = builders.chain(3)
    first = model.subgraphs[0].operators[0].outputs[0]
    first.shape, first.shape_signature = [3, 3], [-1, 3]
    outcome = fixed(model, "stored-shape")
    number = model.subgraphs[0].tensors.index(first)
    assert edits(outcome) == {f"subgraphs[0].tensors[{number}].shape": ([3, 3], [2, 3])}


def test_an_input_that_alone_disagrees_is_corrected() -> None:
    model = builders.chain(3)
    source = model.subgraphs[0].inputs[0]
    old = list(source.shape)
    source.shape = [old[0] + 3, old[1]]
    outcome = fixed(model, "stored-shape")
    assert edits(outcome) == {"subgraphs[0].tensors[0].shape": ([old[0] + 3, old[1]], old)}
    assert outcome.repairs[0].done.warnings


def test_with_one_node_the_other_reading_is_told() -> None:
    model = layer("CONV_2D")
    output = part(model, "output")
    output.shape = [*output.shape[:2], output.shape[2] + 2, output.shape[3]]
    outcome = fixed(model, "stored-shape")
    assert part(outcome.model, "output").shape == part(layer("CONV_2D"), "output").shape
    assert "would agree" in outcome.repairs[0].done.warnings[0]


@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_channels_follow_the_weights(operator: str) -> None:
    model = layer(operator)
    source = part(model, "input")
    old = list(source.shape)
    source.shape = [*old[:3], old[3] + 2]
    outcome = ts.fix(model, targets=NAMES)
    assert edits(outcome) == {"subgraphs[0].tensors[0].shape": ([*old[:3], old[3] + 2], old)}


@pytest.mark.reality
def test_the_corrected_input_gives_the_numbers_of_before() -> None:
    before = run(builders.chain(3), "tflm")
    model = builders.chain(3)
    model.subgraphs[0].inputs[0].shape = [7, 3]
    assert same_outputs(before, run(fixed(model, "stored-shape").model, "tflm"))


# Numbers of a node


@pytest.mark.parametrize("name", ["stride_w", "stride_h", "dilation_w_factor", "dilation_h_factor"])
def test_an_option_of_0_is_the_one_that_makes_the_stored_shape(name: str) -> None:
    model = layer("CONV_2D")
    setattr(node(model).builtin_options, name, 0)
    assert edits(fixed(model, "option-value")) == {f"{NODE}.builtin_options.{name}": (0, 1)}


def test_two_options_of_0_are_not_told_by_one_shape() -> None:
    model = layer("CONV_2D")
    node(model).builtin_options.stride_w = node(model).builtin_options.stride_h = 0
    assert "both below 1" in refusal(model, "option-value")


@pytest.mark.reality
def test_the_grid_that_stays_is_the_delegates() -> None:
    given = [Given([1, 2, 2, 1]), constant([5, 5])]
    model = moved("RESIZE_BILINEAR", given, [Given([1, 5, 5, 1])], "ResizeBilinearOptions", version=3)
    node(model).builtin_options.align_corners = node(model).builtin_options.half_pixel_centers = True
    outcome = fixed(model, "option-value")
    assert edits(outcome) == {f"{NODE}.builtin_options.half_pixel_centers": (True, False)}
    before, after, own = run(model, "litert"), run(outcome.model, "litert"), run(outcome.model)
    assert same_outputs(before, after)
    assert np.allclose(before.outputs[0][0], own.outputs[0][0], atol=1e-6)


def test_a_slice_ends_where_its_input_does() -> None:
    given = [Given([4, 4]), constant([2, 0]), constant([3, 2])]
    model = moved("SLICE", given, [Given([3, 2])], "SliceOptions")
    assert "1 of 3 elements along dimension 0" in refusal(model, "slice-bounds", lossy=False)
    outcome = fixed(model, "slice-bounds")
    assert outcome.model.subgraphs[0].tensors[2].values().tolist() == [2, 2]
    assert outcome.model.subgraphs[0].tensors[3].shape == [2, 2]


def test_sizes_are_those_of_the_stored_parts() -> None:
    given = [Given([2, 4], "INT32"), constant([1, 2]), constant(1)]
    results = [Given([2, 1], "INT32"), Given([2, 3], "INT32")]
    outcome = fixed(moved("SPLIT_V", given, results, "SplitVOptions", num_splits=2), "split-sizes")
    assert outcome.model.subgraphs[0].tensors[1].values().tolist() == [1, 3]


def reshaped(stated: Any, stored: list[int]) -> ts.Model:
    return moved("RESHAPE", [Given([8, 8], "INT32"), constant(stated)], [Given(stored, "INT32")])


@pytest.mark.parametrize(
    ("rule", "stated", "stored", "wanted"),
    [
        ("option-value", [-1, -1], [4, 16], [4, 16]),
        ("element-count", [[4, 16]], [4, 16], [4, 16]),
        ("element-count", [4, 15], [4, 16], [4, 16]),
        ("element-count", [3, 16], [3, 16], [4, 16]),
    ],
)
def test_a_shape_says_what_fits(rule: str, stated: Any, stored: list[int], wanted: list[int]) -> None:
    graph = fixed(reshaped(stated, stored), rule).model.subgraphs[0]
    assert graph.tensors[1].values().tolist() == wanted
    assert graph.tensors[2].shape == wanted


@pytest.mark.parametrize("stated", [[7, 9], [4, 4]])
def test_a_shape_that_could_be_several_is_left_alone(stated: list[int]) -> None:
    refusal(reshaped(stated, stated), "element-count")


# Dimensions


def test_weights_of_three_dimensions_become_rows() -> None:
    model = layer()
    part(model, "weights").shape = [4, 1, 3]
    assert edits(fixed(model, "tensor-rank")) == {"subgraphs[0].tensors[1].shape": ([4, 1, 3], [4, 3])}


def scalar_softmax() -> ts.Model:
    net = Net()
    source, result = net.tensor("input", [], "FLOAT32"), net.tensor("output", [], "FLOAT32")
    net.operator("SOFTMAX", 1, [source], [result], "SoftmaxOptions", beta=1.0)
    return net.model([source], [result])


@pytest.mark.reality
@pytest.mark.parametrize("runtime", NAMES)
def test_a_scalar_goes_through_a_vector_of_one(runtime: str) -> None:
    outcome = fixed(scalar_softmax(), "tensor-rank")
    assert [o.name for o in outcome.model.subgraphs[0].operators] == ["RESHAPE", "SOFTMAX", "RESHAPE"]
    found = run(outcome.model, runtime).outputs[0][0]
    assert found.shape == ()
    assert float(found) == 1.0


@pytest.mark.reality
def test_more_inputs_than_tflm_joins_are_joined_in_steps() -> None:
    inputs, result = [Given([1, n % 3 + 1], "INT8", 0.5) for n in range(23)], Given([1, 45], "INT8", 0.5)
    model = moved("CONCATENATION", inputs, [result], "ConcatenationOptions", version=3, axis=1)
    outcome = fixed(model, "tensor-count")
    assert [len(o.inputs) for o in outcome.model.subgraphs[0].operators] == [10, 10, 5]
    before = run(model)
    assert same_outputs(before, run(outcome.model))
    assert same_outputs(before, run(outcome.model, "tflm"))


def test_an_input_that_is_too_many_is_left_out() -> None:
    model = layer()
    node(model).inputs.append(part(model, "bias"))
    ((path, (_, new)),) = edits(fixed(model, "tensor-count")).items()
    assert path == f"{NODE}.inputs"
    assert names(new) == ["input", "weights", "bias"]


# Sound models, and repaired ones


SOUND: list[Callable[[], ts.Model]] = [
    layer,
    lambda: layer("CONV_2D"),
    lambda: layer("DEPTHWISE_CONV_2D"),
    lambda: layer("TRANSPOSE_CONV"),
    lambda: builders.chain(3),
    builders.one_input,
    builders.svdf,
    builders.lstm,
    lambda: wired("ADD aa b", "MUL bb c", "ADD cb d"),
]


@pytest.mark.parametrize("make", SOUND)
def test_sound_models_stay_as_they_are(make: Callable[[], ts.Model]) -> None:
    outcome = ts.fix(make(), targets=NAMES, lossy=True)
    assert outcome.plan.edits == ()
    assert outcome.repairs == ()
