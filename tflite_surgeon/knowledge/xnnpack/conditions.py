"""What the delegate asks of a node beyond the columns of the table: relations between tensors, values of constants.

Source: xnnpack_delegate.cc, the VisitXNode functions; XNNPACK for the limits of ratios of scales.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tflite_surgeon.knowledge.xnnpack.candidate import Candidate
from tflite_surgeon.knowledge.xnnpack.tensors import (
    EIGHT_BITS,
    FLOATS,
    MOST_DIMENSIONS,
    Form,
    Scheme,
    affine,
    count,
    datatype,
    integers,
    ratio,
    scale_and_zero_point,
    suits,
)
from tflite_surgeon.quantization import float32, is_usable_scale

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Tensor

PADDING_SAME, PADDING_VALID = 0, 1
NARROW_INTEGERS = frozenset({"INT8", "INT4", "INT2"})
_SHUFFLED_VERSION = 8
_ADDED_RATIOS = (1 / 1024, 256.0)
_MULTIPLIED_RATIOS = (1 / 65536, 256.0)
_CONVERTED_RATIOS = (1 / 256, 128.0)
_LEAST_NEGATIVE_RATIO = -127.99609375
# Elements of weights that share a byte lie in one row.
_ROW_MULTIPLE = {"INT4": 2, "INT2": 4}
_FLOATS: Form = dict.fromkeys(FLOATS, Scheme.ANY)
_RIGHT_FACTOR: Form = {**_FLOATS, "INT8": Scheme.FILTER, "UINT8": Scheme.FILTER_OF_ONE_SCALE}


def _scale(tensor: Tensor) -> float:
    return scale_and_zero_point(tensor)[0]


def _same_quantisation(first: Tensor, second: Tensor) -> bool:
    return scale_and_zero_point(first) == scale_and_zero_point(second)


# Elementwise


def ratios_of_terms(node: Candidate) -> bool:
    """Of 8-bit tensors, each input's scale is within limits of the output's."""
    if node.output.type_name not in EIGHT_BITS:
        return True
    low, high = _ADDED_RATIOS
    scales = (ratio(_scale(tensor), _scale(node.output)) for tensor in node.inputs)
    return not any(value < low or value >= high for value in scales)


def ratio_of_product(node: Candidate) -> bool:
    """Of 8-bit tensors, the product of the inputs' scales is within limits of the output's."""
    if node.output.type_name not in EIGHT_BITS:
        return True
    low, high = _MULTIPLIED_RATIOS
    first, second = map(_scale, node.inputs)
    value = ratio(float32(first * second), _scale(node.output))
    return not (value < low or value >= high)


def slope(node: Candidate) -> bool:
    """A slope that is a normal number, and of 8-bit tensors keeps both halves within limits."""
    alpha = float32(node.option("alpha"))
    if not is_usable_scale(abs(alpha)):
        return False
    source, result = node.required(0), node.output
    if source.type_name not in EIGHT_BITS or result.type_name not in EIGHT_BITS:
        return True
    if not (is_usable_scale(abs(_scale(source))) and is_usable_scale(abs(_scale(result)))):
        return True
    low, high = _CONVERTED_RATIOS
    positive = ratio(_scale(source), _scale(result))
    negative = float32(positive * alpha)
    return low <= positive <= high and _LEAST_NEGATIVE_RATIO <= negative <= high and abs(negative) >= low


def conversion(node: Candidate) -> bool:
    """From floats, or within one 8-bit type by a factor within limits."""
    source, result = node.required(0), node.output
    if source.type_name in FLOATS:
        return True
    first = datatype(source)
    if first is None or first != datatype(result):
        return False
    low, high = _CONVERTED_RATIOS
    return low <= ratio(_scale(source), _scale(result)) <= high


def unit_beta(node: Candidate) -> bool:
    """No scaling of the exponents."""
    return float32(node.option("beta")) == 1.0


# Layers with weights


def window(node: Candidate) -> bool:
    """A pooling window no smaller than its stride."""
    strides = node.option("stride_w"), node.option("stride_h")
    sizes = node.option("filter_width"), node.option("filter_height")
    return bool(strides[0] <= sizes[0] and strides[1] <= sizes[1])


def types_of_bias(node: Candidate) -> bool:
    """Beside float weights a bias of their type, or float32 beside float16, as the delegate keeps them."""
    weights, bias = node.required(1), node.required(2)
    of_weights, of_bias = node.statics.stored_type(weights), node.statics.stored_type(bias)
    return of_weights not in FLOATS or of_bias == of_weights or (of_weights, of_bias) == ("FLOAT16", "FLOAT32")


def types_of_convolution(node: Candidate) -> bool:
    """One type for input and output, and for weights; 8-bit weights serve float32 inputs too, but not depthwise."""
    source, weights = node.required(0).type_name, node.required(1).type_name
    hybrid = node.kind == "CONV_2D" and source == "FLOAT32" and weights == "INT8"
    return source == node.output.type_name and (source == weights or hybrid)


def has_groups(node: Candidate) -> bool:
    """Inputs with at least as many channels as the weights have."""
    source, weights = node.required(0).shape or [], node.required(1).shape or []
    return source[3] >= weights[3]


def divides_channels(node: Candidate) -> bool:
    """As many channels of weights for each channel of the input."""
    return (node.required(1).shape or [0])[-1] % int(node.option("depth_multiplier")) == 0


def matrix(node: Candidate) -> bool:
    """A fully connected layer: the layout, the types, the length of the bias."""
    source, weights, bias = node.required(0), node.required(1), node.input(2)
    channels, depth = weights.shape or (0, 0)
    types = source.type_name, weights.type_name
    mixed = types[1] in NARROW_INTEGERS and (types[0] in FLOATS or types[0] == "INT8")
    if source.type != node.output.type or not (types[0] == types[1] or mixed):
        return False
    if getattr(node.operator.opcode, "version", 1) == _SHUFFLED_VERSION:
        return False
    if types == ("INT8", "INT8") and scale_and_zero_point(weights)[1] != 0:
        return False
    if depth % _ROW_MULTIPLE.get(types[1], 1) != 0:
        return False
    return bias is None or (count(bias) == channels and types_of_bias(node))


def right_factor(node: Candidate) -> bool:
    """A matrix on the right that is quantised as weights are, its channels along the columns."""
    rank = len(node.required(1).shape or ())
    return suits(node.required(1), _RIGHT_FACTOR, rank - 2 if node.option("adj_y") else rank - 1)


def product(node: Candidate) -> bool:
    """A product of matrices: of one type, or of float32 with 8-bit integers; integers on the right have no offset."""
    left, right = node.required(0), node.required(1)
    if len(left.shape or ()) < 2 or len(right.shape or ()) < 2:
        return False
    if left.type_name == "FLOAT32" and right.type_name == "INT8":
        return True
    found = affine(right)
    offset = right.type_name == "INT8" and found is not None and found.zero_points[0] != 0
    return not offset and datatype(left) == datatype(right)


def geometry_of_transposed(node: Candidate) -> bool:
    """A transposed convolution: channels agree, and padding can be told from the shape of the output."""
    shape, weights, source = node.required(0), node.required(1), node.required(2)
    target, kernel, image = integers(shape), weights.shape or [], source.shape or []
    if shape.shape != [4] or len(target) < 4 or kernel[0] != target[3] or kernel[3] != image[3]:
        return False
    strides = node.option("stride_h"), node.option("stride_w")
    return fits(int(node.option("padding")) == PADDING_SAME, strides, image, kernel, target)


def fits(same: bool, strides: tuple[int, int], image: list[int], kernel: list[int], target: list[int]) -> bool:
    """Whether padding can be computed along height and width."""
    for axis, stride in zip((1, 2), strides):
        if not same:
            if kernel[axis] > target[axis]:
                return False
        elif not 0 < stride <= kernel[axis] or -(-target[axis] // stride) != image[axis]:
            return False
    return True


# Shapes


def joins(node: Candidate) -> bool:
    """An axis that every input has; uint8 inputs are in the output's scale and zero point."""
    axis = node.option("axis")
    if not all(axis < len(tensor.shape or ()) for tensor in node.inputs):
        return False
    return node.output.type_name != "UINT8" or all(_same_quantisation(node.output, tensor) for tensor in node.inputs)


