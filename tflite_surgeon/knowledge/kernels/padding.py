"""Kernels that pad.

Source: LiteRT and tflite-runtime 2.14 kernels/pad.cc, mirror_pad.cc.
"""

from __future__ import annotations

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.moving import (
    INDEX_TYPES,
    SAME_TYPE_IN_CONTEXT,
    agrees,
    copies,
    indices,
    is_of,
    keeps_quantization,
    reads,
    width,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import NEGATIVE_SIZE
from tflite_surgeon.knowledge.problems import On, Said, Stage
from tflite_surgeon.quantization import LIMITS

_INPUTS = Said("tensor-count", "pad.cc", "num_inputs == 2 || num_inputs == 3 was not true")
_OUTPUTS = Said("tensor-count", "pad.cc", "NumOutputs(&node) != ")
_INPUTS_2_14 = Said("tensor-count", "pad.cc", "NumInputs(node) == 2 || NumInputs(node) == 3 was not true")
_MATRIX_RANK = Said("padding-values", "pad.cc", "NumDimensions(&paddings) != ")
_MATRIX_WIDTH = Said("padding-values", "pad.cc", "SizeOfDimension(&paddings, 1) != ")
_MATRIX_LENGTH = Said("padding-values", "pad.cc", "SizeOfDimension(op_context.paddings, 0) != ")
_MATRIX_2_14 = Said("padding-values", "pad.cc", "SizeOfDimension(op_context->paddings, {}) != ")
# Printed by 2.14 before it looks at anything else, which may stop it first.
_PADDING_TYPE = Said(
    "operator-types",
    None,
    "Padding type {} is currently not supported by Pad.",
    r"Padding type \w+ is currently not supported by Pad\.(?!\S*pad\.cc:\d+ op_context\.input->type)",
)
_VALUE_TYPE = Said("same-type", "pad.cc", "op_context.input->type != op_context.constant_values->type")
_VALUE_COUNT = Said("dimension-match", "pad.cc", "constant_values_count != ")
_VALUE_COUNT_2_14 = Said("dimension-match", "pad.cc", "NumElements(op_context.constant_values) != ")
_RANK = Said("rank-limit", "pad.cc", "op_context.dims <= reference_ops::PadKernelMaxDimensionCount() was not true")
_HUGE = Said("padding-values", "pad.cc", "INT64 padding overflow.")
_NEGATIVE = Said("padding-values", "pad.cc", "Pad value has to be greater than equal to 0.")
_TYPE = Said("operator-types", None, "Type {} is currently not supported by Pad.")
_POINT_LOW = Said(
    "zero-point-range", "pad.cc", "op_context.output->params.zero_point >= std::numeric_limits<integer_type>::min()"
)
_POINT_HIGH = Said(
    "zero-point-range", "pad.cc", "op_context.output->params.zero_point <= std::numeric_limits<integer_type>::max()"
)
_VALUE_POINT = Said(
    "same-quantization",
    "pad.cc",
    "op_context.output->params.zero_point != op_context.constant_values->params.zero_point",
)
_VALUE_SCALE = Said(
    "same-quantization", "pad.cc", "op_context.output->params.scale != op_context.constant_values->params.scale"
)
_MIRROR_TYPE = Said("same-type", "mirror_pad.cc", "input_tensor->type != output_tensor->type")
_MIRROR_MODE = Said("option-value", "mirror_pad.cc", "params->mode == TfLiteMirrorPaddingMode::")
_MIRROR_MATRIX_TYPE = Said("operator-types", "mirror_pad.cc", "padding_matrix->type == kTfLiteInt32 || ")
_MIRROR_RANK = Said("padding-values", "mirror_pad.cc", "NumDimensions(padding_matrix) != ")
_MIRROR_LENGTH = Said("padding-values", "mirror_pad.cc", "SizeOfDimension(padding_matrix, 0) != ")
_MIRROR_WIDTH = Said("padding-values", "mirror_pad.cc", "SizeOfDimension(padding_matrix, 1) != ")
_MIRROR_SCALE = Said("same-quantization", "mirror_pad.cc", "input_tensor->params.scale != output_tensor->params.scale")
_MIRROR_POINT = Said(
    "same-quantization", "mirror_pad.cc", "input_tensor->params.zero_point != output_tensor->params.zero_point"
)
_MIRROR_INT16 = Said("int16-zero-point", "mirror_pad.cc", "input_tensor->params.zero_point != 0")
_MIRROR_NEGATIVE = Said("padding-values", "mirror_pad.cc", "MirrorPad paddings must be non-negative.")
_MIRROR_HIGH = Said("padding-values", "mirror_pad.cc", "MirrorPad paddings must be no greater than the input dimension")

_MOST_RANK = 5
_PADDING_TYPES = ("INT64", "INT32", "INT8", "INT16", "BOOL")
_PADS_2_14 = ("FLOAT32", "UINT8", "INT8", "INT16", "INT32", "INT64")
_PADS = (*_PADS_2_14, "FLOAT16", "BFLOAT16", "BOOL")
_PADDED_WITH_ZERO_POINT = {name: LIMITS[name] for name in ("UINT8", "INT8", "INT16")}
_MIRRORED_2_14 = ("FLOAT32", "INT32", "UINT8", "INT8", "INT64", "INT16")


@kernel("PAD", "PADV2")
def _pad(node: KernelNode) -> None:
    if not node.has_counts((2, 3), None, _INPUTS) or not node.has_counts(len(node.inputs)):
        return
    if node.input(0) is None or node.input(1) is None:
        if node.kernels & On.LITERT:
            node.needs(0, 1)
            node.problems[-1].on &= On.LITERT
        reads(node, 0, 1, on=On.V2_14)
        return
    source, paddings, value, result = node.inputs[0], node.inputs[1], node.input(2), node.outputs[0]
    if source is None or paddings is None or result is None:
        return
    if paddings.type not in INDEX_TYPES:
        agrees(node, SAME_TYPE_IN_CONTEXT, source, result, on=On.V2_14)
    if paddings.type not in _PADDING_TYPES:
        node.refuse(_PADDING_TYPE, f"the paddings are {paddings.type}, the kernel takes integers", paddings)
        return
    if paddings.type not in INDEX_TYPES:
        # What follows stops it, be it the types or the values.
        message = f"the paddings are {paddings.type}, the kernel takes INT32 or INT64"
        at = None if paddings.is_fixed else Stage.INVOKE
        node.refuse(_PADDING_TYPE, message, paddings, on=On.V2_14, at=at)
    if not _has_matrix(node, source, paddings):
        result.shape = None
        if source.rank == 0:
            node.resize(0, None)
        return
    agrees(node, SAME_TYPE_IN_CONTEXT, source, result)
    if value is not None:
        agrees(node, _VALUE_TYPE, source, value)
        if value.count not in (None, 1):
            message = f"the padding value has {value.count} elements, the kernel takes 1"
            node.refuse(_VALUE_COUNT, message, value, on=On.LITERT)
            node.refuse(_VALUE_COUNT_2_14, message, value, on=On.V2_14, at=Stage.INVOKE)
    rank = source.rank
    if rank is not None and rank > _MOST_RANK:
        node.refuse(_RANK, f"the input has {rank} dimensions, the kernel takes 5 at most", source)
        return
    copies(node, source, result)
    if rank == 0 or not paddings.is_fixed:
        node.resize(0, None)
    else:
        _pad_shape(node, source, paddings, result)
    _pad_values(node, source, value, result)


def _has_matrix(node: KernelNode, source: Operand, paddings: Operand) -> bool:
    """Whether the paddings are a pair for each dimension."""
    shape, rank = paddings.shape, source.rank
    if shape is None or (len(shape) == 2 and shape[1] == 2 and (rank in (None, shape[0]) or rank > _MOST_RANK)):
        return True
    found = f"the paddings have the shape {shape}, the kernel takes [{'?' if rank is None else rank}, 2]"
    at = Stage.INVOKE if rank == 0 else None
    if len(shape) != 2 or shape[1] != 2:
        node.refuse(_MATRIX_WIDTH if len(shape) == 2 else _MATRIX_RANK, found, paddings, on=On.LITERT)
    else:
        node.refuse(_MATRIX_LENGTH, found, paddings, on=On.LITERT, at=at)
    if shape[:2] != [rank, 2]:
        at = None if rank and paddings.is_fixed else Stage.INVOKE
        node.refuse(_MATRIX_2_14, found, paddings, on=On.V2_14, at=at)
    return False


def _pad_shape(node: KernelNode, source: Operand, paddings: Operand, result: Operand) -> None:
    if source.shape is None or (paddings.values is None and paddings.type in INDEX_TYPES):
        result.shape = None
        return
    found = indices(paddings.values, 2 * len(source.shape)) if paddings.type in INDEX_TYPES else None
    if found is None:
        result.shape = None
        return
    if any(not -(1 << 31) <= size < 1 << 31 for size in found):
        node.refuse(_HUGE, f"the paddings {found} do not fit 32 bits", paddings)
    elif min(found, default=0) < 0:
        node.refuse(_NEGATIVE, f"the paddings {found} are negative", paddings)
    else:
        node.resize(0, [size + found[2 * at] + found[2 * at + 1] for at, size in enumerate(source.shape)])
        return
    result.shape = None


def _pad_values(node: KernelNode, source: Operand, value: Operand | None, result: Operand) -> None:
    at = Stage.INVOKE
    if source.type not in _PADS_2_14:
        is_of(node, _TYPE, source, _PADS_2_14, on=On.V2_14, at=at)
        is_of(node, _TYPE, source, _PADS, on=On.LITERT, at=at)
    limits = _PADDED_WITH_ZERO_POINT.get(source.type)
    if limits is None or (source.type != "UINT8" and source.scheme == "none"):
        return
    if value is None:
        if not limits[0] <= result.zero_point <= limits[1]:
            said = _POINT_LOW if result.zero_point < limits[0] else _POINT_HIGH
            message = f"padding is the zero point {result.zero_point}, which {source.type} does not hold"
            node.refuse(said, message, result, on=On.LITERT, at=at)
            node.wrong("zero-point-range", message, result, on=On.V2_14)
        return
    was = value.scale, value.zero_point
    if was != (result.scale, result.zero_point):
        message = (
            f"the padding value has scale {was[0]:.9g} and zero point {was[1]}, "
            f"the output {result.scale:.9g} and {result.zero_point}"
        )
        said = _VALUE_POINT if was[1] != result.zero_point else _VALUE_SCALE
        node.refuse(said, message, value, on=On.LITERT, at=at)
        node.wrong("same-quantization", message, value, on=On.V2_14)


@kernel("MIRROR_PAD")
def _mirror(node: KernelNode) -> None:
    if not node.needs(0, 1) or not node.outputs:
        return
    source, paddings, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or paddings is None or result is None:
        return
    agrees(node, _MIRROR_TYPE, source, result, on=On.LITERT)
    options = node.options("MirrorPadOptions")
    mode = name_of("MirrorPadMode", getattr(options, "mode", None)) or "none"
    if mode not in ("REFLECT", "SYMMETRIC"):
        node.refuse(_MIRROR_MODE, f"the mode is {mode}, the kernel has REFLECT and SYMMETRIC", on=On.LITERT)
    is_of(node, _MIRROR_MATRIX_TYPE, paddings, INDEX_TYPES, on=On.LITERT)
    if paddings.shape is not None:
        found = f"the paddings have the shape {paddings.shape}, the kernel takes [{source.rank}, 2]"
        if len(paddings.shape) != 2:
            node.refuse(_MIRROR_RANK, found, paddings)
            return
        if source.rank is not None and paddings.shape[0] != source.rank:
            node.refuse(_MIRROR_LENGTH, found, paddings)
            return
        if paddings.shape[1] != 2:
            node.refuse(_MIRROR_WIDTH, found, paddings, on=On.LITERT)
            return
    if source.type in _PADDED_WITH_ZERO_POINT:
        keeps_quantization(node, _MIRROR_SCALE, _MIRROR_POINT, source, result)
        if source.type == "INT16" and source.zero_point != 0:
            node.refuse(_MIRROR_INT16, f"the zero point of INT16 is {source.zero_point}, it must be 0", source)
    if result.type not in _MIRRORED_2_14:
        message = f"there is no kernel for {result.type}"
        node.refuse_silently("operator-types", message, result, on=On.V2_14, at=Stage.INVOKE)
        if width(result.type) is None:
            node.refuse_silently("operator-types", message, result, on=On.LITERT, at=Stage.INVOKE)
    elif source.type != result.type:
        node.wrong("same-type", f"{source.type} is read as {result.type}", result, on=On.V2_14)
    if not paddings.is_fixed:
        node.resize(0, None)
        return
    _mirror_shape(node, source, paddings, result, 1 if mode == "REFLECT" else 0)


def _mirror_shape(node: KernelNode, source: Operand, paddings: Operand, result: Operand, offset: int) -> None:
    found = None if source.shape is None else indices(paddings.values, 2 * len(source.shape))
    if source.shape is None or found is None:
        result.shape = None
        return
    for at, size in enumerate(source.shape):
        pair = found[2 * at : 2 * at + 2]
        if min(pair) < 0:
            message = f"the paddings {pair} of dimension {at} are negative"
            node.refuse(_MIRROR_NEGATIVE, message, paddings, on=On.LITERT)
            if size + sum(pair) < 0:
                node.refuse(NEGATIVE_SIZE, message, paddings, on=On.V2_14)
            else:
                node.wrong("padding-values", message, paddings, on=On.V2_14)
            result.shape = None
            return
        if max(pair) > size - offset:
            message = f"the paddings {pair} of dimension {at} are more than the {size - offset} values to mirror"
            node.refuse(_MIRROR_HIGH, message, paddings, on=On.LITERT)
            node.wrong("padding-values", message, paddings, on=On.V2_14)
            if size == 0:
                node.crash("padding-values", message, paddings, on=On.V2_14, at=Stage.INVOKE)
            result.shape = None
            return
    node.resize(0, [size + found[2 * at] + found[2 * at + 1] for at, size in enumerate(source.shape)])
