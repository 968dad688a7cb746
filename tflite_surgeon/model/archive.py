"""The zip of associated files (labels, vocabularies) that metadata tools append to a model."""

from __future__ import annotations

import io
import zipfile
import zlib
from struct import Struct
from typing import NamedTuple

from tflite_surgeon.errors import EncodeError, UnusableFileError
from tflite_surgeon.flatbuffer.mapped import Raw

_END = Struct("<4s4H2LH")  # signature, disks, entries, size and offset of the directory, length of the comment
_END_SIGNATURE = b"PK\x05\x06"
_ENTRY_SIGNATURE = b"PK\x01\x02"
_ENTRY_SIZE = 46
_LONGEST_COMMENT = 0xFFFF
# Deflate cannot do better than 1032 to 1; labels and vocabularies do not come near. More is a bomb.
_MOST_INFLATION = 200


class Archive(NamedTuple):
    """Where the zip lies: its first byte, its directory, its end record, and by how much its offsets fall short."""

    start: int
    directory: int
    end_record: int
    shift: int


def find(raw: Raw) -> Archive | None:
    """The zip at the end of a file, if there is one."""
    tail_start = max(0, len(raw) - _LONGEST_COMMENT - _END.size)
    tail = raw[tail_start:]
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or at + _END.size > len(tail):
        return None
    _, _, _, _, entries, size, offset, comment = _END.unpack_from(tail, at)
    end_record = tail_start + at
    directory = end_record - size
    if end_record + _END.size + comment != len(raw) or directory < 0:
        return None
    shift = directory - offset
    starts = [start + shift for _, start in _entries(raw[directory:end_record])]
    if len(starts) != entries or shift < 0 or not all(0 <= start < directory for start in starts):
        return None
    return Archive(min(starts, default=directory), directory, end_record, shift)


def _entries(directory: bytes) -> list[tuple[int, int]]:
    """(place of the field in the directory, offset of the member) of each entry."""
    result = []
    at = 0
    while directory[at : at + 4] == _ENTRY_SIGNATURE and at + _ENTRY_SIZE <= len(directory):
        name, extra, comment = (
            int.from_bytes(directory[at + 28 + 2 * i : at + 30 + 2 * i], "little") for i in range(3)
        )
        result.append((at + 42, int.from_bytes(directory[at + 42 : at + 46], "little")))
        at += _ENTRY_SIZE + name + extra + comment
    return result


def moved(raw: Raw, archive: Archive, start: int) -> bytes:
    """The zip's bytes for a file in which it begins at `start`.

    Offsets that count from the beginning of the file are rewritten; those that count from the zip's own stay.

    Raises:
        EncodeError: an offset would pass 4 GB, which this kind of zip cannot say.
    """
    data = bytearray(raw[archive.start :])
    if archive.shift != 0 or start == archive.start:
        return bytes(data)
    delta = start - archive.start
    if len(data) + start > 0xFFFFFFFF:
        raise EncodeError("the zip at the end would lie beyond 4 GB, where its offsets do not reach")
    directory = archive.directory - archive.start
    end_record = archive.end_record - archive.start
    for place, offset in _entries(bytes(data[directory:end_record])):
        data[directory + place : directory + place + 4] = (offset + delta).to_bytes(4, "little")
    offset = int.from_bytes(data[end_record + 16 : end_record + 20], "little") + delta
    data[end_record + 16 : end_record + 20] = offset.to_bytes(4, "little")
    return bytes(data)


def members(raw: Raw) -> dict[str, bytes]:
    """The associated files: names and contents.

    Raises:
        UnusableFileError: the zip is damaged, encrypted, compressed in a way that Python does not know, or a bomb.
    """
    archive = find(raw)
    if archive is None:
        return {}
    data = moved(raw, archive, 0)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            unpacked = sum(member.file_size for member in opened.infolist())
            if unpacked > _MOST_INFLATION * len(data):
                raise UnusableFileError(
                    f"the zip at the end of the file says it unpacks to {unpacked} bytes, "
                    f"over {_MOST_INFLATION} times its own size"
                )
            return {name: opened.read(name) for name in opened.namelist()}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise UnusableFileError(f"the zip at the end of the file cannot be read: {error}") from None
