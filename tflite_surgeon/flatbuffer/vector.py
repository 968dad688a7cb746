"""Long vectors of numbers, in the memory that the numbers take."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from math import inf
from typing import Any

# Short vectors are plain lists; a list of more numbers than this takes eight times the memory of a Vector.
LONGEST_LIST = 16
_LARGEST_FLOAT32 = 3.4028235677973366e38  # From here on rounding gives infinity.


class Vector(array):  # type: ignore[type-arg]
    """Numbers of a long vector: to be read, changed, compared and shown like a list.

    What is assigned is rounded to the type of the field: floats to float32. A slice is a list.
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        return self.tolist()[key] if isinstance(key, slice) else array.__getitem__(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            value = array(self.typecode, value)
        elif self.typecode == "f" and abs(value) > _LARGEST_FLOAT32 and abs(value) != inf:
            raise OverflowError(f"{value!r} is too large for a float32")
        array.__setitem__(self, key, value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, tuple)):
            return len(self) == len(other) and self.tolist() == list(other)
        return bool(array.__eq__(self, other)) if isinstance(other, array) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self.tolist())

    def __add__(self, other: Iterable[Any]) -> list[Any]:  # type: ignore[override]
        return [*self, *other]

    def __radd__(self, other: Iterable[Any]) -> list[Any]:
        return [*other, *self]

    def copy(self) -> Vector:
        """The same numbers, to be changed on their own."""
        return Vector(self.typecode, self)
