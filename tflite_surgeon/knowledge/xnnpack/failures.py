"""What becomes of a node after the delegate took it: refused without a way back, or the end of the process.

Source: xnnpack_delegate.cc (GetXNNPackDatatype, DefineXNNPACKValue, the VisitXNode functions once a subgraph is
built), XNNPACK's xnn_define_... and xnn_create_runtime; each text as ai-edge-litert 2.3.0 was seen to say it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tflite_surgeon.knowledge.xnnpack import shapes
from tflite_surgeon.knowledge.xnnpack.candidate import Candidate, kind_of
from tflite_surgeon.knowledge.xnnpack.claims import CLAIMS, FLOAT_UNARY, Claim
from tflite_surgeon.knowledge.xnnpack.conditions import NARROW_INTEGERS
from tflite_surgeon.knowledge.xnnpack.placement import UNPACKING
from tflite_surgeon.knowledge.xnnpack.tensors import (
    EIGHT_BITS,
    FLOATS,
    INTEGERS,
    MOST_DIMENSIONS,
    affine,
    bad_block,
    block_scales,
    blockwise,
    count,
    datatype,
    has_offset,
    is_constant,
    ratio,
    scale_and_zero_point,
    scales_of,
)
from tflite_surgeon.quantization import are_usable_scales, float32, is_usable_scale

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.xnnpack.placement import Placement
    from tflite_surgeon.model.objects import Operator, Tensor

CREATION = "failed to create XNNPACK runtime"
RESHAPING = "XNNPack delegate failed to reshape runtime"
OUTPUT = "XNNPack delegate failed to get external value shape"
DEFINITION = "failed to delegate"
FILTER = "failed to update filter tensor"
UNMADE = "failed to create XNNPACK Value for tensor -1"

_REQUANTISED_BELOW = 256.0
# Elements; seen to fail on a machine of common size.
_UNFIT_FOR_MEMORY = 1 << 35


class Failure(NamedTuple):
    """A way in which a node fails.

    Attributes:
        message: what the runtime says when tensors are allocated, up to the number of the node that replaced this
            one; empty where it dies.
        kills: whether the process dies; None where it may, because memory beside an array is read.
        rule: the name of the rule that is broken.
        why: what is wrong, in a few words.
        tensor: the one at fault, else None.
    """

    message: str
    kills: bool | None = False
    rule: str = "xnnpack-crash"
    why: str = "the delegate dies when it looks at the node"
    tensor: Tensor | None = None


# Operators whose types XNNPACK compares when it makes the runtime; others when the node is defined, or never.
_CREATED_BY_TYPE = frozenset([*FLOAT_UNARY, "ELU", "LEAKY_RELU", "LOGISTIC", "TANH"])
_DEFINED_BY_TYPE_NAMES = """
BATCH_MATMUL CONCATENATION DEPTH_TO_SPACE DIV MAX_POOL_2D MAXIMUM MINIMUM PAD PRELU RESHAPE SLICE SOFTMAX
SPACE_TO_DEPTH SPLIT SQUARED_DIFFERENCE STRIDED_SLICE TRANSPOSE
"""
_DEFINED_BY_TYPE = frozenset(_DEFINED_BY_TYPE_NAMES.split())
# Operators whose 8-bit outputs must have the scale and zero point of the inputs.
_SAME_QUANTISATION_NAMES = """
CONCATENATION DEPTH_TO_SPACE MAX_POOL_2D PAD RESHAPE RESIZE_BILINEAR SLICE SPACE_TO_DEPTH SPLIT STRIDED_SLICE TRANSPOSE
"""
_SAME_QUANTISATION = frozenset(_SAME_QUANTISATION_NAMES.split())
# Positions of input, weights and bias.
_LAYERS = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
# Numbers that XNNPACK gives to elementwise operators of two inputs.
_BINARY_NUMBERS = {
    "ADD": 0,
    "SUB": 1,
    "MUL": 2,
    "DIV": 3,
    "MAXIMUM": 4,
    "MINIMUM": 5,
    "SQUARED_DIFFERENCE": 7,
    "PRELU": 8,
}
# Operators with integer weights beside floats, and the ranks of inputs that cannot be made integers at run time.
_UNFIT_FOR_INTEGERS = {"FULLY_CONNECTED": range(1), "BATCH_MATMUL": range(MOST_DIMENSIONS + 1, 1 << 31)}
# Operators that the runtime calls by another name when it complains.
_MISNAMED = {"REDUCE_MAX": "STABLEHLO_CASE", "REDUCE_MIN": "ADD"}
# Operators that read the input at a position before they know that it is given.
_READ_UNASKED = {
    **dict.fromkeys((*_CREATED_BY_TYPE, "QUANTIZE", "DEQUANTIZE"), (0,)),
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "PRELU"), (0, 1)),
    **dict.fromkeys(("BATCH_MATMUL", "CONCATENATION", "SPLIT", "TRANSPOSE", "MEAN", "SUM", "PAD"), (0, 1)),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"), (0, 1, 2)),
    **dict.fromkeys(("FULLY_CONNECTED", "RESHAPE", "RESIZE_BILINEAR", "REDUCE_MAX", "REDUCE_MIN"), (0, 1)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "SOFTMAX", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), (0,)),
    "SLICE": (0, 1, 2),
    "STRIDED_SLICE": (0, 1, 2, 3),
}
# Operators that count on their inputs without counting them.
_UNCOUNTED = {"SLICE": 3, "STRIDED_SLICE": 4, "BATCH_MATMUL": 2}


def failures_after_taking(
    operator: Operator,
    placement: Placement,
    shape_of: Callable[[Tensor], list[int] | None] | None = None,
    kind: str | None = None,
) -> list[Failure]:
    """How a node fails because it is offered to the delegate, in the order in which it would be noticed.

    Kills come from the offer itself, so they are reported whether or not the node is taken; the rest only of nodes
    that are.

    Args:
        operator: the node.
        placement: of its subgraph.
        shape_of: the shape of a tensor as known when tensors are allocated, None where it is not; without it, as
            stored.
        kind: what `kind_of` says, if it was asked already.

    Raises:
        SurgeonError: a constant lies in a file that was closed.
    """
    kind = kind or kind_of(operator)
    claim = CLAIMS.get(kind)
    if claim is None:
        return []
    node = Candidate(operator, kind, claim.options, placement.statics, shape_of)
    if not node.sound:
        return []
    found = list(_kills(node, claim, placement))
    if placement.takes(operator) and not (kind in UNPACKING and placement.unpacks(operator)):
        found += _refusals(node, claim, placement)
    return found


def refuses_bias_form(operator: Operator, bias_scales: int, weights_scales: int) -> bool:
    """Whether a node it took fails to allocate because bias and weights differ in being per tensor or per channel.

    Source: xnn_define_convolution_2d and its kin; int8 fully connected layers take both, uint8 ones no bias per
    channel.
    """
    if operator.name == "FULLY_CONNECTED":
        weights = operator.role("weights")
        return bias_scales > 1 and weights is not None and weights.type_name == "UINT8"
    return (bias_scales > 1) != (weights_scales > 1)


# What kills the process: the delegate judges nodes with nowhere to complain to, and complains nevertheless


def _kills(node: Candidate, claim: Claim, placement: Placement) -> Iterator[Failure]:
    unasked = _READ_UNASKED.get(node.kind, ())
    if len(node.inputs) < _UNCOUNTED.get(node.kind, 0) or (
        None in node.inputs and any(node.input(n) is None for n in unasked[: len(node.inputs)])
    ):
        yield Failure("", None)
    elif node.kind == "SPLIT" and node.option("num_splits") != len(node.outputs):
        yield Failure("", True)
    elif node.kind == "TRANSPOSE_CONV" and 0 in (node.option("stride_h"), node.option("stride_w")):
        if placement.takes(node.operator):
            yield Failure("", True)
    elif node.kind == "CUSTOM odml.scaled_dot_product_attention":
        options = node.operator.custom_options or node.operator.large_custom_options
        if not options and placement.takes(node.operator):
            yield Failure("", True)
    elif node.kind in ("QUANTIZE", "BATCH_MATMUL") and replace(claim, also=claim.also[:-1]).covers(node):
        # The last condition compares types, and says so where one of them is none.
        compared = node.inputs[:2] if node.kind == "BATCH_MATMUL" else [node.required(0), node.output]
        if any(tensor.type_name in EIGHT_BITS and datatype(tensor) is None for tensor in compared):
            yield Failure("", True)


# What is said of a node that was taken


def _refusals(node: Candidate, claim: Claim, placement: Placement) -> Iterator[Failure]:
    values = [
        tensor
        for n, tensor in enumerate(node.inputs[: len(claim.forms)])
        if n not in claim.plain and tensor is not None and tensor.type_name != "RESOURCE"
    ]
    for tensor in (*values, *node.outputs):
        if not placement.is_typed(tensor):
            yield _untyped(tensor, placement.tensor_numbers.get(id(tensor), -1))
    is_hybrid = _is_hybrid(node)
    if is_hybrid and len(node.required(0).shape or ()) in _UNFIT_FOR_INTEGERS[node.kind]:
        # The inputs, made integers at run time.
        why = "inputs of this rank cannot be made integers at run time, as the integer weights need"
        yield Failure(UNMADE, False, "xnnpack-shape", why, node.required(0))
    if is_hybrid and scale_and_zero_point(node.required(1))[1] != 0 and node.required(1).type_name == "INT8":
        point = scale_and_zero_point(node.required(1))[1]
        why = f"weights beside float inputs have the zero point {point}, the delegate takes 0"
        yield Failure(f"{FILTER} {_named(node, placement)}", False, "xnnpack-zero-point", why, node.required(1))
    bias = node.input(_LAYERS[node.kind][2]) if node.kind in _LAYERS else None
    too_deep = False
    for tensor in (*values, *node.outputs):
        if len(tensor.shape or ()) > MOST_DIMENSIONS and tensor is not bias:
            too_deep = True
    if too_deep or not _is_definable(node):
        binary = _BINARY_NUMBERS.get(node.kind)
        said = f"{DEFINITION} {_named(node, placement)}" + (
            f" (binary_op_type={binary}, status=2)" if binary is not None else ""
        )
        limit = f"a tensor has more than {MOST_DIMENSIONS} dimensions"
        why = limit if too_deep else "types, scales or zero points do not suit each other"
        yield Failure(said, False, "xnnpack-definition", f"the delegate cannot define the node: {why}")
    if not _is_creatable(node):
        yield Failure(CREATION, False, "xnnpack-requantization", _why_uncreated(node))
    for tensor in node.outputs:
        if is_constant(tensor):
            yield _constant_output(tensor, placement)
        elif count(tensor) >= _UNFIT_FOR_MEMORY and not placement.is_read_outside(tensor):
            # Memory within the delegate grows with the shapes computed, and is never less than the file says.
            why = f"the stored shape {tensor.shape} of a tensor within the delegate asks for more memory than there is"
            yield Failure(RESHAPING, False, "xnnpack-shape", why, tensor)
    if not shapes.agree(node):
        stored = [node.shape(tensor) for tensor in node.inputs if tensor is not None]
        why = f"the shapes of the inputs do not suit each other or the options: {', '.join(map(str, stored))}"
        yield Failure(RESHAPING, False, "xnnpack-shape", why)


def _named(node: Candidate, placement: Placement) -> str:
    """The node as the runtime calls it."""
    name = _MISNAMED.get(node.kind, node.kind.split()[-1])
    return f"{name} node #{placement.node_numbers.get(id(node.operator), -1)}"


def _constant_output(tensor: Tensor, placement: Placement) -> Failure:
    """Outside its own nodes the delegate notices; within, it writes into the file's memory."""
    if placement.is_read_outside(tensor):
        return Failure(OUTPUT, False, "xnnpack-output", "the delegate is to write into a constant", tensor)
    return Failure("", True, "constant-output", "the delegate writes into a constant, and the process dies", tensor)


