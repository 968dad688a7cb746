"""The repair of bias-scale: express a bias in the unit that its kernel counts in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from tflite_surgeon.edits.bias_decision import Decision, Keep, Undecided, decide
from tflite_surgeon.edits.bias_factors import REACH, sums_of_weights
from tflite_surgeon.edits.constants import packed
from tflite_surgeon.edits.plan import AppendItem, Edit, SetField
from tflite_surgeon.knowledge.operators import ROLES
from tflite_surgeon.model.graph import Whereabouts
from tflite_surgeon.model.objects import Buffer, Model, QuantizationParameters, Tensor
from tflite_surgeon.quantization import LIMITS, float32, requantize
from tflite_surgeon.rules.bias_scale import Suspects
from tflite_surgeon.rules.bias_use import BiasUse
from tflite_surgeon.rules.registry import Finding


@dataclass(frozen=True)
class BiasRepair:
    """What a repair does to the bias of one node.

    Attributes:
        use: the bias in its node, as it was.
        decision: which reading was trusted, and why.
        scales: the new scales, one or one for each channel.
        integers: the new integers, one for each channel.
        rounding: the largest error of rounding the integers anew, in output quanta.
        warnings: what to look at afterwards.
        tensor: the tensor that holds the bias now: the old one, or a copy for this node.
    """

    use: BiasUse
    decision: Decision
    scales: list[float]
    integers: list[int]
    rounding: float
    warnings: tuple[str, ...]
    tensor: Tensor


@dataclass(frozen=True)
class LeftAlone:
    """A node that was not repaired, and why."""

    use: BiasUse
    decision: Decision


@dataclass(frozen=True)
class BiasPlan:
    """The repairs of a model's biases, the nodes left alone, and the edits."""

    repairs: tuple[BiasRepair, ...]
    left: tuple[LeftAlone, ...]
    edits: tuple[Edit, ...]


def plan_bias_repairs(model: Model, findings: Sequence[Finding], keep: Keep, undecided: Undecided) -> BiasPlan:
    """Plan the repair of all findings of bias-scale; the model is not changed.

    Args:
        model: the model that the findings are of.
        findings: of the rule bias-scale.
        keep: which reading to trust.
        undecided: what to do where `keep` is "auto" and the file does not tell.
    """
    suspects = Suspects(model)
    wanted: list[tuple[BiasUse, Decision, list[int]]] = []
    left: list[LeftAlone] = []
    for finding in findings:
        use: BiasUse = finding.evidence
        decision = decide(use, suspects, keep, undecided)
        if decision.keep is None:
            left.append(LeftAlone(use, decision))
            continue
        integers = _new_integers(use, decision)
        overflow = _overflow(use, integers)
        if overflow is not None:
            left.append(LeftAlone(use, replace(decision, keep=None, reason=overflow, is_open=False, overflows=True)))
        else:
            wanted.append((use, decision, integers))
    planner = _Planner(model)
    repairs = [repair for group in _by_bias(wanted) for repair in planner.repair(group)]
    order = {id(finding.evidence): place for place, finding in enumerate(findings)}
    repairs.sort(key=lambda repair: order[id(repair.use)])
    return BiasPlan(tuple(repairs), tuple(left), tuple(planner.edits))


_Wanted = tuple[BiasUse, Decision, list[int]]


def _by_bias(wanted: Iterable[_Wanted]) -> list[list[_Wanted]]:
    groups: dict[int, list[_Wanted]] = {}
    for entry in wanted:
        groups.setdefault(id(entry[0].bias), []).append(entry)
    return list(groups.values())


# Numbers


def _per_channel(use: BiasUse, values: list[float]) -> list[float]:
    return [use.of_channel(values, channel) for channel in range(use.channels)]


def _new_integers(use: BiasUse, decision: Decision) -> list[int]:
    assert use.integers is not None
    if decision.keep == "integers":
        return use.integers
    old, new = _per_channel(use, use.stored), _per_channel(use, use.repaired_scales)
    return requantize(use.integers, old, new, use.zero_points)


