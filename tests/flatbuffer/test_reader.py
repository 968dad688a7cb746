"""Bytes to tables: every bound, count and tag is checked, and what is absent, empty or a default stays so."""

from __future__ import annotations

import time
from collections.abc import Callable

import flatbuffers
import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.flatbuffer.walk import entry_of, place_of, put, spots, tables, unsigned, vtable_of, walk
from tflite_surgeon.flatbuffer import reader, schema
from tflite_surgeon.flatbuffer.tables import OpaqueTable
from tflite_surgeon.model import compare

# Bounds

Damage = Callable[[bytes], tuple[bytes, int]]


def offset_to(path: str, distance: int) -> Damage:
    """Point an offset field elsewhere; the error is expected there."""

    def damage(raw: bytes) -> tuple[bytes, int]:
        place = spots(raw)[path].place
        return put(raw, place, distance), place + distance

    return damage


def count_of(path: str, count: int) -> Damage:
    def damage(raw: bytes) -> tuple[bytes, int]:
        target = spots(raw)[path].target
        return put(raw, target, count), target

    return damage


def vtable_at(table: str, distance: int) -> Damage:
    def damage(raw: bytes) -> tuple[bytes, int]:
        at = tables(raw)[table]
        return put(raw, at, distance), at

    return damage


def vtable_size(table: str, size: int) -> Damage:
    def damage(raw: bytes) -> tuple[bytes, int]:
        vtable = vtable_of(raw, tables(raw)[table])
        return put(raw, vtable, size, 2), vtable

    return damage


def slot_at(table: str, slot: int, inside: int) -> Damage:
    def damage(raw: bytes) -> tuple[bytes, int]:
        at = tables(raw)[table]
        entry = entry_of(raw, at, slot)
        assert entry
        return put(raw, entry, inside, 2), vtable_of(raw, at)

    return damage


def root_at(position: int) -> Damage:
    return lambda raw: (put(raw, 0, position), position)


TENSOR = "subgraphs[0].tensors[1]"
DAMAGES: list[tuple[str, Damage, str]] = [
    # where the error says it is, what is damaged, what it says
    ("the root of the file", root_at(1 << 30), "points outside the file"),
    ("the root of the file", lambda raw: (put(raw, 0, len(raw) - 3), len(raw) - 3), "points outside the file"),
    ("subgraphs", offset_to("subgraphs", 1 << 30), "points outside the file"),
    ("subgraphs", count_of("subgraphs", 1 << 29), "again and again|would end at"),
    ("buffers", count_of("buffers", 5000), "would end at"),
    ("description", count_of("description", 1 << 31), "would end at|again and again"),
    ("description", offset_to("description", (1 << 32) - 1), "points outside the file"),
    (f"{TENSOR}.shape", count_of(f"{TENSOR}.shape", 0xFFFFFFFF), "again and again|would end at"),
    (f"{TENSOR}.shape", offset_to(f"{TENSOR}.shape", 1 << 31), "points outside the file"),
    (f"{TENSOR}.quantization", offset_to(f"{TENSOR}.quantization", 1 << 31), "points outside the file"),
    (f"{TENSOR}.quantization.scale", count_of(f"{TENSOR}.quantization.scale", 5000), "would end at"),
    (f"{TENSOR}.quantization.scale", count_of(f"{TENSOR}.quantization.scale", 1 << 28), "again and again|would end at"),
    ("buffers[2].data", count_of("buffers[2].data", 1 << 20), "would end at"),
    ("buffers[2].data", offset_to("buffers[2].data", 1 << 20), "points outside the file"),
    ("operators[0].builtin_options", offset_to("subgraphs[0].operators[0].builtin_options", 1 << 30), "points outside"),
    (TENSOR, vtable_at(TENSOR, -(1 << 30)), "the vtable would lie at byte"),
    (TENSOR, vtable_at(TENSOR, 1 << 30), "the vtable would lie at byte -"),
    (TENSOR, vtable_size(TENSOR, 7), "a vtable of 7 bytes"),
    (TENSOR, vtable_size(TENSOR, 2), "a vtable of 2 bytes"),
    (TENSOR, vtable_size(TENSOR, 65534), "a vtable of 65534 bytes"),
    (TENSOR, slot_at(TENSOR, 0, 60000), "has fields up to byte"),
    (TENSOR, slot_at(TENSOR, 0, 2), "lies over the one before it"),
]


