"""Kernels of ADD, SUB, MUL, DIV and SQUARED_DIFFERENCE.

Source: LiteRT and tflite-runtime 2.14 kernels/add.cc, sub.cc, mul.cc, div.cc, squared_difference.cc.
"""

from __future__ import annotations

import math

from tflite_surgeon.knowledge.kernels.broadcasting import broadcast, limit_rank
from tflite_surgeon.knowledge.kernels.layers import has_activation_range
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.pairs import (
    Pair,
    clips,
    has_kernel,
    has_same_inputs,
    has_zero,
    pair,
)
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.rescaling import (
    ROLES,
    are_inputs_below_one,
    divided,
    is_output_below_one,
    largest,
    sum_factors,
)
from tflite_surgeon.knowledge.kernels.scales import HIGHEST, LOWEST, has_useful_scale
from tflite_surgeon.knowledge.problems import On, Said, Stage
from tflite_surgeon.quantization import LARGEST, float32

_ADD_TYPES = frozenset({"FLOAT32", "INT32", "INT64", "UINT8", "INT8", "INT16"})
_ADD_UNSUPPORTED = Said("operator-types", "add.cc", "Type {} is unsupported by op Add.")
_SUB_UNSUPPORTED = Said("operator-types", None, "output type {} is not supported, requires float|uint8|int32 types.")
_MUL_UNSUPPORTED = Said("operator-types", None, "Mul only supports FLOAT32, COMPLEX32, INT8, INT16,")
_MUL_COMBINATION = Said("same-type", None, "Unsupported combination of input and output types in Mul.")
_COMPLEX_ACTIVATION = Said("fused-activation", None, "Activation is not allowed for COMPLEX64 input.")
_DIV_UNSUPPORTED = Said(
    "operator-types", None, "Div only supports FLOAT32, INT32 and quantized INT8, UINT8, INT16 now, got {}."
)
_DIV_UNSUPPORTED_2_14 = Said(
    "operator-types", None, "Div only supports FLOAT32, INT32 and quantized UINT8 now, got {}."
)
_DIVISOR = Said("function-domain", "div.cc", "data[i] != zero_point was not true")
_SQUARED_UNSUPPORTED = Said("operator-types", None, "SquaredDifference only supports FLOAT32 and INT32 now, got {}.")

_ZERO_POINTS = {
    operator: tuple(
        Said("int16-zero-point", file, f"{name}->params.zero_point != 0") for name in ("input1", "input2", "output")
    )
    for operator, file in (("ADD", "add.cc"), ("SUB", "sub.cc"))
}
_OFFSETS = tuple(
    Said("int16-zero-point", "mul.cc", f"op_params.{name}_offset != 0.0") for name in ("input1", "input2", "output")
)
_LEAST_ZERO_POINTS = tuple(
    Said("zero-point-range", "*", f"{name}_quantization_params.zero_point >= integer_type_min was not true")
    for name in ("input1", "input2", "output")
)
_GREATEST_ZERO_POINTS = tuple(
    Said("zero-point-range", "*", f"{name}_quantization_params.zero_point <= integer_type_max was not true")
    for name in ("input1", "input2", "output")
)
_NEITHER_SHIFT = Said("power-of-two-scale", "*", "data->input1_shift == 0 || data->input2_shift == 0 was not true")
_LEFT_SHIFTS = tuple(
    Said("power-of-two-scale", "*", f"data->{name}_shift <= 0 was not true") for name in ("input1", "input2")
)

_EIGHT_BITS = ("INT8", "UINT8")
_INTEGERS = ("INT8", "UINT8", "INT16")
_SHIFTS = {"INT8": 20, "UINT8": 20, "INT16": 15}
_POT_WITHIN = 1e-3
_PER_LN2 = float32(1 / float32(math.log(2)))
# Integers that mean the same within this part of a scale are told apart by no kernel of 16 bits or fewer.
_ALIKE_WITHIN = 1e-3


