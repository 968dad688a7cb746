"""What a file that is not a TFLite model is instead, told by its first bytes."""

from __future__ import annotations

from tflite_surgeon.errors import UnusableFileError
from tflite_surgeon.flatbuffer.reader import Raw
from tflite_surgeon.flatbuffer.schema import FILE_IDENTIFIER

_KINDS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the model it stands for: run `git lfs pull`"),
    (b"PK\x03\x04", "is a zip archive: unpack the .tflite inside it"),
    (b"PK\x05\x06", "is an empty zip archive"),
    (b"\x1f\x8b", "is gzip-compressed: unpack it with gunzip"),
    (b"\x89HDF", "is an HDF5 file, such as a Keras .h5 model: convert it to TFLite"),
    (b"LITERTLM", "is a .litertlm container, not a single model"),
    (b"\x89PNG", "is a PNG picture"),
    (b"\x7fELF", "is an ELF program or library"),
)


def require_model(raw: Raw) -> None:
    """Refuse what cannot be a TFLite model, and say what it is.

    A wrong identifier alone does not refuse a file: it may be a model whose header is damaged.

    Raises:
        UnusableFileError: empty, or a file of another kind.
    """
    head = raw[:512]
    if not head:
        raise UnusableFileError("is empty (0 bytes): the conversion or download that made it did not finish")
    if head[4:8] == FILE_IDENTIFIER:
        return
    for magic, sentence in _KINDS:
        if head.startswith(magic):
            raise UnusableFileError(sentence)
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        raise UnusableFileError("is a web page, not a model: the download answered with HTML")
    if len(head) >= 8 and _plausible(raw):
        return
    if _is_text(head):
        raise UnusableFileError(f"is a text file (it begins with {_shown(head)}), not a TFLite model")
    raise UnusableFileError(
        f"is not a TFLite model: bytes 4 to 8 are {head[4:8]!r}, expected {FILE_IDENTIFIER!r}"
        + ("" if len(head) >= 8 else f", and it has only {len(head)} bytes")
    )


def _plausible(raw: Raw) -> bool:
    """Whether the file could be a model with a damaged identifier: its root table is a Model by its looks."""
    root = int.from_bytes(raw[:4], "little")
    if not 8 <= root <= len(raw) - 4:
        return False
    vtable = root - int.from_bytes(raw[root : root + 4], "little", signed=True)
    if not 8 <= vtable <= len(raw) - 4:
        return False
    return int.from_bytes(raw[vtable : vtable + 2], "little") in range(8, 64, 2)


def _is_text(head: bytes) -> bool:
    try:
        return all(character.isprintable() or character.isspace() for character in head.decode("utf-8", "ignore"))
    except ValueError:
        return False


def _shown(head: bytes) -> str:
    first = head.decode("utf-8", "replace").splitlines()[0][:40]
    return repr(first)
