"""Models from files and to files."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tflite_surgeon.errors import DecodeError, UnusableFileError
from tflite_surgeon.flatbuffer.reader import Raw, Reader
from tflite_surgeon.model import containers, convert
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.objects import Model

if TYPE_CHECKING:
    StrPath = str | os.PathLike[str]

# Smaller files are read whole: a mapped file that another program cuts short kills the process, and each map holds
# a descriptor. Larger ones are mapped, so that weights nobody asks for are never read.
MAP_FROM = 64 << 20


class Source:
    """The file that a model was read from, as far as saving it needs to know.

    Attributes:
        path: where it lies, or None for bytes that were handed over.
        raw: its bytes, in memory or mapped; view: the same, read-only.
        state: (size, modification time in ns) when it was read.
        reader: the reader that decoded it, which knows its layouts.
    """

    def __init__(self, raw: Raw, path: Path | None, state: tuple[int, int] | None) -> None:
        self.raw = raw
        self.view = memoryview(raw)
        self.path = path
        self.state = state
        self.reader = Reader(raw, self.view)

    def close(self) -> None:
        """Let go of a mapped file. Views that are still in use keep it open until they go."""
        if isinstance(self.raw, mmap.mmap):
            with suppress(BufferError):
                self.view.release()
                self.raw.close()

    def changed(self) -> bool:
        """Whether another program has written to the file since it was read."""
        if self.path is None or self.state is None:
            return False
        try:
            return _state(os.stat(self.path)) != self.state
        except OSError:
            return True


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def load(path: StrPath) -> Model:
    """Read a model.

    Raises:
        UnusableFileError: there is no such file, it cannot be read, or it is not a TFLite model.
        DecodeError: some bytes cannot be decoded safely.
    """
    where = Path(path)
    try:
        with open(where, "rb") as file:
            status = os.fstat(file.fileno())
            raw = _read(file, status.st_size)
    except IsADirectoryError:
        raise UnusableFileError("is a directory, not a file") from None
    except OSError as error:
        raise UnusableFileError(f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    return _decode(Source(raw, where, _state(status)))


def _read(file: BinaryIO, size: int) -> Raw:
    if size >= MAP_FROM:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return file.read()


@contextmanager
def open_raw(path: Path) -> Iterator[Raw]:
    """A file's bytes, in memory or mapped as `load` has them."""
    with open(path, "rb") as file:
        raw = _read(file, os.fstat(file.fileno()).st_size)
    yield raw
    if isinstance(raw, mmap.mmap):
        with suppress(BufferError):  # A view that is still in use lets go of the file when it goes.
            raw.close()


def loads(data: bytes | bytearray | memoryview) -> Model:
    """Read a model from bytes.

    Raises:
        UnusableFileError: not a TFLite model.
        DecodeError: some bytes cannot be decoded safely.
    """
    return _decode(Source(bytes(data), None, None))


def _decode(source: Source) -> Model:
    containers.require_model(source.raw)
    try:
        with without_collecting():
            model = source.reader.root()
            assert isinstance(model, Model)
            model.source = source
            convert.link(model)
            _attach_outside_data(model, source)
    except DecodeError as error:
        raise _with_hint(error) from None
    return model


def _with_hint(error: DecodeError) -> DecodeError:
    path = error.path[1:] if error.path[:1] == ("model",) else error.path
    problem = f"{error.problem}; the file is cut short or damaged here, so fetch or convert it anew"
    return DecodeError(problem, error.offset, path)


def _attach_outside_data(model: Model, source: Source) -> None:
    """Give buffers and operators whose data lies behind the flatbuffer a view of it.

    Offsets 0 and 1 are placeholders, as in the runtimes; a range outside the file stays a plain pair of numbers.
    """
    size = len(source.raw)
    for buffer in model.buffers or ():
        if buffer.offset > 1 and not buffer.data and buffer.offset + buffer.size <= size:
            buffer.data = buffer._stored_data = source.view[buffer.offset : buffer.offset + buffer.size]
            buffer.outside = True
    for subgraph in model.subgraphs or ():
        for operator in subgraph.operators or ():
            start, length = operator.large_custom_options_offset, operator.large_custom_options_size
            if start > 1 and start + length <= size:
                operator.large_custom_options = source.view[start : start + length]
