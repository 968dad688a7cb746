"""What a page knows of a model, as plain data for JSON. Every text from the file is made printable here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Model, Operator, OperatorCode, Tensor
from tflite_surgeon.report.checked import Checked
from tflite_surgeon.report.findings import finding_pairs, place_words
from tflite_surgeon.report.inspect_words import scale_words, shown
from tflite_surgeon.report.json_report import plain
from tflite_surgeon.report.names import printable
from tflite_surgeon.rules.registry import Finding
from tflite_surgeon.views.graph import FAR, OPERATOR, Graph, GraphNode, role_of
from tflite_surgeon.views.listing import list_operators, list_tensors
from tflite_surgeon.views.rows import OperatorRow, TensorRow
from tflite_surgeon.views.statistics import statistics
from tflite_surgeon.views.tensors import BIAS, CONSTANT, WEIGHTS, is_constant

_LONGEST_NAME: Final = 4096
_LONGEST_MESSAGE: Final = 2000
# Scales of a tensor that a page is told; what it shows of more is their number and range.
_SCALES: Final = 1
# A histogram of a larger constant would take more memory than a report is worth.
_LARGEST_PICTURED: Final = 1 << 26

_CUSTOM: Final = 32

# The colour of an operator, by what kind of work it does.
_FAMILIES: Final = {
    "convert": ("QUANTIZE", "DEQUANTIZE", "CAST", "FAKE_QUANT", "DENSIFY"),
    "moving": (
        *("RESHAPE", "TRANSPOSE", "CONCATENATION", "SPLIT", "SPLIT_V", "PACK", "UNPACK", "SLICE", "STRIDED_SLICE"),
        *("GATHER", "GATHER_ND", "PAD", "PADV2", "MIRROR_PAD", "SQUEEZE", "EXPAND_DIMS", "TILE", "SHAPE", "FILL"),
        *("BROADCAST_TO", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "REVERSE_V2"),
        *("SCATTER_ND", "DYNAMIC_UPDATE_SLICE", "EMBEDDING_LOOKUP"),
    ),
    "activation": (
        *("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "ELU", "GELU", "TANH", "LOGISTIC", "SOFTMAX"),
        *("LOG_SOFTMAX", "HARD_SWISH", "PRELU"),
    ),
    "control": ("IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE"),
}
_FAMILY_OF: Final = {name: family for family, names in _FAMILIES.items() for name in names}


def finding_data(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings, with where they are as numbers and as text."""
    return [
        {
            "rule": finding.rule,
            "severity": str(finding.severity),
            "subgraph": finding.subgraph,
            "operator": finding.operator,
            "tensor": None if finding.tensor is None else finding.tensor[0],
            "place": place_words(finding),
            "message": f"{printable(finding.message, _LONGEST_MESSAGE)}.",
            "rows": finding_pairs(finding),
        }
        for finding in findings
    ]


def subgraph_data(model: Model, graphs: Sequence[Graph], *, pictured: bool) -> list[dict[str, Any]]:
    """Graphs with their nodes, edges and tensors.

    Args:
        model: the model.
        graphs: of it, or of parts of it: only tensors that they show are told.
        pictured: whether constants come with a histogram, for which they are read.
    """
    tensors: dict[int, list[TensorRow]] = {}
    for row in list_tensors(model):
        tensors.setdefault(row.subgraph, []).append(row)
    operators = {(row.subgraph, row.number): row for row in list_operators(model)}
    return [_subgraph(model, graph, tensors.get(graph.subgraph, ()), operators, pictured) for graph in graphs]


def _subgraph(
    model: Model,
    graph: Graph,
    rows: Sequence[TensorRow],
    operators: dict[tuple[int, int], OperatorRow],
    pictured: bool,
) -> dict[str, Any]:
    subgraph = (model.subgraphs or [])[graph.subgraph]
    is_whole = sum(node.kind == OPERATOR for node in graph.nodes) == graph.operators
    wanted = set(range(len(graph.values))) if is_whole else _shown(graph)
    objects = subgraph.tensors or []
    weighty = {WEIGHTS, BIAS}
    kinds = [value.kind for value in graph.values]
    return {
        "index": graph.subgraph,
        "name": printable(graph.name),
        "operators": graph.operators,
        "values": [_value(graph, rows[index], objects[index], model if pictured else None) for index in sorted(wanted)],
        "nodes": [
            _node(
                node,
                operators.get((graph.subgraph, node.number)) if node.kind == OPERATOR else None,
                (subgraph.operators or [])[node.number] if node.kind == OPERATOR else None,
                any(folded.tensor is not None and kinds[folded.tensor] in weighty for folded in node.folded),
            )
            for node in graph.nodes
        ],
        "edges": [[edge.source, edge.target, edge.tensor] for edge in graph.edges],
    }


