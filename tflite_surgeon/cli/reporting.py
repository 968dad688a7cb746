"""The command `report`, and what it shares with `graph`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from tflite_surgeon import __version__
from tflite_surgeon.cli.inputs import STANDARD, read_model
from tflite_surgeon.cli.outputs import UNUSABLE, is_same_file, print_error, require_free
from tflite_surgeon.errors import SaveError, SurgeonError
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.objects import Model
from tflite_surgeon.report.checked import Checked
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.names import printable
from tflite_surgeon.rules.registry import View, find, rules
from tflite_surgeon.rules.verdicts import judge

MADE_BY: Final = f"tflite-surgeon {__version__}"


@without_collecting()
def run(path: str, output: Path, force: bool) -> int:
    """Write a model's report; returns the exit code."""
    from tflite_surgeon.report.page import report_page
    from tflite_surgeon.views.graph import graphs_of
    from tflite_surgeon.views.graph_parts import without_far_edges
    from tflite_surgeon.views.summary import summarise

    try:
        with read_model(path) as model:
            if str(output) != STANDARD:
                if is_same_file(path, output):
                    raise SurgeonError("-o is the model itself")
                require_free(output, force, "add --force to replace it")
            entry = checked(path, model)
            graphs = [without_far_edges(graph) for graph in graphs_of(model, entry.findings)]
            page = report_page(model, entry, graphs, summarise(model), MADE_BY)
            if str(output) == STANDARD:
                print(page, end="")
                return 0
            write_text(output, page)
    except SurgeonError as error:
        print_error(None if isinstance(error, SaveError) else path, error)
        return UNUSABLE
    found = f"{len(entry.findings):,} finding{'' if len(entry.findings) == 1 else 's'}"
    shown = printable(str(output), longest=4096)
    Printer().line(f"Wrote {shown}: {entry.operators:,} operators, {found}, {len(page.encode()):,} bytes.")
    return 0


def checked(path: str, model: Model) -> Checked:
    """What `check` finds in a model that was read."""
    view = View(model)
    findings = find(view, list(rules().values()))
    count = sum(len(subgraph.operators or ()) for subgraph in model.subgraphs or ())
    told = [replace(finding, evidence=None) for finding in findings]
    return Checked(path, told, judge(view, findings), operators=count)


def write_text(output: Path, text: str) -> None:
    """Write a text file.

    Raises:
        SaveError: it cannot be written.
    """
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SaveError(f"{output} cannot be written: {error.strerror}") from None
