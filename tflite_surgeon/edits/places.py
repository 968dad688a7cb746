"""Where the objects of a model stood in the file, whatever is added and removed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.model.objects import Model

_LISTS = ("buffers", "operator_codes", "subgraphs", "metadata", "signature_defs")


class _Row(NamedTuple):
    """Objects of a list, or one field of each: their paths are prefix[number]suffix."""

    prefix: str
    suffix: str
    items: Sequence[Any]
    numbers: dict[int, int]


class Places:
    """The paths of a model's objects, as they are when this is made; new objects are added as they come."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._new: dict[int, str] = {}
        self._rows = list(_rows(model))

    def of(self, item: Any) -> str:
        """Where an object stood in the file, or where a new one was put; "new" where it stands nowhere."""
        if item is self._model:
            return "model"
        found = self._new.get(id(item))
        if found is not None:
            return found
        for row in self._rows:
            number = row.numbers.get(id(item))
            if number is not None:
                return f"{row.prefix}[{number}]{row.suffix}"
        return self._others.get(id(item), "new")

    def add(self, item: Any, path: str) -> None:
        """Note where a new object was put, and with it what it holds."""
        self._new[id(item)] = path
        for identity, inside in _inside(item, path):
            self._new.setdefault(identity, inside)

    @cached_property
    def _others(self) -> dict[int, str]:
        """What lies deeper than the rows: rarely asked for."""
        found: dict[int, str] = {}
        for row in self._rows:
            if not row.suffix:
                for number, item in enumerate(row.items):
                    found.update(_inside(item, f"{row.prefix}[{number}]"))
        return found


def _rows(model: Model) -> Iterator[_Row]:
    for name in _LISTS:
        yield _row(name, getattr(model, name))
    for number, subgraph in enumerate(model.subgraphs or ()):
        tensors, operators = subgraph.tensors or [], subgraph.operators or []
        path = f"subgraphs[{number}]"
        yield _row(f"{path}.tensors", tensors)
        yield _row(f"{path}.tensors", [tensor.quantization for tensor in tensors], ".quantization")
        yield _row(f"{path}.operators", operators)
        yield _row(f"{path}.operators", [operator.builtin_options for operator in operators], ".builtin_options")


def _row(prefix: str, items: Sequence[Any] | None, suffix: str = "") -> _Row:
    kept = list(items or ())
    # The first place of what stands in several counts.
    numbers = dict(zip(map(id, reversed(kept)), range(len(kept) - 1, -1, -1)))
    numbers.pop(id(None), None)
    return _Row(prefix, suffix, kept, numbers)


def _inside(item: Any, path: str) -> Iterator[tuple[int, str]]:
    """An object and all that it holds, with their paths."""
    if not isinstance(item, Table):
        return
    yield id(item), path
    for field in schema.fields(item.table) if item.table in schema.TABLES else ():
        if field.kind in ("table", "union"):
            yield from _inside(getattr(item, field.attribute), f"{path}.{field.attribute}")
        elif field.kind == "tables":
            for number, entry in enumerate(getattr(item, field.attribute) or ()):
                yield from _inside(entry, f"{path}.{field.attribute}[{number}]")
