"""Standard input and output, C source and containers on the command line."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from typer.testing import CliRunner

import tflite_surgeon as ts
from tflite_surgeon.cli.app import app

run = CliRunner().invoke
PROGRAM = [sys.executable, "-m", "tflite_surgeon"]
BROKEN = "bias_scale_per_tensor.tflite"


def piped(arguments: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, *arguments], input=data, capture_output=True, check=False)


def test_a_pipeline_repairs(fixture_copy) -> None:
    broken = fixture_copy(BROKEN).read_bytes()
    fixed = piped(["fix-bias-scale", "-", "-o", "-"], broken)
    assert fixed.returncode == 0
    assert ts.check(ts.loads(fixed.stdout)) == []
    assert b"the values are kept" in fixed.stderr
    checked = piped(["check", "-"], fixed.stdout)
    assert (checked.returncode, checked.stdout.splitlines()[0]) == (0, b"-: nothing found in 1 operator")
    again = piped(["rewrite", "-", "-o", "-"], fixed.stdout)
    assert ts.check(ts.loads(again.stdout)) == []


def test_standard_input_has_no_place_of_its_own(fixture_copy) -> None:
    broken = fixture_copy(BROKEN).read_bytes()
    for options in ([], ["--in-place"]):
        result = piped(["fix-bias-scale", "-", *options], broken)
        assert result.returncode == 2
        assert b"-o" in result.stderr


def test_an_empty_pipe_is_said() -> None:
    result = piped(["check", "-"], b"")
    assert result.returncode == 2
    assert b"empty" in result.stderr


def test_c_source_in_and_out(fixture_copy, tmp_path: Path) -> None:
    source, fixed = tmp_path / "model.cc", tmp_path / "fixed.cc"
    ts.save(ts.load(fixture_copy(BROKEN)), source)
    assert run(app, ["check", str(source)]).exit_code == 1
    assert run(app, ["fix-bias-scale", str(source), "-o", str(fixed)]).exit_code == 0
    assert run(app, ["check", str(fixed)]).exit_code == 0


def test_a_model_in_a_container_is_named_with_its_number(fixture_copy, tmp_path: Path) -> None:
    bundle = tmp_path / "net.task"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.write(fixture_copy(BROKEN), "detector.tflite")
    result = run(app, ["check", str(bundle)])
    assert result.exit_code == 2
    assert f"{bundle}#0" in result.stderr
    for section in ("0", "detector.tflite"):
        assert run(app, ["check", f"{bundle}#{section}"]).exit_code == 1
    assert run(app, ["check", f"{bundle}#1"]).exit_code == 2
    fixed = tmp_path / "fixed.tflite"
    assert run(app, ["fix-bias-scale", f"{bundle}#0", "-o", str(fixed)]).exit_code == 0
    assert ts.check(ts.load(fixed)) == []


def test_paranoid_reads_back_what_was_copied(fixture_copy, tmp_path: Path, monkeypatch) -> None:
    from tflite_surgeon.model import saving

    path, out = fixture_copy(BROKEN), tmp_path / "out.tflite"
    assert run(app, ["fix-bias-scale", str(path), "-o", str(out), "--paranoid"]).exit_code == 0
    out.unlink()
    honest = saving._write_spliced

    def damaging(file, source, patches) -> None:
        honest(file, source, patches)
        weights = ts.load(path).subgraphs[0].operators[0].role("weights")
        place = path.read_bytes().find(bytes(weights.data))
        file.seek(place + 5)
        file.write(bytes([weights.data[5] ^ 1]))

    monkeypatch.setattr(saving, "_write_spliced", damaging)
    result = run(app, ["fix-bias-scale", str(path), "-o", str(out), "--paranoid"])
    assert result.exit_code == 2
    assert "differs from the original" in result.stderr
    assert not out.exists()
