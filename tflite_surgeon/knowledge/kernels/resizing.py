"""Kernels that resize images.

Source: LiteRT and tflite-runtime 2.14 kernels/resize_bilinear.cc, resize_nearest_neighbor.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.moving import copies, has_rank, indices, is_of, width
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_RANK
from tflite_surgeon.knowledge.problems import On, Said, Stage

_SIZE_RANK = Said("tensor-rank", "*", "NumDimensions(size) != ")
_SIZE_LENGTH = Said("dimension-match", "*", "size->dims->data[0] != ")
_SIZE_TYPE = Said("operator-types", "*", "size->type != ")
_BOTH = Said("option-value", None, "If half_pixel_centers is True, align_corners must be False.")
_HEIGHT = Said("positive-size", "resize_bilinear.cc", "size_data[0] > 0 was not true")
_WIDTH = Said("positive-size", "resize_bilinear.cc", "size_data[1] > 0 was not true")
_TYPE = Said("operator-types", None, "Output type is {}, requires float")

_TYPES = ("FLOAT32", "UINT8", "INT8", "INT16")


@kernel("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def _resize(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, size, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or size is None or result is None:
        return
    linear = node.name == "RESIZE_BILINEAR"
    sound = has_rank(node, INPUT_RANK, source, 4) & has_rank(node, _SIZE_RANK, size, 1)
    if not linear:
        sound &= is_of(node, _SIZE_TYPE, size, ("INT32",))
    if size.dim(0) not in (None, 2):
        message = f"the size has {size.dim(0)} entries, the kernel takes 2"
        node.refuse(_SIZE_LENGTH, message, size, on=On.LITERT if linear else None)
        if linear and size.dim(0) == 1:
            node.doubt("dimension-match", f"{message}; it reads beyond the end", size, on=On.V2_14)
        sound = False
    if linear:
        sound &= is_of(node, _SIZE_TYPE, size, ("INT32",))
    result.type = source.type
    if source.type not in _TYPES:
        is_of(node, _TYPE, source, _TYPES, on=On.V2_14, at=Stage.INVOKE)
        if linear or width(source.type) in (None, 64):
            is_of(node, _TYPE, source, _TYPES, on=On.LITERT, at=Stage.INVOKE)
    copies(node, source, result)
    if not size.is_fixed:
        node.resize(0, None)
        return
    table = "ResizeBilinearOptions"
    if linear and node.option(table, "half_pixel_centers") and node.option(table, "align_corners"):
        node.refuse(_BOTH, "half_pixel_centers and align_corners are both set, the kernel takes one of them")
    found = indices(size.values, 2) if sound else None
    if found is None or source.shape is None:
        result.shape = None
        return
    if linear and min(found) <= 0:
        said = _HEIGHT if found[0] <= 0 else _WIDTH
        node.refuse(said, f"the size is {found}, both must be positive", size)
        result.shape = None
        return
    node.resize(0, [source.shape[0], *found, source.shape[3]])
    if not linear and 0 in found and min(found) == 0 and source.type in ("UINT8", "INT8"):
        # The kernel for 8 bits divides integers by the size; tflite-runtime 2.14 has it for UINT8 only.
        on = On.LITERT if source.type == "INT8" else None
        node.crash("positive-size", f"the size is {found}, both must be positive", size, on=on, at=Stage.INVOKE)
