"""The command `rewrite`."""

from __future__ import annotations

from pathlib import Path

from tflite_surgeon.cli.inputs import STANDARD, read_model
from tflite_surgeon.cli.outputs import UNUSABLE, is_same_file, print_error, require_free, write_standard
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.saving import dumps, save
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.repairs import print_saved


@without_collecting()
def run(path: str, output: Path, force: bool, paranoid: bool) -> int:
    """Write a model anew; returns the exit code."""
    try:
        with read_model(path) as model:
            if str(output) == STANDARD:
                write_standard(dumps(model, "reencode"))
                return 0
            if is_same_file(path, output):
                raise SurgeonError("-o is the model itself: write to another file, and replace it when you are content")
            require_free(output, force, "add --force to replace it")
            print_saved(Printer(), str(output), save(model, output, "reencode", paranoid=paranoid))
    except SurgeonError as error:
        print_error(path, error)
        return UNUSABLE
    return 0
