"""Conditions of variables that are kept between runs."""

from __future__ import annotations

from functools import partial

import tflite_surgeon as ts
from tests.builders import Net
from tests.conditions.case import Case, own_kernels


def _variable(written: bool) -> ts.Model:
    """A variable that is read, after it was written or before."""
    net = Net()
    value, result = net.tensor("input", [1, 4], "FLOAT32"), net.tensor("output", [1, 4], "FLOAT32")
    handle = net.tensor("handle", [1], "RESOURCE")
    net.operator("VAR_HANDLE", 1, [], [handle], "VarHandleOptions", container="", shared_name="kept")
    if written:
        net.operator("ASSIGN_VARIABLE", 1, [handle, value], [], "AssignVariableOptions")
    net.operator("READ_VARIABLE", 1, [handle], [result], "ReadVariableOptions")
    return net.model([value], [result])


CASES = [
    Case(
        "resource-variable",
        "resource-variable",
        partial(_variable, True),
        partial(_variable, False),
        own_kernels("unknown"),
    ),
]
