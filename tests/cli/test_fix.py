"""`fix`: all repairs in one command, what it tells, and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, part
from tests.interpreters import session
from tflite_surgeon.cli.app import app
from tflite_surgeon.edits.repairs.registry import repairs
from tflite_surgeon.rules.registry import rules

run = CliRunner().invoke
BROKEN = "bias_scale_per_tensor.tflite"


def saved(model: ts.Model, folder: Path, name: str = "model.tflite") -> Path:
    path = folder / name
    ts.save(model, path)
    return path


def damaged() -> ts.Model:
    """A bias in a unit that no value was written in, and one that the file does not decide."""
    model = builders.chain(2)
    part(model, "bias", 0).quantization.scale = [0.0]
    damage(part(model, "bias", 1), 3.0)
    return model


def test_a_healthy_model_is_left_alone_in_one_line(tmp_path: Path) -> None:
    path = saved(builders.chain(3), tmp_path)
    result = run(app, ["fix", str(path)])
    assert (result.exit_code, result.stdout) == (0, f"{path}: nothing to repair\n")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_is_decided_is_repaired_and_the_rest_left(tmp_path: Path) -> None:
    path = saved(damaged(), tmp_path)
    before = path.read_bytes()
    result = run(app, ["fix", str(path)])
    assert result.exit_code == 1, result.output
    assert "1 repaired, 1 left alone" in result.stdout
    assert "--node 1 --keep values" in result.stdout
    assert "--node 1 --keep integers" in result.stdout
    assert path.read_bytes() == before
    fixed = ts.load(tmp_path / "model.fixed.tflite")
    assert {finding.operator for finding in ts.check(fixed)} == {1}


@pytest.mark.parametrize("keep", ["values", "integers"])
def test_a_choice_settles_it(tmp_path: Path, keep: str) -> None:
    model = damaged()
    part(model, "bias", 0).quantization.scale = builders.scales(part(builders.chain(2), "bias", 0))
    path = saved(model, tmp_path)
    assert run(app, ["fix", str(path), "--keep", keep]).exit_code == 0
    assert ts.check(ts.load(tmp_path / "model.fixed.tflite")) == []


def test_dry_run_shows_each_edit_and_writes_nothing(tmp_path: Path) -> None:
    path = saved(damaged(), tmp_path)
    result = run(app, ["fix", str(path), "--dry-run", "--keep", "integers"])
    assert result.exit_code == 0
    assert "subgraphs[0].tensors[2].quantization.scale: [0.0] -> [" in result.stdout
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_many_files_and_one_that_is_no_model(tmp_path: Path) -> None:
    good = saved(builders.chain(1), tmp_path, "good.tflite")
    broken = builders.layer()
    part(broken, "bias").quantization = None
    bad = saved(broken, tmp_path, "bad.tflite")
    nothing = tmp_path / "nothing.tflite"
    nothing.write_bytes(b"no model")
    result = run(app, ["fix", str(good), str(bad), str(nothing), "--in-place", "--select", "bias-scale"])
    assert result.exit_code == 2
    assert "good.tflite: nothing to repair" in result.stdout
    assert ts.check(ts.load(bad)) == []
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "bad.tflite",
        "bad.tflite.bak",
        "good.tflite",
        "nothing.tflite",
    ]


def test_on_its_own_result_it_changes_nothing(tmp_path: Path) -> None:
    path = saved(damaged(), tmp_path)
    assert run(app, ["fix", str(path), "--keep", "values", "--in-place"]).exit_code == 1
    first = path.read_bytes()
    assert run(app, ["fix", str(path), "--keep", "integers", "--in-place"]).exit_code == 0
    second = path.read_bytes()
    assert second != first
    result = run(app, ["fix", str(path), "--in-place"])
    assert (result.exit_code, result.stdout) == (0, f"{path}: nothing to repair\n")
    assert path.read_bytes() == second


def test_only_what_is_selected_is_repaired(tmp_path: Path) -> None:
    model = damaged()
    model.version = 2
    path = saved(model, tmp_path)
    assert run(app, ["fix", str(path), "--select", "bias-scale", "--keep", "integers"]).exit_code == 0
    assert ts.load(tmp_path / "model.fixed.tflite").version == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--select", "bias-scael"], "no rule 'bias-scael'"),
        (["--node", "9"], "no operator 9"),
        (["--target", "onnx"], "no runtime 'onnx'"),
    ],
)
def test_what_there_is_not(tmp_path: Path, arguments: list[str], text: str) -> None:
    result = run(app, ["fix", str(saved(damaged(), tmp_path)), *arguments])
    assert result.exit_code == 2
    assert text in result.stderr


def test_a_rule_without_a_repair_says_so(tmp_path: Path) -> None:
    without = next(name for name in rules() if name not in repairs())
    result = run(app, ["fix", str(saved(damaged(), tmp_path)), "--select", without])
    assert result.exit_code == 2
    assert f"no repair for the rule '{without}'" in result.stderr


def test_the_journal_tells_what_and_why_and_undo_takes_it_back(tmp_path: Path) -> None:
    path, story = saved(damaged(), tmp_path), tmp_path / "story.json"
    before = path.read_bytes()
    assert run(app, ["fix", str(path), "--in-place", "--journal", str(story)]).exit_code == 1
    told = json.loads(story.read_text())
    assert [(entry["rule"], entry["keep"]) for entry in told["repairs"]] == [("bias-scale", "integers")]
    assert [entry["is_open"] for entry in told["left"]] == [True]
    assert run(app, ["undo", str(path), str(story), "--in-place"]).exit_code == 0
    assert path.read_bytes() == before


def test_verify_runs_both_before_writing(fixture_copy) -> None:
    session("litert")
    path = fixture_copy(BROKEN)
    result = run(app, ["fix", str(path), "--keep", "values", "--verify"])
    assert result.exit_code == 0, result.output
    assert "after against what its file says" in result.stdout
    assert "does not load" in result.stdout  # Without the delegate, the original.
    assert path.with_name("bias_scale_per_tensor.fixed.tflite").exists()


def test_many_repairs_are_told_rule_by_rule(tmp_path: Path) -> None:
    model = builders.chain(12)
    for number in range(12):
        part(model, "bias", number).quantization = None
    path = saved(model, tmp_path)
    result = run(app, ["fix", str(path), "--select", "bias-scale"])
    assert result.exit_code == 0
    assert "bias-scale: 12 repaired" in result.stdout
    assert "and 9 more like these" in result.stdout


def test_the_page_of_a_rule_says_what_is_repaired() -> None:
    text = " ".join(run(app, ["explain", "bias-scale"]).stdout.split())
    assert "tflite-surgeon fix MODEL: Expresses the bias in the kernel's unit" in text
    assert "not repaired Where the two readings differ" in text
