"""Operators that no runtime has by itself: custom ones, and those of TensorFlow.

Source: LiteRT core/subgraph.cc (OpPrepare), kernels/register.cc; both Python wheels asked by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tflite_surgeon.knowledge.construction.refusal import refused
from tflite_surgeon.knowledge.problems import CRASHES, On, Place, Problem, Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Operator

_UNRESOLVED = Said("custom-operator", None, "Encountered unresolved custom op: {}")
_FLEX = Said("flex-operator", None, "Select TensorFlow op(s), included in the given model, is(are) not supported")

# Custom operators that the Python packages of LiteRT and tflite-runtime register, in version 1.
_REGISTERED = frozenset({"TFLite_Detection_PostProcess", "Mfcc", "AudioSpectrogram", "NumericVerify"})


def is_registered(operator: Operator) -> bool:
    """Whether LiteRT and tflite-runtime have a kernel for a custom operator."""
    return operator.name in _REGISTERED and getattr(operator.opcode, "version", 0) == 1


def has_name(operator: Operator) -> bool:
    """Whether a custom operator has a name; without one the interpreter is not made at all."""
    return getattr(operator.opcode, "custom_code", None) is not None


def unresolved(operator: Operator, stage: Stage) -> Problem:
    """A custom operator without a kernel, met when its node is prepared; a delegate may have taken it before."""
    name = operator.name
    if name.startswith("Flex"):
        return refused(_FLEX, f"{name} is an operator of TensorFlow, which needs the Flex delegate", at=stage)
    return refused(_UNRESOLVED, f"the custom operator {name} is not registered", at=stage)


def without_options(operator: Operator, place: Place) -> Iterator[Problem]:
    """Registered kernels read their options as soon as the interpreter is made, there or not."""
    if is_registered(operator) and operator.custom_options is None and operator.large_custom_options is None:
        message = f"{operator.name} has no options, and the process dies where it reads them"
        yield Problem("custom-options", CRASHES, On.TFLITE, Stage.CONSTRUCT, message, place=place)
