"""Repairs of scales that kernels take for powers of two."""

from __future__ import annotations

from math import ceil, log2
from typing import Any

from tflite_surgeon.edits.activations import declare, options
from tflite_surgeon.edits.constants import parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.group_words import interface_warnings
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS

_TABLES = {"ADD": "AddOptions", "SUB": "SubOptions"}
# Source: LiteRT kernels/lstm.cc: the basic kernel has four integer bits of state; the full one of LSTM goes to 2^-9.
_BASIC_INPUTS, _BASIC_SCALE = 5, 2.0**-11
_LARGEST_LOG = {"LSTM": -9}
# Of a float32.
_GREATEST_LOG = 127


@repair(
    "power-of-two-scale",
    Phase.ACTIVATIONS,
    "Clears the option pot_scale_int16 of ADD and SUB, so that kernels multiply, which any scales suit. The scale of "
    "an LSTM's cell state becomes the next larger power of two, which holds the same range in larger steps.",
)
def power_of_two_scale(draft: Draft, target: Target, wish: Wish) -> Result:
    """Another way to compute, or another scale."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no operator")
    if operator.name in _TABLES:
        return _multiplies(draft, operator)
    if operator.name not in ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"):
        return Refused(f"{operator.name} has no other way to compute: give its tensors scales that are powers of two")
    if operator.name == "LSTM" and len(operator.inputs or ()) == _BASIC_INPUTS:
        return _basic_state(draft, operator)
    return _cell_state(draft, operator)


def _multiplies(draft: Draft, operator: Operator) -> Result:
    name = _TABLES[operator.name]
    table: Any = operator.builtin_options
    if table is None:
        draft.set(operator, "builtin_options", options(name, pot_scale_int16=False))
    elif getattr(table, "table", None) != name:
        return Refused(f"the options of {operator.name} are another operator's, and have no pot_scale_int16")
    elif not table.pot_scale_int16:
        return None
    else:
        draft.set(table, "pot_scale_int16", False)
    what = f"pot_scale_int16 of {operator.name} is cleared: kernels multiply by the scales and do not shift"
    return Done(what, "no integer and no scale changes; kernels that multiply take any scales", None, None)


def _cell_state(draft: Draft, operator: Operator) -> Result:
    state = operator.role("cell_state")
    was = parameters_of(state) if state is not None else None
    if state is None or was is None:
        return Refused("the cell state has no scale that a power of two could be near to")
    nearest = round(log2(was.scale))
    # Rounding of a scale that was a power of two is no reason for the next one.
    exponent = nearest if abs(log2(was.scale) - nearest) < 1e-6 else ceil(log2(was.scale))
    exponent = min(exponent, _LARGEST_LOG.get(operator.name, exponent))
    if exponent > _GREATEST_LOG:
        return Refused(f"no scale that is a power of two keeps the range of {state.name!r}: calibrate the model again")
    scale = 2.0**exponent
    if scale == was.scale:
        return None
    if state.data is not None:
        return Refused(f"the cell state {state.name!r} is a constant, which no kernel changes")
    warnings = [*declare(draft, state, scale, was.zero_point), *interface_warnings(draft, state)]
    what = f"the cell state {state.name!r} is declared with scale 2^{exponent} = {scale:.9g} instead of {was.scale:.9g}"
    loses = f"cells are kept in steps of {scale:.3g} instead of {was.scale:.3g}, off by up to {scale / 2:.3g}"
    if scale < was.scale:
        reach = LIMITS[was.type_name][1] * scale
        loses = f"cells beyond {reach:.6g} are cut off, before beyond {LIMITS[was.type_name][1] * was.scale:.6g}"
    reason = f"kernels shift cells by bits; 2^{exponent} is the smallest power of two that keeps their range"
    if scale < was.scale:
        reason = f"kernels shift cells by bits, and {operator.name} takes no more than 2^{exponent}"
    return Done(what, reason, None, None, loses, tuple(warnings))


def _basic_state(draft: Draft, operator: Operator) -> Result:
    """The basic kernel counts the state in 2^-11, in and out, without a look at the scale that it came in."""
    result = operator.outputs[1] if len(operator.outputs or ()) > 1 and operator.outputs else None
    given = (operator.inputs or [])[-1]
    if not isinstance(result, Tensor) or not isinstance(given, Tensor):
        return Refused("the LSTM lacks a state that could be declared anew")
    was, before = parameters_of(result), parameters_of(given)
    if was is not None and was.scale == _BASIC_SCALE:
        return None
    states = [result, given] if before == was else [result]
    warnings = []
    for state in states:
        point = was.zero_point if was is not None else 0
        warnings += [*declare(draft, state, _BASIC_SCALE, point), *interface_warnings(draft, state)]
    names = " and ".join(f"{state.name!r}" for state in states)
    what = f"the state {names} is declared with scale 2^-11 = {_BASIC_SCALE:.9g}"
    return Done(
        what, "the kernel computes the state in 2^-11 whatever the file says", "integers", 0.0, "", (*warnings,)
    )
