"""Two models, matched by structure: what differs between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from operator import ne
from typing import Any, TypeVar

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.external import external_data
from tflite_surgeon.model.objects import BadReference, Buffer, Metadata, Model, SignatureDef, SubGraph, Tensor
from tflite_surgeon.views.diff.fields import readable, table_changes, value_change
from tflite_surgeon.views.diff.graphs import GraphComparison
from tflite_surgeon.views.diff.pairing import ModelPairing
from tflite_surgeon.views.diff.result import (
    ADDED,
    BUFFER,
    CHANGED,
    FILE,
    METADATA,
    MODEL,
    OPERATOR_CODE,
    REMOVED,
    SIGNATURE,
    SUBGRAPH,
    Change,
    Comparison,
    Difference,
    Place,
    ValuesChange,
)
from tflite_surgeon.views.diff.rewiring import Rewiring
from tflite_surgeon.views.diff.values import bytes_change, values_change

T = TypeVar("T")
Bytes = bytes | bytearray | memoryview

# Of a mapped file, what was read of constants is let go of whenever it comes to this.
_LET_GO_BYTES = 8 << 20


@without_collecting()
def diff(before: Model, after: Model) -> Comparison:
    """What differs between two models.

    Where something lies in its file and which number it has is no difference, nor is the difference between what is
    absent and what is empty. Constants are read in full.
    """
    return _Differ(before, after).compare()


class _Differ:
    def __init__(self, before: Model, after: Model) -> None:
        self.models = before, after
        self.looked = 0
        self.pairing = ModelPairing(before, after, self._looked_at)
        self.rewirings: dict[int, Rewiring] = {}

    def compare(self) -> Comparison:
        found = [*self._model(), *self._lone_subgraphs()]
        for graph in self.pairing.graphs:
            comparison = GraphComparison(graph, self.pairing.is_same_subgraph, self._constants)
            self.rewirings[id(graph.before.subgraph)] = comparison.rewiring
            found += comparison.differences()
        found += [*self._sharing(), *self._unused(), *self._signatures(), *self._metadata(), *self._files()]
        return Comparison(tuple(found), self._counts("operators"), self._counts("tensors"))

    def _counts(self, what: str) -> tuple[int, int]:
        before, after = (
            sum(len(getattr(graph, what) or ()) for graph in model.subgraphs or ()) for model in self.models
        )
        return before, after

    def _model(self) -> Iterator[Difference]:
        a, b = self.models
        fields = ("identifier", "version", "description")
        found = (value_change(name, getattr(a, name), getattr(b, name)) for name in fields)
        changes = tuple(change for change in found if change is not None)
        if changes:
            yield Difference(MODEL, CHANGED, "", changes=changes)

    def _lone_subgraphs(self) -> Iterator[Difference]:
        for kind, sides in ((REMOVED, self.pairing.removed), (ADDED, self.pairing.added)):
            for side in sides:
                yield _lone(SUBGRAPH, kind, side.subgraph.name, side.index, len(side.operators))

    def _constants(self, a: Tensor, b: Tensor) -> Change | None:
        if a.external_buffer or b.external_buffer:
            change = self._external_change(a, b)
            if change is not None:
                return change
        self._looked_at(len(a.data or b"") + len(b.data or b""))
        found = values_change(a, b, a.data, b.data)
        return None if found is None else Change("values", None, None, found.differ, found)

    def _external_change(self, a: Tensor, b: Tensor) -> Change | None:
        """Of constants in other files, which are not looked into: their bytes, or where they lie."""
        x, y = (_outside(model, tensor) for model, tensor in zip(self.models, (a, b)))
        if isinstance(x, str) or isinstance(y, str):
            p, q = (item if isinstance(item, str) else None for item in (x, y))
            return None if p == q else Change("external_buffer", p, q)
        found = bytes_change(x, y)
        return None if found is None else Change("values", None, None, found.differ, found)

    def _looked_at(self, size: int) -> None:
        self.looked += size
        if self.looked > _LET_GO_BYTES:
            self.looked = 0
            for model in self.models:
                if model.source is not None:
                    model.source.reader.let_go()

    def _sharing(self) -> Iterator[Difference]:
        """Tensors that hold one buffer on one side and several on the other."""
        pairs = [
            (tensor, counterpart)
            for graph in self.pairing.graphs
            for tensor in graph.before.tensors
            if (counterpart := graph.counterpart(tensor)) is not None and tensor.data and counterpart.data
        ]
        for kind in (0, 1):
            groups: dict[int, dict[int, list[str]]] = {}
            for pair in pairs:
                one, other = id(pair[kind].buffer), id(pair[1 - kind].buffer)
                groups.setdefault(one, {}).setdefault(other, []).append(pair[1].name or "")
            for parts in groups.values():
                if len(parts) > 1:
                    together = [name for part in parts.values() for name in part]
                    one_buffer, several = [together], list(parts.values())
                    change = Change("shared by", *((one_buffer, several) if kind == 0 else (several, one_buffer)))
                    yield Difference(BUFFER, CHANGED, together[0], changes=(change,))

    def _unused(self) -> Iterator[Difference]:
        buffers = [_unused_buffers(model) for model in self.models]
        if buffers[0] != buffers[1]:
            yield Difference(BUFFER, CHANGED, "", changes=(Change("unused", buffers[0], buffers[1]),))
        codes = [_unused_codes(model) for model in self.models]
        change = value_change("unused", codes[0], codes[1])
        if change is not None:
            yield Difference(OPERATOR_CODE, CHANGED, "", changes=(change,))

    def _signatures(self) -> Iterator[Difference]:
        sides = [_numbered(model.signature_defs or (), lambda item: item.signature_key) for model in self.models]
        for key, (i, a), (j, b) in _joined(*sides):
            if a is None or b is None:
                yield _lone(SIGNATURE, REMOVED if b is None else ADDED, key, i if b is None else j, None)
                continue
            changes = tuple(self._signature_changes(a, b))
            if changes:
                yield Difference(SIGNATURE, CHANGED, key or "", Place(None, i), Place(None, j), changes)

    def _signature_changes(self, a: SignatureDef, b: SignatureDef) -> Iterator[Change]:
        same = self.pairing.is_same_subgraph
        yield from table_changes(a, b, "", same, _graph_name, leave_out=("signature_key", "inputs", "outputs"))
        graph, rewiring = self.pairing.graph_of(a.subgraph), self.rewirings.get(id(a.subgraph))
        for which in ("inputs", "outputs"):
            sides = [_numbered(getattr(item, which) or (), lambda entry: entry.name) for item in (a, b)]
            for key, (_, p), (_, q) in _joined(*sides):
                x, y = (None if entry is None else entry.tensor for entry in (p, q))
                if p is not None and q is not None and graph is not None and rewiring is not None:
                    if graph.is_same(x, y) or rewiring.explains(x, y):
                        continue
                elif x == y and isinstance(x, BadReference):
                    continue
                yield Change(f"{which}[{key or ''}]", _tensor_name(x), _tensor_name(y))

    def _metadata(self) -> Iterator[Difference]:
        sides = [_numbered(model.metadata or (), lambda item: item.name) for model in self.models]
        for key, (i, a), (j, b) in _joined(*sides):
            p, q = _content(a), _content(b)
            if a is None or b is None:
                yield _lone(METADATA, REMOVED if b is None else ADDED, key, i if b is None else j, len(p or q or b""))
                continue
            change = _bytes_change(p, q)
            if change is not None:
                yield Difference(METADATA, CHANGED, key or "", Place(None, i), Place(None, j), (change,))
        older = [[_buffer_bytes(buffer) for buffer in model.metadata_buffers or ()] for model in self.models]
        if older[0] != older[1]:
            x, y = ([len(item or b"") for item in side] for side in older)
            yield Difference(METADATA, CHANGED, "", changes=(Change("metadata_buffers", x, y),))

    def _files(self) -> Iterator[Difference]:
        a, b = map(_associated_files, self.models)
        for name in (*a, *(name for name in b if name not in a)):
            x, y = a.get(name), b.get(name)
            if x is None or y is None:
                kind = REMOVED if y is None else ADDED
                yield Difference(FILE, kind, name, size=len(x if x is not None else y or b""))
            elif (change := _bytes_change(x, y)) is not None:
                yield Difference(FILE, CHANGED, name, changes=(change,))


def _lone(part: str, kind: str, name: str | None, index: int, size: int | None) -> Difference:
    before, after = (Place(None, index), None) if kind == REMOVED else (None, Place(None, index))
    return Difference(part, kind, name or "", before, after, size=size)


def _outside(model: Model, tensor: Tensor) -> Bytes | str | None:
    """A constant's bytes, from another file too; for a file that cannot be read, where the model says that they lie."""
    if not tensor.external_buffer:
        return tensor.data
    try:
        outside = external_data(model, tensor)
        return None if outside is None else outside.read()
    except SurgeonError:
        entry: Any = next((e for e in model.external_buffers or () if e.id == tensor.external_buffer), None)
        if entry is None:
            return f"external buffer {tensor.external_buffer}, which is not there"
        name = getattr(entry.group, "name", None) or ""
        return f"{entry.length} bytes at {entry.offset} of '{name}'"


