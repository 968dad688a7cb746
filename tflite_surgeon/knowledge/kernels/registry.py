"""Which function models which operator's kernel."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from tflite_surgeon.knowledge.kernels.node import KernelNode

Kernel = Callable[[KernelNode], None]

_TFLITE: dict[str, Kernel] = {}
_MICRO: dict[str, Kernel] = {}
_TFLITE_FAMILIES: tuple[str, ...] = (
    "pooling",
    "fully_connected",
    "matrix",
    "convolution",
    "depthwise",
    "transposed",
    "volumes",
    "recurrent",
    "lstm",
    "bidirectional",
    "activations",
    "unary",
    "conversion",
    "reduction",
    "arithmetic",
    "comparison",
    "selection",
    "integers",
    "sums",
    "reshaping",
    "slicing",
    "joining",
    "padding",
    "blocks",
    "resizing",
    "gathering",
    "generating",
    "repeating",
    "ordering",
    "detecting",
    "control",
    "variables",
    "hlo",
)
_MICRO_FAMILIES: tuple[str, ...] = (
    "pooling",
    "convolution",
    "transposed",
    "fully_connected",
    "matrix",
    "recurrent",
    "lstm",
    "joining",
    "padding",
    "reshaping",
    "shapes",
    "slicing",
    "gathering",
    "resizing",
    "blocks",
    "activations",
    "unary",
    "conversion",
    "reduction",
    "arithmetic",
    "comparison",
    "control",
    "signals",
    "detection",
)


def kernel(*names: str) -> Callable[[Kernel], Kernel]:
    """Declare the model of LiteRT's kernels for operators, those of tflite-runtime 2.14 included."""

    def declare(function: Kernel) -> Kernel:
        _TFLITE.update(dict.fromkeys(names, function))
        return function

    return declare


def micro_kernel(*names: str) -> Callable[[Kernel], Kernel]:
    """Declare the model of TFLM's kernels for operators."""

    def declare(function: Kernel) -> Kernel:
        _MICRO.update(dict.fromkeys(names, function))
        return function

    return declare


def tflite_kernels() -> dict[str, Kernel]:
    """The models of LiteRT's kernels by operator; custom operators by their names behind "CUSTOM "."""
    for family in _TFLITE_FAMILIES:
        import_module(f"tflite_surgeon.knowledge.kernels.{family}")
    return _TFLITE


def micro_kernels() -> dict[str, Kernel]:
    """The models of TFLM's kernels by operator; custom operators by their names behind "CUSTOM "."""
    for family in _MICRO_FAMILIES:
        import_module(f"tflite_surgeon.knowledge.micro.{family}")
    return _MICRO
