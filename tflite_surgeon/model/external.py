"""Constants that lie in other files: the model names a file, a place in it and a length."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import BadReference, Model, Tensor


@dataclass(frozen=True)
class ExternalData:
    """Where the bytes of a constant lie: a file beside the model, the first byte, the length."""

    path: Path
    offset: int
    length: int

    def read(self) -> bytes:
        """The bytes.

        Raises:
            SurgeonError: the file is missing, unreadable or too short.
        """
        self.require()
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                return file.read(self.length)
        except OSError as error:
            raise self._unreadable(error) from None

    def require(self) -> None:
        """Make sure that the bytes are there, without reading them.

        Raises:
            SurgeonError: the file is missing, no regular file, or too short.
        """
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise self._unreadable(error) from None
        if not stat.S_ISREG(status.st_mode):
            raise SurgeonError(f"external buffer file {self.path} is no regular file")
        if status.st_size < self.offset + self.length:
            raise SurgeonError(
                f"external buffer file {self.path} ends at byte {status.st_size}, the model wants bytes "
                f"{self.offset} to {self.offset + self.length}"
            )

    def _unreadable(self, error: OSError) -> SurgeonError:
        return SurgeonError(
            f"external buffer file {self.path} cannot be read: {(error.strerror or str(error)).lower()}"
        )


def external_data(model: Model, tensor: Tensor) -> ExternalData | None:
    """Where a tensor's external bytes lie; None for a tensor that has none.

    Raises:
        SurgeonError: the model's entry is missing or names a file outside the model's folder: a model is untrusted
            input and shall not read from elsewhere.
    """
    if not tensor.external_buffer:
        return None
    entry: Any = next((e for e in model.external_buffers or () if e.id == tensor.external_buffer), None)
    if entry is None:
        raise SurgeonError(
            f"tensor {tensor.name!r} names external buffer {tensor.external_buffer}, which is not listed"
        )
    group = entry.group
    name = "" if isinstance(group, BadReference) or group is None else group.name or ""
    if not name:
        raise SurgeonError(f"external buffer {entry.id} names no file")
    source = model.source
    if source is None or source.folder is None:
        raise SurgeonError(f"external buffer {entry.id} lies in {name!r}, beside a model file that is not known")
    return ExternalData(_beside(source.folder, name), entry.offset, entry.length)


def _beside(folder: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    windows = PureWindowsPath(name)
    if PurePosixPath(name).is_absolute() or windows.drive or windows.root or ".." in parts or "\0" in name:
        raise SurgeonError(f"external buffer file {name!r} lies outside the model's folder: it is not opened")
    path = folder.joinpath(*parts)
    if folder.resolve() not in path.resolve().parents:
        raise SurgeonError(f"external buffer file {name!r} leads outside the model's folder: it is not opened")
    return path
