"""Time and peak memory of whole processes, as the system accounts them."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_ZEROS = bytes(1 << 20)
_LAUNCHER = Path(__file__).resolve().with_name("launch.py")


class Figure(NamedTuple):
    """Wall seconds and peak memory in MB, medians; `problem` says instead why there are none."""

    seconds: float
    megabytes: float
    problem: str = ""

    def __str__(self) -> str:
        digits = 2 if self.seconds >= 1 else 3
        return self.problem or f"{self.seconds:.{digits}f} s, {self.megabytes:.0f} MB"


class Failed(Exception):
    """A command did not do its work."""


def once(command: Sequence[str], output: Path, longest: float) -> Figure:
    """One run of a command in a process of its own, killed after `longest` seconds.

    Raises:
        Failed: it was killed, or its exit code is neither 0 nor the 1 of a check that finds something.
    """
    output.unlink(missing_ok=True)
    if str(output) in command:
        _take_memory(output, max((os.path.getsize(word) for word in command if os.path.isfile(word)), default=0))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(_LAUNCHER), str(longest), *command],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    seconds, megabytes, code = (float(word) for word in done.stdout.split())
    if code == -signal.SIGKILL:
        raise Failed(f"over {longest:.0f} s" if seconds >= longest else "killed")
    if code not in (0, 1):
        raise Failed(f"fails ({code:.0f})")
    return Figure(seconds, megabytes)


def _take_memory(output: Path, size: int) -> None:
    """Write a file of a size and remove it: where memory that was not in use for a while has to be asked of a host, the
    first to write would pay for all."""
    with open(output, "wb") as file:
        for _ in range(0, size, len(_ZEROS)):
            file.write(_ZEROS)
    output.unlink()


def measure(
    commands: Mapping[str, Sequence[str]], output: Path, runs: int, patience: float, longest: float
) -> dict[str, Figure]:
    """Medians of commands that take turns, so that a slow spell of the machine falls on all of them.

    Args:
        commands: what to run, by name.
        output: the file that they write; removed before each run and at the end.
        runs: turns of each.
        patience: seconds after which a command has had its turns, even if they were fewer.
        longest: seconds that one run may take.
    """
    taken: dict[str, list[Figure]] = {name: [] for name in commands}
    problems: dict[str, Figure] = {}
    for _ in range(runs):
        for name, command in commands.items():
            figures = taken[name]
            if name in problems or sum(figure.seconds for figure in figures) > patience:
                continue
            try:
                figures.append(once(command, output, longest))
            except Failed as error:
                problems[name] = Figure(0.0, 0.0, str(error))
    output.unlink(missing_ok=True)
    return {name: problems[name] if name in problems else _median(figures) for name, figures in taken.items()}


def _median(figures: Sequence[Figure]) -> Figure:
    return Figure(
        statistics.median(figure.seconds for figure in figures),
        statistics.median(figure.megabytes for figure in figures),
    )


def warm(path: Path) -> None:
    """Into the page cache: a cold disk is not what is compared."""
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass
