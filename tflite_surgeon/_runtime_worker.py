"""The child process of `tflite_surgeon.runtime`: loads models in one real interpreter and runs them.

Run as a script: ``python _runtime_worker.py <package> <default|no-delegate>``, where package is one of
``ai_edge_litert``, ``tflite_runtime``, ``tflite_micro``. Needs Python >= 3.9, numpy and that package; imports
nothing of tflite_surgeon, because the Python that runs it may not have it.

Protocol, both ways: frames on stdin and stdout (see `write_frame`). The child says hello once, then for each request
(``path`` of the model; the inputs, if given, as blobs) sends a ``{"stage": ...}`` frame before it enters a stage and
one last frame: ``{"result": ...}`` with the outputs as blobs, or ``{"bad_inputs": why}``. It ends at EOF.
Models are loaded from files, not from memory: a damaged model that makes an interpreter read past the end then finds
the same bytes every time.
The interpreter's own prints, on fd 1 and 2 alike, go to the stderr the parent gave.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"TSW1"
MAX_HEADER = 1 << 28
"""Bytes; a longer header is taken for garbage."""
ARENA_BYTES = 64 << 20
"""Arena given to TFLite Micro."""
GRACE_SECONDS = 5.0
"""How long after the parent's timeout the child kills itself, should the parent be gone."""
SAMPLE_STRINGS = (b"hello", b"what is a tensor?", b"caf\xc3\xa9 42", b"")
_DISTRIBUTIONS = {
    "ai_edge_litert": "ai-edge-litert",
    "tflite_runtime": "tflite-runtime",
    "tflite_micro": "tflite-micro",
}


class ProtocolError(RuntimeError):
    """The bytes that came are not a frame."""


# ------------------------------------------------------------------ frames


def write_frame(stream: BinaryIO, header: dict[str, Any], blobs: Sequence[bytes | memoryview] = ()) -> None:
    """Write magic (4 bytes), header length (uint64 LE), header (JSON with the blobs' lengths added), the blobs."""
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    stream.write(MAGIC + struct.pack("<Q", len(text)) + text)
    stream.writelines(blobs)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]] | None:
    """Read one frame; None at EOF, also in the middle of a frame. Raises ProtocolError on anything else."""
    head = _read_exactly(stream, 12)
    if head is None:
        return None
    length = struct.unpack("<Q", head[4:])[0]
    if head[:4] != MAGIC or length > MAX_HEADER:
        raise ProtocolError(f"not a frame: {head!r}")
    text = _read_exactly(stream, length)
    if text is None:
        return None
    try:
        header = json.loads(text)
        lengths = [int(n) for n in header.pop("blobs")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"bad frame header: {error!r}") from error
    blobs = []
    for n in lengths:
        blob = _read_exactly(stream, n)
        if blob is None:
            return None
        blobs.append(blob)
    return header, blobs


def _read_exactly(stream: BinaryIO, n: int) -> bytes | None:
    data = stream.read(n)
    return data if len(data) == n else None


# ------------------------------------------------------------------ arrays


def pack_array(array: Any) -> tuple[dict[str, Any], bytes]:
    """Describe an array in JSON and give its bytes, C order; strings are joined, with their lengths in the JSON."""
    import numpy as np

    array = np.asarray(array)
    shape = [int(n) for n in array.shape]
    if array.dtype.kind in "SUO":
        items = [x.encode() if isinstance(x, str) else bytes(x) for x in array.ravel().tolist()]
        return {"dtype": "bytes", "shape": shape, "lengths": [len(x) for x in items]}, b"".join(items)
    return {"dtype": array.dtype.str, "shape": shape}, array.tobytes()


def unpack_array(meta: dict[str, Any], blob: bytes) -> Any:
    """Undo `pack_array`; the array is writable. Strings become an object array of bytes."""
    import numpy as np

    shape = tuple(meta["shape"])
    if meta["dtype"] != "bytes":
        return np.frombuffer(bytearray(blob), dtype=np.dtype(meta["dtype"])).reshape(shape)
    flat = np.empty(len(meta["lengths"]), dtype=object)
    start = 0
    for i, n in enumerate(meta["lengths"]):
        flat[i] = blob[start : start + n]
        start += n
    return flat.reshape(shape)


