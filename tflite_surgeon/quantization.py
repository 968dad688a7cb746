"""Arithmetic of quantisation: real = (integer - zero_point) * scale, scales float32.

Sources: the TFLite 8-bit quantisation specification; LiteRT kernel_util.cc for products of scales.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache

from tflite_surgeon.flatbuffer.vector import Vector

_F32 = struct.Struct("<f")
_I32 = struct.Struct("<i")

# The least and the greatest integer of each type. Weights with zero point 0 keep to a symmetric range instead.
# Source: TFLite 8-bit quantisation specification.
LIMITS = {
    "INT2": (-2, 1),
    "INT4": (-8, 7),
    "UINT4": (0, 15),
    "INT8": (-128, 127),
    "UINT8": (0, 255),
    "INT16": (-32768, 32767),
    "INT32": (-(1 << 31), (1 << 31) - 1),
    "INT64": (-(1 << 63), (1 << 63) - 1),
}

# The smallest float32 that is not subnormal; XNNPACK takes no smaller scale.
SMALLEST_NORMAL = 2.0**-126
LARGEST = (2.0 - 2.0**-23) * 2.0**127
_SMALLEST_NORMAL_BITS = 0x00800000
_INFINITY_BITS = 0x7F800000
_INT32 = 1 << 31
# Where the upper bytes of float32 values lie, and what they are in values from 2**-125 up to 2**127: a whole vector of
# such is found usable without making a number of each.
_UPPER_BYTES = slice(3 if sys.byteorder == "little" else 0, None, 4)
_USABLE_UPPER_BYTES = bytes(range(0x01, 0x7F))
# So many numbers are compared one by one as fast as their bytes.
_FEW = 16
_BELOW_HALF_UPPER_BYTES = bytes(range(0x01, 0x3F))
# A product of two float32 scales, rounded, may differ from the converter's by this many units in the last place:
# real, healthy biases are off by up to 1.5.
TOLERATED_ULPS = 2
_TOLERATED_DIGITS = bytes(range(2 * TOLERATED_ULPS + 1))


def float32(value: float) -> float:
    """The nearest float32, infinite where the value is too large for one."""
    try:
        return float(_F32.unpack(_F32.pack(value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def is_usable_scale(scale: float) -> bool:
    """Whether a scale says anything: finite, positive and not subnormal."""
    return SMALLEST_NORMAL <= scale <= LARGEST


def ulps_apart(a: float, b: float) -> int:
    """How many float32 steps lie between two positive finite float32 values."""
    first, second = (int(_I32.unpack(_F32.pack(value))[0]) for value in (a, b))
    return abs(first - second)


def is_same_scale(stored: float, expected: float) -> bool:
    """Whether a stored scale is the expected one, up to what rounding of a product explains."""
    return is_usable_scale(stored) and ulps_apart(stored, expected) <= TOLERATED_ULPS


def _stored(scales: Sequence[float]) -> bytes:
    """The bytes of float32 values."""
    if isinstance(scales, Vector) and scales.typecode == "f":
        return scales.tobytes()
    try:
        return _packer(len(scales))(*scales)
    except OverflowError:  # What float32 cannot hold is infinity in an array.
        return array("f", scales).tobytes()


@lru_cache(maxsize=256)
def _packer(count: int) -> Callable[..., bytes]:
    """What packs so many float32 values."""
    return struct.Struct(f"{count}f").pack


def _bits(scales: bytes) -> array[int]:
    """The bit patterns of float32 values: for positive ones their distance counts the steps between them."""
    return array("i", scales)


def float32s(values: Sequence[float]) -> list[float]:
    """The nearest float32 of each value."""
    return array("f", values).tolist()


def are_usable_scales(scales: Sequence[float]) -> bool:
    """Whether every scale says something; many at a time."""
    if len(scales) == 1 and SMALLEST_NORMAL <= scales[0] <= LARGEST:
        return True
    return _are_usable(_stored(scales))


def _are_usable(stored: bytes) -> bool:
    """The same of float32 values in bytes."""
    if not stored[_UPPER_BYTES].translate(None, _USABLE_UPPER_BYTES):
        return True
    bits = _bits(stored)
    return not bits or (min(bits) >= _SMALLEST_NORMAL_BITS and max(bits) < _INFINITY_BITS)


def are_same_scales(stored: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether as many stored scales are the expected, usable ones, up to what rounding explains; many at a time."""
    return len(stored) == len(expected) and _are_same(_stored(stored), _stored(expected))


