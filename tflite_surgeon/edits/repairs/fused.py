"""Fused activations that a kernel does not compute: an operator of their own behind the node."""

from __future__ import annotations

from math import atanh
from typing import NamedTuple

from tflite_surgeon.edits.activations import options
from tflite_surgeon.edits.constants import Parameters, parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.islands import troubles
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class, name_of
from tflite_surgeon.knowledge.problems import REFUSES
from tflite_surgeon.model.objects import Operator, QuantizationParameters, Tensor
from tflite_surgeon.quantization import LIMITS, float32

_FIELD = "fused_activation_function"
# The values that activations make; None without an end.
_RANGES: dict[str, tuple[float | None, float | None]] = {
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "TANH": (-1.0, 1.0),
    "SIGN_BIT": (0.0, 1.0),
}
_OPERATORS = ("RELU", "RELU6", "RELU_N1_TO_1", "TANH")
# An output that reaches so much further than the activation was measured without it.
_FAR_BEYOND = 2.0
_FLOAT = "FLOAT32"
# Beyond, TANH is 1 to within half a step of 8 bits.
_FURTHEST = 4.0
# The kernels' own output. Source: TFLite 8-bit quantisation specification; activations.cc.
_TANH_OUTPUT = {"INT8": (1 / 128, 0), "UINT8": (1 / 128, 128), "INT16": (1 / 32768, 0)}
# The kernel for 16 bits wants a power of two.
_TANH_INPUT_OF_16_BITS = 2.0**-12
_VERSIONS = {(name, kind): 2 for name in ("RELU", "RELU6", "TANH") for kind in ("INT8", "INT16")}
# Output quanta below which a change is mere rounding.
_ROUNDING = 0.5


@repair(
    "fused-activation",
    Phase.GRAPH,
    "Takes the activation out of the node and puts an operator of its own behind it. Where kernels pass over it: "
    "--keep integers takes it out for good, so that results stay; auto does so where the output's scale reaches far "
    "beyond what the activation makes. Quantised TANH reads steps of its own, which may count (lossy).",
    "Where kernels pass over an activation of floats, the file does not tell whether it was meant.",
)
def fused_activation(draft: Draft, target: Target, wish: Wish) -> Result:
    """An activation that the node's kernel does not compute."""
    operator = target.operator
    if operator is None or operator.builtin_options is None:
        return Refused("the finding names no node with options")
    outputs = [item for item in operator.outputs or () if isinstance(item, Tensor)]
    activation = name_of("ActivationFunctionType", getattr(operator.builtin_options, _FIELD, None))
    if not (activation and outputs):
        return Refused("the activation is of a kind that nobody knows")
    if operator.name == "SVDF" and activation == "NONE":
        return _of_svdf(draft, operator)
    if activation not in _RANGES:
        return None
    passes_over = REFUSES not in target.finding.runtimes.values()
    result = outputs[0]
    reading = _reading(wish, result, activation, passes_over)
    if isinstance(reading, Refused):
        return reading
    if reading.keep == "integers":
        _take_out(draft, operator)
        return Done(f"{activation} is taken out of {operator.name}", reading.reason, "integers", 0.0)
    if activation not in _OPERATORS:
        return Refused(f"there is no operator that computes {activation}: choose --keep integers to take it out")
    try:
        return _split(draft, operator, result, activation, reading.reason)
    except SurgeonError as error:
        return Refused(str(error))


class Reading(NamedTuple):
    """Whether the activation is to be computed ("values") or dropped ("integers"), and why."""

    keep: str
    reason: str


def _reading(wish: Wish, result: Tensor, activation: str, passes_over: bool) -> Reading | Refused:
    if wish.keep != "auto":
        return Reading(wish.keep, f"asked for: keep the {wish.keep}")
    if not passes_over:
        return Reading("values", f"the node is refused with it, and the file says {activation}")
    found = parameters_of(result)
    if found is not None and found.type_name in LIMITS:
        least, most = ((end - found.zero_point) * found.scale for end in LIMITS[found.type_name])
        low, high = _RANGES[activation]
        reaches = f"the output's scale reaches from {least:.4g} to {most:.4g}, {activation} "
        if _is_beyond(least, most, low, high):
            return Reading("integers", f"{reaches}does not: it was measured without it")
        return Reading("values", f"{reaches}as well: it was measured with it")
    if wish.undecided == "values":
        return Reading("values", f"the file says {activation}, and what is written was asked for")
    return Refused(
        f"kernels pass over the fused {activation}, and the file does not tell whether it was meant: choose "
        "--keep integers (results stay, without it) or --keep values (it is computed by an operator of its own)",
        is_open=True,
    )


