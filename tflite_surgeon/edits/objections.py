"""What a node's kernel has to say against the node: a measure of how likely a reading of the file is."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.plan import Edit
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.computed import computed, prepared
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.problems import CRASHES, REFUSES
from tflite_surgeon.model.objects import Operator

# What was computed last, and the edit that was the last one then.
_COMPUTED: WeakKeyDictionary[Draft, tuple[Edit | None, dict[int, Operand]]] = WeakKeyDictionary()


def computed_tensors(draft: Draft) -> Mapping[int, Operand]:
    """Each tensor as LiteRT knows it when all nodes are prepared, by its identity; computed once for a state."""
    last = draft.edits[-1] if draft.edits else None
    found = _COMPUTED.get(draft)
    if found is None or found[0] is not last:
        found = _COMPUTED[draft] = last, computed(draft.model)[0]
    return found[1]


def objections(draft: Draft, operator: Operator, known: Mapping[int, Operand]) -> int | None:
    """In how many ways LiteRT's kernel computes something else than the file says.

    None where it refuses the node, makes outputs of other shapes than the stored ones, or is not known.
    """
    named = [*(operator.inputs or ()), *(operator.outputs or ())]
    if not isinstance(operator.opcode, Table) or any(not (item is None or isinstance(item, Table)) for item in named):
        return None
    node = prepared(draft.model, operator, known)
    if node is None or any(problem.effect in (REFUSES, CRASHES) for problem in node.problems):
        return None
    made = [output for output in node.outputs if output is not None and output.tensor.shape]
    if any(output.shape not in (None, list(output.tensor.shape or ())) for output in made):
        return None
    return len(node.problems)