def _opened(node: KernelNode) -> Pair | None:
    """The tensors of a node whose inputs are of one type, which becomes the output's; None where it is refused."""
    found = pair(node)
    if found is None:
        return None
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return None
    result.type = second.type
    return found if broadcast(node, first, second) else None


@kernel("ADD")
def _add(node: KernelNode) -> None:
    found = _opened(node)
    if found is None:
        return
    first, second, result = found
    kind = result.type
    activation = node.activation("AddOptions")
    is_quantised = kind in _EIGHT_BITS
    if kind == "INT16":
        # The first input alone decides which kernel prepares the node, the output alone which one runs.
        if first.scheme != "none":
            if not _are_zero(node, found):
                return
            is_quantised = True
        elif result.scheme != "none":
            node.wrong(
                "missing-quantization",
                "the first input has no scale and the output has one: the kernel computes with factors that nobody set",
                first,
            )
    if is_quantised:
        if not (kind == "INT16" and _shifts_powers_of_two(node, found, "AddOptions")):
            factors = sum_factors(first.scale, second.scale, result.scale, _SHIFTS[kind])
            if not are_inputs_below_one(node, found, factors) or not is_output_below_one(node, found, factors[2]):
                return
        has_activation_range(node, result, activation)
    elif kind in ("INT32", "INT64"):
        _ignores_scales(node, found)
    if kind not in _ADD_TYPES:
        litert = (*_ADD_TYPES, "FLOAT16")
        has_kernel(node, result, litert, _ADD_TYPES, _ADD_UNSUPPORTED)
    clips(node, activation)
    limit_rank(node, first, second)


@kernel("SUB")
def _sub(node: KernelNode) -> None:
    found = _opened(node)
    if found is None:
        return
    first, second, result = found
    kind = result.type
    activation = node.activation("SubOptions")
    if kind in _INTEGERS:
        if kind == "INT16" and not _are_zero(node, found):
            return
        if not (kind == "INT16" and _shifts_powers_of_two(node, found, "SubOptions")):
            if not _are_in_range(node, found, kind):
                return
            factors = sum_factors(first.scale, second.scale, result.scale, _SHIFTS[kind])
            if not are_inputs_below_one(node, found, factors) or not _represents_difference(node, found, factors[2]):
                return
        has_activation_range(node, result, activation)
    elif kind in ("INT32", "INT64"):
        _ignores_scales(node, found)
    elif kind != "FLOAT32":
        node.refuse(_SUB_UNSUPPORTED, f"there is no kernel for {kind}", result, at=Stage.INVOKE)
    clips(node, activation)
    limit_rank(node, first, second)


def _represents_difference(node: KernelNode, found: Pair, factor: float) -> bool:
    """LiteRT's SUB takes a factor above 1 as well, and shifts in the wrong direction then."""
    if not is_output_below_one(node, found, factor, On.V2_14):
        if factor > 1:
            node.wrong(
                "multiplier-range",
                f"the output factor is {factor:.9g}, the kernel shifts as if it were below 1",
                found[2],
                on=On.LITERT,
            )
            return True
        return is_output_below_one(node, found, factor, On.LITERT)
    return True


