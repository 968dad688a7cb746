"""What differs in two subgraphs that are one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tflite_surgeon.knowledge.operators import ROLES
from tflite_surgeon.model.objects import BadReference, Operator, OperatorCode, Tensor
from tflite_surgeon.views.diff.fields import Same, plain, table_changes, value_change
from tflite_surgeon.views.diff.pairing import GraphPairing, Side
from tflite_surgeon.views.diff.result import (
    ADDED,
    CHANGED,
    MOVED,
    OPERATOR,
    REMOVED,
    SUBGRAPH,
    TENSOR,
    Change,
    Difference,
    Place,
)
from tflite_surgeon.views.diff.rewiring import Rewiring

# How two constants differ, as a change of the field "values"; None where they do not.
ConstantChange = Callable[[Tensor, Tensor], "Change | None"]

# What is looked at on its own, or says only where something lies in the file.
_NOT_OPTIONS = {
    "opcode",
    "inputs",
    "outputs",
    "intermediates",
    "custom_options",
    "large_custom_options_offset",
    "large_custom_options_size",
    "debug_metadata_index",
}
_NOT_ATTRIBUTES = {"buffer", "quantization", "external_buffer"}


class GraphComparison:
    """All differences of a pair of subgraphs.

    Args:
        pairing: what is what.
        same_subgraph: whether two references are to one subgraph.
        constants: how two constants differ.
    """

    def __init__(self, pairing: GraphPairing, same_subgraph: Same, constants: ConstantChange) -> None:
        self.pairing = pairing
        self.before, self.after = pairing.before, pairing.after
        self.same_subgraph = same_subgraph
        self.constants = constants
        self.rewiring = Rewiring(pairing)
        # Tensors that come or go with an operator, or with another difference that names them.
        self.told: set[int] = set()

    def differences(self) -> Iterator[Difference]:
        """The subgraph's own, its operators', its tensors'."""
        yield from self._own()
        yield from self._operators()
        yield from self._tensors()

    def _own(self) -> Iterator[Difference]:
        a, b = self.before.subgraph, self.after.subgraph
        name = value_change("name", a.name, b.name)
        changes = [*([name] if name else []), *self._references("inputs", a, b), *self._references("outputs", a, b)]
        if self.before.index != self.after.index and 0 in (self.before.index, self.after.index):
            # Runtimes run the first one; the order of the others is nobody's business.
            changes.append(Change("index", self.before.index, self.after.index))
        if changes:
            place = Place(None, self.before.index), Place(None, self.after.index)
            yield Difference(SUBGRAPH, CHANGED, b.name or "", *place, tuple(changes))

    def _operators(self) -> Iterator[Difference]:
        """In the order of the model afterwards; what was removed, after what it followed."""
        origins = {j: i for i, j in self.pairing.operators}
        paired = {i for i, _ in self.pairing.operators}
        waiting = [i for i in range(len(self.before.operators)) if i not in paired][::-1]
        last = -1
        for j, b in enumerate(self.after.operators):
            i = origins.get(j)
            if i is not None and (i, j) not in self.pairing.moved:
                while waiting and waiting[-1] < i:
                    yield self._lone(REMOVED, self.before, waiting.pop())
                last = i
            if i is None:
                while waiting and waiting[-1] == last + 1:
                    last = waiting.pop()
                    yield self._lone(REMOVED, self.before, last)
                yield self._lone(ADDED, self.after, j)
                continue
            changes = tuple(self._operator_changes(self.before.operators[i], b))
            moved = (i, j) in self.pairing.moved
            if changes or moved:
                yield Difference(
                    OPERATOR,
                    MOVED if moved else CHANGED,
                    b.name,
                    Place(self.before.index, i),
                    Place(self.after.index, j),
                    changes,
                    _names(b.inputs),
                    _names(b.outputs),
                )
        while waiting:
            yield self._lone(REMOVED, self.before, waiting.pop())

    def _lone(self, kind: str, side: Side, number: int) -> Difference:
        """An operator that only one side has, with the tensors that it brings."""
        operator = side.operators[number]
        size = 0
        for tensor in (*(operator.inputs or ()), *(operator.outputs or ()), *(operator.intermediates or ())):
            if isinstance(tensor, Tensor):
                if not self._has_counterpart(side, tensor) and id(tensor) not in self.told:
                    size += len(tensor.data or b"")
                self.told.add(id(tensor))
        before, after = _lone_places(kind, Place(side.index, number))
        names = _names(operator.inputs), _names(operator.outputs)
        return Difference(OPERATOR, kind, operator.name, before, after, (), *names, size=size)

    def _has_counterpart(self, side: Side, tensor: Tensor) -> bool:
        found = self.pairing.counterpart(tensor) if side is self.before else self.pairing.origin(tensor)
        return found is not None

    def _operator_changes(self, a: Operator, b: Operator) -> Iterator[Change]:
        yield from _opcode_changes(a.opcode, b.opcode)
        yield from table_changes(a, b, "", self.same_subgraph, _subgraph_name, leave_out=_NOT_OPTIONS)
        yield from _custom_option_changes(a, b)
        for which in ("inputs", "outputs", "intermediates"):
            yield from self._references(which, a, b)

    def _references(self, which: str, a: Any, b: Any) -> Iterator[Change]:
        """References to tensors, one by one; none that an operator put between or taken out explains."""
        before, after = getattr(a, which) or [], getattr(b, which) or []
        for position in range(max(len(before), len(after))):
            x = before[position] if position < len(before) else None
            y = after[position] if position < len(after) else None
            if self.pairing.is_same(x, y) or self.rewiring.explains(x, y):
                continue
            field = f"{which}[{position}]"
            self.told.update((id(x), id(y)))
            yield Change(field, *self._called(x, y))
            if isinstance(x, Tensor) and isinstance(y, Tensor) and self.before.is_given(x) and self.after.is_given(y):
                for change in self._tensor_changes(x, y):
                    yield Change(f"{field}.{change.field}", change.before, change.after, change.differ, change.values)

    def _called(self, x: Any, y: Any) -> tuple[str | None, str | None]:
        """Both tensors by name; by index too where the names are alike."""
        names = self._label(self.before, x), self._label(self.after, y)
        if names[0] != names[1]:
            return names
        return self._label(self.before, x, True), self._label(self.after, y, True)

    @staticmethod
    def _label(side: Side, item: Any, with_index: bool = False) -> str | None:
        if item is None:
            return None
        if isinstance(item, BadReference):
            return f"tensor {item.index}, which is not there"
        index = f"tensor {side.places.get(id(item), '?')}"
        if not item.name:
            return index
        return f"{item.name} ({index})" if with_index else str(item.name)

    def _tensors(self) -> Iterator[Difference]:
        counterparts = [(tensor, self.pairing.origin(tensor)) for tensor in self.after.tensors]
        for index, (b, a) in enumerate(counterparts):
            place = Place(self.after.index, index)
            if a is None:
                if id(b) not in self.told:
                    yield self._lone_tensor(ADDED, self.after, b, place)
                continue
            changes = tuple(self._tensor_changes(a, b))
            if changes:
                origin = Place(self.before.index, self.before.places[id(a)])
                yield Difference(TENSOR, CHANGED, b.name or "", origin, place, changes, use=self._use(self.after, b))
        for index, a in enumerate(self.before.tensors):
            if self.pairing.counterpart(a) is None and id(a) not in self.told:
                yield self._lone_tensor(REMOVED, self.before, a, Place(self.before.index, index))

    def _lone_tensor(self, kind: str, side: Side, tensor: Tensor, place: Place) -> Difference:
        before, after = _lone_places(kind, place)
        size = len(tensor.data or b"")
        return Difference(TENSOR, kind, tensor.name or "", before, after, use=self._use(side, tensor), size=size)

    def _tensor_changes(self, a: Tensor, b: Tensor) -> Iterator[Change]:
        yield from table_changes(a, b, "", self.same_subgraph, _subgraph_name, leave_out=_NOT_ATTRIBUTES)
        yield from self._quantization_changes(a, b)
        if isinstance(a.buffer, BadReference) or isinstance(b.buffer, BadReference):
            p, q = (item.index if isinstance(item, BadReference) else None for item in (a.buffer, b.buffer))
            if p != q:
                yield Change("buffer", p, q)
        change = self.constants(a, b)
        if change is not None:
            yield change

    def _quantization_changes(self, a: Tensor, b: Tensor) -> Iterator[Change]:
        """Field by field; a tensor without quantisation is one whose fields are all absent."""
        x, y = a.quantization, b.quantization
        for name in ("scale", "zero_point", "quantized_dimension", "min", "max"):
            absent = 0 if name == "quantized_dimension" else None
            p, q = absent if x is None else getattr(x, name), absent if y is None else getattr(y, name)
            change = None if p == q else value_change(f"quantization.{name}", p, q)
            if change is not None:
                yield change
        p, q = (None if item is None else item.details for item in (x, y))
        yield from table_changes(p, q, "quantization.details", self.pairing.is_same, _tensor_name)

    def _use(self, side: Side, tensor: Tensor) -> str:
        readers, writers = side.wiring.readers(tensor), side.wiring.writers(tensor)
        for ends, what in ((readers, "input"), (writers, "output")):
            if ends:
                end = ends[0]
                roles = ROLES.get(end.operator.name)
                names = (roles.inputs if what == "input" else roles.outputs) if roles else ()
                role = names[end.position] if end.position < len(names) else f"{what} {end.position}"
                return f"{role} of operator {end.number} ({end.operator.name})"
        return ""


