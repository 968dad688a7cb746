"""The command `inspect`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from tflite_surgeon.cli.inputs import read_model
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.objects import Model
from tflite_surgeon.views.filters import Filter, rows

_OK = 0
_DEFAULT_LIST = "tensors"


@dataclass(frozen=True)
class Wish:
    """What a user asked for.

    Attributes:
        target: a node or tensor to show in full, else None.
        lists: some of `views.filters.LISTS`; none for the summary.
        filter: which rows of them.
        json, csv: write that instead of text.
    """

    target: str | None = None
    lists: Sequence[str] = ()
    filter: Filter = field(default_factory=Filter)
    json: bool = False
    csv: bool = False


@without_collecting()
def run(path: str, wish: Wish) -> int:
    """Show a model, lists of its parts, or one part in full; returns the exit code."""
    try:
        _require_one_meaning(wish)
        with read_model(path) as model:
            if wish.target is not None:
                _show_part(path, model, wish, wish.target)
            elif wish.lists or wish.filter.is_set:
                _show_lists(path, model, wish)
            else:
                _show_summary(path, model, wish)
    except SurgeonError as error:
        from tflite_surgeon.cli.outputs import UNUSABLE, print_error

        sys.stdout.flush()
        print_error(None if isinstance(error, _Contradiction) else path, error)
        return UNUSABLE
    return _OK


class _Contradiction(SurgeonError):
    pass


def _require_one_meaning(wish: Wish) -> None:
    if wish.target is not None and (wish.lists or wish.filter.is_set):
        raise _Contradiction("a node or tensor is shown in full: leave out the lists and filters, or the node")
    if wish.json and wish.csv:
        raise _Contradiction("--json and --csv are two formats: choose one")
    if wish.csv and len(wish.lists) > 1:
        raise _Contradiction("--csv writes one table: choose one of the lists")


def _show_lists(path: str, model: Model, wish: Wish) -> None:
    chosen = wish.lists or (_DEFAULT_LIST,)
    found = {what: rows(model, what, wish.filter) for what in chosen}
    if wish.json or wish.csv:
        from tflite_surgeon.report import inspect_json

        if wish.json:
            sys.stdout.writelines(inspect_json.lists_as_json(path, found))
        else:
            (what,) = chosen
            print(inspect_json.rows_as_csv(inspect_json.KINDS[what], found[what]), end="")
        return
    from tflite_surgeon.report.inspect_rows import print_rows

    for number, (what, items) in enumerate(found.items()):
        if number:
            print()
        print_rows(what, items)


def _show_summary(path: str, model: Model, wish: Wish) -> None:
    from tflite_surgeon.views.summary import summarise

    summary = summarise(model)
    if not _write_value(path, summary, wish):
        from tflite_surgeon.report.inspect_summary import print_summary

        print_summary(path, summary)


def _show_part(path: str, model: Model, wish: Wish, target: str) -> None:
    from tflite_surgeon.views.detail import find_part

    part = find_part(model, target)
    if not _write_value(path, part, wish):
        from tflite_surgeon.report.inspect_detail import print_part

        print_part(part)


def _write_value(path: str, value: object, wish: Wish) -> bool:
    """Write a value as JSON or CSV; False where text is wanted."""
    if not (wish.json or wish.csv):
        return False
    from tflite_surgeon.report import inspect_json

    if wish.json:
        print(inspect_json.value_as_json(path, value))
    else:
        print(inspect_json.values_as_csv(value), end="")
    return True
