"""Where the time of `check` goes: by part of the package, then by function."""

from __future__ import annotations

import pstats
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_PARTS = 12
_FUNCTIONS = 20
_PACKAGE = "tflite_surgeon"


def profile_check(path: Path) -> Iterator[str]:
    """Lines that tell what took the time of a whole `check`."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "profile"
        command = [sys.executable, "-m", "cProfile", "-o", str(result), "-m", _PACKAGE, "check", str(path)]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        # {(file, line, function): (calls, all calls, own seconds, seconds with what it calls, callers)}
        entries = pstats.Stats(str(result)).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in entries.values())
    parts: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, _) in entries.items():
        parts[_part(file)] += own
    yield f"check on {path.name}: {total:.2f} s under the profiler, which makes small functions look dear"
    yield "own time by part:"
    yield from (f"  {seconds / total:6.1%}  {part}" for part, seconds in parts.most_common(_PARTS))
    yield f"own time, time with what is called, calls, function (the first {_FUNCTIONS} of {len(entries)}):"
    ranked = sorted(entries.items(), key=lambda entry: -entry[1][2])
    for (file, line, function), (_, calls, own, cumulative, _) in ranked[:_FUNCTIONS]:
        where = f"{_short(file)}:{line} " if line else ""
        yield f"  {own / total:6.1%}  {cumulative / total:6.1%}  {calls:>9,}  {where}{function}"


def _part(file: str) -> str:
    if file.startswith("<layout"):
        return "code that flatbuffer/layouts.py writes"
    if _PACKAGE not in Path(file).parts:
        return "Python and other packages"
    parts = Path(_short(file)).parts
    return "/".join(parts[:2])


def _short(file: str) -> str:
    """A path below the package, or the name of the file."""
    parts = Path(file).parts
    if _PACKAGE not in parts:
        return Path(file).name
    return "/".join(parts[len(parts) - parts[::-1].index(_PACKAGE) :])
