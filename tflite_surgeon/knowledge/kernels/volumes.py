"""Kernels of CONV_3D and CONV_3D_TRANSPOSE.

Source: LiteRT and tflite-runtime 2.14 kernels/conv3d.cc, conv3d_transpose.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.knowledge.kernels.filters import (
    FLOAT,
    count_of,
    doubt_shape,
    has_counts,
    has_output,
    has_rank,
    positive,
    refuse_empty,
    texts,
    warn_of_activation,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import NEGATIVE_SIZE
from tflite_surgeon.knowledge.problems import On, Said

_OPTIONS = "Conv3DOptions"
_CONV, _TRANSPOSE = "conv3d.cc", "conv3d_transpose.cc"
_RANK = 5
_AXES = ("d", "h", "w")
_STRIDES = tuple(f"stride_{axis}" for axis in _AXES)
_DILATIONS = tuple(f"dilation_{axis}_factor" for axis in _AXES)
_RANKS = ("input->dims->size", "filter->dims->size")

_CONV_TEXTS = texts(
    _CONV,
    "filter",
    "",
    "node->outputs->size",
    _RANKS,
    "input_type",
    input_count="node->inputs->size == 2 || node->inputs->size == 3 was not true",
    input_type="input_type != kTfLiteFloat32",
    bias_count="NumElements(bias) != SizeOfDimension(filter, 4)",
)
_TRANSPOSE_TEXTS = texts(
    _TRANSPOSE,
    "filter",
    "",
    "node->outputs->size",
    _RANKS,
    "input->type",
    input_count="node->inputs->size == 3 || node->inputs->size == 4 was not true",
    input_type="input->type != kTfLiteFloat32",
    bias_count="NumElements(bias) != SizeOfDimension(filter, 3)",
)


def _dimensions(file: str, name: str, axes: Sequence[int]) -> tuple[Said, ...]:
    return positive(file, *(f"{name}->dims->data[{axis}]" for axis in axes))


_EMPTY = {
    file: (_dimensions(file, "input", (1, 2, 3, 4)), _dimensions(file, "filter", range(_RANK)))
    for file in (_CONV, _TRANSPOSE)
}
_STEPS = {
    file: tuple(
        Said("option-value", file, f"params->{name} > 0 was not true")
        for name in (
            *(f"stride_{side}" for side in ("depth", "height", "width")),
            *(f"dilation_{side}_factor" for side in ("depth", "height", "width")),
        )
    )
    for file in (_CONV, _TRANSPOSE)
}
_WEIGHTS_TYPE = {file: Said("operator-types", file, "filter->type != kTfLiteFloat32") for file in (_CONV, _TRANSPOSE)}
_CHANNELS = {
    _CONV: Said("channels", _CONV, "input->dims->data[4] != filter->dims->data[3]"),
    _TRANSPOSE: Said("channels", _TRANSPOSE, "SizeOfDimension(input, 4) != SizeOfDimension(filter, 4)"),
}
_SHAPE_RANK = Said("tensor-rank", _TRANSPOSE, "output_shape->dims->size != 1")
_SHAPE_COUNT = Said("tensor-rank", _TRANSPOSE, "NumElements(output_shape) != 5")
_SHAPE_TYPE = Said("operator-types", _TRANSPOSE, "output_shape->type != kTfLiteInt32")
_NEGATIVE = Said("size-overflow", _TRANSPOSE, "Conv3DTranspose output shape has a negative dimension.")
_BATCHES = Said("dimension-match", _TRANSPOSE, "shape_data[0] != SizeOfDimension(input, 0)")
_MADE_CHANNELS = Said("channels", _TRANSPOSE, "shape_data[4] != filter_output_channels")
_OLD_CHANNELS = Said("channels", _TRANSPOSE, "SizeOfDimension(filter, 3) != 0")
_SIZES = tuple(
    Said("dimension-match", _TRANSPOSE, f"unused_out_{side} != SizeOfDimension(input, {axis})")
    for side, axis in (("depth", 1), ("height", 2), ("width", 3))
)


@kernel("CONV_3D")
def _conv(node: KernelNode) -> None:
    if not has_counts(node, _CONV_TEXTS, (2, 3)) or not has_output(node) or not node.needs(0, 1):
        return
    source, weights = node.inputs[0], node.inputs[1]
    if source is None or weights is None:
        return
    if not has_rank(node, _CONV_TEXTS.input_rank, "input", source, _RANK):
        return
    if not has_rank(node, _CONV_TEXTS.weights_rank, "weights", weights, _RANK):
        return
    _match_channels(node, _CONV, source, weights, 3)
    _check_types(node, _CONV, source, weights)
    _check_bias(node, _CONV, source, weights, node.input(2), 4)
    _check_steps(node, _CONV)
    warn_of_activation(node, node.activation(_OPTIONS))
    if source.shape is None or weights.shape is None:
        node.resize(0, None)
        return
    counts = _counts(node, source.shape[1:4], weights.shape[:3])
    if min(counts) < 0:
        message = f"the window is larger than the volume: the output would be {' x '.join(map(str, counts))}"
        node.refuse_silently(NEGATIVE_SIZE.rule, message, on=On.LITERT)
        node.refuse(NEGATIVE_SIZE, message, on=On.V2_14)
        return
    node.resize(0, [source.shape[0], *counts, weights.shape[4]])


@kernel("CONV_3D_TRANSPOSE")
def _transpose(node: KernelNode) -> None:
    if not has_counts(node, _TRANSPOSE_TEXTS, (3, 4)) or not has_output(node) or not node.needs(0, 1, 2):
        return
    shape, weights, source = node.inputs[0], node.inputs[1], node.inputs[2]
    if shape is None or weights is None or source is None:
        return
    if not has_rank(node, _SHAPE_RANK, "output shape", shape, 1):
        return
    if shape.count is not None and shape.count != _RANK:
        node.refuse(_SHAPE_COUNT, f"the output shape has {shape.count} elements, the kernel takes 5", shape)
        return
    if not has_rank(node, _TRANSPOSE_TEXTS.input_rank, "input", source, _RANK):
        return
    if not has_rank(node, _TRANSPOSE_TEXTS.weights_rank, "weights", weights, _RANK):
        return
    _match_channels(node, _TRANSPOSE, source, weights, 4)
    _check_steps(node, _TRANSPOSE)
    _check_types(node, _TRANSPOSE, source, weights)
    if shape.type != "INT32":
        node.refuse(_SHAPE_TYPE, f"the output shape is {shape.type}, the kernel takes INT32", shape)
    _check_bias(node, _TRANSPOSE, source, weights, node.input(3), 3)
    warn_of_activation(node, node.activation(_OPTIONS))
    wanted = shape.values
    if not shape.is_constant or source.shape is None or weights.shape is None:
        doubt_shape(node, shape)
        node.resize(0, None)
    elif wanted is not None and len(wanted) == _RANK:
        _match_sizes(node, shape, wanted, source.shape, weights.shape)
        node.resize(0, list(wanted))


def _match_channels(node: KernelNode, file: str, source: Operand, weights: Operand, axis: int) -> None:
    channels, depth = source.dim(4), weights.dim(axis)
    if channels is not None and depth is not None and channels != depth:
        node.refuse(_CHANNELS[file], f"the input has {channels} channels and the weights have {depth}", weights)
    if source.shape is not None and min(source.shape[1:]) <= 0:
        refuse_empty(node, "input", source, (1, 2, 3, 4), _EMPTY[file][0])
    if weights.shape is not None and min(weights.shape) <= 0:
        refuse_empty(node, "weights", weights, range(_RANK), _EMPTY[file][1])


def _check_types(node: KernelNode, file: str, source: Operand, weights: Operand) -> None:
    said = _CONV_TEXTS if file == _CONV else _TRANSPOSE_TEXTS
    result = node.outputs[0]
    if source.type != FLOAT:
        node.refuse(said.input_type, f"the input is {source.type}, the kernel computes FLOAT32 only", source)
    if weights.type != FLOAT:
        message = f"the weights are {weights.type}, the kernel computes FLOAT32 only"
        node.refuse(_WEIGHTS_TYPE[file], message, weights)
    if result is not None and result.type != source.type:
        node.refuse(said.output_type, f"the input is {source.type} and the output {result.type}", result)


def _check_bias(
    node: KernelNode, file: str, source: Operand, weights: Operand, bias: Operand | None, axis: int
) -> None:
    if bias is None:
        return
    said = _CONV_TEXTS if file == _CONV else _TRANSPOSE_TEXTS
    if bias.type != source.type:
        node.refuse(said.bias_float, f"the bias is {bias.type} and the input {source.type}", bias)
    count, channels = bias.count, weights.dim(axis)
    if count is not None and channels is not None and count != channels:
        node.refuse(said.bias_count, f"the bias has {count} values for {channels} output channels", bias)


def _check_steps(node: KernelNode, file: str) -> None:
    """Strides and dilations below 1: LiteRT refuses them, 2.14 counts windows with them as they are."""
    values = [node.option(_OPTIONS, name) for name in (*_STRIDES, *_DILATIONS)]
    if min(values) > 0:
        return
    for said, name, value in zip(_STEPS[file], (*_STRIDES, *_DILATIONS), values):
        if value <= 0:
            node.refuse(said, f"{name} is {value}, the kernel needs at least 1", on=On.LITERT)
            if file == _CONV:
                node.wrong(said.rule, f"{name} is {value}: the window does not move", on=On.V2_14)
            return


def _counts(node: KernelNode, sizes: Sequence[int], windows: Sequence[int]) -> list[int]:
    padding = node.padding(_OPTIONS)
    return [
        count_of(size, window, node.option(_OPTIONS, stride), node.option(_OPTIONS, dilation), padding)
        for size, window, stride, dilation in zip(sizes, windows, _STRIDES, _DILATIONS)
    ]


def _match_sizes(
    node: KernelNode, shape: Operand, wanted: list[int], source: Sequence[int], weights: Sequence[int]
) -> None:
    """The output must be one that a convolution makes the input of."""
    if min(wanted) < 0:
        node.refuse(_NEGATIVE, f"the output shape {wanted} has a negative dimension", shape, on=On.LITERT)
    if wanted[0] != source[0]:
        message = f"the output shape asks for {wanted[0]} batches, the input has {source[0]}"
        node.refuse(_BATCHES, message, shape)
    channels = weights[3]
    if wanted[4] != channels:
        message = f"the output shape asks for {wanted[4]} channels, the weights make {channels}"
        node.refuse(_MADE_CHANNELS, message, shape, on=On.LITERT)
        if channels and wanted[4] % channels:
            node.refuse(_OLD_CHANNELS, message, shape, on=On.V2_14)
        else:
            node.wrong("channels", message, shape, on=On.V2_14)
    sizes = _counts(node, wanted[1:4], weights[:3])
    for axis, (size, said) in enumerate(zip(sizes, _SIZES), 1):
        if size != source[axis]:
            asked = " x ".join(map(str, wanted[1:4]))
            message = f"an output of {asked} belongs to an input with dimension {axis} of {size}, it is {source[axis]}"
            node.refuse(said, message, shape)
            return
