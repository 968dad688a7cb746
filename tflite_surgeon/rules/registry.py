"""Rules, findings, and the one list of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from importlib import import_module
from typing import Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS, NAMES
from tflite_surgeon.knowledge.xnnpack import Placement
from tflite_surgeon.model.objects import Model, SubGraph, Tensor


class Severity(IntEnum):
    """How bad a finding is for the selected runtimes."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


# What a runtime makes of a node.
REFUSES, CRASHES, WRONG, OK, UNKNOWN = "refuses", "crashes", "wrong-numbers", "ok", "unknown"


@dataclass(frozen=True)
class Finding:
    """Something wrong in one place.

    Attributes:
        rule: the rule's name.
        severity: for the selected runtimes.
        subgraph: number of the subgraph; None where the file as a whole is concerned.
        operator: node number as runtimes print it; None where no operator is concerned.
        operator_name: such as FULLY_CONNECTED.
        tensor: (number, name) of the tensor that is at fault, else None.
        message: one sentence, numbers included.
        runtimes: what each runtime makes of it: refuses, crashes, wrong-numbers, ok or unknown.
        details: the numbers behind the message.
        evidence: what the rule's repair works from; not part of the report.
    """

    rule: str
    severity: Severity
    subgraph: int | None
    operator: int | None
    operator_name: str | None
    tensor: tuple[int, str] | None
    message: str
    runtimes: dict[str, str]
    details: dict[str, Any]
    evidence: Any = field(default=None, repr=False, compare=False)

    @property
    def path(self) -> str:
        """Where it is, such as subgraphs[0].operators[26]."""
        if self.subgraph is None:
            return "model"
        where = f"subgraphs[{self.subgraph}]"
        return where if self.operator is None else f"{where}.operators[{self.operator}]"


class View:
    """A model as rules see it: the objects, and look-ups that several rules need, made once."""

    def __init__(self, model: Model, targets: Sequence[str] = DEFAULT_TARGETS) -> None:
        self.model = model
        self.targets = tuple(targets)
        self._placements: dict[int, Placement] = {}

    def placement(self, subgraph: SubGraph) -> Placement:
        found = self._placements.get(id(subgraph))
        if found is None:
            found = self._placements[id(subgraph)] = Placement(subgraph)
        return found

    @cached_property
    def tensor_numbers(self) -> dict[int, int]:
        """The number of each tensor in its subgraph, by identity."""
        return {
            id(tensor): index
            for subgraph in self.model.subgraphs or ()
            for index, tensor in enumerate(subgraph.tensors or ())
        }

    def identify(self, tensor: Tensor) -> tuple[int, str]:
        return self.tensor_numbers.get(id(tensor), -1), tensor.name or ""


Check = Callable[[View], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """A rule as declared: its name, what it is about, where its facts come from, and the function that looks."""

    name: str
    operators: tuple[str, ...]
    source: str
    check: Check

    @property
    def explanation(self) -> str:
        return self.check.__doc__ or ""


_RULES: dict[str, Rule] = {}
# The modules that declare rules: importing one is what declares them.
_FAMILIES = ("file_header", "external_data", "delegate", "bias_scale")


def rule(name: str, *, operators: Iterable[str], source: str) -> Callable[[Check], Check]:
    """Declare a rule; the function's docstring is its explanation."""

    def declare(check: Check) -> Check:
        _RULES[name] = Rule(name, tuple(operators), source, check)
        return check

    return declare


def rules() -> dict[str, Rule]:
    """All rules, by name, in the order in which they look."""
    for family in _FAMILIES:
        import_module(f"tflite_surgeon.rules.{family}")
    return dict(_RULES)


def check(model: Model, targets: Sequence[str] = DEFAULT_TARGETS, select: Sequence[str] | None = None) -> list[Finding]:
    """What is wrong with a model, most severe first, then in the order of its nodes. The model is not changed.

    Args:
        model: the model.
        targets: names of the runtimes that count for the severity.
        select: names of the rules to run; None for all.

    Raises:
        SurgeonError: no such runtime or rule.
    """
    require_known("runtime", targets, NAMES)
    known = rules()
    chosen = list(known) if select is None else list(select)
    require_known("rule", chosen, known)
    view = View(model, targets)
    found = [finding for name in chosen for finding in known[name].check(view)]
    return sorted(found, key=_by_weight)


def _by_weight(finding: Finding) -> tuple[int, int, int]:
    place = [-1 if number is None else number for number in (finding.subgraph, finding.operator)]
    return -finding.severity, place[0], place[1]


def require_known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises SurgeonError where a name is not among the known ones."""
    known = list(known)
    for name in names:
        if name not in known:
            raise SurgeonError(f"there is no {kind} {name!r}; known are {', '.join(known)}")
