"""Models in a runtime: what they compute for each set of inputs, as they are and as their copies in real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.saving import dumps
from tflite_surgeon.runtime import Run, Session
from tflite_surgeon.verification import feeding
from tflite_surgeon.verification.meaning import float_copy
from tflite_surgeon.verification.measuring import Gauge, gauge
from tflite_surgeon.verification.result import Outcome
from tflite_surgeon.verification.subject import Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tflite_surgeon.model.objects import Tensor

    Arrays = list[NDArray[Any]]

# It hands out no tensors but outputs, and resizes no inputs.
MICRO: Final = "tflm"


@dataclass
class Values:
    """What a model computed, run by run."""

    run: Outcome
    outputs: list[Arrays] = field(default_factory=list)
    tensors: list[dict[int, NDArray[Any]]] = field(default_factory=list)


class Meaning:
    """A model's copy in real numbers, evaluated once for each set of inputs."""

    def __init__(self, subject: Subject, session: Session) -> None:
        self.subject = subject
        self.problem: str | None = None
        self._session = session
        self._values: dict[int, tuple[list[Arrays], Values]] = {}
        try:
            copy = float_copy(subject.model)
            self.reference = Subject(copy, subject.label)
            self._data = dumps(copy, "reencode")
        except SurgeonError as error:
            self.problem = f"{subject.label} {error}"

    def gauge(self, tensor: Tensor) -> Gauge:
        """How the copy stores what is `tensor` in the model."""
        return gauge((self.reference.graph.tensors or [])[self.subject.numbers[id(tensor)]])

    def values(self, inputs: list[Arrays], all_tensors: bool, *, resize: bool) -> Values:
        """What the copy computes; the inputs are as the model stores them."""
        known = self._values.get(id(inputs))
        if known is not None:
            return known[1]
        fed = [
            [
                feeding.as_real(array, gauge(tensor)) if copy.type_name != tensor.type_name else array
                for array, tensor, copy in zip(row, self.subject.inputs, self.reference.inputs)
            ]
            for row in inputs
        ]
        numbers = [self.subject.numbers[id(tensor)] for tensor in self.subject.intermediates()] if all_tensors else []
        found = run_all(self._session, self._data, fed, numbers, resize=resize)
        if not found.run.ok:
            why = found.run.message or found.run.verdict
            self.problem = f"the copy of {self.subject.label} in real numbers does not run: {why}"
        self._values[id(inputs)] = inputs, found
        return found


def run_all(session: Session, data: bytes | str, inputs: list[Arrays], fetch: Sequence[int], *, resize: bool) -> Values:
    """Each set of inputs in an interpreter of its own: state does not carry over."""
    values = Values(Outcome("ok"))
    for row in inputs:
        try:
            run = session.run(data, inputs=row, fetch=fetch, resize=resize and session.runtime != MICRO)
        except ValueError as error:
            raise SurgeonError(str(error)) from None
        if not run.ok:
            return Values(outcome(run))
        values.outputs.append(list(run.outputs[0]))
        values.tensors.append(run.kept[0] if run.kept else {})
    return values


def outcome(run: Run) -> Outcome:
    """What became of a run."""
    return Outcome(run.verdict, run.message)
