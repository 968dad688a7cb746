"""`diff` as a person and a program meet it, and inside git."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests import builders
from tflite_surgeon.cli.app import app

run = CliRunner().invoke
BROKEN = "bias_scale_per_tensor.tflite"
README = Path(__file__).resolve().parents[2] / "README.md"
PROGRAM = f'"{sys.executable}" -m tflite_surgeon'


@pytest.fixture
def pair(fixture_copy, tmp_path: Path) -> tuple[str, str]:
    """A model with a damaged bias, and the same repaired."""
    before, after = fixture_copy(BROKEN), tmp_path / "after.tflite"
    ts.save(ts.fix_bias_scale(ts.load(before)).model, after)
    return str(before), str(after)


def test_text_says_what_where_and_by_how_much(pair: tuple[str, str]) -> None:
    result = run(app, ["diff", *pair])
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
    before, after = (ts.load(path).subgraphs[0].operators[0].role("bias") for path in pair)
    quanta = abs(before.values() - after.values()).max()
    real = abs(builders.real(before) - builders.real(after)).max()
    lines = result.stdout.splitlines()
    assert lines[0] == f"{pair[0]} -> {pair[1]}: 1 difference"
    assert "changed: tensor 2 'sequential/dense/BiasAdd/ReadVariableOp', bias of operator 0 (FULLY_CONNECTED)" in lines
    assert "    quantization.scale  [0.000285472401] -> [2.19081303e-05]" in lines
    (values,) = [line for line in lines if line.startswith("    values")]
    assert f"34 of 34 differ, by up to {quanta} quanta, {real:.6g} in real numbers, most at [" in values


def test_json_is_strict_and_whole(pair: tuple[str, str]) -> None:
    result = run(app, ["diff", *pair, "--json"])
    assert result.exit_code == 1
    report = json.loads(result.stdout, parse_constant=pytest.fail)
    assert report["before"] == {"path": pair[0], "operators": 1, "tensors": 4}
    assert report["counts"] == {"tensor": {"changed": 1}}
    (found,) = report["differences"]
    assert (found["part"], found["kind"], found["before"]) == ("tensor", "changed", {"subgraph": 0, "index": 2})
    scale, values = found["changes"]
    assert scale["field"] == "quantization.scale"
    assert scale["before"] == list(ts.load(pair[0]).subgraphs[0].tensors[2].quantization.scale)
    assert (values["field"], values["differ"], values["values"]["count"]) == ("values", 34, 34)


def test_no_difference_is_exit_code_0(pair: tuple[str, str], tmp_path: Path) -> None:
    written = tmp_path / "written.tflite"
    model = ts.load(pair[0])
    model.buffers[1:] = model.buffers[:0:-1]
    ts.save(model, written)
    assert written.read_bytes() != Path(pair[0]).read_bytes()
    result = run(app, ["diff", pair[0], str(written)])
    assert (result.exit_code, result.stdout) == (0, f"{pair[0]} -> {written}: no difference\n")
    result = run(app, ["diff", pair[0], pair[0], "--json"])
    assert (result.exit_code, json.loads(result.stdout)["differences"]) == (0, [])


def test_unusable_files_are_one_sentence_and_exit_code_2(pair: tuple[str, str], tmp_path: Path) -> None:
    text = tmp_path / "text.tflite"
    text.write_text("hello")
    for arguments in ([pair[0], str(text)], [str(text), pair[0]], [pair[0], "no such"], ["-", "-"]):
        result = run(app, ["diff", *arguments])
        assert result.exit_code == 2
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("error: ")


def test_a_model_from_standard_input(pair: tuple[str, str]) -> None:
    result = run(app, ["diff", "-", pair[1]], input=Path(pair[0]).read_bytes())
    assert result.exit_code == 1
    assert result.stdout.startswith(f"- -> {pair[1]}: 1 difference\n")


def test_many_of_a_sort_are_counted_unless_all_are_wanted(tmp_path: Path) -> None:
    before = builders.chain(9)
    after = before.copy()
    for tensor in after.subgraphs[0].tensors:
        tensor.name = f"new/{tensor.name}"
    paths = [str(tmp_path / name) for name in ("a.tflite", "b.tflite")]
    for model, path in zip((before, after), paths):
        ts.save(model, path)
    count = len(after.subgraphs[0].tensors)
    text = run(app, ["diff", *paths]).stdout
    assert text.count("changed: tensor") == 5
    assert f"{count - 5} more tensors changed in name: 5, 6, 7, 8, 9, 10 ..." in text
    assert run(app, ["diff", *paths, "--all"]).stdout.count("changed: tensor") == count


def test_odd_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    names = ["[red]x[/]\x1b[31m\n", "ü" * 3000, "\udcff\udcfe", "", None]
    before = builders.chain(2)
    after = before.copy()
    for tensor, name in zip(after.subgraphs[0].tensors, names):
        tensor.name = name
    after.subgraphs[0].operators[0].opcode = ts.OperatorCode(
        builtin_code=ts.BuiltinOperator.CUSTOM, deprecated_builtin_code=32, custom_code="\x1b]0;title\x07"
    )
    after.operator_codes.append(after.subgraphs[0].operators[0].opcode)
    after.description = "\udc80"
    paths = [str(tmp_path / name) for name in ("a.tflite", "b.tflite")]
    for model, path in zip((before, after), paths):
        ts.save(model, path)
    text = run(app, ["diff", *paths]).stdout
    assert "\x1b" not in text
    assert "[red]x[/]\\x1b[31m\\x0a" in text
    assert json.loads(run(app, ["diff", *paths, "--json"]).stdout)["differences"]
    assert "\x1b" not in run(app, ["textconv", paths[1]]).stdout


class Repository:
    """A git repository set up as README.md says, away from the user's own configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        for name in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{name}_NAME": "A", f"GIT_{name}_EMAIL": "a@example.org"}
        self("init", "--quiet", "--initial-branch=main")
        told = README.read_text()
        commands = re.findall(r"^git (config diff\.tflite\..*)$", told, re.MULTILINE)
        assert len(commands) == 2
        for command in commands:
            *words, ours = shlex.split(command)
            self(*words, ours.replace("tflite-surgeon", PROGRAM))
        (attributes,) = re.findall(r"^\*\.tflite diff=.*$", told, re.MULTILINE)
        (folder / ".gitattributes").write_text(f"{attributes}\n")
        self.commit("attributes")

    def __call__(self, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    def commit(self, message: str) -> None:
        self("add", "--all")
        self("commit", "--quiet", "--message", message)


@pytest.fixture
def repository(tmp_path: Path, pair: tuple[str, str]) -> Repository:
    """Its last commit repairs net.tflite."""
    result = Repository(tmp_path / "repository")
    for number, path in enumerate(pair):
        (result.folder / "net.tflite").write_bytes(Path(path).read_bytes())
        result.commit(f"net {number}")
    return result


SCALE = "quantization.scale  [0.000285472401] -> [2.19081303e-05]"


def test_git_diff_shows_what_changed(repository: Repository) -> None:
    shown = repository("diff", "HEAD~1")
    assert shown.startswith(
        "tflite-surgeon diff a/net.tflite b/net.tflite\na/net.tflite -> b/net.tflite: 1 difference\n"
    )
    assert SCALE in shown
    assert SCALE in repository("log", "-p", "--ext-diff", "-1")
    assert SCALE in repository("diff", "HEAD~1", GIT_EXTERNAL_DIFF=f"{PROGRAM} git-diff")


def test_git_diff_of_the_working_tree_and_of_odd_paths(repository: Repository, pair: tuple[str, str]) -> None:
    (repository.folder / "net.tflite").write_bytes(Path(pair[0]).read_bytes())
    assert "[2.19081303e-05] -> [0.000285472401]" in repository("diff")
    names = ("-n --json.tflite", "a#0.tflite", "ü [x].tflite")
    for path in pair:
        for name in names:
            (repository.folder / name).write_bytes(Path(path).read_bytes())
        if path == pair[0]:
            repository("add", "--all")
    assert repository("diff").count(SCALE) == 3


def test_git_diff_of_new_deleted_renamed_and_executable_models(repository: Repository) -> None:
    assert "new model: 2384 bytes, 1 operator (1 FULLY_CONNECTED)" in repository("diff", "HEAD~2", "HEAD~1")
    assert "deleted model: 2384 bytes, 1 operator" in repository("diff", "HEAD~1", "HEAD~2")
    model = ts.load(repository.folder / "net.tflite")
    model.subgraphs[0].tensors[2].name = "bias"
    ts.save(model, repository.folder / "moved.tflite")
    (repository.folder / "net.tflite").unlink()
    (repository.folder / "moved.tflite").chmod(0o755)
    repository.commit("moved")
    shown = repository("diff", "-M10%", "HEAD~1")
    assert "tflite-surgeon diff a/net.tflite b/moved.tflite" in shown
    assert "mode 100644 -> 100755" in shown
    assert "rename from net.tflite" in shown
    assert "-> 'bias'" in shown


def test_git_goes_on_where_a_file_is_no_model(repository: Repository) -> None:
    path = repository.folder / "net.tflite"
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 2384\n"
    for content in (pointer.format("a" * 64), pointer.format("b" * 64)):
        path.write_text(content)
        repository.commit("pointer")
    assert f"-oid sha256:{'a' * 64}\n+oid sha256:{'b' * 64}\n" in repository("diff", "HEAD~1")
    shown = repository("diff", "HEAD~2", "HEAD~1")
    assert "a/net.tflite: 2384 bytes, 1 operator (1 FULLY_CONNECTED)\nb/net.tflite: is a Git LFS pointer" in shown
    path.write_bytes(bytes(range(256)))
    repository.commit("damaged")
    assert "b/net.tflite: is not a TFLite model" in repository("diff", "HEAD~1")
    assert repository("log", "-p", "--ext-diff").count("tflite-surgeon diff") == 5
    assert "+no model: is not a TFLite model" in repository("log", "-p")


def test_unmerged_models(repository: Repository) -> None:
    path = repository.folder / "net.tflite"
    for branch, description in (("one", "1"), ("two", "2")):
        repository("checkout", "--quiet", "-b", branch, "main")
        model = ts.load(path)
        model.description = description
        ts.save(model, path)
        repository.commit(branch)
    subprocess.run(["git", "merge", "one"], cwd=repository.folder, env=repository.environment, capture_output=True)
    assert repository("diff", "--diff-filter=U", "--ours").startswith("net.tflite: not merged yet\n")


def test_textconv_lines_change_where_the_model_does(repository: Repository) -> None:
    shown = repository("diff", "--no-ext-diff", "-U0", "HEAD~1")
    lines = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert lines[:2] == ["-        scale [0.000285472401]", "+        scale [2.19081303e-05]"]
    assert [line[:15] for line in lines[2:]] == ["-        values", "+        values"]
    assert "@@ FULLY_CONNECTED version 4" in shown
    blamed = {
        line.split()[0] for line in repository("blame", "-s", "net.tflite").splitlines() if " scale [2.19" in line
    }
    assert blamed == {repository("rev-parse", "--short=8", "HEAD").strip()}
    assert repository("show", "--textconv", "HEAD:net.tflite").startswith("model 'MLIR Converted.' schema version 3\n")


def test_textconv_does_not_depend_on_numbers(tmp_path: Path) -> None:
    before = builders.chain(3)
    after = before.copy()
    after.subgraphs[0].tensors.reverse()
    after.buffers[1:] = after.buffers[:0:-1]
    after.operator_codes.insert(0, ts.OperatorCode(builtin_code=ts.BuiltinOperator.ADD))
    texts = []
    for name, model in (("a", before), ("b", after)):
        ts.save(model, tmp_path / name)
        texts.append(run(app, ["textconv", str(tmp_path / name)]).stdout)
    assert texts[0] == texts[1]
    assert "    weights 'weights_1' INT8 [3, 3]\n" in texts[0]


def test_commands_called_by_hand_in_a_wrong_way(tmp_path: Path) -> None:
    result = run(app, ["git-diff", "a", "b", "c"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "7 arguments" in result.stderr
    result = run(app, ["textconv", str(tmp_path / "none")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no such file" in result.stderr


@pytest.mark.parametrize("command", ["diff", "git-diff", "textconv"])
def test_help_tells_the_exit_codes(command: str) -> None:
    assert "Exit code" in run(app, [command, "--help"]).stdout
    assert command in run(app, ["--help"]).stdout
