"""Stored shapes: the ones that kernels compute, and the one dimension that is wrong where all others agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

from tflite_surgeon.edits.activations import node_of
from tflite_surgeon.edits.constants import WIDTHS, packed
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.plan import Edit
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.computed import computed, prepared
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import CRASHES, REFUSES, WRONG, On, Place, Stage
from tflite_surgeon.model.objects import Operator, SubGraph, Tensor

# Lengths that are tried for a dimension, and how many may suit those who read it before nothing is told by it.
_LONGEST = 4096
_MOST_SUITING = 16
_MOST_ELEMENTS = (1 << 31) - 1
# What kernels compute wrongly, without refusing it, where a shape does not fit.
_OF_SHAPES = frozenset({"broadcast", "channels", "dimension-match", "element-count", "inner-dimension"})


def reshape(draft: Draft, tensor: Tensor, shape: Sequence[int]) -> None:
    """Give a tensor another stored shape; a signature that leaves dimensions open keeps them open."""
    signature = tensor.shape_signature
    if signature is not None and len(signature) == len(shape):
        opened = [-1 if open_ == -1 else length for open_, length in zip(signature, shape)]
        draft.set(tensor, "shape_signature", opened)
    elif signature:
        draft.set(tensor, "shape_signature", list(shape))
    draft.set(tensor, "shape", list(shape))


class Shapes:
    """The shapes that LiteRT's kernels compute from the stored ones of inputs and constants.

    Attributes:
        known: tensors as LiteRT knows them, by their identity.
        refused: the places of nodes that are refused, so that the shapes of their outputs are not known.
    """

    def __init__(self, draft: Draft) -> None:
        self.known, self._problems = computed(draft.model)
        refused = (
            problem for problem in self._problems if problem.effect in (REFUSES, CRASHES) and problem.on & On.TFLITE
        )
        self.refused = {problem.place for problem in refused if problem.stage <= Stage.ALLOCATE}
        self._draft = draft

    def of(self, tensor: Tensor) -> list[int] | None:
        """The computed shape; None where it is known only when the model runs, or no kernel computes it."""
        operand = self.known.get(id(tensor))
        return None if operand is None or operand.shape is None else list(operand.shape)

    def is_refused(self, operator: Operator) -> bool:
        """Whether LiteRT refuses a node."""
        return self._place(operator) in self.refused

    def breaks(self, rule: str, operator: Operator) -> bool:
        """Whether a node breaks a rule in LiteRT, with its delegate or without, or in tflite-runtime."""
        place = self._place(operator)
        return any(problem.rule == rule and problem.place == place for problem in self._problems)

    def _place(self, operator: Operator) -> Place:
        node = node_of(self._draft, operator)
        return Place(node.subgraph_index, node.index)

    def differing(self, subgraph: SubGraph) -> list[Tensor]:
        """The computed tensors of a subgraph whose stored shape is another one."""
        return [
            output
            for operator in subgraph.operators or ()
            for output in operator.outputs or ()
            if isinstance(output, Tensor) and self.differs(output)
        ]

    def differs(self, tensor: Tensor) -> bool:
        """Whether the stored shape is not the computed one."""
        shape = self.of(tensor)
        return shape is not None and shape != list(tensor.shape or ()) and is_shaped(tensor)


def is_shaped(tensor: Tensor) -> bool:
    """Whether the file tells how many dimensions a tensor has; one that has none is often one of unknown shape."""
    return bool(tensor.shape) or tensor.has_rank


def was_touched(draft: Draft, operator: Operator) -> bool:
    """Whether a repair has changed a node or one of its tensors."""
    touched = draft.touched(0)
    tensors = (item for item in (*(operator.inputs or ()), *(operator.outputs or ())) if isinstance(item, Table))
    return id(operator) in touched or not touched.isdisjoint(map(id, tensors))


def settled(draft: Draft, operator: Operator, position: int) -> list[int] | None:
    """The shape that a node's kernel computes of an output; None where it is not known."""
    shapes = Shapes(draft)
    output = (operator.outputs or [])[position]
    return None if shapes.is_refused(operator) or not isinstance(output, Tensor) else shapes.of(output)


def settle_behind(draft: Draft, operator: Operator) -> list[tuple[Tensor, list[int]]]:
    """Store the computed shapes of a node's outputs and of what is computed from those; the tensors and old shapes."""
    operators = draft.home(operator).operators or []
    shapes = _unheld(draft, operator)
    changed: list[tuple[Tensor, list[int]]] = []
    touched = {id(operator)}
    for other in operators:
        if id(other) not in touched:
            continue
        for output in other.outputs or ():
            shape = None if not isinstance(output, Tensor) or output.data else shapes.of(output)
            if shape is None or not isinstance(output, Tensor) or shape == list(output.shape or ()):
                continue
            if prod(shape) > _MOST_ELEMENTS:
                continue  # No memory holds it: what the kernel computes it from is wrong.
            if not is_shaped(output) and other is not operator:
                continue
            changed.append((output, list(output.shape or ())))
            reshape(draft, output, shape)
            touched.update(id(use.operator) for use in draft.readers(output))
    return changed


