"""Journals and undo in Python: what a journal says, that undoing leads back byte for byte, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, part
from tests.model.test_archive import with_absolute_offsets, with_relative_offsets
from tests.model.test_large_files import in_child
from tflite_surgeon.edits import telling, undoing
from tflite_surgeon.edits.plan import AppendItem, SetField
from tflite_surgeon.model import files, replacing

FIXTURES = sorted((Path(__file__).resolve().parents[2] / "fixtures").glob("*.tflite"))
BROKEN = next(path for path in FIXTURES if path.name == "bias_scale_per_tensor.tflite")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def strict(path: Path) -> dict[str, Any]:
    """A journal as a strict reader sees it: no NaN, no key twice."""

    def constant(name: str) -> None:
        raise AssertionError(name)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(items)) == len(items)
        return dict(items)

    return dict(json.loads(path.read_text("ascii"), parse_constant=constant, object_pairs_hook=pairs))


def repaired(source: Path, keep: str = "values", *, mode: str = "auto", **options: Any) -> tuple[Path, Path]:
    """Repair a file to fixed.tflite beside it, with a journal; returns both."""
    fixed, story = source.with_name("fixed.tflite"), source.with_name("story.json")
    with ts.load(source, **options) as model:
        outcome = ts.fix_bias_scale(model, keep=keep)
        report = ts.save(outcome.model, fixed, mode)
        ts.write_journal(ts.journal(outcome, report), story)
    return fixed, story


def damaged(build: Callable[[], ts.Model]) -> bytes:
    """The bytes of a model of which every bias has another scale than its kernel's unit."""
    model = build()
    for node in model.nodes():
        for role in ("bias", "input_gate_bias", "forget_gate_bias", "cell_gate_bias", "output_gate_bias"):
            bias = node.operator.role(role)
            if bias is not None:
                damage(bias, 4.0)
                break
    return ts.dumps(model)


BUILT: dict[str, Callable[[], ts.Model]] = {
    **{
        f"{operator}-{kind}": lambda operator=operator, kind=kind: builders.layer(operator, kind)
        for operator in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")
        for kind in ("INT8", "UINT8", "INT16")
    },
    "per channel": lambda: builders.layer("CONV_2D", per_channel=True),
    "chain": lambda: builders.chain(3),
    "shared bias": builders.shared_bias,
    "svdf": builders.svdf,
    "lstm": builders.lstm,
}


# Round trips


@pytest.mark.parametrize("mode", ["auto", "reencode"])
@pytest.mark.parametrize("keep", ["values", "integers"])
@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_fixtures_come_back(fixture_copy, tmp_path: Path, fixture: Path, keep: str, mode: str) -> None:
    source = fixture_copy(fixture.name)
    before = source.read_bytes()
    fixed, story = repaired(source, keep, mode=mode)
    done = ts.undo(fixed, story, tmp_path / "back.tflite")
    assert (tmp_path / "back.tflite").read_bytes() == before == source.read_bytes()
    assert (done.size, done.sha256) == (len(before), sha256(before))
    assert (done.original is not None) == (strict(story)["saved"] == "reencoded")


@pytest.mark.parametrize("keep", ["values", "integers"])
@pytest.mark.parametrize("name", BUILT)
def test_built_models_come_back(tmp_path: Path, name: str, keep: str) -> None:
    source = tmp_path / "net.tflite"
    source.write_bytes(damaged(BUILT[name]))
    before = source.read_bytes()
    fixed, story = repaired(source, keep)
    assert fixed.read_bytes() != before
    ts.undo(fixed, story, tmp_path / "back.tflite")
    assert (tmp_path / "back.tflite").read_bytes() == before


def outside(_: bytes) -> bytes:
    """A model whose data lies behind the flatbuffer."""
    model = builders.layer()
    damage(part(model, "bias"), 4.0)
    for buffer in model.buffers[1:]:
        buffer.outside = True
    return ts.dumps(model)


@pytest.mark.parametrize("wrap", [with_absolute_offsets, with_relative_offsets, outside])
def test_what_lies_behind_the_flatbuffer_comes_back(tmp_path: Path, wrap: Callable[[bytes], bytes]) -> None:
    source = tmp_path / "net.tflite"
    source.write_bytes(wrap(damaged(builders.layer)))
    fixed, story = repaired(source)
    assert strict(story)["undo"] == "patches"
    source.unlink()
    ts.undo(fixed, story, source)
    assert source.read_bytes() == wrap(damaged(builders.layer))