def _why_uncreated(node: Candidate) -> str:
    if node.kind in _CREATED_BY_TYPE:
        return f"the input is {node.required(0).type_name} and the output {node.output.type_name}"
    return f"input scale x weights scale / output scale is {_REQUANTISED_BELOW:g} or more"


def _untyped(tensor: Tensor, number: int) -> Failure:
    """A tensor that XNNPACK has no type for, and why."""
    type_name = tensor.type_name
    rule, said, why = "xnnpack-definition", "", f"there is no type for {type_name}"
    if type_name in INTEGERS:
        subject = f"{type_name} tensor {number} in XNNPACK delegate"
        rule, said, why = _unquantised(tensor, type_name, subject)
    text = (
        f"{said}unsupported datatype ({type_name}) of tensor {number} in XNNPACK "
        f"delegatefailed to create XNNPACK Value for tensor {number}"
    )
    return Failure(text, False, rule, f"tensor {number}: {why}", tensor)


def _unquantised(tensor: Tensor, type_name: str, subject: str) -> tuple[str, str, str]:
    """Why XNNPACK has no type for integers as they are quantised: the rule, what it says, what is meant."""
    found, blocks = affine(tensor), blockwise(tensor)
    bad = bad_block(tensor) if blocks is not None and type_name == "INT4" else None
    if bad is not None:
        said = f"unsupported scale value ({bad[1]:f}) in channel {bad[0]} for {subject}"
        return (
            "xnnpack-scale",
            said,
            f"the scale of block {bad[0]} is {bad[1]:.9g}, the delegate takes positive numbers",
        )
    if blocks is not None and type_name == "INT4":
        elements, scales = count(tensor), block_scales(blocks)
        said = (
            f"Unsupported combination of filter elements {elements} number of scales {scales} and blocksize "
            f"{blocks.block_size} for {tensor.name} tensor {subject.split()[2]} in XNNPACK delegate"
        )
        why = f"{elements} elements and {scales} scales make no blocks of {blocks.block_size}"
        return "xnnpack-quantization", said, why
    if found is None:
        said = f"unsupported quantization type {2 if blocks is not None else 0} for {subject}"
        scheme = "in blocks" if blocks is not None else "not at all"
        return "xnnpack-quantization", said, f"{type_name} is quantised {scheme}, the delegate needs scales"
    for channel, scale in enumerate(found.scales):
        if not is_usable_scale(scale):
            said = f"unsupported scale value ({scale:f}) in channel {channel} for {subject}"
            return "xnnpack-scale", said, f"scale {channel} is {scale:.9g}, the delegate takes positive normal numbers"
    several = len(found.scales)
    if several > 1 and type_name == "UINT8":
        said = f"unsupported number ({several}) of scale quantization parameters for {subject}"
        return "xnnpack-quantization", said, f"UINT8 has {several} scales, the delegate takes one"
    if several == 1 and type_name != "INT32":
        point, (low, high) = found.zero_points[0], INTEGERS[type_name]
        said = f"unsupported zero-point value ({point}) for {subject}"
        return "xnnpack-zero-point", said, f"the zero point is {point}, {type_name} holds {low} to {high}"
    for channel, point in enumerate(found.zero_points):
        if point != 0:
            said = f"unsupported zero-point value ({point}) in channel {channel} of {subject}"
            return "xnnpack-zero-point", said, f"the zero point of channel {channel} is {point}, the delegate takes 0"
    length = ((tensor.shape or [])[found.dimension : found.dimension + 1] or [0])[0]
    said = f"mismatching number of quantization parameters {several} and outer dimension [{length}] for {subject}"
    return "xnnpack-quantization", said, f"there are {several} scales for a dimension of length {length}"