def _unheld(draft: Draft, operator: Operator) -> Shapes:
    """Shapes as if none were stored for a node's outputs, nor for those of SLICE: its kernel keeps to a stored one."""
    mark = draft.mark()
    for other in draft.home(operator).operators or ():
        if other is operator or other.name == "SLICE":
            for output in other.outputs or ():
                if isinstance(output, Tensor) and not output.data and prepared(draft.model, other, {}) is not None:
                    draft.set(output, "shape", [])
    shapes = Shapes(draft)
    draft.back_to(mark)
    return shapes


# One dimension that is wrong


@dataclass(frozen=True)
class Dimension:
    """Another length of one dimension.

    Attributes:
        tensor: an input of the graph.
        axis: its dimension.
        length: what it should be.
        told: lengths of the dimension that a convolution's weights and options tell, where it has no groups.
    """

    tensor: Tensor
    axis: int
    length: int
    told: frozenset[int] = frozenset()

    def shape(self) -> list[int]:
        shape = list(self.tensor.shape or ())
        shape[self.axis] = self.length
        return shape


def odd_dimensions(draft: Draft, operator: Operator) -> list[Dimension]:
    """The lengths of one dimension of one input with which all stored shapes are those that kernels compute.

    The node must be taken then, and no other node may be refused that is not now.
    """
    shapes = Shapes(draft)
    found = []
    for tensor in draft.home(operator).inputs or ():
        if isinstance(tensor, Tensor) and not tensor.data and is_shaped(tensor):
            candidates = _suiting(draft, tensor)
            if len(candidates) <= _MOST_SUITING:
                found += [one for one in candidates if _makes_all_right(draft, operator, one, shapes)]
    return _plausible(found)


def _plausible(found: list[Dimension]) -> list[Dimension]:
    """Those that the input's signature names, or that weights are made for; else without what hardly was meant."""

    def is_signed(one: Dimension) -> bool:
        signature = one.tensor.shape_signature or []
        return len(signature) == len(one.tensor.shape or ()) and signature[one.axis] == one.length

    def distance(one: Dimension) -> int:
        return abs(one.length - (one.tensor.shape or [0])[one.axis])

    signed = [one for one in found if is_signed(one)]
    told = [one for one in found if one.length in one.told]
    if signed or told or not found:
        return signed or told
    # Where shapes broadcast, 1 always fits as well: what is nearer to the stored length than that was meant.
    nearest = min(map(distance, found))
    return [one for one in found if one.length > 1 or distance(one) == nearest]


# For each draft: the edits so far, and what was found for a tensor with them. Many findings have one cause.
_FOUND: WeakKeyDictionary[Draft, tuple[list[Edit], dict[int, list[Dimension]]]] = WeakKeyDictionary()


def _suiting(draft: Draft, tensor: Tensor) -> list[Dimension]:
    """Lengths with which those who read an input make the stored shapes; one more than counts where there are many."""
    edits, found = _FOUND.get(draft, ([], {}))
    if len(edits) != len(draft.edits) or any(a is not b for a, b in zip(edits, draft.edits)):
        found = {}
    if id(tensor) not in found:
        found[id(tensor)] = list(islice(_suiting_readers(draft, tensor), _MOST_SUITING + 1))
    _FOUND[draft] = (list(draft.edits), found)
    return found[id(tensor)]


def _suiting_readers(draft: Draft, tensor: Tensor) -> Iterator[Dimension]:
    """Lengths with which those who read an input make the stored shapes."""
    readers = list({id(use.operator): use.operator for use in draft.readers(tensor)}.values())
    if not readers or all(makes_stored(draft, operator) for operator in readers):
        return
    shape = list(tensor.shape or ())
    for axis, stored in enumerate(shape):
        for length in _lengths(readers):
            if length != stored:
                given = {id(tensor): [*shape[:axis], length, *shape[axis + 1 :]]}
                if all(makes_stored(draft, operator, given) for operator in readers):
                    yield Dimension(tensor, axis, length, _told_channels(readers) if axis == 3 else frozenset())


