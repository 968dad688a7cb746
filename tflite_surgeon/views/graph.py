"""A subgraph as a picture shows it: operators joined by the tensors that they hand on, constants inside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.operators import ROLES
from tflite_surgeon.model.objects import BadReference, Model, Operator, SubGraph, Tensor
from tflite_surgeon.rules.registry import Finding
from tflite_surgeon.views.graph_scopes import group
from tflite_surgeon.views.tensors import Kinds, dtype, implied_range

OPERATOR: Final = "operator"
INPUT: Final = "input"
OUTPUT: Final = "output"
OUTSIDE: Final = "outside"
FAR: Final = "far"


@dataclass(frozen=True)
class Value:
    """A tensor as it is written on an edge.

    Attributes:
        index: its number in the subgraph.
        name: as in the file, untrusted.
        type: such as int8.
        shape: dimensions, the shape signature where there is one; None where the file has none.
        range: (min, max) in real units, over all channels; None where nothing tells.
        recorded: the range is what the converter recorded; else it follows from scale, zero point and type.
        kind: what it is there for, one of views.tensors.KINDS.
    """

    index: int
    name: str
    type: str
    shape: tuple[int, ...] | None
    range: tuple[float, float] | None
    recorded: bool
    kind: str


@dataclass(frozen=True)
class Folded:
    """An input that no operator computes, shown inside the operator that reads it.

    Attributes:
        role: such as "weights", or "input 3" where the position has no name.
        tensor: its number in the subgraph; None for a reference that points nowhere.
    """

    role: str
    tensor: int | None


@dataclass(frozen=True)
class GraphNode:
    """An operator, an input or an output of the subgraph, or what stands for some that are not drawn there.

    Attributes:
        key: unique in the graph, made of letters and digits.
        kind: OPERATOR, INPUT or OUTPUT; OUTSIDE and FAR stand for others, see `graph_parts`.
        number: the operator's node number, or the position among inputs or outputs; of OUTSIDE, how many others.
        title: such as CONV_2D, untrusted.
        version: of the operator, else None.
        name: of the tensor that it makes or takes, untrusted.
        scope: labels of the groups that it stands in, outermost first, untrusted.
        folded: inputs shown inside it.
        inputs, outputs: tensors by number; None for one that is not given or points nowhere.
        severity: of the worst finding, "error", "warning" or "note"; None without one.
        findings: positions in the list of findings, the worst first.
        stands_for: of FAR, the key of the node that is meant.
    """

    key: str
    kind: str
    number: int
    title: str
    version: int | None = None
    name: str = ""
    scope: tuple[str, ...] = ()
    folded: tuple[Folded, ...] = ()
    inputs: tuple[int | None, ...] = ()
    outputs: tuple[int | None, ...] = ()
    severity: str | None = None
    findings: tuple[int, ...] = ()
    stands_for: str | None = None


@dataclass(frozen=True)
class GraphEdge:
    """A tensor on its way from one node to another, both by key."""

    source: str
    target: str
    tensor: int


@dataclass(frozen=True)
class Graph:
    """One subgraph, or a part of it.

    Attributes:
        subgraph: its number.
        name: as in the file, untrusted.
        nodes: inputs, operators in execution order, outputs.
        edges: from makers to readers, each once.
        values: the subgraph's tensors, by number.
        operators: how many operators the whole subgraph has.
    """

    subgraph: int
    name: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    values: tuple[Value, ...]
    operators: int


def graph_of(model: Model, subgraph: int = 0, findings: Sequence[Finding] = ()) -> Graph:
    """A subgraph as a graph, with the findings of `check` on its nodes. No constant is read.

    Raises:
        SurgeonError: the model has no such subgraph.
    """
    subgraphs = model.subgraphs or []
    if not 0 <= subgraph < len(subgraphs):
        count = len(subgraphs)
        has = "no subgraphs" if not count else "one subgraph, 0" if count == 1 else f"subgraphs 0 to {count - 1}"
        raise SurgeonError(f"there is no subgraph {subgraph}: the model has {has}")
    return _Builder(subgraphs[subgraph], subgraph, Kinds(model), findings).graph()


def graphs_of(model: Model, findings: Sequence[Finding] = ()) -> list[Graph]:
    """All subgraphs as graphs."""
    kinds = Kinds(model)
    return [
        _Builder(subgraph, number, kinds, findings).graph() for number, subgraph in enumerate(model.subgraphs or ())
    ]


class _Builder:
    """Makes one graph."""

    def __init__(self, subgraph: SubGraph, number: int, kinds: Kinds, findings: Sequence[Finding]) -> None:
        self._subgraph = subgraph
        self._number = number
        self._tensors = subgraph.tensors or []
        self._indices = {id(tensor): index for index, tensor in enumerate(self._tensors)}
        self._kinds = kinds
        self._findings = findings
        # Keys of the nodes that compute each tensor, or give it as an input of the subgraph.
        self._makers: dict[int, list[str]] = {}
        for position, index in enumerate(self._numbers(subgraph.inputs)):
            if index is not None:
                self._makers.setdefault(index, []).append(f"in{position}")
        for position, operator in enumerate(subgraph.operators or ()):
            for index in self._numbers(operator.outputs):
                if index is not None:
                    self._makers.setdefault(index, []).append(f"op{position}")

    def graph(self) -> Graph:
        nodes = [*self._inputs(), *self._operators(), *self._outputs()]
        marks = self._marks(nodes)
        scopes = group({node.key: node.name for node in nodes if node.kind == OPERATOR})
        nodes = [
            replace(
                node,
                scope=scopes.get(node.key, ()),
                findings=tuple(marks.get(node.key, ())),
                severity=self._worst(marks.get(node.key, ())),
            )
            for node in nodes
        ]
        return Graph(
            self._number,
            self._subgraph.name or "",
            tuple(nodes),
            tuple(dict.fromkeys(self._edges(nodes))),
            tuple(value_of(index, tensor, self._kinds.of(tensor)) for index, tensor in enumerate(self._tensors)),
            len(self._subgraph.operators or ()),
        )

    def _numbers(self, tensors: Sequence[Tensor | BadReference | None] | None) -> tuple[int | None, ...]:
        return tuple(self._indices.get(id(item)) for item in tensors or ())

    def _inputs(self) -> Iterator[GraphNode]:
        for position, index in enumerate(self._numbers(self._subgraph.inputs)):
            yield GraphNode(f"in{position}", INPUT, position, "input", name=self._name(index), outputs=(index,))

    def _outputs(self) -> Iterator[GraphNode]:
        for position, index in enumerate(self._numbers(self._subgraph.outputs)):
            folded = (Folded("output", index),) if index is None or index not in self._makers else ()
            name = self._name(index)
            yield GraphNode(f"out{position}", OUTPUT, position, "output", name=name, inputs=(index,), folded=folded)

    def _operators(self) -> Iterator[GraphNode]:
        for position, operator in enumerate(self._subgraph.operators or ()):
            outputs = self._numbers(operator.outputs)
            version = None if isinstance(operator.opcode, BadReference) else operator.opcode.version
            yield GraphNode(
                f"op{position}",
                OPERATOR,
                position,
                operator.name,
                version,
                self._name(outputs[0] if outputs else None),
                folded=tuple(self._folded(operator)),
                inputs=self._numbers(operator.inputs),
                outputs=outputs,
            )

    def _folded(self, operator: Operator) -> Iterator[Folded]:
        for position, item in enumerate(operator.inputs or ()):
            if item is None:
                continue
            index = self._indices.get(id(item))
            if index is None or index not in self._makers:
                yield Folded(role_of(operator, position), index)

    def _name(self, index: int | None) -> str:
        return "" if index is None else self._tensors[index].name or ""

    def _edges(self, nodes: Iterable[GraphNode]) -> Iterator[GraphEdge]:
        for node in nodes:
            for index in node.inputs:
                if index is not None:
                    for maker in self._makers.get(index, ()):
                        yield GraphEdge(maker, node.key, index)

    def _marks(self, nodes: Sequence[GraphNode]) -> dict[str, list[int]]:
        """The findings of each node; one that names only a tensor stands at its maker, else at its first reader."""
        marks: dict[str, list[int]] = {}
        readers: dict[int, str] = {}
        for node in nodes:
            for index in node.inputs:
                if index is not None:
                    readers.setdefault(index, node.key)
        for position, finding in enumerate(self._findings):
            if finding.subgraph != self._number:
                continue
            key = None if finding.operator is None else f"op{finding.operator}"
            if key is None and finding.tensor is not None:
                index = finding.tensor[0]
                key = next(iter(self._makers.get(index, ())), readers.get(index))
            if key is not None:
                marks.setdefault(key, []).append(position)
        return marks

    def _worst(self, marks: Iterable[int]) -> str | None:
        worst = max((self._findings[position].severity for position in marks), default=None)
        return None if worst is None else str(worst)


def role_of(operator: Operator, position: int) -> str:
    """What an operator's input is to it: such as "weights", or "input 3" where the position has no name."""
    roles = ROLES.get(operator.name)
    return roles.inputs[position] if roles and position < len(roles.inputs) else f"input {position}"


def value_of(index: int, tensor: Tensor, kind: str) -> Value:
    """A tensor as it is written on an edge."""
    recorded = _recorded_range(tensor)
    shape = tensor.shape_signature or tensor.shape
    return Value(
        index,
        tensor.name or "",
        dtype(tensor),
        None if shape is None else tuple(shape),
        recorded or implied_range(tensor),
        recorded is not None,
        kind,
    )


def _recorded_range(tensor: Tensor) -> tuple[float, float] | None:
    quantization = tensor.quantization
    if quantization is None or not quantization.min or not quantization.max:
        return None
    return min(quantization.min), max(quantization.max)
