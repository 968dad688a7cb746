"""Writes that the system refuses: too large a file, a full disk, any call at all (strace, with -m collection)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.hostile import failing_writes
from tflite_surgeon.model import files, replacing

resource = pytest.importorskip("resource", reason="no limits of resources here")
FIXTURE = failing_writes.ROOT / "fixtures" / "bias_scale_per_tensor.tflite"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    model = samples.quantised()
    assert model.buffers is not None
    model.buffers.append(ts.Buffer(bytes(range(256)) * 300))
    path.write_bytes(ts.dumps(model))
    return path


class FileSize:
    """Limits how large files may become; Python ignores the signal, so that writes fail with an error."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


@pytest.mark.parametrize("name", ["net.tflite", "out.tflite", "net.cc"])
@pytest.mark.parametrize("mode", ["splice", "reencode"])
@pytest.mark.parametrize("is_mapped", [False, True])
def test_a_file_may_not_become_so_large(path: Path, monkeypatch, name: str, mode, is_mapped: bool) -> None:
    if is_mapped:
        monkeypatch.setattr(files, "MAP_FROM", 1)
    target = path.with_name(name)
    if not target.exists():
        target.write_bytes(b"old content")
    before = target.read_bytes()
    listed = sorted(item.name for item in path.parent.iterdir())
    size = path.stat().st_size
    for limit in (0, 1, 9, size // 2, size - 1):
        model = ts.load(path)
        model.operator_codes[0].version = 5
        with FileSize(limit), pytest.raises(ts.SaveError, match="file too large; what was there before is untouched"):
            ts.save(model, target, mode)
        assert target.read_bytes() == before
        assert sorted(item.name for item in path.parent.iterdir()) == listed
    assert ts.save(model, target, mode).size > 0


def test_a_backup_may_not_become_so_large(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(replacing.os, "link", no_links)
    for limit in (0, 1, 1000):
        with FileSize(limit), pytest.raises(ts.SaveError, match=r"could not be backed up.*File too large"):
            replacing.back_up(path)
    assert [item.name for item in path.parent.iterdir()] == ["net.tflite"]


@pytest.mark.parametrize(
    "arguments", ["rewrite net.tflite -o out.tflite", "fix-bias-scale net.tflite --in-place --keep values"]
)
def test_the_command_line_says_it_in_a_sentence(tmp_path: Path, arguments: str) -> None:
    shutil.copyfile(FIXTURE, tmp_path / "net.tflite")
    limited = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
        "sys.dont_write_bytecode = True\n"
        "runpy.run_module('tflite_surgeon', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "file too large; what was there before is untouched" in done.stderr
    assert [item.name for item in tmp_path.iterdir()] == ["net.tflite"]
    assert (tmp_path / "net.tflite").read_bytes() == FIXTURE.read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [("check",), ("check", "--format", "json"), ("rewrite", "-o", "-")])
def test_standard_output_that_is_full(arguments: tuple[str, ...], unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tflite_surgeon", *arguments, str(FIXTURE)],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=failing_writes.ROOT,
        )
    assert done.returncode == 2
    assert done.stderr == "error: standard output cannot be written: no space left on device\n"


FULL = """
import os, sys
from pathlib import Path
import tflite_surgeon as ts
folder, source = map(Path, sys.argv[1:])
path = folder / "net.tflite"
path.write_bytes(source.read_bytes())
for mode in ("splice", "reencode"):
    for room in range(0, path.stat().st_size, 4096 * 3):
        free = os.statvfs(folder)
        (folder / "filler").write_bytes(b"x" * (free.f_bavail * free.f_frsize - room))
        model = ts.load(path)
        model.operator_codes[0].version = 5
        try:
            ts.save(model, path, mode)
        except ts.SaveError as error:
            assert "no space left on device; what was there before is untouched" in str(error), error
        else:
            raise AssertionError("saved with no room to save")
        assert path.read_bytes() == source.read_bytes()
        assert sorted(os.listdir(folder)) == ["filler", "net.tflite"]
        (folder / "filler").unlink()
ts.save(model, path)
print("done")
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here, to mount a small disk in private")
def test_a_full_disk(path: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    private = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=1m none "$0"'
    tried = subprocess.run([*private, mount, str(disk)], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no small disk can be mounted here: {tried.stderr.strip()}")
    done = subprocess.run(
        [*private, f'{mount} && exec "$@"', str(disk), sys.executable, "-c", FULL, str(disk), str(path)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.collection
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("name", failing_writes.COMMANDS)
def test_any_call_may_fail(tmp_path: Path, name: str) -> None:
    counts, faults = failing_writes.fail_each(name, ["ENOSPC"], tmp_path)
    assert faults == []
    assert {"openat", "write", "fsync", "close"} <= set(counts)
    assert counts["rename"] + counts["renameat"] + counts["renameat2"]


def test_the_judge(tmp_path: Path) -> None:
    command = failing_writes.COMMANDS["in place"]
    target = tmp_path / "net.tflite"

    def verdict(content: bytes, code: int, said: str, **others: bytes) -> list[str]:
        for item in tmp_path.iterdir():
            item.unlink()
        target.write_bytes(content)
        for name, data in others.items():
            (tmp_path / name.replace("_", ".")).write_bytes(data)
        return list(failing_writes.judge(tmp_path, command, (b"old", b"new"), code, said))

    assert verdict(b"old", 2, "error: no\n") == []
    assert verdict(b"new", 0, "") == []
    assert verdict(b"new", 0, "", net_tflite_bak=b"old") == []
    assert verdict(b"ne", 2, "error: no\n")[0] == "the target is neither the old nor the new content"
    assert verdict(b"new", 2, "error: no\n") == ["exit code 2 and 'error: no\\n'"]
    assert verdict(b"old", 0, "") == ["exit code 0"]
    assert verdict(b"old", 1, "Traceback") == ["exit code 1"]
    assert verdict(b"old", 2, "Traceback\nerror: no\n") == ["exit code 2 and 'Traceback\\nerror: no\\n'"]
    assert verdict(b"old", 2, "error: no\n", net_tflite_bak=b"") == ["left a backup, net.tflite.bak, of 0 bytes"]
    assert verdict(b"new", 0, "", net_tflite_bak=b"o") == ["left a backup, net.tflite.bak, of 1 bytes"]
    assert verdict(b"old", 2, "error: no\n", **{"_net_tflite_1-0_surgeon-tmp": b""}) == [
        "left .net.tflite.1-0.surgeon-tmp"
    ]