def fitting_length(draft: Draft, tensor: Tensor, axis: int) -> int | None:
    """The one length of a dimension with which all who read a tensor make the stored shapes; None if there is none."""
    readers = list({id(use.operator): use.operator for use in draft.readers(tensor)}.values())
    shape = list(tensor.shape or ())
    fitting = [
        length
        for length in (_lengths(readers) if readers else ())
        if all(makes_stored(draft, op, {id(tensor): [*shape[:axis], length, *shape[axis + 1 :]]}) for op in readers)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _told_channels(readers: Iterable[Operator]) -> frozenset[int]:
    """The numbers of channels that convolutions' weights are made for, if they have no groups."""
    told = set()
    for operator in readers:
        weights: Any = (operator.inputs or [None, None])[1] if len(operator.inputs or ()) > 1 else None
        channels = (getattr(weights, "shape", None) or [0])[-1]
        if operator.name == "CONV_2D":
            told.add(channels)
        elif operator.name == "DEPTHWISE_CONV_2D":
            multiplier = getattr(operator.builtin_options, "depth_multiplier", 0)
            told.add(channels // multiplier if multiplier > 0 else 0)
    return frozenset(told)


def _lengths(readers: Iterable[Operator]) -> range:
    """Lengths that can be meant: up to several times what the nodes have elsewhere, for strides and windows."""
    tensors = [item for operator in readers for item in (*(operator.inputs or ()), *(operator.outputs or ()))]
    lengths = [length for item in tensors if isinstance(item, Tensor) for length in item.shape or ()]
    most = max((length for length in lengths if length <= _LONGEST), default=1)
    return range(1, min(4 * most + 64, _LONGEST) + 1)


def makes_stored(draft: Draft, operator: Operator, given: Mapping[int, list[int]] | None = None) -> bool:
    """Whether LiteRT's kernel takes a node with inputs of given shapes, and computes the stored shapes."""
    operands = {}
    for item in operator.inputs or ():
        if given and isinstance(item, Tensor) and id(item) in given:
            operands[id(item)] = Operand(item)
            operands[id(item)].shape = given[id(item)]
    node = prepared(draft.model, operator, operands)
    if node is None:
        return False
    for problem in node.problems:
        if problem.effect in (REFUSES, CRASHES) or (problem.effect == WRONG and problem.rule in _OF_SHAPES):
            return False
    outputs = [output for output in node.outputs if output is not None and is_shaped(output.tensor)]
    return bool(outputs) and all(output.shape in (None, list(output.tensor.shape or ())) for output in outputs)


def _makes_all_right(draft: Draft, operator: Operator, candidate: Dimension, before: Shapes) -> bool:
    mark = draft.mark()
    reshape(draft, candidate.tensor, candidate.shape())
    shapes = Shapes(draft)
    is_taken = not shapes.is_refused(operator)
    draft.back_to(mark)
    return is_taken and not shapes.differing(draft.home(operator)) and shapes.refused <= before.refused


# Constants that say which shape an output has


# Operators whose input at a position is the shape of their output, or a part of it.
_STATES_SHAPE = {
    "BROADCAST_TO": (1, slice(None)),
    "CONV_3D_TRANSPOSE": (0, slice(None)),
    "FILL": (0, slice(None)),
    "RESHAPE": (1, slice(None)),
    "RESIZE_BILINEAR": (1, slice(1, 3)),
    "RESIZE_NEAREST_NEIGHBOR": (1, slice(1, 3)),
    "TRANSPOSE_CONV": (0, slice(None)),
}


def state_shape(draft: Draft, operator: Operator) -> str | None:
    """Let the constant, or for RESHAPE the option, that states a node's output shape say the stored one.

    Returns:
        What was done; None where no constant states it, or it says so already.
    """
    output = (operator.outputs or [None])[0]
    place = _STATES_SHAPE.get(operator.name)
    if place is None or not isinstance(output, Tensor) or not is_shaped(output):
        return None
    position, part = place
    shape = list(output.shape or ())[part]
    stated = operator.inputs[position] if position < len(operator.inputs or ()) else None  # type: ignore[index]
    if isinstance(stated, Tensor) and stated.data and stated.type_name in WIDTHS:
        width = WIDTHS[stated.type_name]
        if not all(-(1 << 31) <= length < 1 << 31 for length in shape):
            return None
        data = packed(shape, stated.type_name)
        if bytes(stated.data) == data and stated.shape == [len(shape)]:
            return None
        old = stated.values().reshape(-1).tolist() if len(stated.data) == width * prod(stated.shape or ()) else "others"
        own = draft.own(Use(operator, position))
        draft.store(own, data)
        reshape(draft, own, [len(shape)])
        return f"the constant {own.name!r} of the output's shape is {shape}, and was {old}"
    options = operator.builtin_options
    if operator.name == "RESHAPE" and getattr(options, "table", "") == "ReshapeOptions":
        old = options.new_shape
        if old == shape:
            return None
        draft.set(options, "new_shape", shape)
        return f"new_shape is {shape}, and was {old}"
    return None
