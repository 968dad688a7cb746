"""Whatever a model holds, checking and repairing it is a SurgeonError or a model that is no worse."""

from __future__ import annotations

import math

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, part, scales
from tests.edits.expected import fix_biases

NAN = float("nan")


# Odd models: whatever happens, it is a SurgeonError or a model that is no worse


def _nothing_worse(model: ts.Model) -> None:
    before = {(f.rule, f.path) for f in ts.check(model) if f.severity == ts.Severity.ERROR}
    for keep in ("auto", "values", "integers"):
        try:
            outcome = fix_biases(model, keep=keep)
        except ts.SurgeonError:
            continue
        after = [f for f in outcome.remaining if f.severity == ts.Severity.ERROR]
        assert {(f.rule, f.path) for f in after} <= before
        left = {(f.path, f.details.get("bias_role")) for f in after if f.rule == "bias-scale"}
        assert not {(r.use.node.path, r.use.addend.bias) for r in outcome.repairs} & left


_VALUES = {
    "scale": [None, [], [0.0], [-1.0], [NAN], [math.inf], [1e-45], [3e38], [1e300], [0.1] * 3, [0.1, NAN, 0.1, 0.1]],
    "zero_point": [None, [], [2**62], [0, 1, 2], [-1] * 4],
    "quantized_dimension": [-1, 7],
    "min": [[], [NAN], [1.0, 2.0], [math.inf]],
    "shape": [None, [], [0], [-1], [4, 0], [2, 2], [1, 1, 1, 4], [3], [2**31 - 1], [2**31 - 1] * 3],
    "type": [0, 2, 4, 7, 9, 17, 99],
    "data": [None, b"", b"\0", bytes(7), bytes(1000)],
}
_SPOTS = [(name, value) for name, values in _VALUES.items() for value in values]


@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "TRANSPOSE_CONV", "SVDF", "LSTM"])
@pytest.mark.parametrize("off", [False, True])
def test_odd_values_anywhere(operator, off):
    makers = {"SVDF": builders.svdf, "LSTM": lambda: builders.lstm(layer_norm=True)}
    make = makers.get(operator, lambda: builders.layer(operator, per_channel=off))
    count = len(make().subgraphs[0].tensors)
    for number in range(count):
        for name, value in _SPOTS:
            model = make()
            if off:
                for role in ("bias", "forget_gate_bias"):
                    bias = builders.node(model).role(role)
                    if bias is not None:
                        damage(bias, 3.0)
            tensor = model.subgraphs[0].tensors[number]
            if name in ("shape", "type"):
                setattr(tensor, name, value)
            elif name == "data":
                tensor.buffer = ts.Buffer(value)
                model.buffers.append(tensor.buffer)
            elif tensor.quantization is not None:
                setattr(tensor.quantization, name, value)
            _nothing_worse(model)


@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_odd_operators(operator):
    for position in range(5):
        for odd in (None, ts.BadReference(99), "bias", "weights", "output", "gone"):
            model = builders.layer(operator)
            damage(part(model, "bias"), 3.0)
            node = builders.node(model)
            if position == 4:
                node.outputs = [] if odd is None else [odd] if isinstance(odd, ts.BadReference) else None
            elif odd == "gone":
                node.inputs = node.inputs[:position]
            elif position < len(node.inputs):
                node.inputs[position] = node.role(odd) if isinstance(odd, str) else odd
            _nothing_worse(model)


@pytest.mark.parametrize("options", [None, "ReshapeOptions", "SVDFOptions"])
@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_options_of_another_operator(operator, options):
    model = builders.layer(operator)
    damage(part(model, "bias"), 3.0)
    builders.node(model).builtin_options = builders.table_class(options)() if options else None
    _nothing_worse(model)


def test_a_model_of_nothing():
    for model in (
        ts.Model(version=3),
        ts.Model(version=3, subgraphs=[]),
        ts.Model(version=3, subgraphs=[ts.SubGraph()]),
    ):
        assert ts.check(model, select=["bias-scale"]) == []
        assert fix_biases(model).repairs == ()


def test_a_tensor_that_two_subgraphs_list():
    model = builders.two_subgraphs(builders.layer(), builders.layer())
    shared = part(model, "bias")
    model.subgraphs[1].tensors.append(shared)
    builders.node(model, 0, 1).inputs[2] = shared
    damage(shared, 3.0)
    _nothing_worse(model)


def test_a_bias_that_no_subgraph_lists():
    model = builders.layer()
    bias = part(model, "bias")
    damage(bias, 3.0)
    stored = scales(bias)
    model.subgraphs[0].tensors.remove(bias)
    with pytest.raises(ts.SurgeonError):
        fix_biases(model)
    assert scales(bias) == stored
