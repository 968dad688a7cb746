"""Edits written down with what they change, so that they can be shown, made, and taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tflite_surgeon.errors import RepairError
from tflite_surgeon.flatbuffer.vector import NUMBERS


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

    def make(self) -> None:
        """Raises RepairError where the old value is no longer there."""
        found = getattr(self.owner, self.attribute)
        if not _same(found, self.old):
            raise RepairError(f"{self.path} is {found!r:.60}, the plan was made for {self.old!r:.60}")
        setattr(self.owner, self.attribute, self.new)

    def take_back(self) -> None:
        setattr(self.owner, self.attribute, self.old)


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

    def make(self) -> None:
        if getattr(self.owner, self.attribute) is None:
            setattr(self.owner, self.attribute, [])
        getattr(self.owner, self.attribute).append(self.item)

    def take_back(self) -> None:
        getattr(self.owner, self.attribute).pop()


@dataclass(frozen=True)
class InsertItem:
    """Add an object inside a list; those behind it move up by one.

    Attributes:
        owner, attribute: the object that holds the list, and its name.
        index: where to add it.
        item: what to add.
        path: where it will stand.
    """

    owner: Any
    attribute: str
    index: int
    item: Any
    path: str

    def make(self) -> None:
        getattr(self.owner, self.attribute).insert(self.index, self.item)

    def take_back(self) -> None:
        del getattr(self.owner, self.attribute)[self.index]


@dataclass(frozen=True)
class RemoveItem:
    """Take an object out of a list; those behind it move down by one.

    Attributes:
        owner, attribute: the object that holds the list, and its name.
        index: where it stands.
        item: what is taken out.
        path: where it stood.
    """

    owner: Any
    attribute: str
    index: int
    item: Any
    path: str

    def make(self) -> None:
        """Raises RepairError where something else stands there."""
        items = getattr(self.owner, self.attribute)
        if not self.index < len(items) or items[self.index] is not self.item:
            raise RepairError(f"{self.path} is no longer what the plan was made for")
        del items[self.index]

    def take_back(self) -> None:
        getattr(self.owner, self.attribute).insert(self.index, self.item)


Edit = SetField | AppendItem | InsertItem | RemoveItem


@dataclass(frozen=True)
class EditPlan:
    """Edits in the order in which they are made."""

    edits: tuple[Edit, ...]


def make(edits: Iterable[Edit]) -> None:
    """Make edits, all or none.

    Raises:
        RepairError: a value is no longer what an edit was made for; nothing has been changed.
    """
    made: list[Edit] = []
    try:
        for edit in edits:
            edit.make()
            made.append(edit)
    except RepairError:
        take_back(made)
        raise


def take_back(edits: Sequence[Edit]) -> None:
    """Undo edits, the last one first."""
    for edit in reversed(edits):
        edit.take_back()


def _same(value: Any, expected: Any) -> bool:
    if value is expected:
        return True
    if isinstance(value, NUMBERS) and isinstance(expected, NUMBERS):
        return len(value) == len(expected) and all(map(_same, value, expected))
    return bool(value == expected or (value != value and expected != expected))
