"""What differs between two models: found by structure, told once, and nothing that differs is missed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.benchmarks.make_models import build
from tests.flatbuffer import samples
from tests.model.test_compare import each_field, other_value
from tests.model.test_external import saved
from tflite_surgeon.flatbuffer.schema import enum_class


def told(before: ts.Model, after: ts.Model) -> list[tuple[str, str, str]]:
    return [(found.part, found.kind, found.name) for found in ts.diff(before, after).differences]


def fields(found: ts.Difference) -> dict[str, tuple[Any, Any]]:
    return {change.field: (change.before, change.after) for change in found.changes}


def only(before: ts.Model, after: ts.Model) -> ts.Difference:
    (found,) = ts.diff(before, after).differences
    return found


def shuffled(model: ts.Model, seed: int = 1) -> ts.Model:
    """The same model with other numbers for everything that has one, but nodes."""
    result, source = model.copy(), random.Random(seed)
    for graph in result.subgraphs or ():
        source.shuffle(graph.tensors or [])
    source.shuffle(result.operator_codes or [])
    buffers = result.buffers or []
    buffers[1:] = source.sample(buffers[1:], len(buffers[1:]))
    if result.subgraphs:
        result.subgraphs[1:] = result.subgraphs[:0:-1]
    return result


def inserted(model: ts.Model, number: int, position: int = 0, subgraph: int = 0, name: str = "inserted") -> None:
    """Put a RELU in front of a node's input; the others that read that tensor go on reading it."""
    graph = model.subgraphs[subgraph]
    operator = graph.operators[number]
    x = operator.inputs[position]
    y = ts.Tensor(name=name, shape=x.shape, type=x.type, buffer=model.buffers[0], quantization=x.quantization)
    code = ts.OperatorCode(builtin_code=enum_class("BuiltinOperator")["RELU"], deprecated_builtin_code=19, version=1)
    model.operator_codes.insert(0, code)
    graph.tensors.insert(0, y)
    graph.operators.insert(number, ts.Operator(opcode=code, inputs=[x], outputs=[y]))
    operator.inputs = [y if item is x else item for item in operator.inputs]


def removed(model: ts.Model, number: int) -> None:
    """Take a node out, with its constants: what read its output reads its input."""
    graph = model.subgraphs[0]
    operator = graph.operators.pop(number)
    x, y = operator.inputs[0], operator.outputs[0]
    for other in graph.operators:
        other.inputs = [x if item is y else item for item in other.inputs]
    graph.outputs = [x if item is y else item for item in graph.outputs]
    for entry in model.signature_defs[0].outputs:
        entry.tensor = x if entry.tensor is y else entry.tensor
    gone = {id(item) for item in (*operator.inputs[1:], y)}
    graph.tensors = [item for item in graph.tensors if id(item) not in gone]
    held = {id(item.buffer) for item in graph.tensors}
    model.buffers[1:] = [item for item in model.buffers[1:] if id(item) in held]


def renamed(model: ts.Model, name: str | None) -> ts.Model:
    result = model.copy()
    for graph in result.subgraphs:
        for number, tensor in enumerate(graph.tensors):
            tensor.name = None if name is None else f"{name}{number}"
    return result


MODELS: dict[str, Callable[[], ts.Model]] = {
    "chain": lambda: builders.chain(6),
    "convolution": lambda: builders.layer("CONV_2D", per_channel=True),
    "svdf": builders.svdf,
    "lstm": builders.lstm,
    "shared": builders.shared_bias,
    "subgraphs": lambda: builders.two_subgraphs(builders.chain(2), builders.svdf()),
    **{f"sample {name}": build for name, build in samples.BUILDERS.items()},
}


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_numbers_and_layout_are_no_difference(build: Callable[[], ts.Model]) -> None:
    model = build()
    assert told(model, model) == []
    assert told(model, shuffled(model)) == []
    assert told(shuffled(model), model) == []
    written = ts.loads(ts.dumps(shuffled(model), "reencode"))
    assert told(model, written) == []


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("names", ["as they are", "none", "new"])
def test_an_inserted_operator_is_one_difference(number: int, names: str) -> None:
    before = builders.chain(6)
    after = before.copy()
    inserted(after, number)
    if names == "none":
        before, after = renamed(before, None), renamed(after, None)
    after = shuffled(after)
    expected = ts.diff(before, renamed(before, "other")).differences if names == "new" else ()
    if names == "new":
        after = renamed(after, "other")
        found = [found for found in ts.diff(before, after).differences if found.part != "tensor"]
        assert len(expected) == len(before.subgraphs[0].tensors)
    else:
        found = list(ts.diff(before, after).differences)
    (one,) = found
    assert (one.part, one.kind, one.name) == ("operator", "added", "RELU")
    assert one.before is None
    assert one.after is not None
    assert (one.after.subgraph, one.after.index) == (0, number)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("with_names", [True, False])
