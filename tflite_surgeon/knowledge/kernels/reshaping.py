"""Kernels that give values another shape.

Source: LiteRT and tflite-runtime 2.14 kernels/reshape.cc (with internal/reshape_utils.h), squeeze.cc, expand_dims.cc,
transpose.cc, shape.cc, rank.cc.
"""

from __future__ import annotations

from math import prod

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.moving import (
    EVERY_WIDTH,
    SAME_TYPE_IN_CONTEXT,
    agrees,
    copies,
    has_rank,
    indices,
    is_of,
    keeps_quantization,
    passes_values,
    reads,
    width,
    words,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import NEGATIVE_SIZE, NO_INPUT
from tflite_surgeon.knowledge.problems import On, Said, Stage

_RESHAPE_INPUTS = Said("tensor-count", "*", "NumInputs(node) == 1 || NumInputs(node) == 2 was not true")
_ELEMENTS = Said("element-count", "*", "num_input_elements != num_output_elements")
_TWO_STRETCHED = Said("option-value", "*", "stretch_dim != -1")
_NEGATIVE = Said("option-value", "*", "output shape contains negative dimension")
_SQUEEZE_RANK = Said("rank-limit", "squeeze.cc", "input_num_dims <= 8 was not true")
_SQUEEZED = Said(
    "axis",
    "squeeze.cc",
    "current >= 0 && current < input_num_dims && input_dims->data[current] == 1 was not true",
)
_SQUEEZE_OUTPUT = Said("missing-input", "squeeze.cc", "op_context.output != nullptr was not true")
_SQUEEZE_BYTES = Said("same-type", "squeeze.cc", "op_context.input->bytes != op_context.output->bytes")
_EXPAND_SCALE = Said("same-quantization", "expand_dims.cc", "input->params.scale != output->params.scale")
_EXPAND_POINT = Said("same-quantization", "expand_dims.cc", "input->params.zero_point != output->params.zero_point")
_EXPAND_INT16 = Said("int16-zero-point", "expand_dims.cc", "input->params.zero_point != 0")
_ONE_AXIS = Said("dimension-match", "expand_dims.cc", "NumElements(&axis) != 1")
_AXIS_HIGH = Said("axis", "expand_dims.cc", "axis <= input_dims.size was not true")
_AXIS_LOW = Said("axis", "expand_dims.cc", "axis >= 0 was not true")
_TRANSPOSE_RANK = Said("rank-limit", "transpose.cc", "Transpose op only supports 1D-8D input arrays.")
_TRANSPOSE_RANK_2_14 = Said("rank-limit", "transpose.cc", "Transpose op only supports 1D-6D input arrays.")
_PERMUTATION_RANK = Said("tensor-rank", "transpose.cc", "NumDimensions(op_context->perm) != ")
_PERMUTATION_LENGTH = Said("permutation", "transpose.cc", "op_context->perm->dims->data[0] != dims")
_PERMUTATION = Said("permutation", "transpose.cc", "Transpose op permutations array is out of bounds.")
_TRANSPOSE_TYPE = Said("operator-types", None, "Type {} is currently not supported by Transpose.")
_SHAPE_TYPE = Said("option-value", None, "Unknown shape output data type: ")

# Bits of an element where kernel_util.cc knows no width.
_SQUEEZED_WIDTHS = {"INT4": 4, "STRING": 0}
_TRANSPOSED_2_14 = ("FLOAT32", "INT32", "BOOL", "UINT8", "INT8", "INT16", "INT64")
_SHAPE_TYPES = ("INT32", "INT64")


@kernel("RESHAPE")
def _reshape(node: KernelNode) -> None:
    if not node.has_counts((1, 2), said=_RESHAPE_INPUTS):
        return
    source, result = node.inputs[0], node.outputs[0]
    if result is None:
        return
    if source is None:
        node.refuse(NO_INPUT, "input 0 is not given, the kernel needs it", on=On.LITERT)
        node.crash("missing-input", "input 0 is not given, and the kernel reads it without a look", on=On.V2_14)
        return
    if len(node.inputs) == 2:
        shape = node.inputs[1]
        if shape is None:
            node.crash("missing-input", "input 1 is not given, and the kernel reads it without a look")
            return
        if not shape.is_fixed:
            if shape.rank is not None and not _is_read(shape):
                _resolved_later(node, source)
            node.resize(0, None)
            return
    if result.type == "STRING":
        wanted = _resolved_later(node, source)
    else:
        wanted = _wanted_shape(node)
        if wanted is not None:
            wanted = _resolved(node, source, wanted)
    if source.type != result.type:
        _reinterprets(node, source, result)
    else:
        copies(node, source, result)
    if wanted is None:
        result.shape = None
    else:
        node.resize(0, wanted)
    passes_values(node, source, result)


def _is_read(shape: Operand) -> bool:
    """Whether the kernel takes the second input for a shape; else it reads the options."""
    return shape.rank == 1 and shape.type == "INT32"


def _resolved_later(node: KernelNode, source: Operand) -> list[int] | None:
    """The shape where the kernel looks at it when the model runs."""
    stage, node.stage = node.stage, max(node.stage, Stage.INVOKE)
    wanted = _wanted_shape(node)
    if wanted is not None:
        wanted = _resolved(node, source, wanted)
    node.stage = stage
    return wanted


def _wanted_shape(node: KernelNode) -> list[int] | None:
    shape = node.input(1)
    if len(node.inputs) == 2 and shape is not None and _is_read(shape):
        return indices(shape.values, shape.count)
    wanted = list(node.option("ReshapeOptions", "new_shape") or ())
    # How the first converters wrote a scalar.
    return [] if wanted == [0] else wanted


def _resolved(node: KernelNode, source: Operand, wanted: list[int]) -> list[int] | None:
    """The wanted shape with its -1 replaced; None where the kernel cannot make it."""
    if wanted.count(-1) > 1:
        node.refuse(_TWO_STRETCHED, f"the shape {wanted} leaves more than one dimension open")
        return None
    if any(size < -1 for size in wanted):
        message = f"the shape {wanted} has a negative dimension"
        node.refuse(_NEGATIVE, message, on=On.LITERT)
        if source.count is not None:
            others = prod(size for size in wanted if size != -1)
            fits = source.count % others == 0 if -1 in wanted and others else others == source.count
            node.refuse(NEGATIVE_SIZE if fits else _ELEMENTS, message, on=On.V2_14)
        return None
    if source.shape is None:
        return None
    count = prod(source.shape)
    if -1 in wanted:
        at = wanted.index(-1)
        others = prod(size for size in wanted if size != -1)
        if count == 0 and others != 0:
            wanted[at] = 0
        else:
            wanted[at] = prod(filter(None, source.shape)) // (prod(size for size in wanted if size > 0) or 1)
    if prod(wanted) != count:
        node.refuse(
            _ELEMENTS,
            f"{count} elements of shape {source.shape} do not fit the shape {wanted}",
            node.outputs[0],
            found=count,
            expected=prod(wanted),
        )
        return None
    return wanted


def _reinterprets(node: KernelNode, source: Operand, result: Operand) -> None:
    before, after = width(source.type), width(result.type)
    message = f"the bytes of {source.type} are read as {result.type}"
    if before is None or after is None:
        node.doubt("same-type", message, result, at=Stage.INVOKE)
    elif before <= after:
        node.wrong("same-type", message, result)
    else:
        # LiteRT leaves the values where they are; tflite-runtime 2.14 copies them beyond the end of the output.
        node.wrong("same-type", message, result, on=On.LITERT)
        node.doubt("same-type", f"{message}, and there are too many", result, on=On.V2_14, at=Stage.INVOKE)


@kernel("SQUEEZE")
def _squeeze(node: KernelNode) -> None:
    if not node.has_counts(1) or not reads(node, 0):
        return
    source, result = node.inputs[0], node.outputs[0]
    if source is None or result is None:
        return
    if source.shape is None:
        node.resize(0, None)
        return
    rank = len(source.shape)
    if rank > 8:
        node.refuse(_SQUEEZE_RANK, f"the input has {rank} dimensions, the kernel takes 8 at most", source)
        return
    dropped = set()
    for axis in node.option("SqueezeOptions", "squeeze_dims") or ():
        at = axis + rank if axis < 0 else axis
        if not 0 <= at < rank or source.shape[at] != 1:
            node.refuse(_SQUEEZED, f"dimension {axis} of the shape {source.shape} is none of size 1", source)
            return
        dropped.add(at)
    if not dropped:
        dropped = {at for at, size in enumerate(source.shape) if size == 1}
    node.resize(0, [size for at, size in enumerate(source.shape) if at not in dropped])
    if source.type == result.type:
        copies(node, source, result)
        return
    before, after = (_SQUEEZED_WIDTHS.get(operand.type, width(operand.type)) for operand in (source, result))
    if not before or after is None:
        return
    if before == after:
        node.wrong("same-type", f"the bytes of {source.type} are read as {result.type}", result)
    else:
        node.refuse(_SQUEEZE_BYTES, f"the input is {source.type}, the output {result.type}", result, at=Stage.INVOKE)


@kernel("EXPAND_DIMS")
def _expand(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, axis, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or axis is None or result is None:
        return
    result.type = source.type
    keeps_quantization(node, _EXPAND_SCALE, _EXPAND_POINT, source, result)
    if source.type == "INT16" and source.zero_point != 0:
        node.refuse(_EXPAND_INT16, f"the zero point of INT16 is {source.zero_point}, it must be 0", source)
    if not axis.is_fixed:
        node.resize(0, None)
        return
    if axis.count not in (None, 1):
        node.refuse(_ONE_AXIS, f"the axis has {axis.count} elements, the kernel takes 1", axis)
        return
    if axis.type not in ("INT32", "INT64"):
        node.refuse_silently("operator-types", f"the axis is {axis.type}, the kernel takes INT32 or INT64", axis)
        return
    if source.shape is None or not axis.values:
        result.shape = None
        return
    rank, at = len(source.shape), axis.values[0]
    at = at + rank + 1 if at < 0 else at
    if not 0 <= at <= rank:
        said = _AXIS_HIGH if at > rank else _AXIS_LOW
        node.refuse(said, f"axis {axis.values[0]} is outside the {rank + 1} dimensions of the output", axis)
        return
    node.resize(0, [*source.shape[:at], 1, *source.shape[at:]])


@kernel("TRANSPOSE")
def _transpose(node: KernelNode) -> None:
    if not node.has_counts(2) or not reads(node, 0, 1):
        return
    source, order, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or order is None or result is None:
        return
    rank = source.rank
    if rank is not None and rank > 6:
        many = f"the input has {rank} dimensions, the kernel takes {{}} at most"
        node.refuse(_TRANSPOSE_RANK_2_14, many.format(6), source, on=On.V2_14)
        if rank > 8:
            node.refuse(_TRANSPOSE_RANK, many.format(8), source, on=On.LITERT)
            return
    agrees(node, SAME_TYPE_IN_CONTEXT, source, result)
    _can_be_transposed(node, source)
    copies(node, source, result)
    at = None if order.is_fixed else Stage.INVOKE
    ranked = has_rank(node, _PERMUTATION_RANK, order, 1, at=at)
    if not order.is_fixed:
        node.resize(0, None)
    if not ranked or source.shape is None or rank is None:
        result.shape = None
        return
    if order.dim(0) not in (None, rank):
        message = f"the permutation has {order.dim(0)} entries for {rank} dimensions"
        node.refuse(_PERMUTATION_LENGTH, message, order, at=at)
        return
    if not order.is_fixed:
        return
    found = indices(words(order), rank)
    if found is None:
        result.shape = None
        if order.is_constant and order.type not in ("INT32", "INT64"):
            node.doubt("operator-types", f"the permutation is {order.type} and is read as INT32, beyond its end", order)
        return
    if any(not -rank <= axis < rank for axis in found):
        node.refuse(_PERMUTATION, f"the permutation {found} names dimensions that an input of {rank} has not", order)
        return
    axes = [axis % rank for axis in found]
    if order.type != "INT32":
        node.wrong("operator-types", f"the permutation is {order.type} and its bytes are read as INT32", order)
    elif len(set(axes)) < rank:
        node.wrong("permutation", f"the permutation {found} does not name each dimension once", order)
    node.resize(0, [source.shape[axis] for axis in axes])


def _can_be_transposed(node: KernelNode, source: Operand) -> None:
    at = Stage.INVOKE
    if source.type not in _TRANSPOSED_2_14:
        is_of(node, _TRANSPOSE_TYPE, source, _TRANSPOSED_2_14, on=On.V2_14, at=at)
        is_of(node, _TRANSPOSE_TYPE, source, EVERY_WIDTH | {"INT4", "UINT4"}, on=On.LITERT, at=at)


@kernel("SHAPE")
def _shape(node: KernelNode) -> None:
    if not node.has_counts(1) or not node.needs(0):
        return
    source, result = node.inputs[0], node.outputs[0]
    if source is None or result is None:
        return
    wanted = name_of("TensorType", node.option("ShapeOptions", "out_type")) or "FLOAT32"
    if wanted not in _SHAPE_TYPES:
        node.refuse(_SHAPE_TYPE, f"the option out_type is {wanted}, the kernel makes INT32 or INT64")
        return
    result.type = wanted
    if source.shape is None:
        result.shape = None
    else:
        node.resize(0, [len(source.shape)])
    result.know(None if source.shape is None else list(source.shape))


@kernel("RANK")
def _rank(node: KernelNode) -> None:
    if not node.has_counts(1) or not node.needs(0):
        return
    source, result = node.inputs[0], node.outputs[0]
    if source is None or result is None:
        return
    result.type = "INT32"
    node.resize(0, [])
    result.know(None if source.shape is None else [len(source.shape)])
