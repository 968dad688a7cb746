"""Bytes, implied ranges and kinds of tensors, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.builders import Net, layer, lstm, part, svdf
from tests.views import models
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.views import tensors
from tflite_surgeon.views.tensors import Kinds


def tensor(kind: str, shape: list[int] | None, signature: list[int] | None = None, **fields: object) -> ts.Tensor:
    return ts.Tensor(
        type=enum_class("TensorType")[kind], shape=shape, shape_signature=signature, buffer=ts.Buffer(), **fields
    )


@pytest.mark.parametrize(
    ("found", "always", "with_shape"),
    [
        (tensor("FLOAT32", [1, 100, 100, 3]), 120000, 120000),
        (tensor("INT4", [3, 3]), 5, 5),
        (tensor("INT2", [5]), 2, 2),
        (tensor("FLOAT32", []), 4, 4),
        (tensor("FLOAT32", None), 4, 4),
        (tensor("COMPLEX128", [2]), 32, 32),
        (tensor("INT8", [0, 7]), 0, 0),
        (tensor("INT8", [1, 7], [-1, 7]), None, 7),
        (tensor("INT8", [-1, 7]), None, None),
        (tensor("STRING", [2]), None, None),
        (tensor("RESOURCE", []), None, None),
    ],
)
def test_bytes(found: ts.Tensor, always: int | None, with_shape: int | None) -> None:
    assert tensors.byte_size(found) == always
    assert tensors.bytes_of_shape(found) == with_shape


def test_sizes_of_elements_are_those_of_numpy() -> None:
    for name, bits in tensors.ELEMENT_BITS.items():
        if hasattr(np, name.lower()):
            assert np.dtype(name.lower()).itemsize * 8 == bits


def test_a_type_newer_than_the_schema_has_no_size_and_keeps_its_number() -> None:
    newer = tensor("INT8", [4])
    newer.type = 99
    assert (tensors.byte_size(newer), tensors.dtype(newer)) == (None, "type 99")


def test_implied_range_covers_every_scale() -> None:
    quantization = ts.QuantizationParameters(scale=[0.5, 2.0], zero_point=[0, 3])
    found = tensor("INT8", [2, 2], quantization=quantization)
    assert tensors.implied_ranges(found) == [(-64.0, 63.5), (-262.0, 248.0)]
    assert tensors.implied_range(found) == (-262.0, 248.0)
    quantization.zero_point = None
    assert tensors.implied_ranges(found) == [(-64.0, 63.5), (-256.0, 254.0)]
    quantization.zero_point = [1]
    assert tensors.zero_points(found) == [1, 1]
    assert tensors.implied_range(tensor("FLOAT32", [1])) is None


def test_kinds_of_a_layer() -> None:
    model = layer()
    kinds = Kinds(model)
    roles = {role: kinds.of(part(model, role)) for role in ("input", "weights", "bias", "output")}
    assert roles == {"input": "input", "weights": "weights", "bias": "bias", "output": "output"}


def test_weights_are_weights_before_they_are_unpacked() -> None:
    model = models.unpacked("FLOAT16")
    kinds = Kinds(model)
    assert {t.name: kinds.of(t) for t in model.subgraphs[0].tensors} == {
        "input": "input",
        "weights": "weights",
        "unpacked": "activation",
        "output": "output",
    }


@pytest.mark.parametrize("model", [svdf(), lstm(layer_norm=True)])
def test_state_is_variable_and_gates_have_weights_and_biases(model: ts.Model) -> None:
    kinds = Kinds(model)
    for found in model.subgraphs[0].tensors:
        expected = "bias" if "bias" in found.name else "weights" if "weights" in found.name else None
        expected = "weights" if "layer_norm" in found.name else expected
        expected = "variable" if "state" in found.name else expected
        if expected is not None:
            assert kinds.of(found) == expected, found.name


def test_a_shape_is_no_weights() -> None:
    net = Net()
    source = net.tensor("input", [2, 2], "FLOAT32")
    shape = net.tensor("shape", [1], "INT32", values=[4])
    result = net.tensor("output", [4], "FLOAT32")
    net.operator("RESHAPE", 1, [source, shape], [result], "ReshapeOptions")
    assert Kinds(net.model([source], [result])).of(shape) == "constant"
