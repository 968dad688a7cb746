"""The table: for each operator, which of its nodes the delegate takes.

Source: xnnpack_delegate.cc, one VisitXNode function an operator, which judges the node alone; what is missing here,
such as EXPAND_DIMS, LOG_SOFTMAX, PADV2 or CAST, is never taken. Confirmed variant by variant with ai-edge-litert 2.3.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from tflite_surgeon.knowledge.xnnpack import conditions as also
from tflite_surgeon.knowledge.xnnpack import custom
from tflite_surgeon.knowledge.xnnpack.candidate import Candidate
from tflite_surgeon.knowledge.xnnpack.tensors import (
    ANY_RANK,
    MOST_DIMENSIONS,
    Form,
    Scheme,
    has_rank,
    is_constant,
    suits,
)

Ranks = tuple[int, int]


@dataclass(frozen=True)
class Claim:
    """What a node must be to be taken.

    Attributes:
        inputs, outputs: least and most of them.
        forms: by position of the input, its types and their quantisation; None, or no entry, where nobody looks.
        output: the same for every output.
        optional: positions at which no tensor need be given.
        constant: positions of inputs whose values the file holds, be they packed; `plain` where packed ones will
            not do.
        ranks: by position, least and most dimensions, none of them empty; `output_ranks` those of the first output.
        axis: dimension of the output channels in weights.
        one_type: whether all inputs are of the output's type.
        options: the table of the operator's options; one that is missing from a file counts as zeros.
        positive: options that must be above 0; `zero` those that must be 0.
        has_padding: the padding must be SAME or VALID.
        has_activation: the activation must be one that clamps; a value unknown to the schema counts as none.
        also: further conditions.
    """

    inputs: tuple[int, int]
    forms: tuple[Form | None, ...] = ()
    output: Form | None = None
    outputs: tuple[int, int] = (1, 1)
    optional: frozenset[int] = frozenset()
    constant: tuple[int, ...] = ()
    plain: tuple[int, ...] = ()
    ranks: Mapping[int, Ranks] = field(default_factory=dict)
    output_ranks: Ranks | None = None
    axis: int = 0
    one_type: bool = False
    options: str | None = None
    positive: tuple[str, ...] = ()
    zero: tuple[str, ...] = ()
    has_padding: bool = False
    has_activation: bool = False
    also: tuple[Callable[[Candidate], bool], ...] = ()

    def covers(self, node: Candidate) -> bool:
        """Whether a node is one of those that are taken.

        Raises:
            SurgeonError: a constant lies in a file that was closed.
        """
        return (
            self.inputs[0] <= len(node.inputs) <= self.inputs[1]
            and self.outputs[0] <= len(node.outputs) <= self.outputs[1]
            and node.sound
            and None not in node.outputs
            and self._takes_options(node)
            and self._takes_tensors(node)
            and self._takes_relations(node)
        )

    # Loops, not generators: they are asked of every node.

    def _takes_relations(self, node: Candidate) -> bool:
        for condition in self.also:  # noqa: SIM110
            if not condition(node):
                return False
        return True

    def _takes_options(self, node: Candidate) -> bool:
        for name in self.positive:
            if not node.option(name) > 0:
                return False
        for name in self.zero:
            if node.option(name):
                return False
        return (not self.has_padding or (node.has_options and node.option("padding") in _PADDINGS)) and (
            not self.has_activation or node.option("fused_activation_function") not in _REFUSED_ACTIVATIONS
        )

    def _takes_tensors(self, node: Candidate) -> bool:
        for tensor, column in zip(node.inputs, self._columns):
            if tensor is None:
                if column.optional:
                    continue
                return False
            if column.form is not None and not suits(tensor, column.form, self.axis):
                return False
            if column.ranks is not None and not has_rank(tensor, column.ranks):
                return False
            if column.constant and not node.statics.has(tensor):
                return False
            if column.plain and not is_constant(tensor):
                return False
        if self.one_type and any(tensor.type != node.output.type for tensor in node.inputs):
            return False
        if self.output_ranks is not None and not has_rank(node.output, self.output_ranks):
            return False
        if self.output is not None:
            for tensor in node.outputs:
                if not suits(tensor, self.output):
                    return False
        return True

    @cached_property
    def _columns(self) -> tuple[_Column, ...]:
        """What is asked of the input at each position."""
        return tuple(
            _Column(
                self.forms[position] if position < len(self.forms) else None,
                self.ranks.get(position),
                position in self.optional,
                position in self.constant,
                position in self.plain,
            )
            for position in range(max(len(self.forms), self.inputs[0]))
        )


class _Column(NamedTuple):
    """What is asked of the input at one position; see Claim."""

    form: Form | None
    ranks: Ranks | None
    optional: bool
    constant: bool
    plain: bool


_PADDINGS = (also.PADDING_SAME, also.PADDING_VALID)
# ActivationFunctionType TANH and SIGN_BIT.
_REFUSED_ACTIVATIONS = (4, 5)
# Where nobody counts.
_MANY = 1 << 31

_FLOAT32: Form = {"FLOAT32": Scheme.ANY}
_FLOAT: Form = {**_FLOAT32, "FLOAT16": Scheme.ANY}
_INT8: Form = {"INT8": Scheme.ONE_SCALE}
_8BIT: Form = {**_INT8, "UINT8": Scheme.ONE_SCALE}
_VALUE: Form = {**_FLOAT, **_8BIT}
_FULL_VALUE: Form = {**_FLOAT32, **_8BIT}
_FILTER: Form = {**_FLOAT, "INT8": Scheme.FILTER, "UINT8": Scheme.FILTER_OF_ONE_SCALE}
_MATRIX: Form = {
    **_FLOAT,
    "INT8": Scheme.MATRIX,
    "INT4": Scheme.MATRIX,
    "INT2": Scheme.MATRIX_BY_CHANNEL,
    "UINT8": Scheme.ONE_SCALE,
}
_BIAS: Form = {**_FLOAT, "INT32": Scheme.BIAS}
_INT32: Form = {"INT32": Scheme.ANY}
_INDEX: Form = {**_INT32, "INT64": Scheme.ANY}

_AT_LEAST_ONE: Ranks = (1, MOST_DIMENSIONS)
_ONE, _TWO, _FOUR = (1, 1), (2, 2), (4, 4)

FLOAT_UNARY = [
    "ABS",
    "CEIL",
    "COS",
    "EXP",
    "FLOOR",
    "GELU",
    "HARD_SWISH",
    "LOG",
    "NEG",
    "RELU",
    "RELU_N1_TO_1",
    "RELU6",
    "ROUND",
    "RSQRT",
    "SIN",
    "SQRT",
    "SQUARE",
]
_UNARY = Claim((1, 1), (_FLOAT,), _FLOAT, ranks={0: ANY_RANK})
_UNARY_VALUE = replace(_UNARY, forms=(_VALUE,), output=_VALUE)
_BINARY = Claim((2, 2), (_FLOAT, _FLOAT), _FLOAT, ranks={0: ANY_RANK, 1: ANY_RANK})
_BINARY_VALUE = replace(_BINARY, forms=(_VALUE, _VALUE), output=_VALUE, one_type=True, has_activation=True)
_POOL = Claim(
    (1, 1),
    (_FLOAT,),
    _FLOAT,
    options="Pool2DOptions",
    positive=("stride_w", "stride_h", "filter_width", "filter_height"),
    has_padding=True,
    has_activation=True,
    also=(also.window,),
)
_CONVOLUTION = Claim(
    (3, 3),
    (_VALUE, _FILTER, _BIAS),
    _VALUE,
    constant=(1, 2),
    ranks={0: _FOUR, 1: _FOUR, 2: _ONE},
    output_ranks=_FOUR,
    options="Conv2DOptions",
    positive=("stride_w", "stride_h", "dilation_w_factor", "dilation_h_factor"),
    has_padding=True,
    has_activation=True,
    also=(also.types_of_convolution, also.types_of_bias, also.has_groups),
)
_REDUCTION = Claim((2, 2), (_VALUE, _INT32), _VALUE, plain=(1,), also=(also.axes,))
_ATTENTION = Claim((3, _MANY), (_FLOAT32,) * 4, _FLOAT32, outputs=(1, _MANY), also=(custom.attention,))
_CUSTOM_POOL = Claim((1, 1), (_FLOAT32,), outputs=(2, 2), ranks={0: _FOUR}, also=(custom.pooling,))

CLAIMS: dict[str, Claim] = {
    **dict.fromkeys(FLOAT_UNARY, _UNARY),
    "DEQUANTIZE": replace(_UNARY, forms=(_8BIT,)),
    "ELU": replace(_UNARY, forms=({**_FLOAT, **_INT8},), output={**_FLOAT, **_INT8}),
    "LOGISTIC": _UNARY_VALUE,
    "TANH": _UNARY_VALUE,
    "LEAKY_RELU": replace(_UNARY_VALUE, options="LeakyReluOptions", also=(also.slope,)),
    "QUANTIZE": replace(_UNARY_VALUE, also=(also.conversion,)),
    "SOFTMAX": Claim((1, 1), (_FLOAT,), _FLOAT, options="SoftmaxOptions", also=(also.unit_beta,)),
    "ADD": replace(_BINARY_VALUE, options="AddOptions", also=(also.ratios_of_terms,)),
    "SUB": replace(_BINARY_VALUE, options="SubOptions", also=(also.ratios_of_terms,)),
    "MUL": replace(_BINARY_VALUE, options="MulOptions", also=(also.ratio_of_product,)),
    "DIV": replace(_BINARY, options="DivOptions", has_activation=True),
    "MAXIMUM": _BINARY,
    "MINIMUM": _BINARY,
    "SQUARED_DIFFERENCE": _BINARY,
    "PRELU": replace(_BINARY, constant=(1,)),
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": replace(_POOL, forms=(_FULL_VALUE,), output=_VALUE),
    "BATCH_MATMUL": Claim(
        (2, _MANY),
        (_VALUE, None),
        _VALUE,
        outputs=(1, _MANY),
        options="BatchMatMulOptions",
        also=(also.right_factor, also.product),
    ),
    "CONCATENATION": Claim((2, 5), (_VALUE,) * 5, _VALUE, options="ConcatenationOptions", also=(also.joins,)),
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": replace(
        _CONVOLUTION,
        axis=3,
        options="DepthwiseConv2DOptions",
        positive=(*_CONVOLUTION.positive, "depth_multiplier"),
        also=(also.types_of_convolution, also.types_of_bias, also.divides_channels),
    ),
    "FULLY_CONNECTED": Claim(
        (2, 3),
        (_VALUE, _MATRIX, _BIAS),
        _VALUE,
        optional=frozenset({2}),
        constant=(1, 2),
        ranks={1: _TWO},
        options="FullyConnectedOptions",
        zero=("weights_format",),
        has_activation=True,
        also=(also.matrix,),
    ),
    "TRANSPOSE_CONV": Claim(
        (3, 4),
        (_INT32, _FILTER, _FULL_VALUE, _BIAS),
        _FULL_VALUE,
        optional=frozenset({3}),
        constant=(1, 3),
        plain=(0,),
        ranks={1: _FOUR, 2: _FOUR, 3: _ONE},
        output_ranks=_FOUR,
        options="TransposeConvOptions",
        has_padding=True,
        has_activation=True,
        also=(also.geometry_of_transposed,),
    ),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _REDUCTION),
    "PAD": Claim(
        (2, 2),
        (_VALUE, _INT32),
        _VALUE,
        plain=(1,),
        ranks={0: _AT_LEAST_ONE},
        output_ranks=_AT_LEAST_ONE,
        also=(also.paddings,),
    ),
    "RESHAPE": Claim(
        (1, 2),
        (_VALUE, _INT32),
        _VALUE,
        plain=(1,),
        ranks={0: ANY_RANK},
        output_ranks=ANY_RANK,
        options="ReshapeOptions",
        also=(also.new_shape,),
    ),
    "RESIZE_BILINEAR": Claim(
        (2, 2),
        (_FULL_VALUE, _INT32),
        _VALUE,
        plain=(1,),
        ranks={0: _FOUR},
        output_ranks=_FOUR,
        also=(also.new_size,),
    ),
    "SLICE": Claim((3, _MANY), (_VALUE, _INDEX, _INDEX), _VALUE, outputs=(1, _MANY), plain=(1, 2), also=(also.piece,)),
    "STRIDED_SLICE": Claim(
        (4, _MANY),
        (_VALUE, _INT32, _INT32, _INT32),
        _VALUE,
        outputs=(1, _MANY),
        plain=(1, 2, 3),
        options="StridedSliceOptions",
        zero=("ellipsis_mask", "new_axis_mask", "shrink_axis_mask"),
        also=(also.whole_steps,),
    ),
    "SPACE_TO_DEPTH": Claim((1, 1), (_FULL_VALUE,), _VALUE, options="SpaceToDepthOptions", also=(also.whole_blocks,)),
    "DEPTH_TO_SPACE": Claim((1, 1), (_VALUE,), _VALUE, options="DepthToSpaceOptions", also=(also.blocks,)),
    "SPLIT": Claim(
        (2, 2), (_INT32, _VALUE), _VALUE, outputs=(2, 4), plain=(0,), options="SplitOptions", also=(also.parts,)
    ),
    "TRANSPOSE": Claim((2, 2), (_VALUE,), plain=(1,), ranks={0: _AT_LEAST_ONE}, also=(also.permutation,)),
    # Of variables, whose resource the walk follows.
    "READ_VARIABLE": Claim((1, _MANY), output=_VALUE, outputs=(1, _MANY), also=(also.variable,)),
    "ASSIGN_VARIABLE": Claim((2, _MANY), (None, _VALUE), outputs=(0, _MANY)),
    # Without a builtin kernel.
    "COMPOSITE odml.scaled_dot_product_attention": _ATTENTION,
    "CUSTOM odml.scaled_dot_product_attention": _ATTENTION,
    "CUSTOM Convolution2DTransposeBias": Claim(
        (3, 3),
        (_FLOAT32,) * 3,
        _FLOAT32,
        constant=(1, 2),
        ranks={0: _FOUR, 1: _FOUR, 2: _ONE},
        output_ranks=_FOUR,
        also=(custom.transposed,),
    ),
    "CUSTOM MaxPoolingWithArgmax2D": _CUSTOM_POOL,
    "CUSTOM MaxUnpooling2D": replace(
        _CUSTOM_POOL, inputs=(2, 2), forms=(_FLOAT32, None), outputs=(1, 1), ranks={0: _FOUR, 1: _FOUR}
    ),
}
