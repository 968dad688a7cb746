"""What one vtable says about one kind of table, compiled once into a decoder and a comparison.

Tables of one kind share a few vtables, so the work of finding fields is done once for each: the scalars and offsets
of a table are then read by a single `struct` call, and straight-line code moves them into the object's slots.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.schema import Field
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table, table_class

if TYPE_CHECKING:
    from tflite_surgeon.flatbuffer.reader import Reader


_u32 = Struct("<I").unpack_from

# (object, reader, position, indices of references) -> whether it is the same.
_Comparison = Callable[[Any, "Reader", int, Any], bool]


class LayoutError(ValueError):
    """The vtable contradicts the schema or itself."""


class Layout:
    """One vtable, as it applies to one kind of table.

    Attributes:
        size: bytes of the table itself, without what it points to.
        offsets: byte offset in the table of each slot of the schema, 0 where absent.
        unknown: slots newer than the schema that the table fills.
        decode: (reader, position) -> the object.
        same: (object, reader, position, references) -> whether the bytes there still say what the object says;
            children only by where they lie.
        end: (reader, position) -> the byte behind the last one that the table there takes with all below it, data
            behind the flatbuffer included.
        same_below: the same with all below, of a table with no list of tables. It may say no of what is the same.
        tables: attributes that hold one child table.
        lists: attributes that hold a list of child tables.
    """

    def __init__(self, source: _Source, size: int, unknown: tuple[int, ...]) -> None:
        self._source = source
        self.size = size
        self.offsets = source.offsets
        self.unknown = unknown
        self.decode = source.decoder()
        self.tables = tuple(field.attribute for field in source.fields if field.kind in ("table", "union"))
        self.lists = tuple(field.attribute for field in source.fields if field.kind == "tables")

    @cached_property
    def same(self) -> _Comparison:
        return self._source.comparison()

    @cached_property
    def end(self) -> Callable[[Reader, int], int]:
        return self._source.ending()

    @cached_property
    def same_below(self) -> _Comparison | None:
        has_lists = any(self.offsets[field.slot] for field in self._source.fields if field.kind == "tables")
        return None if has_lists else self._source.comparison(below=True)


@lru_cache(maxsize=4096)  # Bounded: hostile files could otherwise fill the memory with layouts nobody meets again.
def compile_layout(table: str, vtable: bytes) -> Layout:
    """Compile a vtable (its bytes, the two sizes included).

    Raises:
        LayoutError: a field lies outside the table or over another one.
    """
    entries = Struct(f"<{len(vtable) // 2}H").unpack_from(vtable)
    size, slots = entries[1], entries[2:]
    fields = schema.fields(table)
    slot_count = max((field.slot + 1 for field in fields), default=0)
    offsets = (*slots[:slot_count], *(0,) * (slot_count - len(slots)))
    stored = sorted(
        (offsets[slot], character, slot)
        for field in fields
        for slot, character in _stored_slots(field)
        if offsets[slot]
    )
    end = 4
    pattern = "<4x"
    variables: dict[int, str] = {}
    for offset, character, slot in stored:
        if offset < end:
            raise LayoutError(f"the field in slot {slot} of the {table} lies over the one before it")
        pattern += f"{offset - end}x{character}"
        end = offset + schema.size_of(character)
        variables[slot] = f"v{slot}"
    if end > size or size < 4:
        raise LayoutError(f"a {table} of {size} bytes has fields up to byte {end}")
    unpack = Struct(pattern).unpack_from
    source = _Source(table, size, fields, offsets, list(variables.values()), unpack)
    return Layout(source, size, tuple(slot for slot in range(slot_count, len(slots)) if slots[slot]))


def _stored_slots(field: Field) -> list[tuple[int, str]]:
    """(slot, struct format) of what a field keeps inside its table; offsets are unsigned 32-bit."""
    if field.kind == "scalar":
        return [(field.slot, field.format)]
    if field.kind == "union":
        return [(field.slot - 1, "B"), (field.slot, "I")]
    return [(field.slot, "I")]


def _same_piece(name: str, stored: str, start: str, also: str = "") -> str:
    """By identity, and only of this file."""
    return f"(o.{name} is o.{stored} and (o.{name} is None or r.same_piece(o.{name}, {start})){also})"


# Tables that may name data behind the flatbuffer: fields of its offset and size, and the one that counts before them.
_OUTSIDE = {
    "Buffer": ("offset", "size", "data"),
    "Operator": ("large_custom_options_offset", "large_custom_options_size", None),
}


class _Source:
    """Writes the Python source of a layout's functions."""

    def __init__(
        self,
        table: str,
        size: int,
        fields: tuple[Field, ...],
        offsets: tuple[int, ...],
        variables: list[str],
        unpack: Any,
    ) -> None:
        self.table = table
        self.size = size
        self.fields = fields
        self.offsets = offsets
        self.unpacking = f"    {', '.join(variables)}, = unpack(r.raw, p)" if variables else "    unpack(r.raw, p)"
        cls = table_class(table)
        self.names: dict[str, Any] = {"unpack": unpack, "new": cls.__new__, "cls": cls, "OpaqueTable": OpaqueTable}
        self.names["u32"] = _u32
        self.present = sum(1 << slot for slot, offset in enumerate(offsets) if offset)

    def decoder(self) -> Callable[[Reader, int], Table]:
        lines = ["def decode(r, p):", self.unpacking, "    o = new(cls)", "    o._offset = p"]
        lines.append(f"    o._present = {self.present}")
        lines += [f"    o.{field.attribute} = {self.value(field)}" for field in self.fields]
        lines += [f"    o.{name} = {value}" for name, value in table_class(self.table).extra]
        lines.append("    return o")
        decode: Callable[[Reader, int], Table] = self.function(lines)
        return decode

    def comparison(self, below: bool = False) -> _Comparison:
        lines = ["def same(o, r, p, references):", self.unpacking]
        tests = [self.test(field) for field in self.fields]
        if below:
            tests += [f"r.same_below(o.{f.attribute}, references)" for f in self.fields if f.kind in ("table", "union")]
        if self.table == "Operator":
            tests.append(_same_piece("large_custom_options", "_stored_options", "o.large_custom_options_offset"))
        lines.append("    return (" + " and ".join(tests or ["True"]) + ")")
        same: _Comparison = self.function(lines)
        return same

    def ending(self) -> Callable[[Reader, int], int]:
        lines = ["def end(r, p):", self.unpacking, "    raw, last = r.raw, p + " + str(self.size)]
        for field in self.fields:
            if field.kind != "scalar" and self.offsets[field.slot]:
                lines += [f"    at = {self.target(field)}", *self.end_of(field)]
        if self.table in _OUTSIDE:
            start, size, before = (self.slot_of(name) for name in _OUTSIDE[self.table])
            if start is not None and size is not None:
                is_there = f"v{start} > 1 and last < v{start} + v{size} <= r.size"
                if before is not None:
                    is_there += f" and not u32(raw, {self.target_of(before)})[0]"
                lines += [f"    if {is_there}:", f"        last = v{start} + v{size}"]
        lines.append("    return last")
        end: Callable[[Reader, int], int] = self.function(lines)
        return end

    def slot_of(self, name: str | None) -> int | None:
        """The slot of a field that the table fills; None where it does not."""
        return next((field.slot for field in self.fields if field.name == name and self.offsets[field.slot]), None)

    def end_of(self, field: Field) -> list[str]:
        """Lines that move `last` to where a field's target, at `at`, ends with all below it."""
        if field.kind == "table":
            found = f"r.end_of_table({field.type!r}, at)"
        elif field.kind == "union":
            tag = f"v{field.slot - 1}" if self.offsets[field.slot - 1] else "0"
            found = f"r.end_of_union({field.type!r}, {tag}, at)"
        elif field.kind == "tables":
            found = f"r.end_of_tables({field.type!r}, at)"
        elif field.kind == "strings":
            found = "r.end_of_strings(at)"
        else:
            # A string has a terminating zero.
            size = 1 if field.kind == "string" else schema.size_of(field.format)
            found = f"at + {5 if field.kind == 'string' else 4} + u32(raw, at)[0] * {size}"
        lines = [f"    found = {found}", "    if found > last: last = found"]
        # Data may lie anywhere, all else lies near its table.
        return ["    if r.is_mapped: r.touched(at)", *lines] if field.kind == "data" else lines

    def function(self, lines: list[str]) -> Any:
        namespace = dict(self.names)
        exec(compile("\n".join(lines), f"<layout of {self.table}>", "exec"), namespace)  # own text, no outside input
        return namespace[lines[0][4 : lines[0].index("(")]]

    def target(self, field: Field) -> str:
        """The position that an offset field points to."""
        return self.target_of(field.slot)

    def target_of(self, slot: int) -> str:
        return f"p + {self.offsets[slot]} + v{slot}"

    def value(self, field: Field) -> str:
        """The expression that reads a field."""
        kind, name = field.kind, field.name
        if kind == "union":
            return self.union_value(field)
        if not self.offsets[field.slot]:
            return self.default(field)
        if kind == "scalar":
            return self.scalar(field)
        at = self.target(field)
        if kind == "numbers":
            if field.type in schema.ENUMS:
                return f"[{self.enum(field)}(x, x) for x in r.numbers_{field.format}({at}, {name!r})]"
            reader = {"?": "bool"}.get(field.format, field.format)
            return f"r.numbers_{reader}({at}, {name!r})"
        if kind in ("table", "tables"):
            return f"r.{kind}({field.type!r}, {at}, {name!r})"
        return f"r.{kind}({at}, {name!r})"

    def union_value(self, field: Field) -> str:
        tag = f"v{field.slot - 1}" if self.offsets[field.slot - 1] else "0"
        if self.offsets[field.slot]:
            return f"r.union({field.type!r}, {tag}, {self.target(field)}, {field.name!r})"
        return "None" if tag == "0" else f"OpaqueTable({tag}, None) if {tag} else None"

    def scalar(self, field: Field) -> str:
        value = f"v{field.slot}"
        return f"{self.enum(field)}({value}, {value})" if field.type in schema.ENUMS else value

    def default(self, field: Field) -> str:
        if field.kind != "scalar":
            return "None"
        name = f"default{field.slot}"
        members = schema.enum_class(field.type)._value2member_map_ if field.type in schema.ENUMS else {}
        self.names[name] = members.get(field.default, field.default)
        return name

    def enum(self, field: Field) -> str:
        name = f"get_{field.type}"
        self.names[name] = schema.enum_class(field.type)._value2member_map_.get
        return name

    def test(self, field: Field) -> str:
        """The expression that is true where the object still says what the bytes say."""
        attribute = f"o.{field.attribute}"
        kind = field.kind
        stored = self.offsets[field.slot]
        if self.table == "Buffer" and kind == "data":
            # Data behind the flatbuffer is in no field of it.
            place = " and o.data is not None and not o.outside" if stored else " and o.outside is (o.data is not None)"
            start = f"{self.target(field)} + 4" if stored else "o.offset"
            return _same_piece("data", "_stored_data", start, place)
        if field.refers_to:
            attribute = f"references[{field.attribute!r}][id(o)]"
        if kind == "union":
            tag = f"v{field.slot - 1}" if self.offsets[field.slot - 1] else "0"
            where = self.target(field) if stored else "None"
            return f"r.same_union({field.type!r}, {attribute}, {tag}, {where})"
        if not stored:
            return f"{attribute} is None" if kind != "scalar" else f"{attribute} == {self.default(field)}"
        if kind == "scalar":
            return f"{attribute} == v{field.slot}"
        if kind == "table":
            return f"({attribute} is not None and {attribute}._offset == {self.target(field)})"
        if kind == "tables":
            return f"r.same_tables({attribute}, {self.target(field)})"
        if kind == "data":
            return f"({attribute} is not None and {attribute} == {self.value(field)})"
        return f"{attribute} == {self.value(field)}"
