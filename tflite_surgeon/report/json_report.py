"""Findings and verdicts as strict JSON, the same for the same models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tflite_surgeon.model.json_values import as_text as as_text
from tflite_surgeon.model.json_values import finite

if TYPE_CHECKING:
    from tflite_surgeon.report.checked import Checked
    from tflite_surgeon.rules.registry import Finding


def findings_as_json(checked: Sequence[Checked]) -> str:
    """`{"models": [{"path", "error" where unusable, "verdicts": {...}, "findings": [...]}]}`.

    NaN and infinities are strings; what is unknown is null.
    """
    return json.dumps({"models": [_model(entry) for entry in checked]}, indent=2, allow_nan=False)


def _model(entry: Checked) -> dict[str, Any]:
    from tflite_surgeon.report.checked import fingerprints

    result: dict[str, Any] = {"path": as_text(entry.path)}
    if entry.error is not None:
        result["error"] = as_text(entry.error)
    result["verdicts"] = {
        name: {key: value for key, value in asdict(verdict).items() if key != "reason" or value is not None}
        for name, verdict in entry.verdicts.items()
    }
    if entry.known:
        result["known"] = entry.known
    marks = fingerprints(entry.path, entry.findings)
    result["findings"] = [_finding(finding, mark) for finding, mark in zip(entry.findings, marks)]
    return result


def _finding(finding: Finding, fingerprint: str) -> dict[str, Any]:
    tensor = None if finding.tensor is None else {"index": finding.tensor[0], "name": as_text(finding.tensor[1])}
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "subgraph": finding.subgraph,
        "operator": finding.operator,
        "operator_name": plain(finding.operator_name),
        "tensor": tensor,
        "offset": finding.offset,
        "message": as_text(finding.message),
        "runtimes": finding.runtimes,
        "fingerprint": fingerprint,
        **{key: plain(value) for key, value in finding.details.items()},
    }


def plain(value: Any) -> Any:
    """The value in JSON's terms."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
