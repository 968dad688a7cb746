"""`io`, and `explain` for buffers that do not fit: text, JSON, and code that runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests import builders
from tests.interpreters import session
from tests.views import nets
from tflite_surgeon.cli.app import app

run = CliRunner().invoke
MESSAGE = "Cannot convert between a TensorFlowLite buffer with 120000 bytes and a ByteBuffer with 30000 bytes"


def saved(model: ts.Model, folder: Path, name: str = "net.tflite") -> str:
    path = folder / name
    path.write_bytes(ts.dumps(model))
    return str(path)


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_person_who_fed_30000_bytes_reads_the_reason(tmp_path: Path) -> None:
    result = run(app, ["io", saved(nets.picture(), tmp_path)])
    assert result.exit_code == 0
    said = words(result.stdout)
    assert "120000 = 1 x 100 x 100 x 3 values x 4 bytes" in said
    assert "120000 bytes where one byte a value makes 30000" in said
    assert "quantising weights after training makes the file smaller and leaves input and output FLOAT32" in said
    assert "inference_input_type" in said
    assert "ByteBuffer.putFloat" in said
    assert "ByteBuffer.allocateDirect(120000)" in said


def test_explain_leads_to_the_same(tmp_path: Path) -> None:
    path = saved(nets.picture(), tmp_path)
    result = run(app, ["explain", MESSAGE, path])
    assert result.exit_code == 0
    said = words(result.stdout)
    assert "input 0 'serving_default_x:0'" in said
    assert "1 x 100 x 100 x 3 values of FLOAT32 take 4 bytes each, 120000 in all" in said
    assert "leaves input and output FLOAT32" in said
    assert f"tflite-surgeon io {path}" in said
    assert "nothing of the kind" not in said


def test_explain_without_the_model_goes_by_the_ratio() -> None:
    said = words(run(app, ["explain", MESSAGE]).stdout)
    assert "The tensor takes 120000 bytes, the buffer has 30000." in said
    assert "The ratio of 4 is that of the types" in said
    assert "Provided" not in said
    for text in ("Provided data count 5 must match the required count 15.", MESSAGE.replace("30000", "40000")):
        assert "ratio of 3 is that of the channels" in words(run(app, ["explain", text]).stdout)


def test_explain_says_when_the_message_is_of_another_model(tmp_path: Path) -> None:
    said = words(run(app, ["explain", MESSAGE, saved(builders.layer(), tmp_path)]).stdout)
    assert "takes 120000 bytes: the message is about another model" in said
    assert "input 0 6 bytes 'input'" in said


def test_json(tmp_path: Path) -> None:
    model = nets.picture("INT8", (1, 96, 96, 1), scale=1 / 255, zero_point=-128, signature=[1, 96, 96, 1])
    result = run(app, ["io", saved(model, tmp_path), "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    (port,) = found["inputs"]
    assert (port["name"], port["dtype"], port["shape"], port["bytes"]) == (
        "serving_default_x:0",
        "int8",
        [1, 96, 96, 1],
        96 * 96,
    )
    assert port["quantization"]["scales"] == [builders.float32(1 / 255)]
    assert port["quantization"]["zero_points"] == [-128]
    assert port["quantization"]["formula"] == "real = (q + 128) * 0.00392156886"
    assert port["image"]["mean"] == 0
    assert port["image"]["std"] == pytest.approx(255)
    assert found["signatures"][0]["key"] == "serving_default"
    assert found["signatures"][0]["inputs"][0]["signature_name"] == "serving_default_x:0"


@pytest.mark.parametrize("make", [nets.broken, nets.empty], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    "options", [[], ["--json"], *(["--code", name] for name in ("python", "java", "kotlin", "c"))], ids=str
)
def test_broken_models_are_shown_as_they_are(make, options: list[str], tmp_path: Path) -> None:
    model = make()
    for graph in model.subgraphs or ():
        graph.tensors[0].name = "<b>\x1b[31m[red]\u202e" + "x" * 3000
    result = run(app, ["io", saved(model, tmp_path), *options])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    if options == ["--json"]:
        json.loads(result.stdout, parse_constant=pytest.fail)


def test_an_unusable_file_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    for command in (["io", str(tmp_path / "none")], ["ranges", str(tmp_path)], ["explain", MESSAGE, str(tmp_path)]):
        result = run(app, command)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("error: ")


def test_many_inputs_leave_code_to_an_option(tmp_path: Path) -> None:
    path = saved(builders.shared_bias(), tmp_path)
    assert f"tflite-surgeon io {path} --code" in run(app, ["io", path]).stdout
    assert "output2.rewind()" in run(app, ["io", path, "--code", "java"]).stdout


# The code


def code(model: ts.Model, language: str, folder: Path) -> str:
    return run(app, ["io", saved(model, folder), "--code", language]).stdout


MODELS = {
    "float": nets.picture(),
    "uint8": builders.layer(kind="UINT8"),
    "int8": builders.chain(),
    "int16": builders.layer(kind="INT16"),
    "open": nets.open_batch(),
    "several": builders.shared_bias(),
    "between": nets.behind_quantize(),
}
each_model = pytest.mark.parametrize("name", MODELS)


@each_model
def test_the_python_runs(name: str, tmp_path: Path) -> None:
    """On values that the input can hold, it hands over what the formula says and gives what the runtime gives."""
    session("litert")
    model = MODELS[name]
    text = code(model, "python", tmp_path)
    interface = ts.inputs_outputs(model)
    given = {}
    rng = np.random.default_rng(0)
    for number, port in enumerate(interface.inputs):
        low, high = port.range or (-1.0, 1.0)
        given[f"given_{number}"] = rng.uniform(low, high, port.shape).astype(np.float32)
        blank = f"values_{number} = np.zeros" if port.scales else f"input_{number} = np.zeros"
        assert blank in text
        text = text.replace(blank, f"{blank.split(' = ')[0]} = (lambda *_: given['given_{number}'])")
    np.savez(tmp_path / "given.npz", **given)
    kept = ", ".join(
        f"{kind}_{number}={kind}_{number}"
        for kind, ports in (("input", interface.inputs), ("output", interface.outputs))
        for number in range(len(ports))
    )
    reals = ", ".join(f"real_{n}=real_{n}" for n, port in enumerate(interface.outputs) if port.scales)
    script = f"""