def test_a_mapped_file_comes_back(fixture_copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAP_FROM", 1)
    source = fixture_copy(BROKEN.name)
    fixed, story = repaired(source)
    ts.undo(fixed, story, tmp_path / "back.tflite")
    assert (tmp_path / "back.tflite").read_bytes() == BROKEN.read_bytes()


@pytest.mark.parametrize("map_from", [1, 1 << 30])
def test_long_vectors_are_lists_in_a_journal_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, map_from: int
) -> None:
    monkeypatch.setattr(files, "MAP_FROM", map_from)
    source = tmp_path / "net.tflite"
    source.write_bytes(damaged(lambda: builders.layer("CONV_2D", per_channel=True, channels=20)))
    fixed, story = repaired(source, "integers")
    (edit,) = (edit for edit in strict(story)["edits"] if edit["path"].endswith("quantization.scale"))
    for key, path in (("old", source), ("new", fixed)):
        assert edit[key] == part(ts.load(path), "bias").quantization.scale
        assert len(edit[key]) == 20
    ts.undo(fixed, story, tmp_path / "back.tflite")
    assert (tmp_path / "back.tflite").read_bytes() == source.read_bytes()


def test_in_place_without_a_backup(fixture_copy) -> None:
    path = fixture_copy(BROKEN.name)
    story = path.with_name("story.json")
    outcome = ts.fix_bias_scale(ts.load(path))
    ts.write_journal(ts.journal(outcome, ts.save(outcome.model, path)), story)
    assert strict(story)["original"] is None
    ts.undo(path, story, path, replace=True)
    assert path.read_bytes() == BROKEN.read_bytes()


def test_written_anew_in_place_without_a_backup_is_impossible_and_says_so_at_once(fixture_copy) -> None:
    path = fixture_copy(BROKEN.name)
    story = path.with_name("story.json")
    outcome = ts.fix_bias_scale(ts.load(path))
    ts.write_journal(ts.journal(outcome, ts.save(outcome.model, path, "reencode")), story)
    assert (strict(story)["undo"], strict(story)["obstacle"]) == ("impossible", "no original was kept")
    path.write_bytes(b"changed too")
    with pytest.raises(ts.UndoError, match="undo is impossible: no original was kept"):
        ts.undo(path, story, path.with_name("back"))


def test_c_source_is_kept_not_spliced(tmp_path: Path) -> None:
    source = tmp_path / "net.cc"
    ts.save(ts.load(BROKEN), source)
    before = source.read_bytes()
    fixed, story = repaired(source)
    told = strict(story)
    assert (told["saved"], told["undo"], told["patches"]) == ("reencoded", "original", [])
    assert told["before"]["sha256"] == sha256(before)
    ts.undo(fixed, story, tmp_path / "back.cc")
    assert (tmp_path / "back.cc").read_bytes() == before


def test_a_section_comes_back_as_the_model_that_it_is(tmp_path: Path) -> None:
    import zipfile

    source = tmp_path / "models.task"
    with zipfile.ZipFile(source, "w") as archive:
        archive.write(BROKEN, "inner.tflite")
    fixed, story = repaired(source, section=0)
    ts.undo(fixed, story, tmp_path / "back.tflite")
    assert (tmp_path / "back.tflite").read_bytes() == BROKEN.read_bytes()


# What it says


def test_a_journal_tells_all(fixture_copy) -> None:
    source = fixture_copy(BROKEN.name)
    fixed, story = repaired(source)
    told, before, after = strict(story), source.read_bytes(), fixed.read_bytes()
    assert told["tool"] == f"tflite-surgeon {ts.__version__}"
    assert told["date"][:2] == "20"
    assert told["date"].endswith("+00:00")
    assert told["before"] == {"path": str(source), "sha256": sha256(before), "size": len(before)}
    assert told["after"] == {"path": str(fixed), "sha256": sha256(after), "size": len(after)}
    assert (told["saved"], told["reasons"], told["undo"]) == ("spliced", [], "patches")
    assert told["original"] == {"path": str(source)}
    (repair,) = told["repairs"]
    assert (repair["rule"], repair["path"], repair["keep"]) == ("bias-scale", "subgraphs[0].operators[0]", "values")
    assert repair["reason"] == "asked for with --keep values"
    assert told["left"] == []
    old, new = (ts.loads(data).subgraphs[0].operators[0].role("bias") for data in (before, after))
    scale, data = told["edits"]
    assert scale["path"] == "subgraphs[0].tensors[2].quantization.scale"
    assert (scale["old"], scale["new"]) == (old.quantization.scale, new.quantization.scale)
    assert bytes.fromhex(data["old"]["hex"]) == bytes(old.data)
    assert bytes.fromhex(data["new"]["hex"]) == bytes(new.data)
    rebuilt = bytearray(before)
    for patch in told["patches"]:
        was, now = bytes.fromhex(patch["old"]), bytes.fromhex(patch["new"])
        assert rebuilt[patch["offset"] : patch["offset"] + len(was)] == was
        rebuilt[patch["offset"] : patch["offset"] + len(now)] = now
    assert bytes(rebuilt) == after


