"""The named ways to call a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.problems import REFUSES, On, Problem, Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Model

_NO_KEY = Said("signature", None, "Missing exported method name for SignatureDef")
_NO_ENTRIES = (
    Said("signature", None, "NULL SignatureDef inputs for exported method {}"),
    Said("signature", None, "NULL SignatureDef outputs for exported method {}"),
)


def problems(model: Model) -> Iterator[Problem]:
    """What is wrong with signatures. Wrong numbers in one are met only by whoever calls it."""
    for number, signature in enumerate(model.signature_defs or ()):
        if signature.signature_key is None:
            yield refused(_NO_KEY, f"signature {number} has no name")
            continue
        for said, entries in zip(_NO_ENTRIES, (signature.inputs, signature.outputs)):
            if entries is None:
                message = f"signature {signature.signature_key!r} lists no {said.text.split()[2]}"
                yield refused(said, message, on=On.V2_14)
                break
        listed = [*(signature.inputs or ()), *(signature.outputs or ())]
        lost = [entry.name or "" for entry in listed if not isinstance(entry.tensor, Table)]
        subject = f"signature {signature.signature_key!r}"
        if not isinstance(signature.subgraph, Table):
            message = f"{subject} calls subgraph {signature.subgraph.index}, which does not exist"
            yield Problem(_NO_KEY.rule, REFUSES, On.TFLITE, Stage.ELSEWHERE, message)
        elif lost:
            message = f"{subject} names tensors that do not exist: {', '.join(lost)}"
            yield Problem(_NO_KEY.rule, REFUSES, On.TFLITE, Stage.ELSEWHERE, message)
