"""What a condition's test is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tflite_surgeon as ts

NAMES = ("litert", "litert-no-delegate", "tflite-2.14", "tflm")

# A model, or the bytes of a file where no model would be saved so.
Content = ts.Model | bytes


class Case(NamedTuple):
    """A condition, and the smallest models on both sides of it.

    Attributes:
        name: of the condition, unique over all families; a second case of one condition has a suffix behind "/".
        rule: the rule whose finding must be there outside, and only there.
        inside, outside: make the models, or files; they differ in the one thing that the condition is about.
        effects: what each runtime makes of the outside model by this rule: "refuses", "crashes", "wrong-numbers",
            "unknown"; runtimes not named: "ok".
        in_reality: whether interpreters are asked as well. False, with the reason in a comment beside the case, only
            where an answer depends on more than the file.
    """

    name: str
    rule: str
    inside: Callable[[], Content]
    outside: Callable[[], Content]
    effects: Mapping[str, str]
    in_reality: bool = True


def file_of(content: Content) -> bytes:
    """The bytes that an interpreter is given."""
    return content if isinstance(content, bytes) else ts.dumps(content)


def model_of(content: Content) -> ts.Model:
    """The model that is checked.

    Raises:
        SurgeonError: the bytes are no model that can be read.
    """
    return ts.loads(content) if isinstance(content, bytes) else content


def everywhere(effect: str) -> dict[str, str]:
    """The same effect in all four runtimes."""
    return dict.fromkeys(NAMES, effect)


def tflite(effect: str) -> dict[str, str]:
    """The effect in LiteRT, with and without its delegate, and in tflite-runtime."""
    return dict.fromkeys(NAMES[:3], effect)


def own_kernels(effect: str) -> dict[str, str]:
    """The effect where no delegate takes the node: LiteRT without it, and tflite-runtime."""
    return dict.fromkeys(NAMES[1:3], effect)
