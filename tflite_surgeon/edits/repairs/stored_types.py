"""Types that a tensor cannot have been given: its zero point, its scale or the node's other tensors say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tflite_surgeon.edits.constants import parameters_of
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.islands import troubles
from tflite_surgeon.edits.repairs.registry import Done, Result, Wish
from tflite_surgeon.edits.weights import Weights, constant_of, scales_of, symmetric, zero_points_of
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.model.values import byte_count, pack
from tflite_surgeon.quantization import LIMITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EIGHT_BITS = ("INT8", "UINT8")
_PACKED = ("INT4", "INT2", "UINT4")
_SIGNED_FROM = 128
# Sizes of ordinary floats: as integers their bits count beyond 500 million.
_LEAST, _MOST = 1e-12, 1e6
# Operators that copy bytes as they are.
_COPYING = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def restored_type(draft: Draft, operator: Operator, tensor: Tensor, wish: Wish) -> Result:
    """Write the type that a tensor must have had; None where what is stored can be meant."""
    if tensor.data is not None:
        weights = constant_of(operator, tensor)
        return None if weights is None else _of_constant(draft, weights, wish)
    return _of_computed(draft, operator, tensor)


def _of_constant(draft: Draft, weights: Weights, wish: Wish) -> Result:
    tensor = weights.tensor
    others = [
        item
        for item in weights.use.operator.inputs or ()
        if isinstance(item, Tensor) and item is not tensor and scales_of(item) and item.data is None
    ]
    beside = {item.type_name for item in others}
    if tensor.type_name == "UINT8" and scales_of(tensor) and beside & {"INT8", "INT16"}:
        return _signed(draft, weights, wish)
    if tensor.type_name in _PACKED and scales_of(tensor):
        return unpacked(draft, weights)
    if tensor.type_name == "INT32" and not scales_of(tensor):
        return _as_floats(draft, weights)
    return None


def _as_floats(draft: Draft, weights: Weights) -> Result:
    """The bits of ordinary floats, under the name of integers."""
    import numpy as np

    tensor = weights.tensor
    integers = tensor.values()
    floats = integers.view(np.float32)
    used = np.abs(floats[integers != 0])
    floating = [i for i in weights.use.operator.inputs or () if isinstance(i, Tensor) and i.type_name == "FLOAT32"]
    if not floating or not used.size or not ((used > _LEAST) & (used < _MOST)).all():
        return None
    draft.set(draft.own(weights.use), "type", enum_class("TensorType")["FLOAT32"])
    reason = (
        f"its bytes are ordinary floats, {used.min():.3g} to {used.max():.3g} in size, and no integers anybody uses"
    )
    return Done(f"the type of {tensor.name!r} is written as FLOAT32; the bytes stay", reason, "integers", None)


def _signed(draft: Draft, weights: Weights, wish: Wish) -> Result:
    """UINT8 weights beside signed inputs: INT8 under a wrong name, or to be shifted."""
    import numpy as np

    tensor = weights.tensor
    points, scales = zero_points_of(tensor), scales_of(tensor)
    integers = tensor.values().astype(np.int64)
    is_same = bool(integers.max(initial=0) < _SIGNED_FROM) and not any(points)
    if not any(points) and (is_same or wish.keep != "values"):
        mates = _mates(draft, weights, is_same)
        for mate in mates:
            draft.set(mate, "type", enum_class("TensorType")["INT8"])
        reason = "every integer is below 128, and is the same in both types"
        if not is_same:
            reason = "with the zero point 0 UINT8 weights are never negative, and beside INT8 they are symmetric: INT8"
        many = f" and {len(mates) - 1} others" if len(mates) > 1 else ""
        what = f"the type of {tensor.name!r}{many} is written as INT8; the bytes stay"
        return Done(what, reason, None if is_same else "integers", 0.0)
    if len(points) != len(scales) or not scales:
        return None
    axis = tensor.quantization.quantized_dimension if tensor.quantization is not None else 0
    steps = integers - _along(points, axis, integers.ndim)
    written = symmetric(draft, weights, steps, scales, axis, "INT8")
    what = f"the weights {tensor.name!r} are written as INT8 with the zero point 0"
    keep: Literal["values"] | None = None if any(points) else "values"
    return Done(what, "the written values stand", keep, written.quanta, written.loses, written.warnings)


def _mates(draft: Draft, weights: Weights, is_same: bool) -> list[Tensor]:
    """The weights, and the node's others that lack the same: kernels compare their types with each other."""
    found = []
    for position, item in enumerate(weights.use.operator.inputs or ()):
        if not isinstance(item, Tensor) or item.data is None or item.type_name != "UINT8" or any(zero_points_of(item)):
            continue
        if item is weights.tensor or (not is_same and scales_of(item)):
            found.append(draft.own(Use(weights.use.operator, position)))
    return found


