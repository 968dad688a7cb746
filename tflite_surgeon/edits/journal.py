"""What a repair did to a file, written down as JSON: enough to look it up later, and to take it back."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Literal

from tflite_surgeon.edits.engine import Outcome
from tflite_surgeon.edits.telling import Edits, decided
from tflite_surgeon.errors import SaveError, SurgeonError, UnusableFileError
from tflite_surgeon.flatbuffer.patch import Patch
from tflite_surgeon.model import c_array
from tflite_surgeon.model.files import Source
from tflite_surgeon.model.json_values import as_text
from tflite_surgeon.model.replacing import new_file, replacing
from tflite_surgeon.model.saving import SaveReport

FORMAT = 1

_CHUNK = 1 << 20
# Pieces of a mapped file that are read between two calls of `let_go`.
_LET_GO_EVERY = 16


@dataclass(frozen=True)
class FileRecord:
    """A file's content.

    Attributes:
        path: what it was called; None where it had no name.
        sha256: hash of its bytes, in hexadecimal.
        size: its bytes.
    """

    path: str | None
    sha256: str
    size: int


@dataclass(frozen=True)
class Journal:
    """What was done to a file.

    Attributes:
        tool: the program and its version.
        date: when, as ISO 8601 in UTC.
        before: the file as it was; of a container's section and of standard input, the model's bytes. None for a model
            that was made in memory.
        after: the file as it was written.
        saved: "identical", "spliced" or "reencoded", seen from the file: C source is always written anew.
        reasons: why it was not spliced.
        undo: how it can be taken back: by the "patches", by copying the kept "original", or "impossible".
        obstacle: why that is impossible.
        original: where the file as it was lies since.
        patches: bytes that differ, by offset; none where re-encoded.
        repairs, left, edits: what was repaired, what was left alone, and each edit, in the terms of JSON.
    """

    tool: str
    date: str
    before: FileRecord | None
    after: FileRecord
    saved: Literal["identical", "spliced", "reencoded"]
    reasons: tuple[str, ...]
    undo: Literal["patches", "original", "impossible"]
    obstacle: str | None
    original: Path | None
    patches: tuple[Patch, ...]
    repairs: tuple[dict[str, Any], ...]
    left: tuple[dict[str, Any], ...]
    edits: tuple[dict[str, Any], ...]


# Hashes


def pieces(file: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """A file's bytes from where it stands, so many or to its end, a megabyte at a time."""
    left = math.inf if size is None else size
    while left > 0:
        piece = file.read(int(min(left, _CHUNK)))
        if not piece:
            return
        left -= len(piece)
        yield piece


def digest(content: Iterable[bytes | memoryview]) -> str:
    """The sha256 of some bytes, in hexadecimal."""
    found = sha256()
    for piece in content:
        found.update(piece)
    return found.hexdigest()


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read; its size is known and its end is sure to come.

    Raises:
        UnusableFileError: it is not there, cannot be read, or is a folder, device or pipe.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnusableFileError("is a folder, device or pipe, not a file")
        return open(path, "rb")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path.
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UnusableFileError(f"cannot be read: {reason}") from None


