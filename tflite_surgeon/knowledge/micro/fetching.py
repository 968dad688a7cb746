"""What TFLM's kernels that move values have in common: they trust shapes and types as the file has them.

Source: tflite-micro kernels/kernel_util.cc, micro_context.cc, kernels/internal/runtime_shape.h; the Python wheel.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import Said, Stage

MISSING_OUTPUT = Said("tensor-count", "*", "output != nullptr was not true")
# What a RuntimeShape of TFLM holds; a longer one is written past its end.
MOST_DIMENSIONS = 6
_QUANTISED = ("INT8", "UINT8", "INT16", "INT32", "INT4")
_SAME_WITHIN = 1e-6
# Bytes of an element.
WIDTHS = {
    **dict.fromkeys(("FLOAT32", "INT32", "UINT32"), 4),
    **dict.fromkeys(("FLOAT16", "BFLOAT16", "INT16", "UINT16"), 2),
    **dict.fromkeys(("INT8", "UINT8", "BOOL", "INT4"), 1),
    **dict.fromkeys(("FLOAT64", "INT64", "UINT64", "COMPLEX64"), 8),
}


def output(node: KernelNode, position: int = 0) -> Operand | None:
    """An output; None where there is none."""
    return node.outputs[position] if position < len(node.outputs) else None


def has_all(node: KernelNode, *positions: int, at: Stage = Stage.ALLOCATE) -> bool:
    """Whether inputs are given that the kernel follows without a look; at the first that is not it dies."""
    for position in positions:
        if node.input(position) is None:
            node.crash("missing-input", f"input {position} is not given, and the kernel does not look", at=at)
            return False
    return True


def has_output(node: KernelNode, position: int = 0, at: Stage = Stage.ALLOCATE) -> bool:
    """Whether an output is there that the kernel follows without a look."""
    if output(node, position) is None:
        node.doubt("tensor-count", f"output {position} is missing: the kernel takes what lies there in memory", at=at)
        return False
    return True


def checked(node: KernelNode, position: int, said: Said) -> Operand | None:
    """An input that the kernel refuses to be without."""
    found = node.input(position)
    if found is None:
        node.refuse(said, f"input {position} is not given, the kernel needs it")
    return found


def checked_output(node: KernelNode, position: int = 0, said: Said = MISSING_OUTPUT) -> Operand | None:
    """An output that the kernel refuses to be without."""
    found = output(node, position)
    if found is None:
        node.refuse(said, f"output {position} is not there, the kernel writes it")
    return found


def words(operand: Operand, count: int) -> Sequence[int] | None:
    """A constant's first integers as a kernel finds them that takes every type for INT32; None where it has fewer."""
    if not operand.is_constant:
        return None
    data = operand.tensor.data or b""
    return struct.unpack_from(f"<{count}i", data) if len(data) >= 4 * count else None


def needs_constant(node: KernelNode, operand: Operand, said: Said, role: str) -> bool:
    """Whether an input is a constant; another is refused."""
    if operand.is_constant:
        return True
    node.refuse(said, f"{role} is computed when the model runs, the kernel needs a constant", operand)
    return False


def evaluates(node: KernelNode, operand: Operand, types: Sequence[str], said: Said) -> bool:
    """Whether the kernel has code for a type; it finds out when the model runs."""
    if operand.type in types:
        return True
    node.refuse(said, f"there is no kernel for {operand.type}, only for {', '.join(types)}", operand, at=Stage.INVOKE)
    return False


def copies(node: KernelNode, source: Operand, result: Operand) -> None:
    """Integers are copied as they are; they should mean the same on both sides."""
    if source.type != result.type:
        node.wrong("same-type", f"the input is {source.type} and the output {result.type}, bytes are copied", result)
    elif source.type in _QUANTISED and source.is_affine and result.is_affine:
        first, second = source.scale, result.scale
        if abs(first - second) > _SAME_WITHIN * max(abs(first), abs(second)):
            node.wrong(
                "same-quantization",
                f"integers are copied as they are, from scale {first:.9g} to scale {second:.9g}",
                result,
            )
        elif source.zero_point != result.zero_point:
            node.wrong(
                "same-quantization",
                f"integers are copied as they are, from zero point {source.zero_point} to {result.zero_point}",
                result,
            )


def stores(node: KernelNode, result: Operand, count: int) -> None:
    """The kernel writes so many elements, whatever the file says of the output."""
    stored = result.count
    if stored is not None and stored != count and stored > 0:
        node.wrong("stored-shape", f"the output is stored as {result.shape}, the kernel makes {count} elements", result)


def elements(shape: Sequence[int]) -> int:
    """How many elements a tensor of this shape has."""
    return prod(shape)
