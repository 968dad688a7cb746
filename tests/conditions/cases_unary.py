"""Conditions of functions of single elements."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere
from tests.conditions.single import Side, single


def _typed(operator: str, kind: str, scale: float | None = None) -> ts.Model:
    return single(operator, Side(kind, scale), Side(kind, scale))


def _abs(scale: float | None) -> ts.Model:
    return single("ABS", Side("INT8", scale), Side("INT8", scale), version=2)


def _rsqrt(values: list[int], result_scale: float = 0.1) -> ts.Model:
    return single("RSQRT", Side("INT8", 0.1, 0, values=values), Side("INT8", result_scale), version=2)


def _sized(operator: str, *shape: int) -> ts.Model:
    return single(operator, Side(shape=(1, 4)), Side(shape=shape))


CASES = [
    Case("elementwise-quant", "missing-quantization", lambda: _abs(0.1), lambda: _abs(None), everywhere("refuses")),
    Case(
        "elementwise-quant/int16",
        "int16-zero-point",
        lambda: single("ABS", Side("INT16", 0.1), Side("INT16", 0.1), version=3),
        lambda: single("ABS", Side("INT16", 0.1, 1), Side("INT16", 0.1), version=3),
        everywhere("refuses"),
    ),
    Case(
        "elementwise-quant/dtype",
        "operator-types",
        lambda: _typed("SQUARE", "FLOAT32"),
        lambda: _typed("SQUARE", "INT32"),
        everywhere("refuses"),
    ),
    Case(
        "elementwise-quant/int16-without",
        "missing-quantization",
        lambda: single("LOG", Side("INT16", 0.1), Side("INT16", 0.1)),
        lambda: single("LOG", Side("INT16"), Side("INT16")),
        {"litert": "crashes", "litert-no-delegate": "crashes"},
    ),
    Case(
        "rsqrt-domain",
        "function-domain",
        lambda: _rsqrt([1, 2, 0, 4]),
        lambda: _rsqrt([1, 2, -3, 4]),
        everywhere("refuses"),
    ),
    Case(
        "rsqrt-mult",
        "scale-value",
        lambda: _rsqrt([1, 2, 3, 4]),
        lambda: _rsqrt([1, 2, 3, 4], 0.0),
        everywhere("wrong-numbers"),
    ),
    Case(
        "exp-dtypes",
        "operator-types",
        lambda: _typed("EXP", "FLOAT32"),
        lambda: _typed("EXP", "INT8", 0.1),
        {"tflm": "refuses"},
    ),
    Case(
        "auto-ceil-39",
        "operator-types",
        lambda: _typed("CEIL", "FLOAT32"),
        lambda: _typed("CEIL", "INT32"),
        everywhere("refuses"),
    ),
    Case(
        "auto-floor-45",
        "operator-types",
        lambda: _typed("FLOOR", "FLOAT32"),
        lambda: _typed("FLOOR", "INT32"),
        everywhere("refuses"),
    ),
    Case(
        "auto-round-43",
        "operator-types",
        lambda: _typed("ROUND", "FLOAT32"),
        lambda: _typed("ROUND", "INT32"),
        everywhere("refuses"),
    ),
    Case(
        "auto-neg-91",
        "operator-types",
        lambda: _typed("NEG", "FLOAT32"),
        lambda: _typed("NEG", "UINT8", 0.1),
        everywhere("refuses"),
    ),
    Case(
        "auto-tflm-neg-44",
        "operator-types",
        lambda: _typed("NEG", "FLOAT32"),
        lambda: _typed("NEG", "INT32"),
        {"tflm": "refuses"},
    ),
    Case(
        "auto-sign-79",
        "operator-types",
        lambda: _typed("SIGN", "FLOAT32"),
        lambda: _typed("SIGN", "INT64"),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers"},
    ),
    Case(
        "auto-zeros-like-63",
        "operator-types",
        lambda: _typed("ZEROS_LIKE", "FLOAT32"),
        lambda: _typed("ZEROS_LIKE", "UINT8", 0.1),
        everywhere("refuses"),
    ),
    Case(
        "auto-tflm-ceil-43",
        "output-shape",
        lambda: _sized("CEIL", 1, 4),
        lambda: _sized("CEIL", 1, 3),
        {"tflm": "refuses"},
    ),
    Case(
        "auto-tflm-ceil-44",
        "output-shape",
        lambda: _sized("CEIL", 1, 4),
        lambda: _sized("CEIL", 4),
        {"tflm": "refuses"},
    ),
    Case(
        "auto-tflm-round-45",
        "output-shape",
        lambda: _sized("ROUND", 1, 4),
        lambda: _sized("ROUND", 2, 2),
        {"tflm": "refuses"},
    ),
]
