"""Findings as strict JSON, the same for the same models."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tflite_surgeon.rules.registry import Finding


@dataclass(frozen=True)
class Checked:
    """One file of a check: its findings, or why it cannot be used."""

    path: str
    findings: Sequence[Finding] = ()
    error: str | None = None


def findings_as_json(checked: Sequence[Checked]) -> str:
    """`{"models": [{"path", "error" where unusable, "findings": [...]}]}`; NaN and infinities are strings."""
    return json.dumps({"models": [_model(entry) for entry in checked]}, indent=2, allow_nan=False)


def _model(entry: Checked) -> dict[str, Any]:
    result: dict[str, Any] = {"path": _text(entry.path)}
    if entry.error is not None:
        result["error"] = _text(entry.error)
    result["findings"] = [_finding(finding) for finding in entry.findings]
    return result


def _finding(finding: Finding) -> dict[str, Any]:
    tensor = None if finding.tensor is None else {"index": finding.tensor[0], "name": _text(finding.tensor[1])}
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "subgraph": finding.subgraph,
        "operator": finding.operator,
        "operator_name": _plain(finding.operator_name),
        "tensor": tensor,
        "message": _text(finding.message),
        "runtimes": finding.runtimes,
        **{key: _plain(value) for key, value in finding.details.items()},
    }


def _plain(value: Any) -> Any:
    """The value in JSON's terms."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _text(text: str) -> str:
    """Bytes that are not UTF-8 as \\xNN: JSON has no way to say them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
