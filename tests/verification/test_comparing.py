"""verify, in the real interpreters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import computed, node, part, real
from tests.interpreters import session
from tests.verification import models
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.runtime import available
from tflite_surgeon.verification.comparing import VerifySettings, verify
from tflite_surgeon.verification.result import Tolerances, Verification

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
DELEGATED, PLAIN = "litert", "litert-no-delegate"

pytestmark = pytest.mark.skipif(available(PLAIN) is not None, reason=str(available(PLAIN)))


def verified(before: ts.Model, after: ts.Model, mode: str = PLAIN, **settings) -> Verification:
    session(mode)  # Skips where it is missing.
    return verify(before, after, VerifySettings(modes=[mode], **settings))


@pytest.mark.parametrize("mode", [DELEGATED, PLAIN, "tflite-2.14", "tflm"])
def test_a_model_is_equal_to_itself(mode):
    model = builders.chain(3)
    found = verified(model, model, mode, tolerances=Tolerances(0.0, 0.0))
    (result,) = found.modes
    assert result.comparison.is_equal
    assert result.comparison.outputs[0].difference.elements == 3 * 6
    assert found.exceeded == ()
    assert result.version


@pytest.mark.parametrize("name", ["per_tensor", "per_channel", "uint8", "shared"])
def test_keeping_integers_keeps_every_bit(name):
    model = ts.load(FIXTURES / f"bias_scale_{name}.tflite")
    found = verified(model, ts.fix_bias_scale(model, keep="integers").model, DELEGATED)
    assert found.modes[0].comparison.is_equal


def test_keeping_values_moves_as_far_as_the_repair_says():
    model = ts.load(FIXTURES / "bias_scale_per_tensor.tflite")
    outcome = ts.fix_bias_scale(model, keep="values")
    found = verified(model, outcome.model, DELEGATED, runs=10)
    (output,) = found.modes[0].comparison.outputs
    # README and the repair: outputs move by up to 5.004 quanta.
    assert output.difference.max_quanta == 5.0
    assert output.difference.max == pytest.approx(5 * 0.00310777873)


def test_the_meaning_shows_which_of_two_is_wrong():
    model = ts.load(FIXTURES / "bias_scale_per_tensor.tflite")
    found = verified(model, ts.fix_bias_scale(model, keep="values").model, DELEGATED, meaning=True)
    (result,) = found.modes
    assert result.before_meaning.outputs[0].difference.max_quanta > 5
    assert result.after_meaning.outputs[0].difference.max_quanta < 0.51
    assert found.said.outputs[0].difference.max_quanta < 0.01
    other = verified(model, ts.fix_bias_scale(model, keep="integers").model, DELEGATED, meaning=True)
    assert other.modes[0].after_meaning.outputs[0].difference.max_quanta < 0.51
    assert other.said.outputs[0].difference.max_quanta == pytest.approx(5.004, abs=0.001)


def test_a_model_that_is_refused_is_compared_where_it_runs():
    model = ts.load(FIXTURES / "bias_scale_per_tensor.tflite")
    found = verify(model, ts.fix_bias_scale(model, keep="values").model, VerifySettings(meaning=True))
    assert [result.before.ok for result in found.modes] == [True, False]
    assert "scale_diff / output_scale" in found.modes[1].before.message
    assert found.modes[1].comparison is None
    assert found.modes[1].after_meaning.outputs[0].difference.max_quanta < 0.51
    assert found.is_compared
    assert found.exceeded == ()


def test_the_first_operator_that_departs_is_named():
    found = verified(builders.chain(3), models.damaged(1), all_tensors=True)
    comparison = found.modes[0].comparison
    assert [item.operator for item in comparison.tensors] == [(number, "FULLY_CONNECTED") for number in range(3)]
    assert comparison.tensors[0].difference.is_equal
    assert comparison.departs is comparison.tensors[1]
    assert found.modes[0].note == ""


def test_a_tolerance_moves_the_place_of_departure():
    settings = {"all_tensors": True, "tolerances": Tolerances(quanta=1000.0)}
    found = verified(builders.chain(3), models.damaged(1), **settings)
    assert found.modes[0].comparison.departs is None


def test_intermediates_of_a_wrong_bias_depart_from_the_meaning():
    model = builders.chain(3)
    builders.damage(part(model, "bias", 1), 3.0)
    found = verified(model, model, DELEGATED, meaning=True, all_tensors=True)
    (result,) = found.modes
    assert result.comparison.is_equal
    assert result.after_meaning.departs.operator == (1, "FULLY_CONNECTED")
    assert "changes what the delegate takes" in result.note


def test_intermediates_without_common_names_are_matched_by_number():
    other = builders.chain(3)
    for number, tensor in enumerate(other.subgraphs[0].tensors):
        tensor.name = f"other_{number}"
    found = verified(builders.chain(3), other, all_tensors=True)
    assert len(found.modes[0].comparison.tensors) == 3
    assert found.modes[0].comparison.departs is None


def test_values_are_those_of_the_interpreter(tmp_path):
    """The measured difference, worked out from the two models' own arithmetic."""
    before, after = builders.chain(1), builders.chain(1)
    builders.part(after, "bias").set_values(part(before, "bias").values() + 4000)
    path = tmp_path / "inputs.npz"
    source = part(before, "input")
    stored = builders.spread(source.shape, -100, 100, seed=8).astype("i1")
    np.savez(path, input_0=stored)
    found = verified(before, after, inputs=path)
    step = builders.scales(part(before, "output"))[0]
    apart = np.abs(computed(node(after), stored) - computed(node(before), stored)) / step
    assert found.modes[0].comparison.outputs[0].difference.max_quanta == pytest.approx(apart.max(), abs=1)
    assert found.modes[0].comparison.outputs[0].difference.mean_quanta == pytest.approx(apart.mean(), abs=1)


