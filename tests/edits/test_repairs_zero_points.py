"""Zero points outside their type or where a kernel takes none, and factors that kernels cannot represent."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.builders import Net, float32, integers, layer, part, scales, steps
from tests.conditions.case import NAMES
from tests.conditions.pairs import pair
from tests.conditions.single import Side, single
from tests.edits.expected import edits
from tests.interpreters import session
from tflite_surgeon.flatbuffer.schema import enum_class

FIRST, SECOND, OUTPUT = (f"subgraphs[0].tensors[{n}].quantization" for n in range(3))


def fixed(model, rule, keep="auto", *, undecided="leave", lossy=True):
    return ts.fix(model, [rule], keep, undecided=undecided, targets=NAMES, lossy=lossy)


def reasons(outcome) -> str:
    return " | ".join(item.refused.reason for item in outcome.left)


def names(outcome) -> list[str]:
    return [operator.name for operator in outcome.model.subgraphs[0].operators]


def record(tensor, low, high):
    tensor.quantization.min, tensor.quantization.max = [float32(low)], [float32(high)]


# Outside the type


@pytest.mark.parametrize(("written", "kept"), [(2**32 + 5, 5), (-(2**32) - 7, -7), (2**40, 0)])
def test_runtimes_keep_32_bits(written, kept):
    model = pair("ADD", zeros=(written, 0, 0))
    outcome = fixed(model, "zero-point-range", lossy=False)
    assert edits(outcome) == {f"{FIRST}.zero_point": ([written], [kept])}
    assert outcome.repairs[0].done.keep == "integers"


def test_a_recorded_range_tells_a_zero_point():
    model = pair("SUB", zeros=(0, 0, 200))
    record(model.subgraphs[0].tensors[2], -50.0, 77.5)
    outcome = fixed(model, "zero-point-range", lossy=False)
    assert edits(outcome) == {f"{OUTPUT}.zero_point": ([200], [-28])}


def test_a_fused_activation_tells_a_zero_point():
    model = pair("SUB", zeros=(0, 0, 200), activation="RELU")
    outcome = fixed(model, "zero-point-range", lossy=False)
    assert edits(outcome) == {f"{OUTPUT}.zero_point": ([200], [-128])}


def test_a_range_of_which_nothing_tells_is_kept_in_a_larger_scale():
    model = pair("SUB", zeros=(300, 0, 0))
    assert fixed(model, "zero-point-range", lossy=False).plan.edits == ()
    outcome = fixed(model, "zero-point-range")
    # From -428 to -173 steps of 0.5, and 0.
    assert edits(outcome) == {
        f"{FIRST}.scale": ([0.5], [float32(428 * 0.5 / 255)]),
        f"{FIRST}.zero_point": ([300], [127]),
    }
    assert "values move by up to 0.41960" in outcome.repairs[0].done.loses


def test_weights_get_the_zero_point_0():
    model = layer(per_channel=True)
    part(model, "weights").quantization.zero_point = [0, 0, 3, 0]
    outcome = fixed(model, "xnnpack-zero-point", lossy=False)
    assert edits(outcome) == {f"{SECOND}.zero_point": ([0, 0, 3, 0], [0, 0, 0, 0])}


# INT16


def _sixteen(point=1, result=0, scale=0.5, **arguments):
    return pair("ADD", "INT16", (scale, 0.5, 0.5), (point, 0, result), **arguments)


def test_a_zero_point_of_16_bits_is_open():
    outcome = fixed(_sixteen(), "int16-zero-point")
    assert [item.refused.is_open for item in outcome.left] == [True]
    assert "the readings differ by 1 output quanta" in reasons(outcome)
    assert outcome.plan.edits == ()


def test_with_the_integers_kept_it_is_declared_as_0():
    outcome = fixed(_sixteen(7), "int16-zero-point", "integers", lossy=False)
    assert edits(outcome) == {f"{FIRST}.zero_point": ([7], [0])}


@pytest.mark.parametrize(("point", "most"), [(7, 32775), (-9, 32776), (20000, 52768)])
def test_with_the_values_kept_the_scale_grows_until_the_range_fits(point, most):
    outcome = fixed(_sixteen(point), "int16-zero-point", "values")
    assert edits(outcome) == {
        f"{FIRST}.scale": ([0.5], [float32(0.5 * most / 32767)]),
        f"{FIRST}.zero_point": ([point], [0]),
    }
    assert outcome.repairs[0].done.effect == pytest.approx(abs(point))


def test_readings_that_give_the_same_results_are_not_open():
    outcome = fixed(_sixteen(3, scale=0.01), "int16-zero-point", lossy=False)
    assert edits(outcome) == {f"{FIRST}.zero_point": ([3], [0])}
    assert "0.06 output quanta" in outcome.repairs[0].done.reason


@pytest.mark.parametrize(("low", "keep"), [(-16383.5, "integers"), (-16384.0 - 500.0, "values")])
def test_a_recorded_range_tells_the_reading(low, keep):
    model = _sixteen(1000)
    record(model.subgraphs[0].tensors[0], low, low + 65535 * 0.5)
    assert [item.done.keep for item in fixed(model, "int16-zero-point").repairs] == [keep]


def test_what_is_copied_tells_the_reading():
    net = Net()
    inputs = [net.tensor("first", [1, 4], "INT16", 0.5, 4), net.tensor("second", [1, 4], "INT16", 0.5)]
    result = net.tensor("output", [1, 8], "INT16", 0.5)
    net.operator("CONCATENATION", 2, inputs, [result], "ConcatenationOptions", axis=1)
    outcome = fixed(net.model(inputs, [result]), "int16-zero-point", lossy=False)
    assert edits(outcome) == {f"{FIRST}.zero_point": ([4], [0])}


def test_the_bias_follows_the_scale_of_its_input():
    model = layer(kind="INT16")
    part(model, "input").quantization.zero_point = [100]
    added = integers(part(model, "bias"))
    outcome = fixed(model, "int16-zero-point", "values")
    unit = scales(part(outcome.model, "bias"))[0]
    assert scales(part(outcome.model, "input")) == [float32(float32(0.0002) * 32868 / 32767)]
    assert unit == pytest.approx(scales(part(outcome.model, "input"))[0] * float32(0.004), rel=1e-7)
    expected = np.rint(np.array(added) * scales(part(model, "bias"))[0] / unit)
    assert integers(part(outcome.model, "bias")) == expected.tolist()


def test_a_constant_of_16_bits_takes_its_zero_point_in():
    net = Net()
    source = net.tensor("source", [1, 4], "INT16", 0.5)
    constant = net.tensor("constant", [1, 4], "INT16", 0.25, 5, [[-30000, 5, 6, 30000]])
    result = net.tensor("output", [1, 4], "INT16", 0.5)
    net.operator("ADD", 3, [source, constant], [result], "AddOptions", pot_scale_int16=False)
    outcome = fixed(net.model([source], [result]), "int16-zero-point", "values", lossy=False)
    tensor = outcome.model.subgraphs[0].tensors[1]
    assert tensor.values().tolist() == [[-30005, 0, 1, 29995]]
    assert (scales(tensor), tensor.quantization.zero_point) == ([0.25], [0])


@pytest.mark.reality
def test_values_of_16_bits_are_added_as_they_were_meant():
    model = _sixteen(1000)
    outcome = fixed(model, "int16-zero-point", "values")
    given = np.array([[-31000, 0, 400, 30000]])
    real = (given - 1000) * 0.5
    scale = scales(outcome.model.subgraphs[0].tensors[0])[0]
    inputs = [np.rint(real / scale).astype(np.int16), np.zeros((1, 4), np.int16)]
    for runtime in NAMES:
        run = session(runtime).run(ts.dumps(outcome.model), inputs=inputs)
        assert run.ok, run.message
        assert np.abs(run.outputs[0][0] * 0.5 - real).max() <= 0.5 + scale / 2


# Factors


@pytest.mark.parametrize(
    ("operator", "kind", "output", "smallest"),
    [
        ("ADD", "INT8", 9e-7, 2.0**-20),
        ("ADD", "INT16", 2.0**-15, 2.0**-15),
        ("SUB", "INT8", 2.0**-20, 2.0**-20),
        ("SQUARED_DIFFERENCE", "INT8", 2.0**-14, 2.0**-14),
    ],
)
def test_a_sum_is_written_in_the_smallest_scale_above_the_kernels_limit(operator, kind, output, smallest):
    model = pair(operator, kind, (0.5, 0.5, output))
    assert fixed(model, "multiplier-range", lossy=False).plan.edits == ()
    outcome = fixed(model, "multiplier-range")
    assert names(outcome) == [operator, "QUANTIZE"]
    first, second = outcome.model.subgraphs[0].operators
    assert scales(first.outputs[0]) == [steps(smallest, 1)]
    assert scales(second.outputs[0]) == [float32(output)]
    assert "multiplier-range" not in {item.rule for item in outcome.remaining}


def test_what_is_read_inside_is_declared_anew_with_the_bias_that_counts_in_it():
    net = Net()
    inputs = [net.tensor(name, [1, 3], "INT8", 64.0) for name in ("first", "second")]
    total = net.tensor("sum", [1, 3], "INT8", 1e-4)
    weights = net.tensor("weights", [2, 3], "INT8", 0.5, 0, [[1, 2, 3], [4, 5, 6]])
    bias = net.tensor("bias", [2], "INT32", float32(1e-4) * 0.5, 0, [100000, -40000])
    result = net.tensor("output", [1, 2], "INT8", 0.001)
    net.operator("ADD", 2, inputs, [total], "AddOptions", pot_scale_int16=False)
    net.operator("FULLY_CONNECTED", 4, [total, weights, bias], [result], "FullyConnectedOptions")
    outcome = fixed(net.model(inputs, [result]), "multiplier-range")
    wanted = steps(128 / 2**20, 1)
    assert names(outcome) == ["ADD", "FULLY_CONNECTED"]
    tensors = outcome.model.subgraphs[0].tensors
    assert scales(tensors[2]) == [wanted]
    assert scales(tensors[4]) == [float32(wanted * 0.5)]
    ratio = scales(bias)[0] / scales(tensors[4])[0]
    assert integers(tensors[4]) == np.rint(np.array([100000, -40000]) * ratio).astype(int).tolist()


def test_a_scale_in_which_no_value_would_be_left_is_lost():
    outcome = fixed(pair("ADD", scales=(0.5, 0.5, 1e-20)), "multiplier-range")
    assert outcome.plan.edits == ()
    assert "no value would be left" in reasons(outcome)


def test_a_recorded_range_comes_before_the_smallest_scale():
    model = pair("ADD", scales=(0.5, 0.5, 1e-20))
    record(model.subgraphs[0].tensors[2], -127.0, 127.0)
    assert edits(fixed(model, "multiplier-range", lossy=False)) == {f"{OUTPUT}.scale": ([float32(1e-20)], [1.0])}


@pytest.mark.parametrize(("activation", "bound"), [("RELU6", 6.0), ("RELU_N1_TO_1", 1.0)])
def test_the_bounds_of_an_activation_just_fit(activation, bound):
    smallest = bound / 2**31
    outcome = fixed(pair("MUL", scales=(1e-12, 1e-12, smallest * 0.99), activation=activation), "activation-range")
    assert names(outcome) == ["MUL", "QUANTIZE"]
    assert scales(outcome.model.subgraphs[0].operators[0].outputs[0]) == [smallest]


def test_xnnpack_brings_products_to_less_than_256_steps():
    net = Net()
    source = net.tensor("input", [1, 3], "INT8", 0.5)
    weights = net.tensor("weights", [2, 3], "INT8", 0.5, 0, [[1, 2, 3], [4, 5, 6]])
    result = net.tensor("output", [1, 2], "INT8", 0.25 / 300)
    net.operator("FULLY_CONNECTED", 4, [source, weights], [result], "FullyConnectedOptions")
    outcome = fixed(net.model([source], [result]), "xnnpack-requantization")
    assert scales(outcome.model.subgraphs[0].operators[0].outputs[0]) == [steps(0.25 / 256, 1)]


@pytest.mark.parametrize(("scale", "rule"), [(1e-9, "multiplier-range"), (2.0**-26, "multiplier-range")])
def test_softmax_reads_its_input_in_the_smallest_scale_that_it_takes(scale, rule):
    model = single("SOFTMAX", Side("INT8", scale), Side("INT8", 1 / 256, -128), "SoftmaxOptions", beta=1.0, version=2)
    outcome = fixed(model, rule)
    assert names(outcome) == ["QUANTIZE", "SOFTMAX"]
    assert scales(outcome.model.subgraphs[0].operators[1].inputs[0]) == [steps(2.0**-26, 1)]


def test_a_beta_that_was_not_written_is_1():
    model = single("SOFTMAX", Side("INT8", 0.1), Side("INT8", 1 / 256, -128), "SoftmaxOptions", beta=0.0, version=2)
    assert fixed(model, "multiplier-range", lossy=False).plan.edits == ()
    outcome = fixed(model, "multiplier-range")
    assert edits(outcome) == {"subgraphs[0].operators[0].builtin_options.beta": (0.0, 1.0)}


@pytest.mark.reality
def test_a_sum_in_a_larger_scale_is_the_same_sum():
    scale = 2.0**-20
    model = pair("ADD", scales=(2.0**-7, 2.0**-7, 2.0**-27))
    sound = pair("ADD", scales=(2.0**-7, 2.0**-7, steps(2.0**-26, 4)))
    outcome = fixed(model, "multiplier-range")
    assert scale > 0
    values = [np.array([[1, -1, 0, 2]], np.int8), np.array([[-1, 1, 0, -2]], np.int8)]
    for runtime in NAMES:
        first = session(runtime).run(ts.dumps(sound), inputs=values)
        second = session(runtime).run(ts.dumps(outcome.model), inputs=values)
        assert first.ok
        assert second.ok, second.message
        assert first.outputs[0][0].tolist() == second.outputs[0][0].tolist() == [[0, 0, 0, 0]]


def test_an_unknown_activation_is_refused():
    model = pair("MUL", scales=(1e-12, 1e-12, 1e-12), activation="RELU6")
    options = model.subgraphs[0].operators[0].builtin_options
    assert fixed(model, "activation-range").plan.edits == ()  # Below a 256th of the smallest that fits.
    options.fused_activation_function = enum_class("ActivationFunctionType")["TANH"]
    assert fixed(model, "activation-range").plan.edits == ()
