"""What an answer cost: the price row in force, times what was used; exact integers, never a silent 0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from ..types import Cost, ModelInfo, Price, Usage

__all__ = ["cost_of", "price_at"]

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WINDOW = re.compile(r"([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
DAY = 24 * 60
WEEK = 7 * DAY
# 1 January 1970 as a date's ordinal; it was a Thursday, and weeks of ours begin on Monday.
EPOCH, THURSDAY = date(1970, 1, 1).toordinal(), 3 * DAY


def price_at(prices: Sequence[Price], at: float, tokens: int) -> Price | None:
    """Give the row in force at a moment (seconds since the epoch), for a request with that many input tokens.

    A row for these hours goes before one for all hours, then a row for larger requests before one
    for all sizes, then the later before the earlier.
    """
    minutes = int(at // 60)
    day, minute = minutes // DAY + EPOCH, (minutes + THURSDAY) % WEEK
    fitting = [
        row
        for row in prices
        if row.since.toordinal() <= day
        and (not row.above_tokens or tokens > row.above_tokens)
        and (not row.hours or any(start <= minute < end for hours in row.hours for start, end in _windows(hours)))
    ]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    return max(fitting, key=lambda row: (bool(row.hours), row.above_tokens, row.since))


def cost_of(usage: Usage | None, info: ModelInfo | None, at: float, *, images: int = 0) -> Cost:
    """Price what was used, at a moment in seconds since the epoch.

    A bucket whose own price the vendor does not state costs what its bucket's whole does: cached
    input as input. Unknown usage or an unknown price is an unknown cost.
    """
    if usage is None or usage.source == "unknown" or info is None:
        return Cost(None, "unknown")
    price = price_at(info.prices, at, usage.input)
    if price is None:
        return Cost(None, "unknown")
    parts = (
        (usage.uncached, price.input),
        (usage.cached, price.input if price.cached is None else price.cached),
        (usage.cache_write, price.input if price.cache_write is None else price.cache_write),
        (usage.output, price.output),
        (images, price.per_image),
    )
    if any(rate is None for count, rate in parts if count):
        return Cost(None, "unknown")
    amount = sum(count * rate for count, rate in parts if rate is not None)
    return Cost(amount, "estimated" if usage.source == "estimated" else "priced")


@lru_cache(maxsize=256)
def _windows(words: str) -> tuple[tuple[int, int], ...]:
    """Read `Mon-Fri 01:00-04:00` (UTC) as minutes of the week.

    A window over midnight reaches into the next day; words that are no window are none.
    """
    found = WINDOW.fullmatch(words)
    if found is None or found[1] not in DAYS or (found[2] or found[1]) not in DAYS:
        return ()
    first, last = found[1], found[2] or found[1]
    start, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
    days = [(DAYS.index(first) + n) % 7 for n in range((DAYS.index(last) - DAYS.index(first)) % 7 + 1)]
    length = (end - start) % (24 * 60) or 24 * 60
    spans = ((day * 24 * 60 + start, day * 24 * 60 + start + length) for day in days)
    return tuple(part for span in spans for part in _within_week(*span))


def _within_week(start: int, end: int) -> tuple[tuple[int, int], ...]:
    return ((start, end),) if end <= WEEK else ((start, WEEK), (0, end - WEEK))
