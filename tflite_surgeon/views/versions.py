"""Which runtimes have a kernel for an operator in its version, and what the converter recorded of it."""

from __future__ import annotations

from dataclasses import dataclass

from tflite_surgeon.knowledge.operator_versions import versions, versions_2_14
from tflite_surgeon.model.objects import Buffer, Model, OperatorCode

CUSTOM = 32
"""The operator code of custom operators."""
_RECORD = "min_runtime_version"
TFLITE = "tflite-2.14"
LITERT = "litert-2.3"


@dataclass(frozen=True)
class Support:
    """Where an operator in one version has a kernel.

    Attributes:
        litert, tflite_2_14: lowest and highest version that LiteRT 2.3 and tflite-runtime 2.14 have; None for none.
        tflm: whether TensorFlow Lite Micro, which does not look at versions, has a kernel of that name.
        oldest: TFLITE where tflite-runtime 2.14, and perhaps an older one, has the version; LITERT where only
            LiteRT 2.3 has; None where neither has: a custom operator, or a version that no kernel of theirs knows.
    """

    litert: tuple[int, int] | None
    tflite_2_14: tuple[int, int] | None
    tflm: bool
    oldest: str | None


def support(code: OperatorCode) -> Support:
    """Where an operator code has a kernel."""
    from tflite_surgeon.knowledge.micro.construction import BUILTINS, CUSTOMS

    name = code.name
    if code.code == CUSTOM:
        return Support(None, None, name in CUSTOMS, None)
    new, old = versions().get(name), versions_2_14().get(name)
    oldest = TFLITE if _within(code.version, old) else LITERT if _within(code.version, new) else None
    return Support(new, old, name in BUILTINS, oldest)


def _within(version: int, limits: tuple[int, int] | None) -> bool:
    return limits is not None and limits[0] <= version <= limits[1]


def recorded_version(model: Model) -> str | None:
    """The oldest TFLite that has all operators, as the converter recorded it, such as "1.14.0"; None where it did not.

    Source: the metadata entry min_runtime_version, 16 bytes padded with zeros.
    """
    for entry in model.metadata or ():
        if entry.name == _RECORD and isinstance(entry.buffer, Buffer):
            data = bytes(memoryview(entry.buffer.data or b"")[:64])
            return data.partition(b"\0")[0].decode("utf-8", "backslashreplace") or None
    return None
