"""The models in fixtures/ are what their script makes, and have the fault that their script describes."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.interpreters import same_outputs, session
from tflite_surgeon.model import compare

FOLDER = Path(__file__).resolve().parent.parent / "fixtures"
NAMES = ("per_tensor", "per_channel", "uint8", "shared")
# fmt: off
INTEGERS = [
    13, -24, -19, -9, 4, 59, -18, 9, 14, -15, 13, 6, 12, 5, 10, -2, -14,
    16, 11, -1, 12, 7, -4, 16, -8, 6, -17, -7, 9, -15, 7, -29, 5, 3,
]
# fmt: on


HEALTHY = FOLDER / "healthy_200.tflite"
BROKEN = FOLDER / "broken_40.tflite"
INTEGER_WEIGHTS = FOLDER / "integer_weights.tflite"


def path(name: str) -> Path:
    return FOLDER / f"bias_scale_{name}.tflite"


def make_fixtures():
    spec = importlib.util.spec_from_file_location("make_fixtures", FOLDER / "make_fixtures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_the_files_that_are_here(tmp_path):
    make_fixtures().main(tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in FOLDER.glob("*.tflite")}
    assert sorted(made) == sorted(
        [HEALTHY.name, BROKEN.name, INTEGER_WEIGHTS.name, *(path(name).name for name in NAMES)]
    )


@pytest.mark.parametrize("name", NAMES)
def test_looks_like_a_converter_s_file(name):
    model = ts.load(path(name))
    assert model.version == 3
    assert model.description == "MLIR Converted."
    assert [signature.signature_key for signature in model.signature_defs] == ["serving_default"]
    assert [(entry.name, bytes(entry.buffer.data)) for entry in model.metadata] == [
        ("min_runtime_version", b"1.14.0" + bytes(10))
    ]
    assert [(code.deprecated_builtin_code, int(code.builtin_code)) for code in model.operator_codes] == [(9, 9)]
    assert all(tensor.name and tensor.quantization for tensor in model.subgraphs[0].tensors)


def test_starting_case():
    model = ts.load(path("per_tensor"))
    value, weights, bias, output = (builders.part(model, role) for role in ("input", "weights", "bias", "output"))
    quantised = [(t.type_name, t.shape, t.quantization.scale, t.quantization.zero_point) for t in (value, output)]
    assert quantised == [
        ("INT8", [1, 34], [0.007448929361999035], [-128]),
        ("INT8", [1, 34], [0.0031077787280082703], [22]),
    ]
    assert (weights.type_name, weights.shape, weights.quantization.scale) == ("INT8", [34, 34], [0.002941111335530877])
    assert (bias.type_name, bias.shape, bias.quantization.scale) == ("INT32", [34], [0.0002854724007192999])
    assert builders.integers(bias) == INTEGERS


def test_per_channel_form_is_as_far_off():
    model = ts.load(path("per_channel"))
    bias, weights = builders.part(model, "bias"), builders.part(model, "weights")
    stored = np.array(bias.quantization.scale)
    units = np.array(weights.quantization.scale) * 0.007448929361999035
    assert len(stored) == len(units) == 34
    assert len(set(units)) == 34
    errors = np.abs(INTEGERS * (stored - units)) / 0.0031077787280082703
    assert errors.argmax() == INTEGERS.index(59)
    assert errors.max() == pytest.approx(5.0037, abs=1e-4)


def test_uint8_form_says_the_same_as_int8():
    eight, unsigned = (ts.load(path(name)) for name in ("per_tensor", "uint8"))
    for role in ("input", "weights", "output"):
        a, b = builders.part(eight, role).quantization, builders.part(unsigned, role).quantization
        assert (a.scale, [zero + 128 for zero in a.zero_point]) == (b.scale, b.zero_point)
    weights = builders.part(unsigned, "weights").values().astype(int) - 128
    assert (weights == builders.part(eight, "weights").values()).all()


def test_shared_bias_is_one_tensor_in_three_units():
    model = ts.load(path("shared"))
    operators = model.subgraphs[0].operators
    assert len({id(operator.role("bias")) for operator in operators}) == 1
    inputs = [operator.role("input").quantization.scale[0] for operator in operators]
    assert len(operators) == len(set(inputs)) == 3


# What the runtimes say of them before any repair.
@pytest.mark.parametrize(
    ("name", "runtime", "loads"),
    [
        ("per_tensor", "litert", True),
        ("per_tensor", "litert-no-delegate", False),
        ("per_tensor", "tflite-2.14", False),
        ("per_tensor", "tflm", False),
        ("uint8", "litert", True),
        ("uint8", "litert-no-delegate", False),
        ("uint8", "tflite-2.14", False),
        *((name, runtime, True) for name in ("per_channel", "shared") for runtime in ("litert", "litert-no-delegate")),
        *((name, runtime, True) for name in ("per_channel", "shared") for runtime in ("tflite-2.14", "tflm")),
    ],
)
def test_runtimes_before_the_repair(name, runtime, loads):
    run = session(runtime).run(path(name))
    assert run.ok == loads, run.message
    if loads:
        for output in run.outputs[0]:
            limits = np.iinfo(output.dtype)
            assert ((output > limits.min) & (output < limits.max)).mean() > 0.5
    else:
        assert "scale_diff / output_scale <= 0.02 was not true" in run.message


def test_the_healthy_one_is_healthy():
    model = ts.load(HEALTHY)
    assert len(model.subgraphs[0].operators) == 200
    assert ts.check(model, ("litert", "litert-no-delegate", "tflite-2.14", "tflm")) == []


@pytest.mark.parametrize("runtime", ["litert", "litert-no-delegate", "tflite-2.14", "tflm"])
def test_the_healthy_one_runs(runtime):
    run = session(runtime).run(HEALTHY.read_bytes(), seed=1)
    assert run.ok, run.message
    assert len(set(run.outputs[0][0].reshape(-1).tolist())) > 1


def test_what_was_broken_forty_times_becomes_the_healthy_one():
    outcome = ts.fix(ts.load(BROKEN))
    counts = Counter(item.finding.rule for item in outcome.repairs)
    assert counts == dict.fromkeys(
        ("bias-scale", "bias-type", "quantized-dimension", "xnnpack-zero-point", "zero-point-count"), 8
    )
    assert outcome.left == ()
    assert ts.check(outcome.model) == []
    assert list(compare.changes(ts.load(HEALTHY), outcome.model)) == []


@pytest.mark.parametrize("runtime", ["litert", "litert-no-delegate", "tflite-2.14", "tflm"])
def test_repaired_it_computes_what_the_healthy_one_does(runtime):
    real = session(runtime)
    assert not real.run(BROKEN).ok
    fixed = real.run(ts.dumps(ts.fix(ts.load(BROKEN)).model), seed=1)
    assert same_outputs(real.run(HEALTHY, seed=1), fixed)


@pytest.mark.parametrize("runtime", ["litert", "litert-no-delegate", "tflite-2.14"])
def test_the_one_with_integer_weights_takes_floats(runtime):
    run = session(runtime).run(INTEGER_WEIGHTS)
    assert run.ok, run.message
    assert (run.inputs[0].dtype, run.inputs[0].shape) == ("float32", (1, 100, 100, 3))
    assert len(np.unique(run.outputs[0][0])) > 100
