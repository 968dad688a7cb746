"""TFLM's kernels that compare or choose: GREATER and the like, MAXIMUM, LOGICAL_AND, FLOOR_DIV, SELECT_V2, PRELU.

Source: tflite-micro kernels/comparisons.cc, maximum_minimum.cc, logical_common.cc, floor_div.cc, floor_mod.cc,
select.cc, prelu_common.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.broadcasting import stretched
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.pairs import NO_FIRST, NO_SECOND, has_same_inputs, has_zero
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.rescaling import is_below_one
from tflite_surgeon.knowledge.kernels.sayings import NO_INPUT, NO_OUTPUT
from tflite_surgeon.knowledge.kernels.scales import copies, has_useful_scale
from tflite_surgeon.knowledge.micro.fetching import has_all, has_output, output, stores
from tflite_surgeon.knowledge.micro.pairs import checked_pair, evaluates, fits, reads, unchecked_pair
from tflite_surgeon.knowledge.problems import Said, Stage
from tflite_surgeon.quantization import LARGEST

_EXTREME_UNSUPPORTED = Said("operator-types", None, "Type {} is not supported by Maximum/Minimum.")
_OUTPUT_TYPE = Said("same-type", "*", "input1->type != output->type")
_FLOOR_UNSUPPORTED = {
    "FLOOR_DIV": Said("operator-types", None, "Type '{}' is not supported by FLOOR_DIV."),
    "FLOOR_MOD": Said("operator-types", None, "Type '{}' is not supported by FLOOR_MOD."),
}
_DIVISION_BY_ZERO = Said("function-domain", None, "Division by ")
_CONDITION = Said("operator-types", "select.cc", "input_condition->type != kTfLiteBool")
_CHOICES = Said("same-type", "select.cc", "input_x->type != input_y->type")
_NOT_BROADCASTABLE = Said("broadcast", None, "Given shapes are not broadcastable.")
_SELECT_RANK = Said("output-shape", "select.cc", "out_dims != output_shape->size")
_SELECT_SIZE = Said("output-shape", "select.cc", "output_shape->data[out_dims - i - 1] != max_value")
_SELECT_UNSUPPORTED = Said("operator-types", None, "Does not support type other than int8|int16|float32, but got {}")
_NO_ALPHA = Said("missing-input", "prelu_common.cc", "alpha != nullptr was not true")
_ALPHA_TYPE = Said("operator-types", "prelu_common.cc", "alpha->type == kTfLiteInt8 was not true")
_PRELU_UNSUPPORTED = Said("operator-types", None, "Input type '{}' is not supported.")

_ORDERED = frozenset({"FLOAT32", "INT32", "INT64", "INT8"})
_TYPES = {
    "EQUAL": _ORDERED | {"BOOL"},
    "NOT_EQUAL": _ORDERED | {"BOOL"},
    "GREATER": _ORDERED | {"INT16"},
    "GREATER_EQUAL": _ORDERED,
    "LESS": _ORDERED,
    "LESS_EQUAL": _ORDERED,
}
_EXTREMES = frozenset({"FLOAT32", "INT8", "INT16", "INT32", "INT64"})
_SELECTED = frozenset({"FLOAT32", "INT8", "INT16"})
_PRELU_RANK = 4


@micro_kernel(*_TYPES)
def _compare(node: KernelNode) -> None:
    first, second = node.input(0), node.input(1)
    for operand, said, position in ((first, NO_FIRST, 0), (second, NO_SECOND, 1)):
        if operand is None:
            node.refuse(said, f"input {position} is not given, the kernel needs it")
            return
    if first is None or second is None:
        return
    if first.type == "INT8":
        for operand in (first, second):
            if not is_below_one(operand.scale):
                _dies_of_scale(node, operand)
                return
    if not has_output(node, at=Stage.INVOKE):
        return
    result = output(node)
    if result is None or not evaluates(node, first, _TYPES[node.name]):
        return
    reads(node, first.type, second)
    if first.type == "INT16" and first.is_affine and second.is_affine and first.scale != second.scale:
        message = f"integers are compared as they are, of scales {first.scale:.9g} and {second.scale:.9g}"
        node.wrong("same-quantization", message, second)
    if result.type != "BOOL":
        node.wrong("same-type", f"the kernel writes BOOL into an output of {result.type}", result)
    fits(node, result, first, second)


def _dies_of_scale(node: KernelNode, operand: Operand) -> None:
    if operand.scheme == "none":
        message = f"an input is {operand.type} without a scale: the process ends"
        node.crash("missing-quantization", message, operand)
    else:
        message = f"a scale is {operand.scale:.9g}, the kernel takes those between 0 and 1: the process ends"
        node.crash("comparison-scale", message, operand)


@micro_kernel("MAXIMUM", "MINIMUM")
def _extreme(node: KernelNode) -> None:
    # The kernel looks at the output's type before it follows the inputs.
    written = output(node)
    if written is not None and not evaluates(node, written, _EXTREMES, _EXTREME_UNSUPPORTED):
        return
    found = unchecked_pair(node)
    if found is None:
        return
    first, second, result = found
    reads(node, result.type, first, second)
    if result.type != "FLOAT32":
        copies(node, first, result)
        copies(node, second, result)
    fits(node, result, first, second, counts=True)


@micro_kernel("LOGICAL_AND", "LOGICAL_OR")
def _logical(node: KernelNode) -> None:
    found = unchecked_pair(node)
    if found is None:
        return
    first, second, result = found
    reads(node, "BOOL", first, second, result)
    fits(node, result, first, second)


@micro_kernel("FLOOR_DIV", "FLOOR_MOD")
def _floor(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    found = checked_pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    if first.type != result.type:
        node.refuse(_OUTPUT_TYPE, f"the inputs are {first.type} and the output {result.type}", result)
        return
    if not evaluates(node, first, ("FLOAT32",), _FLOOR_UNSUPPORTED[node.name]):
        return
    if node.name == "FLOOR_DIV":
        has = has_zero(second, 0)
        if has:
            node.refuse(_DIVISION_BY_ZERO, "the divisor has a 0", second, at=Stage.INVOKE)
        elif has is None:
            message = "it depends on the inputs: a divisor of 0 is refused"
            node.doubt("function-domain", message, second, at=Stage.INVOKE)
    fits(node, result, first, second)


@micro_kernel("SELECT_V2")
def _select(node: KernelNode) -> None:
    if not node.has_counts(3) or not has_all(node, 0):
        return
    condition, first, second = node.inputs
    result = output(node)
    if condition is None or result is None:
        return
    if condition.type != "BOOL":
        node.refuse(_CONDITION, f"the condition is {condition.type}, the kernel takes BOOL", condition)
        return
    if not has_all(node, 1, 2) or first is None or second is None:
        return
    if first.type != second.type:
        node.refuse(_CHOICES, f"the choices are {first.type} and {second.type}", second)
        return
    if not _select_fits(node, condition, first, second, result):
        return
    if evaluates(node, first, _SELECTED, _SELECT_UNSUPPORTED):
        if result.type != first.type:
            node.wrong("same-type", f"the kernel writes {first.type} into an output of {result.type}", result)
        elif first.type != "FLOAT32":
            copies(node, first, result)
            copies(node, second, result)


def _select_fits(node: KernelNode, condition: Operand, first: Operand, second: Operand, result: Operand) -> bool:
    shapes = [operand.shape or [] for operand in (condition, first, second)]
    stored = result.shape or []
    if shapes[0] == shapes[1] == shapes[2]:
        stores(node, result, condition.count or 0)
        return True
    if condition.count == first.count == second.count == result.count == 1:
        return True
    if max(map(len, shapes)) != len(stored):
        message = f"the output has {len(stored)} dimensions and the inputs up to {max(map(len, shapes))}"
        node.refuse(_SELECT_RANK, message, result)
        return False
    # The kernel goes from the last dimension to the first.
    rank = len(stored)
    padded = [[1] * (rank - len(shape)) + shape for shape in shapes]
    for axis in range(rank - 1, -1, -1):
        size = stretched([[shape[axis]] for shape in padded])
        if size is None:
            node.refuse(_NOT_BROADCASTABLE, f"shapes {' and '.join(map(str, shapes))} do not broadcast", second)
            return False
        if size[0] != stored[axis]:
            message = f"the output is stored as {stored}, dimension {axis} of what the kernel makes is {size[0]}"
            node.refuse(_SELECT_SIZE, message, result)
            return False
    return True


@micro_kernel("PRELU")
def _prelu(node: KernelNode) -> None:
    source, alpha, result = node.input(0), node.input(1), output(node)
    for operand, said, role in (
        (source, NO_INPUT, "input"),
        (alpha, _NO_ALPHA, "alpha"),
        (result, NO_OUTPUT, "output"),
    ):
        if operand is None:
            node.refuse(said, f"the {role} is not given, the kernel needs it")
            return
    if source is None or alpha is None or result is None:
        return
    if result.type == "INT16" and alpha.type != "INT8":
        node.refuse(_ALPHA_TYPE, f"alpha is {alpha.type}, the kernel takes INT8 beside INT16", alpha)
        return
    if not evaluates(node, source, _SELECTED, _PRELU_UNSUPPORTED):
        return
    kind = source.type
    if kind == "FLOAT32":
        rank = max(len(operand.shape or ()) for operand in (source, alpha, result))
        if rank > _PRELU_RANK:
            message = f"there are {rank} dimensions, the kernel counts {_PRELU_RANK}: the process ends"
            node.crash("rank-limit", message, source, at=Stage.INVOKE)
            return
    else:
        for operand, role in ((source, "input"), (alpha, "alpha"), (result, "output")):
            if not 0 < operand.scale <= LARGEST:
                has_useful_scale(node, operand, role)
    reads(node, "INT8" if kind == "INT16" else kind, alpha)
    reads(node, kind, result)
    fits(node, result, source, alpha)
