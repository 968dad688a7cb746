"""Questions about a model's graph, answered by reading it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tflite_surgeon.model.objects import Model, Node, Operator, SubGraph, Tensor


class Reading(NamedTuple):
    """An operator that reads a tensor, as its input number `position`."""

    node: Node
    position: int


def readers(model: Model, tensor: Tensor) -> list[Reading]:
    """Every place where an operator takes the tensor as an input."""
    return [
        Reading(node, position)
        for node in model.nodes()
        for position, item in enumerate(node.operator.inputs or ())
        if item is tensor
    ]


def producer(subgraph: SubGraph, tensor: Tensor) -> Operator | None:
    """The operator that computes a tensor; None for inputs and constants."""
    for operator in subgraph.operators or ():
        if any(item is tensor for item in operator.outputs or ()):
            return operator
    return None


def is_interface(model: Model, tensor: Tensor) -> bool:
    """Whether a tensor is an input or output of its subgraph or of a signature."""
    for subgraph in model.subgraphs or ():
        if any(item is tensor for item in (*(subgraph.inputs or ()), *(subgraph.outputs or ()))):
            return True
    return any(
        entry.tensor is tensor
        for signature in model.signature_defs or ()
        for entry in (*(signature.inputs or ()), *(signature.outputs or ()))
    )


def buffer_users(model: Model, buffer: object) -> int:
    """How many tensors and metadata entries hold a buffer."""
    return sum(1 for user in _buffer_holders(model) if user is buffer)


def _buffer_holders(model: Model) -> Iterator[object]:
    for subgraph in model.subgraphs or ():
        for tensor in subgraph.tensors or ():
            yield tensor.buffer
    for metadata in model.metadata or ():
        yield metadata.buffer
    yield from model.metadata_buffers or ()


def tensor_path(model: Model, tensor: Tensor) -> str:
    """Where a tensor stands, such as subgraphs[0].tensors[3].

    Raises:
        ValueError: it is in none of the model's subgraphs.
    """
    for subgraph_index, subgraph in enumerate(model.subgraphs or ()):
        for index, item in enumerate(subgraph.tensors or ()):
            if item is tensor:
                return f"subgraphs[{subgraph_index}].tensors[{index}]"
    raise ValueError(f"tensor {tensor.name!r} is in no subgraph of the model")
