"""Repairs of outputs whose scale and zero point the operator fixes."""

from __future__ import annotations

from tflite_surgeon.edits.activations import convert_output, declare
from tflite_surgeon.edits.constants import Parameters, parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.evidence import fixed_output
from tflite_surgeon.edits.group_words import both, changes, interface_warnings
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.ties import is_constant, is_passed, neighbours, tie_of
from tflite_surgeon.knowledge.fixed_outputs import FixedOutput
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import float32

# Kernels compute in any scale here; this one holds all values of the function, as that of signed integers does.
_HOLDS_ALL = {("SOFTMAX", "UINT8"): FixedOutput(1 / 256, 0)}


@repair(
    "fixed-output-quantization",
    Phase.ACTIVATIONS,
    "Declares the output, and all that its integers are copied to, with the scale and zero point in which the kernel "
    "computes; biases that count in the scale are expressed in the new one. Where the integers meet others that have "
    "the old scale, or with --keep values at an output of the model, a QUANTIZE converts into the old scale instead.",
)
def fixed_output_quantization(draft: Draft, target: Target, wish: Wish) -> Result:
    """The operator's own parameters, or a conversion from them."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no operator")
    result = (operator.outputs or [None])[0] if operator.outputs else None
    if not isinstance(result, Tensor):
        return Refused(f"{operator.name} has no output that could be declared anew")
    wanted = _wanted(operator, result)
    if wanted is None:
        return Refused(f"there are no fixed parameters for {operator.name} with an output of {result.type_name}")
    was = parameters_of(result)
    if was == wanted:
        return None
    if was is None:
        # What was there says nothing, so that nothing is lost, and nobody can have been made for it.
        warnings = _declare(draft, result, wanted)
        return Done(f"{result.name!r} is declared with {both(wanted)}", _reason(operator), warnings=tuple(warnings))
    together = _fed_by(draft, operator, result)
    if together is None or (wish.keep == "values" and any(map(draft.is_interface, together))):
        convert_output(draft, operator, 0, wanted)
        what = f"{operator.name} writes {both(wanted)}, and a QUANTIZE behind it converts to {both(was)}"
        reason = "the declared values are to stand"
        if together is None:
            reason = f"the integers of {result.name!r} go where others come from too, in its scale"
        return Done(f"{what} of {result.name!r}", f"{_reason(operator)}; {reason}", "values", None)
    warnings = []
    for tensor in together:
        warnings += _declare(draft, tensor, wanted)
    names = ", ".join(f"{tensor.name!r}" for tensor in together)
    be = "is" if len(together) == 1 else "are"
    what = f"{names} {be} declared with {changes(was, wanted)}"
    return Done(what, _reason(operator), None, None, "", tuple(dict.fromkeys(warnings)))


def _reason(operator: Operator) -> str:
    return f"{operator.name} computes in these whatever the file says"


def _wanted(operator: Operator, result: Tensor) -> Parameters | None:
    if operator.name == "ZEROS_LIKE":
        # TFLM writes the integer 0, whatever the zero point.
        was = parameters_of(result)
        return None if was is None else Parameters(was.type_name, was.scale, 0)
    fixed = fixed_output(operator) or _HOLDS_ALL.get((operator.name, result.type_name))
    return None if fixed is None else Parameters(result.type_name, float32(fixed.scale), fixed.zero_point)


def _declare(draft: Draft, tensor: Tensor, wanted: Parameters) -> list[str]:
    warnings = declare(draft, tensor, wanted.scale, wanted.zero_point)
    draft.quantize(tensor, quantized_dimension=0)
    return warnings + interface_warnings(draft, tensor)


def _fed_by(draft: Draft, operator: Operator, result: Tensor) -> list[Tensor] | None:
    """An output and all with its parameters that hold its integers; None where some come from elsewhere."""
    found = {id(result): result}
    waiting = [result]
    was = parameters_of(result)
    if is_passed(draft, result):
        return None
    while waiting:
        for other in neighbours(draft, waiting.pop(0)):
            if id(other) in found or parameters_of(other) != was:
                continue
            if is_constant(draft, other) or is_passed(draft, other) or _comes_from_elsewhere(draft, other, operator):
                return None
            found[id(other)] = other
            waiting.append(other)
    return list(found.values())


def _comes_from_elsewhere(draft: Draft, tensor: Tensor, operator: Operator) -> bool:
    """Whether a tensor is given from outside, or computed by another than an operator that copies."""
    if draft.is_graph_input(tensor) or tensor.is_variable:
        return True
    writers = [use.operator for use in draft.writers(tensor)]
    if not writers:
        return True
    for writer in writers:
        tie = tie_of(writer)
        copies = tie is not None and not tie.rescales and any(tensor is result for result in tie.results)
        if writer is not operator and not copies:
            return True
    return False
