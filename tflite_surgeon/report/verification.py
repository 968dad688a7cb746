"""A verification as text and as strict JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any, Final

from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.json_report import as_text, plain
from tflite_surgeon.report.names import printable, quoted
from tflite_surgeon.verification.result import (
    AFTER,
    BEFORE,
    Comparison,
    Difference,
    ModeResult,
    Outcome,
    TensorDifference,
    Verification,
)

_LONGEST_MESSAGE: Final = 400
# Of the intermediates that differ; JSON has them all.
_TENSORS_SHOWN: Final = 20
_SHORTEST_NAME: Final = 16


def print_verification(printer: Printer, before: str, after: str, found: Verification) -> None:
    """Print what was found: a paragraph a runtime, an output a line."""
    paths = (printable(path, longest=4096) for path in (before, after))
    printer.line(f"{' -> '.join(paths)}: {found.inputs}", style="bold")
    for mode, why in found.skipped:
        printer.line(f"{mode} is skipped: {printable(why, longest=_LONGEST_MESSAGE)}", style="yellow")
    for result in found.modes:
        printer.line()
        printer.line(f"{result.mode} {printable(result.version)}".rstrip(), style="bold")
        _print_mode(printer, result)
    if found.said is not None:
        printer.line()
        printer.line("in real numbers, as the files have it", style="bold")
        _print_comparison(printer, "after, not before", found.said)
    if found.unjudged or found.exceeded:
        printer.line()
    for sentence in found.unjudged:
        printer.heading("note", printable(sentence, longest=_LONGEST_MESSAGE))
    for sentence in found.exceeded:
        printer.heading("error", printable(sentence, longest=_LONGEST_MESSAGE))


def _print_mode(printer: Printer, result: ModeResult) -> None:
    for label, outcome in ((BEFORE, result.before), (AFTER, result.after)):
        if not outcome.ok:
            printer.pairs([(label, _failure(outcome))], indent=2)
    if result.comparison is not None:
        _print_comparison(printer, "after, not before", result.comparison)
    for label, comparison in ((BEFORE, result.before_meaning), (AFTER, result.after_meaning)):
        if comparison is not None:
            _print_comparison(printer, f"{label}, not what it says", comparison)
    if result.note:
        printer.pairs([("note", result.note)], indent=2)


def _failure(outcome: Outcome) -> str:
    what = {
        "fail:construct": "does not load",
        "fail:allocate": "does not load",
        "fail:invoke": "does not run",
        "timeout": "does not come to an end",
    }.get(outcome.verdict, f"kills the interpreter ({outcome.verdict.removeprefix('crash:')})")
    words = " ".join(outcome.message.split())
    return f"{what}: {printable(words, longest=_LONGEST_MESSAGE)}" if words else what


_TITLES: Final = {
    "after, not before": "after against before",
    f"{BEFORE}, not what it says": "before against what its file says",
    f"{AFTER}, not what it says": "after against what its file says",
}


def _print_comparison(printer: Printer, key: str, comparison: Comparison) -> None:
    title = _TITLES[key]
    if comparison.problem is not None:
        printer.line(f"{title}: not compared", 2)
        printer.line(printable(comparison.problem, longest=2 * _LONGEST_MESSAGE), 4)
        return
    if comparison.is_equal:
        count = len(comparison.outputs)
        printer.line(f"{title}: {'the output is' if count == 1 else f'all {count} outputs are'} the same", 2)
    else:
        printer.line(f"{title}:", 2)
        for item in comparison.outputs:
            _print_item(printer, "output", item, 4)
    _print_tensors(printer, comparison)


def _print_tensors(printer: Printer, comparison: Comparison) -> None:
    if not comparison.tensors:
        return
    differing = [item for item in comparison.tensors if not item.difference.is_equal]
    total = len(comparison.tensors)
    if not differing:
        printer.line(f"{total} intermediate tensors are the same too", 4)
        return
    if all(item.difference.stored_alike for item in comparison.tensors):
        printer.line(f"{len(differing)} of {total} intermediate tensors differ", 4)
        for item in differing[:_TENSORS_SHOWN]:
            _print_item(printer, "tensor", item, 6)
        if len(differing) > _TENSORS_SHOWN:
            printer.line(f"and {len(differing) - _TENSORS_SHOWN} more, which --json has", 6)
    else:
        worst = max(comparison.tensors, key=lambda item: item.difference.max_quanta or 0.0)
        printer.line(f"{total} intermediate tensors compared, which --json has; the farthest off:", 4)
        _print_item(printer, "tensor", worst, 6)
    if comparison.departs is not None and comparison.departs.operator is not None:
        number, name = comparison.departs.operator
        printer.line(f"departs first at operator {number} ({printable(name)})", 4)
        if comparison.departs not in differing[:_TENSORS_SHOWN]:
            _print_item(printer, "tensor", comparison.departs, 6)
    else:
        printer.line("no operator departs", 4)


def _print_item(printer: Printer, what: str, item: TensorDifference, indent: int) -> None:
    """A tensor and how far it is off: in one line, or on a terminal below each other."""
    writer = "" if item.operator is None or what == "output" else f" of operator {item.operator[0]}"
    start = f"{what}{writer} "
    words = difference_words(item.difference)
    if not printer.wraps:
        printer.line(f"{start}{quoted(item.name)}: {words}", indent)
        return
    room = max(printer.console.width - indent - len(start) - len("''"), _SHORTEST_NAME)
    printer.line(f"{start}{quoted(printable(item.name, room))}", indent)
    printer.line(words, indent + 4)


def difference_words(found: Difference) -> str:
    """A difference in one line."""
    if found.mismatch is not None:
        return found.mismatch
    if found.is_equal:
        return "the same"
    if found.max is None:
        return f"{found.differing} of {found.elements} strings differ"
    parts = []
    if found.max_quanta is not None and found.mean_quanta is not None:
        parts.append(f"at most {_number(found.max_quanta)} quanta ({_number(found.max)})")
        parts.append(f"mean {_number(found.mean_quanta)} ({_number(found.mean or 0.0)})")
    else:
        parts.append(f"at most {_number(found.max)}")
        parts.append(f"mean {_number(found.mean or 0.0)}")
    if found.snr is not None:
        parts.append(f"SNR {found.snr:.1f} dB")
    if found.cosine is not None:
        parts.append(f"cosine {found.cosine:.6f}")
    if found.stored_alike:
        parts.append(f"{found.differing} of {found.elements} differ")
    return ", ".join(parts)


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "infinitely many" if value > 0 else str(value)


def verification_as_json(before: str, after: str, found: Verification) -> str:
    """`{"before", "after", "inputs", "runs", "skipped", "modes": [...], "said", "exceeded", "unjudged"}`, strict."""
    result: dict[str, Any] = {
        "before": as_text(before),
        "after": as_text(after),
        "inputs": as_text(found.inputs),
        "runs": found.runs,
        "skipped": [{"mode": mode, "reason": as_text(why)} for mode, why in found.skipped],
        "modes": [_mode(mode) for mode in found.modes],
        "said": _comparison(found.said),
        "exceeded": [as_text(sentence) for sentence in found.exceeded],
        "unjudged": [as_text(sentence) for sentence in found.unjudged],
    }
    return json.dumps(result, indent=2, allow_nan=False)


def _mode(result: ModeResult) -> dict[str, Any]:
    return {
        "mode": result.mode,
        "version": as_text(result.version),
        "before": plain(asdict(result.before)),
        "after": plain(asdict(result.after)),
        "comparison": _comparison(result.comparison),
        "before_meaning": _comparison(result.before_meaning),
        "after_meaning": _comparison(result.after_meaning),
        "note": result.note,
    }


def _comparison(found: Comparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "problem": None if found.problem is None else as_text(found.problem),
        "outputs": [_tensor(item) for item in found.outputs],
        "tensors": [_tensor(item) for item in found.tensors],
        "departs": None if found.departs is None else _tensor(found.departs),
    }


def _tensor(item: TensorDifference) -> dict[str, Any]:
    operator = None if item.operator is None else {"index": item.operator[0], "name": as_text(item.operator[1])}
    result: dict[str, Any] = {
        "name": as_text(item.name),
        "tensor": item.tensor,
        "other": item.other,
        "dtype": item.dtype,
        "operator": operator,
        **plain(asdict(item.difference)),
    }
    return result
