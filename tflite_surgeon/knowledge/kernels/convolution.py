"""The kernel of CONV_2D. Source: LiteRT and tflite-runtime 2.14 kernels/conv.cc."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.filters import (
    DILATION_HEIGHT,
    DILATION_WIDTH,
    FLOAT,
    INT8,
    INT16,
    KINDS,
    LARGEST_INT16,
    NO_BATCHES,
    UINT8,
    check_bias,
    check_bias_option,
    check_symmetry,
    check_types,
    counts_of,
    has_counts,
    has_output,
    has_rank,
    limit_option,
    positive,
    refuse_empty,
    refuse_negative,
    refuse_option,
    refuse_padding,
    rescales,
    texts,
    warn_of_activation,
    window_of,
)
from tflite_surgeon.knowledge.kernels.layers import has_useful_weights_scales
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import STRIDE_HEIGHT, STRIDE_WIDTH
from tflite_surgeon.knowledge.problems import On, Said, Stage

_CONV = texts(
    "conv.cc",
    "filter",
    "node->inputs->size == 2",
    "node->outputs->size",
    ("input->dims->size", "filter->dims->size"),
    "input_type",
)
_CONV_INPUT = positive("conv.cc", "input->dims->data[1]", "input->dims->data[2]", "input_channel")
_CONV_WEIGHTS = positive(
    "conv.cc", "filter->dims->data[0]", "filter->dims->data[1]", "filter->dims->data[2]", "filter_input_channel"
)
_CONV_CHANNELS = Said("channels", "conv.cc", "input_channel % filter_input_channel != 0")
_CONV_GROUPS = Said("channels", "conv.cc", "filter->dims->data[0] % data->groups != 0")
_CONV_WEIGHTS_ZERO = Said("weights-zero-point", "conv.cc", "affine_quantization->zero_point->data[i] != 0")
_CONV_NO_BIAS = Said("bias-missing", "conv.cc", "has_bias was not true")
_WEIGHT_TYPE = Said("operator-types", None, "Weight type {} not supported for filter.")
_GROUPED_SCALES = Said("scale-count", "conv.cc", "affine_quantization->scale->size != filter->dims->data[0]")
_HYBRID_AXIS = Said("quantized-dimension", "conv.cc", "affine_quantization->quantized_dimension != 0")

# Integers that the kernel expresses in floats.
_HYBRID_WEIGHTS = (INT8, UINT8, "INT4")


@kernel("CONV_2D")
def _conv(node: KernelNode) -> None:
    if not has_counts(node, _CONV, (2, 3)) or not has_output(node) or not node.needs(0, 1):
        return
    source, weights, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or weights is None or result is None:
        return
    if not has_rank(node, _CONV.input_rank, "input", source):
        return
    if not has_rank(node, _CONV.weights_rank, "weights", weights):
        return
    groups = _conv_groups(node, source, weights)
    kind = source.type
    check_types(node, _CONV, source, result)
    if kind == INT16:
        check_symmetry(node, _CONV, source, result, On.V2_14)
    if kind in (INT8, INT16) and any(weights.zero_points):
        point = next(point for point in weights.zero_points if point)
        message = f"the zero point of the weights is {point}, the kernel takes 0 for {kind} input"
        node.refuse(_CONV_WEIGHTS_ZERO, message, weights)
    window = window_of(node, "Conv2DOptions")
    values = (*window.strides, *window.dilations)
    if min(values) <= 0 or max(values) > LARGEST_INT16:
        _conv_steps(node, values)
    bias = _conv_bias(node, source, weights)
    if kind == INT16:
        check_symmetry(node, _CONV, source, result, On.LITERT)
        check_bias_option(node, "Conv2DOptions", bias)
    counts = counts_of(source, weights, window)
    refuse_negative(node, counts, On.LITERT)
    refuse_padding(node, window)
    activation = node.activation("Conv2DOptions")
    if kind == FLOAT:
        _float_weights(node, weights, groups)
        if weights.type in _HYBRID_WEIGHTS and source.dim(0) == 0:
            node.refuse(NO_BATCHES, "the input has 0 batches", source, on=On.V2_14, at=Stage.INVOKE)
    elif kind in KINDS:
        rescales(node, _CONV, source, weights, bias, result, 0, activation)
        _conv_integer_weights(node, kind, weights)
    warn_of_activation(node, activation)
    refuse_negative(node, counts, On.V2_14)
    if counts is None or source.shape is None or weights.shape is None:
        node.resize(0, None)
    elif min(counts) >= 0:
        node.resize(0, [source.shape[0], *counts, weights.shape[0]])


def _conv_groups(node: KernelNode, source: Operand, weights: Operand) -> int:
    """How many groups of channels there are; 1 where that is not known."""
    if source.shape is None or weights.shape is None:
        return 1
    if min(source.shape[1:]) <= 0:
        refuse_empty(node, "input", source, (1, 2, 3), _CONV_INPUT)
    if min(weights.shape) <= 0:
        # The number of input channels is the last that is looked at, and the only one in 2.14.
        refuse_empty(node, "weights", weights, (1, 2, 0, 3), [_CONV_WEIGHTS[axis] for axis in (1, 2, 0, 3)])
        refuse_empty(node, "weights", weights, (3,), _CONV_WEIGHTS[3:], On.V2_14)
    channels, depth = source.shape[3], weights.shape[3]
    if depth <= 0:
        return 1
    if channels % depth:
        message = f"the input has {channels} channels, no multiple of the weights' {depth}"
        node.refuse(_CONV_CHANNELS, message, weights)
        return 1
    groups = channels // depth
    if groups > 1 and weights.shape[0] % groups:
        message = f"the weights have {weights.shape[0]} output channels, no multiple of the {groups} groups"
        node.refuse(_CONV_GROUPS, message, weights, on=On.LITERT)
        node.wrong("channels", message, weights, on=On.V2_14)
    return groups


def _conv_steps(node: KernelNode, values: tuple[int, ...]) -> None:
    """Strides and dilations out of range: LiteRT refuses them, 2.14 makes an empty output or reads one pixel again."""
    names = ("stride_h", "stride_w", "dilation_h_factor", "dilation_w_factor")
    for said, name, value in zip((STRIDE_HEIGHT, STRIDE_WIDTH, DILATION_HEIGHT, DILATION_WIDTH), names, values):
        limit_option(node, name, value)
        if value <= 0:
            refuse_option(node, said, name, value, On.LITERT)
            node.wrong(said.rule, f"{name} is {value}: the window does not move", on=On.V2_14)
            return


def _conv_bias(node: KernelNode, source: Operand, weights: Operand) -> Operand | None:
    if len(node.inputs) == 2:
        node.refuse(_CONV_NO_BIAS, "there is no bias, the kernel needs one")
        return None
    if not node.needs(2):
        return None
    bias = node.inputs[2]
    if bias is not None:
        if source.type in KINDS:
            check_bias(node, _CONV, source, bias)
        count, channels = bias.count, weights.dim(0)
        if count is not None and channels is not None and count != channels:
            node.refuse(_CONV.bias_count, f"the bias has {count} values for {channels} output channels", bias)
    return bias


def _conv_integer_weights(node: KernelNode, kind: str, weights: Operand) -> None:
    """Integers that are no 8-bit or 4-bit weights: refused late, or read as if they were."""
    if kind == UINT8:
        if weights.type != UINT8:
            node.wrong("operator-types", f"the weights are {weights.type}, the kernel reads them as UINT8", weights)
        return
    if weights.type in (INT8, "INT4"):
        return
    reads = f"the weights are {weights.type}, the kernel reads them as INT8"
    if kind == INT8:
        message = f"there is no kernel for {weights.type} weights and INT8 input"
        node.refuse(_WEIGHT_TYPE, message, weights, on=On.LITERT, at=Stage.INVOKE)
        node.wrong("operator-types", reads, weights, on=On.V2_14)
    else:
        node.wrong("operator-types", reads, weights)


def _float_weights(node: KernelNode, weights: Operand, groups: int) -> None:
    """Weights beside a FLOAT32 input: the same type, or integers that the kernel expresses in floats."""
    if weights.type == FLOAT:
        return
    if weights.type not in _HYBRID_WEIGHTS:
        node.wrong("operator-types", f"the weights are {weights.type}, the kernel reads them as FLOAT32", weights)
        return
    if not weights.is_affine:
        message = f"the {weights.type} weights have no scale, the kernel takes 0: the output is the bias alone"
        node.wrong("missing-quantization", message, weights)
        return
    has_useful_weights_scales(node, weights)
    count, channels = len(weights.scales), weights.dim(0)
    by_channel = count > 1 and weights.type != UINT8 and min(weights.scales) != max(weights.scales)
    if groups > 1 and channels is not None and count != channels:
        message = f"the weights have {count} scales for {channels} output channels in {groups} groups"
        node.refuse(_GROUPED_SCALES, message, weights, on=On.LITERT)
        # It reads tables of places that it filled for weights with scales of channels only.
        node.doubt(
            "scale-count",
            f"{message}: what the kernel reads beyond is not known",
            weights,
            on=On.V2_14,
            at=Stage.INVOKE,
        )
    elif by_channel and weights.axis != 0:
        message = f"the weights' scales count along dimension {weights.axis}, the kernel's along dimension 0"
        node.refuse(_HYBRID_AXIS, message, weights, on=On.LITERT)
        node.wrong("quantized-dimension", message, weights, on=On.V2_14)
