"""Conditions of comparisons, of MAXIMUM and MINIMUM, and of LOGICAL_AND."""

from __future__ import annotations

from collections.abc import Sequence

import tflite_surgeon as ts
from tests.builders import Net, steps
from tests.conditions.case import Case, everywhere, tflite

_QUANTISED = ("INT8", "UINT8", "INT16")


def _compare(
    operator: str = "GREATER",
    kinds: str | Sequence[str] = "INT8",
    scales: Sequence[float | None] = (0.5, 0.5),
    *,
    shapes: Sequence[Sequence[int]] = ([1, 4], [1, 4], [1, 4]),
    version: int = 1,
) -> ts.Model:
    first_kind, second_kind = [kinds] * 2 if isinstance(kinds, str) else kinds
    net = Net()
    first = net.tensor("first", shapes[0], first_kind, scales[0] if first_kind in _QUANTISED else None)
    second = net.tensor("second", shapes[1], second_kind, scales[1] if second_kind in _QUANTISED else None)
    result = net.tensor("output", shapes[2], "BOOL")
    net.operator(operator, version, [first, second], [result])
    return net.model([first, second], [result])


def _extreme(scales: Sequence[float] = (0.5, 0.5, 0.5), *, operator: str = "MAXIMUM", second: str = "INT8") -> ts.Model:
    net = Net()
    inputs = [net.tensor("first", [1, 4], "INT8", scales[0]), net.tensor("second", [1, 4], second, scales[1])]
    result = net.tensor("output", [1, 4], "INT8", scales[2])
    net.operator(operator, 2, inputs, [result], "MaximumMinimumOptions")
    return net.model(inputs, [result])


def _logical(kinds: Sequence[str] = ("BOOL", "BOOL")) -> ts.Model:
    net = Net()
    inputs = [net.tensor(f"input_{number}", [1, 4], kind) for number, kind in enumerate(kinds)]
    result = net.tensor("output", [1, 4], "BOOL")
    net.operator("LOGICAL_AND", 1, inputs, [result], "LogicalAndOptions")
    return net.model(inputs, [result])


CASES = [
    Case(
        "compare-scale",
        "comparison-scale",
        lambda: _compare(scales=(0.5, steps(1.0, -1))),
        lambda: _compare(scales=(0.5, 1.0)),
        everywhere("crashes"),
    ),
    Case(
        "compare-scale/zero",
        "comparison-scale",
        lambda: _compare("LESS"),
        lambda: _compare("LESS", scales=(0.0, 0.5)),
        everywhere("crashes"),
    ),
    Case(
        "compare-scale/unquantised",
        "missing-quantization",
        lambda: _compare("EQUAL", "UINT8"),
        lambda: _compare("EQUAL", "UINT8", (None, 0.5)),
        tflite("crashes"),
    ),
    Case(
        "compare-scale-tflm",
        "comparison-scale",
        lambda: _compare("LESS", scales=(0.5, steps(1.0, -1))),
        lambda: _compare("LESS", scales=(0.5, 2.0)),
        {**tflite("wrong-numbers"), "tflm": "crashes"},
    ),
    Case(
        "requant-greater-than-one/comparison",
        "comparison-scale",
        lambda: _compare("NOT_EQUAL", "UINT8", (0.5, 0.5)),
        lambda: _compare("NOT_EQUAL", "UINT8", (0.5, 1.0)),
        tflite("crashes"),
    ),
    Case(
        "compare-16-bits",
        "same-quantization",
        lambda: _compare("LESS", "INT16"),
        lambda: _compare("LESS", "INT16", (0.5, 0.25)),
        tflite("wrong-numbers"),
    ),
    Case(
        "compare-16-bits/unquantised",
        "missing-quantization",
        lambda: _compare("NOT_EQUAL", "INT16"),
        lambda: _compare("NOT_EQUAL", "INT16", (None, None)),
        {"litert": "wrong-numbers", "litert-no-delegate": "wrong-numbers"},
    ),
    Case(
        "compare-dtype",
        "same-type",
        lambda: _compare(kinds="FLOAT32"),
        lambda: _compare(kinds=("FLOAT32", "INT32")),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "compare-types",
        "operator-types",
        lambda: _compare("EQUAL", "BOOL"),
        lambda: _compare("LESS", "BOOL"),
        everywhere("refuses"),
    ),
    Case(
        "compare-types/int16",
        "operator-types",
        lambda: _compare("GREATER", "INT8"),
        lambda: _compare("GREATER", "INT16"),
        {"tflite-2.14": "refuses"},
    ),
    Case(
        "add-broadcast/comparison",
        "broadcast",
        lambda: _compare(kinds="INT32", shapes=([1, 4], [1, 1], [1, 4])),
        lambda: _compare(kinds="INT32", shapes=([1, 4], [1, 3], [1, 4])),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "broadcast-rank-2-14/comparison",
        "rank-limit",
        lambda: _compare("LESS", "INT32", shapes=([2] * 4, [1], [2] * 4)),
        lambda: _compare("LESS", "INT32", shapes=([2] * 5, [1], [2] * 5)),
        {"tflite-2.14": "crashes"},
    ),
    Case("maxmin", "same-quantization", _extreme, lambda: _extreme((0.5, 0.25, 0.5)), everywhere("wrong-numbers")),
    Case(
        "maxmin/output",
        "same-quantization",
        lambda: _extreme(operator="MINIMUM"),
        lambda: _extreme((0.5, 0.5, 0.25), operator="MINIMUM"),
        everywhere("wrong-numbers"),
    ),
    Case(
        "maxmin/types",
        "same-type",
        _extreme,
        lambda: _extreme(second="UINT8"),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case("logical-types", "operator-types", _logical, lambda: _logical(("INT8", "INT8")), tflite("refuses")),
]
