"""A second, slow and simple reader of the format, by its rules and the schema: tests look at bytes through this one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tflite_surgeon.flatbuffer import schema


def unsigned(raw: bytes, at: int, size: int = 4) -> int:
    assert 0 <= at <= len(raw) - size
    return int.from_bytes(raw[at : at + size], "little")


def put(raw: bytes, at: int, value: int, size: int = 4) -> bytes:
    """The bytes with an integer written over them."""
    return raw[:at] + value.to_bytes(size, "little", signed=value < 0) + raw[at + size :]


def vtable_of(raw: bytes, at: int) -> int:
    return at - int.from_bytes(raw[at : at + 4], "little", signed=True)


def entry_of(raw: bytes, at: int, slot: int) -> int:
    """Where the vtable of the table at a position keeps the place of a slot; 0 where it is too short."""
    vtable = vtable_of(raw, at)
    return vtable + 4 + 2 * slot if 6 + 2 * slot <= unsigned(raw, vtable, 2) else 0


def place_of(raw: bytes, at: int, slot: int) -> int:
    """Byte offset of a field of the table at a position, 0 where absent."""
    entry = entry_of(raw, at, slot)
    inside = entry and unsigned(raw, entry, 2)
    return inside and at + inside


class Spot(NamedTuple):
    """A field that is present: its path, table and description, where the table and the field lie, where it points."""

    path: str
    table: str
    field: schema.Field
    at: int
    place: int
    target: int


def walk(raw: bytes) -> Iterator[Spot]:
    """Every field that is present in a file, parents first. The tag of a union is a Spot of kind "tag"."""
    yield from _table(raw, schema.ROOT, unsigned(raw, 0), "")


def _table(raw: bytes, table: str, at: int, path: str) -> Iterator[Spot]:
    for field in schema.fields(table):
        name = f"{path}.{field.name}" if path else field.name
        tag = 0
        if field.kind == "union" and (place := place_of(raw, at, field.slot - 1)):
            tag = raw[place]
            yield Spot(name + "_type", table, field._replace(kind="tag"), at, place, 0)
        place = place_of(raw, at, field.slot)
        if not place:
            continue
        if field.kind == "scalar":
            yield Spot(name, table, field, at, place, 0)
            continue
        target = place + unsigned(raw, place)
        yield Spot(name, table, field, at, place, target)
        if field.kind == "table":
            yield from _table(raw, field.type, target, name)
        elif field.kind == "tables":
            for index in range(unsigned(raw, target)):
                slot = target + 4 + 4 * index
                yield from _table(raw, field.type, slot + unsigned(raw, slot), f"{name}[{index}]")
        elif field.kind == "union":
            members = {number: member for member, number in schema.UNIONS[field.type].items()}
            if tag in members:
                yield from _table(raw, members[tag], target, name)


def spots(raw: bytes) -> dict[str, Spot]:
    return {spot.path: spot for spot in walk(raw)}


def tables(raw: bytes) -> dict[str, int]:
    """Where each table that has a field lies, by path; the root's path is empty."""
    return {spot.path.rpartition(".")[0]: spot.at for spot in walk(raw)}
