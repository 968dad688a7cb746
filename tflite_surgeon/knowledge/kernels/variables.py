"""Kernels of variables and tables that outlive a run.

Source: LiteRT and tflite-runtime 2.14 kernels/var_handle.cc, read_variable.cc, assign_variable.cc, hashtable.cc,
hashtable_find.cc, hashtable_import.cc, hashtable_size.cc.
"""

from __future__ import annotations

from collections.abc import Hashable

from tflite_surgeon.flatbuffer.schema import name_of
from tflite_surgeon.knowledge.kernels.moving import is_of
from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import kernel
from tflite_surgeon.knowledge.kernels.sayings import NO_SUCH_TENSOR
from tflite_surgeon.knowledge.problems import Said, Stage

_READ_COUNT = Said("tensor-count", "read_variable.cc", "node->{}->size != 1")
_HANDLE_TYPE = Said("operator-types", "*", "(input_resource_id_tensor->type == kTfLiteResource || ")
_HANDLE_COUNT = Said("dimension-match", "*", "NumElements(input_resource_id_tensor) != ")
_NO_VARIABLE = Said("resource-variable", "read_variable.cc", "variable != nullptr was not true")
_VARIABLE_TYPE = Said("same-type", "read_variable.cc", "variable_tensor->type != output->type")
_TABLE_TYPES = Said("option-value", "hashtable.cc", "(params->key_dtype == kTfLiteInt64 && ")
_TABLE_HANDLE = Said("operator-types", "hashtable.cc", "resource_handle_tensor->type != ")
_TABLE_INPUT = Said("operator-types", "*", "input_resource_id_tensor->type != ")
_TABLE_RANK = Said("tensor-rank", "*", "NumDimensions(input_resource_id_tensor) != ")
_TABLE_COUNT = Said("dimension-match", "*", "SizeOfDimension(input_resource_id_tensor, 0) != ")
_FIND_DEFAULT = Said("same-type", "hashtable_find.cc", "default_value_tensor->type != output_tensor->type")
_KEY_TYPES = Said("operator-types", "*", "(key_tensor->type == kTfLiteInt64 && ")
_IMPORT_SHAPES = Said("dimension-match", "hashtable_import.cc", "HaveSameShapes(key_tensor, value_tensor) was not true")
_SIZE_TYPE = Said("operator-types", "hashtable_size.cc", "output_tensor->type != ")
_NO_TABLE = Said(
    "resource-variable",
    "*",
    "lookup != nullptr was not true",
    expression=r"\bhashtable_\w+\.cc(?::\d+)? lookup != nullptr was not true",
)

_HANDLES = ("RESOURCE", "INT32")
_PAIRS = (("INT64", "STRING"), ("STRING", "INT64"))
# Where an operand carries what names its variable.
_NAME = "resource_name"


def _named(operand: Operand) -> Hashable | None:
    """What names the variable or table that a handle stands for; None where that is not known."""
    return operand.__dict__.get(_NAME)


@kernel("VAR_HANDLE")
def _handle(node: KernelNode) -> None:
    if not node.outputs:
        node.refuse(NO_SUCH_TENSOR, "there are no outputs")
        return
    result = node.outputs[0]
    if result is None:
        return
    table = "VarHandleOptions"
    result.__dict__[_NAME] = (node.option(table, "container") or "", node.option(table, "shared_name") or "")
    result.is_dynamic = False


def _takes_handle(node: KernelNode) -> Operand | None:
    handle = node.inputs[0]
    if not node.needs(0) or handle is None:
        return None
    is_of(node, _HANDLE_TYPE, handle, _HANDLES)
    if handle.count not in (None, 1):
        node.refuse(_HANDLE_COUNT, f"the handle has {handle.count} elements, the kernel takes 1", handle)
    return handle


