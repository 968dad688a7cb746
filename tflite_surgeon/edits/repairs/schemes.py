"""Quantisation in a scheme that the kernel does not have: blocks, several axes, several scales."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from tflite_surgeon.edits.constants import real_values, symmetric_scales
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.scale_vectors import one_scale, scale_count
from tflite_surgeon.edits.weights import Weights, constant_of, scales_of, write, zero_points_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales, float32

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDE = ("INT32", "INT64")
_SYMMETRIC = ("INT8", "INT4", "INT2")
# What reads the scale of 32-bit integers.
_CONVERTING = ("QUANTIZE", "DEQUANTIZE")


@repair(
    "quantization-scheme",
    Phase.WEIGHTS,
    "Drops the scale of plain 32-bit integers, which no kernel counts in; makes one of equal scales. Weights in blocks "
    "are requantised with a scale for each channel, and weights with a scale for each channel with one where the "
    "kernel takes one (both lossy).",
    "Blocks and axes that the tables do not describe in full.",
)
def quantization_scheme(draft: Draft, target: Target, wish: Wish) -> Result:
    """A tensor quantised as the kernel does not read it."""
    tensor = target.tensor
    if tensor is None or tensor.quantization is None:
        return Refused("the finding names no quantised tensor")
    if tensor.quantization.details is not None:
        return _described(draft, target, tensor)
    if tensor.type_name in _WIDE:
        return _plain(draft, target, tensor)
    weights = constant_of(target.operator, tensor)
    if weights is None or tensor.data is None:
        return one_scale(draft, tensor)
    try:
        return _one_for_all(draft, weights)
    except SurgeonError as error:
        return Refused(str(error))


@repair(
    "xnnpack-quantization",
    Phase.WEIGHTS,
    "Writes the block size that the scales make, or the number and dimension of scales that the delegate counts; makes "
    "one of equal scales. Different scales of UINT8 weights are replaced by one (lossy).",
    "A tensor without a scale: only its author knows the range of its values.",
)
def xnnpack_quantization(draft: Draft, target: Target, wish: Wish) -> Result:
    """A tensor that the delegate has no type for, as it is quantised."""
    tensor = target.tensor
    if tensor is None or tensor.quantization is None:
        return Refused("the tensor has no scale, and its integers do not tell the range of their values")
    details = tensor.quantization.details
    if getattr(details, "table", "") == "BlockwiseQuantization" and tensor.type_name == "INT4":
        return _block_size(draft, tensor, details)
    if tensor.type_name == "UINT8" or details is not None:
        return quantization_scheme(draft, target, wish)
    return scale_count(draft, target, wish)


# Blocks and several axes


def _described(draft: Draft, target: Target, tensor: Tensor) -> Result:
    """A scheme of its own table: dropped where it says nothing, else told by a scale for each channel."""
    assert tensor.quantization is not None
    name, kind = tensor.name, getattr(tensor.quantization.details, "table", "an unknown scheme")
    if not draft.readers(tensor) and not draft.writers(tensor) and not draft.is_interface(tensor):
        draft.set(tensor, "quantization", None)
        return Done(f"the quantisation ({kind}) of {name!r} is dropped", "no node uses the tensor")
    weights = constant_of(target.operator, tensor)
    try:
        real = None if weights is None else _of_blocks(tensor)
        if weights is not None and real is not None:
            type_name = "INT8"
            scales = symmetric_scales(real, type_name, weights.axis)
            own = draft.own(weights.use)
            draft.quantize(own, details=None)
            fresh = Weights(weights.use, weights.name, own, weights.axis)
            written = write(draft, fresh, real, type_name, scales, [0] * len(scales), weights.axis)
            what = f"the weights {name!r} are quantised with {len(scales)} scales of channels instead of blocks"
            reason = f"{weights.name} takes scales of channels; the values are those of the blocks"
            return Done(what, reason, None, written.quanta, written.loses, written.warnings)
    except SurgeonError as error:
        return Refused(str(error))
    scales, shape, axis = scales_of(tensor), tensor.shape or [], tensor.quantization.quantized_dimension
    fits = len(scales) == 1 or (0 <= axis < len(shape) and shape[axis] == len(scales))
    if scales and fits and are_usable_scales(scales):
        draft.quantize(tensor, details=None)
        what = f"the description of {name!r} as {kind} is dropped, the {len(scales)} scales beside it stay"
        return Done(what, "it describes no whole blocks, and the scales fit the tensor")
    return Refused(f"{kind} of {name!r} describes no whole blocks, and there are no scales beside it: convert it again")


def _of_blocks(tensor: Tensor) -> NDArray[Any] | None:
    """The values of a constant in blocks along its last dimension; None where the table describes none.

    Source: LiteRT schema, BlockwiseQuantization; XNNPACK takes float16 scales of rows x blocks and zero points of 0.
    """
    import numpy as np

    details = tensor.quantization.details if tensor.quantization is not None else None
    scales, points = getattr(details, "scales", None), getattr(details, "zero_points", None)
    if getattr(details, "table", "") != "BlockwiseQuantization" or not isinstance(scales, Tensor) or scales is tensor:
        return None
    shape, size = tensor.shape or [], getattr(details, "block_size", 0)
    if not shape or size <= 0 or shape[-1] % size or scales.type_name not in ("FLOAT16", "FLOAT32"):
        return None
    blocks = scales.values().astype(np.float64).reshape(-1)
    integers = tensor.values()
    if blocks.size != integers.size // size or not ((blocks > 0) & np.isfinite(blocks)).all():
        return None
    offsets = np.zeros(blocks.size)
    if isinstance(points, Tensor):
        offsets = points.values().astype(np.float64).reshape(-1)
        if offsets.size != blocks.size:
            return None
    values: NDArray[Any] = (integers.reshape(-1, size) - offsets[:, None]) * blocks[:, None]
    return values.reshape(shape)


def _block_size(draft: Draft, tensor: Tensor, details: Any) -> Result:
    """The size of blocks that the number of scales makes."""
    scales, shape = getattr(details, "scales", None), tensor.shape or []
    count = prod(getattr(scales, "shape", None) or [0]) if isinstance(scales, Table) else 0
    size = prod(shape) // count if count > 0 else 0
    if not size or prod(shape) % count or shape[-1] % size:
        return Refused(f"{count} scales make no whole blocks of the rows of {tensor.name!r} of shape {shape}")
    old = details.block_size
    draft.set(details, "block_size", size)
    what = f"the block size of {tensor.name!r} is written as {size} instead of {old}"
    return Done(what, f"{count} scales for {prod(shape)} elements are one for each {size}")


# One scale


def _plain(draft: Draft, target: Target, tensor: Tensor) -> Result:
    """Wide integers without a scale: all of a node's, so that they still count in one unit."""
    operator = target.operator
    items = () if operator is None else (*(operator.inputs or ()), *(operator.outputs or ()))
    mates = [item for item in items if isinstance(item, Tensor) and item.type_name in _WIDE and scales_of(item)]
    warnings = []
    for mate in {id(mate): mate for mate in (tensor, *mates)}.values():
        users = [use.operator.name for use in (*draft.readers(mate), *draft.writers(mate))]
        converting = [user for user in users if user in _CONVERTING]
        if converting:
            return Refused(
                f"{converting[0]} counts in the scale of {mate.name!r}: without it its values would be others"
            )
        if draft.is_interface(mate) and set(scales_of(mate)) != {1.0}:
            warnings.append(
                f"{mate.name!r} is an input or output of the model: callers no longer read its scale from it"
            )
        draft.set(mate, "quantization", None)
    what = f"the scales of the {tensor.type_name} tensor {tensor.name!r} and those beside it are dropped"
    return Done(what, "the kernels compute with plain integers, which stay", "integers", 0.0, "", tuple(warnings))


