"""What kernels of LSTMs check of the tensors of their gates: they must be there together, and fit together.

Source: LiteRT and tflite-runtime 2.14 kernels/lstm.cc, unidirectional_sequence_lstm.cc, bidirectional_sequence_lstm.cc
(CheckInputTensorDimensions, CheckLstmTensorDimensionsAndTypes).
"""

from __future__ import annotations

from typing import NamedTuple

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import Said

FLOAT, INT8, UINT8, INT16, INT32 = "FLOAT32", "INT8", "UINT8", "INT16", "INT32"
WEIGHTS = (FLOAT, INT8, UINT8)
_GATES = ("input", "forget", "cell", "output")

WEIGHTS_RANK = Said("tensor-rank", "*", "{}_weights->dims->size != ")
WEIGHTS_LENGTH = Said("gates", "*", "{}_weights->dims->data[{}] != n_")
WEIGHTS_SAME = Said("same-type", "*", "{}_weights->type != input_to_{}_weights->type")
DIRECTIONS_SAME = Said("same-type", "*", "{}_weights->type != fw_input_to_output_weights->type")
_WEIGHTS_TYPE = Said("operator-types", "*", "(input_to_forget_weights->type == kTfLiteFloat32) || ")
_PEEPHOLE_TYPE = Said("operator-types", "*", "cell_to_{}_weights->type != is_integer ? ")
_BIAS_RANK = Said("tensor-rank", "*", "{}_gate_bias->dims->size != ")
_BIAS_LENGTH = Said("gates", "*", "{}_gate_bias->dims->data[0] != n_cell")
_BIAS_TYPE = Said("bias-type", "*", "{}_gate_bias->type != kTfLite{}")
_PROJECTION_RANK = Said("tensor-rank", "*", "projection_bias->dims->size != ")
_PROJECTION_LENGTH = Said("gates", "*", "projection_bias->dims->data[0] != n_output")
_PROJECTION_TYPE = Said("bias-type", "*", "projection_bias->type != kTfLite{}")
_NORM_RANK = Said("tensor-rank", "*", "{}_layer_norm_coefficients->dims->size != ")
_NORM_LENGTH = Said("gates", "*", "{}_layer_norm_coefficients->dims->data[0] != n_cell")
_NORM_TYPE = Said("operator-types", "*", "{}_layer_norm_coefficients->type != kTfLite{}")
_NORM_MISSING = Said("gates", "*", "{}_layer_norm_coefficients != nullptr was not true")
_NORM_UNWANTED = Said("gates", "*", "{}_layer_norm_coefficients == nullptr was not true")
_CIFG = Said("gates", "*", "cifg_weights_all_or_none == true was not true")
_PEEPHOLES = Said("gates", "*", "peephole_weights_all_or_none == true was not true")
_UNWANTED_BIAS = Said("gates", "*", "input_gate_bias == nullptr was not true")
_PROJECTION = Said("gates", "*", "projection_tensors_consistent == true was not true")
_ALSO_PROJECTION = (Said("gates", "*", "projecton_tensors_consistent == true was not true"),)
_CLIPS = {name: Said("option-value", "*", f"params->{name} >= 0 was not true") for name in ("cell_clip", "proj_clip")}

# Positions of inputs, counted from the first weights.
_INPUT, _RECURRENT, _PEEPHOLE, _BIAS, _PROJECTION_WEIGHTS, _PROJECTION_BIAS, _NORM = 0, 4, 8, 11, 15, 16, 19


class Sizes(NamedTuple):
    """What the dimensions of a cell must be; None where it is not known."""

    depth: int | None
    output: int | None
    cell: int | None


