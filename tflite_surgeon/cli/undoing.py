"""The command `undo`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

undoing = typer.Typer()


@undoing.command("undo")
def undo_repair(
    fixed: Annotated[
        Path, typer.Argument(metavar="FIXED", help="The file that a repair wrote, unchanged since.", show_default=False)
    ],
    journal: Annotated[
        Path, typer.Argument(metavar="JOURNAL", help="What the repair wrote with --journal.", show_default=False)
    ],
    output: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads the annotation at run time, on Python 3.10 too)
        typer.Option("-o", "--output", metavar="PATH", help="Write the result here.", show_default=False),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace FIXED; it is kept beside as FIXED.bak.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file named by --output.")] = False,
) -> None:
    """Take a repair back: write the file as it was before, byte for byte.

    Where bytes were spliced, the journal's patches are taken back; where the file was written anew, the original that
    was kept is copied. Writes STEM.undone.tflite beside FIXED, unless -o or --in-place says otherwise. Hashes of FIXED
    and of the result must be those of the journal.

    Exit code: 0, or 2 where it cannot be undone, or a file cannot be used or written.
    """
    raise typer.Exit(run(fixed, journal, output, in_place, force))


def run(fixed: Path, journal: Path, output: Path | None, in_place: bool, force: bool) -> int:
    """Undo a repair and print what was done; returns the exit code."""
    from tflite_surgeon.cli.outputs import UNUSABLE, print_error
    from tflite_surgeon.errors import SurgeonError

    try:
        _run(fixed, journal, output, in_place, force)
    except SurgeonError as error:
        print_error(None, error)
        return UNUSABLE
    return 0


def _run(fixed: Path, journal: Path, output: Path | None, in_place: bool, force: bool) -> None:
    from tflite_surgeon.cli.inputs import STANDARD
    from tflite_surgeon.cli.outputs import is_same_file, require_free
    from tflite_surgeon.edits.undoing import undo
    from tflite_surgeon.errors import SurgeonError
    from tflite_surgeon.report.console import Printer
    from tflite_surgeon.report.names import printable

    if output is not None and in_place:
        raise SurgeonError("-o and --in-place exclude each other")
    if output is not None and str(output) == STANDARD:
        raise SurgeonError("undo writes a file and proves it: name one with -o")
    replaces = in_place or (output is not None and is_same_file(output, fixed))
    if replaces:
        target = fixed
    else:
        target = output or fixed.with_name(f"{fixed.stem}.undone{fixed.suffix}")
        hint = "add --force to replace it" if output is not None else "name another file with -o, or remove it"
        require_free(target, force and output is not None, hint)
    done = undo(fixed, journal, target, replace=True, backup=replaces)
    if done.original is not None:
        how = f"copied from {printable(str(done.original), longest=4096)}"
    else:
        how = f"{done.patches} patch{'' if done.patches == 1 else 'es'} taken back"
    printer = Printer()
    printer.line(f"Wrote {printable(str(target), longest=4096)}: {done.size} bytes as before the repair, {how}.")
    printer.line(f"sha256 {done.sha256}", indent=4)
    if done.backup is not None:
        printer.line(f"The repaired file is kept as {printable(str(done.backup), longest=4096)}.")
