"""What an answer cost: the price row in force, times what was used; exact integers, never a silent 0."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache

from ..types import Cost, ModelInfo, Price, Usage

__all__ = ["cost_of", "price_at", "windows"]

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WINDOW = re.compile(r"([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
DAY = 24 * 60
WEEK = 7 * DAY
# 1 January 1970 as a date's ordinal; it was a Thursday, and weeks of ours begin on Monday.
EPOCH, THURSDAY = date(1970, 1, 1).toordinal(), 3 * DAY


def price_at(prices: Sequence[Price], at: float, tokens: int, tier: str = "") -> Price | None:
    """Give the row in force at a moment (seconds since the epoch), for a request with that many input tokens.

    A row for these hours goes before one for all hours, then a row for larger requests before one
    for all sizes, then the later before the earlier. None where no row fits, so for a tier that has none.
    """
    minutes = int(at // 60)
    day, minute = minutes // DAY + EPOCH, (minutes + THURSDAY) % WEEK
    fitting = [
        row
        for row in prices
        if row.since.toordinal() <= day
        and row.tier == tier
        and (not row.above_tokens or tokens > row.above_tokens)
        and (row.until is None or day < row.until.toordinal())
        and (not row.hours or any(start <= minute < end for hours in row.hours for start, end in windows(hours)))
        and (not row.not_on or all(day != other.toordinal() for other in row.not_on))
    ]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    return max(fitting, key=lambda row: (bool(row.hours), row.above_tokens, row.since))


def cost_of(usage: Usage | None, info: ModelInfo | None, at: float) -> Cost:
    """Price what was used, at a moment in seconds since the epoch; what the vendor says it charged goes first.

    A bucket whose own price the vendor does not state costs what its bucket's whole does: cached
    input as input. Unknown usage or an unknown price is an unknown cost, and no count below
    nothing makes one cheaper.
    """
    if usage is None or usage.source == "unknown":
        return Cost(None, "unknown")
    if usage.charged is not None:
        return Cost(usage.charged, "reported")
    price = price_at(info.prices, at, usage.input, usage.tier) if info is not None else None
    if price is None:
        return Cost(None, "unknown")
    amount = 0
    for count, rate in _parts(usage, price):
        if count > 0:
            if rate is None:
                return Cost(None, "unknown")
            amount += count * rate
    return Cost(amount, "estimated" if usage.source == "estimated" else "priced")


def _parts(usage: Usage, price: Price) -> Iterator[tuple[int, int | None]]:
    """Give each bucket with its rate; none overlaps another."""
    yield usage.uncached, price.input
    yield usage.text_output, price.output
    if usage.cached:
        yield usage.cached, price.input if price.cached is None else price.cached
    if usage.cache_write:
        yield usage.cache_write, price.input if price.cache_write is None else price.cache_write
    if usage.image_input:
        yield usage.image_input, price.input if price.image_input is None else price.image_input
    if usage.image_output:
        yield usage.image_output, price.output if price.image_output is None else price.image_output
    if usage.images and (price.per_image is not None or not usage.output):  # else its tokens are its price
        yield usage.images, price.per_image


@lru_cache(maxsize=256)
def windows(words: str) -> tuple[tuple[int, int], ...]:
    """Read `Mon-Fri 01:00-04:00` (UTC) as minutes of the week.

    A window over midnight reaches into the next day; words that are no window are none.
    """
    found = WINDOW.fullmatch(words)
    if found is None or found[1] not in DAYS or (found[2] or found[1]) not in DAYS:
        return ()
    first, last = found[1], found[2] or found[1]
    if any(
        int(hour) * 60 + int(minute) > DAY or int(minute) > 59
        for hour, minute in (found.group(3, 4), found.group(5, 6))
    ):
        return ()
    start, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
    days = [(DAYS.index(first) + n) % 7 for n in range((DAYS.index(last) - DAYS.index(first)) % 7 + 1)]
    length = (end - start) % (24 * 60) or 24 * 60
    spans = ((day * 24 * 60 + start, day * 24 * 60 + start + length) for day in days)
    return tuple(part for span in spans for part in _within_week(*span))


def _within_week(start: int, end: int) -> tuple[tuple[int, int], ...]:
    return ((start, end),) if end <= WEEK else ((start, WEEK), (0, end - WEEK))
