"""TFLM's kernels of matrix products and look-ups in a matrix.

Source: tflite-micro kernels/batch_matmul.cc, batch_matmul_common.cc, embedding_lookup.cc.
"""

from __future__ import annotations

from math import prod

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_COUNT, NO_OUTPUT, OUTPUT_COUNT
from tflite_surgeon.knowledge.micro.layers import output, product
from tflite_surgeon.knowledge.problems import Said, Stage

_FIRST = Said("missing-input", "batch_matmul.cc", "lhs_data != nullptr was not true")
_SECOND = Said("missing-input", "batch_matmul.cc", "rhs_data != nullptr was not true")
_FIRST_TYPE = Said("operator-types", "batch_matmul.cc", "lhs_data->type == kTfLiteFloat32 {} was not true")
_SECOND_TYPE = Said("operator-types", "batch_matmul.cc", "rhs_data->type == kTfLiteFloat32 {} was not true")
_SAME = Said("operator-types", "batch_matmul.cc", "lhs_data->type == rhs_data->type was not true")
_SAME_OUTPUT = Said("same-type", "batch_matmul.cc", "lhs_data->type == output->type was not true")
_RANKS = {
    (name, compared): Said("tensor-rank", "batch_matmul.cc", f"{name}_rank {compared} was not true")
    for name in ("lhs", "rhs")
    for compared in (">= 2", "<= 5")
}
_ZERO_POINTS = tuple(
    Said("int16-zero-point", "batch_matmul.cc", f"{name}->params.zero_point != 0")
    for name in ("lhs_data", "rhs_data", "output")
)
_BROADCAST = Said("broadcast", "batch_matmul.cc", "rhs_dim != 1")
_INNER = Said("inner-dimension", "batch_matmul.cc", "accum_dim_lhs != accum_dim_rhs")
_OUTPUT_RANK = Said("output-shape", "batch_matmul_common.cc", "output_rank <= NumDimensions(output) was not true")
_OUTPUT_SIZE = Said("output-shape", "batch_matmul_common.cc", "orig_size != NumElements(output)")
_TYPES = ("FLOAT32", "INT8", "INT16")
_OPTIONS = "BatchMatMulOptions"


@micro_kernel("BATCH_MATMUL")
def _batch_matmul(node: KernelNode) -> None:
    if not _has_counts(node):
        return
    first, second, result = node.inputs[0], node.inputs[1], node.outputs[0]
    for operand, said, role in ((first, _FIRST, "first input"), (second, _SECOND, "second input")):
        if operand is None:
            node.refuse(said, f"the {role} is not given, the kernel needs it")
    if first is None or second is None:
        return
    if result is None:
        node.refuse(NO_OUTPUT, "the output is not given, the kernel needs it")
        return
    if first.type not in _TYPES or second.type not in _TYPES:
        said, operand = (_FIRST_TYPE, first) if first.type not in _TYPES else (_SECOND_TYPE, second)
        node.refuse(said, f"an input is {operand.type}, the kernel takes {', '.join(_TYPES)}", operand)
    if first.type != second.type:
        node.refuse(_SAME, f"the inputs are {first.type} and {second.type}, the kernel takes one type", second)
    if first.type != result.type:
        node.refuse(_SAME_OUTPUT, f"the inputs are {first.type} and the output {result.type}", result)
    if not _have_ranks(node, first, second):
        return
    if first.type in ("INT8", "INT16"):
        product(node, first, second, result)
        _quantised(node, first, second, result)
    _shape(node, first, second, result)


