"""The kernel of DEPTHWISE_CONV_2D. Source: LiteRT and tflite-runtime 2.14 kernels/depthwise_conv.cc."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.filters import (
    DILATION_HEIGHT,
    DILATION_WIDTH,
    FLOAT,
    HYBRID_SCALES,
    INT8,
    INT16,
    KINDS,
    LARGEST_INT16,
    NO_BATCHES,
    UINT8,
    Window,
    check_bias,
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
    warn_of_axis,
    window_of,
)
from tflite_surgeon.knowledge.kernels.layers import has_useful_weights_scales, ignores_weights_zero_point
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import STRIDE_HEIGHT, STRIDE_WIDTH
from tflite_surgeon.knowledge.problems import On, Said, Stage

_DEPTHWISE = texts(
    "depthwise_conv.cc",
    "filter",
    "NumInputs(node) == 2",
    "NumOutputs(node)",
    ("NumDimensions(input)", "NumDimensions(filter)"),
    "data_type",
    bias_int64="bias->type != kTfLiteInt64",
    bias_count="SizeOfDimension(filter, 3) != SizeOfDimension(bias, 0)",
)
_DEPTHWISE_INPUT = positive("depthwise_conv.cc", *(f"SizeOfDimension(input, {axis})" for axis in (1, 2, 3)))
_DEPTHWISE_WEIGHTS = positive("depthwise_conv.cc", *(f"SizeOfDimension(filter, {axis})" for axis in (1, 2, 3)))
_DEPTHWISE_TYPES = Said("operator-types", "depthwise_conv.cc", "filter->type == data_type || data_type == ")
_DEPTHWISE_HYBRID = Said(
    "missing-quantization", "depthwise_conv.cc", "filter->quantization.type != kTfLiteNoQuantization was not true"
)
_DEPTHWISE_PLANES = Said("dimension-match", "depthwise_conv.cc", "SizeOfDimension(filter, 0) != 1")
_DEPTHWISE_CHANNELS = Said("channels", "depthwise_conv.cc", "output_channels % input_channels != 0")
_DEPTHWISE_BIAS_RANK = Said("tensor-rank", "depthwise_conv.cc", "NumDimensions(bias) != 1")
_OLD_DEPTHWISE_CHANNELS = Said("channels", "depthwise_conv.cc", "num_filter_channels % num_input_channels != 0")
_OLD_DEPTHWISE_INPUT = Said("positive-size", "depthwise_conv.cc", "num_input_channels != 0 was not true")
_FILTER_TYPE = Said("operator-types", None, "Type {} with filter type {} not currently supported.")


@kernel("DEPTHWISE_CONV_2D")
def _depthwise(node: KernelNode) -> None:
    if not has_counts(node, _DEPTHWISE, (2, 3)) or not node.needs(0, 1) or not has_output(node):
        return
    source, weights, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or weights is None or result is None:
        return
    if not has_rank(node, _DEPTHWISE.input_rank, "input", source):
        return
    if not has_rank(node, _DEPTHWISE.weights_rank, "weights", weights):
        return
    window = window_of(node, "DepthwiseConv2DOptions")
    _depthwise_steps(node, window)
    if source.shape is not None and min(source.shape[1:]) <= 0:
        refuse_empty(node, "input", source, (1, 2, 3), _DEPTHWISE_INPUT)
    if weights.shape is not None and min(weights.shape[1:]) <= 0:
        refuse_empty(node, "weights", weights, (1, 2, 3), _DEPTHWISE_WEIGHTS)
    kind = source.type
    check_types(node, _DEPTHWISE, source, result)
    is_hybrid = kind == FLOAT and weights.type == INT8
    if not is_hybrid and weights.type != kind and kind != INT16 and weights.type != "INT4":
        message = f"there is no kernel for {weights.type} weights and {kind} input"
        node.refuse(_DEPTHWISE_TYPES, message, weights)
    if kind == INT16:
        check_symmetry(node, _DEPTHWISE, source, result)
    _depthwise_channels(node, source, weights)
    bias = _depthwise_bias(node, source, weights)
    counts = counts_of(source, weights, window)
    refuse_negative(node, counts, On.LITERT)
    refuse_padding(node, window)
    activation = node.activation("DepthwiseConv2DOptions")
    if kind in KINDS and kind != FLOAT:
        rescales(node, _DEPTHWISE, source, weights, bias, result, 3, activation)
        _depthwise_integer_weights(node, kind, weights)
    elif is_hybrid:
        _depthwise_hybrid(node, weights)
        if source.dim(0) == 0:
            node.refuse(NO_BATCHES, "the input has 0 batches", source, at=Stage.INVOKE)
    elif weights.type == "INT4":
        message = "there is no kernel for INT4 weights and FLOAT32 input"
        node.refuse(_FILTER_TYPE, message, weights, at=Stage.INVOKE)
    if is_hybrid or kind == INT16:
        _depthwise_multiplier(node, source, weights)
    warn_of_activation(node, activation)
    refuse_negative(node, counts, On.V2_14)
    if counts is None or source.shape is None or weights.shape is None:
        node.resize(0, None)
    elif min(counts) >= 0:
        if (is_hybrid or kind == INT8) and 0 in (source.shape[0], *counts, *weights.shape):
            message = "the output is empty: the process dies of a division by 0 when the node runs"
            node.crash("positive-size", message, result, on=On.V2_14, at=Stage.INVOKE)
        node.resize(0, [source.shape[0], *counts, weights.shape[3]])


def _depthwise_steps(node: KernelNode, window: Window) -> None:
    (stride_h, stride_w), (dilation_h, dilation_w), _ = window
    if not (0 < dilation_h <= LARGEST_INT16 and 0 < dilation_w <= LARGEST_INT16):
        _step(node, DILATION_HEIGHT, "dilation_h_factor", dilation_h, On.TFLITE)
        _step(node, DILATION_WIDTH, "dilation_w_factor", dilation_w, On.TFLITE)
    if not (0 < stride_h <= LARGEST_INT16 and 0 < stride_w <= LARGEST_INT16):
        _step(node, STRIDE_WIDTH, "stride_w", stride_w, On.LITERT)
        _step(node, STRIDE_HEIGHT, "stride_h", stride_h, On.LITERT)


def _step(node: KernelNode, said: Said, name: str, value: int, refusing: On) -> None:
    limit_option(node, name, value)
    if value <= 0:
        refuse_option(node, said, name, value, refusing)
        if not refusing & On.V2_14:
            node.wrong(said.rule, f"{name} is {value}: the window does not move", on=On.V2_14)


def _depthwise_channels(node: KernelNode, source: Operand, weights: Operand) -> None:
    if source.shape is None or weights.shape is None:
        return
    planes, channels, made = weights.shape[0], source.shape[3], weights.shape[3]
    if planes != 1:
        message = f"dimension 0 of the weights is {planes}, the kernel takes 1 x height x width x channels"
        node.refuse(_DEPTHWISE_PLANES, message, weights)
    multiplies = source.type in (FLOAT, UINT8, INT8) and not (source.type == FLOAT and weights.type == INT8)
    if channels <= 0:
        if multiplies:
            message = f"the input has {channels} channels, the kernel needs at least 1"
            node.refuse(_OLD_DEPTHWISE_INPUT, message, source, on=On.V2_14, at=Stage.INVOKE)
    elif made % channels:
        message = f"the weights have {made} channels, no multiple of the input's {channels}"
        node.refuse(_DEPTHWISE_CHANNELS, message, weights, on=On.LITERT)
        if source.type == FLOAT and multiplies:
            message += ": 2.14 runs the node only if XNNPACK takes it"
            node.doubt(_OLD_DEPTHWISE_CHANNELS.rule, message, weights, on=On.V2_14, at=Stage.INVOKE)
        elif multiplies:
            node.refuse(_OLD_DEPTHWISE_CHANNELS, message, weights, on=On.V2_14, at=Stage.INVOKE)
        else:
            node.wrong("channels", message, weights, on=On.V2_14)


def _depthwise_bias(node: KernelNode, source: Operand, weights: Operand) -> Operand | None:
    if len(node.inputs) == 2:
        if source.type != INT16:
            # The optimised kernels read the bias without asking whether there is one.
            node.crash("bias-missing", "there is no bias: the process dies when the node runs", at=Stage.INVOKE)
        return None
    if not node.needs(2):
        return None
    bias = node.inputs[2]
    if bias is not None and source.type in KINDS:
        check_bias(node, _DEPTHWISE, source, bias, ("INT64",))
    if bias is not None and bias.shape is not None:
        length, channels = bias.dim(0), weights.dim(3)
        if len(bias.shape) != 1:
            message = f"the bias has {len(bias.shape)} dimensions, the kernel takes 1"
            node.refuse(_DEPTHWISE_BIAS_RANK, message, bias)
        elif channels is not None and length != channels:
            node.refuse(_DEPTHWISE.bias_count, f"the bias has {length} values for {channels} output channels", bias)
    return bias


def _depthwise_integer_weights(node: KernelNode, kind: str, weights: Operand) -> None:
    if kind == INT8:
        ignores_weights_zero_point(node, weights)
    elif kind == UINT8 and weights.type == "INT4":
        node.wrong("operator-types", "the weights are INT4, the kernel reads them as UINT8", weights)
    elif kind == INT16:
        ignores_weights_zero_point(node, weights)
        if weights.type != INT8:
            node.wrong("operator-types", f"the weights are {weights.type}, the kernel reads them as INT8", weights)


def _depthwise_hybrid(node: KernelNode, weights: Operand) -> None:
    """Integer weights beside FLOAT32 input need a scale for each index of the dimension that they name."""
    if not weights.is_affine:
        node.refuse(_DEPTHWISE_HYBRID, "the INT8 weights have no scale", weights)
        return
    has_useful_weights_scales(node, weights)
    length, count = weights.dim(weights.axis), len(weights.scales)
    if length is not None and count != length:
        message = f"the weights have {count} scales for the {length} indices of dimension {weights.axis}"
        node.refuse(HYBRID_SCALES, message, weights)
        return
    channels = weights.dim(3)
    if channels is not None and count != channels:
        message = f"the weights have {count} scales and {channels} channels: the kernel reads scales beyond the last"
        node.wrong("scale-count", message, weights)
    else:
        warn_of_axis(node, weights, 3)


def _depthwise_multiplier(node: KernelNode, source: Operand, weights: Operand) -> None:
    """Kernels that take the depth multiplier from the options; others divide the numbers of channels."""
    if source.shape is None or weights.shape is None:
        return
    multiplier = node.option("DepthwiseConv2DOptions", "depth_multiplier")
    if multiplier * source.shape[3] != weights.shape[3]:
        node.wrong(
            "option-value",
            f"depth_multiplier is {multiplier}, with {source.shape[3]} input channels and {weights.shape[3]} output "
            "channels: the kernel reads and writes beside them",
        )