@pytest.mark.parametrize(
    ("where", "damage", "says"), DAMAGES, ids=[f"{i}-{where}" for i, (where, *_) in enumerate(DAMAGES)]
)
def test_an_error_names_path_byte_and_problem(where: str, damage: Damage, says: str) -> None:
    # Little lies behind the tables, so that counts that are slightly too large reach beyond the end as well.
    raw = ts.dumps(samples.quantised())
    damaged, at = damage(raw)
    assert damaged != raw
    with pytest.raises(ts.DecodeError, match=says) as caught:
        ts.loads(damaged)
    error = caught.value
    assert ".".join(error.path).endswith(where) or (where == "the root of the file" and error.path == ())
    assert str(error).startswith(".".join(error.path) or where)
    assert f"byte {error.offset}: " in str(error)
    assert error.offset == at


def test_two_fields_that_overlap_are_refused() -> None:
    raw = ts.dumps(samples.quantised())
    at = tables(raw)[TENSOR]
    one, other = (entry_of(raw, at, slot) for slot in (0, 3))
    damaged = put(raw, one, unsigned(raw, other, 2), 2)
    with pytest.raises(ts.DecodeError, match="lies over the one before it") as caught:
        ts.loads(damaged)
    assert caught.value.offset == vtable_of(raw, at)
    half = put(raw, one, unsigned(raw, other, 2) + 2, 2)
    with pytest.raises(ts.DecodeError, match="lies over"):
        ts.loads(half)


@pytest.mark.parametrize("build", samples.BUILDERS.values(), ids=samples.BUILDERS)
def test_every_truncation_loads_or_says_where(build) -> None:
    raw = ts.dumps(build())
    loaded = []
    messages = []
    for length in range(len(raw)):
        try:
            ts.loads(raw[:length])
            loaded.append(length)
        except ts.DecodeError as error:
            messages.append(str(error))
        except ts.UnusableFileError:
            assert length < 9
    ends = [
        spot.target + 4 + unsigned(raw, spot.target) * schema.size_of(spot.field.format)
        for spot in walk(raw)
        if spot.field.kind in ("numbers", "bytes", "data")
    ]
    assert [text for text in messages if "the file is cut short or damaged here" not in text] == []
    assert len(messages) > 0.9 * min(loaded, default=len(raw))
    assert min(loaded, default=len(raw)) >= max(ends), "only what lies behind may be cut without notice"


@pytest.mark.parametrize("length", range(8, 12))
def test_a_header_alone_is_no_model(length: int) -> None:
    with pytest.raises(ts.DecodeError):
        ts.loads(b"\x08\0\0\0TFL3\0\0\0\0"[:length])


# Unions


def with_tag(raw: bytes, path: str, tag: int) -> bytes:
    return put(raw, spots(raw)[f"{path}_type"].place, tag, 1)


OPTIONS = "subgraphs[0].operators[0].builtin_options"


def test_an_unknown_union_member_loads_splices_and_is_not_written_anew() -> None:
    raw = with_tag(ts.dumps(samples.quantised()), OPTIONS, 200)
    model = ts.loads(raw)
    options = model.subgraphs[0].operators[0].builtin_options
    assert isinstance(options, OpaqueTable)
    assert (options.tag, options.missing) == (200, False)
    assert ts.dumps(model) == raw
    model.operator_codes[0].version = 9
    spliced = ts.dumps(model)
    assert len(spliced) == len(raw)
    assert ts.loads(spliced).operator_codes[0].version == 9
    with pytest.raises(ts.EncodeError, match=r"operators\[0\].builtin_options holds union member 200"):
        ts.dumps(model, "reencode")
    assert [change.path for change in compare.changes(ts.loads(raw), ts.loads(raw))] == [OPTIONS], (
        "what cannot be read cannot be called equal"
    )


