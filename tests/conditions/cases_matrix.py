"""Conditions of BATCH_MATMUL, EMBEDDING_LOOKUP and EMBEDDING_LOOKUP_SPARSE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tflite_surgeon as ts
from tests.builders import Net, node, spread
from tests.conditions.case import Case, everywhere, tflite

_LITERT = {"litert": "refuses", "litert-no-delegate": "refuses"}


def _product(
    kinds: tuple[str, str, str] = ("INT16", "INT16", "INT16"),
    left: Sequence[int] = (2, 3, 4),
    right: Sequence[int] = (2, 4, 5),
    scales: tuple[float, float, float] = (0.02, 0.03, 0.05),
    zero_point: int = 0,
) -> ts.Model:
    """XNNPACK has no kernel for 16 bits, so that LiteRT's own is asked."""
    net = Net()
    wanted = [scale if kind.startswith("INT") else None for kind, scale in zip(kinds, scales)]
    first = net.tensor("left", left, kinds[0], wanted[0], zero_point)
    second = net.tensor("right", right, kinds[1], wanted[1])
    result = net.tensor("output", [*left[:-1], right[-1]], kinds[2], wanted[2])
    net.operator("BATCH_MATMUL", 2, [first, second], [result], "BatchMatMulOptions")
    return net.model([first, second], [result])


def _product_without(position: int) -> ts.Model:
    model = _product()
    node(model).inputs[position].quantization = None
    return model


def _look_up(
    kind: str = "INT8",
    scales: Sequence[float] | None = (0.1,),
    *,
    result: str = "FLOAT32",
    result_scale: float | None = None,
    zero_point: int = 0,
    shape: Sequence[int] = (4, 6),
    ids: Sequence[int] = (0, 2, 1),
    ids_shape: Sequence[int] = (3,),
    dimension: int = 0,
    version: int = 3,
) -> ts.Model:
    net = Net()
    indices = net.tensor("ids", ids_shape, "INT32", values=ids)
    table = net.tensor("table", shape, kind, scales, zero_point, spread(shape, -7, 7), dimension=dimension)
    output = net.tensor("output", [3, *shape[1:]], result, result_scale)
    net.operator("EMBEDDING_LOOKUP", version, [indices, table], [output])
    return net.model([], [output])


def _look_up_sparse(
    *, ids: Sequence[int] = (1, 3, 0), weights: int = 3, dense_rank: int = 2, table: Sequence[int] = (4, 2)
) -> ts.Model:
    net = Net()
    inputs = [
        net.tensor("ids", [3], "INT32", values=ids),
        net.tensor("indices", [3, 2], "INT32", values=[0, 0, 2, 0, 2, 1]),
        net.tensor("dense_shape", [dense_rank], "INT32", values=[3, 2, 1][:dense_rank]),
        net.tensor("weights", [weights], "FLOAT32", values=[1.0] * weights),
        net.tensor("table", table, "FLOAT32", values=spread(table, -7, 7)),
    ]
    output = net.tensor("output", [3, 2], "FLOAT32")
    net.operator("EMBEDDING_LOOKUP_SPARSE", 1, inputs, [output], "EmbeddingLookupSparseOptions")
    return net.model([], [output])


def _case(
    name: str, rule: str, make: Callable[..., ts.Model], effects: dict[str, str], inside: dict[str, Any], **outside: Any
) -> Case:
    return Case(name, rule, lambda: make(**inside), lambda: make(**outside), effects)


_FLOATS = ("FLOAT32", "FLOAT32", "FLOAT32")
_SIX = {"left": (1, 1, 1, 1, 3, 4), "right": (4, 5)}
_FIVE = {"left": (1, 1, 1, 3, 4), "right": (4, 5)}

CASES = [
    # BATCH_MATMUL
    _case("bmm-rank", "tensor-rank", _product, everywhere("refuses"), _FIVE, **_SIX),
    _case("bmm-rank/low", "tensor-rank", _product, everywhere("refuses"), {"left": (3, 4), "right": (4, 5)}, left=()),
    _case(
        "bmm-types",
        "operator-types",
        _product,
        everywhere("refuses"),
        {"kinds": ("INT8", "INT8", "INT8")},
        kinds=("INT8", "FLOAT32", "INT8"),
    ),
    _case(
        "bmm-types/mixed",
        "operator-types",
        _product,
        {"tflite-2.14": "refuses", "tflm": "refuses"},
        {},
        kinds=("INT16", "INT8", "INT16"),
    ),
    _case("bmm-inner", "inner-dimension", _product, everywhere("refuses"), {}, right=(2, 5, 5)),
    _case("bmm-types/batches", "broadcast", _product, everywhere("refuses"), {"right": (1, 4, 5)}, right=(3, 4, 5)),
    _case("bmm-int16-zp", "int16-zero-point", _product, everywhere("refuses"), {}, zero_point=1),
    _case("bmm-mult", "product-scale", _product, everywhere("refuses"), {}, scales=(0.02, -0.03, 0.05)),
    _case("bmm-mult/zero", "scale-value", _product, everywhere("wrong-numbers"), {}, scales=(0.02, 0.03, 0.0)),
    Case(
        "bmm-mult/none",
        "missing-quantization",
        _product,
        lambda: _product_without(0),
        everywhere("wrong-numbers"),
    ),
    # EMBEDDING_LOOKUP
    _case("embedding", "weights-zero-point", _look_up, {**_LITERT, "tflm": "refuses"}, {}, zero_point=5),
    _case("embedding/rank", "tensor-rank", _look_up, everywhere("refuses"), {}, ids=(0, 2, 1), ids_shape=(1, 3)),
    _case("embedding/table-rank", "tensor-rank", _look_up, everywhere("refuses"), {}, shape=(4,)),
    _case("embedding/bounds", "index-bounds", _look_up, everywhere("refuses"), {"ids": (0, 3, 1)}, ids=(0, 4, 1)),
    _case(
        "embedding/rows-2-14",
        "quantization-scheme",
        _look_up,
        {"tflite-2.14": "wrong-numbers", "tflm": "wrong-numbers"},
        {},
        scales=(0.1, 0.2, 0.3, 0.4),
    ),
    _case(
        "embedding/columns",
        "quantized-dimension",
        _look_up,
        _LITERT,
        {"scales": (0.1, 0.2, 0.3, 0.4)},
        scales=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
        dimension=1,
    ),
    _case(
        "embedding/copied",
        "same-quantization",
        _look_up,
        tflite("wrong-numbers"),
        {"result": "INT8", "result_scale": 0.1},
        result="INT8",
        result_scale=0.2,
    ),
    _case("embedding/unscaled", "missing-quantization", _look_up, everywhere("wrong-numbers"), {}, scales=None),
    _case(
        "embedding/type-2-14",
        "operator-types",
        _look_up,
        {"tflite-2.14": "refuses", "tflm": "refuses"},
        {"kind": "FLOAT32", "scales": None},
        kind="INT32",
        scales=None,
        result="INT32",
    ),
    # EMBEDDING_LOOKUP_SPARSE
    _case("embedding-sparse", "dimension-match", _look_up_sparse, tflite("refuses"), {}, weights=2),
    _case("embedding-sparse/shape", "dimension-match", _look_up_sparse, tflite("refuses"), {}, dense_rank=3),
    _case("embedding-sparse/rank", "tensor-rank", _look_up_sparse, tflite("refuses"), {}, table=(4,)),
    _case("embedding-sparse/bounds", "index-bounds", _look_up_sparse, tflite("refuses"), {}, ids=(1, 4, 0)),
]
