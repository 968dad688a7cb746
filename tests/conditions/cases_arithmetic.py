"""Conditions of ADD, SUB, MUL, DIV, SQUARED_DIFFERENCE and ADD_N on scales and zero points."""

from __future__ import annotations

from collections.abc import Sequence

import tflite_surgeon as ts
from tests.builders import Net, steps
from tests.conditions.case import Case, everywhere, own_kernels, tflite
from tests.conditions.pairs import pair


def _many(scales: Sequence[float], kind: str = "INT8") -> ts.Model:
    """ADD_N; scales of the inputs and of the output."""
    net = Net()
    *inputs, result = (net.tensor(f"tensor_{i}", [1, 4], kind, scale) for i, scale in enumerate(scales))
    net.operator("ADD_N", 1, inputs, [result], "AddNOptions")
    return net.model(inputs, [result])


def _add_at_limit(step: int) -> ts.Model:
    """Twice the input scale / (2^20 x output scale) is 1, or next to it."""
    return pair("ADD", scales=(0.5, 0.5, steps(2.0**-20, step)))


def _sub_at_limit(step: int) -> ts.Model:
    return pair("SUB", scales=(0.5, 0.5, steps(2.0**-20, step)))


def _tiny(operator: str, scale: float, activation: str = "RELU6") -> ts.Model:
    """An output scale in which the bound of RELU6 is just inside or outside 32 bits."""
    return pair(operator, scales=(1e-12, 1e-12, scale), activation=activation)


_SMALLEST_RELU6 = 6 * 2.0**-31
_INSIDE_RANGE, _OUTSIDE_RANGE = _SMALLEST_RELU6 * 1.001, _SMALLEST_RELU6 * 0.999