def test_a_removed_operator_is_one_difference(number: int, with_names: bool) -> None:
    before = builders.chain(6)
    after = before.copy()
    removed(after, number)
    if not with_names:
        before, after = renamed(before, None), renamed(after, None)
    one = only(before, shuffled(after))
    assert (one.part, one.kind, one.name, one.after) == ("operator", "removed", "FULLY_CONNECTED", None)
    assert one.before is not None
    assert one.before.index == number or not with_names  # Without names all are alike.
    assert one.size == 3 * 3 + 3 * 4


def test_a_replaced_operator_is_that_and_not_its_neighbours() -> None:
    before = builders.chain(3)
    after = before.copy()
    after.subgraphs[0].operators[1].opcode = code = ts.OperatorCode(
        builtin_code=enum_class("BuiltinOperator")["CUSTOM"], deprecated_builtin_code=32, custom_code="Mine"
    )
    after.operator_codes.append(code)
    one = only(before, after)
    assert (one.part, one.kind, one.name) == ("operator", "changed", "Mine")
    assert fields(one) == {"opcode": ("FULLY_CONNECTED", "Mine"), "version": (4, 1)}


def test_an_operator_that_runs_at_another_time_has_moved() -> None:
    before = builders.one_input(4)
    after = before.copy()
    operators = after.subgraphs[0].operators
    operators.insert(3, operators.pop(0))
    one = only(before, after)
    assert (one.part, one.kind, one.changes) == ("operator", "moved", ())
    assert one.before is not None
    assert one.after is not None
    assert (one.before.index, one.after.index) == (0, 3)


def test_readers_of_another_tensor_are_told() -> None:
    before = builders.one_input(3)
    after = before.copy()
    graph = after.subgraphs[0]
    graph.operators[2].inputs[0] = graph.operators[0].outputs[0]
    assert fields(only(before, after)) == {"inputs[0]": ("input_0", "output_0")}


def test_an_inserted_operator_that_reads_something_else_does_not_hide_a_new_wire() -> None:
    before = builders.shared_bias()
    after = before.copy()
    graph = after.subgraphs[0]
    inserted(after, 1)
    graph.operators[1].inputs = [graph.operators[0].inputs[0]]
    assert told(before, after) == [("operator", "added", "RELU"), ("operator", "changed", "FULLY_CONNECTED")]


def test_options_and_versions() -> None:
    before = builders.layer("CONV_2D")
    after = before.copy()
    operator = builders.node(after)
    operator.builtin_options.stride_w = 2
    operator.builtin_options.padding = enum_class("Padding")["SAME"]
    operator.opcode.version = 5
    assert fields(only(before, after)) == {
        "version": (3, 5),
        "builtin_options.stride_w": (1, 2),
        "builtin_options.padding": ("VALID", "SAME"),
    }


def test_custom_options_entry_by_entry() -> None:
    from flatbuffers import flexbuffers

    before = builders.chain(1)
    operator = builders.node(before)
    operator.custom_options = bytes(flexbuffers.Dumps({"size": 3, "mode": "a", "old": 1}))
    after = before.copy()
    builders.node(after).custom_options = bytes(flexbuffers.Dumps({"size": 4, "mode": "a", "new": [1, 2]}))
    assert fields(only(before, after)) == {
        "custom_options.size": (3, 4),
        "custom_options.old": (1, None),
        "custom_options.new": (None, [1, 2]),
    }
    builders.node(after).custom_options = b"\xff\xff"
    assert fields(only(before, after)).keys() == {"custom_options"}


