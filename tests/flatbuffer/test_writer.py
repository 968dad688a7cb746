"""Tables to bytes: alignment, vtables, limits, and what independent readers say of the result."""

from __future__ import annotations

import importlib.util
import random
import struct
from collections import Counter

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.flatbuffer.independent import by_package, by_us, object_api
from tests.flatbuffer.walk import spots, tables, unsigned, vtable_of, walk
from tflite_surgeon.flatbuffer import encoders, schema, writer
from tflite_surgeon.model import compare

needs_litert = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None, reason="ai-edge-litert is not installed"
)
LITERT = "ai_edge_litert.schema_py_generated"
SEEDS = range(4)


def models() -> list[pytest.ParameterSet]:
    made = [pytest.param(build, id=name) for name, build in samples.BUILDERS.items()]
    return made + [
        pytest.param(lambda seed=seed: samples.every_table(seed), id=f"every-table-{seed}") for seed in SEEDS
    ]


# Alignment


def misaligned(raw: bytes) -> list[str]:
    """Every table, scalar and vector that does not lie where the format wants it."""
    found = []
    for spot in walk(raw):
        field = spot.field
        if spot.at % 4 or vtable_of(raw, spot.at) % 2:
            found.append(f"the table of {spot.path}")
        size = schema.size_of(field.format) if field.kind == "scalar" else 1 if field.kind == "tag" else 4
        if spot.place % size:
            found.append(f"{spot.path} at {spot.place}")
        if field.kind in ("numbers", "bytes", "data"):
            element = max(schema.size_of(field.format), field.alignment)
            if spot.target % 4 or (spot.target + 4) % element:
                found.append(f"the elements of {spot.path} at {spot.target + 4}")
        if field.kind == "string":
            assert raw[spot.target + 4 + unsigned(raw, spot.target)] == 0, "strings end with a zero byte"
    return found


@pytest.mark.parametrize("build", models())
def test_every_scalar_table_and_vector_is_aligned(build) -> None:
    assert misaligned(ts.dumps(build())) == []


def test_the_alignment_check_sees_a_file_shifted_by_two_bytes() -> None:
    raw = ts.dumps(samples.quantised())
    at = unsigned(raw, 0)
    shifted = (at + 2).to_bytes(4, "little") + raw[4:8] + b"\0\0" + raw[8:]
    assert ts.loads(shifted).subgraphs is not None
    assert len(misaligned(shifted)) > 20


@pytest.mark.parametrize("size", range(0, 40))
def test_weights_are_aligned_to_16_bytes_whatever_lies_before_them(size: int) -> None:
    model = samples.dense()
    model.description = "d" * size
    model.buffers.insert(1, ts.Buffer(bytes(size)))
    raw = ts.dumps(model)
    data = [spot for spot in walk(raw) if spot.path.endswith(".data")]
    assert len(data) == 4
    assert [spot.path for spot in data if (spot.target + 4) % 16] == []


# Size


def test_equal_vtables_are_written_once() -> None:
    model = samples.dense()
    graph = model.subgraphs[0]
    empty = model.buffers[0]
    graph.tensors += [samples.tensor(f"t{i}", [1], empty) for i in range(200)]
    raw = ts.dumps(model)
    found = tables(raw)
    used = Counter(vtable_of(raw, at) for path, at in found.items() if "tensors[" in path)
    contents = {raw[at : at + unsigned(raw, at, 2)] for at in used}
    assert sum(used.values()) == 204
    assert len(used) == len(contents) <= 2


def test_a_table_without_fields_takes_four_bytes() -> None:
    plan = encoders.Plan("PadOptions", 0)
    assert (plan.size, plan.vtable) == (4, struct.pack("<2H", 4, 4))


# What does not fit

