"""How much of an account's limit is left, as vendors say in the headers of an answer."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["headroom"]


def headroom(headers: Mapping[str, str]) -> float | None:
    """Give the share that is left of the tightest limit, 0 to 1; None where the headers name none.

    Reads `x-ratelimit-{limit,remaining}-{requests,tokens}` (OpenAI and Groq, and most that are
    compatible with them).
    """
    shares = []
    for what in ("requests", "tokens"):
        try:
            limit = float(headers[f"x-ratelimit-limit-{what}"])
            left = float(headers[f"x-ratelimit-remaining-{what}"])
        except (KeyError, ValueError):
            continue
        if 0 < limit < 1e15 and 0 <= left < 1e15:
            shares.append(min(1.0, left / limit))
    return min(shares, default=None)
