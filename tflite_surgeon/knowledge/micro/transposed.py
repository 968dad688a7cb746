"""TFLM's kernel of transposed convolutions. Source: tflite-micro kernels/transpose_conv.cc."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import SAME_TYPE
from tflite_surgeon.knowledge.micro.convolution import are_of_rank, hybrid, scale_count
from tflite_surgeon.knowledge.micro.layers import (
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
)
from tflite_surgeon.knowledge.problems import Said, Stage

_INPUT_COUNT = Said("tensor-count", "transpose_conv.cc", "has_bias {} node->inputs->size == 3 was not true")
_OUTPUT_COUNT = Said("tensor-count", "*", "node->outputs->size != 1")
_NO_KERNEL = Said("operator-types", None, "Type {} not supported.")
_OPTIONS = "TransposeConvOptions"
_KERNELS = ("FLOAT32", "INT8", "INT16")
_BIASES = {"FLOAT32": ("FLOAT32",), "INT8": ("INT32",), "INT16": ("INT16", "INT64")}


@micro_kernel("TRANSPOSE_CONV")
def _transpose_conv(node: KernelNode) -> None:
    found = source_weights_result(node, source=2)
    if found is None:
        return
    source, weights, result = found
    if source.type != weights.type and (source.type, weights.type) != ("INT16", "INT8"):
        hybrid(node, source, weights, "FLOAT32, INT8, INT16 with INT8 weights")
        return
    channels = c_dim(weights, 0)
    quantised = source.type != "FLOAT32"
    if source.type in ("INT8", "INT16"):
        scale_count(node, weights, channels)
    if len(node.inputs) not in (3, 4):
        node.refuse(_INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 3 or 4")
    if len(node.outputs) != 1:
        node.refuse(_OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
    bias = node.input(3)
    if quantised:
        channel_multipliers(node, source, weights, channels)
        if source.type == "UINT8":
            multiplier(node, source, weights, bias, result.scale, result)
        if source.type in ("UINT8", "INT8", "INT16"):
            activation_range(node, _OPTIONS, result)
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result, at=Stage.INVOKE)
    if source.type not in _KERNELS:
        node.refuse(_NO_KERNEL, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
        return
    bias_read_as(node, bias, _BIASES[source.type])
    if quantised:
        integer_numbers(node, source, weights, bias, result, by_channel=True)
        if source.type == "INT16":
            no_int16_zero_points(node, source, result)
    fused_activation(node, _OPTIONS)
    if are_of_rank(node, source, weights, result):
        _shapes(node, weights, source, bias)
        wanted = node.input(0)
        if wanted is not None and wanted.values is not None:
            stored_shape(node, result, wanted.values)


def _shapes(node: KernelNode, weights: Operand, source: Operand, bias: Operand | None) -> None:
    if c_dim(source, 3) != c_dim(weights, 3):
        node.wrong(
            "channels",
            f"the input has {c_dim(source, 3)} channels, the weights {weights.shape} take {c_dim(weights, 3)}, and the "
            "kernel does not look",
            weights,
        )
    bias_length(node, bias, c_dim(weights, 0))
