"""Models of one node that moves values, for the cases of TFLM's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import tflite_surgeon as ts
from tests.builders import Net


class Given(NamedTuple):
    """A tensor beside the node: an input of the model, or a constant where there are values."""

    shape: Sequence[int] | None = None
    kind: str = "FLOAT32"
    scale: float | None = None
    zero_point: int = 0
    values: Any = None


def constant(values: Any, kind: str = "INT32", scale: float | None = None, zero_point: int = 0) -> Given:
    return Given(np.asarray(values).shape, kind, scale, zero_point, values)


def moved(
    operator: str,
    inputs: Sequence[Given | None],
    outputs: Sequence[Given],
    options: str | None = None,
    *,
    version: int = 1,
    **values: Any,
) -> ts.Model:
    """A model of one node."""
    net = Net()
    tensors = [None if one is None else _tensor(net, f"input_{number}", one) for number, one in enumerate(inputs)]
    results = [_tensor(net, f"output_{number}", one) for number, one in enumerate(outputs)]
    net.operator(operator, version, tensors, results, options, **values)
    given = [tensor for tensor, one in zip(tensors, inputs) if tensor is not None and one and one.values is None]
    return net.model(given, results)


def _tensor(net: Net, name: str, one: Given) -> ts.Tensor:
    return net.tensor(name, one.shape or (), one.kind, one.scale, one.zero_point, one.values)


def called(main: ts.Model, *others: ts.Model) -> ts.Model:
    """The first model with the graphs of others behind its own."""
    for other in others:
        main.subgraphs += other.subgraphs
        main.buffers += other.buffers
        main.operator_codes += other.operator_codes
    return main
