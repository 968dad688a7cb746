"""Rules about the header: what a loader looks at before anything else."""

from __future__ import annotations

from collections.abc import Iterator

from tflite_surgeon.flatbuffer.schema import FILE_IDENTIFIER
from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.rules.registry import OK, REFUSES, Finding, Severity, View, rule

_SUPPORTED_VERSION = 3
# TFLM hands the bytes to the accessors without looking at the header.
_LOOKS = {name: REFUSES if name != "tflm" else OK for name in NAMES}


@rule(
    "file-identifier",
    operators=(),
    source="LiteRT model_builder.cc and the flatbuffer verifier; run with the identifier TFL2 in every runtime",
)
def file_identifier(view: View) -> Iterator[Finding]:
    """Bytes 4 to 8 of the file do not name the TFLite format.

    LiteRT says "The model is not a valid Flatbuffer buffer", tflite-runtime 2.14 "Model provided has model identifier
    ..., should be 'TFL3'". TFLM does not look. The file may be a model with a damaged header, or another kind of file.
    """
    found = view.model.identifier
    if found != FILE_IDENTIFIER:
        yield _finding(
            "file-identifier", view, f"bytes 4 to 8 of the file are {found!r}, a TFLite model has {FILE_IDENTIFIER!r}"
        )


@rule(
    "schema-version",
    operators=(),
    source="LiteRT interpreter_builder.cc (TFLITE_SCHEMA_VERSION); run with versions 2 and 4 in every runtime",
)
def schema_version(view: View) -> Iterator[Finding]:
    """The model says another schema version than runtimes support.

    LiteRT and tflite-runtime take version 3 only ("Model provided is schema version ... not equal to supported version
    3"); TFLM's interpreter does not look, though many programs compare the version themselves before they use it.
    """
    version = view.model.version
    if version != _SUPPORTED_VERSION:
        yield _finding(
            "schema-version", view, f"the schema version is {version}, runtimes support {_SUPPORTED_VERSION}"
        )


def _finding(name: str, view: View, message: str) -> Finding:
    refused = any(_LOOKS[target] == REFUSES for target in view.targets)
    return Finding(name, Severity.ERROR if refused else Severity.NOTE, None, None, None, None, message, _LOOKS, {})
