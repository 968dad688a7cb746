"""Repair: find, repair a copy, look again, prove. Nobody sees a copy that has not passed its proofs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tflite_surgeon.edits.bias_decision import KEEPS, Keep, Undecided
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.plan import EditPlan, make, take_back
from tflite_surgeon.edits.repairs.registry import Done, Refused, Repair, Target, Wish, lacking, repairs
from tflite_surgeon.edits.rounds import Rounds
from tflite_surgeon.edits.runtime_record import record_oldest_runtime
from tflite_surgeon.errors import RepairError, SurgeonError
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS, NAMES
from tflite_surgeon.model import compare, convert
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.objects import Model
from tflite_surgeon.rules.bias_scale import NAME as BIAS_SCALE
from tflite_surgeon.rules.registry import Finding, Severity, require_known, rules
from tflite_surgeon.rules.verdicts import Verdict

# A node as people name it: its number, or (subgraph, number).
NodeName = int | tuple[int, int]

_NOTHING_TO_DO = "its repair found nothing that it could change"
# Fields by whose edits a model may need another release of the runtime.
_OPERATORS = frozenset({"operator_codes", "operators", "opcode", "version"})


@dataclass(frozen=True)
class Repaired:
    """A finding that was repaired: the finding as it was, and what was done."""

    finding: Finding
    done: Done


@dataclass(frozen=True)
class Left:
    """A finding that was left alone: the finding, and why.

    Attributes:
        was_tried: a repair looked at it; else there is none for its rule.
    """

    finding: Finding
    refused: Refused
    was_tried: bool = True


@dataclass(frozen=True)
class Outcome:
    """What `fix` did.

    Attributes:
        model: the repaired copy; equal to the original where nothing was repaired.
        repairs: what was repaired, in the order in which it was done.
        left: what was found and left alone, with the reason.
        plan: the edits, old and new values included, in their order.
        remaining: what `check` finds in the repaired copy.
    """

    model: Model
    repairs: tuple[Repaired, ...]
    left: tuple[Left, ...]
    plan: EditPlan
    remaining: tuple[Finding, ...]


@without_collecting()
def fix(
    model: Model,
    select: Sequence[str] | None = None,
    keep: Keep = "auto",
    nodes: Iterable[NodeName] | None = None,
    undecided: Undecided = "leave",
    targets: Sequence[str] = DEFAULT_TARGETS,
    lossy: bool = False,
) -> Outcome:
    """Repair a copy of a model; the model itself is not changed.

    Args:
        model: the model.
        select: the rules whose findings to repair, notes too; None for errors and warnings of every rule that has a
            repair and is not mere upkeep.
        keep: which of two readings of stored numbers to trust: the written real values, the integers as kernels use
            them, or "auto" to judge by the file, each time anew.
        nodes: only these nodes, as numbers (of subgraph 0) or (subgraph, number); None for all, and for the file.
        undecided: what "auto" does where the file does not tell: "leave" it, or keep the "values".
        targets: runtimes that count for the severity of findings.
        lossy: whether repairs may run that cannot keep every number.

    Raises:
        SurgeonError: an argument names a rule, node or reading that there is not.
        EncodeError: the model refers to an object that is not in its lists.
        RepairError: the repaired model did not pass its proofs.
    """
    known = repairs()
    if select is not None:
        require_known("rule", select, rules())
        require_known("repair for the rule", select, known)
    require_known("reading", [keep], KEEPS)
    require_known("runtime", targets, NAMES)
    wanted = None if nodes is None else {(0, node) if isinstance(node, int) else node for node in nodes}
    _require_nodes(model, wanted or set())
    chosen = _chosen(known, select)
    wish = Wish(keep, undecided, lossy, targets)
    attempted = _attempt(model, chosen, wish, select is not None, wanted)
    withheld: list[Left] = []
    # What no single step shows: all repairs together may take a runtime further, to something that it refuses.
    for rule in _rules_in_reverse(attempted.rounds):
        worse = _worse(attempted.rounds)
        if worse is None:
            break
        without = _attempt(model, [name for name in chosen if name != rule], wish, select is not None, wanted)
        if _worse(without.rounds) is None:
            repaired = [a.target.finding for a in attempted.rounds.attempts if isinstance(a.result, Done)]
            refused = Refused(f"all other repairs stand, and with this one too {worse}")
            withheld = [Left(finding, refused) for finding in repaired if finding.rule == rule]
            attempted = without
    draft, rounds = attempted.draft, attempted.rounds
    _prove(model, draft, rounds)
    left = [Left(a.target.finding, a.result) for a in rounds.left() if isinstance(a.result, Refused)] + withheld
    if select is None and wanted is None:
        left += _beyond(rounds.findings, left, known)
    done = [Repaired(a.target.finding, a.result) for a in rounds.attempts if isinstance(a.result, Done)]
    return Outcome(draft.model, tuple(done), tuple(left), EditPlan(tuple(draft.edits)), tuple(rounds.findings))


@dataclass(frozen=True)
class _Attempted:
    draft: Draft
    rounds: Rounds


def _attempt(
    model: Model, chosen: Sequence[str], wish: Wish, notes: bool, wanted: set[tuple[int, int]] | None
) -> _Attempted:
    """Repair a copy in rounds."""
    copy = model.copy()
    convert.indices(copy)  # Refuses a model that refers to objects outside it, before anything is planned.
    draft = Draft(copy)
    places = None if wanted is None else _operators(copy, wanted)
    rounds = Rounds(draft, chosen, repairs(), wish)

    def is_wanted(target: Target) -> bool:
        if places is not None and id(target.operator) not in places:
            return False
        return notes or target.finding.severity >= Severity.WARNING

    rounds.run(is_wanted)
    if any(edit.attribute in _OPERATORS for edit in draft.edits):
        record_oldest_runtime(draft)
    return _Attempted(draft, rounds)


def _rules_in_reverse(rounds: Rounds) -> list[str]:
    """The rules whose findings were repaired, the last one first."""
    return list(dict.fromkeys(a.target.finding.rule for a in reversed(rounds.attempts) if isinstance(a.result, Done)))


def fix_bias_scale(
    model: Model,
    keep: Keep = "auto",
    nodes: Iterable[NodeName] | None = None,
    undecided: Undecided = "values",
    targets: Sequence[str] = DEFAULT_TARGETS,
) -> Outcome:
    """`fix` for the rule bias-scale alone, which where the file does not tell keeps the written values."""
    return fix(model, [BIAS_SCALE], keep, nodes, undecided, targets)


def _chosen(known: Mapping[str, Repair], select: Sequence[str] | None) -> list[str]:
    """The rules to repair, in the order of the list."""
    if select is not None:
        return [name for name in known if name in select]
    declared = rules()
    return [name for name in known if not declared[name].is_hygiene]


def _beyond(findings: Iterable[Finding], left: Iterable[Left], known: Mapping[str, Repair]) -> list[Left]:
    """Errors that no repair is for, or that none had anything to do with."""
    told = {(item.finding.rule, item.finding.path) for item in left}
    return [
        Left(finding, Refused(lacking(finding.rule) or _NOTHING_TO_DO), finding.rule in known)
        for finding in findings
        if finding.severity == Severity.ERROR and (finding.rule, finding.path) not in told
    ]


def _require_nodes(model: Model, wanted: set[tuple[int, int]]) -> None:
    for subgraph, number in sorted(wanted):
        subgraphs = model.subgraphs or []
        if not 0 <= subgraph < len(subgraphs):
            raise SurgeonError(f"there is no subgraph {subgraph}; the model has {len(subgraphs)}")
        count = len(subgraphs[subgraph].operators or ())
        if not 0 <= number < count:
            raise SurgeonError(f"there is no operator {number} in subgraph {subgraph}; it has {count}")


def _operators(model: Model, wanted: set[tuple[int, int]]) -> set[int]:
    """The identities of operators that were named by their numbers."""
    return {id(node.operator) for node in model.nodes() if (node.subgraph_index, node.index) in wanted}


# Proofs


def _prove(original: Model, draft: Draft, rounds: Rounds) -> None:
    """No runtime that counts is worse off, and without the edits the copy is the original.

    Raises:
        RepairError: one of these does not hold.
    """
    worse = _worse(rounds)
    if worse is not None:
        raise RepairError(f"after the repairs {worse}")
    take_back(draft.edits)
    try:
        other = next(compare.changes(original, draft.model), None)
    finally:
        make(draft.edits)
    if other is not None:
        raise RepairError(f"the repair changed what it did not plan to: {other.path}")


def _worse(rounds: Rounds) -> str | None:
    """The runtime that a model no longer comes as far in, and where it ends; None where there is none."""
    for runtime in rounds.targets:
        before, after = rounds.verdicts_before[runtime], rounds.verdicts[runtime]
        if _standing(after) < _standing(before):
            return f"{runtime} would {_sentence(after)}, which it did not before"
    return None


def _standing(verdict: Verdict) -> int:
    """How far a model comes in a runtime; what is not known counts as well as it can be."""
    if verdict.loads is False:
        return 0
    return 1 if verdict.runs is False else 2


def _sentence(verdict: Verdict) -> str:
    what = "refuse the model" if verdict.loads is False else "fail to run it"
    where = "" if verdict.operator is None else f" at operator {verdict.operator}"
    return f"{what}{where} ({verdict.rule})"
