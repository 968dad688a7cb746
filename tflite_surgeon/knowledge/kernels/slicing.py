"""Kernels that take a part of a tensor, or write into one.

Source: LiteRT and tflite-runtime 2.14 kernels/slice.cc, strided_slice.cc, dynamic_update_slice.cc.
"""

from __future__ import annotations

from typing import NamedTuple

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
from tflite_surgeon.knowledge.kernels.sayings import INPUT_COUNT, NO_SUCH_TENSOR, OUTPUT_COUNT, SAME_TYPE
from tflite_surgeon.knowledge.problems import On, Said, Stage

_BEGIN_TYPE = Said("operator-types", "slice.cc", "begin->type == kTfLiteInt32 || begin->type == kTfLiteInt64 was not")
_SIZE_TYPE = Said("operator-types", "slice.cc", "size->type == kTfLiteInt32 || size->type == kTfLiteInt64 was not")
_BEGIN_RANK = Said("tensor-rank", "slice.cc", "NumDimensions(begin) != ")
_SIZE_RANK = Said("tensor-rank", "slice.cc", "NumDimensions(size) != ")
_LENGTHS = Said("dimension-match", "slice.cc", "NumElements(begin) != NumElements(size)")
_LENGTH = Said("dimension-match", "slice.cc", "NumElements(begin) != input_dims")
_SLICE_RANK = Said("rank-limit", "slice.cc", "Slice op only supports 1D-5D input arrays.")
_BAD_BEGIN = Said("slice-bounds", None, "Invalid begin.")
_BAD_SIZE = Said("slice-bounds", None, "Invalid size.")
_BAD_BOTH = Said("slice-bounds", None, "Invalid begin and size.")
_STORED = Said("output-shape", "slice.cc", "output_shape_vector[idx] != SizeOfDimension(output, idx)")
_STORED_RANK = Said("output-shape", "slice.cc", "static_cast<int>(output_shape_vector.size()) != NumDimensions(output)")
_SLICE_TYPE = Said("operator-types", None, "Type {} is currently not supported by Slice.")
_RANKS = tuple(
    Said("tensor-rank", "strided_slice.cc", f"NumDimensions(op_context.{name}) != ")
    for name in ("begin", "end", "strides")
)
_ENDS = Said("dimension-match", "strided_slice.cc", "NumElements(op_context.begin) != NumElements(op_context.end)")
_TYPES = tuple(
    Said("operator-types", "strided_slice.cc", f"op_context.{name}->type != kTfLiteInt32")
    for name in ("begin", "end", "strides")
)
_STRIDED_RANK = Said("rank-limit", "strided_slice.cc", "StridedSlice op only supports 1D-5D input arrays.")
_STRIDED_ADDED = Said(
    "rank-limit", "strided_slice.cc", "StridedSlice op only supports up to 5D output including added axis."
)
_STRIDED_INDICES = Said("rank-limit", "strided_slice.cc", "StridedSlice op only supports up to 31 indices.")
_STRIDE = Said("slice-bounds", "strided_slice.cc", "stride value has to be non-zero")
_LOWEST_STRIDE = Said("slice-bounds", "strided_slice.cc", "stride value INT32_MIN is not supported")
_STRIDED_TYPE = Said("operator-types", None, "Type {} is currently not supported by StridedSlice.")
_UPDATE_RANKS = (
    Said("tensor-rank", "dynamic_update_slice.cc", "NumDimensions(start_indices) == 1 was not true"),
    Said("tensor-rank", "dynamic_update_slice.cc", "NumDimensions(update) == NumDimensions(operand) was not true"),
)
_UPDATE_STARTS = Said(
    "dimension-match",
    "dynamic_update_slice.cc",
    "SizeOfDimension(start_indices, 0) == NumDimensions(operand) was not true",
)
_UPDATE_SIZE = Said(
    "slice-bounds",
    "dynamic_update_slice.cc",
    "SizeOfDimension(update, i) <= SizeOfDimension(operand, i) was not true",
)
_UPDATE_TYPE = Said("same-type", "dynamic_update_slice.cc", "operand->type != update->type")
_UPDATE_INDEX = Said("operator-types", "dynamic_update_slice.cc", "start_indices->type == kTfLiteInt32 || ")
_UPDATED_TYPE = Said("operator-types", None, "DynamicUpdateSlice only currently supports ")
_UPDATE_INDEX_2_14 = Said("operator-types", "dynamic_update_slice.cc", "start_indices->type != kTfLiteInt32")

