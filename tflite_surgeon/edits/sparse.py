"""Sparse constants: what their tables describe, and the same values stored densely."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Tensor
from tflite_surgeon.model.values import byte_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

DENSE, SPARSE = 0, 1
# A damaged table must not cost the memory of what it claims.
_MOST_ELEMENTS = 1 << 31


def dense_bytes(tensor: Tensor) -> bytes:
    """The bytes of a sparse constant with all its elements.

    Source: LiteRT kernels/internal/utils/sparsity_format_converter.cc.

    Raises:
        SurgeonError: the tables do not describe the tensor, or not so many values are stored.
    """
    import numpy as np

    size = byte_count(tensor.type_name, 1)
    data = tensor.data
    shape = tensor.shape or []
    if tensor.sparsity is None or data is None or size is None or tensor.type_name in ("INT4", "UINT4", "INT2"):
        raise SurgeonError(f"tensor {tensor.name!r} is no sparse constant of whole bytes")
    if not 0 <= prod(shape) <= _MOST_ELEMENTS:
        raise SurgeonError(f"tensor {tensor.name!r} of shape {shape} is larger than any constant")
    places = places_of(tensor)
    if len(data) != len(places) * size:
        raise SurgeonError(
            f"the tables of sparse tensor {tensor.name!r} describe {len(places)} values, "
            f"its buffer has {len(data)} bytes"
        )
    result = np.zeros((prod(shape), size), np.uint8)
    result[places] = np.frombuffer(data, np.uint8).reshape(-1, size)
    return result.tobytes()


def places_of(tensor: Tensor) -> NDArray[Any]:
    """The place of each stored value among all elements, row by row.

    Raises:
        SurgeonError: the tables do not describe the tensor.
    """
    import numpy as np

    shape, table = tensor.shape or [], tensor.sparsity
    order, parts = list(table.traversal_order or ()), list(table.dim_metadata or ())
    blocks = list(table.block_map or ())
    rank = len(shape)
    if (
        sorted(order) != list(range(rank + len(blocks)))
        or len(parts) != len(order)
        or not all(0 <= dimension < rank for dimension in blocks)
    ):
        raise SurgeonError(f"the tables of sparse tensor {tensor.name!r} do not fit its {rank} dimensions")
    sizes = [1] * rank
    for dimension, part in zip(order, parts):
        if dimension >= rank:
            sizes[blocks[dimension - rank]] = part.dense_size
    found = [np.zeros(1, np.int64) for _ in range(rank)]
    count = 1
    for dimension, part in zip(order, parts):
        parents, indices = _children(part, count, tensor)
        count = len(indices)
        if count > _MOST_ELEMENTS:
            raise SurgeonError(f"the tables of sparse tensor {tensor.name!r} describe more values than it has elements")
        found = [values[parents] for values in found]
        if dimension < rank:
            found[dimension] = found[dimension] + indices * sizes[dimension]
        else:
            found[blocks[dimension - rank]] = found[blocks[dimension - rank]] + indices
    for values, length in zip(found, shape):
        if values.size and not 0 <= values.min() <= values.max() < length:
            raise SurgeonError(f"sparse tensor {tensor.name!r} has values beside its shape {shape}")
    places: NDArray[Any] = np.zeros(count, np.int64)
    for values, length in zip(found, shape):
        places = places * length + values
    return places


def _children(part: Any, count: int, tensor: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of each entry so far, which entries one level down it has: their parents, and their indices."""
    import numpy as np

    if part.format == DENSE:
        if not 0 <= part.dense_size * count <= _MOST_ELEMENTS:
            raise SurgeonError(f"a dimension of sparse tensor {tensor.name!r} has the size {part.dense_size}")
        return np.repeat(np.arange(count), part.dense_size), np.tile(np.arange(part.dense_size), count)
    segments, indices = vector_of(part.array_segments), vector_of(part.array_indices)
    if part.format != SPARSE or segments is None or indices is None:
        raise SurgeonError(f"a dimension of sparse tensor {tensor.name!r} lacks segments or indices")
    lengths = np.diff(segments)
    if len(segments) != count + 1 or (lengths < 0).any() or segments[0] != 0 or segments[-1] != len(indices):
        raise SurgeonError(f"the segments of sparse tensor {tensor.name!r} do not fit its indices")
    return np.repeat(np.arange(count), lengths), indices


def vector_of(table: Any) -> NDArray[Any] | None:
    """The numbers of a table such as Int32Vector; None where there is none."""
    import numpy as np

    values = getattr(table, "values", None)
    return None if values is None else np.array(list(values), np.int64)