def test_what_was_left_alone_is_told(fixture_copy, tmp_path: Path) -> None:
    source = fixture_copy("bias_scale_shared.tflite")
    model = ts.load(source)
    model.subgraphs[0].operators[1].role("weights").quantization.scale = [0.0]
    ts.save(model, source)
    _, story = repaired(source)
    told = strict(story)
    assert [entry["keep"] for entry in told["left"]] == [None]
    assert "restore that scale first" in told["left"][0]["reason"]
    assert all(entry["path"] != told["left"][0]["path"] for entry in told["repairs"])


def test_new_objects_are_told_with_their_fields_and_others_by_their_place(fixture_copy) -> None:
    _, story = repaired(fixture_copy("bias_scale_shared.tflite"))
    edits = {edit["path"]: edit for edit in strict(story)["edits"]}
    clone = edits["subgraphs[0].tensors[10]"]
    assert clone["old"] is None
    assert (clone["new"]["buffer"], clone["new"]["type"]) == ("buffers[12]", "INT32")
    inputs = edits["subgraphs[0].operators[1].inputs"]
    assert inputs["old"][2] == "subgraphs[0].tensors[0]"
    assert inputs["new"][2] == "subgraphs[0].tensors[10]"


def test_values_of_every_kind_are_strict_json() -> None:
    model = builders.layer()
    long = bytes(range(256)) * 17
    tensor = ts.Tensor(name="x\udcff", buffer=model.buffers[1], quantization=ts.QuantizationParameters(scale=[1.5]))
    values = [float("nan"), float("inf"), float("-inf"), None, True, 1 << 62, ts.TensorType.INT8, "a\udcffb", long]
    edits = telling.Edits(model)
    told = [edits.told(SetField(None, "x", value, [value], "somewhere"))["new"][0] for value in values]
    assert json.loads(json.dumps(told, allow_nan=False)) == [
        *("NaN", "Infinity", "-Infinity", None, True, 1 << 62, "INT8", "a\\xffb"),
        {"size": len(long), "sha256": sha256(long)},
    ]
    assert edits.told(AppendItem(None, "tensors", tensor, "somewhere"))["new"] == {
        "name": "x\\xff",
        "buffer": "buffers[1]",
        "quantization": {"scale": [1.5]},
    }


def test_a_name_that_is_not_utf_8_is_found_again(tmp_path: Path) -> None:
    try:
        source = tmp_path / os.fsdecode(b"n\xff.tflite")
        source.write_bytes(BROKEN.read_bytes())
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    fixed, story = repaired(source, mode="reencode")
    assert strict(story)["original"]["path"].endswith("n\\xff.tflite")
    assert ts.undo(fixed, story, tmp_path / "back").original == source


def test_only_what_was_saved_has_a_journal(fixture_copy, tmp_path: Path) -> None:
    outcome = ts.fix_bias_scale(ts.load(fixture_copy(BROKEN.name)))
    report = ts.save(outcome.model, tmp_path / "out.tflite")
    (tmp_path / "out.tflite").write_bytes(BROKEN.read_bytes()[:-1] + b"x")
    with pytest.raises(ts.SurgeonError, match="do not lead back"):
        ts.journal(outcome, report)
    (tmp_path / "out.tflite").unlink()
    with pytest.raises(ts.UnusableFileError, match=r"out\.tflite cannot be read"):
        ts.journal(outcome, report)
    with pytest.raises(ts.SurgeonError, match="in no file"):
        ts.journal(outcome, ts.SaveReport("identical"))


def test_an_original_that_is_none_is_refused(fixture_copy, tmp_path: Path) -> None:
    outcome = ts.fix_bias_scale(ts.load(fixture_copy(BROKEN.name)))
    report = ts.save(outcome.model, tmp_path / "out.tflite", "reencode")
    (tmp_path / "other").write_bytes(b"another")
    with pytest.raises(ts.SurgeonError, match="other is not what the model was read from"):
        ts.journal(outcome, report, tmp_path / "other")


