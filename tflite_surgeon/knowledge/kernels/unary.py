"""Kernels of functions of single elements.

Source: LiteRT and tflite-runtime 2.14 kernels/elementwise.cc, exp.cc, neg.cc, sign.cc, ceil.cc, floor.cc, round.cc,
zeros_like.cc.
"""

from __future__ import annotations

from math import isnan

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import NO_INPUT
from tflite_surgeon.knowledge.kernels.scales import LOWEST, has_useful_scale, rescales
from tflite_surgeon.knowledge.kernels.single import has_same_type, single, single_unguarded
from tflite_surgeon.knowledge.problems import On, Said, Stage
from tflite_surgeon.quantization import LARGEST

_TYPES = "operator-types"
_ELEMENTWISE = Said(_TYPES, "elementwise.cc", "Type {} is unsupported by op {}")
_BY_EXP = Said(_TYPES, None, "Type {} is currently not supported by Exp.")
_BY_NEG = Said(_TYPES, None, "Neg only currently supports int64, int32, and float32, got {}.")
_BY_SIGN = Said(_TYPES, None, "Unsupported datatype for sign output: {}")
_BY_ZEROS = Said(_TYPES, None, "ZerosLike only currently supports int64, int32, and float32, got {}.")
_BY_CEIL = Said(_TYPES, "ceil.cc", "input->type != kTfLiteFloat32")
_BY_FLOOR = Said(_TYPES, "floor.cc", "input->type == kTfLiteFloat32 || input->type == kTfLiteFloat16")
_BY_FLOOR_2_14 = Said(_TYPES, "floor.cc", "input->type != kTfLiteFloat32")
_BY_ROUND = Said(_TYPES, None, "Type '{}' is not supported by round.")
_BY_ROUND_2_14 = Said(_TYPES, "round.cc", "input->type != kTfLiteFloat32")
_SIGN_COUNT = Said("tensor-count", "sign.cc", "tflite::NumInputs(node) != ")
_INPUT_ZERO = Said("int16-zero-point", "elementwise.cc", "op_data->input_offset != 0")
_OUTPUT_ZERO = Said("int16-zero-point", "elementwise.cc", "op_data->output_offset != 0")
_EXP_ZEROS = (
    Said("int16-zero-point", "exp.cc", "input->params.zero_point != 0"),
    Said("int16-zero-point", "exp.cc", "output->params.zero_point != 0"),
)
_UNQUANTISED = {
    "input": Said("missing-quantization", "elementwise.cc", "input->quantization.type != kTfLiteAffineQuantization (0"),
    "output": Said(
        "missing-quantization", "elementwise.cc", "output->quantization.type != kTfLiteAffineQuantization (0"
    ),
}
_BLOCKWISE = {
    "input": Said("quantization-scheme", "elementwise.cc", "input->quantization.type != kTfLiteAffineQuantization (2"),
    "output": Said(
        "quantization-scheme", "elementwise.cc", "output->quantization.type != kTfLiteAffineQuantization (2"
    ),
}
RSQRT_DOMAIN = Said("function-domain", "elementwise.cc", "Rsqrt is only defined for positive {}")
_SQRT_DOMAIN = Said("function-domain", "elementwise.cc", "Sqrt is only defined for non-negative {}")

_FLOAT = frozenset({"FLOAT32"})
_HALF = frozenset({"FLOAT16"})
_HALVES = frozenset({"FLOAT16", "BFLOAT16"})
_INT8 = frozenset({"INT8"})
_INT16 = frozenset({"INT16"})
# By operator: the types that both runtimes compute, and those that LiteRT has besides.
_ELEMENTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "ABS": (_FLOAT | _INT8 | _INT16 | {"INT32"}, frozenset()),
    "SIN": (_FLOAT, _HALF),
    "COS": (_FLOAT, _HALF),
    "LOG": (_FLOAT, _INT8 | _INT16),
    "SQRT": (_FLOAT, _INT8 | _INT16),
    "RSQRT": (_FLOAT | _INT8, _INT16),
    "SQUARE": (_FLOAT, frozenset()),
    "LOGICAL_NOT": (frozenset({"BOOL"}), frozenset()),
}
_DOMAINS = {"RSQRT": RSQRT_DOMAIN, "SQRT": _SQRT_DOMAIN}
# Constants are looked at up to this many bytes; larger ones are no inputs of such nodes.
_MOST_BYTES = 4096


