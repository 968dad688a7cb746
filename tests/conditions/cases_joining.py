"""Conditions of CONCATENATION, PACK, UNPACK, SPLIT and SPLIT_V in LiteRT and tflite-runtime."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tests.conditions.moving import Given, constant, moved
from tflite_surgeon.flatbuffer.schema import enum_class


def _joined(
    kind: str,
    second: tuple[float, int] | None = None,
    activation: str = "NONE",
    axis: int = 1,
    second_kind: str | None = None,
) -> ts.Model:
    quantized = () if kind == "FLOAT32" else (0.5, 0)
    first = Given([2, 3], kind, *quantized)
    other = Given([2, 2], second_kind or kind, *(second or quantized))
    fused = enum_class("ActivationFunctionType")[activation]
    return moved(
        "CONCATENATION",
        [first, other],
        [Given([2, 5], kind, *quantized)],
        "ConcatenationOptions",
        version=1 if kind != "INT8" else 2,
        axis=axis,
        fused_activation_function=fused,
    )


def _packed(scale: float, zero_point: int = 0) -> ts.Model:
    parts = [Given([2, 3], "INT8", 0.5), Given([2, 3], "INT8", scale, zero_point)]
    return moved("PACK", parts, [Given([2, 2, 3], "INT8", 0.5)], "PackOptions", axis=0, values_count=2)


def _unpacked(scale: float) -> ts.Model:
    parts = [Given([3], "INT8", 0.5), Given([3], "INT8", scale)]
    return moved("UNPACK", [Given([2, 3], "INT8", 0.5)], parts, "UnpackOptions", axis=0, num=2)


def _split(size: int, scale: float = 0.5, kind: str = "INT32") -> ts.Model:
    quantized = (0.5,) if kind == "INT16" else ()
    source = Given([2, size], kind, *quantized)
    parts = [Given([2, size // 2], kind, *quantized), Given([2, size // 2], kind, *((scale,) if quantized else ()))]
    return moved("SPLIT", [constant(1), source], parts, "SplitOptions", num_splits=2)


def _cut(sizes: list[int], scale: float | None = None) -> ts.Model:
    kind, quantized = ("INT32", ()) if scale is None else ("INT16", (0.5,))
    parts = [Given([2, 1], kind, *quantized), Given([2, 3], kind, *quantized if scale is None else (scale,))]
    inputs = [Given([2, 4], kind, *quantized), constant(sizes), constant(1)]
    return moved("SPLIT_V", inputs, parts, "SplitVOptions", num_splits=2)


CASES = [
    Case(
        "concat-activation",
        "fused-activation",
        lambda: _joined("FLOAT32"),
        lambda: _joined("FLOAT32", activation="RELU"),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "concat-types",
        "same-type",
        lambda: _joined("INT16"),
        lambda: _joined("INT16", second_kind="INT8"),
        everywhere("refuses"),
    ),
    Case(
        "concat-axis",
        "axis",
        lambda: _joined("INT16", axis=-1),
        lambda: _joined("INT16", axis=2),
        {**tflite("refuses"), "tflm": "unknown"},
    ),
    Case(
        "concat-int8-same-quant",
        "same-quantization",
        lambda: _joined("INT8"),
        lambda: _joined("INT8", (0.6, 0)),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "concat-int8-same-zp",
        "same-quantization",
        lambda: _joined("INT8"),
        lambda: _joined("INT8", (0.5, 1)),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "concat-uint8-rescale",
        "operator-types",
        lambda: _joined("INT8"),
        lambda: _joined("UINT8", (0.6, 3)),
        {"tflm": "refuses"},
    ),
    Case(
        "concat-int16-zp",
        "int16-zero-point",
        lambda: _joined("INT16"),
        lambda: _joined("INT16", (0.5, 1)),
        everywhere("refuses"),
    ),
    Case(
        "concat-int16-scale-unchecked",
        "same-quantization",
        lambda: _joined("INT16"),
        lambda: _joined("INT16", (0.6, 0)),
        everywhere("wrong-numbers"),
    ),
    Case(
        "pack-same-quant",
        "same-quantization",
        lambda: _packed(0.5),
        lambda: _packed(0.6),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "pack-zp",
        "same-quantization",
        lambda: _packed(0.5),
        lambda: _packed(0.5, 1),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "unpack-same-quant",
        "same-quantization",
        lambda: _unpacked(0.5),
        lambda: _unpacked(0.6),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "split-misc",
        "split-sizes",
        lambda: _split(4),
        lambda: _split(5),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "splitv-misc",
        "split-sizes",
        lambda: _cut([1, 3]),
        lambda: _cut([1, 2]),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers"},
    ),
    Case(
        "pad-same-quant-unchecked/SPLIT",
        "same-quantization",
        lambda: _split(4, 0.5, "INT16"),
        lambda: _split(4, 0.6, "INT16"),
        everywhere("wrong-numbers"),
    ),
    Case(
        "pad-same-quant-unchecked/SPLIT_V",
        "same-quantization",
        lambda: _cut([1, 3], 0.5),
        lambda: _cut([1, 3], 0.6),
        everywhere("wrong-numbers"),
    ),
]
