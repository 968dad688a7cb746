"""Long vectors of numbers, in the memory that the numbers take, or in none as long as they lie in a mapped file."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, MutableSequence
from math import inf
from struct import Struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tflite_surgeon.flatbuffer.reader import Reader

# Short vectors are plain lists; a list of more numbers than this takes eight times the memory of a Vector.
LONGEST_LIST = 16
_LARGEST_FLOAT32 = 3.4028235677973366e38  # From here on rounding gives infinity.
_ITEMS = {typecode: Struct(f"<{typecode}") for typecode in "bBhHiIqQfd"}


class Vector(MutableSequence[Any]):
    """Numbers of a long vector: to be read, changed, compared and shown like a list.

    What is assigned is rounded to the type of the field: floats to float32. A slice is a list. Those of a mapped file
    stay there until one is changed: then, or in a copy, they are numbers in memory.

    Attributes:
        typecode: the type of the numbers, as `array` and `struct` have it.
    """

    __slots__ = ("_count", "_end", "_numbers", "_reader", "_start", "typecode")
    typecode: str
    _numbers: array[Any] | None
    # Where the numbers lie as long as they are in no memory.
    _reader: Reader | None
    _start: int
    _end: int
    _count: int

    def __init__(self, typecode: str, values: Iterable[Any] | bytes = ()) -> None:
        self.typecode = typecode
        self._numbers = array(typecode, values)
        self._reader, self._start, self._end, self._count = None, 0, 0, 0

    @classmethod
    def in_file(cls, typecode: str, reader: Reader, start: int, end: int) -> Vector:
        """The numbers from one position of a file up to another, read whenever they are asked for."""
        self = cls.__new__(cls)
        self.typecode, self._numbers = typecode, None
        self._reader, self._start, self._end = reader, start, end
        self._count = (end - start) // _ITEMS[typecode].size
        return self

    def tobytes(self) -> bytes:
        """The numbers as a flatbuffer stores them, on processors of its byte order.

        Raises:
            SurgeonError: they lie in a file that was closed.
        """
        if self._reader is not None:
            return self._reader.again(self._start, self._end)
        return self._read().tobytes()

    def tolist(self) -> list[Any]:
        return self._read().tolist()

    def _read(self) -> array[Any]:
        """The numbers, to be read."""
        return array(self.typecode, self.tobytes()) if self._numbers is None else self._numbers

    def _own(self) -> array[Any]:
        """The numbers, to be changed."""
        if self._numbers is None:
            self._numbers, self._reader = self._read(), None
        return self._numbers

    def __len__(self) -> int:
        return self._count if self._numbers is None else len(self._numbers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read())

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self.tolist()[key]
        if self._reader is None:
            return self._read()[key]
        item = _ITEMS[self.typecode]
        start = (self._start if key >= 0 else self._end) + key * item.size
        if not self._start <= start < self._end:
            raise IndexError("vector index out of range")
        return item.unpack(self._reader.again(start, start + item.size))[0]

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            value = array(self.typecode, value)
        elif self.typecode == "f" and abs(value) > _LARGEST_FLOAT32 and abs(value) != inf:
            raise OverflowError(f"{value!r} is too large for a float32")
        self._own()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._own()[key]

    def insert(self, index: int, value: Any) -> None:
        self._own().insert(index, value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Vector):
            return self.is_same_place(other) or self._read() == other._read()
        return self.tolist() == list(other) if isinstance(other, (list, tuple)) else NotImplemented

    def is_same_place(self, other: Vector) -> bool:
        """Whether both are still the same numbers of a file."""
        if self._reader is None or self._reader is not other._reader:
            return False
        return self._start == other._start and self._end == other._end

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.tolist())

    def __add__(self, other: Iterable[Any]) -> list[Any]:
        return [*self, *other]

    def __radd__(self, other: Iterable[Any]) -> list[Any]:
        return [*other, *self]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """As a NumPy array of its own."""
        from numpy import array as as_array

        return as_array(self._read(), dtype)

    def __reduce__(self) -> Any:
        """Pickled as numbers: a mapped file is in one process only."""
        return Vector, (self.typecode, self._read())

    def in_memory(self) -> Vector:
        """These numbers, or a copy where they lie in a file: to be read more than once."""
        return self if self._reader is None else Vector(self.typecode, self._read())

    def copy(self) -> Vector:
        """The same numbers, to be changed on their own."""
        if self._reader is not None:
            return Vector.in_file(self.typecode, self._reader, self._start, self._end)
        return Vector(self.typecode, self._read())


# What a script may put where a table holds numbers, and what is there.
NUMBERS = (list, tuple, array, Vector)
