"""The description of a sparse constant as a loader reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.problems import Place, Problem, Said

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Tensor

_INCOMPLETE = Said("sparsity", None, "Invalid sparsity parameter.")
_FORMAT = Said("sparsity", None, "The {}th dimension has unknown type: {}")
_INDICES = Said("sparsity", None, "The {}th sparse dimension has invalid parameters.")

_DENSE, _SPARSE = 0, 1
_INDEX_TABLES = ("Int32Vector", "Uint16Vector", "Uint8Vector")


def problems(tensor: Tensor, number: int, index: int) -> Iterator[Problem]:
    """What is wrong with a constant's sparsity: the first thing."""
    sparsity = tensor.sparsity
    place = Place(index)
    if sparsity.traversal_order is None or sparsity.dim_metadata is None:
        missing = "traversal order" if sparsity.traversal_order is None else "description of dimensions"
        yield refused(_INCOMPLETE, f"sparse tensor {number} has no {missing}", place=place, tensor=tensor)
        return
    for axis, dimension in enumerate(sparsity.dim_metadata):
        if dimension.format not in (_DENSE, _SPARSE):
            message = f"dimension {axis} of sparse tensor {number} is of the unknown form {int(dimension.format)}"
            yield refused(_FORMAT, message, place=place, tensor=tensor)
            return
        if dimension.format == _SPARSE and not (_has(dimension.array_segments) and _has(dimension.array_indices)):
            message = f"dimension {axis} of sparse tensor {number} lacks segments or indices"
            yield refused(_INDICES, message, place=place, tensor=tensor)
            return


def _has(vector: Any) -> bool:
    return getattr(vector, "table", "") in _INDEX_TABLES and vector.values is not None
