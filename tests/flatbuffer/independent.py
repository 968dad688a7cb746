"""What three readers make of a file, in one comparable form: ours, the tflite package's, LiteRT's generated one.

A table is a dict of its fields. Absent vectors and strings are None; readers that cannot tell them from empty ones say
None for both.
"""

from __future__ import annotations

import importlib
import struct
from typing import Any

import tflite_surgeon as ts
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import OpaqueTable
from tflite_surgeon.model import convert

# Where data behind the flatbuffer lies may differ from file to file.
PLACES = {"Buffer.offset", "Buffer.size", "Operator.large_custom_options_offset", "Operator.large_custom_options_size"}


def accessor_name(field: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in field.split("_"))


def by_us(model: ts.Model, *, places: bool = False) -> Any:
    """The objects' stored values."""
    references = convert.indices(model)

    def one(table: Any) -> Any:
        if isinstance(table, OpaqueTable) or table is None:
            return None
        result = {}
        for field in schema.fields(table.table):
            name = f"{table.table}.{field.name}"
            value = references[field.attribute][id(table)] if field.refers_to else getattr(table, field.attribute)
            if not places and name in PLACES:
                continue
            if field.kind in ("table", "union"):
                value = one(value)
            elif field.kind == "tables":
                value = [one(item) for item in value or ()] or None
            elif field.kind in ("bytes", "data"):
                outside = table.table == "Buffer" and table.outside
                value = bytes(value) if value and not outside else None
            elif field.kind == "string":
                value = value.encode() if value else None
            elif value is not None:
                value = stored(field, value)
            result[field.name] = value
        return table.table, result

    return one(model)


def stored(field: schema.Field, value: Any) -> Any:
    """Numbers as their bytes, None for no numbers: so that NaN equals itself, and 1.0 is not 1."""
    values = value if field.kind == "numbers" else [value]
    return struct.pack(f"<{len(values)}{field.format}", *values) or None


def by_package(package: str, raw: bytes, fields_like: Any) -> Any:
    """The values as a package's generated accessors give them, of the tables and fields that another reading has.

    Args:
        package: "tflite", or the module of LiteRT's generated code.
        raw: the file.
        fields_like: a reading that says which fields to ask for, as `by_us` gives it.
    """
    module = importlib.import_module(package)

    def cls(name: str) -> Any:
        found = getattr(module, name, None)
        if not isinstance(found, type):
            found = getattr(importlib.import_module(f"{package}.{name}"), name)
        return found

    def one(table: Any, like: Any) -> Any:
        name, fields = like
        result = {}
        described = {field.name: field for field in schema.fields(name)}
        for key, other in fields.items():
            field = described[key]
            accessor = getattr(table, accessor_name(key), None)
            if accessor is None or (name, key) == ("OperatorCode", "builtin_code"):
                result[key] = other  # Unknown to an older reader, or not the stored value there.
            else:
                result[key] = value(table, field, accessor, other)
        return name, result

    def value(table: Any, field: schema.Field, accessor: Any, other: Any) -> Any:
        if field.kind == "scalar":
            return stored(field, accessor())
        if field.kind == "string":
            return accessor() or None
        if field.kind in ("table", "union"):
            found = accessor()
            if found is None or other is None:
                return found if other is None else None
            if field.kind == "union":
                tag = getattr(table, accessor_name(field.name) + "Type")()
                assert schema.UNIONS[field.type][other[0]] == tag
                try:
                    member = cls(other[0])()
                except ModuleNotFoundError:  # A member that is unknown to an older reader.
                    return other
                member.Init(found.Bytes, found.Pos)
                found = member
            return one(found, other)
        count = getattr(table, accessor_name(field.name) + "Length")()
        if field.kind == "tables":
            assert count == len(other or ())
            return [one(accessor(index), item) for index, item in enumerate(other or ())] or None
        if field.kind in ("bytes", "data"):
            return bytes(accessor(index) for index in range(count)) or None
        return stored(field, [accessor(index) for index in range(count)])

    return one(cls("Model").GetRootAs(raw, 0), fields_like)


def object_api(table: Any) -> Any:
    """An object of LiteRT's object API as plain values; offsets of outside data left out."""
    skipped = {"offset", "size"} if type(table).__name__ == "BufferT" else set()
    skipped |= {"largeCustomOptionsOffset", "largeCustomOptionsSize"}
    if hasattr(table, "__dict__"):
        return type(table).__name__, {k: object_api(v) for k, v in vars(table).items() if k not in skipped}
    if isinstance(table, list):
        return [object_api(item) for item in table]
    if hasattr(table, "tobytes"):
        return table.dtype.str, table.tobytes()
    return struct.pack("<d", table) if isinstance(table, float) else table
