"""Where the tables of a file end: told from the bytes alone, and the same as the sum of all that the tables take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.flatbuffer import samples
from tflite_surgeon.flatbuffer.extent import spans

FIXTURES = sorted(Path(__file__).parents[2].joinpath("fixtures").glob("*.tflite"))


def outside() -> ts.Model:
    model = builders.layer()
    for buffer in (model.buffers or [])[1:]:
        buffer.outside = True
    return model


def options_outside() -> ts.Model:
    model = builders.layer()
    operator = model.subgraphs[0].operators[0]
    operator.large_custom_options = bytes(range(256))
    return model


MODELS: dict[str, Callable[[], bytes]] = {
    **{path.stem: path.read_bytes for path in FIXTURES},
    "quantised": lambda: ts.dumps(samples.quantised()),
    "lstm": lambda: ts.dumps(builders.lstm()),
    "data outside": lambda: ts.dumps(outside()),
    "options outside": lambda: ts.dumps(options_outside()),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_end_is_that_of_what_lies_last(name: str) -> None:
    data = MODELS[name]()
    model = ts.loads(data)
    reader = model.source.reader
    ends = [end for _, end in spans(model, reader)]
    ends += [buffer.offset + buffer.size for buffer in model.buffers if buffer.outside]
    operators = [node.operator for node in model.nodes() if node.operator.large_custom_options is not None]
    ends += [o.large_custom_options_offset + o.large_custom_options_size for o in operators]
    assert ("outside" in name) == (len(ends) > len(list(spans(model, reader))))
    assert reader.end() == max(ends) <= len(data)
    behind = ts.loads(data + b"behind").source.reader
    assert behind.end() == reader.end()
