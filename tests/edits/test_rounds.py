"""Rounds: what does not help, or does harm, is taken back; nothing is changed but what is written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, part
from tflite_surgeon.edits import engine
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs import registry
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Repair, Target, Wish
from tflite_surgeon.edits.repairs.without import LACKING
from tflite_surgeon.errors import RepairError
from tflite_surgeon.model import compare
from tflite_surgeon.rules.registry import rules

RULE = "bias-scale"


def with_repairs(monkeypatch: pytest.MonkeyPatch, **functions: Callable[[Draft, Target, Wish], Any]) -> None:
    """Let rules be repaired by these functions alone; names with _ for -."""

    def run(function: Callable[[Draft, Target, Wish], Any]) -> registry.Together:
        return lambda draft, targets, wish: [registry.one_by_one(draft, t, wish, function) for t in targets]

    made = {
        name: Repair(name, Phase.BIAS, "", "", run(function))
        for name, function in ((name.replace("_", "-"), function) for name, function in functions.items())
    }
    monkeypatch.setattr(engine, "repairs", lambda: made)


def broken(count: int = 2) -> ts.Model:
    model = builders.chain(count)
    for number in range(count):
        damage(part(model, "bias", number), 3.0)
    return model


def right(draft: Draft, target: Target, wish: Wish) -> Done:
    draft.quantize(target.tensor, scale=list(target.finding.evidence.expected_scales))
    return Done("set right")


def test_a_repair_that_does_not_help_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def useless(draft: Draft, target: Target, wish: Wish) -> Done:
        draft.set(target.tensor, "name", "renamed")
        return Done("renamed")

    with_repairs(monkeypatch, bias_scale=useless)
    model = broken()
    outcome = ts.fix(model, [RULE])
    assert outcome.repairs == ()
    assert outcome.plan.edits == ()
    assert len(outcome.left) == 2
    assert all("did not help" in item.refused.reason for item in outcome.left)
    assert list(compare.changes(model, outcome.model)) == []


def test_a_repair_that_does_harm_is_taken_back_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def harmful(draft: Draft, target: Target, wish: Wish) -> Done:
        right(draft, target, wish)
        if target.finding.operator == 1:
            draft.set(target.operator.role("weights"), "shape", [7])
        return Done("set right")

    with_repairs(monkeypatch, bias_scale=harmful)
    outcome = ts.fix(broken(), [RULE])
    assert [item.finding.operator for item in outcome.repairs] == [0]
    assert [item.finding.operator for item in outcome.left] == [1]
    assert "would have caused this" in outcome.left[0].refused.reason
    assert part(outcome.model, "weights", 1).shape == [3, 3]


def test_what_is_refused_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(draft: Draft, target: Target, wish: Wish) -> Refused:
        right(draft, target, wish)
        return Refused("no")

    with_repairs(monkeypatch, bias_scale=half)
    model = broken()
    assert list(compare.changes(model, ts.fix(model, [RULE]).model)) == []


def test_what_loses_something_has_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(draft: Draft, target: Target, wish: Wish) -> Done:
        right(draft, target, wish)
        return Done("set right", loses="half a quantum")

    with_repairs(monkeypatch, bias_scale=lossy)
    model = broken()
    (left, _) = ts.fix(model, [RULE]).left
    assert "half a quantum" in left.refused.reason
    assert "--lossy" in left.refused.reason
    assert len(ts.fix(model, [RULE], lossy=True).repairs) == 2


def test_a_change_that_is_not_written_down_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def sly(draft: Draft, target: Target, wish: Wish) -> Done:
        target.operator.custom_options = b"sly"
        return right(draft, target, wish)

    with_repairs(monkeypatch, bias_scale=sly)
    with pytest.raises(RepairError, match=r"changed what it did not plan to: subgraphs\[0\].operators\[0\]"):
        ts.fix(broken(), [RULE])


def test_a_finding_that_a_later_repair_brings_back_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(draft: Draft, target: Target, wish: Wish) -> Done:
        draft.set(draft.model, "version", 3)
        bias = draft.model.subgraphs[0].operators[0].role("bias")
        draft.quantize(bias, scale=[builders.scales(bias)[0] * 5])
        return Done("version 3")

    with_repairs(monkeypatch, bias_scale=right, schema_version=version)
    chosen = engine.repairs()
    later = Repair("schema-version", Phase.UPKEEP, "", "", chosen["schema-version"].run)
    monkeypatch.setattr(engine, "repairs", lambda: {**chosen, "schema-version": later})
    model = broken(1)
    model.version = 2
    outcome = ts.fix(model, [RULE, "schema-version"])
    assert [item.finding.rule for item in outcome.repairs] == [RULE]
    assert [item.finding.rule for item in outcome.left] == ["schema-version"]
    assert ts.check(outcome.model, select=[RULE]) == []


def test_what_leaves_a_runtime_worse_off_in_the_end_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(draft: Draft, target: Target, wish: Wish) -> Done:
        draft.set(target.subgraph, "name", "spoilt")
        draft.set(draft.model, "version", 2)
        draft.quantize(target.tensor, zero_point=[0])
        return Done("spoilt")

    with_repairs(monkeypatch, bias_scale=right, bias_zero_point=spoil)
    model = broken(2)
    part(model, "bias", 1).quantization.zero_point = [1]
    outcome = ts.fix(model, [RULE, "bias-zero-point"])
    assert {item.finding.rule for item in outcome.repairs} == {RULE}
    (left,) = outcome.left
    assert left.finding.rule == "bias-zero-point"
    assert "with this one too litert would refuse the model (schema-version)" in left.refused.reason
    assert outcome.model.version == 3


def test_phases_have_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def first(draft: Draft, target: Target, wish: Wish) -> Done:
        seen.append("version")
        draft.set(draft.model, "version", 3)
        return Done("version 3")

    def second(draft: Draft, target: Target, wish: Wish) -> Done:
        seen.append("bias")
        return right(draft, target, wish)

    with_repairs(monkeypatch, bias_scale=second, schema_version=first)
    chosen: dict[str, Repair] = engine.repairs()
    early = Repair("schema-version", Phase.FILE, "", "", chosen["schema-version"].run)
    monkeypatch.setattr(engine, "repairs", lambda: {**chosen, "schema-version": early})
    model = broken(1)
    model.version = 2
    outcome = ts.fix(model)
    assert seen == ["version", "bias"]
    assert ts.check(outcome.model) == []


def test_without_a_choice_notes_and_upkeep_stay() -> None:
    model = builders.chain(1)
    model.signature_defs = None
    assert "missing-signature" in {finding.rule for finding in ts.check(model)}
    assert ts.fix(model).plan.edits == ()


def test_errors_without_a_repair_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with_repairs(monkeypatch, bias_scale=right)
    model = broken(1)
    model.version = 2
    outcome = ts.fix(model)
    (left,) = outcome.left
    assert (left.finding.rule, left.was_tried) == ("schema-version", False)
    assert left.refused.reason


def test_every_repair_has_a_page() -> None:
    known = registry.repairs()
    assert set(known) <= set(rules())
    assert all(repair.does.endswith(".") for repair in known.values())
    assert all(not repair.lacks or repair.lacks.endswith(".") for repair in known.values())


def test_every_rule_is_repaired_or_says_what_the_file_lacks() -> None:
    assert set(LACKING) == set(rules()) - set(registry.repairs())
    assert all(registry.lacking(name) for name in LACKING)


def test_the_list_of_repairs_is_what_modules_declare() -> None:
    assert all(repair.rule == name for name, repair in registry.repairs().items())
    with pytest.raises(ValueError, match="missing from the list"):
        registry.repair("no-such-rule", Phase.FILE, "")(right)
