"""Short ways to say that a file is refused before any node is prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tflite_surgeon.knowledge.problems import NOWHERE, REFUSES, On, Place, Problem, Said, Stage

if TYPE_CHECKING:
    from tflite_surgeon.model.objects import Tensor


def refused(
    said: Said,
    message: str,
    *,
    on: On = On.TFLITE,
    at: Stage = Stage.CONSTRUCT,
    place: Place = NOWHERE,
    tensor: Tensor | None = None,
    **details: Any,
) -> Problem:
    """The runtime stops, with a text of its own."""
    return Problem(said.rule, REFUSES, on, at, message, said.text, tensor, details, place)
