"""Tensors that must have one scale and zero point: declared anew, converted where they meet, or rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tflite_surgeon.edits.activations import convert_input, convert_output, declare
from tflite_surgeon.edits.constants import Parameters, parameters_of, real_values, requantized, rewrite_constant
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.evidence import fixed_output, recorded_parameters
from tflite_surgeon.edits.group_decision import Choice, choose, distance
from tflite_surgeon.edits.group_words import both, changes, conversion_loss, interface_warnings
from tflite_surgeon.edits.repairs.registry import Done, Refused, Result, Wish
from tflite_surgeon.edits.ties import Tie, is_constant, is_passed, neighbours, tie_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Tensor

CONVERTED = ("INT8", "UINT8", "INT16")
_HALF = 0.5
_FROM_OUTSIDE = "nothing but the number of tensors tells which scale or zero point is right, and one is the caller's"
_Reading = Literal["values", "integers"]


class Settling:
    """How the tensors of one operator come to one scale and zero point."""

    def __init__(self, draft: Draft, tie: Tie, wish: Wish, only_converts: bool = False) -> None:
        self._draft = draft
        self._tie = tie
        self._operator = tie.operator
        self._wish = wish
        # Some kernels convert between the scales as they are: the declared values are right, whoever copies them.
        self._only_converts = only_converts or tie.rescales
        self._constants = [n for n in tie.inputs if is_constant(draft, self._input(n))]
        self._given = [n for n in tie.inputs if n not in self._constants]
        self._what: list[str] = []
        self._loses: list[str] = []
        self._warnings: list[str] = []
        self._reason = ""
        self._keep: _Reading | None = None
        self._effect: float | None = None

    def settle(self) -> Result:
        """Decide and repair; None where all are the same already."""
        for tensor in self._tie.tensors:
            if parameters_of(tensor) is None:
                return Refused(
                    f"{tensor.name!r} has no scale and zero point of its own that can be used; that has to be repaired "
                    "first"
                )
        if _is_one(self._tie.tensors):
            return None
        refused = self._settle_computed()
        if refused is None:
            refused = self._settle_constants()
        if refused is not None:
            return refused
        if not self._what:
            return None
        return Done(
            "; ".join(self._what),
            self._reason,
            self._keep,
            self._effect,
            "; ".join(self._loses),
            tuple(dict.fromkeys(self._warnings)),
        )

    def _input(self, position: int) -> Tensor:
        found = (self._operator.inputs or [])[position]
        assert isinstance(found, Tensor)
        return found

    @property
    def _computed(self) -> list[Tensor]:
        """What is computed or given from outside; inputs first."""
        return [*(self._input(n) for n in self._given), *self._tie.results]

    # What is computed

    def _settle_computed(self) -> Refused | None:
        computed = self._computed
        if self._only_converts:
            if _is_one(computed):
                return None
            self._reason = "kernels that convert between the scales give the declared values"
            return self._convert()
        # Of inputs that are joined the result speaks first, else the input.
        first = computed if len(self._tie.inputs) == 1 else computed[::-1]
        choice = choose(self._draft, [*first, *(self._input(n) for n in self._constants)])
        if choice is None:
            return None
        if _is_one(computed):
            # Only constants differ: what is computed changes only where evidence says that it is what was damaged.
            mine = parameters_of(computed[0]) if computed else None
            if mine in (None, choice.parameters) or not choice.is_evident or self._wish.keep == "values":
                return None
        return self._decide(choice)

    def _decide(self, choice: Choice) -> Refused | None:
        wish = self._wish
        changed = self._damaged(choice.parameters)
        # What is given from outside does not follow from the rest, however many agree.
        is_decided = choice.is_evident or (choice.is_decisive and not any(map(self._draft.is_graph_input, changed)))
        if wish.keep != "values" and is_decided:
            return self._declare_or_convert(choice.parameters, choice.reason)
        if wish.keep == "integers":
            return self._declare_or_convert(choice.parameters, "the copied integers are to stand")
        if self._declare_inside():
            return None
        if wish.keep == "values":
            self._reason = "the declared values are to stand"
            return self._convert()
        found = list(dict.fromkeys(map(_declared, self._tie.tensors)))
        apart = max(distance(one, other).moves for one in found for other in found)
        reason = choice.reason if not choice.is_decisive else _FROM_OUTSIDE
        if apart < _HALF:
            return self._declare_or_convert(
                choice.parameters, f"{reason}, and they are only {apart:.2g} of a quantum apart"
            )
        if wish.undecided == "values":
            self._reason = f"{reason}; the declared values stand"
            return self._convert()
        return Refused(
            f"{reason}: {_listed(self._computed)}; choose with --keep values, which converts between them, or with "
            f"--keep integers, which declares {choice.parameters} for all",
            is_open=True,
        )

    def _declare_or_convert(self, wanted: Parameters, reason: str) -> Refused | None:
        """Declare the parameters for all, or where one of them must keep its own, convert."""
        changed = self._damaged(wanted)
        for tensor in changed:
            bound = self._bound(tensor)
            if bound:
                self._reason = f"{tensor.name!r} cannot have another scale: {bound}"
                return self._convert()
        self._reason = reason
        self._declare(changed, wanted)
        return None

    def _declare_inside(self) -> bool:
        """Declare parameters for all where that changes nothing that is seen from outside.

        What is computed anew, or copied from what keeps its scale, has the same real values then as before: only
        steps and range are others.
        """
        best: tuple[tuple[int, int], list[Tensor], Parameters] | None = None
        for wanted in dict.fromkeys(map(_declared, self._computed)):
            changed = self._damaged(wanted)
            if any(self._draft.is_interface(tensor) or self._bound(tensor) for tensor in changed):
                continue
            rank = (sum(not self._is_copied(tensor) for tensor in changed), len(changed))
            if best is None or rank < best[0]:
                best = (rank, changed, wanted)
        if best is None:
            return False
        _, changed, wanted = best
        self._loses += [loss for tensor in changed if (loss := self._loss_inside(tensor, wanted))]
        self._declare(changed, wanted)
        self._reason = "both have the same real values, and nothing outside counts in the scale that was given up"
        self._keep, self._effect = "values", None
        return True

    def _is_copied(self, tensor: Tensor) -> bool:
        """Whether what writes a tensor copies integers, and does not compute them in its scale."""
        ties = [tie_of(use.operator) for use in self._draft.writers(tensor)]
        return bool(ties) and all(tie is not None and not tie.rescales for tie in ties)

    def _loss_inside(self, tensor: Tensor, wanted: Parameters) -> str:
        """What is lost where a tensor is computed in other steps and another range than before.

        Nothing where all that reads it copies into what had these parameters anyway.
        """
        if self._is_copied(tensor):
            return ""
        ties = [tie_of(use.operator) for use in self._draft.readers(tensor)]
        if all(tie is not None and tie.results and all(_is_like(r, wanted) for r in tie.results) for tie in ties):
            return ""
        mine = _declared(tensor)
        found = distance(mine, wanted)
        if found.clipped == 0 and wanted.scale <= mine.scale:
            return ""
        return conversion_loss(tensor, mine, wanted)

    def _damaged(self, wanted: Parameters) -> list[Tensor]:
        """What has other parameters at this operator, and what has the same ones beyond it."""
        found: dict[int, Tensor] = {}
        waiting = [tensor for tensor in self._computed if _declared(tensor) != wanted]
        while waiting:
            tensor = waiting.pop(0)
            if id(tensor) in found:
                continue
            found[id(tensor)] = tensor
            for other in neighbours(self._draft, tensor):
                if parameters_of(other) == parameters_of(tensor) and not is_constant(self._draft, other):
                    waiting.append(other)
        return list(found.values())

    def _bound(self, tensor: Tensor) -> str:
        """Why a tensor must keep what it declares; empty where it need not."""
        if is_passed(self._draft, tensor):
            return "its integers pass to or from another subgraph or a variable"
        mine = _declared(tensor)
        for use in self._draft.writers(tensor):
            fixed = fixed_output(use.operator)
            if fixed is not None and (fixed.scale, fixed.zero_point) == (mine.scale, mine.zero_point):
                return f"the output of {use.operator.name} is fixed"
        return ""

    def _declare(self, tensors: Sequence[Tensor], wanted: Parameters) -> None:
        for tensor in tensors:
            was = _declared(tensor)
            self._warnings += declare(self._draft, tensor, wanted.scale, wanted.zero_point)
            self._warnings += interface_warnings(self._draft, tensor)
            self._what.append(f"{tensor.name!r} is declared with {changes(was, wanted)}")
        self._keep = "integers"
        uses = [use for tensor in tensors for use in (*self._draft.readers(tensor), *self._draft.writers(tensor))]
        # Where nothing computes with the scale, no integer changes; else what is computed moves to what is declared.
        if all(tie is not None and not tie.rescales for tie in (tie_of(use.operator) for use in uses)):
            self._effect = 0.0

    # Conversions

    def _convert(self) -> Refused | None:
        kind = _declared(self._tie.tensors[0]).type_name
        if kind not in CONVERTED:
            return Refused(
                f"the tensors are {kind}, which no QUANTIZE converts: give them one scale with --keep integers, or by "
                "hand"
            )
        for tensor in self._computed:
            trouble = _trouble(tensor, is_written=any(tensor is result for result in self._tie.results))
            if trouble:
                return Refused(f"{tensor.name!r} cannot be converted, because {trouble}: repair that first")
        sources = [_declared(self._input(n)) for n in self._given]
        if sources and len(set(sources)) == 1 and self._tie.results:
            wanted = sources[0]
            for position in self._tie.outputs:
                self._convert_one(position, wanted, is_output=True)
        else:
            results = [_declared(tensor) for tensor in self._tie.results]
            # Without a result to fit, most inputs stay as they are; of equally many those of the widest range.
            wanted = (results or [max(sources, key=lambda one: (sources.count(one), one.scale))])[0]
            for position in self._given:
                self._convert_one(position, wanted, is_output=False)
        self._keep = "values"
        return None

    def _convert_one(self, position: int, wanted: Parameters, is_output: bool) -> None:
        tensor = (self._operator.outputs or [])[position] if is_output else self._input(position)
        assert isinstance(tensor, Tensor)
        mine = _declared(tensor)
        if mine == wanted:
            return
        if is_output:
            convert_output(self._draft, self._operator, position, wanted)
            start, end = wanted, mine
        else:
            fresh = convert_input(self._draft, self._operator, position, wanted)
            start, end = mine, wanted
            for other in self._given:
                # What is read twice is converted once.
                if self._input(other) is tensor:
                    self._draft.replace_input(self._operator, other, fresh)
        self._what.append(
            f"a QUANTIZE {'behind' if is_output else 'before'} {self._operator.name} converts {tensor.name!r} from "
            f"{both(start)} to {both(end)}"
        )
        found = distance(start, end)
        self._effect = max(self._effect or 0.0, found.moves)
        if found.rounds > 0 or found.clipped > 0:
            self._loses.append(conversion_loss(tensor, start, end))

    # Constants

    def _settle_constants(self) -> Refused | None:
        for position in self._constants:
            reference = (self._tie.results or self._tie.sources)[0] if not self._given else self._input(self._given[0])
            refused = self._settle_constant(position, _declared(reference))
            if refused is not None:
                return refused
        return None

    def _settle_constant(self, position: int, wanted: Parameters) -> Refused | None:
        tensor = self._input(position)
        mine = _declared(tensor)
        if mine == wanted:
            return None
        try:
            new = requantized(tensor, real_values(tensor), wanted.type_name, [wanted.scale], [wanted.zero_point])
        except SurgeonError as error:
            return Refused(f"the constant {tensor.name!r} cannot be read: {error}")
        keep = self._wish.keep
        is_same = new.data == bytes(tensor.data or b"")
        if keep == "auto" and not is_same:
            keep = self._reading_of(tensor, wanted)
            if keep == "auto" and self._wish.undecided == "values":
                keep, self._reason = "values", self._reason or "nothing in the file tells; the declared values stand"
            elif keep == "auto":
                return Refused(
                    f"nothing in the file tells whether the declared values of the constant {tensor.name!r} or its "
                    f"integers are meant: it has {both(mine)}, {both(wanted)} is needed; choose with --keep values "
                    "or --keep integers",
                    is_open=True,
                )
        own = self._draft.own(Use(self._operator, position))
        if keep == "integers" or is_same:
            self._draft.quantize(own, scale=[wanted.scale], zero_point=[wanted.zero_point], quantized_dimension=0)
            self._what.append(f"the constant {tensor.name!r} is declared with {changes(mine, wanted)}")
            self._keep = self._keep or (None if is_same else "integers")
            return None
        rewrite_constant(self._draft, own, new.data, wanted.type_name, [wanted.scale], [wanted.zero_point])
        self._what.append(f"the constant {tensor.name!r} is rewritten in {both(wanted)}, before in {both(mine)}")
        self._keep = self._keep or "values"
        if new.error > 0:
            clipped = f", and {new.clipped} are cut off" if new.clipped else ""
            quanta = new.error / wanted.scale
            self._loses.append(
                f"the values of {tensor.name!r} move by up to {quanta:.2g} of a quantum ({new.error:.3g}){clipped}"
            )
        return None

    def _reading_of(self, tensor: Tensor, wanted: Parameters) -> Literal["auto", "values", "integers"]:
        """What the range recorded for a constant says of its integers."""
        recorded = recorded_parameters(tensor)
        if recorded is None:
            return "auto"
        mine = abs(recorded[0] - _declared(tensor).scale)
        theirs = abs(recorded[0] - wanted.scale)
        if mine == theirs:
            return "auto"
        self._reason = f"the range recorded for {tensor.name!r} is that of scale {recorded[0]:.9g}"
        return "values" if mine < theirs else "integers"


def _declared(tensor: Tensor) -> Parameters:
    found = parameters_of(tensor)
    assert found is not None
    return found


def _is_one(tensors: Sequence[Tensor]) -> bool:
    return len({_declared(tensor) for tensor in tensors}) <= 1


def _listed(tensors: Sequence[Tensor]) -> str:
    unlike = {_declared(tensor): tensor for tensor in reversed(tensors)}
    return " and ".join(f"{tensor.name!r} has {both(one)}" for one, tensor in reversed(unlike.items()))


def _trouble(tensor: Tensor, is_written: bool) -> str:
    """What keeps a conversion of a tensor from running; empty where nothing is known to."""
    if any(size < 0 for size in tensor.shape or ()):
        return f"its shape is {tensor.shape}"
    if is_written and tensor.data is not None:
        return "it holds data, and an operator writes it"
    if tensor.quantization is None or not tensor.quantization.zero_point:
        return "it has no zero point"
    return ""


def _is_like(tensor: Tensor, wanted: Parameters) -> bool:
    return parameters_of(tensor) == wanted
