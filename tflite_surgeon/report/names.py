"""Names from a model as they may be shown: a file is untrusted, and a terminal obeys control characters."""

from __future__ import annotations

import shlex
import unicodedata

# Control, format (such as reversed writing direction), surrogate, private use, unassigned, line and paragraph ends.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_LONGEST = 120


def printable(name: str, longest: int = _LONGEST) -> str:
    """The name with what a terminal would obey or hide escaped, and cut in the middle where it is very long."""
    if not name.isascii() or not name.isprintable():
        name = "".join(_escaped(c) if unicodedata.category(c) in _HIDDEN else c for c in name)
    if len(name) <= longest:
        return name
    half = (longest - 3) // 2
    return f"{name[:half]}...{name[-half:]}"


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # A byte that was not UTF-8, as the reader keeps it.
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def as_argument(path: str) -> str:
    """A path as it stands in a command to be copied: whole, quoted where a shell would split or expand it."""
    return shlex.quote(printable(path, longest=4096))


def quoted(name: str) -> str:
    """A tensor's name as it stands in a sentence."""
    return f"'{printable(name)}'" if name else "without a name"
