"""Conditions of TRANSPOSE_CONV, CONV_3D and CONV_3D_TRANSPOSE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tflite_surgeon as ts
from tests.builders import Net, layer, node, part, spread
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tflite_surgeon.flatbuffer.schema import enum_class

Change = Callable[[ts.Model], None]
_TYPES = enum_class("TensorType")


def _with(change: Change, kind: str = "INT8", **arguments: Any) -> Callable[[], ts.Model]:
    """A TRANSPOSE_CONV, changed."""

    def make() -> ts.Model:
        model = layer("TRANSPOSE_CONV", kind, **arguments)
        change(model)
        return model

    return make


def _sound(kind: str = "INT8", **arguments: Any) -> Callable[[], ts.Model]:
    return lambda: layer("TRANSPOSE_CONV", kind, **arguments)


def _zero_point(role: str, value: int = 1) -> Change:
    def change(model: ts.Model) -> None:
        part(model, role).quantization.zero_point = [value]

    return change


def _type(role: str, kind: str) -> Change:
    def change(model: ts.Model) -> None:
        part(model, role).type = _TYPES[kind]

    return change


def _shape(role: str, *shape: int) -> Change:
    def change(model: ts.Model) -> None:
        part(model, role).shape = list(shape)

    return change


def _output_shape(*shape: int) -> Change:
    """Ask for an output of another shape."""

    def change(model: ts.Model) -> None:
        part(model, "output_shape").set_values(np.array(shape, np.int32))

    return change


def _wider_shape(model: ts.Model) -> None:
    """The same output shape in 64 bits."""
    shape = part(model, "output_shape")
    shape.type, shape.buffer.data = _TYPES["INT64"], shape.values().astype("<i8").tobytes()


def _no_type_of_bias(model: ts.Model) -> None:
    node(model).builtin_options.quantized_bias_type = _TYPES["FLOAT32"]


def _wider_bias(model: ts.Model) -> None:
    """The same integers in 64 bits."""
    bias = part(model, "bias")
    bias.type, bias.buffer.data = _TYPES["INT64"], bias.values().astype("<i8").tobytes()


def _shorten(bias: ts.Tensor) -> None:
    bias.shape = [3]
    bias.buffer.data = bytes(12)


def _last_input_twice(model: ts.Model) -> None:
    node(model).inputs.append(part(model, "bias"))


def _volume(
    operator: str = "CONV_3D",
    *,
    kind: str = "FLOAT32",
    channels: int = 2,
    bias: int | None = None,
    stride: int = 1,
    asked: tuple[int, ...] = (1, 3, 3, 3, 2),
) -> Callable[[], ts.Model]:
    """CONV_3D from 3 x 3 x 3 to 2 x 2 x 2, CONV_3D_TRANSPOSE back."""

    def make() -> ts.Model:
        net = Net()
        is_transposed = operator == "CONV_3D_TRANSPOSE"
        weights = net.tensor("weights", [2, 2, 2, 2, 4], "FLOAT32", values=spread([2, 2, 2, 2, 4], -9, 9))
        made = 2 if is_transposed else 4
        length = made if bias is None else bias
        bias_tensor = net.tensor("bias", [length], "FLOAT32", values=[1] * length)
        if is_transposed:
            source = net.tensor("input", [1, 2, 2, 2, 4], kind)
            shape = net.tensor("output_shape", [5], "INT32", values=list(asked))
            inputs: list[ts.Tensor | None] = [shape, weights, source, bias_tensor]
        else:
            source = net.tensor("input", [1, 3, 3, 3, channels], kind)
            inputs = [source, weights, bias_tensor]
        result = net.tensor("output", list(asked) if is_transposed else [1, 2, 2, 2, 4], kind)
        net.operator(
            operator,
            1,
            inputs,
            [result],
            "Conv3DOptions",
            padding=enum_class("Padding")["VALID"],
            stride_d=stride,
            stride_w=1,
            stride_h=1,
        )
        return net.model([source], [result])

    return make


_LITERT = {"litert": "refuses", "litert-no-delegate": "refuses"}

CASES = [
    Case("tconv-bias-dtype", "bias-type", _sound(), _with(_wider_bias), {**tflite("refuses"), "tflm": "wrong-numbers"}),
    Case(
        "tconv-bias-int32-int16-act",
        "bias-type",
        _sound("INT16"),
        _with(_no_type_of_bias, "INT16", bias_type="INT32"),
        {"litert": "wrong-numbers", "litert-no-delegate": "wrong-numbers", "tflm": "wrong-numbers"},
    ),
    Case(
        "tconv-bias-zp",
        "bias-zero-point",
        _sound(),
        _with(_zero_point("bias")),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "tconv-bias-zp/uint8",
        "bias-zero-point",
        _sound("UINT8"),
        _with(_zero_point("bias"), "UINT8"),
        tflite("wrong-numbers"),
    ),
    Case("tconv-filter-zp", "weights-zero-point", _sound(), _with(_zero_point("weights")), everywhere("wrong-numbers")),
    Case("tconv-num-inputs", "tensor-count", _sound(), _with(_last_input_twice), everywhere("refuses")),
    Case(
        "tconv-dtypes",
        "operator-types",
        _sound(),
        _with(_type("weights", "UINT8")),
        own_kernels("refuses"),
    ),
    Case("tconv-shape-dtype", "operator-types", _sound(), _with(_wider_shape), tflite("refuses")),
    Case(
        "tconv-bias-count",
        "bias-length",
        _sound(),
        _with(lambda model: _shorten(part(model, "bias"))),
        {**own_kernels("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "tconv-int16-zp",
        "int16-zero-point",
        _sound("INT16"),
        _with(_zero_point("input"), "INT16"),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "tconv-channels",
        "channels",
        _sound(),
        _with(_shape("input", 1, 2, 2, 2)),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "tconv-weights-quant",
        "missing-quantization",
        _sound(),
        _with(lambda model: setattr(part(model, "weights"), "quantization", None)),
        everywhere("refuses"),
    ),
    Case(
        "tconv-output-size",
        "dimension-match",
        _sound(),
        _with(_output_shape(1, 5, 5, 4)),
        {"litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers"},
    ),
    Case("conv3d-float-only", "operator-types", _volume(), _volume(kind="INT8"), tflite("refuses")),
    Case("conv3d-float-only/channels", "channels", _volume(), _volume(channels=3), tflite("refuses")),
    Case("conv3d-float-only/bias", "bias-length", _volume(), _volume(bias=3), tflite("refuses")),
    Case(
        "conv3d-float-only/stride",
        "option-value",
        _volume(),
        _volume(stride=0),
        {**_LITERT, "tflite-2.14": "wrong-numbers"},
    ),
    Case(
        "conv3dt-float-only",
        "operator-types",
        _volume("CONV_3D_TRANSPOSE"),
        _volume("CONV_3D_TRANSPOSE", kind="INT8"),
        tflite("refuses"),
    ),
    Case(
        "conv3dt-float-only/shape",
        "dimension-match",
        _volume("CONV_3D_TRANSPOSE"),
        _volume("CONV_3D_TRANSPOSE", asked=(1, 4, 3, 3, 2)),
        tflite("refuses"),
    ),
]
