"""Constants side by side, against the same counted with numpy in the open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tflite_surgeon as ts
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.views.diff.result import ValuesChange
from tflite_surgeon.views.diff.values import values_change


def constant(kind: str, values: Any, scale: Any = None, zero: Any = 0, axis: int = 0) -> ts.Tensor:
    array = np.asarray(values)
    quantization = None
    if scale is not None:
        scales = [float(np.float32(x)) for x in np.atleast_1d(scale)]
        quantization = ts.QuantizationParameters(
            scale=scales, zero_point=np.atleast_1d(zero).tolist(), quantized_dimension=axis
        )
    result = ts.Tensor(
        name="w", type=enum_class("TensorType")[kind], shape=list(array.shape), quantization=quantization
    )
    result.set_values(array)
    return result


def change(a: ts.Tensor, b: ts.Tensor) -> ValuesChange | None:
    return values_change(a, b, a.data, b.data)


def test_equal_values_are_no_change() -> None:
    a = constant("INT8", [1, 2, 3], 0.5)
    assert change(a, constant("INT8", [1, 2, 3], 0.5)) is None


def test_integers_count_in_quanta_and_in_real_numbers() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(-100, 100, (4, 3, 2))
    y = x.copy()
    y[1, 2, 0] += 7
    y[3, 0, 1] -= 4
    scales = np.array([0.5, 0.001, 2.0, 0.25], np.float32)
    found = change(constant("INT8", x, scales, [0] * 4), constant("INT8", y, scales, [0] * 4))
    assert found is not None
    # 7 quanta of 0.001 are less than 4 of 0.25.
    assert (found.count, found.differ, found.largest_quanta, found.largest_real) == (24, 2, 7.0, 1.0)
    assert (found.at, found.before_at, found.after_at) == ((3, 0, 1), x[3, 0, 1], y[3, 0, 1])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_channel_has_its_scale_and_zero_point(axis: int) -> None:
    rng = np.random.default_rng(axis)
    x, y = rng.integers(0, 255, (2, 5, 4, 3))
    scales = rng.uniform(0.001, 1, x.shape[axis]).astype(np.float32)
    zeros = rng.integers(0, 255, x.shape[axis])
    shape = [-1 if i == axis else 1 for i in range(3)]
    real = [(v - zeros.reshape(shape)) * scales.astype(np.float64).reshape(shape) for v in (x, y)]
    found = change(constant("UINT8", x, scales, zeros, axis), constant("UINT8", y, scales, zeros, axis))
    assert found is not None
    assert found.differ == (x != y).sum()
    assert found.largest_quanta == np.abs(x - y).max()
    assert found.largest_real == np.abs(real[0] - real[1]).max()
    assert found.at is not None
    assert np.abs(real[0] - real[1])[found.at] == found.largest_real


def test_another_scale_moves_real_values_only() -> None:
    found = change(constant("INT8", [0, -10, 4], 0.5), constant("INT8", [0, -10, 4], 0.75))
    assert found is not None
    assert (found.differ, found.largest_quanta, found.largest_real, found.at) == (0, 0.0, 2.5, (1,))
    assert (found.before_real, found.after_real) == (-5.0, -7.5)
    assert change(constant("INT8", [0, 0], 0.5), constant("INT8", [0, 0], 0.75)) is None


def test_floats_become_integers() -> None:
    reals = np.linspace(-1, 1, 41, dtype=np.float32)
    scale = np.float32(1 / 127)
    integers = np.rint(reals / scale)
    found = change(constant("FLOAT32", reals), constant("INT8", integers, scale))
    assert found is not None
    apart = np.abs(integers * np.float64(scale) - reals)
    assert found.differ == (apart != 0).sum()
    assert found.largest_real == apart.max()
    assert found.largest_quanta == pytest.approx(apart.max() / scale)
    assert found.largest_quanta <= 0.5


def test_nan_and_infinity() -> None:
    inf, nan = np.inf, np.nan
    found = change(constant("FLOAT32", [nan, nan, 1.0, inf, 2.0]), constant("FLOAT32", [nan, 1.0, nan, inf, 2.5]))
    assert found is not None
    assert (found.differ, found.not_a_number, found.largest_real, found.at) == (3, 2, 0.5, (4,))
    found = change(constant("FLOAT32", [1.0, 0.0]), constant("FLOAT32", [inf, 0.0]))
    assert found is not None
    assert found.largest_real == inf


def test_integers_without_a_scale_are_real_as_they_are() -> None:
    found = change(constant("INT64", [2**62, 5]), constant("INT64", [2**62, 7]))
    assert found is not None
    assert (found.differ, found.largest_quanta, found.largest_real, found.at) == (1, None, 2.0, (1,))


def test_packed_integers_booleans_bfloat16_complex_and_strings() -> None:
    found = change(constant("INT4", [-8, 7, 3], 0.5), constant("INT4", [-8, 6, 3], 0.5))
    assert found is not None
    assert (found.differ, found.largest_quanta, found.largest_real) == (1, 1.0, 0.5)
    found = change(constant("BOOL", [True, False]), constant("BOOL", [True, True]))
    assert found is not None
    assert (found.differ, found.largest_real, found.before_at, found.after_at) == (1, None, False, True)
    found = change(constant("BFLOAT16", [0x3F80, 0]), constant("BFLOAT16", [0x4000, 0]))
    assert found is not None
    assert (found.differ, found.largest_real, found.largest_quanta) == (1, 1.0, None)
    found = change(constant("COMPLEX64", [1 + 1j, 0]), constant("COMPLEX64", [4 + 5j, 0]))
    assert found is not None
    assert (found.differ, found.largest_real) == (1, 5.0)
    found = change(constant("STRING", ["a", "b\xe4"]), constant("STRING", ["a", "c"]))
    assert found is not None
    assert (found.unit, found.count, found.differ, found.before_at, found.after_at) == ("strings", 2, 1, "b\xe4", "c")


def test_other_sizes_and_bytes_that_make_no_values() -> None:
    found = change(constant("INT8", [1, 2]), constant("INT8", [1, 2, 3]))
    assert found == ValuesChange(2, 3)
    a, b = constant("INT8", [1, 2, 3]), constant("INT8", [1, 5, 4])
    a.shape = b.shape = [7]
    assert change(a, b) == ValuesChange(3, 3, "bytes", 3, 2, at=(1,), before_at=2, after_at=5)
    assert values_change(a, b, a.data, None) == ValuesChange(3, None)
    assert values_change(a, b, None, None) is None


def test_scales_that_do_not_fit_the_shape_leave_only_the_integers() -> None:
    found = change(constant("INT8", [1, 2, 3], [0.5, 0.5]), constant("INT8", [1, 2, 5], [0.5, 0.5]))
    assert found is not None
    assert (found.differ, found.largest_quanta, found.largest_real, found.at) == (1, 2.0, None, (2,))


def test_long_constants_are_looked_at_in_stretches() -> None:
    x = np.zeros(600_001, np.int64)
    y = x.copy()
    y[[3, 300_000, 600_000]] = 1, 9, -12
    found = change(constant("INT8", x, 0.5), constant("INT8", y, 0.5))
    assert found is not None
    assert (found.differ, found.largest_quanta, found.largest_real, found.at) == (3, 12.0, 6.0, (600_000,))
