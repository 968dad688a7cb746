"""Files that once broke something, found by fuzz.py or mutate.py: each loads or is refused in words, and at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.flatbuffer.walk import spots
from tests.hostile import mutate

FILES = sorted((Path(__file__).resolve().parent / "regressions").iterdir())


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_what_once_broke_something(path: Path) -> None:
    start = time.thread_time()
    mutate.examine(path.read_bytes())
    assert time.thread_time() - start < 2


def test_there_are_some() -> None:
    assert FILES


@pytest.mark.parametrize("count", [16, 17, 24])
def test_true_may_be_stored_as_any_byte_but_zero(count: int) -> None:
    """A long vector of truth values once read as its bytes, and written anew did not read the same."""
    model = samples.dense()
    model.subgraphs[0].operators[0].mutating_variable_inputs = [True] * count
    raw = bytearray(ts.dumps(model))
    at = spots(bytes(raw))["subgraphs[0].operators[0].mutating_variable_inputs"].target + 4
    raw[at : at + 3] = b"\x16\0\xff"
    odd = ts.loads(raw)
    assert odd.subgraphs[0].operators[0].mutating_variable_inputs == [True, False] + [True] * (count - 2)
    assert ts.dumps(odd) == raw
    anew = ts.dumps(odd, "reencode")
    assert ts.loads(anew).subgraphs[0].operators[0].mutating_variable_inputs == [True, False] + [True] * (count - 2)
    odd.subgraphs[0].operators[0].mutating_variable_inputs[1] = True
    assert ts.dumps(odd, "splice") == raw[: at + 1] + b"\1" + raw[at + 2 :]
