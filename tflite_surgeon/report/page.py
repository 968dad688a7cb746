"""A model, or its graph alone, as one HTML file that needs nothing else and asks no server for anything.

What comes from the model stands in one block of JSON in which no `<` is left, and a script puts it into the page as
text. The page's policy lets nothing run but the scripts written here, known by their hashes, and nothing be loaded.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, Final

from tflite_surgeon.model.objects import Model
from tflite_surgeon.report.checked import Checked
from tflite_surgeon.report.names import printable
from tflite_surgeon.report.page_data import facts, finding_data, subgraph_data
from tflite_surgeon.report.page_summary import summary_data, verdict_data
from tflite_surgeon.views.graph import Graph
from tflite_surgeon.views.summary import Summary

_SCRIPTS: Final = ("base.js", "graph.js", "overview.js", "tables.js", "panel.js", "main.js")
_TABS: Final = {"overview": "Overview", "graph": "Graph", "tensors": "Tensors", "weights": "Weights"}
_LONGEST_TITLE: Final = 200


def report_page(model: Model, entry: Checked, graphs: Sequence[Graph], summary: Summary, made_by: str) -> str:
    """The page of `report`; reads the constants.

    Args:
        model: the model.
        entry: what `check` found in it.
        graphs: all its subgraphs.
        summary: of the model.
        made_by: the program and its version.
    """
    data = {
        **_common(model, entry, graphs, made_by, pictured=True),
        "facts": facts(entry, summary.sizes.file),
        "tabs": list(_TABS),
        "summary": summary_data(summary),
        "verdicts": verdict_data(entry),
    }
    return _page(data)


def graph_page(model: Model, entry: Checked, graphs: Sequence[Graph], made_by: str) -> str:
    """The page of `graph`: graphs, or parts of them, and nothing else; no constant is read."""
    return _page(
        {**_common(model, entry, graphs, made_by, pictured=False), "facts": facts(entry, None), "tabs": ["graph"]}
    )


def _common(model: Model, entry: Checked, graphs: Sequence[Graph], made_by: str, *, pictured: bool) -> dict[str, Any]:
    return {
        "title": printable(entry.path.replace("\\", "/").rpartition("/")[2] or entry.path, _LONGEST_TITLE),
        "made": f"Made by {made_by}. Graph layout by dagre (MIT licence, in this file).",
        "start": graphs[0].subgraph if graphs else 0,
        "findings": finding_data(entry.findings),
        "subgraphs": subgraph_data(model, graphs, pictured=pictured),
    }


def _page(data: dict[str, Any]) -> str:
    style = _asset("style.css")
    library = _asset("dagre/dagre.min.js").partition("\n//# sourceMappingURL")[0]
    layout = f"/*\n@dagrejs/dagre\n{_asset('dagre/LICENSE')}*/\n{library}\n{_asset('layout.js')}"
    script = "{\n" + "\n".join(_asset(name).replace('"use strict";\n', "", 1) for name in _SCRIPTS) + "\n}\n"
    script = f'"use strict";\n{script}'
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    policy = (
        f"default-src 'none'; img-src data:; script-src {_hash(layout)} {_hash(script)}; style-src {_hash(style)}; "
        "worker-src blob:; base-uri 'none'; form-action 'none'"
    )
    tabs: list[str] = data["tabs"]
    buttons = "".join(
        f'<button role="tab" id="tab-{name}" aria-controls="{name}">{_TABS[name]}</button>' for name in tabs
    )
    hosts = "".join(f'<section id="{name}" role="tabpanel" hidden></section>' for name in tabs if name != "graph")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(data["title"])}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header class="top">
<div class="model"><h1 id="title"></h1><div id="facts" class="muted"></div></div>
<nav id="tabs" role="tablist" aria-label="parts of the report">{buttons}</nav>
<div class="find"><input type="search" id="search" placeholder="Find an operator or a tensor   /" autocomplete="off"
role="combobox" aria-expanded="false" aria-controls="hits" aria-label="Find an operator or a tensor">
<ul id="hits" role="listbox" aria-label="what was found" hidden></ul></div>
</header>
<main>
{hosts}
<section id="graph" role="tabpanel" hidden>
<div id="canvas"><div class="buttons"><button id="closer" aria-label="closer">+</button>
<button id="wider" aria-label="wider">&minus;</button><button id="whole">Fit</button>
<select id="subgraph" aria-label="subgraph"></select></div></div>
<div id="strip"></div>
<aside id="panel" aria-label="details"></aside>
</section>
</main>
<footer id="made"></footer>
<noscript>This page is drawn by a script that it contains; it is switched off here.</noscript>
<script type="application/json" id="data">{text}</script>
<script id="layout">{layout}</script>
<script>{script}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return files("tflite_surgeon.report").joinpath("assets", *name.split("/")).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The source of a policy that allows exactly this text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
