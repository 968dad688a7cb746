"""A model as lines of text that can be compared: no colours, no wrapping, no numbers that a change elsewhere moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tflite_surgeon.report.names import printable
from tflite_surgeon.views.diff.outline import Digest, Entry

_LONGEST_NAME = 4096
_DIGITS = 16


def outline_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """A line for each entry, indented by its depth."""
    for entry in entries:
        parts = [printable(entry.what, _LONGEST_NAME)]
        if entry.name is not None:
            parts.append(f"'{printable(entry.name, _LONGEST_NAME)}'")
        yield "    " * entry.depth + " ".join([*parts, *map(_shown, entry.facts)])


def _shown(value: Any) -> str:
    if isinstance(value, Digest):
        bounds = "" if value.low is None else f" from {_shown(value.low)} to {_shown(value.high)}"
        return f"{value.size} {value.unit}{bounds}, sha256 {value.sha256[:_DIGITS]}"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_shown(key)}: {_shown(item)}' for key, item in value.items())}}}"
    return printable(str(value), _LONGEST_NAME)
