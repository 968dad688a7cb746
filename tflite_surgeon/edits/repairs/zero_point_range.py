"""Zero points outside the integers of their type."""

from __future__ import annotations

from tflite_surgeon.edits.activations import declare
from tflite_surgeon.edits.constants import Parameters, parameters_of, real_values, requantized
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.evidence import HINT, scale_evidence, starts_at_lowest
from tflite_surgeon.edits.repairs.bias_type import bias_positions
from tflite_surgeon.edits.repairs.bias_zero_point import without_bias_zero_point
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.weights import without_zero_point
from tflite_surgeon.edits.ties import group_of
from tflite_surgeon.edits.weights import constant_of, scales_of, zero_points_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.quantization import LIMITS, float32, is_usable_scale

_DOES = (
    "Writes the zero point that the rest of the file tells: the lowest 32 bits of one that is longer, those of fixed "
    "outputs, recorded ranges and what is copied, the lowest integer behind RELU. Where nothing tells it, the scale is "
    "enlarged so that the type holds the range as written, and 0 (lossy)."
)
_LACKS = "Where nothing else tells the zero point that was meant, only the range as it is written can be kept."


@repair("zero-point-range", Phase.GRAPH, _DOES, _LACKS)
def zero_point_range(draft: Draft, target: Target, wish: Wish) -> Result:
    """A zero point that no integer of the type is."""
    return in_range(draft, target.tensor, wish)


@repair(
    "xnnpack-zero-point",
    Phase.GRAPH,
    _DOES + " Of weights the zero point becomes 0, by the integers or by the values.",
    _LACKS,
)
def xnnpack_zero_point(draft: Draft, target: Target, wish: Wish) -> Result:
    """A zero point that the delegate refuses."""
    return in_range(draft, target.tensor, wish)


def in_range(draft: Draft, tensor: Tensor | None, wish: Wish) -> Result:
    """Give a tensor a zero point that its type holds, and weights none; None where it has such."""
    if tensor is None:
        return Refused("the finding names no tensor, so there is no zero point to correct")
    points = zero_points_of(tensor)
    cut = _cut(draft, tensor, points)
    if cut is not None:
        return cut
    for use in draft.readers(tensor):
        if any(bias is tensor for _, bias in bias_positions(use.operator)):
            return without_bias_zero_point(draft, use.operator, use.position, wish)
    users = [] if tensor.data is None else [constant_of(use.operator, tensor) for use in draft.readers(tensor)]
    weights = next((item for item in users if item is not None), None)
    if weights is not None and tensor.type_name != "UINT8":
        return without_zero_point(draft, weights, wish)
    if tensor.type_name not in LIMITS:
        return Refused(f"{tensor.name!r} is {tensor.type_name}, which has no zero point")
    low, high = LIMITS[tensor.type_name]
    if all(low <= point <= high for point in points):
        return None
    if len(points) != 1:
        return Refused(f"{tensor.name!r} has {len(points)} zero points, not all of which {tensor.type_name} holds")
    return _told(draft, tensor, points[0]) or _covered(draft, tensor, points[0])


def _cut(draft: Draft, tensor: Tensor, points: list[int]) -> Result:
    """Runtimes keep the lowest 32 bits of a zero point: where those are in range, it is what every runtime takes."""
    kept = [_lowest_bits(point) for point in points]
    low, high = LIMITS.get(tensor.type_name, (-(1 << 31), (1 << 31) - 1))
    if kept == points or not all(low <= point <= high for point in kept):
        return None
    draft.quantize(tensor, zero_point=kept)
    at = next(n for n, (old, new) in enumerate(zip(points, kept)) if old != new)
    return Done(
        f"the zero point of {tensor.name!r} was {points[at]} and is {kept[at]} now",
        f"these are its lowest 32 bits, all that runtimes keep, and {tensor.type_name} holds them: no result changes",
        "integers",
        0.0,
    )


def _lowest_bits(point: int) -> int:
    return (point + (1 << 31)) % (1 << 32) - (1 << 31)


def _told(draft: Draft, tensor: Tensor, old: int) -> Result:
    """The zero point that something speaks for; None where nothing does."""
    low, high = LIMITS[tensor.type_name]
    scales = scales_of(tensor)
    what = f"the zero point of {tensor.name!r} was {old}, which {tensor.type_name} does not hold, and is"
    if tensor.type_name == "INT16":
        draft.quantize(tensor, zero_point=[0])
        return Done(f"{what} 0 now", "INT16 is quantised symmetrically, and its kernels compute with 0")
    for item in scale_evidence(draft, tensor):
        # A hint does not tell a zero point, and one for another scale is not for this.
        if item.weight == HINT or item.zero_point is None or not low <= item.zero_point <= high:
            continue
        if len(scales) == 1 and item.agrees_with(scales[0]):
            draft.quantize(tensor, zero_point=[item.zero_point])
            return Done(f"{what} {item.zero_point} now", item.why)
    if starts_at_lowest(draft, group_of(draft, tensor)):
        draft.quantize(tensor, zero_point=[low])
        return Done(f"{what} {low} now", "the activation before it gives nothing below 0, which is the lowest integer")
    return None


def _covered(draft: Draft, tensor: Tensor, old: int) -> Result:
    """Parameters that hold the range as it is written, and 0, which every range must hold."""
    found = parameters_of(tensor)
    if found is None:
        return Refused(f"the zero point of {tensor.name!r} is {old}, and its scale says nothing either")
    low, high = LIMITS[tensor.type_name]
    least, most = min((low - old) * found.scale, 0.0), max((high - old) * found.scale, 0.0)
    scale = float32((most - least) / (high - low))
    if not is_usable_scale(scale):
        return Refused(f"the zero point {old} of {tensor.name!r} is too far from {tensor.type_name} for any scale")
    new = Parameters(tensor.type_name, scale, min(max(round(low - least / scale), low), high))
    what = f"{tensor.name!r} had zero point {old}, which {tensor.type_name} does not hold, and is {new} now"
    reason = "nothing in the file tells the zero point that was meant; the range as it is written stays"
    if tensor.data is not None:
        return _constant(draft, tensor, new, what, reason)
    # What integers are copied to and from has the same fault.
    group = [t for t in group_of(draft, tensor) if zero_points_of(t) == [old] and scales_of(t) == [found.scale]]
    if any(member.data is not None for member in group):
        return Refused(f"the zero point {old} of {tensor.name!r} is that of a constant which is copied: correct both")
    warnings = []
    for member in group:
        warnings += declare(draft, member, scale, new.zero_point)
    if any(map(draft.is_interface, group)):
        warnings.append(f"what feeds or reads {tensor.name!r} has to use the new numbers")
    loses = (
        f"steps are {scale:.9g} instead of {found.scale:.9g}, so that the range as written and 0 fit: values move by "
        f"up to {scale / 2:.6g}"
    )
    return Done(what, reason, "values", None, loses, tuple(warnings))


def _constant(draft: Draft, tensor: Tensor, new: Parameters, what: str, reason: str) -> Result:
    try:
        made = requantized(tensor, real_values(tensor), new.type_name, [new.scale], [new.zero_point])
    except SurgeonError as error:
        return Refused(str(error))
    draft.store(tensor, made.data)
    draft.quantize(tensor, scale=[new.scale], zero_point=[new.zero_point])
    loses = f"values of {tensor.name!r} move by up to {made.quanta:.3g} of a step ({made.error:.3g})"
    return Done(what, reason, "values", None, loses)
