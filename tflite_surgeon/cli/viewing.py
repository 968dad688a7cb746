"""The commands that show what a model expects and holds: io and ranges."""

from enum import Enum
from typing import Annotated, Optional

import typer

from tflite_surgeon.cli.arguments import MODEL_HELP

viewing = typer.Typer()


class Language(str, Enum):
    """What code is written in."""

    python = "python"
    java = "java"
    kotlin = "kotlin"
    c = "c"


@viewing.command("io")
def inputs_outputs(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)],
    as_json: Annotated[
        bool, typer.Option("--json", help="Write strict JSON; what is open or unknown is null.")
    ] = False,
    code: Annotated[
        Optional[Language],  # noqa: UP045
        typer.Option("--code", help="Write only code that calls the model, in this language.", show_default=False),
    ] = None,
) -> None:
    """Say what goes into a model and what comes out: type, shape, bytes, quantisation, and code for it.

    Exit code: 0, or 2 where the file cannot be used.
    """
    from tflite_surgeon.cli import inputs_outputs as command

    raise typer.Exit(command.run(model, as_json, None if code is None else code.value))


@viewing.command("ranges")
def show_ranges(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)],
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--name", metavar="TEXT", help="Only tensors with this in their name; * and ? stand for any."),
    ] = None,
    operator: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--operator", metavar="TYPE", help="Only tensors that such operators make or read."),
    ] = None,
    disagreeing: Annotated[bool, typer.Option("--disagreeing", help="Only tensors whose ranges do not fit.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Only activations that lack a range.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write strict JSON; NaN and infinities are strings.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV, a line a tensor.")] = False,
) -> None:
    """Show the range of every tensor: as recorded, as scale and zero point imply, as a constant's values have it.

    Says where these disagree, and which activations have none (converters: "lacking min/max data") with the operators
    for which quantising needs one. Reads the weights, a piece at a time.

    Exit code: 0, or 2 where the file cannot be used.
    """
    from tflite_surgeon.cli import ranging
    from tflite_surgeon.views.filters import Filter

    wish = ranging.Wish(Filter(name, None, operator), disagreeing, missing, json, csv)
    raise typer.Exit(ranging.run(model, wish))
