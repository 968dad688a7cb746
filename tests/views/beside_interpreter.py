"""A tensor's row beside what the interpreter says of the tensor before allocation."""

from __future__ import annotations

from math import prod

import numpy as np

from tflite_surgeon.runtime import Run, TensorDetail
from tflite_surgeon.views.rows import TensorRow

# numpy has no integers of less than a byte: the interpreter gives these as int8, and strings and handles as bytes.
_IN_DETAILS = {"int4": "int8", "int2": "int8", "uint4": "uint8", "string": "bytes", "resource": "bytes"}
_PACKED = {"int4": 4, "int2": 2, "uint4": 4}
_BLOCKWISE = "BlockwiseQuantization"


def compare(rows: list[TensorRow], told: Run, runtime: str) -> int:
    """Compare every tensor that the interpreter tells of; how many those are."""
    by_place = {(row.subgraph, row.number): row for row in rows}
    places = [(subgraph, number) for subgraph, details in enumerate(told.tensors) for number in details]
    for subgraph, number in places:
        _agree(by_place[subgraph, number], told.tensors[subgraph][number], runtime)
    return len(places)


def _agree(row: TensorRow, detail: TensorDetail, runtime: str) -> None:
    assert row.dtype == detail.dtype or _IN_DETAILS[row.dtype] == detail.dtype
    assert tuple(row.shape) == detail.shape
    assert tuple(row.shape_signature or row.shape) == detail.shape_signature
    if row.scheme != _BLOCKWISE or runtime == "litert":  # tflite-runtime 2.14 does not know it.
        assert tuple(row.scale) == detail.scales
        assert tuple(row.zero_point) == detail.zero_points
        assert not detail.scales or row.quantized_dimension == detail.quantized_dimension
    assert row.bytes_of_shape == _bytes(row, detail)
    assert row.bytes == (None if -1 in detail.shape_signature else _bytes(row, detail))


def _bytes(row: TensorRow, detail: TensorDetail) -> int | None:
    """What an array of the detail's shape and type takes; packed integers share bytes."""
    if detail.dtype == "bytes":
        return None
    bits = _PACKED.get(row.dtype, 8 * np.dtype(detail.dtype).itemsize)
    return -(-prod(detail.shape) * bits // 8)
