"""References that lead nowhere: of a graph to its inputs and outputs, of a node to its tensors and its operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.fitting import Attribute, is_like, is_sound, is_unread, meant, uncomputed
from tflite_surgeon.edits.repairs.bias_missing import bias_missing
from tflite_surgeon.edits.repairs.buffers import point_at
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.shaping import Shapes
from tflite_surgeon.edits.unclaimed import unclaimed_buffer
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.computed import computed
from tflite_surgeon.knowledge.operators import ROLES
from tflite_surgeon.model.objects import Operator, OperatorCode, SubGraph, Tensor

_ATTRIBUTES: tuple[Attribute, ...] = ("inputs", "outputs")


@repair(
    "tensor-index",
    Phase.FILE,
    "Puts the tensor there that was meant, where one alone fits: for an input of the model the one that is read and "
    "never written, for an output the one that is written and never read, for a node's input or output the one whose "
    "shape and type its kernel takes. An entry of the model's lists that nothing fits is dropped, which is lossy.",
    "Where more than one tensor fits, the file does not tell which was meant.",
)
def tensor_index(draft: Draft, target: Target, wish: Wish) -> Result:
    """A reference of a node, or of the model's list of inputs or outputs."""
    if target.subgraph is None:
        return Refused("the finding names no subgraph")
    if target.operator is not None:
        return _of_node(draft, target.operator, lambda item: item is not None)
    told: list[Done] = []
    for end in _ATTRIBUTES:
        result = _of_graph(draft, target.subgraph, end)
        if isinstance(result, Refused):
            return result
        if result is not None:
            told.append(result)
    if not told:
        return None
    return Done("; ".join(d.what for d in told), told[0].reason, loses="; ".join(d.loses for d in told if d.loses))


@repair(
    "missing-input",
    Phase.GRAPH,
    "Puts the tensor there that was meant, where one alone fits the kernel: for an input one that nothing else reads, "
    "for an output one that is needed and that nothing computes. A bias that is nowhere in the file is one of zeros.",
    "Where more than one tensor fits, or none, the file does not tell which was meant.",
)
def missing_input(draft: Draft, target: Target, wish: Wish) -> Result:
    """A tensor that the kernel needs and the node does not name."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    result = _of_node(draft, operator, lambda item: item is None)
    roles = ROLES[operator.name].inputs if operator.name in ROLES else ()
    if (
        isinstance(result, Refused)
        and "bias" in roles
        and all(isinstance(item, Table) for item in operator.outputs or ())
    ):
        lost = [position for position, item in enumerate(operator.inputs or ()) if item is None]
        if lost == [roles.index("bias")] and meant(draft, operator, "inputs", lost[0]).is_none:
            return bias_missing(draft, target, wish)
    return result


def _of_node(draft: Draft, operator: Operator, is_wanted: Callable[[Any], bool]) -> Result:
    """The one reference of a node that leads nowhere, or is not given and should be."""
    places: list[tuple[Attribute, int, Any]] = [
        (attribute, position, item)
        for attribute in _ATTRIBUTES
        for position, item in enumerate(getattr(operator, attribute) or ())
        if not isinstance(item, Table) and is_wanted(item)
    ]
    # Many inputs may be left out; an output hardly ever.
    places = [place for place in places if place[0] == "outputs"] or places
    if not places:
        return None
    found = [(place, meant(draft, operator, place[0], place[1])) for place in places]
    fitting = [(place, search) for place, search in found if search.tensor is not None]
    (attribute, position, item), search = (fitting or found)[0]
    was = "is not given" if item is None else f"names tensor {item.index}, which does not exist"
    what = f"{attribute[:-1]} {position} of {operator.name} {was}"
    if search.tensor is None:
        return Refused(f"{what}: {search.reason}")
    if len(fitting) > 1:
        return Refused(f"{what}, and there is a tensor that fits at another place as well; put it there by hand")
    (draft.replace_input if attribute == "inputs" else draft.replace_output)(operator, position, search.tensor)
    return Done(f"{what}: it is {search.tensor.name!r} now", search.reason)


def _of_graph(draft: Draft, subgraph: SubGraph, end: Attribute) -> Done | Refused | None:
    """The entries of a subgraph's inputs or outputs that lead nowhere."""
    listed: list[Any] = list(getattr(subgraph, end) or ())
    bad = [number for number, item in enumerate(listed) if not isinstance(item, Table)]
    if not bad:
        return None
    candidates, reason = _ends(draft, subgraph, end)
    if len(bad) > 1 and candidates:
        return Refused(
            f"{len(bad)} of the model's {end} lead nowhere: the file does not tell which tensor belongs to which; "
            "list them by hand"
        )
    if len(candidates) > 1:
        names = " and ".join(repr(tensor.name) for tensor in candidates[:2])
        return Refused(f"more than one tensor could be the model's {end[:-1]} {bad[0]}: {names}; list it by hand")
    if candidates:
        listed[bad[0]] = candidates[0]
        draft.set(subgraph, end, listed)
        return Done(f"{end[:-1]} {bad[0]} of the model is {candidates[0].name!r}", reason)
    for number in reversed(bad):
        del listed[number]
    if not listed and end == "outputs":
        return Refused("the model's outputs lead nowhere and no tensor is written that nothing reads")
    draft.set(subgraph, end, listed)
    what = f"{end[:-1]} {', '.join(map(str, bad))} of the model is dropped"
    reason = f"no tensor is left that could be an {end[:-1]}"
    return Done(what, reason, loses=f"the model has {len(listed)} {end} and had {len(listed) + len(bad)}")


