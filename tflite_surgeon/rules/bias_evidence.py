"""Whether the scales of a layer can be meant: how far its sums reach in its output's range, and how large weights are.

The kernel counts products and bias in one unit. Where the bias' scale is another unit, one of the scales is wrong, and
a unit in which the sums burst the output's range, or never leave a corner of it, is the less likely one. Of 469 trained
layers of 48 models 98 % have a typical swing between 2^-3.5 and 2^2.9, the largest 2^6.3; row norms are between 2^-5.8
and 2^4.3, reaches above 2^-0.8, biases below 2^3.7 of the output's range but for a model whose numbers were scrambled.
Swing (or reach) and norm both have to be out of bounds before weights are blamed, which 4 of these layers are in swing
and none is in norm: the first alone may be the input's or the output's scale, the second alone an unusual layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.operators import CHANNEL_AXIS
from tflite_surgeon.rules.bias_use import BiasUse

_LEVELS = {"INT8": 256, "UINT8": 256, "INT16": 65536}
_BURSTING_SWING = 8.0
_LARGEST_NORM = 45.0
_SMALLEST_REACH = 1 / 16
_SMALLEST_NORM = 0.011
# What the layer must look like in the other unit, for that unit to be believed.
_USUAL_SWING = (0.09, 5.6)
_USUAL_NORM = (0.045, 16.0)
_USUAL_REACH = 0.5
_USUAL_BIAS = 4.0
_ABSURD_BIAS = 100.0


@dataclass(frozen=True)
class LayerSize:
    """What a layer makes of its input, in one unit for products and bias.

    Attributes:
        swing: what an input of random integers as wide as its type does to the median channel, in widths of the
            output's type.
        reach: the farthest that any input can take a sum and its bias, in the same.
        norm: the length of the median channel's row of weights, in real units.
        bias: the largest bias, in widths of the output's type.
    """

    swing: float
    reach: float
    norm: float
    bias: float

    def times(self, factor: float) -> LayerSize:
        """The same in another unit."""
        return LayerSize(*(factor * value for value in (self.swing, self.reach, self.norm, self.bias)))

    @property
    def is_usual(self) -> bool:
        """Whether a trained layer looks so."""
        return (
            _USUAL_SWING[0] <= self.swing <= _USUAL_SWING[1]
            and _USUAL_NORM[0] <= self.norm <= _USUAL_NORM[1]
            and self.reach >= _USUAL_REACH
            and self.bias <= _USUAL_BIAS
        )


def why_weights(use: BiasUse) -> str | None:
    """Why the weights' scale is wrong, where the layer is out of all bounds with it and usual without; else None."""
    factor = use.factor_off
    size = _size(use) if factor is not None else None
    if size is None or factor is None or not size.times(factor).is_usual:
        return None
    other = size.times(factor)
    if size.swing > _BURSTING_SWING and size.norm > _LARGEST_NORM:
        return (
            f"with it typical inputs would drive the sums through {size.swing:.3g} times the output's range, with the "
            f"one that the bias implies through {other.swing:.3g}"
        )
    if size.reach < _SMALLEST_REACH and size.norm < _SMALLEST_NORM:
        return (
            f"with it no input could take the sums through more than {size.reach:.3g} of the output's range, with the "
            f"one that the bias implies through {other.reach:.3g}"
        )
    return None


def why_integers(use: BiasUse) -> str | None:
    """Why the written values of a bias cannot be meant, where the kernel's reading of it can; else None."""
    factor = use.factor_off
    size = _size(use) if factor is not None else None
    if size is None or factor is None or not size.is_usual or size.bias * factor <= _ABSURD_BIAS:
        return None
    return (
        f"as written the bias would be {size.bias * factor:.3g} times the output's whole range, as the kernel counts "
        f"it {size.bias:.3g}"
    )


def _size(use: BiasUse) -> LayerSize | None:
    """A layer with the scales as they are stored; None where it has other operands than the usual."""
    import numpy as np

    output = use.node.operator.role("output")
    axis = CHANNEL_AXIS.get(use.node.operator.name)
    reach = _LEVELS.get(use.factor.type_name)
    width = _LEVELS.get(output.type_name, 0) * use.output_scale if output is not None else 0.0
    if use.weights is None or axis is None or reach is None or not width > 0 or use.integers is None:
        return None
    try:
        weights = use.weights.values().astype(np.float64)
    except SurgeonError:  # computed, sparse or damaged
        return None
    if weights.ndim <= axis or weights.shape[axis] != use.channels:
        return None
    quantization = use.weights.quantization
    zero_points = (quantization.zero_point if quantization is not None else None) or [0]
    others = tuple(dimension for dimension in range(weights.ndim) if dimension != axis)
    weights -= zero_points[0] if len(zero_points) == 1 else 0
    lengths = np.sqrt((weights**2).sum(axis=others))
    sums = np.abs(weights).sum(axis=others)
    units = np.broadcast_to(np.array(use.units), use.channels)
    # Channels without weights, as pruning leaves them, say nothing about the others.
    alive = lengths > 0
    if not alive.any():
        return None
    bias = np.abs(np.array(use.integers, np.float64)) * units / width
    return LayerSize(
        float(np.median((lengths * units)[alive])) * reach / width,
        float((sums * reach * units / width + bias).max()),
        float(np.median((lengths * np.array(use.weights_scales))[alive])),
        float(bias.max()),
    )
