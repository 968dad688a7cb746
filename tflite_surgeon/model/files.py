"""Models from files and to files."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tflite_surgeon.errors import DecodeError, UnusableFileError
from tflite_surgeon.flatbuffer.mapped import Raw
from tflite_surgeon.flatbuffer.reader import Reader
from tflite_surgeon.model import bundle, c_array, containers, convert
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.bundle import Section
from tflite_surgeon.model.c_array import CArray
from tflite_surgeon.model.objects import Model

if TYPE_CHECKING:
    StrPath = str | os.PathLike[str]

# Smaller files are read whole: a mapped file that another program cuts short kills the process, and each map holds
# a descriptor. Larger ones are mapped, so that weights nobody asks for are never read.
MAP_FROM = 64 << 20
# As far as C source may go on before its array begins: licences are long.
_HEAD = 1 << 14


class Source:
    """The file that a model was read from, as far as saving it needs to know.

    Attributes:
        path: where it lies, or None for bytes that were handed over or taken out of a container.
        folder: where files that the model names lie, if that is known.
        c_array: the C source around the model, where it was read from such.
        raw: its bytes, in memory or mapped; view: the same, read-only.
        state: (size, modification time in ns) when it was read.
        reader: the reader that decoded it, which knows its layouts.
        closed: it was a mapped file and has been let go.
    """

    def __init__(self, raw: Raw, path: Path | None, state: tuple[int, int] | None) -> None:
        self.raw = raw
        self.view = memoryview(raw)
        self.path = path
        self.folder = path.parent if path is not None else None
        self.c_array: CArray | None = None
        self.state = state
        self.reader = Reader(raw, self.view)
        self.closed = False

    @property
    def is_mapped(self) -> bool:
        return isinstance(self.raw, mmap.mmap)

    def close(self) -> None:
        """Let go of a mapped file. Views that are still in use keep it open until they go."""
        if isinstance(self.raw, mmap.mmap):
            self.closed = True
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


def load(path: StrPath, section: str | int | None = None) -> Model:
    """Read a model: a .tflite file, C source with one as an array, or one of those in a container.

    Args:
        path: the file.
        section: name or number of a model inside a .litertlm or zip container.

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
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path.
        raise UnusableFileError(f"cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}") from None
    return _open(raw, where, _state(status), section)


def loads(data: bytes | bytearray | memoryview, section: str | int | None = None) -> Model:
    """Read a model from bytes, as `load` does from a file.

    Raises:
        UnusableFileError: not a TFLite model.
        DecodeError: some bytes cannot be decoded safely.
    """
    return _open(bytes(data), None, None, section)


def sections(path: StrPath) -> list[Section]:
    """The models inside a .litertlm or zip container, in their order; empty for other files.

    Raises:
        UnusableFileError: the file cannot be read, or is a damaged container.
    """
    try:
        with open_raw(Path(path)) as raw:
            return bundle.sections(raw) if bundle.is_bundle(raw) else []
    except OSError as error:
        raise UnusableFileError(f"cannot be read: {(error.strerror or str(error)).lower()}") from None


def _open(raw: Raw, path: Path | None, state: tuple[int, int] | None, section: str | int | None) -> Model:
    """The model in a file's content, whatever it is wrapped in."""
    if section is not None or bundle.is_bundle(raw):
        if section is None or not bundle.is_bundle(raw):
            raise UnusableFileError(containers.describe_bundle(raw))
        source = Source(bundle.read_section(raw, bundle.find_section(raw, section)), None, None)
        source.folder = path.parent if path is not None else None
        return decode(source)
    if c_array.looks_like(raw[:_HEAD]):
        around, data = c_array.parse(bytes(raw))
        source = Source(data, path, state)
        source.c_array = around
        return decode(source)
    return decode(Source(raw, path, state))


def _read(file: BinaryIO, size: int) -> Raw:
    if size >= MAP_FROM:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return file.read()


@contextmanager
def open_raw(path: Path) -> Iterator[Raw]:
    """A file's bytes, in memory or mapped as `load` has them."""
    with open(path, "rb") as file:
        raw = _read(file, os.fstat(file.fileno()).st_size)
    try:
        yield raw
    finally:
        if isinstance(raw, mmap.mmap):
            with suppress(BufferError):  # A view that is still in use lets go of the file when it goes.
                raw.close()


def decode(source: Source) -> Model:
    """The model in a file's bytes.

    Raises:
        UnusableFileError: not a TFLite model.
        DecodeError: some bytes cannot be decoded safely.
    """
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
            buffer.data = buffer._stored_data = source.reader.piece(buffer.offset, buffer.offset + buffer.size)
            buffer.outside = True
    for subgraph in model.subgraphs or ():
        for operator in subgraph.operators or ():
            start, length = operator.large_custom_options_offset, operator.large_custom_options_size
            if start > 1 and start + length <= size:
                operator.large_custom_options = operator._stored_options = source.reader.piece(start, start + length)
