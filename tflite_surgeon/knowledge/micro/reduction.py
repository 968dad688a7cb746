"""TFLM's kernels that reduce dimensions.

Source: tflite-micro kernels/reduce_common.cc, arg_min_max.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.scales import rescales
from tflite_surgeon.knowledge.micro.single import writes_input_type
from tflite_surgeon.knowledge.problems import Said, Stage

_FILE = "reduce_common.cc"
_COUNT = Said("tensor-count", _FILE, "node->inputs->size != 2")
_OUTPUTS = Said("tensor-count", _FILE, "node->outputs->size != 1")
_NO_AXIS = Said("missing-input", _FILE, "axis != nullptr was not true")
_AXIS_TYPE = Said("operator-types", _FILE, "axis->type != kTfLiteInt32")
_BOOL_ONLY = Said("operator-types", _FILE, "input->type != kTfLiteBool")
_MEAN_TYPES = Said("operator-types", _FILE, "Currently, only float32, int8 or int16 input type is supported.")
_SUM_TYPES = Said("operator-types", None, "Only float32, int8, and int16 types are supported.")
_EXTREME_TYPES = Said("operator-types", None, "Only float32 and int8 types are supported.")
_SAME_TYPE = Said("same-type", _FILE, "input->type != output->type")
_AXIS = Said("axis", _FILE, "reference_ops::ReduceGeneric<{} was not true")
_MEAN_AXIS = Said("axis", _FILE, "reference_ops::Mean( {} was not true")
_SCALE = Said("same-quantization", _FILE, "static_cast<double>(op_data->input_scale) != static_cast<double>(op_data->")
_ZERO_POINT = Said("same-quantization", _FILE, "op_data->input_zp != op_data->output_zp")

_QUANTISED = ("INT8", "INT16")


@micro_kernel("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL")
def _reduce(node: KernelNode) -> None:
    name = node.name
    source, axis, result = node.input(0), node.input(1), node.outputs[0] if node.outputs else None
    if not node.inputs and name in ("REDUCE_MAX", "REDUCE_MIN"):
        node.refuse(_COUNT, "there are no inputs, the kernel takes 2")
        return
    follows = name in ("MEAN", "SUM") and axis is None
    if source is None or follows:
        node.crash("missing-input", f"input {1 if follows and source else 0} is not given, the kernel follows it")
        return
    if name == "REDUCE_ALL" and source.type != "BOOL":
        node.refuse(_BOOL_ONLY, f"the input is {source.type}, the kernel computes BOOL only", source)
    if len(node.inputs) != 2:
        node.refuse(_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 2")
    if len(node.outputs) != 1:
        node.refuse(_OUTPUTS, f"there are {len(node.outputs)} outputs, the kernel makes 1")
    if axis is None:
        node.refuse(_NO_AXIS, "the axes are not given, the kernel needs them")
        return
    if result is None:
        return
    if axis.type != "INT32":
        node.refuse(_AXIS_TYPE, f"the axes are {axis.type}, the kernel reads INT32", axis)
    if name == "MEAN":
        writes_input_type(node, source, result)
    elif source.type != result.type:
        message = f"the input is {source.type} and the output {result.type}"
        node.refuse(_SAME_TYPE, message, result, at=Stage.INVOKE)
    if source.type != "FLOAT32":
        _check_integers(node, source, result)
    _check_axes(node, source, axis)


def _check_integers(node: KernelNode, source: Operand, result: Operand) -> None:
    name = node.name
    message = f"there is no kernel for {source.type}"
    if name in ("MEAN", "SUM"):
        if source.type in _QUANTISED:
            rescales(node, source, result)
        else:
            node.refuse(_MEAN_TYPES if name == "MEAN" else _SUM_TYPES, message, source, at=Stage.INVOKE)
    elif name in ("REDUCE_MAX", "REDUCE_MIN"):
        if source.type != "INT8":
            node.refuse(_EXTREME_TYPES, message, source, at=Stage.INVOKE)
        elif source.scale != result.scale:
            message = f"the input's scale is {source.scale:.9g} and the output's {result.scale:.9g}"
            node.refuse(_SCALE, message, result, at=Stage.INVOKE)
        elif source.zero_point != result.zero_point:
            message = f"the input's zero point is {source.zero_point} and the output's {result.zero_point}"
            node.refuse(_ZERO_POINT, message, result, at=Stage.INVOKE)


def _check_axes(node: KernelNode, source: Operand, axis: Operand) -> None:
    """Axes outside the input: noticed when the model runs; of quantised MEAN and SUM nobody looks."""
    axes, rank = axis.values, source.rank
    if not axes or not rank:
        return
    if len(axes) < (axis.count or 0):
        message = f"there are {axis.count} axes and values of {len(axes)}, the kernel reads beside them"
        node.doubt("constant-size", message, axis, at=Stage.INVOKE)
    for value in axes:
        if -rank <= value < rank:
            continue
        message = f"axis {value} is outside the {rank} dimensions of the input"
        if node.name in ("MEAN", "SUM") and source.type in _QUANTISED:
            node.wrong("axis", f"{message}: the output is never written", axis)
        else:
            node.refuse(_MEAN_AXIS if node.name == "MEAN" else _AXIS, message, axis, at=Stage.INVOKE)
        return


_ONLY_INT32 = Said("operator-types", None, "Only int32_t are supported currently, got {}.")
_ARG_TYPES = Said("operator-types", None, "Only float32, uint8_t and int8_t are supported currently, got {}.")


@micro_kernel("ARG_MAX", "ARG_MIN")
def _arg(node: KernelNode) -> None:
    source, axis, result = node.input(0), node.input(1), node.outputs[0] if node.outputs else None
    if source is None or axis is None:
        position = 0 if source is None else 1
        node.crash("missing-input", f"input {position} is not given, the kernel reads it", at=Stage.INVOKE)
        return
    if result is None:
        return
    for operand, role in ((axis, "axis"), (result, "output")):
        if operand.type != "INT32":
            message = f"the {role} is {operand.type}, the kernel takes INT32 only"
            node.refuse(_ONLY_INT32, message, operand, at=Stage.INVOKE)
    if source.type not in ("FLOAT32", "INT8"):
        node.refuse(_ARG_TYPES, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
    axes, rank = axis.values, source.rank
    if axes and rank is not None and not -rank <= axes[0] < rank:
        message = f"axis {axes[0]} is outside the {rank} dimensions of the input, the kernel does not look"
        node.wrong("axis", message, axis)
        node.doubt("axis", message, axis, at=Stage.INVOKE)
    if source.count == 0:
        node.doubt("dimension-match", "the input is empty and the kernel reads it", source, at=Stage.INVOKE)
