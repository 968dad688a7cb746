"""The runtime with its default delegate, in a child that lives as long as the test run; a new one where it dies."""

from __future__ import annotations

import atexit
import functools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import tflite_surgeon as ts


class Answer(NamedTuple):
    """What became of a model: outputs of the nodes that were taken, what was said, or the signal that ended it."""

    taken: list[list[int]]
    error: str
    died: str

    @property
    def opened(self) -> bool:
        """Whether the file got as far as the delegate."""
        return not self.error.startswith("construct: ")


class Delegate:
    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def ask(self, model: ts.Model, path: Path) -> Answer:
        path.write_bytes(ts.dumps(model))
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("delegated.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{path}\n")
        child.stdin.flush()
        line = child.stdout.readline()
        if line:
            return Answer(**json.loads(line), died="")
        self.close()
        return Answer([], "", signal.Signals(-child.returncode).name)

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.communicate(timeout=60)


@functools.cache
def delegate() -> Delegate:
    made = Delegate()
    atexit.register(made.close)
    return made
