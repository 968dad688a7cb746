"""Repairs, and the one list of them. A repair belongs to a rule: it is given that rule's findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from math import inf
from typing import Any, Literal

from tflite_surgeon.edits.bias_decision import Keep, Undecided
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.plan import Edit, SetField
from tflite_surgeon.edits.repairs.without import LACKING
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS
from tflite_surgeon.model.objects import Operator, SubGraph, Tensor
from tflite_surgeon.quantization import LARGEST
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
# The rules that each module repairs, in the order in which those of one phase have their turn. A model has findings of
# few: only their modules are imported.
_FAMILIES = """
file: file-identifier schema-version missing-vector signature
buffers: sentinel-buffer buffer-offset buffer-index variable-with-data
constant_size: constant-size
tensor_shape: tensor-shape
zero_points: zero-points-missing zero-point-count
missing_options: missing-options custom-options
bias_type: bias-type
bias_missing: bias-missing bias-length
indices: tensor-index missing-input missing-data operator-code-index
comparisons: comparison-scale
bias_zero_point: bias-zero-point
weights: weights-zero-point
zero_point_range: zero-point-range xnnpack-zero-point
scale_values: scale-value xnnpack-scale product-scale missing-quantization unquantised-activation xnnpack-crash
int16_zero_points: int16-zero-point
multipliers: multiplier-range activation-range xnnpack-requantization
graph: operator-order two-producers in-place constant-output xnnpack-output
shapes: stored-shape output-shape xnnpack-shape positive-size size-overflow dimension-match broadcast channels
node_numbers: option-value slice-bounds split-sizes
geometry: element-count inner-dimension tensor-rank tensor-count
bias: bias-scale
scale_vectors: quantized-dimension scale-count
types: operator-types same-type
hybrid: hybrid-model tensor-type
sparse: weights-format sparsity
fused: fused-activation
schemes: quantization-scheme xnnpack-quantization
same_quantization: same-quantization
fixed_outputs: fixed-output-quantization
powers_of_two: power-of-two-scale
delegate: xnnpack-definition
versions: operator-version operator-availability unknown-operator
upkeep: unused-tensor unused-buffer unused-operator-code operator-code-fields duplicate-buffer duplicate-name
    missing-signature dangling-metadata
"""


def _by_rule(families: str) -> dict[str, str]:
    """The module of each rule, in the order of the list."""
    found: dict[str, str] = {}
    module = ""
    for word in families.split():
        if word.endswith(":"):
            module = word[:-1]
        else:
            found[word] = module
    return found


class _Repairs(Mapping[str, Repair]):
    """Repairs by the name of their rule; a module is imported when one of its repairs is asked for."""

    def __init__(self, families: str) -> None:
        self._modules = _by_rule(families)
        self._declared: dict[str, Repair] = {}

    def __getitem__(self, rule: str) -> Repair:
        if rule not in self._declared:
            import_module(f"tflite_surgeon.edits.repairs.{self._modules[rule]}")
        return self._declared[rule]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, rule: object) -> bool:
        return rule in self._modules

    def declare(self, repair: Repair) -> None:
        if repair.rule in self._declared:
            raise ValueError(f"the repair of {repair.rule} is declared twice")
        if repair.rule not in self._modules:
            raise ValueError(f"{repair.rule} is missing from the list of repairs in {__name__}")
        self._declared[repair.rule] = repair


_REPAIRS = _Repairs(_FAMILIES)


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
    if isinstance(result, Done) and not all(map(_can_be_written, draft.edits[mark:])):
        result = Refused(f"{result.what} would need a number that the file has no room for: the node asks for too much")
    if isinstance(result, Refused):
        draft.back_to(mark)
    return result


def _can_be_written(edit: Edit) -> bool:
    """Whether shapes and scales that an edit brings are numbers of 32 bits."""
    if isinstance(edit, SetField):
        shape = edit.new if edit.attribute == "shape" else None
        scale = edit.new if edit.attribute == "scale" else None
    else:
        shape, scale = getattr(edit.item, "shape", None), None
    return all(length < 1 << 31 for length in shape or ()) and all(not LARGEST < abs(one) < inf for one in scale or ())


def repair_together(rule: str, phase: Phase, does: str, lacks: str = "") -> Callable[[Together], Together]:
    """Declare the repair of a rule by the function that repairs all its findings at once."""

    def declare(function: Together) -> Together:
        _declare(Repair(rule, phase, does, lacks, function))
        return function

    return declare


def _declare(declared: Repair) -> None:
    _REPAIRS.declare(declared)


def repairs() -> Mapping[str, Repair]:
    """All repairs, by the name of their rule, in the order in which those of one phase have their turn."""
    return _REPAIRS


def lacking(rule: str) -> str | None:
    """What a file lacks for a repair of a rule's findings; None where nothing was said."""
    if rule in _REPAIRS:
        return _REPAIRS[rule].lacks or None
    return LACKING.get(rule)
