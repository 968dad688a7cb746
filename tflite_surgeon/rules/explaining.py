"""From a text that somebody met to the rules and topics that explain it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tflite_surgeon.model.objects import Model
from tflite_surgeon.rules.registry import Finding, Rule, View, find, rules
from tflite_surgeon.rules.topics import TOPICS, Topic

# How runtimes name a node: "Node number 26 (CONV_2D)", "Node CONV_2D (number 26f)", "CONV_2D node #26".
_NODES = (
    re.compile(r"node number (\d+)(?: \((\w[\w.:-]*)\))?", re.IGNORECASE),
    re.compile(r"node (\w[\w.:-]*) \(number (\d+)f?\)", re.IGNORECASE),
    re.compile(r"(\w+) node #(\d+)", re.IGNORECASE),
)
_TENSOR = re.compile(r"tensor (\d+)\b", re.IGNORECASE)
_DELEGATES = ("TfLiteXNNPackDelegate", "TfLiteGpuDelegateV2", "TfLiteNnapiDelegate")
_SPEAKERS = (
    (re.compile(r"tensorflow/lite/micro/|\bTFLM\b|with status \d"), "TFLM"),
    (re.compile(r"XNNP[Aa][Cc][Kk]"), "the XNNPACK delegate"),
    (re.compile(r"tensorflow/lite/"), "tflite-runtime, or another program built from TensorFlow Lite"),
    (re.compile(r"\btflite/(kernels|core|util)"), "LiteRT"),
)


class Explanation(NamedTuple):
    """What is known of a text.

    Attributes:
        rules: those whose breach runtimes report by it.
        topics: what it means where no rule looks.
        speaker: who prints it, where the text tells; else None.
        node: the node that it names, else None; never a delegate's.
        operator: the name of that node's operator, where the text has it.
        tensors: the tensors that it names.
    """

    rules: Sequence[Rule]
    topics: Sequence[Topic]
    speaker: str | None
    node: int | None
    operator: str | None
    tensors: Sequence[int]


def explain(text: str) -> Explanation:
    """What a rule's name or a runtime's message means; nothing found leaves `rules` and `topics` empty."""
    known = rules()
    name = text.strip()
    if name in known:
        return Explanation([known[name]], [], None, None, None, [])
    found = [rule for rule in known.values() if any(said.pattern.search(text) for said in rule.sayings)]
    if not found:
        found = [rule for rule in known.values() if any(said.is_in(text) for said in rule.sayings)]
    topics = [topic for topic in TOPICS if topic.matches(text)]
    if found:  # The line that names the node says nothing more.
        topics = [topic for topic in topics if topic.name != "node failed"]
    speaker = next((who for pattern, who in _SPEAKERS if pattern.search(text)), None)
    node, operator = _node(text)
    tensors = [int(number) for number in _TENSOR.findall(text)]
    return Explanation(found, topics, speaker, node, operator, tensors)


def _node(text: str) -> tuple[int | None, str | None]:
    for pattern in _NODES:
        for match in pattern.finditer(text):
            first, second = match.groups()
            number, operator = (first, second) if first.isdigit() else (second, first)
            if operator not in _DELEGATES:
                return int(number), operator
    return None, None


def findings_about(model: Model, explanation: Explanation) -> list[Finding]:
    """What the rules find in a model that fits a text: at the node it names, or by the rules that explain it."""
    everything = find(View(model), list(rules().values()))
    if explanation.node is not None:
        at_node = [finding for finding in everything if finding.operator == explanation.node]
        if at_node:
            return at_node
    names = {rule.name for rule in explanation.rules}
    names.update(name for topic in explanation.topics for name in topic.rules)
    return [finding for finding in everything if finding.rule in names]
