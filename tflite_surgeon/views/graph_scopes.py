"""Groups of operators that belong together, by the scopes in their tensors' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

# A group in a group; deeper ones are drawn as part of their second.
_DEEPEST: Final = 2
# One operator alone is no group.
_FEWEST: Final = 2


def path_of(name: str) -> tuple[str, ...]:
    """The scopes of a tensor's name, outermost first: of "model/block/Conv2D;model/block/bias" model and block.

    A converter that fuses operators joins their names by ";"; the first one counts.
    """
    return tuple(part for part in name.split(";")[0].split("/")[:-1] if part)


def group(names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The groups that each thing stands in, outermost first: at most two, and none that holds a single thing.

    Args:
        names: a tensor's name for each thing.

    Scopes that everything shares make no group, and one that only holds another shares its label ("a/b").
    """
    scopes: dict[str, tuple[str, ...]] = {}
    # A name may have thousands of scopes: no recursion by scope, and two groups deep at most.
    pending: list[tuple[tuple[str, ...], list[tuple[str, tuple[str, ...]]]]] = [
        ((), [(key, path_of(name)) for key, name in names.items()])
    ]
    while pending:
        label, members = pending.pop()
        shared = _shared([path for _, path in members])
        if label:
            label = (*label[:-1], "/".join((label[-1], *members[0][1][:shared])))
        inner: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        for key, path in members:
            scopes[key] = label
            if len(path) > shared and len(label) < _DEEPEST:
                inner.setdefault(path[shared], []).append((key, path[shared + 1 :]))
        pending += [((*label, name), found) for name, found in inner.items() if len(found) >= _FEWEST]
    return scopes


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """How many first scopes all of some paths have in common."""
    if not paths:
        return 0
    least, most = min(paths), max(paths)
    count = 0
    for one, other in zip(least, most):
        if one != other:
            break
        count += 1
    return count
