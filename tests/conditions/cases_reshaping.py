"""Conditions of RESHAPE, SQUEEZE, EXPAND_DIMS and TRANSPOSE in LiteRT and tflite-runtime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, tflite
from tests.conditions.moving import Given, constant, moved


def _reshaped(
    shape: Given | None,
    result: Sequence[int],
    kind: str = "INT32",
    result_kind: str | None = None,
    **options: list[int],
) -> ts.Model:
    inputs = [Given([8, 8], kind)] + ([shape] if shape is not None else [])
    table = "ReshapeOptions" if options else None
    return moved("RESHAPE", inputs, [Given(result, result_kind or kind)], table, **options)


def _quantized(operator: str, scale: float, zero_point: int = 0, options: str | None = None) -> ts.Model:
    source, second = Given([1, 4, 1], "INT16", 0.5), {"TRANSPOSE": [2, 1, 0], "RESHAPE": [1, 4, 1]}.get(operator)
    if operator == "EXPAND_DIMS":
        return moved(operator, [source, constant([0])], [Given([1, 1, 4, 1], "INT16", scale, zero_point)], options)
    inputs = [source] if second is None else [source, constant(second)]
    shape = [4] if operator == "SQUEEZE" else [1, 4, 1]
    return moved(operator, inputs, [Given(shape, "INT16", scale, zero_point)], options)


def _squeezed(axis: int) -> ts.Model:
    return moved("SQUEEZE", [Given([1, 4, 2])], [Given([4, 2])], "SqueezeOptions", squeeze_dims=[axis])


def _transposed(order: Sequence[int], kind: str = "INT32", values: str = "INT8") -> ts.Model:
    source, shape = [2, 3, 4], [2, 3, 4]
    if kind == "INT32" and sorted(order) == [0, 1, 2]:
        shape = [source[axis] for axis in order]
    return moved("TRANSPOSE", [Given(source, values), constant(order, kind)], [Given(shape, values)])


def _ranked(rank: int) -> ts.Model:
    shape = [1] * (rank - 2) + [2, 3]
    return moved("TRANSPOSE", [Given(shape, "INT8"), constant(list(range(rank)))], [Given(shape, "INT8")])


CASES = [
    Case(
        "reshape-count",
        "element-count",
        lambda: _reshaped(constant([8, 8]), [8, 8]),
        lambda: _reshaped(constant([7, 9]), [7, 9]),
        everywhere("refuses"),
    ),
    Case(
        "reshape-two-stretch",
        "option-value",
        lambda: _reshaped(constant([-1, 8]), [8, 8]),
        lambda: _reshaped(constant([-1, -1]), [8, 8]),
        tflite("refuses"),
    ),
    Case(
        "reshape-shape-tensor",
        "element-count",
        lambda: _reshaped(constant([4, 16]), [4, 16]),
        lambda: _reshaped(constant([[4, 16]]), [4, 16]),
        tflite("refuses"),
    ),
    Case(
        "reshape-dtype",
        "same-type",
        lambda: _reshaped(constant([4, 16]), [4, 16], "INT8"),
        lambda: _reshaped(constant([4, 16]), [4, 16], "INT8", "UINT8"),
        {**tflite("wrong-numbers"), "tflm": "refuses"},
    ),
    Case("squeeze", "axis", lambda: _squeezed(0), lambda: _squeezed(1), everywhere("refuses")),
    Case(
        "transpose-perm",
        "permutation",
        lambda: _transposed([2, 0, 1]),
        lambda: _transposed([2, 0, 3]),
        everywhere("refuses"),
    ),
    Case(
        "transpose-perm-dtype",
        "operator-types",
        lambda: _transposed([2, 0, 1]),
        lambda: _transposed([2, 0, 1], "INT64"),
        tflite("wrong-numbers"),
    ),
    Case("transpose-rank", "rank-limit", lambda: _ranked(5), lambda: _ranked(9), everywhere("refuses")),
    Case(
        "transpose-rank/tflite-runtime",
        "rank-limit",
        lambda: _ranked(5),
        lambda: _ranked(7),
        {"tflite-2.14": "refuses", "tflm": "refuses"},
    ),
    *(
        Case(
            f"pad-same-quant-unchecked/{operator}",
            "same-quantization",
            partial(_quantized, operator, 0.5),
            partial(_quantized, operator, 0.6),
            everywhere("wrong-numbers"),
        )
        for operator in ("RESHAPE", "SQUEEZE", "TRANSPOSE")
    ),
    Case(
        "pad-same-quant-unchecked/EXPAND_DIMS",
        "same-quantization",
        partial(_quantized, "EXPAND_DIMS", 0.5),
        partial(_quantized, "EXPAND_DIMS", 0.6),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
]
