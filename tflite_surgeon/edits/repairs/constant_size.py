"""Repair of constants whose bytes are not as many as their shape and type need.

One of four is damaged: which buffer it is, how long that is, the type, the shape. Each has its traces in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.lengths import left_behind, stretch
from tflite_surgeon.edits.objections import computed_tensors, objections
from tflite_surgeon.edits.repairs.buffers import point_at
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.unclaimed import byte_count, is_unused, unclaimed_buffer
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.knowledge.construction.tensors import WIDTHS
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.model.objects import Buffer, Tensor

_LARGEST_DIMENSION = 1 << 31


@repair(
    "constant-size",
    Phase.FILE,
    "Finds out what is damaged: the length of the buffer (its other bytes lie in the file still, or it reaches over "
    "other things), which buffer it is, the type, or one dimension of the shape, where the kernels that read the "
    "constant take one alone. Bytes that nothing reads are cut off behind a shape that kernels take; a constant that "
    "nothing reads is removed.",
    "Where bytes are missing that the file does not hold, or more than one shape or type would do, it does not tell "
    "what was meant.",
)
def constant_size(draft: Draft, target: Target, wish: Wish) -> Result:
    """More or fewer bytes than shape and type need."""
    tensor = target.tensor
    if tensor is None or not isinstance(tensor.buffer, Buffer) or tensor.buffer.data is None:
        return Refused("the finding names no constant")
    size, needed = len(tensor.buffer.data), byte_count(tensor)
    if size == needed:
        return None
    if needed is not None:
        found = _by_length(draft, tensor, tensor.buffer, needed) or _by_buffer(draft, tensor, tensor.buffer, needed)
        if found is not None:
            return found
    if is_unused(draft, tensor) and (needed is None or size < needed):
        draft.remove(draft.home(tensor), "tensors", tensor)
        return Done(f"{tensor.name!r} is removed", f"it has {size} of {needed} bytes, and nothing reads it")
    known = computed_tensors(draft)
    now = _faults(draft, tensor, known) if needed is not None else None
    if now != 0:
        ways = _likeliest(draft, tensor, [*_types(tensor, size), *_shapes(tensor, size)], now, known)
        if len(ways) == 1:
            return _changed(draft, tensor, ways[0], size)
        if ways:
            listed = " or ".join(str(way) for way in ways[:3])
            return Refused(f"the {size} bytes of {tensor.name!r} could be {listed}; write what was meant")
    if needed is not None and size > needed and (now is not None or not draft.readers(tensor)):
        return _trimmed(draft, tensor, needed)
    return Refused(
        f"{tensor.name!r} has {size} bytes and its shape {tensor.shape or []} of {tensor.type_name} needs {needed}: no "
        "other shape or type fits both the bytes and the kernels that read it; convert the model again"
    )


# The length, and which buffer


def _by_length(draft: Draft, tensor: Tensor, buffer: Buffer, needed: int) -> Done | None:
    if buffer.outside or buffer.data is None or buffer.data is not buffer._stored_data:
        return None
    size = len(buffer.data)
    if size < needed:
        data = left_behind(draft, buffer, "data", needed)
        if data is None:
            return None
        draft.store(tensor, data)
        return Done(
            f"{tensor.name!r} has {needed} bytes instead of {size}",
            f"the other {needed - size} lie behind these in the file, claimed by nothing else: its length is wrong",
        )
    found = stretch(draft, buffer, "data")
    if found is None or not found.reaches_over_others or found.start + needed > found.limit:
        return None
    draft.store(tensor, bytes(buffer.data[:needed]))
    return Done(
        f"{tensor.name!r} has {needed} bytes instead of {size}",
        f"bytes from {found.limit - found.start} on belong to other parts of the file: its length is wrong",
    )


def _by_buffer(draft: Draft, tensor: Tensor, buffer: Buffer, needed: int) -> Done | None:
    """Another buffer, where this one is another tensor's."""
    size = len(buffer.data or b"")
    others = [holder for holder in draft.holders(buffer) if holder is not tensor]
    if not any(isinstance(other, Tensor) and byte_count(other) == size for other in others):
        return None
    found = unclaimed_buffer(draft, tensor)
    if found is None or len(found.data or b"") != needed:
        return None
    number = next(n for n, other in enumerate(draft.model.buffers or ()) if other is buffer)
    return point_at(draft, tensor, found, f"instead of {number}, which holds {others[0].name!r}")


# The type, and the shape


@dataclass(frozen=True)
class _Way:
    """Another type or another shape that needs as many bytes as there are."""

    type_number: int
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{enum_class('TensorType')(self.type_number).name} of shape {list(self.shape)}"


