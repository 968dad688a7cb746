"""A tensor as a kernel sees it while nodes are prepared, one after the other."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tflite_surgeon.knowledge.xnnpack.tensors import as_int32, integers, is_constant
from tflite_surgeon.quantization import are_int32

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import QuantizationParameters, Tensor

# Larger constants are weights; no kernel reads one when it prepares its node.
_MOST_VALUES = 4096
_NO_TABLE = ""
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
        scheme: of its quantisation: "affine", "none", or the name of the table of another scheme, such as
            "BlockwiseQuantization".
        scales: those of an affine tensor, else none.
        zero_points: those of an affine tensor, cut to 32 bits as runtimes do, else none.
        scale: the one scale that kernels for whole tensors read: 0 where there is none, and in LiteRT where there are
            several (TFLM reads the first). Source: LiteRT core/interpreter_builder.cc (GetLegacyQuantization); TFLM
            micro_allocator.cc.
        zero_point: the zero point beside `scale`.
    """

    __slots__ = (
        "__dict__",
        "_constant",
        "_known",
        "is_affine",
        "is_dynamic",
        "is_persistent",
        "micro",
        "scale",
        "scales",
        "scheme",
        "shape",
        "tensor",
        "type",
        "zero_point",
        "zero_points",
    )

    def __init__(self, tensor: Tensor, micro: bool = False) -> None:
        self.tensor = tensor
        self.micro = micro
        self.type = tensor.type_name
        self.shape: list[int] | None = list(tensor.shape or ())
        self.is_dynamic = not micro and self.type in _SIZED_BY_VALUE
        self.is_persistent = False
        self._known: list[int] | None = None
        self._constant: bool | None = None
        self.scheme = "none"
        self.is_affine = False
        self.scales: list[float] = []
        self.zero_points: list[int] = []
        self.scale = 0.0
        self.zero_point = 0
        if tensor.quantization is not None:
            self._read(tensor.quantization)

    def _read(self, quantization: QuantizationParameters) -> None:
        """Take over a quantisation as the runtime does."""
        scales, points = quantization.scale, quantization.zero_point
        if quantization.details is not None and not self.micro:
            details = getattr(quantization.details, "table", _NO_TABLE)
            if details not in (_NO_TABLE, "CustomQuantization"):
                self.scheme = str(details)
                return
        if not scales or (self.micro and not points):
            return
        self.scheme, self.is_affine, self.scales = "affine", True, scales
        if points:
            # Nearly all are in range, and a long vector is compact as it is.
            if not are_int32(points):
                points = [as_int32(point) for point in points]
            self.zero_points = points
        if len(scales) == 1 or self.micro:
            self.scale = scales[0]
            self.zero_point = points[0] if points else 0

    @property
    def is_as_stored(self) -> bool:
        """Whether no kernel has made anything of it that the file does not say."""
        tensor = self.tensor
        return (
            self.shape == tensor.shape
            and not (self.is_persistent or self.is_dynamic)
            and self.type == tensor.type_name
            and (self._constant is not False or not is_constant(tensor))
        )

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

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its values."""
        if self._constant is None:
            if self.micro:  # TFLM finds neither what lies behind the flatbuffer nor vectors of no bytes.
                self._constant = bool(self.tensor.data) and not getattr(self.tensor.buffer, "outside", False)
            else:
                self._constant = is_constant(self.tensor)
        return self._constant

    @property
    def is_variable(self) -> bool:
        return self.tensor.is_variable

    @property
    def is_fixed(self) -> bool:
        """Whether kernels find its values there when they prepare their nodes, be they known to us or not."""
        return self.is_constant or self.is_persistent

    def move(self) -> None:
        """A kernel gives it memory of its own: whatever the file holds, it is no constant from then on."""
        self._constant = False

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

    @property
    def has_plain_scales(self) -> bool:
        """Whether there are scales beside the table of another scheme, which older runtimes then read."""
        quantization = self.tensor.quantization
        return quantization is not None and bool(quantization.scale)

    @property
    def axis(self) -> int:
        """The dimension that several scales count along."""
        quantization = self.tensor.quantization
        return quantization.quantized_dimension if quantization is not None else 0

    @property
    def name(self) -> str:
        return self.tensor.name or ""
