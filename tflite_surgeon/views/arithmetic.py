"""What kind of numbers each operator computes in, and the kind of quantisation that makes of the whole model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from tflite_surgeon.model.objects import Model, Node, Operator, Tensor
from tflite_surgeon.views.tensors import FLOATS, WEIGHTS, is_constant, is_quantized, learned

FLOAT = "float"
FLOAT16_WEIGHTS = "float16-weights"
HYBRID = "dynamic-range"
WEIGHT_ONLY = "weight-only"
INT8 = "int8"
UINT8 = "uint8"
INT16 = "16x8"
OTHER_INTEGER = "integer"
CONVERSION = "conversion"
NEUTRAL = "neutral"

_INTEGER_KINDS = {"INT8": INT8, "UINT8": UINT8, "INT16": INT16}
_FLOATING = frozenset({FLOAT, FLOAT16_WEIGHTS, HYBRID, WEIGHT_ONLY})
_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE", "FAKE_QUANT"})
_UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY"})
_NO_FLOATS = (
    "A microcontroller or accelerator that computes in integers only cannot run them, and elsewhere every border costs "
    "a conversion"
)


@dataclass(frozen=True)
class NumberKind:
    """The kind of quantisation of a model.

    Attributes:
        kind: "float", "float16-weights", "dynamic-range" (integer weights, float activations), "weight-only" (integer
            weights unpacked before use), "full-integer-int8", "full-integer-uint8", "full-integer-16x8",
            "full-integer" (of several types), "mixed" (integer and float operators), "none" (no arithmetic).
        sentence: the same for a person.
        counts: how many operators compute in which kind of numbers.
        float_operators: (subgraph, operator, type) of those that stay float where others do not.
        why: why that matters; None where there are none.
    """

    kind: str
    sentence: str
    counts: dict[str, int] = field(default_factory=dict)
    float_operators: list[tuple[int, int, str]] = field(default_factory=list)
    why: str | None = None


class _Graph:
    """Where constants come from that are unpacked before use."""

    def __init__(self, operators: Iterable[Operator]) -> None:
        self._unpacked: dict[int, Tensor] = {}
        for operator in operators:
            if operator.name in _UNPACKING and operator.inputs and isinstance(operator.inputs[0], Tensor):
                for output in operator.outputs or ():
                    self._unpacked[id(output)] = operator.inputs[0]

    def kind(self, operator: Operator) -> str:
        """What kind of numbers an operator computes in."""
        if operator.name in _CONVERSIONS:
            return CONVERSION
        if operator.name in _UNPACKING:
            return NEUTRAL
        values = [
            tensor
            for row in (operator.outputs, operator.inputs)
            for tensor in row or ()
            if isinstance(tensor, Tensor) and self._origin(tensor) is None
        ]
        if any(tensor.type_name in FLOATS for tensor in values):
            return self._floating(operator)
        integer = next((tensor.type_name for tensor in values if is_quantized(tensor)), None)
        if integer is not None:
            return _INTEGER_KINDS.get(integer, OTHER_INTEGER)
        return NEUTRAL

    def _origin(self, tensor: Tensor) -> Tensor | None:
        """The constant that a tensor is, or is unpacked from; None for a computed one."""
        if is_constant(tensor):
            return tensor
        source = self._unpacked.get(id(tensor))
        return source if source is not None and is_constant(source) else None

    def weights(self, operator: Operator) -> list[tuple[Tensor, bool]]:
        """Constant weights as they are stored, and whether they are unpacked before use."""
        found = []
        for tensor, kind in learned(operator):
            origin = self._origin(tensor)
            if kind == WEIGHTS and origin is not None:
                found.append((origin, origin is not tensor))
        return found

    def _floating(self, operator: Operator) -> str:
        weights = self.weights(operator)
        if any(is_quantized(tensor) and not unpacked for tensor, unpacked in weights):
            return HYBRID
        if any(is_quantized(tensor) for tensor, _ in weights):
            return WEIGHT_ONLY
        return FLOAT16_WEIGHTS if any(tensor.type_name == "FLOAT16" for tensor, _ in weights) else FLOAT


def number_kind(model: Model) -> NumberKind:
    """The kind of quantisation of a model; QUANTIZE and DEQUANTIZE are borders and belong to neither side."""
    graphs = [_Graph(subgraph.operators or ()) for subgraph in model.subgraphs or ()]
    kinds = [(node, graphs[node.subgraph_index].kind(node.operator)) for node in model.nodes()]
    counts = Counter(kind for _, kind in kinds if kind != NEUTRAL)
    used = [kind for kind in counts if kind != CONVERSION]
    told = dict(counts)
    edges = _float_edges(model)
    borders = f" The model's {edges} are float: conversions stand at the edges." if edges else ""
    if not used:
        return NumberKind("none", "No operator computes with real numbers.", told)
    floats = [node for node, kind in kinds if kind == FLOAT]
    if not _FLOATING.isdisjoint(used):
        if set(used) <= _FLOATING:
            found = _stored_small(graphs, kinds, told, _weighted(graphs, floats))
            stay = f" The model's {edges} stay float." if edges and found.kind != FLOAT else ""
            return replace(found, sentence=f"{found.sentence}{stay}")
        return _mixed(told, [node for node, kind in kinds if kind in _FLOATING])
    if len(used) > 1 or used[0] == OTHER_INTEGER:
        types = ", ".join(f"{counts[kind]} in {kind}" for kind in used)
        return NumberKind("full-integer", f"Full integer, of several types; operators: {types}.{borders}", told)
    stored = sorted({tensor.type_name.lower() for node in model.nodes() for tensor in _stored(graphs, node)})
    weights = f"weights are {' and '.join(stored)}, " if stored else ""
    activations = "int16" if used[0] == INT16 else used[0]
    sentence = f"Full integer {used[0]}: {weights}activations {'' if stored else 'are '}{activations}."
    return NumberKind(f"full-integer-{used[0]}", f"{sentence}{borders}", told)


def _stored(graphs: Sequence[_Graph], node: Node) -> list[Tensor]:
    return [tensor for tensor, _ in graphs[node.subgraph_index].weights(node.operator)]


_STORED = {
    FLOAT16_WEIGHTS: "Float16 weights: {holders} in {types}, unpacked to float32 before use",
    HYBRID: "Dynamic range: {holders} in {types}, activations are float32 and quantised on the fly",
    WEIGHT_ONLY: "Weight-only: {holders} in {types}, unpacked to float32 before use",
}


def _stored_small(
    graphs: Sequence[_Graph], kinds: Sequence[tuple[Node, str]], counts: dict[str, int], floats: list[Node]
) -> NumberKind:
    """Float activations: with float weights, or with weights that are stored in fewer bits."""
    schemes = {scheme: [node for node, kind in kinds if kind == scheme] for scheme in _STORED}
    schemes = {scheme: nodes for scheme, nodes in schemes.items() if nodes}
    if not schemes:
        sentence = "Float: weights and activations are floating-point numbers, nothing is quantised."
        return NumberKind(FLOAT, sentence, counts)
    texts = []
    for scheme, nodes in schemes.items():
        types = sorted({tensor.type_name.lower() for node in nodes for tensor in _stored(graphs, node)} - {"float32"})
        holders = f"{_count(nodes)} {'holds its' if len(nodes) == 1 else 'hold their'} weights"
        texts.append(_STORED[scheme].format(holders=holders, types=" and ".join(types)))
    rest = f" {_count(floats)} with weights {_stays(floats)} float: {_places(floats)}." if floats else ""
    kind = next(iter(schemes)) if len(schemes) == 1 else "mixed"
    why = "Their weights take four bytes each, and they run at the speed of float kernels" if floats else None
    sentence = f"{'; '.join(texts)}.{rest}"
    return NumberKind(kind, sentence, counts, _named(floats), why)


def _mixed(counts: dict[str, int], floats: list[Node]) -> NumberKind:
    whole = sum(count for kind, count in counts.items() if kind not in _FLOATING and kind != CONVERSION)
    sentence = (
        f"Mixed: {whole} operator{'' if whole == 1 else 's'} {'computes' if whole == 1 else 'compute'} in integers, "
        f"{len(floats)} {_stays(floats)} float: {_places(floats)}."
    )
    return NumberKind("mixed", sentence, counts, _named(floats), _NO_FLOATS)


def _float_edges(model: Model) -> str:
    """Which of the first subgraph's inputs and outputs are float: "inputs and outputs", one of them, or nothing."""
    main = model.subgraphs[0] if model.subgraphs else None
    ends = {} if main is None else {"inputs": main.inputs, "outputs": main.outputs}
    return " and ".join(
        name
        for name, tensors in ends.items()
        if any(isinstance(tensor, Tensor) and tensor.type_name in FLOATS for tensor in tensors or ())
    )


