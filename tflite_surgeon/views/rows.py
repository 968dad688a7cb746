"""A row for each part of a model: tensors, operators, buffers, operator codes, signatures, metadata.

`number` is the part's place in its list. A reference that is not given is None, one that points nowhere keeps the
number that the file has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class TensorRow(NamedTuple):
    """A tensor.

    Attributes:
        kind: one of `views.tensors.KINDS`.
        dtype: such as int8.
        shape: as the file has it; shape_signature: with -1 for an open dimension, None where the file has none.
        bytes: that it always takes; None for open dimensions, strings, and types without a size.
        bytes_of_shape: that it takes with the shape as it stands.
        scheme: None where unquantised, "affine", or the name of another scheme's table.
        scale, zero_point: one, or one for each index of quantized_dimension; empty where there is none. Of blockwise
            quantisation one scale a block and no zero points, as the interpreter has it.
        min, max: as the converter recorded them, None where it did not.
        buffer: number of the buffer; stored_bytes: how many the file holds in it.
        made_by, read_by: numbers of operators.
    """

    subgraph: int
    number: int
    name: str | None
    kind: str
    dtype: str
    shape: Sequence[int]
    shape_signature: Sequence[int] | None
    bytes: int | None
    bytes_of_shape: int | None
    scheme: str | None
    scale: Sequence[float]
    zero_point: Sequence[int]
    quantized_dimension: int
    min: Sequence[float] | None
    max: Sequence[float] | None
    buffer: int
    stored_bytes: int
    made_by: Sequence[int]
    read_by: Sequence[int]


class OperatorRow(NamedTuple):
    """An operator: its number is the one that runtimes print.

    Attributes:
        opcode: number of its operator code.
        inputs, outputs, intermediates: numbers of tensors, None for an input that is not given.
        dtype, shape: of the first output, None where there is none.
        macs: estimated multiply-accumulates, None where shapes do not tell.
        options: names and values.
    """

    subgraph: int
    number: int
    type: str
    version: int | None
    opcode: int
    inputs: Sequence[int | None]
    outputs: Sequence[int | None]
    intermediates: Sequence[int | None]
    dtype: str | None
    shape: Sequence[int] | None
    macs: int | None
    options: dict[str, Any]


class BufferRow(NamedTuple):
    """A buffer.

    Attributes:
        offset: the position of its first byte in the file, None where it has none there.
        outside: the bytes lie behind the flatbuffer.
        kind: "weights", "bias" or "constant" by the tensors that hold it, "metadata", "unused", or "empty".
        tensors: (subgraph, tensor) of those that hold it; metadata: numbers of metadata entries that do.
    """

    number: int
    bytes: int
    offset: int | None
    outside: bool
    kind: str
    tensors: Sequence[tuple[int, int]]
    metadata: Sequence[int]


class OpcodeRow(NamedTuple):
    """An operator code.

    Attributes:
        code: the number that runtimes read; custom_code: the name of a custom operator.
        operators: how many use it.
        oldest: see `views.versions.Support`; litert, tflite_2_14: lowest and highest version there; tflm: whether
            there is a kernel.
    """

    number: int
    type: str
    version: int
    code: int
    deprecated_builtin_code: int
    custom_code: str | None
    operators: int
    oldest: str | None
    litert: tuple[int, int] | None
    tflite_2_14: tuple[int, int] | None
    tflm: bool


class SignatureRow(NamedTuple):
    """One input or output of a signature; tensor and dtype are None where the file does not say."""

    signature: int
    key: str | None
    subgraph: int | None
    direction: str
    name: str | None
    tensor: int | None
    tensor_name: str | None
    dtype: str | None
    shape: Sequence[int] | None


class MetadataRow(NamedTuple):
    """A metadata entry; text is its content where that is printable text, offset the position of its first byte."""

    number: int
    name: str | None
    buffer: int
    bytes: int
    offset: int | None
    text: str | None
