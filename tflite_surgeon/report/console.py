"""Printing: wrapped at the terminal's width, coloured only there, nothing in a name taken for markup."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Lines that go to a file or a pipe are not wrapped: they stay greppable.
_UNWRAPPED = 1_000_000

# Variables by which somebody tells rich that a pipe leads to a terminal, or not.
_TERMINAL_BY_WISH = {"FORCE_COLOR", "TTY_COMPATIBLE"}

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


class Printer:
    """Writes paragraphs with an indentation to standard output or standard error.

    A file or a pipe gets the characters as they are, without rich, which takes longer to import than many a model to
    check; it is asked for terminals, and where a character may need its care.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr
        self._is_plain = not (self._stream().isatty() or _TERMINAL_BY_WISH & os.environ.keys())

    def _stream(self) -> TextIO:
        return sys.stderr if self._stderr else sys.stdout

    @cached_property
    def console(self) -> Console:
        """What prints to a terminal."""
        from rich.console import Console

        console = Console(stderr=self._stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
        if not console.is_terminal:
            console = Console(
                stderr=self._stderr, highlight=False, markup=False, emoji=False, width=_UNWRAPPED, no_color=True
            )
        return console

    @property
    def wraps(self) -> bool:
        """Whether it writes to a terminal, which has a width."""
        return not self._is_plain and self.console.width != _UNWRAPPED

    def _writes(self, text: str) -> bool:
        """Write a line that needs nothing of rich; False where it does."""
        if not (self._is_plain and text.isprintable()):
            return False
        print(text, file=self._stream(), flush=True)
        return True

    def line(self, text: str = "", indent: int = 0, style: str = "") -> None:
        """Print one paragraph, wrapped under its own indentation."""
        if self._writes(" " * indent + text):
            return
        from rich.padding import Padding
        from rich.text import Text

        styled = Text(text, style=style)
        if self.console.width == _UNWRAPPED:
            self.console.print(Text(" " * indent) + styled, soft_wrap=True)
        else:
            self.console.print(Padding(styled, (0, 0, 0, indent)))

    def code(self, line: str) -> None:
        """Print a line to be copied or searched: never wrapped, and fast."""
        self._stream().write(f"{line}\n")

    def heading(self, severity: str, text: str) -> None:
        """Print a finding's first line, its severity in colour."""
        if self._writes(f"{severity}: {text}"):
            return
        from rich.text import Text

        self.console.print(Text.assemble((f"{severity}: ", _STYLES.get(severity, "")), (text, "bold")), soft_wrap=True)

    def pairs(self, rows: Sequence[tuple[str, str]], indent: int) -> None:
        """Print names and values in two columns."""
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            if not self.wraps:
                self.line(f"{name:<{width}}  {value}", indent)
            else:
                self.console.print(_HangingIndent(f"{name:<{width}}  ", value, indent).render(self.console.width))


class _HangingIndent:
    """A value that wraps under itself, not under its name."""

    def __init__(self, name: str, value: str, indent: int) -> None:
        self.name = name
        self.value = value
        self.indent = indent

    def render(self, width: int) -> Text:
        from rich.text import Text

        room = max(width - self.indent - len(self.name), 20)
        lines = Text(self.value).wrap(_measure(), room)
        result = Text()
        for number, line in enumerate(lines):
            start = self.name if number == 0 else " " * len(self.name)
            line.rstrip()
            result.append(("\n" if number else "") + " " * self.indent + start)
            result.append(line)
        return result


@cache
def _measure() -> Console:
    from rich.console import Console

    return Console(width=_UNWRAPPED)
