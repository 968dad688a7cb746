"""Weights of DEPTHWISE_CONV_2D in the layout of CONV_2D, with the channels along the first dimension."""

from __future__ import annotations

from typing import Any

from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.repairs.registry import Done
from tflite_surgeon.edits.shaping import makes_stored, reshape
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Operator, Tensor

_WEIGHTS = 1


def channels_last(draft: Draft, operator: Operator) -> Done | None:
    """Move the channels of a DEPTHWISE_CONV_2D's weights behind the window, where its kernel counts them.

    Only where the kernel then makes the stored output: channels x height x width x 1 is what converters of other
    frameworks write, and neither order of the values is lost on the way.
    """
    weights: Any = (operator.inputs or [])[_WEIGHTS] if len(operator.inputs or ()) > _WEIGHTS else None
    if operator.name != "DEPTHWISE_CONV_2D" or not isinstance(weights, Tensor) or not weights.data:
        return None
    old = list(weights.shape or ())
    if len(old) != 4 or old[0] <= 1 or old[3] != 1 or weights.sparsity is not None:
        return None
    try:
        turned = weights.values().transpose(3, 1, 2, 0)
    except SurgeonError:
        return None
    if turned.nbytes != len(weights.data):
        return None  # Values of less than a byte.
    mark = draft.mark()
    own = draft.own(Use(operator, _WEIGHTS))
    draft.store(own, turned.tobytes())
    reshape(draft, own, list(turned.shape))
    quantization = own.quantization
    if quantization is not None and len(quantization.scale or ()) > 1 and quantization.quantized_dimension == 0:
        draft.quantize(own, quantized_dimension=3)
    if not makes_stored(draft, operator):
        draft.back_to(mark)
        return None
    return Done(
        f"the weights {own.name!r} of shape {old} are stored as {own.shape}, with the channels last",
        "so the kernel takes them and makes the stored output; CONV_2D counts the channels along the first dimension",
    )
