"""Repairs of the header, of parts that every model has, and of signatures."""

from __future__ import annotations

from typing import Any

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.flatbuffer.schema import FILE_IDENTIFIER
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.model.objects import BadReference, Buffer, Model, SignatureDef, SubGraph, Tensor

_SCHEMA_VERSION = 3
# The name that converters give to the signature of a model that has one.
_USUAL_KEY = "serving_default"


@repair(
    "file-identifier",
    Phase.FILE,
    "Writes TFL3 where the rest of the file is a TFLite model.",
    "A file without subgraphs shows no sign of being a TFLite model at all.",
)
def file_identifier(draft: Draft, target: Target, wish: Wish) -> Result:
    """Bytes 4 to 8."""
    model = draft.model
    if model.identifier == FILE_IDENTIFIER:
        return None
    if not any(subgraph.tensors for subgraph in model.subgraphs or ()):
        return Refused("nothing in the file shows that it is a TFLite model: it has no subgraph with tensors")
    what = f"the file identifier is {FILE_IDENTIFIER!r} instead of {model.identifier!r}"
    draft.set(model, "identifier", FILE_IDENTIFIER)
    return Done(what, "the rest of the file is a TFLite model")


@repair(
    "schema-version",
    Phase.FILE,
    "Writes version 3, the schema that the file was read with.",
    "A file without subgraphs shows no sign of being of version 3.",
)
def schema_version(draft: Draft, target: Target, wish: Wish) -> Result:
    """The schema version."""
    model, old = draft.model, draft.model.version
    if old == _SCHEMA_VERSION:
        return None
    if not any(subgraph.tensors for subgraph in model.subgraphs or ()):
        return Refused(f"nothing in the file shows that it is of schema version {_SCHEMA_VERSION}: it has no tensors")
    draft.set(model, "version", _SCHEMA_VERSION)
    return Done(
        f"the schema version is {_SCHEMA_VERSION} instead of {old}",
        f"the file reads as one of version {_SCHEMA_VERSION}, the only one that runtimes take",
    )


# Parts that are not there


@repair(
    "missing-vector",
    Phase.FILE,
    "Adds the list where an empty one says the same: of tensors, inputs or outputs where nothing names one, of buffers "
    "where no tensor needs bytes.",
    "Subgraphs and the bytes of constants cannot be made up; whoever stripped the file has them.",
)
def missing_vector(draft: Draft, target: Target, wish: Wish) -> Result:
    """Lists that the file leaves out."""
    model = draft.model
    if not model.subgraphs:
        return Refused("the file has no subgraph, and so no model to repair: convert it again")
    if target.subgraph is not None:
        return _lists_of(draft, target.subgraph)
    if model.buffers is not None:
        return None
    lacking = next((tensor for tensor in _tensors(model) if _needs_bytes(draft, tensor)), None)
    if lacking is not None:
        return Refused(f"the constant {lacking.name!r} needs bytes, and the file has no buffers: convert it again")
    empty = Buffer()
    draft.set(model, "buffers", [empty])
    for tensor in _tensors(model):
        draft.set(tensor, "buffer", empty)
    for entry in model.metadata or ():
        if isinstance(entry.buffer, BadReference):
            draft.set(entry, "buffer", empty)
    return Done("the file has a list of buffers with the empty one that all tensors name", "no tensor needs bytes")


def _lists_of(draft: Draft, subgraph: SubGraph) -> Result:
    number = next(n for n, other in enumerate(draft.model.subgraphs or ()) if other is subgraph)
    missing = [name for name in ("tensors", "inputs", "outputs") if getattr(subgraph, name) is None]
    if not missing:
        return None
    if "tensors" in missing:
        named: list[Any] = [*(subgraph.inputs or ()), *(subgraph.outputs or ())]
        for operator in subgraph.operators or ():
            named += [*(operator.inputs or ()), *(operator.outputs or ())]
        if any(item is not None for item in named):
            return Refused(f"subgraph {number} names tensors, and the file has none of them: convert it again")
    for name in missing:
        draft.set(subgraph, name, [])
    lists = " and ".join(missing)
    return Done(f"subgraph {number} has an empty list of {lists}", "LiteRT reads a list that is not there as empty")


