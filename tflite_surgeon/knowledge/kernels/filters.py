"""What convolutions over images check alike, and how their windows move.

Source: LiteRT and tflite-runtime 2.14 kernels/conv.cc, depthwise_conv.cc and transpose_conv.cc.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.geometry import SAME, VALID, window_count
from tflite_surgeon.knowledge.kernels.layers import ignores_bias_zero_point, rescales_channels
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.sayings import MISSING_INPUT, NEGATIVE_SIZE
from tflite_surgeon.knowledge.problems import On, Said, Stage

FLOAT, INT8, UINT8, INT16 = "FLOAT32", "INT8", "UINT8", "INT16"
KINDS = (FLOAT, INT8, UINT8, INT16)
# Activations that are a range of values; kernels leave out all others without a word.
RANGES = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
_NO_OPTIONS = "no padding"
_PADDINGS = {0: SAME, 1: VALID}
LARGEST_INT16 = 32767


class Texts(NamedTuple):
    """What one source file prints where convolutions check alike."""

    input_count: Said
    output_count: Said
    input_rank: Said
    weights_rank: Said
    input_type: Said
    output_type: Said
    bias_count: Said
    input_zero_point: Said
    output_zero_point: Said
    bias_zero_point: Said
    bias_int32: Said
    bias_int64: Said
    bias_float: Said
    no_scale: Said
    blockwise: Said
    scale_count: Said


def texts(file: str, name: str, inputs: str, outputs: str, ranks: tuple[str, str], kind: str, **others: str) -> Texts:
    """The texts of a file.

    Args:
        file: the source file.
        name: what it calls the weights.
        inputs, outputs: how it compares their numbers.
        ranks: how it compares the dimensions of input and weights.
        kind: how it names the input's type.
        others: texts of single checks.
    """

    def said(rule: str, key: str, text: str) -> Said:
        return Said(rule, file, others.get(key, text))

    scheme = f"{name}->quantization.type != kTfLiteAffineQuantization"
    return Texts(
        said("tensor-count", "input_count", f"has_bias || {inputs} was not true"),
        said("tensor-count", "output_count", f"{outputs} != 1"),
        said("tensor-rank", "input_rank", f"{ranks[0]} != "),
        said("tensor-rank", "weights_rank", f"{ranks[1]} != "),
        said("operator-types", "input_type", f"{kind} == kTfLiteFloat32 || "),
        said("same-type", "output_type", f"output->type != {kind}"),
        said("bias-length", "bias_count", f"NumElements(bias) != SizeOfDimension({name}, 0)"),
        said("int16-zero-point", "input_zero_point", "input->params.zero_point != 0"),
        said("int16-zero-point", "output_zero_point", "output->params.zero_point != 0"),
        said("bias-zero-point", "bias_zero_point", "bias->params.zero_point != 0"),
        said("bias-type", "bias_int32", "bias->type != kTfLiteInt32"),
        said("bias-type", "bias_int64", "(bias->type == kTfLiteInt32) || (bias->type == kTfLiteInt64) was not true"),
        said("bias-type", "bias_float", f"bias->type != {kind}"),
        said("missing-quantization", "no_scale", f"{scheme} (0 != 1)"),
        said("quantization-scheme", "blockwise", f"{scheme} (2 != 1)"),
        said("scale-count", "scale_count", "(affine_quantization->scale->size == 1 || "),
    )


def positive(file: str, *expressions: str) -> tuple[Said, ...]:
    """The texts of a file that ask for a dimension or option of at least 1."""
    return tuple(Said("positive-size", file, f"{expression} > 0 was not true") for expression in expressions)


BIAS_TYPE_OPTION = Said("bias-type", "*", "params->quantized_bias_type == kTfLiteInt32 || ")
BIAS_TYPE_DIFFERS = Said(
    "bias-type", "*", "(bias == nullptr) || bias->type == params->quantized_bias_type was not true"
)
HYBRID_SCALES = Said(
    "scale-count",
    "*",
    "affine_quantization->scale->size != filter->dims->data[affine_quantization->quantized_dimension]",
)
NO_BATCHES = Said("positive-size", "*", "batch_size != 0 was not true")
DILATION_HEIGHT = Said("option-value", "*", "params->dilation_height_factor > 0 was not true")
DILATION_WIDTH = Said("option-value", "*", "params->dilation_width_factor > 0 was not true")
# What LiteRT adds to its demands on strides and dilations.
LIMITS = {
    name: Said("option-value", "*", f"params->{text} <= INT16_MAX was not true")
    for name, text in (
        ("stride_h", "stride_height"),
        ("stride_w", "stride_width"),
        ("dilation_h_factor", "dilation_height_factor"),
        ("dilation_w_factor", "dilation_width_factor"),
    )
}

# What all convolutions check alike; each function says whether the next checks make sense.


def has_output(node: KernelNode) -> bool:
    """Whether the first output is given."""
    if node.outputs[0] is None:
        node.refuse(MISSING_INPUT, "the output is not given")
        return False
    return True


def has_counts(node: KernelNode, said: Texts, inputs: tuple[int, int]) -> bool:
    """Whether there are as many inputs and outputs as the kernel takes."""
    if len(node.inputs) not in inputs:
        wanted = f"{inputs[0]} or {inputs[1]}"
        node.refuse(said.input_count, f"there are {len(node.inputs)} inputs, the kernel takes {wanted}")
        return False
    if len(node.outputs) != 1:
        node.refuse(said.output_count, f"there are {len(node.outputs)} outputs, the kernel makes 1")
        return False
    return True


def has_rank(node: KernelNode, said: Said, role: str, operand: Operand, rank: int = 4) -> bool:
    """Whether an operand has as many dimensions as the kernel takes."""
    if operand.shape is not None and len(operand.shape) != rank:
        node.refuse(said, f"the {role} has {len(operand.shape)} dimensions, the kernel takes {rank}", operand)
        return False
    return True


def refuse_empty(
    node: KernelNode, role: str, operand: Operand, axes: Sequence[int], said: Sequence[Said], on: On = On.LITERT
) -> None:
    """Refuse the first dimension that is not positive."""
    for axis, text in zip(axes, said):
        length = operand.dim(axis)
        if length is not None and length <= 0:
            node.refuse(
                text, f"dimension {axis} of the {role} is {length}, the kernel needs at least 1", operand, on=on
            )
            return


def check_types(node: KernelNode, said: Texts, source: Operand, result: Operand) -> None:
    """The types of input and output."""
    if source.type not in KINDS:
        node.refuse(said.input_type, f"there is no kernel for {source.type} input", source)
    if result.type != source.type:
        node.refuse(said.output_type, f"the input is {source.type} and the output {result.type}", result)


def check_symmetry(node: KernelNode, said: Texts, source: Operand, result: Operand, on: On = On.TFLITE) -> None:
    """16-bit activations have the zero point 0."""
    if source.zero_point != 0:
        node.refuse(
            said.input_zero_point, f"the zero point of the INT16 input is {source.zero_point}, not 0", source, on=on
        )
    if result.zero_point != 0:
        node.refuse(
            said.output_zero_point, f"the zero point of the INT16 output is {result.zero_point}, not 0", result, on=on
        )


def check_bias(
    node: KernelNode,
    said: Texts,
    source: Operand,
    bias: Operand,
    wide: tuple[str, ...] = ("INT32", "INT64"),
    zero: bool = True,
) -> None:
    """The bias' type and zero point.

    Args:
        node: the node.
        said: the file's texts.
        source, bias: the operands.
        wide: the types beside 16-bit input.
        zero: whether the kernel looks at the zero point.
    """
    kind = source.type
    if kind == FLOAT:
        allowed: tuple[str, ...] = (FLOAT,)
        text = said.bias_float
    elif kind == INT16:
        allowed, text = wide, said.bias_int64
    else:
        allowed, text = ("INT32",), said.bias_int32
    if bias.type not in allowed:
        node.refuse(text, f"the bias is {bias.type}, the kernel takes {' or '.join(allowed)} for {kind} input", bias)
    if not zero:
        ignores_bias_zero_point(node, bias)
    elif kind != FLOAT and bias.zero_point != 0:
        node.refuse(said.bias_zero_point, f"the zero point of the bias is {bias.zero_point}, not 0", bias)


def check_bias_option(node: KernelNode, table: str, bias: Operand | None) -> None:
    """The option for the bias' type beside 16-bit input; LiteRT reads 64 bits unless it says INT32."""
    option = name_of("TensorType", node.option(table, "quantized_bias_type")) or FLOAT
    if option == FLOAT:
        if bias is not None and bias.type == "INT32":
            node.wrong(
                "bias-type",
                "the bias is INT32 and quantized_bias_type does not say so: the kernel reads pairs of values as INT64",
                bias,
                on=On.LITERT,
            )
    elif option not in ("INT32", "INT64"):
        message = f"quantized_bias_type is {option}, the kernel takes INT32 or INT64"
        node.refuse(BIAS_TYPE_OPTION, message, on=On.LITERT)
    elif bias is not None and bias.type != option:
        message = f"quantized_bias_type is {option} and the bias is {bias.type}"
        node.refuse(BIAS_TYPE_DIFFERS, message, bias, on=On.LITERT)


