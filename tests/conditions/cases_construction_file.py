"""Conditions of a file as a whole: its structure, its header, the operators and signatures that it lists."""

from __future__ import annotations

from collections.abc import Callable

import tflite_surgeon as ts
from tests.builders import Net, layer
from tests.conditions.case import Case, everywhere, file_of, tflite
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

CUSTOM = enum_class("BuiltinOperator")["CUSTOM"]


def changed(change: Callable[[ts.Model], object], make: Callable[[], ts.Model] = layer) -> Callable[[], ts.Model]:
    """A maker of the model with one thing changed."""

    def changed_model() -> ts.Model:
        model = make()
        change(model)
        return model

    return changed_model


def with_attribute(name: str, value: object, **others: object) -> Callable[[], ts.Model]:
    """A maker of the model with other attributes of its own."""

    def change(model: ts.Model) -> None:
        for attribute, given in {name: value, **others}.items():
            setattr(model, attribute, given)

    return changed(change)


def with_graph(name: str, value: object) -> Callable[[], ts.Model]:
    """A maker of the model with another attribute of its subgraph."""
    return changed(lambda model: setattr(model.subgraphs[0], name, value))


def with_node(**values: object) -> Callable[[], ts.Model]:
    """A maker of the model with other attributes of its node."""

    def change(model: ts.Model) -> None:
        for attribute, given in values.items():
            setattr(model.subgraphs[0].operators[0], attribute, given)

    return changed(change)


def _fill_sentinel(model: ts.Model) -> None:
    model.buffers[0].data = bytes(16)


def _raise_version(model: ts.Model) -> None:
    model.operator_codes[0].version = 99


def _old_field_alone(model: ts.Model) -> None:
    model.operator_codes[0].builtin_code = enum_class("BuiltinOperator")["ADD"]


def _file() -> bytes:
    return file_of(layer())


def _without_constants() -> bytes:
    """A model whose tensors all name the empty buffer."""
    net = Net()
    source, result = (net.tensor(name, [1, 4], "FLOAT32") for name in ("input", "output"))
    net.operator("RELU", 1, [source], [result])
    return file_of(net.model([source], [result]))


def _without_buffers(file: bytes) -> bytes:
    """The offset of the list of buffers is taken out of the root's table of fields."""
    data = bytearray(file)
    root = int.from_bytes(data[:4], "little")
    fields = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    slot = fields + 4 + 2 * 4
    data[slot : slot + 2] = b"\0\0"
    return bytes(data)


def _without_tensors() -> ts.Model:
    graph = ts.SubGraph(tensors=None, inputs=[], outputs=[], operators=[])
    return ts.Model(version=3, operator_codes=[], subgraphs=[graph], buffers=[ts.Buffer()])


def _with_no_tensors() -> ts.Model:
    model = _without_tensors()
    model.subgraphs[0].tensors = []
    return model


def _listed(name: str = "ADD", version: int = 1, code: int | None = None) -> Callable[[], ts.Model]:
    """A model that lists one more operator, which no node uses."""

    def add(model: ts.Model) -> None:
        number = int(enum_class("BuiltinOperator")[name]) if code is None else code
        opcode = ts.OperatorCode(deprecated_builtin_code=min(number, 127), builtin_code=number, version=version)
        model.operator_codes.append(opcode)

    return changed(add)


def _custom(name: str | None) -> ts.Model:
    net = Net()
    source, result = (net.tensor(name, [1, 4], "FLOAT32") for name in ("input", "output"))
    opcode = ts.OperatorCode(deprecated_builtin_code=CUSTOM, builtin_code=CUSTOM, custom_code=name)
    net.codes["custom", 1] = opcode
    net.operators.append(ts.Operator(opcode=opcode, inputs=[source], outputs=[result]))
    return net.model([source], [result])


def _signature(**values: object) -> Callable[[], ts.Model]:
    def change(model: ts.Model) -> None:
        for name, value in values.items():
            setattr(model.signature_defs[0], name, value)

    return changed(change)


def _lost_entry(model: ts.Model) -> None:
    model.signature_defs[0].inputs = [ts.TensorMap(name="x", tensor=ts.BadReference(77))]


def _lstm_listed(model: ts.Model) -> None:
    """An operator that no node uses."""
    net = Net()
    net.operator("LSTM", 1, [], [])
    model.operator_codes += net.codes.values()


def _lstm(model: ts.Model) -> None:
    net = Net()
    net.operator("LSTM", 1, [], [])
    model.operator_codes += net.codes.values()
    model.subgraphs[0].operators += net.operators


