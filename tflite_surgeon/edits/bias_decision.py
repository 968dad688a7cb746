"""Which of two readings of a bias is right: the real values that the file writes, or the integers that kernels add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tflite_surgeon.rules.bias_evidence import why_integers
from tflite_surgeon.rules.bias_scale import MATTERS_FROM, Suspect, Suspects
from tflite_surgeon.rules.bias_use import BiasUse

Keep = Literal["auto", "values", "integers"]
KEEPS: tuple[Keep, ...] = ("auto", "values", "integers")
Undecided = Literal["values", "leave"]


@dataclass(frozen=True)
class Decision:
    """What to do with one bias, and why.

    Attributes:
        keep: "values": the scale becomes the kernel's unit and the integers are re-rounded, outputs move towards what
            the file says; "integers": only the scale changes, outputs stay; None: leave the node as it is.
        reason: why.
        is_open: the file does not tell, and the other choice would be as good.
        suspect: whose scale is wrong: with "weights" or "input" the bias stays as it is, and that scale is restored.
        overflows: the integers would leave their type in the kernel's unit.
    """

    keep: Literal["values", "integers"] | None
    reason: str
    is_open: bool = False
    suspect: Suspect = "bias"
    overflows: bool = False


def decide(use: BiasUse, suspects: Suspects, keep: Keep, undecided: Undecided) -> Decision:
    """Decide for one bias that is off.

    Args:
        use: the bias in its node.
        suspects: what the rest of the model says about the scales.
        keep: the reading to trust, or "auto" to judge by the file.
        undecided: what "auto" does where the file does not tell.
    """
    impossible = _impossible(use)
    if impossible is not None:
        return Decision(None, impossible)
    if keep == "integers":
        return Decision("integers", "asked for with --keep integers")
    if keep == "values":
        return _values(use, "asked for with --keep values")
    return _judge(use, suspects, undecided)


def _impossible(use: BiasUse) -> str | None:
    if use.bias.data is None:
        return "the bias is computed at run time, not stored: correct the operator that computes it"
    if use.integers is None:
        return f"the bias's buffer does not hold {use.channels} integers of {use.bias.type_name}"
    if use.trouble is not None:
        return f"{use.trouble}: without it the bias has no unit to be expressed in; restore that scale first"
    return None


def _judge(use: BiasUse, suspects: Suspects, undecided: Undecided) -> Decision:
    error = use.worst_error
    harmless = error is None or error < MATTERS_FROM
    if use.unwritten and harmless:
        return Decision("integers", _unwritten_reason(use))
    if use.is_six_decimals:
        return Decision("integers", "the scale is what six printed decimals leave of the right one (a flatc JSON trip)")
    if use.unwritten:
        reason = f"{len(use.unwritten)} channels have no written value, and others are off by up to {error:.4g} quanta"
        return Decision(None, reason, is_open=True)
    if harmless and use.output_scale > 0:
        return Decision(
            "integers", f"the readings differ by at most {error or 0.0:.3g} output quanta: no result changes"
        )
    other = suspects.other_unit(use)
    if other is not None:
        reason = (
            f"the scale is the unit of operator {other.node.index}, which shares the bias: it was made for that one"
        )
        return _values(use, reason)
    suspect, why = suspects.verdict(use)
    if suspect != "bias":
        return Decision(None, f"the {suspect} scale is the suspect, not the bias scale: {why}", suspect=suspect)
    if use.recorded_reading == "integers":
        return Decision("integers", "the range recorded beside the scale is that of the integers in the kernel's unit")
    if use.recorded_reading == "values":
        return _values(use, "the range recorded beside the scale is that of the written values")
    absurd = why_integers(use)
    if absurd is not None:
        return Decision("integers", absurd)
    reason = "the file does not tell which reading is right"
    if undecided == "leave":
        return Decision(None, f"{reason}: choose with --keep values or --keep integers", is_open=True)
    return Decision("values", f"{reason}; the written values are kept", is_open=True)


def _unwritten_reason(use: BiasUse) -> str:
    if not use.stored:
        return "the bias has no scale, so no values were written"
    if not use.is_complete:
        return f"the bias has {len(use.stored)} scales for {use.channels} channels, so not every value was written"
    channel = use.unwritten[0]
    return f"the scale {use.of_channel(use.stored, channel)!r} is none, so no values were written"


def _values(use: BiasUse, reason: str) -> Decision:
    if use.unwritten:
        return Decision(None, f"{_unwritten_reason(use)}; use --keep integers, which needs none")
    return Decision("values", reason)
