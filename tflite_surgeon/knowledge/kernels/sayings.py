"""Texts that many kernels share; those of one kernel stand beside its model."""

from __future__ import annotations

from tflite_surgeon.knowledge.problems import Said

MISSING_INPUT = Said("missing-input", None, "Tensor at index {} was optional but was expected")
INPUT_COUNT = Said("tensor-count", "*", "NumInputs(node) != ")
OUTPUT_COUNT = Said("tensor-count", "*", "NumOutputs(node) != ")
NO_SUCH_TENSOR = Said("tensor-count", None, "Invalid tensor index {} (not in [0, {}))")
NEGATIVE_SIZE = Said("size-overflow", "util.cc", "BytesRequired number of elements overflowed.\nNode number")
MANY_BYTES = Said("size-overflow", "util.cc", "BytesRequired number of bytes overflowed.\nNode number")
CONSTANT_OUTPUT = Said("constant-output", None, "Attempting to resize a fixed-size tensor.")
SAME_TYPE = Said("same-type", "*", "input->type != output->type")
INPUT_RANK = Said("tensor-rank", "*", "NumDimensions(input) != ")
STRIDE_HEIGHT = Said("option-value", "*", "params->stride_height > 0 was not true")
STRIDE_WIDTH = Said("option-value", "*", "params->stride_width > 0 was not true")
NO_INPUT = Said("missing-input", "*", "input != nullptr was not true")
NO_FILTER = Said("missing-input", "*", "filter != nullptr was not true")
NO_OUTPUT = Said("tensor-count", "*", "output != nullptr was not true")
