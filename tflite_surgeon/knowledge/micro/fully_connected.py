"""TFLM's kernel of fully connected layers.

Source: tflite-micro kernels/fully_connected.cc, fully_connected_common.cc; core/api/flatbuffer_conversions.cc.
"""

from __future__ import annotations

from math import prod

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import SAME_TYPE
from tflite_surgeon.knowledge.micro.layers import (
    activation_range,
    bias_length,
    bias_read_as,
    c_dim,
    fused_activation,
    integer_numbers,
    multiplier,
    source_weights_result,
)
from tflite_surgeon.knowledge.problems import Said, Stage

_HYBRID = Said("hybrid-model", None, "Input type: FLOAT32 with filter type: {} not supported.")
_INT8_WEIGHTS = Said("operator-types", None, "Input type: INT8 with filter type: {} not supported.")
_INT16_WEIGHTS = Said("operator-types", None, "Input type: INT16 with filter type: {} not supported.")
_PER_CHANNEL_TYPES = Said(
    "operator-types",
    "fully_connected_common.cc",
    "(input->type == kTfLiteInt8 && filter->type != kTfLiteInt4) {} "
    "(input->type == kTfLiteInt16 && filter->type != kTfLiteInt4) was not true",
)
_CHANNEL_AXIS = Said(
    "scale-count",
    "fully_connected_common.cc",
    "per_channel_quantization_size != filter->dims->data[affine_quantization->quantized_dimension]",
)
_NO_KERNEL = Said("operator-types", None, "Input type {} not supported.")
_OPTIONS = "FullyConnectedOptions"
_WEIGHTS = {
    "FLOAT32": (_HYBRID, ("FLOAT32",)),
    "INT8": (_INT8_WEIGHTS, ("INT8", "INT4")),
    "INT16": (_INT16_WEIGHTS, ("INT8",)),
}
_BIASES = {"FLOAT32": ("FLOAT32",), "INT8": ("INT32",), "INT16": ("INT32", "INT64")}


@micro_kernel("FULLY_CONNECTED")
def _fully_connected(node: KernelNode) -> None:
    found = source_weights_result(node, output_first=False)
    if found is None:
        return
    source, weights, result = found
    bias = node.input(2)
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    said, allowed = _WEIGHTS.get(source.type, (None, ()))
    if said is not None and weights.type not in allowed:
        node.refuse(
            said,
            f"the input is {source.type} and the weights {weights.type}, the kernel takes {' or '.join(allowed)}",
            weights,
        )
        return
    if source.type != "FLOAT32":
        quantised(node, source, weights, bias, result.scale, result)
        activation_range(node, _OPTIONS, result)
    if said is None:
        node.refuse(_NO_KERNEL, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
        return
    bias_read_as(node, bias, _BIASES[source.type])
    if source.type != "FLOAT32":
        integer_numbers(node, source, weights, bias, result, by_channel=len(weights.scales) > 1)
    fused_activation(node, _OPTIONS)
    if node.option(_OPTIONS, "weights_format"):
        node.wrong("weights-format", "the weights are stored shuffled, the kernel reads them row by row", weights)
    _shapes(node, source, weights, bias, result)


def quantised(
    node: KernelNode, source: Operand, weights: Operand, bias: Operand | None, result_scale: float, result: Operand
) -> None:
    """The checks of the factors that rescale sums, also of the gates of recurrent layers."""
    count = len(weights.scales)
    if count <= 1:
        multiplier(node, source, weights, bias, result_scale, result)
        return
    if source.type not in ("INT8", "INT16") or weights.type == "INT4":
        node.refuse(
            _PER_CHANNEL_TYPES,
            f"the input is {source.type} and the weights {weights.type} with {count} scales: the kernel takes several "
            "scales for INT8 and INT16 inputs, and not for INT4 weights",
            weights,
        )
    along = c_dim(weights, weights.axis)
    if count != along:
        node.refuse(
            _CHANNEL_AXIS,
            f"the weights {weights.shape} have {count} scales along dimension {weights.axis}",
            weights,
        )


def _shapes(node: KernelNode, source: Operand, weights: Operand, bias: Operand | None, result: Operand) -> None:
    """The kernel takes the length of a sum from the weights and all other sizes from the stored output."""
    if not weights.shape or len(weights.shape) < 2 or not result.shape:
        node.doubt(
            "tensor-rank",
            f"the weights have the shape {weights.shape} and the output {result.shape}, the kernel reads 2 dimensions "
            "and 1 without looking",
            weights,
            at=Stage.INVOKE,
        )
        return
    units, depth = weights.shape[-2], weights.shape[-1]
    rows = prod(result.shape[:-1])
    if depth <= 0 or source.count is None:
        return
    if source.count % depth:
        node.wrong(
            "inner-dimension",
            f"the input {source.shape} has {source.count} values, no multiple of the {depth} that the weights "
            f"{weights.shape} take, and the kernel does not look",
            weights,
        )
    elif rows * depth != source.count or result.shape[-1] != units:
        node.wrong(
            "stored-shape",
            f"the output is stored as {result.shape}, its input makes {source.count // depth} rows of {units}: TFLM "
            "computes into the stored shape",
            result,
        )
    bias_length(node, bias, units)
