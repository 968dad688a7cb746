"""The range of every tensor: as recorded, as its scale implies, as a constant's values have it, and where none is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, isnan
from typing import Final

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.fixed_outputs import FIXED_OUTPUTS
from tflite_surgeon.model.objects import Model, OperatorCode, SubGraph, Tensor
from tflite_surgeon.quantization import are_usable_scales
from tflite_surgeon.views.constant_ranges import value_ranges
from tflite_surgeon.views.filters import Filter
from tflite_surgeon.views.tensors import (
    ACTIVATION,
    BIAS,
    INPUT,
    INTEGER_LIMITS,
    OUTPUT,
    VARIABLE,
    Kinds,
    dtype,
    implied_ranges,
    is_constant,
    is_quantized,
    zero_points,
)
from tflite_surgeon.views.wiring import Wiring

Range = tuple[float, float]

SCALE: Final = "scale"
VALUES: Final = "values"
UNUSED: Final = "unused"

# Moving the zero point onto an integer shifts an end by half a step, leaving out the least integer (narrow range) by
# one more; what is further off was computed from another range.
_STEPS_APART: Final = 2.0
# A constant that fills less than half of its integers could have a scale of twice the resolution.
_LEAST_FILL: Final = 0.5
# Constants of fewer values, such as a factor or a limit, need not fill their integers.
_FEWEST_VALUES: Final = 16

_COMPARED: Final = frozenset({"INT4", "INT8", "UINT8", "INT16"})
_ACTIVATIONS: Final = frozenset({INPUT, OUTPUT, ACTIVATION, VARIABLE})
_NEED_RANGES: Final = _COMPARED | {"FLOAT32", "FLOAT16", "BFLOAT16"}
_CUSTOM: Final = 32
# Operators that move, choose or compare values, hand them to another graph, or convert them: the ones before and behind
# need the range.
_INDIFFERENT: Final = frozenset(
    (
        *("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "UNPACK"),
        *("PAD", "MIRROR_PAD", "TILE", "BROADCAST_TO", "REVERSE_V2", "REVERSE_SEQUENCE", "DYNAMIC_UPDATE_SLICE"),
        *("SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "SCATTER_ND"),
        *("GATHER", "GATHER_ND", "EMBEDDING_LOOKUP", "SELECT", "SELECT_V2", "TOPK_V2", "UNIQUE", "WHERE"),
        *("ARG_MAX", "ARG_MIN", "EQUAL", "NOT_EQUAL", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"),
        *("SHAPE", "RANK", "RANGE", "FILL", "ONE_HOT", "ZEROS_LIKE"),
        *("IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_COMPOSITE", "DELEGATE"),
        *("VAR_HANDLE", "ASSIGN_VARIABLE", "READ_VARIABLE"),
        *("QUANTIZE", "DEQUANTIZE", "DENSIFY", "FAKE_QUANT", "CAST", "BITCAST"),
    )
)


@dataclass(frozen=True)
class Disagreement:
    """Two ranges of a tensor that do not fit each other.

    Attributes:
        kind: SCALE (recorded, and implied by scale and zero point), VALUES (a constant's values lie beyond the recorded
            range), UNUSED (a constant's values fill less than half of the implied range).
        message: one sentence, numbers included.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class TensorRange:
    """A tensor's ranges in real units; over all channels where it has several scales.

    Attributes:
        subgraph, index: where it is.
        name, dtype: as the file has them, the type as numpy writes it.
        kind: one of views.tensors.KINDS.
        recorded: what the converter wrote beside the scale, else None.
        implied: what the least and the greatest integer stand for; None where it is not quantised.
        values: the least and the greatest value of a constant; None for others, and where they cannot be known.
        unread: why a constant's values are not known, else None.
        scales: how many scales it has.
        disagreements: where these do not fit each other.
        users: (node number, operator) of those that make or read it.
        is_missing: it is an activation, has no range at all, and an operator needs one.
        needed_by: those operators, as in `users`.
    """

    subgraph: int
    index: int
    name: str
    dtype: str
    kind: str
    recorded: Range | None
    implied: Range | None
    values: Range | None
    unread: str | None
    scales: int
    disagreements: list[Disagreement] = field(default_factory=list)
    users: list[tuple[int, str]] = field(default_factory=list)
    is_missing: bool = False
    needed_by: list[tuple[int, str]] = field(default_factory=list)


def ranges(model: Model, wanted: Filter | None = None) -> list[TensorRange]:
    """The range of every tensor, in file order. Reads the weights, a piece at a time; the model is not changed.

    Args:
        model: the model.
        wanted: which tensors, by name, type and operators that make or read them; None for all.
    """
    kinds = Kinds(model)
    reader = _Reader(model, kinds)
    return [
        row
        for number, graph in enumerate(model.subgraphs or ())
        for row in reader.rows(number, graph, wanted or Filter())
    ]


class _Reader:
    def __init__(self, model: Model, kinds: Kinds) -> None:
        self._kinds = kinds
        self._let_go = None if model.source is None else model.source.reader.let_go

    def rows(self, number: int, graph: SubGraph, wanted: Filter) -> list[TensorRange]:
        wiring = Wiring(graph)
        found = []
        for index, tensor in enumerate(graph.tensors or ()):
            users = {end.number: end.operator.name for end in (*wiring.writers(tensor), *wiring.readers(tensor))}
            if wanted.has_name(tensor.name) and wanted.has_type(dtype(tensor)) and wanted.has_operator(*users.values()):
                found.append(self._row(number, index, tensor, wiring, sorted(users.items())))
        return found

    def _row(
        self, number: int, index: int, tensor: Tensor, wiring: Wiring, users: list[tuple[int, str]]
    ) -> TensorRange:
        kind = self._kinds.of(tensor)
        recorded, implied = _recorded(tensor), implied_ranges(tensor)
        values: list[Range] = []
        unread = None
        if is_constant(tensor):
            try:
                values = value_ranges(tensor, self._let_go)
            except SurgeonError as error:
                unread = str(error)
        needed_by: list[tuple[int, str]] = []
        if kind in _ACTIVATIONS and not recorded and not implied and tensor.type_name in _NEED_RANGES:
            needed_by = _needed_by(tensor, wiring)
        return TensorRange(
            number,
            index,
            tensor.name or "",
            dtype(tensor),
            kind,
            _over_all(recorded),
            _over_all(implied),
            _over_all(values),
            unread,
            len(implied),
            _disagreements(tensor, kind, recorded, implied, values),
            users,
            bool(needed_by),
            needed_by,
        )


def _recorded(tensor: Tensor) -> list[Range]:
    """What is recorded, once or for each channel."""
    quantization = tensor.quantization
    if quantization is None or not quantization.min or not quantization.max:
        return []
    return list(zip(quantization.min, quantization.max))


def _over_all(found: Sequence[Range]) -> Range | None:
    if not found:
        return None
    return min(low for low, _ in found), max(high for _, high in found)


def _needed_by(tensor: Tensor, wiring: Wiring) -> list[tuple[int, str]]:
    """The operators that need the range of an activation without one; none where it follows from something else."""
    writers = wiring.writers(tensor)
    for end in writers:
        if (end.operator.name, "INT8") in FIXED_OUTPUTS:
            return []
        if end.operator.name == "DEQUANTIZE" and any(
            is_quantized(source) or is_constant(source)
            for source in end.operator.inputs or ()
            if isinstance(source, Tensor)
        ):
            return []
    ends = (*writers, *wiring.readers(tensor))
    needing = {end.number: end.operator.name for end in ends if not _is_indifferent(end.operator.opcode)}
    return sorted(needing.items())


def _is_indifferent(opcode: object) -> bool:
    """Whether an operator needs no ranges, or none that a converter knows of (custom ones compute in floats)."""
    return not isinstance(opcode, OperatorCode) or opcode.code == _CUSTOM or opcode.name in _INDIFFERENT


def _disagreements(
    tensor: Tensor, kind: str, recorded: list[Range], implied: list[Range], values: list[Range]
) -> list[Disagreement]:
    scales = (tensor.quantization.scale if tensor.quantization is not None else None) or []
    if any(isnan(end) for ends in recorded for end in ends):
        return [Disagreement(SCALE, "the recorded range is not a number")]
    if scales and not are_usable_scales(scales):
        return []
    found = []
    steps = scales or [(high - low) / 255 for low, high in recorded]
    if implied and recorded and tensor.type_name in _COMPARED:
        found += _of_scale(tensor, recorded, implied, steps)
    if values and recorded:
        found += _of_values(recorded, values, steps)
    if values and implied and tensor.type_name in _COMPARED and kind != BIAS:
        found += _of_fill(tensor, values, implied)
    return found


def _of_scale(tensor: Tensor, recorded: list[Range], implied: list[Range], steps: list[float]) -> list[Disagreement]:
    """Whether the scale is that of the recorded range.

    Ranges are widened to hold 0, as converters do; signed integers with zero point 0 may stand for the range from minus
    to plus the larger end. Source: TFLite 8-bit quantisation specification.
    """
    pairs = _paired(recorded, implied)
    if pairs is None:
        return [
            Disagreement(
                SCALE, f"{len(recorded)} ranges are recorded for {len(implied)} scales: they do not belong together"
            )
        ]
    low_limit, high_limit = INTEGER_LIMITS[tensor.type_name]
    worst, place = 0.0, 0
    for number, ((low, high), (least, greatest)) in enumerate(pairs):
        step = steps[number % len(steps)]
        apart = max(abs(min(low, 0.0) - least), abs(max(high, 0.0) - greatest)) / step
        if low_limit < 0 and zero_points(tensor)[number % len(steps)] == 0:
            apart = min(apart, abs(max(abs(low), abs(high)) - high_limit * step) / step)
        if apart > worst:
            worst, place = apart, number
    if worst <= _STEPS_APART:
        return []
    (low, high), (least, greatest) = pairs[place]
    step = steps[place % len(steps)]
    of = f" of channel {place}" if len(pairs) > 1 else ""
    if low < least - step or high > greatest + step:
        effect = "what lies beyond is cut off"
    else:
        effect = f"{max((max(high, 0.0) - min(low, 0.0)) / step, 0.0):.0f} of {high_limit - low_limit} steps are used"
    message = f"recorded is {_words((low, high))}{of}, scale and zero point hold {_words((least, greatest))}: {effect}"
    return [Disagreement(SCALE, message)]


def _of_values(recorded: list[Range], values: list[Range], steps: list[float]) -> list[Disagreement]:
    """Whether a constant's values lie within the recorded range."""
    pairs = _paired(recorded, values)
    if pairs is None:
        pairs = [((min(low for low, _ in recorded), max(high for _, high in recorded)), ends) for ends in values]
    worst, place = 0.0, 0
    for number, ((low, high), (least, greatest)) in enumerate(pairs):
        step = steps[number % len(steps)]
        beyond = max(low - least, greatest - high, 0.0)
        apart = beyond / step if step > 0 else beyond and float("inf")
        if apart > worst:
            worst, place = apart, number
    if worst <= _STEPS_APART:
        return []
    ends, found = pairs[place]
    of = f" of channel {place}" if len(pairs) > 1 else ""
    return [Disagreement(VALUES, f"recorded is {_words(ends)}{of}, the values lie beyond: {_words(found)}")]


def _of_fill(tensor: Tensor, values: list[Range], implied: list[Range]) -> list[Disagreement]:
    """Whether a constant's values fill its integers, in the channel that fills them best."""
    count = 1
    for side in tensor.shape or ():
        count *= side
    if count < _FEWEST_VALUES * len(values):
        return []
    fill = 0.0
    for (low, high), (least, greatest) in zip(values, implied):
        width = greatest - least
        if width > 0 and isfinite(width):
            spread = high - low
            if least < 0 < greatest:  # Around 0, one side may be filled alone.
                spread = max(spread, 2 * max(abs(low), abs(high)))
            fill = max(fill, spread / width)
    if fill >= _LEAST_FILL:
        return []
    whole, held = _over_all(values), _over_all(implied)
    assert whole is not None
    assert held is not None
    return [Disagreement(UNUSED, f"the values are {_words(whole)}, {fill:.0%} of {_words(held)} that the scale holds")]


def _paired(first: list[Range], second: list[Range]) -> list[tuple[Range, Range]] | None:
    """Ranges channel by channel, one for all where there is only one; None where the numbers differ otherwise."""
    if len(first) == len(second) or len(first) == 1:
        return list(zip(first if len(first) == len(second) else first * len(second), second))
    return list(zip(first, second * len(first))) if len(second) == 1 else None


def _words(ends: Range) -> str:
    return f"[{ends[0]:.6g}, {ends[1]:.6g}]"
