"""Kernels that repeat values, or spread them.

Source: LiteRT and tflite-runtime 2.14 kernels/tile.cc, broadcast_to.cc, broadcast_args.cc, dilate.cc.
"""

from __future__ import annotations

from itertools import zip_longest

from tflite_surgeon.knowledge.kernels.moving import (
    EVERY_WIDTH,
    INDEX_TYPES,
    SAME_TYPE_IN_CONTEXT,
    agrees,
    copies,
    has_rank,
    indices,
    is_of,
    reads,
    words,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import NEGATIVE_SIZE, SAME_TYPE
from tflite_surgeon.knowledge.problems import On, Said, Stage

_TILE_TYPE = Said("operator-types", None, "Type {} is not supported by tile.")
_TILE_COUNTS = Said("operator-types", None, "Multipliers of type {} are not supported by tile.")
_TILE_RANK = Said("dimension-match", "tile.cc", "num_dimensions != num_multipliers")
_TILE_NEGATIVE = Said("positive-size", None, "Multipliers must be non-negative.")
_TILE_HUGE = Said("size-overflow", None, "Cannot multiply {} and {}. Output shape dimensions must be in range")
_TO_INPUTS = Said("tensor-count", "*", "NumInputs(node) == 2 was not true")
_TO_SHAPE_TYPE = Said("operator-types", "broadcast_to.cc", "op_context.shape->type == kTfLiteInt32 || ")
_TO_STRING = Said("operator-types", "broadcast_to.cc", "op_context.input->type != kTfLiteString was not true")
_TO_SHAPE_RANK = Said("tensor-rank", "broadcast_to.cc", "NumDimensions(op_context->shape) != ")
_TO = Said("broadcast", "broadcast_to.cc", "Output shape must be broadcastable from input shape.")
_TO_RANK = Said("rank-limit", "broadcast_to.cc", "BroadcastTo only supports 1-8D tensor.")
_ARGS_TYPE = Said("operator-types", "broadcast_args.cc", "op_context.shape1->type == kTfLiteInt32 || ")
_ARGS_SAME = (
    Said("same-type", "broadcast_args.cc", "op_context.shape1->type != op_context.shape2->type"),
    Said("same-type", "broadcast_args.cc", "op_context.shape1->type != op_context.output->type"),
)
_ARGS_RANKS = tuple(
    Said("tensor-rank", "broadcast_args.cc", f"NumDimensions(op_context.{name}) != ") for name in ("shape1", "shape2")
)
_DILATE_SCALAR = Said("tensor-rank", "dilate.cc", "ctx.input_tensor->dims->size > 0 was not true")
_DILATE_SAME = (
    Said("same-type", "dilate.cc", "ctx.input_tensor->type != ctx.output_tensor->type"),
    Said("same-type", "dilate.cc", "ctx.input_tensor->type != ctx.padding_value_tensor->type"),
)
_DILATE_TYPE = Said("operator-types", "dilate.cc", "ctx.dilations_tensor->type != ")
_DILATE_LENGTH = Said("dimension-match", "dilate.cc", "ctx.dilations_tensor->dims->")
_DILATE_LOW = Said("positive-size", "dilate.cc", "ctx.dilations_tensor->data.i32[i] >= 1 was not true")

_TILES_2_14 = ("INT8", "UINT8", "FLOAT32", "INT32", "INT64", "STRING", "BOOL")
_TILES = EVERY_WIDTH | {"STRING"}
_MOST_RANK_2_14 = 8
_INT32_MAX = (1 << 31) - 1
_MOST_KNOWN = 4096


@kernel("TILE")
def _tile(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, counts, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or counts is None or result is None:
        return
    agrees(node, SAME_TYPE, source, result)
    copies(node, source, result)
    if not is_of(node, _TILE_COUNTS, counts, INDEX_TYPES):
        return
    stage = Stage.ALLOCATE if source.is_fixed and counts.is_fixed else Stage.INVOKE
    # Nothing is copied where there is nothing.
    empty = source.count == 0 or 0 in (counts.values or ())
    if result.type not in _TILES_2_14 and not empty:
        is_of(node, _TILE_TYPE, result, _TILES_2_14, on=On.V2_14, at=stage)
        is_of(node, _TILE_TYPE, result, _TILES, on=On.LITERT, at=stage)
    if not counts.is_fixed:
        node.resize(0, None)
        return
    if source.shape is None or counts.count is None:
        result.shape = None
    elif counts.count != len(source.shape):
        message = f"there are {counts.count} multipliers for {len(source.shape)} dimensions"
        node.refuse(_TILE_RANK, message, counts)
        return
    else:
        _tile_shape(node, source.shape, counts, result)
    if source.is_fixed:
        known = source.values if source.rank == 1 and counts.values else None
        small = known is not None and counts.values is not None and len(known) * counts.values[0] <= _MOST_KNOWN
        result.know(known * counts.values[0] if small and known and counts.values else None)


def _tile_shape(node: KernelNode, shape: list[int], counts: Operand, result: Operand) -> None:
    found = indices(counts.values, len(shape))
    if found is None:
        result.shape = None
    elif min(found, default=0) < 0:
        message = f"the multipliers {found} are negative"
        node.refuse(_TILE_NEGATIVE, message, counts, on=On.LITERT)
        node.refuse(NEGATIVE_SIZE, message, counts, on=On.V2_14)
        result.shape = None
    elif any(size * count > _INT32_MAX for size, count in zip(shape, found)):
        message = f"the shape {shape} times {found} does not fit 32 bits"
        node.refuse(_TILE_HUGE, message, counts, on=On.LITERT)
        result.shape = None
    else:
        node.resize(0, [size * count for size, count in zip(shape, found)])


@kernel("BROADCAST_TO")
def _broadcast_to(node: KernelNode) -> None:
    if not node.has_counts(2, said=_TO_INPUTS) or not reads(node, 0, 1):
        return
    source, shape, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or shape is None or result is None:
        return
    sound = is_of(node, _TO_SHAPE_TYPE, shape, INDEX_TYPES)
    agrees(node, SAME_TYPE_IN_CONTEXT, source, result)
    if source.type == "STRING":
        node.refuse(_TO_STRING, "the input is STRING, the kernel takes values of a fixed size", source)
    if source.rank is not None and source.rank > _MOST_RANK_2_14:
        message = f"the input has {source.rank} dimensions, the kernel takes 8 at most"
        node.refuse(_TO_RANK, message, source, on=On.V2_14)
    copies(node, source, result)
    if not shape.is_fixed:
        node.resize(0, None)
        return
    sound &= has_rank(node, _TO_SHAPE_RANK, shape, 1)
    wanted = indices(shape.values, shape.count) if sound else None
    if wanted is None or source.shape is None:
        result.shape = None
        return
    if len(wanted) > _MOST_RANK_2_14 and len(source.shape) <= _MOST_RANK_2_14:
        message = f"the shape has {len(wanted)} dimensions, the kernel takes 8 at most"
        node.refuse(_TO_RANK, message, shape, on=On.V2_14)
    pairs = zip(reversed(source.shape), reversed(wanted))
    if len(source.shape) > len(wanted) or any(size not in (1, whole) for size, whole in pairs):
        node.refuse(_TO, f"the shape {source.shape} does not broadcast to {wanted}", shape)
        result.shape = None
        return
    node.resize(0, wanted)
    if 0 in wanted and source.count:
        message = f"the shape {wanted} has no elements"
        node.crash("positive-size", message, shape, on=On.V2_14, at=Stage.INVOKE)


@kernel("BROADCAST_ARGS")
def _broadcast_args(node: KernelNode) -> None:
    if not node.has_counts(2, said=_TO_INPUTS) or not reads(node, 0, 1):
        return
    first, second, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if first is None or second is None or result is None:
        return
    is_of(node, _ARGS_TYPE, first, INDEX_TYPES)
    agrees(node, _ARGS_SAME[0], first, second)
    agrees(node, _ARGS_SAME[1], first, result)
    sound = has_rank(node, _ARGS_RANKS[0], first, 1) & has_rank(node, _ARGS_RANKS[1], second, 1)
    if not sound or first.shape is None or second.shape is None:
        result.shape = None
        return
    node.resize(0, [max(first.shape[0], second.shape[0])])
    if not first.is_fixed or not second.is_fixed:
        return
    if first.values is None or second.values is None:
        result.know(None)
        return
    pairs = list(zip_longest(reversed(first.values), reversed(second.values), fillvalue=1))
    if any(one != other and 1 not in (one, other) for one, other in pairs):
        node.crash("broadcast", f"the shapes {first.values} and {second.values} do not broadcast", second)
        return
    result.know([one if other == 1 else other for one, other in reversed(pairs)])


@kernel("DILATE")
def _dilate(node: KernelNode) -> None:
    if not node.has_counts(3) or not reads(node, 0, 1, 2):
        return
    source, steps, value = node.inputs
    result = node.outputs[0]
    if source is None or steps is None or value is None or result is None:
        return
    if source.rank == 0:
        node.refuse(_DILATE_SCALAR, "the input is a scalar", source)
    agrees(node, _DILATE_SAME[0], source, result)
    agrees(node, _DILATE_SAME[1], source, value)
    copies(node, source, result)
    at = Stage.INVOKE
    sound = is_of(node, _DILATE_TYPE, steps, ("INT32",), at=at)
    if steps.shape is not None and source.rank is not None and steps.shape != [source.rank]:
        message = f"the dilations have the shape {steps.shape}, the kernel takes [{source.rank}]"
        node.refuse(_DILATE_LENGTH, message, steps, at=at)
        sound = False
    if not steps.is_constant:
        node.resize(0, None)
        return
    found = indices(words(steps), source.rank)
    if found is None or source.shape is None:
        result.shape = None
        return
    node.resize(0, [(size - 1) * step + 1 for size, step in zip(source.shape, found)])
    if sound and min(found, default=1) < 1:
        node.refuse(_DILATE_LOW, f"the dilations {found} are below 1", steps, at=at)
