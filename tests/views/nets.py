"""Models whose inputs and outputs matter, for tests of what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence

import tflite_surgeon as ts
from tests import builders
from tflite_surgeon.flatbuffer.schema import enum_class


def picture(
    kind: str = "FLOAT32",
    shape: Sequence[int] = (1, 100, 100, 3),
    *,
    scale: float | None = None,
    zero_point: int = 0,
    weights: str = "INT8",
    signature: Sequence[int] | None = None,
) -> ts.Model:
    """A CONV_2D on a picture; with FLOAT32 at both ends and INT8 weights what quantising after training leaves."""
    net = builders.Net()
    channels, high, wide = shape[3], shape[1], shape[2]
    source = net.tensor("serving_default_x:0", shape, kind, scale, zero_point)
    source.shape_signature = None if signature is None else list(signature)
    values = builders.spread([5, 3, 3, channels], -100, 100)
    filters = net.tensor("w", [5, 3, 3, channels], weights, 0.01 if weights == "INT8" else None, 0, values)
    bias = net.tensor("b", [5], "FLOAT32", values=[0.0] * 5)
    result = net.tensor("y", [shape[0], high - 2, wide - 2, 5], kind, scale, zero_point)
    valid = enum_class("Padding")["VALID"]
    net.operator(
        "CONV_2D", 3, [source, filters, bias], [result], "Conv2DOptions", padding=valid, stride_w=1, stride_h=1
    )
    return net.model([source], [result])


def open_batch() -> ts.Model:
    """An integer CONV_2D whose batch can be resized."""
    model = builders.layer("CONV_2D")
    source = model.subgraphs[0].inputs[0]
    source.shape_signature = [-1, *source.shape[1:]]
    return model


def behind_quantize() -> ts.Model:
    """FLOAT32 at both ends, integers between."""
    net = builders.Net()
    source = net.tensor("x", [2, 3], "FLOAT32")
    inside = net.tensor("quantized", [2, 3], "INT8", 0.02, -7)
    _, last = builders.net_layer(net, source=inside)
    net.operators.insert(0, net.operators.pop())
    result = net.tensor("y", last.shape, "FLOAT32")
    net.operator("QUANTIZE", 1, [source], [inside])
    net.operators.insert(0, net.operators.pop())
    net.operator("DEQUANTIZE", 2, [last], [result])
    return net.model([source], [result])


def empty() -> ts.Model:
    """A model without a subgraph."""
    return ts.Model(version=3, buffers=[ts.Buffer()])


def broken() -> ts.Model:
    """Inputs and outputs that point nowhere, tensors without name, shape and known type, vectors that are absent."""
    model = builders.layer()
    graph = model.subgraphs[0]
    graph.inputs = [ts.BadReference(99), None, *graph.inputs]
    graph.outputs = None
    graph.tensors += [
        ts.Tensor(type=99, buffer=model.buffers[0]),
        ts.Tensor(shape=[-1, 4], buffer=ts.BadReference(7), name="\x1b[31m<b>\udc80"),
    ]
    model.signature_defs[0].inputs[0].tensor = ts.BadReference(98)
    model.signature_defs.append(ts.SignatureDef(subgraph=ts.BadReference(5)))
    return model
