"""TFLM's kernels that pick by index. Source: tflite-micro kernels/gather.cc, gather_nd.cc; the Python wheel."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import NO_INPUT
from tflite_surgeon.knowledge.micro.fetching import checked, checked_output, copies
from tflite_surgeon.knowledge.problems import Said, Stage

_NO_POSITIONS = Said("missing-input", "gather.cc", "coords != nullptr was not true")
_POSITIONS = Said("operator-types", None, "Positions of type {} are not supported by gather.")
_GATHERED = Said("operator-types", None, "Type {} is not supported by gather.")
_AXIS = Said("axis", "gather.cc", "0 <= axis && axis < NumDimensions(input) was not true")
_BATCH_AXIS = Said("axis", "gather.cc", "batch_dims <= axis was not true")
_BATCH_RANGE = Said("axis", "gather.cc", "0 <= batch_dims && batch_dims < NumDimensions(input) was not true")
_BATCH_POSITIONS = Said("axis", "gather.cc", "batch_dims <= NumDimensions(coords) was not true")
_BATCHES = Said("dimension-match", "gather.cc", "input->dims->data[i] != coords->dims->data[i]")
_TYPES = ("FLOAT32", "INT8")

_NO_PARAMS = Said("missing-input", "gather_nd.cc", "params != nullptr was not true")
_NO_INDICES = Said("missing-input", "gather_nd.cc", "indices != nullptr was not true")
_PARAMS_TYPE = Said("operator-types", None, "Params of type {} are not supported by gather_nd.")
_INDICES_TYPE = Said("operator-types", None, "Indices of type {} are not supported by gather_nd.")
_PARAMS_RANK = Said("tensor-rank", None, "Params must be at least a vector.")
_INDICES_RANK = Said("tensor-rank", None, "Indices must be at least a vector.")
_DEPTH = Said("dimension-match", None, "Index innermost dimension length must be <= params rank.")
_MOST_DEPTH = Said("rank-limit", None, "Index innermost dimension length must not exceed ")
_BOUNDS = Said("index-bounds", None, "gather_nd index out of bounds")
_DEEPEST = 5


@micro_kernel("GATHER")
def _gather(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    source = checked(node, 0, NO_INPUT)
    positions = checked(node, 1, _NO_POSITIONS) if source is not None else None
    result = checked_output(node) if positions is not None else None
    if source is None or positions is None or result is None:
        return
    if positions.type != "INT32":
        node.refuse(_POSITIONS, f"the positions are {positions.type}, the kernel takes INT32", positions)
    if source.type not in _TYPES:
        node.refuse(_GATHERED, f"there is no kernel for {source.type}, only for {', '.join(_TYPES)}", source)
    else:
        copies(node, source, result)
    shape, places = source.shape or [], positions.shape or []
    axis, batch = int(node.option("GatherOptions", "axis")), int(node.option("GatherOptions", "batch_dims"))
    at = axis + len(shape) if axis < 0 else axis
    batches = batch + len(places) if batch < 0 else batch
    if not 0 <= at < len(shape):
        node.refuse(_AXIS, f"the axis is {axis} for {len(shape)} dimensions", source)
    elif batches > at:
        node.refuse(_BATCH_AXIS, f"batch_dims is {batch}, beyond axis {axis}", source)
    elif batches < 0:
        node.refuse(_BATCH_RANGE, f"batch_dims is {batch}, the positions have {len(places)} dimensions", positions)
    elif batches > len(places):
        node.refuse(_BATCH_POSITIONS, f"batch_dims is {batch}, the positions have {len(places)} dimensions", positions)
    elif shape[:batches] != places[:batches]:
        node.refuse(
            _BATCHES, f"the batches of the input are {shape[:batches]}, of the positions {places[:batches]}", positions
        )
    elif _pick(node, result, shape[:at] + places[batches:] + shape[at + 1 :]):
        outside = next((index for index in positions.values or () if not 0 <= index < shape[at]), None)
        if outside is not None:
            node.refuse_silently(
                "index-bounds",
                f"position {outside} is outside axis {axis} of length {shape[at]}",
                positions,
                at=Stage.INVOKE,
            )


def _pick(node: KernelNode, result: Operand, shape: list[int]) -> bool:
    """Give the output its shape, in the place that the stored one takes in memory."""
    if len(shape) > len(result.shape or ()):
        node.doubt(
            "stored-shape", f"the output is stored as {result.shape} and has {shape}: the kernel writes past it", result
        )
        return False
    node.resize(0, shape)
    return True


@micro_kernel("GATHER_ND")
def _gather_nd(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    source = checked(node, 0, _NO_PARAMS)
    indices = checked(node, 1, _NO_INDICES) if source is not None else None
    result = checked_output(node) if indices is not None else None
    if source is None or indices is None or result is None:
        return
    if source.type not in _TYPES:
        node.refuse(_PARAMS_TYPE, f"there is no kernel for {source.type}, only for {', '.join(_TYPES)}", source)
    else:
        copies(node, source, result)
    if indices.type != "INT32":
        node.refuse(_INDICES_TYPE, f"the indices are {indices.type}, the kernel takes INT32", indices)
    shape, places = source.shape or [], indices.shape or []
    if not shape:
        node.refuse(_PARAMS_RANK, "the input is a scalar, the kernel takes at least a vector", source)
        return
    if not places:
        node.refuse(_INDICES_RANK, "the indices are a scalar, the kernel takes at least a vector", indices)
        return
    depth = places[-1]
    if depth > len(shape):
        node.refuse(_DEPTH, f"each index counts along {depth} dimensions, the input has {len(shape)}", indices)
    elif depth > _DEEPEST:
        node.refuse(_MOST_DEPTH, f"each index counts along {depth} dimensions, the kernel takes up to 5", indices)
    elif depth >= 0 and _pick(node, result, places[:-1] + shape[depth:]):
        _check_indices(node, indices, shape, depth)


def _check_indices(node: KernelNode, indices: Operand, shape: list[int], depth: int) -> None:
    if 0 in shape[:depth]:
        node.crash("index-bounds", f"the input {shape} is empty: the kernel divides by 0", indices, at=Stage.INVOKE)
        return
    values = indices.values
    if not values or depth == 0:
        return
    steps: list[int] = []
    total = 1
    for length in reversed(shape):
        steps.insert(0, total)
        total *= length
    part = steps[depth - 1]
    for first in range(0, len(values) - depth + 1, depth):
        index = values[first : first + depth]
        at = sum(number * step for number, step in zip(index, steps))
        if at < 0 or at + part > total:
            node.refuse(_BOUNDS, f"index {index} is outside {shape}", indices, at=Stage.INVOKE)
            return
        if any(not 0 <= number < length for number, length in zip(index, shape)):
            node.wrong("index-bounds", f"index {index} is outside {shape}, the kernel reads another element", indices)
            return
