"""The commands `explain` and `rules`."""

from __future__ import annotations

import sys

from tflite_surgeon.cli.inputs import STANDARD, read_model
from tflite_surgeon.cli.outputs import UNUSABLE, print_error
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.report.buffer_sizes import print_mismatches, print_ratio
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.findings import print_finding, print_repair
from tflite_surgeon.report.names import printable
from tflite_surgeon.report.pages import print_rule, print_rules, print_topic
from tflite_surgeon.rules.explaining import Explanation, explain, findings_about
from tflite_surgeon.rules.registry import rules
from tflite_surgeon.views.buffer_sizes import Sizes, mismatches, sizes_in
from tflite_surgeon.views.inputs_outputs import inputs_outputs


def run(text: str, model_path: str | None) -> int:
    """Explain a rule or a message, and point at it in a model; returns the exit code."""
    if text == STANDARD:
        text = sys.stdin.read()
    printer = Printer()
    found = explain(text)
    if not found.rules and not found.topics:
        print_error(
            None,
            f"nothing is known of {printable(text.strip())!r}: give the whole line as the runtime printed it, or a "
            "name that tflite-surgeon rules lists. tflite-surgeon check MODEL finds what there is to find without it",
        )
        return UNUSABLE
    for number, rule in enumerate(found.rules):
        if number:
            printer.line()
        print_rule(printer, rule)
    for number, topic in enumerate(found.topics):
        if number or found.rules:
            printer.line()
        print_topic(printer, topic)
    _print_place(printer, found)
    sizes = sizes_in(text)
    if sizes is not None:
        return _explain_sizes(printer, sizes, model_path)
    return 0 if model_path is None else _point(printer, found, model_path)


def _print_place(printer: Printer, found: Explanation) -> None:
    rows = []
    if found.speaker is not None:
        rows.append(("printed by", found.speaker))
    if found.node is not None:
        rows.append(("node", f"{found.node}{f' ({found.operator})' if found.operator else ''}"))
    if rows:
        printer.line()
        printer.pairs(rows, indent=4)


def _explain_sizes(printer: Printer, sizes: Sizes, path: str | None) -> int:
    if path is None:
        print_ratio(printer, mismatches(sizes)[0])
        return 0
    try:
        with read_model(path) as model:
            interface = inputs_outputs(model)
    except SurgeonError as error:
        print_error(path, error)
        return UNUSABLE
    print_mismatches(printer, path, interface, mismatches(sizes, interface))
    return 0


def _point(printer: Printer, found: Explanation, path: str) -> int:
    try:
        with read_model(path) as model:
            findings = findings_about(model, found)
    except SurgeonError as error:
        print_error(path, error)
        return UNUSABLE
    printer.line()
    if not findings:
        where = "" if found.node is None else f" at node {found.node}"
        printer.line(f"{printable(path, longest=4096)}: nothing of the kind{where} is found in this model.")
        return 0
    printer.line(f"In {printable(path, longest=4096)}:", style="bold")
    for finding in findings:
        printer.line()
        print_finding(printer, finding)
    print_repair(printer, path, findings)
    return 0


def list_rules() -> int:
    """Print all rules; returns the exit code."""
    print_rules(Printer(), rules().values())
    return 0
