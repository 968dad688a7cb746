"""Which reading of a bias is kept: the cases a to e of the repair, and what overrides them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, float32, integers, part, scales, steps
from tests.edits.expected import edits, fix_biases

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
NAN = float("nan")


def decisions(model: ts.Model, **arguments) -> dict[int, ts.edits.bias_decision.Decision]:
    """What was decided for each node, repaired or left."""
    outcome = fix_biases(model, **arguments)
    return {item.use.node.index: item.decision for item in (*outcome.repairs, *outcome.left)}


def kept(model: ts.Model, **arguments) -> str | None:
    (decision,) = decisions(model, **arguments).values()
    assert decision.reason
    return decision.keep


def undecidable() -> ts.Model:
    """Off by whole quanta, and nothing in the file speaks for either reading."""
    model = builders.layer()
    damage(part(model, "bias"), 3.0)
    return model


# a: no written values


@pytest.mark.parametrize("scale", [0.0, -0.0, -1e-4, 1e-40, NAN, math.inf, -math.inf])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_scale_that_is_none_leaves_the_integers(scale, per_channel):
    model = builders.layer(per_channel=per_channel)
    bias = part(model, "bias")
    bias.quantization.scale = [scale] * len(scales(bias))
    assert kept(model) == "integers"
    outcome = fix_biases(model, undecided="leave")
    assert [repair.decision.keep for repair in outcome.repairs] == ["integers"]
    assert integers(part(outcome.model, "bias")) == integers(bias)


@pytest.mark.parametrize("how", ["no quantisation", "no scales", "empty"])
def test_a_no_scale(how):
    model = builders.layer()
    bias = part(model, "bias")
    expected = scales(bias)
    if how == "no quantisation":
        bias.quantization = None
    else:
        bias.quantization.scale = None if how == "no scales" else []
    outcome = fix_biases(model)
    (repair,) = outcome.repairs
    assert repair.decision.keep == "integers"
    assert "no scale" in repair.decision.reason
    assert scales(part(outcome.model, "bias")) == expected


# A scale as `"%.6f"` prints it, which is what flatc's JSON leaves: computed here by printing.
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("input_scale", [0.02137, 0.9127, 0.0001])
def test_a_six_printed_decimals(per_channel, input_scale):
    model = builders.layer(per_channel=per_channel, input_scale=input_scale, output_scale=input_scale / 1000)
    bias = part(model, "bias")
    printed = [float32(float("%.6f" % scale)) for scale in scales(bias)]  # noqa: UP031 - as C prints it
    assert printed != scales(bias)
    bias.quantization.scale = printed
    for undecided in ("values", "leave"):
        decision = decisions(model, undecided=undecided)[0]
        assert decision.keep == "integers"
        assert ("six printed decimals" in decision.reason) == any(printed)


@pytest.mark.parametrize("ulps", [-4, 4])
def test_a_next_to_six_decimals_is_not_six_decimals(ulps):
    model = builders.layer(input_scale=0.9127, output_scale=0.0001, bias=[99999, 5, 5, 5])
    bias = part(model, "bias")
    bias.quantization.scale = [steps(float32(float(f"{scales(bias)[0]:.6f}")), ulps)]
    assert decisions(model)[0].is_open


def test_a_does_not_hold_when_other_channels_have_written_values_that_matter():
    model = builders.layer(per_channel=True)
    bias = part(model, "bias")
    damage(bias, 3.0)
    bias.quantization.scale[1] = NAN
    decision = decisions(model)[0]
    assert decision.keep is None
    assert decision.is_open
    assert kept(model, keep="integers") == "integers"


def test_a_one_bad_channel_among_sound_ones():
    model = builders.layer(per_channel=True)
    bias = part(model, "bias")
    sound = scales(bias)
    bias.quantization.scale[1] = NAN
    outcome = fix_biases(model)
    assert outcome.repairs[0].decision.keep == "integers"
    assert scales(part(outcome.model, "bias")) == sound


# b: the choice cannot matter


@pytest.mark.parametrize(("error", "keep"), [(0.49, "integers"), (0.51, "values")])
def test_b_less_than_half_a_quantum(error, keep):
    model = builders.layer(bias=[1000, -7, 3, 0])
    bias = part(model, "bias")
    bias.quantization.scale = [float32(scales(bias)[0] + error * scales(part(model, "output"))[0] / 1000)]
    decision = decisions(model)[0]
    assert decision.keep == keep
    assert decision.is_open == (keep == "values")


def test_b_a_bias_of_zeros_whatever_its_scale():
    model = builders.layer(bias=[0, 0, 0, 0])
    damage(part(model, "bias"), 1e6)
    assert kept(model) == "integers"


def test_b_needs_an_output_scale():
    """Without one nobody can say that the difference is small."""
    model = builders.layer("CONV_2D", bias=[1, 1, 1, 1])
    damage(part(model, "bias"), 1.01)
    part(model, "output").quantization = None
    assert decisions(model)[0].is_open


def test_b_comes_before_the_suspects():
    model = builders.one_input(2)
    for number in range(2):
        part(model, "bias", number).set_values([1, 1, 1, 1])
    damage(part(model, "input"), 1.01)
    assert {decision.keep for decision in decisions(model).values()} == {"integers"}


# c: made for another node


def test_c_a_shared_bias_made_for_another_node():
    found = decisions(builders.shared_bias(), undecided="leave")
    assert {number: decision.keep for number, decision in found.items()} == {1: "values", 2: "values"}
    assert all("operator 0" in decision.reason and not decision.is_open for decision in found.values())


@pytest.mark.parametrize("ulps", [-2, 2])
def test_c_within_two_steps(ulps):
    model = builders.shared_bias()
    bias = part(model, "bias")
    bias.quantization.scale = [steps(scales(bias)[0], ulps)]
    assert {decision.keep for decision in decisions(model, undecided="leave").values()} == {"values"}


def test_c_does_not_hold_when_nobody_s_unit_it_is():
    model = builders.shared_bias()
    damage(part(model, "bias"), 7.0)
    found = decisions(model, undecided="leave")
    assert {number: decision.keep for number, decision in found.items()} == {0: None, 1: None, 2: None}


def test_c_holds_for_the_fixture():
    found = decisions(ts.load(FIXTURES / "bias_scale_shared.tflite"), undecided="leave")
    assert {number: decision.keep for number, decision in found.items()} == {1: "values", 2: "values"}


# d: another scale is the suspect


def suspect_weights() -> ts.Model:
    model = builders.layer()
    weights = part(model, "weights")
    top = float32(127 * scales(weights)[0])
    weights.quantization.min, weights.quantization.max = [-top], [top]
    damage(weights, 2.0)
    return model


def suspect_input() -> ts.Model:
    model = builders.one_input(2)
    damage(part(model, "input"), 2.0)
    return model


@pytest.mark.parametrize(("make", "suspect"), [(suspect_weights, "weights"), (suspect_input, "input")])
def test_d_gives_back_the_scale_that_is_wrong(make, suspect):
    model = make()
    outcome = ts.fix_bias_scale(model)
    assert outcome.left == ()
    (repaired,) = outcome.repairs
    assert repaired.done.keep == "values"
    assert f"the {suspect} scale is the suspect" in repaired.done.reason
    tensor = part(model, suspect)
    path = f"subgraphs[0].tensors[{model.subgraphs[0].tensors.index(tensor)}].quantization.scale"
    assert edits(outcome) == {path: (scales(tensor), [pytest.approx(scales(tensor)[0] / 2, rel=3e-7)])}
    assert [finding for finding in outcome.remaining if finding.rule == "bias-scale"] == []
    for keep in ("values", "integers"):
        forced = fix_biases(model, keep=keep)
        assert forced.left == ()
        assert {repair.decision.keep for repair in forced.repairs} == {keep}
        assert f"--keep {keep}" in forced.repairs[0].decision.reason


def test_d_says_what_else_a_restored_input_changes():
    (repaired,) = ts.fix_bias_scale(suspect_input()).repairs
    assert any("who calls it has to count in the new scale" in text for text in repaired.done.warnings)
    model = builders.chain(2)
    middle = part(model, "input", 1)
    top = 255 * scales(middle)[0]
    low = -scales(middle)[0] * (128 + middle.quantization.zero_point[0])
    middle.quantization.min, middle.quantization.max = [float32(low)], [float32(low + top)]
    damage(middle, 3.0)
    (repaired,) = ts.fix_bias_scale(model).repairs
    assert repaired.done.warnings == (
        f"operator 0 (FULLY_CONNECTED) writes {middle.name!r} and rescales to the new scale",
    )
    assert repaired.done.effect > 0.5


@pytest.mark.parametrize("factor", [0.02, 0.5, 3.0, 50.0])
def test_d_does_not_hold_where_all_biases_are_off_alike(factor):
    """Whoever wrote the biases wrote them all so: their input is not at fault."""
    model = builders.one_input(2)
    other = builders.layer()
    for number in range(2):
        damage(part(model, "bias", number), factor)
    damage(part(other, "bias"), factor)
    graph, extra = model.subgraphs[0], other.subgraphs[0]
    graph.tensors += extra.tensors
    graph.operators += extra.operators
    graph.inputs += extra.inputs
    graph.outputs += extra.outputs
    model.operator_codes += other.operator_codes
    model.buffers += other.buffers[1:]
    for tensor in extra.tensors:
        tensor.buffer = model.buffers[0] if tensor.buffer is other.buffers[0] else tensor.buffer
    assert {d.keep for d in decisions(model, undecided="leave").values()} == {None}


def trained(weights_factor: float = 1.0, bias_factor: float = 1.0) -> ts.Model:
    """A layer of 512 inputs, as large as trained ones are, with one of its scales off."""
    net = builders.Net()
    source = net.tensor("input", [1, 512], "INT8", 1 / 128)
    weights = net.tensor("weights", [10, 512], "INT8", 0.008, 0, builders.spread([10, 512], -127, 127))
    unit = builders.product(scales(source)[0], scales(weights)[0])
    bias = net.tensor("bias", [10], "INT32", unit, 0, builders.spread([10], -3000, 3000, seed=7))
    result = net.tensor("output", [1, 10], "INT8", 0.15)
    net.operator("FULLY_CONNECTED", 4, [source, weights, bias], [result], "FullyConnectedOptions")
    damage(weights, weights_factor)
    damage(bias, bias_factor)
    return net.model([source], [result])


@pytest.mark.parametrize("factor", [60.0, 200.0])
def test_weights_of_absurd_size_are_given_back_their_scale(factor):
    model = trained(weights_factor=factor)
    outcome = ts.fix_bias_scale(model, undecided="leave")
    (repaired,) = outcome.repairs
    assert "the sums through" in repaired.done.reason
    assert scales(part(outcome.model, "weights")) == [pytest.approx(float32(0.008), rel=3e-7)]
    assert integers(part(outcome.model, "weights")) == integers(part(model, "weights"))


@pytest.mark.parametrize("factor", [1 / 60, 1 / 5, 1.9, 5.0])
def test_weights_that_may_be_as_large_are_not_blamed(factor):
    decision = decisions(trained(weights_factor=factor), undecided="leave")[0]
    assert (decision.suspect, decision.is_open) == ("bias", True)


@pytest.mark.parametrize("factor", [1e-5, 1 / 200, 1 / 60, 1 / 5, 5.0, 60.0, 200.0])
def test_sound_weights_are_never_blamed_for_a_bias(factor):
    decision = decisions(trained(bias_factor=factor), undecided="leave")[0]
    assert (decision.suspect, decision.is_open) == ("bias", True)


def test_a_bias_that_as_written_bursts_the_output_keeps_its_integers():
    decision = decisions(trained(bias_factor=1e5), undecided="leave")[0]
    assert (decision.keep, decision.is_open) == ("integers", False)
    assert "times the output's whole range" in decision.reason


# e: undecided


def test_e_takes_the_values_and_says_that_it_was_a_choice():
    decision = decisions(undecidable())[0]
    assert decision.keep == "values"
    assert decision.is_open


def test_e_leaves_the_node_when_asked_to():
    model = undecidable()
    outcome = fix_biases(model, undecided="leave")
    (left,) = outcome.left
    assert left.decision.is_open
    assert "--keep values or --keep integers" in left.decision.reason
    assert outcome.plan.edits == ()
    assert outcome.repairs == ()


@pytest.mark.parametrize("undecided", ["values", "leave"])
@pytest.mark.parametrize("keep", ["values", "integers"])
def test_keep_overrides(keep, undecided):
    assert kept(undecidable(), keep=keep, undecided=undecided) == keep


def test_the_starting_case_is_undecided():
    decision = decisions(ts.load(FIXTURES / "bias_scale_per_tensor.tflite"))[0]
    assert (decision.keep, decision.is_open) == ("values", True)


# The range that a converter recorded beside the scale speaks for one reading


@pytest.mark.parametrize("keep", ["values", "integers"])
def test_a_recorded_range_decides(keep):
    model = builders.layer()
    bias = part(model, "bias")
    right = scales(bias)[0]
    damage(bias, 3.0)
    unit = scales(bias)[0] if keep == "values" else right
    values = np.array(integers(bias)) * unit
    bias.quantization.min, bias.quantization.max = [float32(values.min())], [float32(values.max())]
    decision = decisions(model, undecided="leave")[0]
    assert (decision.keep, decision.is_open) == (keep, False)
    assert "range recorded" in decision.reason


def test_a_recorded_range_of_neither_reading_decides_nothing():
    model = undecidable()
    bias = part(model, "bias")
    bias.quantization.min, bias.quantization.max = [-1000.0], [1000.0]
    assert decisions(model)[0].is_open


# What cannot be repaired at all, whatever is asked for


@pytest.mark.parametrize("keep", ["auto", "values", "integers"])
@pytest.mark.parametrize("role", ["input", "weights"])
def test_no_usable_scale_to_count_in(keep, role):
    model = undecidable()
    part(model, role).quantization.scale = [NAN]
    outcome = fix_biases(model, keep=keep)
    (left,) = outcome.left
    assert repr(role) in left.decision.reason
    assert "restore that scale first" in left.decision.reason
    assert outcome.plan.edits == ()


@pytest.mark.parametrize("keep", ["auto", "values", "integers"])
def test_a_bias_that_is_computed(keep):
    model = undecidable()
    bias = part(model, "bias")
    bias.buffer = model.buffers[0]
    model.subgraphs[0].inputs.append(bias)
    outcome = fix_biases(model, keep=keep)
    assert "not stored" in outcome.left[0].decision.reason
    assert outcome.plan.edits == ()


@pytest.mark.parametrize("keep", ["auto", "values", "integers"])
def test_a_buffer_of_the_wrong_length(keep):
    model = undecidable()
    part(model, "bias").buffer.data = bytes(15)
    outcome = fix_biases(model, keep=keep)
    assert "does not hold 4 integers of INT32" in outcome.left[0].decision.reason


@pytest.mark.parametrize("scale", [None, 0.0, -1.0, NAN, math.inf, 1e-40])
def test_values_that_were_never_written_cannot_be_kept(scale):
    model = builders.layer()
    part(model, "bias").quantization.scale = None if scale is None else [scale]
    before = ts.dumps(model, "reencode")
    outcome = fix_biases(model, keep="values")
    assert "--keep integers" in outcome.left[0].decision.reason
    assert ts.dumps(outcome.model, "reencode") == before


def test_values_in_some_channels_only_cannot_be_kept():
    model = builders.layer(per_channel=True)
    bias = part(model, "bias")
    damage(bias, 3.0)
    bias.quantization.scale[2] = 0.0
    assert "--keep integers" in fix_biases(model, keep="values").left[0].decision.reason


def test_one_node_left_does_not_stop_the_others():
    model = builders.chain(3)
    damage(part(model, "bias", 0), 2.0)
    part(model, "weights", 1).quantization.scale = [NAN]
    damage(part(model, "bias", 2), 2.0)
    outcome = fix_biases(model)
    assert [repair.use.node.index for repair in outcome.repairs] == [0, 2]
    assert [left.use.node.index for left in outcome.left] == [1]
