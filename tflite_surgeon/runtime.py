"""The real interpreter: does it load a model, what does it compute. Always in a child process.

Broken models kill interpreters (SIGSEGV, SIGABRT), so none is ever imported here: a `Session` keeps one child per
runtime, sends it models, and starts a new one when it died or ran out of time.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast, final

from tflite_surgeon import _runtime_worker as worker

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["RUNTIMES", "Run", "Session", "TensorDetail", "available", "run_once", "sample_inputs"]

_START_SECONDS = 60.0
_LOG_CHARS = 4000


@dataclass(frozen=True)
class _Spec:
    package: str
    flavour: str
    variable: str | None
    """The environment variable that names its Python; None = this Python."""
    version: str
    """What the version of the package must start with."""


_SPECS = {
    "litert": _Spec("ai_edge_litert", "default", None, ""),
    "litert-no-delegate": _Spec("ai_edge_litert", "no-delegate", None, ""),
    "tflite-2.14": _Spec("tflite_runtime", "default", "TFLITE_SURGEON_TFLITE_2_14_PYTHON", "2.14."),
    "tflite-2.14-no-delegate": _Spec("tflite_runtime", "no-delegate", "TFLITE_SURGEON_TFLITE_2_14_PYTHON", "2.14."),
    "tflm": _Spec("tflite_micro", "default", "TFLITE_SURGEON_TFLM_PYTHON", ""),
}

RUNTIMES: tuple[str, ...] = tuple(_SPECS)
"""The names of the runtimes, available or not."""


@dataclass(frozen=True)
class TensorDetail:
    """What the interpreter says of one input or output."""

    name: str
    """Empty on tflm, which keeps no names."""
    shape: tuple[int, ...]
    """After allocation; of an output after the last invocation, if there was one."""
    dtype: str
    """A numpy name ("float32", "int8", ...); "bytes" for strings."""
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    quantized_dimension: int
    shape_signature: tuple[int, ...] = ()
    """As the file has it, -1 where a dimension is open; the shape where it has none. Empty on tflm."""


@dataclass(frozen=True)
class Run:
    """What became of one model in one runtime."""

    verdict: str
    """ "ok", "fail:construct", "fail:allocate", "fail:invoke", "crash:<SIGNAL NAME>" or "timeout"."""
    stage: str
    """Of a crash or a timeout: "construct", "allocate" or "invoke", the stage the child was in; else ""."""
    message: str
    """The interpreter's words; "" if all went well. tflm's are the lines it printed."""
    outputs: tuple[tuple[NDArray[Any], ...], ...]
    """Per finished invocation, per output; strings as object arrays of bytes."""
    inputs: tuple[TensorDetail, ...]
    output_details: tuple[TensorDetail, ...]
    tensors: tuple[dict[int, TensorDetail], ...] = ()
    """With allocate=False, by subgraph and number; tflite-2.14 tells of the first subgraph alone."""
    kept: tuple[dict[int, NDArray[Any]], ...] = ()
    """Per finished invocation, the tensors asked for by number; those that the interpreter refused are absent."""

    @property
    def ok(self) -> bool:
        """Whether the verdict is "ok"."""
        return self.verdict == "ok"


@functools.cache
def _probe(python: str, package: str) -> str | None:
    """The version of a package in another Python, "" if it or numpy is absent, None if that Python does not run."""
    code = (
        "import importlib.util as u, importlib.metadata as m, sys\n"
        "here = u.find_spec('numpy') and u.find_spec(sys.argv[1])\n"
        "print('version', m.version(sys.argv[1]) if here else '')\n"
    )
    try:
        done = subprocess.run(
            [python, "-c", code, package],
            env=_environment(foreign=True),
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return None if done.returncode or words[:1] != ["version"] else "".join(words[1:])


def _spec(name: str) -> _Spec:
    if name not in _SPECS:
        raise ValueError(f"unknown runtime {name!r}; known: {', '.join(RUNTIMES)}")
    return _SPECS[name]


def available(name: str) -> str | None:
    """Return None if the runtime can be used, else a sentence that says why not.

    Imports no interpreter; of a runtime in another Python, that Python is asked (once). Raises ValueError for a name
    not in RUNTIMES.
    """
    spec = _spec(name)
    if spec.variable is None:
        if not sys.executable:
            return f"The runtime {name} needs a Python executable, and this process does not know its own."
        for package in (spec.package, "numpy"):
            if importlib.util.find_spec(package) is None:
                return f"The package {package} is not installed: pip install 'tflite-surgeon[litert]'"
        return None
    python = os.environ.get(spec.variable, "")
    if not python:
        return f"The environment variable {spec.variable} is not set: the path of a Python that has {spec.package}."
    if shutil.which(python) is None:
        return f"The environment variable {spec.variable} names no executable file: {python}"
    version = _probe(python, spec.package)
    if version is None:
        return f"The Python that {spec.variable} names does not run: {python}"
    if not version:
        return f"The Python that {spec.variable} names lacks numpy or {spec.package}: {python}"
    if not version.startswith(spec.version):
        return f"The Python that {spec.variable} names has {spec.package} {version}, not {spec.version}x: {python}"
    return None


def _environment(*, foreign: bool) -> dict[str, str]:
    """The child's environment; another Python must not get this one's PYTHONPATH and PYTHONHOME."""
    drop = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"} if foreign else set()
    return {k: v for k, v in os.environ.items() if k not in drop}


def sample_inputs(details: Sequence[TensorDetail], seed: int | None) -> tuple[NDArray[Any], ...]:
    """Return the inputs that `Session.run` makes for these details and this seed (None = zeros)."""
    return tuple(worker.sample_array(d.shape, d.dtype, seed, i) for i, d in enumerate(details))


@final
class Session:
    """One runtime in a child process, reused for many models; a context manager, safe to share between threads.

    The child is started by the first run, and anew after a crash or a timeout; it ends with `close`, or when this
    process dies. A crash in a child that has already run other models may be their doing: such a model is run again,
    twice, in a fresh child, and the crash counts only if it comes back. (Twice, because what an interpreter finds when
    it reads out of bounds depends on what was there before.)
    """

    def __init__(self, runtime: str, timeout: float = 60.0) -> None:
        """Choose a runtime of RUNTIMES; timeout is in seconds, for one run, without the start of the child.

        Raises ValueError for an unknown name or a timeout that is not positive, RuntimeError if the runtime is not
        available.
        """
        self._spec = _spec(runtime)
        if not 0 < timeout < threading.TIMEOUT_MAX:
            raise ValueError(f"timeout must be a positive number of seconds, not {timeout}")
        why = available(runtime)
        if why is not None:
            raise RuntimeError(why)
        self.runtime = runtime
        self.timeout = timeout
        self._lock = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None
        self._log: BinaryIO | None = None
        self._version = ""

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_log"):
            self.close()

    @property
    def version(self) -> str:
        """The version of the runtime's package, for example "2.3.0"; starts the child if there is none."""
        with self._lock:
            self._start()
            return self._version

    @property
    def pid(self) -> int | None:
        """The process id of the child; None if there is none at present."""
        child = self._child
        return None if child is None else child.pid

    def close(self) -> None:
        """End the child. A later run starts a new one."""
        with self._lock:
            self._stop()

    def run(
        self,
        model: bytes | str | os.PathLike[str],
        *,
        seed: int | None = 0,
        inputs: Sequence[NDArray[Any]] | None = None,
        invocations: int = 1,
        invoke: bool = True,
        allocate: bool = True,
        resize: bool = False,
        fetch: Sequence[int] = (),
    ) -> Run:
        """Construct the model (its bytes or its path), allocate its tensors, and invoke it.

        The inputs are those given, of the shapes and types of `Run.inputs`; else zeros if seed is None; else random,
        depending on seed, shape and type only (see `sample_inputs`). Each invocation gets the same inputs; variables
        keep their state from one to the next. With invoke=False it stops after allocation, with allocate=False after
        construction: shapes are then those of the file. One thread.

        With resize=True the model's inputs are first given the shapes of the inputs given. The tensors of the first
        subgraph that `fetch` numbers are handed out too (`Run.kept`); the interpreter then preserves all tensors, which
        changes how a delegate partitions the graph.

        Raises OSError if the file cannot be read, ValueError for inputs that do not fit the model, a negative seed or
        fewer than 1 invocations, allocate=False with invoke=True or on tflm, which allocates when it constructs,
        resize or fetch on tflm, which can neither; RuntimeError if the child does not start or breaks the protocol.
        """
        if seed is not None and seed < 0:
            raise ValueError(f"seed must be None or >= 0, not {seed}")
        if invocations < 1:
            raise ValueError(f"invocations must be >= 1, not {invocations}")
        if not allocate and (invoke or self._spec.package == "tflite_micro"):
            raise ValueError(f"{self.runtime} cannot {'invoke' if invoke else 'construct'} a model without allocating")
        if (resize or fetch) and self._spec.package == "tflite_micro":
            raise ValueError(f"{self.runtime} resizes no inputs and hands out no tensors but the outputs")
        request: dict[str, Any] = {"seed": seed, "invocations": invocations, "invoke": invoke, "allocate": allocate}
        request |= {"timeout": self.timeout, "inputs": None, "resize": resize and inputs is not None}
        request["fetch"] = [int(number) for number in fetch]
        blobs: list[bytes] = []
        if inputs is not None:
            packed = [worker.pack_array(array) for array in inputs]
            request["inputs"] = [meta for meta, _ in packed]
            blobs = [blob for _, blob in packed]
        with self._lock, _on_disk(model) as path:
            try:
                run = self._settle(request | {"path": path}, blobs)
            except _BadInputs:
                raise
            except BaseException:  # whatever the child is at now, it is out of step
                self._stop(kill=True)
                raise
        if run is None:
            raise RuntimeError(f"the {self.runtime} child died before it began with the model")
        return run

    # -------------------------------------------------------------- the child

    def _settle(self, request: dict[str, Any], blobs: list[bytes]) -> Run | None:
        fresh = self._start()
        run = self._attempt(request, blobs)
        if fresh or not (run is None or run.verdict.startswith("crash:")):
            return run
        self._start()
        second = self._attempt(request, blobs)
        if run is None or second is None or not second.ok:
            return second
        third = self._attempt(request, blobs)
        if third is not None and third.verdict.startswith("crash:"):
            return third
        note = f"{run.verdict} in a child that had run other models, but not in a fresh one"
        return replace(second, message=note)

    def _start(self) -> bool:
        """See to it that a child runs; True if it is a new one."""
        if self._child is not None and self._child.poll() is None:
            return False
        self._stop()
        variable = self._spec.variable
        foreign = variable is not None
        python = sys.executable if variable is None else os.environ.get(variable, "")
        command = [python, worker.__file__, self._spec.package, self._spec.flavour]
        self._log = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - _stop closes it
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=_environment(foreign=foreign),
            )
        except OSError as error:
            self._stop()
            raise RuntimeError(f"cannot start the {self.runtime} child with {python!r}: {error}") from error
        assert self._child.stdout is not None
        with _Deadline(self._child, _START_SECONDS):
            frame = _receive(self._child.stdout)
        if frame is None or frame[0].get("hello") != self._spec.package:
            self._stop(kill=True, keep_log=True)
            log = self._read_log()
            self._stop()
            raise RuntimeError(f"the {self.runtime} child did not start with {python!r}: {log or 'it said nothing'}")
        self._version = str(frame[0].get("version", ""))
        return True

    def _stop(self, kill: bool = False, keep_log: bool = False) -> None:
        child, self._child = self._child, None
        if child is not None:
            assert child.stdin is not None
            assert child.stdout is not None
            if kill:
                child.kill()
            with contextlib.suppress(OSError):
                child.stdin.close()
            try:
                child.wait(5.0)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdout.close()
        if self._log is not None and not keep_log:
            self._log.close()
            self._log = None

    def _read_log(self) -> str:
        """What the child printed since the log was last emptied; only while it is idle or dead (shared position)."""
        if self._log is None:
            return ""
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return text if len(text) <= _LOG_CHARS else "... " + text[-_LOG_CHARS:]

    def _attempt(self, request: dict[str, Any], blobs: list[bytes]) -> Run | None:
        """Send one request to the running child; None if the child died before it announced a stage."""
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        assert self._log is not None
        self._log.seek(0)
        self._log.truncate()
        stage = ""
        frame: tuple[dict[str, Any], list[bytes]] | None = None
        with _Deadline(child, self.timeout) as deadline:
            with contextlib.suppress(OSError):  # the child died: what follows reads EOF
                worker.write_frame(cast(BinaryIO, child.stdin), request, blobs)
            while True:
                frame = _receive(child.stdout)
                if frame is None or "stage" not in frame[0]:
                    break
                stage = str(frame[0]["stage"])
        stage = "allocate" if stage == "describe" else stage
        if frame is not None:
            return self._result(*frame)
        self._stop(keep_log=True)
        return self._post_mortem(child.returncode, stage, deadline.passed)

    def _result(self, header: dict[str, Any], blobs: list[bytes]) -> Run:
        if "bad_inputs" in header:
            raise _BadInputs(header["bad_inputs"])
        try:
            result = header["result"]
            rest = iter(blobs)
            outputs = tuple(tuple(worker.unpack_array(m, next(rest)) for m in row) for row in result["arrays"])
            inputs = tuple(map(_detail, result["inputs"]))
            details = tuple(map(_detail, result["outputs"]))
            tensors = tuple({number: _detail(raw) for number, raw in row} for row in result.get("tensors", ()))
            kept = tuple({n: worker.unpack_array(m, next(rest)) for n, m in row} for row in result["kept"])
            verdict, message = str(result["verdict"]), str(result["message"])
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise RuntimeError(f"the {self.runtime} child broke the protocol: {error!r}") from error
        if verdict != "ok" and self._spec.package == "tflite_micro":  # it prints its reasons
            message = "\n".join(filter(None, [self._read_log(), message]))
        return Run(verdict, "", message, outputs, inputs, details, tensors, kept)

    def _post_mortem(self, code: int, stage: str, timed_out: bool) -> Run | None:
        log = self._read_log()
        if timed_out or (hasattr(signal, "SIGALRM") and code == -signal.SIGALRM):
            verdict, what = "timeout", f"not done after {self.timeout:g} s"
        elif not stage:
            return None
        else:
            verdict = "crash:" + _death_name(code)
            what = f"the process died ({_death_name(code)})"
        where = f" in stage {stage}" if stage else ""
        message = what + where + (f"; it had printed:\n{log}" if log else "")
        return Run(verdict, stage, message, (), (), ())


