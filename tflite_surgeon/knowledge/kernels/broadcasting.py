"""Shapes that are stretched to one another, and how many dimensions each kernel's loops can count.

Source: LiteRT kernel_util.cc (CalculateShapeForBroadcast), kernels/internal/common.h; limits of tflite-runtime 2.14 and
of LiteRT 2.3 found by running each kernel with 4 to 9 dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import On, Said, Stage

NOT_BROADCASTABLE = Said("broadcast", None, "Given shapes, {}, are not broadcastable.")
# Every kernel stretches up to so many dimensions.
_ALWAYS = 4
_LITERT_LIMIT = 8
_FOUR = 4

# How many dimensions kernels of tflite-runtime 2.14 stretch, by operator and type; of those not named, four.
_LIMITS: dict[str, dict[str, int]] = {
    "ADD": dict.fromkeys(("FLOAT32", "INT8", "UINT8", "INT16", "INT32", "INT64"), 6),
    "SUB": {"FLOAT32": 6, "INT8": 5, "UINT8": 5, "INT16": 5, "INT32": 5, "INT64": 5},
    "MUL": {"FLOAT32": 6},
    "DIV": {"FLOAT32": 6, "INT32": 5, "UINT8": 5},
    "SQUARED_DIFFERENCE": {"FLOAT32": 6, "INT8": 6},
    "SELECT_V2": dict.fromkeys(("FLOAT32", "INT8", "UINT8", "INT16", "INT32", "INT64", "UINT32", "BOOL"), 5),
}
_LIMITS["MAXIMUM"] = _LIMITS["MINIMUM"] = {
    "FLOAT32": 6,
    "INT8": 5,
    "UINT8": 5,
    "INT16": 5,
    "INT32": 5,
    "INT64": 5,
}
# Kernels that first try to do with five nested loops, each over dimensions that are stretched alike.
_FIVE_LOOPS: dict[str, tuple[str, ...]] = {
    "ADD": ("FLOAT32", "INT8", "UINT8"),
    "SUB": ("INT16",),
    "MUL": ("FLOAT32", "INT8", "UINT8"),
    "MAXIMUM": ("INT8",),
    "MINIMUM": ("INT8",),
    "PRELU": ("FLOAT32",),
}
# Kernels to which leading dimensions of 1 make no difference.
_LEADING_ONES: dict[str, tuple[str, ...]] = {
    "ADD": ("INT16",),
    "SUB": ("INT8", "UINT8"),
    "MUL": ("INT16", "INT32", "INT64", "UINT32", "COMPLEX64", "FLOAT16"),
    "DIV": ("INT8", "UINT8", "INT16"),
}


def stretched(shapes: Sequence[Sequence[int]]) -> list[int] | None:
    """The shape to which shapes are stretched; None where a dimension differs and is not 1."""
    if len(shapes) == 2:
        # The common case: one shape is the end of the other, as of a bias.
        short, long = shapes if len(shapes[0]) <= len(shapes[1]) else (shapes[1], shapes[0])
        if long[len(long) - len(short) :] == short:
            return list(long)
    rank = max(map(len, shapes))
    padded = [[1] * (rank - len(shape)) + list(shape) for shape in shapes]
    result = []
    for sizes in zip(*padded):
        others = set(sizes) - {1}
        if len(others) > 1:
            return None
        result.append(others.pop() if others else 1)
    return result


def broadcast(node: KernelNode, *operands: Operand) -> bool:
    """Give the output the shape to which the operands are stretched; False where they do not fit."""
    first = operands[0].shape
    if first is not None and all(operand.shape == first for operand in operands):
        node.resize(0, list(first))
        return True
    shapes = [operand.shape for operand in operands if operand.shape is not None]
    if len(shapes) < len(operands):
        node.resize(0, None)
        return True
    shape = stretched(shapes)
    if shape is None:
        message = f"shapes {' and '.join(map(str, shapes))} do not broadcast: a size differs and is not 1"
        node.refuse(NOT_BROADCASTABLE, message, operands[-1])
        return False
    node.resize(0, shape)
    return True


def limit_rank(node: KernelNode, *operands: Operand) -> None:
    """Whether the kernel can count the dimensions over which it stretches operands; it finds out when it runs."""
    result = node.outputs[0]
    if result is None or result.shape is None or len(result.shape) <= _ALWAYS:
        return
    shapes = [operand.shape for operand in operands if operand.shape is not None]
    kind, rank, operator = operands[0].type, len(result.shape), node.name
    if all(shape == shapes[0] for shape in shapes) or _runs_through(operator, kind, shapes):
        return
    limit = _LIMITS.get(operator, {}).get(kind, _FOUR)
    for reach, on in ((limit, On.V2_14), (_LITERT_LIMIT, On.LITERT)):
        # LiteRT's SELECT_V2 counts the dimensions when it prepares the node.
        if rank > reach and not (operator == "SELECT_V2" and on == On.LITERT):
            node.crash(
                "rank-limit",
                f"shapes {' and '.join(map(str, shapes))} are stretched over {rank} dimensions, the kernel counts "
                f"{reach}: the process ends",
                on=on,
                at=Stage.INVOKE,
            )


def _runs_through(operator: str, kind: str, shapes: Sequence[Sequence[int]]) -> bool:
    """Whether the kernel does without counting dimensions."""
    is_same = _without_leading_ones(shapes[0]) == _without_leading_ones(shapes[1])
    if kind in _FIVE_LOOPS.get(operator, ()):
        return fits_five_loops(*shapes) if not is_same else operator not in ("MAXIMUM", "MINIMUM")
    return is_same and kind in _LEADING_ONES.get(operator, ())


def _without_leading_ones(shape: Sequence[int]) -> list[int]:
    start = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return list(shape[start:])


def fits_five_loops(first: Sequence[int], second: Sequence[int]) -> bool:
    """Whether five loops do: runs of equal sizes, and between them runs in which one shape is 1, alternately.

    Source: kernels/internal/optimized/optimized_ops.h, ProcessBroadcastShapes.
    """
    rank = max(len(first), len(second))
    pairs = list(zip([1] * (rank - len(first)) + list(first), [1] * (rank - len(second)) + list(second)))
    # The inner one is the shape that is 1 in the last dimension in which they differ.
    if next((a for a, b in reversed(pairs) if a != b), 1) != 1:
        pairs = [(b, a) for a, b in pairs]
    for is_in_run in (_is_equal, _is_first_one, _is_equal, _is_second_one, _is_equal):
        while pairs and is_in_run(*pairs[-1]):
            pairs.pop()
    return not pairs


def _is_equal(first: int, second: int) -> bool:
    return first == second


def _is_first_one(first: int, second: int) -> bool:
    return first == 1


def _is_second_one(first: int, second: int) -> bool:
    return second == 1
