"""A slice of what kill_saves.py does, and that its judge would notice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.hostile import kill_saves

SCRIPT = Path(kill_saves.__file__)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that fork here")
def test_killed_saves_leave_the_old_file_or_the_new_one() -> None:
    """In a process of its own: this one may have threads, which do not survive a fork."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--count", "25", "--megabytes", "0.25"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "25 saves killed" in done.stdout
    assert done.stderr == ""


WHOLE = (b"old content", b"new content")
IN_PLACE = kill_saves.WAYS["in place with a backup"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"net.tflite": b"old content"}, []),
        ({"net.tflite": b"new content", ".net.tflite.1-00000000.surgeon-tmp": b"new"}, []),
        ({"net.tflite": b"new content", "net.tflite.bak": b"old content"}, []),
        ({"net.tflite": b"new"}, ["the target is neither the old nor the new content"]),
        ({}, ["the target is gone"]),
        ({"net.tflite": b"old content", "net.tflite.bak": b"old"}, ["the backup net.tflite.bak is cut short"]),
        ({"net.tflite": b"old content", "x": b""}, ["left ['x']"]),
        (
            {
                "net.tflite": b"old content",
                ".net.tflite.1-00000000.surgeon-tmp": b"",
                ".net.tflite.2-00000000.surgeon-tmp": b"",
            },
            ["2 temporary files"],
        ),
    ],
)
def test_the_judge(tmp_path: Path, files: dict[str, bytes], says: list[str]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert list(kill_saves.judge(tmp_path / "net.tflite", IN_PLACE, WHOLE, Counter())) == says
