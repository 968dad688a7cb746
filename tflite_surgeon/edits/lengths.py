"""Lengths of vectors that are damaged: what the file holds behind one, and whether one reaches over other things.

A writer leaves no bytes between two things but a few zeros of padding: more than that behind a vector, or bytes that
are not zero, are elements that its length does not count any more.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.extent import spans
from tflite_surgeon.model import files

if TYPE_CHECKING:
    from tflite_surgeon.edits.draft import Draft
    from tflite_surgeon.flatbuffer.tables import Table

_U32 = Struct("<I").unpack_from
# The most that a writer pads with, for data that is aligned to 16 bytes.
_ALIGNMENT = 16

_STARTS: WeakKeyDictionary[Draft, list[int]] = WeakKeyDictionary()


class Stretch(NamedTuple):
    """A vector as the file has it.

    Attributes:
        start: the position of its first element.
        end: the byte behind its last one, by its length.
        limit: where the next thing in the file begins.
    """

    start: int
    end: int
    limit: int

    @property
    def reaches_over_others(self) -> bool:
        """Whether its length counts bytes that belong to something else."""
        return self.end > self.limit


def stretch(draft: Draft, owner: Table, attribute: str) -> Stretch | None:
    """Where a vector lies in the file that the model was read from; None where it is in none, or was given anew."""
    source = draft.model.source
    at = owner._offset
    if source is None or at is None:
        return None
    reader = source.reader
    field = next(field for field in schema.fields(owner.table) if field.attribute == attribute)
    place = reader.layout(owner.table, at).offsets[field.slot]
    value = getattr(owner, attribute)
    if not place or value is None:
        return None
    target = at + place + int(_U32(reader.raw, at + place)[0])
    (count,) = _U32(reader.raw, target)
    if count != len(value):
        return None
    starts = _starts(draft)
    following = bisect_right(starts, target)
    limit = starts[following] if following < len(starts) else reader.size
    return Stretch(target + 4, target + 4 + count * schema.size_of(field.format), limit)


def left_behind(draft: Draft, owner: Table, attribute: str, size: int) -> bytes | None:
    """The bytes of a vector of which the file says that it is shorter, where they all lie there still.

    Args:
        draft: the model.
        owner, attribute: the table that holds the vector, and its name.
        size: how many bytes it should have.
    """
    found = stretch(draft, owner, attribute)
    if found is None or draft.model.source is None:
        return None
    missing, gap = found.start + size - found.end, found.limit - found.end
    if not 0 < missing <= gap < missing + _ALIGNMENT:
        return None
    rest = bytes(draft.model.source.view[found.end : found.end + missing])
    if gap < _ALIGNMENT and not any(rest):  # As padding is.
        return None
    return bytes(draft.model.source.view[found.start : found.end]) + rest


def _starts(draft: Draft) -> list[int]:
    """Where things begin in the file, in order."""
    found = _STARTS.get(draft)
    if found is None:
        source = draft.model.source
        assert source is not None
        # The model as it was read: an edited one no longer says what lies where in the file.
        original = files.decode(files.Source(source.raw, None, None))
        assert original.source is not None
        places = [start for start, _ in spans(original, original.source.reader)]
        places += [buffer.offset for buffer in original.buffers or () if buffer.outside]
        found = _STARTS[draft] = sorted(set(places))
    return found