@kernel("READ_VARIABLE")
def _read(node: KernelNode) -> None:
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        found = f"there are {len(node.inputs)} inputs and {len(node.outputs)} outputs, it takes 1 of each"
        node.refuse(_READ_COUNT, found)
        return
    handle, result = _takes_handle(node), node.outputs[0]
    if handle is None or result is None:
        return
    name = _named(handle)
    kept = None if name is None else node.graph.resources.get(name)
    if name is not None and kept is None:
        message = "the variable is read, and whether it was written before depends on what ran before"
        node.doubt("resource-variable", message, handle, at=Stage.INVOKE)
    elif kept is not None and kept != result.type:
        node.refuse(_VARIABLE_TYPE, f"the variable is {kept}, the output {result.type}", result, at=Stage.INVOKE)
    if result.shape == []:
        node.resize(0, None)


@kernel("ASSIGN_VARIABLE")
def _assign(node: KernelNode) -> None:
    if not node.has_counts(2, 0):
        return
    handle, value = _takes_handle(node), node.inputs[1]
    if handle is None:
        return
    if value is None:
        node.needs(1)
        return
    name = _named(handle)
    if name is not None:
        node.graph.resources[name] = value.type


@kernel("HASHTABLE")
def _table(node: KernelNode) -> None:
    if not node.has_counts(0):
        return
    table, result = "HashtableOptions", node.outputs[0]
    types = [name_of("TensorType", node.option(table, key)) or "FLOAT32" for key in ("key_dtype", "value_dtype")]
    if tuple(types) not in _PAIRS:
        message = f"the keys are {types[0]} and the values {types[1]}, the kernel has INT64 to STRING and back"
        node.refuse(_TABLE_TYPES, message)
    if result is None:
        return
    is_of(node, _TABLE_HANDLE, result, ("RESOURCE",))
    result.shape = [1]
    name = (table, node.option(table, "table_id"))
    result.__dict__[_NAME] = name
    node.graph.resources[name] = types[1]


def _takes_table(node: KernelNode) -> Operand | None:
    handle = node.inputs[0]
    if not node.needs(0) or handle is None:
        return None
    is_of(node, _TABLE_INPUT, handle, ("RESOURCE",))
    if handle.shape is not None and len(handle.shape) != 1:
        node.refuse(_TABLE_RANK, f"the handle has {len(handle.shape)} dimensions, the kernel takes 1", handle)
    elif handle.dim(0) not in (None, 1):
        node.refuse(_TABLE_COUNT, f"the handle has {handle.dim(0)} elements, the kernel takes 1", handle)
    return handle


def _pairs(node: KernelNode, keys: Operand, values: Operand) -> None:
    if (keys.type, values.type) not in _PAIRS:
        message = f"the keys are {keys.type} and the values {values.type}, the kernel has INT64 to STRING and back"
        node.refuse(_KEY_TYPES, message, values)


@kernel("HASHTABLE_FIND")
def _find(node: KernelNode) -> None:
    if not node.has_counts(3) or _takes_table(node) is None or not node.needs(2, 1):
        return
    keys, default, result = node.inputs[1], node.inputs[2], node.outputs[0]
    if keys is None or default is None or result is None:
        return
    if default.type != result.type:
        node.refuse(_FIND_DEFAULT, f"the default value is {default.type}, the output {result.type}", default)
    _pairs(node, keys, result)
    node.same_shape(0, 1)


@kernel("HASHTABLE_IMPORT")
def _import(node: KernelNode) -> None:
    if not node.has_counts(3, 0) or _takes_table(node) is None or not node.needs(1, 2):
        return
    keys, values = node.inputs[1], node.inputs[2]
    if keys is None or values is None:
        return
    _pairs(node, keys, values)
    if None not in (keys.shape, values.shape) and keys.shape != values.shape:
        message = f"the keys have the shape {keys.shape}, the values {values.shape}"
        node.refuse(_IMPORT_SHAPES, message, values)


@kernel("HASHTABLE_SIZE")
def _size(node: KernelNode) -> None:
    if not node.has_counts(1) or _takes_table(node) is None:
        return
    result = node.outputs[0]
    if result is not None:
        is_of(node, _SIZE_TYPE, result, ("INT64",))
        node.resize(0, [1])
