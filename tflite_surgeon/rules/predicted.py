"""Findings from what runtimes meet on their way through a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tflite_surgeon.knowledge.problems import CRASHES, NOWHERE, OK, REFUSES, UNKNOWN, WRONG, Place, Problem, Stage
from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.rules.registry import Finding, Severity, View

# Of several effects in one runtime the first one counts.
_WORST_FIRST = (CRASHES, REFUSES, WRONG, UNKNOWN, OK)


def predicted_findings(view: View, rules: Collection[str]) -> list[Finding]:
    """One finding for each rule, node and tensor: what several runtimes say of one fault belongs together.

    A tensor that is refused when the interpreter is made and again by the node that reads it is one fault.
    """
    problems = [problem for problem in view.problems if problem.rule in rules]
    whole = {(p.rule, id(p.tensor)): p.place for p in problems if p.tensor is not None and p.place.operator is None}
    groups: dict[tuple[str, Place, int, object], list[Problem]] = {}
    for problem in problems:
        place = whole.get((problem.rule, id(problem.tensor)), problem.place)
        # Operator codes have no place of their own: each kind and version is a fault of its own.
        kind = (problem.details.get("operator"), problem.details.get("version")) if place == NOWHERE else None
        groups.setdefault((problem.rule, place, id(problem.tensor), kind), []).append(problem)
    return [_finding(view, problems) for problems in groups.values()]


def _finding(view: View, problems: list[Problem]) -> Finding:
    first = problems[0]
    subgraph, operator = first.place
    name = None
    if subgraph is not None and operator is not None:
        name = (view.model.subgraphs or [])[subgraph].operators[operator].name  # type: ignore[index]
    effects = {runtime: _effect(runtime, problems) for runtime in NAMES}
    details = {key: value for problem in problems for key, value in problem.details.items()}
    said = {runtime: problem.said for problem in reversed(problems) for runtime in problem.runtimes if problem.said}
    if said:
        details["runtime_says"] = {name: said[name].replace("{}", "...") for name in NAMES if name in said}
    return Finding(
        first.rule,
        _severity(view, problems),
        subgraph,
        operator,
        name,
        None if first.tensor is None else view.identify(first.tensor),
        first.message,
        effects,
        details,
    )


def _effect(runtime: str, problems: Iterable[Problem]) -> str:
    met = {problem.effect for problem in problems if runtime in problem.runtimes}
    return next((effect for effect in _WORST_FIRST if effect in met), OK)


def _severity(view: View, problems: Iterable[Problem]) -> Severity:
    worst = Severity.NOTE
    for problem in problems:
        if problem.effect in (UNKNOWN, OK) or problem.runtimes.isdisjoint(view.targets):
            continue
        if problem.stage == Stage.ELSEWHERE or problem.doubtful:
            worst = max(worst, Severity.WARNING)
        else:
            return Severity.ERROR
    return worst
