"""Containers that hold several models: .litertlm files, and zip archives such as .task bundles.

A section is read as a model of its own; saving it makes a new .tflite file, the container is never written.
Source of the .litertlm layout: LiteRT-LM schema/core/litertlm_header_schema.fbs (a flatbuffer that starts at byte 32
and lists sections with their first byte, the byte behind their last, and their kind).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError

from tflite_surgeon.errors import UnusableFileError
from tflite_surgeon.flatbuffer.mapped import Raw
from tflite_surgeon.flatbuffer.schema import FILE_IDENTIFIER

LITERTLM_MAGIC = b"LITERTLM"
ZIP_MAGIC = b"PK\x03\x04"

_HEADER_END_AT = 24
_HEADER_STARTS_AT = 32
_MOST_SECTIONS = 1024
_TFLITE_MODEL = 3
# Deflate cannot do better than 1032 to 1; models do not come near. More is a bomb, not a bundle.
_MOST_INFLATION = 100

_U16 = Struct("<H").unpack_from
_U32 = Struct("<I").unpack_from
_I32 = Struct("<i").unpack_from
_U64 = Struct("<Q").unpack_from


@dataclass(frozen=True)
class Section:
    """A TFLite model inside a container.

    Attributes:
        name: what the container calls it.
        offset: its first byte in the container; -1 where it is compressed there.
        size: its bytes.
    """

    name: str
    offset: int
    size: int


def is_bundle(raw: Raw) -> bool:
    """Whether the file may be a container, by its first bytes."""
    return raw[:8] == LITERTLM_MAGIC or raw[:4] == ZIP_MAGIC


def sections(raw: Raw) -> list[Section]:
    """The TFLite models in a container; none where it holds none.

    Raises:
        UnusableFileError: the container is damaged.
    """
    found = _litertlm_sections(raw) if raw[:8] == LITERTLM_MAGIC else _zip_sections(raw)
    return [section for section in found if _is_model(raw, section)]


def find_section(raw: Raw, name: str | int) -> Section:
    """The section of that name or number.

    Raises:
        UnusableFileError: there is none.
    """
    known = sections(raw)
    for number, section in enumerate(known):
        if name in (number, section.name, str(number)):
            return section
    listed = ", ".join(f"{number} ({section.name})" for number, section in enumerate(known)) or "none"
    raise UnusableFileError(f"has no model {name!r} inside; it holds {listed}")


def read_section(raw: Raw, section: Section) -> bytes:
    """The bytes of a section.

    Raises:
        UnusableFileError: it is compressed beyond reason, or damaged.
    """
    if section.offset >= 0:
        return raw[section.offset : section.offset + section.size]
    if section.size > _MOST_INFLATION * len(raw):
        raise UnusableFileError(
            f"says that {section.name} inside it unpacks to {section.size} bytes, "
            f"over {_MOST_INFLATION} times the archive"
        )
    import io
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive, archive.open(section.name) as member:
            return member.read(section.size)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise UnusableFileError(f"cannot be unpacked: {error}") from None


def _is_model(raw: Raw, section: Section) -> bool:
    if section.offset < 0:
        return section.name.endswith(".tflite")
    return raw[section.offset + 4 : section.offset + 8] == FILE_IDENTIFIER


def _zip_sections(raw: Raw) -> list[Section]:
    """Members in their order; stored ones with the place of their bytes."""
    import io
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnusableFileError(f"begins like a zip archive and cannot be read as one: {error}") from None
    result = []
    for member in members[:_MOST_SECTIONS]:
        offset = -1
        if member.compress_type == zipfile.ZIP_STORED:
            name, extra = (_U16(raw, member.header_offset + at)[0] for at in (26, 28))
            offset = member.header_offset + 30 + name + extra
            if offset + member.file_size > len(raw):
                continue
        result.append(Section(member.filename, offset, member.file_size))
    return result


def _litertlm_sections(raw: Raw) -> list[Section]:
    try:
        (end,) = _U64(raw, _HEADER_END_AT)
        header = raw[_HEADER_STARTS_AT : min(end, len(raw))]
        metadata = _table(header, 0)
        objects = _offset(header, _offset(header, metadata, 1), 0)
        (count,) = _U32(header, objects)
        if count > _MOST_SECTIONS:
            raise UnusableFileError(f"says it has {count} sections; at most {_MOST_SECTIONS} are believed")
        result = []
        for number in range(count):
            section = _table(header, objects + 4 + 4 * number)
            begin, finish = (_scalar(header, section, slot) for slot in (1, 2))
            if _byte(header, section, 3) == _TFLITE_MODEL and begin <= finish <= len(raw):
                result.append(Section(_label(header, section) or f"section {number}", begin, finish - begin))
    except (StructError, IndexError) as error:
        raise UnusableFileError(f"is a .litertlm container whose header is damaged: {error}") from None
    return result


# The few steps through a flatbuffer that the header needs; every access is bounds-checked by struct.


def _table(data: bytes, at: int) -> int:
    return at + int(_U32(data, at)[0])


def _field(data: bytes, table: int, slot: int) -> int:
    """The place of a field, 0 where it is absent."""
    vtable = table - int(_I32(data, table)[0])
    if vtable < 0:
        raise IndexError(f"a vtable at byte {vtable}")
    (size,) = _U16(data, vtable)
    if 4 + 2 * slot + 2 > size:
        return 0
    (offset,) = _U16(data, vtable + 4 + 2 * slot)
    return table + int(offset) if offset else 0


def _offset(data: bytes, table: int, slot: int) -> int:
    place = _field(data, table, slot)
    if not place:
        raise IndexError(f"field {slot} of the table at byte {table} is missing")
    return _table(data, place)


def _scalar(data: bytes, table: int, slot: int) -> int:
    place = _field(data, table, slot)
    return int(_U64(data, place)[0]) if place else 0


def _byte(data: bytes, table: int, slot: int) -> int:
    place = _field(data, table, slot)
    return data[place] if place else 0


def _label(data: bytes, section: int) -> str:
    """The value of the item "model_type", such as tf_lite_prefill_decode."""
    if not _field(data, section, 0):
        return ""
    items = _offset(data, section, 0)
    for number in range(min(int(_U32(data, items)[0]), _MOST_SECTIONS)):
        item = _table(data, items + 4 + 4 * number)
        key = _offset(data, item, 0)
        if _string(data, key) == b"model_type" and _field(data, item, 2):
            return _string(data, _offset(data, _offset(data, item, 2), 0)).decode("utf-8", "replace")
    return ""


def _string(data: bytes, at: int) -> bytes:
    (count,) = _U32(data, at)
    return data[at + 4 : at + 4 + count]
