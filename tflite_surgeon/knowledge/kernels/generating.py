"""Kernels that make values from a shape or a few numbers.

Source: LiteRT and tflite-runtime 2.14 kernels/fill.cc, range.cc, one_hot.cc, random_ops.cc.
"""

from __future__ import annotations

import math
import struct

from tflite_surgeon.knowledge.kernels.moving import (
    EVERY_WIDTH,
    INDEX_TYPES,
    agrees,
    copies,
    has_rank,
    indices,
    is_of,
    keeps_quantization,
    reads,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.problems import On, Said, Stage

_FILL_RANK = Said("tensor-rank", "fill.cc", "NumDimensions(dims) != ")
_FILL_DIMS = Said("operator-types", "fill.cc", "dtype == kTfLiteInt32 || dtype == kTfLiteInt64 was not true")
_FILL_VALUE = Said("tensor-rank", "fill.cc", "NumDimensions(value) != ")
_FILL_SCALE = Said("same-quantization", "fill.cc", "output->params.scale != value->params.scale")
_FILL_POINT = Said("same-quantization", "fill.cc", "output->params.zero_point != value->params.zero_point")
_FILL_INT16 = Said("int16-zero-point", "fill.cc", "value->params.zero_point != 0")
_FILL_NEGATIVE = Said("positive-size", None, "Fill dimensions must be >= 0")
_FILL_TYPE = Said("operator-types", None, "Fill only currently supports int8, int16, int32, int64, float32, ")
_RANGE_RANKS = tuple(
    Said("tensor-rank", "range.cc", f"NumDimensions({name}) != ") for name in ("start", "limit", "delta")
)
_RANGE_TYPE = Said("operator-types", None, "Unknown index output data type: ")
_RANGE_SAME = tuple(Said("same-type", "range.cc", f"{name}->type != dtype") for name in ("limit", "delta"))
_RANGE_ZERO = Said("option-value", "range.cc", "!std::equal_to<T>()(delta, 0) was not true")
_RANGE_WAY = Said("option-value", "range.cc", "(start >= limit && delta < 0) || (start <= limit && delta > 0) was not")
_HOT_TYPE = Said("operator-types", None, "Unknown output data type: ")
_HOT_INDICES = Said("operator-types", "one_hot.cc", "op_context.indices->type == kTfLiteInt32 || ")
_HOT_AXIS = Said("axis", "one_hot.cc", "op_context.axis >= 0 && op_context.axis < op_context.output_dims was not true")
_HOT_COUNTS = tuple(
    Said("dimension-match", "one_hot.cc", f"NumElements(op_context.{name}) != ")
    for name in ("depth", "on_value", "off_value")
)
_HOT_SAME = Said("same-type", "one_hot.cc", "op_context.off_value->type != op_context.dtype")
_HOT_DEPTH = Said("positive-size", "one_hot.cc", "*op_context.depth->data.i32 >= 0 was not true")
_RANDOM_TYPE = Said("operator-types", "random_ops.cc", "shape->type != ")
_RANDOM_RANK = Said("tensor-rank", "random_ops.cc", "NumDimensions(shape) != ")
_RANDOM_OUTPUT = Said("operator-types", None, "Unsupported output datatype for {} op: ")
_SAMPLE_TYPE = Said("operator-types", "random_ops.cc", "logits->type == kTfLiteFloat32 was not true")
_SAMPLE_COUNT = Said("operator-types", "random_ops.cc", "num_samples->type != ")
_SAMPLE_RANKS = (
    Said("tensor-rank", "random_ops.cc", "NumDimensions(logits_tensor) != "),
    Said("tensor-rank", "random_ops.cc", "NumDimensions(num_samples_tensor) != "),
)
_SAMPLE_NEGATIVE = Said("positive-size", "random_ops.cc", "num_samples >= 0 was not true")

_FILLS = EVERY_WIDTH | {"STRING"}
_FILLS_2_14 = ("INT8", "INT16", "INT32", "INT64", "FLOAT16", "FLOAT32", "BOOL", "STRING")
_RANGES = ("FLOAT32", "INT32", "INT64")
_HOTS = ("FLOAT32", "INT16", "INT32", "INT64", "INT8", "UINT8", "BOOL")
_MOST_KNOWN = 4096


@kernel("FILL")
def _fill(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    dims, value, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if dims is None or value is None or result is None:
        return
    sound = has_rank(node, _FILL_RANK, dims, 1) & is_of(node, _FILL_DIMS, dims, INDEX_TYPES)
    has_rank(node, _FILL_VALUE, value, 0)
    result.type = value.type
    keeps_quantization(node, _FILL_SCALE, _FILL_POINT, value, result)
    if value.type == "INT16" and value.zero_point != 0:
        node.refuse(_FILL_INT16, f"the zero point of INT16 is {value.zero_point}, it must be 0", value)
    if value.type not in _FILLS_2_14:
        is_of(node, _FILL_TYPE, value, _FILLS_2_14, on=On.V2_14, at=Stage.INVOKE)
        is_of(node, _FILL_TYPE, value, _FILLS, on=On.LITERT, at=Stage.INVOKE)
    if not dims.is_fixed:
        node.resize(0, None)
        return
    wanted = indices(dims.values, dims.count) if sound else None
    if wanted is None:
        result.shape = None
    elif min(wanted, default=0) < 0:
        node.refuse(_FILL_NEGATIVE, f"the shape {wanted} has a negative dimension", dims)
        result.shape = None
    else:
        node.resize(0, wanted)


@kernel("RANGE")
def _range(node: KernelNode) -> None:
    if not node.has_counts(3) or not node.needs(0, 1, 2):
        return
    start, limit, delta = node.inputs
    result = node.outputs[0]
    if start is None or limit is None or delta is None or result is None:
        return
    for said, operand in zip(_RANGE_RANKS, (start, limit, delta)):
        has_rank(node, said, operand, 0)
    is_of(node, _RANGE_TYPE, start, _RANGES)
    agrees(node, _RANGE_SAME[0], start, limit)
    agrees(node, _RANGE_SAME[1], start, delta)
    result.type = start.type
    if not (start.is_fixed and limit.is_fixed and delta.is_fixed):
        node.resize(0, None)
        return
    known = [_number(operand) for operand in (start, limit, delta)]
    first, last, step = known
    if first is None or last is None or step is None:
        result.shape = None
        result.know(None)
        return
    if step == 0:
        node.refuse(_RANGE_ZERO, "the step is 0", delta)
        return
    if not ((first >= last and step < 0) or (first <= last and step > 0)):
        node.refuse(_RANGE_WAY, f"a step of {step} does not lead from {first} to {last}", delta)
        return
    if start.type == "FLOAT32":
        distance = (last - first) / step
        node.resize(0, [math.ceil(abs(distance))] if math.isfinite(distance) else None)
        result.know(None)
        return
    count = -(-abs(int(last) - int(first)) // abs(int(step)))
    node.resize(0, [count])
    small = count <= _MOST_KNOWN
    result.know([int(first) + int(step) * at for at in range(count)] if small else None)


def _number(operand: Operand) -> float | None:
    if operand.values:
        return operand.values[0]
    data = operand.tensor.data
    if operand.type != "FLOAT32" or data is None or len(data) < 4:
        return None
    return float(struct.unpack_from("<f", data)[0])


@kernel("ONE_HOT")
def _one_hot(node: KernelNode) -> None:
    if not node.has_counts(4) or not reads(node, 0, 2):
        return
    positions, depth, on_value, off_value = node.inputs
    result = node.outputs[0]
    if positions is None or on_value is None or result is None:
        return
    is_of(node, _HOT_TYPE, on_value, _HOTS)
    result.type = on_value.type
    if on_value.type == "INT16":
        node.refuse_silently("operator-types", "there is no kernel for INT16", on_value, at=Stage.INVOKE)
    is_of(node, _HOT_INDICES, positions, INDEX_TYPES)
    axis = int(node.option("OneHotOptions", "axis"))
    at: int | None = None
    if positions.rank is not None:
        at = positions.rank if axis == -1 else axis
        if not 0 <= at <= positions.rank:
            message = f"axis {axis} is outside the {positions.rank + 1} dimensions of the output"
            node.refuse(_HOT_AXIS, message)
            at = None
    if not reads(node, 1, 3) or depth is None or off_value is None:
        return
    for said, operand in zip(_HOT_COUNTS, (depth, on_value, off_value)):
        if operand.count not in (None, 1):
            node.refuse(said, f"a tensor has {operand.count} elements, the kernel takes 1", operand)
    agrees(node, _HOT_SAME, on_value, off_value)
    copies(node, on_value, result)
    if not depth.is_fixed:
        node.resize(0, None)
    elif positions.shape is None or at is None or not depth.values:
        result.shape = None
    elif depth.values[0] < 0:
        node.refuse(_HOT_DEPTH, f"the depth is {depth.values[0]}", depth)
    else:
        node.resize(0, [*positions.shape[:at], depth.values[0], *positions.shape[at:]])


@kernel("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL")
def _random(node: KernelNode) -> None:
    if not node.has_counts(1) or not node.needs(0):
        return
    shape, result = node.inputs[0], node.outputs[0]
    if shape is None or result is None:
        return
    sound = is_of(node, _RANDOM_TYPE, shape, ("INT32",)) & has_rank(node, _RANDOM_RANK, shape, 1)
    is_of(node, _RANDOM_OUTPUT, result, ("FLOAT32",), at=Stage.INVOKE)
    wanted = indices(shape.values, shape.count)
    if not shape.is_fixed:
        node.resize(0, None)
    elif not sound or wanted is None:
        result.shape = None
    else:
        node.resize(0, wanted)


@kernel("MULTINOMIAL")
def _sample(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    odds, count, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if odds is None or count is None or result is None:
        return
    at = Stage.INVOKE
    is_of(node, _SAMPLE_TYPE, odds, ("FLOAT32",))
    is_of(node, _SAMPLE_COUNT, count, ("INT32",))
    for said, operand, rank in zip(_SAMPLE_RANKS, (odds, count), (2, 0)):
        if operand.rank not in (None, rank):
            message = f"a tensor has {operand.rank} dimensions, the kernel takes {rank}"
            node.refuse(said, message, operand, at=at)
    if count.values and count.values[0] < 0:
        node.refuse(_SAMPLE_NEGATIVE, f"the number of samples is {count.values[0]}", count, at=at)
        return
    is_of(node, _RANDOM_OUTPUT, result, INDEX_TYPES, at=at)
    if not odds.is_fixed or not count.is_fixed:
        node.resize(0, None)
    elif not odds.shape or not count.values:
        result.shape = None
    else:
        node.resize(0, [odds.shape[0], count.values[0]])
