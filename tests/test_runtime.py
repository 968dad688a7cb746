"""The runtime room: verdicts, crashes, timeouts, reproducible inputs.

A stub interpreter, which does what the model's bytes say, proves the child's handling without any real interpreter.
The rest needs the real ones, and models: TFLITE_SURGEON_MODELS names a folder with manifest.jsonl and the files it
lists.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tflite_surgeon import runtime
from tflite_surgeon.runtime import RUNTIMES, Session, TensorDetail, available, run_once, sample_inputs

np = pytest.importorskip("numpy")

posix = pytest.mark.skipif(os.name != "posix", reason="the stub is a shell script, and signals are POSIX")

STUB = '''
import enum, os, signal, time
import numpy as np

class OpResolverType(enum.Enum):
    AUTO = 0
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 3

SERVED = 0

class Interpreter:
    """A model is a line of words: what to do in which stage, such as b"construct segv"."""

    def __init__(self, model_path, num_threads, experimental_op_resolver_type):
        global SERVED
        SERVED += 1
        self.threads, self.state = num_threads, 0
        self.words = open(model_path, "rb").read().decode().split()
        self.act("construct")

    def act(self, stage):
        if stage not in self.words:
            return
        what = self.words[self.words.index(stage) + 1]
        if what == "segv" or (what == "segv-later" and SERVED > 1):
            os.write(2, b"last words\\n")
            os.kill(os.getpid(), signal.SIGSEGV)
        elif what == "exit":
            os._exit(7)
        elif what == "hang":
            time.sleep(100)
        elif what == "raise":
            raise RuntimeError("no " + stage)
        elif what == "print":
            os.write(1, b"noise on fd 1 " * 1000)

    def allocate_tensors(self):
        self.act("allocate")

    def get_input_details(self):
        self.act("describe")
        return [{"name": "x", "index": 0, "shape": np.array([2, 3]), "dtype": np.float32,
                 "quantization_parameters": {"scales": [0.5], "zero_points": [-1], "quantized_dimension": 0}}]

    def get_output_details(self):
        return [{"name": "y", "index": 1, "shape": np.array([2, 3]), "dtype": np.float32},
                {"name": "none", "index": 2, "shape": np.array([0, 3]), "dtype": np.int32}]

    def set_tensor(self, index, value):
        self.x = value

    def invoke(self):
        self.act("invoke")
        self.state += 1

    def get_tensor(self, index):
        if index == 2:
            raise ValueError("Invalid tensor size.")
        return self.x + self.state

    def __del__(self):
        self.act("destroy")
'''


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the runtime "tflite-2.14" the stub; gives its name."""
    package = tmp_path / "stub" / "tflite_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text(STUB)
    info = tmp_path / "stub" / "tflite_runtime-2.14.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tflite-runtime\nVersion: 2.14.0\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}/stub" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("TFLITE_SURGEON_TFLITE_2_14_PYTHON", str(python))
    return "tflite-2.14"


def fake_python(folder: Path, script: str) -> str:
    """An executable shell script that claims to have a version 9 of whatever package."""
    path = folder / "fake"
    path.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then echo version 9; exit 0; fi\n{script}\n')
    path.chmod(0o755)
    return str(path)


# ------------------------------------------------------------------ names and availability


def test_unknown_runtime() -> None:
    with pytest.raises(ValueError, match="unknown runtime 'onnx'; known: litert"):
        available("onnx")
    with pytest.raises(ValueError, match="unknown runtime"):
        Session("onnx")


def test_absent_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    why = available("litert")
    assert why is not None
    assert "pip install 'tflite-surgeon[litert]'" in why
    with pytest.raises(RuntimeError, match="pip install"):
        Session("litert-no-delegate")


@pytest.mark.parametrize(
    ("name", "variable"),
    [("tflite-2.14", "TFLITE_SURGEON_TFLITE_2_14_PYTHON"), ("tflm", "TFLITE_SURGEON_TFLM_PYTHON")],
)
def test_environment_variable_unset_or_wrong(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable, raising=False)
    assert f"{variable} is not set" in str(available(name))
    monkeypatch.setenv(variable, "/no/such/python")
    assert "no executable file: /no/such/python" in str(available(name))


