"""`check` in pipelines: folders, many files, lost processes, exit codes, selections, baselines, annotations."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests import builders
from tflite_surgeon.cli.app import app
from tflite_surgeon.cli.discovery import expand, models_in
from tflite_surgeon.cli.workers import Lost, each

run = CliRunner().invoke
BROKEN = "bias_scale_per_tensor.tflite"


@pytest.fixture
def folder(fixture_copy, tmp_path: Path) -> Path:
    """Two broken models and what a search passes over."""
    root = tmp_path / "models"
    (root / "deep" / "er").mkdir(parents=True)
    broken = fixture_copy(BROKEN)
    for name in ("b.tflite", "a.TFLITE", "deep/er/c.tflite"):
        shutil.copy(broken, root / name)
    for name in ("a.fixed.tflite", "b.tflite.bak", "b.bak.tflite", "notes.txt"):
        shutil.copy(broken, root / name)
    return root


def reported(*arguments: str) -> list[dict]:
    return json.loads(run(app, ["check", *arguments, "--format", "json"]).stdout)["models"]


def test_a_folder_is_searched_for_models(folder: Path) -> None:
    expected = [str(folder / name) for name in ("a.TFLITE", "b.tflite", "deep/er/c.tflite")]
    assert models_in(str(folder)) == expected
    assert [model["path"] for model in reported(str(folder))] == expected


def test_a_file_that_is_named_is_checked_whatever_its_name(folder: Path) -> None:
    named = str(folder / "a.fixed.tflite")
    assert [model["path"] for model in reported(named)] == [named]
    assert expand([named, named]) == [named]


def test_a_folder_without_models_is_an_error_and_stops_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run(app, ["check", str(tmp_path / "empty"), str(folder)])
    assert result.exit_code == 2
    assert "no .tflite file in it" in result.stderr
    assert "c.tflite: " in result.stdout


def test_results_come_in_the_order_of_the_files(folder: Path) -> None:
    one = reported(str(folder), "--jobs", "1")
    assert one == reported(str(folder), "--jobs", "3")
    assert all(model["findings"] for model in one)


# Children that are lost


def _work(path: str) -> str:
    if path == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if path == "exit":
        os._exit(3)
    if path == "hang":
        time.sleep(60)
    return path.upper()


def test_what_crashes_or_hangs_costs_itself_only() -> None:
    paths = ["a", "crash", "b", "hang", "exit", "c", "d"]
    found = dict(each(_work, paths, jobs=2, seconds=1.0))
    assert sorted(found) == list(range(len(paths)))
    lost = {paths[n]: str(result) for n, result in found.items() if isinstance(result, Lost)}
    assert lost == {
        "crash": "the process died (SIGSEGV)",
        "hang": "no result after 1 seconds",
        "exit": "the process died (exit code 3)",
    }
    assert [found[n] for n in (0, 2, 5, 6)] == ["A", "B", "C", "D"]


def test_of_many_files_what_crashes_or_hangs_costs_itself_only() -> None:
    paths = [f"fine {number}" for number in range(120)]
    for number in (0, 1, 2, 7, 8, 40, 119):
        paths[number] = "crash"
    paths[20] = "hang"
    found = dict(each(_work, paths, jobs=2, seconds=1.0))
    assert sorted(found) == list(range(120))
    lost = {number for number, result in found.items() if isinstance(result, Lost)}
    assert lost == {0, 1, 2, 7, 8, 20, 40, 119}
    assert all(found[number] == _work(paths[number]) for number in set(found) - lost)


def test_a_lost_child_is_an_error_of_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tflite_surgeon.cli import checking

    real = checking.check_file

    def deadly(wish: checking.Wish, path: str):
        if path.endswith("b.tflite"):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(wish, path)

    monkeypatch.setattr(checking, "check_file", deadly)
    first, second, third = reported(str(folder))
    assert second["error"] == "cannot be checked: the process died (SIGKILL)"
    assert first["findings"]
    assert third["findings"]


# What fails


def _note_only(path: Path) -> Path:
    model = builders.layer()
    model.signature_defs = None
    ts.save(model, path)
    return path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--fail-on", "note"], 1),
        (["--fail-on", "note", "--ignore", "missing-signature"], 0),
        (["--fail-on", "note", "--select", "bias-scale"], 0),
        (["--fail-on", "note", "--select", "missing-signature"], 1),
        (["--fail-on", "note", "--exit-zero"], 0),
    ],
)
def test_exit_codes_of_a_note(tmp_path: Path, arguments: list[str], code: int) -> None:
    path = _note_only(tmp_path / "model.tflite")
    assert run(app, ["check", str(path), *arguments]).exit_code == code


def test_exit_zero_does_not_hide_an_unusable_file(tmp_path: Path) -> None:
    assert run(app, ["check", str(tmp_path / "missing.tflite"), "--exit-zero"]).exit_code == 2


def test_unknown_rules_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    for option in ("--select", "--ignore"):
        result = run(app, ["check", "x.tflite", option, "bias-scael"])
        assert result.exit_code == 2
        assert "bias-scale" in result.stderr


def test_verdicts_do_not_depend_on_the_selection(fixture_copy) -> None:
    path = str(fixture_copy(BROKEN))
    (whole,), (part,) = reported(path), reported(path, "--select", "unused-tensor")
    assert part["findings"] == []
    assert part["verdicts"] == whole["verdicts"]
    assert whole["verdicts"]["litert"]["wrong_numbers"] is True
    refused = whole["verdicts"]["tflm"]
    assert (refused["loads"], refused["runs"], refused["crashes"]) == (False, False, False)
    assert (refused["subgraph"], refused["operator"], refused["rule"]) == (0, 0, "bias-scale")


# Baselines


def test_only_what_is_new_fails(fixture_copy, tmp_path: Path) -> None:
    path = fixture_copy(BROKEN)
    baseline = tmp_path / "baseline.json"
    baseline.write_text(run(app, ["check", str(path), "--format", "json"]).stdout)
    result = run(app, ["check", str(path), "--baseline", str(baseline)])
    assert result.exit_code == 0
    assert "in the baseline" in result.stdout
    model = ts.load(path)
    model.subgraphs[0].outputs[0].quantization.scale = [0.0]
    ts.save(model, path)
    result = run(app, ["check", str(path), "--baseline", str(baseline)])
    assert result.exit_code == 1


@pytest.mark.parametrize("content", [None, "", "[]", '{"models": [{}]}', '{"models": 3}', "\x00"])
def test_a_baseline_that_is_none_is_refused(fixture_copy, tmp_path: Path, content: str | None) -> None:
    baseline = tmp_path / "baseline.json"
    if content is not None:
        baseline.write_text(content)
    result = run(app, ["check", str(fixture_copy(BROKEN)), "--baseline", str(baseline)])
    assert result.exit_code == 2
    assert "baseline" in result.stderr
    assert result.stderr.count("\n") == 1


# Annotations


def test_workflow_commands_are_escaped(fixture_copy, tmp_path: Path) -> None:
    odd = tmp_path / "50%,a:b.tflite"
    model = ts.load(fixture_copy(BROKEN))
    model.subgraphs[0].operators[0].role("bias").name = "50%\n::error::evil"
    ts.save(model, odd)
    result = run(app, ["check", str(odd), "--format", "github"])
    assert result.exit_code == 1
    for line in result.stdout.splitlines():
        assert line.startswith(("::error file=", "::warning file=", "::notice file="))
        assert "50%25%2Ca%3Ab.tflite" in line
        assert "%" not in line.replace("%25", "").replace("%2C", "").replace("%3A", "")
    assert len(result.stdout.splitlines()) == len(reported(str(odd))[0]["findings"])


def test_an_unusable_file_is_an_annotation(tmp_path: Path) -> None:
    missing = tmp_path / "missing.tflite"
    result = run(app, ["check", str(missing), "--format", "github"])
    assert (result.exit_code, result.stdout.count("\n")) == (2, 1)
    assert result.stdout.startswith(f"::error file={missing},title=unusable file::")


def test_many_findings_of_one_rule_are_counted(tmp_path: Path) -> None:
    model = builders.chain(9)
    for number in range(9):
        builders.damage(builders.part(model, "bias", number), 3.0)
    ts.save(model, tmp_path / "model.tflite")
    text = run(app, ["check", str(tmp_path / "model.tflite"), "--select", "bias-scale"]).stdout
    assert text.count("error: operator ") == 5
    assert "4 more [bias-scale]: operators 5, 6, 7, 8" in text
