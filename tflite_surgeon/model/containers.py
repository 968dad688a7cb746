"""What a file that is not a TFLite model is instead, told by its first bytes."""

from __future__ import annotations

from codecs import getincrementaldecoder

from tflite_surgeon.errors import UnusableFileError
from tflite_surgeon.flatbuffer.mapped import Raw
from tflite_surgeon.flatbuffer.schema import FILE_IDENTIFIER
from tflite_surgeon.model import bundle

_KINDS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the model it stands for: run `git lfs pull`"),
    (b"PK\x05\x06", "is an empty zip archive"),
    (b"\x1f\x8b", "is gzip-compressed: unpack it with gunzip"),
    (b"\x89HDF", "is an HDF5 file, such as a Keras .h5 model: convert it to TFLite"),
    (b"\x89PNG", "is a PNG picture"),
    (b"\x7fELF", "is an ELF program or library"),
)


def describe_bundle(raw: Raw) -> str:
    """A sentence about a container that was given as if it were a model; or about a model taken for a container."""
    if not bundle.is_bundle(raw):
        return "is no container: it has no models inside to choose from"
    kind = "a .litertlm container" if raw[:8] == bundle.LITERTLM_MAGIC else "a zip archive"
    found = bundle.sections(raw)
    if not found:
        return f"is {kind} without a TFLite model inside"
    listed = ", ".join(f"{number} ({section.name})" for number, section in enumerate(found))
    return f"is {kind} with {len(found)} TFLite model{'s' if len(found) > 1 else ''} inside: {listed}"


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
        text = getincrementaldecoder("utf-8")().decode(head)  # The last character may be cut.
    except ValueError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)


def _shown(head: bytes) -> str:
    lines = head.decode("utf-8", "replace").split("\n")
    return repr(next((line.strip() for line in lines if line.strip()), "")[:40])
