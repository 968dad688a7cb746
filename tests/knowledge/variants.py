"""Variants of a sample on both sides of each condition of its claim, from the table; each is one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tflite_surgeon as ts
from tests.builders import enum_class, node
from tests.knowledge.samples import INDEX, SAMPLES, TYPES, close, data_of, quantised, sample
from tflite_surgeon.knowledge.xnnpack.claims import CLAIMS

Change = Callable[[ts.Operator, ts.Model], None]
_ALL_TYPES = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16", "INT32", "INT64", "INT4", "INT2", "BOOL")
_SHAPES = ([], [6], [2, 3], [1, 2, 3], [1, 2, 1, 3], [1] * 4 + [6], [1] * 5 + [6], [1] * 6 + [6], [0, 3])


def _retype(position: int, type_name: str, output: bool) -> Change:
    def change(operator: ts.Operator, model: ts.Model) -> None:
        found = (operator.outputs if output else operator.inputs)[position]
        found.type = enum_class("TensorType")[type_name]
        found.quantization = quantised(type_name)
        if found.data is not None:
            values = [int(v) for v in _old_values(found)] if type_name in ("INT32", "INT64") else None
            found.buffer.data = data_of(type_name, found.shape, values)

    return change


def _old_values(tensor: ts.Tensor) -> list[int]:
    data = bytes(tensor.buffer.data)
    count = 1
    for size in tensor.shape:
        count *= size
    if len(data) == 4 * count:
        return [int.from_bytes(data[n : n + 4], "little", signed=True) % 1000 for n in range(0, len(data), 4)]
    return [1] * count


def _reshape(position: int, shape: list[int], output: bool) -> Change:
    def change(operator: ts.Operator, model: ts.Model) -> None:
        found = (operator.outputs if output else operator.inputs)[position]
        found.shape = list(shape)
        if found.data is not None:
            found.buffer.data = data_of(
                found.type.name,
                shape,
                [1] * _count(shape) if found.type.name == "INT32" and found.quantization is None else None,
            )

    return change


def _count(shape: list[int]) -> int:
    result = 1
    for size in shape:
        result *= size
    return result


def _quantize(position: int, output: bool, **values: Any) -> Change:
    def change(operator: ts.Operator, model: ts.Model) -> None:
        found = (operator.outputs if output else operator.inputs)[position].quantization
        for name, value in values.items():
            setattr(found, name, value(getattr(found, name)) if callable(value) else value)

    return change


def _unquantized(position: int, output: bool) -> Change:
    return lambda operator, model: setattr(
        (operator.outputs if output else operator.inputs)[position], "quantization", None
    )


def _compute(position: int) -> Change:
    return lambda operator, model: setattr(operator.inputs[position], "buffer", model.buffers[0])


def _store(position: int) -> Change:
    def change(operator: ts.Operator, model: ts.Model) -> None:
        found = operator.inputs[position]
        found.buffer = ts.Buffer(data_of(found.type.name, found.shape))
        model.buffers.append(found.buffer)

    return change


def _option(name: str, value: Any) -> Change:
    return lambda operator, model: setattr(operator.builtin_options, name, value)


def _values(position: int, values: list[int], shape: list[int] | None = None) -> Change:
    def change(operator: ts.Operator, model: ts.Model) -> None:
        found = operator.inputs[position]
        found.shape = [len(values)] if shape is None else shape
        found.buffer.data = data_of(found.type.name, found.shape, values)

    return change


def _no_options(operator: ts.Operator, model: ts.Model) -> None:
    operator.builtin_options = None


def _other_options(operator: ts.Operator, model: ts.Model) -> None:
    from tests.builders import table_class

    operator.builtin_options = table_class("CastOptions")()


def _times(factor: float) -> Callable[[list[float]], list[float]]:
    return lambda scales: [scale * factor for scale in scales]


def _version(number: int) -> Change:
    return lambda operator, model: setattr(operator.opcode, "version", number)


def _bias_none(position: int) -> Change:
    return lambda operator, model: operator.inputs.__setitem__(position, None)


def _drop(operator: ts.Operator, model: ts.Model) -> None:
    operator.inputs.pop()


def _again(operator: ts.Operator, model: ts.Model) -> None:
    operator.inputs.append(operator.inputs[-1])


def _more_outputs(operator: ts.Operator, model: ts.Model) -> None:
    from copy import copy

    found = copy(operator.outputs[-1])
    model.subgraphs[0].tensors.append(found)
    operator.outputs.append(found)


# What the columns of the table do not tell.
SPECIAL: dict[str, dict[str, Change]] = {
    "LEAKY_RELU": {
        f"alpha {a}": _option("alpha", a)
        for a in (0.0, -0.5, 1e-40, 1e30, 0.004, 0.00390625, -127.9, -129.0, 128.0, 129.0, float("inf"))
    },
    "SOFTMAX": {f"beta {b}": _option("beta", b) for b in (0.5, 1.0000001)},
    "AVERAGE_POOL_2D": {
        f"{n} {v}": _option(n, v) for n in ("stride_w", "stride_h", "filter_width", "filter_height") for v in (2, 3)
    },
    "MAX_POOL_2D": {
        f"{n} {v}": _option(n, v) for n in ("stride_w", "stride_h", "filter_width", "filter_height") for v in (2, 3)
    },
    "BATCH_MATMUL": {
        "adj_y": _option("adj_y", True),
        "adj_x": _option("adj_x", True),
        **{
            f"channels along {d}": _quantize(1, False, scale=[0.1] * 4, zero_point=[0] * 4, quantized_dimension=d)
            for d in (0, 1, 2)
        },
    },
    "CONCATENATION": {f"axis {a}": _option("axis", a) for a in (-1, -2, 1, 2, 3)},
    "CONV_2D": {**{f"depth {d}": _reshape(1, [4, 2, 2, d], False) for d in (1, 2, 3, 5, 8)}},
    "DEPTHWISE_CONV_2D": {f"multiplier {n}": _option("depth_multiplier", n) for n in (2, 3, 4, 8)},
    "FULLY_CONNECTED": {
        **{f"version {v}": _version(v) for v in (7, 8, 9)},
        "shuffled": _option("weights_format", 1),
        **{f"depth {d}": _reshape(1, [4, d], False) for d in (1, 2, 3, 5, 6, 8)},
        "bias of 2x2": _reshape(2, [2, 2], False),
        "bias of 3": _reshape(2, [3], False),
    },
    "TRANSPOSE_CONV": {
        **{
            f"to {s}": _values(0, s)
            for s in ([1, 3, 3, 3], [1, 2, 3, 4], [1, 1, 3, 4], [1, 3, 1, 4], [1, 3, 3], [1, 3, 3, 4, 1])
        },
        "same": _option("padding", 0),
        "depth": _reshape(1, [4, 2, 2, 3], False),
        "channels": _reshape(1, [3, 2, 2, 4], False),
        "kernel 4": _reshape(1, [4, 4, 2, 4], False),
    },
    "PAD": {
        "negative": _values(1, [0, -1, 0, 0], [2, 2]),
        "one row": _values(1, [1, 1], [1, 2]),
        "flat": _values(1, [1, 1, 1, 1], [4]),
    },
    "RESHAPE": {
        "[0]": _values(1, [0]),
        "[-1]": _values(1, [-1]),
        "[-1,1]": _values(1, [-1, 1]),
        "matrix": _values(1, [2, 3], [1, 2]),
        "column": _values(1, [2, 3], [2, 1]),
        "nothing": _values(1, [], [0]),
    },
    "RESIZE_BILINEAR": {f"size {s}": _values(1, s) for s in ([0, 4], [-1, 4], [4], [4, 4, 4], [1, 1])},
    "SLICE": {
        "begin -1": _values(1, [0, -1]),
        "size -1": _values(2, [2, -1]),
        "size 0": _values(2, [2, 0]),
        "begin 3": _values(1, [0, 1, 0]),
        "begin 2x1": _values(1, [0, 1], [2, 1]),
    },
    "STRIDED_SLICE": {
        "step 2": _values(3, [1, 2]),
        "step -1": _values(3, [1, -1]),
        "end -1": _values(2, [2, -1]),
        "one": _values(1, [0]),
        "begin_mask": _option("begin_mask", 1),
        "end_mask": _option("end_mask", 1),
        "end 0": _values(2, [2, 0]),
    },
    "SPACE_TO_DEPTH": {f"block {n}": _option("block_size", n) for n in (0, 1, 3, 4, -2)},
    "DEPTH_TO_SPACE": {f"block {n}": _option("block_size", n) for n in (0, 1, 3, 4, -2)},
    "TRANSPOSE": {
        "seven": _values(1, [0, 1, 2, 3, 4, 5, 6]),
        "six": _values(1, [0, 1, 2, 3, 4, 5]),
        "square": _values(1, [1, 0], [1, 2]),
        "repeated": _values(1, [1, 1]),
    },
    **{
        name: {
            "no axes": _values(1, [], [0]),
            "two": _values(1, [0, 1]),
            "seven": _values(1, [0] * 7),
            "six": _values(1, [0, 1] * 3),
            "scalar": _values(1, [1], []),
            "matrix": _values(1, [1], [1, 1]),
            "negative": _values(1, [-1]),
        }
        for name in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
    },
}


def _changes(kind: str, types: str) -> Iterator[tuple[str, Change]]:
    claim, made = CLAIMS[kind], SAMPLES[kind]()
    named = TYPES[types]
    sides = [(n, part, False) for n, part in enumerate(made.inputs)] + [(0, made.outputs[0], True)]
    for position, part, output in sides:
        where = f"{'output' if output else 'input'} {position}"
        for type_name in _ALL_TYPES:
            yield f"{where} of {type_name}", _retype(position, type_name, output)
        for shape in _SHAPES:
            yield f"{where} of shape {shape}", _reshape(position, shape, output)
        if part.part != INDEX and (part.type or named[part.part]) in ("INT8", "UINT8", "INT32"):
            yield f"{where} unquantised", _unquantized(position, output)
            for factor in (0.5, 2.0, 2.0**-11, 2.0**8, 255.9, 2.0**10, 2.0**17, 2.0**-17, 2.0**-10, 1 / 128, 128.5):
                yield f"{where} scale times {factor}", _quantize(position, output, scale=_times(factor))
            for zero_point in (-129, -128, -1, 0, 1, 127, 128, 255, 256):
                yield f"{where} zero point {zero_point}", _quantize(position, output, zero_point=[zero_point])
            for dimension in (0, 1, 3):
                yield f"{where} along {dimension}", _quantize(position, output, quantized_dimension=dimension)
                four = {"scale": [0.1, 0.2, 0.1, 0.05], "zero_point": [0] * 4, "quantized_dimension": dimension}
                yield f"{where} of four scales along {dimension}", _quantize(position, output, **four)
                uneven = {**four, "zero_point": [0, 1, 0, 0]}
                yield f"{where} of four zero points along {dimension}", _quantize(position, output, **uneven)
            if kind != "QUANTIZE" and not (kind == "BATCH_MATMUL" and part.part != "bias"):
                for scale in (0.0, -1.0, float("nan"), float("inf"), 1e-40, 2.0**-126):
                    yield f"{where} scale {scale}", _quantize(position, output, scale=[scale])
    for position in {*claim.constant, *claim.plain} & set(range(len(made.inputs))):
        yield f"input {position} computed", _compute(position)
    for position in range(len(made.inputs)):
        if not made.inputs[position].is_constant:
            yield f"input {position} stored", _store(position)
    for position in claim.optional:
        yield f"input {position} not given", _bias_none(position)
    if made.options:
        yield "no options", _no_options
        yield "options of another operator", _other_options
        for name in claim.positive:
            yield f"{name} 0", _option(name, 0)
            yield f"{name} 2", _option(name, 2)
        for name in claim.zero:
            yield f"{name} 1", _option(name, 1)
        if claim.has_padding:
            yield from ((f"padding {n}", _option("padding", n)) for n in (0, 1, 2))
        if claim.has_activation:
            yield from ((f"activation {n}", _option("fused_activation_function", n)) for n in range(-1, 8))
    yield "one input more", _again
    yield "one output more", _more_outputs
    if len(made.inputs) > claim.inputs[0]:
        yield "one input less", _drop
    yield from SPECIAL.get(kind, {}).items()


def variants(kind: str) -> Iterator[tuple[str, ts.Model]]:
    """Models of one node, each with a name that says what was changed."""
    for types in TYPES:
        seen = sample(kind, types)
        yield f"{types}", seen
        for name, change in _changes(kind, types):
            model = sample(kind, types)
            try:
                change(node(model), model)
            except (AttributeError, IndexError):  # A change that this sample has no place for.
                continue
            close(model)
            yield f"{types}: {name}", model
