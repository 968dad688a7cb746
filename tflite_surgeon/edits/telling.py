"""Repairs and edits in the terms of JSON, as a journal tells them."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from typing import Any

from tflite_surgeon.edits.bias_scale import BiasRepair
from tflite_surgeon.edits.engine import Left, Repaired
from tflite_surgeon.edits.plan import Edit, RemoveItem, SetField
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.flatbuffer.vector import NUMBERS
from tflite_surgeon.model.json_values import as_text, finite
from tflite_surgeon.model.objects import Model

# Longer data is told by its hash: what it was stands in the patches, or in the kept original.
_LONGEST_DATA = 4096


def decided(item: Repaired | Left) -> dict[str, Any]:
    """What was decided about one finding, and why."""
    finding = item.finding
    told: dict[str, Any] = {
        "rule": finding.rule,
        "path": finding.path,
        "operator": finding.operator_name,
        "tensor": None if finding.tensor is None else finding.tensor[1],
        "finding": finding.message,
    }
    if isinstance(item, Left):
        told |= {"keep": None, "reason": item.refused.reason, "is_open": item.refused.is_open}
    else:
        done = item.done
        told |= {"what": done.what, "keep": done.keep, "reason": done.reason, "effect": done.effect}
        told |= {"loses": done.loses, "warnings": done.warnings}
        if isinstance(done.detail, BiasRepair):
            told |= {"is_open": done.detail.decision.is_open, "rounding": done.detail.rounding}
    return {key: plain(value) for key, value in told.items()}


class Edits:
    """Tells edits; objects that stand in a list of the repaired model are told by their place there."""

    def __init__(self, model: Model) -> None:
        self.places = {id(item): f"buffers[{number}]" for number, item in enumerate(model.buffers or ())}
        self.places |= {id(item): f"operator_codes[{n}]" for n, item in enumerate(model.operator_codes or ())}
        for number, subgraph in enumerate(model.subgraphs or ()):
            self.places[id(subgraph)] = f"subgraphs[{number}]"
            for name in ("tensors", "operators"):
                items = getattr(subgraph, name) or ()
                self.places |= {id(item): f"subgraphs[{number}].{name}[{n}]" for n, item in enumerate(items)}

    def told(self, edit: Edit) -> dict[str, Any]:
        """An edit as path, old and new."""
        if isinstance(edit, SetField):
            return {"path": edit.path, "old": self.value(edit.old), "new": self.value(edit.new)}
        if isinstance(edit, RemoveItem):
            return {"path": edit.path, "old": self.fields(edit.item), "new": None}
        return {"path": edit.path, "old": None, "new": self.fields(edit.item)}

    def value(self, value: Any) -> Any:
        """A field's value; an object by its place, or with its fields where it has none."""
        if isinstance(value, Table):
            return self.places.get(id(value)) or self.fields(value)
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return plain(value)

    def fields(self, table: Any) -> Any:
        """A new object: its fields, but those that have their default."""
        if not isinstance(table, Table):
            return plain(table)
        found = ((field, getattr(table, field.attribute)) for field in schema.fields(table.table))
        return {field.attribute: self.value(value) for field, value in found if value != field.default}


def plain(value: Any) -> Any:
    """A value in JSON's terms; what JSON cannot say is a string."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        told: dict[str, Any] = {"size": len(value), "sha256": sha256(value).hexdigest()}
        return told | ({"hex": bytes(value).hex()} if len(value) <= _LONGEST_DATA else {})
    if isinstance(value, NUMBERS):
        return [plain(item) for item in value]
    return as_text(repr(value))
