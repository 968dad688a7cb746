"""Intermediates and open shapes in the child process."""

from __future__ import annotations

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import computed, node, part, scales
from tests.interpreters import session
from tests.verification import models


@pytest.mark.parametrize("name", ["litert", "litert-no-delegate", "tflite-2.14"])
def test_intermediates_are_what_operators_compute(name):
    model = builders.chain(3)
    tensors = model.subgraphs[0].tensors
    wanted = [next(n for n, tensor in enumerate(tensors) if tensor is part(model, "output", k)) for k in range(3)]
    stored = builders.spread(part(model, "input").shape, -100, 100, seed=8).astype("i1")
    run = session(name).run(ts.dumps(model), inputs=[stored], fetch=wanted, invocations=2)
    assert run.ok, run.message
    assert len(run.kept) == 2
    for kept in run.kept:
        given = stored
        for number, tensor in enumerate(wanted):
            operator = node(model, number)
            found = kept[tensor]
            apart = builders.real(operator.role("output"), found) - computed(operator, given)
            assert np.abs(apart).max() < scales(operator.role("output"))[0]
            given = found
        assert (kept[wanted[-1]] == run.outputs[0][0]).all()


def test_nothing_is_kept_unless_asked_for():
    run = session("litert").run(ts.dumps(builders.chain(1)))
    assert run.kept == ({},)


@pytest.mark.parametrize("name", ["litert", "litert-no-delegate", "tflite-2.14"])
def test_an_open_dimension_takes_the_shape_of_the_input(name):
    given = np.array([[-1, 2, 3, 9], [0, 0, 0, 0], [5, 5, 5, 7]], "f4")
    run = session(name).run(ts.dumps(models.open_batch()), inputs=[given], resize=True)
    assert run.ok, run.message
    assert run.outputs[0][0].tolist() == np.clip(given, 0, 6).tolist()


def test_tflm_can_neither():
    runtime = session("tflm")
    data = ts.dumps(builders.chain(1))
    for arguments in ({"fetch": [0]}, {"resize": True}):
        with pytest.raises(ValueError, match="hands out no tensors but the outputs"):
            runtime.run(data, **arguments)
