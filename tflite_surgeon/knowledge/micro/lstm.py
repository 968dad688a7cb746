"""TFLM's kernel of UNIDIRECTIONAL_SEQUENCE_LSTM.

Source: tflite-micro kernels/unidirectional_sequence_lstm.cc, lstm_eval.cc, lstm_eval_common.cc.
"""

from __future__ import annotations

from math import frexp

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.micro.fully_connected import quantised
from tflite_surgeon.knowledge.micro.layers import output
from tflite_surgeon.knowledge.problems import Said, Stage

_VALIDATE, _SIZES = "lstm_eval.cc", "lstm_eval_common.cc"
_OUTPUT_COUNT = Said("tensor-count", "*", "node->outputs->size != 1")
_INPUT_COUNT = Said("tensor-count", "unidirectional_sequence_lstm.cc", "node->inputs->size != 24")
_NOT_GIVEN = {
    0: Said("missing-input", _VALIDATE, "internal_tensors_[kLstmInputTensor] != nullptr was not true"),
    18: Said("missing-input", _VALIDATE, "internal_tensors_[kLstmOutputStateTensor] != nullptr was not true"),
    19: Said("missing-input", _VALIDATE, "internal_tensors_[kLstmCellStateTensor] != nullptr was not true"),
}
_VARIABLE = {
    18: Said("state-variable", _VALIDATE, "internal_tensors_[kLstmOutputStateTensor]->is_variable was not true"),
    19: Said("state-variable", _VALIDATE, "internal_tensors_[kLstmCellStateTensor]->is_variable was not true"),
}
_STATE_TYPE = Said("same-type", _VALIDATE, "internal_tensors_[kLstmOutputStateTensor]->type != ")
_OUTPUT_TYPE = Said("same-type", _VALIDATE, "output_tensor_->type != internal_tensors_[kLstmInputTensor]->type")
_GATE = Said("missing-input", _VALIDATE, "internal_tensors_[i] != nullptr was not true")
_WEIGHTS_TYPE = Said("same-type", _VALIDATE, "internal_tensors_[i]->type != weight_type")
_BIAS_TYPE = Said("same-type", _VALIDATE, "internal_tensors_[i]->type != bias_type")
_VARIANT = Said("gates", _VALIDATE, "internal_tensors_[i] == nullptr was not true")
_RANKS = {
    2: Said("tensor-rank", _SIZES, "tensor->dims->size != 2"),
    1: Said("tensor-rank", _SIZES, "tensor->dims->size != 1"),
}
_DIMS = (
    Said("gates", _SIZES, "tensor->dims->data[0] != dim1_size"),
    Said("gates", _SIZES, "tensor->dims->data[1] != dim2_size"),
)
_BIAS_DIM = Said("gates", _SIZES, "tensor->dims->data[0] != size")
_STATE_SIZE = {
    18: Said("state-variable", _SIZES, "NumElements(tensors.HiddenStateTensor()) != "),
    19: Said("state-variable", _SIZES, "NumElements(tensors.CellStateTensor()) != "),
}
_OUTPUT_RANK = Said("output-shape", _SIZES, "tensors.OutputTensor()->dims->size != 3")
_OUTPUT_DIMS = (
    Said("output-shape", _SIZES, "tensors.GetInternalTensor(kLstmInputTensor)->dims->data[0] != "),
    Said("output-shape", _SIZES, "tensors.GetInternalTensor(kLstmInputTensor)->dims->data[1] != "),
    Said("output-shape", _SIZES, "tensors.OutputTensor()->dims->data[2] != size_info.state_dimension"),
)
_CELL_TYPE = Said("operator-types", None, "Cell state type {} not supported.")
_WEIGHTS_KERNEL = Said("operator-types", None, "Filter type {} not supported.")
_NO_KERNEL = Said("operator-types", None, "Input type {} not supported.")

