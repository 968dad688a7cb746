"""`check` as a person and a program meet it: text, JSON, exit codes, unusable files."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tflite_surgeon.cli.app import app

run = CliRunner().invoke
BROKEN = "bias_scale_per_tensor.tflite"


def test_a_finding_says_node_tensors_scales_ratio_and_runtimes(fixture_copy) -> None:
    result = run(app, ["check", str(fixture_copy(BROKEN))])
    assert result.exit_code == 1
    for expected in (
        "operator 0 (FULLY_CONNECTED)",
        "0.00744892936",
        "0.00294111134",
        "0.000285472401",
        "0.00310777873",
        "0.08481 (limit 0.02)",
        "34 of 34 off",
        "refused by        litert-no-delegate, tflite-2.14, tflm",
        "wrong numbers in  litert",
        "tflite-surgeon fix-bias-scale",
    ):
        assert expected in result.stdout


def test_piped_text_is_greppable(fixture_copy) -> None:
    lines = run(app, ["check", str(fixture_copy(BROKEN))]).stdout.splitlines()
    assert "\x1b" not in "".join(lines)
    assert any(line.strip().startswith("the bias scale is") and line.endswith("what the file says.") for line in lines)


def test_json_is_strict_and_has_the_agreed_keys(fixture_copy) -> None:
    path = str(fixture_copy(BROKEN))
    result = run(app, ["check", path, "--format", "json"])
    assert result.exit_code == 1

    def refuse(constant: str) -> float:
        raise AssertionError(f"not strict JSON: {constant}")

    report = json.loads(result.stdout, parse_constant=refuse)
    assert [model["path"] for model in report["models"]] == [path]
    (finding,) = report["models"][0]["findings"]
    assert finding["rule"] == "bias-scale"
    assert finding["severity"] == "error"
    assert (finding["subgraph"], finding["operator"]) == (0, 0)
    assert set(finding["tensor"]) == {"index", "name"}
    assert finding["runtimes"] == {
        "litert": "wrong-numbers",
        "litert-no-delegate": "refuses",
        "tflite-2.14": "refuses",
        "tflm": "refuses",
    }
    assert run(app, ["check", path, "--format", "json"]).stdout == result.stdout


@pytest.mark.parametrize(("scale", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_json_says_what_is_not_finite_in_strings(fixture_copy, scale: float, text: str) -> None:
    path = fixture_copy(BROKEN)
    model = ts.load(path)
    model.subgraphs[0].operators[0].role("bias").quantization.scale = [scale]
    ts.save(model, path)
    report = json.loads(run(app, ["check", str(path), "--format", "json"]).stdout)
    assert report["models"][0]["findings"][0]["scales"]["bias"] == text


def test_exit_code_counts_only_the_targets(fixture_copy) -> None:
    # Per channel: everybody accepts it and computes something else, so every target sees an error.
    path = str(fixture_copy("bias_scale_per_channel.tflite"))
    for target in ("litert", "litert-no-delegate", "tflite-2.14", "tflm"):
        assert run(app, ["check", path, "--target", target]).exit_code == 1


def test_a_refusal_by_another_runtime_is_a_note(fixture_copy) -> None:
    """A small bias with a far too large scale: refused where the check runs, harmless where it does not."""
    path = fixture_copy(BROKEN)
    model = ts.load(path)
    bias = model.subgraphs[0].operators[0].role("bias")
    bias.set_values([0] * 34)
    ts.save(model, path)
    assert run(app, ["check", str(path), "--target", "litert"]).exit_code == 0
    assert run(app, ["check", str(path), "--target", "tflm"]).exit_code == 1
    assert run(app, ["check", str(path)]).exit_code == 1


def test_a_healthy_model_is_said_to_be_one(fixture_copy, tmp_path: Path) -> None:
    healthy = tmp_path / "healthy.tflite"
    ts.save(ts.fix_bias_scale(ts.load(fixture_copy(BROKEN))).model, healthy)
    result = run(app, ["check", str(healthy)])
    first, *verdicts = result.stdout.splitlines()
    assert (result.exit_code, first) == (0, f"{healthy}: nothing found in 1 operator")
    assert [line.split() for line in verdicts] == [
        [name, "loads", "and", "runs"] for name in ("litert", "litert-no-delegate", "tflite-2.14", "tflm")
    ]


def _unusable(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no models, and a word of the sentence about each."""
    contents = {
        "empty": (b"", "empty"),
        "text": (b"hello, world\n", "text file"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        "html": (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        "gzip": (b"\x1f\x8b\x08\x00" + bytes(20), "gzip"),
        "noise": (bytes(range(7, 250)), "not a TFLite model"),
        "short": (b"\x1c\0\0", "not a TFLite model"),
        "cut": (b"\x1c\0\0\0TFL3", "cut short"),
    }
    result = {}
    for name, (content, word) in contents.items():
        (folder / name).write_bytes(content)
        result[name] = (folder / name, word)
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.writestr("model.tflite", b"x")
    (folder / "folder").mkdir()
    return {
        **result,
        "zip": (folder / "zip", "zip archive"),
        "folder": (folder / "folder", "folder"),
        "missing": (folder / "missing", "no such file"),
    }


@pytest.mark.parametrize(
    "kind", ["empty", "text", "lfs", "html", "gzip", "noise", "short", "cut", "zip", "folder", "missing"]
)
@pytest.mark.parametrize("command", ["check", "fix-bias-scale", "rewrite"])
def test_unusable_files_are_one_sentence_and_exit_2(tmp_path: Path, kind: str, command: str) -> None:
    path, word = _unusable(tmp_path)[kind]
    options = ["-o", str(tmp_path / "out.tflite")] if command == "rewrite" else []
    result = run(app, [command, str(path), *options])
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)
    sentence = result.stderr.strip()
    assert sentence.startswith("error: ")
    assert sentence.count("\n") == 0
    assert str(path) in sentence
    assert word in sentence
    assert not (tmp_path / "out.tflite").exists()


def test_of_several_files_the_worst_decides_and_none_stops_the_others(fixture_copy, tmp_path: Path) -> None:
    broken = str(fixture_copy(BROKEN))
    missing = str(tmp_path / "missing.tflite")
    result = run(app, ["check", missing, broken, "--format", "json"])
    assert result.exit_code == 2
    first, second = json.loads(result.stdout)["models"]
    assert "no such file" in first["error"]
    assert first["findings"] == []
    assert "error" not in second
    assert len(second["findings"]) == 1


def test_a_truncated_model_says_where(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    path.write_bytes(path.read_bytes()[:700])
    result = run(app, ["check", str(path)])
    assert result.exit_code == 2
    assert "byte " in result.stderr


@pytest.mark.parametrize("name", ["\x1b[31mred", "[bold]markup[/bold]", "a\nb", "\u202eevil", "x" * 3000])
def test_names_are_shown_and_never_obeyed(fixture_copy, name: str) -> None:
    path = fixture_copy(BROKEN)
    model = ts.load(path)
    model.subgraphs[0].operators[0].role("bias").name = name
    ts.save(model, path)
    text = run(app, ["check", str(path)]).stdout
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) < 1000
    if name.startswith("["):
        assert name in text
    report = json.loads(run(app, ["check", str(path), "--format", "json"]).stdout)
    assert report["models"][0]["findings"][0]["tensor"]["name"] == name


def test_names_that_are_not_utf8_survive_both_formats(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    model = ts.load(path)
    model.subgraphs[0].operators[0].role("bias").name = b"caf\xe9".decode("utf-8", "surrogateescape")
    ts.save(model, path)
    assert "caf\\xe9" in run(app, ["check", str(path)]).stdout
    json.loads(run(app, ["check", str(path), "--format", "json"]).stdout.encode("utf-8"))


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    result = run(app, ["check", "x.tflite", "--target", "litert2"])
    assert result.exit_code == 2
    assert "litert-no-delegate" in result.stderr
