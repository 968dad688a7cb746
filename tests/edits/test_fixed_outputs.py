"""Outputs that operators fix, scales that must be powers of two, and what the delegate demands."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import Net, float32, integers, net_layer, part, product, scales
from tests.conditions.case import NAMES
from tests.edits.expected import edits, packed, re_expressed
from tests.interpreters import session
from tflite_surgeon.edits.engine import Outcome

_FIXED, _POWER = "fixed-output-quantization", "power-of-two-scale"
_OPERATORS = {
    "SOFTMAX": ("SoftmaxOptions", {"beta": 1.0}),
    "LOG_SOFTMAX": ("LogSoftmaxOptions", {}),
    "L2_NORMALIZATION": ("L2NormOptions", {}),
    "LOGISTIC": (None, {}),
    "TANH": (None, {}),
}


def fixed(model: ts.Model, rule: str = _FIXED, **arguments: object) -> Outcome:
    return ts.fix(model, [rule], targets=NAMES, **{"lossy": True, **arguments})


def where(number: int, what: str = "scale") -> str:
    return f"subgraphs[0].tensors[{number}].quantization.{what}"


def net_function(net: Net, name: str, kind: str, scale: float, zero_point: int) -> tuple[ts.Tensor, ts.Tensor]:
    options, values = _OPERATORS[name]
    source = net.tensor(f"input_{name}", [2, 3], kind, 0.05)
    result = net.tensor(f"output_{name}", [2, 3], kind, scale, zero_point)
    net.operator(name, 3 if kind == "INT16" else 2, [source], [result], options, **values)
    return source, result


def function(name: str, kind: str, scale: float, zero_point: int) -> ts.Model:
    net = Net()
    source, result = net_function(net, name, kind, scale, zero_point)
    return net.model([source], [result])


def flattened(scale: float, zero_point: int) -> ts.Model:
    """LOGISTIC, RESHAPE and FULLY_CONNECTED, whose bias is in the unit that the scale makes."""
    net = Net()
    source, made = net_function(net, "LOGISTIC", "INT8", scale, zero_point)
    flat = net.tensor("flat", [2, 3], "INT8", scale, zero_point)
    net.operator("RESHAPE", 1, [made], [flat], "ReshapeOptions", new_shape=[2, 3])
    _, result = net_layer(net, source=flat, output_scale=0.01)
    return net.model([source], [result])


# Outputs that are fixed


@pytest.mark.parametrize(
    ("name", "kind", "found", "wanted"),
    [
        ("SOFTMAX", "INT8", (0.004, 0), (1 / 256, -128)),
        ("SOFTMAX", "INT16", (0.0001, 0), (1 / 32768, 0)),
        ("LOGISTIC", "INT8", (0.004, -100), (1 / 256, -128)),
        ("LOGISTIC", "UINT8", (1 / 128, 3), (1 / 256, 0)),
        ("LOGISTIC", "INT16", (1 / 256, 0), (1 / 32768, 0)),
        ("TANH", "INT16", (0.0001, 0), (1 / 32768, 0)),
        ("TANH", "INT8", (0.001, 3), (1 / 128, 0)),
        ("LOG_SOFTMAX", "INT8", (0.05, 1), (16 / 256, 127)),
        ("L2_NORMALIZATION", "INT8", (0.01, 2), (1 / 128, 0)),
        ("SOFTMAX", "UINT8", (1 / 512, 3), (1 / 256, 0)),
    ],
)
def test_the_output_gets_what_the_kernel_computes_in(name, kind, found, wanted):
    outcome = fixed(function(name, kind, *found), lossy=False)
    expected = {where(1): ([float32(found[0])], [wanted[0]])}
    if found[1] != wanted[1]:
        expected[where(1, "zero_point")] = ([found[1]], [wanted[1]])
    assert edits(outcome) == expected
    done = outcome.repairs[0].done
    assert done.loses == ""
    assert "callers that do not read its scale" in done.warnings[0]


def test_copies_and_biases_follow():
    model = flattened(0.008, -128)
    weights, bias = part(model, "weights", 2), part(model, "bias", 2)
    before, stored = integers(bias), scales(bias)
    unit = product(1 / 256, scales(weights)[0])
    outcome = fixed(model, lossy=False)
    number = model.subgraphs[0].tensors.index(bias)
    assert edits(outcome) == {
        where(1): ([float32(0.008)], [1 / 256]),
        where(2): ([float32(0.008)], [1 / 256]),
        where(number): (stored, [unit]),
        "buffers[2].data": (packed(before), packed(re_expressed(before, stored, [unit]))),
    }
    assert outcome.repairs[0].done.warnings == ()


def test_a_bias_that_was_made_for_the_right_scale_stays():
    model = flattened(1 / 256, -128)
    for number in (1, 2):
        model.subgraphs[0].tensors[number].quantization.scale = [float32(0.008)]
    outcome = fixed(model)
    assert edits(outcome) == {where(number): ([float32(0.008)], [1 / 256]) for number in (1, 2)}


def test_the_scale_that_a_caller_sees_is_kept_by_converting():
    outcome = fixed(function("LOGISTIC", "INT8", 0.004, -128), keep="values")
    first, second = outcome.model.subgraphs[0].operators
    assert (first.name, second.name) == ("LOGISTIC", "QUANTIZE")
    assert (scales(first.outputs[0]), first.outputs[0].quantization.zero_point) == ([1 / 256], [-128])
    assert scales(second.outputs[0]) == [float32(0.004)]
    assert outcome.model.subgraphs[0].outputs == second.outputs


def test_where_others_have_the_scale_it_is_converted_into():
    net = Net()
    source, made = net_function(net, "LOGISTIC", "INT8", 0.02, 4)
    other = net.tensor("other", [2, 3], "INT8", 0.02, 4)
    joined = net.tensor("joined", [2, 6], "INT8", 0.02, 4)
    net.operator("CONCATENATION", 2, [made, other], [joined], "ConcatenationOptions", axis=1)
    outcome = fixed(net.model([source, other], [joined]))
    assert [one.name for one in outcome.model.subgraphs[0].operators] == ["LOGISTIC", "QUANTIZE", "CONCATENATION"]
    assert "go where others come from too" in outcome.repairs[0].done.reason
    assert outcome.repairs[0].done.loses == ""


def test_a_scale_that_says_nothing_is_simply_declared():
    model = function("SOFTMAX", "INT8", 0.1, -128)
    model.subgraphs[0].tensors[1].quantization.scale = [float("nan")]
    found = edits(fixed(model))
    assert found[where(1)][1] == [1 / 256]


def test_a_model_that_is_sound_stays_as_it_is():
    for model in (flattened(1 / 256, -128), function("TANH", "INT8", 1 / 128, 0), builders.lstm()):
        assert ts.fix(model, undecided="values", targets=NAMES, lossy=True).plan.edits == ()


# Powers of two


def added(operator: str, scale: float = 0.5) -> ts.Model:
    net = Net()
    sources = [net.tensor(name, [1, 4], "INT16", 0.25) for name in ("first", "second")]
    result = net.tensor("sum", [1, 4], "INT16", scale)
    net.operator(operator, 2, sources, [result], f"{operator.title()}Options", pot_scale_int16=True)
    return net.model(sources, [result])


@pytest.mark.parametrize("operator", ["ADD", "SUB"])
def test_the_kernel_is_told_to_multiply(operator: str):
    outcome = fixed(added(operator), _POWER, lossy=False)
    assert edits(outcome) == {"subgraphs[0].operators[0].builtin_options.pot_scale_int16": (True, False)}


def test_a_cell_state_gets_the_next_larger_power_of_two():
    model = builders.lstm()
    state = part(model, "cell_state")
    state.quantization.scale = [float32(0.0003)]
    number = model.subgraphs[0].tensors.index(state)
    outcome = fixed(model, _POWER)
    assert edits(outcome) == {where(number): ([float32(0.0003)], [2.0**-11])}
    assert (
        outcome.repairs[0].done.loses == "cells are kept in steps of 0.000488 instead of 0.0003, off by up to 0.000244"
    )
    assert fixed(model, _POWER, lossy=False).plan.edits == ()


# The delegate


def test_the_zero_point_of_weights_is_taken_into_the_integers():
    model = builders.layer("DEPTHWISE_CONV_2D", bias=[1, 2, 3, 4])
    weights = part(model, "weights")
    weights.quantization.zero_point = [3]
    data = (np.arange(16) - 8).astype("i1")
    weights.buffer.data = data.tobytes()
    outcome = fixed(model, "xnnpack-definition", keep="values", lossy=False)
    assert integers(part(outcome.model, "weights")) == (data.astype(int) - 3).tolist()
    assert part(outcome.model, "weights").quantization.zero_point == [0]


def test_types_that_do_not_go_together_are_left():
    net = Net()
    order = net.tensor("order", [2], "INT32", values=[0, 0])
    source, result = net.tensor("given", [2, 3], "FLOAT32"), net.tensor("made", [2, 2], "FLOAT32")
    net.operator("TRANSPOSE", 1, [source, order], [result], "TransposeOptions")
    outcome = fixed(net.model([source], [result]), "xnnpack-definition")
    assert outcome.plan.edits == ()
    assert "'order' INT32" in outcome.left[0].refused.reason


# In real interpreters


@pytest.mark.reality
@pytest.mark.parametrize("keep", ["auto", "values"])
@pytest.mark.parametrize("runtime", NAMES)
def test_the_repaired_function_gives_its_values(keep: str, runtime: str):
    given = np.array([[-100, -20, 0], [20, 60, 127]], np.int8)
    outcome = fixed(function("LOGISTIC", "INT8", 0.006, -128), keep=keep)
    run = session(runtime).run(ts.dumps(outcome.model), inputs=[given])
    assert run.ok, run.message
    detail = run.output_details[0]
    found = (run.outputs[0][0].astype(float) - detail.zero_points[0]) * detail.scales[0]
    assert np.abs(found - 1 / (1 + np.exp(-given * 0.05))).max() <= detail.scales[0]


@pytest.mark.reality
@pytest.mark.parametrize("runtime", ["litert-no-delegate", "tflite-2.14", "tflm"])
def test_after_the_repair_a_layer_gives_what_it_would_have(runtime: str):
    sound = session(runtime).run(ts.dumps(flattened(1 / 256, -128)), seed=1)
    broken = flattened(1 / 256, -128)
    for number in (1, 2):
        broken.subgraphs[0].tensors[number].quantization.scale = [float32(0.008)]
    again = session(runtime).run(ts.dumps(fixed(broken).model), seed=1)
    assert sound.ok
    assert (sound.outputs[0][0] == again.outputs[0][0]).all()


@pytest.mark.reality
@pytest.mark.parametrize("operator", ["ADD", "SUB"])
@pytest.mark.parametrize("runtime", NAMES)
def test_multiplying_gives_the_sum(operator: str, runtime: str):
    given = [np.array([row], np.int16) for row in ([100, -7, 3000, 8], [50, 21, -900, -2])]
    run = session(runtime).run(ts.dumps(fixed(added(operator), _POWER).model), inputs=given)
    assert run.ok, run.message
    sign = 1 if operator == "ADD" else -1
    expected = (given[0].astype(float) + sign * given[1]) * 0.25 / 0.5
    assert np.abs(run.outputs[0][0] - expected).max() <= 0.5
