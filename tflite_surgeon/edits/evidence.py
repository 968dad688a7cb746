"""What the rest of a model says about the scale and zero point of a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from tflite_surgeon.edits.activations import biases_in_unit_of
from tflite_surgeon.edits.constants import parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.ties import group_of
from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.fixed_outputs import FIXED_OUTPUTS, WIDE_SOFTMAX, FixedOutput
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales, float32, implied_scale, is_usable_scale, ulps_apart

# How much each kind of evidence counts: what a kernel demands more than all else, a bias that was made for a scale
# more than a recorded range, and what another tensor says of itself least; a fused activation only hints.
FIXED, BIAS, RANGE, DECLARED, HINT = 100, 10, 5, 2, 1

# A quotient of two rounded scales is the third to within this many units in the last place.
_ULPS = 4
# Channels of one bias imply one input scale to within this part of it.
_CHANNELS_AGREE = 1e-5
# Ranges are recorded before scales are nudged to hold 0.
_RANGE_WITHIN = 0.01
_TOP_OF_ACTIVATION = {"RELU6": 6.0, "RELU_0_TO_1": 1.0}


@dataclass(frozen=True)
class Evidence:
    """Something that speaks for a scale.

    Attributes:
        scale: the scale; usable always.
        zero_point: the zero point that comes with it; None where it says nothing of one.
        why: what speaks for it, fit for "because ...".
        weight: how much it counts: FIXED, BIAS, RANGE, DECLARED or HINT.
        about: the tensor that it was seen at: the one in question, or one whose integers are copied to or from it.
    """

    scale: float
    zero_point: int | None
    why: str
    weight: int
    about: Tensor

    @property
    def is_exact(self) -> bool:
        """Whether the scale is right to the last places."""
        return self.weight not in (RANGE, HINT)

    def agrees_with(self, scale: float) -> bool:
        """Whether a scale is the one that it speaks for, as nearly as it can tell."""
        if self.is_exact:
            return is_usable_scale(scale) and ulps_apart(self.scale, scale) <= _ULPS
        return abs(self.scale - scale) <= _RANGE_WITHIN * self.scale


def scale_evidence(draft: Draft, tensor: Tensor) -> list[Evidence]:
    """What speaks for a scale of a tensor, strongest first; what the tensor says of its own scale does not count.

    Looked at are the tensor and all whose integers kernels copy to or from it: outputs that are fixed, biases that
    were made for a scale, recorded ranges, what the others declare, and fused activations. A scale that several speak
    for comes before one that one does; of equals the exact one comes first.
    """
    found = [item for member in group_of(draft, tensor) for item in evidence_at(draft, member)]
    found = [item for item in found if item.about is not tensor or item.weight != DECLARED]
    support = [sum(other.weight for other in found if other.agrees_with(item.scale)) for item in found]
    order = sorted(range(len(found)), key=lambda n: (-support[n], -found[n].weight, n))
    return [found[n] for n in order]


def evidence_at(draft: Draft, tensor: Tensor) -> Iterator[Evidence]:
    """What speaks for a scale at one tensor, its own declaration included."""
    for use in draft.writers(tensor):
        fixed = fixed_output(use.operator) if use.position == 0 else None
        if fixed is not None:
            why = f"the output of {use.operator.name} is fixed at scale {fixed.scale:.9g}"
            yield Evidence(fixed.scale, fixed.zero_point, why, FIXED, tensor)
    yield from _of_biases(draft, tensor)
    recorded = recorded_parameters(tensor)
    if recorded is not None:
        why = f"the range recorded for {tensor.name!r} is that of scale {recorded[0]:.9g}"
        yield Evidence(*recorded, why, RANGE, tensor)
    declared = parameters_of(tensor)
    if declared is not None:
        why = f"{tensor.name!r} has scale {declared.scale:.9g} and zero point {declared.zero_point}"
        yield Evidence(declared.scale, declared.zero_point, why, DECLARED, tensor)
    for use in draft.writers(tensor):
        yield from _of_activation(use.operator, tensor)


def fixed_output(operator: Operator) -> FixedOutput | None:
    """The parameters that an operator's output has, whatever the model was calibrated with; None where it has none."""
    given = (operator.inputs or [None])[0] if operator.inputs else None
    result = operator.outputs[0] if operator.outputs else None
    if not isinstance(given, Tensor) or not isinstance(result, Tensor):
        return None
    name, kind = operator.name, result.type_name
    if name == "SOFTMAX" and (given.type_name, kind) == ("INT8", "INT16"):
        return WIDE_SOFTMAX
    return FIXED_OUTPUTS.get((name, kind)) if given.type == result.type else None


