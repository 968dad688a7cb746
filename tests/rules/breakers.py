"""For every rule with a look of its own: sound models, and the one damage that must lead to exactly its finding.

Rules whose breaches the walk through the kernels finds have their models in tests/conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tflite_surgeon as ts
from tests import builders


class Breaker(NamedTuple):
    """A sound model, and what damages one thing in it."""

    name: str
    make: Callable[[], ts.Model]
    damage: Callable[[ts.Model], None]


def _scale(role: str, factor: float, number: int = 0) -> Callable[[ts.Model], None]:
    return lambda model: builders.damage(builders.part(model, role, number), factor)


def _unlisted_external_buffer(model: ts.Model) -> None:
    """A tensor that names an external buffer which the model does not list."""
    _graph(model).tensors[0].external_buffer = 7


def _graph(model: ts.Model) -> ts.SubGraph:
    return model.subgraphs[0]


def _add_tensor(model: ts.Model) -> None:
    _graph(model).tensors.append(
        ts.Tensor(name="nobody's", shape=[1], type=ts.TensorType.INT8, buffer=model.buffers[0])
    )


def _add_buffer(model: ts.Model) -> None:
    model.buffers.append(ts.Buffer(b"nobody reads this"))


def _add_code(model: ts.Model) -> None:
    model.operator_codes.append(ts.OperatorCode(builtin_code=ts.BuiltinOperator.ADD, version=1))


_TABLE = [64]


def _two_tables() -> ts.Model:
    """Two constants of 64 different floats, added to an input."""
    net = builders.Net()
    source = net.tensor("input", _TABLE, "FLOAT32")
    result = source
    for number in (0, 1):
        table = net.tensor(f"table_{number}", _TABLE, "FLOAT32", values=[float(number + n) for n in range(64)])
        following = net.tensor(f"sum_{number}", _TABLE, "FLOAT32")
        net.operator("ADD", 1, [result, table], [following], "AddOptions")
        result = following
    return net.model([source], [result])


def _copy_table(model: ts.Model) -> None:
    first, second = (operator.inputs[1] for operator in _graph(model).operators)
    second.set_values(first.values())


def _unary_chain(operator: str, options: str | None, scales: list[float]) -> ts.Model:
    """Operators of one input in a row, the activations with these scales."""
    net = builders.Net()
    tensors = [net.tensor(f"tensor_{n}", [4], "INT8", scale) for n, scale in enumerate(scales)]
    for source, result in zip(tensors, tensors[1:]):
        net.operator(operator, 2, [source], [result], options)
    return net.model([tensors[0]], [tensors[-1]])


def _scaled_chain() -> ts.Model:
    return _unary_chain("RELU", None, [0.0123456789, 0.0087654321, 0.0045678912, 0.0034567891, 0.0023456789])


def _print_scales(model: ts.Model) -> None:
    for tensor in _graph(model).tensors:
        tensor.quantization.scale = [builders.float32(float(f"{tensor.quantization.scale[0]:f}"))]


def _reshaped() -> ts.Model:
    net = builders.Net()
    source, result = net.tensor("input", [2, 2], "INT8", 0.1), net.tensor("output", [4], "INT8", 0.1)
    net.operator("RESHAPE", 1, [source, net.tensor("shape", [1], "INT32", values=[4])], [result])
    return net.model([source], [result])


def _no_scale(model: ts.Model) -> None:
    _graph(model).tensors[1].quantization = None


def _joined(scale: float) -> ts.Model:
    """Scores from LOGISTIC beside other values, joined under one scale."""
    net = builders.Net()
    boxes, logits = net.tensor("boxes", [1, 4], "UINT8", scale), net.tensor("logits", [1, 4], "UINT8", 0.1)
    scores = net.tensor("scores", [1, 4], "UINT8", 1 / 256)
    result = net.tensor("joined", [1, 8], "UINT8", scale)
    net.operator("LOGISTIC", 1, [logits], [scores])
    net.operator("CONCATENATION", 1, [boxes, scores], [result], "ConcatenationOptions", axis=1)
    return net.model([boxes, logits], [result])


def _widen(model: ts.Model) -> None:
    """Boxes in pixels: up to 640."""
    for tensor in (_graph(model).tensors[0], _graph(model).tensors[3]):
        tensor.quantization.scale = [2.5]


def _converted() -> ts.Model:
    """Integers to floats and back, with nothing between."""
    net = builders.Net()
    source, middle, result = (
        net.tensor("input", [4], "INT8", 0.1),
        net.tensor("float", [4], "FLOAT32"),
        net.tensor("output", [4], "INT8", 0.1),
    )
    net.operator("DEQUANTIZE", 2, [source], [middle])
    net.operator("QUANTIZE", 1, [middle], [result])
    return net.model([source], [result])


def _float_inside(model: ts.Model) -> None:
    graph = _graph(model)
    result = ts.Tensor(name="floored", shape=[4], type=ts.TensorType.FLOAT32, buffer=model.buffers[0])
    graph.tensors.append(result)
    code = ts.OperatorCode(
        deprecated_builtin_code=int(ts.BuiltinOperator.FLOOR), builtin_code=ts.BuiltinOperator.FLOOR, version=1
    )
    model.operator_codes.append(code)
    graph.operators.insert(1, ts.Operator(opcode=code, inputs=graph.operators[0].outputs, outputs=[result]))
    graph.operators[2].inputs = [result]


def _same_names(model: ts.Model) -> None:
    builders.part(model, "weights").name = "bias"


def _no_signature(model: ts.Model) -> None:
    model.signature_defs = None


def _new_field_alone(model: ts.Model) -> None:
    model.operator_codes[0].deprecated_builtin_code = 0


def _old_field_alone(model: ts.Model) -> None:
    model.operator_codes[0].builtin_code = ts.BuiltinOperator.ADD


def _lose_metadata(model: ts.Model) -> None:
    model.metadata = [ts.Metadata(name="lost", buffer=ts.BadReference(99))]


BREAKERS: dict[str, list[Breaker]] = {
    "external-buffer": [Breaker("unlisted", _converted, _unlisted_external_buffer)],
    "unused-tensor": [Breaker("added", builders.layer, _add_tensor)],
    "unused-buffer": [Breaker("added", builders.layer, _add_buffer)],
    "unused-operator-code": [Breaker("added", builders.layer, _add_code)],
    "duplicate-buffer": [Breaker("copied", _two_tables, _copy_table)],
    "duplicate-name": [Breaker("same", builders.layer, _same_names)],
    "missing-signature": [Breaker("none", builders.layer, _no_signature)],
    "operator-code-fields": [
        Breaker("new-alone", builders.layer, _new_field_alone),
        Breaker("old-alone", builders.layer, _old_field_alone),
    ],
    "dangling-metadata": [Breaker("lost", builders.layer, _lose_metadata)],
    "printed-scale": [Breaker("six-decimals", _scaled_chain, _print_scales)],
    "concatenated-ranges": [Breaker("boxes", lambda: _joined(1 / 256), _widen)],
    "unquantised-island": [Breaker("floor", _converted, _float_inside)],
    "unquantised-activation": [Breaker("reshaped", _reshaped, _no_scale)],
    "bias-scale": [
        *(
            Breaker(f"{operator}-{kind}", lambda o=operator, k=kind: builders.layer(o, k), _scale("bias", 3.0))
            for operator in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
            for kind in ("INT8", "UINT8", "INT16")
        ),
        *(
            Breaker(
                f"{operator}-per-channel",
                lambda o=operator: builders.layer(o, per_channel=True),
                _scale("bias", 0.25),
            )
            for operator in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
        ),
        Breaker("second-of-three", lambda: builders.chain(3), _scale("bias", 1.5, 1)),
        Breaker("svdf", builders.svdf, _scale("bias", 2.0)),
        *(
            Breaker(f"lstm-{gate}", builders.lstm, _scale(f"{gate}_bias", 2.0))
            for gate in (*builders.GATES, "projection")
        ),
        *(
            Breaker(f"normalised-lstm-{gate}", lambda: builders.lstm(layer_norm=True), _scale(f"{gate}_bias", 2.0))
            for gate in builders.GATES
        ),
    ],
}
