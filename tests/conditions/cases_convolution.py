"""Conditions of CONV_2D and DEPTHWISE_CONV_2D, and of what they share with TRANSPOSE_CONV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tflite_surgeon as ts
from tests.builders import Net, damage, integers, layer, node, part, scales, spread
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tflite_surgeon.flatbuffer.schema import enum_class

Change = Callable[[ts.Model], None]


def _with(change: Change, operator: str = "CONV_2D", kind: str = "INT8", **arguments: Any) -> Callable[[], ts.Model]:
    """A layer, changed."""

    def make() -> ts.Model:
        model = layer(operator, kind, **arguments)
        change(model)
        return model

    return make


def _sound(operator: str = "CONV_2D", kind: str = "INT8", **arguments: Any) -> Callable[[], ts.Model]:
    return lambda: layer(operator, kind, **arguments)


def _type(role: str, kind: str) -> Change:
    """Write another type of as many bytes."""

    def change(model: ts.Model) -> None:
        part(model, role).type = enum_class("TensorType")[kind]

    return change


def _zero_point(role: str, value: int = 1) -> Change:
    def change(model: ts.Model) -> None:
        quantization = part(model, role).quantization
        quantization.zero_point = [value] * len(quantization.scale)

    return change


def _unquantized(role: str) -> Change:
    def change(model: ts.Model) -> None:
        part(model, role).quantization = None

    return change


def _option(name: str, value: Any) -> Change:
    def change(model: ts.Model) -> None:
        setattr(node(model).builtin_options, name, value)

    return change


def _no_bias(model: ts.Model) -> None:
    node(model).inputs = node(model).inputs[:2]


def _longer_bias(kind: str, values: int) -> Change:
    """A bias of another type or length, of zeros."""

    def change(model: ts.Model) -> None:
        bias = part(model, "bias")
        bias.type = enum_class("TensorType")[kind]
        bias.shape = [values]
        bias.buffer.data = bytes(values * (8 if kind == "INT64" else 4))

    return change


def _bias_in_floats(model: ts.Model) -> None:
    """The real values of the bias as FLOAT32."""
    bias = part(model, "bias")
    values = np.array(integers(bias)) * scales(bias)[0]
    bias.type, bias.quantization, bias.buffer.data = _TYPES["FLOAT32"], None, values.astype("<f4").tobytes()


def _bias_in_integers(model: ts.Model) -> None:
    """A bias of integers with a scale beside floats."""
    bias = part(model, "bias")
    bias.type, bias.quantization = _TYPES["INT32"], ts.QuantizationParameters(scale=[0.5], zero_point=[0])
    bias.buffer.data = np.array([1, -2, 3, 4], "<i4").tobytes()


def _float_convolution(change: Change = lambda _: None) -> Callable[[], ts.Model]:
    def make() -> ts.Model:
        net = Net()
        source = net.tensor("input", [1, 4, 4, 3], "FLOAT32")
        weights = net.tensor("weights", [4, 2, 2, 3], "FLOAT32", values=spread([4, 2, 2, 3], -9, 9))
        bias = net.tensor("bias", [4], "FLOAT32", values=[1, -2, 3, 4])
        result = net.tensor("output", [1, 3, 3, 4], "FLOAT32")
        _convolve(net, "CONV_2D", 1, [source, weights, bias], result)
        change(model := net.model([source], [result]))
        return model

    return make


def _input_shape(*shape: int) -> Change:
    def change(model: ts.Model) -> None:
        part(model, "input").shape = list(shape)

    return change


def _channels_first(model: ts.Model) -> None:
    """The weights of a DEPTHWISE_CONV_2D as CONV_2D has them: channels x height x width x 1."""
    weights = part(model, "weights")
    turned = weights.values().transpose(3, 1, 2, 0)
    weights.shape, weights.buffer.data = list(turned.shape), turned.tobytes()
    weights.quantization.quantized_dimension = 0


def _bias_shape(*shape: int) -> Change:
    def change(model: ts.Model) -> None:
        part(model, "bias").shape = list(shape)

    return change


def _three_scales(model: ts.Model) -> None:
    quantization = part(model, "weights").quantization
    quantization.scale, quantization.zero_point = quantization.scale[:3], [0] * 3


def _one_zero_point(model: ts.Model) -> None:
    part(model, "weights").quantization.zero_point = [0]


def _wider_weights(model: ts.Model) -> None:
    """The same integers in 16 bits."""
    weights = part(model, "weights")
    weights.type, weights.buffer.data = _TYPES["INT16"], weights.values().astype("<i2").tobytes()


def _infinite_scale(model: ts.Model) -> None:
    part(model, "weights").quantization.scale = [float("inf")]


def _negative_weights_scale(model: ts.Model) -> None:
    damage(part(model, "weights"), -1.0)
    damage(part(model, "bias"), -1.0)


def _square(axis: int) -> Callable[[], ts.Model]:
    """A CONV_2D of as many output as input channels, with scales along a dimension."""

    def make() -> ts.Model:
        net = Net()
        scales = [0.004, 0.005, 0.006]
        source = net.tensor("input", [1, 4, 4, 3], "INT8", 0.02)
        weights = net.tensor("weights", [3, 2, 2, 3], "INT8", scales, 0, spread([3, 2, 2, 3], -90, 90), dimension=axis)
        bias = net.tensor("bias", [3], "INT32", [0.02 * scale for scale in scales], 0, [0, 0, 0])
        result = net.tensor("output", [1, 3, 3, 3], "INT8", 0.03)
        _convolve(net, "CONV_2D", 3, [source, weights, bias], result)
        return net.model([source], [result])

    return make


def _scales_of(count: int) -> Callable[[], ts.Model]:
    """A CONV_2D with scales along the window's height, which has another length than there are output channels."""

    def make() -> ts.Model:
        model = _square(0)()
        quantization = part(model, "weights").quantization
        quantization.scale, quantization.zero_point = quantization.scale[:count], [0] * count
        quantization.quantized_dimension = 1
        return model

    return make


