"""TFLM's kernels of ADD, SUB, MUL, DIV, SQUARED_DIFFERENCE, ADD_N and CUMSUM.

Source: tflite-micro kernels/add_common.cc, sub_common.cc, mul_common.cc, div.cc, squared_difference.cc, add_n.cc,
cumsum.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.knowledge.kernels.layers import has_activation_range
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.pairs import SAME_INPUT_TYPES, Pair, clips, has_same_inputs, has_zero
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.rescaling import (
    ROLES,
    are_inputs_below_one,
    crash_of_scales,
    divided,
    is_below_one,
    is_output_below_one,
    largest,
)
from tflite_surgeon.knowledge.kernels.sayings import NO_INPUT, NO_OUTPUT
from tflite_surgeon.knowledge.kernels.scales import has_useful_scale
from tflite_surgeon.knowledge.micro.fetching import has_all, output
from tflite_surgeon.knowledge.micro.pairs import checked_pair, evaluates, fits, is_unquantised, reads
from tflite_surgeon.knowledge.problems import Said, Stage
from tflite_surgeon.quantization import LARGEST, float32

_ADD_OUTPUT = Said(
    "missing-quantization", "add_common.cc", "output->quantization.type != kTfLiteNoQuantization was not true"
)
_OUTPUT_TYPE = Said("same-type", "*", "input1->type != output->type")
_NAMES = ("input1", "input2", "output")
_ZERO_POINTS = tuple(Said("int16-zero-point", "mul_common.cc", f"data->{name}_zero_point != 0") for name in _NAMES)
_DIV_UNSUPPORTED = Said("operator-types", None, "DIV only supports FLOAT32, INT32, quantized INT8 now, got type {}.")
_SQUARED_UNSUPPORTED = Said("operator-types", None, "SquaredDifference only supports FLOAT32, INT32 , INT16 and INT8")
_LEAST = tuple(
    Said("zero-point-range", "*", f"{name}_quantization_params.zero_point >= integer_type_min was not true")
    for name in _NAMES
)
_GREATEST = tuple(
    Said("zero-point-range", "*", f"{name}_quantization_params.zero_point <= integer_type_max was not true")
    for name in _NAMES
)
_SYMMETRIC = tuple(
    Said("int16-zero-point", "squared_difference.cc", f"{name}_quantization_params.zero_point == 0 was not true")
    for name in _NAMES
)
_ADD_N_COUNT = Said("tensor-count", "add_n.cc", "num_inputs >= 2 was not true")
_ADD_N_FIRST = Said("missing-input", "add_n.cc", "input_tensor_first != nullptr was not true")
_ADD_N_OUTPUT = Said("same-type", "add_n.cc", "output->type != input_tensor_first->type")
_ADD_N_SHAPE = Said("dimension-match", "add_n.cc", "HaveSameShapes(input_tensor_first, input) was not true")
_ADD_N_TYPE = Said("same-type", "add_n.cc", "input_tensor_first->type != input->type")
_ADD_N_ZERO_POINT = Said("same-quantization", "add_n.cc", "input_tensor_first->params.zero_point == ")
_ADD_N_SCALE = Said("same-quantization", "add_n.cc", "input_tensor_first->params.scale == input->params.scale was")
_ADD_N_UNSUPPORTED = Said("operator-types", None, "ADD_N only supports FLOAT32 and INT8, got {}.")
_CUMSUM_INPUT = Said("operator-types", "cumsum.cc", "input->type == kTfLiteFloat32 || input->type == kTfLiteInt8 was")
_CUMSUM_AXIS_TYPE = Said("operator-types", "cumsum.cc", "axis->type != kTfLiteInt32")
_CUMSUM_AXES = Said("element-count", "cumsum.cc", "NumElements(axis) != 1")
_CUMSUM_RANK = Said("tensor-rank", "cumsum.cc", "NumDimensions(input) >= 1 was not true")
_CUMSUM_OUTPUT = Said("same-type", "cumsum.cc", "input->type != output->type")
_CUMSUM_SHAPE = Said("output-shape", "cumsum.cc", "HaveSameShapes(input, output) was not true")
_CUMSUM_AXIS = Said("axis", None, "CUMSUM Invalid axis: {}")

_SHIFTS = {"INT8": 20, "INT16": 15}
_SUM_TYPES = frozenset({"FLOAT32", "INT32", "INT8", "INT16"})


@micro_kernel("ADD")
def _add(node: KernelNode) -> None:
    found = checked_pair(node)
    if found is None:
        return
    first, second, result = found
    kind, activation = result.type, node.activation("AddOptions")
    if kind in _SHIFTS:
        if result.scheme == "none":
            node.refuse(_ADD_OUTPUT, f"the output is {kind} without a scale, the kernel needs one", result)
            return
        top = 2 * largest(first.scale, second.scale)
        factors = divided(first.scale, top), divided(second.scale, top)
        factor = divided(top, result.scale * (1 << _SHIFTS[kind]))
        if not are_inputs_below_one(node, found, factors) or not is_output_below_one(node, found, factor):
            return
        has_activation_range(node, result, activation)
    elif kind == "INT32":
        if not is_unquantised(node, (first, second), "add_common.cc"):
            return
        if activation != "NONE":
            node.wrong("fused-activation", f"the fused {activation} is not computed with INT32")
    if evaluates(node, result, _SUM_TYPES):
        reads(node, kind, first, second)
        fits(node, result, first, second, counts=True)
    clips(node, activation)


@micro_kernel("SUB")
def _sub(node: KernelNode) -> None:
    found = checked_pair(node)
    if found is None:
        return
    first, second, result = found
    kind, activation = result.type, node.activation("SubOptions")
    if kind in _SHIFTS:
        top = float32(2 * largest(first.scale, second.scale))
        factors = float32(divided(first.scale, top)), float32(divided(second.scale, top))
        factor = float32(divided(top, float32(result.scale * (1 << _SHIFTS[kind]))))
        if not are_inputs_below_one(node, found, factors) or not is_output_below_one(node, found, factor):
            return
        has_activation_range(node, result, activation)
    elif kind == "INT32" and not is_unquantised(node, found, "sub_common.cc"):
        return
    if evaluates(node, result, _SUM_TYPES):
        reads(node, kind, first, second)
        fits(node, result, first, second, counts=True)
    clips(node, activation)


@micro_kernel("MUL")
def _mul(node: KernelNode) -> None:
    found = checked_pair(node)
    if found is None or not node.has_counts(2):
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    kind, activation = result.type, node.activation("MulOptions")
    if kind in _SHIFTS:
        has_activation_range(node, result, activation)
        if first.type == "INT16":
            for operand, said, role in zip(found, _ZERO_POINTS, ROLES):
                if operand.zero_point:
                    message = f"the {role} is INT16 with zero point {operand.zero_point}, the kernel computes with 0"
                    node.refuse(said, message, operand)
                    return
        _have_scales(node, found)
    if evaluates(node, first, _SUM_TYPES):
        reads(node, first.type, result)
        fits(node, result, first, second, counts=first.type in _SHIFTS)
    clips(node, activation)


def _have_scales(node: KernelNode, operands: Sequence[Operand]) -> None:
    for operand, role in zip(operands, ROLES):
        if not 0 < operand.scale <= LARGEST:
            has_useful_scale(node, operand, role)


@micro_kernel("DIV")
def _div(node: KernelNode) -> None:
    found = checked_pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second, SAME_INPUT_TYPES):
        return
    kind, activation = result.type, node.activation("DivOptions")
    if first.type != kind:
        node.refuse(_OUTPUT_TYPE, f"the inputs are {first.type} and the output {kind}", result)
        return
    if kind == "INT8":
        has_activation_range(node, result, activation)
        _have_scales(node, found)
    elif kind == "INT32":
        if not is_unquantised(node, (first, second), "div.cc"):
            return
        has = has_zero(second, 0)
        if has:
            node.refuse_silently("function-domain", "the divisor has a 0", second, at=Stage.INVOKE)
        elif has is None:
            message = "it depends on the inputs: a divisor of 0 is refused"
            node.doubt("function-domain", message, second, at=Stage.INVOKE)
    if evaluates(node, result, ("FLOAT32", "INT32", "INT8"), _DIV_UNSUPPORTED):
        fits(node, result, first, second, counts=True)
    clips(node, activation)


@micro_kernel("SQUARED_DIFFERENCE")
def _squared_difference(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    found = checked_pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    kind = first.type
    if kind in _SHIFTS:
        if not _has_zero_points(node, found, kind):
            return
        top = 2 * largest(first.scale, second.scale)
        if not are_inputs_below_one(node, found, (divided(first.scale, top), divided(second.scale, top))):
            return
        has_useful_scale(node, result, "output")
    if result.type != kind:
        # The kernel's code goes by the output's type, its factors by the inputs'.
        node.wrong("same-type", f"the inputs are {kind} and the output {result.type}", result)
    if evaluates(node, result, _SUM_TYPES, _SQUARED_UNSUPPORTED):
        fits(node, result, first, second)


def _has_zero_points(node: KernelNode, found: Pair, kind: str) -> bool:
    for operand, least, greatest, symmetric, role in zip(found, _LEAST, _GREATEST, _SYMMETRIC, ROLES):
        point = operand.zero_point
        if kind == "INT16" and point:
            message = f"the {role} is INT16 with zero point {point}, the kernel computes with 0"
            node.refuse(symmetric, message, operand)
            return False
        if not -128 <= point <= 127:
            said = least if point < 0 else greatest
            node.refuse(said, f"the {role} has zero point {point}, INT8 goes from -128 to 127", operand)
            return False
    return True


@micro_kernel("ADD_N")
def _add_n(node: KernelNode) -> None:
    count = len(node.inputs)
    if count < 2:
        node.refuse(_ADD_N_COUNT, f"there are {count} inputs, the kernel takes 2 or more")
        return
    if not node.has_counts(count):
        return
    first, result = node.inputs[0], output(node)
    if first is None:
        node.refuse(_ADD_N_FIRST, "the first input is not given, the kernel needs it")
        return
    if result is None:
        node.refuse(NO_OUTPUT, "the output is not there, the kernel writes it")
        return
    kind = first.type
    if result.type != kind:
        node.refuse(_ADD_N_OUTPUT, f"the first input is {kind} and the output {result.type}", result)
        return
    if not all(_is_like(node, first, position) for position in range(1, count)):
        return
    if kind == "INT8":
        _rescales_one(node, first, result)
    elif kind != "FLOAT32":
        node.refuse(_ADD_N_UNSUPPORTED, f"there is no kernel for {kind}", first)
        return
    fits(node, result, first)


def _is_like(node: KernelNode, first: Operand, position: int) -> bool:
    """Whether an input of ADD_N is of the first one's shape, type and, of INT8, quantisation."""
    other = node.inputs[position]
    if other is None:
        node.refuse(NO_INPUT, f"input {position} is not given, the kernel needs it")
        return False
    if other.shape != first.shape:
        node.refuse(_ADD_N_SHAPE, f"input {position} is {other.shape} and the first {first.shape}", other)
    elif other.type != first.type:
        node.refuse(_ADD_N_TYPE, f"input {position} is {other.type} and the first {first.type}", other)
    elif other.type == "INT8" and other.zero_point != first.zero_point:
        message = f"input {position} has zero point {other.zero_point} and the first {first.zero_point}"
        node.refuse(_ADD_N_ZERO_POINT, message, other)
    elif other.type == "INT8" and other.scale != first.scale:
        message = f"input {position} has scale {other.scale:.9g} and the first {first.scale:.9g}"
        node.refuse(_ADD_N_SCALE, message, other)
    else:
        return True
    return False


