"""Upkeep: what no runtime minds is taken out, shared, named. Only rules that a person selects are repaired so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.plan import RemoveItem
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.model.objects import (
    OLD_FIELD_HOLDS,
    BadReference,
    Buffer,
    Metadata,
    Model,
    SignatureDef,
    SubGraph,
    Tensor,
    TensorMap,
)
from tflite_surgeon.rules.hygiene import is_of_two_minds, used_tensors

_USUAL_KEY = "serving_default"


def _without(draft: Draft, owner: Any, attribute: str, unwanted: set[int]) -> int:
    """Take the objects with these identities out of a list; how many there were."""
    items = list(enumerate(getattr(owner, attribute) or ()))
    gone = [(index, item) for index, item in reversed(items) if id(item) in unwanted]
    draft.make([RemoveItem(owner, attribute, index, item, draft.path(item)) for index, item in gone])
    return len(gone)


def _plural(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' if count != 1 else ''}"


@repair("unused-tensor", Phase.UPKEEP, "Takes them out of the list; the others move down.")
def unused_tensor(draft: Draft, target: Target, wish: Wish) -> Result:
    """Tensors that nothing names."""
    subgraph = target.subgraph
    if subgraph is None:
        return Refused("the finding names no subgraph")
    used = used_tensors(draft.model, subgraph)
    unwanted = {id(tensor) for tensor in subgraph.tensors or () if id(tensor) not in used}
    count = _without(draft, subgraph, "tensors", unwanted)
    return Done(f"{_plural(count, 'tensor')} removed") if count else None


@repair("unused-buffer", Phase.UPKEEP, "Takes them out of the list; the others move down.")
def unused_buffer(draft: Draft, target: Target, wish: Wish) -> Result:
    """Buffers with bytes that nothing names."""
    buffers = draft.model.buffers or []
    unwanted = [buffer for buffer in buffers[1:] if buffer.data and not draft.holders(buffer)]
    size = sum(len(buffer.data or b"") for buffer in unwanted)
    count = _without(draft, draft.model, "buffers", set(map(id, unwanted)))
    return Done(f"{_plural(count, 'buffer')} removed, {size:,} bytes") if count else None


@repair("unused-operator-code", Phase.UPKEEP, "Takes them out of the list; the others move down.")
def unused_operator_code(draft: Draft, target: Target, wish: Wish) -> Result:
    """Operator codes that no operator names."""
    used = {id(node.operator.opcode) for node in draft.model.nodes()}
    unwanted = {id(code) for code in draft.model.operator_codes or () if id(code) not in used}
    count = _without(draft, draft.model, "operator_codes", unwanted)
    return Done(f"{_plural(count, 'operator code')} removed") if count else None


@repair("operator-code-fields", Phase.UPKEEP, "Writes the operator's number into both fields, up to 127 into the old.")
def operator_code_fields(draft: Draft, target: Target, wish: Wish) -> Result:
    """Operator codes that old and new readers read differently."""
    from tflite_surgeon.flatbuffer.schema import enum_class

    codes = [code for code in draft.model.operator_codes or () if is_of_two_minds(code)]
    for code in codes:
        number = code.code
        member = enum_class("BuiltinOperator")._value2member_map_.get(number, number)
        draft.set(code, "builtin_code", member)
        draft.set(code, "deprecated_builtin_code", min(number, OLD_FIELD_HOLDS))
    names = ", ".join(sorted({code.name for code in codes}))
    return Done(f"{_plural(len(codes), 'operator code')} ({names}) say the same in both fields") if codes else None


@repair(
    "duplicate-buffer",
    Phase.UPKEEP,
    "Lets tensors of one content name the first buffer that holds it, and takes the others out.",
)
def duplicate_buffer(draft: Draft, target: Target, wish: Wish) -> Result:
    """Buffers that hold the same bytes."""
    copies = list(_copies(draft.model, target.finding.details.get("buffers") or ()))
    for copy, first in copies:
        for holder in list(draft.holders(copy)):
            if isinstance(holder, (Tensor, Metadata)):
                draft.set(holder, "buffer", first)
            else:
                kept = [first if item is copy else item for item in draft.model.metadata_buffers or ()]
                draft.set(draft.model, "metadata_buffers", kept)
    size = sum(len(copy.data or b"") for copy, _ in copies)
    count = _without(draft, draft.model, "buffers", {id(copy) for copy, _ in copies})
    return (
        Done(f"{_plural(count, 'copy' if count == 1 else 'copie')} of buffers removed, {size:,} bytes")
        if count
        else None
    )


def _copies(model: Model, numbers: Any) -> Iterator[tuple[Buffer, Buffer]]:
    """Buffers that were found to be copies, each with the first one of the same bytes."""
    buffers = model.buffers or []
    found = [buffers[number] for number in numbers if 0 <= number < len(buffers)]
    sizes = {len(buffer.data) for buffer in found if buffer.data is not None}
    first: dict[bytes, Buffer] = {}
    for buffer in buffers:
        data = buffer.data
        if data is None or len(data) not in sizes:
            continue
        digest = hashlib.sha256(data).digest()
        if digest in first:
            yield buffer, first[digest]
        first.setdefault(digest, buffer)


@repair(
    "duplicate-name",
    Phase.UPKEEP,
    "Leaves the name to the model's input or output, or else to the first that has it, and numbers the others.",
)
def duplicate_name(draft: Draft, target: Target, wish: Wish) -> Result:
    """Tensors of one name."""
    subgraph = target.subgraph
    if subgraph is None:
        return Refused("the finding names no subgraph")
    tensors = [tensor for tensor in subgraph.tensors or () if tensor.name]
    # The names that programs ask for come first.
    ordered = sorted(tensors, key=lambda tensor: not draft.is_interface(tensor))
    all_names = {tensor.name for tensor in tensors}
    taken: set[str | None] = set()
    next_number: dict[str, int] = {}
    renamed = []
    for tensor in ordered:
        old = tensor.name or ""
        if old not in taken:
            taken.add(old)
            continue
        number = next_number.get(old, 1)
        while (name := f"{old}_{number}") in all_names or name in taken:
            number += 1
        next_number[old] = number + 1
        taken.add(name)
        draft.set(tensor, "name", name)
        renamed.append(f"{name!r}")
    shown = ", ".join(renamed[:8]) + (" ..." if len(renamed) > 8 else "")
    return Done(f"{_plural(len(renamed), 'tensor')} renamed: {shown}") if renamed else None


@repair(
    "missing-signature",
    Phase.UPKEEP,
    "Makes a signature named serving_default of the inputs and outputs of the first subgraph, by the names of their "
    "tensors.",
)
def missing_signature(draft: Draft, target: Target, wish: Wish) -> Result:
    """A model without signatures."""
    model = draft.model
    if model.signature_defs or not model.subgraphs:
        return None
    subgraph = model.subgraphs[0]
    entries = {name: _entries(subgraph, name) for name in ("inputs", "outputs")}
    if entries["inputs"] is None or entries["outputs"] is None:
        return Refused("an input or output of the model does not exist: repair tensor-index first")
    signature = SignatureDef(signature_key=_USUAL_KEY, subgraph=subgraph, **entries)
    draft.append(model, "signature_defs", signature)
    names = [" and ".join(repr(entry.name) for entry in listed) for listed in entries.values() if listed]
    return Done(f"the signature {_USUAL_KEY!r} takes {' and gives '.join(names)}")


def _entries(subgraph: SubGraph, attribute: str) -> list[TensorMap] | None:
    """The inputs or outputs by names of their own; None where one does not exist."""
    found: list[TensorMap] = []
    taken: set[str] = set()
    for number, tensor in enumerate(getattr(subgraph, attribute) or ()):
        if not isinstance(tensor, Tensor):
            return None
        # As converters name them: without the prefix and the output number that they give to tensors.
        stem = (tensor.name or f"{attribute[:-1]}_{number}").removeprefix(f"{_USUAL_KEY}_").removesuffix(":0")
        name, count = stem, 1
        while name in taken or not name:
            name, count = f"{stem or attribute[:-1]}_{count}", count + 1
        taken.add(name)
        found.append(TensorMap(name=name, tensor=tensor))
    return found


@repair(
    "dangling-metadata",
    Phase.UPKEEP,
    "Takes entries out that name a buffer which the model does not list: their content is not in the file.",
)
def dangling_metadata(draft: Draft, target: Target, wish: Wish) -> Result:
    """Metadata whose bytes are nowhere."""
    model = draft.model
    lost = [entry for entry in model.metadata or () if isinstance(entry.buffer, BadReference)]
    count = _without(draft, model, "metadata", set(map(id, lost)))
    kept = [item for item in model.metadata_buffers or () if not isinstance(item, BadReference)]
    gone = len(model.metadata_buffers or ()) - len(kept)
    if gone:
        draft.set(model, "metadata_buffers", kept)
    names = ", ".join(repr(entry.name) for entry in lost)
    return (
        Done(f"{_plural(count + gone, 'entr' + ('y' if count + gone == 1 else 'ie'))} removed: {names}")
        if count + gone
        else None
    )
