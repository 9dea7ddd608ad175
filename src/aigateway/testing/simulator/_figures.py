"""Quantiles and prices: the arithmetic of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from math import ceil

from ...types import ModelInfo

__all__ = ["cost_of", "dollars", "quantiles"]

UNKNOWN = "unknown"
PICODOLLARS = 10**12


def quantiles(values: Iterable[float], *shares: float) -> dict[str, float | None]:
    """Give p50, p95, ... by nearest rank, to the millisecond; None without values."""
    ordered: Sequence[float] = sorted(values)
    names = {share: f"p{share * 100:g}" for share in shares}
    if not ordered:
        return dict.fromkeys(names.values())
    return {name: round(ordered[max(0, ceil(share * len(ordered)) - 1)], 3) for share, name in names.items()}


def cost_of(info: ModelInfo | None, day: date, prompt: int, output: int) -> int | None:
    """Price one call in picodollars, at base hours and without a cache; None where no price is known."""
    rows = [row for row in info.prices if row.since <= day and not row.hours] if info else []
    rows = [row for row in rows if row.above_tokens < max(prompt, 1)]
    row = max(rows, key=lambda row: (row.above_tokens, row.since), default=None)
    if row is None or row.input is None or row.output is None:
        return None
    return row.input * prompt + row.output * output


def dollars(picodollars: int | None) -> str:
    """Write an amount exactly; a price nobody knows is never a 0."""
    if picodollars is None:
        return UNKNOWN
    whole, part = divmod(picodollars, PICODOLLARS)
    return f"{whole}.{part:012d}".rstrip("0").rstrip(".")
