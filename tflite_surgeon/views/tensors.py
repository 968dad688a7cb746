"""What a tensor is: how many bytes it takes, what its integers can stand for, what it is there for.

Nothing here reads a constant's bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from struct import iter_unpack
from typing import Final

from tflite_surgeon.knowledge.operators import ROLES
from tflite_surgeon.model.objects import BadReference, Buffer, Model, Operator, SubGraph, Tensor

# Bits of an element, by type; a type that is not here has no fixed size (STRING, RESOURCE, VARIANT, unknown ones).
# Source: LiteRT core/kernels/kernel_util.cc and util.cc (GetSizeOfType), schema.fbs for the packed types.
ELEMENT_BITS: Final = {
    **dict.fromkeys(("INT2",), 2),
    **dict.fromkeys(("INT4", "UINT4"), 4),
    **dict.fromkeys(("INT8", "UINT8", "BOOL", "FLOAT8_E4M3FN", "FLOAT8_E5M2"), 8),
    **dict.fromkeys(("INT16", "UINT16", "FLOAT16", "BFLOAT16"), 16),
    **dict.fromkeys(("INT32", "UINT32", "FLOAT32"), 32),
    **dict.fromkeys(("INT64", "UINT64", "FLOAT64", "COMPLEX64"), 64),
    "COMPLEX128": 128,
}
# Least and greatest integer of a type.
INTEGER_LIMITS: Final = {
    **{f"INT{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (2, 4, 8, 16, 32, 64)},
    **{f"UINT{bits}": (0, (1 << bits) - 1) for bits in (4, 8, 16, 32, 64)},
}
FLOATS: Final = frozenset(
    {"FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64", "FLOAT8_E4M3FN", "FLOAT8_E5M2", "COMPLEX64", "COMPLEX128"}
)

INPUT: Final = "input"
OUTPUT: Final = "output"
WEIGHTS: Final = "weights"
BIAS: Final = "bias"
CONSTANT: Final = "constant"
VARIABLE: Final = "variable"
ACTIVATION: Final = "activation"
KINDS: Final = (INPUT, OUTPUT, WEIGHTS, BIAS, CONSTANT, VARIABLE, ACTIVATION)

# Inputs that hold what was learned, by position, for operators without named roles.
# Source: the kernels' input constants (LiteRT 2.3 kernels/*.cc).
_WEIGHTS_AT: Final[dict[str, Sequence[int]]] = {
    "BATCH_MATMUL": (0, 1),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 12), 16, *range(18, 29), 33, *range(40, 48)),
    "BIDIRECTIONAL_SEQUENCE_RNN": (1, 2, 5, 6, 10, 11),
    "EMBEDDING_LOOKUP": (1,),
    "EMBEDDING_LOOKUP_SPARSE": (4,),
    "HASHTABLE_LOOKUP": (2,),
    "PRELU": (1,),
    "RNN": (1, 2),
    "STABLEHLO_CONVOLUTION": (1,),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
    "Convolution2DTransposeBias": (1,),
}
_BIAS_AT: Final[dict[str, Sequence[int]]] = {
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*range(12, 16), 17, *range(29, 33), 34),
    "BIDIRECTIONAL_SEQUENCE_RNN": (3, 7),
    "RNN": (3,),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (3,),
    "Convolution2DTransposeBias": (2,),
}
# A table that rows are picked from; of integers it is an ordinary constant, such as the shape of another tensor.
_GATHERED: Final = "GATHER"
# The LSTM of the older kind has its weights and its bias in one tensor each (lstm.cc, kLstmBasicKernel).
_BASIC_LSTM_INPUTS: Final = 5
# What hands on a constant in another form, such as float16 weights to a float32 kernel.
_UNPACKING: Final = frozenset({"DEQUANTIZE", "DENSIFY"})


def dtype(tensor: Tensor) -> str:
    """The element type as numpy and the interpreters' details write it, such as int8; "type 99" for an unknown one."""
    return tensor.type_name.lower()


