"""The repair of bias-scale: exactly which fields change, to what, and what stays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, float32, integers, part, product, scales, steps
from tests.edits.expected import edits, fix_biases, packed, re_expressed, rounded

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


# The plan


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_values(operator, per_channel):
    model = builders.layer(operator, per_channel=per_channel)
    bias = part(model, "bias")
    sound = scales(bias)
    damage(bias, 2.7)
    outcome = fix_biases(model, keep="values")
    number = model.subgraphs[0].tensors.index(bias)
    wanted = re_expressed(integers(bias), scales(bias), sound)
    buffer = model.buffers.index(bias.buffer)
    assert edits(outcome) == {
        f"subgraphs[0].tensors[{number}].quantization.scale": (scales(bias), sound),
        f"buffers[{buffer}].data": (packed(integers(bias)), packed(wanted)),
    }
    fixed = part(outcome.model, "bias")
    assert (scales(fixed), integers(fixed)) == (sound, wanted)
    (repair,) = outcome.repairs
    assert (repair.scales, repair.integers, repair.tensor) == (sound, wanted, fixed)


@pytest.mark.parametrize("per_channel", [False, True])
def test_integers(per_channel):
    model = builders.layer(per_channel=per_channel)
    bias = part(model, "bias")
    sound = scales(bias)
    damage(bias, 2.7)
    outcome = fix_biases(model, keep="integers")
    number = model.subgraphs[0].tensors.index(bias)
    assert edits(outcome) == {f"subgraphs[0].tensors[{number}].quantization.scale": (scales(bias), sound)}
    assert outcome.repairs[0].integers == integers(bias)
    assert outcome.repairs[0].rounding == 0


def test_the_starting_case():
    outcome = fix_biases(ts.load(FIXTURES / "bias_scale_per_tensor.tflite"))
    fixed = part(outcome.model, "bias")
    unit = product(0.007448929361999035, 0.002941111335530877)
    assert scales(fixed) == [unit]
    assert f"{unit:.5e}" == "2.19081e-05"
    assert integers(fixed)[:6] == [169, -313, -248, -117, 52, 769]
    (repair,) = outcome.repairs
    before = part(ts.load(FIXTURES / "bias_scale_per_tensor.tflite"), "bias")
    moved = [
        abs(Fraction(q) * Fraction(unit) - Fraction(p) * Fraction(scales(before)[0]))
        for p, q in zip(integers(before), integers(fixed))
    ]
    assert repair.rounding == pytest.approx(float(max(moved)) / 0.0031077787280082703, rel=1e-9)
    assert repair.rounding <= 0.5 * unit / 0.0031077787280082703 * (1 + 1e-9)


def test_only_the_channels_that_are_off_change():
    """A scale within rounding of its unit keeps its bits."""
    model = builders.layer("CONV_2D", per_channel=True)
    bias = part(model, "bias")
    sound = scales(bias)
    kept = steps(sound[0], 2)
    bias.quantization.scale = [kept, sound[1], float32(sound[2] * 3), sound[3]]
    before = integers(bias)
    fixed = part(fix_biases(model, keep="values").model, "bias")
    assert scales(fixed) == [kept, *sound[1:]]
    assert integers(fixed) == [
        *before[:2],
        re_expressed([before[2]], [bias.quantization.scale[2]], [sound[2]])[0],
        before[3],
    ]


def test_halves_are_rounded_away_from_zero():
    model = builders.layer(input_scale=2.0**-6, weights_scales=[2.0**-8], bias=[1, -1, 3, -3])
    part(model, "bias").quantization.scale = [2.0**-15]
    assert integers(part(fix_biases(model, keep="values").model, "bias")) == [1, -1, 2, -2]


# What differs in the file


@pytest.mark.parametrize("keep", ["values", "integers"])
@pytest.mark.parametrize("name", ["per_tensor", "per_channel", "uint8"])
def test_spliced_bytes_are_those_of_the_bias(name, keep):
    path = FIXTURES / f"bias_scale_{name}.tflite"
    original = path.read_bytes()
    model = ts.load(path)
    bias = part(model, "bias")
    outcome = fix_biases(model, keep=keep)
    fixed = ts.dumps(outcome.model, mode="splice")
    # Where the bias's own numbers lie, found by their bytes rather than by our reader.
    spans = []
    for pattern in (np.array(scales(bias), "<f4").tobytes(), bytes(bias.data)):
        assert original.count(pattern) == 1
        spans.append(range(original.index(pattern), original.index(pattern) + len(pattern)))
    differing = {i for i in range(len(original)) if original[i] != fixed[i]}
    assert len(fixed) == len(original)
    assert differing & set(spans[0])
    assert bool(differing & set(spans[1])) == (keep == "values")
    assert differing <= set(spans[0]) | set(spans[1])


def test_min_and_max_move_with_the_scale_they_were_recorded_for():
    """integers: the recorded range was that of the values given up."""
    model = builders.layer()
    bias = part(model, "bias")
    damage(bias, 4.0)
    values = np.array(integers(bias)) * scales(bias)[0]
    bias.quantization.min, bias.quantization.max = [float32(values.min())], [float32(values.max())]
    model = builders.written(model)
    before = ts.dumps(model)
    bias = part(model, "bias")
    outcome = fix_biases(model, keep="integers")
    quantization = part(outcome.model, "bias").quantization
    assert quantization.min == pytest.approx([values.min() / 4], rel=1e-6)
    assert quantization.max == pytest.approx([values.max() / 4], rel=1e-6)
    after = ts.dumps(outcome.model, mode="splice")
    assert sum(a != b for a, b in zip(before, after)) <= 12


def test_min_and_max_that_no_float32_would_hold_stay():
    model = builders.layer("CONV_2D", input_scale=2.0**60, weights_scales=[2.0**60], output_scale=1.0)
    bias = part(model, "bias")
    bias.set_values([-100, 100, 0, 0])
    bias.quantization.scale = [2.0**-20]
    bias.quantization.min, bias.quantization.max = [-100 * 2.0**-20], [100 * 2.0**-20]
    fixed = fix_biases(model, keep="integers").model
    quantization = part(builders.written(fixed), "bias").quantization
    assert quantization.scale == [2.0**120]
    # 100 * 2**120 is a float32, 3000 times as much is none.
    assert quantization.max == [100 * 2.0**120]
    bias.set_values([-300000, 300000, 0, 0])
    bias.quantization.min, bias.quantization.max = [-300000 * 2.0**-20], [300000 * 2.0**-20]
    quantization = part(builders.written(fix_biases(model, keep="integers").model), "bias").quantization
    assert quantization.max == [300000 * 2.0**-20]


@pytest.mark.parametrize("keep", ["values", "integers"])
def test_min_and_max_that_already_fit_the_result_stay(keep):
    model = builders.layer()
    bias = part(model, "bias")
    right = scales(bias)[0]
    damage(bias, 4.0)
    values = np.array(integers(bias)) * (scales(bias)[0] if keep == "values" else right)
    recorded = [float32(values.min())], [float32(values.max())]
    bias.quantization.min, bias.quantization.max = recorded
    quantization = part(fix_biases(model, keep=keep).model, "bias").quantization
    assert (quantization.min, quantization.max) == recorded


def test_min_and_max_of_nothing_known_stay():
    model = builders.layer()
    bias = part(model, "bias")
    damage(bias, 4.0)
    bias.quantization.min, bias.quantization.max = [-1e9], [1e9]
    quantization = part(fix_biases(model, keep="integers").model, "bias").quantization
    assert (quantization.min, quantization.max) == ([-1e9], [1e9])


@pytest.mark.parametrize("zero_point", [None, [], [0, 0]])
def test_a_missing_zero_point_is_written(zero_point):
    """Without one for each scale LiteRT takes no quantisation ("non-null scale but null zero_point")."""
    model = builders.layer()
    bias = part(model, "bias")
    damage(bias, 3.0)
    bias.quantization.zero_point = zero_point
    outcome = fix_biases(model, keep="values")
    assert part(outcome.model, "bias").quantization.zero_point == [0]
    assert any(path.endswith(".quantization.zero_point") for path in edits(outcome))


def test_a_zero_point_counts_in_the_values_and_is_0_afterwards():
    model = builders.layer(bias=[100, 200, -300, 0])
    bias = part(model, "bias")
    unit = scales(bias)
    damage(bias, 3.0)
    bias.quantization.zero_point = [10]
    fixed = part(fix_biases(model, keep="values").model, "bias")
    assert integers(fixed) == re_expressed([90, 190, -310, -10], scales(bias), unit)
    assert fixed.quantization.zero_point == [0]
    fixed = part(fix_biases(model, keep="integers").model, "bias")
    assert integers(fixed) == [100, 200, -300, 0]
    assert fixed.quantization.zero_point == [0]


def test_the_quantised_dimension_is_not_the_repair_s_business():
    model = builders.layer("DEPTHWISE_CONV_2D", per_channel=True)
    bias = part(model, "bias")
    bias.quantization.quantized_dimension = 3
    damage(bias, 3.0)
    outcome = fix_biases(model, keep="integers")
    assert part(outcome.model, "bias").quantization.quantized_dimension == 3
    assert [path.rpartition(".")[2] for path in edits(outcome)] == ["scale"]


# Vectors of the wrong length, and no quantisation


@pytest.mark.parametrize("keep", ["values", "integers"])
def test_one_scale_where_the_weights_have_one_a_channel(keep):
    model = builders.layer("CONV_2D", per_channel=True)
    bias = part(model, "bias")
    units = scales(bias)
    stored = [units[2]]
    bias.quantization.scale, bias.quantization.zero_point = stored, [0]
    outcome = fix_biases(model, keep=keep)
    fixed = part(outcome.model, "bias")
    assert fixed.quantization.scale == units
    assert fixed.quantization.zero_point == [0, 0, 0, 0]
    wanted = re_expressed(integers(bias), stored, units) if keep == "values" else integers(bias)
    assert integers(fixed) == wanted
    assert ts.dumps(outcome.model)
    assert outcome.remaining == ()


@pytest.mark.parametrize("keep", ["values", "integers"])
def test_one_scale_a_channel_where_the_weights_have_one(keep):
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    unit = scales(bias)
    stored = [float32(unit[0] * factor) for factor in (1.0, 2.0, 0.7, 1.3)]
    bias.quantization.scale, bias.quantization.zero_point = stored, [0] * 4
    fixed = part(fix_biases(model, keep=keep).model, "bias")
    assert (fixed.quantization.scale, fixed.quantization.zero_point) == (unit, [0])
    assert integers(fixed) == (re_expressed(integers(bias), stored, unit) if keep == "values" else integers(bias))


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_right_values_in_the_wrong_number(per_channel):
    """No value is off, only the form: nothing is re-rounded under either reading."""
    model = builders.layer("CONV_2D", weights_scales=[0.004] * (4 if per_channel else 1))
    bias = part(model, "bias")
    right, before = scales(bias), integers(bias)
    bias.quantization.scale = [right[0]] * (1 if per_channel else 4)
    bias.quantization.zero_point = [0] * (1 if per_channel else 4)
    for keep in ("auto", "values", "integers"):
        fixed = part(fix_biases(model, keep=keep).model, "bias")
        assert (scales(fixed), integers(fixed)) == (right, before)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_vector_of_no_sensible_length(count):
    model = builders.layer("CONV_2D", per_channel=True)
    bias = part(model, "bias")
    right = scales(bias)
    bias.quantization.scale, bias.quantization.zero_point = [0.1] * count, [0] * count
    outcome = fix_biases(model)
    assert outcome.repairs[0].decision.keep == "integers"
    assert (scales(part(outcome.model, "bias")), integers(part(outcome.model, "bias"))) == (right, integers(bias))
    assert "--keep integers" in fix_biases(model, keep="values").left[0].decision.reason


@pytest.mark.parametrize("per_channel", [False, True])
def test_no_quantisation_at_all(per_channel):
    model = builders.layer(per_channel=per_channel)
    bias = part(model, "bias")
    right = scales(bias)
    bias.quantization = None
    outcome = fix_biases(model)
    quantization = part(outcome.model, "bias").quantization
    assert (quantization.scale, quantization.zero_point) == (right, [0] * len(right))
    (path,) = edits(outcome)
    assert path.endswith(".quantization")


def test_bias_of_rank_two():
    model = builders.layer("FULLY_CONNECTED", per_channel=True)
    bias = part(model, "bias")
    right = scales(bias)
    bias.shape = [1, 4]
    damage(bias, 2.0)
    outcome = fix_biases(model, keep="values")
    fixed = part(outcome.model, "bias")
    assert (scales(fixed), fixed.shape) == (right, [1, 4])
    assert integers(fixed) == [2 * q for q in integers(bias)]


# Ranges


def test_integers_that_would_leave_int32_are_refused_with_numbers_and_channel():
    model = builders.layer(input_scale=2.0**-6, weights_scales=[2.0**-8], bias=[1, -2, 2**30, 4])
    bias = part(model, "bias")
    damage(bias, 5.0)
    outcome = fix_biases(model, keep="values")
    (left,) = outcome.left
    for told in ("channel 2", str(2**30), str(5 * 2**30), str(2**31 - 1), "INT32", "--keep integers"):
        assert told in left.decision.reason
    assert integers(part(outcome.model, "bias")) == [1, -2, 2**30, 4]
    assert scales(part(outcome.model, "bias")) == scales(bias)


@pytest.mark.parametrize(
    ("integer", "fits"), [(2**30 - 1, True), (2**30, False), (-(2**30), True), (-(2**30) - 1, False)]
)
def test_the_borders_of_int32(integer, fits):
    model = builders.layer(input_scale=2.0**-6, weights_scales=[2.0**-8], bias=[integer, 0, 0, 0])
    part(model, "bias").quantization.scale = [2.0**-13]
    outcome = fix_biases(model, keep="values")
    assert len(outcome.repairs) == fits
    assert integers(part(outcome.model, "bias"))[0] == (2 * integer if fits else integer)


@pytest.mark.parametrize("stored", [[0.5], None])
def test_keeping_the_integers_never_overflows(stored):
    model = builders.layer(bias=[-(2**31), 2**31 - 1, 0, 0])
    bias = part(model, "bias")
    bias.quantization = None if stored is None else ts.QuantizationParameters(scale=stored, zero_point=[0])
    outcome = fix_biases(model, keep="integers")
    assert outcome.left == ()
    assert integers(part(outcome.model, "bias")) == [-(2**31), 2**31 - 1, 0, 0]


@pytest.mark.parametrize(("operator", "kind", "reach"), [("FULLY_CONNECTED", "INT8", 255), ("CONV_2D", "UINT8", 255)])
@pytest.mark.parametrize("more", [0, 1])
def test_an_accumulator_that_could_overflow_is_a_warning(operator, kind, reach, more):
    model = builders.layer(operator, kind)
    weights = part(model, "weights").values().astype(int) - (128 if kind == "UINT8" else 0)
    sums = np.abs(weights).reshape(4, -1).sum(axis=1)
    worst = int(sums.argmax())
    room = 2**31 - 1 - int(sums[worst]) * reach
    part(model, "bias").set_values([room + more if c == worst else 0 for c in range(4)])
    damage(part(model, "bias"), 1.00001)
    outcome = fix_biases(model, keep="integers")
    warnings = " ".join(outcome.repairs[0].warnings)
    if more:
        for told in (f"channel {worst}", str(room + 1), str(int(sums[worst])), str(2**31)):
            assert told in warnings
    else:
        assert warnings == ""


def test_depthwise_accumulators_add_up_along_their_own_axis():
    model = builders.layer("DEPTHWISE_CONV_2D")
    sums = np.abs(part(model, "weights").values().astype(int)).sum(axis=(0, 1, 2))
    part(model, "bias").set_values([2**31 - int(total) * 255 for total in sums])
    damage(part(model, "bias"), 1.00001)
    assert "= 2147483648 could leave" in fix_biases(model, keep="integers").repairs[0].warnings[0]


def test_weights_that_cannot_be_read_do_not_stop_the_repair():
    model = builders.chain(2)
    part(model, "weights", 0).buffer.data = bytes(2)
    for number in range(2):
        damage(part(model, "bias", number), 3.0)
    assert [repair.use.node.index for repair in fix_biases(model).repairs] == [0, 1]


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**60 + 12345])
def test_int64_integers_are_exact(value):
    model = builders.layer("CONV_2D", "INT16", input_scale=2.0**-10, weights_scales=[2.0**-8], bias=[value, 3, -5, 7])
    part(model, "bias").quantization.scale = [2.0**-18 * 1.5]
    fixed = part(fix_biases(model, keep="values").model, "bias")
    assert integers(fixed)[0] == rounded(Fraction(value) * Fraction(3, 2))
    assert integers(fixed)[1:] == [5, -8, 11]
    part(model, "bias").quantization.scale = [2.0**-17]
    assert integers(part(fix_biases(model, keep="values").model, "bias"))[0] == 2 * value


def test_integers_that_would_leave_int64_are_refused():
    model = builders.layer("CONV_2D", "INT16", input_scale=2.0**-10, weights_scales=[2.0**-8], bias=[2**62, 0, 0, 0])
    part(model, "bias").quantization.scale = [2.0**-17]
    outcome = fix_biases(model, keep="values")
    assert str(2**63) in outcome.left[0].decision.reason
    assert integers(part(outcome.model, "bias"))[0] == 2**62


@pytest.mark.parametrize(("kind", "bias_type"), [("INT8", "INT64"), ("INT16", "INT32"), ("INT16", "INT64")])
@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_bias_types_keep_their_width(operator, kind, bias_type):
    model = builders.layer(operator, kind, bias_type=bias_type, per_channel=True)
    bias = part(model, "bias")
    sound = scales(bias)
    damage(bias, 1.5)
    fixed = part(fix_biases(model, keep="values").model, "bias")
    assert fixed.type_name == bias_type
    assert len(fixed.data) == 4 * (8 if bias_type == "INT64" else 4)
    assert integers(fixed) == re_expressed(integers(bias), scales(bias), sound)


# SVDF and LSTM


def test_svdf():
    model = builders.svdf()
    bias = part(model, "bias")
    unit = scales(bias)
    damage(bias, 2.5)
    fixed = part(fix_biases(model, keep="values").model, "bias")
    assert (scales(fixed), integers(fixed)) == (unit, re_expressed(integers(bias), scales(bias), unit))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("role", [*(f"{gate}_bias" for gate in builders.GATES), "projection_bias"])
def test_lstm(role, layer_norm):
    model = builders.lstm(layer_norm=layer_norm)
    bias = part(model, role)
    unit = scales(bias)
    damage(bias, 2.5)
    outcome = fix_biases(model, keep="values")
    fixed = part(outcome.model, role)
    assert (scales(fixed), integers(fixed)) == (unit, re_expressed(integers(bias), scales(bias), unit))
    assert len(outcome.repairs) == 1


# Which nodes


def test_every_subgraph():
    model = builders.two_subgraphs(builders.chain(2), builders.chain(2))
    for number, subgraph in ((0, 0), (1, 0), (1, 1)):
        damage(part(model, "bias", number, subgraph), 2.0)
    outcome = fix_biases(model)
    assert [(r.use.node.subgraph_index, r.use.node.index) for r in outcome.repairs] == [(0, 0), (0, 1), (1, 1)]
    assert ts.check(ts.loads(ts.dumps(outcome.model))) == []


@pytest.mark.parametrize("nodes", [[1], [(0, 1)], [(1, 0), 0], [], [(1, 1)], None])
def test_only_the_nodes_asked_for(nodes):
    model = builders.two_subgraphs(builders.chain(2), builders.chain(2))
    every = [(0, 0), (0, 1), (1, 0), (1, 1)]
    for subgraph, number in every:
        damage(part(model, "bias", number, subgraph), 2.0)
    outcome = fix_biases(model, nodes=nodes)
    wanted = every if nodes is None else sorted((0, node) if isinstance(node, int) else node for node in nodes)
    assert [(r.use.node.subgraph_index, r.use.node.index) for r in outcome.repairs] == wanted
    assert sorted((f.subgraph, f.operator) for f in outcome.remaining) == [
        place for place in every if place not in wanted
    ]


def test_one_of_the_nodes_that_share_a_bias():
    model = builders.shared_bias()
    outcome = fix_biases(model, nodes=[2])
    assert part(outcome.model, "bias", 0) is part(outcome.model, "bias", 1)
    assert part(outcome.model, "bias", 2) is not part(outcome.model, "bias", 0)
    assert [finding.operator for finding in outcome.remaining] == [1]


@pytest.mark.parametrize("node", [2, -1, (1, 0), (-1, 0), (0, 99)])
def test_a_node_that_is_not_there(node):
    with pytest.raises(ts.SurgeonError, match=r"there is no (operator|subgraph)"):
        fix_biases(builders.chain(2), nodes=[node])


# Twice, and not at all


@pytest.mark.parametrize("keep", ["auto", "values", "integers"])
@pytest.mark.parametrize(
    "make", [builders.layer, builders.shared_bias, lambda: builders.layer("CONV_2D", "INT16", per_channel=True)]
)
def test_a_repair_repaired_stays_as_it_is(make, keep):
    model = make()
    damage(part(model, "bias"), 1.9)
    once = builders.written(fix_biases(model, keep=keep).model)
    twice = fix_biases(once, keep=keep)
    assert twice.plan.edits == ()
    assert ts.dumps(twice.model) == ts.dumps(once)


@pytest.mark.parametrize(
    "make",
    [builders.layer, builders.svdf, builders.lstm, lambda: builders.chain(3), lambda: builders.lstm(layer_norm=True)],
)
def test_a_healthy_model_stays_identical(make):
    data = ts.dumps(make())
    outcome = fix_biases(ts.loads(data))
    assert (outcome.repairs, outcome.left, outcome.plan.edits) == ((), (), ())
    assert list(outcome.remaining) == ts.check(outcome.model)
    assert ts.dumps(outcome.model) == data


def test_the_model_given_is_not_changed():
    model = builders.written(builders.shared_bias())
    before = ts.dumps(model)
    for keep in ("auto", "values", "integers"):
        assert fix_biases(model, keep=keep).repairs
        assert ts.dumps(model) == before
