"""Models damaged in several ways at once: nothing but a SurgeonError, nothing left for a second repair, no waste."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.builders import Net, layer, lstm, node, part
from tests.conditions.case import NAMES
from tests.conditions.moving import Given, constant, moved
from tests.conditions.pairs import pair
from tests.conditions.single import Side, single
from tests.edits.expected import edits
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.engine import Outcome
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

_TYPES = enum_class("TensorType")
_ACTIVATIONS = enum_class("ActivationFunctionType")


def fixed(model: ts.Model, **wishes: Any) -> Outcome:
    """Repaired; what comes of it is saved, and a second repair finds nothing to do."""
    given = {"targets": NAMES, "lossy": True, "undecided": "values", **wishes}
    outcome = ts.fix(model, **given)
    again = ts.fix(ts.loads(ts.dumps(outcome.model)), **given)
    assert again.plan.edits == ()
    return outcome


def repaired(outcome: Outcome) -> set[str]:
    return {item.finding.rule for item in outcome.repairs}


def errors(outcome: Outcome) -> set[str]:
    return {finding.rule for finding in outcome.remaining if finding.severity == ts.Severity.ERROR}


# What one repair makes possible for another


def test_what_would_have_done_harm_is_tried_again_behind_what_stood_in_its_way() -> None:
    pool = {"filter_width": 2, "filter_height": 2, "stride_w": 2, "stride_h": 2}
    source = Side("INT8", 0.5, 0, (1, 4, 4, 2))
    model = single(
        "MAX_POOL_2D",
        source,
        Side("INT8", 0.5, 5, (1, 2, 2, 2)),
        "Pool2DOptions",
        version=2,
        fused_activation_function=_ACTIVATIONS["TANH"],
        **pool,
    )
    outcome = fixed(model, targets=["litert", "tflite-2.14", "litert-no-delegate"])
    assert repaired(outcome) == {"fused-activation", "same-quantization"}
    assert errors(outcome) == set()


def test_what_was_refused_in_the_round_of_another_repair_is_tried_again() -> None:
    model = pair("ADD", "INT16", zeros=(127, 0, 0), pot_scale_int16=False, version=2)
    node(model).builtin_options = table_class("Conv2DOptions")()
    outcome = fixed(model, targets=["tflite-2.14", "tflm", "litert-no-delegate"], keep="values")
    assert repaired(outcome) == {"int16-zero-point", "missing-options"}


def test_what_a_repair_has_touched_is_not_settled_by_that() -> None:
    source, result = Given([1, 4, 4, 1]), Given([1, 16])
    model = moved("RESHAPE", [source, constant([1, 16])], [result], "ReshapeOptions")
    stated = node(model).inputs[1]
    assert stated is not None
    stated.buffer.data = stated.buffer.data[:4]
    stated.quantization = ts.QuantizationParameters(scale=[0.1], zero_point=None)
    fixed(model)


# Numbers that no file holds


def test_no_power_of_two_is_made_that_no_float_holds() -> None:
    model = lstm(projection=False)
    part(model, "cell_state").quantization.scale = [3e38]
    outcome = fixed(model)
    assert "power-of-two-scale" not in repaired(outcome)
    assert any("power of two" in item.refused.reason for item in outcome.left)


def test_no_shape_is_stored_that_no_memory_holds() -> None:
    paddings = constant([[0, 0], [2**31 - 1, 1]])
    model = moved("PAD", [Given([1, 80]), paddings], [Given([1, 82])], "PadOptions")
    assert ts.dumps(fixed(model).model) == ts.dumps(model)


def test_an_output_that_was_a_constant_gets_no_shape_that_no_file_holds() -> None:
    paddings = constant([[0, 0], [2**31 - 1, 1]])
    model = moved(
        "PAD", [Given([4, 2], "INT32"), paddings], [Given([4, 4], "INT32", values=[[1] * 4] * 4)], "PadOptions"
    )
    assert "constant-output" in {finding.rule for finding in ts.check(model, NAMES)}
    fixed(model)


def test_no_shape_is_stated_that_no_constant_holds() -> None:
    model = moved("RESHAPE", [Given([2**31 - 1, 3]), constant([2, 3])], [Given([2, 3])], "ReshapeOptions")
    fixed(model, targets=["tflite-2.14", "litert-no-delegate", "tflm"])


# Shapes


def test_an_open_dimension_gets_the_length_that_fits_what_is_stored() -> None:
    model = moved("RESHAPE", [Given([8, -1, 4]), constant([40, 4])], [Given([40, 4])], "ReshapeOptions")
    outcome = fixed(model)
    assert edits(outcome) == {
        "subgraphs[0].tensors[0].shape": ([8, -1, 4], [8, 5, 4]),
        "subgraphs[0].tensors[0].shape_signature": (None, [8, -1, 4]),
    }


def _twice_reshaped(length: int) -> ts.Model:
    """With a node between whose types no kernel takes: until it is repaired, nobody asks what comes behind it."""
    net = Net()
    source = net.tensor("input", [8, length, 4], "FLOAT32")
    rows, scaled = (net.tensor(name, [40, 4], "FLOAT32") for name in ("rows", "scaled"))
    result = net.tensor("output", [8, 5, 2, 2], "FLOAT32")
    factor = net.tensor("factor", [4], "INT32", values=[1, 2, 3, 4])
    shapes = [
        net.tensor(f"shape_{len(shape)}", [len(shape)], "INT32", values=shape) for shape in ([40, 4], [8, 5, 2, 2])
    ]
    net.operator("RESHAPE", 1, [source, shapes[0]], [rows], "ReshapeOptions")
    activation = _ACTIVATIONS["NONE"]
    net.operator("MUL", 1, [rows, factor], [scaled], "MulOptions", fused_activation_function=activation)
    net.operator("RESHAPE", 1, [scaled, shapes[1]], [result], "ReshapeOptions")
    return net.model([source], [result])


def test_a_stored_shape_that_others_go_by_is_not_bent_to_an_input() -> None:
    """Which of the input's dimensions is wrong is not told: 8, 5 and 4 could be others."""
    model = _twice_reshaped(2)
    outcome = fixed(model)
    assert [list(tensor.shape) for tensor in outcome.model.subgraphs[0].tensors] == [
        list(tensor.shape) for tensor in model.subgraphs[0].tensors
    ]


