"""From what a user names to the files to look at."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tflite_surgeon.errors import UnusableFileError

_SUFFIX = ".tflite"
# What our own commands leave beside a model.
_OWN_RESULT = ".fixed.tflite"
_OWN_BACKUP = ".bak"


def expand(arguments: Sequence[str]) -> list[str | UnusableFileError]:
    """The paths to look at: files as named, folders searched for models, each once, in the order given.

    A folder without models stands as the error that says so.
    """
    found: dict[str, str | UnusableFileError] = {}
    for argument in arguments:
        if not os.path.isdir(argument):
            found.setdefault(argument, argument)
            continue
        inside = models_in(argument)
        if not inside:
            found[argument] = UnusableFileError(f"{argument} has no {_SUFFIX} file in it")
        for path in inside:
            found.setdefault(path, path)
    return list(found.values())


def models_in(folder: str) -> list[str]:
    """Every .tflite file below a folder, sorted, without the results and backups of our own commands."""
    found = []
    for root, folders, files in os.walk(folder):
        folders.sort()
        found += [os.path.join(root, name) for name in sorted(files) if _is_model(name)]
    return found


def _is_model(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(_SUFFIX) and not lower.endswith(_OWN_RESULT) and _OWN_BACKUP not in lower
