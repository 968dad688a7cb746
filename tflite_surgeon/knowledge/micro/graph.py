"""What TFLM's interpreter checks itself, whatever the kernel.

Source: tflite-micro micro_interpreter_graph.cc, micro_allocation_info.cc, arena_allocator/; the Python wheel.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.micro.fetching import WIDTHS
from tflite_surgeon.knowledge.problems import REFUSES, UNKNOWN, On, Place, Problem, Said, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tflite_surgeon.knowledge.kernels.node import Graph
    from tflite_surgeon.model.objects import SubGraph, Tensor

_DYNAMIC = Said("dynamic-shape", None, "Dynamic tensors are not supported")
_NO_ARENA = Said("memory-arena", None, "Failed to resize buffer. Requested: {}, available ")
_EMPTY = "tensor-shape"
_FIRST = Place(0)
# Sizes are rounded up to this many bytes, in unsigned arithmetic: a small negative one becomes 0, others huge.
_ALIGNMENT = 16
# Operators whose kernels read an output without a look whether it is given, and when they do.
_READ_OUTPUT = {
    **dict.fromkeys(
        (
            "BROADCAST_TO",
            "MEAN",
            "REDUCE_MAX",
            "REDUCE_MIN",
            "RESIZE_BILINEAR",
            "SELECT_V2",
            "SQUEEZE",
            "STRIDED_SLICE",
            "SUM",
            "TRANSPOSE",
        ),
        Stage.ALLOCATE,
    ),
    "FLOOR": Stage.INVOKE,
}


def crash_without_output(node: KernelNode) -> None:
    """Of a node with an output that is not given."""
    if node.name in _READ_OUTPUT:
        message = "an output is not given, and the kernel reads it without a look"
        node.crash("missing-input", message, at=_READ_OUTPUT[node.name])


def refuse_dynamic_outputs(node: KernelNode) -> None:
    """Behind its kernel, every output must have positive lengths; a single 0 passes."""
    for output in node.outputs:
        if output is not None and output.is_constant and _is_short(output.tensor):
            message = "the node writes into a constant and beyond its end: what is lost depends on memory"
            node.doubt("constant-size", message, output, at=Stage.INVOKE)
        if output is not None and output.shape and min(output.shape) <= 0:
            shape = output.shape
            if shape != [0]:
                node.refuse(
                    _DYNAMIC, f"the output has the shape {shape}, the runtime needs lengths of 1 and more", output
                )
                return
            message = "the output is stored as [0] and has no memory: what the kernel does there is not known"
            node.doubt(_EMPTY, message, output, at=Stage.INVOKE)


def _is_short(tensor: Tensor) -> bool:
    """Whether a constant holds fewer bytes than its shape asks for."""
    return len(tensor.data or b"") < prod(tensor.shape or ()) * WIDTHS.get(tensor.type_name, 0)


def ends(subgraph: SubGraph, graph: Graph) -> Iterator[Problem]:
    """Inputs and outputs of the model without elements, or with lengths that are none."""
    for tensor in subgraph.inputs or ():
        if isinstance(tensor, Table) and tensor.data and _is_short(tensor):
            message = "an input of the model is a constant and written beyond its end: what is lost depends on memory"
            yield Problem("constant-size", UNKNOWN, On.TFLM, Stage.INVOKE, message, None, tensor, place=_FIRST)
        if isinstance(tensor, Table) and tensor.shape and min(tensor.shape) <= 0:
            shape, size = tensor.shape, prod(tensor.shape) * WIDTHS.get(tensor.type_name, 0)
            if size <= -_ALIGNMENT:
                message = f"an input of the model has the shape {shape}, which asks for more memory than there is"
                yield Problem(
                    _NO_ARENA.rule, REFUSES, On.TFLM, Stage.ALLOCATE, message, _NO_ARENA.text, tensor, place=_FIRST
                )
            elif size == 0:
                message = f"an input of the model has the shape {shape} and no memory: kernels that read it crash"
                yield Problem(_EMPTY, UNKNOWN, On.TFLM, Stage.INVOKE, message, None, tensor, place=_FIRST)
    for tensor in subgraph.outputs or ():
        if isinstance(tensor, Table) and tensor.shape and min(tensor.shape) <= 0 and graph.operand(tensor).shape != []:
            message = f"an output of the model is stored as {tensor.shape}: what the package makes of it is not known"
            yield Problem(_EMPTY, UNKNOWN, On.TFLM, Stage.INVOKE, message, None, tensor, place=_FIRST)
