"""Kernels of activation functions and normalisations.

Source: LiteRT and tflite-runtime 2.14 kernels/activations.cc, l2norm.cc, local_response_norm.cc.
"""

from __future__ import annotations

from math import log2

from tflite_surgeon.knowledge.fixed_outputs import FIXED_OUTPUTS, NEAR
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_RANK
from tflite_surgeon.knowledge.kernels.scales import (
    BYTES,
    EIGHT_BITS,
    INTEGERS,
    can_hold_range,
    has_useful_scale,
    rescales,
)
from tflite_surgeon.knowledge.kernels.single import AT_LEAST_VECTOR, has_same_type, single
from tflite_surgeon.knowledge.problems import On, Said, Stage
from tflite_surgeon.quantization import float32

_FILE = "activations.cc"
_INPUT_ZERO = Said("int16-zero-point", _FILE, "input->params.zero_point != 0")
_OUTPUT_ZERO = Said("int16-zero-point", _FILE, "output->params.zero_point != 0")
_IS_ZERO = Said("int16-zero-point", _FILE, "output->params.zero_point == 0 was not true")
_EXPONENT = Said("multiplier-range", _FILE, "params->output_multiplier_exponent <= 0 was not true")
_RULE = "fixed-output-quantization"
_IS_POWER = Said(_RULE, _FILE, "CheckedLog2(output->params.scale, &output_scale_log2_rounded) was not true")
_POWER = Said(_RULE, _FILE, "output_scale_log2_rounded != -kOutputFractionalBits")
_LOGISTIC_SCALE = Said(_RULE, _FILE, "output->params.scale == 1. / 256 was not true")
_LOGISTIC_SCALE_16 = Said(_RULE, _FILE, "output->params.scale == 1. / 32768 was not true")
_SOFTMAX_ZERO = Said(_RULE, _FILE, "output->params.zero_point != -128")
_SOFTMAX_SCALE = Said(_RULE, _FILE, "output->params.scale not near 1.f / 256")
_SOFTMAX_SCALE_16 = Said(_RULE, _FILE, "output->params.scale not near 1.f / 32768")
_LOG_SCALE = Said(_RULE, _FILE, "output->params.scale != 16.0 / 256")
_LOG_ZERO = {
    "UINT8": Said(_RULE, _FILE, "output->params.zero_point != 255"),
    "INT8": Said(_RULE, _FILE, "output->params.zero_point != 127"),
}
_NORM_TYPES = Said("operator-types", "l2norm.cc", "output->type == kTfLiteFloat32 || output->type == {} was not true")
_NORM_RANK = Said("rank-limit", "l2norm.cc", "NumDimensions(input) <= 4 was not true")
_NORM_SCALE = Said(_RULE, "l2norm.cc", "output->params.scale != (1. / 128.)")
_NORM_ZERO = {
    "UINT8": Said(_RULE, "l2norm.cc", "output->params.zero_point != 128"),
    "INT8": Said(_RULE, "l2norm.cc", "output->params.zero_point != 0"),
}
_NORM_ACTIVATION = Said("fused-activation", "l2norm.cc", "params->activation != kTfLiteActNone")
_RESPONSE_TYPE = Said("operator-types", "local_response_norm.cc", "output->type != kTfLiteFloat32")

_FOUR = frozenset({"FLOAT32", "UINT8", "INT8", "INT16"})
_THREE = frozenset({"FLOAT32", "UINT8", "INT8"})
_HALVES = frozenset({"FLOAT16", "BFLOAT16"})
_BY_RELU = Said("operator-types", None, "Only float32, uint8, int8 and int16 are supported currently, got {}.")
_BY_BOUNDED = Said("operator-types", None, "Only float32, uint8, int8 supported currently, got {}.")
_BY_SIGMOID = Said("operator-types", None, "Only float32, uint8, int16 and int8 are supported currently, got {}.")
_BY_EIGHT_BITS = Said("operator-types", None, "Only float32, uint8 and int8 are supported currently, got {}.")
_BY_LEAKY = Said("operator-types", None, "Only float32, int8, int16 and uint8 is supported currently, got {}.")
_BY_ELU = Said("operator-types", None, "Only float32 and int8 is supported currently, got {}.")
_BY_GELU = Said("operator-types", None, "Only float32, int8 and uint8 supported currently, got {}.")
_BY_SOFTMAX = Said("operator-types", None, "Only float32, uint8_t, Int8_t, Int16_t are supported currently, got {}.")
_FROM_INT8 = Said("operator-types", None, "Only int8_t and int16_t outputs are supported with int8_t inputs currently")
_FROM_UINT8 = Said(
    "operator-types", None, "Only uint8_t and int16_t outputs are supported with uint8_t inputs currently"
)

