"""Comparisons whose integer kernel cannot rescale its inputs: compared as numbers that need no rescaling."""

from __future__ import annotations

from tflite_surgeon.edits.activations import options
from tflite_surgeon.edits.constants import parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.restoring import restored
from tflite_surgeon.edits.weights import scales_of
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.model.objects import Operator, Tensor

_COMPARISONS = frozenset({"EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"})
_SMALL = ("INT8", "UINT8", "INT16")
# Source: LiteRT tools/versioning/op_version.cc.
_DEQUANTIZE_VERSION = {"UINT8": 1, "INT8": 2, "INT16": 3}
_CAST_VERSION = {"UINT8": 1, "INT8": 3, "INT16": 1}


@repair(
    "comparison-scale",
    Phase.GRAPH,
    "Puts DEQUANTIZE before both inputs: float32 holds the same values, and comparing them needs no factors. A scale "
    "that says nothing is restored first, from what the file tells of it.",
    "Where a scale of 0 is told by nothing else in the file, its integers are worth nothing that can be compared.",
)
def comparison_scale(draft: Draft, target: Target, wish: Wish) -> Result:
    """Both sides as float32."""
    pair = None if target.operator is None else _pair(target.operator)
    if target.operator is None or pair is None:
        return Refused("the node does not compare two tensors of 8 or 16 bits")
    for tensor in pair:
        found = parameters_of(tensor)
        if found is None:
            return restored(draft, tensor, wish)
        if found.type_name == "INT16" and found.zero_point:
            return Refused(f"{tensor.name!r} is INT16 with zero point {found.zero_point}: it must be 0 first")
    for position, tensor in enumerate(pair):
        fresh = draft.new_tensor(
            draft.home(tensor),
            tensor,
            f"{tensor.name or 'tensor'}_as_float32",
            type=_type("FLOAT32"),
            quantization=None,
        )
        draft.replace_input(target.operator, position, fresh)
        version = _DEQUANTIZE_VERSION[tensor.type_name]
        made = options("DequantizeOptions")
        draft.insert_operator(target.operator, False, "DEQUANTIZE", version, [tensor], [fresh], made)
    scales = " and ".join(f"{scale:.9g}" for tensor in pair for scale in scales_of(tensor))
    return Done(
        f"{target.operator.name} compares float32 values, which DEQUANTIZE makes of both inputs",
        f"the kernel for integers has no factors for the scales {scales}",
    )


def compare_integers(draft: Draft, operator: Operator) -> Result:
    """Let a comparison of integers without a scale compare them as INT32; None for any other node."""
    pair = _pair(operator)
    if pair is None or any(scales_of(tensor) for tensor in pair):
        return None
    for position, tensor in enumerate(pair):
        name = f"{tensor.name or 'tensor'}_as_int32"
        fresh = draft.new_tensor(draft.home(tensor), tensor, name, type=_type("INT32"), quantization=None)
        draft.replace_input(operator, position, fresh)
        made = options("CastOptions", in_data_type=tensor.type, out_data_type=_type("INT32"))
        version = _CAST_VERSION[tensor.type_name]
        draft.insert_operator(operator, False, "CAST", version, [tensor], [fresh], made)
    return Done(
        f"{operator.name} compares INT32 integers, which CAST makes of both inputs",
        "neither input has a scale, so that their integers are plain numbers, which the kernel of INT32 compares",
    )


def _pair(operator: Operator) -> tuple[Tensor, Tensor] | None:
    inputs = operator.inputs or []
    if operator.name not in _COMPARISONS or len(inputs) != 2:
        return None
    first, second = inputs
    if not isinstance(first, Tensor) or not isinstance(second, Tensor) or first.type_name != second.type_name:
        return None
    return (first, second) if first.type_name in _SMALL else None


def _type(name: str) -> object:
    return enum_class("TensorType")[name]
