"""What a comparison found, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

ADDED = "added"
REMOVED = "removed"
CHANGED = "changed"
MOVED = "moved"

MODEL = "model"
SUBGRAPH = "subgraph"
OPERATOR = "operator"
TENSOR = "tensor"
BUFFER = "buffer"
OPERATOR_CODE = "operator code"
SIGNATURE = "signature"
METADATA = "metadata"
FILE = "file"


@dataclass(frozen=True)
class ValuesChange:
    """How the values of a constant differ.

    Attributes:
        before, after: bytes on either side; None where the file holds none.
        unit: what is counted: "values", "strings" or "bytes" (where bytes do not make values of the type and shape).
        count: how many there are; None where the sides have different numbers of them.
        differ: how many differ as they are stored; as real values where the types differ.
        largest_quanta: the largest change of a stored integer; where only one side is quantised, the largest change in
            units of that side's scale. None where neither is quantised.
        largest_real: the largest change in real units, each side by its own scale and zero point; an integer without
            a scale counts as it is. None where bytes or strings are compared.
        not_a_number: values that are NaN on one side only; they count in `differ`, not in the largest change.
        at: index of the largest change, in the tensor's shape before; else of the first value that differs.
        before_at, after_at: the stored values there.
        before_real, after_real: what they stand for, where the side is quantised.
    """

    before: int | None
    after: int | None
    unit: str = "values"
    count: int | None = None
    differ: int | None = None
    largest_quanta: float | None = None
    largest_real: float | None = None
    not_a_number: int = 0
    at: tuple[int, ...] | None = None
    before_at: Any = None
    after_at: Any = None
    before_real: float | None = None
    after_real: float | None = None


@dataclass(frozen=True)
class Change:
    """One field that differs.

    Attributes:
        field: as the schema names it, such as "quantization.scale", "builtin_options.stride_w", "inputs[1]" or
            "values".
        before, after: both values: numbers, names of enum members, tensors by name, lists; None where absent.
        differ: of two lists of numbers of one length, how many differ; else None.
        values: of constants, in what way.
    """

    field: str
    before: Any
    after: Any
    differ: int | None = None
    values: ValuesChange | None = None


@dataclass(frozen=True)
class Place:
    """Where something stands in its file: its subgraph, if it lies in one, and its index."""

    subgraph: int | None
    index: int


@dataclass(frozen=True)
class Difference:
    """One difference, whatever it touches: an operator that was inserted comes with its tensors.

    Attributes:
        part: "model", "subgraph", "operator", "tensor", "buffer", "operator code", "signature", "metadata", "file".
        kind: "added", "removed", "changed" or "moved" (the same operator, at another time; with `changes`, if any).
        name: of the tensor, signature and so on; of an operator, its kind, such as CONV_2D, afterwards.
        before, after: where it stands; None where it does not.
        changes: what differs in it.
        inputs, outputs: of an operator, the names of its tensors, afterwards where it is there.
        use: of a tensor, the first operator that has it, such as "weights of operator 3 (CONV_2D)", else "".
        size: bytes of what was added or removed: constants, metadata, files; operators in a subgraph.
    """

    part: str
    kind: str
    name: str
    before: Place | None = None
    after: Place | None = None
    changes: tuple[Change, ...] = ()
    inputs: tuple[str | None, ...] = ()
    outputs: tuple[str | None, ...] = ()
    use: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Comparison:
    """All differences of two models; none where they say the same, however they lie in their files.

    Attributes:
        differences: the model's own first, then those of each subgraph in the order of the model afterwards.
        operators, tensors: how many there are, before and after.
    """

    differences: tuple[Difference, ...]
    operators: tuple[int, int]
    tensors: tuple[int, int]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many of each part and kind, such as {"operator": {"added": 1}}."""
        result: dict[str, dict[str, int]] = {}
        for (part, kind), count in Counter((found.part, found.kind) for found in self.differences).items():
            result.setdefault(part, {})[kind] = count
        return result
