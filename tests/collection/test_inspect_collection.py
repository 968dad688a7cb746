"""Every model of a collection inspected in every way, and its numbers beside the real interpreters' own.

Before allocation: shapes, types, scales, zero points and byte sizes of every tensor. TFLITE_SURGEON_MODELS names the
folder, with manifest.jsonl.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.collection.test_round_trip import MODELS, each_model, pytestmark  # noqa: F401 (marks this module too)
from tests.interpreters import session
from tests.views.beside_interpreter import compare
from tflite_surgeon.cli.app import app
from tflite_surgeon.views.filters import LISTS
from tflite_surgeon.views.listing import list_tensors
from tflite_surgeon.views.sizes import sizes

run = CliRunner().invoke
# Parts of a model that are shown in full; the first, the last and some between.
_PARTS = 3
_LARGE = 64 << 20


def path_of(row: dict[str, Any]) -> Path:
    assert MODELS is not None
    return Path(MODELS) / row["file"]


def loaded(row: dict[str, Any]) -> ts.Model:
    try:
        return ts.load(path_of(row))
    except ts.SurgeonError as error:
        pytest.skip(f"does not load: {error}")


@each_model
@pytest.mark.parametrize("runtime", ["litert", "tflite-2.14"])
def test_tensors_agree_with_the_interpreter(row: dict[str, Any], runtime: str) -> None:
    with loaded(row) as model:
        rows = list_tensors(model)
    told = session(runtime).run(path_of(row), invoke=False, allocate=False)
    if not told.ok:
        pytest.skip(f"is not constructed: {told.message[:100]}")
    assert compare(rows, told, runtime) >= sum(found.subgraph == 0 for found in rows)


@each_model
def test_every_way_of_inspecting_works(row: dict[str, Any]) -> None:
    path = str(path_of(row))
    model = loaded(row)
    with model:
        found = sizes(model)
        everything = (found.weights, found.biases, found.constants, found.metadata, found.graph, found.padding)
        extra = (found.associated_files, found.compiled, found.waste)
        assert sum(size or 0 for size in (*everything, *extra)) == found.file
        targets = _targets(model)
    for chosen in ([], *([f"--{what}"] for what in LISTS), *([target] for target in targets)):
        for form in ([], ["--json"], ["--csv"]):
            result = run(app, ["inspect", path, *chosen, *form])
            assert (result.exit_code, result.stderr, result.exception) == (0, "", None), (chosen, form)
            assert "\x1b" not in result.stdout
            if form == ["--json"]:
                json.loads(result.stdout, parse_constant=_refuse)


def _targets(model: ts.Model) -> list[str]:
    if model.source is not None and len(model.source.raw) > _LARGE:
        return []
    result = []
    for number, subgraph in enumerate(model.subgraphs or ()):
        for letter, items in (("", subgraph.operators or ()), ("t", subgraph.tensors or ())):
            step = max(1, len(items) // _PARTS)
            result += [f"{number}:{letter}{index}" for index in range(0, len(items), step)]
    return result[: 3 * _PARTS]


def _refuse(constant: str) -> float:
    raise AssertionError(f"not strict JSON: {constant}")


# Howard et al. 2017, table 6: 41 million multiply-adds and half a million parameters at width 0.25.
def test_a_known_architecture_counts_as_published() -> None:
    assert MODELS is not None
    path = next(Path(MODELS).rglob("mobilenet_v1_0.25_224_quant*.tflite"), None)
    if path is None:
        pytest.skip("the collection has no MobileNet of this width")
    found = json.loads(run(app, ["inspect", str(path), "--json"]).stdout)
    assert found["macs"] == pytest.approx(41e6, rel=0.03)
    assert found["parameters"] == pytest.approx(0.47e6, rel=0.05)
