"""A model's inputs and outputs as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.json_report import as_text, plain
from tflite_surgeon.report.names import as_argument, printable, quoted
from tflite_surgeon.report.snippets import LANGUAGES, snippet
from tflite_surgeon.views.inputs_outputs import FLOAT, INTEGER_WEIGHTS, INTEGERS, Image, Interface, Port, Signature
from tflite_surgeon.views.tensors import INTEGER_LIMITS

# Code for more inputs and outputs than these is longer than a screen: it is shown when asked for.
_CODE_FOR: Final = 4
_SCALES_SHOWN: Final = 4
_LABELS: Final = {"python": "Python", "java": "Java", "kotlin": "Kotlin", "c": "C++ with TFLM"}


def print_interface(printer: Printer, path: str, interface: Interface) -> None:
    """Print what goes in and what comes out, why a buffer of one byte a value is too small, and code."""
    counts = f"{_count(len(interface.inputs), 'input')}, {_count(len(interface.outputs), 'output')}"
    printer.line(f"{printable(path, longest=4096)}: {counts}", style="bold")
    aliases = _aliases(interface)
    for kind, ports in (("input", interface.inputs), ("output", interface.outputs)):
        for number, port in enumerate(ports):
            printer.line()
            printer.line(f"{kind} {number} {quoted(port.name)}", style="bold")
            named = aliases.get((kind, port.index), ())
            printer.pairs(list(port_rows(port, kind == "output", named)), indent=4)
    for signature in interface.signatures:
        if signature.subgraph != 0:
            _print_signature(printer, signature)
    print_ways_out(printer, interface)
    if any(port.type is None for port in (*interface.inputs, *interface.outputs)):
        return
    printer.line()
    if len(interface.inputs) + len(interface.outputs) > _CODE_FOR:
        printer.line(f"Code: tflite-surgeon io {as_argument(path)} --code {'|'.join(LANGUAGES)}")
        return
    for number, language in enumerate(LANGUAGES):
        if number:
            printer.line()
        printer.line(_LABELS[language], style="bold")
        print_code(printer, interface, path, language, indent=4)


def print_code(printer: Printer, interface: Interface, path: str, language: str, indent: int = 0) -> None:
    """Print code that calls the model once."""
    for line in snippet(language, interface, path.rpartition("/")[2]).split("\n"):
        printer.code(f"{' ' * indent}{line}" if line else "")


def _aliases(interface: Interface) -> dict[tuple[str, int], list[str]]:
    """Names that signatures of the main graph give to inputs and outputs."""
    names: dict[tuple[str, int], list[str]] = {}
    for signature in interface.signatures:
        if signature.subgraph == 0:
            for kind, entries in (("input", signature.inputs), ("output", signature.outputs)):
                for name, port in entries:
                    names.setdefault((kind, port.index), []).append(f"{quoted(name)} in {quoted(signature.key)}")
    return names


def port_rows(port: Port, is_output: bool, aliases: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """What there is to say of an input or output, a row each."""
    if port.type is None:
        yield "tensor", f"{port.index}, which is not there: no runtime loads the model"
        return
    yield "tensor", str(port.index)
    if aliases:
        yield "named", ", ".join(aliases)
    yield "dtype", port.type
    yield "shape", str(port.shape)
    if port.shape_signature != port.shape:
        what = "follows from the inputs" if is_output else "can be resized before allocating"
        yield "signature", f"{port.shape_signature}, what is -1 {what}"
    yield "bytes", _bytes(port)
    if port.scales:
        yield from _quantization_rows(port)
    if port.image is not None:
        yield from _image_rows(port.image)


def _bytes(port: Port) -> str:
    if port.value_bits is None:
        return f"depends on the values: {port.type} has no fixed size"
    if port.bytes_of_shape is None:
        return f"depends on the shape, {_of_a_value(port)} a value"
    product = " x ".join(map(str, port.shape)) or "1"
    size = f"{port.bytes_of_shape} = {product} values x {_of_a_value(port)}"
    return f"{size}, until it is resized" if port.is_open else size


def _of_a_value(port: Port) -> str:
    bits = port.value_bits or 0
    return f"{bits} bits" if bits % 8 else _count(bits // 8, "byte")


def _quantization_rows(port: Port) -> Iterator[tuple[str, str]]:
    if len(port.scales) > 1:
        shown = ", ".join(f"{scale:.9g}" for scale in port.scales[:_SCALES_SHOWN])
        more = ", ..." if len(port.scales) > _SCALES_SHOWN else ""
        yield "scales", f"{len(port.scales)} along dimension {port.quantized_dimension}: {shown}{more}"
    else:
        yield "quantisation", formula(port) or ""
    if port.range is not None:
        low, high = INTEGER_LIMITS[str(port.type)]
        yield "range", f"{port.range[0]:.6g} to {port.range[1]:.6g}, q from {low} to {high}"


def formula(port: Port) -> str | None:
    """Such as "real = (q + 128) * 0.00392156886"; None without scales, and a word for several."""
    if not port.scales:
        return None
    if len(port.scales) > 1:
        return "real = (q - zero_point) * scale, with one of each for each index of the quantized dimension"
    zero = port.zero_points[0]
    integer = "q" if zero == 0 else f"(q - {zero})" if zero > 0 else f"(q + {-zero})"
    return f"real = {integer} * {port.scales[0]:.9g}"


def _image_rows(image: Image) -> Iterator[tuple[str, str]]:
    height, width = ("?" if side < 0 else side for side in (image.height, image.width))
    order = "" if image.channels_last else ", channels before rows"
    yield "image", f"{height} x {width}, {_count(image.channels, 'channel')}{order}"
    sources = []
    if image.mean is not None and image.std is not None:
        sources.append(f"{image.mean:g}, {image.std:.6g} by scale and zero point")
    if image.recorded is not None:
        pairs = (" ".join(f"{value:g}" for value in values) for values in (image.recorded.mean, image.recorded.std))
        sources.append(f"{', '.join(pairs)} by the metadata")
    if sources:
        yield "mean, std", f"{'; '.join(sources)}; {_convention(image)}"
    else:
        yield "mean, std", "the file does not say: often pixel / 255, or (pixel - 127.5) / 127.5"


def _convention(image: Image) -> str:
    integer = ""
    if image.mean is not None:
        integer = f", q = pixel - {-image.offset}" if image.offset else ", q = pixel"
    return f"real = (pixel - mean) / std, pixels from 0 to 255{integer}"


def _print_signature(printer: Printer, signature: Signature) -> None:
    printer.line()
    where = "which is not there" if signature.subgraph is None else f"number {signature.subgraph}"
    printer.line(f"signature {quoted(signature.key)} of a subgraph {where}", style="bold")
    rows = []
    for kind, entries in (("input", signature.inputs), ("output", signature.outputs)):
        for name, port in entries:
            size = "" if port.bytes is None else f", {port.bytes} bytes"
            rows.append((f"{kind} {quoted(name)}", f"{port.type} {port.shape_signature}{size}  {quoted(port.name)}"))
    printer.pairs(rows, indent=4)


def print_ways_out(printer: Printer, interface: Interface) -> None:
    """Print why a model wants floats, and what a person with bytes can do; nothing where no input is FLOAT32."""
    port = next((port for port in interface.inputs if port.type == "FLOAT32"), None)
    if port is None or interface.computes_in is None:
        return
    printer.line()
    size = ""
    if port.values and port.values > 1 and port.bytes_of_shape:
        size = f", {port.bytes_of_shape} bytes where one byte a value makes {port.values}"
    printer.line(f"Why the input wants floats{size}", style="bold")
    printer.line(_REASONS[interface.computes_in], indent=4)
    printer.line("Ways out:", indent=4)
    for number, way in enumerate(_WAYS_OUT, 1):
        printer.pairs([(f"{number}.", way)], indent=4)


_REASONS: Final = {
    INTEGER_WEIGHTS: "The weights of this model are integers, its input is not: quantising weights after training "
    "makes the file smaller and leaves input and output FLOAT32. A value takes 4 bytes.",
    INTEGERS: "This model computes with integers behind a QUANTIZE operator; the converter left its input FLOAT32, as "
    "it does unless asked otherwise. A value takes 4 bytes.",
    FLOAT: "This model computes in floats. A value takes 4 bytes, also where it was a byte of a picture.",
}
_WAYS_OUT: Final = (
    "Feed floats: four bytes a value, scaled as in training (ByteBuffer.putFloat, not put).",
    "Convert again with integers at both ends: a representative dataset, and inference_input_type and "
    "inference_output_type tf.uint8 or tf.int8.",
    "Feed bytes and leave the scaling to the model: put a cast and the scaling before its first layer, then convert.",
)


def interface_as_json(path: str, interface: Interface) -> str:
    """`{"path", "inputs": [...], "outputs": [...], "signatures": [...]}`, strict; what is unknown is null."""
    return json.dumps(
        {
            "path": as_text(path),
            "inputs": [_port(port) for port in interface.inputs],
            "outputs": [_port(port) for port in interface.outputs],
            "signatures": [
                {
                    "key": as_text(signature.key),
                    "subgraph": signature.subgraph,
                    "inputs": [{"signature_name": as_text(name), **_port(port)} for name, port in signature.inputs],
                    "outputs": [{"signature_name": as_text(name), **_port(port)} for name, port in signature.outputs],
                }
                for signature in interface.signatures
            ],
            "computes_in": interface.computes_in,
        },
        indent=2,
        allow_nan=False,
    )


def _port(port: Port) -> dict[str, Any]:
    quantization = None
    if port.scales:
        quantization = {
            "scales": port.scales,
            "zero_points": port.zero_points,
            "quantized_dimension": port.quantized_dimension,
            "formula": formula(port),
            "range": None if port.range is None else list(port.range),
        }
    image = port.image
    found = {
        "index": port.index,
        "name": port.name,
        "dtype": port.dtype,
        "shape": port.shape,
        "shape_signature": port.shape_signature,
        "bytes": port.bytes,
        "bytes_of_shape": port.bytes_of_shape,
        "quantization": quantization,
        "image": None
        if image is None
        else {
            "height": image.height,
            "width": image.width,
            "channels": image.channels,
            "channels_last": image.channels_last,
            "mean": image.mean,
            "std": image.std,
            "convention": None if image.mean is None and image.recorded is None else _convention(image),
            "metadata": None if image.recorded is None else {"mean": image.recorded.mean, "std": image.recorded.std},
        },
    }
    result: dict[str, Any] = plain(found)
    return result


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
