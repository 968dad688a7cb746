"""What becomes of a model in each runtime: does it load, does it run, are its numbers right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tflite_surgeon.knowledge.problems import CRASHES, REFUSES, UNKNOWN, WRONG, Problem, Stage
from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.model.objects import Model
from tflite_surgeon.rules.registry import Finding, View, find, rules


@dataclass(frozen=True)
class Verdict:
    """A model in one runtime; None where the answer depends on what the file does not tell.

    Attributes:
        loads: the interpreter is made and allocates its tensors.
        runs: it then evaluates, on inputs within range.
        crashes: the process dies, when loading or when running.
        wrong_numbers: it runs and computes something else than the file says.
        subgraph, operator: the first node that is refused or crashes; None where the file as a whole is.
        rule: the name of the rule that explains the refusal, the crash, or the wrong numbers.
        reason: why something is unknown; None where all is known.
    """

    loads: bool | None
    runs: bool | None
    crashes: bool | None
    wrong_numbers: bool | None
    subgraph: int | None = None
    operator: int | None = None
    rule: str | None = None
    reason: str | None = None


_NO_NUMBERS = "it does not run, so there are no numbers"


def verdicts(model: Model) -> dict[str, Verdict]:
    """What becomes of a model in each runtime, by the runtime's name. Nothing is run.

    Raises:
        SurgeonError: a constant lies in a file that was closed.
    """
    view = View(model)
    return judge(view, find(view, list(rules().values())))


def judge(view: View, findings: Sequence[Finding]) -> dict[str, Verdict]:
    """What becomes of a model in each runtime, where its findings are known already.

    Args:
        view: the model.
        findings: of all rules; those of rules that look beyond the kernels tell of wrong numbers.
    """
    return {runtime: _verdict(runtime, view.problems, findings) for runtime in NAMES}


def _verdict(runtime: str, problems: Iterable[Problem], findings: Sequence[Finding]) -> Verdict:
    met = sorted(
        (problem for problem in problems if runtime in problem.runtimes and problem.stage != Stage.ELSEWHERE),
        key=lambda problem: problem.stage,
    )
    ends = (REFUSES, CRASHES)
    end = next((problem for problem in met if problem.effect in ends), None)
    before = met if end is None else met[: met.index(end)]
    doubt = next((problem for problem in before if problem.effect == UNKNOWN), None)
    wrong = next((f for f in findings if f.runtimes.get(runtime) == WRONG), None)
    reason = None if doubt is None else doubt.message
    loads_in_doubt = doubt is not None and doubt.stage <= Stage.ALLOCATE
    if end is None:
        return Verdict(
            loads=None if loads_in_doubt else True,
            runs=None if doubt is not None else True,
            crashes=None if doubt is not None else False,
            wrong_numbers=True if wrong is not None else None if doubt is not None else False,
            rule=wrong.rule if wrong is not None else None if doubt is None else doubt.rule,
            subgraph=wrong.subgraph if wrong is not None else None,
            operator=wrong.operator if wrong is not None else None,
            reason=reason,
        )
    loads = False if end.stage <= Stage.ALLOCATE else None if loads_in_doubt else True
    return Verdict(
        loads=loads,
        runs=False,
        crashes=end.effect == CRASHES if doubt is None else None,
        wrong_numbers=None,
        subgraph=end.place.subgraph,
        operator=end.place.operator,
        rule=end.rule,
        reason=reason or _NO_NUMBERS,
    )


def unreadable(why: str) -> dict[str, Verdict]:
    """What becomes of a file whose flatbuffer is unsound.

    LiteRT verifies the structure before anything else; tflite-runtime 2.14 and TFLM follow the offsets wherever they
    lead, so that what happens depends on the bytes they meet.
    """
    refused = Verdict(
        False, False, False, None, rule="file-structure", reason="it does not run, so there are no numbers"
    )
    unknown = Verdict(None, None, None, None, rule="file-structure", reason=why)
    return {name: refused if name.startswith("litert") else unknown for name in NAMES}
