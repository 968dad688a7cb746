"""Constants side by side: how many values differ, by how much, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.views.diff.result import ValuesChange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tflite_surgeon.model.objects import Tensor

    Bytes = bytes | bytearray | memoryview

# Elements looked at in one go: real values take eight bytes each.
_CHUNK = 1 << 18
_CHUNK_BYTES = 1 << 20
# Stored as bits that are not the number itself.
_BITS_ONLY = {"FLOAT8_E4M3FN", "FLOAT8_E5M2", "BOOL"}


def values_change(a: Tensor, b: Tensor, x: Bytes | None, y: Bytes | None) -> ValuesChange | None:
    """How two constants differ; None where they stand for the same values in the same form.

    Args:
        a, b: the tensors, whose types, shapes and scales say what the bytes mean.
        x, y: their bytes; None for a tensor without any.
    """
    if x is None or y is None:
        return None if x is y else ValuesChange(_length(x), _length(y))
    equal = is_same_bytes(x, y)
    if equal and a.type_name == b.type_name and _quantization(a) == _quantization(b):
        return None
    try:
        left, right = a.values(), b.values()
    except SurgeonError:
        return bytes_change(x, y)
    if left.size != right.size or (left.dtype.kind == "O") != (right.dtype.kind == "O"):
        return ValuesChange(len(x), len(y))
    found = _strings_change(left, right) if left.dtype.kind == "O" else _Numbers(a, b, left, right).change
    if found.differ == 0 and not found.largest_real:
        return None
    fields = {**vars(found), "before": len(x), "after": len(y)}
    return ValuesChange(**fields)


def is_same_bytes(x: Bytes, y: Bytes) -> bool:
    """Whether two pieces of data are equal; in chunks, because views compare byte by byte."""
    if len(x) != len(y):
        return False
    starts = range(0, len(x), _CHUNK_BYTES)
    return all(bytes(x[at : at + _CHUNK_BYTES]) == bytes(y[at : at + _CHUNK_BYTES]) for at in starts)


def _length(data: Bytes | None) -> int | None:
    return None if data is None else len(data)


def _quantization(tensor: Tensor) -> tuple[list[float], list[int], int]:
    quantization = tensor.quantization
    if quantization is None:
        return [], [], 0
    return list(quantization.scale or ()), list(quantization.zero_point or ()), quantization.quantized_dimension


def bytes_change(x: Bytes | None, y: Bytes | None) -> ValuesChange | None:
    """How two pieces of bytes differ; None where they are equal."""
    import numpy as np

    if x is None or y is None or len(x) != len(y):
        return None if x is y else ValuesChange(_length(x), _length(y), unit="bytes")
    differ, at = 0, None
    for start in range(0, len(x), _CHUNK_BYTES):
        pieces = (np.frombuffer(data[start : start + _CHUNK_BYTES], np.uint8) for data in (x, y))
        places = np.flatnonzero(np.not_equal(*pieces))
        differ += places.size
        if at is None and places.size:
            at = start + int(places[0])
    if at is None:
        return None
    return ValuesChange(len(x), len(y), "bytes", len(x), differ, at=(at,), before_at=x[at], after_at=y[at])


def _strings_change(left: NDArray[Any], right: NDArray[Any]) -> ValuesChange:
    pairs = list(zip(left.reshape(-1).tolist(), right.reshape(-1).tolist()))
    places = [place for place, (p, q) in enumerate(pairs) if p != q]
    if not places:
        return ValuesChange(None, None, "strings", len(pairs), 0)
    p, q = (item.decode("utf-8", "surrogateescape") for item in pairs[places[0]])
    at = _index(places[0], left.shape)
    return ValuesChange(None, None, "strings", len(pairs), len(places), at=at, before_at=p, after_at=q)


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    import numpy as np

    return tuple(int(i) for i in np.unravel_index(place, shape)) if shape else ()


class _Real:
    """A tensor's stored numbers as real values, a stretch at a time.

    Attributes:
        is_quantized: integers that a scale belongs to.
        known: whether the real values are known at all.
    """

    def __init__(self, tensor: Tensor, stored: NDArray[Any]) -> None:
        import numpy as np

        self.stored = stored.reshape(-1)
        self.is_bfloat16 = tensor.type_name == "BFLOAT16"
        self.known = tensor.type_name not in _BITS_ONLY
        scales, zeros, axis = _quantization(tensor)
        self.is_quantized = bool(scales) and stored.dtype.kind in "iu" and self.known and not self.is_bfloat16
        if not self.is_quantized:
            scales, zeros = [1.0], [0]
        elif len(zeros) != len(scales):
            zeros = zeros[:1] or [0]
        self.scale, self.zero = np.array(scales, np.float64), np.array(zeros, np.float64)
        self.inner = 1
        if len(self.scale) > 1:
            if 0 <= axis < stored.ndim and stored.shape[axis] == len(self.scale):
                self.inner = int(np.prod(stored.shape[axis + 1 :], dtype=np.int64))
            else:
                self.known = False

    def at(self, start: int, end: int) -> NDArray[Any]:
        import numpy as np

        stored = self.stored[start:end]
        if self.is_bfloat16:
            return (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        if stored.dtype.kind == "c":
            return stored.astype(np.complex128)
        real = stored.astype(np.float64)
        return (real - self._of(self.zero, start, end)) * self.units(start, end) if self.is_quantized else real

    def real_at(self, place: int) -> float | None:
        """One value; None where integers do not stand for anything else."""
        return float(self.at(place, place + 1)[0]) if self.is_quantized and self.known else None

    def units(self, start: int, end: int) -> NDArray[np.float64]:
        """What one quantum is worth, for each value."""
        return self._of(self.scale, start, end)

    def _of(self, each: NDArray[np.float64], start: int, end: int) -> NDArray[np.float64]:
        import numpy as np

        return each if len(each) == 1 else each[np.arange(start, end) // self.inner % len(each)]


class _Numbers:
    """Numbers side by side."""

    def __init__(self, a: Tensor, b: Tensor, left: NDArray[Any], right: NDArray[Any]) -> None:
        self.same_type = a.type_name == b.type_name
        self.sides = _Real(a, left), _Real(b, right)
        self.known = all(side.known for side in self.sides)
        self.quantized = [side for side in self.sides if side.is_quantized]
        self.differ = self.not_a_number = 0
        self.quanta: float | None = None
        self.real: float | None = None
        self.at: int | None = None
        for start, end in _stretches(left.size):
            self._look(start, end)
        self.change = self._result(left, right)

    def _look(self, start: int, end: int) -> None:
        import numpy as np

        x, y = (side.stored[start:end] for side in self.sides)
        reals: NDArray[Any] | None = None
        if self.known:
            before, after = (side.at(start, end) for side in self.sides)
            with np.errstate(all="ignore"):
                reals = np.abs(after - before)
            reals[before == after] = 0.0
            nan = np.isnan(before), np.isnan(after)
            reals[nan[0] & nan[1]] = 0.0
            self.not_a_number += int((nan[0] ^ nan[1]).sum())
        if self.same_type:
            # Of floats every bit counts: two kinds of NaN differ as stored, and equal ones do not.
            differ = x != y if x.dtype.kind in "iub" else (_as_bytes(x) != _as_bytes(y)).any(axis=1)
        elif reals is not None:
            differ = ~(reals == 0.0)
        else:
            differ = np.ones(len(x), bool)
        self.differ += int(differ.sum())
        if self.at is None and differ.any():
            self.at = start + int(np.argmax(differ))
        if reals is not None:
            self._note_real(np.where(np.isnan(reals), -1.0, reals), start)
        if self.quantized:
            self._note_quanta(x, y, reals, start, end)

    def _note_real(self, reals: NDArray[Any], start: int) -> None:
        import numpy as np

        place = int(np.argmax(reals))
        largest = float(reals[place])
        if largest > (self.real or 0.0):
            self.real, self.at = largest, start + place

    def _note_quanta(self, x: NDArray[Any], y: NDArray[Any], reals: NDArray[Any] | None, start: int, end: int) -> None:
        import numpy as np

        if self.same_type:
            quanta = np.abs(y.astype(np.float64) - x.astype(np.float64))
        elif reals is not None:
            side = self.quantized[-1]
            with np.errstate(all="ignore"):
                quanta = reals / side.units(start, end)
        else:
            return
        self.quanta = max(self.quanta or 0.0, float(np.max(np.where(np.isnan(quanta), 0.0, quanta))))

    def _result(self, left: NDArray[Any], right: NDArray[Any]) -> ValuesChange:
        at = None if self.at is None else _index(self.at, left.shape)
        x, y = (None if self.at is None else side.reshape(-1)[self.at].item() for side in (left, right))
        real = self.real if self.real is not None else 0.0 if self.known else None
        if isinstance(x, complex) or isinstance(y, complex):
            x, y = str(x), str(y)
        p, q = (None if self.at is None else side.real_at(self.at) for side in self.sides)
        return ValuesChange(
            None, None, "values", left.size, self.differ, self.quanta, real, self.not_a_number, at, x, y, p, q
        )


def _stretches(size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK))


def _as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    return values.view(np.uint8).reshape(len(values), -1)
