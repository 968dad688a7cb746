"""Constants in files beside the model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests import builders


def saved(folder: Path, name: str = "weights.bin", offset: int = 16, length: int = 8) -> Path:
    """A model whose weights are said to lie in another file."""
    model = builders.layer()
    builders.part(model, "weights").external_buffer = 3
    group = ts.ExternalBufferGroup(name=name)
    model.external_buffer_groups = [group]
    model.external_buffers = [ts.ExternalBuffer(id=3, group=group, offset=offset, length=length)]
    ts.save(model, folder / "net.tflite")
    return folder / "net.tflite"


def test_the_bytes_are_found_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(16) + b"01234567" + bytes(9))
    model = ts.load(saved(tmp_path))
    place = ts.external_data(model, builders.part(model, "weights"))
    assert place.read() == b"01234567"
    assert ts.external_data(model, builders.part(model, "bias")) is None
    assert ts.check(model, select=["external-buffer"]) == []


def test_every_save_keeps_them(tmp_path: Path) -> None:
    path = saved(tmp_path)
    model = ts.load(path)
    assert ts.dumps(model) == path.read_bytes()
    again = ts.loads(ts.dumps(model, "reencode"))
    entry = again.external_buffers[0]
    assert (entry.id, entry.group is again.external_buffer_groups[0], entry.offset, entry.length) == (3, True, 16, 8)


@pytest.mark.parametrize(
    ("content", "word"), [(None, "no such file"), (bytes(20), "ends at byte 20"), ("folder", "no regular file")]
)
def test_bytes_that_are_not_there_are_a_finding(tmp_path: Path, content: bytes | str | None, word: str) -> None:
    if content == "folder":
        (tmp_path / "weights.bin").mkdir()
    elif isinstance(content, bytes):
        (tmp_path / "weights.bin").write_bytes(content)
    (finding,) = ts.check(ts.load(saved(tmp_path)), select=["external-buffer"])
    assert (finding.rule, str(finding.severity)) == ("external-buffer", "warning")
    assert word in finding.message
    assert finding.tensor[1] == "weights" or finding.tensor[1]


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "a/../../secret", "C:\\\\x", "\\\\\\\\host\\\\x", ""])
def test_files_outside_the_folder_are_not_opened(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ts.load(saved(tmp_path, name))
    monkeypatch.setattr(os, "stat", lambda *_: pytest.fail("looked outside the folder"))
    with pytest.raises(ts.SurgeonError, match=r"outside|no file"):
        ts.external_data(model, builders.part(model, "weights"))


def test_a_link_does_not_lead_outside(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(bytes(100))
    (inside / "weights.bin").symlink_to(tmp_path / "secret")
    model = ts.load(saved(inside))
    with pytest.raises(ts.SurgeonError, match="outside"):
        ts.external_data(model, builders.part(model, "weights"))


def test_a_model_from_bytes_has_no_folder(tmp_path: Path) -> None:
    model = ts.loads(saved(tmp_path).read_bytes())
    with pytest.raises(ts.SurgeonError, match="not known"):
        ts.external_data(model, builders.part(model, "weights"))