def _is_beyond(least: float, most: float, low: float | None, high: float | None) -> bool:
    """Whether one range reaches far beyond another."""
    span = (high if high is not None else most) - (low if low is not None else least)
    beyond = (max(0.0, low - least) if low is not None else 0.0) + (max(0.0, most - high) if high is not None else 0.0)
    return beyond > (_FAR_BEYOND - 1) * span


def _take_out(draft: Draft, operator: Operator) -> None:
    draft.set(operator.builtin_options, _FIELD, enum_class("ActivationFunctionType")["NONE"])


def _of_svdf(draft: Draft, operator: Operator) -> Result:
    """The integer kernel asks for RELU and does not compute it: it keeps to the output's range.

    Source: LiteRT kernels/svdf.cc, EvalIntegerSVDF.
    """
    draft.set(operator.builtin_options, _FIELD, enum_class("ActivationFunctionType")["RELU"])
    reason = "the integer kernel takes no other name, and computes no activation: it keeps to the output's range alone"
    return Done("the activation of SVDF is written as RELU", reason, "integers", 0.0)


def _split(draft: Draft, operator: Operator, result: Tensor, activation: str, reason: str) -> Result:
    """The activation as an operator behind the node."""
    kind = result.type_name
    found = None if kind == _FLOAT else parameters_of(result)
    if kind != _FLOAT and (found is None or kind not in _TANH_OUTPUT):
        return Refused(f"there is no {activation} of {kind}: use another type, or take it out in the source model")
    name = operator.name
    _take_out(draft, operator)
    given = found if activation != "TANH" or found is None else _tanh_input(kind, found.scale)
    between = _like(draft, operator, result, given, f"{result.name or 'output'}_before_{activation.lower()}")
    position = next(n for n, item in enumerate(operator.outputs or ()) if item is result)
    draft.replace_output(operator, position, between)
    made, loses, effect = result, "", None
    if activation == "TANH" and found is not None and given is not None:
        fixed = Parameters(kind, *_TANH_OUTPUT[kind])
        if fixed != found:
            made = _like(draft, operator, result, fixed, f"{result.name or 'output'}_of_tanh")
        # The input is rounded to half a step, where TANH is steepest 1; then it is rounded itself.
        moved = given.scale / 2 + (fixed.scale / 2 if fixed != found else 0.0)
        effect = moved / found.scale
        if effect >= _ROUNDING:
            loses = (
                f"results move by up to {moved:.3g} ({effect:.2g} output quanta), TANH reads steps of {given.scale:.3g}"
            )
    behind = draft.insert_operator(operator, True, activation, _VERSIONS.get((activation, kind), 1), [between], [made])
    inserted = [behind]
    if made is not result:
        version = 2 if kind == "INT16" else 1
        quantize = draft.insert_operator(
            behind, True, "QUANTIZE", version, [made], [result], options("QuantizeOptions")
        )
        inserted.append(quantize)
    broken = sorted({trouble.runtime for trouble in troubles(draft, inserted)})
    warnings = tuple(f"{runtime} has no kernel for {activation} of {kind}" for runtime in broken)
    what = f"{activation} is computed behind {name}, by an operator of its own"
    return Done(what, reason, "values", effect, loses, warnings)


def _like(draft: Draft, operator: Operator, tensor: Tensor, wanted: Parameters | None, name: str) -> Tensor:
    quantization = None
    if wanted is not None:
        quantization = QuantizationParameters(scale=[wanted.scale], zero_point=[wanted.zero_point])
    return draft.new_tensor(draft.home(operator), tensor, name, quantization=quantization)


def _tanh_input(kind: str, quantum: float) -> Parameters:
    """The finest scale that reaches to where TANH is 1 to within half an output quantum."""
    if kind == "INT16":
        return Parameters(kind, _TANH_INPUT_OF_16_BITS, 0)
    share = min(max(quantum, _TANH_OUTPUT[kind][0]) / 2, 0.5)
    furthest = min(_FURTHEST, atanh(1 - share))
    return Parameters(kind, float32(furthest / LIMITS["INT8"][1]), _TANH_OUTPUT[kind][1])
