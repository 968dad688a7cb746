"""The published `tflite` reader's word on what we wrote: an error in our own schema must not confirm itself."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Any

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.mapped import Raw
from tflite_surgeon.flatbuffer.tables import OpaqueTable, References, Table
from tflite_surgeon.model.objects import Model

# Below this the package's accessor answers with the older field, whatever the newer one says.
_FIRST_WIDE_CODE = 127

_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?$")


def disagreements(model: Model, references: References, raw: Raw, paths: Iterable[str]) -> list[str]:
    """Where the tables that hold these fields read otherwise than the model says; fields it does not know are skipped.

    Args:
        model: what the file should say.
        references: the indices that its references have.
        raw: the file.
        paths: fields that were touched, such as "subgraphs[0].tensors[3].quantization.scale".
    """
    import tflite

    found: list[str] = []
    for path in sorted({path.rpartition(".")[0] for path in paths}):
        ours: Any = model
        theirs: Any = tflite.Model.GetRootAs(raw, 0)
        for step in filter(None, path.split(".")):
            match = _STEP.match(step)
            assert match is not None
            name, index = match.groups()
            field = next(f for f in schema.fields(ours.table) if f.name == name)
            accessor = getattr(theirs, _camel(name), None)
            ours = getattr(ours, field.attribute)
            if accessor is None or field.kind == "union":
                theirs = None
                break
            theirs = accessor() if index is None else accessor(int(index))
            ours = ours if index is None else ours[int(index)]
        if theirs is not None:
            found += _compare(ours, theirs, path, references)
    return found


def _compare(ours: Table, theirs: Any, path: str, references: References) -> list[str]:
    found = []
    for field in schema.fields(ours.table):
        accessor = getattr(theirs, _camel(field.name), None)
        if accessor is None or field.kind not in ("scalar", "numbers", "string", "data", "bytes"):
            continue
        value = references[field.attribute][id(ours)] if field.refers_to else getattr(ours, field.attribute)
        if isinstance(value, OpaqueTable):
            continue
        if (ours.table, field.name) == ("OperatorCode", "builtin_code") and value < _FIRST_WIDE_CODE:
            value = getattr(ours, "deprecated_builtin_code")  # noqa: B009 - Tables in general have no such field.
        mine, other = _ours(field, value), _theirs(field, accessor, theirs)
        if mine != other and not (ours.table == "Buffer" and getattr(ours, "outside", False)):
            found.append(f"{path}.{field.name}: wrote {mine!r:.60}, the tflite package reads {other!r:.60}")
    return found


def _ours(field: schema.Field, value: Any) -> bytes:
    """The value as comparable bytes; absent and empty read the same over there."""
    if value is None:
        return b""
    if field.kind == "string":
        return bytes(value.encode("utf-8", "surrogateescape"))
    if field.kind in ("data", "bytes"):
        return bytes(value)
    return _packed(field, value if field.kind == "numbers" else [value])


def _theirs(field: schema.Field, accessor: Any, table: Any) -> bytes:
    if field.kind == "scalar":
        return _packed(field, [accessor()])
    if field.kind == "string":
        return accessor() or b""
    count = getattr(table, f"{_camel(field.name)}Length")()
    if field.kind in ("data", "bytes") and count:
        return bytes(getattr(table, f"{_camel(field.name)}AsNumpy")().tobytes())
    return _packed(field, [accessor(index) for index in range(count)])


def _packed(field: schema.Field, values: list[Any]) -> bytes:
    if not len(values):
        return b""
    if field.format == "f":  # By value: reading and packing again may quiet a NaN.
        return repr([struct.unpack("<f", struct.pack("<f", value))[0] for value in values]).encode()
    return struct.pack(f"<{len(values)}{field.format}", *values)


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
