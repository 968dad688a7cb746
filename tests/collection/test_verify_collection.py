"""A sample of a collection: a model beside itself differs nowhere, and a sound quantised one computes what it says.

TFLITE_SURGEON_MODELS names the folder, with manifest.jsonl.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.interpreters import session
from tflite_surgeon.verification.comparing import VerifySettings, verify
from tflite_surgeon.views.tensors import is_constant, is_quantized

MODELS = os.environ.get("TFLITE_SURGEON_MODELS")
pytestmark = [
    pytest.mark.collection,
    pytest.mark.skipif(MODELS is None, reason="the environment variable TFLITE_SURGEON_MODELS is not set"),
]
MODE = "litert-no-delegate"
# Every third one below a megabyte: a run of the copy in real numbers takes seconds for larger ones.
STEP = 3
LARGEST = 1 << 20
# Rounding that adds up, of int8 in ten layers behind each other.
LEAST_SNR = 17.0
FEW_QUANTA = 4.0


def files() -> list[Any]:
    if MODELS is None:
        return [pytest.param("", id="none")]
    lines = (Path(MODELS) / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    names = [json.loads(line)["file"] for line in lines]
    small = [name for name in names if (Path(MODELS) / name).stat().st_size < LARGEST]
    return [pytest.param(name) for name in small[::STEP]]


def activations_are_quantised(model: ts.Model) -> bool:
    return any(is_quantized(tensor) and not is_constant(tensor) for tensor in model.subgraphs[0].tensors or ())


@pytest.mark.parametrize("file", files())
def test_a_model_beside_itself(file: str) -> None:
    session(MODE)  # Skips where it is missing.
    try:
        model = ts.load(Path(str(MODELS)) / file)
    except ts.SurgeonError:
        pytest.skip("it is no model")
    with model:
        found = verify(model, model, VerifySettings([MODE], runs=1, all_tensors=True, meaning=True))
        (result,) = found.modes
        if not result.before.ok:
            assert result.after.verdict == result.before.verdict
            pytest.skip(f"the interpreter does not run it: {result.before.verdict}")
        assert result.comparison is not None
        assert all(item.difference.is_equal for item in (*result.comparison.outputs, *result.comparison.tensors))
        assert result.comparison.departs is None
        meaning = result.after_meaning
        assert meaning is not None
        if meaning.problem is not None:
            pytest.skip(meaning.problem)
        if ts.verdicts(model)[MODE].wrong_numbers is not False or not activations_are_quantised(model):
            return
        for item in meaning.outputs:
            far = item.difference.max_quanta
            assert far is None or far <= FEW_QUANTA or (item.difference.snr or 0.0) >= LEAST_SNR, item
