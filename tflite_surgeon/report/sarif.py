"""Findings as SARIF 2.1.0, for code scanning.

Source: the OASIS standard, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tflite_surgeon.report.checked import Checked, fingerprints
from tflite_surgeon.report.json_report import as_text, plain
from tflite_surgeon.rules.registry import Finding, Rule, Severity

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
# The name of our fingerprints; a new way of making them would get a new number.
_FINGERPRINT = "tfliteSurgeon/v1"


def findings_as_sarif(checked: Sequence[Checked], rules: dict[str, Rule], version: str) -> str:
    """One run with the rules that found something, and a result for each finding."""
    used = sorted({finding.rule for entry in checked for finding in entry.findings})
    order = {name: index for index, name in enumerate(used)}
    unusable = [entry for entry in checked if entry.error is not None]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "tflite-surgeon",
                "semanticVersion": version,
                "rules": [_rule(rules[name]) for name in used],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not unusable,
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": as_text(entry.error or "")},
                        "locations": [{"physicalLocation": {"artifactLocation": {"uri": as_uri(entry.path)}}}],
                    }
                    for entry in unusable
                ],
            }
        ],
        "results": [
            _result(entry.path, finding, order[finding.rule], mark)
            for entry in checked
            for finding, mark in zip(entry.findings, fingerprints(entry.path, entry.findings))
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, allow_nan=False)


def as_uri(path: str) -> str:
    """A path as a relative reference, percent-encoded; an absolute one relative to the working directory if it lies
    in it.
    """
    if os.path.isabs(path):
        relative = os.path.relpath(path)
        if relative.startswith(os.pardir):
            return "file://" + quote(os.fsencode(os.path.abspath(path)))
        path = relative
    # A colon in the first part would read as a scheme.
    encoded = quote(os.fsencode(path.replace(os.sep, "/")))
    return f"./{encoded}" if ":" in encoded.partition("/")[0] else encoded


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.explanation},
        "help": {"text": rule.advice},
    }


def _result(path: str, finding: Finding, index: int, mark: str) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": as_uri(path)}}
    if finding.offset is not None:
        physical["region"] = {"byteOffset": finding.offset, "byteLength": 0}
    logical: dict[str, Any] = {"fullyQualifiedName": finding.path, "kind": "element"}
    if finding.operator_name is not None:
        logical["name"] = as_text(finding.operator_name)
    properties: dict[str, Any] = {"runtimes": finding.runtimes}
    if finding.tensor is not None:
        properties["tensor"] = {"index": finding.tensor[0], "name": as_text(finding.tensor[1])}
    said = finding.details.get("runtime_says")
    if said:
        properties["runtimeSays"] = plain(said)
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": _sentence(finding)},
        "locations": [{"physicalLocation": physical, "logicalLocations": [logical]}],
        "partialFingerprints": {_FINGERPRINT: mark},
        "properties": properties,
    }


def _sentence(finding: Finding) -> str:
    where = "the file" if finding.operator is None else f"operator {finding.operator} ({finding.operator_name})"
    tensor = "" if finding.tensor is None else f", tensor {finding.tensor[0]} '{finding.tensor[1]}'"
    return as_text(f"{where}{tensor}: {finding.message}.")
