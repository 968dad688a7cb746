"""Conditions of tensors as a loader reads them: type, shape, bytes, quantisation, sparsity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tflite_surgeon as ts
from tests.builders import Net, layer, part
from tests.conditions.case import Case, tflite
from tests.conditions.cases_construction_file import changed
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

REFUSED = tflite("refuses")
# TFLM reads past the end.
SHORT = {**REFUSED, "tflm": "wrong-numbers"}
BY_LITERT = {"litert": "refuses", "litert-no-delegate": "refuses"}


def _beside(**values: Any) -> Callable[[], ts.Model]:
    """A healthy node, and a tensor beside it that no node reads; `data` goes into a buffer of its own."""

    def make() -> ts.Model:
        net = Net()
        source, result = (net.tensor(name, [1, 4], "FLOAT32") for name in ("input", "output"))
        net.operator("ABS", 1, [source], [result])
        given = {"shape": [4, 2], "type": enum_class("TensorType")["INT8"], **values}
        data = given.pop("data", None)
        buffer = net.buffers[0] if data is None else ts.Buffer(data)
        if data is not None:
            net.buffers.append(buffer)
        net.tensors.append(ts.Tensor(name="beside", **{"buffer": buffer, **given}))
        return net.model([source], [result])

    return make


def _typed(name: str | int, data: bytes | None = None, shape: Sequence[int] = (4, 2), **values: Any) -> Any:
    kind = name if isinstance(name, int) else enum_class("TensorType")[name]
    return _beside(type=kind, data=data, shape=list(shape), **values)


def _quantised(**values: Any) -> Callable[[], ts.Model]:
    return _beside(quantization=ts.QuantizationParameters(**values))


def _multi_axis(**values: Any) -> Callable[[], ts.Model]:
    def make() -> ts.Model:
        model = _beside()()
        tensors = model.subgraphs[0].tensors
        given = {"scales": tensors[0], "zero_points": None, "block_size": 1, "quantized_dimensions": [0], **values}
        details = table_class("MultiAxisQuantization")(**given)
        tensors[2].quantization = ts.QuantizationParameters(details=details)
        return model

    return make


def _sparse(*dimensions: Any, order: Sequence[int] | None = (0, 1), data: bytes = b"\1") -> Callable[[], ts.Model]:
    described = list(dimensions) or None
    traversal = None if order is None else list(order)
    sparsity = table_class("SparsityParameters")(traversal_order=traversal, dim_metadata=described)
    return _beside(sparsity=sparsity, data=data)


def _dimension(form: int, segments: Any = None, indices: Any = None, size: int = 0) -> Any:
    return table_class("DimensionMetadata")(
        format=form, dense_size=size, array_segments=segments, array_indices=indices
    )


def _numbers(*values: int) -> Any:
    return table_class("Int32Vector")(values=list(values))


def _weights_buffer(data: bytes | None, offset: int = 0, size: int = 0) -> Callable[[], ts.Model]:
    """The weights of a layer in another buffer."""

    def change(model: ts.Model) -> None:
        buffer = part(model, "weights").buffer
        assert isinstance(buffer, ts.Buffer)
        buffer.data, buffer.offset, buffer.size = data, offset, size

    return changed(change)


def _lost_buffer(model: ts.Model) -> None:
    part(model, "weights").buffer = ts.BadReference(99)


def _requantised(role: str, **values: Any) -> Callable[[], ts.Model]:
    """A layer with another quantisation of one tensor."""
    return changed(lambda model: setattr(part(model, role), "quantization", ts.QuantizationParameters(**values)))


def _fine_layer() -> ts.Model:
    """Its output's scale is small, so that a bias without a scale shows."""
    return layer(output_scale=0.0005)


def _bias_by_channel(model: ts.Model) -> None:
    """Equal scales for all channels: the same numbers, but no single scale."""
    bias = part(model, "bias")
    bias.quantization.scale, bias.quantization.zero_point = bias.quantization.scale * 4, [0] * 4


