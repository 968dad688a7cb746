"""Conditions of ADD, SUB, MUL and DIV on types, values and shapes."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tests.conditions.pairs import pair


def _stretched(operator: str, kind: str, rank: int, *, alternately: bool = False) -> ts.Model:
    """A second input that is stretched in its last dimension, or in every other one as the first is in the rest."""
    if alternately:
        shapes = [[2 if axis % 2 == side else 1 for axis in range(rank)] for side in (0, 1)]
    else:
        shapes = [[2] * rank, [*[2] * (rank - 1), 1]]
    return pair(operator, kind, shapes=(*shapes, [2] * rank))


CASES = [
    # Types
    Case(
        "add-types",
        "same-type",
        lambda: pair("ADD", "FLOAT32"),
        lambda: pair("ADD", ("FLOAT32", "INT32", "FLOAT32")),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "sub-types",
        "same-type",
        lambda: pair("SUB", "FLOAT32"),
        lambda: pair("SUB", ("FLOAT32", "INT32", "FLOAT32")),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "mul-types",
        "same-type",
        lambda: pair("MUL", "FLOAT32"),
        lambda: pair("MUL", ("FLOAT32", "INT32", "FLOAT32")),
        everywhere("refuses"),
    ),
    Case(
        "mul-types/output",
        "same-type",
        lambda: pair("MUL", "FLOAT32"),
        lambda: pair("MUL", ("FLOAT32", "FLOAT32", "INT8")),
        {**tflite("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "div-types",
        "same-type",
        lambda: pair("DIV", "FLOAT32"),
        lambda: pair("DIV", ("FLOAT32", "INT32", "FLOAT32")),
        everywhere("refuses"),
    ),
    Case(
        "div-eval-types",
        "operator-types",
        lambda: pair("DIV", "INT32", divisor=7),
        lambda: pair("DIV", "INT16", divisor=7),
        {"tflite-2.14": "refuses", "tflm": "refuses"},
    ),
    Case(
        "div-types-tflm",
        "operator-types",
        lambda: pair("DIV", "FLOAT32"),
        lambda: pair("DIV", "UINT8", divisor=7),
        {"tflm": "refuses"},
    ),
    # Values
    Case(
        "div-by-zero",
        "function-domain",
        lambda: pair("DIV", "UINT8", divisor=7),
        lambda: pair("DIV", "UINT8", zeros=(0, 7, 0), divisor=7),
        {"litert": "refuses", "litert-no-delegate": "refuses"},
    ),
    # TFLM refuses it without a text of its own.
    Case(
        "div-by-zero/int32",
        "function-domain",
        lambda: pair("DIV", "INT32", divisor=7),
        lambda: pair("DIV", "INT32", divisor=0),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "crashes", "tflm": "refuses"},
        in_reality=False,
    ),
    Case(
        "div-by-zero/computed",
        "function-domain",
        lambda: pair("DIV", "INT32", divisor=7),
        lambda: pair("DIV", "INT32"),
        everywhere("unknown"),
    ),
    # Shapes
    Case(
        "add-broadcast",
        "broadcast",
        lambda: pair("ADD", "FLOAT32", shapes=([1, 4], [1, 1], [1, 4])),
        lambda: pair("ADD", "FLOAT32", shapes=([1, 4], [1, 3], [1, 4])),
        {**own_kernels("refuses"), "tflm": "wrong-numbers"},
    ),
    Case(
        "broadcast-rank-2-14",
        "rank-limit",
        lambda: _stretched("SUB", "INT32", 5),
        lambda: _stretched("SUB", "INT32", 6),
        {"tflite-2.14": "crashes"},
    ),
    Case(
        "broadcast-rank-2-14/five-loops",
        "rank-limit",
        lambda: _stretched("SUB", "INT16", 6),
        lambda: _stretched("SUB", "INT16", 6, alternately=True),
        {"tflite-2.14": "crashes"},
    ),
]