def axes(node: Candidate) -> bool:
    """One to six axes, in a vector; a scalar input is not reduced along 0."""
    tensor, number = node.required(1), count(node.required(1))
    if len(tensor.shape or ()) > 1 or not 0 < number <= MOST_DIMENSIONS:
        return False
    return bool(node.required(0).shape) or integers(tensor)[:1] != [0] or number > 1


def paddings(node: Candidate) -> bool:
    """Two numbers for each dimension, none negative."""
    tensor = node.required(1)
    return tensor.shape == [len(node.required(0).shape or ()), 2] and min(integers(tensor), default=0) >= 0


def new_shape(node: Candidate) -> bool:
    """A shape given in one row and not the old way of writing a scalar; 8-bit values keep their quantisation."""
    source, result, tensor = node.required(0), node.output, node.input(1)
    if result.type_name in EIGHT_BITS and not _same_quantisation(source, result):
        return False
    if tensor is None:
        given = list(node.option("new_shape") or ())
    else:
        if any(size != 1 for size in (tensor.shape or [])[:-1]):
            return False
        given = integers(tensor)[: count(tensor)]
    return given not in ([0], [-1])


def new_size(node: Candidate) -> bool:
    """Two numbers in a vector, the first above 0."""
    tensor = node.required(1)
    return tensor.shape == [2] and integers(tensor)[:1] > [0]


def piece(node: Candidate) -> bool:
    """Starts and sizes in vectors of one length: none negative, no size 0 or left open."""
    begin, size = node.required(1), node.required(2)
    if len(begin.shape or ()) != 1 or begin.shape != size.shape or count(begin) > MOST_DIMENSIONS:
        return False
    return min(integers(begin), default=0) >= 0 and min(integers(size), default=1) > 0


def whole_steps(node: Candidate) -> bool:
    """Starts, ends and steps in vectors, one for each dimension, all steps 1."""
    rank = len(node.required(0).shape or ())
    return all(tensor.shape == [rank] for tensor in node.inputs[1:4]) and set(integers(node.required(3))) <= {1}


def blocks(node: Candidate) -> bool:
    """Blocks of more than one element."""
    return bool(node.option("block_size") > 1)


def whole_blocks(node: Candidate) -> bool:
    """Blocks that divide height and width; a dimension that is not there counts as 0 (it is read past the end)."""
    shape, size = node.required(0).shape or [], node.option("block_size")
    return blocks(node) and not any(length % size for length in shape[1:3])


def parts(node: Candidate) -> bool:
    """As many outputs as the options say."""
    return bool(node.option("num_splits") == len(node.outputs))


def permutation(node: Candidate) -> bool:
    """An order of few enough dimensions; its values are not looked at."""
    return count(node.required(1)) <= MOST_DIMENSIONS


def variable(node: Candidate) -> bool:
    """A value that is no scalar."""
    return bool(node.output.shape)