WHOLE = [_dimension(0, size=4), _dimension(1, _numbers(0, 1), _numbers(0))]
CASES = [
    Case("tensor-type-range", "tensor-type", _typed("INT8"), _typed(99), {**REFUSED, "tflm": "refuses"}),
    Case("tensor-type-range/2.14", "tensor-type", _typed("INT4"), _typed("BFLOAT16"), {"tflite-2.14": "refuses"}),
    Case("buffer-index-range", "buffer-index", layer, changed(_lost_buffer), {**REFUSED, "tflm": "unknown"}),
    Case(
        "tensor-const-bytes",
        "constant-size",
        _typed("INT8", bytes(8)),
        _typed("INT8", bytes(7)),
        SHORT,
    ),
    Case("tensor-const-bytes/empty", "constant-size", _typed("INT8", b"", [0, 2]), _typed("INT8", b""), SHORT),
    Case("tensor-const-bytes/int4", "constant-size", _typed("INT4", bytes(4)), _typed("INT4", bytes(3)), SHORT),
    Case(
        "tensor-const-bytes/int2",
        "constant-size",
        _typed("INT2", bytes(3), [3, 3]),
        _typed("INT2", bytes(2), [3, 3]),
        {**BY_LITERT, "tflm": "wrong-numbers"},
    ),
    Case(
        "tensor-const-bytes-exact-2-14",
        "constant-size",
        _typed("INT8", bytes(8)),
        _typed("INT8", bytes(9)),
        {"tflite-2.14": "refuses"},
    ),
    Case("tensor-const-bytes/string", "constant-size", _typed("STRING", bytes(3)), _typed("INT64", bytes(3)), SHORT),
    Case("tensor-shape-overflow", "tensor-shape", _beside(), _beside(shape=[2, -1]), REFUSED),
    Case("tensor-shape-overflow/2.14", "tensor-shape", _beside(), _beside(shape=[0, -1]), BY_LITERT),
    Case(
        "tensor-shape-overflow/bytes",
        "tensor-shape",
        _typed("INT8", None, [1 << 30, 1 << 30, 4]),
        _typed("FLOAT32", None, [1 << 30, 1 << 30, 4]),
        REFUSED,
    ),
    Case(
        "tensor-variable-with-buffer",
        "variable-with-data",
        _beside(data=bytes(8)),
        _beside(data=bytes(8), is_variable=True),
        {**REFUSED, "tflm": "wrong-numbers"},
    ),
    Case(
        "tensor-variable-with-buffer/external",
        "variable-with-data",
        _beside(data=bytes(8)),
        _beside(data=bytes(8), external_buffer=1),
        BY_LITERT,
    ),
    Case(
        "tensor-variable-string",
        "variable-with-data",
        _beside(is_variable=True),
        _typed("RESOURCE", is_variable=True),
        REFUSED,
    ),
    Case(
        "quant-zp-null",
        "zero-points-missing",
        _quantised(scale=[0.5], zero_point=[0]),
        _quantised(scale=[0.5]),
        {**REFUSED, "tflm": "wrong-numbers"},
    ),
    Case(
        "quant-lengths-equal",
        "zero-point-count",
        _quantised(scale=[0.5], zero_point=[0]),
        _quantised(scale=[0.5], zero_point=[0, 0]),
        REFUSED,
    ),
    Case(
        "quant-qdim-range",
        "quantized-dimension",
        _quantised(scale=[0.5], zero_point=[0], quantized_dimension=1),
        _quantised(scale=[0.5], zero_point=[0], quantized_dimension=2),
        REFUSED,
    ),
    Case(
        "quant-qdim-range/negative",
        "quantized-dimension",
        _quantised(scale=[0.5], zero_point=[0]),
        _quantised(scale=[0.5], zero_point=[0], quantized_dimension=-1),
        REFUSED,
    ),
    Case(
        "quant-num-scales",
        "scale-count",
        _quantised(scale=[0.5] * 2, zero_point=[0] * 2, quantized_dimension=1),
        _quantised(scale=[0.5] * 2, zero_point=[0] * 2),
        REFUSED,
    ),
    Case(
        "quant-zp-int64-truncated",
        "zero-point-range",
        _quantised(scale=[0.5], zero_point=[5]),
        _quantised(scale=[0.5], zero_point=[(1 << 32) + 5]),
        dict.fromkeys(("litert", "litert-no-delegate", "tflite-2.14", "tflm"), "wrong-numbers"),
    ),
    Case(
        "quant-scale-empty",
        "missing-quantization",
        layer,
        _requantised("input", scale=[], zero_point=[-7]),
        {**REFUSED, "tflm": "wrong-numbers"},
    ),
    Case(
        "quant-legacy-params",
        "bias-scale",
        _fine_layer,
        changed(_bias_by_channel, _fine_layer),
        {"litert-no-delegate": "refuses", "tflite-2.14": "refuses"},
    ),
    Case("quant-multiaxis", "quantization-scheme", _multi_axis(), _multi_axis(quantized_dimensions=[2]), BY_LITERT),
    Case(
        "quant-multiaxis/none",
        "quantization-scheme",
        _multi_axis(),
        _multi_axis(quantized_dimensions=None),
        BY_LITERT,
    ),
    Case(
        "quant-multiaxis/empty",
        "quantization-scheme",
        _multi_axis(),
        _multi_axis(quantized_dimensions=[]),
        BY_LITERT,
    ),
    Case("quant-multiaxis/block", "quantization-scheme", _multi_axis(), _multi_axis(block_size=-1), BY_LITERT),
    Case("quant-multiaxis/scales", "quantization-scheme", _multi_axis(), _multi_axis(scales=None), BY_LITERT),
    Case(
        "quant-multiaxis/points",
        "quantization-scheme",
        _multi_axis(),
        _multi_axis(zero_points=ts.BadReference(9)),
        BY_LITERT,
    ),
    Case("sparsity-fields", "sparsity", _sparse(*WHOLE), _sparse(), REFUSED),
    Case("sparsity-format", "sparsity", _sparse(*WHOLE), _sparse(_dimension(7)), REFUSED),
    Case("sparsity-format/indices", "sparsity", _sparse(*WHOLE), _sparse(_dimension(1, _numbers(0, 1))), REFUSED),
]
