"""Conditions of a graph: references, the order of nodes, what nobody computes, what lies outside the flatbuffer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tflite_surgeon as ts
from tests.builders import Net, layer, part
from tests.conditions.case import Case, everywhere, file_of, tflite
from tests.conditions.cases_construction_file import changed, with_node

# An index behind all memory: nearer ones lead TFLM to whatever lies there.
FAR = ts.BadReference((1 << 31) - 1)
REFUSED = tflite("refuses")
WITHOUT_DELEGATE = {"litert-no-delegate": "wrong-numbers", "tflite-2.14": "wrong-numbers", "tflm": "wrong-numbers"}


def _net(*nodes: str, kind: str = "INT8", inputs: str = "a", outputs: str = "d") -> ts.Model:
    """Nodes such as "ADD ab c", on tensors named by letters."""
    net = Net()
    scale = 0.5 if kind == "INT8" else None
    tensors = {name: net.tensor(name, [1, 4], kind, scale) for name in "abcd"}
    for node in nodes:
        name, sources, results = node.split()
        options = {"ADD": "AddOptions", "MUL": "MulOptions"}.get(name)
        version = 2 if kind == "INT8" else 1
        net.operator(name, version, [tensors[t] for t in sources], [tensors[t] for t in results], options)
    return net.model([tensors[t] for t in inputs], [tensors[t] for t in outputs])


def _made(*nodes: str, **arguments: Any) -> Callable[[], ts.Model]:
    return lambda: _net(*nodes, **arguments)


def _without_signature(change: Callable[[ts.Model], object]) -> Callable[[], ts.Model]:
    """The graph's own lists are changed, and nothing else names them."""

    def both(model: ts.Model) -> None:
        model.signature_defs = None
        change(model)

    return changed(both)


def _inputs(*tensors: Any) -> Callable[[], ts.Model]:
    return _without_signature(lambda model: setattr(model.subgraphs[0], "inputs", list(tensors)))


def _outputs(*tensors: Any) -> Callable[[], ts.Model]:
    return _without_signature(lambda model: setattr(model.subgraphs[0], "outputs", list(tensors)))


def _first_input(reference: Any) -> Callable[[], ts.Model]:
    def change(model: ts.Model) -> None:
        model.subgraphs[0].operators[0].inputs[0] = reference

    return changed(change)


