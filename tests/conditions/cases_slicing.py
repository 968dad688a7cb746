"""Conditions of SLICE and STRIDED_SLICE in LiteRT and tflite-runtime."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere
from tests.conditions.moving import Given, constant, moved


def _sliced(begin: int = 1, kind: str = "FLOAT32", scale: float | None = None) -> ts.Model:
    source = Given([4, 4], kind, None if scale is None else 0.5)
    inputs = [source, constant([begin, 0]), constant([3, 2])]
    return moved("SLICE", inputs, [Given([3, 2], kind, scale)], "SliceOptions")


def _strided(stride: int = 1, rank: int = 2, scale: float | None = None) -> ts.Model:
    shape = [1] * (rank - 1) + [4]
    kind = "FLOAT32" if scale is None else "INT16"
    source = Given(shape, kind, None if scale is None else 0.5)
    inputs = [source, constant([0] * rank), constant(shape), constant([1] * (rank - 1) + [stride])]
    return moved("STRIDED_SLICE", inputs, [Given(shape, kind, scale)], "StridedSliceOptions")


CASES = [
    Case(
        "slice",
        "slice-bounds",
        _sliced,
        lambda: _sliced(2),
        {"litert-no-delegate": "refuses", "tflite-2.14": "wrong-numbers", "tflm": "wrong-numbers"},
    ),
    Case("strided-slice", "slice-bounds", _strided, lambda: _strided(0), everywhere("refuses")),
    Case(
        "strided-slice-rank-2-14",
        "rank-limit",
        lambda: _strided(rank=4),
        lambda: _strided(rank=6),
        {"tflite-2.14": "refuses", "tflm": "refuses"},
    ),
    Case(
        "pad-same-quant-unchecked/SLICE",
        "same-quantization",
        lambda: _sliced(kind="INT16", scale=0.5),
        lambda: _sliced(kind="INT16", scale=0.6),
        everywhere("wrong-numbers"),
    ),
    Case(
        "pad-same-quant-unchecked/STRIDED_SLICE",
        "same-quantization",
        lambda: _strided(scale=0.5),
        lambda: _strided(scale=0.6),
        everywhere("wrong-numbers"),
    ),
]
