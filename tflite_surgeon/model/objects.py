"""The objects that people edit. No bytes, no files: `convert` makes them from tables, `files` from paths.

A vector that is absent is None and one that is empty is []; a reference that points nowhere is a BadReference.
Position in its list is an object's index when the model is saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import Table

if TYPE_CHECKING:
    from enum import IntEnum

    from numpy.typing import ArrayLike, NDArray

    from tflite_surgeon.model.files import Source


def _slots(table: str, *extra: str) -> tuple[str, ...]:
    return tuple(slot for slot in schema.slots(table) if slot not in Table.__slots__) + extra


@dataclass(frozen=True)
class BadReference:
    """An index in the file that no object stands at."""

    index: int


class Buffer(Table):
    """The bytes of constant tensors, or of metadata.

    Attributes:
        data: the bytes; None where the file holds none (a tensor computed at run time), empty where it holds an
            empty vector. What was read is a read-only view: assign new bytes, or use `tensor.set_values`.
        outside: the bytes lie behind the flatbuffer instead of in it, as files above 2 GB need.
        offset, size: where the file says that outside bytes lie; recomputed on save.
    """

    __slots__ = _slots("Buffer", "_stored_data", "_replaces", "outside")
    table = "Buffer"
    extra = (("_stored_data", "o.data"), ("_replaces", "None"), ("outside", "False"))
    data: bytes | bytearray | memoryview | None
    offset: int
    size: int
    outside: bool
    _stored_data: object
    _replaces: Buffer | None  # The buffer whose place in the model's list it takes, if nobody else holds that one.

    def __init__(self, data: bytes | bytearray | memoryview | None = None, *, outside: bool = False) -> None:
        super().__init__()
        self.data = data
        self.outside = outside
        self._stored_data = None
        self._replaces = None


class QuantizationParameters(Table):
    """real = (integer - zero_point) * scale, with one scale for the tensor or one for each slice.

    Attributes:
        scale: one entry, or one for each index of `quantized_dimension`; float32 in the file.
        zero_point: as many entries, int64 in the file.
        quantized_dimension: the dimension that the scales count along.
        min, max: the range that the converter recorded, in real units; runtimes ignore it.
        details: a further scheme (blockwise, multi-axis, custom), else None.
    """

    __slots__ = _slots("QuantizationParameters")
    table = "QuantizationParameters"
    min: list[float] | None
    max: list[float] | None
    scale: list[float] | None
    zero_point: list[int] | None
    details: Any
    quantized_dimension: int


class Tensor(Table):
    """A value in a subgraph: computed, given from outside, or constant.

    Attributes:
        shape: dimensions, outermost first; None where the file has none (a scalar, or unknown).
        type: a TensorType, or a plain int that the schema does not know.
        buffer: where constant values lie; buffers[0], empty by convention, for all others.
    """

    __slots__ = _slots("Tensor")
    table = "Tensor"
    shape: list[int] | None
    type: IntEnum | int
    buffer: Buffer | BadReference
    name: str | None
    quantization: QuantizationParameters | None
    is_variable: bool
    sparsity: Any
    shape_signature: list[int] | None
    has_rank: bool
    variant_tensors: list[Any] | None
    external_buffer: int

    @property
    def data(self) -> bytes | bytearray | memoryview | None:
        """The bytes of a constant; None for a tensor without any.

        Raises:
            SurgeonError: they lie in a file that was closed.
        """
        buffer = self.buffer
        try:
            return None if isinstance(buffer, BadReference) or not buffer.data else buffer.data
        except ValueError:  # A released view.
            raise SurgeonError(f"tensor {self.name!r} lies in a file that was closed: read it again") from None

    @property
    def type_name(self) -> str:
        """Such as INT8."""
        # Without a call, for nearly all: this is asked many times of every tensor.
        found = getattr(self.type, "_name_", None)
        return found or schema.name_of("TensorType", self.type) or f"type {int(self.type)}"

    def values(self) -> NDArray[Any]:
        """The constant's values, in the tensor's shape and type, read-only; 4- and 2-bit integers one a byte.

        Raises:
            SurgeonError: the tensor is not constant, or its bytes do not fit its shape and type.
        """
        from tflite_surgeon.model.values import unpack

        return unpack(self)

    def set_values(self, values: ArrayLike) -> None:
        """Replace the constant's values. A buffer that other tensors share is not changed for them.

        Raises:
            SurgeonError: the values' shape is not the tensor's, or its type cannot hold one of them exactly.
        """
        from tflite_surgeon.model.values import pack

        before = self.buffer
        self.buffer = Buffer(pack(self, values))
        self.buffer._replaces = None if isinstance(before, BadReference) else before

    def _repr_html_(self) -> str:
        from tflite_surgeon.model.notebook import tensor_table

        return tensor_table(self)


# What the old, one-byte field for an operator's number holds at most; larger numbers leave that there.
OLD_FIELD_HOLDS = 127


class OperatorCode(Table):
    """A kind of operator and its version, shared by the operators that use it."""

    __slots__ = _slots("OperatorCode")
    table = "OperatorCode"
    deprecated_builtin_code: int
    custom_code: str | None
    version: int
    builtin_code: IntEnum | int

    @property
    def code(self) -> int:
        """The operator as runtimes read it: the larger of the old one-byte field and the one that replaced it."""
        return max(int(self.builtin_code), self.deprecated_builtin_code)

    @property
    def name(self) -> str:
        """Such as CONV_2D; for a custom operator, the name it registers under."""
        code = self.code
        if code == _CUSTOM:
            return self.custom_code or "CUSTOM"
        member = schema.enum_class("BuiltinOperator")._value2member_map_.get(code)
        return member._name_ if member is not None else f"OPERATOR_{code}"


_CUSTOM = 32


class Operator(Table):
    """A node of a subgraph.

    Attributes:
        opcode: what it computes, and in which version.
        inputs, outputs, intermediates: tensors; None for an optional input that is not given.
        builtin_options, builtin_options_2: the table of its options, else None.
        large_custom_options: custom options that lie behind the flatbuffer, else None.
    """

    __slots__ = _slots("Operator", "_stored_options", "large_custom_options")
    table = "Operator"
    extra = (("_stored_options", "None"), ("large_custom_options", "None"))
    opcode: OperatorCode | BadReference
    inputs: list[Tensor | BadReference | None] | None
    outputs: list[Tensor | BadReference | None] | None
    builtin_options: Any
    custom_options: bytes | None
    custom_options_format: IntEnum | int
    mutating_variable_inputs: list[bool] | None
    intermediates: list[Tensor | BadReference | None] | None
    large_custom_options_offset: int
    large_custom_options_size: int
    large_custom_options: bytes | bytearray | memoryview | None
    _stored_options: memoryview | None
    builtin_options_2: Any
    debug_metadata_index: int

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.large_custom_options = None
        self._stored_options = None

    @property
    def name(self) -> str:
        """The operator's name, such as CONV_2D."""
        opcode = self.opcode
        return opcode.name if isinstance(opcode, OperatorCode) else f"operator code {opcode.index}"

    def flexbuffer(self) -> Any:
        """The custom options of an operator that keeps them as a FlexBuffer, as dicts, lists, strings and numbers.

        Raises:
            SurgeonError: it has no custom options, or they are no FlexBuffer.
        """
        from tflite_surgeon.model.values import flexbuffer

        return flexbuffer(self)

    def role(self, name: str) -> Tensor | None:
        """An input or output by its role, such as "input", "weights", "bias", "output"; None where absent.

        Raises:
            KeyError: this kind of operator has no such role.
        """
        from tflite_surgeon.knowledge.operators import tensor_in_role

        return tensor_in_role(self, name)


