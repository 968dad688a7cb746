"""What becomes of numbers where scales are missing, mean nothing, or cannot hold a function's values.

Kernels of operators with one input accept such scales and compute with them.
Source: LiteRT kernels/internal/quantization_util.cc (QuantizeMultiplier); seen in LiteRT, tflite-runtime 2.14 and TFLM.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.fixed_outputs import RANGES
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import On
from tflite_surgeon.quantization import LARGEST, LIMITS

INTEGERS = frozenset({"UINT8", "INT8", "INT16"})
EIGHT_BITS = frozenset({"UINT8", "INT8"})
LOWEST = {name: LIMITS[name][0] for name in INTEGERS}
HIGHEST = {name: LIMITS[name][1] for name in INTEGERS}
BYTES = {
    "FLOAT32": 4,
    "FLOAT16": 2,
    "BFLOAT16": 2,
    "FLOAT64": 8,
    "INT8": 1,
    "UINT8": 1,
    "BOOL": 1,
    "INT16": 2,
    "UINT16": 2,
    "INT32": 4,
    "UINT32": 4,
    "INT64": 8,
    "UINT64": 8,
    "COMPLEX64": 8,
    "COMPLEX128": 16,
}
# The spec's own outputs miss the end of a function's range by this part of it: 255/256 stands for 1.
_MISSED = 1 / 256


def rescales(node: KernelNode, source: Operand, result: Operand, on: On | None = None) -> None:
    """The kernel multiplies integers by input scale / output scale."""
    if 0 < source.scale <= LARGEST and 0 < result.scale <= LARGEST:
        return
    has_useful_scale(node, source, "input", on)
    has_useful_scale(node, result, "output", on)


def has_useful_scale(node: KernelNode, operand: Operand, role: str, on: On | None = None) -> bool:
    """Whether the scale that the kernel reads says anything; else its numbers are wrong."""
    scale = operand.scale
    if 0 < scale <= LARGEST:
        return True
    if operand.scheme == "none":
        message = f"the {role} has no scale, the kernel computes with {operand.type} integers and a scale of 0"
        node.wrong("missing-quantization", message, operand, on=on)
    elif not operand.is_affine:
        message = f"the {role} is quantised as {operand.scheme}, the kernel reads one scale and finds 0"
        node.wrong("quantization-scheme", message, operand, on=on)
    elif len(operand.scales) > 1 and not operand.micro:
        message = f"the {role} has {len(operand.scales)} scales, the kernel reads one and finds 0"
        node.wrong("quantization-scheme", message, operand, on=on)
    else:
        node.wrong("scale-value", f"the {role} scale is {scale:.9g}, the kernel takes it as it is", operand, on=on)
    return False


def can_hold_range(node: KernelNode, result: Operand, on: On | None = None, *, doubtful: bool = False) -> None:
    """Whether the output's integers reach the ends of the function's range; else it saturates."""
    low, high = RANGES[node.name]
    scale = result.scale
    if not 0 < scale <= LARGEST or result.type not in LOWEST:
        return
    least = (LOWEST[result.type] - result.zero_point) * scale
    most = (HIGHEST[result.type] - result.zero_point) * scale
    missed = (high - low) * _MISSED * (1 + 1e-6)
    if least > low + missed or most < high - missed:
        node.wrong(
            "fixed-output-quantization",
            f"the output holds {least:.6g} to {most:.6g}, {node.name} gives {low:g} to {high:g}: it saturates",
            result,
            on=on,
            doubtful=doubtful,
        )


def copies(node: KernelNode, source: Operand, result: Operand, on: On | None = None) -> None:
    """The kernel copies integers as they are: they mean something else if scales or zero points differ."""
    if not (source.is_affine and result.is_affine):
        return
    first, second = source.scale, result.scale
    if not abs(first - second) <= 1e-3 * abs(first):
        node.wrong(
            "same-quantization",
            f"integers are copied as they are, from scale {first:.9g} to scale {second:.9g}",
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
