"""Why a buffer has another number of bytes than the tensor that it is for: type, channels, batch or size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt, prod
from typing import Final

from tflite_surgeon.views.inputs_outputs import Image, Interface, Port

# What runtimes print, with the tensor's bytes as `wanted` and the buffer's as `given`.
# Sources: TensorImpl.java and its older tensor_jni.cc and nativeinterpreterwrapper_jni.cc, InterpreterError.swift,
# TFLInterpreter.mm and TFLSignatureRunner.mm of TensorFlow Lite and LiteRT.
_TEXTS: Final = tuple(
    re.compile(text, re.IGNORECASE | re.DOTALL)
    for text in (
        r"(?P<input>cannot copy to a \S+ tensor \((?P<name>.*?)\) with (?P<wanted>\d+) bytes from .*?"
        r"(?P<given>\d+) bytes)",
        r"(?P<output>cannot copy from a \S+ tensor \((?P<name>.*?)\) with (?P<wanted>\d+) bytes to .*?"
        r"(?P<given>\d+) bytes)",
        r"cannot convert between a \S+ buffer with (?P<wanted>\d+) bytes and a .*?(?P<given>\d+) bytes",
        r"(?P<input>(?P<number>\d+)-th input should have (?P<wanted>\d+) bytes,\s+but found (?P<given>\d+) bytes)",
        r"(?P<input>input tensor at index \((?P<number>\d+)\) expects data size \((?P<wanted>\d+)\), "
        r"but got \((?P<given>\d+)\))",
        r"(?P<input>input tensor with input name \((?P<name>.*?)\) expects data size \((?P<wanted>\d+)\), "
        r"but got \((?P<given>\d+)\))",
        r"(?P<input>provided data count (?P<given>\d+) must match the required count (?P<wanted>\d+))",
    )
)
# No tensor is larger: longer numbers are no sizes.
_MOST_DIGITS: Final = 18
_MOST_REASONS: Final = 3

# Bytes of a value, the likely ones first, and the types that have so many.
_WIDTHS: Final = {1: "UINT8 or INT8", 4: "FLOAT32 or INT32", 2: "INT16 or FLOAT16", 8: "INT64 or double"}
_CHANNELS: Final = {3: "red, green, blue", 1: "grey", 4: "RGBA, as a bitmap has them"}

TYPE: Final = "type"
CHANNELS: Final = "channels"
BATCH: Final = "batch"
SIZE: Final = "size"


@dataclass(frozen=True)
class Sizes:
    """What a message says.

    Attributes:
        wanted, given: bytes of the tensor, and of the buffer that was handed over.
        is_output: whether it speaks of an output; None where it may be either.
        name, number: of the input or output, where the message has them.
    """

    wanted: int
    given: int
    is_output: bool | None
    name: str | None
    number: int | None


@dataclass(frozen=True)
class Reason:
    """A way in which the buffer may have come to its size.

    Attributes:
        differs: TYPE, CHANNELS, BATCH, SIZE, as many as differ.
        sentence: what was handed over and what is wanted, numbers included.
        doubt: 0 for what happens most, more for what numbers fit by chance.
    """

    differs: tuple[str, ...]
    sentence: str
    doubt: int = 0


@dataclass(frozen=True)
class Mismatch:
    """What is the matter with a buffer.

    Attributes:
        sizes: what the message says.
        is_output, number, port: the model's input or output that the message is about; None without a model, or where
            none takes so many bytes.
        reasons: the likely ones first.
    """

    sizes: Sizes
    is_output: bool
    number: int | None
    port: Port | None
    reasons: list[Reason]


def sizes_in(text: str) -> Sizes | None:
    """The sizes in a runtime's message about a buffer that does not fit; None for other texts."""
    for pattern in _TEXTS:
        found = pattern.search(text)
        if found is None or max(len(found["wanted"]), len(found["given"])) > _MOST_DIGITS:
            continue
        parts = found.groupdict()
        side = "output" in parts if "input" in parts or "output" in parts else None
        number = parts.get("number")
        return Sizes(
            int(parts["wanted"]), int(parts["given"]), side, parts.get("name"), None if number is None else int(number)
        )
    return None


def mismatches(sizes: Sizes, interface: Interface | None = None) -> list[Mismatch]:
    """What is the matter, for each input or output that the message may be about.

    Args:
        sizes: what the message says.
        interface: the model's inputs and outputs; None where there is no model to look at. The one mismatch is then
            without a port and goes by the ratio alone, as it does where no input or output takes so many bytes.
    """
    found = [] if interface is None else list(_candidates(sizes, interface))
    named = [one for one in found if (sizes.name and one[2].name == sizes.name) or one[1] == sizes.number]
    results = []
    for is_output, number, port in named or found:
        reasons = sorted(_reasons(sizes, port), key=lambda reason: reason.doubt)
        likely = [reason for reason in reasons if reason.doubt <= reasons[0].doubt + 1]
        results.append(Mismatch(sizes, is_output, number, port, likely[:_MOST_REASONS]))
    return results or [Mismatch(sizes, bool(sizes.is_output), None, None, [_by_ratio(sizes)])]