class SubGraph(Table):
    """A graph of operators in execution order."""

    __slots__ = _slots("SubGraph")
    table = "SubGraph"
    tensors: list[Tensor] | None
    inputs: list[Tensor | BadReference | None] | None
    outputs: list[Tensor | BadReference | None] | None
    operators: list[Operator] | None
    name: str | None
    debug_metadata_index: int

    def _repr_html_(self) -> str:
        from tflite_surgeon.model.notebook import subgraph_table

        return subgraph_table(self)


class Metadata(Table):
    """Named bytes that runtimes pass over."""

    __slots__ = _slots("Metadata")
    table = "Metadata"
    name: str | None
    buffer: Buffer | BadReference


class TensorMap(Table):
    """The name of an input or output in a signature."""

    __slots__ = _slots("TensorMap")
    table = "TensorMap"
    name: str | None
    tensor: Tensor | BadReference


class SignatureDef(Table):
    """A named way to call a subgraph."""

    __slots__ = _slots("SignatureDef")
    table = "SignatureDef"
    inputs: list[TensorMap] | None
    outputs: list[TensorMap] | None
    signature_key: str | None
    deprecated_tag: str | None
    subgraph: SubGraph | BadReference


@dataclass(frozen=True)
class Node:
    """An operator and where it stands; `index` is the node number that runtimes print."""

    subgraph: SubGraph
    subgraph_index: int
    operator: Operator
    index: int

    @property
    def path(self) -> str:
        return f"subgraphs[{self.subgraph_index}].operators[{self.index}]"


