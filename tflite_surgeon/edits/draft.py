"""A model while it is repaired: every change goes through here, is written down, and can be taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tflite_surgeon.edits.places import Places
from tflite_surgeon.edits.plan import AppendItem, Edit, InsertItem, RemoveItem, SetField, make, take_back
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.model.objects import (
    OLD_FIELD_HOLDS,
    Buffer,
    Model,
    Operator,
    OperatorCode,
    QuantizationParameters,
    SubGraph,
    Tensor,
)

# Fields that say who uses what: a change of one makes the answers to `Wiring` old.
_WIRING = frozenset({"inputs", "outputs", "intermediates", "tensors", "operators", "buffer", "buffers", "tensor"}) | {
    "quantization",
    "builtin_options",
}
# For how many marks it is kept who uses what: repairs try ways one inside the other.
_MARKS = 4


class Use(NamedTuple):
    """A tensor as an input or output of an operator: which, and at what position."""

    operator: Operator
    position: int


class _Wiring:
    """Who uses what in one state of the model, each counted when first asked for."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @cached_property
    def readers(self) -> dict[int, list[Use]]:
        return self._uses("inputs")

    @cached_property
    def writers(self) -> dict[int, list[Use]]:
        return self._uses("outputs")

    def _uses(self, attribute: str) -> dict[int, list[Use]]:
        found: dict[int, list[Use]] = {}
        for subgraph in self._model.subgraphs or ():
            for operator in subgraph.operators or ():
                for position, item in enumerate(getattr(operator, attribute) or ()):
                    found.setdefault(id(item), []).append(Use(operator, position))
        return found

    @cached_property
    def interface(self) -> set[int]:
        found: set[int] = set()
        for subgraph in self._model.subgraphs or ():
            found.update(map(id, (*(subgraph.inputs or ()), *(subgraph.outputs or ()))))
        for signature in self._model.signature_defs or ():
            for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
                found.add(id(entry.tensor))
        return found

    @cached_property
    def holders(self) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        for subgraph in self._model.subgraphs or ():
            for tensor in subgraph.tensors or ():
                found.setdefault(id(tensor.buffer), []).append(tensor)
        for metadata in self._model.metadata or ():
            found.setdefault(id(metadata.buffer), []).append(metadata)
        for buffer in self._model.metadata_buffers or ():
            found.setdefault(id(buffer), []).append(self._model)
        return found

    @cached_property
    def whole(self) -> dict[int, Tensor | Operator]:
        """Which tensor or operator a part of it belongs to."""
        found: dict[int, Tensor | Operator] = {}
        for subgraph in self._model.subgraphs or ():
            found.update((id(tensor.quantization), tensor) for tensor in subgraph.tensors or ())
            found.update((id(operator.builtin_options), operator) for operator in subgraph.operators or ())
        found.pop(id(None), None)
        return found


