"""`fix-bias-scale`: where it writes, what it keeps, and what it tells."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.builders import damage, layer, part
from tflite_surgeon.cli.app import app

run = CliRunner().invoke
BROKEN = "bias_scale_per_tensor.tflite"
SHARED = "bias_scale_shared.tflite"


def _scale(path: Path) -> list[float]:
    return ts.load(path).subgraphs[0].operators[0].role("bias").quantization.scale


def _all_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_beside_the_model_and_leaves_the_model(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    before = path.read_bytes()
    result = run(app, ["fix-bias-scale", str(path)])
    assert result.exit_code == 0, result.output
    assert path.read_bytes() == before
    fixed = path.with_name("bias_scale_per_tensor.fixed.tflite")
    assert ts.check(ts.load(fixed)) == []
    assert _all_files(path.parent) == sorted([path.name, fixed.name])


def test_says_scales_integers_rounding_bytes_and_the_other_choice(fixture_copy) -> None:
    text = run(app, ["fix-bias-scale", str(fixture_copy(BROKEN))]).stdout
    for expected in (
        "the values are kept",
        "the file does not tell which reading is right",
        "as written",
        "as used",
        "--keep integers",
        "0.000285472401 -> 2.1908130",
        "13, -24, -19, -9, 4, 59",
        "169, -313, -248, -117, 52, 769",
        "output quanta",
        "every other byte kept",
        "quantization.scale",
    ):
        assert expected in text


def test_long_vectors_are_shown_by_their_beginning(tmp_path: Path) -> None:
    model = layer("CONV_2D", per_channel=True, channels=20)
    damage(part(model, "bias"), 4.0)
    path = tmp_path / "net.tflite"
    ts.save(model, path)
    text = run(app, ["fix-bias-scale", str(path), "--keep", "integers", "--dry-run"]).stdout
    first = ts.load(path).subgraphs[0].operators[0].role("bias").quantization.scale[0]
    assert f"[{first!r}, " in text
    assert "... (20)]" in text


def test_an_existing_result_is_not_overwritten(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    fixed = path.with_name("bias_scale_per_tensor.fixed.tflite")
    fixed.write_bytes(b"mine")
    result = run(app, ["fix-bias-scale", str(path)])
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert fixed.read_bytes() == b"mine"


def test_output_needs_force_to_replace_a_file(fixture_copy, tmp_path: Path) -> None:
    path, out = fixture_copy(BROKEN), tmp_path / "out.tflite"
    out.write_bytes(b"mine")
    assert run(app, ["fix-bias-scale", str(path), "-o", str(out)]).exit_code == 2
    assert out.read_bytes() == b"mine"
    assert run(app, ["fix-bias-scale", str(path), "-o", str(out), "--force"]).exit_code == 0
    assert ts.check(ts.load(out)) == []


def test_in_place_leaves_what_is_undecided_and_asks(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    before = path.read_bytes()
    result = run(app, ["fix-bias-scale", str(path), "--in-place"])
    assert result.exit_code == 1
    assert "--keep values" in result.stdout
    assert "--keep integers" in result.stdout
    assert path.read_bytes() == before
    assert _all_files(path.parent) == [path.name]


@pytest.mark.parametrize("way", ["--in-place", "own path", "link"])
def test_in_place_keeps_each_backup(fixture_copy, tmp_path: Path, way: str) -> None:
    path = fixture_copy(BROKEN)
    before = path.read_bytes()
    link = tmp_path / "link.tflite"
    link.symlink_to(path)
    options = {"--in-place": ["--in-place"], "own path": ["-o", str(path)], "link": ["-o", str(link)]}[way]
    result = run(app, ["fix-bias-scale", str(path), "--keep", "values", *options])
    assert result.exit_code == 0, result.output
    assert path.with_name(path.name + ".bak").read_bytes() == before
    path.write_bytes(before)
    assert run(app, ["fix-bias-scale", str(path), "--keep", "integers", "--in-place"]).exit_code == 0
    assert path.with_name(path.name + ".bak").read_bytes() == before
    assert path.with_name(path.name + ".bak.1").read_bytes() == before
    assert link.is_symlink()


def test_several_files_leave_what_is_undecided(fixture_copy) -> None:
    paths = [str(fixture_copy(BROKEN)), str(fixture_copy("bias_scale_uint8.tflite"))]
    result = run(app, ["fix-bias-scale", *paths])
    assert result.exit_code == 1
    assert result.stdout.count("left alone") >= 2
    result = run(app, ["fix-bias-scale", *paths, "--keep", "integers"])
    assert result.exit_code == 0
    for path in paths:
        fixed = ts.load(Path(path).with_name(f"{Path(path).stem}.fixed.tflite"))
        assert ts.check(fixed, select=["bias-scale"]) == []


def test_dry_run_shows_the_edits_and_writes_nothing(fixture_copy) -> None:
    path = fixture_copy(BROKEN)
    result = run(app, ["fix-bias-scale", str(path), "--dry-run"])
    assert result.exit_code == 0
    assert "quantization.scale: [0.0002854724007192999] -> [2.19081302" in result.stdout
    assert _all_files(path.parent) == [path.name]


def test_nothing_to_repair_copies_only_when_asked(fixture_copy, tmp_path: Path) -> None:
    healthy, out = tmp_path / "healthy.tflite", tmp_path / "out.tflite"
    ts.save(ts.fix_bias_scale(ts.load(fixture_copy(BROKEN))).model, healthy)
    (tmp_path / BROKEN).unlink()
    result = run(app, ["fix-bias-scale", str(healthy)])
    assert (result.exit_code, result.stdout.strip()) == (0, f"{healthy}: nothing to repair")
    assert run(app, ["fix-bias-scale", str(healthy), "--in-place"]).exit_code == 0
    assert _all_files(tmp_path) == ["healthy.tflite"]
    assert run(app, ["fix-bias-scale", str(healthy), "-o", str(out)]).exit_code == 0
    assert out.read_bytes() == healthy.read_bytes()


def test_node_limits_the_repair(fixture_copy, tmp_path: Path) -> None:
    path, out = fixture_copy(SHARED), tmp_path / "out.tflite"
    off = [finding.operator for finding in ts.check(ts.load(path))]
    assert len(off) >= 2
    result = run(app, ["fix-bias-scale", str(path), "--node", f"0:{off[0]}", "--keep", "values", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert [finding.operator for finding in ts.check(ts.load(out))] == off[1:]


@pytest.mark.parametrize(("node", "word"), [("99", "there is no operator 99"), ("5:0", "subgraph 5"), ("x", "--node")])
def test_a_node_that_there_is_not_is_refused(fixture_copy, node: str, word: str) -> None:
    path = fixture_copy(BROKEN)
    result = run(app, ["fix-bias-scale", str(path), "--node", node])
    assert result.exit_code == 2
    assert word in result.stderr
    assert _all_files(path.parent) == [path.name]


def test_a_node_left_alone_does_not_stop_the_others(fixture_copy, tmp_path: Path) -> None:
    path, out = fixture_copy(SHARED), tmp_path / "out.tflite"
    model = ts.load(path)
    first = model.subgraphs[0].operators[ts.check(model)[0].operator]
    first.role("weights").quantization.scale = [0.0]
    ts.save(model, path)
    result = run(app, ["fix-bias-scale", str(path), "--keep", "values", "-o", str(out)])
    assert result.exit_code == 1
    assert "left alone" in result.stdout
    assert len(ts.check(ts.load(out))) < len(ts.check(ts.load(path)))


def test_output_of_several_models_is_refused(fixture_copy, tmp_path: Path) -> None:
    paths = [str(fixture_copy(BROKEN)), str(fixture_copy(SHARED))]
    result = run(app, ["fix-bias-scale", *paths, "-o", str(tmp_path / "out.tflite")])
    assert result.exit_code == 2
    assert "one file" in result.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said(fixture_copy, tmp_path: Path) -> None:
    path = fixture_copy(BROKEN)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    result = run(app, ["fix-bias-scale", str(path), "-o", str(locked / "out.tflite")])
    assert result.exit_code == 2
    assert "permission" in result.stderr


def test_a_missing_folder_is_said(fixture_copy, tmp_path: Path) -> None:
    result = run(app, ["fix-bias-scale", str(fixture_copy(BROKEN)), "-o", str(tmp_path / "no" / "out.tflite")])
    assert result.exit_code == 2
    assert "no folder" in result.stderr


def test_a_container_is_never_replaced_by_its_model(fixture_copy, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.task"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.write(fixture_copy("bias_scale_per_tensor.tflite"), "model.tflite")
        archive.write(fixture_copy("bias_scale_uint8.tflite"), "other.tflite")
    before = bundle.read_bytes()
    result = run(app, ["fix-bias-scale", f"{bundle}#0", "-o", str(bundle), "--force"])
    assert result.exit_code == 2
    assert "is the container" in result.stderr
    assert bundle.read_bytes() == before
