"""The lowest versions beside those that the models of the collection declare, and the record of the oldest runtime."""

from __future__ import annotations

import os
from collections import Counter

import pytest

import tflite_surgeon as ts
from tests.collection.agreement import folder, rows
from tflite_surgeon.knowledge.minimum_versions import minimum_version
from tflite_surgeon.knowledge.oldest_runtimes import oldest_runtime
from tflite_surgeon.views.versions import recorded_version

pytestmark = [
    pytest.mark.collection,
    pytest.mark.skipif(
        "TFLITE_SURGEON_MODELS" not in os.environ, reason="the environment variable TFLITE_SURGEON_MODELS is not set"
    ),
]

# Models that a tool wrote which changes types and leaves versions as they were: what they declare is too low.
_REWRITTEN = (
    "derived/",  # ai-edge-quantizer
    "google-ai-edge+ai-edge-quantizer/",
    "google-ai-edge+LiteRT/",  # its tests' models: made by hand, or by the same quantizer
    "tensorflow+tflite-micro/add",  # requantize_flatbuffer.py: from INT8 to INT16
    "tensorflow+tflite-micro/pad",
    "tensorflow+tflite-micro/sub",
    "tensorflow+tflite-micro/quantize0",
    "tensorflow+tflite-micro/person_detect",  # from before INT8 convolutions had a version of their own
)
_MOST_FREQUENT = 0.8


def declared() -> dict[str, list[tuple[int, int]]]:
    """Of each model, for every operator code that is used: the version declared, and the lowest."""
    found = {}
    for row in rows():
        if "patches" in row:
            continue
        try:
            model = ts.load(folder() / row["file"])
        except ts.SurgeonError:
            continue
        lowest: dict[int, tuple[int, int]] = {}
        for node in model.nodes():
            code = node.operator.opcode
            if isinstance(code, ts.OperatorCode) and code.name in ts.BuiltinOperator.__members__ and code.code != 32:
                before = lowest.get(id(code), (code.version, 0))
                lowest[id(code)] = (code.version, max(before[1], minimum_version(node.operator).version))
        found[row["file"]] = list(lowest.values())
    return found


def test_no_minimum_is_above_what_the_converter_declares() -> None:
    above, counts = [], Counter()
    for file, versions in declared().items():
        for version, lowest in versions:
            counts["equal" if version == lowest else "above" if lowest > version else "below"] += 1
            if lowest > version and not file.startswith(_REWRITTEN):
                above.append((file, version, lowest))
    assert above == []
    assert counts["equal"] >= _MOST_FREQUENT * sum(counts.values()), counts


def test_the_recorded_oldest_runtime_is_the_computed_one() -> None:
    counts: Counter[str] = Counter()
    for row in rows():
        if "patches" in row:
            continue
        try:
            model = ts.load(folder() / row["file"])
        except ts.SurgeonError:
            continue
        recorded = recorded_version(model)
        if recorded is None:
            continue
        codes = {(node.operator.opcode.name, node.operator.opcode.version) for node in model.nodes()}
        computed = oldest_runtime(codes)
        if computed is None:
            continue
        numbers = [[int(part) for part in text.split(".")] for text in (recorded, computed)]
        counts["equal" if numbers[0] == numbers[1] else "above" if numbers[1] > numbers[0] else "below"] += 1
    assert counts["below"] == 0, counts
    assert counts["equal"] >= _MOST_FREQUENT * sum(counts.values()), counts
