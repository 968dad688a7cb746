"""Tensors of built models, beside the interpreter's own details; of real ones in tests/collection."""

from __future__ import annotations

import pytest

import tflite_surgeon as ts
from tests.builders import layer, lstm, part, svdf, two_subgraphs
from tests.interpreters import session
from tests.views import models
from tests.views.beside_interpreter import compare
from tflite_surgeon.views.listing import list_tensors


def opened() -> ts.Model:
    model = models.floating()
    for role in ("input", "output"):
        tensor = part(model, role)
        tensor.shape_signature = [-1, *tensor.shape[1:]]
    return model


@pytest.mark.parametrize("runtime", ["litert", "tflite-2.14"])
@pytest.mark.parametrize(
    "model",
    [
        layer(per_channel=True),
        layer("DEPTHWISE_CONV_2D", "INT16"),
        layer(kind="UINT8"),
        models.unpacked("FLOAT16"),
        models.mixed(),
        opened(),
        svdf(),
        lstm(),
        two_subgraphs(layer(), layer("CONV_2D")),
    ],
)
def test_tensors_agree(model: ts.Model, runtime: str) -> None:
    told = session(runtime).run(ts.dumps(model), invoke=False, allocate=False)
    assert told.ok, told.message
    rows = list_tensors(model)
    first = sum(row.subgraph == 0 for row in rows)
    assert compare(rows, told, runtime) == (len(rows) if runtime == "litert" else first)
