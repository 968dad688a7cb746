"""The round trips of the collection, over models that the tests build: a quick part of the same proof."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.collection.round_trip import Summary, compared, rewritten, unchanged
from tests.flatbuffer import samples
from tests.interpreters import session

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
BUILT: dict[str, Callable[[], ts.Model]] = {
    **samples.BUILDERS,
    "chain": builders.chain,
    "shared bias": builders.shared_bias,
    "shared weights": lambda: builders.one_input(shared_weights=True),
    "svdf": builders.svdf,
    "lstm": builders.lstm,
    "two subgraphs": lambda: builders.two_subgraphs(builders.chain(), builders.chain(kind="UINT8")),
}
FILES = sorted(FIXTURES.glob("*.tflite"))
RAW = [pytest.param(lambda build=build: ts.dumps(build()), id=name) for name, build in BUILT.items()]
RAW += [pytest.param(path.read_bytes, id=path.name) for path in FILES]
# Made to hold everything that real files rarely have: no interpreter would take it.
NOT_RUN = {"crowded"}

each_model = pytest.mark.parametrize("make", RAW)


@each_model
def test_unchanged_it_keeps_every_byte(make: Callable[[], bytes]) -> None:
    unchanged(make())


@each_model
def test_written_anew_it_is_an_equal_model(make: Callable[[], bytes]) -> None:
    rewritten(make())


@pytest.mark.parametrize("runtime", ["litert", "litert-no-delegate", "tflite-2.14", "tflm"])
@pytest.mark.parametrize("make", [param for param in RAW if param.id not in NOT_RUN])
def test_written_anew_it_runs_as_before(make: Callable[[], bytes], runtime: str) -> None:
    interpreter = session(runtime)
    raw = make()
    model = ts.loads(raw)
    model.description = f"{model.description} and longer, so that everything lies elsewhere"
    assert compared(interpreter, raw, ts.dumps(model)).outcome == "equal"


def test_a_model_that_computes_something_else_is_noticed() -> None:
    """Of the comparison: other weights are told from equal ones, and so is a model that no longer runs."""
    interpreter = session("litert")
    raw = ts.dumps(samples.dense())
    other = ts.loads(raw)
    other.subgraphs[0].tensors[2].set_values([0.5, 0.5])
    with pytest.raises(AssertionError):
        compared(interpreter, raw, ts.dumps(other))
    other = ts.loads(raw)
    other.subgraphs[0].tensors[1].shape = [4, 2]
    with pytest.raises(AssertionError):
        compared(interpreter, raw, ts.dumps(other))


def test_misaligned_weights_are_noticed() -> None:
    from tests.collection.round_trip import misaligned_data

    raw = ts.dumps(samples.dense())
    at = int.from_bytes(raw[:4], "little")
    shifted = (at + 4).to_bytes(4, "little") + raw[4:8] + bytes(4) + raw[8:]
    assert misaligned_data(raw, ts.loads(raw)) == []
    assert len(misaligned_data(shifted, ts.loads(shifted))) == 3


def test_the_summary_counts_and_lists() -> None:
    summary = Summary()
    summary.note("litert", "equal", "a")
    summary.note("litert", "equal", "b")
    summary.note("litert", "crashes unmodified (crash:SIGSEGV)", "c")
    assert summary.lines() == [
        "    1 litert: crashes unmodified (crash:SIGSEGV)",
        "    2 litert: equal",
        "litert: crashes unmodified (crash:SIGSEGV):",
        "      c",
    ]
