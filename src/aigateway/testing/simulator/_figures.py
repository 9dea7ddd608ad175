"""Quantiles and prices: the arithmetic of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

__all__ = ["dollars", "quantiles"]

UNKNOWN = "unknown"
PICODOLLARS = 10**12


def quantiles(values: Iterable[float], *shares: float) -> dict[str, float | None]:
    """Give p50, p95, ... by nearest rank, to the millisecond; None without values."""
    ordered: Sequence[float] = sorted(values)
    names = {share: f"p{share * 100:g}" for share in shares}
    if not ordered:
        return dict.fromkeys(names.values())
    return {name: round(ordered[max(0, ceil(share * len(ordered)) - 1)], 3) for share, name in names.items()}


def dollars(picodollars: int | None) -> str:
    """Write an amount exactly; a price nobody knows is never a 0."""
    if picodollars is None:
        return UNKNOWN
    whole, part = divmod(picodollars, PICODOLLARS)
    return f"{whole}.{part:012d}".rstrip("0").rstrip(".")
