"""What an edit changed in the file: exactly those bytes, or a reason why that is not enough."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import flatbuffers
import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.flatbuffer.walk import put, spots

Edit = Callable[[ts.Model], None]


def loaded(build: Callable[[], ts.Model] = samples.quantised) -> tuple[bytes, ts.Model]:
    raw = ts.dumps(build())
    return raw, ts.loads(raw)


def changed_bytes(before: bytes, after: bytes) -> list[int]:
    assert len(before) == len(after)
    return [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]


def tensor(model: ts.Model, index: int) -> ts.Tensor:
    return model.subgraphs[0].tensors[index]


def assign(place: Callable[[ts.Model], Any], name: str, value: Any) -> Edit:
    return lambda model: setattr(place(model), name, value)


# (path of the field, edit, place of the first byte that must change counted from the field's content, its new bytes)
def first_tensor(model: ts.Model) -> Any:
    return tensor(model, 1)


SPLICES: list[tuple[str, Edit, int, bytes]] = [
    ("version", assign(lambda m: m, "version", 4), 0, b"\4"),
    ("operator_codes[0].version", assign(lambda m: m.operator_codes[0], "version", 261), 0, b"\5\1"),
    ("subgraphs[0].tensors[1].type", assign(first_tensor, "type", 3), 0, b"\3"),
    (
        "subgraphs[0].operators[0].builtin_options.keep_num_dims",
        assign(lambda m: m.subgraphs[0].operators[0].builtin_options, "keep_num_dims", False),
        0,
        b"\0",
    ),
    (
        "subgraphs[0].tensors[1].quantization.scale",
        lambda m: first_tensor(m).quantization.scale.__setitem__(0, 0.75),
        2,
        struct.pack("<f", 0.75)[2:],
    ),
    (
        "subgraphs[0].tensors[0].quantization.zero_point",
        lambda m: tensor(m, 0).quantization.zero_point.__setitem__(0, -2),
        0,
        struct.pack("<q", -2),
    ),
    ("subgraphs[0].tensors[1].shape", assign(first_tensor, "shape", [2, 5]), 4, b"\5"),
    ("subgraphs[0].tensors[1].name", assign(first_tensor, "name", "W"), 0, b"W"),
    ("buffers[1].data", lambda m: setattr(m.buffers[1], "data", b"\0\1\2\3\4\xff\xff\7"), 5, b"\xff\xff"),
    (
        "subgraphs[0].tensors[1].buffer",
        lambda m: setattr(first_tensor(m), "buffer", m.buffers[3]),
        0,
        b"\3",
    ),
    ("subgraphs[0].inputs", lambda m: setattr(m.subgraphs[0], "inputs", [tensor(m, 2)]), 0, b"\2"),
    ("subgraphs[0].operators[0].inputs", lambda m: m.subgraphs[0].operators[0].inputs.__setitem__(2, None), 8, b"\xff"),
]


def content(raw: bytes, path: str) -> int:
    """Where a field's content begins: behind the count of a vector."""
    spot = spots(raw)[path]
    return spot.target + 4 if spot.target else spot.place


@pytest.mark.parametrize(("path", "edit", "skipped", "new"), SPLICES, ids=[path for path, *_ in SPLICES])
def test_a_change_of_equal_size_replaces_its_bytes_and_no_other(path, edit: Edit, skipped: int, new: bytes) -> None:
    raw, model = loaded()
    edit(model)
    after = ts.dumps(model, "splice")
    assert after == ts.dumps(model)
    start = content(raw, path) + skipped
    changed = changed_bytes(raw, after)
    assert changed[0] == start
    assert after[start : start + len(new)] == new
    assert changed[-1] < start + max(len(new), 4)


@pytest.mark.parametrize(("path", "edit", "skipped", "new"), SPLICES, ids=[path for path, *_ in SPLICES])
def test_the_report_lists_offset_old_and_new_bytes(path, edit: Edit, skipped: int, new: bytes, tmp_path) -> None:
    raw, model = loaded()
    (tmp_path / "in.tflite").write_bytes(raw)
    model = ts.load(tmp_path / "in.tflite")
    edit(model)
    report = ts.save(model, tmp_path / "out.tflite")
    written = (tmp_path / "out.tflite").read_bytes()
    assert (report.kind, report.rewritten, [patch.path for patch in report.patches]) == ("spliced", False, [path])
    by_hand = bytearray(raw)
    for patch in report.patches:
        assert raw[patch.offset : patch.offset + len(patch.old)] == patch.old
        assert len(patch.old) == len(patch.new)
        by_hand[patch.offset : patch.offset + len(patch.new)] = patch.new
    assert bytes(by_hand) == written
    assert ts.dumps(ts.load(tmp_path / "out.tflite")) == written