def _weighted(graphs: Sequence[_Graph], nodes: list[Node]) -> list[Node]:
    return [node for node in nodes if graphs[node.subgraph_index].weights(node.operator)]


def _named(nodes: list[Node]) -> list[tuple[int, int, str]]:
    return [(node.subgraph_index, node.index, node.operator.name) for node in nodes]


def _count(nodes: list[Node]) -> str:
    return f"{len(nodes)} operator{'' if len(nodes) == 1 else 's'}"


def _stays(nodes: list[Node]) -> str:
    return "stays" if len(nodes) == 1 else "stay"


_TYPES_SHOWN = 4
_NODES_SHOWN = 4


def _places(nodes: list[Node]) -> str:
    """Such as "SOFTMAX (node 30), 12 CONV_2D (nodes 3, 4, 5, 6 ...)"."""
    by_type: dict[str, list[Node]] = {}
    for node in nodes:
        by_type.setdefault(node.operator.name, []).append(node)
    ordered = sorted(by_type.items(), key=lambda item: -len(item[1]))
    parts = []
    for name, members in ordered[:_TYPES_SHOWN]:
        numbers = ", ".join(_number(node) for node in members[:_NODES_SHOWN])
        more = " ..." if len(members) > _NODES_SHOWN else ""
        count = f"{len(members)} " if len(members) > 1 else ""
        parts.append(f"{count}{name} (node{'s' if len(members) > 1 else ''} {numbers}{more})")
    if len(ordered) > _TYPES_SHOWN:
        rest = len(ordered) - _TYPES_SHOWN
        parts.append(f"and {rest} more type{'' if rest == 1 else 's'}")
    return ", ".join(parts)


def _number(node: Node) -> str:
    return f"{node.subgraph_index}:{node.index}" if node.subgraph_index else str(node.index)