_INPUT_WEIGHTS, _RECURRENT_WEIGHTS, _BIASES = range(1, 5), range(5, 9), range(12, 16)
_FORGET_WEIGHTS, _FORGET_BIAS, _STATE, _CELL = 2, 13, 18, 19
# Peepholes, projection, layer normalisation.
_VARIANTS = (*range(9, 12), 16, 17, *range(20, 24))
# The order in which gates are prepared: forget, input, cell, output.
_GATES = ((2, 6), (1, 5), (3, 7), (4, 8))
_GATE_SCALE = 2.0**-12
_BIAS_READ_AS = {"FLOAT32": "FLOAT32", "INT8": "INT32", "INT16": "INT64"}
_LOG2_WITHIN = 1e-3
_OPTIONS = "UnidirectionalSequenceLSTMOptions"


@micro_kernel("UNIDIRECTIONAL_SEQUENCE_LSTM")
def _lstm(node: KernelNode) -> None:
    if len(node.outputs) != 1:
        node.refuse(_OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
        return
    if len(node.inputs) != 24:
        node.refuse(_INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 24")
        return
    result = output(node)
    if result is None:
        node.crash("tensor-count", "the output is not given (-1), and the kernel releases what is not there")
        return
    tensors = _tensors(node, result)
    if tensors is None:
        return
    source, state, cell = tensors[0], tensors[_STATE], tensors[_CELL]
    if source.rank != 3 or state.rank != 2:
        node.doubt(
            "tensor-rank",
            f"the input has {source.rank} dimensions and the state {state.rank}, the kernel reads 3 and 2 without "
            "looking",
            source,
        )
        return
    _check_sizes(node, tensors, result)
    if cell.type == "INT16":
        _check_gates(node, tensors, result)
    elif cell.type != "FLOAT32":
        node.refuse(_CELL_TYPE, f"the cell state is {cell.type}, the kernel takes FLOAT32 or INT16", cell)
    _evaluate(node, tensors)


def _tensors(node: KernelNode, result: Operand) -> dict[int, Operand] | None:
    """The tensors that the kernel needs, by position; None where one that it reads is not given."""
    tensors = {position: operand for position, operand in enumerate(node.inputs) if operand is not None}
    for position, role in ((0, "input"), (_STATE, "state"), (_CELL, "cell state")):
        operand = tensors.get(position)
        if operand is None:
            node.refuse(_NOT_GIVEN[position], f"the {role} tensor is not given, the kernel needs it")
            return None
        if position and not operand.is_variable:
            node.refuse(_VARIABLE[position], f"the {role} is not marked as a variable", operand)
        if position == _STATE and operand.type != tensors[0].type:
            node.refuse(_STATE_TYPE, f"the state is {operand.type} and the input {tensors[0].type}", operand)
    if result.type != tensors[0].type:
        node.refuse(_OUTPUT_TYPE, f"the output is {result.type} and the input {tensors[0].type}", result)
    for first, positions, said, role in (
        (_FORGET_WEIGHTS, (*_INPUT_WEIGHTS, *_RECURRENT_WEIGHTS), _WEIGHTS_TYPE, "weights"),
        (_FORGET_BIAS, _BIASES, _BIAS_TYPE, "biases"),
    ):
        leading = tensors.get(first)
        if leading is None:
            node.crash("missing-input", f"the {role} of the forget gate (input {first}) are not given")
            return None
        for position in positions:
            operand = tensors.get(position)
            if operand is None:
                node.refuse(_GATE, f"input {position} is not given: the kernel needs the {role} of all four gates")
                return None
            if operand.type != leading.type:
                node.refuse(said, f"the {role} are {leading.type} and {operand.type}, not of one type", operand)
    for position in _VARIANTS:
        if position in tensors:
            node.refuse(
                _VARIANT,
                f"input {position} is given: TFLM has no peepholes, projection or layer normalisation",
                tensors[position],
            )
            return None
    return tensors


def _check_sizes(node: KernelNode, tensors: dict[int, Operand], result: Operand) -> None:
    source, state = tensors[0].shape or [], tensors[_STATE].shape or []
    units, depth = state[1], source[2]
    batch = source[1] if node.option(_OPTIONS, "time_major") else source[0]
    for position in (*_INPUT_WEIGHTS, *_RECURRENT_WEIGHTS, *_BIASES):
        wanted = [units, depth] if position < 5 else [units, units] if position < 9 else [units]
        _check_shape(node, tensors[position], wanted)
    for position, said in _STATE_SIZE.items():
        operand = tensors[position]
        if operand.count != batch * units:
            node.refuse(
                said, f"the state has the shape {operand.shape}, the kernel keeps {batch} x {units} values", operand
            )
    stored, computed = result.shape or [], [source[0], source[1], units]
    if len(stored) != 3:
        node.refuse(_OUTPUT_RANK, f"the output has {len(stored)} dimensions, the kernel makes 3", result)
        return
    for found, wanted_size, said in zip(stored, computed, _OUTPUT_DIMS):
        if found != wanted_size:
            node.refuse(said, f"the output is stored as {stored}, the kernel makes {computed}", result)
            return


def _check_shape(node: KernelNode, operand: Operand, wanted: list[int]) -> None:
    shape = operand.shape or []
    if shape == wanted:
        return
    message = f"a tensor has the shape {shape}, input and state make it {wanted}"
    if len(shape) != len(wanted):
        node.refuse(_RANKS[len(wanted)], message, operand)
    elif len(wanted) == 1:
        node.refuse(_BIAS_DIM, message, operand)
    else:
        node.refuse(_DIMS[0 if shape[0] != wanted[0] else 1], message, operand)


def _check_gates(node: KernelNode, tensors: dict[int, Operand], result: Operand) -> None:
    source, state, cell = tensors[0], tensors[_STATE], tensors[_CELL]
    for of_input, of_state in _GATES:
        if source.type != "FLOAT32":
            quantised(node, source, tensors[of_input], None, _GATE_SCALE, result)
            quantised(node, state, tensors[of_state], None, _GATE_SCALE, result)
    if source.type == "FLOAT32":
        return
    for operand in (source, state, cell, *(tensors[n] for n in (*_INPUT_WEIGHTS, *_RECURRENT_WEIGHTS))):
        if not operand.is_affine:
            node.wrong(
                "missing-quantization",
                f"a tensor ({operand.type}) lacks scale or zero point, the kernel takes its scale as 0",
                operand,
            )
        elif len(operand.scales) > 1:
            node.wrong(
                "quantization-scheme",
                f"a tensor has {len(operand.scales)} scales, the kernel computes with one that it never sets",
                operand,
            )
    if cell.scale > 0 and not _is_power_of_two(cell.scale):
        node.wrong(
            "power-of-two-scale",
            f"the cell state's scale is {cell.scale:.9g}, the kernel takes the nearest power of two",
            cell,
        )


def _is_power_of_two(scale: float) -> bool:
    mantissa, _ = frexp(scale)
    return min(abs(mantissa - 0.5), abs(1 - mantissa)) < _LOG2_WITHIN / 2


def _evaluate(node: KernelNode, tensors: dict[int, Operand]) -> None:
    source, weights = tensors[0], tensors[_INPUT_WEIGHTS[0]]
    if source.type not in _BIAS_READ_AS:
        node.refuse(_NO_KERNEL, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
        return
    if source.type == "FLOAT32":
        if weights.type != "FLOAT32":
            node.wrong(
                "hybrid-model", f"the weights are {weights.type}, the kernel reads their bytes as FLOAT32", weights
            )
    elif weights.type != "INT8":
        node.refuse(_WEIGHTS_KERNEL, f"the weights are {weights.type}, the kernel takes INT8", weights, at=Stage.INVOKE)
        return
    bias = tensors[_FORGET_BIAS]
    if bias.type != _BIAS_READ_AS[source.type]:
        read_as = _BIAS_READ_AS[source.type]
        node.wrong("bias-type", f"the biases are {bias.type}, the kernel reads their bytes as {read_as}", bias)
