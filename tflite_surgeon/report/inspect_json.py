"""What `inspect` gathers, as strict JSON and as CSV: the same for the same models, one row a line.

Keys are the attributes of the rows and dataclasses in `views`, documented there; a row's `number` is its "index".
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from json.encoder import encode_basestring_ascii
from typing import Any

from tflite_surgeon.report.json_report import as_text, plain
from tflite_surgeon.views import rows as kinds

# The rows of each list.
KINDS = {
    "tensors": kinds.TensorRow,
    "operators": kinds.OperatorRow,
    "buffers": kinds.BufferRow,
    "opcodes": kinds.OpcodeRow,
    "signatures": kinds.SignatureRow,
    "metadata": kinds.MetadataRow,
}
# A list of numbers reads the same in Python and in JSON, except for nan, inf and None: all have this letter.
_SUSPECT = "n"
_AT_ONCE = 1000


def lists_as_json(path: str, lists: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """`{"path", NAME: [rows]}`, in pieces: the whole of a large model's would take much memory."""
    yield f'{{"path": {_text(path)}'
    for name, rows in lists.items():
        yield f",\n{encode_basestring_ascii(name)}: "
        yield from rows_as_json(rows)
    yield "}\n"


def value_as_json(path: str, value: Any) -> str:
    """A dataclass with the path of its model before it, indented; NaN and infinities as strings."""
    return json.dumps({"path": as_text(path), **structure(value)}, indent=2, allow_nan=False)


def structure(value: Any) -> Any:
    """Dataclasses and rows as objects of JSON, with all that is in them."""
    if is_dataclass(value):
        return {field.name: structure(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_fields"):
        return {name: structure(item) for name, item in zip(columns(value), value)}
    if isinstance(value, dict):
        return {as_text(str(key)): structure(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [structure(item) for item in value]
    return plain(_listed(value))


def rows_as_json(rows: Sequence[Any]) -> Iterator[str]:
    """Rows of one kind as a JSON array of objects, one a line, in pieces.

    Made column by column: a model has a hundred thousand tensors.
    """
    if not rows:
        yield "[]"
        return
    kind = type(rows[0])
    line = f"{{{', '.join(f'{encode_basestring_ascii(name)}: %s' for name in columns(kind))}}}"
    hints = (getattr(hint, "__forward_arg__", str(hint)) for hint in kind.__annotations__.values())
    converters = [_converter(hint) for hint in hints]
    for start in range(0, len(rows), _AT_ONCE):
        texts = [map(convert, column) for convert, column in zip(converters, zip(*rows[start : start + _AT_ONCE]))]
        yield ",\n" if start else "[\n"
        yield ",\n".join(map(line.__mod__, zip(*texts)))
    yield "\n]"


def columns(kind: Any) -> tuple[str, ...]:
    """The keys of a row, in their order."""
    return tuple("index" if name == "number" else name for name in kind._fields)


def _converter(annotation: str) -> Callable[[Any], str]:
    if annotation.startswith(("Sequence[int", "Sequence[float")):
        return _Numbers()
    if annotation.startswith("str"):
        return _text
    return _whole if annotation.startswith("int") else _any


class _Numbers:
    """Lists of numbers; short ones, such as shapes and the scales of activations, come again and again."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], str] = {}

    def __call__(self, value: Any) -> str:
        if not value:
            return "null" if value is None else "[]"
        if type(value) is not list or (type(value[0]) is float and 0.0 in value):  # -0.0 equals 0.0.
            return _number_list(value)
        key = tuple(value)
        text = self._known.get(key)
        if text is None:
            text = self._known[key] = _number_list(value)
        return text


def _number_list(value: Any) -> str:
    text = repr(value)
    return text if _SUSPECT not in text and text[0] == "[" else _any(value)


def _text(value: str | None) -> str:
    if value is None:
        return "null"
    return encode_basestring_ascii(value if value.isascii() else as_text(value))


def _whole(value: int | None) -> str:
    return "null" if value is None else str(int(value))


def _any(value: Any) -> str:
    return json.dumps(plain(_listed(value)), allow_nan=False)


def _listed(value: Any) -> Any:
    """Long vectors of numbers as lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def rows_as_csv(kind: Any, rows: Sequence[Any]) -> str:
    """Rows of one kind with a line of column names; lists of numbers are separated by spaces, None is empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns(kind))
    writer.writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue()


def values_as_csv(value: Any) -> str:
    """Any plain value as lines of path and value, such as `operators[0].name,CONV_2D`."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(("path", "value"))
    writer.writerows((path, _cell(item)) for path, item in _leaves("", structure(value)))
    return written.getvalue()


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if path else as_text(str(key)), item)
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(f"{path}[{number}]", item)
    else:
        yield path, value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, dict):
        return _any(value) if value else ""
    value = _listed(value)
    if isinstance(value, (list, tuple)):
        return " ".join(_cell(item) if not isinstance(item, tuple) else ":".join(map(str, item)) for item in value)
    return str(plain(value))
