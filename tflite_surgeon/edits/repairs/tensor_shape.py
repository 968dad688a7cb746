"""Repair of shapes that are none: negative dimensions, and more elements than memory has addresses."""

from __future__ import annotations

from math import prod

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.objections import computed_tensors
from tflite_surgeon.edits.repairs.constant_size import other_shapes
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.shaping import fitting_length
from tflite_surgeon.edits.unclaimed import is_unused
from tflite_surgeon.model.objects import Tensor

_OPEN = -1
_MOST_ELEMENTS = 1 << 40


@repair(
    "tensor-shape",
    Phase.FILE,
    "Writes the shape that the kernel computes; of a constant the one that its bytes fill; of an input, the one length "
    "that fits the stored shapes behind it, or 1, for a dimension of -1, which moves into the shape signature. A "
    "tensor that nothing names is removed.",
    "Where an input of the model has a dimension that is nonsense and no signature, nobody can tell what it was.",
)
def tensor_shape(draft: Draft, target: Target, wish: Wish) -> Result:
    """A negative or an endless dimension."""
    tensor = target.tensor
    if tensor is None or tensor.shape is None:
        return Refused("the finding names no tensor with a shape")
    if not _is_bad(tensor.shape):
        return None
    if tensor.data is not None:
        return _of_constant(draft, tensor, len(tensor.data))
    found = _by_kernel(draft, tensor) if draft.writers(tensor) else None
    if found is not None:
        return _written(draft, tensor, found, f"{draft.writers(tensor)[0].operator.name} computes it so")
    signature = tensor.shape_signature
    if signature is not None and len(signature) == len(tensor.shape):
        told = [max(d, 1) if wanted == _OPEN else wanted for wanted, d in zip(signature, tensor.shape)]
        if not _is_bad(told):
            return _written(draft, tensor, told, "the shape signature says so, with 1 for what it leaves open")
    told = [1 if dimension == _OPEN else dimension for dimension in tensor.shape]
    if not _is_bad(told):
        before = list(tensor.shape)
        reason = "a dimension that is open belongs into the shape signature, as -1"
        if before.count(_OPEN) == 1:
            axis = before.index(_OPEN)
            length = fitting_length(draft, tensor, axis)
            if length is not None and length != told[axis]:
                told[axis] = length
                reason += f", and with {length} those who read it make the stored shapes"
        done = _written(draft, tensor, told, reason)
        if signature is None or len(signature) != len(before):
            draft.set(tensor, "shape_signature", before)
        return done
    if is_unused(draft, tensor):
        draft.remove(draft.home(tensor), "tensors", tensor)
        return Done(f"{tensor.name!r} of shape {tensor.shape} is removed", "nothing names it")
    return Refused(
        f"neither a shape signature nor a kernel tells what the shape {tensor.shape} of {tensor.name!r} should be: "
        "write the right one"
    )


def _is_bad(shape: list[int]) -> bool:
    return any(dimension < 0 for dimension in shape) or prod(dimension or 1 for dimension in shape) >= _MOST_ELEMENTS


def _of_constant(draft: Draft, tensor: Tensor, size: int) -> Result:
    ways = other_shapes(tensor, size)
    if len(ways) != 1:
        return Refused(
            f"the {size} bytes of {tensor.name!r} are no whole number of {tensor.type_name} rows in the shape "
            f"{tensor.shape}: write the right one"
        )
    return _written(draft, tensor, ways[0], f"its {size} bytes fill that shape")


def _by_kernel(draft: Draft, tensor: Tensor) -> list[int] | None:
    operand = computed_tensors(draft).get(id(tensor))
    shape = operand.shape if operand is not None else None
    return None if shape is None or _is_bad(list(shape)) else list(shape)


def _written(draft: Draft, tensor: Tensor, shape: list[int], reason: str) -> Done:
    before = list(tensor.shape or ())
    draft.set(tensor, "shape", shape)
    signature = tensor.shape_signature
    # A signature that leaves nothing open says the same as the shape.
    if signature is not None and signature != shape and _OPEN not in signature and (signature == before):
        draft.set(tensor, "shape_signature", list(shape))
    return Done(f"the shape of {tensor.name!r} is {shape} instead of {before}", reason)
