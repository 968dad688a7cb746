"""Kernels of StableHLO operators that move values, and REDUCE_WINDOW. tflite-runtime 2.14 has none of them.

Source: LiteRT kernels/stablehlo_gather.cc, stablehlo_scatter.cc, stablehlo_pad.cc, stablehlo_reduce_window.cc,
rng_bit_generator.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

from tflite_surgeon.knowledge.kernels.moving import (
    EVERY_WIDTH,
    INDEX_TYPES,
    agrees,
    copies,
    has_rank,
    indices,
    is_of,
    reads,
)
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import NO_SUCH_TENSOR
from tflite_surgeon.knowledge.problems import Said, Stage

_INDEX_TYPE = Said("operator-types", None, "(Index Type: {}) currently not supported.")
_DATA_TYPE = Said("operator-types", None, "Data Type: {}) currently not supported.")
_GATHER_SIZES = Said("dimension-match", "stablehlo_gather.cc", "data->num_slice_sizes != ")
_GATHER_OPTIONS = tuple(
    Said("option-value", "stablehlo_gather.cc", text)
    for text in (
        "data->num_collapsed_slice_dims <= ",
        "data->num_offset_dims <= ",
        "data->index_vector_dim <= ",
    )
)
_SCATTER_OPTIONS = tuple(
    Said("option-value", "stablehlo_scatter.cc", text)
    for text in (
        "data->num_update_window_dims <= ",
        "data->num_inserted_window_dims <= ",
        "data->num_scatter_dims_to_operand_dims <= ",
        "data->index_vector_dim <= ",
    )
)
_SCATTER_GRAPH = Said("subgraph-call", None, "Computation subgraph not found for stablehlo.scatter.")
_SCATTER_MANY = Said("subgraph-call", None, "Only one kernel allowed within the stablehlo region.")
_SCATTER_KIND = Said("subgraph-call", None, "Only update, Add, Multiply, Maximum and Minimum operations are ")
_PAD_SAME = (
    Said("same-type", "stablehlo_pad.cc", "input_tensor->type == padding_value_tensor->type was not true"),
    Said("same-type", "stablehlo_pad.cc", "input_tensor->type == output_tensor->type was not true"),
)
_PAD_COUNT = Said("dimension-match", "stablehlo_pad.cc", "padding_value_count != ")
_PAD_RANK = Said("tensor-rank", "stablehlo_pad.cc", "StableHLO Pad input rank must be between 1 and ")
_PAD_INTERIOR = Said("padding-values", "stablehlo_pad.cc", "StableHLO Pad interior padding must be non-negative.")
_WINDOW_SAME = (
    Said("same-type", "stablehlo_reduce_window.cc", "input_tensor->type != output_tensor->type"),
    Said("same-type", "stablehlo_reduce_window.cc", "input_tensor->type != init_value_tensor->type"),
)
_WINDOW_SCALAR = Said("tensor-rank", "stablehlo_reduce_window.cc", "input_tensor->dims->size > 0 was not true")
_WINDOW_RANK = Said("rank-limit", "stablehlo_reduce_window.cc", "input_tensor->dims->size <= kMaxReduceWindowRank")
_WINDOW_OPTIONS = tuple(
    Said("option-value", "stablehlo_reduce_window.cc", f"AllGtThanZero({name}) was not true")
    for name in ("base_dilations", "window_dimensions", "window_strides", "window_dilations")
)
_WINDOW_CONSTANT = tuple(
    Said("constant-needed", "stablehlo_reduce_window.cc", f"IsConstantTensor(window_{name}_tensor) was not true")
    for name in ("dimensions", "strides", "dilations")
)
_WINDOW_TYPES = tuple(
    Said("operator-types", "stablehlo_reduce_window.cc", f"window_{name}_tensor->type != ")
    for name in ("dimensions", "strides", "dilations")
)
_RANDOM_STATE = Said("operator-types", "rng_bit_generator.cc", "initial_state->type != ")
_RANDOM_RANK = Said("tensor-rank", "rng_bit_generator.cc", "NumDimensions(initial_state) != ")
_RANDOM_KEY = Said("operator-types", "rng_bit_generator.cc", "output_key->type != ")
_RANDOM_SHAPE = Said("output-shape", "rng_bit_generator.cc", "HaveSameShapes(output_key, initial_state) was not true")
_RANDOM_TYPE = Said("operator-types", "rng_bit_generator.cc", "output->type == kTfLiteInt32 || ")

_MOST_RANK = 8
_MOST_WINDOW_RANK = 6
_REGION = frozenset({"STABLEHLO_ADD", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_MINIMUM"})


def _list(node: KernelNode, table: str, name: str) -> list[int]:
    return [int(value) for value in node.option(table, name) or ()]


@kernel("STABLEHLO_GATHER")
def _gather(node: KernelNode) -> None:
    if not node.has_counts(2) or not node.needs(0, 1):
        return
    source, positions, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or positions is None or result is None:
        return
    if not is_of(node, _INDEX_TYPE, positions, INDEX_TYPES):
        return
    is_of(node, _DATA_TYPE, source, EVERY_WIDTH, at=Stage.INVOKE)
    table = "StablehloGatherOptions"
    sizes, offsets = _list(node, table, "slice_sizes"), _list(node, table, "offset_dims")
    collapsed, vector = _list(node, table, "collapsed_slice_dims"), int(node.option(table, "index_vector_dim"))
    copies(node, source, result)
    if source.rank is not None and len(sizes) != source.rank:
        node.refuse(_GATHER_SIZES, f"there are {len(sizes)} slice sizes for {source.rank} dimensions", source)
        return
    if positions.shape is None or result.shape is None:
        result.shape = None
        return
    rank = len(result.shape)
    fitting = (len(collapsed) <= len(sizes), len(offsets) <= rank, vector <= len(positions.shape))
    for said, holds in zip(_GATHER_OPTIONS, fitting):
        if not holds:
            node.refuse(said, f"the options name more dimensions than there are: {offsets}, {collapsed}, {vector}")
            return
    kept = [size for at, size in enumerate(sizes) if at not in collapsed]
    batch = [size for at, size in enumerate(positions.shape) if at != vector]
    if len(kept) < sum(at in offsets for at in range(rank)) or len(batch) < sum(
        at not in offsets for at in range(rank)
    ):
        node.doubt("option-value", "the options name dimensions that do not exist, and nobody looks")
        result.shape = None
        return
    slices, rest = iter(kept), iter(batch)
    node.resize(0, [next(slices) if at in offsets else next(rest) for at in range(rank)])


@kernel("STABLEHLO_SCATTER")
def _scatter(node: KernelNode) -> None:
    if not node.has_counts(3) or not node.needs(0, 1, 2):
        return
    source, positions, updates = node.inputs
    result = node.outputs[0]
    if source is None or positions is None or updates is None or result is None:
        return
    if not is_of(node, _INDEX_TYPE, positions, INDEX_TYPES):
        return
    copies(node, source, result)
    node.same_shape()
    table = "StablehloScatterOptions"
    names = ("update_window_dims", "inserted_window_dims", "scatter_dims_to_operand_dims")
    counts = [len(_list(node, table, name)) for name in names] + [int(node.option(table, "index_vector_dim"))]
    for said, count, operand in zip(_SCATTER_OPTIONS, counts, (updates, source, source, positions)):
        if operand.rank is not None and count > operand.rank:
            node.refuse(said, f"an option names {count} dimensions of a tensor that has {operand.rank}", operand)
            return
    called = node.graph.subgraph(node.option(table, "update_computation_subgraph"))
    if called is None:
        node.refuse(_SCATTER_GRAPH, "the computation is a subgraph that does not exist")
        return
    operators = [operator.name for operator in called[1].operators or ()]
    if len(operators) > 1:
        node.refuse(_SCATTER_MANY, f"the computation has {len(operators)} nodes, the kernel takes one")
    elif operators and operators[0] not in _REGION:
        node.refuse(_SCATTER_KIND, f"the computation is {operators[0]}, which the kernel does not have")


@kernel("STABLEHLO_PAD")
def _pad(node: KernelNode) -> None:
    for position in range(2):
        if position >= len(node.inputs):
            node.refuse(NO_SUCH_TENSOR, f"there are {len(node.inputs)} inputs, the kernel takes 2")
            return
    if not node.needs(0, 1) or not node.outputs:
        return
    source, value, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or value is None or result is None:
        return
    agrees(node, _PAD_SAME[0], source, value)
    if value.count not in (None, 1):
        node.refuse(_PAD_COUNT, f"the padding value has {value.count} elements, the kernel takes 1", value)
    if source.rank is not None and not 1 <= source.rank <= _MOST_RANK:
        node.refuse(_PAD_RANK, f"the input has {source.rank} dimensions, the kernel takes 1 to 8", source)
        return
    agrees(node, _PAD_SAME[1], source, result)
    copies(node, source, result)
    low, high, inner = (
        _list(node, "StablehloPadOptions", name)
        for name in ("edge_padding_low", "edge_padding_high", "interior_padding")
    )
    if source.shape is None or len(source.shape) > min(len(low), len(high), len(inner)):
        result.shape = None
        return
    if min(inner, default=0) < 0:
        node.refuse(_PAD_INTERIOR, f"the padding between elements is {inner}")
        return
    made = [
        size + max(size - 1, 0) * between + before + after
        for size, between, before, after in zip(source.shape, inner, low, high)
    ]
    node.resize(0, made if min(made) > 0 else [0] * len(made))


@kernel("STABLEHLO_REDUCE_WINDOW")
def _reduce_window(node: KernelNode) -> None:
    source = _windowed(node, 2)
    if source is None or source.shape is None:
        return
    rank = len(source.shape)
    table = "StablehloReduceWindowOptions"
    names = ("base_dilations", "window_dimensions", "window_strides", "window_dilations")
    options = [_list(node, table, name) or [1] * rank for name in names]
    for said, name, values in zip(_WINDOW_OPTIONS, names, options):
        if min(values[:rank]) <= 0:
            node.refuse(said, f"the option {name} is {values}, all must be positive")
            return
    if min(map(len, options)) < rank:
        node.outputs[0].shape = None  # type: ignore[union-attr]
        return
    paddings = _list(node, table, "padding") or [0] * (2 * rank)
    if len(paddings) < 2 * rank:
        return
    padded = [
        (size - 1) * options[0][at] + 1 + paddings[2 * at] + paddings[2 * at + 1]
        for at, size in enumerate(source.shape)
    ]
    node.resize(0, _windows(padded, *options[1:]))


@kernel("REDUCE_WINDOW")
def _reduce_window_by_inputs(node: KernelNode) -> None:
    source = _windowed(node, 5)
    if source is None:
        return
    given = [operand for operand in node.inputs[2:] if operand is not None]
    sound = True
    for said, operand in zip(_WINDOW_CONSTANT, given):
        if not operand.is_constant:
            node.refuse(said, "the window is computed, the kernel needs a constant", operand)
            sound = False
    for said, operand in zip(_WINDOW_TYPES, given):
        sound &= is_of(node, said, operand, ("INT64",))
    values = [indices(operand.values, source.rank) for operand in given] if sound else [None]
    known = [value for value in values if value is not None]
    if source.shape is None or len(known) < 3 or min(known[1], default=1) < 1:
        node.outputs[0].shape = None  # type: ignore[union-attr]
        return
    node.resize(0, _windows(source.shape, *known))


def _windowed(node: KernelNode, count: int) -> Operand | None:
    """The input of a kernel that slides a window, where it has what it needs."""
    if not node.has_counts(count) or not reads(node, *range(count)):
        return None
    source, start, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or start is None or result is None:
        return None
    agrees(node, _WINDOW_SAME[0], source, result)
    agrees(node, _WINDOW_SAME[1], source, start)
    if source.rank == 0:
        node.refuse(_WINDOW_SCALAR, "the input is a scalar", source)
        return None
    if source.rank is not None and source.rank > _MOST_WINDOW_RANK:
        node.refuse(_WINDOW_RANK, f"the input has {source.rank} dimensions, the kernel takes 6 at most", source)
        return None
    if source.shape is None:
        node.resize(0, None)
    return source


def _windows(sizes: Sequence[int], windows: list[int], strides: list[int], dilations: list[int]) -> list[int]:
    made = []
    for size, window, stride, dilation in zip(sizes, windows, strides, dilations):
        spanned = (window - 1) * dilation + 1
        made.append((size - spanned) // stride + 1 if size >= spanned else 0)
    return made


@kernel("STABLEHLO_RNG_BIT_GENERATOR")
def _random(node: KernelNode) -> None:
    if not node.has_counts(1, 2) or not node.needs(0):
        return
    state, (key, result) = node.inputs[0], node.outputs
    if state is None or key is None or result is None:
        return
    is_of(node, _RANDOM_STATE, state, ("UINT64",))
    has_rank(node, _RANDOM_RANK, state, 1)
    is_of(node, _RANDOM_KEY, key, ("UINT64",))
    if key.shape is not None and state.shape is not None and key.shape != state.shape:
        node.refuse(_RANDOM_SHAPE, f"the key has the shape {key.shape}, the state {state.shape}", key)
    is_of(node, _RANDOM_TYPE, result, ("INT32", "INT64", "UINT32", "UINT64"))
