"""A look after edits, with what the first one learned of nodes that no edit touched, finds what a new one finds."""

from __future__ import annotations

from random import Random

import pytest

import tflite_surgeon as ts
from tests.builders import chain
from tests.knowledge.test_alike import ALL, CHANGES, OPERATORS, three
from tflite_surgeon.edits import rounds
from tflite_surgeon.knowledge.alike import Alikes


def told(findings: object) -> list[str]:
    return [repr(finding) for finding in findings]  # type: ignore[attr-defined]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("kind", ["INT8", "INT16"])
def test_what_remains_is_what_a_check_finds(operator: str, kind: str) -> None:
    random = Random(f"{operator} {kind}")
    repaired = 0
    for _ in range(40):
        model = three(operator, kind, per_channel=True)
        for change in random.choices(CHANGES, k=random.choice((1, 2))):
            made = change(random)
            for number in random.sample(range(3), random.choice((1, 2, 3))):
                made(model.subgraphs[0].operators[number], model)
        try:
            outcome = ts.fix(model, targets=ALL, lossy=True)
        except ts.SurgeonError:
            continue
        repaired += bool(outcome.repairs)
        found = ts.check(outcome.model, ALL)
        assert sorted(told(outcome.remaining)) == sorted(told(found))
    assert repaired > 5


def test_nodes_that_no_edit_touched_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[list[int]] = []
    find, look = Alikes._find, rounds.Rounds._look
    monkeypatch.setattr(Alikes, "_find", lambda self, operator: looked[-1].append(id(operator)) or find(self, operator))
    monkeypatch.setattr(rounds.Rounds, "_look", lambda self: looked.append([]) or look(self))
    model = chain(6)
    bias = model.subgraphs[0].operators[2].role("bias")
    bias.quantization.scale = [2 * scale for scale in bias.quantization.scale]
    outcome = ts.fix_bias_scale(model, keep="integers")
    assert len(outcome.repairs) == 1
    assert [len(set(nodes)) for nodes in looked] == [6, 1]
    assert looked[1][0] == id(outcome.model.subgraphs[0].operators[2])
