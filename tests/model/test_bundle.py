"""Models inside .litertlm files and zip archives."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

import flatbuffers
import pytest

import tflite_surgeon as ts
from tests import builders


def model_bytes(description: str) -> bytes:
    model = builders.layer()
    model.description = description
    return ts.dumps(model)


def string_item(builder: flatbuffers.Builder, key: str, value: str) -> int:
    """A KeyValuePair whose value is a StringValue (union member 9)."""
    text = builder.CreateString(value)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, text, 0)
    holder = builder.EndObject()
    name = builder.CreateString(key)
    builder.StartObject(3)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependUint8Slot(1, 9, 0)
    builder.PrependUOffsetTRelativeSlot(2, holder, 0)
    return builder.EndObject()


def vector(builder: flatbuffers.Builder, items: list[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return builder.EndVector()


def litertlm(path: Path, sections: list[tuple[str, int, bytes]]) -> Path:
    """A container of (model_type, data type, content), each at a multiple of 16 KiB."""
    builder = flatbuffers.Builder(1024)
    objects, place = [], 16384
    for name, kind, content in sections:
        items = vector(builder, [string_item(builder, "model_type", name)])
        builder.StartObject(4)
        builder.PrependUOffsetTRelativeSlot(0, items, 0)
        builder.PrependUint64Slot(1, place, 0)
        builder.PrependUint64Slot(2, place + len(content), 0)
        builder.PrependUint8Slot(3, kind, 0)
        objects.append(builder.EndObject())
        place += -(-len(content) // 16384) * 16384
    listed = vector(builder, objects)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, listed, 0)
    section_metadata = builder.EndObject()
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(1, section_metadata, 0)
    builder.Finish(builder.EndObject())
    header = bytes(builder.Output())
    data = b"LITERTLM" + b"\1\0\0\0" * 3 + bytes(4) + (32 + len(header)).to_bytes(8, "little") + header
    data = data.ljust(16384, b"\0")
    for _, _, content in sections:
        data += content + bytes(-len(content) % 16384)
    path.write_bytes(data)
    return path


@pytest.fixture
def container(tmp_path: Path) -> Path:
    contents = [("embedder", 3, model_bytes("first")), ("tokens", 4, b"words"), ("decoder", 3, model_bytes("second"))]
    return litertlm(tmp_path / "net.litertlm", contents)


def test_the_models_of_a_litertlm_file_are_listed_and_read(container: Path) -> None:
    assert [section.name for section in ts.sections(container)] == ["embedder", "decoder"]
    assert ts.load(container, 0).description == "first"
    assert ts.load(container, "decoder").description == "second"
    assert ts.load(container, "1").description == "second"
    assert ts.check(ts.load(container, 0)) == []


def test_a_container_is_not_taken_for_a_model(container: Path) -> None:
    with pytest.raises(ts.UnusableFileError, match=r"2 TFLite models inside: 0 \(embedder\), 1 \(decoder\)"):
        ts.load(container)
    with pytest.raises(ts.UnusableFileError, match="no model 'x' inside"):
        ts.load(container, "x")


def test_a_model_is_not_taken_for_a_container(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(model_bytes(""))
    assert ts.sections(path) == []
    with pytest.raises(ts.UnusableFileError, match="no container"):
        ts.load(path, 0)


def test_a_section_is_saved_as_a_file_of_its_own(container: Path, tmp_path: Path) -> None:
    before = container.read_bytes()
    model = ts.load(container, 1)
    assert ts.save(model, tmp_path / "out.tflite").kind == "identical"
    assert (tmp_path / "out.tflite").read_bytes() == model_bytes("second")
    assert container.read_bytes() == before


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_models_of_a_zip_are_read(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "net.task"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("labels.txt", "cat\n")
        archive.writestr("detector.tflite", model_bytes("inside"))
    assert [section.name for section in ts.sections(path)] == ["detector.tflite"]
    assert ts.load(path, "detector.tflite").description == "inside"


def test_a_bundle_in_a_zip_needs_no_suffix_where_it_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "net.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("TF_LITE_PREFILL_DECODE", model_bytes("inside"))
    assert ts.load(path, 0).description == "inside"


def test_a_bomb_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.task"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net.tflite", bytes(50_000_000))
    with pytest.raises(ts.UnusableFileError, match="50000000 bytes"):
        ts.load(path, 0)


def test_damaged_containers_are_refused_or_read(container: Path) -> None:
    raw = container.read_bytes()
    for place in range(0, 700, 3):
        for value in (0, 0x7F, 0xFF):
            container.write_bytes(raw[:place] + bytes([value]) + raw[place + 1 :])
            with suppress(ts.SurgeonError):
                for section in ts.sections(container):
                    ts.load(container, section.name)