@posix
def test_python_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for script, why in [
        ("exit 0", "does not run"),
        ("echo version", "lacks"),
        ("echo version 2.11.0", "2.11.0, not"),
    ]:
        path = tmp_path / why.replace(" ", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("TFLITE_SURGEON_TFLITE_2_14_PYTHON", str(path))
        assert why in str(available("tflite-2.14"))


def test_import_is_cheap_and_parent_never_loads_an_interpreter() -> None:
    code = (
        "import sys; from tflite_surgeon.runtime import available; available('litert')\n"
        "print([m for m in ('numpy', 'ai_edge_litert', 'tflite_runtime', 'tflite_micro') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------ the child, with the stub


@posix
def test_stub_outputs_details_and_state(stub: str) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    run = run_once(stub, b"fine", inputs=[x], invocations=3)
    assert (run.verdict, run.stage, run.message, run.ok) == ("ok", "", "", True)
    assert [row[0].tolist() for row in run.outputs] == [(x + n).tolist() for n in (1, 2, 3)]
    assert run.outputs[0][0].dtype == np.float32
    assert run.outputs[0][1].shape == (0, 3), "an empty output is no failure"
    assert run.outputs[0][1].dtype == np.int32
    assert run.inputs == (TensorDetail("x", (2, 3), "float32", (0.5,), (-1,), 0),)
    assert [d.name for d in run.output_details] == ["y", "none"]


@posix
def test_without_allocation_it_stops_after_construction(stub: str) -> None:
    with Session(stub) as session:
        run = session.run(b"allocate raise", invoke=False, allocate=False)
        assert (run.verdict, [detail.name for detail in run.inputs]) == ("ok", ["x"])
        with pytest.raises(ValueError, match="without allocating"):
            session.run(b"fine", allocate=False)


@posix
@pytest.mark.parametrize("stage", ["construct", "allocate", "invoke"])
def test_stub_failure_crash_and_hang_are_attributed(stub: str, stage: str) -> None:
    with Session(stub, timeout=1.0) as session:
        failed = session.run(f"{stage} raise".encode())
        assert (failed.verdict, failed.stage, failed.outputs) == (f"fail:{stage}", "", ())
        assert failed.message == f"RuntimeError: no {stage}"
        crashed = session.run(f"{stage} segv".encode())
        assert (crashed.verdict, crashed.stage) == ("crash:SIGSEGV", stage)
        assert "last words" in crashed.message
        assert session.run(f"{stage} exit".encode()).verdict == "crash:EXIT_7"
        started = time.monotonic()
        hung = session.run(f"{stage} hang".encode())
        assert (hung.verdict, hung.stage) == ("timeout", stage)
        assert time.monotonic() - started < 5.0
        assert session.run(b"fine").ok


@posix
def test_crash_in_the_destructor_belongs_to_the_model(stub: str) -> None:
    assert run_once(stub, b"destroy segv").verdict == "crash:SIGSEGV"


@posix
def test_prints_of_the_interpreter_do_not_reach_the_protocol(stub: str) -> None:
    assert run_once(stub, b"construct print allocate print invoke print").ok


@posix
def test_crash_that_needs_a_used_child_is_the_models(stub: str) -> None:
    """In a fresh child the first run is fine and the second is not: nobody else can have done it."""
    with Session(stub) as session:
        assert session.run(b"invoke segv-later").ok
        assert session.run(b"fine").ok
        assert session.run(b"invoke segv-later").verdict == "crash:SIGSEGV"


@posix
def test_crash_that_does_not_come_back_is_only_noted(stub: str) -> None:
    with Session(stub) as session:
        assert session.run(b"fine").ok
        first = session.pid
        assert first is not None
        # what an earlier model's damage would do: the child dies in the middle of an innocent model
        real = session._attempt
        killed: list[runtime.Run | None] = []

        def attempt(request: dict[str, Any], blobs: list[bytes]) -> runtime.Run | None:
            run = real(request, blobs)
            if killed:
                return run
            killed.append(run)
            session._stop(kill=True)
            return runtime.Run("crash:SIGSEGV", "invoke", "", (), (), ())

        session._attempt = attempt  # type: ignore[method-assign]
        run = session.run(b"fine")
        assert run.ok
        assert "not in a fresh one" in run.message
        assert session.pid != first


@posix
def test_child_killed_between_runs_is_replaced(stub: str) -> None:
    with Session(stub) as session:
        assert session.pid is None
        assert session.run(b"fine").ok
        first = session.pid
        assert first is not None
        assert session.run(b"fine").ok
        assert session.pid == first, "one child serves many models"
        os.kill(first, signal.SIGSEGV)
        assert session.run(b"fine").ok
        assert session.pid != first


@posix
def test_stopped_child_times_out(stub: str) -> None:
    """The child that does not even read is a timeout as well."""
    with Session(stub, timeout=0.5) as session:
        assert session.version == "2.14.0"
        assert session.pid is not None
        os.kill(session.pid, signal.SIGSTOP)
        big = [np.zeros((1 << 20,), np.float32)]
        assert session.run(b"fine", inputs=big).verdict == "timeout"
        assert session.run(b"fine").ok


@posix
def test_no_invoke(stub: str) -> None:
    run = run_once(stub, b"invoke raise", invoke=False)
    assert (run.verdict, run.outputs) == ("ok", ())
    assert run.inputs[0].shape == (2, 3)
    unreadable = run_once(stub, b"describe raise", invoke=False)
    assert (unreadable.verdict, unreadable.message) == ("ok", "RuntimeError: no describe")
    assert run_once(stub, b"describe raise").verdict == "fail:invoke"


@posix
def test_bad_arguments_are_errors_not_verdicts(stub: str, tmp_path: Path) -> None:
    with Session(stub) as session:
        with pytest.raises(ValueError, match="2 inputs given, the model has 1"):
            session.run(b"fine", inputs=[np.zeros((2, 3), np.float32)] * 2)
        with pytest.raises(ValueError, match=r"given as float32\[3, 2\], the model takes float32\[2, 3\]"):
            session.run(b"fine", inputs=[np.zeros((3, 2), np.float32)])
        with pytest.raises(ValueError, match=r"given as int8\[2, 3\]"):
            session.run(b"fine", inputs=[np.zeros((2, 3), np.int8)])
        with pytest.raises(ValueError, match="seed"):
            session.run(b"fine", seed=-1)
        with pytest.raises(ValueError, match="invocations"):
            session.run(b"fine", invocations=0)
        with pytest.raises(FileNotFoundError):
            session.run(tmp_path / "absent.tflite")
        assert session.run(b"fine").ok
    with pytest.raises(ValueError, match="timeout"):
        Session(stub, timeout=0)


@posix
def test_model_by_path_also_not_ascii(stub: str, tmp_path: Path) -> None:
    with Session(stub) as session:
        for name in ("m.tflite", "modèle.tflite"):
            path = tmp_path / name
            path.write_bytes(b"allocate raise")
            assert session.run(path).verdict == "fail:allocate"
            assert session.run(str(path)).verdict == "fail:allocate"
            assert path.read_bytes() == b"allocate raise"


@posix
def test_no_files_left_behind(stub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with Session(stub) as session:
        session.run(b"fine")
        session.run(b"invoke segv")
    assert list(folder.iterdir()) == []


@posix
@pytest.mark.parametrize("script", ["echo this is not a frame at all", "exit 3", "echo oh dear >&2"])
def test_child_that_does_not_speak_the_protocol(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFLITE_SURGEON_TFLM_PYTHON", fake_python(tmp_path, script))
    with Session("tflm") as session:
        with pytest.raises(RuntimeError, match=r"protocol|did not start") as caught:
            session.run(b"x")
        assert session.pid is None
    if "dear" in script:
        assert "oh dear" in str(caught.value)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_child_ends_with_the_session_and_with_the_parent(stub: str) -> None:
    with Session(stub) as session:
        session.run(b"fine")
        pid = session.pid
    assert pid is not None
    assert session.pid is None
    assert is_gone(pid)
    code = (
        "import os, signal; from tflite_surgeon.runtime import Session\n"
        f"s = Session({stub!r}); s.run(b'fine'); print(s.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    orphan = int(done.stdout)
    deadline = time.monotonic() + 10
    while not is_gone(orphan) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert is_gone(orphan)


# ------------------------------------------------------------------ inputs


def detail(dtype: str, *shape: int) -> TensorDetail:
    return TensorDetail("", shape, dtype, (), (), 0)


def test_sampled_inputs() -> None:
    kinds = [
        "int8",
        "uint8",
        "int16",
        "int32",
        "int64",
        "uint32",
        "float32",
        "float16",
        "bool",
        "complex64",
        "bytes",
    ]
    details = [detail(kind, 40, 50) for kind in kinds]
    first, again, other = sample_inputs(details, 7), sample_inputs(details, 7), sample_inputs(details, 8)
    for kind, a, b, c in zip(kinds, first, again, other, strict=True):
        assert a.shape == (40, 50)
        assert a.dtype == (object if kind == "bytes" else np.dtype(kind))
        assert (a == b).all()
        assert not (a == c).all()
    by_kind = dict(zip(kinds, first, strict=True))
    assert (by_kind["int8"].min(), by_kind["int8"].max()) == (-128, 127)
    assert (by_kind["uint8"].min(), by_kind["uint8"].max()) == (0, 255)
    assert by_kind["int16"].min() < -32000
    assert by_kind["int16"].max() > 32000
    for kind in ("int32", "int64", "uint32"):
        assert set(by_kind[kind].ravel().tolist()) == {0, 1, 2, 3}
    assert abs(float(by_kind["float32"].mean())) < 0.1
    assert abs(float(by_kind["float32"].std()) - 1) < 0.1
    assert all(isinstance(x, bytes) for x in by_kind["bytes"].ravel())
    same_type = sample_inputs([detail("int8", 9), detail("int8", 9)], 0)
    assert not (same_type[0] == same_type[1]).all(), "each input has its own stream"


def test_zero_inputs_and_odd_shapes() -> None:
    x, s, empty, scalar = sample_inputs(
        [detail("int8", 2), detail("bytes", 2), detail("float32", 0, 4), detail("bytes")], None
    )
    assert x.tolist() == [0, 0]
    assert s.tolist() == [b"", b""]
    assert empty.shape == (0, 4)
    assert scalar.shape == ()
    assert sample_inputs([detail("float32")], 1)[0].shape == ()
    assert sample_inputs([detail("int8", 0)], 1)[0].shape == (0,)


# ------------------------------------------------------------------ the real interpreters

HELLO = "tensorflow+tflite-micro/hello_world_int8.tflite"
STRINGS = "google-ai-edge+LiteRT/string_input_model.bin"
RECORDED_AS = {
    "litert": "litert_default",
    "litert-no-delegate": "litert_nodelegate",
    "tflite-2.14": "tflrt_default",
    "tflite-2.14-no-delegate": "tflrt_nodelegate",
    "tflm": "tflm",
}
COMPARED = [
    "tensorflow+tflite-micro/hello_world_int8.tflite",
    "google-ai-edge+LiteRT/add_c1_c7.tflite",
    "google-ai-edge+LiteRT/l2_norm_composite.tflite",
    "google-ai-edge+LiteRT/static_w8_a16_quantized_q_einsum.tflite",
    "google-ai-edge+LiteRT/simple_topk_op_runtime_k.tflite",
    "google-ai-edge+LiteRT/resource_vars_calibrated.bin",
    "google-ai-edge+LiteRT/argmax.bin",
    "google-ai-edge+LiteRT/string.bin",
    "google-ai-edge+LiteRT/tensor_string_data_type.bin",
    "google-ai-edge+LiteRT/transpose.bin",
    "google-ai-edge+LiteRT/add_shared_tensors.bin",
    "google-ai-edge+LiteRT/add_unknown_dimensions.bin",
    "tensorflow+tflite-micro/transpose_conv4.tflite",
    "tensorflow+tflite-micro/audio_preprocessor_float.tflite",
    "google-coral+test_data/model_invoking_error.tflite",
]
CRASHERS = {
    "litert": ("tensorflow+tflite-micro/keyword_scrambled_8bit.tflite", "invoke"),
    "litert-no-delegate": ("tensorflow+tflite-micro/keyword_scrambled_8bit.tflite", "invoke"),
    "tflm": ("google-coral+test_data/model_invoking_error.tflite", "allocate"),
}


@pytest.fixture(scope="module")
def models() -> Path:
    folder = os.environ.get("TFLITE_SURGEON_MODELS")
    if not folder:
        pytest.skip("TFLITE_SURGEON_MODELS is not set: a folder of models with their manifest.jsonl")
    return Path(folder)


@pytest.fixture(params=RUNTIMES)
def real(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    why = available(name)
    if why is not None:
        pytest.skip(why)
    return name


def test_hello_world(real: str, models: Path) -> None:
    model = (models / HELLO).read_bytes()
    with Session(real) as session:
        assert session.version[0].isdigit()
        zeros = session.run(model, seed=None)
        assert zeros.verdict == "ok"
        assert zeros.inputs[0].dtype == "int8"
        assert zeros.inputs[0].shape == (1, 1)
        assert zeros.inputs[0].scales == pytest.approx((0.02448012,))
        assert zeros.inputs[0].zero_points == (-128,)
        assert zeros.output_details[0].scales == pytest.approx((0.00829096,))
        one = np.array([[-128 + round(1.5708 / 0.02448012)]], np.int8)
        (y,) = session.run(models / HELLO, inputs=[one], invocations=2).outputs[1]
        assert (int(y[0, 0]) - 5) * 0.00829096 == pytest.approx(1.0, abs=0.05), "sin(pi / 2)"
        given = sample_inputs(zeros.inputs, 11)
        assert session.run(model, seed=11).outputs == session.run(model, inputs=given).outputs


def test_same_seed_same_outputs(real: str, models: Path) -> None:
    path = models / "google-ai-edge+LiteRT/resource_vars_calibrated.bin"
    with Session(real) as session:
        first, again, other = (session.run(path, seed=seed) for seed in (1, 1, 2))
    fresh = run_once(real, path, seed=1)
    assert first.ok
    for a, b, c, d in zip(first.outputs[0], again.outputs[0], fresh.outputs[0], other.outputs[0], strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes()
        assert a.tobytes() != d.tobytes()


def test_bytes_that_are_no_model(real: str) -> None:
    with Session(real) as session:
        stage = "allocate" if real == "tflm" else "construct"
        for junk in (b"", b"TFL3", b"\x10\0\0\0TFL4 and more bytes"):
            run = session.run(junk)
            assert run.verdict == f"fail:{stage}"
            assert run.message


def test_strings(real: str, models: Path) -> None:
    if real == "tflm":
        pytest.skip("tflm has no strings")
    with Session(real) as session:
        sampled = session.run(models / STRINGS, seed=0)
        assert sampled.inputs[0].dtype == "bytes"
        ((y,),) = sampled.outputs
        assert y.ravel().tolist() == sample_inputs(sampled.inputs, 0)[0].ravel().tolist()
        x = np.empty(sampled.inputs[0].shape, dtype=object)
        x[...] = b"nul \0 inside"
        x.flat[0] = "é"
        ((y,),) = session.run(models / STRINGS, inputs=[x]).outputs
        assert y.dtype == object
        assert y.ravel().tolist() == ["é".encode()] + [b"nul \0 inside"] * (x.size - 1)


def test_real_crash_is_reported_and_survived(real: str, models: Path) -> None:
    if real not in CRASHERS:
        pytest.skip("no model at hand that crashes it for certain")
    name, stage = CRASHERS[real]
    with Session(real) as session:
        assert session.run(models / HELLO).ok
        crashed = session.run(models / name, seed=None)
        assert crashed.verdict in ("crash:SIGSEGV", "crash:SIGABRT")
        assert crashed.stage == stage
        assert stage in crashed.message
        assert session.run(models / HELLO).ok


def test_real_timeout(real: str, models: Path) -> None:
    with Session(real, timeout=0.7) as session:
        run = session.run(models / HELLO, invocations=10**9)
        assert (run.verdict, run.stage) == ("timeout", "invoke")
        assert session.run(models / HELLO).ok


def test_tflm_gives_the_reasons_it_prints(models: Path) -> None:
    why = available("tflm")
    if why is not None:
        pytest.skip(why)
    run = run_once("tflm", models / "google-ai-edge+LiteRT/simple_atan2_op.tflite")
    assert run.verdict == "fail:allocate"
    assert "ATAN2" in run.message


def test_verdicts_are_the_recorded_ones(real: str, models: Path) -> None:
    rows = [json.loads(line) for line in (models / "manifest.jsonl").read_text().splitlines()]
    recorded = {row["file"]: row["runtimes"][RECORDED_AS[real]]["verdict"] for row in rows if row["file"] in COMPARED}
    assert set(recorded) == set(COMPARED)
    with Session(real) as session:
        found = {name: session.run(models / name, seed=None).verdict for name in COMPARED}
    assert found == recorded
    assert len(set(found.values())) >= 3, "the sample must not be all alike"
