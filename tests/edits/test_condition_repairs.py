"""Every condition whose rule has a repair: the model outside it is repaired, and then is as good as the one inside."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests.conditions.case import NAMES, Case, file_of, model_of
from tests.conditions.families import cases
from tests.edits.not_repaired import NOT_REPAIRED
from tests.interpreters import session
from tflite_surgeon.edits.engine import Outcome
from tflite_surgeon.edits.repairs.registry import repairs
from tflite_surgeon.rules.registry import rules
from tflite_surgeon.rules.verdicts import Verdict

CASES = [case for case in cases() if case.rule in repairs()]
REPAIRED = [case for case in CASES if case.name not in NOT_REPAIRED]
each_repaired = pytest.mark.parametrize("case", REPAIRED, ids=lambda case: case.name)


def repaired(case: Case) -> Outcome:
    # Upkeep is done only where a person asks for it.
    select = [case.rule] if rules()[case.rule].is_hygiene else None
    return ts.fix(model_of(case.outside()), select, undecided="values", targets=NAMES, lossy=True)


def standing(verdict: Verdict) -> int:
    """How far a model comes."""
    if verdict.loads is False:
        return 0
    return 1 if verdict.runs is False or verdict.crashes else 2 if verdict.wrong_numbers else 3


def errors(findings: object) -> set[tuple[str, int | None, str | None]]:
    return {(f.rule, f.subgraph, f.operator_name) for f in findings if f.severity == ts.Severity.ERROR}


@each_repaired
def test_the_finding_goes_and_nothing_worse_comes(case: Case) -> None:
    before = model_of(case.outside())
    outcome = repaired(case)
    assert outcome.repairs, [(item.finding.rule, item.refused.reason) for item in outcome.left]
    assert case.rule not in {finding.rule for finding in outcome.remaining}
    sound = errors(ts.check(model_of(case.inside()), NAMES))
    assert errors(outcome.remaining) <= sound | errors(ts.check(before, NAMES))
    first, then, inside = (ts.verdicts(m) for m in (before, outcome.model, model_of(case.inside())))
    for name in NAMES:
        assert standing(then[name]) >= min(standing(inside[name]), 3 if name in case.effects else standing(first[name]))


@each_repaired
def test_repaired_once_it_stays_as_it_is(case: Case) -> None:
    fixed = ts.loads(ts.dumps(repaired(case).model))
    again = ts.fix(fixed, undecided="values", targets=NAMES, lossy=True)
    assert again.plan.edits == ()


@pytest.mark.parametrize("case", [c for c in CASES if c.name in NOT_REPAIRED], ids=lambda case: case.name)
def test_what_is_refused_is_left_as_it_is(case: Case) -> None:
    model = model_of(case.outside())
    outcome = ts.fix(model, [case.rule], undecided="values", targets=NAMES, lossy=True)
    assert outcome.plan.edits == ()
    assert [item.refused.reason for item in outcome.left if item.finding.rule == case.rule] != []


def test_not_repaired_names_cases() -> None:
    assert set(NOT_REPAIRED) <= {case.name for case in CASES}


@pytest.mark.reality
@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("case", [c for c in REPAIRED if c.in_reality], ids=lambda case: case.name)
def test_it_runs_where_the_sound_one_does(case: Case, runtime: str) -> None:
    real = session(runtime)
    sound = real.run(file_of(case.inside()), seed=None)
    fixed = real.run(ts.dumps(repaired(case).model), seed=None)
    assert fixed.ok or not sound.ok, fixed.message
