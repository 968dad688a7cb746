"""The values of a constant in a few numbers. Reads the constant's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.views.tensors import INTEGER_LIMITS, channel_axis, is_quantized, zero_points

_BINS = 16
_SAMPLE = 8
# Bits that stand for floats of a type that numpy does not have.
_BIT_PATTERNS = frozenset({"BFLOAT16", "FLOAT8_E4M3FN", "FLOAT8_E5M2"})


@dataclass(frozen=True)
class Statistics:
    """A constant's values; of quantised ones the stored integers, and what they stand for.

    Attributes:
        count: how many there are; sample: the first few.
        min, max, mean, std: over the finite ones, in float64; None where there is none, and for strings.
        zeros: how many are 0; not_finite: how many are NaN or infinite.
        real_min, real_max: in real units, where the tensor is quantised.
        at_limits: how many integers are the least or greatest of their type, None for other types.
        edges, counts: a histogram of the finite values over [min, max]: counts[i] from edges[i] up to edges[i + 1].
    """

    count: int
    sample: list[Any]
    min: float | int | None = None
    max: float | int | None = None
    mean: float | None = None
    std: float | None = None
    zeros: int = 0
    not_finite: int = 0
    real_min: float | None = None
    real_max: float | None = None
    at_limits: int | None = None
    edges: list[float] | None = None
    counts: list[int] | None = None


def statistics(tensor: Tensor) -> Statistics:
    """The values of a constant in a few numbers.

    Raises:
        SurgeonError: it is not constant, its bytes do not fit shape and type, or its type has no numbers.
    """
    import numpy as np

    values = tensor.values().reshape(-1)
    if tensor.type_name in _BIT_PATTERNS:
        raise SurgeonError(f"values of {tensor.type_name.lower()} are not decoded")
    if values.dtype.kind not in "biuf":
        sample = [value if isinstance(value, (bytes, str)) else str(value) for value in values[:_SAMPLE].tolist()]
        texts = [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in sample]
        return Statistics(values.size, texts)
    numbers = values.astype(np.uint8) if values.dtype.kind == "b" else values
    finite = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers
    known = Statistics(
        count=values.size,
        sample=values[:_SAMPLE].tolist(),
        zeros=int(values.size - np.count_nonzero(values)),
        not_finite=int(values.size - finite.size),
        at_limits=_at_limits(tensor, values),
    )
    if not finite.size:
        return known
    low, high = finite.min().item(), finite.max().item()
    real_low, real_high = _real_range(tensor) if is_quantized(tensor) else (None, None)
    counts, edges = _histogram(finite.astype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(finite.mean(dtype=np.float64)), float(finite.std(dtype=np.float64))
    return Statistics(
        **{
            **vars(known),
            "min": low,
            "max": high,
            "mean": mean,
            "std": std,
            "real_min": real_low,
            "real_max": real_high,
            "edges": edges,
            "counts": counts,
        }
    )


def _histogram(values: Any) -> tuple[list[int] | None, list[float] | None]:
    """Counts and edges; None for values that are all the same, too close together or too far apart for bins."""
    import numpy as np

    low, high = float(values.min()), float(values.max())
    if not low < high:
        return None, None
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            counts, edges = np.histogram(values, bins=_BINS, range=(low, high))
    except ValueError:
        return None, None
    return counts.tolist(), edges.tolist()


def _at_limits(tensor: Tensor, values: Any) -> int | None:
    limits = INTEGER_LIMITS.get(tensor.type_name)
    return None if limits is None else int(((values == limits[0]) | (values == limits[1])).sum())


def _real_range(tensor: Tensor) -> tuple[float | None, float | None]:
    """The least and greatest real value; None where the scheme has no scales or they do not fit the shape."""
    import numpy as np

    quantization = tensor.quantization
    scale = None if quantization is None else quantization.scale
    if not scale:
        return None, None
    scales, zeros = np.array(scale, np.float64), np.array(zero_points(tensor), np.float64)
    values = tensor.values()
    axis = channel_axis(tensor)
    if axis is None:
        ends = [np.array([values.min(), values.max()], np.float64)]
    elif 0 <= axis < values.ndim and values.shape[axis] == len(scale):
        others = tuple(number for number in range(values.ndim) if number != axis)
        ends = [values.min(axis=others).astype(np.float64), values.max(axis=others).astype(np.float64)]
    else:
        return None, None
    with np.errstate(all="ignore"):
        reals = np.concatenate([(end - zeros) * scales for end in ends])
    return float(reals.min()), float(reals.max())