def _tensors(model: Model) -> list[Tensor]:
    return [tensor for subgraph in model.subgraphs or () for tensor in subgraph.tensors or ()]


def _needs_bytes(draft: Draft, tensor: Tensor) -> bool:
    """Whether operators or the caller read it, and only the file could say what it holds."""
    if tensor.is_variable or draft.writers(tensor) or draft.is_graph_input(tensor):
        return False
    return bool(draft.readers(tensor)) or draft.is_graph_output(tensor)


# Signatures


@repair(
    "signature",
    Phase.FILE,
    "Names a signature without a name, writes empty lists for missing ones, and lets entries that lead nowhere name "
    "the one input or output that no other entry names. A signature of which the file does not tell what it calls is "
    "removed.",
)
def signature(draft: Draft, target: Target, wish: Wish) -> Result:
    """All signatures: the finding tells of the file as a whole."""
    done: list[str] = []
    warnings: list[str] = []
    for number, entry in enumerate(list(draft.model.signature_defs or ())):
        name = f"signature {number if entry.signature_key is None else repr(entry.signature_key)}"
        told = _linked(draft, entry)
        if told is None:
            draft.remove(draft.model, "signature_defs", entry)
            done.append(f"{name} is removed")
            warnings.append(f"the file does not tell what {name} was to call, and who asks for it now finds none")
            continue
        done += [f"{name} {what}" for what in told]
        if entry.signature_key is None:
            taken = {other.signature_key for other in draft.model.signature_defs or ()}
            key = _USUAL_KEY if _USUAL_KEY not in taken else f"signature_{number}"
            draft.set(entry, "signature_key", key)
            done.append(f"{name} is named {key!r}")
        for attribute in ("inputs", "outputs"):
            if getattr(entry, attribute) is None:
                draft.set(entry, attribute, [])
                done.append(f"{name} has an empty list of {attribute}")
    return Done("; ".join(done), warnings=tuple(warnings)) if done else None


def _linked(draft: Draft, entry: SignatureDef) -> list[str] | None:
    """Let what leads nowhere lead where nothing else can be meant; None where it cannot be told."""
    told = []
    graphs = draft.model.subgraphs or []
    if not isinstance(entry.subgraph, Table):
        is_taken = any(graph is other.subgraph for graph in graphs for other in draft.model.signature_defs or ())
        if len(graphs) != 1 or is_taken:
            return None
        draft.set(entry, "subgraph", graphs[0])
        told.append("calls the only subgraph")
    graph: Any = entry.subgraph
    for attribute in ("inputs", "outputs"):
        entries = getattr(entry, attribute) or []
        lost = [item for item in entries if not isinstance(item.tensor, Table)]
        named = {id(item.tensor) for item in entries}
        free = [item for item in getattr(graph, attribute) or () if isinstance(item, Table) and id(item) not in named]
        found = _meant(lost, free, graph.tensors or [])
        if found is None:
            return None
        for item, tensor in zip(lost, found):
            draft.set(item, "tensor", tensor)
            told.append(f"names {tensor.name!r} as {item.name!r}")
    return told


def _meant(lost: list[Any], free: list[Any], tensors: list[Any]) -> list[Any] | None:
    """For each entry that leads nowhere, the input or output that it must mean; None where one is not clear."""
    if len(lost) == len(free) == 1:
        return free
    by_name = {tensor.name: tensor for tensor in free}
    found: list[Any] = []
    for item in lost:
        number = item.tensor.index if isinstance(item.tensor, BadReference) else -1
        stored = tensors[number] if 0 <= number < len(tensors) else None
        tensor = stored if any(stored is other for other in free) else by_name.get(item.name)
        if tensor is None or any(tensor is other for other in found):
            return None
        found.append(tensor)
    return found
