"""Repairs of weights: zero points, dimensions and numbers of scales, schemes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.builders import Net, damage, integers, layer, net_layer, part, scales, spread
from tests.conditions.case import NAMES
from tests.conditions.cases_convolution import _square
from tests.edits.expected import edits, packed, re_expressed, rounded
from tests.interpreters import same_outputs, session
from tflite_surgeon.edits.engine import Outcome
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

WEIGHTS = "subgraphs[0].tensors[1]"
CONVOLUTIONS = ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"]


def fixed(model: ts.Model, rule: str, **arguments: object) -> Outcome:
    """The repair of one rule; nothing may be lost unless that is asked for."""
    return ts.fix(model, [rule], targets=NAMES, **arguments)


def only_done(outcome: Outcome):
    (repaired,) = outcome.repairs
    return repaired.done


def only_refused(outcome: Outcome):
    assert outcome.plan.edits == ()
    (left,) = outcome.left
    return left.refused


def outputs(model: ts.Model) -> list[np.ndarray]:
    run = session("litert-no-delegate").run(ts.dumps(model), seed=0)
    assert run.ok, run.message
    return [np.asarray(value, np.int64) for row in run.outputs for value in row]


def zeros(model: ts.Model, *points: int) -> ts.Model:
    quantization = part(model, "weights").quantization
    quantization.zero_point = list(points) if len(points) > 1 else list(points) * len(quantization.scale)
    return model


def weights(model: ts.Model, low: int, high: int) -> ts.Model:
    """Other weights, which reach from the one to the other."""
    tensor = part(model, "weights")
    values = spread(tensor.shape, low, high, seed=3).reshape(-1)
    values[:2] = low, high
    tensor.buffer.data = values.astype("i1").tobytes()
    return model


# Zero points


def test_one_damaged_zero_point_among_others_is_declared_as_0():
    model = zeros(layer(per_channel=True), 0, 0, -3, 0)
    outcome = fixed(model, "weights-zero-point")
    assert edits(outcome) == {f"{WEIGHTS}.quantization.zero_point": ([0, 0, -3, 0], [0, 0, 0, 0])}
    done = only_done(outcome)
    assert (done.keep, done.effect, done.loses) == ("integers", 0.0, "")
    assert "other 3 zero points are 0" in done.reason


@pytest.mark.parametrize("keep", ["auto", "values"])
def test_zero_points_that_nothing_tells_of_are_taken_into_the_integers(keep):
    model = zeros(weights(layer("CONV_2D"), -90, 100), 5)
    old = integers(part(model, "weights"))
    outcome = fixed(model, "weights-zero-point", keep=keep, undecided="values")
    assert edits(outcome) == {
        "buffers[1].data": (packed(old, "i1"), packed([value - 5 for value in old], "i1")),
        f"{WEIGHTS}.quantization.zero_point": ([5], [0]),
    }
    assert only_done(outcome).loses == ""


def test_values_that_leave_the_type_get_a_larger_scale_and_the_bias_its_unit():
    model = zeros(weights(layer("CONV_2D"), -127, 120), 5)
    old, bias = integers(part(model, "weights")), integers(part(model, "bias"))
    scale, source = scales(part(model, "weights"))[0], scales(part(model, "input"))[0]
    refused = only_refused(fixed(model, "weights-zero-point", keep="values"))
    assert "lossy" in refused.reason
    outcome = fixed(model, "weights-zero-point", keep="values", lossy=True)
    wider = float(np.float32(scale * 132 / 127))
    real = [Fraction(scale) * (value - 5) for value in old]
    assert integers(part(outcome.model, "weights")) == [rounded(value / Fraction(wider)) for value in real]
    assert scales(part(outcome.model, "weights")) == [wider]
    unit = float(np.float32(np.float64(np.float32(source)) * wider))
    assert integers(part(outcome.model, "bias")) == re_expressed(bias, scales(part(model, "bias")), [unit])
    done = only_done(outcome)
    assert "of a quantum" in done.loses
    assert done.keep == "values"


def test_the_ends_of_the_range_tell_which_reading_was_meant():
    symmetric = fixed(zeros(weights(layer("CONV_2D"), -100, 127), 5), "weights-zero-point")
    assert only_done(symmetric).keep == "integers"
    both = fixed(zeros(weights(layer("CONV_2D"), -127, 127), 5), "weights-zero-point", lossy=True)
    assert only_done(both).keep == "values"


@pytest.mark.parametrize(("ends", "keep"), [((-100.0, 100.0), "integers"), ((-95.0, 95.0), "values")])
def test_the_recorded_range_tells_which_reading_was_meant(ends, keep):
    model = zeros(weights(layer("CONV_2D"), -90, 100), 5)
    tensor = part(model, "weights")
    scale = scales(tensor)[0]
    low, high = (-90.0, 100.0) if keep == "integers" else (-95.0, 95.0)
    tensor.quantization.min, tensor.quantization.max = [low * scale], [high * scale]
    if keep == "values":
        # A symmetric range would speak for the integers.
        tensor.buffer.data = packed([min(value, 80) for value in integers(tensor)], "i1")
        tensor.quantization.max = [75.0 * scale]
    assert only_done(fixed(model, "weights-zero-point")).keep == keep


def test_without_evidence_the_person_has_to_choose():
    model = zeros(weights(layer("CONV_2D"), -90, 100), 5)
    refused = only_refused(fixed(model, "weights-zero-point"))
    assert refused.is_open
    # 12 products, each by 5 steps of 0.004, of inputs up to 255 steps of 0.02, in output steps of 0.03.
    assert f"{12 * 5 * 0.004 * 255 * 0.02 / 0.03:.3g} output quanta" in refused.reason


def test_four_bits_that_leave_their_type_become_eight():
    net = Net()
    source = net.tensor("input", [2, 4], "INT16", 0.02)
    tensor = net.tensor("weights", [4, 4], "INT8", 0.1, 3, spread([4, 4], -7, 7))
    tensor.type = enum_class("TensorType")["INT4"]
    values = spread([4, 4], -8, 6).reshape(-1)
    values[:2] = -8, 6
    tensor.buffer.data = bytes((int(b) & 15) << 4 | (int(a) & 15) for a, b in values.reshape(-1, 2))
    result = net.tensor("output", [2, 4], "INT16", 0.3)
    net.operator("FULLY_CONNECTED", 10, [source, tensor], [result], "FullyConnectedOptions")
    outcome = fixed(net.model([source], [result]), "weights-zero-point", keep="values")
    tensor = part(outcome.model, "weights")
    assert tensor.type_name == "INT8"
    assert integers(tensor) == (values - 3).tolist()
    assert only_done(outcome).loses == ""


def _read_twice(*others: str) -> ts.Model:
    """A layer, and others that read its weights."""
    net = Net()
    source, result = net_layer(net, per_channel=True)
    tensor = net.operators[0].inputs[1]
    results = [result]
    for number, name in enumerate(others):
        if name == "FULLY_CONNECTED":
            results.append(net_layer(net, source=source, weights=tensor, suffix=f"_{number}")[1])
        else:
            results.append(net.tensor(f"floats_{number}", tensor.shape, "FLOAT32"))
            net.operator(name, 2, [tensor], [results[-1]], "DequantizeOptions")
    tensor.quantization.zero_point = [0, 0, 0, 2]
    return net.model([source], results)


def test_who_reads_the_weights_in_another_way_does_not_see_them_change():
    outcome = fixed(_read_twice("DEQUANTIZE"), "weights-zero-point")
    graph = outcome.model.subgraphs[0]
    own, shared = (operator.inputs[position] for operator, position in zip(graph.operators, (1, 0)))
    assert own is not shared
    assert (own.quantization.zero_point, shared.quantization.zero_point) == ([0] * 4, [0, 0, 0, 2])
    assert own.buffer is shared.buffer


def test_who_reads_the_weights_in_the_same_way_shares_them_still():
    outcome = fixed(_read_twice("FULLY_CONNECTED"), "weights-zero-point")
    assert edits(outcome) == {f"{WEIGHTS}.quantization.zero_point": ([0, 0, 0, 2], [0] * 4)}


@pytest.mark.reality
@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "DEPTHWISE_CONV_2D"])
def test_declaring_0_keeps_what_kernels_compute(operator):
    model = zeros(layer(operator, per_channel=True), 0, 7, 0, 0)
    outcome = fixed(model, "weights-zero-point")
    real = session("litert-no-delegate")
    assert same_outputs(real.run(ts.dumps(model), seed=0), real.run(ts.dumps(outcome.model), seed=0))


# The dimension of scales


@pytest.mark.parametrize("dimension", [4, -1, 1])
def test_scales_that_fit_the_channels_count_along_them(dimension):
    model = layer("DEPTHWISE_CONV_2D", per_channel=True)
    part(model, "weights").quantization.quantized_dimension = dimension
    rule = "scale-count" if dimension == 1 else "quantized-dimension"
    outcome = fixed(model, rule)
    assert edits(outcome) == {f"{WEIGHTS}.quantization.quantized_dimension": (dimension, 3)}


@pytest.mark.reality
def test_the_bias_tells_that_scales_count_along_the_channels():
    model = _square(3)()
    outcome = fixed(model, "quantized-dimension")
    assert edits(outcome) == {f"{WEIGHTS}.quantization.quantized_dimension": (3, 0)}
    assert only_done(outcome).keep == "integers"
    assert all((a == b).all() for a, b in zip(outputs(model), outputs(outcome.model)))


def test_values_along_another_dimension_are_requantised():
    model = _square(3)()
    tensor = part(model, "weights")
    real = tensor.values().astype(np.float64) * np.array(scales(tensor))
    outcome = fixed(model, "quantized-dimension", keep="values", lossy=True)
    fresh = part(outcome.model, "weights")
    expected = [float(np.float32(float(np.abs(row).max()) / 127)) for row in real]
    assert scales(fresh) == expected
    assert fresh.quantization.quantized_dimension == 0
    again = fresh.values() * np.array(expected).reshape(-1, 1, 1, 1)
    assert np.abs(again - real).max() <= max(expected) / 2 * (1 + 1e-6)
    assert only_done(outcome).keep == "values"


def test_without_evidence_of_the_dimension_the_person_has_to_choose():
    model = _square(3)()
    damage(part(model, "bias"), 1.0)
    part(model, "bias").quantization.scale = [0.00008] * 3
    assert only_refused(fixed(model, "quantized-dimension")).is_open


def test_equal_scales_count_along_any_dimension():
    model = _square(3)()
    part(model, "weights").quantization.scale = [0.004] * 3
    outcome = fixed(model, "quantized-dimension")
    assert edits(outcome) == {f"{WEIGHTS}.quantization.quantized_dimension": (3, 0)}


# The number of scales


@pytest.mark.parametrize("missing", [0, 2, 3])
def test_a_missing_scale_is_told_by_the_bias(missing):
    model = layer("CONV_2D", per_channel=True)
    tensor = part(model, "weights")
    whole = scales(tensor)
    tensor.quantization.scale = whole[:missing] + whole[missing + 1 :]
    tensor.quantization.zero_point = [0] * 3
    outcome = fixed(model, "scale-count")
    told = float(np.float32(scales(part(model, "bias"))[missing] / scales(part(model, "input"))[0]))
    assert scales(part(outcome.model, "weights")) == [*whole[:missing], told, *whole[missing + 1 :]]
    assert told == pytest.approx(whole[missing], rel=2e-7)
    assert part(outcome.model, "weights").quantization.zero_point == [0] * 4


def test_a_missing_scale_is_told_by_recorded_ranges():
    model = layer("CONV_2D", per_channel=True)
    tensor = part(model, "weights")
    whole = scales(tensor)
    part(model, "bias").quantization = None
    tensor.quantization.max = [float(np.float32(scale * 127)) for scale in whole]
    tensor.quantization.min = [-value for value in tensor.quantization.max]
    tensor.quantization.scale, tensor.quantization.zero_point = whole[:3], [0] * 3
    found = scales(part(fixed(model, "scale-count").model, "weights"))
    assert found[:3] == whole[:3]
    assert found[3] == pytest.approx(whole[3], rel=2e-7)


def test_a_missing_scale_that_nothing_tells_is_not_invented():
    model = layer("CONV_2D", per_channel=True)
    quantization = part(model, "weights").quantization
    quantization.scale, quantization.zero_point = quantization.scale[:3], [0] * 3
    # A bias whose scales are none of the stored ones' tells nothing either.
    damage(part(model, "bias"), 3.0)
    model.subgraphs[0].tensors[1].shape = [4, 2, 2, 3]
    quantization.quantized_dimension = 1
    assert "tell the missing ones" in only_refused(fixed(model, "scale-count")).reason


def test_one_scale_is_given_to_each_channel():
    net = Net()
    source = net.tensor("input", [1, 4, 4, 3], "FLOAT32")
    tensor = net.tensor("weights", [1, 2, 2, 3], "INT8", [0.1], 0, spread([1, 2, 2, 3], -90, 90))
    bias = net.tensor("bias", [3], "FLOAT32", values=[1] * 3)
    result = net.tensor("output", [1, 3, 3, 3], "FLOAT32")
    valid = {"padding": enum_class("Padding")["VALID"], "stride_w": 1, "stride_h": 1, "depth_multiplier": 1}
    net.operator("DEPTHWISE_CONV_2D", 6, [source, tensor, bias], [result], "DepthwiseConv2DOptions", **valid)
    outcome = fixed(net.model([source], [result]), "scale-count")
    scale = float(np.float32(0.1))
    assert edits(outcome) == {
        f"{WEIGHTS}.quantization.scale": ([scale], [scale] * 3),
        f"{WEIGHTS}.quantization.zero_point": ([0], [0] * 3),
        f"{WEIGHTS}.quantization.quantized_dimension": (0, 3),
    }


# Schemes


def _unsigned(*values: float) -> ts.Model:
    """UINT8 weights with several scales."""
    model = layer(kind="UINT8")
    quantization = part(model, "weights").quantization
    quantization.scale, quantization.zero_point = [float(np.float32(v)) for v in values], [128] * 4
    return model


def test_equal_scales_are_made_one():
    outcome = fixed(_unsigned(0.004, 0.004, 0.004, 0.004), "quantization-scheme")
    scale = float(np.float32(0.004))
    assert scales(part(outcome.model, "weights")) == [scale]
    assert only_done(outcome).loses == ""
    assert integers(part(outcome.model, "weights")) == integers(part(layer(kind="UINT8"), "weights"))


def test_different_scales_are_made_one_that_reaches_as_far():
    model = _unsigned(0.002, 0.004, 0.003, 0.001)
    tensor = part(model, "weights")
    real = (tensor.values().astype(np.int64) - 128) * np.array(scales(tensor)).reshape(4, 1)
    outcome = fixed(model, "quantization-scheme", lossy=True)
    fresh = part(outcome.model, "weights")
    (scale,) = scales(fresh)
    assert scale == float(np.float32(0.004))
    assert np.abs((fresh.values().astype(np.int64) - 128) * scale - real).max() <= scale / 2 * (1 + 1e-6)
    assert only_refused(fixed(model, "quantization-scheme")).reason.count("of a quantum") == 1


def test_integers_of_32_bits_lose_a_scale_that_no_kernel_reads():
    net = Net()
    first, second = (net.tensor(name, [1, 4], "INT32", 0.5) for name in ("first", "second"))
    result = net.tensor("output", [1, 4], "INT32", 0.5)
    net.operator("ADD", 1, [first, second], [result], "AddOptions")
    outcome = fixed(net.model([first, second], [result]), "quantization-scheme")
    assert [tensor.quantization for tensor in outcome.model.subgraphs[0].tensors] == [None] * 3
    assert all(item.done.keep == "integers" for item in outcome.repairs)


def test_blocks_become_channels():
    net = Net()
    source = net.tensor("input", [1, 64], "INT16", 0.02)
    tensor = net.tensor("weights", [4, 64], "INT8", values=spread([4, 64], -127, 127))
    blocks = net.tensor("blocks", [4, 2], "FLOAT32", values=[[0.5, 0.25]] * 4)
    details = table_class("BlockwiseQuantization")(scales=blocks, zero_points=None, block_size=32)
    tensor.quantization = ts.QuantizationParameters(details=details)
    result = net.tensor("output", [1, 4], "INT16", 0.5)
    net.operator("FULLY_CONNECTED", 7, [source, tensor], [result], "FullyConnectedOptions")
    model = net.model([source], [result])
    real = tensor.values().reshape(4, 2, 32) * np.array([0.5, 0.25]).reshape(1, 2, 1)
    outcome = fixed(model, "quantization-scheme", lossy=True)
    fresh = part(outcome.model, "weights")
    assert fresh.quantization.details is None
    assert len(scales(fresh)) == 4
    again = fresh.values() * np.array(scales(fresh)).reshape(4, 1)
    assert np.abs(again.reshape(4, 2, 32) - real).max() <= max(scales(fresh)) / 2 * (1 + 1e-6)


# Health


SOUND: list[Callable[[], ts.Model]] = [
    *(lambda o=o, k=k: layer(o, k) for o in ["FULLY_CONNECTED", *CONVOLUTIONS] for k in ("INT8", "UINT8", "INT16")),
    *(lambda o=o: layer(o, per_channel=True) for o in ["FULLY_CONNECTED", *CONVOLUTIONS]),
    _square(0),
]


@pytest.mark.parametrize("make", SOUND)
def test_sound_weights_are_left_alone(make):
    rules = ["weights-zero-point", "quantized-dimension", "scale-count", "quantization-scheme", "xnnpack-quantization"]
    outcome = ts.fix(make(), rules, targets=NAMES[:2], lossy=True)
    assert outcome.plan.edits == ()
    assert outcome.left == ()


@pytest.mark.parametrize("keep", ["auto", "values", "integers"])
@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0, -1.0])
def test_scales_that_say_nothing_keep_their_zero_points_or_lose_them(keep, scale):
    model = zeros(layer("CONV_2D", per_channel=True), 1, 2, 3, 4)
    part(model, "weights").quantization.scale[1] = scale
    outcome = fixed(model, "weights-zero-point", keep=keep, undecided="values", lossy=True)
    assert bool(outcome.plan.edits) is (keep == "integers")
