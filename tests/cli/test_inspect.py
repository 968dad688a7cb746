"""`inspect` as a person and a program meet it: the screen, lists, one part, JSON, CSV, exit codes, odd models."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.builders import layer, lstm, part, two_subgraphs
from tests.views import models
from tflite_surgeon.cli.app import app

run = CliRunner().invoke
SOUND = "healthy_200.tflite"
SMALL = "bias_scale_per_channel.tflite"
LISTS = ("tensors", "operators", "buffers", "opcodes", "signatures", "metadata")


def strict(text: str) -> Any:
    def refuse(constant: str) -> float:
        raise AssertionError(f"not strict JSON: {constant}")

    return json.loads(text, parse_constant=refuse)


def saved(model: ts.Model, folder: Path, name: str = "net.tflite") -> str:
    path = folder / name
    path.write_bytes(ts.dumps(model))
    return str(path)


def inspected(*arguments: str) -> str:
    result = run(app, ["inspect", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_screen_says_it_all(fixture_copy) -> None:
    path = fixture_copy(SMALL)
    text = inspected(str(path))
    for expected in (
        "schema version    3",
        "MLIR Converted.",
        "1.14.0 or later, as the converter recorded",
        "'main', 1 operator, 4 tensors",
        "int8 [-1, 34] 'serving_default_dense_input:0'",
        "'serving_default': dense_input -> dense",
        "'min_runtime_version' 1.14.0",
        "associated files  none",
        "parameters        1,190",
        "about 1,156 multiply-accumulates",
        "Full integer int8: weights are int8, activations int8.",
        "1 FULLY_CONNECTED  v4  tflite-2.14 or older, tflm too",
        "weights          1,156",
        f"{path.stat().st_size:,} bytes",
    ):
        assert expected in text
    assert len(text.splitlines()) < 40
    assert "\x1b" not in text


def test_a_mixed_model_is_told_with_its_float_operators(tmp_path: Path) -> None:
    text = inspected(saved(models.mixed(), tmp_path))
    assert "1 stays float: SOFTMAX (node 2)" in text
    assert "why it matters" in text


def test_the_screen_as_json_and_csv(fixture_copy) -> None:
    path = str(fixture_copy(SMALL))
    found = strict(inspected(path, "--json"))
    assert (found["schema_version"], found["runtime_version"], found["parameters"]) == (3, "1.14.0", 1190)
    assert found["sizes"]["file"] == os.path.getsize(path)
    table = dict(csv.reader(io.StringIO(inspected(path, "--csv"))))
    assert (table["parameters"], table["quantization.kind"]) == ("1190", "full-integer-int8")


@pytest.mark.parametrize("what", LISTS)
def test_each_list_agrees_in_text_json_and_csv(fixture_copy, what: str) -> None:
    path = str(fixture_copy(SOUND))
    lines = inspected(path, f"--{what}").splitlines()
    rows = strict(inspected(path, f"--{what}", "--json"))[what]
    table = list(csv.DictReader(io.StringIO(inspected(path, f"--{what}", "--csv"))))
    assert len(rows) == len(table) == len(lines) - 1 > 0
    assert [set(row) for row in rows] == [set(row) for row in table]


def test_several_lists_at_once(fixture_copy) -> None:
    path = str(fixture_copy(SMALL))
    assert list(strict(inspected(path, "--buffers", "--tensors", "--json"))) == ["path", "tensors", "buffers"]
    assert inspected(path, "--buffers", "--tensors").count("\n\n") == 1


def test_numbers_are_those_of_the_objects(fixture_copy) -> None:
    path = fixture_copy(SMALL)
    tensors = ts.load(path).subgraphs[0].tensors
    for row, tensor in zip(strict(inspected(str(path), "--tensors", "--json"))["tensors"], tensors):
        assert row["scale"] == list(tensor.quantization.scale)
        assert row["zero_point"] == list(tensor.quantization.zero_point)
        assert row["shape"] == tensor.shape


def test_a_filter_without_a_list_lists_tensors(fixture_copy) -> None:
    path = str(fixture_copy(SMALL))
    assert [row["name"] for row in strict(inspected(path, "--name", "MatMul", "--json"))["tensors"]] == [
        "sequential/dense/MatMul"
    ]
    assert "no tensors" in inspected(path, "--operator", "CONV_2D")


def test_one_tensor_and_one_node(fixture_copy) -> None:
    path = str(fixture_copy(SMALL))
    text = inspected(path, "sequential/dense/MatMul")
    for expected in (
        "34 scales",
        "scales ",
        "values",
        "range",
        "from -124",
        "node 0 FULLY_CONNECTED, weights",
        "data ",
    ):
        assert expected in text
    text = inspected(path, "0")
    for expected in ("node 0 FULLY_CONNECTED version 4", "bias     t2 int32", "fused_activation_function", "table "):
        assert expected in text
    found = strict(inspected(path, "t1", "--json"))
    assert sum(found["values"]["counts"]) == found["elements"] == 34 * 34
    assert found["read_by"][0]["role"] == "weights"
    assert dict(csv.reader(io.StringIO(inspected(path, "0", "--csv"))))["operator.type"] == "FULLY_CONNECTED"


def test_sparklines_are_ascii_where_the_output_is(fixture_copy) -> None:
    command = [sys.executable, "-m", "tflite_surgeon", "inspect", str(fixture_copy(SMALL)), "t1"]
    for encoding, expected in (("utf-8", "█"), ("ascii", "#")):
        done = subprocess.run(
            command, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": encoding}
        )
        (line,) = [line for line in done.stdout.decode(encoding).splitlines() if line.strip().startswith("scales ")]
        assert expected in line
        assert "\\u" not in line


def test_scales_that_are_no_numbers_are_marked() -> None:
    from tflite_surgeon.report.inspect_detail import sparkline

    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        assert sparkline([1.0, float("nan"), 2.0, float("inf"), 1.5]) == "▁!█!▅"
        assert sparkline([3.0, 3.0]) == "▁▁"
        assert len(sparkline(list(range(1000)))) <= 60


def test_values_that_do_not_fit_their_shape_are_explained(tmp_path: Path) -> None:
    model = layer()
    part(model, "weights").shape = [4, 999]
    assert "values cannot be shown: tensor 'weights' of shape" in inspected(saved(model, tmp_path), "weights")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["t99"], "there is no tensor 99 in subgraph 0: it has 4"),
        (["0", "--tensors"], "a node or tensor is shown in full"),
        (["--tensors", "--buffers", "--csv"], "--csv writes one table"),
        (["--json", "--csv"], "choose one"),
        (["--type", "int9"], "there is no element type 'int9'"),
        (["--opcodes", "--name", "x"], "--name does not apply to --opcodes"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence_and_exit_2(fixture_copy, arguments: list[str], message: str) -> None:
    result = run(app, ["inspect", str(fixture_copy(SMALL)), *arguments])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_no_model_is_exit_2(tmp_path: Path) -> None:
    result = run(app, ["inspect", str(tmp_path / "none.tflite")])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    (tmp_path / "cut.tflite").write_bytes(ts.dumps(layer())[:200])
    assert run(app, ["inspect", str(tmp_path / "cut.tflite"), "--tensors", "--json"]).exit_code == 2


def test_a_model_on_standard_input() -> None:
    result = run(app, ["inspect", "-", "--operators"], input=ts.dumps(layer()))
    assert result.exit_code == 0
    assert "FULLY_CONNECTED" in result.stdout


def odd(kind: str) -> ts.Model:
    model = layer()
    subgraph = model.subgraphs[0]
    if kind == "names":
        for tensor, name in zip(subgraph.tensors, ("[bold]x[/]", "\x1b[31mred", "\udcff\udcfe", "n" * 3000)):
            tensor.name = name
        model.description = "\x07[red]"
    elif kind == "nothing":
        return ts.Model()
    elif kind == "no vectors":
        model.signature_defs = None
        model.subgraphs = [
            ts.SubGraph(),
            ts.SubGraph(tensors=[], operators=[ts.Operator(opcode=model.operator_codes[0])]),
        ]
    elif kind == "broken references":
        subgraph.operators[0].inputs = [ts.BadReference(99), None]
        subgraph.operators[0].opcode = ts.BadReference(8)
        subgraph.inputs = [ts.BadReference(70)]
        subgraph.tensors[1].buffer = ts.BadReference(1000)
        signature = model.signature_defs[0]
        signature.subgraph = ts.BadReference(4)
        signature.inputs[0].tensor = signature.outputs[0].tensor = ts.BadReference(6)
    elif kind == "unknown numbers":
        subgraph.tensors[0].type = 77
        model.operator_codes[0].builtin_code = 5000
    elif kind == "strange scales":
        quantization = part(model, "input").quantization
        quantization.scale, quantization.zero_point = [float("nan"), float("inf"), 0.0], None
        part(model, "weights").quantization.scale = []
    elif kind == "open shapes":
        part(model, "input").shape, part(model, "input").shape_signature = [-1, 2], [-1, 2]
        part(model, "output").shape = None
    elif kind == "60 outputs":
        subgraph.outputs = [part(model, "output")] * 60
    elif kind == "two subgraphs":
        return two_subgraphs(model, lstm())
    return model


ODD = ("names", "nothing", "no vectors", "broken references", "unknown numbers", "strange scales", "open shapes")


@pytest.mark.parametrize("kind", [*ODD, "60 outputs", "two subgraphs"])
def test_odd_models_are_shown_in_every_way(kind: str, tmp_path: Path) -> None:
    path = saved(odd(kind), tmp_path)
    for chosen in ([], *([f"--{what}"] for what in LISTS)):
        text = inspected(path, *chosen)
        assert "\x1b" not in text
        assert "\x07" not in text
        strict(inspected(path, *chosen, "--json"))
        list(csv.reader(io.StringIO(inspected(path, *chosen, "--csv"))))
    model = ts.load(path)
    for number, subgraph in enumerate(model.subgraphs or ()):
        parts = [f"{number}:{index}" for index in range(len(subgraph.operators or ()))]
        parts += [f"{number}:t{index}" for index in range(len(subgraph.tensors or ()))]
        for target in parts:
            assert "\x1b" not in inspected(path, target)
            strict(inspected(path, target, "--json"))


def on_a_terminal(columns: int, *arguments: str) -> list[str]:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tflite_surgeon", "inspect", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=child,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(columns)},
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
    assert process.wait(timeout=60) == 0
    return re.sub(r"\x1b\[\d*m", "", output.decode().replace("\r\n", "\n")).splitlines()


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("chosen", [[], ["--tensors"], ["--operators"], ["t1"], ["0"]])
def test_a_terminal_is_not_overrun(fixture_copy, columns: int, chosen: list[str]) -> None:
    lines = on_a_terminal(columns, str(fixture_copy(SMALL)), *chosen)
    assert columns - 60 < max(map(len, lines)) <= columns


HEAVY = ("numpy", "rich", "tflite_surgeon.knowledge.kernels", "tflite_surgeon.rules")


@pytest.mark.parametrize("what", ["tensors", "operators", "buffers"])
def test_a_list_as_json_imports_nothing_heavy(fixture_copy, what: str) -> None:
    code = (
        "import contextlib, io, sys\n"
        "from tflite_surgeon.cli import inspecting\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    inspecting.run({str(fixture_copy(SMALL))!r}, inspecting.Wish(lists=[{what!r}], json=True))\n"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_names_options_and_exit_codes() -> None:
    text = " ".join(run(app, ["inspect", "--help"]).stdout.split())
    for expected in ("--tensors", "--opcodes", "--csv", "[SUBGRAPH:]tN", "Exit code: 0, or 2"):
        assert expected in text