def test_types_that_differ_are_compared_in_real_values():
    model = builders.chain(1)
    for before, after in ((model, models.as_floats(model)), (models.as_floats(model), model)):
        found = verified(before, after)
        (output,) = found.modes[0].comparison.outputs
        # Half for rounding the output, and what rounding a float input makes of it.
        assert output.difference.max_quanta <= 1
        assert output.difference.quantum == builders.scales(part(model, "output"))[0]
        assert not output.difference.stored_alike


def test_a_float_made_by_dequantize_has_the_quantum_of_its_source():
    net = builders.Net()
    source, last = builders.net_layer(net)
    result = net.tensor("real", last.shape, "FLOAT32")
    net.operator("DEQUANTIZE", 2, [last], [result], "DequantizeOptions")
    model = net.model([source], [result])
    found = verified(model, model, meaning=True, tolerances=Tolerances(quanta=0.6))
    assert found.modes[0].after_meaning.outputs[0].difference.quantum == builders.scales(last)[0]
    assert found.exceeded == found.unjudged == ()


def test_outputs_are_paired_by_the_signatures_names():
    found = verified(models.two_outputs(), models.two_outputs(swapped=True))
    assert found.modes[0].comparison.is_equal
    assert [item.name for item in found.modes[0].comparison.outputs] == ["output_0", "output_1"]


def test_another_number_of_outputs_is_said():
    with pytest.raises(SurgeonError, match="before has 2 outputs and after has 1"):
        verified(models.two_outputs(), builders.layer())


def test_a_model_that_kills_its_interpreter_is_reported():
    found = verified(models.killing(), models.killing())
    (result,) = found.modes
    assert result.before.verdict == result.after.verdict == "crash:SIGABRT"
    assert not found.is_compared
    assert found.exceeded == ()


def test_failing_alone_is_exceeding():
    found = verified(builders.layer(), models.refused())
    assert found.modes[0].after.verdict == "fail:allocate"
    assert found.exceeded == (f"{PLAIN}: after does not run, before does",)