def record(path: Path) -> FileRecord:
    """Hash and size of a file.

    Raises:
        UnusableFileError: it cannot be read; the message is about this path.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        return FileRecord(str(path), digest(pieces(file)), size)


def _record_source(source: Source, name: str | None) -> FileRecord:
    def content() -> Iterator[memoryview]:
        for number, start in enumerate(range(0, len(source.view), _CHUNK)):
            yield source.view[start : start + _CHUNK]
            if not number % _LET_GO_EVERY:
                source.reader.let_go()

    return FileRecord(name, digest(content()), len(source.raw))


def _restored(file: BinaryIO, patches: Sequence[Patch]) -> Iterator[bytes]:
    """The bytes of a spliced file as they were."""
    for patch in patches:
        yield from pieces(file, patch.offset - file.tell())
        yield patch.old
        file.seek(len(patch.new), os.SEEK_CUR)
    yield from pieces(file)


def _leads_back(path: Path, patches: Sequence[Patch], source: Source) -> bool:
    """Whether a spliced file with its patches taken back is what was read."""
    at = 0
    with open_regular(path) as file:
        for number, piece in enumerate(_restored(file, patches)):
            if source.raw[at : at + len(piece)] != piece:
                return False
            at += len(piece)
            if not number % _LET_GO_EVERY:
                source.reader.let_go()
    return at == len(source.raw)


# Making a journal


def journal(outcome: Outcome, report: SaveReport, kept: Path | None = None, name: str | None = None) -> Journal:
    """Write down a repair whose result has been saved.

    Args:
        outcome: of `fix`.
        report: of saving the outcome's model.
        kept: where the original lies now; needed only where the result has replaced it.
        name: what the original was called; needed only where it was no file of its own.

    Raises:
        SurgeonError: the result has no name, a file cannot be read, or the patches do not lead back to the original.
    """
    if report.path is None:
        raise SurgeonError("the result is in no file: only what was saved has a journal")
    source = outcome.model.source
    if source is not None and source.closed:
        raise SurgeonError("the model's file was closed: write the journal before closing it")
    original = kept or (source.path if source is not None else None)
    original = None if original is None else Path(os.path.abspath(original))
    after = _recorded(report.path)
    before = _before(source, original, name)
    saved, reasons = report.kind, report.reasons
    if report.path.suffix.lower() in c_array.SUFFIXES:
        saved, reasons = "reencoded", ("it is C source",)
    elif source is not None and source.c_array is not None:
        saved, reasons = "reencoded", ("the original is C source",)
    patches = () if saved == "reencoded" else tuple(sorted(report.patches))
    undo: Literal["patches", "original", "impossible"] = "patches"
    obstacle = None
    if saved != "reencoded":
        assert source is not None
        if not _leads_back(report.path, patches, source):
            raise SurgeonError("the patches do not lead back to the original: the file has changed since")
    elif original is None:
        undo, obstacle = "impossible", _obstacle(source, name)
    else:
        undo = "original"
        if before is None or _recorded(original).sha256 != before.sha256:
            raise SurgeonError(f"{original} is not what the model was read from, or has changed since")
    edits = Edits(outcome.model)
    return Journal(
        tool=_tool(),
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        before=before,
        after=after,
        saved=saved,
        reasons=reasons,
        undo=undo,
        obstacle=obstacle,
        original=original,
        patches=patches,
        repairs=tuple(map(decided, outcome.repairs)),
        left=tuple(map(decided, outcome.left)),
        edits=tuple(map(edits.told, outcome.plan.edits)),
    )


def _recorded(path: Path) -> FileRecord:
    try:
        return record(path)
    except UnusableFileError as error:
        raise UnusableFileError(f"{path} {error}") from None


def _before(source: Source | None, original: Path | None, name: str | None) -> FileRecord | None:
    """The original: C source as the file that it is, everything else as the bytes that were read."""
    if source is None:
        return None
    if source.c_array is not None and original is not None:
        return _recorded(original)
    return _record_source(source, name or (None if original is None else str(original)))


def _obstacle(source: Source | None, name: str | None) -> str:
    if source is None:
        return "the model was made in memory, there is no original"
    if name is None:
        return "no original was kept"
    return f"the original was read from {name}, which is no file of its own: take it from there"


def _tool() -> str:
    from tflite_surgeon import __version__

    return f"tflite-surgeon {__version__}"


# Writing


def write_journal(made: Journal, path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Write a journal as strict JSON, whole or not at all.

    Args:
        made: the journal.
        path: the file.
        replace: whether it may replace a file that exists.

    Raises:
        SaveError: the file exists, or cannot be written.
    """
    if not replace and os.path.lexists(path):
        raise SaveError(f"{path} exists already")
    with replacing(Path(os.path.realpath(path))) as temporary, new_file(temporary) as file:
        for line in _lines(made):
            file.write(line.encode("ascii"))


def _lines(made: Journal) -> Iterator[str]:
    """The text, an entry a line; patches one by one, because they may be large."""
    head: dict[str, Any] = {
        "journal": FORMAT,
        "tool": made.tool,
        "date": made.date,
        "before": _file(made.before),
        "after": _file(made.after),
        "saved": made.saved,
        "reasons": [as_text(reason) for reason in made.reasons],
        "undo": made.undo,
        "obstacle": None if made.obstacle is None else as_text(made.obstacle),
        "original": None if made.original is None else _path(made.original),
    }
    yield "{\n"
    for key, value in head.items():
        yield f"  {_json(key)}: {_json(value)},\n"
    patches = (
        {"offset": p.offset, "old": p.old.hex(), "new": p.new.hex(), "path": as_text(p.path)} for p in made.patches
    )
    lists: dict[str, Iterable[Any]] = {
        "repairs": made.repairs,
        "left": made.left,
        "edits": made.edits,
        "patches": patches,
    }
    separator = ""
    for key, entries in lists.items():
        yield f"{separator}  {_json(key)}: ["
        separator = ",\n"
        count = 0
        for entry in entries:
            yield f"{',' if count else ''}\n    {_json(entry)}"
            count += 1
        yield "\n  ]" if count else "]"
    yield "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _file(found: FileRecord | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"path": None if found.path is None else as_text(found.path), "sha256": found.sha256, "size": found.size}


def _path(path: Path) -> dict[str, str]:
    """A path to be found again: its bytes too, where its name is not UTF-8."""
    shown = as_text(str(path))
    return {"path": shown} | ({} if shown == str(path) else {"bytes": os.fsencode(path).hex()})
