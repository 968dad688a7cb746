"""The command `verify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

from tflite_surgeon.cli.inputs import STANDARD, read_model
from tflite_surgeon.cli.outputs import UNUSABLE, print_error
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.verification import print_verification, verification_as_json
from tflite_surgeon.verification.result import Tolerances, Verification


@dataclass(frozen=True)
class Wish:
    """What a user asked for, as `verification.comparing.VerifySettings` has it; json: write that instead of text."""

    modes: list[str] | None = None
    runs: int | None = None
    seed: int = 0
    inputs: Path | None = None
    all_tensors: bool = False
    meaning: bool = False
    tolerances: Tolerances = field(default_factory=Tolerances)
    timeout: float = 300.0
    json: bool = False


def run(before: str, after: str, wish: Wish) -> int:
    """Compare what two models compute; returns the exit code."""
    if before == after == STANDARD:
        print_error(None, "standard input can be one of the two models only")
        return UNUSABLE
    if wish.inputs is not None and wish.runs is not None:
        print_error(None, "--runs is of random inputs, --inputs are one run: choose one")
        return UNUSABLE
    limits = (wish.tolerances.quanta, wish.tolerances.real, wish.tolerances.snr)
    if any(limit is not None and isnan(limit) for limit in limits):
        print_error(None, "a tolerance must be a number, not NaN")
        return UNUSABLE
    try:
        found = _verified(before, after, wish)
    except SurgeonError as error:
        print_error(None, error)
        return UNUSABLE
    if wish.json:
        print(verification_as_json(before, after, found))
    else:
        print_verification(Printer(), before, after, found)
    return exit_code(found)


def exit_code(found: Verification) -> int:
    """1 where a tolerance is exceeded or only AFTER fails to run, 2 where nothing could be compared or judged."""
    if found.exceeded:
        return 1
    if not found.is_compared:
        print_error(None, "nothing could be compared: there is no runtime in which both models run")
        return UNUSABLE
    return UNUSABLE if found.unjudged else 0


def _verified(before: str, after: str, wish: Wish) -> Verification:
    models = []
    for path in (before, after):
        try:
            models.append(read_model(path))
        except SurgeonError as error:
            raise type(error)(f"{path}: {error}") if not str(error).startswith(path) else error from None
    from tflite_surgeon.verification.comparing import VerifySettings, verify

    settings = VerifySettings(
        wish.modes,
        3 if wish.runs is None else wish.runs,
        wish.seed,
        wish.inputs,
        wish.all_tensors,
        wish.meaning,
        wish.tolerances,
        wish.timeout,
    )
    with models[0], models[1]:
        return verify(models[0], models[1], settings)
