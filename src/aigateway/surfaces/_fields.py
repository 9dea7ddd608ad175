"""Read parts of a request whose shape depends on what they say they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import RequestError

__all__ = ["elsewhere", "rows", "text_at"]


def elsewhere(body: Mapping[str, Any], wanted: str, places: Mapping[str, str]) -> None:
    """Refuse what was sent to the wrong place. Raises RequestError that names the right one.

    `places` maps fields of other dialects to where those are served.
    """
    for name, place in places.items():
        if body.get(name) is not None:
            message = f"{wanted!r} is missing, and {name!r} is a field of {place}. Send it there, or send {wanted!r}."
            raise RequestError(message, param=name, code="missing_required_parameter")


def rows(value: object, path: str) -> list[dict[str, Any]]:
    """Give a list of objects. Raises RequestError."""
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise RequestError(f"{path!r} must be a text or a list of objects", param=path)
    return value


def text_at(item: Mapping[str, Any], name: str, path: str) -> str:
    """Give a text inside an object. Raises RequestError."""
    value = item.get(name)
    if not isinstance(value, str):
        where = f"{path}.{name}"
        raise RequestError(f"{where!r} must be a text", param=where)
    return value
