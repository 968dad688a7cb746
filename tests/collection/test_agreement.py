"""Predictions beside what runtimes were recorded to do, over all models and all damaged ones.

`python -m tests.collection.agreement` shows each disagreement.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.collection.agreement import MODES, Comparison, cause, compare_all, content, folder, rows
from tests.conditions.families import cases
from tests.interpreters import session

CONDITIONS = os.environ.get("TFLITE_SURGEON_CONDITIONS")
needs_models = pytest.mark.skipif(
    "TFLITE_SURGEON_MODELS" not in os.environ, reason="the environment variable TFLITE_SURGEON_MODELS is not set"
)
pytestmark = pytest.mark.collection

# How often each must agree, of what was predicted; and how much may be left open.
LEAST = {"loads": 0.99, "node": 0.98, "rule": 0.98, "runs": 0.97, "crashes": 0.97}
MOST_UNKNOWN = 0.05

# Undamaged models whose findings of severity error are true though a runtime computes with them, with the evidence.
_ZEROS = "BATCH_MATMUL takes no scale for each channel: every output is 0, whatever the input"
_BITS = "CONV_2D reads INT2 weights as floats: outputs are NaN, or the same for every input"
KNOWN_WRONG = {
    "google-ai-edge+LiteRT/static_w8_a16_quantized_q_einsum.tflite": _ZEROS,
    "google-ai-edge+LiteRT/static_w8_a16_quantized_attn_vec_einsum.tflite": _ZEROS,
    "derived/conv_fc_mnist__dynamic_wi2c_afp32.tflite": _BITS,
    "derived/pretrainedResnet__dynamic_wi2c_afp32.tflite": _BITS,
    "derived/vww_96_float__dynamic_wi2c_afp32.tflite": _BITS,
}


@functools.cache
def compared() -> tuple[Comparison, ...]:
    return tuple(compare_all())


@needs_models
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LEAST)
def test_predictions_agree(mode: str, name: str) -> None:
    answers = [getattr(one, name) for one in compared() if one.mode == mode and getattr(one, name) is not None]
    off = [
        (one.file, one.message, one.verdict) for one in compared() if one.mode == mode and getattr(one, name) is False
    ]
    assert len(answers) > 50
    assert answers.count(True) >= LEAST[name] * len(answers), off


@needs_models
@pytest.mark.parametrize("mode", MODES)
def test_little_is_left_open(mode: str) -> None:
    mine = [one for one in compared() if one.mode == mode]
    assert sum(one.is_unknown for one in mine) < MOST_UNKNOWN * len(mine)


@needs_models
def test_every_difference_has_a_cause() -> None:
    names = ("loads", "node", "rule", "runs", "crashes")
    unexplained = [
        (one.mode, one.file, one.message, one.verdict)
        for one in compared()
        if any(getattr(one, name) is False for name in names) and cause(one) == "not known"
    ]
    assert unexplained == []


@needs_models
def test_nothing_that_loads_and_runs_is_called_broken() -> None:
    alarms = [
        (one.mode, one.file, one.verdict)
        for one in compared()
        if one.recorded == "ok" and (one.verdict.loads is False or one.verdict.runs is False or one.verdict.crashes)
    ]
    assert alarms == []


@needs_models
def test_errors_on_undamaged_models_are_true() -> None:
    """An error on a model that both ways of running LiteRT load and run says that its numbers are wrong."""
    found = {}
    for row in rows():
        recorded = [row["runtimes"].get(mode, {}).get("verdict") for mode in ("litert_default", "litert_nodelegate")]
        if "patches" in row or recorded != ["ok", "ok"]:
            continue
        errors = [f for f in ts.check(ts.loads(content(row))) if f.severity == ts.Severity.ERROR]
        if errors:
            found[row["file"]] = [(f.rule, f.path, f.message) for f in errors]
    assert set(found) == set(KNOWN_WRONG), found


@needs_models
@pytest.mark.parametrize("file", KNOWN_WRONG)
def test_numbers_of_the_known_ones_are_wrong(file: str) -> None:
    """The output is not a number, or does not depend on the input."""
    data = (folder() / file).read_bytes()
    first, second = (session("litert").run(data, seed=seed).outputs[0][0] for seed in (1, 2))
    assert np.isnan(first).any() or np.array_equal(first, second)


@pytest.mark.skipif(CONDITIONS is None, reason="the environment variable TFLITE_SURGEON_CONDITIONS is not set")
def test_every_confirmed_condition_has_a_case() -> None:
    """TFLITE_SURGEON_CONDITIONS names a file with a condition in each line: its id, and whether it was confirmed."""
    assert CONDITIONS is not None
    wanted = {
        row["id"]
        for row in map(json.loads, Path(CONDITIONS).read_text(encoding="utf-8").splitlines())
        if row["confirmed"]
    }
    have = {case.name.partition("/")[0] for case in cases()}
    assert wanted - have - set(WITHOUT_A_FINDING) == set()


# Confirmed conditions that state that something is accepted and right: there is nothing to find outside them.
WITHOUT_A_FINDING = {
    "opcode-deprecated-only": "a code below 127 in the old field alone is read as it was meant",
    "shape-stored-ignored": "LiteRT computes the shape anew; where TFLM believes it, the rule is stored-shape",
    "fc-int16-zp-tflm": "the kernel uses the zero points as the file says",
}
