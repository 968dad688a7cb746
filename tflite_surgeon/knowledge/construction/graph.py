"""How the nodes of a subgraph hang together: references that lead nowhere, tensors that nobody computes in time.

LiteRT notes a wrong reference when it makes the interpreter and refuses the subgraph when it is prepared. No runtime
checks the order of nodes.

Source: LiteRT core/subgraph.cc (CheckTensorIndices, CheckInputAndOutputForOverlap, InvokeImpl); run in every runtime.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.construction.opcodes import CUSTOM
from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.construction.tensors import WIDTHS
from tflite_surgeon.knowledge.problems import CRASHES, UNKNOWN, WRONG, On, Place, Problem, Said, Stage
from tflite_surgeon.knowledge.xnnpack.tensors import count, is_constant

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.kernels.node import KernelNode
    from tflite_surgeon.knowledge.kernels.operand import Operand
    from tflite_surgeon.model.objects import Model, Operator, SubGraph, Tensor

_INDEX = Said("tensor-index", None, "Invalid tensor index {} in {}. The subgraph has {} tensors")
# Of the Python package, where the model's inputs and outputs are described.
_NOT_GIVEN = Said("tensor-index", None, "Invalid tensor index -1 exceeds max tensor index")
_OVERLAP = Said("in-place", None, "Tensor {} is both input {} and output {}")
_HELD = Said("constant-input", None, "numpy array had {} bytes but expected {} bytes.")
_LACKS_DATA = Said("missing-data", None, "Input tensor {} lacks data")
_NO_MEMORY = Said("missing-data", None, "Tensor data is null. Run allocate_tensors() first")
_NO_ROOM = Said("memory-arena", None, "std::bad_alloc")
# LiteRT has no words for it.
_ALSO = (Said("memory-arena", None, "RuntimeError: ", r"\ARuntimeError: \s*\Z"),)
_SETUP = Said("constant-output", None, "failed to setup XNNPACK runtime", "failed to setup XNNPACK runtime")

# Operators that may write where they read: their options are never stored, and only nodes with stored options are
# compared. Custom operators may, too. Source: every operator run with one tensor as input and output.
_MAY_OVERLAP_NAMES = """
ABS ADD_N ASSIGN_VARIABLE ATAN2 BATCH_TO_SPACE_ND BITCAST BITWISE_XOR BROADCAST_ARGS BROADCAST_TO CEIL COMPLEX_ABS
COS DENSIFY DEQUANTIZE DILATE DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV
FLOOR_MOD GATHER_ND GREATER GREATER_EQUAL HARD_SWISH HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_LOOKUP
HASHTABLE_SIZE IMAG LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MATRIX_DIAG
MATRIX_SET_DIAG MAXIMUM MINIMUM NEG NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 NOT_EQUAL PAD PADV2 POW PRELU
QUANTIZE RANGE RANK READ_VARIABLE REAL RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 REVERSE_V2 RFFT2D RIGHT_SHIFT ROUND
RSQRT SCATTER_ND SEGMENT_SUM SELECT SELECT_V2 SIGN SIN SLICE SPACE_TO_BATCH_ND SQRT SQUARE SQUARED_DIFFERENCE
STABLEHLO_ADD STABLEHLO_AND STABLEHLO_MAXIMUM STABLEHLO_MINIMUM STABLEHLO_MULTIPLY STABLEHLO_SHIFT_LEFT TANH TILE
TOPK_V2 TRANSPOSE UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM WHERE
ZEROS_LIKE
"""
_MAY_OVERLAP = frozenset(_MAY_OVERLAP_NAMES.split())
# Operators that the delegate of tflite-runtime 2.14 takes where they compute float32.
_TAKEN_BY_2_14_NAMES = """
ABS ADD AVERAGE_POOL_2D CEIL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DIV ELU FLOOR FULLY_CONNECTED HARD_SWISH
LEAKY_RELU LOGISTIC MAXIMUM MAX_POOL_2D MINIMUM MUL NEG PRELU RELU RELU6 RELU_N1_TO_1 ROUND SOFTMAX SQRT SQUARE
SQUARED_DIFFERENCE SUB TANH
"""
_TAKEN_BY_2_14 = frozenset(_TAKEN_BY_2_14_NAMES.split())
# Tensors that kernels add to the subgraph as soon as the loader has read their node: behind those of the file, so that
# an index just behind them may be one of these. Source: both runtimes, asked for the number of tensors.
_SCRATCH = {
    "ADD_N": 1,
    "BIDIRECTIONAL_SEQUENCE_LSTM": 19,
    "BIDIRECTIONAL_SEQUENCE_RNN": 9,
    "LSTM": 21,
    "RNN": 6,
    "SVDF": 6,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 12,
    "UNIDIRECTIONAL_SEQUENCE_RNN": 6,
}
_SCRATCH_2_14 = {
    **_SCRATCH,
    "BATCH_MATMUL": 7,
    "FULLY_CONNECTED": 6,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), 4),
}
# Elements of a tensor that may not fit into memory; bytes that may not, and that do not.
_LARGE = 1 << 31
_LARGE_BYTES = 1 << 33
_TOO_LARGE_BYTES = 1 << 35
# Types whose tensors ask for no memory before the model runs: STRING, RESOURCE, VARIANT.
_WITHOUT_BYTES = frozenset({5, 13, 14})


class Survey:
    """What can be said of a subgraph's nodes without looking into them.

    Attributes:
        lost: (node number, whether among its outputs, index) of references that lead nowhere.
        overlapping: numbers of nodes with a tensor that is input and output.
        late: (node number, tensor) where a node reads what a later one computes.
        lacking: tensors that a node reads and nobody computes, by node number; the first of each node.
        doubled: (node number, tensor) where a node writes what another wrote, or an input of the graph.
        producers: the first node that writes a tensor, by the tensor's identity.
        with_2_14: whether the delegate of tflite-runtime 2.14 takes a node.
    """

    def __init__(self, model: Model, subgraph: SubGraph) -> None:
        self.lost: list[tuple[int, bool, int]] = []
        self.overlapping: list[int] = []
        self.late: list[tuple[int, Tensor]] = []
        self.lacking: dict[int, Tensor] = {}
        self.doubled: list[tuple[int, Tensor]] = []
        self.producers: dict[int, int] = {}
        self._subgraph = subgraph
        sentinel = model.buffers[0] if model.buffers else None
        given = {id(tensor) for tensor in subgraph.inputs or ()}
        given.add(id(None))
        unready: list[tuple[int, int, Any]] = []
        operators = subgraph.operators or ()
        producers = self.producers
        for number, operator in enumerate(operators):
            inputs, outputs = operator.inputs or (), operator.outputs or ()
            for position, tensor in enumerate(inputs):
                key = id(tensor)
                if key not in given and key not in producers:
                    if not isinstance(tensor, Table):
                        self.lost.append((number, False, tensor.index))  # type: ignore[union-attr]
                    elif tensor.buffer is sentinel or not is_constant(tensor):
                        unready.append((number, position, tensor))
            for tensor in outputs:
                if tensor in inputs:
                    self.overlapping.append(number)
                key = id(tensor)
                if key in producers or key in given:
                    if tensor is not None:
                        self.doubled.append((number, tensor))  # type: ignore[arg-type]
                elif not isinstance(tensor, Table):
                    self.lost.append((number, True, tensor.index))  # type: ignore[union-attr]
                else:
                    producers[key] = number
        for number, position, tensor in unready:
            if id(tensor) in producers:
                self.late.append((number, tensor))
            elif number not in self.lacking and _lacks_data(operators[number], position, tensor):
                self.lacking[number] = tensor

    def is_written(self, node: KernelNode, output: Operand) -> None:
        """A constant that a node writes into the memory of the file, unless its shape is another one."""
        if any(problem.rule == _SETUP.rule for problem in node.problems):
            return
        message = "the node writes into a constant, and the process dies"
        if taken_by_2_14(node.operator) and self._is_read_outside_2_14(output.tensor):
            # There the delegate notices.
            node.crash("constant-output", message, output, on=On.LITERT, at=Stage.INVOKE)
            message = "the delegate is to write into a constant"
            node.refuse(_SETUP, message, output, on=On.V2_14, at=Stage.INVOKE)
        else:
            node.crash("constant-output", message, output, at=Stage.INVOKE)

    @property
    def is_ordered(self) -> bool:
        """Whether no node reads what a later one writes, or may do so."""
        return not (self.late or self.overlapping or self.doubled)

    def is_taken_by_2_14(self) -> bool:
        """Whether the delegate of tflite-runtime 2.14 takes a node."""
        return any(taken_by_2_14(operator) for operator in self._subgraph.operators or ())

    def _is_read_outside_2_14(self, tensor: Tensor) -> bool:
        """Whether an output of the delegate's nodes in tflite-runtime 2.14 is read by others."""
        if any(tensor is output for output in self._subgraph.outputs or ()):
            return True
        readers = (op for op in self._subgraph.operators or () if any(tensor is read for read in op.inputs or ()))
        return any(not taken_by_2_14(operator) for operator in readers)


