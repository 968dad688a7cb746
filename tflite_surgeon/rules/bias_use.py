"""One bias, added by one node: the numbers in the file and the unit that the kernel counts in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, prod

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.operators import Addend, addends, tensor_of
from tflite_surgeon.model.objects import Model, Node, Operator, Tensor
from tflite_surgeon.quantization import (
    are_products,
    are_same_scales,
    are_usable_scales,
    float32s,
    is_same_scale,
    is_usable_scale,
    six_decimals,
)

_ACTIVATION_TYPES = ("INT8", "UINT8", "INT16")
_RANGE_AGREES_WITHIN = 0.01
# No layer computes as many at run time; a damaged shape must not cost a list of that length.
_MOST_CHANNELS = 1 << 16
_BYTES = {"INT32": 4, "INT64": 8}


def scales_of(tensor: Tensor | None) -> list[float]:
    """The stored scales, none where the tensor has no quantisation."""
    if tensor is None or tensor.quantization is None:
        return []
    return tensor.quantization.scale or []


@dataclass(frozen=True)
class BiasUse:
    """A quantised bias in a node.

    Attributes:
        node: the node.
        addend: how its kernel adds the bias.
        bias: the bias tensor.
        factor: the tensor whose scale comes first in the unit: the input, for most operators.
        weights: the tensor whose scales come second; None where the unit has one factor.
        output_scale: real units of one output quantum; 0 where the file gives none.
    """

    node: Node
    addend: Addend
    bias: Tensor
    factor: Tensor
    weights: Tensor | None
    output_scale: float

    def is_same_place(self, other: BiasUse) -> bool:
        """Whether both are the same bias of the same node."""
        return self.node.operator is other.node.operator and self.addend == other.addend

    @property
    def is_right(self) -> bool:
        """Whether the stored scales are the unit's: nearly all are, and of them nothing more is asked.

        Then there is no `trouble`, no channel `off` and no other form.
        """
        factor, stored = scales_of(self.factor), scales_of(self.bias)
        scales = scales_of(self.weights) if self.weights is not None else [1.0]
        channels = max(prod(self.bias.shape or [1]), 1)
        if len(factor) != 1 or len(stored) != len(scales) or len(stored) not in (1, channels):
            return False
        data = self.bias.data
        if channels > _MOST_CHANNELS if data is None else len(data) < channels * _BYTES[self.bias.type_name]:
            return False
        if not (is_usable_scale(factor[0]) and are_usable_scales(scales)):
            return False
        return are_products(stored, factor[0] * self.addend.constant, scales)

    @cached_property
    def channels(self) -> int:
        return max(prod(self.bias.shape or [1]), 1)

    @cached_property
    def stored(self) -> list[float]:
        """The bias scales as stored: none, one, or one for each channel."""
        return scales_of(self.bias)

    @cached_property
    def weights_scales(self) -> list[float]:
        return scales_of(self.weights) if self.weights is not None else [1.0]

    @cached_property
    def trouble(self) -> str | None:
        """Why the unit cannot be told, where it cannot."""
        if self.bias.data is None and self.channels > _MOST_CHANNELS:
            return f"the bias {self.bias.name!r} has the shape {self.bias.shape}, which is no layer's"
        if self.bias.data is not None and len(self.bias.data) < self.channels * _BYTES[self.bias.type_name]:
            return f"the bias {self.bias.name!r} of shape {self.bias.shape} has only {len(self.bias.data)} bytes"
        factor = scales_of(self.factor)
        if len(factor) != 1 or not is_usable_scale(factor[0]):
            return f"{self.addend.factors[0]} {self.factor.name!r} has {_described(factor)}"
        if self.weights is not None:
            scales = self.weights_scales
            name = f"{self.addend.factors[1]} {self.weights.name!r}"
            if not scales or not are_usable_scales(scales):
                return f"{name} has {_described(scales)}"
            if len(scales) not in (1, self.channels):
                return f"{name} has {len(scales)} scales for {self.channels} channels"
        if not are_usable_scales(self.expected_scales):
            return "the product of the scales is not a usable float32"
        return None

    @cached_property
    def units(self) -> list[float]:
        """What one integer of the bias is worth to the kernel: one unit for all channels, or one for each."""
        first = (scales_of(self.factor) or [0.0])[0] * self.addend.constant
        return [first * scale for scale in self.weights_scales or [0.0]]

    @cached_property
    def expected_scales(self) -> list[float]:
        """The scales that the bias should have, as float32: as many as the weights have."""
        return float32s(self.units)

    @cached_property
    def repaired_scales(self) -> list[float]:
        """The scales that the bias should get: as many as the weights have, sound ones as they are stored."""
        if self.has_other_form or not self.is_complete:
            return self.expected_scales
        off = set(self.off) if len(self.stored) > 1 else set(range(len(self.stored)))
        return [new if c in off else old for c, (old, new) in enumerate(zip(self.stored, self.expected_scales))]

    def of_channel(self, values: list[float], channel: int) -> float:
        return values[0] if len(values) == 1 else values[channel]

    @cached_property
    def is_complete(self) -> bool:
        """Whether the bias has one scale, or one for each channel."""
        return len(self.stored) in (1, self.channels)

    @cached_property
    def has_other_form(self) -> bool:
        """Whether bias and weights differ in having one scale or several."""
        return bool(self.stored) and len(self.stored) != len(self.units)

    @cached_property
    def off(self) -> list[int]:
        """Channels whose stored scale is not the unit's."""
        if not self.is_complete:
            return list(range(self.channels))
        if are_same_scales(self.stored, self.expected_scales):
            return []
        return [
            channel
            for channel in range(self.channels)
            if not is_same_scale(self.of_channel(self.stored, channel), self.of_channel(self.expected_scales, channel))
        ]

    @cached_property
    def unwritten(self) -> list[int]:
        """Channels whose stored scale is no scale at all, so that the integers stand for no written value."""
        if not self.is_complete:
            return list(range(self.channels))
        return [c for c in self.off if not is_usable_scale(self.of_channel(self.stored, c))]

    @cached_property
    def is_six_decimals(self) -> bool:
        """Whether every scale that is off is what six printed decimals of the unit leave."""
        return (
            bool(self.off)
            and self.is_complete
            and all(
                self.of_channel(self.stored, channel) == six_decimals(self.of_channel(self.expected_scales, channel))
                for channel in self.off
            )
        )

    @cached_property
    def integers(self) -> list[int] | None:
        """The bias integers, one a channel; None where they are computed, or do not fit the shape."""
        try:
            return [int(value) for value in self.bias.values().reshape(-1).tolist()]
        except SurgeonError:
            return None

    @cached_property
    def zero_points(self) -> list[int]:
        """The zero point of each channel, 0 where the file gives none; kernels add the bias as if it were 0."""
        quantization = self.bias.quantization
        stored = (quantization.zero_point if quantization is not None else None) or [0]
        return stored if len(stored) == self.channels else stored[:1] * self.channels

    @cached_property
    def errors(self) -> dict[int, float]:
        """For each channel off with a written value, the output quanta by which the kernel departs from it."""
        if self.integers is None or not self.output_scale > 0:
            return {}
        return {
            channel: abs(
                (self.integers[channel] - self.zero_points[channel]) * self.of_channel(self.stored, channel)
                - self.integers[channel] * self.of_channel(self.units, channel)
            )
            / self.output_scale
            for channel in self.off
            if self.is_complete and is_usable_scale(self.of_channel(self.stored, channel))
        }

    @property
    def worst_error(self) -> float | None:
        """The largest disagreement in output quanta; None where nothing was written or the integers are unknown."""
        return max(self.errors.values(), default=None)

    @property
    def worst_channel(self) -> int:
        if self.errors:
            return max(self.errors, key=lambda channel: self.errors[channel])
        return self.off[0] if self.off else 0

    def ratio(self, channel: int) -> float:
        """|unit - stored scale| / output scale, where a missing scale reads as 0; not finite where that is so."""
        stored = self.of_channel(self.stored, channel) if self.is_complete else 0.0
        difference = abs(self.of_channel(self.units, channel) - stored)
        return difference / self.output_scale if self.output_scale else float("inf")

    @cached_property
    def recorded_reading(self) -> str | None:
        """The reading that the range recorded beside the scale agrees with: "values", "integers" or neither."""
        quantization = self.bias.quantization
        if self.unwritten or not self.integers or quantization is None or len(self.stored) != 1:
            return None
        low, high = quantization.min or [], quantization.max or []
        if len(low) != 1 or len(high) != 1 or not low[0] < high[0]:
            return None
        agreeing = [
            name
            for name, scale in (("values", self.stored[0]), ("integers", self.expected_scales[0]))
            if _is_range_of(low[0], high[0], self.integers, scale)
        ]
        return agreeing[0] if len(agreeing) == 1 else None

    @property
    def factor_off(self) -> float | None:
        """stored / unit, where it is the same in all channels (within one in ten thousand); else None."""
        if not self.off or self.unwritten or len(self.off) != self.channels:
            return None
        quotients = [self.of_channel(self.stored, c) / self.of_channel(self.units, c) for c in range(self.channels)]
        first = quotients[0]
        return first if all(abs(q - first) <= 1e-4 * first for q in quotients) else None


