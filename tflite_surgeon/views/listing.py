"""A model's parts as rows: tensors, operators, buffers, operator codes, signatures, metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import BadReference, Buffer, Model, Operator, SubGraph, Tensor
from tflite_surgeon.views.file_map import data_offset
from tflite_surgeon.views.options import options
from tflite_surgeon.views.rows import BufferRow, MetadataRow, OpcodeRow, OperatorRow, SignatureRow, TensorRow
from tflite_surgeon.views.tensors import (
    BIAS,
    CONSTANT,
    WEIGHTS,
    Kinds,
    blockwise_scales,
    byte_size,
    bytes_of_shape,
    dtype,
    stored_size,
    zero_points,
)
from tflite_surgeon.views.versions import support


class Numbers:
    """The number of each part of a model that does not change meanwhile, by identity."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @cached_property
    def tensors(self) -> dict[int, int]:
        """Of each tensor, in its subgraph."""
        graphs = (subgraph.tensors or () for subgraph in self._model.subgraphs or ())
        return {id(tensor): number for tensors in graphs for number, tensor in enumerate(tensors)}

    @cached_property
    def buffers(self) -> dict[int, int]:
        return _numbered(self._model.buffers)

    @cached_property
    def opcodes(self) -> dict[int, int]:
        return _numbered(self._model.operator_codes)

    @cached_property
    def subgraphs(self) -> dict[int, int]:
        return _numbered(self._model.subgraphs)

    def of_tensor(self, item: Tensor | BadReference | None) -> int | None:
        """Its number in its subgraph; that of the file for one that points nowhere."""
        return self.tensors.get(id(item)) if not isinstance(item, BadReference) else item.index

    def of_tensors(self, items: Iterable[Tensor | BadReference | None] | None) -> list[int | None]:
        known = self.tensors
        return [known[id(item)] if id(item) in known else self.of_tensor(item) for item in items or ()]

    def of_buffer(self, buffer: Buffer | BadReference) -> int:
        """Its number; that of the file for one that points nowhere, -1 for one that the model does not list yet."""
        return buffer.index if isinstance(buffer, BadReference) else self.buffers.get(id(buffer), -1)

    def of_buffers(self, buffers: Sequence[Buffer | BadReference]) -> list[int]:
        """The same of many."""
        found = list(map(self.buffers.get, map(id, buffers)))
        return list(map(self.of_buffer, buffers)) if None in found else found  # type: ignore[return-value]


def _numbered(items: Sequence[Any] | None) -> dict[int, int]:
    return {id(item): number for number, item in enumerate(items or ())}


def list_tensors(model: Model) -> list[TensorRow]:
    """All tensors, subgraph by subgraph."""
    kinds, numbers = Kinds(model), Numbers(model)
    rows: list[TensorRow] = []
    for subgraph_number, subgraph in enumerate(model.subgraphs or ()):
        tensors = subgraph.tensors or []
        made_by, read_by = _users(subgraph)
        keys = list(map(id, tensors))
        buffers = [tensor.buffer for tensor in tensors]
        sizes = _sizes(tensors)
        # Column by column, which takes half the time: a model has a hundred thousand tensors.
        columns: tuple[Iterable[Any], ...] = (
            repeat(subgraph_number),
            range(len(tensors)),
            [tensor.name for tensor in tensors],
            kinds.of_all(keys),
            [name for name, _, _ in sizes],
            [tensor.shape or () for tensor in tensors],
            [tensor.shape_signature for tensor in tensors],
            [size for _, size, _ in sizes],
            [size for _, _, size in sizes],
            *zip(*[_quantization(tensor) for tensor in tensors]),
            numbers.of_buffers(buffers),
            _stored_sizes(tensors, buffers),
            [made_by.get(key, ()) for key in keys],
            [read_by.get(key, ()) for key in keys],
        )
        if tensors:
            rows += map(tuple.__new__, repeat(TensorRow), zip(*columns))
    return rows


