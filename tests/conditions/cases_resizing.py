"""Conditions of RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR and of blocks, in LiteRT and tflite-runtime."""

from __future__ import annotations

from functools import partial
from typing import Any

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tests.conditions.moving import Given, constant, moved


def _resized(
    height: int = 4,
    kind: str = "FLOAT32",
    scale: float | None = None,
    operator: str = "RESIZE_BILINEAR",
    size_kind: str = "INT32",
    **options: Any,
) -> ts.Model:
    source = Given([1, 2, 2, 1], kind, None if scale is None else 0.5)
    table = "ResizeBilinearOptions" if operator == "RESIZE_BILINEAR" else "ResizeNearestNeighborOptions"
    inputs = [source, constant([height, 4], size_kind)]
    return moved(operator, inputs, [Given([1, height, 4, 1], kind, scale)], table, version=3, **options)


def _to_space(depth: int, scale: float | None = None) -> ts.Model:
    kind = "FLOAT32" if scale is None else "UINT8"
    source = Given([1, 2, 2, depth], kind, None if scale is None else 0.5)
    result = Given([1, 4, 4, depth // 4], kind, scale)
    return moved("DEPTH_TO_SPACE", [source], [result], "DepthToSpaceOptions", block_size=2)


def _to_depth(height: int, scale: float | None = None) -> ts.Model:
    kind = "FLOAT32" if scale is None else "INT8"
    source = Given([1, height, 4, 1], kind, None if scale is None else 0.5)
    result = Given([1, height // 2, 2, 4], kind, scale)
    return moved("SPACE_TO_DEPTH", [source], [result], "SpaceToDepthOptions", block_size=2)


def _batched(operator: str, scale: float) -> ts.Model:
    image, batch = [1, 2, 2, 1], [4, 1, 1, 1]
    source, result = (image, batch) if operator == "SPACE_TO_BATCH_ND" else (batch, image)
    inputs = [Given(source, "INT8", 0.5), constant([2, 2]), constant([[0, 0], [0, 0]])]
    return moved(operator, inputs, [Given(result, "INT8", scale)], version=2)


CASES = [
    Case(
        "resize-nn",
        "operator-types",
        partial(_resized, operator="RESIZE_NEAREST_NEIGHBOR"),
        partial(_resized, operator="RESIZE_NEAREST_NEIGHBOR", size_kind="INT64"),
        everywhere("refuses"),
    ),
    Case(
        "resize-bilinear",
        "option-value",
        partial(_resized, align_corners=True),
        partial(_resized, align_corners=True, half_pixel_centers=True),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case(
        "resize-size",
        "positive-size",
        _resized,
        partial(_resized, 0),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "d2s",
        "block-size",
        lambda: _to_space(4),
        lambda: _to_space(6),
        {**own_kernels("refuses"), "tflm": "refuses"},
    ),
    Case("s2d", "block-size", lambda: _to_depth(4), lambda: _to_depth(5), everywhere("refuses")),
    *(
        Case(
            f"pad-same-quant-unchecked/{operator}",
            "same-quantization",
            partial(_resized, 4, "INT8", 0.5, operator),
            partial(_resized, 4, "INT8", 0.6, operator),
            {**own_kernels("wrong-numbers"), **others},
        )
        for operator, others in (
            ("RESIZE_BILINEAR", {"tflm": "wrong-numbers"}),
            ("RESIZE_NEAREST_NEIGHBOR", {"litert": "wrong-numbers", "tflm": "wrong-numbers"}),
        )
    ),
    Case(
        "pad-same-quant-unchecked/DEPTH_TO_SPACE",
        "same-quantization",
        lambda: _to_space(4, 0.5),
        lambda: _to_space(4, 0.6),
        {**own_kernels("wrong-numbers"), "tflm": "wrong-numbers"},
    ),
    Case(
        "pad-same-quant-unchecked/SPACE_TO_DEPTH",
        "same-quantization",
        lambda: _to_depth(4, 0.5),
        lambda: _to_depth(4, 0.6),
        {**own_kernels("wrong-numbers"), "tflm": "wrong-numbers"},
    ),
    *(
        Case(
            f"pad-same-quant-unchecked/{operator}",
            "same-quantization",
            partial(_batched, operator, 0.5),
            partial(_batched, operator, 0.6),
            {**tflite("refuses"), "tflm": "wrong-numbers"},
        )
        for operator in ("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND")
    ),
]
