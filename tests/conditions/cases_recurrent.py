"""Conditions of SVDF and of recurrent networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tflite_surgeon as ts
from tests.builders import GATES, Net, lstm, node, part, spread, svdf
from tests.conditions.case import Case, everywhere, tflite
from tflite_surgeon.flatbuffer.schema import enum_class

Change = Callable[[ts.Model], None]
_TYPES = enum_class("TensorType")
_ACTIVATIONS = enum_class("ActivationFunctionType")


def _with(make: Callable[[], ts.Model], change: Change) -> Callable[[], ts.Model]:
    def changed() -> ts.Model:
        model = make()
        change(model)
        return model

    return changed


def _option(name: str, value: Any) -> Change:
    def change(model: ts.Model) -> None:
        setattr(node(model).builtin_options, name, value)

    return change


def _shape(position: int, *shape: int) -> Change:
    """Another shape of an input; of a constant, with as many bytes."""

    def change(model: ts.Model) -> None:
        tensor = node(model).inputs[position]
        assert tensor is not None
        values = 1
        for length in shape:
            values *= length
        tensor.shape = list(shape)
        if tensor.buffer.data is not None:
            width = {"INT8": 1, "INT16": 2}.get(tensor.type_name, 4)
            tensor.buffer.data = bytes(values * width)

    return change


def _type(position: int, kind: str) -> Change:
    def change(model: ts.Model) -> None:
        tensor = node(model).inputs[position]
        assert tensor is not None
        tensor.type = _TYPES[kind]

    return change


def _constant_state(position: int) -> Change:
    def change(model: ts.Model) -> None:
        tensor = node(model).inputs[position]
        assert tensor is not None
        tensor.is_variable = False

    return change


def _unscaled(role: str) -> Change:
    def change(model: ts.Model) -> None:
        part(model, role).quantization = None

    return change


def _cell_scale(model: ts.Model) -> None:
    part(model, "cell_state").quantization.scale = [0.0003]


def _gate_bias_scale(model: ts.Model) -> None:
    """TFLM's kernel does not look at it: it computes in units of its own."""
    part(model, "input_gate_bias").quantization.scale = [0.01]


def _no_intermediates(model: ts.Model) -> None:
    node(model).intermediates = []


def _float_lstm() -> ts.Model:
    """A UNIDIRECTIONAL_SEQUENCE_LSTM in floats."""
    net = Net()
    units, depth = 3, 2
    source = net.tensor("input", [1, 2, depth], "FLOAT32")
    inputs: list[ts.Tensor | None] = [source]
    for name, width in (("input", depth), ("recurrent", units)):
        for number, gate in enumerate(GATES):
            values = spread([units, width], -2, 2, seed=number + width)
            inputs.append(net.tensor(f"{name}_to_{gate}_weights", [units, width], "FLOAT32", values=values))
    inputs += [None] * 3
    inputs += [net.tensor(f"{gate}_bias", [units], "FLOAT32", values=[1] * units) for gate in GATES]
    inputs += [None, None]
    inputs += [net.tensor(name, [1, units], "FLOAT32", variable=True) for name in ("output_state", "cell_state")]
    inputs += [None] * 4
    result = net.tensor("output", [1, 2, units], "FLOAT32")
    net.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        1,
        inputs,
        [result],
        "UnidirectionalSequenceLSTMOptions",
        fused_activation_function=_ACTIVATIONS["TANH"],
        cell_clip=7.0,
    )
    return net.model([source], [result])


def _full_lstm() -> ts.Model:
    """The float LSTM of 24 inputs."""
    model = _float_lstm()
    model.subgraphs[0].inputs[0].shape = [1, 2]
    model.subgraphs[0].outputs[0].shape = [1, 3]
    old = node(model)
    net = Net()
    net.operator(
        "LSTM",
        1,
        old.inputs,
        old.outputs,
        "LSTMOptions",
        fused_activation_function=_ACTIVATIONS["TANH"],
        cell_clip=7.0,
    )
    model.subgraphs[0].operators = net.operators
    model.operator_codes = list(net.codes.values())
    return model


