"""Rules, findings, and the one list of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from importlib import import_module
from inspect import cleandoc
from typing import Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.alike import Alikes
from tflite_surgeon.knowledge.kernels.registry import micro_kernels, tflite_kernels
from tflite_surgeon.knowledge.prediction import predict
from tflite_surgeon.knowledge.problems import Problem, Said, sayings
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS, NAMES
from tflite_surgeon.knowledge.xnnpack import Placement
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.objects import Model, Node, SubGraph, Tensor

# Bytes of constants that rules read before the memory of a mapped file is freed.
_LET_GO_FROM = 8 << 20


class Severity(IntEnum):
    """How bad a finding is for the selected runtimes."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


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
        offset: where the file says so: position of the tensor's table, or else the node's, in the file that was read;
            None for what was not read from a file.
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
    offset: int | None = None
    evidence: Any = field(default=None, repr=False, compare=False)

    @property
    def path(self) -> str:
        """Where it is, such as subgraphs[0].operators[26]."""
        if self.subgraph is None:
            return "model"
        where = f"subgraphs[{self.subgraph}]"
        return where if self.operator is None else f"{where}.operators[{self.operator}]"

    def _repr_html_(self) -> str:
        from tflite_surgeon.rules.notebook import finding_table

        return finding_table(self)


class Findings(list[Finding]):
    """Findings, most severe first: a list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from tflite_surgeon.rules.notebook import findings_table

        return findings_table(self)


class View:
    """A model as rules see it: the objects, and look-ups that several rules need, made once.

    Attributes:
        alikes: the nodes that are alike.
    """

    def __init__(self, model: Model, targets: Sequence[str] = DEFAULT_TARGETS, alikes: Alikes | None = None) -> None:
        self.model = model
        self.targets = tuple(targets)
        self.alikes = Alikes(model) if alikes is None else alikes
        self._placements: dict[int, Placement] = {}
        self._read = 0

    def placement(self, subgraph: SubGraph) -> Placement:
        found = self._placements.get(id(subgraph))
        if found is None:
            found = self._placements[id(subgraph)] = Placement(subgraph, self.alikes)
        return found

    def let_go(self) -> None:
        """Free the memory that reading constants of a mapped file has taken: for rules that touch many."""
        if self.model.source is not None:
            self.model.source.reader.let_go()

    def has_read(self, size: int) -> None:
        """Note that a rule has read so much of constants: every few megabytes their memory is freed."""
        self._read += size
        if self._read >= _LET_GO_FROM:
            self._read = 0
            self.let_go()

    @cached_property
    def problems(self) -> list[Problem]:
        """What each runtime meets on its way, in that order."""
        return predict(self.model, self.placement, self.alikes)

    def nodes_named(self, *names: str) -> Iterator[Node]:
        """The operators of some names, in the order of their nodes."""
        are_named: dict[int, bool] = {}
        for number, subgraph in enumerate(self.model.subgraphs or ()):
            for index, operator in enumerate(subgraph.operators or ()):
                is_named = are_named.get(id(operator.opcode))
                if is_named is None:
                    is_named = are_named[id(operator.opcode)] = operator.name in names
                if is_named:
                    yield Node(subgraph, number, operator, index)

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
    """A rule as declared.

    Attributes:
        name: such as bias-scale.
        explanation: what it is about, its first sentence fit to stand alone.
        advice: what a person can do about a finding.
        source: where its facts come from.
        operators: those it is about; none where it is about all, or about the file.
        is_hygiene: nothing depends on it: its findings are notes, and it is repaired only when selected.
        check: looks for what no kernel's model reports; None where the walk of `predict` finds everything.
    """

    name: str
    explanation: str
    advice: str
    source: str
    operators: tuple[str, ...] = ()
    is_hygiene: bool = False
    check: Check | None = None

    @property
    def title(self) -> str:
        """The first sentence of the explanation."""
        return self.explanation.split("\n\n")[0].replace("\n", " ").strip()

    @property
    def sayings(self) -> list[Said]:
        """The texts by which runtimes report a breach."""
        tflite_kernels(), micro_kernels()  # Texts are declared by the modules that model who prints them.
        return [said for said in sayings() if said.rule == self.name]


_RULES: dict[str, Rule] = {}
# The modules that declare rules: importing one is what declares them.
_FAMILIES = (
    "pages.file",
    "pages.graph",
    "pages.operators",
    "pages.quantization",
    "pages.delegate",
    "external_data",
    "bias_scale",
    "practice",
    "hygiene",
)


def page(name: str, explanation: str, *, advice: str, source: str, operators: Iterable[str] = ()) -> None:
    """Declare a rule whose breaches the walk of `predict` finds."""
    _declare(Rule(name, cleandoc(explanation), cleandoc(advice), source, tuple(operators)))


def rule(
    name: str, *, source: str, advice: str, operators: Iterable[str] = (), hygiene: bool = False
) -> Callable[[Check], Check]:
    """Declare a rule by the function that looks; its docstring is the explanation."""

    def declare(check: Check) -> Check:
        explanation = cleandoc(check.__doc__ or "")
        _declare(Rule(name, explanation, cleandoc(advice), source, tuple(operators), hygiene, check))
        return check

    return declare


def _declare(declared: Rule) -> None:
    if declared.name in _RULES:
        raise ValueError(f"the rule {declared.name} is declared twice")
    _RULES[declared.name] = declared


def rules() -> dict[str, Rule]:
    """All rules, by name, in the order in which they look."""
    for family in _FAMILIES:
        import_module(f"tflite_surgeon.rules.{family}")
    return dict(_RULES)


def check(model: Model, targets: Sequence[str] = DEFAULT_TARGETS, select: Sequence[str] | None = None) -> Findings:
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
    return Findings(find(View(model, targets), [known[name] for name in chosen]))


def find(view: View, chosen: Sequence[Rule]) -> list[Finding]:
    """What rules find in a model, most severe first, then in the order of its nodes."""
    with without_collecting():
        return _find(view, chosen)


def _find(view: View, chosen: Sequence[Rule]) -> list[Finding]:
    from tflite_surgeon.rules.predicted import predicted_findings

    looking = [rule.check for rule in chosen if rule.check is not None]
    found = [finding for look in looking for finding in look(view)]
    # A rule with a look of its own says more about a node than the walk, where it looks at it at all.
    told = {(finding.rule, finding.subgraph, finding.operator) for finding in found}
    walked = predicted_findings(view, {rule.name for rule in chosen}) if chosen else []
    found += [finding for finding in walked if (finding.rule, finding.subgraph, finding.operator) not in told]
    return sorted((replace(finding, offset=_offset(view, finding)) for finding in found), key=_by_weight)


def _offset(view: View, finding: Finding) -> int | None:
    """The position of what a finding is about, in the file that was read."""
    if finding.subgraph is None:
        return None
    thing: Any = (view.model.subgraphs or [])[finding.subgraph]
    if finding.tensor is not None and 0 <= finding.tensor[0] < len(thing.tensors or ()):
        thing = thing.tensors[finding.tensor[0]]
    elif finding.operator is not None:
        thing = (thing.operators or [])[finding.operator]
    return thing._offset or None


def _by_weight(finding: Finding) -> tuple[int, int, int]:
    place = [-1 if number is None else number for number in (finding.subgraph, finding.operator)]
    return -finding.severity, place[0], place[1]


def require_known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises SurgeonError where a name is not among the known ones."""
    known = list(known)
    for name in names:
        if name not in known:
            raise SurgeonError(f"there is no {kind} {name!r}; known are {', '.join(known)}")