def _one_for_all(draft: Draft, weights: Weights) -> Result:
    """Weights with one scale instead of one for each channel."""
    import numpy as np

    tensor, name = weights.tensor, weights.tensor.name
    scales, points = scales_of(tensor), zero_points_of(tensor) or [0]
    if tensor.type_name not in LIMITS or not are_usable_scales(scales) or not scales:
        return Refused(f"the scales of {name!r} do not tell its values")
    real = real_values(tensor)
    if len(set(points)) == 1 and (len(set(scales)) == 1 or tensor.type_name not in _SYMMETRIC):
        scale, point = max(scales), points[0]
    elif tensor.type_name in _SYMMETRIC:
        scale, point = symmetric_scales(real, tensor.type_name, None)[0], 0
    else:
        low, high = LIMITS[tensor.type_name]
        least, most = min(0.0, float(np.min(real, initial=0))), max(0.0, float(np.max(real, initial=0)))
        scale = float32((most - least) / (high - low)) or 1.0
        point = round(low - least / scale)
    written = write(draft, weights, real, tensor.type_name, [scale], [point])
    equal = "they are equal" if len(set(scales)) == 1 else f"{weights.name} takes one; the written values stand"
    what = f"the {len(scales)} scales of the weights {name!r} are made one, {scale:.9g}"
    return Done(what, equal, None, written.quanta, written.loses, written.warnings)
