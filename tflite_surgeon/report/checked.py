"""What a check leaves of one file, ready to be written in any format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tflite_surgeon.rules.registry import Finding
from tflite_surgeon.rules.verdicts import Verdict


@dataclass(frozen=True)
class Checked:
    """One file of a check: its findings and verdicts, or why it cannot be used.

    Attributes:
        path: as it was given, or found in a folder that was.
        findings: most severe first.
        verdicts: by runtime; of an unusable file too.
        error: why the file cannot be used, else None.
        known: how many findings were left out because a baseline has them.
        operators: how many nodes were looked at.
    """

    path: str
    findings: Sequence[Finding] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    error: str | None = None
    known: int = 0
    operators: int = 0


def fingerprints(path: str, findings: Sequence[Finding]) -> list[str]:
    """A name for each finding that stays when nodes are renumbered: of the path, the rule, the operator's kind and the
    tensor's name, with a number where that is not unique.
    """
    from hashlib import sha256  # Takes longer to import than most reports, which have no fingerprints, to print.

    seen: Counter[str] = Counter()
    result = []
    for finding in findings:
        tensor = finding.tensor[1] if finding.tensor is not None else ""
        parts = (path.replace("\\", "/"), finding.rule, str(finding.subgraph), finding.operator_name or "", tensor)
        digest = sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        result.append(f"{digest}/{seen[digest]}")
        seen[digest] += 1
    return result
