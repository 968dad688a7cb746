"""The rule bias-scale: what counts as off, the numbers of a finding, who refuses it, and who is the suspect."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, float32, integers, part, scales, steps

OPERATORS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
# Activation types, and whether the weights have one scale a channel; uint8 weights have one for all.
FORMS = [("INT8", False), ("INT8", True), ("UINT8", False), ("INT16", False), ("INT16", True)]
NAN = float("nan")


def check(model: ts.Model, **arguments) -> list[ts.Finding]:
    """What this rule finds; damage may break others too."""
    return ts.check(model, select=["bias-scale"], **arguments)


def the_finding(model: ts.Model, **arguments) -> ts.Finding:
    found = ts.check(model, select=["bias-scale"], **arguments)
    assert len(found) == 1, found
    return found[0]


def errors_of(model: ts.Model, number: int = 0) -> np.ndarray:
    """|q| * |s_b - P| / s_out, from the model's numbers, in float64."""
    value, weights, bias, output = (part(model, role, number) for role in ("input", "weights", "bias", "output"))
    units = np.float64(scales(value)[0]) * np.array(scales(weights))
    return np.abs(np.array(integers(bias)) * (np.array(scales(bias)) - units)) / scales(output)[0]


# What counts as off


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("ulps", [-3, -2, -1, 1, 2, 3])
def test_two_float32_steps_are_rounding_and_three_are_not(operator, per_channel, ulps):
    model = builders.layer(operator, per_channel=per_channel)
    bias = part(model, "bias")
    expected = scales(bias)
    channel = len(expected) - 1
    bias.quantization.scale = [*expected[:-1], steps(expected[-1], ulps)]
    findings = check(model)
    if abs(ulps) <= 2:
        assert findings == []
    else:
        (found,) = findings
        assert found.severity == ts.Severity.NOTE
        assert found.details["channels_off"] == (1 if per_channel else 4)
        assert found.details["worst_channel"] == (channel if per_channel else 0)
        assert 0 < found.details["error_quanta"] < 0.001
        assert set(found.runtimes.values()) == {"ok"}


@pytest.mark.parametrize("exponent", [-100, -60, 0, 20])
def test_steps_are_counted_wherever_the_scales_lie(exponent):
    """The borders are in units of the last place, not in a fixed tolerance."""
    scale = 1.1 * 2.0**exponent
    model = builders.layer(input_scale=1.0, weights_scales=[scale], output_scale=abs(scale) * 9999, bias=[1, 2, 3, 4])
    bias = part(model, "bias")
    bias.quantization.scale = [steps(float32(scale), 2)]
    assert check(model) == []
    bias.quantization.scale = [steps(float32(scale), 3)]
    assert the_finding(model).severity == ts.Severity.NOTE


@pytest.mark.parametrize("steps_off", [2, 3])
def test_steps_are_counted_across_a_power_of_two(steps_off):
    model = builders.layer(input_scale=2.0**-6, weights_scales=[2.0**-8])
    part(model, "bias").quantization.scale = [steps(2.0**-14, -steps_off)]
    assert len(check(model)) == steps_off - 2


# The numbers of a finding


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("kind", "per_channel"), FORMS)
@pytest.mark.parametrize("factor", [0.5, 1.001, 13.03])
def test_numbers(operator, kind, per_channel, factor):
    model = builders.layer(operator, kind, per_channel=per_channel)
    bias = part(model, "bias")
    damage(bias, factor)
    errors = errors_of(model)
    found = the_finding(model)
    worst = int(errors.argmax())
    details = found.details
    weights = scales(part(model, "weights"))
    stored = scales(bias)
    s_in, s_w, s_b = scales(part(model, "input"))[0], weights[worst % len(weights)], stored[worst % len(stored)]
    s_out = scales(part(model, "output"))[0]
    assert (found.rule, found.subgraph, found.operator, found.operator_name) == ("bias-scale", 0, 0, operator)
    assert found.tensor == (model.subgraphs[0].tensors.index(bias), "bias")
    assert details["tensors"] == {"input": "input", "weights": "weights", "bias": "bias", "output": "output"}
    expected = float(np.float32(np.float64(s_in) * s_w))
    assert details["scales"] == {"input": s_in, "weights": s_w, "bias": s_b, "output": s_out, "expected": expected}
    assert details["worst_channel"] == worst
    assert details["channels"] == details["channels_off"] == 4
    assert details["error_quanta"] == pytest.approx(errors[worst], rel=1e-12)
    assert details["ratio"] == pytest.approx(abs(s_in * s_w - s_b) / s_out, rel=1e-12)
    assert details["ratio_limit"] == 0.02
    matters = errors.max() > 0.5
    assert found.severity == (ts.Severity.ERROR if matters else ts.Severity.NOTE)
    accepted = "wrong-numbers" if matters else "ok"
    assert set(found.runtimes.values()) <= {accepted, "refuses", "unknown"}