class Model(Table):
    """A whole model.

    Attributes:
        subgraphs, operator_codes, buffers, metadata, signature_defs: lists, or None where the file has none.
        metadata_buffers: buffers of an older kind of metadata.
        identifier: the four bytes that name the format, b"TFL3" in a sound file.
        source: the file that the model was read from, else None.
    """

    __slots__ = _slots("Model", "identifier", "source")
    table = "Model"
    extra = (("identifier", "r.raw[4:8]"), ("source", "None"))
    version: int
    operator_codes: list[OperatorCode] | None
    subgraphs: list[SubGraph] | None
    description: str | None
    buffers: list[Buffer] | None
    metadata_buffers: list[Buffer | BadReference] | None
    metadata: list[Metadata] | None
    signature_defs: list[SignatureDef] | None
    external_buffer_groups: list[Any] | None
    external_buffers: list[Any] | None
    identifier: bytes
    source: Source | None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.identifier = schema.FILE_IDENTIFIER
        self.source = None

    def _repr_html_(self) -> str:
        from tflite_surgeon.model.notebook import model_table

        return model_table(self)

    def nodes(self) -> Iterator[Node]:
        """Every operator of every subgraph, in file order, with the number that runtimes print."""
        for subgraph_index, subgraph in enumerate(self.subgraphs or ()):
            for index, operator in enumerate(subgraph.operators or ()):
                yield Node(subgraph, subgraph_index, operator, index)

    def copy(self) -> Model:
        """A copy to edit; weights are shared, because data is never changed in place."""
        from tflite_surgeon.model.convert import copy_model

        return copy_model(self)

    def associated_files(self) -> dict[str, bytes]:
        """The files that metadata tools append to a model, such as labels: name -> content.

        Raises:
            UnusableFileError: the zip that holds them is damaged, encrypted, or unpacks beyond reason.
        """
        from tflite_surgeon.model.archive import members

        return members(self.source.raw) if self.source is not None else {}

    def close(self) -> None:
        """Let go of a file too large to be read whole: its constants cannot be read any more, nor those of copies.

        The same goes for vectors of more than a few numbers, such as scales, that were not changed.
        """
        if self.source is not None and self.source.is_mapped:
            views: list[object] = [buffer._stored_data for buffer in self.buffers or ()]
            for subgraph in self.subgraphs or ():
                views += [operator._stored_options for operator in subgraph.operators or ()]
            for view in views:
                if isinstance(view, memoryview):
                    with suppress(BufferError):  # An array of values that is still in use.
                        view.release()
            self.source.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
