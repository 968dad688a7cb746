"""Rules about what no runtime minds: things that nothing uses, things twice, names. Their findings are notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.knowledge.problems import OK
from tflite_surgeon.knowledge.runtimes import NAMES
from tflite_surgeon.model.objects import OLD_FIELD_HOLDS, BadReference, Model, OperatorCode, SubGraph
from tflite_surgeon.rules.registry import Finding, Severity, View, rule

_SHOWN = 8
# Buffers are taken to differ where these many bytes at their start do, or at other places of long ones: most weights
# are not read for it.
_SAMPLE = 64
_PLACES = 16
# What looking at one place takes of a mapped file: the pages around it.
_AROUND = 1 << 20
# Bytes that are read at once, at first.
_PIECE = 1 << 14
_SOURCE = "the schema; no runtime looks: run with and without in every runtime"


def _note(name: str, message: str, subgraph: int | None = None, **details: object) -> Finding:
    return Finding(name, Severity.NOTE, subgraph, None, None, None, message, dict.fromkeys(NAMES, OK), dict(details))


def _listed(things: str, numbers: Sequence[int]) -> str:
    """Such as "tensors 3, 4 and 5"."""
    if len(numbers) == 1:
        return f"{things[:-1]} {numbers[0]}"
    if len(numbers) > _SHOWN:
        return f"{len(numbers)} {things} ({', '.join(map(str, numbers[:_SHOWN]))} ...)"
    return f"{things} {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _are(numbers: Sequence[int]) -> str:
    return "is" if len(numbers) == 1 else "are"


def used_tensors(model: Model, subgraph: SubGraph) -> set[int]:
    """The identities of the tensors that an operator, the subgraph, a signature or another tensor's scheme names."""
    rows: list[Iterable[object] | None] = [subgraph.inputs, subgraph.outputs]
    for operator in subgraph.operators or ():
        rows += [operator.inputs, operator.outputs, operator.intermediates]
    for tensor in subgraph.tensors or ():
        if tensor.quantization is not None and tensor.quantization.details is not None:
            details = tensor.quantization.details
            rows.append([getattr(details, "scales", None), getattr(details, "zero_points", None)])
    for signature in model.signature_defs or ():
        if signature.subgraph is subgraph:
            rows += [[item.tensor for item in maps or ()] for maps in (signature.inputs, signature.outputs)]
    return set(map(id, chain.from_iterable(filter(None, rows))))


@rule(
    "unused-tensor",
    source=_SOURCE,
    advice="tflite-surgeon fix --select unused-tensor removes them.",
    hygiene=True,
)
def unused_tensor(view: View) -> Iterator[Finding]:
    """Tensors that no operator, subgraph or signature names.

    They take memory in LiteRT, which keeps a record for each, and time in TFLM, which allocates them; they often tell
    of a rewriting that was not finished.
    """
    for number, subgraph in enumerate(view.model.subgraphs or ()):
        used = used_tensors(view.model, subgraph)
        unused = [index for index, tensor in enumerate(subgraph.tensors or ()) if id(tensor) not in used]
        if unused:
            message = f"{_listed('tensors', unused)} {_are(unused)} used by nothing"
            yield _note("unused-tensor", message, number, tensors=unused)


@rule(
    "unused-buffer",
    source=_SOURCE,
    advice="tflite-surgeon fix --select unused-buffer removes them.",
    hygiene=True,
)
def unused_buffer(view: View) -> Iterator[Finding]:
    """Buffers with bytes that no tensor and no metadata names.

    They only make the file larger. Buffer 0, empty by convention, and other empty buffers do not count.
    """
    model = view.model
    used = {id(tensor.buffer) for subgraph in model.subgraphs or () for tensor in subgraph.tensors or ()}
    used.update(id(entry.buffer) for entry in model.metadata or ())
    used.update(map(id, model.metadata_buffers or ()))
    unused = [n for n, buffer in enumerate(model.buffers or ()) if id(buffer) not in used and n and buffer.data]
    if unused:
        size = sum(_length(model, number) for number in unused)
        message = f"{_listed('buffers', unused)} {_are(unused)} used by nothing ({size:,} bytes)"
        yield _note("unused-buffer", message, buffers=unused, bytes=size)


