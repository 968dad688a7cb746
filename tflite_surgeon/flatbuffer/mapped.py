"""The memory that reading a mapped file takes, and letting go of it."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from functools import partial

Raw = bytes | mmap.mmap

# A mapped file takes up to a large page, of 2 MiB, of memory for each page touched: so many of them are held.
_LARGE_PAGE = 21
_HELD = 8


class Memory:
    """What reading a file's bytes has taken of memory, where it is mapped: it can be let go of, and be read again.

    Attributes:
        is_taken: whether the file is mapped, and the system takes memory back.
    """

    def __init__(self, raw: Raw) -> None:
        self._free = letting_go(raw)
        self.is_taken = self._free is not _nothing
        self._last = -1
        self._held: set[int] = set()

    def touched(self, at: int | None) -> None:
        """Note that bytes at a position are read: every few large pages all memory is let go of."""
        if at is None or at >> _LARGE_PAGE == self._last or not self.is_taken:
            return
        page = self._last = at >> _LARGE_PAGE
        if page not in self._held:
            if len(self._held) >= _HELD:
                self.let_go()
            self._held.add(page)

    def let_go(self) -> None:
        """Free the memory that reading has taken; bytes are read again when they are touched."""
        self._held.clear()
        self._free()


def letting_go(raw: Raw) -> Callable[[], None]:
    """What frees the memory that reading a file's bytes has taken, where they are mapped: they can be read again."""
    if isinstance(raw, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        return partial(raw.madvise, mmap.MADV_DONTNEED)
    return _nothing


def _nothing() -> None:
    """Bytes in memory are not to be let go of."""