def _is_hybrid(node: Candidate) -> bool:
    """Integer weights beside floats."""
    if node.kind not in _UNFIT_FOR_INTEGERS or node.required(0).type_name not in FLOATS:
        return False
    return node.required(1).type_name in NARROW_INTEGERS


def _is_definable(node: Candidate) -> bool:
    """Whether XNNPACK takes the node's types and quantisation."""
    if node.kind in _LAYERS:
        return _is_definable_layer(node)
    source = node.inputs[1] if node.kind == "SPLIT" else node.inputs[0]
    compared = [source]
    if node.kind in _BINARY_NUMBERS or node.kind == "CONCATENATION":
        compared = node.inputs
    types = {tensor.type_name for tensor in (*compared, *node.outputs)}
    if node.kind in _DEFINED_BY_TYPE and len(types) > 1:
        return False
    if node.kind == "BATCH_MATMUL":
        return "UINT8" not in types
    if node.kind == "TRANSPOSE" and not shapes.is_permutation(node):
        return False
    if node.kind in _SAME_QUANTISATION and node.output.type_name in EIGHT_BITS:
        wanted = [(tensor.type, *scale_and_zero_point(tensor)) for tensor in (*compared, *node.outputs)]
        return wanted.count(wanted[0]) == len(wanted)
    return True


