"""The copy in real numbers, in the real interpreter, against the computation in float64 of tests/builders.py."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import computed, part, real
from tests.interpreters import session
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.verification.meaning import float_copy

REFERENCE = "litert-no-delegate"
OPERATORS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")


def evaluated(model: ts.Model, *inputs: np.ndarray) -> tuple:
    run = session(REFERENCE).run(ts.dumps(float_copy(model)), inputs=[array.astype("f4") for array in inputs])
    assert run.ok, run.message
    return run.outputs[0]


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT16"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("operator", OPERATORS)
def test_layers(operator, kind, per_channel):
    if per_channel and kind == "UINT8":
        pytest.skip("uint8 weights have one scale")
    model = builders.layer(operator, kind, per_channel=per_channel)
    source = part(model, "input")
    stored = builders.spread(source.shape, 0, 120, seed=8)
    expected = computed(builders.node(model), stored)
    (found,) = evaluated(model, real(source, stored))
    assert np.abs(found - expected).max() < 1e-3 * builders.scales(part(model, "output"))[0]


def test_a_bias_is_what_its_stored_scale_says():
    model = builders.layer()
    builders.damage(part(model, "bias"), 3.0)
    source = part(model, "input")
    stored = builders.spread(source.shape, -100, 100, seed=8)
    (found,) = evaluated(model, real(source, stored))
    expected = computed(builders.node(model), stored)
    step = builders.scales(part(model, "output"))[0]
    assert np.abs(found - expected).max() < 1e-3 * step
    builders.damage(part(model, "bias"), 1 / 3)
    assert np.abs(found - computed(builders.node(model), stored)).max() > 20 * step


def test_activations_stay_in_the_range_that_their_quantisation_implies():
    """Of every layer: an output scale of a tenth cuts most of it off, and the next layer sees what is left."""
    model = builders.chain(2, output_scale=0.003)
    source = part(model, "input")
    stored = builders.spread(source.shape, -100, 100, seed=8)
    between = part(model, "output", 0)
    middle = computed(builders.node(model, 0), stored)
    low, high = ((end - 4) * builders.scales(between)[0] for end in (-128, 127))
    assert middle.min() == pytest.approx(low)
    assert middle.max() == pytest.approx(high)
    copy = float_copy(model)
    number = next(n for n, tensor in enumerate(model.subgraphs[0].tensors) if tensor is between)
    given = [real(source, stored).astype("f4")]
    run = session(REFERENCE).run(ts.dumps(copy), inputs=given, fetch=[number])
    assert np.abs(run.kept[0][number] - middle).max() < 1e-5
    # The second layer, of real values instead of integers.
    second = builders.node(model, 1)
    expected = middle @ real(second.role("weights")).T + real(second.role("bias"))
    result = second.role("output")
    ends = [(end - 4) * builders.scales(result)[0] for end in (-128, 127)]
    assert np.abs(run.outputs[0][0] - np.clip(expected, *ends)).max() < 1e-4


def converting() -> ts.Model:
    """A float input, QUANTIZE, DEQUANTIZE, a float output; its integers reach from -1.35 to 1.2."""
    net = builders.Net()
    source = net.tensor("x", [1, 4], "FLOAT32")
    middle = net.tensor("q", [1, 4], "INT8", 0.01, 7)
    result = net.tensor("y", [1, 4], "FLOAT32")
    net.operator("QUANTIZE", 1, [source], [middle], "QuantizeOptions")
    net.operator("DEQUANTIZE", 2, [middle], [result], "DequantizeOptions")
    return net.model([source], [result])


def test_conversions_only_clamp():
    (found,) = evaluated(converting(), np.array([[-5.0, -0.1234567, 0.7654321, 5.0]]))
    assert found.tolist() == [pytest.approx([-1.35, -0.1234567, 0.7654321, 1.2], rel=1e-6)]


def test_the_model_is_not_changed_and_tensors_keep_their_numbers():
    model = builders.written(builders.chain(2))
    before = ts.dumps(model)
    copy = float_copy(model)
    assert ts.dumps(model) == before
    names = [tensor.name for tensor in model.subgraphs[0].tensors]
    assert [tensor.name for tensor in copy.subgraphs[0].tensors][: len(names)] == names


def test_a_float_model_is_its_own_meaning():
    net = builders.Net()
    source, result = (net.tensor(name, [1, 4], "FLOAT32") for name in "xy")
    net.operator("LOGISTIC", 1, [source], [result])
    model = net.model([source], [result])
    assert len(float_copy(model).subgraphs[0].operators) == 1


def custom() -> ts.Model:
    model = builders.layer()
    model.operator_codes[0].builtin_code = enum_class("BuiltinOperator")["CUSTOM"]
    model.operator_codes[0].deprecated_builtin_code = 32
    model.operator_codes[0].custom_code = "mine"
    return model


def without_scale() -> ts.Model:
    model = builders.layer()
    part(model, "bias").quantization = None
    return model


def cast() -> ts.Model:
    net = builders.Net()
    source = net.tensor("x", [1, 4], "INT8", 0.1)
    result = net.tensor("y", [1, 4], "FLOAT32")
    net.operator("CAST", 1, [source], [result], "CastOptions")
    return net.model([source], [result])


def wide() -> ts.Model:
    net = builders.Net()
    source = net.tensor("x", [1, 4], "INT32", 0.1)
    result = net.tensor("y", [1, 4], "INT8", 0.1)
    net.operator("QUANTIZE", 1, [source], [result], "QuantizeOptions")
    return net.model([source], [result])


def normalised() -> ts.Model:
    return builders.lstm(layer_norm=True)


def by_channel() -> ts.Model:
    model = builders.layer()
    part(model, "output").quantization.scale = [0.1, 0.2]
    return model


def wrong_length() -> ts.Model:
    model = builders.layer(per_channel=True)
    part(model, "weights").quantization.scale = [0.1, 0.2]
    return model


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (custom, "operator 0 (mine): it has no float kernel that means the same"),
        (without_scale, "operator 0 (FULLY_CONNECTED): tensor 'bias' has no scale"),
        (cast, "operator 0 (CAST): it has no float kernel that means the same"),
        (wide, "operator 0 (QUANTIZE): it converts what is neither FLOAT32 nor quantised to 16 bits or less"),
        (normalised, "its layer normalisation works within ranges that only integers have"),
        (by_channel, "operator 0 (FULLY_CONNECTED): tensor 'output' is computed and has 2 scales"),
        (wrong_length, "tensor 'weights' of shape [4, 3] has 2 scales along dimension 0"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_expressed_is_said(make, text):
    with pytest.raises(SurgeonError) as caught:
        float_copy(make())
    assert text in str(caught.value)
    assert str(caught.value).startswith("cannot be expressed in real numbers: ")
