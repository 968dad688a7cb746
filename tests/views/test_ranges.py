"""Ranges as recorded, implied and found in the values; where they disagree; which activations have none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.views import nets
from tflite_surgeon.views import constant_ranges
from tflite_surgeon.views.constant_ranges import value_ranges
from tflite_surgeon.views.filters import Filter
from tflite_surgeon.views.ranges import SCALE, UNUSED, VALUES, TensorRange


def row(model: ts.Model, name: str) -> TensorRange:
    (found,) = [item for item in ts.ranges(model) if item.name == name]
    return found


def kinds(found: TensorRange) -> list[str]:
    return [item.kind for item in found.disagreements]


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT16"])
@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_values_and_implied_ranges_are_those_of_the_real_values(kind: str, operator: str, per_channel: bool) -> None:
    model = builders.layer(operator, kind, per_channel=per_channel)
    axis = 3 if operator == "DEPTHWISE_CONV_2D" else 0
    for name in ("weights", "bias"):
        tensor = builders.part(model, name)
        real = builders.real(tensor, axis=axis if name == "weights" else 0)
        assert row(model, name).values == (real.min(), real.max())
    limits = np.iinfo(builders.DTYPES[kind])
    source = builders.part(model, "input")
    assert row(model, "input").implied == tuple(builders.real(source, end) for end in (limits.min, limits.max))
    assert row(model, "input").values is None
    assert all(not item.disagreements and not item.is_missing for item in ts.ranges(model))


def test_a_sound_recorded_range_agrees() -> None:
    """As converters leave it: the ends of the integers, up to the shift of the zero point; weights symmetric."""
    model = builders.layer()
    source, weights = builders.part(model, "input"), builders.part(model, "weights")
    source.quantization.min, source.quantization.max = [(-128 + 7.4) * 0.02], [(127 + 7.4) * 0.02]
    real = builders.real(weights)
    weights.quantization.min, weights.quantization.max = [real.min()], [real.max()]
    assert row(model, "input").recorded == ((-128 + 7.4) * 0.02, (127 + 7.4) * 0.02)
    assert kinds(row(model, "input")) == kinds(row(model, "weights")) == []


@pytest.mark.parametrize(
    ("low", "high", "words"), [(-2.4, 6.0, "what lies beyond is cut off"), (-1.0, 1.0, "100 of 255 steps")]
)
def test_a_scale_of_another_range_disagrees(low: float, high: float, words: str) -> None:
    model = builders.layer()
    source = builders.part(model, "input")
    source.quantization.min, source.quantization.max = [low], [high]
    found = row(model, "input")
    assert kinds(found) == [SCALE]
    assert words in found.disagreements[0].message


def test_the_worst_channel_is_named() -> None:
    model = builders.layer(per_channel=True)
    weights = builders.part(model, "weights")
    real = builders.real(weights).reshape(4, -1)
    weights.quantization.min, weights.quantization.max = real.min(axis=1).tolist(), real.max(axis=1).tolist()
    weights.quantization.scale = builders.scales(weights)
    assert VALUES not in kinds(row(model, "weights"))
    weights.quantization.max[2] *= 0.5
    weights.quantization.min[2] *= 0.5
    found = row(model, "weights")
    assert VALUES in kinds(found)
    assert all("of channel 2" in item.message for item in found.disagreements if item.kind == VALUES)


def test_values_of_a_float_constant_are_compared_too() -> None:
    model = nets.picture(weights="FLOAT32")
    weights = builders.part(model, "weights")
    weights.quantization = ts.QuantizationParameters(min=[-100.0], max=[100.0])
    assert kinds(row(model, "w")) == []
    weights.quantization.max = [10.0]
    assert kinds(row(model, "w")) == [VALUES]


def test_a_constant_that_leaves_its_integers_empty() -> None:
    model = builders.layer("CONV_2D")
    weights = builders.part(model, "weights")
    assert kinds(row(model, "weights")) == []
    weights.set_values(np.asarray(weights.values()) // 4)
    assert kinds(row(model, "weights")) == [UNUSED]


def test_a_range_that_is_no_number() -> None:
    model = builders.layer()
    source = builders.part(model, "input")
    source.quantization.min, source.quantization.max = [float("nan")], [1.0]
    assert [item.message for item in row(model, "input").disagreements] == ["the recorded range is not a number"]


def test_activations_of_floats_lack_a_range_that_operators_need() -> None:
    missing = {item.name: item.needed_by for item in ts.ranges(nets.picture()) if item.is_missing}
    assert missing == {"serving_default_x:0": [(0, "CONV_2D")], "y": [(0, "CONV_2D")]}


def test_what_follows_from_integers_is_not_missing() -> None:
    assert [item.name for item in ts.ranges(nets.behind_quantize()) if item.is_missing] == []


def test_one_activation_without_a_scale_among_quantised_ones() -> None:
    model = builders.chain(3)
    between = builders.part(model, "output", 1)
    between.quantization = None
    (found,) = [item for item in ts.ranges(model) if item.is_missing]
    assert found.name == between.name
    assert found.needed_by == [(1, "FULLY_CONNECTED"), (2, "FULLY_CONNECTED")]
    assert found.users == found.needed_by


def test_operators_that_pass_values_on_leave_the_need_to_their_neighbours() -> None:
    net = builders.Net()
    source, raw = net.tensor("x", [2, 3], "FLOAT32"), net.tensor("sum", [2, 3], "FLOAT32")
    shaped, sure = net.tensor("shaped", [3, 2], "FLOAT32"), net.tensor("sure", [3, 2], "FLOAT32")
    net.operator("ADD", 1, [source, source], [raw], "AddOptions")
    net.operator("RESHAPE", 1, [raw, net.tensor("shape", [2], "INT32", values=[3, 2])], [shaped], "ReshapeOptions")
    net.operator("LOGISTIC", 1, [shaped], [sure])
    missing = {item.name: item.needed_by for item in ts.ranges(net.model([source], [sure])) if item.is_missing}
    assert missing == {"x": [(0, "ADD")], "sum": [(0, "ADD")], "shaped": [(2, "LOGISTIC")]}


def test_filters() -> None:
    model = builders.chain(3)
    assert [item.name for item in ts.ranges(model, Filter(name="weights"))] == ["weights_0", "weights_1", "weights_2"]
    assert ts.ranges(model, Filter(operator="CONV_2D")) == []
    assert len(ts.ranges(model, Filter(operator="FULLY_CONNECTED"))) == len(model.subgraphs[0].tensors)


def test_broken_and_empty_models() -> None:
    assert ts.ranges(nets.empty()) == []
    found = ts.ranges(nets.broken())
    assert len(found) == 6
    assert found[-1].values is None


def test_why_values_are_not_known() -> None:
    model = builders.layer()
    weights = builders.part(model, "weights")
    weights.shape = [5, 3]
    assert row(model, "weights").unread == "the bytes do not fit shape and type"
    weights.shape, weights.quantization.scale = [4, 3], [0.1, 0.2]
    weights.quantization.zero_point = [0, 0]
    assert row(model, "weights").unread == "the number of scales is not that of the channels"


# Pieces


def constant(values: np.ndarray, kind: str, scales: list[float] | None = None, axis: int = 0) -> ts.Tensor:
    quantization = None
    if scales is not None:
        quantization = ts.QuantizationParameters(
            scale=[builders.float32(scale) for scale in scales], zero_point=[3] * len(scales), quantized_dimension=axis
        )
    data = np.zeros(1, np.uint8).tobytes()
    tensor = ts.Tensor(
        name="c", shape=list(values.shape), type=ts.TensorType[kind], buffer=ts.Buffer(data), quantization=quantization
    )
    tensor.set_values(values)
    return tensor


@pytest.mark.parametrize("piece", [1, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("kind", ["INT4", "INT8", "INT16"])
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_pieces_of_any_size_give_the_ranges_of_the_channels(
    piece: int, kind: str, axis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constant_ranges, "_PIECE", piece)
    shape = (3, 5, 2, 7)
    values = builders.spread(shape, -8, 7, seed=axis)
    scales = [0.5 + channel for channel in range(shape[axis])]
    tensor = constant(values, kind, scales, axis)
    real = builders.real(tensor, axis=axis) if kind != "INT4" else None
    real = (np.moveaxis(values, axis, -1) - 3) * np.array(scales)
    flat = real.reshape(-1, shape[axis])
    assert value_ranges(tensor) == list(zip(flat.min(axis=0), flat.max(axis=0)))
    whole = constant(values, kind, [0.5])
    assert value_ranges(whole) == [((values.min() - 3) * 0.5, (values.max() - 3) * 0.5)]


def test_nan_is_passed_over_and_bfloat16_is_read() -> None:
    values = np.array([[np.nan, -2.5], [7.25, 1.0]], np.float32)
    assert value_ranges(constant(values, "FLOAT32")) == [(-2.5, 7.25)]
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    assert value_ranges(constant(halves, "BFLOAT16")) == [(-2.5, 7.25)]
    with pytest.raises(ts.SurgeonError, match="none that is a number"):
        value_ranges(constant(np.full(3, np.nan, np.float32), "FLOAT32"))


def test_a_mapped_file_is_let_go_of_between_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tflite_surgeon.model.files.MAP_FROM", 1)
    monkeypatch.setattr(constant_ranges, "_PIECE", 4)
    model = builders.layer(per_channel=True)
    path = tmp_path / "net.tflite"
    path.write_bytes(ts.dumps(model))
    with ts.load(path) as mapped:
        assert ts.ranges(mapped) == ts.ranges(model)
