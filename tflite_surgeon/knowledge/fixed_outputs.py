"""Scales and zero points that are fixed for an operator's output, whatever the model was calibrated with.

Source: TFLite 8-bit quantisation specification (LiteRT g3doc quantization_spec.md); for UINT8 and INT16 the checks of
the kernels: LiteRT kernels/activations.cc and l2norm.cc, TFLM kernels/softmax_common.cc.
"""

from __future__ import annotations

from typing import NamedTuple


class FixedOutput(NamedTuple):
    """The quantisation of an output."""

    scale: float
    zero_point: int


# By operator and type of the output.
FIXED_OUTPUTS: dict[tuple[str, str], FixedOutput] = {
    ("LOGISTIC", "INT8"): FixedOutput(1 / 256, -128),
    ("LOGISTIC", "UINT8"): FixedOutput(1 / 256, 0),
    ("LOGISTIC", "INT16"): FixedOutput(1 / 32768, 0),
    ("SOFTMAX", "INT8"): FixedOutput(1 / 256, -128),
    ("SOFTMAX", "INT16"): FixedOutput(1 / 32768, 0),
    ("TANH", "INT8"): FixedOutput(1 / 128, 0),
    ("TANH", "UINT8"): FixedOutput(1 / 128, 128),
    ("TANH", "INT16"): FixedOutput(1 / 32768, 0),
    ("LOG_SOFTMAX", "INT8"): FixedOutput(16 / 256, 127),
    ("LOG_SOFTMAX", "UINT8"): FixedOutput(16 / 256, 255),
    ("L2_NORMALIZATION", "INT8"): FixedOutput(1 / 128, 0),
    ("L2_NORMALIZATION", "UINT8"): FixedOutput(1 / 128, 128),
}

# TFLM's SOFTMAX from INT8 to INT16.
WIDE_SOFTMAX = FixedOutput(1 / 65536, -32768)

# What the functions of 8-bit outputs may come to.
RANGES: dict[str, tuple[float, float]] = {"LOGISTIC": (0.0, 1.0), "SOFTMAX": (0.0, 1.0), "TANH": (-1.0, 1.0)}

# How far a scale may be from the fixed one where kernels compare roughly: TF_LITE_ENSURE_NEAR in SOFTMAX.
NEAR = 0.001
