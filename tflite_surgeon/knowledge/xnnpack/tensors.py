"""A tensor as the XNNPACK delegate reads it: by the type, shape and quantisation written in the file.

Source: xnnpack_delegate.cc, CheckTensor...Type, CheckTensorShape, CheckTensorStaticAllocation and GetXNNPackDatatype,
of the LiteRT sources that ai-edge-litert 2.3.0 was made from; confirmed by asking the runtime what it had delegated.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.quantization import are_int32, are_usable_scales, are_zero, float32

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import QuantizationParameters, Tensor

MOST_DIMENSIONS = 6
ANY_RANK = (0, MOST_DIMENSIONS)
# The integers that a type holds; XNNPACK takes no zero point outside. A bias has none but 0.
INTEGERS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT4": (-8, 7), "INT2": (-2, 1), "INT32": (0, 0)}
FLOATS = frozenset({"FLOAT32", "FLOAT16"})
EIGHT_BITS = frozenset({"INT8", "UINT8"})
# Zero points that every channel of weights may have: of 4-bit weights also 8, the middle of the unsigned range.
_CHANNEL_ZERO_POINTS = {"INT4": (0, 8)}


class Scheme(Enum):
    """How a tensor must be quantised for its node to be taken."""

    ANY = auto()
    """Nobody looks."""
    ONE_SCALE = auto()
    """One scale, along dimension 0; its value is not looked at."""
    FILTER = auto()
    """Usable scales: one and a zero point that the type holds, or one for each channel and the first zero point 0."""
    FILTER_OF_ONE_SCALE = auto()
    """One usable scale, along dimension 0, and a zero point that the type holds."""
    MATRIX = auto()
    """Any number of scales, along the output channels if several; or blocks of a multiple of 32."""
    MATRIX_BY_CHANNEL = auto()
    """One scale for each output channel."""
    BIAS = auto()
    """Usable scales along dimension 0; a single one with zero point 0."""


Form = Mapping[str, Scheme]
"""The types that a tensor may be of, each with the scheme it then must follow."""

# Members of an enum take long to look up.
_ANY, _ONE_SCALE, _FILTER = Scheme.ANY, Scheme.ONE_SCALE, Scheme.FILTER
_BLOCK_MULTIPLE = 32
# The bits of a float16 that is infinite: those of positive numbers are below.
_INFINITE_HALF = 0x7C00


class Affine(NamedTuple):
    """real = (integer - zero_point) * scale, with one scale or one for each index of a dimension."""

    scales: list[float]
    zero_points: list[int]
    dimension: int


def as_int32(zero_point: int) -> int:
    """What the runtime keeps of a zero point: the file has 64 bits for it, a TfLiteAffineQuantization 32."""
    return (zero_point + (1 << 31)) % (1 << 32) - (1 << 31)


def affine(tensor: Tensor) -> Affine | None:
    """How the tensor is quantised; None where it is not, or in blocks or along several axes."""
    quantization = _of_scales(tensor)
    if quantization is None:
        return None
    scales: list[float] = quantization.scale  # type: ignore[assignment]
    zero_points = quantization.zero_point or [0]
    if not are_int32(zero_points):
        zero_points = [as_int32(point) for point in zero_points]
    if len(zero_points) < len(scales):
        zero_points = zero_points + [zero_points[0]] * (len(scales) - len(zero_points))
    return Affine(scales, zero_points, quantization.quantized_dimension)


def _of_scales(tensor: Tensor) -> QuantizationParameters | None:
    """The stored quantisation where it is affine: what needs one number of it asks no more."""
    quantization = tensor.quantization
    if quantization is None or not quantization.scale:
        return None
    if quantization.details is not None and _details(tensor) is not None:
        return None
    return quantization


def _first_zero_point(quantization: QuantizationParameters) -> int:
    """The first zero point as runtimes keep it, 0 where there is none."""
    return as_int32(quantization.zero_point[0]) if quantization.zero_point else 0


def scales_of(tensor: Tensor) -> Sequence[float]:
    """The scales of an affine tensor, else none."""
    quantization = _of_scales(tensor)
    return () if quantization is None else quantization.scale or ()


def has_offset(tensor: Tensor) -> bool:
    """Whether a zero point of an affine tensor is not 0."""
    quantization = _of_scales(tensor)
    if quantization is None or are_zero(quantization.zero_point or ()):
        return False
    return any(map(as_int32, quantization.zero_point or ()))


def blockwise(tensor: Tensor) -> Any | None:
    """The table of a blockwise quantisation, else None."""
    details = _details(tensor)
    return details if getattr(details, "table", "") == "BlockwiseQuantization" else None


def bad_block(tensor: Tensor) -> tuple[int, float] | None:
    """The first block whose scale is not positive and finite, and that scale; None where all are, or none is known."""
    data = getattr(getattr(blockwise(tensor), "scales", None), "data", None)
    scales = array("H", bytes(data or b"")[: len(data or b"") // 2 * 2])
    if sys.byteorder == "big":
        scales.byteswap()
    if not scales or (min(scales) > 0 and max(scales) < _INFINITE_HALF):
        return None
    block = next(n for n, half in enumerate(scales) if not 0 < half < _INFINITE_HALF)
    value: float = struct.unpack("<e", struct.pack("<H", scales[block]))[0]
    return block, value


def has_whole_blocks(tensor: Tensor) -> bool:
    """Whether there is a scale for each block of the size that the file says."""
    blocks = blockwise(tensor)
    scales = 0 if blocks is None else block_scales(blocks)
    return scales > 0 and blocks is not None and count(tensor) // scales == blocks.block_size


def block_scales(blocks: Any) -> int:
    """How many scales of blocks there are; none where they are no tensor that the file has."""
    return count(blocks.scales) if isinstance(blocks.scales, Table) else 0  # type: ignore[arg-type]


def _details(tensor: Tensor) -> Any | None:
    details = tensor.quantization.details if tensor.quantization is not None else None
    return None if getattr(details, "table", "") == "CustomQuantization" else details


def is_quantised(tensor: Tensor) -> bool:
    """Whether the runtime keeps a quantisation of any scheme."""
    return affine(tensor) is not None or _details(tensor) is not None


def is_constant(tensor: Tensor) -> bool:
    """Whether the file holds its values; those of a tensor without elements are a vector of no bytes."""
    return bool(tensor.data) or (count(tensor) == 0 and getattr(tensor.buffer, "data", None) is not None)


def scale_and_zero_point(tensor: Tensor) -> tuple[float, int]:
    """Those of a tensor with a single scale; else (0, 0), as the runtime keeps them."""
    quantization = _of_scales(tensor)
    if quantization is None or len(quantization.scale or ()) != 1:
        return 0.0, 0
    return quantization.scale[0], _first_zero_point(quantization)  # type: ignore[index]


def has_rank(tensor: Tensor, ranks: tuple[int, int]) -> bool:
    """Whether it has so many dimensions, none of them empty."""
    shape = tensor.shape or ()
    return ranks[0] <= len(shape) <= ranks[1] and min(shape, default=1) > 0


def count(tensor: Tensor) -> int:
    """How many elements it has."""
    return prod(tensor.shape or ())


def integers(tensor: Tensor) -> list[int]:
    """The values of a constant of INT32 or INT64, as many as its bytes hold, in one row.

    Raises:
        SurgeonError: they lie in a file that was closed.
    """
    width = 8 if tensor.type_name == "INT64" else 4
    data = tensor.data or b""
    return [
        int.from_bytes(data[start : start + width], "little", signed=True)
        for start in range(0, len(data) - width + 1, width)
    ]


def suits(tensor: Tensor, form: Form, axis: int = 0) -> bool:
    """Whether the tensor is of a type of the form and quantised accordingly, its channels along the axis."""
    scheme = form.get(tensor.type_name)
    if scheme is None or scheme is _ANY:
        return scheme is _ANY
    quantization = _of_scales(tensor)
    if quantization is None:
        return scheme is Scheme.MATRIX and _has_blocks(tensor)
    scales: list[float] = quantization.scale  # type: ignore[assignment]
    several, dimension = len(scales) > 1, quantization.quantized_dimension
    if scheme is _ONE_SCALE:
        return not several and dimension == 0
    low, high = INTEGERS[tensor.type_name]
    if scheme is Scheme.MATRIX:
        return not several or dimension == axis
    if scheme is Scheme.MATRIX_BY_CHANNEL:
        return dimension == axis and len(scales) == (tensor.shape or [0])[axis]
    if not are_usable_scales(scales) or len(tensor.shape or ()) > MOST_DIMENSIONS:
        return False
    zero_point = _first_zero_point(quantization)
    if scheme is Scheme.FILTER_OF_ONE_SCALE:
        return not several and dimension == 0 and low <= zero_point <= high
    if scheme is _FILTER and several:
        return dimension == axis and zero_point == 0 and bool(tensor.shape)
    if scheme is Scheme.BIAS and dimension != 0:
        return False
    return bool(tensor.shape) if several else low <= zero_point <= high


def _has_blocks(tensor: Tensor) -> bool:
    blocks = blockwise(tensor)
    return blocks is not None and blocks.scales is not None and blocks.block_size % _BLOCK_MULTIPLE == 0


def datatype(tensor: Tensor) -> str | None:
    """The type that XNNPACK gives the tensor, quantisation included; None where it has none for it."""
    type_name = tensor.type_name
    if type_name in FLOATS:
        return type_name
    if type_name not in INTEGERS:
        return None
    quantization = _of_scales(tensor)
    if quantization is None:
        blocks = blockwise(tensor)
        fits = type_name == "INT4" and blocks is not None and bad_block(tensor) is None and has_whole_blocks(tensor)
        return "blocks of INT4" if fits else None
    scales: list[float] = quantization.scale  # type: ignore[assignment]
    dimension = quantization.quantized_dimension
    if not are_usable_scales(scales):
        return None
    if len(scales) == 1:
        low, high = INTEGERS[type_name]
        return type_name if low <= _first_zero_point(quantization) <= high and dimension >= 0 else None
    shape = tensor.shape or []
    if type_name == "UINT8" or dimension >= len(shape) or len(scales) != shape[dimension]:
        return None
    if not are_zero(quantization.zero_point or ()):
        allowed = _CHANNEL_ZERO_POINTS.get(type_name, (0,))
        if not all(as_int32(point) in allowed for point in quantization.zero_point or ()):
            return None
    return f"{type_name} by channel"


def ratio(first: float, second: float) -> float:
    """A quotient of two float32 values in float32, infinite or not a number where C gives that."""
    if second == 0:
        return math.nan if first == 0 or math.isnan(first) else math.copysign(math.inf, first)
    return float32(first / second)
