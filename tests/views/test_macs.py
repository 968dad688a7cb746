"""Multiply-accumulates, against sums worked out by hand."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests.builders import Net, layer, lstm, node, part, svdf
from tflite_surgeon.views.macs import multiply_accumulates, of_subgraph


def shapes_of(name: str, inputs: list[list[int]], output: list[int]) -> ts.Operator:
    net = Net()
    return net.operator(
        name,
        1,
        [net.tensor(f"input {number}", shape, "FLOAT32") for number, shape in enumerate(inputs)],
        [net.tensor("output", output, "FLOAT32")],
    )


@pytest.mark.parametrize(
    ("name", "inputs", "output", "expected"),
    [
        # 112 x 112 x 32 sums of 3 x 3 x 3: the first layer of MobileNet.
        ("CONV_2D", [[1, 224, 224, 3], [32, 3, 3, 3]], [1, 112, 112, 32], 10_838_016),
        # In two groups every output sees half of the channels.
        ("CONV_2D", [[1, 8, 8, 4], [6, 3, 3, 2]], [1, 6, 6, 6], 6 * 6 * 6 * 18),
        ("DEPTHWISE_CONV_2D", [[1, 112, 112, 32], [1, 3, 3, 32]], [1, 112, 112, 32], 3_612_672),
        ("TRANSPOSE_CONV", [[4], [5, 3, 3, 2], [1, 4, 4, 2]], [1, 9, 9, 5], 16 * 2 * 9 * 5),
        ("CONV_3D", [[1, 4, 4, 4, 2], [3, 3, 3, 2, 5]], [1, 2, 2, 2, 5], 40 * 54),
        ("FULLY_CONNECTED", [[3, 10], [7, 10]], [3, 7], 210),
        ("FULLY_CONNECTED", [[2, 4, 5], [7, 10]], [4, 7], 280),
        ("BATCH_MATMUL", [[2, 3, 4], [2, 4, 5]], [2, 3, 5], 120),
        ("ADD", [[100], [100]], [100], 0),
    ],
)
def test_counts(name: str, inputs: list[list[int]], output: list[int], expected: int) -> None:
    assert multiply_accumulates(shapes_of(name, inputs, output)) == expected


def test_recurrent_layers_multiply_each_weight_once_a_step() -> None:
    # lstm(): 2 steps, 4 gates of 3x2 and of 3x3 weights, a projection of 3x3.
    assert multiply_accumulates(node(lstm())) == 2 * (4 * 6 + 4 * 9 + 9)
    # svdf(): 4 filters of depth 3 and of memory 2.
    assert multiply_accumulates(node(svdf())) == 12 + 8


def test_unknown_shapes_are_not_guessed() -> None:
    model = layer("CONV_2D")
    part(model, "output").shape = None
    assert multiply_accumulates(node(model)) is None
    assert of_subgraph(model.subgraphs[0]) == (0, 1)
    assert multiply_accumulates(shapes_of("FULLY_CONNECTED", [[3, 0], [7, 0]], [3, 7])) is None
    assert multiply_accumulates(shapes_of("CONV_2D", [[1, 2, 2, -1], [1, 1, 1, 1]], [1, 2, -2, 1])) is None
    assert multiply_accumulates(ts.Operator(opcode=node(model).opcode)) is None
