"""A model's summary and verdicts as a page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tflite_surgeon.report.checked import Checked
from tflite_surgeon.report.findings import outcome_words
from tflite_surgeon.report.inspect_words import shape_words, thousands
from tflite_surgeon.report.names import printable
from tflite_surgeon.rules.verdicts import Verdict
from tflite_surgeon.views.sizes import Sizes
from tflite_surgeon.views.summary import OperatorUse, Port, Summary

_PORTS_SHOWN = 8
_LONGEST = 400


def summary_data(summary: Summary) -> dict[str, Any]:
    """Rows of names and texts; operators as [type, count, versions]; sizes as [kind, bytes]."""
    return {"rows": _rows(summary), "operators": _operators(summary.operators), "sizes": _sizes(summary.sizes)}


def verdict_data(entry: Checked) -> list[dict[str, Any]]:
    """What becomes of the model in each runtime, with the node to look at."""
    return [
        {
            "runtime": name,
            "text": outcome_words(entry, verdict),
            "state": _state(verdict),
            "subgraph": verdict.subgraph,
            "operator": verdict.operator,
            "tensor": None,
        }
        for name, verdict in entry.verdicts.items()
    ]


def _state(verdict: Verdict) -> str:
    if verdict.crashes or verdict.loads is False or verdict.runs is False:
        return "bad"
    if verdict.loads is None or verdict.runs is None:
        return "unknown"
    return "warning" if verdict.wrong_numbers else "good"


def _rows(summary: Summary) -> list[tuple[str, str]]:
    rows = [("quantisation", summary.quantization.sentence)]
    if summary.quantization.why is not None:
        rows.append(("why it matters", f"{summary.quantization.why}."))
    if summary.description:
        rows.append(("description", printable(summary.description, _LONGEST)))
    for subgraph in summary.subgraphs[:1]:
        rows += [("inputs", _ports(subgraph.inputs)), ("outputs", _ports(subgraph.outputs))]
    count = len(summary.subgraphs)
    operators = sum(subgraph.operators for subgraph in summary.subgraphs)
    tensors = sum(subgraph.tensors for subgraph in summary.subgraphs)
    rows.append(("graph", f"{thousands(operators)} operators, {thousands(tensors)} tensors, {_subgraphs(count)}"))
    rows.append(("parameters", thousands(summary.parameters)))
    unknown = f", {summary.macs_unknown} operators not counted" if summary.macs_unknown else ""
    rows.append(("computation", f"about {thousands(summary.macs)} multiply-accumulates{unknown}"))
    rows.append(("schema version", str(summary.schema_version)))
    if summary.runtime_version is not None:
        rows.append(("runtime version", f"{printable(summary.runtime_version)} or later, as the converter recorded"))
    listed = [
        ("signatures", [item.key or "" for item in summary.signatures]),
        ("metadata", [item.name or "" for item in summary.metadata]),
        ("associated files", list(summary.associated_files)),
    ]
    rows += [(label, _names(names)) for label, names in listed if names]
    return rows


def _subgraphs(count: int) -> str:
    return f"{count} subgraph{'' if count == 1 else 's'}"


def _ports(ports: Sequence[Port]) -> str:
    lines = []
    for port in ports[:_PORTS_SHOWN]:
        if port.dtype is None or port.shape is None:
            lines.append("points nowhere")
        else:
            lines.append(f"{port.dtype} {shape_words(port.shape)} {printable(port.name or '')}".rstrip())
    if len(ports) > _PORTS_SHOWN:
        lines.append(f"and {len(ports) - _PORTS_SHOWN} more")
    return "\n".join(lines) or "none"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name, longest=60) or "without a name" for name in names[:_PORTS_SHOWN])
    return f"{shown} and {len(names) - _PORTS_SHOWN} more" if len(names) > _PORTS_SHOWN else shown


def _operators(uses: Sequence[OperatorUse]) -> list[tuple[str, int, str]]:
    by_type: dict[str, list[OperatorUse]] = {}
    for use in uses:
        by_type.setdefault(use.type, []).append(use)
    rows = []
    for name, items in by_type.items():
        versions = sorted({use.version for use in items if use.version is not None})
        text = ", ".join(f"v{version}" for version in versions)
        rows.append((printable(name, longest=60), sum(use.count for use in items), text))
    return sorted(rows, key=lambda row: -row[1])


def _sizes(sizes: Sizes) -> list[tuple[str, int]]:
    return [(name, size) for name, size in sizes.parts if size]
