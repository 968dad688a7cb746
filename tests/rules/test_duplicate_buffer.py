"""Buffers with the same bytes, told from those that differ somewhere: early, late, or between the places looked at."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts

LENGTH = 100_000


def copies(*contents: bytes) -> list[int]:
    """The numbers that the rule tells."""
    model = ts.Model(version=3, buffers=[ts.Buffer(), *map(ts.Buffer, contents)], subgraphs=[])
    found = ts.check(ts.loads(ts.dumps(model)), select=["duplicate-buffer"])
    return found[0].details["buffers"] if found else []


def changed(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("length", [65, 4096, 1 << 14, (1 << 14) + 1, LENGTH])
def test_copies_are_told(length: int) -> None:
    content = bytes(n % 251 for n in range(length))
    assert copies(content, bytes(length), content, content) == [3, 4]


@pytest.mark.parametrize("place", [0, 63, 64, 1000, LENGTH // 2, LENGTH - 65, LENGTH - 1])
def test_one_other_byte_tells_buffers_apart(place: int) -> None:
    content = bytes(n % 251 for n in range(LENGTH))
    other = changed(content, place)
    assert copies(content, other) == []
    assert copies(content, other, content, other, content[:-1]) == [3, 4]


def test_small_buffers_are_left_alone() -> None:
    assert copies(bytes(64), bytes(64)) == []
