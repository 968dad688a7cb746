"""What is measured: our commands, and the programs beside them that do part of the same work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SCHEMA = Path(__file__).resolve().parents[2] / "schema" / "tflite.fbs"

COPY = "cp + fsync"
PYTHON = "bare Python"
INTERPRETER = "interpreter: load, allocate"
ANALYSER = "C++ analyzer of its wheel"
READ = "flatbuffer_utils: read"
CHANGE = "flatbuffer_utils: change, write"

_LOAD = "import sys, tflite_surgeon as ts; ts.load(sys.argv[1])"
_COPY = "import os, shutil, sys; shutil.copyfile(*sys.argv[1:3]); os.fsync(os.open(sys.argv[2], os.O_RDWR))"
_INTERPRETER = """
import sys
from ai_edge_litert.interpreter import Interpreter
Interpreter(sys.argv[1]).allocate_tensors()
"""
_ANALYSER = """
import sys
from ai_edge_litert._pywrap_analyzer_wrapper import ModelAnalyzer
print(ModelAnalyzer(sys.argv[1], True, False))
"""
_READ = """
import sys
from ai_edge_litert.tools import flatbuffer_utils
flatbuffer_utils.read_model(sys.argv[1])
"""
# What fix-bias-scale does, told where and how, and without any proof: another scale, and other integers.
_CHANGE = """
import sys
from ai_edge_litert.tools import flatbuffer_utils
model = flatbuffer_utils.read_model(sys.argv[1])
graph = model.subgraphs[0]
bias = graph.tensors[graph.operators[-1].inputs[2]]
bias.quantization.scale = [scale / 2 for scale in bias.quantization.scale]
values = bytearray(model.buffers[bias.buffer].data)
values[0] ^= 1
model.buffers[bias.buffer].data = values
flatbuffer_utils.write_model(model, sys.argv[2])
"""
_QUANTIZER = """
import sys
from ai_edge_quantizer.utils import tfl_flatbuffer_utils
tfl_flatbuffer_utils.read_model(sys.argv[1])
"""
_VELA = """
import sys
from ethosu.vela import tflite_reader
tflite_reader.read_tflite(sys.argv[1], None, {}, None, None)
"""


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        name: what it is called.
        command: with the names of files in braces: {model}, {broken}, {outside}, {zip}, {output}, {folder}.
        beside: the names of the rows that its time is divided by.
        variant: the kind of model that it reads.
        largest: megabytes of the largest model that it is tried on.
    """

    name: str
    command: Sequence[str]
    beside: Sequence[str] = ()
    largest: float = float("inf")


def _surgeon(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tflite_surgeon", *arguments]


def ours() -> list[Row]:
    """Our commands on a model."""
    return [
        Row("library: `load`", [sys.executable, "-c", _LOAD, "{model}"], [READ]),
        Row("`check`", _surgeon("check", "{model}"), [INTERPRETER]),
        Row("`inspect --tensors --json`", _surgeon("inspect", "--tensors", "--json", "{model}"), [ANALYSER]),
        Row(
            "`fix-bias-scale -o`, one scale broken",
            _surgeon("fix-bias-scale", "{broken}", "-o", "{output}"),
            [CHANGE, COPY],
        ),
        Row("`rewrite`", _surgeon("rewrite", "{model}", "-o", "{output}"), [CHANGE, COPY]),
        Row("`rewrite`, data outside the flatbuffer", _surgeon("rewrite", "{outside}", "-o", "{output}"), [COPY]),
        Row("`rewrite`, a zip at the end", _surgeon("rewrite", "{zip}", "-o", "{output}"), [COPY]),
    ]


def starting() -> list[Row]:
    """What only starts, beside Python itself."""
    return [
        Row(PYTHON, [sys.executable, "-c", "pass"]),
        Row("Python that imports numpy", [sys.executable, "-c", "import numpy"], [PYTHON]),
        Row("library: `import`", [sys.executable, "-c", "import tflite_surgeon"], [PYTHON]),
        Row("`--version`", _surgeon("--version"), [PYTHON]),
        Row("`--help`", _surgeon("--help"), [PYTHON]),
    ]


def many(folder: Path) -> list[Row]:
    """A folder of models in one and in two processes."""
    one, two = "`check --jobs 1`", "`check --jobs 2`"
    return [
        Row(one, _surgeon("check", "--jobs", "1", str(folder))),
        Row(two, _surgeon("check", "--jobs", "2", str(folder)), [one]),
    ]


def peers(pythons: Sequence[str], flatc: str | None) -> tuple[list[Row], list[str]]:
    """Other programs on a model, and the names of those that are not installed.

    Args:
        pythons: where to look for packages.
        flatc: the schema compiler, None to look for it.
    """
    rows = [Row(COPY, [sys.executable, "-c", _COPY, "{model}", "{output}"])]
    missing = []
    wanted = (
        (INTERPRETER, "ai_edge_litert.interpreter", _INTERPRETER, float("inf")),
        (ANALYSER, "ai_edge_litert._pywrap_analyzer_wrapper", _ANALYSER, float("inf")),
        (READ, "ai_edge_litert.tools.flatbuffer_utils", _READ, float("inf")),
        (CHANGE, "ai_edge_litert.tools.flatbuffer_utils", _CHANGE, 500),
        ("ai-edge-quantizer: read", "ai_edge_quantizer.utils.tfl_flatbuffer_utils", _QUANTIZER, float("inf")),
        ("Vela: read", "ethosu.vela.tflite_reader", _VELA, 500),
    )
    for name, module, script, largest in wanted:
        python = next((python for python in pythons if _imports(python, module)), None)
        if python is None:
            missing.append(name)
        else:
            rows.append(Row(name, [python, "-c", script, "{model}", "{output}"], (), largest))
    found = flatc or shutil.which("flatc")
    if found is None:
        missing.append("flatc: to JSON")
    else:
        command = [found, "-t", "--raw-binary", "-o", "{folder}", str(SCHEMA), "--", "{model}"]
        rows.append(Row("flatc: to JSON", command, (), 50))
    return rows, missing


def _imports(python: str, module: str) -> bool:
    try:
        done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def filled(row: Row, places: dict[str, str]) -> list[str]:
    """The command with the names of files in it."""
    return [part.format_map(places) if part.startswith("{") else part for part in row.command]


def variants(rows: Sequence[Row]) -> Iterator[str]:
    """The kinds of models that rows read."""
    known = ("model", "broken", "outside", "zip")
    return (name for name in known if any(f"{{{name}}}" in row.command for row in rows))
