"""Proof by the real interpreters: what they refuse, what they compute, before a repair and after it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import computed, damage, float32, part, real, scales
from tests.edits.expected import fix_biases
from tests.interpreters import NAMES, inputs_of, same_outputs, session

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
OPERATORS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
# Activation type, type of the bias, whether the weights have one scale a channel.
FORMS = [
    ("INT8", "INT32", False),
    ("INT8", "INT32", True),
    ("UINT8", "INT32", False),
    ("INT16", "INT64", False),
    ("INT16", "INT64", True),
    ("INT16", "INT32", True),
]


def layers() -> dict[str, functools.partial]:
    """Every kind of layer that some runtime takes, by name."""
    found = {}
    for operator in OPERATORS:
        for kind, bias_type, per_channel in FORMS:
            if (operator, kind, bias_type) == ("DEPTHWISE_CONV_2D", "INT16", "INT32"):
                continue  # its kernels take int64 only
            name = f"{operator}-{kind}-{bias_type}{'-per-channel' if per_channel else ''}"
            arguments = {"per_channel": per_channel, "bias_type": bias_type}
            found[name] = functools.partial(builders.layer, operator, kind, **arguments)
    return found


LAYERS = layers()
WITH_STATE = {
    "svdf": builders.svdf,
    "lstm": builders.lstm,
    "lstm-layer-norm": lambda: builders.lstm(layer_norm=True),
    "lstm-no-projection": lambda: builders.lstm(projection=False),
    "chain": lambda: builders.chain(3),
    "shared": builders.shared_bias,
}


def farthest(model: ts.Model, runtime: str, bias: np.ndarray | None = None) -> float:
    """The most output quanta by which a runtime departs from the real-valued computation with the written bias."""
    data = ts.dumps(model)
    operators = model.subgraphs[0].operators
    worst = 0.0
    values = [part(model, "input", number) for number in range(len(operators))]
    given = [list(inputs_of(value.shape, builders.DTYPES[value.type_name])) for value in values]
    for inputs in zip(*given):
        run = session(runtime).run(data, inputs=inputs)
        assert run.ok, run.message
        for operator, value, output in zip(operators, inputs, run.outputs[0]):
            result = operator.role("output")
            apart = np.abs(real(result, output) - computed(operator, value, bias)) / scales(result)[0]
            worst = max(worst, float(apart.max()))
    return worst


# The fixtures. (Which runtime refuses them before is in tests/test_fixtures.py.)


@pytest.mark.parametrize("name", ["per_tensor", "per_channel", "uint8"])
def test_the_fixtures_load_and_are_up_to_five_and_a_half_quanta_off(name):
    model = ts.load(FIXTURES / f"bias_scale_{name}.tflite")
    assert 4.5 < farthest(model, "litert") <= 5.51


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("name", ["per_tensor", "per_channel", "uint8", "shared"])
def test_repaired_fixtures_load_and_compute_what_they_say(name, runtime):
    if (name, runtime) == ("uint8", "tflm"):
        pytest.skip("TFLM has no uint8 kernel for this layer, sound or not")
    model = ts.load(FIXTURES / f"bias_scale_{name}.tflite")
    before = [operator.role("bias") for operator in model.subgraphs[0].operators]
    fixed = fix_biases(model).model
    # Against the file as it was: its weights, its bias as it was written, its input and output scales.
    data = ts.dumps(fixed)
    values = [part(model, "input", number) for number in range(len(before))]
    given = [list(inputs_of(value.shape, builders.DTYPES[value.type_name], 5)) for value in values]
    for inputs in zip(*given):
        run = session(runtime).run(data, inputs=inputs)
        assert run.ok, run.message
        for number, (value, output) in enumerate(zip(inputs, run.outputs[0])):
            operator = builders.node(model, number)
            result = operator.role("output")
            apart = np.abs(real(result, output) - computed(operator, value)) / scales(result)[0]
            assert apart.max() < 1


@pytest.mark.parametrize("name", ["per_tensor", "per_channel", "uint8", "shared"])
def test_keeping_the_integers_of_a_fixture_keeps_every_output_bit(name):
    model = ts.load(FIXTURES / f"bias_scale_{name}.tflite")
    before, after = ts.dumps(model), ts.dumps(fix_biases(model, keep="integers").model)
    for seed in range(5):
        first, second = (session("litert").run(data, seed=seed) for data in (before, after))
        assert first.ok
        assert same_outputs(first, second)


# Every kind of layer


@pytest.mark.parametrize("name", LAYERS)
def test_sound_layers_compute_what_they_say(name):
    """The reference computation and the builders are right before anything is made of them."""
    assert farthest(LAYERS[name](), "litert") < 1
    assert farthest(LAYERS[name](), "litert-no-delegate") < 1


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("factor", [0.37, 1.9])
@pytest.mark.parametrize("name", LAYERS)
def test_values(name, factor, runtime):
    """A runtime that takes the sound layer takes the repaired one, and computes what the damaged file said."""
    model = LAYERS[name]()
    if not session(runtime).run(ts.dumps(model)).ok:
        pytest.skip(f"{runtime} does not run this kind of layer, sound or not")
    if runtime == "tflm" and name.startswith("TRANSPOSE_CONV-INT16-INT32"):
        pytest.skip("TFLM reads this bias as int64, sound or not")
    bias = part(model, "bias")
    damage(bias, factor)
    said = real(bias)
    fixed = fix_biases(model, keep="values").model
    assert farthest(fixed, runtime, said) < 1


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("name", [*LAYERS, *WITH_STATE])
def test_integers(name, runtime):
    """Only the scale field was damaged: the sound model's outputs, bit for bit."""
    make = {**LAYERS, **WITH_STATE}[name]
    sound = make()
    first = session(runtime).run(ts.dumps(sound), seed=3, invocations=3)
    if not first.ok:
        pytest.skip(f"{runtime} does not run this kind of model, sound or not")
    model = make()
    for operator in model.subgraphs[0].operators:
        for role in ("bias", "projection_bias", *(f"{gate}_bias" for gate in builders.GATES)):
            bias = operator.role(role) if role == "bias" or "lstm" in name else None
            if bias is not None:
                damage(bias, 2.3)
    outcome = fix_biases(model, keep="integers")
    assert len(outcome.repairs) >= 1
    second = session(runtime).run(ts.dumps(outcome.model), seed=3, invocations=3)
    assert second.ok, second.message
    assert same_outputs(first, second)


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("name", WITH_STATE)
def test_values_of_operators_with_state(name, runtime):
    """The bias in seven times the unit, and a seventh of the integers: the values are the sound model's exactly."""
    make = WITH_STATE[name]
    roles = ["projection_bias", *(f"{gate}_bias" for gate in builders.GATES)] if "lstm" in name else ["bias"]
    sound, model = make(), make()
    for made in (sound, model):
        seen = set()
        for number, operator in enumerate(made.subgraphs[0].operators):
            for role in roles:
                bias = operator.role(role)
                if bias is None or id(bias) in seen:
                    continue
                seen.add(id(bias))
                sevenths = bias.values() // 7
                bias.set_values(sevenths * 7 if made is sound else sevenths)
                if made is model:
                    damage(bias, 7.0)
                assert number < 3
    if name == "shared":
        # Each branch of the sound model gets a bias of its own, with the shared values in its own unit.
        for number in (1, 2):
            operator = builders.node(sound, number)
            unit = builders.product(scales(operator.role("input"))[0], scales(operator.role("weights"))[0])
            shared = real(part(sound, "bias", 0))
            own = ts.Tensor(
                name=f"own_{number}",
                shape=[4],
                type=part(sound, "bias").type,
                buffer=ts.Buffer(),
                quantization=ts.QuantizationParameters(scale=[unit], zero_point=[0]),
            )
            own.set_values(np.rint(shared / unit).astype(np.int64))
            sound.buffers.append(own.buffer)
            sound.subgraphs[0].tensors.append(own)
            operator.inputs[2] = own
    first = session(runtime).run(ts.dumps(sound), seed=3, invocations=3)
    if not first.ok:
        pytest.skip(f"{runtime} does not run this kind of model, sound or not")
    outcome = fix_biases(model, keep="values")
    second = session(runtime).run(ts.dumps(outcome.model), seed=3, invocations=3)
    assert same_outputs(first, second)


