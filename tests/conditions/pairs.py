"""Models of one operator with two inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tflite_surgeon as ts
from tests.builders import Net
from tflite_surgeon.flatbuffer.schema import enum_class

_OPTIONS = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
_QUANTISED = ("INT8", "UINT8", "INT16")


def pair(
    operator: str = "ADD",
    kinds: str | Sequence[str] = "INT8",
    scales: Sequence[float | None] | None = None,
    zeros: Sequence[int] = (0, 0, 0),
    *,
    shapes: Sequence[Sequence[int]] = ([1, 4], [1, 4], [1, 4]),
    divisor: int | None = None,
    activation: str = "NONE",
    version: int = 1,
    **options: Any,
) -> ts.Model:
    """A model of one operator with two inputs; the second may be a constant."""
    given = [kinds] * 3 if isinstance(kinds, str) else list(kinds)
    if scales is None:
        scales = [0.5 if kind in _QUANTISED else None for kind in given]
    net = Net()
    values = None if divisor is None else np.full(shapes[1], divisor)
    first = net.tensor("first", shapes[0], given[0], scales[0], zeros[0])
    second = net.tensor("second", shapes[1], given[1], scales[1], zeros[1], values)
    result = net.tensor("output", shapes[2], given[2], scales[2], zeros[2])
    table = _OPTIONS.get(operator)
    if table is not None:
        options["fused_activation_function"] = enum_class("ActivationFunctionType")[activation]
    if operator in ("ADD", "SUB"):
        options.setdefault("pot_scale_int16", False)
    net.operator(operator, version, [first, second], [result], table, **options)
    return net.model([first] if values is not None else [first, second], [result])
