"""`verify` on the command line: text, JSON, exit codes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests import builders
from tests.interpreters import session
from tests.verification import models
from tflite_surgeon import runtime
from tflite_surgeon.cli.app import app

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
BROKEN = str(FIXTURES / "bias_scale_per_tensor.tflite")
run = CliRunner().invoke


@pytest.fixture
def litert() -> None:
    session("litert")
    session("litert-no-delegate")


def saved(model: ts.Model, folder: Path, name: str = "net") -> str:
    path = folder / f"{name}.tflite"
    path.write_bytes(ts.dumps(model))
    return str(path)


@pytest.fixture
def fixed(tmp_path: Path) -> str:
    return saved(ts.fix_bias_scale(ts.load(BROKEN), keep="values").model, tmp_path, "fixed")


@pytest.mark.usefixtures("litert")
def test_text(fixed: str) -> None:
    result = run(app, ["verify", BROKEN, fixed, "--meaning"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith("fixed.tflite: random inputs, 3 runs, seed 0")
    assert "at most 5 quanta (0.01554)" in result.stdout
    assert "before against what its file says:" in result.stdout
    assert "does not load: RuntimeError: tflite/kernels/kernel_util.cc:322 scale_diff" in result.stdout


@pytest.mark.usefixtures("litert")
def test_the_same_is_said_in_a_line() -> None:
    result = run(app, ["verify", BROKEN, BROKEN, "--mode", "litert"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "  after against before: the output is the same"


@pytest.mark.usefixtures("litert")
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 0),
        (["--tolerance-quanta", "5"], 0),
        (["--tolerance-quanta", "4"], 1),
        (["--tolerance", "1"], 0),
        (["--tolerance", "0.001"], 1),
        (["--snr-at-least", "20"], 0),
        (["--snr-at-least", "60"], 1),
    ],
)
def test_exit_codes_of_tolerances(options: list[str], code: int, fixed: str) -> None:
    result = run(app, ["verify", BROKEN, fixed, "--mode", "litert", *options])
    assert result.exit_code == code
    assert ("error: litert: output " in result.stdout) == bool(code)


@pytest.mark.usefixtures("litert")
def test_what_quanta_cannot_judge_does_not_pass(tmp_path: Path) -> None:
    path = saved(models.open_batch(), tmp_path)
    assert run(app, ["verify", path, path, "--tolerance-quanta", "1"]).exit_code == 2
    assert run(app, ["verify", path, path, "--tolerance-quanta", "1", "--tolerance", "0"]).exit_code == 0


@pytest.mark.usefixtures("litert")
def test_json_is_strict_and_has_every_tensor(tmp_path: Path) -> None:
    before = saved(builders.chain(3), tmp_path, "before")
    after = saved(models.damaged(1), tmp_path, "after")
    result = run(app, ["verify", before, after, "--mode", "litert-no-delegate", "--all-tensors", "--json"])
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    (mode,) = found["modes"]
    assert [item["operator"]["index"] for item in mode["comparison"]["tensors"]] == [0, 1, 2]
    assert mode["comparison"]["tensors"][0]["snr"] == "Infinity"
    assert mode["comparison"]["departs"]["operator"] == {"index": 1, "name": "FULLY_CONNECTED"}
    assert mode["after_meaning"] is None
    assert found["exceeded"] == []


@pytest.mark.usefixtures("litert")
def test_a_crash_is_reported(tmp_path: Path) -> None:
    path = saved(models.killing(), tmp_path)
    result = run(app, ["verify", path, path])
    assert result.exit_code == 2
    assert "kills the interpreter (SIGABRT)" in result.stdout
    assert "nothing could be compared" in result.stderr


@pytest.mark.usefixtures("litert")
def test_failing_where_the_other_runs(tmp_path: Path) -> None:
    result = run(app, ["verify", saved(builders.layer(), tmp_path), saved(models.refused(), tmp_path, "refused")])
    assert result.exit_code == 1
    assert "after does not run, before does" in result.stdout


def without(*names: str):
    def available(name: str) -> str | None:
        return (
            "The package ai_edge_litert is not installed: pip install 'tflite-surgeon[litert]'" * (name in names)
            or None
        )

    return available


def test_without_litert_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tflite_surgeon.verification.comparing.available", without("litert", "litert-no-delegate"))
    result = run(app, ["verify", BROKEN, BROKEN])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "pip install 'tflite-surgeon[litert]'" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("litert")
def test_a_missing_mode_is_skipped_unless_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tflite_surgeon.verification.comparing.available", without("litert-no-delegate"))
    result = run(app, ["verify", BROKEN, BROKEN])
    assert result.exit_code == 0
    assert "litert-no-delegate is skipped: " in result.stdout
    assert run(app, ["verify", BROKEN, BROKEN, "--mode", "litert-no-delegate"]).exit_code == 2


def test_a_variable_that_is_not_set_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFLITE_SURGEON_TFLM_PYTHON", raising=False)
    result = run(app, ["verify", BROKEN, BROKEN, "--mode", "tflm"])
    assert result.exit_code == 2
    assert "TFLITE_SURGEON_TFLM_PYTHON" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [BROKEN, "missing.tflite"],
        ["missing.tflite", BROKEN],
        [__file__, BROKEN],
        ["-", "-"],
        [BROKEN, BROKEN, "--mode", "unknown"],
        [BROKEN, BROKEN, "--snr-at-least", "nan"],
        [BROKEN, str(FIXTURES / "healthy_200.tflite")],
        [BROKEN, BROKEN, "--inputs", "missing.npz"],
        [BROKEN, BROKEN, "--inputs", "x.npz", "--runs", "2"],
    ],
    ids=str,
)
def test_bad_input_is_a_sentence(arguments: list[str]) -> None:
    if runtime.available("litert") is not None:
        pytest.skip("without an interpreter another sentence comes first")
    result = run(app, ["verify", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("litert")
@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_is_not_overrun(width: int, tmp_path: Path) -> None:
    pair = [builders.chain(3), models.damaged(1)]
    for model in pair:
        for number, tensor in enumerate(model.subgraphs[0].tensors):
            tensor.name = f"[red]{number}" + "x" * 3000 + "\x1b[31m"
    for name, model in zip(("before", "after"), pair):
        saved(model, tmp_path, name)
    text = on_terminal(["before.tflite", "after.tflite", "--all-tensors", "--meaning"], width, tmp_path)
    assert "\x1b" not in text
    assert "departs first at operator 1 (FULLY_CONNECTED)" in text
    assert max(map(len, text.splitlines())) <= width


def on_terminal(arguments: list[str], width: int, folder: Path) -> str:
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": str(width)}
    command = [sys.executable, "-m", "tflite_surgeon", "verify", *arguments]
    with subprocess.Popen(command, stdout=child, stderr=child, env=environment, cwd=folder) as process:
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
        assert process.wait(timeout=120) == 0
    os.close(parent)
    return output.decode().replace("\r\n", "\n")
