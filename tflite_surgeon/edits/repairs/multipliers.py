"""Factors that kernels cannot represent: an output scale that is too small for them, or an input's of SOFTMAX."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from tflite_surgeon.edits.activations import convert_input, convert_output, declare
from tflite_surgeon.edits.constants import Parameters, parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.restoring import restored, told
from tflite_surgeon.edits.ties import neighbours
from tflite_surgeon.edits.weights import scales_of
from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.operators import tensor_of
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS, SMALLEST_NORMAL, float32, is_usable_scale

# XNNPACK brings products to the output's scale by a factor below this. Source: XNNPACK subgraph/convolution-2d.c.
_REQUANTISED_BELOW = 256.0
# XNNPACK's QUANTIZE takes no larger quotient of two scales. Source: XNNPACK subgraph/unary.c.
_MOST_BETWEEN_SCALES = 128.0
# Of 8-bit values nothing is left where one step becomes as many.
_ALL_STEPS = {"INT8": 256.0, "UINT8": 256.0, "INT16": 65536.0}
_SUM_SHIFTS = {"INT8": 20, "UINT8": 20, "INT16": 15}
_BOUNDS = {"RELU": 0.0, "RELU6": 6.0, "RELU_N1_TO_1": 1.0}
# SOFTMAX and LOG_SOFTMAX count differences of integers in beta x scale x 2^26, which must be above 1.
_SOFTMAX_UNIT = 2.0**26
_LACKS = (
    "Where the scale is so far below what the kernel can represent that no value would be left, it is lost: nothing "
    "else in the file tells it. Calibrate the model again."
)


@repair(
    "multiplier-range",
    Phase.GRAPH,
    "Gives the output the smallest scale that the kernel can represent, or the one that the file tells; an output of "
    "the model keeps its own, behind a QUANTIZE. The input of SOFTMAX and LOG_SOFTMAX gets a QUANTIZE to the smallest "
    "scale that they take, and a beta of 0 becomes 1 (lossy).",
    _LACKS,
)
def multiplier_range(draft: Draft, target: Target, wish: Wish) -> Result:
    """A factor that ends the process."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    if operator.name in ("SOFTMAX", "LOG_SOFTMAX"):
        return _softmax(draft, operator, wish)
    smallest = _SMALLEST.get(operator.name)
    tensors = [item for item in (*(operator.inputs or ()), *(operator.outputs or ())) if isinstance(item, Tensor)]
    if smallest is None or len(tensors) < 2:
        return Refused(f"it is not known which scale of {operator.name} would give a factor that kernels take")
    found = [parameters_of(tensor) for tensor in tensors]
    for tensor, parameters in zip(tensors, found):
        if parameters is None and tensor.type_name in LIMITS:
            return restored(draft, tensor, wish)
    known = [item for item in found if item is not None]
    if len(known) != len(found):
        return Refused(f"a tensor of {operator.name} has no scale")
    limit = smallest([item.scale for item in known[:-1]], known[-1].type_name)
    return _enlarge(draft, operator, _above(limit), "the kernel rescales by factors below 1")


@repair(
    "activation-range",
    Phase.GRAPH,
    "Gives the output the smallest scale in which the bounds of the fused activation fit 32 bits, or the one that the "
    "file tells; an output of the model keeps its own, behind a QUANTIZE (lossy).",
    _LACKS,
)
def activation_range(draft: Draft, target: Target, wish: Wish) -> Result:
    """Bounds of a fused activation in an output scale near 0."""
    operator = target.operator
    result = _output(operator)
    if operator is None or result is None:
        return Refused("the finding names no node with an output")
    fused = getattr(operator.builtin_options, "fused_activation_function", None)
    bound = _BOUNDS.get(name_of("ActivationFunctionType", fused))
    if bound is None:
        return Refused(f"{operator.name} has no fused activation with bounds")
    if parameters_of(result) is None:
        return restored(draft, result, wish)
    limit = float32(bound / 2.0**31)
    return _enlarge(draft, operator, limit, f"{bound:g} in steps of it just fits 32 bits")


@repair(
    "xnnpack-requantization",
    Phase.GRAPH,
    "Gives the output the smallest scale that XNNPACK can bring products to, or the one that the file tells; an output "
    "of the model keeps its own, behind a QUANTIZE (lossy).",
    _LACKS,
)
def xnnpack_requantization(draft: Draft, target: Target, wish: Wish) -> Result:
    """Products that are too coarse for the output's scale."""
    operator, result = target.operator, _output(target.operator)
    if operator is None or result is None:
        return Refused("the finding names no node with an output")
    if result.type_name in LIMITS and parameters_of(result) is None:
        return restored(draft, result, wish)
    name = operator.name
    factors = [tensor_of(operator, name, role) for role in ("input", "weights")]
    scales = [scales_of(tensor) for tensor in factors]
    if name == "BATCH_MATMUL":
        scales = [scales_of(item) for item in (operator.inputs or ())[:2] if isinstance(item, Tensor)]
    if len(scales) != 2 or not all(found and all(map(is_usable_scale, found)) for found in scales):
        return Refused(f"types or scales of {name} do not suit each other: see the other findings at this node")
    if factors[0] is not None and factors[0].type_name != result.type_name:
        return Refused(f"the input of {name} is {factors[0].type_name} and the output {result.type_name}")
    limit = float32(max(scales[0]) * max(scales[1]) / _REQUANTISED_BELOW)
    return _enlarge(draft, operator, _above(limit), f"products must be less than {_REQUANTISED_BELOW:g} steps of it")


# The smallest output scales


