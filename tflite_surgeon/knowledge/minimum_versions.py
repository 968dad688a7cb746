"""The lowest version of an operator that stands for all it uses: types, options, scales for each channel, dimensions.

A version promises that a runtime which registers it can compute the node: one that is too low makes old runtimes take
a node that they cannot compute, one that is too high makes runtimes refuse a node that they could.

Source: LiteRT converter/tools/versioning/op_version.cc and op_signature.cc; where the converter's own models declare
less, what they declare.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.operator_versions import versions

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Operator, QuantizationParameters, Tensor

# Names, then versions with what demands them: of those that hold, the one that stands first counts; 1 where none does.
# What must hold together is joined by "&". i0 and o0 are the type of an input or output, r0 is an input's number of
# dimensions; other words are in _WORDS, and an option's name stands for "is set".
_FACTS = """
ABS: 5 i0=INT32; 4 i0=INT16 & plain; 3 i0=INT16; 2 i0=INT8,UINT8
ADD: 6 i0=FLOAT16; 5 i0=INT16 & plain; 4 i0=INT64; 3 i0=INT16 & o0=INT16 & any-scale; 2 i0=INT8
ARG_MAX ARG_MIN: 3 i0=BOOL; 2 i0=INT8
AVERAGE_POOL_2D MAX_POOL_2D: 3 i0=INT16 & o0=INT16; 2 i0=INT8
BATCH_MATMUL: 3 i0=INT16; 2 i0=INT8; 4 hybrid & asymmetric_quantize_inputs
BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND: 4 i0=INT16; 3 r0!=4; 2 i0=INT8
BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN RNN UNIDIRECTIONAL_SEQUENCE_RNN:
 3 i1=INT8 & o0=FLOAT32 & asymmetric_quantize_inputs; 2 i1=INT8 & o0=FLOAT32
BROADCAST_TO: 4 i0=FLOAT8; 3 i0=INT8,INT16
CAST: 9 any=FLOAT8; 8 any=INT2,UINT4; 7 any=BFLOAT16; 6 i0=INT4 & o0=FLOAT32; 5 any=FLOAT64,FLOAT16; 4 any=UINT16;
 3 any=INT8; 2 any=UINT32
CONCATENATION: 7 i0=FLOAT8; 6 i0=FLOAT16; 5 i0=INT4; 4 i0=UINT32; 3 i0=INT16; 2 i0=INT8
CONV_2D: 8 sixteen-by-eight & quantized_bias_type; 6 grouped; 4 i0=INT16 & i1=INT16; 3 i0=INT8 & i1=INT8 & o0=INT8;
 7 i0=INT8 & i1=INT4 & o0=INT8; 5 hybrid & filter-scales; 2 hybrid
COS SIN: 2 i0=FLOAT16
DEPTHWISE_CONV_2D: 5 i0=INT16 & i1=INT16; 6 hybrid & depthwise-scales; 4 hybrid; 3 i0=INT8 & i1=INT8 & o0=INT8;
 7 i0=INT8 & i1=INT4 & o0=INT8; 2 dilated
DEPTH_TO_SPACE GREATER LESS_EQUAL LOG_SOFTMAX SPACE_TO_DEPTH SQUARED_DIFFERENCE SUM: 2 i0=INT8
DEQUANTIZE: 9 i0=FLOAT8; 8 i0=UINT4; 7 i0=INT2; 6 i0=INT4; 3 i0=INT16,FLOAT16; 5 i0=INT8 & input-scales; 2 i0=INT8
DIV: 2 broadcast-beyond-4
DYNAMIC_UPDATE_SLICE: 6 i0=BFLOAT16; 5 i0=INT4; 4 i0=INT16; 3 i0=FLOAT16; 2 i2=INT64
EMBEDDING_LOOKUP: 4 i1=INT4; 4 row-scales; 5 i1=INT2
EQUAL: 5 i0=INT16; 3 i0=STRING; 2 i0=INT8
EXP LOG REDUCE_PROD SQRT: 2 i0=INT8,INT16
FAKE_QUANT: 2 narrow_range
FILL: 5 i1=FLOAT8; 4 i1=FLOAT16; 3 i1=INT8,INT16; 2 i1=BOOL,STRING
FLOOR_DIV: 3 i0=INT16,INT8; 2 i0=FLOAT32
FLOOR_MOD: 2 i0=INT16,INT8
FULLY_CONNECTED: 14 i1=INT2; 13 i0=INT16 & i1=INT4 & o0=INT16; 12 hybrid & filter-scales;
 11 sixteen-by-eight & quantized_bias_type; 8 sparse; 7 i0=INT16 & i1=INT16 & o0=INT16; 6 two-inputs; 5 keep_num_dims;
 4 i0=INT8 & i1=INT8 & o0=INT8; 10 i0=INT8 & i1=INT4 & o0=INT8; 9 hybrid & asymmetric_quantize_inputs; 3 hybrid;
 2 weights_format
