"""What is not a model: one clear sentence each. And what is: mapped when large, let go when closed."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tflite_surgeon.model import files


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("net.tflite", ts.dumps(samples.dense()))
    return out.getvalue()


def empty_zip() -> bytes:
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    return out.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
NOT_MODELS = [
    ("empty", b"", "is empty"),
    ("one byte", b"a", "."),
    ("seven bytes", b"\x1c\0\0\0TFL", "only 7 bytes"),
    ("text", b"hello, this is no model\n" * 10, "text file.*hello, this is no model"),
    ("blank lines first", b"\n\n  Licence\n" * 10, "text file.*'Licence'"),
    ("umlauts", "grüße\n".encode() * 200, "text file"),
    ("umlaut cut in two", b"a" + "ü".encode() * 300, "text file"),
    ("json", b'{"a": 1}\n', "text file"),
    ("zip", zipped(), r"zip archive.*\.tflite"),
    ("empty zip", empty_zip(), "empty zip"),
    ("gzip", gzip.compress(ts.dumps(samples.dense())), "gunzip"),
    ("pointer", POINTER, "git lfs pull"),
    ("html", b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    ("html without doctype", b"\n  <html><head></head></html>", "web page"),
    ("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5.*convert it"),
    ("picture", b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
    ("program", b"\x7fELF" + bytes(100), "ELF"),
    ("container", b"LITERTLM" + bytes(100), ".litertlm"),
    ("zeros", bytes(1000), "expected b'TFL3'"),
    ("high bytes", bytes(range(128, 256)) * 4, "expected b'TFL3'"),
    ("other flatbuffer", b"\x10\0\0\0ARTE" + bytes(100), "expected b'TFL3'"),
]


@pytest.mark.parametrize(("data", "says"), [row[1:] for row in NOT_MODELS], ids=[row[0] for row in NOT_MODELS])
def test_what_is_no_model_is_named_in_one_sentence(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(data)
    for read in (lambda: ts.load(path), lambda: ts.loads(data)):
        with pytest.raises(ts.UnusableFileError, match=says) as caught:
            read()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 200


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ts.UnusableFileError, match="is a directory, not a file"):
        ts.load(tmp_path)


@pytest.mark.parametrize("name", ["missing.tflite", "no/such/folder.tflite", "zero\0byte.tflite", "x" * 5000])
def test_a_path_that_leads_nowhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ts.UnusableFileError, match="cannot be read: "):
        ts.load(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_path_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(ts.dumps(samples.dense()))
    path.chmod(0)
    with pytest.raises(ts.UnusableFileError, match="cannot be read: permission denied"):
        ts.load(path)


def test_an_error_while_reading_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(ts.dumps(samples.dense()))

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "_read", fail)
    with pytest.raises(ts.UnusableFileError, match="cannot be read: input/output error"):
        ts.load(path)


def test_a_damaged_identifier_alone_does_not_keep_a_model_shut() -> None:
    raw = ts.dumps(samples.dense())
    damaged = raw[:4] + b"\0\0\0\0" + raw[8:]
    model = ts.loads(damaged)
    assert model.identifier == b"\0\0\0\0"
    assert ts.dumps(model) == damaged
    model.identifier = b"TFL3"
    assert ts.dumps(model) == raw


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_path_may_be_text_or_path(as_path, tmp_path: Path) -> None:
    path = tmp_path / "nét.tflite"
    path.write_bytes(ts.dumps(samples.dense()))
    assert ts.load(as_path(path)).description == "a dense layer"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_read(kind) -> None:
    raw = ts.dumps(samples.dense())
    assert ts.dumps(ts.loads(kind(raw))) == raw


def test_bytes_handed_over_may_change_afterwards() -> None:
    raw = bytearray(ts.dumps(samples.dense()))
    model = ts.loads(raw)
    expected = bytes(raw)
    raw[:] = bytes(len(raw))
    assert ts.dumps(model) == expected


# Large files


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as large."""
    monkeypatch.setattr(files, "MAP_FROM", 100)
    path = tmp_path / "large.tflite"
    path.write_bytes(ts.dumps(samples.crowded()))
    return path


def test_a_large_file_is_mapped_and_a_small_one_is_not(mapped: Path, tmp_path: Path) -> None:
    assert ts.load(mapped).source.is_mapped
    assert not ts.loads(mapped.read_bytes()).source.is_mapped


def test_a_mapped_model_saves_like_any_other(mapped: Path, tmp_path: Path) -> None:
    raw = mapped.read_bytes()
    model = ts.load(mapped)
    assert ts.dumps(model) == raw
    assert ts.dumps(model, "reencode") == ts.dumps(ts.loads(raw), "reencode")
    assert ts.save(model, tmp_path / "same.tflite").kind == "identical"
    assert (tmp_path / "same.tflite").read_bytes() == raw
    model.version = 7
    assert ts.save(model, tmp_path / "spliced.tflite").kind == "spliced"
    assert ts.save(model, mapped).kind == "spliced"
    assert mapped.read_bytes() == (tmp_path / "spliced.tflite").read_bytes() == ts.dumps(model)
    model.description = "longer than it was before"
    assert ts.save(model, mapped).kind == "reencoded"
    assert ts.load(mapped).description == "longer than it was before"


def test_closing_lets_go_of_a_mapped_file(mapped: Path) -> None:
    with ts.load(mapped) as model:
        copy = model.copy()
        bias = model.subgraphs[0].tensors[2]
        assert bias.values().tolist() == [1000, -1000]
    with pytest.raises(ts.SurgeonError, match="was closed"):
        bias.values()
    with pytest.raises(ts.SurgeonError, match="was closed"):
        copy.subgraphs[0].tensors[2].values()
    for save in (lambda: ts.dumps(model), lambda: ts.dumps(copy, "reencode"), lambda: ts.save(model, mapped)):
        with pytest.raises(ts.SaveError, match="was closed"):
            save()
    model.close()


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs Linux's list of mapped files")
def test_a_closed_file_is_no_longer_mapped(mapped: Path) -> None:
    model = ts.load(mapped)
    maps = Path("/proc/self/maps")
    assert str(mapped) in maps.read_text()
    model.subgraphs[0].tensors[3].quantization = None  # Of a kind whose bytes are rare enough to stay open.
    model.close()
    assert str(mapped) not in maps.read_text()


def test_an_array_in_use_survives_closing(mapped: Path) -> None:
    model = ts.load(mapped)
    array = model.subgraphs[0].tensors[2].values()
    model.close()
    assert array.tolist() == [1000, -1000]


def test_closing_a_small_model_or_one_from_memory_changes_nothing() -> None:
    for model in (ts.loads(ts.dumps(samples.dense())), samples.dense()):
        with model:
            pass
        assert ts.dumps(model) == ts.dumps(samples.dense())