ADD_OPTIONS = table_class("AddOptions")()
REFUSED = tflite("refuses")
# Beside LiteRT nobody verifies a file: what becomes of it depends on the bytes that are met.
DAMAGED = {"litert": "refuses", "litert-no-delegate": "refuses", "tflite-2.14": "unknown", "tflm": "unknown"}

CASES = [
    Case("fb-empty-file", "file-structure", _file, lambda: b"", DAMAGED),
    Case("fb-verifier", "file-structure", _file, lambda: _file()[: len(_file()) // 2], DAMAGED),
    Case("fb-truncated-2-14", "file-structure", _file, lambda: _file()[:-1], DAMAGED),
    Case("fb-identifier", "file-identifier", layer, with_attribute("identifier", b"TFL2"), REFUSED),
    Case("model-schema-version", "schema-version", layer, with_attribute("version", 2), REFUSED),
    Case(
        "model-subgraphs-null",
        "missing-vector",
        layer,
        with_attribute("subgraphs", None, signature_defs=None),
        {**tflite("crashes"), "tflm": "refuses"},
    ),
    Case(
        "model-subgraphs-empty",
        "missing-vector",
        layer,
        with_attribute("subgraphs", [], signature_defs=None),
        {**REFUSED, "tflm": "crashes"},
    ),
    Case(
        "model-buffers-null",
        "missing-vector",
        _without_constants,
        lambda: _without_buffers(_without_constants()),
        {**REFUSED, "tflm": "crashes"},
    ),
    Case(
        "model-buffers-null/constants",
        "missing-vector",
        _file,
        lambda: _without_buffers(_file()),
        {**REFUSED, "tflm": "crashes"},
    ),
    Case(
        "subgraph-tensors-null",
        "missing-vector",
        _with_no_tensors,
        _without_tensors,
        {**REFUSED, "tflm": "crashes"},
    ),
    Case("subgraph-operators-null", "missing-data", layer, with_graph("operators", None), REFUSED),
    Case("subgraph-operators-null/empty", "missing-data", layer, with_graph("operators", []), REFUSED),
    Case("model-buffer0-empty", "sentinel-buffer", layer, changed(_fill_sentinel), {"tflm": "wrong-numbers"}),
    Case(
        "opcode-index-range",
        "operator-code-index",
        layer,
        with_node(opcode=ts.BadReference(7)),
        everywhere("refuses"),
    ),
    Case("opcode-builtin-code-range", "unknown-operator", _listed("RIGHT_SHIFT"), _listed(code=210), REFUSED),
    Case(
        "opcode-builtin-code-range/2.14",
        "unknown-operator",
        _listed("RIGHT_SHIFT"),
        _listed("DILATE"),
        {"tflite-2.14": "refuses"},
    ),
    Case(
        "opcode-availability",
        "operator-availability",
        _listed(),
        _listed("CONCAT_EMBEDDINGS"),
        REFUSED,
    ),
    Case("opcode-deprecated-only", "operator-code-fields", layer, changed(_old_field_alone), {}),
    Case("opcode-version-range", "operator-version", layer, changed(_raise_version), REFUSED),
    Case("opcode-version-unused", "operator-version", _listed(version=5), _listed(version=99), REFUSED),
    Case(
        "opcode-version-unused/2.14",
        "operator-version",
        _listed(version=5),
        _listed(version=6),
        {"tflite-2.14": "refuses"},
    ),
    Case(
        "opcode-custom-no-name",
        "custom-operator",
        layer,
        lambda: _custom(None),
        everywhere("refuses"),
    ),
    Case("custom-op-unresolved", "custom-operator", layer, lambda: _custom("MyOp"), everywhere("refuses")),
    Case("flex-op-unresolved", "flex-operator", layer, lambda: _custom("FlexAdd"), REFUSED),
    Case(
        "custom-op-without-options",
        "custom-options",
        layer,
        lambda: _custom("Mfcc"),
        tflite("crashes"),
    ),
    Case(
        "builtin-with-custom-options", "custom-options", layer, with_node(custom_options=b"more"), {"tflm": "refuses"}
    ),
    Case("signature-key-null", "signature", layer, _signature(signature_key=None), REFUSED),
    Case("signature-index-not-checked", "signature", layer, changed(_lost_entry), REFUSED),
    Case(
        "signature-index-not-checked/subgraph",
        "signature",
        layer,
        _signature(subgraph=ts.BadReference(5), inputs=[], outputs=[]),
        REFUSED,
    ),
    Case(
        "op-options-null", "missing-options", layer, with_node(builtin_options=ADD_OPTIONS), everywhere("wrong-numbers")
    ),
    Case("lstm-options-null", "missing-options", changed(_lstm_listed), changed(_lstm), REFUSED),
]