def taken_by_2_14(operator: Operator) -> bool:
    """Whether the delegate of tflite-runtime 2.14 takes a node, if it is sound."""
    if operator.name not in _TAKEN_BY_2_14:
        return False
    tensors = (*(operator.inputs or ()), *(operator.outputs or ()))
    types = {getattr(tensor, "type_name", "FLOAT32") for tensor in tensors}
    return bool(tensors) and types == {"FLOAT32"}


def _lacks_data(operator: Operator, position: int, tensor: Tensor) -> bool:
    if tensor.is_variable or tensor.type in _WITHOUT_BYTES or count(tensor) == 0:
        return False
    if getattr(tensor.buffer, "offset", 2) > 1:
        return False  # The loader has said already that its bytes are not in the file.
    # Only the shape of RESHAPE's second input counts where it is no vector.
    return not (operator.name == "RESHAPE" and position == 1 and len(tensor.shape or ()) != 1)


def references(index: int, subgraph: SubGraph, survey: Survey, stage: Stage) -> Iterator[Problem]:
    """References that lead nowhere, and nodes that write where they read: the subgraph is not prepared."""
    count = len(subgraph.tensors or ())
    for name in ("inputs", "outputs"):
        listed = getattr(subgraph, name) or ()
        lost = [item.index for item in listed if item is not None and not isinstance(item, Table)]
        if lost:
            message = f"the subgraph's {name} name tensor {lost[0]}, it has {count}"
            yield refused(_INDEX, message, at=stage, place=Place(index))
    for number, is_output, wrong in survey.lost:
        message = f"the node's {'outputs' if is_output else 'inputs'} name tensor {wrong}, the subgraph has {count}"
        place = Place(index, number)
        for kernels, scratch in ((On.LITERT, _SCRATCH), (On.V2_14, _SCRATCH_2_14)):
            added = sum(scratch.get(before.name, 0) for before in (subgraph.operators or [])[:number])
            if count <= wrong < count + added:
                doubt = f"{message}: it is one that another kernel keeps for itself"
                yield Problem(_INDEX.rule, UNKNOWN, kernels, stage, doubt, place=place)
            else:
                yield refused(_INDEX, message, on=kernels, at=stage, place=place)
    for number in survey.overlapping:
        operator = (subgraph.operators or [])[number]
        if not isinstance(operator.opcode, Table) or operator.opcode.code == CUSTOM or operator.name in _MAY_OVERLAP:
            continue
        shared = next(tensor for tensor in operator.outputs or () if tensor in (operator.inputs or ()))
        message = "a tensor is input and output of the node"
        tensor: Any = shared if isinstance(shared, Table) else None
        yield refused(_OVERLAP, message, at=stage, place=Place(index, number), tensor=tensor)


