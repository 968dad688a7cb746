"""TFLM's kernels that compute with shapes, or fill one.

Source: tflite-micro kernels/shape.cc, fill.cc, broadcast_to.cc, broadcast_args.cc; the Python wheel.
"""

from __future__ import annotations

import struct

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import OUTPUT_COUNT, SAME_TYPE
from tflite_surgeon.knowledge.micro.fetching import (
    checked,
    checked_output,
    copies,
    evaluates,
    has_all,
    needs_constant,
    output,
    stores,
)
from tflite_surgeon.knowledge.problems import Said, Stage

_SHAPE_TYPE = Said("operator-types", None, "Output type {} not supported.")

_NO_DIMS = Said("missing-input", "fill.cc", "dims != nullptr was not true")
_NO_VALUE = Said("missing-input", "fill.cc", "value != nullptr was not true")
_VALUE_RANK = Said("tensor-rank", "fill.cc", "NumDimensions(value) != 0")
_VALUE_TYPE = Said("same-type", "fill.cc", "value->type != output->type")
_DIMS_CONSTANT = Said("constant-needed", "fill.cc", "Non-constant >dims< tensor is not supported")
_DIMS_RANK = Said("tensor-rank", "fill.cc", "NumDimensions(tensor) != 1")
_DIMS_LENGTH = Said("output-shape", "fill.cc", "array->size != tensor_len")
_DIMS_TYPE = Said("operator-types", None, "cannot compare int array to tensor of type ")
_DIMS = Said("output-shape", "fill.cc", "array->data[i] != GetTensorData<T>(tensor)[i]")
_FILLED = Said("operator-types", None, "Fill only currently supports float32 for input 1, got ")
_FILLED_TYPES = ("FLOAT32", "INT32", "INT8")
_FORMATS = {"INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q"}

_TWO_INPUTS = Said("tensor-count", "*", "NumInputs(node) == 2 was not true")
_BROADCAST_RANK = Said("rank-limit", "broadcast_to.cc", "BroadcastTo only supports 1-5D tensor.")
_BROADCAST_SHAPE_TYPE = Said("operator-types", "broadcast_to.cc", "shape->type == kTfLiteInt32 {} was not true")
_BROADCAST_STRING = Said("operator-types", "broadcast_to.cc", "input->type != kTfLiteString was not true")
_BROADCAST_CONSTANT = Said("constant-needed", "broadcast_to.cc", "Non-constant >shape< tensor is not supported")
_BROADCAST_SHAPE_RANK = Said("tensor-rank", "broadcast_to.cc", "NumDimensions(shape) != 1")
_BROADCAST_LENGTH = Said("output-shape", "broadcast_to.cc", "Output must match with the expected shape dimension.")
_BROADCAST = Said("broadcast", "broadcast_to.cc", "Output shape must be broadcastable from input shape.")
_BROADCAST_SHAPE = Said("output-shape", "broadcast_to.cc", "output_shape.Dims(idx) == get_shape_data(idx) was not true")
_MOST_DIMENSIONS = 5

_ARGS_TYPE = Said("operator-types", "broadcast_args.cc", "shape1->type == kTfLiteInt32 {} was not true")
_ARGS_SAME = Said("same-type", "broadcast_args.cc", "shape1->type != shape2->type")
_ARGS_OUTPUT = Said("same-type", "broadcast_args.cc", "shape1->type != output->type")
_ARGS_RANKS = (
    Said("tensor-rank", "broadcast_args.cc", "NumDimensions(shape1) != 1"),
    Said("tensor-rank", "broadcast_args.cc", "NumDimensions(shape2) != 1"),
    Said("tensor-rank", "broadcast_args.cc", "NumDimensions(output) != 1"),
)
_INDICES = ("INT32", "INT64")


@micro_kernel("SHAPE")
def _shape(node: KernelNode) -> None:
    if not node.has_counts(1) or not has_all(node, 0, at=Stage.INVOKE):
        return
    source, result = node.inputs[0], output(node)
    if source is not None and result is not None and evaluates(node, result, ("INT32",), _SHAPE_TYPE):
        stores(node, result, source.rank or 0)


@micro_kernel("FILL")
def _fill(node: KernelNode) -> None:
    dims = checked(node, 0, _NO_DIMS)
    value = checked(node, 1, _NO_VALUE) if dims is not None else None
    result = checked_output(node) if value is not None else None
    if dims is None or value is None or result is None:
        return
    if value.rank != 0:
        node.refuse(_VALUE_RANK, f"the value has {value.rank} dimensions, the kernel takes a scalar", value)
    if value.type != result.type:
        node.refuse(_VALUE_TYPE, f"the value is {value.type} and the output {result.type}", result)
    if needs_constant(node, dims, _DIMS_CONSTANT, "the shape"):
        _check_filled(node, dims, result)
    if evaluates(node, value, _FILLED_TYPES, _FILLED) and value.type == result.type:
        copies(node, value, result)