def _are_same(first: bytes, second: bytes) -> bool:
    """Whether float32 values in bytes are usable and differ from usable ones by no more than rounding explains.

    All are subtracted at once, as digits of one large number: with the tolerance added each difference is a small digit
    and nothing is borrowed, or else some digit is not small.
    """
    if not _are_usable(first):
        return False
    if first == second:
        return True
    tolerance, others = _digits(len(first))
    difference = int.from_bytes(first, sys.byteorder) + tolerance - int.from_bytes(second, sys.byteorder)
    if difference < 0 or difference & others or difference.bit_length() > 8 * len(first):
        return False
    return not difference.to_bytes(len(first), "little")[::4].translate(None, _TOLERATED_DIGITS)


@lru_cache(maxsize=64)
def _digits(size: int) -> tuple[int, int]:
    """The tolerance in each 4-byte digit of a number of so many bytes, and all bits but the lowest 8 of each digit."""
    tolerance = int.from_bytes(bytes((TOLERATED_ULPS, 0, 0, 0)) * (size // 4), "little")
    return tolerance, int.from_bytes(bytes((0, 255, 255, 255)) * (size // 4), "little")


def are_products(stored: Sequence[float], factor: float, scales: Sequence[float]) -> bool:
    """Whether stored scales are a factor times other scales, all usable, up to what rounding explains."""
    if len(stored) != len(scales):
        return False
    if len(stored) == 1:
        expected = float32(factor * scales[0])
        return is_usable_scale(expected) and (stored[0] == expected or is_same_scale(stored[0], expected))
    try:
        products = _packer(len(scales))(*[factor * scale for scale in scales])
    except OverflowError:
        return False
    others = _stored(stored)
    return _are_usable(products) and (others == products or _are_same(others, products))


def largest(scales: Sequence[float]) -> float:
    """The largest of usable scales, or 0.5 where the upper bytes of many show that none is larger."""
    if len(scales) > _FEW and not _stored(scales)[_UPPER_BYTES].translate(None, _BELOW_HALF_UPPER_BYTES):
        return 0.5
    return max(scales)


def are_int32(zero_points: Sequence[int]) -> bool:
    """Whether runtimes keep zero points as they are, of which the file has 64 bits and they 32."""
    return are_zero(zero_points) or -_INT32 <= min(zero_points) <= max(zero_points) < _INT32


def are_zero(zero_points: Sequence[int]) -> bool:
    """Whether all are 0; of a long vector the bytes are looked at, without making a number of each."""
    if isinstance(zero_points, Vector):
        stored = zero_points.tobytes()
        return stored == bytes(len(stored))
    return not any(zero_points)


def six_decimals(value: float) -> float:
    """What is left of a scale printed with six decimals, as a round trip through JSON by flatc leaves it."""
    return float32(float(f"{value:.6f}"))


def requantize(
    integers: Sequence[int], old: Sequence[float], new: Sequence[float], zero_points: Sequence[int]
) -> list[int]:
    """Integers in new scales that stand for the same real values, exact, halves away from zero.

    Args:
        integers: one a channel.
        old, new: float32 scales, one a channel, positive and finite.
        zero_points: one a channel, in the old scale; the new zero point is 0.
    """
    result = []
    for integer, a, b, zero_point in zip(integers, old, new, zero_points):
        (a_over, a_under), (b_over, b_under) = a.as_integer_ratio(), b.as_integer_ratio()
        over = (integer - zero_point) * a_over * b_under
        under = a_under * b_over
        magnitude = (2 * abs(over) + under) // (2 * under)
        result.append(magnitude if over >= 0 else -magnitude)
    return result


def implied_scale(low: float, high: float, type_name: str, zero_point: int) -> float | None:
    """The scale that a recorded range [low, high] in real units stands for; None for types it says nothing about.

    Signed weights with zero point 0 are symmetric: [-127, 127] or [-32767, 32767]; all others use their whole range.
    """
    steps = {"INT8": 127.0, "INT16": 32767.0, "INT4": 7.0}.get(type_name)
    if steps is not None and zero_point == 0:
        scale = max(abs(low), abs(high)) / steps
    elif type_name in ("UINT8", "INT8"):
        scale = (high - low) / 255.0
    else:
        return None
    return scale if is_usable_scale(scale) else None