MISFITS = [
    ("version", lambda m: setattr(m, "version", -1)),
    ("version", lambda m: setattr(m, "version", 1 << 32)),
    ("version", lambda m: setattr(m, "version", 3.5)),
    ("version", lambda m: setattr(m, "version", None)),
    ("description", lambda m: setattr(m, "description", b"bytes")),
    ("description", lambda m: setattr(m, "description", "\ud800")),
    ("subgraphs[0].tensors[0].shape", lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [1 << 31])),
    ("subgraphs[0].tensors[0].shape", lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [1.0])),
    ("subgraphs[0].tensors[0].shape", lambda m: setattr(m.subgraphs[0].tensors[0], "shape", 7)),
    ("subgraphs[0].tensors[0].type", lambda m: setattr(m.subgraphs[0].tensors[0], "type", 128)),
    ("subgraphs[0].tensors[0].type", lambda m: setattr(m.subgraphs[0].tensors[0], "type", "INT8")),
    ("quantization.scale", lambda m: setattr(m.subgraphs[0].tensors[0].quantization, "scale", [1e39])),
    ("quantization.scale", lambda m: setattr(m.subgraphs[0].tensors[0].quantization, "scale", ["1"])),
    ("quantization.zero_point", lambda m: setattr(m.subgraphs[0].tensors[0].quantization, "zero_point", [1 << 63])),
    ("operators[0].custom_options", lambda m: setattr(m.subgraphs[0].operators[0], "custom_options", "text")),
    ("operators[0].builtin_options", lambda m: setattr(m.subgraphs[0].operators[0], "builtin_options", ts.Buffer())),
    ("tensors[0].sparsity", lambda m: setattr(m.subgraphs[0].tensors[0], "sparsity", ts.Buffer())),
    ("buffers[1].data", lambda m: setattr(m.buffers[1], "data", "text")),
    ("buffers[1].data", lambda m: setattr(m.buffers[1], "data", np.zeros((4, 4))[:, ::2])),
    ("external_buffer_groups[0]", lambda m: setattr(m, "external_buffer_groups", [ts.Buffer()])),
]


@pytest.mark.parametrize("mode", ["auto", "reencode"])
@pytest.mark.parametrize(("path", "damage"), MISFITS, ids=[f"{i}-{path}" for i, (path, _) in enumerate(MISFITS)])
def test_a_value_that_does_not_fit_is_refused_with_its_path(path: str, damage, mode) -> None:
    model = ts.loads(ts.dumps(samples.quantised()))
    damage(model)
    with pytest.raises(ts.EncodeError) as caught:
        ts.dumps(model, mode)
    assert path in str(caught.value)


@pytest.mark.parametrize("identifier", [b"TFL", b"TFL33", "TFL3", None])
def test_an_identifier_is_four_bytes(identifier) -> None:
    model = ts.loads(ts.dumps(samples.dense()))
    model.identifier = identifier
    for mode in ("auto", "splice", "reencode"):
        with pytest.raises(ts.EncodeError, match="identifier"):
            ts.dumps(model, mode)


def test_arrays_are_taken_where_lists_are() -> None:
    """People assign numpy arrays; what is stored, and what is compared, is their values."""
    for mode in ("auto", "reencode"):
        model = ts.loads(ts.dumps(samples.quantised()))
        tensor = model.subgraphs[0].tensors[1]
        tensor.quantization.scale = np.array([0.75], np.float32)
        tensor.shape = np.array([2, 4])
        read = ts.loads(ts.dumps(model, mode)).subgraphs[0].tensors[1]
        assert (read.quantization.scale, read.shape) == ([0.75], [2, 4])
        tensor.quantization.scale = np.array([0.75, 0.5])
        tensor.quantization.zero_point = np.array([0, 0])
        read = ts.loads(ts.dumps(model)).subgraphs[0].tensors[1]
        assert (read.quantization.scale, read.quantization.zero_point) == ([0.75, 0.5], [0, 0])
        assert list(compare.changes(model, ts.loads(ts.dumps(model)))) == []


@pytest.mark.parametrize("mode", ["auto", "reencode"])
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda b: memoryview(np.frombuffer(b, "<f4"))])
def test_data_may_come_as_bytes_bytearray_or_view_of_anything(wrap, mode) -> None:
    values = samples.floats(*range(8))
    model = ts.loads(ts.dumps(samples.dense()))
    model.buffers[1].data = wrap(values)
    assert bytes(ts.loads(ts.dumps(model, mode)).buffers[1].data) == values


# Two gigabytes


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(writer, "MAX_SIZE", 2000)
    return 2000


def test_data_moves_behind_a_flatbuffer_that_would_be_too_large(small_limit: int) -> None:
    model = samples.dense()
    model.buffers += [ts.Buffer(bytes([i]) * 700) for i in range(1, 5)]
    raw = ts.dumps(model)
    read = ts.loads(raw)
    held = [buffer for buffer in read.buffers if buffer.data]
    assert [bytes(buffer.data) for buffer in held] == [bytes(b.data) for b in model.buffers if b.data]
    assert all(buffer.outside and buffer.offset % 16 == 0 and buffer.size == len(buffer.data) for buffer in held)
    found = spots(raw)
    assert [path for path in found if path.endswith(".data")] == []
    assert max(spot.at for spot in found.values()) < small_limit < held[-1].offset
    assert ts.dumps(read) == raw
    assert ts.dumps(read, "reencode") == raw


