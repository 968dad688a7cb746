"""The words that `inspect` has for numbers: places, shapes, scales, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tflite_surgeon.quantization import float32
from tflite_surgeon.report.names import printable
from tflite_surgeon.views.versions import LITERT, TFLITE

_AFFINE = "affine"
_NUMBERS_SHOWN = 12
_LONGEST_VALUE = 60


def place(subgraph: int, number: int, letter: str = "") -> str:
    """As a person may write it back: t5, 1:t5; without a letter a node."""
    return f"{subgraph}:{letter}{number}" if subgraph else f"{letter}{number}"


def thousands(value: int | None) -> str:
    """Such as 1,234; - for what is not known."""
    return "-" if value is None else f"{value:,}"


def shape_words(shape: Sequence[int]) -> str:
    """Such as [1, 96, 96, 3]."""
    return f"[{', '.join(map(str, shape))}]"


def real(value: float) -> str:
    """A float32 in as few digits as tell it from its neighbours, at most nine."""
    return next(
        (text for digits in (6, 7, 8) if float32(float(text := f"{value:.{digits}g}")) == value), f"{value:.9g}"
    )


def numbers(items: Sequence[int | None]) -> str:
    """Numbers of tensors; - for one that is not given."""
    texts = ["-" if item is None else str(item) for item in items]
    if len(texts) > _NUMBERS_SHOWN:
        texts = [*texts[:_NUMBERS_SHOWN], f"... ({len(texts)})"]
    return ",".join(texts) or "-"


def scale_words(scheme: str | None, scale: Sequence[float], zero_point: Sequence[int], dimension: int) -> str:
    """Such as "0.0078125 (zero 128)" or "32 scales 0.001 to 0.02 along 0", the ends of which are rounded."""
    if scheme is None:
        return "-"
    if not scale:
        return scheme
    if scheme != _AFFINE:
        return f"{scheme}, {len(scale)} scales {min(scale):.4g} to {max(scale):.4g}"
    zeros = sorted(set(zero_point))
    zero = "" if zeros == [0] else f" (zero {zeros[0]})" if len(zeros) == 1 else f" (zeros {zeros[0]} to {zeros[-1]})"
    if len(scale) == 1:
        return f"{real(scale[0])}{zero}"
    return f"{len(scale)} scales {min(scale):.4g} to {max(scale):.4g} along {dimension}{zero}"


def oldest(name: str, is_custom: bool, known: str | None) -> str:
    """The oldest runtime that is known to have an operator in its version."""
    if known == TFLITE:
        return "tflite-2.14 or older"
    if known == LITERT:
        return "litert-2.3 (tflite-2.14 lacks it)"
    if is_custom:
        return "needs the Flex delegate" if name.startswith("Flex") else "custom: the application brings it"
    return "none known: newer than litert-2.3, or without a kernel"


def shown(value: Any) -> str:
    """An option's value on one line."""
    if isinstance(value, float):
        return real(value)
    if isinstance(value, str):
        return printable(value, longest=_LONGEST_VALUE)
    text = str(value)
    return printable(
        text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}...", longest=_LONGEST_VALUE
    )
