"""An operator's options as names and plain values."""

from __future__ import annotations

from enum import Enum
from typing import Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table
from tflite_surgeon.flatbuffer.vector import NUMBERS
from tflite_surgeon.model.objects import Operator, SubGraph

_UNSHOWN_BYTES = 64


def options(operator: Operator) -> dict[str, Any]:
    """The builtin options' fields, or what a FlexBuffer of custom options holds; enums by name, subgraphs by theirs.

    Options that the schema does not know are {"tag": N}; custom ones that are no FlexBuffer {"bytes": N, "hex": "..."},
    cut after 64 bytes.
    """
    found: dict[str, Any] = {}
    for table in (operator.builtin_options, operator.builtin_options_2):
        if isinstance(table, OpaqueTable):
            found["tag"] = table.tag
        elif table is not None:
            found.update(_fields(table))
    custom = operator.custom_options or operator.large_custom_options
    if custom:
        found.update(_custom(operator, custom))
    return found


def _fields(table: Table) -> dict[str, Any]:
    names = _NAMES.get(table.table)
    if names is None:
        names = _NAMES[table.table] = tuple(field.attribute for field in schema.fields(table.table))
    return {name: _plain(getattr(table, name)) for name in names}


_NAMES: dict[str, tuple[str, ...]] = {}


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is int or kind is bool or kind is float or kind is str or value is None:
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, SubGraph):
        return value.name
    if isinstance(value, OpaqueTable):
        return {"tag": value.tag}
    if isinstance(value, Table):
        return _fields(value)
    if isinstance(value, NUMBERS):
        return [_plain(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _as_bytes(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, (int, float)) else str(value)


def _custom(operator: Operator, custom: bytes | bytearray | memoryview) -> dict[str, Any]:
    try:
        decoded = operator.flexbuffer()
    except SurgeonError:
        return _as_bytes(custom)
    return _plain(decoded) if isinstance(decoded, dict) else _as_bytes(custom)


def _as_bytes(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    return {"bytes": len(data), "hex": bytes(data[:_UNSHOWN_BYTES]).hex()}
