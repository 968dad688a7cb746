"""Repairs of the file: header, lists, signatures, buffers, sizes, shapes, zero points. Exactly what changes."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import Net, node, part
from tests.conditions.case import NAMES
from tests.edits.expected import edits
from tests.interpreters import same_outputs, session
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

RULES = [
    "file-identifier",
    "schema-version",
    "missing-vector",
    "sentinel-buffer",
    "buffer-offset",
    "buffer-index",
    "constant-size",
    "tensor-shape",
    "variable-with-data",
    "signature",
    "missing-options",
    "custom-options",
    "zero-points-missing",
    "zero-point-count",
    "operator-version",
    "operator-availability",
    "unknown-operator",
]
TYPES = enum_class("TensorType")


def fix(model, rule, **arguments):
    return ts.fix(model, [rule], targets=NAMES, lossy=True, **arguments)


def number(model, role):
    return model.subgraphs[0].tensors.index(part(model, role))


def bytes_at(data: bytes, content: bytes) -> int:
    """Where some content lies, which must be in one place alone."""
    assert data.count(content) == 1
    return data.index(content)


@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_sound_models_are_left_alone(operator):
    for model in (builders.layer(operator), builders.layer(operator, per_channel=True), builders.svdf()):
        assert fix_all(model) == ()
        assert fix_all(ts.loads(ts.dumps(model))) == ()


def fix_all(model):
    return ts.fix(model, RULES, undecided="values", targets=NAMES, lossy=True).plan.edits


# The header


def test_identifier_and_version():
    model = builders.layer()
    model.identifier, model.version = b"TFL9", 4
    assert edits(fix(model, "file-identifier")) == {"identifier": (b"TFL9", b"TFL3")}
    assert edits(fix(model, "schema-version")) == {"version": (4, 3)}


def test_what_is_no_model_gets_no_header():
    for rule, attribute, value in (("file-identifier", "identifier", b"ABCD"), ("schema-version", "version", 7)):
        model = ts.Model(version=3, subgraphs=[ts.SubGraph()], buffers=[ts.Buffer()])
        setattr(model, attribute, value)
        outcome = fix(model, rule)
        assert outcome.plan.edits == ()
        assert "no" in outcome.left[0].refused.reason


def test_a_list_of_buffers_where_nobody_needs_bytes():
    net = Net()
    source, result = net.tensor("input", [4], "FLOAT32"), net.tensor("output", [4], "FLOAT32")
    net.operator("ABS", 1, [source], [result])
    model = net.model([source], [result])
    model.buffers = None
    for tensor in (source, result):
        tensor.buffer = ts.BadReference(0)
    fixed = fix(model, "missing-vector").model
    assert [buffer.data for buffer in fixed.buffers] == [None]
    assert {id(tensor.buffer) for tensor in fixed.subgraphs[0].tensors} == {id(fixed.buffers[0])}


# Signatures


def test_a_signature_without_a_name():
    model = builders.layer()
    model.signature_defs[0].signature_key = None
    assert edits(fix(model, "signature")) == {"signature_defs[0].signature_key": (None, "serving_default")}


def test_an_entry_that_leads_nowhere_is_the_one_that_no_other_names():
    model = builders.layer()
    model.signature_defs[0].outputs[0].tensor = ts.BadReference(50)
    fixed = fix(model, "signature").model
    assert fixed.signature_defs[0].outputs[0].tensor is fixed.subgraphs[0].outputs[0]


def test_a_signature_of_a_lost_subgraph_goes_where_it_cannot_be_told():
    model = builders.two_subgraphs(builders.layer(), builders.layer())
    model.signature_defs[0].subgraph = ts.BadReference(9)
    for entry in (*model.signature_defs[0].inputs, *model.signature_defs[0].outputs):
        entry.tensor = ts.BadReference(77)
    count = len(model.signature_defs)
    outcome = fix(model, "signature")
    assert len(outcome.model.signature_defs) == count - 1
    assert outcome.repairs[0].done.warnings


@pytest.mark.reality
def test_a_repaired_signature_can_be_called():
    model = builders.layer()
    sound = session("litert-no-delegate").run(ts.dumps(model), seed=0)
    model.signature_defs[0].signature_key = None
    model.signature_defs[0].inputs[0].tensor = ts.BadReference(77)
    fixed = session("litert-no-delegate").run(ts.dumps(fix(model, "signature").model), seed=0)
    assert same_outputs(sound, fixed)


# Buffers


def test_an_empty_buffer_comes_first_and_constants_keep_their_bytes():
    model = builders.layer()
    weights = part(model, "weights")
    first, data = model.buffers[0], weights.data
    first.data = bytes(data)
    weights.buffer = first
    fixed = fix(model, "sentinel-buffer").model
    assert len(fixed.buffers) == len(model.buffers) + 1
    assert fixed.buffers[0].data is None
    assert part(fixed, "weights").data == data
    assert part(fixed, "input").buffer is part(fixed, "output").buffer is fixed.buffers[0]


def test_bytes_of_nobody_leave_buffer_0():
    model = builders.layer()
    model.buffers[0].data = b"nobody's bytes"
    outcome = fix(model, "sentinel-buffer")
    assert edits(outcome) == {"buffers[0].data": (b"nobody's bytes", None)}
    assert "14 bytes" in outcome.repairs[0].done.warnings[0]


def test_outside_bytes_move_in():
    model = builders.layer()
    part(model, "weights").buffer.outside = True
    read = ts.loads(ts.dumps(model))
    fixed = fix(read, "buffer-offset").model
    again = ts.loads(ts.dumps(fixed))
    assert not any(buffer.outside for buffer in again.buffers)
    assert part(again, "weights").data == part(model, "weights").data


def test_a_lost_constant_is_the_buffer_that_nobody_names():
    model = builders.layer()
    weights = part(model, "weights")
    buffer = weights.buffer
    weights.buffer = ts.BadReference(99)
    fixed = fix(model, "buffer-index").model
    assert part(fixed, "weights").data == buffer.data
    model.buffers.append(ts.Buffer(bytes(len(buffer.data))))
    outcome = fix(model, "buffer-index")
    assert outcome.plan.edits == ()
    assert "no single buffer" in outcome.left[0].refused.reason


def test_a_constant_of_the_empty_buffer_finds_its_own():
    model = builders.layer()
    weights = part(model, "weights")
    data, weights.buffer = weights.data, model.buffers[0]
    fixed = fix(model, "missing-data").model
    assert part(fixed, "weights").data == data


def test_what_is_computed_needs_no_buffer():
    model = builders.layer()
    part(model, "output").buffer = ts.BadReference(99)
    fixed = fix(model, "buffer-index").model
    assert part(fixed, "output").buffer is fixed.buffers[0]


def test_a_variable_is_no_constant():
    model = builders.svdf()
    state = part(model, "state")
    state.buffer = ts.Buffer(bytes(int(np.prod(state.shape)) * (2 if state.type_name == "INT16" else 1)))
    model.buffers.append(state.buffer)
    fixed = fix(model, "variable-with-data").model
    assert part(fixed, "state").is_variable
    assert part(fixed, "state").buffer is fixed.buffers[0]
    model = builders.layer()
    weights = number(model, "weights")
    part(model, "weights").is_variable = True
    assert edits(fix(model, "variable-with-data")) == {f"subgraphs[0].tensors[{weights}].is_variable": (True, False)}


# Sizes of constants


def cut(model: ts.Model, role: str, size: int) -> ts.Model:
    """The model as read from a file in which the length of a constant is another one."""
    data = bytearray(ts.dumps(model))
    content = bytes(part(model, role).data)
    at = bytes_at(bytes(data), len(content).to_bytes(4, "little") + content)
    data[at : at + 4] = size.to_bytes(4, "little")
    return ts.loads(bytes(data))


@pytest.mark.parametrize("size", [0, 1, 16, 44])
def test_a_length_that_is_too_small(size):
    model = builders.layer("CONV_2D")
    damaged = cut(model, "weights", size)
    assert len(part(damaged, "weights").buffer.data) == size
    fixed = fix(damaged, "constant-size").model
    assert part(fixed, "weights").data == part(model, "weights").data
    assert ts.dumps(fixed) == ts.dumps(ts.loads(ts.dumps(model)))


def test_a_length_that_reaches_over_others():
    model = builders.layer("CONV_2D")
    size = len(part(model, "weights").data)
    fixed = fix(cut(model, "weights", size + 20), "constant-size").model
    assert part(fixed, "weights").data == part(model, "weights").data


def test_bytes_that_are_not_in_the_file():
    model = builders.layer()
    part(model, "weights").buffer.data = bytes(4)
    for damaged in (model, ts.loads(ts.dumps(model))):
        outcome = fix(damaged, "constant-size")
        assert outcome.plan.edits == ()
        assert "4 bytes" in outcome.left[0].refused.reason


def test_a_surplus_is_cut_off_and_told():
    model = builders.layer()
    bias = part(model, "bias")
    data = bias.data
    for rest, warned in ((bytes(4), 0), (b"\1\2\3\4", 1)):
        bias.buffer.data = data + rest
        outcome = fix(model, "constant-size")
        buffer = model.buffers.index(bias.buffer)
        assert edits(outcome) == {f"buffers[{buffer}].data": (data + rest, data)}
        assert len(outcome.repairs[0].done.warnings) == warned


def test_a_type_that_the_bytes_do_not_fill():
    model = builders.layer("CONV_2D")
    weights = part(model, "weights")
    weights.type = TYPES["INT16"]
    place = f"subgraphs[0].tensors[{number(model, 'weights')}]"
    assert edits(fix(model, "constant-size")) == {f"{place}.type": (TYPES["INT16"], TYPES["INT8"])}


@pytest.mark.parametrize("channels", [3, 5, 1 << 30])
def test_a_shape_that_the_bytes_do_not_fill(channels):
    model = builders.layer("CONV_2D")
    bias = part(model, "bias")
    bias.shape = [channels]
    place = f"subgraphs[0].tensors[{number(model, 'bias')}].shape"
    assert edits(fix(model, "constant-size")) == {place: ([channels], [4])}


def test_a_constant_that_names_the_bytes_of_another():
    model = builders.layer("CONV_2D")
    data = part(model, "bias").data
    part(model, "bias").buffer = part(model, "weights").buffer
    fixed = fix(model, "constant-size").model
    assert part(fixed, "bias").data == data


def test_others_who_share_the_bytes_keep_them():
    model = builders.one_input(2, shared_weights=True)
    weights = part(model, "weights")
    copy = ts.Tensor(
        name="longer",
        shape=[len(weights.data) + 4],
        type=TYPES["INT8"],
        buffer=weights.buffer,
        quantization=weights.quantization,
    )
    model.subgraphs[0].tensors.append(copy)
    model.subgraphs[0].outputs.append(copy)
    data = weights.data
    weights.buffer.data = data + bytes(4)
    fixed = fix(model, "constant-size").model
    assert part(fixed, "weights").data == data
    assert fixed.subgraphs[0].tensors[-1].data == data + bytes(4)


# Shapes


def test_an_open_dimension_belongs_into_the_signature():
    model = builders.layer()
    part(model, "input").shape = [-1, 3]
    place = f"subgraphs[0].tensors[{number(model, 'input')}]"
    assert edits(fix(model, "tensor-shape")) == {
        f"{place}.shape": ([-1, 3], [2, 3]),
        f"{place}.shape_signature": (None, [-1, 3]),
    }
    part(model, "input").shape_signature = [2, 3]
    assert edits(fix(model, "tensor-shape")) == {f"{place}.shape": ([-1, 3], [2, 3])}


@pytest.mark.parametrize("dimension", [-1, -5, -(1 << 31)])
def test_a_constant_has_the_shape_that_it_fills(dimension):
    model = builders.layer()
    part(model, "weights").shape = [dimension, 3]
    place = f"subgraphs[0].tensors[{number(model, 'weights')}].shape"
    assert edits(fix(model, "tensor-shape")) == {place: ([dimension, 3], [4, 3])}


def test_what_is_computed_has_the_shape_that_its_kernel_makes():
    model = builders.layer("CONV_2D")
    part(model, "output").shape = [1, -3, 1 << 30, 1 << 30]
    place = f"subgraphs[0].tensors[{number(model, 'output')}].shape"
    assert edits(fix(model, "tensor-shape")) == {place: ([1, -3, 1 << 30, 1 << 30], [1, 3, 3, 4])}


def test_an_input_of_no_shape():
    model = builders.layer()
    part(model, "input").shape = [-7, 3]
    outcome = fix(model, "tensor-shape")
    assert outcome.plan.edits == ()
    assert "[-7, 3]" in outcome.left[0].refused.reason


# Zero points


def test_zero_points_by_range():
    model = builders.layer()
    quantization = part(model, "input").quantization
    scale, point = quantization.scale[0], quantization.zero_point[0]
    quantization.min, quantization.max = [scale * (-128 - point)], [scale * (127 - point)]
    quantization.zero_point = None
    place = f"subgraphs[0].tensors[{number(model, 'input')}].quantization.zero_point"
    assert edits(fix(model, "zero-points-missing")) == {place: (None, [point])}


def test_zero_points_that_nothing_tells_are_open():
    model = builders.layer()
    part(model, "input").quantization.zero_point = None
    left = fix(model, "zero-points-missing").left
    assert left[0].refused.is_open
    place = f"subgraphs[0].tensors[{number(model, 'input')}].quantization.zero_point"
    for arguments in ({"keep": "values"}, {"undecided": "values"}):
        outcome = fix(model, "zero-points-missing", **arguments)
        assert edits(outcome) == {place: (None, [0])}
        assert outcome.repairs[0].done.warnings


@pytest.mark.parametrize("role", ["weights", "bias"])
def test_zero_points_of_constants_are_0(role):
    model = builders.layer(per_channel=True)
    part(model, role).quantization.zero_point = None
    place = f"subgraphs[0].tensors[{number(model, role)}].quantization.zero_point"
    assert edits(fix(model, "zero-points-missing")) == {place: (None, [0] * 4)}


def test_as_many_zero_points_as_scales():
    model = builders.layer(per_channel=True)
    quantization = part(model, "weights").quantization
    place = f"subgraphs[0].tensors[{number(model, 'weights')}].quantization.zero_point"
    for points in ([0], [0] * 3, [0] * 9):
        quantization.zero_point = points
        assert edits(fix(model, "zero-point-count")) == {place: (points, [0] * 4)}
    quantization.zero_point = [0, 1, 2]
    assert fix(model, "zero-point-count").plan.edits == ()


def test_missing_scales_from_the_bias():
    model = builders.layer(per_channel=True)
    quantization = part(model, "weights").quantization
    scales = list(quantization.scale)
    quantization.scale = scales[:2]
    fixed = fix(model, "zero-point-count").model
    found = part(fixed, "weights").quantization.scale
    assert found[:2] == scales[:2]
    assert found == pytest.approx(scales, rel=1e-6)
    part(model, "bias").quantization.scale = part(model, "bias").quantization.scale[:1]
    part(model, "bias").quantization.zero_point = [0]
    assert fix(model, "zero-point-count").plan.edits == ()


# Options


def test_options_of_another_operator():
    model = builders.layer()
    node(model).builtin_options = table_class("AddOptions")()
    fixed = fix(model, "missing-options").model
    assert node(fixed).builtin_options.table == "FullyConnectedOptions"


def test_options_tell_which_operator_was_meant():
    net = Net()
    source, middle, result = (net.tensor(name, [1, 4, 4, 2], "FLOAT32") for name in ("input", "middle", "output"))
    other = net.tensor("other", [1, 4, 4, 2], "FLOAT32", values=np.ones((1, 4, 4, 2)))
    net.operator("ADD", 1, [source, other], [middle], "AddOptions")
    net.operator("ADD", 1, [middle, other], [result], "AddOptions")
    net.operator("CONCATENATION", 1, [], [], "ConcatenationOptions")
    model = net.model([source], [result])
    model.subgraphs[0].operators[1].opcode = model.subgraphs[0].operators.pop().opcode
    fixed = fix(model, "missing-options").model
    assert [operator.name for operator in fixed.subgraphs[0].operators] == ["ADD", "ADD"]


def test_carried_options_are_a_reading():
    model = builders.layer()
    node(model).builtin_options = table_class("AddOptions")(fused_activation_function=1)
    assert fix(model, "missing-options").left[0].refused.is_open
    for keep, activation in (("values", 1), ("integers", 0)):
        fixed = fix(model, "missing-options", keep=keep).model
        assert int(node(fixed).builtin_options.fused_activation_function) == activation


def test_custom_options_of_a_builtin_operator():
    model = builders.layer()
    node(model).custom_options = b"more"
    assert edits(fix(model, "custom-options")) == {"subgraphs[0].operators[0].custom_options": (b"more", None)}


# Odd models


@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D"])
def test_odd_models_are_never_an_error(operator):
    odd_values = {
        "shape": (None, [], [-1], [0], [(1 << 31) - 1, -(1 << 31)], [(1 << 31) - 1] * 3),
        "type": (99, TYPES["STRING"], TYPES["INT2"], TYPES["FLOAT32"]),
        "buffer": (ts.BadReference(0), ts.BadReference(-1), ts.Buffer(b"")),
        "quantization": (
            None,
            ts.QuantizationParameters(),
            ts.QuantizationParameters(scale=[float("nan")]),
            ts.QuantizationParameters(scale=[], zero_point=[1]),
            ts.QuantizationParameters(scale=[0.0, 1.0], zero_point=[0, 1, 2], quantized_dimension=-1),
            ts.QuantizationParameters(scale=[1.0]),
            ts.QuantizationParameters(scale=[1.0], min=[float("inf")], max=[0.0]),
            ts.QuantizationParameters(scale=[0.005], zero_point=[0] * 3, min=[float("inf")], max=[0.0]),
        ),
        "is_variable": (True,),
    }
    for role in ("input", "weights", "bias", "output"):
        for attribute, values in odd_values.items():
            for value in values:
                model = builders.layer(operator, per_channel=True)
                if isinstance(value, ts.Buffer):
                    model.buffers.append(value)
                setattr(part(model, role), attribute, value)
                fixed = ts.fix(model, RULES, undecided="values", targets=NAMES, lossy=True).model
                assert fix_all(ts.loads(ts.dumps(fixed))) == ()