def _types(tensor: Tensor, size: int) -> Iterator[_Way]:
    for number, width in WIDTHS.items():
        changed = Tensor(shape=tensor.shape, type=enum_class("TensorType")(number))
        if width and number != int(tensor.type) and byte_count(changed) == size:
            yield _Way(number, tuple(tensor.shape or ()))


def _shapes(tensor: Tensor, size: int) -> Iterator[_Way]:
    shape = list(tensor.shape or ())
    for axis, dimension in enumerate(shape):
        others = byte_count(Tensor(shape=[*shape[:axis], 1, *shape[axis + 1 :]], type=tensor.type))
        if not others or size < others:
            continue
        # Of elements that share a byte, the last may be alone in it.
        for length in {size // others, size * max(prod(shape[:axis] + shape[axis + 1 :]), 1) // max(others, 1)}:
            changed = [*shape[:axis], length, *shape[axis + 1 :]]
            is_possible = length != dimension and 0 < length < _LARGEST_DIMENSION
            if is_possible and byte_count(Tensor(shape=changed, type=tensor.type)) == size:
                yield _Way(int(tensor.type), tuple(changed))


def other_shapes(tensor: Tensor, size: int) -> list[list[int]]:
    """The shapes that need as many bytes as there are, and differ from a tensor's in one dimension."""
    return [list(way.shape) for way in _shapes(tensor, size)]


def _likeliest(
    draft: Draft, tensor: Tensor, ways: list[_Way], now: int | None, known: Mapping[int, Operand]
) -> list[_Way]:
    """Those of several ways in which the kernels find the least to object to, less than they do now."""
    faults = {way: _faults_of(draft, tensor, way, known) for way in ways}
    counts = [count for count in faults.values() if count is not None and (now is None or count < now)]
    fewest = [way for way, count in faults.items() if counts and count == min(counts)]
    if len(fewest) < 2:
        return fewest
    # Models are of one kind of 8-bit integers, but for what they convert.
    others = {int(other.type) for graph in draft.model.subgraphs or () for other in graph.tensors or ()}
    return [way for way in fewest if way.type_number in others - {int(tensor.type)}] or fewest


def _faults_of(draft: Draft, tensor: Tensor, way: _Way, known: Mapping[int, Operand]) -> int | None:
    quantization = tensor.quantization
    scales = (quantization.scale if quantization is not None else None) or []
    axis = quantization.quantized_dimension if quantization is not None else 0
    if len(scales) > 1 and list(way.shape[axis : axis + 1]) != [len(scales)]:
        return None
    mark = draft.mark()
    _write(draft, tensor, way)
    try:
        return _faults(draft, tensor, {key: value for key, value in known.items() if key != id(tensor)})
    finally:
        draft.back_to(mark)


def _faults(draft: Draft, tensor: Tensor, known: Mapping[int, Operand]) -> int | None:
    """How much the kernels that read a constant compute otherwise than the file says; None where one refuses it."""
    found = [objections(draft, use.operator, known) for use in draft.readers(tensor)]
    counts = [count for count in found if count is not None]
    return sum(counts) if counts and len(counts) == len(found) else None


def _write(draft: Draft, tensor: Tensor, way: _Way) -> None:
    draft.set(tensor, "type", enum_class("TensorType")(way.type_number))
    draft.set(tensor, "shape", list(way.shape))


def _changed(draft: Draft, tensor: Tensor, way: _Way, size: int) -> Done:
    before = f"{tensor.type_name} of shape {tensor.shape or []}"
    _write(draft, tensor, way)
    signature = tensor.shape_signature
    if signature is not None and len(signature) == len(way.shape) and signature != list(way.shape):
        draft.set(tensor, "shape_signature", list(way.shape))
    return Done(
        f"{tensor.name!r} is {way} instead of {before}",
        f"that needs the {size} bytes that it has, and of all such the kernels that read it take this one alone",
    )


def _trimmed(draft: Draft, tensor: Tensor, needed: int) -> Done:
    assert isinstance(tensor.buffer, Buffer)
    data = bytes(tensor.buffer.data or b"")
    rest = data[needed:]
    draft.store(tensor, data[:needed])
    warnings: tuple[str, ...] = ()
    if any(rest):
        shown = rest[:8].hex(" ") + (" ..." if len(rest) > 8 else "")
        warnings = (f"the {len(rest)} bytes cut off {tensor.name!r} are not all zero ({shown})",)
    return Done(
        f"{tensor.name!r} has the {needed} bytes that its shape needs, and {len(rest)} fewer",
        "runtimes that take a longer buffer read no more than that",
        warnings=warnings,
    )
