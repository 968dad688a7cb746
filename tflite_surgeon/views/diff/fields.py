"""Fields of tables side by side, in plain values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from enum import IntEnum
from typing import Any

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table
from tflite_surgeon.flatbuffer.vector import NUMBERS
from tflite_surgeon.quantization import float32
from tflite_surgeon.views.diff.result import Change

# Whether two objects that tables refer to are one and the same, and what to call one.
Same = Callable[[Any, Any], bool]
Called = Callable[[Any], Any]

_LONGEST_TEXT = 64


def table_changes(
    a: Any, b: Any, path: str, same: Same, called: Called, leave_out: Collection[str] = ()
) -> Iterator[Change]:
    """Each field in which two tables differ; what is absent equals what is empty.

    Args:
        a, b: tables or None.
        path: the name of the field that holds them, "" for none.
        same, called: for fields that refer to other objects.
        leave_out: attributes of `a` and `b` themselves that are not looked at.
    """
    if a is None and b is None:
        return
    if isinstance(a, OpaqueTable) or isinstance(b, OpaqueTable) or a is None or b is None or a.table != b.table:
        if not (
            isinstance(a, OpaqueTable) and isinstance(b, OpaqueTable) and a.missing and b.missing and a.tag == b.tag
        ):
            yield Change(path, plain(a, called), plain(b, called))
        return
    for field in schema.fields(a.table):
        name = field.attribute
        if name in leave_out:
            continue
        x, y = getattr(a, name), getattr(b, name)
        if field.refers_to:
            if not _same_references(x, y, same):
                yield Change(_joined(path, name), referred(x, called), referred(y, called))
        elif x == y:  # Nearly always.
            continue
        elif field.kind in ("table", "union"):
            yield from table_changes(x, y, _joined(path, name), same, called)
        elif field.kind == "tables":
            yield from _list_changes(x or (), y or (), _joined(path, name), same, called)
        else:
            change = value_change(_joined(path, name), x, y)
            if change is not None:
                yield change


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _same_references(x: Any, y: Any, same: Same) -> bool:
    if isinstance(x, list) or isinstance(y, list):
        return len(x or ()) == len(y or ()) and all(map(same, x or (), y or ()))
    return same(x, y)


def _list_changes(x: Any, y: Any, where: str, same: Same, called: Called) -> Iterator[Change]:
    for index, (p, q) in enumerate(zip(x, y)):
        yield from table_changes(p, q, f"{where}[{index}]", same, called)
    for index in range(min(len(x), len(y)), max(len(x), len(y))):
        p, q = (plain(items[index], called) if index < len(items) else None for items in (x, y))
        yield Change(f"{where}[{index}]", p, q)


def value_change(field: str, x: Any, y: Any) -> Change | None:
    """The change of a number, string, bytes or list of numbers, if there is one."""
    if isinstance(x, NUMBERS) or isinstance(y, NUMBERS):
        p, q = list(x or ()), list(y or ())
        if p == q:
            return None
        if len(p) != len(q):
            return Change(field, plain(x), plain(y))
        differ = sum(1 for pair in zip(p, q) if not _is_same(*pair))
        return Change(field, plain(x), plain(y), differ) if differ else None
    if _is_same(x, y) or (not x and not y and (x is None or y is None)):
        return None
    return Change(field, plain(x), plain(y))


def _is_same(x: Any, y: Any) -> bool:
    """Equality in which NaN equals NaN, and floats count as their field can hold them."""
    if isinstance(x, float) and isinstance(y, float):
        return x == y or (x != x and y != y) or float32(x) == float32(y)
    return bool(x == y)


def plain(value: Any, called: Called = repr) -> Any:
    """A field's value without objects: enum members by name, tables as dicts, bytes as a text of hex digits."""
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex(" ")
    if isinstance(value, OpaqueTable):
        return f"a table of a kind that is not known ({value.tag})"
    if isinstance(value, Table):
        return {
            field.attribute: plain(getattr(value, field.attribute), called)
            if not field.refers_to
            else referred(getattr(value, field.attribute), called)
            for field in schema.fields(value.table)
            if getattr(value, field.attribute) is not None
        }
    if isinstance(value, NUMBERS):
        return [plain(item, called) for item in value]
    return value


def referred(value: Any, called: Called) -> Any:
    """Objects that a field refers to, by what they are called."""
    return [called(item) for item in value] if isinstance(value, list) else called(value)


def readable(data: bytes | bytearray | memoryview | None) -> str | None:
    """Bytes as the short text that they are, without the zeros behind it; None where they are none."""
    if not data or len(data) > _LONGEST_TEXT:
        return None
    text = bytes(data).rstrip(b"\0")
    return text.decode() if text and text.isascii() and text.decode().isprintable() else None
