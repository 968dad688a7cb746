"""Which bytes a tensor meant that names none: the one buffer of the right length that nobody else names."""

from __future__ import annotations

from math import prod

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.knowledge.construction.tensors import PACKED, WIDTHS
from tflite_surgeon.model.objects import Buffer, Tensor
from tflite_surgeon.rules.hygiene import used_tensors


def byte_count(tensor: Tensor) -> int | None:
    """The bytes that a constant of its type and shape has; None where these do not say."""
    width = WIDTHS.get(int(tensor.type))
    if not width or any(dimension < 0 for dimension in tensor.shape or ()):
        return None
    size = width * prod(tensor.shape or ())
    return -(-size // PACKED[int(tensor.type)]) if int(tensor.type) in PACKED else size


def unclaimed_buffer(draft: Draft, tensor: Tensor) -> Buffer | None:
    """The one buffer that has as many bytes as a tensor needs and that no tensor and no metadata names."""
    wanted = byte_count(tensor)
    if not wanted:
        return None
    found = [
        buffer
        for buffer in (draft.model.buffers or [])[1:]
        if buffer.data is not None and len(buffer.data) == wanted and not draft.holders(buffer)
    ]
    return found[0] if len(found) == 1 else None


def is_unused(draft: Draft, tensor: Tensor) -> bool:
    """Whether nothing in the model names a tensor: it can be taken out without anybody noticing."""
    if draft.readers(tensor) or draft.writers(tensor) or draft.is_interface(tensor):
        return False
    return id(tensor) not in used_tensors(draft.model, draft.home(tensor))


def is_computed(draft: Draft, tensor: Tensor) -> bool:
    """Whether a tensor gets its values when the model runs: it needs no bytes in the file."""
    return bool(draft.writers(tensor)) or draft.is_graph_input(tensor) or tensor.is_variable
