"""The zip of associated files behind a model: kept, and readable after the model in front of it grew or shrank."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tflite_surgeon.model import archive

LABELS = {"labels.txt": b"cat\ndog\n", "sub/vocabulary.txt": "äöü\n".encode() * 50}


def zip_of(members: dict[str, bytes], comment: bytes = b"", compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, content in members.items():
            # A date of its own would be the clock's: two calls would differ every other second.
            made.writestr(zipfile.ZipInfo(name), content, compression)
        made.comment = comment
    return out.getvalue()


def with_absolute_offsets(model: bytes, members: dict[str, bytes] = LABELS) -> bytes:
    """As `zip` and Python's append mode write it: offsets count from the beginning of the whole file."""
    out = io.BytesIO(model)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


def with_relative_offsets(model: bytes, members: dict[str, bytes] = LABELS, comment: bytes = b"") -> bytes:
    """As concatenation makes it: offsets count from the beginning of the zip."""
    return model + zip_of(members, comment)


def read_by_zipfile(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


APPENDED = [with_absolute_offsets, with_relative_offsets]
EDITS = [
    pytest.param(lambda m: setattr(m, "description", "much longer than it was before" * 20), id="grows"),
    pytest.param(lambda m: setattr(m, "description", None), id="shrinks"),
    pytest.param(lambda m: m.subgraphs[0].tensors[0].shape.__setitem__(0, 9), id="spliced"),
    pytest.param(lambda m: setattr(m.buffers[-1], "data", b"outside and larger" * 100), id="outside data"),
]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("append", APPENDED)
@pytest.mark.parametrize("build", [samples.dense, samples.crowded])
def test_the_zip_is_kept_and_readable(append, edit, build) -> None:
    raw = append(ts.dumps(build()))
    model = ts.loads(raw)
    assert ts.dumps(model) == raw
    assert archive.members(raw) == LABELS
    edit(model)
    for mode in ("auto", "reencode"):
        written = ts.dumps(model, mode)
        assert read_by_zipfile(written) == LABELS
        assert archive.members(written) == LABELS
        assert ts.dumps(ts.loads(written)) == written
        assert written.endswith(zip_of(LABELS)) == (append is with_relative_offsets)


@pytest.mark.parametrize("append", APPENDED)
def test_rewriting_again_and_again_does_not_let_the_file_grow(append) -> None:
    raw = ts.dumps(ts.loads(append(ts.dumps(samples.crowded()))), "reencode")
    assert ts.dumps(ts.loads(raw), "reencode") == raw


def test_a_comment_behind_the_zip_is_kept() -> None:
    raw = with_relative_offsets(ts.dumps(samples.dense()), comment=b"PK\5\6 is how a zip ends" * 3)
    model = ts.loads(raw)
    model.description = "other"
    assert ts.dumps(model).endswith(zip_of(LABELS, b"PK\5\6 is how a zip ends" * 3))


def test_an_empty_zip_is_kept() -> None:
    raw = ts.dumps(samples.dense()) + zip_of({})
    assert archive.members(raw) == {}
    model = ts.loads(raw)
    model.description = "other"
    assert ts.dumps(model).endswith(zip_of({}))


def test_a_model_without_a_zip_has_no_members() -> None:
    assert archive.members(ts.dumps(samples.dense())) == {}
    assert archive.find(b"") is None


@pytest.mark.parametrize("padding", range(5))
@pytest.mark.parametrize("build", [samples.dense, samples.branching])
def test_bytes_behind_the_model_that_are_no_zip_are_kept(build, padding: int) -> None:
    raw = ts.dumps(build()) + bytes(padding) + b"a signature, perhaps"
    model = ts.loads(raw)
    assert ts.dumps(model) == raw
    model.description = "longer than it was before"
    written = ts.dumps(model)
    assert written.endswith(b"a signature, perhaps")
    assert written.count(b"a signature, perhaps") == 1
    assert ts.dumps(ts.loads(written), "reencode") == written


def test_what_an_edit_removed_is_not_taken_for_something_appended() -> None:
    """The weights that lay last are gone from the model; they must not stay in the file."""
    model = samples.dense()
    model.buffers.append(ts.Buffer(b"secret weights" * 30))
    raw = ts.dumps(model)
    assert raw.endswith(b"secret weights")
    model = ts.loads(raw)
    model.buffers.pop()
    written = ts.dumps(model)
    assert b"secret" not in written
    assert len(written) <= len(raw) - 14 * 30

    model = ts.loads(raw)
    model.buffers[-1].data = b"short"
    assert b"secret" not in ts.dumps(model)


def test_a_removed_operator_leaves_nothing_behind() -> None:
    model = ts.loads(ts.dumps(samples.crowded()))
    operator = next(op for op in model.subgraphs[0].operators if op.large_custom_options is not None)
    model.subgraphs[0].operators.remove(operator)
    assert b"large options" not in ts.dumps(model)


@pytest.mark.parametrize("outside", [False, True])
def test_a_zip_that_is_a_buffer_is_not_appended_once_more(outside: bool) -> None:
    model = samples.dense()
    content = zip_of(LABELS)
    model.buffers.append(ts.Buffer(content, outside=outside))
    raw = ts.dumps(model)
    assert raw.endswith(content)
    read = ts.loads(raw)
    assert ts.dumps(read, "reencode") == raw
    read.description = "other"
    assert ts.dumps(read).count(content) == 1


def test_a_damaged_zip_is_refused_in_a_sentence_and_still_kept() -> None:
    model = ts.dumps(samples.dense())
    raw = with_relative_offsets(model)
    content = raw.find(b"\n", len(model) + 30)
    damaged = raw[: len(model)] + raw[len(model) :].replace(b"labels.txt", b"LABELS.txt", 1)
    assert content > 0
    with pytest.raises(ts.UnusableFileError, match="zip at the end of the file cannot be read"):
        archive.members(damaged)
    read = ts.loads(damaged)
    read.description = "other"
    assert ts.dumps(read).endswith(damaged[len(model) :])


def test_a_rewritten_file_can_be_extended_by_zipfile(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(with_absolute_offsets(ts.dumps(samples.dense())))
    model = ts.load(path)
    model.description = "rewritten, and longer than it was"
    ts.save(model, path)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("more.txt", b"more")
    assert read_by_zipfile(path.read_bytes()) == {**LABELS, "more.txt": b"more"}
    assert ts.load(path).description == "rewritten, and longer than it was"
