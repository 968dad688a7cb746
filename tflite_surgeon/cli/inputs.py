"""Models as the command line names them: files, models inside containers, standard input."""

from __future__ import annotations

import os
import sys

from tflite_surgeon.errors import UnusableFileError
from tflite_surgeon.model.files import load, loads
from tflite_surgeon.model.objects import Model

STANDARD = "-"


def read_model(path: str) -> Model:
    """The model of a command line argument: a path, FILE#SECTION, or - for standard input.

    Raises:
        SurgeonError: it cannot be used.
    """
    if path == STANDARD:
        return loads(sys.stdin.buffer.read())
    container, mark, section = path.rpartition("#")
    if mark and not os.path.lexists(path):
        return load(container, section)
    try:
        return load(path)
    except UnusableFileError as error:
        if " inside: " in str(error):
            raise UnusableFileError(f"{error}. Name one as {path}#0") from None
        raise
