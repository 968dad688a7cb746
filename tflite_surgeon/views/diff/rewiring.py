"""Which changes of wiring are the other side of an operator that was inserted or removed."""

from __future__ import annotations

from typing import Any

from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.views.diff.pairing import GraphPairing, Side


class Rewiring:
    """Operators without a counterpart, in connected groups, and what feeds each group from outside."""

    def __init__(self, pairing: GraphPairing) -> None:
        self._pairing = pairing
        before, after = ({pair[side] for pair in pairing.operators} for side in (0, 1))
        self._before = _Groups(pairing.before, before, self._as_after)
        self._after = _Groups(pairing.after, after, id)

    def _as_after(self, tensor: Tensor) -> int:
        """One name for a tensor of both models."""
        found = self._pairing.counterpart(tensor)
        return id(tensor if found is None else found)

    def explains(self, x: Any, y: Any) -> bool:
        """Whether a reader of `x` reads `y` now only because operators were put between, taken out or replaced.

        So it is where both come from one tensor that both models have, or from operators that need none.
        """
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            return False
        left, right = self._before.sources(x), self._after.sources(y)
        if left is None and right is None:
            return False
        left = {self._as_after(x)} if left is None else left
        right = {id(y)} if right is None else right
        return not left or not right or bool(left & right)


class _Groups:
    """Unpaired operators of one side, joined where one reads what another computes."""

    def __init__(self, side: Side, paired: set[int], name: Any) -> None:
        lone = [number for number in range(len(side.operators)) if number not in paired]
        self._writer = {id(item): number for number in lone for item in side.operators[number].outputs or ()}
        self._writer.pop(id(None), None)
        self._parent = {number: number for number in lone}
        for number in lone:
            for tensor in side.operators[number].inputs or ():
                if id(tensor) in self._writer:
                    self._parent[self._root(number)] = self._root(self._writer[id(tensor)])
        self._sources: dict[int, set[int]] = {self._root(number): set() for number in lone}
        for number in lone:
            found = self._sources[self._root(number)]
            for tensor in side.operators[number].inputs or ():
                if isinstance(tensor, Tensor) and id(tensor) not in self._writer and not side.is_given(tensor):
                    found.add(name(tensor))

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def sources(self, tensor: Tensor) -> set[int] | None:
        """What feeds the group that computes a tensor; None for a tensor that no unpaired operator computes."""
        number = self._writer.get(id(tensor))
        return None if number is None else self._sources[self._root(number)]
