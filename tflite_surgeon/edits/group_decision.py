"""Which of several scales and zero points is right for tensors that hold the same integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tflite_surgeon.edits.constants import Parameters, parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.evidence import DECLARED, HINT, Evidence, evidence_at, starts_at_lowest
from tflite_surgeon.edits.ties import group_of
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.quantization import LIMITS

# Evidence decides where it is at least so many times that for the next best.
_DECIDES = 2
# No more integers of a type are looked at, evenly spread, for how far two readings are apart.
_MOST_INTEGERS = 1 << 16


@dataclass(frozen=True)
class Choice:
    """The parameters that a group of tensors should have.

    Attributes:
        parameters: those that most speaks for.
        is_decisive: whether so much more speaks for them than for any others that these must be damage.
        is_evident: whether it is more than a majority that decides.
        reason: what speaks for them, or that nothing does.
    """

    parameters: Parameters
    is_decisive: bool
    reason: str
    is_evident: bool = False


def choose(draft: Draft, tied: Sequence[Tensor]) -> Choice | None:
    """Choose between what tied tensors declare, by all that is tied to them; None where none declares anything usable.

    Of parameters that equally much speaks for, those of the tensor that comes first in `tied` are named.
    """
    group = {id(member): member for tensor in tied for member in group_of(draft, tensor)}
    members = list(group.values())
    wanted = list(dict.fromkeys(found for tensor in tied if (found := parameters_of(tensor)) is not None))
    if not wanted:
        return None
    evidence = [item for member in members for item in evidence_at(draft, member) if item.weight != DECLARED]
    reasons: dict[Parameters, list[Evidence]] = {one: [] for one in wanted}
    for item in evidence:
        for one in _spoken_for(item, wanted):
            reasons[one].append(item)
    weights = {one: sum(item.weight for item in items) for one, items in reasons.items()}
    lowest = LIMITS[wanted[0].type_name][0]
    from_zero = starts_at_lowest(draft, members) and len({one.zero_point for one in wanted}) > 1
    if from_zero:
        weights.update({one: weight + HINT for one, weight in weights.items() if one.zero_point == lowest})
    declared = [parameters_of(member) for member in members]
    counts = {one: declared.count(one) for one in wanted}
    order = sorted(wanted, key=lambda one: (-weights[one], -counts[one]))
    best, others = order[0], order[1:]
    if not others:
        return Choice(best, True, "all others have it")
    second = max(weights[one] for one in others)
    if weights[best] > 0 and weights[best] >= _DECIDES * second:
        strongest = max(reasons[best], key=lambda item: item.weight, default=None)
        zero = f"values start at 0, which is the lowest integer with zero point {lowest}"
        return Choice(best, True, strongest.why if strongest is not None else zero, True)
    if weights[best] == second and counts[best] >= _DECIDES * max(counts[one] for one in others):
        return Choice(best, True, f"{counts[best]} of {len(members)} tensors with the same integers have these")
    return Choice(best, False, "nothing in the file tells which of the scales or zero points is right")


def _spoken_for(item: Evidence, wanted: Sequence[Parameters]) -> list[Parameters]:
    """The parameters that a piece of evidence speaks for; none where it does not tell some from others."""
    agreeing = [one for one in wanted if item.agrees_with(one.scale)]
    if not item.is_exact and agreeing:
        nearest = min(abs(one.scale - item.scale) for one in agreeing)
        agreeing = [one for one in agreeing if abs(one.scale - item.scale) == nearest]
    if item.zero_point is not None:
        nearest_point = min((abs(one.zero_point - item.zero_point) for one in agreeing), default=0)
        most = 0 if item.is_exact else 1
        agreeing = [one for one in agreeing if abs(one.zero_point - item.zero_point) == nearest_point <= most]
    return agreeing if len(agreeing) < len(wanted) else []


@dataclass(frozen=True)
class Distance:
    """How far two readings of the same integers are apart.

    Attributes:
        moves: by how many integers a conversion moves one at most, before rounding and cutting off.
        rounds: by how much of the second scale rounding changes a value that is not cut off.
        clipped: the share of the integers that a conversion cuts off.
    """

    moves: float
    rounds: float
    clipped: float


def distance(first: Parameters, second: Parameters) -> Distance:
    """What a conversion from parameters to others does to the integers of the type."""
    import numpy as np

    low, high = LIMITS[first.type_name]
    steps = max((high - low) // _MOST_INTEGERS, 1)
    integers = np.arange(low, high + 1, steps, dtype=np.float64)
    exact = (integers - first.zero_point) * (first.scale / second.scale) + second.zero_point
    bottom, top = LIMITS[second.type_name]
    rounded = np.floor(exact + 0.5)
    held = (rounded >= bottom) & (rounded <= top)
    rounds = np.abs(exact - rounded)[held].max(initial=0.0)
    return Distance(float(np.abs(exact - integers).max()), float(rounds), float(1 - held.mean()))
