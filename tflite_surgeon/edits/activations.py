"""Scales of what is computed: declared anew with the biases that count in them, or converted on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tflite_surgeon.edits.constants import Parameters, packed, parameters_of
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class
from tflite_surgeon.model.objects import Node, Operator, Tensor
from tflite_surgeon.quantization import LIMITS, requantize
from tflite_surgeon.rules.bias_use import BiasUse, bias_uses

# Versions in which each conversion knows the types that it may be given here; 8-bit ones are as old as 2.14's.
# Source: LiteRT tools/versioning/op_version.cc.
_QUANTIZE_VERSION = {"INT16": 2, "INT8": 2, "UINT8": 2}


def biases_in_unit_of(draft: Draft, tensor: Tensor) -> Iterator[BiasUse]:
    """The biases that kernels add in a unit which the scale of this tensor is a factor of."""
    seen: set[int] = set()
    for use in draft.readers(tensor):
        operator = use.operator
        if id(operator) in seen:
            continue
        seen.add(id(operator))
        for bias_use in bias_uses(node_of(draft, operator)):
            if bias_use.factor is tensor or bias_use.weights is tensor:
                yield bias_use


def node_of(draft: Draft, operator: Operator) -> Node:
    """An operator and where it stands now."""
    subgraph = draft.home(operator)
    which = next(n for n, other in enumerate(draft.model.subgraphs or ()) if other is subgraph)
    return Node(subgraph, which, operator, draft.number(operator))


def declare(draft: Draft, tensor: Tensor, scale: float, zero_point: int) -> list[str]:
    """Give what is computed another scale and zero point; biases that were right stay right.

    A bias that counts in this scale and was in the old unit is expressed in the new one, its real values kept; one
    that is in the new unit already was made for it, and stays as it is.

    Returns:
        Sentences about biases that could not be kept right: their integers would leave their type.
    """
    before = right_biases(draft, tensor)
    draft.quantize(tensor, scale=[scale], zero_point=[zero_point])
    return express_biases(draft, tensor, before)


def right_biases(draft: Draft, tensor: Tensor) -> list[BiasUse]:
    """The biases that are in the unit which the scale of this tensor is a factor of, before that scale is changed."""
    return [use for use in biases_in_unit_of(draft, tensor) if use.is_right]


def express_biases(draft: Draft, tensor: Tensor, before: Sequence[BiasUse]) -> list[str]:
    """Express biases that were right before a tensor's scale was changed in the new unit.

    Returns:
        Sentences about biases that could not be kept right: their integers would leave their type.
    """
    warnings = []
    for old in before:
        new = next((u for u in biases_in_unit_of(draft, tensor) if u.is_same_place(old)), None)
        if new is None or new.is_right or old.integers is None:
            continue
        if len(new.expected_scales) not in (1, new.channels):
            continue  # Another finding is about the number of scales.
        # A bias without a scale of its own is in the kernel's unit, whatever that is.
        written = old.stored or old.expected_scales
        stored = [old.of_channel(written, channel) for channel in range(old.channels)]
        units = [new.of_channel(new.expected_scales, channel) for channel in range(new.channels)]
        integers = requantize(old.integers, stored, units, old.zero_points)
        low, high = LIMITS[old.bias.type_name]
        if not low <= min(integers) <= max(integers) <= high:
            warnings.append(f"the bias {old.bias.name!r} leaves {old.bias.type_name} in the new unit and is as it was")
            continue
        position = next(n for n, item in enumerate(old.node.operator.inputs or ()) if item is old.bias)
        bias = draft.own(Use(old.node.operator, position))
        draft.store(bias, packed(integers, bias.type_name))
        draft.quantize(bias, scale=list(new.expected_scales), zero_point=[0] * len(new.expected_scales))
    return warnings


def convert_output(draft: Draft, operator: Operator, position: int, wanted: Parameters) -> Tensor:
    """Let an operator write a new tensor in wanted parameters, and a QUANTIZE behind it the one that others read."""
    old = (operator.outputs or [])[position]
    assert isinstance(old, Tensor)
    fresh = _like(draft, old, wanted, f"{old.name or 'tensor'}_in_{wanted.type_name.lower()}")
    draft.replace_output(operator, position, fresh)
    _quantize(draft, operator, True, fresh, old)
    return fresh


def convert_input(draft: Draft, operator: Operator, position: int, wanted: Parameters) -> Tensor:
    """Let an operator read a new tensor in wanted parameters, which a QUANTIZE before it makes of the old one."""
    old = (operator.inputs or [])[position]
    assert isinstance(old, Tensor)
    fresh = _like(draft, old, wanted, f"{old.name or 'tensor'}_as_{wanted.type_name.lower()}")
    draft.replace_input(operator, position, fresh)
    _quantize(draft, operator, False, old, fresh)
    return fresh


def _like(draft: Draft, tensor: Tensor, wanted: Parameters, name: str) -> Tensor:
    fresh = draft.new_tensor(draft.home(tensor), tensor, name, type=enum_class("TensorType")[wanted.type_name])
    draft.quantize(fresh, scale=[wanted.scale], zero_point=[wanted.zero_point], quantized_dimension=0)
    return fresh


def _quantize(draft: Draft, beside: Operator, after: bool, source: Tensor, result: Tensor) -> None:
    steps = [(source, result)]
    if source.type_name == result.type_name == "UINT8":
        # TFLM has no kernel for this pair, but for both of these; the second one loses nothing.
        wanted = parameters_of(result)
        assert wanted is not None
        middle = Parameters("INT8", wanted.scale, wanted.zero_point - 128)
        between = _like(draft, result, middle, f"{result.name or 'tensor'}_from_uint8")
        steps = [(source, between), (between, result)]
    for one, other in reversed(steps) if after else steps:
        version = max(_QUANTIZE_VERSION.get(tensor.type_name, 1) for tensor in (one, other))
        draft.insert_operator(beside, after, "QUANTIZE", version, [one], [other], options("QuantizeOptions"))


def options(name: str, **values: Any) -> Any:
    """A table of options, such as QuantizeOptions."""
    return table_class(name)(**values)
