"""Sparse constants that no kernel or loader reads as they are stored."""

from __future__ import annotations

from math import prod
from typing import Any

from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.sparse import DENSE, SPARSE, dense_bytes, places_of, vector_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.model.values import byte_count

_LACKS = "Where segments or indices are gone, nothing tells which elements the stored values are."
_SHUFFLED = "the weights are shuffled into tiles: convert the model again without it"


@repair(
    "weights-format",
    Phase.WEIGHTS,
    "Marks a dimension as sparse that has segments and indices and is marked as dense; stores the weights densely "
    "where the kernel does not read their form. Every value is kept, the file grows.",
    _LACKS,
)
def weights_format(draft: Draft, target: Target, wish: Wish) -> Result:
    """Sparse weights in a form that the kernel does not read."""
    tensor, operator = target.tensor, target.operator
    if tensor is None or tensor.sparsity is None:
        return Refused(_SHUFFLED)
    marked = _marked(draft, tensor)
    if marked is not None and not _is_odd(tensor):
        return marked
    position = next((n for n, item in enumerate((operator.inputs if operator else None) or ()) if item is tensor), None)
    own = tensor if operator is None or position is None else draft.own(Use(operator, position))
    return _dense(draft, own)


@repair(
    "sparsity",
    Phase.FILE,
    "Drops tables of sparsity where all elements are stored, or no node uses the tensor; marks a dimension that has "
    "segments and indices as sparse, and stores the tensor densely where its tables can be read at all.",
    _LACKS,
)
def sparsity(draft: Draft, target: Target, wish: Wish) -> Result:
    """Tables of sparsity that loaders refuse."""
    tensor = target.tensor
    if tensor is None or tensor.sparsity is None:
        return Refused("the finding names no sparse tensor")
    name, data = tensor.name, tensor.data
    full = byte_count(tensor.type_name, prod(tensor.shape or [1]))
    if data is not None and len(data) == full:
        draft.set(tensor, "sparsity", None)
        return Done(f"the tables of sparsity of {name!r} are dropped", "all its elements are stored")
    if not draft.readers(tensor) and not draft.writers(tensor) and not draft.is_interface(tensor):
        draft.set(tensor, "sparsity", None)
        draft.set(tensor, "buffer", draft.model.buffers[0] if draft.model.buffers else tensor.buffer)
        loses = f"the stored values of {name!r}, which no node reads"
        reason = "no node uses the tensor, and nothing places its values"
        return Done(f"{name!r} is stored without values", reason, None, None, loses)
    marked = _marked(draft, tensor)
    return marked if marked is not None else _dense(draft, tensor)


def _dense(draft: Draft, tensor: Tensor) -> Result:
    """The same values, all of them stored."""
    try:
        data = dense_bytes(tensor)
    except SurgeonError as error:
        return Refused(f"{error}: nothing tells which elements the stored values are")
    more = len(data) - len(tensor.data or b"")
    draft.store(tensor, data)
    draft.set(tensor, "sparsity", None)
    return Done(f"{tensor.name!r} is stored densely", f"every value is kept, in {more} bytes more")


def _marked(draft: Draft, tensor: Tensor) -> Done | None:
    """A dimension with segments and indices marked as sparse, where then as many values are described as stored."""
    parts: list[Any] = list(tensor.sparsity.dim_metadata or ())
    size = byte_count(tensor.type_name, 1) or 1
    mark = draft.mark()
    changed = []
    for number, part in enumerate(parts):
        has_both = vector_of(part.array_segments) is not None and vector_of(part.array_indices) is not None
        wanted = SPARSE if has_both else DENSE
        if part.format != wanted and (has_both or part.dense_size > 0):
            draft.set(part, "format", enum_class("DimensionType")(wanted))
            changed.append(number)
    try:
        fits = bool(changed) and len(places_of(tensor)) * size == len(tensor.data or b"")
    except SurgeonError:
        fits = False
    if not fits:
        draft.back_to(mark)
        return None
    what = (
        f"dimension{'s' if len(changed) > 1 else ''} {', '.join(map(str, changed))} of {tensor.name!r} marked as stored"
    )
    return Done(
        what, "with segments and indices it is sparse, without it is dense; then all stored values have a place"
    )


def _is_odd(tensor: Tensor) -> bool:
    """Whether the form is none that kernels read: single values or blocks of 4 floats or 16 integers along the rows."""
    parts = tensor.sparsity.dim_metadata or []
    block = parts[2].dense_size if len(parts) == 3 else None
    allowed = (None, 4) if tensor.type_name == "FLOAT32" else (16,)
    return [part.format for part in parts[:2]] != [DENSE, SPARSE] or block not in allowed