def test_one_channel_off():
    model = builders.layer("CONV_2D", per_channel=True)
    bias = part(model, "bias")
    bias.quantization.scale[2] = float32(bias.quantization.scale[2] * 2)
    found = the_finding(model)
    assert found.details["channels_off"] == 1
    assert found.details["worst_channel"] == 2
    assert found.details["error_quanta"] == pytest.approx(errors_of(model)[2], rel=1e-12)


def test_the_worst_channel_is_the_one_whose_result_is_farthest_off():
    """Not the one whose scale is farthest off: its integer may be small."""
    model = builders.layer("CONV_2D", per_channel=True, bias=[1000, 1, 10, 500])
    bias = part(model, "bias")
    stored = scales(bias)
    bias.quantization.scale = [stored[0], float32(stored[1] * 40), stored[2], float32(stored[3] * 1.5)]
    found = the_finding(model)
    assert found.details["worst_channel"] == 3 == errors_of(model).argmax()
    assert found.details["channels_off"] == 2


@pytest.mark.parametrize(("error", "severity"), [(0.499, ts.Severity.NOTE), (0.501, ts.Severity.ERROR)])
def test_half_a_quantum_is_the_border(error, severity):
    """Ratios stay far below 0.02 here, so that only the numbers decide."""
    model = builders.layer("CONV_2D", bias=[100000, 0, 0, 0])
    bias, output = part(model, "bias"), part(model, "output")
    bias.quantization.scale = [float32(scales(bias)[0] + error * scales(output)[0] / 100000)]
    assert errors_of(model).max() == pytest.approx(error, abs=1e-4)
    found = the_finding(model)
    assert found.severity == severity
    assert set(found.runtimes.values()) == {"ok" if error < 0.5 else "wrong-numbers"}


def test_a_bias_zero_point_that_the_file_writes_is_part_of_what_it_says():
    model = builders.layer(bias=[100, 200, 300, 400])
    bias = part(model, "bias")
    unit = scales(bias)[0]
    damage(bias, 2.0)
    bias.quantization.zero_point = [50]
    said = (np.array([100, 200, 300, 400]) - 50) * scales(bias)[0]
    errors = np.abs(said - np.array([100, 200, 300, 400]) * unit) / scales(part(model, "output"))[0]
    found = the_finding(model)
    assert found.details["error_quanta"] == pytest.approx(errors.max(), rel=1e-6)
    assert found.details["worst_channel"] == errors.argmax() == 3


# Scales that are none, and vectors of the wrong length


@pytest.mark.parametrize("scale", [0.0, -1e-4, 1e-40, NAN, math.inf, -math.inf, 1e300])
def test_a_scale_that_is_none(scale):
    model = builders.layer("CONV_2D")
    part(model, "bias").quantization.scale = [scale]
    found = the_finding(model)
    assert found.severity == ts.Severity.WARNING
    assert found.details["error_quanta"] is None
    assert found.details["channels_off"] == 4
    assert found.details["suspect"] == "bias"
    assert set(found.runtimes.values()) == {"ok"}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("how", ["no quantisation", "no scales", "empty scales"])
def test_no_scale_at_all_is_read_as_zero(how, per_channel):
    model = builders.layer(per_channel=per_channel, output_scale=0.001)
    bias = part(model, "bias")
    if how == "no quantisation":
        bias.quantization = None
    else:
        bias.quantization.scale = None if how == "no scales" else []
    found = the_finding(model, targets=["litert-no-delegate"])
    ratio = float32(0.02) * 0.004 / 0.001
    assert ratio > 0.02
    assert found.details["ratio"] == pytest.approx(ratio, rel=1e-5)
    assert found.details["scales"]["bias"] is None
    # One weights scale: the check reads 0 for the bias. Several: only tflite-2.14 still checks, and reads 0 for both.
    refuses = "ok" if per_channel else "refuses"
    assert found.runtimes["litert-no-delegate"] == found.runtimes["litert"] == refuses
    assert found.runtimes["tflite-2.14"] == refuses
    assert found.severity == (ts.Severity.NOTE if per_channel else ts.Severity.ERROR)