def _overflow(use: BiasUse, integers: list[int]) -> str | None:
    """Why the integers cannot be stored, if they cannot; saturating them would falsify the model."""
    limit = LIMITS[use.bias.type_name][1]
    channel = max(range(len(integers)), key=lambda index: max(integers[index], -integers[index] - 1))
    if -limit - 1 <= integers[channel] <= limit:
        return None
    return (
        f"in channel {channel} the value {(use.integers or [0])[channel]} x {use.of_channel(use.stored, channel):.9g} "
        f"takes the integer {integers[channel]} in units of {use.of_channel(use.expected_scales, channel):.9g}, "
        f"more than {use.bias.type_name} holds ({limit}): raise that channel's weights scale (--lossy does), "
        "or --keep integers"
    )


def _rounding(use: BiasUse, decision: Decision, integers: list[int]) -> float:
    """The largest difference between old and new real values, in output quanta."""
    if decision.keep == "integers" or not use.output_scale > 0 or use.integers is None:
        return 0.0
    old, new = _per_channel(use, use.stored), _per_channel(use, use.repaired_scales)
    zero_points = use.zero_points
    return max(
        abs(integers[c] * new[c] - (use.integers[c] - zero_points[c]) * old[c]) / use.output_scale
        for c in range(use.channels)
    )


def _accumulator_warning(use: BiasUse, integers: list[int]) -> str | None:
    """A warning where |bias| + sum of |weights| x reach could leave the kernel's 32-bit accumulator."""
    reach = REACH.get(use.factor.type_name)
    sums = sums_of_weights(use)
    if reach is None or use.bias.type_name != "INT32" or sums is None:
        return None
    totals = [abs(integer) + total * reach for integer, total in zip(integers, sums.tolist())]
    channel = max(range(use.channels), key=lambda index: totals[index])
    most = LIMITS["INT32"][1]
    if totals[channel] <= most:
        return None
    return (
        f"channel {channel}: |bias| {abs(integers[channel])} + sum of |weights| {sums[channel]} x {reach} = "
        f"{totals[channel]} could leave the 32-bit accumulator ({most}) for extreme inputs"
    )


# Edits