def test_a_model_made_in_memory_has_a_journal_and_no_undo(tmp_path: Path) -> None:
    model = builders.layer()
    damage(part(model, "bias"), 4.0)
    outcome = ts.fix_bias_scale(model, keep="values")
    ts.write_journal(ts.journal(outcome, ts.save(outcome.model, tmp_path / "fixed.tflite")), tmp_path / "story.json")
    with pytest.raises(ts.UndoError, match="made in memory"):
        ts.undo(tmp_path / "fixed.tflite", tmp_path / "story.json", tmp_path / "back")


def test_a_journal_replaces_nothing_unasked(fixture_copy, tmp_path: Path) -> None:
    outcome = ts.fix_bias_scale(ts.load(fixture_copy(BROKEN.name)))
    made = ts.journal(outcome, ts.save(outcome.model, tmp_path / "out.tflite"))
    (tmp_path / "mine").write_bytes(b"mine")
    with pytest.raises(ts.SaveError, match="exists already"):
        ts.write_journal(made, tmp_path / "mine")
    assert (tmp_path / "mine").read_bytes() == b"mine"
    ts.write_journal(made, tmp_path / "mine", replace=True)
    assert strict(tmp_path / "mine")["journal"] == 1


# Refusals


@pytest.fixture
def spliced(fixture_copy) -> tuple[Path, Path]:
    return repaired(fixture_copy(BROKEN.name))


@pytest.fixture
def encoded(fixture_copy) -> tuple[Path, Path]:
    return repaired(fixture_copy(BROKEN.name), mode="reencode")


def refused(pair: tuple[Path, Path], match: str, error: type[ts.SurgeonError] = ts.UndoError) -> None:
    """Undoing is refused with this text, and nothing is written."""
    folder = pair[0].parent
    before = sorted(folder.iterdir())
    with pytest.raises(error, match=match):
        ts.undo(*pair, folder / "back.tflite")
    assert sorted(folder.iterdir()) == before


def test_a_file_that_has_changed_since_is_refused_with_both_hashes(spliced) -> None:
    fixed, story = spliced
    expected = strict(story)["after"]["sha256"]
    data = bytearray(fixed.read_bytes())
    data[-1] ^= 1
    fixed.write_bytes(data)
    refused(spliced, f"fixed.tflite has the sha256 {sha256(data)}, the journal expects {expected} of the file that")
    fixed.write_bytes(data + b"x")
    refused(spliced, f"has {len(data) + 1} bytes, the journal expects {len(data)}")
    fixed.unlink()
    refused(spliced, "fixed.tflite cannot be read: no such file", ts.UnusableFileError)


def test_a_missing_or_changed_original_is_refused(encoded) -> None:
    source = encoded[0].with_name(BROKEN.name)
    expected = strict(encoded[1])["before"]["sha256"]
    data = source.read_bytes()[:-1] + b"?"
    source.write_bytes(data)
    refused(encoded, f"per_tensor.tflite has the sha256 {sha256(data)}, the journal expects {expected} of the kept")
    source.unlink()
    refused(encoded, "the original is not at .*per_tensor.tflite any more")
    os.mkfifo(source)
    refused(encoded, "is a folder, device or pipe", ts.UnusableFileError)


