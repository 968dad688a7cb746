"""Constants in other scales, zero points and types: new integers for the same real values, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.model.objects import QuantizationParameters, Tensor
from tflite_surgeon.quantization import LIMITS, float32, is_usable_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Bytes of the integers that shapes, sizes and biases are stored in.
WIDTHS = {"INT32": 4, "INT64": 8}


@dataclass(frozen=True)
class Parameters:
    """One scale and one zero point, in a type."""

    type_name: str
    scale: float
    zero_point: int

    def __str__(self) -> str:
        return f"{self.type_name} with scale {self.scale:.9g} and zero point {self.zero_point}"


def parameters_of(tensor: Tensor) -> Parameters | None:
    """The one scale and zero point of a tensor; None where it has none, several, or a scale that says nothing."""
    quantization = tensor.quantization
    scales = (quantization.scale if quantization is not None else None) or []
    zero_points = (quantization.zero_point if quantization is not None else None) or [0]
    if len(scales) != 1 or len(zero_points) != 1 or not is_usable_scale(scales[0]):
        return None
    return Parameters(tensor.type_name, scales[0], zero_points[0])


@dataclass(frozen=True)
class Requantized:
    """New integers for real values.

    Attributes:
        data: the bytes.
        error: the largest difference to the real values that were meant, in real units.
        quanta: the same in units of the old scale of the element's channel.
        clipped: how many values the type does not hold, and were cut off.
    """

    data: bytes
    error: float
    quanta: float
    clipped: int


def real_values(tensor: Tensor) -> NDArray[Any]:
    """What a constant stands for, in float64 and in its shape.

    Raises:
        SurgeonError: it is not constant, or its scales and zero points do not fit its shape.
    """
    import numpy as np

    values = tensor.values()
    if tensor.type_name.startswith("FLOAT"):
        return values.astype(np.float64)
    scale, zero_point = per_element(tensor)
    real: NDArray[Any] = (values.astype(np.float64) - zero_point) * scale
    return real


def per_element(tensor: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scales and zero points of a tensor as float64, in a shape that broadcasts over its values.

    Raises:
        SurgeonError: there are none, or they do not fit the shape.
    """
    import numpy as np

    quantization = tensor.quantization
    scales = (quantization.scale if quantization is not None else None) or []
    zero_points = (quantization.zero_point if quantization is not None else None) or [0]
    shape = tensor.shape or []
    axis = quantization.quantized_dimension if quantization is not None else 0
    if not scales:
        raise SurgeonError(f"tensor {tensor.name!r} has no scale")
    found = []
    for what, items in (("scales", scales), ("zero points", zero_points)):
        spread = [1] * len(shape)
        if len(items) > 1:
            if not 0 <= axis < len(shape) or shape[axis] != len(items):
                raise SurgeonError(
                    f"tensor {tensor.name!r} has {len(items)} {what}, which do not fit its shape {shape}"
                )
            spread[axis] = len(items)
        found.append(np.array(items, np.float64).reshape(spread if len(items) > 1 else [1] * len(shape)))
    return found[0], found[1]


def requantized(
    tensor: Tensor, real: NDArray[Any], type_name: str, scales: list[float], zero_points: list[int], axis: int = 0
) -> Requantized:
    """Integers for real values, rounded to nearest, halves away from zero; what does not fit is cut off and counted.

    Args:
        tensor: the constant as it was: its shape counts, and its scale for the error.
        real: the values that are meant, in its shape.
        type_name: the new type: INT8, UINT8, INT16, INT32, INT64, INT4.
        scales, zero_points: one, or one for each index along `axis`.
        axis: the dimension that they count along.
    """
    import numpy as np

    new = Tensor(
        name=tensor.name,
        shape=tensor.shape,
        type=enum_class("TensorType")[type_name],
        buffer=tensor.buffer,
        quantization=QuantizationParameters(scale=scales, zero_point=zero_points, quantized_dimension=axis),
    )
    scale, zero_point = per_element(new)
    quotients = real / scale
    integers = np.copysign(np.floor(np.abs(quotients) + 0.5), quotients) + zero_point
    low, high = LIMITS[type_name]
    held = np.clip(integers, low, high)
    error = np.abs((held - zero_point) * scale - real)
    try:
        old_scale = np.abs(per_element(tensor)[0])
    except SurgeonError:
        old_scale = scale
    from tflite_surgeon.model.values import pack

    return Requantized(
        pack(new, held.astype(np.int64)),
        float(error.max(initial=0.0)),
        float((error / np.where(old_scale > 0, old_scale, 1.0)).max(initial=0.0)),
        int((held != integers).sum()),
    )


def symmetric_scales(real: NDArray[Any], type_name: str, axis: int | None) -> list[float]:
    """The smallest symmetric scales that hold real values: one, or one for each index along an axis.

    Source: TFLite 8-bit quantisation specification: weights reach from -(2^(bits-1) - 1) to 2^(bits-1) - 1.
    """
    import numpy as np

    steps = LIMITS[type_name][1]
    others = None if axis is None else tuple(d for d in range(real.ndim) if d != axis)
    largest = np.abs(real).max(axis=others, initial=0.0)
    scales = [float32(float(value) / steps) for value in np.atleast_1d(largest)]
    return [scale if is_usable_scale(scale) else 1.0 for scale in scales]


def packed(integers: Iterable[int], type_name: str) -> bytes:
    """The bytes of integers of INT32 or INT64."""
    width = WIDTHS[type_name]
    return b"".join(integer.to_bytes(width, "little", signed=True) for integer in integers)


def rewrite_constant(
    draft: Draft,
    tensor: Tensor,
    data: bytes,
    type_name: str,
    scales: list[float],
    zero_points: list[int],
    axis: int = 0,
) -> None:
    """Give a constant new bytes, and the type, scales and zero points that they are in."""
    draft.store(tensor, data)
    draft.set(tensor, "type", enum_class("TensorType")[type_name])
    draft.quantize(tensor, scale=scales, zero_point=zero_points, quantized_dimension=axis)
