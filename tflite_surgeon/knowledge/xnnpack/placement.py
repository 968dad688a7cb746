"""The walk over a subgraph in which the delegate chooses its nodes.

Source: xnnpack_delegate.cc, Delegate::PrepareOpsToDelegate; interpreter.cc for the subgraphs that are not offered.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.xnnpack.candidate import Candidate, Kinds, Statics, kind_of
from tflite_surgeon.knowledge.xnnpack.claims import CLAIMS
from tflite_surgeon.knowledge.xnnpack.tensors import datatype, is_constant, is_quantised

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.alike import Alikes, Group
    from tflite_surgeon.model.objects import Model, Operator, SubGraph, Tensor

# Subgraphs whose names begin so are there to validate accelerators; none is offered them.
_VALIDATION = "VALIDATION:"
# Layers that read float16 weights and biases as they are.
_READ_FLOAT16 = frozenset({"FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"})
# Operators whose constants are unpacked once.
UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY"})
_UNPACKED_SPARSE = frozenset({"FLOAT32", "FLOAT16", "INT8"})


class Placement:
    """Which nodes of a subgraph the delegate takes; each is judged once, when the first is asked about.

    The delegate is applied when tensors are allocated, before any kernel checks its node. It judges each node alone,
    by the shapes, types and quantisation written in the file. What it unpacks (constants behind DEQUANTIZE and
    DENSIFY) counts as constant for the nodes behind.
    """

    def __init__(self, subgraph: SubGraph, alikes: Alikes | None = None) -> None:
        self._subgraph = subgraph
        self._alikes = alikes
        self.statics = Statics()
        self.kinds = Kinds()
        self._unpacking: dict[int, Operator] = {}
        self._variables: dict[int, _Variable] = {}
        self._typed: dict[int, bool] = {}

    def takes(self, operator: Operator) -> bool:
        """Whether the delegate takes a node of the subgraph.

        Raises:
            SurgeonError: a constant lies in a file that was closed.
        """
        return id(operator) in self._taken

    def unpacks(self, operator: Operator) -> bool:
        """Whether the delegate unpacks the constant behind a node; asked after `takes`."""
        return any(found is operator for found in self._unpacking.values())

    def is_result(self, tensor: Tensor) -> bool:
        """Whether it is an output of the subgraph."""
        return any(tensor is output for output in self._subgraph.outputs or ())

    def is_typed(self, tensor: Tensor) -> bool:
        """Whether XNNPACK has a type for a tensor, quantisation included."""
        found = self._typed.get(id(tensor))
        if found is None:
            found = self._typed[id(tensor)] = datatype(tensor) is not None
        return found

    def is_read_outside(self, tensor: Tensor) -> bool:
        """Whether a tensor is an output of the subgraph, or read by a node that is not taken."""
        return self.is_result(tensor) or any(
            not self.takes(operator)
            for operator in self._subgraph.operators or ()
            if any(tensor is read for read in operator.inputs or ())
        )

    def group(self, operator: Operator) -> Group | None:
        """The nodes that are like one, where they are known and nothing unpacked tells them apart."""
        return None if self._alikes is None or self.statics else self._alikes.of(operator)

    def withdraw(self) -> None:
        """Note that the delegate gives all nodes back: nodes of the subgraph wait for each other."""
        self.__dict__["_taken"] = set()

    @cached_property
    def node_numbers(self) -> dict[int, int]:
        """The number of each operator, by identity."""
        return {id(operator): number for number, operator in enumerate(self._subgraph.operators or ())}

    @cached_property
    def tensor_numbers(self) -> dict[int, int]:
        """The number of each tensor, by identity."""
        return {id(tensor): number for number, tensor in enumerate(self._subgraph.tensors or ())}

    @cached_property
    def _operators(self) -> list[Operator]:
        skipped = (self._subgraph.name or "").startswith(_VALIDATION)
        return [] if skipped else self._subgraph.operators or []

    @cached_property
    def _taken(self) -> set[int]:
        taken: set[int] = set()
        for operator in self._operators:
            kind = self.kinds.of(operator)
            group = self.group(operator)
            if group is not None:
                if group.claimed is None:
                    group.claimed = self._accepts(operator, kind)
                if group.claimed:
                    taken.add(id(operator))
            elif self._unpacks(operator, kind):
                taken.add(id(operator))
            elif not _is_in_place(operator):
                if self._accepts(operator, kind):
                    taken.add(id(operator))
                else:  # What it reads must be there: unpacking is left to the kernels.
                    taken -= {id(self._unpacking.get(id(tensor))) for tensor in operator.inputs or ()}
        taken |= {id(variable.handle) for variable in self._variables.values() if variable.value is not None}
        return taken

    def _accepts(self, operator: Operator, kind: str) -> bool:
        if kind == "VAR_HANDLE":
            self._declare(operator)
        claim = CLAIMS.get(kind)
        if claim is None:
            return False
        node = Candidate(operator, kind, claim.options, self.statics)
        if not claim.covers(node):
            return False
        if kind == "READ_VARIABLE":
            return self._follows(node.required(0), node.output)
        return kind != "ASSIGN_VARIABLE" or self._follows(node.required(0), node.required(1))

    # Constants that are unpacked once

    def _unpacks(self, operator: Operator, kind: str) -> bool:
        if kind not in UNPACKING:
            return False
        inputs, outputs = operator.inputs or (), operator.outputs or ()
        if len(inputs) != 1 or len(outputs) != 1:
            return False
        packed, unpacked = inputs[0], outputs[0]
        if not isinstance(packed, Table) or not isinstance(unpacked, Table):
            return False
        stored_type = None
        if kind == "DENSIFY":
            if packed.sparsity is None or not is_constant(packed) or packed.type != unpacked.type:
                return False
            if packed.type_name not in _UNPACKED_SPARSE:
                return False
        else:
            if not _is_packed_number(packed, unpacked) or not self.statics.has(packed):
                return False
            if packed.type_name == "FLOAT16" and id(unpacked) not in self._read_as_float32:
                stored_type = "FLOAT16"
        self.statics.unpack(unpacked, stored_type)
        self._unpacking[id(unpacked)] = operator
        return True

    @cached_property
    def _read_as_float32(self) -> set[int]:
        """Tensors that some node reads otherwise than as weights or bias of a layer that takes float16."""
        return {
            id(tensor)
            for operator in self._operators
            for position, tensor in enumerate(operator.inputs or ())
            if position == 0 or kind_of(operator) not in _READ_FLOAT16
        }

    # Variables: a node that reads or assigns one is taken if its handle is made in this subgraph, before it

    def _declare(self, operator: Operator) -> None:
        options = operator.builtin_options
        named = isinstance(options, Table) and options.table == "VarHandleOptions"
        name = (options.container or "", options.shared_name or "") if named else ("", "")
        for handle in (operator.outputs or ())[:1]:
            known = self._variables.get(id(handle))
            if known is None or known.name == name:
                self._variables[id(handle)] = _Variable(operator, name, known.value if known is not None else None)

    def _follows(self, handle: Tensor, value: Tensor) -> bool:
        """Whether a value read or assigned is of the type and shape of those before."""
        variable = self._variables.get(id(handle))
        if variable is None:
            return False
        first = variable.value
        if first is None:
            self._variables[id(handle)] = variable._replace(value=value)
            return True
        return first.type == value.type and (first.shape or []) == (value.shape or [])


class _Variable(NamedTuple):
    """A variable's handle, the names it goes by, and the first value read or assigned by a node that was taken."""

    handle: Operator
    name: tuple[str, str]
    value: Tensor | None


def _is_in_place(operator: Operator) -> bool:
    """Whether an input is an output too: the runtime makes no node of such an operator."""
    outputs = {id(tensor) for tensor in operator.outputs or () if tensor is not None}
    return not outputs.isdisjoint(map(id, operator.inputs or ()))


def _is_packed_number(packed: Tensor, unpacked: Tensor) -> bool:
    if (packed.sparsity is not None and is_constant(packed)) or unpacked.type_name != "FLOAT32":
        return False
    return packed.type_name == "FLOAT16" or (packed.type_name == "INT8" and is_quantised(packed))


def taken(model: Model) -> list[list[int]]:
    """For each subgraph, the numbers of the nodes that the delegate takes.

    Raises:
        SurgeonError: a constant lies in a file that was closed.
    """
    placements = ((subgraph, Placement(subgraph)) for subgraph in model.subgraphs or ())
    return [
        [index for index, operator in enumerate(subgraph.operators or ()) if placement.takes(operator)]
        for subgraph, placement in placements
    ]
