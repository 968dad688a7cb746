"""A graph in Graphviz's DOT language.

Names stand only inside labels and tooltips, never in identifiers. Labels are Graphviz's HTML-like ones, where `&`, `<`,
`>` and `"` are written as entities. Graphviz then looks for escapes such as \\N in labels once, in tooltips twice: a
backslash is doubled as often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tflite_surgeon.report.names import printable
from tflite_surgeon.rules.registry import Finding
from tflite_surgeon.views.graph import FAR, INPUT, OPERATOR, OUTSIDE, Graph, GraphEdge, GraphNode, Value

# Border and background by severity.
_MARKS: Final = {
    "error": ("#c62828", "#fde7e7"),
    "warning": ("#b26a00", "#fff3dc"),
    "note": ("#3d6fb4", "#eaf1fb"),
}
_PLAIN: Final = ("#98a2b3", "#ffffff")
_INK: Final = "#1d2939"
_MUTED: Final = "#667085"
_LONGEST_NAME: Final = 48
_LONGEST_TOOLTIP: Final = 400
_MOST_DIMENSIONS: Final = 8
# Rows of folded inputs and of findings in one operator; a tensor's readers that get its label.
_MOST_ROWS: Final = 6
# Curved edges and exact placement take Graphviz minutes beyond this many nodes.
_LARGE: Final = 1000


def as_dot(graph: Graph, findings: Sequence[Finding] = (), title: str = "") -> str:
    """The graph as DOT text.

    Args:
        graph: what is to be drawn.
        findings: the list that the graph's nodes refer to.
        title: stands below the picture.
    """
    return "\n".join(_lines(graph, findings, title)) + "\n"


def value_text(value: Value) -> str:
    """Type and shape, such as "int8 [1, 96, 96, 3]"."""
    return f"{value.type} {shape_text(value.shape)}"


def shape_text(shape: Sequence[int] | None) -> str:
    """Such as "[1, -1, 3]"; "[]" for a scalar and where the file has none."""
    dimensions = [str(size) for size in shape or ()]
    if len(dimensions) > _MOST_DIMENSIONS:
        dimensions[_MOST_DIMENSIONS - 1 :] = ["..."]
    return f"[{', '.join(dimensions)}]"


def range_text(value: Value) -> str:
    """Such as "[-1, 0.992]"; empty where nothing tells."""
    return "" if value.range is None else f"[{value.range[0]:.4g}, {value.range[1]:.4g}]"


def _lines(graph: Graph, findings: Sequence[Finding], title: str) -> Iterator[str]:
    yield "digraph model {"
    yield '  charset="UTF-8"; rankdir=TB; nodesep=0.3; ranksep=0.35;'
    if len(graph.nodes) > _LARGE:
        yield "  splines=polyline; nslimit=2; nslimit1=2; mclimit=0.5;"
    yield f'  fontname="Helvetica"; fontsize=11; fontcolor="{_INK}"; bgcolor="#ffffff"; labelloc=b;'
    yield f"  label={_label(title)};" if title else '  label="";'
    yield f'  node [shape=plain, fontname="Helvetica", fontsize=10, fontcolor="{_INK}"];'
    yield f'  edge [fontname="Helvetica", fontsize=8, fontcolor="{_MUTED}", color="#667085", arrowsize=0.6];'
    yield from _clusters(graph, findings)
    labelled: set[tuple[str, int]] = set()
    for edge in graph.edges:
        first = (edge.source, edge.tensor) not in labelled
        labelled.add((edge.source, edge.tensor))
        yield _edge(edge, graph.values[edge.tensor], first)
    yield "}"


def _clusters(graph: Graph, findings: Sequence[Finding]) -> Iterator[str]:
    """Each node, inside the boxes of its scopes."""
    tree: dict[tuple[str, ...], list[GraphNode]] = {}
    for node in graph.nodes:
        tree.setdefault(node.scope, []).append(node)
    scopes = sorted({scope[:depth] for scope in tree for depth in range(len(scope) + 1)})
    opened: list[tuple[str, ...]] = []
    for number, scope in enumerate(scopes):
        while opened and scope[: len(opened[-1])] != opened[-1]:
            yield f"{'  ' * len(opened.pop())}  }}"
        indent = "  " * (len(scope) + 1)
        if scope:
            opened.append(scope)
            yield f"{indent[2:]}subgraph cluster_{number} {{"
            yield (
                f"{indent}label={_label(scope[-1])}; tooltip={quote(scope[-1])}; labeljust=l; labelloc=t; "
                f'fontsize=9; fontcolor="{_MUTED}"; style="rounded,filled"; color="#d0d5dd"; '
                f'fillcolor="{"#f5f7fa" if len(scope) == 1 else "#ebeff4"}"; margin=10;'
            )
        for node in tree.get(scope, ()):
            yield f"{indent}{_node(node, graph, findings)}"
    while opened:
        yield f"{'  ' * len(opened.pop())}  }}"


def _node(node: GraphNode, graph: Graph, findings: Sequence[Finding]) -> str:
    tooltip = quote(node.name or node.title)
    if node.kind in (OUTSIDE, FAR):
        text = node.title if node.kind == OUTSIDE else f"from {node.title}"
        look = f'shape=box, style="rounded,dashed", color="{_MUTED}", fontcolor="{_MUTED}", fontsize=8'
        return f'{node.key} [{look}, height=0, width=0, margin="0.08,0.04", label={_label(text)}, tooltip={tooltip}];'
    border, fill = _MARKS.get(node.severity or "", _PLAIN)
    rows = "".join(_rows(node, graph, findings))
    radius = "" if node.kind == OPERATOR else ' style="rounded"'
    if node.kind != OPERATOR and node.severity is None:
        fill = "#e8f5ee" if node.kind == INPUT else "#f0ebfa"
    width = 2 if node.severity in ("error", "warning") else 1
    table = (
        f'<table border="{width}" cellborder="0" cellspacing="0" cellpadding="3" color="{border}" '
        f'bgcolor="{fill}"{radius}>{rows}</table>'
    )
    return f"{node.key} [label=<{table}>, tooltip={tooltip}];"


def _rows(node: GraphNode, graph: Graph, findings: Sequence[Finding]) -> Iterator[str]:
    """The rows of a node's table."""
    if node.kind == OPERATOR:
        version = "" if node.version is None else f" v{node.version}"
        yield (
            f'<tr><td align="left"><font color="{_MUTED}">{node.number}</font>  <b>{escape(node.title)}</b>'
            f'<font color="{_MUTED}" point-size="8">{version}</font></td></tr>'
        )
    else:
        name = escape(node.name, "without a name")
        yield f'<tr><td align="left"><font color="{_MUTED}">{node.title} {node.number}</font>  <b>{name}</b></td></tr>'
    for folded in node.folded[:_MOST_ROWS]:
        text = "points nowhere" if folded.tensor is None else value_text(graph.values[folded.tensor])
        yield (
            f'<tr><td align="left"><font point-size="8"><font color="{_MUTED}">{escape(folded.role)}</font>  '
            f"{escape(text)}</font></td></tr>"
        )
    if len(node.folded) > _MOST_ROWS:
        yield _small(f"and {len(node.folded) - _MOST_ROWS} more", _MUTED)
    rules = {findings[place].rule: str(findings[place].severity) for place in reversed(node.findings)}
    for rule, severity in list(reversed(rules.items()))[:_MOST_ROWS]:
        yield _small(f"{severity}: {rule}", _MARKS[severity][0])