def rescales(
    node: KernelNode,
    said: Texts,
    source: Operand,
    weights: Operand,
    bias: Operand | None,
    result: Operand,
    axis: int,
    activation: str,
) -> None:
    """What quantised convolutions check of scales; the output channels are counted along an axis of the weights."""
    if not weights.is_affine:
        none = weights.scheme == "none"
        message = "have no scale" if none else "are quantised in blocks"
        node.refuse(said.no_scale if none else said.blockwise, f"the {weights.type} weights {message}", weights)
        return
    channels = weights.dim(axis)
    count = len(weights.scales)
    if count > 1 and channels is not None and count != channels:
        node.refuse(said.scale_count, f"the weights have {count} scales for {channels} output channels", weights)
        return
    rescales_channels(node, source, weights, bias, result, channels, activation)
    warn_of_axis(node, weights, axis)


def warn_of_axis(node: KernelNode, weights: Operand, axis: int) -> None:
    """Scales along another dimension are taken for those of the output channels."""
    if len(weights.scales) > 1 and weights.axis != axis:
        node.wrong(
            "quantized-dimension",
            f"the weights' scales count along dimension {weights.axis}, the kernel takes them for dimension {axis}",
            weights,
        )


def warn_of_activation(node: KernelNode, activation: str) -> None:
    """Activations that the kernel leaves out."""
    if activation not in RANGES:
        node.wrong("fused-activation", f"the fused activation {activation} is left out, the kernel has none of it")


