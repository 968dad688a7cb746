"""Weights of layers: which dimension kernels count channels along, and how to write them anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from tflite_surgeon.edits.activations import biases_in_unit_of, express_biases
from tflite_surgeon.edits.constants import requantized, rewrite_constant
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.operators import CHANNEL_AXIS, tensor_of
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales, float32, is_usable_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEIGHTS_POSITION = 1
# Rows of a table are scaled one by one. Source: LiteRT kernels/embedding_lookup.cc.
_AXES = {**CHANNEL_AXIS, "EMBEDDING_LOOKUP": 0}
# Integers that an 8-bit input can be away from its zero point.
_REACH = {"INT8": 255, "UINT8": 255, "INT16": 65535}


@dataclass(frozen=True)
class Weights:
    """A tensor as the weights of a layer, or as a table of embeddings.

    Attributes:
        use: the operator, and the position of the input.
        name: the operator's.
        tensor: the weights.
        axis: the dimension that the kernel counts scales along.
    """

    use: Use
    name: str
    tensor: Tensor
    axis: int

    @property
    def source(self) -> Tensor | None:
        """The layer's input."""
        return tensor_of(self.use.operator, self.name, "input") if self.name in CHANNEL_AXIS else None

    @property
    def bias(self) -> Tensor | None:
        """The layer's bias."""
        return tensor_of(self.use.operator, self.name, "bias") if self.name in CHANNEL_AXIS else None

    @property
    def result(self) -> Tensor | None:
        """The layer's output."""
        return tensor_of(self.use.operator, self.name, "output")

    @property
    def channels(self) -> int | None:
        """How many output channels, or rows; None where the shape does not say."""
        shape = self.tensor.shape or []
        return shape[self.axis] if self.axis < len(shape) else None

    @property
    def input_scale(self) -> float | None:
        """The one scale of the layer's input; None where it has none, several, or one that says nothing."""
        scales = scales_of(self.source)
        return scales[0] if len(scales) == 1 and is_usable_scale(scales[0]) else None

    @property
    def scales_by_bias(self) -> list[float]:
        """The scales of weights that the bias scales stand for: each is input scale x weights scale."""
        scale, found = self.input_scale, scales_of(self.bias)
        if scale is None or not found or not all(map(is_usable_scale, found)):
            return []
        return [float32(value / scale) for value in found]

    def quanta(self, change: float) -> float | None:
        """How many output quanta results can move by where every weight of a channel moves by so much.

        None where input or output say nothing of it.
        """
        scales, source = scales_of(self.result), self.source
        if self.input_scale is None or source is None or len(scales) != 1 or not is_usable_scale(scales[0]):
            return None
        shape = self.tensor.shape or []
        products = prod(shape) // max(self.channels or 1, 1)
        return change * products * _REACH.get(source.type_name, 0) * self.input_scale / scales[0]


def scales_of(tensor: Tensor | None) -> list[float]:
    """The stored scales of a tensor; none where it has none."""
    quantization = tensor.quantization if tensor is not None else None
    return list((quantization.scale if quantization is not None else None) or [])


def zero_points_of(tensor: Tensor) -> list[int]:
    """The stored zero points of a tensor; none where it has none."""
    quantization = tensor.quantization
    return list((quantization.zero_point if quantization is not None else None) or [])


def weights_of(operator: Operator | None, tensor: Tensor | None = None) -> Weights | None:
    """The weights of an operator; None where it has none that are counted by channels, or they are another tensor."""
    if operator is None:
        return None
    name, inputs = operator.name, operator.inputs or []
    found = inputs[_WEIGHTS_POSITION] if len(inputs) > _WEIGHTS_POSITION else None
    if name not in _AXES or not isinstance(found, Table) or (tensor is not None and found is not tensor):
        return None
    return Weights(Use(operator, _WEIGHTS_POSITION), name, found, _AXES[name])


def all_weights_of(draft: Draft, tensor: Tensor) -> list[Weights]:
    """What a tensor is as the weights of those that read it; empty where another kind of reader uses it too."""
    found = []
    for use in draft.readers(tensor):
        weights = weights_of(use.operator, tensor) if use.position == _WEIGHTS_POSITION else None
        if weights is None:
            return []
        found.append(weights)
    return found


