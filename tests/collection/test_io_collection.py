"""Every model of a collection: its inputs and outputs as the real interpreter has them before allocation, its ranges.

TFLITE_SURGEON_MODELS names the folder, with manifest.jsonl.
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests import builders
from tests.interpreters import session
from tflite_surgeon.cli.app import app
from tflite_surgeon.runtime import TensorDetail
from tflite_surgeon.views.tensors import is_constant

MODELS = os.environ.get("TFLITE_SURGEON_MODELS")
pytestmark = [
    pytest.mark.collection,
    pytest.mark.skipif(MODELS is None, reason="the environment variable TFLITE_SURGEON_MODELS is not set"),
]
run = CliRunner().invoke
LANGUAGES = ("python", "java", "kotlin", "c")


def files() -> list[Any]:
    if MODELS is None:
        return [pytest.param("", id="none")]
    lines = (Path(MODELS) / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [pytest.param(json.loads(line)["file"]) for line in lines]


@pytest.fixture
def path(file: str) -> Path:
    """The model's path; a file that is no model is refused by both commands, in a sentence."""
    found = Path(str(MODELS)) / file
    try:
        ts.load(found)
    except ts.SurgeonError:
        for command in ("io", "ranges"):
            result = run(app, [command, str(found)])
            assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        pytest.skip("it is no model")
    return found


each_model = pytest.mark.parametrize("file", files())


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=pytest.fail)


@each_model
def test_inputs_and_outputs_are_those_of_the_interpreter_before_allocation(path: Path) -> None:
    result = run(app, ["io", str(path), "--json"])
    assert result.exit_code == 0
    found = strict(result.stdout)
    made = session("litert-no-delegate").run(path, invoke=False, allocate=False)
    if made.verdict != "ok":
        pytest.skip(f"the interpreter does not load it: {made.message}")
    for ports, details in ((found["inputs"], made.inputs), (found["outputs"], made.output_details)):
        assert len(ports) == len(details)
        for port, detail in zip(ports, details):
            assert_same(port, detail)


def assert_same(port: dict[str, Any], detail: TensorDetail) -> None:
    quantization = port["quantization"] or {"scales": [], "zero_points": [], "quantized_dimension": 0}
    assert port["name"] == detail.name
    assert port["dtype"] == ("string" if detail.dtype == "bytes" else detail.dtype)
    assert tuple(port["shape"]) == detail.shape
    assert tuple(port["shape_signature"]) == detail.shape_signature
    assert tuple(quantization["scales"]) == detail.scales
    assert tuple(quantization["zero_points"]) == detail.zero_points
    assert quantization["quantized_dimension"] == detail.quantized_dimension
    if detail.dtype == "bytes" or -1 in detail.shape_signature:
        assert port["bytes"] is None
    else:
        assert port["bytes"] == np.dtype(detail.dtype).itemsize * np.prod(detail.shape, dtype=np.int64)


@each_model
def test_the_text_and_the_code_are_written(path: Path) -> None:
    for options in ([], *(["--code", language] for language in LANGUAGES)):
        result = run(app, ["io", str(path), *options])
        assert result.exit_code == 0, result.output
        assert result.stdout
        assert "\x1b" not in result.stdout


@each_model
def test_ranges_are_written_and_are_those_of_the_values(path: Path) -> None:
    rows = strict(run(app, ["ranges", str(path), "--json"]).stdout)["tensors"]
    lines = list(csv.DictReader(io.StringIO(run(app, ["ranges", str(path), "--csv"]).stdout)))
    text = run(app, ["ranges", str(path)])
    assert text.exit_code == 0
    assert "\x1b" not in text.stdout
    model = ts.load(path)
    tensors = [tensor for graph in model.subgraphs or () for tensor in graph.tensors or ()]
    assert len(rows) == len(lines) == len(tensors)
    for row, tensor in zip(rows, tensors):
        quantization = tensor.quantization
        recorded = quantization is not None and quantization.min and quantization.max
        assert (row["recorded"] is not None) == bool(recorded)
        assert (row["values"] is not None or row["unread"] is not None) == is_constant(tensor)
        if row["values"] is not None and tensor.sparsity is None:
            assert row["values"] == pytest.approx(list(real_range(tensor)), rel=1e-12)


def real_range(tensor: ts.Tensor) -> tuple[float, float]:
    """The least and the greatest value, all at once."""
    values = np.asarray(tensor.values())
    if tensor.type_name == "BFLOAT16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    quantization = tensor.quantization
    if values.dtype.kind in "iu" and tensor.type_name != "BFLOAT16" and quantization is not None and quantization.scale:
        axis = quantization.quantized_dimension if values.ndim > 1 else 0
        values = builders.real(tensor, values, axis=axis)
    return float(np.nanmin(values)), float(np.nanmax(values))


@each_model
def test_it_shows_itself_in_a_notebook(path: Path) -> None:
    model = ts.load(path)
    tables = [model._repr_html_(), *(graph._repr_html_() for graph in model.subgraphs or ())]
    tables += [tensor._repr_html_() for graph in model.subgraphs or () for tensor in graph.tensors or ()]
    for html in tables:
        assert html.startswith("<table>")
        assert len(html) < 20_000