@kernel("MUL")
def _mul(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    kind, activation = result.type, node.activation("MulOptions")
    if kind == "COMPLEX64" and activation != "NONE":
        node.refuse(_COMPLEX_ACTIVATION, f"the fused {activation} is not computed with COMPLEX64", result)
        return
    # Two constants are multiplied when the node is prepared.
    at = Stage.ALLOCATE if first.is_constant and second.is_constant else Stage.INVOKE
    if not broadcast(node, first, second):
        return
    is_quantised = kind in _EIGHT_BITS or (kind == "INT16" and result.scheme != "none")
    if is_quantised:
        has_activation_range(node, result, activation)
        if first.type == kind:
            if kind == "INT16":
                _has_no_offsets(node, found, at)
            _multiplies(node, found)
        elif first.type != "INT16":
            message = f"the inputs are {first.type} and the output {kind}, there is no kernel for both"
            node.refuse(_MUL_COMBINATION, message, result, at=at)
    elif kind in ("FLOAT32", "INT16", "INT32", "INT64", "UINT32", "COMPLEX64", "FLOAT16"):
        if kind == "FLOAT16":
            node.refuse(_MUL_UNSUPPORTED, "there is no kernel for FLOAT16", result, on=On.V2_14, at=at)
        if first.type != kind:
            message = f"the inputs are {first.type} and the output {kind}: the kernel reads the inputs as {kind}"
            node.wrong("same-type", message, result)
        elif kind != "FLOAT32" and first.is_affine and second.is_affine and not _is_one(first, second, result):
            node.wrong(
                "missing-quantization" if result.scheme == "none" else "quantization-scheme",
                f"integers are multiplied as they are, though scales are {first.scale:.9g} and {second.scale:.9g}",
                result,
                doubtful=True,
            )
    else:
        node.refuse(_MUL_UNSUPPORTED, f"there is no kernel for {kind}", result, at=at)
    clips(node, activation)
    limit_rank(node, first, second)


def _is_one(first: Operand, second: Operand, result: Operand) -> bool:
    """Whether plain integers are multiplied right: the output's scale is the product, and zero points are 0."""
    scale = result.scale if result.is_affine else 1.0
    product = first.scale * second.scale
    return abs(product - scale) <= _ALIKE_WITHIN * abs(scale) and not (
        first.zero_point or second.zero_point or result.zero_point
    )


def _has_no_offsets(node: KernelNode, found: Pair, at: Stage) -> None:
    for operand, said, role in zip(found, _OFFSETS, ROLES):
        if operand.zero_point:
            message = f"the {role} is INT16 with zero point {operand.zero_point}, the kernel computes with 0"
            node.refuse(said, message, operand, at=at)
            return


def _multiplies(node: KernelNode, found: Pair) -> None:
    """MUL and DIV take any scales: with those that say nothing every output is the same."""
    if 0 < found[0].scale <= LARGEST and 0 < found[1].scale <= LARGEST and 0 < found[2].scale <= LARGEST:
        return
    for operand, role in zip(found, ROLES):
        has_useful_scale(node, operand, role)


@kernel("DIV")
def _div(node: KernelNode) -> None:
    found = _opened(node)
    if found is None:
        return
    first, second, result = found
    kind = result.type
    activation = node.activation("DivOptions")
    # tflite-runtime 2.14 divides no other integers than UINT8 and INT32.
    if kind in _INTEGERS:
        has_activation_range(node, result, activation, On.TFLITE if kind == "UINT8" else On.LITERT)
        _multiplies(node, found)
    elif kind == "INT32":
        _ignores_scales(node, found)
    has_kernel(
        node,
        result,
        ("FLOAT32", "INT32", *_INTEGERS),
        ("FLOAT32", "INT32", "UINT8"),
        _DIV_UNSUPPORTED,
        _DIV_UNSUPPORTED_2_14,
    )
    if kind in _INTEGERS or kind == "INT32":
        _divides(node, second, kind)
    clips(node, activation)
    limit_rank(node, first, second)


def _divides(node: KernelNode, divisor: Operand, kind: str) -> None:
    zero = divisor.zero_points[0] if divisor.zero_points else 0
    has = has_zero(divisor, zero)
    if has:
        message = f"the divisor has an element that is its zero point {zero}" if zero else "the divisor has a 0"
        node.refuse(_DIVISOR, message, divisor, on=On.LITERT, at=Stage.INVOKE)
    elif has is None:
        message = "it depends on the inputs: a divisor of 0 is refused"
        node.doubt("function-domain", message, divisor, on=On.LITERT, at=Stage.INVOKE)
    if kind != "INT32":
        return
    has = has_zero(divisor, 0)
    if has:
        node.crash("function-domain", "the divisor has a 0", divisor, on=On.V2_14, at=Stage.INVOKE)
    elif has is None:
        message = "it depends on the inputs: at a divisor of 0 the process dies"
        node.doubt("function-domain", message, divisor, on=On.V2_14, at=Stage.INVOKE)


@kernel("SQUARED_DIFFERENCE")
def _squared_difference(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    kind = result.type = second.type
    if kind == "INT8":
        if not _are_in_range(node, found, kind):
            return
        top = float32(2 * largest(first.scale, second.scale))
        factors = divided(first.scale, top), divided(second.scale, top)
        if not are_inputs_below_one(node, found, factors):
            return
        if not is_output_below_one(node, found, divided(top * top, float32(result.scale * (1 << 14)))):
            return
    elif kind == "INT32":
        _ignores_scales(node, found)
    elif kind != "FLOAT32":
        node.refuse(_SQUARED_UNSUPPORTED, f"there is no kernel for {kind}", result, at=Stage.INVOKE)
    if broadcast(node, first, second):
        limit_rank(node, first, second)


# What kernels check of scales and zero points


def _are_zero(node: KernelNode, found: Pair) -> bool:
    for operand, said, role in zip(found, _ZERO_POINTS[node.name], ROLES):
        if operand.zero_point:
            message = f"the {role} is INT16 with zero point {operand.zero_point}, the kernel computes with 0"
            node.refuse(said, message, operand)
            return False
    return True


def _are_in_range(node: KernelNode, found: Pair, kind: str) -> bool:
    low, high = LOWEST[kind], HIGHEST[kind]
    for operand, least, greatest, role in zip(found, _LEAST_ZERO_POINTS, _GREATEST_ZERO_POINTS, ROLES):
        point = operand.zero_point
        if not low <= point <= high:
            said = least if point < low else greatest
            node.refuse(said, f"the {role} has zero point {point}, {kind} goes from {low} to {high}", operand)
            return False
    return True


def _shifts_powers_of_two(node: KernelNode, found: Pair, table: str) -> bool:
    """Whether the kernel shifts bits instead of multiplying: it is told to, and all scales are powers of two."""
    if not node.option(table, "pot_scale_int16"):
        return False
    exponents = []
    for operand in found:
        exponent = _exponent(operand.scale)
        if exponent is None:
            return False
        exponents.append(exponent)
    first, second = exponents[0] - exponents[2], exponents[1] - exponents[2]
    scales = f"input scales are 2^{exponents[0]} and 2^{exponents[1]}, the output's 2^{exponents[2]}"
    if first and second:
        node.refuse(_NEITHER_SHIFT, f"{scales}: an input needs the output's scale", found[2])
    for said, shift, operand in zip(_LEFT_SHIFTS, (first, second), found):
        if shift > 0:
            node.refuse(said, f"{scales}: no input's scale may be above the output's", operand)
    return True


def _exponent(scale: float) -> int | None:
    """The exponent of a scale that is near enough to a power of two (CheckedLog2)."""
    if not 0 < scale <= LARGEST:
        return None
    found = float32(float32(math.log(scale)) * _PER_LN2)
    rounded = round(found)
    return rounded if abs(found - rounded) < _POT_WITHIN else None


def _ignores_scales(node: KernelNode, found: Pair) -> None:
    """Integers of 32 and 64 bits are computed as they are, whatever their scales."""
    first, second, result = found
    if not (first.is_affine and second.is_affine and result.is_affine):
        return
    for other in (first, second):
        if abs(other.scale - result.scale) > _ALIKE_WITHIN * abs(result.scale) or other.zero_point or result.zero_point:
            node.wrong(
                "same-quantization",
                f"{result.type} integers are computed as they are, from scale {other.scale:.9g} to {result.scale:.9g}",
                result,
                doubtful=True,
            )
            return
