"""Conditions of FULLY_CONNECTED."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tflite_surgeon as ts
from tests.builders import Net, integers, layer, node, part, scales, spread
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

Change = Callable[[ts.Model], Any]


def _changed(change: Change, **arguments: Any) -> ts.Model:
    model = layer(**arguments)
    change(model)
    return model


def _case(
    name: str, rule: str, change: Change, effects: dict[str, str], inside: Change | None = None, **arguments: Any
) -> Case:
    """A layer that is sound, or that `inside` changes, and the same layer changed."""
    return Case(
        name,
        rule,
        lambda: _changed(inside or (lambda model: None), **arguments),
        lambda: _changed(change, **arguments),
        effects,
    )


# Changes


def _scale(role: str, *values: float) -> Change:
    """Write other scales, as many as given, with zero points to match."""

    def change(model: ts.Model) -> None:
        quantization = part(model, role).quantization
        quantization.zero_point = [quantization.zero_point[0]] * len(values)
        quantization.scale = [float(np.float32(value)) for value in values]

    return change


def _unsigned_weights(model: ts.Model) -> None:
    part(model, "weights").type = enum_class("TensorType")["UINT8"]


def _zero_point(role: str, value: int) -> Change:
    def change(model: ts.Model) -> None:
        quantization = part(model, role).quantization
        quantization.zero_point = [value] * len(quantization.scale)

    return change


def _unquantized(role: str) -> Change:
    def change(model: ts.Model) -> None:
        part(model, role).quantization = None

    return change


def _without_bias(model: ts.Model) -> None:
    node(model).inputs = node(model).inputs[:2]


def _both(*changes: Change) -> Change:
    def change(model: ts.Model) -> None:
        for one in changes:
            one(model)

    return change


def _typed(role: str, kind: str) -> Change:
    """Store the same integers as another type."""

    def change(model: ts.Model) -> None:
        tensor = part(model, role)
        if tensor.data is not None:
            dtype = {"INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "u1"}[kind]
            tensor.buffer.data = (np.array(integers(tensor)) % 128).astype(dtype).tobytes()
        tensor.type = enum_class("TensorType")[kind]

    return change


def _shaped(role: str, *shape: int) -> Change:
    def change(model: ts.Model) -> None:
        part(model, role).shape = list(shape)

    return change


def _option(name: str, value: Any) -> Change:
    def change(model: ts.Model) -> None:
        setattr(node(model).builtin_options, name, value)

    return change


def _activation(name: str) -> Change:
    return _option("fused_activation_function", enum_class("ActivationFunctionType")[name])


def _bias_off(ratio: float, channels: int = 1) -> Change:
    """Write a bias scale that is off by this part of the output's scale."""

    def change(model: ts.Model) -> None:
        unit = scales(part(model, "input"))[0] * scales(part(model, "weights"))[0]
        _scale("bias", *[unit + ratio * scales(part(model, "output"))[0]] * channels)(model)

    return change


def _second_output(model: ts.Model) -> None:
    graph = model.subgraphs[0]
    extra = ts.Tensor(name="extra", shape=[1], type=graph.tensors[0].type, buffer=model.buffers[0])
    graph.tensors.append(extra)
    node(model).outputs = [*node(model).outputs, extra]


def _shorter_bias(model: ts.Model) -> None:
    bias = part(model, "bias")
    bias.shape, bias.buffer.data = [2], bytes(bias.buffer.data[:8])


def _scales_too_few(model: ts.Model) -> None:
    """One scale less than rows."""
    quantization = part(model, "weights").quantization
    quantization.scale, quantization.zero_point = quantization.scale[:3], [0] * 3


def _described_as_blocks(model: ts.Model) -> None:
    """Scales of channels, and beside them the table of another scheme."""
    weights = part(model, "weights")
    weights.quantization.details = table_class("BlockwiseQuantization")(scales=weights, zero_points=None, block_size=5)


def _scales_along_depth(model: ts.Model) -> None:
    """As many scales as columns instead of rows."""
    weights = part(model, "weights")
    weights.quantization.scale = weights.quantization.scale[:3]
    weights.quantization.zero_point = [0] * 3
    weights.quantization.quantized_dimension = 1


# Weights of other types


def _packed(zero_point: int = 0) -> ts.Model:
    """Weights of 4 bits, beside 16 that the delegate does not take."""
    net = Net()
    source = net.tensor("input", [2, 4], "INT16", 0.02)
    weights = net.tensor("weights", [4, 4], "INT8", 0.1, zero_point, spread([4, 4], -7, 7))
    weights.type = enum_class("TensorType")["INT4"]
    weights.buffer.data = bytes(8)
    result = net.tensor("output", [2, 4], "INT16", 0.3)
    net.operator("FULLY_CONNECTED", 10, [source, weights], [result], "FullyConnectedOptions")
    return net.model([source], [result])


