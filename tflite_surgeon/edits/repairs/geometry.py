"""Tensors of too many dimensions or too few, elements that do not fit a shape, and nodes with too many tensors."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from tflite_surgeon.edits.activations import options
from tflite_surgeon.edits.constants import packed
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.repairs.indices import restore_kind
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.shapes import agree, stated_shape
from tflite_surgeon.edits.shaping import Shapes, makes_stored, odd_dimensions, reshape
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.knowledge.computed import prepared
from tflite_surgeon.model.objects import Operator, Tensor

# Inputs that TFLM's CONCATENATION takes.
_MOST_JOINED = 10
_BIAS = 2


@repair(
    "element-count",
    Phase.GRAPH,
    "Makes a vector of a shape that is none, lets the shape say what the output is stored as, replaces the one "
    "dimension that can be another, or stores the shape that the kernel computes.",
    "Where no one dimension can be corrected, the file does not tell which shape was meant.",
)
def element_count(draft: Draft, target: Target, wish: Wish) -> Result:
    """A shape of another number of elements than there are."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    if operator.name == "RESHAPE":
        done = _one_row(draft, operator) or stated_shape(draft, operator)
        if done is not None:
            return done
    # A constant and a stored output that say the same count for more than an input that does not.
    result = agree(draft, target)
    is_read = any(draft.readers(item) for item in operator.outputs or () if isinstance(item, Tensor))
    if not isinstance(result, Refused) or (is_read and odd_dimensions(draft, operator)):
        return result
    return _one_length(draft, operator) or result


def _one_row(draft: Draft, operator: Operator) -> Done | None:
    """RESHAPE reads its shape from a vector, and takes any other constant for none."""
    stated: Any = (operator.inputs or [None])[-1] if len(operator.inputs or ()) == 2 else None
    if not isinstance(stated, Tensor) or not stated.data or len(stated.shape or ()) == 1:
        return None
    mark = draft.mark()
    old = list(stated.shape or ())
    own = draft.own(Use(operator, 1))
    reshape(draft, own, [prod(old)])
    if makes_stored(draft, operator):
        return Done(f"the constant {own.name!r} of shape {old} is of shape {own.shape}", "the kernel reads a vector")
    draft.back_to(mark)
    return None