def _stored_sizes(tensors: Sequence[Tensor], buffers: Sequence[Buffer | BadReference]) -> list[int]:
    data = [buffer.data if isinstance(buffer, Buffer) else None for buffer in buffers]
    try:
        return [0 if content is None else len(content) for content in data]
    except ValueError:  # A released view: the tensor says it in a sentence.
        return list(map(stored_size, tensors))


def _sizes(tensors: Sequence[Tensor]) -> list[tuple[str, int | None, int | None]]:
    """dtype, bytes and bytes_of_shape of rows; tensors of one type and shape share them."""
    known: dict[tuple[int, tuple[int, ...], bool], tuple[str, int | None, int | None]] = {}
    result = []
    for tensor in tensors:
        signature = tensor.shape_signature
        is_open = signature is not None and len(signature) > 0 and min(signature) < 0
        key = (id(tensor.type), tuple(tensor.shape or ()), is_open)  # An enum's own hash is slow.
        sizes = known.get(key)
        if sizes is None:
            sizes = known[key] = dtype(tensor), byte_size(tensor), bytes_of_shape(tensor)
        result.append(sizes)
    return result


_Users = dict[int, list[int]]
_Recorded = tuple[str | None, Sequence[float], Sequence[int], int, Sequence[float] | None, Sequence[float] | None]
_UNQUANTIZED: _Recorded = (None, (), (), 0, None, None)


def _quantization(tensor: Tensor) -> _Recorded:
    """Scheme, scale, zero point, quantised dimension, min and max of a row."""
    found = tensor.quantization
    if found is None:
        return _UNQUANTIZED
    scheme = None
    scale = found.scale or ()
    zeros: Sequence[int] = found.zero_point or ()
    if scale:
        scheme = "affine"
    if len(zeros) != len(scale):
        zeros = zero_points(tensor)
    if found.details is not None:
        scheme = getattr(found.details, "table", "unknown")
        scale = blockwise_scales(tensor) or scale
    return scheme, scale, zeros, found.quantized_dimension, found.min, found.max


def _users(subgraph: SubGraph) -> tuple[_Users, _Users]:
    """Numbers of the operators that make and that read each tensor."""
    made_by: _Users = {}
    read_by: _Users = {}
    for number, operator in enumerate(subgraph.operators or ()):
        for users, items in ((made_by, operator.outputs), (read_by, operator.inputs)):
            for item in items or ():
                key = id(item)
                if key in users:
                    users[key].append(number)
                else:
                    users[key] = [number]
    return made_by, read_by


def list_operators(model: Model) -> list[OperatorRow]:
    """All operators, subgraph by subgraph, in their order."""
    from tflite_surgeon.views.macs import multiply_accumulates

    numbers = Numbers(model)
    rows = []
    for node in model.nodes():
        operator = node.operator
        first = _first(operator)
        opcode = operator.opcode
        rows.append(
            OperatorRow(
                node.subgraph_index,
                node.index,
                operator.name,
                None if isinstance(opcode, BadReference) else opcode.version,
                opcode.index if isinstance(opcode, BadReference) else numbers.opcodes.get(id(opcode), -1),
                numbers.of_tensors(operator.inputs),
                numbers.of_tensors(operator.outputs),
                numbers.of_tensors(operator.intermediates),
                None if first is None else dtype(first),
                None if first is None else first.shape or (),
                multiply_accumulates(operator),
                options(operator),
            )
        )
    return rows


def _first(operator: Operator) -> Tensor | None:
    found = operator.outputs[0] if operator.outputs else None
    return found if isinstance(found, Tensor) else None


# The kind of a buffer that several tensors hold is the first of these that one of them has.
_RANK = {WEIGHTS: 0, BIAS: 1, CONSTANT: 2}
METADATA = "metadata"
UNUSED = "unused"
EMPTY = "empty"


