"""Bodies of requests as plain data: JSON that is as good JSON again."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from ...errors import RequestError

__all__ = ["FORBIDDEN", "read_json", "refuse_forbidden", "written"]

# Fields that would change where a request goes, or with which key: the operator's business.
FORBIDDEN = frozenset(
    {"api_base", "api_key", "api_version", "base_url", "custom_llm_provider", "extra_body", "extra_headers"}
    | {"extra_query", "headers", "http_client", "organization", "proxies", "proxy", "user_config"}
    | {"vertex_credentials"}
)

# Fields other gateways read, and what to use here. A vendor would refuse most of them, in words about nothing of ours.
HABITS: Mapping[str, str] = {
    "fallbacks": "'routing': {'models': [...]}",
    "provider": "'routing': {'only': [...], 'order': [...], ...}; a vendor's own: 'extra': {'NAME': {...}}",
    "route": "'routing': {'models': [...]}, or the name of a route as 'model'",
    "num_retries": "'routing': {'deadline': SECONDS}; how often is the configuration's matter ([retries])",
}

# Lists, objects and fields in a body, those a text quotes included. A prompt of so much JSON is longer than any model's
# window; parsing ten mebibytes of empty lists takes a second, in which nobody else is served.
MOST_PARTS = 400_000


def read_json(data: bytes) -> Any:
    """Parse a body. Raises RequestError for what is not JSON, numbers no JSON can hold among it, and for too much."""
    from pydantic_core import from_json, to_json

    if len(data) > MOST_PARTS and sum(map(data.count, (b"[", b"{", b'":'))) > MOST_PARTS:
        raise RequestError(
            f"the body holds more than {MOST_PARTS} lists, objects and fields. Send less.",
            status=413,
            code="body_too_large",
        )
    try:
        body = from_json(data, allow_inf_nan=False)
        if b"Infinity" in to_json(body, inf_nan_mode="constants"):  # 1e999 parses; or it is a word in a text
            _check_finite(body)
    except ValueError as error:
        raise RequestError(f"the body is not JSON: {error}. Send a JSON object.", code="invalid_json") from None
    return body


def written(fields: Mapping[str, Any]) -> bytes:
    """Write a mapping as JSON; the caller's objects are left alone. Raises RequestError for what is not plain data."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(fields, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError):
        raise RequestError("the request holds a value that is not JSON; send plain data") from None


def refuse_forbidden(body: Mapping[str, Any]) -> None:
    """Refuse fields that are the operator's business, or another gateway's. Raises RequestError."""
    if not FORBIDDEN.isdisjoint(body):
        name = min(FORBIDDEN.intersection(body))
        raise RequestError(
            f"{name!r} would change where a request goes; only the operator's configuration may. Remove it.", param=name
        )
    for name in HABITS.keys() & body.keys():
        if body[name] is not None:
            message = f"{name!r} is another gateway's field. Here it is {HABITS[name]}."
            raise RequestError(message, param=name, code="unsupported_parameter")


def _check_finite(value: object) -> None:
    """Refuse numbers no JSON can hold. Raises RequestError."""
    if isinstance(value, float) and not isfinite(value):
        raise RequestError("the request holds a number that is too large; send finite numbers", code="invalid_json")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_finite(part)
