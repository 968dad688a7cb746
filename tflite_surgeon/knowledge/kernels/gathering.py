"""Kernels that pick values by index, and put them there.

Source: LiteRT and tflite-runtime 2.14 kernels/gather.cc, gather_nd.cc, scatter_nd.cc, sparse_to_dense.cc.
"""

from __future__ import annotations

from math import prod

from tflite_surgeon.knowledge.kernels.moving import INDEX_TYPES, axis_of, copies, has_rank, indices, is_of
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.problems import On, Said, Stage

_POSITION_TYPE = Said("operator-types", None, "Positions of type {} are not supported by gather.")
_GATHER_TYPE = Said("operator-types", None, "Type {} is not supported by gather.")
_STRINGS = Said("tensor-rank", "gather.cc", "NumDimensions(input) != ")
_AXIS = Said("axis", "*", "0 <= axis && axis < NumDimensions(input) was not true")
_BATCH = tuple(
    Said("axis", "gather.cc", text)
    for text in (
        "batch_dims <= axis was not true",
        "0 <= batch_dims && batch_dims < NumDimensions(input) was not true",
        "batch_dims <= NumDimensions(positions) was not true",
    )
)
_BATCH_SIZE = Said("dimension-match", "gather.cc", "input->dims->data[i] != positions->dims->data[i]")
_BOUNDS = Said("index-bounds", None, "gather index out of bounds")
_NEGATIVE = Said("index-bounds", "*", "indices_has_only_positive_elements was not true")
_ND_PARAMS = Said("operator-types", None, "Params of type {} are not supported by gather_nd.")
_ND_INDICES = Said("operator-types", None, "Indices of type {} are not supported by gather_nd.")
_ND_SCALAR = Said("tensor-rank", None, "Params must be at least a vector.")
_ND_NO_INDEX = Said("tensor-rank", None, "Indices must be at least a vector.")
_ND_DEPTH = Said("dimension-match", None, "Index innermost dimension length must be ")
_ND_BOUNDS = Said("index-bounds", None, "gather_nd index out of bounds")
_SCATTER_TYPE = Said("operator-types", None, "Updates of type {} are not supported by scatter_nd.")
_SCATTER_SAME = Said("same-type", None, "Indices and shape must have the same type.")
_SCATTER_INDEX = Said("operator-types", None, "Indices of type {} are not supported by scatter_nd.")
_SCATTER_RANKS = Said("tensor-rank", "scatter_nd.cc", "(indices.DimensionsCount() >= 1) && ")
_SCATTER_OUTER = Said("dimension-match", "scatter_nd.cc", "indices.Dims(i) != updates.Dims(i)")
_SCATTER_DEPTH = Said("dimension-match", "scatter_nd.cc", "updates.DimensionsCount() - outer_dims != ")
_SCATTER_INNER = Said("dimension-match", "scatter_nd.cc", "updates.Dims(i + outer_dims) != ")
_SCATTER_BOUNDS = Said("index-bounds", None, "scatter_nd index out of bounds")
_DENSE_RANKS = (
    Said("tensor-rank", "sparse_to_dense.cc", "NumDimensions(indices) < 3 was not true"),
    Said("tensor-rank", "sparse_to_dense.cc", "NumDimensions(output_shape) != "),
    Said("tensor-rank", "sparse_to_dense.cc", "NumDimensions(values) < 2 was not true"),
)
_DENSE_DEFAULT = Said("dimension-match", "sparse_to_dense.cc", "NumElements(default_value) != ")
_DENSE_TYPES = (
    Said("operator-types", "sparse_to_dense.cc", "indices->type == kTfLiteInt32 || "),
    Said("operator-types", "sparse_to_dense.cc", "output_shape->type == kTfLiteInt32 || "),
    Said("operator-types", "sparse_to_dense.cc", "values->type == kTfLiteInt32 || "),
)
_DENSE_SAME = Said("same-type", "sparse_to_dense.cc", "values->type != default_value->type")
_DENSE_COUNTS = (
    Said("dimension-match", "sparse_to_dense.cc", "NumElements(indices) != NumElements(values)"),
    Said("dimension-match", "sparse_to_dense.cc", "NumElements(output_shape) != "),
    Said("dimension-match", "sparse_to_dense.cc", "SizeOfDimension(indices, 1) != "),
    Said("dimension-match", "sparse_to_dense.cc", "SizeOfDimension(indices, 0) != "),
)

_POSITIONS = ("INT64", "INT32", "INT16")
_GATHERS_2_14 = ("FLOAT32", "UINT8", "INT8", "INT16", "INT64", "INT32", "BOOL", "STRING")
_GATHERS = (*_GATHERS_2_14, "INT4", "FLOAT16", "BFLOAT16")
_ND_2_14 = ("FLOAT32", "UINT8", "INT8", "INT16", "INT64", "INT32", "STRING")
_ND = (*_ND_2_14, "BOOL", "FLOAT16", "BFLOAT16")
_SCATTERS = ("FLOAT32", "UINT8", "BOOL", "INT8", "INT64", "INT32")
_DENSE_VALUES = ("INT32", "INT64", "INT8", "UINT8", "FLOAT32")


