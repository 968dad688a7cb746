"""Numbers that a node is told beside its tensors: options, and constants that say where to cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tflite_surgeon.edits.constants import WIDTHS, packed
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.shapes import agree, stated_shape
from tflite_surgeon.edits.shaping import makes_stored, settle_behind
from tflite_surgeon.model.objects import Operator, Tensor

# Steps of a window that are tried.
_STEPS = range(1, 33)
# Options that count steps, with the same of another direction: where the shape leaves several, that speaks for one.
_BESIDE = {
    "stride_h": "stride_w",
    "stride_w": "stride_h",
    "stride_d": "stride_h",
    "dilation_h_factor": "dilation_w_factor",
    "dilation_w_factor": "dilation_h_factor",
    "dilation_d_factor": "dilation_h_factor",
}


@repair(
    "option-value",
    Phase.GRAPH,
    "Sets the option to the one value with which the kernel makes the stored shape of the output: strides, dilations, "
    "padding, the shape of a RESHAPE. Of two grids that RESIZE_BILINEAR is told the delegate's stays, which is lossy; "
    "a negative bound of an LSTM becomes 0, which means none.",
    "Where several values make the stored shape, the file does not tell which was meant.",
)
def option_value(draft: Draft, target: Target, wish: Wish) -> Result:
    """An option that no kernel takes."""
    operator = target.operator
    options: Any = None if operator is None else operator.builtin_options
    if operator is None:
        return Refused("the finding names no node")
    if operator.name == "RESHAPE":
        return stated_shape(draft, operator) or Refused("the stored shape of the output does not fit the input either")
    if getattr(options, "align_corners", False) and getattr(options, "half_pixel_centers", False):
        draft.set(options, "half_pixel_centers", False)
        return Done(
            "half_pixel_centers is off, and was on beside align_corners",
            "LiteRT's delegate, the one that takes both, computes with aligned corners",
            loses="which of the two grids was meant; results are those of the delegate",
        )
    for name in ("cell_clip", "proj_clip"):
        if getattr(options, name, 0) < 0:
            old = getattr(options, name)
            draft.set(options, name, 0.0)
            return Done(
                f"{name} is 0, and was {old:g}", "a negative bound stands for none, and runtimes write that as 0"
            )
    for name in _BESIDE:
        if getattr(options, name, 1) < 1:
            return _step(draft, operator, options, name)
    if getattr(options, "padding", 0) not in (0, 1):
        return _the_one(draft, operator, options, "padding", (0, 1))
    return Refused("the file does not tell which value the option should have; convert the model again")


def _step(draft: Draft, operator: Operator, options: Any, name: str) -> Result:
    """A stride or dilation: the one that makes the stored shape, or of several that of another direction."""
    others = [other for other in _BESIDE if other != name and getattr(options, other, 1) < 1]
    if others:
        return Refused(f"{others[0]} and {name} are both below 1: the stored shape tells one of them only")
    return _the_one(draft, operator, options, name, _STEPS, getattr(options, _BESIDE[name], None))


def _the_one(
    draft: Draft, operator: Operator, options: Any, name: str, values: Iterable[int], beside: int | None = None
) -> Result:
    """Set an option to the one value with which the kernel makes the stored shape of the output."""
    old = getattr(options, name)
    fitting = []
    for value in values:
        mark = draft.mark()
        draft.set(options, name, value)
        if makes_stored(draft, operator):
            fitting.append(value)
        draft.back_to(mark)
    reason = "the only value with which the kernel makes the stored shape of the output"
    if len(fitting) > 1 and beside in fitting:
        fitting = [beside]
        reason = f"with it the kernel makes the stored shape of the output, and {_BESIDE[name]} is the same"
    if len(fitting) != 1:
        tried = " or ".join(map(str, fitting[:3])) if fitting else "no value"
        return Refused(
            f"{name} is {int(old)}, and the stored shape of the output comes of {tried}; write what was meant"
        )
    draft.set(options, name, fitting[0])
    return Done(f"{name} is {fitting[0]}, and was {int(old)}", reason)


# Constants that say where to cut


@repair(
    "slice-bounds",
    Phase.GRAPH,
    "Cuts the size of a SLICE to what the input has, which is lossy. A stride of 0 becomes the one with which the "
    "kernel makes the stored shape.",
    "Where the bounds are computed, or several strides make the stored shape, the file does not tell which were meant.",
)
def slice_bounds(draft: Draft, target: Target, wish: Wish) -> Result:
    """A slice that reaches beyond its input."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    if operator.name == "SLICE":
        return _cut(draft, operator)
    if operator.name == "STRIDED_SLICE":
        return _stride(draft, operator)
    return Refused("the file does not tell which bounds were meant")


