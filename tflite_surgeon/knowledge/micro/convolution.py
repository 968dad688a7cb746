"""TFLM's kernels of convolutions.

Source: tflite-micro kernels/conv.cc, conv_common.cc, depthwise_conv.cc, depthwise_conv_common.cc; the loops are those
of kernels/internal/reference/{conv,depthwiseconv_float}.h and integer_ops/{conv,depthwise_conv}.h.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.geometry import SAME, VALID, window_count
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import SAME_TYPE
from tflite_surgeon.knowledge.micro.layers import (
    UNQUANTISED_WEIGHTS,
    activation_range,
    bias_length,
    bias_read_as,
    c_dim,
    channel_multipliers,
    fused_activation,
    integer_numbers,
    multiplier,
    no_int16_zero_points,
    source_weights_result,
    stored_shape,
    unquantised,
)
from tflite_surgeon.knowledge.problems import Said, Stage

_HYBRID = Said("hybrid-model", "*", "Hybrid models are not supported on TFLite Micro.")
_SCALES = Said(
    "scale-count",
    "*",
    "affine_quantization->scale->size == 1 {} affine_quantization->scale->size == filter->dims->data[{}] was not true",
)
_INPUT_COUNT = Said("tensor-count", "*", "has_bias {} node->inputs->size == 2 was not true")
_OUTPUT_COUNT = Said("tensor-count", "*", "node->outputs->size != 1")
_BIAS_TYPE = Said("bias-type", None, "Bias type {} not supported.")
_NO_KERNEL = Said("operator-types", None, "Input type {} not supported.")
_OPTIONS, _DEPTHWISE_OPTIONS = "Conv2DOptions", "DepthwiseConv2DOptions"
_WEIGHTS = {"FLOAT32": ("FLOAT32",), "INT16": ("INT8",), "INT8": ("INT8", "INT4")}
_STEPS = ("stride_h", "stride_w", "dilation_h_factor", "dilation_w_factor")
_RANK = 4
_PADDINGS = {0: SAME, 1: VALID}


@micro_kernel("CONV_2D")
def _conv(node: KernelNode) -> None:
    found = source_weights_result(node)
    if found is None:
        return
    source, weights, result = found
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    if weights.type not in _WEIGHTS.get(source.type, ()):
        hybrid(node, source, weights, "FLOAT32, INT8 with INT8 or INT4 weights, INT16 with INT8 weights")
        return
    bias = node.input(2)
    quantised = source.type != "FLOAT32"
    channels = c_dim(weights, 0)
    if quantised:
        scale_count(node, weights, channels)
    _counts(node)
    if quantised:
        channel_multipliers(node, source, weights, channels)
        activation_range(node, _OPTIONS, result)
    if len(node.inputs) != 3:
        bias = None
    if source.type == "INT16" and bias is not None and bias.type not in ("INT32", "INT64"):
        node.refuse(_BIAS_TYPE, f"the bias is {bias.type}, the kernel reads INT32 or INT64", bias, at=Stage.INVOKE)
    else:
        bias_read_as(node, bias, {"FLOAT32": ("FLOAT32",), "INT8": ("INT32",)}.get(source.type, ("INT32", "INT64")))
    if quantised:
        integer_numbers(node, source, weights, bias, result, by_channel=True)
        if source.type == "INT16":
            no_int16_zero_points(node, source, result)
    fused_activation(node, _OPTIONS)
    if are_of_rank(node, source, weights, result):
        _conv_shapes(node, source, weights, bias, result)


def _conv_shapes(node: KernelNode, source: Operand, weights: Operand, bias: Operand | None, result: Operand) -> None:
    depth, weights_depth = c_dim(source, 3) or 0, c_dim(weights, 3) or 0
    groups = depth // weights_depth if weights_depth else 0
    channels = c_dim(result, 3) or 0
    if groups <= 0 or channels // groups <= 0:
        if result.count:
            node.crash(
                "channels",
                f"the input has {depth} channels, the weights {weights.shape} take {weights_depth}: the kernel divides "
                "by zero",
                weights,
                at=Stage.INVOKE,
            )
        return
    if depth % weights_depth or channels % groups:
        node.wrong(
            "channels",
            f"the input has {depth} channels, the weights {weights.shape} take {weights_depth}, and the kernel does "
            "not look",
            weights,
        )
    bias_length(node, bias, c_dim(weights, 0))
    _windows(node, _OPTIONS, source, weights, result, c_dim(weights, 0))


@micro_kernel("DEPTHWISE_CONV_2D")
def _depthwise(node: KernelNode) -> None:
    found = source_weights_result(node)
    if found is None:
        return
    source, weights, result = found
    channels = c_dim(weights, 3)
    if source.type == "INT8":
        scale_count(node, weights, channels)
    if source.type != weights.type and weights.type not in _WEIGHTS.get(source.type, ()):
        hybrid(node, source, weights, "FLOAT32, INT8 with INT8 or INT4 weights, INT16 with INT8 weights")
        return
    _counts(node)
    bias = node.input(2)
    quantised = source.type != "FLOAT32"
    if quantised:
        channel_multipliers(node, source, weights, channels)
        if source.type == "UINT8":
            multiplier(node, source, weights, bias, result.scale, result)
        if source.type in ("UINT8", "INT8", "INT16"):
            activation_range(node, _DEPTHWISE_OPTIONS, result)
    if len(node.inputs) == 3 and bias is None:
        node.crash("bias-missing", "the bias is listed as -1, and the kernel releases what is not there")
    if weights.type not in _WEIGHTS.get(source.type, ()):
        node.refuse(_NO_KERNEL, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
        return
    if source.type != result.type:
        node.wrong("same-type", f"{source.type} is written into the {result.type} output", result)
    bias_read_as(node, bias, {"FLOAT32": ("FLOAT32",), "INT8": ("INT32",)}.get(source.type, ("INT64",)))
    if quantised:
        integer_numbers(node, source, weights, bias, result, by_channel=True, axis=3)
        if source.type == "INT16":
            no_int16_zero_points(node, source, result)
    fused_activation(node, _DEPTHWISE_OPTIONS)
    if not are_of_rank(node, source, weights, result):
        return
    depth, factor = c_dim(source, 3) or 0, node.option(_DEPTHWISE_OPTIONS, "depth_multiplier")
    if depth * factor != channels:
        node.wrong(
            "channels",
            f"the input has {depth} channels and depth_multiplier is {factor}: that makes {depth * factor} channels, "
            f"the weights have {channels}",
            weights,
        )
    bias_length(node, bias, channels)
    _windows(node, _DEPTHWISE_OPTIONS, source, weights, result, channels)


def hybrid(node: KernelNode, source: Operand, weights: Operand, kernels: str) -> None:
    """Refuse input and weights of types that do not go together."""
    message = f"the input is {source.type} and the weights {weights.type}; there are kernels for {kernels}"
    node.refuse(_HYBRID, message, weights)


def scale_count(node: KernelNode, weights: Operand, channels: int | None) -> None:
    """Weights have one scale, or as many as there are output channels."""
    if not weights.is_affine:
        unquantised(node, UNQUANTISED_WEIGHTS, weights, "weights")
    elif len(weights.scales) not in (1, channels):
        node.refuse(_SCALES, f"the weights have {len(weights.scales)} scales for {channels} output channels", weights)


def _counts(node: KernelNode) -> None:
    if len(node.inputs) not in (2, 3):
        node.refuse(_INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 2 or 3")
    if len(node.outputs) != 1:
        node.refuse(_OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")


def are_of_rank(node: KernelNode, *operands: Operand) -> bool:
    """Whether there are four dimensions; where not, the kernel reads numbers that are none."""
    for operand in operands:
        if operand.rank != _RANK:
            node.doubt(
                "tensor-rank",
                f"a tensor has {operand.rank} dimensions, the kernel reads 4 without looking: what happens depends on "
                "the bytes behind the shape",
                operand,
            )
            return False
    return True


def _windows(
    node: KernelNode, options: str, source: Operand, weights: Operand, result: Operand, channels: int | None
) -> None:
    """Steps and padding, none of which the kernel looks at, and the shape that they make."""
    given = node.options(options)
    if given is None:
        node.wrong("missing-options", f"the node has no {options}: strides, dilations and padding count as 0")
        return
    for name in _STEPS:
        if getattr(given, name) <= 0:
            node.wrong("option-value", f"{name} is {getattr(given, name)}, and the kernel does not look")
            return
    padding = _PADDINGS.get(int(given.padding), "")
    if source.shape is None or weights.shape is None or channels is None:
        return
    counts = [
        window_count(
            source.shape[axis],
            weights.shape[axis],
            stride,
            dilation,
            padding,
        )
        for axis, stride, dilation in (
            (1, given.stride_h, given.dilation_h_factor),
            (2, given.stride_w, given.dilation_w_factor),
        )
    ]
    stored_shape(node, result, [source.shape[0], *counts, channels])