def test_below_the_limit_data_stays_inside(small_limit: int) -> None:
    read = ts.loads(ts.dumps(samples.dense()))
    assert not any(buffer.outside for buffer in read.buffers)


def test_tables_that_are_too_large_alone_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_SIZE", 100)
    with pytest.raises(ts.EncodeError, match="more than 100 bytes"):
        ts.dumps(samples.dense())


# Independent readers


@pytest.mark.parametrize("build", models())
def test_our_reader_gives_back_what_was_written(build) -> None:
    model = build()
    assert by_us(ts.loads(ts.dumps(model))) == by_us(model)


@pytest.mark.parametrize("build", models())
@pytest.mark.parametrize("package", ["tflite", pytest.param(LITERT, marks=needs_litert)])
def test_generated_readers_read_what_we_wrote(build, package: str) -> None:
    model = build()
    expected = by_us(model)
    assert by_package(package, ts.dumps(model), expected) == expected


def test_the_reading_covers_every_table() -> None:
    """Of the comparison above: each table of the schema is in some model, with each field filled in one of them."""
    seen: set[str] = set()

    def note(reading) -> None:
        if isinstance(reading, list):
            for item in reading:
                note(item)
        elif isinstance(reading, tuple):
            seen.add(reading[0])
            for name, value in reading[1].items():
                if value is not None:
                    seen.add(f"{reading[0]}.{name}")
                    note(value)

    for seed in SEEDS:
        note(by_us(samples.every_table(seed), places=True))
    note(by_us(samples.crowded(), places=True))
    note(by_us(samples.dense(), places=True))
    everything = {f"{t}.{f.name}" for t in schema.TABLES for f in schema.fields(t)} | set(schema.TABLES)
    assert everything - seen == {"SignatureDef.deprecated_tag"}


@needs_litert
@pytest.mark.parametrize("build", models())
def test_litert_unpacks_the_same_objects_from_a_rewritten_file(build) -> None:
    from ai_edge_litert.schema_py_generated import ModelT

    raw = ts.dumps(build())
    model = ts.loads(raw)
    model.description = (model.description or "") + " longer"
    rewritten = ts.dumps(model, "reencode")
    model = ts.loads(rewritten)
    model.description = ts.loads(raw).description
    again = ts.dumps(model, "reencode")
    assert object_api(ModelT.InitFromPackedBuf(again)) == object_api(ModelT.InitFromPackedBuf(raw))
    assert object_api(ModelT.InitFromPackedBuf(rewritten)) != object_api(ModelT.InitFromPackedBuf(raw))


@needs_litert
@pytest.mark.parametrize("seed", SEEDS)
def test_we_read_what_litert_packs(seed: int) -> None:
    import flatbuffers
    from ai_edge_litert.schema_py_generated import ModelT

    model = samples.every_table(seed)
    for node in model.nodes():
        if type(node.operator.builtin_options).__name__ == "ResizeBilinearOptions":
            node.operator.builtin_options.new_height = node.operator.builtin_options.new_width = (
                0  # Deprecated: dropped.
            )
    builder = flatbuffers.Builder(1024)
    builder.Finish(ModelT.InitFromPackedBuf(ts.dumps(model)).Pack(builder), file_identifier=b"TFL3")
    packed = bytes(builder.Output())
    read = ts.loads(packed)
    assert by_us(read) == by_us(model)
    assert ts.dumps(read) == packed
    assert by_us(ts.loads(ts.dumps(read, "reencode"))) == by_us(model)


@pytest.mark.parametrize("build", models())
def test_writing_is_idempotent_and_keeps_presence(build) -> None:
    raw = ts.dumps(build())
    assert ts.dumps(ts.loads(raw), "reencode") == raw


def test_random_values_are_not_defaults() -> None:
    """Of the samples: a field filled with its default would prove nothing."""
    kind = random.Random(1)
    for table in schema.TABLES:
        for field in schema.fields(table):
            if field.kind == "scalar" and not field.refers_to and field.type != "CustomOptionsFormat":
                assert samples.random_value(kind, field) != field.default, f"{table}.{field.name}"
