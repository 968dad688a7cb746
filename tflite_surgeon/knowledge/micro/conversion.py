"""TFLM's kernels that change types: QUANTIZE, DEQUANTIZE and CAST.

Source: tflite-micro kernels/quantize_common.cc, dequantize_common.cc, cast.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.scales import has_useful_scale
from tflite_surgeon.knowledge.micro.single import NOT_SUPPORTED, micro_single
from tflite_surgeon.knowledge.problems import Said, Stage

_TYPES = "operator-types"
_OUTPUT_SCALE = Said(
    "missing-quantization", "quantize_common.cc", "output->quantization.type != kTfLiteAffineQuantization"
)
_ONE_SCALE = Said("scale-count", "quantize_common.cc", "affine_quantization->scale->size == 1 was not true")
_FROM_TYPE = Said(_TYPES, "quantize_common.cc", "input->type == kTfLiteFloat32 |{} was not true")
_TO_TYPE = Said(_TYPES, "quantize_common.cc", "output->type == kTfLiteInt8 |{} was not true")
_DEQUANTIZED = Said(_TYPES, "dequantize_common.cc", "input->type == kTfLiteInt8 |{} was not true")
_INTO_FLOAT = Said(_TYPES, "dequantize_common.cc", "output->type == kTfLiteFloat32 was not true")
_CAST_FROM = Said(_TYPES, None, "Input type {} ({}) not supported.")
_CAST_TO = Said(_TYPES, None, "Output type {} ({}) not supported.")

_QUANTIZED = {
    "FLOAT32": ("INT8", "INT16"),
    "INT32": ("INT8", "INT16"),
    "INT16": ("INT8", "INT16", "INT32"),
    "INT8": ("INT8", "UINT8", "INT16", "INT32"),
    "UINT8": ("INT8",),
}
_RESULTS = ("INT8", "INT16", "INT32", "UINT8")
# BOOL is made as the INT8 that it is stored as.
_CAST_INPUTS = frozenset({"INT8", "INT16", "INT32", "UINT32", "FLOAT32", "BOOL"})
_CAST_OUTPUTS = frozenset({"INT8", "INT16", "INT32", "UINT32", "FLOAT32", "BOOL"})


@micro_kernel("QUANTIZE")
def _quantize(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if not result.is_affine:
        node.refuse(_OUTPUT_SCALE, "the output has no scale, the kernel needs one", result)
    elif len(result.scales) != 1:
        node.refuse(_ONE_SCALE, f"the output has {len(result.scales)} scales, the kernel takes 1", result)
    if source.type not in _QUANTIZED:
        node.refuse(_FROM_TYPE, f"there is no kernel for {source.type}", source)
    elif result.type not in _RESULTS:
        node.refuse(_TO_TYPE, f"there is no kernel from {source.type} to {result.type}", result)
    elif result.type not in _QUANTIZED[source.type]:
        message = f"there is no kernel from {source.type} to {result.type}"
        node.refuse(NOT_SUPPORTED, message, result, at=Stage.INVOKE)
    if source.type != "FLOAT32" and source.type in _QUANTIZED:
        has_useful_scale(node, source, "input")
    if result.is_affine:
        has_useful_scale(node, result, "output")


@micro_kernel("DEQUANTIZE")
def _dequantize(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if source.type not in ("INT8", "INT16", "UINT8"):
        node.refuse(_DEQUANTIZED, f"there is no kernel for {source.type}", source)
    else:
        has_useful_scale(node, source, "input")
        if len(set(source.scales)) > 1:
            message = f"the input has {len(source.scales)} scales, the kernel uses the first for all"
            node.wrong("quantization-scheme", message, source)
    if result.type != "FLOAT32":
        node.refuse(_INTO_FLOAT, f"the output is {result.type}, the kernel makes FLOAT32 only", result)


@micro_kernel("CAST")
def _cast(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if source.type not in _CAST_INPUTS:
        node.refuse(_CAST_FROM, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
    elif result.type not in _CAST_OUTPUTS:
        message = f"there is no kernel from {source.type} to {result.type}"
        node.refuse(_CAST_TO, message, result, at=Stage.INVOKE)
