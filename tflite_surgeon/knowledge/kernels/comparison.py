"""Kernels that compare: GREATER and the like, MAXIMUM and MINIMUM, LOGICAL_AND and LOGICAL_OR.

Source: LiteRT and tflite-runtime 2.14 kernels/comparisons.cc, maximum_minimum.cc, logical.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.broadcasting import broadcast, limit_rank
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.pairs import SAME_INPUT_TYPES, has_kernel, has_same_inputs, pair
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.scales import copies
from tflite_surgeon.knowledge.problems import On, Said, Stage

_NO_STRINGS = Said("operator-types", "comparisons.cc", "input1->type != kTfLiteString was not true")
_ORDER_UNSUPPORTED = Said("operator-types", None, "Does not support type {}, requires float|int|uint8Node")
_EQUAL_UNSUPPORTED = Said("operator-types", None, "Does not support type {}, requires bool|float|int|uint8|")
_FIRST_MISSING = Said("missing-input", "maximum_minimum.cc", "op_context.input1 != nullptr was not true")
_SECOND_MISSING = Said("missing-input", "maximum_minimum.cc", "op_context.input2 != nullptr was not true")
_EXTREME_TYPE = Said("same-type", "maximum_minimum.cc", "op_context.input1->type != op_context.input2->type")
_EXTREME_UNSUPPORTED = Said("operator-types", None, "Type {} is currently not supported by Maximum.")
_LOGICAL_UNSUPPORTED = Said("operator-types", None, "Logical ops only support bool type.")

_EIGHT_BITS = ("INT8", "UINT8")
_ORDERED = frozenset({"FLOAT32", "INT32", "INT64", "INT8", "UINT8"})
_ORDERED_16 = _ORDERED | {"INT16"}
_EQUALS = _ORDERED | {"BOOL", "STRING"}
_EQUALS_LITERT = _EQUALS | {"INT16", "FLOAT16"}
_ORDERED_LITERT = _ORDERED | {"INT16", "FLOAT16", "BFLOAT16"}
# Which types they compare in LiteRT 2.3 and in tflite-runtime 2.14.
_TYPES = {
    "EQUAL": (_EQUALS_LITERT, _EQUALS | {"INT16"}),
    "NOT_EQUAL": (_EQUALS_LITERT, _EQUALS),
    "GREATER": (_ORDERED_LITERT, _ORDERED),
    "GREATER_EQUAL": (_ORDERED_LITERT, _ORDERED_16),
    "LESS": (_ORDERED_LITERT, _ORDERED_16),
    "LESS_EQUAL": (_ORDERED_LITERT, _ORDERED),
}
_EXTREMES = frozenset({"FLOAT32", "INT8", "UINT8", "INT16", "INT32", "INT64"})
_EXTREMES_LITERT = _EXTREMES | {"FLOAT16", "BFLOAT16"}


@kernel(*_TYPES)
def _compare(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    first, second, result = found
    compares_strings = node.name in ("EQUAL", "NOT_EQUAL")
    kind = first.type
    if kind == "STRING" and not compares_strings:
        node.refuse(_NO_STRINGS, f"there is no kernel of {node.name} for STRING", first)
        return
    if not has_same_inputs(node, first, second, SAME_INPUT_TYPES):
        return
    result.type = "BOOL"
    if not broadcast(node, first, second):
        return
    if kind in _EIGHT_BITS:
        _rescales(node, first, second)
    elif kind == "INT16":
        _compares_16_bits(node, first, second, compares_strings)
    litert, v2_14 = _TYPES[node.name]
    said = _EQUAL_UNSUPPORTED if compares_strings else _ORDER_UNSUPPORTED
    has_kernel(node, first, litert, v2_14, said)
    limit_rank(node, first, second)


def _rescales(node: KernelNode, *operands: Operand, on: On = On.TFLITE) -> None:
    """Integers are multiplied by their scales; factors above 1 shift in the wrong direction."""
    for operand in operands:
        scale = operand.scale
        if 0 < scale < 1:
            continue
        if scale > 1:
            message = f"a scale is {scale:.9g}: the kernel shifts as if it were below 1, and the comparison is wrong"
            node.wrong("comparison-scale", message, operand, on=on)
        elif operand.scheme == "none":
            message = f"an input is {operand.type} without a scale: the process ends"
            node.crash("missing-quantization", message, operand, on=on, at=Stage.INVOKE)
        else:
            message = f"a scale is {scale:.9g}, the kernel rescales by factors above 0 and other than 1"
            node.crash("comparison-scale", f"{message}: the process ends", operand, on=on, at=Stage.INVOKE)


def _compares_16_bits(node: KernelNode, first: Operand, second: Operand, is_equal: bool) -> None:
    if not is_equal:
        _compares_as_they_are(node, first, second, On.TFLITE)
        return
    _compares_as_they_are(node, first, second, On.V2_14)
    if first.scheme != "none":
        _rescales(node, first, second, on=On.LITERT)
    elif node.name == "NOT_EQUAL":
        message = "the inputs are INT16 without a scale: the kernel computes nothing, the output is what was there"
        node.wrong("missing-quantization", message, first, on=On.LITERT)


def _compares_as_they_are(node: KernelNode, first: Operand, second: Operand, on: On) -> None:
    if not (first.is_affine and second.is_affine):
        return
    if abs(first.scale - second.scale) > 1e-3 * abs(first.scale) or first.zero_point != second.zero_point:
        message = f"integers are compared as they are, of scales {first.scale:.9g} and {second.scale:.9g}"
        node.wrong("same-quantization", message, second, on=on)


@kernel("MAXIMUM", "MINIMUM")
def _extreme(node: KernelNode) -> None:
    if not node.has_counts(2):
        return
    first, second, result = node.inputs[0], node.inputs[1], node.outputs[0]
    for operand, said in ((first, _FIRST_MISSING), (second, _SECOND_MISSING)):
        if operand is None:
            node.refuse(said, "an input is not given, the kernel needs both", on=On.LITERT)
            node.crash("missing-input", "an input is not given, the kernel reads both", on=On.V2_14)
            return
    if first is None or second is None or result is None:
        return
    if not has_same_inputs(node, first, second, _EXTREME_TYPE):
        return
    kind = result.type = first.type
    if not broadcast(node, first, second):
        return
    if kind not in _EXTREMES:
        if first.count == 0 or second.count == 0:
            return
        has_kernel(node, result, _EXTREMES_LITERT, _EXTREMES, _EXTREME_UNSUPPORTED)
    elif kind != "FLOAT32":
        copies(node, first, result)
        copies(node, second, result)
    limit_rank(node, first, second)


@kernel("LOGICAL_AND", "LOGICAL_OR")
def _logical(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    if first.type != "BOOL":
        node.refuse(_LOGICAL_UNSUPPORTED, f"the inputs are {first.type}, the kernel takes BOOL", first)
        return
    result.type = "BOOL"
    if broadcast(node, first, second):
        limit_rank(node, first, second)
