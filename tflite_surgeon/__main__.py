"""`python -m tflite_surgeon`, and the console script."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its escape, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    from tflite_surgeon.cli.app import app

    try:
        app(prog_name="tflite-surgeon")
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing more is to be said, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