def _one_length(draft: Draft, operator: Operator) -> Done | None:
    """The one dimension of a stored output that can be replaced so that all elements fit."""
    inputs, outputs = operator.inputs or [], operator.outputs or []
    if not inputs or not outputs or not isinstance(inputs[0], Tensor) or not isinstance(outputs[0], Tensor):
        return None
    if operator.name != "RESHAPE":
        return None
    count, old = prod(inputs[0].shape or ()), list(outputs[0].shape or ())
    fitting = []
    for axis in range(len(old)):
        others = prod(old[:axis] + old[axis + 1 :])
        if others > 0 and count and count % others == 0:
            fitting.append([*old[:axis], count // others, *old[axis + 1 :]])
    if len(fitting) != 1:
        return None
    mark = draft.mark()
    refused = Shapes(draft).refused
    reshape(draft, outputs[0], fitting[0])
    done = stated_shape(draft, operator)
    # Nodes behind it that do not take the other shape tell that the stored one is right, and what comes in is not.
    if done is None or not Shapes(draft).refused <= refused:
        draft.back_to(mark)
        return None
    reason = "no other change of one dimension gives the shape as many elements as the input has"
    return Done(f"{done.what}; the output is stored so, and was as {old}", reason)


@repair(
    "inner-dimension",
    Phase.GRAPH,
    "Clears keep_num_dims where the stored output is what the kernel makes without it; else corrects the one dimension "
    "of an input of the model with which all stored shapes are those that kernels compute.",
    "Where either side could be wrong, the file does not tell which.",
)
def inner_dimension(draft: Draft, target: Target, wish: Wish) -> Result:
    """A product over dimensions of different length."""
    operator = target.operator
    given: Any = None if operator is None else operator.builtin_options
    if operator is not None and operator.name == "FULLY_CONNECTED" and getattr(given, "keep_num_dims", False):
        mark = draft.mark()
        draft.set(given, "keep_num_dims", False)
        if makes_stored(draft, operator):
            return Done("keep_num_dims is off, and was on", "without it the kernel makes the stored output")
        draft.back_to(mark)
    return agree(draft, target, clashes=True)


@repair(
    "tensor-rank",
    Phase.GRAPH,
    "Adds or joins dimensions where that leaves every byte where it is: a scalar becomes a vector of one, weights of "
    "three dimensions become rows and columns, indices and a bias become a vector. Others go through a RESHAPE.",
    "Where the dimensions can be joined in several ways, the file does not tell which was meant.",
)
def tensor_rank(draft: Draft, target: Target, wish: Wish) -> Result:
    """A tensor of too many dimensions, or too few."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    restored = _other_kind(draft, operator)
    if restored is not None:
        return restored
    told: list[str] = []
    for position, shape in _wanted_ranks(draft, operator):
        _shape_input(draft, operator, position, shape)
        told.append(f"input {position} of {operator.name} is of shape {shape}")
    if not told:
        return Refused(f"the file does not tell how {operator.name}'s tensors are to be read in other dimensions")
    made = _shape_output(draft, operator)
    if made is not None:
        told.append(f"its output is made in shape {made}")
    return Done("; ".join(told), "every value stays where it is")


def _wanted_ranks(draft: Draft, operator: Operator) -> Iterator[tuple[int, list[int]]]:
    """Inputs of a node, by position, and the shapes that its kernel takes them in."""
    inputs: list[Any] = list(operator.inputs or ())
    if not all(isinstance(item, Tensor) for item in inputs[:2]):
        return
    if operator.name in ("SOFTMAX", "LOG_SOFTMAX") and inputs and not inputs[0].shape:
        yield 0, [1]
    if operator.name == "FULLY_CONNECTED" and len(inputs) > 1 and len(inputs[1].shape or ()) != 2:
        shape = _rows_and_columns(operator, inputs[1])
        if shape is not None:
            yield 1, shape
    if operator.name == "EMBEDDING_LOOKUP" and len(inputs) > 1:
        if len(inputs[0].shape or ()) != 1:
            yield 0, [prod(inputs[0].shape or ())]
        if len(inputs[1].shape or ()) == 1:
            yield 1, [*(inputs[1].shape or ()), 1]
    if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D") and len(inputs[0].shape or ()) != 4:
        shapes = [shape for shape in _factors(prod(inputs[0].shape or ()), 4) if _takes(draft, operator, shape)]
        if len(shapes) == 1:
            yield 0, shapes[0]
    if operator.name == "DEPTHWISE_CONV_2D" and len(inputs) > _BIAS and isinstance(inputs[_BIAS], Tensor):
        bias = inputs[_BIAS]
        if bias.data and len(bias.shape or ()) != 1:
            yield _BIAS, [prod(bias.shape or ())]


def _rows_and_columns(operator: Operator, weights: Tensor) -> list[int] | None:
    """The weights of FULLY_CONNECTED as a row for each output, which the bias or the output counts."""
    count = prod(weights.shape or ())
    output: Any = (operator.outputs or [None])[0]
    bias: Any = (operator.inputs or [])[2] if len(operator.inputs or ()) > 2 else None
    rows = {prod(bias.shape or ())} if isinstance(bias, Tensor) else {(getattr(output, "shape", None) or [0])[-1]}
    row = rows.pop()
    given = prod(getattr((operator.inputs or [None])[0], "shape", None) or ())
    is_whole = row > 0 and count > 0 and count % row == 0
    return [row, count // row] if is_whole and given % (count // row) == 0 else None


def _factors(count: int, rank: int) -> Iterator[list[int]]:
    """All shapes of so many dimensions that hold so many elements."""
    if rank == 1:
        yield [count]
        return
    for first in range(1, count + 1) if 0 < count <= 1 << 16 else ():
        if count % first == 0:
            yield from ([first, *rest] for rest in _factors(count // first, rank - 1))


def _takes(draft: Draft, operator: Operator, shape: list[int]) -> bool:
    source: Any = (operator.inputs or [None])[0]
    return makes_stored(draft, operator, {id(source): shape})


def _shape_input(draft: Draft, operator: Operator, position: int, shape: list[int]) -> None:
    """Let a node read an input in another shape: a constant is stored so, what is computed goes through a RESHAPE."""
    tensor: Any = (operator.inputs or [])[position]
    if tensor.data:
        own = draft.own(Use(operator, position))
        _keep_axis(draft, own, shape)
        reshape(draft, own, shape)
        return
    fresh = draft.new_tensor(draft.home(operator), tensor, f"{tensor.name or 'tensor'}_reshaped")
    reshape(draft, fresh, shape)
    draft.replace_input(operator, position, fresh)
    _reshape_between(draft, operator, False, tensor, fresh)


def _keep_axis(draft: Draft, tensor: Tensor, shape: list[int]) -> None:
    """Scales go on counting along the dimension of the length that they count."""
    quantization = tensor.quantization
    if quantization is None or len(quantization.scale or ()) < 2:
        return
    count = len(quantization.scale or ())
    if quantization.quantized_dimension >= len(shape) or shape[quantization.quantized_dimension] != count:
        axis = next((axis for axis, length in enumerate(shape) if length == count), 0)
        draft.quantize(tensor, quantized_dimension=axis)


def _shape_output(draft: Draft, operator: Operator) -> list[int] | None:
    """Let a node write the shape that its kernel makes now, and a RESHAPE behind it the stored one."""
    node = prepared(draft.model, operator, {})
    output: Any = (operator.outputs or [None])[0]
    made = node.outputs[0].shape if node is not None and node.outputs and node.outputs[0] is not None else None
    if made is None or not isinstance(output, Tensor) or made == list(output.shape or ()):
        return None
    fresh = draft.new_tensor(draft.home(operator), output, f"{output.name or 'tensor'}_made")
    reshape(draft, fresh, made)
    draft.replace_output(operator, 0, fresh)
    _reshape_between(draft, operator, True, fresh, output)
    return made


def _reshape_between(draft: Draft, beside: Operator, after: bool, source: Tensor, result: Tensor) -> None:
    shape = list(result.shape or ())
    stated = draft.new_tensor(
        draft.home(beside),
        result,
        f"{result.name or 'tensor'}_shape",
        shape=[len(shape)],
        shape_signature=None,
        type=enum_class("TensorType")["INT32"],
        buffer=draft.new_buffer(packed(shape, "INT32")),
        quantization=None,
    )
    table = options("ReshapeOptions", new_shape=shape)
    draft.insert_operator(beside, after, "RESHAPE", 1, [source, stated], [result], table)


# How many tensors a node has


@repair(
    "tensor-count",
    Phase.GRAPH,
    "Joins in steps what TFLM does not join at once; drops an input or output that is too many where the kernel takes "
    "the rest in one way only; and where a node has options of another operator, makes it that one.",
    "Tensors that a node should have and does not name are not in the file.",
)
def tensor_count(draft: Draft, target: Target, wish: Wish) -> Result:
    """Too many inputs or outputs, or too few."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    restored = _other_kind(draft, operator)
    if restored is not None:
        return restored
    if operator.name == "CONCATENATION" and len(operator.inputs or ()) > _MOST_JOINED:
        return _join_in_steps(draft, operator)
    return _without_one(draft, operator)


def _other_kind(draft: Draft, operator: Operator) -> Done | None:
    """A node with options of another operator, which takes its tensors where this one does not."""
    table = getattr(operator.builtin_options, "table", None)
    if table is None or table.removesuffix("Options").lower() == operator.name.replace("_", "").lower():
        return None
    return None if makes_stored(draft, operator) else restore_kind(draft, operator, operator.name)


def _join_in_steps(draft: Draft, operator: Operator) -> Result:
    """Join the first inputs to one tensor, and this to the next ones."""
    output: Any = (operator.outputs or [None])[0]
    inputs: list[Any] = list(operator.inputs or ())
    given = operator.builtin_options
    if not isinstance(output, Tensor) or not all(isinstance(item, Tensor) for item in inputs):
        return Refused("the node does not name all its tensors")
    if given is None or given.table != "ConcatenationOptions":
        return Refused("the node has no options, or those of another operator, and so no axis")
    axis = given.axis + (len(output.shape or ()) if given.axis < 0 else 0)
    if any(len(item.shape or ()) != len(output.shape or ()) for item in inputs):
        return Refused("the inputs have other numbers of dimensions than the output")
    if not 0 <= axis < len(output.shape or ()) or given.fused_activation_function:
        return Refused("the axis is outside the output, or an activation is fused")
    code: Any = operator.opcode
    steps = 0
    while len(inputs) > _MOST_JOINED:
        first, inputs = inputs[:_MOST_JOINED], inputs[_MOST_JOINED:]
        shape = list(output.shape or ())
        shape[axis] = sum((item.shape or [0] * (axis + 1))[axis] for item in first)
        joined = draft.new_tensor(draft.home(operator), output, f"{output.name or 'tensor'}_part", shape_signature=None)
        reshape(draft, joined, shape)
        table = options("ConcatenationOptions", axis=given.axis)
        draft.insert_operator(operator, False, "CONCATENATION", code.version, first, [joined], table)
        inputs = [joined, *inputs]
        steps += 1
    draft.set(operator, "inputs", inputs)
    return Done(f"the inputs are joined in {steps + 1} steps of at most {_MOST_JOINED}", "the kernel takes no more")


def _without_one(draft: Draft, operator: Operator) -> Result:
    """Leave out the one input or output without which the kernel takes the node."""
    fitting: list[tuple[str, list[Any], Any]] = []
    for attribute in ("inputs", "outputs"):
        items: list[Any] = list(getattr(operator, attribute) or ())
        for position, item in enumerate(items):
            is_used = isinstance(item, Tensor) and (draft.readers(item) or draft.is_interface(item))
            if attribute == "outputs" and is_used:
                continue
            rest = items[:position] + items[position + 1 :]
            mark = draft.mark()
            draft.set(operator, attribute, rest)
            if makes_stored(draft, operator) and not any(_same(rest, other) for _, other, _ in fitting):
                fitting.append((attribute, rest, item))
            draft.back_to(mark)
    if len(fitting) != 1:
        why = "in more than one way" if fitting else "by leaving one out"
        ways = f"the number of tensors could be right {why}" if fitting else f"it does not become right {why}"
        return Refused(f"{ways}; compare the node with the operator's description")
    attribute, rest, item = fitting[0]
    draft.set(operator, attribute, rest)
    what = f"the {attribute[:-1]} {getattr(item, 'name', None)!r} is left out"
    return Done(what, "without it the kernel takes the node and makes the stored output")


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other))