# By operator: the types that both runtimes compute, those that LiteRT has besides, and what is printed for others.
_TYPES: dict[str, tuple[frozenset[str], frozenset[str], Said]] = {
    "RELU": (_FOUR, frozenset(), _BY_RELU),
    "RELU6": (_FOUR, frozenset(), _BY_RELU),
    "RELU_N1_TO_1": (_THREE, frozenset(), _BY_BOUNDED),
    "RELU_0_TO_1": (_THREE, frozenset(), _BY_BOUNDED),
    "LOGISTIC": (_FOUR, _HALVES, _BY_SIGMOID),
    "TANH": (_FOUR, _HALVES, _BY_SIGMOID),
    "HARD_SWISH": (_THREE, frozenset(), _BY_EIGHT_BITS),
    "LOG_SOFTMAX": (_THREE, frozenset(), _BY_EIGHT_BITS),
    "LEAKY_RELU": (_FOUR, frozenset(), _BY_LEAKY),
    "ELU": (frozenset({"FLOAT32", "INT8"}), frozenset(), _BY_ELU),
    "GELU": (_THREE, frozenset({"FLOAT16", "INT16"}), _BY_GELU),
    "SOFTMAX": (_FOUR, frozenset({"FLOAT16"}), _BY_SOFTMAX),
}
# XNNPACK keeps to the output's quantisation too, and saturates where the kernels do.
_ALL = On.TFLITE | On.DELEGATE


def _has_types(node: KernelNode, source: Operand) -> None:
    """Whether there is a kernel for the input's type; found out when the model runs."""
    both, newer, said = _TYPES[node.name]
    if source.type not in both:
        on = On.V2_14 if source.type in newer else On.TFLITE
        node.refuse(said, f"there is no kernel for {source.type}", source, on=on, at=Stage.INVOKE)


def _has_zero_points(node: KernelNode, source: Operand, result: Operand) -> None:
    """INT16 is symmetric."""
    for said, operand, role in ((_INPUT_ZERO, source, "input"), (_OUTPUT_ZERO, result, "output")):
        if operand.zero_point:
            node.refuse(said, f"the {role}'s zero point is {operand.zero_point}, of INT16 it must be 0", operand)


@kernel("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU")
def _relu(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result) and source.type != "FLOAT32":
        if source.type in INTEGERS:
            rescales(node, source, result)
        if source.type == "INT16":
            _has_zero_points(node, source, result)
        _has_types(node, source)
    node.same_shape()


@kernel("HARD_SWISH")
def _hard_swish(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result) and source.type != "FLOAT32":
        if source.type in EIGHT_BITS:
            has_small_multiplier(node, source, result, _EXPONENT)
            rescales(node, source, result)
        _has_types(node, source)
    node.same_shape()


def has_small_multiplier(node: KernelNode, source: Operand, result: Operand, said: Said) -> None:
    """HARD_SWISH shifts to the right only: input scale / 128 / output scale, in float32, must stay below 1.

    An infinite one counts as 0.
    """
    if result.scale and 1 <= abs(float32(source.scale / 128 / result.scale)) < float("inf"):
        node.refuse(
            said,
            f"input scale {source.scale:.9g} / (128 x output scale {result.scale:.9g}) must be below 1",
            result,
        )


@kernel("ELU", "GELU")
def _lookup(node: KernelNode) -> None:
    found = single(node, reads_first=True)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result) and source.type != "FLOAT32":
        if source.type == "INT8" or (node.name == "GELU" and source.type in INTEGERS):
            rescales(node, source, result)
        _has_types(node, source)
    node.same_shape()


