"""The rounds of a repair: causes before consequences, each followed by a look at the whole model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.plan import SetField
from tflite_surgeon.edits.repairs.registry import Done, Refused, Repair, Result, Target, Wish
from tflite_surgeon.errors import RepairError
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.alike import Alikes
from tflite_surgeon.knowledge.problems import CRASHES, OK, REFUSES, UNKNOWN, WRONG
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.rules.registry import Finding, Severity, View, find, rules
from tflite_surgeon.rules.verdicts import Verdict, judge

# Each round settles what it tries for good, or leaves it; what one repair brings to light is at most a few layers deep.
MOST_ROUNDS = 256
# Each costs a look at the whole model.
MOST_SUSPECTS = 16

# Tables whose fields make no difference to nodes but to those that have the tensor.
_ONE_TENSORS = frozenset({"Tensor", "QuantizationParameters", "Buffer"})

_RANK = {OK: 0, UNKNOWN: 0, WRONG: 1, REFUSES: 2, CRASHES: 2}

# What was found, by the identities of the operators and tensors that it counts for.
_Known = dict[int, list[Finding]]
# What a finding is about: the rule, and the identities of subgraph, operator and tensor.
_Key = tuple[str, int, int, int, str]


@dataclass(frozen=True)
class Attempt:
    """A finding that a repair was tried on, and what became of it."""

    target: Target
    result: Result


class Rounds:
    """Repairs a draft until nothing is left that has not been tried.

    Attributes:
        findings: what is found in the draft as it is now.
        targets: the runtimes that count.
        verdicts_before, verdicts: what becomes of the model in each runtime, at first and now.
    """

    def __init__(self, draft: Draft, chosen: Sequence[str], repairs: Mapping[str, Repair], wish: Wish) -> None:
        self.draft = draft
        self._attempts: dict[_Key, Attempt] = {}
        self._chosen = dict.fromkeys(chosen)
        self._repairs = repairs
        self._wish = wish
        self.targets = wish.targets
        # How many edits there were when a finding was tried; what was refused may be possible once there are more.
        self._tried: dict[_Key, int] = {}
        # What did no good or did harm, and how many edits there were then: where there are more, it is tried again
        # behind all else.
        self._hopeless: dict[_Key, int] = {}
        # What may have done harm together with others: tried once more, each by itself.
        self._suspects: list[_Key] = []
        self._at_first: Alikes | None = None
        self.findings: list[Finding] = []
        self.verdicts: dict[str, Verdict] = {}
        self._look()
        self.verdicts_before = self.verdicts

    @property
    def attempts(self) -> list[Attempt]:
        """What was tried, in the order in which it was settled."""
        return list(self._attempts.values())

    def _look(self) -> None:
        view = View(self.draft.model, self.targets, self._alikes())
        if not self.draft.edits:
            self._at_first = view.alikes
        self.findings = find(view, list(rules().values()))
        self.verdicts = judge(view, self.findings)
        view.let_go()

    def _alikes(self) -> Alikes | None:
        """The nodes that are alike, as far as the first look found them and no edit changed them."""
        edits = self.draft.edits
        if self._at_first is None or any(
            not isinstance(edit, SetField) or edit.owner.table not in _ONE_TENSORS for edit in edits
        ):
            return None
        return self._at_first.after(self.draft.model, self.draft.touched(0))

    def run(self, is_wanted: Callable[[Target], bool]) -> None:
        """Repair what is wanted.

        Raises:
            RepairError: it finds no end.
        """
        for _ in range(MOST_ROUNDS):
            waiting = [target for target in map(self._target, self.findings) if self._is_waiting(target)]
            waiting = [target for target in waiting if is_wanted(target)]
            suspects = [target for target in waiting if self._key(target) in self._suspects]
            if waiting and len(suspects) < len(waiting):
                waiting = [target for target in waiting if self._key(target) not in self._suspects]
                phase = min(self._repairs[target.finding.rule].phase for target in waiting)
                self._round([target for target in waiting if self._repairs[target.finding.rule].phase == phase])
            elif suspects:
                self._suspects.remove(self._key(suspects[0]))
                self._round(suspects[:1])
            elif not self._hope():
                return
        raise RepairError(f"after {MOST_ROUNDS} rounds of repairs there is still something new to repair")

    def _hope(self) -> bool:
        """Let what did no good be tried again where more has been repaired since; whether there is any of it."""
        again = [key for key, mark in self._hopeless.items() if mark != self.draft.mark()]
        for key in again:
            del self._hopeless[key]
            self._tried.pop(key, None)
        return bool(again)

    def _is_waiting(self, target: Target) -> bool:
        key = self._key(target)
        if target.finding.rule not in self._chosen or key in self._hopeless:
            return False
        settled = self._attempts.get(key)
        if settled is not None and isinstance(settled.result, Done):
            return False
        return key in self._suspects or self._tried.get(key) != self.draft.mark()

    def left(self) -> list[Attempt]:
        """What was refused and is still there: some of it another repair has settled."""
        present = {self._key(self._target(finding)) for finding in self.findings}
        return [a for a in self.attempts if isinstance(a.result, Refused) and self._key(a.target) in present]

    def _target(self, finding: Finding) -> Target:
        subgraphs = self.draft.model.subgraphs or []
        if finding.subgraph is None or not 0 <= finding.subgraph < len(subgraphs):
            return Target(finding, None, None, None)
        subgraph = subgraphs[finding.subgraph]
        operators = subgraph.operators or []
        operator = None if finding.operator is None else operators[finding.operator]
        tensors = subgraph.tensors or []
        number = -1 if finding.tensor is None else finding.tensor[0]
        return Target(finding, subgraph, operator, tensors[number] if 0 <= number < len(tensors) else None)

    @staticmethod
    def _key(target: Target) -> _Key:
        details = target.finding.details
        # A node has several biases, a file several operator codes.
        role = " ".join(str(details[name]) for name in ("bias_role", "operator", "version") if name in details)
        return target.finding.rule, id(target.subgraph), id(target.operator), id(target.tensor), role

    def _round(self, targets: list[Target]) -> None:
        """Try repairs of one phase; those that do not help, or do harm, are taken back."""
        before, mark = self.findings, self.draft.mark()
        verdicts, known = self.verdicts, self._known()
        refused: dict[_Key, Refused] = {}
        while True:
            attempts = self._try([target for target in targets if self._key(target) not in refused])
            if self.draft.mark() > mark:
                self._look()
            bad = self._bad(attempts, known, mark)
            if not bad:
                break
            self.draft.back_to(mark)
            self.findings, self.verdicts = before, verdicts
            refused.update(bad)
        for target in targets:
            key = self._key(target)
            if key in refused:
                attempts.append(Attempt(target, refused[key]))
        if len(refused) > 1:
            self._suspects += list(refused)[: MOST_SUSPECTS - len(self._suspects)]
        self._hopeless |= dict.fromkeys(refused.keys() - set(self._suspects), mark)
        for attempt in attempts:
            key = self._key(attempt.target)
            self._tried[key] = mark  # Others of the round may have been repaired behind it.
            self._attempts.pop(key, None)
            self._attempts[key] = attempt

    def _try(self, targets: Sequence[Target]) -> list[Attempt]:
        """Run repairs, rule by rule; a target that another rule's repair has touched waits for the next round."""
        attempts: list[Attempt] = []
        touched: set[int] = set()
        for rule in self._chosen:
            mine = [target for target in targets if target.finding.rule == rule]
            mine = [target for target in mine if touched.isdisjoint(_about(target))]
            if not mine:
                continue
            mark = self.draft.mark()
            results = self._repairs[rule].run(self.draft, mine, self._wish)
            attempts += [Attempt(target, result) for target, result in zip(mine, results, strict=True)]
            touched |= self.draft.touched(mark)
        return attempts

    def _bad(self, attempts: Sequence[Attempt], known: _Known, mark: int) -> dict[_Key, Refused]:
        """Repairs that left their finding where it was, or that did harm."""
        done = [attempt for attempt in attempts if isinstance(attempt.result, Done)]
        if not done:
            return {}
        now = {self._key(self._target(finding)): finding for finding in self.findings}
        bad = {}
        for attempt in done:
            found = now.get(self._key(attempt.target))
            if found is not None and found.severity >= min(attempt.target.finding.severity, Severity.WARNING):
                bad[self._key(attempt.target)] = Refused(
                    f"the repair was tried and did not help ({found.message}); please report this with the model"
                )
        earlier = {self._key(attempt.target) for attempt in self.attempts if isinstance(attempt.result, Done)}
        returned = [now[key] for key in earlier & now.keys() if now[key].severity > Severity.NOTE]
        if bad:
            return bad
        for finding in (*returned, *self._harm(known, mark)):
            for attempt in _guilty(done, self._target(finding)):
                bad[self._key(attempt.target)] = Refused(f"the repair would have caused this: {finding.message}")
        return bad

    def _harm(self, known: _Known, mark: int) -> Iterable[Finding]:
        """New errors where something was changed and nothing was wrong before.

        What is new elsewhere, or behind an error at the same place, was hidden: runtimes stop at the first.
        """
        added = {id(edit.item) for edit in self.draft.edits[mark:] if not isinstance(edit, SetField)}
        touched: set[int] | None = None
        for finding in self.findings:
            if finding.severity != Severity.ERROR:
                continue
            places = self._places(finding)
            if not places.isdisjoint(added):
                places |= self._beside(finding)
            worst = dict.fromkeys(finding.runtimes, 0)
            for old in (old for identity in places for old in known.get(identity, ())):
                for name, effect in old.runtimes.items():
                    worst[name] = max(worst.get(name, 0), _RANK[effect])
            if all(_RANK[effect] <= worst[name] for name, effect in finding.runtimes.items()):
                continue
            if touched is None:
                touched = self.draft.touched(mark)
            if not touched.isdisjoint(_about(self._target(finding))):
                yield finding

    def _known(self) -> _Known:
        """What is found now, by the places that it counts for: numbers of operators move with what is added."""
        known: _Known = {}
        for finding in self.findings:
            for identity in self._places(finding):
                known.setdefault(identity, []).append(finding)
        return known

    def _beside(self, finding: Finding) -> set[int]:
        """The operators on either side of one that a repair has added: what they could not do, it need not."""
        operator = self._target(finding).operator
        if operator is None:
            return set()
        sources = [item for item in operator.inputs or () if isinstance(item, Tensor)]
        results = [item for item in operator.outputs or () if isinstance(item, Tensor)]
        uses = [use for tensor in sources for use in self.draft.writers(tensor)]
        uses += [use for tensor in results for use in self.draft.readers(tensor)]
        return {id(use.operator) for use in uses}

    def _places(self, finding: Finding) -> set[int]:
        """What a finding counts for: its operator, or its tensor and all that use it, or the file."""
        target = self._target(finding)
        if target.operator is not None:
            return {id(target.operator)}
        if target.tensor is None:
            return {0}
        uses = (*self.draft.readers(target.tensor), *self.draft.writers(target.tensor))
        return {id(target.tensor), *(id(use.operator) for use in uses)}


def _guilty(done: Sequence[Attempt], harmed: Target) -> Sequence[Attempt]:
    """Who may have done harm: those at the same place, or else those beside it, or else all."""
    places = {id(item) for item in (harmed.operator, harmed.tensor) if item is not None}
    same = [a for a in done if not places.isdisjoint({id(a.target.operator), id(a.target.tensor)})]
    near = _about(harmed)
    return same or [a for a in done if not near.isdisjoint(_about(a.target))] or done


def _about(target: Target) -> set[int]:
    """The identities of the objects that a finding is about; of an operator, its tensors too."""
    found = {id(item) for item in (target.operator, target.tensor) if item is not None}
    if target.operator is not None:
        for items in (target.operator.inputs, target.operator.outputs):
            found.update(id(item) for item in items or () if isinstance(item, Table))
    return found
