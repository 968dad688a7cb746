"""Small models for the tests of the foundation.

Most are made with the project's own objects; what `built` gives is written by the flatbuffers package, bytes that our
writer had no part in.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import flatbuffers

import tflite_surgeon as ts
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import OpaqueTable, table_class

TYPES: Any = schema.enum_class("TensorType")
OPERATORS: Any = schema.enum_class("BuiltinOperator")


def table(kind: str, /, **values: Any) -> Any:
    return table_class(kind)(**values)


def opcode(name: str, version: int = 1) -> ts.OperatorCode:
    code = int(OPERATORS[name])
    return ts.OperatorCode(deprecated_builtin_code=min(code, 127), builtin_code=OPERATORS(code), version=version)


def tensor(name: str, shape: list[int], buffer: ts.Buffer, type_name: str = "FLOAT32", **values: Any) -> ts.Tensor:
    return ts.Tensor(name=name, shape=shape, buffer=buffer, type=TYPES[type_name], **values)


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def dense() -> ts.Model:
    """y = W x + b in float32: runs in every runtime."""
    empty, weights, bias = ts.Buffer(), ts.Buffer(floats(1, 2, 3, 4, 5, 6, 7, 8)), ts.Buffer(floats(0.5, -0.5))
    stamp = ts.Buffer(b"1.5.0" + bytes(11))
    x, y = tensor("x", [1, 4], empty), tensor("y", [1, 2], empty)
    w, b = tensor("w", [2, 4], weights), tensor("b", [2], bias)
    operator = ts.Operator(
        opcode=opcode("FULLY_CONNECTED"),
        inputs=[x, w, b],
        outputs=[y],
        builtin_options=table("FullyConnectedOptions", keep_num_dims=True),
    )
    graph = ts.SubGraph(tensors=[x, w, b, y], inputs=[x], outputs=[y], operators=[operator], name="main")
    signature = ts.SignatureDef(
        signature_key="serving_default",
        inputs=[ts.TensorMap(name="x", tensor=x)],
        outputs=[ts.TensorMap(name="y", tensor=y)],
        subgraph=graph,
    )
    return ts.Model(
        version=3,
        description="a dense layer",
        operator_codes=[operator.opcode],
        subgraphs=[graph],
        buffers=[empty, weights, bias, stamp],
        metadata=[ts.Metadata(name="min_runtime_version", buffer=stamp)],
        signature_defs=[signature],
    )


def quantised() -> ts.Model:
    """The same in int8, with scales and zero points."""
    model = dense()
    graph = model.subgraphs[0]
    for item, type_name, scale, zero in zip(
        graph.tensors, ("INT8", "INT8", "INT32", "INT8"), (0.5, 0.25, 0.125, 2.0), (3, 0, 0, -1), strict=True
    ):
        item.type = TYPES[type_name]
        item.quantization = ts.QuantizationParameters(scale=[scale], zero_point=[zero])
    model.buffers[1].data = bytes(range(8))
    model.buffers[2].data = struct.pack("<2i", 1000, -1000)
    model.operator_codes[0].version = 4
    return model


def branching() -> ts.Model:
    """IF over two further subgraphs, x + x or x * x: references between subgraphs; runs in LiteRT."""
    empty = ts.Buffer()
    condition, x, y = tensor("c", [], empty, "BOOL"), tensor("x", [2], empty), tensor("y", [2], empty)
    codes = [opcode("IF"), opcode("ADD"), opcode("MUL")]
    branches = []
    for code, options in zip(codes[1:], ("AddOptions", "MulOptions"), strict=True):
        a, result = tensor("a", [2], empty), tensor("r", [2], empty)
        inner = ts.Operator(opcode=code, inputs=[a, a], outputs=[result], builtin_options=table(options))
        branches.append(ts.SubGraph(tensors=[a, result], inputs=[a], outputs=[result], operators=[inner]))
    choice = ts.Operator(
        opcode=codes[0],
        inputs=[condition, x],
        outputs=[y],
        builtin_options=table("IfOptions", then_subgraph=branches[0], else_subgraph=branches[1]),
    )
    main = ts.SubGraph(tensors=[condition, x, y], inputs=[condition, x], outputs=[y], operators=[choice])
    return ts.Model(version=3, operator_codes=codes, subgraphs=[main, *branches], buffers=[empty])


def crowded() -> ts.Model:
    """One of everything that real files rarely have: no runtime would run it."""
    model = quantised()
    graph = model.subgraphs[0]
    x, w, b, y = graph.tensors
    w.sparsity = table(
        "SparsityParameters",
        traversal_order=[0, 1],
        block_map=[],
        dim_metadata=[
            table("DimensionMetadata", dense_size=2),
            table(
                "DimensionMetadata",
                format=1,
                array_segments=table("Uint8Vector", values=b"\0\1\2"),
                array_indices=table("Uint16Vector", values=[0, 3, 65535]),
            ),
        ],
    )
    b.quantization.details = table("BlockwiseQuantization", scales=x, zero_points=None, block_size=32)
    y.quantization.details = table("CustomQuantization", custom=b"how")
    y.variant_tensors = [table("VariantSubType", shape=[1], type=TYPES.INT4, has_rank=True)]
    x.shape_signature = [-1, 4]
    x.external_buffer = 7
    outside = ts.Buffer(b"behind the flatbuffer", outside=True)
    model.buffers.append(outside)
    model.metadata_buffers = [outside]
    model.metadata.append(ts.Metadata(name="outside", buffer=outside))
    model.external_buffer_groups = [table("ExternalBufferGroup", name="weights.bin")]
    model.external_buffers = [
        table("ExternalBuffer", id=7, group=model.external_buffer_groups[0], offset=1 << 33, length=5, packing="")
    ]
    custom = ts.Operator(
        opcode=ts.OperatorCode(deprecated_builtin_code=32, builtin_code=OPERATORS.CUSTOM, custom_code="Özgür"),
        inputs=[x, None, ts.BadReference(99)],
        outputs=[y],
        custom_options=b"\1\2\3",
        mutating_variable_inputs=[True, False],
        intermediates=[],
        debug_metadata_index=4,
    )
    custom.large_custom_options = b"large options"
    scatter = ts.Operator(
        opcode=opcode("STABLEHLO_REDUCE"),
        inputs=[],
        outputs=[],
        builtin_options_2=table("StablehloReduceOptions", dimensions=[1 << 40, -1], body_subgraph=graph),
    )
    missing = ts.Operator(opcode=scatter.opcode, builtin_options=OpaqueTable(3, None))
    model.operator_codes += [custom.opcode, scatter.opcode]
    graph.operators += [custom, scatter, missing]
    return model


BUILDERS: dict[str, Callable[[], ts.Model]] = {
    "dense": dense,
    "quantised": quantised,
    "branching": branching,
    "crowded": crowded,
}


def data(build: Callable[[], ts.Model]) -> bytes:
    return ts.dumps(build())


def random_value(kind: random.Random, field: schema.Field) -> Any:
    """A value that the field can hold and that is not its default."""
    character = field.format
    if field.type in schema.ENUMS:
        members = schema.enum_class(field.type)
        return kind.choice([member for member in members if member != field.default] or list(members))
    if character == "?":
        return not field.default
    if character in "fd":
        return kind.choice([0.25, -1.5, 3e38, -1e-40 if character == "d" else 2.0**-149, float("inf")])
    bits = 8 * schema.size_of(character)
    low, high = (0, (1 << bits) - 1) if character.isupper() else (-(1 << bits - 1), (1 << bits - 1) - 1)
    return kind.choice([low or 1, high, kind.randrange(low, high + 1) or 1])


def _random_fields(kind: random.Random, name: str, pools: dict[str, list[Any]]) -> Any:
    """A table with each field absent, or filled with something that is not its default."""
    result = table(name)
    for field in schema.fields(name):
        if kind.random() < 0.25 and not (field.refers_to and field.kind == "scalar"):
            continue
        value: Any
        if field.refers_to:
            pool = pools[field.refers_to]
            value = kind.choice(pool) if field.kind == "scalar" else kind.choices(pool, k=kind.randrange(4))
        elif field.kind == "scalar":
            value = random_value(kind, field)
        elif field.kind == "numbers":
            value = [random_value(kind, field) for _ in range(kind.choice([0, 1, 3, 40]))]
        elif field.kind in ("bytes", "data"):
            value = kind.randbytes(kind.choice([0, 1, 17, 100]))
        elif field.kind == "string":
            value = kind.choice(["", "a", "gewöhnlich", "x" * 70])
        elif field.kind == "table":
            value = _random_fields(kind, field.type, pools)
        elif field.kind == "tables":
            value = [_random_fields(kind, field.type, pools) for _ in range(kind.randrange(4))]
        else:
            value = _random_fields(kind, kind.choice(list(schema.UNIONS[field.type])), pools)
        setattr(result, field.attribute, value)
    return result


def every_table(seed: int) -> ts.Model:
    """A model that holds every table of the schema, its fields at random: no graph that makes sense."""
    kind = random.Random(seed)
    buffers = [ts.Buffer(kind.randbytes(kind.choice([0, 5, 64]))) for _ in range(3)]
    codes = [_random_fields(kind, "OperatorCode", {}) for _ in range(3)]
    groups = [_random_fields(kind, "ExternalBufferGroup", {})]
    graphs = [ts.SubGraph(tensors=[], operators=[]) for _ in range(2)]
    pools: dict[str, list[Any]] = {
        "buffer": buffers,
        "operator_code": codes,
        "external_buffer_group": groups,
        "subgraph": graphs,
    }
    for graph in graphs:
        graph.tensors = [ts.Tensor(buffer=buffers[0]) for _ in range(4)]
        pools["tensor"] = graph.tensors
        for item in graph.tensors:
            filled = _random_fields(kind, "Tensor", pools)
            for field in schema.fields("Tensor"):
                setattr(item, field.attribute, getattr(filled, field.attribute))
            item.buffer = kind.choice(buffers)
        graph.inputs, graph.outputs = graph.tensors[:1], []
        for union, attribute in (("BuiltinOptions", "builtin_options"), ("BuiltinOptions2", "builtin_options_2")):
            for member in schema.UNIONS[union]:
                operator = _random_fields(kind, "Operator", pools)
                operator.opcode = kind.choice(codes)
                operator.builtin_options = operator.builtin_options_2 = None
                operator.large_custom_options_offset = operator.large_custom_options_size = 0
                setattr(operator, attribute, _random_fields(kind, member, pools))
                graph.operators.append(operator)
    signature = ts.SignatureDef(
        inputs=[ts.TensorMap(name="x", tensor=graphs[1].tensors[2])], outputs=[], subgraph=graphs[1]
    )
    return ts.Model(
        version=3,
        operator_codes=codes,
        subgraphs=graphs,
        buffers=buffers,
        metadata_buffers=[buffers[2], buffers[1]],
        metadata=[ts.Metadata(name="m", buffer=buffers[1])],
        signature_defs=[signature],
        external_buffer_groups=groups,
        external_buffers=[_random_fields(kind, "ExternalBuffer", pools) for _ in range(2)],
    )


def built(
    prepare: Callable[[flatbuffers.Builder], Callable[[flatbuffers.Builder], None]],
    slots: int = 11,
    *,
    force_defaults: bool = False,
    copies: int = 1,
) -> bytes:
    """A model with one tensor, listed `copies` times, as the flatbuffers package writes it.

    Args:
        prepare: makes the vectors and strings; what it gives back fills the tensor's slots.
        slots: how many the tensor's table has.
        force_defaults: write what equals its default too.
        copies: entries of the vector of tensors, all to the same table.
    """
    builder = flatbuffers.Builder(1024)
    builder.ForceDefaults(force_defaults)
    fill = prepare(builder)
    builder.StartObject(slots)
    fill(builder)
    one = builder.EndObject()
    return finish(builder, [one] * copies)


def finish(builder: flatbuffers.Builder, tensors: list[int]) -> bytes:
    """The model around tensors that a builder has written."""

    def vector(items: list[int]) -> int:
        builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            builder.PrependUOffsetTRelative(item)
        return int(builder.EndVector())

    listed = vector(tensors)
    builder.StartObject(6)
    builder.PrependUOffsetTRelativeSlot(0, listed, 0)
    graphs = vector([builder.EndObject()])
    builder.StartObject(1)
    empty = vector([builder.EndObject()])
    builder.StartObject(10)
    builder.PrependUint32Slot(0, 3, 0)
    builder.PrependUOffsetTRelativeSlot(2, graphs, 0)
    builder.PrependUOffsetTRelativeSlot(4, empty, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    return bytes(builder.Output())


def numbers(builder: flatbuffers.Builder, values: list[int]) -> int:
    """A vector of 32-bit integers."""
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependInt32(value)
    return int(builder.EndVector())


def newer_tensor(value: int = 77) -> bytes:
    """A file whose tensor fills a slot that the schema does not have yet."""

    def prepare(builder: flatbuffers.Builder) -> Callable[[flatbuffers.Builder], None]:
        shape = numbers(builder, [2, 3])

        def fill(builder: flatbuffers.Builder) -> None:
            builder.PrependUOffsetTRelativeSlot(0, shape, 0)
            builder.PrependInt8Slot(1, 9, 0)
            builder.PrependInt32Slot(13, value, 0)

        return fill

    return built(prepare, slots=14)
