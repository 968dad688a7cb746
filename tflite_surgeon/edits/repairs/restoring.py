"""Scales that say nothing, or are missing: restored from what the rest of the file says of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from tflite_surgeon.edits import bounds
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.evidence import HINT, RANGE, Evidence, scale_evidence, starts_at_lowest
from tflite_surgeon.edits.repairs.block_scales import with_block_scales
from tflite_surgeon.edits.repairs.registry import Done, Refused, Result, Wish
from tflite_surgeon.edits.repairs.signs import without_sign
from tflite_surgeon.edits.ties import group_of
from tflite_surgeon.edits.weights import Weights, all_weights_of, scales_of, zero_points_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.model.values import pack
from tflite_surgeon.quantization import LIMITS, float32, is_usable_scale

_LOST = "nothing in the file tells it; calibrate the model again, or write the scale that its author has"
_ZERO_POINTS = {"INT16": 0, "INT32": 0, "INT64": 0}


def restored(draft: Draft, tensor: Tensor | None, wish: Wish) -> Result:
    """Give a tensor usable scales, by what the file says of them; None where it has such.

    Args:
        draft: the model under repair.
        tensor: the tensor.
        wish: what the person allows.
    """
    if tensor is None:
        return Refused("the finding names no tensor, so there is no scale to restore")
    if tensor.type_name not in LIMITS:
        return Refused(f"{tensor.name!r} is {tensor.type_name}, which has no scale")
    quantization = tensor.quantization
    details = quantization.details if quantization is not None else None
    if isinstance(details, Table) and details.table == "BlockwiseQuantization":
        return with_block_scales(draft, tensor, details, wish)
    if isinstance(details, Table) and details.table != "CustomQuantization":
        return Refused(
            f"{tensor.name!r} is quantised as {details.table}: its scales stand nowhere else; quantise it again"
        )
    scales = scales_of(tensor)
    bad = [channel for channel, scale in enumerate(scales) if not is_usable_scale(scale)]
    if scales and not bad:
        return None
    if bad and all(is_usable_scale(-scales[channel]) for channel in bad):
        return without_sign(draft, tensor, wish)
    if tensor.data is not None:
        return _constant(draft, tensor, scales, bad, wish)
    if len(scales) > 1:
        return Refused(f"{tensor.name!r} has {len(scales)} scales and is computed: kernels read one scale of it")
    return _computed(draft, tensor)


def _found(scales: Sequence[float]) -> str:
    return f"scale {scales[0]:.9g}" if scales else "no scale"


# Constants: what biases were made for


def _constant(draft: Draft, tensor: Tensor, scales: Sequence[float], bad: Sequence[int], wish: Wish) -> Result:
    found = _found([scales[channel] for channel in bad])
    users = all_weights_of(draft, tensor)
    for weights in users:
        by_bias = weights.scales_by_bias
        if not by_bias or (scales and len(by_bias) != len(scales)) or not _are_for(weights, by_bias):
            continue
        new = [by_bias[c] if not scales or c in set(bad) else scale for c, scale in enumerate(scales or by_bias)]
        points = zero_points_of(tensor)
        if len(points) != len(new):
            if tensor.type_name == "UINT8":
                return Refused(f"the bias tells the scale of {tensor.name!r}, and nothing tells its zero point")
            points = [0] * len(new)
        axis = weights.axis if not scales else (tensor.quantization.quantized_dimension if tensor.quantization else 0)
        draft.quantize(tensor, scale=new, zero_point=points, quantized_dimension=axis)
        assert weights.bias is not None
        worth = new[bad[0]] if bad else new[0]
        return Done(
            f"{tensor.name!r} had {found}{_channels(scales, bad)} and has {worth:.9g} now",
            f"the bias {weights.bias.name!r} has the scale of the input ({weights.input_scale:.9g}) times that",
        )
    if not users and len(scales) <= 1:
        return _computed(draft, tensor)
    if bad and all(scales[channel] == 0 for channel in bad):
        return _zeros(draft, tensor, scales, bad, wish)
    return Refused(f"the constant {tensor.name!r} has {found}{_channels(scales, bad)}, and {_LOST}")


def _channels(scales: Sequence[float], bad: Sequence[int]) -> str:
    return f" in {len(bad)} of {len(scales)} channels" if len(scales) > 1 else ""


def _zeros(draft: Draft, tensor: Tensor, scales: Sequence[float], bad: Sequence[int], wish: Wish) -> Result:
    """Whatever is worth 0 can be written as 0 in any scale."""
    import numpy as np

    what = f"the constant {tensor.name!r} has scale 0{_channels(scales, bad)}"
    try:
        values = tensor.values()
    except SurgeonError as error:
        return Refused(str(error))
    points = zero_points_of(tensor) or [0] * len(scales)
    axis = tensor.quantization.quantized_dimension if tensor.quantization is not None else 0
    by_channel = len(scales) > 1
    if len(points) != len(scales) or (
        by_channel and not (0 <= axis < values.ndim and values.shape[axis] == len(scales))
    ):
        return Refused(f"{what}, and its scales do not fit its shape {tensor.shape}")
    integers = values.astype(np.int64)
    along = np.moveaxis(integers, axis, 0) if by_channel else integers[np.newaxis]
    moved = sum(int((along[channel] != points[channel]).sum()) for channel in bad)
    keeps_values = wish.keep == "values" or (wish.keep == "auto" and wish.undecided == "values")
    if moved and not keeps_values:
        return Refused(f"{what}, and {_LOST}; --keep values writes zeros, which is what kernels compute with")
    for channel in bad:
        along[channel] = points[channel]
    new = min(filter(is_usable_scale, scales), default=1.0)
    if moved:
        draft.store(tensor, pack(tensor, integers))
    draft.quantize(tensor, scale=[new if channel in set(bad) else scale for channel, scale in enumerate(scales)])
    if not moved:
        return Done(f"{what}, and has {new:.9g} now", "all its integers there stand for 0, in every scale", None, 0.0)
    loses = f"{moved} integers that scale 0 made worth 0 are 0 themselves now: what they once stood for is gone"
    return Done(f"{what}: it is written as zeros in scale {new:.9g}", "0 is what they are worth", "values", 0.0, loses)


def _are_for(weights: Weights, scales: Sequence[float]) -> bool:
    """Whether there are scales for the whole of the weights, or for each channel."""
    return all(map(is_usable_scale, scales)) and len(scales) in (1, weights.channels)


# What is computed, or given from outside


def _computed(draft: Draft, tensor: Tensor) -> Result:
    scales = scales_of(tensor)
    found = told(draft, tensor)
    had = f"{tensor.name!r} had {_found(scales)}"
    if not found:
        return _bounded(draft, tensor)
    best = found[0]
    other = next((item for item in found if item.weight == best.weight and not best.agrees_with(item.scale)), None)
    if other is not None:
        return Refused(f"{had}, and the file contradicts itself about it: {best.why}, but {other.why}")
    point, why_point = _zero_point(draft, tensor, [best, *(item for item in found if item.agrees_with(best.scale))])
    if point is None:
        return Refused(f"{had}: {best.why}, but nothing tells its zero point; write the one that its author has")
    _write(draft, tensor, best.scale, point)
    return Done(f"{had} and has {best.scale:.9g} now, with zero point {point}", best.why + why_point)


def _write(draft: Draft, tensor: Tensor, scale: float, point: int) -> None:
    draft.quantize(tensor, scale=[scale], zero_point=[point])
    assert tensor.quantization is not None
    if not 0 <= tensor.quantization.quantized_dimension < max(len(tensor.shape or ()), 1):
        # It was out of the shape as long as there was no scale to count along it.
        draft.quantize(tensor, quantized_dimension=0)


def _zero_point(draft: Draft, tensor: Tensor, found: Sequence[Evidence]) -> tuple[int | None, str]:
    """The zero point that is stored, or that something tells, and what that is."""
    low, high = LIMITS[tensor.type_name]
    stored = zero_points_of(tensor)
    if len(stored) == 1 and low <= stored[0] <= high:
        return stored[0], ""
    for item in found:
        if item.zero_point is not None:
            return item.zero_point, ""
    if tensor.type_name in _ZERO_POINTS:
        return _ZERO_POINTS[tensor.type_name], f"; {tensor.type_name} has zero point 0"
    if starts_at_lowest(draft, group_of(draft, tensor)):
        return low, "; the activation before it gives nothing below 0, which is the lowest integer"
    return None, ""


def told(draft: Draft, tensor: Tensor) -> list[Evidence]:
    """What tells a scale of a tensor, the strongest first."""
    found = [item for item in scale_evidence(draft, tensor) if item.weight != HINT]
    others = _same_range(draft, tensor)
    # How this file's converter made a scale of a range is seen better at another tensor than computed.
    return [*found, *others] if found and found[0].weight > RANGE else [*others, *found]


def _same_range(draft: Draft, tensor: Tensor) -> list[Evidence]:
    """Another tensor of the type for which the same range was recorded speaks for its scale."""
    quantization = tensor.quantization
    low = (quantization.min if quantization is not None else None) or []
    high = (quantization.max if quantization is not None else None) or []
    if len(low) != 1 or len(high) != 1 or not (isfinite(low[0]) and isfinite(high[0]) and low[0] < high[0]):
        return []
    for other in draft.home(tensor).tensors or ():
        theirs = other.quantization
        if other is tensor or theirs is None or other.type != tensor.type or other.data is not None:
            continue
        scales = scales_of(other)
        if theirs.min == low and theirs.max == high and len(scales) == 1 and is_usable_scale(scales[0]):
            why = f"{other.name!r}, for which the same range was recorded, has scale {scales[0]:.9g}"
            return [Evidence(scales[0], (zero_points_of(other) or [None])[0], why, RANGE, other)]  # type: ignore[list-item]
    return []


def _bounded(draft: Draft, tensor: Tensor) -> Result:
    """The largest scale that an output can have had: a larger one would hold what the node never gives."""
    had = f"{tensor.name!r} had {_found(scales_of(tensor))}"
    writers = draft.writers(tensor)
    reach = bounds.given(writers[0].operator) if len(writers) == 1 else None
    if reach is None:
        return Refused(f"{had}, and {_LOST}")
    low, high = LIMITS[tensor.type_name]
    point, why = _zero_point(draft, tensor, ())
    if point is None:
        # Nothing says how much of the range lies on either side of 0: the whole of it is held.
        least, most = min(reach[0], 0.0), max(reach[1], 0.0)
        scale = float32((most - least) / (high - low))
        point = min(max(round(low - least / scale), low), high) if is_usable_scale(scale) else low
    else:
        sides = [(reach[1], high - point), (-reach[0], point - low)]
        possible = [float32(value / steps) for value, steps in sides if value > 0 and steps > 0]
        scale = min(filter(is_usable_scale, possible), default=0.0)
    if not is_usable_scale(scale):
        return Refused(f"{had}, and {_LOST}")
    _write(draft, tensor, scale, point)
    name = writers[0].operator.name
    return Done(
        f"{had} and has {scale:.9g} now, with zero point {point}",
        f"by its inputs and constants {name} gives {reach[0]:.6g} to {reach[1]:.6g}: no larger scale was needed{why}",
        None,
        None,
        f"the scale that was calibrated is lost: results come in steps of {scale:.6g}, which may be coarser than its "
        "steps were",
        ("whatever reads this output in the scale it once had must read it in the new one",),
    )
