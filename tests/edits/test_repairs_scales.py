"""Scales that say nothing, or are missing: restored where the file tells them, and refused where it does not."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.builders import Net, chain, float32, integers, layer, part, scales, written
from tests.conditions.case import NAMES
from tests.conditions.pairs import pair
from tests.conditions.single import Side, single
from tests.edits.expected import edits
from tests.interpreters import session
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

NAN, INF = float("nan"), float("inf")
RULES = ["scale-value", "xnnpack-scale", "product-scale", "missing-quantization", "xnnpack-crash"]
INPUT, WEIGHTS, BIAS, OUTPUT = (f"subgraphs[0].tensors[{n}].quantization" for n in range(4))


def fixed(model, keep="auto", *, undecided="leave", rules=RULES, lossy=True):
    return ts.fix(model, rules, keep, undecided=undecided, targets=NAMES, lossy=lossy)


def reasons(outcome) -> str:
    return " | ".join(item.refused.reason for item in outcome.left)


def fuse(model, name, number=0):
    model.subgraphs[0].operators[number].builtin_options.fused_activation_function = enum_class(
        "ActivationFunctionType"
    )[name]


def record(tensor, low, high):
    tensor.quantization.min, tensor.quantization.max = [float32(low)], [float32(high)]


# What biases tell


@pytest.mark.parametrize("bad", [0.0, NAN, INF, 1e-42])
def test_a_weights_scale_is_bias_scale_by_input_scale(bad):
    model = layer(per_channel=True)
    old = scales(part(model, "weights"))
    part(model, "weights").quantization.scale = [*old[:2], bad, old[3]]
    (path, (before, after)), *rest = edits(fixed(model)).items()
    assert (path, rest) == (f"{WEIGHTS}.scale", [])
    assert [before[n] == after[n] for n in (0, 1, 3)] == [True] * 3
    assert after[2] == pytest.approx(old[2], rel=3e-7)


@pytest.mark.parametrize("bad", [[0.0], [NAN], [-INF]])
def test_an_input_scale_is_bias_scale_by_weights_scale(bad):
    model = layer(per_channel=True)
    old = scales(part(model, "input"))[0]
    part(model, "input").quantization.scale = bad
    found = edits(fixed(model))
    assert list(found) == [f"{INPUT}.scale"]
    assert found[f"{INPUT}.scale"][1] == [pytest.approx(old, rel=3e-7)]


def test_what_the_next_layer_was_made_for_tells_an_output():
    model = chain(2)
    old = scales(part(model, "output"))
    part(model, "output").quantization.scale = [0.0]
    outcome = fixed(model)
    assert not any(item.done.loses for item in outcome.repairs)
    assert scales(part(outcome.model, "output")) == [pytest.approx(old[0], rel=3e-7)]


def test_weights_without_quantisation_get_the_scales_of_the_bias():
    model = layer("DEPTHWISE_CONV_2D", per_channel=True)
    old = part(model, "weights").quantization
    part(model, "weights").quantization = None
    quantization = part(fixed(model).model, "weights").quantization
    assert quantization.scale == pytest.approx(old.scale, rel=3e-7)
    assert (quantization.zero_point, quantization.quantized_dimension) == ([0] * 4, 3)


def test_a_zero_point_that_nothing_tells_is_not_invented():
    model = layer()
    part(model, "input").quantization = None
    outcome = fixed(model)
    assert outcome.plan.edits == ()
    assert "made for an input of scale 0.0199999996, but nothing tells its zero point" in reasons(outcome)


@pytest.mark.reality
@pytest.mark.parametrize("role", ["input", "weights"])
def test_outputs_are_those_of_before(role):
    model = layer(per_channel=True)
    sound = ts.dumps(model)
    part(model, role).quantization.scale = [0.0] * len(scales(part(model, role)))
    outcome = fixed(model)
    for runtime in ("litert", "litert-no-delegate"):
        first, second = (session(runtime).run(data, seed=0) for data in (sound, ts.dumps(outcome.model)))
        assert np.abs(first.outputs[0][0].astype(int) - second.outputs[0][0]).max() <= 1


# What else tells


def test_a_recorded_range_tells_a_scale():
    model = layer(kind="INT16")
    record(part(model, "output"), -4.5, 9.8301)
    part(model, "output").quantization.scale = [NAN]
    outcome = fixed(model)
    assert scales(part(outcome.model, "output")) == [pytest.approx(0.0003, rel=1e-4)]
    assert "the range recorded for 'output'" in outcome.repairs[0].done.reason


def test_another_tensor_with_the_same_range_tells_a_scale():
    model = pair("ADD", scales=(0.004, 0.004, 1e-30))
    for tensor in model.subgraphs[0].tensors:
        record(tensor, 0.0, 1.0)
    record(model.subgraphs[0].tensors[1], 0.0, 2.0)
    outcome = fixed(model, rules=["multiplier-range"])
    assert edits(outcome) == {"subgraphs[0].tensors[2].quantization.scale": ([float32(1e-30)], [float32(0.004)])}


def test_a_copy_tells_a_scale():
    model = single("SQUEEZE", Side("INT8", 0.1, 3, (4,)), Side("INT8", 0.0, 3, (4,)))
    outcome = fixed(model, rules=["same-quantization"], lossy=False)
    assert [new for _, new in edits(outcome).values()] == [[float32(0.1)]]


def test_a_copy_tells_the_scale_of_what_has_none():
    model = single("SQUEEZE", Side("INT8", 0.1, 3, (4,)), Side("INT8", None, 0, (4,)))
    outcome = fixed(model, rules=["unquantised-activation"], lossy=False)
    quantization = outcome.model.subgraphs[0].tensors[1].quantization
    assert (quantization.scale, quantization.zero_point) == ([float32(0.1)], [3])


def test_a_zero_point_at_which_the_delegate_dies_is_corrected():
    model = single("QUANTIZE", Side("INT8", 0.1, 3), Side("INT8", 0.1, 300), version=2)
    outcome = fixed(model)
    assert outcome.model.subgraphs[0].tensors[1].quantization.zero_point == [127]
    assert "xnnpack-crash" not in {item.rule for item in outcome.remaining}


def test_a_node_bounds_what_it_gives():
    model = single("RELU", Side("INT8", 0.1), Side("INT8", 0.0))
    assert "by its inputs and constants RELU gives 0 to 12.7" in fixed(model).repairs[0].done.reason


# What is lost


@pytest.mark.parametrize("bad", [0.0, NAN])
def test_a_lost_output_scale_becomes_the_largest_that_was_possible(bad):
    model = layer()
    part(model, "output").quantization.scale = [bad]
    assert fixed(model, lossy=False).plan.edits == ()
    outcome = fixed(model)
    (done,) = [item.done for item in outcome.repairs]
    values = (part(model, "weights").values().astype(np.float64)) * scales(part(model, "weights"))[0]
    bias = part(model, "bias").values() * np.float64(scales(part(model, "bias"))[0])
    low, high = (-128 + 7) * float32(0.02), (127 + 7) * float32(0.02)
    most = (np.maximum(values * low, values * high).sum(axis=1) + bias).max()
    least = (np.minimum(values * low, values * high).sum(axis=1) + bias).min()
    expected = min(most / (127 - 4), -least / (4 + 128))
    assert scales(part(outcome.model, "output")) == [pytest.approx(expected, rel=1e-6)]
    assert "is lost" in done.loses


def test_a_lost_scale_of_what_a_model_is_given_is_refused():
    model = pair("ADD", scales=(0.5, 0.0, 0.5))
    outcome = fixed(model)
    assert outcome.plan.edits == ()
    assert "nothing in the file tells it; calibrate the model again" in reasons(outcome)


def test_the_scale_of_a_dead_channel_does_not_matter():
    model = layer(per_channel=True, bias=[1, 2, 3, 4])
    weights = part(model, "weights")
    values = np.array(weights.values())
    values[1] = 0
    weights.set_values(values)
    weights.quantization.scale = [0.004, 0.0, 0.0064, 0.0076]
    part(model, "bias").quantization.scale = [1e-4, 0.0, 1e-4, 1e-4]
    outcome = fixed(model, lossy=False)
    assert scales(part(outcome.model, "weights")) == [0.004, 0.004, 0.0064, 0.0076]
    assert integers(part(outcome.model, "weights")) == values.reshape(-1).tolist()


def test_weights_of_scale_0_become_zeros_only_where_values_are_asked_for():
    model = layer(per_channel=True)
    part(model, "weights").quantization.scale = [0.004, 0.0, 0.0064, 0.0076]
    part(model, "bias").quantization.scale = [0.0] * 4
    outcome = fixed(model)
    assert outcome.plan.edits == ()
    assert "--keep values writes zeros" in reasons(outcome)
    assert fixed(model, "values", lossy=False).plan.edits == ()
    weights = part(fixed(model, "values").model, "weights")
    assert (weights.values()[1] == 0).all()
    assert weights.values()[[0, 2, 3]].tolist() == part(model, "weights").values()[[0, 2, 3]].tolist()


# Negative scales


def test_a_bias_tells_that_the_sign_was_lost():
    model = layer(per_channel=True)
    old = scales(part(model, "weights"))
    part(model, "weights").quantization.scale = [old[0], -old[1], *old[2:]]
    outcome = fixed(model)
    assert edits(outcome) == {f"{WEIGHTS}.scale": ([old[0], -old[1], *old[2:]], old)}
    assert outcome.repairs[0].done.keep == "integers"


def test_a_bias_that_was_made_for_the_sign_is_turned_over_with_the_weights():
    model = layer(weights_scales=[0.004])
    stored, added = integers(part(model, "weights")), integers(part(model, "bias"))
    for role in ("weights", "bias"):
        part(model, role).quantization.scale = [-value for value in scales(part(model, role))]
    outcome = fixed(model)
    assert outcome.repairs[0].done.keep == "values"
    assert integers(part(outcome.model, "weights")) == [-value for value in stored]
    assert integers(part(outcome.model, "bias")) == [-value for value in added]
    assert scales(part(outcome.model, "bias")) == [-value for value in scales(part(model, "bias"))]


def _hybrid(kind="INT8", zero_point=0, values=((-128, 5), (7, 127))):
    net = Net()
    source, result = net.tensor("input", [1, 2], "FLOAT32"), net.tensor("output", [2, 2], "FLOAT32")
    weights = net.tensor("weights", [2, 2], kind, -0.5, zero_point, values)
    net.operator("DEQUANTIZE", 2, [weights], [result])
    return net.model([source], [result])


def test_a_sign_of_which_nothing_tells_is_left_open():
    model = _hybrid()
    (left,) = fixed(model).left
    assert left.refused.is_open
    assert fixed(model).plan.edits == ()


@pytest.mark.parametrize(
    ("kind", "point", "values"), [("INT8", 3, [[-128, 5], [7, 127]]), ("UINT8", 9, [[0, 5], [7, 255]])]
)
def test_values_are_kept_by_reading_the_type_from_its_other_end(kind, point, values):
    model = _hybrid(kind, point, values)
    ends = -1 if kind == "INT8" else 255
    outcome = fixed(model, "values", lossy=False)
    tensor = outcome.model.subgraphs[0].tensors[2]
    assert tensor.values().tolist() == (ends - np.array(values)).tolist()
    assert tensor.quantization.zero_point == [ends - point]
    assert scales(tensor) == [0.5]
    kept = fixed(model, "integers").model.subgraphs[0].tensors[2]
    assert (kept.values().tolist(), kept.quantization.zero_point, scales(kept)) == (values, [point], [0.5])


def test_the_lowest_integer_of_symmetric_weights_is_lost_alone():
    model = layer(weights_scales=[0.004])
    weights = part(model, "weights")
    values = np.array(weights.values())
    values[0, 0] = -128
    weights.set_values(values)
    for role in ("weights", "bias"):
        part(model, role).quantization.scale = [-value for value in scales(part(model, role))]
    assert fixed(model, lossy=False).plan.edits == ()
    (done,) = [item.done for item in fixed(model).repairs]
    assert done.loses.startswith("1 of the integers are the lowest of INT8")


@pytest.mark.reality
def test_turned_over_weights_compute_what_negative_scales_did():
    model = layer(per_channel=True, bias=[0] * 4)
    part(model, "weights").quantization.scale[1] *= -1
    part(model, "bias").quantization = None
    before = session("litert-no-delegate").run(ts.dumps(model), seed=0)
    outcome = fixed(model, "values")
    assert [item.done.keep for item in outcome.repairs] == ["values"]
    after = session("litert-no-delegate").run(ts.dumps(outcome.model), seed=0)
    assert before.ok
    assert np.abs(before.outputs[0][0].astype(int) - after.outputs[0][0]).max() <= 1


@pytest.mark.parametrize(
    ("low", "high", "keep", "point"),
    [(0.0, 25.5, "integers", -128), (-25.5, 0.0, "values", 127), (None, None, None, 0)],
)
def test_a_recorded_range_tells_what_a_negative_scale_of_an_activation_means(low, high, keep, point):
    model = single("ABS", Side("INT8", -0.1, -128), Side("INT8", 0.1))
    tensor = model.subgraphs[0].tensors[0]
    if low is not None:
        record(tensor, low, high)
    outcome = fixed(model)
    if keep is None:
        assert [item.refused.is_open for item in outcome.left] == [True]
        return
    assert [item.done.keep for item in outcome.repairs] == [keep]
    quantization = outcome.model.subgraphs[0].tensors[0].quantization
    assert (quantization.scale, quantization.zero_point) == ([float32(0.1)], [point])


def test_a_negative_scale_beside_a_copy_is_the_copys():
    model = single("SQUEEZE", Side("INT8", -0.1, 3), Side("INT8", 0.1, 3))
    outcome = fixed(model, rules=["same-quantization"])
    assert edits(outcome) == {f"{INPUT}.scale": ([float32(-0.1)], [float32(0.1)])}


# Comparisons


def _comparison(kind="INT8", first=0.5, second=1.0, operator="GREATER"):
    net = Net()
    inputs = [net.tensor("first", [1, 4], kind, first), net.tensor("second", [1, 4], kind, second)]
    result = net.tensor("output", [1, 4], "BOOL")
    net.operator(operator, 2, inputs, [result])
    return net.model(inputs, [result])


@pytest.mark.reality
@pytest.mark.parametrize(("first", "second"), [(0.5, 1.0), (2.0, 0.5), (1.0, 1.0)])
@pytest.mark.parametrize("operator", ["GREATER", "EQUAL", "LESS_EQUAL"])
def test_a_comparison_is_one_of_the_real_values(operator, first, second):
    outcome = fixed(_comparison("INT8", first, second, operator), rules=["comparison-scale"])
    assert [item.done.loses for item in outcome.repairs] == [""]
    assert "comparison-scale" not in {item.rule for item in outcome.remaining}
    values = [np.array([[-128, 1, 2, 127]], np.int8), np.array([[-64, 2, 1, 127]], np.int8)]
    compared = {"GREATER": np.greater, "EQUAL": np.equal, "LESS_EQUAL": np.less_equal}[operator]
    expected = compared(values[0] * first, values[1] * second)
    for runtime in NAMES:
        run = session(runtime).run(ts.dumps(outcome.model), inputs=values)
        assert run.ok, run.message
        assert run.outputs[0][0].tolist() == expected.tolist()


def test_integers_without_scales_are_compared_as_integers():
    model = _comparison("INT16", None, None, "NOT_EQUAL")
    outcome = fixed(model)
    names = [operator.name for operator in outcome.model.subgraphs[0].operators]
    assert names == ["CAST", "CAST", "NOT_EQUAL"]
    assert [item.done.loses for item in outcome.repairs] == [""]


def test_a_comparison_with_a_lost_scale_is_refused():
    outcome = fixed(_comparison("INT8", 0.0), rules=["comparison-scale"])
    assert outcome.plan.edits == ()
    assert "'first' had scale 0, and nothing in the file tells it" in reasons(outcome)


# Sound models


@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
@pytest.mark.parametrize("kind", ["INT8", "INT16"])
def test_sound_models_stay_as_they_are(operator, kind):
    model = written(layer(operator, kind, per_channel=True))
    every = [*RULES, "comparison-scale", "multiplier-range", "activation-range", "zero-point-range", "int16-zero-point"]
    assert fixed(model, rules=[*every, "xnnpack-zero-point", "xnnpack-requantization"]).plan.edits == ()


def test_what_others_read_is_repaired_with_it():
    """A constant that two nodes read has one scale, and both had the fault."""
    model = chain(2)
    first, second = model.subgraphs[0].operators[:2]
    part(model, "weights").quantization.scale[0] *= -1
    second.inputs[1] = first.inputs[1]
    outcome = fixed(model)
    shared = outcome.model.subgraphs[0].operators
    assert shared[0].inputs[1] is shared[1].inputs[1]
    assert scales(shared[0].inputs[1]) == [abs(scale) for scale in scales(first.inputs[1])]


# Blocks


def _blocks(values, halves):
    net = Net()
    source, result = net.tensor("input", [1, 64], "FLOAT32"), net.tensor("output", [1, 2], "FLOAT32")
    weights, table = net.tensor("weights", [2, 64], "INT8"), net.tensor("scales", [2, 2], "INT8")
    weights.type, table.type = (enum_class("TensorType")[name] for name in ("INT4", "FLOAT16"))
    nibbles = np.array(values).reshape(-1) & 15
    weights.buffer = ts.Buffer((nibbles[::2] | nibbles[1::2] << 4).astype(np.uint8).tobytes())
    table.buffer = ts.Buffer(np.array(halves, "<f2").tobytes())
    net.buffers += [weights.buffer, table.buffer]
    details = table_class("BlockwiseQuantization")(scales=table, zero_points=None, block_size=32)
    weights.quantization = ts.QuantizationParameters(details=details)
    net.operator("FULLY_CONNECTED", 13, [source, weights], [result], "FullyConnectedOptions")
    return net.model([source], [result])


def test_a_block_of_zeros_may_have_any_scale():
    values = np.ones((2, 64), int)
    values[0, 32:] = 0
    outcome = fixed(_blocks(values, [0.5, 0.0, 0.25, 0.5]), rules=["xnnpack-scale"], lossy=False)
    ((path, (_, new)),) = edits(outcome).items()
    assert path == "buffers[2].data"
    assert np.frombuffer(new, "<f2").tolist() == [0.5, 0.25, 0.25, 0.5]


def test_a_block_of_scale_0_becomes_zeros_only_where_values_are_asked_for():
    model = _blocks(np.ones((2, 64), int), [0.5, 0.0, 0.25, 0.5])
    assert fixed(model, rules=["xnnpack-scale"]).plan.edits == ()
    outcome = fixed(model, "values", rules=["xnnpack-scale"])
    values = outcome.model.subgraphs[0].tensors[2].values()
    assert values[0, 32:].tolist() == [0] * 32
    assert (np.delete(values.reshape(-1), range(32, 64)) == 1).all()
    assert "32 integers" in outcome.repairs[0].done.loses