def test_an_unknown_member_that_lies_outside_the_file_is_refused() -> None:
    raw = with_tag(ts.dumps(samples.dense()), OPTIONS, 200)
    place = spots(raw)[OPTIONS].place
    with pytest.raises(ts.DecodeError, match="points outside the file"):
        ts.loads(put(raw, place, len(raw)))


def test_a_member_that_is_named_and_missing_stays_so() -> None:
    raw = ts.dumps(samples.crowded())
    path = "subgraphs[0].operators[3].builtin_options"
    assert f"{path}_type" in spots(raw)
    assert path not in spots(raw)
    options = ts.loads(raw).subgraphs[0].operators[3].builtin_options
    assert (options.tag, options.missing) == (3, True)
    again = spots(ts.dumps(ts.loads(raw), "reencode"))
    assert f"{path}_type" in again
    assert path not in again


def test_a_member_without_a_tag_is_kept_in_place_only() -> None:
    raw = with_tag(ts.dumps(samples.dense()), OPTIONS, 0)
    model = ts.loads(raw)
    assert model.subgraphs[0].operators[0].builtin_options.tag == 0
    assert ts.dumps(model) == raw
    with pytest.raises(ts.EncodeError, match="union member 0"):
        ts.dumps(model, "reencode")


# Newer files


def test_a_slot_newer_than_the_schema_loads_splices_and_is_not_written_anew() -> None:
    raw = samples.newer_tensor(0x12345678)
    assert len(schema.fields("Tensor")) == 11
    model = ts.loads(raw)
    tensor = model.subgraphs[0].tensors[0]
    assert (tensor.shape, tensor.type_name) == ([2, 3], "INT8")
    assert ts.dumps(model) == raw
    tensor.shape = [3, 2]
    spliced = ts.dumps(model)
    assert raw.count(0x12345678.to_bytes(4, "little")) == 1
    assert spliced.find(0x12345678.to_bytes(4, "little")) == raw.find(0x12345678.to_bytes(4, "little")) > 0
    tensor.shape = [3, 2, 1]
    for mode in ("auto", "reencode"):
        with pytest.raises(ts.EncodeError, match=r"newer than this schema \(Tensor slots 13\).*lose") as caught:
            ts.dumps(model, mode)
        assert "spliced" in str(caught.value)


def test_a_vtable_patched_to_fill_a_newer_slot_is_noticed() -> None:
    """The same by hand: a longer copy of the tensor's vtable at the end, whose slot 11 has a place in the table."""

    def prepare(builder: flatbuffers.Builder) -> Callable[[flatbuffers.Builder], None]:
        return lambda builder: builder.PrependUint32Slot(10, 7, 0)

    raw = samples.built(prepare)
    at = tables(raw)["subgraphs[0].tensors[0]"]
    vtable = vtable_of(raw, at)
    size = unsigned(raw, vtable, 2)
    longer = raw + b"\0" * (len(raw) % 2)
    new = len(longer)
    table = raw[vtable : vtable + size] + bytes(4 + 2 * 11 - size) + (4).to_bytes(2, "little")
    longer += put(table, 0, len(table), 2)
    model = ts.loads(put(longer, at, at - new))
    with pytest.raises(ts.EncodeError, match="Tensor slots 11"):
        ts.dumps(model, "reencode")


def test_what_litert_knows_and_we_do_not_is_kept_in_place() -> None:
    lite = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = lite.ModelT.InitFromPackedBuf(ts.dumps(samples.quantised()))
    model.subgraphs[0].operators[0].builtinOptions.quantSpec = [1, 2, 3]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    raw = bytes(builder.Output())
    read = ts.loads(raw)
    read.operator_codes[0].version = 12
    spliced = ts.dumps(read)
    again = lite.ModelT.InitFromPackedBuf(spliced)
    assert list(again.subgraphs[0].operators[0].builtinOptions.quantSpec) == [1, 2, 3]
    assert again.operatorCodes[0].version == 12
    with pytest.raises(ts.EncodeError, match="FullyConnectedOptions slots 5"):
        ts.dumps(read, "reencode")


