"""Quantisation as a loader reads it; whether kernels can use it is theirs to say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.problems import WRONG, On, Place, Problem, Said, Stage
from tflite_surgeon.quantization import are_int32

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import QuantizationParameters, Tensor

_NO_ZERO_POINTS = Said("zero-points-missing", None, "Quantization parameters has non-null scale but null zero_point.")
_COUNTS = Said("zero-point-count", None, "QuantizationParam has {} zero_point values and {} scale values.")
_DIMENSION = Said(
    "quantized-dimension",
    None,
    "quantized_dimension must be in range [0, {}). Was {}",
)
_SCALES = Said("scale-count", None, "num_scales must be 1 for per-layer quantization, or {} for per-axis quantization")
_INT32_MAX = (1 << 31) - 1
_MULTI_AXIS = (
    Said("quantization-scheme", None, "Invalid MultiAxisQuantization parameters."),
    Said("quantization-scheme", None, "MultiAxisQuantization {} tensor index must be in range [0, {})"),
    Said("quantization-scheme", None, "MultiAxisQuantization block_size must be non-negative."),
    Said("quantization-scheme", None, "MultiAxisQuantization must have at least one quantized dimension."),
    Said("quantization-scheme", None, "MultiAxisQuantization quantized_dimensions must be in range [0, {})"),
)


def problems(tensor: Tensor, number: int, index: int, tensors: int) -> Iterator[Problem]:
    """What a loader finds wrong with a tensor's quantisation: the first thing.

    Args:
        tensor, number: the tensor, and its number in the subgraph.
        index: the subgraph's number.
        tensors: how many tensors the subgraph has.
    """
    quantization = tensor.quantization
    if quantization is None or _is_sound(quantization, tensor.shape):
        return
    on = On.TFLITE
    if quantization.details is not None:
        table = getattr(quantization.details, "table", "")
        if table == "MultiAxisQuantization":
            yield from _multi_axis(tensor, number, index, tensors)
        # tflite-runtime 2.14 does not know these schemes and reads the scales beside them.
        if table in ("MultiAxisQuantization", "BlockwiseQuantization"):
            on = On.V2_14
    scales = quantization.scale
    if not scales:
        return
    place = Place(index)
    points = quantization.zero_point
    if points is None:
        message = f"tensor {number} has {len(scales)} scales and no zero points"
        yield refused(_NO_ZERO_POINTS, message, on=on, place=place, tensor=tensor)
        return
    if len(points) != len(scales):
        message = f"tensor {number} has {len(points)} zero points and {len(scales)} scales"
        yield refused(_COUNTS, message, on=on, place=place, tensor=tensor)
        return
    if max(points) > _INT32_MAX or min(points) < ~_INT32_MAX:
        worst = max(points, key=abs)
        message = f"the zero point {worst} of tensor {number} does not fit 32 bits, and runtimes keep the lowest 32"
        yield Problem("zero-point-range", WRONG, On.EVERY, Stage.ALLOCATE, message, None, tensor, {}, place)
    dimension, shape = quantization.quantized_dimension, tensor.shape
    if dimension < 0 or (shape and dimension >= len(shape)):
        message = f"tensor {number} is quantised along dimension {dimension} and has {len(shape or ())}"
        yield refused(_DIMENSION, message, on=on, place=place, tensor=tensor)
    elif len(scales) != 1 and shape and len(scales) != shape[dimension]:
        message = f"tensor {number} has {len(scales)} scales, dimension {dimension} is of length {shape[dimension]}"
        yield refused(_SCALES, message, on=on, place=place, tensor=tensor)


def _is_sound(quantization: QuantizationParameters, shape: list[int] | None) -> bool:
    """Whether there is nothing to say, as of nearly all."""
    scales, points, dimension = quantization.scale, quantization.zero_point, quantization.quantized_dimension
    if quantization.details is not None:
        return False
    if not scales:
        return True
    if points is None or len(points) != len(scales) or dimension < 0 or not are_int32(points):
        return False
    return not shape or (dimension < len(shape) and len(scales) in (1, shape[dimension]))


def _multi_axis(tensor: Tensor, number: int, index: int, tensors: int) -> Iterator[Problem]:
    """Only LiteRT 2.3 knows scales along several dimensions."""
    details = tensor.quantization.details  # type: ignore[union-attr]
    rank = len(tensor.shape or ())
    dimensions = details.quantized_dimensions
    invalid, reference, block_size, none, dimension = _MULTI_AXIS
    found = None
    if dimensions is None:
        found = invalid, "no dimensions"
    elif not isinstance(details.scales, Table):
        found = reference, f"scales in a tensor that is none of the {tensors}"
    elif details.zero_points is not None and not isinstance(details.zero_points, Table):
        found = reference, f"zero points in a tensor that is none of the {tensors}"
    elif details.block_size < 0:
        found = block_size, f"blocks of {details.block_size} elements"
    elif not dimensions:
        found = none, "an empty list of dimensions"
    elif min(dimensions) < 0 or (rank and max(dimensions) >= rank):
        found = dimension, f"dimensions {list(dimensions)}, and has {rank}"
    if found is not None:
        message = f"tensor {number} is quantised along several dimensions, with {found[1]}"
        yield refused(found[0], message, on=On.LITERT, place=Place(index), tensor=tensor)