def test_an_original_that_moved_along_is_found(encoded, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (*encoded, encoded[0].with_name(BROKEN.name)):
        path.rename(moved / path.name)
    done = ts.undo(moved / "fixed.tflite", moved / "story.json", tmp_path / "back")
    assert done.original == moved / BROKEN.name
    assert (tmp_path / "back").read_bytes() == BROKEN.read_bytes()


def test_an_existing_file_is_not_replaced_unasked(spliced, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("mine", "link"):
        with pytest.raises(ts.SaveError, match="exists already"):
            ts.undo(*spliced, tmp_path / name)
    assert (tmp_path / "mine").read_bytes() == b"mine"
    ts.undo(*spliced, tmp_path / "mine", replace=True)
    assert (tmp_path / "mine").read_bytes() == BROKEN.read_bytes()
    with pytest.raises(ts.SaveError, match="is the journal"):
        ts.undo(*spliced, spliced[1], replace=True)


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a list": (lambda told: [told], "the whole is .*; expected an object"),
    "another format": (lambda told: told | {"journal": 2}, "its format is 2"),
    "a format that is true": (lambda told: told | {"journal": True}, "journal is true; expected a whole number"),
    "an unknown way": (lambda told: told | {"undo": "magic"}, "undo is 'magic'"),
    "a way that is a list": (lambda told: told | {"undo": []}, r"undo is \[\]; expected a text"),
    "no before": (lambda told: told | {"before": None}, "before is missing"),
    "no sha256": (lambda told: told | {"after": {"size": 1}}, "after.sha256 is missing"),
    "a sha256 of another kind": (
        lambda told: told | {"after": {"size": 1, "sha256": "A" * 64}},
        "after.sha256 is .*no sha256",
    ),
    "a size that is a text": (
        lambda told: told | {"before": told["before"] | {"size": "2384"}},
        'before.size is "2384"; expected a whole number',
    ),
    "patches that are no list": (lambda told: told | {"patches": {}}, r"patches is \{\}; expected a list"),
    "a patch that is a number": (lambda told: told | {"patches": [7]}, r"patches\[0\] is 7"),
    "an offset below": (lambda told: patched(told, offset=-1), r"patches\[0\].offset is -1"),
    "an offset behind": (
        lambda told: patched(told, offset=1 << 70),
        r"patches\[0\].offset is 11805.*the file has 2384",
    ),
    "an offset that is no number": (lambda told: patched(told, offset=1.0), "offset is 1.0; expected a whole"),
    "no hexadecimal": (lambda told: patched(told, old="zz"), "old is not hexadecimal"),
    "half a byte": (lambda told: patched(told, old="abc"), "old is not hexadecimal"),
    "other sizes": (lambda told: patched(told, old="00"), "old has 1 bytes and new 4: a splice keeps the size"),
    "patches over each other": (lambda told: told | {"patches": told["patches"] * 2}, "before byte"),
    "an original that is a text": (
        lambda told: told | {"original": "/etc/passwd"},
        "original is .*; expected an object",
    ),
}


def patched(told: dict[str, Any], **values: Any) -> dict[str, Any]:
    return told | {"patches": [told["patches"][0] | values]}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_journals_are_refused_with_a_sentence(spliced, name: str) -> None:
    change, text = HOSTILE[name]
    spliced[1].write_text(json.dumps(change(strict(spliced[1]))))
    refused(spliced, f"story.json is no journal of a repair: .*{text}", ts.UnusableFileError)


@pytest.mark.parametrize("key", ["journal", "undo", "before", "after", "patches"])
def test_a_missing_key_is_named(spliced, key: str) -> None:
    told = strict(spliced[1])
    del told[key]
    spliced[1].write_text(json.dumps(told))
    refused(spliced, f"{key} is missing", ts.UnusableFileError)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 99,
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"journal": NaN}',
        b"1" * 5000,
        b"null",
        BROKEN.read_bytes(),
    ],
    ids=range(9),
)
def test_what_is_no_journal_is_refused(spliced, content: bytes) -> None:
    spliced[1].write_bytes(content)
    refused(spliced, "story.json is no journal of a repair: ", ts.UnusableFileError)