# What stands in the wrong place


def test_a_model_without_buffers_is_left_alone() -> None:
    model = layer()
    model.buffers = None
    for tensor in model.subgraphs[0].tensors:
        tensor.buffer = ts.BadReference(0)
    part(model, "input").type = _TYPES["FLOAT32"]
    outcome = ts.fix(model, targets=NAMES, lossy=True, undecided="values")
    assert outcome.plan.edits == ()


def test_types_are_not_changed_where_tensors_stand_in_for_others() -> None:
    model = layer("TRANSPOSE_CONV")
    model.operator_codes[0].builtin_code = enum_class("BuiltinOperator")["DEPTHWISE_CONV_2D"]
    model.operator_codes[0].deprecated_builtin_code = 4
    before = ts.dumps(model)
    assert ts.dumps(fixed(model, targets=["tflm", "litert"], undecided="leave").model) == before


def test_types_are_not_changed_where_dimensions_are_those_of_another_operator() -> None:
    model = moved("GATHER", [Given([2, 3], "INT8"), constant([0, 1])], [Given([2, 3], "INT8")], "GatherOptions")
    model.operator_codes[0].builtin_code = enum_class("BuiltinOperator")["DEPTHWISE_CONV_2D"]
    model.operator_codes[0].deprecated_builtin_code = 4
    before = ts.dumps(model)
    assert ts.dumps(fixed(model, undecided="leave").model) == before


def test_types_are_not_changed_beside_one_that_is_unknown() -> None:
    model = single("RELU", Side("INT8", 0.5), Side("INT8", 0.5))
    part_of = node(model)
    assert part_of.outputs is not None
    output = part_of.outputs[0]
    assert isinstance(output, ts.Tensor)
    output.type = 99
    outcome = fixed(model)
    assert {"same-type", "operator-types"}.isdisjoint(repaired(outcome))


