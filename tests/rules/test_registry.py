"""Every rule says where its facts come from and why it matters, and has breakers; unknown names are refused."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests.conditions.families import cases
from tests.rules.breakers import BREAKERS
from tflite_surgeon.edits.repairs.registry import repairs
from tflite_surgeon.rules.registry import rules

CASES = [(name, breaker) for name, breakers in BREAKERS.items() for breaker in breakers]


@pytest.mark.parametrize("name", sorted(rules()))
def test_every_rule_is_documented_and_has_a_breaker(name):
    rule = rules()[name]
    assert rule.name == name
    assert len(rule.source) > 20
    title, *body = rule.explanation.split("\n\n")
    assert title.endswith(".")
    assert rule.title == " ".join(title.split())
    assert len(" ".join(body)) > 80
    assert len(rule.advice) > 10


def test_every_rule_has_a_breaker_or_a_condition():
    tested = {case.rule for case in cases()}
    assert set(BREAKERS) == {name for name, rule in rules().items() if rule.check is not None}
    assert set(rules()) - set(BREAKERS) == tested - set(BREAKERS)


@pytest.mark.parametrize(("name", "breaker"), CASES, ids=[f"{name}:{breaker.name}" for name, breaker in CASES])
def test_breaker(name, breaker):
    model = breaker.make()
    sound = ts.check(model)
    assert [finding.message for finding in sound if finding.severity > ts.Severity.NOTE] == []
    assert name not in {finding.rule for finding in sound}
    breaker.damage(model)
    before = ts.dumps(model, mode="reencode")
    findings = ts.check(model)
    assert [finding.rule for finding in findings if finding not in sound] == [name]
    assert ts.check(model) == findings
    assert ts.dumps(model, mode="reencode") == before
    if name in repairs():
        for keep in ("values", "integers"):
            outcome = ts.fix(model, [name], keep, lossy=True)
            assert list(outcome.remaining) == sound
            assert ts.check(outcome.model) == sound
            assert len(outcome.repairs) == 1
        assert ts.dumps(model, mode="reencode") == before


def test_select_and_targets_must_exist():
    model = BREAKERS["bias-scale"][0].make()
    with pytest.raises(ts.SurgeonError, match=r"no rule 'bias-scael'.*bias-scale"):
        ts.check(model, select=["bias-scael"])
    with pytest.raises(ts.SurgeonError, match=r"no runtime 'onnx'.*tflite-2\.14"):
        ts.check(model, targets=["onnx"])
    with pytest.raises(ts.SurgeonError, match="no rule 'practice'"):
        ts.fix(model, select=["practice"])
    with pytest.raises(ts.SurgeonError, match="no reading 'value'"):
        ts.fix(model, keep="value")


def test_select_runs_only_these():
    model = BREAKERS["bias-scale"][0].make()
    together = ("bias-scale", "missing-signature", "unused-tensor", "unused-buffer")
    for name in together:
        BREAKERS[name][0].damage(model)
    assert {finding.rule for finding in ts.check(model)} == set(together)
    for name in together:
        assert {finding.rule for finding in ts.check(model, select=[name])} == {name}
    assert ts.check(model, select=[]) == []
