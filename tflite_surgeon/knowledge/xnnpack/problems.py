"""What the delegate makes of a node, in the terms of all predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tflite_surgeon.knowledge.problems import CRASHES, REFUSES, UNKNOWN, WRONG, On, Problem, Said, Stage
from tflite_surgeon.knowledge.xnnpack import failures
from tflite_surgeon.knowledge.xnnpack.failures import failures_after_taking
from tflite_surgeon.knowledge.xnnpack.wrong_numbers import wrong_numbers_after_taking

if TYPE_CHECKING:
    from tflite_surgeon.knowledge.xnnpack.placement import Placement
    from tflite_surgeon.model.objects import Operator, Tensor

_UNTYPED = "unsupported datatype ({}) of tensor {} in XNNPACK delegate"
# It ends every complaint about a tensor: what stands before it tells why there is no type.
_BY_TYPE_ALONE = (
    r"(?s)^(?!.*(?:unsupported (?:scale|zero-point|quantization|number)|mismatching number|Unsupported combination)).*"
)
_SAYINGS = (
    Said("xnnpack-scale", None, "unsupported scale value ({})"),
    Said("xnnpack-zero-point", None, "unsupported zero-point value ({})"),
    Said("xnnpack-zero-point", None, f"{failures.FILTER} {{}} node #"),
    Said("xnnpack-quantization", None, "unsupported quantization type {} for {} tensor"),
    Said("xnnpack-quantization", None, "unsupported number ({}) of scale quantization parameters"),
    Said("xnnpack-quantization", None, "mismatching number of quantization parameters"),
    Said("xnnpack-quantization", None, "Unsupported combination of filter elements {} number of scales {}"),
    Said(
        "xnnpack-definition", None, _UNTYPED, _BY_TYPE_ALONE + r"unsupported datatype \(\w+\) of tensor \d+ in XNNPACK"
    ),
    Said("xnnpack-definition", None, f"{failures.DEFINITION} {{}} node #"),
    Said("xnnpack-requantization", None, failures.CREATION, failures.CREATION),
    Said("xnnpack-shape", None, failures.RESHAPING, rf"{failures.RESHAPING}|{failures.UNMADE}"),
    Said("xnnpack-output", None, failures.OUTPUT, failures.OUTPUT),
)


def after_taking(
    operator: Operator,
    placement: Placement,
    stage: Stage,
    shape_of: Callable[[Tensor], list[int] | None] | None = None,
    kind: str | None = None,
) -> Iterator[Problem]:
    """What the delegate makes of a node, in the order in which it would be noticed.

    Args:
        operator: the node.
        placement: of its subgraph.
        stage: when the subgraph is prepared.
        shape_of: the shape of a tensor as known then, None where it is not; without it, as stored.
        kind: what `kind_of` says, if it was asked already.
    """
    for failure in failures_after_taking(operator, placement, shape_of, kind):
        if failure.kills:
            # Memory of the file is written to when the model runs; the rest happens when nodes are offered.
            when = Stage.INVOKE if failure.rule == "constant-output" else stage
            yield Problem(failure.rule, CRASHES, On.DELEGATE, when, failure.why, None, failure.tensor)
        elif failure.kills is None:
            yield Problem(failure.rule, UNKNOWN, On.DELEGATE, stage, "the delegate reads memory beside an array")
        else:
            yield Problem(failure.rule, REFUSES, On.DELEGATE, stage, failure.why, failure.message, failure.tensor)
    for why in wrong_numbers_after_taking(operator, placement, kind):
        yield Problem("xnnpack-wrong-numbers", WRONG, On.DELEGATE, stage, why)
