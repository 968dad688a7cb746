"""What a repair should come to, computed without the library's arithmetic, and its plan in a form to compare."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import tflite_surgeon as ts
from tflite_surgeon.edits.bias_scale import BiasRepair, LeftAlone
from tflite_surgeon.edits.plan import AppendItem, EditPlan, SetField


@dataclass(frozen=True)
class BiasOutcome:
    """What was done to biases, with all that the repair of a bias tells."""

    model: ts.Model
    repairs: tuple[BiasRepair, ...]
    left: tuple[LeftAlone, ...]
    plan: EditPlan
    remaining: tuple[ts.Finding, ...]


def fix_biases(model: ts.Model, *args: Any, **arguments: Any) -> BiasOutcome:
    """`fix_bias_scale`, in the terms of biases."""
    outcome = ts.fix_bias_scale(model, *args, **arguments)
    # A scale that was given back to weights or input is no repair of the bias.
    repairs = tuple(item.done.detail for item in outcome.repairs if isinstance(item.done.detail, BiasRepair))
    left = tuple(item.refused.detail for item in outcome.left if isinstance(item.refused.detail, LeftAlone))
    return BiasOutcome(outcome.model, repairs, left, outcome.plan, outcome.remaining)


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
