"""How findings show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.model.notebook import short_name, table
from tflite_surgeon.rules.registry import Finding

_ROWS = 50


def finding_table(finding: Finding) -> str:
    """A finding: where, what, and what each runtime makes of it."""
    rows = [
        ("severity", str(finding.severity)),
        ("where", _place(finding)),
        ("what", finding.message),
        *finding.runtimes.items(),
    ]
    return table(f"Finding {finding.rule}", rows)


def findings_table(findings: Sequence[Finding]) -> str:
    """Findings, a row each; of very many the first."""
    rows = [(str(item.severity), item.rule, _place(item), item.message) for item in findings[:_ROWS]]
    if len(findings) > _ROWS:
        rows.append(("", "", "", f"{len(findings) - _ROWS} more"))
    return table(
        f"{len(findings)} finding{'' if len(findings) == 1 else 's'}", rows, ("severity", "rule", "where", "what")
    )


def _place(finding: Finding) -> str:
    parts = [finding.path]
    if finding.operator_name is not None:
        parts.append(finding.operator_name)
    if finding.tensor is not None:
        parts.append(f"tensor {finding.tensor[0]} {short_name(finding.tensor[1])}")
    return ", ".join(parts)
