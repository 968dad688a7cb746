"""Every model of a collection: read, saved unchanged, written anew, and run as before.

TFLITE_SURGEON_MODELS names the folder, with manifest.jsonl: the models and what each runtime says of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.collection.round_trip import compared, rewritten, unchanged
from tests.interpreters import session

MODELS = os.environ.get("TFLITE_SURGEON_MODELS")
pytestmark = [
    pytest.mark.collection,
    pytest.mark.skipif(MODELS is None, reason="the environment variable TFLITE_SURGEON_MODELS is not set"),
]

Note = Callable[[str, str], None]


def rows() -> list[Any]:
    """The rows of the manifest, each a test of its own."""
    if MODELS is None:
        return [pytest.param(None, id="none")]
    lines = (Path(MODELS) / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [pytest.param(row, id=row["file"]) for row in map(json.loads, lines)]


each_model = pytest.mark.parametrize("row", rows())


@pytest.fixture
def note(row: dict[str, Any], record_property: Callable[[str, object], None]) -> Note:
    """Counts an outcome of a check in the summary."""
    return lambda check, outcome: record_property("round trip", (check, outcome, row["file"]))


def read(row: dict[str, Any]) -> bytes:
    assert MODELS is not None
    return (Path(MODELS) / row["file"]).read_bytes()


def is_constructed(row: dict[str, Any]) -> bool:
    """Whether some runtime makes an interpreter of it; tflm constructs and allocates in one step."""
    verdicts = {name: runtime["verdict"] for name, runtime in row["runtimes"].items()}
    tflm = verdicts.pop("tflm", "fail:allocate")
    return tflm != "fail:allocate" or any(verdict != "fail:construct" for verdict in verdicts.values())


def loaded_or_skipped(row: dict[str, Any]) -> bytes:
    raw = read(row)
    try:
        ts.loads(raw)
    except ts.SurgeonError as error:
        if is_constructed(row):
            raise
        pytest.skip(f"no runtime constructs it, and it does not load: {error}")
    return raw


@each_model
def test_what_a_runtime_constructs_loads(row: dict[str, Any], note: Note) -> None:
    try:
        model = ts.loads(read(row))
    except ts.SurgeonError:
        note("load", "refused, as by every runtime")
        assert not is_constructed(row)
        return
    assert sum(1 for _ in model.nodes()) == row["operators"]
    note("load", "loads")


@each_model
def test_unchanged_it_keeps_every_byte(row: dict[str, Any], note: Note) -> None:
    unchanged(loaded_or_skipped(row))
    note("save unchanged", "identical")


@each_model
def test_written_anew_it_is_an_equal_model(row: dict[str, Any], note: Note) -> None:
    raw = loaded_or_skipped(row)
    written = rewritten(raw)
    note("write anew", "equal")
    note("write anew", "larger" if len(written) > len(raw) else "not larger")


@pytest.mark.parametrize("runtime", ["litert", "litert-no-delegate", "tflite-2.14", "tflm"])
@each_model
def test_written_anew_it_runs_as_before(row: dict[str, Any], runtime: str, note: Note) -> None:
    interpreter = session(runtime)
    raw = loaded_or_skipped(row)
    written = ts.dumps(ts.loads(raw), "reencode")
    comparison = compared(interpreter, raw, written)
    note(runtime, f"{comparison.outcome} ({comparison.verdict})")
    if comparison.outcome != "equal":
        pytest.skip(f"the unmodified model {comparison.outcome}: {comparison.verdict}")
