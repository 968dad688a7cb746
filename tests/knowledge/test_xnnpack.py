"""Which nodes XNNPACK takes: the prediction beside what the runtime did, on real models and on tiny variants."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import enum_class, part
from tflite_surgeon.knowledge.operators import addends, tensor_in_role
from tflite_surgeon.knowledge.xnnpack import Placement, takes

MODELS = os.environ.get("TFLITE_SURGEON_MODELS")
NAN = float("nan")


# Tiny variants: one thing changed in a sound layer

Change = Callable[[ts.Model], None]


def _quantization(role: str, **values: object) -> Change:
    def change(model: ts.Model) -> None:
        for name, value in values.items():
            setattr(part(model, role).quantization, name, value)

    return change


def _tensor(role: str, **values: object) -> Change:
    def change(model: ts.Model) -> None:
        for name, value in values.items():
            setattr(part(model, role), name, value)

    return change


def _option(name: str, value: int) -> Change:
    def change(model: ts.Model) -> None:
        options = builders.node(model).builtin_options
        if hasattr(options, name):
            setattr(options, name, value)

    return change


def _computed(role: str) -> Change:
    def change(model: ts.Model) -> None:
        part(model, role).buffer = model.buffers[0]
        model.subgraphs[0].inputs.append(part(model, role))

    return change


def _several(role: str, count: int) -> Change:
    def change(model: ts.Model) -> None:
        quantization = part(model, role).quantization
        quantization.scale = (quantization.scale * count)[:count]
        quantization.zero_point = (quantization.zero_point * count)[:count]

    return change


def _without_quantisation(role: str) -> Change:
    return lambda model: setattr(part(model, role), "quantization", None)


def _without_bias(model: ts.Model) -> None:
    operator = builders.node(model)
    operator.inputs = [item if item is not operator.role("bias") else None for item in operator.inputs]


def _version(number: int) -> Change:
    return lambda model: setattr(model.operator_codes[0], "version", number)


CHANGES: dict[str, Change] = {
    "sound": lambda model: None,
    **{f"bias scale {s}": _quantization("bias", scale=[s]) for s in (0.0, -1.0, NAN, float("inf"), 1e-40, 2.0**-126)},
    "bias zero point": _quantization("bias", zero_point=[1]),
    "bias dimension": _quantization("bias", quantized_dimension=1),
    "bias several": _several("bias", 4),
    "bias one": _several("bias", 1),
    "bias no quantisation": _without_quantisation("bias"),
    "bias rank 2": _tensor("bias", shape=[1, 4]),
    "bias computed": _computed("bias"),
    "bias absent": _without_bias,
    **{f"weights scale {s}": _quantization("weights", scale=[s]) for s in (0.0, -1.0, NAN, float("inf"), 1e-40)},
    **{f"weights zero point {z}": _quantization("weights", zero_point=[z]) for z in (1, 0, 128)},
    **{f"weights dimension {d}": _quantization("weights", quantized_dimension=d) for d in (0, 1, 3)},
    "weights several": _several("weights", 4),
    "weights computed": _computed("weights"),
    "weights no quantisation": _without_quantisation("weights"),
    "input dimension": _quantization("input", quantized_dimension=1),
    "input no quantisation": _without_quantisation("input"),
    "output dimension": _quantization("output", quantized_dimension=1),
    "output zero point": _quantization("output", zero_point=[0]),
    **{f"activation {name}": _option("fused_activation_function", enum_class("ActivationFunctionType")[name])
       for name in ("RELU", "RELU6", "RELU_N1_TO_1", "TANH", "SIGN_BIT")},
    "padding same": _option("padding", 0),
    "padding unknown": _option("padding", 2),
    "stride 2": _option("stride_w", 2),
    "dilation 2": _option("dilation_h_factor", 2),
    "keep dims": _option("keep_num_dims", True),
    "shuffled": _option("weights_format", 1),
    **{f"version {number}": _version(number) for number in (1, 2, 3, 5)},
}  # fmt: skip
LAYERS = {
    f"{operator}-{kind}-{'per-channel' if per_channel else 'per-tensor'}": (operator, kind, per_channel)
    for operator in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
    for kind, per_channel in (("INT8", False), ("INT8", True), ("UINT8", False), ("INT16", True))
}


def ask(paths: list[Path]) -> list[dict]:
    """What the runtime did with each model; a child that dies is an error of the model it had."""
    answers: list[dict] = []
    while len(answers) < len(paths):
        rest = paths[len(answers) :]
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("delegated.py"))],
            input="".join(f"{path}\n" for path in rest),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        answers += [json.loads(line) for line in done.stdout.splitlines()]
        if len(answers) < len(paths):
            answers.append({"delegated": None, "error": f"died: {done.returncode}"})
    return answers


@pytest.mark.skipif(importlib.util.find_spec("ai_edge_litert") is None, reason="ai_edge_litert is not installed")
@pytest.mark.parametrize("layer", LAYERS)
def test_tiny_variants(layer, tmp_path):
    operator, kind, per_channel = LAYERS[layer]
    cases = {name: (4, change) for name, change in CHANGES.items()}
    # Two channels, as many as the kernel has rows and columns: a scale vector that counts along another axis is valid.
    for axis in range(4):
        cases[f"weights of two channels along {axis}"] = (2, _quantization("weights", quantized_dimension=axis))
    paths, predictions = [], []
    for number, (channels, change) in enumerate(cases.values()):
        model = builders.layer(operator, kind, per_channel=per_channel, channels=channels)
        change(model)
        paths.append(tmp_path / f"{number}.tflite")
        paths[-1].write_bytes(ts.dumps(model))
        subgraph = model.subgraphs[0]
        bias = builders.node(model).role("bias")
        predictions.append(takes(subgraph.operators[0], Placement(subgraph.operators)) if bias else None)
    answers = ask(paths)
    wrong = {
        name: (predicted, answer)
        for name, predicted, answer in zip(cases, predictions, answers)
        # Files that the builder of interpreters refuses never reach the delegate.
        if predicted is not None
        and predicted != answer["delegated"]
        and "invalid quantization parameters" not in answer["error"]
    }
    assert wrong == {}
    reached = [answer for answer in answers if "invalid quantization parameters" not in answer["error"]]
    assert len(reached) > len(cases) / 2
    assert answers[0] == {"delegated": kind != "INT16", "error": ""}


# Real models


@pytest.mark.skipif(MODELS is None, reason="the environment variable TFLITE_SURGEON_MODELS is not set")
def test_real_models():
    """Every node of the collection that adds a quantised bias, and that the runtime was seen to place."""
    asked = wrong = 0
    with open(Path(str(MODELS)) / "xnnpack_claimed.jsonl", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            if row["note"] != "ok":
                continue
            claimed = {(graph, node) for graph, nodes in row["claimed"] for node in nodes}
            model = ts.load(Path(str(MODELS)) / row["file"])
            for node in model.nodes():
                types = {
                    tensor.type_name
                    for addend in addends(node.operator)
                    if (tensor := tensor_in_role(node.operator, addend.bias)) is not None
                }
                value = node.operator.role("input") if types else None
                if not types & {"INT32", "INT64"} or value is None or value.type_name not in ("INT8", "UINT8", "INT16"):
                    continue
                asked += 1
                predicted = takes(node.operator, Placement(node.subgraph.operators))
                if predicted != ((node.subgraph_index, node.index) in claimed):
                    wrong += 1
                    print(row["file"], node.path, node.operator.name, predicted)
    assert wrong == 0
    assert asked > 300