def _floats(
    weights_kind: str = "FLOAT32",
    scale: list[float] | None = None,
    *,
    bias_kind: str = "FLOAT32",
    output_kind: str = "FLOAT32",
    activation: str = "NONE",
) -> ts.Model:
    net = Net()
    source = net.tensor("input", [2, 8], "FLOAT32")
    weights = net.tensor("weights", [4, 8], weights_kind, scale, 0, spread([4, 8], -100, 100))
    bias = net.tensor("bias", [4], bias_kind, None, 0, [1, 2, 3, 4])
    result = net.tensor("output", [2, 4], output_kind)
    version = 1 if weights_kind == "FLOAT32" else 3
    net.operator("FULLY_CONNECTED", version, [source, weights, bias], [result], "FullyConnectedOptions")
    _activation(activation)(model := net.model([source], [result]))
    return model


def _hybrid(**arguments: Any) -> ts.Model:
    return _floats("INT8", [0.1], **arguments)


def _sparse(block: int, kind: str = "FLOAT32", *, zero_point: int = 0, is_csr: bool = True) -> ts.Model:
    """Weights with one block in each row."""
    net = Net()
    scale = None if kind == "FLOAT32" else 0.02
    source = net.tensor("input", [2, 16], kind, scale)
    weights = net.tensor("weights", [4, 16], kind, scale, zero_point)
    weights.buffer = ts.Buffer(bytes(4 * block * (4 if kind == "FLOAT32" else 1)))
    net.buffers.append(weights.buffer)
    form, numbers, part_of = enum_class("DimensionType"), table_class("Int32Vector"), table_class("DimensionMetadata")
    sizes = [
        part_of(format=form["DENSE"], dense_size=4),
        part_of(
            format=form["SPARSE_CSR" if is_csr else "DENSE"],
            dense_size=16 // block,
            array_segments=numbers(values=[0, 1, 2, 3, 4]),
            array_indices=numbers(values=[0, 0, 0, 0]),
        ),
        part_of(format=form["DENSE"], dense_size=block),
    ]
    table = table_class("SparsityParameters")
    weights.sparsity = table(traversal_order=[0, 1, 2], block_map=[1], dim_metadata=sizes)
    result = net.tensor("output", [2, 4], kind, scale)
    net.operator("FULLY_CONNECTED", 8, [source, weights], [result], "FullyConnectedOptions")
    return net.model([source], [result])


_OWN = own_kernels("refuses")
_REFUSES = tflite("refuses")
_TFLM_WRONG = {**_REFUSES, "tflm": "wrong-numbers"}
_NOT_TAKEN_WRONG = {**own_kernels("wrong-numbers"), "tflm": "wrong-numbers"}
_AXIS = {
    "litert": "refuses",
    "litert-no-delegate": "refuses",
    "tflite-2.14": "wrong-numbers",
    "tflm": "wrong-numbers",
}

