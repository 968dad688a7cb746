"""`explain` and `rules`: from a rule's name or a pasted message to what it means, and to the node."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests import builders
from tflite_surgeon import save
from tflite_surgeon.cli.app import app
from tflite_surgeon.rules.explaining import explain
from tflite_surgeon.rules.registry import rules

run = CliRunner().invoke
CONDITIONS = os.environ.get("TFLITE_SURGEON_CONDITIONS")


def test_rules_lists_every_rule_with_its_first_sentence() -> None:
    lines = run(app, ["rules"]).stdout.splitlines()
    assert len(lines) == len(rules())
    for line, rule in zip(lines, rules().values()):
        assert line.split(None, 1) == [rule.name, rule.title]


@pytest.mark.parametrize("name", sorted(rules()))
def test_every_rule_has_a_page(name: str) -> None:
    result = run(app, ["explain", name])
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    rule = rules()[name]
    assert words.startswith(f"{name} {rule.title}")
    assert " ".join(rule.advice.split()) in words
    assert rule.source in words


# As people pasted them: with paths, lines, node numbers, line breaks, colours of a log.
PASTED = {
    "E/tflite: tensorflow/lite/kernels/kernel_util.cc:404 scale_diff / output_scale <= 0.02 was not true.\n"
    "E/tflite: Node number 26 (FULLY_CONNECTED) failed to prepare.": ("bias-scale", 26),
    "RuntimeError: tflite/kernels/pooling.cc:91 params->stride_height > 0 was not true."
    "Node number 3 (AVERAGE_POOL_2D) failed to prepare.": ("option-value", 3),
    "tensorflow/lite/micro/kernels/pooling_common.cc:73 scale_diff <= 1.0e-6 was not true.\n"
    "Node AVERAGE_POOL_2D (number 7f) failed to prepare with status 1": ("same-quantization", 7),
    "failed to delegate CONV_2D node #6\nNode number 13 (TfLiteXNNPackDelegate) failed to prepare.": (
        "xnnpack-definition",
        6,
    ),
}


@pytest.mark.parametrize("text", PASTED, ids=lambda text: text[-60:])
def test_a_pasted_message_leads_to_its_rule_and_node(text: str) -> None:
    rule, node = PASTED[text]
    found = explain(text)
    assert [found_rule.name for found_rule in found.rules] == [rule]
    assert found.node == node
    result = run(app, ["explain", text])
    assert result.exit_code == 0
    assert rule in result.stdout


TOPICS = [
    "Array conv2d, which is an input to the Conv operator producing the output array relu, is lacking min/max data, "
    "which is necessary for quantization",
    "java.lang.IllegalArgumentException: Cannot convert between a TensorFlowLite buffer with 120000 bytes and a "
    "ByteBuffer with 30000 bytes.",
    "Cannot copy to a TensorFlowLite tensor (serving_default) with 602112 bytes from a Java Buffer with 150528 bytes",
    "Cannot copy between a TensorFlowLite tensor with shape [1, 10] and a Java object with shape [10]",
    "ValueError: Cannot set tensor: Got value of type NOTYPE but expected type FLOAT32 for input 0, name: x",
    "Cannot set tensor: Dimension mismatch. Got 3 but expected 4 for input 0.",
    "Tensor data is null. Run allocate_tensors() first",
    "CONV_2D: Max version supported: 2. Requested version 5.",
    "Regular TensorFlow ops are not supported by this interpreter.",
    "Following operations are not supported by GPU delegate: CAST: Not supported cast case",
    "Operation is otherwise supported, but not mapped due to some unspecified limitation",
    "Input tensor has type float32: it requires specifying NormalizationOptions metadata to preprocess input images.",
    "ByteBuffer is not a valid flatbuffer model",
    "flatbuffers: cannot grow buffer beyond 2 gigabytes",
    "Only support at least one signature key.",
    "Fatal signal 6 (SIGABRT), code -1 (SI_QUEUE)",
    "attempting to use a delegate that only supports static-sized tensors with a graph that has dynamic-sized tensors",
]


@pytest.mark.parametrize("text", TOPICS)
def test_texts_of_others_are_explained_too(text: str) -> None:
    found = explain(text)
    assert found.topics
    assert run(app, ["explain", text]).exit_code == 0
    for topic in found.topics:
        assert set(topic.rules) <= set(rules())


def test_with_a_model_it_points_at_the_node(tmp_path: Path) -> None:
    model = builders.chain(3)
    builders.damage(builders.part(model, "bias", 1), 3.0)
    path = tmp_path / "model.tflite"
    save(model, path)
    text = "scale_diff / output_scale <= 0.02 was not true. Node number 1 (FULLY_CONNECTED) failed to prepare."
    result = run(app, ["explain", text, str(path)])
    assert result.exit_code == 0
    assert "operator 1 (FULLY_CONNECTED), tensor" in result.stdout
    assert "tflite-surgeon fix-bias-scale" in result.stdout
    sound = run(app, ["explain", text.replace("number 1", "number 0"), str(path)])
    assert "operator 1 (FULLY_CONNECTED), tensor" in sound.stdout, "the node may be counted otherwise: by the rule"
    save(builders.chain(3), path)
    assert "nothing of the kind" in run(app, ["explain", text, str(path)]).stdout


def test_standard_input_is_read() -> None:
    assert "bias-scale" in run(app, ["explain", "-"], input="scale_diff / output_scale <= 0.02 was not true").stdout


@pytest.mark.parametrize("text", ["", "no runtime says this", "\x1b[31m", "x" * 10000])
def test_an_unknown_text_is_one_sentence_and_exit_2(text: str) -> None:
    result = run(app, ["explain", text])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "\x1b" not in result.stderr


def test_an_unusable_model_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    result = run(app, ["explain", "bias-scale", str(tmp_path / "missing.tflite")])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(CONDITIONS is None, reason="the environment variable TFLITE_SURGEON_CONDITIONS is not set")
def test_every_recorded_text_is_explained() -> None:
    """TFLITE_SURGEON_CONDITIONS names a file of conditions, each with what runtimes said just outside it."""
    assert CONDITIONS is not None
    unexplained = []
    for line in Path(CONDITIONS).read_text(encoding="utf-8").splitlines():
        for key, text in json.loads(line).items():
            if key.startswith("runtime_error") and text and text != "accepted":
                found = explain(text)
                if not found.rules and not found.topics:
                    unexplained.append(text)
    assert unexplained == []
