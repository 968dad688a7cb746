"""Lists of a model's parts as text: one row a line, in columns, the name last; wrapped on a terminal only."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tflite_surgeon.report.inspect_words import numbers, oldest, place, scale_words, shape_words, shown, thousands
from tflite_surgeon.report.names import printable, quoted
from tflite_surgeon.views.rows import BufferRow, MetadataRow, OpcodeRow, OperatorRow, SignatureRow, TensorRow
from tflite_surgeon.views.versions import CUSTOM


class Table(NamedTuple):
    """How rows of one kind are shown: the titles, and a row's cells; the last column takes the rest of the line."""

    titles: Sequence[str]
    cells: Callable[[Any], Sequence[str]]


def print_rows(what: str, rows: Sequence[Any]) -> None:
    """Print a list: a row a line, or wrapped on a terminal, where the last column has a line of its own if need be."""
    if not rows:
        print(f"no {what}")
        return
    table = TABLES[what]
    lines = [table.titles, *map(table.cells, rows)]
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*lines)][:-1]
    starts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)) for line in lines]
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{start}  {line[-1]}".rstrip() + "\n" for line, start in zip(lines, starts))
        return
    screen = shutil.get_terminal_size().columns
    offset = sum(widths) + 2 * len(widths)
    for line, start in zip(lines, starts):
        if offset + _LEAST_ROOM > screen:
            aligned = start.rstrip()
            _print_wrapped(aligned if len(aligned) <= screen else "  ".join(line[:-1]), screen, "", _INDENT)
            _print_wrapped(line[-1], screen, _INDENT, _INDENT)
        else:
            _print_wrapped(line[-1], screen, f"{start}  ", " " * offset)


# Cells that are wider push the rest of their line to the right.
_WIDEST = 40
_LEAST_ROOM = 24
_INDENT = " " * 8


def _print_wrapped(text: str, width: int, start: str, indent: str) -> None:
    """Print a text behind a start, its further lines behind an indentation; nothing where there is no text."""
    lines = [start + text]
    if len(lines[0]) > width:
        lines = textwrap.wrap(text, width, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False)
    if lines[0].strip():
        print(*(line.rstrip() for line in lines), sep="\n")


def _tensor(row: TensorRow) -> tuple[str, ...]:
    shape = row.shape_signature if row.bytes is None and row.shape_signature else row.shape
    return (
        place(row.subgraph, row.number, "t"),
        row.kind,
        row.dtype,
        shape_words(shape),
        thousands(row.bytes),
        scale_words(row.scheme, row.scale, row.zero_point, row.quantized_dimension),
        quoted(row.name or ""),
    )


def _operator(row: OperatorRow) -> tuple[str, ...]:
    version = "" if row.version is None else f"v{row.version}"
    return (
        place(row.subgraph, row.number),
        printable(row.type),
        version,
        numbers(row.inputs),
        numbers(row.outputs),
        row.dtype or "-",
        "-" if row.shape is None else shape_words(row.shape),
        thousands(row.macs),
        " ".join(f"{printable(key)}={shown(value)}" for key, value in row.options.items()),
    )


def _buffer(row: BufferRow) -> tuple[str, ...]:
    holders = [*(place(*tensor, "t") for tensor in row.tensors), *(f"metadata {number}" for number in row.metadata)]
    where = "-" if row.offset is None else str(row.offset)
    return (
        str(row.number),
        row.kind,
        thousands(row.bytes),
        f"{where} (behind the flatbuffer)" if row.outside else where,
        ", ".join(holders[:_HOLDERS]) + (f" and {len(holders) - _HOLDERS} more" if len(holders) > _HOLDERS else ""),
    )


_HOLDERS = 6


def _opcode(row: OpcodeRow) -> tuple[str, ...]:
    return (
        str(row.number),
        printable(row.type),
        f"v{row.version}",
        str(row.code),
        str(row.operators),
        _range(row.litert),
        _range(row.tflite_2_14),
        "yes" if row.tflm else "no",
        oldest(row.type, row.code == CUSTOM, row.oldest),
    )


def _range(limits: tuple[int, int] | None) -> str:
    return "-" if limits is None else f"v{limits[0]}-v{limits[1]}" if limits[0] < limits[1] else f"v{limits[0]}"


def _signature(row: SignatureRow) -> tuple[str, ...]:
    tensor = "-" if row.tensor is None else place(row.subgraph or 0, row.tensor, "t")
    return (
        str(row.signature),
        quoted(row.key or ""),
        row.direction,
        quoted(row.name or ""),
        row.dtype or "-",
        "-" if row.shape is None else shape_words(row.shape),
        tensor,
        quoted(row.tensor_name or ""),
    )


def _metadata(row: MetadataRow) -> tuple[str, ...]:
    return (
        str(row.number),
        quoted(row.name or ""),
        str(row.buffer),
        thousands(row.bytes),
        "-" if row.offset is None else str(row.offset),
        "" if row.text is None else printable(row.text),
    )


TABLES = {
    "tensors": Table(("tensor", "kind", "dtype", "shape", "bytes", "quantisation", "name"), _tensor),
    "operators": Table(
        ("node", "type", "version", "inputs", "outputs", "dtype", "shape", "MACs", "options"), _operator
    ),
    "buffers": Table(("buffer", "kind", "bytes", "offset", "held by"), _buffer),
    "opcodes": Table(
        ("code", "type", "version", "number", "operators", "litert-2.3", "tflite-2.14", "tflm", "oldest runtime"),
        _opcode,
    ),
    "signatures": Table(
        ("signature", "key", "direction", "name", "dtype", "shape", "tensor", "tensor name"), _signature
    ),
    "metadata": Table(("entry", "name", "buffer", "bytes", "offset", "text"), _metadata),
}
