"""Kernels that run subgraphs.

Source: LiteRT and tflite-runtime 2.14 kernels/if.cc, while.cc, call_once.cc, stablehlo_case.cc, stablehlo_composite.cc.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.kernels.moving import is_of
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import NO_SUCH_TENSOR
from tflite_surgeon.knowledge.problems import Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import SubGraph

_IF_INPUTS = Said("tensor-count", "if.cc", "node->inputs->size > 0 was not true")
_IF_TYPE = Said("operator-types", "if.cc", "cond->type != ")
_IF_COUNT = Said("dimension-match", "if.cc", "NumElements(cond) != ")
_IF_GRAPH = (
    Said("subgraph-call", "if.cc", "op_data->then_subgraph_index < subgraphs->size() was not true"),
    Said("subgraph-call", "if.cc", "op_data->else_subgraph_index < subgraphs->size() was not true"),
)
_IF_COUNTS = (
    Said("subgraph-call", "if.cc", "num_inputs != subgraph->inputs().size()"),
    Said("subgraph-call", "if.cc", "num_outputs != subgraph->outputs().size()"),
)
_WHILE_COUNT = Said("tensor-count", "while.cc", "node->outputs->size != num_inputs")
_WHILE_GRAPH = (
    Said("subgraph-call", "while.cc", "op_data->cond_subgraph_index < subgraphs->size() was not true"),
    Said("subgraph-call", "while.cc", "op_data->body_subgraph_index < subgraphs->size() was not true"),
)
_WHILE_SAME = Said("subgraph-call", "while.cc", "op_data->cond_subgraph_index != op_data->body_subgraph_index was not")
_WHILE_COUNTS = tuple(
    Said("subgraph-call", "while.cc", f"{graph}_subgraph->{part}().size() != ")
    for graph, part in (("cond", "inputs"), ("cond", "outputs"), ("body", "inputs"), ("body", "outputs"))
)
_WHILE_TYPE = Said("operator-types", "while.cc", "cond_output->type != ")
_WHILE_SCALAR = Said("dimension-match", "while.cc", "cond_output->dims->")
_WHILE_BODY = Said("same-type", "while.cc", "body_input->type != body_output->type")
_ONCE_ITSELF = Said("subgraph-call", "call_once.cc", "op_data->init_subgraph_index != ")
_ONCE_GRAPH = Said("subgraph-call", "call_once.cc", "op_data->init_subgraph_index < subgraphs->size() was not true")
_ONCE_TENSORS = Said("tensor-count", "call_once.cc", "node->{}->size != 0")
_ONCE_COUNTS = Said("subgraph-call", "call_once.cc", "init_subgraph->{}().size() != 0")
_COMPOSITE_INPUTS = Said("tensor-count", "stablehlo_composite.cc", "node->inputs->size > 0 was not true")
_COMPOSITE_GRAPH = Said(
    "subgraph-call", "stablehlo_composite.cc", "op_state->subgraph_index < subgraphs->size() was not true"
)
_COMPOSITE_COUNTS = (
    Said("subgraph-call", "stablehlo_composite.cc", "num_inputs != decomposition_subgraph->inputs().size()"),
    Said("subgraph-call", "stablehlo_composite.cc", "num_outputs != decomposition_subgraph->outputs().size()"),
)
_CASE_BRANCHES = Said("option-value", "stablehlo_case.cc", "params->num_branches > 0 was not true")
_CASE_TYPE = Said("operator-types", "stablehlo_case.cc", "index->type != ")
_CASE_COUNT = Said("dimension-match", "stablehlo_case.cc", "NumElements(index) != ")


class _Called:
    """A subgraph that a node calls, with the tensors on its border."""

    def __init__(self, node: KernelNode, index: int, found: SubGraph) -> None:
        self.index = index
        self.found = found
        self.inputs = [node.graph.operand(t) if isinstance(t, Table) else None for t in found.inputs or ()]
        self.outputs = [node.graph.operand(t) if isinstance(t, Table) else None for t in found.outputs or ()]

    def prepare(self, node: KernelNode, given: Sequence[Operand | None], stage: Stage | None = None) -> None:
        """Prepare it with shapes and types as given."""
        for mine, theirs in zip(self.inputs, given):
            if mine is not None and theirs is not None:
                mine.type = theirs.type
        shapes = [None if operand is None else operand.shape for operand in given]
        node.graph.prepare_subgraph(self.index, shapes, stage)

    def is_dynamic(self, node: KernelNode) -> bool:
        """Whether a node in it makes something whose size is known only at run time."""
        results = (t for operator in self.found.operators or () for t in operator.outputs or ())
        return any(isinstance(t, Table) and node.graph.operand(t).is_dynamic for t in results)


def _called(node: KernelNode, named: object, said: Said, what: str) -> _Called | None:
    found = node.graph.subgraph(named)
    if found is None:
        node.refuse(said, f"{what} is a subgraph that does not exist")
        return None
    return _Called(node, *found)


def _fits(node: KernelNode, called: _Called, counts: tuple[int, int], sayings: Sequence[Said]) -> bool:
    """Whether a subgraph has as many inputs and outputs as the node gives it."""
    border = (("inputs", called.inputs), ("outputs", called.outputs))
    for (name, has), wanted, said in zip(border, counts, sayings):
        if len(has) != wanted:
            node.refuse(said, f"subgraph {called.index} has {len(has)} {name}, the node has {wanted} for it")
            return False
    return True


def _take(node: KernelNode, results: Sequence[Operand | None], *, is_dynamic: bool) -> None:
    """Give the node's outputs the shapes of a subgraph's."""
    for position, result in enumerate(node.outputs):
        if result is None:
            continue
        made = results[position] if position < len(results) else None
        if is_dynamic:
            node.resize(position, None)
        elif made is None or made.shape is None:
            result.shape = None
        else:
            node.resize(position, list(made.shape))


def _branch(node: KernelNode, branches: Sequence[_Called], given: Sequence[Operand | None]) -> None:
    """Prepare branches of which one will run."""
    for branch in branches:
        branch.prepare(node, given)
    is_dynamic = any(branch.is_dynamic(node) for branch in branches)
    if not is_dynamic:
        shapes = [[None if made is None else made.shape for made in branch.outputs] for branch in branches]
        is_dynamic = any(shape != shapes[0] for shape in shapes[1:])
    _take(node, branches[0].outputs, is_dynamic=is_dynamic)


@kernel("IF")
def _if(node: KernelNode) -> None:
    if not node.inputs:
        node.refuse(_IF_INPUTS, "there are no inputs, the first is the condition")
        return
    condition = node.inputs[0]
    if not node.needs(0) or condition is None:
        return
    is_of(node, _IF_TYPE, condition, ("BOOL",))
    if condition.count not in (None, 1):
        node.refuse(_IF_COUNT, f"the condition has {condition.count} elements, the kernel takes 1", condition)
    branches = []
    for said, name in zip(_IF_GRAPH, ("then", "else")):
        branch = _called(node, node.option("IfOptions", f"{name}_subgraph"), said, f"the branch {name}")
        if branch is None:
            return
        branches.append(branch)
    counts = len(node.inputs) - 1, len(node.outputs)
    if all(_fits(node, branch, counts, _IF_COUNTS) for branch in branches):
        _branch(node, branches, node.inputs[1:])


@kernel("WHILE")
def _while(node: KernelNode) -> None:
    count = len(node.inputs)
    if len(node.outputs) != count:
        node.refuse(_WHILE_COUNT, f"there are {len(node.outputs)} outputs for {count} inputs")
        return
    graphs = []
    for said, name in zip(_WHILE_GRAPH, ("cond", "body")):
        called = _called(node, node.option("WhileOptions", f"{name}_subgraph"), said, f"the {name}")
        if called is None:
            return
        graphs.append(called)
    condition, body = graphs
    if condition.index == body.index:
        node.refuse(_WHILE_SAME, f"condition and body are both subgraph {body.index}")
        return
    if not _fits(node, condition, (count, 1), _WHILE_COUNTS[:2]):
        return
    if not _fits(node, body, (count, count), _WHILE_COUNTS[2:]):
        return
    condition.prepare(node, node.inputs)
    verdict = condition.outputs[0]
    if verdict is not None and not verdict.is_dynamic:
        is_of(node, _WHILE_TYPE, verdict, ("BOOL",))
        if verdict.shape not in (None, [], [1]):
            node.refuse(_WHILE_SCALAR, f"the condition makes a value of shape {verdict.shape}", verdict)
    body.prepare(node, node.inputs)
    is_dynamic = body.is_dynamic(node)
    for before, after in zip(body.inputs, body.outputs):
        if is_dynamic or before is None or after is None:
            continue
        if before.type != after.type:
            message = f"the body takes {before.type} and makes {after.type}"
            node.refuse(_WHILE_BODY, message, after)
        is_dynamic |= before.shape != after.shape and None not in (before.shape, after.shape)
    _take(node, body.outputs, is_dynamic=is_dynamic)


@kernel("CALL_ONCE")
def _call_once(node: KernelNode) -> None:
    if node.inputs or node.outputs:
        node.refuse(
            _ONCE_TENSORS, f"there are {len(node.inputs)} inputs and {len(node.outputs)} outputs, it takes none"
        )
        return
    called = _called(node, node.option("CallOnceOptions", "init_subgraph"), _ONCE_GRAPH, "the initialisation")
    if called is None:
        return
    if any(operator is node.operator for operator in called.found.operators or ()):
        node.refuse(_ONCE_ITSELF, f"subgraph {called.index} calls itself")
    elif called.inputs or called.outputs:
        node.refuse(_ONCE_COUNTS, f"subgraph {called.index} has inputs or outputs, an initialisation has none")
    else:
        called.prepare(node, (), Stage.INVOKE if node.stage == Stage.ALLOCATE else node.stage)


@kernel("STABLEHLO_COMPOSITE")
def _composite(node: KernelNode) -> None:
    if not node.inputs:
        node.refuse(_COMPOSITE_INPUTS, "there are no inputs")
        return
    named = node.option("StableHLOCompositeOptions", "decomposition_subgraph")
    called = _called(node, named, _COMPOSITE_GRAPH, "the decomposition")
    counts = len(node.inputs), len(node.outputs)
    if called is not None and _fits(node, called, counts, _COMPOSITE_COUNTS):
        _branch(node, [called], node.inputs)


@kernel("STABLEHLO_CASE")
def _case(node: KernelNode) -> None:
    named = list(node.option("StablehloCaseOptions", "branch_subgraphs") or ())
    if not named:
        node.refuse(_CASE_BRANCHES, "there are no branches")
        return
    if not node.inputs:
        node.refuse(NO_SUCH_TENSOR, "there are no inputs, the first chooses the branch")
        return
    choice = node.inputs[0]
    if not node.needs(0) or choice is None:
        return
    is_of(node, _CASE_TYPE, choice, ("INT32",))
    if choice.count not in (None, 1):
        node.refuse(_CASE_COUNT, f"the choice has {choice.count} elements, the kernel takes 1", choice)
    branches = []
    for name in named:
        found = node.graph.subgraph(name)
        if found is None:
            node.doubt("subgraph-call", "a branch is a subgraph that does not exist, and nobody looks")
            return
        branches.append(_Called(node, *found))
    _branch(node, branches, node.inputs[1:])
