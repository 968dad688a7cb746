"""Conditions of activation functions and normalisations."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tests.conditions.single import Side, single
from tflite_surgeon.flatbuffer.schema import enum_class

_FIXED = "fixed-output-quantization"
_WRONG = "wrong-numbers"


def _relu(kind: str = "INT8", *, scale: float = 0.1, result_scale: float = 0.1, zero_point: int = 0) -> ts.Model:
    return single("RELU", Side(kind, scale, zero_point), Side(kind, result_scale, zero_point), version=2)


def _mixed_relu(kind: str) -> ts.Model:
    return single("RELU", Side(), Side(kind, None if kind == "FLOAT32" else 0.1))


def _hard_swish(kind: str = "INT8", scale: float = 0.1, result_scale: float = 0.1) -> ts.Model:
    return single("HARD_SWISH", Side(kind, scale), Side(kind, result_scale))


def _leaky_relu(zero_point: int) -> ts.Model:
    return single(
        "LEAKY_RELU", Side("INT16", 0.1, zero_point), Side("INT16", 0.1, 0), "LeakyReluOptions", version=2, alpha=0.25
    )


def _sigmoid(operator: str, kind: str, scale: float, zero_point: int = 0) -> ts.Model:
    version = 3 if kind == "INT16" else 2
    return single(operator, Side(kind, 0.1), Side(kind, scale, zero_point), version=version)


def _softmax(
    kind: str = "INT8",
    scale: float | None = 1 / 256,
    zero_point: int = -128,
    *,
    beta: float = 1.0,
    source_scale: float | None = 0.1,
    shape: tuple[int, ...] = (1, 4),
) -> ts.Model:
    source = Side(kind, source_scale, 0, shape)
    result = Side(kind, scale, zero_point, shape)
    version = {"INT8": 2, "INT16": 3}.get(kind, 1)
    return single("SOFTMAX", source, result, "SoftmaxOptions", version=version, beta=beta)


def _float_softmax(*shape: int) -> ts.Model:
    return _softmax("FLOAT32", None, 0, source_scale=None, shape=shape)


def _log_softmax(scale: float = 16 / 256, zero_point: int = 127, source_scale: float = 0.1) -> ts.Model:
    return single("LOG_SOFTMAX", Side("INT8", source_scale), Side("INT8", scale, zero_point), version=2)


def _elu(kind: str) -> ts.Model:
    return single("ELU", Side(kind, 0.1), Side(kind, 0.1))


def _l2_normalization(scale: float = 1 / 128, zero_point: int = 0) -> ts.Model:
    return single("L2_NORMALIZATION", Side("INT8", 0.1), Side("INT8", scale, zero_point), "L2NormOptions", version=2)


def _activated(activation: str) -> ts.Model:
    function = enum_class("ActivationFunctionType")[activation]
    return single("L2_NORMALIZATION", options="L2NormOptions", fused_activation_function=function)


def _response(kind: str = "FLOAT32", *shape: int) -> ts.Model:
    side = Side(kind, None, 0, shape or (1, 1, 1, 4))
    options = {"radius": 1, "bias": 1.0, "alpha": 1.0, "beta": 0.5}
    return single("LOCAL_RESPONSE_NORMALIZATION", side, side, "LocalResponseNormalizationOptions", **options)


CASES = [
    Case(
        "act-dtype",
        "same-type",
        lambda: _mixed_relu("FLOAT32"),
        lambda: _mixed_relu("INT8"),
        {**tflite("refuses"), "tflm": _WRONG},
    ),
    Case(
        "relu-int16-zp",
        "int16-zero-point",
        lambda: single("RELU", Side("INT16", 0.1), Side("INT16", 0.1), version=2),
        lambda: single("RELU", Side("INT16", 0.1, 1), Side("INT16", 0.1), version=2),
        everywhere("refuses"),
    ),
    Case("relu-mult", "scale-value", _relu, lambda: _relu(result_scale=0.0), everywhere(_WRONG)),
    Case(
        "relu-mult/relu6-tflm",
        "same-quantization",
        lambda: single("RELU6", Side("INT8", 0.1), Side("INT8", 0.1), version=2),
        lambda: single("RELU6", Side("INT8", 0.1), Side("INT8", 0.05), version=2),
        {"tflm": _WRONG},
    ),
    Case(
        "hard-swish-mult",
        "multiplier-range",
        lambda: _hard_swish(scale=1.0, result_scale=1 / 127),
        lambda: _hard_swish(scale=1.0, result_scale=1 / 128),
        everywhere("refuses"),
    ),
    Case("hard-swish-dtype", "operator-types", _hard_swish, lambda: _hard_swish("INT16"), everywhere("refuses")),
    Case("leaky-int16-zp", "int16-zero-point", lambda: _leaky_relu(0), lambda: _leaky_relu(1), tflite("refuses")),
    Case(
        "tanh-int16",
        _FIXED,
        lambda: _sigmoid("TANH", "INT16", 1 / 32768),
        lambda: _sigmoid("TANH", "INT16", 0.0001),
        everywhere("refuses"),
    ),
    Case(
        "tanh-int16/another-power",
        _FIXED,
        lambda: _sigmoid("TANH", "INT16", 1 / 32768),
        lambda: _sigmoid("TANH", "INT16", 1 / 16384),
        everywhere("refuses"),
    ),
    Case(
        "tanh-int8-any",
        _FIXED,
        lambda: _sigmoid("TANH", "INT8", 1 / 128),
        lambda: _sigmoid("TANH", "INT8", 1 / 256),
        everywhere(_WRONG),
    ),
    Case(
        "tanh-int8-tflm",
        _FIXED,
        lambda: _sigmoid("TANH", "INT8", 1 / 128),
        lambda: _sigmoid("TANH", "INT8", 0.01),
        {"tflm": _WRONG},
    ),
    Case(
        "logistic-scale-8bit",
        _FIXED,
        lambda: _sigmoid("LOGISTIC", "INT8", 1 / 256, -128),
        lambda: _sigmoid("LOGISTIC", "INT8", 0.004, -128),
        {**own_kernels("refuses"), "tflm": _WRONG},
    ),
    Case(
        "logistic-zp-8bit",
        _FIXED,
        lambda: _sigmoid("LOGISTIC", "INT8", 1 / 256, -128),
        lambda: _sigmoid("LOGISTIC", "INT8", 1 / 256, 0),
        {**tflite(_WRONG), "tflm": "refuses"},
    ),
    Case(
        "logistic-zp-8bit/uint8",
        _FIXED,
        lambda: _sigmoid("LOGISTIC", "UINT8", 1 / 256, 0),
        lambda: _sigmoid("LOGISTIC", "UINT8", 1 / 256, 128),
        tflite(_WRONG),
    ),
    Case(
        "logistic-zp-tflm",
        _FIXED,
        lambda: _sigmoid("LOGISTIC", "INT8", 1 / 256, -128),
        lambda: _sigmoid("LOGISTIC", "INT8", 1 / 256, -127),
        {**tflite(_WRONG), "tflm": "refuses"},
    ),
    Case(
        "logistic-int16",
        _FIXED,
        lambda: _sigmoid("LOGISTIC", "INT16", 1 / 32768),
        lambda: _sigmoid("LOGISTIC", "INT16", 1 / 256),
        everywhere("refuses"),
    ),
    Case("softmax-int8", _FIXED, _softmax, lambda: _softmax(scale=1.002 / 256), everywhere("refuses")),
    Case("softmax-int8-zp", _FIXED, _softmax, lambda: _softmax(zero_point=0), everywhere("refuses")),
    Case(
        "softmax-int16",
        _FIXED,
        lambda: _softmax("INT16", 1 / 32768, 0),
        lambda: _softmax("INT16", 1.002 / 32768, 0),
        everywhere("refuses"),
    ),
    Case(
        "softmax-uint8",
        _FIXED,
        lambda: _softmax("UINT8", 0.01, 3),
        lambda: _softmax("UINT8", 1 / 512, 0),
        tflite(_WRONG),
    ),
    Case(
        "softmax-rank",
        "tensor-rank",
        lambda: _float_softmax(4),
        _float_softmax,
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "softmax-rank/int8",
        "tensor-rank",
        lambda: _softmax(shape=(4,)),
        lambda: _softmax(shape=()),
        everywhere("refuses"),
    ),
    Case("softmax-ref-mult", "multiplier-range", _softmax, lambda: _softmax(beta=0.0), {"tflm": "crashes"}),
    Case(
        "requant-greater-than-one/softmax",
        "multiplier-range",
        lambda: _softmax(source_scale=2.0**-25),
        lambda: _softmax(source_scale=2.0**-26),
        {"tflm": "crashes"},
    ),
    Case(
        "requant-greater-than-one/log-softmax",
        "multiplier-range",
        _log_softmax,
        lambda: _log_softmax(source_scale=1e-9),
        {"tflm": "crashes"},
    ),
    Case("softmax-int8-tflm", _FIXED, _softmax, lambda: _softmax(scale=1.0005 / 256), {"tflm": "refuses"}),
    Case("log-softmax", _FIXED, _log_softmax, lambda: _log_softmax(0.05), everywhere("refuses")),
    Case("log-softmax/zero-point", _FIXED, _log_softmax, lambda: _log_softmax(zero_point=126), everywhere("refuses")),
    Case("elu-gelu", "operator-types", lambda: _elu("INT8"), lambda: _elu("UINT8"), everywhere("refuses")),
    Case(
        "l2norm-scale",
        _FIXED,
        _l2_normalization,
        lambda: _l2_normalization(0.01),
        {**tflite("refuses"), "tflm": _WRONG},
    ),
    Case(
        "l2norm-tflm",
        _FIXED,
        _l2_normalization,
        lambda: _l2_normalization(zero_point=1),
        {**tflite("refuses"), "tflm": _WRONG},
    ),
    Case(
        "l2norm-activation",
        "fused-activation",
        lambda: _activated("NONE"),
        lambda: _activated("RELU"),
        everywhere("refuses"),
    ),
    Case(
        "auto-local-response-norm-48",
        "tensor-rank",
        _response,
        lambda: _response("FLOAT32", 1, 1, 4),
        tflite("refuses"),
    ),
    Case("auto-local-response-norm-50", "operator-types", _response, lambda: _response("INT32"), tflite("refuses")),
]
