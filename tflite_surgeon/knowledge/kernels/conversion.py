"""Kernels that change types: QUANTIZE, DEQUANTIZE, CAST, BITCAST, DENSIFY and FAKE_QUANT.

Source: LiteRT and tflite-runtime 2.14 kernels/quantize.cc, dequantize.cc, cast.cc, bitcast.cc, densify.cc,
fake_quant.cc.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.scales import BYTES, has_useful_scale
from tflite_surgeon.knowledge.kernels.single import single, single_unguarded
from tflite_surgeon.knowledge.problems import On, Said, Stage
from tflite_surgeon.quantization import LARGEST

_TYPES = "operator-types"
_OUTPUT_SCALE = Said("missing-quantization", "quantize.cc", "output->quantization.type != kTfLiteAffineQuantization (0")
_OUTPUT_BLOCKS = Said("quantization-scheme", "quantize.cc", "output->quantization.type != kTfLiteAffineQuantization (2")
_FROM_TYPE = Said(_TYPES, "quantize.cc", "input->type == kTfLiteInt8 || input->type == kTfLiteUInt8 was not true")
_TO_TYPE = Said(_TYPES, "quantize.cc", "output->type == {} was not true")
_PAIR = Said(_TYPES, None, "Input type {} with Output type {} is not currently supported.")
_INT16_ZEROS = (
    Said("int16-zero-point", "quantize.cc", "input->params.zero_point != 0"),
    Said("int16-zero-point", "quantize.cc", "output->params.zero_point != 0"),
)
_NO_INPUT = Said("missing-input", "dequantize.cc", "op_context.input != nullptr was not true")
_DEQUANTIZED = Said(_TYPES, "dequantize.cc", "is_supported_type was not true")
_DEQUANTIZED_2_14 = Said(_TYPES, "dequantize.cc", "op_context.input->type == kTfLiteUInt8 || {} was not true")
_DEQUANTIZED_ZERO = Said("int16-zero-point", "dequantize.cc", "op_context.input->params.zero_point != 0")
_BY_CHANNEL = Said(_TYPES, None, "Type {} not supported for per-channel.")
_CAST = Said(_TYPES, "cast.cc", "Type {} is unsupported by op Cast")
_BITS = Said("dimension-match", "bitcast.cc", "input->dims->data[dims - 1] != output_type_size / input_type_size")
_UNSIZED = Said(_TYPES, None, "Type {} is unsupported. Only float16, float32")
_DENSE_NO_INPUT = Said("missing-input", "densify.cc", "op_context.input != nullptr was not true")
_DENSE_STRING = Said(_TYPES, "densify.cc", "op_context.input->type != kTfLiteString was not true")
_DENSE_CONSTANT = Said("constant-needed", "densify.cc", "IsConstantTensor(op_context.input) was not true")
_DENSE_SPARSITY = Said("sparsity", "densify.cc", "op_context.input->sparsity != nullptr was not true")
_DENSE_TYPE = Said(_TYPES, None, "Type {} not supported.")
_NARROW = Said("option-value", None, "narrow_range FakeQuant is not currently supported at runtime.")

# What QUANTIZE makes of what: in both runtimes, and in LiteRT besides.
_QUANTIZED: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "FLOAT32": (frozenset({"UINT8", "INT8", "INT16"}), frozenset({"INT4", "UINT4"})),
    "INT16": (frozenset({"INT8", "INT16", "INT32"}), frozenset()),
    "INT32": (frozenset({"INT8", "INT16"}), frozenset()),
    "INT8": (frozenset({"UINT8", "INT8"}), frozenset({"INT16"})),
    "UINT8": (frozenset({"UINT8", "INT8"}), frozenset({"INT16"})),
}
_BY_CHANNEL_TYPES = frozenset({"UINT8", "INT8", "INT16"})


@kernel("QUANTIZE")
def _quantize(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if result.scheme == "none":
        node.refuse(_OUTPUT_SCALE, "the output has no scale, the kernel needs one", result)
    elif not result.is_affine:
        node.refuse(_OUTPUT_BLOCKS, f"the output is quantised as {result.scheme}, the kernel needs a scale", result)
    both, newer = _QUANTIZED.get(source.type, _QUANTIZED["INT8"])
    if source.type not in _QUANTIZED:
        node.refuse(_FROM_TYPE, f"there is no kernel for {source.type}", source)
    elif result.type not in both:
        on = On.V2_14 if result.type in newer else On.TFLITE
        node.refuse(_TO_TYPE, f"there is no kernel from {source.type} to {result.type}", result, on=on)
    if source.type == result.type == "INT16":
        for said, operand, role in zip(_INT16_ZEROS, (source, result), ("input", "output")):
            if operand.zero_point:
                message = f"the {role}'s zero point is {operand.zero_point}, of INT16 it must be 0"
                node.refuse(said, message, operand)
    _check_scales(node, source, result)
    node.same_shape()


def _check_scales(node: KernelNode, source: Operand, result: Operand) -> None:
    if source.type == "FLOAT32":
        scales = result.scales
        if len(scales) > 1 and result.type not in _BY_CHANNEL_TYPES:
            message = f"there is no kernel for {len(scales)} scales of {result.type}"
            node.refuse(_PAIR, message, result, on=On.LITERT, at=Stage.INVOKE)
        for scale in scales:
            if not 0 < scale <= LARGEST:
                node.wrong("scale-value", f"the output scale is {scale:.9g}, the kernel divides by it", result)
                break
    elif source.type in _QUANTIZED:
        has_useful_scale(node, source, "input")
        if result.is_affine:
            has_useful_scale(node, result, "output")


_DEQUANTIZED_TYPES = frozenset({"UINT8", "INT8", "INT16", "FLOAT16"})
_DEQUANTIZED_TYPES_2_3 = frozenset({"INT2", "INT4", "UINT4"})


@kernel("DEQUANTIZE")
def _dequantize(node: KernelNode) -> None:
    found = single_unguarded(node, _NO_INPUT)
    if found is None:
        return
    source, result = found
    if source.type not in _DEQUANTIZED_TYPES:
        message = f"there is no kernel for {source.type}"
        if source.type not in _DEQUANTIZED_TYPES_2_3:
            node.refuse(_DEQUANTIZED, message, source, on=On.LITERT)
        node.refuse(_DEQUANTIZED_2_14, message, source, on=On.V2_14)
    if source.type == "INT16" and source.zero_point:
        message = f"the input's zero point is {source.zero_point}, of INT16 it must be 0"
        node.refuse(_DEQUANTIZED_ZERO, message, source)
    if len(source.scales) > 1:
        if source.type in ("INT16", "FLOAT16"):
            message = f"there is no kernel for {len(source.scales)} scales of {source.type}"
            node.refuse(_BY_CHANNEL, message, source, at=Stage.INVOKE)
        for scale in source.scales:
            if not 0 < scale <= LARGEST:
                node.wrong("scale-value", f"an input scale is {scale:.9g}, the kernel takes it as it is", source)
                break
    elif source.type in _DEQUANTIZED_TYPES and source.type != "FLOAT16":
        has_useful_scale(node, source, "input")
        if source.is_constant and not source.is_affine and source.type == "INT8":
            message = "a constant without a scale: the delegate of tflite-runtime 2.14 dies where it unpacks it"
            node.doubt("missing-quantization", message, source, on=On.V2_14)
    result.type = "FLOAT32"
    if source.is_constant:
        result.move()
    node.same_shape()


_CAST_TYPES = frozenset(
    {
        "INT64",
        "INT32",
        "UINT32",
        "UINT16",
        "INT16",
        "UINT8",
        "INT8",
        "FLOAT16",
        "FLOAT32",
        "FLOAT64",
        "BOOL",
        "COMPLEX64",
    }
)
_CAST_TYPES_2_3 = frozenset({"BFLOAT16"})
# Read as FLOAT32 only, and made of FLOAT32 only.
_PACKED = frozenset({"INT4", "INT2", "UINT4"})


@kernel("CAST")
def _cast(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    if source.type not in _CAST_TYPES or result.type not in _CAST_TYPES:
        _check_cast(node, source, result)
    node.same_shape()


def _check_cast(node: KernelNode, source: Operand, result: Operand) -> None:
    for operand, other in ((source, result), (result, source)):
        name = operand.type
        if name in _CAST_TYPES:
            continue
        on = On.TFLITE
        if name in _CAST_TYPES_2_3 or (name in _PACKED and other.type == "FLOAT32"):
            # Of 4 bits, tflite-runtime 2.14 reads INT4 into FLOAT32.
            on = On(0) if name == "INT4" and operand is source else On.V2_14
        node.refuse(_CAST, f"there is no kernel from {source.type} to {result.type}", operand, on=on, at=Stage.INVOKE)


_SIZES_2_3 = frozenset({"INT4", "INT2", "UINT4"})


@kernel("BITCAST")
def _bitcast(node: KernelNode) -> None:
    found = single(node)
    if found is None:
        return
    source, result = found
    sizes = []
    for operand in (source, result):
        size = BYTES.get(operand.type)
        if size is None:
            on = On.V2_14 if operand.type in _SIZES_2_3 else On.TFLITE
            node.refuse(_UNSIZED, f"{operand.type} has no size in whole bytes", operand, on=on)
        sizes.append(size)
    old, new = sizes
    shape = source.shape
    if shape is None or old is None or new is None:
        node.resize(0, None if shape is None else list(shape))
    elif old > new:
        node.resize(0, [*shape, old // new])
    elif old == new:
        node.same_shape()
    else:
        if not shape or shape[-1] != new // old:
            last = shape[-1] if shape else "missing"
            message = f"the input's last dimension is {last}, {result.type} is made of {new // old} x {source.type}"
            node.refuse(_BITS, message, source)
        node.resize(0, list(shape[:-1]))


@kernel("DENSIFY")
def _densify(node: KernelNode) -> None:
    found = single_unguarded(node, _DENSE_NO_INPUT)
    if found is None:
        return
    source, result = found
    if source.type == "STRING":
        node.refuse(_DENSE_STRING, "the input is STRING, the kernel takes numbers", source)
    if not source.is_constant:
        node.refuse(_DENSE_CONSTANT, "the input is no constant, the kernel unpacks one", source)
    if source.tensor.sparsity is None:
        node.refuse(_DENSE_SPARSITY, "the input is not sparse, the kernel reads how it is packed", source)
    elif source.type not in ("FLOAT32", "FLOAT16", "INT8"):
        node.refuse(_DENSE_TYPE, f"there is no kernel for {source.type}", source, at=Stage.INVOKE)
    result.type = source.type
    node.same_shape()


@kernel("FAKE_QUANT")
def _fake_quant(node: KernelNode) -> None:
    if not node.has_counts(1):
        return
    if node.option("FakeQuantOptions", "narrow_range"):
        node.refuse(_NARROW, "narrow_range is set, the kernel takes the whole range only")
    source, result = node.inputs[0], node.outputs[0]
    if source is None:
        node.crash("missing-input", "the input is not given, the kernel reads it")
        return
    if source.type == "STRING":
        node.crash(_TYPES, "the kernel reads STRING as FLOAT32", source, at=Stage.INVOKE)
    elif source.type != "FLOAT32":
        message = f"the input is {source.type}, the kernel reads FLOAT32"
        node.wrong(_TYPES, message, source)
        if BYTES.get(source.type, 0) < BYTES["FLOAT32"]:
            node.doubt(_TYPES, f"{message}, beyond its end", source, at=Stage.INVOKE)
    if result is not None:
        result.type = source.type
    node.same_shape()
