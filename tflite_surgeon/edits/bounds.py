"""The least and the greatest value that a node can give, from the ranges of its inputs and its constants."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, prod
from typing import TYPE_CHECKING, Any

from tflite_surgeon.edits.constants import parameters_of, real_values
from tflite_surgeon.edits.ties import tie_of
from tflite_surgeon.edits.weights import scales_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.operators import CHANNEL_AXIS, tensor_of
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

Bounds = tuple[float, float]

_ACTIVATIONS = {"RELU": (0.0, inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}


def held(tensor: object) -> Bounds | None:
    """The least and the greatest real value that a tensor's type holds in its scale; None where that is not told."""
    found = parameters_of(tensor) if isinstance(tensor, Tensor) else None
    if found is None or found.type_name not in LIMITS:
        return None
    low, high = LIMITS[found.type_name]
    if not low <= found.zero_point <= high:
        return None
    return (low - found.zero_point) * found.scale, (high - found.zero_point) * found.scale


def given(operator: Operator) -> Bounds | None:
    """The least and the greatest value that an operator's output can have; None where that is not told."""
    try:
        return _given(operator)
    except SurgeonError:
        return None


def _given(operator: Operator) -> Bounds | None:
    name = operator.name
    found = _layer(operator, name) if name in CHANNEL_AXIS else _other(operator, name)
    fused = name_of("ActivationFunctionType", getattr(operator.builtin_options, "fused_activation_function", None))
    if found is None and fused == "RELU6":
        return _ACTIVATIONS[fused]
    if found is None or not all(map(isfinite, found)):
        return None
    low, high = _ACTIVATIONS.get(fused, (-inf, inf))
    return min(max(found[0], low), high), max(min(found[1], high), low)


def _other(operator: Operator, name: str) -> Bounds | None:
    inputs = operator.inputs or []
    tie = tie_of(operator)
    if name == "BATCH_MATMUL":
        return _product_of_matrices(inputs)
    if name in _PAIRS and len(inputs) > 1:
        first, second = held(inputs[0]), held(inputs[1])
        return None if first is None or second is None else _PAIRS[name](first, second)
    if name in _SINGLES and inputs:
        only = held(inputs[0])
        return None if only is None else _SINGLES[name](only, inputs[0])
    if tie is not None and tie.outputs and not tie.rescales:
        every = [held(tensor) for tensor in tie.sources]
        known = [item for item in every if item is not None]
        return (min(i[0] for i in known), max(i[1] for i in known)) if known and len(known) == len(every) else None
    return None


def _products(first: Bounds, second: Bounds) -> Bounds:
    corners = [a * b for a in first for b in second]
    return min(corners), max(corners)


def _squared(first: Bounds, second: Bounds) -> Bounds:
    low, high = first[0] - second[1], first[1] - second[0]
    return 0.0, max(low * low, high * high)


_PAIRS: dict[str, Callable[[Bounds, Bounds], Bounds]] = {
    "ADD": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "SUB": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "MUL": _products,
    "SQUARED_DIFFERENCE": _squared,
    "MAXIMUM": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "MINIMUM": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
}


def _least_root(_: Bounds, tensor: Any) -> Bounds:
    """The smallest value above 0 is one step; of 0 and below there is no root."""
    found = parameters_of(tensor)
    return 0.0, inf if found is None else float(found.scale**-0.5)


_SINGLES: dict[str, Callable[[Bounds, Any], Bounds]] = {
    "QUANTIZE": lambda a, _: a,
    "RELU": lambda a, _: (max(a[0], 0.0), max(a[1], 0.0)),
    "RELU6": lambda a, _: (0.0, min(max(a[1], 0.0), 6.0)),
    "RELU_N1_TO_1": lambda a, _: (max(a[0], -1.0), min(a[1], 1.0)),
    "ABS": lambda a, _: (0.0, max(abs(a[0]), abs(a[1]))),
    "NEG": lambda a, _: (-a[1], -a[0]),
    "MEAN": lambda a, _: a,
    "RSQRT": _least_root,
}


def _product_of_matrices(inputs: list[Any]) -> Bounds | None:
    first, second = (held(tensor) for tensor in inputs[:2]) if len(inputs) > 1 else (None, None)
    shape = inputs[0].shape if first is not None else None
    if first is None or second is None or not shape:
        return None
    # Which dimension is summed over depends on options; the larger one bounds both.
    count = max(shape[-2:])
    low, high = _products(first, second)
    return (count * min(low, 0.0), count * max(high, 0.0)) if count > 0 else None


def _layer(operator: Operator, name: str) -> Bounds | None:
    """Each product at its least and at its greatest, summed for each output channel."""
    import numpy as np

    source = held(tensor_of(operator, name, "input"))
    weights, bias = tensor_of(operator, name, "weights"), tensor_of(operator, name, "bias")
    if source is None or weights is None or weights.data is None or prod(weights.shape or [0]) == 0:
        return None
    if not scales_of(weights) or not are_usable_scales(scales_of(weights)):
        return None
    values = real_values(weights)
    axis = CHANNEL_AXIS[name]
    if not axis < values.ndim or not np.isfinite(values).all():
        return None
    others = tuple(d for d in range(values.ndim) if d != axis)
    # A tap in the padding gives 0.
    least = np.minimum(np.minimum(values * source[0], values * source[1]), 0.0).sum(axis=others)
    most = np.maximum(np.maximum(values * source[0], values * source[1]), 0.0).sum(axis=others)
    if bias is not None:
        added = _bias_values(bias, least.shape)
        if added is None:
            return None
        least, most = least + added, most + added
    return float(least.min()), float(most.max())


def _bias_values(bias: Tensor, shape: tuple[int, ...]) -> NDArray[Any] | None:
    if bias.data is None or not are_usable_scales(scales_of(bias)):
        return None
    values = real_values(bias).reshape(-1)
    return values if values.shape in (shape, (1,)) else None
