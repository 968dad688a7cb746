"""What TFLM's kernels of two inputs have in common: they compute with shapes and types as the file has them.

Source: tflite-micro kernels/add_common.cc, comparisons.cc and the others named beside their models.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from tflite_surgeon.knowledge.kernels.broadcasting import stretched
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.pairs import NO_FIRST, NO_SECOND, Pair
from tflite_surgeon.knowledge.kernels.sayings import NO_OUTPUT
from tflite_surgeon.knowledge.micro.fetching import MOST_DIMENSIONS, has_all, has_output, output
from tflite_surgeon.knowledge.problems import Said, Stage

UNSUPPORTED = Said("operator-types", None, "Type {} not supported.")
UNQUANTISED = {
    (name, file): Said("quantization-scheme", file, f"{name}->quantization.type != kTfLiteNoQuantization (")
    for file in ("add_common.cc", "sub_common.cc", "div.cc")
    for name in ("input1", "input2", "output")
}


def checked_pair(node: KernelNode) -> Pair | None:
    """Both inputs and the output, of a kernel that refuses to be without one."""
    first, second, result = node.input(0), node.input(1), output(node)
    for operand, said, role in ((first, NO_FIRST, "input 0"), (second, NO_SECOND, "input 1")):
        if operand is None:
            node.refuse(said, f"{role} is not given, the kernel needs it")
            return None
    if result is None:
        node.refuse(NO_OUTPUT, "the output is not there, the kernel writes it")
    return None if first is None or second is None or result is None else (first, second, result)


def unchecked_pair(node: KernelNode) -> Pair | None:
    """Both inputs and the output, of a kernel that follows them without a look when the model runs."""
    if not has_all(node, 0, 1, at=Stage.INVOKE) or not has_output(node, at=Stage.INVOKE):
        return None
    first, second, result = node.inputs[0], node.inputs[1], node.outputs[0]
    return None if first is None or second is None or result is None else (first, second, result)


def is_unquantised(node: KernelNode, operands: Sequence[Operand], file: str) -> bool:
    """Whether 32-bit integers have no scale; one is refused."""
    for operand, name in zip(operands, ("input1", "input2", "output")):
        if operand.scheme != "none":
            message = f"an {name.rstrip('12')} is INT32 with a scale, the kernel takes plain integers"
            node.refuse(UNQUANTISED[name, file], message, operand)
            return False
    return True


def evaluates(node: KernelNode, operand: Operand, types: Container[str], said: Said = UNSUPPORTED) -> bool:
    """Whether the kernel has code for a type; it finds out when the model runs."""
    if operand.type in types:
        return True
    node.refuse(said, f"there is no kernel for {operand.type}", operand, at=Stage.INVOKE)
    return False


def reads(node: KernelNode, kind: str, *operands: Operand) -> None:
    """The kernel takes memory for a type that the file may not give it."""
    for operand in operands:
        if operand.type != kind:
            node.wrong("same-type", f"the kernel reads {operand.type} as if it were {kind}", operand)
            return


def fits(node: KernelNode, result: Operand, *operands: Operand, counts: bool = False) -> None:
    """Whether stored shapes are those of an element-wise operator: nothing but the file's shapes counts.

    Args:
        node: the node.
        result: its output.
        operands: its inputs.
        counts: the kernel compares the numbers of elements where it stretches no input, and ends the process.
    """
    shapes = [operand.shape for operand in operands if operand.shape is not None]
    first, stored = shapes[0], result.shape
    if stored is None or len(shapes) < len(operands):
        return
    if max(map(len, shapes)) > MOST_DIMENSIONS:
        node.doubt("rank-limit", f"the kernel has room for {MOST_DIMENSIONS} dimensions", result, at=Stage.INVOKE)
    if stored == first and all(shape == first for shape in shapes):
        return
    shape = stretched(shapes)
    if shape is None:
        message = f"shapes {' and '.join(map(str, shapes))} do not broadcast, and the kernel does not look"
        node.wrong("broadcast", message, operands[-1])
    elif counts and result.count != operands[0].count and all(one == first for one in shapes):
        message = f"the output is stored as {stored}, the kernel makes {shape}: the process ends"
        node.crash("stored-shape", message, result, at=Stage.INVOKE)
    elif _without_ones(shape) != _without_ones(stored):
        node.wrong("stored-shape", f"the output is stored as {stored}, the kernel makes {shape}", result)


def _without_ones(shape: Sequence[int]) -> list[int]:
    """What is left of a shape that decides where an element lies in memory."""
    return [size for size in shape if size != 1]
