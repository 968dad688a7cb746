"""Findings and verdicts as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tflite_surgeon.knowledge.problems import OK
from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.report.checked import Checked
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.names import as_argument, printable, quoted
from tflite_surgeon.rules.registry import Finding, Severity
from tflite_surgeon.rules.verdicts import Verdict

_EFFECTS = {
    "crashes": "crashes",
    "refuses": "refused by",
    "wrong-numbers": "wrong numbers in",
    "unknown": "unknown in",
    "ok": "accepted by",
}
# As many findings of one rule are told in full; the others are counted.
_TOLD = 5
_NUMBERS_SHOWN = 12
_BIAS_SCALE = "bias-scale"


def print_checked(printer: Printer, entry: Checked, targets: Sequence[str]) -> None:
    """Print what `check` found in one file: the verdicts, then the findings, node by node, the worst first."""
    printer.line(f"{printable(entry.path, longest=4096)}: {summary(entry, targets)}", style="bold")
    printer.pairs([(name, outcome_words(entry, verdict)) for name, verdict in entry.verdicts.items()], indent=2)
    told: Counter[tuple[str, str]] = Counter()
    rest: dict[tuple[str, str], list[Finding]] = {}
    for finding in _by_node(entry.findings):
        kind = (finding.rule, str(finding.severity))
        told[kind] += 1
        if told[kind] > _TOLD:
            rest.setdefault(kind, []).append(finding)
            continue
        printer.line()
        print_finding(printer, finding)
    for (rule, severity), findings in rest.items():
        printer.line()
        printer.heading(severity, f"{len(findings)} more [{rule}]{_places(findings)}")
    print_repair(printer, entry.path, entry.findings)


def print_repair(printer: Printer, path: str, findings: Sequence[Finding]) -> None:
    """Print the command that repairs what was found, where there is one."""
    if not findings:
        return
    from tflite_surgeon.edits.repairs.registry import repairs

    known = {finding.rule for finding in findings if finding.rule in repairs()}
    pressing = {finding.rule for finding in findings if finding.severity > Severity.NOTE} & known
    command = "fix" if pressing - {_BIAS_SCALE} else "fix-bias-scale" if _BIAS_SCALE in known else None
    if command is not None:
        printer.line()
        printer.line(f"To repair: tflite-surgeon {command} {as_argument(path)}")


def _by_node(findings: Sequence[Finding]) -> list[Finding]:
    """Findings of one node together, the node with the worst one first; they come most severe first."""
    groups: dict[tuple[int | None, int | None], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.subgraph, finding.operator), []).append(finding)
    return [finding for group in groups.values() for finding in group]


def _places(findings: Sequence[Finding]) -> str:
    numbers = list(dict.fromkeys(finding.operator for finding in findings if finding.operator is not None))
    if not numbers:
        return ""
    shown = ", ".join(map(str, numbers[:_NUMBERS_SHOWN]))
    return f": operators {shown}{' ...' if len(numbers) > _NUMBERS_SHOWN else ''}"


def outcome_words(entry: Checked, verdict: Verdict) -> str:
    """A runtime's verdict in a few words."""
    where = _where(entry, verdict)
    if verdict.crashes:
        return f"crashes when {'running' if verdict.loads else 'loading'}{where}"
    if verdict.loads is False:
        return f"does not load{where}"
    if verdict.loads is None:
        return f"unknown whether it loads: {printable(verdict.reason or '', longest=400)}"
    if verdict.runs is False:
        return f"loads, does not run{where}"
    if verdict.runs is None:
        return f"loads; unknown whether it runs: {printable(verdict.reason or '', longest=400)}"
    return f"loads and runs, wrong numbers{where}" if verdict.wrong_numbers else "loads and runs"


def _where(entry: Checked, verdict: Verdict) -> str:
    if verdict.rule is None:
        return ""
    if verdict.operator is None:
        return f": [{verdict.rule}]"
    place = (verdict.subgraph, verdict.operator)
    names = (f.operator_name for f in entry.findings if (f.subgraph, f.operator) == place)
    name = next(names, None)
    of = f" of subgraph {verdict.subgraph}" if verdict.subgraph else ""
    return f": operator {verdict.operator}{f' ({printable(name)})' if name else ''}{of} [{verdict.rule}]"


def summary(entry: Checked, targets: Sequence[str]) -> str:
    """Such as "2 errors, 1 note for litert, litert-no-delegate"."""
    known = f" beside {entry.known} in the baseline" if entry.known else ""
    if not entry.findings:
        return f"nothing found in {entry.operators} operator{'' if entry.operators == 1 else 's'}{known}"
    counts = Counter(finding.severity for finding in entry.findings)
    parts = [
        f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in sorted(counts.items(), reverse=True)
    ]
    return f"{', '.join(parts)} for {', '.join(targets)}{known}"


def print_finding(printer: Printer, finding: Finding) -> None:
    """Print one finding: where, what, the numbers, and what each runtime makes of it."""
    printer.heading(str(finding.severity), f"{place_words(finding)} [{finding.rule}]")
    printer.line(f"{printable(finding.message, longest=2000)}.", indent=4)
    printer.pairs(finding_pairs(finding), indent=4)


def finding_pairs(finding: Finding) -> list[tuple[str, str]]:
    """The numbers behind a finding, what each runtime makes of it, and what the runtimes print."""
    said = finding.details.get("runtime_says", {})
    return [*_numbers(finding.details), *_effects(finding.runtimes), *_sayings(said)]


def place_words(finding: Finding) -> str:
    """Such as "operator 26 (CONV_2D), tensor 3 'bias'"."""
    parts = []
    if finding.operator is not None:
        parts.append(f"operator {finding.operator} ({printable(finding.operator_name or '')})")
    if finding.tensor is not None:
        parts.append(f"tensor {finding.tensor[0]} {quoted(finding.tensor[1])}")
    where = ", ".join(parts) or ("the file" if not finding.subgraph else "")
    return f"{where}{' of ' if where else ''}subgraph {finding.subgraph}" if finding.subgraph else where


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


def _effects(effects: dict[str, str]) -> list[tuple[str, str]]:
    """Runtimes that agree share a row, the worst first; no row where nobody minds."""
    if all(effect == OK for effect in effects.values()):
        return []
    groups = {effect: [name for name in NAMES if effects.get(name) == effect] for effect in _EFFECTS}
    return [(_EFFECTS[effect], ", ".join(names)) for effect, names in groups.items() if names]


def _sayings(said: dict[str, str]) -> list[tuple[str, str]]:
    texts = list(dict.fromkeys(said.values()))
    return [("they say" if number == 0 else "or", printable(text)) for number, text in enumerate(texts)]
