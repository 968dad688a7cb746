"""`report` as a file: self-contained, strict, inert whatever the model's names are. How it acts is in tests/browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.browser.models import ODD_NAMES, odd
from tests.views.test_graph import net
from tflite_surgeon.cli.app import app

run = CliRunner().invoke
ASSETS = files("tflite_surgeon.report").joinpath("assets")


class Parts(HTMLParser):
    """The tags of a page, and the text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.is_inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.is_inside = tag in ("script", "style")
        if self.is_inside:
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = False

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            self.texts[-1] += data


def page_of(model: ts.Model, folder: Path) -> str:
    (folder / "net.tflite").write_bytes(ts.dumps(model))
    result = run(app, ["report", str(folder / "net.tflite"), "-o", str(folder / "report.html"), "--force"])
    assert result.exit_code == 0, result.stderr
    return (folder / "report.html").read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"not strict JSON: {constant}")

    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def test_it_asks_for_nothing(tmp_path: Path) -> None:
    page = page_of(net(), tmp_path)
    for _, attributes in Parts(page).tags:
        for name in ("src", "href", "action", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"url\((?!#)|@import|sourceMappingURL", page)


def test_only_its_own_scripts_may_run(tmp_path: Path) -> None:
    parts = Parts(page_of(net(), tmp_path))
    (policy,) = (attributes["content"] for tag, attributes in parts.tags if attributes.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style, data, *scripts = parts.texts
    assert data.startswith('{"title"')
    assert len(scripts) == 2
    for text in (style, *scripts):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_names_are_data_and_nothing_else(tmp_path: Path) -> None:
    harmless, harmful = page_of(net(), tmp_path), page_of(odd(), tmp_path)
    assert [tag for tag, _ in Parts(harmful).tags] == [tag for tag, _ in Parts(harmless).tags]
    names = {value["name"] for value in data_of(harmful)["subgraphs"][0]["values"]}
    assert ODD_NAMES[0] in names
    assert r"not UTF-8 \xff\x80" in names
    assert "long" * 800 in names
    assert re.findall(r"<script>window|<img", harmful) == []


def test_scripts_never_take_text_for_html() -> None:
    names = [item.name for item in ASSETS.iterdir() if item.name.endswith(".js")]
    assert len(names) >= 6
    for name in names:
        text = ASSETS.joinpath(name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )
        assert "</script" not in text


def test_the_layout_library_comes_with_its_licence(tmp_path: Path) -> None:
    licence = ASSETS.joinpath("dagre", "LICENSE").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in licence
    assert licence in page_of(net(), tmp_path)


def test_it_tells_what_check_finds_and_what_is_in_the_file(tmp_path: Path) -> None:
    data = data_of(page_of(net(off=13.0), tmp_path))
    assert [(item["rule"], item["severity"], item["operator"]) for item in data["findings"]] == [
        ("bias-scale", "error", 0)
    ]
    assert {item["runtime"]: item["state"] for item in data["verdicts"]} == {
        "litert": "warning",
        "litert-no-delegate": "bad",
        "tflite-2.14": "bad",
        "tflm": "bad",
    }
    graph = data["subgraphs"][0]
    weights = graph["values"][1]
    stored = net().subgraphs[0].tensors[1].values()
    assert (weights["type"], weights["shape"], weights["stored"]) == ("int8", [4, 4], 16)
    histogram = weights["histogram"]
    assert (histogram["low"], histogram["high"]) == (stored.min(), stored.max())
    assert sum(histogram["counts"]) == histogram["count"] == 16
    assert histogram["real"] == [stored.min() * 0.25, stored.max() * 0.25]
    assert histogram["counts"] == np.histogram(stored, bins=len(histogram["counts"]))[0].tolist()
    assert [node["findings"] for node in graph["nodes"]] == [[], [0], [], [], []]


def test_infinities_are_strings(tmp_path: Path) -> None:
    model = net()
    model.subgraphs[0].tensors[0].quantization.scale = [float("inf")]
    model.subgraphs[0].tensors[3].quantization.min = [float("nan")]
    model.subgraphs[0].tensors[3].quantization.max = [float("inf")]
    values = data_of(page_of(model, tmp_path))["subgraphs"][0]["values"]
    assert values[0]["range"] == ["-Infinity", "Infinity"]
    assert values[3]["range"] == ["NaN", "Infinity"]


@pytest.mark.parametrize("model", [ts.Model(), ts.Model(subgraphs=[]), ts.Model(subgraphs=[ts.SubGraph()])])
def test_empty_models_have_a_report(model: ts.Model, tmp_path: Path) -> None:
    assert data_of(page_of(model, tmp_path))["findings"] is not None


def test_it_is_not_overwritten_without_force(tmp_path: Path) -> None:
    page_of(net(), tmp_path)
    result = run(app, ["report", str(tmp_path / "net.tflite"), "-o", str(tmp_path / "report.html")])
    assert result.exit_code == 2
    assert "add --force" in result.stderr


def test_standard_output(tmp_path: Path) -> None:
    page = page_of(net(), tmp_path)
    result = run(app, ["report", str(tmp_path / "net.tflite"), "-o", "-"])
    assert result.stdout == page


@pytest.mark.parametrize(("model", "target"), [("net.tflite", "none/report.html"), ("none.tflite", "report.html")])
def test_what_cannot_be_read_or_written(model: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(ts.dumps(net()))
    result = run(app, ["report", str(tmp_path / model), "-o", str(tmp_path / target)])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
