"""The order in which nodes run once the delegate has taken some: nodes of one kind are gathered while they can be.

Source: LiteRT graph_info.cc (PartitionGraphIntoIndependentNodeSubsets), core/subgraph.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Operator

# Operators whose order among themselves is kept.
_WITH_SIDE_EFFECTS = frozenset({"IF", "WHILE", "CALL_ONCE", "STABLEHLO_CASE"})
_RESOURCES = frozenset({"RESOURCE", "VARIANT"})


def partition(operators: Sequence[Operator], takes: Callable[[Operator], bool]) -> list[list[int]]:
    """Numbers of the nodes in each part, in the order in which they run, all taken or none in each.

    Nodes that wait for each other are in none: the delegate then gives all its nodes back.
    """
    waiting, readers = _dependencies(operators)
    kinds = [takes(operator) for operator in operators]
    ready: dict[bool, list[int]] = {True: [], False: []}
    for number, kind in enumerate(kinds):
        if not waiting[number]:
            ready[kind].append(number)
    parts: list[list[int]] = []
    while ready[True] or ready[False]:
        # The first node that is ready gives its kind to the part.
        kind = min((found[0], kind) for kind, found in ready.items() if found)[1]
        now, ready[kind] = ready[kind], []
        part: list[int] = []
        later: list[int] = []
        while now:
            number = heappop(now)
            part.append(number)
            for key in (number, *map(id, operators[number].outputs or ())):
                for reader in readers.pop(key, ()):
                    waiting[reader] -= 1
                    if waiting[reader] == 0:
                        if kinds[reader] != kind:
                            heappush(ready[not kind], reader)
                        else:  # One that stands before this node is met when the nodes are gone through again.
                            heappush(now if reader > number else later, reader)
            if not now:
                now, later = later, []
        parts.append(part)
    return parts


def _dependencies(operators: Sequence[Operator]) -> tuple[list[int], dict[Hashable, list[int]]]:
    """For how much each node waits, and the nodes that wait for a tensor (by identity) or a node (by number)."""
    computed = {id(tensor) for operator in operators for tensor in operator.outputs or () if tensor is not None}
    waiting = []
    readers: dict[Hashable, list[int]] = {}
    stateful = -1
    for number, operator in enumerate(operators):
        keys: set[Hashable] = {id(tensor) for tensor in operator.inputs or ()} & computed  # type: ignore[assignment]
        if _has_side_effects(operator):
            if stateful >= 0:
                keys.add(stateful)
            stateful = number
        waiting.append(len(keys))
        for key in keys:
            readers.setdefault(key, []).append(number)
    return waiting, readers


def _has_side_effects(operator: Operator) -> bool:
    if operator.name in _WITH_SIDE_EFFECTS:
        return True
    return any(getattr(tensor, "type_name", "") in _RESOURCES for tensor in operator.inputs or ())
