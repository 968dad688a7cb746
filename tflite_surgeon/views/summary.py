"""A model on one screen: what it is, what it is made of, where its bytes go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.objects import BadReference, Model, SubGraph, Tensor
from tflite_surgeon.views import macs
from tflite_surgeon.views.arithmetic import NumberKind, number_kind
from tflite_surgeon.views.listing import list_metadata
from tflite_surgeon.views.rows import MetadataRow
from tflite_surgeon.views.sizes import Sizes, parameters, sizes
from tflite_surgeon.views.tensors import dtype
from tflite_surgeon.views.versions import CUSTOM, Support, recorded_version, support


@dataclass(frozen=True)
class Port:
    """An input or output of a subgraph: number, name, dtype, shape as the signature has it (-1 where open)."""

    tensor: int | None
    name: str | None
    dtype: str | None
    shape: list[int] | None


@dataclass(frozen=True)
class SubgraphSummary:
    """A subgraph; macs are the multiply-accumulates of one evaluation, macs_unknown operators that do not count."""

    name: str | None
    operators: int
    tensors: int
    inputs: list[Port]
    outputs: list[Port]
    macs: int
    macs_unknown: int


@dataclass(frozen=True)
class SignatureSummary:
    """A signature: its key, the number of its subgraph, the names of its inputs and outputs."""

    key: str | None
    subgraph: int | None
    inputs: list[str | None]
    outputs: list[str | None]


@dataclass(frozen=True)
class OperatorUse:
    """A kind of operator in one version: how many there are, and where it has a kernel."""

    type: str
    version: int | None
    is_custom: bool
    count: int
    support: Support | None


@dataclass(frozen=True)
class Summary:
    """A model on one screen.

    Attributes:
        schema_version: 3 in a sound file; identifier: b"TFL3" as text.
        runtime_version: the oldest TFLite that has all operators, as the converter recorded it; None where it did not.
        associated_files: sizes by name; associated_files_error: why they cannot be read, else None.
        operators: by type and version, the most frequent first.
        parameters: see `views.sizes.parameters`.
        macs: estimated multiply-accumulates of all subgraphs, each evaluated once; macs_unknown: operators whose
            shapes do not tell.
    """

    identifier: str
    schema_version: int
    description: str | None
    runtime_version: str | None
    subgraphs: list[SubgraphSummary]
    signatures: list[SignatureSummary]
    metadata: list[MetadataRow]
    associated_files: dict[str, int]
    associated_files_error: str | None
    operators: list[OperatorUse]
    sizes: Sizes
    parameters: int
    macs: int
    macs_unknown: int
    quantization: NumberKind


def summarise(model: Model) -> Summary:
    """A model on one screen; constants are not read."""
    files, problem = _associated_files(model)
    subgraphs = [_subgraph(subgraph) for subgraph in model.subgraphs or ()]
    return Summary(
        identifier=model.identifier.decode("ascii", "backslashreplace"),
        schema_version=model.version,
        description=model.description,
        runtime_version=recorded_version(model),
        subgraphs=subgraphs,
        signatures=_signatures(model),
        metadata=list_metadata(model),
        associated_files=files,
        associated_files_error=problem,
        operators=_operators(model),
        sizes=sizes(model),
        parameters=parameters(model),
        macs=sum(subgraph.macs for subgraph in subgraphs),
        macs_unknown=sum(subgraph.macs_unknown for subgraph in subgraphs),
        quantization=number_kind(model),
    )


def _associated_files(model: Model) -> tuple[dict[str, int], str | None]:
    try:
        return {name: len(content) for name, content in model.associated_files().items()}, None
    except SurgeonError as error:
        return {}, str(error)


def _subgraph(subgraph: SubGraph) -> SubgraphSummary:
    counted, unknown = macs.of_subgraph(subgraph)
    numbers = {id(tensor): number for number, tensor in enumerate(subgraph.tensors or ())}

    def ports(tensors: list[Tensor | BadReference | None] | None) -> list[Port]:
        return [_port(tensor, numbers) for tensor in tensors or ()]

    return SubgraphSummary(
        name=subgraph.name,
        operators=len(subgraph.operators or ()),
        tensors=len(subgraph.tensors or ()),
        inputs=ports(subgraph.inputs),
        outputs=ports(subgraph.outputs),
        macs=counted,
        macs_unknown=unknown,
    )


def _port(tensor: Tensor | BadReference | None, numbers: dict[int, int]) -> Port:
    if not isinstance(tensor, Tensor):
        return Port(None if tensor is None else tensor.index, None, None, None)
    return Port(numbers.get(id(tensor)), tensor.name, dtype(tensor), list(tensor.shape_signature or tensor.shape or ()))


def _signatures(model: Model) -> list[SignatureSummary]:
    numbers = {id(subgraph): number for number, subgraph in enumerate(model.subgraphs or ())}
    return [
        SignatureSummary(
            signature.signature_key,
            signature.subgraph.index
            if isinstance(signature.subgraph, BadReference)
            else numbers.get(id(signature.subgraph)),
            [item.name for item in signature.inputs or ()],
            [item.name for item in signature.outputs or ()],
        )
        for signature in model.signature_defs or ()
    ]


def _operators(model: Model) -> list[OperatorUse]:
    opcodes = {id(node.operator.opcode): node.operator for node in model.nodes()}
    counts = Counter(id(node.operator.opcode) for node in model.nodes())
    uses: dict[tuple[str, int | None], OperatorUse] = {}
    for key, count in counts.items():
        operator = opcodes[key]
        opcode = operator.opcode
        known = None if isinstance(opcode, BadReference) else opcode
        version = None if known is None else known.version
        before = uses.get((operator.name, version))
        uses[operator.name, version] = OperatorUse(
            operator.name,
            version,
            known is not None and known.code == CUSTOM,
            count + (0 if before is None else before.count),
            None if known is None else support(known),
        )
    return sorted(uses.values(), key=lambda use: (-use.count, use.type, use.version or 0))
