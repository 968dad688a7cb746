"""Nodes that are alike are checked once: whatever is changed in some, the answers are those of a check of each."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.builders import Net, chain, enum_class, net_layer, table_class
from tflite_surgeon.knowledge.alike import Alikes
from tflite_surgeon.quantization import float32s

ALL = ("litert", "litert-no-delegate", "tflite-2.14", "tflm")
KINDS = ("INT8", "UINT8", "INT16", "FLOAT32")
OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
FACTORS = (0.0, -1.0, 1e-45, 1e-12, 1e-7, 1e-3, 1.0000001, 1.0000003, 1.0005, 1.1, 300.0, 1e5, 1e9, 1e35, math.inf)
POINTS = (0, 1, -1, 3, 8, 127, 128, -129, 255, 256, 1 << 31, 1 << 40)
TYPES = ("INT8", "UINT8", "INT16", "INT32", "INT64", "FLOAT32", "INT4", "FLOAT16", "STRING", "BOOL")
OPTIONS = {
    "padding": (0, 1, 2),
    "stride_w": (0, 1, 2, -1, 40000),
    "stride_h": (0, 1, 2, 40000),
    "dilation_w_factor": (0, 1, 2),
    "fused_activation_function": (0, 1, 2, 3, 4, 5, 9),
    "depth_multiplier": (0, 1, 2),
    "weights_format": (0, 1, 2),
    "keep_num_dims": (False, True),
    "quantized_bias_type": (0, 2, 4, 9),
}
Change = Callable[[Any, ts.Model], None]


def three(operator: str, kind: str, per_channel: bool) -> ts.Model:
    """Three layers that are alike in all but their scales."""
    net = Net()
    sources, results = [], []
    for number in range(3):
        source, result = net_layer(
            net,
            operator,
            "INT8" if kind == "FLOAT32" else kind,
            per_channel=per_channel,
            input_scale=0.0002 * (number + 1) if kind == "INT16" else 0.02 * (number + 1),
            suffix=f"_{number}",
        )
        sources.append(source)
        results.append(result)
    model = net.model(sources, results)
    if kind == "FLOAT32":
        for tensor in net.tensors:
            if tensor.type_name == "INT32" and tensor.name.startswith("output_shape"):
                continue
            tensor.type, tensor.quantization = enum_class("TensorType")["FLOAT32"], None
            if tensor.data is not None:
                tensor.buffer.data = bytes(4 * math.prod(tensor.shape))
    return model


def _tensor(random: Random, change: Callable[[Any], None]) -> Change:
    position = random.randrange(4)

    def apply(operator: Any, model: ts.Model) -> None:
        tensors = [*(operator.inputs or []), *(operator.outputs or [])]
        if position < len(tensors) and isinstance(tensors[position], ts.Tensor):
            change(tensors[position])

    return apply


def _quantization(random: Random, change: Callable[[Any], None]) -> Change:
    return _tensor(random, lambda tensor: change(tensor.quantization) if tensor.quantization is not None else None)


def _scale(random: Random) -> Change:
    factor, channel = random.choice((*FACTORS, math.nan)), random.choice((None, 0, 1, -1))

    def change(quantization: Any) -> None:
        scales = quantization.scale or []
        for number in range(len(scales)):
            if channel is None or number == channel % len(scales):
                scales[number] *= factor

    return _quantization(random, change)


def _units(random: Random) -> Change:
    """Input, bias and output in larger or smaller units that still suit each other."""
    factor = random.choice((1e-8, 1e-7, 1e-6, 1e-5, 1e3, 1e5))
    roles = random.choice((("input", "bias", "output"), ("input", "bias"), ("output",)))
    activation = random.choice((0, 1, 3))

    def apply(operator: Any, model: ts.Model) -> None:
        for role in roles:
            quantization = getattr(operator.role(role), "quantization", None)
            if quantization is not None and quantization.scale:
                quantization.scale = float32s([scale * factor for scale in quantization.scale])
        if hasattr(operator.builtin_options, "fused_activation_function"):
            operator.builtin_options.fused_activation_function = enum_class("ActivationFunctionType")(activation)

    return apply


def _points(random: Random) -> Change:
    point, count = random.choice(POINTS), random.choice((None, None, 0, 1, 2))

    def change(quantization: Any) -> None:
        length = len(quantization.zero_point or ()) if count is None else count
        quantization.zero_point = [point] * length

    return _quantization(random, change)


def _form(random: Random) -> Change:
    name, value = random.choice(
        (
            ("quantized_dimension", random.choice((-1, 0, 1, 3, 7))),
            ("zero_point", None),
            ("scale", random.choice((None, [], [0.01], [0.01, 0.02]))),
            ("details", table_class("CustomQuantization")()),
            ("details", table_class("BlockwiseQuantization")(block_size=32)),
        )
    )
    return _quantization(random, lambda quantization: setattr(quantization, name, value))


def _shape(random: Random) -> Change:
    axis, length = random.randrange(4), random.choice((-1, 0, 1, 2, 3, 4, 5, 1 << 31))

    def change(tensor: Any) -> None:
        if axis < len(tensor.shape or ()):
            tensor.shape[axis] = length
        else:
            tensor.shape = [*(tensor.shape or ()), 1]

    return _tensor(random, change)


def _field(random: Random) -> Change:
    name, value = random.choice(
        (
            ("type", enum_class("TensorType")[random.choice(TYPES)]),
            ("is_variable", True),
            ("external_buffer", 1),
            ("quantization", None),
            ("shape", None),
            ("sparsity", table_class("SparsityParameters")()),
            ("buffer", ts.Buffer(bytes(random.choice((1, 4, 16, 48, 64))))),
            ("buffer", ts.Buffer()),
            ("buffer", ts.BadReference(77)),
        )
    )
    return _tensor(random, lambda tensor: setattr(tensor, name, value))


def _option(random: Random) -> Change:
    name = random.choice(list(OPTIONS))
    value = random.choice(OPTIONS[name])

    def apply(operator: Any, model: ts.Model) -> None:
        if hasattr(operator.builtin_options, name):
            setattr(operator.builtin_options, name, value)

    return apply


def _node(random: Random) -> Change:
    name, value = random.choice(
        (
            ("builtin_options", None),
            ("builtin_options", table_class("AddOptions")()),
            ("builtin_options_2", table_class("StablehloPadOptions")()),
            ("custom_options", b"1"),
            ("inputs", None),
            ("outputs", []),
            ("mutating_variable_inputs", [True]),
        )
    )
    return lambda operator, model: setattr(operator, name, value)


def _reference(random: Random) -> Change:
    end, position = random.choice((("inputs", 0), ("inputs", 1), ("inputs", 2), ("outputs", 0))), random.randrange(9)

    def apply(operator: Any, model: ts.Model) -> None:
        listed = getattr(operator, end[0])
        tensors = [*(model.subgraphs[0].tensors or []), None, ts.BadReference(70)]
        if listed and end[1] < len(listed):
            listed[end[1]] = tensors[position * len(tensors) // 9]

    return apply


def _wanted(random: Random) -> Change:
    """Another output shape to be made by TRANSPOSE_CONV."""
    axis, length = random.randrange(4), random.choice((-1, 0, 1, 2, 3, 4))

    def apply(operator: Any, model: ts.Model) -> None:
        tensor = (operator.inputs or [None])[0]
        if tensor is not None and getattr(tensor, "data", None) and tensor.type_name == "INT32":
            values = list(struct.unpack("<4i", tensor.data[:16]))
            values[axis] = length
            tensor.buffer = ts.Buffer(struct.pack("<4i", *values))

    return apply


CHANGES = (_scale, _scale, _units, _points, _form, _shape, _field, _option, _option, _node, _reference, _wanted)


def answers(model: ts.Model) -> str:
    found = ts.check(model, ALL)
    return repr([(finding, finding.details) for finding in found]) + repr(ts.verdicts(model))


def both_answers(model: ts.Model, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    together = answers(model)
    with monkeypatch.context() as patched:
        patched.setattr(Alikes, "of", lambda self, operator: None)
        patched.setattr(Alikes, "look", lambda self, tensor: 0)
        return together, answers(model)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_answers_are_those_of_a_check_of_each_node(
    operator: str, kind: str, per_channel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(f"{operator} {kind} {per_channel}")
    for _ in range(80):
        model = three(operator, kind, per_channel)
        for _ in range(random.choice((1, 1, 2))):
            change = random.choice(CHANGES)(random)
            for number in random.sample(range(3), random.choice((1, 1, 2, 3))):
                change(model.subgraphs[0].operators[number], model)
        together, each = both_answers(model, monkeypatch)
        assert together == each


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_those_of_a_check_of_each_node_in_a_chain(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    for _ in range(10):
        model = chain(4, random.choice(KINDS[:3]))
        change = random.choice(CHANGES)(random)
        for number in random.sample(range(4), random.choice((1, 2))):
            change(model.subgraphs[0].operators[number], model)
        together, each = both_answers(model, monkeypatch)
        assert together == each


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_healthy_layers_of_different_scales_are_alike(operator: str, kind: str) -> None:
    model = three(operator, kind, per_channel=kind in ("INT8", "INT16"))
    alikes = Alikes(model)
    groups = {id(alikes.of(node)) for node in model.subgraphs[0].operators}
    assert len(groups) == 1
    assert id(None) not in groups


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_output_scale_too_small_for_the_activation_is_told(operator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = three(operator, "INT8", per_channel=False)
    for node in model.subgraphs[0].operators:
        node.builtin_options.fused_activation_function = enum_class("ActivationFunctionType")["RELU6"]
    for tensor in (node.role("input"), node.role("bias"), node.role("output")):
        tensor.quantization.scale = float32s([1e-8 * scale for scale in tensor.quantization.scale])
    together, each = both_answers(model, monkeypatch)
    assert together == each
    assert "activation-range" in together
