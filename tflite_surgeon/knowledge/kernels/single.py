"""What kernels of operators with one input and one output begin with."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.sayings import INPUT_COUNT, NO_SUCH_TENSOR, SAME_TYPE
from tflite_surgeon.knowledge.problems import On, Said

AT_LEAST_VECTOR = Said("tensor-rank", "*", "NumDimensions(input) >= 1 was not true")


def single(node: KernelNode, *, reads_first: bool = False, count: Said = INPUT_COUNT) -> tuple[Operand, Operand] | None:
    """The input and the output; None, after a refusal, where there are not one of each.

    Args:
        node: the node.
        reads_first: the kernel takes its tensors before it counts them.
        count: what the kernel prints when it counts inputs.
    """
    if reads_first:
        if not node.inputs or not node.outputs:
            node.refuse(NO_SUCH_TENSOR, f"there are {len(node.inputs)} inputs and {len(node.outputs)} outputs, not 1")
            return None
        if not node.needs(0):
            return None
    if not node.has_counts(1, said=count) or not node.needs(0):
        return None
    source, result = node.inputs[0], node.outputs[0]
    return None if source is None or result is None else (source, result)


def single_unguarded(node: KernelNode, missing: Said) -> tuple[Operand, Operand] | None:
    """As `single`, of a kernel that LiteRT lets look for its input and tflite-runtime 2.14 does not."""
    if not node.has_counts(1):
        return None
    source, result = node.inputs[0], node.outputs[0]
    if source is None:
        node.refuse(missing, "input 0 is not given, the kernel needs it", on=On.LITERT)
        node.crash("missing-input", "input 0 is not given, the kernel reads it", on=On.V2_14)
        return None
    return None if result is None else (source, result)


def has_same_type(node: KernelNode, source: Operand, result: Operand) -> bool:
    """Whether input and output are of one type; else the node is refused."""
    if source.type == result.type:
        return True
    node.refuse(SAME_TYPE, f"the input is {source.type} and the output {result.type}", result)
    return False
