"""Kernels that turn values around, sort them, or sum them by segment.

Source: LiteRT and tflite-runtime 2.14 kernels/reverse.cc, reverse_sequence.cc, topk_v2.cc, unique.cc, segment_sum.cc,
unsorted_segment.cc, matrix_diag.cc, matrix_set_diag.cc, bucketize.cc.
"""

from __future__ import annotations

from math import prod

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.moving import (
    INDEX_TYPES,
    SAME_TYPE_TURNED,
    agrees,
    axis_of,
    copies,
    has_rank,
    indices,
    is_of,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import MISSING_INPUT, NEGATIVE_SIZE
from tflite_surgeon.knowledge.problems import On, Said, Stage

_REVERSE_AXIS_RANK = Said("tensor-rank", "reverse.cc", "NumDimensions(axis) != ")
_REVERSE_RANK = Said("rank-limit", "reverse.cc", "NumDimensions(input) <= 8 was not true")
_REVERSE_MANY = Said("axis", "reverse.cc", "NumDimensions(input) >= NumElements(axis) was not true")
_REVERSE_TYPE = Said("operator-types", None, "Type {} is not supported by reverse.")
_REVERSE_AXIS_TYPE = Said("operator-types", None, "Axis Type {} is not supported by reverse.")
_REVERSE_AXIS = Said("axis", "reverse.cc", "axes[i] >= 0 && axes[i] < rank was not true")
_REVERSE_AXIS_2_14 = Said("axis", "reverse.cc", "axis >= 0 && axis < rank was not true")
_REVERSE_GAP = Said("axis", None, "Non-contiguous `axes` not supported")
_LENGTHS_RANK = Said("tensor-rank", "reverse_sequence.cc", "NumDimensions(seq_lengths) != ")
_SEQUENCE_TYPE = Said("operator-types", None, "Type {} is not supported by reverse_sequence.")
_LENGTHS_TYPE = Said("operator-types", None, "Seq_lengths type {} is not supported by reverse_sequence.")
_SEQUENCE_AXES = tuple(
    Said("axis", "reverse_sequence.cc", f"{text} was not true")
    for text in (
        "seq_dim >= 0",
        "batch_dim >= 0",
        "seq_dim != batch_dim",
        "seq_dim < NumDimensions(input)",
        "batch_dim < NumDimensions(input)",
    )
)
_LENGTHS_COUNT = Said("dimension-match", "reverse_sequence.cc", "SizeOfDimension(seq_lengths_tensor, 0) != ")
_LENGTHS_HIGH = Said("slice-bounds", "reverse_sequence.cc", "seq_lengths[i] <= SizeOfDimension(input, seq_dim) was not")
_TOP_SAME = Said("same-type", "topk_v2.cc", "input->type != output_values->type")
_TOP_TYPE = Said("operator-types", "topk_v2.cc", "top_k->type == kTfLiteInt32 || top_k->type == kTfLiteInt16 was not")
_TOP_COUNT = Said("dimension-match", "topk_v2.cc", "NumElements(top_k) != ")
_TOP_SCALAR = Said("tensor-rank", "topk_v2.cc", "TopK k input must have 1 or more dimensions.")
_TOP_HIGH = Said("index-bounds", "topk_v2.cc", "TopK k is higher than the internal dimension.")
_TOP_VALUES = Said("operator-types", None, "Type {} is currently not supported by TopK.")
_TOP_INDEX = Said("operator-types", None, "Output index type {} is currently not supported by TopK.")
_UNIQUE_OPTION = Said("option-value", None, "Unique index output array can only be Int32 or ")
_UNIQUE_SAME = (
    Said("same-type", "unique.cc", "output_unique_tensor->type != input->type"),
    Said("same-type", "unique.cc", "output_index_tensor->type != params->index_out_type"),
)
_UNIQUE_RANK = Said("tensor-rank", "unique.cc", "NumDimensions(input) != ")
_UNIQUE_TYPE = Said("operator-types", None, "Currently Unique doesn't support type: ")
_SEGMENT_TYPE = Said("operator-types", "*", "data->type == kTfLiteInt32 || data->type == kTfLiteFloat32 was not true")
_SEGMENT_IDS = Said("operator-types", "*", "segment_ids->type != ")
_SEGMENT_NUMBER = Said("operator-types", "unsorted_segment.cc", "num_segments->type != ")
_SEGMENT_RANK = Said("tensor-rank", "segment_sum.cc", "NumDimensions(&segment_ids) != ")
_SEGMENT_SCALAR = Said("tensor-rank", "segment_sum.cc", "NumDimensions(&data) >= 1 was not true")
_SEGMENT_COUNT = Said("dimension-match", "segment_sum.cc", "segment_id_size != ")
_SEGMENT_FIRST = Said("index-bounds", "segment_sum.cc", "current_segment_id != ")
_SEGMENT_STEP = Said("index-bounds", "segment_sum.cc", "delta == 0 || delta == 1 was not true")
_PREFIX_RANK = Said("tensor-rank", "unsorted_segment.cc", "segment_ids_rank <= data_rank was not true")
_PREFIX = Said("dimension-match", "unsorted_segment.cc", "SizeOfDimension(&segment_ids, i) != ")
_PREFIX_2_14 = Said("dimension-match", "unsorted_segment.cc", "segment_ids->dims->data[i] != ")
_SEGMENTS_SCALAR = Said("tensor-rank", "unsorted_segment.cc", "(num_segments{}dims->size == 1 && ")
_SEGMENTS_HIGH = Said("index-bounds", "unsorted_segment.cc", "max_index < num_segments_ was not true")
_SEGMENTS_NEGATIVE = Said("positive-size", "unsorted_segment.cc", "num_segments_ >= 0 was not true")
_DIAGONAL = (
    Said("tensor-rank", "matrix_diag.cc", "input_dims_size >= 1 was not true"),
    Said("tensor-rank", "matrix_set_diag.cc", "input_dims_size >= 2 was not true"),
)
_BUCKET_ORDER = Said("option-value", None, "Expected sorted boundaries")
_BUCKET_TYPE = Said("operator-types", None, "Type {} is not supported by bucketize.")

_REVERSES_2_14 = ("INT32", "FLOAT32", "UINT8", "INT8", "INT16", "INT64", "BOOL")
_REVERSES = (*_REVERSES_2_14, "FLOAT16", "BFLOAT16")
_SEQUENCES = ("INT32", "FLOAT32", "UINT8", "INT16", "INT64")
_TOPS = ("FLOAT32", "UINT8", "INT8", "INT16", "INT32", "INT64")
_UNIQUES = ("INT8", "INT16", "INT32", "INT64", "FLOAT32", "UINT8")
_BUCKETS = ("INT32", "FLOAT32", "INT64", "FLOAT64")
_MOST_RANK = 8


@kernel("REVERSE_V2")
def _reverse(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, axes, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or axes is None or result is None:
        return
    sound = has_rank(node, _REVERSE_AXIS_RANK, axes, 1)
    rank = source.rank
    if rank is not None and rank > _MOST_RANK:
        message = f"the input has {rank} dimensions, the kernel takes 8 at most"
        node.refuse(_REVERSE_RANK, message, source, on=On.LITERT)
    elif rank is not None and axes.count is not None and axes.count > rank:
        node.refuse(_REVERSE_MANY, f"there are {axes.count} axes for {rank} dimensions", axes)
        sound = False
    if source.type not in _REVERSES_2_14:
        is_of(node, _REVERSE_TYPE, source, _REVERSES_2_14, on=On.V2_14)
        is_of(node, _REVERSE_TYPE, source, _REVERSES, on=On.LITERT)
    sound &= is_of(node, _REVERSE_AXIS_TYPE, axes, ("INT32",))
    agrees(node, SAME_TYPE_TURNED, result, source)
    copies(node, source, result)
    node.same_shape()
    found = indices(axes.values, axes.count) if sound else None
    if found == []:
        node.doubt("axis", "there are no axes, and the kernel reads one", axes, on=On.LITERT, at=Stage.INVOKE)
    if not found or rank is None:
        return
    places = [axis_of(axis, rank) for axis in found]
    at = Stage.INVOKE
    if None in places:
        message = f"the axes {found} are not all among {rank} dimensions"
        node.refuse(_REVERSE_AXIS, message, axes, on=On.LITERT, at=at)
        if places[0] is None:
            node.refuse(_REVERSE_AXIS_2_14, message, axes, on=On.V2_14, at=at)
            return
    ordered = sorted(place for place in places if place is not None)
    if any(place + 1 != behind for place, behind in zip(ordered, ordered[1:])):
        node.refuse(_REVERSE_GAP, f"the axes {found} are not neighbours", axes, on=On.LITERT, at=at)
    if len(found) > 1:
        message = f"of the axes {found} only the first one is reversed"
        node.wrong("axis", message, axes, on=On.V2_14)


@kernel("REVERSE_SEQUENCE")
def _reverse_sequence(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, lengths, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or lengths is None or result is None:
        return
    has_rank(node, _LENGTHS_RANK, lengths, 1)
    is_of(node, _SEQUENCE_TYPE, source, _SEQUENCES)
    is_of(node, _LENGTHS_TYPE, lengths, INDEX_TYPES)
    agrees(node, SAME_TYPE_TURNED, result, source)
    copies(node, source, result)
    node.same_shape()
    if source.shape is None:
        return
    table, at = "ReverseSequenceOptions", Stage.INVOKE
    along, batch, rank = int(node.option(table, "seq_dim")), int(node.option(table, "batch_dim")), len(source.shape)
    for said, holds in zip(_SEQUENCE_AXES, (along >= 0, batch >= 0, along != batch, along < rank, batch < rank)):
        if not holds:
            message = f"seq_dim {along} and batch_dim {batch} do not fit {rank} dimensions"
            node.refuse(said, message, source, at=at)
            return
    if lengths.dim(0) not in (None, source.shape[batch]):
        message = f"there are {lengths.dim(0)} lengths for a batch of {source.shape[batch]}"
        node.refuse(_LENGTHS_COUNT, message, lengths, at=at)
    elif lengths.values and lengths.values[0] > source.shape[along]:
        message = f"a length is {lengths.values[0]}, the dimension {source.shape[along]}"
        node.refuse(_LENGTHS_HIGH, message, lengths, at=at)


@kernel("TOPK_V2")
def _top(node: KernelNode) -> None:
    if not node.has_counts(2, 2) or not node.needs(0, 1):
        return
    source, count = node.inputs
    values, positions = node.outputs
    if source is None or count is None or values is None or positions is None:
        return
    agrees(node, _TOP_SAME, source, values)
    is_of(node, _TOP_TYPE, count, ("INT32", "INT16"))
    at = Stage.INVOKE
    is_of(node, _TOP_INDEX, positions, ("INT32", "INT16"), on=On.LITERT, at=at)
    if positions.type != "INT32":
        message = f"the indices are {positions.type}, and INT32 is written there"
        node.wrong("operator-types", message, positions, on=On.V2_14)
    is_of(node, _TOP_VALUES, values, _TOPS, at=at)
    copies(node, source, values)
    if not count.is_fixed:
        node.resize(0, None)
        node.resize(1, None)
        return
    if count.count not in (None, 1):
        node.refuse(_TOP_COUNT, f"k has {count.count} elements, the kernel takes 1", count)
    if source.shape == []:
        node.refuse(_TOP_SCALAR, "the input is a scalar", source)
        return
    if source.shape is None or not count.values:
        values.shape = positions.shape = None
        return
    k = count.values[0]
    if k > source.shape[-1]:
        node.refuse(_TOP_HIGH, f"k is {k}, the last dimension {source.shape[-1]}", count)
        return
    if k < 0:
        node.refuse(NEGATIVE_SIZE, f"k is {k}", count, on=On.V2_14)
    for position in (1, 0):
        node.resize(position, [*source.shape[:-1], max(0, k)])


@kernel("UNIQUE")
def _unique(node: KernelNode) -> None:
    if not node.has_counts(1, 2) or not node.needs(0):
        return
    source, (values, positions) = node.inputs[0], node.outputs
    if source is None or values is None or positions is None:
        return
    wanted = name_of("TensorType", getattr(node.options("UniqueOptions"), "idx_out_type", None))
    if not wanted:
        message = "there is no option idx_out_type, the kernel makes INT32 or INT64"
        node.refuse(_UNIQUE_OPTION, message, on=On.LITERT)
        node.refuse(_UNIQUE_OPTION, message, on=On.V2_14, at=Stage.INVOKE)
        return
    # The runtimes take any other type for INT32.
    wanted = "INT64" if wanted == "INT64" else "INT32"
    agrees(node, _UNIQUE_SAME[0], source, values, on=On.LITERT)
    if positions.type != wanted:
        message = f"the indices are {positions.type}, the option says {wanted}"
        node.refuse(_UNIQUE_SAME[1], message, positions, on=On.LITERT)
    has_rank(node, _UNIQUE_RANK, source, 1)
    is_of(node, _UNIQUE_TYPE, source, _UNIQUES, at=Stage.INVOKE)
    node.resize(0, None)
    node.same_shape(1)


@kernel("SEGMENT_SUM")
def _segment(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, ids, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or ids is None or result is None:
        return
    is_of(node, _SEGMENT_TYPE, source, ("INT32", "FLOAT32"))
    sound = is_of(node, _SEGMENT_IDS, ids, ("INT32",))
    is_prepared = source.is_fixed and ids.is_fixed
    at = Stage.ALLOCATE if is_prepared else Stage.INVOKE
    if source.rank == 0:
        node.refuse(_SEGMENT_SCALAR, "the values are a scalar", source, on=On.LITERT, at=at)
        node.doubt("tensor-rank", "the values are a scalar, and the kernel reads a dimension", source, on=On.V2_14)
        sound = False
    if ids.shape is not None and len(ids.shape) != 1:
        message = f"the segment ids have {len(ids.shape)} dimensions, the kernel takes 1"
        node.refuse(_SEGMENT_RANK, message, ids, on=On.LITERT, at=at)
        sound = False
    for on, count in ((On.LITERT, ids.count), (On.V2_14, ids.dim(0))):
        if source.shape and count not in (None, source.shape[0]):
            message = f"there are {count} segment ids for {source.shape[0]} rows"
            node.refuse(_SEGMENT_COUNT, message, ids, on=on, at=at)
            sound = False
    found = indices(ids.values, ids.count) if sound else None
    if found and (found[0] != 0 or any(b - a not in (0, 1) for a, b in zip(found, found[1:]))):
        message = f"the segment ids {found[:8]} do not count up from 0"
        node.refuse(_SEGMENT_FIRST if found[0] else _SEGMENT_STEP, message, ids, at=at)
        found = None
    if not is_prepared:
        node.resize(0, None)
    elif source.shape and found:
        node.resize(0, [found[-1] + 1, *source.shape[1:]])
    else:
        result.shape = None


@kernel("UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_MIN", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_SUM")
def _unsorted(node: KernelNode) -> None:
    if not node.has_counts(3) or not node.needs(0, 1, 2):
        return
    source, ids, number = node.inputs
    result = node.outputs[0]
    if source is None or ids is None or number is None or result is None:
        return
    is_of(node, _SEGMENT_TYPE, source, ("INT32", "FLOAT32"))
    sound = is_of(node, _SEGMENT_IDS, ids, ("INT32",)) & is_of(node, _SEGMENT_NUMBER, number, ("INT32",))
    is_prepared = not source.is_dynamic and ids.is_fixed and number.is_fixed
    at = Stage.ALLOCATE if is_prepared else Stage.INVOKE
    sound &= source.shape is not None and ids.shape is not None
    if source.shape is not None and ids.shape is not None:
        message = f"segment ids of shape {ids.shape} do not fit values of {source.shape}"
        if len(ids.shape) > len(source.shape):
            node.refuse(_PREFIX_RANK, message, ids, at=at)
            sound = False
        elif ids.shape != source.shape[: len(ids.shape)]:
            node.refuse(_PREFIX, message, ids, at=at, on=On.LITERT)
            node.refuse(_PREFIX_2_14, message, ids, at=at, on=On.V2_14)
            sound = False
    if number.shape not in (None, [], [1]):
        message = f"the number of segments has the shape {number.shape}, the kernel takes 1"
        node.refuse(_SEGMENTS_SCALAR, message, number, at=at)
        sound = False
    found = indices(ids.values, ids.count)
    if sound and number.values and found is not None:
        if number.values[0] < 0:
            message = f"the number of segments is {number.values[0]}"
            node.refuse(_SEGMENTS_NEGATIVE, message, number, on=On.LITERT, at=at)
            node.refuse(_SEGMENTS_HIGH, message, number, on=On.V2_14, at=at)
            sound = False
        elif max(found, default=-1) >= number.values[0]:
            message = f"segment {max(found)} is not among {number.values[0]}"
            node.refuse(_SEGMENTS_HIGH, message, ids, at=at)
            sound = False
    if not is_prepared:
        node.resize(0, None)
    elif sound and number.values and source.shape is not None and ids.shape is not None:
        node.resize(0, [number.values[0], *source.shape[len(ids.shape) :]])
    else:
        result.shape = None


@kernel("MATRIX_DIAG", "MATRIX_SET_DIAG")
def _diagonal(node: KernelNode) -> None:
    sets = node.name == "MATRIX_SET_DIAG"
    if not node.has_counts(1 + sets) or not node.needs(0):
        return
    source, result = node.inputs[0], node.outputs[0]
    if source is None or result is None:
        return
    if source.rank is not None and source.rank < 1 + sets:
        message = f"the input has {source.rank} dimensions, the kernel takes {1 + sets} at least"
        node.refuse(_DIAGONAL[sets], message, source)
        return
    if sets and node.inputs[1] is None:
        node.refuse(MISSING_INPUT, "input 1 is not given, the kernel needs it", at=Stage.INVOKE)
    result.type = source.type
    copies(node, source, result)
    if source.shape is None:
        node.resize(0, None)
        return
    *batches, rows, columns = (1, *source.shape)
    values = node.input(1)
    if sets and values is not None and values.count is not None and values.count < prod(batches) * min(rows, columns):
        message = f"a diagonal of shape {values.shape} is too short for matrices of {source.shape}"
        if values.count:
            node.wrong("dimension-match", message, values)
        else:
            node.crash("dimension-match", message, values, at=Stage.INVOKE)
    node.resize(0, list(source.shape) if sets else [*source.shape, source.shape[-1]])


@kernel("BUCKETIZE")
def _bucketize(node: KernelNode) -> None:
    if not node.has_counts(1) or not node.needs(0):
        return
    bounds = list(node.option("BucketizeOptions", "boundaries") or ())
    if any(low > high for low, high in zip(bounds, bounds[1:])):
        node.refuse(_BUCKET_ORDER, "the boundaries are not in order")
    source, result = node.inputs[0], node.outputs[0]
    if source is None or result is None:
        return
    is_of(node, _BUCKET_TYPE, source, _BUCKETS)
    result.type = "INT32"
    node.same_shape()
