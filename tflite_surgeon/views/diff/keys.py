"""What an operator can be recognised by, from everything about it to its kind alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Any

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table
from tflite_surgeon.model.objects import Operator, SubGraph, Tensor
from tflite_surgeon.views.wiring import End, Wiring

# Data longer than this is recognised by pieces of it: what is taken for the same is compared in full afterwards.
_WHOLE = 1 << 16
_PIECE = 1 << 12
# Constants shorter than this, such as axes and shapes, do not tell one operator from another.
_TELLING = 64


class OperatorKeys:
    """Keys of a subgraph's operators by node number, made when asked for; None where an operator has none.

    Args:
        subgraph: the operators' own.
        wiring: its neighbours.
        looked_at: told how many bytes of a constant were looked at.
    """

    def __init__(self, subgraph: SubGraph, wiring: Wiring, looked_at: Callable[[int], None]) -> None:
        self._looked_at = looked_at
        self.operators: list[Operator] = subgraph.operators or []
        self._wiring = wiring
        self._ends = {id(item): f"input {place}" for place, item in enumerate(subgraph.inputs or ())}
        self._results = {id(item): f"output {place}" for place, item in enumerate(subgraph.outputs or ())}
        self._digests: dict[int, Hashable] = {}
        self._settings: dict[int, Hashable] = {}

    def identity(self, number: int) -> Hashable:
        """Everything: what `setting` says, and all names."""
        return self.setting(number), self._names(number, "inputs"), self._names(number, "outputs")

    def content(self, number: int) -> Hashable:
        """The kind and the constants, where they are long enough to tell."""
        operator = self.operators[number]
        constants = [item for item in operator.inputs or () if isinstance(item, Tensor) and item.data]
        size = sum(len(item.data or b"") for item in constants)
        return (operator.name, tuple(map(self._digest, constants))) if size >= _TELLING else None

    def result(self, number: int) -> Hashable:
        """The kind and the names of the outputs."""
        names = self._names(number, "outputs")
        return (self.operators[number].name, names) if any(names) else None

    def output_names(self, number: int) -> Hashable:
        """The names of the outputs, whatever computes them."""
        names = self._names(number, "outputs")
        return names if any(names) else None

    def surroundings(self, number: int) -> Hashable:
        """What `setting` says of it, of those that compute its inputs and of those that read its outputs."""
        operator = self.operators[number]
        before = tuple(
            [self._ends.get(id(item)), *((end.position, self.setting(end.number)) for end in self._writers(item))]
            for item in operator.inputs or ()
        )
        after = tuple(
            [self._results.get(id(item)), *((end.position, self.setting(end.number)) for end in self._readers(item))]
            for item in operator.outputs or ()
        )
        return self.setting(number), repr(before), repr(after)

    def _writers(self, item: Any) -> list[End]:
        return self._wiring.writers(item) if isinstance(item, Tensor) else []

    def _readers(self, item: Any) -> list[End]:
        return self._wiring.readers(item) if isinstance(item, Tensor) else []

    def setting(self, number: int) -> Hashable:
        """What `form` says, and the constants."""
        found = self._settings.get(number)
        if found is None:
            inputs = self.operators[number].inputs or ()
            constants = tuple(self._digest(item) if isinstance(item, Tensor) else None for item in inputs)
            # As one number: a key is compared and counted many times.
            found = self._settings[number] = hash((self.form(number), constants))
        return found

    def form(self, number: int) -> Hashable:
        """The kind, the options, and types and shapes of inputs and outputs."""
        operator = self.operators[number]
        tensors = tuple(tuple(map(_form, items or ())) for items in (operator.inputs, operator.outputs))
        return operator.name, frozen(operator.builtin_options), frozen(operator.builtin_options_2), tensors

    def kind(self, number: int) -> Hashable:
        """The kind."""
        return self.operators[number].name

    def _names(self, number: int, which: str) -> tuple[str | None, ...]:
        return tuple(
            item.name if isinstance(item, Tensor) else None for item in getattr(self.operators[number], which) or ()
        )

    def _digest(self, tensor: Tensor) -> Hashable:
        key = id(tensor.buffer)
        found = self._digests.get(key)
        if found is None:
            found = self._digests[key] = digest(tensor.data)
            self._looked_at(len(tensor.data or b""))
        return found


def digest(data: bytes | bytearray | memoryview | None) -> Hashable:
    """A short stand-in for data; of long data, for its length and pieces of it."""
    if not data:
        return b""
    size = len(data)
    if size <= _WHOLE:
        return hashlib.blake2b(data, digest_size=8).digest()
    step = (size - _PIECE) // (_WHOLE // _PIECE - 1)
    pieces = b"".join(data[start : start + _PIECE] for start in range(0, size - _PIECE + 1, step))
    return size, hashlib.blake2b(pieces, digest_size=8).digest()


def _form(tensor: Any) -> Hashable:
    return (int(tensor.type), tuple(tensor.shape or ())) if isinstance(tensor, Tensor) else None


def frozen(table: Any) -> Hashable:
    """A table's values as something that can be compared at once; what it refers to is left out."""
    if isinstance(table, OpaqueTable):
        return table.tag, table.missing
    if not isinstance(table, Table):
        return None
    values: list[Hashable] = [table.table]
    for field in schema.fields(table.table):
        value = getattr(table, field.attribute)
        if field.refers_to:
            continue
        if field.kind in ("table", "union"):
            values.append(frozen(value))
        elif field.kind == "tables":
            values.append(tuple(map(frozen, value or ())))
        elif field.kind in ("numbers", "strings"):
            values.append(tuple(value or ()))
        else:
            values.append(repr(value) if isinstance(value, float) else value)
    return tuple(values)
