"""What is said of tensors that get other scales and zero points."""

from __future__ import annotations

from tflite_surgeon.edits.constants import Parameters
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.group_decision import distance
from tflite_surgeon.model.objects import Tensor


def interface_warnings(draft: Draft, tensor: Tensor) -> list[str]:
    """What a caller must know of a tensor that counts otherwise than before."""
    if not draft.is_interface(tensor):
        return []
    side = "output" if draft.is_graph_output(tensor) else "input"
    return [
        f"{tensor.name!r} is an {side} of the model: callers that do not read its scale and zero point from the file "
        "must be told of the new ones"
    ]


def changes(old: Parameters, new: Parameters) -> str:
    """What is different between two parameters, such as: scale 0.5 instead of 0.6."""
    parts = []
    if old.scale != new.scale:
        parts.append(f"scale {new.scale:.9g} instead of {old.scale:.9g}")
    if old.zero_point != new.zero_point:
        parts.append(f"zero point {new.zero_point} instead of {old.zero_point}")
    return " and ".join(parts)


def conversion_loss(tensor: Tensor, start: Parameters, end: Parameters) -> str:
    """What a conversion from parameters to others loses, measured over all integers of the type."""
    found = distance(start, end)
    parts = []
    if found.rounds > 0:
        parts.append(f"values of {tensor.name!r} are rounded by up to {found.rounds:.2g} of a quantum")
        parts[-1] += f" ({found.rounds * end.scale:.3g})"
    if found.clipped > 0:
        parts.append(
            f"{found.clipped:.0%} of the integers of {tensor.name!r} lie outside the new range and are cut off"
        )
    return ", and ".join(parts)


def both(parameters: Parameters) -> str:
    """Such as: scale 0.5 and zero point 0."""
    return f"scale {parameters.scale:.9g} and zero point {parameters.zero_point}"
