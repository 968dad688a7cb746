"""Repairs of zero points that are missing, or not as many as the scales."""

from __future__ import annotations

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.lengths import left_behind
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.unclaimed import is_unused
from tflite_surgeon.edits.weights import all_weights_of, scales_of, zero_points_of
from tflite_surgeon.knowledge.fixed_outputs import FIXED_OUTPUTS
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales, float32, is_usable_scale, ulps_apart

# Of these types every kernel takes the zero point 0 alone. Source: TFLite 8-bit quantisation specification.
_SYMMETRIC = frozenset({"INT16", "INT32", "INT64", "INT4", "INT2"})
# How far from a whole number a recorded range may put a zero point.
_WHOLE = 0.05
# A bias scale is a rounded product, and the input scale divides it again.
_ROUNDED_TWICE = 4


@repair(
    "zero-points-missing",
    Phase.FILE,
    "Writes the zero points that the recorded range or the kernel's fixed output tell, and 0 for types and constants "
    "that are symmetric. Of an 8-bit activation of which nothing tells, 0 is written with --keep values: the value "
    "that a missing number has in the file format.",
    "Of an activation with neither a recorded range nor a kernel that fixes it, the file does not tell the zero point.",
)
def zero_points_missing(draft: Draft, target: Target, wish: Wish) -> Result:
    """Scales without zero points."""
    tensor = target.tensor
    scales = scales_of(tensor)
    if tensor is None or tensor.quantization is None or not scales:
        return Refused("the finding names no tensor with scales")
    if zero_points_of(tensor):
        return None
    if not are_usable_scales(scales):
        return Refused(f"the scales of {tensor.name!r} say nothing, and so would zero points: repair scale-value first")
    point, reason = _told(draft, tensor, scales)
    if point is None:
        if wish.keep != "values" and wish.undecided != "values":
            return Refused(
                f"nothing in the file tells the zero point of {tensor.name!r}; --keep values writes 0, the value of a "
                "number that is left out",
                is_open=True,
            )
        point, reason = 0, "nothing in the file tells it, and a number that is left out is 0"
        warnings: tuple[str, ...] = (f"compare the results: the zero point 0 of {tensor.name!r} is a default",)
    else:
        warnings = ()
    draft.quantize(tensor, zero_point=[point] * len(scales))
    what = f"{tensor.name!r} has the zero point {point}" + (
        f" for each of its {len(scales)} scales" * (len(scales) > 1)
    )
    return Done(what, reason, warnings=warnings)


def _told(draft: Draft, tensor: Tensor, scales: list[float]) -> tuple[int | None, str]:
    """A zero point and what tells it; None where nothing does."""
    ranged = _by_range(tensor, scales)
    if ranged is not None:
        return ranged, "the recorded range tells it"
    if tensor.type_name in _SYMMETRIC:
        return 0, f"{tensor.type_name} tensors have no other"
    if is_unused(draft, tensor):
        return 0, "nothing reads it"
    for use in draft.writers(tensor):
        fixed = FIXED_OUTPUTS.get((use.operator.name, tensor.type_name))
        if fixed is not None and len(scales) == 1 and scales[0] == float32(fixed.scale):
            return fixed.zero_point, f"{use.operator.name} writes {tensor.type_name} with that"
    if tensor.data is not None and (len(scales) > 1 or (tensor.type_name == "INT8" and all_weights_of(draft, tensor))):
        return 0, "weights of a layer are symmetric"
    return None, ""


def _by_range(tensor: Tensor, scales: list[float]) -> int | None:
    """The zero point at which the least integer stands for the least value that the converter recorded."""
    quantization = tensor.quantization
    low, high = (quantization.min, quantization.max) if quantization is not None else (None, None)
    limits = LIMITS.get(tensor.type_name)
    if not low or not high or len(low) != 1 or len(high) != 1 or len(scales) != 1 or limits is None:
        return None
    if not is_usable_scale(scales[0]):
        return None
    exact = [limits[0] - low[0] / scales[0], limits[1] - high[0] / scales[0]]
    if not all(abs(value) < 1 << 31 for value in exact):
        return None
    nearest = [round(value) for value in exact]
    is_whole = all(abs(value - whole) < _WHOLE for value, whole in zip(exact, nearest))
    return nearest[0] if is_whole and nearest[0] == nearest[1] and limits[0] <= nearest[0] <= limits[1] else None


