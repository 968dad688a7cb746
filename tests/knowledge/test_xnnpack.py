"""Which nodes XNNPACK takes and what then fails: the prediction beside what the runtime did."""

from __future__ import annotations

import importlib.util
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tflite_surgeon as ts
from tests import interpreters
from tests.builders import enum_class, node, table_class
from tests.knowledge.asking import Answer, delegate
from tests.knowledge.samples import (
    BIAS,
    SAMPLES,
    TYPES,
    WEIGHTS,
    add,
    close,
    constant,
    empty,
    quantised,
    sample,
    tensor,
    value,
)
from tests.knowledge.variants import variants
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.xnnpack import Placement, failures_after_taking, taken, wrong_numbers_after_taking
from tflite_surgeon.knowledge.xnnpack.claims import CLAIMS
from tflite_surgeon.knowledge.xnnpack.failures import RESHAPING

MODELS = os.environ.get("TFLITE_SURGEON_MODELS")
needs_models = pytest.mark.skipif(MODELS is None, reason="the environment variable TFLITE_SURGEON_MODELS is not set")
needs_runtime = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None, reason="ai_edge_litert is not installed"
)
# Of each operator's variants, how many the default suite asks the runtime about.
ASKED = 40
# The delegate judges these through memory beside an array, or the kernel dies of what the delegate left to it.
UNTOLD = ("unquantised", "scale 0.0", "scale -1.0", "scale inf", "scale nan", "scale 1e-40", "input 1 of INT4", "adj_x")
KERNEL_DIES = ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE")


def prediction(model: ts.Model) -> tuple[bool, list[str], bool]:
    """Of a model of one node: whether it is taken, what is said, and whether the process may die."""
    graph = model.subgraphs[0]
    placement = Placement(graph)
    failures = failures_after_taking(graph.operators[0], placement)
    messages = [failure.message for failure in failures if failure.message]
    return placement.takes(graph.operators[0]), messages, any(failure.kills is not False for failure in failures)


def disagreement(model: ts.Model, answer: Answer) -> str | None:
    """How the prediction differs from what the runtime did with a model of one node."""
    took, messages, may_die = prediction(model)
    if answer.died or may_die:
        return None if bool(answer.died) == may_die else f"predicted death {may_die}, {answer}"
    if not answer.opened:
        return None
    if bool(answer.taken) != took:
        return f"predicted {took}, {answer}"
    if took and not answer.error.startswith(messages[0] if messages else ""):
        return f"predicted {messages}, {answer}"
    return f"said nothing of {answer}" if took and answer.error and not messages else None


def asked(kind: str, every: bool) -> Iterator[tuple[str, ts.Model]]:
    """Variants that the runtime can be asked about: all, or a seeded choice."""
    found = [
        (name, model)
        for name, model in variants(kind)
        if not any(word in name for word in UNTOLD)
        and not (kind in KERNEL_DIES and ("INT8: output" in name or "scale times" in name))
        and not (kind.startswith("CUSTOM") and "of shape" in name)
        and not (kind == "SPACE_TO_DEPTH" and name.endswith(("0 of shape []", "0 of shape [6]")))
    ]
    yield from found if every else random.Random(kind).sample(found, min(ASKED, len(found)))


@needs_runtime
@pytest.mark.parametrize("kind", SAMPLES)
def test_variants(kind: str, tmp_path: Path) -> None:
    """A seeded choice of nodes on both sides of the claim's conditions."""
    wrong = {}
    for name, model in asked(kind, every=False):
        if prediction(model)[2]:  # A death takes the child with it: the slower test asks.
            continue
        found = disagreement(model, delegate().ask(model, tmp_path / "model.tflite"))
        if found is not None:
            wrong[name] = found
    assert wrong == {}


@needs_runtime
@pytest.mark.collection
@pytest.mark.parametrize("kind", SAMPLES)
def test_all_variants(kind: str, tmp_path: Path) -> None:
    wrong = {}
    opened = 0
    for name, model in asked(kind, every=True):
        answer = delegate().ask(model, tmp_path / "model.tflite")
        opened += answer.opened
        found = disagreement(model, answer)
        if found is not None:
            wrong[name] = found
    assert wrong == {}
    assert opened > 20


