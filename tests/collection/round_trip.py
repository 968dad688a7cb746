"""What a model must survive: reading, saving unchanged, being written anew, and running as before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import tflite_surgeon as ts
from tests.flatbuffer.walk import walk
from tests.interpreters import same_outputs
from tflite_surgeon.model import compare
from tflite_surgeon.runtime import Run, Session

# Each run constructs the model anew; three of them tell a model that differs from itself from one that was changed.
RUNS = 3


def unchanged(raw: bytes) -> ts.Model:
    """Saved as it was read, every byte is as it was."""
    model = ts.loads(raw)
    assert ts.dumps(model) == raw
    assert ts.dumps(model, "splice") == raw
    return model


def rewritten(raw: bytes) -> bytes:
    """Written anew it is an equal model, of about the size, its weights aligned, and written anew again the same."""
    model = ts.loads(raw)
    written = ts.dumps(model, "reencode")
    again = ts.loads(written)
    assert list(compare.changes(model, again)) == []
    assert list(compare.changes(again, model)) == []
    assert ts.dumps(again, "reencode") == written
    assert misaligned_data(written, again) == []
    slack = len(raw) // 100 + 16 * len(model.buffers or ()) + 256
    assert len(written) <= len(raw) + slack
    return written


def misaligned_data(raw: bytes, model: ts.Model) -> list[str]:
    """Weights, inside and behind the flatbuffer, that do not lie at a multiple of 16 bytes."""
    inside = [spot.path for spot in walk(raw) if spot.path.endswith("].data") and (spot.target + 4) % 16]
    outside = [f"buffers[{i}]" for i, buffer in enumerate(model.buffers or ()) if buffer.outside and buffer.offset % 16]
    return inside + outside


@dataclass
class Comparison:
    """outcome: "equal", or why the model says nothing about us; verdict: of the original."""

    outcome: str
    verdict: str


def compared(session: Session, original: bytes, written: bytes, seed: int = 0) -> Comparison:
    """Both in a real interpreter, on the same inputs.

    Raises:
        AssertionError: the rewritten one is treated otherwise.
    """
    runs = []
    for _ in range(RUNS):
        runs.append(session.run(original, seed=seed))
        if runs[-1].verdict == "timeout" or runs[-1].verdict.startswith("crash:"):
            return Comparison("crashes unmodified", runs[-1].verdict)
    first = runs[0]
    if any(run.verdict != first.verdict for run in runs):
        return Comparison("differs from itself", "/".join(sorted({run.verdict for run in runs})))
    if not all(same_outputs(first, run) for run in runs):
        return Comparison("differs from itself", first.verdict)
    after = session.run(written, seed=seed)
    assert (after.verdict, interface(after)) == (first.verdict, interface(first)), after.message
    if same_outputs(first, after):
        return Comparison("equal", first.verdict)
    # What depends on memory that nobody has written is the same most of the time, and not always.
    if any(same_outputs(first, session.run(written, seed=seed)) for _ in range(RUNS)):
        return Comparison("differs from itself", first.verdict)
    assert reads_beyond_constants(session, written, seed)
    return Comparison("depends on what lies behind its constants", first.verdict)


def reads_beyond_constants(session: Session, raw: bytes, seed: int) -> bool:
    """Whether outputs change with the bytes that follow each constant, in buffers that nothing refers to.

    Then the interpreter reads more of a constant than there is, and no arrangement of the file is right or wrong.
    """
    runs = []
    for fill in (0x00, 0x7F, 0xFF):
        model = ts.loads(raw)
        guards = [ts.Buffer(bytes([fill]) * 256) for _ in model.buffers or ()]
        model.buffers = [item for pair in zip(model.buffers or (), guards, strict=True) for item in pair]
        runs.append(session.run(ts.dumps(model), seed=seed))
    return not all(same_outputs(runs[0], run) for run in runs)


def interface(run: Run) -> object:
    """What the interpreter says of inputs and outputs; NaN scales compare as text."""
    return repr((run.inputs, run.output_details))


@dataclass
class Summary:
    """Counts, and names of the models that were skipped, for the end of a test run."""

    counts: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, list[str]] = field(default_factory=dict)

    def note(self, check: str, outcome: str, name: str) -> None:
        self.counts[f"{check}: {outcome}"] += 1
        if outcome.startswith(("differs", "crashes", "depends", "refused")):
            self.skipped.setdefault(f"{check}: {outcome}", []).append(name)

    def lines(self) -> list[str]:
        result = [f"{count:5} {text}" for text, count in sorted(self.counts.items())]
        for text, names in sorted(self.skipped.items()):
            result += [f"{text}:", *(f"      {name}" for name in sorted(names))]
        return result