def _check_filled(node: KernelNode, dims: Operand, result: Operand) -> None:
    stored = result.shape or []
    if dims.rank != 1:
        node.refuse(_DIMS_RANK, f"the shape has {dims.rank} dimensions, the kernel takes 1", dims)
        return
    if dims.dim(0) != len(stored):
        node.refuse(
            _DIMS_LENGTH, f"the output is stored with {len(stored)} dimensions, {dims.dim(0)} are asked for", result
        )
        return
    code = _FORMATS.get(dims.type)
    if code is None:
        node.refuse(_DIMS_TYPE, f"the shape is {dims.type}, the kernel takes {', '.join(_FORMATS)}", dims)
        return
    data = dims.tensor.data or b""
    form = f"<{len(stored)}{code}"
    if len(data) < struct.calcsize(form):
        return
    asked = list(struct.unpack_from(form, data))
    if asked != stored:
        node.refuse(_DIMS, f"the output is stored as {stored}, {asked} is asked for", result)


@micro_kernel("BROADCAST_TO")
def _broadcast_to(node: KernelNode) -> None:
    if not _has_two(node) or not has_all(node, 0, 1):
        return
    source, shape, result = node.inputs[0], node.inputs[1], output(node)
    if source is None or shape is None or result is None:
        return
    lengths = source.shape or []
    if len(lengths) > _MOST_DIMENSIONS:
        node.refuse(_BROADCAST_RANK, f"the input has {len(lengths)} dimensions, the kernel takes up to 5", source)
        return
    if shape.type not in _INDICES:
        node.refuse(_BROADCAST_SHAPE_TYPE, f"the shape is {shape.type}, the kernel takes INT32 or INT64", shape)
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    if source.type == "STRING":
        node.refuse(_BROADCAST_STRING, "there is no kernel for STRING", source)
    if needs_constant(node, shape, _BROADCAST_CONSTANT, "the shape") and shape.type in _INDICES:
        _check_broadcast(node, lengths, shape, result)
    if source.type == result.type:
        copies(node, source, result)


def _check_broadcast(node: KernelNode, lengths: list[int], shape: Operand, result: Operand) -> None:
    stored, asked = result.shape or [], shape.values
    if shape.rank != 1:
        node.refuse(_BROADCAST_SHAPE_RANK, f"the shape has {shape.rank} dimensions, the kernel takes 1", shape)
        return
    if shape.dim(0) != len(stored):
        node.refuse(
            _BROADCAST_LENGTH,
            f"the output is stored with {len(stored)} dimensions, {shape.dim(0)} are asked for",
            result,
        )
        return
    if len(lengths) > len(stored):
        node.refuse(_BROADCAST, f"{lengths} does not broadcast to the {len(stored)} dimensions of the output", shape)
        return
    if len(stored) > _MOST_DIMENSIONS:
        node.refuse(_BROADCAST_RANK, f"the output has {len(stored)} dimensions, the kernel takes up to 5", result)
        return
    if asked is None or len(asked) < len(stored):
        return
    behind = asked[len(stored) - len(lengths) : len(stored)]
    if any(length not in (1, wanted) for length, wanted in zip(lengths, behind)):
        node.refuse(_BROADCAST, f"{lengths} does not broadcast to {asked}", shape)
    elif stored != asked[: len(stored)]:
        node.refuse(_BROADCAST_SHAPE, f"the output is stored as {stored}, {asked} is asked for", result)


@micro_kernel("BROADCAST_ARGS")
def _broadcast_args(node: KernelNode) -> None:
    if not _has_two(node) or not has_all(node, 0, 1):
        return
    first, second, result = node.inputs[0], node.inputs[1], output(node)
    if first is None or second is None or result is None:
        return
    if first.type not in _INDICES:
        node.refuse(_ARGS_TYPE, f"the first shape is {first.type}, the kernel takes INT32 or INT64", first)
    if first.type != second.type:
        node.refuse(_ARGS_SAME, f"the shapes are {first.type} and {second.type}", second)
    if first.type != result.type:
        node.refuse(_ARGS_OUTPUT, f"the shapes are {first.type} and the output {result.type}", result)
    for said, operand in zip(_ARGS_RANKS, (first, second, result)):
        if operand.rank != 1:
            node.refuse(said, f"a shape has {operand.rank} dimensions, the kernel takes 1", operand)
    if first.values is None or second.values is None or result.rank != 1:
        return
    count = result.count or 0
    for one, other in list(zip(first.values[::-1], second.values[::-1]))[: max(count, 0)]:
        if one != other and 1 not in (one, other):
            node.crash(
                "broadcast", f"{first.values} and {second.values} do not broadcast: the kernel aborts", at=Stage.INVOKE
            )
            return
    stores(node, result, max(len(first.values), len(second.values)))


def _has_two(node: KernelNode) -> bool:
    if len(node.inputs) != 2:
        node.refuse(_TWO_INPUTS, f"there are {len(node.inputs)} inputs, the kernel takes 2")
        return False
    if len(node.outputs) != 1:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
        return False
    return True