def test_many_changes_are_listed_in_the_order_of_the_file() -> None:
    raw, model = loaded()
    for _, edit, *_ in SPLICES[:8]:
        edit(model)
    after = ts.dumps(model, "splice")
    expected = bytearray(raw)
    for path, _, skipped, new in SPLICES[:8]:
        start = content(raw, path) + skipped
        expected[start : start + len(new)] = new
    assert after == bytes(expected)


def test_data_behind_the_flatbuffer_is_spliced_where_it_lies() -> None:
    raw, model = loaded(samples.crowded)
    outside = model.buffers[-1]
    assert outside.outside
    text = bytes(outside.data)
    outside.data = text.upper()
    after = ts.dumps(model, "splice")
    assert after == raw.replace(text, text.upper())


def test_large_custom_options_are_spliced_where_they_lie() -> None:
    raw, model = loaded(samples.crowded)
    operator = model.subgraphs[0].operators[1]
    operator.large_custom_options = b"LARGE OPTIONS"
    assert ts.dumps(model, "splice") == raw.replace(b"large options", b"LARGE OPTIONS")
    operator.large_custom_options = b"of another length"
    with pytest.raises(ts.SaveError, match=r"operators\[1\].large_custom_options has 17 bytes, in the file 13 bytes"):
        ts.dumps(model, "splice")
    assert bytes(ts.loads(ts.dumps(model)).subgraphs[0].operators[1].large_custom_options) == b"of another length"
    operator.large_custom_options = None
    assert ts.loads(ts.dumps(model)).subgraphs[0].operators[1].large_custom_options is None


def test_the_identifier_is_spliced() -> None:
    raw, model = loaded()
    model.identifier = b"TFL9"
    assert ts.dumps(model, "splice") == raw[:4] + b"TFL9" + raw[8:]


# What equals keeps its bytes


def test_nan_payloads_stay_untouched() -> None:
    raw, _ = loaded()
    scales = samples.quantised()
    scales.subgraphs[0].tensors[1].quantization.scale = [1.0, 2.0, 3.0]
    raw = ts.dumps(scales)
    start = content(raw, "subgraphs[0].tensors[1].quantization.scale")
    odd = bytes.fromhex("0100a07f 2a00c0ff 00004040")  # A signalling NaN, a quiet one with a payload, 3.0.
    raw = raw[:start] + odd + raw[start + 12 :]
    model = ts.loads(raw)
    assert ts.dumps(model) == raw
    quantization = tensor(model, 1).quantization
    assert math.isnan(quantization.scale[0])
    quantization.scale[2] = 5.0
    after = ts.dumps(model, "splice")
    assert after == raw[: start + 8] + struct.pack("<f", 5.0) + raw[start + 12 :]
    quantization.scale = [float("nan"), 1.0, 5.0]
    assert ts.dumps(model, "splice")[start : start + 4] == odd[:4]


def test_a_bool_stored_as_two_stays_two() -> None:
    raw, _ = loaded()
    place = spots(raw)["subgraphs[0].operators[0].builtin_options.keep_num_dims"].place
    raw = put(raw, place, 2, 1)
    model = ts.loads(raw)
    assert ts.dumps(model) == raw
    model.version = 7
    assert ts.dumps(model, "splice")[place] == 2


def test_equal_content_in_new_objects_changes_nothing() -> None:
    raw, model = loaded()
    model.buffers[1].data = bytes(model.buffers[1].data)
    tensor(model, 1).name = "".join(["w"])
    tensor(model, 1).shape = [2, 4]
    tensor(model, 1).quantization.scale = [0.25]
    assert ts.dumps(model) == raw
    tensor(model, 1).quantization.scale = [0.25 + 1e-12]  # Rounds to the same float32.
    assert ts.dumps(model) == raw


# Reasons

