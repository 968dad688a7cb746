"""A model told from top to bottom, without the numbers that things happen to have in the file.

What two versions of a model have in common reads alike in both, so that a comparison of lines shows what changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import OpaqueTable, Table
from tflite_surgeon.knowledge.operators import ROLES
from tflite_surgeon.model.objects import BadReference, Buffer, Model, Operator, OperatorCode, SubGraph, Tensor
from tflite_surgeon.views.diff.fields import plain, readable

# As many numbers are told one by one; of more their count, their range and a digest.
_MOST_NUMBERS = 16
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Digest:
    """Much in short: how many bytes or numbers, a SHA-256, and the range of the numbers where that is known."""

    size: int
    unit: str
    sha256: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Entry:
    """One line.

    Attributes:
        depth: how far inside others it stands.
        what: such as "subgraph", "CONV_2D", "weights" or "builtin_options.stride_w".
        name: what it is called, or None.
        facts: what else is to be said: numbers, words, lists, a `Digest`.
    """

    depth: int
    what: str
    name: str | None = None
    facts: tuple[Any, ...] = ()


def outline(model: Model) -> Iterator[Entry]:
    """The model's own fields, subgraphs with their operators in order, signatures, metadata, associated files."""
    yield Entry(0, "model", model.description, (f"schema version {model.version}",))
    for graph in model.subgraphs or ():
        yield from _graph(graph)
    for signature in model.signature_defs or ():
        yield Entry(0, "signature", signature.signature_key or "", (f"of subgraph {_called(signature.subgraph)}",))
        for what, entries in (("input", signature.inputs), ("output", signature.outputs)):
            for entry in entries or ():
                yield Entry(1, what, entry.name or "", (_called(entry.tensor),))
    for item in model.metadata or ():
        data = item.buffer.data if isinstance(item.buffer, Buffer) else None
        text = readable(data)
        yield Entry(0, "metadata", item.name or "", (_digest(data or b""), *([] if text is None else [text])))
    try:
        files = model.associated_files()
    except SurgeonError as error:
        yield Entry(0, "associated files", None, (str(error),))
        return
    for name, content in files.items():
        yield Entry(0, "associated file", name, (_digest(content),))


def _graph(graph: SubGraph) -> Iterator[Entry]:
    yield Entry(0, "subgraph", graph.name or "")
    computed = {id(item) for operator in graph.operators or () for item in operator.outputs or ()}
    told: set[int] = set()

    def tensor(depth: int, what: str, item: Tensor | BadReference | None) -> Iterator[Entry]:
        """In full where it comes from: an input, an output of its operator, or where it is read first."""
        if not isinstance(item, Tensor) or id(item) in told or (id(item) in computed and not what.startswith("output")):
            yield Entry(depth, what, _called(item))
            return
        told.add(id(item))
        yield Entry(depth, what, item.name or "", (item.type_name, list(item.shape or ())))
        yield from _tensor_facts(depth + 1, item)

    for item in graph.inputs or ():
        yield from tensor(1, "input", item)
    for operator in graph.operators or ():
        opcode = operator.opcode
        version = (f"version {opcode.version}",) if isinstance(opcode, OperatorCode) else ()
        yield Entry(0, operator.name, None, version)
        yield from _options(operator)
        roles = ROLES.get(operator.name)
        for position, item in enumerate(operator.inputs or ()):
            known = roles is not None and position < len(roles.inputs)
            yield from tensor(1, roles.inputs[position] if roles is not None and known else "input", item)
        for item in operator.outputs or ():
            yield from tensor(1, "output", item)
        for item in operator.intermediates or ():
            yield from tensor(1, "intermediate", item)
    for item in graph.outputs or ():
        yield Entry(1, "result", _called(item))
    for item in graph.tensors or ():
        if id(item) not in told and id(item) not in computed:
            yield from tensor(1, "unused", item)


def _called(item: Any) -> str:
    if item is None:
        return "none"
    return f"number {item.index}, which is not there" if isinstance(item, BadReference) else item.name or ""


