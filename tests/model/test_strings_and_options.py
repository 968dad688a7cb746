"""Constants of strings, FlexBuffer options, and files that are appended to a model."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from flatbuffers import flexbuffers

import tflite_surgeon as ts

# Two strings, "ab" and "": count, three offsets, bytes; as string_util.h lays them out.
TWO = b"\2\0\0\0" + b"\x10\0\0\0" + b"\x12\0\0\0" + b"\x12\0\0\0" + b"ab"


def tensor(shape: list[int], data: bytes) -> ts.Tensor:
    return ts.Tensor(name="words", shape=shape, type=ts.TensorType.STRING, buffer=ts.Buffer(data))


def test_strings_are_read_and_written() -> None:
    words = tensor([1, 2], TWO)
    assert words.values().tolist() == [[b"ab", b""]]
    words.set_values([["longer", b"caf\xe9"]])
    assert words.values().tolist() == [[b"longer", b"caf\xe9"]]
    words.set_values(words.values())
    assert words.values().tolist() == [[b"longer", b"caf\xe9"]]
    words.set_values([["ab", ""]])
    assert bytes(words.data) == TWO


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([3], TWO),
        ([2], TWO[:8]),
        ([2], TWO[:-1]),
        ([2], b"\xff\xff\xff\x7f" + TWO[4:]),
        ([2], TWO[:4] + b"\xff\xff\xff\xff" + TWO[8:]),
        ([2], TWO[:4] + b"\x12\0\0\0\x10\0\0\0" + TWO[12:]),
    ],
    ids=["count", "cut", "short", "many", "negative", "backwards"],
)
def test_damaged_strings_are_refused(shape: list[int], data: bytes) -> None:
    with pytest.raises(ts.SurgeonError, match="words"):
        tensor(shape, data).values()


def test_flexbuffer_options() -> None:
    options = {"num_classes": 90, "scales": [1.5, 2.0], "name": "ssd"}
    operator = ts.Operator(
        opcode=ts.OperatorCode(custom_code="Detect"), custom_options=bytes(flexbuffers.Dumps(options))
    )
    assert operator.flexbuffer() == options


@pytest.mark.parametrize("options", [None, b"", b"\xff", bytes(range(200))])
def test_options_that_are_none_are_refused(options: bytes | None) -> None:
    with pytest.raises(ts.SurgeonError):
        ts.Operator(opcode=ts.OperatorCode(), custom_options=options).flexbuffer()


def appended(compression: int, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", compression) as members:
        members.writestr("labels.txt", content)
    return archive.getvalue()


def test_associated_files_are_read_and_survive() -> None:
    model = ts.loads(ts.dumps(ts.Model(version=3, subgraphs=[])) + appended(zipfile.ZIP_STORED, b"cat\ndog\n"))
    assert model.associated_files() == {"labels.txt": b"cat\ndog\n"}
    model.description = "longer than before"
    assert ts.loads(ts.dumps(model)).associated_files() == {"labels.txt": b"cat\ndog\n"}
    assert ts.Model().associated_files() == {}


def test_a_zip_bomb_is_refused() -> None:
    model = ts.loads(ts.dumps(ts.Model(version=3)) + appended(zipfile.ZIP_DEFLATED, bytes(10_000_000)))
    with pytest.raises(ts.UnusableFileError, match="10000000 bytes"):
        model.associated_files()


def test_strings_keep_numpy_from_guessing() -> None:
    assert tensor([2], TWO).values().dtype == np.dtype(object)
