"""Which differences count: against stated tolerances, and as the place where two computations part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tflite_surgeon.verification.result import Difference, ModeResult, TensorDifference, Tolerances

# Without a stated tolerance, what is stored alike departs where a bit differs. Where it is not, rounding alone makes up
# to a quantum of difference in a layer, and what it made before is carried along: an operator departs where there is
# more noise than both explain. (Measured on healthy MobileNets, an operator adds up to 12 dB to what it is given.)
_ROUNDING_QUANTA: Final = 2.0
_CARRIED_DB: Final = 15.0
# Of floats without a quantum: a hundredth of the signal's amplitude.
_ROUNDING_SNR: Final = 40.0


def first_departure(
    tensors: Sequence[TensorDifference], tolerances: Tolerances, reads: Mapping[int, Sequence[int]]
) -> TensorDifference | None:
    """The first tensor in execution order that is not as in the reference.

    Args:
        tensors: in execution order.
        tolerances: what counts as a difference, where any are stated.
        reads: by a tensor's number, those of the tensors that its operator reads.
    """
    ratios = {item.tensor: item.difference.snr for item in tensors}
    for item in tensors:
        given = [ratio for number in reads.get(item.tensor, ()) if (ratio := ratios.get(number)) is not None]
        if item.operator is not None and _departs(item.difference, tolerances, min(given, default=math.inf)):
            return item
    return None


def _departs(found: Difference, tolerances: Tolerances, given: float) -> bool:
    """Whether a difference is one; `given` is the SNR of the worst of what the operator reads."""
    if found.is_equal:
        return False
    if _reasons(found, tolerances):
        return True
    if tolerances != Tolerances() or found.stored_alike:
        return tolerances == Tolerances()
    if found.snr is None or (math.isfinite(given) and found.snr > given - _CARRIED_DB):
        return found.snr is None
    return found.max_quanta > _ROUNDING_QUANTA if found.max_quanta is not None else found.snr < _ROUNDING_SNR


def exceeded(results: Sequence[ModeResult], tolerances: Tolerances) -> tuple[str, ...]:
    """A sentence for each stated tolerance that AFTER exceeds, and for each runtime that it alone fails in."""
    said = []
    for result in results:
        if result.before.ok and not result.after.ok:
            said.append(f"{result.mode}: after does not run, before does")
        for what, item in _judged(result):
            for reason in _reasons(item.difference, tolerances):
                said.append(f"{result.mode}: output {item.name!r}{what}: {reason}")
    return tuple(said)


def unjudged(results: Sequence[ModeResult], tolerances: Tolerances) -> tuple[str, ...]:
    """A sentence for each output that the stated tolerances say nothing about."""
    if tolerances == Tolerances():
        return ()
    said = []
    for result in results:
        for what, item in _judged(result):
            found = item.difference
            applies = (
                found.mismatch is not None
                or (tolerances.quanta is not None and found.max_quanta is not None)
                or (tolerances.real is not None or tolerances.snr is not None)
            )
            if not applies:
                said.append(f"{result.mode}: output {item.name!r}{what} has no quantum: --tolerance judges it")
    return tuple(said)


def _judged(result: ModeResult) -> Iterator[tuple[str, TensorDifference]]:
    for what, comparison in (("", result.comparison), (" against its meaning", result.after_meaning)):
        for item in comparison.outputs if comparison is not None else ():
            yield what, item


def _reasons(found: Difference, tolerances: Tolerances) -> list[str]:
    """How a difference exceeds tolerances; nothing where none is stated."""
    if tolerances == Tolerances():
        return []
    if found.mismatch is not None:
        return [found.mismatch]
    if found.max is None:  # Strings, which are the same or are not.
        return [f"{found.differing} of {found.elements} strings differ"] if found.differing else []
    said = []
    if tolerances.quanta is not None and found.max_quanta is not None and found.max_quanta > tolerances.quanta:
        said.append(f"{found.max_quanta:.4g} quanta, more than {tolerances.quanta:g}")
    if tolerances.real is not None and found.max > tolerances.real:
        said.append(f"{found.max:.4g}, more than {tolerances.real:g}")
    if tolerances.snr is not None and found.snr is not None and found.snr < tolerances.snr:
        said.append(f"{found.snr:.4g} dB, less than {tolerances.snr:g}")
    return said