def _options(operator: Operator) -> Iterator[Entry]:
    for which in ("builtin_options", "builtin_options_2"):
        yield from _table(1, getattr(operator, which))
    if operator.mutating_variable_inputs:
        yield Entry(1, "mutating_variable_inputs", None, (list(operator.mutating_variable_inputs),))
    data = operator.custom_options if operator.large_custom_options is None else operator.large_custom_options
    if not data:
        return
    try:
        options = operator.flexbuffer()
    except SurgeonError:
        options = None
    if isinstance(options, dict):
        for key, value in options.items():
            yield Entry(1, f"custom_options.{key}", None, (plain(value),))
    else:
        yield Entry(1, "custom_options", None, (_digest(data),))


def _table(depth: int, table: Any) -> Iterator[Entry]:
    """The fields of a table, a line each."""
    if isinstance(table, OpaqueTable):
        yield Entry(depth, "options of a kind that is not known", None, (table.tag,))
    if not isinstance(table, Table):
        return
    for field in schema.fields(table.table):
        value = getattr(table, field.attribute)
        if field.refers_to:
            called = [_called(item) for item in value] if isinstance(value, list) else _called(value)
            yield Entry(depth, field.attribute, None, (called,))
        elif value is not None:
            yield Entry(depth, field.attribute, None, (plain(value),))


def _tensor_facts(depth: int, tensor: Tensor) -> Iterator[Entry]:
    if tensor.shape_signature:
        yield Entry(depth, "shape_signature", None, (list(tensor.shape_signature),))
    if tensor.is_variable:
        yield Entry(depth, "is_variable", None, (True,))
    quantization = tensor.quantization
    if quantization is not None:
        for name in ("scale", "zero_point", "min", "max"):
            numbers = getattr(quantization, name)
            if numbers:
                yield Entry(depth, name, None, (_numbers(numbers),))
        if len(quantization.scale or ()) > 1:
            yield Entry(depth, "quantized_dimension", None, (quantization.quantized_dimension,))
        if quantization.details is not None:
            yield Entry(depth, "quantization.details")
            yield from _table(depth + 1, quantization.details)
    if tensor.sparsity is not None:
        yield Entry(depth, "sparsity")
        yield from _table(depth + 1, tensor.sparsity)
    if tensor.external_buffer:
        yield Entry(depth, "external_buffer", None, (tensor.external_buffer,))
    if tensor.data:
        yield Entry(depth, "values", None, (_values(tensor),))


def _numbers(numbers: Sequence[float]) -> Any:
    if len(numbers) <= _MOST_NUMBERS:
        return list(numbers)
    # Their shortest decimal forms, so that it does not matter how they are held.
    text = " ".join(map(repr, numbers)).encode()
    return Digest(len(numbers), "numbers", hashlib.sha256(text).hexdigest(), min(numbers), max(numbers))


def _values(tensor: Tensor) -> Any:
    """A constant's values where they are few, else a digest of its bytes with their range."""
    data = tensor.data or b""
    try:
        values = tensor.values()
    except SurgeonError:
        return _digest(data)
    if values.size <= _MOST_NUMBERS and values.dtype.kind != "c":
        return [item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item for item in values.flat]
    if values.dtype.kind not in "iuf" or values.size == 0:
        return _digest(data)
    found = _digest(data)
    return Digest(found.size, "bytes", found.sha256, values.min().item(), values.max().item())


def _digest(data: bytes | bytearray | memoryview) -> Digest:
    return _digest_of(data[start : start + _CHUNK_BYTES] for start in range(0, len(data), _CHUNK_BYTES))


def file_digest(path: str) -> Digest:
    """The digest of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return _digest_of(iter(lambda: file.read(_CHUNK_BYTES), b""))


def _digest_of(pieces: Iterable[bytes | bytearray | memoryview]) -> Digest:
    found, size = hashlib.sha256(), 0
    for piece in pieces:
        found.update(piece)
        size += len(piece)
    return Digest(size, "bytes", found.hexdigest())
