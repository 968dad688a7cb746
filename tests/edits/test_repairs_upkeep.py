"""Upkeep: what it takes out, shares and names, and that runtimes compute the same."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import Net, node, part
from tests.interpreters import session
from tests.rules.breakers import BREAKERS
from tflite_surgeon.flatbuffer.tables import table_class

RULES = [
    "unused-tensor",
    "unused-buffer",
    "unused-operator-code",
    "duplicate-buffer",
    "duplicate-name",
    "missing-signature",
    "operator-code-fields",
    "dangling-metadata",
]


def damaged(rule: str) -> ts.Model:
    breaker = BREAKERS[rule][0]
    model = breaker.make()
    breaker.damage(model)
    return model


def test_nobody_is_repaired_unasked():
    for rule in RULES:
        assert ts.fix(damaged(rule)).plan.edits == ()


def test_sound_models_are_left_alone():
    for model in (builders.layer(), builders.svdf(), builders.lstm()):
        assert ts.fix(model, RULES).plan.edits == ()


@pytest.mark.parametrize("rule", RULES)
def test_once_is_enough(rule):
    fixed = ts.fix(ts.loads(ts.dumps(damaged(rule))), [rule])
    assert fixed.repairs
    assert ts.fix(ts.loads(ts.dumps(fixed.model)), RULES[:1] + [rule]).plan.edits == ()


@pytest.mark.reality
@pytest.mark.parametrize("rule", RULES)
def test_the_numbers_stay(rule):
    real = session("litert-no-delegate")
    model = damaged(rule)
    before, after = real.run(ts.dumps(model), seed=0), real.run(ts.dumps(ts.fix(model, [rule]).model), seed=0)
    assert before.ok
    assert after.ok
    # By position: a signature that is new may list outputs by name.
    assert [output.tolist() for output in before.outputs[0]] == [output.tolist() for output in after.outputs[0]]


def test_what_is_unused_goes():
    model = damaged("unused-tensor")
    used = [tensor.name for tensor in model.subgraphs[0].tensors if tensor.name != "nobody's"]
    assert [tensor.name for tensor in ts.fix(model, ["unused-tensor"]).model.subgraphs[0].tensors] == used
    model = damaged("unused-buffer")
    assert len(ts.fix(model, ["unused-buffer"]).model.buffers) == len(model.buffers) - 1
    model = damaged("unused-operator-code")
    fixed = ts.fix(model, ["unused-operator-code"]).model
    assert [code.name for code in fixed.operator_codes] == ["FULLY_CONNECTED"]


def test_scales_in_a_tensor_are_used():
    model = builders.layer()
    scales = ts.Tensor(name="scales", shape=[4], type=ts.TensorType.FLOAT32, buffer=model.buffers[0])
    model.subgraphs[0].tensors.append(scales)
    details = table_class("BlockwiseQuantization")(scales=scales, zero_points=None, block_size=32)
    part(model, "weights").quantization.details = details
    assert ts.check(model, select=["unused-tensor"]) == []


def test_equal_constants_share_a_buffer():
    model = damaged("duplicate-buffer")
    fixed = ts.fix(ts.loads(ts.dumps(model)), ["duplicate-buffer"]).model
    first, second = (operator.inputs[1] for operator in fixed.subgraphs[0].operators)
    assert first.buffer is second.buffer
    assert len(fixed.buffers) == len(model.buffers) - 1
    assert (second.values() == model.subgraphs[0].operators[1].inputs[1].values()).all()


def test_names_of_the_interface_stay():
    net = Net()
    hidden, source, result = (net.tensor(name, [4], "FLOAT32") for name in ("x", "x", "x"))
    net.tensor("x_1", [4], "FLOAT32")
    net.operator("ABS", 1, [source], [hidden])
    net.operator("ABS", 1, [hidden], [result])
    fixed = ts.fix(net.model([source], [result]), ["duplicate-name"]).model
    names = [tensor.name for tensor in fixed.subgraphs[0].tensors]
    assert names == ["x_3", "x", "x_2", "x_1"]


def test_a_signature_of_inputs_and_outputs():
    model = builders.layer()
    model.signature_defs = None
    part(model, "input").name = "serving_default_picture:0"
    fixed = ts.fix(model, ["missing-signature"]).model
    (signature,) = fixed.signature_defs
    assert signature.signature_key == "serving_default"
    assert signature.subgraph is fixed.subgraphs[0]
    assert [(entry.name, entry.tensor) for entry in signature.inputs] == [("picture", node(fixed).inputs[0])]
    assert [(entry.name, entry.tensor) for entry in signature.outputs] == [("output", node(fixed).outputs[0])]


def test_no_signature_of_what_is_not_there():
    model = builders.layer()
    model.signature_defs = None
    model.subgraphs[0].outputs = [ts.BadReference(9)]
    outcome = ts.fix(model, ["missing-signature"])
    assert outcome.plan.edits == ()
    assert "does not exist" in outcome.left[0].refused.reason


@pytest.mark.parametrize("change", [("builtin_code", 0, 9), ("deprecated_builtin_code", 0, 9)])
def test_both_fields_say_the_same(change):
    attribute, wrong, right = change
    model = builders.layer()
    setattr(model.operator_codes[0], attribute, wrong)
    (edit,) = ts.fix(model, ["operator-code-fields"]).plan.edits
    assert (edit.path, edit.old, int(edit.new)) == (f"operator_codes[0].{attribute}", wrong, right)
    model = builders.layer()
    model.operator_codes[0].builtin_code, model.operator_codes[0].deprecated_builtin_code = 150, 127
    assert ts.check(model, select=["operator-code-fields"]) == []


def test_lost_metadata_goes_and_the_rest_stays():
    model = damaged("dangling-metadata")
    model.buffers.append(ts.Buffer(b"kept"))
    model.metadata.insert(0, ts.Metadata(name="kept", buffer=model.buffers[-1]))
    fixed = ts.fix(model, ["dangling-metadata"]).model
    assert [entry.name for entry in fixed.metadata] == ["kept"]
