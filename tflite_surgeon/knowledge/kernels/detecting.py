"""Kernels that choose boxes, and look up or hash words.

Source: LiteRT and tflite-runtime 2.14 kernels/non_max_suppression.cc, detection_postprocess.cc, hashtable_lookup.cc,
lsh_projection.cc, skip_gram.cc.
"""

from __future__ import annotations

from typing import Any

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.moving import has_rank, is_of
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import OUTPUT_COUNT
from tflite_surgeon.knowledge.problems import On, Said, Stage

_NMS_INPUTS = Said("tensor-count", None, "Found NMS op with invalid num inputs: ")
_NMS_NAMES = ("boxes", "scores", "max_output_size", "iou_threshold", "score_threshold", "sigma")
_NMS_TYPES = tuple(Said("operator-types", "non_max_suppression.cc", f"input_{name}->type != ") for name in _NMS_NAMES)
_NMS_RANKS = tuple(
    Said("tensor-rank", "non_max_suppression.cc", f"NumDimensions(input_{name}) != ") for name in _NMS_NAMES
)
_NMS_CORNERS = Said("dimension-match", "non_max_suppression.cc", "SizeOfDimension(input_boxes, 1) != ")
_NMS_COUNT = Said("dimension-match", "non_max_suppression.cc", "num_boxes != ")
_NMS_MOST = Said("positive-size", "non_max_suppression.cc", "(max_output_size_value >= 0) was not true")
_POST_RANKS = tuple(
    Said("tensor-rank", "detection_postprocess.cc", f"NumDimensions(input_{name}) != ")
    for name in ("box_encodings", "class_predictions", "anchors")
)
_LOOKUP_RANKS = tuple(
    Said("tensor-rank", "hashtable_lookup.cc", f"NumDimensions({name}) != ") for name in ("lookup", "key")
)
_LOOKUP_TYPES = tuple(
    Said("operator-types", "hashtable_lookup.cc", f"{name}->type != ") for name in ("lookup", "key", "hits")
)
_LOOKUP_SCALAR = Said("tensor-rank", "hashtable_lookup.cc", "NumDimensions(value) >= 1 was not true")
_LOOKUP_ROWS = Said("dimension-match", "hashtable_lookup.cc", "SizeOfDimension(key, 0) != ")
_LOOKUP_SAME = Said("same-type", "hashtable_lookup.cc", "value->type != output->type")
_LSH_INPUTS = Said("tensor-count", "lsh_projection.cc", "NumInputs(node) == 2 || NumInputs(node) == 3 was not true")
_LSH_RANK = Said("tensor-rank", "lsh_projection.cc", "NumDimensions(hash) != ")
_LSH_BITS = Said("dimension-match", "lsh_projection.cc", "SizeOfDimension(hash, 1) <= 32 was not true")
_LSH_SCALAR = Said("tensor-rank", "lsh_projection.cc", "NumDimensions(input) >= 1 was not true")
_LSH_EMPTY = Said("positive-size", "lsh_projection.cc", "SizeOfDimension(input, 0) >= 1 was not true")
_LSH_WEIGHT = (
    Said("tensor-rank", "lsh_projection.cc", "NumDimensions(weight) != "),
    Said("dimension-match", "lsh_projection.cc", "SizeOfDimension(weight, 0) != "),
)
_SKIP_TYPES = (
    Said("operator-types", "skip_gram.cc", "input_tensor->type != "),
    Said("operator-types", "skip_gram.cc", "output_tensor->type != "),
)

_BOX = 4
_POST_RANKS_WANTED = (3, 3, 2)


@kernel("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5")
def _suppress(node: KernelNode) -> None:
    if len(node.inputs) not in (5, 6):
        node.refuse(_NMS_INPUTS, f"there are {len(node.inputs)} inputs, the kernel takes 5 or 6")
        return
    if not node.needs(*range(len(node.inputs))):
        return
    given = [operand for operand in node.inputs if operand is not None]
    for position, (operand, rank) in enumerate(zip(given, (2, 1, 0, 0, 0, 0))):
        # tflite-runtime 2.14 looks at one threshold twice and never at the other.
        on = On.LITERT if position == 4 else None
        is_of(node, _NMS_TYPES[position], operand, ("INT32",) if position == 2 else ("FLOAT32",), on=on)
        has_rank(node, _NMS_RANKS[position], operand, rank)
        if position == 0 and operand.rank == 2 and operand.dim(1) != _BOX:
            node.refuse(_NMS_CORNERS, f"a box has {operand.dim(1)} numbers, the kernel takes 4", operand)
        if position == 1 and None not in (given[0].dim(0), operand.dim(0)) and given[0].dim(0) != operand.dim(0):
            message = f"there are {given[0].dim(0)} boxes and {operand.dim(0)} scores"
            node.refuse(_NMS_COUNT, message, operand)
    most = given[2].values
    if most and most[0] < 0:
        node.refuse(_NMS_MOST, f"the most boxes are {most[0]}", given[2])
        return
    soft = len(given) == 6
    if len(node.outputs) != 2 + soft:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes {2 + soft}")
        return
    for position, result in enumerate(node.outputs):
        if result is None:
            continue
        result.type = "FLOAT32" if soft and position == 1 else "INT32"
        if position == len(node.outputs) - 1:
            node.resize(position, [])
        elif not given[2].is_fixed:
            node.resize(position, None)
        elif most:
            node.resize(position, [most[0]])
        else:
            result.shape = None


