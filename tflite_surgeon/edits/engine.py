"""Repair: select, plan, apply to a copy, prove. Nobody sees a copy that has not passed its proofs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tflite_surgeon.edits.bias_decision import KEEPS, Keep, Undecided
from tflite_surgeon.edits.bias_scale import BiasPlan, BiasRepair, LeftAlone, plan_bias_repairs
from tflite_surgeon.edits.plan import EditPlan, paths
from tflite_surgeon.errors import RepairError, SurgeonError
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS
from tflite_surgeon.model import compare, convert
from tflite_surgeon.model.objects import Model
from tflite_surgeon.rules.bias_scale import NAME as BIAS_SCALE
from tflite_surgeon.rules.registry import Finding, Severity, check, require_known

REPAIRABLE = (BIAS_SCALE,)

# A node as people name it: its number, or (subgraph, number).
NodeName = int | tuple[int, int]


@dataclass(frozen=True)
class Outcome:
    """What `fix` did.

    Attributes:
        model: the repaired copy; equal to the original where nothing was repaired.
        repairs: what was repaired, in the order of the nodes.
        left: what was found and left alone, with the reason.
        plan: the edits, old and new values included.
        remaining: what `check` finds in the repaired copy.
    """

    model: Model
    repairs: tuple[BiasRepair, ...]
    left: tuple[LeftAlone, ...]
    plan: EditPlan
    remaining: tuple[Finding, ...]


def fix(
    model: Model,
    select: Sequence[str] = REPAIRABLE,
    keep: Keep = "auto",
    nodes: Iterable[NodeName] | None = None,
    undecided: Undecided = "values",
    targets: Sequence[str] = DEFAULT_TARGETS,
) -> Outcome:
    """Repair a copy of a model; the model itself is not changed.

    Args:
        model: the model.
        select: the rules whose findings to repair.
        keep: which of two readings of a bias to trust: the written real values, the integers, or "auto" to judge by
            the file, bias by bias.
        nodes: only these nodes, as numbers (of subgraph 0) or (subgraph, number); None for all.
        undecided: what "auto" does where the file does not tell: keep the "values", or "leave" the node.
        targets: runtimes that count for the severity of what remains.

    Raises:
        SurgeonError: an argument names a rule, node or reading that there is not.
        EncodeError: the model refers to an object that is not in its lists.
        RepairError: the repair did not pass its proofs.
    """
    require_known("repair for the rule", select, REPAIRABLE)
    require_known("reading", [keep], KEEPS)
    wanted = None if nodes is None else {(0, node) if isinstance(node, int) else node for node in nodes}
    _require_nodes(model, wanted or set())
    repaired = model.copy()
    before = check(repaired, targets, select)
    # A node that is refused over another tensor than its bias has nothing here to repair.
    chosen = [f for f in before if f.evidence is not None]
    chosen = [f for f in chosen if wanted is None or (f.subgraph, f.operator) in wanted]
    chosen.sort(key=lambda finding: (finding.subgraph or 0, finding.operator or 0))
    convert.indices(repaired)  # Refuses a model that refers to objects outside it, before anything is planned.
    plan: BiasPlan = plan_bias_repairs(repaired, chosen, keep, undecided)
    plan.edits.apply()
    remaining = check(repaired, targets)
    _prove(model, repaired, plan, before, remaining)
    return Outcome(repaired, plan.repairs, plan.left, plan.edits, tuple(remaining))


def _require_nodes(model: Model, wanted: set[tuple[int, int]]) -> None:
    for subgraph, number in sorted(wanted):
        subgraphs = model.subgraphs or []
        if not 0 <= subgraph < len(subgraphs):
            raise SurgeonError(f"there is no subgraph {subgraph}; the model has {len(subgraphs)}")
        count = len(subgraphs[subgraph].operators or ())
        if not 0 <= number < count:
            raise SurgeonError(f"there is no operator {number} in subgraph {subgraph}; it has {count}")


def _prove(
    original: Model, repaired: Model, plan: BiasPlan, before: Sequence[Finding], remaining: Sequence[Finding]
) -> None:
    """Each repaired finding is gone, no error of its rule is new, and the copy differs by the plan's edits alone.

    Raises:
        RepairError: one of these does not hold.
    """
    repaired_uses = (repair.use for repair in plan.repairs)
    gone = {(use.node.subgraph_index, use.node.index, use.addend.bias) for use in repaired_uses}
    known_errors = {_finding_place(f) for f in before if f.severity == Severity.ERROR}
    known_nodes = {place[:2] for place in known_errors}
    for finding in remaining:
        place = _finding_place(finding)
        if finding.rule == BIAS_SCALE and place in gone:
            raise RepairError(f"{finding.path}: repaired, and yet {finding.message}")
        known = place in known_errors if finding.evidence is not None else place[:2] in known_nodes
        if finding.severity == Severity.ERROR and not known and finding.rule == BIAS_SCALE:
            raise RepairError(f"{finding.path}: the repair would have caused this: {finding.message}")
    planned = paths([plan.edits])
    unplanned = [change.path for change in compare.changes(original, repaired) if change.path not in planned]
    if unplanned:
        raise RepairError(f"the repair changed what it did not plan to: {', '.join(unplanned[:3])}")


def _finding_place(finding: Finding) -> tuple[int | None, int | None, str]:
    return finding.subgraph, finding.operator, str(finding.details.get("bias_role", ""))
