"""How objects show themselves in a notebook: small tables in HTML. No weights are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from tflite_surgeon.errors import SurgeonError

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import BadReference, Model, SubGraph, Tensor

_LONGEST = 400
_LONGEST_NAME = 60
_ROWS = 10
_SCALES = 4

Row = tuple[str, ...]


def table(title: str, rows: Iterable[Row], header: Row = ()) -> str:
    """A table; texts are escaped here, and what a page would hide or obey is made visible."""
    lines = [f"<table><caption>{_text(title)}</caption>"]
    if header:
        lines.append(f"<thead><tr>{''.join(f'<th>{_text(cell)}</th>' for cell in header)}</tr></thead>")
    lines.append("<tbody>")
    for first, *rest in rows:
        cells = "".join(f'<td style="text-align: left">{_text(cell)}</td>' for cell in rest)
        lines.append(f'<tr><th style="text-align: left">{_text(first)}</th>{cells}</tr>')
    return "\n".join([*lines, "</tbody></table>"])


def _text(text: str) -> str:
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escape(shown)


def model_table(model: Model) -> str:
    """A model: what it says of itself, its inputs and outputs, and what it is made of."""
    graphs = model.subgraphs or []
    rows: list[Row] = [("schema version", str(model.version))]
    if model.description:
        rows.append(("description", model.description))
    if graphs:
        rows += _interface(graphs[0])
    names = Counter(node.operator.name for node in model.nodes())
    rows += [
        ("subgraphs", str(len(graphs))),
        ("operators", _counted(names)),
        ("tensors", str(sum(len(graph.tensors or ()) for graph in graphs))),
        ("buffers", str(len(model.buffers or ()))),
    ]
    if model.signature_defs:
        rows.append(("signatures", ", ".join(short_name(found.signature_key) for found in model.signature_defs)))
    if model.metadata:
        rows.append(("metadata", ", ".join(short_name(found.name) for found in model.metadata)))
    path = model.source.path if model.source is not None else None
    return table("Model" if path is None else f"Model {path.name}", rows)


def subgraph_table(graph: SubGraph) -> str:
    """A subgraph: inputs, outputs, operators by type."""
    names = Counter(operator.name for operator in graph.operators or ())
    rows = [
        *_interface(graph),
        ("operators", _counted(names)),
        ("tensors", str(len(graph.tensors or ()))),
    ]
    return table(f"SubGraph {short_name(graph.name)}".rstrip(), rows)


def tensor_table(tensor: Tensor) -> str:
    """A tensor: type, shape, quantisation, and how many bytes it holds."""
    rows: list[Row] = [("type", tensor.type_name), ("shape", _shape(tensor.shape))]
    if tensor.shape_signature and tensor.shape_signature != tensor.shape:
        rows.append(("shape signature", _shape(tensor.shape_signature)))
    quantization = tensor.quantization
    if quantization is not None and quantization.scale:
        rows.append(("scale", _numbers(quantization.scale)))
        rows.append(("zero point", _numbers(quantization.zero_point or ())))
        if len(quantization.scale) > 1:
            rows.append(("quantized dimension", str(quantization.quantized_dimension)))
    if quantization is not None and quantization.min and quantization.max:
        rows.append(("recorded range", f"{min(quantization.min):.6g} to {max(quantization.max):.6g}"))
    size = _stored_bytes(tensor)
    if size is not None:
        rows.append(("constant", size))
    if tensor.is_variable:
        rows.append(("variable", "yes"))
    return table(f"Tensor {short_name(tensor.name)}".rstrip(), rows)


def _stored_bytes(tensor: Tensor) -> str | None:
    from tflite_surgeon.model.objects import Buffer

    try:  # A tensor that somebody makes in a notebook may have no buffer yet.
        data = tensor.data if isinstance(tensor.buffer, Buffer) else None
    except SurgeonError:
        return "in a file that was closed"
    return None if data is None else f"{len(data)} bytes"


def _interface(graph: SubGraph) -> list[Row]:
    rows: list[Row] = []
    for kind, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        found = list(tensors or ())
        rows += [(f"{kind} {number}", _brief(item)) for number, item in enumerate(found[:_ROWS])]
        if len(found) > _ROWS:
            rows.append((f"{kind}s", f"{len(found) - _ROWS} more"))
    return rows


def _brief(tensor: Tensor | BadReference | None) -> str:
    """Such as "x: FLOAT32 [1, 224, 224, 3]"."""
    from tflite_surgeon.model.objects import Tensor

    if not isinstance(tensor, Tensor):
        return "none" if tensor is None else f"tensor {tensor.index}, which is not there"
    return f"{short_name(tensor.name)}: {tensor.type_name} {_shape(tensor.shape_signature or tensor.shape)}"


def short_name(name: str | None) -> str:
    """A name cut in the middle where it is long."""
    name, half = name or "", _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}...{name[-half:]}"


def _shape(shape: Sequence[int] | None) -> str:
    return "none" if shape is None else f"[{', '.join(map(str, shape))}]"


def _numbers(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.9g}" for value in values[:_SCALES])
    return shown if len(values) <= _SCALES else f"{shown}, ... ({len(values)})"


def _counted(names: Counter[str]) -> str:
    """Such as "12: 5 CONV_2D, 4 ADD and 3 of other types"."""
    if not names:
        return "0"
    common = names.most_common(_ROWS)
    rest = names.total() - sum(count for _, count in common)
    shown = ", ".join(f"{count} {name}" for name, count in common)
    return f"{names.total()}: {shown}{f' and {rest} of other types' if rest else ''}"
