"""Conditions of AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tests.conditions.single import Side, single
from tflite_surgeon.flatbuffer.schema import enum_class


def _pool(
    kind: str = "FLOAT32",
    scale: float | None = None,
    result_scale: float | None = None,
    *,
    operator: str = "AVERAGE_POOL_2D",
    zero_point: int = 0,
    stride: int = 1,
    window: int = 2,
    activation: str = "NONE",
) -> ts.Model:
    valid = enum_class("Padding")["VALID"]
    size = {"filter_width": 2, "filter_height": window, "stride_w": 1, "stride_h": stride, "padding": valid}
    size["fused_activation_function"] = enum_class("ActivationFunctionType")[activation]
    source = Side(kind, scale, 0, (1, 4, 4, 2))
    result = Side(kind, result_scale or scale, zero_point, (1, 3, 3, 2))
    version = 1 if operator == "L2_POOL_2D" else 2
    return single(operator, source, result, "Pool2DOptions", version=version, **size)


def _typed(kind: str) -> ts.Model:
    return _pool(kind, None if kind == "FLOAT32" else 0.5, operator="L2_POOL_2D")


CASES = [
    Case("pool-basic", "option-value", _pool, lambda: _pool(stride=0), tflite("refuses")),
    Case("pool-basic/dtype", "operator-types", _pool, lambda: _pool("INT32"), everywhere("refuses")),
    Case(
        "pool-basic/activation",
        "fused-activation",
        _pool,
        lambda: _pool(activation="TANH"),
        everywhere("wrong-numbers"),
    ),
    Case("pool-basic/window", "size-overflow", _pool, lambda: _pool(window=9), {"tflite-2.14": "refuses"}),
    Case(
        "pool-same-quant-debug",
        "same-quantization",
        lambda: _pool("UINT8", 0.5, 0.5),
        lambda: _pool("UINT8", 0.5, 0.6),
        tflite("wrong-numbers"),
    ),
    Case(
        "pool-same-quant-tflm",
        "same-quantization",
        lambda: _pool("INT8", 0.5, 0.5),
        lambda: _pool("INT8", 0.5, 0.6),
        {**tflite("wrong-numbers"), "tflm": "refuses"},
    ),
    Case(
        "pool-same-zp-tflm",
        "same-quantization",
        lambda: _pool("INT8", 0.5, operator="MAX_POOL_2D"),
        lambda: _pool("INT8", 0.5, operator="MAX_POOL_2D", zero_point=1),
        {**own_kernels("wrong-numbers"), "tflm": "refuses"},
    ),
    Case("l2pool-float", "operator-types", lambda: _typed("FLOAT32"), lambda: _typed("INT8"), everywhere("refuses")),
]
