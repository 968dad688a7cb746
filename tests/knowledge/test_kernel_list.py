"""The list of kernels, by which only the modules of a model's operators are imported, is that of the declarations."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tflite_surgeon.knowledge.kernels.registry import (
    kernel,
    micro_kernel_of,
    micro_kernels,
    tflite_kernel_of,
    tflite_kernels,
)


def test_every_kernel_that_is_listed_is_declared_and_found_by_its_name() -> None:
    assert all(tflite_kernel_of(name) is function for name, function in tflite_kernels().items())
    assert all(micro_kernel_of(name) is function for name, function in micro_kernels().items())


def test_what_is_not_listed_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="NEW_OPERATOR is missing"):
        kernel("NEW_OPERATOR")(lambda node: None)


def test_there_is_no_kernel_of_an_unknown_operator() -> None:
    assert tflite_kernel_of("CUSTOM TFLite_Detection_PostProcess") is not None
    assert tflite_kernel_of("CUSTOM other") is None
    assert micro_kernel_of("NEW_OPERATOR") is None


def test_a_kernel_is_found_in_each_module_that_is_imported_alone() -> None:
    text = """
from tflite_surgeon.knowledge.kernels import registry
for kernels in (registry._TFLITE, registry._MICRO):
    for name in kernels._families:
        assert kernels.of(name) is not None
    assert set(kernels.declared) == set(kernels._families)
"""
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60)
