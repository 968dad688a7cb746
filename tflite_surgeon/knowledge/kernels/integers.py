"""Kernels of FLOOR_DIV, FLOOR_MOD, POW, ATAN2, BITWISE_XOR, RIGHT_SHIFT, of complex numbers and of StableHLO.

Source: LiteRT and tflite-runtime 2.14 kernels/floor_div.cc, floor_mod.cc, pow.cc, atan2.cc, bitwise_xor.cc,
right_shift.cc, complex_support.cc; LiteRT stablehlo_elementwise.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.broadcasting import broadcast, limit_rank
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.pairs import has_kernel, has_same_inputs, has_zero, pair
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.problems import Said, Stage

_FLOOR_UNSUPPORTED = {
    "FLOOR_DIV": Said("operator-types", None, "Type '{}' is not supported by floor_div."),
    "FLOOR_MOD": Said("operator-types", None, "Type '{}' is not supported by floor_mod."),
}
_DIVISION_BY_ZERO = Said("function-domain", None, "Division by ")
_POW_UNSUPPORTED = Said("operator-types", None, "Unsupported data type {}.Node number {} (POW)")
_NEGATIVE_EXPONENT = Said("function-domain", None, "POW does not support negative value for int32.")
_ATAN2_INPUTS = Said("tensor-count", "atan2.cc", "tflite::NumInputs(node) != 2")
_ATAN2_OUTPUTS = Said("tensor-count", "atan2.cc", "tflite::NumOutputs(node) != 1")
_ATAN2_RANK = Said("dimension-match", "atan2.cc", "tflite::NumDimensions(a) != tflite::NumDimensions(b)")
_ATAN2_SAME = Said("same-type", "atan2.cc", "input_y->type != input_x->type")
_ATAN2_RESULT = Said("same-type", "atan2.cc", "input_y->type != output->type")
_ATAN2_UNSUPPORTED = Said("operator-types", "atan2.cc", "input_y->type == kTfLiteFloat32 || ")
_BITS_UNSUPPORTED = {
    "BITWISE_XOR": Said("operator-types", None, "BitwiseXor currently only supports 8-bit/16-bit/32-bit"),
    "RIGHT_SHIFT": Said("operator-types", None, "RightShift currently only supports 8-bit/16-bit/32-bit"),
}
_COMPLEX_TYPE = Said(
    "operator-types", "complex_support.cc", "input->type == kTfLiteComplex64 || input->type == kTfLiteComplex128 was"
)
_COMPLEX_RESULTS = {
    "COMPLEX64": (Said("same-type", "complex_support.cc", "output->type != kTfLiteFloat32"), "FLOAT32"),
    "COMPLEX128": (Said("same-type", "complex_support.cc", "output->type != kTfLiteFloat64"), "FLOAT64"),
}
_STABLEHLO_TYPE = Said("same-type", "stablehlo_elementwise.cc", "input_tensor1->type != input_tensor2->type")
_STABLEHLO_RANK = Said("dimension-match", "stablehlo_elementwise.cc", "input_tensor1->dims->size != ")
_STABLEHLO_SHAPE = Said("dimension-match", "stablehlo_elementwise.cc", "input_tensor1->dims->data[idx] != ")
_STABLEHLO_UNSUPPORTED = Said("operator-types", None, "(Data Type: {}) currently not supported.")
_STABLEHLO_AND_FLOATS = Said("operator-types", None, "(Data Type: {}) is not supported for bitwise/logical AND.")

_FLOOR_TYPES = {
    "FLOOR_DIV": ("FLOAT32", "INT32", "INT16", "INT8"),
    "FLOOR_MOD": ("FLOAT32", "INT32", "INT16", "INT8", "INT64"),
}
_BITS = ("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32")
_FLOATS = ("FLOAT16", "FLOAT32", "FLOAT64")
_STABLEHLO_TYPES = (*_FLOATS, *_BITS, "INT64", "UINT64", "BOOL")


@kernel(*_FLOOR_TYPES)
def _floor(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    kind = first.type
    if kind not in _FLOOR_TYPES[node.name]:
        node.refuse(_FLOOR_UNSUPPORTED[node.name], f"there is no kernel for {kind}", first)
        return
    result.type = kind
    fits = broadcast(node, first, second)
    if kind != "FLOAT32" or node.name == "FLOOR_DIV":
        _divides_by_zero(node, second)
    if fits:
        limit_rank(node, first, second)


def _divides_by_zero(node: KernelNode, divisor: Operand) -> None:
    """The kernel looks at every divisor before it divides, and refuses a 0."""
    has = has_zero(divisor, 0)
    if has:
        node.refuse(_DIVISION_BY_ZERO, "the divisor has a 0", divisor, at=Stage.INVOKE)
    elif has is None and divisor.count != 0:
        message = "it depends on the inputs: a divisor of 0 is refused"
        node.doubt("function-domain", message, divisor, at=Stage.INVOKE)


@kernel("POW")
def _pow(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    kind = first.type
    if kind not in ("INT32", "FLOAT32"):
        node.refuse(_POW_UNSUPPORTED, f"there is no kernel for {kind}", first)
        return
    result.type = kind
    fits = broadcast(node, first, second)
    if kind == "INT32" and not second.is_constant:
        message = "it depends on the inputs: a negative exponent is refused"
        node.doubt("function-domain", message, second, at=Stage.INVOKE)
    elif kind == "INT32" and min(second.values or [0]) < 0:
        node.refuse(_NEGATIVE_EXPONENT, "an exponent is negative", second, at=Stage.INVOKE)
    if fits:
        limit_rank(node, first, second)


@kernel("ATAN2")
def _atan2(node: KernelNode) -> None:
    if len(node.inputs) != 2:
        node.refuse(_ATAN2_INPUTS, f"there are {len(node.inputs)} inputs, the kernel takes 2")
        return
    if len(node.outputs) != 1:
        node.refuse(_ATAN2_OUTPUTS, f"there are {len(node.outputs)} outputs, the kernel makes 1")
        return
    first, second, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if first is None or second is None or result is None:
        node.crash("missing-input", "an input is not given, and the kernel does not look")
        return
    if first.rank is not None and second.rank is not None and first.rank != second.rank:
        node.refuse(_ATAN2_RANK, f"the inputs are {first.shape} and {second.shape}", second)
        return
    if not has_same_inputs(node, first, second, _ATAN2_SAME):
        return
    if first.type != result.type:
        node.refuse(_ATAN2_RESULT, f"the inputs are {first.type} and the output {result.type}", result)
        return
    litert = ("FLOAT32", "FLOAT64", "BFLOAT16", "FLOAT16")
    has_kernel(node, first, litert, ("FLOAT32", "FLOAT64"), _ATAN2_UNSUPPORTED, at=Stage.ALLOCATE)
    if first.shape is not None and second.shape is not None and first.shape != second.shape:
        message = f"the inputs are {first.shape} and {second.shape}: the kernel does not broadcast and does not look"
        node.wrong("dimension-match", message, second)
    node.same_shape()


@kernel("BITWISE_XOR", "RIGHT_SHIFT")
def _bits(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second):
        return
    kind = result.type = first.type
    if kind not in _BITS:
        node.refuse(_BITS_UNSUPPORTED[node.name], f"there is no kernel for {kind}", first, at=Stage.INVOKE)
    if broadcast(node, first, second):
        limit_rank(node, first, second)


@kernel("REAL", "IMAG", "COMPLEX_ABS")
def _part(node: KernelNode) -> None:
    if not node.has_counts(1):
        return
    source, result = node.inputs[0], node.outputs[0]
    if source is None or result is None:
        node.crash("missing-input", "the input is not given, and the kernel does not look")
        return
    if source.type not in _COMPLEX_RESULTS:
        node.refuse(_COMPLEX_TYPE, f"the input is {source.type}, the kernel takes complex numbers", source)
        return
    said, wanted = _COMPLEX_RESULTS[source.type]
    if result.type != wanted:
        node.refuse(said, f"the output is {result.type}, the kernel makes {wanted} from {source.type}", result)
        return
    node.same_shape()


@kernel("STABLEHLO_ADD", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_MINIMUM", "STABLEHLO_AND")
def _stablehlo(node: KernelNode) -> None:
    found = pair(node)
    if found is None:
        return
    first, second, result = found
    if not has_same_inputs(node, first, second, _STABLEHLO_TYPE):
        return
    if first.shape is not None and second.shape is not None and first.shape != second.shape:
        said = _STABLEHLO_RANK if len(first.shape) != len(second.shape) else _STABLEHLO_SHAPE
        node.refuse(said, f"the inputs are {first.shape} and {second.shape}: the kernel does not broadcast", second)
        return
    node.same_shape()
    if node.name == "STABLEHLO_AND" and first.type in _FLOATS:
        node.refuse(_STABLEHLO_AND_FLOATS, f"there is no kernel for {first.type}", first, at=Stage.INVOKE)
    elif first.type not in _STABLEHLO_TYPES:
        node.refuse(_STABLEHLO_UNSUPPORTED, f"there is no kernel for {first.type}", first, at=Stage.INVOKE)
    elif result.type != first.type:
        message = f"the kernel writes {first.type} into an output of {result.type}"
        node.wrong("same-type", message, result)
