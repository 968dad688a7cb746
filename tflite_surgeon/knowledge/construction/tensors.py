"""Tensors as a loader reads them: type, shape, bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.construction import quantization, sparsity
from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.problems import REFUSES, UNKNOWN, On, Place, Problem, Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.alike import Alikes
    from tflite_surgeon.model.objects import Model, SubGraph, Tensor

_TYPE = Said("tensor-type", None, "Unsupported data type {} in tensor")
_BUFFER = Said("buffer-index", None, "Tensor {} specifies out of range buffer {} (only {} buffers)")
_OFFSET = Said("buffer-offset", None, "Constant buffer {} specified an out of range offset.")
_ELEMENTS = Said("tensor-shape", None, "BytesRequired number of elements overflowed.\nTensor ")
_BYTES = Said("tensor-shape", None, "BytesRequired number of bytes overflowed.\nTensor ")
# Where scales or sparsity do not fit the shape either, the runtime says so first.
_NOT_AFTER_OTHERS = r"(?s)^(?!.*has invalid (?:quantization|sparsity) parameters)(?!.*specifies out of range buffer).*"
_TOO_SHORT = Said(
    "constant-size",
    "subgraph.cc",
    "required_bytes <= bytes was not true",
    _NOT_AFTER_OTHERS + r"(?<!\w)subgraph\.cc:\d+ required_bytes <= bytes was not true",
)
_OTHER_SIZE = Said(
    "constant-size",
    "subgraph.cc",
    "required_bytes != bytes ({} != {})",
    _NOT_AFTER_OTHERS + r"(?<!\w)subgraph\.cc:\d+ required_bytes != bytes \(",
)
_VARIABLE = Said("variable-with-data", None, "is a variable tensor with buffer")
_STRING_VARIABLE = Said("variable-with-data", None, "String variable tensor isn't supported.")

# Bytes of an element by the number of its type; 0 where the number of bytes is not known from the shape.
WIDTHS = {
    **dict.fromkeys((3, 6, 9, 17, 19, 20, 21, 22), 1),
    **dict.fromkeys((1, 7, 16, 18), 2),
    **dict.fromkeys((0, 2, 15), 4),
    **dict.fromkeys((4, 8, 10, 12), 8),
    11: 16,
    **dict.fromkeys((5, 13, 14), 0),
}
# Elements that share a byte.
PACKED = {17: 2, 20: 2, 19: 4}
_HIGHEST_TYPE_2_14 = 17
_WORD = 1 << 64
_LARGE = 1 << 31


def known_type(number: int, kernels: On) -> bool:
    """Whether a runtime knows a type of tensors."""
    return number in WIDTHS and (kernels != On.V2_14 or number <= _HIGHEST_TYPE_2_14)


def problems(model: Model, index: int, subgraph: SubGraph, alikes: Alikes) -> Iterator[Problem]:
    """What is wrong with tensors, in their order. Of those that look alike one is read: they are as sound as it.

    Raises:
        SurgeonError: a constant lies in a file that was closed.
    """
    tensors = subgraph.tensors or ()
    count = len(tensors)
    sound: set[int] = set()
    for number, tensor in enumerate(tensors):
        look = alikes.look(tensor)
        if look in sound:
            continue
        found = list(_of_tensor(model, index, tensor, number, count))
        if look and not found:
            sound.add(look)
        yield from found


def _of_tensor(model: Model, index: int, tensor: Tensor, number: int, count: int) -> Iterator[Problem]:
    """What is wrong with one tensor, of so many."""
    sentinel = model.buffers[0] if model.buffers else None
    kind = tensor.type
    width = WIDTHS.get(kind)
    if width is None or kind > _HIGHEST_TYPE_2_14:
        yield from _type(tensor, number, index)
        if width is None:
            return
    buffer = tensor.buffer
    size = None
    if buffer is not sentinel and model.buffers is not None and getattr(buffer, "index", None) != 0:
        if not isinstance(buffer, Table):
            message = f"tensor {number} names buffer {buffer.index}, the model has {len(model.buffers)}"
            yield refused(_BUFFER, message, place=Place(index), tensor=tensor)
            return
        size = _size(tensor)
        if size is None and buffer.offset > 1 and not buffer.outside:
            message = f"bytes {buffer.offset} to {buffer.offset + buffer.size} of tensor {number} are not in the file"
            yield refused(_OFFSET, message, place=Place(index), tensor=tensor)
            return
    if tensor.quantization is not None:
        yield from quantization.problems(tensor, number, index, count)
    if size is None:
        if width == 0:
            if tensor.is_variable:
                message = f"tensor {number} is a variable of type {tensor.type_name}"
                yield refused(_STRING_VARIABLE, message, place=Place(index), tensor=tensor)
        elif not _is_ordinary(tensor.shape):
            yield from _overflow(tensor, number, index, width)
        return
    if tensor.is_variable or tensor.external_buffer:
        yield from _variable(tensor, number, index)
    if tensor.sparsity is not None:
        yield from sparsity.problems(tensor, number, index)
    elif width:
        needed = width
        for dimension in tensor.shape or ():
            needed *= dimension
        if kind in PACKED:
            needed = -(-needed // PACKED[kind])
        if needed != size or not _is_ordinary(tensor.shape):
            yield from _constant(tensor, number, index, width, needed, size)


def _size(tensor: Tensor) -> int | None:
    """How many bytes the file holds for a tensor; None where it holds none."""
    data = tensor.buffer.data  # type: ignore[union-attr]
    if data is None:
        return None
    try:
        return len(data)
    except ValueError:  # A released view.
        raise SurgeonError(f"tensor {tensor.name!r} lies in a file that was closed: read it again") from None


def _is_ordinary(shape: list[int] | None) -> bool:
    """Whether no dimension is negative and the number of elements is small."""
    count = 1
    for dimension in shape or ():
        if dimension < 0:
            return False
        count *= dimension or 1
    return count < _LARGE


def _type(tensor: Tensor, number: int, index: int) -> Iterator[Problem]:
    kind = int(tensor.type)
    place = Place(index)
    on = On.V2_14 if known_type(kind, On.LITERT) else On.TFLITE
    message = f"tensor {number} is of type {tensor.type_name}, which the runtime does not know"
    if not known_type(kind, On.V2_14):
        yield refused(_TYPE, message, on=on, place=place, tensor=tensor)


def _variable(tensor: Tensor, number: int, index: int) -> Iterator[Problem]:
    on = On.TFLITE if tensor.is_variable else On.LITERT
    beside = "is a variable" if tensor.is_variable else f"names external buffer {tensor.external_buffer}"
    message = f"tensor {number} {beside} and holds constant data as well"
    yield refused(_VARIABLE, message, on=on, place=Place(index), tensor=tensor)


def _overflow(tensor: Tensor, number: int, index: int, width: int) -> Iterator[Problem]:
    """A shape that is no shape, as each runtime counts.

    LiteRT refuses every negative dimension; tflite-runtime 2.14 takes it for a large one.
    """
    shape = tensor.shape or []
    place = Place(index)
    message = f"tensor {number} is of shape {shape}, which no memory holds"
    elements = 1
    for dimension in shape:
        elements *= dimension
        if dimension < 0 or elements >= _WORD:
            yield refused(_ELEMENTS, message, on=On.LITERT, place=place, tensor=tensor)
            break
    else:
        if elements * width >= _WORD:
            yield refused(_BYTES, message, on=On.LITERT, place=place, tensor=tensor)
    wrapped = _wrapped_count(shape)
    if wrapped is None:
        yield refused(_ELEMENTS, message, on=On.V2_14, place=place, tensor=tensor)
    elif wrapped * width >= _WORD:
        yield refused(_BYTES, message, on=On.V2_14, place=place, tensor=tensor)
    elif any(dimension < 0 for dimension in shape) and wrapped:
        message = f"tensor {number} is of shape {shape}: whether memory is asked for depends on its use"
        yield Problem(_ELEMENTS.rule, UNKNOWN, On.V2_14, Stage.ALLOCATE, message, None, tensor, place=place)


def _wrapped_count(shape: list[int]) -> int | None:
    """The number of elements in unsigned words; None where the product of two does not fit one."""
    count = 1
    for dimension in shape:
        word = dimension % _WORD
        if count and count * word >= _WORD:
            return None
        count *= word
    return count


def _constant(tensor: Tensor, number: int, index: int, width: int, needed: int, size: int) -> Iterator[Problem]:
    """Constant bytes that do not fit the shape: too few, and for tflite-runtime 2.14 too many."""
    if not _is_ordinary(tensor.shape):
        overflow = list(_overflow(tensor, number, index, width))
        yield from (problem for problem in overflow if problem.effect == REFUSES)
        if overflow:
            return
    if tensor.external_buffer:
        return
    place = Place(index)
    message = f"tensor {number} holds {size} bytes, its shape {tensor.shape or []} of {tensor.type_name} needs {needed}"
    if size < needed:
        yield refused(_TOO_SHORT, message, on=On.LITERT, place=place, tensor=tensor, bytes=size, needed=needed)
    if size != needed and tensor.type <= _HIGHEST_TYPE_2_14:
        yield refused(_OTHER_SIZE, message, on=On.V2_14, place=place, tensor=tensor, bytes=size, needed=needed)
