"""Kernels that choose: SELECT, SELECT_V2, WHERE and PRELU.

Source: LiteRT and tflite-runtime 2.14 kernels/select.cc, where.cc, activations.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.broadcasting import broadcast, limit_rank
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.pairs import has_kernel, pair
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.scales import BYTES, copies, has_useful_scale
from tflite_surgeon.knowledge.problems import On, Said, Stage
from tflite_surgeon.quantization import LARGEST

_CONDITION = Said("operator-types", "select.cc", "input_condition->type != kTfLiteBool")
_CHOICES = Said("same-type", "select.cc", "input_x->type != input_y->type")
_LOW_RANK = Said("dimension-match", "select.cc", "data->has_low_rank_input_condition was not true")
_SAME_CHOICES = Said("dimension-match", "select.cc", "HaveSameShapes(input_x, input_y) was not true")
_RANK = Said("rank-limit", "select.cc", "output_size->size <= 8 was not true")
_UNSUPPORTED = Said("operator-types", None, "Does not support type other than bool|float|int, got {}")
_WHERE_UNSUPPORTED = Said("operator-types", None, "Condition tensor has unsupported type: ")
_WHERE_RANK = Said("tensor-rank", None, "Where op requires condition w/ rank > ")
_PRELU_TYPE = Said("same-type", "activations.cc", "input->type != alpha->type")
_PRELU_SHAPE = Said("dimension-match", "activations.cc", "HaveSameShapes(input, output) was not true")
_PRELU_UNSUPPORTED = Said(
    "operator-types", None, "Only float32, uint8, int8 and int16 are supported currently, got {}."
)
_PRELU_UNSUPPORTED_2_14 = Said(
    "operator-types", None, "Only float32 and uint8 and int8 are supported currently, got {}."
)

_SELECTED = frozenset({"FLOAT32", "INT8", "UINT8", "INT16", "INT32", "INT64", "UINT32", "BOOL"})
_SELECTED_LITERT = frozenset(BYTES) - {"COMPLEX128"}
_WHERE_TYPES = frozenset({"BOOL", "FLOAT32", "INT64", "INT32", "INT8", "UINT8", "UINT32"})
_SELECT_MOST = 8
_INTEGERS = ("INT8", "UINT8", "INT16")


@kernel("SELECT", "SELECT_V2")
def _select(node: KernelNode) -> None:
    if not node.has_counts(3) or not node.needs(0, 1, 2):
        return
    condition, first, second = node.inputs
    result = node.outputs[0]
    if condition is None or first is None or second is None or result is None:
        return
    if condition.type != "BOOL":
        node.refuse(_CONDITION, f"the condition is {condition.type}, the kernel takes BOOL", condition)
        return
    if first.type != second.type:
        node.refuse(_CHOICES, f"the choices are {first.type} and {second.type}", second)
        return
    result.type = first.type
    if not _shapes_fit(node, condition, first, second, result):
        return
    if result.type in _INTEGERS:
        copies(node, first, result)
        copies(node, second, result)
    has_kernel(node, first, _SELECTED_LITERT, _SELECTED, _UNSUPPORTED)
    if node.name == "SELECT_V2":
        limit_rank(node, first, condition, second)


def _shapes_fit(node: KernelNode, condition: Operand, first: Operand, second: Operand, result: Operand) -> bool:
    if condition.shape is None or first.shape is None or second.shape is None:
        node.resize(0, None)
        return True
    if condition.count == first.count == second.count == result.count == 1:
        return True
    if condition.shape == first.shape == second.shape:
        node.same_shape(0, 1)
        return True
    if node.name == "SELECT_V2":
        return _stretches(node, condition, first, second)
    if condition.shape and (len(condition.shape) > 1 or condition.shape[0] != (first.shape or [0])[0]):
        node.refuse(
            _LOW_RANK,
            f"the condition is {condition.shape} and the first choice {first.shape}: it may be a scalar, one value for "
            "each row, or of the choices' shape",
            condition,
        )
        return False
    if first.shape != second.shape:
        node.refuse(_SAME_CHOICES, f"the choices are {first.shape} and {second.shape}", second)
        return False
    node.same_shape(0, 1)
    return True


def _stretches(node: KernelNode, condition: Operand, first: Operand, second: Operand) -> bool:
    rank = max(len(operand.shape or ()) for operand in (condition, first, second))
    if not broadcast(node, condition, first, second):
        return False
    if rank > _SELECT_MOST:
        node.refuse(_RANK, f"there are {rank} dimensions, the kernel counts {_SELECT_MOST}", condition, on=On.LITERT)
    return True


@kernel("WHERE")
def _where(node: KernelNode) -> None:
    if not node.has_counts(1) or not node.needs(0):
        return
    condition, result = node.inputs[0], node.outputs[0]
    if condition is None or result is None:
        return
    if condition.type not in _WHERE_TYPES:
        message = f"there is no kernel for {condition.type}"
        node.refuse(_WHERE_UNSUPPORTED, message, condition, on=On.LITERT)
        if condition.rank != 0:
            node.wrong("operator-types", f"{message}, and the output stays as it is", condition, on=On.V2_14)
    if condition.rank == 0:
        node.refuse(_WHERE_RANK, "the condition is a scalar, the kernel needs a dimension", condition, at=Stage.INVOKE)
    if condition.type not in _WHERE_TYPES:
        return
    result.type = "INT64"
    count = _true_count(condition)
    node.resize(0, None if count is None or condition.shape is None else [count, len(condition.shape)])


def _true_count(condition: Operand) -> int | None:
    """How many elements of a constant are not 0; None where it is no constant."""
    if not condition.is_constant:
        return None
    size = BYTES[condition.type]
    data = bytes(condition.tensor.data or b"")
    zeros = (bytes(size), bytes(size - 1) + b"\x80" if condition.type == "FLOAT32" else bytes(size))
    return sum(data[start : start + size] not in zeros for start in range(0, len(data) - size + 1, size))


@kernel("PRELU")
def _prelu(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    source, alpha, result = found
    if source.type != alpha.type:
        node.refuse(_PRELU_TYPE, f"the input is {source.type} and alpha {alpha.type}", alpha, on=On.V2_14)
    kind = result.type = source.type
    if not broadcast(node, source, alpha):
        return
    if source.shape is not None and result.shape is not None and source.shape != result.shape:
        message = f"alpha is {alpha.shape} and would make an output of {result.shape} from an input of {source.shape}"
        node.refuse(_PRELU_SHAPE, message, alpha)
        return
    litert = ("FLOAT32", *_INTEGERS)
    has_kernel(node, source, litert, ("FLOAT32", "INT8", "UINT8"), _PRELU_UNSUPPORTED, _PRELU_UNSUPPORTED_2_14)
    if kind in _INTEGERS:
        for operand, role in ((source, "input"), (alpha, "alpha"), (result, "output")):
            if not 0 < operand.scale <= LARGEST:
                has_useful_scale(node, operand, role)
    expected = "INT8" if kind == "INT16" else kind
    if alpha.type != expected and kind in litert:
        message = f"alpha is {alpha.type}, the kernel reads it as {expected}"
        node.wrong("same-type", message, alpha, on=On.LITERT)
    limit_rank(node, source, alpha)
