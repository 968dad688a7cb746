"""The repair of bias-type: what a bias' bytes are, which type its kernel adds, and the same values in that type."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

from tflite_surgeon.edits.activations import node_of, options
from tflite_surgeon.edits.bias_factors import raise_weights_scale
from tflite_surgeon.edits.constants import packed
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.flatbuffer.schema import enum_class, name_of
from tflite_surgeon.knowledge.operators import ROLES, tensor_in_role
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS, are_usable_scales, requantize
from tflite_surgeon.rules.bias_use import BiasUse, bias_uses, scales_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPES = {
    "FLOAT16": "<f2",
    "FLOAT32": "<f4",
    "FLOAT64": "<f8",
    "INT8": "<i1",
    "UINT8": "<u1",
    "INT16": "<i2",
    "UINT16": "<u2",
    "INT32": "<i4",
    "UINT32": "<u4",
    "INT64": "<i8",
}
_WIDTHS = {name: int(code[2:]) for name, code in _DTYPES.items()}
_DECLARING = {
    "CONV_2D": "Conv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
}
_UNDECLARED = "FLOAT32"
_INTEGERS = ("INT32", "INT64")
# No trained bias is as far from 1 as this, while integers read as floats nearly always are.
_LARGEST_FLOAT = 2.0**60


@repair(
    "bias-type",
    Phase.GRAPH,
    "Stores the bias in the type that the kernel adds: INT32 beside 8-bit inputs, INT64 beside 16-bit ones, FLOAT32 "
    "beside floats. Where the bytes are of that type already and only the tensor says otherwise, its type is "
    "corrected; integers are widened or narrowed, floats and 8-bit integers expressed in the kernel's unit. The option "
    "quantized_bias_type is set to the type of the bias.",
    "A bias whose number of bytes is that of its values in no type that a bias has, or floats that are none.",
)
def bias_type(draft: Draft, target: Target, wish: Wish) -> Result:
    """The type of a node's biases, and what its options say of it."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    declared = settle_declaration(draft, operator)
    results = [declared, *(retype_bias(draft, operator, place, wish.lossy) for place, _ in bias_positions(operator))]
    refused = next((result for result in results if isinstance(result, Refused)), None)
    done = [result for result in results if isinstance(result, Done)]
    if refused is not None or not done:
        return refused
    return Done(
        "; ".join(result.what for result in done),
        "; ".join(dict.fromkeys(result.reason for result in done if result.reason)),
        loses="; ".join(result.loses for result in done if result.loses),
    )


def bias_positions(operator: Operator) -> Iterator[tuple[int, Tensor]]:
    """The biases that an operator is given, and at which inputs."""
    roles = ROLES.get(operator.name)
    inputs = operator.inputs or ()
    for position, (role, tensor) in enumerate(zip(roles.inputs if roles is not None else (), inputs)):
        if role.endswith("bias") and isinstance(tensor, Tensor):
            yield position, tensor


def type_to_add(operator: Operator) -> str | None:
    """The type of bias that every kernel of the operator adds beside its other tensors; None where they do not tell.

    Source: LiteRT conv.cc, depthwise_conv.cc, transpose_conv.cc, fully_connected.cc, svdf.cc, lstm.cc; TFLM beside
    16-bit input reads 64 bits.
    """
    source, weights = tensor_in_role(operator, "input"), tensor_in_role(operator, "weights")
    if source is None:
        return None
    if source.type_name != "INT16":
        return {"FLOAT32": "FLOAT32", "INT8": "INT32", "UINT8": "INT32"}.get(source.type_name)
    declared = declared_type(operator)
    if declared in _INTEGERS:
        return declared
    return "INT32" if weights is not None and weights.type_name == "INT16" else "INT64"


def declared_type(operator: Operator) -> str | None:
    """What the operator's options say of the bias' type; None where they do not say."""
    value = getattr(operator.builtin_options, "quantized_bias_type", None)
    if value is None or int(value) == int(enum_class("TensorType")[_UNDECLARED]):
        return None
    return name_of("TensorType", value) or str(value)