def writable(draft: Draft, weights: Weights) -> Tensor:
    """The weights as a tensor that may be changed: a copy where others read it in another way."""
    tensor, name = weights.tensor, weights.name
    alike = all(
        use.position == weights.use.position
        and use.operator.name == name
        and _type_of(tensor_of(use.operator, name, "input")) == _type_of(weights.source)
        for use in draft.readers(tensor)
    )
    return tensor if alike and not draft.is_interface(tensor) else draft.own(weights.use)


def _type_of(tensor: Tensor | None) -> str | None:
    return None if tensor is None else tensor.type_name


@dataclass(frozen=True)
class Written:
    """Weights that were written anew.

    Attributes:
        loses: what was lost; empty where every real value is as it was.
        quanta: by how many output quanta results may move for it; None where that is not known.
        warnings: about biases.
    """

    loses: str
    quanta: float | None
    warnings: tuple[str, ...]


def write(
    draft: Draft,
    weights: Weights,
    real: NDArray[Any],
    type_name: str,
    scales: Sequence[float],
    zero_points: Sequence[int],
    axis: int = 0,
) -> Written:
    """Write weights in other scales; biases that were in their unit are expressed in the new one.

    Args:
        draft: the model under repair.
        weights: the weights.
        real: the values that are meant.
        type_name, scales, zero_points, axis: what they are written in.

    Raises:
        SurgeonError: scales and shape do not fit each other, or the values are not finite.
    """
    import numpy as np

    if not (np.isfinite(real).all() and are_usable_scales(scales)):
        raise SurgeonError(f"the scales of {weights.tensor.name!r} do not tell its values")
    new = requantized(weights.tensor, real, type_name, list(scales), list(zero_points), axis)
    tensor = writable(draft, weights)
    before = [use for use in biases_in_unit_of(draft, tensor) if use.is_right or (not use.stored and not use.trouble)]
    rewrite_constant(draft, tensor, new.data, type_name, list(scales), list(zero_points), axis)
    warnings = express_biases(draft, tensor, before)
    loses = ""
    # Less than a float32 resolves is no loss.
    if new.quanta > 1e-6:
        loses = f"the weights move by up to {new.error:.3g} ({new.quanta:.2g} of a quantum)"
        if new.clipped:
            loses += f", {new.clipped} of them because {type_name} does not reach further"
    return Written(loses, weights.quanta(new.error) if loses else 0.0, tuple(warnings))


def symmetric(
    draft: Draft, weights: Weights, steps: NDArray[Any], scales: Sequence[float], axis: int, type_name: str
) -> Written:
    """Write weights with the zero point 0.

    They are exact where they fit the type, or where packed ones fit INT8; else the channels that do not fit get the
    smallest larger scale that they fit in.

    Args:
        draft: the model under repair.
        weights: the weights.
        steps: the weights as whole steps of the scales.
        scales: one, or one for each index along `axis`.
        axis: the dimension that they count along.
        type_name: INT8, or a packed type.
    """
    import numpy as np

    others = tuple(d for d in range(steps.ndim) if len(scales) == 1 or d != axis)
    largest = np.abs(steps).max(axis=others, initial=0).reshape(-1).astype(np.float64)
    if type_name != "INT8" and largest.max(initial=0) > LIMITS[type_name][1]:
        type_name = "INT8"
    reach = LIMITS[type_name][1]
    wider = [float32(scale * max(most / reach, 1.0)) for scale, most in zip(scales, largest.tolist())]
    spread = [1] * steps.ndim
    if len(scales) > 1:
        spread[axis] = len(scales)
    real = steps * np.array(scales, np.float64).reshape(spread)
    return write(draft, weights, real, type_name, wider, [0] * len(wider), axis)


def constant_of(operator: Operator | None, tensor: Tensor | None) -> Weights | None:
    """A constant input of any operator, as weights whose scales count along the dimension that is stored."""
    found = weights_of(operator, tensor)
    if found is not None or operator is None or tensor is None:
        return found
    for position, item in enumerate(operator.inputs or ()):
        if item is tensor:
            axis = tensor.quantization.quantized_dimension if tensor.quantization is not None else 0
            return Weights(Use(operator, position), operator.name, tensor, axis)
    return None