def bytes_of_shape(tensor: Tensor) -> int | None:
    """Bytes that the tensor takes with its shape as it stands in the file; dimensions that are open count as there.

    Packed integers (4 and 2 bits) count as packed. None for types without a fixed size and negative dimensions.
    """
    bits = ELEMENT_BITS.get(tensor.type_name)
    elements = element_count(tensor)
    return None if bits is None or elements is None else (elements * bits + 7) // 8


def byte_size(tensor: Tensor) -> int | None:
    """Bytes that the tensor always takes; None where that depends: an open dimension (-1), strings, handles."""
    return None if is_dynamic(tensor) else bytes_of_shape(tensor)


def element_count(tensor: Tensor) -> int | None:
    """The product of the dimensions, 1 for a scalar; None where one is negative."""
    shape = tensor.shape
    if not shape:
        return 1
    return None if min(shape) < 0 else prod(shape)


def is_dynamic(tensor: Tensor) -> bool:
    """Whether a dimension is open: -1 in the shape or in the shape signature."""
    return min(tensor.shape or (0,)) < 0 or min(tensor.shape_signature or (0,)) < 0


def stored_size(tensor: Tensor) -> int:
    """Bytes that the file holds for a constant; 0 where it holds none, or another file does."""
    data = tensor.data
    return 0 if data is None else len(data)


def is_constant(tensor: Tensor) -> bool:
    """Whether the values are known from the file, or from one that it names."""
    buffer = tensor.buffer
    if tensor.external_buffer:
        return True
    if not isinstance(buffer, Buffer) or buffer.data is None:
        return False
    return bool(tensor.data) or element_count(tensor) == 0


def is_quantized(tensor: Tensor) -> bool:
    """Whether integers stand for real values: it has a scale, or another scheme."""
    quantization = tensor.quantization
    if quantization is None or tensor.type_name not in INTEGER_LIMITS:
        return False
    return bool(quantization.scale) or quantization.details is not None


def implied_range(tensor: Tensor) -> tuple[float, float] | None:
    """The real values that the type's least and greatest integer stand for, over all scales; None where unquantised.

    real = (integer - zero_point) * scale. Source: TFLite 8-bit quantisation specification.
    """
    ranges = implied_ranges(tensor)
    if not ranges:
        return None
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def implied_ranges(tensor: Tensor) -> list[tuple[float, float]]:
    """`implied_range` of each scale: one, or one for each index of the quantised dimension; none where unquantised."""
    quantization = tensor.quantization
    limits = INTEGER_LIMITS.get(tensor.type_name)
    if quantization is None or limits is None or not quantization.scale:
        return []
    low, high = limits
    pairs = zip(quantization.scale, zero_points(tensor))
    return [((low - zero) * scale, (high - zero) * scale) for scale, zero in pairs]


def zero_points(tensor: Tensor) -> list[int]:
    """One zero point a scale: those of the file; 0 where it has none, the only one for all where it has one."""
    quantization = tensor.quantization
    if quantization is None or not quantization.scale:
        return []
    given = list(quantization.zero_point or ())
    count = len(quantization.scale)
    return given * count if len(given) == 1 else (given + [0] * count)[:count]


