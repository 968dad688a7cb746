"""What TFLM's Python package and its allocator check before, between and after the nodes.

The package first reads the whole file in Python. The allocator then reads every tensor's type, looks every operator
up, prepares node after node, and last plans the memory of all tensors. Versions of operators, the schema version and
the file identifier do not count.

Source: tflite-micro python/tflite_micro/{runtime.py,interpreter_wrapper.cc,python_ops_resolver.cc}, micro_allocator.cc,
micro_allocation_info.cc, micro_interpreter.cc, micro_interpreter_graph.cc; run in the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.problems import CRASHES, NOWHERE, REFUSES, UNKNOWN, WRONG, On, Place, Problem, Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.construction import Reading
    from tflite_surgeon.model.objects import Model, Operator, OperatorCode, SubGraph, Tensor

_NO_SUBGRAPHS = Said("missing-vector", None, "'NoneType' object is not iterable")
# Where the file is no sound flatbuffer, reading it in Python ends in one of these.
_UNSOUND = (
    Said("file-structure", None, "unpack_from requires a buffer of at least {} bytes"),
    Said("file-structure", None, "buffer is smaller than requested size"),
    Said("file-structure", None, "bad number {} for type "),
    Said("file-structure", None, "offset must be non-negative and no greater than buffer length"),
)
_NO_CODES = Said("operator-code-index", None, "'NoneType' object is not subscriptable")
_NO_VARIABLE_NAME = Said("missing-options", None, "' object has no attribute 'sharedName'")
_TYPE = Said("tensor-type", None, "Unsupported data type {} in tensor")
_CODE = Said("unknown-operator", None, "Op builtin_code out of range: {}.")
_NOT_REGISTERED = Said(
    "operator-availability",
    None,
    "Didn't find op for builtin opcode '{}'",
    r"Didn't find op for builtin opcode '\w*'(?! version)",
)
_NO_NAME = Said("custom-operator", None, "Operator with CUSTOM builtin_code has no custom_code.")
_CUSTOM = Said("custom-operator", None, "Failed to get registration from op code CUSTOM")
_CUSTOM_OPTIONS = Said("custom-options", None, "Unsupported behavior: found builtin operator {} with custom options.")
_NO_SIZE = Said("tensor-type", None, "Failed to populate a temp TfLiteTensor struct from flatbuffer data!")
# The memory plan fails for the same reason without a word of its own.
_NO_PLAN = Said(
    "tensor-type", None, "TFLM failed to allocate tensors", r"\A(?:RuntimeError: )?TFLM failed to allocate tensors\s*\Z"
)
_INTERMEDIATE = Said("intermediate-tensor", None, "Does not support intermediate tensor with non-zero size: {}")
_NO_ARENA = (
    Said("memory-arena", None, "Failed to resize buffer. Requested: {}, available "),
    Said("memory-arena", None, "Failed to allocate tail memory. Requested: {}, available "),
    Said("memory-arena", None, "Failed to allocate temp memory. Requested: {}, available "),
)
_NOT_IN_NUMPY = Said("tensor-type", None, "Cannot set tensor: Got value of type {} but expected type ")
_UNKNOWN_TYPE = Said("tensor-type", None, "Unknown tensor type.")
_NO_OBJECTS = Said("tensor-type", None, "TFLM doesn't support strings, resource variables, or variants as outputs.")
_NEGATIVE_INPUT = Said("tensor-shape", None, "negative dimensions are not allowed")

# Indices behind the list of tensors whose entries are known to lead nowhere: the next few, and those behind any file.
_NEAR, _FAR = 16, 1 << 16
_CUSTOM_CODE = 32
# Operators that call subgraphs, and the options that say which.
_CALLS = {
    "IF": ("then_subgraph", "else_subgraph"),
    "WHILE": ("cond_subgraph", "body_subgraph"),
    "CALL_ONCE": ("init_subgraph",),
}
# The operators that the package registers. Source: python_ops_resolver.cc, micro_mutable_op_resolver.h.
_BUILTINS_TEXT = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS
BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV
DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED
GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG
NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND
SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE
TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
BUILTINS = frozenset(_BUILTINS_TEXT.split())
_CUSTOMS_TEXT = """
CIRCULAR_BUFFER SignalDelay SignalEnergy SignalFftAutoScale SignalFilterBank SignalFilterBankLog
SignalFilterBankSpectralSubtraction SignalFilterBankSquareRoot SignalFramer SignalIrfft SignalOverlapAdd SignalPCAN
SignalRfft SignalStacker SignalWindow TFLM_DECODE TFLite_Detection_PostProcess
"""
CUSTOMS = frozenset(_CUSTOMS_TEXT.split())
# Custom operators that have no options, or read them only if they are there.
_WITHOUT_OPTIONS = frozenset({"CIRCULAR_BUFFER", "SignalFftAutoScale", "SignalFilterBankSquareRoot", "TFLM_DECODE"})
# The input, by operator, that a kernel does not look at before it uses it.
_UNLOOKED = {"DEPTHWISE_CONV_2D": 2, "SVDF": 3}
# Operators whose kernels do not read these lists, which writers leave out where they are empty.
_WITHOUT = {"VAR_HANDLE": ("inputs",), "CALL_ONCE": ("inputs", "outputs"), "ASSIGN_VARIABLE": ("outputs",)}
_HIGHEST_CODE = 209
_HIGHEST_TYPE = 22
# STRING, VARIANT, INT2, UINT4: types that the allocator has no size for.
_WITHOUT_SIZE = frozenset({5, 14, 19, 20})
# RESOURCE and the 8-bit floats as inputs or outputs of the model, UINT16 and INT4 as inputs.
_NOT_PASSED_ON = {13: _NO_OBJECTS, 21: _UNKNOWN_TYPE, 22: _UNKNOWN_TYPE}
_NOT_SET = frozenset({16, 17})
_BFLOAT16 = 18
# More elements than any arena of a microcontroller has bytes.
_MANY = 1 << 26
# Integers whose scale kernels read.
_QUANTISED = frozenset({3, 7, 9, 17})


def before_nodes(model: Model, reading: Reading) -> Iterator[Problem]:
    """What is met before the first node is prepared, in TFLM's order; `reading` is what LiteRT's loader finds."""
    if model.subgraphs is None:
        yield _refused(_NO_SUBGRAPHS, "the file has no list of subgraphs")
        return
    if not model.subgraphs:
        yield _crash("missing-vector", "the list of subgraphs is empty, and the package reads the first")
        return
    for index, subgraph in enumerate(model.subgraphs):
        yield from _read_in_python(index, subgraph)
    for index, subgraph in enumerate(model.subgraphs):
        yield from _tensors(model, index, subgraph, reading)
    for index, subgraph in enumerate(model.subgraphs):
        yield from _operators(model, index, subgraph, reading)
    yield from _passed_on(model.subgraphs[0])


def _read_in_python(index: int, subgraph: SubGraph) -> Iterator[Problem]:
    for number, operator in enumerate(subgraph.operators or ()):
        if operator.name == "VAR_HANDLE" and getattr(operator.builtin_options, "table", "") != "VarHandleOptions":
            message = "VAR_HANDLE has no options of its own, and so no name of a variable"
            yield _refused(_NO_VARIABLE_NAME, message, Place(index, number))


def _tensors(model: Model, index: int, subgraph: SubGraph, reading: Reading) -> Iterator[Problem]:
    place = Place(index)
    if subgraph.tensors is None:
        yield _crash("missing-vector", f"subgraph {index} has no list of tensors, and the allocator reads it", place)
        return
    if model.buffers is None and subgraph.tensors:
        yield _crash("missing-vector", "the file has no list of buffers, and the allocator reads it")
    sentinel = model.buffers[0] if model.buffers else None
    filled: list[int] = []
    for number, tensor in enumerate(subgraph.tensors):
        kind = tensor.type
        if not 0 <= kind <= _HIGHEST_TYPE:
            message = f"tensor {number} is of type {tensor.type_name}, which the runtime does not know"
            yield _refused(_TYPE, message, place, tensor)
        if model.buffers is not None and not isinstance(tensor.buffer, Table):
            message = (
                f"tensor {number} names buffer {tensor.buffer.index}, the model has {len(model.buffers)}: what happens "
                "depends on the bytes behind the list"
            )
            yield Problem("buffer-index", UNKNOWN, On.TFLM, Stage.ALLOCATE, message, None, tensor, {}, place)
        elif tensor.buffer is sentinel and sentinel.data:
            filled.append(number)
        elif getattr(tensor.buffer, "outside", False):
            message = f"the bytes of tensor {number} lie behind the flatbuffer: it counts as computed, and nobody does"
            yield _wrong("buffer-offset", message, place, tensor)
        quantization = tensor.quantization
        if quantization is not None and quantization.scale and not quantization.zero_point and kind in _QUANTISED:
            message = (
                f"tensor {number} has {len(quantization.scale)} scales and no zero points: its scales do not count"
            )
            yield _wrong("zero-points-missing", message, place, tensor)
    if filled:
        message = f"buffer 0 holds data, so that tensor {filled[0]} and all others without a buffer lie in these bytes"
        yield _wrong("sentinel-buffer", message, NOWHERE)
    for problem in reading.tensors[index]:
        # Nobody looks how long a constant is, or whether its shape is one: the kernel reads on behind a short one.
        if problem.on & On.LITERT and (
            problem.rule == "constant-size"
            or (problem.rule == "tensor-shape" and problem.tensor is not None and problem.tensor.data is not None)
        ):
            yield replace(problem, effect=WRONG, on=On.TFLM, stage=Stage.ALLOCATE, said=None)


def _operators(model: Model, index: int, subgraph: SubGraph, reading: Reading) -> Iterator[Problem]:
    """What the look-up of operators and the parsing of their options end in, node by node."""
    known: dict[int, bool] = {}
    found: list[Problem] = []
    late: list[Problem] = []
    for number, operator in enumerate(subgraph.operators or ()):
        opcode: Any = operator.opcode
        place = Place(index, number)
        if not _is_there(opcode):
            if model.operator_codes is None:
                message = f"the node is of operator code {opcode.index}, the file has no list of operator codes"
                found.append(_refused(_NO_CODES, message, place))
            continue
        is_known = known.get(id(opcode))
        if is_known is None:
            is_known = known[id(opcode)] = _is_registered(opcode)
        if not is_known:
            found.append(_not_registered(opcode, place))
        elif opcode.code != _CUSTOM_CODE:
            if operator.custom_options is not None:
                message = f"{operator.name} is a builtin operator and has custom options"
                found.append(_refused(_CUSTOM_OPTIONS, message, place))
        elif operator.custom_options is None and operator.name not in _WITHOUT_OPTIONS:
            message = f"{operator.name} has no options, and the process dies where it reads them"
            late.append(_crash("custom-options", message, place))
    if found or subgraph.operators:
        found += _parsed(subgraph, reading.nodes[index])
        found.sort(key=lambda problem: -1 if problem.place.operator is None else problem.place.operator)
    yield from found
    yield from late


def _is_registered(opcode: OperatorCode) -> bool:
    if opcode.code == _CUSTOM_CODE:
        return opcode.custom_code in CUSTOMS
    return opcode.name in BUILTINS


def _not_registered(opcode: OperatorCode, place: Place) -> Problem:
    code = opcode.code
    if code > _HIGHEST_CODE:
        return _refused(_CODE, f"the operator code is {code}, TFLM knows none above {_HIGHEST_CODE}")
    if code != _CUSTOM_CODE:
        return _refused(_NOT_REGISTERED, f"TFLM has no kernel for {opcode.name}", place)
    if opcode.custom_code is None:
        return _refused(_NO_NAME, "a custom operator has no name")
    return _refused(_CUSTOM, f"the application has to register the custom operator {opcode.custom_code!r}", place)


def _parsed(subgraph: SubGraph, read: Sequence[Problem]) -> Iterator[Problem]:
    """Options that the parser rejects: it is the one that LiteRT has."""
    for problem in read:
        number = problem.place.operator
        if not problem.on & On.LITERT or number is None or problem.rule in ("operator-code-index", "custom-options"):
            continue
        if (subgraph.operators or [])[number].name in BUILTINS:
            yield replace(problem, on=On.TFLM, stage=Stage.ALLOCATE)


def _is_there(reference: object) -> bool:
    return isinstance(reference, Table)


def _leads_nowhere(reference: object) -> bool:
    return reference is not None and not isinstance(reference, Table)


def of_node(operator: Operator, count: int) -> Problem | None:
    """What stops the allocator at a node, whatever its kernel.

    Args:
        operator: the node.
        count: how many tensors its subgraph has.
    """
    references: Sequence[Any] | None
    for name, references in (("inputs", operator.inputs), ("outputs", operator.outputs)):
        if references is None and name not in _WITHOUT.get(operator.name, ()):
            return _crash("tensor-count", f"the node has no list of {name}, and the kernel reads it")
        for reference in references or ():
            if reference is not None and not isinstance(reference, Table) and reference.index >= 0:
                message = f"the node's {name} name tensor {reference.index}, the subgraph has {count}"
                kills = reference.index < count + _NEAR or reference.index >= _FAR
                return Problem("tensor-index", CRASHES if kills else UNKNOWN, On.TFLM, Stage.ALLOCATE, message)
    listed: tuple[Any, ...] = (*(operator.inputs or ()), *(operator.outputs or ()))
    for tensor in listed:
        if _is_there(tensor) and tensor.type in _WITHOUT_SIZE:
            message = f"tensor {tensor.name!r} is {tensor.type_name}, a type that the runtime has no size for"
            if any(tensor is released for released in _released(operator)):
                return Problem("tensor-type", CRASHES, On.TFLM, Stage.ALLOCATE, message, None, tensor)
            return _refused(_NO_SIZE, message, tensor=tensor)
    return None


def _released(operator: Operator) -> Sequence[object]:
    """Tensors that the kernel follows or releases without looking whether it got them."""
    if operator.name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return operator.outputs or ()
    position = _UNLOOKED.get(operator.name, -1)
    return (operator.inputs or ())[position : position + 1] if position >= 0 else ()


def readable(operator: Operator) -> Operator:
    """The node as TFLM reads it: every negative index stands for a tensor that is not given."""
    lists = (operator.inputs or (), operator.outputs or (), operator.intermediates or ())
    for item in chain(*lists):
        if item is not None and not isinstance(item, Table):
            break
    else:
        return operator
    found = copy(operator)
    for name, listed in zip(("inputs", "outputs", "intermediates"), lists):
        setattr(found, name, [None if _leads_nowhere(item) else item for item in listed])
    return found


def called(model: Model) -> set[int]:
    """The identities of the subgraphs that run: the first, and those that some node calls."""
    found = {id(subgraph) for subgraph in (model.subgraphs or ())[:1]}
    for node in model.nodes():
        for name in _CALLS.get(node.operator.name, ()):
            found.add(id(getattr(node.operator.builtin_options, name, None)))
    return found


def after_nodes(model: Model) -> Iterator[Problem]:
    """What the plan of memory and the package meet once all nodes are prepared."""
    for index, subgraph in enumerate(model.subgraphs or ()):
        for number, operator in enumerate(subgraph.operators or ()):
            if operator.intermediates:
                yield from _intermediates(operator, Place(index, number))
        for number, tensor in enumerate(subgraph.tensors or ()):
            if tensor.type in _WITHOUT_SIZE:
                if _is_used(subgraph, tensor):  # Its node is refused.
                    continue
                message = f"tensor {number} is {tensor.type_name}, a type that the runtime has no size for"
                yield _refused(_NO_PLAN, message, Place(index), tensor)
            elif prod(tensor.shape or ()) >= _MANY and tensor.data is None:
                message = (
                    f"tensor {number} is of shape {tensor.shape}: whether it fits the arena is the application's choice"
                )
                yield Problem("memory-arena", UNKNOWN, On.TFLM, Stage.ALLOCATE, message, None, tensor, {}, Place(index))
            elif tensor.is_variable and tensor.data is not None:
                message = f"tensor {number} is a variable and holds constant data, which is overwritten"
                yield _wrong("variable-with-data", message, Place(index), tensor)
    if model.subgraphs:
        yield from _described(model.subgraphs[0])


def _is_used(subgraph: SubGraph, tensor: Tensor) -> bool:
    return any(
        tensor is used
        for operator in subgraph.operators or ()
        for used in (*(operator.inputs or ()), *(operator.outputs or ()))
    )


def _intermediates(operator: Operator, place: Place) -> Iterator[Problem]:
    listed: Sequence[Any] = operator.intermediates or ()
    for tensor in listed:
        if not _is_there(tensor):
            message = "an intermediate tensor of the node does not exist: the answer depends on the memory there"
            yield Problem("tensor-index", UNKNOWN, On.TFLM, Stage.ALLOCATE, message, place=place)
            return
        if 0 not in (tensor.shape or ()):
            message = f"an intermediate tensor has the shape {tensor.shape or []}, TFLM takes none with elements"
            yield _refused(_INTERMEDIATE, message, place, tensor)
            return


def _described(subgraph: SubGraph) -> Iterator[Problem]:
    """The model's inputs and outputs, as the package hands them to an application."""
    place = Place(0)
    for name in ("inputs", "outputs"):
        listed = getattr(subgraph, name)
        if listed is None:
            yield _crash("missing-vector", f"the model has no list of {name}, and the package reads it", place)
            return
        lost = next((-1 if item is None else item.index for item in listed if not isinstance(item, Table)), None)
        if lost is not None:
            message = f"the subgraph's {name} name tensor {lost}, it has {len(subgraph.tensors or ())}"
            yield _crash("tensor-index", message, place)
            return


