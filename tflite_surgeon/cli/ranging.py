"""The command `ranges`."""

from __future__ import annotations

from dataclasses import dataclass

from tflite_surgeon.cli.inputs import read_model
from tflite_surgeon.cli.outputs import UNUSABLE, print_error
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.ranges import print_ranges, ranges_as_csv, ranges_as_json
from tflite_surgeon.views.filters import Filter
from tflite_surgeon.views.ranges import ranges


@dataclass(frozen=True)
class Wish:
    """What a user asked for.

    Attributes:
        filter: which tensors.
        disagreeing, missing: only those whose ranges do not fit, only activations without one; both: either.
        json, csv: write that instead of text.
    """

    filter: Filter
    disagreeing: bool = False
    missing: bool = False
    json: bool = False
    csv: bool = False


@without_collecting()
def run(path: str, wish: Wish) -> int:
    """Print the ranges of a model's tensors; returns the exit code."""
    if wish.json and wish.csv:
        print_error(None, "--json and --csv are two formats: choose one")
        return UNUSABLE
    try:
        with read_model(path) as model:
            rows = ranges(model, wish.filter)
    except SurgeonError as error:
        print_error(path, error)
        return UNUSABLE
    if wish.disagreeing or wish.missing:
        rows = [row for row in rows if (wish.disagreeing and row.disagreements) or (wish.missing and row.is_missing)]
    if wish.json:
        print(ranges_as_json(path, rows))
    elif wish.csv:
        print(ranges_as_csv(rows), end="")
    else:
        print_ranges(Printer(), path, rows)
    return 0
