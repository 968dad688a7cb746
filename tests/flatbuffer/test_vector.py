"""Long vectors behave like the lists that short ones are."""

from __future__ import annotations

import math

import pytest

import tflite_surgeon as ts
from tflite_surgeon.flatbuffer.vector import LONGEST_LIST, Vector


def read(scales: list[float]) -> ts.Model:
    quantization = ts.QuantizationParameters(scale=scales, zero_point=[0] * len(scales))
    tensor = ts.Tensor(name="t", buffer=ts.Buffer(), quantization=quantization)
    model = ts.Model(version=3, buffers=[tensor.buffer], subgraphs=[ts.SubGraph(tensors=[tensor])])
    return ts.loads(ts.dumps(model))


@pytest.mark.parametrize("count", [LONGEST_LIST, LONGEST_LIST + 1])
def test_short_and_long_ones_are_used_alike(count: int) -> None:
    values = [0.5 * number for number in range(count)]
    model = read(values)
    quantization = model.subgraphs[0].tensors[0].quantization
    assert quantization.scale == values
    assert (quantization.scale != values) is False
    assert repr(quantization.scale) == repr(values)
    assert quantization.scale[1:3] == [0.5, 1.0]
    assert quantization.scale + [7.0] == [*values, 7.0]
    assert [7.0] + quantization.scale == [7.0, *values]
    quantization.scale[0] = 0.25
    quantization.scale[1:3] = [8.0, 9.0]
    quantization.scale.append(10.0)
    quantization.zero_point.append(0)
    again = ts.loads(ts.dumps(model)).subgraphs[0].tensors[0].quantization
    assert again.scale == [0.25, 8.0, 9.0, *values[3:], 10.0]


def test_a_copy_is_its_own() -> None:
    model = read([1.0] * 40)
    copy = model.copy()
    copy.subgraphs[0].tensors[0].quantization.scale[3] = 2.0
    assert model.subgraphs[0].tensors[0].quantization.scale == [1.0] * 40


def test_what_is_assigned_is_rounded_and_never_silently_infinite() -> None:
    vector = Vector("f", [1.0] * 20)
    vector[0] = 0.1
    assert vector[0] == pytest.approx(0.1, rel=1e-7)
    assert vector[0] != 0.1
    with pytest.raises(OverflowError, match="too large"):
        vector[1] = 1e300
    vector[2] = math.inf
    assert vector[2] == math.inf


def test_other_things_are_not_equal_to_it() -> None:
    vector = Vector("f", [1.0] * 20)
    assert vector != 1.0
    assert vector != [1.0] * 19
    assert vector != "text"
    with pytest.raises(TypeError):
        hash(vector)
