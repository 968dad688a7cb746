"""Models to files: what did not change keeps its bytes, and the target is replaced in one step or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tflite_surgeon.errors import SaveError
from tflite_surgeon.flatbuffer.patch import Differences, Patch, differences, splice
from tflite_surgeon.flatbuffer.reader import Reader
from tflite_surgeon.model import compare, convert, files
from tflite_surgeon.model.encode import encode
from tflite_surgeon.model.objects import Model
from tflite_surgeon.model.second_opinion import disagreements

if TYPE_CHECKING:
    from tflite_surgeon.flatbuffer.writer import Bytes

Mode = Literal["auto", "splice", "reencode"]

_TEMPORARY_SUFFIX = ".surgeon-tmp"


@dataclass(frozen=True)
class SaveReport:
    """What saving did.

    Attributes:
        kind: "identical" (the original bytes), "spliced" (equal-sized values replaced, every other byte kept) or
            "reencoded" (written anew).
        patches: the bytes that differ from the original, by offset; none where re-encoded.
        reasons: why the file could not be spliced.
        size: bytes of the file.
        path: where it was written, None for `dumps`.
    """

    kind: Literal["identical", "spliced", "reencoded"]
    patches: tuple[Patch, ...] = ()
    reasons: tuple[str, ...] = ()
    size: int = 0
    path: Path | None = None

    @property
    def rewritten(self) -> bool:
        return self.kind == "reencoded"

    def __str__(self) -> str:
        if self.kind == "spliced":
            changed = sum(len(patch.new) for patch in self.patches)
            return f"{changed} of {self.size} bytes spliced in {len(self.patches)} places, every other byte kept"
        if self.kind == "reencoded":
            why = f" ({self.reasons[0]}{' and more' if len(self.reasons) > 1 else ''})" if self.reasons else ""
            return f"written anew, {self.size} bytes{why}"
        return f"identical to the original, {self.size} bytes"


def dumps(model: Model, mode: Mode = "auto") -> bytes:
    """The model as the bytes of a file, chosen and proven as `save` does.

    Raises:
        EncodeError: the model cannot be written.
        SaveError: mode "splice", and the changes are not of equal size; or a proof failed.
    """
    plan = _plan(model, mode)
    if plan.reasons or mode == "reencode":
        data = b"".join(encode(model))
        _prove_encoded(model, files.loads(data))
        return data
    assert model.source is not None
    data = splice(bytes(model.source.raw), plan.patches)
    _prove_spliced(model, Reader(data, memoryview(data)), plan.patches)
    return data


def save(model: Model, path: str | os.PathLike[str], mode: Mode = "auto") -> SaveReport:
    """Write the model; what was in the file before stays until the new content is whole, on disk and proven.

    Args:
        model: the model; it can be edited and saved again afterwards.
        path: a new or existing regular file; a symbolic link keeps pointing at what is replaced.
        mode: "splice" keeps every byte but equal-sized values that changed, "reencode" writes all anew, "auto"
            splices where that is enough.

    Raises:
        EncodeError: the model cannot be written.
        SaveError: the file cannot be written, has changed since the model was read, or a proof failed.
    """
    target = Path(os.path.realpath(path))
    source = model.source
    if source is not None and source.changed():
        raise SaveError(
            f"{source.path} has changed since the model was read: read it again, or another program's work is lost"
        )
    plan = _plan(model, mode)
    with _replacing(target) as temporary:
        if plan.reasons or mode == "reencode":
            _write(temporary, encode(model))
            with files.load(temporary) as written:
                _prove_encoded(model, written)
            reasons = tuple(plan.reasons) if mode != "reencode" else ("asked for",)
            report = SaveReport("reencoded", (), reasons, temporary.stat().st_size, target)
        else:
            assert source is not None
            _write_spliced(temporary, source, plan.patches)
            with files.open_raw(temporary) as raw:
                _prove_spliced(model, Reader(raw, memoryview(raw)), plan.patches)
                kind: Literal["spliced", "identical"] = "spliced" if plan.patches else "identical"
                report = SaveReport(kind, tuple(plan.patches), (), len(raw), target)
    if source is not None and source.path is not None and Path(os.path.realpath(source.path)) == target:
        source.path = None  # What was read lives on in memory; the file is now ours, not another program's.
    return report


def _plan(model: Model, mode: Mode) -> Differences:
    if mode not in ("auto", "splice", "reencode"):
        raise SaveError(f"mode is {mode!r}; expected 'auto', 'splice' or 'reencode'")
    source = model.source
    if mode == "reencode":
        return Differences([], [])
    if source is None:
        plan = Differences([], ["the model was made in memory"])
    else:
        plan = differences(model, source.reader, convert.indices(model))
        stored = bytes(source.raw[4:8])
        if model.identifier != stored and len(model.identifier) == 4:
            plan.patches.insert(0, Patch(4, stored, model.identifier, "identifier"))
    if mode == "splice" and plan.reasons:
        raise SaveError(f"cannot be spliced: {'; '.join(plan.reasons[:3])}")
    return plan


# Proofs


def _prove_spliced(model: Model, written: Reader, patches: list[Patch]) -> None:
    """Every table of the file says what the model says, and an independent reader agrees on those touched."""
    left = differences(model, written, convert.indices(model))
    if left.patches or left.reasons:
        wrong = [patch.path for patch in left.patches] + left.reasons
        raise SaveError(f"what was written does not read as the model: {'; '.join(wrong[:3])}")
    paths = [patch.path for patch in patches if patch.path != "identifier"]
    if paths:
        _raise_for(disagreements(model, written.raw, paths))


def _prove_encoded(model: Model, written: Model) -> None:
    wrong = [change.path for change, _ in zip(compare.changes(model, written), range(3))]
    if wrong:
        raise SaveError(f"what was written does not read as the model: {'; '.join(wrong)}")


def _raise_for(found: list[str]) -> None:
    if found:
        raise SaveError(f"an independent reader disagrees about what was written: {'; '.join(found[:3])}")


# Files


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside the target that becomes it at the end, or goes without a trace."""
    _require_regular(target)
    _remove_leftovers(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}")
    try:
        try:
            yield temporary
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
            _sync_folder(target.parent)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SaveError(f"{target} cannot be written: {reason}; what was there before is untouched") from error
    finally:
        temporary.unlink(missing_ok=True)


