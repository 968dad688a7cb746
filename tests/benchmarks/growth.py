"""How time grows with the number of tables and with the bytes of the weights, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from contestants import Row, filled, ours
from make_models import build
from timing import measure, warm

import tflite_surgeon as ts

# (operators, channels, side of the filters): ever more tables with small weights, and as many with ever larger ones.
_BY_TABLES = [(count, 8, 1) for count in (2_000, 5_000, 10_000, 20_000, 30_000)]
_BY_BYTES = [(200, 100, side) for side in (1, 6, 9, 12, 14)]
# Commands that read weights, or copy them, have no business in the second panel.
_READING = ("library: `load`", "`check`", "`inspect --tensors --json`")
_WRITING = "`rewrite`"
_RUNS = 3

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_WIDTH, _HEIGHT, _LEFT, _TOP, _PANEL, _DEPTH = 860, 330, 55, 40, 330, 220


class Line(NamedTuple):
    """Seconds of one command: (x, seconds) of each model."""

    name: str
    points: Sequence[tuple[float, float]]


class Panel(NamedTuple):
    """One set of axes."""

    title: str
    unit: str
    lines: Sequence[Line]


def panels(folder: Path, patience: float, longest: float) -> list[Panel]:
    """Measure; models are made and removed one by one."""
    rows = [row for row in ours() if row.name in (*_READING, _WRITING)]
    reading = [row for row in rows if row.name in _READING]
    result = []
    for title, unit, sizes, chosen in (
        ("more tables, small weights", "thousand operators", _BY_TABLES, rows),
        ("more weights, 200 operators", "MB", _BY_BYTES, reading),
    ):
        points: dict[str, list[tuple[float, float]]] = {row.name: [] for row in chosen}
        for operators, channels, side in sizes:
            model = folder / f"growth-{operators}-{channels}-{side}.tflite"
            ts.save(build(operators, channels, side), model)
            x = operators / 1000 if sizes is _BY_TABLES else model.stat().st_size / 1e6
            for name, seconds in _seconds(chosen, model, folder, patience, longest).items():
                points[name].append((x, seconds))
            model.unlink()
        result.append(Panel(title, unit, [Line(name, found) for name, found in points.items()]))
    return result


def _seconds(rows: Sequence[Row], model: Path, folder: Path, patience: float, longest: float) -> dict[str, float]:
    warm(model)
    output = folder / "growth-output.tflite"
    places = {"model": str(model), "output": str(output)}
    commands = {row.name: filled(row, places) for row in rows}
    found = measure(commands, output, _RUNS, patience, longest)
    return {name: figure.seconds for name, figure in found.items() if not figure.problem}


def draw(shown: Sequence[Panel]) -> str:
    """The panels side by side as SVG, legible on light and on dark pages."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12" fill="#888">'
    ]
    names = list(dict.fromkeys(line.name for panel in shown for line in panel.lines))
    for number, panel in enumerate(shown):
        parts += _panel(panel, _LEFT + number * (_PANEL + 75), names)
    for number, name in enumerate(names):
        x = _LEFT + number * 195
        parts.append(f'<path d="M{x} {_HEIGHT - 12}h22" stroke="{_COLOURS[number]}" stroke-width="3"/>')
        parts.append(_text(x + 28, _HEIGHT - 8, name.replace("`", "")))
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, left: float, names: Sequence[str]) -> list[str]:
    points = [point for line in panel.lines for point in line.points]
    right, highest = max(x for x, _ in points), max(y for _, y in points) * 1.05
    bottom = _TOP + _DEPTH
    parts = [
        _text(left, _TOP - 18, panel.title),
        f'<path d="M{left} {_TOP}V{bottom}H{left + _PANEL}" stroke="#888" fill="none"/>',
    ]
    for part in range(5):
        x, y = left + _PANEL * part / 4, bottom - _DEPTH * part / 4
        parts.append(f'<path d="M{left} {y:.1f}H{left + _PANEL}" stroke="#888" stroke-opacity="0.25"/>')
        parts.append(_text(left - 6, y + 4, f"{highest * part / 4:.1f}", "end"))
        parts.append(_text(x, bottom + 18, f"{right * part / 4:.0f}", "middle"))
    parts.append(_text(left - 6, _TOP - 4, "s", "end"))
    parts.append(_text(left + _PANEL / 2, bottom + 36, panel.unit, "middle"))
    for line in panel.lines:
        colour = _COLOURS[names.index(line.name)]
        places = [(left + _PANEL * x / right, bottom - _DEPTH * y / highest) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return parts


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
