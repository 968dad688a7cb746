"""A model on one screen."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.inspect_words import oldest, shape_words, thousands
from tflite_surgeon.report.names import printable, quoted
from tflite_surgeon.views.sizes import Sizes
from tflite_surgeon.views.summary import OperatorUse, Port, SubgraphSummary, Summary

_PORTS_SHOWN = 4
_SUBGRAPHS_SHOWN = 6
_ENTRIES_SHOWN = 6
_KINDS_SHOWN = 14
_BAR = 24


def print_summary(path: str, summary: Summary) -> None:
    """Print what `inspect` says of a whole model."""
    printer = Printer()
    printer.line(printable(path, longest=4096), style="bold")
    printer.pairs([*_header(summary), *_graph(summary), *_extras(summary), *_numbers(summary)], indent=2)
    if summary.operators:
        printer.line()
        printer.line("operators and the oldest runtime known to have them; check looks at types too", indent=2)
        printer.pairs(_operators(summary.operators), indent=4)
    printer.line()
    printer.line("size", indent=2)
    printer.pairs(_sizes(summary.sizes), indent=4)


Rows = list[tuple[str, str]]


def _header(summary: Summary) -> Rows:
    version = str(summary.schema_version)
    if summary.identifier != "TFL3":
        version += f", identifier {quoted(summary.identifier)}"
    return [
        ("description", printable(summary.description, longest=400) if summary.description else "none"),
        ("schema version", version),
        (
            "runtime version",
            "none recorded"
            if summary.runtime_version is None
            else f"{printable(summary.runtime_version)} or later, as the converter recorded",
        ),
    ]


def _graph(summary: Summary) -> Rows:
    rows: Rows = []
    subgraphs = summary.subgraphs
    for number, subgraph in enumerate(subgraphs[:_SUBGRAPHS_SHOWN]):
        label = "subgraph" if len(subgraphs) == 1 else f"subgraph {number}"
        name = f"{quoted(subgraph.name)}, " if subgraph.name else ""
        counts = f"{_count(subgraph.operators, 'operator')}, {_count(subgraph.tensors, 'tensor')}"
        rows.append((label, f"{name}{counts}"))
        if number == 0:
            rows += _ports(subgraph)
    if len(subgraphs) > _SUBGRAPHS_SHOWN:
        rest = subgraphs[_SUBGRAPHS_SHOWN:]
        rows.append(("", f"and {len(rest)} subgraphs more, {sum(s.operators for s in rest):,} operators"))
    return rows or [("subgraphs", "none")]


def _ports(subgraph: SubgraphSummary) -> Rows:
    rows: Rows = []
    for label, ports in (("input", subgraph.inputs), ("output", subgraph.outputs)):
        rows += [(f"  {label}", _port(port)) for port in ports[:_PORTS_SHOWN]]
        if len(ports) > _PORTS_SHOWN:
            rows.append(("", f"and {_count(len(ports) - _PORTS_SHOWN, label)} more"))
    return rows


def _port(port: Port) -> str:
    if port.dtype is None or port.shape is None:
        return "not given" if port.tensor is None else f"tensor {port.tensor}, which does not exist"
    return f"{port.dtype} {shape_words(port.shape)} {quoted(port.name or '')}"


def _extras(summary: Summary) -> Rows:
    signatures = [
        f"{quoted(item.key or '')}: {_names(item.inputs)} -> {_names(item.outputs)}"
        + (f" (subgraph {item.subgraph})" if item.subgraph else "")
        for item in summary.signatures
    ]
    metadata = [
        f"{quoted(row.name or '')} {printable(row.text)}"
        if row.text
        else f"{quoted(row.name or '')} {row.bytes:,} bytes"
        for row in summary.metadata
    ]
    files = [f"{quoted(name)} {size:,} bytes" for name, size in summary.associated_files.items()]
    if summary.associated_files_error is not None:
        files.append(printable(summary.associated_files_error, longest=400))
    rows = [("signatures", _some(signatures, "; ")), ("metadata", _some(metadata, ", "))]
    return [*rows, ("associated files", _some(files, ", "))]


def _names(names: Sequence[str | None]) -> str:
    shown = ", ".join(printable(name or "-", longest=60) for name in names[:_ENTRIES_SHOWN])
    return f"{shown} ... ({len(names)})" if len(names) > _ENTRIES_SHOWN else shown or "nothing"


def _some(texts: Sequence[str], separator: str) -> str:
    if not texts:
        return "none"
    more = [f"and {len(texts) - _ENTRIES_SHOWN} more"] if len(texts) > _ENTRIES_SHOWN else []
    return separator.join([*texts[:_ENTRIES_SHOWN], *more])


def _numbers(summary: Summary) -> Rows:
    unknown = ""
    if summary.macs_unknown:
        unknown = f", without {_count(summary.macs_unknown, 'operator')} whose shapes do not tell"
    several = ", each subgraph once" if len(summary.subgraphs) > 1 else ""
    rows = [
        ("parameters", thousands(summary.parameters)),
        ("computation", f"about {thousands(summary.macs)} multiply-accumulates{several}{unknown}"),
        ("quantisation", summary.quantization.sentence),
    ]
    if summary.quantization.why is not None:
        rows.append(("why it matters", f"{summary.quantization.why}."))
    return rows


def _operators(uses: Sequence[OperatorUse]) -> Rows:
    """One row a type; its versions and what is known of the newest one."""
    by_type: dict[str, list[OperatorUse]] = {}
    for use in uses:
        by_type.setdefault(use.type, []).append(use)
    ordered = sorted(by_type.items(), key=lambda item: -sum(use.count for use in item[1]))
    widest = len(str(max(sum(use.count for use in items) for items in by_type.values())))
    rows = [
        (f"{sum(use.count for use in items):>{widest}} {printable(name, longest=60)}", _support(name, items))
        for name, items in ordered[:_KINDS_SHOWN]
    ]
    if len(ordered) > _KINDS_SHOWN:
        rows.append(("", f"and {len(ordered) - _KINDS_SHOWN} types more: --opcodes lists them all"))
    return rows


def _support(name: str, uses: Sequence[OperatorUse]) -> str:
    versions = ", ".join(f"v{version}" for version in sorted(use.version for use in uses if use.version is not None))
    newest = max(uses, key=lambda use: use.version or 0)
    if newest.support is None:
        return "its operator code does not exist"
    tflm = "tflm too" if newest.support.tflm else "not tflm"
    return f"{versions}  {oldest(name, newest.is_custom, newest.support.oldest)}, {tflm}"


def _sizes(sizes: Sizes) -> Rows:
    known = [(name, size) for name, size in sizes.parts if size or (size is not None and name in _ALWAYS)]
    whole = sizes.file if sizes.file is not None else sum(size for _, size in known)
    width = len(f"{whole:,}")
    rows = [(name, f"{size:>{width},} {_share(size, whole)}") for name, size in known]
    rows.append(("file" if sizes.file is not None else "buffers", f"{whole:>{width},} bytes"))
    if sizes.outside:
        rows.append(("outside buffers", f"{sizes.outside:>{width},} of these bytes lie behind the flatbuffer"))
    return rows


_ALWAYS = ("weights", "biases", "other constants", "graph", "waste")


def _share(size: int, whole: int) -> str:
    share = size / whole if whole else 0.0
    return f"{100 * share:5.1f} % {'#' * round(_BAR * share)}".rstrip()


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
