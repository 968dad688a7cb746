"""Saving: which bytes change, and that nothing can go wrong half-way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.flatbuffer.walk import spots
from tflite_surgeon.model import replacing, saving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A saved model, in a folder of its own."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "net.tflite").write_bytes(ts.dumps(samples.quantised()))
    return folder / "net.tflite"


def shorten(model: ts.Model) -> None:
    model.description = "s"


def bump(model: ts.Model) -> None:
    model.operator_codes[0].version += 1


def names(path: Path) -> list[str]:
    return sorted(item.name for item in path.parent.iterdir())


# What is done, and what the report says


def test_nothing_changed(path: Path, tmp_path: Path) -> None:
    raw = path.read_bytes()
    report = ts.save(ts.load(path), tmp_path / "out.tflite")
    assert (tmp_path / "out.tflite").read_bytes() == raw
    assert (report.kind, report.patches, report.reasons, report.rewritten) == ("identical", (), (), False)
    assert (report.size, report.path) == (len(raw), tmp_path / "out.tflite")
    assert str(report) == f"identical to the original, {len(raw)} bytes"


def test_an_equal_sized_change(path: Path, tmp_path: Path) -> None:
    raw = path.read_bytes()
    model = ts.load(path)
    bump(model)
    report = ts.save(model, tmp_path / "out.tflite")
    place = spots(raw)["operator_codes[0].version"].place
    assert report.patches == (ts.Patch(place, b"\4\0\0\0", b"\5\0\0\0", "operator_codes[0].version"),)
    assert (tmp_path / "out.tflite").read_bytes() == raw[:place] + b"\5" + raw[place + 1 :]
    assert (report.kind, report.rewritten, report.size) == ("spliced", False, len(raw))
    assert str(report) == f"4 of {len(raw)} bytes spliced in 1 places, every other byte kept"


def test_another_change(path: Path, tmp_path: Path) -> None:
    model = ts.load(path)
    shorten(model)
    report = ts.save(model, tmp_path / "out.tflite")
    assert (report.kind, report.patches, report.rewritten) == ("reencoded", (), True)
    assert report.reasons == ("description has 1 elements, in the file 13",)
    assert report.size == (tmp_path / "out.tflite").stat().st_size
    assert str(report) == f"written anew, {report.size} bytes ({report.reasons[0]})"
    assert ts.load(tmp_path / "out.tflite").description == "s"


def test_a_model_made_in_memory(tmp_path: Path) -> None:
    report = ts.save(samples.dense(), tmp_path / "out.tflite")
    assert (report.kind, report.reasons) == ("reencoded", ("the model was made in memory",))
    assert (tmp_path / "out.tflite").read_bytes() == ts.dumps(samples.dense())


def test_dumps_and_save_agree(path: Path, tmp_path: Path) -> None:
    for mode in ("auto", "reencode"):
        for edit in (lambda model: None, bump, shorten):
            model = ts.load(path)
            edit(model)
            expected = ts.dumps(model, mode)
            ts.save(model, tmp_path / "out.tflite", mode)
            assert (tmp_path / "out.tflite").read_bytes() == expected


# Modes


def test_splicing_that_is_asked_for_and_not_possible_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    model = ts.load(path)
    shorten(model)
    with pytest.raises(ts.SaveError, match="cannot be spliced: description has 1 elements"):
        ts.save(model, path, "splice")
    with pytest.raises(ts.SaveError, match="cannot be spliced: the model was made in memory"):
        ts.dumps(samples.dense(), "splice")
    assert path.read_bytes() == raw
    assert names(path) == ["net.tflite"]


def test_rewriting_that_is_asked_for(path: Path, tmp_path: Path) -> None:
    report = ts.save(ts.load(path), tmp_path / "out.tflite", "reencode")
    assert (report.kind, report.reasons) == ("reencoded", ("asked for",))


@pytest.mark.parametrize("mode", ["", "copy", None])
def test_an_unknown_mode_is_refused(path: Path, mode: Any) -> None:
    raw = path.read_bytes()
    for call in (lambda: ts.save(ts.load(path), path, mode), lambda: ts.dumps(ts.load(path), mode)):
        with pytest.raises(ts.SaveError, match="expected 'auto', 'splice' or 'reencode'"):
            call()
    assert path.read_bytes() == raw


def test_the_version_of_an_operator_of_an_older_file_can_be_spliced() -> None:
    """Before 2021 only the one-byte code was written; the independent reader then answers with that."""
    older = samples.quantised()
    older.operator_codes[0].builtin_code = samples.OPERATORS(0)
    model = ts.loads(ts.dumps(older))
    assert model.operator_codes[0].name == "FULLY_CONNECTED"
    bump(model)
    assert ts.loads(ts.dumps(model, "splice")).operator_codes[0].version == 5


# To its own path


def test_saving_to_the_own_path_again_and_again(path: Path) -> None:
    raw = path.read_bytes()
    model = ts.load(path)
    for version in (5, 6, 7):
        bump(model)
        assert ts.save(model, path).kind == "spliced"
        assert ts.load(path).operator_codes[0].version == version
    shorten(model)
    assert ts.save(model, path).kind == "reencoded"
    assert ts.load(path).description == "s"
    model.description = "a dense layer"
    model.operator_codes[0].version = 4
    assert ts.save(model, path).kind == "identical"
    assert path.read_bytes() == raw
    assert names(path) == ["net.tflite"]


@pytest.mark.parametrize("change", ["content", "time", "removed", "replaced"])
def test_a_file_that_another_program_changed_is_not_overwritten(path: Path, change: str) -> None:
    model = ts.load(path)
    bump(model)
    before = path.stat()
    if change == "content":
        path.write_bytes(path.read_bytes() + b"more")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "time":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    elif change == "removed":
        path.unlink()
    else:
        (path.parent / "new").write_bytes(b"x")
        (path.parent / "new").replace(path)
    there = path.read_bytes() if path.exists() else None
    for target in (path, path.parent / "elsewhere.tflite"):
        with pytest.raises(ts.SaveError, match="has changed since the model was read"):
            ts.save(model, target)
    assert (path.read_bytes() if path.exists() else None) == there


# The target


def test_a_symbolic_link_keeps_pointing_at_what_is_replaced(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.tflite"
    link.symlink_to(path)
    model = ts.load(link)
    bump(model)
    report = ts.save(model, link)
    assert link.is_symlink()
    assert link.readlink() == path
    assert report.path == path.resolve()
    assert ts.load(path).operator_codes[0].version == 5
    bump(model)
    ts.save(model, link)
    assert ts.load(path).operator_codes[0].version == 6


def test_a_link_that_leads_nowhere_yet(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.tflite"
    link.symlink_to(tmp_path / "new.tflite")
    ts.save(ts.load(path), link)
    assert link.is_symlink()
    assert (tmp_path / "new.tflite").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no/folder/out.tflite", "there is no folder"),
        (".", "it is a folder, not a file"),
        ("net.tflite/out.tflite", "not a directory|there is no folder"),
        ("x" * 300, "name too long"),
    ],
)
def test_a_target_that_cannot_be_written(path: Path, target: str, says: str) -> None:
    raw = path.read_bytes()
    with pytest.raises(ts.SaveError, match=says):
        ts.save(ts.load(path), path.parent / target)
    assert path.read_bytes() == raw
    assert names(path) == ["net.tflite"]


def test_a_link_to_itself(path: Path) -> None:
    link = path.parent / "loop.tflite"
    link.symlink_to(link)
    with pytest.raises(ts.SaveError, match="cannot be written"):
        ts.save(ts.load(path), link)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_target(path: Path) -> None:
    pipe = path.parent / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ts.SaveError, match="device, pipe or socket"):
        ts.save(ts.load(path), pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444])
def test_mode_bits_are_kept(path: Path, mode: int) -> None:
    path.chmod(mode)
    model = ts.load(path)
    bump(model)
    ts.save(model, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert ts.load(path).operator_codes[0].version == 5


def test_a_new_file_has_the_usual_mode(path: Path, tmp_path: Path) -> None:
    ts.save(ts.load(path), tmp_path / "new.tflite")
    (tmp_path / "usual").write_bytes(b"")
    assert (tmp_path / "new.tflite").stat().st_mode == (tmp_path / "usual").stat().st_mode


# Failures half-way

FAILURE = OSError(28, "No space left on device")


def fail(*_: Any, **__: Any) -> Any:
    raise FAILURE


def failing_writes(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Files opened for writing take so many bytes, then the disk is full."""
    real = open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file
            self.left = after

        def write(self, data: bytes) -> int:
            taken = self.file.write(bytes(data)[: self.left])
            self.left -= taken
            if taken < len(data):
                self.file.flush()
                raise FAILURE
            return taken

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    def opened(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        made = real(file, mode, *rest, **named)
        return Full(made) if set(mode) & set("xwa+") else made

    monkeypatch.setattr(replacing, "open", opened, raising=False)


STEPS = {
    "open": lambda m: m.setattr(replacing, "open", fail, raising=False),
    "write at once": lambda m: failing_writes(m, 0),
    "write half-way": lambda m: failing_writes(m, 3),
    "fsync": lambda m: m.setattr(replacing.os, "fsync", fail),
    "copy of the mode": lambda m: m.setattr(replacing.os, "chmod", fail),
    "replace": lambda m: m.setattr(replacing.os, "replace", fail),
    "reading back": lambda m: m.setattr(saving.files, "_read", fail),
}


@pytest.mark.parametrize("edit", [bump, shorten], ids=["spliced", "reencoded"])
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_leaves_the_target_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch, step: str, edit) -> None:
    path.chmod(0o640)
    raw = path.read_bytes()
    before = path.stat()
    model = ts.load(path)
    edit(model)
    with monkeypatch.context() as patched:
        STEPS[step](patched)
        with pytest.raises(ts.SurgeonError) as caught:
            ts.save(model, path)
    assert isinstance(caught.value, ts.SaveError)
    assert path.read_bytes() == raw
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(path) == ["net.tflite"]
    assert ts.save(model, path).size == path.stat().st_size