def before_running(index: int, subgraph: SubGraph) -> Iterator[Problem]:
    """What an application meets when it asks for the model's inputs and outputs, and writes the former."""
    for name in ("inputs", "outputs"):
        if any(item is None for item in getattr(subgraph, name) or ()):
            message = f"the model's {name} name tensor -1"
            yield refused(_NOT_GIVEN, message, at=Stage.INVOKE, place=Place(index))
    for tensor in subgraph.inputs or ():
        given: Any = tensor
        if not isinstance(tensor, Table) or not is_constant(given) or not count(given):
            continue
        held, wanted = len(given.data), count(given) * WIDTHS.get(given.type, 1)
        if held > wanted and WIDTHS.get(given.type):
            message = f"an input of the model holds {held} bytes of constant data, an application gives {wanted}"
            yield refused(_HELD, message, on=On.LITERT, at=Stage.INVOKE, place=Place(index), tensor=given)
        else:
            message = "an input of the model holds constant data, and the process dies when the application writes it"
            yield Problem("constant-input", CRASHES, On.TFLITE, Stage.INVOKE, message, None, given, place=Place(index))


def memory(index: int, subgraph: SubGraph) -> Iterator[Problem]:
    """Inputs of the model that no machine holds."""
    for tensor in subgraph.inputs or ():
        given: Any = tensor
        if isinstance(tensor, Table) and count(given) >= _LARGE and min(given.shape) >= 0:
            asked = count(given) * WIDTHS.get(given.type, 1)
            if asked >= _TOO_LARGE_BYTES:
                message = f"an input of the model of shape {given.shape} asks for more memory than there is"
                yield refused(_NO_ROOM, message, at=Stage.ALLOCATE, place=Place(index), tensor=given)
            elif asked > _LARGE_BYTES:
                message = f"whether there is memory for an input of shape {given.shape} depends on the machine"
                yield Problem(
                    _NO_ROOM.rule, UNKNOWN, On.TFLITE, Stage.ALLOCATE, message, None, given, place=Place(index)
                )