@repair(
    "zero-point-count",
    Phase.FILE,
    "Writes one zero point for each scale: those that lie behind the vector in the file still, or the same for all "
    "where all that are there are equal. Where there are as many zero points as channels, it is scales that are "
    "missing: they are taken from behind the vector, or from the bias scales.",
    "Where zero points differ and some are missing, or scales are missing and no bias scale tells them, the file does "
    "not hold them.",
)
def zero_point_count(draft: Draft, target: Target, wish: Wish) -> Result:
    """Another number of zero points than of scales."""
    tensor = target.tensor
    if tensor is None or tensor.quantization is None:
        return Refused("the finding names no tensor with scales")
    scales, points = scales_of(tensor), zero_points_of(tensor)
    if len(scales) == len(points):
        return None
    count, name = len(scales), tensor.name
    shape, axis = tensor.shape or [], tensor.quantization.quantized_dimension
    channels = shape[axis] if 0 <= axis < len(shape) else 1
    if count < len(points) == channels:
        return _with_scales(draft, tensor, scales, channels)
    if len(points) < count:
        data = left_behind(draft, tensor.quantization, "zero_point", 8 * count)
        if data is not None:
            found = [int.from_bytes(data[at : at + 8], "little", signed=True) for at in range(0, len(data), 8)]
            low, high = LIMITS.get(tensor.type_name, (0, 0))
            if all(low <= point <= high for point in found):
                draft.quantize(tensor, zero_point=found)
                reason = "the others lie behind these in the file: the vector's length is wrong"
                return Done(f"{name!r} has {count} zero points instead of {len(points)}", reason)
    if not points:
        return zero_points_missing(draft, target, wish)
    if len(set(points)) > 1:
        return Refused(f"{name!r} has {len(points)} zero points that differ, for {count} scales: write the right ones")
    if count not in (1, channels):
        return Refused(
            f"{name!r} has {count} scales and {len(points)} zero points, and neither is 1 or the {channels} channels"
        )
    draft.quantize(tensor, zero_point=points[:1] * count)
    return Done(f"{name!r} has {count} zero points instead of {len(points)}", f"all of them are {points[0]}")


def _with_scales(draft: Draft, tensor: Tensor, scales: list[float], channels: int) -> Result:
    """As many zero points as channels: the scales are too few."""
    import struct

    assert tensor.quantization is not None
    name, missing = tensor.name, channels - len(scales)
    what = f"{missing} missing scale{'s' if missing > 1 else ''} of {name!r} restored, {channels} in all"
    data = left_behind(draft, tensor.quantization, "scale", 4 * channels)
    if data is not None:
        found = list(struct.unpack(f"<{channels}f", data))
        if are_usable_scales(found):
            draft.quantize(tensor, scale=found)
            return Done(what, "they lie behind the others in the file: the vector's length is wrong")
    users = all_weights_of(draft, tensor)
    told = [user.scales_by_bias for user in users if user.axis == tensor.quantization.quantized_dimension]
    fitting = [
        found
        for found in told
        if len(found) == channels and all(ulps_apart(a, b) <= _ROUNDED_TWICE for a, b in zip(scales, found))
    ]
    if fitting:
        draft.quantize(tensor, scale=[*scales, *fitting[0][len(scales) :]])
        return Done(what, "bias scale / input scale gives them, and agrees with those that are there")
    return Refused(
        f"{name!r} has a zero point for each of its {channels} channels and {len(scales)} scales, and no bias scale "
        "tells the others: convert the model again"
    )
