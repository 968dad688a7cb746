"""What TFLM's kernels of layers with weights check alike, and how they compute with integers.

Source: tflite-micro tensorflow/lite/kernels/kernel_util.cc, micro/kernels/fully_connected_common.cc, *_conv*.cc.
"""

from __future__ import annotations

from math import isfinite

from tflite_surgeon.knowledge.kernels.filters import warn_of_axis
from tflite_surgeon.knowledge.kernels.layers import holds_zero_point
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.sayings import NO_FILTER, NO_INPUT, NO_OUTPUT
from tflite_surgeon.knowledge.problems import Said
from tflite_surgeon.knowledge.runtimes import BIAS_RATIO_LIMIT
from tflite_surgeon.quantization import float32

_BIAS_SCALE = Said("bias-scale", "kernel_util.cc", "scale_diff / output_scale <= 0.02 was not true")
_PRODUCT = Said("product-scale", "kernel_util.cc", "input_product_scale >= 0 was not true")
_ACTIVATION_RANGE = Said("activation-range", "kernel_util.cc", "no_integer_overflow_from_quantization was not true")
_OUTPUT_TYPE = Said("operator-types", "kernel_util.cc", "false was not true")
_INPUT_UNQUANTISED = Said(
    "missing-quantization", "kernel_util.cc", "input->quantization.type != kTfLiteAffineQuantization (0 != 1)"
)
UNQUANTISED_WEIGHTS = Said(
    "missing-quantization", "*", "filter->quantization.type != kTfLiteAffineQuantization (0 != 1)"
)
_PER_CHANNEL_INPUT = Said(
    "operator-types", "kernel_util.cc", "input->type == kTfLiteInt8 {} input->type == kTfLiteInt16 was not true"
)
_PER_CHANNEL_FILTER = Said(
    "operator-types", "kernel_util.cc", "filter->type == kTfLiteInt8 {} filter->type == kTfLiteInt4 was not true"
)
_CHANNEL_COUNT = Said("scale-count", "kernel_util.cc", "affine_quantization->scale->size != num_channels")
_CHANNEL_AXIS = Said(
    "scale-count",
    "kernel_util.cc",
    "num_channels != filter->dims->data[affine_quantization->quantized_dimension]",
)
# What a fused activation clips to, in real units.
_BOUNDS: dict[str, tuple[float, ...]] = {"RELU": (0.0,), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
_CLIPPING = ("NONE", *_BOUNDS)
_QUANTISED_OUTPUTS = ("UINT8", "INT8", "INT16")
_INT32_MIN, _INT32_MAX = -(2.0**31), 2.0**31  # As float32: the largest int32 is rounded up.


def output(node: KernelNode) -> Operand | None:
    """The first output; None where it is not given."""
    return node.outputs[0] if node.outputs else None


def source_weights_result(
    node: KernelNode, source: int = 0, output_first: bool = True
) -> tuple[Operand, Operand, Operand] | None:
    """Input, weights (input 1) and output, where all are given; the first that is not is refused."""
    first, weights, result = node.input(source), node.input(1), output(node)
    if first is not None and weights is not None and result is not None:
        return first, weights, result
    given = [(first, NO_INPUT, "input"), (weights, NO_FILTER, "weights")]
    given.insert(0 if output_first else 2, (result, NO_OUTPUT, "output"))
    said, role = next((said, role) for operand, said, role in given if operand is None)
    node.refuse(said, f"the {role} tensor is not given, the kernel needs it")
    return None


def c_dim(operand: Operand, axis: int) -> int | None:
    """A dimension as C reads it: the number of dimensions stands before the first; None where there is none."""
    shape = operand.shape or ()
    if axis == -1:
        return len(shape)
    return shape[axis] if 0 <= axis < len(shape) else None


# The one factor of a whole tensor


def multiplier(
    node: KernelNode, source: Operand, weights: Operand, bias: Operand | None, result_scale: float, result: Operand
) -> None:
    """The checks before one factor rescales all sums."""
    if bias is not None:
        ratio = _ratio(abs(source.scale * weights.scale - bias.scale), result_scale)
        if not ratio <= BIAS_RATIO_LIMIT:
            node.refuse(
                _BIAS_SCALE,
                f"|{source.scale:.9g} * {weights.scale:.9g} - bias scale {bias.scale:.9g}| / output scale "
                f"{result_scale:.9g} is {ratio:.4g}, the kernel allows {BIAS_RATIO_LIMIT}",
                bias,
                ratio=ratio,
            )
    product(node, source, weights, result)


def product(node: KernelNode, source: Operand, weights: Operand, result: Operand) -> None:
    """The check of the product of two scales."""
    found = float32(source.scale * weights.scale)
    if not found >= 0:
        node.refuse(
            _PRODUCT,
            f"the scales {source.scale:.9g} and {weights.scale:.9g} multiply to {found:.9g}, which is not 0 or more",
            weights if not weights.scale >= 0 else source,
        )


def _ratio(difference: float, scale: float) -> float:
    """A quotient as in C: not a number for 0 / 0."""
    if scale == 0:
        return float("nan") if difference == 0 or difference != difference else float("inf")
    return difference / scale


# One factor for each channel


def channel_multipliers(node: KernelNode, source: Operand, weights: Operand, channels: int | None) -> None:
    """The checks before factors for each channel are computed, also from one scale for all."""
    if not source.is_affine:
        unquantised(node, _INPUT_UNQUANTISED, source, "input")
    if not weights.is_affine:
        unquantised(node, UNQUANTISED_WEIGHTS, weights, "weights")
        return
    count = len(weights.scales)
    if count <= 1:
        return
    if source.type not in ("INT8", "INT16"):
        node.refuse(
            _PER_CHANNEL_INPUT,
            f"the weights have {count} scales and the input is {source.type}, the kernel takes several only for INT8 "
            "and INT16",
            weights,
        )
    if weights.type not in ("INT8", "INT4"):
        node.refuse(
            _PER_CHANNEL_FILTER,
            f"the weights have {count} scales and are {weights.type}, the kernel takes several only for INT8 and INT4",
            weights,
        )
    if count != channels:
        node.refuse(_CHANNEL_COUNT, f"the weights have {count} scales for {channels} output channels", weights)
    along = c_dim(weights, weights.axis)
    if channels != along:
        node.refuse(
            _CHANNEL_AXIS,
            f"the weights' scales count along dimension {weights.axis} of {weights.shape}, and there are {channels} "
            "output channels",
            weights,
        )


def unquantised(node: KernelNode, said: Said, operand: Operand, role: str) -> None:
    """Refuse a tensor without scale or zero point."""
    node.refuse(said, f"the {role} tensor ({operand.type}) lacks scale or zero point, the kernel needs both", operand)


# The fused activation function


def activation_range(node: KernelNode, options: str | None, result: Operand) -> None:
    """The check of the bounds that integers are clipped to."""
    if result.type not in _QUANTISED_OUTPUTS:
        node.refuse(
            _OUTPUT_TYPE, f"the output is {result.type}, the kernel writes {', '.join(_QUANTISED_OUTPUTS)}", result
        )
        return
    holds_zero_point(node, result)
    name = "NONE" if options is None else node.activation(options)
    for bound in _BOUNDS.get(name, ()):
        quotient = _ratio(bound, result.scale) if bound >= 0 else -_ratio(-bound, result.scale)
        if not _INT32_MIN <= quotient <= _INT32_MAX:
            node.refuse(
                _ACTIVATION_RANGE,
                f"{name} clips at {bound:g}, which in the output's scale {result.scale:.9g} is no 32-bit integer",
                result,
            )
            return


def fused_activation(node: KernelNode, options: str) -> None:
    """Functions other than the clipping ones are passed over."""
    name = node.activation(options)
    if name in ("TANH", "SIGN_BIT"):
        node.wrong("fused-activation", f"the kernel passes over the fused activation {name} and clips nothing")


# What integers come to stand for


def integer_numbers(
    node: KernelNode,
    source: Operand,
    weights: Operand,
    bias: Operand | None,
    result: Operand,
    *,
    by_channel: bool,
    axis: int = 0,
) -> None:
    """Where a kernel accepts quantisation that it does not compute with.

    Args:
        by_channel: the kernel multiplies each channel by a factor of its own, and takes the weights' zero point as 0.
        axis: the dimension of the weights that the output channels are counted along.
    """
    warn_of_axis(node, weights, axis)
    for operand, role in ((source, "input"), (weights, "weights"), (result, "output")):
        if not operand.is_affine:
            node.wrong(
                "missing-quantization",
                f"the {role} tensor ({operand.type}) lacks scale or zero point, the kernel takes its scale as 0",
                operand,
            )
        elif not operand.scale or not isfinite(operand.scale):
            node.wrong("scale-value", f"the {role} scale is {operand.scale:.9g}: all outputs are equal", operand)
    if by_channel and any(weights.zero_points):
        node.wrong(
            "weights-zero-point",
            f"the weights' zero point is {next(filter(None, weights.zero_points))}, the kernel takes it as 0",
            weights,
        )
    if bias is not None and any(bias.zero_points):
        node.wrong(
            "bias-zero-point",
            f"the bias's zero point is {next(filter(None, bias.zero_points))}, the kernel takes it as 0",
            bias,
        )


def no_int16_zero_points(node: KernelNode, source: Operand, result: Operand) -> None:
    """16-bit kernels that add no zero points."""
    for operand, role in ((source, "input"), (result, "output")):
        if operand.zero_point:
            node.wrong(
                "int16-zero-point",
                f"the {role}'s zero point is {operand.zero_point}, the INT16 kernel takes it as 0",
                operand,
            )


def bias_read_as(node: KernelNode, bias: Operand | None, allowed: tuple[str, ...]) -> None:
    """A bias of a type that the kernel reads as another."""
    if bias is not None and bias.type not in allowed:
        node.wrong("bias-type", f"the bias is {bias.type}, the kernel reads its bytes as {allowed[-1]}", bias)


def bias_length(node: KernelNode, bias: Operand | None, channels: int | None) -> None:
    """A bias with another number of values than there are output channels."""
    if bias is not None and channels is not None and bias.count != channels:
        node.wrong(
            "bias-length",
            f"the bias has {bias.count} values for {channels} output channels, and the kernel does not look",
            bias,
        )


def stored_shape(node: KernelNode, result: Operand, computed: list[int]) -> None:
    """TFLM computes into the stored shape, whatever the operator makes of its input."""
    if result.shape != computed:
        node.wrong(
            "stored-shape",
            f"the output is stored as {result.shape}, its input makes {computed}: TFLM computes into the stored shape",
            result,
        )
