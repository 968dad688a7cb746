"""Predictions beside what an interpreter does."""

from __future__ import annotations

from typing import NamedTuple

import tflite_surgeon as ts
from tests.conditions.case import Content, model_of
from tflite_surgeon.rules.registry import rules
from tflite_surgeon.rules.verdicts import Verdict, unreadable
from tflite_surgeon.runtime import Run


def predicted(content: Content) -> dict[str, Verdict]:
    try:
        model = model_of(content)
    except ts.SurgeonError as error:
        return unreadable(str(error))
    return ts.verdicts(model)


class Reality(NamedTuple):
    """What a runtime did: as in a verdict."""

    loads: bool
    runs: bool
    crashes: bool


def reality(run: Run) -> Reality:
    crashes = run.verdict.startswith("crash:")
    stage = run.stage if crashes else run.verdict.partition(":")[2]
    return Reality(stage not in ("construct", "allocate"), run.ok, crashes)


def disagreement(verdict: Verdict, run: Run) -> str | None:
    """In which respect prediction and reality differ; None where they agree, or nothing definite was predicted."""
    real = reality(run)
    for name in Reality._fields:
        said = getattr(verdict, name)
        if said is not None and said != getattr(real, name):
            return f"{name}: predicted {said} by {verdict.rule}; it was {run.verdict} {run.message}"
    return None


def explaining(message: str) -> set[str]:
    """The names of the rules that declare a text found in a message."""
    return {rule.name for rule in rules().values() for said in rule.sayings if said.pattern.search(message)}
