"""Conditions of the delegate: nodes that XNNPACK takes and then rejects, reads otherwise, or spares a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tflite_surgeon as ts
from tests.builders import Net, layer, part
from tests.conditions.case import Case
from tests.conditions.cases_construction_file import changed
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

REFUSED = {"litert": "refuses"}


def _quantised(role: str, make: Callable[[], ts.Model] = layer, **values: Any) -> Callable[[], ts.Model]:
    """A layer with other scales or zero points of one tensor."""

    def change(model: ts.Model) -> None:
        for name, value in values.items():
            setattr(part(model, role).quantization, name, value)

    return changed(change, make)


def _by_channel() -> ts.Model:
    return layer(per_channel=True)


def _convolution(**arguments: Any) -> Callable[[], ts.Model]:
    return lambda: layer("CONV_2D", **arguments)


def _depthwise() -> ts.Model:
    return layer("DEPTHWISE_CONV_2D")


def _requantised(ratio: float) -> Callable[[], ts.Model]:
    """Input scale x weights scale / output scale, powers of two; no bias, so that nothing else is said."""

    def make() -> ts.Model:
        model = layer(input_scale=0.5, weights_scales=[0.5], output_scale=0.25 / ratio, bias=[0] * 4)
        node = model.subgraphs[0].operators[0]
        node.inputs = node.inputs[:2]
        return model

    return make


def _float_bias(model: ts.Model) -> None:
    bias = part(model, "bias")
    bias.type = enum_class("TensorType")["FLOAT32"]


def _pooled(scale: float) -> Callable[[], ts.Model]:
    def make() -> ts.Model:
        net = Net()
        source = net.tensor("input", [1, 4, 4, 2], "INT8", 0.5)
        result = net.tensor("output", [1, 2, 2, 2], "INT8", scale)
        valid = enum_class("Padding")["VALID"]
        size = {"filter_width": 2, "filter_height": 2, "stride_w": 2, "stride_h": 2, "padding": valid}
        net.operator("MAX_POOL_2D", 2, [source], [result], "Pool2DOptions", **size)
        return net.model([source], [result])

    return make


def _sum(shape: list[int]) -> Callable[[], ts.Model]:
    def make() -> ts.Model:
        net = Net()
        first, second = net.tensor("first", [2, 4], "FLOAT32"), net.tensor("second", shape, "FLOAT32")
        result = net.tensor("output", [2, 4], "FLOAT32")
        net.operator("ADD", 1, [first, second], [result], "AddOptions")
        return net.model([first, second], [result])

    return make


def _chain(stored: list[int]) -> Callable[[], ts.Model]:
    """Two nodes; the shape that is stored for the tensor between them counts for nothing."""

    def make() -> ts.Model:
        net = Net()
        source, result = net.tensor("input", [2, 4], "FLOAT32"), net.tensor("output", [2, 4], "FLOAT32")
        between = net.tensor("between", stored, "FLOAT32")
        net.operator("ADD", 1, [source, source], [between], "AddOptions")
        net.operator("ADD", 1, [source, between], [result], "AddOptions")
        return net.model([source], [result])

    return make


def _connected(keep: bool) -> Callable[[], ts.Model]:
    """Input rows that are twice as long as the weights' rows: taken as two rows each, unless dimensions are kept."""

    def make() -> ts.Model:
        net = Net()
        source, result = net.tensor("input", [1, 2, 6], "FLOAT32"), net.tensor("output", [4, 4], "FLOAT32")
        weights = net.tensor("weights", [4, 3], "FLOAT32", values=[[1.0, 2.0, 3.0]] * 4)
        net.operator("FULLY_CONNECTED", 5, [source, weights], [result], "FullyConnectedOptions", keep_num_dims=keep)
        return net.model([source], [result])

    return make


def _loose_bias(model: ts.Model) -> None:
    """A bias scale that no kernel of LiteRT's own accepts."""
    bias = part(model, "bias")
    bias.quantization.scale = [scale * 100 for scale in bias.quantization.scale]


def _float_convolution(has_bias: bool) -> Callable[[], ts.Model]:
    def make() -> ts.Model:
        net = Net()
        source, result = net.tensor("input", [1, 4, 4, 1], "FLOAT32"), net.tensor("output", [1, 4, 4, 2], "FLOAT32")
        inputs = [source, net.tensor("weights", [2, 2, 2, 1], "FLOAT32", values=[[[[1.0], [2.0]]] * 2] * 2)]
        if has_bias:
            inputs.append(net.tensor("bias", [2], "FLOAT32", values=[1.0, 2.0]))
        net.operator("CONV_2D", 1, inputs, [result], "Conv2DOptions", stride_w=1, stride_h=1)
        return net.model([source], [result])

    return make


