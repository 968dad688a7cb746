"""Negative scales: a sign that was lost, or integers and scale turned over together. `restoring` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.evidence import HINT, scale_evidence, starts_at_lowest
from tflite_surgeon.edits.repairs.registry import Done, Refused, Result, Wish
from tflite_surgeon.edits.ties import group_of
from tflite_surgeon.edits.weights import Weights, all_weights_of, scales_of, zero_points_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.model.values import pack
from tflite_surgeon.quantization import LIMITS, is_usable_scale, ulps_apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A quotient of two rounded scales is the third to within this many units in the last place.
_ULPS = 8
_RANGE_AGREES_WITHIN = 0.01
_OPEN = (
    "the file does not tell whether the sign or the integers are wrong: choose --keep integers (the sign is dropped) "
    "or --keep values ({})"
)

Reading = Literal["values", "integers"]


def without_sign(draft: Draft, tensor: Tensor, wish: Wish) -> Result:
    """Give a tensor with negative scales positive ones.

    Every scale that is none must be one but for its sign. With the integers kept, the sign alone goes; with the values
    kept, integers and zero point are turned over too.
    """
    scales = scales_of(tensor)
    negative = [channel for channel, scale in enumerate(scales) if scale < 0]
    new = [abs(scale) for scale in scales]
    if tensor.data is None:
        return _of_computed(draft, tensor, new[0], wish) if len(new) == 1 else Refused(_several(tensor))
    judged = _judge_constant(draft, tensor, scales, negative)
    what = _described(tensor, scales, negative)
    if judged is None:
        judged = (wish.keep, f"asked for: keep the {wish.keep}") if wish.keep != "auto" else None
    if judged is None and wish.undecided == "values":
        judged = ("values", "the file does not tell which is right, and the written values were asked for")
    if judged is None:
        return Refused(f"{what}, and {_OPEN.format('the integers change their sign with it')}", is_open=True)
    keep, reason = judged
    if keep == "integers":
        draft.quantize(tensor, scale=new)
        return Done(f"{what}: the sign is dropped, the integers stay", reason, "integers")
    try:
        turned = _turned(tensor, negative, _takes_zero_only(draft, tensor))
    except SurgeonError as error:
        return Refused(str(error))
    data, points, clipped = turned
    draft.store(tensor, data)
    draft.quantize(tensor, scale=new, zero_point=points)
    loses = ""
    if clipped:
        loses = (
            f"{clipped} of the integers are the lowest of {tensor.type_name}, which has no counterpart: they move by "
            f"one step ({max(new[c] for c in negative):.9g})"
        )
    for bias, use in _turned_biases(draft, tensor, scales):
        _turn_bias(draft, bias, use)
    return Done(f"{what}: integers and scale change their sign together", reason, "values", 0.0, loses)


def _several(tensor: Tensor) -> str:
    return f"{tensor.name!r} is computed and has several scales, of which kernels read one"


def _described(tensor: Tensor, scales: Sequence[float], negative: Sequence[int]) -> str:
    where = f" in {len(negative)} of {len(scales)} channels" if len(scales) > 1 else ""
    return f"the scale of {tensor.name!r} is {scales[negative[0]]:.9g}{where}"


# Constants


def _judge_constant(
    draft: Draft, tensor: Tensor, scales: Sequence[float], negative: Sequence[int]
) -> tuple[Reading, str] | None:
    """The reading that biases or recorded ranges speak for."""
    for weights in all_weights_of(draft, tensor):
        source, stored = scales_of(weights.source), scales_of(weights.bias)
        if weights.bias is None or len(source) != 1 or not source[0] or len(stored) != len(scales):
            continue
        quotients = [stored[channel] / source[0] for channel in negative]
        name = weights.bias.name
        if all(_is_same(quotient, -scales[c]) for quotient, c in zip(quotients, negative)):
            return "integers", f"the bias {name!r} was made for a weights scale of {quotients[0]:.9g}"
        if all(_is_same(-quotient, -scales[c]) for quotient, c in zip(quotients, negative)):
            return "values", f"the bias {name!r} was made for the negative scale and changes its sign with the weights"
    return _by_range(tensor, scales, negative)


def _is_same(first: float, second: float) -> bool:
    return is_usable_scale(first) and is_usable_scale(second) and ulps_apart(first, second) <= _ULPS


def _by_range(tensor: Tensor, scales: Sequence[float], negative: Sequence[int]) -> tuple[Reading, str] | None:
    """The range that was recorded when the constant was quantised."""
    quantization = tensor.quantization
    low = (quantization.min if quantization is not None else None) or []
    high = (quantization.max if quantization is not None else None) or []
    if len(scales) != 1 or len(low) != 1 or len(high) != 1 or not low[0] < high[0]:
        return None
    try:
        integers = tensor.values()
    except SurgeonError:
        return None
    point, scale = (zero_points_of(tensor) or [0])[0], abs(scales[0])
    if not integers.size:
        return None
    least, most = (int(integers.min()) - point) * scale, (int(integers.max()) - point) * scale
    readings: list[Reading] = _agreeing(least, most, low[0], high[0], scale)
    if len(readings) != 1:
        return None
    return readings[0], f"the recorded range {low[0]:.6g} to {high[0]:.6g} is that of the {readings[0]}"


def _agreeing(least: float, most: float, low: float, high: float, scale: float) -> list[Reading]:
    """The readings under which integers reach over a recorded range."""
    width = scale + _RANGE_AGREES_WITHIN * (high - low)
    found: list[Reading] = []
    if abs(least - low) <= width and abs(most - high) <= width:
        found.append("integers")
    if abs(-most - low) <= width and abs(-least - high) <= width:
        found.append("values")
    return found


def _takes_zero_only(draft: Draft, tensor: Tensor) -> bool:
    """Whether the constant is the weights of a kernel that computes with the zero point 0."""
    return tensor.type_name != "UINT8" and bool(all_weights_of(draft, tensor))


def _turned(tensor: Tensor, negative: Sequence[int], zero_only: bool) -> tuple[bytes, list[int], int]:
    """The integers and zero points of the negated values of some channels, and how many integers were cut off.

    Raises:
        SurgeonError: scales, zero points and shape do not fit each other, or the type is none of LIMITS.
    """
    import numpy as np

    if tensor.type_name not in LIMITS:
        raise SurgeonError(f"{tensor.name!r} is {tensor.type_name}: there are no integers to turn over")
    low, high = LIMITS[tensor.type_name]
    count = len(scales_of(tensor))
    stored = zero_points_of(tensor) or [0]
    points = stored if len(stored) == count else stored[:1] * count
    integers: NDArray[Any] = tensor.values().astype(np.int64)
    axis = tensor.quantization.quantized_dimension if tensor.quantization is not None else 0
    if count > 1 and not (0 <= axis < integers.ndim and integers.shape[axis] == count):
        raise SurgeonError(f"{tensor.name!r} has {count} scales, which do not fit its shape {tensor.shape}")
    along = np.moveaxis(integers, axis, 0) if count > 1 else integers[np.newaxis]
    clipped = 0
    for channel in negative:
        values, point = along[channel], points[channel]
        middle = low + high
        if point == 0 and low < 0 and (zero_only or not (values == low).any()):
            clipped += int((values == low).sum())
            along[channel] = np.minimum(-values, high)
        else:
            # The type's integers, read from the other end: no value is lost.
            along[channel], points[channel] = middle - values, middle - point
    return pack(tensor, integers), points, clipped


def _turned_biases(draft: Draft, tensor: Tensor, scales: Sequence[float]) -> list[tuple[Tensor, Weights]]:
    """The biases that were made for the negative scales: they are turned over with the weights."""
    found = []
    for weights in all_weights_of(draft, tensor):
        bias, stored = weights.bias, scales_of(weights.bias)
        if bias is None or bias.data is None or len(stored) != len(scales):
            continue
        signs = {(stored_scale < 0) == (scale < 0) for stored_scale, scale in zip(stored, scales)}
        if signs == {True} and any(value < 0 for value in stored):
            found.append((bias, weights))
    return found


def _turn_bias(draft: Draft, bias: Tensor, weights: Weights) -> None:
    import numpy as np

    try:
        integers = bias.values().astype(np.int64).reshape(-1)
    except SurgeonError:
        return
    stored = scales_of(bias)
    signs = np.where(np.array(stored) < 0, -1, 1)
    if len(signs) not in (1, len(integers)) or LIMITS.get(bias.type_name, (0, 0))[0] in integers:
        return
    operator = weights.use.operator
    position = next(n for n, item in enumerate(operator.inputs or ()) if item is bias)
    own = draft.own(Use(operator, position))
    draft.store(own, pack(own, (integers * signs).reshape(own.shape or ())))
    draft.quantize(own, scale=[abs(scale) for scale in stored])


# What is computed, or given from outside


def _of_computed(draft: Draft, tensor: Tensor, scale: float, wish: Wish) -> Result:
    """One scale, of which the sign alone goes; what the zero point stands for may be turned over with it."""
    what = f"the scale of {tensor.name!r} is {-scale:.9g}"
    point = (zero_points_of(tensor) or [0])[0]
    low, high = LIMITS.get(tensor.type_name, (0, 0))
    turned = low + high - point
    keep: Reading | None = None
    reason = ""
    for item in scale_evidence(draft, tensor):
        if item.weight == HINT or not item.agrees_with(scale):
            continue
        if item.zero_point == turned != point:
            keep, reason = "values", item.why
        else:
            keep, reason = "integers", item.why
        break
    if keep is None and abs(2 * point - low - high) <= 1:
        keep, reason = "integers", "the zero point is in the middle of the type, so that the range is the same"
    elif keep is None and point == low and starts_at_lowest(draft, group_of(draft, tensor)):
        keep, reason = "integers", "the activation before it gives nothing below 0, and the zero point says the same"
    elif keep is None and wish.keep != "auto":
        keep, reason = wish.keep, f"asked for: keep the {wish.keep}"
    elif keep is None and wish.undecided == "values":
        keep, reason = "values", "the file does not tell which is right, and the written values were asked for"
    if keep is None:
        return Refused(f"{what}, and {_OPEN.format(f'the zero point becomes {turned}')}", is_open=True)
    if keep == "integers":
        draft.quantize(tensor, scale=[scale])
        return Done(f"{what}: the sign is dropped", reason, "integers")
    draft.quantize(tensor, scale=[scale], zero_point=[turned])
    what = f"{what}: the sign is dropped and the zero point becomes {turned}, so that the range of values stays"
    return Done(what, reason, "values")
