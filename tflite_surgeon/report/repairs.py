"""Repairs as text: what was trusted and why, old and new, and which bytes changed."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.edits.bias_scale import BiasRepair, LeftAlone
from tflite_surgeon.edits.engine import Left, Outcome, Repaired
from tflite_surgeon.edits.plan import RemoveItem, SetField
from tflite_surgeon.flatbuffer.vector import NUMBERS
from tflite_surgeon.model.saving import SaveReport
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.names import as_argument, printable, quoted
from tflite_surgeon.rules.bias_use import BiasUse
from tflite_surgeon.rules.registry import Finding, rules

_SHOWN = 6
_PATCHES_SHOWN = 20
# Up to so many repairs are told in full; of more, so many of each rule in a line each.
_IN_FULL = 10
_OF_A_RULE = 3


def print_outcome(printer: Printer, path: str, outcome: Outcome) -> None:
    """Print what was repaired and what was left, node by node."""
    if not outcome.repairs and not outcome.left:
        printer.line(f"{printable(path)}: nothing to repair")
        return
    printer.line(f"{printable(path)}: {_counted(outcome)}", style="bold")
    if len(outcome.repairs) > _IN_FULL:
        _print_briefly(printer, outcome.repairs)
    for repaired in outcome.repairs if len(outcome.repairs) <= _IN_FULL else ():
        printer.line()
        detail = repaired.done.detail
        if isinstance(detail, BiasRepair):
            _print_repair(printer, path, detail)
        else:
            _print_repaired(printer, repaired)
    for left in outcome.left:
        printer.line()
        detail = left.refused.detail
        if isinstance(detail, LeftAlone):
            _print_left_bias(printer, path, detail)
        else:
            _print_left(printer, path, left)


def _print_briefly(printer: Printer, repairs: Sequence[Repaired]) -> None:
    """Many repairs: rule by rule, a line each."""
    by_rule: dict[str, list[Repaired]] = {}
    for repaired in repairs:
        by_rule.setdefault(repaired.finding.rule, []).append(repaired)
    for rule, mine in by_rule.items():
        printer.line()
        printer.line(f"{rule}: {len(mine)} repaired", style="bold")
        for repaired in mine[:_OF_A_RULE]:
            done = repaired.done
            where = _about(repaired.finding).removeprefix(f"{rule}: ")
            kept = "" if done.keep is None else f"; the {done.keep} are kept: {done.reason}"
            loses = f"; loses: {done.loses}" if done.loses else ""
            printer.line(printable(f"{where}: {done.what}{kept}{loses}", longest=500), indent=4)
        if len(mine) > _OF_A_RULE:
            printer.line(f"and {len(mine) - _OF_A_RULE} more like these; --journal writes them all down", indent=4)


def print_plan(printer: Printer, outcome: Outcome) -> None:
    """Print each edit as path, old and new."""
    if outcome.plan.edits:
        printer.line()
        printer.line("Edits that would be made:")
    for edit in outcome.plan.edits:
        if isinstance(edit, SetField):
            printer.line(f"{edit.path}: {_value(edit.old)} -> {_value(edit.new)}", indent=2)
        elif isinstance(edit, RemoveItem):
            printer.line(f"{edit.path}: removed {_value(edit.item)}", indent=2)
        else:
            printer.line(f"{edit.path}: new {_value(edit.item)}", indent=2)


def print_saved(printer: Printer, path: str, report: SaveReport) -> None:
    """Print where the result is, and the bytes that differ from the original."""
    printer.line()
    printer.line(f"Wrote {printable(path, longest=4096)}: {report}.")
    rows = [
        (f"byte {patch.offset}", f"{len(patch.new)} bytes  {patch.path}") for patch in report.patches[:_PATCHES_SHOWN]
    ]
    printer.pairs(rows, indent=4)
    if len(report.patches) > _PATCHES_SHOWN:
        printer.line(f"and {len(report.patches) - _PATCHES_SHOWN} more places", indent=4)


def _counted(outcome: Outcome) -> str:
    parts = []
    if outcome.repairs:
        parts.append(f"{len(outcome.repairs)} repaired")
    if outcome.left:
        parts.append(f"{len(outcome.left)} left alone")
    return ", ".join(parts)


def _where(use: BiasUse) -> str:
    subgraph = f" of subgraph {use.node.subgraph_index}" if use.node.subgraph_index else ""
    return (
        f"operator {use.node.index} ({printable(use.node.operator.name)}){subgraph}, bias {quoted(use.bias.name or '')}"
    )


def _about(finding: Finding) -> str:
    """The rule and the place of a finding."""
    if finding.subgraph is None:
        return finding.rule
    parts = []
    if finding.operator is not None:
        parts.append(f"operator {finding.operator} ({printable(finding.operator_name or '')})")
    if finding.tensor is not None:
        parts.append(f"tensor {finding.tensor[0]} {quoted(finding.tensor[1])}")
    subgraph = f" of subgraph {finding.subgraph}" if finding.subgraph else ""
    return f"{finding.rule}: {', '.join(parts) or 'the graph'}{subgraph}"


def _print_repaired(printer: Printer, repaired: Repaired) -> None:
    done = repaired.done
    printer.line(f"{_about(repaired.finding)}: repaired", style="bold")
    rows = [("found", repaired.finding.message), ("done", done.what)]
    if done.keep is not None:
        rows.append(("kept", f"the {done.keep}"))
    if done.reason:
        rows.append(("because", done.reason))
    if done.effect is not None:
        rows.append(("effect", f"results move by up to {done.effect:.4g} output quanta"))
    if done.loses:
        rows.append(("loses", done.loses))
    rows += [("warning", text) for text in done.warnings]
    printer.pairs([(key, printable(text, longest=500)) for key, text in rows], indent=4)


def _print_left(printer: Printer, path: str, left: Left) -> None:
    finding, refused = left.finding, left.refused
    printer.line(f"{_about(finding)}: {'left alone' if left.was_tried else 'no repair'}", style="bold")
    rows = [("found", finding.message), ("because", refused.reason)]
    if not left.was_tried:
        rows.append(("instead", " ".join(rules()[finding.rule].advice.split())))
    if refused.is_open:
        rows += [("either", _choice(path, finding, "values")), ("or", _choice(path, finding, "integers"))]
    printer.pairs([(key, printable(text, longest=500)) for key, text in rows], indent=4)


def _choice(path: str, finding: Finding, keep: str) -> str:
    node = ""
    if finding.operator is not None:
        node = f" --node {f'{finding.subgraph}:' if finding.subgraph else ''}{finding.operator}"
    return f"tflite-surgeon fix {as_argument(path)} --select {finding.rule}{node} --keep {keep}"


def _print_repair(printer: Printer, path: str, repair: BiasRepair) -> None:
    use, decision = repair.use, repair.decision
    printer.line(f"{_where(use)}: the {decision.keep} are kept", style="bold")
    rows = [("because", decision.reason)]
    if decision.is_open:
        rows += _both_readings(use)
        other = "integers" if decision.keep == "values" else "values"
        rows.append(("other choice", _command(path, use, other)))
    rows.append(("scale", f"{_numbers(use.stored)} -> {_numbers(repair.scales)}"))
    before, after = _numbers(use.integers), _numbers(repair.integers)
    rows.append(
        ("integers", f"{before} -> {after}" if before != after or use.integers != repair.integers else "unchanged")
    )
    rows.append(("rounding", f"at most {repair.rounding:.3g} output quanta"))
    rows += [("warning", printable(text, longest=500)) for text in repair.warnings]
    printer.pairs(rows, indent=4)


def _print_left_bias(printer: Printer, path: str, left: LeftAlone) -> None:
    printer.line(f"{_where(left.use)}: left alone", style="bold")
    rows = [("because", printable(left.decision.reason, longest=500))]
    if left.decision.is_open:
        rows += _both_readings(left.use)
        rows += [("either", _command(path, left.use, "values")), ("or", _command(path, left.use, "integers"))]
    printer.pairs(rows, indent=4)


def _both_readings(use: BiasUse) -> list[tuple[str, str]]:
    """How large the bias is in each reading, and how far the readings are apart."""
    if not use.integers or not use.is_complete or not use.output_scale > 0:
        return []
    channels = range(use.channels)
    written = max(abs(use.integers[c]) * use.of_channel(use.stored, c) for c in channels) / use.output_scale
    used = max(abs(use.integers[c]) * use.of_channel(use.units, c) for c in channels) / use.output_scale
    return [
        ("as written", f"the largest bias is {written:.4g} output quanta"),
        ("as used", f"the largest bias is {used:.4g} output quanta"),
        ("change", f"outputs move by up to {use.worst_error or 0.0:.4g} quanta, if the written values are kept"),
    ]


def _command(path: str, use: BiasUse, keep: str) -> str:
    node = f"{use.node.subgraph_index}:{use.node.index}" if use.node.subgraph_index else str(use.node.index)
    return f"tflite-surgeon fix-bias-scale {as_argument(path)} --node {node} --keep {keep}"


def _numbers(values: list[float] | list[int] | None) -> str:
    if not values:
        return "none"
    shown = ", ".join(f"{value:.9g}" if isinstance(value, float) else str(value) for value in values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown}, ... ({len(values)})"


def _value(value: object) -> str:
    if isinstance(value, (bytes, memoryview)):
        return f"{len(value)} bytes {bytes(value[:8]).hex(' ')}{'...' if len(value) > 8 else ''}"
    if isinstance(value, NUMBERS) and len(value) > _SHOWN:
        return f"[{', '.join(map(repr, value[:_SHOWN]))}, ... ({len(value)})]"
    return printable(repr(value))
