"""Repairs of where the bytes of constants lie, and of marks that contradict them."""

from __future__ import annotations

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.unclaimed import byte_count, is_computed, is_unused, unclaimed_buffer
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.model.objects import Buffer, Metadata, Model, Tensor

# What a flatbuffer can hold; the tables need some of it as well.
_MOST_INSIDE = (1 << 31) - (1 << 26)
_NOT_VARIABLE = tuple(int(enum_class("TensorType")[name]) for name in ("STRING", "RESOURCE", "VARIANT"))
# The inputs that kernels keep as a state, and take from a variable alone.
_STATES = {
    "SVDF": (4,),
    "LSTM": (18, 19),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (35, 36, 37, 38),
    "RNN": (4,),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (4,),
    "BIDIRECTIONAL_SEQUENCE_RNN": (4, 8),
}


@repair(
    "sentinel-buffer",
    Phase.FILE,
    "Puts an empty buffer first; constants whose shape and type need exactly the bytes of the old one keep them, and "
    "so does metadata. All other tensors name the empty one.",
)
def sentinel_buffer(draft: Draft, target: Target, wish: Wish) -> Result:
    """Buffer 0 with data."""
    model = draft.model
    old = model.buffers[0] if model.buffers else None
    if old is None or not old.data:
        return None
    size = len(old.data)
    holders = draft.holders(old)
    keeping = [
        tensor
        for tensor in holders
        if isinstance(tensor, Tensor)
        and not is_computed(draft, tensor)
        and draft.readers(tensor)
        and byte_count(tensor) == size
    ]
    if not keeping and not any(isinstance(holder, (Metadata, Model)) for holder in holders):
        draft.set(old, "data", None)
        dropped = f"the {size} bytes that buffer 0 held are dropped: no constant has their length"
        return Done("buffer 0 is empty", "all tensors that name it are computed", warnings=(dropped,))
    empty = Buffer()
    draft.insert(model, "buffers", 0, empty)
    for holder in holders:
        if isinstance(holder, Tensor) and not any(holder is tensor for tensor in keeping):
            draft.set(holder, "buffer", empty)
    names = " and ".join(repr(tensor.name) for tensor in keeping) or "metadata"
    return Done(f"an empty buffer stands first, and {names} keeps the {size} bytes of the old one, now buffer 1")


@repair(
    "buffer-offset",
    Phase.FILE,
    "Moves bytes that lie behind the flatbuffer into it, where all of them together stay below 2 GB.",
    "Bytes at an offset outside the file were cut off, and are not in it.",
)
def buffer_offset(draft: Draft, target: Target, wish: Wish) -> Result:
    """Bytes outside the flatbuffer."""
    tensor = target.tensor
    buffer = tensor.buffer if tensor is not None else None
    if tensor is None or not isinstance(buffer, Buffer):
        return Refused("the finding names no tensor with a buffer")
    if buffer.data is None:
        lies = f"bytes {buffer.offset} to {buffer.offset + buffer.size}, where {tensor.name!r} lies,"
        return Refused(f"{lies} are not in the file: it was cut short; take it from where it is whole")
    if not buffer.outside:
        return None
    everything = sum(len(other.data) for other in draft.model.buffers or () if other.data is not None)
    if everything > _MOST_INSIDE:
        return Refused(f"the constants take {everything:,} bytes, more than a flatbuffer can hold: they stay behind it")
    draft.set(buffer, "outside", False)
    return Done(f"the {len(buffer.data)} bytes of {tensor.name!r} are moved into the flatbuffer")


@repair(
    "buffer-index",
    Phase.FILE,
    "Lets a tensor that is computed name the empty buffer 0, and a constant the one buffer of its length that nothing "
    "else names.",
    "Where no buffer that nothing names has the constant's length, or more than one, its bytes cannot be told.",
)
def buffer_index(draft: Draft, target: Target, wish: Wish) -> Result:
    """A buffer that the model does not list."""
    tensor, buffers = target.tensor, draft.model.buffers
    if tensor is None or not buffers:
        return Refused("the file has no buffers")
    if isinstance(tensor.buffer, Table):
        return None
    wrong = tensor.buffer.index
    if is_computed(draft, tensor) or is_unused(draft, tensor):
        if buffers[0].data:
            return Refused("buffer 0, which is empty in other files, holds data: repair sentinel-buffer first")
        why = "it is computed" if is_computed(draft, tensor) else "nothing reads it"
        draft.set(tensor, "buffer", buffers[0])
        return Done(f"{tensor.name!r} names the empty buffer 0 instead of {wrong}", f"{why}, so that it needs no bytes")
    found = unclaimed_buffer(draft, tensor)
    if found is None:
        return Refused(
            f"no single buffer that nothing names has the {byte_count(tensor) or 0} bytes of {tensor.name!r}: "
            "convert the model again"
        )
    return point_at(draft, tensor, found, f"instead of {wrong}, which is not listed")


def point_at(draft: Draft, tensor: Tensor, buffer: Buffer, instead: str) -> Done:
    """Let a constant name the buffer that was found for it."""
    number = next(n for n, other in enumerate(draft.model.buffers or ()) if other is buffer)
    size = len(buffer.data or b"")
    draft.set(tensor, "buffer", buffer)
    return Done(
        f"{tensor.name!r} names buffer {number} {instead}",
        f"it needs {size} bytes, and no other buffer has as many and is named by nothing",
    )


# Marks


@repair(
    "variable-with-data",
    Phase.FILE,
    "Takes the data from a variable that a kernel keeps its state in, which starts as zeros everywhere; takes the mark "
    "from all others. Bytes in the file go before a mark of external ones.",
)
def variable_with_data(draft: Draft, target: Target, wish: Wish) -> Result:
    """A variable with bytes, or of a type that cannot vary."""
    tensor, buffers = target.tensor, draft.model.buffers
    if tensor is None or not buffers:
        return Refused("the finding names no tensor")
    name = tensor.name
    if tensor.is_variable and int(tensor.type) in _NOT_VARIABLE:
        draft.set(tensor, "is_variable", False)
        return Done(f"{name!r} is no variable", f"a tensor of type {tensor.type_name} cannot be one")
    if tensor.is_variable and tensor.data is not None:
        state = next((use for use in draft.readers(tensor) if use.position in _STATES.get(use.operator.name, ())), None)
        if state is not None:
            if buffers[0].data:
                return Refused("buffer 0, which is empty in other files, holds data: repair sentinel-buffer first")
            content = "all zero" if not any(bytes(tensor.data)) else "no runtime starts from"
            size = len(tensor.data)
            draft.set(tensor, "buffer", buffers[0])
            reason = f"{state.operator.name} keeps its state there, which starts as zeros"
            return Done(f"the variable {name!r} has no data; it held {size} bytes, {content}", reason)
        draft.set(tensor, "is_variable", False)
        readers = "no kernel keeps a state in it" if draft.readers(tensor) else "nothing reads it"
        return Done(f"{name!r} is a constant, no variable", f"it holds {len(tensor.data)} bytes, and {readers}")
    if tensor.external_buffer and tensor.data is not None:
        old = tensor.external_buffer
        draft.set(tensor, "external_buffer", 0)
        warning = f"whether external buffer {old} holds the same bytes is for you to compare"
        return Done(
            f"{name!r} names no external buffer any more",
            f"it holds its {len(tensor.data)} bytes in the file, which runtimes before LiteRT 2 read as well",
            warnings=(warning,),
        )
    return None
