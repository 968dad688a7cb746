"""What the ways of all runtimes through a model's nodes have in common."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import On, Place, Problem, Stage

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.alike import Group
    from tflite_surgeon.model.objects import BadReference, Model, Operator, SubGraph, Tensor

# Which runtimes use which kernels; nodes that the delegate takes are the exception.
_RUNTIMES = {On.LITERT: "litert-no-delegate", On.V2_14: "tflite-2.14", On.TFLM: "tflm", On.DELEGATE: "litert"}
BY_KERNELS = "litert"
# As many operands are looked through to spare looking at those of each node.
_FEW = 64


def runtimes_of(on: On, taken: bool = False) -> frozenset[str]:
    """The names of the runtimes that use these kernels, for a node that the delegate took or left."""
    names = {name for flag, name in _RUNTIMES.items() if on & flag}
    if on & On.LITERT and not taken:
        names.add(BY_KERNELS)
    return frozenset(names)


class Walk:
    """One runtime's way through the nodes.

    Attributes:
        model: the model.
        problems: what was met so far.
        resources: types of what resource operators keep, by its name.
        operands: tensors as the runtime knows them so far, by identity.
    """

    kernels: On
    micro: bool

    def __init__(self, model: Model) -> None:
        self.model = model
        self.problems: list[Problem] = []
        self.resources: dict[Hashable, str] = {}
        self.operands: dict[int, Operand] = {}
        self._entered: set[int] = set()
        # Those of the operands that are not what the file says; None where that is to be looked up.
        self._changed: set[int] | None = None
        # When the nodes that are walked through now are prepared.
        self._stage = Stage.ALLOCATE

    def operand(self, tensor: Tensor | BadReference) -> Operand:
        self._changed = None  # A node that asks for an operand may change it.
        found = self.operands.get(id(tensor))
        if found is None:
            found = self.operands[id(tensor)] = Operand(cast("Tensor", tensor), self.micro)
        return found

    def _is_healthy(self, operator: Operator, group: Group | None, stage: Stage, taken: bool) -> bool:
        """Whether nothing was found of a node that is like this one."""
        return group is not None and (self.kernels, stage, taken) in group.healthy and self._is_as_stored(operator)

    def _learn(self, operator: Operator, group: Group | None, stage: Stage, taken: bool) -> None:
        """Note that nothing was found of a node: nothing will be of those like it."""
        if group is not None and self._is_as_stored(operator):
            group.healthy.add((self.kernels, stage, taken))

    def _is_as_stored(self, operator: Operator) -> bool:
        """Whether the tensors of a node are still what the file says."""
        if self._changed is None and len(self.operands) <= _FEW:
            self._changed = {key for key, operand in self.operands.items() if not operand.is_as_stored}
        if self._changed is not None and not self._changed:
            return True
        known = self.operands.get
        for tensors in (operator.inputs or (), operator.outputs or ()):
            for tensor in tensors:
                operand = known(id(tensor))
                if operand is not None and not operand.is_as_stored:
                    return False
        return True

    def subgraph(self, named: object) -> tuple[int, SubGraph] | None:
        subgraphs = self.model.subgraphs or ()
        return next(((i, subgraph) for i, subgraph in enumerate(subgraphs) if subgraph is named or i == named), None)

    def prepare_subgraph(
        self, index: int, shapes: Sequence[list[int] | None] | None, stage: Stage | None = None
    ) -> list[Operand] | None:
        subgraphs = self.model.subgraphs or []
        if not 0 <= index < len(subgraphs) or index in self._entered:
            return None
        subgraph = subgraphs[index]
        if shapes is not None:
            for tensor, shape in zip(subgraph.inputs or (), shapes):
                if isinstance(tensor, Table):
                    operand = self.operand(tensor)
                    operand.shape, operand.is_dynamic = (None, True) if shape is None else (list(shape), False)
        self._prepare(index, subgraph, self._stage if stage is None else stage)
        return [self.operand(tensor) for tensor in subgraph.outputs or () if isinstance(tensor, Table)]

    def is_graph_input(self, operand: Operand) -> bool:
        subgraphs = self.model.subgraphs or ()
        return any(tensor is operand.tensor for subgraph in subgraphs for tensor in subgraph.inputs or ())

    def _prepare(self, index: int, subgraph: SubGraph, stage: Stage) -> None:
        raise NotImplementedError

    def _note(self, problems: Iterable[Problem], place: Place | None = None, taken: bool = False) -> None:
        for problem in problems:
            if place is not None:
                problem.place = place
            problem.runtimes = runtimes_of(problem.on, taken)
            if problem.runtimes:
                self.problems.append(problem)