@kernel(*_ELEMENTS)
def _element(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if has_same_type(node, source, result) and source.type != "FLOAT32":
        both, newer = _ELEMENTS[node.name]
        if source.type not in both:
            on = On.V2_14 if source.type in newer else On.TFLITE
            node.refuse(_ELEMENTWISE, f"there is no kernel for {source.type}", source, on=on)
        if source.type in both or source.type in newer:
            _check_quantised(node, source, result)
    node.same_shape()


def _check_quantised(node: KernelNode, source: Operand, result: Operand) -> None:
    if source.type == "INT16" and source.scheme == "none":
        # Computed without quantisation, by ABS only.
        if node.name != "ABS":
            message = "the input has no scale, the kernel uses a table that was never made"
            node.crash("missing-quantization", message, source, on=On.LITERT, at=Stage.INVOKE)
    elif source.type in ("INT8", "INT16"):
        if has_scales(node, source, result):
            computes_elements(node, source, result)
        if node.name in _DOMAINS:
            stays_in_domain(node, source, _DOMAINS[node.name])


def has_scales(node: KernelNode, source: Operand, result: Operand) -> bool:
    """Whether input and output are affine, and symmetric where they are INT16."""
    for operand, role in ((source, "input"), (result, "output")):
        if operand.scheme == "none":
            message = f"the {role} has no scale, the kernel computes with {operand.type} integers"
            node.refuse(_UNQUANTISED[role], message, operand)
            return False
        if not operand.is_affine:
            node.refuse(_BLOCKWISE[role], f"the {role} is quantised as {operand.scheme}, not by one scale", operand)
            return False
    if source.type == "INT16":
        for said, operand, role in ((_INPUT_ZERO, source, "input"), (_OUTPUT_ZERO, result, "output")):
            if any(operand.zero_points[:1]):
                message = f"the {role}'s zero point is {operand.zero_points[0]}, of INT16 it must be 0"
                node.refuse(said, message, operand)
    return True


def computes_elements(node: KernelNode, source: Operand, result: Operand) -> None:
    """The kernel computes with the first scale of each."""
    for operand, role in ((source, "input"), (result, "output")):
        scale = operand.scales[0]
        if not 0 < scale <= LARGEST:
            node.wrong("scale-value", f"the {role} scale is {scale:.9g}, the kernel takes it as it is", operand)


def stays_in_domain(node: KernelNode, source: Operand, said: Said) -> None:
    """The kernel looks at every integer when the model runs: none may lie below the zero point."""
    point = source.zero_points[0] if source.zero_points else 0
    least = LOWEST[source.type]
    if said is _SQRT_DOMAIN and isnan(source.scale):
        message = "the input scale is not a number, and no input is 0 or more"
        node.refuse(said, message, source, at=Stage.INVOKE)
        return
    if point <= least:
        return
    size = 1 if source.type == "INT8" else 2
    if source.is_constant:
        data = bytes(source.tensor.data or b"")[:_MOST_BYTES]
        values = [
            int.from_bytes(data[i : i + size], "little", signed=True) for i in range(0, len(data) - size + 1, size)
        ]
        low = min(values, default=point)
        if low < point:
            message = f"the input holds {low}, below the zero point {point}: {node.name} has no value there"
            node.refuse(said, message, source, at=Stage.INVOKE)
        return
    node.doubt(
        said.rule,
        f"an input below the zero point {point} ends the run: {node.name} has no value there",
        source,
        at=Stage.INVOKE,
    )


@kernel("EXP")
def _exp(node: KernelNode) -> None:
    found = single_unguarded(node, NO_INPUT)
    if found is None:
        return
    source, result = found
    result.type = source.type
    if source.type != "FLOAT32":
        if source.type == "INT16":
            for said, operand, role in zip(_EXP_ZEROS, (source, result), ("input", "output")):
                if operand.zero_point:
                    message = f"the {role}'s zero point is {operand.zero_point}, of INT16 it must be 0"
                    node.refuse(said, message, operand)
        if source.type in ("INT8", "INT16"):
            rescales(node, source, result)
        else:
            node.refuse(_BY_EXP, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
    node.same_shape()


_NEGATED = frozenset({"FLOAT32", "INT32", "INT64"})
_NEGATED_2_3 = frozenset({"INT8", "INT16", "FLOAT16", "BFLOAT16"})


@kernel("NEG")
def _neg(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    result.type = source.type
    if source.type not in _NEGATED:
        on = On.V2_14 if source.type in _NEGATED_2_3 else On.TFLITE
        node.refuse(_BY_NEG, f"there is no kernel for {source.type}", source, on=on, at=Stage.INVOKE)
        if source.is_affine and result.is_affine and has_useful_scale(node, source, "input", On.LITERT):
            _negates_integers(node, source, result)
    node.same_shape()


def _negates_integers(node: KernelNode, source: Operand, result: Operand) -> None:
    """The integers change their sign, zero point and all."""
    if source.type in ("INT8", "INT16") and (source.scale != result.scale or source.zero_point != -result.zero_point):
        node.wrong(
            "same-quantization",
            f"the kernel negates the integers themselves: the scales {source.scale:.9g} and {result.scale:.9g} must be "
            f"equal and the zero points {source.zero_point} and {result.zero_point} opposite",
            result,
            on=On.LITERT,
        )


@kernel("SIGN")
def _sign(node: KernelNode) -> None:
    if not node.has_counts(1, None, _SIGN_COUNT):
        return
    source, result = node.inputs[0], node.outputs[0] if node.outputs else None
    if source is None or result is None:
        node.crash("missing-input", "the kernel follows its input and its output, and one of them is not given")
        return
    if has_same_type(node, source, result) and source.type not in ("FLOAT32", "FLOAT64", "INT32"):
        node.refuse(_BY_SIGN, f"there is no kernel for {source.type}", source, on=On.LITERT, at=Stage.INVOKE)
        if source.type == "STRING":
            node.crash(_TYPES, "the kernel reads STRING as numbers", source, on=On.V2_14, at=Stage.INVOKE)
        else:
            node.wrong(_TYPES, f"the kernel reads {source.type} as another type", source, on=On.V2_14)
    node.same_shape()


@kernel("CEIL", "FLOOR", "ROUND")
def _whole(node: KernelNode) -> None:
    found = single(node, reads_first=True)
    if found is None:
        return
    source, result = found
    if source.type != "FLOAT32":
        message = f"there is no kernel for {source.type}"
        if node.name == "CEIL":
            node.refuse(_BY_CEIL, message, source)
        else:
            new, old = (_BY_FLOOR, _BY_FLOOR_2_14) if node.name == "FLOOR" else (_BY_ROUND, _BY_ROUND_2_14)
            if source.type not in _HALVES:
                node.refuse(new, message, source, on=On.LITERT)
            node.refuse(old, message, source, on=On.V2_14)
    result.type = source.type
    node.same_shape()


@kernel("ZEROS_LIKE")
def _zeros_like(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    result.type = source.type
    if source.type not in ("FLOAT32", "INT32", "INT64"):
        node.refuse(_BY_ZEROS, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
    node.same_shape()
