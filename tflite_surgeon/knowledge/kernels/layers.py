"""What kernels of quantised layers check alike: FULLY_CONNECTED, CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV.

Every function takes a node and its operands, and notes what it finds in the order in which the kernels look.

Source: LiteRT, tflite-runtime 2.14 and TFLM kernels/kernel_util.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import On, Said
from tflite_surgeon.knowledge.runtimes import BIAS_CHECKS, BIAS_RATIO_LIMIT
from tflite_surgeon.quantization import LARGEST, LIMITS, float32

_FILE = "kernel_util.cc"
_NO_SCALE = {
    "input": Said("missing-quantization", _FILE, "input->quantization.type != kTfLiteAffineQuantization (0 != 1)"),
    "weights": Said("missing-quantization", _FILE, "filter->quantization.type != kTfLiteAffineQuantization (0 != 1)"),
}
_BLOCKWISE = {
    "input": Said("quantization-scheme", _FILE, "input->quantization.type != kTfLiteAffineQuantization (2 != 1)"),
    "weights": Said("quantization-scheme", _FILE, "filter->quantization.type != kTfLiteAffineQuantization (2 != 1)"),
}
_PER_CHANNEL_INPUT = Said(
    "operator-types", _FILE, "input->type == kTfLiteInt8 || input->type == kTfLiteInt16 was not true"
)
_PER_CHANNEL_WEIGHTS = Said(
    "operator-types", _FILE, "filter->type == kTfLiteInt8 || filter->type == kTfLiteInt4 was not true"
)
_SCALE_COUNT = Said("scale-count", _FILE, "affine_quantization->scale->size != num_channels")
_SCALE_DIMENSION = Said("scale-count", _FILE, "num_channels != filter->dims->data[affine_quantization->quantized_d")
_BIAS_SCALE = Said("bias-scale", _FILE, "scale_diff / output_scale <= 0.02 was not true")
_PRODUCT_SCALE = Said("product-scale", _FILE, "input_product_scale >= 0 was not true")
_ACTIVATION_RANGE = Said("activation-range", _FILE, "no_integer_overflow_from_quantization was not true")
_RANGE_TYPE = Said("operator-types", _FILE, "false was not true")

INTEGERS = ("UINT8", "INT8", "INT16")
_CHANNELWISE_INPUTS = ("INT8", "INT16")
_CHANNELWISE_WEIGHTS = ("INT8", "INT4")

_BOUNDS = {"RELU": (0.0,), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
# Above it every bound divided by the scale fits 32 bits.
_ALWAYS_IN_RANGE = 1e-8
_INT32_REACH = 2.0**31

_KERNELS = {"litert-no-delegate": On.LITERT, "tflite-2.14": On.V2_14, "tflm": On.TFLM}


def rescales_channels(
    node: KernelNode,
    source: Operand,
    weights: Operand,
    bias: Operand | None,
    result: Operand,
    channels: int | None,
    activation: str,
) -> None:
    """What convolutions check of scales (PopulateConvolutionQuantizationParams).

    Args:
        node: the node.
        source, weights, bias, result: its operands.
        channels: the number of output channels; None where it is not known.
        activation: the fused activation function's name.
    """
    if not (_has_scale(node, source, "input") and _has_scale(node, weights, "weights")):
        return
    count = len(weights.scales)
    if count > 1:
        if source.type not in _CHANNELWISE_INPUTS:
            node.refuse(
                _PER_CHANNEL_INPUT, f"the weights have {count} scales, the kernel takes one for {source.type}", weights
            )
        if weights.type not in _CHANNELWISE_WEIGHTS:
            node.refuse(_PER_CHANNEL_WEIGHTS, f"{weights.type} weights have {count} scales", weights)
        if channels is not None:
            _counts_scales(node, weights, count, channels)
    if source.type == "UINT8":
        has_multiplier(node, source, weights, bias, result)
    if source.type in INTEGERS:
        has_activation_range(node, result, activation)
        computes_with_scales(node, source, weights, result)


def _counts_scales(node: KernelNode, weights: Operand, count: int, channels: int) -> None:
    if count != channels:
        node.refuse(_SCALE_COUNT, f"the weights have {count} scales for {channels} output channels", weights)
        return
    length = weights.dim(weights.axis)
    if length is not None and length != channels:
        node.refuse(
            _SCALE_DIMENSION,
            f"the weights' scales count along dimension {weights.axis} of length {length}, the kernel counts "
            f"{channels} output channels",
            weights,
        )


def _has_scale(node: KernelNode, operand: Operand, role: str) -> bool:
    return operand.is_affine or refuse_unscaled(node, operand, role, _NO_SCALE[role], _BLOCKWISE[role])


def refuse_unscaled(node: KernelNode, operand: Operand, role: str, missing: Said, blockwise: Said) -> bool:
    """Refuse a tensor that is not affine, with the text for none at all or for blocks; False, for convenience."""
    # tflite-runtime 2.14 knows no other scheme than scales and zero points, and passes over the description of one.
    unscaled = On.TFLITE if operand.scheme == "none" else On.V2_14 if not operand.has_plain_scales else On(0)
    node.refuse(
        missing, f"the {role} has no scale, the kernel computes with {operand.type} integers", operand, on=unscaled
    )
    if operand.scheme != "none":
        message = f"the {role} is quantised in blocks, the kernel takes scales of channels"
        node.refuse(blockwise, message, operand, on=On.LITERT)
    return False


def has_multiplier(
    node: KernelNode, source: Operand, weights: Operand, bias: Operand | None, result: Operand, on: On | None = None
) -> bool:
    """What is checked to make one multiplier from three scales (GetQuantizedConvolutionMultipler)."""
    good = True
    if bias is not None:
        comparing = bias_checkers(node.name, source.type, len(weights.scales))
        if on is not None:
            comparing &= on
        good = has_bias_scale(node, source, weights, bias, result, comparing)
    product = float32(source.scale * weights.scale)
    if not product >= 0:
        node.refuse(
            _PRODUCT_SCALE,
            f"input scale {source.scale:.9g} x weights scale {weights.scale:.9g} is {product:.9g}, not 0 or more",
            weights if not weights.scale > 0 else source,
            on=on,
        )
        return False
    return good


def has_bias_scale(
    node: KernelNode, source: Operand, weights: Operand, bias: Operand, result: Operand, on: On | None = None
) -> bool:
    """Whether the bias counts in the kernel's unit, as far as the kernel looks."""
    unit = source.scale * weights.scale
    if exceeds_bias_limit(unit, bias.scale, result.scale):
        node.refuse(
            _BIAS_SCALE,
            f"the bias scale reads {bias.scale:.9g}, input scale x weights scale {unit:.9g}, the output scale "
            f"{result.scale:.9g}: |difference| / output scale passes {BIAS_RATIO_LIMIT}",
            bias,
            on=on,
        )
        return False
    return True


