"""Aligning two sequences: which item of one is which of the other, in order.

Two ideas, each applied to ever weaker keys in the gaps that the stronger ones left. First, what occurs once in either
gap is taken for the same (patience diff, Bram Cohen); of those, the longest chain that keeps its order stays. Then, for
sequences that repeat themselves, the shortest edit script (Myers, "An O(ND) Difference Algorithm", 1986), cut off
where two gaps have little in common, so that time stays linear in the length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

Key = Hashable  # None for an item that nothing can be said of at this level.
Pair = tuple[int, int]
Keys = Callable[[int], Key]
Method = Callable[[Sequence[Key], Sequence[Key]], list[Pair]]

# Gaps inside gaps; real sequences need three or four.
_DEEPEST = 24
# Edits that Myers' search goes through before it settles for the furthest it came, and begins again there.
_MOST_EDITS = 64
# A diagonal that no path has come to.
_NEVER = -2


class Level:
    """Keys of both sequences by position, and the method that they suit."""

    def __init__(self, before: Keys, after: Keys, method: Method) -> None:
        self.before = before
        self.after = after
        self.method = method


def align(before: int, after: int, levels: Sequence[Level], pairs: Sequence[Pair] = ()) -> list[Pair]:
    """Pairs of positions in two sequences of those lengths, rising on both sides; strongest level first.

    Args:
        before, after: the lengths.
        levels: how to fill the gaps, one after the other.
        pairs: what is known already.
    """
    pairs = list(pairs)
    for level in levels:
        refined: list[Pair] = []
        i = j = 0
        for p, q in [*pairs, (before, after)]:
            if p > i and q > j:
                a, b = [level.before(x) for x in range(i, p)], [level.after(y) for y in range(j, q)]
                refined += [(i + x, j + y) for x, y in level.method(a, b)]
            refined.append((p, q))
            i, j = p + 1, q + 1
        pairs = refined[:-1]
    return pairs


def by_unique_keys(a: Sequence[Key], b: Sequence[Key]) -> list[Pair]:
    """Pairs of equal keys that occur once in both, and the same again in the gaps between."""
    found: list[Pair] = []
    waiting = [(0, len(a), 0, len(b), 0)]
    while waiting:
        i, p, j, q, depth = waiting.pop()
        if i == p or j == q or depth == _DEEPEST:
            continue
        anchors = [(i + x, j + y) for x, y in _anchors(a[i:p], b[j:q])]
        found += anchors
        for x, y in [*anchors, (p, q)] if anchors else ():
            waiting.append((i, x, j, y, depth + 1))
            i, j = x + 1, y + 1
    return sorted(found)


def _anchors(a: Sequence[Key], b: Sequence[Key]) -> list[Pair]:
    """What occurs exactly once in either sequence: the longest chain that rises on both sides."""
    counts = Counter(a), Counter(b)
    places = {key: place for place, key in enumerate(b) if key is not None and counts[1][key] == 1}
    pairs = [(place, places[key]) for place, key in enumerate(a) if counts[0][key] == 1 and key in places]
    # Longest increasing subsequence: the smallest end of a chain of each length, and what came before each item.
    ends: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for number, (_, y) in enumerate(pairs):
        length = bisect_left(ends, y)
        previous.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(y)
            last.append(number)
        else:
            ends[length], last[length] = y, number
    chain: list[Pair] = []
    number = last[-1] if last else -1
    while number >= 0:
        chain.append(pairs[number])
        number = previous[number]
    return chain[::-1]


def by_fewest_edits(a: Sequence[Key], b: Sequence[Key]) -> list[Pair]:
    """Pairs of equal keys with the fewest items left over, or nearly so where most are."""
    common = (set(a) & set(b)) - {None}
    rows = [place for place, key in enumerate(a) if key in common]
    columns = [place for place, key in enumerate(b) if key in common]
    left, right = [a[place] for place in rows], [b[place] for place in columns]
    found: list[Pair] = []
    i = j = 0
    while i < len(rows) and j < len(columns):
        search = _Search(left, right, i, j)
        found += [(rows[x], columns[y]) for x, y in search.pairs]
        i, j = search.end
    return found


class _Search:
    """The furthest that _MOST_EDITS edits lead into two sequences, from a place in each: the pairs, and the end.

    On diagonal k (items of `a` minus items of `b`, from the start), `reach[k]` counts the items of `a` that the best
    path has passed.
    """

    def __init__(self, a: Sequence[Key], b: Sequence[Key], i: int, j: int) -> None:
        self.history: list[dict[int, int]] = []
        length, width = len(a) - i, len(b) - j
        reach = {1: 0}
        for edits in range(_MOST_EDITS + 1):
            self.history.append(dict(reach))
            furthest = (-1, 0)
            for k in range(-edits, edits + 1, 2):
                x = self._start(edits, k)
                y = x - k
                if x < 0 or y < 0 or x > length or y > width:
                    reach.pop(k, None)
                    continue
                while x < length and y < width and a[i + x] == b[j + y]:
                    x, y = x + 1, y + 1
                reach[k] = x
                furthest = max(furthest, (x + y, k))
            total, k = furthest
            if total == length + width:
                break
        self.end = i + reach[k], j + reach[k] - k
        self.pairs = [(i + x, j + y) for x, y in self._walk_back(reach[k], k)]

    def _start(self, edits: int, k: int) -> int:
        """Where the path of so many edits comes to diagonal k, before it follows what is equal."""
        before = self.history[edits]
        left, above = before.get(k - 1, _NEVER), before.get(k + 1, _NEVER)
        return above if self._is_from_above(edits, k, left, above) else left + 1

    @staticmethod
    def _is_from_above(edits: int, k: int, left: int, above: int) -> bool:
        return k == -edits or (k != edits and left < above)

    def _walk_back(self, x: int, k: int) -> list[Pair]:
        pairs: list[Pair] = []
        for edits in range(len(self.history) - 1, -1, -1):
            start = self._start(edits, k)
            pairs += [(place, place - k) for place in range(x - 1, start - 1, -1)]
            before = self.history[edits]
            from_above = self._is_from_above(edits, k, before.get(k - 1, _NEVER), before.get(k + 1, _NEVER))
            x, k = (start, k + 1) if from_above else (start - 1, k - 1)
        return pairs[::-1]
