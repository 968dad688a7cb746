"""The kind of quantisation, on a model of each."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests.builders import Net, layer
from tests.views import models
from tflite_surgeon.views.arithmetic import number_kind


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        (models.floating(), "float", "nothing is quantised"),
        (models.unpacked("FLOAT16"), "float16-weights", "1 operator holds its weights in float16, unpacked"),
        (models.dynamic_range(), "dynamic-range", "1 operator holds its weights in int8, activations are float32"),
        (models.unpacked("INT8"), "weight-only", "unpacked to float32 before use"),
        (layer(kind="INT8"), "full-integer-int8", "weights are int8, activations int8"),
        (layer(kind="UINT8"), "full-integer-uint8", "weights are uint8, activations uint8"),
        (layer(kind="INT16"), "full-integer-16x8", "weights are int8, activations int16"),
        (Net().model([], []), "none", "No operator"),
        (ts.Model(), "none", "No operator"),
    ],
)
def test_each_kind(model: ts.Model, kind: str, words: str) -> None:
    found = number_kind(model)
    assert found.kind == kind
    assert words in found.sentence
    assert (found.float_operators, found.why) == ([], None)


def test_a_mixed_model_names_what_stays_float_and_why_that_matters() -> None:
    found = number_kind(models.mixed())
    assert found.kind == "mixed"
    assert found.float_operators == [(0, 2, "SOFTMAX")]
    assert "1 operator computes in integers, 1 stays float: SOFTMAX (node 2)" in found.sentence
    assert found.why is not None
    assert found.counts == {"int8": 1, "conversion": 1, "float": 1}


def test_float_weights_beside_dynamic_range_are_named() -> None:
    net = Net()
    source = net.tensor("input", [1, models.DEPTH], "FLOAT32")
    shape = [models.UNITS, models.DEPTH]
    small = net.tensor("small", shape, "INT8", 0.5, 0, models.spread(shape, -9, 9))
    large = net.tensor("large", shape, "FLOAT32", values=models.spread(shape, -9, 9))
    results = []
    for name, weights in (("a", small), ("b", large)):
        results.append(net.tensor(name, [1, models.UNITS], "FLOAT32"))
        net.operator("FULLY_CONNECTED", 1, [source, weights, None], [results[-1]], "FullyConnectedOptions")
    found = number_kind(net.model([source], results))
    assert (found.kind, found.float_operators) == ("dynamic-range", [(0, 1, "FULLY_CONNECTED")])


def test_float_edges_of_an_integer_model_are_told() -> None:
    net = Net()
    source = net.tensor("input", [1, 4], "FLOAT32")
    inside = [net.tensor(name, [1, 4], "INT8", 0.1) for name in "ab"]
    result = net.tensor("output", [1, 4], "FLOAT32")
    net.operator("QUANTIZE", 1, [source], [inside[0]], "QuantizeOptions")
    net.operator("RELU", 2, [inside[0]], [inside[1]])
    net.operator("DEQUANTIZE", 2, [inside[1]], [result], "DequantizeOptions")
    found = number_kind(net.model([source], [result]))
    assert found.kind == "full-integer-int8"
    assert "inputs and outputs are float: conversions stand at the edges" in found.sentence
