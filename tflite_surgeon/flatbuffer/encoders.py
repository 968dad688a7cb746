"""What it takes to write one kind of table, compiled once: straight-line code that knows which fields there are.

Two functions work for each table. The first looks at the object and finds which fields it is to have; the second,
compiled for each such set, appends the table and what its offsets point to, and fills it by a single `struct` call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from operator import sub
from struct import Struct
from typing import TYPE_CHECKING, Any

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.schema import Field
from tflite_surgeon.flatbuffer.tables import OpaqueTable
from tflite_surgeon.flatbuffer.vector import LONGEST_LIST, Vector

if TYPE_CHECKING:
    from tflite_surgeon.flatbuffer.writer import Writer

# (writer, object) -> the position of its table.
Encoder = Callable[["Writer", Any], int]
_Place = Callable[..., int]

_ZEROS = tuple(bytes(count) for count in range(17))
_count = Struct("<I").pack


class Misfit(Exception):
    """A value cannot be written; `misfits` says which."""


class Plan:
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
        # (format, slot), in the order in which they are stored.
        self.stored = [(character, slot) for _, character, slot in stored]
        end = 4
        for size, _, slot in stored:
            self.offsets[slot] = end
            end += size
        self.size = -(-end // 4) * 4
        self.vtable = Struct(f"<{slot_count + 2}H").pack(4 + 2 * slot_count, end, *self.offsets)


@cache
def encoder(table: str) -> Encoder:
    """The function that writes a table of this kind, and all below it."""
    fields = schema.fields(table)
    names: dict[str, Any] = {
        "table": table,
        "places": {},
        "new_place": lambda present: _place(table, present),
        "Misfit": Misfit,
        "OpaqueTable": OpaqueTable,
        "no_values": {},
    }
    spelt_out = 0
    body: list[str] = []
    for field in fields:
        slot = field.slot
        value = f"f{slot}"
        body.append(f"{value} = {_value(table, field)}")
        if field.kind == "scalar":
            names[f"default{slot}"] = field.default
            spelt_out |= 1 << slot
            body.append(f"if {value} != default{slot}: present |= {1 << slot}")
        elif field.kind == "union":
            names[f"tags{slot}"] = schema.UNIONS[field.type]
            spelt_out |= 1 << slot - 1
            body += [
                f"tag{slot} = 0",
                f"if {value}.__class__ is OpaqueTable:",
                f"    if not {value}.missing: raise Misfit",
                f"    tag{slot}, {value} = {value}.tag, None",
                f"elif {value} is not None: tag{slot} = tags{slot}[{value}.table]",
                f"if tag{slot}: present |= {1 << slot - 1}",
                f"if {value} is not None: present |= {1 << slot}",
            ]
        else:
            body.append(f"if {value} is not None: present |= {1 << slot}")
    head = ["if o.table != table: raise Misfit", f"present = o._present & {spelt_out}"]
    if table in _REPLACED:
        head.append("values = w.values.get(id(o), no_values)")
    arguments = ", ".join(["w", "o", *_arguments(fields)])
    body += [
        "place = places.get(present)",
        "if place is None: place = places[present] = new_place(present)",
        f"return place({arguments})",
    ]
    made: Encoder = _function("def encode(w, o):", head + body, names, table)
    return made


# Tables of which the writer may be told other values than the object's own.
_REPLACED = {
    "Buffer": ("data", "offset", "size"),
    "Operator": ("large_custom_options_offset", "large_custom_options_size"),
}


def _value(table: str, field: Field) -> str:
    name = field.attribute
    if field.refers_to:
        return f"w.references[{name!r}][id(o)]"
    if name in _REPLACED.get(table, ()):
        return f"values[{name!r}] if {name!r} in values else o.{name}"
    return f"o.{name}"


def _arguments(fields: tuple[Field, ...]) -> Iterator[str]:
    for field in fields:
        yield f"f{field.slot}"
        if field.kind == "union":
            yield f"tag{field.slot}"


def _place(table: str, present: int) -> _Place:
    """The function that writes a table with these fields."""
    plan = Plan(table, present)
    fields = schema.fields(table)
    pattern, stored = "<i", []
    names: dict[str, Any] = {"vtable": plan.vtable, "zeros": _ZEROS, "blank": bytes(plan.size), "count": _count}
    body = [
        "out = w.out",
        "vtable_at = w.vtables.get(vtable)",
        "if vtable_at is None: vtable_at = w.add_vtable(vtable)",
        "at = len(out)",
        f"if (gap := ({plan.shift} - at) % {plan.alignment}):",
        "    out += zeros[gap]",
        "    at += gap",
        "out += blank",
    ]
    by_slot = {field.slot: field for field in fields}
    for field in fields:
        if present >> field.slot & 1:
            body += _child(field, plan.offsets[field.slot], names)
            if table in _REPLACED and field.type == "Q":
                where = f"at + {plan.offsets[field.slot]}"
                body.append(f"if id(o) in w.values: w.scalar_places[id(o), {field.attribute!r}] = {where}")
    for character, slot in plan.stored:
        stored_field = by_slot.get(slot)
        if stored_field is None:
            stored.append(f"tag{slot + 1}")
        elif stored_field.kind == "data":  # It comes behind all tables, and is pointed to then.
            character = "4x"
        else:
            stored.append(f"f{slot}" if stored_field.kind == "scalar" else f"q{slot} - at - {plan.offsets[slot]}")
        pattern += character
    names["fill"] = Struct(pattern).pack_into
    body += [f"fill(out, {', '.join(['at', 'at - vtable_at', *stored])})", "return at"]
    made: _Place = _function(f"def place({', '.join(['w', 'o', *_arguments(fields)])}):", body, names, table)
    return made


def _child(field: Field, offset: int, names: dict[str, Any]) -> list[str]:
    """Lines that append what an offset field points to; its place is q and the number of the slot."""
    slot, kind = field.slot, field.kind
    value, place = f"f{slot}", f"q{slot}"
    if kind == "scalar":
        return []
    if kind == "table":
        names[f"encode{slot}"] = encoder(field.type)
        return [f"{place} = encode{slot}(w, {value})"]
    if kind == "tables":
        names[f"encode{slot}"] = encoder(field.type)
        return [f"{place} = w.tables({value}, encode{slot})"]
    if kind == "union":
        names["encoder"] = encoder
        return [f"{place} = encoder({value}.table)(w, {value})"]
    if kind == "numbers":
        names[f"pack{slot}"] = packers(field.format)
        alignment = max(schema.size_of(field.format), field.alignment, 4)
        return [
            f"{place} = len(out)",
            f"if (gap := -({place} + 4) % {alignment}):",
            "    out += zeros[gap]",
            f"    {place} += gap",
            f"size = len({value})",
            f"out += pack{slot}[size](size, *{value}) if size <= {LONGEST_LIST} else packed({field.format!r}, {value})",
        ]
    if kind == "string":
        names["padding"] = _PADDING
        return [
            f"text = {value}.encode('utf-8', 'surrogateescape')",
            f"{place} = len(out)",
            f"if (gap := -{place} % 4):",
            "    out += zeros[gap]",
            f"    {place} += gap",
            "size = len(text)",
            "out += count(size)",
            "out += text",
            "out += padding[size % 4]",
        ]
    if kind == "data":
        return [f"w.data.append((at + {offset}, data_bytes({value}), {field.alignment}))"]
    if kind == "bytes":
        return [f"{place} = w.bytes(data_bytes({value}), {max(field.alignment, 4)})"]
    return [f"{place} = w.strings({value})"]


# A string ends with a zero byte, and the next thing begins at a multiple of four.
_PADDING = tuple(bytes(4 - count) for count in range(4))


@cache
def packers(character: str) -> tuple[Callable[..., bytes], ...]:
    """For each number of elements of a short vector, what packs their count and them."""
    return tuple(Struct(f"<I{count}{character}").pack for count in range(LONGEST_LIST + 1))


@lru_cache(maxsize=256)
def _long_packer(character: str, count: int) -> Callable[..., bytes]:
    return Struct(f"<{count}{character}").pack


def packed(character: str, values: Any) -> bytes:
    """A long vector, its count before it."""
    count = len(values)
    if values.__class__ is Vector and values.typecode == character and sys.byteorder == "little":
        return _count(count) + values.tobytes()
    return _count(count) + _long_packer(character, count)(*values)


def data_bytes(value: Any) -> bytes | bytearray | memoryview:
    """Data as something whose length is its number of bytes, not copied.

    Raises:
        TypeError, ValueError: it has no bytes, or not in one piece.
    """
    if isinstance(value, (bytes, bytearray)):
        return value
    view = memoryview(value)
    if view.format == "B" and view.ndim == 1 and view.contiguous:
        return view
    return view.cast("B") if view.nbytes else b""


def distances(places: list[int], first: int) -> Iterator[int]:
    """How far each place lies behind the slot that points to it; the first slot is at `first`."""
    return map(sub, places, range(first, first + 4 * len(places), 4))


def _function(head: str, body: list[str], names: dict[str, Any], table: str) -> Any:
    names |= {"packed": packed, "data_bytes": data_bytes}
    text = "\n    ".join([head, *body])
    exec(compile(text, f"<encoder of {table}>", "exec"), names)  # own text, no outside input
    return names[head[4 : head.index("(")]]