def test_a_tensor_with_its_use_its_quantisation_and_its_values() -> None:
    before = builders.layer("FULLY_CONNECTED", per_channel=True)
    after = before.copy()
    weights = builders.part(after, "weights")
    values = weights.values().copy()
    values[2, 1] -= 9
    weights.set_values(values)
    weights.quantization.scale = [
        scale * (2 if row == 1 else 1) for row, scale in enumerate(weights.quantization.scale)
    ]
    one = only(before, shuffled(after))
    assert (one.part, one.name, one.use) == ("tensor", "weights", "weights of operator 0 (FULLY_CONNECTED)")
    scale, data = one.changes
    assert (scale.field, scale.differ) == ("quantization.scale", 1)
    assert scale.before == builders.scales(builders.part(before, "weights"))
    real = [builders.real(builders.part(model, "weights")) for model in (before, after)]
    assert data.values is not None
    assert (data.values.differ, data.values.largest_quanta) == (1, 9.0)
    assert data.values.largest_real == pytest.approx(np.abs(real[0] - real[1]).max())


def test_a_bias_that_is_no_longer_shared() -> None:
    before = builders.shared_bias()
    after = ts.fix_bias_scale(before.copy()).model
    found = ts.diff(before, after).differences
    assert [(item.part, item.kind) for item in found] == [("operator", "changed")] * 2
    for number, item in enumerate(found, 1):
        changes = {change.field: change for change in item.changes}
        bias = builders.part(after, "bias", number)
        assert changes["inputs[2]"].before == "bias_0"
        assert changes["inputs[2].quantization.scale"].after == builders.scales(bias)
        assert "inputs[2].values" in changes


def test_a_buffer_that_is_shared_on_one_side_only() -> None:
    before = builders.one_input(3, shared_weights=True)
    before.subgraphs[0].tensors.append(copy := before.copy().subgraphs[0].operators[0].role("weights"))
    copy.buffer = builders.part(before, "weights").buffer
    copy.name = "weights_again"
    builders.node(before, 1).inputs[1] = copy
    after = before.copy()
    alone = builders.part(after, "weights", 1)
    alone.buffer = ts.Buffer(bytes(alone.data))
    one = only(before, after)
    assert (one.part, fields(one)) == (
        "buffer",
        {"shared by": ([["weights_0", "weights_again"]], [["weights_0"], ["weights_again"]])},
    )
    assert fields(only(after, before))["shared by"][1] == [["weights_0", "weights_again"]]


def test_inputs_signatures_metadata_and_the_models_own_fields() -> None:
    before = builders.shared_bias((0.02, 0.02))
    before.metadata = [ts.Metadata(name="min_runtime_version", buffer=ts.Buffer(b"1.5.0\0\0\0"))]
    after = before.copy()
    graph, signature = after.subgraphs[0], after.signature_defs[0]
    graph.inputs.reverse()
    signature.inputs[0].name = "new name"
    signature.inputs.reverse()
    after.metadata[0].buffer.data = b"2.10.0\0\0"
    after.metadata.append(ts.Metadata(name="more", buffer=ts.Buffer(b"12345")))
    after.description = "mine"
    found = {(item.part, item.kind): item for item in ts.diff(before, after).differences}
    assert fields(found["model", "changed"]) == {"description": (None, "mine")}
    assert fields(found["subgraph", "changed"]) == {
        "inputs[0]": ("input_0", "input_1"),
        "inputs[1]": ("input_1", "input_0"),
    }
    assert fields(found["signature", "changed"]) == {
        "inputs[input_0]": ("input_0", None),
        "inputs[new name]": (None, "input_0"),
    }
    assert fields(found["metadata", "changed"]) == {"data": ("1.5.0", "2.10.0")}
    assert (found["metadata", "added"].name, found["metadata", "added"].size) == ("more", 5)
    assert len(found) == 5


def test_subgraphs_by_name_content_and_number() -> None:
    before = builders.two_subgraphs(builders.chain(3), builders.svdf())
    after = before.copy()
    inserted(after, 0, subgraph=1)
    one = only(before, after)
    assert one.after is not None
    assert (one.kind, one.after.subgraph) == ("added", 1)
    first_last = before.copy()
    first_last.subgraphs.reverse()
    assert [fields(found)["index"] for found in ts.diff(before, first_last).differences] == [(1, 0), (0, 1)]
    alone = before.copy()
    del alone.subgraphs[1]
    alone.operator_codes = [code for code in alone.operator_codes if code.name != "SVDF"]
    held = {id(tensor.buffer) for tensor in alone.subgraphs[0].tensors}
    alone.buffers[1:] = [buffer for buffer in alone.buffers[1:] if id(buffer) in held]
    one = only(before, alone)
    assert (one.part, one.kind, one.name, one.size) == ("subgraph", "removed", "other", 1)


