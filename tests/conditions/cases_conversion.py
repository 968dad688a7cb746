"""Conditions of QUANTIZE, DEQUANTIZE, CAST and the like."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, tflite
from tests.conditions.single import FLOATS, Side, single

_WRONG = "wrong-numbers"


def _quantize(
    source: Side = FLOATS, kind: str = "INT8", scale: float | list[float] | None = 0.1, *, dimension: int = 0
) -> ts.Model:
    return single("QUANTIZE", source, Side(kind, scale, dimension=dimension))


def _requantize(result_scale: float) -> ts.Model:
    return _quantize(Side("INT8", 0.1), scale=result_scale)


def _dequantize(kind: str = "INT8", scale: float | None = 0.1, zero_point: int = 0) -> ts.Model:
    return single("DEQUANTIZE", Side(kind, scale, zero_point), FLOATS)


def _cast(kind: str, result_kind: str) -> ts.Model:
    return single("CAST", Side(kind), Side(result_kind), "CastOptions")


def _bitcast(*shape: int) -> ts.Model:
    return single("BITCAST", Side("INT8", shape=shape), Side("INT32", shape=shape[:-1]))


def _fake_quant(*, narrow: bool = False) -> ts.Model:
    options = {"min": -1.0, "max": 1.0, "num_bits": 8, "narrow_range": narrow}
    return single("FAKE_QUANT", options="FakeQuantOptions", **options)


CASES = [
    Case("quantize-out-quant", "missing-quantization", _quantize, lambda: _quantize(scale=None), everywhere("refuses")),
    Case("quantize-dtypes", "operator-types", _quantize, lambda: _quantize(kind="INT32"), everywhere("refuses")),
    Case(
        "quantize-int16-zp",
        "int16-zero-point",
        lambda: _quantize(Side("INT16", 0.1), "INT16"),
        lambda: _quantize(Side("INT16", 0.1, 1), "INT16"),
        tflite("refuses"),
    ),
    Case(
        "quantize-scale0",
        "scale-value",
        lambda: _requantize(0.05),
        lambda: _requantize(0.0),
        everywhere(_WRONG),
    ),
    Case(
        "xnn-quantize-scale0-crash",
        "xnnpack-crash",
        lambda: _quantize(scale=0.05),
        lambda: _quantize(scale=0.0),
        {"litert": "crashes"},
    ),
    Case(
        "quantize-tflm",
        "scale-count",
        _quantize,
        lambda: _quantize(scale=[0.1, 0.2, 0.3, 0.4], dimension=1),
        {"tflm": "refuses"},
    ),
    Case("dequantize-dtypes", "operator-types", _dequantize, lambda: _dequantize("INT32"), everywhere("refuses")),
    Case(
        "dequantize-int16-zp",
        "int16-zero-point",
        lambda: _dequantize("INT16"),
        lambda: _dequantize("INT16", zero_point=1),
        tflite("refuses"),
    ),
    Case(
        "dequantize-noquant",
        "missing-quantization",
        _dequantize,
        lambda: _dequantize(scale=None),
        everywhere(_WRONG),
    ),
    Case(
        "dequantize-tflm",
        "operator-types",
        _dequantize,
        lambda: _dequantize("FLOAT16", None),
        {"tflm": "refuses"},
    ),
    Case(
        "auto-tflm-cast-110",
        "operator-types",
        lambda: _cast("INT32", "FLOAT32"),
        lambda: _cast("INT64", "FLOAT32"),
        {"tflm": "refuses"},
    ),
    Case(
        "auto-tflm-cast-74",
        "operator-types",
        lambda: _cast("FLOAT32", "INT32"),
        lambda: _cast("FLOAT32", "INT64"),
        {"tflm": "refuses"},
    ),
    Case("auto-bitcast-56", "dimension-match", lambda: _bitcast(2, 4), lambda: _bitcast(2, 3), tflite("refuses")),
    Case(
        "auto-densify-61",
        "constant-needed",
        _fake_quant,
        lambda: single("DENSIFY"),
        tflite("refuses"),
    ),
    Case("auto-fake-quant-50", "option-value", _fake_quant, lambda: _fake_quant(narrow=True), tflite("refuses")),
]
