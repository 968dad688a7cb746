"""The least and the greatest value of constants, read in pieces: memory does not grow with the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any, Final

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Buffer, Tensor
from tflite_surgeon.views.tensors import ELEMENT_BITS, channel_axis, is_quantized, zero_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Elements looked at together.
_PIECE: Final = 1 << 20
# Types whose bits are no numbers that can be compared as they are.
_NOT_ORDERED: Final = frozenset({"COMPLEX64", "COMPLEX128", "FLOAT8_E4M3FN", "FLOAT8_E5M2"})
_BFLOAT16: Final = "BFLOAT16"


def value_ranges(tensor: Tensor, let_go: Callable[[], None] | None = None) -> list[tuple[float, float]]:
    """The least and the greatest real value of a constant for each of its scales, one where it has at most one.

    Integers with a scale count as (integer - zero point) * scale, others as they are. NaN is passed over.

    Args:
        tensor: the constant.
        let_go: frees memory that reading a mapped file has taken; called after each piece.

    Raises:
        SurgeonError: the values are not in the file, cannot be compared, or do not fit shape and type.
    """
    import numpy as np

    axis = channel_axis(tensor)
    scales = (tensor.quantization.scale if tensor.quantization is not None else None) or []
    channels = 1 if axis is None else len(scales)
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    for first, block in _blocks(tensor, axis, channels):
        last = first + block.shape[1]
        low[first:last] = np.fmin(low[first:last], np.fmin.reduce(block, axis=(0, 2)))
        high[first:last] = np.fmax(high[first:last], np.fmax.reduce(block, axis=(0, 2)))
        if let_go is not None:
            let_go()
    if tensor.sparsity is not None:  # What is not stored is zero.
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    if (low > high).any():
        raise SurgeonError("there are no values, or none that is a number")
    if is_quantized(tensor):
        if not scales:
            raise SurgeonError("the scales lie in another tensor")
        scale, zero = np.array(scales, np.float64), np.array(zero_points(tensor), np.float64)
        ends = np.array([(low - zero) * scale, (high - zero) * scale])
        low, high = ends.min(axis=0), ends.max(axis=0)  # A negative scale turns them round.
    return list(zip(low.tolist(), high.tolist()))


def _blocks(tensor: Tensor, axis: int | None, channels: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """The values as (first channel, array of repetitions x channels x values), at most _PIECE elements at a time."""
    data = tensor.data
    bits = ELEMENT_BITS.get(tensor.type_name)
    if data is None:
        raise SurgeonError("the values are not in this file")
    if bits is None or tensor.type_name in _NOT_ORDERED:
        raise SurgeonError(f"{tensor.type_name} has no order")
    shape = tensor.shape or []
    stored = len(data) * 8 // bits
    if tensor.sparsity is not None:
        if channels > 1:
            raise SurgeonError("the values are sparse, with several scales")
        total = stored
    else:
        total = prod(shape)
        if min(shape, default=0) < 0 or (total * bits + 7) // 8 != len(data):
            raise SurgeonError("the bytes do not fit shape and type")
    if len(shape) == 1:  # A vector has one axis, whatever the file says.
        axis = axis and 0
    if axis is None:
        for start in range(0, total, _PIECE):
            yield 0, _piece(tensor, data, bits, start, min(start + _PIECE, total)).reshape(1, 1, -1)
        return
    if not 0 <= axis < len(shape) or shape[axis] != channels:
        raise SurgeonError("the number of scales is not that of the channels")
    inner = prod(shape[axis + 1 :])
    row = channels * inner
    if row <= _PIECE:
        step = max(_PIECE // max(row, 1), 1) * row
        for start in range(0, total, step or 1):
            yield 0, _piece(tensor, data, bits, start, min(start + step, total)).reshape(-1, channels, inner)
        return
    together = max(_PIECE // inner, 1)
    for outer in range(0, total, row):
        for channel in range(0, channels, together):
            count = min(together, channels - channel)
            begin, end = outer + channel * inner, outer + (channel + count) * inner
            if count > 1:
                yield channel, _piece(tensor, data, bits, begin, end).reshape(1, count, inner)
                continue
            for start in range(begin, end, _PIECE):
                yield channel, _piece(tensor, data, bits, start, min(start + _PIECE, end)).reshape(1, 1, -1)


def _piece(tensor: Tensor, data: Any, bits: int, start: int, stop: int) -> NDArray[Any]:
    """The elements from `start` to `stop`, as they are stored."""
    import numpy as np

    if start == 0 and stop * bits >= 8 * len(data) and tensor.sparsity is None:
        values = tensor.values().reshape(-1)
    else:
        skipped = start % (8 // bits) if bits < 8 else 0
        raw = memoryview(data)[(start - skipped) * bits // 8 : (stop * bits + 7) // 8]
        part = Tensor(name=tensor.name, shape=[skipped + stop - start], type=tensor.type, buffer=Buffer(raw))
        values = part.values()[skipped:]
    if tensor.type_name == _BFLOAT16:  # The upper half of a FLOAT32.
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.uint8) if values.dtype == np.bool_ else values