def _length(model: Model, number: int) -> int:
    data = (model.buffers or [])[number].data
    return len(data) if data is not None else 0


@rule(
    "unused-operator-code",
    source="LiteRT interpreter_builder.cc resolves every code, used or not; run with an unused one of version 99",
    advice="tflite-surgeon fix --select unused-operator-code removes them.",
    hygiene=True,
)
def unused_operator_code(view: View) -> Iterator[Finding]:
    """Operator codes that no operator names.

    LiteRT looks for a kernel for each code all the same: an unused one of a version that it lacks keeps a model from
    loading.
    """
    used = {id(operator.opcode) for subgraph in view.model.subgraphs or () for operator in subgraph.operators or ()}
    codes = view.model.operator_codes or ()
    unused = [number for number, code in enumerate(codes) if id(code) not in used]
    if unused:
        message = f"{_listed('operator codes', unused)} {_are(unused)} used by nothing"
        yield _note("unused-operator-code", message, operator_codes=unused)


@rule(
    "duplicate-buffer",
    source=_SOURCE,
    advice="tflite-surgeon fix --select duplicate-buffer lets tensors share one.",
    hygiene=True,
)
def duplicate_buffer(view: View) -> Iterator[Finding]:
    """Constants stored twice with the same bytes.

    They make the file larger, and the app that ships it; tensors of one content may share a buffer, as converters
    let them.
    """
    groups: dict[tuple[int, bytes], list[int]] = {}
    buffers = view.model.buffers or []
    for number, buffer in enumerate(buffers):
        data = buffer.data
        if data is not None and len(data) > _SAMPLE:
            groups.setdefault((len(data), bytes(data[:_SAMPLE])), []).append(number)
            view.has_read(_AROUND)
    twice: list[int] = []
    for alike in groups.values():
        if len(alike) > 1:
            twice += _copies(view, alike)
    twice.sort()
    if twice:
        size = sum(_length(view.model, number) for number in twice)
        message = f"{_listed('buffers', twice)} {_are(twice)} a copy of an earlier buffer ({size:,} bytes)"
        message = (
            message if len(twice) == 1 else message.replace("a copy of an earlier buffer", "copies of earlier ones")
        )
        yield _note("duplicate-buffer", message, buffers=twice, bytes=size)


def _copies(view: View, alike: list[int]) -> Iterator[int]:
    """Those of the buffers, all of one length, that hold the same bytes as one before them."""
    length, parts = _length(view.model, alike[0]), [alike]
    if length <= _PIECE:
        parts = _told_apart(view, parts, slice(0, length), bytes)
    else:
        parts = _told_apart_by_digests(view, parts, length)
    for part in parts:
        yield from part[1:]


def _told_apart_by_digests(view: View, parts: list[list[int]], length: int) -> list[list[int]]:
    from hashlib import sha256  # Takes longer to import than most models have use for it.

    for place in range(1, _PLACES):
        start = (length - _SAMPLE) * place // (_PLACES - 1)
        parts = _told_apart(view, parts, slice(start, start + _SAMPLE), bytes)
    start, size = 0, _PIECE
    while parts and start < length:
        # Digests of pieces, each twice as long as the one before: what differs early is not read to its end.
        parts = _told_apart(view, parts, slice(start, start + size), lambda data: sha256(data).digest())
        start, size = start + size, 2 * size
    return parts


