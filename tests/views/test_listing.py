"""Rows of a model's parts, and which of them fit a filter."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests.builders import chain, layer, lstm, node, part, two_subgraphs, written
from tests.views import models
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.views import listing
from tflite_surgeon.views.filters import Filter, rows
from tflite_surgeon.views.versions import LITERT, TFLITE, recorded_version, support


def test_a_tensor_row_says_what_the_file_says() -> None:
    model = written(layer(per_channel=True))
    tensors = model.subgraphs[0].tensors
    for row, tensor in zip(listing.list_tensors(model), tensors):
        assert (row.subgraph, tensors[row.number]) == (0, tensor)
        assert (row.name, row.dtype, list(row.shape)) == (tensor.name, tensor.type.name.lower(), tensor.shape)
        assert list(row.scale) == list(tensor.quantization.scale)
        assert list(row.zero_point) == list(tensor.quantization.zero_point)
        assert model.buffers[row.buffer] is tensor.buffer
        assert row.stored_bytes == len(tensor.data or b"")


def test_users_of_a_tensor_are_told() -> None:
    found = {row.name: (list(row.made_by), list(row.read_by)) for row in listing.list_tensors(models.mixed())}
    assert found["integers"] == ([0], [1])
    assert found["input"] == ([], [0])
    assert found["output"] == ([2], [])


def test_an_operator_row_names_tensors_and_options() -> None:
    model = models.mixed()
    first, _, last = listing.list_operators(model)
    assert (first.type, first.version, first.macs) == ("FULLY_CONNECTED", 4, models.UNITS * models.DEPTH)
    assert (first.inputs, first.outputs) == ([0, 1, None], [2])
    assert (last.dtype, list(last.shape), last.options["beta"]) == ("float32", [1, 3], 1.0)
    (recurrent,) = listing.list_operators(lstm())
    assert len(recurrent.intermediates) == 5
    assert recurrent.options["fused_activation_function"] == "TANH"


def test_broken_references_keep_their_numbers() -> None:
    model = layer()
    operator = node(model)
    operator.inputs[1] = ts.BadReference(77)
    operator.opcode = ts.BadReference(9)
    model.subgraphs[0].tensors[0].buffer = ts.BadReference(1234)
    (row,) = listing.list_operators(model)
    assert (row.inputs[1], row.opcode, row.version) == (77, 9, None)
    assert listing.list_tensors(model)[0].buffer == 1234
    assert len(listing.list_buffers(model)) == len(model.buffers)


def test_custom_options_are_decoded_or_shown_as_bytes() -> None:
    model = layer()
    code = ts.OperatorCode(builtin_code=enum_class("BuiltinOperator")["CUSTOM"], deprecated_builtin_code=32)
    code.custom_code = "Mine"
    node(model).opcode = code
    model.operator_codes = [code]
    node(model).builtin_options = None
    node(model).custom_options = b"\xff\xfe\xfd"
    (row,) = listing.list_operators(model)
    assert (row.type, row.options) == ("Mine", {"bytes": 3, "hex": "fffefd"})
    from flatbuffers import flexbuffers

    node(model).custom_options = bytes(flexbuffers.Dumps({"size": 3, "names": ["a", "b"], "x": 0.5}))
    (row,) = listing.list_operators(model)
    assert row.options == {"size": 3, "names": ["a", "b"], "x": 0.5}


def test_buffers_are_told_by_what_holds_them() -> None:
    model = layer()
    model.buffers.append(ts.Buffer(b"unused"))
    model.metadata = [ts.Metadata(name="note", buffer=ts.Buffer(b"hello\0\0"))]
    model.buffers.append(model.metadata[0].buffer)
    found = listing.list_buffers(model)
    kinds = {row.number: row.kind for row in found}
    assert [kinds[number] for number in range(5)] == ["empty", "weights", "bias", "unused", "metadata"]
    assert found[1].tensors == [(0, 1)]
    assert found[4].metadata == [0]
    (entry,) = listing.list_metadata(model)
    assert (entry.name, entry.buffer, entry.bytes, entry.text) == ("note", 4, 7, "hello")


def test_signatures_name_tensors() -> None:
    first, second = listing.list_signatures(layer())
    assert (first.key, first.direction, first.name, first.tensor) == ("serving_default", "input", "input", 0)
    assert (second.direction, second.tensor_name, second.dtype) == ("output", "output", "int8")


def code(name: str, version: int) -> ts.OperatorCode:
    return ts.OperatorCode(builtin_code=enum_class("BuiltinOperator")[name], version=version)


@pytest.mark.parametrize(
    ("found", "oldest"),
    [
        (code("FULLY_CONNECTED", 10), TFLITE),
        (code("FULLY_CONNECTED", 11), LITERT),
        (code("FULLY_CONNECTED", 99), None),
        (code("BROADCAST_TO", 1), None),  # Its first version is 2.
        (code("STABLEHLO_COMPOSITE", 1), LITERT),
        (ts.OperatorCode(builtin_code=32, deprecated_builtin_code=32, custom_code="FlexErf"), None),
    ],
)
def test_the_oldest_runtime_of_a_version(found: ts.OperatorCode, oldest: str | None) -> None:
    assert support(found).oldest == oldest


def test_the_recorded_version_is_read_without_its_padding() -> None:
    model = layer()
    assert recorded_version(model) is None
    model.metadata = [ts.Metadata(name="min_runtime_version", buffer=ts.Buffer(b"2.3.0".ljust(16, b"\0")))]
    assert recorded_version(model) == "2.3.0"
    model.metadata[0].buffer = ts.Buffer(bytes(16))
    assert recorded_version(model) is None
    model.metadata[0].buffer = ts.BadReference(7)
    assert recorded_version(model) is None


def names(model: ts.Model, what: str, **wanted: str) -> list[object]:
    return [getattr(row, "name", None) or getattr(row, "number", None) for row in rows(model, what, Filter(**wanted))]


def test_filters() -> None:
    model = models.mixed()
    assert names(model, "tensors", name="INTE") == ["integers"]
    assert names(model, "tensors", name="*s") == ["weights", "integers", "reals"]
    assert names(model, "tensors", type="FLOAT32") == ["reals", "output"]
    assert names(model, "tensors", operator="softmax") == ["reals", "output"]
    assert names(model, "tensors", operator="SOFT") == []
    assert names(model, "tensors", operator="*quantize", type="int8") == ["integers"]
    assert [row.type for row in rows(model, "operators", Filter(type="int8"))] == ["FULLY_CONNECTED", "DEQUANTIZE"]
    assert [row.type for row in rows(model, "operators", Filter(name="real"))] == ["DEQUANTIZE"]
    assert [row.type for row in rows(model, "opcodes", Filter(operator="S*"))] == ["SOFTMAX"]
    assert [row.kind for row in rows(model, "buffers", Filter(operator="FULLY_CONNECTED"))] == ["empty", "weights"]
    assert [row.name for row in rows(model, "signatures", Filter(type="float32"))] == ["output"]


def test_brackets_in_a_name_are_themselves() -> None:
    model = layer()
    part(model, "input").name = "a[0]"
    assert names(model, "tensors", name="a[0]*") == ["a[0]"]


def test_filters_that_mean_nothing_are_refused() -> None:
    with pytest.raises(SurgeonError, match=r"there is no element type 'int9'; known are .*int8"):
        rows(layer(), "tensors", Filter(type="int9"))
    with pytest.raises(SurgeonError, match="--type does not apply to --metadata, but to --tensors"):
        rows(layer(), "metadata", Filter(type="int8"))


def test_subgraphs_are_counted() -> None:
    model = two_subgraphs(chain(2), layer())
    assert {(row.subgraph, row.number) for row in listing.list_operators(model)} == {(0, 0), (0, 1), (1, 0)}


@pytest.mark.parametrize("what", ["tensors", "operators", "buffers", "opcodes", "signatures", "metadata"])
def test_an_empty_model_has_no_rows(what: str) -> None:
    assert rows(ts.Model(), what, Filter()) == []
    assert rows(ts.Model(subgraphs=[ts.SubGraph()]), what, Filter()) == []
