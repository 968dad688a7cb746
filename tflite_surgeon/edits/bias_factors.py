"""The scales that a bias' unit is made of: given back where they are wrong, raised where the unit is too small."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nextafter
from typing import TYPE_CHECKING, Any

from tflite_surgeon.edits.activations import node_of
from tflite_surgeon.edits.constants import packed, real_values, requantized, rewrite_constant
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.knowledge.operators import CHANNEL_AXIS, ROLES
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales, float32, float32s, requantize
from tflite_surgeon.rules.bias_use import BiasUse, bias_uses, scales_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The farthest that an integer which is multiplied with the weights can be from its zero point.
REACH = {"INT8": 255, "UINT8": 255, "INT16": 32768}


# Given back


def implied_scales(use: BiasUse, tensor: Tensor) -> list[float] | None:
    """The scales of a factor with which the bias would be in the kernel's unit; None where they are no scales."""
    scales = scales_of(tensor)
    if not scales or not use.is_complete:
        return None
    quotients = [use.of_channel(use.stored, c) / use.of_channel(use.units, c) for c in range(use.channels)]
    wanted = [scale * quotients[channel if len(scales) > 1 else 0] for channel, scale in enumerate(scales)]
    found = float32s(wanted)
    return found if are_usable_scales(found) else None


def farthest_move(use: BiasUse) -> float | None:
    """By how many output quanta a result can move when stored scale and unit change places; None if not known."""
    import numpy as np

    sums = sums_of_weights(use)
    if sums is None or use.integers is None or not use.output_scale > 0:
        return None
    reach = REACH.get(use.factor.type_name, 0)
    apart = [abs(use.of_channel(use.stored, c) - use.of_channel(use.units, c)) for c in range(use.channels)]
    moves = (np.abs(np.array(use.integers, np.float64)) + sums * reach) * np.array(apart) / use.output_scale
    levels = LIMITS.get(output.type_name) if (output := use.node.operator.role("output")) is not None else None
    # No output leaves its type.
    return min(float(moves.max()), float(levels[1] - levels[0])) if levels is not None else float(moves.max())


def sums_of_weights(use: BiasUse) -> NDArray[Any] | None:
    """The sum of |weight - zero point| of each channel, exact; None where the weights do not tell."""
    import numpy as np

    weights, axis = use.weights, _axis(use)
    if weights is None or axis is None:
        return None
    try:
        values = weights.values().astype(np.int64)
    except SurgeonError:  # computed, sparse or damaged
        return None
    if values.ndim <= axis or values.shape[axis] != use.channels:
        return None
    quantization = weights.quantization
    zero_points = (quantization.zero_point if quantization is not None else None) or [0]
    if len(zero_points) == 1:
        values = values - zero_points[0]
    sums: NDArray[Any] = np.abs(values).sum(axis=tuple(d for d in range(values.ndim) if d != axis))
    return sums


def _axis(use: BiasUse) -> int | None:
    """The dimension of the weights along which the bias' channels count."""
    if use.node.operator.name == "SVDF":
        # Each unit sums over `rank` filters: only with rank 1 a filter is a channel.
        return 0 if use.weights is not None and (use.weights.shape or [0])[0] == use.channels else None
    return CHANNEL_AXIS.get(use.node.operator.name, 0)


# Raised


@dataclass(frozen=True)
class Raised:
    """What it took to make a bias fit.

    Attributes:
        use: the bias in its node, as it is now.
        channels: those whose weights scale was raised.
        factor: by how much, in the worst of them.
        weights_error, weights_quanta: how far a weight moved, in real units and in steps of the old scale.
        bias_error: how far a value of the bias moved, in real units.
    """

    use: BiasUse
    channels: list[int]
    factor: float
    weights_error: float
    weights_quanta: float
    bias_error: float

    @property
    def sentence(self) -> str:
        """What was done, to go on with from what it was done for."""
        weights, scales = self.use.weights, self.use.weights_scales
        raised = (
            f"{len(self.channels)} of the {len(scales)} scales" if len(scales) > 1 else f"the scale {scales[0]:.9g}"
        )
        name = weights.name if weights is not None else None
        return f"for which the weights {name!r} are re-rounded to {raised}, up to {self.factor:.4g} times as large"

    @property
    def loses(self) -> str:
        """By how much the numbers move."""
        return (
            f"the weights move by up to {self.weights_quanta:.3g} of a quantum ({self.weights_error:.3g}), the bias by "
            f"up to {self.bias_error:.3g}"
        )


