"""Conditions of TFLM's kernels that pick by index, resize images, move blocks, fill and broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import tflite_surgeon as ts
from tests.conditions.case import Case, tflite
from tests.conditions.moving import Given, constant, moved
from tflite_surgeon.flatbuffer.schema import enum_class

_REFUSES, _WRONG = {"tflm": "refuses"}, {"tflm": "wrong-numbers"}


def _gathered(kind: str = "FLOAT32", positions: str = "INT32") -> ts.Model:
    inputs = [Given([4, 3], kind), constant([0, 2], positions)]
    return moved("GATHER", inputs, [Given([2, 3], kind)], "GatherOptions", version=2)


def _gathered_deep(kind: str = "FLOAT32") -> ts.Model:
    inputs = [Given([4, 3], kind), constant([[0], [2]])]
    return moved("GATHER_ND", inputs, [Given([2, 3], kind)], "GatherNdOptions", version=2)


def _resized(
    size: Sequence[int] = (4, 4), operator: str = "RESIZE_BILINEAR", kind: str = "INT8", stored: int = 4
) -> ts.Model:
    scale = 0.5 if kind == "INT8" else None
    result = Given([1, stored, 4, 1], kind, scale)
    options = {"RESIZE_BILINEAR": "ResizeBilinearOptions"}.get(operator, "ResizeNearestNeighborOptions")
    inputs = [Given([1, 2, 2, 1], kind, scale), constant(size)]
    return moved(operator, inputs, [result], options, version=2 if kind == "INT8" else 3)


def _depth(operator: str, kind: str) -> ts.Model:
    options = {"DEPTH_TO_SPACE": "DepthToSpaceOptions"}.get(operator, "SpaceToDepthOptions")
    shapes = ([1, 1, 1, 4], [1, 2, 2, 1])
    first, second = shapes if operator == "DEPTH_TO_SPACE" else shapes[::-1]
    return moved(operator, [Given(first, kind)], [Given(second, kind)], options, block_size=2)


def _filled(stored: Sequence[int] = (2, 3), dims: Given | None = None, kind: str = "FLOAT32") -> ts.Model:
    inputs = [dims or constant([2, 3]), Given([], kind)]
    return moved("FILL", inputs, [Given(stored, kind)], "FillOptions")


def _broadcast(rank: int = 2, stored: Sequence[int] | None = None) -> ts.Model:
    lengths = [1] * (rank - 1) + [3]
    wanted = [2, *lengths[1:]]
    inputs = [Given(lengths), constant(wanted)]
    return moved("BROADCAST_TO", inputs, [Given(stored or wanted)], "BroadcastToOptions", version=2)


def _shape(kind: str) -> ts.Model:
    values = {"out_type": enum_class("TensorType")[kind]}
    return moved("SHAPE", [Given([2, 3])], [Given([2], kind)], "ShapeOptions", **values)


def _packed(length: int) -> ts.Model:
    parts = [Given([1, 2])] * 2
    return moved("CONCATENATION", parts, [Given([1, length])], "ConcatenationOptions", axis=1)


CASES = [
    Case("gather-types-tflm", "operator-types", _gathered, partial(_gathered, "INT16"), _REFUSES),
    Case("gather-types-tflm/positions", "operator-types", _gathered, partial(_gathered, positions="INT64"), _REFUSES),
    Case("gather-nd-types-tflm", "operator-types", _gathered_deep, partial(_gathered_deep, "INT16"), _REFUSES),
    Case(
        "resize-size-tflm",
        "positive-size",
        _resized,
        partial(_resized, (0, 4)),
        {**tflite("refuses"), "tflm": "crashes"},
    ),
    Case("resize-types-tflm", "operator-types", _resized, partial(_resized, kind="INT16"), _REFUSES),
    Case("resize-stored-shape-tflm", "stored-shape", _resized, partial(_resized, stored=5), _WRONG),
    *(
        Case(
            f"{name}-types-tflm",
            "operator-types",
            partial(_depth, operator, "FLOAT32"),
            partial(_depth, operator, "INT32"),
            _REFUSES,
        )
        for name, operator in (("d2s", "DEPTH_TO_SPACE"), ("s2d", "SPACE_TO_DEPTH"))
    ),
    Case("fill-shape-tflm", "output-shape", _filled, partial(_filled, (2, 2)), _REFUSES),
    Case("fill-const-tflm", "constant-needed", _filled, partial(_filled, dims=Given([2], "INT32")), _REFUSES),
    Case("fill-types-tflm", "operator-types", _filled, partial(_filled, kind="INT64"), _REFUSES),
    Case("broadcast-to-shape-tflm", "output-shape", _broadcast, partial(_broadcast, stored=(2, 4)), _REFUSES),
    Case("broadcast-to-rank-tflm", "rank-limit", partial(_broadcast, 5), partial(_broadcast, 6), _REFUSES),
    Case("shape-types-tflm", "operator-types", partial(_shape, "INT32"), partial(_shape, "INT64"), _REFUSES),
    Case("tflm-no-dynamic", "dynamic-shape", partial(_packed, 4), partial(_packed, 0), _REFUSES),
]
