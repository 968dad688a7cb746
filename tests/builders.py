"""Tiny quantised models for tests, made with the library's own objects: valid, and accepted by the real interpreter.

Every builder gives a sound model (the bias in the kernel's unit); a test damages what it is about. Integers are fixed
by a small generator of our own, so that nothing depends on a library's random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import tflite_surgeon as ts
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import table_class

DTYPES = {"INT8": "<i1", "UINT8": "<u1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FLOAT32": "<f4"}
GATES = ("input_gate", "forget_gate", "cell_gate", "output_gate")

# Versions as the converter writes them, by operator and input type.
_VERSIONS = {
    "FULLY_CONNECTED": {"INT8": 4, "UINT8": 1, "INT16": 7},
    "CONV_2D": {"INT8": 3, "UINT8": 1, "INT16": 4},
    "DEPTHWISE_CONV_2D": {"INT8": 3, "UINT8": 1, "INT16": 5},
    "TRANSPOSE_CONV": {"INT8": 3, "UINT8": 3, "INT16": 3},
}


def float32(value: float) -> float:
    return float(np.float32(value))


def product(first: float, second: float) -> float:
    """float32 of the exact product of two float32 values."""
    return float(np.float32(np.float64(np.float32(first)) * np.float64(np.float32(second))))


def steps(value: float, count: int) -> float:
    """The float32 that lies so many float32 steps away."""
    found = np.float32(value)
    for _ in range(abs(count)):
        found = np.nextafter(found, np.float32(np.inf if count > 0 else -np.inf), dtype=np.float32)
    return float(found)


def _generator(seed: int) -> Iterator[int]:
    state = seed
    while True:
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        yield state >> 16


def spread(shape: Sequence[int], low: int, high: int, seed: int = 1) -> np.ndarray:
    """Integers from low to high, the same everywhere."""
    source = _generator(seed)
    count = int(np.prod(shape))
    values = [low + next(source) % (high - low + 1) for _ in range(count)]
    return np.array(values, np.int64).reshape(shape)


class Net:
    """A model in the making."""

    def __init__(self) -> None:
        self.buffers = [ts.Buffer()]
        self.tensors: list[ts.Tensor] = []
        self.operators: list[ts.Operator] = []
        self.codes: dict[tuple[str, int], ts.OperatorCode] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str,
        scales: Sequence[float] | float | None = None,
        zero_point: int = 0,
        values: Any = None,
        *,
        dimension: int = 0,
        variable: bool = False,
    ) -> ts.Tensor:
        data = None
        if values is not None:
            wanted = np.asarray(values)
            data = wanted.astype(DTYPES[kind]).tobytes()
            assert (np.frombuffer(data, DTYPES[kind]).reshape(wanted.shape) == wanted).all(), name
            self.buffers.append(ts.Buffer(data))
        quantization = None
        if scales is not None:
            given = [scales] if isinstance(scales, (int, float)) else list(scales)
            quantization = ts.QuantizationParameters(
                scale=[float32(scale) for scale in given],
                zero_point=[zero_point] * len(given),
                quantized_dimension=dimension,
            )
        tensor = ts.Tensor(
            name=name,
            shape=list(shape),
            type=enum_class("TensorType")[kind],
            buffer=self.buffers[-1] if data is not None else self.buffers[0],
            quantization=quantization,
            is_variable=variable,
        )
        self.tensors.append(tensor)
        return tensor

    def operator(
        self,
        name: str,
        version: int,
        inputs: Sequence[ts.Tensor | None],
        outputs: Sequence[ts.Tensor],
        options: str | None = None,
        *,
        intermediates: Sequence[ts.Tensor] | None = None,
        **values: Any,
    ) -> ts.Operator:
        code = self.codes.get((name, version))
        if code is None:
            builtin = enum_class("BuiltinOperator")[name]
            code = ts.OperatorCode(
                deprecated_builtin_code=min(int(builtin), 127), builtin_code=builtin, version=version
            )
            self.codes[name, version] = code
        operator = ts.Operator(
            opcode=code,
            inputs=list(inputs),
            outputs=list(outputs),
            builtin_options=table_class(options)(**values) if options else None,
            intermediates=list(intermediates) if intermediates is not None else None,
        )
        self.operators.append(operator)
        return operator

    def model(self, inputs: Sequence[ts.Tensor], outputs: Sequence[ts.Tensor]) -> ts.Model:
        graph = ts.SubGraph(
            tensors=self.tensors, inputs=list(inputs), outputs=list(outputs), operators=self.operators, name="main"
        )
        return ts.Model(
            version=3,
            operator_codes=list(self.codes.values()),
            subgraphs=[graph],
            buffers=self.buffers,
            signature_defs=[_signature(graph)],
        )


def _signature(graph: ts.SubGraph) -> ts.SignatureDef:
    """Its inputs and outputs by the names of their tensors."""
    maps = [[ts.TensorMap(name=tensor.name, tensor=tensor) for tensor in row] for row in (graph.inputs, graph.outputs)]
    return ts.SignatureDef(signature_key="serving_default", inputs=maps[0], outputs=maps[1], subgraph=graph)


def written(model: ts.Model) -> ts.Model:
    """The model as read back from a file: what it has then is in bytes, and can be spliced."""
    return ts.loads(ts.dumps(model))


# The parts of a model, for tests that look at them


def node(model: ts.Model, number: int = 0, subgraph: int = 0) -> ts.Operator:
    return model.subgraphs[subgraph].operators[number]


def part(model: ts.Model, role: str, number: int = 0, subgraph: int = 0) -> ts.Tensor:
    found = node(model, number, subgraph).role(role)
    assert found is not None, role
    return found


def scales(tensor: ts.Tensor) -> list[float]:
    return list(tensor.quantization.scale)


def integers(tensor: ts.Tensor) -> list[int]:
    return [int(value) for value in tensor.values().reshape(-1)]


def damage(tensor: ts.Tensor, factor: float) -> None:
    """Write every scale of a tensor as another one."""
    tensor.quantization.scale = [float32(scale * factor) for scale in tensor.quantization.scale]


# Layers with a bias


def _weights_scales(channels: int, per_channel: bool) -> list[float]:
    return [0.004 * (1 + 0.3 * channel) for channel in range(channels)] if per_channel else [0.004]


def _bias_type(kind: str, bias_type: str | None) -> str:
    return bias_type or ("INT64" if kind == "INT16" else "INT32")


def _zero_points(kind: str) -> tuple[int, int, int]:
    """Of the input, the weights and the output."""
    return {"INT8": (-7, 0, 4), "UINT8": (121, 128, 132), "INT16": (0, 0, 0)}[kind]


def _weights_integers(shape: Sequence[int], kind: str) -> np.ndarray:
    values = spread(shape, -100, 100, seed=3)
    values.reshape(-1)[0] = 127
    return values + (128 if kind == "UINT8" else 0)


def layer(
    operator: str = "FULLY_CONNECTED",
    kind: str = "INT8",
    *,
    per_channel: bool = False,
    bias_type: str | None = None,
    channels: int = 4,
    bias: Sequence[int] | None = None,
    input_scale: float | None = None,
    weights_scales: Sequence[float] | None = None,
    output_scale: float | None = None,
    version: int | None = None,
) -> ts.Model:
    """A model of one FULLY_CONNECTED, CONV_2D, DEPTHWISE_CONV_2D or TRANSPOSE_CONV."""
    net = Net()
    source, result = net_layer(
        net,
        operator,
        kind,
        per_channel=per_channel,
        bias_type=bias_type,
        channels=channels,
        bias=bias,
        input_scale=input_scale,
        weights_scales=weights_scales,
        output_scale=output_scale,
        version=version,
    )
    return net.model([source], [result])


def net_layer(
    net: Net,
    operator: str = "FULLY_CONNECTED",
    kind: str = "INT8",
    *,
    source: ts.Tensor | None = None,
    weights: ts.Tensor | None = None,
    bias_tensor: ts.Tensor | None = None,
    per_channel: bool = False,
    bias_type: str | None = None,
    channels: int = 4,
    bias: Sequence[int] | None = None,
    input_scale: float | None = None,
    weights_scales: Sequence[float] | None = None,
    output_scale: float | None = None,
    version: int | None = None,
    suffix: str = "",
) -> tuple[ts.Tensor, ts.Tensor]:
    """Add a layer; its input and output. Tensors that are given are used instead of new ones."""
    input_zero, weights_zero, output_zero = _zero_points(kind)
    input_scale = input_scale or (0.02 if kind != "INT16" else 0.0002)
    output_scale = output_scale or (0.03 if kind != "INT16" else 0.0003)
    scales_of_weights = list(weights_scales or _weights_scales(channels, per_channel))
    depth = channels if operator == "DEPTHWISE_CONV_2D" else 3
    axis = 3 if operator == "DEPTHWISE_CONV_2D" and len(scales_of_weights) > 1 else 0
    shapes = {
        "FULLY_CONNECTED": ([2, depth], [channels, depth], [2, channels]),
        "CONV_2D": ([1, 4, 4, depth], [channels, 2, 2, depth], [1, 3, 3, channels]),
        "DEPTHWISE_CONV_2D": ([1, 4, 4, depth], [1, 2, 2, channels], [1, 3, 3, channels]),
        "TRANSPOSE_CONV": ([1, 2, 2, depth], [channels, 2, 2, depth], [1, 3, 3, channels]),
    }[operator]
    if source is None:
        source = net.tensor(f"input{suffix}", shapes[0], kind, input_scale, input_zero)
    if weights is None:
        weights_kind = "UINT8" if kind == "UINT8" else "INT8"
        values = _weights_integers(shapes[1], kind)
        weights = net.tensor(
            f"weights{suffix}", shapes[1], weights_kind, scales_of_weights, weights_zero, values, dimension=axis
        )
    if bias_tensor is None:
        units = [product(scales(source)[0], scale) for scale in scales(weights)]
        if bias is None:
            # Up to some 60 output quanta, so that a wrong unit shows.
            reach = int(60 * output_scale / max(units))
            bias = spread([channels], -reach, reach, seed=5).tolist()
            bias[0] = reach
        bias_tensor = net.tensor(f"bias{suffix}", [channels], _bias_type(kind, bias_type), units, 0, bias)
    result = net.tensor(f"output{suffix}", shapes[2], kind, output_scale, output_zero)
    inputs: list[ts.Tensor | None] = [source, weights, bias_tensor]
    options: dict[str, Any] = {"options": "FullyConnectedOptions"}
    if operator != "FULLY_CONNECTED":
        valid = {"padding": enum_class("Padding")["VALID"], "stride_w": 1, "stride_h": 1}
        options = {
            "options": {"CONV_2D": "Conv2DOptions", "TRANSPOSE_CONV": "TransposeConvOptions"}.get(operator),
            **valid,
        }
        if operator == "DEPTHWISE_CONV_2D":
            options |= {"options": "DepthwiseConv2DOptions", "depth_multiplier": 1}
        if operator == "TRANSPOSE_CONV":
            shape = net.tensor(f"output_shape{suffix}", [4], "INT32", values=shapes[2])
            inputs = [shape, weights, source, bias_tensor]
    if kind == "INT16" and bias_tensor.type_name == "INT32" and operator != "DEPTHWISE_CONV_2D":
        options["quantized_bias_type"] = enum_class("TensorType")["INT32"]
    net.operator(operator, version or _VERSIONS[operator][kind], inputs, [result], **options)
    return source, result


def chain(count: int = 2, kind: str = "INT8", **arguments: Any) -> ts.Model:
    """Fully connected layers, each on the output of the one before."""
    net = Net()
    first, last = net_layer(net, kind=kind, channels=3, suffix="_0", **arguments)
    for number in range(1, count):
        _, last = net_layer(net, kind=kind, channels=3, source=last, suffix=f"_{number}", **arguments)
    return net.model([first], [last])


def shared_bias(input_scales: Sequence[float] = (0.02, 0.05, 0.03), **arguments: Any) -> ts.Model:
    """Fully connected layers with one bias tensor, each with an input of its own; it is in the unit of the first."""
    net = Net()
    sources, results = [], []
    bias: ts.Tensor | None = None
    for number, scale in enumerate(input_scales):
        source, result = net_layer(net, input_scale=scale, bias_tensor=bias, suffix=f"_{number}", **arguments)
        bias = net.operators[0].role("bias")
        sources.append(source)
        results.append(result)
    return net.model(sources, results)


def one_input(count: int = 2, *, shared_weights: bool = False) -> ts.Model:
    """Fully connected layers, each with a bias of its own, that read one input; their weights may be one tensor."""
    net = Net()
    source, first = net_layer(net, suffix="_0")
    results = [first]
    for number in range(1, count):
        weights = net.operators[0].role("weights") if shared_weights else None
        weights_scales = [0.004 * (1 + number)]
        _, result = net_layer(net, source=source, weights=weights, weights_scales=weights_scales, suffix=f"_{number}")
        results.append(result)
    return net.model([source], results)


def one_weights(input_scales: Sequence[float] = (0.02, 0.05)) -> ts.Model:
    """Fully connected layers with inputs and biases of their own, and one weights tensor."""
    net = Net()
    sources, results = [], []
    for number, scale in enumerate(input_scales):
        weights = net.operators[0].role("weights") if number else None
        source, result = net_layer(net, input_scale=scale, weights=weights, suffix=f"_{number}")
        sources.append(source)
        results.append(result)
    return net.model(sources, results)


def two_subgraphs(first: ts.Model, second: ts.Model) -> ts.Model:
    """A model with the graphs of two; the second is called by nobody."""
    first.subgraphs += second.subgraphs
    first.buffers += second.buffers
    first.operator_codes += second.operator_codes
    first.subgraphs[1].name = "other"
    return first


# Operators with state


def svdf(*, units: int = 4, depth: int = 3, memory: int = 2, bias: Sequence[int] | None = None) -> ts.Model:
    """An int8 SVDF of rank 1, with int16 state and time weights."""
    net = Net()
    state_scale, time_scale, output_scale = 0.0004, 0.00003, 0.02
    unit = product(state_scale, time_scale)
    reach = int(40 * output_scale / unit)
    values = list(bias) if bias is not None else spread([units], -reach, reach, seed=5).tolist()
    source = net.tensor("input", [1, depth], "INT8", 0.05, -7)
    feature = net.tensor("weights_feature", [units, depth], "INT8", 0.01, 0, spread([units, depth], -100, 100, 3))
    time = net.tensor("weights_time", [units, memory], "INT16", time_scale, 0, spread([units, memory], -9999, 9999, 4))
    bias_tensor = net.tensor("bias", [units], "INT32", unit, 0, values)
    state = net.tensor("state", [1, units * memory], "INT16", state_scale, 0, variable=True)
    result = net.tensor("output", [1, units], "INT8", output_scale, 4)
    inputs = [source, feature, time, bias_tensor, state]
    activation = enum_class("ActivationFunctionType")["RELU"]
    net.operator("SVDF", 3, inputs, [result], "SVDFOptions", rank=1, fused_activation_function=activation)
    return net.model([source], [result])


def lstm(*, layer_norm: bool = False, projection: bool = True, units: int = 3, depth: int = 2) -> ts.Model:
    """A UNIDIRECTIONAL_SEQUENCE_LSTM in the 8x8_16 form, with or without layer normalisation."""
    net = Net()
    input_scale, state_scale, weights_scale, hidden_scale = 0.02, 0.0078125, 0.008, 0.0078125
    source = net.tensor("input", [1, 2, depth], "INT8", input_scale, -7)
    norm_scale = 0.0000305
    inputs: list[ts.Tensor | None] = [source]
    for name, width in (("input", depth), ("recurrent", units)):
        for number, gate in enumerate(GATES):
            values = spread([units, width], -100, 100, seed=10 + number + width)
            scale = weights_scale * (1 + 0.1 * number)
            inputs.append(net.tensor(f"{name}_to_{gate}_weights", [units, width], "INT8", scale, 0, values))
    inputs += [None, None, None]
    for number, gate in enumerate(GATES):
        weights = inputs[1 + number]
        assert weights is not None
        unit = float32(norm_scale * 2.0**-10) if layer_norm else product(input_scale, scales(weights)[0])
        reach = int(0.5 / unit)
        inputs.append(
            net.tensor(f"{gate}_bias", [units], "INT32", unit, 0, spread([units], -reach, reach, seed=20 + number))
        )
    if projection:
        values = spread([units, units], -100, 100, seed=30)
        inputs.append(net.tensor("projection_weights", [units, units], "INT8", weights_scale, 0, values))
        unit = product(hidden_scale, weights_scale)
        reach = int(0.2 / unit)
        inputs.append(net.tensor("projection_bias", [units], "INT32", unit, 0, spread([units], -reach, reach, seed=31)))
    else:
        inputs += [None, None]
    inputs.append(net.tensor("output_state", [1, units], "INT8", state_scale, 0, variable=True))
    inputs.append(net.tensor("cell_state", [1, units], "INT16", 2.0**-12, 0, variable=True))
    for number, gate in enumerate(GATES):
        values = spread([units], 10000, 30000, seed=40 + number)
        inputs.append(net.tensor(f"{gate}_layer_norm", [units], "INT16", norm_scale, 0, values) if layer_norm else None)
    result = net.tensor("output", [1, 2, units], "INT8", state_scale, 0)
    intermediates = []
    for gate in GATES:
        scale = 0.0001 if layer_norm else None
        intermediates.append(net.tensor(f"{gate}_intermediate", [0], "INT16" if layer_norm else "FLOAT32", scale))
    intermediates.append(net.tensor("hidden", [0], "INT8", hidden_scale, 0))
    net.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        2 if layer_norm else 1,
        inputs,
        [result],
        "UnidirectionalSequenceLSTMOptions",
        intermediates=intermediates,
        fused_activation_function=enum_class("ActivationFunctionType")["TANH"],
        cell_clip=7.0,
    )
    return net.model([source], [result])


# What they compute, in real numbers


def real(tensor: ts.Tensor, values: Any = None, axis: int = 0) -> np.ndarray:
    """Integers as the real values that the tensor's scale and zero point make of them, in float64."""
    array = np.asarray(tensor.values() if values is None else values).astype(np.float64)
    quantization = tensor.quantization
    scale = np.array(quantization.scale, np.float64)
    zero = np.array(quantization.zero_point or [0] * len(scale), np.float64)
    if len(scale) > 1:
        shape = [1] * array.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return (array - zero) * scale


