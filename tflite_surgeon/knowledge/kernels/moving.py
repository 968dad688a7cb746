"""What kernels that move values about have in common.

Source: LiteRT kernels/kernel_util.cc; what each kernel does with it stands beside its model.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import On, Said, Stage

SAME_TYPE_IN_CONTEXT = Said("same-type", "*", "op_context.input->type != op_context.output->type")
SAME_TYPE_TURNED = Said("same-type", "*", "output->type != input->type")

INDEX_TYPES = ("INT32", "INT64")
# Bits of an element, where it is a whole number of bytes; source: kernel_util.cc, TfLiteTypeGetSizeBits.
_WIDTHS = {
    **dict.fromkeys(("INT8", "UINT8", "BOOL"), 8),
    **dict.fromkeys(("INT16", "UINT16", "FLOAT16", "BFLOAT16"), 16),
    **dict.fromkeys(("INT32", "UINT32", "FLOAT32"), 32),
    **dict.fromkeys(("INT64", "UINT64", "FLOAT64", "COMPLEX64"), 64),
}
EVERY_WIDTH = frozenset(_WIDTHS)
# The integer that lies farthest from zero; where scales differ its value is off most.
_FARTHEST = {"INT4": 8, "INT8": 128, "UINT8": 255, "INT16": 32768}
_MOST_BYTES = 1 << 14


def width(type_name: str) -> int | None:
    """Bits of an element; None where they are no whole number of bytes, or vary."""
    return _WIDTHS.get(type_name)


def words(operand: Operand) -> list[int] | None:
    """A small constant's bytes as 32-bit integers: what a kernel reads that does not look at the type.

    None where the values are not known.
    """
    if operand.type == "INT32" or not operand.is_constant:
        return operand.values
    data = operand.tensor.data or b""
    if len(data) > _MOST_BYTES:
        return None
    return [int.from_bytes(data[at : at + 4], "little", signed=True) for at in range(0, len(data) - 3, 4)]


def reads(node: KernelNode, *positions: int, on: On | None = None) -> bool:
    """Whether inputs are given that the kernel reads without a look; the process dies where one is not."""
    for position in positions:
        if node.input(position) is None:
            node.crash("missing-input", f"input {position} is not given, and the kernel reads it without a look", on=on)
            return False
    return True


def agrees(
    node: KernelNode, said: Said, source: Operand, result: Operand, *, on: On | None = None, at: Stage | None = None
) -> None:
    """The kernel refuses two tensors of different types."""
    if source.type != result.type:
        node.refuse(said, f"one tensor is {source.type}, the other {result.type}", result, on=on, at=at)


def is_of(
    node: KernelNode,
    said: Said,
    operand: Operand,
    types: Collection[str],
    *,
    on: On | None = None,
    at: Stage | None = None,
) -> bool:
    """Whether a tensor is of a type that the kernel has; another one is refused."""
    if operand.type in types:
        return True
    if len(types) > 4:
        node.refuse(said, f"there is no kernel for {operand.type}", operand, on=on, at=at)
    else:
        node.refuse(said, f"a tensor is {operand.type}, the kernel takes {' or '.join(types)}", operand, on=on, at=at)
    return False


def has_rank(
    node: KernelNode, said: Said, operand: Operand, rank: int, *, on: On | None = None, at: Stage | None = None
) -> bool:
    """Whether a tensor has so many dimensions; another number is refused."""
    if operand.shape is None or len(operand.shape) == rank:
        return True
    node.refuse(said, f"a tensor has {len(operand.shape)} dimensions, the kernel takes {rank}", operand, on=on, at=at)
    return False


def keeps_quantization(
    node: KernelNode,
    scale_said: Said,
    point_said: Said,
    source: Operand,
    result: Operand,
    *,
    on: On | None = None,
    at: Stage | None = None,
) -> None:
    """The kernel refuses a scale or zero point that is not the input's to the bit."""
    if source.scale != result.scale:
        node.refuse(scale_said, f"the scales {source.scale:.9g} and {result.scale:.9g} differ", result, on=on, at=at)
    elif source.zero_point != result.zero_point:
        node.refuse(
            point_said, f"the zero points {source.zero_point} and {result.zero_point} differ", result, on=on, at=at
        )


def copies(node: KernelNode, source: Operand, result: Operand, on: On | None = None) -> None:
    """Integers are copied as they are: another scale or zero point gives them another meaning.

    Scales as near as rounding makes them give every integer its value to half a step.
    """
    farthest = _FARTHEST.get(source.type)
    if farthest is None or source.tensor.quantization is None or source.type != result.type:
        return
    if len(source.scales) != 1 or len(result.scales) != 1:
        return
    was, becomes = source.scale, result.scale
    if abs(was - becomes) * farthest > abs(becomes) / 2:
        node.wrong(
            "same-quantization",
            f"integers are copied as they are, from scale {was:.9g} to scale {becomes:.9g}",
            result,
            on=on,
        )
    elif source.zero_point != result.zero_point:
        node.wrong(
            "same-quantization",
            f"integers are copied as they are, from zero point {source.zero_point} to {result.zero_point}",
            result,
            on=on,
        )


def passes_values(node: KernelNode, source: Operand, result: Operand) -> None:
    """The kernel computes its output as soon as it prepares the node, where it finds the input's values there."""
    if source.is_fixed:
        result.know(source.values)


def axis_of(axis: int, rank: int) -> int | None:
    """An axis that may count from the end; None where there is no such axis."""
    axis = axis + rank if axis < 0 else axis
    return axis if 0 <= axis < rank else None


def indices(values: Sequence[int] | None, count: int | None) -> list[int] | None:
    """The first values, as many as a shape says; None where they are not known, or fewer are there."""
    if values is None or count is None or len(values) < count:
        return None
    return list(values[:count])
