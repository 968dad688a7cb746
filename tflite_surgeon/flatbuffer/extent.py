"""What the tables of a file take of its bytes; to what lies between or behind no offset points."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.reader import Reader
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table

_U32 = Struct("<I").unpack_from
_I32 = Struct("<i").unpack_from
_U16 = Struct("<H").unpack_from
_U64 = Struct("<Q").unpack_from
_HEADER = 8

# Bytes from the first number up to, not including, the second.
Span = tuple[int, int]


def spans(root: Table, reader: Reader) -> Iterator[Span]:
    """What the header and each table, vector and string of the file take, in no order; some several times."""
    yield 0, _HEADER
    waiting = [root]
    raw = reader.raw
    while waiting:
        table = waiting.pop()
        at = table._offset
        if at is None:
            continue
        reader.touched(at)
        layout = reader.layout(table.table, at)
        yield at, at + layout.size
        fields = at - _I32(raw, at)[0]
        yield fields, fields + _U16(raw, fields)[0]
        for field in schema.fields(table.table):
            place = layout.offsets[field.slot]
            if not place or field.kind == "scalar":
                continue
            target = at + place + _U32(raw, at + place)[0]
            value = getattr(table, field.attribute)
            if field.kind in ("table", "union"):
                if value is not None and not isinstance(value, OpaqueTable):
                    waiting.append(value)
                continue
            (count,) = _U32(raw, target)
            size = schema.size_of(field.format) if field.kind in ("numbers", "bytes", "data") else 4
            if field.kind == "string":
                size = 1
                count += 1  # its terminating zero
            yield target, target + 4 + count * size
            if field.kind == "tables":
                waiting.extend(value or ())
            elif field.kind == "strings":
                for index in range(count):
                    slot = target + 4 + 4 * index
                    text = slot + _U32(raw, slot)[0]
                    yield text, text + 5 + _U32(raw, text)[0]


def end_of_some_data(reader: Reader) -> int:
    """A byte that the file is in use up to, at least: the end of the data of the first and the last few buffers.

    Data mostly lies at the end of a file, in the order of the buffers or in the reverse one.
    """
    raw = reader.raw
    (root,) = _U32(raw, 0)
    buffers = _target(reader, schema.ROOT, root, "buffers")
    if buffers is None:
        return 0
    (count,) = _U32(raw, buffers)
    end = 0
    for index in {*range(min(count, _ASKED)), *range(max(0, count - _ASKED), count)}:
        slot = buffers + 4 + 4 * index
        table = slot + _U32(raw, slot)[0]
        data = _target(reader, "Buffer", table, "data")
        if data is not None and (size := _U32(raw, data)[0]):
            end = max(end, data + 4 + size)
            continue
        where, length = _place(reader, "Buffer", table, "offset"), _place(reader, "Buffer", table, "size")
        if where is not None and length is not None:
            start, size = _U64(raw, where)[0], _U64(raw, length)[0]
            if start > 1 and start + size <= reader.size:
                end = max(end, start + size)
    return end


# Buffers from either end of the list.
_ASKED = 4


def _place(reader: Reader, table: str, at: int, name: str) -> int | None:
    """Where a field of a table lies; None where the table leaves it out."""
    slot = next(field.slot for field in schema.fields(table) if field.name == name)
    place = reader.layout(table, at).offsets[slot]
    return at + place if place else None


def _target(reader: Reader, table: str, at: int, name: str) -> int | None:
    """What an offset field of a table points to; None where the table leaves it out."""
    place = _place(reader, table, at, name)
    return None if place is None else place + int(_U32(reader.raw, place)[0])
