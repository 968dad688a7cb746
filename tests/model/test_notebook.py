"""Models, subgraphs, tensors and findings as tables in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.views import nets


class Cells(HTMLParser):
    """The texts of a table's cells, row by row; nothing but a table may be there."""

    allowed = frozenset({"table", "caption", "thead", "tbody", "tr", "th", "td"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.caption = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.allowed
        assert attrs in ([], [("style", "text-align: left")])
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.open and self.open[-1] == "caption":
            self.caption += data


def shown(thing: object) -> Cells:
    return Cells(thing._repr_html_())


def test_a_model_shows_its_inputs_outputs_and_operators() -> None:
    rows = dict(shown(builders.chain(3)).rows)
    assert rows["input 0"] == "input_0: INT8 [2, 3]"
    assert rows["output 0"] == "output_2: INT8 [2, 3]"
    assert rows["operators"] == "3: 3 FULLY_CONNECTED"
    assert (rows["subgraphs"], rows["tensors"], rows["signatures"]) == ("1", "10", "serving_default")


def test_a_subgraph_and_a_tensor() -> None:
    model = builders.layer("CONV_2D", per_channel=True)
    graph = shown(model.subgraphs[0])
    assert graph.caption == "SubGraph main"
    assert dict(graph.rows)["operators"] == "1: 1 CONV_2D"
    tensor = builders.part(model, "weights")
    tensor.quantization.min, tensor.quantization.max = [-1.5, -0.5], [1.0, 2.0]
    rows = dict(shown(tensor).rows)
    assert rows["type"] == "INT8"
    assert rows["shape"] == "[4, 2, 2, 3]"
    assert rows["scale"].split(", ") == [f"{scale:.9g}" for scale in builders.scales(tensor)]
    assert rows["recorded range"] == "-1.5 to 2"
    assert rows["constant"] == "48 bytes"


def test_findings_are_a_table_and_still_a_list() -> None:
    model = builders.chain(3)
    for number in range(3):
        builders.damage(builders.part(model, "bias", number), 3.0)
    found = ts.check(model)
    table = shown(found)
    assert table.caption == f"{len(found)} findings"
    assert table.rows[0] == ["severity", "rule", "where", "what"]
    assert [row[3] for row in table.rows[1:]] == [item.message for item in found]
    assert isinstance(found, list)
    one = shown(found[0])
    assert one.caption == "Finding bias-scale"
    assert dict(one.rows)["what"] == found[0].message
    assert dict(one.rows)["litert"] == found[0].runtimes["litert"]
    assert shown(ts.check(builders.layer(), select=["bias-scale"])).caption == "0 findings"


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a\"b'c&amp;", "\x1b[31m\x00\n", "\u202eesrever", "\udcff\udc80", "x" * 3000]
)
def test_names_are_text_and_nothing_else(name: str) -> None:
    model = builders.layer()
    model.description = model.subgraphs[0].name = name
    for tensor in model.subgraphs[0].tensors:
        tensor.name = name
    builders.damage(builders.part(model, "bias"), 3.0)
    for thing in (model, model.subgraphs[0], model.subgraphs[0].tensors[1], ts.check(model), ts.check(model)[0]):
        html = thing._repr_html_()
        html.encode("utf-8")
        assert not set(html) & set("\x00\x1b\u202e")
        assert len(html) < 20_000
        Cells(html)


def test_broken_empty_and_unfinished_ones() -> None:
    model = nets.broken()
    assert dict(shown(model).rows)["input 0"] == "tensor 99, which is not there"
    for thing in (nets.empty(), ts.Model(), ts.SubGraph(), ts.Tensor(), *model.subgraphs[0].tensors):
        assert shown(thing).rows


def test_many_inputs_stay_a_small_table() -> None:
    rows = dict(shown(builders.one_input(60)).rows)
    assert rows["outputs"] == "50 more"
    assert len(rows) < 30


def test_a_closed_file(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tflite_surgeon.model.files.MAP_FROM", 1)
    path = tmp_path / "net.tflite"
    path.write_bytes(ts.dumps(builders.layer()))
    with ts.load(path) as model:
        tensor = builders.part(model, "weights")
        assert shown(model).caption == "Model net.tflite"
        assert dict(shown(tensor).rows)["constant"] == "12 bytes"
    assert dict(shown(tensor).rows)["constant"] == "in a file that was closed"
