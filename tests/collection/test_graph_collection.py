"""Every model of a collection as a graph, as a picture, and as a report in a real browser."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.browser.driver import browser
from tests.browser.needs import need_browser, need_graphviz
from tests.collection.test_inspect_collection import loaded, path_of
from tests.collection.test_round_trip import each_model, pytestmark, rows  # noqa: F401 (marks this module too)
from tflite_surgeon.cli.app import app
from tflite_surgeon.views.graph import graphs_of
from tflite_surgeon.views.graph_parts import around, without_far_edges

run = CliRunner().invoke


@each_model
def test_every_real_model_is_a_graph(row: dict[str, Any]) -> None:
    with loaded(row) as model:
        findings = ts.check(model)
        graphs = graphs_of(model, findings)
        assert len(graphs) == len(model.subgraphs or ())
        placed: set[int] = set()
        for graph, subgraph in zip(graphs, model.subgraphs or ()):
            nodes = {node.key: node for node in graph.nodes}
            assert len(nodes) == len(graph.nodes)
            # A tensor that is an input of the graph twice comes over two edges.
            reading = Counter(target for target, _ in {(edge.target, edge.tensor) for edge in graph.edges})
            for number, operator in enumerate(subgraph.operators or ()):
                node = nodes[f"op{number}"]
                given = {id(item) for item in operator.inputs or () if item is not None}
                folded = {folded.tensor for folded in node.folded}
                # Each input comes over an edge or stands inside.
                assert reading[node.key] + len(folded) == len(given), number
                placed.update(node.findings)
            for other in (without_far_edges(graph), *(around(graph, n, 2) for n in range(min(graph.operators, 3)))):
                keys = {node.key for node in other.nodes}
                assert {edge.source for edge in other.edges} | {edge.target for edge in other.edges} <= keys
        assert {place for place, finding in enumerate(findings) if finding.operator is not None} <= placed


@each_model
def test_graphviz_reads_what_is_written_for_it(row: dict[str, Any], tmp_path: Path) -> None:
    need_graphviz()
    with loaded(row) as model:
        count = len(model.subgraphs or ())
    for number in range(min(count, 3)):
        target = tmp_path / f"{number}.dot"
        result = run(app, ["graph", str(path_of(row)), "-o", str(target), "--subgraph", str(number)])
        assert result.exit_code == 0, result.output
        done = subprocess.run(["dot", "-Tcanon", target], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_every_report_opens_without_an_error(tmp_path: Path) -> None:
    need_browser()
    failed = []
    with browser() as window:
        for (row,) in (parameters.values for parameters in rows()):
            page = tmp_path / "report.html"
            result = run(app, ["report", str(path_of(row)), "-o", str(page), "--force"])
            if result.exit_code:
                assert result.exit_code == 2, result.output
                continue
            window.open(page)
            for tab in ("overview", "tensors", "weights", "graph"):
                window.run("location.hash = arguments[0]", tab)
            window.wait("return !document.querySelector('#canvas.busy')")
            failed += [(row["file"], message) for message in window.console()]
    assert failed == []