_MOST_RANK_2_14 = 5
_INT32_MIN = -(1 << 31)
_SLICED_2_14 = ("FLOAT32", "INT32", "INT64", "INT8", "INT16", "UINT8", "UINT32", "BOOL", "STRING")
_SLICED = EVERY_WIDTH | {"STRING", "INT4"}
_STRIDED_2_14 = ("FLOAT32", "INT32", "INT64", "UINT8", "UINT32", "INT8", "INT16", "BOOL", "STRING")
_STRIDED = EVERY_WIDTH | {"STRING"}
_UPDATED_2_14 = ("FLOAT32", "BOOL", "INT8", "INT32", "INT64")
_STRIDED_OPTIONS = "StridedSliceOptions"


def _has_type(
    node: KernelNode, said: Said, source: Operand, types: frozenset[str], types_2_14: tuple[str, ...]
) -> None:
    """The kernel looks at the type when it runs."""
    if source.type not in types_2_14:
        is_of(node, said, source, types_2_14, on=On.V2_14, at=Stage.INVOKE)
        is_of(node, said, source, types, on=On.LITERT, at=Stage.INVOKE)


_ANY = On.TFLITE | On.DELEGATE


@kernel("SLICE")
def _slice(node: KernelNode) -> None:
    if not node.has_counts(3) or not node.needs(0, 1, 2):
        return
    source, begin, size = node.inputs
    result = node.outputs[0]
    if source is None or begin is None or size is None or result is None:
        return
    agrees(node, SAME_TYPE, source, result)
    has_types = is_of(node, _BEGIN_TYPE, begin, INDEX_TYPES) & is_of(node, _SIZE_TYPE, size, INDEX_TYPES)
    ranked = has_rank(node, _BEGIN_RANK, begin, 1) & has_rank(node, _SIZE_RANK, size, 1)
    if begin.count is not None and size.count is not None and begin.count != size.count:
        node.refuse(_LENGTHS, f"begin has {begin.count} entries and size {size.count}", size)
        ranked = False
    if source.rank is not None and source.rank > _MOST_RANK_2_14:
        node.refuse(
            _SLICE_RANK, f"the input has {source.rank} dimensions, the kernel takes 5 at most", source, on=On.V2_14
        )
    _has_type(node, _SLICE_TYPE, source, _SLICED, _SLICED_2_14)
    copies(node, source, result)
    # An output whose shape the file gives in full keeps it; LiteRT compares, tflite-runtime 2.14 does not.
    stored = None if -1 in (result.tensor.shape_signature or ()) else result.shape or None
    if not begin.is_fixed or not size.is_fixed:
        if stored is None:
            node.resize(0, None)
        return
    shape = _slice_shape(node, source, begin, size) if has_types and ranked else None
    if stored is not None:
        if shape is not None and shape != stored:
            message = f"the output has the shape {stored}, the kernel makes {shape}"
            node.refuse(_STORED if len(shape) == len(stored) else _STORED_RANK, message, result, on=On.LITERT)
            if 0 in stored and 0 not in shape:
                node.crash("output-shape", message, result, on=On.V2_14, at=Stage.INVOKE)
            else:
                node.wrong("output-shape", message, result, on=On.V2_14)
    elif shape is None:
        result.shape = None
    else:
        node.resize(0, shape)


def _slice_shape(node: KernelNode, source: Operand, begin: Operand, size: Operand) -> list[int] | None:
    # The kernel reads both as of the type of begin.
    sizes = words(size) if begin.type == "INT32" else size.values if size.type == "INT64" else None
    if source.shape is None or begin.values is None or sizes is None:
        return None
    rank = len(source.shape)
    if begin.count is not None and begin.count != rank:
        message = f"begin has {begin.count} entries, the input {rank} dimensions"
        node.refuse(_LENGTH, message, begin, on=On.LITERT, at=None if rank else Stage.INVOKE)
        return None
    return _sliced(node, source.shape, begin.values, sizes)


def _sliced(node: KernelNode, shape: list[int], begins: list[int], sizes: list[int]) -> list[int] | None:
    made = []
    for axis, (whole, begin, size) in enumerate(zip(shape, begins, sizes)):
        said = None
        if begin < 0 or begin > whole:
            said = _BAD_BEGIN
        elif size < -1:
            said = _BAD_SIZE
        elif begin + size > whole:
            said = _BAD_BOTH
        if said is not None:
            message = f"from {begin} for {size} is outside dimension {axis}, which has {whole}"
            node.refuse(said, message, node.inputs[0], on=On.LITERT)
            if 0 in shape:
                node.crash("slice-bounds", message, node.inputs[0], on=On.V2_14, at=Stage.INVOKE)
            else:
                node.wrong("slice-bounds", message, node.inputs[0], on=On.V2_14)
            return None
        made.append(whole - begin if size == -1 else size)
    return made