def blockwise_scales(tensor: Tensor) -> list[float]:
    """The scales of blockwise quantisation, which lie in another tensor as float16; none where they do not.

    Source: schema.fbs, BlockwiseQuantization.
    """
    details = None if tensor.quantization is None else tensor.quantization.details
    scales = getattr(details, "scales", None)
    if not isinstance(scales, Tensor) or scales.type_name != "FLOAT16":
        return []
    data = bytes(scales.data or b"")
    return [value for (value,) in iter_unpack("<e", data[: len(data) // 2 * 2])]


def channel_axis(tensor: Tensor) -> int | None:
    """The dimension that several scales count along; None where one scale, or none, is for the whole tensor."""
    quantization = tensor.quantization
    if quantization is None or len(quantization.scale or ()) < 2:
        return None
    return quantization.quantized_dimension


class Kinds:
    """What each tensor of a model is there for, found in one walk; for a model that does not change meanwhile."""

    def __init__(self, model: Model) -> None:
        self._kinds: dict[int, str] = {}
        for subgraph in model.subgraphs or ():
            self._walk(subgraph)

    def of(self, tensor: Tensor) -> str:
        """One of KINDS.

        Inputs and outputs of the subgraph come first, then variables; a constant is weights or a bias where an
        operator uses it as such, also through DEQUANTIZE or DENSIFY; what remains is an activation.
        """
        return self._kinds.get(id(tensor), ACTIVATION)

    def of_all(self, keys: Iterable[int]) -> list[str]:
        """`of` many tensors, given by their identities."""
        known = self._kinds
        return [known.get(key, ACTIVATION) for key in keys]

    def _walk(self, subgraph: SubGraph) -> None:
        kinds = self._kinds
        for tensor in subgraph.tensors or ():
            if tensor.is_variable:
                kinds[id(tensor)] = VARIABLE
            elif (getattr(tensor.buffer, "data", None) is not None or tensor.external_buffer) and is_constant(tensor):
                kinds[id(tensor)] = CONSTANT
        codes = {id(operator.opcode): operator for operator in subgraph.operators or ()}
        names = {key: operator.name for key, operator in codes.items()}
        unpacked: dict[int, Tensor] = {}
        if not _UNPACKING.isdisjoint(names.values()):
            for operator in subgraph.operators or ():
                if names[id(operator.opcode)] in _UNPACKING:
                    source, result = _first(operator.inputs), _first(operator.outputs)
                    if source is not None and result is not None:
                        unpacked[id(result)] = source
        for operator in subgraph.operators or ():
            name = names[id(operator.opcode)]
            if name in _LEARNING:
                for tensor, kind in _learned(name, operator.inputs or ()):
                    key = id(unpacked.get(id(tensor), tensor))
                    if kinds.get(key) == CONSTANT:
                        kinds[key] = kind
        for tensors, kind in ((subgraph.outputs, OUTPUT), (subgraph.inputs, INPUT)):
            for item in tensors or ():
                if isinstance(item, Tensor):
                    kinds[id(item)] = kind


def learned(operator: Operator) -> list[tuple[Tensor, str]]:
    """Inputs that stand where weights and biases do, each with WEIGHTS or BIAS; they need not be constant."""
    return _learned(operator.name, operator.inputs or ())


def _learned(name: str, inputs: Sequence[Tensor | BadReference | None]) -> list[tuple[Tensor, str]]:
    places = _LEARNING.get(name, ())
    if name == "LSTM" and len(inputs) == _BASIC_LSTM_INPUTS:
        places = _BASIC_LSTM
    elif name == _GATHERED:
        table = _first(inputs)
        if table is None or not (table.type_name in FLOATS or is_quantized(table)):
            return []
    count = len(inputs)
    given = ((inputs[place], kind) for place, kind in places if place < count)
    return [(item, kind) for item, kind in given if isinstance(item, Tensor)]


def _role_places(roles: Sequence[str]) -> Iterator[tuple[int, str]]:
    for place, role in enumerate(roles):
        if "weights" in role or "layer_norm" in role:
            yield place, WEIGHTS
        elif "bias" in role:
            yield place, BIAS


# (position, kind) of the inputs that hold what was learned, by operator.
_LEARNING: Final[dict[str, Sequence[tuple[int, str]]]] = {
    _GATHERED: ((0, WEIGHTS),),
    **{name: tuple(_role_places(roles.inputs)) for name, roles in ROLES.items()},
    **{
        name: (*((place, WEIGHTS) for place in places), *((place, BIAS) for place in _BIAS_AT.get(name, ())))
        for name, places in _WEIGHTS_AT.items()
    },
}
_BASIC_LSTM: Final = ((2, WEIGHTS), (3, BIAS))


def _first(tensors: Sequence[Tensor | BadReference | None] | None) -> Tensor | None:
    found = tensors[0] if tensors else None
    return found if isinstance(found, Tensor) else None
