"""Conditions of TFLM's kernels of layers with weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tflite_surgeon as ts
from tests.builders import GATES, Net, chain, layer, lstm, node, part, spread, svdf
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tflite_surgeon.flatbuffer.schema import enum_class

Make = Callable[[], ts.Model]
_FC, _CONV, _DEPTHWISE, _TRANSPOSED = "FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"
_MICRO = {"tflm": "wrong-numbers"}


def _kind(name: str) -> Any:
    return enum_class("TensorType")[name]


def _changed(make: Make, change: Callable[[ts.Model], object]) -> Make:
    def made() -> ts.Model:
        model = make()
        change(model)
        return model

    return made


def _retyped(make: Make, role: str, kind: str) -> Make:
    return _changed(make, lambda model: setattr(part(model, role), "type", _kind(kind)))


def _unquantised(make: Make, role: str) -> Make:
    return _changed(make, lambda model: setattr(part(model, role), "quantization", None))


def _zero_point(make: Make, role: str, value: int) -> Make:
    def change(model: ts.Model) -> None:
        quantization = part(model, role).quantization
        quantization.zero_point = [value] * len(quantization.scale)

    return _changed(make, change)


def _float_layer(operator: str = _FC, weights_kind: str = "FLOAT32", kind: str = "FLOAT32", depth: int = 3) -> ts.Model:
    """A layer without a bias and without quantisation, but for weights of integers."""
    net = Net()
    shapes = {
        _FC: ([1, 3], [4, depth], [1, 4]),
        _CONV: ([1, 2, 2, 3], [4, 1, 1, depth], [1, 2, 2, 4]),
        _DEPTHWISE: ([1, 2, 2, 4], [1, 1, 1, 4], [1, 2, 2, 4]),
    }[operator]
    scale: Any = None if weights_kind == "FLOAT32" else 0.01
    if scale and operator == _DEPTHWISE:
        scale = [0.01, 0.02, 0.03, 0.04]
    source = net.tensor("input", shapes[0], kind, None if kind == "FLOAT32" else 0.1)
    axis = 3 if operator == _DEPTHWISE and scale else 0
    weights = net.tensor("weights", shapes[1], weights_kind, scale, 0, spread(shapes[1], -9, 9), dimension=axis)
    result = net.tensor("output", shapes[2], kind, None if kind == "FLOAT32" else 0.1)
    bias = net.tensor("bias", [4], "FLOAT32", values=[1, 2, 3, 4])
    options: dict[str, Any] = {"options": "FullyConnectedOptions"}
    if operator != _FC:
        same = enum_class("Padding")["SAME"]
        options = {"options": "Conv2DOptions", "stride_w": 1, "stride_h": 1, "padding": same}
    if operator == _DEPTHWISE:
        options |= {"options": "DepthwiseConv2DOptions", "depth_multiplier": 1}
    versions = {_FC: 3, _CONV: 2, _DEPTHWISE: 6}
    net.operator(operator, versions[operator], [source, weights, bias], [result], **options)
    return net.model([source], [result])


def _conv_depth(depth: int) -> ts.Model:
    return _float_layer(_CONV, depth=depth)


def _stored(shape: Sequence[int], operator: str = _FC) -> Make:
    return _changed(partial(layer, operator), lambda model: setattr(part(model, "output"), "shape", list(shape)))


def _matmul(
    kinds: Sequence[str] = ("INT8", "INT8"),
    shapes: Sequence[Sequence[int]] = ((2, 3), (3, 4)),
    zero_point: int = 0,
    scale: float = 0.1,
) -> ts.Model:
    """Both inputs are computed."""
    net = Net()
    shape = [*shapes[0][:-1], shapes[1][-1]]
    quantised = [None if kind == "FLOAT32" else scale for kind in kinds]
    first = net.tensor("first", shapes[0], kinds[0], quantised[0], zero_point)
    second = net.tensor("second", shapes[1], kinds[1], quantised[1] and 0.1)
    result = net.tensor("output", shape, kinds[0], quantised[0] and 0.1)
    net.operator("BATCH_MATMUL", 2 if kinds[0] == "INT8" else 1, [first, second], [result], "BatchMatMulOptions")
    return net.model([first, second], [result])


def _lookup(row: int = 1, zero_point: int = 0, kind: str = "INT8", shape: Sequence[int] = (2, 3)) -> ts.Model:
    net = Net()
    rows = net.tensor("rows", [2], "INT32", values=[0, row])
    table = net.tensor("table", shape, kind, 0.1, zero_point, spread(shape, -9, 9))
    result = net.tensor("output", [2, *shape[1:]], "FLOAT32")
    unused = net.tensor("unused", [1], "FLOAT32")
    copied = net.tensor("copied", [1], "FLOAT32")
    net.operator("EMBEDDING_LOOKUP", 3, [rows, table], [result])
    net.operator("ABS", 1, [unused], [copied])
    return net.model([unused], [result, copied])


def _plain_lstm(*, layer_norm: bool = False) -> ts.Model:
    """Without layer normalisation the form that TFLM has; never with a projection."""
    return lstm(projection=False, layer_norm=layer_norm)


def _lstm(change: Callable[[ts.Model], object]) -> Make:
    return _changed(_plain_lstm, change)


def _with_weights_of_one_type(kind: str) -> Callable[[ts.Model], object]:
    def change(model: ts.Model) -> None:
        for gate in GATES:
            for name in ("input", "recurrent"):
                part(model, f"{name}_to_{gate}_weights").type = _kind(kind)

    return change


def _one_channel_more(model: ts.Model) -> None:
    """More values in the bias than there are units."""
    bias = part(model, "bias")
    bias.shape = [5]
    bias.buffer.data = bytes(20)


def _bias_scale(value: float) -> Callable[[ts.Model], object]:
    return lambda model: setattr(part(model, "bias").quantization, "scale", [float(value)])


def _int4(per_channel: bool) -> ts.Model:
    model = layer(per_channel=per_channel, version=7)
    weights = part(model, "weights")
    weights.type = _kind("INT4")
    weights.buffer.data = bytes(range(1, 7))
    return model


def _scales_of_input_channels(model: ts.Model) -> None:
    quantization = part(model, "weights").quantization
    quantization.scale, quantization.zero_point = [quantization.scale[0]] * 3, [0] * 3
    quantization.quantized_dimension = 3


def _no_stride(model: ts.Model) -> None:
    node(model).builtin_options.stride_w = 0


def _sign_bit(model: ts.Model) -> None:
    node(model).builtin_options.fused_activation_function = enum_class("ActivationFunctionType")["SIGN_BIT"]


def _bias_left_out(model: ts.Model) -> None:
    node(model).inputs[2] = None


def _no_bias_of_svdf(model: ts.Model) -> None:
    node(model).inputs[3] = None


_int8 = partial(layer, _FC, "INT8")
_int8_conv = partial(layer, _CONV, "INT8")
_int16_conv = partial(layer, _CONV, "INT16")


def _wrong(name: str, rule: str, inside: Make, outside: Make, others: str = "refuses") -> Case:
    """TFLM computes wrong numbers where all others refuse."""
    return Case(name, rule, inside, outside, {**tflite(others), "tflm": "wrong-numbers"})


def _wrong_unlike_kernels(name: str, rule: str, inside: Make, outside: Make) -> Case:
    """TFLM computes wrong numbers where the kernels of the others refuse, and the delegate computes."""
    return Case(name, rule, inside, outside, {**own_kernels("refuses"), "tflm": "wrong-numbers"})


def _only(name: str, rule: str, inside: Make, outside: Make, effect: str = "refuses") -> Case:
    """Only TFLM minds."""
    return Case(name, rule, inside, outside, {"tflm": effect})


_depthwise, _transposed = partial(layer, _DEPTHWISE), partial(layer, _TRANSPOSED)
_dw_int16 = partial(layer, _DEPTHWISE, "INT16")
_not_variable = _changed(svdf, lambda model: setattr(part(model, "state"), "is_variable", False))
_no_power_of_two = _lstm(lambda model: setattr(part(model, "cell_state").quantization, "scale", [0.0003]))
_matmul16 = partial(_matmul, ("INT16", "INT16"))


def _two_layers() -> ts.Model:
    return chain(2)


def _between_of_four(model: ts.Model) -> None:
    """The stored shape of what the first layer of three hands to the second."""
    part(model, "output").shape = [1, 4]


CASES = [
    _wrong("fc-bias-count-tflm", "bias-length", _int8, _changed(_int8, _one_channel_more)),
    _only("fc-perchannel-int4-tflm", "operator-types", partial(_int4, False), partial(_int4, True)),
    _only("fc-types-tflm", "hybrid-model", _float_layer, partial(_float_layer, _FC, "INT8")),
    Case(
        "fc-types-inout-tflm",
        "same-type",
        _int8,
        _retyped(_int8, "output", "INT16"),
        {**tflite("wrong-numbers"), "tflm": "refuses"},
    ),
    _wrong("fc-bias-dtype-tflm", "bias-type", _int8, _retyped(_int8, "bias", "INT8")),
    # INT2 is also unknown to tflite-runtime 2.14, as a type of the tensor instead of one of the node.
    _only("fc-int2-tflm/variant", "tensor-type", _int8, _retyped(_int8, "weights", "VARIANT")),
    _wrong("fc-input-quant-tflm", "missing-quantization", _int8, _unquantised(_int8, "weights")),
    _wrong_unlike_kernels("conv-channels-tflm", "channels", partial(_conv_depth, 3), partial(_conv_depth, 2)),
    Case(
        "conv-channels-tflm/zero-groups",
        "channels",
        partial(_conv_depth, 3),
        partial(_conv_depth, 4),
        {**tflite("refuses"), "tflm": "crashes"},
    ),
    _wrong_unlike_kernels(
        "conv-filter-zp-tflm", "weights-zero-point", _int8_conv, _zero_point(_int8_conv, "weights", 3)
    ),
    _only("conv-types-tflm", "hybrid-model", partial(_float_layer, _CONV), partial(_float_layer, _CONV, "INT8")),
    _only("conv-uint8-tflm", "hybrid-model", _int8_conv, partial(layer, _CONV, "UINT8")),
    Case(
        "conv-scale-count-tflm",
        "scale-count",
        _int8_conv,
        _changed(_int8_conv, _scales_of_input_channels),
        everywhere("refuses"),
    ),
    _wrong("conv-misc-unchecked-tflm", "bias-zero-point", _int8_conv, _zero_point(_int8_conv, "bias", 5)),
    Case(
        "conv-misc-unchecked-tflm/stride",
        "option-value",
        _int8_conv,
        _changed(_int8_conv, _no_stride),
        {**everywhere("wrong-numbers"), "litert": "refuses", "litert-no-delegate": "refuses"},
    ),
    _wrong("conv-misc-unchecked-tflm/int16", "int16-zero-point", _int16_conv, _zero_point(_int16_conv, "input", 1)),
    _wrong(
        "conv-misc-unchecked-tflm/activation",
        "fused-activation",
        _int8_conv,
        _changed(_int8_conv, _sign_bit),
        "wrong-numbers",
    ),
    _wrong("dw-bias-dtype-tflm", "bias-type", _dw_int16, partial(_dw_int16, bias_type="INT32")),
    _only(
        "dw-types-tflm", "hybrid-model", partial(_float_layer, _DEPTHWISE), partial(_float_layer, _DEPTHWISE, "INT8")
    ),
    _only("dw-no-bias-crash/tflm", "bias-missing", _depthwise, _changed(_depthwise, _bias_left_out), "crashes"),
    _only("tconv-tflm-types", "operator-types", _transposed, partial(layer, _TRANSPOSED, "UINT8")),
    _only("tconv-tflm-types/hybrid", "hybrid-model", _transposed, _retyped(_transposed, "weights", "UINT8")),
    _only(
        "shape-stored-ignored", "stored-shape", _two_layers, _changed(_two_layers, _between_of_four), "wrong-numbers"
    ),
    _only("shape-stored-used-tflm", "stored-shape", _int8, _stored([2, 3]), "wrong-numbers"),
    _only("shape-stored-used-tflm/conv", "stored-shape", _int8_conv, _stored([1, 4, 4, 4], _CONV), "wrong-numbers"),
    Case("svdf-tflm", "state-variable", svdf, _not_variable, everywhere("refuses")),
    _only("svdf-tflm/type", "operator-types", svdf, _retyped(svdf, "weights_feature", "UINT8")),
    _only("svdf-tflm/bias", "bias-missing", svdf, _changed(svdf, _no_bias_of_svdf), "crashes"),
    Case(
        "svdf-bias-scale-tflm",
        "bias-scale",
        svdf,
        _changed(svdf, _bias_scale(2e-5)),
        {**tflite("wrong-numbers"), "tflm": "refuses"},
    ),
    _only("lstm-tflm", "gates", _plain_lstm, partial(_plain_lstm, layer_norm=True)),
    _only("lstm-tflm/projection", "gates", _plain_lstm, lstm),
    _only("lstm-tflm/weights", "operator-types", _plain_lstm, _lstm(_with_weights_of_one_type("UINT8"))),
    Case("lstm-tflm/cell", "power-of-two-scale", _plain_lstm, _no_power_of_two, everywhere("wrong-numbers")),
    Case(
        "bmm-types/tflm",
        "operator-types",
        _matmul,
        partial(_matmul, ("INT16", "INT8")),
        {"tflite-2.14": "refuses", "tflm": "refuses"},
    ),
    Case(
        "bmm-rank/tflm",
        "tensor-rank",
        _matmul,
        partial(_matmul, shapes=((1, 1, 1, 1, 2, 3), (3, 4))),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "bmm-inner/tflm",
        "inner-dimension",
        _matmul,
        partial(_matmul, shapes=((2, 3), (5, 4))),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case("bmm-int16-zp/tflm", "int16-zero-point", _matmul16, partial(_matmul16, zero_point=1), everywhere("refuses")),
    Case("bmm-mult/tflm", "product-scale", _matmul, partial(_matmul, scale=-0.1), everywhere("refuses")),
    Case(
        "embedding/tflm",
        "weights-zero-point",
        _lookup,
        partial(_lookup, zero_point=5),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflm": "refuses"},
    ),
    Case("embedding/tflm-rows", "index-bounds", _lookup, partial(_lookup, 2), everywhere("refuses")),
]
