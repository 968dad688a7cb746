"""What a node that the delegate took computes otherwise than the file says, without a word.

Source: xnnpack_delegate.cc; seen with ai-edge-litert 2.3.0, with and without the delegate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tflite_surgeon.knowledge.xnnpack.candidate import Candidate, kind_of
from tflite_surgeon.knowledge.xnnpack.claims import CLAIMS
from tflite_surgeon.knowledge.xnnpack.placement import UNPACKING
from tflite_surgeon.knowledge.xnnpack.tensors import MOST_DIMENSIONS, count, integers

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.xnnpack.placement import Placement
    from tflite_surgeon.model.objects import Operator


def wrong_numbers_after_taking(operator: Operator, placement: Placement, kind: str | None = None) -> list[str]:
    """Why a node that was taken computes something else than the file says; empty where nothing is known to differ.

    Raises:
        SurgeonError: a constant lies in a file that was closed.
    """
    if not placement.takes(operator):
        return []
    kind = kind or kind_of(operator)
    if kind in UNPACKING and placement.unpacks(operator):
        is_result = any(placement.is_result(tensor) for tensor in operator.outputs or ())  # type: ignore[arg-type]
        return ["an unpacked constant is never written to the subgraph's output"] if is_result else []
    claim = CLAIMS.get(kind)
    if claim is None or kind not in _DIFFERING:
        return []
    node = Candidate(operator, kind, claim.options, placement.statics)
    return [why for kinds, differs, why in _DIFFERENCES if kind in kinds and differs(node)]


def _types_differ(node: Candidate) -> bool:
    return node.required(0).type != node.output.type


def _right_is_computed(node: Candidate) -> bool:
    types = node.required(0).type_name, node.required(1).type_name
    return types == ("FLOAT32", "INT8") and not node.statics.has(node.required(1))


def _bias_is_dropped(node: Candidate) -> bool:
    bias = node.input(2)
    return bias is not None and len(bias.shape or ()) > MOST_DIMENSIONS


def _bias_is_short(node: Candidate) -> bool:
    bias = node.input(2)
    channels = (node.required(1).shape or [0])[0 if node.kind == "CONV_2D" else -1]
    return bias is not None and count(bias) < channels


def _ends_at_zero(node: Candidate) -> bool:
    mask = int(node.option("end_mask"))
    return any(end == 0 and not mask >> axis & 1 for axis, end in enumerate(integers(node.required(2))))


_DIFFERENCES: tuple[tuple[tuple[str, ...], Callable[[Candidate], bool], str], ...] = (
    (
        ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "RESIZE_BILINEAR"),
        _types_differ,
        "input and output are of different types, and the bytes of one are read as the other",
    ),
    (("BATCH_MATMUL",), _right_is_computed, "8-bit values that are no constant count as zeros beside float32"),
    (("FULLY_CONNECTED",), _bias_is_dropped, "a bias of more than six dimensions is dropped"),
    (
        ("CONV_2D", "DEPTHWISE_CONV_2D"),
        _bias_is_short,
        "the bias is shorter than the channels, and is read past its end",
    ),
    (("STRIDED_SLICE",), _ends_at_zero, "an end of 0 means the end of the dimension"),
)
_DIFFERING = frozenset(kind for kinds, _, _ in _DIFFERENCES for kind in kinds)
