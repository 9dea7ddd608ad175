"""What the head of an answer says of limits."""

from __future__ import annotations

from collections.abc import Iterable

from ..guards import RateLimit
from ..types import Call, Caller, Usage

__all__ = ["limits_of", "settled"]


def limits_of(guards: Iterable[object], caller: Caller, address: str) -> dict[str, str]:
    """Give the limit headers of who asks something that is not limited."""
    headers: dict[str, str] = {}
    for guard in guards:
        if isinstance(guard, RateLimit):
            headers = guard.limits(caller, address, headers)
    return headers


def settled(guards: Iterable[object], call: Call, usage: Usage) -> None:
    """Count what a whole answer used before its headers are sent, so that they tell what is left after it."""
    if usage.source == "unknown" or "x-ratelimit-limit-tokens" not in call.headers:
        return
    for what in ("limit", "remaining", "reset"):
        del call.headers[f"x-ratelimit-{what}-tokens"]
    for guard in guards:
        if isinstance(guard, RateLimit):
            guard.known(call, usage)