def exceeds_bias_limit(unit: float, bias: float, output: float) -> bool:
    """Whether |unit - bias scale| / output scale passes the kernels' limit; what is not a number does."""
    return output == 0 or not abs(unit - bias) / output <= BIAS_RATIO_LIMIT


def bias_checkers(operator: str, input_type: str, weights_scales: int) -> On:
    """Whose kernels compare the bias scale with input scale x weights scale."""
    found = On(0)
    for name, flag in _KERNELS.items():
        check = BIAS_CHECKS[name].get(operator)
        if check is not None and input_type in check.inputs and (weights_scales == 1 or check.per_channel):
            found |= flag
    return found


def has_activation_range(node: KernelNode, result: Operand, activation: str, on: On | None = None) -> None:
    """Whether the bounds of the fused activation can be counted (CalculateActivationRangeQuantized)."""
    if result.type not in INTEGERS:
        node.refuse(
            _RANGE_TYPE, f"the output is {result.type}, the kernel makes UINT8, INT8 or INT16 integers", result, on=on
        )
        return
    holds_zero_point(node, result, on)
    bounds = _BOUNDS.get(activation)
    scale = result.scale
    if bounds is None or scale > _ALWAYS_IN_RANGE:
        return
    for bound in bounds:
        if scale == 0 or not abs(float32(bound / scale)) <= _INT32_REACH:
            node.refuse(
                _ACTIVATION_RANGE,
                f"the bound {bound:g} of {activation} does not fit 32 bits in the output scale {scale:.9g}",
                result,
                on=on,
            )
            return