GATHER: 8 i0=FLOAT8; 7 i0=INT4; 6 i1=INT16; 5 batch_dims; 4 i0=INT16; 3 i0=BOOL; 2 i0=INT8
GATHER_ND: 6 i0=FLOAT8; 5 i0=BOOL; 4 i1=INT16; 3 i0=INT16; 2 i0=STRING
GELU: 3 i0=FLOAT16; 2 i0=INT8,UINT8
GREATER_EQUAL LESS: 3 i0=INT16; 2 i0=INT8
L2_NORMALIZATION: 2 o0=INT8
LEAKY_RELU: 2 i0=INT16
LOGISTIC TANH: 3 i0=INT16 & o0=INT16; 2 i0=INT8
LSTM: 2 kernel_type; 5 i0=INT16 & i2=INT8 & o0=INT16; 4 gates-hybrid & asymmetric_quantize_inputs; 3 gates-hybrid
MAXIMUM MINIMUM: 4 i0=INT16 & o0=INT16; 3 broadcast-beyond-4; 2 i0=INT8
MEAN MIRROR_PAD REDUCE_MAX REDUCE_MIN RELU6 RSQRT: 3 i0=INT16; 2 i0=INT8
MUL: 8 i0=FLOAT16; 7 i0=INT16 & plain-both; 7 i0=UINT32; 6 i0=COMPLEX64; 5 i0=INT64; 4 i0=INT16; 3 scaled-up; 2 i0=INT8
NOT_EQUAL: 4 i0=INT16; 3 i0=STRING; 2 i0=INT8
PACK: 5 i0=FLOAT8; 2 i0=INT8; 3 i0=INT16 & o0=INT16; 4 i0=UINT32
PAD PADV2: 6 i0=FLOAT8; 5 i0=BOOL; 4 r0>4; 3 i0=INT16; 2 i0=INT8
QUANTIZE: 5 any=UINT4; 4 any=INT4; 3 output-scales; 2 o0=INT16
RANGE: 2 i0=INT64
RELU: 3 i0=INT16; 2 i0=INT8,UINT8
RESIZE_BILINEAR: 4 i0=INT16; 3 half_pixel_centers; 2 i0=INT8
RESIZE_NEAREST_NEIGHBOR: 4 i0=INT16; 3 half_pixel_centers; 3 align_corners; 2 i0=INT8
REVERSE_V2: 4 i0=FLOAT8; 3 i0=INT8; 2 i0=BOOL
SELECT: 4 i0=UINT32; 3 five-dimensions; 2 i0=INT8
SELECT_V2: 2 i0=UINT32
SIGN: 2 i0=INT32
SLICE: 8 i0=FLOAT16; 7 i0=INT4; 6 i0=UINT32; 5 r0>4; 4 i0=INT16; 3 i0=STRING; 2 i0=INT8
SOFTMAX: 4 i0=FLOAT16; 3 i0=INT16; 2 i0=INT8
SPARSE_TO_DENSE: 3 i2=INT8,UINT8; 2 i2=INT64
SPLIT: 5 i1=FLOAT8; 4 i1=INT16; 3 i1=INT32; 2 i1=INT8
SPLIT_V: 3 i0=FLOAT8; 2 i0=INT8
SQUEEZE: 2 i0=STRING
STRIDED_SLICE: 8 offset; 7 i0=UINT32; 6 ellipsis_mask; 6 new_axis_mask; 5 i0=STRING; 4 r0>4; 3 i0=BOOL; 2 i0=INT8
SUB: 5 i0=INT16 & o0=INT16 & any-scale; 4 i0=INT64; 3 broadcast-beyond-4; 2 i0=INT8
SVDF: 3 i0=INT8; 4 hybrid & asymmetric_quantize_inputs; 2 hybrid
TILE: 3 i0=INT8; 2 i0=STRING
TOPK_V2: 3 i0=INT16; 3 i1=INT16; 3 o1=INT16; 2 i0=INT8
TRANSPOSE: 9 i0=FLOAT16; 8 r0>6; 8 i0=BFLOAT16; 7 i0=INT4; 6 r0>5; 5 i0=INT16; 4 r0>4; 3 i0=BOOL; 2 i0=INT8
TRANSPOSE_CONV: 5 i2=INT16 & i1=INT8 & o0=INT16 & quantized_bias_type; 4 fused_activation_function; 3 fourth-input;
 2 i1=INT8
