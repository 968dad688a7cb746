"""Kernels that move blocks between the image, its depth and the batch.

Source: LiteRT and tflite-runtime 2.14 kernels/depth_to_space.cc, space_to_depth.cc, batch_to_space_nd.cc,
space_to_batch_nd.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.moving import (
    EVERY_WIDTH,
    INDEX_TYPES,
    SAME_TYPE_IN_CONTEXT,
    agrees,
    copies,
    has_rank,
    indices,
    is_of,
    keeps_quantization,
    reads,
    words,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_RANK, SAME_TYPE
from tflite_surgeon.knowledge.problems import On, Said, Stage

_DEPTH_TYPES = tuple(
    Said("operator-types", source, "data_type == kTfLiteFloat32 || data_type == kTfLiteUInt8 || ")
    for source in ("depth_to_space.cc", "space_to_depth.cc")
)
_BLOCK = tuple(
    Said("option-value", source, "block_size > 0 was not true") for source in ("depth_to_space.cc", "space_to_depth.cc")
)
_CHANNELS = Said("block-size", "depth_to_space.cc", "input_channels != output_channels * block_size * block_size")
_HEIGHT = Said("block-size", "space_to_depth.cc", "input_height != output_height * block_size")
_WIDTH = Said("block-size", "space_to_depth.cc", "input_width != output_width * block_size")
_FEW = Said("tensor-rank", "*", "NumDimensions(op_context.input) >= kInputMinDimensionNum was not true")
_MANY = Said("tensor-rank", "*", "NumDimensions(op_context.input) <= kInputMaxDimensionNum was not true")
_SCALE = Said("same-quantization", "*", "op_context.input->params.scale != op_context.output->params.scale")
_POINT = Said("same-quantization", "*", "op_context.input->params.zero_point != op_context.output->params.zero_point")
_INT16 = Said("int16-zero-point", "*", "op_context.input->params.zero_point != 0")
_BLOCK_RANK = Said("tensor-rank", "*", "NumDimensions(op_context->block_shape) != ")
_BLOCK_LENGTH = Said("dimension-match", "*", "op_context->block_shape->dims->data[0] != ")
_CROPS = {
    "BATCH_TO_SPACE_ND": tuple(
        Said("padding-values", "batch_to_space_nd.cc", text)
        for text in (
            "NumDimensions(op_context->crops) != ",
            "op_context->crops->dims->data[0] != ",
            "op_context->crops->dims->data[1] != ",
        )
    ),
    "SPACE_TO_BATCH_ND": tuple(
        Said("padding-values", "space_to_batch_nd.cc", text)
        for text in (
            "NumDimensions(op_context->paddings) != ",
            "op_context->paddings->dims->data[0] != ",
            "op_context->paddings->dims->data[1] != ",
        )
    ),
}
_NEGATIVE_CROP = Said("padding-values", "batch_to_space_nd.cc", "crops[i] >= 0 was not true")
_ZERO_BLOCK = Said("block-size", "*", "block_shape[dim] != 0 was not true")
_BATCHES = Said("block-size", "batch_to_space_nd.cc", "output_batch_size % block_shape[dim] != 0")
_SIZES = Said("block-size", "space_to_batch_nd.cc", "final_dim_size % block_shape[dim] != 0")
_TYPE = {
    "BATCH_TO_SPACE_ND": Said("operator-types", None, "Type {} is currently not supported by BatchToSpace."),
    "SPACE_TO_BATCH_ND": Said("operator-types", None, "Type {} is currently not supported by SpaceToBatch."),
}
_DEPTHS = ("FLOAT32", "UINT8", "INT8", "INT32", "INT64")
_BATCHED_2_14 = (*_DEPTHS, "INT16")
_COMPARED = ("UINT8", "INT8", "INT16")


@kernel("DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def _depth(node: KernelNode) -> None:
    if not node.has_counts(1) or not node.needs(0):
        return
    source, result = node.inputs[0], node.outputs[0]
    if source is None or result is None:
        return
    if not has_rank(node, INPUT_RANK, source, 4):
        return
    to_depth = node.name == "SPACE_TO_DEPTH"
    is_of(node, _DEPTH_TYPES[to_depth], result, _DEPTHS)
    agrees(node, SAME_TYPE, source, result)
    block = int(node.option("SpaceToDepthOptions" if to_depth else "DepthToSpaceOptions", "block_size"))
    if block <= 0:
        node.refuse(_BLOCK[to_depth], f"the block size is {block}, the kernel needs at least 1")
        return
    copies(node, source, result)
    if source.shape is None:
        node.resize(0, None)
        return
    batches, height, wide, depth = source.shape
    if to_depth:
        for said, size, name in ((_HEIGHT, height, "height"), (_WIDTH, wide, "width")):
            if size % block:
                node.refuse(said, f"a {name} of {size} does not divide into blocks of {block}", source)
                result.shape = None
                return
        node.resize(0, [batches, height // block, wide // block, depth * block * block])
        return
    if depth % (block * block):
        node.refuse(_CHANNELS, f"a depth of {depth} does not divide into blocks of {block} x {block}", source)
        result.shape = None
        return
    node.resize(0, [batches, height * block, wide * block, depth // (block * block)])


@kernel("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND")
def _batch(node: KernelNode) -> None:
    if not node.has_counts(3) or not reads(node, 0):
        return
    source, block, borders = node.inputs
    result = node.outputs[0]
    if source is None or result is None:
        return
    if source.rank is not None and not 3 <= source.rank <= 4:
        said = _FEW if source.rank < 3 else _MANY
        node.refuse(said, f"the input has {source.rank} dimensions, the kernel takes 3 or 4", source)
        return
    agrees(node, SAME_TYPE_IN_CONTEXT, source, result)
    if source.type in _COMPARED:
        keeps_quantization(node, _SCALE, _POINT, source, result)
        if source.type == "INT16" and source.zero_point != 0:
            node.refuse(_INT16, f"the zero point of INT16 is {source.zero_point}, it must be 0", source)
    elif source.type not in _BATCHED_2_14:
        is_of(node, _TYPE[node.name], source, _BATCHED_2_14, on=On.V2_14, at=Stage.INVOKE)
        is_of(node, _TYPE[node.name], source, EVERY_WIDTH, on=On.LITERT, at=Stage.INVOKE)
    if not reads(node, 1) or block is None:
        return
    if block.is_fixed and (not reads(node, 2) or borders is None):
        return
    if not block.is_fixed or borders is None or not borders.is_fixed:
        node.resize(0, None)
        return
    if source.rank is None or not _has_matrices(node, source.rank - 2, block, borders) or source.shape is None:
        result.shape = None
        return
    blocks, edges = indices(words(block), source.rank - 2), indices(words(borders), 2 * (source.rank - 2))
    for operand in (block, borders):
        if operand.is_constant and operand.type not in INDEX_TYPES:
            node.doubt("operator-types", f"{operand.type} is read as INT32, beyond its end", operand)
    if blocks is None or edges is None or block.type not in INDEX_TYPES or borders.type not in INDEX_TYPES:
        result.shape = None
        return
    make = _from_batch if node.name == "BATCH_TO_SPACE_ND" else _to_batch
    shape = make(node, source.shape, blocks, edges)
    if shape is None:
        result.shape = None
    else:
        node.resize(0, shape)


def _has_matrices(node: KernelNode, rank: int, block: Operand, borders: Operand) -> bool:
    """Whether there is a block size and a pair of borders for each dimension of the image."""
    if not has_rank(node, _BLOCK_RANK, block, 1):
        return False
    if block.dim(0) not in (None, rank):
        node.refuse(_BLOCK_LENGTH, f"there are {block.dim(0)} block sizes for {rank} dimensions", block)
        return False
    shape = borders.shape
    if shape is None or shape == [rank, 2]:
        return True
    number = 0 if len(shape) != 2 else 1 if shape[0] != rank else 2
    message = f"the borders have the shape {shape}, the kernel takes [{rank}, 2]"
    node.refuse(_CROPS[node.name][number], message, borders)
    return False


def _from_batch(node: KernelNode, shape: list[int], blocks: list[int], crops: list[int]) -> list[int] | None:
    if min(crops, default=0) < 0:
        node.refuse(_NEGATIVE_CROP, f"the crops {crops} are negative", node.inputs[2])
        return None
    batches, made = shape[0], list(shape)
    for at, size in enumerate(blocks):
        if size == 0:
            node.refuse(_ZERO_BLOCK, "a block size is 0", node.inputs[1])
            return None
        if batches % size:
            node.refuse(_BATCHES, f"a batch of {shape[0]} does not divide into blocks of {blocks}", node.inputs[1])
            return None
        batches //= size
        made[at + 1] = shape[at + 1] * size - crops[2 * at] - crops[2 * at + 1]
    made[0] = batches
    return made


def _to_batch(node: KernelNode, shape: list[int], blocks: list[int], paddings: list[int]) -> list[int] | None:
    made = list(shape)
    for at, size in enumerate(blocks):
        padded = shape[at + 1] + paddings[2 * at] + paddings[2 * at + 1]
        if size == 0:
            node.refuse(_ZERO_BLOCK, "a block size is 0", node.inputs[1])
            return None
        if padded % size:
            message = f"a padded dimension of {padded} does not divide into blocks of {size}"
            node.refuse(_SIZES, message, node.inputs[1])
            return None
        made[at + 1] = padded // size
        made[0] *= size
    return made
