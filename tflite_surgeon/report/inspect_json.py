"""What `inspect` gathers, as strict JSON and as CSV: the same for the same models, one row a line.

Keys are the attributes of the rows and dataclasses in `views`, documented there; a row's `number` is its "index".
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from tflite_surgeon.flatbuffer.vector import Vector
from tflite_surgeon.quantization import are_zero
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
    names = [encode_basestring_ascii(name) for name in columns(kind)]
    hints = (getattr(hint, "__forward_arg__", str(hint)) for hint in kind.__annotations__.values())
    converters = [_converter(hint) for hint in hints]
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        texts = [convert(column) for convert, column in zip(converters, zip(*some))]
        # What is the same in all of these rows is part of their pattern.
        line = f"{{{', '.join(f'{name}: {_pattern(text)}' for name, text in zip(names, texts))}}}"
        varying = [text for text in texts if not isinstance(text, str)]
        yield ",\n" if start else "[\n"
        yield ",\n".join(map(line.__mod__, zip(*varying)) if varying else [line % ()] * len(some))
    yield "\n]"


# The texts of a column: one for each row, or a single one for all.
_Texts = Iterable[str] | str


def _pattern(text: _Texts) -> str:
    return text.replace("%", "%%") if isinstance(text, str) else "%s"


def columns(kind: Any) -> tuple[str, ...]:
    """The keys of a row, in their order."""
    return tuple("index" if name == "number" else name for name in kind._fields)


def _converter(annotation: str) -> Callable[[Sequence[Any]], _Texts]:
    if annotation.startswith("Sequence[int"):
        return _whole_lists
    if annotation.startswith("Sequence[float"):
        return _Floats()
    if annotation.startswith("str"):
        return _texts
    return _wholes if annotation.startswith("int") else _anything


def _is_one(values: Sequence[Any]) -> bool:
    """Whether numbers, texts or Nones are all the same."""
    return values.count(values[0]) == len(values)


def _wholes(values: Sequence[int | None]) -> _Texts:
    if set(map(type, values)) != {int}:
        return "null" if set(values) == {None} else map(_whole, values)
    return str(values[0]) if _is_one(values) else map(str, values)


def _texts(values: Sequence[str | None]) -> _Texts:
    if _is_one(values):
        return _text(values[0])
    if None in values or not all(map(str.isascii, values)):  # type: ignore[arg-type]
        return map(_text, values)
    return map(encode_basestring_ascii, values)  # type: ignore[arg-type]


def _whole_lists(values: Sequence[Any]) -> _Texts:
    """Lists of integers: written at once and taken apart again, which takes no Python for each."""
    kinds = set(map(type, values))
    if kinds == {type(None)}:
        return "null"
    if Vector in kinds:
        return map(_whole_list, values)
    text = repr([value if value.__class__ is not tuple else [*value] for value in values])
    # Whatever is no list of integers has one of these letters; None has it too.
    if _SUSPECT in text or "(" in text:
        return map(_number_list, values)
    return [f"[{numbers}]" for numbers in text[2:-2].split("], [")]


class _Floats:
    """Lists of floats; short ones, such as the scales of activations, come again and again."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], str] = {}

    def __call__(self, values: Sequence[Any]) -> _Texts:
        return "null" if set(map(type, values)) == {type(None)} else map(self._list, values)

    def _list(self, value: Any) -> str:
        if not value:
            return "null" if value is None else "[]"
        if type(value) is not list or 0.0 in value:  # -0.0 equals 0.0.
            return _number_list(value)
        key = tuple(value)
        text = self._known.get(key)
        if text is None:
            text = self._known[key] = _number_list(value)
        return text


def _whole_list(value: Any) -> str:
    """A list of integers: nearly all long ones are the zero points of weights, which are 0."""
    if value.__class__ is Vector and are_zero(value):
        return _zeros(len(value))
    return _number_list(value)


@lru_cache(maxsize=64)
def _zeros(count: int) -> str:
    return repr([0] * count)


def _number_list(value: Any) -> str:
    if not value:
        return "null" if value is None else "[]"
    count = len(value)
    if count > 1 and isinstance(value[0], float):
        # 17 digits are that number and no other, and take little more than half the time of the fewest that are.
        text = _many_digits(count) % tuple(value)
        if text.count(".") == count:  # Whole numbers and NaN have none.
            return text
    text = repr(value)
    return text if _SUSPECT not in text and text[0] == "[" else _any(value)


@lru_cache(maxsize=64)
def _many_digits(count: int) -> str:
    return f"[{', '.join(['%.17g'] * count)}]"


def _text(value: str | None) -> str:
    if value is None:
        return "null"
    return encode_basestring_ascii(value if value.isascii() else as_text(value))


def _whole(value: int | None) -> str:
    return "null" if value is None else str(int(value))


def _anything(values: Sequence[Any]) -> _Texts:
    return map(_any, values)


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
