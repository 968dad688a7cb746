"""What lies where in the file that a model was read from."""

from __future__ import annotations

from struct import Struct

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.reader import Reader
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table
from tflite_surgeon.model.objects import Buffer, Model

_U32 = Struct("<I").unpack_from
_I32 = Struct("<i").unpack_from
_U16 = Struct("<H").unpack_from


# Bytes from the first number up to, not including, the second; plain, because a large model has a million.
Span = tuple[int, int]


def table_offset(model: Model, table: Table) -> int | None:
    """The position of a table in the file; None where it is in none."""
    return None if model.source is None else table._offset


def field_offset(model: Model, table: Table, attribute: str) -> int | None:
    """The position of a field's first byte: of a number itself, of a vector's or string's first element.

    None where the table is in no file or leaves the field out.
    """
    if model.source is None or table._offset is None:
        return None
    reader = model.source.reader
    field = next(field for field in schema.fields(table.table) if field.attribute == attribute)
    place = reader.layout(table.table, table._offset).offsets[field.slot]
    if not place:
        return None
    at = table._offset + place
    if field.kind == "scalar":
        return at
    target = at + int(_U32(reader.raw, at)[0])
    return target if field.kind in ("table", "union") else target + 4


def data_offset(model: Model, buffer: Buffer) -> int | None:
    """The position of a buffer's first byte; None where it has none in the file."""
    data = buffer.data
    if data is None or data is not buffer._stored_data:
        return None
    return buffer.offset if buffer.outside else field_offset(model, buffer, "data")


def graph_spans(model: Model) -> list[Span]:
    """Where tables, their vtables, names and vectors of numbers lie: all that is no buffer's data. Not merged."""
    source = model.source
    if source is None or model._offset is None:
        return []
    reader = source.reader
    raw = reader.raw
    spans = [(0, 8)]
    waiting: list[Table] = [model]
    layouts: dict[tuple[str, int], tuple[int, list[tuple[int, schema.Field]]]] = {}
    while waiting:
        table = waiting.pop()
        at = table._offset
        if at is None:
            continue
        key = table.table, at - _I32(raw, at)[0]
        known = layouts.get(key)
        if known is None:
            known = layouts[key] = _layout(reader, table)
        size, pointing = known
        reader.touched(at)
        spans.append((at, at + size))
        for place, field in pointing:
            value = getattr(table, field.attribute)
            if field.kind in ("table", "union"):
                if value is not None and not isinstance(value, OpaqueTable):
                    waiting.append(value)
                continue
            spans.extend(_vector(reader, field, at + place + _U32(raw, at + place)[0]))
            if field.kind == "tables":
                waiting.extend(value or ())
    spans += [(at, at + _U16(raw, at)[0]) for _, at in layouts]
    return spans


def _layout(reader: Reader, table: Table) -> tuple[int, list[tuple[int, schema.Field]]]:
    """The size of a table, and (place, field) of those of its fields that point elsewhere."""
    assert table._offset is not None
    layout = reader.layout(table.table, table._offset)
    placed = ((layout.offsets[field.slot], field) for field in schema.fields(table.table))
    return layout.size, [(place, field) for place, field in placed if place and field.kind != "scalar"]


def _vector(reader: Reader, field: schema.Field, at: int) -> list[Span]:
    """A vector or string at a position; of data only its length, of strings each one as well."""
    (count,) = _U32(reader.raw, at)
    if field.kind == "data":
        return [(at, at + 4)]
    if field.kind == "string":
        return [(at, at + 5 + count)]  # Its terminating zero.
    if field.kind in ("numbers", "bytes"):
        return [(at, at + 4 + count * schema.size_of(field.format))]
    spans = [(at, at + 4 + 4 * count)]
    if field.kind == "strings":
        for slot in range(at + 4, at + 4 + 4 * count, 4):
            text = slot + _U32(reader.raw, slot)[0]
            spans.append((text, text + 5 + _U32(reader.raw, text)[0]))
    return spans


def merged(spans: list[Span]) -> list[Span]:
    """The same bytes as spans that neither overlap nor touch, in order."""
    result: list[Span] = []
    first = last = -1
    for start, end in sorted(spans):
        if start > last:
            if last >= 0:
                result.append((first, last))
            first, last = start, end
        elif end > last:
            last = end
    if last >= 0:
        result.append((first, last))
    return result


def total(spans: list[Span]) -> int:
    """How many bytes spans take that do not overlap."""
    return sum(end - start for start, end in spans)
