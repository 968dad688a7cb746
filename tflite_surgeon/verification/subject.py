"""A model to be run: its bytes, its inputs and outputs, and how they are paired with another's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Model, Operator, SubGraph, Tensor
from tflite_surgeon.model.saving import dumps
from tflite_surgeon.verification.measuring import gauge
from tflite_surgeon.views.tensors import is_constant
from tflite_surgeon.views.wiring import Wiring

# Types whose tensors hold no values that an interpreter hands out.
_HANDLES = frozenset({"RESOURCE", "VARIANT"})


class Subject:
    """The first subgraph of a model, as the interpreters run it; the model does not change meanwhile."""

    def __init__(self, model: Model, label: str) -> None:
        """Take the model and what to call it.

        Raises:
            SurgeonError: it has no subgraph, or an input or output that is no tensor, or it cannot be written.
        """
        self.model = model
        self.label = label
        if not model.subgraphs:
            raise SurgeonError(f"{label} has no subgraph to run")
        self.graph: SubGraph = model.subgraphs[0]
        self.inputs = self._tensors(self.graph.inputs, "input")
        self.outputs = self._tensors(self.graph.outputs, "output")
        self.wiring = Wiring(self.graph)
        self.numbers = {id(tensor): number for number, tensor in enumerate(self.graph.tensors or ())}

    def _tensors(self, items: Sequence[object] | None, what: str) -> list[Tensor]:
        found = []
        for number, item in enumerate(items or ()):
            if not isinstance(item, Tensor):
                raise SurgeonError(f"{what} {number} of {self.label} refers to no tensor")
            found.append(item)
        return found

    @cached_property
    def data(self) -> bytes | str:
        """What an interpreter is to load: the file where it is as the model, so that files it names are found."""
        written = dumps(self.model)
        source = self.model.source
        if source is not None and source.path is not None and source.c_array is None and not source.changed():
            with memoryview(source.raw) as raw:
                if raw == written:
                    return os.path.abspath(source.path)
        return written

    @cached_property
    def reads(self) -> dict[int, list[int]]:
        """By the number of a computed tensor, those of the tensors that its operator reads."""
        found = {}
        for operator in self.graph.operators or ():
            inputs, outputs = (
                [self.numbers[id(item)] for item in items or () if id(item) in self.numbers]
                for items in (operator.inputs, operator.outputs)
            )
            found.update(dict.fromkeys(outputs, inputs))
        return found

    def intermediates(self) -> list[Tensor]:
        """What operators compute, in execution order, each tensor once."""
        found: dict[int, Tensor] = {}
        for operator in self.graph.operators or ():
            for item in operator.outputs or ():
                if isinstance(item, Tensor) and item.type_name not in _HANDLES and not is_constant(item):
                    found.setdefault(id(item), item)
        return [tensor for tensor in found.values() if id(tensor) in self.numbers]

    def writer(self, tensor: Tensor) -> tuple[int, str] | None:
        """The node number and name of the operator that computes a tensor."""
        ends = self.wiring.writers(tensor)
        return (ends[0].number, ends[0].operator.name) if ends else None

    def step(self, tensor: Tensor) -> float | None:
        """One quantum in real units; of a float that DEQUANTIZE made, of what it was made from; None: there is none."""
        own = gauge(tensor)
        if own.scales:
            return own.step
        for end in self.wiring.writers(tensor):
            source = _first_input(end.operator)
            if end.operator.name == "DEQUANTIZE" and source is not None and gauge(source).scales:
                return gauge(source).step
        return None

    def signature_names(self, inputs: bool) -> dict[str, Tensor]:
        """Inputs or outputs by the names that signatures of this subgraph give them."""
        found: dict[str, Tensor] = {}
        for signature in self.model.signature_defs or ():
            if signature.subgraph is self.graph:
                for entry in (signature.inputs if inputs else signature.outputs) or ():
                    if entry.name and isinstance(entry.tensor, Tensor):
                        found.setdefault(entry.name, entry.tensor)
        return found


def _first_input(operator: Operator) -> Tensor | None:
    first = operator.inputs[0] if operator.inputs else None
    return first if isinstance(first, Tensor) else None


def pair_ends(before: Subject, after: Subject, inputs: bool) -> list[int]:
    """For each input (or output) of BEFORE, the position of its partner in AFTER.

    By the names of signatures where both have the same, else by tensor names where both have the same, else by
    position.

    Raises:
        SurgeonError: the numbers of inputs or outputs differ.
    """
    first, second = (one.inputs if inputs else one.outputs for one in (before, after))
    if len(first) != len(second):
        what = "inputs" if inputs else "outputs"
        raise SurgeonError(f"{before.label} has {len(first)} {what} and {after.label} has {len(second)}")
    places = {id(tensor): number for number, tensor in enumerate(second)}
    ours, theirs = before.signature_names(inputs), after.signature_names(inputs)
    keys = {id(tensor): name for name, tensor in ours.items()}
    if set(ours) == set(theirs) and all(id(tensor) in keys for tensor in first):
        found = [places.get(id(theirs[keys[id(tensor)]])) for tensor in first]
        if _is_permutation(found):
            return [number for number in found if number is not None]
    by_name = {tensor.name: number for number, tensor in enumerate(second) if tensor.name}
    found = [by_name.get(tensor.name or "") for tensor in first]
    if _is_permutation(found):
        return [number for number in found if number is not None]
    return list(range(len(first)))


def _is_permutation(found: Sequence[int | None]) -> bool:
    return set(found) == set(range(len(found)))


def pair_tensors(before: Subject, after: Subject) -> list[tuple[Tensor, Tensor]]:
    """Intermediates of both: by name where it names one in each, else by number; in BEFORE's execution order."""
    firsts, seconds = before.intermediates(), after.intermediates()
    names = [_unique_names(tensors) for tensors in (firsts, seconds)]
    by_number = {after.numbers[id(tensor)]: tensor for tensor in seconds}
    pairs = []
    for tensor in firsts:
        name = tensor.name or ""
        partner = names[1].get(name) if name in names[0] else None
        if partner is None:
            partner = by_number.get(before.numbers[id(tensor)])
            if partner is None or (partner.name in names[1] and partner.name in names[0]):
                continue  # There is none, or it belongs to another.
        pairs.append((tensor, partner))
    return pairs


def _unique_names(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    twice = set()
    for tensor in tensors:
        if tensor.name in found:
            twice.add(tensor.name)
        found[tensor.name or ""] = tensor
    return {name: tensor for name, tensor in found.items() if name and name not in twice}