def unpacked(draft: Draft, weights: Weights) -> Result:
    """Packed weights as INT8, one to a byte; a table or matrix loses nothing but room."""
    tensor = weights.tensor
    if tensor.type_name == "UINT4":
        return None
    type_name, values = tensor.type_name, tensor.values()
    own = draft.own(weights.use)
    mark = draft.mark()
    draft.set(own, "type", enum_class("TensorType")["INT8"])
    data = pack(own, values)
    draft.store(own, data)
    if any(trouble.rule == "operator-types" for trouble in troubles(draft, [weights.use.operator])):
        draft.back_to(mark)
        return None
    what = f"the {type_name} weights {tensor.name!r} are unpacked to INT8"
    return Done(what, f"{weights.name} has a kernel for INT8, and every value is kept", None, 0.0)


def _of_computed(draft: Draft, operator: Operator, tensor: Tensor) -> Result:
    """Activations with a scale are of 8 bits, or of 16 with the zero point 0."""
    found = parameters_of(tensor)
    kind = tensor.type_name
    if found is None or kind not in (*_EIGHT_BITS, "INT16", "INT32", "INT64"):
        return None
    low, high = LIMITS[kind]
    if (kind in _EIGHT_BITS and low <= found.zero_point <= high) or (kind == "INT16" and found.zero_point == 0):
        return None
    peers = [
        item.type_name
        for item in (*(operator.inputs or ()), *(operator.outputs or ()))
        if isinstance(item, Tensor) and item is not tensor and item.data is None
        if item.type_name in _EIGHT_BITS and parameters_of(item) is not None
    ]
    if len(set(peers)) != 1:
        return None
    low, high = LIMITS[peers[0]]
    if not low <= found.zero_point <= high:
        return None
    draft.set(tensor, "type", enum_class("TensorType")[peers[0]])
    warnings: tuple[str, ...] = ()
    if draft.is_interface(tensor):
        warnings = (f"{tensor.name!r} is an input or output of the model: callers get {peers[0]} now",)
    why = f"no activation is {kind} with a scale"
    if kind in (*_EIGHT_BITS, "INT16"):
        why = f"{kind} activations do not have the zero point {found.zero_point}"
    reason = f"{why}; the node's other activations are {peers[0]}, and kernels compute in their type"
    return Done(f"the type of {tensor.name!r} is written as {peers[0]}", reason, "integers", 0.0, "", warnings)


def copied_type(draft: Draft, operator: Operator) -> Done | None:
    """The type of bytes that an operator copies as they are: the output's is the input's."""
    source, result = ((items or [None])[0] for items in (operator.inputs, operator.outputs))
    if operator.name not in _COPYING or not isinstance(source, Tensor) or not isinstance(result, Tensor):
        return None
    sizes = {byte_count(tensor.type_name, 1) for tensor in (source, result)}
    if scales_of(source) or scales_of(result) or len(sizes) != 1 or None in sizes:
        return None
    kind = source.type_name
    draft.set(result, "type", enum_class("TensorType")[kind])
    warnings: tuple[str, ...] = ()
    if draft.is_interface(result):
        warnings = (f"{result.name!r} is an input or output of the model: callers get {kind} now",)
    what = f"the type of {result.name!r} is written as {kind}; the bytes stay"
    return Done(what, f"{operator.name} copies the bytes of {source.name!r}", "integers", 0.0, "", warnings)


def _along(values: list[int], axis: int, rank: int) -> NDArray[Any]:
    """Values in a shape that broadcasts along one dimension."""
    import numpy as np

    spread = [1] * rank
    if len(values) > 1:
        spread[axis] = len(values)
    return np.array(values, np.int64).reshape(spread)
