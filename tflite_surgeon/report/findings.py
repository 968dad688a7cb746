"""Findings as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.names import printable, quoted
from tflite_surgeon.rules.registry import Finding

_VERDICTS = {
    "refuses": "refuses the model",
    "crashes": "crashes",
    "wrong-numbers": "loads it, wrong numbers",
    "ok": "accepts it",
    "unknown": "unknown",
}


def print_findings(printer: Printer, path: str, findings: Sequence[Finding], targets: Sequence[str]) -> None:
    """Print what `check` found in one file."""
    printer.line(f"{printable(path)}: {summary(findings, targets)}", style="bold" if findings else "")
    for finding in findings:
        printer.line()
        _print_finding(printer, finding)


def summary(findings: Sequence[Finding], targets: Sequence[str]) -> str:
    """Such as "2 errors, 1 note for litert, litert-no-delegate"."""
    if not findings:
        return "nothing found"
    counts = Counter(finding.severity for finding in findings)
    parts = [
        f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in sorted(counts.items(), reverse=True)
    ]
    return f"{', '.join(parts)} for {', '.join(targets)}"


def _print_finding(printer: Printer, finding: Finding) -> None:
    where = "the file"
    if finding.operator is not None:
        where = f"operator {finding.operator} ({printable(finding.operator_name or '')})"
    if finding.subgraph:
        where += f" of subgraph {finding.subgraph}"
    tensor = f", tensor {finding.tensor[0]} {quoted(finding.tensor[1])}" if finding.tensor else ""
    printer.heading(str(finding.severity), f"{where}{tensor} [{finding.rule}]")
    printer.line(f"{printable(finding.message, longest=2000)}.", indent=4)
    printer.pairs([*_numbers(finding.details), *_runtimes(finding.runtimes)], indent=4)


def _numbers(details: dict[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    scales, tensors = details.get("scales"), details.get("tensors")
    if not scales or not tensors:
        return rows
    names = dict(zip(("input", "weights"), [role for role in tensors if role not in ("bias", "output")]))
    for key in ("input", "weights", "bias", "output"):
        role = names.get(key, key)
        if role in tensors or scales[key] is not None:
            value = "none" if scales[key] is None else f"{scales[key]:.9g}"
            rows.append((f"{role} scale", f"{value}  {quoted(tensors[role])}" if role in tensors else value))
    rows.append(("expected", f"{scales['expected']:.9g} as the bias scale"))
    ratio = details["ratio"]
    rows.append(("ratio", f"|expected - bias scale| / output scale = {ratio:.4g} (limit {details['ratio_limit']})"))
    off = f"{details['channels_off']} of {details['channels']} off"
    if details["channels_off"]:
        off += f", worst is channel {details['worst_channel']}"
    rows.append(("channels", off))
    return rows


def _runtimes(verdicts: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, _VERDICTS[verdict]) for name, verdict in verdicts.items()]
