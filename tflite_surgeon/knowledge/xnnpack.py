"""Which nodes that add a quantised bias the XNNPACK delegate of ai-edge-litert 2.3 takes.

A node it takes never meets its own kernel's checks. The delegate judges each node alone, by the shapes, types and
quantisation written in the file. Source: xnnpack_delegate.cc, the Visit...Node functions; confirmed by asking the
runtime which nodes it had delegated.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.operators import CHANNEL_AXIS, tensor_in_role
from tflite_surgeon.quantization import is_usable_scale

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Operator, Tensor

_MOST_DIMENSIONS = 6
_ZERO_POINTS = {"INT8": (-128, 127), "UINT8": (0, 255)}
# ActivationFunctionType values that the delegate does not take: TANH and SIGN_BIT. Unknown values count as NONE.
_REFUSED_ACTIVATIONS = (4, 5)
_SAME, _VALID = 0, 1
_SHUFFLED_VERSION = 8


class Placement:
    """What the delegate needs to know of a subgraph: tensors that a DENSIFY of constants makes count as constant."""

    def __init__(self, operators: list[Operator] | None) -> None:
        self._unpacked = {
            id(operator.outputs[0])
            for operator in operators or ()
            if operator.name == "DENSIFY" and operator.inputs and operator.outputs and _is_constant(operator.inputs[0])
        }

    def is_static(self, tensor: Tensor) -> bool:
        return _is_constant(tensor) or id(tensor) in self._unpacked


def takes(operator: Operator, placement: Placement) -> bool:
    """Whether the delegate takes a node with integer activations; nodes of other operators are not asked about."""
    judge = _JUDGES.get(operator.name)
    return judge is not None and judge(operator, placement)


def refuses_bias_form(operator: Operator, bias_scales: int, weights_scales: int) -> bool:
    """Whether a node it took fails to allocate because bias and weights differ in being per tensor or per channel.

    Source: xnn_define_convolution_2d and its kin ("failed to delegate ... node"); int8 fully connected layers take
    both, uint8 ones no bias per channel.
    """
    if operator.name == "FULLY_CONNECTED":
        weights = tensor_in_role(operator, "weights")
        return bias_scales > 1 and weights is not None and weights.type_name == "UINT8"
    return (bias_scales > 1) != (weights_scales > 1)


def _is_constant(tensor: Any) -> bool:
    return bool(getattr(tensor, "data", None))


def _scales(tensor: Tensor) -> tuple[list[float], list[int], int] | None:
    """Scales, zero points and quantised dimension of an affine quantisation; None without one."""
    quantization = tensor.quantization
    if quantization is None or not quantization.scale or quantization.details is not None:
        return None
    return (
        quantization.scale,
        quantization.zero_point or [0] * len(quantization.scale),
        quantization.quantized_dimension,
    )


def _is_per_tensor(tensor: Tensor) -> bool:
    found = _scales(tensor)
    return tensor.type_name in _ZERO_POINTS and found is not None and len(found[0]) == 1 and found[2] == 0


def _has_rank(tensor: Tensor, rank: int) -> bool:
    shape = tensor.shape or []
    return len(shape) == rank and all(size > 0 for size in shape)


def _are_weights(tensor: Tensor, axis: int) -> bool:
    """8-bit convolution weights: one scale, or one for each index of the axis, all usable."""
    found = _scales(tensor)
    if found is None or tensor.type_name not in _ZERO_POINTS:
        return False
    scales, zero_points, dimension = found
    if not all(map(is_usable_scale, scales)):
        return False
    if len(scales) > 1:
        return tensor.type_name == "INT8" and dimension == axis and zero_points[0] == 0
    low, high = _ZERO_POINTS[tensor.type_name]
    return low <= zero_points[0] <= high and (tensor.type_name == "INT8" or dimension == 0)


def _is_bias(tensor: Tensor) -> bool:
    found = _scales(tensor)
    if found is None or tensor.type_name != "INT32" or found[2] != 0:
        return False
    scales, zero_points, _ = found
    rank = len(tensor.shape or [])
    if not all(map(is_usable_scale, scales)) or rank > _MOST_DIMENSIONS:
        return False
    return rank >= 1 if len(scales) > 1 else zero_points[0] == 0


def _option(options: Any, name: str, default: int = 0) -> int:
    return int(getattr(options, name, default)) if isinstance(options, Table) else default


def _takes_activation(options: Any) -> bool:
    return _option(options, "fused_activation_function") not in _REFUSED_ACTIVATIONS


def _tensors(operator: Operator, *roles: str) -> list[Tensor] | None:
    found = [tensor_in_role(operator, role) for role in roles]
    return None if None in found else found  # type: ignore[return-value]


def _convolution(operator: Operator, placement: Placement) -> bool:
    tensors = _tensors(operator, "input", "weights", "bias", "output")
    options = operator.builtin_options
    if tensors is None or not isinstance(options, Table) or len(operator.inputs or ()) != 3:
        return False
    value, weights, bias, output = tensors
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    steps = [_option(options, name) for name in ("stride_w", "stride_h", "dilation_w_factor", "dilation_h_factor")]
    if depthwise:
        multiplier = _option(options, "depth_multiplier")
        geometry = multiplier > 0 and _has_rank(weights, 4) and (weights.shape or [0])[-1] % multiplier == 0
    else:
        geometry = _has_rank(value, 4) and _has_rank(weights, 4)
        geometry = geometry and (value.shape or [0])[3] // (weights.shape or [1])[3] != 0
    return (
        geometry
        and min(steps) > 0
        and all(_has_rank(tensor, 4) for tensor in (value, weights, output))
        and _has_rank(bias, 1)
        and _is_per_tensor(value)
        and _is_per_tensor(output)
        and value.type == weights.type == output.type
        and _are_weights(weights, CHANNEL_AXIS[operator.name])
        and placement.is_static(weights)
        and placement.is_static(bias)
        and _is_bias(bias)
        and _option(options, "padding") in (_SAME, _VALID)
        and _takes_activation(options)
    )


def _fully_connected(operator: Operator, placement: Placement) -> bool:
    tensors = _tensors(operator, "input", "weights", "bias", "output")
    options = operator.builtin_options
    version = getattr(operator.opcode, "version", 1)
    if tensors is None or version == _SHUFFLED_VERSION or _option(options, "weights_format") != 0:
        return False
    value, weights, bias, output = tensors
    if not _has_rank(weights, 2) or len(operator.inputs or ()) != 3:
        return False
    channels, depth = weights.shape or [0, 0]
    return (
        _is_per_tensor(value)
        and _is_per_tensor(output)
        and value.type == output.type
        and _are_matrix_weights(weights, value.type_name, depth)
        and placement.is_static(weights)
        and placement.is_static(bias)
        and prod(bias.shape or []) == channels
        and _is_bias(bias)
        and _takes_activation(options)
    )


def _are_matrix_weights(weights: Tensor, input_type: str, depth: int) -> bool:
    found = _scales(weights)
    if found is None:
        return False
    scales, zero_points, dimension = found
    type_name = weights.type_name
    if type_name == "UINT8":
        return input_type == "UINT8" and _is_per_tensor(weights)
    if input_type != "INT8" or (len(scales) > 1 and dimension != 0):
        return False
    if type_name == "INT8":
        return len(scales) > 1 or zero_points[0] == 0
    if type_name == "INT4":
        return depth % 2 == 0
    return type_name == "INT2" and depth % 4 == 0 and len(scales) == (weights.shape or [0])[0]


def _transpose_convolution(operator: Operator, placement: Placement) -> bool:
    tensors = _tensors(operator, "output_shape", "weights", "input", "bias", "output")
    options = operator.builtin_options
    if tensors is None or not isinstance(options, Table) or len(operator.inputs or ()) > 4:
        return False
    output_shape, weights, value, bias, output = tensors
    if not all(_has_rank(tensor, 4) for tensor in (weights, value, output)) or not _has_rank(bias, 1):
        return False
    if output_shape.type_name != "INT32" or (output_shape.shape or []) != [4] or not _is_constant(output_shape):
        return False
    try:
        target = output_shape.values().tolist()
    except SurgeonError:
        return False
    kernel, image = weights.shape or [], value.shape or []
    return (
        _is_per_tensor(value)
        and _is_per_tensor(output)
        and _are_weights(weights, CHANNEL_AXIS["TRANSPOSE_CONV"])
        and placement.is_static(weights)
        and placement.is_static(bias)
        and _is_bias(bias)
        and kernel[0] == target[3]
        and kernel[3] == image[3]
        and all(_fits(options, axis, image, kernel, target) for axis in (1, 2))
        and _takes_activation(options)
    )


def _fits(options: Any, axis: int, image: list[int], kernel: list[int], target: list[int]) -> bool:
    """Whether padding can be computed along the height (1) or width (2)."""
    padding = _option(options, "padding")
    if padding == _VALID:
        return kernel[axis] <= target[axis]
    stride = _option(options, "stride_h" if axis == 1 else "stride_w")
    return padding == _SAME and 0 < stride <= kernel[axis] and -(-target[axis] // stride) == image[axis]


_JUDGES = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_convolution,
}
