"""Read what a vendor reports as usage; nothing it says is trusted."""

from __future__ import annotations

from typing import Any

from ..types import Usage

__all__ = ["read_messages_usage", "read_responses_usage", "read_usage"]

# More tokens than any answer has.
MOST = 10**9


def read_usage(value: object) -> Usage | None:
    """Read OpenAI's usage object and its dialects.

    None for a missing, empty, zero or impossible one (early MiniMax chunks carry zeros; a negative
    or textual count is a lie), so the caller keeps what it had.
    """
    if not isinstance(value, dict):
        return None
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if prompt < 0 or completion < 0 or not (prompt or completion):
        return None
    details, parts = _object(value, "prompt_tokens_details"), _object(value, "completion_tokens_details")
    cached = _part(details.get("cached_tokens"), prompt) or _part(value.get("prompt_cache_hit_tokens"), prompt)
    return Usage(
        input=prompt,
        output=completion,
        cached=cached,
        cache_write=_part(details.get("cache_write_tokens"), prompt - cached),
        reasoning=_part(parts.get("reasoning_tokens"), completion),
        source="reported",
    )


def read_responses_usage(value: object) -> Usage | None:
    """Read usage as the responses dialect (and OpenAI's images) names it (openai-python 3.3.1)."""
    if not isinstance(value, dict):
        return None
    return read_usage(
        {
            "prompt_tokens": value.get("input_tokens"),
            "completion_tokens": value.get("output_tokens"),
            "prompt_tokens_details": value.get("input_tokens_details"),
            "completion_tokens_details": value.get("output_tokens_details"),
        }
    )


def read_messages_usage(value: object) -> Usage | None:
    """Read usage as the messages dialect names it: what a cache read or took is not in `input_tokens` (anthropic)."""
    if not isinstance(value, dict):
        return None
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    plain, read, made = (_count(value.get(name)) for name in names)
    if min(plain, read, made) < 0:
        return None
    details = {"cached_tokens": read, "cache_write_tokens": made}
    completion = value.get("output_tokens")
    return read_usage(
        {"prompt_tokens": plain + read + made, "completion_tokens": completion, "prompt_tokens_details": details}
    )


def _count(value: object) -> int:
    """Give a count, 0 where there is none, -1 for what cannot be one."""
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MOST else -1


def _part(value: object, whole: int) -> int:
    """Give a part of a count; never more than the whole."""
    return max(0, min(_count(value), whole))


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}
