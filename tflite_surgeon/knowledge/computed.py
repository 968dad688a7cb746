"""What LiteRT makes of tensors on its way: their shapes, as kernels compute them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import tflite_kernel_of
from tflite_surgeon.knowledge.prediction import TfliteWalk, is_sound
from tflite_surgeon.knowledge.problems import On, Problem
from tflite_surgeon.knowledge.xnnpack import Placement
from tflite_surgeon.knowledge.xnnpack.candidate import kind_of

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Model, Operator, SubGraph


def computed(model: Model) -> tuple[dict[int, Operand], list[Problem]]:
    """Each tensor as LiteRT knows it when all nodes are prepared, by its identity, and what is met on the way.

    Its shape is the computed one, or None where it is known only when the model runs; behind a kernel that refuses it
    is the stored one.
    """
    walk = TfliteWalk(model, _placements())
    walk.run()
    return walk.operands, walk.problems


def prepared(model: Model, operator: Operator, known: Mapping[int, Operand]) -> KernelNode | None:
    """One node after LiteRT's kernel has prepared it: the shapes of its outputs, and what it objects to.

    Args:
        model: the model.
        operator: a node.
        known: inputs that are not as the file has them, by their identity.

    Returns:
        The node; None where the kernel is not known, or a reference of the node leads nowhere.
    """
    if not is_sound(operator):
        return None
    walk = TfliteWalk(model, _placements())
    kind = kind_of(operator)
    function = tflite_kernel_of(kind) or tflite_kernel_of(kind.partition(" ")[0])
    if function is None:
        return None
    node = KernelNode(operator, kind, walk, On.TFLITE)
    for operand in node.inputs:
        if operand is not None and id(operand.tensor) in known:
            given = known[id(operand.tensor)]
            operand.type, operand.shape, operand.is_dynamic = given.type, given.shape, given.is_dynamic
    function(node)
    return node


def _placements() -> Callable[[SubGraph], Placement]:
    """Each subgraph's, made when it is asked for: of one node most are not."""
    found: dict[int, Placement] = {}

    def placement(subgraph: SubGraph) -> Placement:
        if id(subgraph) not in found:
            found[id(subgraph)] = Placement(subgraph)
        return found[id(subgraph)]

    return placement
