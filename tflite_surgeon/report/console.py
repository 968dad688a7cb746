"""Printing: wrapped at the terminal's width, coloured only there, nothing in a name taken for markup."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

# Lines that go to a file or a pipe are not wrapped: they stay greppable.
_UNWRAPPED = 1_000_000

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


class Printer:
    """Writes paragraphs with an indentation to standard output or standard error."""

    def __init__(self, *, stderr: bool = False) -> None:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
        if not console.is_terminal:
            console = Console(
                stderr=stderr, highlight=False, markup=False, emoji=False, width=_UNWRAPPED, no_color=True
            )
        self.console = console

    def line(self, text: str = "", indent: int = 0, style: str = "") -> None:
        """Print one paragraph, wrapped under its own indentation."""
        styled = Text(text, style=style)
        if self.console.width == _UNWRAPPED:
            self.console.print(Text(" " * indent) + styled, soft_wrap=True)
        else:
            self.console.print(Padding(styled, (0, 0, 0, indent)))

    def heading(self, severity: str, text: str) -> None:
        """Print a finding's first line, its severity in colour."""
        self.console.print(Text.assemble((f"{severity}: ", _STYLES.get(severity, "")), (text, "bold")), soft_wrap=True)

    def pairs(self, rows: Sequence[tuple[str, str]], indent: int) -> None:
        """Print names and values in two columns."""
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            if self.console.width == _UNWRAPPED:
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
        room = max(width - self.indent - len(self.name), 20)
        lines = Text(self.value).wrap(_MEASURE, room)
        result = Text()
        for number, line in enumerate(lines):
            start = self.name if number == 0 else " " * len(self.name)
            line.rstrip()
            result.append(("\n" if number else "") + " " * self.indent + start)
            result.append(line)
        return result


_MEASURE = Console(width=_UNWRAPPED)
