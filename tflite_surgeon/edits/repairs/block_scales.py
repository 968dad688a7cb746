"""Blocks of weights whose scale is 0. `restoring` calls it."""

from __future__ import annotations

from typing import Any

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Refused, Result, Wish
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.model.values import pack

_LOST = "the scale of a block stands nowhere else in the file; quantise the weights again"


def with_block_scales(draft: Draft, tensor: Tensor, details: Any, wish: Wish) -> Result:
    """Give blocks of scale 0 a scale in which they are what they were: zeros.

    Args:
        draft: the model under repair.
        tensor: weights in blocks along their last dimension.
        details: the table that describes the blocks.
        wish: what the person allows.
    """
    import numpy as np

    held = getattr(details, "scales", None)
    data = held.data if isinstance(held, Tensor) else None
    what = f"{tensor.name!r} is quantised as {details.table}"
    if not isinstance(held, Tensor) or data is None or held.type_name != "FLOAT16":
        return Refused(f"{what}, without scales of FLOAT16: {_LOST}")
    scales = np.frombuffer(bytes(data)[: len(data) // 2 * 2], "<f2").copy()
    try:
        integers = tensor.values().astype(np.int64)
    except SurgeonError as error:
        return Refused(str(error))
    size = getattr(details, "block_size", 0)
    if not size > 0 or size * scales.size != integers.size or integers.shape[-1] % size:
        return Refused(f"{what} in blocks of {size}, which {scales.size} scales for {integers.size} weights are not")
    bad = ~(np.isfinite(scales) & (scales > 0))
    if not bad.any():
        return None
    if (scales[bad] != 0).any():
        return Refused(f"{what}, and the scales of {int(bad.sum())} of {bad.size} blocks say nothing: {_LOST}")
    blocks = integers.reshape(-1, size)
    moved = int((blocks[bad] != 0).sum())
    if moved and not (wish.keep == "values" or (wish.keep == "auto" and wish.undecided == "values")):
        return Refused(f"{what}, and {int(bad.sum())} blocks have scale 0: {_LOST}; --keep values writes them as zeros")
    blocks[bad] = 0
    scales[bad] = scales[~bad].min(initial=1.0)
    if moved:
        draft.store(tensor, pack(tensor, integers))
    draft.store(held, scales.tobytes())
    loses = f"{moved} integers that scale 0 made worth 0 are 0 themselves now" if moved else ""
    what = f"{int(bad.sum())} of {bad.size} blocks of {tensor.name!r} had scale 0 and have {scales[bad][0]:.6g} now"
    return Done(what, "what they stand for is 0, in every scale", "values" if moved else None, 0.0, loses)
