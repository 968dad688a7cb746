"""Nodes that are alike: what was found of one holds for the others, so that it is looked for once.

A large model repeats a few layers many times. What a runtime makes of a layer with weights is decided by its options
and by its tensors' types, shapes and forms of quantisation. The numbers in scales and zero points decide only what is
asked here of every node: whether each scale means something, whether zero points are 0 or else within the type,
whether the bias counts in the kernel's unit, and whether the product of the scales stays within limits. A node with
anything out of the ordinary is in no group, and is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from copy import copy
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.flatbuffer.vector import Vector
from tflite_surgeon.quantization import (
    LARGEST,
    LIMITS,
    SMALLEST_NORMAL,
    are_products,
    are_usable_scales,
    are_zero,
    largest,
)

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.problems import On, Stage
    from tflite_surgeon.model.objects import Model, Operator, QuantizationParameters, Tensor

# The layers whose checks were read for what they depend on: their options, and where their inputs stand: activations,
# weights, bias, and before them what is read to the last byte.
_LAYERS = {
    "CONV_2D": ("Conv2DOptions", 0, 1, 2),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", 0, 1, 2),
    "FULLY_CONNECTED": ("FullyConnectedOptions", 0, 1, 2),
    "TRANSPOSE_CONV": ("TransposeConvOptions", 2, 1, 3),
}
_MANY = 1 << 31
# The largest constant that is read to the last byte: the shape that TRANSPOSE_CONV is to make.
_FEW_BYTES = 64
# Every bound of an activation, divided by a larger output scale, fits 32 bits.
_COUNTS_BOUNDS_FROM = 1e-8
# XNNPACK's limit for input scale x weights scale / output scale, 256, with room for what rounding does to it.
_MOST_RESCALED = 255.0
# Zero points of the types, by their numbers, that have others than 0: INT8 and UINT8.
_OFFSETS = {9: LIMITS["INT8"], 3: LIMITS["UINT8"]}
_BIAS_BYTES = {"INT32": 4, "INT64": 8}

_Form = tuple[int, bool, int, bool]


class _Layer(NamedTuple):
    """A kind of layer: what reads all of its options, and the places of its inputs."""

    options: str
    read: Callable[[Any], Any]
    source: int
    weights: int
    bias: int


class Group:
    """Nodes that are alike.

    Attributes:
        is_quantised: whether its tensors have scales.
        has_whole_bias: whether the bias holds a value, and a scale if it has several, for each of its elements.
        claimed: whether the delegate's claim covers them; None as long as nobody asked.
        healthy: kernels, stages, and whether the delegate took the node: where nothing was found.
    """

    __slots__ = ("claimed", "has_whole_bias", "healthy", "is_quantised")

    def __init__(self, is_quantised: bool, has_whole_bias: bool) -> None:
        self.is_quantised = is_quantised
        self.has_whole_bias = has_whole_bias
        self.claimed: bool | None = None
        self.healthy: set[tuple[On, Stage, bool]] = set()


_UNKNOWN: Any = object()


class Alikes:
    """The groups of a model's nodes; the model must not change while they are in use."""

    def __init__(self, model: Model) -> None:
        self._sentinel = model.buffers[0] if model.buffers else None
        self._looks: dict[int, int] = {}
        self._are_ordinary: dict[tuple[int, ...], bool] = {}
        self._number_of: dict[tuple[Any, ...], int] = {}
        self._seen: list[tuple[Any, ...]] = [()]
        self._layers: dict[int, _Layer | None] = {}
        self._groups: dict[tuple[Any, ...], Group | None] = {}
        self._group_of: dict[int, Group | None] = {}

    def after(self, model: Model, changed: Set[int]) -> Alikes:
        """The groups of a model that differs by some of its tensors and operators alone, told by their identities."""
        found = copy(self)
        found._looks = {key: look for key, look in self._looks.items() if key not in changed}
        found._group_of = dict(self._group_of)
        for subgraph in model.subgraphs or ():
            for operator in subgraph.operators or ():
                tensors = (*(operator.inputs or ()), *(operator.outputs or ()))
                if id(operator) in changed or not changed.isdisjoint(map(id, tensors)):
                    found._group_of.pop(id(operator), None)
        return found

    def look(self, tensor: Any) -> int:
        """A number that tensors have in common which are alike in all but scales, zero points and name.

        0 for those that are out of the ordinary: variable, sparse, without elements, in another scheme than scales,
        with scales that mean nothing or offsets that the type does not hold; and for what is no tensor.
        """
        found = self._looks.get(id(tensor))
        if found is None:
            seen = self._look(tensor) if isinstance(tensor, Table) else None  # type: ignore[arg-type]
            found = 0
            if seen is not None:
                found = self._number_of.setdefault(seen, len(self._seen))
                if found == len(self._seen):
                    self._seen.append(seen)
            self._looks[id(tensor)] = found
        return found

    def _look(self, tensor: Tensor) -> tuple[Any, ...] | None:
        stored, buffer = tensor.shape, tensor.buffer
        if stored is None or tensor.is_variable or tensor.sparsity is not None or tensor.external_buffer:
            return None
        shape = tuple(stored)
        is_ordinary = self._are_ordinary.get(shape)
        if is_ordinary is None:
            is_ordinary = self._are_ordinary[shape] = min(shape, default=1) > 0 and prod(shape) < _MANY
        if not is_ordinary or not isinstance(buffer, Table):
            return None
        data, size = buffer.data, None
        if data is not None:
            try:
                size = len(data)
            except ValueError:  # A released view.
                return None
            if buffer is self._sentinel:
                return None
        elif buffer.offset > 1:
            return None
        quantization = tensor.quantization
        if quantization is None:
            return tensor.type, shape, size, buffer.outside, None
        form = _form(quantization, tensor.type)
        return None if form is None else (tensor.type, shape, size, buffer.outside, form)

    def of(self, operator: Operator) -> Group | None:
        """The group that a node is in."""
        found: Group | None = self._group_of.get(id(operator), _UNKNOWN)
        if found is _UNKNOWN:
            found = self._group_of[id(operator)] = self._find(operator)
        return found

    def has_right_bias(self, operator: Operator) -> bool:
        """Whether a node has a bias whose scales are the unit that its kernel counts in, with nothing missing."""
        group = self.of(operator)
        return group is not None and group.is_quantised and group.has_whole_bias

    def _find(self, operator: Operator) -> Group | None:
        opcode = operator.opcode
        layer = self._layers.get(id(opcode), _UNKNOWN)
        if layer is _UNKNOWN:
            layer = self._layers[id(opcode)] = _layer_of(opcode)
        if layer is None:
            return None
        inputs, outputs = operator.inputs, operator.outputs
        count = layer.bias + 1
        if inputs is None or outputs is None or len(inputs) != count or len(outputs) != 1:
            return None
        source: Any = inputs[layer.source]
        weights: Any = inputs[layer.weights]
        bias: Any = inputs[layer.bias]
        result: Any = outputs[0]
        if source is result or weights is result or bias is result or _has_more(operator, layer.options):
            return None
        looks = self.look(source), self.look(weights), self.look(bias), self.look(result)
        if 0 in looks:
            return None
        key: tuple[Any, ...] = (id(opcode), layer.read(operator.builtin_options), looks)
        if layer.source:
            first: Any = inputs[0]
            read = self._read(first) if first is not result and self.look(first) else None
            if read is None:
                return None
            key = *key, self.look(first), read
        group: Group | None = self._groups.get(key, _UNKNOWN)
        if group is _UNKNOWN:
            group = self._groups[key] = self._make(looks)
        if group is not None and group.is_quantised and not _suit(source, weights, bias, result):
            return None
        return group

    def _read(self, tensor: Tensor) -> bytes | None:
        """The bytes of a small constant that has no scale; None for others."""
        data = tensor.data
        if data is None or len(data) > _FEW_BYTES or tensor.quantization is not None:
            return None
        return bytes(data)

    def _make(self, looks: tuple[int, ...]) -> Group | None:
        """A group for nodes whose tensors look so, where there is one."""
        source, weights, bias, result = (self._seen[look] for look in looks)
        forms: list[_Form | None] = [source[4], weights[4], bias[4], result[4]]
        if result[2] is not None or len({form is None for form in forms}) > 1:
            return None
        of_source, of_bias, of_result = forms[0], forms[2], forms[3]
        if of_source is None or of_bias is None or of_result is None:
            return Group(False, False)
        if of_source[0] != 1 or of_result[0] != 1 or not of_result[3]:
            return None
        count, size = prod(bias[1]), bias[2]
        width = _BIAS_BYTES.get(name_of("TensorType", bias[0]))
        is_whole = width is not None and size is not None and size >= count * width and of_bias[0] in (1, count)
        return Group(True, is_whole)


