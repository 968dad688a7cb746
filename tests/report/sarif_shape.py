"""The part of SARIF 2.1.0 that we write, as a JSON schema: names, types and what must be there, from the standard.

Whatever is not named here we do not write, so nothing else is allowed: a misspelt property fails.
"""

from __future__ import annotations

from typing import Any


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_MESSAGE = _object(("text",), text=_TEXT)
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_URI = {"type": "string", "pattern": r"^(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})+$"}
_PHYSICAL = _object(
    ("artifactLocation",),
    artifactLocation=_object(("uri",), uri=_URI),
    region=_object(("byteOffset",), byteOffset=_COUNT, byteLength=_COUNT),
)
_LOGICAL = _object((), fullyQualifiedName=_TEXT, kind=_TEXT, name=_TEXT)
_LOCATION = _object((), physicalLocation=_PHYSICAL, logicalLocations=_array(_LOGICAL))
_RESULT = _object(
    ("message", "ruleId", "level"),
    ruleId=_TEXT,
    ruleIndex=_COUNT,
    level=_LEVEL,
    message=_MESSAGE,
    locations=_array(_LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": _TEXT},
    properties={"type": "object"},
)
_RULE = _object(("id",), id=_TEXT, shortDescription=_MESSAGE, fullDescription=_MESSAGE, help=_MESSAGE)
_NOTIFICATION = _object(("message",), level=_LEVEL, message=_MESSAGE, locations=_array(_LOCATION))
_RUN = _object(
    ("tool", "results"),
    tool=_object(("driver",), driver=_object(("name",), name=_TEXT, semanticVersion=_TEXT, rules=_array(_RULE))),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    invocations=_array(
        _object(
            ("executionSuccessful",),
            executionSuccessful={"type": "boolean"},
            toolExecutionNotifications=_array(_NOTIFICATION),
        )
    ),
    results=_array(_RESULT),
)
SHAPE = {
    "type": "object",
    "properties": {"$schema": {"type": "string"}, "version": {"const": "2.1.0"}, "runs": _array(_RUN)},
    "required": ["version", "runs"],
    "additionalProperties": False,
}