def _shown(graph: Graph) -> set[int]:
    found = {edge.tensor for edge in graph.edges}
    for node in graph.nodes:
        found.update(index for index in (*node.inputs, *node.outputs) if index is not None)
        found.update(folded.tensor for folded in node.folded if folded.tensor is not None)
    return found


def _node(node: GraphNode, row: OperatorRow | None, operator: Operator | None, has_weights: bool) -> dict[str, Any]:
    return {
        "key": node.key,
        "kind": node.kind,
        "number": node.number,
        "title": printable(node.title),
        "version": node.version,
        "name": printable(node.name, _LONGEST_NAME),
        "scope": [printable(label) for label in node.scope],
        "folded": [[folded.role, folded.tensor] for folded in node.folded],
        "inputs": node.inputs,
        "outputs": node.outputs,
        "roles": [] if operator is None else [role_of(operator, place) for place in range(len(node.inputs))],
        "severity": node.severity,
        "findings": node.findings,
        "family": _family(row, operator, has_weights),
        "options": [] if row is None else [[printable(name), shown(value)] for name, value in row.options.items()],
        "macs": None if row is None else row.macs,
        **({"standsFor": node.stands_for} if node.kind == FAR else {}),
    }


def _family(row: OperatorRow | None, operator: Operator | None, has_weights: bool) -> str:
    if row is None or operator is None:
        return "other"
    opcode = operator.opcode
    if isinstance(opcode, OperatorCode) and opcode.code == _CUSTOM:
        return "custom"
    return "layer" if has_weights else _FAMILY_OF.get(row.type, "other")


def _value(graph: Graph, row: TensorRow, tensor: Tensor, pictured: Model | None) -> dict[str, Any]:
    value = graph.values[row.number]
    return {
        "index": row.number,
        "name": printable(value.name, _LONGEST_NAME),
        "type": value.type,
        "shape": value.shape,
        "kind": value.kind,
        "range": plain(value.range),
        "recorded": value.recorded,
        "bytes": row.bytes,
        "stored": row.stored_bytes,
        "buffer": row.buffer,
        "scale": scale_words(row.scheme, row.scale, row.zero_point, row.quantized_dimension),
        "scales": plain(list(row.scale[:_SCALES])),
        "readBy": row.read_by,
        "histogram": None if pictured is None else _histogram(pictured, tensor, row),
    }


def _histogram(model: Model, tensor: Tensor, row: TensorRow) -> dict[str, Any] | None:
    """A constant's values in bars; None where there is nothing to picture: one value, strings, a damaged constant."""
    if row.stored_bytes < 2 or row.stored_bytes > _LARGEST_PICTURED or not is_constant(tensor):
        return None
    if row.kind not in (WEIGHTS, BIAS, CONSTANT):
        return None
    try:
        found = statistics(tensor)
    except SurgeonError:
        return None
    finally:
        if model.source is not None:
            model.source.reader.let_go()
    if found.count < 2 or found.min is None:
        return None
    return {
        "low": plain(found.min),
        "high": plain(found.max),
        "counts": found.counts or [found.count - found.not_finite],
        "count": found.count,
        "zeros": found.zeros,
        "notFinite": found.not_finite,
        "mean": plain(found.mean),
        "real": None if found.real_min is None else plain([found.real_min, found.real_max]),
        "atLimits": found.at_limits if row.scheme is not None else None,
    }


def facts(entry: Checked, size: int | None) -> str:
    """The line below the title: how many operators, how large, what was found."""
    parts = [f"{entry.operators:,} operator{'' if entry.operators == 1 else 's'}"]
    if size is not None:
        parts.append(f"{size:,} bytes")
    count = len(entry.findings)
    parts.append(f"{count:,} finding{'' if count == 1 else 's'}")
    return " · ".join(parts)
