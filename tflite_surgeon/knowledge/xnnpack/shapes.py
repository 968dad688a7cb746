"""Whether the shapes of a node fit together for XNNPACK, which asks when tensors are allocated.

Shapes of computed tensors are those that the nodes before give them, whatever is stored.
Source: XNNPACK's reshape functions; confirmed with ai-edge-litert 2.3.0.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from math import prod

from tflite_surgeon.knowledge.xnnpack.candidate import Candidate
from tflite_surgeon.knowledge.xnnpack.tensors import count, integers

# Of the enumeration Padding.
_VALID = 1


def agree(node: Candidate) -> bool:
    """Whether nothing speaks against a node's shapes, as far as they are known."""
    check = _CHECKS.get(node.kind)
    if check is None:
        return True
    for tensor in node.inputs:
        if tensor is not None and node.shape(tensor) is None:
            return True
    return check(node)


def is_permutation(node: Candidate) -> bool:
    """Whether the second input names each of so many dimensions once."""
    order = integers(node.required(1))[: count(node.required(1))]
    order = [axis + len(order) if axis < 0 else axis for axis in order]
    return sorted(order) == list(range(count(node.required(1)))) and bool(order)


def _shape(node: Candidate, position: int = 0) -> list[int]:
    return node.shape(node.required(position)) or []


def _elements(node: Candidate, position: int = 0) -> int:
    return prod(_shape(node, position))


def _broadcast(first: list[int], second: list[int]) -> bool:
    return all(a == b or 1 in (a, b) for a, b in zip_longest(reversed(first), reversed(second), fillvalue=1))


def _elementwise(node: Candidate) -> bool:
    return _broadcast(_shape(node, 0), _shape(node, 1))


def _joined(node: Candidate) -> bool:
    axis = node.option("axis")
    shapes = [list(node.shape(tensor) or []) for tensor in node.inputs]
    if any(len(shape) != len(shapes[0]) or not -len(shape) <= axis < len(shape) for shape in shapes):
        return False
    for shape in shapes:
        shape[axis] = 0
    return shapes.count(shapes[0]) == len(shapes)


def _is_image(node: Candidate) -> bool:
    return len(_shape(node)) == 4 and 0 not in _shape(node)[1:]


def _holds_image(node: Candidate) -> bool:
    return len(_shape(node)) >= 4 and 0 not in _shape(node)[1:]


def _convolved(node: Candidate) -> bool:
    image, depth = _shape(node), _depth(node)
    return len(image) == 4 and depth > 0 and image[3] % depth == 0 and _holds_window(node, image)


def _convolved_by_channel(node: Candidate) -> bool:
    image = _shape(node)
    if len(image) != 4 or image[3] * int(node.option("depth_multiplier")) != _depth(node):
        return False
    return _holds_window(node, image)


def _holds_window(node: Candidate, image: list[int]) -> bool:
    """Whether an image that is not padded is as large as the window, dilation included."""
    if node.option("padding") != _VALID:
        return True
    window = _shape(node, 1)
    return len(window) != 4 or all(
        (window[axis] - 1) * int(node.option(f"dilation_{side}_factor")) < image[axis]
        for axis, side in ((1, "h"), (2, "w"))
    )


def has_whole_groups(node: Candidate) -> bool:
    """Whether the outputs of a convolution are as many for each group of inputs, going by the shapes stored."""
    image, weights = node.required(0).shape or (), node.required(1).shape or ()
    if len(image) != 4 or len(weights) != 4 or not weights[3] or image[3] % weights[3]:
        return True
    return image[3] == 0 or weights[0] % (image[3] // weights[3]) == 0


def _connected(node: Candidate) -> bool:
    depth = _depth(node)
    if node.option("keep_num_dims"):
        return _shape(node)[-1:] == [depth]
    return depth > 0 and _elements(node) % depth == 0


def _depth(node: Candidate) -> int:
    """The last dimension of the weights, 0 where they have none: what a node before computes may be of any shape."""
    return (_shape(node, 1) or [0])[-1]


def _multiplied(node: Candidate) -> bool:
    left, right = _shape(node, 0), _shape(node, 1)
    if len(left) < 2 or len(right) < 2:
        return False
    inner = left[-2 if node.option("adj_x") else -1], right[-1 if node.option("adj_y") else -2]
    return inner[0] == inner[1] and 0 not in left and _broadcast(left[:-2], right[:-2])


def _reduced(node: Candidate) -> bool:
    rank = len(_shape(node))
    return all(-rank <= axis < rank for axis in integers(node.required(1)))


def _reshaped(node: Candidate) -> bool:
    """At most one size is left open, which a 0 does too."""
    tensor = node.input(1)
    given = integers(tensor)[: count(tensor)] if tensor is not None else list(node.option("new_shape") or ())
    known, opened, elements = 1, 0, _elements(node)
    for size in given:
        known *= size if size > 0 else 1
        opened += size in (0, -1)
    return opened <= 1 and (elements % known == 0 if opened else elements == known)


def _resized(node: Candidate) -> bool:
    return all(0 < size < 1 << 24 for size in integers(node.required(1)))


def _blocks_spread(node: Candidate) -> bool:
    block = int(node.option("block_size"))
    return _is_image(node) and block > 0 and _shape(node)[3] % block**2 == 0


def _parted(node: Candidate) -> bool:
    axis, shape = (integers(node.required(0)) or [0])[0], _shape(node, 1)
    return -len(shape) <= axis < len(shape) and bool(node.outputs) and shape[axis] % len(node.outputs) == 0


def _has_dimensions(node: Candidate) -> bool:
    return bool(_shape(node))


def _transposed(node: Candidate) -> bool:
    return count(node.required(1)) == len(_shape(node))


def _strides_forward(node: Candidate) -> bool:
    return int(node.option("stride_h")) > 0 and int(node.option("stride_w")) > 0


_CHECKS: dict[str, Callable[[Candidate], bool]] = {
    **dict.fromkeys(
        ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "PRELU"),
        _elementwise,
    ),
    **dict.fromkeys(("AVERAGE_POOL_2D", "SPACE_TO_DEPTH"), _is_image),
    "MAX_POOL_2D": _holds_image,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _reduced),
    **dict.fromkeys(("SOFTMAX", "SLICE"), _has_dimensions),
    "BATCH_MATMUL": _multiplied,
    "CONCATENATION": _joined,
    "CONV_2D": _convolved,
    "DEPTHWISE_CONV_2D": _convolved_by_channel,
    "FULLY_CONNECTED": _connected,
    "RESHAPE": _reshaped,
    "RESIZE_BILINEAR": _resized,
    "DEPTH_TO_SPACE": _blocks_spread,
    "SPLIT": _parted,
    "TRANSPOSE": _transposed,
    "TRANSPOSE_CONV": _strides_forward,
}
