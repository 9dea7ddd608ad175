"""Read what a vendor sends: JSON, and no number JSON cannot hold."""

from __future__ import annotations

from math import isfinite
from typing import Any

from pydantic_core import from_json, to_json

from ..errors import Kind, ProviderError

__all__ = ["WITHHELD", "nonsense", "read_object"]

WITHHELD = "the vendor's content filter withheld the answer"
DEEP = frozenset({dict, list, float})


def read_object(data: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object that is as good JSON again. Raises ProviderError."""
    try:
        body = from_json(data, allow_inf_nan=False)
    except ValueError:
        raise nonsense(f"{what} is not JSON") from None
    if not isinstance(body, dict):
        raise nonsense(f"{what} is not a JSON object")
    # 1e999 parses, to an infinity; writing is many times faster than a pattern over the bytes. It may be a word, too.
    if b"Infinity" in to_json(body, inf_nan_mode="constants") and not _is_finite(body):
        raise nonsense(f"{what} holds a number no JSON can hold")
    return body


def nonsense(message: str) -> ProviderError:
    """Build the error for an answer that makes no sense."""
    return ProviderError(Kind.PROTOCOL_ERROR, message)


def _is_finite(value: Any) -> bool:
    """Tell whether all numbers of a value in DEEP are."""
    if type(value) is float:
        return isfinite(value)
    for part in value.values() if type(value) is dict else value:
        if type(part) in DEEP and not _is_finite(part):
            return False
    return True
