"""FULLY_CONNECTED with weights in other forms than dense integers beside integers, or floats beside floats."""

from __future__ import annotations

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.layers import has_useful_weights_scales, ignores_weights_zero_point
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import On, Said, Stage

_WORKSPACE = Said("operator-types", None, "Unexpected data typeNode number {} (FULLY_CONNECTED)")
_SPARSE_FORM = Said("weights-format", None, "Unsupported sparse fully-connected weight format.")
_SPARSE_INT8_FORM = Said("weights-format", None, "Invalid quantized and sparse fully-connected format.")
_SPARSE_ZERO_POINT = Said(
    "weights-zero-point", None, "Quantized and sparse fully-connected format supports symmetric weight quantization"
)


def check_hybrid(node: KernelNode, weights: Operand) -> None:
    """Float inputs with integer weights, which the kernel takes for symmetric."""
    if weights.scheme == "none":
        node.wrong("missing-quantization", "the weights have no scale: they count for nothing", weights)
    elif len(weights.scales) > 1 or not (weights.is_affine or weights.has_plain_scales):
        message = f"the weights have {len(weights.scales) or 'other'} scales, beside floats the kernel finds none"
        node.wrong("quantization-scheme", message, weights, on=On.V2_14)
    else:
        has_useful_weights_scales(node, weights)
    if weights.type == "INT4" and not weights.has_plain_scales:
        message = "the kernel looks for the scale of INT4 weights that have none: whether it dies depends on memory"
        node.doubt("quantization-scheme", message, weights, on=On.V2_14, at=Stage.INVOKE)
    ignores_weights_zero_point(node, weights)


def check_sparse(node: KernelNode, weights: Operand, result: Operand) -> None:
    """Sparse weights: single values or blocks of 4 floats, or blocks of 16 integers, along the rows."""
    sparsity = weights.tensor.sparsity
    dimensions = (sparsity.dim_metadata if sparsity is not None else None) or []
    formats = [name_of("DimensionType", part.format) for part in dimensions]
    is_row_by_row = formats[:2] == ["DENSE", "SPARSE_CSR"]
    block = dimensions[2].dense_size if len(dimensions) == 3 else None
    if weights.type == "FLOAT32":
        if not is_row_by_row or (len(dimensions) != 2 and block != 4):
            message = "the weights are sparse in another form than single values or blocks of 4 along the rows"
            node.refuse(_SPARSE_FORM, message, weights, at=Stage.INVOKE)
    elif weights.type == result.type == "INT8":
        if weights.zero_point:
            message = f"sparse weights have the zero point {weights.zero_point}, the kernel takes 0"
            node.refuse(_SPARSE_ZERO_POINT, message, weights, at=Stage.INVOKE)
        message = "the weights are sparse in another form than blocks of 16 along the rows"
        if not is_row_by_row:
            node.refuse(_SPARSE_INT8_FORM, message, weights, at=Stage.INVOKE)
        elif block != 16:
            node.refuse(_SPARSE_FORM, message, weights, at=Stage.INVOKE)


def check_shuffled(node: KernelNode, weights: Operand, workspace: Operand | None) -> None:
    """Weights stored in tiles of 4 rows and 16 columns."""
    if workspace is not None and workspace.type != "UINT8":
        message = f"the workspace for shuffled weights is {workspace.type}, the kernel takes UINT8"
        node.refuse(_WORKSPACE, message, workspace, at=Stage.INVOKE)
    if weights.shape is not None and len(weights.shape) == 2 and (weights.shape[0] % 4 or weights.shape[1] % 16):
        message = (
            f"shuffled weights of shape {weights.shape} fill no whole tiles of 4 by 16: memory beside them is read"
        )
        node.doubt("weights-format", message, weights, at=Stage.INVOKE)
