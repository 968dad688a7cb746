"""Where a file's bytes go."""

from __future__ import annotations

from dataclasses import dataclass

from tflite_surgeon.model.archive import find
from tflite_surgeon.model.objects import Buffer, Model, Tensor
from tflite_surgeon.views.file_map import Span, graph_spans, merged, total
from tflite_surgeon.views.listing import METADATA, UNUSED, list_buffers
from tflite_surgeon.views.options import options
from tflite_surgeon.views.rows import BufferRow
from tflite_surgeon.views.tensors import (
    BIAS,
    CONSTANT,
    FLOATS,
    WEIGHTS,
    Kinds,
    element_count,
    is_constant,
    is_quantized,
)

# A gap in the file up to this many bytes is taken for alignment: the schema aligns buffers to 16.
_ALIGNMENT = 16
_DISPATCH = "DISPATCH_OP"


@dataclass(frozen=True)
class Sizes:
    """Bytes by kind; of a model that was read from a file they add up to the file's size.

    Attributes:
        weights, biases, constants, metadata: in buffers, by what uses them.
        graph: tables, names, shapes, scales and options; None for a model that was not read from a file, as the rest.
        padding: gaps of less than 16 bytes.
        associated_files: the zip at the end.
        compiled: code for an accelerator behind the flatbuffer, as the options of DISPATCH_OP say.
        waste: buffers that nothing uses, and larger gaps.
        outside: how much of the buffers' bytes lies behind the flatbuffer.
        file: the size of the file.
    """

    weights: int
    biases: int
    constants: int
    metadata: int
    graph: int | None
    padding: int | None
    associated_files: int | None
    compiled: int | None
    waste: int
    outside: int
    file: int | None

    @property
    def parts(self) -> list[tuple[str, int | None]]:
        """Every kind and its bytes, in the order in which they are shown."""
        return [
            ("weights", self.weights),
            ("biases", self.biases),
            ("other constants", self.constants),
            ("metadata", self.metadata),
            ("graph", self.graph),
            ("padding", self.padding),
            ("associated files", self.associated_files),
            ("compiled code", self.compiled),
            ("waste", self.waste),
        ]


def sizes(model: Model) -> Sizes:
    """Where the bytes go; no constant is read."""
    buffers = list_buffers(model)
    outside = sum(row.bytes for row in buffers if row.outside)
    if model.source is None or any(row.bytes and row.offset is None for row in buffers):
        counts = {kind: sum(row.bytes for row in buffers if row.kind == kind) for kind in _BUFFERS}
        return _sizes(counts, None, None, None, None, counts[UNUSED], outside, None)
    return _of_file(model, buffers, outside)


_BUFFERS = (WEIGHTS, BIAS, CONSTANT, METADATA, UNUSED)


def _of_file(model: Model, buffers: list[BufferRow], outside: int) -> Sizes:
    assert model.source is not None
    size = len(model.source.raw)
    archive = find(model.source.raw)
    # Bytes that several kinds share count for the first of them.
    kinds = {"graph": graph_spans(model), **{kind: _spans(buffers, kind) for kind in _BUFFERS}}
    kinds["options"] = [
        (operator.large_custom_options_offset, operator.large_custom_options_offset + len(large))
        for operator in (node.operator for node in model.nodes())
        if (large := operator.large_custom_options) is not None
    ]
    kinds["compiled"] = _compiled(model, size)
    kinds["archive"] = [] if archive is None else [(archive.start, size)]
    covered: list[Span] = []
    counts: dict[str, int] = {}
    before = 0
    for kind, spans in kinds.items():
        covered = merged([*covered, *merged(spans)])
        after = total(covered)
        counts[kind], before = after - before, after
    ends = [0, *(end for _, end in covered)]
    starts = [*(start for start, _ in covered), size]
    gaps = [start - end for end, start in zip(ends, starts)]
    padding = sum(gap for gap in gaps if gap < _ALIGNMENT)
    graph = counts["graph"] + counts["options"]
    waste = counts[UNUSED] + sum(gaps) - padding
    return _sizes(counts, graph, padding, counts["archive"], counts["compiled"], waste, outside, size)


def _sizes(
    counts: dict[str, int],
    graph: int | None,
    padding: int | None,
    archive: int | None,
    compiled: int | None,
    waste: int,
    outside: int,
    file: int | None,
) -> Sizes:
    weights, biases, constants, metadata = (counts[kind] for kind in _BUFFERS[:4])
    return Sizes(weights, biases, constants, metadata, graph, padding, archive, compiled, waste, outside, file)


def _compiled(model: Model, size: int) -> list[Span]:
    """Source: LiteRT core/dispatch_op_schema.h: a FlexBuffer with bytecode_offset and bytecode_size."""
    spans = []
    for node in model.nodes():
        if node.operator.name == _DISPATCH and node.operator.custom_options:
            found = options(node.operator)
            start, length = found.get("bytecode_offset"), found.get("bytecode_size")
            if isinstance(start, int) and isinstance(length, int) and 0 < start <= start + length <= size:
                spans.append((start, start + length))
    return spans


def _spans(buffers: list[BufferRow], kind: str) -> list[Span]:
    return [(row.offset, row.offset + row.bytes) for row in buffers if row.kind == kind and row.offset is not None]


def parameters(model: Model) -> int:
    """How many numbers were learned: elements of weights and biases, and of other float or quantised constants.

    A buffer that several tensors hold counts once; sparse weights count with their zeros; shapes, axes and indices,
    which are plain integers, do not count.
    """
    kinds = Kinds(model)
    counts: dict[int, int] = {}
    for subgraph in model.subgraphs or ():
        for tensor in subgraph.tensors or ():
            kind = kinds.of(tensor)
            if kind in (WEIGHTS, BIAS) or (is_constant(tensor) and _is_real(tensor)):
                key = (
                    id(tensor) if tensor.external_buffer or not isinstance(tensor.buffer, Buffer) else id(tensor.buffer)
                )
                counts[key] = max(counts.get(key, 0), element_count(tensor) or 0)
    return sum(counts.values())


def _is_real(tensor: Tensor) -> bool:
    return tensor.type_name in FLOATS or is_quantized(tensor)