def _layer_of(opcode: object) -> _Layer | None:
    """The kind of layer; None for other operators."""
    known = _LAYERS.get(getattr(opcode, "name", ""))
    if known is None or getattr(opcode, "custom_code", None) is not None:
        return None
    options, *places = known
    return _Layer(options, attrgetter(*(field.attribute for field in schema.fields(options))), *places)


def _has_more(operator: Operator, options: str) -> bool:
    """Whether a node has other options than its own, or anything that layers do not have."""
    given = operator.builtin_options
    return bool(
        getattr(given, "table", "") != options
        or operator.builtin_options_2 is not None
        or operator.custom_options is not None
        or operator.large_custom_options is not None
        or operator.intermediates
        or operator.mutating_variable_inputs
    )


def _form(quantization: QuantizationParameters, type_number: int) -> _Form | None:
    """How many scales, whether there is an offset, along which dimension, whether every bound can be counted.

    None where it is out of the ordinary.
    """
    scales, points = quantization.scale, quantization.zero_point
    if scales is None or points is None or quantization.details is not None:
        return None
    count = len(scales)
    if not count or len(points) != count:
        return None
    if count > 1:
        if not (are_zero(points) and are_usable_scales(scales)):
            return None
        return count, False, quantization.quantized_dimension, False
    scale, point = scales[0], points[0]
    if not SMALLEST_NORMAL <= scale <= LARGEST:
        return None
    if point:
        low, high = _OFFSETS.get(type_number, (0, 0))
        if not low <= point <= high:
            return None
    return 1, point != 0, quantization.quantized_dimension, scale > _COUNTS_BOUNDS_FROM


def _suit(source: Tensor, weights: Tensor, bias: Tensor, result: Tensor) -> bool:
    """Whether the scales of a layer suit each other: a right bias, and a product that is not too large."""
    first: float = source.quantization.scale[0]  # type: ignore[union-attr, index]
    last: float = result.quantization.scale[0]  # type: ignore[union-attr, index]
    scales: Sequence[float] = weights.quantization.scale  # type: ignore[union-attr, assignment]
    stored: Sequence[float] = bias.quantization.scale  # type: ignore[union-attr, assignment]
    if isinstance(scales, Vector):
        scales = scales.in_memory()
    return first * largest(scales) < _MOST_RESCALED * last and are_products(stored, first, scales)