def test_every_operator_of_the_table_has_a_sample_that_is_taken() -> None:
    without = {"READ_VARIABLE", "ASSIGN_VARIABLE", "COMPOSITE odml.scaled_dot_product_attention"}
    assert set(CLAIMS) - set(SAMPLES) == without
    assert [kind for kind in SAMPLES if taken(sample(kind)) != [[0]]] == []


@pytest.mark.parametrize(
    ("kind", "position", "values", "message"),
    [
        ("LOGISTIC", 0, {"scale": [0.0]}, "unsupported scale value (0.000000) in channel 0 for INT8 tensor 0 in"),
        ("ADD", 0, {"zero_point": [200]}, "unsupported zero-point value (200) for INT8 tensor 0 in"),
        ("CONV_2D", 0, {"scale": [1e5]}, "failed to create XNNPACK runtime"),
        ("PAD", 0, {"scale": [0.2]}, "failed to delegate PAD node #0"),
        ("FULLY_CONNECTED", 1, {"scale": [0.1] * 3, "zero_point": [0] * 3}, "mismatching number of quantization"),
    ],
)
def test_what_fails_after_a_claim(kind: str, position: int, values: dict, message: str) -> None:
    model = sample(kind, "INT8")
    assert prediction(model) == (True, [], False)
    if kind == "FULLY_CONNECTED":
        values = {**values, "quantized_dimension": 0}
    for name, changed in values.items():
        setattr(node(model).inputs[position].quantization, name, changed)
    took, messages, _ = prediction(model)
    if kind == "ADD":
        assert took
    assert messages[0].startswith(message)


def test_what_kills() -> None:
    model = sample("QUANTIZE")
    result = node(model).outputs[0]
    result.type, result.quantization = enum_class("TensorType")["INT8"], quantised("INT8")
    assert prediction(model) == (True, [], False)
    result.quantization.scale = [0.0]
    assert prediction(model)[2]
    model = sample("SPLIT")
    node(model).builtin_options.num_splits = 3
    assert prediction(model)[::2] == (False, True)


# Several nodes


def unpacked(consumers: list[tuple[str, int]], packed: str = "FLOAT16", *, bias: bool = False) -> ts.Model:
    """Constants behind DEQUANTIZE, read as weights (1) or as values (0)."""
    model = empty()
    stored = tensor(model, "packed", constant(WEIGHTS, 4, 4), packed)
    full = tensor(model, "full", value(4, 4), "FLOAT32")
    add(model, "DEQUANTIZE", [stored], [full])
    for number, (kind, position) in enumerate(consumers):
        source = tensor(model, f"source_{number}", value(4, 4), "FLOAT32")
        result = tensor(model, f"result_{number}", value(4, 4), "FLOAT32")
        inputs = [full] if kind in ("NEG", "SIGN") else [source, full] if position else [full, source]
        options = "FullyConnectedOptions" if kind == "FULLY_CONNECTED" else None
        if bias:
            inputs.append(tensor(model, "bias", constant(BIAS, 4), packed))
        add(model, kind, inputs, [result], builtin_options=table_class(options)() if options else None)
    close(model)
    return model


def variables(type_name: str = "FLOAT32", *, declared: bool = True, second: tuple[int, ...] = (2, 3)) -> ts.Model:
    model = empty()
    handle = ts.Tensor(name="handle", shape=[], type=enum_class("TensorType")["RESOURCE"], buffer=model.buffers[0])
    if declared:
        options = table_class("VarHandleOptions")(container="", shared_name="v")
        add(model, "VAR_HANDLE", [], [handle], builtin_options=options)
    add(model, "ASSIGN_VARIABLE", [handle, tensor(model, "given", value(2, 3), type_name)], [])
    add(model, "READ_VARIABLE", [handle], [tensor(model, "read", value(*second), type_name)])
    close(model)
    return model


def mixed_bias() -> ts.Model:
    """Weights that are read as float32 beside a bias that stays float16."""
    model = unpacked([("FULLY_CONNECTED", 1), ("NEG", 0)], bias=False)
    graph = model.subgraphs[0]
    stored = tensor(model, "packed bias", constant(BIAS, 4), "FLOAT16")
    full = tensor(model, "full bias", value(4), "FLOAT32")
    unpacking = add(model, "DEQUANTIZE", [stored], [full])
    graph.operators.insert(1, graph.operators.pop())
    assert graph.operators[1] is unpacking
    graph.operators[2].inputs.append(full)
    close(model)
    return model


