"""Small models of each kind of quantisation."""

from __future__ import annotations

import numpy as np

import tflite_surgeon as ts
from tests.builders import Net, spread
from tflite_surgeon.flatbuffer.schema import enum_class

UNITS, DEPTH = 3, 8


def _fully_connected(net: Net, source: ts.Tensor, weights: ts.Tensor, name: str = "output") -> ts.Tensor:
    result = net.tensor(name, [1, UNITS], "FLOAT32")
    net.operator("FULLY_CONNECTED", 1, [source, weights, None], [result], "FullyConnectedOptions")
    return result


def half(net: Net, name: str = "weights") -> ts.Tensor:
    """float16 weights."""
    tensor = net.tensor(name, [UNITS, DEPTH], "FLOAT32")
    tensor.type = enum_class("TensorType")["FLOAT16"]
    net.buffers.append(ts.Buffer(spread([UNITS, DEPTH], -9, 9).astype("<f2").tobytes()))
    tensor.buffer = net.buffers[-1]
    return tensor


def floating() -> ts.Model:
    net = Net()
    source = net.tensor("input", [1, DEPTH], "FLOAT32")
    weights = net.tensor("weights", [UNITS, DEPTH], "FLOAT32", values=spread([UNITS, DEPTH], -9, 9).astype(np.float32))
    return net.model([source], [_fully_connected(net, source, weights)])


def dynamic_range() -> ts.Model:
    net = Net()
    source = net.tensor("input", [1, DEPTH], "FLOAT32")
    weights = net.tensor("weights", [UNITS, DEPTH], "INT8", 0.5, 0, spread([UNITS, DEPTH], -9, 9))
    return net.model([source], [_fully_connected(net, source, weights)])


def unpacked(kind: str) -> ts.Model:
    """Weights that DEQUANTIZE unpacks: of FLOAT16 or INT8."""
    net = Net()
    source = net.tensor("input", [1, DEPTH], "FLOAT32")
    if kind == "FLOAT16":
        stored = half(net)
    else:
        stored = net.tensor("weights", [UNITS, DEPTH], "INT8", 0.5, 0, spread([UNITS, DEPTH], -9, 9))
    weights = net.tensor("unpacked", [UNITS, DEPTH], "FLOAT32")
    net.operator("DEQUANTIZE", 3, [stored], [weights], "DequantizeOptions")
    return net.model([source], [_fully_connected(net, source, weights)])


def mixed() -> ts.Model:
    """An int8 layer, DEQUANTIZE, and a float SOFTMAX."""
    net = Net()
    source = net.tensor("input", [1, DEPTH], "INT8", 0.1)
    weights = net.tensor("weights", [UNITS, DEPTH], "INT8", 0.5, 0, spread([UNITS, DEPTH], -9, 9))
    integers = net.tensor("integers", [1, UNITS], "INT8", 0.2, 1)
    net.operator("FULLY_CONNECTED", 4, [source, weights, None], [integers], "FullyConnectedOptions")
    reals = net.tensor("reals", [1, UNITS], "FLOAT32")
    net.operator("DEQUANTIZE", 2, [integers], [reals], "DequantizeOptions")
    result = net.tensor("output", [1, UNITS], "FLOAT32")
    net.operator("SOFTMAX", 1, [reals], [result], "SoftmaxOptions", beta=1.0)
    return net.model([source], [result])
