"""Conditions that damage of real models brought to light."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import tflite_surgeon as ts
from tests.builders import Net, node
from tests.conditions.case import Case, tflite
from tests.conditions.single import Side, single
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

_PADDING = enum_class("Padding")
_TYPES = enum_class("TensorType")


def _with(make: Callable[[], ts.Model], change: Callable[[ts.Model], None]) -> Callable[[], ts.Model]:
    def changed() -> ts.Model:
        model = make()
        change(model)
        return model

    return changed


def _convolution(
    image: Sequence[int] = (1, 4, 4, 2),
    weights: Sequence[int] = (4, 3, 3, 2),
    result: Sequence[int] = (1, 2, 2, 4),
    padding: int = _PADDING["VALID"],
    bias_type: int = 0,
) -> ts.Model:
    net = Net()
    source, made = net.tensor("input", image, "FLOAT32"), net.tensor("output", result, "FLOAT32")
    filters = net.tensor("weights", weights, "FLOAT32", values=np.ones(weights))
    bias = net.tensor("bias", weights[:1], "FLOAT32", values=np.zeros(weights[0]))
    options = {"padding": padding, "stride_w": 1, "stride_h": 1, "quantized_bias_type": bias_type}
    net.operator("CONV_2D", 1, [source, filters, bias], [made], "Conv2DOptions", **options)
    return net.model([source], [made])


def _transposed(stride: int = 1) -> ts.Model:
    net = Net()
    shape = net.tensor("shape", [4], "INT32", values=[1, 4, 4, 2])
    weights = net.tensor("weights", [2, 3, 3, 2], "FLOAT32", values=np.ones((2, 3, 3, 2)))
    source, made = net.tensor("input", [1, 2, 2, 2], "FLOAT32"), net.tensor("output", [1, 4, 4, 2], "FLOAT32")
    options = {"padding": _PADDING["VALID"], "stride_w": stride, "stride_h": 1}
    net.operator("TRANSPOSE_CONV", 1, [shape, weights, source], [made], "TransposeConvOptions", **options)
    return net.model([source], [made])


def _permuted(order: list[int]) -> ts.Model:
    axis = Side("INT32", shape=[3], values=order)
    return single("TRANSPOSE", Side(shape=(2, 2, 2)), Side(shape=(2, 2, 2)), "TransposeOptions", axis=axis)


def _spread(channels: int) -> ts.Model:
    source, result = Side(shape=(1, 4, 4, channels)), Side(shape=(1, 2, 2, 4 * channels))
    return single("SPACE_TO_DEPTH", source, result, "SpaceToDepthOptions", block_size=2)


def _pooled(channels: int) -> ts.Model:
    source, result = Side(shape=(1, 4, 4, channels)), Side(shape=(1, 3, 3, channels))
    size = {"filter_width": 2, "filter_height": 2, "stride_w": 1, "stride_h": 1, "padding": _PADDING["VALID"]}
    return single("MAX_POOL_2D", source, result, "Pool2DOptions", **size)


def _packed(zero_point: int) -> ts.Model:
    net = Net()
    source, made = net.tensor("input", [1, 4], "INT8", 0.1), net.tensor("output", [1, 2], "INT8", 0.2)
    weights = net.tensor("weights", [2, 4], "INT8", 0.1, zero_point, np.ones((2, 4)))
    weights.type = _TYPES["INT4"]
    weights.buffer.data = bytes(4)
    net.operator("FULLY_CONNECTED", 10, [source, weights], [made], "FullyConnectedOptions")
    return net.model([source], [made])


def _signed() -> ts.Model:
    return single("NEG", options="NegOptions")


def _unlisted(name: str) -> Callable[[ts.Model], None]:
    def change(model: ts.Model) -> None:
        setattr(model.signature_defs[0], name, None)

    return change


def _summed(held: int = 0) -> ts.Model:
    axis = Side("INT32", shape=[1], values=[0])
    model = single("CUMSUM", Side(shape=[4]), Side(shape=[4]), "CumsumOptions", axis=axis)
    if held:
        model.buffers.append(ts.Buffer(bytes(held)))
        node(model).outputs[0].buffer = model.buffers[-1]
    return model


def _strings(count: int) -> ts.Model:
    source, result = Side("STRING", shape=(2, 3)), Side("STRING", shape=[6])
    return single("RESHAPE", source, result, "ReshapeOptions", axis=Side("INT32", shape=[1], values=[count]))


def _reshaped(shape: Sequence[int]) -> ts.Model:
    """The second input is computed and no list of integers, so that the options count."""
    net = Net()
    source, other = net.tensor("input", [2, 3], "FLOAT32"), net.tensor("other", [2], "FLOAT32")
    made = net.tensor("output", [6], "FLOAT32")
    net.operator("RESHAPE", 1, [source, other], [made], "ReshapeOptions", new_shape=list(shape))
    return net.model([source, other], [made])


def _squeezed(is_made: bool) -> ts.Model:
    model = single("SQUEEZE", Side(shape=(1, 4)), Side(shape=[4]), "SqueezeOptions", squeeze_dims=[0])
    if not is_made:
        model.subgraphs[0].operators[0].outputs = [None]
    return model


def _composed(has_attributes: bool = True) -> ts.Model:
    """A composite whose decomposition adds its inputs."""
    outer, inner = Net(), Net()
    sources = [outer.tensor("first", [4], "FLOAT32"), outer.tensor("second", [4], "FLOAT32")]
    made = outer.tensor("output", [4], "FLOAT32")
    call = outer.operator("STABLEHLO_COMPOSITE", 1, sources, [made])
    model = outer.model(sources, [made])
    parts = [inner.tensor("first", [4], "FLOAT32"), inner.tensor("second", [4], "FLOAT32")]
    result = inner.tensor("output", [4], "FLOAT32")
    for tensor in (*parts, result):
        tensor.buffer = model.buffers[0]
    inner.operator("ADD", 1, parts, [result], "AddOptions")
    body = inner.model(parts, [result])
    model.subgraphs.append(body.subgraphs[0])
    model.operator_codes += body.operator_codes
    options = table_class("StableHLOCompositeOptions")
    call.builtin_options_2 = options(
        name="test.add",
        decomposition_subgraph=body.subgraphs[0],
        composite_attributes=bytes(4) if has_attributes else None,
    )
    return model


def _sliced(begin_mask: int) -> ts.Model:
    net = Net()
    source, made = net.tensor("input", [4], "FLOAT32"), net.tensor("output", [2], "FLOAT32")
    given = [net.tensor(name, [1], "INT32", values=[value]) for name, value in (("b", 1), ("e", 2), ("s", 1))]
    options = {"offset": True, "begin_mask": begin_mask}
    net.operator("STRIDED_SLICE", 8, [source, *given], [made], "StridedSliceOptions", **options)
    return net.model([source], [made])


_NEW_ONLY = {"litert": "refuses", "litert-no-delegate": "refuses"}

CASES = [
    Case(
        "delegate-window",
        "xnnpack-shape",
        _convolution,
        lambda: _convolution((1, 2, 2, 2), result=(1, 1, 1, 4)),
        {"litert": "refuses"},
    ),
    Case(
        "delegate-groups",
        "xnnpack-definition",
        lambda: _convolution((1, 4, 4, 4)),
        lambda: _convolution((1, 4, 4, 4), (3, 3, 3, 2), (1, 2, 2, 3)),
        {"litert": "refuses"},
    ),
    Case("delegate-no-stride", "xnnpack-crash", _transposed, lambda: _transposed(0), {"litert": "crashes"}),
    Case(
        "delegate-permutation",
        "xnnpack-definition",
        lambda: _permuted([-1, 0, 1]),
        lambda: _permuted([0, 0, 1]),
        {"litert": "refuses"},
    ),
    Case("delegate-empty", "xnnpack-shape", lambda: _spread(1), lambda: _spread(0), {"litert": "refuses"}),
    Case("delegate-empty/pool", "xnnpack-shape", lambda: _pooled(1), lambda: _pooled(0), {"litert": "refuses"}),
    Case(
        "delegate-int4-zero-point", "xnnpack-definition", lambda: _packed(0), lambda: _packed(1), {"litert": "refuses"}
    ),
    Case(
        "signature-without-inputs",
        "signature",
        _signed,
        _with(_signed, _unlisted("inputs")),
        {"tflite-2.14": "refuses"},
    ),
    Case(
        "signature-without-outputs",
        "signature",
        _signed,
        _with(_signed, _unlisted("outputs")),
        {"tflite-2.14": "refuses"},
    ),
    Case("constant-output-length", "constant-output", _summed, lambda: _summed(32), tflite("refuses")),
    Case(
        "bias-type-unknown",
        "tensor-type",
        _convolution,
        lambda: _convolution(bias_type=100),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflm": "refuses"},
    ),
    # LiteRT says nothing of it.
    Case(
        "padding-unknown",
        "option-value",
        _convolution,
        lambda: _convolution(padding=2),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers"},
        in_reality=False,
    ),
    Case("reshape-strings", "element-count", lambda: _strings(6), lambda: _strings(5), tflite("refuses")),
    Case("reshape-by-options", "element-count", lambda: _reshaped([6]), lambda: _reshaped([5]), tflite("refuses")),
    Case(
        "squeeze-without-output",
        "missing-input",
        lambda: _squeezed(True),
        lambda: _squeezed(False),
        {**tflite("refuses"), "tflite-2.14": "crashes", "tflm": "crashes"},
    ),
    Case("composite-attributes", "missing-options", _composed, lambda: _composed(False), _NEW_ONLY),
    Case("strided-offset-mask", "slice-bounds", lambda: _sliced(0), lambda: _sliced(1), tflite("unknown")),
]
