"""Every model of a collection: equal to itself however it is numbered, and an operator more or less is one difference.

TFLITE_SURGEON_MODELS names the folder, with manifest.jsonl.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.collection.test_round_trip import MODELS, each_model, loaded_or_skipped, rows
from tests.views.test_difference import inserted, shuffled, told
from tflite_surgeon.cli.app import app
from tflite_surgeon.report.outline import outline_lines
from tflite_surgeon.views.diff.outline import outline

pytestmark = [
    pytest.mark.collection,
    pytest.mark.skipif(MODELS is None, reason="the environment variable TFLITE_SURGEON_MODELS is not set"),
]
run = CliRunner().invoke


@each_model
def test_renumbered_and_written_anew_it_is_the_same_model(row: dict[str, Any]) -> None:
    model = ts.loads(loaded_or_skipped(row))
    other = ts.loads(ts.dumps(shuffled(model), "reencode"))
    assert told(model, other) == []
    assert told(other, model) == []
    texts = [sorted(outline_lines(outline(each))) for each in (model, other)]
    assert texts[0] == texts[1]  # Sorted: subgraphs stand in another order.


@each_model
def test_an_operator_more_or_less_is_one_difference(row: dict[str, Any]) -> None:
    model = ts.loads(loaded_or_skipped(row))
    source = random.Random(row["file"])
    places = [
        (node.subgraph_index, node.index, position)
        for node in model.nodes()
        for position, item in enumerate(node.operator.inputs or ())
        if isinstance(item, ts.Tensor) and not item.data
    ]
    for subgraph, number, position in source.sample(places, min(3, len(places))):
        after = model.copy()
        after.buffers = after.buffers or [ts.Buffer()]
        inserted(after, number, position, subgraph)
        after = shuffled(after)
        assert told(model, after) == [("operator", "added", "RELU")]
        assert told(after, model) == [("operator", "removed", "RELU")]


@each_model
def test_the_command_compares_it_with_another_one(row: dict[str, Any]) -> None:
    """With its neighbour in the manifest, which is often a variant of it; as text, as JSON, and both ways."""
    loaded_or_skipped(row)
    files = [each.values[0]["file"] for each in rows()]
    assert MODELS is not None
    other = files[files.index(row["file"]) - 1]
    paths = [str(Path(MODELS) / name) for name in (row["file"], other)]
    try:
        ts.load(paths[1])
    except ts.SurgeonError:
        paths[1] = paths[0]
    text, back = run(app, ["diff", *paths, "--all"]), run(app, ["diff", *paths[::-1], "--json"])
    for result in (text, back):
        assert result.exit_code in (0, 1), result.output
        assert isinstance(result.exception, (SystemExit, type(None)))
    assert text.exit_code == back.exit_code
    assert "\x1b" not in text.stdout
    report = json.loads(back.stdout, parse_constant=pytest.fail)
    assert bool(report["differences"]) == (text.exit_code == 1)


@each_model
def test_textconv(row: dict[str, Any]) -> None:
    loaded_or_skipped(row)
    result = run(app, ["textconv", str(Path(str(MODELS)) / row["file"])])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("model")
