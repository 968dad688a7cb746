"""Operators: the roles of their inputs and outputs, and where they add a quantised bias."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

from tflite_surgeon.flatbuffer.tables import Table

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Operator, Tensor


class Roles(NamedTuple):
    """Names of the inputs, outputs and intermediates, by position."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ("output",)
    intermediates: tuple[str, ...] = ()


_CONVOLUTION = Roles(("input", "weights", "bias"))
_GATES = ("input_gate", "forget_gate", "cell_gate", "output_gate")
_LSTM = Roles(
    (
        "input",
        *(f"input_to_{gate}_weights" for gate in _GATES),
        *(f"recurrent_to_{gate}_weights" for gate in _GATES),
        *(f"cell_to_{gate}_weights" for gate in _GATES if gate != "cell_gate"),
        *(f"{gate}_bias" for gate in _GATES),
        "projection_weights",
        "projection_bias",
        "output_state",
        "cell_state",
        *(f"{gate}_layer_norm" for gate in _GATES),
    ),
    intermediates=(*(f"{gate}_intermediate" for gate in _GATES), "hidden"),
)

# Source: the kernels' input constants (LiteRT 2.3 kernels/*.cc). Other operators: "input" and "output" are the first.
ROLES: dict[str, Roles] = {
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "FULLY_CONNECTED": _CONVOLUTION,
    "CONV_3D": _CONVOLUTION,
    "TRANSPOSE_CONV": Roles(("output_shape", "weights", "input", "bias")),
    "CONV_3D_TRANSPOSE": Roles(("output_shape", "weights", "input", "bias")),
    "SVDF": Roles(("input", "weights_feature", "weights_time", "bias", "state")),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _LSTM,
    "LSTM": _LSTM,
}
_DEFAULT = Roles(("input",))
_KNOWN_ROLES = {role for roles in (*ROLES.values(), _DEFAULT) for names in roles for role in names}

# The axis of the weights along which a per-channel scale counts: the output channels.
# Source: quantisation specification; xnnpack_delegate.cc and kernel_util.cc compare its length only.
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}


def tensor_in_role(operator: Operator, role: str) -> Tensor | None:
    """The tensor in a role; None where the operator has no such input or it is not given.

    Raises:
        KeyError: no operator has a role of that name.
    """
    return tensor_of(operator, operator.name, role)


def tensor_of(operator: Operator, name: str, role: str) -> Tensor | None:
    """The same for an operator whose name is known already: it takes longer to tell than the rest."""
    if role not in _KNOWN_ROLES:
        raise KeyError(f"no operator has the role {role!r}; known are {', '.join(sorted(_KNOWN_ROLES))}")
    attribute, index = _place(name if name in ROLES else "", role)
    tensors = getattr(operator, attribute) if attribute else None
    tensor = tensors[index] if tensors and index < len(tensors) else None
    return cast("Tensor", tensor) if isinstance(tensor, Table) else None


@cache
def _place(operator: str, role: str) -> tuple[str, int]:
    """The attribute and the position of a role; no attribute where operators of that name have none such."""
    for attribute, names in zip(Roles._fields, ROLES.get(operator, _DEFAULT)):
        if role in names:
            return attribute, names.index(role)
    return "", 0


class Addend(NamedTuple):
    """A bias that a kernel adds to an accumulator, and what one unit of that accumulator is worth.

    The unit is the product of the scales of `factors`, times `constant`; `weights` is the factor that may have one
    scale for each output channel. The result is expressed in the scale of `output`, or in `output_scale` where the
    kernel fixes it.
    """

    bias: str
    factors: tuple[str, str | None]
    output: str | None = "output"
    constant: float = 1.0
    output_scale: float | None = None


_PRODUCT = (Addend("bias", ("input", "weights")),)
# Gate pre-activations are int16 with twelve fractional bits (lstm_eval.cc, 8x8_16 kernel).
_GATE_SCALE = 2.0**-12
# Layer normalisation adds its bias with ten fractional bits below the coefficients' scale (lstm_eval.cc).
_LAYER_NORM_UNIT = 2.0**-10

# Source: conv.cc, depthwise_conv.cc, fully_connected.cc, transpose_conv.cc (input_scale * filter_scale),
# svdf.cc (state_scale * weights_time_scale), unidirectional_sequence_lstm.cc and lstm.cc
# (PopulatePrecomputedZPTimesWeightsWithBias adds the gate's bias to the input-to-gate product, the projection's to
# that of the hidden state).
ADDENDS: dict[str, tuple[Addend, ...]] = {
    "CONV_2D": _PRODUCT,
    "DEPTHWISE_CONV_2D": _PRODUCT,
    "FULLY_CONNECTED": _PRODUCT,
    "TRANSPOSE_CONV": _PRODUCT,
    "SVDF": (Addend("bias", ("state", "weights_time")),),
}
_PROJECTION = Addend("projection_bias", ("hidden", "projection_weights"))
_LSTM_PLAIN = (
    *(Addend(f"{gate}_bias", ("input", f"input_to_{gate}_weights"), None, 1.0, _GATE_SCALE) for gate in _GATES),
    _PROJECTION,
)
_LSTM_NORMALISED = (
    *(Addend(f"{gate}_bias", (f"{gate}_layer_norm", None), None, _LAYER_NORM_UNIT, _GATE_SCALE) for gate in _GATES),
    _PROJECTION,
)
# The 8x8_16 kernel is the one with five intermediate tensors.
_INTERMEDIATES_8X8_16 = 5


def addends(operator: Operator, name: str | None = None) -> tuple[Addend, ...]:
    """The biases that the operator's integer kernel adds; empty for operators without any."""
    name = name or operator.name
    if name not in ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"):
        return ADDENDS.get(name, ())
    if len(operator.intermediates or ()) != _INTERMEDIATES_8X8_16:
        return ()
    return _LSTM_NORMALISED if tensor_in_role(operator, "forget_gate_layer_norm") is not None else _LSTM_PLAIN
