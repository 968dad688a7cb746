"""Time and memory of this program and of others that do part of the same work, side by side, in one run.

    python tests/benchmarks/run.py FOLDER [--sizes S M L D] [--runs 5] [--python PATH]... [--flatc PATH] [--print-only]

Makes the models in FOLDER, runs everything in turns as whole processes, writes the tables of README.md and the picture
beside this file, and prints where the time of a check goes. XL takes 6 GB of disk while it is measured, and is
removed then. Other programs are found in the Python that runs this, in those named with --python (or in
TFLITE_SURGEON_PEERS_PYTHON) and in the path; what is not installed is left out, and said to be.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import growth
from contestants import Row, filled, many, ours, peers, starting, variants
from make_models import SIZES, VARIANTS, build, make
from timing import Figure, measure, warm
from where_time_goes import profile_check

import tflite_surgeon as ts

README = Path(__file__).resolve().parents[2] / "README.md"
PICTURE = Path(__file__).resolve().with_name("growth.svg")
_GENERATED = re.compile(r"(<!-- benchmark -->\n).*?(<!-- /benchmark -->\n)", re.DOTALL)
_DEFAULT = ("S", "M", "L", "D")
_PROFILED = "D"
# Removed as soon as it is measured.
_HUGE = "XL"
_HUGE_TAKES = 6 << 30
_MANY = 1000
_MANY_OPERATORS, _MANY_CHANNELS = 30, 172

Results = Mapping[str, Mapping[str, Figure]]


def measured(
    folder: Path, sizes: Sequence[str], rows: Sequence[Row], options: argparse.Namespace
) -> dict[str, dict[str, Figure]]:
    """The figures of each row, by size."""
    output = folder / "benchmark-output.tflite"
    results = {}
    for size in sizes:
        places = {"output": str(output), "folder": str(folder / "benchmark-output")}
        for name in variants(rows):
            path = make(folder, size, VARIANTS[name])
            places[name] = str(path)
            warm(path)
        megabytes = Path(places["model"]).stat().st_size / 1e6
        commands = {row.name: filled(row, places) for row in rows if megabytes <= row.largest}
        results[size] = measure(commands, output, options.runs, options.patience, options.longest)
        shutil.rmtree(places["folder"], ignore_errors=True)
        if size == _HUGE:
            for name in variants(rows):
                Path(places[name]).unlink()
        _report(f"{size} is measured")
    return results


def measured_many(folder: Path, options: argparse.Namespace) -> dict[str, Figure]:
    """The figures of a folder of models, which is removed again."""
    place = folder / "many"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    ts.save(build(_MANY_OPERATORS, _MANY_CHANNELS), place / "0.tflite")
    for number in range(1, _MANY):
        shutil.copyfile(place / "0.tflite", place / f"{number}.tflite")
    commands = {row.name: list(row.command) for row in many(place)}
    result = measure(commands, folder / "benchmark-output.tflite", options.runs, options.patience, options.longest)
    shutil.rmtree(place)
    return result


def table(rows: Sequence[Row], results: Results) -> Iterator[str]:
    """A Markdown table of the rows; ratios are to other rows of the results."""
    with_ratios = any(row.beside for row in rows)
    head = ["", *(["beside"] if with_ratios else []), *results]
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    known = {name for figures in results.values() for name in figures}
    for row in rows:
        beside = [name for name in row.beside if name in known]
        cells = [_cell(figures.get(row.name), [figures.get(name) for name in beside]) for figures in results.values()]
        if with_ratios:
            cells.insert(0, "; ".join(beside))
        yield f"| {row.name} | {' | '.join(cells)} |"


def _cell(figure: Figure | None, others: Sequence[Figure | None]) -> str:
    if figure is None:
        return "-"
    ratios = ["-" if other is None or other.problem else _ratio(figure, other) for other in others]
    return f"{figure} ({'; '.join(ratios)})" if ratios and not figure.problem else str(figure)


def _ratio(figure: Figure, other: Figure) -> str:
    ratio = figure.seconds / other.seconds
    return f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.2g} x"


def _machine() -> str:
    """The machine in a few words."""
    names = re.findall(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return (
        f"{os.cpu_count()} processors {names[0] if names else platform.machine()}, Python {platform.python_version()}"
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def page(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """The lines between the markers in README.md."""
    others, missing = peers([sys.executable, *options.python], options.flatc)
    own = ours()
    results = measured(folder, options.sizes, [*others, *own], options)
    sizes = "; ".join(
        f"{size} {SIZES[size][0]:,} operators and {_megabytes(folder, size)} MB" for size in options.sizes
    )
    absent = f" Not installed there, and left out: {', '.join(missing)}." if missing else ""
    yield f"Whole processes, wall time and peak memory, medians of up to {options.runs} turns on {_machine()}."
    yield f"{sizes}. In brackets the time as a multiple of what stands beside.{absent}"
    yield ""
    yield from table(own, results)
    yield ""
    yield "The others, on the same models:"
    yield ""
    yield from table(others, results)
    yield ""
    started = measure(
        {row.name: row.command for row in starting()}, folder / "none", 2 * options.runs, options.patience, 60
    )
    yield from table(starting(), {"start": started})
    yield ""
    place = folder / "many"
    yield from table(many(place), {f"{_MANY:,} models of 1 MB": measured_many(folder, options)})
    yield ""


def _megabytes(folder: Path, size: str) -> str:
    operators, channels = SIZES[size]
    path = folder / f"{size}.tflite"
    count = path.stat().st_size if path.exists() else operators * channels * channels
    return f"{count / 1e6:,.2g}" if count < 1e6 else f"{count / 1e6:,.0f}"


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _require_room(folder: Path, sizes: Sequence[str]) -> None:
    if _HUGE in sizes and shutil.disk_usage(folder).free < _HUGE_TAKES:
        raise SystemExit(f"{_HUGE} takes {_HUGE_TAKES >> 30} GB of disk in {folder}: leave it out of --sizes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", nargs="+", default=list(_DEFAULT), choices=list(SIZES))
    parser.add_argument("--runs", type=int, default=5, help="turns of each command")
    parser.add_argument("--patience", type=float, default=15.0, help="seconds after which a command has no more turns")
    parser.add_argument("--longest", type=float, default=90.0, help="seconds that one run may take")
    named = os.environ.get("TFLITE_SURGEON_PEERS_PYTHON", "").split(os.pathsep)
    parser.add_argument("--python", action="append", default=[name for name in named if name])
    parser.add_argument("--flatc")
    parser.add_argument("--print-only", action="store_true", help="leave README.md and the picture as they are")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    _require_room(options.folder, options.sizes)
    text = "\n".join(page(options.folder, options)) + "\n"
    print(text)
    if not options.print_only:
        README.write_text(_GENERATED.sub(lambda match: match[1] + text + match[2], README.read_text()))
    picture = growth.draw(growth.panels(options.folder, options.patience, options.longest))
    if not options.print_only:
        PICTURE.write_text(picture)
    for line in profile_check(make(options.folder, _PROFILED)):
        print(line)


if __name__ == "__main__":
    main()
