"""The real interpreters, one child each for the whole test run; a test that needs one that is missing is skipped."""

from __future__ import annotations

import atexit
import functools
from collections.abc import Iterator

import numpy as np
import pytest

from tflite_surgeon.runtime import Run, Session, available

# The names that rules and runtimes share.
NAMES = ("litert", "litert-no-delegate", "tflite-2.14", "tflm")


@functools.cache
def _session(name: str) -> Session:
    opened = Session(name)
    atexit.register(opened.close)
    return opened


def session(name: str) -> Session:
    """The child of a runtime.

    Skips the test, with the reason, where the runtime is not there.
    """
    missing = available(name)
    if missing is not None:
        pytest.skip(missing)
    return _session(name)


def same_outputs(first: Run, second: Run) -> bool:
    """Whether two runs gave the same outputs, bit for bit; strings by their bytes."""

    def content(run: Run) -> object:
        return [
            [(o.dtype, o.shape, o.tolist() if o.dtype == object else o.tobytes()) for o in row] for row in run.outputs
        ]

    return bool(content(first) == content(second))


def inputs_of(shape: tuple[int, ...] | list[int], kind: str, seeds: int = 3) -> Iterator[np.ndarray]:
    """A few inputs of an integer type: its least, its zero-like middle, and random ones."""
    limits = np.iinfo(kind)
    yield np.full(shape, limits.min, kind)
    for seed in range(seeds):
        yield np.random.default_rng(seed).integers(limits.min, limits.max, shape, kind, endpoint=True)
