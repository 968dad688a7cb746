"""The command `check`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tflite_surgeon.cli.discovery import expand
from tflite_surgeon.cli.inputs import STANDARD, read_model
from tflite_surgeon.cli.outputs import UNUSABLE, print_error
from tflite_surgeon.errors import DecodeError, SurgeonError
from tflite_surgeon.knowledge.runtimes import DEFAULT_TARGETS, NAMES
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.report.baseline import read_baseline, without_known
from tflite_surgeon.report.checked import Checked
from tflite_surgeon.rules.registry import Severity, View, find, require_known, rules
from tflite_surgeon.rules.verdicts import judge, unreadable

# A model that takes longer than this is taken to hang.
_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Wish:
    """What a user asked for.

    Attributes:
        targets: runtimes that count for severity; none for the default ones.
        format: "text", "json", "sarif" or "github".
        fail_on: the name of the least severity that makes the exit code 1.
        select, ignore: names of rules.
        baseline: the report of an earlier check, else None.
        exit_zero: whether findings leave the exit code 0.
        jobs: how many processes; 0 for one a processor.
    """

    targets: Sequence[str] = ()
    format: str = "text"
    fail_on: str = "warning"
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    baseline: Path | None = None
    exit_zero: bool = False
    jobs: int = 0


def run(arguments: Sequence[str], wish: Wish) -> int:
    """Check files and folders and print what was found; returns the exit code."""
    wish = replace(wish, targets=list(wish.targets or DEFAULT_TARGETS))
    known: set[str] | None = None
    try:
        require_known("runtime", wish.targets, NAMES)
        require_known("rule", [*wish.select, *wish.ignore], rules())
    except SurgeonError as error:
        print_error(None, error)
        return UNUSABLE
    try:
        known = None if wish.baseline is None else read_baseline(wish.baseline)
    except SurgeonError as error:
        print_error(str(wish.baseline), error)
        return UNUSABLE
    entries = _checked(arguments, wish)
    if known is not None:
        entries = (without_known(entry, known) for entry in entries)
    done = _write(entries, wish)
    return max((_exit_code(entry, wish) for entry in done), default=0)


def _checked(arguments: Sequence[str], wish: Wish) -> Iterator[Checked]:
    """Each file's result, in the order of the files."""
    found = expand(arguments)
    paths = [path for path in found if isinstance(path, str)]
    results: Iterator[Checked]
    jobs = wish.jobs or os.cpu_count() or 1
    if len(paths) > 1 and STANDARD not in paths:
        results = _in_children(paths, wish, jobs)
    else:
        results = (check_file(wish, path) for path in paths)
    for path in found:
        yield next(results) if isinstance(path, str) else Checked("", error=str(path))


def _in_children(paths: Sequence[str], wish: Wish, jobs: int) -> Iterator[Checked]:
    from tflite_surgeon.cli.workers import Lost, each
    from tflite_surgeon.report.progress import progress

    early: dict[int, Checked] = {}
    wanted = 0
    with progress(len(paths)) as advance:
        # A bar and a report would write over each other: where there is a bar, the report comes after it.
        for number, result in each(partial(check_file, wish), paths, jobs, _PATIENCE_SECONDS):
            early[number] = (
                Checked(paths[number], error=f"cannot be checked: {result}") if isinstance(result, Lost) else result
            )
            if advance is not None:
                advance()
                continue
            while wanted in early:
                yield early.pop(wanted)
                wanted += 1
    yield from (early[number] for number in range(wanted, len(paths)))


@without_collecting()
def check_file(wish: Wish, path: str) -> Checked:
    """One file's findings and verdicts."""
    known = rules()
    chosen = [rule for name, rule in known.items() if (not wish.select or name in wish.select)]
    chosen = [rule for rule in chosen if rule.name not in wish.ignore]
    try:
        with read_model(path) as model:
            view = View(model, wish.targets)
            everything = find(view, list(known.values()))
            names = {rule.name for rule in chosen}
            findings = [replace(finding, evidence=None) for finding in everything if finding.rule in names]
            count = sum(len(subgraph.operators or ()) for subgraph in model.subgraphs or ())
            return Checked(path, findings, judge(view, everything), operators=count)
    except SurgeonError as error:
        # Of a file that is there, whatever is wrong with it, a runtime makes something too.
        there = isinstance(error, DecodeError) or os.path.isfile(path)
        return Checked(path, verdicts=unreadable(str(error)) if there else {}, error=str(error))


def _exit_code(entry: Checked, wish: Wish) -> int:
    if entry.error is not None:
        return UNUSABLE
    least = Severity[wish.fail_on.upper()]
    return int(not wish.exit_zero and any(finding.severity >= least for finding in entry.findings))


def _write(entries: Iterator[Checked], wish: Wish) -> list[Checked]:
    """Write the results in the format asked for: text as they come, the others at the end."""
    if wish.format == "text":
        return list(_print(entries, wish))
    done = list(entries)
    if wish.format == "json":
        from tflite_surgeon.report.json_report import findings_as_json

        print(findings_as_json(done))
    elif wish.format == "sarif":
        from tflite_surgeon import __version__
        from tflite_surgeon.report.sarif import findings_as_sarif

        print(findings_as_sarif(done, rules(), __version__))
    else:
        from tflite_surgeon.report.github import workflow_commands

        for line in workflow_commands(done):
            print(line)
    return done


def _print(entries: Iterator[Checked], wish: Wish) -> Iterator[Checked]:
    from tflite_surgeon.report.console import Printer
    from tflite_surgeon.report.findings import print_checked

    printer = Printer()
    for number, entry in enumerate(entries):
        yield entry
        if number:
            printer.line()
        if entry.error is not None:
            sys.stdout.flush()
            print_error(entry.path or None, entry.error)
        else:
            print_checked(printer, entry, wish.targets)
