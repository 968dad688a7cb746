"""One function over many files, in child processes: what crashes or hangs on a file costs that file only."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

Result = TypeVar("Result")

_POLL_SECONDS = 0.5
# Paths for each process that are much to do.
_MANY = 16


class Lost(Exception):
    """A child died, or ran out of time, over a file."""


def each(
    function: Callable[[str], Result], paths: Sequence[str], jobs: int, seconds: float
) -> Iterator[tuple[int, Result | Lost]]:
    """The function's result for each path as it comes, with the path's number.

    Args:
        function: importable by name; it raises nothing.
        paths: what to call it with.
        jobs: how many processes.
        seconds: how long one call may take.
    """
    # Children inherit what is imported; where threads or frameworks make that unsafe, they start anew.
    method = "fork" if sys.platform.startswith("linux") else "spawn"
    waiting = list(reversed(list(enumerate(paths))))
    children = [_Child(function, method) for _ in range(min(jobs, len(paths)))]
    try:
        for child in children:
            child.take(*waiting.pop())
        while busy := [child for child in children if child.paths]:
            # As long as there is much to do each has the next path at hand, and need not wait for it. Not where one
            # process is asked for: it and this one would work at the same time.
            is_much = len(children) > 1 and len(waiting) > _MANY * len(children)
            for child in busy if is_much else ():
                if len(child.paths) < 2:
                    child.take(*waiting.pop())
            ready = wait([child.connection for child in busy], _POLL_SECONDS)
            for child in busy:
                if child.connection in ready:
                    number, result = child.answer()
                elif time.monotonic() - child.started > seconds:
                    number, result = child.give_up(f"no result after {seconds:g} seconds")
                else:
                    continue
                if waiting and not child.paths:
                    child.take(*waiting.pop())
                yield number, result
    finally:
        for child in children:
            child.end()


class _Child(Generic[Result]):
    """A process that works on one path after the other, and is replaced when it is lost.

    Attributes:
        paths: what it has to do, with numbers; the first is the one that it is working on.
        started: when it began with the path that it is working on.
    """

    def __init__(self, function: Callable[[str], Result], method: str) -> None:
        self._function = function
        self._context = multiprocessing.get_context(method)
        self.paths: deque[tuple[int, str]] = deque()
        self.started = 0.0
        self._start()

    def _start(self) -> None:
        self.connection, theirs = self._context.Pipe()
        process = self._context.Process(  # type: ignore[attr-defined]
            target=_work, args=(self._function, theirs, self.connection), daemon=True
        )
        process.start()
        theirs.close()
        self._process = process

    def take(self, number: int, path: str) -> None:
        if not self.paths:
            self.started = time.monotonic()
        self.paths.append((number, path))
        self._send(path)

    def _send(self, path: str) -> None:
        with suppress(OSError):  # It has died: its answer will say so.
            self.connection.send(path)

    def answer(self) -> tuple[int, Result | Lost]:
        try:
            result = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            return self.give_up(_how(self._process.exitcode))
        self.started = time.monotonic()
        return self.paths.popleft()[0], result

    def give_up(self, why: str) -> tuple[int, Result | Lost]:
        """Replace the process; the path that it was working on is lost, one behind that is not."""
        number, _ = self.paths.popleft()
        self.end()
        self._start()
        self.started = time.monotonic()
        for _, path in self.paths:
            self._send(path)
        return number, Lost(why)

    def end(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"the process died ({signal.Signals(-exit_code).name})"
    return f"the process died (exit code {exit_code})"


def _work(function: Callable[[str], Result], connection: Connection, parents: Connection) -> None:
    # The parent's end must be closed here, or nobody would notice that the parent is gone.
    parents.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent answers to an interrupt.
    while True:
        try:
            path = connection.recv()
        except EOFError:
            os._exit(0)
        connection.send(function(path))
