"""Kernels of BIDIRECTIONAL_SEQUENCE_LSTM and BIDIRECTIONAL_SEQUENCE_RNN.

Source: LiteRT and tflite-runtime 2.14 kernels/bidirectional_sequence_lstm.cc, bidirectional_sequence_rnn.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.gates import (
    DIRECTIONS_SAME,
    FLOAT,
    INT8,
    UINT8,
    WEIGHTS_LENGTH,
    WEIGHTS_RANK,
    Cell,
    Sizes,
    check_cell,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.recurrent import has_dimensions, has_outputs, has_sizes, match
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.problems import On, Said, Stage

_LSTM, _RNN = "bidirectional_sequence_lstm.cc", "bidirectional_sequence_rnn.cc"
_LSTM_TABLE, _RNN_TABLE = "BidirectionalSequenceLSTMOptions", "BidirectionalSequenceRNNOptions"
_COUNTS = {
    file: (
        Said("tensor-count", file, f"node->inputs->size != {inputs}"),
        Said("tensor-count", file, "node->outputs->size != params->merge_outputs ? 1 : 2"),
    )
    for file, inputs in ((_LSTM, 48), (_RNN, 12))
}
_INPUT_TYPE = {file: Said("operator-types", file, "input->type != kTfLiteFloat32") for file in (_LSTM, _RNN)}
_INPUT_RANK = {file: Said("tensor-rank", file, "input->dims->size != 3") for file in (_LSTM, _RNN)}
_TYPES = (FLOAT, INT8, UINT8)
_FORWARD, _BACKWARD = 1, 18
_OUTPUT_WEIGHTS, _RECURRENT_OUTPUT_WEIGHTS = 3, 7
_STATES = (("fw", 35, 36), ("bw", 37, 38))
_AUXILIARY = 39
_STATE_MISSING = {
    f"{way}_{kind}_state": Said("state-variable", _LSTM, f"{way}_{kind}_state != nullptr was not true")
    for way in ("fw", "bw")
    for kind in ("activation", "cell")
}
_STATE_COUNT = {name: Said("state-variable", _LSTM, f"NumElements({name}) != ") for name in _STATE_MISSING}
_ALL_OR_NONE = Said("gates", _LSTM, "aux_inputs_weights_all_or_none was not true")
_AUXILIARY_MISSING = Said("gates", _LSTM, "aux_input != nullptr was not true")
_AUXILIARY_RANK = Said("tensor-rank", _LSTM, "aux_input->dims->size != 3")
_AUXILIARY_LENGTH = tuple(
    Said("gates", _LSTM, f"aux_input->dims->data[{axis}] != {wanted}")
    for axis, wanted in enumerate(("input->dims->data[0]", "input->dims->data[1]", "n_input"))
)
_AUXILIARY_WEIGHTS = (
    Said("tensor-rank", _LSTM, "weight_tensor->dims->size != 2"),
    Said("gates", _LSTM, "weight_tensor->dims->data[{}] != "),
    Said("tensor-rank", _LSTM, "input_weights->dims->size != 2"),
    Said("gates", _LSTM, "input_weights->dims->data[{}] != "),
)
_WEIGHTS_TYPE = Said("operator-types", None, "Type {} is not currently supported.")


@kernel("BIDIRECTIONAL_SEQUENCE_LSTM")
def _lstm(node: KernelNode) -> None:
    merges = bool(node.option(_LSTM_TABLE, "merge_outputs"))
    if not has_sizes(node, _COUNTS[_LSTM], 48, 1 if merges else 2) or not node.needs(0):
        return
    source = node.inputs[0]
    if source is None:
        return
    if source.type != FLOAT:
        node.refuse(_INPUT_TYPE[_LSTM], f"the input is {source.type}, the kernel takes FLOAT32", source)
    if not has_dimensions(node, _INPUT_RANK[_LSTM], "input", source, 3):
        return
    batches = source.dim(int(bool(node.option(_LSTM_TABLE, "time_major"))))
    sizes = _sizes(node, source.dim(2))
    if sizes is None:
        return
    forward, backward = sizes
    # Both directions must have the forward one's sizes, and then the backward one's.
    for cell in (Cell(node, first, _LSTM_TABLE, forward) for first in (_FORWARD, _BACKWARD)):
        if not check_cell(cell):
            return
    if backward != forward:
        for cell in (Cell(node, first, _LSTM_TABLE, backward) for first in (_FORWARD, _BACKWARD)):
            check_cell(cell)
    _check_auxiliary(node, source, forward, backward)
    if not has_outputs(node):
        return
    if not all(_has_states(node, way, places, batches) for way, places in zip((forward, backward), _STATES)):
        return
    if source.shape is None or forward.output is None or backward.output is None:
        node.resize(0, None)
        node.resize(1, None)
        return
    node.resize(0, [*source.shape[:-1], forward.output + (backward.output if merges else 0)])
    node.resize(1, [*source.shape[:-1], backward.output])


def _sizes(node: KernelNode, depth: int | None) -> tuple[Sizes, Sizes] | None:
    """The sizes of both directions, by the weights of the output gates; None where one is missing or no matrix."""
    weights = []
    for first, kind in ((_FORWARD, "fw"), (_BACKWARD, "bw")):
        if not node.needs(first + _OUTPUT_WEIGHTS):
            return None
        operand = node.inputs[first + _OUTPUT_WEIGHTS]
        role = f"{kind} input_to_output_gate_weights"
        if operand is None or not has_dimensions(node, WEIGHTS_RANK, role, operand, 2):
            return None
        match(node, WEIGHTS_LENGTH, role, operand, 1, depth)
        weights.append(operand)
    _check_type(node, "bw input_to_output_gate_weights", weights[1], weights[0])
    found = []
    for first, kind, operand in ((_FORWARD, "fw", weights[0]), (_BACKWARD, "bw", weights[1])):
        if not node.needs(first + _RECURRENT_OUTPUT_WEIGHTS):
            return None
        recurrent = node.inputs[first + _RECURRENT_OUTPUT_WEIGHTS]
        role = f"{kind} recurrent_to_output_gate_weights"
        if recurrent is None or not has_dimensions(node, WEIGHTS_RANK, role, recurrent, 2):
            return None
        match(node, WEIGHTS_LENGTH, role, recurrent, 0, operand.dim(0))
        _check_type(node, role, recurrent, weights[0])
        found.append(Sizes(depth, recurrent.dim(1), operand.dim(0)))
    return found[0], found[1]


def _check_type(node: KernelNode, role: str, operand: Operand, forward: Operand) -> None:
    if operand.type != forward.type:
        message = f"{role} are {operand.type}, those of the forward output gate {forward.type}"
        node.refuse(DIRECTIONS_SAME, message, operand)


def _check_auxiliary(node: KernelNode, source: Operand, forward: Sizes, backward: Sizes) -> None:
    """The second input and its weights: those of three gates in both directions, or none."""
    auxiliary = node.input(_AUXILIARY)
    groups = [(40, forward), (44, backward)]
    given = [node.input(first + gate) is not None for first, _ in groups for gate in (1, 2, 3)]
    if any(given) and not all(given):
        node.refuse(_ALL_OR_NONE, "of the weights for the second input, some are given and some are not")
        return
    if auxiliary is None:
        if any(given):
            node.refuse(_AUXILIARY_MISSING, "there are weights for a second input and no such input", on=On.LITERT)
        return
    rank = auxiliary.rank
    if rank is not None and rank != 3:
        message = f"the second input has {rank} dimensions, the kernel takes 3"
        node.refuse(_AUXILIARY_RANK, message, auxiliary, on=On.LITERT)
        return
    for axis in (0, 1) if any(given) else (0, 1, 2):
        length, wanted = auxiliary.dim(axis), source.dim(axis)
        match(node, _AUXILIARY_LENGTH[axis], "second input", auxiliary, axis, wanted, On.LITERT)
        if any(given) and length is not None and wanted is not None and length != wanted:
            message = f"dimension {axis} of the second input is {length}, not {wanted}: the process dies"
            node.crash("gates", message, auxiliary, on=On.V2_14)
    if any(given):
        _check_auxiliary_weights(node, auxiliary, groups)


def _check_auxiliary_weights(node: KernelNode, auxiliary: Operand, groups: list[tuple[int, Sizes]]) -> None:
    """LiteRT looks at the weights for the second input, 2.14 at none."""
    role = "weights for the second input"
    for first, sizes in groups:
        for gate in (1, 2, 3, 0):
            weights = node.input(first + gate)
            if weights is None or weights.shape is None:
                continue
            rank, length = _AUXILIARY_WEIGHTS[:2] if gate else _AUXILIARY_WEIGHTS[2:]
            if len(weights.shape) != 2:
                message = f"the {role} have {len(weights.shape)} dimensions, the kernel takes 2"
                node.refuse(rank, message, weights, on=On.LITERT)
                continue
            match(node, length, role, weights, 0, sizes.cell, On.LITERT)
            match(node, length, role, weights, 1, auxiliary.dim(2), On.LITERT)


def _has_states(node: KernelNode, sizes: Sizes, places: tuple[str, int, int], batches: int | None) -> bool:
    way = places[0]
    states = ((f"{way}_activation_state", places[1], sizes.output), (f"{way}_cell_state", places[2], sizes.cell))
    for name, position, _ in states:
        operand = node.input(position)
        if operand is None or not operand.is_variable:
            message = f"{name} is not given" if operand is None else f"{name} is not marked as a variable"
            node.refuse(_STATE_MISSING[name], message, operand)
            return False
    for name, position, units in states:
        operand = node.input(position)
        if operand is None or batches is None or units is None:
            continue
        if operand.count not in (None, batches * units):
            message = f"{name} has {operand.count} values, the kernel needs {batches} x {units}"
            node.refuse(_STATE_COUNT[name], message, operand)
    return True


# Simple recurrent networks

_RNN_WEIGHTS = {"fw": 1, "bw": 5}
_RNN_TEXTS = {
    (way, text): Said(rule, _RNN, text.format(way))
    for way in ("fw", "bw")
    for rule, text in (
        ("gates", "input->dims->data[2] != {}_input_weights->dims->data[1]"),
        ("gates", "{0}_input_weights->dims->data[0] != {0}_bias->dims->data[0]"),
        ("gates", "{0}_recurrent_weights->dims->data[0] != {0}_bias->dims->data[0]"),
        ("gates", "{0}_recurrent_weights->dims->data[1] != {0}_bias->dims->data[0]"),
        ("tensor-rank", "NumDimensions({}_hidden_state) != 2"),
        ("state-variable", "{}_hidden_state->dims->data[0] != batch_size"),
        ("state-variable", "{0}_hidden_state->dims->data[1] != {0}_num_units"),
        ("state-variable", "{}_hidden_state != nullptr was not true"),
    )
}
_RNN_ALL_OR_NONE = Said("gates", _RNN, "aux_inputs_weights_or_none was not true")
_RNN_TYPE = Said("operator-types", None, "Type not currently supported.")


@kernel("BIDIRECTIONAL_SEQUENCE_RNN")
def _rnn(node: KernelNode) -> None:
    merges = bool(node.option(_RNN_TABLE, "merge_outputs"))
    if not has_sizes(node, _COUNTS[_RNN], 12, 1 if merges else 2) or not node.needs(*range(9)):
        return
    source = node.inputs[0]
    if source is None:
        return
    auxiliary = [node.input(10), node.input(11)]
    if (auxiliary[0] is None) != (auxiliary[1] is None):
        node.refuse(_RNN_ALL_OR_NONE, "of the weights for the second input, some are given and some are not")
        return
    if source.type != FLOAT:
        node.refuse(_INPUT_TYPE[_RNN], f"the input is {source.type}, the kernel takes FLOAT32", source)
    if not has_dimensions(node, _INPUT_RANK[_RNN], "input", source, 3):
        return
    batches = source.dim(int(bool(node.option(_RNN_TABLE, "time_major"))))
    units = _check_networks(node, source, batches)
    if auxiliary[0] is not None:
        _check_rnn_auxiliary(node, source, units)
    weights = node.inputs[1]
    if weights is not None and weights.type not in _TYPES:
        node.refuse(_RNN_TYPE, f"there is no kernel for {weights.type} weights", weights, at=Stage.INVOKE)
    if not has_outputs(node):
        return
    forward, backward = units["fw"], units["bw"]
    if source.shape is None or forward is None or backward is None:
        node.resize(0, None)
        node.resize(1, None)
        return
    node.resize(0, [*source.shape[:-1], forward + (backward if merges else 0)])
    node.resize(1, [*source.shape[:-1], backward])


def _check_networks(node: KernelNode, source: Operand, batches: int | None) -> dict[str, int | None]:
    """Check the tensors of both directions, each check for both; the numbers of units."""
    units: dict[str, int | None] = {}
    parts = {way: node.inputs[at : at + 4] for way, at in _RNN_WEIGHTS.items()}
    for way, (weights, *_) in parts.items():
        if weights is not None:
            units[way] = weights.dim(0)
            text = "input->dims->data[2] != {}_input_weights->dims->data[1]"
            match(node, _RNN_TEXTS[way, text], f"{way} weights", weights, 1, source.dim(2))
    for way, (weights, _, bias, _) in parts.items():
        if weights is not None and bias is not None:
            text = "{0}_input_weights->dims->data[0] != {0}_bias->dims->data[0]"
            match(node, _RNN_TEXTS[way, text], f"{way} weights", weights, 0, 0 if bias.rank == 0 else bias.dim(0))
    for way, (_, recurrent, bias, _) in parts.items():
        if recurrent is not None and bias is not None:
            axis = 0 if way == "fw" else 1
            text = f"{{0}}_recurrent_weights->dims->data[{axis}] != {{0}}_bias->dims->data[0]"
            match(node, _RNN_TEXTS[way, text], f"{way} recurrent weights", recurrent, axis, bias.dim(0))
    for way, (*_, state) in parts.items():
        if state is None:
            continue
        if not has_dimensions(node, _RNN_TEXTS[way, "NumDimensions({}_hidden_state) != 2"], f"{way} state", state, 2):
            break
        text = "{}_hidden_state->dims->data[0] != batch_size"
        match(node, _RNN_TEXTS[way, text], f"{way} state", state, 0, batches)
        text = "{0}_hidden_state->dims->data[1] != {0}_num_units"
        match(node, _RNN_TEXTS[way, text], f"{way} state", state, 1, units.get(way))
        if not state.is_variable:
            message = f"the {way} state is not marked as a variable, the kernel finds none when it runs"
            said = _RNN_TEXTS[way, "{}_hidden_state != nullptr was not true"]
            node.refuse(said, message, state, at=Stage.INVOKE)
    return {"fw": units.get("fw"), "bw": units.get("bw")}


def _check_rnn_auxiliary(node: KernelNode, source: Operand, units: dict[str, int | None]) -> None:
    """The kernel ends the process where the second input does not fit."""
    auxiliary = node.input(9)
    if auxiliary is None:
        node.crash("gates", "there are weights for a second input and no such input: the process dies")
        return
    pairs = [(auxiliary, axis, source.dim(axis)) for axis in (0, 1)]
    for position, way in ((10, "fw"), (11, "bw")):
        weights = node.input(position)
        if weights is not None:
            pairs += [(weights, 0, units[way]), (weights, 1, auxiliary.dim(2))]
    for operand, axis, wanted in pairs:
        if operand.shape is not None and wanted is not None and operand.dim(axis) != wanted:
            message = f"dimension {axis} is {operand.dim(axis)}, the kernel needs {wanted}: the process dies"
            node.crash("gates", message, operand)
            return
