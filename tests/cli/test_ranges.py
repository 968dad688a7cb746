"""`ranges`: text, JSON, CSV and filters."""

from __future__ import annotations

import csv
import io
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
from tests.views import nets
from tflite_surgeon.cli.app import app

run = CliRunner().invoke


def saved(model: ts.Model, folder: Path) -> str:
    path = folder / "net.tflite"
    path.write_bytes(ts.dumps(model))
    return str(path)


def clipped() -> ts.Model:
    """A recorded input range beyond what its scale holds, and an activation without any."""
    model = builders.chain(2)
    source = builders.part(model, "input")
    source.quantization.min, source.quantization.max = [-2.4], [6.0]
    builders.part(model, "output").quantization = None
    return model


def test_text_is_a_line_a_tensor_when_piped(tmp_path: Path) -> None:
    lines = run(app, ["ranges", saved(clipped(), tmp_path)]).stdout.splitlines()
    assert lines[0].endswith("net.tflite: 7 tensors, 1 whose ranges disagree, 1 activation without a range")
    assert lines[2].split() == ["no.", "type", "kind", "recorded", "implied", "values", "name"]
    assert len(lines) == 3 + 7
    (disagreeing,) = [line for line in lines if "'input_0'" in line]
    assert "[-2.4, 6]" in disagreeing
    assert (
        "! recorded is [-2.4, 6], scale and zero point hold [-2.42, 2.68]: what lies beyond is cut off" in disagreeing
    )
    (missing,) = [line for line in lines if "lacking min/max data" in line]
    assert missing.endswith(
        "'output_0'  ! lacking min/max data, which quantising needs for operator 0 (FULLY_CONNECTED), "
        "1 (FULLY_CONNECTED)"
    )


def test_columns_without_an_entry_are_left_out(tmp_path: Path) -> None:
    lines = run(app, ["ranges", saved(nets.picture(weights="FLOAT32"), tmp_path)]).stdout.splitlines()
    assert lines[2].split() == ["no.", "type", "kind", "values", "name"]


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_is_not_overrun(width: int, tmp_path: Path) -> None:
    model = clipped()
    for tensor in model.subgraphs[0].tensors:
        tensor.name = "[red]" + "x" * 3000 + "\x1b[31m"
    path = saved(model, tmp_path)
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": str(width)}
    command = [sys.executable, "-m", "tflite_surgeon", "ranges", Path(path).name]
    with subprocess.Popen(command, stdout=child, stderr=child, env=environment, cwd=tmp_path) as process:
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
        assert process.wait(timeout=60) == 0
    os.close(parent)
    text = output.decode().replace("\r\n", "\n")
    assert "\x1b" not in text
    assert "lacking min/max data" in text
    assert max(map(len, text.splitlines())) <= width


def test_json_and_csv_tell_the_same_with_all_digits(tmp_path: Path) -> None:
    model = clipped()
    path = saved(model, tmp_path)
    tensors = json.loads(run(app, ["ranges", path, "--json"]).stdout, parse_constant=pytest.fail)["tensors"]
    rows = list(csv.DictReader(io.StringIO(run(app, ["ranges", path, "--csv"]).stdout)))
    expected = ts.ranges(model)
    assert len(tensors) == len(rows) == len(expected) == 7
    for one, line, found in zip(tensors, rows, expected):
        for key in ("recorded", "implied", "values"):
            ends = getattr(found, key)
            assert one[key] == (None if ends is None else list(ends)) or key == "recorded"
            assert [line[f"{key}_{end}"] for end in ("min", "max")] == (
                ["", ""] if one[key] is None else [repr(end) for end in one[key]]
            )
        assert one["missing"] == found.is_missing == (line["missing"] == "yes")
        assert [(item["operator"], item["type"]) for item in one["needed_by"]] == found.needed_by
    # Recorded ranges are float32 in the file.
    assert tensors[0]["recorded"] == [builders.float32(-2.4), 6.0]


def test_odd_numbers_are_strings_in_json(tmp_path: Path) -> None:
    model = nets.picture(weights="FLOAT32")
    bias = builders.part(model, "bias")
    bias.set_values([float("inf"), 1.0, float("-inf"), 0.0, float("nan")])
    bias.quantization = ts.QuantizationParameters(min=[float("nan")], max=[1.0])
    text = run(app, ["ranges", saved(model, tmp_path), "--json", "--name", "b"]).stdout
    (found,) = json.loads(text, parse_constant=pytest.fail)["tensors"]
    assert found["values"] == ["-Infinity", "Infinity"]
    assert found["recorded"] == ["NaN", 1.0]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--name", "WEIGHTS"], ["weights_0", "weights_1"]),
        (["--name", "*_1"], ["weights_1", "bias_1", "output_1"]),
        (["--operator", "CONV_2D"], []),
        (["--disagreeing"], ["input_0"]),
        (["--missing"], ["output_0"]),
        (["--missing", "--disagreeing"], ["input_0", "output_0"]),
        (["--missing", "--name", "input"], []),
    ],
)
def test_filters(options: list[str], names: list[str], tmp_path: Path) -> None:
    result = run(app, ["ranges", saved(clipped(), tmp_path), "--json", *options])
    assert result.exit_code == 0
    assert [item["name"] for item in json.loads(result.stdout)["tensors"]] == names


def test_two_formats_are_refused(tmp_path: Path) -> None:
    result = run(app, ["ranges", saved(clipped(), tmp_path), "--json", "--csv"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("make", [nets.broken, nets.empty], ids=lambda make: make.__name__)
@pytest.mark.parametrize("options", [[], ["--json"], ["--csv"]], ids=str)
def test_broken_models(make, options: list[str], tmp_path: Path) -> None:
    result = run(app, ["ranges", saved(make(), tmp_path), *options])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout or options == ["--csv"]
