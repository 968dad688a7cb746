"""Indices become objects and objects indices; copies are their own and share the weights."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.flatbuffer.walk import put, spots, unsigned
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.model import compare, convert


def reload(model: ts.Model, mode: str = "auto") -> ts.Model:
    return ts.loads(ts.dumps(model, mode))


def raw_value(raw: bytes, path: str) -> int:
    return unsigned(raw, spots(raw)[path].place)


def raw_vector(raw: bytes, path: str) -> list[int]:
    target = spots(raw)[path].target
    return [
        int.from_bytes(raw[target + 4 + 4 * i : target + 8 + 4 * i], "little", signed=True)
        for i in range(unsigned(raw, target))
    ]


# References


def test_what_indices_stand_for_is_the_object_itself() -> None:
    model = reload(samples.crowded())
    graph = model.subgraphs[0]
    x, w, b, y = graph.tensors
    dense, custom, reduce, _ = graph.operators
    assert dense.opcode is model.operator_codes[0]
    assert [item is other for item, other in zip(dense.inputs, (x, w, b), strict=True)] == [True] * 3
    assert dense.outputs[0] is y
    assert custom.inputs == [x, None, ts.BadReference(99)]
    assert custom.intermediates == []
    assert reduce.builtin_options_2.body_subgraph is graph
    assert w.buffer is model.buffers[1]
    assert b.quantization.details.scales is x
    assert b.quantization.details.zero_points is None
    assert model.metadata[0].buffer is model.buffers[3]
    assert model.metadata_buffers[0] is model.buffers[4] is model.metadata[1].buffer
    assert model.external_buffers[0].group is model.external_buffer_groups[0]
    signature = model.signature_defs[0]
    assert signature.subgraph is graph
    assert signature.inputs[0].tensor is x
    assert signature.outputs[0].tensor is y


def test_tensors_count_within_their_subgraph() -> None:
    model = reload(samples.branching())
    main, added, multiplied = model.subgraphs
    options = main.operators[0].builtin_options
    assert (options.then_subgraph is added, options.else_subgraph is multiplied) == (True, True)
    for graph in (added, multiplied):
        assert all(item is graph.tensors[0] for item in graph.operators[0].inputs)
        assert graph.inputs[0] is graph.tensors[0]
    model.subgraphs.insert(1, ts.SubGraph(tensors=[], inputs=[], outputs=[], operators=[]))
    model = reload(model)
    options = model.subgraphs[0].operators[0].builtin_options
    assert (options.then_subgraph is model.subgraphs[2], options.else_subgraph is model.subgraphs[3]) == (True, True)


def test_inserting_and_removing_keeps_what_is_meant() -> None:
    """Every list that indices count in gets a new first object; whatever referred to something still does."""
    model = reload(samples.crowded())
    names = [[item and getattr(item, "name", item) for item in node.operator.inputs or ()] for node in model.nodes()]
    graph = model.subgraphs[0]
    graph.tensors.insert(0, samples.tensor("new", [1], model.buffers[0]))
    model.buffers.insert(1, ts.Buffer(b"new"))
    model.operator_codes.insert(0, samples.opcode("ADD"))
    model.subgraphs.insert(0, ts.SubGraph(tensors=[], inputs=[], outputs=[], operators=[]))
    model.external_buffer_groups.insert(0, samples.table("ExternalBufferGroup", name="new"))
    read = reload(model)
    graph = read.subgraphs[1]
    read_names = [
        [item and getattr(item, "name", item) for item in node.operator.inputs or ()] for node in read.nodes()
    ]
    assert read_names == names
    assert graph.operators[0].opcode.name == "FULLY_CONNECTED"
    assert graph.operators[2].builtin_options_2.body_subgraph is graph
    assert bytes(graph.tensors[2].buffer.data) == bytes(range(8))
    assert graph.tensors[3].quantization.details.scales.name == "x"
    assert read.signature_defs[0].subgraph is graph
    assert read.signature_defs[0].inputs[0].tensor.name == "x"
    assert read.external_buffers[0].group.name == "weights.bin"
    assert bytes(read.metadata_buffers[0].data) == b"behind the flatbuffer"


def test_every_reference_field_of_the_schema_is_linked_and_lowered() -> None:
    """Of the field list, not of examples: each field with refers_to holds an object after loading."""
    expected = {f"{t}.{f.name}" for t in schema.TABLES for f in schema.fields(t) if f.refers_to}
    seen: dict[str, set[str]] = {}

    def look(table: object) -> None:
        if not isinstance(table, Table):
            return
        for field in schema.fields(table.table):
            value = getattr(table, field.attribute)
            items = value if isinstance(value, list) else [value]
            if field.refers_to:
                kinds = seen.setdefault(f"{table.table}.{field.name}", set())
                kinds |= {type(item).__name__ for item in items if item is not None}
            elif field.kind in ("table", "tables", "union"):
                for item in items:
                    look(item)

    for model in (samples.every_table(0), samples.every_table(1), samples.every_table(2), samples.crowded()):
        look(reload(model))
    assert set(seen) == expected
    for name, kinds in seen.items():
        assert kinds <= {"Tensor", "Buffer", "OperatorCode", "SubGraph", "ExternalBufferGroup", "BadReference"}, name
        assert len(kinds - {"BadReference"}) == 1, name


def test_an_index_that_points_nowhere_loads_as_such_and_is_kept() -> None:
    raw = ts.dumps(samples.quantised())
    found = spots(raw)
    raw = put(raw, found["subgraphs[0].tensors[1].buffer"].place, 0xFFFFFFFE)
    raw = put(raw, found["operator_codes"].target, 0)  # No operator codes: every operator's index is beyond.
    raw = put(raw, found["subgraphs[0].operators[0].inputs"].target + 4, -7)
    model = ts.loads(raw)
    operator = model.subgraphs[0].operators[0]
    assert model.subgraphs[0].tensors[1].buffer == ts.BadReference(0xFFFFFFFE)
    assert operator.opcode == ts.BadReference(0)
    assert operator.name == "operator code 0"
    assert operator.inputs[0] == ts.BadReference(-7)
    assert ts.dumps(model) == raw
    again = ts.dumps(model, "reencode")
    assert raw_value(again, "subgraphs[0].tensors[1].buffer") == 0xFFFFFFFE
    assert raw_vector(again, "subgraphs[0].operators[0].inputs") == [-7, 1, 2]


def test_a_signature_of_a_subgraph_that_is_not_there_keeps_its_tensor_indices() -> None:
    model = samples.branching()
    branch = model.subgraphs[1]
    entry = ts.TensorMap(name="r", tensor=branch.tensors[1])
    model.signature_defs = [ts.SignatureDef(signature_key="s", inputs=[], outputs=[entry], subgraph=branch)]
    raw = ts.dumps(model)
    raw = put(raw, spots(raw)["signature_defs[0].subgraph_index"].place, 5)
    model = ts.loads(raw)
    signature = model.signature_defs[0]
    assert (signature.subgraph, signature.outputs[0].tensor) == (ts.BadReference(5), ts.BadReference(1))
    signature.subgraph = model.subgraphs[2]
    assert reload(model).signature_defs[0].outputs[0].tensor.name == "r"


def test_minus_one_is_an_input_that_is_not_given() -> None:
    model = samples.dense()
    model.subgraphs[0].operators[0].inputs[2] = None
    raw = ts.dumps(model)
    assert raw_vector(raw, "subgraphs[0].operators[0].inputs") == [0, 1, -1]
    assert ts.loads(raw).subgraphs[0].operators[0].inputs[2] is None


# What is not in the lists


@pytest.mark.parametrize(
    ("says", "edit"),
    [
        ("Operator.inputs refers to Tensor", lambda m, new: m.subgraphs[0].operators[0].inputs.append(new)),
        ("SubGraph.outputs refers to Tensor", lambda m, new: m.subgraphs[0].outputs.append(new)),
        ("SubGraph.inputs refers to Tensor", lambda m, new: m.subgraphs[0].tensors.pop(0)),
        ("TensorMap.tensor refers to Tensor", lambda m, new: setattr(m.signature_defs[0].inputs[0], "tensor", new)),
        (
            "Operator.opcode refers to OperatorCode",
            lambda m, new: setattr(m.subgraphs[0].operators[0], "opcode", samples.opcode("ADD")),
        ),
        (
            "SignatureDef.subgraph refers to SubGraph",
            lambda m, new: setattr(m.signature_defs[0], "subgraph", ts.SubGraph()),
        ),
        ("Tensor.buffer is the number 0", lambda m, new: m.subgraphs[0].tensors.append(ts.Tensor(name="n"))),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "reencode"])
def test_an_object_that_no_list_holds_is_refused_by_name(says: str, edit, mode: str) -> None:
    model = reload(samples.dense())
    edit(model, samples.tensor("stray", [1], model.buffers[0]))
    with pytest.raises(ts.EncodeError) as caught:
        ts.dumps(model, mode)
    assert says in str(caught.value)


def test_a_tensor_of_another_subgraph_is_refused() -> None:
    model = reload(samples.branching())
    model.subgraphs[0].operators[0].inputs[1] = model.subgraphs[1].tensors[0]
    with pytest.raises(
        ts.EncodeError, match=r"Operator.inputs refers to Tensor.*not in the model's list of such tensors"
    ):
        ts.dumps(model)


# New buffers


def test_a_new_buffer_is_entered_in_the_list() -> None:
    model = reload(samples.dense())
    graph = model.subgraphs[0]
    graph.tensors.append(samples.tensor("new", [3], ts.Buffer(b"abc"), "INT8"))
    model.metadata.append(ts.Metadata(name="note", buffer=ts.Buffer(b"note")))
    read = reload(model)
    assert len(read.buffers) == 6
    assert bytes(read.subgraphs[0].tensors[-1].buffer.data) == b"abc"
    assert bytes(read.metadata[-1].buffer.data) == b"note"


def test_new_values_take_the_place_of_the_old_ones() -> None:
    raw = ts.dumps(samples.dense())
    model = ts.loads(raw)
    weights = model.subgraphs[0].tensors[1]
    before = len(model.buffers)
    weights.set_values(weights.values() * 2)
    weights.set_values(weights.values() * 2)
    after = ts.dumps(model, "splice")
    assert after == raw.replace(samples.floats(*range(1, 9)), samples.floats(*range(4, 36, 4)))
    assert len(model.buffers) == before


@pytest.mark.parametrize("second_too", [False, True])
def test_new_values_leave_other_holders_of_the_buffer_alone(second_too: bool) -> None:
    model = samples.dense()
    graph = model.subgraphs[0]
    graph.tensors.append(samples.tensor("twin", [2, 4], graph.tensors[1].buffer))
    model = reload(model)
    weights, twin = model.subgraphs[0].tensors[1], model.subgraphs[0].tensors[4]
    old = weights.values().tolist()
    weights.set_values([[0.0] * 4] * 2)
    if second_too:
        twin.set_values([[9.0] * 4] * 2)
    read = reload(model).subgraphs[0].tensors
    assert read[1].values().tolist() == [[0.0] * 4] * 2
    assert read[4].values().tolist() == ([[9.0] * 4] * 2 if second_too else old)


def test_a_computed_tensor_made_constant_does_not_fill_the_empty_buffer() -> None:
    model = reload(samples.dense())
    model.subgraphs[0].tensors[0].set_values([[1.0, 2.0, 3.0, 4.0]])
    read = reload(model)
    assert read.buffers[0].data is None
    assert read.subgraphs[0].tensors[3].data is None
    assert read.subgraphs[0].tensors[0].values().tolist() == [[1.0, 2.0, 3.0, 4.0]]


# Copies


def test_a_copy_shares_weights_and_nothing_that_can_be_edited() -> None:
    model = reload(samples.crowded())
    copy = model.copy()
    assert list(compare.changes(model, copy)) == []
    assert [a.data is b.data for a, b in zip(model.buffers, copy.buffers, strict=True)] == [True] * 5

    def editable(table: object, found: dict[int, object]) -> dict[int, object]:
        if isinstance(table, Table) and id(table) not in found:
            found[id(table)] = table
            for field in schema.fields(table.table):
                value = getattr(table, field.attribute)
                if isinstance(value, list):
                    found[id(value)] = value
                for item in value if isinstance(value, list) else [value]:
                    editable(item, found)
        return found

    first, second = editable(model, {}), editable(copy, {})
    assert len(first) == len(second) > 60
    assert first.keys() & second.keys() == set()


def test_editing_a_copy_leaves_the_original_alone() -> None:
    raw = ts.dumps(samples.crowded())
    model = ts.loads(raw)
    copy = model.copy()
    graph = copy.subgraphs[0]
    graph.tensors[1].set_values([[0] * 4] * 2) if graph.tensors[1].sparsity is None else graph.tensors.pop()
    graph.tensors[0].shape.append(1)
    graph.tensors[2].quantization.scale[0] = 9.0
    graph.tensors[2].quantization.details.block_size = 1
    graph.operators[1].inputs.clear()
    graph.operators[1].mutating_variable_inputs[0] = False
    copy.operator_codes.clear()
    copy.metadata[0].name = "other"
    copy.description = "other"
    assert ts.dumps(model) == raw


def test_a_copy_saves_as_the_original_does() -> None:
    raw = ts.dumps(samples.crowded())
    model = ts.loads(raw)
    assert ts.dumps(model.copy()) == raw
    assert ts.dumps(model.copy().copy(), "reencode") == raw
    memory = samples.crowded()
    assert ts.dumps(memory.copy()) == raw


def test_values_set_before_copying_are_in_the_copy() -> None:
    model = reload(samples.dense())
    model.subgraphs[0].tensors[2].set_values([7.0, 8.0])
    copy = model.copy()
    assert copy.subgraphs[0].tensors[2].values().tolist() == [7.0, 8.0]
    assert ts.dumps(copy) == ts.dumps(model)
    assert copy.subgraphs[0].tensors[2].buffer in copy.buffers


def test_indices_do_not_change_what_they_read() -> None:
    model = reload(samples.crowded())
    before = [list(map(id, model.buffers)), list(map(id, model.subgraphs[0].tensors))]
    convert.indices(model)
    assert [list(map(id, model.buffers)), list(map(id, model.subgraphs[0].tensors))] == before
