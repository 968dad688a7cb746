"""TFLM's custom kernels of audio front ends.

Each takes tensors of one rank and type; source: tflite-micro signal/micro/kernels/*.cc; the Python wheel.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_RANK
from tflite_surgeon.knowledge.problems import Said


class _Part(NamedTuple):
    """A tensor as a kernel takes it; a rank or type of None is checked against another tensor, or not at all."""

    name: str
    rank: int | None
    kind: str | None


class _Form(NamedTuple):
    """A kernel: its source file, and its inputs and outputs in their order."""

    file: str
    inputs: tuple[_Part, ...]
    outputs: tuple[_Part, ...]


_TABLE = _Part("input", 1, "INT16")
_ENDS = _Part("input", None, "INT16"), _Part("output", None, "INT16")
_NUMBERS = _Part("input", 1, "UINT32"), _Part("output", 1, "UINT32")
_FORMS = {
    "SignalDelay": _Form("delay.cc", _ENDS[:1], _ENDS[1:]),
    "SignalEnergy": _Form("energy.cc", (_TABLE,), (_Part("output", 1, "UINT32"),)),
    "SignalFftAutoScale": _Form(
        "fft_auto_scale_common.cc", (_TABLE,), (_Part("output", 1, "INT16"), _Part("scale_bit", 0, "INT32"))
    ),
    "SignalFilterBank": _Form("filter_bank.cc", (_NUMBERS[0], *[_TABLE] * 5), (_Part("output", 1, "UINT64"),)),
    "SignalFilterBankLog": _Form("filter_bank_log.cc", _NUMBERS[:1], (_Part("output", 1, "INT16"),)),
    "SignalFilterBankSpectralSubtraction": _Form(
        "filter_bank_spectral_subtraction.cc", _NUMBERS[:1], (_NUMBERS[1], _Part("noise_estimate", 1, "UINT32"))
    ),
    "SignalFilterBankSquareRoot": _Form(
        "filter_bank_square_root_common.cc",
        (_Part("input", 1, "UINT64"), _Part("scale_bits", 0, "INT32")),
        _NUMBERS[1:],
    ),
    "SignalFramer": _Form("framer.cc", _ENDS[:1], (_ENDS[1], _Part("output_valid", 0, "BOOL"))),
    "SignalPCAN": _Form(
        "pcan.cc",
        (_NUMBERS[0], _Part("noise_estimate", 1, "UINT32"), _Part("gain_lut", 1, "INT16")),
        _NUMBERS[1:],
    ),
    "SignalStacker": _Form("stacker.cc", (_TABLE,), (_Part("output", 1, "INT16"), _Part("output_valid", 0, "BOOL"))),
    "SignalWindow": _Form("window.cc", (_ENDS[0], _Part("weights", 1, "INT16")), _ENDS[1:]),
    # Their type is an option.
    "SignalIrfft": _Form("irfft.cc", (_Part("input", None, None),), (_Part("output", None, None),)),
    "SignalRfft": _Form("rfft.cc", (_Part("input", None, None),), (_Part("output", None, None),)),
    "SignalOverlapAdd": _Form("overlap_add.cc", (_Part("input", None, None),), (_Part("output", None, None),)),
}
# Kernels without options, and those whose input and output have one rank.
_WITHOUT_OPTIONS = ("fft_auto_scale_common.cc", "filter_bank_square_root_common.cc")
_SAME_RANK = ("window.cc", "irfft.cc", "rfft.cc")

# How the runtime spells a type.
_SPELLED = {"INT16": "Int16", "INT32": "Int32", "UINT32": "UInt32", "UINT64": "UInt64", "BOOL": "Bool"}
_PARTS = {(form.file, part) for form in _FORMS.values() for part in (*form.inputs, *form.outputs)}
_MISSING = {
    (form.file, part.name): Said(rule, form.file, f"{part.name} != nullptr was not true")
    for form in _FORMS.values()
    for rule, parts in (("missing-input", form.inputs), ("tensor-count", form.outputs))
    for part in {part.name: part for part in parts}.values()
}
_RANKS = {
    (file, part.name): Said("tensor-rank", file, f"NumDimensions({part.name}) != ")
    for file, part in _PARTS
    if part.name != "input"
}
_TYPES = {
    (file, part.name, part.kind): Said("operator-types", file, f"{part.name}->type != kTfLite{_SPELLED[part.kind]}")
    for file, part in _PARTS
    if part.kind
}
_FRAMES = Said("tensor-rank", "framer.cc", "NumDimensions(input) + 1 != NumDimensions(output)")
_STEP_LENGTH = Said("option-value", "framer.cc", "innermost_dim >= params->frame_step was not true")
_STEPS = Said("option-value", "framer.cc", "innermost_dim % params->frame_step != 0")
_LENGTH = Said("option-value", "rfft.cc", "params->input_length <= params->fft_length was not true")
_BY_OPTION = tuple(Said("operator-types", "*", f"{role}->type != TfLiteTypeEnum") for role in ("input", "output"))
# The types that the option T stands for.
_OPTION_TYPES = {0: "FLOAT32", 2: "INT32", 7: "INT16"}


def _signal(form: _Form, node: KernelNode) -> None:
    if not node.has_counts(len(form.inputs), len(form.outputs)):
        return
    if node.operator.custom_options is None and form.file not in _WITHOUT_OPTIONS:
        node.doubt("missing-options", "the node has no options: the kernel reads what lies there in memory")
    named = [*zip(form.inputs, node.inputs), *zip(form.outputs, node.outputs)]
    given: list[tuple[_Part, Operand]] = []
    for part, operand in named:
        if operand is None:
            node.refuse(_MISSING[form.file, part.name], f"the tensor {part.name} is not given, the kernel needs it")
            return
        given.append((part, operand))
    for part, operand in given:
        if part.rank is not None and operand.rank != part.rank:
            said = INPUT_RANK if part.name == "input" else _RANKS[form.file, part.name]
            node.refuse(said, f"{part.name} has {operand.rank} dimensions, the kernel takes {part.rank}", operand)
    source, result = given[0][1], given[len(form.inputs)][1]
    if form.file in _SAME_RANK and source.rank != result.rank:
        node.refuse(INPUT_RANK, f"the input has {source.rank} dimensions and the output {result.rank}", result)
    elif form.file == "overlap_add.cc" and source.rank != (result.rank or 0) + 1:
        node.refuse(INPUT_RANK, f"the input has {source.rank} dimensions, not 1 more than the output", source)
    elif form.file == "framer.cc" and (source.rank or 0) + 1 != result.rank:
        node.refuse(_FRAMES, f"the input has {source.rank} dimensions, the output has not 1 more", result)
    for part, operand in given:
        if part.kind is not None and operand.type != part.kind:
            said = _TYPES[form.file, part.name, part.kind]
            node.refuse(said, f"{part.name} is {operand.type}, the kernel takes {part.kind}", operand)
    _check_options(form, node, source, result)


def _check_options(form: _Form, node: KernelNode, source: Operand, result: Operand) -> None:
    """Lengths and types that are options."""
    last = source.dim(-1)
    if last is None:
        node.doubt("tensor-rank", "the input is a scalar and the kernel asks for its last dimension", source)
        return
    if form.file == "framer.cc":
        step = _option(node, "frame_step")
        if step is not None and step > 0 and last % step:
            said = _STEP_LENGTH if last < step else _STEPS
            node.refuse(said, f"frame_step is {step}, the input's last dimension {last} is no multiple", source)
    elif form.inputs[0].kind is None:
        kind = _OPTION_TYPES.get(_option(node, "T") or 0)
        if kind is None or "T" not in _options(node):
            return
        for said, role, operand in zip(_BY_OPTION, ("input", "output"), (source, result)):
            if operand.type != kind:
                node.refuse(said, f"the {role} is {operand.type}, the option T says {kind}", operand)
        length = _option(node, "fft_length")
        if form.file == "rfft.cc" and length is not None and last > length:
            node.refuse(_LENGTH, f"the input's last dimension is {last}, fft_length {length}", source)


def _options(node: KernelNode) -> dict[str, object]:
    try:
        found = node.operator.flexbuffer()
    except SurgeonError:
        return {}
    return found if isinstance(found, dict) else {}


def _option(node: KernelNode, name: str) -> int | None:
    value = _options(node).get(name)
    return value if isinstance(value, int) else None


for _name, _form in _FORMS.items():
    micro_kernel(f"CUSTOM {_name}")(partial(_signal, _form))