def test_options_of_another_operator_have_no_type_of_indices() -> None:
    model = moved("ARG_MAX", [Given([2, 3]), constant(1)], [Given([2], "INT64")], "SoftmaxOptions")
    fixed(model)


@pytest.mark.parametrize("keep", ["auto", "values", "integers"])
def test_scales_of_another_number_of_channels(keep: str) -> None:
    """The weights of a CONV_2D under another operator, which counts channels along another dimension."""
    model = layer("CONV_2D", per_channel=True)
    model.operator_codes[0].builtin_code = enum_class("BuiltinOperator")["DEPTHWISE_CONV_2D"]
    model.operator_codes[0].deprecated_builtin_code = 4
    bias = part(model, "bias")
    bias.quantization.zero_point = [-128] * len(bias.quantization.scale)
    part(model, "output").quantization = None
    fixed(model, keep=keep, targets=["tflm", "litert-no-delegate"])


@pytest.mark.parametrize("table", ["ConcatenationOptions", "SoftmaxOptions"])
def test_inputs_of_other_dimensions_are_not_joined_in_steps(table: str) -> None:
    parts = [*[Given([1, 2])] * 11, Given([2])]
    model = moved("CONCATENATION", parts, [Given([1, 24])], table, **({"axis": 1} if "Conc" in table else {}))
    assert "tensor-count" not in repaired(fixed(model))


# The draft, which is changed and taken back thousands of times


def _long(count: int) -> ts.Model:
    """UINT8 additions one behind the other, which TFLM has no kernel for."""
    net = Net()
    source = last = net.tensor("input", [1, 4], "UINT8", 0.5, 3)
    for number in range(count):
        made = net.tensor(f"output_{number}", [1, 4], "UINT8", 0.5, 3)
        activation = _ACTIVATIONS["NONE"]
        net.operator("MUL", 1, [last, source], [made], "MulOptions", fused_activation_function=activation)
        last = made
    return net.model([source], [last])


def test_many_nodes_of_one_fault_take_seconds() -> None:
    start = time.perf_counter()
    ts.fix(_long(200), targets=["tflm"])
    assert time.perf_counter() - start < 10


def _append(draft: Draft) -> ts.Tensor:
    subgraph = draft.model.subgraphs[0]
    return draft.new_tensor(subgraph, subgraph.tensors[0], "new")


def test_a_draft_knows_where_things_are_after_a_change_was_taken_back() -> None:
    model = layer()
    draft, subgraph = Draft(model), model.subgraphs[0]
    operator, source = node(model), part(model, "input")
    changes: list[Callable[[], object]] = [
        lambda: _append(draft),
        lambda: draft.replace_input(operator, 0, _append(draft)),
        lambda: draft.set(subgraph, "tensors", []),
        lambda: draft.set(subgraph, "operators", []),
        lambda: draft.remove(subgraph, "operators", operator),
    ]
    for change in changes:
        uses = list(draft.readers(source))
        mark = draft.mark()
        change()
        draft.readers(source)
        draft.home(subgraph.tensors[0] if subgraph.tensors else operator)
        draft.back_to(mark)
        assert list(draft.readers(source)) == uses
        assert draft.home(source) is draft.home(operator) is subgraph


@pytest.mark.parametrize("scales", [ts.BadReference(99), None])
def test_scales_of_blocks_that_are_no_tensor(scales: object) -> None:
    net = Net()
    source, result = net.tensor("input", [1, 64], "FLOAT32"), net.tensor("output", [1, 4], "FLOAT32")
    weights = net.tensor("weights", [4, 64], "INT8", values=[[1] * 64] * 4)
    weights.type, weights.buffer.data = _TYPES["INT4"], bytes(128)
    details = table_class("BlockwiseQuantization")(scales=scales, zero_points=None, block_size=32)
    weights.quantization = ts.QuantizationParameters(details=details)
    net.operator("FULLY_CONNECTED", 13, [source, weights], [result], "FullyConnectedOptions")
    model = net.model([source], [result])
    assert {finding.severity for finding in ts.check(model, NAMES)} >= {ts.Severity.ERROR}
    assert ts.fix(model, targets=NAMES, lossy=True).left
