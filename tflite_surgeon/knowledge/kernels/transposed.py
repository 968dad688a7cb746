"""The kernel of TRANSPOSE_CONV. Source: LiteRT and tflite-runtime 2.14 kernels/transpose_conv.cc."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.filters import (
    FLOAT,
    INT8,
    INT16,
    KINDS,
    LARGEST_INT16,
    UINT8,
    check_bias,
    check_bias_option,
    check_symmetry,
    doubt_shape,
    has_counts,
    has_output,
    has_rank,
    limit_option,
    positive,
    refuse_empty,
    refuse_option,
    rescales,
    texts,
    warn_of_activation,
)
from tflite_surgeon.knowledge.kernels.geometry import window_count
from tflite_surgeon.knowledge.kernels.layers import ignores_weights_zero_point
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import STRIDE_HEIGHT, STRIDE_WIDTH
from tflite_surgeon.knowledge.problems import On, Said, Stage

_FILE = "transpose_conv.cc"
_OPTIONS = "TransposeConvOptions"
_TEXTS = texts(
    _FILE,
    "weights",
    "NumInputs(node) == 3",
    "NumOutputs(node)",
    ("NumDimensions(input)", "NumDimensions(weights)"),
    "input->type",
    bias_int64="(bias->type == kTfLiteInt64) || (bias->type == kTfLiteInt32) was not true",
)
_SHAPE_RANK = Said("tensor-rank", _FILE, "NumDimensions(output_shape) != 1")
_SHAPE_COUNT = Said("tensor-rank", _FILE, "NumElements(output_shape) != 4")
_SHAPE_TYPE = Said("operator-types", None, "Output shape is {}, not int32.")
_INPUT = positive(_FILE, *(f"SizeOfDimension(input, {axis})" for axis in (1, 2, 3)))
_WEIGHTS = positive(_FILE, *(f"SizeOfDimension(weights, {axis})" for axis in (0, 1, 2)))
_OUTPUT = positive(_FILE, *(f"SizeOfDimension(output, {axis})" for axis in (1, 2)))
_FLOAT_WEIGHTS = Said("operator-types", _FILE, "weights->type == kTfLiteFloat32 || weights->type == kTfLiteInt8 was")
_OLD_WEIGHTS = Said("operator-types", _FILE, "weights->type != input->type")
_WEIGHTS_TYPES = {
    UINT8: Said("operator-types", _FILE, "weights->type != kTfLiteUInt8"),
    INT8: Said("operator-types", _FILE, "weights->type != kTfLiteInt8"),
    INT16: Said("operator-types", _FILE, "weights->type != kTfLiteInt8"),
}
_CHANNELS = Said("channels", _FILE, "SizeOfDimension(input, 3) != SizeOfDimension(weights, 3)")
_MADE_CHANNELS = Said("channels", _FILE, "SizeOfDimension(output, 3) != SizeOfDimension(weights, 0)")
_BATCHES = Said("dimension-match", _FILE, "SizeOfDimension(input, 0) != SizeOfDimension(output, 0)")
_SIZES = tuple(
    Said("dimension-match", _FILE, f"computed_input_{side} != SizeOfDimension(input, {axis})")
    for side, axis in (("height", 1), ("width", 2))
)
_HYBRID_SCALE = Said("missing-quantization", _FILE, "affine_quantization was not true")
_DIMENSIONS = 4


@kernel("TRANSPOSE_CONV")
def _transpose(node: KernelNode) -> None:
    if not has_counts(node, _TEXTS, (3, 4)) or not node.needs(0, 1, 2) or not has_output(node):
        return
    shape, weights, source, result = node.inputs[0], node.inputs[1], node.inputs[2], node.outputs[0]
    if shape is None or weights is None or source is None or result is None:
        return
    if not has_rank(node, _SHAPE_RANK, "output shape", shape, 1):
        return
    _check_count(node, shape, On.LITERT)
    if not has_rank(node, _TEXTS.input_rank, "input", source):
        return
    if not has_rank(node, _TEXTS.weights_rank, "weights", weights):
        return
    strides = (node.option(_OPTIONS, "stride_h"), node.option(_OPTIONS, "stride_w"))
    _check_strides(node, strides, source.type == FLOAT)
    if source.shape is not None and min(source.shape[1:]) <= 0:
        refuse_empty(node, "input", source, (1, 2, 3), _INPUT)
    if weights.shape is not None and min(weights.shape[:3]) <= 0:
        refuse_empty(node, "weights", weights, (0, 1, 2), _WEIGHTS)
    _check_types(node, source, weights)
    bias = _bias(node, source, weights)
    _check_weights_late(node, source, weights)
    if source.type == INT16:
        check_symmetry(node, _TEXTS, source, result)
        check_bias_option(node, _OPTIONS, bias)
    if result.type != source.type:
        node.refuse(_TEXTS.output_type, f"the input is {source.type} and the output {result.type}", result)
    channels, depth = source.dim(3), weights.dim(3)
    if channels is not None and depth is not None and channels != depth:
        node.refuse(_CHANNELS, f"the input has {channels} channels and the weights have {depth}", weights)
    _make_output(node, shape, source, weights, strides)
    activation = node.activation(_OPTIONS)
    if source.type in KINDS and source.type != FLOAT:
        rescales(node, _TEXTS, source, weights, bias, result, 0, activation)
        if source.type != UINT8:
            # XNNPACK takes such weights, and then ignores the zero point as well.
            ignores_weights_zero_point(node, weights, On.TFLITE | On.DELEGATE)
    elif source.type == FLOAT and weights.type == INT8 and not weights.is_affine:
        node.refuse(_HYBRID_SCALE, "the INT8 weights have no scale", weights, on=On.LITERT)
    warn_of_activation(node, activation)


def _check_strides(node: KernelNode, strides: tuple[int, int], is_float: bool) -> None:
    """LiteRT looks at the strides when it prepares the node, 2.14 when it runs it."""
    if 0 < strides[0] <= LARGEST_INT16 and 0 < strides[1] <= LARGEST_INT16:
        return
    for said, name, value in zip((STRIDE_HEIGHT, STRIDE_WIDTH), ("stride_h", "stride_w"), strides):
        if value <= 0:
            refuse_option(node, said, name, value, On.LITERT)
            message = f"{name} is {value}, the kernel needs at least 1"
            if is_float:
                node.doubt(said.rule, f"{message}: XNNPACK in 2.14 dies, the kernel refuses later", on=On.V2_14)
            node.refuse(said, message, on=On.V2_14, at=Stage.INVOKE)
        limit_option(node, name, value)


def _check_count(node: KernelNode, shape: Operand, on: On) -> None:
    """LiteRT counts the elements of the output shape first, 2.14 last."""
    if shape.count is not None and shape.count != _DIMENSIONS:
        node.refuse(_SHAPE_COUNT, f"the output shape has {shape.count} elements, the kernel takes 4", shape, on=on)


def _check_types(node: KernelNode, source: Operand, weights: Operand) -> None:
    """The types of input and weights; for 16-bit input, and in 2.14 always, the weights come behind the bias."""
    kind = source.type
    if kind not in KINDS:
        node.refuse(_TEXTS.input_type, f"there is no kernel for {kind} input", source)
    elif kind == FLOAT and weights.type not in (FLOAT, INT8):
        _refuse_weights(node, source, weights, _FLOAT_WEIGHTS, On.LITERT)
    elif kind in (UINT8, INT8) and weights.type != kind:
        _refuse_weights(node, source, weights, _WEIGHTS_TYPES[kind], On.LITERT)


def _check_weights_late(node: KernelNode, source: Operand, weights: Operand) -> None:
    kind = source.type
    if kind == INT16 and weights.type != INT8:
        _refuse_weights(node, source, weights, _WEIGHTS_TYPES[kind], On.TFLITE)
    elif kind in KINDS and kind != INT16 and weights.type != kind:
        _refuse_weights(node, source, weights, _OLD_WEIGHTS, On.V2_14)


def _refuse_weights(node: KernelNode, source: Operand, weights: Operand, said: Said, on: On) -> None:
    node.refuse(said, f"there is no kernel for {weights.type} weights and {source.type} input", weights, on=on)


def _bias(node: KernelNode, source: Operand, weights: Operand) -> Operand | None:
    bias = node.input(3)
    if bias is None:
        return None
    kind = source.type
    if kind in KINDS:
        check_bias(node, _TEXTS, source, bias, zero=kind != UINT8)
    count, channels = bias.count, weights.dim(0)
    if count is not None and channels is not None and count != channels:
        node.refuse(_TEXTS.bias_count, f"the bias has {count} values for {channels} output channels", bias)
    return bias


def _make_output(node: KernelNode, shape: Operand, source: Operand, weights: Operand, strides: tuple[int, int]) -> None:
    """Give the output the shape that is asked for: at once where it is a constant, else when the node runs."""
    if not shape.is_constant:
        doubt_shape(node, shape)
        node.resize(0, None)
        return
    if shape.type != "INT32":
        message = f"the output shape is {shape.type}, the kernel takes INT32"
        node.refuse(_SHAPE_TYPE, message, shape)
        return
    _check_count(node, shape, On.V2_14)
    wanted = shape.values
    if wanted is None or len(wanted) != _DIMENSIONS:
        return
    if min(wanted) >= 0:
        _match_sizes(node, shape, wanted, source, weights, strides)
    node.resize(0, list(wanted))


def _match_sizes(
    node: KernelNode,
    shape: Operand,
    wanted: list[int],
    source: Operand,
    weights: Operand,
    strides: tuple[int, int],
) -> None:
    """The output's size must be one that a convolution makes the input's of; 2.14 computes beside its arrays."""
    if source.shape is None or weights.shape is None or min(strides) <= 0:
        return
    padding = node.padding(_OPTIONS)
    problems = []
    for axis, text in zip((1, 2), _OUTPUT):
        if wanted[axis] <= 0:
            problems.append((text, f"dimension {axis} of the output is {wanted[axis]}, the kernel needs at least 1"))
    for axis, stride, text in zip((1, 2), strides, _SIZES):
        size = window_count(wanted[axis], weights.shape[axis], stride, 1, padding)
        if size != source.shape[axis]:
            message = (
                f"an output of {wanted[1]} x {wanted[2]} belongs to an input with dimension {axis} of {size}, "
                f"it is {source.shape[axis]}"
            )
            problems.append((text, message))
    for text, message in problems[:1]:
        node.refuse(text, message, shape, on=On.LITERT)
        node.wrong(text.rule, message, shape, on=On.V2_14)
    if wanted[0] != source.shape[0]:
        message = f"the output shape asks for {wanted[0]} batches, the input has {source.shape[0]}"
        node.refuse(_BATCHES, message, shape, on=On.LITERT, at=Stage.INVOKE)
        node.wrong(_BATCHES.rule, message, shape, on=On.V2_14)
    if wanted[3] != weights.shape[0]:
        message = f"the output shape asks for {wanted[3]} channels, the weights make {weights.shape[0]}"
        node.refuse(_MADE_CHANNELS, message, shape, on=On.LITERT, at=Stage.INVOKE)
        node.wrong(_MADE_CHANNELS.rule, message, shape, on=On.V2_14)