def _opcode_changes(a: OperatorCode | BadReference, b: OperatorCode | BadReference) -> Iterator[Change]:
    if isinstance(a, BadReference) or isinstance(b, BadReference):
        if a != b:
            x, y = (f"operator code {item.index}" if isinstance(item, BadReference) else item.name for item in (a, b))
            yield Change("opcode", x, y)
        return
    if (a.code, a.name) != (b.code, b.name):
        yield Change("opcode", a.name, b.name)
    if a.version != b.version:
        yield Change("version", a.version, b.version)


def _custom_option_changes(a: Operator, b: Operator) -> Iterator[Change]:
    """Entry by entry where both are FlexBuffers of one kind of map, else in bytes."""
    x, y = (
        bytes(item.large_custom_options if item.large_custom_options is not None else item.custom_options or b"")
        for item in (a, b)
    )
    if x == y:
        return
    left, right = (_options_map(item) if data else {} for item, data in ((a, x), (b, y)))
    if left is None or right is None or left == right:
        yield Change("custom_options", plain(x) or None, plain(y) or None)
        return
    for key in (*left, *(key for key in right if key not in left)):
        if left.get(key) != right.get(key):
            yield Change(f"custom_options.{key}", left.get(key), right.get(key))


def _options_map(operator: Operator) -> dict[str, Any] | None:
    from tflite_surgeon.errors import SurgeonError

    try:
        found = operator.flexbuffer()
    except SurgeonError:
        return None
    return {str(key): plain(value) for key, value in found.items()} if isinstance(found, dict) else None


def _names(tensors: list[Tensor | BadReference | None] | None) -> tuple[str | None, ...]:
    return tuple(item.name or "" if isinstance(item, Tensor) else None for item in tensors or ())


def _tensor_name(item: Any) -> str | None:
    return item.name if isinstance(item, Tensor) else None if item is None else repr(item)


def _subgraph_name(item: Any) -> str | None:
    if isinstance(item, BadReference):
        return f"subgraph {item.index}, which is not there"
    return None if item is None else item.name or ""


def _lone_places(kind: str, place: Place) -> tuple[Place | None, Place | None]:
    return (place, None) if kind == REMOVED else (None, place)