def sample_array(shape: Sequence[int], dtype: str, seed: int | None, index: int) -> Any:
    """Make input number `index`: zeros (empty strings) if seed is None, else a function of the arguments alone.

    8- and 16-bit integers cover their whole range, wider ones are 0..3 (they are often indices), floats are
    standard normal, bools are random, strings come from SAMPLE_STRINGS; any other type is zeros.
    """
    import numpy as np

    shape = tuple(shape)
    if dtype == "bytes":
        flat = np.empty(int(np.prod(shape, dtype=np.int64)), dtype=object)
        for i in range(flat.size):
            flat[i] = b"" if seed is None else SAMPLE_STRINGS[(seed + index + i) % len(SAMPLE_STRINGS)]
        return flat.reshape(shape)
    kind = np.dtype(dtype)
    if seed is None:
        return np.zeros(shape, kind)
    rng = np.random.default_rng([seed, index])
    if kind.kind in "iu" and kind.itemsize <= 2:
        limits = np.iinfo(kind)
        return rng.integers(limits.min, limits.max, size=shape, dtype=kind.type, endpoint=True)
    if kind.kind in "iu":
        return rng.integers(0, 4, size=shape, dtype=kind.type)
    if kind.kind == "f":
        return np.asarray(rng.standard_normal(shape)).astype(kind)
    if kind.kind == "c":
        return np.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(kind)
    if kind.kind == "b":
        return np.asarray(rng.integers(0, 2, size=shape)).astype(kind)
    return np.zeros(shape, kind)


# ------------------------------------------------------------------ interpreters