def _square_depthwise(axis: int) -> Callable[[], ts.Model]:
    """A DEPTHWISE_CONV_2D whose window is as wide as there are channels, with scales along a dimension."""

    def make() -> ts.Model:
        net = Net()
        scales = [0.004, 0.005, 0.006]
        source = net.tensor("input", [1, 4, 4, 3], "INT8", 0.02)
        weights = net.tensor("weights", [1, 2, 3, 3], "INT8", scales, 0, spread([1, 2, 3, 3], -90, 90), dimension=axis)
        bias = net.tensor("bias", [3], "INT32", [0.02 * scale for scale in scales], 0, [0, 0, 0])
        result = net.tensor("output", [1, 3, 2, 3], "INT8", 0.03)
        _convolve(net, "DEPTHWISE_CONV_2D", 3, [source, weights, bias], result)
        return net.model([source], [result])

    return make


def _hybrid(operator: str, scales: list[float] | None) -> Callable[[], ts.Model]:
    """FLOAT32 input and INT8 weights."""

    def make() -> ts.Model:
        net = Net()
        is_depthwise = operator == "DEPTHWISE_CONV_2D"
        shape = [1, 2, 2, 3] if is_depthwise else [4, 2, 2, 3]
        channels = 3 if is_depthwise else 4
        source = net.tensor("input", [1, 4, 4, 3], "FLOAT32")
        axis = 3 if is_depthwise else 0
        weights = net.tensor("weights", shape, "INT8", scales, 0, spread(shape, -90, 90), dimension=axis)
        bias = net.tensor("bias", [channels], "FLOAT32", values=[1] * channels)
        result = net.tensor("output", [1, 3, 3, channels], "FLOAT32")
        _convolve(net, operator, 6 if is_depthwise else 5, [source, weights, bias], result)
        return net.model([source], [result])

    return make


def _convolve(net: Net, operator: str, version: int, inputs: list[ts.Tensor], result: ts.Tensor) -> None:
    options = {"padding": enum_class("Padding")["VALID"], "stride_w": 1, "stride_h": 1}
    if operator == "CONV_2D":
        net.operator(operator, version, inputs, [result], "Conv2DOptions", **options)
    else:
        net.operator(operator, version, inputs, [result], "DepthwiseConv2DOptions", depth_multiplier=1, **options)


def _depthwise_of_three(channels: int) -> Callable[[], ts.Model]:
    """An INT8 DEPTHWISE_CONV_2D that makes some channels of three."""

    def make() -> ts.Model:
        net = Net()
        shape = [1, 2, 2, channels]
        source = net.tensor("input", [1, 4, 4, 3], "INT8", 0.02)
        weights = net.tensor("weights", shape, "INT8", 0.004, 0, spread(shape, -90, 90))
        bias = net.tensor("bias", [channels], "INT32", 0.00008, 0, [0] * channels)
        result = net.tensor("output", [1, 3, 3, channels], "INT8", 0.03)
        options = {"padding": enum_class("Padding")["VALID"], "stride_w": 1, "stride_h": 1}
        net.operator(
            "DEPTHWISE_CONV_2D",
            3,
            [source, weights, bias],
            [result],
            "DepthwiseConv2DOptions",
            depth_multiplier=channels // 3,
            **options,
        )
        return net.model([source], [result])

    return make


_TYPES = enum_class("TensorType")
_TANH = enum_class("ActivationFunctionType")["TANH"]
_DEPTHWISE = "DEPTHWISE_CONV_2D"
_SILENT = everywhere("wrong-numbers")
_REFUSED_BY_TFLITE = {**tflite("refuses"), "tflm": "wrong-numbers"}
_REFUSED_BY_KERNELS = {**own_kernels("refuses"), "tflm": "wrong-numbers"}

