"""The program as a whole: help, version, start-up, pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tflite_surgeon.cli.app import app

run = CliRunner().invoke
PROGRAM = [sys.executable, "-m", "tflite_surgeon"]


def test_version() -> None:
    result = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == f"tflite-surgeon {ts.__version__}"


@pytest.mark.parametrize("command", ["check", "fix-bias-scale", "io", "ranges", "rewrite"])
def test_help_names_every_command_and_its_exit_codes(command: str) -> None:
    assert command in run(app, ["--help"]).stdout
    help_text = run(app, [command, "--help"]).stdout
    assert "Exit code" in help_text
    assert run(app, [command, "-h"]).stdout == help_text


def test_help_and_version_import_nothing_slow() -> None:
    script = (
        "import sys\nsys.argv = ['tflite-surgeon', '--help']\nfrom tflite_surgeon.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "slow = {'numpy', 'tflite', 'ai_edge_litert'} & set(sys.modules)\nassert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_closed_pipe_is_no_traceback(fixture_copy) -> None:
    path = fixture_copy("bias_scale_per_tensor.tflite")
    child = subprocess.Popen(
        [*PROGRAM, "check", *[str(path)] * 200], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    errors = child.stderr.read()
    child.stderr.close()
    child.wait(timeout=60)
    assert "Traceback" not in errors


def test_a_terminal_without_unicode_gets_escapes(fixture_copy) -> None:
    path = fixture_copy("bias_scale_per_tensor.tflite")
    model = ts.load(path)
    model.subgraphs[0].operators[0].role("bias").name = "größe"
    ts.save(model, path)
    result = subprocess.run(
        [*PROGRAM, "check", str(path)], capture_output=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""}, check=False
    )
    assert result.returncode == 1
    assert b"gr\\xf6\\xdfe" in result.stdout


def test_rewrite_keeps_the_meaning(fixture_copy, tmp_path: Path) -> None:
    path, out = fixture_copy("bias_scale_per_tensor.tflite"), tmp_path / "out.tflite"
    result = run(app, ["rewrite", str(path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "written anew" in result.stdout
    assert ts.check(ts.load(out)) == ts.check(ts.load(path))


def test_rewrite_does_not_overwrite(fixture_copy, tmp_path: Path) -> None:
    path, out = fixture_copy("bias_scale_per_tensor.tflite"), tmp_path / "out.tflite"
    out.write_bytes(b"mine")
    assert run(app, ["rewrite", str(path), "-o", str(out)]).exit_code == 2
    assert out.read_bytes() == b"mine"
    assert run(app, ["rewrite", str(path), "-o", str(path), "--force"]).exit_code == 2
