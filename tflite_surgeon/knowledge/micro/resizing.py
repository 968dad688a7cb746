"""TFLM's kernels that resize images.

Source: tflite-micro kernels/resize_bilinear.cc, resize_nearest_neighbor.cc, kernels/internal/reference/
resize_bilinear.h; the Python wheel.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_RANK
from tflite_surgeon.knowledge.micro.fetching import copies, evaluates, has_all, needs_constant, output, words
from tflite_surgeon.knowledge.problems import Said, Stage

_SIZE_RANK = Said("tensor-rank", "*", "NumDimensions(size) != 1")
_SIZE_TYPE = Said("operator-types", "*", "size->type != kTfLiteInt32")
_SIZE_LENGTH = Said("dimension-match", "resize_nearest_neighbor.cc", "size->dims->data[0] != 2")
_SIZE_CONSTANT = Said("constant-needed", "*", "Non-constant >size< tensor is not supported")
_CENTRES = Said("option-value", None, "If half_pixel_centers is True, align_corners must be False.")
_BILINEAR = Said("operator-types", None, "Output type is {}, requires float or int8.")
_NEAREST = Said("operator-types", None, "Output tensor type {} not supported.")
_TYPES = {"RESIZE_BILINEAR": ("FLOAT32", "INT8"), "RESIZE_NEAREST_NEIGHBOR": ("FLOAT32", "INT8", "INT16")}


@micro_kernel(*_TYPES)
def _resize(node: KernelNode) -> None:
    is_bilinear = node.name == "RESIZE_BILINEAR"
    if not node.has_counts(2) or not has_all(node, 0):
        return
    source, size, result = node.inputs[0], node.inputs[1], output(node)
    if source is None or result is None:
        return
    if source.rank != 4:
        node.refuse(INPUT_RANK, f"the input has {source.rank} dimensions, the kernel takes 4", source)
        return
    if size is None:
        has_all(node, 1)
        return
    if size.rank != 1:
        node.refuse(_SIZE_RANK, f"the size has {size.rank} dimensions, the kernel takes 1", size)
    if size.type != "INT32":
        node.refuse(_SIZE_TYPE, f"the size is {size.type}, the kernel takes INT32", size)
    if not is_bilinear and size.rank == 1 and size.dim(0) != 2:
        node.refuse(_SIZE_LENGTH, f"the size has {size.dim(0)} numbers, the kernel takes height and width", size)
    is_constant = needs_constant(node, size, _SIZE_CONSTANT, "the size")
    options = node.options("ResizeBilinearOptions") if is_bilinear else None
    if options is not None and options.half_pixel_centers and options.align_corners:
        node.refuse(_CENTRES, "half_pixel_centers and align_corners are both set, the kernel takes one of them")
    said = _BILINEAR if is_bilinear else _NEAREST
    if evaluates(node, result, _TYPES[node.name], said):
        copies(node, source, result)
        if is_constant:
            _check_size(node, source, size, result)


def _check_size(node: KernelNode, source: Operand, size: Operand, result: Operand) -> None:
    stored = result.shape or []
    if len(stored) > 4:
        node.crash(
            "tensor-rank", f"the output has {len(stored)} dimensions, the kernel aborts", result, at=Stage.INVOKE
        )
        return
    found = words(size, 2)
    if found is None:
        node.doubt("element-count", "the size has less than two numbers: the kernel reads past it", at=Stage.INVOKE)
        return
    height, width = found
    if node.name == "RESIZE_BILINEAR" and result.type == "INT8" and 0 in (height, width):
        node.crash("positive-size", f"the size is {height} x {width}: the kernel divides by 0", size, at=Stage.INVOKE)
    elif min(height, width) <= 0:
        node.wrong("positive-size", f"the size is {height} x {width}: the kernel computes nothing", size)
    elif source.shape is not None and stored != [source.shape[0], height, width, source.shape[3]]:
        node.wrong(
            "stored-shape",
            f"the output is stored as {stored}, the kernel makes {[source.shape[0], height, width, source.shape[3]]}",
            result,
        )
