"""How many scales a tensor has, and along which dimension they count."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.edits.activations import declare
from tflite_surgeon.edits.constants import real_values, symmetric_scales
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.weights import (
    Weights,
    all_weights_of,
    scales_of,
    weights_of,
    writable,
    write,
    zero_points_of,
)
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales, float32, is_usable_scale, ulps_apart

# A bias scale is a rounded product, and the input scale divides it again.
_ROUNDED_TWICE = 4
# Output quanta below which two readings give the same results.
_SAME = 0.5
_LACKS = (
    "Where scales are missing, they are known only if the bias scales (input scale x weights scale) or a recorded "
    "range for each channel tell them; where several dimensions have the length of the scales and no layer reads the "
    "tensor, any of them could be meant."
)


@repair(
    "quantized-dimension",
    Phase.WEIGHTS,
    "Writes the dimension that the kernel counts along, or the one that has as many indices as there are scales. Where "
    "kernels count the stored scales along another dimension: --keep integers corrects the dimension, so that results "
    "stay; --keep values requantises the weights along the kernel's dimension (lossy). auto asks the bias scales and "
    "where the integers reach the end of their range.",
    _LACKS,
)
def quantized_dimension(draft: Draft, target: Target, wish: Wish) -> Result:
    """The dimension that scales count along."""
    return _settled(draft, target, wish)


@repair(
    "scale-count",
    Phase.WEIGHTS,
    "Corrects the dimension where another one has as many indices as there are scales; restores missing scales from "
    "the bias scales or recorded ranges; makes one of equal scales; gives each channel the one scale where the kernel "
    "wants them so. Different scales of what the kernel takes with one alone are replaced by one that covers all "
    "(lossy).",
    _LACKS,
)
def scale_count(draft: Draft, target: Target, wish: Wish) -> Result:
    """The number of scales."""
    return _settled(draft, target, wish)


def _settled(draft: Draft, target: Target, wish: Wish) -> Result:
    tensor = target.tensor
    scales = scales_of(tensor)
    if tensor is None or not scales or tensor.quantization is None:
        return Refused("there are no scales to count")
    shape, axis = tensor.shape or [], tensor.quantization.quantized_dimension
    is_valid = 0 <= axis < max(len(shape), 1) and (len(scales) == 1 or shape[axis : axis + 1] == [len(scales)])
    users = all_weights_of(draft, tensor)
    weights = weights_of(target.operator, tensor) or next(iter(users), None)
    if len({user.axis for user in users}) > 1 and target.operator is None:
        return Refused(f"the layers that read {tensor.name!r} count its scales along different dimensions")
    if not is_valid:
        return _of_file(draft, tensor, weights)
    if weights is not None and len(scales) == 1:
        return _one_for_each(draft, weights)
    if weights is None:
        return one_scale(draft, tensor)
    if axis == weights.axis:
        return None
    try:
        return _of_kernel(draft, weights, wish)
    except SurgeonError as error:
        return Refused(str(error))


def _restate(draft: Draft, tensor: Tensor, scales: Sequence[float], axis: int) -> None:
    """Other scales for the same integers; zero points are kept where there are as many."""
    points = zero_points_of(tensor)
    if len(points) != len(scales):
        points = points[:1] * len(scales) if len(set(points)) == 1 else [0] * len(scales)
    draft.quantize(tensor, scale=list(scales), zero_point=points, quantized_dimension=axis)


# What no loader takes


def _of_file(draft: Draft, tensor: Tensor, weights: Weights | None) -> Result:
    """Scales that fit no dimension, or one that there is not."""
    scales, shape, name = scales_of(tensor), tensor.shape or [], tensor.name
    count = len(scales)
    if count == 1:
        draft.quantize(tensor, quantized_dimension=0)
        return Done(f"the dimension of the one scale of {name!r} is written as 0", "one scale counts for all elements")
    axes = [axis for axis, length in enumerate(shape) if length == count]
    if weights is not None and weights.axis in axes:
        draft.quantize(tensor, quantized_dimension=weights.axis)
        reason = f"{weights.name} counts scales along dimension {weights.axis}, which has the length {count}"
        return Done(f"the {count} scales of {name!r} count along dimension {weights.axis}", reason)
    if weights is None and len(axes) == 1:
        draft.quantize(tensor, quantized_dimension=axes[0])
        reason = f"it is the only one of length {count}"
        return Done(f"the {count} scales of {name!r} count along dimension {axes[0]}", reason)
    if weights is not None and (restored := _restored(draft, tensor, weights)) is not None:
        return restored
    if len(set(scales)) == 1 and are_usable_scales(scales) and len(set(zero_points_of(tensor))) <= 1:
        _restate(draft, tensor, scales[:1], 0)
        return Done(f"the {count} scales of {name!r} are made one, {scales[0]:.9g}", "they are equal")
    if len(axes) > 1:
        return Refused(f"dimensions {axes} of {name!r} all have the length {count}, and no layer reads it as weights")
    return Refused(
        f"{count} scales fit no dimension of {name!r} of shape {shape}, and neither bias scales nor recorded ranges "
        "tell the missing ones: convert the model again"
    )


def _restored(draft: Draft, tensor: Tensor, weights: Weights) -> Done | None:
    """Scales that are missing, from what else the file says of every channel."""
    stored, channels = scales_of(tensor), weights.channels
    for source, told in (("bias scale / input scale", weights.scales_by_bias), ("recorded range", _by_range(tensor))):
        if len(told) != channels or len(stored) >= len(told):
            continue
        scales = _completed(stored, told)
        if scales is not None:
            _restate(draft, tensor, scales, weights.axis)
            missing = len(told) - len(stored)
            return Done(
                f"{missing} missing scale{'s' if missing > 1 else ''} of {tensor.name!r} restored, {len(told)} in all "
                f"along dimension {weights.axis}",
                f"the {source} gives the scale of every channel, and the {len(stored)} stored ones are among them",
                "integers",
            )
    return None


def _by_range(tensor: Tensor) -> list[float]:
    """The symmetric scales of recorded ranges, one for each channel."""
    quantization = tensor.quantization
    low, high = ((quantization.min or []), (quantization.max or [])) if quantization is not None else ([], [])
    limit = LIMITS.get(tensor.type_name, (0, 0))[1]
    if len(low) != len(high) or tensor.type_name not in ("INT8", "INT4", "INT2"):
        return []
    found = [float32(max(abs(a), abs(b)) / limit) for a, b in zip(low, high)]
    return found if all(map(is_usable_scale, found)) else []


def _completed(stored: Sequence[float], told: Sequence[float]) -> list[float] | None:
    """All scales, the stored ones as they are; None where a stored one is not among those told, in their order."""
    scales, rest = [], list(stored)
    for scale in told:
        if rest and is_usable_scale(rest[0]) and ulps_apart(rest[0], scale) <= _ROUNDED_TWICE:
            scales.append(rest.pop(0))
        else:
            scales.append(scale)
    return None if rest else scales


# What a kernel does not take


def _one_for_each(draft: Draft, weights: Weights) -> Result:
    """The one scale for every channel."""
    channels = weights.channels
    scale, points = scales_of(weights.tensor), zero_points_of(weights.tensor)
    if channels is None or channels < 1:
        return Refused(f"the weights {weights.tensor.name!r} have no channels to give scales to")
    tensor = writable(draft, weights)
    draft.quantize(
        tensor, scale=scale * channels, zero_point=(points[:1] or [0]) * channels, quantized_dimension=weights.axis
    )
    what = f"each of the {channels} channels of {weights.tensor.name!r} is given the one scale {scale[0]:.9g}"
    return Done(what, f"{weights.name} takes a scale for each channel")


def _of_kernel(draft: Draft, weights: Weights, wish: Wish) -> Result:
    """Scales along a dimension that the kernel does not count along."""
    import numpy as np

    tensor, scales = weights.tensor, scales_of(weights.tensor)
    axis = tensor.quantization.quantized_dimension if tensor.quantization is not None else 0
    if not are_usable_scales(scales):
        return Refused(f"the scales of {tensor.name!r} are not all usable, so that no reading of them is")
    if len(scales) == weights.channels:
        integers = np.abs(tensor.values().astype(np.int64)) if tensor.data is not None else None
        by_bias = _is_told_by_bias(weights, scales)
        reading = None if integers is None or len(set(scales)) == 1 else _reaching(integers, tensor, axis, weights.axis)
        if wish.keep == "integers" or (wish.keep == "auto" and (by_bias or reading == "integers")):
            reason = "asked for: keep the integers"
            if wish.keep == "auto":
                reason = (
                    "the bias scales are input scale x weights scale, channel by channel"
                    if by_bias
                    else f"the integers reach the end of their range in every channel of dimension {weights.axis}"
                )
            return _redirected(draft, weights, reason)
        if len(set(scales)) == 1:
            return _redirected(draft, weights, "the scales are equal")
        if wish.keep == "auto" and reading is None:
            quanta = _readings_apart(weights, axis)
            if quanta is not None and quanta < _SAME:
                return _redirected(
                    draft, weights, f"both readings give the same results to within {quanta:.2g} output quanta"
                )
            if wish.undecided == "leave":
                effect = "" if quanta is None else f"; the readings differ by up to {quanta:.3g} output quanta"
                return Refused(
                    f"the scales of {tensor.name!r} are stored for dimension {axis}, {weights.name} counts them along "
                    f"{weights.axis}, and the file does not tell which is right{effect}: choose --keep integers "
                    "(results stay) or --keep values",
                    is_open=True,
                )
    elif wish.keep != "values" and (restored := _restored(draft, writable(draft, weights), weights)) is not None:
        return restored
    type_name = "INT8" if tensor.type_name == "UINT8" else tensor.type_name
    if type_name not in ("INT8", "INT4", "INT2"):
        return Refused(f"the weights {tensor.name!r} are {tensor.type_name}, which has no symmetric scales")
    real = real_values(tensor)
    apart = _readings_apart(weights, axis) if len(scales) == weights.channels else None
    new = symmetric_scales(real, type_name, weights.axis)
    written = write(draft, weights, real, type_name, new, [0] * len(new), weights.axis)
    what = f"the weights {tensor.name!r} are requantised along dimension {weights.axis}, with {len(new)} scales"
    reason = f"{weights.name} counts scales along dimension {weights.axis}; the written values stand"
    return Done(what, reason, "values", apart, written.loses, written.warnings)


def _redirected(draft: Draft, weights: Weights, reason: str) -> Done:
    draft.quantize(writable(draft, weights), quantized_dimension=weights.axis)
    what = f"the scales of {weights.tensor.name!r} are declared to count along dimension {weights.axis}"
    return Done(what, reason, "integers", 0.0)


def _is_told_by_bias(weights: Weights, scales: Sequence[float]) -> bool:
    """Whether the bias counts the scales along the output channels; equal ones say nothing."""
    told = weights.scales_by_bias
    return (
        len(set(scales)) > 1
        and len(told) == len(scales)
        and all(ulps_apart(a, b) <= _ROUNDED_TWICE for a, b in zip(told, scales))
    )


def _reaching(integers: object, tensor: Tensor, stored: int, counted: int) -> str | None:
    """Along which of two dimensions each slice was given a scale of its own: there each one reaches the end."""
    import numpy as np

    sizes = np.asarray(integers)
    end = LIMITS[tensor.type_name][1] if tensor.type_name in LIMITS else 0
    full = {
        name: bool((sizes.max(axis=tuple(d for d in range(sizes.ndim) if d != axis)) == end).all())
        for name, axis in (("values", stored), ("integers", counted))
    }
    agreeing = [name for name, is_full in full.items() if is_full]
    return agreeing[0] if len(agreeing) == 1 else None


def _readings_apart(weights: Weights, axis: int) -> float | None:
    """By how many output quanta two readings of the dimension differ."""
    import numpy as np

    tensor = weights.tensor
    integers = np.abs(tensor.values().astype(np.float64))
    scales = np.array(scales_of(tensor))
    shapes = [[-1 if d == which else 1 for d in range(integers.ndim)] for which in (axis, weights.axis)]
    apart = np.abs(scales.reshape(shapes[0]) - scales.reshape(shapes[1])) * integers
    return weights.quanta(float(apart.max(initial=0.0)))


# One scale instead of several


def one_scale(draft: Draft, tensor: Tensor) -> Result:
    """Give what is not weights one scale that covers all channels, exactly where they are equal."""
    scales, points, name = scales_of(tensor), zero_points_of(tensor) or [0], tensor.name
    if not are_usable_scales(scales) or len(points) not in (1, len(scales)):
        return Refused(f"the scales and zero points of {name!r} do not tell its values")
    points = points * len(scales) if len(points) == 1 else points
    if len(set(zip(scales, points))) == 1:
        warnings = declare(draft, tensor, scales[0], points[0])
        draft.quantize(tensor, quantized_dimension=0)
        return Done(f"the {len(scales)} scales of {name!r} are made one, {scales[0]:.9g}", "they are equal", None, None,
                    "", tuple(warnings))  # fmt: skip
    if tensor.type_name not in LIMITS:
        return Refused(f"the type {tensor.type_name} of {name!r} holds no integers")
    if tensor.data is not None:
        return Refused(f"{name!r} is a constant, and nothing reads it as weights")
    low, high = LIMITS[tensor.type_name]
    least = min(0.0, *((low - point) * scale for scale, point in zip(scales, points)))
    most = max(0.0, *((high - point) * scale for scale, point in zip(scales, points)))
    if len(set(points)) == 1:
        scale, point = max(scales), points[0]
    else:
        scale = float32((most - least) / (high - low))
        point = round(low - least / scale)
    warnings = declare(draft, tensor, scale, max(low, min(high, point)))
    draft.quantize(tensor, quantized_dimension=0)
    if draft.is_interface(tensor):
        warnings.append(f"{name!r} is an input or output of the model: callers have to count in its new scale")
    loses = f"channels of {name!r} count in steps of {scale:.6g} instead of {min(scales):.6g} and more"
    return Done(f"{name!r} is given the one scale {scale:.9g} and zero point {point}", "it covers all channels", None,
                None, loses, tuple(warnings))  # fmt: skip
