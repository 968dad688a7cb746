"""What a quantised model says in real numbers: a float copy of it, to be run by the interpreter itself.

Constants are what their scales make of their integers, biases included, whatever unit a kernel counts them in.
Activations are floats, each clamped to the range that its scale and zero point imply: that is where converters leave a
RELU6. Nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.model.objects import Buffer, Model, Operator, OperatorCode, SubGraph, Tensor
from tflite_surgeon.quantization import are_usable_scales
from tflite_surgeon.verification.float_operators import CONVERSIONS, SAME_IN_FLOAT
from tflite_surgeon.verification.measuring import gauge
from tflite_surgeon.views.tensors import BIAS, implied_range, is_constant, learned

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Integers of these types with a scale stand for real values; wider ones do where they are a bias.
_NARROW: Final = frozenset({"INT2", "INT4", "UINT4", "INT8", "UINT8", "INT16"})
_WIDE: Final = frozenset({"INT32", "INT64"})
_NAMED: Final = 5


def float_copy(model: Model) -> Model:
    """The model in real numbers; its own tensors keep their numbers and names, new ones come behind them.

    Raises:
        SurgeonError: operators cannot be expressed in floats, or integers do not say what they stand for.
    """
    result = model.copy()
    quantised = _quantised(result)
    _require_expressible(result, quantised)
    clamps = _Clamps(result)
    for graph in result.subgraphs or ():
        ranges = _to_float(graph, quantised)
        graph.operators = list(clamps.applied(graph, ranges))
    return result


def _quantised(model: Model) -> dict[int, Tensor]:
    """The tensors whose integers stand for real values, by identity."""
    found = {}
    for graph in model.subgraphs or ():
        for tensor in graph.tensors or ():
            if tensor.type_name in _NARROW and tensor.quantization is not None and _has_scheme(tensor):
                found[id(tensor)] = tensor
        for operator in graph.operators or ():
            operands = {id(tensor) for tensor in _operands(operator)}
            if operands.isdisjoint(found):
                continue
            for tensor, kind in learned(operator):
                if kind == BIAS and tensor.type_name in _WIDE:
                    found[id(tensor)] = tensor
    return found


def _has_scheme(tensor: Tensor) -> bool:
    quantization = tensor.quantization
    return quantization is not None and (bool(quantization.scale) or quantization.details is not None)


def _operands(operator: Operator) -> Iterator[Tensor]:
    for items in (operator.inputs, operator.outputs):
        yield from (item for item in items or () if isinstance(item, Tensor))


def _require_expressible(model: Model, quantised: dict[int, Tensor]) -> None:
    refused = []
    for node in model.nodes():
        operator = node.operator
        touched = [tensor for tensor in _operands(operator) if id(tensor) in quantised]
        why = _refusal(operator, touched, quantised) if touched else None
        if why is not None:
            where = f"operator {node.index}" if node.subgraph_index == 0 else f"{node.path}"
            refused.append(f"{where} ({operator.name}): {why}")
    if refused:
        more = f"; and {len(refused) - _NAMED} more operators" if len(refused) > _NAMED else ""
        raise SurgeonError(f"cannot be expressed in real numbers: {'; '.join(refused[:_NAMED])}{more}")


def _refusal(operator: Operator, touched: Sequence[Tensor], quantised: dict[int, Tensor]) -> str | None:
    """Why an operator with quantised operands has no float meaning here; None where it has one."""
    inner = operator.intermediates or ()
    for tensor in touched:
        quantization = tensor.quantization
        scales = (quantization.scale if quantization is not None else None) or ()
        if quantization is not None and quantization.details is not None:
            return f"tensor {tensor.name!r} is quantised by another scheme than scales and zero points"
        if not scales or not are_usable_scales(scales):
            return f"tensor {tensor.name!r} has no scale that says what its integers stand for"
        if len(scales) > 1 and not is_constant(tensor):
            return f"tensor {tensor.name!r} is computed and has {len(scales)} scales"
    if operator.name in CONVERSIONS:
        ends = [items[0] if items else None for items in (operator.inputs, operator.outputs)]
        if all(isinstance(end, Tensor) and (id(end) in quantised or end.type_name == "FLOAT32") for end in ends):
            return None
        return "it converts what is neither FLOAT32 nor quantised to 16 bits or less"
    if operator.name not in SAME_IN_FLOAT:
        return "it has no float kernel that means the same"
    if any(isinstance(item, Tensor) and item.type_name == "INT16" and _has_scheme(item) for item in inner):
        return "its layer normalisation works within ranges that only integers have"
    if getattr(operator.builtin_options, "weights_format", 0) != 0:
        return "its weights are shuffled"
    return None


def _to_float(graph: SubGraph, quantised: dict[int, Tensor]) -> dict[int, tuple[float, float]]:
    """Make a subgraph's quantised tensors floats; the ranges to clamp computed ones to, by identity."""
    ranges = {}
    float32 = enum_class("TensorType")["FLOAT32"]
    for tensor in graph.tensors or ():
        if id(tensor) not in quantised:
            continue
        if is_constant(tensor):
            values = _dequantised(tensor)
            tensor.type = float32
            tensor.set_values(values)
        else:
            limits = implied_range(tensor)
            if limits is not None and not tensor.is_variable:
                ranges[id(tensor)] = limits
            tensor.type = float32
        tensor.quantization = None
    return ranges


