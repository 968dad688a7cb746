"""Kernels of ADD_N and CUMSUM. Source: LiteRT and tflite-runtime 2.14 kernels/add_n.cc, cumsum.cc."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.problems import On, Said, Stage

_ADD_N_COUNT = Said("tensor-count", "add_n.cc", "num_inputs >= 2 was not true")
_ADD_N_SHAPE = Said("dimension-match", "add_n.cc", "HaveSameShapes(input1, input) was not true")
_ADD_N_TYPE = Said("same-type", "add_n.cc", "input1->type != input->type")
_ADD_N_UNSUPPORTED = Said("operator-types", None, "AddN only supports FLOAT32|INT32 now, got {}.")
_CUMSUM_TYPE = Said("operator-types", "cumsum.cc", "input->type == kTfLiteInt32 || ")
_CUMSUM_AXIS_TYPE = Said("operator-types", "cumsum.cc", "axis->type != kTfLiteInt32")
_CUMSUM_AXES = Said("element-count", "cumsum.cc", "NumElements(axis) != 1")
_CUMSUM_RANK = Said("tensor-rank", "cumsum.cc", "NumDimensions(input) >= 1 was not true")
_CUMSUM_AXIS = Said("axis", "kernel_utils.h", "Invalid axis value.")
_CUMSUM_AXIS_2_14 = Said("axis", None, "Invalid axis: ")
_SUMMED = ("INT32", "FLOAT32", "INT64")


@kernel("ADD_N")
def _add_n(node: KernelNode) -> None:
    if len(node.inputs) < 2:
        node.refuse(_ADD_N_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 2 or more")
        return
    if not node.has_counts(len(node.inputs)) or not node.needs(0):
        return
    first, result = node.inputs[0], node.outputs[0]
    if first is None or result is None:
        return
    kind = result.type = first.type
    for position in range(1, len(node.inputs)):
        if not node.needs(position):
            return
        other = node.inputs[position]
        if other is None:
            return
        if first.shape is not None and other.shape is not None and first.shape != other.shape:
            node.refuse(_ADD_N_SHAPE, f"input {position} is {other.shape} and the first {first.shape}", other)
            return
        if other.type != kind:
            node.refuse(_ADD_N_TYPE, f"input {position} is {other.type} and the first {kind}", other)
            return
    if kind not in ("FLOAT32", "INT32"):
        node.refuse(_ADD_N_UNSUPPORTED, f"there is no kernel for {kind}", first, at=Stage.INVOKE)
    node.same_shape()


@kernel("CUMSUM")
def _cumsum(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    source, axis, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or result is None:
        node.crash("missing-input", "the input is not given, and the kernel does not look")
        return
    if source.type not in _SUMMED:
        node.refuse(_CUMSUM_TYPE, f"the input is {source.type}, the kernel sums {', '.join(_SUMMED)}", source)
        return
    if axis is None:
        node.crash("missing-input", "the axis is not given, and the kernel does not look")
        return
    if axis.type != "INT32":
        node.refuse(_CUMSUM_AXIS_TYPE, f"the axis is {axis.type}, the kernel reads INT32", axis)
        return
    if axis.count not in (1, None):
        node.refuse(_CUMSUM_AXES, f"there are {axis.count} axes, the kernel takes 1", axis)
        return
    rank = source.rank
    if rank == 0:
        node.refuse(_CUMSUM_RANK, "the input is a scalar, the kernel needs a dimension", source)
        return
    if rank is not None and axis.values and not -rank <= axis.values[0] < rank:
        message = f"the axis is {axis.values[0]}, the input has {rank} dimensions"
        node.refuse(_CUMSUM_AXIS, message, axis, on=On.LITERT, at=Stage.INVOKE)
        node.refuse(_CUMSUM_AXIS_2_14, message, axis, on=On.V2_14, at=Stage.INVOKE)
    if result.type != source.type:
        message = f"the kernel writes {source.type} into an output of {result.type}"
        node.wrong("same-type", message, result)
    node.same_shape()