def settle_declaration(draft: Draft, operator: Operator) -> Result:
    """Let the options say of which type the bias is, where they say otherwise or are not there."""
    table = _DECLARING.get(operator.name)
    source = tensor_in_role(operator, "input")
    if table is None or source is None or source.type_name != "INT16":
        return None
    if operator.builtin_options is None and operator.name == "FULLY_CONNECTED":
        draft.set(operator, "builtin_options", options(table))
        return Done("the node gets options with their defaults, so that the bias counts as not declared")
    declared, bias = declared_type(operator), tensor_in_role(operator, "bias")
    if declared is None:
        return None
    if bias is None or (bias.type_name in _INTEGERS and _holds(bias, bias.type_name)):
        is_type = bias.type_name if bias is not None else _UNDECLARED
    else:
        is_type = declared if declared in _INTEGERS else "INT64"
    if declared == is_type:
        return None
    draft.set(operator.builtin_options, "quantized_bias_type", enum_class("TensorType")[is_type])
    held = f"which {bias.name!r} is of" if bias is not None else "as there is no bias"
    return Done(f"the option quantized_bias_type, which was {declared}, becomes {is_type}, {held}")


def retype_bias(draft: Draft, operator: Operator, position: int, lossy: bool = False) -> Result:
    """Give a bias the type that the operator's kernel adds, and keep what it says.

    Args:
        draft: the model under repair.
        operator: the node.
        position: of the bias among its inputs.
        lossy: whether the weights may be re-rounded where the values do not fit the type otherwise.

    Returns:
        Done with what it loses, Refused with the reason, or None where the type is right already.
    """
    bias = (operator.inputs or [])[position]
    wanted = type_to_add(operator)
    if not isinstance(bias, Tensor) or wanted is None:
        return Refused("the type of the operator's input does not tell which type of bias it adds: correct that first")
    was = bias.type_name
    if was == wanted and _holds(bias, was):
        return None
    kind = _kind(bias, wanted)
    if kind is None:
        size = "no data" if bias.data is None else f"{len(bias.data)} bytes"
        return Refused(
            f"the bias {bias.name!r} of shape {bias.shape} and type {was} has {size}, which are not its values in any "
            "type that a bias has: store it anew"
        )
    if kind == wanted:
        bias = _for_writing(draft, operator, position, wanted)
        draft.set(bias, "type", enum_class("TensorType")[wanted])
        reason = f"{len(bias.data or b'')} bytes for {_count(bias)} values are {wanted}, as the kernel adds it"
        return Done(f"the type of the bias {bias.name!r}, which was {was}, becomes {wanted}; its bytes stay", reason)
    values = _values(bias, kind)
    if kind.startswith("FLOAT") and not _all_finite(values):
        return Refused(f"the bias {bias.name!r} has values that are no finite numbers: no integer stands for them")
    if wanted == "FLOAT32":
        return _to_floats(draft, operator, position, kind, values)
    if kind in _INTEGERS:
        return _to_width(draft, operator, position, wanted, values.tolist(), lossy)
    return _to_unit(draft, operator, position, kind, wanted, values, lossy)


# What the bytes are


def _count(bias: Tensor) -> int:
    return prod(bias.shape or [1])


def _holds(bias: Tensor, kind: str) -> bool:
    width = _WIDTHS.get(kind)
    return width is not None and bias.data is not None and len(bias.data) == width * _count(bias) > 0


def _values(bias: Tensor, kind: str) -> NDArray[Any]:
    import numpy as np

    return np.frombuffer(bytes(bias.data or b""), _DTYPES[kind])


def _all_finite(values: NDArray[Any]) -> bool:
    import numpy as np

    return bool(np.isfinite(values).all())


