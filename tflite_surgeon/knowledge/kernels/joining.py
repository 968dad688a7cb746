"""Kernels that join tensors and take them apart.

Source: LiteRT and tflite-runtime 2.14 kernels/concatenation.cc, pack.cc, unpack.cc, split.cc, split_v.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.moving import (
    SAME_TYPE_TURNED,
    agrees,
    axis_of,
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
from tflite_surgeon.knowledge.kernels.sayings import INPUT_COUNT, NEGATIVE_SIZE, NO_SUCH_TENSOR, OUTPUT_COUNT
from tflite_surgeon.knowledge.problems import On, Said

_JOIN_AXIS = (
    Said("axis", "concatenation.cc", "axis >= 0 was not true"),
    Said("axis", "concatenation.cc", "axis < t0->dims->size"),
)
_JOIN_ACTIVATION = Said("fused-activation", "concatenation.cc", "params->activation != kTfLiteActNone")
_JOIN_TYPES = Said("operator-types", "concatenation.cc", "is_supported_type was not true")
_JOIN_TYPES_2_14 = Said("operator-types", "concatenation.cc", "input_type == kTfLiteFloat32 || ")
_JOIN_SCALARS = Said("tensor-rank", "concatenation.cc", "t0->dims->size > 0 was not true")
_JOIN_RANK = Said("tensor-rank", "concatenation.cc", "t->dims->size != t0->dims->size")
_JOIN_TYPE = Said("same-type", "concatenation.cc", "t->type != input_type")
_JOIN_SIZES = Said("dimension-match", "concatenation.cc", "t->dims->data[d] != t0->dims->data[d]")
_JOIN_RESULT = Said("same-type", "concatenation.cc", "output->type != input_type")
_JOIN_SCALE = Said("same-quantization", "concatenation.cc", "t->params.scale != output->params.scale")
_JOIN_POINT = Said("same-quantization", "concatenation.cc", "t->params.zero_point != output->params.zero_point")
_JOIN_INT16 = Said("int16-zero-point", "concatenation.cc", "t->params.zero_point != 0")
_JOIN_INT16_RESULT = Said("int16-zero-point", "concatenation.cc", "output->params.zero_point != 0")
_PACK_AXIS = (
    Said("axis", "pack.cc", "data->axis >= 0 was not true"),
    Said("axis", "pack.cc", "NumDimensions(input0) >= data->axis was not true"),
)
_PACK_TYPES = Said("operator-types", None, "Type {} is not supported by pack.")
_PACK_SHAPES = Said("dimension-match", "pack.cc", "HaveSameShapes(input0, input) was not true")
_PACK_TYPE = Said("same-type", "pack.cc", "input0->type != input->type")
_PACK_RESULT = Said("same-type", "pack.cc", "output->type != input0->type")
_PACK_POINT = Said("same-quantization", "*", "input->params.zero_point != output->params.zero_point")
_PACK_SCALE = Said("same-quantization", "*", "input->params.scale != output->params.scale")
_UNPACK_EMPTY = Said("positive-size", "unpack.cc", "NumElements(input) > 0 was not true")
_UNPACK_AXIS = Said("axis", "*", "0 <= axis && axis < NumDimensions(input) was not true")
_UNPACK_TYPES = Said("operator-types", None, "Type {} is not supported by unpack.")
_UNPACK_COUNT = Said("split-sizes", "unpack.cc", "data->num != input_shape->data[axis]")
_SPLIT_TYPES = Said("operator-types", "split.cc", "is_supported_type was not true")
_SPLIT_V_TYPES = Said("operator-types", "split_v.cc", "is_supported_type was not true")
_SPLIT_TYPES_2_14 = (
    Said("operator-types", "split.cc", "input_type == kTfLiteFloat32 || "),
    Said("operator-types", "split_v.cc", "input_type == kTfLiteFloat32 || "),
)
_SPLIT_AXIS = tuple(
    Said("axis", source, text)
    for source in ("split.cc", "split_v.cc")
    for text in ("axis_value >= 0 was not true", "axis_value < NumDimensions(input) was not true")
)
_NO_PARTS = Said("split-sizes", "split.cc", "num_splits != 0 was not true")
_UNEVEN = Said("split-sizes", "split.cc", "Not an even split")
_SPLIT_V_INPUT = Said("missing-input", "split_v.cc", "op_context.input != nullptr was not true")
_SIZES_RANK = Said("tensor-rank", "split_v.cc", "NumDimensions(size_splits) != ")
_SIZES_TYPE = Said("operator-types", None, "size_splits only support type int32|int64.")
_TWO_OPEN = Said("split-sizes", None, "The size_splits contains more than one -1.")
# tflite-runtime 2.14 prints the same and goes on.
_SUM_HIGH = Said("split-sizes", None, "The sum of size_splits must be less than the dimension of value.Node number")
_SUM = Said("split-sizes", None, "The size_splits must sum to the dimension of value along axis.Node number")

_INTEGERS = ("UINT8", "INT8", "INT16", "INT32", "INT64")
_SPLITS = ("FLOAT32", *_INTEGERS)
_JOINS_2_14 = (*_SPLITS, "BOOL", "UINT32")
_JOINS = (*_JOINS_2_14, "FLOAT16", "BFLOAT16", "INT4")
_PACKS = (*_SPLITS, "UINT32")
_UNPACKS_2_14 = ("FLOAT32", "INT32", "UINT8", "INT8", "INT16", "BOOL")
_UNPACKS = (*_UNPACKS_2_14, "FLOAT16", "BFLOAT16")
# What the runtimes know; they take any other number for none.
_ACTIVATIONS = frozenset({"RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"})


@kernel("CONCATENATION")
def _join(node: KernelNode) -> None:
    if not node.inputs or not node.outputs:
        node.refuse(NO_SUCH_TENSOR, "there are no inputs or no outputs")
        return
    if not node.needs(*range(len(node.inputs))):
        return
    parts = [part for part in node.inputs if part is not None]
    first, result = parts[0], node.outputs[0]
    if result is None:
        return
    axis = int(node.option("ConcatenationOptions", "axis"))
    at: int | None = None
    if first.shape is not None:
        rank = len(first.shape)
        at = axis_of(axis, rank or 1) if axis >= 0 or rank else None
        if at is None:
            node.refuse(_JOIN_AXIS[axis >= 0], f"axis {axis} is outside the {rank} dimensions of the inputs", result)
    activation = node.activation("ConcatenationOptions")
    if activation in _ACTIVATIONS:
        node.refuse(_JOIN_ACTIVATION, f"the fused activation is {activation}, the kernel has none")
    if first.type not in _JOINS_2_14:
        is_of(node, _JOIN_TYPES_2_14, first, _JOINS_2_14, on=On.V2_14)
        is_of(node, _JOIN_TYPES, first, _JOINS, on=On.LITERT)
    is_fixed = all(part.is_fixed for part in parts)
    if first.shape == []:
        node.refuse(_JOIN_AXIS[1], "the inputs are scalars, there is no axis", result, on=On.V2_14)
    if first.shape == [] and (not is_fixed or at is None):
        node.refuse(_JOIN_SCALARS, "the inputs are scalars, the kernel joins along a dimension", first, on=On.LITERT)
        return
    shape = _joined(node, first, parts, at)
    agrees(node, _JOIN_RESULT, first, result)
    _join_quantization(node, first, parts, result)
    if shape is None:
        result.shape = None
    else:
        node.resize(0, shape)
    if is_fixed:
        known = [part.values for part in parts]
        one_row = first.shape is not None and len(first.shape) < 2
        result.know([value for row in known for value in row or ()] if one_row and None not in known else None)


def _joined(node: KernelNode, first: Operand, parts: list[Operand], at: int | None) -> list[int] | None:
    """The shape of all parts together; None where one is not known, or they do not fit."""
    if first.shape == []:
        return [len(parts)]
    total: int | None = None if first.shape is None or at is None else first.shape[at]
    for number, part in enumerate(parts[1:], 1):
        if part.type != first.type:
            node.refuse(_JOIN_TYPE, f"input {number} is {part.type}, input 0 {first.type}", part)
        if part.shape is None or first.shape is None:
            total = None
        elif len(part.shape) != len(first.shape):
            message = f"input {number} has {len(part.shape)} dimensions, input 0 {len(first.shape)}"
            node.refuse(_JOIN_RANK, message, part)
            total = None
        elif any(one != other for d, (one, other) in enumerate(zip(part.shape, first.shape)) if d != at):
            message = f"the shapes {first.shape} and {part.shape} differ in more than dimension {at}"
            node.refuse(_JOIN_SIZES, message, part)
            total = None
        elif total is not None and at is not None:
            total += part.shape[at]
    if total is None or first.shape is None or at is None:
        return None
    return [*first.shape[:at], total, *first.shape[at + 1 :]]


def _join_quantization(node: KernelNode, first: Operand, parts: list[Operand], result: Operand) -> None:
    if first.type == "INT8":
        for part in parts:
            if part.scale != result.scale or part.zero_point != result.zero_point:
                keeps_quantization(node, _JOIN_SCALE, _JOIN_POINT, result, part)
                return
    elif first.type == "INT16":
        for part in parts:
            if part.zero_point != 0:
                node.refuse(_JOIN_INT16, f"the zero point of INT16 is {part.zero_point}, it must be 0", part)
            elif result.zero_point == 0:
                copies(node, part, result)
        if result.zero_point != 0:
            message = f"the zero point of INT16 is {result.zero_point}, it must be 0"
            node.refuse(_JOIN_INT16_RESULT, message, result)


@kernel("PACK")
def _pack(node: KernelNode) -> None:
    count = node.option("PackOptions", "values_count")
    if len(node.inputs) != count:
        node.refuse(INPUT_COUNT, f"there are {len(node.inputs)} inputs, the option values_count says {count}")
        return
    if len(node.outputs) != 1:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
        return
    if not node.inputs:
        node.refuse(NO_SUCH_TENSOR, "there are no inputs")
        return
    if not node.needs(*range(len(node.inputs))):
        return
    parts = [part for part in node.inputs if part is not None]
    first, result = parts[0], node.outputs[0]
    if result is None:
        return
    axis, at = int(node.option("PackOptions", "axis")), None
    if first.shape is not None:
        at = axis_of(axis, len(first.shape) + 1)
        if at is None:
            message = f"axis {axis} is outside the {len(first.shape) + 1} dimensions of the output"
            node.refuse(_PACK_AXIS[axis >= 0], message)
    is_of(node, _PACK_TYPES, first, _PACKS)
    for number, part in enumerate(parts[1:], 1):
        if part.shape is not None and first.shape is not None and part.shape != first.shape:
            message = f"input {number} has the shape {part.shape}, input 0 {first.shape}"
            node.refuse(_PACK_SHAPES, message, part)
        agrees(node, _PACK_TYPE, first, part)
    agrees(node, _PACK_RESULT, result, first)
    for part in parts:
        if part.zero_point != result.zero_point or part.scale != result.scale:
            if part.zero_point != result.zero_point:
                message = f"the zero points {part.zero_point} and {result.zero_point} differ"
                node.refuse(_PACK_POINT, message, result)
            else:
                message = f"the scales {part.scale:.9g} and {result.scale:.9g} differ"
                node.refuse(_PACK_SCALE, message, result)
            break
    if first.shape is None or at is None:
        result.shape = None
    else:
        node.resize(0, [*first.shape[:at], len(parts), *first.shape[at:]])


@kernel("UNPACK")
def _unpack(node: KernelNode) -> None:
    count = node.option("UnpackOptions", "num")
    if not node.has_counts(1, None):
        return
    if len(node.outputs) != count:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the option num says {count}")
        return
    source = node.inputs[0]
    if not node.needs(0) or source is None:
        return
    if source.count is not None and source.count <= 0:
        node.refuse(_UNPACK_EMPTY, f"the input of shape {source.shape} is empty", source)
    at: int | None = None
    if source.shape is not None:
        axis = int(node.option("UnpackOptions", "axis"))
        at = axis_of(axis, len(source.shape))
        if at is None:
            message = f"axis {axis} is outside the {len(source.shape)} dimensions of the input"
            node.refuse(_UNPACK_AXIS, message, source)
    if source.type not in _UNPACKS_2_14:
        is_of(node, _UNPACK_TYPES, source, _UNPACKS_2_14, on=On.V2_14)
        is_of(node, _UNPACK_TYPES, source, _UNPACKS, on=On.LITERT)
    shape: list[int] | None = None
    if source.shape is not None and at is not None:
        if source.shape[at] != count:
            message = f"the option num is {count}, dimension {at} of the shape {source.shape} is another"
            node.refuse(_UNPACK_COUNT, message, source)
        shape = [*source.shape[:at], *source.shape[at + 1 :]]
    for position, result in enumerate(node.outputs):
        if result is None:
            continue
        agrees(node, SAME_TYPE_TURNED, result, source)
        if source.zero_point != result.zero_point:
            message = f"the zero points {source.zero_point} and {result.zero_point} differ"
            node.refuse(_PACK_POINT, message, result)
        elif source.scale != result.scale:
            message = f"the scales {source.scale:.9g} and {result.scale:.9g} differ"
            node.refuse(_PACK_SCALE, message, result)
        if shape is None:
            result.shape = None
        else:
            node.resize(position, list(shape))


@kernel("SPLIT")
def _split(node: KernelNode) -> None:
    if not node.has_counts(2, None):
        return
    count = int(node.option("SplitOptions", "num_splits"))
    if not reads(node, 1):
        return
    if len(node.outputs) != count:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the option num_splits says {count}")
        return
    axis, source = node.inputs
    if source is None:
        return
    _takes_type(node, source, _SPLIT_TYPES, _SPLIT_TYPES_2_14[0], _SPLITS[:-1])
    if not reads(node, 0) or axis is None:
        return
    if not axis.is_fixed:
        _make_parts(node, source, None, None)
        return
    at = _split_axis(node, source, axis)
    if at is None or source.shape is None:
        _make_parts(node, source, None, None, is_dynamic=False)
        return
    whole = source.shape[at]
    if count == 0:
        node.refuse(_NO_PARTS, "the option num_splits is 0")
        return
    if whole % count:
        node.refuse(_UNEVEN, f"dimension {at} has {whole} elements, it does not divide into {count} parts", source)
        _make_parts(node, source, None, None, is_dynamic=False)
        return
    _make_parts(node, source, at, [whole // count] * count)


@kernel("SPLIT_V")
def _split_v(node: KernelNode) -> None:
    if not node.has_counts(3, None):
        return
    count = int(node.option("SplitVOptions", "num_splits"))
    if len(node.outputs) != count:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the option num_splits says {count}")
        return
    source, sizes, axis = node.inputs
    if source is None:
        node.refuse(_SPLIT_V_INPUT, "input 0 is not given, the kernel needs it", on=On.LITERT)
        node.crash("missing-input", "input 0 is not given, and the kernel reads it without a look", on=On.V2_14)
        return
    _takes_type(node, source, _SPLIT_V_TYPES, _SPLIT_TYPES_2_14[1], _SPLITS)
    if not reads(node, 1) or sizes is None:
        return
    sound = has_rank(node, _SIZES_RANK, sizes, 1)
    if sizes.count is not None and sizes.count != count:
        node.refuse(OUTPUT_COUNT, f"there are {count} outputs and {sizes.count} sizes", sizes)
        sound = False
    if sizes.is_fixed and (not reads(node, 2) or axis is None):
        return
    if not sizes.is_fixed or axis is None or not axis.is_fixed:
        _make_parts(node, source, None, None)
        return
    sound &= is_of(node, _SIZES_TYPE, sizes, ("INT32", "INT64"))
    found = indices(sizes.values, sizes.count)
    at: int | None = None
    if sound and found is not None:
        if found.count(-1) > 1:
            node.refuse(_TWO_OPEN, f"the sizes {found} leave more than one part open", sizes)
            found = None
        at = _split_axis(node, source, axis)
    if at is None or source.shape is None or found is None or not _fills(node, sizes, found, source.shape[at]):
        _make_parts(node, source, None, None, is_dynamic=False)
        return
    _make_parts(node, source, at, found)


def _fills(node: KernelNode, sizes: Operand, found: list[int], whole: int) -> bool:
    """Whether the parts make up the whole; an open one takes the rest. tflite-runtime 2.14 only says when not."""
    total = sum(size for size in found if size != -1)
    if -1 in found and total <= whole:
        found[found.index(-1)] = whole - total
    elif total != whole:
        message = f"the sizes {found} do not sum to the {whole} of the dimension"
        node.refuse(_SUM_HIGH if -1 in found else _SUM, message, sizes, on=On.LITERT)
        if min(found) < 0:
            node.refuse(NEGATIVE_SIZE, message, sizes, on=On.V2_14)
        else:
            node.wrong("split-sizes", message, sizes, on=On.V2_14)
        return False
    return True


def _takes_type(node: KernelNode, source: Operand, said: Said, said_2_14: Said, types_2_14: tuple[str, ...]) -> None:
    if source.type not in types_2_14:
        is_of(node, said, source, _SPLITS, on=On.LITERT)
        is_of(node, said_2_14, source, types_2_14, on=On.V2_14)


def _split_axis(node: KernelNode, source: Operand, axis: Operand) -> int | None:
    found = words(axis)
    if not found or source.shape is None:
        return None
    at = axis_of(found[0], len(source.shape))
    if at is None:
        number = 2 * (node.name == "SPLIT_V") + (found[0] >= 0)
        message = f"axis {found[0]} is outside the {len(source.shape)} dimensions of the input"
        node.refuse(_SPLIT_AXIS[number], message, axis)
    return at


def _make_parts(
    node: KernelNode, source: Operand, at: int | None, sizes: list[int] | None, *, is_dynamic: bool = True
) -> None:
    for position, result in enumerate(node.outputs):
        if result is None:
            continue
        result.type = source.type
        copies(node, source, result)
        if source.shape is not None and at is not None and sizes is not None:
            node.resize(position, [*source.shape[:at], sizes[position], *source.shape[at + 1 :]])
        elif is_dynamic:
            node.resize(position, None)
        else:
            result.shape = None
