"""Comparisons of many scales at a time are those of one after the other."""

from __future__ import annotations

import math
import struct
from random import Random

import pytest

from tflite_surgeon.quantization import (
    LARGEST,
    SMALLEST_NORMAL,
    are_products,
    are_same_scales,
    float32,
    is_same_scale,
    is_usable_scale,
    largest,
)


def _steps(value: float, count: int) -> float:
    """The float32 so many steps away."""
    (bits,) = struct.unpack("<i", struct.pack("<f", value))
    return float(struct.unpack("<f", struct.pack("<i", bits + count))[0])


def _scale(random: Random) -> float:
    return random.choice((SMALLEST_NORMAL, LARGEST, 0.5, float32(0.5 - 2**-26), float32(math.exp(random.gauss(-5, 8)))))


@pytest.mark.parametrize("count", [1, 2, 7, 16, 17, 300])
def test_same_scales(count: int) -> None:
    random = Random(count)
    for _ in range(300):
        stored = [_scale(random) for _ in range(count)]
        expected = [
            float32(min(LARGEST, max(SMALLEST_NORMAL, _steps(scale, random.choice((-2, -1, 0, 1, 2))))))
            for scale in stored
        ]
        if random.random() < 0.6:
            place = random.randrange(count)
            stored[place] = random.choice(
                (-1.0, 0.0, 1e-40, math.inf, math.nan, _steps(0.25, random.choice((3, -3, 256, 768))))
            )
            expected[place] = random.choice((expected[place], 0.25))
        assert are_same_scales(stored, expected) == all(map(is_same_scale, stored, expected))


@pytest.mark.parametrize("count", [1, 2, 16, 17, 300])
def test_products(count: int) -> None:
    random = Random(count)
    for _ in range(300):
        scales = [float32(math.exp(random.gauss(-5, 3))) for _ in range(count)]
        factor = random.choice((0.05, 1e-3, 1e30, 1e-35, 1e300, math.inf, -1.0))
        products = [float32(factor * scale) for scale in scales]
        stored = [
            _steps(product, random.choice((-2, 0, 1))) if is_usable_scale(product) else 0.1 for product in products
        ]
        if random.random() < 0.3:
            stored[random.randrange(count)] *= 1.001
        right = all(map(is_usable_scale, products)) and all(map(is_same_scale, map(float32, stored), products))
        assert are_products(list(map(float32, stored)), factor, scales) == right


@pytest.mark.parametrize("count", [1, 16, 17, 300])
def test_largest_is_never_too_small(count: int) -> None:
    random = Random(count)
    for _ in range(300):
        scales = [_scale(random) for _ in range(count)]
        assert largest(scales) >= max(scales)
        assert largest(scales) in (0.5, max(scales))