def _rescales_one(node: KernelNode, source: Operand, result: Operand) -> bool:
    """ADD_N and CUMSUM rescale INT8 with the scale of the first input; a factor that is none ends the process."""
    top = 2 * source.scale
    factor = divided(top, result.scale * (1 << 20))
    if is_below_one(divided(source.scale, top)) and is_below_one(factor):
        return True
    message = f"scales {source.scale:.9g} and {result.scale:.9g} give an output factor of {factor:.9g}"
    crash_of_scales(node, (source, result), ("input", "output"), f"{message}, not between 0 and 1")
    return False


@micro_kernel("CUMSUM")
def _cumsum(node: KernelNode) -> None:
    if not node.has_counts(2) or not has_all(node, 0):
        return
    source, axis, result = node.inputs[0], node.inputs[1], output(node)
    if source is None or result is None:
        return
    if source.type not in ("FLOAT32", "INT8"):
        node.refuse(_CUMSUM_INPUT, f"the input is {source.type}, the kernel sums FLOAT32 and INT8", source)
        return
    if axis is None:
        node.crash("missing-input", "the axis is not given, and the kernel does not look")
    elif axis.type != "INT32":
        node.refuse(_CUMSUM_AXIS_TYPE, f"the axis is {axis.type}, the kernel reads INT32", axis)
    elif axis.count != 1:
        node.refuse(_CUMSUM_AXES, f"there are {axis.count} axes, the kernel takes 1", axis)
    elif not source.shape:
        node.refuse(_CUMSUM_RANK, "the input is a scalar, the kernel needs a dimension", source)
    elif source.type != result.type:
        node.refuse(_CUMSUM_OUTPUT, f"the input is {source.type} and the output {result.type}", result)
    elif source.shape != result.shape:
        node.refuse(_CUMSUM_SHAPE, f"the input is {source.shape} and the output {result.shape}", result)
    elif source.type != "INT8" or _rescales_one(node, source, result):
        rank = len(source.shape)
        if axis.values and not -rank <= axis.values[0] < rank:
            message = f"the axis is {axis.values[0]}, the input has {rank} dimensions"
            node.refuse(_CUMSUM_AXIS, message, axis, at=Stage.INVOKE)