def _large(rows: int) -> Callable[[], ts.Model]:
    def make() -> ts.Model:
        net = Net()
        source, result = net.tensor("input", [rows // 2, 2, 8], "FLOAT32"), net.tensor("output", [4], "FLOAT32")
        net.operator("ABS", 1, [source], [result])
        return net.model([source], [result])

    return make


def _constant(role: str, shape: list[int] | None = None) -> Callable[[], ts.Model]:
    """A tensor of a layer becomes a constant."""

    def change(model: ts.Model) -> None:
        tensor = part(model, role)
        tensor.shape = shape or tensor.shape
        count = 1
        for size in tensor.shape:
            count *= size
        tensor.buffer = ts.Buffer(bytes(count))

    return changed(change)


def _weights_outside(offset: int) -> bytes:
    """The weights lie behind the flatbuffer, where the file says: at this offset from where they are."""
    model = layer()
    buffer = part(model, "weights").buffer
    assert isinstance(buffer, ts.Buffer)
    buffer.outside = True
    data = bytearray(file_of(model))
    read = ts.loads(bytes(data)).subgraphs[0].tensors[1].buffer
    stored = read.offset.to_bytes(8, "little")
    assert data.count(stored) == 1
    place = data.index(stored)
    new = read.offset + offset if offset else 1
    data[place : place + 8] = new.to_bytes(8, "little")
    return bytes(data)


def _custom_options(offset: int) -> ts.Model:
    """A custom operator whose options lie behind the flatbuffer, at an offset that is or is not in the file."""
    net = Net()
    source, result = net.tensor("input", [1, 4], "FLOAT32"), net.tensor("output", [1, 4], "FLOAT32")
    opcode = ts.OperatorCode(deprecated_builtin_code=32, builtin_code=32, custom_code="MyOp")
    net.codes["MyOp", 1] = opcode
    node = ts.Operator(opcode=opcode, inputs=[source], outputs=[result])
    node.large_custom_options_offset, node.large_custom_options_size = offset, 8
    net.operators.append(node)
    return net.model([source], [result])


CASES = [
    Case(
        "node-tensor-index-range",
        "tensor-index",
        layer,
        _first_input(FAR),
        {**REFUSED, "tflm": "crashes"},
    ),
    Case("node-tensor-index-range/negative", "tensor-index", layer, _first_input(ts.BadReference(-2)), REFUSED),
    Case(
        "node-tensor-index-range/output",
        "tensor-index",
        layer,
        with_node(outputs=[FAR]),
        {**REFUSED, "tflm": "crashes"},
    ),
    Case("subgraph-io-index-range", "tensor-index", layer, _outputs(FAR), {**REFUSED, "tflm": "crashes"}),
    Case(
        "subgraph-io-index-range/inputs",
        "tensor-index",
        layer,
        _inputs(FAR),
        {**REFUSED, "tflm": "crashes"},
    ),
    Case("subgraph-io-index-range/not-given", "tensor-index", layer, _inputs(None), {**REFUSED, "tflm": "crashes"}),
    Case("node-inplace-overlap", "in-place", _made("ADD aa d"), _made("ADD aa a", outputs="a"), REFUSED),
    Case("node-required-input-minus1", "missing-input", layer, _first_input(None), {**REFUSED, "tflm": "refuses"}),
    Case("node-inputs-missing", "tensor-count", layer, with_node(inputs=[]), REFUSED),
    Case(
        "node-output-constant",
        "constant-output",
        layer,
        _constant("output", [2, 2, 2]),
        {"litert-no-delegate": "refuses", "tflite-2.14": "refuses"},
    ),
    Case(
        "node-output-constant-same-shape",
        "constant-output",
        layer,
        _constant("output"),
        {"litert-no-delegate": "crashes", "tflite-2.14": "crashes"},
    ),
    Case(
        "node-output-constant-same-shape/delegate", "xnnpack-output", layer, _constant("output"), {"litert": "refuses"}
    ),
    Case("graph-input-constant", "constant-input", layer, _constant("input"), tflite("crashes")),
    Case("tensor-lacks-data", "missing-data", layer, _inputs(), REFUSED),
    Case("tensor-lacks-data/output", "missing-data", _made("ADD aa d"), _made("ADD aa b"), REFUSED),
    Case(
        "graph-order-not-checked",
        "operator-order",
        _made("ADD aa b", "ADD bb d"),
        _made("ADD bb d", "ADD aa b"),
        WITHOUT_DELEGATE,
    ),
    Case(
        "graph-cycle-not-checked",
        "operator-order",
        _made("ADD aa b", "ADD bb d", kind="FLOAT32"),
        _made("ADD ad b", "ADD bb d", kind="FLOAT32"),
        {**everywhere("wrong-numbers"), "tflite-2.14": "crashes"},
    ),
    Case(
        "graph-double-producer",
        "two-producers",
        _made("ADD aa b", "ADD ab d"),
        _made("ADD aa d", "ADD aa d"),
        everywhere("wrong-numbers"),
    ),
    Case(
        "buffer-offset-range",
        "buffer-offset",
        layer,
        lambda: _weights_outside(1 << 20),
        REFUSED,
    ),
    # Whether there is memory depends on the machine.
    Case(
        "memory-planning", "memory-arena", _large(4), _large(1 << 31), {**REFUSED, "tflm": "unknown"}, in_reality=False
    ),
    Case("buffer-offset-0-1", "missing-data", layer, lambda: _weights_outside(0), REFUSED),
]