def test_the_error_of_a_failed_write_says_what_and_that_nothing_was_lost(path: Path, monkeypatch) -> None:
    model = ts.load(path)
    monkeypatch.setattr(replacing.os, "replace", fail)
    with pytest.raises(ts.SaveError, match="no space left on device; what was there before is untouched") as caught:
        ts.save(model, path)
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is FAILURE


def test_a_failure_leaves_no_new_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing.os, "fsync", fail)
    with pytest.raises(ts.SaveError):
        ts.save(ts.load(path), path.parent / "new.tflite")
    assert names(path) == ["net.tflite"]


def test_an_interruption_leaves_no_temporary_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(replacing.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ts.save(ts.load(path), path)
    assert names(path) == ["net.tflite"]


def test_a_model_that_cannot_be_written_leaves_the_target_as_it_was(path: Path) -> None:
    raw = path.read_bytes()
    model = ts.load(path)
    model.subgraphs[0].tensors[0].shape = [1 << 40]
    with pytest.raises(ts.EncodeError, match=r"tensors\[0\].shape"):
        ts.save(model, path)
    assert path.read_bytes() == raw
    assert names(path) == ["net.tflite"]


def test_a_folder_that_cannot_be_synced_is_no_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing.os, "open", fail)
    model = ts.load(path)
    bump(model)
    ts.save(model, path)
    assert ts.load(path).operator_codes[0].version == 5