CASES = [
    Case(
        "conv-bias-scale-uint8",
        "bias-scale",
        _sound(kind="UINT8"),
        _with(lambda model: damage(part(model, "bias"), 10.0), kind="UINT8"),
        {"litert": "wrong-numbers", **own_kernels("refuses"), "tflm": "unknown"},
    ),
    Case(
        "conv-bias-scale-int8-none",
        "bias-scale",
        _sound(),
        _with(lambda model: damage(part(model, "bias"), 1.5)),
        _SILENT,
    ),
    Case(
        "conv-mult-nonneg",
        "product-scale",
        _sound(kind="UINT8"),
        _with(_negative_weights_scale, kind="UINT8"),
        tflite("refuses"),
    ),
    Case(
        "fused-act-other/conv",
        "fused-activation",
        _sound(),
        _with(_option("fused_activation_function", _TANH)),
        _SILENT,
    ),
    Case(
        "fused-act-other/depthwise",
        "fused-activation",
        _sound(_DEPTHWISE),
        _with(_option("fused_activation_function", _TANH), _DEPTHWISE),
        _SILENT,
    ),
    Case("conv-bias-required", "bias-missing", _sound(), _with(_no_bias), tflite("refuses")),
    Case("conv-channels", "channels", _sound(), _with(_input_shape(1, 4, 4, 4)), _REFUSED_BY_KERNELS),
    Case("conv-dtypes", "same-type", _sound(), _with(_type("output", "UINT8")), everywhere("refuses")),
    Case("conv-filter-zp", "weights-zero-point", _sound(), _with(_zero_point("weights")), _REFUSED_BY_KERNELS),
    Case(
        "conv-filter-quant",
        "missing-quantization",
        _sound(),
        _with(_unquantized("weights")),
        everywhere("refuses"),
    ),
    Case(
        "conv-input-quant",
        "missing-quantization",
        _sound(),
        _with(_unquantized("input")),
        everywhere("refuses"),
    ),
    Case(
        "conv-input-quant/depthwise",
        "missing-quantization",
        _sound(_DEPTHWISE),
        _with(_unquantized("input"), _DEPTHWISE),
        everywhere("refuses"),
    ),
    Case("conv-output-quant-missing", "missing-quantization", _sound(), _with(_unquantized("output")), _SILENT),
    Case("conv-bias-dtype-int8", "bias-type", _sound(), _with(_longer_bias("INT64", 4)), _REFUSED_BY_TFLITE),
    Case(
        "conv-bias-dtype-int16",
        "bias-type",
        _sound(kind="INT16"),
        _with(_bias_in_floats, kind="INT16"),
        everywhere("refuses"),
    ),
    Case(
        "conv-bias-float",
        "bias-type",
        _float_convolution(),
        _float_convolution(_bias_in_integers),
        _REFUSED_BY_TFLITE,
    ),
    Case(
        "conv-bias-int32-int16-act",
        "bias-type",
        _sound(kind="INT16", bias_type="INT32"),
        _with(_option("quantized_bias_type", _TYPES["FLOAT32"]), kind="INT16", bias_type="INT32"),
        {"litert": "wrong-numbers", "litert-no-delegate": "wrong-numbers"},
    ),
    Case("conv-bias-zp", "bias-zero-point", _sound(), _with(_zero_point("bias")), _REFUSED_BY_TFLITE),
    Case("conv-bias-count", "bias-length", _sound(), _with(_longer_bias("INT32", 3)), _REFUSED_BY_KERNELS),
    Case(
        "conv-int16-zp",
        "int16-zero-point",
        _sound(kind="INT16"),
        _with(_zero_point("input"), kind="INT16"),
        _REFUSED_BY_TFLITE,
    ),
    Case(
        "dw-int16-zp",
        "int16-zero-point",
        _sound(_DEPTHWISE, kind="INT16"),
        _with(_zero_point("input"), _DEPTHWISE, kind="INT16"),
        _REFUSED_BY_TFLITE,
    ),
    Case(
        "conv-qbt",
        "bias-type",
        _with(_option("quantized_bias_type", _TYPES["INT64"]), kind="INT16"),
        _with(_option("quantized_bias_type", _TYPES["INT32"]), kind="INT16"),
        {"litert": "refuses", "litert-no-delegate": "refuses"},
    ),
    Case(
        "conv-qbt/other",
        "bias-type",
        _with(_option("quantized_bias_type", _TYPES["INT64"]), kind="INT16"),
        _with(_option("quantized_bias_type", _TYPES["INT8"]), kind="INT16"),
        {"litert": "refuses", "litert-no-delegate": "refuses"},
    ),
    Case(
        "conv-stride-dilation",
        "option-value",
        _sound(),
        _with(_option("dilation_h_factor", 0)),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers", "tflm": "wrong-numbers"},
    ),
    Case("conv-scale-count", "scale-count", _square(0), _scales_of(2), everywhere("refuses")),
    Case(
        "conv-perchannel-uint8",
        "operator-types",
        _sound(kind="UINT8"),
        _sound(kind="UINT8", per_channel=True),
        tflite("refuses"),
    ),
    Case(
        "conv-perchannel-filter-dtype",
        "operator-types",
        _sound(per_channel=True),
        _with(_wider_weights, per_channel=True),
        tflite("refuses"),
    ),
    Case("requant-helper-check", "scale-value", _sound(), _with(_infinite_scale), everywhere("wrong-numbers")),
    Case("conv-qdim-coincidence", "quantized-dimension", _square(0), _square(3), _SILENT),
    Case(
        "conv-qdim-coincidence/depthwise",
        "quantized-dimension",
        _square_depthwise(3),
        _square_depthwise(2),
        _SILENT,
    ),
    Case(
        "conv-filter-dtype-eval",
        "operator-types",
        _sound(),
        _with(_type("weights", "UINT8")),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers"},
    ),
    Case(
        "conv-hybrid-scale-missing",
        "missing-quantization",
        _hybrid("CONV_2D", [0.1]),
        _hybrid("CONV_2D", None),
        tflite("wrong-numbers"),
    ),
    Case("dw-no-bias-crash", "bias-missing", _sound(_DEPTHWISE), _with(_no_bias, _DEPTHWISE), tflite("crashes")),
    Case(
        "dw-dtypes",
        "operator-types",
        _sound(_DEPTHWISE),
        _with(_type("weights", "UINT8"), _DEPTHWISE),
        tflite("refuses"),
    ),
    Case(
        "dw-filter-dim0",
        "dimension-match",
        _sound(_DEPTHWISE),
        _with(_channels_first, _DEPTHWISE),
        own_kernels("refuses"),
    ),
    Case(
        "dw-filter-dim0/per-channel",
        "dimension-match",
        _sound(_DEPTHWISE, per_channel=True),
        _with(_channels_first, _DEPTHWISE, per_channel=True),
        tflite("refuses"),
    ),
    Case("dw-bias-shape", "tensor-rank", _sound(_DEPTHWISE), _with(_bias_shape(1, 4), _DEPTHWISE), tflite("refuses")),
    Case(
        "dw-bias-shape/column",
        "tensor-rank",
        _sound(_DEPTHWISE),
        _with(_bias_shape(4, 1), _DEPTHWISE),
        tflite("refuses"),
    ),
    Case(
        "dw-zp-count-tflm",
        "scale-count",
        _sound(_DEPTHWISE, per_channel=True),
        _with(_three_scales, _DEPTHWISE, per_channel=True),
        everywhere("refuses"),
    ),
    Case(
        "dw-zp-count-tflm/zero-points",
        "zero-point-count",
        _sound(_DEPTHWISE, per_channel=True),
        _with(_one_zero_point, _DEPTHWISE, per_channel=True),
        tflite("refuses"),
    ),
    Case("dw-channel-mult", "channels", _depthwise_of_three(6), _depthwise_of_three(4), _REFUSED_BY_KERNELS),
    Case(
        "dw-bias-dtype",
        "bias-type",
        _sound(_DEPTHWISE, "INT16"),
        _with(_longer_bias("INT32", 4), _DEPTHWISE, "INT16"),
        _REFUSED_BY_TFLITE,
    ),
    Case(
        "dw-bias-zp",
        "bias-zero-point",
        _sound(_DEPTHWISE),
        _with(_zero_point("bias"), _DEPTHWISE),
        _REFUSED_BY_TFLITE,
    ),
    Case(
        "dw-filter-zp",
        "weights-zero-point",
        _sound(_DEPTHWISE),
        _with(_zero_point("weights"), _DEPTHWISE),
        {**own_kernels("wrong-numbers"), "tflm": "wrong-numbers"},
    ),
    Case(
        "dw-hybrid-per-channel-only",
        "scale-count",
        _hybrid(_DEPTHWISE, [0.1, 0.2, 0.3]),
        _hybrid(_DEPTHWISE, [0.1]),
        tflite("refuses"),
    ),
    Case("conv-rank", "tensor-rank", _sound(), _with(_input_shape(1, 4, 12)), {**tflite("refuses"), "tflm": "unknown"}),
    Case(
        "conv-dims-positive",
        "positive-size",
        _sound(),
        _with(_input_shape(1, 0, 4, 3)),
        {"litert": "refuses", "litert-no-delegate": "refuses"},
    ),
]
