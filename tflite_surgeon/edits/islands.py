"""An operator computing in other types than its neighbours: conversions before and behind it, constants converted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from tflite_surgeon.edits.activations import options
from tflite_surgeon.edits.constants import Parameters, parameters_of, real_values
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.knowledge.operators import CHANNEL_AXIS
from tflite_surgeon.knowledge.problems import CRASHES, OK, REFUSES, UNKNOWN, Stage
from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.model.objects import Model, Operator, QuantizationParameters, SubGraph, Tensor
from tflite_surgeon.model.values import pack
from tflite_surgeon.quantization import LIMITS, are_usable_scales
from tflite_surgeon.rules.registry import View

FLOAT, BOOL = "FLOAT32", "BOOL"
# Quantised types that hold all values of another one in its own scale: what is added to the zero point.
_SHIFTS = {("UINT8", "INT8"): -128, ("INT8", "UINT8"): 128}
_EIGHT_BITS = ("INT8", "UINT8")
_FLOATS = ("FLOAT32", "FLOAT16", "FLOAT64")
# Source: LiteRT tools/versioning/op_version.cc.
_VERSIONS = {
    "QUANTIZE": {"INT8": 1, "UINT8": 1, "INT16": 2, "INT32": 2},
    "DEQUANTIZE": {"UINT8": 1, "INT8": 2, "INT16": 3, "FLOAT16": 3},
}
# The whole numbers that FLOAT32 holds without gaps.
_WHOLE_IN_FLOAT = 1 << 24
# Operators that ask whether a value is 0, by the inputs that they ask of; None for all.
_ASKS_TRUTH: dict[str, tuple[int, ...] | None] = {
    **dict.fromkeys(("SELECT", "SELECT_V2", "WHERE", "REDUCE_ALL", "REDUCE_ANY", "LOGICAL_NOT"), (0,)),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR"), None),
}
# Trouble that an inserted operator makes, of whatever rule.
_OF_CONVERSION = "conversion"
# Operators that make whole numbers of whole numbers.
_WHOLE_FROM_WHOLE = """
ABS ADD ADD_N BROADCAST_TO CEIL CONCATENATION CUMSUM DEPTH_TO_SPACE EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD
GATHER GATHER_ND MAXIMUM MAX_POOL_2D MINIMUM MUL NEG PACK PAD PADV2 REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU
RESHAPE REVERSE_V2 ROUND SELECT SELECT_V2 SIGN SLICE SPACE_TO_DEPTH SPLIT SQUARE SQUARED_DIFFERENCE
STRIDED_SLICE SUB SUM TILE TRANSPOSE UNPACK ZEROS_LIKE EMBEDDING_LOOKUP
"""
_KEEPS_WHOLE = frozenset(_WHOLE_FROM_WHOLE.split())
# Operators whose biases count in the scales of others where they have none of their own.
_LAYERS = frozenset((*CHANNEL_AXIS, "SVDF", "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"))
_RANGES = {**LIMITS, "UINT16": (0, 65535), "UINT32": (0, (1 << 32) - 1), BOOL: (0, 1)}


class Impossible(Exception):
    """A tensor cannot be converted so; the reason."""


class Island:
    """An operator and the conversions around it.

    Args:
        draft: the model under repair.
        operator: the operator.
        in_steps: make UINT8 of FLOAT32 by way of INT8, as TFLM can.

    Attributes:
        operators: in the order in which they run.
        loses: what conversions cannot keep.
        types: the types that tensors were converted to.
    """

    def __init__(self, draft: Draft, operator: Operator, in_steps: bool = False) -> None:
        self.draft = draft
        self.operator = operator
        self.in_steps = in_steps
        self.name = operator.name
        self.operators: list[Operator] = [operator]
        self.loses: list[str] = []
        self.types: list[str] = []
        self._read: dict[int, Tensor] = {}

    def convert_input(self, position: int, type_name: str, peer: Tensor | None = None) -> None:
        """Let the operator read an input in another type.

        Args:
            position: of the input.
            type_name: the type.
            peer: a tensor whose scale and zero point are wanted; None for those that keep every integer.

        Raises:
            Impossible: there is no such conversion.
        """
        tensor = (self.operator.inputs or [])[position]
        if not isinstance(tensor, Tensor):
            raise Impossible("the input is not given")
        self.types.append(type_name)
        if type_name == BOOL and not asks_truth(self.name, position):
            raise Impossible(f"{self.name} reads more of {tensor.name!r} than whether it is 0")
        if tensor.data is not None:
            self._convert_constant(position, tensor, type_name, peer)
            return
        if id(tensor) not in self._read:
            name = f"{tensor.name or 'tensor'}_as_{type_name.lower()}"
            fresh = self._fresh(tensor, type_name, self._for_input(tensor, type_name, peer), name)
            self._read[id(tensor)] = fresh
            self._insert(False, tensor, fresh)
        self.draft.replace_input(self.operator, position, self._read[id(tensor)])

    def convert_output(self, position: int, type_name: str) -> None:
        """Let the operator write an output in another type, and a conversion behind it the tensor that others read.

        Raises:
            Impossible: there is no such conversion.
        """
        tensor = (self.operator.outputs or [])[position]
        if not isinstance(tensor, Tensor):
            raise Impossible("the output is not given")
        self.types.append(type_name)
        wanted = _wanted(tensor, type_name, None)
        if wanted is None and _is_narrower(type_name, tensor.type_name):
            raise Impossible(f"{type_name} does not hold what {tensor.name!r} holds as {tensor.type_name}")
        name = f"{tensor.name or 'tensor'}_in_{type_name.lower()}"
        fresh = self._fresh(tensor, type_name, wanted, name)
        self.draft.replace_output(self.operator, position, fresh)
        if self.in_steps and (type_name, tensor.type_name) == (FLOAT, "UINT8"):
            between = self._fresh(tensor, "INT8", _wanted(tensor, "INT8", None), f"{tensor.name or 'tensor'}_in_int8")
            self._insert(True, between, tensor)
            self._insert(True, fresh, between)
        else:
            self._insert(True, fresh, tensor)

    def _for_input(self, tensor: Tensor, type_name: str, peer: Tensor | None) -> Parameters | None:
        """The scale and zero point of what the operator reads instead."""
        if type_name == BOOL:
            return None
        if tensor.type_name in _FLOATS and type_name != FLOAT:
            raise Impossible(f"nothing tells the range of {tensor.name!r}")
        wanted, old = _wanted(tensor, type_name, peer), parameters_of(tensor)
        if wanted is None or old is None or peer is None:
            if wanted is None and _is_narrower(type_name, tensor.type_name):
                raise Impossible(f"{type_name} does not hold what {tensor.name!r} holds as {tensor.type_name}")
            return wanted
        if wanted.scale != old.scale or not _covers(wanted, old):
            raise Impossible(f"{peer.name!r} does not hold what {tensor.name!r} holds")
        return wanted

    def _fresh(self, like: Tensor, type_name: str, wanted: Parameters | None, name: str) -> Tensor:
        kind = enum_class("TensorType")[type_name]
        quantization = None
        if wanted is not None:
            quantization = QuantizationParameters(scale=[wanted.scale], zero_point=[wanted.zero_point])
        home = self.draft.home(self.operator)
        return self.draft.new_tensor(home, like, name, type=kind, quantization=quantization)

    def _insert(self, after: bool, source: Tensor, result: Tensor) -> None:
        given, made = source.type_name, result.type_name
        if parameters_of(result) is not None:
            kind, table = "QUANTIZE", "QuantizeOptions"
        elif made == FLOAT and (parameters_of(source) is not None or given == "FLOAT16"):
            kind, table = "DEQUANTIZE", "DequantizeOptions"
        else:
            kind, table = "CAST", "CastOptions"
            self._note_cast(after, source, result)
        versions = _VERSIONS.get(kind, {})
        version = max(versions.get(name, 1) for name in (given, made))
        inserted = self.draft.insert_operator(self.operator, after, kind, version, [source], [result], options(table))
        place = self.operators.index(self.operator)
        self.operators.insert(place + after, inserted)

    def _note_cast(self, after: bool, source: Tensor, result: Tensor) -> None:
        given, made = source.type_name, result.type_name
        if BOOL in (given, made):
            return
        # What the file declares must fit the type that is computed in.
        declared, computed = (made, given) if after else (given, made)
        wanted, held = _range_of(declared), _range_of(computed)
        if wanted is not None and held is not None and not held[0] <= wanted[0] <= wanted[1] <= held[1]:
            note = f"whole numbers outside {held[0]} to {held[1]} are not kept"
            self.loses += [note] if note not in self.loses else []
        if after and given in _FLOATS and made not in _FLOATS and self.name not in _KEEPS_WHOLE:
            self.loses.append(f"fractions of {result.name!r} are cut off")

    def _convert_constant(self, position: int, tensor: Tensor, type_name: str, peer: Tensor | None) -> None:
        import numpy as np

        wanted = _wanted(tensor, type_name, peer)
        scales = list((tensor.quantization.scale if tensor.quantization is not None else None) or [])
        if not are_usable_scales(scales):
            raise Impossible(f"the scales of {tensor.name!r} do not tell its values")
        try:
            values = tensor.values()
            kind = enum_class("TensorType")[type_name]
            new = Tensor(name=tensor.name, shape=tensor.shape, type=kind, buffer=tensor.buffer)
            if not scales:
                if type_name == FLOAT and self.name in _LAYERS:
                    raise Impossible(f"{tensor.name!r} has no scale of its own")
                cast = values.astype(bool) if type_name == BOOL else values
                if type_name not in _FLOATS and type_name != BOOL:
                    cast = values.astype(np.int64)
                    if not np.array_equal(cast, values):
                        raise Impossible(f"{tensor.name!r} holds values that {type_name} does not")
                data, quantization = pack(new, cast), None
            elif type_name == FLOAT:
                data, quantization = pack(new, real_values(tensor)), None
            elif wanted is not None:
                data = pack(new, self._integers(tensor, wanted))
                quantization = QuantizationParameters(scale=[wanted.scale], zero_point=[wanted.zero_point])
            else:
                data, quantization = self._by_channel(tensor, new)
        except SurgeonError as error:
            raise Impossible(str(error)) from None
        own = self.draft.own(Use(self.operator, position))
        self.draft.store(own, data)
        self.draft.set(own, "type", kind)
        if scales:
            self.draft.set(own, "quantization", quantization)

    def _integers(self, tensor: Tensor, wanted: Parameters) -> Any:
        """A quantised constant in one wanted scale."""
        import numpy as np

        low, high = LIMITS[wanted.type_name]
        exact = real_values(tensor) / wanted.scale + wanted.zero_point
        integers = np.clip(np.floor(exact + 0.5), low, high)
        error = float(np.abs(integers - exact).max(initial=0.0))
        if error > 1e-3:
            self.loses.append(f"{tensor.name!r} moves by up to {error * wanted.scale:.3g} ({error:.2g} of a quantum)")
        return integers.astype(np.int64)

    def _by_channel(self, tensor: Tensor, new: Tensor) -> tuple[bytes, QuantizationParameters]:
        """A constant with a scale for each channel, its integers shifted."""
        import numpy as np

        shift = _SHIFTS.get((tensor.type_name, new.type_name))
        old = tensor.quantization
        if shift is None or old is None:
            raise Impossible(f"{tensor.name!r} has several scales")
        points = [point + shift for point in old.zero_point or [0] * len(old.scale or ())]
        quantization = QuantizationParameters(
            scale=list(old.scale or ()), zero_point=points, quantized_dimension=old.quantized_dimension
        )
        return pack(new, tensor.values().astype(np.int64) + shift), quantization


def asks_truth(name: str, position: int) -> bool:
    """Whether an operator asks of an input only whether it is 0."""
    positions = _ASKS_TRUTH.get(name, ())
    return positions is None or position in positions


def _range_of(type_name: str) -> tuple[int, int] | None:
    """The whole numbers that a type holds without gaps."""
    return (-_WHOLE_IN_FLOAT, _WHOLE_IN_FLOAT) if type_name == FLOAT else _RANGES.get(type_name)


def _wanted(tensor: Tensor, type_name: str, peer: Tensor | None) -> Parameters | None:
    """The scale and zero point of a tensor in another type; None where it has none there.

    Raises:
        Impossible: there is no conversion between the types.
    """
    if tensor.type_name in _FLOATS and type_name not in _FLOATS and tensor.data is not None:
        raise Impossible(f"{tensor.name!r} would lose digits as {type_name}")
    old = parameters_of(tensor)
    scales = (tensor.quantization.scale if tensor.quantization is not None else None) or []
    if type_name in _FLOATS or (not scales and tensor.type_name not in _FLOATS):
        return None
    if tensor.data is not None and len(scales) > 1:
        return None
    if peer is not None:
        wanted = parameters_of(peer)
        if wanted is None or wanted.type_name != type_name or not _is_within(wanted):
            raise Impossible(f"{peer.name!r} has no scale in {type_name}")
        return wanted
    if old is None or not _is_within(old):
        raise Impossible(f"{tensor.name!r} has no one scale and zero point to convert from")
    if (tensor.type_name, type_name) in _SHIFTS:
        return Parameters(type_name, old.scale, old.zero_point + _SHIFTS[tensor.type_name, type_name])
    if type_name == "INT16" and tensor.type_name in _EIGHT_BITS:
        return Parameters(type_name, old.scale, 0)
    raise Impossible(f"{type_name} does not hold what {tensor.name!r} holds as {tensor.type_name}")


def _is_narrower(type_name: str, other: str) -> bool:
    """Whether a type of integers of 8 or 16 bits does not hold those of another."""
    held, wanted = _RANGES.get(type_name), _RANGES.get(other)
    if type_name not in ("INT8", "INT16") or held is None or wanted is None:
        return False
    return not held[0] <= wanted[0] <= wanted[1] <= held[1]


def _is_within(found: Parameters) -> bool:
    """Whether the type holds the zero point."""
    low, high = LIMITS.get(found.type_name, (0, 0))
    return low <= found.zero_point <= high


def _covers(wanted: Parameters, old: Parameters) -> bool:
    """Whether one scale and zero point reach as far as others of the same scale."""
    if old.type_name not in LIMITS or wanted.type_name not in LIMITS:
        return False
    (low, high), (least, most) = LIMITS[wanted.type_name], LIMITS[old.type_name]
    return low - wanted.zero_point <= least - old.zero_point and most - old.zero_point <= high - wanted.zero_point


class Trouble(NamedTuple):
    """What a runtime makes of operators.

    Attributes:
        runtime: its name.
        rule: the rule that is broken; "conversion" where a conversion around the operator breaks one.
        stops: the model does not load for it.
    """

    runtime: str
    rule: str
    stops: bool


def standing(found: Collection[Trouble], rule: str, before: Collection[Trouble]) -> dict[str, int]:
    """How well an operator fares in each runtime: 2 without trouble, 0 with the rule's or trouble of its own making.

    Args:
        found: troubles as they are now.
        rule: the rule that must be kept.
        before: troubles as they were; what is new where another rule was broken before was hidden behind it.
    """
    return {
        name: _standing([t for t in found if t.runtime == name], rule, [t for t in before if t.runtime == name])
        for name in NAMES
    }


def _standing(found: Collection[Trouble], rule: str, before: Collection[Trouble]) -> int:
    if not found:
        return 2
    rules, hidden = {trouble.rule for trouble in found}, {trouble.rule for trouble in before} - {rule}
    stops = any(trouble.stops for trouble in found) and not any(trouble.stops for trouble in before)
    return 0 if rules & {rule, _OF_CONVERSION} or (rules - hidden and not hidden) or stops else 1


def stopped(found: Collection[Trouble]) -> set[str]:
    """The runtimes in which the model does not load."""
    return {trouble.runtime for trouble in found if trouble.stops}


def troubles(draft: Draft, operators: Sequence[Operator], main: Operator | None = None) -> set[Trouble]:
    """What runtimes make of operators, in a graph of their own.

    Args:
        draft: the model under repair.
        operators: in the order in which they run.
        main: the one that the others were put around; trouble with those is told as one rule of its own.

    Raises:
        SurgeonError: a constant lies in a file that was closed.
    """
    home = draft.home(operators[0])
    used = [
        item
        for operator in operators
        for item in (*(operator.inputs or ()), *(operator.outputs or ()))
        if isinstance(item, Tensor)
    ]
    mine = {id(item): item for item in used}
    written = {id(item) for operator in operators for item in operator.outputs or ()}
    read = {id(item) for operator in operators for item in operator.inputs or ()}
    alone = SubGraph(
        tensors=list(mine.values()),
        inputs=[t for t in mine.values() if id(t) not in written and t.data is None and not t.is_variable],
        outputs=[t for t in mine.values() if id(t) in written and id(t) not in read],
        operators=list(operators),
        name=home.name,
    )
    model = Model(
        version=draft.model.version,
        operator_codes=draft.model.operator_codes,
        subgraphs=[alone],
        buffers=draft.model.buffers,
    )
    found = set()
    for problem in View(model).problems:
        if problem.effect in (OK, UNKNOWN):
            continue
        number = problem.place.operator
        is_main = number is None or main is None or operators[number] is main
        stops = problem.effect in (REFUSES, CRASHES) and problem.stage < Stage.INVOKE
        rule = problem.rule if is_main else _OF_CONVERSION
        found |= {Trouble(name, rule, stops) for name in problem.runtimes & set(NAMES)}
    return found
