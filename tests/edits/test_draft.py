"""A draft writes down every change, and takes it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import tflite_surgeon as ts
from tests import builders
from tests.builders import node, part
from tflite_surgeon.edits.activations import convert_input, convert_output, declare
from tflite_surgeon.edits.constants import Parameters
from tflite_surgeon.edits.draft import Draft, Use
from tflite_surgeon.edits.plan import SetField, take_back
from tflite_surgeon.errors import RepairError
from tflite_surgeon.model import compare

WANTED = Parameters("INT8", 0.25, 3)


def store_shared(draft: Draft) -> None:
    """Two tensors of one buffer: the other one keeps its bytes."""
    first, second = part(draft.model, "bias", 0), part(draft.model, "bias", 1)
    draft.set(second, "buffer", first.buffer)
    before = bytes(first.data)
    draft.store(second, bytes(12))
    assert bytes(first.data) == before
    assert bytes(second.data) == bytes(12)


def own(draft: Draft) -> None:
    """One constant of two operators: the copy is one operator's alone."""
    shared = part(draft.model, "bias", 0)
    draft.replace_input(node(draft.model, 1), 2, shared)
    copy = draft.own(Use(node(draft.model, 1), 2))
    assert copy is not shared
    assert part(draft.model, "bias", 0) is shared
    assert part(draft.model, "bias", 1) is copy
    assert draft.own(Use(node(draft.model, 1), 2)) is copy


def new_operator(draft: Draft) -> None:
    before = [operator.name for operator in draft.model.subgraphs[0].operators]
    convert_output(draft, node(draft.model, 0), 0, WANTED)
    convert_input(draft, node(draft.model, 2), 0, WANTED)
    names = [operator.name for operator in draft.model.subgraphs[0].operators]
    assert names == [before[0], "QUANTIZE", "QUANTIZE", before[1]]


CHANGES: list[Callable[[Draft], object]] = [
    lambda draft: draft.set(part(draft.model, "bias"), "name", "another"),
    lambda draft: draft.quantize(part(draft.model, "bias"), scale=[2.0], zero_point=[1]),
    lambda draft: draft.set(part(draft.model, "bias"), "quantization", None),
    lambda draft: draft.store(part(draft.model, "bias"), bytes(12)),
    lambda draft: draft.remove(draft.model.subgraphs[0], "operators", node(draft.model, 1)),
    lambda draft: draft.remove(draft.model, "signature_defs", draft.model.signature_defs[0]),
    lambda draft: draft.append(draft.model, "metadata", ts.Metadata(name="note", buffer=draft.model.buffers[0])),
    lambda draft: draft.insert(draft.model, "buffers", 0, ts.Buffer()),
    lambda draft: draft.replace_input(node(draft.model), 4, None),
    lambda draft: declare(draft, part(draft.model, "output", 0), 0.5, -3),
    store_shared,
    own,
    new_operator,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_is_written_down_and_can_be_taken_back(change: Callable[[Draft], object]) -> None:
    original = builders.chain(2)
    draft = Draft(original.copy())
    change(draft)
    assert draft.edits
    assert list(compare.changes(original, draft.model)) != []
    changed = draft.model.copy()
    take_back(draft.edits)
    assert list(compare.changes(original, draft.model)) == []
    for edit in draft.edits:
        edit.make()
    assert list(compare.changes(changed, draft.model)) == []
    draft.back_to(0)
    assert list(compare.changes(original, draft.model)) == []
    assert ts.dumps(draft.model) == ts.dumps(original)


def test_setting_what_is_there_is_no_edit() -> None:
    draft = Draft(builders.chain(1))
    bias = part(draft.model, "bias")
    draft.quantize(bias, scale=builders.scales(bias))
    draft.set(bias, "name", bias.name)
    assert draft.edits == []


def test_edits_name_where_an_object_stood_in_the_file() -> None:
    draft = Draft(builders.chain(2))
    draft.insert(draft.model.subgraphs[0], "operators", 0, ts.Operator(opcode=node(draft.model).opcode))
    draft.set(node(draft.model, 1), "custom_options", b"x")
    draft.quantize(part(draft.model, "bias", 1), scale=[1.0])
    assert [edit.path for edit in draft.edits] == [
        "subgraphs[0].operators[0]",
        "subgraphs[0].operators[0].custom_options",
        "subgraphs[0].tensors[2].quantization.scale",
    ]


def test_a_plan_for_another_state_changes_nothing() -> None:
    model = builders.chain(1)
    bias = part(model, "bias")
    draft = Draft(model)
    edits = [SetField(bias, "name", bias.name, "new", "name"), SetField(bias, "shape", [99], [3], "shape")]
    with pytest.raises(RepairError, match=r"shape is \[3\], the plan was made for \[99\]"):
        draft.make(edits)
    assert bias.name != "new"
    assert draft.edits == []


def test_a_bias_in_the_old_unit_is_expressed_in_the_new_one() -> None:
    model = builders.chain(2)
    bias, middle = part(model, "bias", 1), part(model, "output", 0)
    old_scale, old_integers = builders.scales(bias)[0], builders.integers(bias)
    draft = Draft(model)
    assert declare(draft, middle, builders.scales(middle)[0] * 2, 4) == []
    assert builders.scales(bias) == [builders.float32(old_scale * 2)]
    assert builders.integers(bias) == [builders.integers(bias)[n] for n in range(len(old_integers))]
    for old, new in zip(old_integers, builders.integers(bias), strict=True):
        assert abs(new * 2 - old) <= 1
    assert ts.check(model, select=["bias-scale"]) == []


def test_a_bias_made_for_the_new_unit_stays() -> None:
    model = builders.chain(2)
    bias, middle = part(model, "bias", 1), part(model, "output", 0)
    right, integers = builders.scales(middle)[0], builders.integers(bias)
    middle.quantization.scale = [builders.float32(right * 1.5)]
    declare(Draft(model), middle, right, 4)
    assert builders.integers(bias) == integers
    assert ts.check(model, select=["bias-scale"]) == []
