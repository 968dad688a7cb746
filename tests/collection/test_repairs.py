"""Damaged models are repaired wherever the damage left the information in the file, and compute what their bases do.

`python -m tests.collection.repairs` prints the table.
"""

from __future__ import annotations

import functools
import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests.collection.agreement import content, folder, rows
from tests.collection.repairs import OPEN, REFUSED, REPAIRED, SAME, UNREADABLE, Result, damaged, repair
from tests.conditions.families import cases
from tests.edits.not_repaired import NOT_REPAIRED
from tflite_surgeon.edits.repairs.registry import repairs

CONDITIONS = os.environ.get("TFLITE_SURGEON_CONDITIONS")
needs_models = pytest.mark.skipif(
    "TFLITE_SURGEON_MODELS" not in os.environ, reason="the environment variable TFLITE_SURGEON_MODELS is not set"
)
pytestmark = pytest.mark.collection

# Kinds of damage by which bytes are gone, or changed without a trace: nobody can tell what they were.
LOST = ("flip_bytes", "header_root", "truncate")
# Of every other kind.
LEAST = 0.8
# Damaged models in which what was there before is told by nothing: most of them are as sound as they were.
UNTOLD = {
    "dtln_noise_suppression__09_weight_zero_point.tflite": "the kernel computes with the zero point that is there now",
    "mnist_quantized__08_zero_point_value.tflite": "one zero point in range is as good as another",
    "split_concat__03_same_zero_point.tflite": "the kernel converts to the zero point that is there now",
    "split_concat__09_same_scale_other.tflite": "the kernel converts to the scale that is there now",
    "add_quantized_int8__07_tensor_dtype.tflite": "an addition of INT64 is as sound as one of INT8",
    "strided_slice0__01_buffer_index.tflite": "the other constant is of the same length",
    "partly_quantized_mnist__06_shape_dim.tflite": "no rows at all are a shape too",
    "kws_ref_model_float32__03_scale_nan.tflite": "nothing else is in the unit of weights beside floats",
    "kws_ref_model_float32__09_scale_zero.tflite": "nothing else is in the unit of weights beside floats",
    "mnist_quantized__07_scale_negative.tflite": "with integers of the other sign it is right: the user chooses",
    "model_ToyCar_quant__05_scale_negative.tflite": "the same",
}


@functools.cache
def results() -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = defaultdict(list)
    for row in damaged():
        result = repair(row)
        found[result.kind].append(result)
    return found


def is_good(result: Result) -> bool:
    return result.outcome in (REPAIRED, SAME)


def is_lost(result: Result) -> bool:
    """The bytes are gone, the file cannot be read, or nothing tells what was there."""
    return result.kind in LOST or result.outcome == UNREADABLE or result.row["file"] in UNTOLD


@needs_models
@pytest.mark.parametrize("kind", ["bias_scale_down", "bias_scale_mul", "bias_scale_set", "bias_scale_up", "op_version"])
def test_all_of_these_are_as_their_bases(kind: str) -> None:
    assert results()[kind]
    assert [(r.row["file"], r.quanta, r.why) for r in results()[kind] if not is_good(r) or r.quanta > 0] == []


@needs_models
def test_a_wrong_weights_scale_is_restored() -> None:
    """The two that are not were changed by less than layers differ among themselves: nothing can tell them."""
    mine = results()["weight_scale_up_vs_bias"]
    assert sum(map(is_good, mine)) >= 8
    assert {r.outcome for r in mine if not is_good(r)} <= {OPEN}


@needs_models
def test_of_all_other_kinds_most_are_repaired() -> None:
    kinds = {kind: [r for r in mine if not is_lost(r)] for kind, mine in results().items() if kind not in LOST}
    all_of_them = [result for mine in kinds.values() for result in mine]
    assert len(all_of_them) > 250
    assert sum(map(is_good, all_of_them)) >= 0.9 * len(all_of_them)
    poor = {kind for kind, mine in kinds.items() if sum(map(is_good, mine)) < LEAST * len(mine)}
    assert poor == set()


@needs_models
def test_what_nothing_tells_is_not_made_up() -> None:
    """They are left as they are, or the person is asked, or one thing that is certainly wrong is corrected."""
    found = {r.row["file"]: r for mine in results().values() for r in mine if r.row["file"] in UNTOLD}
    assert set(found) == set(UNTOLD)
    assert {name: r.repaired for name, r in found.items() if r.repaired} == {
        "strided_slice0__01_buffer_index.tflite": ["output-shape"]
    }


@needs_models
def test_what_is_refused_or_open_says_why() -> None:
    silent = [r.row["file"] for mine in results().values() for r in mine if r.outcome in (REFUSED, OPEN) and not r.why]
    assert silent == []


@needs_models
def test_repaired_twice_is_repaired_once() -> None:
    changed = {}
    for row in damaged():
        try:
            first = ts.fix(ts.loads(content(row)))
        except ts.SurgeonError:
            continue
        again = ts.fix(ts.loads(ts.dumps(first.model)))
        if again.plan.edits:
            changed[row["file"]] = [edit.path for edit in again.plan.edits]
    assert changed == {}


@needs_models
def test_sound_models_stay_as_they_are() -> None:
    """Where LiteRT runs a model and nothing says that its numbers are wrong, nothing is repaired."""
    touched = {}
    for row in rows():
        if "patches" in row or any(
            row["runtimes"].get(mode, {}).get("verdict") != "ok" for mode in ("litert_default", "litert_nodelegate")
        ):
            continue
        model = ts.loads((folder() / row["file"]).read_bytes())
        outcome = ts.fix(model)
        if outcome.plan.edits and not any(f.severity == ts.Severity.ERROR for f in ts.check(model)):
            touched[row["file"]] = [item.finding.message for item in outcome.repairs]
    assert touched == {}


@pytest.mark.skipif(CONDITIONS is None, reason="the environment variable TFLITE_SURGEON_CONDITIONS is not set")
@pytest.mark.parametrize(("kind", "least"), [("yes", 85), ("lossy", 70)])
def test_conditions_that_can_be_repaired_are(kind: str, least: int) -> None:
    """TFLITE_SURGEON_CONDITIONS names a file with a condition in each line: its id, and whether it can be repaired."""
    assert CONDITIONS is not None
    known, by_condition = repairs(), defaultdict(list)
    for case in cases():
        by_condition[case.name.partition("/")[0]].append(case.rule in known and case.name not in NOT_REPAIRED)
    lines = map(json.loads, Path(CONDITIONS).read_text(encoding="utf-8").splitlines())
    wanted = [row["id"] for row in lines if row["auto_fixable"] == kind]
    repaired = [name for name in wanted if by_condition[name] and all(by_condition[name])]
    assert len(repaired) >= least, sorted(set(wanted) - set(repaired))