class Draft:
    """A copy of a model under repair.

    Attributes:
        model: the copy; it is changed by this object's methods alone.
        edits: what has been changed so far, in that order.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.edits: list[Edit] = []
        self._wiring: _Wiring | None = None
        # What it was at a mark, with the edit that was the last one then.
        self._wiring_at: dict[int, tuple[Edit | None, _Wiring]] = {}
        self._homes: dict[int, SubGraph] | None = None
        self._places: Places | None = None

    # Looking

    @property
    def _known(self) -> _Wiring:
        if self._wiring is None:
            self._wiring = _Wiring(self.model)
        return self._wiring

    def readers(self, tensor: Tensor) -> Sequence[Use]:
        """The operators that read a tensor, each with the position of the input."""
        return self._known.readers.get(id(tensor), ())

    def writers(self, tensor: Tensor) -> Sequence[Use]:
        """The operators that write a tensor, each with the position of the output."""
        return self._known.writers.get(id(tensor), ())

    def home(self, item: Tensor | Operator) -> SubGraph:
        """The subgraph that a tensor or an operator belongs to."""
        if self._homes is None:
            self._homes = {}
            for subgraph in self.model.subgraphs or ():
                for part in (*(subgraph.operators or ()), *(subgraph.tensors or ())):
                    self._homes[id(part)] = subgraph
        return self._homes[id(item)]

    def number(self, operator: Operator) -> int:
        """The number of an operator in its subgraph, as it stands now."""
        return next(n for n, other in enumerate(self.home(operator).operators or ()) if other is operator)

    def is_interface(self, tensor: Tensor) -> bool:
        """Whether it is an input or output of a subgraph or of a signature."""
        return id(tensor) in self._known.interface

    def is_graph_output(self, tensor: Tensor) -> bool:
        """Whether it is an output of its subgraph."""
        return any(tensor is output for output in self.home(tensor).outputs or ())

    def is_graph_input(self, tensor: Tensor) -> bool:
        """Whether it is an input of its subgraph."""
        return any(tensor is given for given in self.home(tensor).inputs or ())

    def holders(self, buffer: Buffer) -> Sequence[Any]:
        """The tensors and metadata entries that hold a buffer."""
        return self._known.holders.get(id(buffer), ())

    def is_shared(self, tensor: Tensor) -> bool:
        """Whether a constant is read more than once, or by others than operators."""
        return len(self.readers(tensor)) > 1 or self.is_interface(tensor)

    def touched(self, mark: int) -> set[int]:
        """The identities of the tensors, operators and other objects that were changed since, and of new ones."""
        known, found = self._known, set()
        for edit in self.edits[mark:]:
            owner = edit.owner
            found.add(id(known.whole.get(id(owner), owner)))
            found.update(map(id, known.holders.get(id(owner), ())))
            if not isinstance(edit, SetField):
                found.add(id(edit.item))
        return found

    def path(self, item: Any) -> str:
        """Where an object stood in the file, or where a new one was put."""
        if self._places is None:
            self._places = Places(self.model)
        return self._places.of(item)

    # Changing

    def set(self, owner: Any, attribute: str, new: Any) -> None:
        """Give a field of an object another value; nothing happens where it has that value."""
        old = getattr(owner, attribute)
        if old is new or (not isinstance(new, Table) and type(old) is type(new) and old == new):
            return
        where = self.path(owner)
        self.make([SetField(owner, attribute, old, new, attribute if owner is self.model else f"{where}.{attribute}")])

    def append(self, owner: Any, attribute: str, item: Any) -> None:
        """Add an object at the end of one of an object's lists."""
        if getattr(owner, attribute) is None:
            self.set(owner, attribute, [])
        self.make([AppendItem(owner, attribute, item, self._slot(owner, attribute, len(getattr(owner, attribute))))])

    def insert(self, owner: Any, attribute: str, index: int, item: Any) -> None:
        """Add an object inside one of an object's lists."""
        self.make([InsertItem(owner, attribute, index, item, self._slot(owner, attribute, index))])

    def remove(self, owner: Any, attribute: str, item: Any) -> None:
        """Take an object out of one of an object's lists."""
        index = next(n for n, other in enumerate(getattr(owner, attribute)) if other is item)
        self.make([RemoveItem(owner, attribute, index, item, self.path(item))])

    def _slot(self, owner: Any, attribute: str, index: int) -> str:
        prefix = "" if owner is self.model else f"{self.path(owner)}."
        return f"{prefix}{attribute}[{index}]"

    def make(self, edits: Iterable[Edit]) -> None:
        """Make edits that somebody has planned.

        Raises:
            RepairError: a value is no longer what an edit was planned for; nothing has been changed.
        """
        edits = list(edits)
        self.path(self.model)  # Before the first edit: objects are told by where they stood in the file.
        make(edits)
        self.edits += edits
        for edit in edits:
            self._learn(edit)

    def _learn(self, edit: Edit) -> None:
        assert self._places is not None
        if not isinstance(edit, SetField) or edit.attribute in _WIRING:
            self._wiring = None
        if isinstance(edit.owner, SubGraph):
            if isinstance(edit, SetField):
                self._homes = None
            elif self._homes is not None:
                self._homes[id(edit.item)] = edit.owner
        if isinstance(edit, (AppendItem, InsertItem)):
            self._places.add(edit.item, edit.path)
        elif isinstance(edit, SetField) and isinstance(edit.new, Table) and self._places.of(edit.new) == "new":
            self._places.add(edit.new, edit.path)

    def mark(self) -> int:
        """A point to go back to."""
        mark = len(self.edits)
        if self._wiring is not None:
            self._wiring_at.pop(mark, None)
            self._wiring_at[mark] = self.edits[-1] if self.edits else None, self._wiring
            if len(self._wiring_at) > _MARKS:
                del self._wiring_at[next(iter(self._wiring_at))]
        return mark

    def back_to(self, mark: int) -> None:
        """Take back what was changed since."""
        take_back(self.edits[mark:])
        if any(isinstance(edit.owner, SubGraph) and isinstance(edit, SetField) for edit in self.edits[mark:]):
            self._homes = None
        del self.edits[mark:]
        last, wiring = self._wiring_at.get(mark, (None, None))
        self._wiring = wiring if last is (self.edits[-1] if self.edits else None) else None

    # Changing more than one field

    def new_tensor(self, subgraph: SubGraph, like: Tensor, name: str, **values: Any) -> Tensor:
        """A further tensor in a subgraph: shape, type and quantisation of another, but for what is given.

        It has no data: `buffer` is the model's first, unless one is given.
        """
        assert self.model.buffers
        given: dict[str, Any] = {
            "shape": None if like.shape is None else list(like.shape),
            "shape_signature": None if like.shape_signature is None else list(like.shape_signature),
            "type": like.type,
            "buffer": self.model.buffers[0],
            "quantization": None if like.quantization is None else copied(like.quantization),
            "has_rank": like.has_rank,
            **values,
        }
        tensor = Tensor(name=self._unused_name(subgraph, name), **given)
        self.append(subgraph, "tensors", tensor)
        return tensor

    def _unused_name(self, subgraph: SubGraph, stem: str) -> str:
        taken = {tensor.name for tensor in subgraph.tensors or ()}
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        return name

    def new_buffer(self, data: bytes) -> Buffer:
        """A further buffer."""
        buffer = Buffer(data)
        self.append(self.model, "buffers", buffer)
        return buffer

    def is_first(self, buffer: Buffer) -> bool:
        """Whether it is the one that stands, empty by convention, for no data."""
        return bool(self.model.buffers) and buffer is (self.model.buffers or [buffer])[0]

    def store(self, tensor: Tensor, data: bytes) -> None:
        """Give a tensor other bytes; a buffer that others hold too stays as it is for them."""
        buffer = tensor.buffer
        if isinstance(buffer, Buffer) and len(self.holders(buffer)) == 1 and not self.is_first(buffer):
            self.set(buffer, "data", data)
        else:
            self.set(tensor, "buffer", self.new_buffer(data))

    def quantize(self, tensor: Tensor, **values: Any) -> None:
        """Set fields of a tensor's quantisation, such as scale and zero_point; it gets one where it has none."""
        if tensor.quantization is None:
            self.set(tensor, "quantization", QuantizationParameters(**values))
            return
        for name, value in values.items():
            self.set(tensor.quantization, name, value)

    def replace_input(self, operator: Operator, position: int, tensor: Tensor | None) -> None:
        """Let an operator read another tensor at one position."""
        self._replace(operator, "inputs", position, tensor)

    def replace_output(self, operator: Operator, position: int, tensor: Tensor | None) -> None:
        """Let an operator write another tensor at one position."""
        self._replace(operator, "outputs", position, tensor)

    def _replace(self, operator: Operator, attribute: str, position: int, tensor: Tensor | None) -> None:
        items = list(getattr(operator, attribute) or ())
        items += [None] * (position + 1 - len(items))
        items[position] = tensor
        self.set(operator, attribute, items)

    def own(self, use: Use) -> Tensor:
        """The constant that an operator reads, as a tensor of its own: a copy, where others read it too."""
        tensor = (use.operator.inputs or [])[use.position]
        assert isinstance(tensor, Tensor)
        if not self.is_shared(tensor):
            return tensor
        subgraph = self.home(use.operator)
        name = f"{tensor.name or 'tensor'}_for_operator_{self.number(use.operator)}"
        copy = self.new_tensor(subgraph, tensor, name, buffer=tensor.buffer, sparsity=tensor.sparsity)
        self.replace_input(use.operator, use.position, copy)
        return copy

    def opcode(self, name: str, version: int) -> OperatorCode:
        """The operator code of a builtin operator in a version: one that the model has, or a new one."""
        builtin = enum_class("BuiltinOperator")[name]
        for code in self.model.operator_codes or ():
            if code.code == int(builtin) and code.version == version:
                return code
        code = OperatorCode(
            builtin_code=builtin, deprecated_builtin_code=min(int(builtin), OLD_FIELD_HOLDS), version=version
        )
        self.append(self.model, "operator_codes", code)
        return code

    def insert_operator(
        self,
        beside: Operator,
        after: bool,
        name: str,
        version: int,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],
        options: Table | None = None,
    ) -> Operator:
        """Add an operator directly before or behind another one."""
        subgraph = self.home(beside)
        operator = Operator(
            opcode=self.opcode(name, version), inputs=list(inputs), outputs=list(outputs), builtin_options=options
        )
        self.insert(subgraph, "operators", self.number(beside) + after, operator)
        return operator


def copied(quantization: QuantizationParameters) -> QuantizationParameters:
    """Parameters of a tensor's own that say the same; details beyond scales and zero points are left out."""
    return QuantizationParameters(
        scale=None if quantization.scale is None else list(quantization.scale),
        zero_point=None if quantization.zero_point is None else list(quantization.zero_point),
        quantized_dimension=quantization.quantized_dimension,
    )
