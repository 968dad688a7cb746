"""Copies with holes, by every way there is; zeros that take no disk; failures on the way."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tflite_surgeon.model import files, replacing

MEGABYTE = 1 << 20
DATA = random.Random(3).randbytes(3 * MEGABYTE + 77)


def nothing() -> None:
    """Stands for letting go of memory."""


def make(path: Path, parts: dict[int, bytes], size: int) -> bytes:
    """A file with data at some places and holes between; returns what it reads as."""
    content = bytearray(size)
    with open(path, "wb") as file:
        for at, data in parts.items():
            file.seek(at)
            file.write(data)
            content[at : at + len(data)] = data
        file.truncate(size)
    return bytes(content)


def has_holes(folder: Path) -> bool:
    make(folder / "probe", {}, 16 * MEGABYTE)
    return (folder / "probe").stat().st_blocks * 512 < MEGABYTE


SHAPES: dict[str, tuple[dict[int, bytes], int]] = {
    "empty": ({}, 0),
    "one byte": ({0: b"x"}, 1),
    "no hole": ({0: DATA}, len(DATA)),
    "nothing but a hole": ({}, 5 * MEGABYTE + 3),
    "a hole at the start": ({4 * MEGABYTE: DATA}, 4 * MEGABYTE + len(DATA)),
    "a hole at the end": ({0: DATA}, 9 * MEGABYTE),
    "a hole between": ({0: DATA, 12 * MEGABYTE + 5: DATA}, 12 * MEGABYTE + 5 + len(DATA)),
}


def refuse(*numbers: int) -> Callable[..., Any]:
    left = list(numbers)

    def refusing(*_: Any, **__: Any) -> Any:
        number = left.pop(0) if len(left) > 1 else left[0]
        raise OSError(number, os.strerror(number))

    return refusing


def only(m: pytest.MonkeyPatch, *names: str) -> None:
    """Leave some ways of copying; the others say that this file system has no such thing."""
    for name, real in (("copy_file_range", "_copy_range"), ("sendfile", "_send")):
        if real not in names and hasattr(os, name):
            m.setattr(replacing, real, refuse(errno.EXDEV))


WAYS = {
    "as the system likes": lambda m: None,
    "sendfile": lambda m: only(m, "_send"),
    "read and write": lambda m: only(m),
    "an older system": lambda m: [m.delattr(os, name, raising=False) for name in ("copy_file_range", "sendfile")],
    "no word of holes": lambda m: m.delattr(os, "SEEK_DATA", raising=False),
    "holes not offered": lambda m: m.setattr(replacing.os, "lseek", holes_not_offered(os.lseek)),
    "a few bytes at once": lambda m: m.setattr(replacing, "_COPY_AT_ONCE", 100_003),
    "copies that take nothing": lambda m: m.setattr(replacing, "_copy_range", lambda *_: 0),
}


def holes_not_offered(real: Callable[[int, int, int], int]) -> Callable[[int, int, int], int]:
    def lseek(descriptor: int, at: int, whence: int) -> int:
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, at, whence)

    return lseek


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_copy_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str, way: str) -> None:
    content = make(tmp_path / "original", *SHAPES[shape])
    WAYS[way](monkeypatch)
    with replacing.new_file(tmp_path / "copy") as file:
        replacing.copy(tmp_path / "original", file)
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("way", ["as the system likes", "sendfile", "read and write"])
def test_holes_stay_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if not (hasattr(os, "SEEK_DATA") and has_holes(tmp_path)):
        pytest.skip("no holes here")
    content = make(tmp_path / "original", {0: DATA, 64 * MEGABYTE: DATA}, 128 * MEGABYTE)
    WAYS[way](monkeypatch)
    with replacing.new_file(tmp_path / "copy") as file:
        replacing.copy(tmp_path / "original", file)
    assert (tmp_path / "copy").stat().st_blocks * 512 < 8 * MEGABYTE
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EFBIG])
def test_a_copy_that_fails_is_not_tried_in_another_way(tmp_path: Path, monkeypatch, number: int) -> None:
    make(tmp_path / "original", *SHAPES["no hole"])
    for name in ("_copy_range", "_send", "_read_and_write"):
        monkeypatch.setattr(replacing, name, refuse(number, errno.EBADF))
    with pytest.raises(OSError, match=os.strerror(number)), replacing.new_file(tmp_path / "copy") as file:
        replacing.copy(tmp_path / "original", file)


def test_a_file_that_becomes_shorter_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "original", *SHAPES["no hole"])
    for name in ("_copy_range", "_send", "_read_and_write"):
        monkeypatch.setattr(replacing, name, lambda *_: 0)
    with pytest.raises(OSError, match="became shorter"), replacing.new_file(tmp_path / "copy") as file:
        replacing.copy(tmp_path / "original", file)


def test_a_file_that_changes_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, target = tmp_path / "net.tflite", tmp_path / "out.tflite"
    path.write_bytes(ts.dumps(samples.quantised()))
    monkeypatch.setattr(files, "MAP_FROM", 1)
    model = ts.load(path)
    model.operator_codes[0].version += 1
    real = replacing.copy

    def slow(original: Path, file: Any) -> None:
        real(original, file)
        os.utime(original, ns=(1, 1))

    monkeypatch.setattr("tflite_surgeon.model.saving.copy", slow)
    with pytest.raises(ts.SaveError, match="has changed while it was copied"):
        ts.save(model, target)
    assert not target.exists()


# Pieces

ZEROS = bytes(5 * MEGABYTE)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b""],
        [b"head", DATA, b"tail"],
        [ZEROS],
        [b"head", ZEROS],
        [b"head", ZEROS, b"tail"],
        [ZEROS + b"x"],
        [b"x" + ZEROS + DATA + ZEROS],
        [bytearray(DATA), memoryview(ZEROS), b"", memoryview(DATA)[1:]],
        [bytes(MEGABYTE - 1), bytes(MEGABYTE), bytes(MEGABYTE + 1)],
        [bytes(MEGABYTE // 2) + b"x" + bytes(MEGABYTE)],
    ],
)
def test_pieces(tmp_path: Path, pieces: list[Any]) -> None:
    with replacing.new_file(tmp_path / "file") as file:
        replacing.write(file, pieces, nothing)
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


def test_zeros_take_no_disk_and_memory_is_let_go_of(tmp_path: Path) -> None:
    calls = []
    with replacing.new_file(tmp_path / "file") as file:
        replacing.write(file, [b"x", bytes(100 * MEGABYTE)], lambda: calls.append(1))
    if has_holes(tmp_path):
        assert (tmp_path / "file").stat().st_blocks * 512 < 3 * MEGABYTE
    assert len(calls) >= 6


# Around them


def test_a_temporary_file_that_cannot_be_removed_does_not_hide_why(tmp_path: Path, monkeypatch) -> None:
    def replace(*_: Any) -> None:
        monkeypatch.setattr(Path, "unlink", refuse(errno.EIO))
        refuse(errno.ENOSPC)()

    monkeypatch.setattr(replacing.os, "replace", replace)
    with pytest.raises(ts.SaveError, match="no space left"):
        ts.save(samples.dense(), tmp_path / "net.tflite")


def test_a_file_system_with_one_mode_is_not_asked_to_change_it(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "net.tflite"
    ts.save(samples.dense(), path)
    monkeypatch.setattr(replacing.os, "chmod", refuse(errno.EPERM))
    ts.save(samples.quantised(), path)
    assert path.read_bytes() == ts.dumps(samples.quantised())


def no_links(*_: Any, **__: Any) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("step", ["copy", "fsync", "copystat", "replace"])
def test_half_a_copy_never_has_the_name_of_a_backup(tmp_path: Path, monkeypatch, step: str) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"content")
    monkeypatch.setattr(replacing.os, "link", no_links)
    owner: Any = {"copy": replacing, "copystat": replacing.shutil}.get(step, replacing.os)
    real = getattr(owner, step)

    def checked(*values: Any) -> Any:
        for item in tmp_path.glob("*.bak*"):
            assert not item.read_bytes()
        refuse(errno.ENOSPC)()

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, checked)
        with pytest.raises(ts.SaveError, match="could not be backed up"):
            replacing.back_up(path)
    assert [item.name for item in tmp_path.iterdir()] == ["net.tflite"]
    assert real is getattr(owner, step)
    assert replacing.back_up(path).read_bytes() == b"content"