def test_the_seed_decides():
    model, other = builders.chain(1), models.damaged(0)

    def means(seed: int) -> float:
        return verified(model, other, seed=seed).modes[0].comparison.outputs[0].difference.snr

    first = builders.chain(1)
    assert means(1) == means(1)
    assert means(1) != means(2)
    assert ts.dumps(first) == ts.dumps(model)


@pytest.mark.parametrize(
    ("tolerances", "count"),
    [
        (Tolerances(quanta=5.0), 0),
        (Tolerances(quanta=4.9), 1),
        (Tolerances(real=0.0156), 0),
        (Tolerances(real=0.0155), 1),
        (Tolerances(snr=30.0), 0),
        (Tolerances(snr=40.0), 1),
        (Tolerances(4.9, 0.0155, 40.0), 3),
    ],
)
def test_tolerances(tolerances, count):
    model = ts.load(FIXTURES / "bias_scale_per_tensor.tflite")
    found = verified(model, ts.fix_bias_scale(model, keep="values").model, DELEGATED, tolerances=tolerances)
    assert len(found.exceeded) == count


def test_quanta_do_not_judge_floats():
    found = verified(models.open_batch(), models.open_batch(), tolerances=Tolerances(quanta=1.0))
    (sentence,) = found.unjudged
    assert "'output' has no quantum" in sentence


@pytest.mark.parametrize("name", ["input", "renamed"])
def test_inputs_by_tensor_and_by_signature_name(name, tmp_path):
    model = models.open_batch()
    model.signature_defs[0].inputs[0].name = "renamed"
    path = tmp_path / "inputs.npz"
    np.savez(path, **{name: np.array([[-1, 2, 3, 9], [0, 0, 0, 0], [5, 5, 5, 7]], "f4")})
    found = verified(model, model, inputs=path)
    # Resized to what was given.
    assert found.modes[0].comparison.outputs[0].difference.elements == 12


def test_real_values_for_a_quantised_input(tmp_path):
    model = builders.chain(1)
    path = tmp_path / "inputs.npz"
    source = part(model, "input")
    stored = builders.spread(source.shape, -100, 100, seed=8)
    np.savez(path, input_0=real(source, stored).astype("f4"))
    found = verified(model, models.as_floats(model), inputs=path)
    assert found.modes[0].comparison.outputs[0].difference.max_quanta <= 0.51


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({}, "has no array for input 0: 'input_0'; it has none"),
        ({"other": np.zeros(1)}, "has no array for input 0: 'input_0'; it has 'other'"),
        ({"input_0": np.zeros((2, 3), "i1"), "other": np.zeros(1)}, "has arrays for no input: 'other'"),
        ({"input_0": np.zeros((2, 7), "i1")}, "has shape [2, 3], the file has [2, 7]"),
        ({"input_0": np.full((2, 3), 300)}, "takes int8, the file has int64"),
        ({"input_0": np.full((2, 3), "a")}, "takes int8, the file has bytes"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(arrays, text, tmp_path):
    path = tmp_path / "inputs.npz"
    np.savez(path, **arrays)
    with pytest.raises(SurgeonError) as caught:
        verified(builders.chain(1), builders.chain(1), inputs=path)
    assert text in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not numpy", None])
def test_files_that_hold_no_arrays(content, tmp_path):
    path = tmp_path / "inputs.npz"
    if content is None:
        np.save(tmp_path / "inputs.npy", np.zeros(3))
        path = tmp_path / "inputs.npy"
    else:
        path.write_bytes(content)
    with pytest.raises(SurgeonError, match="inputs"):
        verified(builders.chain(1), builders.chain(1), inputs=path)


@pytest.mark.parametrize("make", [builders.svdf, builders.lstm], ids=lambda make: make.__name__)
def test_operators_with_state_mean_what_they_compute(make):
    model = make()
    if make is builders.svdf:  # The integer kernel leaves its RELU to the output's range, as converters write it.
        part(model, "output").quantization.zero_point = [-128]
    found = verified(model, model, meaning=True)
    (output,) = found.modes[0].after_meaning.outputs
    assert output.difference.max_quanta <= 4
