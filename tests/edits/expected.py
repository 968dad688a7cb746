"""What a repair should come to, computed without the library's arithmetic, and its plan in a form to compare."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from tflite_surgeon.edits.plan import AppendItem, SetField


def rounded(value: Fraction) -> int:
    """To the nearest whole number, halves away from zero."""
    whole = int(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole


def re_expressed(old_integers: list[int], old: list[float], new: list[float]) -> list[int]:
    """The integers that stand for the same real values in other scales, in exact arithmetic."""
    count = len(old_integers)
    olds, news = (list(s) * (count if len(s) == 1 else 1) for s in (old, new))
    return [rounded(q * Fraction(a) / Fraction(b)) for q, a, b in zip(old_integers, olds, news)]


def edits(outcome) -> dict[str, tuple]:
    """Path -> (old, new) of each field set, and path -> object of each one added."""
    found = {}
    for edit in outcome.plan.edits:
        assert edit.path not in found
        if isinstance(edit, SetField):
            old, new = (bytes(v) if isinstance(v, memoryview) else v for v in (edit.old, edit.new))
            found[edit.path] = (old, new)
        else:
            assert isinstance(edit, AppendItem)
            found[edit.path] = edit.item
    return found


def packed(values: list[int], kind: str = "<i4") -> bytes:
    return np.array(values, dtype=object).astype(kind).tobytes()
