"""The pages of rules and topics, each made from its declaration."""

from __future__ import annotations

from collections.abc import Iterable

from tflite_surgeon.edits.repairs.registry import lacking, repairs
from tflite_surgeon.report.console import Printer
from tflite_surgeon.rules.registry import Rule
from tflite_surgeon.rules.topics import Topic

_TEXTS_SHOWN = 8


def print_rule(printer: Printer, rule: Rule) -> None:
    """A rule's page."""
    printer.line(rule.name, style="bold")
    for paragraph in rule.explanation.split("\n\n"):
        printer.line(" ".join(paragraph.split()), indent=4)
        printer.line()
    rows = [("what to do", " ".join(rule.advice.split())), *_repair(rule)]
    if rule.operators:
        rows.append(("operators", ", ".join(rule.operators)))
    texts = sorted({said.text.replace("{}", "...") for said in rule.sayings})
    more = [f"and {len(texts) - _TEXTS_SHOWN} texts more"] if len(texts) > _TEXTS_SHOWN else []
    shown = texts[:_TEXTS_SHOWN] + more
    rows += [("runtimes say" if number == 0 else "", text) for number, text in enumerate(shown)]
    rows.append(("source", rule.source))
    printer.pairs(rows, indent=4)


def _repair(rule: Rule) -> list[tuple[str, str]]:
    """What `fix` does about it, and what a file lacks where it cannot."""
    known = repairs().get(rule.name)
    rows = []
    if known is not None:
        chosen = f" --select {rule.name}" if rule.is_hygiene else ""
        rows.append(("repair", f"tflite-surgeon fix MODEL{chosen}: {known.does}"))
    lacks = lacking(rule.name)
    if lacks is not None:
        rows.append(("not repaired", lacks))
    return rows


def print_topic(printer: Printer, topic: Topic) -> None:
    """What a text means."""
    printer.line(topic.name, style="bold")
    printer.line(topic.meaning, indent=4)
    printer.line()
    rows = [("what to do", topic.advice), ("who says it", topic.who)]
    if topic.rules:
        rows.append(("see also", ", ".join(f"tflite-surgeon explain {name}" for name in topic.rules)))
    printer.pairs(rows, indent=4)


def print_rules(printer: Printer, rules: Iterable[Rule]) -> None:
    """All rules, a line each."""
    printer.pairs([(rule.name, rule.title) for rule in rules], indent=0)
