"""TFLM's kernels of functions of single elements.

Source: tflite-micro kernels/elementwise.cc, exp.cc, neg.cc, ceil.cc, floor.cc, round.cc, zeros_like.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.scales import BYTES
from tflite_surgeon.knowledge.kernels.single import has_same_type
from tflite_surgeon.knowledge.kernels.unary import RSQRT_DOMAIN, computes_elements, has_scales, stays_in_domain
from tflite_surgeon.knowledge.micro.single import evaluated_single, micro_single, writes_input_type
from tflite_surgeon.knowledge.problems import Said, Stage

_TYPES = "operator-types"
_ONE_TYPE = Said(_TYPES, "elementwise.cc", "input->type != expected_type")
_NO_KERNEL = Said(_TYPES, None, "Current data type {} is not supported.")
_BY_NEG = Said(_TYPES, None, "Type {} not supported.")
_BY_FLOOR = Said(_TYPES, "floor.cc", "input->type != kTfLiteFloat32")
_BY_ZEROS = Said(_TYPES, None, "ZerosLike only currently supports int64, int32, and float32, got {}.")
_FLOAT = {
    name: Said(_TYPES, f"{name.lower()}.cc", "input->type != kTfLiteFloat32") for name in ("EXP", "CEIL", "ROUND")
}
_SAME_TYPE = Said("same-type", "*", "output->type != input->type")
_BYTES = Said("output-shape", "*", "output->bytes != input->bytes")
_RANK = Said("output-shape", "*", "output->dims->size != input->dims->size")
_DIMENSION = Said("output-shape", "*", "output->dims->data[i] != input->dims->data[i]")


@micro_kernel("SIN", "COS", "LOG", "SQRT", "SQUARE", "LOGICAL_NOT")
def _element(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    wanted = "BOOL" if node.name == "LOGICAL_NOT" else "FLOAT32"
    if has_same_type(node, source, result) and source.type != wanted:
        message = f"the input is {source.type}, the kernel computes {wanted} only"
        node.refuse(_ONE_TYPE, message, source, at=Stage.INVOKE)


@micro_kernel("ABS", "RSQRT")
def _quantised_element(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if not has_same_type(node, source, result) or source.type == "FLOAT32":
        return
    if source.type == "INT8" or (source.type == "INT16" and source.scheme != "none"):
        if has_scales(node, source, result):
            computes_elements(node, source, result)
            if node.name == "RSQRT":
                stays_in_domain(node, source, RSQRT_DOMAIN)
    elif source.type != "INT16":
        node.refuse(_NO_KERNEL, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)


@micro_kernel("EXP", "CEIL", "ROUND")
def _float(node: KernelNode) -> None:
    found = micro_single(node, takes_first=node.name != "EXP")
    if found is None:
        return
    source, result = found
    if source.type != "FLOAT32":
        node.refuse(_FLOAT[node.name], f"the input is {source.type}, the kernel computes FLOAT32 only", source)
    if source.type != result.type:
        node.refuse(_SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    if source.shape != result.shape:
        _has_same_shape(node, source, result)


def _has_same_shape(node: KernelNode, source: Operand, result: Operand) -> None:
    message = f"the input is of shape {source.shape} and the output of {result.shape}, the kernel needs the same"
    sizes = [(operand.count or 0) * BYTES.get(operand.type, 1) for operand in (source, result)]
    said = _BYTES if sizes[0] != sizes[1] else _RANK if source.rank != result.rank else _DIMENSION
    node.refuse(said, message, result)


@micro_kernel("NEG")
def _neg(node: KernelNode) -> None:
    found = evaluated_single(node)
    if found is None:
        return
    source, result = found
    if source.type != "FLOAT32":
        message = f"the input is {source.type}, the kernel computes FLOAT32 only"
        node.refuse(_BY_NEG, message, source, at=Stage.INVOKE)
    writes_input_type(node, source, result)


@micro_kernel("FLOOR")
def _floor(node: KernelNode) -> None:
    found = evaluated_single(node)
    if found is None:
        return
    source, result = found
    if source.type != "FLOAT32":
        message = f"the input is {source.type}, the kernel computes FLOAT32 only"
        node.refuse(_BY_FLOOR, message, source, at=Stage.INVOKE)
    writes_input_type(node, source, result)


@micro_kernel("ZEROS_LIKE")
def _zeros_like(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    if source.type not in ("FLOAT32", "INT8", "INT32", "INT64"):
        node.refuse(_BY_ZEROS, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
    elif source.type == "INT8" and result.zero_point:
        message = f"the kernel writes 0, which means another value with the zero point {result.zero_point}"
        node.wrong("fixed-output-quantization", message, result)
