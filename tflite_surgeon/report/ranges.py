"""The ranges of tensors as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Final

from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.json_report import as_text, plain
from tflite_surgeon.report.names import printable, quoted
from tflite_surgeon.views.ranges import Range, TensorRange

_TITLES: Final = ("recorded", "implied", "values")
_NONE: Final = "-"
_OPERATORS_SHOWN: Final = 6
# Shorter ones say nothing: columns then give way to lines.
_SHORTEST_NAME: Final = 12
_LONGEST_NAME: Final = 110


def print_ranges(printer: Printer, path: str, rows: Sequence[TensorRange]) -> None:
    """Print a line a tensor, and below it what does not fit together or is missing."""
    printer.line(f"{printable(path, longest=4096)}: {_summary(rows)}", style="bold")
    if not rows:
        return
    ranges = [[_words(found) for found in (row.recorded, row.implied, row.values)] for row in rows]
    # A column that is empty all the way down is left out.
    shown = [number for number in range(len(_TITLES)) if any(cells[number] != _NONE for cells in ranges)]
    titles = ["no.", "type", "kind", *(_TITLES[number] for number in shown)]
    several = any(row.subgraph for row in rows)
    lines = [
        [f"{row.subgraph}:{row.index}" if several else str(row.index), row.dtype, row.kind, *(cells[n] for n in shown)]
        for row, cells in zip(rows, ranges)
    ]
    widths = [max(map(len, column)) for column in zip(titles, *lines)]
    room = printer.console.width - sum(widths) - 2 * len(widths) - len("''")
    printer.line()
    if room < _SHORTEST_NAME:
        _print_blocks(printer, rows, lines, titles)
        return
    printer.code(f"{_joined(titles, widths)}  name")
    for row, cells in zip(rows, lines):
        start = f"{_joined(cells, widths)}  {_name(row, room)}"
        if not printer.wraps:  # One line a tensor, to be searched.
            printer.code("  ! ".join([start, *_notes(row)]))
            continue
        printer.code(start)
        for note in _notes(row):
            printer.pairs([("!", note)], indent=4)


def _print_blocks(
    printer: Printer, rows: Sequence[TensorRange], lines: Sequence[Sequence[str]], titles: Sequence[str]
) -> None:
    """The same for a terminal that is too narrow for columns: a range a line."""
    for row, (number, kind, role, *cells) in zip(rows, lines):
        start = f"{number}  {kind} {role}  "
        printer.code(start + _name(row, max(printer.console.width - len(start) - len("''"), _SHORTEST_NAME)))
        pairs = [(title, cell) for title, cell in zip(titles[3:], cells) if cell != _NONE]
        printer.pairs([*pairs, *(("!", note) for note in _notes(row))], indent=4)


def _name(row: TensorRange, room: int) -> str:
    return quoted(printable(row.name, min(room, _LONGEST_NAME)))


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths))


def _summary(rows: Sequence[TensorRange]) -> str:
    disagreeing = sum(bool(row.disagreements) for row in rows)
    missing = sum(row.is_missing for row in rows)
    parts = [
        f"{len(rows)} tensor{'' if len(rows) == 1 else 's'}",
        f"{disagreeing} whose ranges disagree",
        f"{missing} activation{'' if missing == 1 else 's'} without a range",
    ]
    return ", ".join(parts)


def _words(found: Range | None) -> str:
    return _NONE if found is None else f"[{found[0]:.4g}, {found[1]:.4g}]"


def _notes(row: TensorRange) -> list[str]:
    notes = [item.message for item in row.disagreements]
    if row.is_missing:
        shown = [f"{number} ({printable(name)})" for number, name in row.needed_by[:_OPERATORS_SHOWN]]
        more = f" and {len(row.needed_by) - _OPERATORS_SHOWN} more" if len(row.needed_by) > _OPERATORS_SHOWN else ""
        notes.append(f"lacking min/max data, which quantising needs for operator {', '.join(shown)}{more}")
    if row.unread is not None:
        notes.append(f"values not known: {printable(row.unread, longest=300)}")
    return notes


def ranges_as_json(path: str, rows: Sequence[TensorRange]) -> str:
    """`{"path", "tensors": [...]}`, a tensor a line, strict: NaN and infinities are strings."""
    start = f'{{"path": {json.dumps(as_text(path))}, "tensors": ['
    items = (json.dumps(_as_object(row), allow_nan=False) for row in rows)
    return f"{start}\n{','.join(f'{chr(10)}{item}' for item in items).lstrip()}\n]}}"


def _as_object(row: TensorRange) -> dict[str, Any]:
    result: dict[str, Any] = plain(
        {
            "subgraph": row.subgraph,
            "index": row.index,
            "name": row.name,
            "dtype": row.dtype,
            "kind": row.kind,
            "recorded": row.recorded,
            "implied": row.implied,
            "values": row.values,
            "unread": row.unread,
            "scales": row.scales,
            "disagreements": [{"kind": item.kind, "message": item.message} for item in row.disagreements],
            "missing": row.is_missing,
            "needed_by": [{"operator": number, "type": name} for number, name in row.needed_by],
        }
    )
    return result


_COLUMNS: Final = (
    "subgraph",
    "index",
    "name",
    "dtype",
    "kind",
    *(f"{what}_{end}" for what in _TITLES for end in ("min", "max")),
    "missing",
    "needed_by",
    "disagreements",
)


def ranges_as_csv(rows: Sequence[TensorRange]) -> str:
    """A line a tensor; what is not there is empty, numbers have all their digits."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        ends = [end for found in (row.recorded, row.implied, row.values) for end in found or ("", "")]
        needed = " ".join(f"{number}:{as_text(name)}" for number, name in row.needed_by)
        said = "; ".join(item.message for item in row.disagreements)
        writer.writerow(
            [
                row.subgraph,
                row.index,
                as_text(row.name),
                row.dtype,
                row.kind,
                *ends,
                "yes" if row.is_missing else "",
                needed,
                said,
            ]
        )
    return written.getvalue()
