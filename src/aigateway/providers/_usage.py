"""Read what a vendor reports as usage; nothing it says is trusted."""

from __future__ import annotations

from typing import Any

from ..types import Usage

__all__ = ["read_usage"]


def read_usage(value: object) -> Usage | None:
    """Read OpenAI's usage object and its dialects.

    None for a missing, empty, zero or impossible one (early MiniMax chunks carry zeros; a negative
    or textual count is a lie), so the caller keeps what it had.
    """
    if not isinstance(value, dict):
        return None
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if not prompt and not completion:
        return None
    details, parts = _object(value, "prompt_tokens_details"), _object(value, "completion_tokens_details")
    cached = _count(details.get("cached_tokens")) or _count(value.get("prompt_cache_hit_tokens"))
    written = _count(details.get("cache_write_tokens"))
    return Usage(
        input=prompt,
        output=completion,
        cached=min(cached, prompt),
        cache_write=min(written, prompt - min(cached, prompt)),
        reasoning=min(_count(parts.get("reasoning_tokens")), completion),
        source="reported",
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}
