"""Repairs of tensors whose integers are copied although their scales or zero points differ."""

from __future__ import annotations

from tflite_surgeon.edits.activations import convert_output, declare
from tflite_surgeon.edits.constants import Parameters, parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.group_decision import distance
from tflite_surgeon.edits.group_words import changes, conversion_loss, interface_warnings
from tflite_surgeon.edits.repairs.int16_zero_points import around_zero
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.restoring import restored
from tflite_surgeon.edits.repairs.zero_point_range import in_range
from tflite_surgeon.edits.settling import CONVERTED, Settling
from tflite_surgeon.edits.ties import tie_of
from tflite_surgeon.edits.weights import scales_of, zero_points_of
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales


@repair(
    "same-quantization",
    Phase.ACTIVATIONS,
    "Gives all tensors that hold the same integers the one scale and zero point that biases, recorded ranges, fixed "
    "outputs or most of the tensors speak for (--keep integers), or converts with a QUANTIZE where two of them meet, "
    "so that each tensor keeps the values it declares (--keep values). A constant is rewritten in the scale it is "
    "copied into.",
    "Where two tensors differ, and neither a bias, a recorded range, a fixed output nor a majority speaks for one of "
    "them, the file does not tell whether the copied integers or the declared values are meant.",
)
def same_quantization(draft: Draft, target: Target, wish: Wish) -> Result:
    """One scale and zero point, or a conversion."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no operator whose tensors could be compared")
    if operator.name == "NEG":
        return _negated(draft, operator, wish)
    tie = tie_of(operator)
    if tie is None:
        return Refused(
            f"{operator.name} computes with the integers as they are, and the file does not tell which of the scales "
            "is meant: give its tensors one scale, or compute in another type"
        )
    for tensor in tie.tensors:
        # What says nothing, such as a negative scale, is not compared with others but restored from them.
        if not are_usable_scales(scales_of(tensor)):
            return restored(draft, tensor, wish)
        low, high = LIMITS.get(tensor.type_name, (0, 0))
        if not all(low <= point <= high for point in zero_points_of(tensor)):
            return in_range(draft, tensor, wish)
        if tensor.type_name == "INT16" and any(zero_points_of(tensor)):
            return around_zero(draft, tensor, operator, wish)
    return Settling(draft, tie, wish).settle()


def _negated(draft: Draft, operator: Operator, wish: Wish) -> Result:
    """NEG changes the sign of the integers: the zero point of what it writes is the input's with the other sign."""
    source, result = (operator.inputs or [None])[0], (operator.outputs or [None])[0]
    if not isinstance(source, Tensor) or not isinstance(result, Tensor):
        return Refused("NEG lacks its input or output")
    first, second = parameters_of(source), parameters_of(result)
    if first is None or second is None or first.type_name not in CONVERTED:
        return Refused("the input or output of NEG has no scale and zero point that can be used")
    wanted = Parameters(first.type_name, first.scale, -first.zero_point)
    low, high = LIMITS[first.type_name]
    if wanted == second:
        return None
    if not low <= wanted.zero_point <= high:
        return Refused(
            f"the output would need the zero point {wanted.zero_point}, which {first.type_name} does not hold: give "
            "the input another zero point"
        )
    if wish.keep == "integers":
        warnings = declare(draft, result, wanted.scale, wanted.zero_point) + interface_warnings(draft, result)
        what = f"{result.name!r} is declared with {changes(second, wanted)}"
        return Done(what, "the negated integers are to stand", "integers", 0.0, "", tuple(warnings))
    if wish.keep == "auto" and wish.undecided == "leave":
        return Refused(
            f"nothing in the file tells whether the declared values of {result.name!r} or its integers are meant; "
            "choose with --keep values or --keep integers",
            is_open=True,
        )
    convert_output(draft, operator, 0, wanted)
    found = distance(wanted, second)
    loses = conversion_loss(result, wanted, second) if found.rounds or found.clipped else ""
    return Done(f"a QUANTIZE behind NEG converts {result.name!r}", "", "values", found.moves, loses)
