"""The operators that a model lists, used or not: has the runtime a kernel for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.operator_versions import HIGHEST_CODE, HIGHEST_CODE_2_14, versions, versions_2_14
from tflite_surgeon.knowledge.problems import On, Problem, Said

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Model, OperatorCode

CUSTOM = 32

# One text serves operators without any kernel and versions without one: the names of the former tell.
_TEXT = "Didn't find op for builtin opcode '{}' version '{}'"
_WITHOUT_KERNELS = "|".join(sorted({member.name for member in enum_class("BuiltinOperator")} - set(versions())))
_FOUND = re.escape("Didn't find op for builtin opcode '")
_AVAILABLE = Said("operator-availability", None, _TEXT, rf"{_FOUND}(?:{_WITHOUT_KERNELS})' version '")
_VERSION = Said("operator-version", None, _TEXT, rf"{_FOUND}(?!(?:{_WITHOUT_KERNELS})')\w+' version '")
_RANGE = Said("unknown-operator", None, "Op builtin_code out of range: {}")
_NO_NAME = Said("custom-operator", None, "Operator with CUSTOM builtin_code has no custom_code.")

_LOADERS = (
    (On.LITERT, "LiteRT 2.3", versions, HIGHEST_CODE),
    (On.V2_14, "tflite-runtime 2.14", versions_2_14, HIGHEST_CODE_2_14),
)


def problems(model: Model) -> Iterator[Problem]:
    """What is wrong with the operators listed, in their order; LiteRT stops at the first."""
    for number, code in enumerate(model.operator_codes or ()):
        yield from _problems_of(number, code)


def _problems_of(number: int, opcode: OperatorCode) -> Iterator[Problem]:
    code, name, version = opcode.code, opcode.name, opcode.version
    if code == CUSTOM:
        if opcode.custom_code is None:
            yield refused(_NO_NAME, f"operator code {number} is a custom operator without a name")
        return
    for kernels, runtime, table, highest in _LOADERS:
        known = table().get(name)
        if code > highest:
            yield refused(_RANGE, f"operator code {number} is {code}, {runtime} knows none above {highest}", on=kernels)
        elif known is None:
            yield refused(_AVAILABLE, f"{runtime} has no kernel for {name}", on=kernels)
        elif not known[0] <= version <= known[1]:
            message = f"{name} is of version {version}, {runtime} has kernels for versions {known[0]} to {known[1]}"
            yield refused(_VERSION, message, on=kernels, operator=name, version=version, known=list(known))