CASES = [
    # Bias scales
    _case(
        "bias-scale-002",
        "bias-scale",
        _bias_off(0.0201),
        {**everywhere("refuses"), "litert": "wrong-numbers"},
    ),
    _case("bias-scale-002/kernel", "bias-scale", _bias_off(0.0201), everywhere("refuses"), kind="INT16"),
    _case(
        "fc-bias-scale",
        "bias-scale",
        _unquantized("bias"),
        everywhere("refuses"),
        input_scale=0.15,
        output_scale=0.012,
    ),
    _case("fc-bias-scale-int16", "bias-scale", _bias_off(0.0201), everywhere("refuses"), kind="INT16"),
    _case(
        "fc-bias-scale-per-channel-2-14",
        "bias-scale",
        _scale("bias", 0.001),
        {**everywhere("wrong-numbers"), "tflite-2.14": "refuses"},
        per_channel=True,
    ),
    _case(
        "fc-bias-scale-per-channel-none",
        "bias-scale",
        _scale("bias", 0.001, 0.001, 0.001, 0.001),
        everywhere("wrong-numbers"),
        per_channel=True,
    ),
    _case(
        "fc-bias-per-axis-scale-reads-0",
        "bias-scale",
        _scale("bias", 0.0006, 0.0006, 0.0006, 0.0006),
        _OWN,
        input_scale=0.15,
        output_scale=0.012,
    ),
    # Counts and shapes
    _case("fc-num-inputs", "tensor-count", lambda model: node(model).inputs.append(part(model, "bias")), _REFUSES),
    _case("fc-num-outputs", "tensor-count", _second_output, _REFUSES),
    _case("fc-filter-rank", "tensor-rank", _shaped("weights", 4, 1, 3), _REFUSES),
    _case("fc-bias-count", "bias-length", _shorter_bias, {**_REFUSES, "tflm": "wrong-numbers"}),
    _case("fc-k-mismatch", "inner-dimension", _shaped("input", 2, 4), _NOT_TAKEN_WRONG),
    _case(
        "fc-keepdims-k",
        "inner-dimension",
        _both(_option("keep_num_dims", True), _shaped("input", 1, 6)),
        _REFUSES,
        _option("keep_num_dims", True),
        kind="INT16",
    ),
    # Types
    _case("fc-types-quant", "bias-type", _typed("bias", "INT8"), _TFLM_WRONG),
    _case("fc-types-quant/output", "operator-types", _typed("output", "INT32"), everywhere("refuses")),
    Case("fc-types-hybrid", "bias-type", _hybrid, lambda: _hybrid(bias_kind="INT32"), _REFUSES),
    Case("fc-types-float", "operator-types", _floats, lambda: _floats(output_kind="INT32"), _REFUSES),
    _case("fc-bias-int64-int8-act", "bias-type", _typed("bias", "INT64"), everywhere("wrong-numbers")),
    _case(
        "fc-bias-int32-int16-act",
        "bias-type",
        _both(_option("quantized_bias_type", 0), _zero_point("weights", 1)),
        {"litert": "wrong-numbers", "litert-no-delegate": "wrong-numbers"},
        _option("quantized_bias_type", 0),
        kind="INT16",
        bias_type="INT32",
        version=7,
    ),
    _case(
        "fc-qbt",
        "bias-type",
        _option("quantized_bias_type", enum_class("TensorType")["INT64"]),
        {"litert": "refuses", "litert-no-delegate": "refuses"},
        kind="INT16",
        bias_type="INT32",
        version=11,
    ),
    # Scales
    _case("fc-input-quant", "missing-quantization", _unquantized("input"), _TFLM_WRONG),
    _case("fc-filter-quant", "missing-quantization", _unquantized("weights"), _TFLM_WRONG),
    _case("fc-output-quant-missing", "missing-quantization", _unquantized("output"), everywhere("wrong-numbers")),
    _case(
        "fc-output-quant-missing/no-bias",
        "missing-quantization",
        _both(_without_bias, _unquantized("output")),
        everywhere("wrong-numbers"),
        _without_bias,
    ),
    _case(
        "fc-perchannel-act",
        "quantization-scheme",
        _scale("weights", 0.004, 0.004, 0.004, 0.004),
        _REFUSES,
        kind="UINT8",
    ),
    _case(
        "quant-blockwise",
        "quantization-scheme",
        _described_as_blocks,
        {"litert": "refuses", "litert-no-delegate": "refuses"},
    ),
    _case("fc-perchannel-size", "scale-count", _scales_too_few, everywhere("refuses"), per_channel=True),
    _case("fc-perchannel-wtype", "quantization-scheme", _unsigned_weights, _REFUSES, per_channel=True),
    _case("fc-perchannel-qdim0", "quantized-dimension", _scales_along_depth, _AXIS, per_channel=True),
    _case("fc-int16-zp", "int16-zero-point", _zero_point("input", 1), _REFUSES, kind="INT16"),
    Case(
        "fc-int4-zp",
        "weights-zero-point",
        _packed,
        lambda: _packed(3),
        {"litert": "refuses", "litert-no-delegate": "refuses"},
    ),
    _case(
        "fc-filter-zp-int8",
        "weights-zero-point",
        _zero_point("weights", 3),
        _NOT_TAKEN_WRONG,
        per_channel=True,
    ),
    _case("fc-bias-zp", "bias-zero-point", _zero_point("bias", 5), everywhere("wrong-numbers")),
    # Activations
    _case("fc-activation", "fused-activation", _activation("TANH"), _TFLM_WRONG),
    # Float inputs with integer weights
    Case(
        "fc-hybrid-scale-missing",
        "missing-quantization",
        _hybrid,
        lambda: _floats("INT8"),
        tflite("wrong-numbers"),
    ),
    Case(
        "fc-hybrid-perchannel-2-14",
        "quantization-scheme",
        _hybrid,
        lambda: _floats("INT8", [0.1] * 4),
        {"tflite-2.14": "wrong-numbers"},
    ),
    # Other layouts of weights
    Case("fc-sparse-format", "weights-format", lambda: _sparse(4), lambda: _sparse(16), _REFUSES),
    Case("fc-sparse-format/dense", "weights-format", lambda: _sparse(4), lambda: _sparse(4, is_csr=False), _REFUSES),
    Case(
        "fc-sparse-format/integers",
        "weights-format",
        lambda: _sparse(16, "INT8"),
        lambda: _sparse(4, "INT8"),
        _REFUSES,
    ),
    Case(
        "fc-sparse-format/integers-dense",
        "weights-format",
        lambda: _sparse(16, "INT8"),
        lambda: _sparse(16, "INT8", is_csr=False),
        _REFUSES,
    ),
    Case(
        "fc-sparse-format/zero-point",
        "weights-zero-point",
        lambda: _sparse(16, "INT8"),
        lambda: _sparse(16, "INT8", zero_point=3),
        _REFUSES,
    ),
]
