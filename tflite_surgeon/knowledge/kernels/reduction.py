"""Kernels that reduce dimensions: MEAN, SUM, REDUCE_*, ARG_MAX and ARG_MIN.

Source: LiteRT and tflite-runtime 2.14 kernels/reduce.cc, arg_min_max.cc.
"""

from __future__ import annotations

from math import prod

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import MISSING_INPUT
from tflite_surgeon.knowledge.kernels.scales import BYTES, EIGHT_BITS, INTEGERS, rescales
from tflite_surgeon.knowledge.kernels.single import AT_LEAST_VECTOR
from tflite_surgeon.knowledge.problems import On, Said, Stage

_FILE = "reduce.cc"
_AXIS_TYPE = Said("operator-types", _FILE, "op_context.axis->type != kTfLiteInt32")
_BOOL_ONLY = Said("operator-types", _FILE, "input->type != kTfLiteBool")
_AXIS = Said("axis", _FILE, "Invalid axis index.")
_AXIS_2_14 = Said("axis", _FILE, "current >= 0 && current < input_num_dims was not true")
_INPUT_ZERO = Said("int16-zero-point", _FILE, "op_context.input->params.zero_point != 0")
_OUTPUT_ZERO = Said("int16-zero-point", _FILE, "op_context.output->params.zero_point != 0")
_PROD_SCHEME = Said("quantization-scheme", None, "Unsupported quantization type: {}")
_PROD_TYPE = Said("operator-types", None, "Unsupported quantized data type: {}")
_NO_REDUCER = Said("operator-types", _FILE, "optimized_ops::ReduceGeneric<T>( {}(op_context.output){} was not true")
# What tflite-runtime 2.14 says when the model runs, of axes that it did not look at before; of BOOL, which it cannot
# add or compare, it says the same as the last.
_MEAN_AXIS = Said("axis", _FILE, "reference_ops::QuantizedMeanOrSum( {} was not true")
_SUM_AXIS = Said("axis", _FILE, "optimized_ops::QuantizedMeanOrSum( {} was not true")
_PROD_AXIS = Said("axis", _FILE, "optimized_ops::QuantizedReduceProd<T>( {} was not true")
_ANY_AXIS = Said("axis", _FILE, "optimized_ops::ReduceGeneric<T>( {}(op_context->output){} was not true")
_SCALE = Said("same-quantization", _FILE, "input->params.scale != op_context.output->params.scale")
_SCALE_2_14 = Said("same-quantization", _FILE, "input->params.scale != op_context->output->params.scale")
_ZERO_POINT = Said("same-quantization", _FILE, "input->params.zero_point != op_context.output->params.zero_point")
_ZERO_POINT_2_14 = Said("same-quantization", _FILE, "input->params.zero_point != op_context->output->params.zero_point")

_TYPES = frozenset({"FLOAT32", "INT32", "INT64", "UINT8", "INT8", "INT16", "BOOL"})
_OPTIONS = "ReducerOptions"
# Results of constants up to this many elements are computed when the node is prepared.
_MOST_CONSTANT = 8
_INT64 = 2**63