def _cut(draft: Draft, operator: Operator) -> Result:
    begins, sizes = _integers(operator, 1), _integers(operator, 2)
    inputs = operator.inputs or []
    if begins is None or sizes is None or not isinstance(inputs[0], Tensor):
        return Refused("begin and size are no constants of the file")
    shape = inputs[0].shape or []
    if not len(shape) == len(begins) == len(sizes):
        return Refused("begin and size do not have a number for each dimension")
    cut = list(sizes)
    lost = []
    for axis, (length, begin, size) in enumerate(zip(shape, begins, sizes)):
        if not 0 <= begin < length:
            return Refused(f"dimension {axis} begins at {begin} of {length}: nothing of the slice is in the input")
        if size != -1 and begin + size > length:
            cut[axis] = length - begin
            lost.append(f"{begin + size - length} of {size} elements along dimension {axis}")
    if not lost:
        return None
    _write(draft, operator, 2, cut)
    settle_behind(draft, operator)
    what = f"the slice is of size {cut}, and was of {sizes}"
    return Done(what, "the input ends there", loses=f"{' and '.join(lost)}, which lie outside the input")


def _stride(draft: Draft, operator: Operator) -> Result:
    strides = _integers(operator, 3)
    if strides is None or strides.count(0) != 1:
        return Refused("the strides are no constants of the file, or more than one of them is 0")
    axis = strides.index(0)
    fitting = []
    for step in (*_STEPS, -1):
        mark = draft.mark()
        _write(draft, operator, 3, [*strides[:axis], step, *strides[axis + 1 :]])
        if makes_stored(draft, operator):
            fitting.append(step)
        draft.back_to(mark)
    if len(fitting) != 1:
        tried = " or ".join(map(str, fitting[:3])) if fitting else "no stride"
        return Refused(f"the stored shape of the output comes of {tried} along dimension {axis}; write what was meant")
    _write(draft, operator, 3, [*strides[:axis], fitting[0], *strides[axis + 1 :]])
    reason = "the only stride with which the kernel makes the stored shape of the output"
    return Done(f"the stride along dimension {axis} is {fitting[0]}, and was 0", reason)


@repair(
    "split-sizes",
    Phase.GRAPH,
    "Writes the sizes that the stored outputs have; or corrects the one dimension of an input of the model with which "
    "all stored shapes are those that kernels compute.",
    "Where the stored outputs do not add up to the input either, the file does not tell which sizes were meant.",
)
def split_sizes(draft: Draft, target: Target, wish: Wish) -> Result:
    """Parts that do not add up to the whole."""
    operator = target.operator
    if operator is not None and operator.name == "SPLIT_V":
        sizes, axes = _integers(operator, 1), _integers(operator, 2)
        outputs = [output for output in operator.outputs or () if isinstance(output, Tensor)]
        rank = min((len(output.shape or ()) for output in outputs), default=0)
        if sizes is not None and axes and len(outputs) == len(sizes) and -rank <= axes[0] < rank:
            stored = [(output.shape or [])[axes[0]] for output in outputs]
            mark = draft.mark()
            _write(draft, operator, 1, stored)
            if stored != sizes and makes_stored(draft, operator):
                return Done(f"the sizes are {stored}, and were {sizes}", "the outputs are stored so, and add up")
            draft.back_to(mark)
    return agree(draft, target, clashes=True)


def _integers(operator: Operator, position: int) -> list[int] | None:
    """The integers of a constant; None where it is none."""
    inputs: Sequence[Any] = operator.inputs or ()
    tensor = inputs[position] if position < len(inputs) else None
    width = WIDTHS.get(tensor.type_name) if isinstance(tensor, Tensor) else None
    data = bytes(tensor.data or b"") if width is not None else b""  # type: ignore[union-attr]
    if width is None or not data or len(data) % width:
        return None
    return [int.from_bytes(data[at : at + width], "little", signed=True) for at in range(0, len(data), width)]


def _write(draft: Draft, operator: Operator, position: int, values: Sequence[int]) -> None:
    """Give a node other integers in a constant of its own."""
    tensor = draft.own(Use(operator, position))
    draft.store(tensor, packed(values, tensor.type_name))
