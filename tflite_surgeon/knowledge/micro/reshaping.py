"""TFLM's kernels that give values another shape or order.

Source: tflite-micro kernels/reshape_common.cc, squeeze.cc, expand_dims.cc, transpose_common.cc, transpose.cc,
reverse.cc; the Python wheel.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import NO_INPUT, OUTPUT_COUNT, SAME_TYPE
from tflite_surgeon.knowledge.micro.fetching import (
    MOST_DIMENSIONS,
    WIDTHS,
    checked,
    checked_output,
    copies,
    elements,
    evaluates,
    has_all,
    needs_constant,
    output,
    words,
)
from tflite_surgeon.knowledge.problems import Said, Stage

_RESHAPE_COUNT = Said("tensor-count", "reshape_common.cc", "NumInputs(node) == 1 {} NumInputs(node) == 2 was not true")
_RESHAPE_TYPE = Said("same-type", "reshape_common.cc", "input->type != output->type")
_TWO_UNKNOWN = Said("option-value", "reshape_common.cc", "stretch_dim != -1")
_ELEMENTS = Said("element-count", "reshape_common.cc", "num_input_elements != num_output_elements")

_SQUEEZED_RANK = Said("rank-limit", "squeeze.cc", "input_num_dims <= max_squeeze_dims was not true")
_SQUEEZED = Said(
    "axis",
    "squeeze.cc",
    "current >= 0 && current < input_num_dims && input_dims->data[current] == 1 was not true",
)
_SQUEEZE_SHAPE = Said(
    "output-shape",
    "squeeze.cc",
    "out_idx < output_dims->size && output_dims->data[out_idx] >= input_dims->data[in_idx] was not true",
)
_SQUEEZE_BYTES = Said("output-shape", "squeeze.cc", "input_byte_size != output_byte_size")
_MOST_SQUEEZED = 8

_NO_AXIS = Said("missing-input", "*", "axis != nullptr was not true")
_AXIS_CONSTANT = Said("constant-needed", "*", "Non-constant >axis< tensor is not supported")
_AXIS_RANK = Said("tensor-rank", None, "Axis has only one element for Expand_Dims.")
_AXIS_TYPE = Said("operator-types", None, "Axis type {} not supported by Expand_Dims.")
_AXIS_RANGE = Said("axis", "expand_dims.cc", "axis_value <= input_shape.DimensionsCount() was not true")
_EXPANDED_RANK = Said(
    "output-shape",
    "expand_dims.cc",
    "output_shape.DimensionsCount() == input_shape.DimensionsCount() + 1 was not true",
)
_EXPANDED_SHAPE = Said("output-shape", "expand_dims.cc", "output_shape.Dims(i) == {} was not true")
_EXPANDED = Said("operator-types", None, "Expand_Dims only currently supports int8, int16 and float32, got ")
_EXPANDED_TYPES = ("FLOAT32", "INT16", "INT8")

_TRANSPOSED_RANK = Said("rank-limit", "transpose_common.cc", "Transpose op only supports 1D-5D input arrays.")
_TRANSPOSED_TYPE = Said("same-type", "transpose_common.cc", "op_context.input->type != op_context.output->type")
_PERM_CONSTANT = Said("constant-needed", "transpose_common.cc", "Non-constant >perm< tensor is not supported")
_PERM_RANK = Said("tensor-rank", "transpose_common.cc", "NumDimensions(op_context.perm) != 1")
_PERM_LENGTH = Said("permutation", "transpose_common.cc", "op_context.perm->dims->data[0] != dims")
_PERM_RANGE = Said("permutation", "transpose_common.cc", "Transpose op permutations array is out of bounds.")
_TRANSPOSED = Said("operator-types", None, "is currently not supported by Transpose.")
_TRANSPOSED_TYPES = ("FLOAT32", "INT8", "INT16")
_MOST_TRANSPOSED = 5

_REVERSED_AXIS_RANK = Said("tensor-rank", "reverse.cc", "NumDimensions(axis) != 1")
_REVERSED_RANK = Said("rank-limit", "reverse.cc", "NumDimensions(input) <= kMaxDimensions was not true")
_REVERSED_COUNT = Said("axis", "reverse.cc", "NumDimensions(input) >= NumElements(axis) was not true")
_REVERSED = Said("operator-types", None, "Type {} is not supported by reverse.")
_REVERSED_GAP = Said("axis", None, "Non-contiguous `axes` not supported")
_REVERSED_TYPES = ("INT32", "FLOAT32", "UINT8", "INT8", "INT16", "INT64", "BOOL")


@micro_kernel("RESHAPE")
def _reshape(node: KernelNode) -> None:
    if len(node.inputs) not in (1, 2):
        node.refuse(_RESHAPE_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 1 or 2")
        return
    if len(node.outputs) != 1:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
        return
    source = checked(node, 0, NO_INPUT)
    result = checked_output(node) if source is not None else None
    if source is None or result is None:
        return
    shape = list(result.shape or ())
    if len(node.inputs) == 1 and shape == [0]:
        shape = []
    unknown = [axis for axis, length in enumerate(shape) if length == -1]
    count = 1
    for length in shape:
        count *= 1 if length == -1 else length
    if len(unknown) > 1:
        node.refuse(_TWO_UNKNOWN, f"the output is stored as {shape}: only one length may be left open", result)
        return
    held = source.count or 0
    if unknown:
        if count == 0:
            node.crash("output-shape", f"the output is stored as {shape}: the kernel divides by 0", result)
            return
        length = abs(held) // abs(count) * (1 if (held < 0) == (count < 0) else -1)
        shape[unknown[0]] = length
        count *= length
    if source.type != result.type:
        node.refuse(_RESHAPE_TYPE, f"the input is {source.type} and the output {result.type}", result)
    if held != count:
        node.refuse(
            _ELEMENTS, f"the input has {held} elements, the output is stored as {result.shape} with {count}", result
        )
        return
    node.resize(0, shape)
    if source.type == result.type:
        copies(node, source, result)


@micro_kernel("SQUEEZE")
def _squeeze(node: KernelNode) -> None:
    if not node.has_counts(1) or not has_all(node, 0):
        return
    source, result = node.inputs[0], output(node)
    if source is None or result is None:
        return
    shape = source.shape or []
    if len(shape) > _MOST_SQUEEZED:
        node.refuse(
            _SQUEEZED_RANK, f"the input has {len(shape)} dimensions, the kernel takes up to {_MOST_SQUEEZED}", source
        )
        return
    chosen = node.option("SqueezeOptions", "squeeze_dims") or ()
    dropped = set()
    for axis in chosen:
        at = axis + len(shape) if axis < 0 else axis
        if not 0 <= at < len(shape) or shape[at] != 1:
            node.refuse(_SQUEEZED, f"the input {shape} has no dimension {axis} of length 1 to drop", source)
            return
        dropped.add(at)
    kept = [length for axis, length in enumerate(shape) if not (axis in dropped if len(chosen) else length == 1)]
    stored = result.shape or []
    if len(stored) < len(kept) or any(length < wanted for wanted, length in zip(kept, stored)):
        node.refuse(_SQUEEZE_SHAPE, f"the output is stored as {stored}, the kernel makes {kept}", result)
        return
    width_in, width_out = WIDTHS.get(source.type), WIDTHS.get(result.type)
    if width_in is None or width_out is None:
        return
    bytes_in, bytes_out = width_in * elements(shape), width_out * elements(stored)
    if bytes_in != bytes_out:
        node.refuse(
            _SQUEEZE_BYTES,
            f"the input {source.type} {shape} has {bytes_in} bytes, the output {result.type} {stored} has {bytes_out}",
            result,
            at=Stage.INVOKE,
        )
        return
    copies(node, source, result)


@micro_kernel("EXPAND_DIMS")
def _expand_dims(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    source = checked(node, 0, NO_INPUT)
    axis = checked(node, 1, _NO_AXIS) if source is not None else None
    result = checked_output(node) if axis is not None else None
    if source is None or axis is None or result is None:
        return
    if needs_constant(node, axis, _AXIS_CONSTANT, "the axis"):
        _check_expanded(node, source, axis, result)
    if evaluates(node, source, _EXPANDED_TYPES, _EXPANDED):
        copies(node, source, result)


def _check_expanded(node: KernelNode, source: Operand, axis: Operand, result: Operand) -> None:
    if len(axis.shape or ()) > 1:
        node.refuse(_AXIS_RANK, f"the axis has {axis.rank} dimensions, the kernel takes one number", axis)
        return
    if axis.type != "INT32":
        node.refuse(_AXIS_TYPE, f"the axis is {axis.type}, the kernel takes INT32", axis)
        return
    shape, stored, values = source.shape or [], result.shape or [], axis.values
    if max(len(shape), len(stored)) > MOST_DIMENSIONS:
        node.doubt("rank-limit", f"the kernel has room for {MOST_DIMENSIONS} dimensions and writes past it", result)
        return
    if not values:
        return
    at = values[0] + len(shape) + 1 if values[0] < 0 else values[0]
    if at > len(shape):
        node.refuse(_AXIS_RANGE, f"the axis is {values[0]} for {len(shape)} dimensions", axis)
    elif len(stored) != len(shape) + 1:
        node.refuse(
            _EXPANDED_RANK, f"the output is stored with {len(stored)} dimensions, the input has {len(shape)}", result
        )
    # Of a negative axis the kernel compares the first length with the number of dimensions, which lies before it.
    elif stored != (shape[:at] + [1] + shape[at:] if at >= 0 else [len(shape), *shape]):
        node.refuse(
            _EXPANDED_SHAPE,
            f"the output is stored as {stored}, a dimension of 1 at axis {values[0]} of {shape} makes another",
            result,
        )


@micro_kernel("TRANSPOSE")
def _transpose(node: KernelNode) -> None:
    if not node.has_counts(2) or not has_all(node, 0):
        return
    source, perm, result = node.inputs[0], node.inputs[1], output(node)
    if source is None or result is None:
        return
    shape = source.shape or []
    rank = len(shape)
    if rank > _MOST_TRANSPOSED:
        node.refuse(
            _TRANSPOSED_RANK, f"the input has {rank} dimensions, the kernel takes up to {_MOST_TRANSPOSED}", source
        )
    if source.type != result.type:
        node.refuse(_TRANSPOSED_TYPE, f"the input is {source.type} and the output {result.type}", result)
    if perm is None:
        has_all(node, 1)
        return
    if needs_constant(node, perm, _PERM_CONSTANT, "the permutation"):
        _check_permutation(node, shape, perm, result)
    if evaluates(node, source, _TRANSPOSED_TYPES, _TRANSPOSED) and source.type == result.type:
        copies(node, source, result)


def _check_permutation(node: KernelNode, shape: list[int], perm: Operand, result: Operand) -> None:
    rank = len(shape)
    if perm.rank != 1:
        node.refuse(_PERM_RANK, f"the permutation has {perm.rank} dimensions, the kernel takes 1", perm)
        return
    if perm.dim(0) != rank:
        node.refuse(_PERM_LENGTH, f"the permutation names {perm.dim(0)} dimensions, the input has {rank}", perm)
        return
    # The kernel takes the bytes for INT32 whatever their type.
    found = words(perm, rank)
    if found is None:
        node.doubt("permutation", "the permutation has too few bytes: the kernel reads past them", perm)
        return
    for axis in found:
        if not 0 <= axis < rank:
            node.refuse(_PERM_RANGE, f"the permutation names dimension {axis} of {rank}", perm)
            return
    if result.rank != rank:
        node.doubt(
            "stored-shape",
            f"the output is stored with {result.rank} dimensions, the kernel reads {rank}",
            result,
            at=Stage.INVOKE,
        )
    elif len(set(found)) != rank:
        node.wrong("permutation", f"the kernel reads the permutation {list(found)}, in which dimensions repeat", perm)
    elif result.shape != [shape[axis] for axis in found]:
        node.wrong(
            "stored-shape",
            f"the output is stored as {result.shape}, the kernel makes {[shape[axis] for axis in found]}",
            result,
        )


@micro_kernel("REVERSE_V2")
def _reverse(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    source = checked(node, 0, NO_INPUT)
    axes = checked(node, 1, _NO_AXIS) if source is not None else None
    result = checked_output(node) if axes is not None else None
    if source is None or axes is None or result is None:
        return
    rank = len(source.shape or ())
    if axes.rank != 1:
        node.refuse(_REVERSED_AXIS_RANK, f"the axes have {axes.rank} dimensions, the kernel takes 1", axes)
    if rank > MOST_DIMENSIONS:
        node.refuse(
            _REVERSED_RANK, f"the input has {rank} dimensions, the kernel takes up to {MOST_DIMENSIONS}", source
        )
    if rank < (axes.count or 0):
        node.refuse(_REVERSED_COUNT, f"there are {axes.count} axes for {rank} dimensions", axes)
    if source.type not in _REVERSED_TYPES:
        node.refuse(_REVERSED, f"there is no kernel for {source.type}", source)
    if axes.type != "INT32":
        node.refuse(_REVERSED, f"the axes are {axes.type}, the kernel takes INT32", axes)
    if source.type != result.type:
        node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
        return
    copies(node, source, result)
    values = axes.values
    if values is None or len(values) < (axes.count or 0):
        return
    found = sorted(axis + rank if axis < 0 else axis for axis in values)
    if found and (found[0] < 0 or found[-1] >= rank):
        node.refuse_silently("axis", f"the axes are {values} for {rank} dimensions", axes, at=Stage.INVOKE)
    elif any(after != before + 1 for before, after in zip(found, found[1:])):
        node.refuse(_REVERSED_GAP, f"the axes {values} do not adjoin", axes, at=Stage.INVOKE)
