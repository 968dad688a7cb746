"""A node as the delegate is offered it: its tensors, its options, and what the walk over the subgraph knows so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.xnnpack.tensors import is_constant

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Operator, Tensor

_CUSTOM = 32


class Statics:
    """Tensors of a subgraph that count as constant because the delegate unpacks them, found as the walk goes on."""

    __slots__ = ("_stored_types", "_unpacked")

    def __init__(self) -> None:
        self._unpacked: set[int] = set()
        self._stored_types: dict[int, str] = {}

    def __bool__(self) -> bool:
        """Whether any was found so far."""
        return bool(self._unpacked)

    def unpack(self, tensor: Tensor, stored_type: str | None = None) -> None:
        """Note an unpacked tensor, and the type that it keeps where the delegate uses the packed values as they are."""
        self._unpacked.add(id(tensor))
        if stored_type is not None:
            self._stored_types[id(tensor)] = stored_type

    def has(self, tensor: Tensor) -> bool:
        return id(tensor) in self._unpacked or is_constant(tensor)

    def stored_type(self, tensor: Tensor) -> str:
        """The type that the delegate gives the tensor."""
        return self._stored_types.get(id(tensor), tensor.type_name)


def kind_of(operator: Operator) -> str:
    """The operator's name; of a custom operator, or a composite, the name it goes by after a prefix.

    A custom operator may bear the name of a builtin one, and is none.
    """
    name = operator.name
    if getattr(operator.opcode, "code", None) == _CUSTOM:
        return f"CUSTOM {name}"
    if name == "STABLEHLO_COMPOSITE":
        options = operator.builtin_options_2
        return f"COMPOSITE {options.name}" if getattr(options, "table", "") == "StableHLOCompositeOptions" else name
    return name


class Kinds:
    """What operators go by, asked once for each operator code; composites are told apart by their options."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def of(self, operator: Operator) -> str:
        kind = self._known.get(id(operator.opcode))
        if kind is None:
            kind = kind_of(operator)
            if kind != "STABLEHLO_COMPOSITE" and not kind.startswith("COMPOSITE "):
                self._known[id(operator.opcode)] = kind
        return kind


class Candidate:
    """A node and what is asked of it.

    Attributes:
        inputs, outputs: tensors by position; None for those not given.
        sound: every reference points at a tensor; the runtime opens no file where one does not.
    """

    __slots__ = ("_options", "_shape_of", "inputs", "kind", "operator", "outputs", "sound", "statics")

    def __init__(
        self,
        operator: Operator,
        kind: str,
        options: str | None,
        statics: Statics,
        shape_of: Callable[[Tensor], list[int] | None] | None = None,
    ) -> None:
        self._shape_of = shape_of
        self.operator = operator
        self.kind = kind
        self.statics = statics
        self.inputs: list[Any] = operator.inputs or []
        self.outputs: list[Any] = operator.outputs or []
        self.sound = True
        for items in (self.inputs, self.outputs):
            for item in items:
                if item is not None and not isinstance(item, Table):
                    self.sound = False
        table = operator.builtin_options
        self._options: Any = table if isinstance(table, Table) and table.table == options else None

    @property
    def has_options(self) -> bool:
        return self._options is not None

    def option(self, name: str) -> Any:
        """An option; 0 where the node has no options of its operator's kind, as the runtime clears the memory."""
        return getattr(self._options, name, 0)

    def shape(self, tensor: Tensor) -> list[int] | None:
        """A tensor's shape as known when tensors are allocated; None where it is not known then."""
        return (tensor.shape or []) if self._shape_of is None else self._shape_of(tensor)

    def input(self, position: int) -> Tensor | None:
        """An input; None where it is not given."""
        return self.inputs[position] if position < len(self.inputs) else None

    def required(self, position: int) -> Tensor:
        """An input that the claim says is given."""
        found: Tensor = self.inputs[position]
        return found

    @property
    def output(self) -> Tensor:
        """The first output."""
        found: Tensor = self.outputs[0]
        return found
