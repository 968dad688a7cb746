"""Kernels of SVDF and of simple recurrent networks.

Source: LiteRT and tflite-runtime 2.14 kernels/svdf.cc, basic_rnn.cc, unidirectional_sequence_rnn.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import MISSING_INPUT
from tflite_surgeon.knowledge.problems import On, Said, Stage

_FLOAT, _INT8, _UINT8, _INT16, _INT32 = "FLOAT32", "INT8", "UINT8", "INT16", "INT32"
_EIGHT_BITS = (_INT8, _UINT8)
# Bytes to which tensors in memory are rounded up.
_ALIGNMENT = 64

_SVDF = "svdf.cc"
_SVDF_COUNTS = (
    Said("tensor-count", _SVDF, "node->inputs->size != 5"),
    Said("tensor-count", _SVDF, "node->outputs->size != 1"),
)
_SVDF_INPUT = Said("operator-types", _SVDF, "input->type == kTfLiteFloat32 || input->type == kTfLiteInt8 was not true")
_SVDF_RANK = Said("option-value", _SVDF, "rank != 0 was not true")
_SVDF_FILTERS = Said("gates", _SVDF, "num_filters % rank != 0")
_SVDF_DEPTH = Said("gates", _SVDF, "input->dims->data[1] != weights_feature->dims->data[1]")
_SVDF_TIME = Said("gates", _SVDF, "weights_time->dims->data[0] != num_filters")
_SVDF_BIAS = Said("bias-length", _SVDF, "bias->dims->data[0] != num_units")
_SVDF_STATE_RANK = Said("tensor-rank", _SVDF, "NumDimensions(state) != 2")
_SVDF_STATE = (
    Said("state-variable", _SVDF, "SizeOfDimension(state, 0) != batch_size"),
    Said("state-variable", _SVDF, "SizeOfDimension(state, 1) != memory_size * num_filters"),
)
_SVDF_VARIABLE = Said("state-variable", _SVDF, "state != nullptr was not true")
_SVDF_SCALES = {
    role: Said("missing-quantization", _SVDF, f"{role}->quantization.type != kTfLiteNoQuantization was not true")
    for role in ("input", "weights_feature", "state", "weights_time", "output")
}
_SVDF_ACTIVATION = Said("fused-activation", _SVDF, "params->activation != kTfLiteActRelu")
_WEIGHTS_TYPE = Said("operator-types", None, "Type {} not currently supported.")


def has_sizes(node: KernelNode, said: Sequence[Said], inputs: int, outputs: int = 1) -> bool:
    """Whether there are as many inputs and outputs as the kernel takes."""
    for text, what, found, wanted in (
        (said[0], "inputs", len(node.inputs), inputs),
        (said[1], "outputs", len(node.outputs), outputs),
    ):
        if found != wanted:
            node.refuse(text, f"there are {found} {what}, the kernel takes {wanted}")
            return False
    return True


def has_outputs(node: KernelNode) -> bool:
    """Whether every output is given."""
    if None in node.outputs:
        node.refuse(MISSING_INPUT, f"output {node.outputs.index(None)} is not given")
        return False
    return True


def has_dimensions(node: KernelNode, said: Said, role: str, operand: Operand, rank: int) -> bool:
    """Whether an operand has as many dimensions as the kernel takes."""
    if operand.shape is not None and len(operand.shape) != rank:
        node.refuse(said, f"the {role} has {len(operand.shape)} dimensions, the kernel takes {rank}", operand)
        return False
    return True


def match(
    node: KernelNode, said: Said, role: str, operand: Operand, axis: int, wanted: int | None, on: On | None = None
) -> None:
    """Refuse a dimension that has not the length that others demand."""
    length = operand.dim(axis)
    if operand.shape is not None and wanted is not None and length != wanted:
        found = "missing" if length is None else str(length)
        node.refuse(said, f"dimension {axis} of the {role} is {found}, the kernel needs {wanted}", operand, on=on)


@kernel("SVDF")
def _svdf(node: KernelNode) -> None:
    if not has_sizes(node, _SVDF_COUNTS, 5) or not node.needs(0, 1, 2):
        return
    source, feature, time, bias, state = node.inputs
    if source is None or feature is None or time is None:
        return
    if source.type not in (_FLOAT, _INT8):
        node.refuse(_SVDF_INPUT, f"the input is {source.type}, the kernel takes FLOAT32 or INT8", source)
    rank = node.option("SVDFOptions", "rank")
    filters = feature.dim(0)
    units = None
    if rank == 0:
        node.refuse(_SVDF_RANK, "the option rank is 0, the kernel needs at least 1")
    elif filters is not None:
        units = int(filters / rank)
        if filters % rank:
            node.refuse(_SVDF_FILTERS, f"there are {filters} filters, no multiple of the rank {rank}", feature)
    if source.shape is not None and len(source.shape) < 2:
        node.refuse(_SVDF_DEPTH, f"the input has {len(source.shape)} dimensions, the kernel takes 2", source)
    match(node, _SVDF_DEPTH, "weights of features", feature, 1, source.dim(1))
    match(node, _SVDF_TIME, "weights of time", time, 0, filters)
    if bias is not None and units is not None:
        match(node, _SVDF_BIAS, "bias", bias, 0, units)
    if not node.needs(4) or not has_outputs(node) or state is None:
        return
    result = node.outputs[0]
    batches, memory = source.dim(0), time.dim(1)
    if has_dimensions(node, _SVDF_STATE_RANK, "state", state, 2):
        match(node, _SVDF_STATE[0], "state", state, 0, batches)
        if memory is not None and filters is not None:
            match(node, _SVDF_STATE[1], "state", state, 1, memory * filters)
        elif time.shape is not None:
            node.refuse(_SVDF_STATE[1], f"the weights of time have {len(time.shape)} dimensions, not 2", time)
    if source.type == _INT8:
        roles = ("input", "weights_feature", "state", "weights_time", "output")
        for role, operand in zip(roles, (source, feature, state, time, result)):
            if operand is not None and operand.scheme == "none":
                node.refuse(_SVDF_SCALES[role], f"the tensor {role} has no scale", operand)
    _svdf_types(node, source, feature, time, bias, state)
    if not state.is_variable:
        message = "the state is not marked as a variable, the kernel finds none when it runs"
        node.refuse(_SVDF_VARIABLE, message, state, at=Stage.INVOKE)
    activation = node.activation("SVDFOptions")
    if source.type == _INT8 and feature.type in _EIGHT_BITS and activation != "RELU":
        message = f"the fused activation is {activation}, the integer kernel takes RELU only"
        node.refuse(_SVDF_ACTIVATION, message, at=Stage.INVOKE)
    if batches is None or units is None:
        if source.shape is None or feature.shape is None:
            node.resize(0, None)
    else:
        node.resize(0, [batches, units])


def _svdf_types(
    node: KernelNode, source: Operand, feature: Operand, time: Operand, bias: Operand | None, state: Operand
) -> None:
    """Types that the kernel takes for granted, by the type of the weights of features."""
    if feature.type not in (_FLOAT, *_EIGHT_BITS):
        node.refuse(_WEIGHTS_TYPE, f"there is no kernel for {feature.type} weights", feature, at=Stage.INVOKE)
        return
    if source.type not in (_FLOAT, _INT8):
        return
    if feature.type == _FLOAT:
        wanted = (_FLOAT, _FLOAT, _FLOAT, _FLOAT)
    elif source.type == _INT8:
        wanted = (_INT8, _INT16, _INT32, _INT16)
    else:
        wanted = (_FLOAT, _INT8, _FLOAT, _FLOAT)
    for operand, kind in zip((source, time, bias, state), wanted):
        if operand is not None and operand.type != kind:
            message = f"the tensor is {operand.type}, beside {feature.type} weights the kernel reads it as {kind}"
            if operand is state and (kind, operand.type) == (_INT16, _INT8):
                _overwrites(node, state, f"{message} and writes beyond its end")
            else:
                node.wrong("operator-types", message, operand)


def _overwrites(node: KernelNode, state: Operand, message: str) -> None:
    """A state of bytes that the kernel writes in pairs: as many bytes behind it are lost."""
    if state.count is not None and state.count > _ALIGNMENT:
        node.crash("operator-types", message, state, on=On.LITERT, at=Stage.INVOKE)
        node.doubt("operator-types", message, state, on=On.V2_14, at=Stage.INVOKE)
    else:
        node.doubt("operator-types", message, state, at=Stage.INVOKE)


# Simple recurrent networks


def _texts(file: str, names: Sequence[tuple[str, str]]) -> dict[str, Said]:
    return {text: Said(rule, file, text) for rule, text in names}


_RNN_TEXTS = (
    ("tensor-count", "node->inputs->size != 5"),
    ("tensor-count", "node->outputs->size != 1"),
    ("gates", "input->dims->data[1] != input_weights->dims->data[1]"),
    ("gates", "rnn_dims.input_size != input_weights->dims->data[1]"),
    ("gates", "input->dims->data[2] != input_weights->dims->data[1]"),
    ("gates", "input_weights->dims->data[0] != bias->dims->data[0]"),
    ("gates", "recurrent_weights->dims->data[0] != bias->dims->data[0]"),
    ("gates", "recurrent_weights->dims->data[1] != bias->dims->data[0]"),
    ("operator-types", "input->type != kTfLiteFloat32"),
    ("same-type", "input_weights->type != recurrent_weights->type"),
    ("tensor-rank", "NumDimensions(input) != 3"),
    ("tensor-rank", "NumDimensions(input) != 2"),
    ("tensor-rank", "NumDimensions(input_weights) != 2"),
    ("tensor-rank", "NumDimensions(recurrent_weights) != 2"),
    ("tensor-rank", "NumDimensions(bias) != 1"),
    ("tensor-rank", "NumDimensions(hidden_state) != 2"),
    ("state-variable", "hidden_state->dims->data[0] != batch_size"),
    ("state-variable", "hidden_state->dims->data[1] != num_units"),
    ("state-variable", "hidden_state != nullptr was not true"),
)
_BASIC, _SEQUENCE = "basic_rnn.cc", "unidirectional_sequence_rnn.cc"
_RNN = {file: _texts(file, _RNN_TEXTS) for file in (_BASIC, _SEQUENCE)}


@kernel("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN")
def _rnn(node: KernelNode) -> None:
    is_sequence = node.name != "RNN"
    said = _RNN[_SEQUENCE if is_sequence else _BASIC]
    if not has_sizes(node, (said["node->inputs->size != 5"], said["node->outputs->size != 1"]), 5):
        return
    if not node.needs(0, 1, 2, 3, 4):
        return
    source, weights, recurrent, bias, state = node.inputs
    if source is None or weights is None or recurrent is None or bias is None or state is None:
        return
    rank = 3 if is_sequence else 2
    if is_sequence and not _has_ranks(node, said):
        return
    depth, old = ("rnn_dims.input_size", "input->dims->data[2]") if is_sequence else ("input->dims->data[1]", "")
    for text in (depth, old):
        if text:
            on = On.TFLITE if not old else On.LITERT if text == depth else On.V2_14
            said_depth = said[f"{text} != input_weights->dims->data[1]"]
            match(node, said_depth, "weights", weights, 1, source.dim(rank - 1), on)
    length, units = bias.dim(0) if bias.rank != 0 else 0, weights.dim(0)
    match(node, said["input_weights->dims->data[0] != bias->dims->data[0]"], "weights", weights, 0, length)
    for axis in (0, 1):
        text = f"recurrent_weights->dims->data[{axis}] != bias->dims->data[0]"
        match(node, said[text], "recurrent weights", recurrent, axis, length)
    _check_rnn_types(node, said, source, weights, recurrent)
    if not has_dimensions(node, said["NumDimensions(hidden_state) != 2"], "state", state, 2):
        return
    time_major = is_sequence and bool(node.option("SequenceRNNOptions", "time_major"))
    match(node, said["hidden_state->dims->data[0] != batch_size"], "state", state, 0, source.dim(int(time_major)))
    match(node, said["hidden_state->dims->data[1] != num_units"], "state", state, 1, units)
    if not state.is_variable:
        message = "the state is not marked as a variable, the kernel finds none when it runs"
        node.refuse(said["hidden_state != nullptr was not true"], message, state, at=Stage.INVOKE)
    if not has_outputs(node):
        return
    if source.shape is None or units is None:
        node.resize(0, None)
    else:
        node.resize(0, [*source.shape[:-1], units])


def _has_ranks(node: KernelNode, said: dict[str, Said]) -> bool:
    """Whether LiteRT takes the numbers of dimensions; 2.14 does not ask."""
    source, weights, recurrent, bias, state = node.inputs
    for operand, name, role, rank in (
        (source, "input", "input", 3),
        (weights, "input_weights", "weights", 2),
        (recurrent, "recurrent_weights", "recurrent weights", 2),
        (bias, "bias", "bias", 1),
        (state, "hidden_state", "state", 2),
    ):
        if operand is not None and operand.shape is not None and len(operand.shape) != rank:
            message = f"the {role} has {len(operand.shape)} dimensions, the kernel takes {rank}"
            node.refuse(said[f"NumDimensions({name}) != {rank}"], message, operand, on=On.LITERT)
            break
    if source is None or source.rank in (None, 3):
        return True
    message = f"the input has {source.rank} dimensions, the kernel takes 3"
    node.refuse(said["input->dims->data[2] != input_weights->dims->data[1]"], message, source, on=On.V2_14)
    return False


def _check_rnn_types(
    node: KernelNode, said: dict[str, Said], source: Operand, weights: Operand, recurrent: Operand
) -> None:
    if source.type != _FLOAT:
        message = f"the input is {source.type}, the kernel takes FLOAT32"
        node.refuse(said["input->type != kTfLiteFloat32"], message, source)
    if weights.type != recurrent.type:
        message = f"the weights are {weights.type} and the recurrent weights {recurrent.type}"
        node.refuse(said["input_weights->type != recurrent_weights->type"], message, recurrent)
    if weights.type not in (_FLOAT, *_EIGHT_BITS):
        node.refuse(_WEIGHTS_TYPE, f"there is no kernel for {weights.type} weights", weights, at=Stage.INVOKE)
