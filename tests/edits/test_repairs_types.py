"""Repairs of types: constants cast, nodes in islands of other types, activations split off, sparse weights."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.builders import Net, integers, layer, node, part, scales, spread, svdf
from tests.conditions.case import NAMES
from tests.conditions.cases_fully_connected import _sparse
from tests.edits.expected import edits, packed
from tests.interpreters import same_outputs, session
from tflite_surgeon.edits.engine import Outcome
from tflite_surgeon.edits.sparse import dense_bytes
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

TYPES, ACTIVATIONS = enum_class("TensorType"), enum_class("ActivationFunctionType")
LITERT = NAMES[:2]


def fixed(model: ts.Model, rule: str, **arguments: object) -> Outcome:
    return ts.fix(model, [rule], **{"targets": NAMES, **arguments})


def only_done(outcome: Outcome):
    (repaired,) = outcome.repairs
    return repaired.done


def only_refused(outcome: Outcome):
    assert outcome.plan.edits == ()
    (left,) = outcome.left
    return left.refused


def operators(outcome: Outcome) -> list[str]:
    return [operator.name for operator in outcome.model.subgraphs[0].operators]


def run(model: ts.Model, runtime: str = "litert-no-delegate", seed: int = 0) -> np.ndarray:
    found = session(runtime).run(ts.dumps(model), seed=seed)
    assert found.ok, found.message
    return np.asarray(found.outputs[0][0])


# Constants


def _gather(kind: str, positions: list[int]) -> ts.Model:
    net = Net()
    source = net.tensor("input", [3, 3], "INT8")
    indices = net.tensor("indices", [2], kind, values=positions)
    result = net.tensor("output", [2, 3], "INT8")
    net.operator("GATHER", 1, [source, indices], [result], "GatherOptions")
    return net.model([source], [result])


def test_positions_are_cast_where_they_fit():
    outcome = fixed(_gather("UINT8", [2, 1]), "operator-types")
    assert edits(outcome) == {
        "buffers[1].data": (b"\2\1", packed([2, 1])),
        "subgraphs[0].tensors[1].type": (TYPES["UINT8"], TYPES["INT32"]),
    }
    assert only_done(outcome).loses == ""


def _mean(axes: list[int]) -> ts.Model:
    net = Net()
    source = net.tensor("input", [2, 3], "FLOAT32")
    axis = net.tensor("axis", [len(axes)], "INT64", values=axes)
    result = net.tensor("output", [2], "FLOAT32")
    net.operator("MEAN", 1, [source, axis], [result], "ReducerOptions")
    return net.model([source], [result])


def test_axes_that_fit_no_smaller_type_are_left_alone():
    assert edits(fixed(_mean([1]), "operator-types"))["buffers[1].data"] == (packed([1], "<i8"), packed([1]))
    assert "convert the model again" in only_refused(fixed(_mean([1 << 40]), "operator-types")).reason


def test_axes_that_others_read_too_stay_as_they_are_for_them():
    model = _mean([1])
    graph = model.subgraphs[0]
    graph.outputs.append(graph.tensors[1])
    outcome = fixed(model, "operator-types")
    kinds = [tensor.type_name for tensor in outcome.model.subgraphs[0].tensors]
    assert kinds == ["FLOAT32", "INT64", "FLOAT32", "INT32"]


def test_four_bits_are_unpacked():
    model = layer(per_channel=True)
    tensor = part(model, "weights")
    values = spread([4, 3], -8, 7).reshape(-1)
    tensor.type = TYPES["INT4"]
    tensor.buffer.data = bytes((int(b) & 15) << 4 | (int(a) & 15) for a, b in values.reshape(-1, 2))
    outcome = fixed(model, "operator-types")
    assert edits(outcome) == {
        "subgraphs[0].tensors[1].type": (TYPES["INT4"], TYPES["INT8"]),
        "buffers[1].data": (bytes(tensor.buffer.data), packed(values.tolist(), "i1")),
    }


# Types that cannot be meant


@pytest.mark.reality
@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_signed_weights_under_a_wrong_name_get_their_name(operator):
    sound = layer(operator)
    model = layer(operator)
    part(model, "weights").type = TYPES["UINT8"]
    outcome = fixed(model, "operator-types")
    assert edits(outcome) == {"subgraphs[0].tensors[1].type": (TYPES["UINT8"], TYPES["INT8"])}
    assert only_done(outcome).keep == "integers"
    assert (run(outcome.model) == run(sound)).all()


def test_unsigned_weights_beside_signed_inputs_are_shifted():
    model = layer("CONV_2D")
    tensor = part(model, "weights")
    old = integers(tensor)
    tensor.type, tensor.quantization.zero_point = TYPES["UINT8"], [128]
    tensor.buffer.data = packed([value + 128 for value in old], "u1")
    outcome = fixed(model, "operator-types")
    assert integers(part(outcome.model, "weights")) == old
    assert part(outcome.model, "weights").quantization.zero_point == [0]
    assert only_done(outcome).loses == ""


@pytest.mark.parametrize("kind", ["INT32", "INT16"])
def test_activations_of_another_type_with_a_zero_point_get_the_others_type(kind):
    model = layer()
    part(model, "output").type = TYPES[kind]
    outcome = fixed(model, "operator-types" if kind == "INT32" else "same-type")
    assert edits(outcome) == {"subgraphs[0].tensors[3].type": (TYPES[kind], TYPES["INT8"])}
    assert "callers get INT8 now" in only_done(outcome).warnings[0]


def test_floats_under_the_name_of_integers_get_their_name():
    net = Net()
    source = net.tensor("input", [2, 3], "FLOAT32")
    tensor = net.tensor("second", [2, 3], "FLOAT32", values=[[0.5, -1.5, 3.0], [0.0, 2.0**-10, 7.0]])
    tensor.type = TYPES["INT32"]
    result = net.tensor("output", [2, 3], "FLOAT32")
    net.operator("ADD", 1, [source, tensor], [result], "AddOptions")
    outcome = fixed(net.model([source], [result]), "same-type")
    assert edits(outcome) == {"subgraphs[0].tensors[1].type": (TYPES["INT32"], TYPES["FLOAT32"])}


def test_the_type_of_indices_is_that_of_their_tensor():
    net = Net()
    source, axis = net.tensor("input", [2, 3], "FLOAT32"), net.tensor("axis", [1], "INT32", values=[1])
    result = net.tensor("output", [2], "INT32")
    net.operator("ARG_MAX", 1, [source, axis], [result], "ArgMaxOptions", output_type=TYPES["FLOAT16"])
    outcome = fixed(net.model([source], [result]), "operator-types")
    path = "subgraphs[0].operators[0].builtin_options.output_type"
    assert edits(outcome) == {path: (TYPES["FLOAT16"], TYPES["INT32"])}


# Islands


def _joined(kind: str = "UINT8") -> ts.Model:
    net = Net()
    points = 100 if kind == "UINT8" else 0
    first, second = (net.tensor(name, [1, 2], kind, 0.5, points) for name in ("first", "second"))
    result = net.tensor("output", [1, 4], kind, 0.5, points)
    net.operator("CONCATENATION", 1, [first, second], [result], "ConcatenationOptions", axis=1)
    return net.model([first, second], [result])


@pytest.mark.reality
def test_unsigned_integers_are_shifted_around_a_kernel_for_signed_ones():
    model = _joined()
    outcome = fixed(model, "operator-types")
    assert operators(outcome) == ["QUANTIZE", "QUANTIZE", "CONCATENATION", "QUANTIZE"]
    inside = node(outcome.model, 2)
    for tensor in (*inside.inputs, *inside.outputs):
        assert (tensor.type_name, scales(tensor), tensor.quantization.zero_point) == ("INT8", [0.5], [-28])
    assert only_done(outcome).loses == ""
    for runtime in NAMES:
        assert (run(outcome.model, runtime) == run(model)).all()


def test_what_a_target_does_not_ask_for_is_left_alone():
    assert fixed(_joined(), "operator-types", targets=LITERT).plan.edits != ()  # Selected rules repair notes too.
    assert ts.fix(_joined(), targets=LITERT).plan.edits == ()


@pytest.mark.reality
def test_several_scales_of_unsigned_weights_need_signed_ones():
    model = layer("CONV_2D", "UINT8", per_channel=True)
    outcome = fixed(model, "operator-types")
    assert operators(outcome) == ["QUANTIZE", "CONV_2D", "QUANTIZE"]
    tensor = part(outcome.model, "weights", 1)
    assert integers(tensor) == [value - 128 for value in integers(part(model, "weights"))]
    assert (tensor.type_name, tensor.quantization.zero_point) == ("INT8", [0] * 4)
    assert scales(tensor) == scales(part(model, "weights"))
    # Of equal scales the same is computed as of one.
    equal = layer("CONV_2D", "UINT8", per_channel=True, weights_scales=[0.004] * 4)
    found = run(fixed(equal, "operator-types").model).astype(int)
    assert np.abs(found - run(layer("CONV_2D", "UINT8"))).max() <= 1


def _extreme() -> ts.Model:
    net = Net()
    first, second = net.tensor("first", [1, 4], "INT8", 0.5), net.tensor("second", [1, 4], "UINT8", 0.5)
    result = net.tensor("output", [1, 4], "INT8", 0.5)
    net.operator("MAXIMUM", 2, [first, second], [result])
    return net.model([first, second], [result])


@pytest.mark.reality
def test_what_another_type_does_not_hold_is_computed_in_floats():
    outcome = fixed(_extreme(), "same-type")
    assert operators(outcome) == ["DEQUANTIZE", "DEQUANTIZE", "MAXIMUM", "QUANTIZE"]
    assert {tensor.type_name for tensor in node(outcome.model, 2).inputs} == {"FLOAT32"}
    for runtime in NAMES:
        assert run(outcome.model, runtime).dtype == np.int8


@pytest.mark.reality
def test_truth_is_asked_of_what_is_cast_to_truth_values():
    net = Net()
    condition = net.tensor("condition", [4, 2], "INT8")
    first, second = (net.tensor(name, [4, 2], "FLOAT32") for name in ("first", "second"))
    result = net.tensor("output", [4, 2], "FLOAT32")
    net.operator("SELECT_V2", 1, [condition, first, second], [result], "SelectV2Options")
    outcome = fixed(net.model([condition, first, second], [result]), "operator-types")
    assert operators(outcome) == ["CAST", "SELECT_V2"]
    assert [tensor.type_name for tensor in node(outcome.model, 1).inputs] == ["BOOL", "FLOAT32", "FLOAT32"]
    for runtime in NAMES:
        run(outcome.model, runtime)


def test_no_other_operator_is_given_truth_values_of_numbers():
    net = Net()
    source, shape = net.tensor("input", [8, 8], "INT8"), net.tensor("shape", [2], "INT32", values=[4, 16])
    result = net.tensor("output", [4, 16], "UINT8")
    net.operator("RESHAPE", 1, [source, shape], [result], "ReshapeOptions", new_shape=[4, 16])
    outcome = fixed(net.model([source], [result]), "same-type")
    assert edits(outcome) == {"subgraphs[0].tensors[2].type": (TYPES["UINT8"], TYPES["INT8"])}


def test_a_bias_without_a_scale_is_not_taken_for_real_values():
    model = layer(kind="UINT8")
    part(model, "bias").quantization = None
    part(model, "input").type = TYPES["FLOAT32"]
    part(model, "input").quantization = None
    outcome = ts.fix(model, ["operator-types", "same-type", "hybrid-model"], targets=NAMES, lossy=True)
    assert part(outcome.model, "bias").type_name == "INT32"


def test_wide_integers_in_floats_count_as_lossy():
    net = Net()
    source = net.tensor("input", [1, 4], "INT32")
    result = net.tensor("output", [1, 4], "INT32")
    net.operator("FLOOR", 1, [source], [result])
    model = net.model([source], [result])
    assert "16777216" in only_refused(fixed(model, "operator-types")).reason
    assert operators(fixed(model, "operator-types", lossy=True)) == ["CAST", "FLOOR", "CAST"]


def test_weights_beside_floats_become_floats():
    net = Net()
    source = net.tensor("input", [1, 3], "FLOAT32")
    values = spread([4, 3], -9, 9)
    weights = net.tensor("weights", [4, 3], "INT8", [0.5, 0.25, 2.0, 1.0], 0, values)
    result = net.tensor("output", [1, 4], "FLOAT32")
    net.operator("FULLY_CONNECTED", 3, [source, weights], [result], "FullyConnectedOptions")
    outcome = fixed(net.model([source], [result]), "hybrid-model")
    tensor = part(outcome.model, "weights")
    assert (tensor.type_name, tensor.quantization) == ("FLOAT32", None)
    assert (tensor.values() == values * np.array([[0.5], [0.25], [2.0], [1.0]])).all()


# Fused activations


def _activated(name: str, **arguments: object) -> ts.Model:
    model = layer(**arguments)
    node(model).builtin_options.fused_activation_function = ACTIVATIONS[name]
    return model


@pytest.mark.reality
def test_tanh_is_split_off_within_half_a_quantum():
    outcome = fixed(_activated("TANH"), "fused-activation")
    assert operators(outcome) == ["FULLY_CONNECTED", "TANH", "QUANTIZE"]
    done = only_done(outcome)
    assert (done.keep, done.loses) == ("values", "")
    assert done.effect < 0.5
    plain = layer()
    plain.subgraphs[0].tensors[3].quantization.scale = [0.1]  # Reaches as far as the sums do.
    for seed in range(3):
        sums = (run(plain, seed=seed).astype(float) - 4) * 0.1
        wanted = np.tanh(sums) / 0.03 + 4
        # The plain layer's own rounding, to steps of 0.1, moves TANH by up to 0.05.
        assert np.abs(run(outcome.model, seed=seed) - wanted).max() <= 0.05 / 0.03 + done.effect + 0.5


def test_tanh_of_a_finer_output_counts_as_lossy():
    model = _activated("TANH", output_scale=1 / 128)
    part(model, "output").quantization.zero_point = [0]
    assert "output quanta" in only_refused(fixed(model, "fused-activation")).reason
    outcome = fixed(model, "fused-activation", lossy=True)
    assert operators(outcome) == ["FULLY_CONNECTED", "TANH"]


def test_an_activation_that_kernels_pass_over_is_judged_by_the_output():
    wide = fixed(_activated("TANH", operator="CONV_2D"), "fused-activation")
    path = "subgraphs[0].operators[0].builtin_options.fused_activation_function"
    assert edits(wide) == {path: (ACTIVATIONS["TANH"], ACTIVATIONS["NONE"])}
    model = _activated("TANH", operator="CONV_2D", output_scale=1 / 128)
    part(model, "output").quantization.zero_point = [0]
    narrow = fixed(model, "fused-activation", lossy=True)
    assert operators(narrow) == ["CONV_2D", "TANH"]


def _pooled() -> ts.Model:
    net = Net()
    source, result = net.tensor("input", [1, 4, 4, 2], "FLOAT32"), net.tensor("output", [1, 3, 3, 2], "FLOAT32")
    options = {"filter_width": 2, "filter_height": 2, "stride_w": 1, "stride_h": 1}
    net.operator("AVERAGE_POOL_2D", 1, [source], [result], "Pool2DOptions", padding=1, **options)
    model = net.model([source], [result])
    node(model).builtin_options.padding = enum_class("Padding")["VALID"]
    node(model).builtin_options.fused_activation_function = ACTIVATIONS["TANH"]
    return model


@pytest.mark.reality
def test_an_activation_of_floats_that_kernels_pass_over_is_the_persons_choice():
    model = _pooled()
    assert only_refused(fixed(model, "fused-activation")).is_open
    dropped = fixed(model, "fused-activation", keep="integers")
    assert operators(dropped) == ["AVERAGE_POOL_2D"]
    assert (run(dropped.model) == run(model)).all()
    kept = fixed(model, "fused-activation", keep="values")
    assert operators(kept) == ["AVERAGE_POOL_2D", "TANH"]
    assert np.allclose(run(kept.model), np.tanh(run(model)), atol=1e-6)


@pytest.mark.reality
def test_svdf_computes_the_same_under_the_name_that_its_kernel_takes():
    model = svdf()
    sound = run(model, "tflm")
    node(model).builtin_options.fused_activation_function = ACTIVATIONS["NONE"]
    outcome = fixed(model, "fused-activation")
    assert only_done(outcome).keep == "integers"
    assert (run(outcome.model, "tflm") == sound).all()
    assert (run(outcome.model, "tflm") == run(model, "tflm")).all()


# Sparse weights


@pytest.mark.reality
@pytest.mark.parametrize(("block", "kind"), [(16, "FLOAT32"), (4, "INT8")])
def test_sparse_weights_in_another_form_are_stored_densely(block, kind):
    model = _sparse(block, kind)
    tensor = part(model, "weights")
    values = spread([4, block], 1, 90)
    tensor.buffer.data = values.astype("<f4" if kind == "FLOAT32" else "i1").tobytes()
    outcome = fixed(model, "weights-format")
    fresh = part(outcome.model, "weights")
    expected = np.zeros((4, 16))
    expected[:, :block] = values
    assert fresh.sparsity is None
    assert (fresh.values() == expected).all()
    run(outcome.model)


def test_a_dimension_with_segments_is_sparse():
    outcome = fixed(_sparse(4, is_csr=False), "weights-format")
    path = "subgraphs[0].tensors[1].sparsity.dim_metadata[1].format"
    forms = enum_class("DimensionType")
    assert edits(outcome) == {path: (forms["DENSE"], forms["SPARSE_CSR"])}


def test_blocks_are_placed_by_both_dimensions():
    numbers, piece = table_class("Int32Vector"), table_class("DimensionMetadata")
    forms = enum_class("DimensionType")
    parts = [
        piece(format=forms["DENSE"], dense_size=2),
        piece(
            format=forms["SPARSE_CSR"],
            dense_size=0,
            array_segments=numbers(values=[0, 1, 3]),
            array_indices=numbers(values=[1, 0, 1]),
        ),
        piece(format=forms["DENSE"], dense_size=2),
        piece(format=forms["DENSE"], dense_size=2),
    ]
    table = table_class("SparsityParameters")
    sparsity = table(traversal_order=[0, 1, 2, 3], block_map=[0, 1], dim_metadata=parts)
    tensor = ts.Tensor(
        name="sparse", shape=[4, 4], type=TYPES["INT8"], buffer=ts.Buffer(bytes(range(1, 13))), sparsity=sparsity
    )
    # Source: LiteRT schema, the comment on SparsityParameters: blocks of 2 x 2, within them row by row.
    expected = [[0, 0, 1, 2], [0, 0, 3, 4], [5, 6, 9, 10], [7, 8, 11, 12]]
    assert np.frombuffer(dense_bytes(tensor), "i1").reshape(4, 4).tolist() == expected
    parts[1].array_indices.values = [1, 0, 2]
    with pytest.raises(SurgeonError, match="beside its shape"):
        dense_bytes(tensor)
    parts[1].array_indices = None
    with pytest.raises(SurgeonError, match="lacks segments"):
        dense_bytes(tensor)


def test_tables_beside_all_elements_are_dropped():
    model = _sparse(4)
    tensor = part(model, "weights")
    tensor.buffer.data = bytes(4 * 16 * 4)
    tensor.sparsity.traversal_order = None
    outcome = fixed(model, "sparsity")
    assert part(outcome.model, "weights").sparsity is None


def test_values_that_nothing_places_are_left_alone():
    model = _sparse(4)
    part(model, "weights").sparsity.dim_metadata[1].array_indices = None
    assert "which elements" in only_refused(fixed(model, "sparsity")).reason


# Health


@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT16"])
def test_sound_types_are_left_alone(operator, kind):
    rules = ["operator-types", "same-type", "fused-activation", "hybrid-model", "weights-format", "tensor-type"]
    outcome = ts.fix(layer(operator, kind), rules, targets=LITERT)
    assert outcome.plan.edits == () or kind == "UINT8"  # TFLM has no kernels for these, which is a note.


def test_repaired_once_it_computes_the_same_again():
    first = fixed(_joined(), "operator-types").model
    again = ts.fix(ts.loads(ts.dumps(first)), targets=NAMES, lossy=True)
    assert again.plan.edits == ()
    real = session("litert-no-delegate")
    assert same_outputs(real.run(ts.dumps(first), seed=1), real.run(ts.dumps(again.model), seed=1))