def _short_bias(model: ts.Model) -> None:
    bias = part(model, "bias")
    bias.shape = [3]
    bias.buffer = ts.Buffer(bytes(12))


def _blocks(scale: int, block: int = 32) -> Callable[[], ts.Model]:
    """Weights of 4 bits in blocks, with a scale for each as the bits of a float16."""

    def make() -> ts.Model:
        net = Net()
        source, result = net.tensor("input", [1, 64], "FLOAT32"), net.tensor("output", [1, 4], "FLOAT32")
        weights = net.tensor("weights", [4, 64], "INT8")
        weights.type, weights.buffer = enum_class("TensorType")["INT4"], ts.Buffer(bytes(128))
        scales = net.tensor("scales", [4, 2], "INT8")
        scales.type = enum_class("TensorType")["FLOAT16"]
        scales.buffer = ts.Buffer(b"".join(half.to_bytes(2, "little") for half in [scale] + [0x3C00] * 7))
        net.buffers += [weights.buffer, scales.buffer]
        details = table_class("BlockwiseQuantization")(scales=scales, zero_points=None, block_size=block)
        weights.quantization = ts.QuantizationParameters(details=details)
        net.operator("FULLY_CONNECTED", 13, [source, weights], [result], "FullyConnectedOptions")
        return net.model([source], [result])

    return make


CASES = [
    Case("xnn-scale-normal", "xnnpack-scale", layer, _quantised("output", scale=[0.0]), REFUSED),
    Case("xnn-scale-normal/negative", "xnnpack-scale", layer, _quantised("input", scale=[-0.02]), REFUSED),
    Case("xnn-scale-normal/subnormal", "xnnpack-scale", layer, _quantised("output", scale=[1e-40]), REFUSED),
    Case("quant-scale-sign-not-checked", "xnnpack-scale", layer, _quantised("output", scale=[float("nan")]), REFUSED),
    Case("xnn-zp-range", "xnnpack-zero-point", layer, _quantised("input", zero_point=[300]), REFUSED),
    Case(
        "xnn-zp-per-channel-zero",
        "xnnpack-zero-point",
        _by_channel,
        _quantised("weights", _by_channel, zero_point=[0, 0, 0, 3]),
        REFUSED,
    ),
    Case("xnn-requant-256", "xnnpack-requantization", _requantised(128), _requantised(256), REFUSED),
    Case("xnn-reshape-runtime", "xnnpack-shape", _sum([2, 4]), _sum([2, 3]), REFUSED),
    Case("xnn-reshape-runtime/memory", "xnnpack-shape", _chain([9, 9]), _chain([1 << 20, 1 << 20]), REFUSED),
    Case("xnn-reshape-runtime/rows", "xnnpack-shape", _connected(False), _connected(True), REFUSED),
    Case("xnn-same-quant-ops", "xnnpack-definition", _pooled(0.5), _pooled(0.25), REFUSED),
    Case("xnn-bias-dtype", "xnnpack-definition", _convolution(), changed(_float_bias, _convolution()), REFUSED),
    Case(
        "xnn-filter-zp",
        "xnnpack-definition",
        _depthwise,
        _quantised("weights", _depthwise, zero_point=[3]),
        REFUSED,
    ),
    Case(
        "xnn-bias-count-not-checked",
        "xnnpack-wrong-numbers",
        _convolution(),
        changed(_short_bias, _convolution()),
        {"litert": "wrong-numbers"},
    ),
    # A node that the delegate takes is spared what its own kernel checks; tflite-runtime 2.14 asks the kernels first.
    Case(
        "xnn-skips-builtin-prepare",
        "bias-scale",
        layer,
        changed(_loose_bias),
        {"litert": "wrong-numbers", "litert-no-delegate": "refuses", "tflite-2.14": "refuses", "tflm": "refuses"},
    ),
    Case(
        "xnn-float-models-2-14",
        "bias-missing",
        _float_convolution(True),
        _float_convolution(False),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "refuses"},
    ),
    Case("quant-blockwise/scale", "xnnpack-scale", _blocks(0x3C00), _blocks(0), REFUSED),
    Case("quant-blockwise/size", "xnnpack-quantization", _blocks(0x3C00), _blocks(0x3C00, 64), REFUSED),
]
