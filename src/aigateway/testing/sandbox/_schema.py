"""A value for a JSON schema: tool arguments and structured answers that a strict client accepts.

Only what clients generate is read: $ref, enum, const, unions, objects, arrays and scalars with
their bounds. The work is bounded, whatever the schema says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["example"]

DEEP = 8
VALUES = 500
TEXTS = {
    "date": "2026-11-20",
    "date-time": "2026-11-20T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: object) -> Any:
    """Give the simplest value with every required property."""
    return _Example(schema if isinstance(schema, Mapping) else {}).value(schema, 0)


class _Example:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = VALUES

    def value(self, schema: object, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, Mapping) or self._left < 0 or depth > 4 * DEEP:
            return None
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        if isinstance(schema.get("$ref"), str):
            return self.value(self._resolve(schema["$ref"]), depth + 1)
        if isinstance(schema.get("allOf"), list):
            return self.value(_merged(schema), depth + 1)
        for union in ("anyOf", "oneOf"):
            if isinstance(schema.get(union), list) and schema[union]:
                return self.value(_choice(schema[union], depth), depth + 1)
        return self._plain(schema, depth)

    def _plain(self, schema: Mapping[str, Any], depth: int) -> Any:
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer":
                return math.ceil(_number(schema, 1))
            case "number":
                return _number(schema, 0.5)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _text(schema)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        required = schema.get("required")
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            return {}
        return {name: self.value(properties.get(name, {}), depth + 1) for name in required if isinstance(name, str)}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        least = schema.get("minItems")
        size = min(least, 20) if isinstance(least, int) else 0
        if size < 1:
            size = 1 if depth < DEEP and "items" in schema else 0
        return [self.value(schema.get("items", {}), depth + 1) for _ in range(size)]

    def _resolve(self, reference: str) -> object:
        found: object = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            if not part:
                continue
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found


def _choice(options: list[Any], depth: int) -> object:
    """Take the first option; when deep, `null`, so that a recursive schema ends."""
    if depth >= DEEP:
        for option in options:
            if isinstance(option, Mapping) and option.get("type") == "null":
                return option
    return options[0]


def _merged(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    merged: dict[str, Any] = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema["allOf"]:
        if not isinstance(part, Mapping):
            continue
        for name, value in part.items():
            if name == "properties" and isinstance(value, Mapping):
                merged[name] = {**merged.get(name, {}), **value}
            elif name == "required" and isinstance(value, list):
                merged[name] = [*merged.get(name, []), *value]
            else:
                merged.setdefault(name, value)
    return merged


def _type(schema: Mapping[str, Any]) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((one for one in kind if one != "null"), "null")
    return kind if kind is not None else "object" if "properties" in schema else "string"


def _number(schema: Mapping[str, Any], simple: float) -> float:
    """Give a number inside the bounds."""
    low, high = _bound(schema, "minimum", "exclusiveMinimum", 1), _bound(schema, "maximum", "exclusiveMaximum", -1)
    step = schema.get("multipleOf")
    if low is not None and simple < low:
        simple = low
    if high is not None and simple > high:
        simple = high
    if isinstance(step, int) and not isinstance(step, bool) and step > 0:
        simple = math.ceil(simple / step) * step
    return simple


def _bound(schema: Mapping[str, Any], name: str, exclusive: str, inside: int) -> float | None:
    found = schema.get(name)
    if isinstance(found, int | float) and math.isfinite(found):
        return found
    found = schema.get(exclusive)
    if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
        return found + inside
    return None


def _text(schema: Mapping[str, Any]) -> str:
    text = TEXTS.get(str(schema.get("format")), "example")
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int) and len(text) < least:
        text = text.ljust(min(least, 1000), "x")
    return text[: max(most, 0)] if isinstance(most, int) else text
