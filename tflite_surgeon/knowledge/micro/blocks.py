"""TFLM's kernels that move blocks between dimensions.

Source: tflite-micro kernels/depth_to_space.cc, space_to_depth.cc, batch_to_space_nd.cc, space_to_batch_nd.cc,
kernels/internal/reference/*.h; the Python wheel.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_RANK, NO_INPUT, SAME_TYPE
from tflite_surgeon.knowledge.micro.fetching import (
    checked,
    checked_output,
    copies,
    evaluates,
    has_all,
    output,
    words,
)
from tflite_surgeon.knowledge.problems import Said, Stage

NO_INPUT_OR_OUTPUT = Said("missing-input", "*", "input != nullptr && output != nullptr was not true")
_BLOCK_TYPES = tuple(
    Said("operator-types", f"{name}.cc", "data_type == kTfLiteFloat32 {} was not true")
    for name in ("depth_to_space", "space_to_depth")
)
_BLOCK_SIZE = Said("option-value", "*", "block_size > 0 was not true")
_DEPTH = Said("block-size", "depth_to_space.cc", "input_channels != output_channels * block_size * block_size")
_HEIGHT = Said("block-size", "space_to_depth.cc", "input_height != output_height * block_size")
_WIDTH = Said("block-size", "space_to_depth.cc", "input_width != output_width * block_size")
_TYPES = ("FLOAT32", "INT8")

_RANKS = {
    (role, end): Said("tensor-rank", "*", f"NumDimensions({role}) {end} was not true")
    for role in ("input", "output")
    for end in (">= kInputOutputMinDimensionNum", "<= kInputOutputMaxDimensionNum")
}
_UNSUPPORTED = Said("operator-types", None, "Type {} not supported.")


@micro_kernel("DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def _depth(node: KernelNode) -> None:
    to_space = node.name == "DEPTH_TO_SPACE"
    if not node.has_counts(1):
        return
    source = checked(node, 0, NO_INPUT if to_space else NO_INPUT_OR_OUTPUT)
    result = checked_output(node) if source is not None else None
    if source is None or result is None:
        return
    if source.rank != 4:
        node.refuse(INPUT_RANK, f"the input has {source.rank} dimensions, the kernel takes 4", source)
    if result.type not in _TYPES:
        said = _BLOCK_TYPES[0 if to_space else 1]
        node.refuse(said, f"there is no kernel for {result.type}, only for {', '.join(_TYPES)}", result)
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    size = int(node.option("DepthToSpaceOptions" if to_space else "SpaceToDepthOptions", "block_size"))
    if size <= 0:
        node.refuse(_BLOCK_SIZE, f"block_size is {size}, the kernel needs at least 1")
        return
    if source.shape is None or len(source.shape) != 4:
        return
    batches, height, width, channels = source.shape
    if to_space:
        if channels % (size * size):
            node.refuse(_DEPTH, f"{channels} channels are no multiple of the block's {size} x {size}", source)
            return
        shape = [batches, height * size, width * size, channels // (size * size)]
    else:
        for said, role, length in ((_HEIGHT, "height", height), (_WIDTH, "width", width)):
            if length % size:
                node.refuse(said, f"the {role} {length} is no multiple of the block size {size}", source)
                return
        shape = [batches, height // size, width // size, channels * size * size]
    if source.type == result.type:
        copies(node, source, result)
    _reshaped(node, result, shape)


def _reshaped(node: KernelNode, result: Operand, shape: list[int]) -> None:
    stored = len(result.shape or ())
    if stored < len(shape):
        node.doubt("stored-shape", f"the output is stored with {stored} dimensions, the kernel writes 4", result)
    elif stored > len(shape):
        node.crash(
            "tensor-rank", f"the output is stored with {stored} dimensions, the kernel aborts", result, at=Stage.INVOKE
        )
    else:
        node.resize(0, shape)


@micro_kernel("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND")
def _batch(node: KernelNode) -> None:
    if not node.has_counts(3):
        return
    source, result = node.inputs[0], output(node)
    if source is None or result is None:
        node.refuse(NO_INPUT_OR_OUTPUT, "the input or the output is not given, the kernel needs both")
        return
    for end in (">= kInputOutputMinDimensionNum", "<= kInputOutputMaxDimensionNum"):
        for role, operand in (("input", source), ("output", result)):
            rank = len(operand.shape or ())
            if rank < 3 if end[0] == ">" else rank > 4:
                node.refuse(_RANKS[role, end], f"the {role} has {rank} dimensions, the kernel takes 3 or 4", operand)
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    if not evaluates(node, source, _TYPES, _UNSUPPORTED) or not has_all(node, 1, 2, at=Stage.INVOKE):
        return
    copies(node, source, result)
    block = node.inputs[1]
    if block is None or source.rank != 4:
        return
    found = words(block, 2)
    if found is None:
        message = "the kernel divides by the second number of the block, which is not known"
        node.doubt("block-size", message, block, at=Stage.INVOKE)
    elif found[1] == 0:
        node.crash("block-size", f"the block is {list(found)}: the kernel divides by 0", block, at=Stage.INVOKE)
