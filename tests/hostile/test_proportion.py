"""Memory stays proportional to the file: the densest file that we know how to build."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

import tflite_surgeon as ts

# README.md states it; measured 60 to 70.
BYTES_OF_MEMORY_PER_BYTE = 100

LOAD = """
import resource, sys
import tflite_surgeon as ts
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = ts.load(sys.argv[1])
print(len(model.subgraphs[0].tensors), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def vtable(size: int, *offsets: int) -> bytes:
    return struct.pack(f"<{2 + len(offsets)}H", 4 + 2 * len(offsets), size, *offsets)


def one_tensor_many_times(count: int, subgraphs: int = 1) -> bytes:
    """A model whose list of tensors holds one empty table again and again: four bytes of file for each object.

    With more subgraphs than one, each is the same table once more.
    """
    header = struct.pack("<I4s", 20, b"TFL3") + vtable(8, 0, 0, 4) + b"\0\0"
    model = struct.pack("<iI", 20 - 8, 4)
    list_at = len(header) + len(model)
    vtables_at = list_at + 4 + 4 * subgraphs
    vtables = vtable(8, 4) + b"\0\0" + vtable(4)
    subgraph_at = vtables_at + len(vtables)
    places = (list_at + 4 + 4 * index for index in range(subgraphs))
    listed = struct.pack("<I", subgraphs) + b"".join(struct.pack("<I", subgraph_at - place) for place in places)
    subgraph = struct.pack("<iI", subgraph_at - vtables_at, 4)
    vector_at = subgraph_at + len(subgraph)
    tensor_at = vector_at + 4 + 4 * count
    slots = (vector_at + 4 + 4 * index for index in range(count))
    vector = struct.pack("<I", count) + b"".join(struct.pack("<I", tensor_at - slot) for slot in slots)
    tensor = struct.pack("<i", tensor_at - (vtables_at + 8))
    return header + model + listed + vtables + subgraph + vector + tensor


def test_the_densest_file(tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    data = one_tensor_many_times(200_000)
    path.write_bytes(data)
    result = subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True)
    count, memory = map(int, result.stdout.split())
    assert count == 200_000
    assert memory < BYTES_OF_MEMORY_PER_BYTE * len(data)


def test_denser_still_is_refused() -> None:
    """The same list in three subgraphs is more than the file could hold of distinct tables."""
    with pytest.raises(ts.DecodeError, match="again and again"):
        ts.loads(one_tensor_many_times(200_000, subgraphs=3))
