"""Prediction is reality: the models on both sides of every condition, in the real interpreters."""

from __future__ import annotations

import pytest

from tests.conditions.case import NAMES, Case, file_of
from tests.conditions.families import cases
from tests.conditions.prediction import disagreement, explaining, predicted
from tests.interpreters import session

pytestmark = pytest.mark.reality

CASES = [case for case in cases() if case.in_reality]


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_prediction_is_reality(case: Case, runtime: str) -> None:
    real = session(runtime)
    for side, make in (("inside", case.inside), ("outside", case.outside)):
        content = make()
        verdict = predicted(content)[runtime]
        run = real.run(file_of(content), seed=None)
        if runtime == "tflm" and verdict.rule == "tensor-index":
            # It reads beside its lists: mostly it dies, and sometimes what lies there is refused.
            assert not run.ok, side
            continue
        assert disagreement(verdict, run) is None, f"{side}: {disagreement(verdict, run)}"
        if run.verdict.startswith("fail:") and verdict.runs is False:
            assert explaining(run.message) == {verdict.rule}, f"{side}: {run.message}"
