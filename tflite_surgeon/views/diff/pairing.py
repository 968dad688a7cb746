"""Which subgraph, operator and tensor of one model is which of the other."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from tflite_surgeon.model.objects import Model, SubGraph, Tensor
from tflite_surgeon.views.diff.alignment import Keys, Level, Method, Pair, align, by_fewest_edits, by_unique_keys
from tflite_surgeon.views.diff.keys import OperatorKeys, digest
from tflite_surgeon.views.wiring import Wiring

T = TypeVar("T")

COMPUTED = "computed"
INPUT = "input"
VARIABLE = "variable"
CONSTANT = "constant"
EMPTY = "empty"


class Side:
    """A subgraph of one model, with what is asked of it again and again."""

    def __init__(self, subgraph: SubGraph, index: int, looked_at: Callable[[int], None]) -> None:
        self.looked_at = looked_at
        self.subgraph = subgraph
        self.index = index
        self.tensors: list[Tensor] = subgraph.tensors or []
        self.operators = subgraph.operators or []
        self.wiring = Wiring(subgraph)
        self.inputs = [item for item in subgraph.inputs or () if isinstance(item, Tensor)]
        self._input_ids = {id(item) for item in self.inputs}
        self.places = {id(tensor): place for place, tensor in enumerate(self.tensors)}

    def sort(self, tensor: Tensor) -> str:
        """Where its values come from."""
        if self.wiring.writers(tensor):
            return COMPUTED
        if id(tensor) in self._input_ids:
            return INPUT
        if tensor.is_variable:
            return VARIABLE
        return CONSTANT if tensor.data or tensor.external_buffer else EMPTY

    def is_given(self, tensor: Any) -> bool:
        """Whether it comes with the file: no operator computes it, nobody hands it in."""
        return isinstance(tensor, Tensor) and self.sort(tensor) not in (COMPUTED, INPUT)


class GraphPairing:
    """Two subgraphs that are one, and what in them is one.

    Attributes:
        operators: node numbers before and after, in the order of the subgraph afterwards.
        moved: pairs among them that run at another time than their neighbours.
    """

    def __init__(self, before: Side, after: Side) -> None:
        self.before = before
        self.after = after
        pairs, moved = _paired_operators(before, after)
        self.operators: list[Pair] = sorted([*pairs, *moved], key=lambda pair: pair[1])
        self.moved = set(moved)
        self._after: dict[int, Tensor] = {}
        self._before: dict[int, Tensor] = {}
        self._pair_tensors()

    def counterpart(self, tensor: Any) -> Tensor | None:
        """What a tensor of the model before has become."""
        return self._after.get(id(tensor))

    def origin(self, tensor: Any) -> Tensor | None:
        """What a tensor of the model afterwards was."""
        return self._before.get(id(tensor))

    def is_same(self, x: Any, y: Any) -> bool:
        """Whether two references, which may be missing or bad, are to one tensor."""
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return self._after.get(id(x)) is y
        return bool(x == y)

    def _join(self, x: Any, y: Any) -> None:
        if isinstance(x, Tensor) and isinstance(y, Tensor) and id(x) not in self._after and id(y) not in self._before:
            self._after[id(x)] = y
            self._before[id(y)] = x

    def _join_each(self, before: Iterable[Any] | None, after: Iterable[Any] | None) -> None:
        for x, y in zip(before or (), after or ()):
            self._join(x, y)

    def _pair_tensors(self) -> None:
        before, after = self.before, self.after
        for one, other in _paired_inputs(before.inputs, after.inputs):
            self._join(one, other)
        operators = [(before.operators[i], after.operators[j]) for i, j in self.operators]
        for a, b in operators:
            for made, now_made in ((a.outputs, b.outputs), (a.intermediates, b.intermediates)):
                self._join_each(made, now_made)
        for a, b in operators:
            if a.name != b.name:
                continue
            given = [item if before.is_given(item) else None for item in a.inputs or ()]
            self._join_each(given, [item if after.is_given(item) else None for item in b.inputs or ()])
        for key in (_name_and_sort, _content, _name):
            left, right = ([(key(side, tensor), tensor) for tensor in rest] for side, rest in self._unpaired())
            for (_, one), (_, other) in unique_pairs(left, right, itemgetter(0), itemgetter(0)):
                self._join(one, other)
        # States and the like: those that nothing tells apart are taken in their order.
        waiting: dict[Hashable, deque[Tensor]] = {}
        (_, old), (_, new) = self._unpaired()
        for tensor in old:
            if before.is_given(tensor) and not tensor.data:
                waiting.setdefault(_form(tensor), deque()).append(tensor)
        for tensor in new:
            if after.is_given(tensor) and not tensor.data and waiting.get(_form(tensor)):
                self._join(waiting[_form(tensor)].popleft(), tensor)

    def _unpaired(self) -> list[tuple[Side, list[Tensor]]]:
        before = [tensor for tensor in self.before.tensors if id(tensor) not in self._after]
        after = [tensor for tensor in self.after.tensors if id(tensor) not in self._before]
        return [(self.before, before), (self.after, after)]


def _form(tensor: Tensor) -> Hashable:
    quantization = tensor.quantization
    scales = () if quantization is None else tuple(quantization.scale or ())
    return tensor.name, int(tensor.type), tuple(tensor.shape or ()), scales


def _name_and_sort(side: Side, tensor: Tensor) -> Hashable:
    return (tensor.name, side.sort(tensor)) if tensor.name else None


def _name(_: Side, tensor: Tensor) -> Hashable:
    return tensor.name or None


def _content(side: Side, tensor: Tensor) -> Hashable:
    return (int(tensor.type), tuple(tensor.shape or ()), digest(tensor.data)) if tensor.data else None


def unique_pairs(
    before: Iterable[T], after: Iterable[T], key_before: Callable[[T], Hashable], key_after: Callable[[T], Hashable]
) -> list[tuple[T, T]]:
    """Items with one key that occurs once on either side; None is no key."""
    sides: list[dict[Hashable, T]] = []
    for items, key in ((list(before), key_before), (list(after), key_after)):
        keys = [key(item) for item in items]
        counts = Counter(keys)
        sides.append({k: item for k, item in zip(keys, items) if k is not None and counts[k] == 1})
    return [(item, sides[1][key]) for key, item in sides[0].items() if key in sides[1]]


def _paired_inputs(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    pairs = unique_pairs(before, after, lambda item: item.name or None, lambda item: item.name or None)
    known = {id(item) for pair in pairs for item in pair}
    left, right = ([item for item in side if id(item) not in known] for side in (before, after))
    if len(left) == len(right):
        return [*pairs, *zip(left, right)]
    forms = ([(int(item.type), tuple(item.shape or ())) for item in side] for side in (left, right))
    return [*pairs, *((left[i], right[j]) for i, j in by_fewest_edits(*forms))]


def _paired_operators(before: Side, after: Side) -> tuple[list[Pair], list[Pair]]:
    """Operators in their order, and those that are the same at another time."""
    a, b = (OperatorKeys(side.subgraph, side.wiring, side.looked_at) for side in (before, after))
    lengths = len(before.operators), len(after.operators)
    telling = ((a.identity, b.identity), (a.content, b.content), (a.result, b.result))
    pairs = align(*lengths, [Level(*keys, by_unique_keys) for keys in telling])
    moved: list[Pair] = []
    # What is out of order is gone in one place and new in another: it is not to be taken for its neighbours there.
    for keys in telling:
        known = [{pair[n] for pair in (*pairs, *moved)} for n in (0, 1)]
        left, right = ([number for number in range(lengths[n]) if number not in known[n]] for n in (0, 1))
        if left and right:
            moved += unique_pairs(left, right, *keys)
    gone, new = ({pair[n] for pair in moved} for n in (0, 1))

    def level(before: Keys, after: Keys, method: Method) -> Level:
        return Level(lambda i: None if i in gone else before(i), lambda j: None if j in new else after(j), method)

    levels = [
        level(a.surroundings, b.surroundings, by_unique_keys),
        level(a.setting, b.setting, by_unique_keys),
        level(a.form, b.form, by_unique_keys),
        level(a.setting, b.setting, by_fewest_edits),
        level(a.form, b.form, by_fewest_edits),
        level(a.kind, b.kind, by_fewest_edits),
        level(a.output_names, b.output_names, by_unique_keys),
    ]
    return align(*lengths, levels, pairs), moved


class ModelPairing:
    """Two models.

    Args:
        before, after: the models.
        looked_at: told how many bytes of a constant were looked at.

    Attributes:
        graphs: subgraphs that are one, in the order of the model afterwards.
        removed, added: subgraphs without a counterpart, by index.
    """

    def __init__(self, before: Model, after: Model, looked_at: Callable[[int], None]) -> None:
        left, right = (
            [Side(graph, index, looked_at) for index, graph in enumerate(model.subgraphs or ())]
            for model in (before, after)
        )
        pairs: list[tuple[Side, Side]] = []
        for key in (_graph_identity, _graph_name, _graph_kinds):
            pairs += unique_pairs(left, right, key, key)
            left, right = _unpaired(left, right, pairs)
        alike = by_fewest_edits(list(map(_graph_kinds, left)), list(map(_graph_kinds, right)))
        pairs += [(left[i], right[j]) for i, j in alike]
        left, right = _unpaired(left, right, pairs)
        pairs += zip(left, right)
        self.removed, self.added = left[len(right) :], right[len(left) :]
        self.graphs = [GraphPairing(*pair) for pair in sorted(pairs, key=lambda pair: pair[1].index)]
        self._subgraphs = {id(graph.before.subgraph): graph.after.subgraph for graph in self.graphs}
        self._of_subgraph = {id(graph.before.subgraph): graph for graph in self.graphs}

    def is_same_subgraph(self, x: Any, y: Any) -> bool:
        """Whether two references, which may be missing or bad, are to one subgraph."""
        if isinstance(x, SubGraph) and isinstance(y, SubGraph):
            return self._subgraphs.get(id(x)) is y
        return bool(x == y)

    def graph_of(self, before: Any) -> GraphPairing | None:
        """The pairing of a subgraph of the model before."""
        return self._of_subgraph.get(id(before))


def _unpaired(left: list[Side], right: list[Side], pairs: list[tuple[Side, Side]]) -> tuple[list[Side], list[Side]]:
    known = {id(side) for pair in pairs for side in pair}
    return [side for side in left if id(side) not in known], [side for side in right if id(side) not in known]


def _graph_kinds(side: Side) -> Hashable:
    return tuple(operator.name for operator in side.operators)


def _graph_name(side: Side) -> Hashable:
    return side.subgraph.name or None


def _graph_identity(side: Side) -> Hashable:
    return (
        (side.subgraph.name, _graph_kinds(side), tuple(item.name for item in side.inputs)) if side.operators else None
    )