Numbered = dict[tuple[Any, int], tuple[int, T]]


def _numbered(items: Iterable[T], name: Any) -> Numbered[T]:
    """Items with their indices, by name and by how many of that name came before."""
    seen: Counter[Any] = Counter()
    result: Numbered[T] = {}
    for index, item in enumerate(items):
        key = name(item)
        result[key, seen[key]] = index, item
        seen[key] += 1
    return result


def _joined(
    before: Numbered[T], after: Numbered[T]
) -> Iterator[tuple[str | None, tuple[int, T | None], tuple[int, T | None]]]:
    for key in (*before, *(key for key in after if key not in before)):
        yield key[0], before.get(key, (-1, None)), after.get(key, (-1, None))


def _buffer_bytes(buffer: Buffer | BadReference | None) -> bytes | None:
    return bytes(buffer.data or b"") if isinstance(buffer, Buffer) else None


def _content(entry: Metadata | None) -> bytes | None:
    return None if entry is None else _buffer_bytes(entry.buffer)


def _bytes_change(x: bytes | None, y: bytes | None) -> Change | None:
    """How two pieces of bytes differ; short readable ones with their text."""
    if x == y:
        return None
    before, after = (None if data is None else len(data) for data in (x, y))
    differ = sum(map(ne, x, y)) if x is not None and y is not None and before == after else None
    sizes = ValuesChange(before, after, "bytes", None if differ is None else before, differ)
    return Change("data", readable(x), readable(y), differ, sizes)