UNIDIRECTIONAL_SEQUENCE_LSTM: 5 i0=INT16 & i2=INT8 & o0=INT16; 4 diagonal_recurrent_tensors;
 3 gates-hybrid & asymmetric_quantize_inputs; 2 gates-hybrid
UNPACK: 6 i0=FLOAT8; 2 i0=INT8,UINT8; 3 i0=BOOL; 4 i0=INT16 & o0=INT16; 5 i0=FLOAT16,BFLOAT16
WHERE: 2 i0!=BOOL
"""


class Demand(NamedTuple):
    """A version, and what of the operator demands it; no reason where any operator of the kind is in this version."""

    version: int
    reason: str


def minimum_version(operator: Operator) -> Demand:
    """The lowest version that an operator may be marked with, and why not a lower one."""
    name = operator.name
    for version, conditions in _facts().get(name, ()):
        if all(_holds(operator, condition) for condition in conditions):
            return Demand(version, ", ".join(_told(operator, condition) for condition in conditions))
    return Demand(versions().get(name, (1, 1))[0], "")


@cache
def _facts() -> dict[str, list[tuple[int, tuple[str, ...]]]]:
    found: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for line in _FACTS.replace("\n ", " ").strip().splitlines():
        names, _, demands = line.partition(":")
        rows = []
        for demand in demands.split(";"):
            version, _, conditions = demand.strip().partition(" ")
            rows.append((int(version), tuple(conditions.split(" & "))))
        found.update(dict.fromkeys(names.split(), rows))
    return found


def _holds(operator: Operator, condition: str) -> bool:
    word = _WORDS.get(condition)
    if word is not None:
        return word(operator)
    for sign in ("!=", "=", ">"):
        left, found, right = condition.partition(sign)
        if found:
            return _compared(operator, left, sign, right)
    return bool(_option(operator, condition))


def _compared(operator: Operator, left: str, sign: str, right: str) -> bool:
    if left[0] == "r":
        shape = getattr(_at(operator.inputs, int(left[1:])), "shape", None)
        rank = None if shape is None else len(shape)
        return rank is not None and (rank > int(right) if sign == ">" else rank != int(right))
    places = ("i0", "o0") if left == "any" else (left,)
    types = [type_name for place in places if (type_name := _type(operator, place))]
    is_there = any(type_name in right.split(",") for type_name in types)
    return bool(types) and is_there == (sign == "=")


def _type(operator: Operator, place: str) -> str:
    """The type of an input or output, such as i0; both 8-bit floats are FLOAT8; empty where there is none."""
    tensor = _at(operator.inputs if place[0] == "i" else operator.outputs, int(place[1:]))
    name = "" if tensor is None else tensor.type_name
    return "FLOAT8" if name.startswith("FLOAT8") else name


def _at(tensors: list[Any] | None, position: int) -> Tensor | None:
    found = tensors[position] if tensors and position < len(tensors) else None
    return found if isinstance(found, Table) else None  # type: ignore[return-value]


def _option(operator: Operator, name: str) -> Any:
    return getattr(operator.builtin_options, name, None)


def _quantization(operator: Operator, place: str) -> QuantizationParameters | None:
    tensor = _at(operator.inputs if place[0] == "i" else operator.outputs, int(place[1:]))
    return None if tensor is None else tensor.quantization


def _are_types(operator: Operator, **wanted: str) -> bool:
    return all(_type(operator, place) == type_name for place, type_name in wanted.items())


def _is_hybrid(operator: Operator) -> bool:
    return _are_types(operator, i0="FLOAT32", i1="INT8", o0="FLOAT32")


def _has_scale_each(operator: Operator, place: str, axis: int | None, least: int) -> bool:
    """Whether there is a scale for each index along an axis; None: the axis that the quantisation names."""
    tensor = _at(operator.inputs if place[0] == "i" else operator.outputs, int(place[1:]))
    quantization = _quantization(operator, place)
    if tensor is None or quantization is None or not tensor.shape:
        return False
    along = quantization.quantized_dimension if axis is None else axis
    count = len(quantization.scale or ())
    return count >= least and 0 <= along < len(tensor.shape) and tensor.shape[along] == count


def _is_grouped(operator: Operator) -> bool:
    shapes = [list(getattr(_at(operator.inputs, position), "shape", None) or ()) for position in (0, 1)]
    return all(len(shape) == 4 for shape in shapes) and shapes[0][3] != shapes[1][3]


def _is_scaled_up(operator: Operator) -> bool:
    """Whether the product counts in a unit that is no smaller than the output's."""
    scales = []
    for place in ("i0", "i1", "o0"):
        quantization = _quantization(operator, place)
        scales.append((quantization.scale or [0.0])[0] if quantization is not None else 0.0)
    return 0.0 not in scales and scales[0] * scales[1] / scales[2] >= 1.0


