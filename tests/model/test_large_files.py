"""Files above 2 GB, of holes mostly: what is read, checked, spliced and written anew, and in how much memory."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.flatbuffer.walk import spots
from tflite_surgeon.flatbuffer import writer

GIGABYTE = 1 << 30

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux tells it")

# Printed last by each child. Not ru_maxrss: that begins with what the parent takes.
TELL = """
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
import json
print(json.dumps({"peak": peak, **told}))
"""


def in_child(code: str, *arguments: Path) -> dict[str, Any]:
    """Run code in a process of its own, which leaves what it tells in `told`; adds its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, tflite_surgeon as ts\ntold = {{}}\n{code}\n{TELL}", *map(str, arguments)],
        cwd=Path(__file__).resolve().parents[2],  # Where it finds the tests' own samples, wherever pytest was called.
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def sparse(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that has holes; emptied at once, not when pytest gets round to it."""
    probe = tmp_path / "probe"
    with open(probe, "wb") as file:
        file.truncate(1 << 24)
    if probe.stat().st_blocks * 512 > 1 << 20:
        pytest.skip("this file system has no holes")
    probe.unlink()
    yield tmp_path
    for item in tmp_path.iterdir():
        item.unlink()


def megabytes_on_disk(path: Path) -> float:
    return path.stat().st_blocks * 512 / (1 << 20)


# Weights and bias behind the flatbuffer, both beyond 4 GB, in a file of 5 GB.
WEIGHTS_AT = 9 * GIGABYTE // 2
BIAS_AT = 5 * GIGABYTE - 4096


def five_gigabytes(path: Path) -> bytes:
    """Write the file; returns its flatbuffer."""
    model = samples.quantised()
    assert model.buffers is not None
    contents = {1: WEIGHTS_AT, 2: BIAS_AT}
    for index in contents:
        model.buffers[index].outside = True
    raw = bytearray(ts.dumps(model))
    found = spots(bytes(raw))
    for index, place in contents.items():
        struct.pack_into("<Q", raw, found[f"buffers[{index}].offset"].place, place)
    with open(path, "wb") as file:
        file.write(raw)
        for index, place in contents.items():
            file.seek(place)
            file.write(bytes(model.buffers[index].data or b""))
        file.truncate(5 * GIGABYTE)
    return bytes(raw)


def pieces(path: Path, size: int) -> list[bytes]:
    """What a file of 5 GB holds outside its holes."""
    result = []
    with open(path, "rb") as file:
        for at, count in ((0, size), (WEIGHTS_AT, 8), (BIAS_AT, 8)):
            file.seek(at)
            result.append(file.read(count))
    return result


CHECK = """
with ts.load(sys.argv[1]) as model:
    told["findings"] = len(ts.check(model))
    told["weights"] = list(model.subgraphs[0].tensors[1].data)
    told["bias"] = list(model.subgraphs[0].tensors[2].data)
"""


def test_reading_and_checking_five_gigabytes(sparse: Path) -> None:
    five_gigabytes(sparse / "large.tflite")
    told = in_child(CHECK, sparse / "large.tflite")
    assert told["weights"] == list(range(8))
    assert bytes(told["bias"]) == samples.quantised().buffers[2].data
    assert told["peak"] < 150


SPLICE = """
import numpy
model = ts.load(sys.argv[1])
model.operator_codes[0].version = 5
model.subgraphs[0].tensors[1].set_values(numpy.array([[0, 1, 2, 3], [4, 5, 6, -7]], "int8"))
told["kinds"] = []
for path in sys.argv[2:]:
    report = ts.save(model, path)
    told["kinds"].append(report.kind)
    told["patches"] = [(patch.offset, list(patch.old), list(patch.new), patch.path) for patch in report.patches]
    told["size"] = report.size
"""


def splice_five_gigabytes(folder: Path, *names: str) -> None:
    raw = five_gigabytes(folder / "large.tflite")
    there = pieces(folder / "large.tflite", len(raw))
    told = in_child(SPLICE, *(folder / f"{name}.tflite" for name in ("large", *names)))
    assert told["kinds"] == ["spliced"] * len(names)
    assert told["size"] == 5 * GIGABYTE
    place = spots(raw)["operator_codes[0].version"].place
    assert told["patches"] == [
        [place, [4, 0, 0, 0], [5, 0, 0, 0], "operator_codes[0].version"],
        [WEIGHTS_AT + 7, [7], [249], "buffers[1].data"],
    ]
    assert told["peak"] < 150
    expected = [raw[:place] + b"\5" + raw[place + 1 :], there[1][:7] + b"\xf9", there[2]]
    for name in names:
        path = folder / f"{name}.tflite"
        assert path.stat().st_size == 5 * GIGABYTE
        assert pieces(path, len(raw)) == expected
        assert megabytes_on_disk(path) < 10
        assert in_child(CHECK, path)["weights"] == [0, 1, 2, 3, 4, 5, 6, 249]


def test_splicing_five_gigabytes(sparse: Path) -> None:
    """Into another file, and over the file itself: in little memory, with the holes kept."""
    splice_five_gigabytes(sparse, "copy", "large")


@pytest.mark.collection
def test_splicing_five_gigabytes_again_and_again(sparse: Path) -> None:
    """Once the file has been replaced, what was read of it lives on in the mapping alone."""
    splice_five_gigabytes(sparse, "large", "large", "copy")


PARANOID = """
model = ts.load(sys.argv[1])
model.operator_codes[0].version = 5
told["kind"] = ts.save(model, sys.argv[2], paranoid=True).kind
"""


@pytest.mark.collection
def test_comparing_five_gigabytes(sparse: Path) -> None:
    five_gigabytes(sparse / "large.tflite")
    told = in_child(PARANOID, sparse / "large.tflite", sparse / "copy.tflite")
    assert told["kind"] == "spliced"
    assert told["peak"] < 150


# A model made in memory: three buffers that are views of one file of zeros, with a few bytes at both its ends.
MAKE = """
import mmap
from tests.flatbuffer import samples
size = {size}
with open(sys.argv[1], "w+b") as file:
    file.truncate(size)
    file.write(b"first")
    file.seek(size - 4)
    file.write(b"last")
    file.flush()
    view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
model = samples.quantised()
model.buffers += [ts.Buffer(view) for _ in range({count})]
report = ts.save(model, sys.argv[2])
told["kind"] = report.kind
told["size"] = report.size
"""
REENCODE = """
with ts.load(sys.argv[1]) as model:
    model.description = "longer than it was before"
    report = ts.save(model, sys.argv[2])
    told["kind"], told["size"] = report.kind, report.size
with ts.load(sys.argv[2]) as model:
    told["outside"] = [buffer.outside for buffer in model.buffers]
    told["offsets"] = [buffer.offset for buffer in model.buffers if buffer.outside]
    told["ends"] = [(bytes(b.data[:5]).decode(), bytes(b.data[-4:]).decode(), len(b.data)) for b in model.buffers[4:]]
"""


@pytest.mark.parametrize("size", [320 << 20, pytest.param(GIGABYTE, marks=pytest.mark.collection)])
def test_a_large_file_is_written_anew_in_little_memory(sparse: Path, size: int) -> None:
    made = in_child(MAKE.format(size=size, count=1), sparse / "zeros", sparse / "large.tflite")
    assert made["kind"] == "reencoded"
    told = in_child(REENCODE, sparse / "large.tflite", sparse / "anew.tflite")
    assert told["kind"] == "reencoded"
    assert told["outside"] == [False] * 5
    assert told["ends"] == [["first", "last", size]]
    assert told["peak"] < 150
    assert megabytes_on_disk(sparse / "anew.tflite") < 10


@pytest.mark.collection
def test_what_does_not_fit_two_gigabytes_moves_behind_the_flatbuffer(sparse: Path) -> None:
    size = 800 << 20
    made = in_child(MAKE.format(size=size, count=3), sparse / "zeros", sparse / "large.tflite")
    assert made["kind"] == "reencoded"
    assert made["size"] > 3 * size
    for name in ("anew", "anew again"):
        told = in_child(REENCODE, sparse / "large.tflite", sparse / f"{name}.tflite")
        assert told["kind"] == "reencoded"
        assert told["outside"] == [False, True, True, True, True, True, True]
        assert told["ends"] == [["first", "last", size]] * 3
        assert all(offset % 16 == 0 for offset in told["offsets"])
        assert told["offsets"][-1] + size == told["size"] > 2 * GIGABYTE
        assert told["peak"] < 250
        assert megabytes_on_disk(sparse / f"{name}.tflite") < 10


def test_a_flatbuffer_that_just_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same at a smaller limit: one byte less, and all data moves behind."""

    def model() -> ts.Model:
        made = samples.quantised()
        assert made.buffers is not None
        made.buffers.append(ts.Buffer(bytes(range(250)) * 10))
        return made

    contents = [bytes(buffer.data or b"") for buffer in model().buffers or ()]
    inside = ts.dumps(model())
    monkeypatch.setattr(writer, "MAX_SIZE", len(inside))
    assert ts.dumps(model()) == inside
    monkeypatch.setattr(writer, "MAX_SIZE", len(inside) - 1)
    moved = ts.loads(ts.dumps(model()))
    assert [buffer.outside for buffer in moved.buffers or ()] == [False, True, True, True, True]
    assert [bytes(buffer.data or b"") for buffer in moved.buffers or ()] == contents
    monkeypatch.setattr(writer, "MAX_SIZE", 100)
    with pytest.raises(ts.EncodeError, match="more than 100 bytes"):
        ts.dumps(model())