def list_buffers(model: Model) -> list[BufferRow]:
    """All buffers."""
    kinds = Kinds(model)
    holders: dict[int, list[tuple[int, int]]] = {}
    best: dict[int, str] = {}
    for number, subgraph in enumerate(model.subgraphs or ()):
        for index, tensor in enumerate(subgraph.tensors or ()):
            key = id(tensor.buffer)
            holders.setdefault(key, []).append((number, index))
            kind = kinds.of(tensor)
            kind = kind if kind in _RANK else CONSTANT
            if key not in best or _RANK[kind] < _RANK[best[key]]:
                best[key] = kind
    entries: dict[int, list[int]] = {}
    for index, entry in enumerate(model.metadata or ()):
        entries.setdefault(id(entry.buffer), []).append(index)
    older = {id(buffer) for buffer in model.metadata_buffers or ()}
    rows = []
    for index, buffer in enumerate(model.buffers or ()):
        key = id(buffer)
        size = _length(buffer)
        described = METADATA if key in entries or key in older else UNUSED
        kind = best.get(key, described) if size else EMPTY
        offset = data_offset(model, buffer) if size else None
        if model.source is not None:
            model.source.reader.touched(buffer._offset)
        rows.append(BufferRow(index, size, offset, buffer.outside, kind, holders.get(key, ()), entries.get(key, ())))
    return rows


def _length(buffer: Buffer) -> int:
    """How many bytes a buffer has.

    Raises:
        SurgeonError: they lie in a file that was closed.
    """
    try:
        return 0 if buffer.data is None else len(buffer.data)
    except ValueError:  # A released view.
        raise SurgeonError("the model's file was closed: read it again") from None


def list_opcodes(model: Model) -> list[OpcodeRow]:
    """All operator codes, used or not."""
    used = Counter(id(node.operator.opcode) for node in model.nodes())
    rows = []
    for index, code in enumerate(model.operator_codes or ()):
        found = support(code)
        rows.append(
            OpcodeRow(
                index,
                code.name,
                code.version,
                code.code,
                code.deprecated_builtin_code,
                code.custom_code,
                used[id(code)],
                found.oldest,
                found.litert,
                found.tflite_2_14,
                found.tflm,
            )
        )
    return rows


def list_signatures(model: Model) -> list[SignatureRow]:
    """The inputs and outputs of all signatures."""
    numbers = Numbers(model)
    rows = []
    for index, signature in enumerate(model.signature_defs or ()):
        inside = signature.subgraph
        subgraph = inside.index if isinstance(inside, BadReference) else numbers.subgraphs.get(id(inside))
        for direction, maps in (("input", signature.inputs), ("output", signature.outputs)):
            for item in maps or ():
                tensor = item.tensor if isinstance(item.tensor, Tensor) else None
                rows.append(
                    SignatureRow(
                        index,
                        signature.signature_key,
                        subgraph,
                        direction,
                        item.name,
                        numbers.of_tensor(item.tensor),
                        None if tensor is None else tensor.name,
                        None if tensor is None else dtype(tensor),
                        None if tensor is None else tensor.shape_signature or tensor.shape or (),
                    )
                )
    return rows


# Longer content is data, not a note.
_LONGEST_TEXT = 200


def list_metadata(model: Model) -> list[MetadataRow]:
    """All metadata entries."""
    numbers = Numbers(model)
    rows = []
    for index, entry in enumerate(model.metadata or ()):
        buffer = entry.buffer
        data = buffer.data if isinstance(buffer, Buffer) and buffer.data is not None else b""
        offset = data_offset(model, buffer) if isinstance(buffer, Buffer) and data else None
        rows.append(MetadataRow(index, entry.name, numbers.of_buffer(buffer), len(data), offset, _text(data)))
    return rows


def _text(data: bytes | bytearray | memoryview) -> str | None:
    """Printable content, without the zeros that pad it."""
    content = bytes(data[: _LONGEST_TEXT + 1]).rstrip(b"\0")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if text and len(data) <= _LONGEST_TEXT and text.isprintable() else None
