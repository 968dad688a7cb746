"""Distances between tensors: in quanta, in real units, as signal to noise, as an angle. Summed over runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tflite_surgeon.quantization import are_usable_scales
from tflite_surgeon.verification.result import Difference
from tflite_surgeon.views.tensors import INTEGER_LIMITS, zero_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tflite_surgeon.model.objects import Tensor


@dataclass(frozen=True)
class Gauge:
    """How a tensor's stored values stand for real ones.

    Attributes:
        type_name: such as INT8.
        scales, zero_points: none where stored values are real values.
        axis: the dimension that several scales count along.
    """

    type_name: str
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0

    @property
    def step(self) -> float | None:
        """One quantum in real units; the largest of several. None for floats and what is no number."""
        if self.scales:
            return max(self.scales)
        return 1.0 if self.type_name in INTEGER_LIMITS or self.type_name == "BOOL" else None

    def real(self, stored: NDArray[Any]) -> NDArray[Any]:
        """The real values, in float64: (integer - zero point) * scale. Complex ones keep their type."""
        if stored.dtype.kind == "c":
            return stored
        values = stored.astype(np.float64)
        if not self.scales:
            return values
        scale, zero = (np.array(row, np.float64) for row in (self.scales, self.zero_points))
        if len(self.scales) > 1:
            shape = [1] * values.ndim
            shape[self.axis] = -1
            scale, zero = scale.reshape(shape), zero.reshape(shape)
        return (values - zero) * scale

    def stored(self, real: NDArray[Any], dtype: str) -> NDArray[Any]:
        """What a tensor of this kind stores for real values: the nearest that it can, as numpy `dtype`.

        For gauges of one scale, or none.
        """
        kind = np.dtype(dtype)
        if self.scales:
            real = np.rint(real / self.scales[0]) + self.zero_points[0]
        elif kind.kind in "iu":
            real = np.rint(real)
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            real = np.clip(np.nan_to_num(real), float(limits.min), float(limits.max))
        return real.astype(kind)


def gauge(tensor: Tensor) -> Gauge:
    """A tensor's gauge; scales that say nothing (zero, negative, not finite) count as none."""
    quantization = tensor.quantization
    scales = tuple(quantization.scale or ()) if quantization is not None else ()
    if quantization is None or not scales or tensor.type_name not in INTEGER_LIMITS or not are_usable_scales(scales):
        return Gauge(tensor.type_name)
    return Gauge(tensor.type_name, scales, tuple(zero_points(tensor)), quantization.quantized_dimension)


class Distance:
    """Sums up how far a tensor is from its reference, run by run."""

    def __init__(
        self, reference: Gauge, other: Gauge, quantum: float | None = None, *, stored_alike: bool = True
    ) -> None:
        """Take the gauges of both.

        Args:
            reference, other: how each stands for real values.
            quantum: in real units, where neither has one.
            stored_alike: whether a difference of bits counts as one, where both gauges are the same.
        """
        self._reference = reference
        self._other = other
        steps = [found for found in (reference.step, other.step) if found is not None]
        scaled = [max(found.scales) for found in (reference, other) if found.scales]
        self.quantum = max(scaled) if scaled else max(steps) if steps else quantum
        self._alike = stored_alike and reference == other
        self._elements = self._differing = 0
        self._largest = self._sum = 0.0
        self._signal = self._noise = self._other_power = self._product = 0.0
        self._mismatch: str | None = None
        self._numeric = True

    def add(self, reference: NDArray[Any], other: NDArray[Any]) -> None:
        """Count one run's stored values."""
        if reference.shape != other.shape:
            self._mismatch = f"shape {list(other.shape)} instead of {list(reference.shape)}"
            return
        self._elements += reference.size
        if "O" in (reference.dtype.kind, other.dtype.kind):
            self._numeric = False
            self._differing += sum(a != b for a, b in zip(reference.reshape(-1), other.reshape(-1)))
            return
        if reference.size == 0:
            return
        expected, found = self._reference.real(reference), self._other.real(other)
        with np.errstate(all="ignore"):
            self._count(expected, found, _same(reference, other) if self._alike else _same(expected, found))

    def _count(self, expected: NDArray[Any], found: NDArray[Any], same: NDArray[np.bool_]) -> None:
        self._differing += int(np.count_nonzero(~same))
        apart = np.where(same, 0.0, np.abs(found - expected))
        # What is not a number here is infinite beside finite, or NaN beside a number.
        apart = np.where(np.isnan(apart), np.inf, apart)
        self._largest = max(self._largest, float(apart.max()))
        self._sum += float(apart.sum())
        self._noise += float(np.square(apart).sum())
        finite = np.isfinite(expected) & np.isfinite(found)
        expected, found = expected[finite], found[finite]
        self._signal += float(np.square(np.abs(expected)).sum())
        self._other_power += float(np.square(np.abs(found)).sum())
        self._product += float((expected * np.conj(found)).real.sum())

    def difference(self) -> Difference:
        """What was summed up."""
        numeric = self._numeric and self._mismatch is None
        step = self.quantum
        mean = self._sum / self._elements if self._elements else 0.0
        in_quanta = numeric and step is not None
        return Difference(
            self._elements,
            self._differing,
            step,
            _quanta(self._largest, step) if in_quanta else None,
            mean / step if in_quanta and step else None,
            self._largest if numeric else None,
            mean if numeric else None,
            self._snr() if numeric else None,
            self._cosine() if numeric else None,
            self._alike,
            self._mismatch,
        )

    def _snr(self) -> float:
        if self._noise == 0:
            return math.inf
        if math.isinf(self._noise) or self._signal == 0:
            return -math.inf
        return 10 * math.log10(self._signal / self._noise)

    def _cosine(self) -> float | None:
        if self._differing == 0:
            return 1.0
        lengths = math.sqrt(self._signal) * math.sqrt(self._other_power)
        return self._product / lengths if 0 < lengths < math.inf else None


def _same(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays have the same value; NaN is the same as NaN."""
    same: NDArray[np.bool_] = first == second
    if first.dtype.kind in "fc" and second.dtype.kind in "fc":
        same |= np.isnan(first) & np.isnan(second)
    return same


def _quanta(apart: float, step: float | None) -> float:
    """A distance in steps; whole numbers of steps come out whole, whatever float64 made of the products."""
    assert step is not None
    quanta = apart / step
    if math.isfinite(quanta) and abs(quanta - round(quanta)) < 1e-9 * max(1.0, quanta):
        return float(round(quanta))
    return quanta
