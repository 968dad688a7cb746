"""The commands. Nothing slow is imported before a command runs: --help answers at once."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    name="tflite-surgeon",
    help="Load, check, repair and rewrite .tflite models, changing nothing else and proving it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(str, Enum):
    """How findings are written."""

    text = "text"
    json = "json"


class Keep(str, Enum):
    """Which reading of a bias to trust."""

    auto = "auto"
    values = "values"
    integers = "integers"


_MODEL_HELP = (
    "A .tflite file, C source with one as an array, FILE#SECTION for one in a container, - for standard input."
)
Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help=_MODEL_HELP, show_default=False)]
Target = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time, on Python 3.10 too)
    typer.Option(
        "--target",
        metavar="NAME",
        help="A runtime that counts for severity and exit code: litert, litert-no-delegate, tflite-2.14, tflm. "
        "Repeatable; without it the first two.",
        show_default=False,
    ),
]
Output = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "-o", "--output", metavar="PATH", help="Write the result here; - for standard output.", show_default=False
    ),
]
Paranoid = Annotated[bool, typer.Option("--paranoid", help="Read back every byte that was copied, weights included.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file named by --output.")]


def _version(wanted: bool) -> None:
    if wanted:
        from tflite_surgeon import __version__

        typer.echo(f"tflite-surgeon {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Load, check, repair and rewrite .tflite models, changing nothing else and proving it."""


@app.command()
def check(
    models: Models,
    target: Target = None,
    format: Annotated[Format, typer.Option("--format", help="How to write the findings.")] = Format.text,
) -> None:
    """Say what each runtime will refuse, and what will silently compute wrong numbers.

    Exit code: 0 nothing worse than a note, 1 a warning or error for the targets, 2 a file cannot be used; of several
    files the worst decides.
    """
    from tflite_surgeon.cli import checking

    raise typer.Exit(checking.run(models, target, format.value))


@app.command("fix-bias-scale")
def fix_bias_scale(
    models: Models,
    keep: Annotated[
        Keep,
        typer.Option(
            "--keep",
            help="What to trust where a bias scale is wrong. values: the stored real values; the integers are "
            "re-rounded and outputs change. integers: only the scale is rewritten and outputs stay. auto: decide "
            "bias by bias from what the file tells, and say why.",
        ),
    ] = Keep.auto,
    node: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--node",
            metavar="[SUBGRAPH:]N",
            help="Repair only this node, by the number that runtimes print. Repeatable.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace the file; the original is kept beside it as NAME.bak.")
    ] = False,
    force: Force = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the repair and its edits, write nothing.")] = False,
    paranoid: Paranoid = False,
) -> None:
    """Repair biases that are stored in a unit their kernel does not count in.

    Writes STEM.fixed.tflite beside the model, unless -o or --in-place says otherwise. The result is read back and
    compared before it gets its name.

    Exit code: 0 all repaired or nothing to repair, 1 a node was left alone, 2 a file cannot be used or written.
    """
    from tflite_surgeon.cli import fixing

    place = fixing.Place(output, in_place, force, dry_run, paranoid)
    raise typer.Exit(fixing.run(models, keep.value, node, place))


@app.command()
def rewrite(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL_HELP, show_default=False)],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="PATH", help="Write the result here; - for standard output.")
    ],
    force: Force = False,
    paranoid: Paranoid = False,
) -> None:
    """Write a model anew: tables first, weights behind them, every buffer 16-byte aligned, nothing lost.

    Exit code: 0, or 2 where the file cannot be used or written.
    """
    from tflite_surgeon.cli import rewriting

    raise typer.Exit(rewriting.run(model, output, force, paranoid))
