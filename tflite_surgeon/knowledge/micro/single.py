"""What TFLM's kernels of operators with one input and one output begin with."""

from __future__ import annotations

from tflite_surgeon.knowledge.fixed_outputs import FIXED_OUTPUTS
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.sayings import NO_INPUT, NO_OUTPUT
from tflite_surgeon.knowledge.problems import Said, Stage

NOT_SUPPORTED = Said("operator-types", None, "Input {}, output {} not supported.")
# TFLM knows no size of such tensors, and hands the kernel none.
_UNSIZED = "STRING"


def micro_single(node: KernelNode, *, counts: bool = True, takes_first: bool = False) -> tuple[Operand, Operand] | None:
    """The input and the output; None, after a refusal, where the kernel does not get both.

    Args:
        node: the node.
        counts: the kernel looks at the numbers of inputs and outputs.
        takes_first: it takes its tensors before it counts them.
    """
    if counts and not takes_first and not node.has_counts(1):
        return None
    source = node.input(0)
    if source is None or source.type == _UNSIZED:
        reason = "not given" if source is None else "STRING, whose size TFLM does not know"
        node.refuse(NO_INPUT, f"the input is {reason}, the kernel needs it")
        return None
    result = node.outputs[0] if node.outputs else None
    if result is None or result.type == _UNSIZED:
        node.refuse(NO_OUTPUT, "the kernel is given no output that it can write")
        return None
    if counts and takes_first and not node.has_counts(1):
        return None
    return source, result


def evaluated_single(node: KernelNode) -> tuple[Operand, Operand] | None:
    """The input and the output of a kernel that prepares nothing."""
    source, result = node.input(0), node.outputs[0] if node.outputs else None
    if source is None:
        node.crash("missing-input", "the input is not given, the kernel reads it", at=Stage.INVOKE)
        return None
    return None if result is None else (source, result)


def writes_input_type(node: KernelNode, source: Operand, result: Operand) -> None:
    """The kernel looks at the input's type only, and writes that type whatever the output's is."""
    if source.type != result.type:
        message = f"the input is {source.type} and the output {result.type}, the kernel writes {source.type}"
        node.wrong("same-type", message, result)


def assumes_fixed(node: KernelNode, result: Operand) -> None:
    """The kernel computes in the fixed scale and zero point and does not look at the output's."""
    fixed = FIXED_OUTPUTS[node.name, result.type]
    if abs(result.scale - fixed.scale) <= 1e-3 * fixed.scale and result.zero_point == fixed.zero_point:
        return
    node.wrong(
        "fixed-output-quantization",
        f"the kernel computes in scale {fixed.scale:.9g} and zero point {fixed.zero_point}, the output is stored "
        f"with {result.scale:.9g} and {result.zero_point}",
        result,
    )
