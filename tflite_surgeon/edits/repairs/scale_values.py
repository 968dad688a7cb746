"""Rules about scales that say nothing, or are missing."""

from __future__ import annotations

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.comparisons import compare_integers
from tflite_surgeon.edits.repairs.registry import Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.restoring import restored
from tflite_surgeon.edits.repairs.zero_point_range import in_range
from tflite_surgeon.edits.weights import scales_of
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.quantization import LIMITS

_DOES = (
    "Restores the scale from what the file still says: a weights scale is bias scale / input scale, an input scale is "
    "bias scale / weights scale, other scales are fixed, recorded as a range, or those of what is copied. Of a "
    "negative scale either the sign is dropped or integers and scale change sign together."
)
_BOUND = (
    " A scale that is lost altogether becomes the largest that it can have been, by what the node can give (lossy)."
)
_LACKS = (
    "Where no bias, no range, no fixed output and no copy tells the scale, it is lost: integers alone do not say what "
    "one of them is worth. Calibrate the model again, or write the scale that the author has."
)


@repair("scale-value", Phase.GRAPH, _DOES + _BOUND, _LACKS)
def scale_value(draft: Draft, target: Target, wish: Wish) -> Result:
    """A scale that a kernel computes with though it means nothing."""
    return restored(draft, target.tensor, wish)


@repair("xnnpack-scale", Phase.GRAPH, _DOES + _BOUND, _LACKS)
def xnnpack_scale(draft: Draft, target: Target, wish: Wish) -> Result:
    """A scale that the delegate refuses."""
    return restored(draft, target.tensor, wish)


@repair("product-scale", Phase.GRAPH, _DOES, _LACKS)
def product_scale(draft: Draft, target: Target, wish: Wish) -> Result:
    """A product of scales that is negative or not a number."""
    return restored(draft, target.tensor, wish)


@repair(
    "missing-quantization",
    Phase.GRAPH,
    _DOES + " A comparison of integers that both have no scale becomes one of INT32." + _BOUND,
    _LACKS,
)
def missing_quantization(draft: Draft, target: Target, wish: Wish) -> Result:
    """A scale that a kernel computes with and that is not there."""
    if target.operator is not None:
        compared = compare_integers(draft, target.operator)
        if compared is not None:
            return compared
    return restored(draft, target.tensor, wish)


@repair("unquantised-activation", Phase.GRAPH, _DOES + _BOUND, _LACKS)
def unquantised_activation(draft: Draft, target: Target, wish: Wish) -> Result:
    """A scale that is not there, and that only what comes later would miss."""
    return restored(draft, target.tensor, wish)


@repair(
    "xnnpack-crash",
    Phase.GRAPH,
    "A scale or zero point at which the delegate dies is restored from what the file says." + _BOUND,
    "Where an input is left out or an option is 0, only the author knows what was meant.",
)
def xnnpack_crash(draft: Draft, target: Target, wish: Wish) -> Result:
    """A node that the delegate cannot look at."""
    if target.operator is None:
        return Refused("the finding names no node")
    for tensor in (*(target.operator.inputs or ()), *(target.operator.outputs or ())):
        if isinstance(tensor, Tensor) and tensor.type_name in LIMITS and scales_of(tensor):
            result = restored(draft, tensor, wish) or in_range(draft, tensor, wish)
            if result is not None:
                return result
    return Refused(
        f"{target.operator.name} has an input or an option that the delegate does not survive, and neither a scale nor "
        "a zero point is at fault: correct the node, or run without the delegate"
    )
