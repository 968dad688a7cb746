"""Conditions of MEAN, SUM, REDUCE_*, ARG_MAX and ARG_MIN."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tests.conditions.single import Side, single
from tflite_surgeon.flatbuffer.schema import enum_class

_WRONG = "wrong-numbers"
_SHAPE = (2, 3)


def _reduce(
    operator: str = "MEAN",
    kind: str = "FLOAT32",
    scale: float | None = None,
    result_scale: float | None = None,
    *,
    zero_point: int = 0,
    axis: int = 1,
    axis_kind: str = "INT32",
) -> ts.Model:
    return single(
        operator,
        Side(kind, scale, zero_point, _SHAPE),
        Side(kind, scale if result_scale is None else result_scale, 0, (2,)),
        "ReducerOptions",
        axis=Side(axis_kind, shape=(1,), values=[axis]),
    )


def _arg_max(axis: int = 1, made: str = "INT32") -> ts.Model:
    return single(
        "ARG_MAX",
        Side(shape=_SHAPE),
        Side("INT32", shape=(2,)),
        "ArgMaxOptions",
        axis=Side("INT32", shape=(1,), values=[axis]),
        output_type=enum_class("TensorType")[made],
    )


CASES = [
    Case("reduce-axis-dtype", "operator-types", _reduce, lambda: _reduce(axis_kind="INT64"), everywhere("refuses")),
    Case("reduce-axis-range", "axis", _reduce, lambda: _reduce(axis=2), {**own_kernels("refuses"), "tflm": "refuses"}),
    Case(
        "reduce-axis-range/int8-tflm",
        "axis",
        lambda: _reduce("SUM", "INT8", 0.1),
        lambda: _reduce("SUM", "INT8", 0.1, axis=2),
        {**own_kernels("refuses"), "tflm": _WRONG},
    ),
    Case(
        "reduce-int16-zp",
        "int16-zero-point",
        lambda: _reduce("MEAN", "INT16", 0.1),
        lambda: _reduce("MEAN", "INT16", 0.1, zero_point=1),
        tflite("refuses"),
    ),
    Case(
        "reduce-mean-mult",
        "scale-value",
        lambda: _reduce("MEAN", "INT8", 0.1, 0.05),
        lambda: _reduce("MEAN", "INT8", 0.1, 0.0),
        {**own_kernels(_WRONG), "tflm": _WRONG},
    ),
    Case(
        "reduce-minmax-same-quant",
        "same-quantization",
        lambda: _reduce("REDUCE_MAX", "INT8", 0.1),
        lambda: _reduce("REDUCE_MAX", "INT8", 0.1, 0.05),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "reduce-minmax-same-quant/zero-point",
        "same-quantization",
        lambda: _reduce("REDUCE_MIN", "INT8", 0.1),
        lambda: _reduce("REDUCE_MIN", "INT8", 0.1, zero_point=1),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "reduce-prod-dtype",
        "operator-types",
        lambda: _reduce("REDUCE_PROD", "INT8", 0.1),
        lambda: _reduce("REDUCE_PROD", "UINT8", 0.1),
        tflite("refuses"),
    ),
    Case(
        "reduce-dtype",
        "operator-types",
        lambda: _reduce("SUM"),
        lambda: _reduce("SUM", "INT32"),
        {"tflm": "refuses"},
    ),
    Case(
        "reduce-bool",
        "operator-types",
        lambda: _reduce("REDUCE_ALL", "BOOL"),
        lambda: _reduce("REDUCE_ALL", "INT32"),
        everywhere("refuses"),
    ),
    Case(
        "reduce-tflm",
        "operator-types",
        lambda: _reduce("REDUCE_MAX", "INT8", 0.1),
        lambda: _reduce("REDUCE_MAX", "INT16", 0.1),
        {"tflm": "refuses"},
    ),
    Case("argmax", "operator-types", _arg_max, lambda: _arg_max(made="FLOAT16"), tflite("refuses")),
    Case("argmax-axis", "axis", _arg_max, lambda: _arg_max(2), {**tflite("refuses"), "tflm": _WRONG}),
    Case("argmax-axis/negative", "axis", _arg_max, lambda: _arg_max(-3), {**tflite("refuses"), "tflm": _WRONG}),
]