class Cell(NamedTuple):
    """One direction of an LSTM.

    Attributes:
        node: the node.
        first: the position of its first weights.
        table: of the options.
        sizes: what its dimensions must be.
        is_integer: whether the kernel computes with integers.
        is_sequence: whether it is the kernel of sequences, which asks less.
        has_norm: whether there is layer normalisation.
    """

    node: KernelNode
    first: int
    table: str
    sizes: Sizes
    is_integer: bool = False
    is_sequence: bool = False
    has_norm: bool = False

    def operand(self, position: int) -> Operand | None:
        return self.node.input(self.first + position)

    def order(self, kind: str) -> tuple[int, ...]:
        """In which order the weights of gates are looked at; those of the output gate were looked at before."""
        if kind == "recurrent":
            return (0, 1, 2)
        if self.is_sequence:
            return (0, 1, 2)
        return (1, 0, 2) if self.table == "LSTMOptions" else (1, 0, 2, 3)

    @property
    def is_coupled(self) -> bool:
        """Whether there is no input gate: what is not forgotten is let in."""
        return self.operand(_INPUT) is None


def check_cell(cell: Cell) -> bool:
    """Check all tensors of a cell, in the kernel's order; whether all that are needed are there."""
    node = cell.node
    for name, said in _CLIPS.items():
        value = node.option(cell.table, name)
        if not value >= 0:
            node.refuse(said, f"{name} is {value:g}, the kernel takes 0 or more")
    if not (_check_weights(cell, _INPUT, "input") and _check_weights(cell, _RECURRENT, "recurrent")):
        return False
    if (cell.operand(_INPUT) is None) != (cell.operand(_RECURRENT) is None):
        node.refuse(_CIFG, "of the input gate's weights for input and state, only one is given")
    _check_peepholes(cell)
    if not _check_biases(cell):
        return False
    _check_projection(cell)
    return not cell.has_norm or _check_norms(cell)


def _check_weights(cell: Cell, first: int, kind: str) -> bool:
    """Check the weights for the input or for the state; those of the input gate may be missing."""
    node, sizes = cell.node, cell.sizes
    columns = sizes.depth if kind == "input" else sizes.output
    forget = cell.operand(_INPUT + 1)
    for gate in cell.order(kind):
        if gate and not node.needs(cell.first + first + gate):
            return False
        weights = cell.operand(first + gate)
        if weights is None:
            continue
        role = f"{kind}_to_{_GATES[gate]}_gate_weights"
        is_recurrent = kind == "recurrent"
        if cell.is_sequence and is_recurrent and weights.rank == 1:
            continue
        # For states, the sequence's kernel looks at the rows of the input gate only.
        rows = None if cell.is_sequence and is_recurrent and gate else sizes.cell
        _check_matrix(node, role, weights, rows, columns)
        if not is_recurrent and gate == 1 and not cell.is_sequence and weights.type not in WEIGHTS:
            message = f"the weights are {weights.type}, the kernel takes {', '.join(WEIGHTS)}"
            node.refuse(_WEIGHTS_TYPE, message, weights)
        elif (is_recurrent or not cell.is_sequence) and forget is not None and weights is not forget:
            _check_same(node, role, weights, forget)
    return True


def _check_matrix(node: KernelNode, role: str, weights: Operand, rows: int | None, columns: int | None) -> None:
    if weights.shape is None:
        return
    if len(weights.shape) != 2:
        node.refuse(WEIGHTS_RANK, f"{role} have {len(weights.shape)} dimensions, the kernel takes 2", weights)
        return
    for axis, wanted in ((0, rows), (1, columns)):
        if wanted is not None and weights.shape[axis] != wanted:
            message = f"dimension {axis} of {role} is {weights.shape[axis]}, the kernel needs {wanted}"
            node.refuse(WEIGHTS_LENGTH, message, weights)


def _check_same(node: KernelNode, role: str, weights: Operand, forget: Operand) -> None:
    if weights.type != forget.type:
        node.refuse(WEIGHTS_SAME, f"{role} are {weights.type}, those of the forget gate {forget.type}", weights)


