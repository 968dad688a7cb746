"""The commands that repair: fix, and fix-bias-scale, which is fix for one rule."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from tflite_surgeon.cli.arguments import Models, Output, Paranoid, Target

repairing = typer.Typer()


class Keep(str, Enum):
    """Which reading of stored numbers to trust."""

    auto = "auto"
    values = "values"
    integers = "integers"


Nodes = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time, on Python 3.10 too)
    typer.Option(
        "--node",
        metavar="[SUBGRAPH:]N",
        help="Repair only this node, by the number that runtimes print. Repeatable.",
        show_default=False,
    ),
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="Replace the file; the original is kept beside it as NAME.bak.")
]
ForceAll = Annotated[bool, typer.Option("--force", help="Overwrite existing files named by --output and --journal.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the repairs and each edit, old -> new; write nothing.")]
Story = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--journal",
        metavar="PATH",
        help="Write here as JSON what was done, for undo; for several models a folder, which gets "
        "RESULT.journal.json for each.",
        show_default=False,
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Run the model and the result in the interpreter (extra: litert) on the same inputs, beside what each "
        "file says, before anything is written; a result that fails where the model ran is not written.",
    ),
]


@repairing.command("fix")
def fix_model(
    models: Models,
    select: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--select",
            metavar="RULE",
            help="Repair only this rule's findings, notes too; the only way to repair hygiene. Repeatable.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        Keep,
        typer.Option(
            "--keep",
            help="What to trust where stored numbers and the kernel's use of them disagree. values: the written real "
            "values; results change. integers: what kernels compute; only the description changes. auto: decide from "
            "what the file tells, say why, and leave alone what it does not tell.",
        ),
    ] = Keep.auto,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Allow repairs that cannot keep every number; each says what it loses.")
    ] = False,
    node: Nodes = None,
    target: Target = None,
    output: Output = None,
    in_place: InPlace = False,
    force: ForceAll = False,
    dry_run: DryRun = False,
    paranoid: Paranoid = False,
    journal: Story = None,
    verify: Verify = False,
) -> None:
    """Repair what check finds, as far as the file tells how, and change nothing else.

    Errors and warnings for the targets are repaired, causes before consequences; after each step all rules look again,
    and what would leave the model worse is taken back. What is left is told with the reason and what to do instead.
    Writes STEM.fixed.tflite beside the model, unless -o or --in-place says otherwise; a healthy model is not written.

    Exit code: 0 all repaired or nothing to repair, 1 something was left, 2 a file cannot be used or written.
    """
    from tflite_surgeon.cli import fixing

    place = fixing.Place(output, in_place, force, dry_run, paranoid, journal)
    wish = fixing.Wish(select, keep.value, node, target, lossy, verify)
    raise typer.Exit(fixing.run(models, wish, place))


@repairing.command("fix-bias-scale")
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
    node: Nodes = None,
    output: Output = None,
    in_place: InPlace = False,
    force: ForceAll = False,
    dry_run: DryRun = False,
    paranoid: Paranoid = False,
    journal: Story = None,
    verify: Verify = False,
) -> None:
    """Repair biases that are stored in a unit their kernel does not count in.

    It is fix --select bias-scale, but where the file does not tell which reading is right and the result goes beside
    the model, the written values are kept. Writes STEM.fixed.tflite beside the model, unless -o or --in-place says
    otherwise. The result is read back and compared before it gets its name.

    Exit code: 0 all repaired or nothing to repair, 1 a node was left alone, 2 a file cannot be used or written.
    """
    from tflite_surgeon.cli import fixing

    place = fixing.Place(output, in_place, force, dry_run, paranoid, journal)
    wish = fixing.Wish([fixing.BIAS_SCALE], keep.value, node, None, False, verify, guesses=True)
    raise typer.Exit(fixing.run(models, wish, place))
