"""What the commands `fix` and `fix-bias-scale` do."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tflite_surgeon.cli.inputs import STANDARD, read_model
from tflite_surgeon.cli.outputs import UNUSABLE, is_same_file, print_error, require_free, write_standard
from tflite_surgeon.edits.bias_decision import Keep, Undecided
from tflite_surgeon.edits.engine import Outcome, fix
from tflite_surgeon.edits.journal import journal, write_journal
from tflite_surgeon.errors import SaveError, SurgeonError
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.objects import Model
from tflite_surgeon.model.replacing import back_up
from tflite_surgeon.model.saving import SaveReport, dumps, save
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.names import as_argument, printable
from tflite_surgeon.report.repairs import print_outcome, print_plan, print_saved
from tflite_surgeon.rules.bias_scale import NAME as BIAS_SCALE

__all__ = ["BIAS_SCALE", "Place", "Wish", "run"]

_LEFT = 1


@dataclass(frozen=True)
class Place:
    """Where the result goes, as the person asked for it."""

    output: Path | None
    in_place: bool
    force: bool
    dry_run: bool
    paranoid: bool
    journal: Path | None = None

    @property
    def is_standard(self) -> bool:
        """Whether the result goes to standard output, and what is told about it to standard error."""
        return self.output is not None and str(self.output) == STANDARD

    def for_model(self, path: str) -> tuple[Path, bool]:
        """The file to write for a model, and whether it is the model itself.

        Raises:
            SurgeonError: it exists, and nothing allows to replace it.
        """
        if self.is_standard:
            return Path(STANDARD), False
        if path == STANDARD and (self.in_place or self.output is None):
            raise SurgeonError("standard input has no place of its own: say with -o where the result goes")
        if self.in_place or (self.output is not None and is_same_file(self.output, path)):
            return Path(path), True
        if self.output is not None:
            container = path.rpartition("#")[0]
            if container and is_same_file(self.output, container):
                raise SaveError(f"{self.output} is the container that the model lies in: name another file with -o")
            if not self.dry_run:
                require_free(self.output, self.force, "add --force to replace it")
            return self.output, False
        source = Path(path)
        beside = source.with_name(f"{source.stem}.fixed.tflite")
        if not self.dry_run:
            require_free(beside, False, "name another file with -o, or remove it")
        return beside, False

    def require_journals(self, paths: Sequence[str]) -> None:
        """Refuse a journal that could not be told from another, or that would tell of nothing.

        Raises:
            SurgeonError: what was asked for contradicts itself.
        """
        if self.journal is None:
            return
        if self.dry_run:
            raise SurgeonError("--journal tells what was written, and --dry-run writes nothing")
        if self.is_standard:
            raise SurgeonError("--journal tells of a file, and -o - writes none: name one with -o")
        if len(paths) > 1 and not self.journal.is_dir():
            raise SurgeonError(f"--journal names one file, and there are {len(paths)} models: name an existing folder")
        names = Counter(Path(path).name if self.in_place else Path(path).stem for path in paths)
        name, count = names.most_common(1)[0]
        if count > 1:
            raise SurgeonError(f"{count} models are called {name}, and would have one journal: one at a time")

    def for_journal(self, path: str, target: Path, is_itself: bool) -> Path | None:
        """The journal to write for a model, None where none is wanted.

        Raises:
            SurgeonError: it exists and nothing allows to replace it, or it would replace the model or the result.
        """
        if self.journal is None:
            return None
        place = self.journal / f"{target.name}.journal.json" if self.journal.is_dir() else self.journal
        container = path.rpartition("#")[0] or path
        for other in (Path(path), Path(container), target):
            if is_same_file(place, other) or os.path.realpath(place) == os.path.realpath(other):
                raise SurgeonError(f"the journal would replace {other}: name another file")
        if is_itself and place.name.startswith(f"{target.name}.bak") and is_same_file(place.parent, target.parent):
            raise SurgeonError(f"{place} is a name under which originals are kept: name another file for the journal")
        if not place.parent.is_dir():
            raise SaveError(f"{place} cannot be written: there is no folder {place.parent}")
        require_free(place, self.force, "name another file with --journal, or add --force to replace it")
        return place


@dataclass(frozen=True)
class Wish:
    """What is to be repaired and how, as `edits.engine.fix` has it.

    Attributes:
        verify: run model and result in the interpreter.
        guesses: keep the written values where the file does not tell, and the model itself stays.
    """

    select: Sequence[str] | None
    keep: str
    nodes: Sequence[str] | None
    targets: Sequence[str] | None
    lossy: bool
    verify: bool
    guesses: bool = False


def run(paths: Sequence[str], wish: Wish, place: Place) -> int:
    """Repair files and print what was done; returns the exit code."""
    try:
        nodes = None if wish.nodes is None else [_node(text) for text in wish.nodes]
        if place.output is not None and place.in_place:
            raise SurgeonError("-o and --in-place exclude each other")
        if place.output is not None and len(paths) > 1:
            raise SurgeonError(
                f"-o names one file, and there are {len(paths)} models: use --in-place, or one at a time"
            )
        place.require_journals(paths)
    except SurgeonError as error:
        print_error(None, error)
        return UNUSABLE
    printer = Printer(stderr=place.is_standard)
    worst = 0
    for number, path in enumerate(paths):
        if number:
            printer.line()
        try:
            worst = max(worst, _fix(printer, path, wish, nodes, place, several=len(paths) > 1))
        except SurgeonError as error:
            print_error(path, error)
            worst = UNUSABLE
    return worst


def _node(text: str) -> tuple[int, int]:
    subgraph, separator, number = text.rpartition(":")
    if not number.isdecimal() or (separator and not subgraph.isdecimal()):
        raise SurgeonError(f"--node is {text!r}; expected N or SUBGRAPH:N, such as 26 or 1:3")
    return int(subgraph or 0), int(number)


@without_collecting()
def _fix(
    printer: Printer, path: str, wish: Wish, nodes: list[tuple[int, int]] | None, place: Place, several: bool
) -> int:
    with read_model(path) as model:
        target, is_itself = place.for_model(path)
        story = place.for_journal(path, target, is_itself)
        # A file that replaces the only copy must not rest on a guess; nor does anybody look at each of many.
        undecided: Undecided = "values" if wish.guesses and not (is_itself or several) else "leave"
        targets = wish.targets or DEFAULT_TARGETS
        outcome = fix(model, wish.select, cast(Keep, wish.keep), nodes, undecided, targets, wish.lossy)
        print_outcome(printer, path, outcome)
        if place.dry_run:
            print_plan(printer, outcome)
        code = _verify(printer, path, target, model, outcome) if wish.verify and outcome.repairs else 0
        if code:
            print_error(path, "the result is not written")
        elif not place.dry_run and (outcome.repairs or (place.output is not None and not is_itself)):
            report, backup = _write(printer, target, is_itself, outcome, place)
            if story is not None and report is not None:
                _write_journal(printer, story, outcome, report, backup, (path, target))
    return max(code, _LEFT if outcome.left else 0)


def _verify(printer: Printer, path: str, target: Path, model: Model, outcome: Outcome) -> int:
    """Run both models; returns the exit code that speaks against the result, else 0."""
    from tflite_surgeon.cli.verifying import exit_code
    from tflite_surgeon.report.verification import print_verification
    from tflite_surgeon.verification.comparing import VerifySettings, verify

    found = verify(model, outcome.model, VerifySettings(meaning=True))
    printer.line()
    print_verification(printer, path, str(target), found)
    runs = any(mode.after.ok and not mode.before.ok for mode in found.modes)
    return 0 if runs and not found.exceeded else exit_code(found)


def _write(
    printer: Printer, target: Path, is_itself: bool, outcome: Outcome, place: Place
) -> tuple[SaveReport | None, Path | None]:
    """Write the result; what was done, None on standard output, and where the original is kept, if it was replaced."""
    if place.is_standard:
        write_standard(dumps(outcome.model))
        return None, None
    backup = back_up(target) if is_itself else None
    try:
        report = save(outcome.model, target, paranoid=place.paranoid)
    except SurgeonError:
        if backup is not None:
            backup.unlink()
        raise
    print_saved(printer, str(target), report)
    if backup is not None:
        printer.line(f"The original is kept as {printable(str(backup), longest=4096)}.")
    return report, backup


def _write_journal(
    printer: Printer, story: Path, outcome: Outcome, report: SaveReport, backup: Path | None, names: tuple[str, Path]
) -> None:
    """Write the journal, and how to undo; `names` are those of the model and of the result, as they were given."""
    path, target = names
    try:
        made = journal(outcome, report, backup, "standard input" if path == STANDARD else path)
        write_journal(made, story, replace=True)
    except SurgeonError as error:
        raise SaveError(f"{target} is written, its journal is not: {error}") from error
    printer.line(f"Journal: {printable(str(story), longest=4096)}")
    if made.obstacle is not None:
        printer.line(f"Undo is impossible: {printable(made.obstacle, longest=4096)}", indent=4)
    else:
        undo = f"tflite-surgeon undo {as_argument(str(target))} {as_argument(str(story))}"
        printer.line(f"To undo: {undo}", indent=4)