def _require_regular(target: Path) -> None:
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise SaveError(f"{target} cannot be written: there is no folder {target.parent}") from None
        return
    except OSError as error:
        raise SaveError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise SaveError(f"{target} cannot be written: it is {kind}, not a file")


def _remove_leftovers(target: Path) -> None:
    """Remove temporary files that a killed save of this target left, once its process is gone."""
    for leftover in target.parent.glob(f".{_glob_escaped(target.name)}.*{_TEMPORARY_SUFFIX}"):
        process = leftover.name[len(target.name) + 2 :].partition("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            leftover.unlink(missing_ok=True)


def _glob_escaped(name: str) -> str:
    from glob import escape

    return escape(name)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _write(path: Path, pieces: list[Bytes]) -> None:
    with open(path, "xb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _write_spliced(path: Path, source: files.Source, patches: list[Patch]) -> None:
    if source.path is not None and len(source.raw) >= files.MAP_FROM:
        shutil.copyfile(source.path, path)  # The kernel copies; the weights never pass through this process.
    else:
        path.write_bytes(source.raw)
    with open(path, "r+b") as file:
        for patch in patches:
            file.seek(patch.offset)
            file.write(patch.new)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the renaming last; some file systems do not offer this for folders."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def back_up(path: Path) -> Path:
    """Keep a file's content beside it as NAME.bak, or NAME.bak.1 and so on: an older backup is never overwritten.

    Raises:
        SaveError: no backup could be made.
    """
    number = 0
    while True:
        backup = path.with_name(path.name + (".bak" if number == 0 else f".bak.{number}"))
        try:
            os.link(path, backup)
            return backup
        except FileExistsError:
            number += 1
        except OSError:
            break
    try:
        with open(path, "rb") as original, open(backup, "xb") as copy:
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(copy.fileno())
        shutil.copystat(path, backup)
    except OSError as error:
        backup.unlink(missing_ok=True)
        raise SaveError(f"{path} could not be backed up as {backup.name}: {error.strerror or error}") from error
    return backup