def computed(operator: ts.Operator, given: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """The operator's result in real values for integer inputs, in float64, within the output's range.

    The bias counts as the file writes it, integers times stored scale, unless it is given in real values.
    """
    value, weights, output = (operator.role(role) for role in ("input", "weights", "output"))
    name = operator.name
    x = real(value, given)
    w = real(weights, axis=3 if name == "DEPTHWISE_CONV_2D" else 0)
    b = real(operator.role("bias")) if bias is None else bias
    if name == "FULLY_CONNECTED":
        y = x.reshape(-1, w.shape[1]) @ w.T
    else:
        y = np.zeros([1, *output.shape[1:3], output.shape[3]])
        for row in range(w.shape[1]):
            for column in range(w.shape[2]):
                if name == "TRANSPOSE_CONV":
                    high, wide = x.shape[1:3]
                    y[:, row : row + high, column : column + wide] += x @ w[:, row, column, :].T
                else:
                    high, wide = y.shape[1:3]
                    window = x[:, row : row + high, column : column + wide]
                    y += window @ w[:, row, column, :].T if name == "CONV_2D" else window * w[0, row, column]
    limits = np.iinfo(DTYPES[output.type_name])
    low, high_ = real(output, limits.min), real(output, limits.max)
    return np.clip((y + b).reshape(output.shape), low, high_)
