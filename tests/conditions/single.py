"""Models of one node with one input and one output, for the cases of several families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import tflite_surgeon as ts
from tests.builders import DTYPES, Net


class Side(NamedTuple):
    """The input or the output of the node."""

    kind: str = "FLOAT32"
    scale: float | Sequence[float] | None = None
    zero_point: int = 0
    shape: Sequence[int] = (1, 4)
    values: Any = None
    dimension: int = 0


FLOATS = Side()


def single(
    operator: str,
    source: Side = FLOATS,
    result: Side = FLOATS,
    options: str | None = None,
    *,
    version: int = 1,
    axis: Side | None = None,
    **values: Any,
) -> ts.Model:
    """A model of one node; with the axis, a second input of INT32 or INT64 values."""
    net = Net()
    inputs, outputs = [_tensor(net, "input", source)], [_tensor(net, "output", result)]
    given = inputs if source.values is None else []
    nodes = inputs if axis is None else [*inputs, _tensor(net, "axis", axis)]
    net.operator(operator, version, nodes, outputs, options, **values)
    return net.model(given, outputs)


def _tensor(net: Net, name: str, side: Side) -> ts.Tensor:
    kind = side.kind if side.kind in DTYPES or side.values is None else "INT8"
    values = None if side.values is None else np.asarray(side.values).reshape(side.shape)
    return net.tensor(name, side.shape, kind, side.scale, side.zero_point, values, dimension=side.dimension)
