"""The repair of a bias' unit: of the bias itself, or of the scale that makes the unit where that is the wrong one."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.edits.bias_factors import farthest_move, implied_scales, raise_weights_scale
from tflite_surgeon.edits.bias_scale import BiasRepair, LeftAlone, plan_bias_repairs
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair_together
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.rules.bias_scale import NAME as BIAS_SCALE
from tflite_surgeon.rules.bias_use import BiasUse, bias_uses, scales_of


@repair_together(
    BIAS_SCALE,
    Phase.BIAS,
    "Expresses the bias in the kernel's unit: --keep values re-rounds the integers so that the written real values "
    "stand, --keep integers rewrites the scale alone so that every output stays; auto judges by the file. Where the "
    "file shows that the weights' or the input's scale is the wrong one, that scale is given back instead. A bias "
    "whose integers would leave their type makes --lossy raise the weights scale; it is never cut off.",
    "Where the two readings differ by more than rounding and nothing in the file speaks for one, the file does not "
    "tell which numbers its author meant.",
)
def bias_scale(draft: Draft, targets: Sequence[Target], wish: Wish) -> Sequence[Result]:
    """Scale and integers, in the kernel's unit."""
    # A node that is refused over another tensor than its bias has nothing here to repair.
    findings = [target.finding for target in targets if target.finding.evidence is not None]
    plan = plan_bias_repairs(draft.model, findings, wish.keep, wish.undecided)
    draft.make(plan.edits)
    results: dict[int, Result] = {id(item.use): _told(item) for item in plan.repairs}
    results |= {id(item.use): _beyond_the_bias(draft, item, wish) for item in plan.left}
    return [results.get(id(target.finding.evidence)) for target in targets]


def _told(item: BiasRepair) -> Done:
    effect = item.use.worst_error if item.decision.keep == "values" else 0.0
    what = f"the bias is expressed in units of {item.scales[0]:.9g}"
    return Done(what, item.decision.reason, item.decision.keep, effect, "", item.warnings, item)


def _beyond_the_bias(draft: Draft, item: LeftAlone, wish: Wish) -> Result:
    """What another scale than the bias' can do where the bias was left alone."""
    decision = item.decision
    mark = draft.mark()
    result: Result
    if decision.suspect != "bias":
        result = _give_back(draft, item)
    elif decision.overflows and wish.lossy:
        result = _raise(draft, item)
    else:
        result = Refused(decision.reason, decision.is_open, item)
    if isinstance(result, Refused):
        draft.back_to(mark)
    return result


def _give_back(draft: Draft, item: LeftAlone) -> Result:
    use, suspect = item.use, item.decision.suspect
    now = next((other for other in bias_uses(use.node) if other.is_same_place(use)), None)
    if now is None or now.is_right:
        return None  # Given back for another node that reads the same tensor.
    tensor = use.factor if suspect == "input" else use.weights
    scales = implied_scales(use, tensor) if tensor is not None else None
    if tensor is None or scales is None:
        return Refused(f"{item.decision.reason}; the scale that it should have is no float32", detail=item)
    old = scales_of(tensor)
    draft.quantize(tensor, scale=scales)
    many = f" (and {len(scales) - 1} more, by the same factor)" if len(scales) > 1 else ""
    what = (
        f"the scale of the {suspect} {tensor.name!r} is given back: {old[0]:.9g} becomes {scales[0]:.9g}{many}, with "
        "which the bias as it is written counts in the kernel's unit"
    )
    return Done(what, item.decision.reason, "values", farthest_move(use), "", tuple(_of_computed(draft, use, tensor)))


def _of_computed(draft: Draft, use: BiasUse, tensor: Tensor) -> list[str]:
    """What else changes with the scale of a tensor that is no constant."""
    if tensor is use.weights:
        return []
    found = [
        f"operator {_number(draft, writer.operator)} ({writer.operator.name}) writes {tensor.name!r} and rescales to "
        "the new scale"
        for writer in draft.writers(tensor)
    ]
    if draft.is_interface(tensor):
        found.append(f"{tensor.name!r} is an input or output of the model: who calls it has to count in the new scale")
    return found


def _number(draft: Draft, operator: object) -> int:
    return next(node.index for node in draft.model.nodes() if node.operator is operator)


def _raise(draft: Draft, item: LeftAlone) -> Result:
    use, decision = item.use, item.decision
    raised = raise_weights_scale(draft, use, use.bias.type_name)
    if isinstance(raised, str):
        return Refused(f"{decision.reason}; it cannot be raised: {raised}", detail=item)
    what = f"the written values of the bias stay, {raised.sentence}"
    return Done(what, decision.reason, "values", use.worst_error, raised.loses)