@kernel("MEAN", "SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ANY", "REDUCE_ALL")
def _reduce(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    source, axis, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or axis is None:
        _miss(node, 0 if source is None else 1)
        return
    if result is None:
        return
    if node.name in ("REDUCE_ANY", "REDUCE_ALL") and source.type != "BOOL":
        node.refuse(_BOOL_ONLY, f"the input is {source.type}, the kernel computes BOOL only", source)
    if axis.type != "INT32":
        node.refuse(_AXIS_TYPE, f"the axes are {axis.type}, the kernel reads INT32", axis)
    if source.type not in _TYPES:
        node.refuse_silently("operator-types", f"there is no kernel for {source.type}", source)
    if source.type == "INT16":
        for said, operand, role in ((_INPUT_ZERO, source, "input"), (_OUTPUT_ZERO, result, "output")):
            if operand.zero_point:
                message = f"the {role}'s zero point is {operand.zero_point}, of INT16 it must be 0"
                node.refuse(said, message, operand)
    _resize(node, source, axis, result)
    if source.type != "FLOAT32" or result.type != "FLOAT32":
        _check_values(node, source, axis, result)


def _miss(node: KernelNode, position: int) -> None:
    """An input that is not given: tflite-runtime 2.14 follows it without a look, unless the kernel is for BOOL."""
    message = f"input {position} is not given, the kernel needs it"
    looks = position == 0 and node.name in ("REDUCE_ANY", "REDUCE_ALL")
    node.refuse(MISSING_INPUT, message, on=On.TFLITE if looks else On.LITERT)
    if not looks:
        node.crash("missing-input", message, on=On.V2_14)


def _resize(node: KernelNode, source: Operand, axis: Operand, result: Operand) -> None:
    """The shape without the axes, known when the node is prepared if they are."""
    if not axis.is_fixed:
        node.resize(0, None)
        return
    shape, axes = source.shape, axis.values
    if shape is None or axes is None:
        result.shape = None
        return
    rank = len(shape)
    reduced = set()
    for value in axes if rank else ():
        place = value + rank if value < 0 else value
        if 0 <= place < rank:
            reduced.add(place)
            continue
        _miss_axis(node, source, axis, f"axis {value} is outside the {rank} dimensions of the input")
        result.shape = None
        return
    if node.option(_OPTIONS, "keep_dims"):
        node.resize(0, [1 if place in reduced else size for place, size in enumerate(shape)])
    else:
        node.resize(0, [size for place, size in enumerate(shape) if place not in reduced])
    if node.name == "REDUCE_PROD" and source.is_fixed:
        _know(source, result)


def _miss_axis(node: KernelNode, source: Operand, axis: Operand, message: str) -> None:
    """An axis outside the input: tflite-runtime 2.14 does not look before it runs if dimensions are kept."""
    node.refuse(_AXIS, message, axis, on=On.LITERT)
    if not node.option(_OPTIONS, "keep_dims"):
        node.refuse(_AXIS_2_14, message, axis, on=On.V2_14)
    elif node.name == "MEAN" and source.type not in INTEGERS:
        node.wrong("axis", message, axis, on=On.V2_14)
    else:
        said = _ANY_AXIS
        if node.name == "MEAN":
            said = _MEAN_AXIS
        elif node.name == "SUM" and source.type in EIGHT_BITS:
            said = _SUM_AXIS
        elif node.name == "REDUCE_PROD" and source.scheme != "none":
            said = _PROD_AXIS
        node.refuse(said, message, axis, on=On.V2_14, at=Stage.INVOKE)


def _know(source: Operand, result: Operand) -> None:
    """REDUCE_PROD of few constants, such as of a SHAPE, is computed at once."""
    if result.shape is None or prod(result.shape) > _MOST_CONSTANT:
        return
    values = source.values
    if values is not None and result.count == 1 and source.type in ("INT32", "INT64") and abs(prod(values)) < _INT64:
        result.know([prod(values)])
    else:
        result.know(None)


def _check_values(node: KernelNode, source: Operand, axis: Operand, result: Operand) -> None:
    if source.type not in _TYPES:
        return
    name = node.name
    if source.type == "BOOL":
        if name == "MEAN":
            message = "there is no kernel for BOOL"
            node.refuse_silently("operator-types", message, source, at=Stage.INVOKE)
        elif name not in ("REDUCE_ANY", "REDUCE_ALL"):
            node.refuse(_NO_REDUCER, "there is no kernel for BOOL", source, on=On.LITERT, at=Stage.INVOKE)
            node.refuse_silently("operator-types", "there is no kernel for BOOL", source, on=On.V2_14, at=Stage.INVOKE)
    elif name == "SUM" and source.type == "INT16":
        # tflite-runtime 2.14 adds the integers as they are.
        rescales(node, source, result, On.LITERT)
        _has_same_quantization(node, source, result, On.V2_14)
    elif name in ("MEAN", "SUM") and source.type in INTEGERS:
        rescales(node, source, result)
    elif name == "REDUCE_PROD" and source.scheme != "none":
        _check_product(node, source, axis, result)
    elif name in ("REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD") and source.type in INTEGERS:
        _has_same_quantization(node, source, result)
    if source.type != result.type and BYTES.get(result.type, 0) > 0:
        message = f"the input is {source.type} and the output {result.type}, the kernel writes {source.type}"
        node.wrong("same-type", message, result)


def _check_product(node: KernelNode, source: Operand, axis: Operand, result: Operand) -> None:
    """Products of quantised integers: LiteRT looks when it prepares the node, unless the axes are computed."""
    early = Stage.ALLOCATE if axis.is_fixed else Stage.INVOKE
    if not source.is_affine:
        node.refuse(_PROD_SCHEME, f"the input is quantised as {source.scheme}, not by one scale", source, at=early)
    elif source.type not in ("INT8", "INT16"):
        message = f"there is no kernel for quantised {source.type}"
        node.refuse(_PROD_TYPE, message, source, on=On.LITERT, at=early)
        node.refuse(_PROD_TYPE, message, source, on=On.V2_14, at=Stage.INVOKE)
    else:
        rescales(node, source, result)


def _has_same_quantization(node: KernelNode, source: Operand, result: Operand, on: On = On.TFLITE) -> None:
    """Integers are picked as they are; compared when the model runs."""
    if source.scale != result.scale:
        message = f"the input's scale is {source.scale:.9g} and the output's {result.scale:.9g}, they must be equal"
        node.refuse(_SCALE, message, result, on=on & On.LITERT, at=Stage.INVOKE)
        node.refuse(_SCALE_2_14, message, result, on=on & On.V2_14, at=Stage.INVOKE)
    if source.zero_point != result.zero_point:
        message = f"the input's zero point is {source.zero_point} and the output's {result.zero_point}"
        node.refuse(_ZERO_POINT, message, result, on=on & On.LITERT, at=Stage.INVOKE)
        node.refuse(_ZERO_POINT_2_14, message, result, on=on & On.V2_14, at=Stage.INVOKE)


_ARG_FILE = "arg_min_max.cc"
_ONE_AXIS = Said("element-count", _ARG_FILE, "NumElements(axis) != 1")
_ARG_AXIS_TYPE = Said("operator-types", _ARG_FILE, "axis->type == kTfLiteInt32 || axis->type == kTfLiteInt64 was not")
_INDEX_TYPE = Said("operator-types", None, "Unknown index output data type: {}")
_ARG_TYPE = Said("operator-types", None, "Unknown input type: {}, only float32, int types and bool are {}")
_ARG_AXIS = Said("axis", "kernel_utils.h", "Invalid axis value.")
_ARG_AXIS_LOW = Said("axis", _ARG_FILE, "axis_value >= 0 was not true")
_ARG_AXIS_HIGH = Said("axis", _ARG_FILE, "axis_value < NumDimensions(input) was not true")
_EMPTY_AXIS = Said("dimension-match", _ARG_FILE, "Cannot compute ArgMin/ArgMax over an empty axis.")

_ARG_TYPES = frozenset({"FLOAT32", "UINT8", "INT8", "INT32", "BOOL"})
_ARG_OPTIONS = {"ARG_MAX": "ArgMaxOptions", "ARG_MIN": "ArgMinOptions"}
# Numbers of the format's TensorType.
_INDEX_TYPES = {2: "INT32", 4: "INT64"}


@kernel("ARG_MAX", "ARG_MIN")
def _arg(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, axis, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or axis is None or result is None:
        return
    if axis.count is not None and axis.count != 1:
        node.refuse(_ONE_AXIS, f"there are {axis.count} axes, the kernel takes 1", axis)
    if axis.type not in ("INT32", "INT64"):
        node.refuse(_ARG_AXIS_TYPE, f"the axis is {axis.type}, the kernel reads INT32 or INT64", axis)
    kind = node.option(_ARG_OPTIONS[node.name], "output_type")
    made = _INDEX_TYPES.get(int(kind))
    if made is None:
        named = name_of("TensorType", kind) or int(kind)
        node.refuse(_INDEX_TYPE, f"output_type is {named}, the kernel makes INT32 or INT64", result)
    else:
        result.type = made
    if source.type not in _ARG_TYPES:
        node.refuse(_ARG_TYPE, f"there is no kernel for {source.type}", source)
    if source.rank == 0:
        node.refuse(AT_LEAST_VECTOR, "the input has no dimensions, the kernel needs at least 1", source)
    _resize_arg(node, source, axis, result)


def _resize_arg(node: KernelNode, source: Operand, axis: Operand, result: Operand) -> None:
    """The shape without the axis."""
    if not axis.is_fixed:
        node.resize(0, None)
        return
    shape, axes = source.shape, axis.values
    if not shape or not axes:
        result.shape = None
        return
    rank = len(shape)
    place = axes[0] + rank if axes[0] < 0 else axes[0]
    if not 0 <= place < rank:
        message = f"axis {axes[0]} is outside the {rank} dimensions of the input"
        node.refuse(_ARG_AXIS, message, axis, on=On.LITERT)
        node.refuse(_ARG_AXIS_LOW if place < 0 else _ARG_AXIS_HIGH, message, axis, on=On.V2_14)
        result.shape = None
        return
    if shape[place] <= 0:
        message = f"the input has {shape[place]} elements along axis {axes[0]}, the kernel needs one"
        node.refuse(_EMPTY_AXIS, message, source, on=On.LITERT)
        node.doubt(_EMPTY_AXIS.rule, "the kernel reads beside the empty input", source, on=On.V2_14, at=Stage.INVOKE)
    node.resize(0, shape[:place] + shape[place + 1 :])
