"""Custom operators that the delegate takes although no builtin kernel runs them: their further conditions.

Source: xnnpack_delegate.cc, VisitMediaPipeDeconvolutionNode, VisitMediaPipeMaxPoolingNode,
VisitMediaPipeUnpoolingNode, VisitScaledDotAttentionCompositeNode.
"""

from __future__ import annotations

import struct

from tflite_surgeon.knowledge.xnnpack.candidate import Candidate
from tflite_surgeon.knowledge.xnnpack.conditions import fits
from tflite_surgeon.knowledge.xnnpack.tensors import has_rank

# As TfLitePadding, where 0 is unknown.
_SAME, _VALID = 1, 2
# NONE, RELU, RELU_N1_TO_1, RELU6.
_ACTIVATIONS = range(4)


def _numbers(node: Candidate, count: int) -> tuple[int, ...]:
    """The options as the runtime copies them: integers in a row, 0 where there are too few bytes."""
    size = 4 * count
    return struct.unpack(f"<{count}i", bytes(node.operator.custom_options or b"")[:size].ljust(size, b"\0"))


def attention(node: Candidate) -> bool:
    """Queries, keys and values of one depth; a mask as long as keys and values."""
    shapes = [tensor.shape or [] for tensor in node.inputs[:4]]
    query, key, value = shapes[:3]
    if not (query and key and value) or not query[-1] == key[-1] == value[-1]:
        return False
    if len(shapes) == 3:
        return True
    mask = shapes[3]
    return len(key) > 1 and len(value) > 1 and bool(mask) and key[1] == value[1] == mask[-1]


def transposed(node: Candidate) -> bool:
    """Strides above 0, and padding that can be told from the shapes."""
    padding, stride_w, stride_h = _numbers(node, 3)
    if min(stride_w, stride_h) <= 0 or padding not in (_SAME, _VALID):
        return False
    image, kernel = (tensor.shape or [] for tensor in node.inputs[:2])
    return fits(padding == _SAME, (stride_h, stride_w), image, kernel, node.output.shape or [])


def pooling(node: Candidate) -> bool:
    """A window of at least one element that moves by its own size, and results of four dimensions."""
    padding, stride_w, stride_h, filter_w, filter_h, activation = _numbers(node, 6)
    whole = min(stride_w, stride_h) > 0 and (stride_w, stride_h) == (filter_w, filter_h)
    results = node.output.type_name == "FLOAT32" and all(has_rank(tensor, (4, 4)) for tensor in node.outputs)
    return whole and results and padding in (_SAME, _VALID) and activation in _ACTIVATIONS
