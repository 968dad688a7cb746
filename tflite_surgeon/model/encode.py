"""A model as the pieces of a file: the flatbuffer, the data behind it, and what was appended to it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from tflite_surgeon.errors import EncodeError
from tflite_surgeon.flatbuffer.extent import end_of_some_data
from tflite_surgeon.flatbuffer.misfits import data_bytes
from tflite_surgeon.flatbuffer.tables import References
from tflite_surgeon.flatbuffer.writer import Bytes, TooLarge, Writer
from tflite_surgeon.model import archive, convert
from tflite_surgeon.model.objects import Buffer, Model, Operator

# Data behind the flatbuffer is aligned as data in it is.
_ALIGNMENT = 16
# Offset of data behind the flatbuffer until its place is known; runtimes take 0 and 1 for "none".
_PLACEHOLDER = 1
_CHUNK = 1 << 20


def encode(model: Model) -> list[Bytes]:
    """The whole file anew, as consecutive pieces; weights are views, not copies.

    Data lies where the model says (`Buffer.outside`); if the flatbuffer would pass 2 GB, all of it moves behind.

    Raises:
        EncodeError: the model cannot be written, or something the file holds would be lost.
    """
    _refuse_loss(model)
    require_identifier(model)
    references = convert.indices(model)
    buffers = model.buffers or []
    try:
        return _encode(model, references, [buffer for buffer in buffers if buffer.outside and buffer.data is not None])
    except TooLarge:
        return _encode(model, references, [buffer for buffer in buffers if buffer.data])


def _encode(model: Model, references: References, outside: list[Buffer]) -> list[Bytes]:
    operators = [
        operator
        for subgraph in model.subgraphs or ()
        for operator in subgraph.operators or ()
        if operator.large_custom_options is not None
    ]
    values: dict[int, dict[str, Any]] = {}
    behind: list[tuple[Buffer | Operator, Bytes, str]] = []
    for buffer in outside:
        data = data_bytes(buffer.data, "buffers[].data")
        values[id(buffer)] = {"data": None, "offset": _PLACEHOLDER, "size": len(data)}
        behind.append((buffer, data, "offset"))
    for operator in operators:
        data = data_bytes(operator.large_custom_options, "large_custom_options")
        name = "large_custom_options_offset"
        values[id(operator)] = {name: _PLACEHOLDER, "large_custom_options_size": len(data)}
        behind.append((operator, data, name))
    for buffer in model.buffers or ():
        if (buffer.offset or buffer.size) and buffer.data is not None and id(buffer) not in values:  # It moves inside.
            values[id(buffer)] = {"offset": 0, "size": 0}
    writer = Writer(references, values)
    pieces = writer.encode(model, model.identifier)
    end = sum(map(len, pieces))
    for owner, data, name in behind:
        padding = -end % _ALIGNMENT
        pieces += (b"\0" * padding, data)
        struct.pack_into("<Q", writer.out, writer.scalar_places[id(owner), name], end + padding)
        end += padding + len(data)
    return [*pieces, *_appended(model, end)]


def _appended(model: Model, start: int) -> Iterable[Bytes]:
    """What lies behind the model in its file: a zip of associated files, or bytes that nothing points at."""
    source = model.source
    if source is None:
        return
    found = archive.find(source.raw)
    if found is None and _is_blank(source.view[end_of_some_data(source.reader) :]):
        return
    behind_from = source.reader.end()
    if found and found.start < behind_from:  # The content of a buffer, not something appended.
        found = None
    behind_to = found.start if found else len(source.raw)
    # Without the padding before it, which would grow each time the file is written.
    rest = _without_leading_zeros(source.view[behind_from:behind_to])
    if rest:
        yield rest
        start += len(rest)
    if found:
        yield archive.moved(source.raw, found, start)


def _is_blank(rest: memoryview) -> bool:
    """Whether a short rest is padding: then nothing was appended, and the tables need not be read again to know it."""
    return len(rest) <= _CHUNK and not any(rest)


def _without_leading_zeros(view: memoryview) -> memoryview:
    """The rest of it, not copied: it can be as large as the file."""
    for start in range(0, len(view), _CHUNK):
        chunk = bytes(view[start : start + _CHUNK])
        zeros = len(chunk) - len(chunk.lstrip(b"\0"))
        if zeros < len(chunk):
            return view[start + zeros :]
    return view[:0]


def require_identifier(model: Model) -> None:
    """Refuse an identifier that the header has no room for.

    Raises:
        EncodeError: it is not four bytes.
    """
    if not isinstance(model.identifier, bytes) or len(model.identifier) != 4:
        raise EncodeError(f"identifier is {model.identifier!r}, expected four bytes such as b'TFL3'")


def _refuse_loss(model: Model) -> None:
    newer = model.source.reader.newer if model.source is not None else []
    if newer:
        listed = "; ".join(f"{table} slots {', '.join(map(str, slots))}" for table, slots in newer)
        raise EncodeError(
            f"the file uses fields newer than this schema ({listed}): writing it anew would lose them. "
            "Changes of equal size can still be spliced"
        )
