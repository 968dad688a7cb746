"""Repairs of nodes that the XNNPACK delegate takes and then cannot define."""

from __future__ import annotations

from tflite_surgeon.edits.constants import parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.weights import without_zero_point
from tflite_surgeon.edits.settling import Settling
from tflite_surgeon.edits.ties import tie_of
from tflite_surgeon.edits.weights import weights_of, zero_points_of
from tflite_surgeon.model.objects import Tensor


@repair(
    "xnnpack-definition",
    # Most of what the delegate objects to is some kernel's fault too, and was repaired before.
    Phase.VERSIONS,
    "Gives the tensors that the delegate compares one scale and zero point, as same-quantization does, or takes the "
    "zero point of weights into their integers.",
    "Types that do not go together, weights that no group divides and orders that are no permutation are the work of "
    "whoever made the graph: the file does not tell what was meant.",
)
def xnnpack_definition(draft: Draft, target: Target, wish: Wish) -> Result:
    """Whichever of the delegate's demands is broken."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no operator")
    weights = weights_of(operator)
    if weights is not None and any(zero_points_of(weights.tensor)):
        return without_zero_point(draft, weights, wish)
    tensors = [item for item in (*(operator.inputs or ()), *(operator.outputs or ())) if isinstance(item, Tensor)]
    tie = tie_of(operator)
    if tie is not None and all(map(parameters_of, tie.tensors)) and len(set(map(parameters_of, tie.tensors))) > 1:
        return Settling(draft, tie, wish).settle()
    types = ", ".join(f"{tensor.name!r} {tensor.type_name}" for tensor in tensors)
    return Refused(
        f"{operator.name} has tensors that the delegate cannot compute with ({types}): give it types, shapes and "
        "options that go together, or run the model without the delegate"
    )
