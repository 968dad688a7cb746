"""Distances, against numbers worked out by hand or by plain numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests import builders
from tflite_surgeon.verification.measuring import Distance, Gauge, gauge

INT8 = Gauge("INT8", (0.5,), (3,))


def measured(reference: Gauge, other: Gauge, *pairs: tuple, quantum: float | None = None):
    distance = Distance(reference, other, quantum)
    for one, two in pairs:
        distance.add(np.asarray(one), np.asarray(two))
    return distance.difference()


def test_quanta_and_real_units_of_the_same_quantisation():
    found = measured(INT8, INT8, (np.array([1, 2, 3], "i1"), np.array([1, 4, -4], "i1")))
    assert (found.elements, found.differing, found.quantum) == (3, 2, 0.5)
    assert (found.max_quanta, found.mean_quanta) == (7.0, 3.0)
    assert (found.max, found.mean) == (3.5, 1.5)
    assert found.stored_alike


def test_snr_and_cosine():
    first, second = np.array([3.0, 4.0], "f4"), np.array([3.0, 3.0], "f4")
    found = measured(Gauge("FLOAT32"), Gauge("FLOAT32"), (first, second))
    assert found.snr == pytest.approx(10 * math.log10(25 / 1))
    assert found.cosine == pytest.approx(21 / (5 * math.sqrt(18)))
    assert found.quantum is None
    assert found.max_quanta is None


def test_runs_are_summed_up():
    rng = np.random.default_rng(4)
    first, second = (rng.integers(-128, 127, (3, 5, 2), "i1") for _ in range(2))
    found = measured(INT8, INT8, *zip(first, second))
    real = [(values.astype(float) - 3) * 0.5 for values in (first, second)]
    apart = real[1] - real[0]
    assert found.max == np.abs(apart).max()
    assert found.mean == pytest.approx(np.abs(apart).mean())
    assert found.snr == pytest.approx(10 * np.log10((real[0] ** 2).sum() / (apart**2).sum()))
    lengths = np.linalg.norm(real[0]) * np.linalg.norm(real[1])
    assert found.cosine == pytest.approx((real[0] * real[1]).sum() / lengths)


def test_other_quantisation_is_compared_in_real_values():
    # 1.0 and -1.0 in both: nothing differs, whatever the integers are.
    found = measured(INT8, Gauge("INT16", (0.25,), (0,)), (np.array([5, 1], "i1"), np.array([4, -4], "i2")))
    assert found.is_equal
    assert not found.stored_alike
    assert found.snr == math.inf
    # The larger step counts.
    found = measured(INT8, Gauge("INT16", (0.25,), (0,)), (np.array([5], "i1"), np.array([6], "i2")))
    assert (found.max, found.max_quanta) == (0.5, 1.0)


def test_scales_by_channel():
    per_channel = Gauge("INT8", (1.0, 10.0), (0, 1), 1)
    assert per_channel.real(np.array([[1, 2], [3, 4]], "i1")).tolist() == [[1.0, 10.0], [3.0, 30.0]]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([math.nan, 1.0], [math.nan, 1.0], (0, 0.0, math.inf)),
        ([math.inf, 1.0], [math.inf, 1.0], (0, 0.0, math.inf)),
        ([math.nan, 1.0], [0.0, 1.0], (1, math.inf, -math.inf)),
        ([math.inf, 1.0], [-math.inf, 1.0], (1, math.inf, -math.inf)),
        ([0.0, 0.0], [0.0, 1.0], (1, 1.0, -math.inf)),
    ],
)
def test_what_is_not_finite(first, second, expected):
    kind = Gauge("FLOAT32")
    found = measured(kind, kind, (np.array(first, "f4"), np.array(second, "f4")))
    assert (found.differing, found.max, found.snr) == expected


def test_another_shape_is_no_number():
    found = measured(INT8, INT8, (np.zeros((1, 2), "i1"), np.zeros((2, 1), "i1")))
    assert found.mismatch == "shape [2, 1] instead of [1, 2]"
    assert found.max is None
    assert not found.is_equal


def test_strings_are_the_same_or_not():
    first, second = (np.array(items, object) for items in ([b"a", b"b"], [b"a", b"c"]))
    found = measured(Gauge("STRING"), Gauge("STRING"), (first, second))
    assert (found.elements, found.differing, found.max) == (2, 1, None)


def test_nothing_to_compare_is_equal():
    assert measured(INT8, INT8, (np.zeros((0, 3), "i1"), np.zeros((0, 3), "i1"))).is_equal


def test_a_plain_integer_is_its_own_quantum():
    kind = Gauge("INT64")
    assert measured(kind, kind, (np.array([7]), np.array([5]))).max_quanta == 2.0


@pytest.mark.parametrize("scale", [[0.0], [-1.0], [math.nan], [math.inf], []])
def test_scales_that_say_nothing_count_as_none(scale):
    model = builders.layer()
    tensor = builders.part(model, "input")
    tensor.quantization.scale = scale
    assert gauge(tensor) == Gauge("INT8")


def test_stored_rounds_and_stays_in_the_type():
    assert INT8.stored(np.array([0.2, 0.3, 1000.0, -1000.0]), "int8").tolist() == [3, 4, 127, -128]
    assert Gauge("FLOAT32").stored(np.array([0.25]), "float32").tolist() == [0.25]