def doubt_shape(node: KernelNode, shape: Operand) -> None:
    """A shape that is given as an input of the model fits or not."""
    if node.graph.is_graph_input(shape):
        message = "the output shape is an input of the model: whether the node runs depends on its values"
        node.doubt("dynamic-shape", message, shape, at=Stage.INVOKE)


class Window(NamedTuple):
    """How a window moves, first along the height."""

    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: str


def window_of(node: KernelNode, table: str) -> Window:
    """How the node's options move the window; everything 0 without options, as parsers leave it."""
    options = node.options(table)
    if options is None:
        return Window((0, 0), (0, 0), _NO_OPTIONS)
    return Window(
        (options.stride_h, options.stride_w),
        (options.dilation_h_factor, options.dilation_w_factor),
        _PADDINGS.get(options.padding, _NO_OPTIONS),
    )


def limit_option(node: KernelNode, name: str, value: int) -> None:
    """Refuse an option that does not fit 16 bits."""
    if value > LARGEST_INT16:
        message = f"{name} is {value}, the kernel takes {LARGEST_INT16} at most"
        node.refuse(LIMITS[name], message, on=On.LITERT)


def refuse_option(node: KernelNode, said: Said, name: str, value: int, on: On = On.TFLITE) -> None:
    """Refuse an option below 1."""
    node.refuse(said, f"{name} is {value}, the kernel needs at least 1", on=on)


def counts_of(source: Operand, weights: Operand, window: Window) -> list[int] | None:
    """How many windows fit along height and width."""
    if source.shape is None or weights.shape is None:
        return None
    (_, height, width, _), (_, tall, wide, _) = source.shape, weights.shape
    strides, dilations, padding = window
    return [
        count_of(height, tall, strides[0], dilations[0], padding),
        count_of(width, wide, strides[1], dilations[1], padding),
    ]


def count_of(size: int, window: int, stride: int, dilation: int, padding: str) -> int:
    """How many windows fit; 2.14 counts with negative strides as well."""
    if stride >= 0:
        return window_count(size, window, stride, dilation, padding)
    reach = (window - 1) * dilation + 1 if padding == VALID else 1
    return int((size + stride - reach) / stride)


def refuse_padding(node: KernelNode, window: Window) -> None:
    """Refuse a padding that is none: 2.14 and TFLM make an output of no size of it."""
    if window.padding not in (SAME, VALID):
        message = "the padding is neither SAME nor VALID"
        node.refuse_silently("option-value", message, on=On.LITERT)
        node.wrong("option-value", f"{message}: the output has no size", on=On.V2_14)


def refuse_negative(node: KernelNode, counts: list[int] | None, on: On) -> None:
    """Refuse windows that do not fit: LiteRT as it counts them, 2.14 as it makes the output."""
    if counts is not None and min(counts) < 0:
        message = f"the window is larger than the image: the output would be {counts[0]} x {counts[1]}"
        if on == On.LITERT:
            node.refuse_silently(NEGATIVE_SIZE.rule, message, on=on)
        else:
            node.refuse(NEGATIVE_SIZE, message, on=on)
