"""`fix-bias-scale --journal` and `undo`: where they write, what they keep, and what they tell."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests import builders
from tests.conftest import FIXTURES
from tflite_surgeon.cli.app import app
from tflite_surgeon.model import replacing

run = CliRunner().invoke
BROKEN = "bias_scale_per_tensor.tflite"
SHARED = "bias_scale_shared.tflite"
MODELS = sorted(path.name for path in FIXTURES.glob("bias_scale_*.tflite"))


def _all_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _fix(path: Path, *options: str, keep: str = "values") -> Path:
    """Repair with a journal, which is returned."""
    story = path.with_name("story.json")
    result = run(app, ["fix-bias-scale", str(path), "--keep", keep, "--journal", str(story), *options])
    assert result.exit_code == 0, result.output
    return story


@pytest.mark.parametrize("keep", ["values", "integers"])
@pytest.mark.parametrize("name", MODELS)
def test_beside_the_model_and_back(fixture_copy, name: str, keep: str) -> None:
    path = fixture_copy(name)
    before = path.read_bytes()
    story = _fix(path, keep=keep)
    fixed = path.with_name(f"{path.stem}.fixed.tflite")
    assert json.loads(story.read_text())["original"] == {"path": str(path)}
    result = run(app, ["undo", str(fixed), str(story)])
    assert result.exit_code == 0, result.output
    back = path.with_name(f"{path.stem}.fixed.undone.tflite")
    assert back.read_bytes() == path.read_bytes() == before
    assert _all_files(path.parent) == sorted([path.name, fixed.name, back.name, "story.json"])
    assert f"Wrote {back}: {len(before)} bytes as before the repair" in result.stdout
    assert json.loads(story.read_text())["before"]["sha256"] in result.stdout


@pytest.mark.parametrize("keep", ["values", "integers"])
@pytest.mark.parametrize("name", MODELS)
def test_in_place_and_back(fixture_copy, name: str, keep: str) -> None:
    path = fixture_copy(name)
    before = path.read_bytes()
    story = _fix(path, "--in-place", keep=keep)
    fixed = path.read_bytes()
    assert json.loads(story.read_text())["original"] == {"path": f"{path}.bak"}
    result = run(app, ["undo", str(path), str(story), "--in-place"])
    assert result.exit_code == 0, result.output
    assert path.read_bytes() == before == path.with_name(f"{name}.bak").read_bytes()
    assert path.with_name(f"{name}.bak.1").read_bytes() == fixed
    assert f"The repaired file is kept as {path}.bak.1" in result.stdout


def test_what_was_spliced_needs_no_original(fixture_copy, tmp_path: Path) -> None:
    path = fixture_copy(BROKEN)
    before = path.read_bytes()
    story = _fix(path, "--in-place")
    path.with_name(f"{BROKEN}.bak").unlink()
    assert run(app, ["undo", str(path), str(story), "-o", str(tmp_path / "back")]).exit_code == 0
    assert (tmp_path / "back").read_bytes() == before


def test_what_was_written_anew_needs_it(fixture_copy, tmp_path: Path) -> None:
    path = fixture_copy(SHARED)
    story = _fix(path, "--in-place")
    path.with_name(f"{SHARED}.bak").unlink()
    before = _all_files(tmp_path)
    for options in (["-o", str(tmp_path / "back")], ["--in-place"]):
        result = run(app, ["undo", str(path), str(story), *options])
        assert result.exit_code == 2
        assert "undo is impossible: the file was written anew, and the original is not at" in result.stderr
        assert _all_files(tmp_path) == before


def test_the_printed_command_undoes(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    story = path.with_name("a story.json")
    result = run(app, ["fix-bias-scale", str(path), "--journal", str(story)])
    assert f"Journal: {story}" in result.stdout
    (command,) = [line for line in result.stdout.splitlines() if "To undo: " in line]
    words = shlex.split(command.partition("To undo: ")[2])
    assert words[0] == "tflite-surgeon"
    assert run(app, words[1:]).exit_code == 0
    undone = path.with_name("bias_scale_per_tensor.fixed.undone.tflite")
    assert undone.read_bytes() == path.read_bytes()


def test_standard_input(fixture_copy, tmp_path: Path) -> None:
    data = fixture_copy(BROKEN).read_bytes()
    out, story, back = (tmp_path / name for name in ("out.tflite", "story.json", "back"))
    arguments = ["fix-bias-scale", "-", "-o", str(out), "--journal", str(story)]
    assert run(app, arguments, input=data).exit_code == 0
    assert run(app, ["undo", str(out), str(story), "-o", str(back)]).exit_code == 0
    assert back.read_bytes() == data
    data = (FIXTURES / SHARED).read_bytes()
    result = run(app, [*arguments, "--force"], input=data)
    assert result.exit_code == 0
    assert "Undo is impossible: the original was read from standard input" in result.stdout
    result = run(app, ["undo", str(out), str(story), "-o", str(back), "--force"])
    assert result.exit_code == 2
    assert "undo is impossible: the original was read from standard input" in result.stderr


def test_a_section_of_a_container(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "models.task", "w") as archive:
        archive.write(FIXTURES / SHARED, "inner.tflite")
    out, story = tmp_path / "out.tflite", tmp_path / "story.json"
    name = f"{tmp_path / 'models.task'}#0"
    result = run(app, ["fix-bias-scale", name, "-o", str(out), "--journal", str(story)])
    assert result.exit_code == 0, result.output
    assert f"Undo is impossible: the original was read from {name}" in result.stdout
    before = (tmp_path / "models.task").read_bytes()
    words = ["fix-bias-scale", name, "-o", str(tmp_path / "new"), "--journal", str(tmp_path / "models.task"), "--force"]
    result = run(app, words)
    assert result.exit_code == 2
    assert "models.task: name another file" in result.stderr
    assert (tmp_path / "models.task").read_bytes() == before


def test_c_source_in_place(tmp_path: Path) -> None:
    path = tmp_path / "net.cc"
    ts.save(ts.load(FIXTURES / BROKEN), path)
    before = path.read_bytes()
    story = _fix(path, "--in-place")
    assert run(app, ["undo", str(path), str(story), "--in-place"]).exit_code == 0
    assert path.read_bytes() == before


# Where journals go


def test_several_models_have_a_journal_each_in_a_folder(fixture_copy, tmp_path: Path) -> None:
    paths, folder = [fixture_copy(name) for name in MODELS], tmp_path / "stories"
    folder.mkdir()
    words = ["fix-bias-scale", *map(str, paths), "--keep", "values", "--journal", str(folder)]
    assert run(app, words).exit_code == 0
    assert _all_files(folder) == [f"{path.stem}.fixed.tflite.journal.json" for path in paths]
    for path in paths:
        fixed = path.with_name(f"{path.stem}.fixed.tflite")
        assert run(app, ["undo", str(fixed), str(folder / f"{fixed.name}.journal.json")]).exit_code == 0
        assert fixed.with_name(f"{path.stem}.fixed.undone.tflite").read_bytes() == path.read_bytes()


def test_one_model_may_have_its_journal_in_a_folder(fixture_copy, tmp_path: Path) -> None:
    path = fixture_copy(BROKEN)
    result = run(app, ["fix-bias-scale", str(path), "-o", str(tmp_path / "out.tflite"), "--journal", str(tmp_path)])
    assert result.exit_code == 0
    assert (tmp_path / "out.tflite.journal.json").exists()


def test_bad_places_of_journals_are_refused_before_anything_is_done(fixture_copy, tmp_path: Path) -> None:
    first, second = fixture_copy(BROKEN), fixture_copy(SHARED)
    (tmp_path / "other").mkdir()
    twin = Path(shutil.copy(first, tmp_path / "other" / BROKEN))
    (tmp_path / "mine").write_bytes(b"mine")
    fixed = first.with_name("bias_scale_per_tensor.fixed.tflite")
    before = _all_files(tmp_path)
    for words, sentence in [
        ([first, second, "--journal", tmp_path / "story"], "names one file, and there are 2 models"),
        ([first, twin, "--journal", tmp_path / "other"], "2 models are called bias_scale_per_tensor"),
        ([first, "--dry-run", "--journal", tmp_path / "story"], "--dry-run writes nothing"),
        ([first, "-o", "-", "--journal", tmp_path / "story"], "-o - writes none"),
        ([first, "--journal", tmp_path / "mine"], "exists already"),
        ([first, "--journal", first, "--force"], "the journal would replace"),
        ([first, "--journal", fixed], "the journal would replace"),
        ([first, "--journal", tmp_path / "other" / ".." / fixed.name], "the journal would replace"),
        ([first, "--in-place", "--journal", f"{first}.bak"], "a name under which originals are kept"),
        ([first, "--journal", tmp_path / "no" / "story"], "there is no folder"),
    ]:
        result = run(app, ["fix-bias-scale", "--keep", "values", *map(str, words)])
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1
        assert _all_files(tmp_path) == before
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_force_replaces_a_journal(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    path.with_name("story.json").write_bytes(b"mine")
    story = _fix(path, "--force")
    assert json.loads(story.read_text())["saved"] == "spliced"


def test_where_nothing_is_written_there_is_no_journal(tmp_path: Path) -> None:
    path, story = tmp_path / "net.tflite", tmp_path / "story.json"
    ts.save(builders.layer(), path)
    assert run(app, ["fix-bias-scale", str(path), "--journal", str(story)]).exit_code == 0
    assert _all_files(tmp_path) == ["net.tflite"]
    words = ["fix-bias-scale", str(path), "-o", str(tmp_path / "out.tflite"), "--journal", str(story)]
    assert run(app, words).exit_code == 0
    assert json.loads(story.read_text())["saved"] == "identical"
    assert run(app, ["undo", str(tmp_path / "out.tflite"), str(story), "-o", str(tmp_path / "back")]).exit_code == 0
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_a_journal_that_cannot_be_written_leaves_the_result_and_says_so(fixture_copy, monkeypatch) -> None:
    path = fixture_copy(BROKEN)
    real = replacing.os.replace

    def only_models(source: Path, target: Path) -> None:
        if Path(target).name == "story.json":
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(replacing.os, "replace", only_models)
    words = ["fix-bias-scale", str(path), "--journal", str(path.with_name("story.json"))]
    result = run(app, words)
    assert result.exit_code == 2
    assert "fixed.tflite is written, its journal is not: " in result.stderr
    assert "no space left" in result.stderr
    assert _all_files(path.parent) == ["bias_scale_per_tensor.fixed.tflite", path.name]


# Where undo writes


def test_undo_replaces_nothing_unasked(fixture_copy, tmp_path: Path) -> None:
    path = fixture_copy(BROKEN)
    story, fixed = _fix(path), path.with_name("bias_scale_per_tensor.fixed.tflite")
    undone, mine = fixed.with_name("bias_scale_per_tensor.fixed.undone.tflite"), tmp_path / "mine"
    undone.write_bytes(b"mine")
    mine.write_bytes(b"mine")
    for options, sentence in [
        ([], "name another file with -o"),
        (["--force"], "name another file with -o"),
        (["-o", str(mine)], "add --force"),
        (["-o", str(path)], "add --force"),
        (["-o", str(story), "--force"], "is the journal"),
        (["-o", "-"], "name one with -o"),
        (["-o", str(tmp_path / "new"), "--in-place"], "exclude each other"),
        (["-o", str(tmp_path / "no" / "new")], "there is no folder"),
    ]:
        result = run(app, ["undo", str(fixed), str(story), *options])
        assert result.exit_code == 2
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1
    assert undone.read_bytes() == mine.read_bytes() == b"mine"
    assert run(app, ["undo", str(fixed), str(story), "-o", str(mine), "--force"]).exit_code == 0
    assert mine.read_bytes() == path.read_bytes()


def test_its_own_name_is_in_place(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    before = path.read_bytes()
    story = _fix(path, "--in-place")
    fixed = path.read_bytes()
    assert run(app, ["undo", str(path), str(story), "-o", str(path)]).exit_code == 0
    assert path.read_bytes() == before
    assert path.with_name(f"{BROKEN}.bak.1").read_bytes() == fixed


def test_a_refused_undo_leaves_no_backup(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    story = _fix(path)
    before = _all_files(path.parent)
    result = run(app, ["undo", str(path), str(story), "--in-place"])  # Not the repaired file.
    assert result.exit_code == 2
    assert f"{path} has the sha256" in result.stderr
    assert _all_files(path.parent) == before
    assert run(app, ["undo", str(path.parent), str(story), "--in-place"]).exit_code == 2
    assert run(app, ["undo", "missing.tflite", str(story), "--in-place"]).exit_code == 2
    assert run(app, ["undo", "-", str(story)]).exit_code == 2


def test_a_terminal_is_not_obeyed(fixture_copy) -> None:
    path = fixture_copy(SHARED)
    story = _fix(path)
    told = json.loads(story.read_text())
    told |= {"undo": "impossible", "obstacle": "\x1b[31m\nred\ud800"}
    story.write_text(json.dumps(told))
    result = run(app, ["undo", str(path), str(story)])
    assert result.exit_code == 2
    assert result.stderr == "error: undo is impossible: \\x1b[31m\\x0ared\\ud800\n"


def test_help() -> None:
    assert "undo" in run(app, ["--help"]).stdout
    assert "Exit code" in run(app, ["undo", "--help"]).stdout
    assert "--journal" in run(app, ["fix-bias-scale", "--help"]).stdout