def test_a_nan_in_one_channel():
    model = builders.layer("CONV_2D", per_channel=True)
    part(model, "bias").quantization.scale[1] = NAN
    found = the_finding(model)
    assert found.details["channels_off"] == 1
    assert found.details["worst_channel"] == 1
    assert found.severity == ts.Severity.WARNING


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_right_values_in_a_vector_of_the_wrong_length(operator, per_channel):
    """One scale where the weights have four equal ones, and the reverse."""
    model = builders.layer(operator, weights_scales=[0.004] * (4 if per_channel else 1))
    bias = part(model, "bias")
    unit = scales(bias)[0]
    assert check(model) == []
    count = 1 if per_channel else 4
    bias.quantization.scale, bias.quantization.zero_point = [unit] * count, [0] * count
    found = the_finding(model)
    assert found.details["channels_off"] == 0
    assert found.details["error_quanta"] is None
    # XNNPACK wants both in the same form for convolutions; nobody else compares their lengths for int8.
    convolution = operator != "FULLY_CONNECTED"
    assert found.runtimes["litert"] == ("refuses" if convolution else "ok")
    assert found.severity == (ts.Severity.ERROR if convolution else ts.Severity.NOTE)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_vector_of_no_sensible_length_writes_no_values(count):
    model = builders.layer("CONV_2D", per_channel=True)
    bias = part(model, "bias")
    bias.quantization.scale, bias.quantization.zero_point = [0.1] * count, [0] * count
    found = the_finding(model)
    assert found.details["channels_off"] == 4
    assert found.details["error_quanta"] is None
    assert f"given {count} times for 4 channels" in found.message


# Who refuses: the table of the kernels