def _of_biases(draft: Draft, tensor: Tensor) -> Iterator[Evidence]:
    """A bias was made in the unit input scale x weights scale: it tells what the input scale was."""
    for use in biases_in_unit_of(draft, tensor):
        weights = use.weights_scales
        stored = use.stored
        constant = use.addend.constant
        if (
            use.factor is not tensor
            or not stored
            or len(stored) != len(weights)
            or not (are_usable_scales(stored) and are_usable_scales(weights))
        ):
            continue
        quotients = sorted(scale / (other * constant) for scale, other in zip(stored, weights))
        scale = float32(quotients[len(quotients) // 2])
        if quotients[-1] - quotients[0] > _CHANNELS_AGREE * quotients[0] or not is_usable_scale(scale):
            continue
        name = use.node.operator.name
        why = f"the bias {use.bias.name!r} of {name} {use.node.index} was made for an input of scale {scale:.9g}"
        yield Evidence(scale, None, why, BIAS, tensor)


def recorded_parameters(tensor: Tensor) -> tuple[float, int] | None:
    """The scale and zero point that a recorded range stands for; None where no range is recorded for the tensor."""
    quantization = tensor.quantization
    if quantization is None or tensor.type_name not in ("INT8", "UINT8", "INT16"):
        return None
    low, high = quantization.min or [], quantization.max or []
    if len(low) != 1 or len(high) != 1 or not (isfinite(low[0]) and isfinite(high[0]) and low[0] < high[0]):
        return None
    bottom, top = LIMITS[tensor.type_name]
    # A range that is symmetric stands for zero point 0 in signed types, and any other for the whole of the type; INT16
    # is symmetric always.
    is_symmetric = bottom < 0 and (abs(low[0] + high[0]) <= _RANGE_WITHIN * high[0] or tensor.type_name == "INT16")
    scale = implied_scale(low[0], high[0], tensor.type_name, 0 if is_symmetric else 1)
    if scale is None:
        return None
    point = 0 if is_symmetric else round(bottom - low[0] / scale)
    return (float32(scale), point) if bottom <= point <= top else None


def _of_activation(operator: Operator, tensor: Tensor) -> Iterator[Evidence]:
    """What leaves a bounded activation reaches from the lowest integer to the highest."""
    if tensor.type_name not in ("INT8", "UINT8"):
        return
    fused = getattr(operator.builtin_options, "fused_activation_function", None)
    name = operator.name if operator.name in _TOP_OF_ACTIVATION else name_of("ActivationFunctionType", fused)
    top = _TOP_OF_ACTIVATION.get(name)
    if top is not None:
        why = f"{name} before it reaches from 0 to {top:g}"
        yield Evidence(float32(top / 255), LIMITS[tensor.type_name][0], why, HINT, tensor)


def starts_at_lowest(draft: Draft, group: Sequence[Tensor]) -> bool:
    """Whether no member of a group is below 0, as an activation before it sees to: then its zero point is the lowest
    integer of the type."""
    for tensor in group:
        for use in draft.writers(tensor):
            fused = getattr(use.operator.builtin_options, "fused_activation_function", None)
            if use.operator.name in ("RELU", "RELU6") or name_of("ActivationFunctionType", fused) in ("RELU", "RELU6"):
                return True
    return False
