"""Sizes of outputs of operators that slide a window over an image.

Source: LiteRT kernels/padding.h (ComputeOutSize).
"""

from __future__ import annotations

SAME, VALID = "SAME", "VALID"


def window_count(size: int, window: int, stride: int, dilation: int, padding: str) -> int:
    """How many windows fit along a dimension; 0 for a padding that is neither, as in C."""
    if stride <= 0:
        return 0
    effective = (window - 1) * dilation + 1
    if padding == SAME:
        return (size + stride - 1) // stride
    if padding == VALID:
        return int((size + stride - effective) / stride)  # C cuts towards zero.
    return 0
