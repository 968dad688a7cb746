"""What JSON cannot say, in terms that it can."""

from __future__ import annotations

import math


def finite(value: float) -> float | str:
    """The number; NaN and the infinities by name."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def as_text(text: str) -> str:
    """Bytes that are not UTF-8 as \\xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