def _dequantised(tensor: Tensor) -> NDArray[Any]:
    scales = gauge(tensor)
    values = tensor.values()
    if len(scales.scales) > 1 and not (
        0 <= scales.axis < values.ndim and values.shape[scales.axis] == len(scales.scales)
    ):
        raise SurgeonError(
            f"cannot be expressed in real numbers: tensor {tensor.name!r} of shape {list(values.shape)} has "
            f"{len(scales.scales)} scales along dimension {scales.axis}"
        )
    return scales.real(values).astype(np.float32)


class _Clamps:
    """Adds the operators that hold activations in their range, and takes out those that convert."""

    def __init__(self, model: Model) -> None:
        assert model.operator_codes is not None
        assert model.buffers is not None
        self._codes = model.operator_codes
        self._buffers = model.buffers
        self._made: dict[str, OperatorCode] = {}

    def applied(self, graph: SubGraph, ranges: dict[int, tuple[float, float]]) -> Iterator[Operator]:
        """The subgraph's operators, each clamped result behind the one that computes it."""
        constants: dict[float, Tensor] = {}
        for operator in graph.operators or ():
            if operator.name in CONVERSIONS and _is_float(operator.inputs) and _is_float(operator.outputs):
                source, result = _only(operator.inputs), _only(operator.outputs)
                yield from self._clamp(graph, source, result, ranges.get(id(result)), constants)
                continue
            results = list(operator.outputs or ())
            behind = []
            for place, item in enumerate(results):
                limits = ranges.get(id(item))
                if isinstance(item, Tensor) and limits is not None:
                    results[place] = _like(graph, item)
                    behind += self._clamp(graph, results[place], item, limits, constants)
            operator.outputs = results
            yield operator
            yield from behind

    def _clamp(
        self,
        graph: SubGraph,
        source: Any,
        result: Tensor,
        limits: tuple[float, float] | None,
        constants: dict[float, Tensor],
    ) -> list[Operator]:
        """Operators that make `result` of `source`; without limits it is the same value."""
        if limits is None:
            # No float is smaller.
            lowest = float(np.finfo(np.float32).min)
            return [self._operator("MAXIMUM", source, self._constant(graph, lowest, constants), result)]
        low, high = (self._constant(graph, end, constants) for end in limits)
        raised = _like(graph, result)
        return [self._operator("MAXIMUM", source, low, raised), self._operator("MINIMUM", raised, high, result)]

    def _operator(self, name: str, source: Any, limit: Tensor, result: Tensor) -> Operator:
        code = self._made.get(name)
        if code is None:
            member = enum_class("BuiltinOperator")[name]
            code = OperatorCode(deprecated_builtin_code=int(member), builtin_code=member, version=1)
            self._made[name] = code
            self._codes.append(code)
        return Operator(opcode=code, inputs=[source, limit], outputs=[result])

    def _constant(self, graph: SubGraph, value: float, constants: dict[float, Tensor]) -> Tensor:
        found = constants.get(value)
        if found is None:
            buffer = Buffer(np.array([value], "<f4").tobytes())
            self._buffers.append(buffer)
            found = _new(graph, "limit", [1], buffer)
            constants[value] = found
        return found


def _is_float(items: Sequence[Any] | None) -> bool:
    item = items[0] if items else None
    return isinstance(item, Tensor) and item.type_name == "FLOAT32"


def _only(items: Sequence[Any] | None) -> Tensor:
    assert items
    assert isinstance(items[0], Tensor)
    return items[0]


def _like(graph: SubGraph, tensor: Tensor) -> Tensor:
    """A new tensor of the same shape, for a value on its way to the clamp."""
    made = _new(graph, f"{tensor.name or ''}/before_clamp", tensor.shape, tensor.buffer)
    made.shape_signature = None if tensor.shape_signature is None else list(tensor.shape_signature)
    made.has_rank = tensor.has_rank
    return made


def _new(graph: SubGraph, name: str, shape: Sequence[int] | None, buffer: Any) -> Tensor:
    made = Tensor(
        name=name,
        shape=None if shape is None else list(shape),
        type=enum_class("TensorType")["FLOAT32"],
        buffer=buffer,
    )
    assert graph.tensors is not None
    graph.tensors.append(made)
    return made
