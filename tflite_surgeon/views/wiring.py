"""Who makes a tensor and who reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tflite_surgeon.model.objects import Operator, SubGraph, Tensor


class End(NamedTuple):
    """An operator's input or output: the operator, its node number, the position among its inputs or outputs."""

    operator: Operator
    number: int
    position: int


class Wiring:
    """The neighbours within a subgraph that does not change meanwhile, by identity; walked once."""

    def __init__(self, subgraph: SubGraph) -> None:
        self._writers: dict[int, list[End]] = {}
        self._readers: dict[int, list[End]] = {}
        for number, operator in enumerate(subgraph.operators or ()):
            for ends, tensors in ((self._readers, operator.inputs), (self._writers, operator.outputs)):
                for position, tensor in enumerate(tensors or ()):
                    ends.setdefault(id(tensor), []).append(End(operator, number, position))

    def writers(self, tensor: Tensor) -> list[End]:
        """The operators that compute it: one in a sound model, none for inputs and constants."""
        return self._writers.get(id(tensor), [])

    def readers(self, tensor: Tensor) -> list[End]:
        """The operators that read it, an operator as often as it does."""
        return self._readers.get(id(tensor), [])

    def before(self, operator: Operator) -> list[End]:
        """The operators that compute its inputs, each once, in their order."""
        return _distinct(
            end for item in operator.inputs or () if isinstance(item, Tensor) for end in self.writers(item)
        )

    def after(self, operator: Operator) -> list[End]:
        """The operators that read its outputs, each once, in their order."""
        return _distinct(
            end for item in operator.outputs or () if isinstance(item, Tensor) for end in self.readers(item)
        )


def _distinct(ends: Iterable[End]) -> list[End]:
    by_number = {end.number: end for end in ends}
    return [by_number[number] for number in sorted(by_number)]
