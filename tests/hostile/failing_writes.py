"""Saves in which one system call fails, each in turn: the target stays whole, and a sentence says why.

    python tests/hostile/failing_writes.py [--errors ENOSPC EIO EDQUOT]

Needs strace. Commands that save (spliced, copied and spliced, written anew, in place with a backup that is a link or a
copy, as C source) are traced once for the calls that touch their folder: opening, writing, copying, truncating,
flushing, renaming, linking, changing the mode, removing, closing. Then each is run again for each such call, and that
call fails. Each time the target must hold the old content or the new one; where it is the old one, or the backup could
not be made, the command must have ended with exit code 2 and one line on standard error; no temporary file stays.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tflite_surgeon as ts

ROOT = Path(__file__).resolve().parents[2]
CALLS = (
    *("open", "openat", "write", "writev", "pwrite64", "sendfile", "copy_file_range", "truncate", "ftruncate"),
    *("fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "chmod", "fchmod", "fchmodat"),
    *("unlink", "unlinkat", "utimensat", "close"),
)
LARGE = 65 << 20  # Of this size a model is mapped, and copied by the system.


class Command(NamedTuple):
    """A command line, with NET for the model and OUT for another file; how large the model is; links to be refused."""

    arguments: tuple[str, ...]
    target: str
    is_large: bool = False
    links: bool = True


FIX_IN_PLACE = ("fix-bias-scale", "NET", "--in-place", "--keep", "values")
COMMANDS = {
    "spliced": Command(("fix-bias-scale", "NET", "-o", "OUT", "--force"), "out.tflite"),
    "copied and spliced": Command(("fix-bias-scale", "NET", "-o", "OUT", "--force"), "out.tflite", is_large=True),
    "written anew": Command(("rewrite", "NET", "-o", "OUT", "--force"), "out.tflite"),
    "in place": Command(FIX_IN_PLACE, "net.tflite"),
    "in place, copied backup": Command(
        ("fix-bias-scale", "NET", "--in-place", "--keep", "values"), "net.tflite", links=False
    ),
    "C source": Command(("rewrite", "NET", "-o", "OUT", "--force"), "out.cc"),
}


def prepare(folder: Path, command: Command) -> None:
    folder.mkdir()
    source = ROOT / "fixtures" / "bias_scale_per_tensor.tflite"
    if command.is_large:
        model = ts.load(source)
        assert model.buffers is not None
        model.buffers.append(ts.Buffer(bytes(LARGE)))
        ts.save(model, folder / "net.tflite")
    else:
        shutil.copyfile(source, folder / "net.tflite")
    target = folder / command.target
    if not target.exists():
        target.write_bytes(b"old content")
    target.chmod(0o640)  # So that the mode has to be copied.


def run(folder: Path, command: Command, injected: tuple[str, int, str] | None) -> tuple[int, str, list[str]]:
    """Run a command under strace; returns (exit code, standard error, lines of the trace)."""
    trace = folder.parent / f"{folder.name}.trace"
    inject = []
    if not command.links:
        inject += ["-e", "inject=link,linkat:error=EPERM"]
    if injected is not None:
        name, number, error = injected
        inject += ["-e", f"inject={name}:error={error}:when={number}"]
    # Without -f: the command's own thread does all its saving, and calls of others would upset the numbers.
    strace = ["strace", "-y", "-s", "0", "-o", str(trace), "-e", f"trace=?{',?'.join(CALLS)}", *inject]
    names = {"NET": str(folder / "net.tflite"), "OUT": str(folder / command.target)}
    arguments = [names.get(item, item) for item in command.arguments]
    done = subprocess.run(
        [*strace, sys.executable, "-m", "tflite_surgeon", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        },
    )
    return done.returncode, done.stderr, trace.read_text(errors="replace").splitlines()


def touching(lines: list[str], folder: Path) -> Iterator[tuple[str, int, str]]:
    """(call, its number among calls of this name, line) of each call that touches the folder."""
    numbers: Counter[str] = Counter()
    for line in lines:
        match = re.match(r"(\w+)\(", line)
        if match:
            numbers[match[1]] += 1
            if str(folder) in line:
                yield match[1], numbers[match[1]], line


def judge(folder: Path, command: Command, contents: tuple[bytes, bytes], code: int, said: str) -> Iterator[str]:
    """What is wrong after a command in which a call failed."""
    old, new = contents
    now = (folder / command.target).read_bytes() if (folder / command.target).exists() else b""
    if now not in contents:
        yield "the target is neither the old nor the new content"
    if code not in (0, 2) or (code == 0 and now != new):
        yield f"exit code {code}"
    if code == 2 and (now != old or not re.fullmatch(r"error: [^\n]+\n", said)):
        yield f"exit code 2 and {said!r}"
    if code == 0 and said:
        yield f"said {said!r}"
    for item in folder.iterdir():
        if item.name.endswith(".surgeon-tmp"):
            yield f"left {item.name}"
        elif ".bak" in item.name and (code != 0 or item.read_bytes() != old):
            yield f"left a backup, {item.name}, of {item.stat().st_size} bytes"


def fail_each(name: str, errors: list[str], where: Path) -> tuple[Counter[str], list[str]]:
    """Fail each call of a command in turn; returns (how often each call failed, what was wrong)."""
    command = COMMANDS[name]
    counts: Counter[str] = Counter()
    faults: list[str] = []
    folder = where / "models"
    prepare(folder, command)
    old = (folder / command.target).read_bytes()
    code, said, lines = run(folder, command, None)
    if code != 0:
        raise SystemExit(f"{name} fails by itself: {said}")
    contents = (old, (folder / command.target).read_bytes())
    calls = list(touching(lines, folder))
    for error in errors:
        for call, number, line in calls:
            if not command.links and call.startswith("link"):
                continue  # Fails as it is.
            shutil.rmtree(folder)
            prepare(folder, command)
            code, said, lines = run(folder, command, (call, number, error))
            failed = [line for line in lines if "(INJECTED)" in line and str(folder) in line and error in line]
            if not failed:
                faults.append(f"{name}: {call} number {number} was not reached with the folder: {line}")
                continue
            counts[call] += 1
            faults.extend(f"{name}: {failed[0]}: {text}" for text in judge(folder, command, contents, code, said))
    shutil.rmtree(folder)
    return counts, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--errors", nargs="+", default=["ENOSPC", "EIO", "EDQUOT"])
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    faults: list[str] = []
    start = time.perf_counter()
    for name in COMMANDS:
        with tempfile.TemporaryDirectory(prefix="surgeon-failures-") as where:
            some, wrong = fail_each(name, options.errors, Path(where))
        print(f"{name}: {sum(some.values())} calls failed, {len(wrong)} faults", flush=True)
        counts += some
        faults += wrong
    print(f"{sum(counts.values())} failures of {', '.join(f'{call} ({n})' for call, n in counts.most_common())}")
    print(*faults, sep="\n")
    print(f"{len(faults)} faults in {time.perf_counter() - start:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
