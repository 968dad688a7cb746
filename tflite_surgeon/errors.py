"""What can go wrong, as the person who runs the tool should read it."""

from __future__ import annotations


class SurgeonError(Exception):
    """Bad input or a request that cannot be met; the message is written for the user."""


class UnusableFileError(SurgeonError):
    """The file cannot be read, or is not a TFLite model."""


class DecodeError(SurgeonError):
    """The bytes cannot be decoded safely.

    Attributes:
        path: where in the model, outermost first, such as ("subgraphs[0]", "tensors[3]", "shape").
        offset: byte offset in the file.
        problem: what was found and what was expected.
    """

    def __init__(self, problem: str, offset: int, path: tuple[str, ...] = ()) -> None:
        self.problem = problem
        self.offset = offset
        self.path = path
        super().__init__(problem, offset, path)

    def __str__(self) -> str:
        where = ".".join(self.path) or "the root of the file"
        return f"{where}, byte {self.offset}: {self.problem}"

    def inside(self, step: str) -> DecodeError:
        """The same error, seen from the table that holds `step`."""
        return DecodeError(self.problem, self.offset, (step, *self.path))


class EncodeError(SurgeonError):
    """The model in memory cannot be written as a TFLite file; the message says which object and why."""


class SaveError(SurgeonError):
    """The file could not be written, or what was written did not pass the proofs; the target is untouched."""


class RepairError(SurgeonError):
    """A repair cannot be made, or did not pass its proofs; nothing was changed."""


class UndoError(SurgeonError):
    """A change cannot be undone: the file, its journal or the kept original is not what it was; nothing was written."""
