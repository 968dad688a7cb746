"""Estimated multiply-accumulates: products that are summed, as the layer's definition has them.

Counted for convolutions, fully connected layers, matrix products and recurrent layers; additions, activations and
pooling are not. A kernel may do fewer (sparse weights, Winograd) or more (padding of its own).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tflite_surgeon.model.objects import Operator, SubGraph, Tensor

Shape = Sequence[int]


def multiply_accumulates(operator: Operator) -> int | None:
    """Of one evaluation with the shapes that the file has, open dimensions as there; 0 for other kinds of operators.

    None where a shape that the count needs is missing, negative or of another rank.
    """
    count = _COUNTS.get(operator.name)
    if count is None:
        return 0
    try:
        found = count(operator)
    except (_Unknown, IndexError, ZeroDivisionError):
        return None
    return found


def of_subgraph(subgraph: SubGraph) -> tuple[int, int]:
    """(the sum over its operators, how many of them could not be counted)."""
    counts = [multiply_accumulates(operator) for operator in subgraph.operators or ()]
    return sum(count for count in counts if count is not None), counts.count(None)


class _Unknown(Exception):
    pass


def _shape(tensors: Sequence[object] | None, position: int) -> list[int]:
    tensor = tensors[position] if tensors and position < len(tensors) else None
    if not isinstance(tensor, Tensor) or not tensor.shape or min(tensor.shape) < 0:
        raise _Unknown
    return list(tensor.shape)


def _rank(shape: list[int], rank: int) -> list[int]:
    if len(shape) != rank:
        raise _Unknown
    return shape


def _convolution(operator: Operator) -> int:
    """Every output element sums a window: weights [out, ..., in]; of grouped ones [out, ..., in / groups]."""
    return prod(_shape(operator.outputs, 0)) * prod(_rank(_shape(operator.inputs, 1), 4)[1:])


def _depthwise(operator: Operator) -> int:
    """Every output element sums a window of one channel: weights [1, height, width, out]."""
    _, height, width, _ = _rank(_shape(operator.inputs, 1), 4)
    return prod(_shape(operator.outputs, 0)) * height * width


def _transposed(weights: int, source: int) -> Callable[[Operator], int]:
    """Every input element is spread over a window of all output channels: weights [out, height, width, in]."""

    def count(operator: Operator) -> int:
        return prod(_shape(operator.inputs, source)) * prod(_rank(_shape(operator.inputs, weights), 4)[:3])

    return count


def _convolution_3d(operator: Operator) -> int:
    """Weights [depth, height, width, in, out]."""
    return prod(_shape(operator.outputs, 0)) * prod(_rank(_shape(operator.inputs, 1), 5)[:4])


def _transposed_3d(operator: Operator) -> int:
    """Weights [depth, height, width, out, in]."""
    return prod(_shape(operator.inputs, 2)) * prod(_rank(_shape(operator.inputs, 1), 5)[:4])


def _fully_connected(operator: Operator) -> int:
    """Each input row meets every weight: weights [units, depth]."""
    units, depth = _rank(_shape(operator.inputs, 1), 2)
    return prod(_shape(operator.inputs, 0)) // depth * depth * units


def _matrix_product(operator: Operator) -> int:
    """Every output element sums a row times a column."""
    first = _shape(operator.inputs, 0)
    depth = first[-2] if getattr(operator.builtin_options, "adj_x", False) else first[-1]
    return prod(_shape(operator.outputs, 0)) * depth


def _dot_general(operator: Operator) -> int:
    """Every output element sums over the dimensions that are contracted."""
    first = _shape(operator.inputs, 0)
    contracted: list[int] | None = getattr(operator.builtin_options_2, "lhs_contracting_dimensions", None)
    if contracted is None:
        raise _Unknown
    return prod(_shape(operator.outputs, 0)) * prod(first[dimension] for dimension in contracted)


def _recurrent(operator: Operator) -> int:
    """Each step multiplies every weight once: the input's rows are steps and batches, [..., depth]."""
    from tflite_surgeon.views.tensors import WEIGHTS, learned

    steps = prod(_shape(operator.inputs, 0)[:-1])
    shapes = [tensor.shape or [] for tensor, kind in learned(operator) if kind == WEIGHTS]
    return steps * sum(prod(shape) for shape in shapes if len(shape) == 2)


def _svdf(operator: Operator) -> int:
    """Each batch meets the feature weights [filters, depth] and the time weights [filters, memory]."""
    batch = _rank(_shape(operator.inputs, 0), 2)[0]
    return batch * (prod(_shape(operator.inputs, 1)) + prod(_shape(operator.inputs, 2)))


_COUNTS: dict[str, Callable[[Operator], int]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed(1, 2),
    "Convolution2DTransposeBias": _transposed(1, 0),
    "CONV_3D": _convolution_3d,
    "CONV_3D_TRANSPOSE": _transposed_3d,
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _matrix_product,
    "STABLEHLO_DOT_GENERAL": _dot_general,
    "SVDF": _svdf,
    **dict.fromkeys(
        (
            "LSTM",
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            "RNN",
            "UNIDIRECTIONAL_SEQUENCE_RNN",
            "BIDIRECTIONAL_SEQUENCE_RNN",
        ),
        _recurrent,
    ),
}
