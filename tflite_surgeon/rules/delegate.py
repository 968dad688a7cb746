"""Rules about nodes that LiteRT hands to XNNPACK: there is no way back to the kernel once a node is taken."""

from __future__ import annotations

from collections.abc import Iterator

from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.knowledge.xnnpack import failures_after_taking, is_certain, wrong_numbers_after_taking
from tflite_surgeon.model.objects import Node
from tflite_surgeon.rules.registry import CRASHES, OK, REFUSES, UNKNOWN, WRONG, Finding, Severity, View, rule

_SOURCE = "LiteRT 2.3 xnnpack_delegate.cc; run in ai-edge-litert 2.3.0 with and without the delegate"


@rule("xnnpack-failure", operators=(), source=_SOURCE)
def xnnpack_failure(view: View) -> Iterator[Finding]:
    """XNNPACK takes the node, and then the model does not load.

    The delegate judges a node by types and shapes and hands it to XNNPACK, which looks again: scales that are zero,
    negative or not finite, zero points outside the type, parameters that should be equal, a requantisation scale of
    256 or more. What fails there is not given back to the kernel: tensors are not allocated, or the process dies.

    Only the first subgraph is prepared with the model; others are when they are called, so theirs are notes. Shapes
    are computed anew inside the delegate: where only a stored shape is at odds, the verdict is unknown.
    """
    for node in view.model.nodes():
        for failure in failures_after_taking(node.operator, view.placement(node.subgraph)):
            if failure.kills is None or not is_certain(failure) or node.subgraph_index:
                verdict = UNKNOWN
            else:
                verdict = CRASHES if failure.kills else REFUSES
            message = failure.message or "the process dies when the delegate looks at the node"
            yield _finding("xnnpack-failure", view, node, message, verdict)
            break


@rule("xnnpack-wrong-numbers", operators=(), source=_SOURCE)
def xnnpack_wrong_numbers(view: View) -> Iterator[Finding]:
    """XNNPACK takes the node and computes something else than the kernel, without a word.

    A few forms of a node mean one thing to the kernels and another to the delegate: an end of 0 in STRIDED_SLICE, a
    bias of more than six dimensions, values of one type read as another, 8-bit values that are no constant beside
    float32.
    """
    for node in view.model.nodes():
        for why in wrong_numbers_after_taking(node.operator, view.placement(node.subgraph)):
            yield _finding("xnnpack-wrong-numbers", view, node, why, WRONG)


def _finding(name: str, view: View, node: Node, message: str, verdict: str) -> Finding:
    """A finding about the default way of running LiteRT; what others make of the node is not said here."""
    others = OK if verdict == WRONG else UNKNOWN
    serious = verdict != UNKNOWN and "litert" in view.targets
    return Finding(
        name,
        Severity.ERROR if serious else Severity.NOTE,
        node.subgraph_index,
        node.index,
        node.operator.name,
        None,
        message,
        {runtime: verdict if runtime == "litert" else others for runtime in NAMES},
        {},
    )
