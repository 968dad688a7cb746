"""Two models side by side in the real interpreters, and each beside what its file says in real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import Model, Tensor
from tflite_surgeon.runtime import Run, Session, TensorDetail, available
from tflite_surgeon.verification import feeding
from tflite_surgeon.verification.judging import exceeded, first_departure, unjudged
from tflite_surgeon.verification.measuring import Distance, gauge
from tflite_surgeon.verification.result import (
    AFTER,
    BEFORE,
    DEFAULT_MODES,
    MODES,
    Comparison,
    ModeResult,
    Outcome,
    TensorDifference,
    Tolerances,
    Verification,
)
from tflite_surgeon.verification.running import MICRO, Meaning, Values, outcome, run_all
from tflite_surgeon.verification.subject import Subject, pair_ends, pair_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = list[NDArray[Any]]

# The float copy is evaluated by these, the first that is there: a delegate's float kernels may round otherwise.
_REFERENCES: Final = ("litert-no-delegate", "litert", "tflite-2.14")
_DELEGATED: Final = frozenset({"litert", "tflite-2.14"})


@dataclass(frozen=True)
class VerifySettings:
    """How to verify.

    Attributes:
        modes: runtimes of MODES; None for the default ones, of which one that is missing is skipped.
        runs: how many sets of random inputs.
        seed: what they are drawn by.
        inputs: an .npz file with inputs by name, instead of random ones.
        all_tensors: compare intermediates too.
        meaning: compare each model with what its file says in real numbers.
        tolerances: how much outputs may differ.
        timeout: seconds for one run of one model.
    """

    modes: Sequence[str] | None = None
    runs: int = 3
    seed: int = 0
    inputs: Path | None = None
    all_tensors: bool = False
    meaning: bool = False
    tolerances: Tolerances = field(default_factory=Tolerances)
    timeout: float = 300.0


def verify(before: Model, after: Model, settings: VerifySettings | None = None) -> Verification:
    """Run two models on the same inputs and say how far apart their values are. The models are not changed.

    Raises:
        SurgeonError: a runtime that was named is not available, no runtime is, the models' inputs or outputs do not
            correspond, the inputs' file cannot be used, or a runtime's child process breaks down.
    """
    settings = settings or VerifySettings()
    modes, skipped = _modes(settings.modes)
    try:
        return _Verifier(Subject(before, BEFORE), Subject(after, AFTER), settings).verified(modes, skipped)
    except RuntimeError as error:  # The child process, not the model.
        raise SurgeonError(str(error)) from error


def _modes(named: Sequence[str] | None) -> tuple[list[str], list[tuple[str, str]]]:
    for mode in named or ():
        if mode not in MODES:
            raise SurgeonError(f"there is no mode {mode!r}: known are {', '.join(MODES)}")
    missing = [(mode, why) for mode in named or DEFAULT_MODES if (why := available(mode)) is not None]
    usable = [mode for mode in dict.fromkeys(named or DEFAULT_MODES) if mode not in dict(missing)]
    if missing and (named or not usable):
        raise SurgeonError(f"{missing[0][0]} cannot be used. {missing[0][1]}")
    return usable, missing


@dataclass
class _Inputs:
    """What is fed, as each model stores it; for BEFORE's and AFTER's float copies as real values."""

    before: list[Arrays]
    after: list[Arrays]


class _Verifier:
    def __init__(self, before: Subject, after: Subject, settings: VerifySettings) -> None:
        self._before = before
        self._after = after
        self._settings = settings
        self._input_order = pair_ends(before, after, inputs=True)
        self._output_order = pair_ends(before, after, inputs=False)
        self._tensors = pair_tensors(before, after) if settings.all_tensors else []
        self._arrays = feeding.read_arrays(settings.inputs, before) if settings.inputs is not None else None
        self._inputs: dict[tuple[Any, ...], _Inputs] = {}
        self._meanings: dict[str, Meaning] = {}

    def verified(self, modes: Sequence[str], skipped: Sequence[tuple[str, str]]) -> Verification:
        with ExitStack() as stack:
            if self._settings.meaning:
                runtime = next((name for name in _REFERENCES if available(name) is None), None)
                if runtime is None:
                    raise SurgeonError(f"--meaning needs LiteRT. {available(_REFERENCES[0])}")
                session = stack.enter_context(Session(runtime, self._settings.timeout))
                subjects = [self._before, self._after]
                self._meanings = {subject.label: Meaning(subject, session) for subject in subjects}
            results = tuple(self._in_mode(mode) for mode in modes)
            said = self._said()
        settings = self._settings
        if settings.inputs is not None:
            fed, runs = f"inputs of {settings.inputs}", 1
        else:
            runs = settings.runs
            fed = f"random inputs, {runs} run{'' if runs == 1 else 's'}, seed {settings.seed}"
        return Verification(
            results,
            tuple(skipped),
            said,
            fed,
            runs,
            exceeded(results, settings.tolerances),
            unjudged(results, settings.tolerances),
        )

    def _in_mode(self, mode: str) -> ModeResult:
        with Session(mode, self._settings.timeout) as session:
            version = session.version
            details = self._details(session)
            if isinstance(details, tuple):
                return ModeResult(mode, version, *details)
            inputs = self._fed(mode, *details)
            wanted: list[list[Tensor]] = [[], []]
            note = ""
            if self._settings.all_tensors:
                if mode == MICRO:
                    note = "it hands out no intermediate tensors: outputs alone are compared"
                else:
                    wanted = [[pair[side] for pair in self._tensors] for side in (0, 1)]
                    if mode in _DELEGATED:
                        note = (
                            "all tensors are preserved, which changes what the delegate takes: what is computed may "
                            "differ from a plain run (litert-no-delegate is sound here)"
                        )
            before = self._run(session, self._before, inputs.before, wanted[0])
            after = self._run(session, self._after, inputs.after, wanted[1])
        comparison = None
        if before.run.ok and after.run.ok:
            comparison = self._compared(before, after, bool(wanted[0]))
        meanings = [
            self._against_meaning(subject.label, values, given, bool(wanted[0]))
            for subject, values, given in ((self._before, before, inputs.before), (self._after, after, inputs.after))
        ]
        return ModeResult(mode, version, before.run, after.run, comparison, meanings[0], meanings[1], note)

    def _details(self, session: Session) -> tuple[Outcome, Outcome] | list[Sequence[TensorDetail]]:
        """Shapes and types of both models' inputs; what became of the two where neither loads."""
        runs = [session.run(subject.data, invoke=False) for subject in (self._before, self._after)]
        first, second = runs
        if not first.ok and not second.ok:
            return outcome(first), outcome(second)
        if not first.ok:
            place = {there: here for here, there in enumerate(self._input_order)}
            first = _standing_in(self._before, second, [self._input_order[n] for n in range(len(place))])
        elif not second.ok:
            order = sorted(range(len(self._input_order)), key=self._input_order.__getitem__)
            second = _standing_in(self._after, first, order)
        return [first.inputs, second.inputs]

    def _fed(self, mode: str, before: Sequence[TensorDetail], after: Sequence[TensorDetail]) -> _Inputs:
        """The same inputs for both, the same ones in every mode whose shapes and types are the same."""
        key = tuple((detail.shape, detail.dtype) for detail in (*before, *after))
        found = self._inputs.get(key)
        if found is None:
            found = self._inputs[key] = self._made(before, after)
        return found

    def _made(self, before: Sequence[TensorDetail], after: Sequence[TensorDetail]) -> _Inputs:
        if self._arrays is not None:
            rows = [feeding.given(self._arrays, self._before, before)]
        else:
            rows = [
                feeding.drawn(self._before, self._after, self._input_order, before, self._settings.seed, run)
                for run in range(self._settings.runs)
            ]
        others = []
        for row in rows:
            other: list[Any] = [None] * len(row)
            for number, array in enumerate(row):
                place = self._input_order[number]
                source, target = self._before.inputs[number], self._after.inputs[place]
                other[place] = feeding.converted(
                    array, gauge(source), gauge(target), after[place].dtype, source.name or str(number)
                )
            others.append(other)
        return _Inputs(rows, others)

    def _run(self, session: Session, subject: Subject, inputs: list[Arrays], wanted: Sequence[Tensor]) -> Values:
        fetch = [subject.numbers[id(tensor)] for tensor in wanted]
        return run_all(session, subject.data, inputs, fetch, resize=self._arrays is not None)

    def _compared(
        self, before: Values, after: Values, all_tensors: bool, meanings: Sequence[Meaning] = ()
    ) -> Comparison:
        """AFTER against BEFORE; with their meanings, those against each other, in the quanta of the models."""
        ends = [(tensor, self._after.outputs[place]) for tensor, place in zip(self._before.outputs, self._output_order)]
        subjects = (self._before, self._after)
        outputs = []
        for number, pair in enumerate(ends):
            rows = [(one[number], two[self._output_order[number]]) for one, two in zip(before.outputs, after.outputs)]
            outputs.append(_difference(subjects, pair, rows, meanings=meanings))
        pairs = self._tensors if all_tensors else []
        found = ((pair, self._rows(pair, before, after)) for pair in pairs)
        tensors = [_difference(subjects, pair, rows, meanings=meanings) for pair, rows in found if rows]
        return Comparison(
            tuple(outputs), tuple(tensors), first_departure(tensors, self._settings.tolerances, self._before.reads)
        )

    def _rows(
        self, pair: tuple[Tensor, Tensor], before: Values, after: Values
    ) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        here, there = self._before.numbers[id(pair[0])], self._after.numbers[id(pair[1])]
        runs = zip(before.tensors, after.tensors)
        return [(one[here], two[there]) for one, two in runs if here in one and there in two]

    def _against_meaning(
        self, label: str, values: Values, inputs: list[Arrays], all_tensors: bool
    ) -> Comparison | None:
        meaning = self._meanings.get(label)
        if meaning is None or not values.run.ok:
            return None
        found = self._meant(meaning, inputs)
        if found is None:
            return Comparison(problem=meaning.problem)
        subject = meaning.subject
        outputs = []
        for number, tensor in enumerate(subject.outputs):
            rows = [(one[number], two[number]) for one, two in zip(found.outputs, values.outputs)]
            outputs.append(_difference((subject, subject), (tensor, tensor), rows, meanings=(meaning,)))
        tensors = []
        for tensor in subject.intermediates() if all_tensors else ():
            place = subject.numbers[id(tensor)]
            runs = zip(found.tensors, values.tensors)
            rows = [(one[place], two[place]) for one, two in runs if place in one and place in two]
            if rows:
                tensors.append(_difference((subject, subject), (tensor, tensor), rows, meanings=(meaning,)))
        return Comparison(
            tuple(outputs), tuple(tensors), first_departure(tensors, self._settings.tolerances, subject.reads)
        )

    def _meant(self, meaning: Meaning, inputs: list[Arrays]) -> Values | None:
        """What a model says in real numbers for these inputs; None, and `meaning.problem` says why, where it cannot."""
        if meaning.problem is not None:
            return None
        found = meaning.values(inputs, self._settings.all_tensors, resize=self._arrays is not None)
        return found if found.run.ok else None

    def _said(self) -> Comparison | None:
        """What AFTER says in real numbers against what BEFORE says; None where not asked for or nothing was fed."""
        if not self._meanings or not self._inputs:
            return None
        fed = next(iter(self._inputs.values()))
        meanings = [self._meanings[label] for label in (BEFORE, AFTER)]
        found = []
        for meaning, inputs in zip(meanings, (fed.before, fed.after)):
            values = self._meant(meaning, inputs)
            if values is None:
                return Comparison(problem=meaning.problem)
            found.append(values)
        return self._compared(found[0], found[1], self._settings.all_tensors, meanings)


