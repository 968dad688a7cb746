"""The rule bias-scale: a bias stored in a unit that its kernel does not count in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

from tflite_surgeon.knowledge import xnnpack
from tflite_surgeon.knowledge.operators import ADDENDS
from tflite_surgeon.knowledge.problems import OK, REFUSES, UNKNOWN, WRONG
from tflite_surgeon.knowledge.runtimes import (
    BIAS_CHECKS,
    BIAS_RATIO_LIMIT,
    NAMES,
    TFLM_INPUTS,
    TFLM_SVDF_LIMIT,
)
from tflite_surgeon.model.objects import Model, Node, Tensor
from tflite_surgeon.quantization import float32, implied_scale
from tflite_surgeon.rules.bias_use import BiasUse, all_bias_uses, bias_uses, scales_of
from tflite_surgeon.rules.registry import Finding, Severity, View, rule

# More than half a quantum changes some rounded output.
MATTERS_FROM = 0.5
# How near a recorded range must come to the scale that bias and input imply, to speak for it.
_RANGE_AGREES_WITHIN = 0.005
_SAME_FACTOR_WITHIN = 1e-4

NAME = "bias-scale"
Suspect = Literal["bias", "weights", "input"]


@rule(
    NAME,
    operators=(*ADDENDS, "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    advice="tflite-surgeon fix-bias-scale repairs it, and says which of the two readings it trusts.",
    source="LiteRT kernel_util.cc GetQuantizedConvolutionMultipler, fully_connected.cc, conv.cc, depthwise_conv.cc, "
    "transpose_conv.cc, svdf.cc, unidirectional_sequence_lstm.cc; TFLM svdf_common.cc; quantisation specification",
)
def bias_scale(view: View) -> Iterator[Finding]:
    """The bias is stored in a unit that the kernel does not count in.

    Kernels add the bias integers in units of input scale x weights scale (SVDF: state scale x time weights scale)
    and ignore the scale that the file gives the bias. Where the two differ, the file says one thing and every
    runtime computes another.

    Who notices: fully connected layers with one weights scale, and convolutions with uint8 inputs, are refused by the
    kernels' own check when |input scale * weights scale - bias scale| / output scale passes 0.02
    ("scale_diff / output_scale <= 0.02 was not true"). XNNPACK, which LiteRT uses by default, never looks, and nobody
    looks at per-channel weights or at int8 and int16 convolutions. The limit is on the scale, not on the result:
    below it a large bias can be wrong by many output quanta.

    Repair: `tflite-surgeon fix-bias-scale`. Either the stored real values are right (integers are re-expressed in the
    kernel's unit, outputs change), or the integers are (only the scale is rewritten, outputs stay): see --keep.
    """
    suspects = Suspects(view.model)
    for use in all_bias_uses(view.model, view.alikes.has_right_bias):
        if use.is_right:
            continue
        if use.trouble is not None:
            yield from _untold(view, use)
        elif use.off or use.has_other_form:
            yield _off(view, use, suspects)


class Suspects:
    """Which of the scales is at fault, as far as the file tells; a healthy model is never asked."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @cached_property
    def _uses(self) -> list[BiasUse]:
        return list(all_bias_uses(self._model))

    @cached_property
    def _readers(self) -> dict[int, list[Node]]:
        """The nodes that read each tensor or hold it between their steps, by its identity."""
        found: dict[int, list[Node]] = {}
        for node in self._model.nodes():
            for item in {*map(id, node.operator.inputs or ()), *map(id, node.operator.intermediates or ())}:
                found.setdefault(item, []).append(node)
        return found

    def _sharing(self, role: str, tensor: Tensor | None) -> list[BiasUse]:
        """The biases of all nodes that have a tensor in a role such as "factor" or "bias"."""
        nodes = [] if tensor is None else self._readers.get(id(tensor), [])
        return [use for node in nodes for use in bias_uses(node) if getattr(use, role) is tensor]

    def other_unit(self, use: BiasUse) -> BiasUse | None:
        """Another node with the same bias tensor, whose unit the stored scales are."""
        for other in self._sharing("bias", use.bias):
            if not other.is_same_place(use) and other.trouble is None and not other.off and not other.has_other_form:
                return other
        return None

    def verdict(self, use: BiasUse) -> tuple[Suspect, str]:
        """Whose scale is wrong, and why."""
        from tflite_surgeon.rules.bias_evidence import why_weights  # Most models have no wrong bias.

        if use.unwritten:
            return "bias", "the stored bias scale is no scale at all"
        other = self.other_unit(use)
        if other is not None:
            return "bias", f"it is shared with operator {other.node.index}, whose unit its scale is"
        factor = use.factor_off
        if factor is None:
            return "bias", f"only {len(use.off)} of {use.channels} channels are off, or by different factors"
        users = self._sharing("weights", use.weights)
        recorded: tuple[tuple[Suspect, str, Tensor | None], ...]
        recorded = (("weights", "weights'", use.weights), ("input", "input's", use.factor))
        for suspect, whose, tensor in recorded:
            implied = None if tensor is None else _recorded_scale(use, tensor)
            if implied is not None:
                return suspect, f"the {whose} recorded range implies the scale {implied:.9g}, and so does the bias"
        if self._common_factor(users, factor):
            return "weights", f"every operator that uses these weights is off by the same factor {factor:.6g}"
        if self._common_factor(self._sharing("factor", use.factor), factor):
            return "input", f"every operator that reads this input is off by the same factor {factor:.6g}"
        # Of weights with other users it would be the others' word against this one's.
        why = why_weights(use) if len(users) == 1 else None
        return ("weights", why) if why is not None else ("bias", "nothing in the file speaks for another scale")

    def _common_factor(self, uses: list[BiasUse], factor: float) -> bool:
        """Whether these, and no others in the model, are off by one factor: then what they share is wrong."""
        # Gates of one recurrent node count as several: each has a bias of its own.
        if len({id(use.bias) for use in uses}) < 2:
            return False
        if not all(_is_off_by(use, factor) for use in uses):
            return False
        # Biases that are all off alike were written so by whoever wrote them.
        these = {(id(use.node.operator), use.addend) for use in uses}
        others = (use for use in self._uses if (id(use.node.operator), use.addend) not in these)
        return not any(_is_off_by(use, factor) for use in others)


def _is_off_by(use: BiasUse, factor: float) -> bool:
    if use.is_right or use.trouble is not None or use.factor_off is None:
        return False
    return abs(use.factor_off - factor) <= _SAME_FACTOR_WITHIN * factor


def _recorded_scale(use: BiasUse, tensor: Tensor) -> float | None:
    """The scale of input or weights that their recorded range and the bias agree on against the stored one."""
    quantization = tensor.quantization
    scales = scales_of(tensor)
    if quantization is None or len(scales) != 1 or len(use.units) != 1 or len(use.stored) != 1:
        return None
    if len(quantization.min or ()) != 1 or len(quantization.max or ()) != 1:
        return None
    zero_point = (quantization.zero_point or [0])[0]
    low, high = (quantization.min or [0.0])[0], (quantization.max or [0.0])[0]
    implied = implied_scale(low, high, tensor.type_name, zero_point)
    if implied is None:
        return None
    wanted = use.stored[0] / (use.units[0] / scales[0])
    agrees = abs(implied - wanted) <= _RANGE_AGREES_WITHIN * wanted
    contradicts = abs(implied - scales[0]) > _RANGE_AGREES_WITHIN * implied
    return implied if agrees and contradicts else None


# What the runtimes do


def refusals(view: View, use: BiasUse) -> dict[str, str]:
    """Whether each runtime refuses the node because of its bias scale: refuses, ok or unknown."""
    operator = use.node.operator
    result = {name: _by_own_kernel(name, use) for name in NAMES if name != "litert"}
    if view.placement(use.node.subgraph).takes(operator):
        mixed = xnnpack.refuses_bias_form(operator, len(use.stored), len(use.weights_scales))
        return {"litert": REFUSES if mixed else OK, **result}
    return {"litert": result["litert-no-delegate"], **result}


def _by_own_kernel(runtime: str, use: BiasUse) -> str:
    """The verdict of a runtime's own kernel."""
    operator = use.node.operator.name
    input_type = _input_type(use)
    if runtime == "tflm":
        if input_type not in TFLM_INPUTS:
            return UNKNOWN
        if operator == "SVDF":
            product = float32((scales_of(use.factor) or [0.0])[0] * (use.weights_scales or [0.0])[0])
            return OK if abs((use.stored or [0.0])[0] - product) < TFLM_SVDF_LIMIT else REFUSES
    bias_check = BIAS_CHECKS[runtime].get(operator)
    if bias_check is None or input_type not in bias_check.inputs:
        return OK
    if len(use.weights_scales) != 1 and not bias_check.per_channel:
        return OK
    factor, weights, bias = (
        _as_read(scales, bias_check.first_scale) for scales in (scales_of(use.factor), use.weights_scales, use.stored)
    )
    output = _output_scale_as_read(use, bias_check.first_scale)
    difference = abs(factor * weights - bias)
    if output == 0 or difference != difference or output != output:
        return REFUSES
    return OK if difference / output <= BIAS_RATIO_LIMIT else REFUSES


def _as_read(scales: list[float], first_scale: bool) -> float:
    """The one scale that a kernel sees of a tensor."""
    if len(scales) == 1 or (scales and first_scale):
        return scales[0]
    return 0.0


def _output_scale_as_read(use: BiasUse, first_scale: bool) -> float:
    return _as_read(scales_of(use.node.operator.role("output")), first_scale)


def _input_type(use: BiasUse) -> str:
    tensor = use.node.operator.role("input")
    return tensor.type_name if tensor is not None else ""


# Findings


def _off(view: View, use: BiasUse, suspects: Suspects) -> Finding:
    suspect, why = suspects.verdict(use)
    verdicts = refusals(view, use)
    error = use.worst_error
    if error is not None and error > MATTERS_FROM:
        verdicts = {name: WRONG if verdict == OK else verdict for name, verdict in verdicts.items()}
    elif use.off and error is None and not use.unwritten:
        verdicts = {name: UNKNOWN if verdict == OK else verdict for name, verdict in verdicts.items()}
    return Finding(
        NAME,
        _severity(view, use, verdicts),
        use.node.subgraph_index,
        use.node.index,
        use.node.operator.name,
        view.identify(use.bias),
        _message(use, suspect, why),
        verdicts,
        _details(view, use, suspect, why),
        evidence=use,
    )


def _severity(view: View, use: BiasUse, verdicts: dict[str, str]) -> Severity:
    selected = {verdicts[name] for name in view.targets}
    error = use.worst_error
    if REFUSES in selected or (error is not None and error > MATTERS_FROM):
        return Severity.ERROR
    # A scale that is written and is none (zero, negative, not finite) is damage, even where nobody reads it.
    return Severity.WARNING if use.stored and use.unwritten else Severity.NOTE


def _message(use: BiasUse, suspect: str, why: str) -> str:
    first, second = use.addend.factors
    channel = use.worst_channel
    unit = use.of_channel(use.expected_scales, channel)
    product = f"{first} scale" if second is None else f"{first} scale x {second} scale"
    stored = _stored_text(use, channel)
    where = f" in channel {channel}" if len(use.units) > 1 or len(use.stored) > 1 else ""
    if not use.off:
        return (
            f"the bias has {len(use.stored)} scales and the {second or first} {len(use.units)}: right values, but "
            "runtimes that read one scale see none"
        )
    text = f"the bias scale is {stored}{where}, the kernel adds the integers in units of {product} = {unit:.9g}"
    error = use.worst_error
    if error is not None:
        text += f": up to {error:.4g} output quanta from what the file says"
    if suspect != "bias":
        text += f"; the {suspect} scale is the suspect: {why}"
    return text


def _stored_text(use: BiasUse, channel: int) -> str:
    if not use.stored:
        return "missing"
    if not use.is_complete:
        return f"given {len(use.stored)} times for {use.channels} channels"
    return f"{use.of_channel(use.stored, channel):.9g}"


def _details(view: View, use: BiasUse, suspect: str, why: str) -> dict[str, Any]:
    channel = use.worst_channel
    factor = scales_of(use.factor)
    return {
        "bias_role": use.addend.bias,
        "tensors": {
            use.addend.factors[0]: view.identify(use.factor)[1],
            **({use.addend.factors[1]: view.identify(use.weights)[1]} if use.weights and use.addend.factors[1] else {}),
            "bias": use.bias.name or "",
            **({"output": output.name or ""} if (output := use.node.operator.role("output")) else {}),
        },
        "scales": {
            "input": factor[0] if factor else None,
            "weights": use.of_channel(use.weights_scales, channel) if use.weights is not None else None,
            "bias": use.of_channel(use.stored, channel) if use.stored and use.is_complete else None,
            "output": use.output_scale,
            "expected": use.of_channel(use.expected_scales, channel),
        },
        "ratio": use.ratio(channel),
        "ratio_limit": BIAS_RATIO_LIMIT,
        "channels": use.channels,
        "channels_off": len(use.off),
        "worst_channel": channel,
        "error_quanta": use.worst_error,
        "suspect": suspect,
        "suspect_because": why,
    }


def _untold(view: View, use: BiasUse) -> Iterator[Finding]:
    """A bias whose unit cannot be told: worth a finding where a kernel's check meets it."""
    if use.node.operator.role("output") is None:
        return
    verdicts = {name: UNKNOWN if verdict == OK else verdict for name, verdict in refusals(view, use).items()}
    refused = REFUSES in {verdicts[name] for name in view.targets}
    yield Finding(
        NAME,
        Severity.ERROR if refused else Severity.WARNING,
        use.node.subgraph_index,
        use.node.index,
        use.node.operator.name,
        view.identify(use.bias),
        f"the unit of the bias cannot be told: {use.trouble}",
        verdicts,
        {"bias_role": use.addend.bias, "trouble": use.trouble},
        evidence=use,
    )
