"""What a verification found, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

BEFORE: Final = "before"
AFTER: Final = "after"
DEFAULT_MODES: Final = ("litert", "litert-no-delegate")
MODES: Final = (*DEFAULT_MODES, "tflite-2.14", "tflm")


@dataclass(frozen=True)
class Difference:
    """How far a tensor's values are from those of its reference, over all runs.

    Attributes:
        elements: how many were compared.
        differing: how many are not the same.
        quantum: what one quantum is worth in real units: the larger of the two scales; of a float that DEQUANTIZE made,
            the scale of what it was made from; 1 for plain integers and bools; None for other floats.
        max_quanta, mean_quanta: of the absolute difference; None without a quantum.
        max, mean: of the absolute difference in real units; infinite where one value is not finite and the other is not
            the same. None for strings.
        snr: signal to noise in dB, 10 log10(sum of squares of the reference / of the difference); infinite where
            nothing differs. None for strings.
        cosine: of the angle between the two; None for strings and where one of them is all 0 and the other is not.
        stored_alike: both have the same type and quantisation, so that a difference is one of stored bits.
        mismatch: why they could not be compared value by value (another shape), else None.
    """

    elements: int
    differing: int
    quantum: float | None
    max_quanta: float | None
    mean_quanta: float | None
    max: float | None
    mean: float | None
    snr: float | None
    cosine: float | None
    stored_alike: bool
    mismatch: str | None = None

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return self.differing == 0 and self.mismatch is None


@dataclass(frozen=True)
class TensorDifference:
    """A tensor and how far it is from its reference.

    Attributes:
        name: its name in the model that is compared with.
        tensor: its number there, in the first subgraph.
        other: the number in the other model.
        dtype: its type there.
        operator: (node number, operator) that computes it there; None for inputs and constants.
        difference: how far it is.
    """

    name: str
    tensor: int
    other: int
    dtype: str
    operator: tuple[int, str] | None
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Two computations, output by output.

    Attributes:
        outputs: in the order of the model's outputs.
        tensors: intermediates in execution order; none unless they were asked for.
        departs: the first operator's tensor that is not as in the reference; None where there is none, or where
            intermediates were not asked for.
        problem: why there was nothing to compare, else None.
    """

    outputs: tuple[TensorDifference, ...] = ()
    tensors: tuple[TensorDifference, ...] = ()
    departs: TensorDifference | None = None
    problem: str | None = None

    @property
    def is_equal(self) -> bool:
        """Whether every output is the same."""
        return self.problem is None and all(item.difference.is_equal for item in self.outputs)


@dataclass(frozen=True)
class Outcome:
    """What became of one model in one runtime: a verdict of `runtime.Run`, and the interpreter's words."""

    verdict: str
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return self.verdict == "ok"


@dataclass(frozen=True)
class ModeResult:
    """What was found in one runtime.

    Attributes:
        mode, version: the runtime.
        before, after: what became of each model.
        comparison: AFTER's values against BEFORE's; None where one of them did not run.
        before_meaning, after_meaning: each model's values against what its own file says in real numbers; None where
            not asked for or it did not run.
        note: what should be known of this comparison, else "".
    """

    mode: str
    version: str
    before: Outcome
    after: Outcome
    comparison: Comparison | None = None
    before_meaning: Comparison | None = None
    after_meaning: Comparison | None = None
    note: str = ""


@dataclass(frozen=True)
class Tolerances:
    """How much an output may differ: in quanta, in real units, and at least so many dB; None: does not matter."""

    quanta: float | None = None
    real: float | None = None
    snr: float | None = None


@dataclass(frozen=True)
class Verification:
    """What two models compute for the same inputs.

    Attributes:
        modes: what was found, by runtime.
        skipped: (runtime, why) of those that are not available.
        said: what AFTER says in real numbers against what BEFORE says; None where not asked for.
        inputs: what was fed, in words.
        runs: how many sets of inputs.
        exceeded: a sentence for each tolerance that is exceeded, and for each runtime that AFTER fails in and BEFORE
            does not.
        unjudged: a sentence for each output that the stated tolerances say nothing about.
    """

    modes: tuple[ModeResult, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    said: Comparison | None = None
    inputs: str = ""
    runs: int = 0
    exceeded: tuple[str, ...] = field(default=())
    unjudged: tuple[str, ...] = field(default=())

    @property
    def is_compared(self) -> bool:
        """Whether in any runtime something could be compared: the two models, or AFTER with its meaning."""
        found = (item for mode in self.modes for item in (mode.comparison, mode.after_meaning))
        return any(item is not None and item.problem is None for item in found)