def _told_apart(view: View, parts: list[list[int]], where: slice, tell: Callable[[Any], bytes]) -> list[list[int]]:
    """The buffers of each part by what is told of some of their bytes; those that are alone are left out."""
    buffers = view.model.buffers or []
    result: list[list[int]] = []
    for part in parts:
        groups: dict[bytes, list[int]] = {}
        for number in part:
            groups.setdefault(tell((buffers[number].data or b"")[where]), []).append(number)
            view.has_read(max(where.stop - where.start, _AROUND))
        result += [group for group in groups.values() if len(group) > 1]
    return result


@rule(
    "duplicate-name",
    source="LiteRT's signature runners and Python get_tensor_details look tensors up by name",
    advice="tflite-surgeon fix --select duplicate-name gives each a name of its own.",
    hygiene=True,
)
def duplicate_name(view: View) -> Iterator[Finding]:
    """Several tensors of a subgraph bear one name.

    Runtimes go by numbers, but programs that look a tensor up by its name find one of them, and tools that merge or
    compare models mistake one for the other.
    """
    for number, subgraph in enumerate(view.model.subgraphs or ()):
        names = Counter(tensor.name for tensor in subgraph.tensors or () if tensor.name)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            shown = ", ".join(f"'{name}' ({names[name]} times)" for name in twice[:_SHOWN])
            more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
            yield _note("duplicate-name", f"names that several tensors bear: {shown}{more}", number, names=twice)


@rule(
    "missing-signature",
    source="the schema's SignatureDef; LiteRT get_signature_runner",
    advice="tflite-surgeon fix --select missing-signature makes one from the inputs and outputs.",
    hygiene=True,
)
def missing_signature(view: View) -> Iterator[Finding]:
    """The model has no signature.

    Inputs and outputs can be told apart only by their order and internal names; programs that ask for a signature
    runner, or that give inputs by name, find none.
    """
    model = view.model
    if not model.signature_defs and any(isinstance(t, Table) for s in model.subgraphs or () for t in s.inputs or ()):
        yield _note("missing-signature", "the model has no signature: inputs and outputs go by number")


def is_of_two_minds(code: OperatorCode) -> bool:
    """Whether the two fields for an operator's number do not say the same, as far as the old one can."""
    number = code.code
    return int(code.builtin_code) != number or code.deprecated_builtin_code != min(number, OLD_FIELD_HOLDS)


@rule(
    "operator-code-fields",
    source="LiteRT converter/schema/schema_utils.cc: the larger of the two fields counts; run with either one alone",
    advice="tflite-surgeon fix --select operator-code-fields writes both.",
    hygiene=True,
)
def operator_code_fields(view: View) -> Iterator[Finding]:
    """The two fields for an operator's number say different things.

    The old field has one byte; a wider one was added beside it in 2020. Runtimes take the larger number, but a program
    that reads one field alone, as older ones and many scripts do, finds operator 0, which is ADD.
    """
    codes = list(enumerate(view.model.operator_codes or ()))
    split = [number for number, code in codes if is_of_two_minds(code)]
    if split:
        verb = "says" if len(split) == 1 else "say"
        message = f"{_listed('operator codes', split)} {verb} different things in the old field and in the new one"
        yield _note("operator-code-fields", message, operator_codes=split)


@rule(
    "dangling-metadata",
    source="LiteRT converter/core/model_builder_base.h, ReadAllMetadata skips entries of buffers that do not exist",
    advice="tflite-surgeon fix --select dangling-metadata removes them.",
    hygiene=True,
)
def dangling_metadata(view: View) -> Iterator[Finding]:
    """Metadata that names a buffer which the model does not list.

    LiteRT passes over such an entry; other programs that read metadata look beside the list. The content of the entry
    is not in the file.
    """
    model = view.model
    lost = [repr(entry.name) for entry in model.metadata or () if isinstance(entry.buffer, BadReference)]
    lost += ["without a name" for item in model.metadata_buffers or () if isinstance(item, BadReference)]
    if lost:
        message = f"metadata {', '.join(lost[:_SHOWN])}{' ...' * (len(lost) > _SHOWN)} names buffers that do not exist"
        yield _note("dangling-metadata", message, entries=len(lost))
