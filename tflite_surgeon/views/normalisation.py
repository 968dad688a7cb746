"""How images are normalised before a model, where its TFLITE_METADATA entry says so.

The entry is a flatbuffer of a schema of its own, written by metadata tools and read by the Task library. Only the way
to NormalizationOptions is followed here. Source: TensorFlow Lite support library, metadata_schema.fbs.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass

from tflite_surgeon.model.objects import Buffer, Model

_ENTRY = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
# Positions of the fields in their tables.
_SUBGRAPHS = 3  # ModelMetadata.subgraph_metadata
_INPUTS = 2  # SubGraphMetadata.input_tensor_metadata
_UNITS = 4  # TensorMetadata.process_units
_OPTIONS_TYPE, _OPTIONS = 0, 1  # ProcessUnit.options, a union: its type and its value
_NORMALIZATION = 1  # ProcessUnitOptions.NormalizationOptions
_MEAN, _STD = 0, 1
# More values are no channels of an image, more tables no inputs of a model: what points round in circles ends here.
_MOST = 16
_MOST_TABLES = 256


@dataclass(frozen=True)
class Normalisation:
    """real = (pixel - mean) / std with pixels from 0 to 255; one value, or one for each channel."""

    mean: list[float]
    std: list[float]


def normalisations(model: Model) -> dict[int, Normalisation]:
    """What the metadata say of the inputs of the main subgraph, by their number; nothing where they cannot be read."""
    found: dict[int, Normalisation] = {}
    for entry in model.metadata or ():
        if entry.name == _ENTRY and isinstance(entry.buffer, Buffer):
            with suppress(ValueError):  # Damaged, or in a file that was closed.
                found |= _read(_Bytes(entry.buffer.data or b""))
    return found


class _Bytes:
    """A flatbuffer that nobody vouches for: every access is checked."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = memoryview(data)

    def number(self, form: str, at: int) -> int:
        return int(self.numbers(form, at, 1)[0])

    def numbers(self, form: str, at: int, count: int) -> tuple[float, ...]:
        size = struct.calcsize(form) * count
        if at < 0 or at + size > len(self.data):
            raise ValueError
        return struct.unpack_from(f"<{count}{form}", self.data, at)

    def field(self, table: int, slot: int) -> int | None:
        """Where a field's value lies; None where the table has none."""
        layout = table - self.number("i", table)
        if 4 + 2 * slot + 2 > self.number("H", layout):
            return None
        offset = self.number("H", layout + 4 + 2 * slot)
        return table + offset if offset else None

    def follow(self, at: int | None) -> int | None:
        return None if at is None else at + self.number("I", at)

    def tables(self, table: int, slot: int) -> list[int]:
        """The tables in a vector."""
        vector = self.follow(self.field(table, slot))
        if vector is None:
            return []
        count = self.number("I", vector)
        if count > _MOST_TABLES:
            raise ValueError
        places = (vector + 4 + 4 * index for index in range(count))
        return [place + self.number("I", place) for place in places]

    def floats(self, table: int, slot: int) -> list[float]:
        vector = self.follow(self.field(table, slot))
        if vector is None:
            return []
        count = self.number("I", vector)
        if count > _MOST:
            raise ValueError
        return list(self.numbers("f", vector + 4, count))


def _read(raw: _Bytes) -> dict[int, Normalisation]:
    if bytes(raw.data[4:8]) != _IDENTIFIER:
        return {}
    found = {}
    for subgraph in raw.tables(raw.number("I", 0), _SUBGRAPHS)[:1]:
        for number, tensor in enumerate(raw.tables(subgraph, _INPUTS)):
            for unit in raw.tables(tensor, _UNITS):
                kind, options = raw.field(unit, _OPTIONS_TYPE), raw.follow(raw.field(unit, _OPTIONS))
                if kind is None or options is None or raw.number("B", kind) != _NORMALIZATION:
                    continue
                mean, std = raw.floats(options, _MEAN), raw.floats(options, _STD)
                if mean and len(mean) == len(std):
                    found[number] = Normalisation(mean, std)
    return found