def _broadcasts_beyond_4(operator: Operator) -> bool:
    shapes = [list(getattr(_at(operator.inputs, position), "shape", None) or ()) for position in (0, 1)]
    return shapes[0] != shapes[1] and max(map(len, shapes)) > 4


# Words for what takes more than a comparison.
_WORDS: dict[str, Callable[[Operator], bool]] = {
    "any-scale": lambda op: not _option(op, "pot_scale_int16"),
    "broadcast-beyond-4": _broadcasts_beyond_4,
    "depthwise-scales": lambda op: _has_scale_each(op, "i1", 3, 1),
    "dilated": lambda op: (_option(op, "dilation_w_factor") or 1, _option(op, "dilation_h_factor") or 1) != (1, 1),
    "filter-scales": lambda op: _has_scale_each(op, "i1", 0, 1),
    "five-dimensions": lambda op: any(
        len(getattr(_at(op.inputs, position), "shape", None) or ()) == 5 for position in range(3)
    ),
    "fourth-input": lambda op: _at(op.inputs, 3) is not None,
    "gates-hybrid": lambda op: _are_types(op, i0="FLOAT32", i2="INT8", o0="FLOAT32"),
    "grouped": _is_grouped,
    "hybrid": _is_hybrid,
    "input-scales": lambda op: _has_scale_each(op, "i0", None, 2),
    "output-scales": lambda op: _has_scale_each(op, "o0", None, 2),
    "plain": lambda op: _quantization(op, "i0") is None,
    "plain-both": lambda op: _quantization(op, "i0") is None and _quantization(op, "i1") is None,
    "row-scales": lambda op: _has_scale_each(op, "i1", 0, 2),
    "scaled-up": _is_scaled_up,
    "sixteen-by-eight": lambda op: _are_types(op, i0="INT16", i1="INT8", o0="INT16"),
    "sparse": lambda op: getattr(_at(op.inputs, 1), "sparsity", None) is not None,
    "two-inputs": lambda op: len(op.inputs or ()) == 2,
}
_TOLD = {
    "any-scale": "its scales need not be powers of two",
    "broadcast-beyond-4": "it broadcasts over more than four dimensions",
    "depthwise-scales": "its weights have a scale for each channel",
    "dilated": "it is dilated",
    "filter-scales": "its weights have a scale for each channel",
    "five-dimensions": "an input has five dimensions",
    "fourth-input": "it has a bias",
    "gates-hybrid": "it computes floats with INT8 weights",
    "grouped": "it is a grouped convolution",
    "hybrid": "it computes floats with INT8 weights",
    "input-scales": "its input has a scale for each channel",
    "output-scales": "its output has a scale for each channel",
    "plain": "its input is not quantised",
    "plain-both": "its inputs are not quantised",
    "row-scales": "its table has a scale for each row",
    "scaled-up": "the product of its input scales is no smaller than its output's scale",
    "sixteen-by-eight": "it computes INT16 with INT8 weights",
    "sparse": "its weights are sparse",
    "two-inputs": "it has no bias",
}


def _told(operator: Operator, condition: str) -> str:
    """A condition in words, such as "input 0 is INT8"."""
    if condition in _TOLD:
        return _TOLD[condition]
    if condition[:2] in ("i0", "i1", "i2", "o0", "o1"):
        what = f"{'input' if condition[0] == 'i' else 'output'} {condition[1]}"
        return f"{what} is {_type(operator, condition[:2])}"
    if condition[0] == "r" and condition[1].isdigit():
        shape = getattr(_at(operator.inputs, int(condition[1])), "shape", None)
        return f"input {condition[1]} has {len(shape or ())} dimensions"
    if condition.startswith("any="):
        return f"it converts {_type(operator, 'i0')} to {_type(operator, 'o0')}"
    return f"it has the option {condition}"
