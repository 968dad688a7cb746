"""README.md says what the program does: its sessions are run and compared, its Python is run.

`python tests/test_readme.py` writes the sessions anew.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
SESSION = re.compile(r"<!-- session: (\w+) -->\n```text\n(\$ tflite-surgeon (?:.*\n)*?)```\n")
WIDTH = 80  # What programs assume of a terminal that does not tell.


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def _copy_fixtures(folder: Path) -> None:
    for model in (ROOT / "fixtures").glob("*.tflite"):
        shutil.copy(model, folder)


def _run(command: str, folder: Path) -> str:
    """What a command prints on a terminal of WIDTH columns without colours."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": str(WIDTH)}
    process = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(command.replace("tflite-surgeon", "tflite_surgeon", 1))],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=child,
        env=environment,
    )
    os.close(child)
    output = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
    os.close(parent)
    process.wait(timeout=60)
    return "\n".join(line.rstrip() for line in output.decode().replace("\r\n", "\n").splitlines()) + "\n"


def _played(session: str, folder: Path) -> str:
    """A session's commands, one after the other in one folder, each with what it prints."""
    commands = re.findall(r"^\$ (tflite-surgeon .*)$", session, re.MULTILINE)
    return "".join(f"$ {command}\n{_run(command, folder)}" for command in commands)


@pytest.mark.parametrize(
    "name", ["healthy", "check", "explain", "fix", "undo", "inspect", "bytes", "code", "ranges", "graph", "diff"]
)
def test_sessions(name: str, tmp_path: Path) -> None:
    _copy_fixtures(tmp_path)
    sessions = {found[1]: found[2] for found in SESSION.finditer(README.read_text())}
    assert _played(sessions[name], tmp_path) == sessions[name]


def test_python(tmp_path: Path) -> None:
    blocks = _blocks("python")
    assert len(blocks) >= 2
    _copy_fixtures(tmp_path)
    for block in blocks:
        subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=tmp_path, check=True, capture_output=True)
    by_hand, by_tool = ((tmp_path / name).read_bytes() for name in ("by_hand.tflite", "by_tool.tflite"))
    assert by_hand == by_tool


def test_json_is_json() -> None:
    import json

    for block in _blocks("json"):
        json.loads(block)


def test_names_nothing_that_is_not_there() -> None:
    for path in re.findall(r"(?:fixtures|schema|tests)/[\w./]+\w", README.read_text()):
        assert (ROOT / path).exists(), path


def _update() -> None:
    import tempfile

    def renewed(match: re.Match[str]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            _copy_fixtures(Path(folder))
            played = _played(match[2], Path(folder))
        return f"<!-- session: {match[1]} -->\n```text\n{played}```\n"

    README.write_text(SESSION.sub(renewed, README.read_text()))


if __name__ == "__main__":
    _update()
