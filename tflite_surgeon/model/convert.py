"""Tables with indices to objects that refer to objects, and back: the only code that knows indices.

Which fields hold indices, and into which list, is written in the schema (`refers_to`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from operator import attrgetter
from typing import Any

from tflite_surgeon.errors import EncodeError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.schema import Field
from tflite_surgeon.flatbuffer.tables import References, Table
from tflite_surgeon.model.bulk import without_collecting
from tflite_surgeon.model.compiled import copier
from tflite_surgeon.model.objects import BadReference, Buffer, Model, SubGraph

# Index fields use the value -1 for "not given".
_NOT_GIVEN = -1


class _Objects(dict[int, Any]):
    """The objects that indices stand for."""

    def __init__(self, objects: list[Any] | None) -> None:
        super().__init__(enumerate(objects or ()))
        self[_NOT_GIVEN] = None

    def __missing__(self, index: int) -> BadReference:
        return BadReference(index)


class _Indices(dict[int, int]):
    """The index of each object of a list, by identity."""

    def __init__(self, objects: list[Any] | None) -> None:
        super().__init__(zip(map(id, objects or ()), count()))
        self[id(None)] = _NOT_GIVEN


def _reference_fields(table: str) -> tuple[Field, ...]:
    return tuple(field for field in schema.fields(table) if field.refers_to)


_REFERENCES = {name: _reference_fields(name) for name in schema.TABLES}


def global_lists(model: Model) -> dict[str, list[Any] | None]:
    """The lists of a model that references count in, by what they hold; tensors count in their subgraph's."""
    return {
        "buffer": model.buffers,
        "operator_code": model.operator_codes,
        "subgraph": model.subgraphs,
        "external_buffer_group": model.external_buffer_groups,
    }


def _groups(model: Model) -> Iterator[tuple[SubGraph | None, Sequence[Any]]]:
    """Every table that holds references, with others of its kind and the subgraph that its tensors are counted in."""
    yield None, [model]
    yield None, model.metadata or ()
    yield None, model.external_buffers or ()
    for subgraph in model.subgraphs or ():
        tensors, operators = subgraph.tensors or (), subgraph.operators or ()
        yield subgraph, [subgraph]
        yield subgraph, tensors
        schemes = [tensor.quantization for tensor in tensors if tensor.quantization is not None]
        yield from _alone(subgraph, [scheme.details for scheme in schemes if scheme.details is not None])
        yield subgraph, operators
        yield from _alone(subgraph, [operator.builtin_options for operator in operators])
        yield from _alone(subgraph, [operator.builtin_options_2 for operator in operators])
    for signature in model.signature_defs or ():
        yield None, [signature]
        inside = signature.subgraph if isinstance(signature.subgraph, SubGraph) else None
        yield inside, signature.inputs or ()
        yield inside, signature.outputs or ()


def _alone(subgraph: SubGraph, tables: list[Any]) -> Iterator[tuple[SubGraph, list[Any]]]:
    """Each table that holds references as a group of its own: they may be of several kinds."""
    holding = {cls for cls in set(map(type, tables)) if issubclass(cls, Table) and _REFERENCES[cls.table]}
    if holding:
        for table in tables:
            if type(table) in holding:
                yield subgraph, [table]


class _Scopes:
    """For each list that references count in, the objects by index or the indices by identity."""

    def __init__(self, model: Model, of_list: Callable[[list[Any] | None], Any]) -> None:
        self._of_list = of_list
        self._shared = {name: of_list(objects) for name, objects in global_lists(model).items()}
        self._tensors: dict[int, Any] = {}

    def find(self, field: Field, subgraph: SubGraph | None) -> Any:
        """What the references of a field are looked up in."""
        if field.refers_to != "tensor":
            return self._shared[str(field.refers_to)]
        found = self._tensors.get(id(subgraph))
        if found is None:
            found = self._tensors[id(subgraph)] = self._of_list(None if subgraph is None else subgraph.tensors)
        return found


def link(model: Model) -> None:
    """Replace the indices of a model just decoded by what they stand for."""
    scopes = _Scopes(model, _Objects)
    for subgraph, tables in _groups(model):
        for field in _references(tables):
            name = field.attribute
            find = scopes.find(field, subgraph).__getitem__
            if field.kind == "scalar":
                for table in tables:
                    setattr(table, name, find(getattr(table, name)))
                continue
            for table in tables:
                value = getattr(table, name)
                if value is not None:
                    setattr(table, name, list(map(find, value)))