def _kind(bias: Tensor, wanted: str) -> str | None:
    """The type that a bias' bytes are of: the stored one, unless their number or what they say contradicts it."""
    is_scaled = are_usable_scales(scales_of(bias)) and bool(scales_of(bias))
    if _holds(bias, bias.type_name):
        if bias.type_name not in ("INT32", "FLOAT32"):
            return bias.type_name
        # Floats have no scales, and bits of integers are hardly ever those of sane floats.
        if bias.type_name == "FLOAT32" and wanted != "FLOAT32" and (is_scaled or not _are_floats(bias)):
            return "INT32"
        if bias.type_name == "INT32" and wanted == "FLOAT32" and not is_scaled and _are_floats(bias):
            return "FLOAT32"
        return bias.type_name
    if _holds(bias, "INT32") and wanted == "FLOAT32":
        return "FLOAT32" if not is_scaled and _are_floats(bias) else "INT32"
    return next((kind for kind in (wanted, "INT32", "INT64") if _holds(bias, kind)), None)


def _are_floats(bias: Tensor) -> bool:
    """Whether the bytes read as float32 are numbers that a bias may have."""
    import numpy as np

    sizes = np.abs(_values(bias, "FLOAT32"))
    return bool(((sizes == 0) | ((sizes >= 1 / _LARGEST_FLOAT) & (sizes <= _LARGEST_FLOAT))).all())


# The same in another type


def _for_writing(draft: Draft, operator: Operator, position: int, wanted: str | None) -> Tensor:
    """The bias itself, where all that read it add the same type (None: it depends on this node); else a copy."""
    bias = (operator.inputs or [])[position]
    assert isinstance(bias, Tensor)
    alike = wanted is not None and all(
        type_to_add(use.operator) == wanted and any(place == use.position for place, _ in bias_positions(use.operator))
        for use in draft.readers(bias)
    )
    return bias if alike and not draft.is_interface(bias) else draft.own(Use(operator, position))


def _use_of(draft: Draft, operator: Operator, bias: Tensor) -> BiasUse | None:
    return next((use for use in bias_uses(node_of(draft, operator)) if use.bias is bias), None)


def _to_width(
    draft: Draft, operator: Operator, position: int, wanted: str, integers: list[int], lossy: bool
) -> Done | Refused:
    bias = (operator.inputs or [])[position]
    assert isinstance(bias, Tensor)
    was = bias.type_name
    if _fit(integers, wanted):
        bias = _for_writing(draft, operator, position, wanted)
        draft.store(bias, packed(integers, wanted))
        draft.set(bias, "type", enum_class("TensorType")[wanted])
        return Done(f"the integers of the bias {bias.name!r} are stored as {wanted}, which were {was}: all of them fit")
    worst = max(range(len(integers)), key=lambda channel: abs(integers[channel]))
    why = f"the bias {bias.name!r} has the integer {integers[worst]} in channel {worst}, which {wanted} does not hold"
    return _raised(draft, operator, draft.own(Use(operator, position)), integers, wanted, why, lossy)


def _fit(integers: list[int], type_name: str) -> bool:
    low, high = LIMITS[type_name]
    return low <= min(integers) <= max(integers) <= high


def _raised(
    draft: Draft, operator: Operator, bias: Tensor, integers: list[int], wanted: str, why: str, lossy: bool
) -> Done | Refused:
    """Make integers fit that do not, by a larger scale of the weights."""
    if not lossy:
        return Refused(f"{why}: raise that channel's weights scale (--lossy does)")
    draft.set(bias, "type", enum_class("TensorType")["INT64"])
    draft.store(bias, packed(integers, "INT64"))
    use = _use_of(draft, operator, bias)
    if use is None or use.trouble is not None or use.unwritten:
        return Refused(f"{why}, and its unit cannot be told")
    raised = raise_weights_scale(draft, use, wanted)
    if isinstance(raised, str):
        return Refused(f"{why}: {raised}")
    return Done(f"the bias {bias.name!r} is stored as {wanted}, {raised.sentence}", why, loses=raised.loses)


