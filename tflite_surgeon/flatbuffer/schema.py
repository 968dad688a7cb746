"""The format's tables, enums and unions, as looked up by name."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import NamedTuple

from tflite_surgeon.flatbuffer._schema import ENUMS, FILE_IDENTIFIER, ROOT, TABLES, UNIONS

__all__ = [
    "ENUMS",
    "FILE_IDENTIFIER",
    "ROOT",
    "TABLES",
    "UNIONS",
    "Field",
    "enum_class",
    "fields",
    "name_of",
    "size_of",
    "slots",
]

_SIZES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


class Field(NamedTuple):
    """One field of a table.

    kind is "scalar", "string", "bytes" (copied), "data" (viewed, never copied), "numbers", "strings", "table",
    "tables" or "union"; a union's tag lies in the slot before its value.
    """

    slot: int
    name: str
    attribute: str
    kind: str
    type: str
    default: bool | int | float | None
    alignment: int
    refers_to: str | None

    @property
    def format(self) -> str:
        """The struct format character of the scalar, or of one element of the vector."""
        return ENUMS[self.type][0] if self.type in ENUMS else self.type


@cache
def fields(table: str) -> tuple[Field, ...]:
    """The fields of a table, in slot order."""
    return tuple(Field(*row) for row in TABLES[table])


@cache
def slots(table: str) -> tuple[str, ...]:
    """The attribute names of a table's class: its fields, where it was read from, which slots the file had."""
    return (*(field.attribute for field in fields(table)), "_offset", "_present")


@cache
def enum_class(name: str) -> type[IntEnum]:
    """The enum as an IntEnum; values that it lacks stay plain integers in the model."""
    return IntEnum(name, ENUMS[name][1])  # type: ignore[return-value]


def name_of(enum: str, value: int | None) -> str:
    """The name of a member of an enum, whether it was read or is a plain number; empty for None and for no member."""
    # A member's `name` is a slow descriptor that reads `_name_`.
    found = getattr(value, "_name_", None) or getattr(enum_class(enum)._value2member_map_.get(value), "_name_", "")
    return str(found)


def size_of(format_character: str) -> int:
    """Bytes of one scalar."""
    return _SIZES[format_character]