@kernel("TANH", "LOGISTIC")
def _sigmoid(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result) and source.type != "FLOAT32":
        if source.type in EIGHT_BITS:
            has_useful_scale(node, source, "input")
            if node.name == "TANH":
                has_useful_scale(node, result, "output")
                can_hold_range(node, result, _ALL, doubtful=True)
            else:
                _has_logistic_scale(node, result, _LOGISTIC_SCALE)
                can_hold_range(node, result, _ALL)
        elif source.type == "INT16":
            _has_sigmoid_scales(node, source, result)
        _has_types(node, source)
    node.same_shape()


def _has_logistic_scale(node: KernelNode, result: Operand, said: Said) -> None:
    fixed = FIXED_OUTPUTS["LOGISTIC", result.type]
    if result.scale != fixed.scale:
        node.refuse(said, f"the output scale is {result.scale:.9g}, of LOGISTIC it must be {fixed.scale:.9g}", result)


def _has_sigmoid_scales(node: KernelNode, source: Operand, result: Operand) -> None:
    if node.name == "LOGISTIC":
        _has_logistic_scale(node, result, _LOGISTIC_SCALE_16)
        if result.zero_point:
            node.refuse(_IS_ZERO, f"the output's zero point is {result.zero_point}, of INT16 it must be 0", result)
        if source.zero_point:
            node.refuse(_INPUT_ZERO, f"the input's zero point is {source.zero_point}, of INT16 it must be 0", source)
    else:
        _has_zero_points(node, source, result)
        has_power_of_two(node, result, _IS_POWER, _POWER)
    has_useful_scale(node, source, "input")


def has_power_of_two(node: KernelNode, result: Operand, no_power: Said, another: Said) -> None:
    """Whether the output scale is 1/32768, as far as kernels look: log2 within 0.001 of -15."""
    scale = result.scale
    exponent = log2(scale) if 0 < scale < float("inf") else None
    if exponent is None or not abs(exponent - round(exponent)) < NEAR:
        node.refuse(no_power, f"the output scale is {scale:.9g}, of INT16 it must be 1/32768", result)
    elif round(exponent) != -15:
        node.refuse(another, f"the output scale is {scale:.9g}, of INT16 it must be 1/32768", result)