def _is_definable_layer(node: Candidate) -> bool:
    value, weights, bias = map(node.input, _LAYERS[node.kind])
    if value is None or weights is None:
        return True
    if node.kind == "TRANSPOSE_CONV":
        mixed = (value.type_name, weights.type_name) in (("FLOAT32", "INT8"), ("FLOAT32", "FLOAT16"))
        if value.type != node.output.type or not (value.type == weights.type or mixed):
            return False
    elif has_offset(weights) and weights.type_name in (
        ("INT4",) if node.kind == "FULLY_CONNECTED" or value.type_name != "INT8" else INTEGERS
    ):
        return False
    if node.kind == "CONV_2D" and not shapes.has_whole_groups(node):
        return False
    if bias is None:
        return True
    of_bias, of_weights = node.statics.stored_type(bias), node.statics.stored_type(weights)
    if value.type_name in FLOATS:
        return of_bias == "FLOAT32" or (of_bias == of_weights == "FLOAT16" and node.kind != "TRANSPOSE_CONV")
    return of_bias == "INT32" and not refuses_bias_form(node.operator, len(scales_of(bias)), len(scales_of(weights)))


def _is_creatable(node: Candidate) -> bool:
    """Whether XNNPACK has a kernel for the node's types and scales."""
    if node.kind in _CREATED_BY_TYPE:
        return node.required(0).type == node.output.type
    if node.kind not in _LAYERS or node.output.type_name not in EIGHT_BITS:
        return True
    value, weights = (node.required(position) for position in _LAYERS[node.kind][:2])
    factors = scales_of(weights)
    scale, result = scale_and_zero_point(value)[0], scale_and_zero_point(node.output)[0]
    if factors and is_usable_scale(scale) and is_usable_scale(result) and are_usable_scales(factors):
        # Where the largest is small enough, so are all others.
        return ratio(float32(scale * max(factors)), result) < _REQUANTISED_BELOW
    return all(
        ratio(float32(scale * factor), result) < _REQUANTISED_BELOW for factor in factors if is_usable_scale(factor)
    )
