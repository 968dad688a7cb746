"""Rules about what converters and people do to models, and no runtime tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.problems import OK
from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.model.objects import Node, Operator, SubGraph, Tensor
from tflite_surgeon.quantization import float32, is_usable_scale
from tflite_surgeon.rules.registry import Finding, Severity, View, rule

_NARROW = {"INT8": 256, "UINT8": 256, "INT16": 65536}
_FLOAT = "FLOAT32"

# Scales printed with "%f" keep six decimals. One scale in about a thousand looks so by chance, and round numbers are
# chosen on purpose: only a model in which several distinct scales do, and nearly all, went through print.
_FEWEST_PRINTED = 4
_PRINTED_SHARE = 0.8
_DECIMALS = 6
_ROUND = 1e-4  # Multiples of it may have been chosen by a person.


@rule(
    "printed-scale",
    source="arithmetic: six decimals leave an error of up to 0.0000005, whatever the scale",
    advice="Write the scales from the original with all their digits (repr of a float32 has up to nine).",
)
def printed_scale(view: View) -> Iterator[Finding]:
    """Scales went through six printed decimals.

    A scale such as 0.00002190813 printed with %f becomes 0.000022. Activations shift by the same part of their value,
    and biases that were right before are off by it; a scale below 0.0000005 becomes 0. The biases that no longer fit
    are findings of bias-scale.
    """
    quantizations = (t.quantization for s in view.model.subgraphs or () for t in s.tensors or ())
    stored = {q.scale[0] for q in quantizations if q is not None and q.scale and len(q.scale) == 1}
    scales = {scale for scale in stored if is_usable_scale(scale) and float32(round(scale / _ROUND) * _ROUND) != scale}
    printed = [scale for scale in scales if float32(round(scale, _DECIMALS)) == scale]
    if len(printed) < _FEWEST_PRINTED or len(printed) < _PRINTED_SHARE * len(scales):
        return
    smallest = min(printed)
    error = 0.5 * 10**-_DECIMALS / smallest
    yield Finding(
        "printed-scale",
        Severity.WARNING,
        None,
        None,
        None,
        None,
        f"{len(printed)} of {len(scales)} scales have at most six decimals, as print leaves them: the smallest, "
        f"{smallest:.9g}, may be off by {error:.2%}",
        dict.fromkeys(NAMES, OK),
        {"scales": sorted(printed)},
    )


class _Range(NamedTuple):
    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low


# Operators whose real outputs lie in a fixed range.
_FIXED_RANGES = {
    "LOGISTIC": _Range(0.0, 1.0),
    "SOFTMAX": _Range(0.0, 1.0),
    "TANH": _Range(-1.0, 1.0),
    "L2_NORMALIZATION": _Range(-1.0, 1.0),
}
# Operators that pass values on as they are.
_PASSING = frozenset({"RESHAPE", "QUANTIZE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "STRIDED_SLICE", "SLICE"})
_FEWEST_LEVELS = 16
_LONGEST_PASSAGE = 16


@rule(
    "concatenated-ranges",
    operators=("CONCATENATION", "PACK"),
    source="the quantisation specification: all inputs and the output of CONCATENATION share scale and zero point",
    advice="Leave the parts apart: make them outputs of their own, or concatenate after dequantising; or divide the "
    "large part by its range before, such as boxes by the image size.",
)
def concatenated_ranges(view: View) -> Iterator[Finding]:
    """Values of very different range are joined under one scale, such as boxes in pixels and scores from 0 to 1.

    The joint scale is that of the larger range. Scores then take only a handful of the 256 steps, or all become 0:
    detections seem to vanish after quantisation though every runtime accepts the model.
    """
    makers = _Makers()
    for node in view.nodes_named("CONCATENATION", "PACK"):
        operator = node.operator
        result = next(iter(operator.outputs or ()), None)
        scale = _scale(result)
        if scale is None or not isinstance(result, Table) or result.type_name not in _NARROW:
            continue
        if result.type_name == "INT16":
            continue
        for tensor in operator.inputs or ():
            found = _range_of(tensor, makers.of(node.subgraph)) if isinstance(tensor, Tensor) else None
            if found is None or found.width / scale >= _FEWEST_LEVELS:
                continue
            yield _about(
                view,
                "concatenated-ranges",
                Severity.WARNING,
                node,
                tensor,  # type: ignore[arg-type]
                f"the values lie between {found.low:g} and {found.high:g} and take "
                f"{max(int(found.width / scale) + 1, 1)} of the 256 steps of the joint scale {scale:.9g}",
            )


class _Makers:
    """The operators that compute tensors, of subgraphs that are asked about."""

    def __init__(self) -> None:
        self._known: dict[int, dict[int, Operator]] = {}

    def of(self, subgraph: SubGraph) -> dict[int, Operator]:
        """The operator that computes each tensor, by the tensor's identity."""
        found = self._known.get(id(subgraph))
        if found is None:
            operators = subgraph.operators or ()
            found = {id(tensor): operator for operator in operators for tensor in operator.outputs or ()}
            self._known[id(subgraph)] = found
        return found


