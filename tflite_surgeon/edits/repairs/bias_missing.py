"""The repairs of bias-missing and bias-length: a bias of zeros, and a bias whose shape its bytes contradict."""

from __future__ import annotations

from tflite_surgeon.edits.activations import node_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.bias_type import bias_positions, type_to_add
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.knowledge.operators import CHANNEL_AXIS, ROLES, tensor_in_role
from tflite_surgeon.model.objects import Operator
from tflite_surgeon.rules.bias_use import bias_uses

_WIDTHS = {"INT32": 4, "FLOAT32": 4, "INT64": 8, "FLOAT16": 2}
_AXIS = {**CHANNEL_AXIS, "CONV_3D": 4, "CONV_3D_TRANSPOSE": 3}
# More output channels than this no layer has: what says so is damaged.
_MOST_CHANNELS = 1 << 16


@repair(
    "bias-missing",
    Phase.BIAS,
    "Adds a bias of zeros, in the type and the unit that the kernel adds: results stay as they were meant.",
    "The number of output channels, or the unit of the bias, where the weights or scales that give them are damaged.",
)
def bias_missing(draft: Draft, target: Target, wish: Wish) -> Result:
    """A bias of zeros."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    if tensor_in_role(operator, "bias") is not None:
        return None
    channels, wanted = _channels(operator), type_to_add(operator)
    if channels is None:
        return Refused("the shape of the weights does not tell how many values the bias needs: correct that first")
    if wanted is None:
        return Refused("the type of the input does not tell which type of bias the kernel adds: correct that first")
    like = tensor_in_role(operator, "input")
    assert like is not None  # Its type is known.
    bias = draft.new_tensor(
        draft.home(operator),
        like,
        f"bias_for_operator_{node_of(draft, operator).index}",
        shape=[channels],
        shape_signature=None,
        type=enum_class("TensorType")[wanted],
        buffer=draft.new_buffer(bytes(channels * _WIDTHS[wanted])),
        quantization=None,
    )
    draft.replace_input(operator, ROLES[operator.name].inputs.index("bias"), bias)
    what = f"a bias of {channels} zeros of {wanted} is added, {bias.name!r}"
    if wanted == "FLOAT32":
        return Done(what)
    use = next((use for use in bias_uses(node_of(draft, operator)) if use.bias is bias), None)
    if use is None or use.trouble is not None:
        why = "the operator's other tensors do not give it" if use is None else use.trouble
        return Refused(f"the unit of the bias cannot be told: {why}; correct that first")
    units = list(use.expected_scales)
    draft.quantize(bias, scale=units, zero_point=[0] * len(units), quantized_dimension=0)
    return Done(f"{what}, in units of {units[0]:.9g}")


@repair(
    "bias-length",
    Phase.GRAPH,
    "Gives the bias the shape that its bytes have: one value for each output channel, where the buffer holds exactly "
    "those.",
    "Which output channels the values of a bias belong to, where there are more or fewer of them than channels.",
)
def bias_length(draft: Draft, target: Target, wish: Wish) -> Result:
    """The shape of a bias whose buffer holds a value for each channel."""
    operator, bias = target.operator, target.tensor
    if operator is None or bias is None or all(bias is not tensor for _, tensor in bias_positions(operator)):
        return Refused("the finding names no bias of a node")
    channels = _channels(operator)
    if channels is None:
        return Refused("the shape of the weights does not tell how many output channels there are: correct that first")
    if bias.shape == [channels]:
        return None
    size, width = len(bias.data or b""), _WIDTHS.get(bias.type_name, 0)
    if not width or size != channels * width:
        held = "no data" if bias.data is None else f"{size} bytes of {bias.type_name}"
        return Refused(
            f"the bias {bias.name!r} has {held}, and {channels} output channels need one value each: the file does not "
            "tell which channels its values belong to; store the bias anew"
        )
    shown = bias.shape
    draft.set(bias, "shape", [channels])
    if bias.shape_signature:
        draft.set(bias, "shape_signature", [channels])
    return Done(
        f"the shape of the bias {bias.name!r}, which was {shown}, becomes [{channels}]",
        f"its {size} bytes are the values of {channels} output channels",
    )


def _channels(operator: Operator) -> int | None:
    """How many output channels the weights have; None where they do not tell."""
    role, axis = ("weights_feature", 0) if operator.name == "SVDF" else ("weights", _AXIS.get(operator.name, -1))
    weights = tensor_in_role(operator, role) if operator.name in ROLES else None
    shape = (weights.shape if weights is not None else None) or []
    if not 0 <= axis < len(shape):
        return None
    count = shape[axis]
    if operator.name == "SVDF":
        rank = getattr(operator.builtin_options, "rank", 0) or 0
        count = count // rank if rank > 0 and count % rank == 0 else 0
    return count if 0 < count <= _MOST_CHANNELS else None