def computes_with_scales(node: KernelNode, source: Operand, weights: Operand, result: Operand) -> None:
    """Scales that kernels compute with though they mean nothing: of the input, the output, and the weights."""
    if not result.scale > 0:
        has_useful_output_scale(node, result)
    if len(source.scales) > 1:
        _reads_no_scale(node, source, "input")
    has_useful_weights_scales(node, weights)


def holds_zero_point(node: KernelNode, result: Operand, on: On | None = None) -> None:
    """Whether an output's zero point is an integer of its type; kernels take any, and clip or cut what they compute."""
    point, (low, high) = result.zero_point, LIMITS[result.type]
    if not low <= point <= high:
        message = f"the output has zero point {point}, {result.type} goes from {low} to {high}: results are cut off"
        node.wrong("zero-point-range", message, result, on=on)


def has_useful_weights_scales(node: KernelNode, weights: Operand) -> None:
    """Scales of weights that mean nothing, with which kernels compute nevertheless; also beside a float input."""
    scales = weights.scales
    if scales and not (min(scales) > 0 and max(scales) <= LARGEST):
        for channel, scale in enumerate(scales):
            if not 0 < scale <= LARGEST:
                where = f" in channel {channel}" if len(scales) > 1 else ""
                message = f"the weights scale is {scale:.9g}{where}, the kernel takes it as it is"
                # A finite one is computed with: only the author knows that it cannot be meant.
                node.wrong("scale-value", message, weights, doubtful=abs(scale) <= LARGEST)
                return


def has_useful_output_scale(node: KernelNode, result: Operand, on: On | None = None) -> None:
    """An output whose scale reads as 0: every multiplier becomes 0, and every output the zero point."""
    if not result.is_affine:
        node.wrong("missing-quantization", "the output has no scale: every output is 0", result, on=on)
    elif len(result.scales) > 1 and result.scale == 0:
        _reads_no_scale(node, result, "output", on)
    elif not result.scale > 0:
        message = f"the output scale is {result.scale:.9g}, the kernel divides by it"
        node.wrong("scale-value", message, result, on=on, doubtful=result.scale < 0)


def _reads_no_scale(node: KernelNode, operand: Operand, role: str, on: On | None = None) -> None:
    message = f"the {role} has {len(operand.scales)} scales, the kernel reads one and finds 0"
    node.wrong("quantization-scheme", message, operand, on=on)


def ignores_weights_zero_point(node: KernelNode, weights: Operand, on: On | None = None) -> None:
    """Zero points of symmetric weights, which the kernel takes for 0."""
    points = weights.zero_points
    if any(points):
        channel = next(number for number, point in enumerate(points) if point)
        where = f" in channel {channel}" if len(points) > 1 else ""
        node.wrong(
            "weights-zero-point",
            f"the weights' zero point is {points[channel]}{where}, the kernel takes 0",
            weights,
            on=on,
        )


def ignores_bias_zero_point(node: KernelNode, bias: Operand, on: On | None = None) -> None:
    """Zero points of a bias, which the kernel takes for 0."""
    points = bias.zero_points
    if any(points):
        point = next(point for point in points if point)
        node.wrong("bias-zero-point", f"the bias' zero point is {point}, the kernel takes 0", bias, on=on)
