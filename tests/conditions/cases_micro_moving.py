"""Conditions of TFLM's kernels that join, part, pad, reshape and slice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import tflite_surgeon as ts
from tests.conditions.case import Case, tflite
from tests.conditions.moving import Given, constant, moved

_REFUSES, _WRONG = {"tflm": "refuses"}, {"tflm": "wrong-numbers"}


def _joined(kind: str = "INT8", count: int = 2, scale: float = 0.5) -> ts.Model:
    quantised = None if kind in ("FLOAT32", "INT64") else 0.5
    inputs = [Given([1, 2], kind, quantised)] * count
    result = Given([1, 2 * count], kind, quantised and scale)
    return moved("CONCATENATION", inputs, [result], "ConcatenationOptions", version=3, axis=1)


def _stored(length: int) -> ts.Model:
    inputs = [Given([1, 2]), Given([1, 2])]
    return moved("CONCATENATION", inputs, [Given([1, length])], "ConcatenationOptions", axis=1)


def _packed(scale: float = 0.5) -> ts.Model:
    inputs = [Given([3], "INT8", 0.5)] * 2
    return moved("PACK", inputs, [Given([2, 3], "INT8", scale)], "PackOptions", version=2, values_count=2)


def _packed_type(kind: str) -> ts.Model:
    return moved("PACK", [Given([3], kind)] * 2, [Given([2, 3], kind)], "PackOptions", version=2, values_count=2)


def _split(axis: Given, operator: str = "SPLIT") -> ts.Model:
    halves = [Given([2, 2])] * 2
    if operator == "SPLIT":
        return moved("SPLIT", [axis, Given([4, 2])], halves, "SplitOptions", num_splits=2)
    return moved("SPLIT_V", [Given([4, 2]), constant([2, 2]), axis], halves, "SplitVOptions", num_splits=2)


_FIRST, _AXIS, _COMPUTED_AXIS = constant([0]), constant([1]), Given([1], "INT32")
_NO_PADDING, _AROUND = [[0, 0], [0, 0]], [[1, 1], [1, 1]]


def _padded(
    shape: Sequence[int] = (4, 4),
    kind: str = "FLOAT32",
    scale: float | None = None,
    zero_point: int = 0,
    paddings: Given | None = None,
) -> ts.Model:
    result = Given(shape, kind, scale, zero_point)
    source = Given([2, 2], kind, scale, zero_point)
    version = 1 if kind == "FLOAT32" else 2
    return moved("PAD", [source, paddings or constant(_AROUND)], [result], "PadOptions", version=version)


def _filled(scale: float = 0.5, zero_point: int = 0) -> ts.Model:
    inputs = [Given([2, 2], "INT8", 0.5), constant(_AROUND), constant([0], "INT8", scale, zero_point)]
    return moved("PADV2", inputs, [Given([4, 4], "INT8", 0.5)], "PadV2Options", version=2)


def _reshaped(kind: str = "INT8", shape: Sequence[int] = (2, 3)) -> ts.Model:
    source, result = Given([6], "INT8", 0.5), Given(shape, kind, 0.5)
    return moved("RESHAPE", [source, constant([2, 3])], [result], "ReshapeOptions", new_shape=[2, 3])


def _squeezed(stored: Sequence[int]) -> ts.Model:
    return moved("SQUEEZE", [Given([1, 3])], [Given(stored)], "SqueezeOptions", squeeze_dims=[0])


def _expanded(axis: Given = _AXIS, stored: Sequence[int] = (2, 1, 3), kind: str = "FLOAT32") -> ts.Model:
    return moved("EXPAND_DIMS", [Given([2, 3], kind), axis], [Given(stored, kind)], "ExpandDimsOptions")


def _transposed(rank: int = 5, kind: str = "FLOAT32") -> ts.Model:
    perm = [*range(rank - 2), rank - 1, rank - 2]
    lengths = [1] * (rank - 2)
    source, result = Given([*lengths, 2, 3], kind), Given([*lengths, 3, 2], kind)
    return moved("TRANSPOSE", [source, constant(perm)], [result], "TransposeOptions", version=4)


def _sliced(rank: int) -> ts.Model:
    shape = [1] * (rank - 1) + [4]
    inputs = [Given(shape), constant([0] * rank), constant(shape)]
    return moved("SLICE", inputs, [Given(shape)], "SliceOptions", version=5 if rank > 5 else 1)


def _sliced_type(kind: str) -> ts.Model:
    return moved("SLICE", [Given([4], kind), constant([0]), constant([2])], [Given([2], kind)], "SliceOptions")


def _strided(rank: int = 2, stored: int = 2) -> ts.Model:
    shape = [1] * (rank - 1) + [4]
    inputs = [Given(shape), constant([0] * rank), constant(shape), constant([1] * (rank - 1) + [2])]
    result = Given([*shape[:-1], stored])
    return moved("STRIDED_SLICE", inputs, [result], "StridedSliceOptions", version=1 if rank < 5 else 4)


def _updated(kind: str = "FLOAT32") -> ts.Model:
    inputs = [Given([4], kind), Given([2], kind), constant([1])]
    return moved("DYNAMIC_UPDATE_SLICE", inputs, [Given([4], kind)], "DynamicUpdateSliceOptions")


CASES = [
    Case("concat-types-tflm", "operator-types", _joined, partial(_joined, "UINT8"), _REFUSES),
    Case("concat-types-tflm/count", "tensor-count", partial(_joined, count=10), partial(_joined, count=11), _REFUSES),
    Case("concat-stored-shape-tflm", "stored-shape", partial(_stored, 4), partial(_stored, 5), _WRONG),
    Case(
        "pack-tflm",
        "same-quantization",
        _packed,
        partial(_packed, 0.6),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "pack-types-tflm", "operator-types", partial(_packed_type, "FLOAT32"), partial(_packed_type, "UINT8"), _REFUSES
    ),
    Case(
        "split-axis-const-tflm",
        "constant-needed",
        partial(_split, _FIRST),
        partial(_split, _COMPUTED_AXIS),
        _REFUSES,
    ),
    Case(
        "split-axis-const-tflm/lengths",
        "constant-needed",
        partial(_split, _FIRST, "SPLIT_V"),
        partial(_split, _COMPUTED_AXIS, "SPLIT_V"),
        _REFUSES,
    ),
    Case("pad-tflm", "output-shape", _padded, partial(_padded, (4, 5)), _REFUSES),
    Case(
        "pad-tflm/constant",
        "constant-needed",
        _padded,
        partial(_padded, paddings=Given([2, 2], "INT32")),
        _REFUSES,
    ),
    Case("pad-types-tflm", "operator-types", _padded, partial(_padded, kind="INT64"), _REFUSES),
    Case("reshape-tflm", "element-count", _reshaped, partial(_reshaped, shape=(2, 4)), _REFUSES),
    Case("squeeze-stored-shape-tflm", "output-shape", partial(_squeezed, [3]), partial(_squeezed, [2]), _REFUSES),
    Case("expand-dims-shape-tflm", "output-shape", _expanded, partial(_expanded, stored=(2, 3, 1)), _REFUSES),
    Case("expand-dims-const-tflm", "constant-needed", _expanded, partial(_expanded, _COMPUTED_AXIS), _REFUSES),
    Case("expand-dims-types-tflm", "operator-types", _expanded, partial(_expanded, kind="INT32"), _REFUSES),
    Case("transpose-rank-tflm", "rank-limit", _transposed, partial(_transposed, 6), _REFUSES),
    Case("transpose-types-tflm", "operator-types", _transposed, partial(_transposed, kind="INT32"), _REFUSES),
    Case(
        "slice-rank-tflm",
        "rank-limit",
        partial(_sliced, 5),
        partial(_sliced, 6),
        {"tflite-2.14": "refuses", "tflm": "crashes"},
    ),
    Case(
        "slice-types-tflm", "operator-types", partial(_sliced_type, "INT16"), partial(_sliced_type, "UINT8"), _REFUSES
    ),
    Case("strided-slice-rank-tflm", "rank-limit", partial(_strided, 4), partial(_strided, 5), _REFUSES),
    Case("strided-slice-shape-tflm", "output-shape", _strided, partial(_strided, stored=3), _REFUSES),
    Case("update-slice-types-tflm", "operator-types", _updated, partial(_updated, "BOOL"), _REFUSES),
]