def _network(operator: str = "RNN") -> ts.Model:
    """A simple recurrent network of three units."""
    net = Net()
    steps = [] if operator == "RNN" else [2]
    source = net.tensor("input", [1, *steps, 2], "FLOAT32")
    weights = net.tensor("weights", [3, 2], "FLOAT32", values=spread([3, 2], -2, 2))
    recurrent = net.tensor("recurrent", [3, 3], "FLOAT32", values=spread([3, 3], -2, 2))
    bias = net.tensor("bias", [3], "FLOAT32", values=[1, 1, 1])
    state = net.tensor("state", [1, 3], "FLOAT32", variable=True)
    result = net.tensor("output", [1, *steps, 3], "FLOAT32")
    options = "RNNOptions" if operator == "RNN" else "SequenceRNNOptions"
    activation = _ACTIVATIONS["TANH"]
    inputs = [source, weights, recurrent, bias, state]
    net.operator(operator, 1, inputs, [result], options, fused_activation_function=activation)
    return net.model([source], [result])


def _sequence() -> ts.Model:
    return _network("UNIDIRECTIONAL_SEQUENCE_RNN")


_REFUSED = tflite("refuses")
_REFUSED_EVERYWHERE = everywhere("refuses")


def _plain() -> ts.Model:
    return lstm(projection=False)


CASES = [
    Case("svdf/filters", "gates", svdf, _with(svdf, _option("rank", 3)), _REFUSED_EVERYWHERE),
    Case("svdf/bias", "bias-length", svdf, _with(svdf, _shape(3, 3)), _REFUSED_EVERYWHERE),
    Case("svdf/state", "state-variable", svdf, _with(svdf, _shape(4, 1, 9)), _REFUSED_EVERYWHERE),
    Case("svdf/depth", "gates", svdf, _with(svdf, _shape(0, 1, 2)), _REFUSED_EVERYWHERE),
    Case("svdf/type", "operator-types", svdf, _with(svdf, _type(0, "UINT8")), _REFUSED_EVERYWHERE),
    Case(
        "svdf/scale",
        "missing-quantization",
        svdf,
        _with(svdf, _unscaled("state")),
        {**_REFUSED, "tflm": "wrong-numbers"},
    ),
    Case(
        "svdf/activation",
        "fused-activation",
        svdf,
        _with(svdf, _option("fused_activation_function", _ACTIVATIONS["NONE"])),
        _REFUSED,
    ),
    Case("lstm-cell-scale", "power-of-two-scale", _plain, _with(_plain, _cell_scale), everywhere("wrong-numbers")),
    Case(
        "lstm-gate-bias-scale-tflm", "bias-scale", _plain, _with(_plain, _gate_bias_scale), everywhere("wrong-numbers")
    ),
    Case("lstm-intermediates", "intermediate-quantization", _plain, _with(_plain, _no_intermediates), _REFUSED),
    Case(
        "lstm-intermediates/hidden", "intermediate-quantization", _plain, _with(_plain, _unscaled("hidden")), _REFUSED
    ),
    Case("lstm-dims", "gates", _float_lstm, _with(_float_lstm, _shape(6, 3, 4)), _REFUSED_EVERYWHERE),
    Case("lstm-dims/bias", "gates", _float_lstm, _with(_float_lstm, _shape(13, 2)), _REFUSED_EVERYWHERE),
    Case("lstm-dims/clip", "option-value", _float_lstm, _with(_float_lstm, _option("cell_clip", -1.0)), _REFUSED),
    Case(
        "lstm-dims/state",
        "state-variable",
        _float_lstm,
        _with(_float_lstm, _constant_state(19)),
        _REFUSED_EVERYWHERE,
    ),
    Case("lstm-dims/full", "same-type", _full_lstm, _with(_full_lstm, _type(6, "INT32")), _REFUSED),
    Case("rnn-state", "state-variable", _network, _with(_network, _shape(4, 1, 4)), _REFUSED),
    Case("rnn-depth", "gates", _sequence, _with(_sequence, _shape(1, 3, 4)), _REFUSED),
]
