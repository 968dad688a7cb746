"""The kernel of FULLY_CONNECTED. Source: LiteRT kernels/fully_connected.cc; tflite-runtime 2.14, run."""

from __future__ import annotations

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.fully_connected_forms import check_hybrid, check_shuffled, check_sparse
from tflite_surgeon.knowledge.kernels.layers import (
    INTEGERS,
    computes_with_scales,
    has_activation_range,
    has_multiplier,
    ignores_bias_zero_point,
    ignores_weights_zero_point,
    refuse_unscaled,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.problems import On, Said

_FILE = "fully_connected.cc"
_OPTIONS = "FullyConnectedOptions"
_DEFAULT_FORMAT, _SHUFFLED = 0, 1

_NO_SUCH_INPUT = Said("tensor-count", None, "Invalid tensor index {} (not in [0, {}))")
_INPUT_COUNT = Said("tensor-count", _FILE, "node->inputs->size == 2 || node->inputs->size == 3 was not true")
_OUTPUT_COUNT = Said("tensor-count", _FILE, "node->outputs->size != expected_outputs_count")
_ACTIVATION = Said("fused-activation", _FILE, "params->activation == kTfLiteActNone || ")
_SMALL_ZERO_POINT = Said("weights-zero-point", _FILE, "Unsupported filter quantization zero-point value.")
_BIAS_NOT_INTEGER = Said("bias-type", _FILE, "is_optional_bias_int != true")
_BIAS_NOT_FLOAT = Said("bias-type", _FILE, "is_optional_bias_float != true")
_DECLARED_BIAS = Said("bias-type", _FILE, "(bias == nullptr) || bias->type == params->quantized_bias_type was not true")
_DECLARABLE_BIAS = Said("bias-type", _FILE, "params->quantized_bias_type == kTfLiteInt32 || ")
_MUST_BE = {
    (role, kind): Said("operator-types", _FILE, f"{name}->type != kTfLite{kind}")
    for role, name in (("input", "input"), ("weights", "filter"), ("output", "output"))
    for kind in ("Float32", "UInt8", "Int16")
}
_INTEGER_INPUT = Said(
    "operator-types",
    _FILE,
    "input->type == kTfLiteUInt8 || input->type == kTfLiteInt8 || input->type == kTfLiteInt16 was not true",
)
_INTEGER_OUTPUT = Said(
    "operator-types",
    _FILE,
    "output->type == kTfLiteUInt8 || output->type == kTfLiteInt8 || output->type == kTfLiteInt16 was not true",
)
_WIDENED = Said("operator-types", _FILE, "filter->type == kTfLiteUInt8 was not true")
_WEIGHTS_RANK = Said("tensor-rank", _FILE, "NumDimensions(filter) != 2")
_BIAS_LENGTH = Said("bias-length", _FILE, "NumElements(bias) != SizeOfDimension(filter, 0)")
_INNER = Said("inner-dimension", _FILE, "input->dims->data[input->dims->size - 1] != cols")
_NO_SCALE = {
    role: (
        Said("missing-quantization", _FILE, f"{name}->quantization.type != kTfLiteAffineQuantization (0 != 1)"),
        Said("quantization-scheme", _FILE, f"{name}->quantization.type != kTfLiteAffineQuantization (2 != 1)"),
    )
    for role, name in (("input", "input"), ("weights", "filter"))
}
_CHANNELS_INPUT = Said(
    "quantization-scheme", _FILE, "input->type == kTfLiteInt8 || input->type == kTfLiteInt16 was not true"
)
_CHANNELS_WEIGHTS = Said("quantization-scheme", _FILE, "(filter->type == kTfLiteInt8 || ")
_CHANNELS_WEIGHTS_2_14 = Said("quantization-scheme", _FILE, "(filter->type == kTfLiteInt8) was not true")
_CHANNELS_DIMENSION = Said("quantized-dimension", _FILE, "affine_quantization->quantized_dimension != 0")
_CHANNELS_COUNT = Said("scale-count", _FILE, "per_channel_quantization_size != filter->dims->data[")
_ZERO_POINTS = {
    role: Said("int16-zero-point", _FILE, f"{role}->params.zero_point != 0") for role in ("input", "output")
}


_SMALL = ("INT4", "INT2")
# tflite-runtime 2.14 takes weights of these types for integers, later ones two more.
_WEIGHTS_2_14 = ("UINT8", "INT8", "INT4")
_WEIGHTS = (*_WEIGHTS_2_14, "INT2", "INT16")
_HYBRID = (*_WEIGHTS_2_14, "INT2")
_CLIPPING = ("TANH", "SIGN_BIT")
_INTEGER_BIASES = ("INT32", "INT64")
# What the kernel takes the integers for, by the output's type: of the input and of the weights.
_READS_AS = {
    ("UINT8", "UINT8"): ("UINT8",),
    ("INT8", "INT8"): ("INT8", *_SMALL),
    ("INT16", "INT16"): ("INT8", *_SMALL, "INT16"),
    ("UINT8", "INT16"): ("UINT8",),
}


@kernel("FULLY_CONNECTED")
def _fully_connected(node: KernelNode) -> None:
    weights_format = int(node.option(_OPTIONS, "weights_format"))
    if len(node.inputs) < 2:
        node.refuse(_NO_SUCH_INPUT, f"there are {len(node.inputs)} inputs, the kernel takes 2 or 3")
        return
    if not node.needs(1, 0):
        return
    source, weights = node.inputs[0], node.inputs[1]
    if source is None or weights is None:
        return
    activation = node.activation(_OPTIONS)
    if activation in _CLIPPING and not (source.type == "FLOAT32" and weights.type in _HYBRID):
        node.refuse(_ACTIVATION, f"the fused activation is {activation}, the kernel has RELU, RELU_N1_TO_1 and RELU6")
    if weights.type in _SMALL and any(weights.zero_points):
        message = f"{weights.type} weights have the zero point {_first_but_0(weights)}, the kernel takes 0"
        node.refuse(_SMALL_ZERO_POINT, message, weights, on=On.LITERT)
    if len(node.inputs) > 3:
        node.refuse(_INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 2 or 3")
        return
    wanted = 1 if weights_format == _DEFAULT_FORMAT else 2
    if len(node.outputs) != wanted:
        node.refuse(_OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes {wanted}")
        return
    bias, result = node.input(2), node.outputs[0]
    if result is None:
        return
    _check_types(node, source, weights, bias, result, weights_format)
    if _check_shapes(node, source, weights, bias):
        if source.type in INTEGERS:
            _check_scales(node, source, weights, bias, result, activation)
        elif source.type == "FLOAT32" and weights.type in _HYBRID:
            check_hybrid(node, weights)
        if source.type == result.type == "INT16":
            _check_int16(node, source, bias, result)
    if weights_format == _SHUFFLED and weights.type == "UINT8":
        check_shuffled(node, weights, node.outputs[1])
    if weights.tensor.sparsity is not None:
        check_sparse(node, weights, result)
    _resize(node, source, weights)


def _first_but_0(operand: Operand) -> int:
    return next(point for point in operand.zero_points if point)


# Types


def _check_types(
    node: KernelNode, source: Operand, weights: Operand, bias: Operand | None, result: Operand, weights_format: int
) -> None:
    if weights.type in _WEIGHTS_2_14:
        _check_types_on(node, source, weights, bias, result, weights_format, On.TFLITE)
    else:
        # 2.14 takes any other weights for floats.
        _check_types_on(node, source, weights, bias, result, weights_format, On.LITERT)
        if weights.type != "FLOAT32":
            _demand(node, "Float32", On.V2_14, source, weights, result)
            _check_bias(node, bias, is_float=True, on=On.V2_14)


def _check_types_on(
    node: KernelNode,
    source: Operand,
    weights: Operand,
    bias: Operand | None,
    result: Operand,
    weights_format: int,
    on: On,
) -> None:
    if weights.type not in _WEIGHTS:
        on = On.TFLITE if weights.type == "FLOAT32" else on
        _demand(node, "Float32", on, source, weights, result)
        _check_bias(node, bias, is_float=True, on=on)
    elif weights_format == _SHUFFLED:
        _demand(node, "UInt8", on, source, weights)
        _demand_one(node, "Int16", on, "output", result)
        _check_bias(node, bias, is_float=False, on=on)
    elif source.type == "FLOAT32" and weights.type in _HYBRID:
        _demand(node, "Float32", on, source, None, result)
        _check_bias(node, bias, is_float=True, on=on)
    elif weights.type == "INT16":
        _demand(node, "Int16", on, source, None, result)
        _check_bias(node, bias, is_float=False, on=on)
    else:
        if source.type not in INTEGERS:
            node.refuse(_INTEGER_INPUT, f"the weights are {weights.type} and the input {source.type}", source, on=on)
        if result.type not in INTEGERS:
            node.refuse(_INTEGER_OUTPUT, f"the weights are {weights.type} and the output {result.type}", result, on=on)
        _check_bias(node, bias, is_float=False, on=on)


def _demand(
    node: KernelNode, kind: str, on: On, source: Operand, weights: Operand | None = None, result: Operand | None = None
) -> None:
    # In the kernel's order: the weights stand before the output only where they are shuffled.
    order = (("input", source), ("weights", weights), ("output", result))
    if kind == "Float32":
        order = (order[0], order[2], order[1])
    for role, operand in order:
        if operand is not None:
            _demand_one(node, kind, on, role, operand)


def _demand_one(node: KernelNode, kind: str, on: On, role: str, operand: Operand) -> None:
    if operand.type != kind.upper():
        node.refuse(
            _MUST_BE[role, kind],
            f"the {role} is {operand.type}, beside the node's other tensors the kernel takes {kind.upper()}",
            operand,
            on=on,
        )


def _check_bias(node: KernelNode, bias: Operand | None, *, is_float: bool, on: On) -> None:
    if bias is None:
        return
    if is_float and bias.type != "FLOAT32":
        node.refuse(_BIAS_NOT_FLOAT, f"the bias is {bias.type}, the kernel adds FLOAT32", bias, on=on)
    elif not is_float and bias.type not in _INTEGER_BIASES:
        node.refuse(_BIAS_NOT_INTEGER, f"the bias is {bias.type}, the kernel adds INT32 or INT64", bias, on=on)


# Shapes


def _check_shapes(node: KernelNode, source: Operand, weights: Operand, bias: Operand | None) -> bool:
    """Whether the kernel goes on to look at scales."""
    if weights.shape is None:
        return True
    if len(weights.shape) != 2:
        node.refuse(_WEIGHTS_RANK, f"the weights have {len(weights.shape)} dimensions, the kernel takes 2", weights)
        return False
    units, depth = weights.shape
    if depth == 0:
        return False
    if bias is not None and bias.shape is not None and bias.count != units:
        node.refuse(_BIAS_LENGTH, f"the bias has {bias.count} elements, the weights {units} rows", bias)
    return True


def _resize(node: KernelNode, source: Operand, weights: Operand) -> None:
    if weights.shape is not None and len(weights.shape) != 2:
        return
    if source.shape is None or weights.shape is None:
        node.resize(0, None)
        return
    units, depth = weights.shape
    last = source.shape[-1] if source.shape else 0
    if node.option(_OPTIONS, "keep_num_dims"):
        if depth and last != depth:
            message = f"the input's last dimension is {last}, the weights have {depth} columns"
            node.refuse(_INNER, message, source)
            return
        node.resize(0, [*source.shape[:-1], units])
        return
    count = source.count or 0
    if depth == 0:
        batches = 1
        for length in source.shape[:-1]:
            batches *= length
        node.resize(0, [batches, units])
        return
    if count % depth:
        message = f"the input has {count} elements, no multiple of the weights' {depth} columns: the rest is ignored"
        node.wrong("inner-dimension", message, weights)
    node.resize(0, [count // depth, units])


# Scales


def _check_scales(
    node: KernelNode, source: Operand, weights: Operand, bias: Operand | None, result: Operand, activation: str
) -> None:
    count = len(weights.scales)
    if count == 1 and source.is_affine:
        has_multiplier(node, source, weights, bias, result)
    else:
        # 2.14 makes one multiplier of whatever there is, before it looks at anything else.
        has_multiplier(node, source, weights, bias, result, On.V2_14)
        if not _check_channels(node, source, weights, count):
            return
        if count == 1:
            has_multiplier(node, source, weights, bias, result, On.LITERT)
    if source.type == "UINT8" and result.type == "INT16" and weights.type != "UINT8":
        message = f"the input is UINT8, the output INT16 and the weights {weights.type}, not UINT8"
        node.refuse(_WIDENED, message, weights, on=On.LITERT)
    has_activation_range(node, result, activation)
    computes_with_scales(node, source, weights, result)
    readable = _READS_AS.get((source.type, result.type))
    if readable is None or weights.type not in readable:
        message = f"the input is {source.type}, the weights {weights.type}, the output {result.type}: read as one type"
        node.wrong("same-type", message, result)
    if bias is not None:
        ignores_bias_zero_point(node, bias)
        _reads_bias(node, source, weights, bias)


def _check_channels(node: KernelNode, source: Operand, weights: Operand, count: int) -> bool:
    """Whether input and weights have scales; whether several ones are the kernel's."""
    for role, operand in (("input", source), ("weights", weights)):
        if not operand.is_affine:
            return refuse_unscaled(node, operand, role, *_NO_SCALE[role])
    if count == 1:
        return True
    ignores_weights_zero_point(node, weights)
    if source.type == "UINT8":
        message = f"the weights have {count} scales, for a UINT8 input the kernel takes one"
        node.refuse(_CHANNELS_INPUT, message, weights)
    if weights.type != "INT8":
        message = f"{weights.type} weights have {count} scales, the kernel takes one"
        node.refuse(_CHANNELS_WEIGHTS_2_14, message, weights, on=On.V2_14)
        if weights.type == "UINT8":
            node.refuse(_CHANNELS_WEIGHTS, message, weights, on=On.LITERT)
    if weights.axis != 0:
        message = f"the scales count along dimension {weights.axis}, the kernel counts them along 0"
        node.refuse(_CHANNELS_DIMENSION, message, weights, on=On.LITERT)
        node.wrong("quantized-dimension", message, weights, on=On.V2_14)
    length = weights.dim(weights.axis)
    if length is not None and length != count and not weights.is_constant:
        message = f"the weights have {count} scales, dimension {weights.axis} has the length {length}"
        node.refuse(_CHANNELS_COUNT, message, weights)
    return True


def _reads_bias(node: KernelNode, source: Operand, weights: Operand, bias: Operand) -> None:
    """Biases that the kernel reads as integers of another width."""
    on = On.TFLITE
    if source.type != "INT16":
        read = "INT32"
    elif node.option(_OPTIONS, "quantized_bias_type"):
        return
    elif weights.type == "INT16":
        read = "INT32"
    elif weights.zero_point:
        # Only the kernel for symmetric tensors looks whether a bias without a declared type has 32 bits.
        read, on = "INT64", On.LITERT
    else:
        return
    if bias.type != read and bias.type in _INTEGER_BIASES:
        node.wrong("bias-type", f"the bias is {bias.type}, the kernel reads its bytes as {read}", bias, on=on)


def _check_int16(node: KernelNode, source: Operand, bias: Operand | None, result: Operand) -> None:
    for role, operand in (("input", source), ("output", result)):
        if operand.zero_point:
            message = f"the {role}'s zero point is {operand.zero_point}, the kernel takes 0 for INT16"
            node.refuse(_ZERO_POINTS[role], message, operand)
    declared = node.option(_OPTIONS, "quantized_bias_type")
    if node.options(_OPTIONS) is None:
        # Zeroed options stand for another type than the default that a file leaves out.
        node.refuse(_DECLARABLE_BIAS, "the node has no options, so that the bias has no type", bias, on=On.LITERT)
    elif declared:
        name = name_of("TensorType", declared) or str(declared)
        if name not in _INTEGER_BIASES:
            message = f"the bias' type is declared as {name}, the kernel adds INT32 or INT64"
            node.refuse(_DECLARABLE_BIAS, message, bias, on=On.LITERT)
        elif bias is not None and bias.type != name:
            message = f"the bias is {bias.type} and declared as {name}"
            node.refuse(_DECLARED_BIAS, message, bias, on=On.LITERT)
