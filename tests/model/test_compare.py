"""The difference of two models: what differs, where, and nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table
from tflite_surgeon.model import compare


def reload(model: ts.Model) -> ts.Model:
    return ts.loads(ts.dumps(model))


def paths(before: ts.Model, after: ts.Model) -> list[str]:
    return [change.path for change in compare.changes(before, after)]


@pytest.mark.parametrize("build", samples.BUILDERS.values(), ids=samples.BUILDERS)
def test_a_model_equals_itself_its_copy_its_file_and_its_rewriting(build) -> None:
    model = build()
    read = reload(model)
    rewritten = ts.loads(ts.dumps(read, "reencode"))
    for other in (model, model.copy(), read, rewritten):
        assert paths(model, other) == []
        assert paths(other, model) == []


def test_a_change_has_its_path_and_both_values() -> None:
    before, after = reload(samples.quantised()), reload(samples.quantised())
    after.subgraphs[0].tensors[2].quantization.scale = [0.5]
    after.subgraphs[0].operators[0].inputs[2] = None
    after.buffers[1].data = b"87654321"
    after.identifier = b"TFL4"
    found = {change.path: (change.before, change.after) for change in compare.changes(before, after)}
    assert found.pop("buffers[1].data")[1] == b"87654321"
    assert found == {
        "identifier": (b"TFL3", b"TFL4"),
        "subgraphs[0].tensors[2].quantization.scale": ([0.125], [0.5]),
        "subgraphs[0].operators[0].inputs": ([0, 1, 2], [0, 1, -1]),
    }


def test_items_that_one_model_has_more() -> None:
    before, after = reload(samples.dense()), reload(samples.dense())
    after.buffers.append(ts.Buffer(b"new"))
    after.metadata = None
    assert paths(before, after) == ["buffers[4]", "metadata"]
    assert paths(after, before) == ["buffers[4]", "metadata"]


def each_field(model: ts.Model):
    """(path, table, field) of every field of every table in a model."""
    waiting: list[tuple[str, Any]] = [("", model)]
    while waiting:
        path, table = waiting.pop()
        for field in schema.fields(table.table):
            name = f"{path}.{field.name}" if path else field.name
            yield name, table, field
            value = getattr(table, field.attribute)
            if field.kind in ("table", "union") and isinstance(value, Table):
                waiting.append((name, value))
            elif field.kind == "tables":
                waiting += [(f"{name}[{i}]", item) for i, item in enumerate(value or ())]


def other_value(field: schema.Field, value: Any) -> Any:
    if field.kind == "scalar" and field.format in "fd":
        return 1.0 if value == 0.5 else 0.5
    if field.kind == "scalar":
        return 1 - value if field.format == "?" else value + 1
    if field.kind in ("table", "union"):
        return None if value is not None else samples.table(_member(field))
    if field.kind == "tables":
        return [] if value is None else None
    if field.kind == "string":
        return None if value is not None else ""
    if field.kind in ("bytes", "data"):
        return None if value is not None else b""
    return None if value is not None else []


def _member(field: schema.Field) -> str:
    return field.type if field.kind == "table" else next(iter(schema.UNIONS[field.type]))


def test_no_field_of_any_table_can_change_unnoticed() -> None:
    """Every field of every table of a model that has them all: changed alone, it is found, and nothing else."""
    left = {"Buffer.offset", "Buffer.size"} | {f"Operator.large_custom_options_{x}" for x in ("offset", "size")}
    before, after = samples.every_table(3), samples.every_table(3)
    seen = set()
    for path, table, field in list(each_field(after)):
        if field.refers_to and field.kind == "scalar":
            continue
        name = f"{table.table}.{field.name}"
        if name in seen:
            continue
        seen.add(name)
        if name in (
            "Model.buffers",
            "Model.subgraphs",
            "Model.operator_codes",
            "SubGraph.tensors",
            "SubGraph.operators",
        ):
            continue  # What others refer to cannot go alone.
        old = getattr(table, field.attribute)
        setattr(table, field.attribute, other_value(field, old))
        try:
            found = paths(before, after)
        except ts.EncodeError:
            assert name == "Model.external_buffer_groups"
        else:
            assert found == ([] if name in left else [path]), name
        setattr(table, field.attribute, old)
    assert paths(before, after) == []
    assert len(seen) > 250


def test_large_custom_options_are_compared() -> None:
    before, after = reload(samples.crowded()), reload(samples.crowded())
    after.subgraphs[0].operators[1].large_custom_options = b"large OPTIONS"
    assert paths(before, after) == ["subgraphs[0].operators[1].large_custom_options"]


def test_where_outside_data_lies_is_no_difference() -> None:
    before = reload(samples.crowded())
    after = reload(samples.crowded())
    after.buffers[-1].outside = False
    moved = ts.loads(ts.dumps(after, "reencode"))
    assert not moved.buffers[-1].outside
    assert paths(before, moved) == []


def test_floats_are_compared_as_the_file_holds_them() -> None:
    before, after = reload(samples.quantised()), reload(samples.quantised())
    scales = after.subgraphs[0].tensors[1].quantization
    scales.scale = [0.25 + 1e-12]
    assert paths(before, after) == []
    scales.scale = [math.nextafter(0.25, 1) + 1e-7]
    assert paths(before, after) == ["subgraphs[0].tensors[1].quantization.scale"]
    scales.scale = [1e300]  # More than a float32 holds.
    assert paths(before, after) == ["subgraphs[0].tensors[1].quantization.scale"]


def test_nan_equals_nan() -> None:
    before, after = samples.quantised(), samples.quantised()
    for model in (before, after):
        model.subgraphs[0].tensors[1].quantization.scale = [math.nan, 1.0]
    assert paths(before, after) == []
    assert paths(before, reload(after)) == []
    after.subgraphs[0].tensors[1].quantization.scale = [1.0, math.nan]
    assert paths(before, after) == ["subgraphs[0].tensors[1].quantization.scale"]


def test_option_tables_that_nobody_can_read_are_not_called_equal() -> None:
    before, after = reload(samples.dense()), reload(samples.dense())
    for model in (before, after):
        model.subgraphs[0].operators[0].builtin_options = OpaqueTable(99, 8)
    assert paths(before, after) == ["subgraphs[0].operators[0].builtin_options"]
    for model in (before, after):
        model.subgraphs[0].operators[0].builtin_options = OpaqueTable(99, None)
    assert paths(before, after) == []


def test_weights_of_several_megabytes_that_differ_in_one_byte() -> None:
    content = bytes(5 << 20)
    before, after = samples.dense(), samples.dense()
    before.buffers.append(ts.Buffer(content))
    after.buffers.append(ts.Buffer(bytearray(content)))
    assert paths(before, after) == []
    after.buffers[-1].data[(5 << 20) - 1] = 1
    assert paths(before, after) == ["buffers[4].data"]