class _Planner:
    """Turns wanted scales and integers into edits, so that nobody else who reads a bias sees them change."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.edits: list[Edit] = []
        self._whereabouts = Whereabouts(model)
        self._new_tensors: dict[int, int] = {}
        self._new_buffers = 0
        self._names: dict[int, set[str]] = {}
        self._redirected: dict[int, SetField] = {}

    def repair(self, group: list[_Wanted]) -> list[BiasRepair]:
        """Plan for all nodes that share one bias tensor."""
        bias = group[0][0].bias
        alike: dict[tuple[Any, ...], list[_Wanted]] = {}
        for use, decision, integers in group:
            alike.setdefault((tuple(use.repaired_scales), tuple(integers)), []).append((use, decision, integers))
        places = {(id(use.node.operator), use.addend.bias) for use, _, _ in group}
        others = self._whereabouts.readings(bias) > len(places) or self._whereabouts.is_interface(bias)
        repairs = []
        for number, members in enumerate(alike.values()):
            use, decision, integers = members[0]
            if not others and number == len(alike) - 1:
                tensor = bias
                self._change(use, decision, integers)
            else:
                tensor = self._clone(members)
            repairs += [self._report(use, decision, integers, tensor) for use, decision, integers in members]
        return repairs

    def _report(self, use: BiasUse, decision: Decision, integers: list[int], tensor: Tensor) -> BiasRepair:
        warning = _accumulator_warning(use, integers)
        if tensor is not use.bias:
            shared = (
                f"the bias {use.bias.name!r} is used elsewhere too: this node gets a copy of its own, {tensor.name!r}"
            )
        else:
            shared = None
        warnings = tuple(text for text in (warning, shared) if text)
        rounding = _rounding(use, decision, integers)
        return BiasRepair(use, decision, use.repaired_scales, integers, rounding, warnings, tensor)

    def _change(self, use: BiasUse, decision: Decision, integers: list[int]) -> None:
        """Change the tensor itself."""
        bias = use.bias
        path = self._whereabouts.of_tensor(bias)
        quantization = bias.quantization
        if quantization is None:
            new = _quantization(use)
            self.edits.append(SetField(bias, "quantization", None, new, f"{path}.quantization"))
        else:
            wanted = _quantization(use)
            wanted.min, wanted.max = _new_range(use, decision)
            if len(wanted.scale or ()) == len(use.stored):
                wanted.quantized_dimension = quantization.quantized_dimension
            for name in ("scale", "zero_point", "quantized_dimension", "min", "max"):
                old, value = getattr(quantization, name), getattr(wanted, name)
                if old != value:
                    self.edits.append(SetField(quantization, name, old, value, f"{path}.quantization.{name}"))
        if integers != use.integers:
            self._store(bias, integers, path)

    def _store(self, bias: Tensor, integers: list[int], path: str) -> None:
        assert isinstance(bias.buffer, Buffer)
        data = packed(integers, bias.type_name)
        if self._whereabouts.holders(bias.buffer) > 1:
            self.edits.append(SetField(bias, "buffer", bias.buffer, self._append_buffer(data), f"{path}.buffer"))
        else:
            path = self._whereabouts.of_buffer(bias.buffer)
            self.edits.append(SetField(bias.buffer, "data", bias.buffer.data, data, f"{path}.data"))

    def _append_buffer(self, data: bytes) -> Buffer:
        buffer = Buffer(data)
        index = len(self.model.buffers or ()) + self._new_buffers
        self._new_buffers += 1
        self.edits.append(AppendItem(self.model, "buffers", buffer, f"buffers[{index}]"))
        return buffer

    def _clone(self, members: list[_Wanted]) -> Tensor:
        """Give these nodes a bias tensor of their own."""
        use, decision, integers = members[0]
        bias, subgraph = use.bias, use.node.subgraph
        buffer = bias.buffer if integers == use.integers else self._append_buffer(packed(integers, bias.type_name))
        quantization = _quantization(use)
        quantization.min, quantization.max = _new_range(use, decision)
        clone = Tensor(
            shape=bias.shape and list(bias.shape),
            type=bias.type,
            buffer=buffer,
            name=self._unique_name(use),
            quantization=quantization,
            has_rank=bias.has_rank,
        )
        key = id(subgraph)
        index = len(subgraph.tensors or ()) + self._new_tensors.get(key, 0)
        self._new_tensors[key] = self._new_tensors.get(key, 0) + 1
        where = f"subgraphs[{use.node.subgraph_index}].tensors[{index}]"
        self.edits.append(AppendItem(subgraph, "tensors", clone, where))
        for member, _, _ in members:
            self._redirect(member, clone)
        return clone

    def _redirect(self, use: BiasUse, clone: Tensor) -> None:
        """Let the node read the clone where it read the bias, and only there."""
        operator = use.node.operator
        edit = self._redirected.get(id(operator))
        if edit is None:
            old = operator.inputs or []
            edit = SetField(operator, "inputs", old, list(old), f"{use.node.path}.inputs")
            self._redirected[id(operator)] = edit
            self.edits.append(edit)
        edit.new[ROLES[operator.name].inputs.index(use.addend.bias)] = clone

    def _unique_name(self, use: BiasUse) -> str:
        subgraph = use.node.subgraph
        taken = self._names.setdefault(id(subgraph), {tensor.name or "" for tensor in subgraph.tensors or ()})
        stem = f"{use.bias.name or 'bias'}_for_operator_{use.node.index}"
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name)
        return name


def _quantization(use: BiasUse) -> QuantizationParameters:
    scales = list(use.repaired_scales)
    return QuantizationParameters(scale=scales, zero_point=[0] * len(scales))


def _new_range(use: BiasUse, decision: Decision) -> tuple[list[float] | None, list[float] | None]:
    """The recorded range: it moves with the real values, where it was that of the values given up."""
    quantization = use.bias.quantization
    low, high = (quantization.min, quantization.max) if quantization is not None else (None, None)
    if decision.keep == "values" or not low or not high or use.recorded_reading != "values":
        return low, high
    factor = use.repaired_scales[0] / use.stored[0]
    moved = float32(low[0] * factor), float32(high[0] * factor)
    return ([moved[0]], [moved[1]]) if all(map(isfinite, moved)) else (low, high)
