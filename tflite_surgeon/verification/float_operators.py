"""Operators that mean the same for floats as for quantised integers, and have a kernel for both."""

from __future__ import annotations

from typing import Final

# Operators whose float kernel takes the same inputs and options as the quantised one, and computes the same in real
# numbers. Source: LiteRT 2.3 kernels/*.cc, the types that each Prepare and Eval takes.
SAME_IN_FLOAT: Final = frozenset(
    (
        *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL", "SVDF"),
        *("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN"),
        *("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "CONV_3D", "CONV_3D_TRANSPOSE"),
        *("ADD", "SUB", "MUL", "DIV", "ADD_N", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD"),
        *("POW", "ABS", "NEG", "SQUARE", "SQRT", "RSQRT", "EXP", "LOG", "SIN", "COS", "FLOOR", "CEIL", "ROUND", "SIGN"),
        *("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "PRELU", "ELU", "GELU", "HARD_SWISH"),
        *("LOGISTIC", "TANH", "SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION"),
        *("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D", "MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"),
        *("CONCATENATION", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE"),
        *("PAD", "PADV2", "MIRROR_PAD", "SLICE", "STRIDED_SLICE", "TILE", "BROADCAST_TO", "REVERSE_V2"),
        *("REVERSE_SEQUENCE", "GATHER", "GATHER_ND", "SCATTER_ND", "EMBEDDING_LOOKUP", "DYNAMIC_UPDATE_SLICE"),
        *("SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "CUMSUM", "FILL", "ZEROS_LIKE"),
        *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SELECT", "SELECT_V2", "TOPK_V2", "ARG_MAX", "ARG_MIN"),
        *("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "SHAPE", "RANK", "WHERE"),
        *("IF", "WHILE", "CALL", "CALL_ONCE", "VAR_HANDLE", "ASSIGN_VARIABLE", "READ_VARIABLE"),
        "TFLite_Detection_PostProcess",
    )
)
# Operators that convert between real values and integers: in real numbers they only clamp.
CONVERSIONS: Final = frozenset({"QUANTIZE", "DEQUANTIZE"})
