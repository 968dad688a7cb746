"""Which value of a model it is that cannot be written: asked only once writing has failed, and told with its path."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError
from typing import Any

from tflite_surgeon.errors import EncodeError
from tflite_surgeon.flatbuffer import encoders, schema
from tflite_surgeon.flatbuffer.schema import Field
from tflite_surgeon.flatbuffer.tables import OpaqueTable, References


def misfit(root: Any, references: References) -> EncodeError | None:
    """The first value that does not fit its field, or None where all do."""
    return next(_table(root, "model", references), None)


def _table(table: Any, path: str, references: References) -> Iterator[EncodeError]:
    for field in schema.fields(table.table):
        value = references[field.attribute][id(table)] if field.refers_to else getattr(table, field.attribute)
        where = f"{path}.{field.name}"
        if field.kind == "scalar":
            yield from _packed(f"<{field.format}", [value], value, where)
        elif value is None:
            continue
        elif field.kind == "numbers":
            yield from _numbers(field, value, where)
        elif field.kind == "union":
            yield from _union(field, value, where, references)
        elif field.kind == "table":
            yield from _expected(field, value, where, references)
        elif field.kind == "tables":
            for index, item in enumerate(value):
                yield from _expected(field, item, f"{where}[{index}]", references)
        elif field.kind == "strings":
            for index, item in enumerate(value):
                yield from _text(item, f"{where}[{index}]")
        elif field.kind == "string":
            yield from _text(value, where)
        else:
            yield from _data(value, where)


def _expected(field: Field, value: Any, path: str, references: References) -> Iterator[EncodeError]:
    if getattr(value, "table", None) != field.type:
        yield EncodeError(f"{path} holds {value!r:.80}, expected a {field.type}")
    else:
        yield from _table(value, path, references)


def _union(field: Field, value: Any, path: str, references: References) -> Iterator[EncodeError]:
    if isinstance(value, OpaqueTable):
        if not value.missing:
            yield EncodeError(
                f"{path} holds union member {value.tag}, which this schema does not know: "
                "it can be kept in place, but not written anew"
            )
    elif getattr(value, "table", None) not in schema.UNIONS[field.type]:
        yield EncodeError(f"{path} holds a {getattr(value, 'table', value)}, which is no member of {field.type}")
    else:
        yield from _table(value, path, references)


def _numbers(field: Field, value: Any, path: str) -> Iterator[EncodeError]:
    try:
        values = list(value)
    except TypeError as error:
        yield cannot_hold(path, value, error)
    else:
        yield from _packed(f"<{len(values)}{field.format}", values, value, path)


def _packed(pattern: str, values: list[Any], value: Any, path: str) -> Iterator[EncodeError]:
    try:
        Struct(pattern).pack(*values)
    except (StructError, OverflowError, TypeError) as error:
        yield cannot_hold(path, value, error)


def _text(value: Any, path: str) -> Iterator[EncodeError]:
    try:
        string_bytes(value, path)
    except EncodeError as error:
        yield error


def _data(value: Any, path: str) -> Iterator[EncodeError]:
    try:
        data_bytes(value, path)
    except EncodeError as error:
        yield error


def string_bytes(value: Any, path: str) -> bytes:
    """A string as it is stored.

    Raises:
        EncodeError: not a string, or one that UTF-8 cannot say.
    """
    try:
        return bytes(value.encode("utf-8", "surrogateescape"))
    except (AttributeError, TypeError, UnicodeError) as error:
        raise cannot_hold(path, value, error) from None


def data_bytes(value: Any, path: str) -> bytes | bytearray | memoryview:
    """Data as something whose length is its number of bytes, not copied.

    Raises:
        EncodeError: it has no bytes, or not in one piece.
    """
    try:
        return encoders.data_bytes(value)
    except (TypeError, ValueError) as error:
        raise cannot_hold(path, value, error) from None


def cannot_hold(path: str, value: Any, error: Exception) -> EncodeError:
    """The refusal of a value."""
    return EncodeError(f"{path} cannot hold {value!r:.80}: {error}")
