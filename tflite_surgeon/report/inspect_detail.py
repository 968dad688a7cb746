"""One node or tensor in full, as text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import isfinite

from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.inspect_words import oldest, place, real, scale_words, shape_words, shown, thousands
from tflite_surgeon.report.names import printable, quoted
from tflite_surgeon.views.detail import Neighbour, NodePart, Operand, TensorPart
from tflite_surgeon.views.rows import TensorRow
from tflite_surgeon.views.statistics import Statistics

Rows = list[tuple[str, str]]

_NEIGHBOURS_SHOWN = 12
_HOLDERS_SHOWN = 8
_SPARK_WIDTH = 60
_BAR = 40
_SPARKS = "▁▂▃▄▅▆▇█"
_SPARKS_ASCII = "_.-=+*%#"


def print_part(part: NodePart | TensorPart) -> None:
    """Print one part in full."""
    printer = Printer()
    if isinstance(part, TensorPart):
        _print_tensor(printer, part)
    else:
        _print_node(printer, part)


def _print_tensor(printer: Printer, part: TensorPart) -> None:
    row = part.tensor
    printer.line(f"tensor {place(row.subgraph, row.number, 't')} {quoted(row.name or '')}", style="bold")
    printer.pairs([*_facts(part), *_quantization(part), *_around(part)], indent=2)
    if part.values is not None:
        printer.line()
        printer.line("values", indent=2)
        printer.pairs(_values(part.values), indent=4)
        bars = _histogram(part.values)
        if bars:
            printer.line()
            printer.pairs(bars, indent=4)
    if part.unread is not None:
        printer.line()
        printer.line(f"values cannot be shown: {printable(part.unread, longest=400)}", indent=2)
    _print_offsets(printer, part.offsets)


def _facts(part: TensorPart) -> Rows:
    row = part.tensor
    rows = [("kind", row.kind), ("type", row.dtype), ("shape", shape_words(row.shape))]
    if row.shape_signature is not None:
        rows.append(("shape signature", shape_words(row.shape_signature)))
    rows.append(("elements", thousands(part.elements)))
    size = thousands(row.bytes)
    if row.bytes is None and row.bytes_of_shape is not None:
        size = f"not fixed; {row.bytes_of_shape:,} with the shape as it stands"
    rows.append(("bytes", size))
    shared = ""
    if part.shared_with:
        others = ", ".join(place(*other, "t") for other in part.shared_with[:_HOLDERS_SHOWN])
        more = f" and {len(part.shared_with) - _HOLDERS_SHOWN} more" if len(part.shared_with) > _HOLDERS_SHOWN else ""
        shared = f", shared with {others}{more}"
    rows.append(
        ("buffer", f"{row.buffer}: {row.stored_bytes:,} bytes{shared}" if row.stored_bytes else str(row.buffer))
    )
    if part.external is not None:
        rows.append(("in another file", printable(part.external, longest=400)))
    if part.is_sparse:
        rows.append(("sparse", "its buffer holds only the values that are not zero"))
    return rows


def _quantization(part: TensorPart) -> Rows:
    row = part.tensor
    if row.scheme is None and row.min is None and row.max is None:
        return [("quantisation", "none")]
    words = scale_words(row.scheme, row.scale, row.zero_point, row.quantized_dimension)
    rows = [("quantisation", "none, but a range is recorded" if row.scheme is None else words)]
    if len(row.scale) == 1:
        zero = row.zero_point[0]
        integer = f"(integer {'+' if zero < 0 else '-'} {abs(zero)})" if zero else "integer"
        rows.append(("", f"real = {integer} x {row.scale[0]:.9g}"))
    elif len(row.scale) > 1:
        rows.append(("scales", sparkline(row.scale)))
    if part.implied_min is not None and part.implied_max is not None:
        rows.append(("can stand for", f"{part.implied_min:.6g} to {part.implied_max:.6g}"))
    if row.min or row.max:
        rows.append(("recorded range", f"{_few(row.min)} to {_few(row.max)}"))
    return rows


_NUMBERS_SHOWN = 6


def _few(values: Sequence[float] | None) -> str:
    texts = [real(value) for value in (values or ())[:_NUMBERS_SHOWN]]
    more = f" ... ({len(values)})" if values is not None and len(values) > _NUMBERS_SHOWN else ""
    return (", ".join(texts) or "none") + more


def sparkline(values: Sequence[float]) -> str:
    """Values as a row of small bars from the least to the greatest; of many, the greatest of each group.

    Bars are letters of ASCII where standard output cannot show others; "!" stands for NaN and infinities.
    """
    size = -(-len(values) // _SPARK_WIDTH)
    groups = [max(values[start : start + size]) for start in range(0, len(values), size)]
    finite = [value for value in groups if isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    sparks = _SPARKS if _shows_bars() else _SPARKS_ASCII
    top = len(sparks) - 1

    def bar(value: float) -> str:
        if not isfinite(value):
            return "!"
        return sparks[round(top * ((value - low) / (high - low)))] if high > low else sparks[0]

    return "".join(map(bar, groups))


def _shows_bars() -> bool:
    try:
        _SPARKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _around(part: TensorPart) -> Rows:
    made, read = ([_neighbour(item) for item in side] or ["no operator"] for side in (part.made_by, part.read_by))
    return [*_listed("made by", _few_of(made)), *_listed("read by", _few_of(read))]


def _few_of(texts: Sequence[str]) -> list[str]:
    more = len(texts) - _NEIGHBOURS_SHOWN
    return [*texts[:_NEIGHBOURS_SHOWN], f"and {more} more"] if more > 0 else list(texts)


def _neighbour(item: Neighbour) -> str:
    return f"node {place(item.subgraph, item.operator)} {printable(item.type)}, {item.role}"


def _listed(label: str, texts: Sequence[str]) -> Rows:
    return [(label if number == 0 else "", text) for number, text in enumerate(texts)]


def _values(values: Statistics) -> Rows:
    sample = ", ".join(shown(value) if not isinstance(value, bool) else str(value).lower() for value in values.sample)
    rows = [("first", f"{sample}{' ...' if values.count > len(values.sample) else ''}" or "none")]
    if values.min is not None and values.max is not None:
        rows.append(("range", f"{shown(values.min)} to {shown(values.max)}"))
    if values.real_min is not None and values.real_max is not None:
        rows.append(("in real units", f"{values.real_min:.6g} to {values.real_max:.6g}"))
    if values.mean is not None and values.std is not None:
        rows.append(("mean", f"{values.mean:.6g}, standard deviation {values.std:.6g}"))
    rows.append(("zeros", f"{values.zeros:,} of {values.count:,}"))
    if values.at_limits:
        rows.append(("at the type's limits", f"{values.at_limits:,}"))
    if values.not_finite:
        rows.append(("NaN or infinite", f"{values.not_finite:,}"))
    return rows


def _histogram(values: Statistics) -> Rows:
    if values.edges is None or values.counts is None:
        return []
    most = max(values.counts)
    starts = [f"from {edge:.4g}" for edge in values.edges[:-1]]
    width = len(f"{most:,}")
    return [
        (start, f"{count:>{width},} {'#' * round(_BAR * count / most)}".rstrip())
        for start, count in zip(starts, values.counts)
    ]


def _print_node(printer: Printer, part: NodePart) -> None:
    row = part.operator
    version = "" if row.version is None else f" version {row.version}"
    printer.line(f"node {place(row.subgraph, row.number)} {printable(row.type)}{version}", style="bold")
    rows: Rows = []
    if part.support is not None:
        tflm = "tflm too" if part.support.tflm else "not tflm"
        rows.append(("oldest runtime", f"{oldest(row.type, part.is_custom, part.support.oldest)}, {tflm}"))
    rows.append(("multiply-accumulates", "not known from the shapes" if row.macs is None else f"about {row.macs:,}"))
    rows += _listed("before", _few_of([f"{_neighbour(item)} (t{item.tensor})" for item in part.before]))
    rows += _listed("after", _few_of([f"{_neighbour(item)} (t{item.tensor})" for item in part.after]))
    printer.pairs(rows, indent=2)
    for title, operands in (("inputs", part.inputs), ("outputs", part.outputs), ("intermediates", part.intermediates)):
        if operands:
            printer.line()
            printer.line(title, indent=2)
            printer.pairs([(item.role, _operand(item)) for item in operands], indent=4)
    if row.options:
        printer.line()
        printer.line("options", indent=2)
        printer.pairs([(printable(key), shown(value)) for key, value in row.options.items()], indent=4)
    _print_offsets(printer, part.offsets)


def _operand(item: Operand) -> str:
    if item.tensor is None:
        return "not given" if item.missing is None else f"tensor {item.missing}, which does not exist"
    return tensor_words(item.tensor)


def tensor_words(row: TensorRow) -> str:
    """A tensor in a line: number, type, shape, kind, scale, name."""
    words = scale_words(row.scheme, row.scale, row.zero_point, row.quantized_dimension)
    scale = "" if row.scheme is None else f", {'scale ' if len(row.scale) == 1 else ''}{words}"
    return f"t{row.number} {row.dtype} {shape_words(row.shape)} {row.kind}{scale} {quoted(row.name or '')}"


def _print_offsets(printer: Printer, offsets: dict[str, int]) -> None:
    if offsets:
        printer.line()
        printer.line("bytes in the file", indent=2)
        printer.pairs([(name, str(offset)) for name, offset in offsets.items()], indent=4)
