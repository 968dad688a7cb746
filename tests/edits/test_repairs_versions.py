"""Operator versions: the lowest that has all that is used, both fields of a code, the record of the oldest runtime."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import Net, node
from tests.conditions.case import NAMES
from tests.edits.expected import edits
from tests.interpreters import same_outputs, session
from tflite_surgeon.edits.runtime_record import record_oldest_runtime
from tflite_surgeon.knowledge.minimum_versions import minimum_version
from tflite_surgeon.knowledge.oldest_runtimes import oldest_runtime
from tflite_surgeon.knowledge.operator_versions import versions


def fix(model, **arguments):
    return ts.fix(model, ["operator-version"], targets=NAMES, **arguments)


def unary(name: str, kind: str, options: str | None = None, **values) -> ts.Model:
    net = Net()
    source, result = net.tensor("input", [4], kind), net.tensor("output", [4], kind)
    net.operator(name, 99, [source], [result], options, **values)
    return net.model([source], [result])


# What a version stands for


@pytest.mark.parametrize(
    ("operator", "kind", "arguments", "version"),
    [
        ("FULLY_CONNECTED", "INT8", {}, 4),
        ("FULLY_CONNECTED", "UINT8", {}, 1),
        ("FULLY_CONNECTED", "INT16", {"bias_type": "INT32"}, 11),
        ("CONV_2D", "INT8", {}, 3),
        ("CONV_2D", "INT8", {"per_channel": True}, 3),
        ("CONV_2D", "UINT8", {}, 1),
        ("CONV_2D", "INT16", {"bias_type": "INT32"}, 8),
        ("DEPTHWISE_CONV_2D", "INT8", {}, 3),
        ("TRANSPOSE_CONV", "INT8", {}, 3),
    ],
)
def test_layers(operator, kind, arguments, version):
    assert minimum_version(node(builders.layer(operator, kind, **arguments))).version == version


@pytest.mark.parametrize(
    ("name", "kind", "version"),
    [
        ("LOGISTIC", "FLOAT32", 1),
        ("LOGISTIC", "INT8", 2),
        ("LOGISTIC", "INT16", 3),
        ("ABS", "INT32", 5),
        ("ABS", "INT16", 4),
        ("RELU", "UINT8", 2),
        ("LEAKY_RELU", "INT8", 1),
        ("LEAKY_RELU", "INT16", 2),
    ],
)
def test_types(name, kind, version):
    assert minimum_version(node(unary(name, kind))).version == version


def test_more_than_types():
    model = builders.layer()
    model.subgraphs[0].operators[0].inputs.pop()
    assert minimum_version(node(model)) == (6, "it has no bias")
    model = builders.layer()
    node(model).builtin_options.keep_num_dims = True
    assert minimum_version(node(model)).version == 5
    model = builders.layer("DEPTHWISE_CONV_2D", "UINT8")
    assert minimum_version(node(model)).version == 1
    node(model).builtin_options.dilation_h_factor = 2
    assert minimum_version(node(model)) == (2, "it is dilated")


def test_every_minimum_is_told_and_odd_operators_have_one():
    for name in versions():
        operator = unary("ABS", "FLOAT32").subgraphs[0].operators[0]
        operator.opcode.builtin_code = ts.BuiltinOperator[name]
        for inputs in (None, [], [None], [ts.BadReference(5)], [None] * 24):
            operator.inputs = operator.outputs = inputs
            demand = minimum_version(operator)
            assert demand.version >= versions()[name][0]
            assert demand.reason or demand.version == versions()[name][0]


# The repair


@pytest.mark.parametrize("wrong", [0, 15, 99, -1])
def test_the_lowest_version(wrong):
    model = builders.layer()
    model.operator_codes[0].version = wrong
    outcome = fix(model)
    assert edits(outcome) == {"operator_codes[0].version": (wrong, 4)}
    assert outcome.repairs[0].done.reason.startswith("input 0 is INT8")


def test_one_code_serves_all_its_operators():
    model = builders.chain(2)
    first, second = model.subgraphs[0].operators
    assert first.opcode is second.opcode
    second.builtin_options.keep_num_dims = True
    first.opcode.version = 99
    assert edits(fix(model)) == {"operator_codes[0].version": (99, 5)}


def test_several_kinds_are_repaired_each():
    net = Net()
    tensors = [net.tensor(f"tensor_{n}", [4], "INT8", 0.1) for n in range(3)]
    net.operator("ABS", 77, [tensors[0]], [tensors[1]])
    net.operator("RELU", 88, [tensors[1]], [tensors[2]])
    model = net.model([tensors[0]], [tensors[-1]])
    assert edits(fix(model)) == {
        "operator_codes[0].version": (77, 2),
        "operator_codes[1].version": (88, 2),
    }


def test_what_a_runtime_has_not_yet():
    net = Net()
    source, result = net.tensor("input", [4], "INT8"), net.tensor("output", [4], "INT8")
    source.type = result.type = ts.TensorType.FLOAT16
    net.operator("ADD", 99, [source, source], [result], "AddOptions")
    model = net.model([source], [result])
    outcome = fix(model)
    assert edits(outcome) == {"operator_codes[0].version": (99, 6)}
    assert "FLOAT16" in outcome.left[0].refused.reason
    again = fix(outcome.model)
    assert again.plan.edits == ()
    assert "up to version 5" in again.left[0].refused.reason


def test_both_fields_are_in_step():
    model = builders.layer()
    code = model.operator_codes[0]
    code.version, code.deprecated_builtin_code = 99, 0
    assert edits(fix(model)) == {
        "operator_codes[0].version": (99, 4),
        "operator_codes[0].deprecated_builtin_code": (0, 9),
    }


def test_the_record_of_the_oldest_runtime():
    model = builders.layer()
    model.buffers.append(ts.Buffer(b"2.9.0".ljust(16, b"\0")))
    model.metadata = [ts.Metadata(name="min_runtime_version", buffer=model.buffers[-1])]
    model.operator_codes[0].version = 99
    number = len(model.buffers) - 1
    assert edits(fix(model)) == {
        "operator_codes[0].version": (99, 4),
        f"buffers[{number}].data": (b"2.9.0".ljust(16, b"\0"), b"1.14.0".ljust(16, b"\0")),
    }
    model.buffers[-1].data = b"1.14.0".ljust(16, b"\0")
    assert len(fix(model).plan.edits) == 1


def test_oldest_runtimes():
    assert oldest_runtime([("CONV_2D", 3), ("SOFTMAX", 2)]) == "1.14.0"
    assert oldest_runtime([("TILE", 1), ("TRANSPOSE", 7)]) == "2.14.4"
    assert oldest_runtime([("BROADCAST_TO", 1)]) is None
    # As numbers, not as texts.
    assert oldest_runtime([("MUL", 4), ("CONV_2D", 1), ("ABS", 1), ("RELU_0_TO_1", 1)]) == "2.10.0"


def test_a_model_without_a_record_gets_none():
    from tflite_surgeon.edits.draft import Draft

    draft = Draft(builders.layer())
    assert record_oldest_runtime(draft) is None
    assert draft.edits == []


def test_sound_models_are_left_alone():
    for operator in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        for kind in ("INT8", "UINT8"):
            model = builders.layer(operator, kind)
            assert fix(model).plan.edits == ()
            # What the builders declare is what the converter does, and what the facts say.
            assert minimum_version(node(model)).version == model.operator_codes[0].version


def test_listed_and_used_by_nothing():
    model = builders.layer()
    model.operator_codes.append(
        ts.OperatorCode(deprecated_builtin_code=127, builtin_code=ts.BuiltinOperator.DILATE, version=1)
    )
    fixed = ts.fix(model, ["unknown-operator"], targets=NAMES).model
    assert [code.name for code in fixed.operator_codes] == ["FULLY_CONNECTED"]


@pytest.mark.reality
@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D"])
def test_the_numbers_stay(operator, runtime):
    model = builders.layer(operator)
    sound = session(runtime).run(ts.dumps(model), seed=0)
    model.operator_codes[0].version = 99
    fixed = session(runtime).run(ts.dumps(fix(model).model), seed=0)
    assert same_outputs(sound, fixed)
    assert np.asarray(fixed.outputs[0][0]).size