def test_what_nothing_refers_to() -> None:
    before = builders.chain(1)
    after = before.copy()
    after.buffers.append(ts.Buffer(b"123"))
    after.operator_codes.append(ts.OperatorCode(builtin_code=enum_class("BuiltinOperator")["RELU"], version=2))
    after.subgraphs[0].tensors.append(ts.Tensor(name="loose", shape=[1], buffer=after.buffers[0]))
    assert told(before, after) == [
        ("tensor", "added", "loose"),
        ("buffer", "changed", ""),
        ("operator code", "changed", ""),
    ]


# Where something lies in its file, how an operator's kind is written, what is told by those that use it.
_SILENT = {
    "Buffer.offset",
    "Buffer.size",
    "Operator.large_custom_options_offset",
    "Operator.large_custom_options_size",
    "Operator.debug_metadata_index",
    "SubGraph.debug_metadata_index",
    "OperatorCode.deprecated_builtin_code",
    "OperatorCode.builtin_code",
    "OperatorCode.custom_code",
    "Model.external_buffer_groups",
    "Model.external_buffers",
    "Model.operator_codes",
    "Model.buffers",
    "SubGraph.tensors",
}
_SILENT_TABLES = {"ExternalBuffer", "ExternalBufferGroup"}


@pytest.mark.parametrize("seed", range(2))
def test_no_field_of_any_table_can_change_unnoticed(seed: int) -> None:
    """Every field of every table of a model that has them all, changed alone, is found."""
    before, after = samples.every_table(seed), samples.every_table(seed)
    assert told(before, after) == []
    seen = set()
    for path, table, field in list(each_field(after)):
        name = f"{table.table}.{field.attribute}"
        if field.refers_to or name in seen | _SILENT or table.table in _SILENT_TABLES:
            continue
        was = getattr(table, field.attribute)
        new = other_value(field, was)
        if (not was and not new) or (name == "Tensor.quantization" and new is not None):
            continue  # Absent and empty are the same.
        setattr(table, field.attribute, new)
        assert told(before, after), path
        seen.add(name)
        setattr(table, field.attribute, was)
    assert len(seen) > 240


def test_constants_in_other_files_are_compared_where_they_can_be_read(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder, content in zip(folders, (b"01234567", b"01X34567")):
        folder.mkdir()
        (folder / "weights.bin").write_bytes(bytes(16) + content)
    before, after = (ts.load(saved(folder)) for folder in folders)
    one = only(before, after)
    assert (one.name, one.changes[0].values.unit, one.changes[0].values.differ) == ("weights", "bytes", 1)
    for folder in folders:
        (folder / "weights.bin").unlink()
    assert told(before, after) == []
    after.external_buffers[0].offset = 24
    assert fields(only(before, after)) == {
        "external_buffer": ("8 bytes at 16 of 'weights.bin'", "8 bytes at 24 of 'weights.bin'")
    }


def test_thirty_thousand_operators_take_seconds() -> None:
    before = build(30_000, 2)
    after = before.copy()
    inserted(after, 15_000)
    inserted(after, 20, name="inserted too")
    after = shuffled(after)
    start = time.process_time()
    assert told(before, after) == [("operator", "added", "RELU")] * 2
    assert time.process_time() - start < 20


def test_a_long_row_of_equal_operators_without_names() -> None:
    """Nothing tells them apart but their order."""
    net = builders.Net()
    tensors = [net.tensor("", [4], "FLOAT32") for _ in range(3001)]
    for x, y in zip(tensors, tensors[1:]):
        net.operator("RELU", 1, [x], [y])
    before = net.model(tensors[:1], tensors[-1:])
    after = before.copy()
    for number in (2500, 1000):
        removed(after, number)
    inserted(after, 10, name="")
    assert sorted(told(before, after)) == [("operator", "removed", "RELU")]


@pytest.mark.parametrize("first", MODELS)
def test_any_two_models_can_be_compared(first: str) -> None:
    for second in MODELS.values():
        a, b = MODELS[first](), second()
        there, back = ts.diff(a, b).counts(), ts.diff(b, a).counts()
        assert bool(there) == bool(back)
