"""TFLM's kernels that join and part tensors.

Source: tflite-micro kernels/concatenation.cc, pack.cc, unpack.cc, split.cc, split_v.cc; the Python wheel.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import NO_INPUT
from tflite_surgeon.knowledge.micro.fetching import (
    MOST_DIMENSIONS,
    checked,
    checked_output,
    copies,
    evaluates,
    has_all,
    has_output,
    needs_constant,
    output,
    stores,
    words,
)
from tflite_surgeon.knowledge.problems import Said, Stage

_NO_FIRST = Said("missing-input", "concatenation.cc", "input_tensor != nullptr was not true")
_NO_RESULT = Said("tensor-count", "concatenation.cc", "output_tensor != nullptr was not true")
_ACTIVATION = Said("fused-activation", "concatenation.cc", "params->activation != kTfLiteActNone")
_TYPES = Said("operator-types", "concatenation.cc", "input_type == kTfLiteFloat32 {} was not true")
_OUTPUT_TYPE = Said("same-type", "concatenation.cc", "output_type != input_type")
_OTHER_TYPE = Said("same-type", "concatenation.cc", "input->type != input_type")
_MANY_INPUTS = Said("tensor-count", "concatenation.cc", "num_inputs <= kMaxInputNum was not true")
_RANK = Said("rank-limit", None, "Op Concatenation does not currently support num dimensions > ")
_SCALE = Said(
    "same-quantization",
    "concatenation.cc",
    "static_cast<double>(input->params.scale) != static_cast<double>(output_tensor->params.scale)",
)
_ZERO_POINT = Said(
    "same-quantization", "concatenation.cc", "input->params.zero_point != output_tensor->params.zero_point"
)
_INPUT_ZERO = Said("int16-zero-point", "concatenation.cc", "input->params.zero_point != 0")
_OUTPUT_ZERO = Said("int16-zero-point", "concatenation.cc", "output_tensor->params.zero_point != 0")
_JOINED = ("FLOAT32", "INT8", "INT16", "INT32", "INT64", "BOOL")
_MOST_INPUTS = 10

_PACK = Said("operator-types", None, "is not supported by pack.")
_PACKED = ("FLOAT32", "INT8", "INT16", "INT32", "INT64")
_UNPACK = Said("operator-types", None, "is not supported by unpack.")
_UNPACKED = ("FLOAT32", "INT32", "INT16", "INT8")

_NO_AXIS = Said("missing-input", "*", "axis != nullptr was not true")
_AXIS_CONSTANT = Said("constant-needed", "*", "Non-constant >axis< tensor is not supported")
_SPLIT = Said("operator-types", None, "Type {} currently not supported.")
_PARTED = ("FLOAT32", "INT8", "INT16", "INT32")


@micro_kernel("CONCATENATION")
def _concatenation(node: KernelNode) -> None:
    first = checked(node, 0, _NO_FIRST)
    result = checked_output(node, 0, _NO_RESULT) if first is not None else None
    if first is None or result is None:
        return
    activation = node.activation("ConcatenationOptions")
    if activation != "NONE":
        node.refuse(_ACTIVATION, f"the fused activation is {activation}, the kernel has none")
    kind = first.type
    if kind not in _JOINED:
        node.refuse(_TYPES, f"the inputs are {kind}, the kernel joins {', '.join(_JOINED)}", first)
    if result.type != kind:
        node.refuse(_OUTPUT_TYPE, f"the first input is {kind} and the output {result.type}", result)
    if len(node.inputs) > _MOST_INPUTS:
        node.refuse(_MANY_INPUTS, f"there are {len(node.inputs)} inputs, the kernel takes up to {_MOST_INPUTS}")
    for position, source in enumerate(node.inputs):
        if source is None:
            node.refuse(NO_INPUT, f"input {position} is not given, the kernel needs it")
            return
        _joined(node, position, source, kind, result)
    if kind == "INT16" and result.zero_point:
        node.refuse(_OUTPUT_ZERO, f"the output's zero point is {result.zero_point}, INT16 has 0", result)
    _lengths(node, result)


def _joined(node: KernelNode, position: int, source: Operand, kind: str, result: Operand) -> None:
    if source.type != kind:
        node.refuse(_OTHER_TYPE, f"input {position} is {source.type}, the first is {kind}", source)
    if len(source.shape or ()) > MOST_DIMENSIONS:
        node.refuse(
            _RANK, f"input {position} has {source.rank} dimensions, the kernel takes up to {MOST_DIMENSIONS}", source
        )
    if kind == "INT8":
        if source.scale != result.scale:
            node.refuse(
                _SCALE, f"input {position} has the scale {source.scale:.9g}, the output {result.scale:.9g}", source
            )
        if source.zero_point != result.zero_point:
            node.refuse(
                _ZERO_POINT,
                f"input {position} has the zero point {source.zero_point}, the output {result.zero_point}",
                source,
            )
    elif kind == "INT16":
        if source.zero_point:
            node.refuse(_INPUT_ZERO, f"the zero point of input {position} is {source.zero_point}, INT16 has 0", source)
        elif source.type == result.type:
            copies(node, source, result)


def _lengths(node: KernelNode, result: Operand) -> None:
    """The axis is not looked at, and neither are the lengths along it."""
    shape = result.shape or []
    rank, axis = len(shape), int(node.option("ConcatenationOptions", "axis"))
    at = axis + rank if axis < 0 else axis
    if not 0 <= at < rank or any(source is None or source.rank != rank for source in node.inputs):
        node.doubt(
            "axis",
            f"the axis is {axis} for {rank} dimensions of the output, and inputs of "
            f"{[source.rank for source in node.inputs if source]}: the kernel reads past the shapes",
            result,
            at=Stage.INVOKE,
        )
        return
    total = sum(source.shape[at] for source in node.inputs if source is not None and source.shape)
    if total != shape[at]:
        node.wrong(
            "stored-shape", f"the output is stored with {shape[at]} along axis {axis}, its inputs have {total}", result
        )


@micro_kernel("PACK")
def _pack(node: KernelNode) -> None:
    result = output(node)
    if not has_output(node, at=Stage.INVOKE) or result is None:
        return
    if not evaluates(node, result, _PACKED, _PACK) or not has_all(node, 0, at=Stage.INVOKE):
        return
    count = int(node.option("PackOptions", "values_count"))
    if count > 0 and not has_all(node, *range(min(count, len(node.inputs) + 1)), at=Stage.INVOKE):
        return
    if count != len(node.inputs):
        node.wrong("option-value", f"values_count is {count} and there are {len(node.inputs)} inputs")
    axis, shape = int(node.option("PackOptions", "axis")), result.shape or []
    if not -len(shape) <= axis < len(shape):
        node.doubt(
            "axis", f"the axis is {axis} and the output {shape}: the kernel reads past it", result, at=Stage.INVOKE
        )
        return
    for source in node.inputs:
        if source is not None:
            copies(node, source, result)
    stores(node, result, sum(source.count or 0 for source in node.inputs if source is not None))


@micro_kernel("UNPACK")
def _unpack(node: KernelNode) -> None:
    if not has_all(node, 0, at=Stage.INVOKE):
        return
    source = node.inputs[0]
    if source is None or not evaluates(node, source, _UNPACKED, _UNPACK):
        return
    count = int(node.option("UnpackOptions", "num"))
    for position in range(min(count, len(node.outputs) + 1)):
        if not has_output(node, position, at=Stage.INVOKE):
            return
    if count != len(node.outputs):
        node.wrong("option-value", f"num is {count} and there are {len(node.outputs)} outputs")
    axis, shape = int(node.option("UnpackOptions", "axis")), source.shape or []
    if not -len(shape) <= axis < len(shape):
        node.doubt(
            "axis", f"the axis is {axis} and the input {shape}: the kernel reads past it", source, at=Stage.INVOKE
        )
        return
    length = shape[axis]
    for result in node.outputs:
        if result is not None:
            copies(node, source, result)
            if length > 0:
                stores(node, result, (source.count or 0) // length)


@micro_kernel("SPLIT")
def _split(node: KernelNode) -> None:
    axis = checked(node, 0, _NO_AXIS)
    if axis is not None and needs_constant(node, axis, _AXIS_CONSTANT, "the axis"):
        _part(node, axis, 1)


@micro_kernel("SPLIT_V")
def _split_v(node: KernelNode) -> None:
    if not node.has_counts(3, None) or not has_all(node, 2):
        return
    axis = node.inputs[2]
    if axis is not None and needs_constant(node, axis, _AXIS_CONSTANT, "the axis"):
        _part(node, axis, 0)


def _part(node: KernelNode, axis: Operand, at: int) -> None:
    """Split along an axis, into the lengths that the outputs are stored with."""
    if not has_all(node, at, at=Stage.INVOKE):
        return
    source, values = node.inputs[at], words(axis, 1)
    if source is None:
        return
    rank = len(source.shape or ())
    if values is None:
        node.doubt("axis", "the axis is shorter than 4 bytes: the kernel reads past it", axis, at=Stage.INVOKE)
        return
    along = values[0] + rank if values[0] < 0 else values[0]
    if not 0 <= along < rank:
        node.refuse_silently("axis", f"the axis is {values[0]} for {rank} dimensions", axis, at=Stage.INVOKE)
        return
    if not evaluates(node, source, _PARTED, _SPLIT):
        return
    total = 0
    for result in node.outputs:
        if result is None or result.rank != rank:
            node.doubt("tensor-rank", f"an output has not the input's {rank} dimensions", result, at=Stage.INVOKE)
            return
        copies(node, source, result)
        total += result.dim(along) or 0
    if total != source.dim(along):
        node.wrong(
            "split-sizes",
            f"the outputs are stored with {total} along axis {values[0]}, the input has {source.dim(along)}",
            source,
        )
