"""The commands `diff`, `git-diff` and `textconv`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tflite_surgeon.cli.inputs import STANDARD, read_model
from tflite_surgeon.cli.outputs import UNUSABLE, print_error
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.files import load
from tflite_surgeon.report.names import printable

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Model
    from tflite_surgeon.report.console import Printer

_NOTHING = "/dev/null"
# Text that git hands over beside models is compared line by line up to here.
_LONGEST_TEXT = 1 << 20


@without_collecting()
def run(before: str, after: str, as_json: bool, everything: bool) -> int:
    """Compare two models and print how they differ; returns the exit code."""
    from tflite_surgeon.report.difference import differences_as_json, print_differences
    from tflite_surgeon.views.diff.comparing import diff

    if before == after == STANDARD:
        print_error(None, "both models cannot come from standard input")
        return UNUSABLE
    with ExitStack() as opened:
        models = []
        for path in (before, after):
            try:
                models.append(opened.enter_context(read_model(path)))
            except SurgeonError as error:
                print_error(path, error)
                return UNUSABLE
        found = diff(*models)
    if as_json:
        print(differences_as_json(before, after, found))
    else:
        from tflite_surgeon.report.console import Printer

        print_differences(Printer(), before, after, found, everything)
    return int(bool(found.differences))


def git(arguments: Sequence[str]) -> int:
    """Show the change of one file to git, which goes on only after an exit code of 0.

    Args:
        arguments: as git calls an external diff: path, then file, hash and mode before, the same afterwards; of a
            renamed file its new path and git's words about it too; of an unmerged one its path only.
    """
    from tflite_surgeon.report.console import Printer

    if len(arguments) not in (1, 7, 9):
        print_error(None, f"git calls an external diff with 7 arguments, here are {len(arguments)}")
        return UNUSABLE
    printer = Printer()
    path = arguments[0]
    if len(arguments) == 1:
        printer.line(f"{printable(path, longest=4096)}: not merged yet", style="bold")
        return 0
    old, _, old_mode, new, _, new_mode = arguments[1:7]
    names = f"a/{path}", f"b/{arguments[7] if len(arguments) == 9 else path}"
    printer.line(f"tflite-surgeon diff {' '.join(printable(name, longest=4096) for name in names)}", style="bold")
    if old != _NOTHING and new != _NOTHING and old_mode != new_mode:
        printer.line(f"mode {printable(old_mode)} -> {printable(new_mode)}")
    for line in arguments[8].splitlines() if len(arguments) == 9 else ():
        printer.line(printable(line, longest=4096))
    _show_change(printer, names, (old, new))
    return 0


def _show_change(printer: Printer, names: tuple[str, str], files: tuple[str, str]) -> None:
    with ExitStack() as opened:
        models: list[Model | None] = []
        errors: list[str] = []
        for name, file in zip(names, files):
            model = None
            if file != _NOTHING:
                try:
                    model = opened.enter_context(load(file))
                except SurgeonError as error:
                    errors.append(f"{name}: {error}")
            models.append(model)
        before, after = models
        if before is not None and after is not None:
            from tflite_surgeon.report.difference import print_differences
            from tflite_surgeon.views.diff.comparing import diff

            print_differences(printer, *names, diff(before, after), everything=False)
            return
        words = ("deleted model", "new model") if _NOTHING in files else names
        for word, file, model in zip(words, files, models):
            if model is not None:
                printer.line(f"{printable(word, longest=4096)}: {_in_short(model, file)}")
        if errors:
            _show_other_files(printer, names, files, errors)


def _in_short(model: Model, file: str) -> str:
    kinds = Counter(node.operator.name for node in model.nodes())
    named = ", ".join(f"{count} {printable(name)}" for name, count in kinds.most_common(4))
    more = f", {len(kinds) - 4} more kinds" if len(kinds) > 4 else ""
    total = sum(kinds.values())
    return f"{os.path.getsize(file)} bytes, {total} operator{'' if total == 1 else 's'} ({named}{more})"


def _show_other_files(printer: Printer, names: tuple[str, str], files: tuple[str, str], errors: list[str]) -> None:
    """Files that are no models: text, such as a pointer of Git LFS, line by line, all else by what is wrong with it."""
    from difflib import unified_diff

    before, after = map(_text_lines, files)
    if before is None or after is None:
        for error in errors:
            printer.line(printable(error, longest=4096))
        return
    for line in unified_diff(before, after, *names, lineterm=""):
        printer.line(printable(line.rstrip("\n"), longest=4096))


def _text_lines(file: str) -> list[str] | None:
    """The lines of a short text; None for what is none."""
    try:
        if file == _NOTHING:
            return []
        if os.path.getsize(file) > _LONGEST_TEXT:
            return None
        with open(file, "rb") as opened:
            content = opened.read()
        return None if b"\0" in content else content.decode().splitlines()
    except (OSError, UnicodeDecodeError):
        return None


def textconv(path: str) -> int:
    """Print one model as text for git to compare.

    git stops at an exit code other than 0, and one damaged model in a history is no reason for that: a file that is
    no model is named as one, with its digest.
    """
    from tflite_surgeon.report.outline import outline_lines
    from tflite_surgeon.views.diff.outline import file_digest, outline

    try:
        with load(path) as model:
            for line in outline_lines(outline(model)):
                print(line)
    except SurgeonError as error:
        try:
            digest = file_digest(path)
        except OSError:
            print_error(path, error)
            return UNUSABLE
        print(f"no model: {printable(str(error), longest=4096)}")
        print(f"{digest.size} {digest.unit}, sha256 {digest.sha256}")
    return 0
