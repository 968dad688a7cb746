"""Shapes as the file stores them: those that kernels compute, and the one dimension of an input that is wrong."""

from __future__ import annotations

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.islands import troubles
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.shaping import (
    Shapes,
    makes_stored,
    odd_dimensions,
    reshape,
    settle_behind,
    state_shape,
    was_touched,
)
from tflite_surgeon.edits.turning import channels_last
from tflite_surgeon.model.objects import Operator, Tensor

_LACKS = "Where several shapes would make the kernels agree, or none does, the file does not tell which was meant."


_INPUT = (
    "Corrects the one dimension of an input of the model with which all stored shapes are those that kernels compute."
)
_ONE_CAUSE = (
    " Where more than one tensor disagrees and one dimension of an input of the model explains all of them, that "
    "dimension is corrected instead."
)


@repair(
    "stored-shape",
    Phase.GRAPH,
    f"Stores the shapes that LiteRT's kernels compute, from the node on.{_ONE_CAUSE}",
    _LACKS,
)
@repair(
    "output-shape",
    Phase.GRAPH,
    f"Stores the shape that LiteRT's kernel computes, and those of what is computed from it.{_ONE_CAUSE}",
    _LACKS,
)
@repair("positive-size", Phase.GRAPH, _INPUT, _LACKS)
@repair("size-overflow", Phase.GRAPH, _INPUT, _LACKS)
def disagreeing(draft: Draft, target: Target, wish: Wish) -> Result:
    """A shape that is stored otherwise than kernels compute it, or that leads to sizes that cannot be."""
    return agree(draft, target)


@repair(
    "xnnpack-shape",
    Phase.GRAPH,
    "Stores the shape that LiteRT's kernel computes, and those of what is computed from it.",
    _LACKS,
)
def xnnpack_shape(draft: Draft, target: Target, wish: Wish) -> Result:
    """A shape that the delegate cannot work with."""
    result = agree(draft, target)
    if isinstance(result, Refused):
        other = agree(draft, target, clashes=True)
        return other if isinstance(other, Done) else result
    return result


@repair(
    "dimension-match",
    Phase.GRAPH,
    "Moves the channels of a DEPTHWISE_CONV_2D's weights from the first dimension to the last where the stored output "
    "comes of it; else corrects the one dimension of an input of the model with which all stored shapes are those that "
    "kernels compute.",
    _LACKS,
)
@repair("broadcast", Phase.GRAPH, _INPUT, _LACKS)
@repair("channels", Phase.GRAPH, _INPUT, _LACKS)
def clashing(draft: Draft, target: Target, wish: Wish) -> Result:
    """Shapes that do not fit together."""
    return agree(draft, target, clashes=True)


def agree(draft: Draft, target: Target, clashes: bool = False) -> Result:
    """Make stored shapes agree with what kernels compute: an input's one wrong dimension, or those of results.

    Args:
        draft: the model.
        target: the finding.
        clashes: it says that shapes do not fit together, whatever the kernel makes of them.
    """
    operator, subgraph = target.operator, target.subgraph
    if operator is None or subgraph is None:
        return Refused("the finding names no node")
    shapes = Shapes(draft)
    is_micro = all(effect == "ok" for name, effect in target.finding.runtimes.items() if name != "tflm")
    if not is_micro and not shapes.breaks(target.finding.rule, operator):
        return None  # What was repaired before has settled it.
    is_refused = clashes or shapes.is_refused(operator)
    turned = channels_last(draft, operator) if is_refused else None
    if turned is not None:
        return turned
    if is_refused and not clashes:
        # A kernel may refuse the stored shape of its output alone.
        mark = draft.mark()
        if len(settle_behind(draft, operator)) == 1 and makes_stored(draft, operator):
            draft.back_to(mark)
            return _stored(draft, operator, target)
        draft.back_to(mark)
    if is_refused or len(shapes.differing(subgraph)) > 1:
        stated = stated_shape(draft, operator) if is_refused else None
        result = stated or _one_dimension(draft, operator)
        if isinstance(result, Done) or is_refused:
            return result
    return _stored(draft, operator, target)


def stated_shape(draft: Draft, operator: Operator) -> Done | None:
    """Let the constant that states a node's output shape say the stored one, where the kernel agrees then."""
    mark = draft.mark()
    what = state_shape(draft, operator)
    if what is not None and makes_stored(draft, operator):
        return Done(what, "that is the stored shape of the output, and it fits the node's inputs")
    draft.back_to(mark)
    return None


def _one_dimension(draft: Draft, operator: Operator) -> Done | Refused:
    """The one dimension of an input of the graph that is wrong."""
    found = odd_dimensions(draft, operator)
    if len(found) == 1:
        one = found[0]
        old = list(one.tensor.shape or ())
        reshape(draft, one.tensor, one.shape())
        return Done(
            f"the input {one.tensor.name!r} of shape {old} is of shape {one.shape()}",
            f"with {one.length} instead of {old[one.axis]} along dimension {one.axis}, and no other change of one "
            "dimension of an input, all stored shapes are those that the kernels compute",
            warnings=("the model is given another shape than before",),
        )
    if found:
        tried = " or ".join(f"{one.shape()} of {one.tensor.name!r}" for one in found[:3])
        return Refused(f"more than one shape would do: {tried}; write the one that was meant")
    return Refused(
        "no change of one dimension of an input makes the stored shapes those that the kernels compute; write the "
        "shapes that were meant"
    )


def _stored(draft: Draft, operator: Operator, target: Target) -> Result:
    """Store what kernels compute, from a node on."""
    others = odd_dimensions(draft, operator)
    changed = settle_behind(draft, operator)
    if not changed:
        is_there = any(trouble.rule == target.finding.rule for trouble in troubles(draft, [operator]))
        return _refused(operator) if is_there or not was_touched(draft, operator) else None
    tensor, old = changed[0]
    what = f"{tensor.name!r} is stored as {tensor.shape}, and was stored as {old}"
    if len(changed) > 1:
        what += f"; so are {len(changed) - 1} tensors that are computed from it"
    warnings = tuple(
        f"an input {one.tensor.name!r} of shape {one.shape()} and not {one.tensor.shape} would agree with {old} as well"
        for one in others[:1]
    )
    return Done(what, "that is the shape that LiteRT computes from the node's inputs", warnings=warnings)


def _refused(operator: Operator) -> Refused:
    stored = [item.shape for item in operator.outputs or () if isinstance(item, Tensor)]
    return Refused(
        f"the stored shapes of {operator.name}'s outputs, {stored}, are those that LiteRT computes: another shape or "
        "option of the node is wrong, and the file does not tell which"
    )
