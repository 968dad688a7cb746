"""Repairs of a bias: its unit, zero point and type."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.edits.bias_scale import BiasRepair, LeftAlone, plan_bias_repairs
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair_together
from tflite_surgeon.rules.bias_scale import NAME as BIAS_SCALE


@repair_together(
    BIAS_SCALE,
    Phase.BIAS,
    "Expresses the bias in the kernel's unit: --keep values re-rounds the integers so that the written real values "
    "stand, --keep integers rewrites the scale alone so that every output stays; auto judges by the file.",
    "Where the two readings differ by more than rounding and nothing in the file speaks for one, the file does not "
    "tell which numbers its author meant.",
)
def bias_scale(draft: Draft, targets: Sequence[Target], wish: Wish) -> Sequence[Result]:
    """Scale and integers, in the kernel's unit."""
    # A node that is refused over another tensor than its bias has nothing here to repair.
    findings = [target.finding for target in targets if target.finding.evidence is not None]
    plan = plan_bias_repairs(draft.model, findings, wish.keep, wish.undecided)
    draft.make(plan.edits)
    decided: list[BiasRepair | LeftAlone] = [*plan.repairs, *plan.left]
    results = {id(item.use): _told(item) for item in decided}
    return [results.get(id(target.finding.evidence)) for target in targets]


def _told(item: BiasRepair | LeftAlone) -> Result:
    decision = item.decision
    if isinstance(item, LeftAlone):
        return Refused(decision.reason, decision.is_open, item)
    effect = item.use.worst_error if decision.keep == "values" else 0.0
    what = f"the bias is expressed in units of {item.scales[0]:.9g}"
    return Done(what, decision.reason, decision.keep, effect, "", item.warnings, item)
