"""`graph` as a person meets it: DOT, pictures by Graphviz, pages, parts of a graph, absurd names, errors."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.browser.models import ODD_NAMES, large, odd
from tests.browser.needs import need_graphviz
from tests.builders import two_subgraphs
from tests.views.test_graph import net
from tflite_surgeon.cli.app import app
from tflite_surgeon.report.dot import as_dot
from tflite_surgeon.report.names import printable
from tflite_surgeon.views.graph import graph_of
from tflite_surgeon.views.graph_parts import without_far_edges

run = CliRunner().invoke
SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}"


def saved(model: ts.Model, folder: Path) -> str:
    path = folder / "net.tflite"
    path.write_bytes(ts.dumps(model))
    return str(path)


def test_dot_tells_types_shapes_ranges_weights_and_findings(tmp_path: Path) -> None:
    target = tmp_path / "net.dot"
    result = run(app, ["graph", saved(net(off=13.0), tmp_path), "-o", str(target)])
    assert result.exit_code == 0
    assert result.stdout == f"Wrote {target}: 3 of 3 operators, 1 with findings.\n"
    text = target.read_text()
    assert re.search(r"op0 -> op1 \[label=< int8 \[1, 4\]<br/> \[-65\.5, 62\]>", text)
    assert re.search(r"op0 \[label=.*<b>FULLY_CONNECTED</b>.*weights.*int8 \[4, 4\].*error: bias-scale", text)
    assert "subgraph cluster_" in text
    assert "op1 -> op1" not in text


def test_standard_output_is_dot(tmp_path: Path) -> None:
    result = run(app, ["graph", saved(net(), tmp_path), "-o", "-"])
    assert result.exit_code == 0
    assert result.stdout.startswith("digraph model {")
    assert result.stdout.endswith("}\n")


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_pictures_by_graphviz(ending: str, start: bytes, tmp_path: Path) -> None:
    need_graphviz()
    target = tmp_path / f"net.{ending}"
    result = run(app, ["graph", saved(net(), tmp_path), "-o", str(target)])
    assert result.exit_code == 0, result.stderr
    assert target.read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [target.name, "net.tflite"] or len(
        list(tmp_path.iterdir())
    ) == 2


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_without_graphviz_a_sentence_says_how_to_get_it(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run(app, ["graph", saved(net(), tmp_path), "-o", str(tmp_path / f"net.{ending}")])
    assert result.exit_code == 2
    assert "apt-get install graphviz" in result.stderr
    assert result.stderr.count("\n") == 1
    for free in ("dot", "html"):
        assert run(app, ["graph", saved(net(), tmp_path), "-o", str(tmp_path / f"net.{free}")]).exit_code == 0


def test_a_graphviz_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    target = tmp_path / "net.svg"
    result = run(app, ["graph", saved(net(), tmp_path), "-o", str(target)])
    assert result.exit_code == 2
    assert "was ended by signal 11" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "net.tflite"]


def drawn(model: ts.Model) -> ElementTree.Element:
    """What Graphviz makes of a model's graph, which it must read without a complaint."""
    need_graphviz()
    findings = ts.check(model)
    text = as_dot(without_far_edges(graph_of(model, 0, findings)), findings, "title")
    done = subprocess.run(["dot", "-Tsvg"], input=text.encode(), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return ElementTree.fromstring(done.stdout)


def test_absurd_names_arrive_as_they_are() -> None:
    picture = drawn(ts.loads(ts.dumps(odd())))
    groups = {item.findtext(f"{SVG}title"): item for item in picture.iter(f"{SVG}g")}
    tips = {
        key: next(item.iter(f"{SVG}a")).get(f"{LINK}title")
        for key, item in groups.items()
        if key and "op" in key[:2] and "->" not in key
    }
    # Each operator's tooltip is the name of its first output, as a terminal would be shown it; no name, its type.
    expected = [printable(name, 400) or "FULLY_CONNECTED" for name in ODD_NAMES[1:]]
    assert [" ".join((tips[f"op{number}"] or "").split()) for number in range(len(expected))] == [
        " ".join(n.split()) for n in expected
    ]
    assert set(groups) >= {f"op{number}" for number in range(len(expected))}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_absurd_names_stand_in_labels_as_they_are(name: str) -> None:
    model = net()
    model.subgraphs[0].tensors[0].name = name
    (label,) = (item for item in drawn(model).iter(f"{SVG}g") if item.findtext(f"{SVG}title") == "in0")
    texts = [(item.text or "").replace("\u00a0", " ") for item in label.iter(f"{SVG}text")]
    assert (printable(name, 48) or "without a name") in texts


@pytest.mark.parametrize("name", ODD_NAMES)
def test_absurd_names_as_scopes_and_labels(name: str) -> None:
    model = net()
    for tensor in model.subgraphs[0].tensors:
        tensor.name = f"{name}/{tensor.name}"
    model.subgraphs[0].tensors[3].name = f"{name}/{name}/x"
    model.subgraphs[0].tensors[4].name = f"{name}/{name}/y"
    picture = drawn(model)
    keys = {item.findtext(f"{SVG}title") for item in picture.iter(f"{SVG}g")}
    assert {"in0", "op0", "op1", "op2", "out0"} <= keys
    assert not any("harmed" in (key or "") for key in keys)


def test_a_large_model_is_drawn_in_reasonable_time() -> None:
    picture = drawn(large(215))
    assert sum(item.get("class") == "node" for item in picture.iter(f"{SVG}g")) > 3000


def test_around_a_node(tmp_path: Path) -> None:
    target = tmp_path / "net.dot"
    result = run(app, ["graph", saved(large(5), tmp_path), "-o", str(target), "--around", "20", "--depth", "1"])
    assert result.exit_code == 0
    nodes = set(re.findall(r"^ *(op\d+) \[", target.read_text(), re.MULTILINE))
    graph = graph_of(large(5))
    near = {edge.source for edge in graph.edges if edge.target == "op20"}
    near |= {edge.target for edge in graph.edges if edge.source == "op20"}
    assert nodes == near | {"op20"}
    assert f"{len(nodes)} of 72 operators" in result.stdout


def test_a_subgraph(tmp_path: Path) -> None:
    path = saved(two_subgraphs(net(), large(1)), tmp_path)
    for options in (["--subgraph", "1"], ["--around", "1:0", "--depth", "50"]):
        result = run(app, ["graph", path, "-o", str(tmp_path / "net.dot"), "--force", *options])
        assert "16 of 16 operators of subgraph 1" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--around", "x"], "--around is 'x'; expected N or SUBGRAPH:N"),
        (["--around", "9"], "there is no operator 9 in subgraph 0: it has operators 0 to 2"),
        (["--around", "1:0", "--subgraph", "0"], "name different subgraphs"),
        (["--subgraph", "3"], "there is no subgraph 3: the model has one subgraph, 0"),
    ],
)
def test_what_is_not_there_is_named(options: list[str], said: str, tmp_path: Path) -> None:
    result = run(app, ["graph", saved(net(), tmp_path), "-o", str(tmp_path / "net.dot"), *options])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "net.dot").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net.jpg", "end it in one of .dot, .svg, .png, .pdf, .html"),
        ("net.tflite", "does not say by its ending how to draw"),
        ("none/net.dot", "cannot be written: No such file or directory"),
        ("none/net.html", "cannot be written: No such file or directory"),
    ],
)
def test_where_it_cannot_write(name: str, said: str, tmp_path: Path) -> None:
    path = saved(net(), tmp_path)
    before = Path(path).read_bytes()
    result = run(app, ["graph", path, "-o", str(tmp_path / name)])
    assert result.exit_code == 2
    assert said in result.stderr
    assert Path(path).read_bytes() == before


def test_a_file_is_not_overwritten_without_force(tmp_path: Path) -> None:
    path, target = saved(net(), tmp_path), tmp_path / "net.dot"
    target.write_text("mine")
    result = run(app, ["graph", path, "-o", str(target)])
    assert (result.exit_code, target.read_text()) == (2, "mine")
    assert "add --force" in result.stderr
    assert run(app, ["graph", path, "-o", str(target), "--force"]).exit_code == 0


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_text("no model")
    result = run(app, ["graph", str(tmp_path / "x.tflite"), "-o", str(tmp_path / "x.dot")])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