def _references(tables: Sequence[Any]) -> tuple[Field, ...]:
    """The fields that hold references, of tables of one kind."""
    return _REFERENCES[tables[0].table] if tables else ()


@without_collecting()
def indices(model: Model) -> References:
    """The indices to store for each reference.

    Buffers that tensors or metadata hold and the model does not list are entered in its list.

    Raises:
        EncodeError: an object refers to something that is not in the model's lists.
    """
    enter_buffers(model)
    scopes = _Scopes(model, _Indices)
    result: dict[str, dict[int, Any]] = {field.attribute: {} for fields in _REFERENCES.values() for field in fields}
    for subgraph, tables in _groups(model):
        for field in _references(tables):
            known = scopes.find(field, subgraph)
            try:
                result[field.attribute].update(_indices_of(tables, field, known.__getitem__))
            except KeyError:
                for table in tables:
                    value = getattr(table, field.attribute)
                    result[field.attribute][id(table)] = _rare_indices(table, field, value, known)
    return result


def _indices_of(tables: Sequence[Any], field: Field, find: Callable[[int], int]) -> Iterable[tuple[int, Any]]:
    """The indices in a field of many tables, in loops without a line of Python for each where that can be."""
    values = map(attrgetter(field.attribute), tables)
    if field.kind == "scalar":
        return zip(map(id, tables), map(find, map(id, values)))
    return zip(map(id, tables), [value and list(map(find, map(id, value))) for value in values])


def enter_buffers(model: Model) -> None:
    """Enter new buffers in the model's list: in place of the one replaced if nobody else holds it, else at the end."""
    listed = {id(buffer) for buffer in model.buffers or ()}
    holders: list[Any] = [tensor for subgraph in model.subgraphs or () for tensor in subgraph.tensors or ()]
    held = [holder.buffer for holder in (*holders, *(model.metadata or ()))]
    new = {id(buffer): buffer for buffer in held if isinstance(buffer, Buffer) and id(buffer) not in listed}
    if not new:
        return
    if model.buffers is None:
        model.buffers = [Buffer()]  # By convention the first one is empty.
    places = {id(buffer): place for place, buffer in enumerate(model.buffers)}
    in_use = {id(buffer) for buffer in (*held, *(model.metadata_buffers or ()), *model.buffers[:1])}
    for buffer in new.values():
        before = buffer._replaces
        while before is not None and id(before) not in listed:
            before = before._replaces
        buffer._replaces = None
        if before is None or id(before) in in_use:
            model.buffers.append(buffer)
            continue
        model.buffers[places[id(before)]] = buffer
        in_use.add(id(before))
        for name in ("_offset", "_present", "_stored_data", "outside", "offset", "size"):
            setattr(buffer, name, getattr(before, name))


def _rare_indices(table: Table, field: Field, value: Any, known: _Indices) -> Any:
    """Indices where some references are missing on purpose or point nowhere."""

    def index(item: Any) -> int:
        if item is None:
            return _NOT_GIVEN
        if isinstance(item, BadReference):
            return item.index
        found = known.get(id(item))
        if found is None and isinstance(item, int):
            raise EncodeError(
                f"{table.table}.{field.attribute} is the number {item}; expected one of the model's {field.refers_to}s"
            )
        if found is None:
            raise EncodeError(
                f"{table.table}.{field.attribute} refers to {item!r}, which is not in the model's list of such "
                f"{field.refers_to}s: add it there"
            )
        return found

    if field.kind == "scalar":
        return index(value)
    return value and [index(item) for item in value]


@without_collecting()
def copy_model(model: Model) -> Model:
    """A copy whose objects are its own; bytes, strings and numbers are shared."""
    enter_buffers(model)
    result: Model = copier(model.table)(model)
    copies = {id(None): None}
    lists = global_lists(result)
    pairs = [(objects, lists[name]) for name, objects in global_lists(model).items()]
    pairs += [(old.tensors, new.tensors) for old, new in zip(model.subgraphs or (), result.subgraphs or ())]
    for originals, others in pairs:
        copies.update(zip(map(id, originals or ()), others or ()))
    for _, tables in _groups(result):
        for field in _references(tables):
            name = field.attribute
            for table in tables:
                value = getattr(table, name)
                if field.kind == "scalar":
                    setattr(table, name, copies.get(id(value), value))
                elif value is not None:
                    setattr(table, name, [copies.get(id(item), item) for item in value])
    return result
