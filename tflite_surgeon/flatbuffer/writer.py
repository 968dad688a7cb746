"""Tables to bytes: a whole flatbuffer, weights last and never copied.

Tables are written front to back, each parent before its children, so that every offset points forward; data vectors
(weights) follow behind all tables, each 16-byte aligned as `force_align` demands, and stay views of where they came
from until the file is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct
from struct import error as StructError
from typing import Any

from tflite_surgeon.errors import EncodeError
from tflite_surgeon.flatbuffer.encoders import Encoder, Misfit, distances, encoder
from tflite_surgeon.flatbuffer.misfits import misfit
from tflite_surgeon.flatbuffer.tables import References, Table

# Readers verify offsets as signed 32-bit (FLATBUFFERS_MAX_BUFFER_SIZE).
MAX_SIZE = (1 << 31) - 1

_pack_u32 = Struct("<I").pack_into

Bytes = bytes | bytearray | memoryview

# What comes of values that their fields cannot hold.
_REFUSALS = (Misfit, StructError, OverflowError, TypeError, ValueError, AttributeError, KeyError)


class TooLarge(EncodeError):
    """The flatbuffer would pass 2 GB: data has to move behind it."""


class Writer:
    """Writes one flatbuffer.

    Args:
        references: index to store for (id of a table, attribute), for the fields that hold references.
        values: stored values that differ from the object's own, by the id of the table and the attribute.

    Attributes:
        out: the tables, as far as they are written.
        data: (place of the offset, bytes, alignment) of each data vector.
        vtables: where each one lies.
        scalar_places: where the 64-bit values of those tables lie that `values` has, by id and attribute.
    """

    def __init__(self, references: References, values: Mapping[int, Mapping[str, Any]]) -> None:
        self.out = bytearray()
        self.references = references
        self.values = values
        self.data: list[tuple[int, Bytes, int]] = []
        self.vtables: dict[bytes, int] = {}
        self.scalar_places: dict[tuple[int, str], int] = {}

    def encode(self, root: Table, identifier: bytes) -> list[Bytes]:
        """The flatbuffer as consecutive pieces.

        Raises:
            EncodeError: a value does not fit its field, or a table holds what the schema does not know.
            TooLarge: more than 2 GB.
        """
        self.out += b"\0\0\0\0" + identifier
        try:
            position = encoder(root.table)(self, root)
        except _REFUSALS as error:
            raise misfit(root, self.references) or error from None
        _pack_u32(self.out, 0, position)
        return list(self._with_data())

    def _with_data(self) -> Iterator[Bytes]:
        """The tables, then the data vectors, once it is known where they come to lie."""
        end = len(self.out)
        self.require_size(end)
        pieces: list[Bytes] = []
        for at, data, alignment in self.data:
            padding = -(end + 4) % alignment
            start = end + padding
            pieces += (b"\0" * padding + len(data).to_bytes(4, "little"), data)
            _pack_u32(self.out, at, start - at)
            end = start + 4 + len(data)
            if end > MAX_SIZE:
                break
        self.require_size(end)
        yield self.out
        yield from pieces

    @staticmethod
    def require_size(end: int) -> None:
        if end > MAX_SIZE:
            raise TooLarge(f"the flatbuffer would take more than {MAX_SIZE} bytes")

    # What encoders call

    def add_vtable(self, vtable: bytes) -> int:
        out = self.out
        out += b"\0" * (-len(out) % 2)
        at = self.vtables[vtable] = len(out)
        out += vtable
        return at

    def tables(self, tables: Any, encode: Encoder) -> int:
        position = self._offsets(len(tables))
        return self._point(position, [encode(self, table) for table in tables])

    def strings(self, strings: Any) -> int:
        position = self._offsets(len(strings))
        places = []
        for text in strings:
            encoded = text.encode("utf-8", "surrogateescape")
            places.append(self.bytes(encoded, 4))
            self.out += b"\0" * (4 - len(encoded) % 4)
        return self._point(position, places)

    def bytes(self, value: Bytes, alignment: int) -> int:
        """Append a vector of bytes; what is aligned comes behind the four bytes of its count."""
        out = self.out
        out += b"\0" * (-(len(out) + 4) % alignment)
        position = len(out)
        out += len(value).to_bytes(4, "little")
        out += value
        return position

    def _offsets(self, count: int) -> int:
        """Append a vector of offsets that are not known yet."""
        out = self.out
        out += b"\0" * (-len(out) % 4)
        position = len(out)
        out += count.to_bytes(4, "little")
        out += b"\0" * (4 * count)
        return position

    def _point(self, position: int, places: list[int]) -> int:
        Struct(f"<{len(places)}I").pack_into(self.out, position + 4, *distances(places, position + 4))
        return position
