"""A field of an enum that a script set to a plain number means what the member of that number means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.builders import Net, net_layer
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import Table

ALL = ["litert", "litert-no-delegate", "tflite-2.14", "tflm"]
FIXTURES = sorted(Path(__file__).parents[2].joinpath("fixtures").glob("*.tflite"))


def make_plain(table: Any, seen: set[int]) -> int:
    """Replace members of enums by their numbers, here and below; how many there were."""
    if isinstance(table, list):
        return sum(make_plain(item, seen) for item in table)
    if not isinstance(table, Table) or id(table) in seen:
        return 0
    seen.add(id(table))
    count = 0
    for field in schema.fields(table.table):
        value = getattr(table, field.attribute)
        if hasattr(value, "_name_"):
            setattr(table, field.attribute, int(value))
            count += 1
        count += make_plain(value, seen)
    return count


def told(model: ts.Model) -> list[tuple[str, str, str, dict[str, str]]]:
    return [(finding.rule, finding.path, finding.message, finding.runtimes) for finding in ts.check(model, ALL)]


def layer(operator: str) -> ts.Model:
    net = Net()
    source, result = net_layer(net, operator)
    return net.model([source], [result])


def shaped() -> ts.Model:
    """SHAPE, and MIRROR_PAD in its other mode: both ask for a member by name."""
    net = Net()
    source = net.tensor("source", [2, 3], "FLOAT32")
    shape = net.tensor("shape", [2], "INT64")
    net.operator(
        "SHAPE", 1, [source], [shape], options="ShapeOptions", out_type=schema.enum_class("TensorType")["INT64"]
    )
    paddings = net.tensor("paddings", [2, 2], "INT32", values=[1, 1, 1, 1])
    padded = net.tensor("padded", [4, 5], "FLOAT32")
    mode = schema.enum_class("MirrorPadMode")["SYMMETRIC"]
    net.operator("MIRROR_PAD", 1, [source, paddings], [padded], options="MirrorPadOptions", mode=mode)
    return net.model([source], [shape, padded])


MODELS = {
    **{path.stem: lambda path=path: ts.load(path) for path in FIXTURES},
    **{
        name: lambda name=name: layer(name)
        for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
    },
    "shaped": shaped,
}


@pytest.mark.parametrize("name", MODELS)
def test_plain_numbers_are_read_as_the_members_that_they_are(name: str) -> None:
    model = MODELS[name]()
    before = told(model)
    assert make_plain(model, set()) > 0
    assert told(model) == before


def test_the_type_of_a_tensor_has_its_name() -> None:
    tensor = ts.Tensor(type=9)
    assert tensor.type_name == "INT8"
    assert ts.Tensor(type=99).type_name == "type 99"
