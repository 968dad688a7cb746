"""The commands that make pictures and pages of a model: graph and report."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from tflite_surgeon.cli.arguments import MODEL_HELP

picturing = typer.Typer()

Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file named by --output.")]


@picturing.command("graph")
def draw_graph(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write here; the ending says how: .html and .dot need nothing, .svg, .png and .pdf need Graphviz. "
            "- writes DOT to standard output.",
        ),
    ],
    around: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--around",
            metavar="[SUBGRAPH:]N",
            help="Draw only what lies around this node, by the number that runtimes print.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        int, typer.Option("--depth", metavar="N", min=0, help="How many edges around it, in both directions.")
    ] = 3,
    subgraph: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--subgraph", metavar="N", min=0, help="Draw this subgraph; without it the first."),
    ] = None,
    force: Force = False,
) -> None:
    """Draw a model's graph: operators, the tensors between them, weights inside, findings of check in colour.

    Edges carry type, shape and [min, max]; boxes are the scopes of names. In a large graph a tensor that is read far
    away is told at its reader, instead of by a line across the picture.

    Exit code: 0, or 2 where the model cannot be used or the picture not be drawn.
    """
    from tflite_surgeon.cli import drawing

    raise typer.Exit(drawing.run(model, drawing.Wish(output, around, depth, subgraph, force)))


@picturing.command("report")
def write_report(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Write the page here; - for standard output.")
    ],
    force: Force = False,
) -> None:
    """Write one HTML page that tells all of a model: summary, verdicts, findings, graph, tensors, weights.

    The page works offline and asks for nothing. Constants are read, for their histograms.

    Exit code: 0, or 2 where the model cannot be used or the page not be written.
    """
    from tflite_surgeon.cli import reporting

    raise typer.Exit(reporting.run(model, output, force))
