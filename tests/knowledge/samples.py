"""For each operator in the delegate's table, a tiny node that it takes, made of the types asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

import tflite_surgeon as ts
from tests.builders import enum_class, table_class

VALUE, WEIGHTS, BIAS, INDEX = "value", "weights", "bias", "index"
# The type of each part in a float32, float16, int8 and uint8 node, and in one with 8-bit weights only.
TYPES = {
    "FLOAT32": {VALUE: "FLOAT32", WEIGHTS: "FLOAT32", BIAS: "FLOAT32"},
    "FLOAT16": {VALUE: "FLOAT16", WEIGHTS: "FLOAT16", BIAS: "FLOAT16"},
    "INT8": {VALUE: "INT8", WEIGHTS: "INT8", BIAS: "INT32"},
    "UINT8": {VALUE: "UINT8", WEIGHTS: "UINT8", BIAS: "INT32"},
    "hybrid": {VALUE: "FLOAT32", WEIGHTS: "INT8", BIAS: "FLOAT32"},
}
SCALES = {"INT8": (0.1, 3), "UINT8": (0.1, 128), "INT16": (0.001, 0), "INT32": (0.01, 0), "INT4": (0.1, 0)}
_BITS = {"FLOAT32": 32, "FLOAT16": 16, "INT32": 32, "INT64": 64, "INT16": 16, "BOOL": 8, "INT4": 4, "INT2": 2}


@dataclass
class Part:
    part: str
    shape: list[int]
    values: list[int] | None = None
    is_constant: bool = False
    type: str | None = None


def value(*shape: int, type: str | None = None) -> Part:
    return Part(VALUE, list(shape), type=type)


def constant(part: str, *shape: int) -> Part:
    return Part(part, list(shape), is_constant=True)


def index(*values: int, shape: Sequence[int] | None = None) -> Part:
    return Part(INDEX, [len(values)] if shape is None else list(shape), list(values), True)


@dataclass
class Sample:
    inputs: list[Part]
    outputs: list[Part]
    options: str | None = None
    values: dict[str, Any] | None = None
    custom_options: bytes | None = None


def _unary() -> Sample:
    return Sample([value(2, 3)], [value(2, 3)])


def _binary(options: str | None = None) -> Sample:
    return Sample([value(2, 3), value(2, 3)], [value(2, 3)], options)


def _pool() -> Sample:
    steps = {"stride_w": 1, "stride_h": 1, "filter_width": 2, "filter_height": 2, "padding": 1}
    return Sample([value(1, 4, 4, 2)], [value(1, 3, 3, 2)], "Pool2DOptions", steps)


def _reduction() -> Sample:
    return Sample([value(2, 3), index(1)], [value(2)], "ReducerOptions")


def _attention() -> Sample:
    sizes = (1, 2, 2, 4)
    scaled = flexbuffers.Dumps({"scale": 1.0})
    return Sample([value(*sizes)] * 3 + [value(1, 1, 2, 2)], [value(*sizes)], custom_options=bytes(scaled))


def _custom(*numbers: int) -> bytes:
    return np.array(numbers, "<i4").tobytes()


_VALID = {"padding": 1, "stride_w": 1, "stride_h": 1}
_CONVOLVED = [value(1, 4, 4, 4), constant(WEIGHTS, 4, 2, 2, 4), constant(BIAS, 4)]
SAMPLES: dict[str, Callable[[], Sample]] = {
    **dict.fromkeys(
        [
            "ABS",
            "CEIL",
            "COS",
            "ELU",
            "EXP",
            "FLOOR",
            "GELU",
            "HARD_SWISH",
            "LOG",
            "LOGISTIC",
            "NEG",
            "QUANTIZE",
            "RELU",
            "RELU_N1_TO_1",
            "RELU6",
            "ROUND",
            "RSQRT",
            "SIN",
            "SQRT",
            "SQUARE",
            "TANH",
        ],
        _unary,
    ),
    "DEQUANTIZE": lambda: Sample([value(2, 3, type="INT8")], [value(2, 3)]),
    "LEAKY_RELU": lambda: Sample([value(2, 3)], [value(2, 3)], "LeakyReluOptions", {"alpha": 0.25}),
    "SOFTMAX": lambda: Sample([value(2, 3)], [value(2, 3)], "SoftmaxOptions", {"beta": 1.0}),
    **{name: lambda name=name: _binary(f"{name.title()}Options") for name in ("ADD", "SUB", "MUL", "DIV")},
    **dict.fromkeys(("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"), _binary),
    "PRELU": lambda: Sample([value(2, 3), constant(VALUE, 3)], [value(2, 3)]),
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "BATCH_MATMUL": lambda: Sample(
        [value(1, 2, 4), constant(WEIGHTS, 1, 4, 4)], [value(1, 2, 4)], "BatchMatMulOptions"
    ),
    "CONCATENATION": lambda: Sample([value(2, 3), value(2, 3)], [value(4, 3)], "ConcatenationOptions", {"axis": 0}),
    "CONV_2D": lambda: Sample(list(_CONVOLVED), [value(1, 3, 3, 4)], "Conv2DOptions", dict(_VALID)),
    "DEPTHWISE_CONV_2D": lambda: Sample(
        [value(1, 4, 4, 4), constant(WEIGHTS, 1, 2, 2, 4), constant(BIAS, 4)],
        [value(1, 3, 3, 4)],
        "DepthwiseConv2DOptions",
        {**_VALID, "depth_multiplier": 1},
    ),
    "FULLY_CONNECTED": lambda: Sample(
        [value(2, 4), constant(WEIGHTS, 4, 4), constant(BIAS, 4)], [value(2, 4)], "FullyConnectedOptions"
    ),
    "TRANSPOSE_CONV": lambda: Sample(
        [index(1, 3, 3, 4), constant(WEIGHTS, 4, 2, 2, 4), value(1, 2, 2, 4), constant(BIAS, 4)],
        [value(1, 3, 3, 4)],
        "TransposeConvOptions",
        dict(_VALID),
    ),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _reduction),
    "PAD": lambda: Sample([value(2, 3), index(1, 0, 0, 1, shape=(2, 2))], [value(3, 4)]),
    "RESHAPE": lambda: Sample([value(2, 3), index(6)], [value(6)], "ReshapeOptions"),
    "RESIZE_BILINEAR": lambda: Sample([value(1, 2, 2, 1), index(4, 4)], [value(1, 4, 4, 1)], "ResizeBilinearOptions"),
    "SLICE": lambda: Sample([value(2, 3), index(0, 1), index(2, 1)], [value(2, 1)]),
    "STRIDED_SLICE": lambda: Sample(
        [value(2, 3), index(0, 0), index(2, 2), index(1, 1)], [value(2, 2)], "StridedSliceOptions"
    ),
    "SPACE_TO_DEPTH": lambda: Sample(
        [value(1, 4, 4, 1)], [value(1, 2, 2, 4)], "SpaceToDepthOptions", {"block_size": 2}
    ),
    "DEPTH_TO_SPACE": lambda: Sample(
        [value(1, 2, 2, 4)], [value(1, 4, 4, 1)], "DepthToSpaceOptions", {"block_size": 2}
    ),
    "SPLIT": lambda: Sample(
        [index(1, shape=()), value(2, 4)], [value(2, 2), value(2, 2)], "SplitOptions", {"num_splits": 2}
    ),
    "TRANSPOSE": lambda: Sample([value(2, 3), index(1, 0)], [value(3, 2)]),
    "CUSTOM odml.scaled_dot_product_attention": _attention,
    "CUSTOM Convolution2DTransposeBias": lambda: Sample(
        [value(1, 2, 2, 4), constant(WEIGHTS, 4, 2, 2, 4), constant(BIAS, 4)],
        [value(1, 3, 3, 4)],
        custom_options=_custom(2, 1, 1),
    ),
    "CUSTOM MaxPoolingWithArgmax2D": lambda: Sample(
        [value(1, 4, 4, 2)], [value(1, 2, 2, 2), value(1, 2, 2, 2)], custom_options=_custom(2, 2, 2, 2, 2, 0)
    ),
    "CUSTOM MaxUnpooling2D": lambda: Sample(
        [value(1, 2, 2, 2), value(1, 2, 2, 2)], [value(1, 4, 4, 2)], custom_options=_custom(2, 2, 2, 2, 2, 0)
    ),
}


def quantised(type_name: str, count: int = 1, dimension: int = 0) -> ts.QuantizationParameters | None:
    if type_name == "INT2":
        return ts.QuantizationParameters(scale=[0.1] * 4, zero_point=[0] * 4, quantized_dimension=0)
    if type_name not in SCALES:
        return None
    scale, zero_point = SCALES[type_name]
    return ts.QuantizationParameters(
        scale=[float(np.float32(scale))] * count,
        zero_point=[zero_point if count == 1 else 0] * count,
        quantized_dimension=dimension,
    )


def data_of(type_name: str, shape: Sequence[int], values: Sequence[int] | None = None) -> bytes:
    if values is not None:
        return np.array(values, {"INT32": "<i4", "INT64": "<i8"}.get(type_name, "<i4")).tobytes()
    elements = prod(shape)
    if type_name == "FLOAT32":
        return np.full(elements, 0.5, "<f4").tobytes()
    if type_name == "FLOAT16":
        return np.full(elements, 0.5, "<f2").tobytes()
    return bytes([1]) * -(-elements * _BITS.get(type_name, 8) // 8)


def tensor(model: ts.Model, name: str, part: Part, type_name: str) -> ts.Tensor:
    buffer = model.buffers[0]
    if part.is_constant:
        buffer = ts.Buffer(data_of(type_name, part.shape, part.values))
        model.buffers.append(buffer)
    found = quantised(type_name) if part.part != INDEX else None
    if found is not None and part.part != VALUE and len(found.zero_point) == 1 and type_name != "UINT8":
        found.zero_point = [0]
    return ts.Tensor(
        name=name, shape=list(part.shape), type=enum_class("TensorType")[type_name], buffer=buffer, quantization=found
    )


def empty() -> ts.Model:
    graph = ts.SubGraph(name="main", tensors=[], inputs=[], outputs=[], operators=[])
    return ts.Model(version=3, operator_codes=[], subgraphs=[graph], buffers=[ts.Buffer()])


def add(model: ts.Model, kind: str, inputs: Sequence[Any], outputs: Sequence[Any], **fields: Any) -> ts.Operator:
    """Add a node; tensors that are new come with it."""
    name = kind.removeprefix("CUSTOM ")
    builtin = enum_class("BuiltinOperator")["CUSTOM" if name != kind else name]
    code = ts.OperatorCode(
        deprecated_builtin_code=min(int(builtin), 127),
        builtin_code=builtin,
        version=1,
        custom_code=name if name != kind else None,
    )
    model.operator_codes.append(code)
    graph = model.subgraphs[0]
    for found in (*inputs, *outputs):
        if found is not None and not any(found is known for known in graph.tensors):
            graph.tensors.append(found)
    operator = ts.Operator(opcode=code, inputs=list(inputs), outputs=list(outputs), **fields)
    graph.operators.append(operator)
    return operator


def sample(kind: str, types: str = "FLOAT32") -> ts.Model:
    """A model of one node that the delegate takes, if it takes any of these types."""
    made = SAMPLES[kind]()
    model = empty()
    parts = {INDEX: "INT32", **TYPES[types]}
    inputs = [tensor(model, f"input_{n}", p, p.type or parts[p.part]) for n, p in enumerate(made.inputs)]
    outputs = [tensor(model, f"output_{n}", p, p.type or parts[p.part]) for n, p in enumerate(made.outputs)]
    options = table_class(made.options)(**(made.values or {})) if made.options else None
    add(model, kind, inputs, outputs, builtin_options=options, custom_options=made.custom_options)
    close(model)
    return model


def close(model: ts.Model) -> None:
    """Make inputs of what no node makes and the file does not hold, and outputs of what nodes make."""
    graph = model.subgraphs[0]
    made = [item for operator in graph.operators for item in operator.outputs]
    read = [item for operator in graph.operators for item in operator.inputs if item is not None]
    unique = {id(item): item for item in read if item.buffer is model.buffers[0]}
    graph.inputs = [item for item in unique.values() if not any(item is other for other in made)]
    graph.outputs = list({id(item): item for item in made}.values())
