"""Zero points of INT16, which its kernels compute without."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tflite_surgeon.edits.activations import declare
from tflite_surgeon.edits.constants import parameters_of, real_values, requantized, symmetric_scales
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.ties import group_of, neighbours
from tflite_surgeon.edits.weights import scales_of, zero_points_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS, float32, is_usable_scale

_LOW, _HIGH = LIMITS["INT16"]
_RANGE_AGREES_WITHIN = 0.01
# Readings that move results by less than this many output quanta give the same results.
_SAME = 0.5
# Operators that give one value for one, and move by no more output steps than their input moves by in real units.
_ONE_TO_ONE = frozenset(
    {"ADD", "SUB", "RELU", "RELU6", "LEAKY_RELU", "QUANTIZE", "ABS", "MEAN", "CONCATENATION", "PAD", "RESHAPE"}
)
_VALUES_ASKED = "the file does not tell which is right, and the written values were asked for"

Reading = Literal["values", "integers"]


class Judged(NamedTuple):
    """Which of two readings the file speaks for, and why."""

    keep: Reading
    reason: str


@repair(
    "int16-zero-point",
    Phase.GRAPH,
    "--keep integers declares the zero point as 0, as the kernels take it; --keep values enlarges the scale until the "
    "old range fits around 0, and writes constants anew (lossy). auto judges by the recorded range and by what is "
    "copied to or from the tensor.",
    "Where no range was recorded and nothing else has the scale with another zero point, the file does not tell "
    "whether the zero point or the values are right.",
)
def int16_zero_point(draft: Draft, target: Target, wish: Wish) -> Result:
    """A zero point of 16-bit integers."""
    return around_zero(draft, target.tensor, target.operator, wish)


def around_zero(draft: Draft, tensor: Tensor | None, operator: Operator | None, wish: Wish) -> Result:
    """Give a tensor of INT16 the zero point 0; None where it has that.

    Args:
        draft: the model under repair.
        tensor: the tensor.
        operator: a node that reads or writes it, by whose output the difference of the readings is told.
        wish: what the person allows.
    """
    if tensor is None or tensor.type_name != "INT16":
        return Refused("the finding names no INT16 tensor")
    points = zero_points_of(tensor)
    if not any(points):
        return None
    if len(points) != 1:
        return Refused(f"{tensor.name!r} has {len(points)} zero points: kernels of INT16 take one, which must be 0")
    found = parameters_of(tensor)
    effect = _effect(tensor, points[0], operator)
    judged = _judge(draft, tensor, points[0], effect, wish)
    if isinstance(judged, Refused):
        return judged
    if judged.keep == "integers":
        draft.quantize(tensor, zero_point=[0])
        what = f"the zero point {points[0]} of {tensor.name!r} is declared as 0; the integers stay"
        return Done(what, judged.reason, "integers", 0.0)
    if found is None:
        return Refused(
            f"the zero point of {tensor.name!r} is {points[0]} and its scale says nothing: no values to keep"
        )
    try:
        if tensor.data is not None:
            return _constant(draft, tensor, points[0], judged.reason)
        return _computed(draft, tensor, found.scale, points[0], effect, judged.reason)
    except SurgeonError as error:
        return Refused(str(error))


def _constant(draft: Draft, tensor: Tensor, point: int, reason: str) -> Result:
    """The same real values around 0; whoever reads them reads the same."""
    real = real_values(tensor)
    old = scales_of(tensor)[0]
    steps = float(abs(real).max(initial=0.0)) / old
    # In the old scale they are exact, where they fit.
    scale = old if steps <= _HIGH else symmetric_scales(real, "INT16", None)[0]
    made = requantized(tensor, real, "INT16", [scale], [0])
    draft.store(tensor, made.data)
    draft.quantize(tensor, scale=[scale], zero_point=[0])
    loses = ""
    if made.quanta > 1e-6:
        loses = f"values of {tensor.name!r} move by up to {made.quanta:.2g} of a step ({made.error:.3g})"
    what = f"the zero point {point} of {tensor.name!r} is taken into its integers"
    return Done(what if scale == old else f"{what}, in scale {scale:.9g}", reason, "values", 0.0, loses)


def _computed(draft: Draft, tensor: Tensor, old: float, point: int, effect: float | None, reason: str) -> Result:
    scale = float32(old * max(point - _LOW, _HIGH - point) / _HIGH)
    if not is_usable_scale(scale):
        return Refused(f"the zero point {point} of {tensor.name!r} is too far from INT16 for any scale")
    group = group_of(draft, tensor)
    strange = next((t for t in group if scales_of(t) != [old] or zero_points_of(t) != [point]), None)
    if strange is not None:
        return Refused(
            f"integers are copied between {tensor.name!r} and {strange.name!r}, which has another scale or zero point: "
            "what is one of them cannot be declared anew alone; --keep integers takes the zero point as 0"
        )
    warnings = []
    for member in group:
        if member.data is not None:
            made = requantized(member, real_values(member), "INT16", [scale], [0])
            draft.store(member, made.data)
        warnings += declare(draft, member, scale, 0)
    if any(map(draft.is_interface, group)):
        warnings.append(f"what feeds or reads {tensor.name!r} has to use the scale {scale:.9g} and zero point 0")
    return Done(
        f"{tensor.name!r} had scale {old:.9g} and zero point {point}, and has {scale:.9g} and 0 now",
        reason,
        "values",
        effect,
        f"steps are {scale:.9g} instead of {old:.9g}, so that the old range fits: values move by up to {scale / 2:.3g}",
        tuple(warnings),
    )


# Which reading the file speaks for


def _judge(draft: Draft, tensor: Tensor, point: int, effect: float | None, wish: Wish) -> Judged | Refused:
    if wish.keep != "auto":
        return Judged(wish.keep, f"asked for: keep the {wish.keep}")
    found = _by_range(tensor, point) or _by_copies(draft, tensor)
    if found is not None:
        return found
    if effect is not None and effect < _SAME:
        return Judged("integers", f"both readings give the same results to within {effect:.2g} output quanta")
    if wish.undecided == "values":
        return Judged("values", _VALUES_ASKED)
    told = "" if effect is None else f"; the readings differ by {effect:.3g} output quanta"
    return Refused(
        f"kernels of INT16 take the zero point {point} of {tensor.name!r} for 0, and the file does not tell whether it "
        f"or the integers are right{told}: choose --keep integers (the zero point becomes 0) or --keep values (the "
        "scale is enlarged)",
        is_open=True,
    )


def _by_range(tensor: Tensor, point: int) -> Judged | None:
    """The recorded range is that of the scale around 0, or that of the scale and the zero point."""
    quantization, scales = tensor.quantization, scales_of(tensor)
    low = (quantization.min if quantization is not None else None) or []
    high = (quantization.max if quantization is not None else None) or []
    if len(scales) != 1 or len(low) != 1 or len(high) != 1 or not low[0] < high[0] or not is_usable_scale(scales[0]):
        return None
    scale, told = scales[0], f"the recorded range {low[0]:.6g} to {high[0]:.6g} is that of the scale {scales[0]:.9g}"
    if abs(max(-low[0], high[0]) / _HIGH - scale) <= _RANGE_AGREES_WITHIN * scale:
        return Judged("integers", f"{told} with zero point 0")
    width = (high[0] - low[0]) / (_HIGH - _LOW)
    if abs(width - scale) <= _RANGE_AGREES_WITHIN * scale and abs((_LOW - point) * scale - low[0]) <= 2 * scale:
        return Judged("values", f"{told} with zero point {point}")
    return None


def _by_copies(draft: Draft, tensor: Tensor) -> Judged | None:
    """What is copied to or from the tensor has its scale, and zero point 0."""
    for other in neighbours(draft, tensor):
        if scales_of(other) == scales_of(tensor) and zero_points_of(other) == [0]:
            reason = f"integers are copied between it and {other.name!r}, which has the same scale and zero point 0"
            return Judged("integers", reason)
    return None


def _effect(tensor: Tensor, point: int, operator: Operator | None) -> float | None:
    """The output quanta between the readings at a node that gives one value for one; None where that is not told."""
    if operator is None or operator.name not in _ONE_TO_ONE:
        return None
    result = operator.outputs[0] if operator.outputs else None
    scales, mine = scales_of(result if isinstance(result, Tensor) else None), scales_of(tensor)
    if len(scales) != 1 or len(mine) != 1 or not is_usable_scale(scales[0]) or not is_usable_scale(mine[0]):
        return None
    return abs(point) * mine[0] / scales[0]
