"""Tables with indices to objects that refer to objects, and back: the only code that knows indices.

Which fields hold indices, and into which list, is written in the schema (`refers_to`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tflite_surgeon.errors import EncodeError
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.schema import Field
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.flatbuffer.vector import Vector
from tflite_surgeon.model.bulk import without_collecting
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
        super().__init__((id(item), index) for index, item in enumerate(objects or ()))


_Scope = dict[str, Any]


def _reference_fields(table: str) -> tuple[Field, ...]:
    return tuple(field for field in schema.fields(table) if field.refers_to)


_REFERENCES = {name: _reference_fields(name) for name in schema.TABLES}
# Options that hold references: few do.
_OPTIONS = frozenset(name for name, found in _REFERENCES.items() if found and name.endswith("Options"))


def _global_lists(model: Model) -> dict[str, list[Any] | None]:
    return {
        "buffer": model.buffers,
        "operator_code": model.operator_codes,
        "subgraph": model.subgraphs,
        "external_buffer_group": model.external_buffer_groups,
    }


def _scoped_tables(model: Model) -> Iterator[tuple[SubGraph | None, Table]]:
    """Every table that holds references, with the subgraph that its tensors are counted in."""
    for subgraph, tables in _scoped_lists(model):
        for table in tables:
            yield subgraph, table


def _scoped_lists(model: Model) -> Iterator[tuple[SubGraph | None, Sequence[Table]]]:
    """The same, tables of one kind together."""
    yield None, (model,)
    yield None, model.metadata or ()
    yield None, model.external_buffers or ()
    for subgraph in model.subgraphs or ():
        yield subgraph, (subgraph,)
        yield subgraph, subgraph.tensors or ()
        schemes = [tensor.quantization for tensor in subgraph.tensors or () if tensor.quantization is not None]
        for details in [scheme.details for scheme in schemes if scheme.details is not None]:
            if isinstance(details, Table):
                yield subgraph, (details,)
        operators = subgraph.operators or ()
        yield subgraph, operators
        for options in [operator.builtin_options for operator in operators]:
            if getattr(options, "table", "") in _OPTIONS:
                yield subgraph, (options,)
        for options in [operator.builtin_options_2 for operator in operators if operator.builtin_options_2 is not None]:
            if getattr(options, "table", "") in _OPTIONS:
                yield subgraph, (options,)
    for signature in model.signature_defs or ():
        yield None, (signature,)
        inside = signature.subgraph if isinstance(signature.subgraph, SubGraph) else None
        yield inside, (*(signature.inputs or ()), *(signature.outputs or ()))


def link(model: Model) -> None:
    """Replace the indices of a model just decoded by what they stand for."""
    shared: _Scope = {name: _Objects(objects) for name, objects in _global_lists(model).items()}
    no_tensors = _Objects(None)
    scopes: dict[int, _Scope] = {}
    for subgraph, tables in _scoped_lists(model):
        scope = scopes.get(id(subgraph))
        if scope is None:
            tensors = no_tensors if subgraph is None else _Objects(subgraph.tensors)
            scope = scopes[id(subgraph)] = {**shared, "tensor": tensors}
        for field in _REFERENCES[tables[0].table] if tables else ():
            name, objects = field.attribute, scope[str(field.refers_to)]
            if field.kind == "scalar":
                for table in tables:
                    setattr(table, name, objects[getattr(table, name)])
                continue
            for table in tables:
                value = getattr(table, name)
                if value is not None:
                    setattr(table, name, [objects[index] for index in value])


References = dict[tuple[int, str], Any]


@without_collecting()
def indices(model: Model) -> References:
    """The indices to store for each reference: (id of the table, attribute) -> index or list of indices.

    Buffers that tensors or metadata hold and the model does not list are entered in its list.

    Raises:
        EncodeError: an object refers to something that is not in the model's lists.
    """
    enter_buffers(model)
    shared: _Scope = {name: _Indices(objects) for name, objects in _global_lists(model).items()}
    scopes: dict[int, _Scope] = {}
    result: References = {}
    for subgraph, table in _scoped_tables(model):
        scope = scopes.get(id(subgraph))
        if scope is None:
            tensors = _Indices(subgraph.tensors if subgraph is not None else None)
            scope = scopes[id(subgraph)] = {**shared, "tensor": tensors}
        for field in _REFERENCES[table.table]:
            value = getattr(table, field.attribute)
            known = scope[str(field.refers_to)]
            try:
                if field.kind == "scalar":
                    result[id(table), field.attribute] = known[id(value)]
                else:
                    result[id(table), field.attribute] = value and [known[id(item)] for item in value]
            except KeyError:
                result[id(table), field.attribute] = _rare_indices(table, field, value, known)
    return result


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

    return index(value) if field.kind == "scalar" else [index(item) for item in value]


@without_collecting()
def copy_model(model: Model) -> Model:
    """A copy whose objects are its own; bytes, strings and numbers are shared."""
    enter_buffers(model)
    copies: dict[int, Any] = {}

    def copy(table: Any) -> Any:
        if not isinstance(table, Table):
            return table
        new: Any = type(table).__new__(type(table))
        copies[id(table)] = new
        for name, is_child in _copy_plan(type(table)):
            value = getattr(table, name)
            if value.__class__ is Vector:
                setattr(new, name, value.copy())
            elif value.__class__ is list:
                setattr(new, name, [copy(item) for item in value] if is_child else value[:])
            else:
                setattr(new, name, copy(value) if is_child and value is not None else value)
        return new

    result: Model = copy(model)
    for _, table in _scoped_tables(result):
        for field in _REFERENCES[table.table]:
            value = getattr(table, field.attribute)
            if value.__class__ is list:
                setattr(table, field.attribute, [copies.get(id(item), item) for item in value])
            else:
                setattr(table, field.attribute, copies.get(id(value), value))
    return result


_COPY_PLANS: dict[type[Table], tuple[tuple[str, bool], ...]] = {}


def _copy_plan(cls: type[Table]) -> tuple[tuple[str, bool], ...]:
    """(slot, whether its value is owned tables) of a class."""
    plan = _COPY_PLANS.get(cls)
    if plan is None:
        owned = {f.attribute for f in schema.fields(cls.table) if f.kind in ("table", "tables", "union")}
        names = (*schema.slots(cls.table), *(name for name, _ in cls.extra))
        plan = _COPY_PLANS[cls] = tuple((name, name in owned) for name in names)
    return plan