def _to_floats(draft: Draft, operator: Operator, position: int, kind: str, values: NDArray[Any]) -> Done | Refused:
    import numpy as np

    bias = (operator.inputs or [])[position]
    assert isinstance(bias, Tensor)
    was, scales = bias.type_name, scales_of(bias)
    real, reason = values.astype(np.float64), ""
    if not kind.startswith("FLOAT"):
        points = (bias.quantization.zero_point if bias.quantization is not None else None) or [0]
        if scales and not (are_usable_scales(scales) and len(scales) in (1, len(values))):
            return Refused(
                f"the bias {bias.name!r} has {len(scales)} scales for {len(values)} values, or unusable ones"
            )
        if len(points) not in (1, len(values)):
            return Refused(f"the bias {bias.name!r} has {len(points)} zero points for {len(values)} values")
        real = (real - np.array(points, np.float64)) * np.array(scales or [1.0])
        reason = "" if scales else "it has no scale, so the integers are its values"
    floats = real.astype("<f4")
    if not np.isfinite(floats).all():
        return Refused(f"the bias {bias.name!r} has values that no float32 holds")
    bias = _for_writing(draft, operator, position, "FLOAT32")
    draft.store(bias, floats.tobytes())
    draft.set(bias, "type", enum_class("TensorType")["FLOAT32"])
    draft.set(bias, "quantization", None)
    return Done(f"the bias {bias.name!r}, which was {was}, becomes FLOAT32 with the same real values", reason)


def _to_unit(
    draft: Draft, operator: Operator, position: int, kind: str, wanted: str, values: NDArray[Any], lossy: bool
) -> Done | Refused:
    """Express floats, or integers too narrow for any kernel to have counted with them, in the kernel's unit."""
    import numpy as np

    bias = draft.own(Use(operator, position))
    was, scales = bias.type_name, list(scales_of(bias))
    points = list((bias.quantization.zero_point if bias.quantization is not None else None) or [0])
    numbers: list[Any] = values.tolist()
    is_float = kind.startswith("FLOAT")
    # In its new type, and with as many bytes, the node's bias tells its unit.
    draft.set(bias, "type", enum_class("TensorType")[wanted])
    draft.store(bias, packed([0] * len(numbers), wanted))
    use = _use_of(draft, operator, bias)
    if not is_float and not (scales and are_usable_scales(scales) and len(scales) in (1, len(numbers))):
        # Without values that were written, the integers are all there is.
        if not _fit(numbers, wanted):
            return Refused(f"the bias {bias.name!r} reaches from {min(numbers)} to {max(numbers)}, beyond {wanted}")
        draft.store(bias, packed(numbers, wanted))
        return Done(f"the integers of the bias {bias.name!r}, which were {was}, are stored as {wanted}")
    if use is None or use.trouble is not None:
        why = "the operator's other tensors do not give it one" if use is None else use.trouble
        return Refused(f"the bias {bias.name!r} has no unit to be expressed in: {why}")
    units = [use.of_channel(use.expected_scales, channel) for channel in range(use.channels)]
    if is_float:
        numbers, scales, points = [1] * len(numbers), numbers, [0]
    scales = scales if len(scales) == len(numbers) else scales[:1] * len(numbers)
    points = points if len(points) == len(numbers) else points[:1] * len(numbers)
    integers = requantize(numbers, scales, units, points)
    real = [(number - point) * scale for number, scale, point in zip(numbers, scales, points)]
    draft.quantize(bias, scale=list(use.expected_scales), zero_point=[0] * len(use.expected_scales))
    if not _fit(integers, wanted):
        worst = max(range(len(integers)), key=lambda channel: abs(integers[channel]))
        why = (
            f"the bias {bias.name!r} is {real[worst]:.6g} in channel {worst}, {integers[worst]} units of "
            f"{units[worst]:.6g}, which is more than {wanted} holds"
        )
        if not _fit(integers, "INT64"):
            return Refused(why)
        return _raised(draft, operator, bias, integers, wanted, why, lossy)
    draft.store(bias, packed(integers, wanted))
    error = float(np.abs(np.array(integers) * np.array(units) - np.array(real)).max())
    quanta = f", {error / use.output_scale:.3g} output quanta" if use.output_scale > 0 and isfinite(error) else ""
    what = f"the bias {bias.name!r}, which was {was}, is stored as {wanted} in units of {units[0]:.9g}"
    return Done(what, loses=f"its values move by up to {error:.3g}{quanta}" if error > 0 else "")
