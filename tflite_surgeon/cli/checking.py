"""The command `check`."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.cli.inputs import read_model
from tflite_surgeon.cli.outputs import UNUSABLE, print_error
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS, NAMES
from tflite_surgeon.report.json_report import Checked, findings_as_json
from tflite_surgeon.rules.registry import Severity, check, require_known


def run(paths: Sequence[str], targets: Sequence[str] | None, format: str) -> int:
    """Check files and print what was found; returns the exit code."""
    targets = list(targets or DEFAULT_TARGETS)
    try:
        require_known("runtime", targets, NAMES)
    except SurgeonError as error:
        print_error(None, error)
        return UNUSABLE
    checked = [_check(path, targets) for path in paths]
    if format == "json":
        print(findings_as_json(checked))
    else:
        _print(checked, targets)
    return max(map(_exit_code, checked), default=0)


def _check(path: str, targets: Sequence[str]) -> Checked:
    try:
        with read_model(path) as model:
            return Checked(path, check(model, targets))
    except SurgeonError as error:
        return Checked(path, error=str(error))


def _exit_code(entry: Checked) -> int:
    if entry.error is not None:
        return UNUSABLE
    return int(any(finding.severity >= Severity.WARNING for finding in entry.findings))


def _print(checked: Sequence[Checked], targets: Sequence[str]) -> None:
    from tflite_surgeon.report.console import Printer
    from tflite_surgeon.report.findings import print_findings
    from tflite_surgeon.report.names import as_argument

    printer = Printer()
    for number, entry in enumerate(checked):
        if entry.error is not None:
            print_error(entry.path, entry.error)
            continue
        if number and entry.findings:
            printer.line()
        print_findings(printer, entry.path, entry.findings, targets)
        if any(finding.rule == "bias-scale" for finding in entry.findings):
            printer.line()
            printer.line(f"To repair: tflite-surgeon fix-bias-scale {as_argument(entry.path)}")