@kernel("SOFTMAX")
def _softmax(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if source.rank == 0:
        node.refuse(AT_LEAST_VECTOR, "the input has no dimensions, the kernel needs at least 1", source)
    kinds = source.type, result.type
    if kinds == ("FLOAT32", "FLOAT32"):
        _has_values(node, source)
    else:
        if kinds == ("INT8", "INT8"):
            if result.zero_point != -128:
                message = f"the output's zero point is {result.zero_point}, of SOFTMAX it must be -128"
                node.refuse(_SOFTMAX_ZERO, message, result)
            is_near(node, result, _SOFTMAX_SCALE)
        elif kinds == ("INT16", "INT16"):
            if result.zero_point:
                message = f"the output's zero point is {result.zero_point}, of INT16 it must be 0"
                node.refuse(_OUTPUT_ZERO, message, result)
            is_near(node, result, _SOFTMAX_SCALE_16)
        _check_softmax(node, source, result)
    node.same_shape()


def _has_values(node: KernelNode, source: Operand) -> None:
    """Rows of no values, of floats: the kernel divides the others by their number."""
    if source.dim(-1) == 0:
        node.crash("positive-size", "the input's last dimension is 0, the kernel needs values", source, at=Stage.INVOKE)


def _check_softmax(node: KernelNode, source: Operand, result: Operand) -> None:
    kinds = source.type, result.type
    if source.type == "INT16":
        for said, operand, role in ((_INPUT_ZERO, source, "input"), (_OUTPUT_ZERO, result, "output")):
            if operand.zero_point and not (kinds == ("INT16", "INT16") and operand is result):
                node.refuse(said, f"the {role}'s zero point is {operand.zero_point}, of INT16 it must be 0", operand)
    if source.type in INTEGERS:
        has_useful_scale(node, source, "input")
    if kinds == ("UINT8", "UINT8") and has_useful_scale(node, result, "output"):
        can_hold_range(node, result, doubtful=True)
    if source.type in EIGHT_BITS:
        if result.type not in (source.type, "INT16"):
            said = _FROM_INT8 if source.type == "INT8" else _FROM_UINT8
            message = f"there is no kernel from {source.type} to {result.type}"
            node.refuse(said, message, result, at=Stage.INVOKE)
        return
    _has_types(node, source)
    if source.type != result.type and (source.type in _FOUR or source.type == "FLOAT16"):
        message = f"the input is {source.type} and the output {result.type}, the kernel writes {source.type}"
        node.wrong("same-type", message, result)
        if BYTES.get(result.type, 0) < BYTES[source.type]:
            node.doubt("same-type", f"{message}, more bytes than the output has", result, at=Stage.INVOKE)


def is_near(node: KernelNode, result: Operand, said: Said, fixed: float | None = None) -> None:
    """Whether the output scale is the fixed one within 0.1 %, in float32."""
    wanted = FIXED_OUTPUTS["SOFTMAX", result.type].scale if fixed is None else fixed
    if float32(abs(result.scale - wanted)) > float32(float32(NEAR) * wanted):
        node.refuse(said, f"the output scale is {result.scale:.9g}, of SOFTMAX it must be {wanted:.9g}", result)


@kernel("LOG_SOFTMAX")
def _log_softmax(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result) and source.type == "FLOAT32":
        _has_values(node, source)
    elif source.type == result.type:
        if source.type in EIGHT_BITS:
            _is_fixed(node, result, _LOG_SCALE, _LOG_ZERO[source.type])
            has_useful_scale(node, source, "input")
        _has_types(node, source)
    node.same_shape()


def _is_fixed(node: KernelNode, result: Operand, scale: Said, zero_point: Said) -> None:
    """Whether scale and zero point of the output are exactly the fixed ones."""
    fixed = FIXED_OUTPUTS[node.name, result.type]
    if result.scale != fixed.scale:
        message = f"the output scale is {result.scale:.9g}, of {node.name} it must be {fixed.scale:.9g}"
        node.refuse(scale, message, result)
    if result.zero_point != fixed.zero_point:
        message = f"the output's zero point is {result.zero_point}, of {node.name} it must be {fixed.zero_point}"
        node.refuse(zero_point, message, result)


@kernel("L2_NORMALIZATION")
def _l2_normalization(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if source.rank == 0:
        node.refuse(AT_LEAST_VECTOR, "the input has no dimensions, the kernel needs at least 1", source, on=On.LITERT)
    counts_dimensions(node, source, On.V2_14)
    if result.type not in _THREE:
        node.refuse(_NORM_TYPES, f"there is no kernel for {result.type}", result)
    has_same_type(node, source, result)
    if result.type in EIGHT_BITS:
        _is_fixed(node, result, _NORM_SCALE, _NORM_ZERO[result.type])
    refuse_activation(node, _NORM_ACTIVATION)
    node.same_shape()


def counts_dimensions(node: KernelNode, source: Operand, on: On) -> None:
    """L2_NORMALIZATION of old runtimes takes four dimensions at most."""
    if source.rank is not None and source.rank > 4:
        node.refuse(_NORM_RANK, f"the input has {source.rank} dimensions, the kernel takes up to 4", source, on=on)


def refuse_activation(node: KernelNode, said: Said) -> None:
    """L2_NORMALIZATION has no fused activation."""
    activation = node.activation("L2NormOptions")
    if activation != "NONE":
        node.refuse(said, f"the fused activation is {activation}, the kernel has none")


@kernel("LOCAL_RESPONSE_NORMALIZATION")
def _local_response_normalization(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if source.rank is not None and source.rank != 4:
        node.refuse(INPUT_RANK, f"the input has {source.rank} dimensions, the kernel takes 4", source)
    if result.type != "FLOAT32":
        node.refuse(_RESPONSE_TYPE, f"the output is {result.type}, the kernel computes FLOAT32 only", result)
    has_same_type(node, source, result)
    node.same_shape()
