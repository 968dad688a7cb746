"""TFLM's kernels of activation functions and normalisations.

Source: tflite-micro kernels/activations_common.cc, hard_swish_common.cc, leaky_relu_common.cc, tanh.cc,
logistic_common.cc, softmax_common.cc, log_softmax.cc, l2norm.cc, elu.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.fixed_outputs import FIXED_OUTPUTS, WIDE_SOFTMAX
from tflite_surgeon.knowledge.kernels.activations import (
    counts_dimensions,
    has_power_of_two,
    has_small_multiplier,
    is_near,
    refuse_activation,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.scales import copies, has_useful_scale, rescales
from tflite_surgeon.knowledge.kernels.single import AT_LEAST_VECTOR, has_same_type
from tflite_surgeon.knowledge.micro.single import NOT_SUPPORTED, assumes_fixed, micro_single, writes_input_type
from tflite_surgeon.knowledge.problems import On, Said, Stage

_FIXED = "fixed-output-quantization"
_TYPES = "operator-types"
_RELU_TYPES = Said(_TYPES, None, "Only float32/int8/int16 is supported currently, got {}")
_LEAKY_TYPES = Said(_TYPES, None, "Only float32, int8 are supported by LEAKY_RELU, got {}.")
_SWISH_TYPES = Said(_TYPES, None, "Unsupported type {}")
_ELU_TYPES = Said(_TYPES, None, "ELU only supports float32 and int8 currently, got {}.")
_LOG_TYPES = Said(_TYPES, None, "LOG_SOFTMAX only supports float32, int8, got {}.")
_NORM_TYPES = Said(_TYPES, "l2norm.cc", "output->type == kTfLiteFloat32 |{} was not true")
_INTO_INT16 = Said(_TYPES, "softmax_common.cc", "input->type == kTfLiteInt8 |{} was not true")
_FLOAT = Said(_TYPES, "softmax_common.cc", "input->type != kTfLiteFloat32")

_EXPONENT = Said("multiplier-range", "hard_swish_common.cc", "params->output_multiplier_exponent <= 0 was not true")
_TANH_POWER = (
    Said(_FIXED, "tanh.cc", "CheckedLog2(output->params.scale, &output_scale_log2_rounded) was not true"),
    Said(_FIXED, "tanh.cc", "output_scale_log2_rounded != -kOutputFractionalBits"),
)
_LOGISTIC_POWER = (
    Said(_FIXED, "logistic_common.cc", "CheckedLog2(output->params.scale, &output_scale_log2_rounded) was not true"),
    Said(_FIXED, "logistic_common.cc", "output_scale_log2_rounded != -kOutputFractionalBits"),
)
_LOGISTIC_ZERO = Said(_FIXED, "logistic_common.cc", "output->params.zero_point != std::numeric_limits<int8_t>::min()")
_SOFTMAX_ZERO = Said(_FIXED, "softmax_common.cc", "output->params.zero_point != -128")
_SOFTMAX_SCALE = Said(_FIXED, "softmax_common.cc", "output->params.scale == 1.f / 256 was not true")
_SOFTMAX_SCALE_16 = Said(_FIXED, "softmax_common.cc", "output->params.scale not near 1.f / 32768")
_WIDE_ZERO = Said(_FIXED, "softmax_common.cc", "output->params.zero_point != -32768")
_WIDE_SCALE = Said(_FIXED, "softmax_common.cc", "output->params.scale not near 1.f / 65536")
_LOG_SCALE = Said(_FIXED, "log_softmax.cc", "output->params.scale == kOutputScale was not true")
_LOG_ZERO = Said(_FIXED, "log_softmax.cc", "output->params.zero_point == kOutputZeroPoint was not true")
_SAME_SHAPES = Said("output-shape", "log_softmax.cc", "HaveSameShapes(input, output) was not true")
_NORM_ACTIVATION = Said("fused-activation", "l2norm.cc", "params->activation != kTfLiteActNone")
_ZERO_POINTS = {
    file: (
        Said("int16-zero-point", file, "input->params.zero_point != 0"),
        Said("int16-zero-point", file, "output->params.zero_point != 0"),
    )
    for file in ("activations_common.cc", "tanh.cc", "logistic_common.cc", "softmax_common.cc")
}

_INTEGERS = ("INT8", "INT16")
# input scale x beta as a multiplier: SOFTMAX counts differences in units of 2^-26.
_SOFTMAX_UNIT = 2.0**26


def _has_zero_points(node: KernelNode, source: Operand, result: Operand, file: str) -> None:
    for said, operand, role in zip(_ZERO_POINTS[file], (source, result), ("input", "output")):
        if operand.zero_point:
            node.refuse(said, f"the {role}'s zero point is {operand.zero_point}, of INT16 it must be 0", operand)


def _has_types(node: KernelNode, source: Operand, types: tuple[str, ...], said: Said) -> None:
    if source.type != "FLOAT32" and source.type not in types:
        node.refuse(said, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)


@micro_kernel("RELU")
def _relu(node: KernelNode) -> None:
    found = micro_single(node, counts=False)
    if found is None:
        return
    source, result = found
    if source.type == "INT16":
        _has_zero_points(node, source, result, "activations_common.cc")
    if source.type in _INTEGERS:
        rescales(node, source, result)
    writes_input_type(node, source, result)
    _has_types(node, source, _INTEGERS, _RELU_TYPES)


@micro_kernel("RELU6")
def _relu6(node: KernelNode) -> None:
    found = micro_single(node, counts=False)
    if found is None:
        return
    source, result = found
    if source.type in _INTEGERS and has_useful_scale(node, source, "input"):
        copies(node, source, result)
    writes_input_type(node, source, result)
    _has_types(node, source, _INTEGERS, _RELU_TYPES)


@micro_kernel("LEAKY_RELU")
def _leaky_relu(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result):
        if source.type in _INTEGERS:
            rescales(node, source, result)
        _has_types(node, source, _INTEGERS, _LEAKY_TYPES)


@micro_kernel("HARD_SWISH")
def _hard_swish(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if source.type == "INT8":
        has_small_multiplier(node, source, result, _EXPONENT)
        rescales(node, source, result)
    writes_input_type(node, source, result)
    _has_types(node, source, ("INT8",), _SWISH_TYPES)


@micro_kernel("ELU")
def _elu(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result):
        if source.type == "INT8":
            rescales(node, source, result)
        _has_types(node, source, ("INT8",), _ELU_TYPES)


@micro_kernel("TANH")
def _tanh(node: KernelNode) -> None:
    found = micro_single(node, takes_first=True)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result):
        if source.type == "INT8":
            has_useful_scale(node, source, "input")
            assumes_fixed(node, result)
        elif source.type == "INT16":
            _has_zero_points(node, source, result, "tanh.cc")
            has_power_of_two(node, result, *_TANH_POWER)
            has_useful_scale(node, source, "input")
        _has_types(node, source, _INTEGERS, NOT_SUPPORTED)


@micro_kernel("LOGISTIC")
def _logistic(node: KernelNode) -> None:
    found = micro_single(node, counts=False)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result):
        if source.type == "INT8":
            if result.zero_point != -128:
                message = f"the output's zero point is {result.zero_point}, of LOGISTIC it must be -128"
                node.refuse(_LOGISTIC_ZERO, message, result)
            else:
                assumes_fixed(node, result)
            has_useful_scale(node, source, "input")
        elif source.type == "INT16":
            _has_zero_points(node, source, result, "logistic_common.cc")
            has_power_of_two(node, result, *_LOGISTIC_POWER)
            has_useful_scale(node, source, "input")
        _has_types(node, source, _INTEGERS, NOT_SUPPORTED)


@micro_kernel("SOFTMAX")
def _softmax(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if source.rank == 0:
        node.refuse(AT_LEAST_VECTOR, "the input has no dimensions, the kernel needs at least 1", source)
    kinds = source.type, result.type
    if kinds == ("FLOAT32", "FLOAT32"):
        return
    if result.type == "INT16":
        if source.type not in _INTEGERS:
            node.refuse(_INTO_INT16, f"there is no kernel from {source.type} to INT16", result)
            return
    elif not has_same_type(node, source, result):
        return
    if kinds == ("INT16", "INT16"):
        # The output's is looked at first.
        for said, operand, role in zip(_ZERO_POINTS["softmax_common.cc"][::-1], (result, source), ("output", "input")):
            if operand.zero_point:
                node.refuse(said, f"the {role}'s zero point is {operand.zero_point}, of INT16 it must be 0", operand)
        is_near(node, result, _SOFTMAX_SCALE_16)
        has_useful_scale(node, source, "input")
    elif source.type == "INT8":
        _check_int8_softmax(node, result)
        counts_differences(node, source, node.option("SoftmaxOptions", "beta"))
    else:
        node.refuse(_FLOAT, f"there is no kernel for {source.type}", source)


def _check_int8_softmax(node: KernelNode, result: Operand) -> None:
    is_wide = result.type == "INT16"
    fixed = WIDE_SOFTMAX if is_wide else FIXED_OUTPUTS["SOFTMAX", "INT8"]
    if result.zero_point != fixed.zero_point:
        message = f"the output's zero point is {result.zero_point}, of SOFTMAX it must be {fixed.zero_point}"
        node.refuse(_WIDE_ZERO if is_wide else _SOFTMAX_ZERO, message, result)
    if is_wide:
        is_near(node, result, _WIDE_SCALE, fixed.scale)
    elif result.scale != fixed.scale:
        message = f"the output scale is {result.scale:.9g}, of SOFTMAX it must be exactly {fixed.scale:.9g}"
        node.refuse(_SOFTMAX_SCALE, message, result)


def counts_differences(node: KernelNode, source: Operand, beta: float) -> None:
    """The kernel aborts unless beta x input scale x 2^26 is above 1 (PreprocessSoftmaxScaling)."""
    factor = beta * source.scale * _SOFTMAX_UNIT
    if not factor > 1:
        node.crash(
            "multiplier-range",
            f"beta {beta:.9g} x input scale {source.scale:.9g} x 2^26 is {factor:.9g}, the kernel aborts unless it is "
            "above 1",
            source,
        )


@micro_kernel("LOG_SOFTMAX")
def _log_softmax(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if not has_same_type(node, source, result):
        return
    if source.shape != result.shape:
        message = f"the input is of shape {source.shape} and the output of {result.shape}, the kernel needs the same"
        node.refuse(_SAME_SHAPES, message, result)
    if source.type == "INT8":
        fixed = FIXED_OUTPUTS["LOG_SOFTMAX", "INT8"]
        if result.scale != fixed.scale:
            message = f"the output scale is {result.scale:.9g}, of LOG_SOFTMAX it must be {fixed.scale:.9g}"
            node.refuse(_LOG_SCALE, message, result)
        if result.zero_point != fixed.zero_point:
            message = f"the output's zero point is {result.zero_point}, of LOG_SOFTMAX it must be {fixed.zero_point}"
            node.refuse(_LOG_ZERO, message, result)
        counts_differences(node, source, 1.0)
    _has_types(node, source, ("INT8",), _LOG_TYPES)


@micro_kernel("L2_NORMALIZATION")
def _l2_normalization(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    counts_dimensions(node, source, On.TFLM)
    if result.type not in ("FLOAT32", "INT8"):
        node.refuse(_NORM_TYPES, f"there is no kernel for {result.type}", result)
    has_same_type(node, source, result)
    refuse_activation(node, _NORM_ACTIVATION)
    if result.type == "INT8":
        assumes_fixed(node, result)
