"""TFLM's kernels of padding. Source: tflite-micro kernels/pad_common.cc, mirror_pad.cc; the Python wheel."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import NO_INPUT, OUTPUT_COUNT, SAME_TYPE
from tflite_surgeon.knowledge.micro.fetching import (
    checked,
    checked_output,
    copies,
    evaluates,
    has_all,
    needs_constant,
    output,
    stores,
    words,
)
from tflite_surgeon.knowledge.problems import Said, Stage

_COUNT = Said("tensor-count", "pad_common.cc", "NumInputs(node) == 2 {} NumInputs(node) == 3 was not true")
_NO_PADDINGS = Said("missing-input", "pad_common.cc", "paddings != nullptr was not true")
_RANK = Said(
    "rank-limit", "pad_common.cc", "NumDimensions(input) <= reference_ops::PadKernelMaxDimensionCount() was not true"
)
_VALUE_TYPE = Said("same-type", "pad_common.cc", "input->type != constant_values->type")
_VALUE_COUNT = Said("dimension-match", "pad_common.cc", "NumElements(constant_values) != 1")
_PADDINGS_SHAPE = Said(
    "padding-values", "pad_common.cc", "GetTensorShape(paddings).FlatSize() != output->dims->size * 2"
)
_PADDINGS_CONSTANT = Said("constant-needed", "pad_common.cc", "Non-constant >paddings< tensor is not supported")
_SHAPE = Said("output-shape", "pad_common.cc", "output_dim != expected_dim")
_LOW = Said(
    "zero-point-range",
    "pad_common.cc",
    "output->params.zero_point >= std::numeric_limits<int8_t>::min() was not true",
)
_HIGH = Said(
    "zero-point-range",
    "pad_common.cc",
    "output->params.zero_point <= std::numeric_limits<int8_t>::max() was not true",
)
_VALUE_ZERO = Said(
    "same-quantization", "pad_common.cc", "output->params.zero_point != constant_values->params.zero_point"
)
_VALUE_SCALE = Said(
    "same-quantization",
    "pad_common.cc",
    "static_cast<double>(output->params.scale) != static_cast<double>(constant_values->params.scale)",
)
_UNSUPPORTED = Said("operator-types", None, "Type {} not currently supported by Pad.")
_PADDED = ("FLOAT32", "INT8", "INT16", "INT32")
_MOST_DIMENSIONS = 5

_MATRIX_RANK = Said("padding-values", "mirror_pad.cc", "NumDimensions(padding_matrix) != 2")
_MATRIX_ROWS = Said(
    "padding-values", "mirror_pad.cc", "SizeOfDimension(padding_matrix, 0) != NumDimensions(input_tensor)"
)
_MIRRORED = ("FLOAT32", "INT8")


@micro_kernel("PAD", "PADV2")
def _pad(node: KernelNode) -> None:
    if len(node.inputs) not in (2, 3):
        node.refuse(_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 2 or 3")
        return
    if len(node.outputs) != 1:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
        return
    source = checked(node, 0, NO_INPUT)
    paddings = checked(node, 1, _NO_PADDINGS) if source is not None else None
    result = checked_output(node) if paddings is not None else None
    if source is None or paddings is None or result is None:
        return
    value = node.input(2)
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    shape = source.shape or []
    if len(shape) > _MOST_DIMENSIONS:
        node.refuse(_RANK, f"the input has {len(shape)} dimensions, the kernel takes up to {_MOST_DIMENSIONS}", source)
    if value is not None:
        if value.type != source.type:
            node.refuse(_VALUE_TYPE, f"the input is {source.type} and the padding value {value.type}", value)
        if value.count != 1:
            node.refuse(_VALUE_COUNT, f"the padding value has {value.count} elements, the kernel takes 1", value)
    rank = len(result.shape or ())
    if paddings.count != rank * 2:
        node.refuse(
            _PADDINGS_SHAPE, f"there are {paddings.count} paddings for {rank} dimensions of the output", paddings
        )
    elif needs_constant(node, paddings, _PADDINGS_CONSTANT, "the paddings"):
        _check_shape(node, source, paddings, result)
    if source.type == "INT8":
        _check_value(node, value, result)
    if evaluates(node, source, _PADDED, _UNSUPPORTED) and source.type == result.type:
        copies(node, source, result)


def _check_shape(node: KernelNode, source: Operand, paddings: Operand, result: Operand) -> None:
    shape, stored = source.shape or [], result.shape or []
    # The kernel takes the bytes for INT32 whatever their type.
    found = words(paddings, 2 * len(stored))
    if found is None or len(stored) > len(shape):
        node.doubt("padding-values", "the kernel reads past the paddings or past the input's shape", paddings)
        return
    for axis, length in enumerate(stored):
        padded = shape[axis] + found[2 * axis] + found[2 * axis + 1]
        if padded != length:
            node.refuse(
                _SHAPE,
                f"the output is stored with {length} along axis {axis}; {shape[axis]} padded by {found[2 * axis]} and "
                f"{found[2 * axis + 1]} are {padded}",
                result,
            )
            return


def _check_value(node: KernelNode, value: Operand | None, result: Operand) -> None:
    if value is None:
        if not -128 <= result.zero_point <= 127:
            node.refuse(
                _LOW if result.zero_point < 0 else _HIGH,
                f"the output's zero point is {result.zero_point}, INT8 holds -128 to 127",
                result,
            )
        return
    if value.zero_point != result.zero_point:
        node.refuse(
            _VALUE_ZERO,
            f"the padding value has the zero point {value.zero_point}, the output {result.zero_point}",
            value,
        )
    if value.scale != result.scale:
        node.refuse(
            _VALUE_SCALE, f"the padding value has the scale {value.scale:.9g}, the output {result.scale:.9g}", value
        )


@micro_kernel("MIRROR_PAD")
def _mirror_pad(node: KernelNode) -> None:
    if not has_all(node, 0, 1):
        return
    source, matrix, result = node.inputs[0], node.inputs[1], output(node)
    if source is None or matrix is None:
        return
    if result is None:
        node.crash("tensor-count", "there is no output, and the kernel does not look")
        return
    rank = len(source.shape or ())
    if matrix.rank != 2:
        node.refuse(_MATRIX_RANK, f"the paddings have {matrix.rank} dimensions, the kernel takes 2", matrix)
        return
    if matrix.dim(0) != rank:
        node.refuse(_MATRIX_ROWS, f"there are paddings for {matrix.dim(0)} dimensions, the input has {rank}", matrix)
        return
    if result.type not in _MIRRORED:
        node.refuse_silently(
            "operator-types",
            f"there is no kernel for {result.type}, only for {', '.join(_MIRRORED)}",
            result,
            at=Stage.INVOKE,
        )
        return
    copies(node, source, result)
    values = matrix.values
    if values is not None and len(values) >= 2 * rank and source.shape:
        count = 1
        for axis, length in enumerate(source.shape):
            count *= length + values[2 * axis] + values[2 * axis + 1]
        stores(node, result, count)
