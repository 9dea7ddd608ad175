"""Read what a vendor reports as usage; nothing it says is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..types import Usage

__all__ = ["read_messages_usage", "read_responses_usage", "read_usage", "usage_of"]

# More tokens than any answer has, and more dollars than any costs.
MOST, DEAREST = 10**9, 10**4
# Words for the service tier everybody gets; prices of another are other prices.
USUAL = frozenset({"", "auto", "default", "standard", "on_demand"})


def usage_of(body: Mapping[str, Any], charged: str = "") -> Usage | None:
    """Read the usage of an answer or a chunk, with the tier that answered; else as `read_usage`."""
    tier = body.get("service_tier")
    return read_usage(body.get("usage"), tier=tier if isinstance(tier, str) else "", charged=charged)


def read_usage(value: object, *, images: int = 0, tier: str = "", charged: str = "") -> Usage | None:
    """Read OpenAI's usage object and its dialects.

    None for a missing, empty, zero or impossible one (early MiniMax chunks carry zeros; a negative
    or textual count is a lie), so the caller keeps what it had. `images` were made: what was put
    out is theirs. `charged` names the field in which the vendor says, in US dollars, what it charged.
    """
    if not isinstance(value, dict):
        return None
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if prompt < 0 or completion < 0 or not (prompt or completion):
        return None
    details, parts = _object(value, "prompt_tokens_details"), _object(value, "completion_tokens_details")
    cached = _part(details.get("cached_tokens"), prompt) or _part(value.get("prompt_cache_hit_tokens"), prompt)
    if cached and "cached_tokens" not in details:  # clients look for OpenAI's spelling, or for DeepSeek's, which stays
        value["prompt_tokens_details"] = {**details, "cached_tokens": cached}
    written = _part(details.get("cache_write_tokens"), prompt - cached)
    return Usage(
        input=prompt,
        output=completion,
        cached=cached,
        cache_write=written,
        reasoning=_part(parts.get("reasoning_tokens"), completion),
        source="reported",
        images=images,
        image_input=_part(details.get("image_tokens"), prompt - cached - written),
        image_output=_part(parts.get("image_tokens", completion if images else 0), completion),
        tier="" if tier in USUAL else tier[:32],
        charged=_dollars(value.get(charged)) if charged else None,
    )


def _dollars(value: object) -> int | None:
    """Give picodollars; None for what cannot be a charge."""
    if type(value) not in (int, float) or not 0 <= value <= DEAREST:  # type: ignore[operator]  # a number by now
        return None
    return int(Decimal(repr(value)).scaleb(12).to_integral_value())


def read_responses_usage(value: object, *, images: int = 0, tier: str = "") -> Usage | None:
    """Read usage as the responses dialect (and OpenAI's images) names it (openai-python 3.3.1)."""
    if not isinstance(value, dict):
        return None
    return read_usage(
        {
            "prompt_tokens": value.get("input_tokens"),
            "completion_tokens": value.get("output_tokens"),
            "prompt_tokens_details": value.get("input_tokens_details"),
            "completion_tokens_details": value.get("output_tokens_details"),
        },
        images=images,
        tier=tier,
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