@kernel("GATHER")
def _gather(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, positions, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or positions is None or result is None:
        return
    is_of(node, _POSITION_TYPE, positions, _POSITIONS)
    result.type = source.type
    if source.type not in _GATHERS_2_14:
        is_of(node, _GATHER_TYPE, source, _GATHERS_2_14, on=On.V2_14)
        is_of(node, _GATHER_TYPE, source, _GATHERS, on=On.LITERT)
    if source.type == "STRING":
        has_rank(node, _STRINGS, source, 1)
    copies(node, source, result)
    at = _gather_axis(node, source, positions)
    is_prepared = source.is_fixed and positions.is_fixed
    if at is None or source.shape is None or positions.shape is None:
        result.shape = None
    else:
        axis, batch = at
        node.resize(0, [*source.shape[:axis], *positions.shape[batch:], *source.shape[axis + 1 :]])
        found = indices(positions.values, positions.count)
        if found is not None:
            whole = source.shape[axis]
            if any(not 0 <= index < whole for index in found):
                wrong = next(index for index in found if not 0 <= index < whole)
                stage = Stage.ALLOCATE if is_prepared else Stage.INVOKE
                message = f"index {wrong} is outside dimension {axis}, which has {whole}"
                node.refuse(_NEGATIVE if wrong < 0 else _BOUNDS, message, positions, at=stage)
                return
            if is_prepared and source.values is not None and len(source.shape) == 1:
                result.know([source.values[index] for index in found])
                return
    if is_prepared:
        result.know(None)


def _gather_axis(node: KernelNode, source: Operand, positions: Operand) -> tuple[int, int] | None:
    """The axis and the number of batch dimensions; None where they are not known, or there are no such."""
    if source.shape is None or positions.shape is None:
        return None
    axis, batch = int(node.option("GatherOptions", "axis")), int(node.option("GatherOptions", "batch_dims"))
    rank, depth = len(source.shape), len(positions.shape)
    at = axis_of(axis, rank)
    if at is None:
        node.refuse(_AXIS, f"axis {axis} is outside the {rank} dimensions of the input", source)
        return None
    batch = batch + depth if batch < 0 else batch
    if batch == 0:
        return at, 0
    for said, holds in zip(_BATCH, (batch <= at, 0 <= batch < rank, batch <= depth)):
        if not holds:
            message = f"there are {batch} batch dimensions for axis {at}, an input of {rank} dimensions and {depth} of "
            node.refuse(said, f"{message}positions", source)
            return None
    if source.shape[:batch] != positions.shape[:batch]:
        message = f"the batches of the shapes {source.shape} and {positions.shape} differ"
        node.refuse(_BATCH_SIZE, message, positions)
        return None
    return at, batch


@kernel("GATHER_ND")
def _gather_nd(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, positions, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or positions is None or result is None:
        return
    if source.type not in _ND_2_14:
        is_of(node, _ND_PARAMS, source, _ND_2_14, on=On.V2_14)
        is_of(node, _ND_PARAMS, source, _ND, on=On.LITERT)
    is_of(node, _ND_INDICES, positions, _POSITIONS)
    result.type = source.type
    copies(node, source, result)
    if source.shape == []:
        node.refuse(_ND_SCALAR, "the values are a scalar, the kernel picks from dimensions", source)
        return
    if positions.shape == []:
        node.refuse(_ND_NO_INDEX, "the indices are a scalar, the kernel takes vectors", positions)
        return
    if source.shape is None or positions.shape is None:
        result.shape = None
        return
    depth = positions.shape[-1]
    if depth > len(source.shape):
        message = f"an index has {depth} entries, the values {len(source.shape)} dimensions"
        node.refuse(_ND_DEPTH, message, positions)
        return
    node.resize(0, [*positions.shape[:-1], *source.shape[depth:]])
    wrong = _outside(positions, source.shape)
    if wrong is not None:
        message = f"the index {wrong} is outside the shape {source.shape}"
        said = _NEGATIVE if min(wrong) < 0 else _ND_BOUNDS
        node.refuse(said, message, positions, at=Stage.INVOKE)


def _outside(positions: Operand, shape: list[int]) -> list[int] | None:
    """A constant index that lies outside a shape."""
    found = indices(positions.values, positions.count)
    depth = (positions.shape or [0])[-1]
    if not found or not depth:
        return None
    rows = (found[at : at + depth] for at in range(0, len(found), depth))
    return next((row for row in rows if any(not 0 <= i < size for i, size in zip(row, shape))), None)


@kernel("SCATTER_ND")
def _scatter_nd(node: KernelNode) -> None:
    if not node.has_counts(3) or not node.needs(0, 1, 2):
        return
    positions, updates, shape = node.inputs
    result = node.outputs[0]
    if positions is None or updates is None or shape is None or result is None:
        return
    is_of(node, _SCATTER_TYPE, updates, _SCATTERS)
    if positions.type != shape.type:
        message = f"the indices are {positions.type} and the shape {shape.type}"
        node.refuse(_SCATTER_SAME, message, shape)
    result.type = updates.type
    copies(node, updates, result)
    if not is_of(node, _SCATTER_INDEX, positions, ("INT32",), at=None if shape.is_fixed else Stage.INVOKE):
        result.shape = None
        return
    if not shape.is_fixed:
        node.resize(0, None)
        return
    wanted = indices(shape.values, shape.count)
    if wanted is None or not _scatters(node, positions, updates, shape, wanted):
        result.shape = None
        return
    node.resize(0, wanted)
    wrong = _outside(positions, wanted)
    if wrong is not None:
        message = f"the index {wrong} is outside the shape {wanted}"
        node.refuse(_SCATTER_BOUNDS, message, positions, at=Stage.INVOKE)


def _scatters(node: KernelNode, positions: Operand, updates: Operand, shape: Operand, wanted: list[int]) -> bool:
    if positions.shape is None or updates.shape is None or shape.shape is None:
        return False
    if not positions.shape or not updates.shape or len(shape.shape) != 1:
        message = f"indices of shape {positions.shape}, updates of {updates.shape} and a shape of {shape.shape}"
        node.refuse(_SCATTER_RANKS, f"{message} do not fit", updates)
        return False
    *outer, depth = positions.shape
    message = f"updates of shape {updates.shape} do not fit indices of {positions.shape} and the shape {wanted}"
    if any(one != other for one, other in zip(outer, [*updates.shape, *outer])):
        node.refuse(_SCATTER_OUTER, message, updates)
    elif len(updates.shape) - len(outer) != len(wanted) - depth:
        node.refuse(_SCATTER_DEPTH, message, updates)
    elif updates.shape[len(outer) :] != wanted[depth:]:
        node.refuse(_SCATTER_INNER, message, updates)
    else:
        return True
    return False


@kernel("SPARSE_TO_DENSE")
def _dense(node: KernelNode) -> None:
    if not node.has_counts(4) or not node.needs(0, 1, 2, 3):
        return
    positions, shape, values, default = node.inputs
    result = node.outputs[0]
    if positions is None or shape is None or values is None or default is None or result is None:
        return
    sound = True
    if positions.rank is not None and positions.rank > 2:
        node.refuse(_DENSE_RANKS[0], f"the indices have {positions.rank} dimensions, the kernel takes 2", positions)
        sound = False
    sound &= has_rank(node, _DENSE_RANKS[1], shape, 1)
    if values.rank is not None and values.rank > 1:
        node.refuse(_DENSE_RANKS[2], f"the values have {values.rank} dimensions, the kernel takes 1", values)
        sound = False
    if default.count not in (None, 1):
        node.refuse(_DENSE_DEFAULT, f"the default value has {default.count} elements, the kernel takes 1", default)
    is_of(node, _DENSE_TYPES[0], positions, INDEX_TYPES)
    sound &= is_of(node, _DENSE_TYPES[1], shape, INDEX_TYPES)
    is_of(node, _DENSE_TYPES[2], values, _DENSE_VALUES)
    if values.type != default.type:
        node.refuse(_DENSE_SAME, f"the values are {values.type}, the default value is {default.type}", default)
    if sound:
        _dense_counts(node, positions, shape, values)
    result.type = values.type
    copies(node, values, result)
    wanted = indices(shape.values, shape.count)
    if not shape.is_fixed:
        node.resize(0, None)
    elif wanted is None:
        result.shape = None
    else:
        node.resize(0, wanted)
        _dense_bounds(node, positions, wanted)


def _dense_bounds(node: KernelNode, positions: Operand, wanted: list[int]) -> None:
    found = indices(positions.values, positions.count)
    if not found or not wanted or positions.rank is None or len(found) % len(wanted):
        return
    rows = [found[at : at + len(wanted)] for at in range(0, len(found), len(wanted))]
    wrong = next((row for row in rows if any(not 0 <= i < size for i, size in zip(row, wanted))), None)
    if wrong is not None:
        message = f"the index {wrong} is outside the shape {wanted}"
        node.refuse_silently("index-bounds", message, positions, on=On.LITERT, at=Stage.INVOKE)
        node.wrong("index-bounds", message, positions, on=On.V2_14)


def _dense_counts(node: KernelNode, positions: Operand, shape: Operand, values: Operand) -> None:
    """LiteRT compares what belongs together; tflite-runtime 2.14 looks at the count of values of a scalar only."""
    if positions.shape is None or shape.count is None or values.shape is None:
        return
    count, depth = positions.shape if len(positions.shape) == 2 else (prod(positions.shape), 1)
    if len(positions.shape) == 2:
        if depth != shape.count:
            message = f"an index has {depth} entries, the shape {shape.count}"
            node.refuse(_DENSE_COUNTS[2], message, shape)
    elif shape.count != 1:
        node.refuse(_DENSE_COUNTS[1], f"indices of one dimension go with a shape of {shape.count} entries", shape)
    if count != prod(values.shape):
        on = On.V2_14 if not values.shape else On.LITERT
        said = _DENSE_COUNTS[3] if len(positions.shape) == 2 else _DENSE_COUNTS[0]
        node.refuse(said, f"there are {count} indices and {prod(values.shape)} values", values, on=on)