# Cost


def refused_quickly(raw: bytes, says: str) -> None:
    start = time.process_time()
    with pytest.raises(ts.DecodeError, match=says):
        ts.loads(raw)
    assert time.process_time() - start < 3


def shared_by(count: int, prepare) -> bytes:
    return samples.built(prepare, copies=count)


def test_a_vector_shared_by_thousands_of_tables_is_refused() -> None:
    def prepare(builder: flatbuffers.Builder) -> Callable[[flatbuffers.Builder], None]:
        shape = samples.numbers(builder, list(range(20_000)))
        return lambda builder: builder.PrependUOffsetTRelativeSlot(0, shape, 0)

    raw = shared_by(20_000, prepare)
    assert len(raw) < 200_000
    refused_quickly(raw, "points at the same bytes again and again")


def test_a_string_shared_by_thousands_of_tables_is_refused() -> None:
    def prepare(builder: flatbuffers.Builder) -> Callable[[flatbuffers.Builder], None]:
        name = builder.CreateString("n" * 100_000)
        return lambda builder: builder.PrependUOffsetTRelativeSlot(3, name, 0)

    refused_quickly(shared_by(20_000, prepare), "points at the same bytes again and again")


def test_a_graph_shared_by_thousands_of_entries_is_refused() -> None:
    builder = flatbuffers.Builder(1024)
    builder.StartObject(0)
    tensor = builder.EndObject()
    count = 10_000

    def listed(item: int) -> int:
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(item)
        return builder.EndVector()

    tensors = listed(tensor)
    builder.StartObject(6)
    builder.PrependUOffsetTRelativeSlot(0, tensors, 0)
    graphs = listed(builder.EndObject())
    builder.StartObject(10)
    builder.PrependUOffsetTRelativeSlot(2, graphs, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    refused_quickly(bytes(builder.Output()), "points at the same bytes again and again")


def test_sharing_as_compilers_do_it_is_accepted() -> None:
    """Names and shapes that equal tables share are no attack."""

    def prepare(builder: flatbuffers.Builder) -> Callable[[flatbuffers.Builder], None]:
        shape, name = samples.numbers(builder, [1, 2, 3]), builder.CreateString("shared")

        def fill(builder: flatbuffers.Builder) -> None:
            builder.PrependUOffsetTRelativeSlot(0, shape, 0)
            builder.PrependUOffsetTRelativeSlot(3, name, 0)

        return fill

    model = ts.loads(samples.built(prepare, copies=500))
    assert [tensor.shape for tensor in model.subgraphs[0].tensors] == [[1, 2, 3]] * 500


def many_vtables(count: int) -> bytes:
    builder = flatbuffers.Builder(1024)
    made = []
    for number in range(1, count + 1):
        builder.StartObject(24)
        for bit in range(12):
            if number >> bit & 1:
                builder.PrependInt32Slot(12 + bit, 1, 0)
        made.append(builder.EndObject())
    return samples.finish(builder, made)


def test_more_distinct_vtables_than_any_real_model_has_are_refused() -> None:
    assert len(ts.loads(many_vtables(900)).subgraphs[0].tensors) == 900
    refused_quickly(many_vtables(reader.MAX_LAYOUTS + 10), "more than 1024 distinct vtables")


# Presence


def presence(raw: bytes) -> set[str]:
    return {spot.path for spot in walk(raw)}


SCALARS = {1: "type", 2: "buffer", 5: "is_variable", 8: "has_rank", 10: "external_buffer"}


def every_default(builder: flatbuffers.Builder) -> Callable[[flatbuffers.Builder], None]:
    def fill(builder: flatbuffers.Builder) -> None:
        builder.PrependInt8Slot(1, 0, 0)
        builder.PrependUint32Slot(2, 0, 0)
        builder.PrependBoolSlot(5, False, False)
        builder.PrependBoolSlot(8, False, False)
        builder.PrependUint32Slot(10, 0, 0)

    return fill


@pytest.mark.parametrize("explicit", [True, False])
def test_an_explicit_default_stays_explicit_and_an_absent_one_absent(explicit: bool) -> None:
    raw = samples.built(every_default, force_defaults=explicit)
    expected = {f"subgraphs[0].tensors[0].{name}" for name in SCALARS.values()}
    assert presence(raw) & expected == (expected if explicit else set())
    model = ts.loads(raw)
    assert (model.subgraphs[0].tensors[0].type, model.subgraphs[0].tensors[0].has_rank) == (0, False)
    for written in (ts.dumps(model, "reencode"), ts.dumps(model.copy(), "reencode")):
        assert presence(written) == presence(raw)


def empties(builder: flatbuffers.Builder) -> Callable[[flatbuffers.Builder], None]:
    shape, name, variants = samples.numbers(builder, []), builder.CreateString(""), samples.numbers(builder, [])
    scale = samples.numbers(builder, [])
    builder.StartObject(7)
    builder.PrependUOffsetTRelativeSlot(2, scale, 0)
    builder.PrependUint8Slot(4, 0, 1)  # A union that is spelt out to be absent.
    quantization = builder.EndObject()

    def fill(builder: flatbuffers.Builder) -> None:
        builder.PrependUOffsetTRelativeSlot(0, shape, 0)
        builder.PrependUOffsetTRelativeSlot(3, name, 0)
        builder.PrependUOffsetTRelativeSlot(4, quantization, 0)
        builder.PrependUOffsetTRelativeSlot(9, variants, 0)

    return fill


def test_absent_and_empty_are_two_things() -> None:
    raw = samples.built(empties)
    model = ts.loads(raw)
    tensor = model.subgraphs[0].tensors[0]
    assert (tensor.shape, tensor.name, tensor.variant_tensors, tensor.quantization.scale) == ([], "", [], [])
    assert (tensor.shape_signature, tensor.quantization.zero_point, tensor.sparsity) == (None, None, None)
    written = ts.dumps(model, "reencode")
    assert presence(written) == presence(raw)
    assert "subgraphs[0].tensors[0].quantization.details_type" in presence(written)

    tensor.shape, tensor.name, tensor.quantization.scale = None, None, None
    fewer = presence(raw) - {f"subgraphs[0].tensors[0].{name}" for name in ("shape", "name", "quantization.scale")}
    assert presence(ts.dumps(model)) == fewer


def test_empty_data_and_no_data_are_two_things() -> None:
    model = samples.dense()
    model.buffers += [ts.Buffer(b""), ts.Buffer()]
    read = ts.loads(ts.dumps(model))
    assert (bytes(read.buffers[-2].data), read.buffers[-1].data) == (b"", None)
    assert {"buffers[4].data", "buffers[5].data"} & presence(ts.dumps(read, "reencode")) == {"buffers[4].data"}


@pytest.mark.parametrize("build", samples.BUILDERS.values(), ids=samples.BUILDERS)
def test_presence_survives_decoding_and_encoding(build) -> None:
    raw = ts.dumps(build())
    model = ts.loads(raw)
    assert presence(ts.dumps(ts.loads(raw), "reencode")) == presence(raw)
    model.description = "other"
    assert presence(ts.dumps(model, "reencode")) == presence(raw) | {"description"}


def test_the_slow_reader_of_these_tests_agrees_with_the_fast_one() -> None:
    raw = ts.dumps(samples.crowded())
    found = spots(raw)
    model = ts.loads(raw)
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        spot = found[f"subgraphs[0].tensors[{index}].name"]
        assert spot.at == tensor._offset
        start = spot.target + 4
        assert raw[start : start + unsigned(raw, spot.target)].decode() == tensor.name
        assert place_of(raw, spot.at, spot.field.slot) == spot.place
