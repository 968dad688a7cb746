"""Where the bytes of a file go."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import tflite_surgeon as ts
from tests.builders import layer, part, written
from tests.views import models
from tflite_surgeon.views.file_map import data_offset, field_offset, merged, table_offset, total
from tflite_surgeon.views.sizes import Sizes, parameters, sizes

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


def added_up(found: Sizes) -> int:
    parts = (found.weights, found.biases, found.constants, found.metadata, found.graph, found.padding)
    return sum(size or 0 for size in (*parts, found.associated_files, found.compiled, found.waste))


def test_every_byte_of_a_file_is_counted_once() -> None:
    for path in sorted(FIXTURES.glob("*.tflite")):
        found = sizes(ts.load(path))
        assert added_up(found) == found.file == path.stat().st_size
        assert found.waste == 0


def test_kinds_of_constants_are_told_apart() -> None:
    model = written(layer(per_channel=True))
    found = sizes(model)
    assert found.weights == len(part(model, "weights").data)
    assert found.biases == len(part(model, "bias").data)
    assert (found.constants, found.outside) == (0, 0)


def test_what_nothing_uses_is_waste() -> None:
    model = layer()
    model.buffers.append(ts.Buffer(bytes(1000)))
    found = sizes(written(model))
    assert found.waste == 1000
    appended = sizes(ts.loads(ts.dumps(layer()) + bytes(500)))
    assert appended.waste == 500
    assert added_up(appended) == appended.file


def test_associated_files_are_no_waste() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    found = sizes(ts.loads(ts.dumps(layer()) + packed.getvalue()))
    assert (found.associated_files, found.waste) == (len(packed.getvalue()), 0)


def test_bytes_behind_the_flatbuffer_are_outside() -> None:
    model = layer()
    part(model, "weights").buffer.outside = True
    model = written(model)
    found = sizes(model)
    assert found.outside == found.weights == len(part(model, "weights").data)
    assert added_up(found) == found.file


def test_a_model_in_memory_has_no_file_to_count() -> None:
    model = layer()
    found = sizes(model)
    assert (found.weights, found.biases) == (len(part(model, "weights").data), len(part(model, "bias").data))
    assert (found.graph, found.padding, found.file) == (None, None, None)
    assert sizes(ts.Model()).weights == 0


def test_parameters_are_what_was_learned() -> None:
    model = layer(channels=4)
    weights, bias = part(model, "weights"), part(model, "bias")
    assert parameters(model) == weights.shape[0] * weights.shape[1] + bias.shape[0]
    again = ts.Tensor(name="again", shape=weights.shape, type=weights.type, buffer=weights.buffer)
    model.subgraphs[0].tensors.append(again)
    assert parameters(model) == weights.shape[0] * weights.shape[1] + bias.shape[0]
    assert parameters(models.unpacked("FLOAT16")) == models.UNITS * models.DEPTH


def test_offsets_point_at_the_bytes() -> None:
    model = written(layer(per_channel=True))
    raw = model.source.raw
    weights = part(model, "weights")
    at = data_offset(model, weights.buffer)
    assert raw[at : at + len(weights.data)] == bytes(weights.data)
    at = field_offset(model, weights, "name")
    assert raw[at : at + len(weights.name)].decode() == weights.name
    at = field_offset(model, weights, "shape")
    assert list(memoryview(raw[at : at + 4 * len(weights.shape)]).cast("i")) == weights.shape
    at = field_offset(model, weights.quantization, "scale")
    count = len(weights.quantization.scale)
    assert list(memoryview(raw[at : at + 4 * count]).cast("f")) == list(weights.quantization.scale)
    at = field_offset(model, weights, "type")
    assert raw[at] == int(weights.type)
    assert field_offset(model, weights, "shape_signature") is None
    assert table_offset(model, weights) is not None


def test_new_bytes_have_no_offset_yet() -> None:
    model = written(layer())
    weights = part(model, "weights")
    weights.set_values(weights.values())
    assert data_offset(model, weights.buffer) is None
    assert field_offset(layer(), part(layer(), "weights"), "name") is None


def test_spans() -> None:
    assert merged([(5, 9), (0, 2), (2, 3), (6, 7)]) == [(0, 3), (5, 9)]
    assert total(merged([(5, 9), (0, 2), (2, 3), (6, 7)])) == 7
    assert merged([]) == []
