"""Nodes and the tensors that they write: their order, and who writes where."""

from __future__ import annotations

from typing import Any

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.fitting import fitting_outputs
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.shaping import reshape, settled
from tflite_surgeon.model.objects import Operator, SubGraph, Tensor

# Operators that do more than write their outputs: their order counts beyond who reads what.
_STATEFUL_NAMES = """
ASSIGN_VARIABLE CALL CALL_ONCE HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE IF MULTINOMIAL
RANDOM_STANDARD_NORMAL RANDOM_UNIFORM READ_VARIABLE STABLEHLO_CASE STABLEHLO_COMPOSITE VAR_HANDLE WHILE
"""
_STATEFUL = frozenset(_STATEFUL_NAMES.split())


@repair(
    "operator-order",
    Phase.GRAPH,
    "Moves each node that computes too late directly before the first that reads it; no other node moves.",
    "Nodes that wait for each other have no order: one of them reads another tensor than was meant.",
)
def operator_order(draft: Draft, target: Target, wish: Wish) -> Result:
    """A node that stands before the one that computes its input."""
    subgraph = target.subgraph
    if subgraph is None:
        return Refused("the finding names no subgraph")
    operators = list(subgraph.operators or ())
    wanted = _ordered(draft, operators)
    if wanted is None:
        return Refused("nodes wait for each other in a circle: one of them was meant to read another tensor")
    place_of = {number: place for place, number in enumerate(wanted)}
    late, furthest = [], -1
    for number in range(len(operators)):
        if place_of[number] < furthest:
            late.append((place_of[number], number))
        furthest = max(furthest, place_of[number])
    if not late:
        return None
    for _, number in late:
        operator = operators[number]
        if operator.name in _STATEFUL:
            return Refused(f"{operator.name} does more than write its outputs: where it stands counts, and is not told")
        if any(len(draft.writers(output)) > 1 for output in operator.outputs or () if isinstance(output, Tensor)):
            return Refused("a tensor that is read too early is written more than once")
    for _, number in late:
        draft.remove(subgraph, "operators", operators[number])
    for place, number in sorted(late):
        draft.insert(subgraph, "operators", place, operators[number])
    moves = ", ".join(f"{operators[number].name} from {number} to {place}" for place, number in sorted(late))
    return Done(
        f"nodes are moved before those that read their results: {moves}", "no other order runs them after each other"
    )


def _ordered(draft: Draft, operators: list[Operator]) -> list[int] | None:
    """The numbers of nodes, each after those that it reads from, else as they are; None where there is a circle."""
    number_of = {id(operator): number for number, operator in enumerate(operators)}
    order: list[int] = []
    # Of each node: whether it is placed; not in it while nobody has asked, False while those before it are placed.
    placed: dict[int, bool] = {}
    for start in range(len(operators)):
        waiting = [start]
        while waiting:
            number = waiting[-1]
            if placed.get(number):
                waiting.pop()
                continue
            needed = _producers(draft, operators[number], number_of) - {number}
            missing = sorted((other for other in needed if not placed.get(other)), reverse=True)
            if any(other in placed for other in missing):
                return None
            placed[number] = not missing
            if missing:
                waiting += missing
            else:
                order.append(waiting.pop())
    return order


def _producers(draft: Draft, operator: Operator, number_of: dict[int, int]) -> set[int]:
    """The numbers of the nodes that a node reads from; variables keep what they are given from run to run."""
    found: set[int] = set()
    for tensor in operator.inputs or ():
        if isinstance(tensor, Tensor) and not tensor.is_variable and not draft.is_graph_input(tensor):
            found.update(number_of[id(use.operator)] for use in draft.writers(tensor)[:1])
    return found


@repair(
    "two-producers",
    Phase.GRAPH,
    "Gives the node that writes a second time the tensor that nothing computes and that fits; where there is none, "
    "each result a tensor of its own, and every reader the one that it has read so far.",
    "Of a variable, which is written again on purpose, nothing tells who was meant to read which state.",
)
@repair(
    "in-place",
    Phase.GRAPH,
    "Gives the output a tensor of its own; those who read it behind the node read that one.",
)
def own_output(draft: Draft, target: Target, wish: Wish) -> Result:
    """Give a node a tensor of its own to write, where it writes what it reads or another has written."""
    operator, subgraph = target.operator, target.subgraph
    if operator is None or subgraph is None:
        return Refused("the finding names no node")
    position = _position(draft, operator, target.tensor)
    if position is None:
        return None
    tensor: Any = (operator.outputs or [])[position]
    if tensor.is_variable:
        return Refused(f"{tensor.name!r} is a variable: it is written again on purpose")
    if tensor.data:
        return Refused(f"{tensor.name!r} holds constant data as well")
    fitting = [(use, other) for use in draft.writers(tensor) for other in fitting_outputs(draft, *use)]
    if len(fitting) > 1:
        return Refused(
            f"more than one node could have been meant to write {fitting[0][1].name!r}, which nothing computes"
        )
    for use, other in fitting:
        draft.replace_output(*use, other)
        what = f"{use.operator.name} writes {other.name!r}, and wrote {tensor.name!r}"
        return Done(what, f"nothing else computes {other.name!r}, which is needed and fits")
    fresh = draft.new_tensor(subgraph, tensor, f"{tensor.name or 'tensor'}_again")
    draft.replace_output(operator, position, fresh)
    moved = _read_behind(draft, subgraph, operator, tensor, fresh)
    what = f"{operator.name} writes {fresh.name!r}, a tensor of its own, which {moved} read instead of {tensor.name!r}"
    return Done(what, "each reader finds what it has found so far: the last that was written before")


