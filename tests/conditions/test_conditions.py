"""Outside a condition there is exactly its finding; inside there is none."""

from __future__ import annotations

from collections import Counter

import pytest

import tflite_surgeon as ts
from tests.conditions.case import NAMES, Case, model_of
from tests.conditions.families import cases
from tests.conditions.prediction import predicted

CASES = cases()
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_names_are_unique() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@each_case
def test_the_finding_is_there_outside_only(case: Case) -> None:
    inside = [finding for finding in ts.check(model_of(case.inside()), NAMES) if finding.rule == case.rule]
    assert inside == [], "inside"
    expected = {name: case.effects.get(name, "ok") for name in NAMES}
    content = case.outside()
    try:
        model = model_of(content)
    except ts.SurgeonError:  # There is nothing to check, and one verdict on all such files.
        effects = {False: "refuses", None: "unknown"}
        for name, verdict in predicted(content).items():
            assert (verdict.rule, effects.get(verdict.loads)) == (case.rule, expected[name]), name
        return
    outside = [finding for finding in ts.check(model, NAMES) if finding.rule == case.rule]
    assert len(outside) == 1, outside
    assert dict(outside[0].runtimes) == expected, outside[0].message


@each_case
def test_nothing_else_is_found_inside(case: Case) -> None:
    """Nothing that a runtime accepts inside is held against it, whatever the rule."""
    for name, verdict in predicted(case.inside()).items():
        if case.effects.get(name, "ok") in ("refuses", "crashes"):
            assert (verdict.loads, verdict.runs) == (True, True), (name, verdict)
