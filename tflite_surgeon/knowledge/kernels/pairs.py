"""What kernels of two inputs and one output have in common.

Source: LiteRT and tflite-runtime 2.14 kernels/add.cc, comparisons.cc and the others named beside their models.
"""

from __future__ import annotations

from collections.abc import Container

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import On, Said, Stage

SAME_INPUT_TYPES = Said("same-type", "*", "input1->type != input2->type")
NO_FIRST = Said("missing-input", "*", "input1 != nullptr was not true")
NO_SECOND = Said("missing-input", "*", "input2 != nullptr was not true")

Pair = tuple[Operand, Operand, Operand]
_CLIPPING = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def pair(node: KernelNode) -> Pair | None:
    """Both inputs and the output; None, after a refusal, where they are not there."""
    if not node.has_counts(2) or not node.needs(0, 1):
        return None
    first, second, result = node.inputs[0], node.inputs[1], node.outputs[0]
    return None if first is None or second is None or result is None else (first, second, result)


def has_same_inputs(node: KernelNode, first: Operand, second: Operand, said: Said = SAME_INPUT_TYPES) -> bool:
    """Whether both inputs are of one type; else the node is refused."""
    if first.type == second.type:
        return True
    node.refuse(said, f"the first input is {first.type} and the second {second.type}", second)
    return False


def has_kernel(
    node: KernelNode,
    operand: Operand,
    litert: Container[str],
    v2_14: Container[str],
    litert_said: Said,
    v2_14_said: Said | None = None,
    at: Stage = Stage.INVOKE,
) -> bool:
    """Whether the kernels of LiteRT and of tflite-runtime 2.14 compute with a type."""
    lacking = On(0)
    for types, on in ((litert, On.LITERT), (v2_14, On.V2_14)):
        if operand.type not in types:
            lacking |= on
    if not lacking:
        return True
    message = f"there is no kernel for {operand.type}"
    if v2_14_said is None:
        node.refuse(litert_said, message, operand, on=lacking, at=at)
    else:
        node.refuse(litert_said, message, operand, on=lacking & On.LITERT, at=at)
        node.refuse(v2_14_said, message, operand, on=lacking & On.V2_14, at=at)
    return lacking != On.TFLITE


def clips(node: KernelNode, activation: str, on: On | None = None) -> None:
    """Activations that the kernel knows how to fuse; it passes over others."""
    if activation not in _CLIPPING:
        node.wrong("fused-activation", f"the fused {activation} is not computed", on=on)


def has_zero(operand: Operand, zero: int) -> bool | None:
    """Whether a constant has an element that is this integer; None where it is no constant, or its type unknown."""
    if not operand.is_constant:
        return None
    size = {"INT8": 1, "UINT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "FLOAT32": 4}.get(operand.type)
    if size is None:
        return None
    data = bytes(operand.tensor.data or b"")
    sought = (zero & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    start = data.find(sought)
    while start % size and start >= 0:
        start = data.find(sought, start + 1)
    return start >= 0