class _Step(NamedTuple):
    """What becomes of one dimension."""

    whole: int
    start: int
    stop: int
    stride: int
    is_shrunk: bool

    def length(self) -> int:
        distance = self.stop - self.start
        if (distance < 0) != (self.stride < 0) or distance == 0:
            return 0
        return (abs(distance) - 1) // abs(self.stride) + 1


@kernel("STRIDED_SLICE")
def _strided(node: KernelNode) -> None:
    if not node.has_counts(4) or not reads(node, 0, 1, 2, 3):
        return
    source, begin, end, strides = node.inputs
    result = node.outputs[0]
    if source is None or begin is None or end is None or strides is None or result is None:
        return
    sound = True
    for said, operand in zip(_RANKS, (begin, end, strides)):
        sound &= has_rank(node, said, operand, 1)
    if begin.count is not None and end.count is not None and begin.count != end.count:
        node.refuse(_ENDS, f"begin has {begin.count} entries and end {end.count}", end)
        sound = False
    agrees(node, SAME_TYPE_IN_CONTEXT, source, result)
    for said, operand in zip(_TYPES, (begin, end, strides)):
        sound &= is_of(node, said, operand, ("INT32",))
    if source.rank is not None and source.rank > _MOST_RANK_2_14:
        message = f"the input has {source.rank} dimensions, the kernel takes 5 at most"
        node.refuse(_STRIDED_RANK, message, source, on=On.V2_14)
    if begin.count is not None and begin.count > 31:
        node.refuse(_STRIDED_INDICES, f"begin has {begin.count} entries, the kernel takes 31 at most", begin)
        return
    _has_type(node, _STRIDED_TYPE, source, _STRIDED, _STRIDED_2_14)
    copies(node, source, result)
    if strides.count is not None and begin.count is not None and strides.count < begin.count:
        message = f"there are {strides.count} strides for {begin.count} dimensions; the kernel reads beyond the end"
        node.doubt("dimension-match", message, strides)
        sound = False
    offset = bool(node.option(_STRIDED_OPTIONS, "offset"))
    if not strides.is_fixed or not (offset or (begin.is_fixed and end.is_fixed)):
        node.resize(0, None)
        return
    if not sound or source.shape is None or offset:
        result.shape = None
        if offset:
            _count_from_begin(node, source, begin, end)
        return
    starts = indices(begin.values, begin.count)
    stops = indices(end.values, begin.count)
    steps = indices(strides.values, begin.count)
    if starts is None or stops is None or steps is None:
        result.shape = None
        return
    parts = _parts(node, source.shape, starts, stops, steps)
    _shape_strided(node, source, strides, result, parts)


def _count_from_begin(node: KernelNode, source: Operand, begin: Operand, end: Operand) -> None:
    """Ends that count from the begin are not cut to the dimension."""
    if not source.shape or not begin.values or not end.values:
        return
    masks = ("ellipsis_mask", "new_axis_mask", "begin_mask", "end_mask")
    moved = any(node.option(_STRIDED_OPTIONS, mask) for mask in masks)
    if moved or any(
        first < 0 or first + count > size for first, count, size in zip(begin.values, end.values, source.shape)
    ):
        message = f"from {begin.values} for {end.values} is outside the shape {source.shape}"
        node.doubt("slice-bounds", f"{message}; the kernel reads beyond it", end, on=_ANY, at=Stage.INVOKE)


def _shape_strided(node: KernelNode, source: Operand, strides: Operand, result: Operand, parts: list[_Step]) -> None:
    if len(parts) > _MOST_RANK_2_14 and (source.rank or 0) <= _MOST_RANK_2_14:
        node.refuse(_STRIDED_ADDED, f"with new axes there are {len(parts)} dimensions", source, on=On.V2_14)
    for part in parts:
        if part.stride == 0:
            node.refuse(_STRIDE, "a stride is 0", strides)
            return
        if part.stride == _INT32_MIN and not part.is_shrunk:
            node.refuse(_LOWEST_STRIDE, f"a stride is {part.stride}", strides, on=On.LITERT)
            result.shape = None
            return
        if part.is_shrunk and part.length() == 0 and part.whole:
            node.wrong("slice-bounds", f"an index is outside a dimension of {part.whole}", node.inputs[1])
    node.resize(0, [part.length() for part in parts if not part.is_shrunk])
    if source.is_fixed:
        known = source.values if len(parts) == 1 and source.values is not None else None
        result.know(None if known is None else known[parts[0].start :: parts[0].stride][: parts[0].length()])


