"""Kernels of pooling. Source: LiteRT and tflite-runtime 2.14 kernels/pooling.cc, padding.h."""

from __future__ import annotations

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.geometry import window_count
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import (
    INPUT_RANK,
    NEGATIVE_SIZE,
    SAME_TYPE,
    STRIDE_HEIGHT,
    STRIDE_WIDTH,
)
from tflite_surgeon.knowledge.kernels.scales import copies
from tflite_surgeon.knowledge.problems import On, Said, Stage

_FLOAT_ONLY = Said("operator-types", "pooling.cc", "input->type != kTfLiteFloat32")
_UNSUPPORTED = Said("operator-types", None, "Type {} not currently supported.")
_NO_WINDOW = Said("option-value", "pooling.cc", "AveragePool(op_params, {} was not true")
_ACTIVATION_RANGE = Said("activation-range", "kernel_util.cc", "no_integer_overflow_from_quantization was not true")
_OPTIONS = "Pool2DOptions"
_TYPES = {
    "AVERAGE_POOL_2D": ("FLOAT32", "UINT8", "INT8", "INT16"),
    "MAX_POOL_2D": ("FLOAT32", "UINT8", "INT8", "INT16"),
    "L2_POOL_2D": ("FLOAT32",),
}
_EIGHT_BITS = ("UINT8", "INT8")
_WINDOWS = (("filter_height", "stride_h"), ("filter_width", "stride_w"))
# The activations that kernels have, with the largest bound of each.
_BOUNDS = {"NONE": None, "RELU": 0.0, "RELU6": 6.0, "RELU_N1_TO_1": 1.0}


@kernel(*_TYPES)
def _pool(node: KernelNode) -> None:
    if not node.has_counts(1) or not node.needs(0):
        return
    source, result = node.inputs[0], node.outputs[0]
    if source is None or result is None:
        return
    if source.rank is not None and source.rank != 4:
        node.refuse(INPUT_RANK, f"the input has {source.rank} dimensions, the kernel takes 4", source)
        result.shape = None
        return
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    options = node.options(_OPTIONS)
    for said, name in ((STRIDE_HEIGHT, "stride_h"), (STRIDE_WIDTH, "stride_w")):
        if getattr(options, name, 0) <= 0:
            node.refuse(said, f"{name} is {getattr(options, name, 0)}, the kernel needs at least 1")
    if source.type != "FLOAT32":
        _check_integers(node, source, result)
    leaves_out_activation(node)
    _resize(node, source, options)


def leaves_out_activation(node: KernelNode) -> None:
    """Activations other than bounds are not computed."""
    activation = node.activation(_OPTIONS)
    if activation not in _BOUNDS:
        node.wrong("fused-activation", f"the fused activation is {activation}, the kernel leaves it out")


def _check_integers(node: KernelNode, source: Operand, result: Operand) -> None:
    if node.name == "L2_POOL_2D" and source.type in _EIGHT_BITS:
        node.refuse(_FLOAT_ONLY, f"the input is {source.type}, the kernel computes FLOAT32 only", source)
    elif source.type not in _TYPES[node.name]:
        node.refuse(_UNSUPPORTED, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
    else:
        copies(node, source, result)
        if node.name == "AVERAGE_POOL_2D" and source.type == "UINT8":
            _has_activation_range(node, result)


def _has_activation_range(node: KernelNode, result: Operand) -> None:
    """Whether the bounds of the activation fit 32 bits; of UINT8 averages, and in LiteRT, it matters."""
    bound, scale = _BOUNDS.get(node.activation(_OPTIONS)), result.scale
    if bound is not None and (not scale or not abs(bound / scale) <= 2**31):
        message = f"the bounds of the activation do not fit 32 bits in the output scale {scale:.9g}"
        node.refuse(_ACTIVATION_RANGE, message, result, on=On.LITERT, at=Stage.INVOKE)


def _resize(node: KernelNode, source: Operand, options: object) -> None:
    """The shape of the output; LiteRT counts no windows where tflite-runtime 2.14 counts fewer than none."""
    if source.shape is None:
        node.resize(0, None)
        return
    padding = name_of("Padding", getattr(options, "padding", 0)) or "SAME"
    batches, *sizes, channels = source.shape
    counts = []
    for size, (window_name, stride_name) in zip(sizes, _WINDOWS):
        window, stride = getattr(options, window_name, 0), getattr(options, stride_name, 0)
        count = window_count(size, window, stride, 1, padding)
        if window <= 0 < stride:
            message = f"{window_name} is {window}, a window needs at least 1"
            if window == 0 and node.name == "AVERAGE_POOL_2D" and source.type in ("UINT8", "INT8", "INT16"):
                node.refuse(_NO_WINDOW, message, on=On.V2_14, at=Stage.INVOKE)
            node.wrong("option-value", message)
        if count < 0:
            message = f"{window_name} {window} is larger than the input's {size}: there are {count} windows"
            node.refuse(NEGATIVE_SIZE, message, source, on=On.V2_14)
        counts.append(0 if window <= 0 else max(count, 0))
    node.resize(0, [batches, *counts, channels])
