"""Arguments that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

MODEL_HELP = "A .tflite file, C source with one as an array, FILE#SECTION for one in a container, - for standard input."

Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help=MODEL_HELP, show_default=False)]
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