import numpy as np
with np.load("given.npz") as file:
    given = dict(file)
{text}
np.savez("out.npz", {kept}, {reals})
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    with np.load(tmp_path / "out.npz") as file:
        out = dict(file)
    inputs = []
    for number, port in enumerate(interface.inputs):
        real, fed = given[f"given_{number}"], out[f"input_{number}"]
        assert fed.dtype == port.dtype
        if port.scales:
            back = (fed.astype(np.float64) - port.zero_points[0]) * port.scales[0]
            assert np.abs(back - real).max() <= port.scales[0] * 0.5001
        else:
            assert (fed == real).all()
        inputs.append(fed)
    outcome = session("litert").run(ts.dumps(model), inputs=inputs)
    assert outcome.ok, outcome.message
    for number, port in enumerate(interface.outputs):
        assert (outcome.outputs[0][number] == out[f"output_{number}"]).all()
        if port.scales:
            integers = out[f"output_{number}"].astype(np.float64)
            expected = (integers - port.zero_points[0]) * port.scales[0]
            assert np.allclose(out[f"real_{number}"], expected, rtol=1e-5)


_JAVA = """
import java.nio.ByteBuffer; import java.nio.ByteOrder; import java.util.HashMap; import java.util.Map;
class Net {{
    static class Interpreter {{
        void resizeInput(int index, int[] shape) {{}}
        void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs) {{}}
    }}
    void run(Interpreter interpreter, {arrays}) {{
{code}
    }}
}}
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="javac is not installed")
@each_model
def test_the_java_compiles(name: str, tmp_path: Path) -> None:
    count = len(MODELS[name].subgraphs[0].inputs)
    arrays = ", ".join(f"float[] values{number}" for number in range(count))
    (tmp_path / "Net.java").write_text(_JAVA.format(arrays=arrays, code=code(MODELS[name], "java", tmp_path)))
    done = subprocess.run(["javac", "-Xlint:all", "Net.java"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


_C = """
#include <algorithm>
#include <cmath>
#include <cstdint>
struct TfLiteTensor; enum TfLiteStatus {{ kTfLiteOk }};
namespace tflite {{ template <typename T> T* GetTensorData(TfLiteTensor*); }}
struct Interpreter {{ TfLiteTensor* input(int); TfLiteTensor* output(int); TfLiteStatus Invoke(); }};
void run(Interpreter& interpreter, {arrays}) {{
{code}
}}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
@each_model
def test_the_c_compiles(name: str, tmp_path: Path) -> None:
    count = len(MODELS[name].subgraphs[0].inputs)
    arrays = ", ".join(f"const float* values{number}" for number in range(count))
    (tmp_path / "net.cc").write_text(_C.format(arrays=arrays, code=code(MODELS[name], "c", tmp_path)))
    done = subprocess.run(
        ["g++", "-std=c++17", "-fsyntax-only", "net.cc"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@each_model
def test_the_kotlin_says_what_the_java_says(name: str, tmp_path: Path) -> None:
    java, kotlin = (code(MODELS[name], language, tmp_path) for language in ("java", "kotlin"))
    for port in ts.inputs_outputs(MODELS[name]).inputs:
        for text in (java, kotlin):
            assert f"allocateDirect({port.bytes_of_shape})" in text
            assert (
                f".{'putFloat' if port.dtype == 'float32' else 'putShort' if port.dtype == 'int16' else 'put'}(" in text
            )
    assert kotlin.count("allocateDirect") == java.count("allocateDirect")
    assert ";" not in kotlin
