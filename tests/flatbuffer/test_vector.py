"""Long vectors behave like the lists that short ones are."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflite_surgeon as ts
from tflite_surgeon.flatbuffer.vector import LONGEST_LIST, Vector


def with_scales(scales: list[float]) -> ts.Model:
    quantization = ts.QuantizationParameters(scale=scales, zero_point=[0] * len(scales))
    tensor = ts.Tensor(name="t", buffer=ts.Buffer(), quantization=quantization)
    return ts.Model(version=3, buffers=[tensor.buffer], subgraphs=[ts.SubGraph(tensors=[tensor])])


def read(scales: list[float]) -> ts.Model:
    return ts.loads(ts.dumps(with_scales(scales)))


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


# In a mapped file


VALUES = [0.5 * number for number in range(40)]


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ts.Model]:
    path = tmp_path / "model.tflite"
    ts.save(with_scales(VALUES), path)
    monkeypatch.setattr("tflite_surgeon.model.files.MAP_FROM", 1)
    with ts.load(path) as model:
        yield model


def scale_of(model: ts.Model) -> Any:
    return model.subgraphs[0].tensors[0].quantization.scale


def test_numbers_of_a_mapped_file_are_used_like_others(mapped: ts.Model) -> None:
    scale = scale_of(mapped)
    assert len(scale) == 40
    assert scale == VALUES
    assert scale == scale_of(ts.loads(ts.dumps(mapped)))
    assert list(scale) == VALUES
    assert (scale[0], scale[39], scale[-1], scale[-40]) == (0.0, 19.5, 19.5, 0.0)
    assert scale[3:5] == [1.5, 2.0]
    assert max(scale) == 19.5
    assert 7.5 in scale
    assert scale.tobytes() == np.asarray(scale, np.float32).tobytes()
    assert np.asarray(scale).dtype == np.float32
    assert repr(scale) == repr(VALUES)
    for number in (40, -41):
        with pytest.raises(IndexError):
            scale[number]


def test_numbers_of_a_mapped_file_stay_there_until_one_is_changed(mapped: ts.Model) -> None:
    other = mapped.copy()
    scale_of(other)[3] = 99.0
    scale_of(other).append(7.0)
    assert scale_of(other) == [*VALUES[:3], 99.0, *VALUES[4:], 7.0]
    assert scale_of(mapped) == VALUES
    del scale_of(mapped)[0]
    assert scale_of(mapped) == VALUES[1:]


def test_numbers_of_a_mapped_file_can_be_handed_to_another_process(mapped: ts.Model) -> None:
    scale = scale_of(mapped)
    for twin in (pickle.loads(pickle.dumps(scale)), copy.deepcopy(scale)):
        assert isinstance(twin, Vector)
        assert twin == VALUES
        twin[0] = 1.0
        assert scale[0] == 0.0


def test_numbers_of_a_file_that_was_closed_say_so(mapped: ts.Model) -> None:
    scale = scale_of(mapped)
    scale_of(changed := mapped.copy())[0] = 1.0
    mapped.close()
    assert scale_of(changed)[1] == 0.5
    for use in (list, repr, lambda numbers: numbers[0], lambda numbers: numbers == VALUES):
        with pytest.raises(ts.SurgeonError, match="closed: read it again"):
            use(scale)
