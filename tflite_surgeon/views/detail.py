"""One node or tensor in full, with its neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.operators import ROLES
from tflite_surgeon.model.external import external_data
from tflite_surgeon.model.objects import BadReference, Buffer, Model, Operator, OperatorCode, Tensor
from tflite_surgeon.views.file_map import data_offset, field_offset, table_offset
from tflite_surgeon.views.listing import list_operators, list_tensors
from tflite_surgeon.views.rows import OperatorRow, TensorRow
from tflite_surgeon.views.statistics import Statistics, statistics
from tflite_surgeon.views.tensors import element_count, implied_range, is_constant
from tflite_surgeon.views.versions import CUSTOM, Support, support
from tflite_surgeon.views.wiring import End, Wiring

_NODE = re.compile(r"(?:(\d+):)?(\d+)")
_TENSOR = re.compile(r"(?:(\d+):)?t(\d+)")
_PATH = re.compile(r"subgraphs\[(\d+)\]\.(operators|tensors)\[(\d+)\]")
_CANDIDATES_SHOWN = 5
_INPUT, _OUTPUT = "input", "output"


@dataclass(frozen=True)
class Neighbour:
    """An operator beside a node or tensor: its number and type, the tensor between, and its role there."""

    subgraph: int
    operator: int
    type: str
    tensor: int | None
    tensor_name: str | None
    role: str


@dataclass(frozen=True)
class Operand:
    """An input, output or intermediate of a node: its role; the tensor, None for one that is not given.

    Attributes:
        missing: the number of a tensor that does not exist, else None.
    """

    role: str
    tensor: TensorRow | None
    missing: int | None = None


@dataclass(frozen=True)
class TensorPart:
    """A tensor in full.

    Attributes:
        tensor: its row.
        elements: the product of the dimensions, None where one is negative.
        implied_min, implied_max: what the type's limits stand for by scale and zero point; None where unquantised.
        shared_with: (subgraph, tensor) of others that hold its buffer, where that has bytes.
        external: where its bytes lie in another file, else None.
        is_sparse: its buffer holds only values that are not zero.
        made_by, read_by: the operators on both sides.
        offsets: positions in the file, by what lies there.
        values: the constant in numbers; None where it is not constant, or for the reason in `unread`.
    """

    tensor: TensorRow
    elements: int | None
    implied_min: float | None
    implied_max: float | None
    shared_with: list[tuple[int, int]]
    external: str | None
    is_sparse: bool
    made_by: list[Neighbour]
    read_by: list[Neighbour]
    offsets: dict[str, int]
    values: Statistics | None
    unread: str | None


@dataclass(frozen=True)
class NodePart:
    """A node in full: its row, its operands by role, the operators on both sides, positions in the file."""

    operator: OperatorRow
    is_custom: bool
    support: Support | None
    inputs: list[Operand]
    outputs: list[Operand]
    intermediates: list[Operand]
    before: list[Neighbour]
    after: list[Neighbour]
    offsets: dict[str, int]


def find_part(model: Model, target: str) -> NodePart | TensorPart:
    """The node or tensor that a person means.

    Args:
        model: the model.
        target: a node as "N" or "SUBGRAPH:N", a tensor as "tN" or "SUBGRAPH:tN", either as
            "subgraphs[S].operators[N]", or a tensor's name, or a part of it that no other has.

    Raises:
        SurgeonError: there is no such part, or several.
    """
    if match := _PATH.fullmatch(target):
        show = node_part if match[2] == "operators" else tensor_part
        return show(model, int(match[1]), int(match[3]))
    if match := _NODE.fullmatch(target):
        return node_part(model, int(match[1] or 0), int(match[2]))
    if match := _TENSOR.fullmatch(target):
        return tensor_part(model, int(match[1] or 0), int(match[2]))
    return tensor_part(model, *_named(model, target))


def _named(model: Model, name: str) -> tuple[int, int]:
    tensors = [
        (subgraph, number, tensor.name or "")
        for subgraph, graph in enumerate(model.subgraphs or ())
        for number, tensor in enumerate(graph.tensors or ())
    ]
    found = [entry for entry in tensors if entry[2] == name] or [entry for entry in tensors if name in entry[2]]
    if not found:
        raise SurgeonError(
            f"no tensor has {name!r} in its name, and it is no node number: --tensors lists what there is"
        )
    if len(found) > 1:
        shown = ", ".join(f"{_place(*entry[:2])} {entry[2]!r}" for entry in found[:_CANDIDATES_SHOWN])
        more = f" and {len(found) - _CANDIDATES_SHOWN} more" if len(found) > _CANDIDATES_SHOWN else ""
        raise SurgeonError(f"{len(found)} tensors have {name!r} in their name: {shown}{more}. Give the number")
    return found[0][:2]


def _place(subgraph: int, number: int) -> str:
    return f"{subgraph}:t{number}" if subgraph else f"t{number}"


def _at(model: Model, subgraph: int, what: str, number: int) -> None:
    """Raises SurgeonError where there is no such part."""
    subgraphs = model.subgraphs or []
    if subgraph >= len(subgraphs):
        raise SurgeonError(f"there is no subgraph {subgraph}: the model has {len(subgraphs)}")
    count = len(getattr(subgraphs[subgraph], what) or ())
    if number >= count:
        thing = "node" if what == "operators" else "tensor"
        raise SurgeonError(f"there is no {thing} {number} in subgraph {subgraph}: it has {count}")


def tensor_part(model: Model, subgraph: int, number: int) -> TensorPart:
    """A tensor in full; reads a constant's bytes.

    Raises:
        SurgeonError: there is no such tensor.
    """
    _at(model, subgraph, "tensors", number)
    graph = (model.subgraphs or [])[subgraph]
    tensor = (graph.tensors or [])[number]
    rows = list_tensors(model)
    row = next(row for row in rows if (row.subgraph, row.number) == (subgraph, number))
    wiring = Wiring(graph)
    values, unread = _values(tensor)
    implied = implied_range(tensor)
    return TensorPart(
        tensor=row,
        elements=element_count(tensor),
        implied_min=None if implied is None else implied[0],
        implied_max=None if implied is None else implied[1],
        shared_with=[
            (other.subgraph, other.number)
            for other in rows
            if row.stored_bytes and other.buffer == row.buffer and (other.subgraph, other.number) != (subgraph, number)
        ],
        external=_external(model, tensor),
        is_sparse=tensor.sparsity is not None,
        made_by=[_neighbour(subgraph, end, tensor, number, _OUTPUT) for end in wiring.writers(tensor)],
        read_by=[_neighbour(subgraph, end, tensor, number, _INPUT) for end in wiring.readers(tensor)],
        offsets=_tensor_offsets(model, tensor),
        values=values,
        unread=unread,
    )


def _values(tensor: Tensor) -> tuple[Statistics | None, str | None]:
    if not is_constant(tensor) or element_count(tensor) == 0:
        return None, None
    try:
        return statistics(tensor), None
    except SurgeonError as error:
        return None, str(error)


def _external(model: Model, tensor: Tensor) -> str | None:
    if not tensor.external_buffer:
        return None
    try:
        found = external_data(model, tensor)
    except SurgeonError as error:
        return str(error)
    return None if found is None else f"{found.length} bytes from byte {found.offset} of {found.path}"


def node_part(model: Model, subgraph: int, number: int) -> NodePart:
    """A node in full.

    Raises:
        SurgeonError: there is no such node.
    """
    _at(model, subgraph, "operators", number)
    graph = (model.subgraphs or [])[subgraph]
    operator = (graph.operators or [])[number]
    rows = {row.number: row for row in list_tensors(model) if row.subgraph == subgraph}
    numbers = {id(tensor): index for index, tensor in enumerate(graph.tensors or ())}
    wiring = Wiring(graph)

    def operand(item: Tensor | BadReference | None, role: str) -> Operand:
        if isinstance(item, BadReference):
            return Operand(role, None, item.index)
        return Operand(role, None if item is None else rows.get(numbers.get(id(item), -1)))

    def operands(items: Sequence[Tensor | BadReference | None] | None, direction: str) -> list[Operand]:
        return [operand(item, _role(operator, direction, position)) for position, item in enumerate(items or ())]

    before = [
        _neighbour(subgraph, end, item, numbers.get(id(item), -1), _OUTPUT)
        for item in _distinct(operator.inputs)
        for end in wiring.writers(item)
    ]
    after = [
        _neighbour(subgraph, end, item, numbers.get(id(item), -1), _INPUT)
        for item in _distinct(operator.outputs)
        for end in wiring.readers(item)
    ]
    opcode = operator.opcode
    return NodePart(
        operator=next(row for row in list_operators(model) if (row.subgraph, row.number) == (subgraph, number)),
        is_custom=isinstance(opcode, OperatorCode) and opcode.code == CUSTOM,
        support=support(opcode) if isinstance(opcode, OperatorCode) else None,
        inputs=operands(operator.inputs, _INPUT),
        outputs=operands(operator.outputs, _OUTPUT),
        intermediates=operands(operator.intermediates, "intermediate"),
        before=before,
        after=after,
        offsets=_operator_offsets(model, operator),
    )


def _distinct(items: Sequence[Tensor | BadReference | None] | None) -> list[Tensor]:
    return list({id(item): item for item in items or () if isinstance(item, Tensor)}.values())


def _role(operator: Operator, direction: str, position: int) -> str:
    """Such as weights; for operators without named roles "input 2"."""
    roles = ROLES.get(operator.name)
    if roles is not None:
        named = {_INPUT: roles.inputs, _OUTPUT: roles.outputs}.get(direction, roles.intermediates)
        if position < len(named):
            return named[position]
    return f"{direction} {position}"


def _neighbour(subgraph: int, end: End, tensor: Tensor, number: int, direction: str) -> Neighbour:
    role = _role(end.operator, direction, end.position)
    return Neighbour(subgraph, end.number, end.operator.name, number, tensor.name, role)


def _tensor_offsets(model: Model, tensor: Tensor) -> dict[str, int]:
    quantization = tensor.quantization
    places = {
        "table": table_offset(model, tensor),
        **{name: field_offset(model, tensor, name) for name in ("name", "shape", "shape_signature", "type")},
        "quantization": None if quantization is None else table_offset(model, quantization),
    }
    if quantization is not None:
        for name in ("scale", "zero_point", "min", "max"):
            places[name] = field_offset(model, quantization, name)
    if isinstance(tensor.buffer, Buffer):
        places["buffer"] = table_offset(model, tensor.buffer)
        places["data"] = data_offset(model, tensor.buffer)
    return {name: offset for name, offset in places.items() if offset is not None}


def _operator_offsets(model: Model, operator: Operator) -> dict[str, int]:
    fields = ("opcode", "inputs", "outputs", "intermediates", "builtin_options", "custom_options", "builtin_options_2")
    places = {"table": table_offset(model, operator)}
    places.update((name, field_offset(model, operator, name)) for name in fields)
    return {name: offset for name, offset in places.items() if offset is not None}
