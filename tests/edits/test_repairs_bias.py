"""Repairs of a bias' type, zero point, length and absence, and of one that leaves its type."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, float32, integers, part, product, scales
from tests.conditions.case import NAMES
from tests.edits.expected import edits, packed, re_expressed, rounded
from tests.interpreters import session
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.bias_type import retype_bias
from tflite_surgeon.edits.repairs.registry import Done, Refused
from tflite_surgeon.flatbuffer.schema import enum_class

TYPES = enum_class("TensorType")
LAYERS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
NAN = float("nan")


def fixed(model: ts.Model, rule: str, **arguments: Any) -> Any:
    return ts.fix(model, [rule], **{"targets": NAMES, "lossy": True, "undecided": "leave", **arguments})


def place(model: ts.Model, role: str, number: int = 0) -> str:
    tensor = part(model, role, number)
    return f"subgraphs[0].tensors[{next(n for n, t in enumerate(model.subgraphs[0].tensors) if t is tensor)}]"


def buffer_of(model: ts.Model, role: str) -> str:
    return f"buffers[{next(n for n, b in enumerate(model.buffers) if b is part(model, role).buffer)}]"


def outputs(model: ts.Model) -> list[np.ndarray]:
    run = session("litert-no-delegate").run(ts.dumps(model), seed=0)
    assert run.ok, run.message
    return [value for step in run.outputs for value in step]


def same_outputs(first: ts.Model, second: ts.Model) -> None:
    for a, b in zip(outputs(first), outputs(second)):
        assert np.abs(a.astype(np.int64) - b.astype(np.int64)).max() == 0


def refusal(outcome: Any) -> Refused:
    assert outcome.plan.edits == ()
    (left,) = outcome.left
    return left.refused


# bias-type: the bytes are right, the type is not


@pytest.mark.parametrize("wrong", ["INT8", "UINT8", "INT16", "FLOAT16", "FLOAT32", "STRING", "INT64"])
@pytest.mark.parametrize("operator", LAYERS)
def test_a_wrong_type_beside_right_bytes(operator: str, wrong: str) -> None:
    sound = builders.layer(operator)
    model = sound.copy()
    part(model, "bias").type = TYPES[wrong]
    outcome = fixed(model, "bias-type")
    assert edits(outcome) == {f"{place(model, 'bias')}.type": (TYPES[wrong], TYPES["INT32"])}
    assert outcome.repairs[0].done.loses == ""
    assert ts.dumps(outcome.model) == ts.dumps(sound)


def test_a_wrong_type_beside_right_bytes_of_64_bits() -> None:
    sound = builders.layer("DEPTHWISE_CONV_2D", "INT16")
    model = sound.copy()
    part(model, "bias").type = TYPES["FLOAT32"]
    outcome = fixed(model, "bias-type")
    assert edits(outcome) == {f"{place(model, 'bias')}.type": (TYPES["FLOAT32"], TYPES["INT64"])}


def test_a_shared_bias_is_corrected_once_for_all() -> None:
    model = builders.shared_bias((0.02, 0.02))
    part(model, "bias").type = TYPES["INT8"]
    assert list(edits(fixed(model, "bias-type"))) == [f"{place(model, 'bias')}.type"]


def test_bytes_of_no_type_are_refused() -> None:
    model = builders.layer("CONV_2D")
    part(model, "bias").type = TYPES["INT8"]
    part(model, "bias").buffer.data = bytes(15)
    assert "which are not its values in any type" in refusal(fixed(model, "bias-type")).reason


def test_a_bias_that_is_computed_is_refused() -> None:
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    bias.type, bias.buffer = TYPES["INT64"], model.buffers[0]
    model.subgraphs[0].inputs.append(bias)
    assert "no data" in refusal(fixed(model, "bias-type")).reason


# bias-type: other widths


@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_32_bits_beside_16_bit_inputs_are_widened(operator: str) -> None:
    model = builders.layer(operator, "INT16", bias_type="INT32")
    if operator != "DEPTHWISE_CONV_2D":
        builders.node(model).builtin_options.quantized_bias_type = TYPES["FLOAT32"]
    outcome = fixed(model, "bias-type")
    values = integers(part(model, "bias"))
    assert edits(outcome) == {
        f"{buffer_of(model, 'bias')}.data": (packed(values), packed(values, "<i8")),
        f"{place(model, 'bias')}.type": (TYPES["INT32"], TYPES["INT64"]),
    }
    assert outcome.repairs[0].done.loses == ""


@pytest.mark.parametrize("operator", LAYERS)
def test_64_bits_beside_8_bit_inputs_are_narrowed(operator: str) -> None:
    model = builders.layer(operator)
    bias = part(model, "bias")
    values = integers(bias)
    bias.type, bias.buffer.data = TYPES["INT64"], packed(values, "<i8")
    outcome = fixed(model, "bias-type")
    assert edits(outcome) == {
        f"{buffer_of(model, 'bias')}.data": (packed(values, "<i8"), packed(values)),
        f"{place(model, 'bias')}.type": (TYPES["INT64"], TYPES["INT32"]),
    }


@pytest.mark.parametrize("declared", ["INT32", "INT8", "FLOAT16"])
@pytest.mark.parametrize("operator", ["CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"])
def test_the_option_says_what_the_bias_is(operator: str, declared: str) -> None:
    model = builders.layer(operator, "INT16")
    builders.node(model).builtin_options.quantized_bias_type = TYPES[declared]
    outcome = fixed(model, "bias-type")
    path = "subgraphs[0].operators[0].builtin_options.quantized_bias_type"
    assert edits(outcome) == {path: (TYPES[declared], TYPES["INT64"])}


# bias-type: values


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("operator", LAYERS)
def test_floats_are_expressed_in_the_unit(operator: str, per_channel: bool) -> None:
    model = builders.layer(operator, per_channel=per_channel)
    bias = part(model, "bias")
    units = scales(bias)
    values = [float32(value) for value in (0.25, -1.3, 0.0, 0.777)]
    bias.type, bias.quantization, bias.buffer.data = TYPES["FLOAT32"], None, np.array(values, "<f4").tobytes()
    outcome = fixed(model, "bias-type")
    wide = units * (1 if per_channel else 4)
    wanted = [rounded(Fraction(value) / Fraction(unit)) for value, unit in zip(values, wide)]
    made = part(outcome.model, "bias")
    assert (integers(made), scales(made), made.type_name) == (wanted, units, "INT32")
    assert set(made.quantization.zero_point) == {0}
    error = max(abs(i * Fraction(u) - Fraction(v)) for i, u, v in zip(wanted, wide, values))
    assert f"{float(error):.3g}" in outcome.repairs[0].done.loses
    refused = refusal(fixed(model, "bias-type", lossy=False))
    assert "--lossy" in refused.reason


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_floats_that_are_none_are_refused(value: float) -> None:
    model = builders.layer("CONV_2D", "INT16")
    bias = part(model, "bias")
    bias.type, bias.quantization = TYPES["FLOAT16"], None
    bias.buffer.data = np.array([1, 2, 3, value], "<f2").tobytes()
    assert "no finite numbers" in refusal(fixed(model, "bias-type")).reason


def test_8_bit_integers_with_a_scale_of_their_own() -> None:
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    unit = scales(bias)
    bias.type, bias.buffer.data = TYPES["INT8"], np.array([127, -128, 5, 0], "<i1").tobytes()
    bias.quantization.scale, bias.quantization.zero_point = [0.01], [3]
    made = part(fixed(model, "bias-type").model, "bias")
    wanted = re_expressed([124, -131, 2, -3], [float32(0.01)], unit)
    assert (integers(made), scales(made), made.quantization.zero_point) == (wanted, unit, [0])


def test_8_bit_integers_without_a_scale_are_integers() -> None:
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    bias.type, bias.buffer.data = TYPES["INT8"], np.array([127, -128, 5, 0], "<i1").tobytes()
    bias.quantization = None
    assert integers(part(fixed(model, "bias-type").model, "bias")) == [127, -128, 5, 0]


@pytest.mark.parametrize(
    ("stored", "scale", "wanted"),
    [
        ([1, -2, 3, 4], 0.5, [0.5, -1.0, 1.5, 2.0]),
        ([1, -2, 3, 4], None, [1.0, -2.0, 3.0, 4.0]),
        (np.array([1.5, -2, 0, 4], "<f4").view("<i4").tolist(), None, [1.5, -2.0, 0.0, 4.0]),
    ],
)
def test_integers_beside_floats(stored: list[int], scale: float | None, wanted: list[float]) -> None:
    net = builders.Net()
    source = net.tensor("input", [2, 8], "FLOAT32")
    weights = net.tensor("weights", [4, 8], "INT8", [0.1], 0, builders.spread([4, 8], -100, 100))
    bias = net.tensor("bias", [4], "INT32", scale, 0, stored)
    result = net.tensor("output", [2, 4], "FLOAT32")
    net.operator("FULLY_CONNECTED", 3, [source, weights, bias], [result], "FullyConnectedOptions")
    outcome = fixed(net.model([source], [result]), "bias-type")
    made = part(outcome.model, "bias")
    assert (made.type_name, made.quantization is None or scale is None) == ("FLOAT32", True)
    assert made.values().tolist() == wanted
    assert outcome.repairs[0].done.loses == ""


def test_a_unit_that_cannot_be_told_is_refused() -> None:
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    bias.type, bias.quantization, bias.buffer.data = TYPES["FLOAT32"], None, np.ones(4, "<f4").tobytes()
    part(model, "input").quantization.scale = [NAN]
    assert "has no unit to be expressed in" in refusal(fixed(model, "bias-type")).reason


def test_retype_bias_for_other_rules() -> None:
    model = builders.layer("CONV_2D")
    draft = Draft(model)
    node = builders.node(model)
    assert retype_bias(draft, node, 2) is None
    part(model, "bias").type = TYPES["FLOAT32"]
    assert isinstance(retype_bias(draft, node, 2), Done)
    assert part(model, "bias").type_name == "INT32"


@pytest.mark.reality
@pytest.mark.parametrize("kind", ["INT8", "INT16"])
@pytest.mark.parametrize("operator", LAYERS)
def test_a_bias_of_floats_computes_what_the_integers_did(operator: str, kind: str) -> None:
    sound = builders.layer(operator, kind)
    model = sound.copy()
    bias = part(model, "bias")
    values = np.array(integers(bias)) * scales(bias)[0]
    bias.type, bias.quantization, bias.buffer.data = TYPES["FLOAT32"], None, values.astype("<f4").tobytes()
    same_outputs(sound, fixed(model, "bias-type").model)


# A bias that leaves its type


def too_large(operator: str, per_channel: bool) -> ts.Model:
    """A bias whose second value takes 37 times what INT32 holds, in a layer with a very small unit."""
    model = builders.layer(
        operator,
        per_channel=per_channel,
        input_scale=2.0**-10,
        weights_scales=[2.0**-20] * (4 if per_channel else 1),
        output_scale=2.0**-4,
        bias=[0, 0, 0, 0],
    )
    bias = part(model, "bias")
    bias.quantization.scale = [2.0**-8] * len(scales(bias))
    bias.set_values([100, 37 * 2**9, -500, 0])
    return model


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("operator", LAYERS)
def test_a_bias_that_does_not_fit_raises_the_weights_scale(operator: str, per_channel: bool) -> None:
    model = too_large(operator, per_channel)
    left = refusal(fixed(model, "bias-scale", keep="values", lossy=False))
    assert "--lossy" in left.reason
    outcome = fixed(model, "bias-scale", keep="values")
    (repaired,) = outcome.repairs
    old, new = scales(part(model, "weights")), scales(part(outcome.model, "weights"))
    assert [a == b for a, b in zip(old, new)] == ([True, False, True, True] if per_channel else [False])
    assert new[1 if per_channel else 0] / old[0] == pytest.approx(37, rel=1e-3)
    made, was = part(outcome.model, "bias"), part(model, "bias")
    units = [product(2.0**-10, scale) for scale in new]
    assert scales(made) == units
    assert integers(made) == re_expressed(integers(was), scales(was), units)
    axis = 3 if operator == "DEPTHWISE_CONV_2D" else 0
    sums = np.abs(np.moveaxis(part(outcome.model, "weights").values().astype(np.int64), axis, 0)[1]).sum()
    assert 2**31 * 0.99 < max(integers(made)) < 2**31 - 255 * sums
    kept = np.array(part(model, "weights").values(), float) * old[0]
    spread = np.array(new).reshape([-1 if d == axis else 1 for d in range(kept.ndim)]) if per_channel else new[0]
    moved = np.abs(part(outcome.model, "weights").values() * spread - kept).max()
    assert f"({moved:.3g})" in repaired.done.loses
    assert [f for f in outcome.remaining if f.rule == "bias-scale"] == []


def test_weights_that_others_read_stay_as_they_are() -> None:
    model = too_large("FULLY_CONNECTED", False)
    graph = model.subgraphs[0]
    graph.outputs.append(part(model, "weights"))
    before = part(model, "weights").values().tolist()
    outcome = fixed(model, "bias-scale", keep="values")
    assert outcome.model.subgraphs[0].outputs[1].values().tolist() == before
    assert part(outcome.model, "weights") is not outcome.model.subgraphs[0].outputs[1]


def test_a_bias_so_large_that_no_weight_would_remain_is_refused() -> None:
    model = too_large("FULLY_CONNECTED", False)
    part(model, "bias").quantization.scale = [2.0**2]
    left = refusal(fixed(model, "bias-scale", keep="values"))
    assert "would become 0" in left.reason


# bias-zero-point


def with_zero_point(operator: str = "FULLY_CONNECTED", point: int = 5, **arguments: Any) -> ts.Model:
    model = builders.layer(operator, **arguments)
    quantization = part(model, "bias").quantization
    quantization.zero_point = [point] * len(quantization.scale)
    return model


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("operator", LAYERS)
def test_a_zero_point_is_subtracted_or_dropped(operator: str, per_channel: bool) -> None:
    model = with_zero_point(operator, 5000, per_channel=per_channel)
    points = part(model, "bias").quantization.zero_point
    dropped = {f"{place(model, 'bias')}.quantization.zero_point": (points, [0] * len(points))}
    values = integers(part(model, "bias"))
    moved = packed([value - 5000 for value in values])
    assert edits(fixed(model, "bias-zero-point", keep="integers")) == dropped
    kept = fixed(model, "bias-zero-point", keep="values")
    assert edits(kept) == {f"{buffer_of(model, 'bias')}.data": (packed(values), moved), **dropped}
    units = product(0.02, max(scales(part(model, "weights"))))
    assert kept.repairs[0].done.effect == pytest.approx(5000 * units / float32(0.03), rel=1e-6)


def test_a_zero_point_that_matters_is_an_open_question() -> None:
    model = with_zero_point(point=5000)
    assert refusal(fixed(model, "bias-zero-point")).is_open
    guessed = fixed(model, "bias-zero-point", undecided="values")
    assert guessed.repairs[0].done.keep == "values"


def test_a_zero_point_that_does_not_matter_is_dropped() -> None:
    outcome = fixed(with_zero_point(point=5), "bias-zero-point")
    assert (outcome.repairs[0].done.keep, outcome.repairs[0].done.effect) == ("integers", 0.0)


@pytest.mark.parametrize("keep", ["values", "integers"])
def test_a_recorded_range_tells_what_a_zero_point_means(keep: str) -> None:
    model = with_zero_point(point=5000)
    bias = part(model, "bias")
    values = (np.array(integers(bias)) - (5000 if keep == "values" else 0)) * scales(bias)[0]
    bias.quantization.min, bias.quantization.max = [float32(values.min())], [float32(values.max())]
    outcome = fixed(model, "bias-zero-point")
    assert outcome.repairs[0].done.keep == keep


def test_a_zero_point_that_does_not_fit_is_never_cut_off() -> None:
    model = with_zero_point(point=2**31 - 1)
    assert "does not hold" in refusal(fixed(model, "bias-zero-point", keep="values")).reason


def test_a_shared_bias_of_another_reader_keeps_its_zero_point() -> None:
    model = with_zero_point(point=5000)
    model.subgraphs[0].outputs.append(part(model, "bias"))
    outcome = fixed(model, "bias-zero-point", keep="values")
    seen = outcome.model.subgraphs[0].outputs[1]
    assert (seen.quantization.zero_point, integers(seen)) == ([5000], integers(part(model, "bias")))


@pytest.mark.reality
def test_dropping_a_zero_point_changes_no_result() -> None:
    model = with_zero_point(point=5000)
    same_outputs(model, fixed(model, "bias-zero-point", keep="integers").model)


# bias-missing and bias-length


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("kind", "wanted"), [("INT8", "INT32"), ("UINT8", "INT32"), ("INT16", "INT64")])
def test_a_missing_bias_is_added(kind: str, wanted: str, per_channel: bool) -> None:
    if kind == "UINT8" and per_channel:
        pytest.skip("UINT8 weights have one scale")
    model = builders.layer("CONV_2D", kind, per_channel=per_channel)
    units = scales(part(model, "bias"))
    builders.node(model).inputs = builders.node(model).inputs[:2]
    outcome = fixed(model, "bias-missing")
    made = part(outcome.model, "bias")
    assert (made.type_name, made.shape, integers(made), scales(made)) == (wanted, [4], [0] * 4, units)
    assert [type(edit).__name__ for edit in outcome.plan.edits][:2] == ["AppendItem", "AppendItem"]
    assert [f for f in outcome.remaining if f.severity == ts.Severity.ERROR] == [
        f for f in ts.check(builders.layer("CONV_2D", kind, per_channel=per_channel), NAMES) if f.severity > 2
    ]


def test_a_missing_bias_without_a_unit_is_refused() -> None:
    model = builders.layer("CONV_2D")
    builders.node(model).inputs = builders.node(model).inputs[:2]
    part(model, "input").quantization.scale = [0.0]
    assert "unit of the bias cannot be told" in refusal(fixed(model, "bias-missing")).reason


@pytest.mark.reality
def test_a_missing_bias_computes_what_zeros_do() -> None:
    model = builders.layer("CONV_2D", bias=[0, 0, 0, 0])
    without = model.copy()
    builders.node(without).inputs = builders.node(without).inputs[:2]
    same_outputs(model, fixed(without, "bias-missing").model)


def test_a_shape_that_the_bytes_contradict() -> None:
    model = builders.layer("CONV_2D")
    part(model, "bias").shape = [3]
    outcome = fixed(model, "bias-length")
    assert edits(outcome) == {f"{place(model, 'bias')}.shape": ([3], [4])}


def test_values_that_are_missing_are_not_invented() -> None:
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    bias.shape, bias.buffer.data = [3], bytes(bias.buffer.data[:12])
    assert "does not tell which channels" in refusal(fixed(model, "bias-length")).reason


# All of them


@pytest.mark.parametrize("operator", LAYERS)
@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT16"])
def test_sound_layers_are_not_touched(operator: str, kind: str) -> None:
    for rule in ("bias-scale", "bias-type", "bias-zero-point", "bias-missing", "bias-length"):
        outcome = fixed(builders.layer(operator, kind), rule)
        assert (outcome.plan.edits, outcome.repairs) == ((), ())


def test_once_repaired_nothing_is_left() -> None:
    model = with_zero_point("CONV_2D", 5000)
    bias = part(model, "bias")
    bias.type, bias.buffer.data = TYPES["INT64"], packed(integers(bias), "<i8")
    damage(bias, 3.0)
    first = ts.fix(model, undecided="values", targets=NAMES, lossy=True)
    assert {item.finding.rule for item in first.repairs} >= {"bias-type", "bias-scale", "bias-zero-point"}
    again = ts.fix(ts.loads(ts.dumps(first.model)), undecided="values", targets=NAMES, lossy=True)
    assert again.plan.edits == ()
