"""What each runtime would meet on its way from a file to its outputs: a walk that prepares nodes as runtimes do.

LiteRT and tflite-runtime prepare the first subgraph, node by node in file order, and give every output the shape that
its kernel computes; a node behind an output whose shape is known only at run time is prepared when the model runs. A
node that XNNPACK took is never prepared by its kernel. TFLM prepares every subgraph, with the shapes in the file.

Source: LiteRT core/subgraph.cc (PrepareOpsStartingAt), TFLM micro_interpreter.cc (AllocateTensors).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge import construction
from tflite_surgeon.knowledge.construction import custom, graph
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel_of, tflite_kernel_of
from tflite_surgeon.knowledge.micro import construction as micro
from tflite_surgeon.knowledge.micro.graph import crash_without_output, ends, refuse_dynamic_outputs
from tflite_surgeon.knowledge.problems import CRASHES, OK, REFUSES, UNKNOWN, On, Place, Problem, Stage
from tflite_surgeon.knowledge.walk import BY_KERNELS, Walk, runtimes_of
from tflite_surgeon.knowledge.xnnpack import Placement, after_taking
from tflite_surgeon.knowledge.xnnpack.candidate import Kinds
from tflite_surgeon.knowledge.xnnpack.partition import partition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tflite_surgeon.knowledge.alike import Alikes
    from tflite_surgeon.model.objects import Model, Operator, SubGraph, Tensor

# Operators whose kernels read an output before they know that it is given: by the kernels that do.
_READ_OUTPUT = {
    **dict.fromkeys(
        (
            "ATAN2",
            "BROADCAST_TO",
            "DEQUANTIZE",
            "MAXIMUM",
            "MINIMUM",
            "SIGN",
            "SPACE_TO_BATCH_ND",
            "STRIDED_SLICE",
            "TRANSPOSE",
        ),
        On.TFLITE,
    ),
    **dict.fromkeys(("MEAN", "SUM", "PAD", "PADV2", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "SQUEEZE"), On.V2_14),
}
# Operators whose kernels make one output and do not ask whether there are more.
_COUNTS_NO_OUTPUTS = frozenset({"CONCATENATION", "MIRROR_PAD", "SIGN"})


def predict(model: Model, placement: Callable[[SubGraph], Placement], alikes: Alikes) -> list[Problem]:
    """Everything that a runtime would object to, stumble over or compute otherwise, in the order of its way.

    Args:
        model: the model.
        placement: what the delegate makes of each of its subgraphs.
        alikes: the model's nodes that are alike.

    Raises:
        SurgeonError: a constant lies in a file that was closed.
    """
    reading = construction.read(model, alikes)
    problems = list(construction.problems(model, reading))
    for problem in problems:
        problem.runtimes = runtimes_of(problem.on)
    problems += _tflite_problems(model, placement)
    micro_walk = _MicroWalk(model, reading, alikes)
    micro_walk.run()
    return problems + micro_walk.problems


def _tflite_problems(model: Model, placement: Callable[[SubGraph], Placement]) -> list[Problem]:
    """What LiteRT and tflite-runtime meet. They never look into the first buffer, whatever it holds."""
    if not (model.buffers and model.buffers[0].data):
        walk = TfliteWalk(model, placement)
        walk.run()
        return walk.problems
    read = model.copy()
    (read.buffers or [])[0].data = None
    placements = {id(subgraph): Placement(subgraph) for subgraph in read.subgraphs or ()}
    walk = TfliteWalk(read, lambda subgraph: placements[id(subgraph)])
    walk.run()
    originals = {
        id(tensor): original
        for subgraph, before in zip(read.subgraphs or (), model.subgraphs or ())
        for tensor, original in zip(subgraph.tensors or (), before.tensors or ())
    }
    for problem in walk.problems:
        problem.tensor = originals.get(id(problem.tensor), problem.tensor)
    return walk.problems


def is_sound(operator: Operator) -> bool:
    """Whether every reference points at something; runtimes prepare no graph where one does not."""
    if not isinstance(operator.opcode, Table):
        return False
    for references in (operator.inputs, operator.outputs):
        for item in references or ():
            if item is not None and not isinstance(item, Table):
                return False
    return True


def _dynamic(operator: Operator, output: Operand) -> Problem:
    """A fact, not a fault: from this node on shapes are known only when the model runs."""
    message = f"{operator.name} makes an output whose shape is known only when the model runs"
    return Problem("dynamic-shape", OK, On.TFLITE, Stage.INVOKE, message, tensor=output.tensor)


class TfliteWalk(Walk):
    """The way of LiteRT and tflite-runtime."""

    kernels = On.TFLITE
    micro = False

    def __init__(self, model: Model, placement: Callable[[SubGraph], Placement]) -> None:
        super().__init__(model)
        self._placement = placement
        # The most elements of an operand that nodes have written so far, where several write it; by its identity.
        self._most: dict[int, int] = {}
        # What kills the process while nodes are offered to the delegate, before any node is prepared.
        self._kills: list[Problem] = []

    def run(self) -> None:
        subgraphs = self.model.subgraphs or ()
        if subgraphs:
            self._note(graph.before_running(0, subgraphs[0]))
        for index, subgraph in enumerate(subgraphs):
            if index not in self._entered:
                before = len(self.problems)
                self._prepare(index, subgraph, Stage.ELSEWHERE if index else Stage.ALLOCATE)
                if index:
                    self._offer(self.problems[before:])
        self.problems = self._kills + self.problems

    def _offer(self, problems: Sequence[Problem]) -> None:
        """Of a subgraph that nothing calls, which tflite-runtime 2.14 prepares before it offers it to its delegate."""
        for problem in problems:
            if problem.effect in (REFUSES, CRASHES) and problem.on & On.V2_14:
                message = f"{problem.message}: tflite-runtime 2.14 with its delegate looks at this subgraph as well"
                self._note((replace(problem, effect=UNKNOWN, on=On.V2_14, stage=Stage.ALLOCATE, message=message),))
                return

    def _prepare(self, index: int, subgraph: SubGraph, stage: Stage) -> None:
        self._entered.add(index)
        caller, first = self._stage, len(self.problems)
        self._stage = stage
        placement = self._placement(subgraph)
        survey = graph.Survey(self.model, subgraph)
        self._note(graph.references(index, subgraph, survey, stage))
        if not survey.is_ordered:
            self._look_at_order(index, subgraph, survey, placement)
        for number, operator in enumerate(subgraph.operators or ()):
            group = None if survey.doubled or number in survey.lacking else placement.group(operator)
            taken, stage = placement.takes(operator), self._stage
            if self._is_healthy(operator, group, stage, taken) or not is_sound(operator):
                continue
            before = len(self.problems) + len(self._kills)
            self._prepare_node(operator, Place(index, number), placement, survey)
            if len(self.problems) + len(self._kills) == before:
                self._learn(operator, group, stage, taken)
        if index == 0:
            self._note(graph.memory(index, subgraph))
            self._note(graph.outputs_without_data(index, subgraph, survey))
        self._stage = caller
        self._arrange(index, subgraph, placement, first)

    def _prepare_node(self, operator: Operator, place: Place, placement: Placement, survey: graph.Survey) -> None:
        stage = self._stage
        if place.operator in survey.lacking and stage != Stage.ELSEWHERE:
            self._note((graph.lacks_data(place, survey.lacking[place.operator]),))
        taken = placement.takes(operator)
        kind = placement.kinds.of(operator)
        for problem in after_taking(operator, placement, stage, self._shape_of, kind):
            self._note((problem,), place)
            if problem.effect in (CRASHES, UNKNOWN) and problem.stage != Stage.INVOKE:
                problem.stage = Stage.ALLOCATE
                self._kills.append(self.problems.pop())
        function = tflite_kernel_of(kind) or tflite_kernel_of(kind.partition(" ")[0])
        if not taken and kind.startswith("COMPOSITE "):
            function = tflite_kernel_of("STABLEHLO_COMPOSITE")
        if kind.startswith("CUSTOM ") and not custom.is_registered(operator):
            if custom.has_name(operator):
                self._note((custom.unresolved(operator, stage),), place, taken)
            function = None
        if function is None:
            return  # The shapes that the file gives the outputs are as good as any.
        node = KernelNode(operator, kind, self, self.kernels, stage)
        function(node)
        for position, output in enumerate(node.outputs):
            if output is None:
                if position and kind in _COUNTS_NO_OUTPUTS:
                    continue
                node.output_is_needed(_READ_OUTPUT.get(kind, On(0)))
                continue
            if output.is_dynamic and stage == Stage.ALLOCATE:
                self._stage = Stage.INVOKE
                self._note((_dynamic(operator, output),), place)
            if output.shape is not None and output.shape != output.tensor.shape and stage == Stage.ALLOCATE:
                self._shrinks(operator, node, output)
            if survey.doubled and any(output.tensor is tensor for _, tensor in survey.doubled):
                self._overruns(node, output)
            if output.is_constant and not (output.is_dynamic or output.is_persistent) and output.count:
                survey.is_written(node, output)
        if node.problems:
            self._note(node.problems, place, taken)

    def _shrinks(self, operator: Operator, node: KernelNode, output: Operand) -> None:
        """An output smaller than stored, for other nodes: the delegate of tflite-runtime 2.14 keeps to the latter."""
        stored = output.tensor.shape or []
        if (output.count or 0) >= prod(stored) or not graph.taken_by_2_14(operator):
            return
        if not any(output.tensor is tensor for tensor in self.model.subgraphs[0].outputs or ()):  # type: ignore[index]
            message = (
                f"the output is stored as {stored} and computed as {output.shape}: the delegate of tflite-runtime 2.14 "
                "goes by the former"
            )
            node.doubt("output-shape", message, output, on=On.V2_14, at=Stage.INVOKE)

    def _overruns(self, node: KernelNode, output: Operand) -> None:
        """A tensor that several nodes write has the room that the last one asks for."""
        count = output.count
        most = self._most.get(id(output), 0)
        if count is None or count < most:
            message = f"an earlier node writes {most} elements where this one leaves room for fewer"
            node.doubt("two-producers", message, output, on=On.TFLITE | On.DELEGATE, at=Stage.INVOKE)
        else:
            self._most[id(output)] = count

    def _shape_of(self, tensor: Tensor) -> list[int] | None:
        return self.operand(tensor).shape

    def _look_at_order(self, index: int, subgraph: SubGraph, survey: graph.Survey, placement: Placement) -> None:
        """Nodes that read what is computed later: the delegate sorts them, or gives all back if it cannot."""
        operators = subgraph.operators or []
        is_delegated = any(map(placement.takes, operators))
        sorted_nodes = sum(map(len, partition(operators, placement.takes)))
        is_cyclic = sorted_nodes < len(operators)
        if is_cyclic and is_delegated:
            placement.withdraw()
        self._note(
            graph.order(index, survey, is_cyclic, sorted_nodes == 0, self._stage), taken=is_delegated and not is_cyclic
        )
        self._note(graph.doubled(index, survey))

    def _arrange(self, index: int, subgraph: SubGraph, placement: Placement, first: int) -> None:
        """Put what the delegate refuses where it is met: its nodes are gathered, and run in another order."""
        mine = [problem for problem in self.problems[first:] if problem.effect == REFUSES]
        delegated = [problem for problem in mine if problem.on == On.DELEGATE and problem.place.subgraph == index]
        others = [problem for problem in mine if problem.on != On.DELEGATE and BY_KERNELS in problem.runtimes]
        if not delegated or not others:
            return
        parts = partition(subgraph.operators or [], placement.takes)
        part_of = {number: order for order, part in enumerate(parts) for number in part}

        def turn(problem: Problem) -> int:
            return part_of.get(problem.place.operator, -1) if problem.place.operator is not None else -1

        for problem in reversed(delegated):
            later = (other for other in others if other.place.subgraph == index and turn(other) > turn(problem))
            follower = next(later, None)
            self.problems.remove(problem)
            where = len(self.problems) if follower is None else self.problems.index(follower)
            self.problems.insert(where, problem)


class _MicroWalk(Walk):
    kernels = On.TFLM
    micro = True

    def __init__(self, model: Model, reading: construction.Reading, alikes: Alikes) -> None:
        super().__init__(model)
        self._reading = reading
        self._alikes = alikes
        self._kinds = Kinds()

    def run(self) -> None:
        self._add(micro.before_nodes(self.model, self._reading))
        called = micro.called(self.model) if len(self.model.subgraphs or ()) > 1 else None
        for index, subgraph in enumerate(self.model.subgraphs or ()):
            before = len(self.problems)
            self._prepare(index, subgraph, Stage.ALLOCATE)
            if called is not None and id(subgraph) not in called:
                for problem in self.problems[before:]:
                    if problem.stage == Stage.INVOKE:
                        problem.stage = Stage.ELSEWHERE
        for subgraph in (self.model.subgraphs or ())[:1]:
            self._add(ends(subgraph, self))
        self._add(micro.after_nodes(self.model))

    def _prepare(self, index: int, subgraph: SubGraph, stage: Stage) -> None:
        self._entered.add(index)
        count = len(subgraph.tensors or ())
        for number, operator in enumerate(subgraph.operators or ()):
            group = self._alikes.of(operator)
            if self._is_healthy(operator, group, stage, taken=False) or not isinstance(operator.opcode, Table):
                continue
            place = Place(index, number)
            problem = micro.of_node(operator, count)
            if problem is not None:
                self._note([problem], place)
                continue
            kind = self._kinds.of(operator)
            node = KernelNode(micro.readable(operator), operator.name, self, self.kernels, stage)
            function = micro_kernel_of(kind)
            if function is not None:
                function(node)
            if node.outputs[:1] == [None]:
                crash_without_output(node)
            refuse_dynamic_outputs(node)
            self._note(node.problems, place)
            if not node.problems:
                self._learn(operator, group, stage, taken=False)

    def _add(self, problems: Iterable[Problem]) -> None:
        """Note problems that say themselves where they are."""
        for problem in problems:
            problem.runtimes = runtimes_of(problem.on)
            self.problems.append(problem)