def _ends(draft: Draft, subgraph: SubGraph, end: Attribute) -> tuple[list[Tensor], str]:
    """Tensors that could be an input or output of a subgraph and are not listed, with what speaks for them."""
    listed = {id(item) for item in getattr(subgraph, end) or ()}
    named: list[Any] = [
        entry.tensor
        for signature in draft.model.signature_defs or ()
        if signature.subgraph is subgraph
        for entry in getattr(signature, end) or ()
        if isinstance(entry.tensor, Table) and id(entry.tensor) not in listed
    ]
    if named:
        return list({id(tensor): tensor for tensor in named}.values()), "the model's signature names it"
    if end == "inputs":
        return _unlisted_inputs(draft, subgraph), "it is the one tensor that nodes read and that nothing computes"
    written = [
        tensor
        for tensor in subgraph.tensors or ()
        if id(tensor) not in listed and draft.writers(tensor) and is_unread(draft, tensor) and not tensor.is_variable
    ]
    return written, "it is the one tensor that a node computes and that nothing reads"


def _unlisted_inputs(draft: Draft, subgraph: SubGraph) -> list[Tensor]:
    return [tensor for tensor in uncomputed(draft, subgraph) if draft.readers(tensor)]


@repair(
    "missing-data",
    Phase.GRAPH,
    "Lets a constant name the one buffer of its length that nothing else names; makes the tensor an input of the model "
    "where the signature names it so, or where the model has no inputs and "
    "this is the one that it lacks; lets the node write it whose result fits and is read by nobody.",
    "Where a tensor's bytes are gone, or the nodes that computed it, the file does not hold them.",
)
def missing_data(draft: Draft, target: Target, wish: Wish) -> Result:
    """A tensor that is read and that nothing computes, holds or is given."""
    subgraph = target.subgraph
    tensor = target.tensor
    if subgraph is None or tensor is None:
        return Refused("the finding names no tensor")
    if not any(tensor is lacking for lacking in uncomputed(draft, subgraph)):
        return None
    if any(_lost(subgraph)):
        return Refused(f"{tensor.name!r} may be what another reference meant that leads nowhere")
    buffer = unclaimed_buffer(draft, tensor) if draft.readers(tensor) else None
    if buffer is not None:
        return point_at(draft, tensor, buffer, "instead of the empty one")
    return _as_result(draft, subgraph, tensor) or _as_input(draft, subgraph, tensor)


def _lost(subgraph: SubGraph) -> Iterator[bool]:
    """Of each reference whether it leads nowhere, or an output that is not given."""
    for operator in subgraph.operators or ():
        for item in operator.inputs or ():
            yield item is not None and not isinstance(item, Table)
        for item in operator.outputs or ():
            yield not isinstance(item, Table)
    for item in (*(subgraph.inputs or ()), *(subgraph.outputs or ())):
        yield not isinstance(item, Table)


def _as_result(draft: Draft, subgraph: SubGraph, tensor: Tensor) -> Done | Refused | None:
    """Let the one node write a tensor whose result is like it, and that nobody reads."""
    fitting = []
    shapes = Shapes(draft)
    for operator in subgraph.operators or ():
        if any(use.operator is operator for use in draft.readers(tensor)):
            break  # Those behind compute too late.
        for position, output in enumerate(operator.outputs or ()):
            if isinstance(output, Tensor) and is_unread(draft, output) and is_like(output, tensor, shapes):
                fitting.append((operator, position, output))
    if len(fitting) > 1:
        return Refused(f"more than one node computes something like {tensor.name!r} that nobody reads")
    for operator, position, output in fitting:
        draft.replace_output(operator, position, tensor)
        what = f"{operator.name} writes {tensor.name!r}, and wrote {output.name!r}"
        return Done(what, "it is the one result that nobody reads, in the same type, shape and scale")
    return None