REASONS: list[tuple[str, Edit]] = [
    ("description has 5 elements, in the file 13", assign(lambda m: m, "description", "short")),
    ("description is in the file, and now is absent", assign(lambda m: m, "description", None)),
    (
        "subgraphs[0].tensors[1].shape_signature is absent in the file, and now has a value",
        assign(first_tensor, "shape_signature", [-1]),
    ),
    (
        "subgraphs[0].tensors[1].is_variable has its default by being absent, and now is True",
        assign(first_tensor, "is_variable", True),
    ),
    ("subgraphs[0].tensors[1].shape has 1 elements, in the file 2", assign(first_tensor, "shape", [8])),
    ("buffers[1].data has 3 bytes, in the file 8", lambda m: setattr(m.buffers[1], "data", b"abc")),
    ("buffers[1].data has no data, in the file 8 bytes", lambda m: setattr(m.buffers[1], "data", None)),
    ("buffers[0].data has 1 bytes, in the file no data", lambda m: setattr(m.buffers[0], "data", b"x")),
    (
        "subgraphs[0].tensors holds other tables than in the file, or in another order",
        lambda m: m.subgraphs[0].tensors.reverse(),
    ),
    ("metadata holds other tables", lambda m: m.metadata.append(ts.Metadata(name="n", buffer=m.buffers[0]))),
    (
        "subgraphs[0].operators[0].builtin_options is another table than in the file",
        lambda m: setattr(m.subgraphs[0].operators[0], "builtin_options", samples.table("AddOptions")),
    ),
    (
        "subgraphs[0].tensors[1].quantization is another table than in the file",
        lambda m: setattr(first_tensor(m), "quantization", ts.QuantizationParameters(scale=[0.25], zero_point=[0])),
    ),
]


@pytest.mark.parametrize(("reason", "edit"), REASONS, ids=[reason[:40] for reason, _ in REASONS])
def test_a_change_of_another_size_says_why_and_is_written_anew(reason: str, edit: Edit, tmp_path) -> None:
    _, model = loaded()
    edit(model)
    with pytest.raises(ts.SaveError, match="cannot be spliced") as caught:
        ts.dumps(model, "splice")
    assert reason in str(caught.value)
    report = ts.save(model, tmp_path / "out.tflite")
    assert (report.kind, report.patches) == ("reencoded", ())
    assert reason in report.reasons[0]


# Shared bytes


def two_tensors_one_vector() -> bytes:
    """Two tensors whose quantization tables share one vector of scales, as a writer that merges equal ones does."""
    builder = flatbuffers.Builder(512)
    builder.StartVector(4, 1, 4)
    builder.PrependFloat32(0.5)
    scale = builder.EndVector()
    made = []
    for dimension in (1, 2):  # Differs, so that the two tables do.
        builder.StartObject(7)
        builder.PrependUOffsetTRelativeSlot(2, scale, 0)
        builder.PrependInt32Slot(6, dimension, 0)
        made.append(builder.EndObject())
    tensors = []
    for quantization in made:
        builder.StartObject(11)
        builder.PrependUOffsetTRelativeSlot(4, quantization, 0)
        tensors.append(builder.EndObject())
    return samples.finish(builder, tensors)


@pytest.mark.parametrize("both", [False, True])
def test_a_vector_that_two_tables_share_is_not_spliced(both: bool, tmp_path) -> None:
    raw = two_tensors_one_vector()
    model = ts.loads(raw)
    first, second = model.subgraphs[0].tensors
    first.quantization.scale = [0.75]
    if both:
        second.quantization.scale = [0.125]
    read = ts.loads(ts.dumps(model)).subgraphs[0].tensors
    assert [item.quantization.scale for item in read] == [[0.75], [0.125 if both else 0.5]]
    report = ts.save(model, tmp_path / "out.tflite")
    assert report.kind == "reencoded"
    assert "share" in report.reasons[0]
    with pytest.raises(ts.SaveError, match=r"cannot be spliced.*share"):
        ts.dumps(model, "splice")
    first.quantization.scale = [0.5]
    second.quantization.scale = [0.5]
    assert ts.dumps(model) == raw


def test_a_table_listed_twice_is_not_spliced() -> None:
    raw = samples.built(lambda builder: lambda builder: builder.PrependInt8Slot(1, 9, 0), copies=2)
    model = ts.loads(raw)
    first, second = model.subgraphs[0].tensors
    assert first is not second
    first.type = 7
    read = ts.loads(ts.dumps(model)).subgraphs[0].tensors
    assert [int(item.type) for item in read] == [7, 9]


