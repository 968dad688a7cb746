"""Repairs, and the one list of them. A repair belongs to a rule: it is given that rule's findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from typing import Any, Literal

from tflite_surgeon.edits.bias_decision import Keep, Undecided
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS
from tflite_surgeon.model.objects import Operator, SubGraph, Tensor
from tflite_surgeon.rules.registry import Finding


class Phase(IntEnum):
    """When a repair has its turn: causes before consequences."""

    FILE = 0
    """The file and its lists: identifier, buffers, references."""
    GRAPH = 1
    """Which operators there are, in what order, on tensors of which shape, in what scales."""
    TYPES = 2
    """In which types nodes compute: what they would be converted from has to be settled before."""
    ACTIVATIONS = 3
    """Scales that what is computed must share."""
    WEIGHTS = 4
    """Weights and other constants, their scales and zero points."""
    BIAS = 5
    """Biases, which count in the units of what came before."""
    VERSIONS = 6
    """Versions of operators, which follow from what they have become."""
    UPKEEP = 7
    """Nothing depends on it."""


@dataclass(frozen=True)
class Target:
    """A finding and the objects that it is about; None where it concerns more than one."""

    finding: Finding
    subgraph: SubGraph | None
    operator: Operator | None
    tensor: Tensor | None


@dataclass(frozen=True)
class Wish:
    """What a person allows.

    Attributes:
        keep: which of two readings of stored numbers to trust: the written real values, the integers as kernels use
            them, or "auto" to judge by the file.
        undecided: what "auto" does where the file does not tell: keep the "values", or "leave" it.
        lossy: whether repairs may run that cannot keep every number.
        targets: the runtimes that count most.
    """

    keep: Keep = "auto"
    undecided: Undecided = "leave"
    lossy: bool = False
    targets: Sequence[str] = DEFAULT_TARGETS


@dataclass(frozen=True)
class Done:
    """A finding that was repaired.

    Attributes:
        what: what was done, in one sentence with the numbers.
        reason: why so and not otherwise; empty where there was no choice.
        keep: the reading that was trusted, where there were two; else None.
        effect: by how many output quanta results move; None where that is not known or not meant.
        loses: what the repair cannot keep, with its measure; empty where it keeps everything. It counts as lossy.
        warnings: what to look at afterwards.
        detail: more of it, for repairs that are told in a way of their own.
    """

    what: str
    reason: str = ""
    keep: Literal["values", "integers"] | None = None
    effect: float | None = None
    loses: str = ""
    warnings: tuple[str, ...] = ()
    detail: Any = None


@dataclass(frozen=True)
class Refused:
    """A finding that was left alone.

    Attributes:
        reason: why it cannot be repaired by machine, and what a person can do instead.
        is_open: both readings would do: the person has to choose with --keep values or --keep integers.
        detail: more of it, for repairs that are told in a way of their own.
    """

    reason: str
    is_open: bool = False
    detail: Any = None


# None where there is nothing left to do: another repair has settled it.
Result = Done | Refused | None
Single = Callable[[Draft, Target, Wish], Result]
Together = Callable[[Draft, Sequence[Target], Wish], Sequence[Result]]


@dataclass(frozen=True)
class Repair:
    """How the findings of a rule are repaired.

    Attributes:
        rule: the rule's name.
        phase: when it has its turn.
        does: what it does, for a person: the rule's page shows it.
        lacks: the information that a file lacks where it must refuse; empty where it never does for that reason.
        run: repairs findings and says of each what became of it. What it says it refused must be unchanged.
    """

    rule: str
    phase: Phase
    does: str
    lacks: str
    run: Together


_NO_BUFFERS = "the file has no buffers, and so no constants to go by: convert it again"
_REPAIRS: dict[str, Repair] = {}
# Rules whose findings no repair can settle: what the file lacks, for the rule's page.
_LACKING: dict[str, str] = {}
# The modules that declare repairs: importing one is what declares them.
_FAMILIES: tuple[str, ...] = (
    "file",
    "buffers",
    "constant_size",
    "tensor_shape",
    "zero_points",
    "missing_options",
    "indices",
    "scale_values",
    "zero_point_range",
    "int16_zero_points",
    "comparisons",
    "multipliers",
    "graph",
    "shapes",
    "node_numbers",
    "geometry",
    "bias_missing",
    "bias_type",
    "bias_zero_point",
    "bias",
    "weights",
    "scale_vectors",
    "hybrid",
    "sparse",
    "fused",
    "types",
    "schemes",
    "same_quantization",
    "fixed_outputs",
    "powers_of_two",
    "delegate",
    "versions",
    "upkeep",
)


def repair(rule: str, phase: Phase, does: str, lacks: str = "") -> Callable[[Single], Single]:
    """Declare the repair of a rule by the function that repairs one finding."""

    def declare(function: Single) -> Single:
        def run(draft: Draft, targets: Sequence[Target], wish: Wish) -> Sequence[Result]:
            if phase > Phase.FILE and not draft.model.buffers:
                return [Refused(_NO_BUFFERS)] * len(targets)
            return [one_by_one(draft, target, wish, function) for target in targets]

        _declare(Repair(rule, phase, does, lacks, run))
        return function

    return declare


def one_by_one(draft: Draft, target: Target, wish: Wish, function: Single) -> Result:
    """Repair one finding; what is refused, or would lose what the person wants to keep, leaves no trace."""
    mark = draft.mark()
    result = function(draft, target, wish)
    if isinstance(result, Done) and result.loses and not wish.lossy:
        result = Refused(f"{result.what} would lose something: {result.loses}; allow it with --lossy")
    if isinstance(result, Refused):
        draft.back_to(mark)
    return result


def repair_together(rule: str, phase: Phase, does: str, lacks: str = "") -> Callable[[Together], Together]:
    """Declare the repair of a rule by the function that repairs all its findings at once."""

    def declare(function: Together) -> Together:
        _declare(Repair(rule, phase, does, lacks, function))
        return function

    return declare


def no_repair(rule: str, lacks: str) -> None:
    """Declare that a rule's findings cannot be repaired, and which information the file lacks."""
    _LACKING[rule] = lacks


def _declare(declared: Repair) -> None:
    if declared.rule in _REPAIRS:
        raise ValueError(f"the repair of {declared.rule} is declared twice")
    _REPAIRS[declared.rule] = declared


def repairs() -> dict[str, Repair]:
    """All repairs, by the name of their rule."""
    for family in _FAMILIES:
        import_module(f"tflite_surgeon.edits.repairs.{family}")
    return dict(_REPAIRS)


def lacking(rule: str) -> str | None:
    """What a file lacks for a repair of a rule's findings; None where nothing was said."""
    known = repairs().get(rule)
    return (known.lacks or None) if known is not None else _LACKING.get(rule)
