"""Which function models which operator's kernel.

A model has few of the operators: only the modules of those are imported when it is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from tflite_surgeon.knowledge.kernels.node import KernelNode

Kernel = Callable[[KernelNode], None]

# The operators that each module declares, in the order in which texts are known; custom ones behind "CUSTOM|".
_TFLITE_FAMILIES = """
pooling: AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D
fully_connected: FULLY_CONNECTED
matrix: BATCH_MATMUL EMBEDDING_LOOKUP EMBEDDING_LOOKUP_SPARSE
convolution: CONV_2D
depthwise: DEPTHWISE_CONV_2D
transposed: TRANSPOSE_CONV
volumes: CONV_3D CONV_3D_TRANSPOSE
recurrent: SVDF RNN UNIDIRECTIONAL_SEQUENCE_RNN
lstm: LSTM UNIDIRECTIONAL_SEQUENCE_LSTM
bidirectional: BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN
activations: RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 LEAKY_RELU HARD_SWISH ELU GELU TANH LOGISTIC SOFTMAX LOG_SOFTMAX
    L2_NORMALIZATION LOCAL_RESPONSE_NORMALIZATION
unary: ABS SIN COS LOG SQRT RSQRT SQUARE LOGICAL_NOT EXP NEG SIGN CEIL FLOOR ROUND ZEROS_LIKE
conversion: QUANTIZE DEQUANTIZE CAST BITCAST DENSIFY FAKE_QUANT
reduction: MEAN SUM REDUCE_PROD REDUCE_MAX REDUCE_MIN REDUCE_ANY REDUCE_ALL ARG_MAX ARG_MIN
arithmetic: ADD SUB MUL DIV SQUARED_DIFFERENCE
comparison: EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL MAXIMUM MINIMUM LOGICAL_AND LOGICAL_OR
selection: SELECT SELECT_V2 WHERE PRELU
integers: FLOOR_DIV FLOOR_MOD POW ATAN2 BITWISE_XOR RIGHT_SHIFT REAL IMAG COMPLEX_ABS STABLEHLO_ADD
    STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_MINIMUM STABLEHLO_AND
sums: ADD_N CUMSUM
reshaping: RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE SHAPE RANK
slicing: SLICE STRIDED_SLICE DYNAMIC_UPDATE_SLICE
joining: CONCATENATION PACK UNPACK SPLIT SPLIT_V
padding: PAD PADV2 MIRROR_PAD
blocks: DEPTH_TO_SPACE SPACE_TO_DEPTH BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND
resizing: RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
gathering: GATHER GATHER_ND SCATTER_ND SPARSE_TO_DENSE
generating: FILL RANGE ONE_HOT RANDOM_UNIFORM RANDOM_STANDARD_NORMAL MULTINOMIAL
repeating: TILE BROADCAST_TO BROADCAST_ARGS DILATE
ordering: REVERSE_V2 REVERSE_SEQUENCE TOPK_V2 UNIQUE SEGMENT_SUM UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN
    UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM MATRIX_DIAG MATRIX_SET_DIAG BUCKETIZE
detecting: NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 CUSTOM|TFLite_Detection_PostProcess HASHTABLE_LOOKUP
    LSH_PROJECTION SKIP_GRAM
control: IF WHILE CALL_ONCE STABLEHLO_COMPOSITE STABLEHLO_CASE
variables: VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE
hlo: STABLEHLO_GATHER STABLEHLO_SCATTER STABLEHLO_PAD STABLEHLO_REDUCE_WINDOW REDUCE_WINDOW
    STABLEHLO_RNG_BIT_GENERATOR
