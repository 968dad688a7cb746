"""What runtimes check of a file before any kernel looks at its node.

The modules follow a loader's way: `header`, `opcodes`, then for each subgraph its `tensors` (with `quantization` and
`sparsity`) and `nodes`, and last the `signatures`. What is found while the interpreter is made but counts only when a
subgraph is prepared is in `graph`; the walk over the nodes asks it.

Source: LiteRT converter/core/model_builder_base.h, core/interpreter_builder.cc, core/subgraph.cc; TFLM
micro_interpreter_graph.cc, micro_allocator.cc; run in every runtime.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tflite_surgeon.knowledge.construction import header, nodes, opcodes, signatures, tensors
from tflite_surgeon.knowledge.problems import Problem

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.alike import Alikes
    from tflite_surgeon.model.objects import Model


class Reading(NamedTuple):
    """What LiteRT's loader finds in each subgraph, which TFLM's reads in part alike."""

    tensors: list[list[Problem]]
    nodes: list[list[Problem]]


def read(model: Model, alikes: Alikes) -> Reading:
    """Look at each subgraph's tensors and nodes, at one of those that are alike.

    Raises:
        SurgeonError: a constant lies in a file that was closed.
    """
    subgraphs = list(enumerate(model.subgraphs or ()))
    return Reading(
        [list(tensors.problems(model, index, subgraph, alikes)) for index, subgraph in subgraphs],
        [list(nodes.problems(model, index, subgraph, alikes)) for index, subgraph in subgraphs],
    )


def problems(model: Model, reading: Reading) -> Iterator[Problem]:
    """What is met before the first node is prepared, in the order of LiteRT's way."""
    yield from header.problems(model)
    yield from opcodes.problems(model)
    yield from header.missing_vectors(model)
    for of_tensors, of_nodes in zip(reading.tensors, reading.nodes):
        yield from of_tensors
        yield from of_nodes
    yield from signatures.problems(model)
