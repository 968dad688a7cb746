"""Types that a runtime has no size or no kernel for, where another type holds the same values."""

from __future__ import annotations

from math import prod

from tflite_surgeon.edits.constants import parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.stored_types import unpacked
from tflite_surgeon.edits.repairs.types import suited
from tflite_surgeon.edits.weights import constant_of, scales_of, weights_of, zero_points_of
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.model.objects import Operator, Tensor

_FLOAT = "FLOAT32"
# Types without a scale by the bytes of an element, where only one of that size is in use.
_BY_SIZE = {4: _FLOAT, 8: "INT64"}


@repair(
    "hybrid-model",
    Phase.TYPES,
    "Writes the weights as floats beside floats, or computes a UINT8 node in INT8 with QUANTIZE around it, "
    "128 less: every value is kept.",
    "Where no conversion makes types that the runtime has a kernel for, the model has to be quantised in full.",
)
def hybrid_model(draft: Draft, target: Target, wish: Wish) -> Result:
    """Weights in another kind of type than the activations."""
    return suited(draft, target, wish)


@repair(
    "tensor-type",
    Phase.FILE,
    "Unpacks weights of 2 or 4 bits to INT8; writes the type that the stored bytes and the scale make, and any type "
    "for a tensor that no node uses.",
    "The type of what is computed, and of constants whose bytes suit several types.",
)
def tensor_type(draft: Draft, target: Target, wish: Wish) -> Result:
    """A type that a runtime has no size for."""
    tensor = target.tensor
    if tensor is None and target.operator is not None:
        return _bias_type(draft, target.operator)
    if tensor is None:
        return Refused("the finding names no tensor")
    readers = draft.readers(tensor)
    if not readers and not draft.writers(tensor) and not draft.is_interface(tensor) and tensor.data is None:
        draft.set(tensor, "type", enum_class("TensorType")[_FLOAT])
        return Done(
            f"the type of {tensor.name!r} is written as {_FLOAT}", "no node uses the tensor, and it has no data"
        )
    operator = target.operator or (readers[0].operator if readers else None)
    weights = constant_of(operator, tensor)
    if weights is not None and tensor.type_name in ("INT4", "INT2") and tensor.data is not None:
        try:
            done = unpacked(draft, weights)
        except SurgeonError as error:
            return Refused(str(error))
        if done is not None:
            return done
    return _by_bytes(draft, tensor)


def _by_bytes(draft: Draft, tensor: Tensor) -> Result:
    """The type that a constant's bytes and scale tell."""
    count, name = prod(tensor.shape or [1]), tensor.name
    if tensor.data is None or count <= 0 or len(tensor.data) % count:
        return Refused(f"nothing tells which type {name!r} was: its nodes compute it, or its bytes fit no type")
    size = len(tensor.data) // count
    kind = _BY_SIZE.get(size)
    if scales_of(tensor) and size == 1:
        kind = "UINT8" if any(point > 127 for point in zero_points_of(tensor)) else "INT8"
        beside = {
            item.type_name
            for use in draft.readers(tensor)
            for item in use.operator.inputs or ()
            if isinstance(item, Tensor) and item is not tensor and parameters_of(item) is not None
        }
        if kind == "INT8" and "UINT8" in beside:
            kind = None
    elif scales_of(tensor) and size == 4:
        kind = "INT32"
    if kind is None:
        return Refused(f"nothing tells which type {name!r} was: its {size} bytes for each element suit several")
    draft.set(tensor, "type", enum_class("TensorType")[kind])
    has_scale = "a scale" if scales_of(tensor) else "no scale"
    reason = f"it has {size} bytes for each element and {has_scale}"
    return Done(f"the type of {name!r} is written as {kind}; the bytes stay", reason, "integers", None)


def _bias_type(draft: Draft, operator: Operator) -> Result:
    """The option that names a bias' type: that of the bias beside 16-bit inputs, else the default, which is none."""
    weights = weights_of(operator)
    table = operator.builtin_options
    if weights is None or table is None or not hasattr(table, "quantized_bias_type"):
        return Refused(f"an option of {operator.name} names a type that nobody knows")
    source, bias = weights.source, weights.bias
    kind = _FLOAT
    if source is not None and source.type_name == "INT16" and bias is not None and bias.type_name in ("INT32", "INT64"):
        kind = bias.type_name
    draft.set(table, "quantized_bias_type", enum_class("TensorType")[kind])
    what = f"quantized_bias_type of {operator.name} is written as {kind}"
    return Done(what, "it is the type of the bias" if kind != _FLOAT else "the default: the input tells the type")
