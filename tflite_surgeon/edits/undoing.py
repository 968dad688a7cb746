"""Taking a repair back, by its journal: the original byte for byte, or a sentence that says why not."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tflite_surgeon.edits.journal import FORMAT, FileRecord, open_regular, record
from tflite_surgeon.errors import SaveError, SurgeonError, UndoError, UnusableFileError
from tflite_surgeon.flatbuffer.patch import Patch
from tflite_surgeon.model.replacing import back_up, copy, new_file, replacing

# A journal tells each changed byte in both its states, twice at most, and as text; beside that it is small.
_LARGEST = 16 << 20
_LARGEST_PER_BYTE = 32


@dataclass(frozen=True)
class Undone:
    """What `undo` did.

    Attributes:
        path: the file that was written.
        size: its bytes.
        sha256: their hash, which is the journal's.
        patches: how many patches were taken back; 0 where the kept original was copied.
        original: the kept original that was copied, None where patches were taken back.
        backup: where what the file held is kept, None where it was not asked for.
    """

    path: Path
    size: int
    sha256: str
    patches: int
    original: Path | None
    backup: Path | None


@dataclass(frozen=True)
class _Instructions:
    """What a journal says about undoing."""

    before: FileRecord | None
    after: FileRecord
    undo: Literal["patches", "original", "impossible"]
    obstacle: str | None
    original: Path | None
    patches: tuple[Patch, ...]


def undo(
    fixed: str | os.PathLike[str],
    journal: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    replace: bool = False,
    backup: bool = False,
) -> Undone:
    """Write the file as it was before a repair; it gets its name once its hash is the journal's.

    Args:
        fixed: the file that the repair wrote, unchanged since.
        journal: the repair's journal.
        out: the file to write; `fixed` itself is allowed.
        replace: whether `out` may exist.
        backup: whether what `out` holds is kept beside it, as NAME.bak or the next free name.

    Raises:
        UndoError: the change cannot be undone: the journal says so, a hash is another one, the original is gone.
        UnusableFileError: a file cannot be read, or `journal` is none.
        SaveError: `out` exists, or cannot be written.
    """
    fixed, journal, target = Path(fixed), Path(journal), Path(os.path.realpath(out))
    told = _read(journal, _about(fixed, lambda: _size(fixed)))
    if told.undo == "impossible" or told.before is None:
        raise UndoError(f"undo is impossible: {told.obstacle or 'the file was written anew and no original was kept'}")
    if target == Path(os.path.realpath(journal)):
        raise SaveError(f"{out} is the journal: name another file")
    if not replace and os.path.lexists(out):
        raise SaveError(f"{out} exists already")
    _require(fixed, told.after, "the file that the repair wrote")
    original = None
    if told.undo == "original":
        original = _kept_original(told, told.before, fixed, journal)
    kept = None
    try:
        with replacing(target) as temporary:
            with new_file(temporary) as file:
                copy(original or fixed, file)
                for patch in told.patches:
                    file.seek(patch.offset)
                    file.write(patch.old)
            _require(temporary, told.before, "the file before the repair", shown="what undoing leads to")
            kept = back_up(Path(out)) if backup else None
    except SurgeonError:
        if kept is not None:
            kept.unlink()
        raise
    return Undone(target, told.before.size, told.before.sha256, len(told.patches), original, kept)


def _about(path: Path, question: Callable[[], Any]) -> Any:
    """The answer about a file; where it cannot be used, the sentence begins with its path."""
    try:
        return question()
    except UnusableFileError as error:
        raise UnusableFileError(f"{path} {error}") from None


def _size(path: Path) -> int:
    with open_regular(path) as file:
        return os.fstat(file.fileno()).st_size


def _require(path: Path, expected: FileRecord, what: str, shown: str | None = None) -> None:
    """Refuse a file whose content is not the recorded one."""
    size = _about(path, lambda: _size(path))
    if size != expected.size:
        raise UndoError(f"{shown or path} has {size} bytes, the journal expects {expected.size} of {what}")
    found = _about(path, lambda: record(path))
    if found.sha256 != expected.sha256:
        raise UndoError(
            f"{shown or path} has the sha256 {found.sha256}, the journal expects {expected.sha256} of {what}"
        )


def _kept_original(told: _Instructions, before: FileRecord, fixed: Path, journal: Path) -> Path:
    """The original: where the journal says or, after a move, of that name beside the repaired file or the journal."""
    if told.original is None:
        raise UndoError("undo is impossible: the journal names no original")
    places = [told.original, fixed.parent / told.original.name, journal.parent / told.original.name]
    for place in places:
        if os.path.lexists(place):
            _require(place, before, "the kept original")
            return place
    raise UndoError(
        f"undo is impossible: the file was written anew, and the original is not at {told.original} any more"
    )


# Reading


def _read(path: Path, size: int) -> _Instructions:
    """What a journal says of a file of this size.

    Raises:
        UnusableFileError: it cannot be read, or is no journal.
    """

    def text() -> bytes:
        with open_regular(path) as file:
            found, most = os.fstat(file.fileno()).st_size, _LARGEST + _LARGEST_PER_BYTE * size
            if found > most:
                raise UnusableFileError(
                    f"is no journal of this file: it has {found} bytes, at most {most} are believed"
                )
            return file.read(found)

    try:
        return _instructions(json.loads(_about(path, text).decode("utf-8"), parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UnusableFileError(f"{path} is no journal of a repair: {reason}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _instructions(data: Any) -> _Instructions:
    """The parts that undoing needs, each of the right type.

    Raises:
        ValueError: one is missing or wrong.
    """
    data = _typed(data, dict, "the whole")
    if _field(data, "journal", int) != FORMAT:
        raise ValueError(f"its format is {data['journal']}, this version reads {FORMAT}")
    kind = _field(data, "undo", str)
    if kind not in ("patches", "original", "impossible"):
        raise ValueError(f"undo is {kind!r:.60}; expected 'patches', 'original' or 'impossible'")
    before = None if data.get("before") is None else _file(data, "before")
    after = _file(data, "after")
    obstacle = None if data.get("obstacle") is None else _field(data, "obstacle", str)
    original = None if data.get("original") is None else _path(_field(data, "original", dict))
    patches = tuple(_patches(_field(data, "patches", list), after.size)) if kind == "patches" else ()
    if before is None and kind != "impossible":
        raise ValueError("before is missing")
    return _Instructions(before, after, kind, obstacle, original, patches)


_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def _typed(value: Any, kind: type, name: str) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{name} is {json.dumps(value)[:40]}; expected {_KINDS[kind]}")
    return value


def _field(data: dict[str, Any], name: str, kind: type, where: str = "") -> Any:
    if name not in data:
        raise ValueError(f"{where}{name} is missing")
    return _typed(data[name], kind, f"{where}{name}")


def _file(data: dict[str, Any], name: str) -> FileRecord:
    entry = _field(data, name, dict)
    digest, size = _field(entry, "sha256", str, f"{name}."), _field(entry, "size", int, f"{name}.")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(f"{name}.sha256 is {digest!r:.80}, which is no sha256")
    return FileRecord(None, digest, size)


def _path(entry: dict[str, Any]) -> Path:
    if "bytes" in entry:
        return Path(os.fsdecode(_bytes(entry, "bytes", "original.")))
    return Path(_field(entry, "path", str, "original."))


def _patches(entries: list[Any], size: int) -> Iterator[Patch]:
    """Patches in ascending order, apart from each other and inside the file."""
    end = 0
    for number, entry in enumerate(entries):
        where = f"patches[{number}]."
        entry = _typed(entry, dict, where[:-1])
        offset = _field(entry, "offset", int, where)
        old, new = _bytes(entry, "old", where), _bytes(entry, "new", where)
        if len(old) != len(new):
            raise ValueError(f"{where}old has {len(old)} bytes and new {len(new)}: a splice keeps the size")
        if offset < end:
            raise ValueError(f"{where}offset is {offset}, before byte {end}, where the patch before it ends")
        end = offset + len(new)
        if end > size:
            raise ValueError(f"{where}offset is {offset} for {len(new)} bytes, the file has {size}")
        yield Patch(offset, old, new, str(entry.get("path")))


def _bytes(entry: dict[str, Any], name: str, where: str) -> bytes:
    text = _field(entry, name, str, where)
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{where}{name} is not hexadecimal") from None