@kernel("CUSTOM TFLite_Detection_PostProcess")
def _post_process(node: KernelNode) -> None:
    if not node.has_counts(3, None) or not node.needs(0, 1, 2):
        return
    for said, operand, rank in zip(_POST_RANKS, node.inputs, _POST_RANKS_WANTED):
        if operand is not None:
            has_rank(node, said, operand, rank)
    if len(node.outputs) != 4:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 4")
        return
    count = _most_boxes(node)
    for position, result in enumerate(node.outputs):
        if result is None:
            continue
        result.type = "FLOAT32"
        if position == 3:
            node.resize(position, [1])
        elif count is None:
            result.shape = None
        else:
            node.resize(position, [1, count, _BOX] if position == 0 else [1, count])


def _most_boxes(node: KernelNode) -> int | None:
    try:
        options: Any = node.operator.flexbuffer
        return int(options["max_detections"]) * int(options["max_classes_per_detection"])
    except (LookupError, TypeError, ValueError):
        return None


@kernel("HASHTABLE_LOOKUP")
def _look_up(node: KernelNode) -> None:
    if not node.has_counts(3, 2) or not node.needs(0, 1, 2):
        return
    wanted, keys, values = node.inputs
    result, hits = node.outputs
    if wanted is None or keys is None or values is None or result is None or hits is None:
        return
    for number, operand in enumerate((wanted, keys)):
        has_rank(node, _LOOKUP_RANKS[number], operand, 1)
        is_of(node, _LOOKUP_TYPES[number], operand, ("INT32",))
    if values.shape == []:
        node.refuse(_LOOKUP_SCALAR, "the values are a scalar", values)
    elif None not in (keys.dim(0), values.dim(0)) and keys.dim(0) != values.dim(0):
        node.refuse(_LOOKUP_ROWS, f"there are {keys.dim(0)} keys and {values.dim(0)} values", values)
    is_of(node, _LOOKUP_TYPES[2], hits, ("UINT8",))
    if values.type != result.type:
        node.refuse(_LOOKUP_SAME, f"the values are {values.type}, the output {result.type}", result)
    count = wanted.dim(0)
    if count is None or not values.shape:
        result.shape = hits.shape = None
        return
    if result.type != "STRING":
        node.resize(0, [count, *values.shape[1:]])
    node.resize(1, [count])


@kernel("LSH_PROJECTION")
def _project(node: KernelNode) -> None:
    if not node.has_counts((2, 3), said=_LSH_INPUTS) or not node.needs(*range(len(node.inputs))):
        return
    seeds, source, weight, result = node.inputs[0], node.inputs[1], node.input(2), node.outputs[0]
    if seeds is None or source is None or result is None:
        return
    if not has_rank(node, _LSH_RANK, seeds, 2):
        return
    bits, rows = seeds.dim(1), source.dim(0)
    if bits is not None and bits > 32:
        node.refuse(_LSH_BITS, f"a hash has {bits} bits, the kernel makes 32 at most", seeds)
    if source.shape == []:
        node.refuse(_LSH_SCALAR, "the input is a scalar", source)
    elif rows is not None and rows < 1:
        node.refuse(_LSH_EMPTY, "the input is empty", source)
    if weight is not None and has_rank(node, _LSH_WEIGHT[0], weight, 1):
        count = weight.dim(0)
        if count != rows and None not in (count, rows):
            node.refuse(_LSH_WEIGHT[1], f"there are {count} weights for {rows} rows", weight)
    _size_projection(node, seeds, result)


def _size_projection(node: KernelNode, seeds: Operand, result: Operand) -> None:
    kind = name_of("LSHProjectionType", node.option("LSHProjectionOptions", "type")) or "UNKNOWN"
    if kind not in ("SPARSE", "DENSE"):
        node.refuse_silently("option-value", f"the type is {kind}, the kernel has SPARSE and DENSE")
    elif seeds.shape is None:
        result.shape = None
    else:
        node.resize(0, [seeds.shape[0] * (seeds.shape[1] if kind == "DENSE" else 1)])


@kernel("SKIP_GRAM")
def _skip_gram(node: KernelNode) -> None:
    if not node.has_counts(1) or not node.needs(0):
        return
    for said, operand in zip(_SKIP_TYPES, (node.inputs[0], node.outputs[0])):
        if operand is not None:
            is_of(node, said, operand, ("STRING",), at=Stage.ALLOCATE)
    node.resize(0, None)