def _standing_in(subject: Subject, other: Run, order: Sequence[int]) -> Run:
    """For a model that does not load: the shapes of its partner's inputs, and its own types as its file has them."""
    from dataclasses import replace

    inputs = []
    for tensor, place in zip(subject.inputs, order):
        detail = other.inputs[place]
        kind = "bytes" if tensor.type_name == "STRING" else tensor.type_name.lower()
        inputs.append(replace(detail, dtype=kind))
    return replace(other, inputs=tuple(inputs))


def _difference(
    subjects: tuple[Subject, Subject],
    pair: tuple[Tensor, Tensor],
    rows: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    meanings: Sequence[Meaning] = (),
) -> TensorDifference:
    """The difference over all runs.

    Without meanings both are values of the models; with one, the first are values of its copy in real numbers, with
    two, both are.
    """
    steps = [step for subject, tensor in zip(subjects, pair) if (step := subject.step(tensor)) is not None]
    gauges = [gauge(tensor) for tensor in pair]
    for side, meaning in enumerate(meanings):
        gauges[side] = meaning.gauge(pair[side])
    distance = Distance(gauges[0], gauges[1], max(steps, default=None), stored_alike=not meanings)
    for one, two in rows:
        distance.add(one, two)
    (first, second), (tensor, partner) = subjects, pair
    return TensorDifference(
        tensor.name or "",
        first.numbers[id(tensor)],
        second.numbers[id(partner)],
        tensor.type_name.lower(),
        first.writer(tensor),
        distance.difference(),
    )
