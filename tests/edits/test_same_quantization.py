"""Tensors that hold the same integers: which of their scales is right, and what is converted where both are."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.builders import Net, float32, integers, net_layer, scales, two_subgraphs
from tests.conditions.case import NAMES
from tests.edits.expected import edits, packed
from tests.interpreters import session
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.engine import Outcome
from tflite_surgeon.edits.evidence import BIAS, DECLARED, FIXED, HINT, RANGE, scale_evidence
from tflite_surgeon.edits.plan import AppendItem, InsertItem
from tflite_surgeon.edits.ties import group_of, is_passed
from tflite_surgeon.flatbuffer.schema import enum_class

_RULE = "same-quantization"
_VALID = enum_class("Padding")["VALID"]
_POOL = {"filter_width": 2, "filter_height": 3, "stride_w": 1, "stride_h": 1, "padding": _VALID}
_CONV, _POOLED, _FLAT = 3, 4, 5


def fixed(model: ts.Model, **arguments: object) -> Outcome:
    return ts.fix(model, [_RULE], targets=NAMES, **{"lossy": True, **arguments})


def tensor(model: ts.Model, number: int) -> ts.Tensor:
    return model.subgraphs[0].tensors[number]


def parameters(model: ts.Model, number: int) -> tuple[float, int]:
    quantization = tensor(model, number).quantization
    return quantization.scale[0], quantization.zero_point[0]


def declare(model: ts.Model, number: int, scale: float, zero_point: int) -> ts.Model:
    tensor(model, number).quantization = ts.QuantizationParameters(scale=[float32(scale)], zero_point=[zero_point])
    return model


def where(number: int, what: str = "scale") -> str:
    return f"subgraphs[0].tensors[{number}].quantization.{what}"


def pooled(*, layers: bool = True, activation: str = "NONE") -> ts.Model:
    """CONV_2D, MAX_POOL_2D, RESHAPE and, if asked for, FULLY_CONNECTED: tensors 3, 4 and 5 hold the same integers."""
    net = Net()
    source, made = net_layer(net, "CONV_2D", channels=3)
    net.operators[0].builtin_options.fused_activation_function = enum_class("ActivationFunctionType")[activation]
    most = net.tensor("pooled", [1, 1, 2, 3], "INT8", 0.03, 4)
    net.operator("MAX_POOL_2D", 2, [made], [most], "Pool2DOptions", **_POOL)
    result = net.tensor("flat", [2, 3], "INT8", 0.03, 4)
    net.operator("RESHAPE", 1, [most], [result], "ReshapeOptions", new_shape=[2, 3])
    if layers:
        _, result = net_layer(net, source=result, suffix="_1")
    return net.model([source], [result])


def joined(*declared: tuple[float, int], kind: str = "INT8", result: tuple[float, int] = (0.5, 0)) -> ts.Model:
    """A CONCATENATION of inputs of the model."""
    net = Net()
    parts = [net.tensor(f"part_{n}", [1, 4], kind, scale, point) for n, (scale, point) in enumerate(declared)]
    made = net.tensor("joined", [1, 4 * len(parts)], kind, *result)
    net.operator("CONCATENATION", 2, parts, [made], "ConcatenationOptions", axis=1)
    return net.model(parts, [made])


def reshaped(first: float = 0.5, second: float = 0.75) -> ts.Model:
    """A RESHAPE from an input to an output of the model: the file does not tell which of two scales is right."""
    net = Net()
    source = net.tensor("given", [1, 4], "INT8", first, 3)
    result = net.tensor("made", [4, 1], "INT8", second, -2)
    net.operator("RESHAPE", 1, [source], [result], "ReshapeOptions", new_shape=[4, 1])
    return net.model([source], [result])


# What the rest of the file tells


@pytest.mark.parametrize("number", [_CONV, _POOLED, _FLAT])
def test_a_bias_tells_which_tensor_was_damaged(number: int):
    model = declare(pooled(), number, 0.045, 4)
    outcome = fixed(model)
    assert edits(outcome) == {where(number): ([float32(0.045)], [float32(0.03)])}
    done = outcome.repairs[0].done
    assert done.keep == "integers"
    assert "the bias 'bias_1' of FULLY_CONNECTED 3 was made for an input of scale 0.0299999" in done.reason
    assert done.loses == ""


def test_a_bias_outvotes_the_number_of_tensors():
    model = declare(declare(pooled(), _CONV, 0.045, 4), _POOLED, 0.045, 4)
    found = edits(fixed(model))
    assert found == {where(number): ([float32(0.045)], [float32(0.03)]) for number in (_CONV, _POOLED)}


def test_a_bias_in_the_damaged_unit_is_not_touched_once_its_unit_is_right():
    model = declare(pooled(), _FLAT, 0.045, 4)
    before = integers(tensor(model, 7))
    assert integers(tensor(fixed(model).model, 7)) == before


def test_a_majority_tells_where_nothing_else_does():
    model = declare(pooled(layers=False), _POOLED, 0.03, 6)
    outcome = fixed(model)
    assert edits(outcome) == {where(_POOLED, "zero_point"): ([6], [4])}
    assert outcome.repairs[0].done.reason == "2 of 3 tensors with the same integers have these"


def test_values_from_zero_have_the_lowest_zero_point():
    model = pooled(layers=False, activation="RELU")
    for number, point in ((_CONV, -128), (_POOLED, -120), (_FLAT, -120)):
        declare(model, number, 0.03, point)
    found = edits(fixed(model))
    assert found == {where(number, "zero_point"): ([-120], [-128]) for number in (_POOLED, _FLAT)}


def test_a_recorded_range_tells():
    model = reshaped()
    low, high = (-128 - 3) * 0.5, (127 - 3) * 0.5
    quantization = tensor(model, 0).quantization
    quantization.min, quantization.max = [float32(low)], [float32(high)]
    outcome = fixed(model)
    assert edits(outcome) == {where(1): ([0.75], [0.5]), where(1, "zero_point"): ([-2], [3])}
    assert "the range recorded for 'given' is that of scale 0.5" in outcome.repairs[0].done.reason
    assert "'made' is an output of the model" in outcome.repairs[0].done.warnings[0]


def test_the_hint_of_an_activation_tells():
    model = pooled(layers=False, activation="RELU6")
    top = float32(6 / 255)
    for number, scale in ((_CONV, 0.03), (_POOLED, top), (_FLAT, 0.03)):
        declare(model, number, scale, -128)
    found = edits(fixed(model))
    assert found == {where(number): ([float32(0.03)], [top]) for number in (_CONV, _FLAT)}


def test_both_readings_are_the_same_where_they_are_less_than_half_a_quantum_apart():
    near = float32(0.5 * 1.001)
    model = joined((0.5, 0), (near, 0))
    outcome = fixed(model, lossy=False)
    assert edits(outcome) == {where(1): ([near], [0.5])}
    assert "only 0.13 of a quantum apart" in outcome.repairs[0].done.reason


# What it does not tell


def test_where_the_file_does_not_tell_the_person_is_asked():
    outcome = fixed(reshaped())
    assert outcome.plan.edits == ()
    (left,) = outcome.left
    assert left.refused.is_open
    assert "'given' has scale 0.5 and zero point 3 and 'made' has scale 0.75 and zero point -2" in left.refused.reason


def test_the_integers_are_kept_by_declaring():
    outcome = fixed(reshaped(), keep="integers")
    assert edits(outcome) == {where(1): ([0.75], [0.5]), where(1, "zero_point"): ([-2], [3])}
    assert (outcome.repairs[0].done.keep, outcome.repairs[0].done.effect) == ("integers", 0.0)


@pytest.mark.parametrize("arguments", [{"keep": "values"}, {"undecided": "values"}])
def test_the_values_are_kept_by_converting(arguments: dict[str, str]):
    outcome = fixed(reshaped(), **arguments)
    fresh, buffers = tensor(outcome.model, 2), outcome.model.buffers
    assert (scales(fresh), fresh.quantization.zero_point, fresh.shape) == ([0.5], [3], [4, 1])
    assert fresh.buffer is buffers[0]
    first, second = outcome.model.subgraphs[0].operators
    assert (first.outputs, second.inputs, second.outputs) == ([fresh], [fresh], [tensor(outcome.model, 1)])
    assert (second.name, second.opcode.version) == ("QUANTIZE", 2)
    kinds = [type(edit) for edit in outcome.plan.edits]
    assert (kinds.count(AppendItem), kinds.count(InsertItem)) == (2, 1)
    done = outcome.repairs[0].done
    assert done.keep == "values"
    # (q - 3) * 0.5 / 0.75 - 2: all integers fit, thirds are rounded, and 127 moves furthest, to 80.67.
    assert done.loses == "values of 'made' are rounded by up to 0.33 of a quantum (0.25)"
    assert done.effect == pytest.approx(127 - (124 * 2 / 3 - 2))


def test_a_conversion_that_rounds_needs_leave():
    outcome = fixed(reshaped(), keep="values", lossy=False)
    assert outcome.plan.edits == ()
    assert "allow it with --lossy" in outcome.left[0].refused.reason


def test_what_a_conversion_cuts_off_is_counted():
    model = declare(declare(reshaped(), 0, 0.5, 0), 1, 0.25, 0)
    (done,) = (item.done for item in fixed(model, keep="values").repairs)
    # 2q for q from -64 to 63 is all that fits; nothing is rounded.
    assert done.loses == "50% of the integers of 'made' lie outside the new range and are cut off"


def test_what_is_computed_is_computed_in_the_scale_that_the_caller_sees():
    net = Net()
    source, made = net_layer(net, "CONV_2D", channels=3)
    result = net.tensor("pooled", [1, 1, 2, 3], "INT8", 0.045, 4)
    net.operator("MAX_POOL_2D", 2, [made], [result], "Pool2DOptions", **_POOL)
    outcome = fixed(net.model([source], [result]), lossy=False)
    assert edits(outcome) == {where(_CONV): ([float32(0.03)], [float32(0.045)])}
    assert (outcome.repairs[0].done.keep, outcome.repairs[0].done.warnings) == ("values", ())


def test_computed_and_read_elsewhere_too_larger_steps_are_a_loss():
    net = Net()
    source, made = net_layer(net, "CONV_2D", channels=3)
    result = net.tensor("pooled", [1, 1, 2, 3], "INT8", 0.045, 4)
    net.operator("MAX_POOL_2D", 2, [made], [result], "Pool2DOptions", **_POOL)
    other = net.tensor("other", [1, 3, 3, 3], "INT8", 0.05, 0)
    net.operator("ADD", 2, [made, made], [other], "AddOptions")
    model = net.model([source], [result, other])
    assert "rounded by up to" in fixed(model).repairs[0].done.loses


# Inputs that are joined


def test_a_given_input_is_converted_whatever_the_others_have():
    model = joined((0.5, 0), (0.5, 0), (0.25, 4))
    assert fixed(model).left[0].refused.is_open
    outcome = fixed(model, undecided="values")
    first, second = outcome.model.subgraphs[0].operators
    assert (first.name, second.name) == ("QUANTIZE", "CONCATENATION")
    assert first.inputs == [tensor(outcome.model, 2)]
    assert second.inputs[2] is first.outputs[0]
    assert (scales(first.outputs[0]), first.outputs[0].quantization.zero_point) == ([0.5], [0])


def test_where_inputs_agree_it_is_the_output_that_is_converted():
    outcome = fixed(joined((0.5, 0), (0.5, 0), result=(0.25, 4)), keep="values")
    assert [operator.name for operator in outcome.model.subgraphs[0].operators] == ["CONCATENATION", "QUANTIZE"]


def test_what_is_read_twice_is_converted_once():
    net = Net()
    source, result = net.tensor("given", [1, 4], "INT8", 0.5), net.tensor("made", [1, 4], "INT8", 0.25)
    other = net.tensor("other", [1, 4], "INT8", 0.25)
    net.operator("CONCATENATION", 2, [source, other, source], [result], "ConcatenationOptions", axis=0)
    result.shape = [3, 4]
    outcome = fixed(net.model([source, other], [result]), keep="values")
    first, second = outcome.model.subgraphs[0].operators
    assert first.name == "QUANTIZE"
    assert second.inputs[0] is second.inputs[2] is first.outputs[0]


def test_uint8_is_converted_by_way_of_int8():
    net = Net()
    source, result = net.tensor("given", [1, 4], "UINT8", 0.5, 10), net.tensor("made", [4, 1], "UINT8", 0.25, 20)
    net.operator("RESHAPE", 1, [source], [result], "ReshapeOptions", new_shape=[4, 1])
    outcome = fixed(net.model([source], [result]), keep="values")
    _, first, second = outcome.model.subgraphs[0].operators
    between = first.outputs[0]
    assert (between.type_name, scales(between), between.quantization.zero_point) == ("INT8", [0.25], [-108])
    assert second.inputs == [between]


def test_fixed_outputs_that_meet_are_converted():
    net = Net()
    source = net.tensor("given", [1, 4], "INT8", 0.1, 0)
    first, second = (net.tensor("sigmoid", [1, 4], "INT8", 1 / 256, -128), net.tensor("tanh", [1, 4], "INT8", 1 / 128))
    net.operator("LOGISTIC", 2, [source], [first])
    net.operator("TANH", 2, [source], [second])
    made = net.tensor("joined", [1, 8], "INT8", 1 / 128)
    net.operator("CONCATENATION", 2, [first, second], [made], "ConcatenationOptions", axis=1)
    outcome = fixed(net.model([source], [made]))
    names = [operator.name for operator in outcome.model.subgraphs[0].operators]
    assert names == ["LOGISTIC", "TANH", "QUANTIZE", "CONCATENATION"]
    assert parameters(outcome.model, 1) == (1 / 256, -128)
    assert "the output of LOGISTIC is fixed" in outcome.repairs[0].done.reason


# Constants


def padded(value: int, scale: float, point: int, readers: int = 1) -> ts.Model:
    net = Net()
    source = net.tensor("given", [1, 4], "INT8", 0.5, 3)
    around = net.tensor("paddings", [2, 2], "INT32", values=[[0, 0], [1, 1]])
    filler = net.tensor("filler", [1], "INT8", scale, point, [value])
    results = [
        net.tensor(f"made_{n}", [1, 6], "INT8", *((0.5, 3) if n == 0 else (scale, point))) for n in range(readers)
    ]
    sources = [source, *(net.tensor(f"given_{n}", [1, 4], "INT8", scale, point) for n in range(1, readers))]
    for given, result in zip(sources, results):
        net.operator("PADV2", 2, [given, around, filler], [result], "PadV2Options")
    return net.model(sources, results)


def test_a_constant_that_is_zero_is_zero_in_any_scale():
    outcome = fixed(padded(7, 0.3, 7), lossy=False, keep="values")
    found = edits(outcome)
    assert found["buffers[2].data"] == (packed([7], "i1"), packed([3], "i1"))
    assert found[where(2)] == ([float32(0.3)], [0.5])
    assert outcome.repairs[0].done.loses == ""


def test_a_constant_is_rewritten_with_its_loss_measured():
    outcome = fixed(padded(20, 0.3, 7), undecided="values")
    real = 13 * float32(0.3)
    value = int(np.floor(real / 0.5 + 0.5)) + 3
    assert integers(tensor(outcome.model, 2)) == [value]
    assert f"({abs((value - 3) * 0.5 - real):.3g})" in outcome.repairs[0].done.loses


def test_the_integers_of_a_constant_are_kept_by_declaring():
    found = edits(fixed(padded(20, 0.3, 7), keep="integers"))
    assert found == {where(2): ([float32(0.3)], [0.5]), where(2, "zero_point"): ([7], [3])}


def test_the_file_does_not_tell_what_a_constant_means():
    (left,) = fixed(padded(20, 0.3, 7)).left
    assert left.refused.is_open


def test_others_read_a_constant_as_it_was():
    model = padded(20, 0.3, 7, readers=2)
    outcome = fixed(model, keep="values")
    first, second = (operator.inputs[2] for operator in outcome.model.subgraphs[0].operators)
    assert first is not second
    assert (integers(second), scales(second)) == ([20], [float32(0.3)])
    assert scales(first) == [0.5]


# What cannot be repaired, and what needs no repair


def test_several_scales_have_to_come_first():
    model = joined((0.5, 0), (0.5, 0))
    tensor(model, 1).quantization = ts.QuantizationParameters(scale=[0.5, 0.25], zero_point=[0, 0])
    outcome = fixed(model, undecided="values")
    assert outcome.plan.edits == ()
    assert all("no scale and zero point of its own" in item.refused.reason for item in outcome.left)


def test_a_model_that_is_sound_stays_as_it_is():
    for model in (pooled(), joined((0.5, 0), (0.5, 0)), padded(3, 0.5, 3)):
        assert ts.fix(model, undecided="values", targets=NAMES, lossy=True).plan.edits == ()


def test_what_is_repaired_stays_repaired():
    for keep in ("values", "integers"):
        once = ts.loads(ts.dumps(fixed(reshaped(), keep=keep).model))
        assert ts.fix(once, undecided="values", targets=NAMES, lossy=True).plan.edits == ()


# What speaks for a scale


def test_evidence_comes_strongest_first():
    model = pooled(activation="RELU6")
    tensor(model, _CONV).quantization.min = [-0.03 * 132]
    tensor(model, _CONV).quantization.max = [0.03 * 123]
    declare(model, _POOLED, float("nan"), 4)
    found = scale_evidence(Draft(model), tensor(model, _POOLED))
    assert [item.weight for item in found] == [BIAS, RANGE, DECLARED, DECLARED, HINT]
    assert found[0].scale == pytest.approx(0.03, rel=1e-6)
    assert (found[1].zero_point, found[2].zero_point) == (4, 4)
    assert {item.about.name for item in found} == {"output", "flat"}


def test_what_a_tensor_says_of_itself_is_no_evidence():
    model = joined((0.5, 0), (0.5, 0), result=(0.25, 0))
    found = scale_evidence(Draft(model), tensor(model, 2))
    assert [item.scale for item in found] == [0.5, 0.5]


def test_a_fixed_output_is_evidence_for_its_copies():
    net = Net()
    source, made = net.tensor("given", [1, 4], "INT8", 0.1), net.tensor("made", [1, 4], "INT8", 1 / 256, -128)
    net.operator("SOFTMAX", 2, [source], [made], "SoftmaxOptions", beta=1.0)
    flat = net.tensor("flat", [4], "INT8", float("inf"), -128)
    net.operator("RESHAPE", 1, [made], [flat], "ReshapeOptions", new_shape=[4])
    first = scale_evidence(Draft(net.model([source], [flat])), flat)[0]
    assert (first.scale, first.zero_point, first.weight) == (1 / 256, -128, FIXED)


def test_uint8_is_joined_in_scales_of_its_own():
    model = joined((0.5, 0), (0.25, 0), kind="UINT8")
    assert len(group_of(Draft(model), tensor(model, 0))) == 1


def test_what_goes_to_another_subgraph_keeps_its_scale():
    net = Net()
    choice = net.tensor("choice", [1], "INT8", 1.0)
    source, made = net.tensor("given", [1, 4], "INT8", 0.5), net.tensor("made", [1, 4], "INT8", 0.5)
    net.operator("IF", 1, [choice, source], [made], "IfOptions")
    draft = Draft(net.model([choice, source], [made]))
    assert is_passed(draft, source)
    assert is_passed(draft, made)


@pytest.mark.parametrize("is_called", [False, True])
def test_what_a_subgraph_is_given_keeps_the_scale_of_its_caller(is_called: bool):
    net = Net()
    choice, source = net.tensor("choice", [1], "INT8", 1.0), net.tensor("caller", [1, 4], "INT8", 0.5)
    net.operator("IF" if is_called else "ADD", 1, [choice, source], [net.tensor("sum", [1, 4], "INT8", 0.5)])
    model = two_subgraphs(net.model([choice, source], [net.tensors[-1]]), reshaped())
    draft = Draft(model)
    assert [is_passed(draft, one) for one in model.subgraphs[1].tensors] == [is_called, is_called]


# In real interpreters


@pytest.mark.reality
@pytest.mark.parametrize("number", [_POOLED, _FLAT])
@pytest.mark.parametrize("runtime", ["litert-no-delegate", "tflite-2.14", "tflm"])
def test_after_the_repair_outputs_are_those_before_the_damage(number: int, runtime: str):
    sound = session(runtime).run(ts.dumps(pooled()), seed=3)
    broken = declare(pooled(), number, 0.06, 4)
    again = session(runtime).run(ts.dumps(fixed(broken).model), seed=3)
    assert sound.ok
    assert (sound.outputs[0][0] == again.outputs[0][0]).all()


@pytest.mark.reality
@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("operator", ["CONCATENATION", "MAXIMUM"])
def test_converted_inputs_count_as_the_output_does(operator: str, runtime: str):
    net = Net()
    sources = [net.tensor("first", [1, 4], "INT8", 0.5, 3), net.tensor("second", [1, 4], "INT8", 0.25, -4)]
    is_joined = operator == "CONCATENATION"
    result = net.tensor("made", [2, 4] if is_joined else [1, 4], "INT8", 0.5, 3)
    options = ("ConcatenationOptions", {"axis": 0}) if is_joined else ("MaximumMinimumOptions", {})
    net.operator(operator, 2, sources, [result], options[0], **options[1])
    given = [np.array([row], np.int8) for row in ([-20, 3, 60, 127], [-128, 4, 120, 0])]
    real = [(given[0] - 3.0) * 0.5, (given[1] + 4.0) * 0.25]
    expected = np.concatenate(real) if is_joined else np.maximum(*real)
    model = net.model(sources, [result])
    run = session(runtime).run(ts.dumps(fixed(model, keep="values").model), inputs=given)
    assert run.ok, run.message
    assert np.abs((run.outputs[0][0] - 3.0) * 0.5 - expected).max() <= 0.25


@pytest.mark.reality
@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("kind", ["INT8", "UINT8"])
def test_a_conversion_gives_the_values_that_are_declared(kind: str, runtime: str):
    net = Net()
    source, result = net.tensor("given", [1, 4], kind, 0.5, 3), net.tensor("made", [4, 1], kind, 0.75, 1)
    net.operator("RESHAPE", 1, [source], [result], "ReshapeOptions", new_shape=[4, 1])
    repaired = ts.dumps(fixed(net.model([source], [result]), keep="values").model)
    given = np.array([[3, 4, 90, 120]], kind.lower())
    run = session(runtime).run(repaired, inputs=[given])
    assert run.ok, run.message
    expected = [round((int(value) - 3) * 0.5 / 0.75 + 1) for value in given.reshape(-1)]
    assert run.outputs[0][0].reshape(-1).tolist() == expected