def _small(text: str, colour: str) -> str:
    return f'<tr><td align="left"><font point-size="8" color="{colour}">{escape(text)}</font></td></tr>'


def _edge(edge: GraphEdge, value: Value, labelled: bool) -> str:
    """An edge; its label stands once for all readers of a tensor, the tooltip at each."""
    reach = range_text(value)
    tooltip = quote(f"{value.index} {value.name}: {value_text(value)}{f' {reach}' if reach else ''}")
    attributes = [f"edgetooltip={tooltip}", f"labeltooltip={tooltip}"]
    if labelled:
        lines = [" " + escape(value_text(value)), *([" " + escape(reach)] if reach else [])]
        attributes.insert(0, f"label=<{'<br/>'.join(lines)}>")
    return f"  {edge.source} -> {edge.target} [{', '.join(attributes)}];"


def _label(text: str) -> str:
    return f"<{escape(text, 'without a name')}>"


def escape(text: str, empty: str = " ") -> str:
    """Text as it stands in an HTML-like label: what is invisible escaped, the middle of a long one left out."""
    shown = printable(text, _LONGEST_NAME) or empty
    shown = shown.replace("\\", "\\" * 2)
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    # Graphviz takes a label that is nothing but blanks for a mistake.
    return shown if shown.strip() else "&#160;"


def quote(text: str) -> str:
    """Text as a quoted string of DOT that is not taken for escapes, such as \\N, nor for entities, such as &lt;."""
    shown = printable(text, _LONGEST_TOOLTIP).replace("\\", "\\" * 4)
    shown = shown.replace("&", "&amp;").replace('"', "&quot;")
    return f'"{shown}"'
