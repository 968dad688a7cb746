"""TFLM's kernels that take or write part of a tensor.

Source: tflite-micro kernels/slice.cc, strided_slice_common.cc, strided_slice.cc, dynamic_update_slice.cc; the Python
wheel.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.micro.fetching import (
    MOST_DIMENSIONS,
    checked,
    checked_output,
    copies,
    evaluates,
    has_all,
    needs_constant,
    output,
    stores,
    words,
)
from tflite_surgeon.knowledge.problems import Said, Stage

_BEGIN = Said("operator-types", None, "Begin tensor type {} not supported.")
_SLICED = Said("operator-types", None, "Input tensor type {} not supported.")
_SLICED_TYPES = ("FLOAT32", "INT32", "INT8", "INT16", "BOOL")
_MOST_SLICED = 5

_STRIDED_RANK = Said("rank-limit", "strided_slice_common.cc", "input dim should not exceed 4")
_CONSTANTS = tuple(
    Said("constant-needed", "strided_slice_common.cc", f"Non-constant >{name}< tensor is not supported")
    for name in ("begin", "end", "strides")
)
_STRIDE = Said("slice-bounds", "strided_slice_common.cc", "stride value has to be non-zero")
_STRIDED_LENGTH = Said("output-shape", "strided_slice_common.cc", "output_shape->data[shape_size] != dim_shape")
_STRIDED_SHAPE = Said("output-shape", "strided_slice_common.cc", "output_shape->size != shape_size")
_STRIDED = Said("operator-types", None, "Type {} not supported.")
_STRIDED_TYPES = ("FLOAT32", "INT8", "INT16", "INT32", "BOOL")
_MOST_STRIDED = 4
_OPTIONS = "StridedSliceOptions"

_PARTS = (
    Said("missing-input", "dynamic_update_slice.cc", "operand != nullptr was not true"),
    Said("missing-input", "dynamic_update_slice.cc", "update != nullptr was not true"),
    Said("missing-input", "dynamic_update_slice.cc", "start_indices != nullptr was not true"),
)
_UPDATE_TYPE = Said("same-type", "dynamic_update_slice.cc", "operand->type != update->type")
_INDEX_TYPE = Said("operator-types", "dynamic_update_slice.cc", "start_indices->type == kTfLiteInt32 {} was not true")
_INDEX_RANK = Said("tensor-rank", "dynamic_update_slice.cc", "NumDimensions(start_indices) != 1")
_UPDATED_RANK = Said("rank-limit", "dynamic_update_slice.cc", "NumDimensions(operand) >= 1 {} was not true")
_INDEX_COUNT = Said(
    "dimension-match", "dynamic_update_slice.cc", "SizeOfDimension(start_indices, 0) != NumDimensions(operand)"
)
_UPDATE_RANK = Said("tensor-rank", "dynamic_update_slice.cc", "NumDimensions(update) != NumDimensions(operand)")
_UPDATE_SHAPE = Said(
    "slice-bounds",
    "dynamic_update_slice.cc",
    "SizeOfDimension(update, i) <= SizeOfDimension(operand, i) was not true",
)
_UPDATED = Said("operator-types", None, "DYNAMIC_UPDATE_SLICE: Operand type {} not supported.")
_UPDATED_TYPES = ("FLOAT32", "INT8", "INT16", "INT32")


@micro_kernel("SLICE")
def _slice(node: KernelNode) -> None:
    if not node.has_counts(3) or not has_all(node, 0, 1, 2):
        return
    source, begin, size = node.inputs[0], node.inputs[1], node.inputs[2]
    result = output(node)
    if source is None or begin is None or size is None or result is None:
        return
    if begin.type not in ("INT32", "INT64"):
        node.refuse(_BEGIN, f"begin is {begin.type}, the kernel takes INT32 or INT64", begin, at=Stage.INVOKE)
    if not evaluates(node, source, _SLICED_TYPES, _SLICED):
        return
    shape = source.shape or []
    if len(shape) > _MOST_SLICED:
        node.crash(
            "rank-limit",
            f"the input has {len(shape)} dimensions, the kernel aborts beyond {_MOST_SLICED}",
            source,
            at=Stage.INVOKE,
        )
        return
    copies(node, source, result)
    begins, sizes = begin.values, size.values
    if not begin.is_constant or not size.is_constant:
        return
    if begins is None or sizes is None or begin.type != size.type or min(len(begins), len(sizes)) < len(shape):
        node.doubt(
            "slice-bounds",
            f"begin ({begin.type} {begin.shape}) and size ({size.type} {size.shape}) do not fit the input's "
            f"{len(shape)} dimensions: the kernel reads past them",
            begin,
            at=Stage.INVOKE,
        )
        return
    count = 1
    for length, first, wanted in zip(shape, begins, sizes):
        taken = length - first if wanted == -1 else wanted
        if first < 0 or taken < 0 or first + taken > length:
            message = f"{taken} elements from {first} on are outside a dimension of {length}"
            node.wrong("slice-bounds", message, source)
            if first < 0:
                node.doubt("slice-bounds", f"{message}: the kernel reads before the input", source, at=Stage.INVOKE)
            return
        count *= taken
    stores(node, result, count)


@micro_kernel("STRIDED_SLICE")
def _strided_slice(node: KernelNode) -> None:
    if not node.has_counts(4) or not has_all(node, 0):
        return
    source, result = node.inputs[0], output(node)
    if source is None or result is None:
        return
    shape = source.shape or []
    if len(shape) > _MOST_STRIDED:
        node.refuse(_STRIDED_RANK, f"the input has {len(shape)} dimensions, the kernel takes up to 4", source)
        return
    if not has_all(node, 1, 2, 3):
        return
    ranges = [operand for operand in node.inputs[1:] if operand is not None]
    names = ("begin", "end", "strides")
    constant = [needs_constant(node, *given) for given in zip(ranges, _CONSTANTS, names)]
    # The kernel takes the bytes for INT32 whatever their type, and as many as the input has dimensions.
    found = [words(operand, len(shape)) for operand in ranges]
    if all(constant):
        begin, end, strides = found
        if begin is None or end is None or strides is None:
            node.doubt("slice-bounds", f"there are fewer bounds than the input's {len(shape)} dimensions", ranges[0])
        else:
            _check_strided(node, shape, begin, end, strides, result)
    if result.type not in _STRIDED_TYPES:
        node.refuse(_STRIDED, f"there is no kernel for {result.type}", result, at=Stage.INVOKE)
    else:
        copies(node, source, result)


def _check_strided(
    node: KernelNode,
    shape: list[int],
    begins: Sequence[int],
    ends: Sequence[int],
    strides: Sequence[int],
    result: Operand,
) -> None:
    begin_mask, end_mask = int(node.option(_OPTIONS, "begin_mask")), int(node.option(_OPTIONS, "end_mask"))
    shrink_mask = int(node.option(_OPTIONS, "shrink_axis_mask"))
    stored, kept = result.shape or [], 0
    for axis, (length, begin, end, stride) in enumerate(zip(shape, begins, ends, strides)):
        if stride == 0:
            node.refuse(_STRIDE, f"the stride of dimension {axis} is 0", node.input(3))
            return
        if shrink_mask >> axis & 1:
            continue
        taken = strided_count(
            length, None if begin_mask >> axis & 1 else begin, None if end_mask >> axis & 1 else end, stride
        )
        if kept >= len(stored):
            node.doubt("output-shape", f"the output is stored as {stored}: the kernel reads past it", result)
            return
        if stored[kept] != taken:
            node.refuse(
                _STRIDED_LENGTH,
                f"the output is stored with {stored[kept]} along dimension {kept}, the kernel makes {taken}",
                result,
            )
            return
        kept += 1
    if kept != len(stored):
        node.refuse(
            _STRIDED_SHAPE, f"the output is stored with {len(stored)} dimensions, the kernel makes {kept}", result
        )


def strided_count(length: int, begin: int | None, end: int | None, stride: int) -> int:
    """How many elements a slice takes of a dimension; None stands for a bound left open."""
    if length == 0:
        return 0
    low, high = (0, length) if stride > 0 else (-1, length - 1)
    first, last = (low, high) if stride > 0 else (high, low)
    if begin is not None:
        first = min(max(begin + length if begin < 0 else begin, low), high)
    if end is not None:
        last = min(max(end + length if end < 0 else end, low), high)
    return max(ceil((last - first) / stride), 0)


@micro_kernel("DYNAMIC_UPDATE_SLICE")
def _dynamic_update_slice(node: KernelNode) -> None:
    if not node.has_counts(3):
        return
    for position, said in enumerate(_PARTS):
        if checked(node, position, said) is None:
            return
    target, update, start = node.inputs
    result = checked_output(node)
    if target is None or update is None or start is None or result is None:
        return
    shape, part = target.shape or [], update.shape or []
    if target.type != update.type:
        node.refuse(_UPDATE_TYPE, f"the input is {target.type} and the update {update.type}", update)
    if start.type not in ("INT32", "INT64"):
        node.refuse(_INDEX_TYPE, f"the start is {start.type}, the kernel takes INT32 or INT64", start)
    if start.rank != 1:
        node.refuse(_INDEX_RANK, f"the start has {start.rank} dimensions, the kernel takes 1", start)
    elif start.dim(0) != len(shape):
        node.refuse(_INDEX_COUNT, f"the start has {start.dim(0)} indices for {len(shape)} dimensions", start)
    if len(part) != len(shape):
        node.refuse(_UPDATE_RANK, f"the update has {len(part)} dimensions, the input {len(shape)}", update)
    elif any(small > large for small, large in zip(part, shape)):
        node.refuse(_UPDATE_SHAPE, f"the update {part} is larger than the input {shape}", update)
    if not 1 <= len(shape) <= MOST_DIMENSIONS:
        node.refuse(_UPDATED_RANK, f"the input has {len(shape)} dimensions, the kernel takes 1 to 6", target)
    if evaluates(node, target, _UPDATED_TYPES, _UPDATED):
        copies(node, target, result)
        stores(node, result, target.count or 0)
