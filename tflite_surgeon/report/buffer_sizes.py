"""Why a buffer does not fit, as text."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.inputs_outputs import port_rows, print_ways_out
from tflite_surgeon.report.names import as_argument, printable, quoted
from tflite_surgeon.views.buffer_sizes import TYPE, Mismatch, Sizes
from tflite_surgeon.views.inputs_outputs import Interface


def print_ratio(printer: Printer, found: Mismatch) -> None:
    """Print what the two sizes say by themselves."""
    sizes = found.sizes
    printer.line()
    printer.line(f"The tensor takes {sizes.wanted} bytes, the buffer has {sizes.given}.", indent=4)
    for reason in found.reasons:
        printer.line(f"{_sentence(reason.sentence)}", indent=4)


def print_mismatches(printer: Printer, path: str, interface: Interface, found: Sequence[Mismatch]) -> None:
    """Print which input or output of a model the sizes are about, and why they differ."""
    printer.line()
    name = printable(path, longest=4096)
    if all(one.port is None for one in found):
        _print_strange(printer, name, interface, found[0].sizes)
    for one in found:
        if one.port is None:
            continue
        kind = "output" if one.is_output else "input"
        printer.line(f"In {name}: {kind} {one.number} {quoted(one.port.name)}", style="bold")
        printer.pairs(list(port_rows(one.port, one.is_output)), indent=4)
        printer.line()
        rows = [
            ("or" if number else "because", _sentence(reason.sentence)) for number, reason in enumerate(one.reasons)
        ]
        printer.pairs(rows, indent=4)
        if not one.reasons:
            printer.line(
                f"No type, no number of channels and no batch makes {one.sizes.given} bytes of it: another height, "
                "width or length.",
                indent=4,
            )
    if any(
        TYPE in one.reasons[0].differs for one in found if one.reasons and one.port is not None and not one.is_output
    ):
        print_ways_out(printer, interface)
    printer.line()
    printer.line(f"What goes in and comes out, with code: tflite-surgeon io {as_argument(path)}")


def _print_strange(printer: Printer, name: str, interface: Interface, sizes: Sizes) -> None:
    ports = (("input", interface.inputs), ("output", interface.outputs))
    sides = {None: ports, False: ports[:1], True: ports[1:]}[sizes.is_output]
    kinds = " or ".join(kind for kind, _ in sides)
    printer.line(
        f"No {kinds} of {name} takes {sizes.wanted} bytes: the message is about another model, or about this one "
        "resized. It takes",
    )
    rows = [
        (f"{kind} {number}", f"{_or_open(port.bytes_of_shape)}  {quoted(port.name)}")
        for kind, ports_of in sides
        for number, port in enumerate(ports_of)
    ]
    printer.pairs(rows, indent=4)


def _or_open(size: int | None) -> str:
    return "an open number of bytes" if size is None else f"{size} bytes"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