def _unused_buffers(model: Model) -> dict[str, int]:
    """Buffers with bytes that nothing refers to."""
    tensors = (tensor for graph in model.subgraphs or () for tensor in graph.tensors or ())
    held = {id(item.buffer) for item in (*tensors, *(model.metadata or ()))}
    held |= {id(buffer) for buffer in model.metadata_buffers or ()}
    sizes = [len(buffer.data) for buffer in model.buffers or () if buffer.data and id(buffer) not in held]
    return {"buffers": len(sizes), "bytes": sum(sizes)}


def _unused_codes(model: Model) -> list[str]:
    used = {id(node.operator.opcode) for node in model.nodes()}
    return sorted(f"{code.name} version {code.version}" for code in model.operator_codes or () if id(code) not in used)


def _tensor_name(tensor: Any) -> str | None:
    if tensor is None:
        return None
    return f"tensor {tensor.index}, which is not there" if isinstance(tensor, BadReference) else tensor.name or ""


def _graph_name(graph: Any) -> str | None:
    if isinstance(graph, SubGraph):
        return graph.name or ""
    return None if graph is None else f"subgraph {graph.index}, which is not there"


def _associated_files(model: Model) -> dict[str, bytes]:
    try:
        return model.associated_files()
    except SurgeonError as error:
        return {"": str(error).encode("utf-8", "surrogateescape")}
