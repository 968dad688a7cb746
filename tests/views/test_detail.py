"""One node or tensor in full."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.builders import Net, chain, layer, node, part, real, two_subgraphs, written
from tests.views import models
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.views.detail import NodePart, TensorPart, find_part
from tflite_surgeon.views.statistics import statistics


def tensor_found(model: ts.Model, target: str) -> TensorPart:
    found = find_part(model, target)
    assert isinstance(found, TensorPart)
    return found


def node_found(model: ts.Model, target: str) -> NodePart:
    found = find_part(model, target)
    assert isinstance(found, NodePart)
    return found


@pytest.mark.parametrize("target", ["t1", "0:t1", "weights", "eights", "subgraphs[0].tensors[1]"])
def test_a_tensor_is_found_by_number_name_and_path(target: str) -> None:
    assert tensor_found(models.mixed(), target).tensor.name == "weights"


@pytest.mark.parametrize("target", ["2", "0:2", "subgraphs[0].operators[2]"])
def test_a_node_is_found_by_number_and_path(target: str) -> None:
    assert node_found(models.mixed(), target).operator.type == "SOFTMAX"


def test_parts_of_other_subgraphs_are_found() -> None:
    model = two_subgraphs(chain(2), layer("CONV_2D"))
    assert node_found(model, "1:0").operator.type == "CONV_2D"
    assert tensor_found(model, "1:t0").tensor.subgraph == 1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("9", r"there is no node 9 in subgraph 0: it has 3"),
        ("t9", r"there is no tensor 9 in subgraph 0: it has 5"),
        ("4:0", r"there is no subgraph 4: the model has 1"),
        ("nothing", r"no tensor has 'nothing' in its name, and it is no node number"),
        ("int", r"no tensor has|2 tensors"),
        ("put", r"2 tensors have 'put' in their name: t0 'input', t4 'output'. Give the number"),
    ],
)
def test_what_is_not_there_is_said(target: str, message: str) -> None:
    if target == "int":
        assert tensor_found(models.mixed(), target).tensor.name == "integers"
        return
    with pytest.raises(SurgeonError, match=message):
        find_part(models.mixed(), target)


def test_a_whole_name_goes_before_parts_of_others() -> None:
    model = models.mixed()
    model.subgraphs[0].tensors[2].name = "input_2"
    assert tensor_found(model, "input").tensor.number == 0


def test_a_node_has_its_neighbours_and_roles() -> None:
    found = node_found(models.mixed(), "1")
    assert [(item.operator, item.type, item.tensor, item.role) for item in found.before] == [
        (0, "FULLY_CONNECTED", 2, "output")
    ]
    assert [(item.operator, item.type, item.tensor_name) for item in found.after] == [(2, "SOFTMAX", "reals")]
    first = node_found(models.mixed(), "0")
    assert [(item.role, item.tensor and item.tensor.name) for item in first.inputs] == [
        ("input", "input"),
        ("weights", "weights"),
        ("bias", None),
    ]
    assert first.support is not None
    assert first.support.tflm


def test_a_broken_reference_is_shown_with_its_number() -> None:
    model = layer()
    node(model).inputs[1] = ts.BadReference(50)
    found = node_found(model, "0")
    assert [item.missing for item in found.inputs] == [None, 50, None]
    node(model).opcode = ts.BadReference(3)
    assert node_found(model, "0").support is None


def test_a_tensor_has_its_readers_and_those_that_share_its_buffer() -> None:
    model = chain(2)
    first, second = model.subgraphs[0].operators
    second.role("weights").buffer = first.role("weights").buffer
    found = tensor_found(model, "0:t1")
    assert [(item.operator, item.role) for item in found.read_by] == [(0, "weights")]
    (other,) = found.shared_with
    assert model.subgraphs[0].tensors[other[1]] is second.role("weights")


def test_offsets_are_those_of_the_file() -> None:
    model = written(layer())
    found = tensor_found(model, "weights")
    raw = model.source.raw
    at = found.offsets["data"]
    assert raw[at : at + found.tensor.stored_bytes] == bytes(part(model, "weights").data)
    at = found.offsets["name"]
    assert raw[at : at + 7] == b"weights"
    at = node_found(model, "0").offsets["inputs"]
    assert list(memoryview(raw[at : at + 12]).cast("i")) == [0, 1, 2]
    assert tensor_found(layer(), "weights").offsets == {}


def test_statistics_of_integers() -> None:
    weights = part(layer(per_channel=True), "weights")
    values, reals = weights.values(), real(weights)
    found = statistics(weights)
    assert (found.count, found.sample) == (values.size, values.reshape(-1)[:8].tolist())
    assert (found.min, found.max) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean())
    assert found.std == pytest.approx(values.std())
    assert (found.real_min, found.real_max) == (pytest.approx(reals.min()), pytest.approx(reals.max()))
    assert found.zeros == int((values == 0).sum())
    assert found.at_limits == int((values == 127).sum() + (values == -128).sum()) >= 1
    assert sum(found.counts or ()) == values.size
    assert (found.edges or [None])[0] == values.min()


def constant(kind: str, values: np.ndarray) -> ts.Tensor:
    return ts.Tensor(
        name="constant",
        type=enum_class("TensorType")[kind],
        shape=list(values.shape),
        buffer=ts.Buffer(values.tobytes()),
    )


def test_statistics_leave_out_what_is_no_number() -> None:
    found = statistics(constant("FLOAT32", np.array([1, np.nan, -np.inf, 3, 0], "<f4")))
    assert (found.min, found.max, found.not_finite, found.zeros, found.count) == (0.0, 3.0, 2, 1, 5)
    assert sum(found.counts or ()) == 3
    nothing = statistics(constant("FLOAT32", np.array([np.nan], "<f4")))
    assert (nothing.min, nothing.counts, nothing.not_finite) == (None, None, 1)


def test_statistics_of_equal_values_and_of_none() -> None:
    assert statistics(constant("INT32", np.array([7, 7], "<i4"))).counts is None
    assert statistics(constant("BOOL", np.array([True, False, True]))).mean == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.7e308, -1.7e308]),
        np.array([1e308, 1e308]),
        np.array([1, np.nextafter(1, 2)]),
        np.array([2**64 - 1, 0], "<u8"),
        np.array([2**63 - 1, -(2**63)]),
        np.array([1 + 2j], "<c8"),
    ],
)
def test_extreme_values_are_no_trouble(values: np.ndarray) -> None:
    kind = {"f": "FLOAT64", "u": "UINT64", "i": "INT64", "c": "COMPLEX64"}[values.dtype.kind]
    found = statistics(constant(kind, values))
    assert found.count == values.size
    if kind != "COMPLEX64":
        assert (found.min, found.max) == (values.min().item(), values.max().item())


def test_a_constant_without_elements_has_no_values() -> None:
    model = layer()
    weights = part(model, "weights")
    weights.shape, weights.buffer = [0, 3], ts.Buffer(b"")
    model.buffers.append(weights.buffer)
    found = tensor_found(model, "weights")
    assert (found.values, found.unread, found.elements) == (None, None, 0)


def test_histogram_counts_like_a_loop() -> None:
    values = np.arange(160, dtype="<f4")
    found = statistics(constant("FLOAT32", values))
    assert found.counts == [10] * 16


def test_a_constant_that_cannot_be_read_says_why() -> None:
    model = layer()
    part(model, "weights").shape = [3, 999]
    found = tensor_found(model, "weights")
    assert found.values is None
    assert found.unread is not None
    assert "takes 2997 bytes" in found.unread


def test_strings_are_shown() -> None:
    net = Net()
    source = net.tensor("words", [2], "INT8")
    source.type = enum_class("TensorType")["STRING"]
    source.buffer = ts.Buffer()
    source.set_values(np.array([b"cat", b"\xff"], object))
    net.buffers.append(source.buffer)
    found = tensor_found(net.model([], []), "words")
    assert found.values is not None
    assert found.values.sample == ["cat", "\udcff"]