def _passed_on(subgraph: SubGraph) -> Iterator[Problem]:
    """Inputs and outputs that the package cannot exchange with numpy, before anything runs."""
    place = Place(0)
    inputs: Sequence[Any] = subgraph.inputs or ()
    for tensor in (*inputs, *(subgraph.outputs or ())):
        kind = getattr(tensor, "type", None)
        message = (
            f"an input or output of the model is {getattr(tensor, 'type_name', '')}, which the package cannot pass on"
        )
        if kind in _NOT_PASSED_ON:
            yield _refused(_NOT_PASSED_ON[kind], message, place, tensor, Stage.INVOKE)
        elif kind == _BFLOAT16:
            yield Problem("tensor-type", CRASHES, On.TFLM, Stage.INVOKE, message, None, tensor, {}, place)
    for tensor in inputs:
        if getattr(tensor, "type", None) in _NOT_SET:
            message = f"an input of the model is {tensor.type_name}, which numpy does not have"
            yield _refused(_NOT_IN_NUMPY, message, place, tensor, Stage.INVOKE)
        elif min(getattr(tensor, "shape", None) or (0,)) < 0:
            message = f"an input of the model has the shape {tensor.shape}"
            yield _refused(_NEGATIVE_INPUT, message, place, tensor, Stage.INVOKE)


def _refused(
    said: Said,
    message: str,
    place: Place = NOWHERE,
    tensor: Tensor | None = None,
    at: Stage = Stage.ALLOCATE,
) -> Problem:
    return Problem(said.rule, REFUSES, On.TFLM, at, message, said.text, tensor, {}, place)


def _crash(rule: str, message: str, place: Place = NOWHERE) -> Problem:
    return Problem(rule, CRASHES, On.TFLM, Stage.ALLOCATE, message, None, None, {}, place)


def _wrong(rule: str, message: str, place: Place, tensor: Tensor | None = None) -> Problem:
    return Problem(rule, WRONG, On.TFLM, Stage.ALLOCATE, message, None, tensor, {}, place)