def _has_counts(node: KernelNode) -> bool:
    if len(node.inputs) != 2:
        node.refuse(INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 2")
    elif len(node.outputs) != 1:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
    else:
        return True
    return False


def _have_ranks(node: KernelNode, first: Operand, second: Operand) -> bool:
    for name, operand in (("lhs", first), ("rhs", second)):
        rank = len(operand.shape or ())
        if not 2 <= rank <= 5:
            said = _RANKS[name, ">= 2" if rank < 2 else "<= 5"]
            node.refuse(said, f"an input has {rank} dimensions, the kernel takes 2 to 5", operand)
            return False
    return True


def _quantised(node: KernelNode, first: Operand, second: Operand, result: Operand) -> None:
    operands = ((first, "first input"), (second, "second input"), (result, "output"))
    if first.type == "INT16":
        for (operand, role), said in zip(operands, _ZERO_POINTS):
            if operand.zero_point:
                node.refuse(said, f"the {role}'s zero point is {operand.zero_point}, the INT16 kernel takes 0", operand)
    for operand, role in operands:
        if not operand.is_affine:
            node.wrong(
                "missing-quantization",
                f"the {role} ({operand.type}) lacks scale or zero point, the kernel takes its scale as 0",
                operand,
            )
        elif not operand.scale:
            node.wrong("scale-value", f"the {role} scale is 0: all outputs are equal", operand)


def _shape(node: KernelNode, first: Operand, second: Operand, result: Operand) -> None:
    rank = max(len(first.shape or ()), len(second.shape or ()))
    left, right = (_extended(operand.shape or [], rank) for operand in (first, second))
    batches = []
    for a, b in zip(left[:-2], right[:-2]):
        if a not in (b, 1) and b != 1:
            node.refuse(
                _BROADCAST, f"the shapes {first.shape} and {second.shape} do not broadcast: {a} and {b}", second
            )
            return
        batches.append(b if a == 1 else a)
    rows, inner = left[-2:]
    inner_too, columns = right[-2:]
    if node.option(_OPTIONS, "adj_x"):
        rows, inner = inner, rows
    if node.option(_OPTIONS, "adj_y"):
        inner_too, columns = columns, inner_too
    if inner != inner_too:
        node.refuse(
            _INNER,
            f"the products are summed over {inner} values of {first.shape} and {inner_too} of {second.shape}",
            second,
        )
        return
    computed = [*batches, rows, columns]
    stored = result.shape or []
    if rank > len(stored):
        node.refuse(_OUTPUT_RANK, f"the output is stored as {stored}, the product has the shape {computed}", result)
        return
    # What is stored behind the computed dimensions does not count any more.
    if prod(stored) != prod(computed):
        node.refuse(_OUTPUT_SIZE, f"the output is stored as {stored}, the product has the shape {computed}", result)
        return
    node.resize(0, computed)


def _extended(shape: list[int], rank: int) -> list[int]:
    return [1] * (rank - len(shape)) + shape


_LOOKUP = Said("missing-input", "embedding_lookup.cc", "lookup != nullptr was not true")
_VALUE = Said("missing-input", "embedding_lookup.cc", "value != nullptr was not true")
_LOOKUP_RANK = Said("tensor-rank", "embedding_lookup.cc", "NumDimensions(lookup) != 1")
_LOOKUP_TYPE = Said("operator-types", "embedding_lookup.cc", "lookup->type != kTfLiteInt32")
_VALUE_RANK = Said("tensor-rank", "embedding_lookup.cc", "NumDimensions(value) >= 2 was not true")
_VALUE_TYPE = Said("operator-types", "embedding_lookup.cc", "value->type == kTfLiteFloat32 {} was not true")
_RESULT_TYPE = Said("operator-types", "embedding_lookup.cc", "output->type == kTfLiteFloat32{} was not true")
_RESULT_RANK = Said("output-shape", "embedding_lookup.cc", "output->dims->size >= NumDimensions(value) was not true")
_RESULT_SIZE = Said("output-shape", "embedding_lookup.cc", "new_dims_size <= output->bytes was not true")
_ZERO_POINT = Said("weights-zero-point", "embedding_lookup.cc", "tensor_1->params.zero_point != 0")
_BOUNDS = Said("index-bounds", None, "EMBEDDING_LOOKUP: index out of bounds.")


@micro_kernel("EMBEDDING_LOOKUP")
def _embedding(node: KernelNode) -> None:
    if not _has_counts(node):
        return
    lookup, value, result = node.inputs[0], node.inputs[1], output(node)
    if lookup is None:
        node.refuse(_LOOKUP, "the input with the rows to look up is not given, the kernel needs it")
        return
    if lookup.rank != 1:
        node.refuse(_LOOKUP_RANK, f"the rows to look up have {lookup.rank} dimensions, the kernel takes 1", lookup)
    if lookup.type != "INT32":
        node.refuse(_LOOKUP_TYPE, f"the rows to look up are {lookup.type}, the kernel takes INT32", lookup)
    if value is None:
        node.refuse(_VALUE, "the input with the table is not given, the kernel needs it")
        return
    shape = value.shape or []
    if len(shape) < 2:
        node.refuse(_VALUE_RANK, f"the table has {len(shape)} dimensions, the kernel takes 2 or more", value)
    if value.type not in ("FLOAT32", "INT8"):
        node.refuse(_VALUE_TYPE, f"the table is {value.type}, the kernel takes FLOAT32 or INT8", value)
    if result is None:
        node.refuse(NO_OUTPUT, "the output is not given, the kernel needs it")
        return
    if result.type != "FLOAT32" and result.type != value.type:
        node.refuse(_RESULT_TYPE, f"the table is {value.type} and the output {result.type}", result)
    if not lookup.shape or len(shape) < 2:
        return
    computed = [lookup.shape[0], *shape[1:]]
    stored = result.shape or []
    if len(stored) < len(shape):
        node.refuse(_RESULT_RANK, f"the output is stored as {stored}, the kernel makes {computed}", result)
        return
    written = [*computed, *stored[len(computed) :]]
    if prod(written) > prod(stored):
        node.refuse(_RESULT_SIZE, f"the output is stored as {stored}, the kernel makes {written}", result)
    _embedding_numbers(node, lookup, value, result)
    node.resize(0, written)


def _embedding_numbers(node: KernelNode, lookup: Operand, value: Operand, result: Operand) -> None:
    if value.type == "INT8" and result.type == "FLOAT32":
        if value.zero_point:
            node.refuse(_ZERO_POINT, f"the table's zero point is {value.zero_point}, the kernel takes 0", value)
        if not value.is_affine:
            node.wrong("missing-quantization", "the INT8 table lacks scale or zero point: all outputs are 0", value)
        elif len(value.scales) > 1:
            node.wrong(
                "quantization-scheme",
                f"the table has {len(value.scales)} scales, the kernel multiplies all rows by the first",
                value,
            )
    rows = (value.shape or [0])[0]
    for index in lookup.values or ():
        if not 0 <= index < rows:
            node.refuse(_BOUNDS, f"row {index} is looked up, the table has {rows}", lookup, at=Stage.INVOKE)
            return
