"""Which tensor was meant where a reference leads nowhere: the one that the node's kernel takes there, if it is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.shaping import Shapes
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.computed import computed, prepared
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import CRASHES, REFUSES, On
from tflite_surgeon.model.objects import Operator, SubGraph, Tensor
from tflite_surgeon.rules.bias_use import bias_uses

Attribute = Literal["inputs", "outputs"]


@dataclass(frozen=True)
class Meant:
    """What the search for a tensor came to.

    Attributes:
        tensor: the one tensor that fits; None where there is none or more than one.
        reason: why it, or why none.
        is_none: no tensor fits.
    """

    tensor: Tensor | None
    reason: str
    is_none: bool = False


def meant(draft: Draft, operator: Operator, attribute: Attribute, position: int) -> Meant:
    """The tensor that a node's reference meant which leads nowhere, or is not given.

    An input is looked for among tensors that nothing reads, and where none of these fits among all that are there when
    the node runs; an output among tensors that are needed and that nothing computes.
    """
    others = [item for n, item in enumerate(operator.inputs or ()) if attribute != "inputs" or n != position]
    others += [item for n, item in enumerate(operator.outputs or ()) if attribute != "outputs" or n != position]
    if any(item is not None and not isinstance(item, Table) for item in others):
        return Meant(None, "another reference of the node leads nowhere as well: the kernel cannot be asked what fits")
    if not isinstance(operator.opcode, Table):
        return Meant(None, "the node's operator is not known: nothing tells what it reads and writes")
    subgraph = draft.home(operator)
    if attribute == "outputs":
        kinds = [("that is needed and that nothing computes", fitting_outputs(draft, operator, position))]
    else:
        there = list(_there(draft, subgraph, operator))
        kinds = [
            ("that nothing else reads", [tensor for tensor in there if is_unread(draft, tensor)]),
            ("that is there when the node runs", there),
        ]
    known, _ = computed(draft.model)
    for what, candidates in kinds:
        fitting = [tensor for tensor in candidates if _fits(draft, operator, attribute, position, tensor, known)]
        if len(fitting) > 1:
            fitting = [tensor for tensor in fitting if _counts_right(draft, operator, attribute, position, tensor)]
        if len(fitting) == 1:
            return Meant(fitting[0], f"it is the one tensor {what} and that the kernel takes there")
        if fitting:
            names = " and ".join(repr(tensor.name) for tensor in fitting[:2])
            more = f" and {len(fitting) - 2} more" if len(fitting) > 2 else ""
            return Meant(None, f"more than one tensor fits there: {names}{more}; put the right one there by hand")
    return Meant(None, f"no tensor {kinds[0][0]} fits there; put the right one there by hand", True)


def is_unread(draft: Draft, tensor: Tensor) -> bool:
    """Whether no node reads a tensor and it is no result."""
    return not draft.readers(tensor) and (draft.is_graph_input(tensor) or not draft.is_interface(tensor))


def uncomputed(draft: Draft, subgraph: SubGraph) -> Iterator[Tensor]:
    """Tensors that a node reads or the subgraph gives out, and that nothing computes, holds or is given."""
    for tensor in subgraph.tensors or ():
        if tensor.is_variable or tensor.data or draft.writers(tensor) or draft.is_graph_input(tensor):
            continue
        if getattr(tensor.buffer, "offset", 0) > 1 or tensor.external_buffer or not isinstance(tensor.buffer, Table):
            continue  # The file says of these where their bytes lie.
        if draft.readers(tensor) or draft.is_graph_output(tensor):
            yield tensor


def _there(draft: Draft, subgraph: SubGraph, operator: Operator) -> Iterator[Tensor]:
    """Tensors that have values when a node runs."""
    before: set[int] = set()
    for other in subgraph.operators or ():
        if other is operator:
            break
        before.update(map(id, other.outputs or ()))
    for tensor in subgraph.tensors or ():
        has_values = tensor.data or tensor.is_variable or draft.is_graph_input(tensor) or id(tensor) in before
        if has_values and not any(tensor is output for output in operator.outputs or ()):
            yield tensor


def _fits(
    draft: Draft,
    operator: Operator,
    attribute: Attribute,
    position: int,
    tensor: Tensor,
    known: Mapping[int, Operand],
) -> bool:
    """Whether a node's kernel takes a tensor at a place, and makes the stored shapes of it."""
    mark = draft.mark()
    (draft.replace_input if attribute == "inputs" else draft.replace_output)(operator, position, tensor)
    try:
        return is_sound(draft, operator, known)
    finally:
        draft.back_to(mark)


def is_sound(draft: Draft, operator: Operator, known: Mapping[int, Operand]) -> bool:
    """Whether LiteRT's kernel is known, takes a node as it is, and makes outputs of the stored shapes."""
    node = prepared(draft.model, operator, known)
    if node is None:
        return False
    if any(problem.effect in (REFUSES, CRASHES) and problem.on & On.LITERT for problem in node.problems):
        return False
    made = [output for output in node.outputs if output is not None]
    return all(not output.tensor.shape or output.shape in (None, list(output.tensor.shape)) for output in made)


def _counts_right(draft: Draft, operator: Operator, attribute: Attribute, position: int, tensor: Tensor) -> bool:
    """Whether a bias is stored in the unit that the node would count it in."""
    from tflite_surgeon.edits.activations import node_of

    if attribute != "inputs":
        return True
    mark = draft.mark()
    draft.replace_input(operator, position, tensor)
    try:
        uses = [use for use in bias_uses(node_of(draft, operator)) if use.bias is tensor]
        return bool(uses) and all(use.is_right for use in uses)
    finally:
        draft.back_to(mark)


def fitting_outputs(draft: Draft, operator: Operator, position: int) -> list[Tensor]:
    """The tensors that are needed, that nothing computes, and that a node could write at a place.

    Where the kernel takes the node with none of them, those that are like what it writes now.
    """
    subgraph = draft.home(operator)
    early: set[int] = set()
    for other in subgraph.operators or ():
        early.update(map(id, other.inputs or ()))
        if other is operator:
            break
    candidates = [tensor for tensor in uncomputed(draft, subgraph) if id(tensor) not in early]
    if not candidates:
        return []
    known, _ = computed(draft.model)
    fitting = [tensor for tensor in candidates if _fits(draft, operator, "outputs", position, tensor, known)]
    written = (operator.outputs or [None])[position]
    if fitting or not isinstance(written, Tensor):
        return fitting
    shapes = Shapes(draft)
    return [tensor for tensor in candidates if is_like(written, tensor, shapes)]


def is_like(result: Tensor, wanted: Tensor, shapes: Shapes) -> bool:
    """Whether what a node computes is of the type, the shape and the scale that another tensor says."""

    def parts(tensor: Tensor) -> tuple[Any, ...]:
        quantization = tensor.quantization
        scales = (quantization.scale or [], quantization.zero_point or []) if quantization is not None else ([], [])
        return tensor.type, *scales

    is_computed = not (result.data or result.is_variable)
    return is_computed and parts(result) == parts(wanted) and shapes.of(result) == list(wanted.shape or ())
