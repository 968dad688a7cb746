"""For every rule: sound models, and the one damage that must lead to exactly its finding."""

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


def _set(name: str, value: object) -> Callable[[ts.Model], None]:
    return lambda model: setattr(model, name, value)


def _scale(role: str, factor: float, number: int = 0) -> Callable[[ts.Model], None]:
    return lambda model: builders.damage(builders.part(model, role, number), factor)


def _unlisted_external_buffer(model: ts.Model) -> None:
    """A constant that names an external buffer which the model does not list."""
    builders.part(model, "weights").external_buffer = 7


def _slice() -> ts.Model:
    """A STRIDED_SLICE of floats, from 1 to 3."""
    net = builders.Net()
    whole = net.tensor("whole", [4], "FLOAT32")
    limits = [net.tensor(name, [1], "INT32", values=[value]) for name, value in (("begin", 1), ("end", 3), ("step", 1))]
    part = net.tensor("part", [2], "FLOAT32")
    net.operator("STRIDED_SLICE", 1, [whole, *limits], [part], "StridedSliceOptions")
    return net.model([whole], [part])


def _end_at_zero(model: ts.Model) -> None:
    model.subgraphs[0].operators[0].inputs[2].set_values([0])


def _large_requantization(model: ts.Model) -> None:
    """An output so fine that input scale x weights scale / output scale passes 256."""
    unit = builders.scales(builders.part(model, "input"))[0] * builders.scales(builders.part(model, "weights"))[0]
    builders.part(model, "output").quantization.scale = [unit / 300]


def _zero_output_scale(model: ts.Model) -> None:
    builders.part(model, "output").quantization.scale = [0.0]


BREAKERS: dict[str, list[Breaker]] = {
    "file-identifier": [Breaker("wrong", builders.layer, _set("identifier", b"TFL2"))],
    "external-buffer": [Breaker("unlisted", builders.layer, _unlisted_external_buffer)],
    "xnnpack-failure": [
        Breaker("requantization", lambda: builders.layer("CONV_2D"), _large_requantization),
        Breaker("output-scale", lambda: builders.layer("CONV_2D"), _zero_output_scale),
    ],
    "xnnpack-wrong-numbers": [Breaker("end-at-zero", _slice, _end_at_zero)],
    "schema-version": [Breaker("wrong", builders.layer, _set("version", 4))],
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