SEVERAL = {
    "weights": (lambda: unpacked([("FULLY_CONNECTED", 1)]), [0, 1]),
    "weights of int8": (lambda: unpacked([("FULLY_CONNECTED", 1)], "INT8"), [0, 1]),
    "weights of int16": (lambda: unpacked([("FULLY_CONNECTED", 1)], "INT16"), []),
    "values": (lambda: unpacked([("NEG", 0)]), [0, 1]),
    "refused consumer": (lambda: unpacked([("SIGN", 0)]), []),
    "one refused consumer": (lambda: unpacked([("SIGN", 0), ("FULLY_CONNECTED", 1)]), [2]),
    "weights and values": (lambda: unpacked([("FULLY_CONNECTED", 1), ("NEG", 0)]), [0, 1, 2]),
    "bias of another width": (mixed_bias, [3]),
    "variable": (variables, [0, 1, 2]),
    "variable of int32": (lambda: variables("INT32"), []),
    "variable from outside": (lambda: variables(declared=False), []),
    "variable of two shapes": (lambda: variables(second=(3, 2)), [0, 1]),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_nodes(name: str, tmp_path: Path) -> None:
    make, expected = SEVERAL[name]
    model = make()
    assert taken(model) == [expected]
    if importlib.util.find_spec("ai_edge_litert") is None:
        return
    answer = delegate().ask(model, tmp_path / "model.tflite")
    graph = model.subgraphs[0]
    # Constants that are unpacked and variables' handles leave no node behind.
    known = {number for outputs in answer.taken for number in outputs}
    seen = [
        number
        for number, operator in enumerate(graph.operators)
        if operator.name not in ("DEQUANTIZE", "VAR_HANDLE", "ASSIGN_VARIABLE")
        and any(graph.tensors.index(output) in known for output in operator.outputs)
    ]
    assert seen == [
        n for n in expected if graph.operators[n].name not in ("DEQUANTIZE", "VAR_HANDLE", "ASSIGN_VARIABLE")
    ]


def test_a_custom_operator_with_a_builtin_name_is_none() -> None:
    model = sample("ADD")
    code = node(model).opcode
    code.custom_code = "ADD"
    code.builtin_code = enum_class("BuiltinOperator")["CUSTOM"]
    code.deprecated_builtin_code = 32
    assert taken(model) == [[]]


def test_an_operator_in_place_and_a_validation_subgraph_are_left_alone() -> None:
    model = sample("ABS")
    node(model).outputs = list(node(model).inputs)
    assert taken(model) == [[]]
    model = sample("ABS")
    model.subgraphs[0].name = "VALIDATION:main"
    assert taken(model) == [[]]


@pytest.mark.parametrize(("name", "expected"), [("odml.scaled_dot_product_attention", [0]), ("odml.rms_norm", [])])
def test_a_composite_is_known_by_its_name(name: str, expected: list[int]) -> None:
    model = sample("CUSTOM odml.scaled_dot_product_attention")
    code = node(model).opcode
    code.custom_code, code.deprecated_builtin_code = None, 127
    code.builtin_code = enum_class("BuiltinOperator")["STABLEHLO_COMPOSITE"]
    node(model).builtin_options_2 = table_class("StableHLOCompositeOptions")(name=name)
    assert taken(model) == [expected]


def test_references_that_point_nowhere_and_nodes_without_tensors() -> None:
    for kind in SAMPLES:
        for types in TYPES:
            for inputs in ([], None, [None] * 4, [ts.BadReference(99)] * 3):
                for outputs in ([], None, [None], [ts.BadReference(99)]):
                    model = sample(kind, types)
                    node(model).inputs, node(model).outputs = inputs, outputs
                    graph = model.subgraphs[0]
                    placement = Placement(graph)
                    assert not placement.takes(node(model))
                    failures_after_taking(node(model), placement)


def end_of_zero() -> ts.Model:
    model = sample("STRIDED_SLICE")
    node(model).inputs[2].buffer.data = np.array([2, 0], "<i4").tobytes()
    return model


def computed_right_factor() -> ts.Model:
    model = sample("BATCH_MATMUL", "hybrid")
    node(model).inputs[1].buffer = model.buffers[0]
    close(model)
    return model


def deep_bias() -> ts.Model:
    model = sample("FULLY_CONNECTED")
    node(model).inputs[2].shape = [1] * 6 + [4]
    return model


def unpacked_result() -> ts.Model:
    model = unpacked([("NEG", 0)])
    model.subgraphs[0].outputs = model.subgraphs[0].tensors[1:2]
    return model


def mean_of_another_type() -> ts.Model:
    model = sample("MEAN")
    result = node(model).outputs[0]
    result.type, result.quantization = enum_class("TensorType")["INT8"], quantised("INT8")
    return model


@pytest.mark.parametrize("make", [end_of_zero, computed_right_factor, deep_bias, unpacked_result])
def test_what_differs_without_a_word(make: Callable[[], ts.Model]) -> None:
    """The runtime computes something else with the delegate than without, where it computes anything without."""
    model = make()
    graph = model.subgraphs[0]
    placement = Placement(graph)
    assert len(wrong_numbers_after_taking(node(model), placement)) == 1
    assert failures_after_taking(node(model), placement) == []
    data = ts.dumps(model)
    inputs = [np.ones(item.shape, {"FLOAT32": "f4", "INT8": "i1"}[item.type.name]) for item in graph.inputs]
    runs = [interpreters.session(name).run(data, inputs=inputs) for name in ("litert", "litert-no-delegate")]
    assert runs[0].ok
    assert not runs[1].ok or not interpreters.same_outputs(*runs)


def test_a_mean_of_another_type_is_none() -> None:
    model = mean_of_another_type()
    assert len(wrong_numbers_after_taking(node(model), Placement(model.subgraphs[0]))) == 1
    run = interpreters.session("litert").run(ts.dumps(model), inputs=[np.ones([2, 3], "f4")])
    assert run.ok
    assert run.outputs[0][0].tolist() != [13, 13]  # 1 / 0.1 + 3


def test_what_does_not_differ() -> None:
    for kind in SAMPLES:
        for types in TYPES:
            model = sample(kind, types)
            assert wrong_numbers_after_taking(node(model), Placement(model.subgraphs[0])) == []
    model = end_of_zero()
    node(model).builtin_options.end_mask = 2
    assert wrong_numbers_after_taking(node(model), Placement(model.subgraphs[0])) == []


# Real models


def rows(name: str) -> Iterator[dict]:
    with open(Path(str(MODELS)) / name, encoding="utf-8") as lines:
        yield from map(json.loads, lines)


@needs_models
@pytest.mark.collection
def test_real_models() -> None:
    """Every node of every model that the runtime opens; and no failure where it saw none."""
    asked = 0
    wrong, alarms = [], []
    for row in rows("xnnpack_claimed.jsonl"):
        if row["note"] != "ok" and not row["claimed"]:
            continue
        model = ts.load(Path(str(MODELS)) / row["file"])
        claimed = {(graph, number) for graph, numbers in row["claimed"] for number in numbers}
        predicted = {(graph, number) for graph, numbers in enumerate(taken(model)) for number in numbers}
        asked += sum(1 for _ in model.nodes())
        wrong += [(row["file"], place) for place in sorted(claimed ^ predicted)]
        if row["note"] == "ok":
            for graph in model.subgraphs[:1]:
                placement = Placement(graph)
                for operator in graph.operators or ():
                    # Stored shapes may be placeholders: with computed ones tests/collection/test_agreement.py asks.
                    found = failures_after_taking(operator, placement)
                    alarms += [(row["file"], f) for f in found if f.message != RESHAPING]
    assert wrong == []
    assert alarms == []
    assert asked > 2000


@needs_models
@pytest.mark.collection
def test_broken_models() -> None:
    """Damage makes an error of ours or a prediction, nothing else."""
    predicted = 0
    for row in rows("broken.jsonl"):
        data = bytearray((Path(str(MODELS)) / row["base"]).read_bytes())
        for offset, patch in row["patches"]:
            data[offset : offset + len(patch) // 2] = bytes.fromhex(patch)
        try:
            model = ts.loads(bytes(data[: row.get("truncate") or len(data)]))
            for graph in model.subgraphs or ():
                placement = Placement(graph)
                for operator in graph.operators or ():
                    failures_after_taking(operator, placement)
                    wrong_numbers_after_taking(operator, placement)
        except SurgeonError:
            continue
        predicted += 1
    assert predicted > 200
