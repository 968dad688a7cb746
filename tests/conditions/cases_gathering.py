"""Conditions of GATHER, GATHER_ND, TILE, BROADCAST_TO and REVERSE_V2 in LiteRT and tflite-runtime."""

from __future__ import annotations

from collections.abc import Sequence

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, tflite
from tests.conditions.moving import Given, constant, moved


def _gathered(
    positions: Sequence[int] = (0, 2), kind: str = "INT32", axis: int = 0, scale: float | None = None
) -> ts.Model:
    source = Given([3, 3], "INT8", None if scale is None else 0.5)
    inputs = [source, constant(list(positions), kind)]
    return moved("GATHER", inputs, [Given([2, 3], "INT8", scale)], "GatherOptions", version=2, axis=axis)


def _gathered_nd(positions: Sequence[int] = (0, 2), depth: int = 1, scale: float | None = None) -> ts.Model:
    source = Given([3, 4], "INT8", None if scale is None else 0.5)
    rows = constant([[position] * depth for position in positions])
    return moved("GATHER_ND", [source, rows], [Given([2, 4], "INT8", scale)], "GatherNdOptions", version=3)


def _tiled(counts: Sequence[int] = (1, 2), scale: float | None = None) -> ts.Model:
    kind = "INT32" if scale is None else "INT8"
    source = Given([2, 3], kind, None if scale is None else 0.5)
    return moved("TILE", [source, constant(list(counts))], [Given([2, 6], kind, scale)], "TileOptions", version=2)


def _broadcast(shape: Sequence[int] = (2, 3), scale: float | None = None, version: int = 2) -> ts.Model:
    kind = "FLOAT32" if scale is None else "INT16"
    source = Given([2, 1], kind, None if scale is None else 0.5)
    inputs = [source, constant(list(shape))]
    return moved("BROADCAST_TO", inputs, [Given(shape, kind, scale)], "BroadcastToOptions", version=version)


def _reversed(scale: float) -> ts.Model:
    source, result = Given([2, 3], "INT16", 0.5), Given([2, 3], "INT16", scale)
    return moved("REVERSE_V2", [source, constant([1])], [result], "ReverseV2Options", version=3)


CASES = [
    Case("gather", "operator-types", _gathered, lambda: _gathered(kind="UINT8"), everywhere("refuses")),
    Case("gather-axis", "axis", lambda: _gathered(axis=0), lambda: _gathered(axis=2), everywhere("refuses")),
    # TFLM refuses without a text of its own, so that nothing it prints names the rule.
    Case(
        "gather-bounds", "index-bounds", _gathered, lambda: _gathered((0, 3)), everywhere("refuses"), in_reality=False
    ),
    Case("gather-nd", "dimension-match", _gathered_nd, lambda: _gathered_nd(depth=3), everywhere("refuses")),
    Case("tile", "dimension-match", _tiled, lambda: _tiled((2,)), tflite("refuses")),
    Case(
        "broadcast-to-version",
        "operator-version",
        _broadcast,
        lambda: _broadcast(version=1),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "refuses"},
    ),
    Case("broadcast-to", "broadcast", _broadcast, lambda: _broadcast((3, 3)), everywhere("refuses")),
    Case(
        "pad-same-quant-unchecked/GATHER",
        "same-quantization",
        lambda: _gathered(scale=0.5),
        lambda: _gathered(scale=0.6),
        everywhere("wrong-numbers"),
    ),
    Case(
        "pad-same-quant-unchecked/GATHER_ND",
        "same-quantization",
        lambda: _gathered_nd(scale=0.5),
        lambda: _gathered_nd(scale=0.6),
        everywhere("wrong-numbers"),
    ),
    Case(
        "pad-same-quant-unchecked/TILE",
        "same-quantization",
        lambda: _tiled(scale=0.5),
        lambda: _tiled(scale=0.6),
        tflite("wrong-numbers"),
    ),
    Case(
        "pad-same-quant-unchecked/BROADCAST_TO",
        "same-quantization",
        lambda: _broadcast(scale=0.5),
        lambda: _broadcast(scale=0.6),
        everywhere("wrong-numbers"),
    ),
    Case(
        "pad-same-quant-unchecked/REVERSE_V2",
        "same-quantization",
        lambda: _reversed(0.5),
        lambda: _reversed(0.6),
        everywhere("wrong-numbers"),
    ),
]
