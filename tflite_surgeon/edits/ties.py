"""Tensors that must have one scale and one zero point, because a kernel copies integers from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.model.objects import Operator, Tensor

_EVERY = tuple(range(1 << 10))
# The inputs that are copied, by position; their integers come out as every output, but for the operators below.
# Source: LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels/*.cc.
_COPIED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            *("AVERAGE_POOL_2D", "MAX_POOL_2D", "REDUCE_MAX", "REDUCE_MIN"),
            *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "PAD", "MIRROR_PAD"),
            *("GATHER", "GATHER_ND", "TILE", "BROADCAST_TO", "REVERSE_V2", "REVERSE_SEQUENCE", "TOPK_V2", "UNIQUE"),
            *("DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "DILATE", "MATRIX_DIAG"),
            *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "UNPACK", "SPLIT_V", "STABLEHLO_GATHER"),
        ),
        (0,),
    ),
    **dict.fromkeys(("SPLIT", "EMBEDDING_LOOKUP", "FILL", "SCATTER_ND"), (1,)),
    **dict.fromkeys(("CONCATENATION", "PACK", "MAXIMUM", "MINIMUM"), _EVERY),
    **dict.fromkeys(("MATRIX_SET_DIAG", "DYNAMIC_UPDATE_SLICE", "STABLEHLO_PAD"), (0, 1)),
    **dict.fromkeys(("PADV2", "STABLEHLO_SCATTER"), (0, 2)),
    **dict.fromkeys(("SELECT", "SELECT_V2"), (1, 2)),
    **dict.fromkeys(("ONE_HOT", "SPARSE_TO_DENSE"), (2, 3)),
    "ADD_N": _EVERY,
    # The output is the state of the last step: kernels read the scale of the state alone.
    **dict.fromkeys(("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"), (18,)),
}
# How many outputs hold copies, where that is not all of them: the rest are indices; TFLM's ADD_N rescales its sum.
_OUTPUTS = {"TOPK_V2": 1, "UNIQUE": 1, "ADD_N": 0, "LSTM": 1}
# Copies in some kernels only: LiteRT rescales them, so another scale alone is no fault.
_SOMETIMES: dict[str, tuple[int, ...]] = {"RELU6": (0,)}
_COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")

# Operators that hand tensors to other subgraphs and to variables, where they are copied to what nothing here ties.
_CALLING = frozenset({"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE"})
_PASSING = _CALLING | {"ASSIGN_VARIABLE", "READ_VARIABLE"}

QUANTISED = ("INT8", "UINT8", "INT16", "INT4", "INT32", "INT64")


@dataclass(frozen=True)
class Tie:
    """The tensors of an operator that must have one scale and zero point.

    Attributes:
        operator: the operator.
        inputs, outputs: their positions; the tensors there are of one type.
        rescales: whether some kernels mind other scales: they are a fault for the others alone.
    """

    operator: Operator
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    rescales: bool = False

    @property
    def sources(self) -> list[Tensor]:
        return _at(self.operator.inputs, self.inputs)

    @property
    def results(self) -> list[Tensor]:
        return _at(self.operator.outputs, self.outputs)

    @property
    def tensors(self) -> list[Tensor]:
        return [*self.sources, *self.results]


def tie_of(operator: Operator) -> Tie | None:
    """The tensors that an operator copies integers between; None where it copies none that are quantised."""
    name = operator.name
    copied = _COPIED.get(name, _SOMETIMES.get(name, (0, 1) if name in _COMPARISONS else ()))
    given = operator.inputs or []
    inputs = [n for n in copied if n < len(given) and isinstance(given[n], Tensor)]
    if not inputs:
        return None
    results = operator.outputs or []
    count = 0 if name in _COMPARISONS else _OUTPUTS.get(name, len(results))
    first = given[inputs[0]]
    assert isinstance(first, Tensor)
    kind = first.type_name
    if kind not in QUANTISED:
        return None
    fitting = [n for n in inputs if _is_of(given[n], kind)]
    outputs = [n for n, result in enumerate(results[:count]) if _is_of(result, kind)]
    rescales = name in _SOMETIMES or name in _COMPARISONS or (name == "CONCATENATION" and kind == "UINT8")
    return Tie(operator, tuple(fitting), tuple(outputs), rescales)


def group_of(draft: Draft, tensor: Tensor) -> list[Tensor]:
    """A tensor and all that operators tie to it, over any number of operators; in the order in which they are met."""
    found = {id(tensor): tensor}
    waiting = [tensor]
    while waiting:
        for other in neighbours(draft, waiting.pop(0)):
            if id(other) not in found:
                found[id(other)] = other
                waiting.append(other)
    return list(found.values())


def neighbours(draft: Draft, tensor: Tensor) -> list[Tensor]:
    """The tensors that one operator ties to a tensor."""
    found = []
    for use in (*draft.writers(tensor), *draft.readers(tensor)):
        tie = tie_of(use.operator)
        if tie is None or tie.rescales:
            continue
        members = tie.tensors
        if any(member is tensor for member in members):
            found += [member for member in members if member is not tensor]
    return found


def is_constant(draft: Draft, tensor: Tensor) -> bool:
    """Whether a tensor's integers are in the file."""
    return tensor.data is not None and not tensor.is_variable and not draft.writers(tensor)


def is_passed(draft: Draft, tensor: Tensor) -> bool:
    """Whether a tensor's integers go to or come from another subgraph or a variable, which must have its scale."""
    if any(use.operator.name in _PASSING for use in (*draft.writers(tensor), *draft.readers(tensor))):
        return True
    subgraphs = draft.model.subgraphs or []
    if not (draft.is_graph_input(tensor) or draft.is_graph_output(tensor)) or draft.home(tensor) is subgraphs[0]:
        return False
    return any(one.name in _CALLING for subgraph in subgraphs for one in subgraph.operators or ())


def _at(items: Sequence[object] | None, positions: tuple[int, ...]) -> list[Tensor]:
    return [item for n in positions if isinstance(item := (items or ())[n], Tensor)]


def _is_of(item: object, kind: str) -> bool:
    return isinstance(item, Tensor) and item.type_name == kind
