"""A node as its kernel is asked to prepare it, and what the kernel has to say."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.construction.tensors import PACKED, WIDTHS
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.sayings import (
    CONSTANT_OUTPUT,
    INPUT_COUNT,
    MISSING_INPUT,
    NEGATIVE_SIZE,
    NO_SUCH_TENSOR,
    OUTPUT_COUNT,
)
from tflite_surgeon.knowledge.problems import CRASHES, REFUSES, UNKNOWN, WRONG, On, Problem, Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import BadReference, Operator, SubGraph, Tensor


class Graph(Protocol):
    """What a kernel may ask of the walk that prepares its node."""

    def operand(self, tensor: Tensor | BadReference) -> Operand:
        """The tensor as known so far."""

    resources: dict[Hashable, str]
    """The types of the variables and tables that exist so far, by what names them."""

    def subgraph(self, named: object) -> tuple[int, SubGraph] | None:
        """The subgraph that an option names, with its number; None where there is no such."""

    def prepare_subgraph(
        self, index: int, shapes: Sequence[list[int] | None] | None, stage: Stage | None = None
    ) -> list[Operand] | None:
        """Prepare a subgraph that the node calls, with the shapes of its inputs; its outputs.

        None where there is no such subgraph, or it is being prepared already.
        """

    def is_graph_input(self, operand: Operand) -> bool:
        """Whether the tensor is an input of a subgraph: no node computes its values."""


class KernelNode:
    """A node, the kernels that look at it, and the problems they find, in the order in which they look.

    Attributes:
        inputs, outputs: operands by position; None for those not given.
        kernels: whose kernels are asked.
        problems: what was found so far.
    """

    __slots__ = ("_options", "graph", "inputs", "kernels", "name", "operator", "outputs", "problems", "stage")

    def __init__(self, operator: Operator, name: str, graph: Graph, kernels: On, stage: Stage = Stage.ALLOCATE) -> None:
        self.operator = operator
        self.name = name
        self.graph = graph
        self.kernels = kernels
        self.stage = stage
        self.problems: list[Problem] = []
        self.inputs = [None if t is None else graph.operand(t) for t in operator.inputs or ()]
        self.outputs = [None if t is None else graph.operand(t) for t in operator.outputs or ()]
        self._options: Any = None

    # What the node is made of

    @property
    def version(self) -> int:
        return getattr(self.operator.opcode, "version", 1)

    def options(self, table: str) -> Any | None:
        """The node's options if they are of that table, as a kernel's parser asks; else None."""
        for found in (self.operator.builtin_options, self.operator.builtin_options_2):
            if isinstance(found, Table) and found.table == table:
                return found
        return None

    def option(self, table: str, name: str) -> Any:
        """An option; 0 where the node has no options of that table, as the runtimes' parsers leave it."""
        found = self.operator.builtin_options
        if not (isinstance(found, Table) and found.table == table):
            found = self.options(table)
        return getattr(found, name, 0)

    def activation(self, table: str) -> str:
        """The fused activation function's name; a number that is none of theirs reads as NONE in every runtime."""
        return name_of("ActivationFunctionType", self.option(table, "fused_activation_function")) or "NONE"

    def padding(self, table: str) -> str:
        """The name of the padding, such as SAME; empty for a number that is none."""
        return name_of("Padding", self.option(table, "padding"))

    def input(self, position: int) -> Operand | None:
        """An optional input: None where it is not given."""
        return self.inputs[position] if position < len(self.inputs) else None

    def intermediates(self) -> list[Operand | None]:
        return [self.graph.operand(t) if isinstance(t, Table) else None for t in self.operator.intermediates or ()]

    def needs(self, *positions: int) -> bool:
        """Whether the inputs at these positions are given; the first that is not is refused."""
        for position in positions:
            if position >= len(self.inputs):
                self.refuse(NO_SUCH_TENSOR, f"there are {len(self.inputs)} inputs, the kernel reads number {position}")
                return False
            if self.inputs[position] is None:
                self.refuse(MISSING_INPUT, f"input {position} is not given, the kernel needs it")
                return False
        return True

    def has_counts(self, inputs: int | tuple[int, ...], outputs: int | None = 1, said: Said = INPUT_COUNT) -> bool:
        """Whether the numbers of inputs and outputs are right; a wrong one is refused."""
        allowed = (inputs,) if isinstance(inputs, int) else inputs
        if len(self.inputs) not in allowed:
            wanted = " or ".join(map(str, allowed))
            self.refuse(said, f"there are {len(self.inputs)} inputs, the kernel takes {wanted}")
            return False
        if outputs is not None and len(self.outputs) != outputs:
            self.refuse(OUTPUT_COUNT, f"there are {len(self.outputs)} outputs, the kernel makes {outputs}")
            return False
        return True

    def output_is_needed(self, unasked: On) -> None:
        """Refuse an output that is not given, unless the kernel has said something already.

        Args:
            unasked: the kernels that read it without asking.
        """
        if not any(problem.effect in (REFUSES, CRASHES) for problem in self.problems):
            message = "an output is not given, the kernel needs it"
            self.refuse(MISSING_INPUT, message, on=self.kernels & ~unasked)
            self.crash(MISSING_INPUT.rule, f"{message} and does not ask", on=unasked)

    # What the kernel says

    def refuse(
        self,
        said: Said,
        message: str,
        tensor: Operand | None = None,
        *,
        on: On | None = None,
        at: Stage | None = None,
        **details: Any,
    ) -> None:
        """The kernel returns an error, with a text of its own."""
        self._add(said.rule, REFUSES, said.text, message, tensor, on, at, details)

    def refuse_silently(
        self, rule: str, message: str, tensor: Operand | None = None, *, on: On | None = None, at: Stage | None = None
    ) -> None:
        """The kernel returns an error and prints nothing."""
        self._add(rule, REFUSES, None, message, tensor, on, at, {})

    def crash(
        self,
        rule: str,
        message: str,
        tensor: Operand | None = None,
        *,
        on: On | None = None,
        at: Stage | None = None,
        **details: Any,
    ) -> None:
        """The process dies."""
        self._add(rule, CRASHES, None, message, tensor, on, at, details)

    def wrong(
        self,
        rule: str,
        message: str,
        tensor: Operand | None = None,
        *,
        on: On | None = None,
        doubtful: bool = False,
        **details: Any,
    ) -> None:
        """The kernel accepts the node and computes something else than the file says."""
        self._add(rule, WRONG, None, message, tensor, on, None, details, doubtful)

    def doubt(
        self, rule: str, message: str, tensor: Operand | None = None, *, on: On | None = None, at: Stage | None = None
    ) -> None:
        """What happens depends on something that the file does not tell; the message says on what."""
        self._add(rule, UNKNOWN, None, message, tensor, on, at, {})

    def _add(
        self,
        rule: str,
        effect: str,
        said: str | None,
        message: str,
        tensor: Operand | None,
        on: On | None,
        at: Stage | None,
        details: dict[str, Any],
        doubtful: bool = False,
    ) -> None:
        # What the file alone decides may be said of the delegate as well.
        kernels = self.kernels if on is None else on & (self.kernels | On.DELEGATE)
        if kernels:
            stage = self.stage if at is None or at < self.stage else at
            thing = tensor.tensor if tensor else None
            self.problems.append(
                Problem(rule, effect, kernels, stage, message, said, thing, details, doubtful=doubtful)
            )

    # What the kernel makes of its outputs

    def resize(self, position: int, shape: list[int] | None) -> None:
        """Give an output its shape; None where the kernel knows it only at run time."""
        output = self.outputs[position] if position < len(self.outputs) else None
        if output is None:
            return
        if shape is None:
            output.shape = None
            output.is_dynamic = True
            return
        if shape and min(shape) < 0 and self.kernels & On.TFLITE:
            self.refuse(NEGATIVE_SIZE, f"the kernel computes an output of shape {shape}", output)
            output.shape = None
            return
        if output.is_constant and not output.is_persistent and self.kernels & On.TFLITE:
            held = len(output.tensor.data or b"")
            if shape != output.shape or not _fills(output, shape, held):
                message = f"an output is a constant of shape {output.shape} and {held} bytes, the kernel makes {shape}"
                self.refuse(CONSTANT_OUTPUT, message, output)
                return
        output.shape = shape

    def same_shape(self, position: int = 0, as_input: int = 0) -> None:
        """Give an output the shape of an input."""
        source = self.input(as_input)
        if source is not None:
            self.resize(position, None if source.shape is None else list(source.shape))


def _fills(output: Operand, shape: list[int], held: int) -> bool:
    """Whether a shape's elements are as many bytes as a constant holds; also where that is not known."""
    width = WIDTHS.get(output.tensor.type)
    return not width or output.tensor.type in PACKED or prod(shape) * width == held
