"""The command that runs models: verify."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from tflite_surgeon.cli.arguments import MODEL_HELP

proving = typer.Typer()


@proving.command("verify")
def verify(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=MODEL_HELP, show_default=False)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same, of the other model.", show_default=False)],
    mode: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time, on Python 3.10 too)
        typer.Option(
            "--mode",
            metavar="NAME",
            help="Run in this runtime: litert, litert-no-delegate, tflite-2.14, tflm. Repeatable; without it the "
            "first two, of which one that is missing is skipped.",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--runs", metavar="N", min=1, help="How many sets of random inputs; 3 without it."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="What random inputs are drawn by.")] = 0,
    inputs: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--inputs",
            metavar="FILE.npz",
            help="Feed these arrays, by the names that a signature or tensors give the inputs. Floats for an input of "
            "quantised integers are real values.",
            show_default=False,
        ),
    ] = None,
    all_tensors: Annotated[
        bool,
        typer.Option(
            "--all-tensors",
            help="Compare what every operator computes, and name the first that departs. The interpreter then keeps "
            "all tensors, which changes what a delegate takes: litert-no-delegate is the sound choice.",
        ),
    ] = False,
    meaning: Annotated[
        bool,
        typer.Option(
            "--meaning",
            help="Compare each model with what its file says in real numbers: constants by their scales, activations "
            "as floats held in the range that their quantisation implies.",
        ),
    ] = False,
    tolerance_quanta: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--tolerance-quanta", metavar="X", min=0, help="The most that an output may differ, in quanta."),
    ] = None,
    tolerance: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--tolerance", metavar="X", min=0, help="The most that an output may differ, in real units."),
    ] = None,
    snr: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--snr-at-least", metavar="DB", help="The least signal to noise of an output, in dB."),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=86400, help="For one run of one model.")
    ] = 300.0,
    json: Annotated[bool, typer.Option("--json", help="Write strict JSON; NaN and infinities are strings.")] = False,
) -> None:
    """Run two models on the same inputs in real interpreters and say how far apart their outputs are.

    Inputs are random: integers over all that their type holds, floats over the range that is recorded or that a scale
    implies, else -1 to 1. The two may differ in type and quantisation: then real values are compared. Models run in
    child processes: one that kills its interpreter is reported. Tolerances hold for AFTER against BEFORE and, with
    --meaning, for AFTER against what its file says; without any, differences are only told.

    Exit code: 0 within the tolerances, 1 one is exceeded or AFTER fails where BEFORE runs, 2 a file or runtime cannot
    be used, or nothing could be compared or judged.
    """
    from tflite_surgeon.cli import verifying
    from tflite_surgeon.verification.result import Tolerances

    tolerances = Tolerances(tolerance_quanta, tolerance, snr)
    wish = verifying.Wish(mode, runs, seed, inputs, all_tensors, meaning, tolerances, timeout, json)
    raise typer.Exit(verifying.run(before, after, wish))
