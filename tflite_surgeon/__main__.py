"""`python -m tflite_surgeon`, and the console script."""

from __future__ import annotations

import errno
import gc
import os
import sys


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its escape, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    gc.disable()  # Importing leaves nothing behind that could be collected.
    from tflite_surgeon.cli.app import app

    gc.enable()
    try:
        try:
            app(prog_name="tflite-surgeon")
        finally:
            gc.freeze()  # The system takes all memory at once: nothing is to be searched for cycles at exit.
            sys.stdout.flush()  # What is left of it: at exit an error would have no exit code of ours.
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing more is to be said, at exit neither.
        _say_no_more()
        sys.exit(1)
    except OSError as error:
        # A full disk behind a redirection. Errors of files name them; those, and others, are bugs and keep their trace.
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        _say_no_more()
        print(f"error: standard output cannot be written: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        sys.exit(2)


def _say_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