def _of_sum(inputs: list[float], type_name: str) -> float:
    return float32(2 * max(inputs)) / (1 << _SUM_SHIFTS.get(type_name, 20))


def _of_squares(inputs: list[float], type_name: str) -> float:
    top = float32(2 * max(inputs))
    return top * top / (1 << 14)


_SMALLEST: dict[str, Callable[[list[float], str], float]] = {
    "ADD": _of_sum,
    "SUB": _of_sum,
    "SQUARED_DIFFERENCE": _of_squares,
    "ADD_N": lambda inputs, _: 2 * inputs[0] / (1 << 20),
    "CUMSUM": lambda inputs, _: 2 * inputs[0] / (1 << 20),
    "HARD_SWISH": lambda inputs, _: inputs[0] / 128,
}


def _above(limit: float) -> float:
    """The next float32 above a number."""
    near = float32(limit)
    step = max(abs(near) * 2.0**-23, 2.0**-149)
    return near if near > limit else float32(near + step)


def _output(operator: Operator | None) -> Tensor | None:
    result = operator.outputs[0] if operator is not None and operator.outputs else None
    return result if isinstance(result, Tensor) else None


def _enlarge(draft: Draft, operator: Operator, scale: float, why: str) -> Result:
    """Give an output another scale: the one that something tells, or the smallest that will do."""
    result = _output(operator)
    old = parameters_of(result) if result is not None else None
    if result is None or old is None or not SMALLEST_NORMAL <= scale < 2.0**127:
        return Refused(f"no scale for the output of {operator.name} can be computed from the file")
    if old.scale >= scale:
        return Refused(f"the scale {old.scale:.9g} of {result.name!r} is not too small: {why}")
    for item in told(draft, result):
        if item.scale >= scale:
            draft.quantize(result, scale=[item.scale])
            return Done(f"{result.name!r} had scale {old.scale:.9g} and has {item.scale:.9g} now", item.why)
    if not _holds_zero_point(old):
        return Refused(f"{old.type_name} does not hold {result.name!r}'s zero point {old.zero_point}: correct it first")
    ratio = scale / old.scale
    if ratio >= _ALL_STEPS.get(old.type_name, 0.0):
        return Refused(
            f"the scale {old.scale:.9g} of {result.name!r} is below a {ratio:.3g}th of the smallest that the kernel "
            f"can represent ({scale:.9g}): no value would be left, and nothing in the file tells the right one; "
            "calibrate the model again"
        )
    loses = f"steps of {result.name!r} are {scale:.9g} instead of {old.scale:.9g}: values move by up to {scale / 2:.6g}"
    new = Parameters(old.type_name, scale, old.zero_point)
    if (draft.is_interface(result) or neighbours(draft, result)) and ratio <= _MOST_BETWEEN_SCALES:
        convert_output(draft, operator, 0, new)
        what = f"{operator.name} writes in scale {scale:.9g}, and QUANTIZE brings that to the {old.scale:.9g} of "
        return Done(f"{what}{result.name!r}", why, None, scale / 2 / old.scale, loses)
    warnings = declare(draft, result, scale, old.zero_point)
    if draft.is_interface(result):
        warnings.append(f"{result.name!r} is an output: what reads it has to use the scale {scale:.9g}")
    what = f"the scale of {result.name!r} was {old.scale:.9g} and is {scale:.9g} now"
    return Done(what, why, None, ratio / 2, loses, tuple(warnings))


def _holds_zero_point(parameters: Parameters) -> bool:
    low, high = LIMITS.get(parameters.type_name, (0, 0))
    return low <= parameters.zero_point <= high


# SOFTMAX and LOG_SOFTMAX


def _softmax(draft: Draft, operator: Operator, wish: Wish) -> Result:
    source = (operator.inputs or [None])[0]
    if not isinstance(source, Tensor):
        return Refused(f"{operator.name} has no input")
    old = parameters_of(source)
    if old is None:
        return restored(draft, source, wish)
    beta = getattr(operator.builtin_options, "beta", None) if operator.name == "SOFTMAX" else 1.0
    if beta == 0:
        draft.set(operator.builtin_options, "beta", 1.0)
        return Done(
            "the beta of SOFTMAX was 0 and is 1 now",
            "a beta that was not written reads as 0, and converters write 1",
            None,
            None,
            "with a beta of 0 all results would be equal; they follow the input now",
        )
    if beta is None or not isfinite(beta) or beta < 0:
        return Refused(f"the beta of SOFTMAX is {beta}: only the author knows which was meant")
    scale = _above(1 / (beta * _SOFTMAX_UNIT))
    if not is_usable_scale(scale) or old.scale >= scale:
        return Refused(f"beta {beta:.9g} and the input scale {old.scale:.9g} do not say what is wrong")
    if not _holds_zero_point(old):
        return Refused(f"{old.type_name} does not hold {source.name!r}'s zero point {old.zero_point}: correct it first")
    ratio = scale / old.scale
    if ratio >= _ALL_STEPS.get(old.type_name, 0.0):
        return Refused(
            f"the scale {old.scale:.9g} of {source.name!r} is below a {ratio:.3g}th of the smallest that the kernel "
            f"can count in ({scale:.9g}), and nothing in the file tells the right one; calibrate the model again"
        )
    convert_input(draft, operator, 0, Parameters(old.type_name, scale, old.zero_point))
    return Done(
        f"QUANTIZE before {operator.name} brings its input from scale {old.scale:.9g} to {scale:.9g}",
        f"it is the smallest with which beta x scale x 2^26 is above 1 (beta {beta:.9g})",
        None,
        None,
        f"values of {source.name!r} move by up to {scale / 2:.3g}, half of one step",
    )
