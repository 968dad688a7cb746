"""Conditions of TFLM's kernels that call subgraphs."""

from __future__ import annotations

from functools import partial

import tflite_surgeon as ts
from tests.builders import Net
from tests.conditions.case import Case
from tests.conditions.moving import Given, called, moved


def _absolute(length: int) -> ts.Model:
    return moved("ABS", [Given([length])], [Given([length])], "AbsOptions")


def _branching(length: int) -> ts.Model:
    """An IF whose branches take and make so many elements; the node has two."""
    net = Net()
    condition, source = net.tensor("condition", [1], "BOOL"), net.tensor("input", [2], "FLOAT32")
    result = net.tensor("output", [2], "FLOAT32")
    node = net.operator("IF", 1, [condition, source], [result], "IfOptions")
    model = called(net.model([condition, source], [result]), _absolute(length), _absolute(length))
    node.builtin_options.then_subgraph, node.builtin_options.else_subgraph = model.subgraphs[1:]
    return model


CASES = [
    Case("if-sizes-tflm", "subgraph-call", partial(_branching, 2), partial(_branching, 3), {"tflm": "refuses"}),
]
