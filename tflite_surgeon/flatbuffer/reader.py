"""Bytes to tables, with every bound, count and tag checked.

A model is untrusted input. What keeps time and memory proportional to the file: the schema is not recursive, so
depth is bounded; tables and vectors cannot be fewer bytes than they are, so what is decoded is counted against a
multiple of the file's size (a file that says more points at the same bytes again and again); data is viewed, never
copied (but for the small constants of a mapped file: reading them later would map their pages again); and the number
of distinct vtables is limited, because each costs a compilation.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any

from tflite_surgeon.errors import DecodeError, SurgeonError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.layouts import Layout, LayoutError, compile_layout
from tflite_surgeon.flatbuffer.mapped import Memory, Raw
from tflite_surgeon.flatbuffer.tables import OpaqueTable, References, Table
from tflite_surgeon.flatbuffer.vector import LONGEST_LIST, Vector

_Bytes = bytes  # Where a method of that name hides it.
Numbers = list[Any] | Vector

# Distinct tables and vectors do not overlap, so honest files stay below one file size; twice allows for sharing.
_BUDGET_PER_BYTE = 2
_BUDGET_AT_LEAST = 1 << 16
# Vectors up to this many bytes are not counted: their tables are, and hold a handful each.
_SMALL = 64
# Real models have below a hundred.
MAX_LAYOUTS = 1024

# Constants that are asked for their values time and again: shapes, axes, paddings.
_SMALL_DATA = 256

_u16x2 = Struct("<HH").unpack_from
_u32 = Struct("<I").unpack_from
_i32 = Struct("<i").unpack_from

# Any byte but 0 is true, and is written as 1.
_TRUTH = bytes([0] + [1] * 255)

_NumberReader = Callable[["Reader", int, str], Numbers]


def _numbers(character: str) -> _NumberReader:
    size = schema.size_of(character)
    small = [Struct(f"<{count}{character}").unpack_from for count in range(LONGEST_LIST + 1)]
    limit = len(small)
    typecode = "B" if character == "?" else character

    def read(self: Reader, at: int, name: str) -> Numbers:
        try:
            (count,) = _u32(self.raw, at)
            if count < limit:
                return list(small[count](self.raw, at + 4))
        except StructError:
            raise self.beyond(at, name) from None
        self.spend(count * size, at, name)
        start, end = at + 4, at + 4 + count * size
        self.check_end(start, count * size, name)
        if character == "?":
            return Vector(typecode, self.raw[start:end].translate(_TRUTH))
        if sys.byteorder == "big":
            return Vector(
                typecode,
                Struct(f">{count}{character}").pack(*Struct(f"<{count}{character}").unpack_from(self.raw, start)),
            )
        return Vector.in_file(typecode, self, start, end) if self.is_mapped else Vector(typecode, self.raw[start:end])

    return read


class Reader:
    """Decodes the tables of one file.

    Attributes:
        raw: the file's bytes, in memory or mapped.
        view: the same as a read-only view; data vectors are slices of it.
        origin: the bytes that the views of unchanged data lie in: those of the file that this one was made from.
        is_mapped: whether the file is mapped: what is read of it takes memory until it is let go of.
        touched, let_go: those of its `Memory`.
        newer: (table, slots) for each vtable that fills slots newer than the schema.
    """

    def __init__(self, raw: Raw, view: memoryview, origin: Raw | None = None) -> None:
        self.raw = raw
        self.view = view
        self.origin = raw if origin is None else origin
        self.size = len(raw)
        memory = Memory(raw)
        self.is_mapped = memory.is_taken
        self.touched, self.let_go = memory.touched, memory.let_go
        self.budget = self.size * _BUDGET_PER_BYTE + _BUDGET_AT_LEAST
        self.newer: list[tuple[str, tuple[int, ...]]] = []
        self.layout_count = 0
        self._layouts: dict[str, dict[int, Layout]] = defaultdict(dict)

    def root(self) -> Table:
        """The Model table.

        Raises:
            DecodeError: some bytes cannot be decoded safely.
        """
        if self.size < 8:
            raise DecodeError(f"the file has {self.size} bytes; the header alone takes 8", 0)
        (at,) = _u32(self.raw, 0)
        root = self.table(schema.ROOT, at, "model")
        self.budget = sys.maxsize  # The file has been found proportionate; comparisons read it again.
        return root

    # Tables

    def table(self, table: str, at: int, name: str) -> Table:
        try:
            layout = self._layouts[table].get(at - _i32(self.raw, at)[0]) or self.layout(table, at)
            self.budget -= layout.size
            if self.budget < 0:
                raise self.overspent(at)
            return layout.decode(self, at)
        except StructError:
            raise self.beyond(at, name) from None
        except DecodeError as error:
            raise error.inside(name) from None

    def tables(self, table: str, at: int, name: str) -> list[Table]:
        offsets = self.offsets(at, name)
        known = self._layouts[table].get
        raw = self.raw
        is_mapped = self.is_mapped
        result: list[Table] = []
        append = result.append
        position = at
        try:
            for offset in offsets:
                position += 4
                child = position + offset
                if is_mapped:
                    self.touched(child)
                layout = known(child - _i32(raw, child)[0]) or self.layout(table, child)
                self.budget -= layout.size
                if self.budget < 0:
                    raise self.overspent(child)
                append(layout.decode(self, child))
        except StructError:
            raise self.beyond(position, f"{name}[{len(result)}]") from None
        except DecodeError as error:
            raise error.inside(f"{name}[{len(result)}]") from None
        return result

    def offsets(self, at: int, name: str) -> tuple[int, ...]:
        """The offsets that a vector of tables or strings holds, each relative to its own place."""
        try:
            (count,) = _u32(self.raw, at)
        except StructError:
            raise self.beyond(at, name) from None
        self.spend(4 * count, at, name)
        self.check_end(at + 4, 4 * count, name)
        return Struct(f"<{count}I").unpack_from(self.raw, at + 4)

    def places(self, at: int, name: str) -> list[int]:
        """The positions of the tables or strings that a vector of offsets points to."""
        return [at + 4 + 4 * index + offset for index, offset in enumerate(self.offsets(at, name))]

    def layout(self, table: str, at: int) -> Layout:
        """The layout of the table at a position, compiled on first sight of its vtable."""
        vtable = at - _i32(self.raw, at)[0]
        known = self._layouts[table]
        found = known.get(vtable)
        if found is not None:
            return found
        if not 0 <= vtable <= self.size - 4:
            raise DecodeError(f"the vtable would lie at byte {vtable} of {self.size}", at)
        size, _ = _u16x2(self.raw, vtable)
        if size < 4 or size % 2 or vtable + size > self.size:
            raise DecodeError(f"a vtable of {size} bytes; expected an even number from 4 within the file", vtable)
        self.layout_count += 1
        if self.layout_count > MAX_LAYOUTS:
            raise DecodeError(f"more than {MAX_LAYOUTS} distinct vtables; real models have below a hundred", vtable)
        try:
            found = compile_layout(table, bytes(self.raw[vtable : vtable + size]))
        except LayoutError as error:
            raise DecodeError(str(error), vtable) from None
        if found.unknown:
            self.newer.append((table, found.unknown))
        known[vtable] = found
        return found

    def union(self, union: str, tag: int, at: int, name: str) -> Table | OpaqueTable:
        member = _members(union).get(tag)
        if member is None:
            if at >= self.size:
                raise self.beyond(at, name)
            return OpaqueTable(tag, at)
        return self.table(member, at, name)

    # Vectors

    numbers_b = _numbers("b")
    numbers_B = _numbers("B")
    numbers_bool = _numbers("?")
    numbers_h = _numbers("h")
    numbers_H = _numbers("H")
    numbers_i = _numbers("i")
    numbers_I = _numbers("I")
    numbers_q = _numbers("q")
    numbers_Q = _numbers("Q")
    numbers_f = _numbers("f")
    numbers_d = _numbers("d")

    def string(self, at: int, name: str) -> str:
        """UTF-8; bytes that are not survive as surrogates, as file names do in Python."""
        raw = self.raw
        try:
            end = at + 4 + _u32(raw, at)[0]
        except StructError:
            raise self.beyond(at, name) from None
        if end - at > _SMALL or end > self.size:
            return self.bytes(at, name).decode("utf-8", "surrogateescape")
        return raw[at + 4 : end].decode("utf-8", "surrogateescape")

    def strings(self, at: int, name: str) -> list[str]:
        return [self.string(place, f"{name}[{index}]") for index, place in enumerate(self.places(at, name))]

    def bytes(self, at: int, name: str) -> bytes:
        try:
            (count,) = _u32(self.raw, at)
        except StructError:
            raise self.beyond(at, name) from None
        if count > _SMALL:
            self.spend(count, at, name)
        end = at + 4 + count
        if end > self.size:
            self.check_end(at + 4, count, name)
        return self.raw[at + 4 : end]

    def data(self, at: int, name: str) -> memoryview:
        try:
            (count,) = _u32(self.raw, at)
        except StructError:
            raise self.beyond(at, name) from None
        end = at + 4 + count
        if end > self.size:
            self.check_end(at + 4, count, name)
        return self.piece(at + 4, end)

    def piece(self, start: int, end: int) -> memoryview:
        """A view of bytes of the file, or of a copy where they are a small constant of a mapped file."""
        if self.is_mapped:
            self.touched(start)
            if end - start <= _SMALL_DATA:
                return memoryview(self.raw[start:end])
        return self.view[start:end]

    def again(self, start: int, end: int) -> _Bytes:
        """Bytes of numbers that were left in the file.

        Raises:
            SurgeonError: it was closed.
        """
        self.touched(start)
        try:
            return self.raw[start:end]
        except ValueError:
            raise SurgeonError("these numbers lie in a file that was closed: read it again") from None

    # Where things end; of files that were found sound

    def end(self) -> int:
        """The byte behind the last one that the header and all tables take, with what they point to."""
        (at,) = _u32(self.raw, 0)
        last = self.end_of_table(schema.ROOT, at)
        vtables = {vtable for known in self._layouts.values() for vtable in known}
        return max([last, *(vtable + int(_u16x2(self.raw, vtable)[0]) for vtable in vtables)])

    def end_of_table(self, table: str, at: int) -> int:
        self.touched(at)
        return self.layout(table, at).end(self, at)

    def end_of_tables(self, table: str, at: int) -> int:
        places = self.places(at, table)
        return max([at + 4 + 4 * len(places), *(self.end_of_table(table, place) for place in places)])

    def end_of_union(self, union: str, tag: int, at: int) -> int:
        member = _members(union).get(tag)
        return at if member is None else self.end_of_table(member, at)

    def end_of_strings(self, at: int) -> int:
        places = self.places(at, "strings")
        return max([at + 4 + 4 * len(places), *(place + 5 + int(_u32(self.raw, place)[0]) for place in places)])

    # Comparison with what is stored

    def same_below(self, table: Table | OpaqueTable | None, references: References) -> bool:
        """Whether a table that lies where it did is still what the file says, and all below it.

        It may say no of what is the same: of tables with lists of tables.
        """
        if table is None or isinstance(table, OpaqueTable):
            return True
        at = table._offset
        if at is None:
            return False
        same = self.layout(table.table, at).same_below
        return same is not None and same(table, self, at, references)

    def same_tables(self, tables: list[Table] | None, at: int) -> bool:
        """Whether the list holds the very tables that lie in the vector at a position, in their order."""
        if tables is None:
            return False
        (count,) = _u32(self.raw, at)
        if count != len(tables):
            return False
        offsets = Struct(f"<{count}I").unpack_from(self.raw, at + 4)
        position = at
        for table, offset in zip(tables, offsets):
            position += 4
            if table._offset != position + offset:
                return False
        return True

    def same_union(self, union: str, value: Table | OpaqueTable | None, tag: int, at: int | None) -> bool:
        if value is None:
            return tag == 0 and at is None
        stored_tag = value.tag if isinstance(value, OpaqueTable) else schema.UNIONS[union].get(value.table)
        return stored_tag == tag and value._offset == at

    def same_piece(self, data: memoryview, start: int) -> bool:
        """Whether a piece, as it was read, is of this file: weights are not read to find that they are the same."""
        if data.obj is self.origin:
            return True
        size = len(data)
        return self.is_mapped and size <= _SMALL_DATA and data == self.raw[start : start + size]

    # Limits

    def spend(self, count: int, at: int, name: str) -> None:
        self.budget -= count
        if self.budget < 0:
            raise self.overspent(at).inside(name)

    def check_end(self, start: int, count: int, name: str) -> None:
        if start + count > self.size:
            problem = f"{count} bytes from byte {start} would end at {start + count}; the file has {self.size}"
            raise DecodeError(problem, start - 4, (name,))

    def beyond(self, at: int, name: str) -> DecodeError:
        return DecodeError(f"points outside the file, which has {self.size} bytes", at, (name,))

    def overspent(self, at: int) -> DecodeError:
        return DecodeError(
            f"the file describes more than {_BUDGET_PER_BYTE} times its own {self.size} bytes: "
            "it points at the same bytes again and again",
            at,
        )


def _members(union: str) -> dict[int, str]:
    found = _MEMBERS.get(union)
    if found is None:
        found = _MEMBERS[union] = {tag: table for table, tag in schema.UNIONS[union].items()}
    return found


_MEMBERS: dict[str, dict[int, str]] = {}
