"""Models as C arrays, as `xxd -i` and TFLM's tools write them: the bytes change, the text around them stays."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tflite_surgeon.errors import UnusableFileError
from tflite_surgeon.flatbuffer.schema import FILE_IDENTIFIER

SUFFIXES = (".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".inc")

# Compiled by those who use them: most models are not in C source.
_ARRAY = rb"(\w+)\s*\[[^\]]*\][^=;{]*=\s*\{([^{}]*)\}\s*;"
_NUMBER = rb"0[xX][0-9a-fA-F]+|\d+"
_COMMENT = rb"(?s:/\*.*?\*/)|//[^\n]*"
_PER_LINE = 12


@dataclass(frozen=True)
class CArray:
    """A model in C source.

    Attributes:
        name: of the array.
        before, after: the text around the braces' content.
    """

    name: str
    before: bytes
    after: bytes


def looks_like(head: bytes) -> bool:
    """Whether the file may hold a C array, by its first bytes."""
    if head[4:8] == FILE_IDENTIFIER or b"\0" in head:
        return False
    return re.search(rb"\w+\s*\[[^\]]*\][^=;{]*=\s*\{", re.sub(_COMMENT, b"", head)) is not None


def parse(text: bytes) -> tuple[CArray, bytes]:
    """The one model in C source, and its bytes.

    Raises:
        UnusableFileError: no array holds a model, or several do.
    """
    found: list[tuple[CArray, bytes]] = []
    for match in re.finditer(_ARRAY, text):
        numbers = re.findall(_NUMBER, re.sub(_COMMENT, b"", match[2]))
        if len(numbers) < 8:
            continue
        try:
            data = bytes(int(number, 16 if number[1:2] in b"xX" and len(number) > 2 else 10) for number in numbers)
        except ValueError:
            continue
        if data[4:8] == FILE_IDENTIFIER:
            array = CArray(match[1].decode(), text[: match.start(2)], text[match.end(2) :])
            found.append((array, data))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(array.name for array, _ in found)
        raise UnusableFileError(f"is C source with {len(found)} models ({names}): leave one in the file")
    raise UnusableFileError("is C source, and none of its arrays holds a TFLite model")


def render(data: bytes, around: CArray) -> bytes:
    """C source with the model's bytes; a length that the text gives is brought in step."""
    rows = (data[start : start + _PER_LINE] for start in range(0, len(data), _PER_LINE))
    body = b"\n" + b",\n".join(b"  " + ", ".join(f"0x{byte:02x}" for byte in row).encode() for row in rows) + b"\n"
    length = re.compile(rb"(\b" + around.name.encode() + rb"_(?:len|size)\w*\s*=\s*)\d+")
    size = str(len(data)).encode()
    before, after = (length.sub(lambda match: match[1] + size, text) for text in (around.before, around.after))
    return before + body + after


def new(name: str, suffix: str) -> CArray:
    """The text around a model that comes from no C source: aligned as runtimes need it, with its length."""
    identifier = re.sub(r"\W", "_", name)
    if not identifier or identifier[0].isdigit():
        identifier = f"g_{identifier}"
    if suffix in (".c", ".h"):
        head = f"const unsigned char {identifier}[] __attribute__((aligned(16))) = {{"
    else:
        head = f"alignas(16) extern const unsigned char {identifier}[] = {{"
    tail = f"}};\n{'' if suffix in ('.c', '.h') else 'extern '}const unsigned int {identifier}_len = 0;\n"
    return CArray(identifier, head.encode(), tail.encode())
