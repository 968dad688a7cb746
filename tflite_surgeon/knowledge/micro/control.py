"""TFLM's kernels that call subgraphs and keep variables.

Source: tflite-micro kernels/call_once.cc, if.cc, while.cc, var_handle.cc, read_variable.cc, assign_variable.cc,
kernel_util.cc, micro_resource_variable.cc; the Python wheel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_COUNT, OUTPUT_COUNT
from tflite_surgeon.knowledge.micro.fetching import WIDTHS, checked, elements, has_all
from tflite_surgeon.knowledge.problems import Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import SubGraph

_ONCE_INPUTS = Said("tensor-count", "call_once.cc", "NumInputs(node) == 0 was not true")
_ONCE_OUTPUTS = Said("tensor-count", "call_once.cc", "NumOutputs(node) == 0 was not true")
_SUBGRAPHS = {
    name: Said("subgraph-call", "*", f"op_data->{name}_subgraph_index < graph_info.NumSubgraphs() was not true")
    for name in ("init", "then", "else", "cond", "body")
}
_COUNTS = {
    (name, way): Said("subgraph-call", "*", f"num_{way} != graph_info.NumSubgraph{way.title()}(op_data->{name}_")
    for name, way in (
        ("then", "inputs"),
        ("then", "outputs"),
        ("cond", "inputs"),
        ("body", "inputs"),
        ("body", "outputs"),
    )
}
_SOME_INPUTS = Said("tensor-count", "if.cc", "node->inputs->size > 0 was not true")
_NO_CONDITION = Said("missing-input", "if.cc", "cond != nullptr was not true")
_CONDITION_TYPE = Said("operator-types", "if.cc", "cond->type != kTfLiteBool")
_CONDITION_COUNT = Said("dimension-match", "if.cc", "NumElements(cond) != 1")
_AS_MANY = Said("tensor-count", "while.cc", "num_inputs != num_outputs")
_BYTES = Said("subgraph-call", "kernel_util.cc", "bytes >= 0 was not true")
_HANDLE_TYPE = Said(
    "operator-types", "assign_variable.cc", "(input_resource_id_tensor->type == kTfLiteResource {} was not true"
)
_HANDLE_COUNT = Said("dimension-match", "assign_variable.cc", "NumElements(input_resource_id_tensor->dims) != 1")
# Met only where no node makes a handle.
_ALSO = (
    Said("resource-variable", None, "READ_VARIABLE requires resource variables."),
    Said("resource-variable", None, "ASSIGN_VARIABLE requires resource variables."),
    Said("resource-variable", None, "VAR_HANDLE requires resource variables."),
    Said("resource-variable", None, "Failed to allocate resource variable."),
    Said("resource-variable", None, "Attempting to read non-existent resource variable "),
)


@micro_kernel("CALL_ONCE")
def _call_once(node: KernelNode) -> None:
    if node.inputs:
        node.refuse(_ONCE_INPUTS, f"there are {len(node.inputs)} inputs, the kernel takes none")
    if node.outputs:
        node.refuse(_ONCE_OUTPUTS, f"there are {len(node.outputs)} outputs, the kernel makes none")
    _called(node, "CallOnceOptions", "init")


@micro_kernel("IF")
def _if(node: KernelNode) -> None:
    if not node.inputs:
        node.refuse(_SOME_INPUTS, "there are no inputs, the kernel takes a condition")
        return
    condition = checked(node, 0, _NO_CONDITION)
    if condition is None:
        return
    if condition.type != "BOOL":
        node.refuse(_CONDITION_TYPE, f"the condition is {condition.type}, the kernel takes BOOL", condition)
    if condition.count != 1:
        node.refuse(_CONDITION_COUNT, f"the condition has {condition.count} elements, the kernel takes 1", condition)
    first, second = _called(node, "IfOptions", "then"), _called(node, "IfOptions", "else")
    if first is None or second is None:
        return
    given = node.inputs[1:]
    if not _fits(node, "then", first, len(given), len(node.outputs)):
        return
    borders = [
        len(given) == len(branch.inputs or ())
        and _same_bytes(given, _operands(node, branch.inputs))
        and (not branch.outputs or _same_bytes(_operands(node, branch.outputs), node.outputs))
        for branch in (first, second)
    ]
    if not any(borders):
        node.refuse(_BYTES, "neither branch has inputs and outputs of the node's sizes", at=Stage.INVOKE)
    elif not all(borders):
        name = "then" if borders[1] else "else"
        node.doubt(
            "subgraph-call",
            f"the branch {name} has not inputs and outputs of the node's sizes: it fails once it is taken",
            at=Stage.INVOKE,
        )


@micro_kernel("WHILE")
def _while(node: KernelNode) -> None:
    condition, body = _called(node, "WhileOptions", "cond"), _called(node, "WhileOptions", "body")
    if condition is None or body is None:
        return
    count = len(node.inputs)
    if not _fits(node, "cond", condition, count) or not _fits(node, "body", body, count):
        return
    if count != len(node.outputs):
        node.refuse(_AS_MANY, f"there are {count} inputs and {len(node.outputs)} outputs, the kernel takes as many")
        return
    if not _fits(node, "body", body, None, count):
        return
    carried = _operands(node, condition.inputs)
    if not _same_bytes(node.inputs, carried):
        node.refuse(_BYTES, "the inputs have not the sizes of those of the condition", at=Stage.INVOKE)
    elif not _same_bytes(node.inputs, node.outputs):
        node.refuse(_BYTES, "inputs and outputs are not of the same sizes", at=Stage.INVOKE)
    elif not (
        _same_bytes(node.outputs, _operands(node, body.inputs))
        and _same_bytes(_operands(node, body.outputs), node.outputs)
    ):
        node.doubt(
            "subgraph-call",
            "the body has not inputs and outputs of the node's sizes: it fails once the condition holds",
            at=Stage.INVOKE,
        )


def _called(node: KernelNode, table: str, name: str) -> SubGraph | None:
    """The subgraph that an option names; another number is refused."""
    named = node.option(table, f"{name}_subgraph")
    found = node.graph.subgraph(named)
    if found is None:
        index = getattr(named, "index", named)
        if isinstance(index, int) and index < 0:
            node.doubt("subgraph-call", f"{name} is subgraph {index}: the kernel takes what lies there in memory")
        else:
            node.refuse(_SUBGRAPHS[name], f"{name} is subgraph {index}, which does not exist")
        return None
    return found[1]


def _fits(node: KernelNode, name: str, called: SubGraph, inputs: int | None, outputs: int | None = None) -> bool:
    """Whether a subgraph has as many inputs and outputs as the node has for it."""
    for way, has, wanted in (
        ("inputs", len(called.inputs or ()), inputs),
        ("outputs", len(called.outputs or ()), outputs),
    ):
        if wanted is not None and has != wanted:
            node.refuse(_COUNTS[name, way], f"the subgraph {name} has {has} {way}, the node has {wanted} for it")
            return False
    return True


def _operands(node: KernelNode, tensors: Iterable[object] | None) -> list[Operand | None]:
    return [node.graph.operand(tensor) if isinstance(tensor, Table) else None for tensor in tensors or ()]  # type: ignore[arg-type]


def _same_bytes(first: Sequence[Operand | None], second: Sequence[Operand | None]) -> bool:
    """Whether tensors that are copied from one list to the other have the same sizes, so far as is known."""
    for one, other in zip(first, second):
        if one is None or other is None:
            continue
        widths = WIDTHS.get(one.type), WIDTHS.get(other.type)
        shapes = one.shape or [], other.shape or []
        if None in widths or min(map(min, filter(None, shapes)), default=1) <= 0:
            continue
        if (widths[0] or 0) * elements(shapes[0]) != (widths[1] or 0) * elements(shapes[1]):
            return False
    return True


@micro_kernel("READ_VARIABLE")
def _read_variable(node: KernelNode) -> None:
    has_all(node, 0)


@micro_kernel("ASSIGN_VARIABLE")
def _assign_variable(node: KernelNode) -> None:
    if len(node.inputs) != 2:
        node.refuse(INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 2")
        return
    if node.outputs:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes none")
        return
    if not has_all(node, 0):
        return
    handle = node.inputs[0]
    if handle is None:
        return
    if handle.type not in ("RESOURCE", "INT32"):
        node.refuse(_HANDLE_TYPE, f"the variable's handle is {handle.type}, the kernel takes RESOURCE or INT32", handle)
    elif handle.count != 1:
        node.refuse(_HANDLE_COUNT, f"the variable's handle has {handle.count} elements, the kernel takes 1", handle)
    has_all(node, 1)
