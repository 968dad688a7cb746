"""Where a command may write, and how it says that it cannot go on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tflite_surgeon.errors import SaveError, SurgeonError
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.names import printable

UNUSABLE = 2


def print_error(path: str | None, error: SurgeonError | str) -> None:
    """One sentence on standard error."""
    where = "" if path is None else f"{printable(path, longest=4096)} "
    separator = "" if path is None or str(error).startswith(("is ", "cannot ", "has ")) else ": "
    message = printable(str(error), longest=4096)
    Printer(stderr=True).line(f"error: {where.rstrip() + separator if separator else where}{message}", style="")


def write_standard(data: bytes) -> None:
    """Write a model to standard output."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def is_same_file(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> bool:
    """Whether two paths name one file, through links too."""
    try:
        return os.path.samefile(a, b)
    except OSError:
        return os.path.abspath(a) == os.path.abspath(b)


def require_free(path: Path, force: bool, hint: str) -> None:
    """Refuse to overwrite.

    Raises:
        SaveError: the file exists and nothing allows to replace it.
    """
    if not force and os.path.lexists(path):
        raise SaveError(f"{path} exists already: {hint}")
