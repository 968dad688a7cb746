"""Kernels of BATCH_MATMUL and of look-ups in embedding tables.

Source: LiteRT kernels/batch_matmul.cc, embedding_lookup.cc, embedding_lookup_sparse.cc; tflite-runtime 2.14, run.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.layers import has_multiplier, has_useful_output_scale, ignores_weights_zero_point
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.problems import On, Said, Stage

# BATCH_MATMUL

_MATMUL = "batch_matmul.cc"
_MATMUL_OPTIONS = "BatchMatMulOptions"
_MATMUL_ZERO_POINTS = {
    role: Said("int16-zero-point", _MATMUL, f"{name}->params.zero_point != 0")
    for role, name in (("left input", "lhs_data"), ("right input", "rhs_data"), ("output", "output"))
}
_MATMUL_TYPES = {
    role: Said(
        "operator-types",
        _MATMUL,
        f"{name}->type == kTfLiteFloat32 || {name}->type == kTfLiteInt8 || {name}->type == kTfLiteInt16 was not true",
    )
    for role, name in (("left input", "lhs_data"), ("right input", "rhs_data"))
}
_MATMUL_PAIR = Said(
    "operator-types", _MATMUL, "(lhs_data->type == kTfLiteFloat32 && rhs_data->type == kTfLiteInt8) || "
)
_MATMUL_RANK = {
    (role, bound): Said("tensor-rank", _MATMUL, f"NumDimensions({name}) {bound} was not true")
    for role, name in (("left input", "lhs_data"), ("right input", "rhs_data"))
    for bound in (">= 2", "<= 5")
}
_MATMUL_BATCHES = Said("broadcast", _MATMUL, "rhs_dim != 1")
_MATMUL_INNER = Said("inner-dimension", _MATMUL, "accum_dim_lhs != accum_dim_rhs")

_MATMUL_KINDS = ("FLOAT32", "INT8", "INT16")
_MATMUL_PAIRS_2_14 = (("FLOAT32", "INT8"), *((kind, kind) for kind in _MATMUL_KINDS))
_MATMUL_PAIRS = (*_MATMUL_PAIRS_2_14, ("INT16", "INT8"))
_MATMUL_RESULTS = {"FLOAT32": ("FLOAT32",), "INT8": ("INT8", "INT32"), "INT16": ("INT16",)}
_MOST_DIMENSIONS = 5


@kernel("BATCH_MATMUL")
def _batch_matmul(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    left, right, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if left is None or right is None:
        node.crash("missing-input", f"input {0 if left is None else 1} is not given, the kernel reads it unasked")
        return
    if result is None:
        return
    if left.type in ("INT8", "INT16"):
        _scales_product(node, left, right, result)
    _multiplies_types(node, left, right, result)
    _resize_product(node, left, right)


def _scales_product(node: KernelNode, left: Operand, right: Operand, result: Operand) -> None:
    roles = (("left input", left), ("right input", right))
    if result.type != "INT32":
        has_multiplier(node, left, right, None, result)
        for role, operand in roles:
            if operand.type not in ("INT8", "INT16"):
                continue
            if operand.scheme == "none":
                message = f"the {role} has no scale: every output is the zero point"
                node.wrong("missing-quantization", message, operand)
            elif len(operand.scales) != 1:
                message = f"the {role} has {len(operand.scales)} scales, the kernel reads one and finds 0"
                node.wrong("quantization-scheme", message, operand)
        has_useful_output_scale(node, result)
    if left.type == "INT16":
        for role, operand in (*roles, ("output", result)):
            if operand.zero_point:
                message = f"the {role}'s zero point is {operand.zero_point}, beside INT16 the kernel takes 0"
                node.refuse(_MATMUL_ZERO_POINTS[role], message, operand)


def _multiplies_types(node: KernelNode, left: Operand, right: Operand, result: Operand) -> None:
    pair = (left.type, right.type)
    if pair not in _MATMUL_PAIRS_2_14:
        if left.type not in _MATMUL_KINDS:
            node.refuse(_MATMUL_TYPES["left input"], f"there is no kernel for {left.type}", left)
        if right.type not in _MATMUL_KINDS:
            node.refuse(_MATMUL_TYPES["right input"], f"there is no kernel for {right.type}", right)
        message = f"the left input is {left.type} and the right one {right.type}"
        node.refuse(_MATMUL_PAIR, message, right, on=On.V2_14 if pair in _MATMUL_PAIRS else On.TFLITE)
    if result.type not in _MATMUL_RESULTS.get(left.type, (result.type,)):
        message = f"the inputs are {left.type} and {right.type}, the output {result.type}: written as another type"
        node.wrong("same-type", message, result)
    if pair == ("FLOAT32", "INT8"):
        if right.scheme == "none":
            node.wrong("missing-quantization", "the right input has no scale: it counts for nothing", right)
        ignores_weights_zero_point(node, right)


def _resize_product(node: KernelNode, left: Operand, right: Operand) -> None:
    for role, operand in (("left input", left), ("right input", right)):
        if operand.shape is not None and not 2 <= len(operand.shape) <= _MOST_DIMENSIONS:
            bound = ">= 2" if len(operand.shape) < 2 else "<= 5"
            message = f"the {role} has {len(operand.shape)} dimensions, the kernel takes 2 to 5"
            node.refuse(_MATMUL_RANK[role, bound], message, operand)
            if len(operand.shape) < 2:
                return
    if left.shape is None or right.shape is None:
        node.resize(0, None)
        return
    rank = max(len(left.shape), len(right.shape))
    first = [1] * (rank - len(left.shape)) + left.shape
    second = [1] * (rank - len(right.shape)) + right.shape
    shape: list[int] = []
    for one, other in zip(first[:-2], second[:-2]):
        if one not in (1, other) and other != 1:
            node.refuse(_MATMUL_BATCHES, f"the shapes {left.shape} and {right.shape} do not broadcast", right)
            return
        shape.append(other if one == 1 else one)
    rows, inner = first[-2:]
    if node.option(_MATMUL_OPTIONS, "adj_x"):
        rows, inner = inner, rows
    depth, columns = second[-2:]
    if node.option(_MATMUL_OPTIONS, "adj_y"):
        depth, columns = columns, depth
    if inner != depth:
        message = f"the left input's inner dimension is {inner}, the right one's {depth}"
        node.refuse(_MATMUL_INNER, message, right)
        return
    node.resize(0, [*shape, rows, columns])


# EMBEDDING_LOOKUP

_LOOKUP = "embedding_lookup.cc"
_LOOKUP_RANK = Said("tensor-rank", _LOOKUP, "NumDimensions(lookup) != 1")
_LOOKUP_TYPE = Said("operator-types", _LOOKUP, "lookup->type != kTfLiteInt32")
_TABLE_RANK = Said("tensor-rank", _LOOKUP, "NumDimensions(value) >= 2 was not true")
_TABLE_ZERO_POINT = Said("weights-zero-point", _LOOKUP, "qparams->zero_point->data[0] == 0 was not true")
_ROWS_TYPE = Said("operator-types", _LOOKUP, "value->type == kTfLiteUInt8 || value->type == kTfLiteInt8 || ")
_ROWS_RESULT = Said("operator-types", _LOOKUP, "output->type == kTfLiteFloat32 || ")
_ROWS_DIMENSION = Said("quantized-dimension", _LOOKUP, "qparams->quantized_dimension == 0 was not true")
_ROWS_COUNT = Said("scale-count", _LOOKUP, "qparams->scale->size == row_size was not true")
_ROWS_POINTS = Said("zero-point-count", _LOOKUP, "qparams->zero_point->size == row_size || ")
_NO_TABLE_TYPE = Said("operator-types", None, "Type not currently supported.")
_NO_ROW = Said("index-bounds", None, "Embedding Lookup: index out of bounds. Got")

_TABLE_INTEGERS = ("UINT8", "INT8", "INT4", "INT2")
_FLOATS = ("FLOAT32", "FLOAT16")
_TABLE_TYPES_2_14 = ("FLOAT32", "UINT8", "INT8")


@kernel("EMBEDDING_LOOKUP")
def _embedding_lookup(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0):
        return
    indices, result = node.inputs[0], node.outputs[0]
    if indices is None or result is None:
        return
    if indices.rank not in (1, None):
        node.refuse(_LOOKUP_RANK, f"the indices have {indices.rank} dimensions, the kernel takes 1", indices)
    if indices.type != "INT32":
        node.refuse(_LOOKUP_TYPE, f"the indices are {indices.type}, the kernel reads INT32", indices)
    table = node.inputs[1]
    if table is None:
        node.needs(1)
        return
    if table.rank is not None and table.rank < 2:
        node.refuse(_TABLE_RANK, f"the table has {table.rank} dimensions, the kernel takes 2 or more", table)
        return
    if table.is_affine:
        _check_table(node, table, result)
    if table.type not in _TABLE_TYPES_2_14:
        message = f"there is no kernel for a {table.type} table"
        node.refuse(_NO_TABLE_TYPE, message, table, on=On.V2_14, at=Stage.INVOKE)
    _reads_rows(node, table, result)
    if indices.rank not in (1, None):
        return
    _looks_up(node, indices, table, result)
    if indices.shape is None or table.shape is None:
        node.resize(0, None)
    else:
        node.resize(0, [indices.shape[0], *table.shape[1:]])


def _check_table(node: KernelNode, table: Operand, result: Operand) -> None:
    points = table.zero_points
    if table.type in _TABLE_INTEGERS and result.type == "FLOAT32" and points and points[0]:
        message = f"the table's zero point is {points[0]}, for a FLOAT32 output the kernel takes 0"
        node.refuse(_TABLE_ZERO_POINT, message, table, on=On.LITERT)
    count = len(table.scales)
    if count <= 1:
        return
    if table.type not in _TABLE_INTEGERS:
        node.refuse(_ROWS_TYPE, f"the table is {table.type} and has {count} scales", table, on=On.LITERT)
    if result.type not in _FLOATS:
        message = f"the table has {count} scales and the output is {result.type}, not FLOAT32 or FLOAT16"
        node.refuse(_ROWS_RESULT, message, result, on=On.LITERT)
    if table.axis != 0:
        message = f"the scales count along dimension {table.axis}, the kernel counts them along 0"
        node.refuse(_ROWS_DIMENSION, message, table, on=On.LITERT)
    rows = table.dim(0)
    if rows is not None and rows != count:
        node.refuse(_ROWS_COUNT, f"the table has {count} scales and {rows} rows", table, on=On.LITERT)
    if rows is not None and len(points) not in (1, rows):
        message = f"the table has {len(points)} zero points and {rows} rows"
        node.refuse(_ROWS_POINTS, message, table, on=On.LITERT)


def _reads_rows(node: KernelNode, table: Operand, result: Operand) -> None:
    """Rows copied as they are, or converted to floats, whatever the tensors say."""
    if table.type == result.type:
        if table.is_affine and result.is_affine and _quantization(table) != _quantization(result):
            node.wrong("same-quantization", "rows are copied as they are, the table and the output differ", result)
    elif result.type not in _FLOATS:
        message = f"the table is {table.type} and the output {result.type}: bytes are copied as they are"
        node.wrong("same-type", message, result)
    elif table.type not in _TABLE_INTEGERS:
        message = f"the table is {table.type} and the output {result.type}: read as 8-bit integers"
        node.wrong("same-type", message, result)
    elif table.scheme == "none":
        node.wrong("missing-quantization", "the table has no scale: every output is 0", table)
    elif len(table.scales) > 1:
        message = f"the table has {len(table.scales)} scales, the kernel reads one and finds 0: every output is 0"
        node.wrong("quantization-scheme", message, table, on=On.V2_14)


def _quantization(operand: Operand) -> tuple[list[float], list[int]]:
    return operand.scales, operand.zero_points


def _looks_up(node: KernelNode, indices: Operand, table: Operand, result: Operand) -> None:
    rows = table.dim(0)
    values = indices.values
    if not rows and table.type == result.type:
        return
    if values and rows is not None and not (min(values) >= 0 and max(values) < rows):
        bad = next(value for value in values if not 0 <= value < rows)
        node.refuse(_NO_ROW, f"the index {bad} is outside the table's {rows} rows", indices, at=Stage.INVOKE)


# EMBEDDING_LOOKUP_SPARSE

_SPARSE = "embedding_lookup_sparse.cc"
_SPARSE_INPUTS = (("ids", 1, "Int32"), ("indices", 2, "Int32"), ("shape", 1, "Int32"), ("weights", 1, "Float32"))
_SPARSE_RANK = {name: Said("tensor-rank", _SPARSE, f"NumDimensions({name}) != {n}") for name, n, _ in _SPARSE_INPUTS}
_SPARSE_TYPE = {
    name: Said("operator-types", _SPARSE, f"{name}->type != kTfLite{kind}") for name, _, kind in _SPARSE_INPUTS
}
_SPARSE_LENGTH = {
    name: Said("dimension-match", _SPARSE, f"SizeOfDimension(indices, 0) != SizeOfDimension({name}, 0)")
    for name in ("ids", "weights")
}
_SPARSE_TABLE_RANK = Said("tensor-rank", _SPARSE, "NumDimensions(value) >= 2 was not true")
_SPARSE_RESULT = Said("operator-types", _SPARSE, "output->type != kTfLiteFloat32")
_SPARSE_NO_ROW = Said("index-bounds", None, "Embedding Lookup Sparse: index out of bounds. Got")
_SPARSE_SHAPE = Said("dimension-match", _SPARSE, "SizeOfDimension(dense_shape, 0) != lookup_rank")


@kernel("EMBEDDING_LOOKUP_SPARSE")
def _embedding_lookup_sparse(node: KernelNode) -> None:
    if not node.has_counts(5):
        return
    found: dict[str, Operand] = {}
    for position, (name, rank, kind) in enumerate(_SPARSE_INPUTS):
        operand = node.inputs[position]
        if operand is None:
            node.needs(position)
            return
        found[name] = operand
        if operand.rank not in (rank, None):
            node.refuse(_SPARSE_RANK[name], f"{name} has {operand.rank} dimensions, the kernel takes {rank}", operand)
        if operand.type != kind.upper():
            node.refuse(_SPARSE_TYPE[name], f"{name} is {operand.type}, the kernel reads {kind.upper()}", operand)
    count = found["indices"].dim(0)
    for name, said in _SPARSE_LENGTH.items():
        length = found[name].dim(0)
        if count is not None and length is not None and length != count:
            node.refuse(said, f"there are {count} indices and {length} {name}", found[name])
    table, result = node.inputs[4], node.outputs[0]
    if table is None:
        node.needs(4)
        return
    if table.rank is not None and table.rank < 2:
        node.refuse(_SPARSE_TABLE_RANK, f"the table has {table.rank} dimensions, the kernel takes 2 or more", table)
    if result is not None and result.type != "FLOAT32":
        node.refuse(_SPARSE_RESULT, f"the output is {result.type}, the kernel makes FLOAT32", result)
    depth, length = found["indices"].dim(1), found["shape"].dim(0)
    if depth is not None and length is not None and length != depth:
        message = f"the dense shape has {length} dimensions, the indices count {depth}"
        node.refuse(_SPARSE_SHAPE, message, found["shape"], at=Stage.INVOKE)
    rows, ids = table.dim(0), found["ids"].values
    if ids and rows is not None and not (min(ids) >= 0 and max(ids) < rows):
        bad = next(value for value in ids if not 0 <= value < rows)
        node.refuse(_SPARSE_NO_ROW, f"the id {bad} is outside the table's {rows} rows", found["ids"], at=Stage.INVOKE)
    node.resize(0, None)
