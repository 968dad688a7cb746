"""Conditions of scales that all quantised layers share, with FULLY_CONNECTED."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tflite_surgeon as ts
from tests.builders import layer, node, part
from tests.conditions.case import Case, everywhere, own_kernels
from tflite_surgeon.flatbuffer.schema import enum_class

# The largest scale in which 6 does not fit 32 bits is 6 / 2**31 = 2.79e-9.
_FITS, _TOO_SMALL = 2.8e-9, 2.7e-9
_OWN_AND_TFLM = {**own_kernels("wrong-numbers"), "tflm": "wrong-numbers"}


def _layer(
    role: str | None = None,
    scale: Sequence[float] = (),
    *,
    kind: str = "INT8",
    per_channel: bool = False,
    activation: str = "NONE",
    zero_point: int | None = None,
) -> ts.Model:
    """A layer without bias, one of its scales written anew."""
    model = layer(kind=kind, per_channel=per_channel)
    node(model).inputs = node(model).inputs[:2]
    node(model).builtin_options.fused_activation_function = enum_class("ActivationFunctionType")[activation]
    if role is not None:
        quantization = part(model, role).quantization
        quantization.scale = list(scale)
        if zero_point is not None:
            quantization.zero_point = [zero_point]
    return model


def _small(scale: float, activation: str = "RELU6") -> Callable[[], ts.Model]:
    return lambda: _layer("output", [scale], kind="INT16", activation=activation)


CASES = [
    Case(
        "conv-mult-nonneg/fully-connected",
        "product-scale",
        lambda: _layer(kind="INT16"),
        lambda: _layer("weights", [-0.004], kind="INT16"),
        everywhere("refuses"),
    ),
    Case(
        "conv-mult-nonneg/not-a-number",
        "product-scale",
        lambda: _layer(kind="INT16"),
        lambda: _layer("input", [float("nan")], kind="INT16"),
        everywhere("refuses"),
    ),
    Case(
        "perchannel-negative-scale/fully-connected",
        "scale-value",
        lambda: _layer(per_channel=True),
        lambda: _layer("weights", [0.004, -0.0052, 0.0064, 0.0076], per_channel=True),
        own_kernels("wrong-numbers"),
    ),
    Case(
        "perchannel-negative-scale/zero",
        "scale-value",
        lambda: _layer(per_channel=True),
        lambda: _layer("weights", [0.004, 0.0, 0.0064, 0.0076], per_channel=True),
        own_kernels("wrong-numbers"),
    ),
    Case(
        "act-range-empty",
        "zero-point-range",
        lambda: _layer("output", [0.03], activation="RELU", zero_point=127),
        lambda: _layer("output", [0.03], activation="RELU", zero_point=128),
        _OWN_AND_TFLM,
    ),
    Case("requant-out-scale-zero", "scale-value", _layer, lambda: _layer("output", [0.0]), _OWN_AND_TFLM),
    Case("fused-act-range", "activation-range", _small(_FITS), _small(_TOO_SMALL), everywhere("refuses")),
    Case(
        "fused-act-range/n1-to-1",
        "activation-range",
        _small(4.7e-10, "RELU_N1_TO_1"),
        _small(4.6e-10, "RELU_N1_TO_1"),
        everywhere("refuses"),
    ),
    Case(
        "fused-act-range/zero",
        "activation-range",
        _small(1e-30, "RELU"),
        _small(0.0, "RELU"),
        everywhere("refuses"),
    ),
]
