"""The nodes of a subgraph as a loader reads them: operator code and options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.construction import custom
from tflite_surgeon.knowledge.construction.opcodes import CUSTOM
from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.construction.tensors import known_type
from tflite_surgeon.knowledge.problems import REFUSES, WRONG, On, Place, Problem, Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.alike import Alikes
    from tflite_surgeon.model.objects import Model, Operator, SubGraph

_OPCODE = Said("operator-code-index", None, "Missing registration for opcode_index {}")
# TFLM's Python package looks all operators up before anything else.
_OPCODE_TFLM = Said("operator-code-index", None, "list index out of range")
_CUSTOM_OPTIONS = Said("custom-options", None, "Custom Option Offset for opcode_index {} is out of bound")
_LSTM_OPTIONS = Said("missing-options", None, "No valid LSTM builtin options exist")
_LSTM_KERNEL = Said("option-value", None, "Unhandled LSTM kernel type: {}")
_WEIGHTS_FORMAT = Said("weights-format", None, "Unhandled fully-connected weights format.")
_OPTIONS_TYPE = Said("tensor-type", None, "Unsupported data type {} in tensor")
_NO_PARAMETERS = Said("missing-options", None, "Could not get 'stablehlo.{}' operation parameters.")
_NO_OPTION = Said("missing-options", None, "'stablehlo.composite' missing required option '{}'.")
_LONG_ARRAY = Said("rank-limit", None, "Found too many dimensions in the input array of operation '{}'.")
_BOUNDARIES = Said("missing-options", None, "boundaries array not provided for operation 'bucketize'.")

_MOST_DIMENSIONS = 8
# Operators that are not read without options of this table, and the name that runtimes complain about.
_NEEDED = {
    "STABLEHLO_CASE": ("StablehloCaseOptions", "case"),
    "STABLEHLO_COMPOSITE": ("StableHLOCompositeOptions", "composite"),
    "STABLEHLO_PAD": ("StablehloPadOptions", "pad"),
    "STABLEHLO_REDUCE_WINDOW": ("StablehloReduceWindowOptions", "reduce_window"),
}
# Read by LiteRT only.
_BIAS_TYPE = "quantized_bias_type"
# Operators whose options hold types, which must be known.
_TYPED = {
    "CAST": ("CastOptions", ("in_data_type", "out_data_type")),
    "SHAPE": ("ShapeOptions", ("out_type",)),
    "ARG_MAX": ("ArgMaxOptions", ("output_type",)),
    "ARG_MIN": ("ArgMinOptions", ("output_type",)),
    "HASHTABLE": ("HashtableOptions", ("key_dtype", "value_dtype")),
    "FULLY_CONNECTED": ("FullyConnectedOptions", (_BIAS_TYPE,)),
    "CONV_2D": ("Conv2DOptions", (_BIAS_TYPE,)),
    "TRANSPOSE_CONV": ("TransposeConvOptions", (_BIAS_TYPE,)),
}
_ARRAYS = {
    "RESHAPE": ("ReshapeOptions", "new_shape", "reshape"),
    "SQUEEZE": ("SqueezeOptions", "squeeze_dims", "squeeze"),
}
_LSTM_KERNELS = (0, 1)
_WEIGHTS_FORMATS = (0, 1)
_READ = frozenset([*_NEEDED, *_TYPED, *_ARRAYS, "BUCKETIZE", "LSTM"])
# Operators whose options matter, and their table: any other is passed over.
OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DIV": "DivOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MUL": "MulOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SUB": "SubOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
}


def problems(model: Model, index: int, subgraph: SubGraph, alikes: Alikes) -> Iterator[Problem]:
    """What is wrong with nodes before they have tensors, in their order. Of those that are alike one is read."""
    sound: set[int] = set()
    for number, operator in enumerate(subgraph.operators or ()):
        group = alikes.of(operator)
        if group is None or id(group) not in sound:
            found = list(_of_node(model, operator, Place(index, number)))
            if group is not None and not found:
                sound.add(id(group))
            yield from found


def _of_node(model: Model, operator: Operator, place: Place) -> Iterator[Problem]:
    """What is wrong with one node."""
    opcode, name = operator.opcode, operator.name
    if not isinstance(opcode, Table):
        count = len(model.operator_codes or ())
        message = f"the node is of operator code {opcode.index}, the model lists {count}"
        yield refused(_OPCODE, message, place=place)
        yield refused(_OPCODE_TFLM, message, on=On.TFLM, at=Stage.ALLOCATE, place=place)
    elif opcode.code == CUSTOM:
        if _is_outside(model, operator):
            message = (
                f"options of {operator.large_custom_options_size} bytes at offset "
                f"{operator.large_custom_options_offset} end behind the file"
            )
            yield refused(_CUSTOM_OPTIONS, message, place=place)
        yield from custom.without_options(operator, place)
    else:
        wanted, options = OPTIONS.get(name), operator.builtin_options
        if wanted is not None and options is not None and getattr(options, "table", "") != wanted:
            yield _passed_over(name, getattr(options, "table", "options of an unknown kind"), place)
        if name in _READ:
            yield from _options(operator, name, place)


def _passed_over(name: str, table: str, place: Place) -> Problem:
    message = f"{name} has {table}: runtimes pass over them and use zeros and defaults"
    return Problem("missing-options", WRONG, On.EVERY, Stage.ALLOCATE, message, place=place, doubtful=True)


def _is_outside(model: Model, operator: Operator) -> bool:
    start, size = operator.large_custom_options_offset, operator.large_custom_options_size
    if operator.custom_options is not None or operator.large_custom_options is not None or start <= 1:
        return False
    return model.source is None or start + size > len(model.source.raw)


def _options(operator: Operator, name: str, place: Place) -> Iterator[Problem]:
    if name in _NEEDED:
        table, spelt = _NEEDED[name]
        options = _table(operator, table)
        if options is None:
            yield refused(_NO_PARAMETERS, f"{spelt} has no options", on=On.LITERT, place=place)
        for needed in ("name", "composite_attributes") if name == "STABLEHLO_COMPOSITE" and options is not None else ():
            if getattr(options, needed) is None:
                yield refused(_NO_OPTION, f"{spelt} lacks the option {needed}", on=On.LITERT, place=place)
                break
        return
    if name == "LSTM":
        options = _table(operator, "LSTMOptions")
        if options is None:
            yield refused(_LSTM_OPTIONS, "the node has no options", place=place)
        elif options.kernel_type not in _LSTM_KERNELS:
            yield refused(
                _LSTM_KERNEL, f"kernel_type is {int(options.kernel_type)}, runtimes know 0 and 1", place=place
            )
        return
    if name == "BUCKETIZE":
        options = _table(operator, "BucketizeOptions")
        if options is not None and options.boundaries is None:
            yield refused(_BOUNDARIES, "the options have no boundaries", place=place)
        return
    if name in _ARRAYS:
        table, attribute, _ = _ARRAYS[name]
        options = _table(operator, table)
        # RESHAPE reads the sizes from its second input if the options have none.
        given = getattr(options, attribute, None)
        if given is not None and len(given) > _MOST_DIMENSIONS:
            message = f"{attribute} has {len(given)} entries, runtimes read {_MOST_DIMENSIONS}"
            yield refused(_LONG_ARRAY, message, place=place)
        return
    table, attributes = _TYPED[name]
    options = _table(operator, table)
    if name == "FULLY_CONNECTED" and options is not None and options.weights_format not in _WEIGHTS_FORMATS:
        yield refused(_WEIGHTS_FORMAT, f"weights_format is {int(options.weights_format)}", place=place)
    for attribute in attributes if options is not None else ():
        stored = getattr(options, attribute)
        on = On(0)
        for kernels in (On.LITERT,) if attribute == _BIAS_TYPE else (On.LITERT, On.V2_14):
            if not known_type(stored, kernels):
                on |= kernels
        if on:
            message = f"the option {attribute} is {_spelt(stored)}, a type that the runtime does not know"
            yield Problem(_OPTIONS_TYPE.rule, REFUSES, on, Stage.CONSTRUCT, message, _OPTIONS_TYPE.text, place=place)


def _spelt(value: Any) -> str:
    return name_of("TensorType", value) or f"type {int(value)}"


def _table(operator: Operator, name: str) -> Any | None:
    for found in (operator.builtin_options, operator.builtin_options_2):
        if getattr(found, "table", None) == name:
            return found
    return None