"""
_MICRO_FAMILIES = """
pooling: AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D
convolution: CONV_2D DEPTHWISE_CONV_2D
transposed: TRANSPOSE_CONV
fully_connected: FULLY_CONNECTED
matrix: BATCH_MATMUL EMBEDDING_LOOKUP
recurrent: SVDF
lstm: UNIDIRECTIONAL_SEQUENCE_LSTM
joining: CONCATENATION PACK UNPACK SPLIT SPLIT_V
padding: PAD PADV2 MIRROR_PAD
reshaping: RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE REVERSE_V2
shapes: SHAPE FILL BROADCAST_TO BROADCAST_ARGS
slicing: SLICE STRIDED_SLICE DYNAMIC_UPDATE_SLICE
gathering: GATHER GATHER_ND
resizing: RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
blocks: DEPTH_TO_SPACE SPACE_TO_DEPTH BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND
activations: RELU RELU6 LEAKY_RELU HARD_SWISH ELU TANH LOGISTIC SOFTMAX LOG_SOFTMAX L2_NORMALIZATION
unary: SIN COS LOG SQRT SQUARE LOGICAL_NOT ABS RSQRT EXP CEIL ROUND NEG FLOOR ZEROS_LIKE
conversion: QUANTIZE DEQUANTIZE CAST
reduction: MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_ALL ARG_MAX ARG_MIN
arithmetic: ADD SUB MUL DIV SQUARED_DIFFERENCE ADD_N CUMSUM
comparison: EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL MAXIMUM MINIMUM LOGICAL_AND LOGICAL_OR FLOOR_DIV
    FLOOR_MOD SELECT_V2 PRELU
control: CALL_ONCE IF WHILE READ_VARIABLE ASSIGN_VARIABLE
signals: CUSTOM|SignalDelay CUSTOM|SignalEnergy CUSTOM|SignalFftAutoScale CUSTOM|SignalFilterBank
    CUSTOM|SignalFilterBankLog CUSTOM|SignalFilterBankSpectralSubtraction CUSTOM|SignalFilterBankSquareRoot
    CUSTOM|SignalFramer CUSTOM|SignalPCAN CUSTOM|SignalStacker CUSTOM|SignalWindow CUSTOM|SignalIrfft
    CUSTOM|SignalRfft CUSTOM|SignalOverlapAdd
detection: CUSTOM|TFLite_Detection_PostProcess CUSTOM|CIRCULAR_BUFFER
"""


def _by_operator(families: str) -> dict[str, str]:
    """The module of each operator."""
    found: dict[str, str] = {}
    family = ""
    for word in families.split():
        if word.endswith(":"):
            family = word[:-1]
        else:
            found[word.replace("|", " ")] = family
    return found


class _Kernels:
    """The models of one runtime's kernels.

    Attributes:
        declared: those whose modules were imported.
    """

    def __init__(self, package: str, families: str) -> None:
        self.declared: dict[str, Kernel] = {}
        self._package = f"tflite_surgeon.knowledge.{package}"
        self._families = _by_operator(families)

    def declare(self, names: tuple[str, ...], function: Kernel) -> None:
        for name in names:
            if name not in self._families:
                raise ValueError(f"{name} is missing from the list of kernels in {__name__}")
            self.declared[name] = function

    def of(self, name: str) -> Kernel | None:
        """The model of an operator's kernel, None where there is none."""
        found = self.declared.get(name)
        if found is None and name in self._families:
            import_module(f"{self._package}.{self._families[name]}")
            found = self.declared[name]
        return found

    def all(self) -> dict[str, Kernel]:
        for family in dict.fromkeys(self._families.values()):
            import_module(f"{self._package}.{family}")
        return self.declared


_TFLITE = _Kernels("kernels", _TFLITE_FAMILIES)
_MICRO = _Kernels("micro", _MICRO_FAMILIES)


def kernel(*names: str) -> Callable[[Kernel], Kernel]:
    """Declare the model of LiteRT's kernels for operators, those of tflite-runtime 2.14 included.

    Custom operators go by their names behind "CUSTOM ".
    """

    def declare(function: Kernel) -> Kernel:
        _TFLITE.declare(names, function)
        return function

    return declare


def micro_kernel(*names: str) -> Callable[[Kernel], Kernel]:
    """Declare the model of TFLM's kernels for operators."""

    def declare(function: Kernel) -> Kernel:
        _MICRO.declare(names, function)
        return function

    return declare


tflite_kernel_of = _TFLITE.of
micro_kernel_of = _MICRO.of


def tflite_kernels() -> dict[str, Kernel]:
    """The models of LiteRT's kernels by operator; custom operators by their names behind "CUSTOM "."""
    return _TFLITE.all()


def micro_kernels() -> dict[str, Kernel]:
    """The models of TFLM's kernels by operator; custom operators by their names behind "CUSTOM "."""
    return _MICRO.all()