def lacks_data(place: Place, tensor: Tensor) -> Problem:
    """A node that reads what nobody computes: refused when the model runs, if it comes to this node."""
    message = "the node reads a tensor that nothing computes and that holds no data"
    found = refused(_LACKS_DATA, message, at=Stage.INVOKE, place=place, tensor=tensor)
    if place.subgraph:
        found.effect = UNKNOWN
    return found


def order(index: int, survey: Survey, is_cyclic: bool, is_stuck: bool, stage: Stage) -> Iterator[Problem]:
    """Nodes that read a tensor before it is computed. No runtime minds, and the numbers are those of memory.

    Args:
        index, survey: the subgraph.
        is_cyclic, is_stuck: whether some nodes wait for each other, and whether all do.
        stage: when the subgraph is prepared.
    """
    sorts = survey.is_taken_by_2_14()
    if is_cyclic and sorts:
        # Its delegate is made for nodes that cannot be sorted: where there are no others, the process dies.
        message = "nodes wait for each other, and the delegate of tflite-runtime 2.14 cannot sort them"
        late = survey.late[0] if survey.late else None
        place = Place(index) if late is None else Place(index, late[0])
        effect = CRASHES if is_stuck and survey.late else UNKNOWN
        yield Problem("operator-order", effect, On.V2_14, stage, message, None, late[1] if late else None, place=place)
    for number, tensor in survey.late:
        producer = survey.producers[id(tensor)]
        message = f"the node reads what node {producer} computes later"
        on = On.LITERT | On.TFLM if sorts else On.EVERY
        yield Problem("operator-order", WRONG, on, stage, message, None, tensor, place=Place(index, number))


def doubled(index: int, survey: Survey) -> Iterator[Problem]:
    """Tensors that are written twice: who reads them gets what was written last."""
    for number, tensor in survey.doubled:
        producer = survey.producers.get(id(tensor))
        what = "an input of the graph" if producer is None else f"what node {producer} has written"
        found = Problem("two-producers", WRONG, On.EVERY, Stage.INVOKE, f"the node writes over {what}", None, tensor)
        found.place = Place(index, number)
        found.doubtful = True
        yield found


def outputs_without_data(index: int, subgraph: SubGraph, survey: Survey) -> Iterator[Problem]:
    """Outputs of the model that nobody computes: there is no memory to read."""
    given = {id(tensor) for tensor in subgraph.inputs or ()}
    for tensor in subgraph.outputs or ():
        if not isinstance(tensor, Table) or id(tensor) in survey.producers or id(tensor) in given:
            continue
        output: Any = tensor
        if output.type in _WITHOUT_BYTES and not is_constant(output):
            message = "an output of the model is a tensor that nothing computes, and the process dies where it is read"
            yield Problem("missing-data", CRASHES, On.TFLITE, Stage.INVOKE, message, None, output, place=Place(index))
        elif not (output.is_variable or is_constant(output) or count(output) == 0):
            message = "an output of the model is a tensor that nothing computes"
            yield refused(_NO_MEMORY, message, at=Stage.INVOKE, place=Place(index), tensor=output)
