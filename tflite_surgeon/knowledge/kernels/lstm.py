"""Kernels of LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM.

Source: LiteRT and tflite-runtime 2.14 kernels/lstm.cc, unidirectional_sequence_lstm.cc.
"""

from __future__ import annotations

import math

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.gates import (
    FLOAT,
    INT8,
    INT16,
    INT32,
    UINT8,
    WEIGHTS,
    WEIGHTS_LENGTH,
    WEIGHTS_RANK,
    WEIGHTS_SAME,
    Cell,
    Sizes,
    check_cell,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.recurrent import has_dimensions, has_outputs, has_sizes, match
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.problems import On, Said, Stage

_COUNTS = (20, 24)
_INPUT_COUNT = Said("tensor-count", None, "The LSTM Full kernel expects 20 or 24 inputs. Got {} inputs")
_OUTPUT_COUNT = Said("tensor-count", "*", "node->outputs->size != 1")
_INPUT_RANK = Said("tensor-rank", "*", "input->dims->size > 1 was not true")
_OUTPUT_STATE = Said("state-variable", "*", "output_state != nullptr was not true")
_CELL_STATE = Said("state-variable", "*", "cell_state != nullptr was not true")
_OUTPUT_STATE_COUNT = Said("state-variable", "*", "NumElements(output_state) != ")
_CELL_STATE_COUNT = Said("state-variable", "*", "NumElements(cell_state) != ")
_INTERMEDIATES = Said("intermediate-quantization", "*", "num_intermediate_tensors == 5")
_NO_SCALE = Said("intermediate-quantization", "*", "intermediate->quantization.type != kTfLiteNoQuantization")
_ALSO_NO_SCALE = (Said("intermediate-quantization", "*", "hidden->quantization.type != kTfLiteNoQuantization"),)
_POWER_OF_TWO = Said("power-of-two-scale", "*", "CheckedLog2(cell_state->params.scale, &cell_scale) was not true")
_SMALL_SCALE = Said("power-of-two-scale", "*", "cell_scale <= -9 was not true")
_CELL_SCALE = Said("power-of-two-scale", "lstm.cc", "cell_state_params->scale->data[0] != 1.0 / 32768")
_WEIGHTS_TYPE = Said("operator-types", None, "Type {} is not currently supported.")

_BASIC_COUNTS = (
    Said("tensor-count", "lstm.cc", "node->inputs->size == kInputNum was not true"),
    Said("tensor-count", "lstm.cc", "node->outputs->size == kOutputNum was not true"),
)
_BASIC_TYPES = Said("operator-types", None, "Unsupported combination of data types for LstmCell")
_BASIC_POWER = Said("power-of-two-scale", None, "The internal state of a LSTM cell must have a power-of-two scale.")
_BASIC_BITS = Said(
    "power-of-two-scale", None, "The only case of quantized LstmCell currently supported is with StateIntegerBits==4"
)

_FRACTION = 1e-3
_LARGEST_LOG = -9
_SIXTEEN_BITS, _EIGHT_BITS = 5, 12
_OUTPUT_WEIGHTS, _RECURRENT_OUTPUT_WEIGHTS, _PROJECTION = 4, 8, 16
_OUTPUT_STATE_AT, _CELL_STATE_AT, _FORGET_NORM = 18, 19, 21
_TABLES = {"LSTM": "LSTMOptions", "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions"}


@kernel("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM")
def _lstm(node: KernelNode) -> None:
    is_sequence = node.name != "LSTM"
    table = _TABLES[node.name]
    if not is_sequence and name_of("LSTMKernelType", node.option(table, "kernel_type")) == "BASIC":
        _basic(node)
        return
    if len(node.inputs) not in _COUNTS:
        node.refuse(_INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 20 or 24")
        return
    if len(node.outputs) != 1:
        node.refuse(_OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
        return
    if not node.needs(0, _OUTPUT_WEIGHTS, _RECURRENT_OUTPUT_WEIGHTS):
        return
    source, weights, recurrent = (node.inputs[at] for at in (0, _OUTPUT_WEIGHTS, _RECURRENT_OUTPUT_WEIGHTS))
    if source is None or weights is None or recurrent is None:
        return
    if source.shape is not None and len(source.shape) < 2:
        node.refuse(_INPUT_RANK, f"the input has {len(source.shape)} dimensions, the kernel takes 2 or more", source)
        return
    time_major = is_sequence and bool(node.option(table, "time_major"))
    batches = source.dim(int(time_major))
    depth = source.dim(2 if is_sequence else 1)
    cells = weights.dim(0)
    if not has_dimensions(node, WEIGHTS_RANK, "input_to_output_gate_weights", weights, 2):
        return
    match(node, WEIGHTS_LENGTH, "input_to_output_gate_weights", weights, 1, depth)
    if depth is None and source.shape is not None:
        message = f"the input has {len(source.shape)} dimensions, the kernel takes batches, time and values"
        node.refuse(WEIGHTS_LENGTH, message, source)
        return
    is_diagonal = is_sequence and recurrent.rank == 1
    if not is_diagonal and not has_dimensions(node, WEIGHTS_RANK, "recurrent_to_output_gate_weights", recurrent, 2):
        return
    if is_sequence and not is_diagonal and recurrent.type != weights.type:
        message = f"recurrent_to_output_gate_weights are {recurrent.type}, input_to_output_gate_weights {weights.type}"
        node.refuse(WEIGHTS_SAME, message, recurrent)
    match(node, WEIGHTS_LENGTH, "recurrent_to_output_gate_weights", recurrent, 0, cells)
    made = recurrent.dim(0 if is_diagonal else 1)
    is_integer = source.type == INT8
    has_norm = node.input(_FORGET_NORM) is not None
    cell = Cell(node, 1, table, Sizes(depth, made, cells), is_integer, is_sequence, has_norm)
    if not check_cell(cell) or not has_outputs(node):
        return
    states = _states(node, batches, made, cells)
    if source.shape is None or made is None:
        node.resize(0, None)
    else:
        node.resize(0, [*source.shape[:-1], made] if is_sequence else [source.shape[0], made])
    if is_integer and states is not None:
        _integer(node, table, states, has_norm)
    forget = node.input(2)
    if forget is not None and forget.type != weights.type and weights.type in WEIGHTS:
        message = f"input_to_output_gate_weights are {weights.type} and those of the forget gate {forget.type}"
        node.wrong("same-type", message, weights)
    if not is_integer and weights.type in (INT8, UINT8):
        _needs_scales(node, range(1, _PROJECTION + 1))
    if weights.type not in WEIGHTS:
        node.refuse(_WEIGHTS_TYPE, f"there is no kernel for {weights.type} weights", weights, at=Stage.INVOKE)


def _states(
    node: KernelNode, batches: int | None, made: int | None, cells: int | None
) -> tuple[Operand, Operand] | None:
    """The state of outputs and that of cells, as the kernel takes them: variables with a value for each unit."""
    outputs, memory = node.input(_OUTPUT_STATE_AT), node.input(_CELL_STATE_AT)
    for said, role, operand in ((_OUTPUT_STATE, "output state", outputs), (_CELL_STATE, "cell state", memory)):
        if operand is None or not operand.is_variable:
            message = f"the {role} is not given" if operand is None else f"the {role} is not marked as a variable"
            node.refuse(said, message, operand)
            return None
    if outputs is None or memory is None:
        return None
    for said, role, operand, units in (
        (_OUTPUT_STATE_COUNT, "output state", outputs, made),
        (_CELL_STATE_COUNT, "cell state", memory, cells),
    ):
        if batches is not None and units is not None and operand.count not in (None, batches * units):
            message = f"the {role} has {operand.count} values, the kernel needs {batches} x {units}"
            node.refuse(said, message, operand)
    return outputs, memory


def _integer(node: KernelNode, table: str, states: tuple[Operand, Operand], has_norm: bool) -> None:
    """What the integer kernels need beyond: scales of intermediates, a power of two for the cell state."""
    is_sequence = node.name != "LSTM"
    intermediates = node.intermediates()
    count = len(intermediates)
    if count != _SIXTEEN_BITS and (is_sequence or count != _EIGHT_BITS):
        message = f"there are {count} intermediate tensors, the integer kernel takes {_SIXTEEN_BITS}"
        node.refuse(_INTERMEDIATES, message)
        return
    outputs, memory = states
    if count == _SIXTEEN_BITS:
        _check_intermediates(node, intermediates, is_sequence, has_norm)
        _reads_constants(node, outputs, intermediates[4], has_norm)
        _check_clips(node, table, memory, is_sequence)
        _check_cell_scale(node, memory, is_sequence)
    elif any(operand is None or operand.scheme == "none" for operand in intermediates):
        message = "an intermediate tensor has no scale, the kernel reads one wherever that leads"
        node.doubt(_INTERMEDIATES.rule, message)
    _needs_scales(node, (0, *range(1, 12), _PROJECTION, *((20, 21, 22, 23) if has_norm else ())))
    for role, operand, kind in (
        ("output state", outputs, INT8),
        ("cell state", memory, INT16),
        ("output", node.outputs[0], INT8),
    ):
        if operand is not None and operand.type != kind:
            node.wrong("operator-types", f"the {role} is {operand.type}, the kernel takes it for {kind}", operand)
    if not outputs.scale:
        node.wrong("missing-quantization", "the output state has no scale, the kernel takes 0", outputs)


def _check_intermediates(
    node: KernelNode, intermediates: list[Operand | None], is_sequence: bool, has_norm: bool
) -> None:
    hidden = intermediates[4]
    if hidden is None or hidden.scheme == "none":
        message = "the intermediate tensor of the hidden state has no scale"
        if is_sequence:
            node.refuse(_NO_SCALE, message, hidden)
        else:
            _follows_nothing(node, _NO_SCALE.rule, message, hidden)
    if not has_norm:
        return
    for number, operand in enumerate(intermediates[:4]):
        if operand is None or operand.scheme == "none":
            message = f"intermediate tensor {number} has no scale"
            if is_sequence:
                node.wrong(_NO_SCALE.rule, f"{message}, the kernel goes on without any", operand)
            else:
                _follows_nothing(node, _NO_SCALE.rule, message, operand)
            return


def _follows_nothing(node: KernelNode, rule: str, message: str, operand: Operand | None) -> None:
    """A scale is read that is not there: LiteRT dies, 2.14 reads what lies where the pointer happens to lead."""
    node.crash(rule, f"{message}: the process dies", operand, on=On.LITERT)
    node.doubt(rule, f"{message}: what the kernel reads instead depends on memory", operand, on=On.V2_14)


def _reads_constants(node: KernelNode, outputs: Operand, hidden: Operand | None, has_norm: bool) -> None:
    """The kernel multiplies zero points with weights, and copies biases, before anything has been computed."""
    source = node.inputs[0]
    groups = (
        (range(1, 5), None if has_norm else range(12, 16), source),
        (range(5, 9), None, outputs),
        (range(_PROJECTION, _PROJECTION + 1), range(17, 18), hidden),
    )
    for weights, biases, operand in groups:
        read = list(weights) if operand is not None and operand.zero_point else []
        read += biases or ()
        for position in read:
            constant = node.input(position)
            if constant is not None and not constant.is_constant:
                message = f"input {position} is no constant, the kernel reads it when it prepares: the process dies"
                node.crash("constant-needed", message, constant)
                return


def _check_clips(node: KernelNode, table: str, memory: Operand, is_sequence: bool) -> None:
    """A clip is expressed in the scale of what is clipped."""
    if is_sequence:
        return
    for name, role, operand in (("cell_clip", "cell state", memory), ("proj_clip", "output", node.outputs[0])):
        if node.option(table, name) > 0 and operand is not None and operand.scheme == "none":
            message = f"there is a {name} and the {role} has no scale"
            _follows_nothing(node, "missing-quantization", message, operand)


def _check_cell_scale(node: KernelNode, memory: Operand, is_sequence: bool) -> None:
    """The kernel shifts cells by bits; what it finds wrong it prints, and goes on with multipliers of 0."""
    scale = memory.scale
    log = math.log2(scale) if 0 < scale < math.inf else math.nan
    if not abs(log - round(log) if log == log else log) < _FRACTION:
        message = f"the scale of the cell state is {scale:.9g}, no power of two: the kernel goes on with factors of 0"
        node.wrong(_POWER_OF_TWO.rule, message, memory)
    elif not is_sequence and round(log) > _LARGEST_LOG:
        message = f"the scale of the cell state is {scale:.9g}, more than 2^-9: the kernel goes on with factors of 0"
        node.wrong(_SMALL_SCALE.rule, message, memory)


def _needs_scales(node: KernelNode, positions: range | tuple[int, ...]) -> None:
    """Tensors without a scale count with 0."""
    for position in positions:
        operand = node.input(position)
        if operand is not None and not operand.scale and operand.type not in (FLOAT, INT32):
            message = f"input {position} has no scale, the kernel takes 0"
            node.wrong("missing-quantization", message, operand)
            return


# The cell of five inputs


def _basic(node: KernelNode) -> None:
    if not has_sizes(node, _BASIC_COUNTS, 5, 4) or not node.needs(0, 1, 2, 3, 4):
        return
    source, previous, weights, bias, state = node.inputs
    if source is None or previous is None or weights is None or bias is None or state is None:
        return
    for said, role, operand, rank in (
        (_BASIC_RANKS["input"], "input", source, 2),
        (_BASIC_RANKS["prev_activation"], "previous activation", previous, 2),
        (_BASIC_RANKS["weights"], "weights", weights, 2),
        (_BASIC_RANKS["bias"], "bias", bias, 1),
        (_BASIC_RANKS["prev_state"], "previous state", state, 2),
    ):
        if not has_dimensions(node, said, role, operand, rank):
            return
    batches, depth, units = source.dim(0), source.dim(1), previous.dim(1)
    rows = None if units is None else 4 * units
    columns = None if units is None or depth is None else depth + units
    match(node, _BASIC_LENGTHS["prev_activation", 0], "previous activation", previous, 0, batches)
    match(node, _BASIC_LENGTHS["weights", 0], "weights", weights, 0, rows)
    match(node, _BASIC_LENGTHS["weights", 1], "weights", weights, 1, columns)
    match(node, _BASIC_LENGTHS["bias", 0], "bias", bias, 0, rows)
    match(node, _BASIC_LENGTHS["prev_state", 0], "previous state", state, 0, batches)
    match(node, _BASIC_LENGTHS["prev_state", 1], "previous state", state, 1, units)
    if not has_outputs(node):
        return
    types = tuple(operand.type for operand in (*node.inputs, *node.outputs) if operand is not None)
    if types != _BASIC_FLOAT and types != _BASIC_UINT8:
        node.refuse(_BASIC_TYPES, f"there is no kernel for {', '.join(types)}", at=Stage.INVOKE)
    result = node.outputs[1]
    if types == _BASIC_UINT8 and result is not None:
        _basic_scale(node, result)
    shapes = (
        previous.shape,
        state.shape,
        None if batches is None or columns is None else [batches, columns],
        None if batches is None or rows is None else [batches, rows],
    )
    for position, shape in enumerate(shapes):
        node.resize(position, None if shape is None else list(shape))


def _basic_scale(node: KernelNode, state: Operand) -> None:
    scale = state.scale
    log = math.log2(scale) if 0 < scale < math.inf else math.nan
    if not abs(log - round(log) if log == log else log) < _FRACTION:
        message = f"the scale of the state is {scale:.9g}, no power of two"
        node.refuse(_BASIC_POWER, message, state, at=Stage.INVOKE)
    elif round(log) != _BASIC_LOG:
        message = f"the scale of the state is {scale:.9g}, the kernel takes 2^{_BASIC_LOG}"
        node.refuse(_BASIC_BITS, message, state, at=Stage.INVOKE)


_BASIC_LOG = -11
_BASIC_FLOAT = (FLOAT,) * 9
_BASIC_UINT8 = (UINT8, UINT8, UINT8, INT32, INT16, UINT8, INT16, UINT8, INT16)
_BASIC_RANKS = {
    name: Said("tensor-rank", "lstm.cc", f"{name}->dims->size != ")
    for name in ("input", "prev_activation", "weights", "bias", "prev_state")
}
_BASIC_LENGTHS = {
    (name, axis): Said(rule, "lstm.cc", f"{name}->dims->data[{axis}] != {wanted}")
    for rule, name, axis, wanted in (
        ("state-variable", "prev_activation", 0, "num_batches"),
        ("gates", "weights", 0, "4 * activation_depth"),
        ("gates", "weights", 1, "total_depth"),
        ("gates", "bias", 0, "4 * activation_depth"),
        ("state-variable", "prev_state", 0, "num_batches"),
        ("state-variable", "prev_state", 1, "activation_depth"),
    )
}