def test_journals_that_cannot_be_read_are_refused(spliced, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, story = spliced
    monkeypatch.setattr(undoing, "_LARGEST", 1000)
    monkeypatch.setattr(undoing, "_LARGEST_PER_BYTE", 0)
    refused(spliced, "at most 1000 are believed", ts.UnusableFileError)
    story.unlink()
    refused(spliced, "story.json cannot be read: no such file", ts.UnusableFileError)
    refused((fixed, story.parent), "is a folder, device or pipe", ts.UnusableFileError)
    refused((fixed, Path("/dev/zero")), "/dev/zero is a folder, device or pipe", ts.UnusableFileError)


def test_a_journal_that_lies_about_what_was_before(spliced) -> None:
    told = strict(spliced[1])
    lies = [
        patched(told),
        patched(told, old="00000000"),
        told | {"before": told["before"] | {"sha256": "0" * 64}},
        told | {"before": told["before"] | {"size": 2385}},
    ]
    for lie in lies:
        spliced[1].write_text(json.dumps(lie))
        refused(spliced, "what undoing leads to has .*the journal expects .* of the file before the repair")


@pytest.mark.parametrize("path", ["/", "", "..", "\0", "\ud800", "/dev/zero", "x" * 5000, "/proc/self/mem"])
def test_originals_with_absurd_names(encoded, path: str) -> None:
    told = strict(encoded[1])
    encoded[1].write_text(json.dumps(told | {"original": {"path": path}}))
    with pytest.raises(ts.SurgeonError):
        ts.undo(*encoded, encoded[0].with_name("back"))


# Half-way


@pytest.mark.parametrize("step", ["copy", "fsync", "chmod", "replace"])
def test_an_undo_that_fails_leaves_what_was_there(spliced, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    fixed, story = spliced
    fixed.chmod(0o640)
    before = fixed.read_bytes()

    def failing(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(undoing if step == "copy" else replacing.os, step, failing)
    with pytest.raises(ts.SaveError, match="no space left"):
        ts.undo(fixed, story, fixed, replace=True, backup=True)
    assert fixed.read_bytes() == before
    assert not list(fixed.parent.glob("*.bak*"))
    assert not list(fixed.parent.glob(".*"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a child")
@pytest.mark.parametrize("what", ["undo", "journal"])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_kill_leaves_nothing_half(fixture_copy, what: str, step: str) -> None:
    source = fixture_copy(BROKEN.name)
    target = source.with_name("target")
    target.write_bytes(b"old content")
    outcome = ts.fix_bias_scale(ts.load(source))
    made = ts.journal(outcome, ts.save(outcome.model, source.with_name("fixed.tflite")))
    ts.write_journal(made, source.with_name("story.json"))

    def act() -> None:
        if what == "journal":
            ts.write_journal(made, target, replace=True)
        else:
            ts.undo(source.with_name("fixed.tflite"), source.with_name("story.json"), target, replace=True)

    child = os.fork()
    if child == 0:
        try:
            setattr(os, step, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            act()
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert target.read_bytes() == b"old content"
    act()
    assert target.read_bytes() == (source if what == "undo" else source.with_name("story.json")).read_bytes()
    assert not list(source.parent.glob(".*"))


# Large files

LARGE = """
from pathlib import Path
source, fixed, story, back = map(Path, sys.argv[1:])
with ts.load(source) as model:
    outcome = ts.fix_bias_scale(model, keep="values")
    report = ts.save(outcome.model, fixed)
    ts.write_journal(ts.journal(outcome, report), story)
done = ts.undo(fixed, story, back)
told["kind"], told["sha256"], told["journal"] = report.kind, done.sha256, story.stat().st_size
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("megabytes", [200, pytest.param(1900, marks=pytest.mark.collection)])
def test_a_large_file_is_undone_in_little_memory(tmp_path: Path, megabytes: int) -> None:
    model = ts.load(BROKEN)
    model.buffers.append(ts.Buffer(bytes(megabytes << 20)))
    names = [tmp_path / name for name in ("net.tflite", "fixed.tflite", "story.json", "back.tflite")]
    ts.save(model, names[0])
    told = in_child(LARGE, *names)
    assert told["kind"] == "spliced"
    assert told["peak"] < 120
    assert told["journal"] < 10_000
    with open(names[0], "rb") as file:
        found = hashlib.sha256()
        while piece := file.read(1 << 20):
            found.update(piece)
    assert told["sha256"] == found.hexdigest()
    for name in names:
        name.unlink()


# The collection

MODELS = os.environ.get("TFLITE_SURGEON_MODELS")


def damaged_rows() -> list[dict[str, Any]]:
    """The damaged models whose bias scale was changed."""
    if MODELS is None:
        return []
    with open(Path(MODELS) / "broken.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["edit"]["kind"].startswith("bias_scale")]


@pytest.mark.collection
@pytest.mark.skipif(MODELS is None, reason="the environment variable TFLITE_SURGEON_MODELS is not set")
@pytest.mark.parametrize("keep", ["values", "integers"])
@pytest.mark.parametrize("row", damaged_rows() or [None], ids=lambda row: row["file"] if row else "none")
def test_damaged_models_come_back(tmp_path: Path, row: dict[str, Any], keep: str) -> None:
    data = bytearray((Path(str(MODELS)) / row["base"]).read_bytes())
    for offset, patch in row["patches"]:
        data[offset : offset + len(patch) // 2] = bytes.fromhex(patch)
    source = tmp_path / "net.tflite"
    source.write_bytes(data)
    fixed, story = repaired(source, keep)
    assert strict(story)["after"]["sha256"] == sha256(fixed.read_bytes())
    ts.undo(fixed, story, tmp_path / "back.tflite")
    assert (tmp_path / "back.tflite").read_bytes() == data
