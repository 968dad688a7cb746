"""The header of a file, and the parts that every model has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tflite_surgeon.flatbuffer.schema import FILE_IDENTIFIER
from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.problems import CRASHES, REFUSES, On, Place, Problem, Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Model

_SUPPORTED_VERSION = 3

STRUCTURE = Said("file-structure", None, "The model is not a valid Flatbuffer buffer")
# Of an empty file.
_ALSO = (
    Said("file-structure", None, "The model allocation is null/empty"),
    Said("file-structure", None, "Mmap of '{}' at offset '{}' failed with error"),
)
_IDENTIFIER = Said("file-identifier", None, "Model provided has model identifier ")
_VERSION = Said("schema-version", None, "Model provided is schema version {} not equal to supported version ")
_NO_SUBGRAPH = Said("missing-vector", None, "No subgraph in the model.")
_NO_BUFFERS = Said("missing-vector", None, "No buffers in the model.")
_NO_TENSORS = Said("missing-vector", None, "Did not get tensors in subgraph {}")


def problems(model: Model) -> Iterator[Problem]:
    """What is wrong with the first bytes and the version."""
    if model.identifier != FILE_IDENTIFIER:
        found = f"bytes 4 to 8 of the file are {model.identifier!r}, a TFLite model has {FILE_IDENTIFIER!r}"
        # LiteRT does not tell this from any other damage; TFLM does not look at the header.
        yield refused(STRUCTURE, f"the runtime takes the file for no TFLite model: {found}", on=On.LITERT)
        yield Problem(_IDENTIFIER.rule, REFUSES, On.LITERT, Stage.CONSTRUCT, found, STRUCTURE.text)
        yield refused(_IDENTIFIER, found, on=On.V2_14)
    if model.version != _SUPPORTED_VERSION:
        message = f"the schema version is {model.version}, runtimes support {_SUPPORTED_VERSION}"
        yield refused(_VERSION, message)


def missing_vectors(model: Model) -> Iterator[Problem]:
    """Parts that a loader needs and the file lacks."""
    if model.subgraphs is None:
        message = "the file has no list of subgraphs"
        yield Problem("missing-vector", CRASHES, On.TFLITE, Stage.CONSTRUCT, message)
        return
    if not model.subgraphs:
        yield refused(_NO_SUBGRAPH, "the list of subgraphs is empty")
    if model.buffers is None:
        yield refused(_NO_BUFFERS, "the file has no list of buffers")
    for index, subgraph in enumerate(model.subgraphs):
        if subgraph.tensors is None:
            yield refused(_NO_TENSORS, f"subgraph {index} has no list of tensors", place=Place(index))
