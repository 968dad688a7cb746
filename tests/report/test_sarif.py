"""SARIF as the standard has it, relative, and with fingerprints that stay."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.report.sarif_shape import SHAPE
from tflite_surgeon.cli.app import app
from tflite_surgeon.report.sarif import as_uri

BROKEN = "bias_scale_per_tensor.tflite"


def sarif(*arguments: str) -> dict:
    log = json.loads(CliRunner().invoke(app, ["check", *arguments, "--format", "sarif"]).stdout)
    jsonschema.validate(log, SHAPE)
    full = os.environ.get("TFLITE_SURGEON_SARIF_SCHEMA")
    if full:
        jsonschema.validate(log, json.loads(Path(full).read_bytes()))
    return log


def test_a_finding_says_rule_place_and_level(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    (run,) = sarif(str(path))["runs"]
    result = run["results"][0]
    assert (result["ruleId"], result["level"]) == ("bias-scale", "error")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "bias-scale"
    (location,) = result["locations"]
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "subgraphs[0].operators[0]"
    offset = location["physicalLocation"]["region"]["byteOffset"]
    model = ts.load(path)
    bias = model.subgraphs[0].operators[0].role("bias")
    # The tensor's table: its first four bytes lead to its vtable, whose first entry is the vtable's own length.
    data = path.read_bytes()
    vtable = offset - int.from_bytes(data[offset : offset + 4], "little", signed=True)
    assert 4 <= int.from_bytes(data[vtable : vtable + 2], "little") <= 64
    assert bias.name in result["message"]["text"]
    assert run["invocations"][0]["executionSuccessful"] is True


def test_an_unusable_file_is_a_notification(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    (run,) = sarif(str(tmp_path / "broken.tflite"))["runs"]
    assert run["results"] == []
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "cut short" in invocation["toolExecutionNotifications"][0]["message"]["text"]


@pytest.mark.parametrize("name", ["a b.tflite", "ä.tflite", "100%.tflite", "a#b?.tflite", "c:d.tflite", "[x].tflite"])
def test_uris_are_percent_encoded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (name, os.path.join("sub", name), str(tmp_path / name)):
        uri = as_uri(path)
        assert unquote(uri).removeprefix("./") == os.path.relpath(path)
        assert not set(uri) & set(" #?[]ä")
        assert ":" not in uri.partition("/")[0]


def test_a_path_outside_the_working_directory_is_a_file_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    assert as_uri(str(tmp_path / "model.tflite")) == f"file://{tmp_path}/model.tflite"


def test_fingerprints_stay_when_nodes_are_renumbered(fixture_copy) -> None:
    path = fixture_copy("bias_scale_shared.tflite")

    def marks() -> list[str]:
        results = sarif(str(path))["runs"][0]["results"]
        return sorted(r["partialFingerprints"]["tfliteSurgeon/v1"] for r in results if r["ruleId"] == "bias-scale")

    before = marks()
    assert len(before) == len(set(before)) == 2
    model = ts.load(path)
    model.subgraphs[0].operators.reverse()
    ts.save(model, path)
    assert marks() == before


def test_names_that_are_not_utf8_are_written(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    model = ts.load(path)
    model.subgraphs[0].operators[0].role("bias").name = b"caf\xe9".decode("utf-8", "surrogateescape")
    ts.save(model, path)
    assert "caf\\xe9" in sarif(str(path))["runs"][0]["results"][0]["message"]["text"]
