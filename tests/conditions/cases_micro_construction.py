"""Conditions of TFLM's Python package and allocator, around its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tflite_surgeon as ts
from tests.builders import Net, layer, node, part, scales
from tests.conditions.case import Case, own_kernels, tflite
from tflite_surgeon.flatbuffer.schema import enum_class

Change = Callable[[ts.Model], object]
_REFUSED = tflite("refuses")


def _changed(change: Change, make: Callable[[], ts.Model] = layer) -> Callable[[], ts.Model]:
    def made() -> ts.Model:
        model = make()
        change(model)
        return model

    return made


def _kind(name: str) -> Any:
    return enum_class("TensorType")[name]


def _without_buffers(model: ts.Model) -> None:
    model.buffers = None
    for tensor in model.subgraphs[0].tensors:
        tensor.buffer = ts.BadReference(0)


def _buffer_zero(model: ts.Model) -> None:
    model.buffers[0].data = bytes(range(100))


def _custom(name: str) -> Change:
    def change(model: ts.Model) -> None:
        code = model.operator_codes[0]
        code.builtin_code, code.deprecated_builtin_code = enum_class("BuiltinOperator")["CUSTOM"], 32
        code.custom_code, code.version = name, 1
        node(model).builtin_options = None

    return change


def _outside(model: ts.Model) -> None:
    part(model, "weights").buffer.outside = True


def _short(model: ts.Model) -> None:
    part(model, "weights").buffer.data = bytes(4)


def _negative(model: ts.Model) -> None:
    part(model, "weights").shape = [-4, 3]


def _no_zero_points(model: ts.Model) -> None:
    part(model, "input").quantization.zero_point = None


def _bias_by_channel(model: ts.Model) -> None:
    """As many scales in the bias as there are channels, each the right one, and one in the weights."""
    bias = part(model, "bias")
    bias.quantization.scale, bias.quantization.zero_point = [*scales(bias)] * 4, [0] * 4
    part(model, "output").quantization.scale = [0.0005]


def _far(model: ts.Model) -> None:
    node(model).inputs[0] = ts.BadReference(100_000)


def _empty_output(model: ts.Model) -> None:
    part(model, "output").shape = [0, 4]


def _unary(name: str = "RELU", kind: str = "FLOAT32") -> Callable[[], ts.Model]:
    def made() -> ts.Model:
        net = Net()
        source, result = (net.tensor(role, [2], kind) for role in ("input", "output"))
        net.operator(name, 1, [source], [result])
        return net.model([source], [result])

    return made


def _with_unused(kind: str) -> Callable[[], ts.Model]:
    """A tensor that no node uses."""

    def made() -> ts.Model:
        model = _unary()()
        model.subgraphs[0].tensors.append(
            ts.Tensor(name="unused", shape=[2], type=_kind(kind), buffer=model.buffers[0])
        )
        return model

    return made


def _with_intermediate(shape: list[int]) -> Callable[[], ts.Model]:
    def change(model: ts.Model) -> None:
        tensor = ts.Tensor(name="intermediate", shape=shape, type=_kind("FLOAT32"), buffer=model.buffers[0])
        model.subgraphs[0].tensors.append(tensor)
        node(model).intermediates = [tensor]

    return _changed(change)


def _custom_options(model: ts.Model) -> None:
    node(model).custom_options = b"more"


def _identifier(model: ts.Model) -> None:
    model.identifier = b"TFL2"


def _version(model: ts.Model) -> None:
    model.version = 2


def _operator_version(model: ts.Model) -> None:
    model.operator_codes[0].version = 99


def _no_such_buffer(model: ts.Model) -> None:
    part(model, "weights").buffer = ts.BadReference(77)


def _damaged(name: str, rule: str, change: Change, effects: dict[str, str]) -> Case:
    return Case(name, rule, layer, _changed(change), effects)


_WRONG = {"tflm": "wrong-numbers"}
CASES = [
    Case(
        "model-buffers-null-tflm",
        "missing-vector",
        _unary(),
        _changed(_without_buffers, _unary()),
        {**_REFUSED, "tflm": "crashes"},
    ),
    _damaged("model-buffers-null-tflm/constants", "missing-vector", _without_buffers, {**_REFUSED, "tflm": "crashes"}),
    _damaged("model-buffer0-nonempty-tflm", "sentinel-buffer", _buffer_zero, _WRONG),
    _damaged("fb-identifier-tflm-not-checked", "file-identifier", _identifier, _REFUSED),
    _damaged("model-schema-version-tflm", "schema-version", _version, _REFUSED),
    _damaged("opcode-version-tflm-ignored", "operator-version", _operator_version, _REFUSED),
    _damaged(
        "custom-op-unresolved-tflm", "custom-operator", _custom("NoSuchOperator"), {**_REFUSED, "tflm": "refuses"}
    ),
    _damaged("custom-op-unresolved-tflm/options", "custom-options", _custom("SignalWindow"), {"tflm": "crashes"}),
    _damaged("buffer-index-range-tflm", "buffer-index", _no_such_buffer, {**_REFUSED, "tflm": "unknown"}),
    _damaged("buffer-offset-tflm-unsupported", "buffer-offset", _outside, _WRONG),
    _damaged("tensor-const-bytes-tflm", "constant-size", _short, {**_REFUSED, **_WRONG}),
    _damaged("tensor-shape-overflow-tflm", "tensor-shape", _negative, {**_REFUSED, **_WRONG}),
    _damaged("quant-zp-null-tflm", "zero-points-missing", _no_zero_points, {**_REFUSED, **_WRONG}),
    # TFLM reads the first of several scales, the others' kernels none.
    _damaged("quant-legacy-params-tflm", "bias-scale", _bias_by_channel, own_kernels("refuses")),
    _damaged("tensor-index-range-tflm", "tensor-index", _far, {**_REFUSED, "tflm": "crashes"}),
    _damaged("tflm-no-dynamic/empty", "dynamic-shape", _empty_output, {"tflm": "refuses"}),
    Case("tflm-op-not-registered", "operator-availability", _unary(), _unary("RELU_N1_TO_1"), {"tflm": "refuses"}),
    Case("tflm-type-without-size", "tensor-type", _with_unused("INT8"), _with_unused("STRING"), {"tflm": "refuses"}),
    Case(
        "tflm-intermediate",
        "intermediate-tensor",
        _with_intermediate([0]),
        _with_intermediate([1]),
        {"tflm": "refuses"},
    ),
    _damaged("tflm-custom-options", "custom-options", _custom_options, {"tflm": "refuses"}),
]
