"""What differs between two models, field by field; objects are matched by their place in their lists."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.misfits import data_bytes
from tflite_surgeon.flatbuffer.tables import OpaqueTable
from tflite_surgeon.model import convert
from tflite_surgeon.model.objects import Model

_CHUNK = 1 << 20
# Pieces of data compared between two calls of `let_go`: each takes up to a large page of memory for each page touched.
_LET_GO_EVERY = 8

# Where outside data lies is the file's business, not the model's.
_LAYOUT_FIELDS = {
    ("Buffer", "offset"),
    ("Buffer", "size"),
    ("Operator", "large_custom_options_offset"),
    ("Operator", "large_custom_options_size"),
}


class Change(NamedTuple):
    """A field that differs: its path, and both values (indices for references, None for absent)."""

    path: str
    before: Any
    after: Any


def changes(before: Model, after: Model) -> Iterator[Change]:
    """Each field in which two models differ; of lists of tables, what one has more than the other."""
    if before.identifier != after.identifier:
        yield Change("identifier", before.identifier, after.identifier)
    yield from _Comparison(before, after).tables(before, after, "")


class _Comparison:
    """Compares two models; of mapped files, what was read is let go of every few megabytes and every few buffers."""

    def __init__(self, before: Model, after: Model) -> None:
        self.references = convert.indices(before), convert.indices(after)
        self.let_go = [model.source.reader.let_go for model in (before, after) if model.source is not None]
        self.looks = 0

    def tables(self, a: Any, b: Any, path: str) -> Iterator[Change]:
        if type(a) is not type(b):
            yield Change(path, a, b)
            return
        if isinstance(a, OpaqueTable):
            if (a.tag, a.missing) != (b.tag, b.missing) or not a.missing:
                yield Change(path, a, b)
            return
        for field in schema.fields(a.table):
            name = field.attribute
            where = f"{path}.{field.name}" if path else field.name
            if field.refers_to:
                x, y = self.references[0][id(a), name], self.references[1][id(b), name]
            else:
                x, y = getattr(a, name), getattr(b, name)
            if x is y or (a.table, field.name) in _LAYOUT_FIELDS:
                continue
            if field.kind in ("table", "union"):
                if x is None or y is None:
                    yield Change(where, x, y)
                else:
                    yield from self.tables(x, y, where)
            elif field.kind == "tables":
                if x is None or y is None:
                    yield Change(where, x, y)
                    continue
                for index, (p, q) in enumerate(zip(x, y)):
                    yield from self.tables(p, q, f"{where}[{index}]")
                for index in range(len(x), len(y)):
                    yield Change(f"{where}[{index}]", None, y[index])
                for index in range(len(y), len(x)):
                    yield Change(f"{where}[{index}]", x[index], None)
            elif field.kind == "data":
                if not self.same_bytes(x, y):
                    yield Change(where, x, y)
            elif not _same_values(field, x, y):
                yield Change(where, x, y)
        if a.table == "Operator" and not self.same_bytes(a.large_custom_options, b.large_custom_options):
            yield Change(f"{path}.large_custom_options", a.large_custom_options, b.large_custom_options)

    def same_bytes(self, a: Any, b: Any) -> bool:
        if a is None or b is None:
            return a is b
        a, b = data_bytes(a, "data"), data_bytes(b, "data")
        if len(a) != len(b):
            return False
        # In pieces: views compare element by element, copies of a whole weight tensor would double the memory.
        for start in range(0, len(a), _CHUNK):
            if bytes(a[start : start + _CHUNK]) != bytes(b[start : start + _CHUNK]):
                return False
            self.looks += 1
            if not self.looks % _LET_GO_EVERY:
                for let_go in self.let_go:
                    let_go()
        return True


def _same_values(field: schema.Field, x: Any, y: Any) -> bool:
    if field.kind == "numbers" and x is not None and y is not None:
        x, y = list(x), list(y)  # An array compares element by element.
    return bool(x == y or _same_numbers(_as_stored(field, x), _as_stored(field, y)))


def _as_stored(field: schema.Field, value: Any) -> Any:
    """Floats as their field can hold them: an edited model may have more digits than the file."""
    if value is None or field.format != "f":
        return value
    is_vector = isinstance(value, (list, array))
    values = value if is_vector else [value]
    layout = struct.Struct(f"<{len(values)}f")
    try:
        stored = list(layout.unpack(layout.pack(*values)))
    except (struct.error, OverflowError):
        return value  # It cannot be written: it differs from whatever can.
    return stored if is_vector else stored[0]


def _same_numbers(a: Any, b: Any) -> bool:
    """Equality in which NaN equals NaN."""
    if isinstance(a, (list, array)) and isinstance(b, (list, array)):
        return len(a) == len(b) and all(map(_same_numbers, a, b))
    return bool(a == b or (a != a and b != b))
