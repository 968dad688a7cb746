"""What an edited model changed in its file: equal-sized values to splice, or why that is not enough."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from struct import Struct
from struct import error as StructError
from typing import Any, NamedTuple

from tflite_surgeon.errors import DecodeError, EncodeError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.layouts import Layout
from tflite_surgeon.flatbuffer.misfits import data_bytes, string_bytes
from tflite_surgeon.flatbuffer.reader import Reader
from tflite_surgeon.flatbuffer.schema import Field
from tflite_surgeon.flatbuffer.tables import OpaqueTable, References, Table


class _Replacement(NamedTuple):
    offset: int
    old: bytes
    new: bytes


class Patch(_Replacement):
    """Bytes to replace, (offset, old, new): as many new ones as old ones, at an offset in the file.

    Attributes:
        path: the field that they belong to.
    """

    path: str

    def __new__(cls, offset: int, old: bytes, new: bytes, path: str) -> Patch:
        self = super().__new__(cls, offset, old, new)
        self.path = path
        return self

    def __repr__(self) -> str:
        return f"Patch(offset={self.offset}, old={self.old!r}, new={self.new!r}, path={self.path!r})"


class Differences(NamedTuple):
    """Attributes: patches, by offset; reasons why the file cannot be spliced, each with the path it concerns."""

    patches: list[Patch]
    reasons: list[str]


# A chain of (chain of the parent, step): paths are spelt out only for the few tables that differ.
_Chain = tuple[Any, str, int]


class _Walk:
    def __init__(self, reader: Reader, references: References) -> None:
        self.reader = reader
        self.references = references
        self.patches: list[Patch] = []
        self.reasons: list[str] = []

    def visit(self, table: Table, chain: _Chain | None) -> None:
        at = table._offset
        if at is None:  # Made in memory: its parent has already been found to differ.
            return
        reader = self.reader
        if reader.is_mapped:
            reader.touched(at)
        layout = reader.layout(table.table, at)
        try:
            same = layout.same(table, reader, at, self.references)
        except ValueError:  # An array where a list was: it compares element by element.
            same = False
        # Children that are not where the file has them may come from another file: their places mean nothing here.
        moved = () if same else self.examine(table, layout, at, _spell(chain))
        for name in layout.tables:
            child = getattr(table, name)
            if child is not None and name not in moved and not isinstance(child, OpaqueTable):
                self.visit(child, (chain, name, -1))
        for name in layout.lists:
            if name not in moved:
                for index, child in enumerate(getattr(table, name) or ()):
                    if not self.is_same(child):
                        self.visit(child, (chain, name, index))

    def is_same(self, table: Table) -> bool:
        """Whether nothing of a table and of all below it differs, as far as a quick look tells."""
        reader, at = self.reader, table._offset
        if at is None:
            return False
        if reader.is_mapped:
            reader.touched(at)
        same = reader.layout(table.table, at).same_below
        try:
            return same is not None and same(table, reader, at, self.references)
        except ValueError:  # An array where a list was: it compares element by element.
            return False

    def examine(self, table: Table, layout: Layout, at: int, path: str) -> set[str]:
        """Find which fields of a table differ; returns the attributes whose children lie elsewhere."""
        moved: set[str] = set()
        for field in schema.fields(table.table):
            name = f"{path}.{field.name}" if path else field.name
            value = self.references[field.attribute][id(table)] if field.refers_to else getattr(table, field.attribute)
            where = layout.offsets[field.slot] and at + layout.offsets[field.slot]
            reasons = len(self.reasons)
            if field.kind == "scalar":
                self.scalar(field, value, where, name)
            elif field.kind == "union":
                tag_at = layout.offsets[field.slot - 1] and at + layout.offsets[field.slot - 1]
                self.union(field, value, tag_at, where, name)
            elif table.table == "Buffer" and field.kind == "data":
                self.buffer(table, where, name)
            elif not where:
                if value is not None:
                    self.reasons.append(f"{name} is absent in the file, and now has a value")
            elif value is None:
                self.reasons.append(f"{name} is in the file, and now is absent")
            else:
                self.vector(field, value, where, name)
            if len(self.reasons) > reasons:
                moved.add(field.attribute)
        if table.table == "Operator":
            self.large_options(table, f"{path}.large_custom_options")
        return moved

    def scalar(self, field: Field, value: Any, where: int, name: str) -> None:
        if where:
            self.numbers(field, [value], where, 1, name)
        elif value != field.default:
            self.reasons.append(f"{name} has its default by being absent, and now is {value!r}")

    def union(self, field: Field, value: Any, tag_at: int, where: int, name: str) -> None:
        reader = self.reader
        tag = reader.raw[tag_at] if tag_at else 0
        target = self.target(where) if where else None
        if not reader.same_union(field.type, value, tag, target):
            self.reasons.append(f"{name} is another table than in the file")

    def vector(self, field: Field, value: Any, where: int, name: str) -> None:
        at = self.target(where)
        if field.kind == "table":
            if value._offset != at:
                self.reasons.append(f"{name} is another table than in the file")
            return
        if field.kind == "tables":
            if not self.reader.same_tables(value, at):
                self.reasons.append(f"{name} holds other tables than in the file, or in another order")
            return
        if field.kind == "strings":
            if value != self.reader.strings(at, name):
                self.reasons.append(f"{name} holds other strings than in the file")
            return
        (count,) = _U32.unpack_from(self.reader.raw, at)
        if field.kind == "string":
            value = string_bytes(value, name)
        elif field.kind != "numbers":
            value = data_bytes(value, name)
        elif not hasattr(value, "__len__"):
            raise EncodeError(f"{name} cannot hold {value!r:.80}: expected a list")
        if len(value) != count:
            self.reasons.append(f"{name} has {len(value)} elements, in the file {count}")
        elif field.kind == "numbers":
            self.numbers(field, value, at + 4, count, name)
        else:
            self.raw_bytes(value, at + 4, name)

    def buffer(self, buffer: Any, where: int, name: str) -> None:
        data = buffer.data
        if data is None:
            if not where and not buffer.outside:
                return
        elif data is buffer._stored_data and self.is_same_data(data, where, buffer):
            # No field holds data that lies behind the flatbuffer, and no offset what lies in it.
            if buffer.offset <= 1 if buffer.outside else not where:
                self.reasons.append(f"{name} moves {'behind' if buffer.outside else 'into'} the flatbuffer")
            return
        else:
            data = data_bytes(data, name)
        if buffer.outside and data is not None and len(data) == buffer.size:
            self.raw_bytes(data, buffer.offset, name)
            return
        stored = self.target(where) if where and not buffer.outside else None
        if data is None or stored is None:
            self.reasons.append(f"{name} has {_length(data)}, in the file {_length(buffer._stored_data)}")
            return
        (count,) = _U32.unpack_from(self.reader.raw, stored)
        if len(data) != count:
            self.reasons.append(f"{name} has {len(data)} bytes, in the file {count}")
        else:
            self.raw_bytes(data, stored + 4, name)

    def is_same_data(self, data: memoryview, where: int, buffer: Any) -> bool:
        """Whether the data of a buffer, as it was read, is that of this file."""
        return self.reader.same_piece(data, self.target(where) + 4 if where and not buffer.outside else buffer.offset)

    def large_options(self, operator: Any, name: str) -> None:
        options, stored = operator.large_custom_options, operator._stored_options
        start = operator.large_custom_options_offset
        if options is stored and (options is None or self.reader.same_piece(options, start)):
            return
        if options is not None:
            options = data_bytes(options, name)
        if options is None or stored is None or len(options) != len(stored):
            self.reasons.append(f"{name} has {_length(options)}, in the file {_length(stored)}")
        else:
            self.raw_bytes(options, start, name)

    def target(self, where: int) -> int:
        (offset,) = _U32.unpack_from(self.reader.raw, where)
        return int(where + offset)

    # Equal-sized values

    def numbers(self, field: Field, values: list[Any], at: int, count: int, name: str) -> None:
        layout = Struct(f"<{count}{field.format}")
        try:
            new = layout.pack(*values)
        except (StructError, OverflowError, TypeError) as error:
            raise EncodeError(f"{name} cannot hold {values!r:.80}: {error}") from None
        old = self.reader.raw[at : at + layout.size]
        if field.format in "fd?":
            # What equals the stored value keeps its bytes: a NaN its payload, a true its bit pattern.
            size = schema.size_of(field.format)
            stored = layout.unpack(old)
            new = b"".join(
                old[i * size : (i + 1) * size] if _same_number(a, b) else new[i * size : (i + 1) * size]
                for i, (a, b) in enumerate(zip(layout.unpack(new), stored))
            )
        self.patch(at, old, new, schema.size_of(field.format), name)

    def raw_bytes(self, value: Any, at: int, name: str) -> None:
        self.patch(at, self.reader.raw[at : at + len(value)], bytes(value), 1, name)

    def patch(self, at: int, old: bytes, new: bytes, element: int, name: str) -> None:
        """Note the run of elements from the first to the last that differs."""
        if old == new:
            return
        start = 0
        while old[start : start + element] == new[start : start + element]:
            start += element
        end = len(old)
        while old[end - element : end] == new[end - element : end]:
            end -= element
        self.patches.append(Patch(at + start, old[start:end], new[start:end], name))


_U32 = Struct("<I")


def _same_number(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)


def _length(data: Any) -> str:
    return "no data" if data is None else f"{len(data)} bytes"


def _spell(chain: _Chain | None) -> str:
    steps: list[str] = []
    while chain is not None:
        chain, name, index = chain
        steps.append(name if index < 0 else f"{name}[{index}]")
    return ".".join(reversed(steps))


def differences(root: Table, reader: Reader, references: References) -> Differences:
    """Compare each field of a model with the bytes that it was read from (or with a spliced copy of them).

    Raises:
        EncodeError: a value does not fit its field.
        DecodeError: the bytes are not those of a model that could be read.
    """
    walk = _Walk(reader, references)
    try:
        (at,) = _U32.unpack_from(reader.raw, 0)
        if root._offset != at:
            walk.reasons.append("the model was not read from this file")
        else:
            walk.visit(root, None)
    except StructError:
        raise DecodeError(f"an offset points outside the file, which has {reader.size} bytes", 0) from None
    patches = sorted(set(walk.patches))
    for first, second in zip(patches, patches[1:]):
        if second.offset < first.offset + len(first.new):
            walk.reasons.append(f"{first.path} and {second.path} share bytes of the file, and now differ")
    if patches and not walk.reasons:
        walk.reasons += _shared_data(root, reader, patches)
    return Differences(patches, walk.reasons)


def _shared_data(root: Any, reader: Reader, patches: list[Patch]) -> list[str]:
    """Where data that did not change takes part in bytes that did: it was compared by identity, not read."""
    ends = [patch.offset + len(patch.new) for patch in patches]
    reasons = []
    for name, start, size in _stored_data(root, reader):
        place = bisect_right(ends, start)
        if place < len(patches) and patches[place].offset < start + size and patches[place].path != name:
            reasons.append(f"{patches[place].path} shares bytes of the file with {name}")
    return reasons


def _stored_data(root: Any, reader: Reader) -> Iterator[tuple[str, int, int]]:
    """(path, start, size) of the data that lies in the file."""
    data = next(field for field in schema.fields("Buffer") if field.kind == "data")
    for index, buffer in enumerate(root.buffers or ()):
        reader.touched(buffer._offset)
        if buffer.outside:
            yield f"buffers[{index}].data", buffer.offset, buffer.size
        elif where := reader.layout("Buffer", buffer._offset).offsets[data.slot]:
            at = buffer._offset + where
            at += _U32.unpack_from(reader.raw, at)[0]
            reader.touched(at)
            yield f"buffers[{index}].data", at + 4, _U32.unpack_from(reader.raw, at)[0]
    for number, subgraph in enumerate(root.subgraphs or ()):
        for index, operator in enumerate(subgraph.operators or ()):
            if operator._stored_options is not None:
                name = f"subgraphs[{number}].operators[{index}].large_custom_options"
                yield name, operator.large_custom_options_offset, operator.large_custom_options_size


def splice(raw: bytes, patches: Iterable[Patch]) -> bytes:
    """The bytes with the patches applied."""
    result = bytearray(raw)
    for patch in patches:
        result[patch.offset : patch.offset + len(patch.new)] = patch.new
    return bytes(result)
