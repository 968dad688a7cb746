"""Models to verify."""

from __future__ import annotations

import tflite_surgeon as ts
from tests import builders
from tests.builders import part
from tflite_surgeon.verification.meaning import float_copy


def damaged(number: int = 1, factor: float = 5.0) -> ts.Model:
    """A chain whose layer `number` adds a bias with other integers."""
    model = builders.chain(3)
    bias = part(model, "bias", number)
    bias.set_values((bias.values() * factor).astype("i4"))
    return model


def killing() -> ts.Model:
    """An addition with an input scale of 0, over which the kernel aborts the process."""
    net = builders.Net()
    inputs = [net.tensor(f"input_{number}", [1, 4], "INT8", scale) for number, scale in enumerate((0.5, 0.0))]
    result = net.tensor("output", [1, 4], "INT8", 0.5)
    net.operator("ADD", 2, inputs, [result], "AddOptions")
    return net.model(inputs, [result])


def refused() -> ts.Model:
    """A layer whose input has no quantisation: it does not load."""
    model = builders.layer()
    part(model, "input").quantization = None
    return model


def as_floats(model: ts.Model) -> ts.Model:
    """The same layer in floats, for a comparison between types."""
    return float_copy(model)


def two_outputs(swapped: bool = False) -> ts.Model:
    """Two layers on one input; swapped, the outputs come in the other order, and the signature still names them."""
    model = builders.one_input()
    if swapped:
        model.subgraphs[0].outputs.reverse()
    return model


def open_batch() -> ts.Model:
    """A float model whose first dimension is open."""
    net = builders.Net()
    source, result = (net.tensor(name, [1, 4], "FLOAT32") for name in ("input", "output"))
    for tensor in (source, result):
        tensor.shape_signature = [-1, 4]
    net.operator("RELU6", 1, [source], [result])
    return net.model([source], [result])