def _range_of(tensor: Tensor, makers: dict[int, Operator]) -> _Range | None:
    """The range that the operator which computes the values gives them; None where none does."""
    for _ in range(_LONGEST_PASSAGE):
        maker = makers.get(id(tensor))
        if maker is None:
            return None
        if maker.name in _FIXED_RANGES:
            return _FIXED_RANGES[maker.name]
        source = next(iter(maker.inputs or ()), None)
        if maker.name not in _PASSING or not isinstance(source, Tensor):
            return None
        tensor = source
    return None


def _scale(tensor: object) -> float | None:
    quantization = tensor.quantization if isinstance(tensor, Tensor) else None
    scales = quantization.scale if quantization is not None else None
    return scales[0] if scales and len(scales) == 1 and is_usable_scale(scales[0]) else None


@rule(
    "unquantised-island",
    source="guides of integer-only accelerators: an operator in float runs elsewhere, between two conversions",
    advice="Convert again with an int8 version of these operators, or accept the conversions; integer-only hardware "
    "stops here.",
)
def unquantised_island(view: View) -> Iterator[Finding]:
    """Operators compute in float between DEQUANTIZE and QUANTIZE, in a graph of integers.

    The converter had no integer form of them, or no range for their outputs. The result is right; the conversions
    cost time, and an accelerator that computes with integers only hands everything from here back to the processor.
    """
    makers = _Makers()
    for node in view.nodes_named("QUANTIZE"):
        inside = _float_island(node.operator, makers.of(node.subgraph))
        if inside:
            kinds = ", ".join(sorted({item.name for item in inside}))
            yield _about(
                view,
                "unquantised-island",
                Severity.NOTE,
                node,
                None,
                f"before this node {len(inside)} operators compute in float between integers: {kinds}",
            )


def _float_island(end: Operator, makers: dict[int, Operator]) -> list[Operator]:
    """The float operators between DEQUANTIZE and a QUANTIZE; none where a float input of the graph leads in."""
    found: dict[int, Operator] = {}
    waiting = [tensor for tensor in end.inputs or () if isinstance(tensor, Tensor)]
    while waiting:
        tensor = waiting.pop()
        maker = makers.get(id(tensor))
        if maker is None:
            if tensor.data is None:
                return []
            continue
        if maker.name == "DEQUANTIZE" or id(maker) in found:
            continue
        if tensor.type_name == _FLOAT:
            found[id(maker)] = maker
            waiting += [item for item in maker.inputs or () if isinstance(item, Tensor)]
    return list(found.values())


# Operators that copy or count integers and need no scale.
_NEEDS_NO_SCALE = frozenset({"CAST", "GATHER", "EMBEDDING_LOOKUP", "BITCAST", "ONE_HOT", "EQUAL", "NOT_EQUAL"})


@rule(
    "unquantised-activation",
    source="the quantisation specification: every 8- or 16-bit activation has a scale and a zero point",
    advice="Store scale and zero point from the range of the values, or quantise again with calibration data that "
    "reaches this tensor.",
)
def unquantised_activation(view: View) -> Iterator[Finding]:
    """An 8- or 16-bit activation has no scale in a graph of quantised ones, and its own kernel does not mind.

    The kernel moves integers without asking what they are worth; whatever reads them as numbers later has no scale
    for them. Where the kernel needs the scale itself, the finding is missing-quantization. Converters call it "lacking
    min/max data".
    """
    told = {problem.place for problem in view.problems if problem.rule == "missing-quantization"}
    for number, subgraph in enumerate(view.model.subgraphs or ()):
        for index, operator in enumerate(subgraph.operators or ()):
            lacking = [tensor for tensor in operator.outputs or () if _lacks_scale(tensor)]
            if not lacking or operator.name in _NEEDS_NO_SCALE or (number, index) in told:
                continue
            inputs = [tensor for tensor in operator.inputs or () if isinstance(tensor, Tensor)]
            if not any(_has_scale(tensor) for tensor in inputs):
                continue
            for tensor in lacking:
                yield _about(
                    view,
                    "unquantised-activation",
                    Severity.WARNING,
                    Node(subgraph, number, operator, index),
                    tensor,  # type: ignore[arg-type]
                    f"the output is {tensor.type_name} and has no scale, the inputs have one",  # type: ignore[union-attr]
                )


def _lacks_scale(tensor: object) -> bool:
    """Whether an 8- or 16-bit tensor has no scale."""
    return isinstance(tensor, Tensor) and not _has_scale(tensor) and tensor.type_name in _NARROW


def _has_scale(tensor: Tensor) -> bool:
    quantization = tensor.quantization
    return quantization is not None and (bool(quantization.scale) or quantization.details is not None)


def _about(view: View, name: str, severity: Severity, node: Node, tensor: Tensor | None, message: str) -> Finding:
    return Finding(
        name,
        severity,
        node.subgraph_index,
        node.index,
        node.operator.name,
        None if tensor is None else view.identify(tensor),
        message,
        dict.fromkeys(NAMES, OK),
        {},
    )