def _position(draft: Draft, operator: Operator, told: Tensor | None) -> int | None:
    """The output that an input of the node is as well, or that another node or the caller writes before."""
    for position, output in enumerate(operator.outputs or ()):
        if not isinstance(output, Tensor) or (told is not None and output is not told):
            continue
        if any(output is item for item in operator.inputs or ()) or draft.is_graph_input(output):
            return position
        first = draft.writers(output)[0]
        if first.operator is not operator or first.position != position:
            return position
    return None


def _places(subgraph: SubGraph, tensor: Tensor) -> list[int]:
    """The numbers of the nodes that write a tensor."""
    return [
        number
        for number, operator in enumerate(subgraph.operators or ())
        if any(tensor is output for output in operator.outputs or ())
    ]


def _read_behind(draft: Draft, subgraph: SubGraph, operator: Operator, old: Tensor, new: Tensor) -> str:
    """Let those who read a tensor behind a node read another one, up to the next node that writes the first."""
    operators = subgraph.operators or []
    count = 0
    for other in operators[draft.number(operator) + 1 :]:
        for position, item in enumerate(other.inputs or ()):
            if item is old:
                draft.replace_input(other, position, new)
                count += 1
        if any(item is old for item in other.outputs or ()):
            return f"{count} inputs behind it"
    if draft.is_graph_output(old):
        draft.set(subgraph, "outputs", [new if item is old else item for item in subgraph.outputs or ()])
        for signature in draft.model.signature_defs or ():
            for entry in signature.outputs or () if signature.subgraph is subgraph else ():
                if entry.tensor is old:
                    draft.set(entry, "tensor", new)
        return f"{count} inputs behind it and the model's output"
    return f"{count} inputs behind it"


# Constants that are written

_WHICH = (
    "Where a constant is read before a node writes it, the file does not tell which tensor that was meant to write."
)


@repair(
    "constant-output",
    Phase.GRAPH,
    "Takes the constant data from the tensor that a node writes, and gives it the computed shape; where another tensor "
    "fits that nothing computes, the node writes that one.",
    _WHICH,
)
@repair(
    "xnnpack-output",
    Phase.GRAPH,
    "Takes the constant data from the tensor that a node writes; where another tensor fits that nothing computes, the "
    "node writes that one.",
    _WHICH,
)
def no_constant(draft: Draft, target: Target, wish: Wish) -> Result:
    """Let a node write what is no constant."""
    operator, subgraph = target.operator, target.subgraph
    if operator is None or subgraph is None or not draft.model.buffers:
        return Refused("the finding names no node")
    told: list[str] = []
    for position, tensor in enumerate(operator.outputs or ()):
        if not isinstance(tensor, Tensor) or getattr(tensor.buffer, "data", None) is None:
            continue
        meant = fitting_outputs(draft, operator, position)
        if len(meant) == 1:
            draft.replace_output(operator, position, meant[0])
            told.append(f"{operator.name} writes {meant[0].name!r}, which nothing else computes")
            continue
        number = _places(subgraph, tensor)[0]
        early = [use for use in draft.readers(tensor) if draft.number(use.operator) <= number]
        if early or draft.is_graph_input(tensor):
            return Refused(
                f"{tensor.name!r} is read as a constant before {operator.name} writes it: the node was meant to write "
                "another tensor, and the file does not tell which"
            )
        count = len(tensor.data or b"")
        draft.set(tensor, "buffer", draft.model.buffers[0])
        shape = settled(draft, operator, position)
        if shape is not None:
            reshape(draft, tensor, shape)
        told.append(f"{tensor.name!r} holds no constant data any more, and held {count} bytes")
    return Done("; ".join(told), "what a node computes lies in no file") if told else None
