"""What was found before: the JSON report of an earlier check."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from tflite_surgeon.errors import UnusableFileError
from tflite_surgeon.report.checked import Checked, fingerprints


def read_baseline(path: Path) -> set[str]:
    """The fingerprints of an earlier `check --format json`.

    Raises:
        UnusableFileError: the file cannot be read, or is no such report.
    """
    import json  # Only who gives a baseline needs it.

    try:
        report = json.loads(path.read_bytes())
        return {finding["fingerprint"] for model in report["models"] for finding in model["findings"]}
    except OSError as error:
        raise UnusableFileError(f"cannot be read as a baseline: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UnusableFileError("is no baseline: expected the output of tflite-surgeon check --format json") from None


def without_known(entry: Checked, known: Collection[str]) -> Checked:
    """The file with only those findings that the baseline does not have."""
    marks = fingerprints(entry.path, entry.findings)
    new = [finding for finding, mark in zip(entry.findings, marks) if mark not in known]
    return replace(entry, findings=new, known=len(entry.findings) - len(new))