def _check_row(
    node: KernelNode, said: tuple[Said, Said, Said], role: str, row: Operand, length: int | None, kind: str
) -> None:
    """Check a tensor of one dimension; the texts are for its rank, length and type."""
    if row.shape is not None and len(row.shape) != 1:
        node.refuse(said[0], f"the {role} has {len(row.shape)} dimensions, the kernel takes 1", row)
    elif row.shape is not None and length is not None and row.shape[0] != length:
        node.refuse(said[1], f"the {role} has {row.shape[0]} values, the kernel needs {length}", row)
    if row.type != kind:
        node.refuse(said[2], f"the {role} is {row.type}, the kernel takes {kind}", row)


def _check_peepholes(cell: Cell) -> None:
    node, forget = cell.node, cell.operand(_INPUT + 1)
    found = [cell.operand(_PEEPHOLE + number) for number in range(3)]
    if found == [None, None, None] or forget is None:
        return
    kind = INT16 if cell.is_integer else forget.type
    text = WEIGHTS_SAME if cell.table.startswith("Bi") else _PEEPHOLE_TYPE
    for gate, row in zip(("input", "forget", "output"), found):
        if row is not None:
            _check_row(
                node, (WEIGHTS_RANK, WEIGHTS_LENGTH, text), f"cell_to_{gate}_weights", row, cell.sizes.cell, kind
            )
    if found[1] is None or found[2] is None or (found[0] is None and not cell.is_coupled):
        node.refuse(_PEEPHOLES, "of the weights from the cell to the gates, some are given and some are not")


def _check_biases(cell: Cell) -> bool:
    node = cell.node
    kind = INT32 if cell.is_integer else FLOAT
    for gate, name in enumerate(_GATES):
        if gate and not node.needs(cell.first + _BIAS + gate):
            return False
        bias = cell.operand(_BIAS + gate)
        if gate == 0 and cell.is_coupled:
            if bias is not None:
                node.refuse(_UNWANTED_BIAS, "the input gate has a bias and no weights", bias)
        elif bias is not None:
            said = (_BIAS_RANK, _BIAS_LENGTH, _BIAS_TYPE)
            _check_row(node, said, f"bias of the {name} gate", bias, cell.sizes.cell, kind)
        else:
            # Nobody asks whether the input gate has one.
            node.crash("gates", "the input gate has weights and no bias: the process dies")
    return True


def _check_projection(cell: Cell) -> None:
    node, sizes = cell.node, cell.sizes
    weights, bias = cell.operand(_PROJECTION_WEIGHTS), cell.operand(_PROJECTION_BIAS)
    forget = cell.operand(_INPUT + 1)
    if weights is not None:
        _check_matrix(node, "projection_weights", weights, sizes.output, sizes.cell)
        if not cell.is_sequence and forget is not None:
            _check_same(node, "projection_weights", weights, forget)
    if bias is not None:
        said = (_PROJECTION_RANK, _PROJECTION_LENGTH, _PROJECTION_TYPE)
        _check_row(node, said, "projection_bias", bias, sizes.output, INT32 if cell.is_integer else FLOAT)
        if weights is None:
            node.refuse(_PROJECTION, "there is a projection bias and no projection weights", bias)


def _check_norms(cell: Cell) -> bool:
    node = cell.node
    kind = INT16 if cell.is_integer else FLOAT
    for gate, name in enumerate(_GATES):
        row = cell.operand(_NORM + gate)
        role = f"layer normalisation of the {name} gate"
        if gate == 0 and cell.is_coupled:
            if row is not None:
                node.refuse(_NORM_UNWANTED, f"the {role} is given, the gate has no weights", row)
        elif row is not None:
            _check_row(node, (_NORM_RANK, _NORM_LENGTH, _NORM_TYPE), role, row, cell.sizes.cell, kind)
        elif gate and cell.is_sequence:
            return node.needs(cell.first + _NORM + gate)
        else:
            node.refuse(_NORM_MISSING, f"the {role} is not given")
            return False
    return True
