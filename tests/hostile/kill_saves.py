"""Saves killed half-way: the target holds the old file or the new one, whole, and what is left over is cleared away.

    python tests/hostile/kill_saves.py --count 500 [--seed 0] [--megabytes 4]

Child processes save in a loop, in every way there is, and are killed (SIGKILL) at random moments, spread evenly over
the time that a save takes. After each: the target's bytes are one of the two contents that were being saved, backups
are whole, there is at most one temporary file, and the next save to that target, in another process, removes it.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tflite_surgeon.model import files, replacing, saving

# What a save was doing when it was killed, by the function that it was in.
STEPS = ("preparing or proving", "writing or copying", "fsync", "linking", "replacing", "removing")


class Way(NamedTuple):
    """A way of saving: the target's name, how the model is changed and saved, and what the process is made to do."""

    target: str
    mode: saving.Mode
    is_mapped: bool = False
    is_new: bool = False
    backup: bool = False
    links: bool = True


WAYS = {
    "spliced": Way("net.tflite", "splice"),
    "spliced, mapped": Way("net.tflite", "splice", is_mapped=True),
    "re-encoded": Way("net.tflite", "reencode"),
    "a new file": Way("net.tflite", "splice", is_new=True),
    "a new file, re-encoded": Way("net.tflite", "reencode", is_new=True),
    "in place with a backup": Way("net.tflite", "splice", is_mapped=True, backup=True),
    "in place with a copied backup": Way("net.tflite", "splice", is_mapped=True, backup=True, links=False),
    "C source": Way("net.cc", "auto"),
}


def prepare(folder: Path, megabytes: float) -> Path:
    """The model that is saved: weights of some size, so that writing takes a while."""
    model = samples.quantised()
    dice = random.Random(1)
    assert model.buffers is not None
    model.buffers += [ts.Buffer(dice.randbytes(int(megabytes * (1 << 20)) // 4)) for _ in range(4)]
    path = folder / f"source-{megabytes:g}.tflite"
    path.write_bytes(ts.dumps(model))
    return path


def contents(source: Path, way: Way) -> tuple[bytes, bytes]:
    """The two contents that a target may have."""
    result = []
    for version in (4, 5):
        with tempfile.TemporaryDirectory() as folder:
            model = ts.load(source)
            model.operator_codes[0].version = version
            ts.save(model, Path(folder) / way.target, way.mode)
            result.append((Path(folder) / way.target).read_bytes())
    return result[0], result[1]


# The child


def watch(step: mmap.mmap) -> None:
    """Note in shared memory which function the process is in."""

    def noting(owner: Any, name: str, number: int) -> None:
        real = getattr(owner, name)

        def noted(*values: Any, **named: Any) -> Any:
            before, step[0] = step[0], number
            try:
                return real(*values, **named)
            finally:
                step[0] = before

        setattr(owner, name, noted)

    for owner, name, number in (
        (saving, "write", 1),
        (saving, "copy", 1),
        (replacing, "copy", 1),
        (os, "fsync", 2),
        (os, "link", 3),
        (os, "replace", 4),
        (os, "unlink", 5),
    ):
        noting(owner, name, number)


def save_forever(source: Path, target: Path, way: Way, step: mmap.mmap, ready: int) -> NoReturn:
    """What a child does until it is killed: saves one content over the other, again and again."""
    if way.is_mapped:
        files.MAP_FROM = 1
    if not way.links:

        def no_links(*_: Any) -> None:
            raise PermissionError(1, "Operation not permitted")

        os.link = no_links  # type: ignore[assignment]
    watch(step)
    version = 4
    while True:
        version = 9 - version
        if way.is_new:
            target.unlink(missing_ok=True)
        with ts.load(target if way.backup else source) as model:
            model.operator_codes[0].version = version
            backup = replacing.back_up(target) if way.backup else None
            ts.save(model, target, way.mode)
        if backup is not None:
            backup.unlink()
        os.write(ready, b".")


# The judge


class Report(NamedTuple):
    """kills by way; what the killed were doing; what was left over; how often the target was old, new and absent."""

    kills: Counter[str]
    steps: Counter[str]
    left: Counter[str]
    faults: list[str]


def run(count: int, seed: int, megabytes: float, folder: Path) -> Report:
    """Kill so many saves, in turn of every way."""
    report = Report(Counter(), Counter(), Counter(), [])
    dice = random.Random(seed)
    for number, (name, way) in enumerate(WAYS.items()):
        where = folder / f"way-{number}"
        where.mkdir()
        # As C source a model takes a hundred times as long.
        source = prepare(folder, megabytes / 100 if way.target.endswith(".cc") else megabytes)
        allowed = contents(source, way)
        target = where / way.target
        if not way.is_new:
            target.write_bytes(allowed[0])
        for _ in range(len(range(number, count, len(WAYS)))):
            step, lived = kill_one(source, target, way, dice)
            report.kills[name] += 1
            report.steps[STEPS[step]] += 1
            report.faults.extend(f"{name}, {STEPS[step]}: {text}" for text in judge(target, way, allowed, report.left))
            if lived:
                report.faults.append(f"{name}: the process ended by itself")
        clear(source, target, way)
        report.faults.extend(f"{name}: the next save left {text}" for text in temporary_files(target))
    return report


def kill_one(source: Path, target: Path, way: Way, dice: random.Random) -> tuple[int, bool]:
    """Start a child, kill it at a random moment of its second or third save; returns (step, whether it had ended)."""
    step = mmap.mmap(-1, 1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            save_forever(source, target, way, step, writing)
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    os.close(writing)
    start = time.perf_counter()
    os.read(reading, 1)  # One save done: that long takes one.
    time.sleep(2 * (time.perf_counter() - start) * dice.random())
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    with step:
        return step[0], not os.WIFSIGNALED(status)


def judge(target: Path, way: Way, allowed: tuple[bytes, bytes], left: Counter[str]) -> Iterator[str]:
    """What is wrong after a kill."""
    if target.exists():
        if target.read_bytes() not in allowed:
            yield "the target is neither the old nor the new content"
    elif not way.is_new:
        yield "the target is gone"
    else:
        left["target not there yet"] += 1
    temporary = temporary_files(target)
    left["temporary file"] += len(temporary)
    # Of earlier kills none is left: the child's first save has cleared them away.
    if len(temporary) > 1:
        yield f"{len(temporary)} temporary files"
    for backup in target.parent.glob("*.bak*"):
        left["backup"] += 1
        content = backup.read_bytes()
        if content not in allowed and content:  # An empty one: its name was taken for a copy not yet there.
            yield f"the backup {backup.name} is cut short"
        backup.unlink()
    if others := {item.name for item in target.parent.iterdir()} - {target.name, *temporary}:
        yield f"left {sorted(others)}"


def temporary_files(target: Path) -> list[str]:
    return [item.name for item in target.parent.iterdir() if item.name.endswith(".surgeon-tmp")]


def clear(source: Path, target: Path, way: Way) -> None:
    ts.save(ts.load(source), target, way.mode)


def main(report: Callable[[str], None] = print) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="saves to kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megabytes", type=float, default=4, help="size of the model that is saved")
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="surgeon-kills-") as folder:
        result = run(options.count, options.seed, options.megabytes, Path(folder))
    report(f"{sum(result.kills.values())} saves killed in {time.perf_counter() - start:.0f} s, seed {options.seed}")
    for title, counts in (("of", result.kills), ("while", result.steps), ("leaving a", result.left)):
        for name, number in counts.most_common():
            report(f"{number:6} {title} {name}")
    for fault in result.faults:
        report(fault)
    report(f"{len(result.faults)} faults")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