def _candidates(sizes: Sizes, interface: Interface) -> Iterator[tuple[bool, int, Port]]:
    """Inputs and outputs that take as many bytes as the message says, as they stand or resized."""
    for is_output, ports in ((False, interface.inputs), (True, interface.outputs)):
        if sizes.is_output not in (None, is_output):
            continue
        for number, port in enumerate(ports):
            if port.bytes_of_shape == sizes.wanted:
                yield is_output, number, port
            elif port.is_open and port.value_bits:
                fixed = prod(side for side in port.shape_signature if side > 0) * port.value_bits
                if fixed and sizes.wanted and sizes.wanted * 8 % fixed == 0:
                    yield is_output, number, port


def _reasons(sizes: Sizes, port: Port) -> Iterator[Reason]:
    width = (port.value_bits or 0) // 8
    if not width or not sizes.wanted:
        return
    if sizes.wanted == sizes.given:
        yield Reason((), "the buffer has as many bytes as the tensor takes")
        return
    values = sizes.wanted // width
    for other in _WIDTHS:
        change = (TYPE,) if other != width else ()
        doubt = 0 if not change else 1 if other in (1, 4) else 3
        if change and sizes.given == values * other:
            yield Reason(change, _of_type(sizes, port, values, other), doubt - 1)
        if port.image is not None:
            yield from _pictures(sizes, port, port.image, other, doubt)
        shape = _shape(port, sizes.wanted)
        item = values // shape[0] * other if shape and shape[0] > 0 else 0
        # A single value is no batch.
        fits = item > other and sizes.given > 0 and sizes.given % item == 0 and sizes.given // item != shape[0]
        # In other types only where it does not fit in the right one.
        if fits and (not change or sizes.given % (item // other * width)):
            count = sizes.given // item
            yield Reason((*change, BATCH), _of_batch(count, shape[0], port, other if change else None), doubt + 1)
    if sizes.given % width == 0 and port.image is None:
        sentence = (
            f"{sizes.given} bytes are {_count(sizes.given // width, 'value')} of {port.type}, "
            f"{_count(values, 'value')} {'are' if values != 1 else 'is'} wanted"
        )
        yield Reason((SIZE,), sentence, 2)


def _pictures(sizes: Sizes, port: Port, image: Image, width: int, doubt: int) -> Iterator[Reason]:
    """Pictures of other channels or another size, in values of `width` bytes."""
    shape = _shape(port, sizes.wanted)
    if len(shape) != 4 or min(shape) < 1:
        return
    high, wide = (shape[1], shape[2]) if image.channels_last else (shape[2], shape[3])
    change = (TYPE,) if width * 8 != port.value_bits else ()
    wish = f" of {port.type}" if change else ""
    as_type = f" of {_bytes_each(width)}" if change else ""
    for channels, meaning in _CHANNELS.items():
        if channels != image.channels and sizes.given == shape[0] * high * wide * channels * width:
            yield Reason(
                (*change, CHANNELS),
                f"{sizes.given} bytes are {high} x {wide} pixels with {_count(channels, 'channel')}{as_type} "
                f"({meaning}); {_count(image.channels, 'channel')}{wish} wanted",
                doubt,
            )
    pixels, rest = divmod(sizes.given, shape[0] * image.channels * width)
    if rest or not pixels or pixels == high * wide:
        return
    side = isqrt(pixels)
    is_square = side * side == pixels
    found = (side, side) if is_square else (high, pixels // high) if pixels % high == 0 else (pixels // wide, wide)
    if found[0] * found[1] == pixels:
        in_values = f" in values{as_type}" if change else ""
        yield Reason(
            (*change, SIZE),
            f"{sizes.given} bytes are a picture of {found[0]} x {found[1]} pixels{in_values}; {high} x {wide}"
            f"{f' in {port.type}' if change else ''} are wanted",
            doubt + (2 if is_square else 3),
        )


def _shape(port: Port, wanted: int) -> Sequence[int]:
    """The shape as it was when the message was printed: where dimensions are open, the first of them is resized."""
    if not port.is_open or port.bytes_of_shape == wanted or not port.value_bits:
        return port.shape
    if len(port.shape) != len(port.shape_signature):
        return port.shape
    shape = [max(side, 1) for side in port.shape]
    first = next(index for index, side in enumerate(port.shape_signature) if side < 0)
    shape[first] = 1
    shape[first] = max(wanted * 8 // port.value_bits // max(prod(shape), 1), 1)
    return shape


def _of_type(sizes: Sizes, port: Port, values: int, width: int) -> str:
    own = (port.value_bits or 0) // 8
    return (
        f"the {'shape is' if values == 1 else 'values are'} right and the type is not: {_product(port, values)} of "
        f"{port.type} take {_count(own, 'byte')} each, {sizes.wanted} in all; {sizes.given} bytes are as many values "
        f"of {_bytes_each(width)}, as {_WIDTHS[width]} have"
    )


def _of_batch(count: int, wanted: int, port: Port, width: int | None) -> str:
    as_type = "" if width is None else f" in values of {_bytes_each(width)}, where {port.type} is wanted"
    return f"the buffer holds {count} of what the first dimension counts (the batch), {wanted} wanted{as_type}"


def _product(port: Port, values: int) -> str:
    """Such as "1 x 100 x 100 x 3 values"."""
    if prod(port.shape) == values and len(port.shape) > 1:
        return f"{' x '.join(map(str, port.shape))} values"
    return _count(values, "value")


def _bytes_each(width: int) -> str:
    return "one byte" if width == 1 else f"{width} bytes"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _by_ratio(sizes: Sizes) -> Reason:
    """What a ratio stands for, where there is no tensor to look at."""
    if sizes.wanted == sizes.given:
        return Reason((), "the buffer has as many bytes as the tensor takes")
    if not sizes.wanted or not sizes.given:
        which = "tensor" if not sizes.wanted else "buffer"
        return Reason((SIZE,), f"the {which} has no bytes: an open dimension was not resized, or nothing filled in")
    ratio = Fraction(sizes.wanted, sizes.given)
    known = _RATIOS.get(ratio)
    if known is not None:
        return known
    if 1 in (ratio.numerator, ratio.denominator):
        factor = max(ratio.numerator, ratio.denominator)
        more, less = ("tensor", "buffer") if ratio > 1 else ("buffer", "tensor")
        sentence = f"the {more} has {factor} times the bytes of the {less}: a batch of {factor}, or another size"
        return Reason((BATCH, SIZE), sentence)
    sentence = f"tensor : buffer is {ratio.numerator} : {ratio.denominator}, which no type and no number of channels "
    return Reason((SIZE,), f"{sentence}explains: another height, width or length")


def _mirrored(ratio: Fraction, reason: Reason, mirrored: str) -> dict[Fraction, Reason]:
    return {ratio: reason, 1 / ratio: replace(reason, sentence=mirrored)}


_RATIOS: Final = {
    **_mirrored(
        Fraction(4),
        Reason(
            (TYPE,),
            "the ratio of 4 is that of the types: the tensor takes 4 bytes a value (FLOAT32, INT32), the buffer has "
            "one (UINT8, INT8)",
        ),
        "the ratio of 4 is that of the types: the buffer has 4 bytes a value (FLOAT32, INT32), the tensor takes one "
        "(UINT8, INT8)",
    ),
    **_mirrored(
        Fraction(3),
        Reason(
            (CHANNELS,),
            "the ratio of 3 is that of the channels: the tensor takes colours, the buffer has grey; or the tensor "
            "takes 3 floats a pixel and the buffer has the 4 bytes of a bitmap's",
        ),
        "the ratio of 3 is that of the channels: the buffer has colours, the tensor takes grey",
    ),
    **_mirrored(
        Fraction(12),
        Reason(
            (TYPE, CHANNELS),
            "the ratio of 12 is 4 x 3, type and channels: the tensor takes colours of 4 bytes a value (FLOAT32), the "
            "buffer has grey of one byte",
        ),
        "the ratio of 12 is 4 x 3, type and channels: the buffer has colours of 4 bytes a value (FLOAT32), the tensor "
        "takes grey of one byte",
    ),
    **_mirrored(
        Fraction(4, 3),
        Reason((CHANNELS,), "the ratio of 4 : 3 is that of the channels: the tensor takes RGBA, the buffer has RGB"),
        "the ratio of 3 : 4 is that of the channels: the tensor takes RGB, the buffer has RGBA, as a bitmap does",
    ),
    **_mirrored(
        Fraction(2),
        Reason(
            (TYPE, BATCH),
            "the ratio of 2 is that of the types (the tensor takes 2 bytes a value where the buffer has one, or 4 "
            "where it has 2), or a batch of 2",
        ),
        "the ratio of 2 is that of the types (the buffer has twice the bytes a value), or a batch of 2",
    ),
    **_mirrored(
        Fraction(8),
        Reason(
            (TYPE, BATCH),
            "the ratio of 8 is that of the types: the tensor takes 8 bytes a value (INT64), the buffer has one; or a "
            "batch of 8",
        ),
        "the ratio of 8 is that of the types: the buffer has 8 bytes a value (INT64, double), the tensor takes one; or "
        "a batch of 8",
    ),
}
