"""The repair of bias-zero-point: kernels add the integers of a bias as if its zero point were 0."""

from __future__ import annotations

from typing import Literal

from tflite_surgeon.edits.activations import node_of
from tflite_surgeon.edits.constants import packed
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.repairs.bias_type import bias_positions
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS
from tflite_surgeon.rules.bias_scale import MATTERS_FROM
from tflite_surgeon.rules.bias_use import BiasUse, bias_uses

Keep = Literal["values", "integers"]
_MEANT = {"values": "written values", "integers": "integers with the zero point 0"}


@repair(
    "bias-zero-point",
    # Before a node is computed in another type, whose kernel may refuse what this one passes over.
    Phase.GRAPH,
    "Sets the zero point to 0, which every kernel takes it for: --keep values subtracts it from the integers first, so "
    "that the written real values stand, --keep integers leaves them, so that results stay; auto judges by the file.",
    "Where the zero point is worth half an output quantum or more and no range is recorded beside it, the file does "
    "not tell which numbers its author meant.",
)
def bias_zero_point(draft: Draft, target: Target, wish: Wish) -> Result:
    """Zero points of all biases of a node."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    results = [
        without_bias_zero_point(draft, operator, place, wish)
        for place, tensor in bias_positions(operator)
        if _points(tensor)
    ]
    refused = next((result for result in results if isinstance(result, Refused)), None)
    done = [result for result in results if isinstance(result, Done)]
    return refused if refused is not None or not done else _together(done)


def _together(done: list[Done]) -> Done:
    if len({result.keep for result in done}) > 1:
        effects = max(result.effect or 0.0 for result in done)
        return Done("; ".join(result.what for result in done), done[0].reason, "values", effects)
    effect = None if any(result.effect is None for result in done) else max(result.effect or 0.0 for result in done)
    return Done("; ".join(result.what for result in done), done[0].reason, done[0].keep, effect)


def _points(bias: Tensor) -> list[int]:
    """The zero points of a bias; none where all are 0."""
    points = list((bias.quantization.zero_point if bias.quantization is not None else None) or [])
    return points if any(points) else []


def without_bias_zero_point(draft: Draft, operator: Operator, position: int, wish: Wish) -> Result:
    """Settle the zero point of the bias that a node reads at a position; None where it is 0."""
    bias = (operator.inputs or [])[position]
    assert isinstance(bias, Tensor)
    use = next((found for found in bias_uses(node_of(draft, operator)) if found.bias is bias), None)
    if use is None or use.integers is None:
        return Refused(f"the bias {bias.name!r} does not hold INT32 or INT64, one for each channel, to subtract from")
    stored = _points(bias)
    if not stored:
        return None
    if len(stored) not in (1, use.channels):
        return Refused(f"the bias {bias.name!r} has {len(stored)} zero points for {use.channels} channels")
    effect = _effect(use)
    keep, reason = _decide(use, effect, wish)
    if keep is None:
        return Refused(reason, is_open=True)
    shown = str(stored[0]) if len(set(stored)) == 1 else f"{min(stored)} to {max(stored)}"
    what = f"the zero point of the bias {bias.name!r}, which was {shown}, is set to 0"
    if keep == "values":
        integers = [value - point for value, point in zip(use.integers, use.zero_points)]
        low, high = LIMITS[bias.type_name]
        if not low <= min(integers) <= max(integers) <= high:
            return Refused(
                f"without its zero point the bias {bias.name!r} reaches from {min(integers)} to {max(integers)}, which "
                f"{bias.type_name} does not hold: use --keep integers"
            )
        bias = draft.own(Use(operator, position))
        draft.store(bias, packed(integers, bias.type_name))
        what += ", and subtracted from the integers"
    bias = draft.own(Use(operator, position))
    draft.quantize(bias, zero_point=[0] * len(stored))
    return Done(what, reason, keep, effect if keep == "values" else 0.0)


def _effect(use: BiasUse) -> float | None:
    """By how many output quanta the readings differ; None where that is not known."""
    if use.trouble is not None or not use.output_scale > 0:
        return None
    apart = (abs(point) * use.of_channel(use.units, channel) for channel, point in enumerate(use.zero_points))
    return max(apart, default=0.0) / use.output_scale


def _decide(use: BiasUse, effect: float | None, wish: Wish) -> tuple[Keep | None, str]:
    """Which reading to trust, None for neither, and why."""
    if wish.keep != "auto":
        return wish.keep, f"asked for with --keep {wish.keep}"
    if effect is not None and effect < MATTERS_FROM:
        return "integers", f"the readings differ by at most {effect:.3g} output quanta: no result changes"
    recorded = _recorded(use)
    if recorded is not None:
        return recorded, f"the range recorded beside the scale is that of the {_MEANT[recorded]}"
    reason = "the file does not tell whether the zero point or the integers are meant"
    if wish.undecided == "leave":
        return None, f"{reason}: choose with --keep values or --keep integers"
    return "values", f"{reason}; the written values are kept"


def _recorded(use: BiasUse) -> Keep | None:
    """The reading whose values reach exactly as far as the range recorded beside the scale, if one alone does."""
    quantization = use.bias.quantization
    low, high = (quantization.min or [], quantization.max or []) if quantization is not None else ([], [])
    if len(low) != 1 or len(high) != 1 or len(use.stored) != 1 or not low[0] < high[0] or not use.integers:
        return None
    scale = use.stored[0]
    # A range is recorded as float32, and of values before they were rounded.
    tolerance = 2 * abs(scale) + 1e-6 * max(abs(low[0]), abs(high[0]))
    readings: dict[Keep, list[int]] = {
        "values": [value - point for value, point in zip(use.integers, use.zero_points)],
        "integers": use.integers,
    }
    agreeing = [
        keep
        for keep, numbers in readings.items()
        if abs(min(numbers) * scale - low[0]) <= tolerance and abs(max(numbers) * scale - high[0]) <= tolerance
    ]
    return agreeing[0] if len(agreeing) == 1 else None
