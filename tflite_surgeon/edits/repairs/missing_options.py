"""Repairs of options: those of another operator, missing ones, and custom ones where nobody reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.objections import computed_tensors, objections
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.flatbuffer.tables import Table, table_class
from tflite_surgeon.knowledge.construction.nodes import OPTIONS
from tflite_surgeon.knowledge.construction.opcodes import CUSTOM
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.model.objects import Operator, OperatorCode

# An empty map, as a FlexBuffer.
_NO_ATTRIBUTES = bytes.fromhex("00000100002401")


@repair(
    "missing-options",
    Phase.GRAPH,
    "Where another operator of the model has options of this kind and its kernel takes the node as it is, the node is "
    "that operator. Else the node gets a table of its own: with the defaults that runtimes use (--keep integers), or "
    "with what the other table says under the same names (--keep values).",
    "Where options are not there at all, such as an LSTM's kernel and activation, nothing in the file tells them.",
)
def missing_options(draft: Draft, target: Target, wish: Wish) -> Result:
    """Options that runtimes pass over."""
    operator = target.operator
    if operator is None:
        return Refused("the finding names no node")
    name, stored = operator.name, operator.builtin_options
    if name == "STABLEHLO_COMPOSITE":
        return _composite(draft, operator)
    wanted = OPTIONS.get(name)
    if wanted is None or not isinstance(stored, Table):
        return Refused(f"the options of {name} are not in the file, and it cannot be told what they were")
    if stored.table == wanted:
        return None
    known = computed_tensors(draft)
    plain = table_class(wanted)()
    carried = _carried(plain, stored)
    mark = draft.mark()
    accepted = []
    for options in (plain, carried):
        draft.set(operator, "builtin_options", options)
        accepted.append(objections(draft, operator, known) is not None)
        draft.back_to(mark)
    code = _meant(draft, operator, stored, known)
    if code is not None and not any(accepted):
        draft.set(operator, "opcode", code)
        return Done(
            f"the node is {code.name} instead of {name}",
            f"it has {stored.table}, and the kernel of {code.name} takes it as it is where that of {name} does not",
        )
    if not any(accepted):
        return Refused(f"{name} has {stored.table}, and its kernel refuses the node with its own defaults as well")
    what = f"{name} has {wanted} instead of {stored.table}"
    if _same(plain, carried):
        draft.set(operator, "builtin_options", plain)
        return Done(what, f"all of it is as in {wanted} by default, which is what runtimes use")
    keep = wish.keep if wish.keep != "auto" else None
    reason = ""
    if accepted[0] != accepted[1]:
        keep = "integers" if accepted[0] else "values"
        reason = "the shapes in the file fit that alone"
    elif keep is None and wish.undecided == "values":
        keep = "values"
    if keep is None:
        return Refused(f"whether {stored.table} or the defaults are meant, the file does not tell", is_open=True)
    draft.set(operator, "builtin_options", carried if keep == "values" else plain)
    what += ", with its values" if keep == "values" else ", with the defaults that runtimes use"
    return Done(what, reason, "values" if keep == "values" else "integers")


def _composite(draft: Draft, operator: Operator) -> Result:
    """A composite without attributes; those of its decomposition are in the decomposition."""
    options: Any = operator.builtin_options_2
    if getattr(options, "table", None) != "StableHLOCompositeOptions" or options.name is None:
        return Refused("the composite has no name or no decomposition in the file: convert the model again")
    if options.composite_attributes is not None:
        return None
    draft.set(options, "composite_attributes", _NO_ATTRIBUTES)
    return Done(
        f"the composite {options.name!r} has an empty list of attributes",
        "runtimes compute its decomposition, which needs none",
        warnings=("a delegate that knows the composite by its name may miss attributes",),
    )


def _carried(plain: Any, stored: Table) -> Any:
    """A table of the right kind with what the wrong one says under the same names."""
    values = {
        field.attribute: getattr(stored, field.attribute)
        for field in schema.fields(plain.table)
        if hasattr(stored, field.attribute)
    }
    return type(plain)(**values)


def _same(one: Any, other: Any) -> bool:
    return all(getattr(one, field.attribute) == getattr(other, field.attribute) for field in schema.fields(one.table))


def _meant(draft: Draft, operator: Operator, stored: Table, known: Mapping[int, Operand]) -> OperatorCode | None:
    """The one operator code whose options these are and whose kernel takes the node."""
    users = [node.operator for node in draft.model.nodes() if node.operator is not operator]
    codes = {
        id(user.opcode): user.opcode
        for user in users
        if isinstance(user.opcode, OperatorCode) and getattr(user.builtin_options, "table", None) == stored.table
    }
    fitting = []
    for code in codes.values():
        mark = draft.mark()
        draft.set(operator, "opcode", code)
        if objections(draft, operator, known) is not None:
            fitting.append(code)
        draft.back_to(mark)
    return fitting[0] if len(fitting) == 1 else None


@repair(
    "custom-options",
    Phase.FILE,
    "Takes custom options off a builtin operator: no runtime reads them there.",
    "What a custom operator's kernel reads from its options is known to that kernel alone.",
)
def custom_options(draft: Draft, target: Target, wish: Wish) -> Result:
    """Custom options beside a builtin operator, or missing ones of a custom operator."""
    operator = target.operator
    if operator is None or not isinstance(operator.opcode, OperatorCode):
        return Refused("the finding names no node with an operator")
    if operator.opcode.code == CUSTOM:
        return Refused(f"the options of the custom operator {operator.name} are not in the file: convert it again")
    if operator.custom_options is None:
        return None
    size = len(operator.custom_options)
    draft.set(operator, "custom_options", None)
    return Done(
        f"{operator.name} has no custom options; it had {size} bytes of them",
        "it is a builtin operator, whose kernel does not read them",
    )
