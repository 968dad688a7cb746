"""TFLM's kernels of pooling. Source: tflite-micro kernels/pooling_common.cc, l2_pool_2d.cc."""

from __future__ import annotations

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.geometry import window_count
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.pooling import leaves_out_activation
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.single import has_same_type
from tflite_surgeon.knowledge.micro.single import micro_single, writes_input_type
from tflite_surgeon.knowledge.problems import Said, Stage

_SCALE = Said("same-quantization", "pooling_common.cc", "scale_diff <= 1.0e-6 was not true")
_ZERO_POINT = Said(
    "same-quantization", "pooling_common.cc", "input->params.zero_point == output->params.zero_point was not true"
)
_UNSUPPORTED = Said("operator-types", None, "Type {} not supported.")
_RANKS = (
    Said("tensor-rank", "l2_pool_2d.cc", "NumDimensions(output) != kTensorShapeRank"),
    Said("tensor-rank", "l2_pool_2d.cc", "NumDimensions(input) != kTensorShapeRank"),
)
_FLOAT_ONLY = Said("operator-types", "l2_pool_2d.cc", "input->type != kTfLiteFloat32")
_EMPTY = Said("dynamic-shape", None, "(L2_POOL_2D) of subgraph {} has dynamic tensor #")
_SAME_WITHIN = 1e-6
_OPTIONS = "Pool2DOptions"


@micro_kernel("AVERAGE_POOL_2D", "MAX_POOL_2D")
def _pool(node: KernelNode) -> None:
    found = micro_single(node, counts=False)
    if found is None:
        return
    source, result = found
    if source.type in ("INT8", "INT16"):
        if not abs(source.scale - result.scale) <= _SAME_WITHIN:
            node.refuse(_SCALE, f"the input's scale is {source.scale:.9g} and the output's {result.scale:.9g}", result)
        if source.zero_point != result.zero_point:
            node.refuse(
                _ZERO_POINT,
                f"the input's zero point is {source.zero_point} and the output's {result.zero_point}",
                result,
            )
    elif source.type != "FLOAT32":
        node.refuse(_UNSUPPORTED, f"there is no kernel for {source.type}", source)
    writes_input_type(node, source, result)
    leaves_out_activation(node)
    if len(source.shape or ()) != 4 or len(result.shape or ()) != 4:
        message = f"the kernel takes {source.rank} and {result.rank} dimensions for 4 and reads beside them"
        node.doubt("tensor-rank", message, source, at=Stage.INVOKE)


@micro_kernel("L2_POOL_2D")
def _l2_pool(node: KernelNode) -> None:
    found = micro_single(node)
    if found is None:
        return
    source, result = found
    for said, operand, role in zip(_RANKS[::-1], (source, result), ("input", "output")):
        if operand.rank != 4:
            node.refuse(said, f"the {role} has {operand.rank} dimensions, the kernel takes 4", operand)
    has_same_type(node, source, result)
    if source.type != "FLOAT32":
        node.refuse(_FLOAT_ONLY, f"the input is {source.type}, the kernel computes FLOAT32 only", source)
    leaves_out_activation(node)
    shape = source.shape or ()
    if len(shape) != 4:
        return
    padding = name_of("Padding", node.option(_OPTIONS, "padding"))
    made = []
    for size, window, stride in ((shape[1], "filter_height", "stride_h"), (shape[2], "filter_width", "stride_w")):
        width = node.option(_OPTIONS, window)
        made.append(window_count(size, width, node.option(_OPTIONS, stride), 1, padding) if width > 0 else 0)
        if not padding or made[-1] <= 0:
            message = f"no window of {window} {width} and {stride} {node.option(_OPTIONS, stride)} fits into {size}"
            node.refuse(_EMPTY, message, result)
            return
    # This kernel writes the shape that it makes, whatever is stored.
    result.shape = [shape[0], *made, shape[3]]