@pytest.mark.parametrize(("kind", "per_channel"), FORMS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_who_refuses_beyond_the_limit(operator, kind, per_channel):
    """The ratio is 0.03, and integers of 0 keep the numbers right: what is left is who refuses."""
    model = builders.layer(operator, kind, per_channel=per_channel, bias=[0, 0, 0, 0])
    bias, output = part(model, "bias"), part(model, "output")
    bias.quantization.scale = [float32(scale + 0.03 * scales(output)[0]) for scale in scales(bias)]
    fully = operator == "FULLY_CONNECTED"
    own = "refuses" if (fully and not per_channel) or (kind == "UINT8" and not fully) else "ok"
    expected = {
        "litert": own if kind == "INT16" else "ok",
        "litert-no-delegate": own,
        "tflite-2.14": own,
        "tflm": "unknown" if kind == "UINT8" else "refuses" if fully else "ok",
    }
    if fully and per_channel:
        # tflite-runtime 2.14 checks still, but reads 0 for each vector: |0 - 0| is within the limit.
        expected |= {"tflite-2.14": "ok", "tflm": "ok"}
    found = the_finding(model)
    assert found.runtimes == expected
    for target, verdict in expected.items():
        severity = the_finding(model, targets=[target]).severity
        assert severity == (ts.Severity.ERROR if verdict == "refuses" else ts.Severity.NOTE)
    assert the_finding(model, targets=list(expected)).severity == (
        ts.Severity.ERROR if "refuses" in expected.values() else ts.Severity.NOTE
    )


@pytest.mark.parametrize("scale", [NAN, math.inf, -1.0, 0.0, 1e-40])
def test_a_scale_that_xnnpack_will_not_take_meets_the_kernel_s_check(scale):
    model = builders.layer(output_scale=0.001)
    part(model, "bias").quantization.scale = [scale]
    runtimes = the_finding(model).runtimes
    assert runtimes["litert"] == runtimes["litert-no-delegate"] == runtimes["tflite-2.14"] == "refuses"


def test_wrong_numbers_are_an_error_whoever_is_asked_about():
    model = builders.layer("CONV_2D", "UINT8")
    damage(part(model, "bias"), 1 + 0.03 * scales(part(model, "output"))[0] / scales(part(model, "bias"))[0])
    found = the_finding(model)
    assert found.runtimes == {
        "litert": "wrong-numbers",
        "litert-no-delegate": "refuses",
        "tflite-2.14": "refuses",
        "tflm": "unknown",
    }
    # What the file says and what any kernel adds are apart, whoever runs it.
    assert the_finding(model, targets=["tflm"]).severity == ts.Severity.ERROR


# Bias not constant, other scales unusable


def test_a_computed_bias():
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    bias.buffer = model.buffers[0]
    model.subgraphs[0].inputs.append(bias)
    assert check(model) == []
    damage(bias, 2.0)
    found = the_finding(model)
    assert found.details["error_quanta"] is None
    assert set(found.runtimes.values()) == {"unknown"}
    assert found.severity == ts.Severity.NOTE


def test_without_an_output_scale_nobody_can_say_how_wrong():
    model = builders.layer("CONV_2D")
    damage(part(model, "bias"), 2.0)
    part(model, "output").quantization = None
    found = the_finding(model)
    assert found.details["error_quanta"] is None
    assert set(found.runtimes.values()) == {"unknown"}


@pytest.mark.parametrize("role", ["input", "weights"])
@pytest.mark.parametrize("scale", [None, [], [0.0], [-0.1], [NAN], [math.inf], [1e-40]])
def test_input_or_weights_without_a_usable_scale(role, scale):
    """The unit is unknown; the finding says why, and names the tensor that is at fault."""
    model = builders.layer("CONV_2D")
    quantization = part(model, role).quantization
    quantization.scale = scale
    found = the_finding(model)
    assert found.severity == ts.Severity.WARNING
    assert "unit of the bias cannot be told" in found.message
    assert repr(role) in found.message
    assert found.details["trouble"] in found.message
    quantization.scale = None
    part(model, role).quantization = None
    assert "no scale" in the_finding(model).message


def test_scales_for_some_channels_only():
    model = builders.layer("CONV_2D", "INT16", weights_scales=[0.1, 0.2])
    assert "weights 'weights' has 2 scales for 4 channels" in the_finding(model).message


def test_an_input_with_several_scales():
    model = builders.layer("CONV_2D", "INT16")
    part(model, "input").quantization.scale = [0.1, 0.2]
    assert "input 'input' has 2 scales" in the_finding(model).message


def test_an_unusable_scale_that_a_kernel_s_check_meets_is_refused():
    model = builders.layer(output_scale=0.001)
    part(model, "input").quantization.scale = [NAN]
    found = the_finding(model)
    assert found.runtimes["litert-no-delegate"] == "refuses"
    assert found.severity == ts.Severity.ERROR


def test_a_shape_that_would_take_all_memory():
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    bias.shape = [2**31 - 1, 2**31 - 1]
    for quantization in (bias.quantization, None):
        bias.quantization = quantization
        assert f"has only {len(bias.data)} bytes" in the_finding(model).message
    bias.buffer = model.buffers[0]
    model.subgraphs[0].inputs.append(bias)
    assert "which is no layer's" in the_finding(model).message


@pytest.mark.parametrize("kind", ["FLOAT32", "INT16", "INT8"])
def test_other_types_of_bias_are_another_rule_s_business(kind):
    model = builders.layer("CONV_2D")
    damage(part(model, "bias"), 2.0)
    part(model, "bias").type = builders.enum_class("TensorType")[kind]
    assert ts.check(model, select=["bias-scale"]) == []


def test_hybrid_layers_add_their_bias_in_floats():
    model = builders.layer()
    damage(part(model, "bias"), 2.0)
    part(model, "input").type = builders.enum_class("TensorType")["FLOAT32"]
    assert check(model) == []


# SVDF and LSTM


def test_svdf_counts_in_state_times_time_weights():
    model = builders.svdf()
    bias = part(model, "bias")
    expected = np.float32(np.float64(scales(part(model, "state"))[0]) * scales(part(model, "weights_time"))[0])
    assert scales(bias) == [expected]
    bias.quantization.scale = [
        builders.product(scales(part(model, "input"))[0], scales(part(model, "weights_feature"))[0])
    ]
    found = the_finding(model)
    assert found.details["scales"]["expected"] == expected
    difference = abs(
        scales(bias)[0]
        - float(np.float64(0) + scales(part(model, "state"))[0] * scales(part(model, "weights_time"))[0])
    )
    error = max(abs(q) for q in integers(bias)) * difference / scales(part(model, "output"))[0]
    assert found.details["error_quanta"] == pytest.approx(error, rel=1e-9)
    assert "state scale x weights_time scale" in found.message


@pytest.mark.parametrize(("difference", "verdict"), [(0.99e-5, "ok"), (1.01e-5, "refuses")])
@pytest.mark.parametrize("sign", [-1, 1])
def test_svdf_limit_of_tflm(difference, verdict, sign):
    model = builders.svdf(bias=[0, 0, 0, 0])
    part(model, "state").quantization.scale = [0.5]
    part(model, "weights_time").quantization.scale = [float32(0.0001)]
    part(model, "bias").quantization.scale = [float32(0.00005 + sign * difference)]
    found = the_finding(model)
    assert found.runtimes == {"litert": "ok", "litert-no-delegate": "ok", "tflite-2.14": "ok", "tflm": verdict}
    assert the_finding(model, targets=["tflm"]).severity == (
        ts.Severity.ERROR if verdict == "refuses" else ts.Severity.NOTE
    )


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("gate", builders.GATES)
def test_lstm_gates(gate, layer_norm):
    """A gate's result is int16 with twelve fractional bits; normalised gates add in 2**-10 of the coefficients."""
    model = builders.lstm(layer_norm=layer_norm)
    bias = part(model, f"{gate}_bias")
    damage(bias, 1.25)
    if layer_norm:
        unit = scales(part(model, f"{gate}_layer_norm"))[0] * 2.0**-10
    else:
        unit = scales(part(model, "input"))[0] * scales(part(model, f"input_to_{gate}_weights"))[0]
    error = max(abs(q) for q in integers(bias)) * abs(scales(bias)[0] - unit) / 2.0**-12
    found = the_finding(model)
    assert found.tensor == (model.subgraphs[0].tensors.index(bias), f"{gate}_bias")
    assert found.details["bias_role"] == f"{gate}_bias"
    assert found.details["scales"]["expected"] == pytest.approx(unit, rel=1e-7)
    assert found.details["error_quanta"] == pytest.approx(error, rel=1e-9)


def test_lstm_projection_counts_in_hidden_times_projection_weights():
    model = builders.lstm()
    bias = part(model, "projection_bias")
    damage(bias, 3.0)
    unit = scales(part(model, "hidden"))[0] * scales(part(model, "projection_weights"))[0]
    error = max(abs(q) for q in integers(bias)) * abs(scales(bias)[0] - unit) / scales(part(model, "output"))[0]
    assert the_finding(model).details["error_quanta"] == pytest.approx(error, rel=1e-9)


def test_lstm_of_the_8x8_8_form_is_not_judged():
    model = builders.lstm()
    damage(part(model, "projection_bias"), 3.0)
    operator = builders.node(model)
    operator.intermediates = operator.intermediates * 2 + operator.intermediates[:2]
    assert len(operator.intermediates) == 12
    assert check(model) == []


# Where


def test_every_subgraph_is_looked_at():
    model = builders.two_subgraphs(builders.chain(2), builders.chain(3))
    damage(part(model, "bias", 1, 0), 2.0)
    damage(part(model, "bias", 2, 1), 4.0)
    assert [(f.subgraph, f.operator) for f in check(model)] == [(0, 1), (1, 2)]
    assert [f.path for f in check(model)] == ["subgraphs[0].operators[1]", "subgraphs[1].operators[2]"]
    tensor = part(model, "bias", 2, 1)
    assert check(model)[1].tensor == (model.subgraphs[1].tensors.index(tensor), tensor.name)


def test_most_severe_first_then_by_node():
    model = builders.chain(4)
    for number, factor in ((0, 1.0001), (1, 5.0), (2, 1.0001), (3, 5.0)):
        damage(part(model, "bias", number), factor)
    found = check(model)
    assert [(f.operator, str(f.severity)) for f in found] == [(1, "error"), (3, "error"), (0, "note"), (2, "note")]


# The suspect


def test_suspect_is_the_bias_when_nothing_speaks_for_another_scale():
    model = builders.chain(2)
    damage(part(model, "bias", 1), 2.0)
    assert the_finding(model).details["suspect"] == "bias"


@pytest.mark.parametrize("factor", [0.5, 1.2, 3.0])
def test_weights_are_the_suspect_when_their_recorded_range_and_the_bias_agree(factor):
    model = builders.layer()
    weights = part(model, "weights")
    top = float32(127 * scales(weights)[0])
    weights.quantization.min, weights.quantization.max = [-top], [top]
    assert check(model) == []
    damage(weights, factor)
    found = the_finding(model)
    assert found.details["suspect"] == "weights"
    assert "recorded range" in found.details["suspect_because"]
    assert "the weights scale is the suspect" in found.message


def test_a_recorded_range_that_agrees_with_the_weights_clears_them():
    model = builders.layer()
    weights = part(model, "weights")
    top = float32(127 * scales(weights)[0])
    weights.quantization.min, weights.quantization.max = [-top], [top]
    damage(part(model, "bias"), 2.0)
    assert the_finding(model).details["suspect"] == "bias"


def test_asymmetric_weights_speak_through_their_whole_range():
    model = builders.layer(kind="UINT8")
    weights = part(model, "weights")
    scale = scales(weights)[0]
    weights.quantization.min, weights.quantization.max = [float32(-128 * scale)], [float32(127 * scale)]
    assert check(model) == []
    damage(weights, 2.0)
    assert the_finding(model).details["suspect"] == "weights"


def test_the_input_is_the_suspect_when_all_its_consumers_are_off_by_one_factor():
    model = builders.one_input(3)
    assert check(model) == []
    damage(part(model, "input"), 1.7)
    found = check(model)
    assert [(f.operator, f.details["suspect"]) for f in found] == [(0, "input"), (1, "input"), (2, "input")]


def test_the_input_is_no_suspect_when_one_of_its_consumers_is_sound():
    model = builders.one_input(3)
    for number in (0, 1):
        damage(part(model, "bias", number), 1.7)
    assert [f.details["suspect"] for f in check(model)] == ["bias", "bias"]


def test_the_input_is_no_suspect_when_the_factors_differ():
    model = builders.one_input(2)
    damage(part(model, "bias", 0), 1.7)
    damage(part(model, "bias", 1), 1.71)
    assert [f.details["suspect"] for f in check(model)] == ["bias", "bias"]


def test_the_input_is_the_suspect_when_all_gates_that_read_it_are_off_by_one_factor():
    model = builders.lstm(projection=False)
    assert check(model) == []
    damage(part(model, "input"), 1.7)
    assert [f.details["suspect"] for f in check(model)] == ["input"] * 4


def test_the_input_is_the_suspect_when_its_recorded_range_and_the_bias_agree():
    model = builders.layer()
    source = part(model, "input")
    scale, zero_point = scales(source)[0], source.quantization.zero_point[0]
    source.quantization.min = [float32(scale * (-128 - zero_point))]
    source.quantization.max = [float32(scale * (127 - zero_point))]
    assert check(model) == []
    damage(source, 0.4)
    found = the_finding(model)
    assert found.details["suspect"] == "input"
    assert "the input's recorded range" in found.details["suspect_because"]


def test_shared_weights_are_the_suspect_when_all_their_users_are_off_by_one_factor():
    model = builders.one_weights()
    assert check(model) == []
    damage(part(model, "weights"), 0.6)
    assert [f.details["suspect"] for f in check(model)] == ["weights", "weights"]


def test_a_shared_bias_is_the_suspect_where_it_was_made_for_another_node():
    found = check(builders.shared_bias())
    assert [(f.operator, f.details["suspect"]) for f in found] == [(1, "bias"), (2, "bias")]
    assert all("operator 0" in f.details["suspect_because"] for f in found)


# The rule looks and never touches


@pytest.mark.parametrize("make", [builders.shared_bias, builders.svdf, builders.lstm, lambda: builders.chain(3)])
def test_checking_changes_nothing(make):
    model = builders.written(make())
    damage(model.subgraphs[0].operators[-1].role("bias") or part(model, "input_gate_bias"), 3.0)
    before = ts.dumps(model)
    assert check(model) == check(model) != []
    assert ts.dumps(model) == before
