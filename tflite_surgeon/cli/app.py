"""The commands. Nothing slow is imported before a command runs: --help answers at once.

Annotations of commands are no text, as elsewhere: typer would compile hundreds of them, whatever command is wanted.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from tflite_surgeon.cli.arguments import MODEL_HELP, Force, Paranoid, Target
from tflite_surgeon.cli.picturing import picturing
from tflite_surgeon.cli.proving import proving
from tflite_surgeon.cli.repairing import repairing
from tflite_surgeon.cli.undoing import undoing
from tflite_surgeon.cli.viewing import viewing

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
    sarif = "sarif"
    github = "github"


class Level(str, Enum):
    """How bad a finding is."""

    error = "error"
    warning = "warning"
    note = "note"


Rules = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--select", metavar="RULE", help="Tell only this rule's findings. Repeatable.", show_default=False),
]


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
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help=f"{MODEL_HELP} Of a folder, every .tflite file below it.", show_default=False
        ),
    ],
    target: Target = None,
    format: Annotated[
        Format,
        typer.Option("--format", help="How to write the findings; sarif for code scanning, github for GitHub Actions."),
    ] = Format.text,
    fail_on: Annotated[
        Level, typer.Option("--fail-on", help="The least severity that makes the exit code 1.")
    ] = Level.warning,
    select: Rules = None,
    ignore: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--ignore", metavar="RULE", help="Leave this rule's findings out. Repeatable."),
    ] = None,
    baseline: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--baseline",
            metavar="FILE",
            help="The --format json report of an earlier check: what it has is not told again.",
            show_default=False,
        ),
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 whatever is found.")] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=0, help="How many processes for several files; 0: as processors.")
    ] = 0,
) -> None:
    """Say what each runtime will refuse, what will crash it, and what will silently compute wrong numbers.

    Nothing is run: the answers come from what the runtimes' kernels check. `tflite-surgeon rules` lists the rules,
    `tflite-surgeon explain RULE` tells more about one.

    Exit code: 0 nothing as bad as --fail-on for the targets, 1 something is, 2 a file cannot be used; of several
    files the worst decides.
    """
    from tflite_surgeon.cli import checking

    wish = checking.Wish(
        target or (), format.value, fail_on.value, select or (), ignore or (), baseline, exit_zero, jobs
    )
    raise typer.Exit(checking.run(models, wish))


@app.command("diff")
def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=MODEL_HELP, show_default=False)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same, of the other model.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Write strict JSON, every difference in full.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Tell every difference, not five of a sort.")] = False,
) -> None:
    """Say how two models differ: operators, options, tensors, quantisation, values, signatures, metadata, files.

    What belongs together is found by structure: an operator more is one difference, and where things lie in a file or
    which numbers they have is none.

    Exit code: 0 no difference, 1 some, 2 a file cannot be used.
    """
    from tflite_surgeon.cli import diffing

    raise typer.Exit(diffing.run(before, after, as_json, everything))


@app.command("git-diff", context_settings={"ignore_unknown_options": True})
def git_diff(
    arguments: Annotated[
        list[str], typer.Argument(metavar="ARGUMENT...", help="As git gives them.", show_default=False)
    ],
) -> None:
    """Show git how a model has changed: an external diff, for diff.NAME.command or GIT_EXTERNAL_DIFF.

    Exit code: 0 whatever differs, as git needs it; 2 where the arguments are not git's.
    """
    from tflite_surgeon.cli import diffing

    raise typer.Exit(diffing.git(arguments))


@app.command(context_settings={"ignore_unknown_options": True})
def textconv(
    path: Annotated[str, typer.Argument(metavar="FILE", help="A .tflite file.", show_default=False)],
) -> None:
    """Print a model as text that can be compared line by line: for git's diff.NAME.textconv.

    Exit code: 0, for what is no model too, as git needs it; 2 where there is no such file.
    """
    from tflite_surgeon.cli import diffing

    raise typer.Exit(diffing.textconv(path))


@app.command()
def explain(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="A rule's name, or a runtime's message as it was printed; - for standard input.",
            show_default=False,
        ),
    ],
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[MODEL]", help="A model to find the node in.", show_default=False),
    ] = None,
) -> None:
    """Explain a rule, or a message that a runtime printed: what it means, who says it, what to do.

    Exit code: 0, or 2 where nothing is known of the text or the model cannot be used.
    """
    from tflite_surgeon.cli import explaining

    raise typer.Exit(explaining.run(text, model))


@app.command("rules")
def list_rules() -> None:
    """List all rules that check goes by, a line each."""
    from tflite_surgeon.cli import explaining

    raise typer.Exit(explaining.list_rules())


@app.command("inspect")
def inspect_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)],
    part: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="NODE|TENSOR",
            help="Show one in full: a node by the number that runtimes print ([SUBGRAPH:]N), a tensor by its number "
            "([SUBGRAPH:]tN) or by its name or a part of it that no other has.",
            show_default=False,
        ),
    ] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="List tensors.")] = False,
    operators: Annotated[bool, typer.Option("--operators", help="List operators with their options.")] = False,
    buffers: Annotated[bool, typer.Option("--buffers", help="List buffers: sizes, offsets, holders.")] = False,
    opcodes: Annotated[
        bool, typer.Option("--opcodes", help="List operator codes: versions and the runtimes that have them.")
    ] = False,
    signatures: Annotated[bool, typer.Option("--signatures", help="List inputs and outputs of signatures.")] = False,
    metadata: Annotated[bool, typer.Option("--metadata", help="List metadata entries.")] = False,
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--name", metavar="TEXT", help="Only what bears this in its name; * and ? stand for any."),
    ] = None,
    type_: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--type", metavar="DTYPE", help="Only what has this element type, such as int8."),
    ] = None,
    operator: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--operator", metavar="TYPE", help="Only operators of this type, such as CONV_2D, or their tensors."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write strict JSON; NaN and infinities are strings.")] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write one list as CSV, or what else is shown as paths and values.")
    ] = False,
) -> None:
    """Show what a model is made of: a summary, lists of its parts, or one node or tensor in full.

    The summary tells versions, inputs and outputs, operators and the oldest runtime known to have them, where the
    bytes go, and what kind of quantisation it is. A filter without a list lists tensors. Constants are read only for
    one tensor in full.

    Exit code: 0, or 2 where the model cannot be used, there is no such part, or options contradict each other.
    """
    from tflite_surgeon.cli import inspecting
    from tflite_surgeon.views.filters import Filter

    flags = {
        "tensors": tensors,
        "operators": operators,
        "buffers": buffers,
        "opcodes": opcodes,
        "signatures": signatures,
        "metadata": metadata,
    }
    lists = [what for what, chosen in flags.items() if chosen]
    wish = inspecting.Wish(part, lists, Filter(name, type_, operator), json, csv)
    raise typer.Exit(inspecting.run(model, wish))


@app.command()
def rewrite(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)],
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


app.add_typer(repairing)
app.add_typer(viewing)
app.add_typer(proving)
app.add_typer(picturing)
app.add_typer(undoing)