def _as_input(draft: Draft, subgraph: SubGraph, tensor: Tensor) -> Done | Refused:
    listed = list(subgraph.inputs or ())
    if not draft.readers(tensor):
        return Refused(
            f"no node of the file computes {tensor.name!r}, and no result is left over that fits it; convert the model "
            "again"
        )
    for signature in draft.model.signature_defs or ():
        names = [entry.tensor for entry in signature.inputs or ()]
        if signature.subgraph is subgraph and any(tensor is named for named in names):
            # In the signature's order, where the others are in that order as well.
            place = sum(any(item is named for named in _before(names, tensor)) for item in listed)
            listed.insert(place, tensor)
            draft.set(subgraph, "inputs", listed)
            return Done(f"{tensor.name!r} is input {place} of the model", "the model's signature names it as an input")
    if not listed and len(_unlisted_inputs(draft, subgraph)) == 1:
        draft.set(subgraph, "inputs", [tensor])
        reason = "the model has no other inputs, and this is the one tensor that nodes read and that nothing computes"
        return Done(f"{tensor.name!r} is input 0 of the model", reason)
    return Refused(
        f"nothing tells whether {tensor.name!r} was an input of the model, a constant whose bytes are gone, or the "
        "result of a node that is gone; list it among the inputs, or point it at its bytes"
    )


def _before(names: list[Any], tensor: Tensor) -> list[Any]:
    return names[: next(n for n, named in enumerate(names) if named is tensor)]


# The operator of a node


@repair(
    "operator-code-index",
    Phase.FILE,
    "Points the node at the operator code that was meant, where one operator alone has options of the node's kind and "
    "takes its tensors.",
    "A node without options of its own kind whose tensors suit several operators does not tell which it was.",
)
def operator_code_index(draft: Draft, target: Target, wish: Wish) -> Result:
    """The kind of a node that names no kind."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    if isinstance(operator.opcode, Table):
        return None
    was = f"operator code {operator.opcode.index}"
    return restore_kind(draft, operator, was) or Refused(
        f"{was} is not in the model's list, and {_too_many_or_none(draft, operator)}; name the operator by hand"
    )


def restore_kind(draft: Draft, operator: Operator, was: str) -> Done | None:
    """Point a node at the one operator of the model that has options of its kind and takes its tensors."""
    codes = _fitting_codes(draft, operator)
    unused = [code for code in codes if not _users(draft, code)]
    reason = "it is the one operator of the model that has options of the node's kind and takes its tensors"
    if len(unused) == 1 and len(codes) > 1:
        codes = unused
        reason = "it takes the node's tensors, and no other node is of it"
    elif len({code.name for code in codes}) > 1:
        codes = [code for code in codes if _types(operator) in map(_types, _users(draft, code))]
        reason = "it is the one operator of the model that other nodes with tensors of these types are of"
    if len({code.name for code in codes}) != 1:
        return None
    chosen = max(codes, key=lambda code: code.version)
    draft.set(operator, "opcode", chosen)
    return Done(f"the node is {chosen.name} in version {chosen.version}, and was {was}", reason)


def _too_many_or_none(draft: Draft, operator: Operator) -> str:
    names = sorted({code.name for code in _fitting_codes(draft, operator)})
    return (
        f"{' and '.join(names)} would take the node" if names else "no operator of the model takes the node's tensors"
    )


def _fitting_codes(draft: Draft, operator: Operator) -> list[OperatorCode]:
    fitting = []
    known, _ = computed(draft.model)
    for code in draft.model.operator_codes or ():
        if not _has_kind_of_options(draft, operator, code):
            continue
        mark = draft.mark()
        draft.set(operator, "opcode", code)
        if is_sound(draft, operator, known):
            fitting.append(code)
        draft.back_to(mark)
    return fitting


def _has_kind_of_options(draft: Draft, operator: Operator, code: OperatorCode) -> bool:
    """Whether an operator's options are of the table that a node holds, by its name or by its other nodes."""
    table = _options_table(operator)
    others = {_options_table(other) for other in _users(draft, code) if other is not operator}
    if table is None:
        return not others or None in others
    plain = code.name.replace("_", "").lower()
    return (
        table in others or table.removesuffix("Options").lower() == plain or (not others and _is_shared(table, plain))
    )


# Tables that several operators share, by what the operators' names hold.
_SHARED_TABLES = {"Pool2DOptions": "pool2d", "ReducerOptions": "reduce"}


def _is_shared(table: str, plain: str) -> bool:
    return _SHARED_TABLES.get(table, "\0") in plain


def _options_table(operator: Operator) -> str | None:
    for found in (operator.builtin_options, operator.builtin_options_2):
        if found is not None:
            return str(getattr(found, "table", "")) or "unknown"
    return None


def _types(operator: Operator) -> list[str]:
    """The types of a node's tensors, and which are quantised."""
    tensors = [item for item in (*(operator.inputs or ()), *(operator.outputs or ())) if isinstance(item, Tensor)]
    return [f"{tensor.type_name} {bool(tensor.quantization and tensor.quantization.scale)}" for tensor in tensors]


def _users(draft: Draft, code: OperatorCode) -> list[Operator]:
    return [
        operator
        for subgraph in draft.model.subgraphs or ()
        for operator in subgraph.operators or ()
        if operator.opcode is code
    ]
