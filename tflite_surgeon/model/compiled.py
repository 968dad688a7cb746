"""Copying and comparing one kind of table, compiled once into straight-line code: a model has hundreds of thousands."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import repeat
from typing import Any

from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.schema import Field
from tflite_surgeon.flatbuffer.tables import OpaqueTable, table_class
from tflite_surgeon.flatbuffer.vector import Vector

# Where outside data lies is the file's business, not the model's.
LAYOUT_FIELDS = {
    ("Buffer", "offset"),
    ("Buffer", "size"),
    ("Operator", "large_custom_options_offset"),
    ("Operator", "large_custom_options_size"),
}
_MANY = ("numbers", "strings")


@cache
def copier(table: str) -> Callable[[Any], Any]:
    """The function that copies a table and those below it; what it refers to is what the original refers to."""
    cls = table_class(table)
    names: dict[str, Any] = {"new": cls.__new__, "cls": cls, "copied_list": _copied_list, "copied_child": _copied_child}
    body = ["c = new(cls)", "c._offset = o._offset", "c._present = o._present"]
    for field in schema.fields(table):
        name = field.attribute
        if field.kind == "tables":
            names[f"copy_{name}"] = copier(field.type)
            body.append(f"c.{name} = v if (v := o.{name}) is None else copied_tables(v, copy_{name})")
        elif field.kind in ("table", "union"):
            body.append(f"c.{name} = v if (v := o.{name}) is None else copied_child(v)")
        elif field.kind in _MANY:
            body.append(f"c.{name} = v if (v := o.{name}) is None else v[:] if v.__class__ is list else copied_list(v)")
        else:
            body.append(f"c.{name} = o.{name}")
    names["copied_tables"] = _copied_tables
    body += [f"c.{name} = o.{name}" for name, _ in cls.extra]
    made: Callable[[Any], Any] = _function("def copy(o):", [*body, "return c"], names, table)
    return made


def _copied_tables(tables: Any, copy: Callable[[Any], Any]) -> Any:
    return [copy(table) for table in tables] if tables.__class__ is list else tables


def _copied_child(table: Any) -> Any:
    return table if isinstance(table, OpaqueTable) else copier(table.table)(table)


def _copied_list(values: Any) -> Any:
    return values.copy() if isinstance(values, Vector) else values


# (one, other, what one's references stand for in the other model, comparison of bytes) -> whether they are the same.
Comparison = Callable[[Any, Any, Callable[[int], Any], Callable[[Any, Any], bool]], bool]


@cache
def comparison(table: str) -> Comparison:
    """The function that says whether two tables and those below them are the same.

    It may say no of equals: of NaNs, of floats with more digits than their field holds, of references that point
    nowhere. It raises KeyError or ValueError where it cannot tell.
    """
    cls = table_class(table)
    names: dict[str, Any] = {
        "cls": cls,
        "same_vector": _same_vector,
        "same_member": _same_member,
        "same_tables": _same_tables,
    }
    tests = ["a.__class__ is cls", "b.__class__ is cls"]
    for field in schema.fields(table):
        if (table, field.name) not in LAYOUT_FIELDS:
            tests.append(_test(field, names))
    if table == "Operator":
        name = "large_custom_options"
        tests.append(f"(a.{name} is b.{name} or same_bytes(a.{name}, b.{name}))")
    body = [f"return {' and '.join(tests)}"]
    made: Comparison = _function("def same(a, b, twin, same_bytes):", body, names, table)
    return made


def _test(field: Field, names: dict[str, Any]) -> str:
    name, kind = field.attribute, field.kind
    a, b = f"a.{name}", f"b.{name}"
    if field.refers_to:
        if kind == "scalar":
            return f"twin(id({a})) is {b}"
        return f"({b} is None if {a} is None else list(map(twin, map(id, {a}))) == {b})"
    if kind == "data":
        return f"({a} is {b} or same_bytes({a}, {b}))"
    if kind == "numbers":
        return f"({a} == {b} if {a}.__class__ is list else {a} is {b} or same_vector({a}, {b}))"
    if kind == "tables":
        names[f"same_{name}"] = comparison(field.type)
        return f"({a} is {b} or same_tables({a}, {b}, same_{name}, twin, same_bytes))"
    if kind == "table":
        names[f"same_{name}"] = comparison(field.type)
        return f"({a} is {b} or same_{name}({a}, {b}, twin, same_bytes))"
    if kind == "union":
        return f"({a} is {b} or same_member({a}, {b}, twin, same_bytes))"
    return f"{a} == {b}"


def _same_vector(a: Any, b: Any) -> bool:
    both = isinstance(a, Vector) and isinstance(b, Vector)
    return both and a.typecode == b.typecode and (a.is_same_place(b) or bool(a.tobytes() == b.tobytes()))


def _same_tables(
    a: Any, b: Any, same: Comparison, twin: Callable[[int], Any], same_bytes: Callable[[Any, Any], bool]
) -> bool:
    return (
        a is not None and b is not None and len(a) == len(b) and all(map(same, a, b, repeat(twin), repeat(same_bytes)))
    )


def _same_member(a: Any, b: Any, twin: Callable[[int], Any], same_bytes: Callable[[Any, Any], bool]) -> bool:
    if a is None or isinstance(a, OpaqueTable):
        return False
    return comparison(a.table)(a, b, twin, same_bytes)


def _function(head: str, body: list[str], names: dict[str, Any], table: str) -> Any:
    text = "\n    ".join([head, *body])
    exec(compile(text, f"<{head[4 : head.index('(')]} of {table}>", "exec"), names)  # own text, no outside input
    return names[head[4 : head.index("(")]]