def _detail(raw: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    kind = np.dtype(raw["dtype"])
    quantization = raw.get("quantization_parameters") or {}
    return {
        "name": str(raw.get("name", "")),
        "shape": [int(n) for n in raw["shape"]],
        "dtype": "bytes" if kind.kind in "SUO" else kind.name,
        "scales": [float(x) for x in quantization.get("scales", ())],
        "zero_points": [int(x) for x in quantization.get("zero_points", ())],
        "quantized_dimension": int(quantization.get("quantized_dimension", 0)),
        "shape_signature": [int(n) for n in raw.get("shape_signature", ())],
    }


class _Lite:
    """ai_edge_litert or tflite_runtime."""

    stages = ("construct", "allocate")

    def __init__(self, package: str, delegate: bool) -> None:
        self._module = importlib.import_module(package + ".interpreter")
        resolvers = self._module.OpResolverType
        self._resolver = resolvers.AUTO if delegate else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._it: Any = None
        self.preserve = False

    def construct(self, path: str) -> None:
        more = {"experimental_preserve_all_tensors": True} if self.preserve else {}
        self._it = self._module.Interpreter(
            model_path=path, num_threads=1, experimental_op_resolver_type=self._resolver, **more
        )

    def allocate(self, path: str) -> None:
        self._it.allocate_tensors()

    def resize(self, shapes: Sequence[Sequence[int]]) -> None:
        for raw, shape in zip(self._it.get_input_details(), shapes):
            if list(raw["shape"]) != list(shape):
                self._it.resize_tensor_input(raw["index"], shape)

    def inputs(self) -> list[dict[str, Any]]:
        return [_detail(raw) for raw in self._it.get_input_details()]

    def outputs(self) -> list[dict[str, Any]]:
        return [_detail(raw) for raw in self._it.get_output_details()]

    def tensors(self) -> list[list[tuple[int, dict[str, Any]]]]:
        """By subgraph, number and details of each tensor; before LiteRT the first subgraph alone can be asked."""
        import inspect

        ask = self._it.get_tensor_details
        if "subgraph_index" in inspect.signature(ask).parameters:
            subgraphs = [ask(subgraph_index=i) for i in range(self._it._interpreter.NumSubgraphs())]
        else:
            subgraphs = [ask()]
        return [[(int(raw["index"]), _detail(raw)) for raw in subgraph] for subgraph in subgraphs]

    def invoke(self, inputs: Sequence[Any]) -> list[Any]:
        for raw, array in zip(self._it.get_input_details(), inputs):
            self._it.set_tensor(raw["index"], array)
        self._it.invoke()
        return [self._output(raw) for raw in self._it.get_output_details()]

    def read(self, numbers: Sequence[int]) -> list[tuple[int, Any]]:
        """Tensors of the first subgraph by number; those that the interpreter does not hand out are left out."""
        found = []
        for number in numbers:
            with contextlib.suppress(ValueError):
                found.append((number, self._it.get_tensor(number)))
        return found

    def _output(self, raw: dict[str, Any]) -> Any:
        import numpy as np

        if 0 in raw["shape"]:  # get_tensor refuses: "Invalid tensor size."
            return np.zeros(raw["shape"], raw["dtype"])
        return self._it.get_tensor(raw["index"])

    def close(self) -> None:
        self._it = None


class _Micro:
    """TFLite Micro, which constructs and allocates in one step and does not name its tensors."""

    stages = ("allocate",)

    preserve = False

    def __init__(self) -> None:
        self._module = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
        self._it: Any = None
        self._counts = (0, 0)

    def allocate(self, path: str) -> None:
        with open(path, "rb") as file:
            model = file.read()
        self._it = self._module.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
        graph = self._module.schema_fb.Model.GetRootAsModel(model, 0).Subgraphs(0)
        self._counts = (int(graph.InputsLength()), int(graph.OutputsLength()))

    def inputs(self) -> list[dict[str, Any]]:
        return [_detail(self._it.get_input_details(i)) for i in range(self._counts[0])]

    def outputs(self) -> list[dict[str, Any]]:
        return [_detail(self._it.get_output_details(i)) for i in range(self._counts[1])]

    def invoke(self, inputs: Sequence[Any]) -> list[Any]:
        for i, array in enumerate(inputs):
            self._it.set_input(array, i)
        self._it.invoke()
        return [self._it.get_output(i).copy() for i in range(self._counts[1])]

    def close(self) -> None:
        self._it = None


class _BadInputs(Exception):
    pass


def _check_inputs(given: Sequence[Any], details: Sequence[dict[str, Any]]) -> None:
    if len(given) != len(details):
        raise _BadInputs(f"{len(given)} inputs given, the model has {len(details)}")
    for i, (array, detail) in enumerate(zip(given, details)):
        kind = "bytes" if array.dtype.kind == "O" else array.dtype.name
        if kind != detail["dtype"] or list(array.shape) != detail["shape"]:
            raise _BadInputs(
                f"input {i} ({detail['name']!r}) given as {kind}{list(array.shape)}, "
                f"the model takes {detail['dtype']}{detail['shape']}"
            )


class _Server:
    def __init__(self, package: str, delegate: bool, out: BinaryIO) -> None:
        self._out = out
        self._runtime: Any = _Micro() if package == "tflite_micro" else _Lite(package, delegate)

    def _enter(self, stage: str) -> str:
        write_frame(self._out, {"stage": stage})
        return stage

    def serve(self, request: dict[str, Any], blobs: list[bytes]) -> None:
        """Run one request. A crash takes the process with it, at the latest when the interpreter is destroyed."""
        runtime = self._runtime
        result: dict[str, Any] = {"verdict": "ok", "message": "", "inputs": [], "outputs": []}
        arrays: list[list[Any]] = []
        kept: list[list[tuple[int, Any]]] = []
        fetch = request["fetch"]
        runtime.preserve = bool(fetch)
        stage = ""
        try:
            for stage in runtime.stages if request["allocate"] else runtime.stages[:1]:
                self._enter(stage)
                getattr(runtime, stage)(request["path"])
                if request["resize"] and stage == "construct":
                    runtime.resize([meta["shape"] for meta in request["inputs"]])
            stage = self._enter("invoke" if request["invoke"] else "describe")
            result["inputs"], result["outputs"] = runtime.inputs(), runtime.outputs()
            if not request["allocate"]:
                result["tensors"] = runtime.tensors()
            if request["invoke"]:
                inputs = self._inputs(request, blobs, result["inputs"])
                for _ in range(request["invocations"]):
                    arrays.append(runtime.invoke(inputs))
                    kept.append(runtime.read(fetch) if fetch else [])
                result["outputs"] = runtime.outputs()
        except _BadInputs as error:
            runtime.close()
            write_frame(self._out, {"bad_inputs": str(error)})
            return
        except Exception as error:
            result["verdict"] = "ok" if stage == "describe" else "fail:" + stage
            result["message"] = f"{type(error).__name__}: {error}"
        runtime.close()
        packed = [[pack_array(array) for array in row] for row in arrays]
        result["arrays"] = [[meta for meta, _ in row] for row in packed]
        tensors = [[(number, *pack_array(array)) for number, array in row] for row in kept]
        result["kept"] = [[(number, meta) for number, meta, _ in row] for row in tensors]
        sent = [blob for row in packed for _, blob in row] + [blob for row in tensors for _, _, blob in row]
        write_frame(self._out, {"result": result}, sent)

    @staticmethod
    def _inputs(request: dict[str, Any], blobs: list[bytes], details: list[dict[str, Any]]) -> list[Any]:
        if request["inputs"] is None:
            return [sample_array(d["shape"], d["dtype"], request["seed"], i) for i, d in enumerate(details)]
        inputs = [unpack_array(meta, blob) for meta, blob in zip(request["inputs"], blobs)]
        _check_inputs(inputs, details)
        return inputs


def _prepare_process() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for the protocol alone; no core files; Ctrl-C is for the parent to handle."""
    import signal

    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return source, sink


def _set_alarm(seconds: float) -> None:
    """Let the kernel end the process after so many seconds (0 = never), whatever C code it may be stuck in."""
    if sys.platform != "win32":
        import signal

        signal.setitimer(signal.ITIMER_REAL, seconds)


def main(package: str, flavour: str) -> int:
    """Serve requests until EOF on stdin."""
    from importlib import metadata

    source, sink = _prepare_process()
    server = _Server(package, flavour == "default", sink)
    write_frame(sink, {"hello": package, "version": metadata.version(_DISTRIBUTIONS[package])})
    while True:
        frame = read_frame(source)
        if frame is None:
            return 0
        request, blobs = frame
        _set_alarm(request["timeout"] + GRACE_SECONDS)
        server.serve(request, blobs)
        _set_alarm(0.0)


if __name__ == "__main__":
    # the folder of this script holds modules of tflite_surgeon, which must not shadow anybody's
    _HERE = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p) != _HERE]
    try:
        sys.exit(main(sys.argv[1], sys.argv[2]))
    except BrokenPipeError:
        os._exit(0)
