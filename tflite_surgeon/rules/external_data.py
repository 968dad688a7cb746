"""The rule external-buffer: constants that lie in files beside the model."""

from __future__ import annotations

from collections.abc import Iterator

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.problems import UNKNOWN
from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.rules.registry import Finding, Severity, View, rule


@rule(
    "external-buffer",
    advice="Put the named file beside the model, whole.",
    source="the schema's ExternalBuffer: a file beside the model, an offset and a length",
)
def external_buffer(view: View) -> Iterator[Finding]:
    """A constant lies in another file that is missing, too short, or outside the model's folder.

    The model names the file relative to its own folder. What a runtime does depends on how the application hands it
    the file, so the verdict is unknown; without the bytes the constant has no value.
    """
    for number, subgraph in enumerate(view.model.subgraphs or ()):
        for tensor in subgraph.tensors or ():
            if not tensor.external_buffer:
                continue
            from tflite_surgeon.model.external import external_data  # Few models have any.

            try:
                place = external_data(view.model, tensor)
                if place is not None:
                    place.require()
            except SurgeonError as error:
                yield Finding(
                    "external-buffer",
                    Severity.WARNING,
                    number,
                    None,
                    None,
                    view.identify(tensor),
                    str(error),
                    dict.fromkeys(NAMES, UNKNOWN),
                    {"external_buffer": tensor.external_buffer},
                )
