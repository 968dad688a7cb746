"""Differences between two models as text and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.json_report import as_text, plain
from tflite_surgeon.report.names import printable, quoted
from tflite_surgeon.views.diff.result import (
    ADDED,
    BUFFER,
    MOVED,
    OPERATOR,
    REMOVED,
    SUBGRAPH,
    TENSOR,
    Change,
    Comparison,
    Difference,
    Place,
    ValuesChange,
)

_STYLES = {ADDED: "green", REMOVED: "red", MOVED: "cyan"}
# As many differences of one sort are told in full; the others are counted.
_TOLD = 5
_NAMES_SHOWN = 6
_NUMBERS_SHOWN = 6
# Fields that hold what somebody called something, and references to tensors.
_NAMES = {"name", "description"}
_REFERENCE = re.compile(r"(inputs|outputs|intermediates)\[.*\]", re.DOTALL)


def differences_as_json(before: str, after: str, comparison: Comparison) -> str:
    """`{"before": {"path", "operators", "tensors"}, "after": {...}, "counts": {...}, "differences": [...]}`.

    "counts" has how many by part and kind. Of a change, "differ" and "values" are there where they say something. NaN
    and infinities are strings.
    """
    sides = (
        {"path": as_text(path), "operators": comparison.operators[side], "tensors": comparison.tensors[side]}
        for side, path in enumerate((before, after))
    )
    report = {
        **dict(zip(("before", "after"), sides)),
        "counts": comparison.counts(),
        "differences": [_as_plain(found) for found in comparison.differences],
    }
    return json.dumps(report, indent=2, allow_nan=False)


def _as_plain(found: Difference) -> dict[str, Any]:
    result: dict[str, Any] = plain(asdict(found))
    for change in result["changes"]:
        for optional in ("differ", "values"):
            if change[optional] is None:
                del change[optional]
    return result


def print_differences(printer: Printer, before: str, after: str, comparison: Comparison, everything: bool) -> None:
    """Print how two models differ: counts, then each difference; of many of one sort some, unless all are wanted."""
    names = [printable(name, longest=4096) for name in (before, after)]
    found = comparison.differences
    count = f"{len(found)} difference{'' if len(found) == 1 else 's'}" if found else "no difference"
    printer.line(f"{names[0]} -> {names[1]}: {count}", style="bold")
    if not found:
        return
    printer.pairs(list(_counted(comparison)), indent=2)
    told: dict[tuple[str, ...], int] = {}
    rest: dict[tuple[str, ...], list[Difference]] = {}
    for difference in found:
        sort = _sort(difference)
        told[sort] = told.get(sort, 0) + 1
        if told[sort] > _TOLD and not everything:
            rest.setdefault(sort, []).append(difference)
            continue
        printer.line()
        _print_difference(printer, difference)
    for similar in rest.values():
        printer.line()
        _print_rest(printer, similar)
    if rest:
        printer.line()
        printer.line("--all tells each of them.")


def _counted(comparison: Comparison) -> Iterator[tuple[str, str]]:
    totals = {OPERATOR: comparison.operators, TENSOR: comparison.tensors}
    for part, kinds in comparison.counts().items():
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        total = totals.get(part)
        if total is not None and total[0] != total[1]:
            counts += f" ({total[0]} before, {total[1]} after)"
        yield part if part == "metadata" else f"{part}s", counts


def _sort(difference: Difference) -> tuple[str, ...]:
    """What makes differences alike: what it is, and which fields change."""
    fields = sorted({change.field.partition("[")[0] for change in difference.changes})
    return (difference.part, difference.kind, difference.name if difference.part == OPERATOR else "", *fields)


def _print_rest(printer: Printer, similar: Sequence[Difference]) -> None:
    first = similar[0]
    fields = ", ".join(_sort(first)[3:])
    what = f"{printable(first.name)} " if first.part == OPERATOR else ""
    where = [_index(item) for item in similar[:_NAMES_SHOWN]]
    more = " ..." if len(similar) > _NAMES_SHOWN else ""
    printer.line(
        f"{len(similar)} more {what}{first.part}{'' if len(similar) == 1 else 's'} {first.kind}"
        f"{f' in {fields}' if fields else ''}: {', '.join(where)}{more}",
        style=_STYLES.get(first.kind, "yellow"),
    )


def _index(difference: Difference) -> str:
    place = difference.after or difference.before
    return quoted(difference.name) if place is None or difference.part not in (OPERATOR, TENSOR) else str(place.index)


def _print_difference(printer: Printer, found: Difference) -> None:
    size = ""
    if found.size is not None and found.kind in (ADDED, REMOVED):
        unit = "operators" if found.part == SUBGRAPH else "bytes"
        size = f", {found.size} {unit}" if found.size or found.part == SUBGRAPH else ""
    use = f", {printable(found.use)}" if found.use else ""
    style = f"bold {_STYLES.get(found.kind, 'yellow')}"
    printer.line(f"{found.kind}: {found.part}{_where(found)}{use}{size}", style=style)
    rows: list[tuple[str, str]] = []
    if found.part == OPERATOR and found.kind != "changed":
        rows += [("from", _tensors(found.inputs)), ("to", _tensors(found.outputs))]
    rows += [(printable(change.field), _change(change, found.part)) for change in found.changes]
    printer.pairs(rows, indent=4)


def _where(found: Difference) -> str:
    """Such as " 7 (6 before) CONV_2D", or " 3 'bias' of subgraph 1"."""
    place = found.after or found.before
    name = f" {printable(found.name)}" if found.part == OPERATOR else f" {quoted(found.name)}" if found.name else ""
    if place is None or found.part not in (OPERATOR, TENSOR, SUBGRAPH):
        return name
    before = ""
    if found.before is not None and found.after is not None and found.before.index != found.after.index:
        before = f" ({found.before.index} before)"
    return f" {place.index}{before}{name}{_of_subgraph(place)}"


def _of_subgraph(place: Place) -> str:
    return f" of subgraph {place.subgraph}" if place.subgraph else ""


def _tensors(names: Sequence[str | None]) -> str:
    shown = ["none" if name is None else quoted(name) for name in names[:_NAMES_SHOWN]]
    return ", ".join(shown) + (f", ... ({len(names)})" if len(names) > _NAMES_SHOWN else "") or "nothing"


def _change(change: Change, part: str) -> str:
    if change.values is not None:
        return _values(change.values, change.before, change.after)
    if part == BUFFER and change.field == "shared by":
        return f"{_groups(change.before)} -> {_groups(change.after)}"
    if change.differ is not None and len(change.before) > 1:
        at = _most_changed(change.before, change.after)
        count = f"{change.differ} of {len(change.before)} differ"
        return f"{count}, most at {at}: {_shown(change.before[at])} -> {_shown(change.after[at])}"
    if change.field in _NAMES or _REFERENCE.fullmatch(change.field):
        texts = ["none" if name is None else quoted(str(name)) for name in (change.before, change.after)]
        return f"{texts[0]} -> {texts[1]}"
    return f"{_shown(change.before)} -> {_shown(change.after)}"


def _groups(groups: Sequence[Sequence[str]]) -> str:
    """Tensors of one buffer, by the buffers that they lie in."""
    return " and ".join(_tensors(group) for group in groups[:_NAMES_SHOWN]) + (
        f" and {len(groups) - _NAMES_SHOWN} more" if len(groups) > _NAMES_SHOWN else ""
    )


def _most_changed(before: Sequence[Any], after: Sequence[Any]) -> int:
    """Where two lists differ most, in proportion; where that cannot be said, the first place where they differ."""

    def change(index: int) -> float:
        x, y = before[index], after[index]
        if isinstance(x, (int, float)) and isinstance(y, (int, float)) and x == x and y == y:
            return abs(y - x) / max(abs(x), abs(y)) if x != y else 0.0
        return float(x != y and not (x != x and y != y))

    return max(range(len(before)), key=change)


def _values(found: ValuesChange, before: Any, after: Any) -> str:
    if found.before is None or found.after is None or found.count is None or found.differ is None:
        texts = [f" {quoted(text)}" if isinstance(text, str) else "" for text in (before, after)]
        sizes = ["none" if size is None else f"{size} bytes" for size in (found.before, found.after)]
        return f"{sizes[0]}{texts[0]} -> {sizes[1]}{texts[1]}"
    unit = "" if found.unit == "values" else f"{found.unit} "
    parts = [f"{found.differ} of {found.count} {unit}differ" if found.differ else f"all {found.count} as before"]
    by = []
    if found.largest_quanta:
        by.append(f"{found.largest_quanta:.6g} quanta")
    if found.largest_real is not None and (found.largest_real or found.largest_quanta):
        by.append(f"{found.largest_real:.6g}{' in real numbers' if found.largest_quanta is not None else ''}")
    if by:
        parts.append(f"by up to {', '.join(by)}" if found.differ else f"real numbers by up to {by[0].split()[0]}")
    if found.not_a_number:
        parts.append(f"{found.not_a_number} NaN on one side only")
    if found.at is not None:
        place = f"most at {list(found.at)}: " if by else f"first at {list(found.at)}: "
        stored = _stored(found.before_at, found.before_real), _stored(found.after_at, found.after_real)
        parts.append(f"{place}{stored[0]} -> {stored[1]}")
    elif before is not None or after is not None:
        parts.append(f"{_shown(before)} -> {_shown(after)}")
    return ", ".join(parts)


def _stored(value: Any, real: float | None) -> str:
    return _shown(value) if real is None else f"{_shown(value)} ({real:.6g})"


def _shown(value: Any) -> str:
    """A field's value in few words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_shown(item) for item in value[:_NUMBERS_SHOWN])
        return f"[{shown}, ...] ({len(value)})" if len(value) > _NUMBERS_SHOWN else f"[{shown}]"
    if isinstance(value, dict):
        return ", ".join(f"{printable(str(key))} {_shown(item)}" for key, item in value.items()) or "nothing set"
    return printable(str(value)) or "''"
