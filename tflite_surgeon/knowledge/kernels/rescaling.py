"""Factors by which kernels of several inputs rescale integers, and what becomes of those that no kernel can represent.

Source: LiteRT kernels/internal/quantization_util.cc (QuantizeMultiplierSmallerThanOneExp), the same in tflite-runtime
2.14 and TFLM: a factor that is not above 0 and below 1 ends the process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import On, Stage
from tflite_surgeon.quantization import LARGEST, float32

# A factor from here on is rounded to 1 when it is written with 31 bits.
_ROUNDED_TO_ONE = 1.0 - 2.0**-32
ROLES = ("first input", "second input", "output")


def is_below_one(factor: float) -> bool:
    """Whether a kernel can represent a factor that it takes to be below 1."""
    return 0.0 < factor < _ROUNDED_TO_ONE


def divided(first: float, second: float) -> float:
    """A quotient as processors compute it."""
    if second:
        return first / second
    if first == 0 or math.isnan(first):
        return math.nan
    return math.inf if (first > 0) == (math.copysign(1, second) > 0) else -math.inf


def largest(first: float, second: float) -> float:
    """std::max, also of what is not a number."""
    return second if first < second else first


def crash_of_scales(
    node: KernelNode,
    operands: Sequence[Operand],
    roles: Sequence[str],
    message: str,
    on: On | None = None,
    at: Stage | None = None,
) -> None:
    """The process dies of a factor; the finding names the scale at fault, or the factor where all scales are sound."""
    for operand, role in zip(operands, roles):
        scale = operand.scale
        if not 0 < scale <= LARGEST:
            if operand.scheme == "none":
                rule, text = "missing-quantization", f"the {role} has no scale, the kernel computes with 0"
            elif len(operand.scales) > 1 and not operand.micro:
                rule, text = "quantization-scheme", f"the {role} has {len(operand.scales)} scales, the kernel finds 0"
            elif not operand.is_affine:
                rule, text = "quantization-scheme", f"the {role} is quantised as {operand.scheme}, the kernel finds 0"
            else:
                rule, text = "scale-value", f"the {role} scale is {scale:.9g}"
            node.crash(rule, f"{text}: the process ends", operand, on=on, at=at)
            return
    node.crash("multiplier-range", f"{message}: the process ends", operands[-1], on=on, at=at)


def sum_factors(first: float, second: float, output: float, shift: int) -> tuple[float, float, float]:
    """The factors of ADD and SUB in LiteRT: of the inputs and of the output; scales are float32, factors are not."""
    top = float32(2 * largest(first, second))
    bottom = float32(output * (1 << shift))
    return divided(first, top), divided(second, top), divided(top, bottom)


def are_inputs_below_one(node: KernelNode, operands: Sequence[Operand], factors: Sequence[float]) -> bool:
    """Whether the inputs' factors can be represented; else the process dies."""
    if is_below_one(factors[0]) and is_below_one(factors[1]):
        return True
    first, second = operands[:2]
    message = f"input scales {first.scale:.9g} and {second.scale:.9g} give factors that are not between 0 and 1"
    crash_of_scales(node, (first, second), ROLES, message)
    return False


def is_output_below_one(node: KernelNode, operands: Sequence[Operand], factor: float, on: On | None = None) -> bool:
    """Whether the output's factor can be represented; else the process dies."""
    if is_below_one(factor):
        return True
    message = (
        f"scales {', '.join(f'{operand.scale:.9g}' for operand in operands)} give an output factor of {factor:.9g}"
    )
    crash_of_scales(node, operands, ROLES, f"{message}, not between 0 and 1", on)
    return False
