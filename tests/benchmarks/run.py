"""Time and memory of reading, checking and saving, beside what bounds them, in one run.

    python tests/benchmarks/run.py FOLDER [--runs 5] [--sizes S M L XL D]

Makes the models that are missing in FOLDER (XL takes 1.9 GB, and as much again while it is saved). Each figure is the
median of whole processes: wall seconds and peak memory in MB as the system accounts them. Ratios are to `cp` with the
copy flushed to disk, or to the interpreter's load and allocate where it is installed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from make_models import SIZES, make

LOAD = "import sys, tflite_surgeon as ts; ts.load(sys.argv[1])"
SPLICE = """
import sys, tflite_surgeon as ts
model = ts.load(sys.argv[1])
bias = model.subgraphs[0].operators[-1].role("bias")
bias.quantization.scale[0] *= 2
assert ts.save(model, sys.argv[2]).kind == "spliced"
"""
REENCODE = "import sys, tflite_surgeon as ts; ts.save(ts.load(sys.argv[1]), sys.argv[2], 'reencode')"
COPY = "import os, shutil, sys; shutil.copyfile(*sys.argv[1:3]); os.fsync(os.open(sys.argv[2], os.O_RDWR))"
INTERPRETER = """
import sys
from ai_edge_litert.interpreter import Interpreter
Interpreter(sys.argv[1]).allocate_tensors()
"""


class Figure(NamedTuple):
    """Wall seconds and peak memory in MB, medians."""

    seconds: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.megabytes:.0f} MB"


def once(command: list[str], output: Path) -> Figure:
    """One run of a command in a process of its own."""
    output.unlink(missing_ok=True)
    start = time.perf_counter()
    process = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
    )
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return Figure(seconds, usage.ru_maxrss / 1024)


def measure(commands: dict[str, list[str]], output: Path, runs: int) -> dict[str, Figure]:
    """Medians of commands that take turns, so that a slow spell of the machine falls on all of them."""
    taken: dict[str, list[Figure]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            taken[name].append(once(command, output))
    output.unlink(missing_ok=True)
    return {name: Figure(*(statistics.median(values) for values in zip(*figures))) for name, figures in taken.items()}


def warm(path: Path) -> None:
    """Into the page cache: a cold disk is not what is compared.

    In pieces: a child's peak begins at what its parent holds.
    """
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def commands_for(path: Path, output: Path) -> dict[str, list[str]]:
    """What is compared for one model."""

    def script(text: str, *arguments: Path) -> list[str]:
        return [sys.executable, "-c", text, *map(str, arguments)]

    commands = {
        "cp + fsync": script(COPY, path, output),
        "load": script(LOAD, path),
        "check": [sys.executable, "-m", "tflite_surgeon", "check", str(path)],
        "spliced save": script(SPLICE, path, output),
        "rewrite": script(REENCODE, path, output),
    }
    if find_spec("ai_edge_litert") is not None:
        commands["interpreter: load and allocate"] = script(INTERPRETER, path)
    return commands


def table(folder: Path, sizes: list[str], runs: int, report: Callable[[str], None]) -> None:
    """Measure each size and report a Markdown table."""
    output = folder / "benchmark-output.tflite"
    results: dict[str, dict[str, Figure]] = {}
    for size in sizes:
        path = make(folder, size)
        warm(path)
        results[size] = measure(commands_for(path, output), output, runs)
    report("| | " + " | ".join(sizes) + " |")
    report("|---|" + "---|" * len(sizes))
    for name in results[sizes[0]]:
        report(f"| {name} | " + " | ".join(str(results[size][name]) for size in sizes) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    arguments = parser.parse_args()
    table(arguments.folder, arguments.sizes, arguments.runs, print)


if __name__ == "__main__":
    main()
