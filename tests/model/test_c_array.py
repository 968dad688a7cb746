"""Models as C arrays."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests import builders

HEAD = b"// A licence, and /* { not an array } */ words.\n#include <cstdint>\nstatic const int x[] = {1, 2};\n"


def c_source(data: bytes, name: str = "g_model", per_line: int = 12) -> bytes:
    """As `xxd -i` writes it."""
    rows = [data[at : at + per_line] for at in range(0, len(data), per_line)]
    body = ",\n".join("  " + ", ".join(f"0x{byte:02x}" for byte in row) for row in rows)
    return f"alignas(16) const unsigned char {name}[] = {{\n{body}\n}};\nconst int {name}_len = {len(data)};\n".encode()


@pytest.fixture
def model() -> ts.Model:
    return builders.layer()


def test_a_model_is_read_from_c_source(model: ts.Model, tmp_path: Path) -> None:
    data = ts.dumps(model)
    path = tmp_path / "model.cc"
    path.write_bytes(HEAD + c_source(data))
    assert ts.dumps(ts.load(path)) == data
    assert ts.dumps(ts.loads(HEAD + c_source(data))) == data


def test_decimal_numbers_and_comments_are_read(model: ts.Model, tmp_path: Path) -> None:
    data = ts.dumps(model)
    numbers = ", ".join(f"{byte} /* {index} */" for index, byte in enumerate(data))
    (tmp_path / "model.h").write_text(f"unsigned char m[{len(data)}] = {{ {numbers} , }}; // end\n")
    assert ts.dumps(ts.load(tmp_path / "model.h")) == data


def test_a_repair_changes_the_numbers_and_nothing_else(model: ts.Model, tmp_path: Path) -> None:
    builders.damage(builders.part(model, "bias"), 3.0)
    path = tmp_path / "model.cc"
    before = HEAD + c_source(ts.dumps(model))
    path.write_bytes(before)
    report = ts.save(ts.fix_bias_scale(ts.load(path), keep="integers").model, path)
    assert report.kind == "spliced"
    after = path.read_bytes()
    assert len(after) == len(before)
    old, new = before.splitlines(), after.splitlines()
    assert sum(a != b for a, b in zip(old, new)) <= 2
    assert ts.check(ts.load(path)) == []


def test_the_length_follows_a_model_that_grows(model: ts.Model, tmp_path: Path) -> None:
    path = tmp_path / "model.cc"
    path.write_bytes(HEAD + c_source(ts.dumps(model)))
    read = ts.load(path)
    read.description = "a longer description than before"
    report = ts.save(read, path)
    assert report.kind == "reencoded"
    assert f"const int g_model_len = {report.size};".encode() in path.read_bytes()
    assert path.read_bytes().startswith(HEAD)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("suffix", [".c", ".h", ".cc", ".hpp"])
def test_what_is_written_compiles(model: ts.Model, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"2 models-of mine{suffix}"
    ts.save(model, path)
    assert ts.dumps(ts.load(path)) == ts.dumps(model)
    language = "c" if suffix in (".c", ".h") else "c++"
    subprocess.run(["cc", "-Wall", "-Werror", "-fsyntax-only", "-x", language, str(path)], check=True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"const unsigned char a[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };", "none of its arrays"),
        (b"unsigned char a[] = { 300, 1, 2, 3, 4, 5, 6, 7, 8 };", "none of its arrays"),
    ],
)
def test_source_without_a_model_is_refused(tmp_path: Path, text: bytes, sentence: str) -> None:
    (tmp_path / "x.cc").write_bytes(text)
    with pytest.raises(ts.UnusableFileError, match=sentence):
        ts.load(tmp_path / "x.cc")


def test_source_with_two_models_is_refused(model: ts.Model, tmp_path: Path) -> None:
    data = ts.dumps(model)
    (tmp_path / "x.cc").write_bytes(c_source(data, "one") + c_source(data, "two"))
    with pytest.raises(ts.UnusableFileError, match="2 models \\(one, two\\)"):
        ts.load(tmp_path / "x.cc")
