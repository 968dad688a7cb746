"""Bias scales over the whole collection of real models: predictions and repairs beside what the runtimes did.

TFLITE_SURGEON_MODELS names the folder: manifest.jsonl (the models and what each runtime says of them) and broken.jsonl
(patches that damage some of them, and what each runtime says of the result).
"""

from __future__ import annotations

import functools
import json
import os
import struct
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import tflite_surgeon as ts
from tests.builders import float32, product
from tests.edits.expected import fix_biases
from tests.interpreters import same_outputs, session

MODELS = os.environ.get("TFLITE_SURGEON_MODELS")
pytestmark = [
    pytest.mark.collection,
    pytest.mark.skipif(MODELS is None, reason="the environment variable TFLITE_SURGEON_MODELS is not set"),
]

# Our name of a runtime -> the name in the recorded rows.
RECORDED = {
    "litert": "litert_default",
    "litert-no-delegate": "litert_nodelegate",
    "tflite-2.14": "tflrt_default",
    "tflm": "tflm",
}
SEEDS = (0, 1)


def _rows(name: str) -> list[dict[str, Any]]:
    if MODELS is None:
        return []
    with open(Path(MODELS) / name, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@functools.cache
def manifest() -> dict[str, dict[str, Any]]:
    return {row["file"]: row for row in _rows("manifest.jsonl")}


def broken() -> list[dict[str, Any]]:
    return [row for row in _rows("broken.jsonl") if row["edit"]["kind"].startswith("bias_scale")]


ROWS = broken()
each_row = pytest.mark.parametrize("row", ROWS or [None], ids=lambda row: row["file"] if row else "none")


def base_of(row: dict[str, Any]) -> bytes:
    return (Path(str(MODELS)) / row["base"]).read_bytes()


def variant_of(row: dict[str, Any]) -> bytes:
    data = bytearray(base_of(row))
    for offset, patch in row["patches"]:
        new = bytes.fromhex(patch)
        data[offset : offset + len(new)] = new
    return bytes(data[: row.get("truncate") or len(data)])


def base_runs_in(row: dict[str, Any], runtime: str) -> bool:
    return manifest()[row["base"]]["runtimes"][RECORDED[runtime]]["verdict"] == "ok"


@each_row
def test_refusals_are_predicted(row):
    model = ts.loads(variant_of(row))
    findings = ts.check(model)
    wrong = {}
    for runtime, recorded in RECORDED.items():
        if base_runs_in(row, runtime):
            verdict = row["runtimes"][recorded]["verdict"]
            predicted = any(finding.runtimes[runtime] == "refuses" for finding in findings)
            if predicted != verdict.startswith("fail:"):
                wrong[runtime] = (predicted, row["runtimes"][recorded])
    assert wrong == {}


@each_row
def test_the_damaged_node_is_found(row):
    edit = row["edit"]
    found = ts.check(ts.loads(variant_of(row)), select=["bias-scale"])
    operators = ts.loads(variant_of(row)).subgraphs[edit["subgraph"]].operators
    stored, unit = float(edit["new"]), product(edit["in_scale"], edit["w_scale"])
    named = [f for f in found if (f.subgraph, f.operator) == (edit["subgraph"], edit["op"])]
    assert [f.operator_name for f in named] == [operators[edit["op"]].name]
    assert {f.tensor[0] for f in found} == {edit["tensor"]}
    # The recorded numbers are those of the first channel.
    if named[0].details["worst_channel"] == 0:
        assert named[0].details["scales"]["bias"] == pytest.approx(stored, nan_ok=True)
        assert named[0].details["scales"]["expected"] == pytest.approx(unit, rel=1e-6)


@each_row
def test_keeping_the_integers_gives_back_the_base_s_outputs(row):
    outcome = fix_biases(ts.loads(variant_of(row)), keep="integers")
    assert outcome.left == ()
    assert [finding for finding in outcome.remaining if finding.rule == "bias-scale"] == []
    fixed = ts.dumps(outcome.model)
    compared = 0
    for runtime in RECORDED:
        if not base_runs_in(row, runtime):
            continue
        opened = session(runtime)
        for seed in SEEDS:
            first = _run_of_base(row["base"], runtime, seed)
            second = opened.run(fixed, seed=seed)
            assert first.ok
            assert second.ok, second.message
            assert same_outputs(first, second)
            compared += 1
    assert compared


@functools.lru_cache(maxsize=64)
def _run_of_base(base: str, runtime: str, seed: int):
    return session(runtime).run((Path(str(MODELS)) / base).read_bytes(), seed=seed)


def bias_fields(data: bytes, tensors: set[int], subgraph: int) -> list[range]:
    """Where the file keeps a bias tensor's scale, zero point, min, max and integers, by the flatbuffers package."""
    import tflite

    model = tflite.Model.GetRootAs(data, 0)
    spans = []
    for number in tensors:
        tensor = model.Subgraphs(subgraph).Tensors(number)
        quantization = tensor.Quantization()
        for slot, size in ((4, 4), (6, 4), (8, 4), (10, 8)):  # min, max, scale, zero_point
            offset = quantization._tab.Offset(slot)
            if offset:
                start = quantization._tab.Vector(offset)
                spans.append(range(start, start + size * quantization._tab.VectorLen(offset)))
        buffer = model.Buffers(tensor.Buffer())
        offset = buffer._tab.Offset(4)
        start = buffer._tab.Vector(offset)
        spans.append(range(start, start + buffer._tab.VectorLen(offset)))
    return spans


@each_row
@pytest.mark.parametrize("keep", ["values", "integers"])
def test_spliced_repairs_change_nothing_but_the_bias(row, keep):
    damaged = variant_of(row)
    outcome = fix_biases(ts.loads(damaged), keep=keep)
    fixed = ts.dumps(outcome.model)
    cloned = any(repair.tensor is not repair.use.bias for repair in outcome.repairs)
    if len(fixed) != len(damaged):
        assert cloned
        return
    spans = bias_fields(damaged, {row["edit"]["tensor"]}, row["edit"]["subgraph"])
    differing = {i for i in range(len(damaged)) if damaged[i] != fixed[i]}
    assert bool(differing) == bool(outcome.repairs)
    assert all(any(i in span for span in spans) for i in differing)


@each_row
def test_keeping_the_values_keeps_them_or_says_why_not(row):
    damaged = variant_of(row)
    original = ts.loads(damaged)
    outcome = fix_biases(original, keep="values")
    edit = row["edit"]
    before = original.subgraphs[edit["subgraph"]].tensors[edit["tensor"]]
    stored = before.quantization.scale
    usable = all(2.0**-126 <= scale < float("inf") for scale in stored)
    if not usable:
        assert outcome.repairs == ()
        assert all("--keep integers" in left.decision.reason for left in outcome.left)
        assert len(outcome.left) >= 1
        assert ts.dumps(outcome.model) == damaged
        return
    integers = [int(q) for q in before.values().reshape(-1)]
    repaired = {repair.use.node.index for repair in outcome.repairs}
    for left in outcome.left:
        assert "more than INT32 holds" in left.decision.reason
        assert "--keep integers" in left.decision.reason
    assert repaired or outcome.left
    for repair in outcome.repairs:
        after = outcome.model.subgraphs[edit["subgraph"]].operators[repair.use.node.index].role("bias")
        new = after.quantization.scale
        for channel, (p, q) in enumerate(zip(integers, (int(q) for q in after.values().reshape(-1)))):
            a, b = (Fraction(s[channel % len(s)]) for s in (stored, new))
            assert abs(q * b - p * a) <= b / 2
        assert ts.check(ts.loads(ts.dumps(outcome.model)), select=["bias-scale"]) == []


def steps_apart(a: float, b: float) -> float:
    """Float32 steps between two scales; infinite where the first is none."""
    if not 2.0**-126 <= a < float("inf"):
        return float("inf")
    first, second = (struct.unpack("<i", struct.pack("<f", value))[0] for value in (a, b))
    return abs(first - second)


@each_row
def test_auto_decides_where_the_file_tells(row):
    """a: no written value, or six printed decimals; b: under half a quantum; c: made for another node.

    Computed here from the variant's bytes.
    """
    edit = row["edit"]
    model = ts.loads(variant_of(row))
    subgraph = model.subgraphs[edit["subgraph"]]
    bias = subgraph.tensors[edit["tensor"]]
    stored = bias.quantization.scale
    integers = [int(q) for q in bias.values().reshape(-1)]
    outcome = fix_biases(model, undecided="leave")
    decided = {item.use.node.index: item.decision for item in (*outcome.repairs, *outcome.left)}
    users = {n: op for n, op in enumerate(subgraph.operators) if any(item is bias for item in op.inputs or ())}
    assert edit["op"] in users
    units, off = {}, {}
    for number, operator in users.items():
        scale = operator.role("input").quantization.scale[0]
        products = [product(scale, other) for other in operator.role("weights").quantization.scale]
        pairs = [(stored[c % len(stored)], products[c % len(products)]) for c in range(len(integers))]
        units[number] = pairs
        off[number] = [c for c, pair in enumerate(pairs) if steps_apart(*pair) > 2]
    assert set(decided) == {number for number in users if off[number]}
    for number, decision in decided.items():
        pairs, output = units[number], users[number].role("output").quantization.scale[0]
        written = [c for c in off[number] if 2.0**-126 <= pairs[c][0] < float("inf")]
        printed = all(pairs[c][0] == float32(float(f"{pairs[c][1]:.6f}")) for c in off[number])
        errors = [abs(integers[c]) * abs(pairs[c][0] - pairs[c][1]) / output for c in written]
        if printed or max(errors, default=0) < 0.5:
            assert decision.keep == "integers", decision
        elif len(written) == len(off[number]) and any(not off[other] for other in users):
            assert decision.keep == "values", decision


def test_healthy_models_are_left_in_peace():
    """No error in a model that a runtime runs, and no refusal predicted for a runtime that loads it."""
    counted: Counter[str] = Counter()
    wrong = []
    for row in manifest().values():
        recorded = row.get("runtimes", {})
        verdicts = {name: recorded[key]["verdict"] for name, key in RECORDED.items() if key in recorded}
        if "ok" not in verdicts.values():
            continue
        counted["models"] += 1
        findings = ts.check(ts.load(Path(str(MODELS)) / row["file"]), select=["bias-scale"])
        counted["findings"] += len(findings)
        for finding in findings:
            if finding.severity == ts.Severity.ERROR:
                wrong.append((row["file"], finding.path, finding.message))
            for runtime, verdict in verdicts.items():
                if verdict == "ok" and finding.runtimes[runtime] == "refuses":
                    wrong.append((row["file"], finding.path, runtime))
    print(dict(counted))
    assert wrong == []
    assert counted["models"] > 250


def test_counts(capsys):
    """How much the rows cover; none of the kinds of outcome is empty."""
    counted: Counter[str] = Counter()
    for row in ROWS:
        outcome = fix_biases(ts.loads(variant_of(row)))
        counted["rows"] += 1
        for repair in outcome.repairs:
            counted[f"{repair.decision.keep}{', open' if repair.decision.is_open else ''}"] += 1
        counted["left"] += len(outcome.left)
        for runtime, recorded in RECORDED.items():
            if base_runs_in(row, runtime):
                counted[f"{runtime} {row['runtimes'][recorded]['verdict']}"] += 1
    with capsys.disabled():
        print(f"\nbias-scale over the collection: {dict(counted)}")
    assert counted["rows"] >= 100
    assert counted["integers"] > 0
    assert counted["values, open"] > 0
