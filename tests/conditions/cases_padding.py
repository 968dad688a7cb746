"""Conditions of PAD, PADV2 and MIRROR_PAD in LiteRT and tflite-runtime."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tests.conditions.moving import Given, constant, moved
from tflite_surgeon.flatbuffer.schema import enum_class


def _padded(
    first: int = 1, kind: str = "INT32", scale: float | None = None, point: int = 0, made: float = 0.5
) -> ts.Model:
    quantized = (None, 0, 0.0) if scale is None else (scale, point, made)
    source = Given([2, 3], kind, quantized[0], point if scale else 0)
    result = Given([2 + first, 3], kind, made if scale else None, point if scale else 0)
    return moved("PAD", [source, constant([[first, 0], [0, 0]])], [result], "PadOptions")


def _valued(kind: str = "INT8", scale: float = 0.5) -> ts.Model:
    value = constant([3], kind, scale)
    source, result = Given([2, 3], "INT8", 0.5), Given([3, 3], "INT8", 0.5)
    return moved("PADV2", [source, constant([[1, 0], [0, 0]]), value], [result], "PadV2Options", version=2)


def _of_rank(rank: int) -> ts.Model:
    shape = [1] * (rank - 1) + [3]
    paddings = constant([[0, 0]] * (rank - 1) + [[1, 0]])
    return moved("PAD", [Given(shape), paddings], [Given([*shape[:-1], 4])], "PadOptions")


def _mirrored(before: int, scale: float | None = None) -> ts.Model:
    kind = "FLOAT32" if scale is None else "INT8"
    source = Given([2, 4], kind, None if scale is None else 0.5)
    mode = enum_class("MirrorPadMode")["REFLECT"]
    paddings = constant([[0, 0], [before, 0]])
    return moved("MIRROR_PAD", [source, paddings], [Given([2, 4 + before], kind, scale)], "MirrorPadOptions", mode=mode)


CASES = [
    Case("pad-paddings", "padding-values", _padded, lambda: _padded(-1), tflite("refuses")),
    Case("pad-dtype", "same-type", _valued, lambda: _valued("UINT8"), everywhere("refuses")),
    Case(
        "pad-zp-range",
        "zero-point-range",
        lambda: _padded(1, "INT8", 0.5, 127),
        lambda: _padded(1, "INT8", 0.5, 300),
        {"litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers", "tflm": "refuses"},
    ),
    Case(
        "padv2-const-quant",
        "same-quantization",
        _valued,
        lambda: _valued(scale=0.25),
        {**everywhere("refuses"), "tflite-2.14": "wrong-numbers"},
    ),
    Case(
        "pad-rank",
        "rank-limit",
        lambda: _of_rank(5),
        lambda: _of_rank(6),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "mirrorpad",
        "padding-values",
        lambda: _mirrored(3),
        lambda: _mirrored(4),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers"},
    ),
    Case(
        "pad-same-quant-unchecked/PAD",
        "same-quantization",
        lambda: _padded(1, "INT16", 0.5),
        lambda: _padded(1, "INT16", 0.5, made=0.6),
        everywhere("wrong-numbers"),
    ),
    Case(
        "pad-same-quant-unchecked/MIRROR_PAD",
        "same-quantization",
        lambda: _mirrored(1, 0.5),
        lambda: _mirrored(1, 0.6),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
]