def test_readers_see_the_old_file_or_the_new_one(path: Path) -> None:
    """While one thread saves, another reads: never a half."""
    first = path.read_bytes()
    model = ts.load(path)
    bump(model)
    second = ts.dumps(model)
    seen = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for _ in range(30):
            model.operator_codes[0].version = 9 - model.operator_codes[0].version
            ts.save(model, path)
    finally:
        stop.set()
        thread.join()
    assert seen
    assert seen <= {first, second}


# The proofs


def test_a_splice_that_changes_another_byte_is_caught(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = path.read_bytes()
    place = spots(raw)["subgraphs[0].tensors[0].shape"].target + 4

    def crooked(data: bytes, patches: Any) -> bytes:
        return data[:place] + b"\x63" + data[place + 1 :]

    def crooked_file(file: Any, source: Any, patches: Any) -> None:
        file.write(crooked(source.raw, patches))

    monkeypatch.setattr(saving, "splice", crooked)
    monkeypatch.setattr(saving, "_write_spliced", crooked_file)
    model = ts.load(path)
    bump(model)
    for call in (lambda: ts.dumps(model), lambda: ts.save(model, path)):
        with pytest.raises(ts.SaveError, match="does not read as the model"):
            call()
    assert path.read_bytes() == raw
    assert names(path) == ["net.tflite"]


@pytest.mark.parametrize("size", [-1, 1])
def test_a_splice_that_moves_everything_is_caught(path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(saving, "splice", lambda data, _: data[:-1] if size < 0 else data[:8] + b"\0" + data[8:])
    model = ts.load(path)
    bump(model)
    with pytest.raises(ts.SaveError, match="does not read as the model"):
        ts.dumps(model)


def test_a_splice_that_does_nothing_is_caught(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "splice", lambda data, _: data)
    model = ts.load(path)
    bump(model)
    with pytest.raises(ts.SaveError, match=r"does not read as the model: operator_codes\[0\].version"):
        ts.dumps(model)


@pytest.mark.parametrize("where", ["a scalar", "the weights", "the end"])
def test_a_writer_that_writes_something_else_is_caught(path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    raw = path.read_bytes()
    real = saving.encode

    def crooked(model: ts.Model) -> list[bytes]:
        data = b"".join(real(model))
        found = spots(data)
        place = {
            "a scalar": found["operator_codes[0].version"].place,
            "the weights": found["buffers[1].data"].target + 4,
            "the end": len(data),
        }[where]
        return [data[:place] + b"\x63" + data[place + 1 :]] if where != "the end" else [data[:-20]]

    monkeypatch.setattr(saving, "encode", crooked)
    model = ts.load(path)
    shorten(model)
    for call in (lambda: ts.dumps(model), lambda: ts.save(model, path)):
        with pytest.raises((ts.SaveError, ts.DecodeError)) as caught:
            call()
        if where != "the end":
            assert "does not read as the model" in str(caught.value)
    assert path.read_bytes() == raw
    assert names(path) == ["net.tflite"]


def test_an_independent_reader_that_disagrees_is_heard(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were our schema wrong, our reader would confirm what our writer did; the tflite package would not."""
    import tflite

    monkeypatch.setattr(tflite.OperatorCode, "Version", lambda self: 1)
    raw = path.read_bytes()
    model = ts.load(path)
    bump(model)
    with pytest.raises(ts.SaveError, match=r"an independent reader disagrees.*operator_codes\[0\].version"):
        ts.save(model, path)
    assert path.read_bytes() == raw


# Left-overs


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_left_overs_of_dead_processes_go_and_those_of_living_ones_stay(path: Path) -> None:
    gone, mine, parent = dead_process(), os.getpid(), os.getppid()
    kept = [
        f".net.tflite.{mine}-0123abcd.surgeon-tmp",
        f".net.tflite.{parent}-0123abcd.surgeon-tmp",
        f".other.tflite.{gone}-0123abcd.surgeon-tmp",
        f".net.tflite.{gone}-0123abcd.tmp",
        f".net.tflite.{gone}.surgeon-tmp",
        f".net.tflite.{gone}-x.{mine}-0123abcd.surgeon-tmp",
        ".net.tflite.mine-0123abcd.surgeon-tmp",
        f"net.tflite.{gone}-0123abcd.surgeon-tmp",
    ]
    removed = [f".net.tflite.{gone}-0123abcd.surgeon-tmp", f".net.tflite.{gone}-ffffffff.surgeon-tmp"]
    for name in kept + removed:
        (path.parent / name).write_bytes(b"x")
    ts.save(ts.load(path), path)
    assert names(path) == sorted(["net.tflite", *kept])


def test_a_left_over_that_cannot_be_removed_is_no_failure(path: Path) -> None:
    folder = path.parent / f".net.tflite.{dead_process()}-0123abcd.surgeon-tmp"
    folder.mkdir()
    model = ts.load(path)
    bump(model)
    ts.save(model, path)
    assert folder.is_dir()
    assert ts.load(path).operator_codes[0].version == 5


def test_odd_process_numbers_are_no_failure(path: Path) -> None:
    for number in ("9999999999", "0", "²", "99999999999999999999"):
        (path.parent / f".net.tflite.{number}-0123abcd.surgeon-tmp").write_bytes(b"")
    ts.save(ts.load(path), path)
    assert path.exists()


def test_a_name_with_the_characters_of_patterns(tmp_path: Path) -> None:
    path = tmp_path / "[a]*?+.tflite"
    ts.save(samples.dense(), path)
    left = tmp_path / f".{path.name}.{dead_process()}-0123abcd.surgeon-tmp"
    left.write_bytes(b"")
    ts.save(ts.load(path), path)
    assert not left.exists()


# Backups


def test_a_backup_keeps_the_content_while_the_file_is_replaced(path: Path) -> None:
    raw = path.read_bytes()
    backup = replacing.back_up(path)
    assert backup == path.with_name("net.tflite.bak")
    model = ts.load(path)
    bump(model)
    ts.save(model, path)
    assert backup.read_bytes() == raw != path.read_bytes()


def no_links(*_: Any, **__: Any) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_an_older_backup_is_never_overwritten(path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(replacing.os, "link", no_links)
    contents = []
    for number in range(4):
        path.write_bytes(f"content {number}".encode())
        contents.append(replacing.back_up(path))
        path.unlink()
    assert [item.name for item in contents] == [f"net.tflite.bak{suffix}" for suffix in ("", ".1", ".2", ".3")]
    assert [item.read_text() for item in contents] == [f"content {number}" for number in range(4)]


@pytest.mark.parametrize("links", [True, False])
def test_a_backup_of_a_link_keeps_the_content_and_not_the_link(path: Path, monkeypatch, tmp_path, links: bool) -> None:
    if not links:
        monkeypatch.setattr(replacing.os, "link", no_links)
    raw = path.read_bytes()
    link = tmp_path / "link.tflite"
    link.symlink_to(path)
    backup = replacing.back_up(link)
    model = ts.load(link)
    bump(model)
    ts.save(model, link)
    assert backup == tmp_path / "link.tflite.bak"
    assert backup.read_bytes() == raw != link.read_bytes()


def test_a_backup_that_cannot_be_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ts.SaveError, match="could not be backed up"):
        replacing.back_up(path.parent / "missing.tflite")
    older = path.with_name("net.tflite.bak")
    older.write_bytes(b"older")
    monkeypatch.setattr(replacing.os, "link", no_links)
    monkeypatch.setattr(replacing, "copy", fail)
    with pytest.raises(ts.SaveError, match=r"could not be backed up.*No space left"):
        replacing.back_up(path)
    assert names(path) == ["net.tflite", "net.tflite.bak"]
    assert older.read_bytes() == b"older"


def test_a_copied_backup_keeps_mode_and_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing.os, "link", no_links)
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18))
    backup = replacing.back_up(path)
    assert (stat.S_IMODE(backup.stat().st_mode), backup.stat().st_mtime_ns) == (0o640, 10**18)


def test_a_large_file_that_cannot_be_copied_leaves_the_target_as_it_was(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(saving.files, "MAP_FROM", 100)
    raw = path.read_bytes()
    model = ts.load(path)
    bump(model)
    with monkeypatch.context() as patched:
        patched.setattr(saving, "copy", fail)
        with pytest.raises(ts.SaveError, match="no space left"):
            ts.save(model, path)
    assert path.read_bytes() == raw
    assert names(path) == ["net.tflite"]
    assert ts.save(model, path).kind == "spliced"
