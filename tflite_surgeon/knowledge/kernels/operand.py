"""A tensor as a kernel sees it while nodes are prepared, one after the other."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

from tflite_surgeon.knowledge.xnnpack.tensors import as_int32, integers, is_constant

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Tensor

# Larger constants are weights; no kernel reads one when it prepares its node.
_MOST_VALUES = 4096
_NO_TABLE = ""
_INT32 = 1 << 31
# Tensors of these types have memory of their own, sized when the model runs.
_SIZED_BY_VALUE = frozenset({"STRING", "RESOURCE", "VARIANT"})


class Operand:
    """A tensor in a runtime's memory.

    Attributes:
        tensor: as it is in the file.
        type: such as "INT8"; what kernels make of an output's type replaces what the file says.
        shape: the dimensions as known when the node is prepared; None where they are known only at run time.
        is_dynamic: its memory is sized when the model runs, so that nodes behind it are prepared only then.
        is_persistent: a kernel computes its values as soon as it prepares its node.
        micro: read as TFLM reads it.
    """

    __slots__ = ("__dict__", "_known", "is_dynamic", "is_persistent", "micro", "shape", "tensor", "type")

    def __init__(self, tensor: Tensor, micro: bool = False) -> None:
        self.tensor = tensor
        self.micro = micro
        self.type = tensor.type_name
        self.shape: list[int] | None = list(tensor.shape or ())
        self.is_dynamic = not micro and self.type in _SIZED_BY_VALUE
        self.is_persistent = False
        self._known: list[int] | None = None

    # Shape

    @property
    def rank(self) -> int | None:
        return None if self.shape is None else len(self.shape)

    @property
    def count(self) -> int | None:
        """How many elements."""
        return None if self.shape is None else prod(self.shape)

    def dim(self, axis: int) -> int | None:
        """A dimension; None where it is not known, or there is no such axis."""
        shape = self.shape
        return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None

    # Values

    @cached_property
    def is_constant(self) -> bool:
        """Whether the file holds its values."""
        if self.micro:  # TFLM finds neither what lies behind the flatbuffer nor vectors of no bytes.
            return bool(self.tensor.data) and not getattr(self.tensor.buffer, "outside", False)
        return is_constant(self.tensor)

    @property
    def is_variable(self) -> bool:
        return self.tensor.is_variable

    @property
    def is_fixed(self) -> bool:
        """Whether kernels find its values there when they prepare their nodes, be they known to us or not."""
        return self.is_constant or self.is_persistent

    def know(self, values: list[int] | None) -> None:
        """Note values that a kernel computes as soon as it prepares its node, such as those of SHAPE.

        None where they are not known to us: of other types, or many.
        """
        self._known = values
        self.is_persistent = True
        self.is_dynamic = False

    @property
    def values(self) -> list[int] | None:
        """The integers of a small constant of INT32 or INT64, in one row; None where they are not known yet.

        As many as the bytes hold: fewer than the shape says where the buffer is short.
        """
        if self._known is None and self.is_constant and self.type in ("INT32", "INT64"):
            data = self.tensor.data or b""
            if len(data) <= _MOST_VALUES * 8:
                self._known = integers(self.tensor)
        return self._known

    # Quantisation

    @cached_property
    def scheme(self) -> str:
        """ "affine", "none", or the name of the table of another scheme, such as "BlockwiseQuantization"."""
        quantization = self.tensor.quantization
        if quantization is None:
            return "none"
        if not self.micro:
            details = getattr(quantization.details, "table", _NO_TABLE)
            if details not in (_NO_TABLE, "CustomQuantization"):
                return str(details)
        if not quantization.scale or (self.micro and not quantization.zero_point):
            return "none"
        return "affine"

    @property
    def is_affine(self) -> bool:
        return self.scheme == "affine"

    @property
    def has_plain_scales(self) -> bool:
        """Whether there are scales beside the table of another scheme, which older runtimes then read."""
        quantization = self.tensor.quantization
        return quantization is not None and bool(quantization.scale)

    @cached_property
    def scales(self) -> list[float]:
        """The scales of an affine tensor, else none."""
        quantization = self.tensor.quantization
        return quantization.scale or [] if quantization is not None and self.is_affine else []

    @cached_property
    def zero_points(self) -> list[int]:
        """The zero points of an affine tensor, cut to 32 bits as runtimes do, else none."""
        quantization = self.tensor.quantization
        if quantization is None or not self.is_affine:
            return []
        points = quantization.zero_point or []
        # Nearly all are in range, and a long vector is compact as it is.
        if points and (min(points) < -_INT32 or max(points) >= _INT32):
            return [as_int32(point) for point in points]
        return points

    @property
    def axis(self) -> int:
        """The dimension that several scales count along."""
        quantization = self.tensor.quantization
        return quantization.quantized_dimension if quantization is not None else 0

    @cached_property
    def scale(self) -> float:
        """The one scale that kernels for whole tensors read: 0 where there is none, and in LiteRT where there are
        several (TFLM reads the first).

        Source: LiteRT core/interpreter_builder.cc (GetLegacyQuantization); TFLM micro_allocator.cc.
        """
        return self.scales[0] if len(self.scales) == 1 or (self.micro and self.scales) else 0.0

    @cached_property
    def zero_point(self) -> int:
        """The zero point beside `scale`."""
        has_one = len(self.scales) == 1 or (self.micro and self.scales)
        return self.zero_points[0] if has_one and self.zero_points else 0

    @property
    def name(self) -> str:
        return self.tensor.name or ""
