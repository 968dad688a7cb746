"""Aligning sequences: every pair is of equal keys and in order, and nothing is left over that need not be."""

from __future__ import annotations

import random
import time

import pytest

from tflite_surgeon.views.diff.alignment import Level, align, by_fewest_edits, by_unique_keys


def longest_common(a: list[int], b: list[int]) -> int:
    """By the textbook's table."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def assert_sound(pairs: list[tuple[int, int]], a: list[int], b: list[int]) -> None:
    assert all(x < y and p < q for (x, p), (y, q) in zip(pairs, pairs[1:]))
    assert all(a[x] == b[y] for x, y in pairs)


@pytest.mark.parametrize("seed", range(40))
def test_short_sequences_keep_all_that_can_be_kept(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(25):
        a, b = ([source.randrange(1 + seed % 6) for _ in range(source.randrange(25))] for _ in "ab")
        pairs = by_fewest_edits(a, b)
        assert_sound(pairs, a, b)
        assert len(pairs) == longest_common(a, b)
        assert_sound(by_unique_keys(a, b), a, b)


def test_what_is_unique_keeps_the_longest_chain() -> None:
    assert by_unique_keys([1, 2, 3, 4, 5], [5, 1, 2, 4]) == [(0, 1), (1, 2), (3, 3)]
    # 7 is not unique in the whole, but is between 1 and 2.
    assert by_unique_keys([7, 1, 7, 2, 7], [1, 7, 2]) == [(1, 0), (2, 1), (3, 2)]


def test_no_key_is_equal_to_no_key() -> None:
    assert by_unique_keys([None], [None]) == []
    assert by_fewest_edits([None, 1], [None, 1]) == [(1, 1)]


@pytest.mark.parametrize("kinds", [1, 3, 1000, 10**9])
def test_long_sequences_with_a_few_items_more(kinds: int) -> None:
    source = random.Random(kinds)
    a = [source.randrange(kinds) for _ in range(30_000)]
    b = list(a)
    for _ in range(20):
        b.insert(source.randrange(len(b)), source.randrange(kinds))
    pairs = by_fewest_edits(a, b)
    assert_sound(pairs, a, b)
    assert len(pairs) == len(a)


@pytest.mark.parametrize("kinds", [2, 50, 5000])
def test_sequences_that_have_nothing_to_do_with_each_other_take_no_time(kinds: int) -> None:
    source = random.Random(kinds)
    a, b = ([source.randrange(kinds) for _ in range(30_000)] for _ in "ab")
    start = time.process_time()
    assert_sound(by_fewest_edits(a, b), a, b)
    assert_sound(by_unique_keys(a, b), a, b)
    assert time.process_time() - start < 15


def test_a_weaker_level_fills_the_gaps_of_a_stronger_one() -> None:
    a, b = ["aX", "bY", "cY", "dZ"], ["aX", "eY", "fY", "dZ"]
    levels = [
        Level(a.__getitem__, b.__getitem__, by_unique_keys),
        Level(lambda i: a[i][1], lambda j: b[j][1], by_fewest_edits),
    ]
    assert align(4, 4, levels[:1]) == [(0, 0), (3, 3)]
    assert align(4, 4, levels) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert align(4, 4, levels[1:], pairs=[(0, 1)]) == [(0, 1), (1, 2), (3, 3)]
