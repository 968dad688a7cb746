"""Which rows of a list a person asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.model.objects import BadReference, Model, Tensor
from tflite_surgeon.views import listing
from tflite_surgeon.views.rows import BufferRow, MetadataRow, OpcodeRow, OperatorRow, SignatureRow, TensorRow
from tflite_surgeon.views.tensors import dtype

LISTS = ("tensors", "operators", "buffers", "opcodes", "signatures", "metadata")
_APPLY = {
    "tensors": ("name", "type", "operator"),
    "operators": ("name", "type", "operator"),
    "buffers": ("name", "type", "operator"),
    "opcodes": ("operator",),
    "signatures": ("name", "type"),
    "metadata": ("name",),
}


@dataclass(frozen=True)
class Filter:
    """What rows must have; None for anything.

    Attributes:
        name: part of a name, or a pattern with * and ?; small and capital letters are the same.
        type: an element type, such as int8.
        operator: an operator's type, whole or a pattern.
    """

    name: str | None = None
    type: str | None = None
    operator: str | None = None

    @property
    def is_set(self) -> bool:
        return any(value is not None for value in (self.name, self.type, self.operator))

    def has_name(self, *names: str | None) -> bool:
        """Whether one of the names fits."""
        return self.name is None or any(_is_like(name or "", self.name, whole=False) for name in names)

    def has_type(self, *dtypes: str | None) -> bool:
        """Whether one of the types fits."""
        return self.type is None or self.type.lower() in dtypes

    def has_operator(self, *names: str) -> bool:
        """Whether one of the operators fits."""
        return self.operator is None or any(_is_like(name, self.operator, whole=True) for name in names)


def _is_like(name: str, wanted: str, whole: bool) -> bool:
    name, wanted = name.lower(), wanted.lower()
    if "*" in wanted or "?" in wanted:
        return fnmatchcase(name, wanted.replace("[", "[[]"))
    return name == wanted if whole else wanted in name


def rows(model: Model, what: str, wanted: Filter) -> list[Any]:
    """The rows of one of LISTS that fit.

    Tensors fit an operator that makes or reads them, operators a type that one of their tensors has and a name that one
    of their outputs bears, buffers what one of their tensors fits.

    Raises:
        SurgeonError: there is no such element type, or the list has nothing to filter by.
    """
    _require(what, wanted)
    everything: list[Any] = _LIST[what](model)
    if not wanted.is_set:
        return everything
    fits = _FITS[what](model, wanted)
    return [row for row in everything if fits(row)]


_LIST: dict[str, Callable[[Model], list[Any]]] = {
    "tensors": listing.list_tensors,
    "operators": listing.list_operators,
    "buffers": listing.list_buffers,
    "opcodes": listing.list_opcodes,
    "signatures": listing.list_signatures,
    "metadata": listing.list_metadata,
}


def _tensor(model: Model, wanted: Filter) -> Callable[[TensorRow], bool]:
    types = [[operator.name for operator in subgraph.operators or ()] for subgraph in model.subgraphs or ()]

    def fits(row: TensorRow) -> bool:
        users = (types[row.subgraph][number] for number in (*row.made_by, *row.read_by))
        return wanted.has_name(row.name) and wanted.has_type(row.dtype) and wanted.has_operator(*users)

    return fits


def _operator(model: Model, wanted: Filter) -> Callable[[OperatorRow], bool]:
    subgraphs = model.subgraphs or []

    def fits(row: OperatorRow) -> bool:
        operator = (subgraphs[row.subgraph].operators or [])[row.number]
        outputs, inputs = _tensors(operator.outputs), _tensors(operator.inputs)
        return (
            wanted.has_operator(row.type)
            and wanted.has_type(*(dtype(tensor) for tensor in (*outputs, *inputs)))
            and wanted.has_name(*(tensor.name for tensor in outputs))
        )

    return fits


def _tensors(items: Iterable[Tensor | BadReference | None] | None) -> list[Tensor]:
    return [item for item in items or () if isinstance(item, Tensor)]


def _buffer(model: Model, wanted: Filter) -> Callable[[BufferRow], bool]:
    found = {(row.subgraph, row.number) for row in rows(model, "tensors", wanted)}
    return lambda row: not found.isdisjoint(row.tensors)


def _opcode(model: Model, wanted: Filter) -> Callable[[OpcodeRow], bool]:
    return lambda row: wanted.has_operator(row.type)


def _signature(model: Model, wanted: Filter) -> Callable[[SignatureRow], bool]:
    return lambda row: wanted.has_name(row.key, row.name, row.tensor_name) and wanted.has_type(row.dtype)


def _metadata(model: Model, wanted: Filter) -> Callable[[MetadataRow], bool]:
    return lambda row: wanted.has_name(row.name)


_FITS: dict[str, Callable[[Model, Filter], Callable[[Any], bool]]] = {
    "tensors": _tensor,
    "operators": _operator,
    "buffers": _buffer,
    "opcodes": _opcode,
    "signatures": _signature,
    "metadata": _metadata,
}


def _require(what: str, wanted: Filter) -> None:
    for name in ("name", "type", "operator"):
        if getattr(wanted, name) is not None and name not in _APPLY[what]:
            raise SurgeonError(f"--{name} does not apply to --{what}, but to {_lists(name)}")
    known = {name.lower() for name in schema.ENUMS["TensorType"][1]}
    if wanted.type is not None and wanted.type.lower() not in known:
        raise SurgeonError(f"there is no element type {wanted.type!r}; known are {', '.join(sorted(known))}")


def _lists(name: str) -> str:
    return ", ".join(f"--{what}" for what in LISTS if name in _APPLY[what])
