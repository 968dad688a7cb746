"""Models to files: what did not change keeps its bytes, and the target is replaced in one step or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from tflite_surgeon.errors import DecodeError, SaveError, UnusableFileError
from tflite_surgeon.flatbuffer.mapped import Raw, letting_go
from tflite_surgeon.flatbuffer.patch import Differences, Patch, differences, splice
from tflite_surgeon.flatbuffer.reader import Reader
from tflite_surgeon.flatbuffer.tables import References
from tflite_surgeon.model import c_array, compare, convert, files
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.encode import encode, require_identifier
from tflite_surgeon.model.objects import Model
from tflite_surgeon.model.replacing import copy, new_file, replacing, write
from tflite_surgeon.model.second_opinion import disagreements

Mode = Literal["auto", "splice", "reencode"]

_CHUNK = 1 << 20


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


@without_collecting()
def dumps(model: Model, mode: Mode = "auto") -> bytes:
    """The model as the bytes of a file, chosen and proven as `save` does.

    Raises:
        EncodeError: the model cannot be written.
        SaveError: mode "splice", and the changes are not of equal size; or a proof failed.
    """
    return _in_memory(model, mode)[0]


def _in_memory(model: Model, mode: Mode) -> tuple[bytes, SaveReport]:
    """The bytes of a file, and what was done to make them."""
    (patches, reasons), references = _plan(model, mode)
    if not reasons:
        assert model.source is not None
        data = splice(bytes(model.source.raw), patches)
        reasons = _shared_bytes(model, references, data, patches, mode)
        if not reasons:
            return data, SaveReport("spliced" if patches else "identical", tuple(patches), (), len(data))
    data = b"".join(encode(model))
    _prove_encoded(model, data)
    return data, SaveReport("reencoded", (), tuple(reasons), len(data))


@without_collecting()
def save(model: Model, path: str | os.PathLike[str], mode: Mode = "auto", *, paranoid: bool = False) -> SaveReport:
    """Write the model; what was in the file before stays until the new content is whole, on disk and proven.

    Args:
        model: the model; it can be edited and saved again afterwards.
        path: a new or existing regular file; a symbolic link keeps pointing at what is replaced. A name that ends
            in .c, .cc, .h or the like gets C source with the model as an array.
        mode: "splice" keeps every byte but equal-sized values that changed, "reencode" writes all anew, "auto"
            splices where that is enough.
        paranoid: read back every byte that the system copied, weights included, not only the tables.

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
    if target.suffix.lower() in c_array.SUFFIXES:
        report = _save_c_array(model, target, mode)
    else:
        report = _save_file(model, target, mode, paranoid)
    if source is not None and source.path is not None and Path(os.path.realpath(source.path)) == target:
        source.path = None  # What was read lives on in memory; the file is now ours, not another program's.
    return report


def _save_c_array(model: Model, target: Path, mode: Mode) -> SaveReport:
    """Write C source: what stood around the array stays, where the model was read from such."""
    data, report = _in_memory(model, mode)
    around = model.source.c_array if model.source is not None else None
    with replacing(target) as temporary:
        with new_file(temporary) as file:
            file.write(c_array.render(data, around or c_array.new(target.stem, target.suffix.lower())))
        if c_array.parse(temporary.read_bytes())[1] != data:
            raise SaveError("what was written as C source does not read as the model")
    return replace(report, path=target)


def _save_file(model: Model, target: Path, mode: Mode, paranoid: bool) -> SaveReport:
    source = model.source
    (patches, reasons), references = _plan(model, mode)
    with replacing(target) as temporary:
        if not reasons:
            assert source is not None
            with new_file(temporary) as file:
                _write_spliced(file, source, patches)
                file.flush()  # To be proven while the disk takes it.
                with files.open_raw(temporary) as raw:
                    reasons = _shared_bytes(model, references, raw, patches, mode)
                    if paranoid and not _is_spliced(source.raw, raw, patches):
                        raise SaveError("the copy differs from the original in other bytes than what was spliced")
            kind: Literal["spliced", "identical"] = "spliced" if patches else "identical"
            report = SaveReport(kind, tuple(patches), (), temporary.stat().st_size, target)
        if reasons:
            temporary.unlink(missing_ok=True)
            with new_file(temporary) as file:
                write(file, encode(model), source.reader.let_go if source is not None else _nothing)
                file.flush()
                _prove_encoded(model, temporary)
            report = SaveReport("reencoded", (), tuple(reasons), temporary.stat().st_size, target)
    return report


