"""What a runtime makes of one thing in a model: the vocabulary of predictions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Tensor

# What a runtime makes of a model, a node or a tensor.
REFUSES, CRASHES, WRONG, OK, UNKNOWN = "refuses", "crashes", "wrong-numbers", "ok", "unknown"


class Stage(IntEnum):
    """When a runtime meets a problem."""

    CONSTRUCT = 0
    """The interpreter is made from the file."""
    ALLOCATE = 1
    """Tensors are allocated: every kernel prepares its node."""
    INVOKE = 2
    """The model runs."""
    ELSEWHERE = 3
    """Only when a subgraph is used that nothing in the first one calls, such as another signature."""


class On(IntFlag):
    """The kernels that a statement is about."""

    LITERT = 1
    """Of ai-edge-litert 2.3, for nodes that no delegate took."""
    V2_14 = 2
    """Of tflite-runtime 2.14."""
    TFLM = 4
    DELEGATE = 8
    """XNNPACK in ai-edge-litert 2.3."""
    TFLITE = LITERT | V2_14
    EVERY = LITERT | V2_14 | TFLM


# Texts that runtimes print, in the order in which they were declared; `rule_of` looks through them.
_SAYINGS: list[Said] = []


# TFLM's kernels complain of a tensor that is not there also where its type has no size: then this stands before.
_NOTHING_THERE = "!= nullptr was not true"
_UNKNOWN_TYPE = "Failed to populate a temp TfLiteTensor struct"


class Said:
    """A text by which a runtime reports a rule's breach, declared once where the check is modelled.

    A source file is given where the text alone could come from elsewhere: "conv.cc", or "*" for any. In the text,
    {} stands for anything that varies. A regular expression is given instead where that does not tell it from others.

    Attributes:
        rule: the name of the rule.
        text: what is printed, without path, line and node.
    """

    __slots__ = ("_expression", "_loose", "_pattern", "rule", "source", "text")

    def __init__(self, rule: str, source: str | None, text: str, expression: str | None = None) -> None:
        self.rule = rule
        self.source = source
        self.text = text
        self._expression = expression
        self._pattern: re.Pattern[str] | None = None
        self._loose: re.Pattern[str] | None = None
        _SAYINGS.append(self)

    @property
    def pattern(self) -> re.Pattern[str]:
        """What recognises the text in a log."""
        if self._pattern is None and self._expression is not None:
            self._pattern = re.compile(self._expression)
        elif self._pattern is None:
            text = ".*?".join(map(re.escape, self.text.split("{}")))
            place = ""
            if self.source is not None:
                name = r"\w\.(?:cc|h)" if self.source == "*" else rf"(?<!\w){re.escape(self.source)}"
                place = rf"{name}(?::\d+)?:? "
            if self.text.endswith(_NOTHING_THERE):
                place = rf"\A(?![\s\S]*{_UNKNOWN_TYPE})[\s\S]*?{place}"
            # A word may not go on where the text ends; what LiteRT says next of the node follows without a space.
            end = r"(?:(?!\w)|(?=Node number ))" if text[-1:].isalnum() else ""
            self._pattern = re.compile(place + text + end)
        return self._pattern

    def is_in(self, text: str) -> bool:
        """Whether somebody's text holds it, wherever it was printed; upper and lower case do not matter."""
        if self._loose is None:
            self._loose = re.compile(".*?".join(map(re.escape, self.text.split("{}"))), re.IGNORECASE)
        return self._loose.search(text) is not None

    def __repr__(self) -> str:
        return f"Said({self.rule!r}, {self.source!r}, {self.text!r})"


def sayings() -> list[Said]:
    """Every text declared by the modules imported so far."""
    return _SAYINGS


class Place(NamedTuple):
    """Where a problem is: numbers as runtimes print them, None where it concerns more than one."""

    subgraph: int | None = None
    operator: int | None = None


NOWHERE = Place()


@dataclass(slots=True)
class Problem:
    """One thing that kernels object to, stumble over, or compute otherwise than the file says.

    Attributes:
        rule: the name of the rule that is broken.
        effect: REFUSES, CRASHES, WRONG or UNKNOWN.
        on: whose kernels.
        stage: when they meet it.
        message: what is found and what is expected, in one sentence without a full stop.
        said: what the runtime prints, if it prints anything.
        tensor: the one at fault, else None.
        details: the numbers behind the message.
        place: the node; filled in by the walk that asked.
        doubtful: a WRONG that depends on what the author meant: a warning, no error.
        runtimes: names of the runtimes that meet it: those that use the kernels for this node; filled in by the walk.
    """

    rule: str
    effect: str
    on: On
    stage: Stage
    message: str
    said: str | None = None
    tensor: Tensor | None = None
    details: dict[str, Any] = field(default_factory=dict)
    place: Place = NOWHERE
    doubtful: bool = False
    runtimes: frozenset[str] = frozenset()
