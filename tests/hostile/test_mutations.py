"""A slice of the damage that mutate.py does: a model loads, or a SurgeonError says why; never anything else."""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.hostile import mutate

VARIANTS = 3000
PARTS = 6
SEED = 20


@cache
def found() -> tuple[mutate.Base, ...]:
    models = os.environ.get("TFLITE_SURGEON_MODELS")
    return tuple(mutate.bases(Path(models) if models else None))


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_models_load_or_say_why(part: int) -> None:
    tally = mutate.run(found(), SEED, range(part * VARIANTS // PARTS, (part + 1) * VARIANTS // PARTS))
    assert tally.faults == [], "\n\n".join(f"number {f.number}, {f.what}\n{f.trace}" for f in tally.faults[:3])
    judged = sum(tally.results.values())
    assert judged == VARIANTS // PARTS
    refused = tally.results["refused"]
    assert judged * 0.1 < refused < judged * 0.9, "damage that is always or never noticed tests little"
    assert tally.slowest[0][0] < 10


@pytest.mark.parametrize("build", samples.BUILDERS.values(), ids=samples.BUILDERS)
def test_any_single_byte_may_be_anything(build) -> None:
    """Each byte of the tables in turn, with the values that most often mean trouble."""
    raw = ts.dumps(build())
    dice = random.Random(5)
    for at in range(0, len(raw), 2):
        for value in (0xFF, dice.randrange(256)):
            mutate.examine(raw[:at] + bytes([value]) + raw[at + 1 :])


def test_the_judge_finds_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the judgement: an exception of another kind, a file that comes back changed and one too slow are faults."""
    some = [mutate.dissect("dense", ts.dumps(samples.dense()))]

    def wrong(*_: object) -> None:
        raise IndexError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(ts, "check", wrong, raising=False)
        faults = mutate.run(some, 1, range(40)).faults
        assert faults
        assert {fault.error for fault in faults} == {"IndexError: a bug"}
    with monkeypatch.context() as patched:
        patched.setattr(ts, "dumps", lambda model, mode="auto": b"other", raising=False)
        assert {fault.error[:14] for fault in mutate.run(some, 1, range(40)).faults} == {"AssertionError"}
    with monkeypatch.context() as patched:
        patched.setattr(mutate, "SECONDS", 0.05)
        patched.setattr(ts, "check", lambda model: mutate.time.sleep(1), raising=False)
        assert "TimeoutError" in mutate.run(some, 1, range(8)).faults[0].error


def test_a_variant_depends_on_its_number_alone() -> None:
    some = list(found())[:4]
    assert mutate.variant(some, 3, 17) == mutate.variant(some, 3, 17)
    assert len({mutate.variant(some, 3, number)[1] for number in range(50)}) > 45