def _write_spliced(file: BinaryIO, source: files.Source, patches: list[Patch]) -> None:
    if source.path is not None and source.is_mapped:
        copy(source.path, file)
        if source.changed():
            raise SaveError(f"{source.path} has changed while it was copied: read it again")
    else:
        write(file, [source.view], source.reader.let_go)
    for patch in patches:
        file.seek(patch.offset)
        file.write(patch.new)


def _nothing() -> None:
    """Nothing is mapped, so nothing is to be let go of."""


def _plan(model: Model, mode: Mode) -> tuple[Differences, References]:
    """What to splice or why that will not do, and the indices of references, where they had to be known for that."""
    if mode not in ("auto", "splice", "reencode"):
        raise SaveError(f"mode is {mode!r}; expected 'auto', 'splice' or 'reencode'")
    source = model.source
    if source is not None and source.closed:
        raise SaveError("the model's file was closed: save before closing, or read it again")
    require_identifier(model)
    if mode == "reencode":
        return Differences([], ["asked for"]), {}
    references: References = {}
    if source is None:
        plan = Differences([], ["the model was made in memory"])
    else:
        references = convert.indices(model)
        plan = differences(model, source.reader, references)
        stored = bytes(source.raw[4:8])
        if model.identifier != stored:
            plan.patches.insert(0, Patch(4, stored, model.identifier, "identifier"))
    if mode == "splice" and plan.reasons:
        raise SaveError(f"cannot be spliced: {'; '.join(plan.reasons[:3])}")
    return plan, references


# Proofs


def _shared_bytes(model: Model, references: References, raw: Raw, patches: list[Patch], mode: Mode) -> list[str]:
    """Prove a spliced file: every table says what the model says, an independent reader agrees on those touched.

    Returns:
        Reasons why splicing is not enough after all: in some files several fields share bytes, and a change of one
        would change the others. Empty where the file is right.

    Raises:
        SaveError: the file is wrong, or mode "splice" and it is not enough.
    """
    source = model.source
    assert source is not None
    wrong: list[str]
    try:
        left = differences(model, Reader(raw, memoryview(raw), source.raw), references)
        wrong = [patch.path for patch in left.patches] + left.reasons
    except DecodeError as error:
        wrong = [str(error)]
    if wrong and not _is_spliced(source.raw, raw, patches):
        raise SaveError(f"what was written does not read as the model: {'; '.join(wrong[:3])}")
    reasons = [f"{what} shares bytes of the file with what changed" for what in wrong]
    if reasons and mode == "splice":
        raise SaveError(f"cannot be spliced: {'; '.join(reasons[:3])}")
    paths = [patch.path for patch in patches if patch.path != "identifier"]
    if paths and not reasons:
        _raise_for(disagreements(model, references, raw, paths))
    return reasons


def _is_spliced(before: Raw, after: Raw, patches: list[Patch]) -> bool:
    """Whether the bytes differ by the patches and by nothing else."""
    if len(before) != len(after):
        return False
    at = 0
    for patch in sorted(patches):
        end = patch.offset + len(patch.new)
        if not _same_range(before, after, at, patch.offset) or after[patch.offset : end] != patch.new:
            return False
        at = end
    return _same_range(before, after, at, len(before))


def _same_range(a: Raw, b: Raw, start: int, end: int) -> bool:
    let_go: tuple[Callable[[], None], ...] = (letting_go(a), letting_go(b))
    for at in range(start, end, _CHUNK):
        if a[at : min(end, at + _CHUNK)] != b[at : min(end, at + _CHUNK)]:
            return False
        for action in let_go:
            action()
    return True


def _prove_encoded(model: Model, written: Path | bytes) -> None:
    """Prove what was written anew: it reads as the model."""
    try:
        with files.load(written) if isinstance(written, Path) else files.loads(written) as again:
            wrong = [change.path for change, _ in zip(compare.changes(model, again), range(3))]
    except (DecodeError, UnusableFileError) as error:
        raise SaveError(f"what was written cannot be read back: {error}; the target is untouched") from error
    if wrong:
        raise SaveError(f"what was written does not read as the model: {'; '.join(wrong)}")


def _raise_for(found: list[str]) -> None:
    if found:
        raise SaveError(f"an independent reader disagrees about what was written: {'; '.join(found[:3])}")
