"""Tables to bytes: a whole flatbuffer, weights last and never copied.

Tables are written front to back, each parent before its children, so that every offset points forward; data vectors
(weights) follow behind all tables, each 16-byte aligned as `force_align` demands, and stay views of where they came
from until the file is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct
from struct import error as StructError
from typing import Any

from tflite_surgeon.errors import EncodeError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.schema import Field
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table

# Readers verify offsets as signed 32-bit (FLATBUFFERS_MAX_BUFFER_SIZE).
MAX_SIZE = (1 << 31) - 1

_pack_u32 = Struct("<I").pack_into
_pack_u64 = Struct("<Q").pack_into

Bytes = bytes | bytearray | memoryview


class TooLarge(EncodeError):
    """The flatbuffer would pass 2 GB: data has to move behind it."""


class _Plan:
    """How a table with certain fields present is laid out, and the vtable that says so."""

    def __init__(self, table: str, present: int) -> None:
        stored: list[tuple[int, str, int]] = []
        slot_count = present.bit_length()
        for field in schema.fields(table):
            if field.kind == "union" and present >> (field.slot - 1) & 1:
                stored.append((1, "B", field.slot - 1))
            if present >> field.slot & 1:
                character = field.format if field.kind == "scalar" else "I"
                stored.append((schema.size_of(character), character, field.slot))
        stored.sort(key=lambda entry: (-entry[0], entry[2]))
        # Eight-byte fields start right behind the four bytes of the vtable offset: the table begins 4 off alignment.
        self.alignment = stored[0][0] if stored and stored[0][0] > 4 else 4
        self.shift = 4 if self.alignment == 8 else 0
        self.offsets = [0] * slot_count
        self.formats: dict[int, str] = {}
        end = 4
        for size, character, slot in stored:
            self.offsets[slot] = end
            self.formats[slot] = character
            end += size
        self.size = -(-end // 4) * 4
        self.vtable = Struct(f"<{slot_count + 2}H").pack(4 + 2 * slot_count, end, *self.offsets)


class Writer:
    """Writes one flatbuffer.

    Args:
        references: index to store for (id of a table, attribute), for the fields that hold references.
        values: stored values that differ from the object's own, for (id of a table, attribute).
    """

    def __init__(self, references: Mapping[tuple[int, str], Any], values: Mapping[tuple[int, str], Any]) -> None:
        self.out = bytearray()
        self.references = references
        self.values = values
        self.data: list[tuple[int, Bytes, int]] = []
        self.scalar_positions: dict[tuple[int, str], int] = {}
        self._plans: dict[tuple[str, int], _Plan] = {}
        self._vtables: dict[bytes, int] = {}

    def encode(self, root: Table, identifier: bytes) -> list[Bytes]:
        """The flatbuffer as consecutive pieces.

        Raises:
            EncodeError: a value does not fit its field, or a table holds what the schema does not know.
            TooLarge: more than 2 GB.
        """
        self.out += b"\0\0\0\0" + identifier
        position = self.table(root, "model")
        _pack_u32(self.out, 0, position)
        return list(self._with_data())

    def _with_data(self) -> Iterator[Bytes]:
        """The tables, then the data vectors, once it is known where they come to lie."""
        end = len(self.out)
        self.require_size(end)
        pieces: list[Bytes] = []
        for at, data, alignment in self.data:
            padding = -(end + 4) % alignment
            start = end + padding
            pieces += [b"\0" * padding + len(data).to_bytes(4, "little"), data]
            _pack_u32(self.out, at, start - at)
            end = start + 4 + len(data)
            self.require_size(end)
        yield self.out
        yield from pieces

    @staticmethod
    def require_size(end: int) -> None:
        if end > MAX_SIZE:
            raise TooLarge(f"the flatbuffer would take more than {MAX_SIZE} bytes")

    # Tables

    def table(self, table: Table, path: str, field_of: Field | None = None) -> int:
        """Append a table, which stands in a field, and all below it; returns its position."""
        if field_of is not None and field_of.kind != "union" and getattr(table, "table", None) != field_of.type:
            raise EncodeError(f"{path} holds {table!r:.80}, expected a {field_of.type}")
        present = 0
        fields: list[tuple[Field, Any]] = []
        tags: list[tuple[int, int]] = []
        for field in schema.fields(table.table):
            value = self.value(table, field)
            slot = field.slot
            if field.kind == "scalar":
                if value == field.default and not table._present >> slot & 1:
                    continue
            elif field.kind == "union":
                tag = self.tag(field, value, path)
                if tag or table._present >> (slot - 1) & 1:
                    present |= 1 << (slot - 1)
                    tags.append((slot - 1, tag))
                if value is None or isinstance(value, OpaqueTable):
                    continue
            elif value is None:
                continue
            present |= 1 << slot
            fields.append((field, value))
        plan = self._plans.get((table.table, present))
        if plan is None:
            plan = self._plans[table.table, present] = _Plan(table.table, present)
        return self.place(table, plan, fields, tags, path)

    def value(self, table: Table, field: Field) -> Any:
        key = (id(table), field.attribute)
        if field.refers_to:
            return self.references[key]
        return self.values[key] if key in self.values else getattr(table, field.attribute)

    def tag(self, field: Field, value: Any, path: str) -> int:
        if value is None:
            return 0
        if isinstance(value, OpaqueTable):
            if not value.missing:
                raise EncodeError(
                    f"{path}.{field.name} holds union member {value.tag}, which this schema does not know: "
                    "it can be kept in place, but not written anew"
                )
            return value.tag
        found = schema.UNIONS[field.type].get(value.table)
        if found is None:
            raise EncodeError(f"{path}.{field.name} holds a {value.table}, which is no member of {field.type}")
        return found

    def place(
        self, table: Table, plan: _Plan, fields: list[tuple[Field, Any]], tags: list[tuple[int, int]], path: str
    ) -> int:
        out = self.out
        vtable = self._vtables.get(plan.vtable)
        if vtable is None:
            out += b"\0" * (-len(out) % 2)
            vtable = self._vtables[plan.vtable] = len(out)
            out += plan.vtable
        out += b"\0" * ((plan.shift - len(out)) % plan.alignment)
        at = len(out)
        out += bytes(plan.size)
        _STRUCTS["i"].pack_into(out, at, at - vtable)
        offsets = plan.offsets
        later: list[tuple[Field, Any, int]] = []
        for field, value in fields:
            if field.kind == "scalar":
                where = at + offsets[field.slot]
                try:
                    _STRUCTS[plan.formats[field.slot]].pack_into(out, where, value)
                except (StructError, OverflowError, TypeError) as error:
                    raise _misfit(path, field, value, error) from None
                if table.table == "Buffer" or field.type == "Q":
                    self.scalar_positions[id(table), field.attribute] = where
            else:
                later.append((field, value, at + offsets[field.slot]))
        for slot, tag in tags:
            out[at + offsets[slot]] = tag
        for field, value, where in later:
            self.child(field, value, where, path)
        return at

    def child(self, field: Field, value: Any, where: int, path: str) -> None:
        """Append what an offset field points to, and point it there."""
        kind = field.kind
        if kind == "numbers":
            position = self.numbers(field, value, path)
        elif kind in ("table", "union"):
            position = self.table(value, f"{path}.{field.name}", field)
        elif kind == "string":
            position = self.string(string_bytes(value, f"{path}.{field.name}"))
        elif kind == "tables":
            position = self.vector_of_offsets(len(value))
            for index, item in enumerate(value):
                slot = position + 4 + 4 * index
                _pack_u32(self.out, slot, self.table(item, f"{path}.{field.name}[{index}]", field) - slot)
        elif kind == "data":
            self.data.append((where, data_bytes(value, f"{path}.{field.name}"), field.alignment))
            return
        elif kind == "bytes":
            position = self.bytes(data_bytes(value, f"{path}.{field.name}"), max(field.alignment, 4))
        else:
            position = self.vector_of_offsets(len(value))
            for index, item in enumerate(value):
                slot = position + 4 + 4 * index
                _pack_u32(self.out, slot, self.string(string_bytes(item, f"{path}.{field.name}[{index}]")) - slot)
        _pack_u32(self.out, where, position - where)

    # Vectors: the four-byte count comes before what is aligned

    def start_vector(self, alignment: int, count: int) -> int:
        out = self.out
        out += b"\0" * (-(len(out) + 4) % max(alignment, 4))
        position = len(out)
        out += count.to_bytes(4, "little")
        return position

    def vector_of_offsets(self, count: int) -> int:
        position = self.start_vector(4, count)
        self.out += bytes(4 * count)
        return position

    def numbers(self, field: Field, value: Any, path: str) -> int:
        character = field.format
        try:
            packed = Struct(f"<{len(value)}{character}").pack(*value)
        except (StructError, OverflowError, TypeError) as error:
            raise _misfit(path, field, value, error) from None
        position = self.start_vector(max(schema.size_of(character), field.alignment), len(value))
        self.out += packed
        return position

    def bytes(self, value: Bytes, alignment: int) -> int:
        position = self.start_vector(alignment, len(value))
        self.out += value
        return position

    def string(self, encoded: Bytes) -> int:
        position = self.bytes(encoded, 4)
        self.out += b"\0" * (4 - len(encoded) % 4)
        return position


_STRUCTS = {character: Struct(f"<{character}") for character in "?bBhHiIqQfd"}


def string_bytes(value: Any, path: str) -> bytes:
    """A string as it is stored.

    Raises:
        EncodeError: not a string, or one that UTF-8 cannot say.
    """
    try:
        return bytes(value.encode("utf-8", "surrogateescape"))
    except (AttributeError, TypeError, UnicodeError) as error:
        raise EncodeError(f"{path} cannot hold {value!r:.80}: {error}") from None


def data_bytes(value: Any, path: str) -> Bytes:
    """Data as something whose length is its number of bytes, not copied.

    Raises:
        EncodeError: it has no bytes, or not in one piece.
    """
    if isinstance(value, (bytes, bytearray)):
        return value
    try:
        view = memoryview(value)
        if view.format == "B" and view.ndim == 1 and view.contiguous:
            return view
        return view.cast("B") if view.nbytes else b""
    except (TypeError, ValueError) as error:
        raise EncodeError(f"{path} cannot hold {value!r:.80}: {error}") from None


def _misfit(path: str, field: Field, value: Any, error: Exception) -> EncodeError:
    return EncodeError(f"{path}.{field.name} cannot hold {value!r:.80}: {error}")