# Prediction and reality


def _off_by(ratio: float, sign: int):
    def change(model: ts.Model) -> None:
        bias, output = part(model, "bias"), part(model, "output")
        bias.quantization.scale = [float32(scale + sign * ratio * scales(output)[0]) for scale in scales(bias)]

    return change


def _no_quantisation(model: ts.Model) -> None:
    part(model, "bias").quantization = None


def _no_scale(model: ts.Model) -> None:
    part(model, "bias").quantization.scale = None
    part(model, "bias").quantization.zero_point = None


def _set_scale(*values: float):
    def change(model: ts.Model) -> None:
        bias = part(model, "bias")
        given = list(values) if len(values) > 1 else list(values) * len(scales(bias))
        bias.quantization.scale, bias.quantization.zero_point = given, [0] * len(given)

    return change


def _first_only(model: ts.Model) -> None:
    bias = part(model, "bias")
    bias.quantization.scale, bias.quantization.zero_point = scales(bias)[:1], [0]


def _one_a_channel(model: ts.Model) -> None:
    bias = part(model, "bias")
    bias.quantization.scale, bias.quantization.zero_point = (scales(bias) * 4)[:4], [0] * 4


CHANGES = {
    "none": lambda model: None,
    **{
        f"ratio {sign * ratio:+}": _off_by(ratio, sign)
        for ratio in (0.001, 0.0199, 0.01999, 0.02, 0.02001, 0.0201, 0.05, 3.0)
        for sign in (1, -1)
    },
    "no quantisation": _no_quantisation,
    "no scale": _no_scale,
    "zero": _set_scale(0.0),
    "nan": _set_scale(float("nan")),
    "infinite": _set_scale(float("inf")),
    "subnormal": _set_scale(1e-40),
    "first only": _first_only,
    "one a channel": _one_a_channel,
}


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("output_scale", [None, 0.00001])
@pytest.mark.parametrize("name", list(LAYERS))
def test_refusals_are_predicted(name, output_scale, runtime):
    """With small integers, and scales such that the border lies beside the unit or far above it."""
    wrong = {}
    for change, damaged in CHANGES.items():
        model = functools.partial(LAYERS[name], output_scale=output_scale, bias=[3, -2, 1, 0])()
        if change == "none" and not session(runtime).run(ts.dumps(model)).ok:
            pytest.skip(f"{runtime} does not run this kind of layer, sound or not")
        damaged(model)
        run = session(runtime).run(ts.dumps(model), invoke=False)
        predicted = {finding.runtimes[runtime] for finding in ts.check(model)}
        if ("refuses" in predicted) == run.ok:
            wrong[change] = (predicted, run.verdict, run.message)
    assert wrong == {}