def _parts(node: KernelNode, shape: list[int], starts: list[int], stops: list[int], steps: list[int]) -> list[_Step]:
    """What becomes of each dimension, new ones among them, in order."""
    options = node.options(_STRIDED_OPTIONS)
    begin, end, shrink = (int(getattr(options, name, 0)) for name in ("begin_mask", "end_mask", "shrink_axis_mask"))
    ellipsis, new = int(getattr(options, "ellipsis_mask", 0)), int(getattr(options, "new_axis_mask", 0))
    given = len(starts)
    added = sum(1 for at in range(given) if new >> at & 1 and not ellipsis >> at & 1)
    total = len(shape) + added
    # The ellipsis stands for the dimensions that no entry is given for.
    spanned, is_past = 0, False
    parts: list[_Step] = []
    taken = at = 0
    while at < total:
        if not is_past and at < given and ellipsis >> at & 1:
            is_past = True
            last = max(at + 1, min(at + 1 + added + len(shape) - given, total))
            spanned = last - at - 1
            for _ in range(at, last):
                parts.append(_whole(shape, taken))
                taken += 1
            at = last
            continue
        entry = at - spanned
        at += 1
        if entry < given and new >> entry & 1:
            parts.append(_Step(1, 0, 1, 1, False))
            continue
        if entry >= given:
            parts.append(_whole(shape, taken))
        else:
            size = shape[taken] if taken < len(shape) else 0
            masked = (begin >> entry & 1, end >> entry & 1, shrink >> entry & 1)
            parts.append(_cut(size, starts[entry], stops[entry], steps[entry], masked))
        taken += 1
    return parts


def _whole(shape: list[int], at: int) -> _Step:
    size = shape[at] if at < len(shape) else 0
    return _Step(size, 0, size, 1, False)


def _cut(size: int, start: int, stop: int, stride: int, masked: tuple[int, int, int]) -> _Step:
    low, high = (0, size) if stride > 0 else (-1, size - 1)
    if masked[0]:
        start = 0 if stride > 0 else size - 1
    else:
        start = min(max(start + size if start < 0 else start, low), high)
    if masked[2]:
        return _Step(size, start, start + 1 if start < size else start, 1 if stride else 0, True)
    if masked[1]:
        return _Step(size, start, size if stride > 0 else -1, stride, False)
    return _Step(size, start, min(max(stop + size if stop < 0 else stop, low), high), stride, False)


@kernel("DYNAMIC_UPDATE_SLICE")
def _update(node: KernelNode) -> None:
    for position in range(3):
        if position >= len(node.inputs):
            node.refuse(NO_SUCH_TENSOR, f"there are {len(node.inputs)} inputs, the kernel takes 3")
            return
    if not node.needs(0, 1, 2) or not node.outputs:
        return
    operand, update, starts, *_ = node.inputs
    result = node.outputs[0]
    if operand is None or update is None or starts is None or result is None:
        return
    if starts.rank not in (None, 1):
        node.refuse(_UPDATE_RANKS[0], f"the start indices have {starts.rank} dimensions, the kernel takes 1", starts)
    elif starts.dim(0) is not None and operand.rank is not None and starts.dim(0) != operand.rank:
        node.refuse(_UPDATE_STARTS, f"there are {starts.dim(0)} start indices for {operand.rank} dimensions", starts)
    if operand.shape is not None and update.shape is not None:
        if len(operand.shape) != len(update.shape):
            message = f"the update has {len(update.shape)} dimensions, the operand {len(operand.shape)}"
            node.refuse(_UPDATE_RANKS[1], message, update)
        elif any(part > whole for part, whole in zip(update.shape, operand.shape)):
            message = f"an update of shape {update.shape} does not fit into {operand.shape}"
            node.refuse(_UPDATE_SIZE, message, update)
    if len(node.inputs) != 3:
        node.refuse(INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 3")
    if len(node.outputs) != 1:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
    agrees(node, _UPDATE_TYPE, operand, update)
    is_of(node, _UPDATE_INDEX, starts, INDEX_TYPES)
    if operand.type not in _UPDATED_2_14:
        is_of(node, _UPDATED_TYPE, operand, _UPDATED_2_14, on=On.V2_14, at=Stage.INVOKE)
        is_of(node, _UPDATED_TYPE, operand, EVERY_WIDTH | {"INT4"}, on=On.LITERT, at=Stage.INVOKE)
    result.type = operand.type
    copies(node, operand, result)
    node.same_shape()