CASES = [
    # Factors that must be between 0 and 1
    Case(
        "requant-smaller-than-one",
        "multiplier-range",
        lambda: _add_at_limit(1),
        lambda: _add_at_limit(0),
        everywhere("crashes"),
    ),
    Case(
        "add-int8-out-mult",
        "multiplier-range",
        lambda: pair("ADD", "UINT8", (0.5, 0.5, 1e-6)),
        lambda: pair("ADD", "UINT8", (0.5, 0.5, 0.9e-6)),
        tflite("crashes"),
    ),
    Case(
        "add-int8-out-mult/int16",
        "multiplier-range",
        lambda: pair("ADD", "INT16", (0.5, 0.5, 1 / 32767)),
        lambda: pair("ADD", "INT16", (0.5, 0.5, 1 / 32769)),
        everywhere("crashes"),
    ),
    Case("add-int8-in-mult", "scale-value", pair, lambda: pair("ADD", scales=(0.5, 0.0, 0.5)), everywhere("crashes")),
    Case(
        "add-int8-in-mult/unquantised",
        "missing-quantization",
        pair,
        lambda: pair("ADD", scales=(0.5, None, 0.5)),
        everywhere("crashes"),
    ),
    Case(
        "add-int8-out-noquant",
        "missing-quantization",
        pair,
        lambda: pair("ADD", scales=(0.5, 0.5, None)),
        {**tflite("crashes"), "tflm": "refuses"},
    ),
    Case(
        "add-out-quant-tflm",
        "missing-quantization",
        lambda: pair("ADD", "INT16"),
        lambda: pair("ADD", "INT16", (0.5, 0.5, None)),
        {**tflite("crashes"), "tflm": "refuses"},
    ),
    Case(
        "sub-in-mult",
        "scale-value",
        lambda: pair("SUB"),
        lambda: pair("SUB", scales=(0.5, 0.0, 0.5)),
        everywhere("crashes"),
    ),
    Case(
        "sub-in-mult/unquantised",
        "missing-quantization",
        lambda: pair("SUB", "INT16"),
        lambda: pair("SUB", "INT16", (None, 0.5, 0.5)),
        everywhere("crashes"),
    ),
    Case("sub-out-mult", "multiplier-range", lambda: _sub_at_limit(1), lambda: _sub_at_limit(0), everywhere("crashes")),
    Case(
        "sub-out-mult-tflm",
        "multiplier-range",
        lambda: _sub_at_limit(1),
        lambda: _sub_at_limit(-1),
        {"litert": "wrong-numbers", "litert-no-delegate": "wrong-numbers", "tflite-2.14": "crashes", "tflm": "crashes"},
    ),
    Case(
        "requant-greater-than-one/sub",
        "multiplier-range",
        lambda: pair("SUB", "UINT8", (1.0, 1.0, 1e-5)),
        lambda: pair("SUB", "UINT8", (1.0, 1.0, 1e-7)),
        {"litert": "wrong-numbers", "litert-no-delegate": "wrong-numbers", "tflite-2.14": "crashes"},
    ),
    Case(
        "sqdiff-mult",
        "multiplier-range",
        lambda: pair("SQUARED_DIFFERENCE", scales=(0.5, 0.5, steps(2.0**-14, 1))),
        lambda: pair("SQUARED_DIFFERENCE", scales=(0.5, 0.5, 2.0**-14)),
        tflite("crashes"),
    ),
    Case(
        "sqdiff-mult-tflm",
        "missing-quantization",
        lambda: pair("SQUARED_DIFFERENCE"),
        lambda: pair("SQUARED_DIFFERENCE", scales=(None, 0.5, 0.5)),
        everywhere("crashes"),
    ),
    Case(
        "addn-tflm",
        "same-quantization",
        lambda: _many((0.5, 0.5, 1.0)),
        lambda: _many((0.5, 0.6, 1.0)),
        {"tflm": "refuses"},
    ),
    Case(
        "addn-tflm/factor",
        "multiplier-range",
        lambda: _many((0.5, 0.5, 1e-6)),
        lambda: _many((0.5, 0.5, 0.9e-6)),
        {"tflm": "crashes"},
    ),
    # Factors that may be anything
    Case(
        "mul-multiplier",
        "scale-value",
        lambda: pair("MUL"),
        lambda: pair("MUL", scales=(0.5, 0.0, 0.5)),
        everywhere("wrong-numbers"),
    ),
    Case(
        "mul-multiplier/unquantised",
        "missing-quantization",
        lambda: pair("MUL", "INT16"),
        lambda: pair("MUL", "INT16", (None, 0.5, 0.5)),
        everywhere("wrong-numbers"),
    ),
    # Bounds of fused activations
    *(
        Case(
            f"fused-act-range/{operator.lower()}",
            "activation-range",
            lambda operator=operator: _tiny(operator, _INSIDE_RANGE),
            lambda operator=operator: _tiny(operator, _OUTSIDE_RANGE),
            everywhere("refuses"),
        )
        for operator in ("ADD", "SUB", "MUL")
    ),
    Case(
        "fused-act-range/div",
        "activation-range",
        lambda: pair("DIV", scales=(1e-12, 1e-12, _INSIDE_RANGE), divisor=7, activation="RELU6", version=2),
        lambda: pair("DIV", scales=(1e-12, 1e-12, _OUTSIDE_RANGE), divisor=7, activation="RELU6", version=2),
        {"litert": "refuses", "litert-no-delegate": "refuses", "tflm": "refuses"},
    ),
    Case(
        "mul-act-noquant",
        "activation-range",
        lambda: pair("MUL", activation="RELU"),
        lambda: pair("MUL", scales=(0.5, 0.5, None), activation="RELU"),
        everywhere("refuses"),
    ),
    # Zero points
    Case(
        "add-int16-zp",
        "int16-zero-point",
        lambda: pair("ADD", "INT16"),
        lambda: pair("ADD", "INT16", zeros=(1, 0, 0)),
        tflite("refuses"),
    ),
    Case(
        "add-int16-zp-tflm",
        "int16-zero-point",
        lambda: pair("ADD", "INT16"),
        lambda: pair("ADD", "INT16", zeros=(0, 0, 1)),
        tflite("refuses"),
    ),
    Case(
        "sub-int16-zp",
        "int16-zero-point",
        lambda: pair("SUB", "INT16"),
        lambda: pair("SUB", "INT16", zeros=(0, 1, 0)),
        tflite("refuses"),
    ),
    Case(
        "mul-int16-zp",
        "int16-zero-point",
        lambda: pair("MUL", "INT16"),
        lambda: pair("MUL", "INT16", zeros=(1, 0, 0)),
        everywhere("refuses"),
    ),
    Case(
        "mul-int16-zp-tflm",
        "int16-zero-point",
        lambda: pair("MUL", "INT16"),
        lambda: pair("MUL", "INT16", zeros=(0, 0, 1)),
        everywhere("refuses"),
    ),
    Case(
        "add-zp-range",
        "xnnpack-zero-point",
        lambda: pair("ADD", zeros=(127, 0, 0)),
        lambda: pair("ADD", zeros=(300, 0, 0)),
        {"litert": "refuses"},
    ),
    Case(
        "sub-zp-range",
        "zero-point-range",
        lambda: pair("SUB", zeros=(127, 0, 0)),
        lambda: pair("SUB", zeros=(128, 0, 0)),
        own_kernels("refuses"),
    ),
    Case(
        "sub-zp-range/uint8",
        "zero-point-range",
        lambda: pair("SUB", "UINT8"),
        lambda: pair("SUB", "UINT8", zeros=(0, 0, -1)),
        own_kernels("refuses"),
    ),
    Case(
        "sqdiff-zp",
        "zero-point-range",
        lambda: pair("SQUARED_DIFFERENCE", zeros=(0, 0, -128)),
        lambda: pair("SQUARED_DIFFERENCE", zeros=(0, 0, -129)),
        everywhere("refuses"),
    ),
    Case(
        "sqdiff-zp/int16",
        "int16-zero-point",
        lambda: pair("SQUARED_DIFFERENCE", "INT16"),
        lambda: pair("SQUARED_DIFFERENCE", "INT16", zeros=(0, 1, 0)),
        {"tflm": "refuses"},
    ),
    # Scales that are powers of two
    Case(
        "add-int16-pot",
        "power-of-two-scale",
        lambda: pair("ADD", "INT16", (0.25, 0.5, 0.5), pot_scale_int16=True),
        lambda: pair("ADD", "INT16", (0.25, 0.25, 0.5), pot_scale_int16=True),
        tflite("refuses"),
    ),
    Case(
        "add-int16-pot/upwards",
        "power-of-two-scale",
        lambda: pair("ADD", "INT16", pot_scale_int16=True),
        lambda: pair("ADD", "INT16", (1.0, 0.5, 0.5), pot_scale_int16=True),
        tflite("refuses"),
    ),
    Case(
        "sub-int16-pot",
        "power-of-two-scale",
        lambda: pair("SUB", "INT16", (0.25, 0.5, 0.5), pot_scale_int16=True),
        lambda: pair("SUB", "INT16", (0.25, 0.25, 0.5), pot_scale_int16=True),
        tflite("refuses"),
    ),
    # Integers without scales, or with scales that nobody reads
    Case(
        "add-int16-unquantised",
        "missing-quantization",
        lambda: pair("ADD", "INT16"),
        lambda: pair("ADD", "INT16", (None, None, None)),
        {"tflm": "refuses"},
    ),
    Case(
        "add-int16-unquantised/input",
        "missing-quantization",
        lambda: pair("ADD", "INT16"),
        lambda: pair("ADD", "INT16", (None, 0.5, 0.5)),
        {**tflite("wrong-numbers"), "tflm": "crashes"},
    ),
    Case(
        "add-int32-quant-tflm",
        "quantization-scheme",
        lambda: pair("ADD", "INT32"),
        lambda: pair("ADD", "INT32", (0.5, 0.5, 0.5)),
        {"tflm": "refuses"},
    ),
    Case(
        "add-int32-quant-tflm/sub",
        "quantization-scheme",
        lambda: pair("SUB", "INT32"),
        lambda: pair("SUB", "INT32", (None, None, 0.5)),
        {"tflm": "refuses"},
    ),
    Case(
        "add-int32-quant-tflm/div",
        "quantization-scheme",
        lambda: pair("DIV", "INT32", divisor=7),
        lambda: pair("DIV", "INT32", (0.5, None, None), divisor=7),
        {"tflm": "refuses"},
    ),
]
