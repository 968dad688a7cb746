"""What differs between two models, field by field; objects are matched by their place in their lists."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.misfits import data_bytes
from tflite_surgeon.flatbuffer.tables import OpaqueTable, References
from tflite_surgeon.flatbuffer.vector import NUMBERS
from tflite_surgeon.model import convert
from tflite_surgeon.model.compiled import LAYOUT_FIELDS, comparison
from tflite_surgeon.model.objects import Model

# Small enough for the memory of a piece to be used again for the next, and to stay near the processor.
_CHUNK = 1 << 18
# Pieces of data compared between two calls of `let_go`: each takes up to a large page of memory for each page touched.
_LET_GO_EVERY = 8


# Tables that refer to the tensors of a subgraph, and where it is.
_WITH_TENSORS: dict[str, Callable[[Any], Any]] = {
    "SubGraph": lambda subgraph: subgraph,
    "SignatureDef": lambda signature: signature.subgraph,
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
        self.models = before, after
        for model in self.models:
            convert.enter_buffers(model)
        self.let_go = [model.source.reader.let_go for model in (before, after) if model.source is not None]
        self.looks = 0
        # For each object that references point to, by its identity, the one that stands in its place over there.
        self.twins: dict[int, Any] = {id(None): None}
        others = convert.global_lists(after)
        for name, objects in convert.global_lists(before).items():
            self.twins.update(_pairs(objects, others[name]))

    @cached_property
    def references(self) -> tuple[References, References]:
        """What references are as numbers: asked of the few tables that are not found the same at once."""
        before, after = self.models
        return convert.indices(before), convert.indices(after)

    def unlike(self, table: str, a: list[Any], b: list[Any]) -> Iterator[tuple[int, Any, Any]]:
        """Of two lists those in the same places that are not the same, with their places; some of them may be."""
        same, twin, same_bytes = comparison(table), self.twins.__getitem__, self.same_bytes
        for index, (p, q) in enumerate(zip(a, b)):
            try:
                if same(p, q, twin, same_bytes):
                    continue
            except (KeyError, ValueError):  # A reference to nowhere, an array.
                pass
            yield index, p, q

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
                if self.same_references(getattr(a, name), getattr(b, name)):
                    continue
                x, y = self.references[0][name][id(a)], self.references[1][name][id(b)]
            else:
                x, y = getattr(a, name), getattr(b, name)
            if x is y or (a.table, field.name) in LAYOUT_FIELDS:
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
                if field.type in _WITH_TENSORS:
                    for index, (p, q) in enumerate(zip(x, y)):
                        with self.tensors_of(*map(_WITH_TENSORS[field.type], (p, q))):
                            yield from self.tables(p, q, f"{where}[{index}]")
                else:
                    for index, p, q in self.unlike(field.type, x, y):
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

    def same_references(self, a: Any, b: Any) -> bool:
        """Whether two fields refer to objects in the same places; no may be wrong, yes never is."""
        try:
            if isinstance(a, list):
                return isinstance(b, list) and [self.twins[id(item)] for item in a] == b
            return self.twins[id(a)] is b
        except KeyError:
            return False

    @contextmanager
    def tensors_of(self, a: Any, b: Any) -> Iterator[None]:
        """Where references to tensors are those of two subgraphs."""
        pairs = _pairs(getattr(a, "tensors", None), getattr(b, "tensors", None))
        self.twins.update(pairs)
        yield
        for key in pairs:
            self.twins.pop(key, None)

    def same_bytes(self, a: Any, b: Any) -> bool:
        if a is b or a is None or b is None:
            return a is b
        a, b = data_bytes(a, "data"), data_bytes(b, "data")
        if len(a) != len(b):
            return False
        if len(a) <= _CHUNK:
            same = bytes(a) == bytes(b)  # Views compare element by element.
            self.look()
            return same
        for start in range(0, len(a), _CHUNK):
            # Of equal length: that one starts with the other spares a copy.
            if not bytes(a[start : start + _CHUNK]).startswith(b[start : start + _CHUNK]):
                return False
            self.look()
        return True

    def look(self) -> None:
        self.looks += 1
        if not self.looks % _LET_GO_EVERY:
            for let_go in self.let_go:
                let_go()


def _pairs(a: list[Any] | None, b: list[Any] | None) -> dict[int, Any]:
    """Of each object in a list the one in the same place; none where a list holds one twice, which has two places."""
    a, b = a or [], b or []
    if len({*map(id, a)}) < len(a) or len({*map(id, b)}) < len(b):
        return {}
    return dict(zip(map(id, a), b))


def _same_values(field: schema.Field, x: Any, y: Any) -> bool:
    if field.kind == "numbers" and x is not None and y is not None:
        x, y = list(x), list(y)  # An array compares element by element.
    return bool(x == y or _same_numbers(_as_stored(field, x), _as_stored(field, y)))


def _as_stored(field: schema.Field, value: Any) -> Any:
    """Floats as their field can hold them: an edited model may have more digits than the file."""
    if value is None or field.format != "f":
        return value
    is_vector = isinstance(value, NUMBERS)
    values = value if is_vector else [value]
    layout = struct.Struct(f"<{len(values)}f")
    try:
        stored = list(layout.unpack(layout.pack(*values)))
    except (struct.error, OverflowError):
        return value  # It cannot be written: it differs from whatever can.
    return stored if is_vector else stored[0]


def _same_numbers(a: Any, b: Any) -> bool:
    """Equality in which NaN equals NaN."""
    if isinstance(a, NUMBERS) and isinstance(b, NUMBERS):
        return len(a) == len(b) and all(map(_same_numbers, a, b))
    return bool(a == b or (a != a and b != b))
