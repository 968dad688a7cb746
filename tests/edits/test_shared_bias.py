"""Biases, buffers and names that several parts of a model share: who needs something else gets a copy."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import damage, integers, part, product, scales
from tests.edits.expected import fix_biases, re_expressed


def of_biases(findings: Sequence[ts.Finding]) -> list[ts.Finding]:
    """Without what other rules find: of models made for one of them, some break another."""
    return [finding for finding in findings if finding.rule == "bias-scale"]


# Shared biases, outputs, other readers, shared buffers


def test_every_node_that_shares_a_bias_gets_what_it_needs():
    model = builders.shared_bias()
    original = part(model, "bias")
    before, stored = integers(original), scales(original)
    outcome = fix_biases(model, keep="values")
    fixed = [part(outcome.model, "bias", number) for number in range(3)]
    assert len({id(bias) for bias in fixed}) == 3
    for number, bias in enumerate(fixed):
        unit = product(scales(part(model, "input", number))[0], scales(part(model, "weights", number))[0])
        assert scales(bias) == [unit]
        assert integers(bias) == re_expressed(before, stored, [unit])
        assert bias.shape == original.shape
        assert bias.type == original.type
    names = [tensor.name for tensor in outcome.model.subgraphs[0].tensors]
    assert len(set(names)) == len(names)
    assert fixed[0].name == original.name
    assert (scales(fixed[0]), integers(fixed[0])) == (stored, before)


def test_nodes_that_need_the_same_share_one_tensor():
    model = builders.shared_bias((0.02, 0.05, 0.05))
    outcome = fix_biases(model, keep="values")
    biases = [part(outcome.model, "bias", number) for number in range(3)]
    assert biases[1] is biases[2] is not biases[0]
    assert len(outcome.model.subgraphs[0].tensors) == len(model.subgraphs[0].tensors) + 1
    assert [repair.tensor for repair in outcome.repairs] == biases[1:]


def test_a_shared_bias_that_fits_nobody_is_not_kept_for_nobody():
    model = builders.shared_bias((0.02, 0.05))
    damage(part(model, "bias"), 3.0)
    outcome = fix_biases(model, keep="values")
    assert len(outcome.model.subgraphs[0].tensors) == len(model.subgraphs[0].tensors) + 1
    used = {id(part(outcome.model, "bias", number)) for number in range(2)}
    assert len(used) == 2
    assert id(outcome.model.subgraphs[0].tensors[model.subgraphs[0].tensors.index(part(model, "bias"))]) in used
    assert of_biases(outcome.remaining) == []


def test_copies_with_the_same_integers_share_their_bytes():
    model = builders.shared_bias()
    outcome = fix_biases(model, keep="integers")
    assert len({id(part(outcome.model, "bias", number).buffer) for number in range(3)}) == 1
    assert len(outcome.model.buffers) == len(model.buffers)
    assert of_biases(outcome.remaining) == []


def test_a_name_that_is_taken():
    model = builders.shared_bias((0.02, 0.05))
    part(model, "weights").name = "bias_0_for_operator_1"
    outcome = fix_biases(model, keep="values")
    names = [tensor.name for tensor in outcome.model.subgraphs[0].tensors]
    assert len(set(names)) == len(names)


def _also_read_by(kind: str) -> ts.Model:
    """A model whose bias is also a graph output, or read by an operator that has nothing to do with biases."""
    net = builders.Net()
    source, result = builders.net_layer(net)
    bias = net.operators[0].role("bias")
    results = [result]
    if kind == "output":
        results.append(bias)
    elif kind == "RESHAPE":
        shape = net.tensor("shape", [2], "INT32", values=[2, 2])
        other = net.tensor("other", [2, 2], "INT32", scales(bias))
        net.operator("RESHAPE", 1, [bias, shape], [other], "ReshapeOptions", new_shape=[2, 2])
        results.append(other)
    elif kind == "DEQUANTIZE":
        other = net.tensor("other", [4], "FLOAT32")
        net.operator("DEQUANTIZE", 2, [bias], [other], "DequantizeOptions")
        results.append(other)
    else:
        other = net.tensor("other", [4], "INT32", scales(bias))
        net.operator("ADD", 1, [bias, bias], [other], "AddOptions")
        results.append(other)
    return net.model([source], results)


@pytest.mark.parametrize("keep", ["values", "integers"])
@pytest.mark.parametrize("kind", ["output", "RESHAPE", "DEQUANTIZE", "ADD"])
def test_who_else_reads_the_bias_keeps_it_as_it_is(kind, keep):
    model = _also_read_by(kind)
    bias = part(model, "bias")
    damage(bias, 3.0)
    outcome = fix_biases(model, keep=keep)
    place = model.subgraphs[0].tensors.index(bias)
    old, new = outcome.model.subgraphs[0].tensors[place], part(outcome.model, "bias")
    assert old is not new
    assert (scales(old), integers(old), old.name) == (scales(bias), integers(bias), bias.name)
    if kind == "output":
        assert outcome.model.subgraphs[0].outputs[1] is old
    else:
        readers = outcome.model.subgraphs[0].operators[1].inputs
        assert all(item is old for item in readers[: 2 if kind == "ADD" else 1])
    assert of_biases(outcome.remaining) == []
    assert any(repr(new.name) in warning for warning in outcome.repairs[0].warnings)
    assert ts.dumps(outcome.model)


def test_a_signature_output_keeps_the_bias_as_it_is():
    model = builders.layer()
    bias = part(model, "bias")
    model.signature_defs = [
        ts.SignatureDef(
            inputs=[], outputs=[ts.TensorMap(name="b", tensor=bias)], signature_key="s", subgraph=model.subgraphs[0]
        )
    ]
    damage(bias, 3.0)
    outcome = fix_biases(model)
    assert scales(outcome.model.signature_defs[0].outputs[0].tensor) == scales(bias)
    assert part(outcome.model, "bias") is not outcome.model.signature_defs[0].outputs[0].tensor


@pytest.mark.parametrize("keep", ["values", "integers"])
def test_a_buffer_that_another_tensor_shares(keep):
    model = builders.layer()
    bias = part(model, "bias")
    twin = ts.Tensor(name="twin", shape=[4], type=bias.type, buffer=bias.buffer)
    model.subgraphs[0].tensors.append(twin)
    before = integers(bias)
    damage(bias, 3.0)
    outcome = fix_biases(model, keep=keep)
    fixed, other = part(outcome.model, "bias"), outcome.model.subgraphs[0].tensors[-1]
    assert other.name == "twin"
    assert integers(other) == before
    assert integers(fixed) == ([3 * q for q in before] if keep == "values" else before)
    assert (fixed.buffer is other.buffer) == (keep == "integers")


def test_a_buffer_that_metadata_shares():
    model = builders.layer()
    bias = part(model, "bias")
    model.metadata = [ts.Metadata(name="checksum of", buffer=bias.buffer)]
    before = bytes(bias.data)
    damage(bias, 3.0)
    outcome = fix_biases(model, keep="values")
    assert bytes(outcome.model.metadata[0].buffer.data) == before
    assert bytes(part(outcome.model, "bias").data) != before


def test_two_biases_in_one_buffer_are_both_repaired():
    model = builders.one_input(2)
    first, second = part(model, "bias", 0), part(model, "bias", 1)
    second.buffer = first.buffer
    before = integers(first)
    damage(first, 2.0)
    damage(second, 5.0)
    outcome = fix_biases(model, keep="values")
    assert integers(part(outcome.model, "bias", 0)) == [2 * q for q in before]
    assert integers(part(outcome.model, "bias", 1)) == re_expressed(
        before, scales(second), scales(part(outcome.model, "bias", 1))
    )
    assert of_biases(outcome.remaining) == []


def test_gates_of_one_lstm_that_share_a_bias():
    """Two inputs of one operator are redirected to different copies, and the rest of its inputs stay."""
    model = builders.lstm()
    operator = builders.node(model)
    shared = part(model, "input_gate_bias")
    for position in (13, 14, 15):
        operator.inputs[position] = shared
    before = integers(shared)
    outcome = fix_biases(model, keep="values")
    fixed = builders.node(outcome.model)
    units = []
    for gate in builders.GATES:
        unit = product(scales(part(model, "input"))[0], scales(part(model, f"input_to_{gate}_weights"))[0])
        bias = part(outcome.model, f"{gate}_bias")
        assert scales(bias) == [unit]
        assert integers(bias) == re_expressed(before, scales(shared), [unit])
        units.append(unit)
    assert len(set(units)) == 4
    names = [tensor.name for tensor in outcome.model.subgraphs[0].tensors]
    assert len(set(names)) == len(names)
    untouched = [i for i in range(len(operator.inputs)) if i not in (13, 14, 15)]
    number = {id(tensor): index for index, tensor in enumerate(model.subgraphs[0].tensors)}
    renumber = {id(tensor): index for index, tensor in enumerate(outcome.model.subgraphs[0].tensors)}
    for position in untouched:
        a, b = operator.inputs[position], fixed.inputs[position]
        assert (a is None and b is None) or number[id(a)] == renumber[id(b)]
    assert of_biases(outcome.remaining) == []


def test_a_bias_that_is_also_the_node_s_weights():
    """Nonsense that no runtime takes; the weights must not become the copy."""
    model = builders.layer()
    operator = builders.node(model)
    operator.inputs[1] = operator.inputs[2]
    outcome = fix_biases(model, keep="integers")
    fixed = builders.node(outcome.model)
    assert fixed.inputs[1] is not fixed.inputs[2]
    assert scales(fixed.inputs[1]) == scales(operator.inputs[1])
