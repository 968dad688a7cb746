"""Edits written down before anything changes, and the one place that makes them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tflite_surgeon.errors import RepairError


@dataclass(frozen=True)
class SetField:
    """Give a field another value.

    Attributes:
        owner: the object that holds it.
        attribute: its name.
        old, new: values; `old` must still be there when the edit is made.
        path: where the field is, such as subgraphs[0].tensors[3].quantization.scale.
    """

    owner: Any
    attribute: str
    old: Any
    new: Any
    path: str


@dataclass(frozen=True)
class AppendItem:
    """Add an object at the end of a list, where it moves no other's index.

    Attributes:
        owner: the object that holds the list.
        attribute: the list's name.
        item: what to add.
        path: where it will stand, such as subgraphs[0].tensors[7].
    """

    owner: Any
    attribute: str
    item: Any
    path: str


Edit = SetField | AppendItem


@dataclass(frozen=True)
class EditPlan:
    """Edits that belong together: all are made, or none."""

    edits: tuple[Edit, ...]

    def apply(self) -> None:
        """Make the edits.

        Raises:
            RepairError: a value is no longer what the plan was made for; nothing has been changed.
        """
        for edit in self.edits:
            if isinstance(edit, SetField) and not _same(getattr(edit.owner, edit.attribute), edit.old):
                found = getattr(edit.owner, edit.attribute)
                raise RepairError(f"{edit.path} is {found!r:.60}, the plan was made for {edit.old!r:.60}")
        for edit in self.edits:
            if isinstance(edit, SetField):
                setattr(edit.owner, edit.attribute, edit.new)
            else:
                items = getattr(edit.owner, edit.attribute)
                if items is None:
                    items = []
                    setattr(edit.owner, edit.attribute, items)
                items.append(edit.item)


def _same(value: Any, expected: Any) -> bool:
    if value is expected:
        return True
    if isinstance(value, (list, array)) and isinstance(expected, (list, array)):
        return len(value) == len(expected) and all(map(_same, value, expected))
    return bool(value == expected or (value != value and expected != expected))


def paths(plans: Sequence[EditPlan]) -> set[str]:
    """The paths that plans change."""
    return {edit.path for plan in plans for edit in plan.edits}