def one_data_vector_for_two_buffers(outside: bool) -> bytes:
    raw = ts.dumps(_two_equal_buffers(outside))
    found = spots(raw)
    if outside:
        first, second = (found[f"buffers[{i}].offset"].place for i in (1, 2))
        return raw[:second] + raw[first : first + 8] + raw[second + 8 :]
    first, second = (found[f"buffers[{i}].data"] for i in (1, 2))
    return put(raw, second.place, first.target - second.place)


def _two_equal_buffers(outside: bool) -> ts.Model:
    empty = ts.Buffer()
    buffers = [empty, *(ts.Buffer(b"same" * 4, outside=outside) for _ in range(2))]
    tensors = [samples.tensor(f"t{i}", [16], buffer, "INT8") for i, buffer in enumerate(buffers)]
    graph = ts.SubGraph(tensors=tensors, inputs=[], outputs=[], operators=[])
    return ts.Model(version=3, operator_codes=[], subgraphs=[graph], buffers=buffers)


@pytest.mark.parametrize("outside", [False, True])
def test_weights_that_two_buffers_share_are_not_spliced(outside: bool, tmp_path) -> None:
    """They are compared by identity, so that the other buffer's bytes would change and nobody would look."""
    model = ts.loads(one_data_vector_for_two_buffers(outside))
    model.buffers[2].data = b"else" * 4
    read = ts.loads(ts.dumps(model))
    assert [bytes(buffer.data) for buffer in read.buffers[1:]] == [b"same" * 4, b"else" * 4]
    report = ts.save(model, tmp_path / "out.tflite")
    assert report.kind == "reencoded"
    assert "buffers[2].data shares bytes of the file with buffers[1].data" in report.reasons[0]


# Objects from elsewhere


def test_a_buffer_of_another_file_is_not_taken_for_the_one_in_its_place() -> None:
    """Two trainings of one network have every table in the same place; their weights differ."""
    raw, model = loaded()
    other = samples.quantised()
    other.buffers[1].data = bytes(range(50, 58))
    other = ts.loads(ts.dumps(other))
    assert other.buffers[1]._offset == model.buffers[1]._offset
    tensor(model, 1).buffer = model.buffers[1] = other.buffers[1]
    after = ts.dumps(model)
    assert bytes(ts.loads(after).buffers[1].data) == bytes(range(50, 58))
    assert len(changed_bytes(raw, after)) == 8


def test_a_buffer_without_data_of_another_file_is_noticed() -> None:
    _, model = loaded()
    donor = ts.loads(ts.dumps(samples.quantised()))
    hollow = donor.buffers[1]
    hollow.data = hollow._stored_data = None
    tensor(model, 1).buffer = model.buffers[1] = hollow
    assert ts.loads(ts.dumps(model)).buffers[1].data is None


def test_operators_of_a_larger_file_can_be_moved_over() -> None:
    """Their places mean nothing in this file, and may lie beyond its end."""
    _, model = loaded()
    donor = samples.dense()
    donor.description = "d" * 9000
    donor.subgraphs[0].tensors += [samples.tensor(f"t{i}", [1], donor.buffers[0]) for i in range(100)]
    donor = ts.loads(ts.dumps(donor))
    graph = donor.subgraphs[0]
    model.subgraphs.append(graph)
    model.operator_codes += donor.operator_codes
    model.buffers += donor.buffers
    read = ts.loads(ts.dumps(model))
    assert [item.name for item in read.subgraphs[1].tensors] == [item.name for item in graph.tensors]
    assert read.subgraphs[1].operators[0].opcode is read.operator_codes[1]


def test_a_model_that_was_not_read_from_this_file_is_written_anew() -> None:
    _, model = loaded()
    _, other = loaded(samples.dense)
    other.description = "a" * 400
    other = ts.loads(ts.dumps(other))
    model.source = other.source
    assert ts.loads(ts.dumps(model)).description == "a dense layer"


@pytest.mark.parametrize("outside", [False, True])
def test_data_that_moves_in_or_behind_is_written_anew(outside: bool) -> None:
    content = b"some weights" * 4
    donor = samples.dense()
    donor.buffers.append(ts.Buffer(content, outside=outside))
    model = ts.loads(ts.dumps(donor))
    assert model.buffers[-1].outside is outside
    model.buffers[-1].outside = not outside
    moved = ts.loads(ts.dumps(model))
    assert moved.buffers[-1].outside is not outside
    assert bytes(moved.buffers[-1].data) == content
