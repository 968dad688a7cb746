"""Zero points of weights: kernels for symmetric weights compute as if they were 0.

Other rules that find a zero point of a constant which a kernel does not take repair it with `without_zero_point`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.weights import (
    Weights,
    all_weights_of,
    constant_of,
    scales_of,
    symmetric,
    writable,
    zero_points_of,
)
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SYMMETRIC = ("INT8", "INT4", "INT2")
# Of fewer weights in a channel the range tells nothing.
_FEWEST = 4
# Readings that move results by less than this many output quanta give the same results.
_SAME = 0.5
_RANGE_AGREES_WITHIN = 1e-3

Reading = Literal["values", "integers"]


class Judged(NamedTuple):
    """Which of two readings the file speaks for, and why."""

    keep: Reading
    reason: str


@repair(
    "weights-zero-point",
    Phase.WEIGHTS,
    "--keep integers declares the zero point as 0, as kernels take it, so that results stay; --keep values subtracts "
    "it from the integers, exactly where they fit, else in a larger scale (lossy). auto judges by the other zero "
    "points, by the recorded range and by the ends of the range that the integers reach.",
    "Where zero points and integers say nothing of each other, the file does not tell whether the zero point or the "
    "integers are right.",
)
def weights_zero_point(draft: Draft, target: Target, wish: Wish) -> Result:
    """The zero point of weights that a kernel takes for symmetric."""
    if target.tensor is None:
        return Refused("the finding names no tensor")
    weights = constant_of(target.operator, target.tensor)
    if weights is None:
        users = all_weights_of(draft, target.tensor)
        if not users:
            return Refused(f"nothing reads {target.tensor.name!r} as weights")
        weights = users[0]
    return without_zero_point(draft, weights, wish)


def without_zero_point(draft: Draft, weights: Weights, wish: Wish) -> Result:
    """Make weights symmetric: by their integers, as kernels read them, or by their values.

    Args:
        draft: the model under repair.
        weights: the constant and how it is used; see `constant_of` and `weights_of`.
        wish: what the person allows.
    """
    tensor = weights.tensor
    points, scales = zero_points_of(tensor), scales_of(tensor)
    if not any(points):
        return None
    name = tensor.name
    if tensor.data is None:
        return Refused(f"the weights {name!r} are computed: their zero point is set by the node that writes them")
    if tensor.type_name not in _SYMMETRIC:
        return Refused(f"the weights {name!r} are {tensor.type_name}, which is not symmetric: store them as INT8")
    axis = tensor.quantization.quantized_dimension if tensor.quantization is not None else 0
    if tensor.sparsity is not None:
        return _of_sparse(draft, weights, points, wish)
    shape = tensor.shape or []
    if len(points) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(points)):
        return Refused(f"the weights {name!r} have {len(points)} zero points, which do not fit their shape {shape}")
    try:
        integers = tensor.values()
    except SurgeonError as error:
        return Refused(str(error))
    worst = None
    if are_usable_scales(scales) and len(scales) == len(points):
        worst = max(abs(point) * scale for point, scale in zip(points, scales))
    quanta = None if worst is None else weights.quanta(worst)
    judged = _judge(wish, tensor, integers, points, axis, quanta)
    if isinstance(judged, Refused):
        return judged
    what = f"zero point{'s' if len(points) > 1 else ''} {_listed(points)} of the weights {name!r}"
    if judged.keep == "integers":
        _declare_zero(draft, weights, len(points))
        return Done(f"the {what} declared as 0; the integers stay", judged.reason, "integers", 0.0)
    if worst is None:
        return Refused(f"the scales of the weights {name!r} say nothing: there are no real values to keep")
    spread = [1] * integers.ndim
    if len(points) > 1:
        spread[axis] = len(points)
    import numpy as np

    steps = integers.astype(np.int64) - np.array(points, np.int64).reshape(spread)
    try:
        written = symmetric(draft, weights, steps, scales, axis, tensor.type_name)
    except SurgeonError as error:
        return Refused(str(error))
    exactly = "" if written.loses else ", exactly"
    return Done(
        f"the {what} taken into the integers{exactly}", judged.reason, "values", quanta, written.loses, written.warnings
    )


def _declare_zero(draft: Draft, weights: Weights, count: int) -> None:
    draft.quantize(writable(draft, weights), zero_point=[0] * count)


def _of_sparse(draft: Draft, weights: Weights, points: list[int], wish: Wish) -> Result:
    """Elements that are left out are the integer 0 and count for nothing: the others are what a zero point moves."""
    import numpy as np

    tensor = weights.tensor
    what = f"zero point {_listed(points)} of the sparse weights {tensor.name!r}"
    if wish.keep != "values":
        _declare_zero(draft, weights, len(points))
        reason = "the elements that are left out count as the integer 0 and as nothing, so that the zero point is 0"
        return Done(f"the {what} declared as 0; the integers stay", reason, "integers", 0.0)
    if len(set(points)) != 1 or tensor.type_name != "INT8" or tensor.data is None:
        return Refused(f"the {what} cannot be taken into the integers of {tensor.type_name} one by one")
    steps = np.frombuffer(tensor.data, np.int8).astype(np.int64) - points[0]
    if np.abs(steps).max(initial=0) > LIMITS["INT8"][1]:
        return Refused(f"the integers of the sparse weights {tensor.name!r} less {points[0]} leave INT8")
    draft.store(writable(draft, weights), steps.astype(np.int8).tobytes())
    _declare_zero(draft, weights, len(points))
    return Done(f"the {what} taken into the integers, exactly", "asked for", "values", None)


# Which reading the file speaks for


def _judge(
    wish: Wish, tensor: Tensor, integers: NDArray[Any], points: list[int], axis: int, quanta: float | None
) -> Judged | Refused:
    if wish.keep != "auto":
        return Judged(wish.keep, f"asked for: keep the {wish.keep}")
    found = _by_others(points) or _by_range(tensor, integers, points, axis) or _by_ends(tensor, integers, points, axis)
    if found is not None:
        return found
    if quanta is not None and quanta < _SAME:
        return Judged("integers", f"both readings give the same results to within {quanta:.2g} output quanta")
    if wish.undecided == "values":
        return Judged("values", "the file does not tell which is right, and the written values were asked for")
    effect = "" if quanta is None else f"; the readings differ by up to {quanta:.3g} output quanta"
    return Refused(
        f"kernels take the zero point {_listed(points)} of the weights {tensor.name!r} for 0, and the file does not "
        f"tell whether it or the integers are right{effect}: choose --keep integers (results stay) or --keep values",
        is_open=True,
    )


def _by_others(points: list[int]) -> Judged | None:
    """Weights are symmetric in all channels or in none."""
    others = points.count(0)
    if others and 2 * others >= len(points):
        return Judged("integers", f"the other {others} zero points are 0: the weights were quantised symmetrically")
    return None


def _by_range(tensor: Tensor, integers: NDArray[Any], points: list[int], axis: int) -> Judged | None:
    """The range that was recorded when the weights were quantised."""
    import numpy as np

    quantization, scales = tensor.quantization, scales_of(tensor)
    low = np.array((quantization.min if quantization is not None else None) or [], np.float64)
    high = np.array((quantization.max if quantization is not None else None) or [], np.float64)
    if not len(low) == len(high) == len(scales) == len(points) or not (low < high).all():
        return None
    least, most = _extremes(integers, len(points), axis)
    width = (high - low) * _RANGE_AGREES_WITHIN + np.array(scales)
    agreeing = [
        name
        for name, offset in (("integers", 0), ("values", np.array(points)))
        if (np.abs((least - offset) * scales - low) <= width).all()
        and (np.abs((most - offset) * scales - high) <= width).all()
    ]
    if (np.abs(low + high) <= width).all():
        agreeing = ["integers"]  # A symmetric range has its zero in the middle.
    if len(agreeing) != 1:
        return None
    keep: Reading = "integers" if agreeing[0] == "integers" else "values"
    return Judged(keep, f"the recorded range {low[0]:.6g} to {high[0]:.6g} is that of the {keep}")


def _by_ends(tensor: Tensor, integers: NDArray[Any], points: list[int], axis: int) -> Judged | None:
    """Symmetric quantisation reaches one end of its range in each channel, asymmetric quantisation both."""
    import numpy as np

    if integers.size < _FEWEST * len(points):
        return None
    off = np.array(points) != 0
    least, most = (ends[off] for ends in _extremes(integers, len(points), axis))
    end = LIMITS[tensor.type_name][1]
    further, nearer = np.maximum(-least, most), np.minimum(-least, most)
    if (further == end).all() and (nearer < end).all():
        return Judged("integers", f"the integers reach {end} on one side only, as symmetric quantisation makes them")
    if ((least <= -end) & (most == end)).all():
        return Judged(
            "values", f"the integers reach from {-end} to {end}, as quantisation with a zero point makes them"
        )
    return None


def _extremes(integers: NDArray[Any], count: int, axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The least and the greatest integer of each channel."""
    import numpy as np

    others = tuple(d for d in range(integers.ndim) if count == 1 or d != axis)
    wide = integers.astype(np.int64)
    return wide.min(axis=others).reshape(-1), wide.max(axis=others).reshape(-1)


def _listed(points: list[int]) -> str:
    """The zero points that are not 0, in words."""
    found = [point for point in points if point]
    if len(set(found)) == 1:
        return str(found[0])
    return f"{min(found)} to {max(found)}"
