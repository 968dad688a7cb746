"""Conditions of SELECT, SELECT_V2, WHERE, PRELU, and of operators on single elements that check values or types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import tflite_surgeon as ts
from tests.builders import Net
from tests.conditions.case import Case, everywhere, tflite


def _select(
    operator: str = "SELECT_V2",
    condition: str = "BOOL",
    kinds: Sequence[str] = ("FLOAT32", "FLOAT32"),
    shapes: Sequence[Sequence[int]] = ([4, 2], [4, 2], [4, 2], [4, 2]),
    scales: Sequence[float | None] = (None, None, None),
) -> ts.Model:
    net = Net()
    inputs = [
        net.tensor("condition", shapes[0], condition),
        net.tensor("first", shapes[1], kinds[0], scales[0]),
        net.tensor("second", shapes[2], kinds[1], scales[1]),
    ]
    result = net.tensor("output", shapes[3], kinds[0], scales[2])
    net.operator(operator, 1, inputs, [result], "SelectV2Options" if operator == "SELECT_V2" else "SelectOptions")
    return net.model(inputs, [result])


def _prelu(alpha: Sequence[int] = (1, 4), kind: str = "FLOAT32", alpha_kind: str | None = None) -> ts.Model:
    net = Net()
    scale = None if kind == "FLOAT32" else 0.5
    source = net.tensor("input", [1, 4], kind, scale)
    slope = net.tensor("alpha", alpha, alpha_kind or kind, None if (alpha_kind or kind) == "FLOAT32" else 0.5)
    result = net.tensor("output", [1, 4], kind, scale)
    net.operator("PRELU", 1, [source, slope], [result])
    return net.model([source, slope], [result])


def _where(shape: Sequence[int] = (4,), kind: str = "BOOL") -> ts.Model:
    net = Net()
    source = net.tensor("condition", shape, kind)
    result = net.tensor("output", [1, len(shape)], "INT64")
    net.operator("WHERE", 1, [source], [result], "WhereOptions")
    return net.model([source], [result])


def _cumsum(axis: int = 0, kind: str = "FLOAT32", axis_kind: str = "INT32") -> ts.Model:
    net = Net()
    source = net.tensor("input", [4], kind)
    along = net.tensor("axis", [1], axis_kind, values=[axis])
    result = net.tensor("output", [4], kind)
    net.operator("CUMSUM", 1, [source, along], [result], "CumsumOptions")
    return net.model([source], [result])


def _integers(operator: str, kind: str, second: int) -> ts.Model:
    net = Net()
    source = net.tensor("first", [4], kind)
    other = net.tensor("second", [4], kind, values=np.full([4], second))
    result = net.tensor("output", [4], kind)
    net.operator(operator, 1, [source, other], [result])
    return net.model([source], [result])


def _angle(shape: Sequence[int] = (1, 4), result: str = "FLOAT32") -> ts.Model:
    net = Net()
    inputs = [net.tensor("y", [1, 4], "FLOAT32"), net.tensor("x", shape, "FLOAT32")]
    output = net.tensor("output", [1, 4], result)
    net.operator("ATAN2", 1, inputs, [output], "ATan2Options")
    return net.model(inputs, [output])


CASES = [
    Case("select", "operator-types", lambda: _select("SELECT"), lambda: _select("SELECT", "INT8"), tflite("refuses")),
    Case("select/v2", "operator-types", _select, lambda: _select(condition="INT8"), everywhere("refuses")),
    Case("select/types", "same-type", _select, lambda: _select(kinds=("FLOAT32", "INT32")), everywhere("refuses")),
    Case(
        "select/rows",
        "dimension-match",
        lambda: _select("SELECT", shapes=([4], [4, 2], [4, 2], [4, 2])),
        lambda: _select("SELECT", shapes=([3], [4, 2], [4, 2], [4, 2])),
        tflite("refuses"),
    ),
    Case(
        "select/broadcast",
        "broadcast",
        lambda: _select(shapes=([4, 1], [4, 2], [1, 2], [4, 2])),
        lambda: _select(shapes=([3, 1], [4, 2], [1, 2], [4, 2])),
        everywhere("refuses"),
    ),
    Case(
        "select/scales",
        "same-quantization",
        lambda: _select(kinds=("INT8", "INT8"), scales=(0.5, 0.5, 0.5)),
        lambda: _select(kinds=("INT8", "INT8"), scales=(0.5, 0.25, 0.5)),
        everywhere("wrong-numbers"),
    ),
    Case(
        "select/stored",
        "output-shape",
        lambda: _select(shapes=([4, 1], [4, 2], [4, 2], [4, 2])),
        lambda: _select(shapes=([4, 1], [4, 2], [4, 2], [2, 2])),
        {"tflm": "refuses"},
    ),
    Case("prelu", "dimension-match", _prelu, lambda: _prelu((3, 4)), tflite("refuses")),
    Case(
        "prelu/broadcast",
        "broadcast",
        lambda: _prelu((4,)),
        lambda: _prelu((3,)),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "prelu/types",
        "same-type",
        lambda: _prelu(kind="INT8"),
        lambda: _prelu(kind="INT8", alpha_kind="INT16"),
        {
            "litert": "wrong-numbers",
            "litert-no-delegate": "wrong-numbers",
            "tflite-2.14": "refuses",
            "tflm": "wrong-numbers",
        },
    ),
    Case("where-rank", "tensor-rank", _where, lambda: _where(()), tflite("refuses")),
    Case(
        "where-types",
        "operator-types",
        lambda: _where(kind="INT8"),
        lambda: _where(kind="FLOAT16"),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers"},
    ),
    Case("cumsum-axis", "axis", lambda: _cumsum(-1), lambda: _cumsum(1), everywhere("refuses")),
    Case("cumsum-axis/type", "operator-types", _cumsum, lambda: _cumsum(axis_kind="INT64"), everywhere("refuses")),
    Case(
        "floor-by-zero",
        "function-domain",
        lambda: _integers("FLOOR_DIV", "FLOAT32", 1),
        lambda: _integers("FLOOR_DIV", "FLOAT32", 0),
        everywhere("refuses"),
    ),
    Case(
        "floor-types",
        "operator-types",
        lambda: _integers("FLOOR_DIV", "FLOAT32", 1),
        lambda: _integers("FLOOR_DIV", "INT64", 1),
        everywhere("refuses"),
    ),
    Case(
        "floor-mod-by-zero",
        "function-domain",
        lambda: _integers("FLOOR_MOD", "INT32", 1),
        lambda: _integers("FLOOR_MOD", "INT32", 0),
        tflite("refuses"),
    ),
    Case(
        "pow-negative",
        "function-domain",
        lambda: _integers("POW", "INT32", 0),
        lambda: _integers("POW", "INT32", -1),
        tflite("refuses"),
    ),
    Case(
        "pow-types",
        "operator-types",
        lambda: _integers("POW", "INT32", 1),
        lambda: _integers("POW", "INT16", 1),
        tflite("refuses"),
    ),
    Case(
        "xor-types",
        "operator-types",
        lambda: _integers("BITWISE_XOR", "INT32", 1),
        lambda: _integers("BITWISE_XOR", "INT64", 1),
        tflite("refuses"),
    ),
    Case("atan2-rank", "dimension-match", _angle, lambda: _angle((4,)), tflite("refuses")),
    Case("atan2-output", "same-type", _angle, lambda: _angle(result="FLOAT64"), tflite("refuses")),
]
