"""The command `graph`."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tflite_surgeon.cli.inputs import STANDARD, read_model
from tflite_surgeon.cli.outputs import UNUSABLE, is_same_file, print_error, require_free
from tflite_surgeon.cli.reporting import MADE_BY, checked, write_text
from tflite_surgeon.errors import SaveError, SurgeonError
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.objects import Model
from tflite_surgeon.report.checked import Checked
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.names import printable
from tflite_surgeon.views.graph import OPERATOR, Graph, graph_of
from tflite_surgeon.views.graph_parts import around, without_far_edges

_DOT: Final = ".dot"
_HTML: Final = ".html"
_PICTURES: Final = (".svg", ".png", ".pdf")
_NO_GRAPHVIZ: Final = (
    "{} is drawn by Graphviz, whose program `dot` is not on the PATH: install it (apt-get install graphviz, brew "
    "install graphviz, or https://graphviz.org/download), or write .dot or .html, which need nothing"
)


@dataclass(frozen=True)
class Wish:
    """What a user asked for.

    Attributes:
        output: where to write; its ending is the format.
        around: an operator as [SUBGRAPH:]N, else None.
        depth: how many edges around it.
        subgraph: number of the subgraph; None for that of `around`, or the first.
        force: whether a file may be replaced.
    """

    output: Path
    around: str | None = None
    depth: int = 3
    subgraph: int | None = None
    force: bool = False


@without_collecting()
def run(path: str, wish: Wish) -> int:
    """Draw a model's graph; returns the exit code."""
    try:
        ending = _format(wish.output)
        number, operator = _place(wish)
        with read_model(path) as model:
            if str(wish.output) != STANDARD:
                if is_same_file(path, wish.output):
                    raise SurgeonError("-o is the model itself")
                require_free(wish.output, wish.force, "add --force to replace it")
            entry = checked(path, model)
            graph = graph_of(model, number, entry.findings)
            if operator is not None:
                graph = around(graph, operator, wish.depth)
            graph = without_far_edges(graph)
            _write(model, entry, graph, ending, wish.output)
    except SurgeonError as error:
        print_error(None if isinstance(error, SaveError) else path, error)
        return UNUSABLE
    return 0


def _format(output: Path) -> str:
    """The ending that says how to draw.

    Raises:
        SurgeonError: it says nothing that can be drawn, or Graphviz is needed and missing.
    """
    if str(output) == STANDARD:
        return _DOT
    ending = output.suffix.lower()
    if ending not in (_DOT, _HTML, *_PICTURES):
        known = ", ".join((_DOT, *_PICTURES, _HTML))
        raise SaveError(f"{output} does not say by its ending how to draw: end it in one of {known}")
    if ending in _PICTURES and shutil.which("dot") is None:
        raise SaveError(_NO_GRAPHVIZ.format(ending))
    return ending


def _place(wish: Wish) -> tuple[int, int | None]:
    """The subgraph, and the operator to draw the surroundings of."""
    if wish.around is None:
        return wish.subgraph or 0, None
    subgraph, separator, number = wish.around.rpartition(":")
    if not number.isdecimal() or (separator and not subgraph.isdecimal()):
        raise SurgeonError(f"--around is {wish.around!r}; expected N or SUBGRAPH:N, such as 26 or 1:3")
    if separator and wish.subgraph not in (None, int(subgraph)):
        raise SurgeonError(f"--around {wish.around} and --subgraph {wish.subgraph} name different subgraphs")
    return int(subgraph) if separator else wish.subgraph or 0, int(number)


def _write(model: Model, entry: Checked, graph: Graph, ending: str, output: Path) -> None:
    if ending == _HTML:
        from tflite_surgeon.report.page import graph_page

        write_text(output, graph_page(model, entry, [graph], MADE_BY))
    else:
        from tflite_surgeon.report.dot import as_dot

        text = as_dot(graph, entry.findings, entry.path.rpartition("/")[2])
        if str(output) == STANDARD:
            print(text, end="")
            return
        if ending == _DOT:
            write_text(output, text)
        else:
            _draw(text, ending, output)
    shown = sum(node.kind == OPERATOR for node in graph.nodes)
    of = f" of subgraph {graph.subgraph}" if len(model.subgraphs or ()) > 1 else ""
    marked = sum(node.severity is not None for node in graph.nodes)
    Printer().line(
        f"Wrote {printable(str(output), longest=4096)}: {shown:,} of {graph.operators:,} operators{of}, "
        f"{marked:,} with findings."
    )


def _draw(text: str, ending: str, output: Path) -> None:
    """Let Graphviz draw.

    Raises:
        SaveError: it cannot.
    """
    import os
    import tempfile

    target = output.absolute().parent
    try:
        with tempfile.TemporaryDirectory(dir=target, prefix=".graph-") as folder:
            drawn = Path(folder, f"graph{ending}")
            done = subprocess.run(["dot", f"-T{ending[1:]}", "-o", drawn], input=text.encode(), capture_output=True)
            said = " ".join(done.stderr.decode("utf-8", "replace").split())
            if done.returncode or not drawn.exists():
                ended = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"said: {said}"
                raise SaveError(
                    f"Graphviz cannot draw this graph (it {ended}): write .html instead, or draw less with --around"
                )
            os.replace(drawn, output)
    except OSError as error:
        raise SaveError(f"{output} cannot be written: {error.strerror}") from None
    if "too large" in said:
        Printer(stderr=True).line(
            f"note: the picture is larger than a {ending} can be and was made smaller until it fits; .svg and .html "
            "have no such limit, --around draws less"
        )