@contextlib.contextmanager
def _on_disk(model: bytes | str | os.PathLike[str]) -> Iterator[str]:
    """A path of the model that C++ can open: its own, or that of a copy."""
    if isinstance(model, (str, os.PathLike)):
        path = os.path.abspath(model)
        with open(path, "rb") as file:
            if path.isascii():
                yield path
                return
            model = file.read()
    # a new file each time, because the last one may still be mapped
    handle, path = tempfile.mkstemp(prefix="tflite-surgeon-", suffix=".tflite")
    try:
        with open(handle, "wb") as copy:
            copy.write(model)
        yield path
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


class _BadInputs(ValueError):
    pass


@final
class _Deadline:
    """Kill a child when its time is up, so that reading from it ends with EOF."""

    def __init__(self, child: subprocess.Popen[bytes], seconds: float) -> None:
        self._child = child
        self._timer = threading.Timer(seconds, self._kill)
        self._timer.daemon = True
        self.passed = False

    def _kill(self) -> None:
        self.passed = True
        self._child.kill()

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        self._timer.join()


def _receive(stream: Any) -> tuple[dict[str, Any], list[bytes]] | None:
    try:
        return worker.read_frame(stream)
    except worker.ProtocolError as error:
        raise RuntimeError(f"the child broke the protocol: {error}") from error


def _death_name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"EXIT_{code & 0xFFFFFFFF:#x}" if code > 255 else f"EXIT_{code}"


def _detail(raw: dict[str, Any]) -> TensorDetail:
    return TensorDetail(
        raw["name"],
        tuple(raw["shape"]),
        raw["dtype"],
        tuple(raw["scales"]),
        tuple(raw["zero_points"]),
        raw["quantized_dimension"],
        tuple(raw["shape_signature"]),
    )


def run_once(runtime: str, model: bytes | str | os.PathLike[str], *, timeout: float = 60.0, **arguments: Any) -> Run:
    """Run one model in a session of its own; the arguments are those of `Session.run`."""
    with Session(runtime, timeout) as session:
        return session.run(model, **arguments)
