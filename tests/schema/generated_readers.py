"""What the code that the FlatBuffers compiler generated for other packages says of the format.

The accessors of generated readers are parsed, not called: each names its vtable offset, its type and its default.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

# Names of flatbuffers.number_types and the struct formats they stand for.
_FLAGS = {
    "Bool": "?", "Int8": "b", "Uint8": "B", "Int16": "h", "Uint16": "H", "Int32": "i", "Uint32": "I",
    "Int64": "q", "Uint64": "Q", "Float32": "f", "Float64": "d",
}  # fmt: skip

_METHOD = re.compile(r"^    def (\w+)\(self(?:, j)?\):\n(.*?)(?=^    (?:def |#|@)|^\S|\Z)", re.M | re.S)
_MEMBER = re.compile(r"^    (\w+) = (-?\d+)$", re.M)


class Accessor(NamedTuple):
    """slot; kind as in `schema.Field`, "numbers" for every vector of scalars; type: format or table; default."""

    slot: int
    kind: str
    type: str
    default: object


def _accessor(body: str) -> Accessor | None:
    place = re.search(r"self\._tab\.Offset\((\d+)\)", body)
    if place is None or not re.search(r"_tab\.(Get|String|Union|Indirect)\(", body):
        return None  # No field, or a helper for one: its length, its vector as an array, whether it is absent.
    slot = (int(place[1]) - 4) // 2
    vector = "_tab.Vector(" in body
    flags = re.search(r"_tab\.Get\(flatbuffers\.number_types\.(\w+)Flags", body)
    if flags:
        default = re.findall(r"return (True|False|-?\d[\d.e+-]*)$", body, re.M)[-1:] or ["None"]
        return Accessor(slot, "numbers" if vector else "scalar", _FLAGS[flags[1]], ast.literal_eval(default[0]))
    if "_tab.String(" in body:
        return Accessor(slot, "strings" if vector else "string", "", None)
    if "_tab.Union(" in body:
        return Accessor(slot, "union", "", None)
    child = re.search(r"obj = (\w+)\(\)", body)
    assert child, body
    return Accessor(slot, "tables" if vector else "table", child[1], None)


class Reader(NamedTuple):
    """tables: name -> accessor name -> accessor; enums: name -> members, unions included."""

    tables: dict[str, dict[str, Accessor]]
    enums: dict[str, dict[str, int]]


def parse(text: str) -> Reader:
    reader = Reader({}, {})
    for name, body in re.findall(r"^class (\w+)\(object\):\n(.*?)(?=^class |\Z)", text, re.M | re.S):
        if "'_tab'" in body:
            accessors = ((method, _accessor(inner)) for method, inner in _METHOD.findall(body))
            found = {method: accessor for method, accessor in accessors if accessor is not None}
            reader.tables[name] = found
        elif members := _MEMBER.findall(body):
            reader.enums[name] = {member: int(value) for member, value in members}
    return reader


def folder_of(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found and found.origin else None


def accessor_name(field: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in field.split("_"))
