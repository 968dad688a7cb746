"""Findings as workflow commands, which GitHub Actions shows beside the files.

Source: GitHub's documentation of workflow commands; its toolkit escapes the same characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tflite_surgeon.report.checked import Checked
from tflite_surgeon.report.json_report import as_text
from tflite_surgeon.report.names import printable
from tflite_surgeon.rules.registry import Finding, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def workflow_commands(checked: Sequence[Checked]) -> Iterator[str]:
    """A line for each finding, and for each file that cannot be used."""
    for entry in checked:
        if entry.error is not None:
            yield _command("error", entry.path, "unusable file", entry.error)
        for finding in entry.findings:
            yield _command(_COMMANDS[finding.severity], entry.path, finding.rule, _sentence(finding))


def _command(name: str, path: str, title: str, message: str) -> str:
    return f"::{name} file={_property(path)},title={_property(title)}::{_data(message)}"


def _sentence(finding: Finding) -> str:
    operator = printable(finding.operator_name or "")
    where = "the file" if finding.operator is None else f"{finding.path} ({operator})"
    tensor = "" if finding.tensor is None else f", tensor {finding.tensor[0]} '{printable(finding.tensor[1])}'"
    return f"{where}{tensor}: {printable(finding.message, longest=2000)}."


def _data(text: str) -> str:
    return as_text(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