def raise_weights_scale(draft: Draft, use: BiasUse, type_name: str) -> Raised | str:
    """Make the written values of a bias fit its integers by a larger scale of the weights that make the unit.

    Args:
        draft: the model under repair.
        use: the bias in its node.
        type_name: the type that the integers have to fit, INT32 or INT64.

    Returns:
        What it took, or why it cannot be done; then nothing has been changed.
    """
    import numpy as np

    sums = sums_of_weights(use)
    if use.weights is None or use.integers is None or sums is None:
        return "the weights whose scale would have to be raised are not stored, or not in a form that is understood"
    operator, roles = use.node.operator, ROLES[use.node.operator.name].inputs
    limit = LIMITS[type_name][1]
    room = limit - sums.astype(np.float64) * REACH.get(use.factor.type_name, 0)
    if type_name != "INT32":
        room = np.full(use.channels, float(limit))
    stored = [use.of_channel(use.stored, c) for c in range(use.channels)]
    real = [abs((i - z) * s) for i, z, s in zip(use.integers, use.zero_points, stored)]
    units = [use.of_channel(use.units, c) for c in range(use.channels)]
    if not (room > 0).all():
        return "the weights alone can leave the kernel's 32-bit accumulator"
    needed = [max(1.0, value / (unit * float(most))) for value, unit, most in zip(real, units, room)]
    old = use.weights_scales
    factors = needed if len(old) > 1 else [max(needed)]
    scales = [s if f == 1.0 else float32(nextafter(s * f * (1 + 2.0**-22), inf)) for s, f in zip(old, factors)]
    if not are_usable_scales(scales):
        return "the weights scale that it takes is no float32"
    weights = draft.own(Use(operator, roles.index(use.addend.factors[1] or "")))
    axis = _axis(use) or 0
    points = (weights.quantization.zero_point if weights.quantization is not None else None) or [0]
    try:
        values = real_values(weights)
        fresh = requantized(weights, values, weights.type_name, scales, list(points), axis)
        rewrite_constant(draft, weights, fresh.data, weights.type_name, scales, list(points), axis)
        left = real_values(weights)
    except SurgeonError as problem:
        return str(problem)
    others = tuple(d for d in range(values.ndim) if d != axis)
    gone = (np.abs(values).max(axis=others) > 0) & (np.abs(left).max(axis=others) == 0)
    if gone.any():
        return (
            f"the bias is {max(factors):.4g} times too large for the unit: with a weights scale raised that far all "
            f"weights of channel {int(np.argmax(gone))} would become 0"
        )
    now = next(u for u in bias_uses(node_of(draft, operator)) if u.addend == use.addend)
    new_units = [now.of_channel(now.expected_scales, c) for c in range(now.channels)]
    integers = requantize(use.integers, stored, new_units, use.zero_points)
    bias = draft.own(Use(operator, roles.index(use.addend.bias)))
    draft.store(bias, packed(integers, type_name))
    draft.set(bias, "type", enum_class("TensorType")[type_name])
    draft.quantize(bias, scale=list(now.expected_scales), zero_point=[0] * len(now.expected_scales))
    meant = [(i - z) * s for i, z, s in zip(use.integers, use.zero_points, stored)]
    error = max(abs(i * u - value) for i, u, value in zip(integers, new_units, meant))
    use = next(u for u in bias_uses(node_of(draft, operator)) if u.addend == use.addend)
    raised = [channel for channel, factor in enumerate(factors) if factor > 1.0]
    return Raised(use, raised, max(factors), fresh.error, fresh.quanta, error)