def _is_range_of(low: float, high: float, integers: list[int], scale: float) -> bool:
    """Whether a recorded range is that of integers in a scale, to within two units or one per cent."""
    tolerance = max(2 * scale, _RANGE_AGREES_WITHIN * (high - low))
    return abs(min(integers) * scale - low) <= tolerance and abs(max(integers) * scale - high) <= tolerance


def _described(scales: list[float]) -> str:
    if not scales:
        return "no scale"
    if len(scales) == 1:
        return f"the scale {scales[0]!r}"
    bad = [index for index, scale in enumerate(scales) if not is_usable_scale(scale)]
    return f"the scale {scales[bad[0]]!r} in channel {bad[0]}" if bad else f"{len(scales)} scales"


def bias_uses(node: Node) -> Iterator[BiasUse]:
    """The quantised biases that a node adds."""
    operator = node.operator
    name = operator.name
    for addend in addends(operator, name):
        bias = tensor_of(operator, name, addend.bias)
        if bias is None or bias.type_name not in _BYTES:
            continue
        first, second = addend.factors
        factor = tensor_of(operator, name, first)
        weights = tensor_of(operator, name, second) if second else None
        activations = factor if first == "input" else tensor_of(operator, name, "input")
        if factor is None or (second and weights is None) or activations is None:
            continue
        if activations.type_name not in _ACTIVATION_TYPES:
            continue
        if addend.output_scale is not None:
            output_scale = addend.output_scale
        else:
            scales = scales_of(tensor_of(operator, name, addend.output or ""))
            output_scale = scales[0] if scales and isfinite(scales[0]) else 0.0
        yield BiasUse(node, addend, bias, factor, weights, output_scale)


def all_bias_uses(model: Model, is_right: Callable[[Operator], bool] | None = None) -> Iterator[BiasUse]:
    """The quantised biases of a whole model, in the order of its nodes.

    Args:
        model: the model.
        is_right: tells quickly of many nodes that their bias is right: they are left out.
    """
    for number, subgraph in enumerate(model.subgraphs or ()):
        for index, operator in enumerate(subgraph.operators or ()):
            if is_right is None or not is_right(operator):
                yield from bias_uses(Node(subgraph, number, operator, index))
