"""The classes that tables are decoded into: one slotted class a table, its attributes the schema's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tflite_surgeon.flatbuffer import schema

# What is stored for the references in each field, by its attribute and the identity of the table: an index, or a list.
References = Mapping[str, Mapping[int, Any]]


class Table:
    """A table of the schema.

    Absent, empty and default are three things: a vector, string or table that is absent is None; a scalar that is
    absent reads as its default, and `_present` (one bit a slot) remembers whether the file spelt it out.
    """

    __slots__ = ("_offset", "_present")
    table: ClassVar[str] = ""
    # Slots beside the schema's fields, each with the expression that a decoder sets it to.
    extra: ClassVar[tuple[tuple[str, str], ...]] = ()
    _offset: int | None
    _present: int

    def __init__(self, **values: Any) -> None:
        """Make a table that is in no file yet; fields not given are absent.

        Raises:
            TypeError: the schema has no such field.
        """
        self._offset = None
        self._present = 0
        for field in schema.fields(self.table):
            setattr(self, field.attribute, values.pop(field.attribute, field.default))
        if values:
            raise TypeError(f"{self.table} has no field {next(iter(values))!r}")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.table:
            _CLASSES[cls.table] = cls

    def __repr__(self) -> str:
        shown = (
            f"{field.attribute}={_short(getattr(self, field.attribute))}"
            for field in schema.fields(self.table)
            if getattr(self, field.attribute) != field.default
        )
        return f"{self.table}({', '.join(shown)})"


def _short(value: object) -> str:
    if isinstance(value, Table):
        return f"<{value.table}>"
    if isinstance(value, list) and value and isinstance(value[0], Table):
        return f"[{len(value)} {value[0].table}]"
    if isinstance(value, (memoryview, bytes)):
        return f"<{len(value)} bytes>"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class OpaqueTable:
    """A union member that the schema does not know, or that is named and missing.

    Attributes:
        tag: the union's tag as stored.
        missing: the file names a member and holds no table.
    """

    __slots__ = ("_offset", "missing", "tag")

    def __init__(self, tag: int, offset: int | None) -> None:
        self.tag = tag
        self.missing = offset is None
        self._offset = offset

    def __repr__(self) -> str:
        return f"OpaqueTable(tag={self.tag}, missing={self.missing})"


_CLASSES: dict[str, type[Table]] = {}


def table_class(name: str) -> type[Table]:
    """The class of a table; those without behaviour of their own are made on first use."""
    found = _CLASSES.get(name)
    if found is None:
        slots = tuple(slot for slot in schema.slots(name) if slot not in Table.__slots__)
        found = type(name, (Table,), {"__slots__": slots, "table": name, "__module__": "tflite_surgeon"})
    return found
