"""How long a vendor asks us to wait: one parser for every form they use.

Order: retry-after-ms; Retry-After (seconds, fractions, HTTP date against Date); the reset header
of the dimension that ran out; "try again in 1m26.4s"; an ISO time in the text. Everything is
clamped to [0, 24 h]; what cannot be read is no wait at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST", "duration", "wait_time"]

LONGEST = 24 * 3600.0
PART = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|us|µs|ns|h|m|s|d)", re.ASCII)  # ms before m
UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
NUMBER = re.compile(r"\d{1,18}(?:\.\d{0,18})?", re.ASCII)
IN_TEXT = re.compile(
    r"(?:try again|retry|wait)[^0-9]{0,24}((?:\d{1,12}(?:\.\d{1,12})?(?:ms|us|µs|ns|h|m|s|d))+)", re.IGNORECASE
)
SECONDS_IN_TEXT = re.compile(r"(?:try again|retry|wait)[^0-9]{0,24}(\d{1,12}(?:\.\d{1,12})?)\s*sec", re.IGNORECASE)
ISO_IN_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def duration(text: str) -> float | None:
    """Read `7.66s`, `2m59.56s`, `120ms` or plain seconds; None for anything else."""
    text = text.strip()
    if NUMBER.fullmatch(text):
        return _clamp(float(text))
    total, end = 0.0, 0
    for part in PART.finditer(text):
        if part.start() != end:
            return None
        total += float(part[1]) * UNITS[part[2]]
        end = part.end()
    return _clamp(total) if end and end == len(text) else None


def wait_time(headers: Mapping[str, str], text: str = "", *, now: float = 0.0) -> float | None:
    """Give the wait in seconds, None if none is named; `now` is seconds since the epoch."""
    now = now or _http_date(headers.get("date")) or 0.0
    for found in (
        _milliseconds(headers.get("retry-after-ms")),
        _retry_after(headers.get("retry-after"), headers.get("date"), now),
        _reset(headers),
        _from_text(text, now),
    ):
        if found is not None:
            return found
    return None


def _clamp(seconds: float) -> float | None:
    return min(max(seconds, 0.0), LONGEST) if math.isfinite(seconds) else None


def _milliseconds(value: str | None) -> float | None:
    if value is None or not NUMBER.fullmatch(value.strip()):
        return None
    return _clamp(float(value) / 1000)


def _retry_after(value: str | None, date: str | None, now: float) -> float | None:
    if value is None:
        return None
    seconds = duration(value)
    if seconds is not None:
        return seconds
    until, since = _http_date(value), _http_date(date) or now
    return _clamp(until - since) if until is not None and since else None


def _http_date(value: str | None) -> float | None:
    if not value:
        return None
    try:
        parsed = parsedate_to_datetime(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _reset(headers: Mapping[str, str]) -> float | None:
    """Read the reset of each dimension with nothing left; the longest of them."""
    waits = []
    for dimension in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{dimension}", "").strip() == "0":
            wait = duration(headers.get(f"x-ratelimit-reset-{dimension}", ""))
            if wait is not None:
                waits.append(wait)
    return max(waits, default=None)


def _from_text(text: str, now: float) -> float | None:
    text = text[:4096]
    if found := IN_TEXT.search(text):
        return duration(found[1])
    if found := SECONDS_IN_TEXT.search(text):
        return duration(found[1])
    if now and (found := ISO_IN_TEXT.search(text)):
        try:
            return _clamp(datetime.fromisoformat(found[0]).timestamp() - now)
        except (ValueError, OverflowError):
            return None
    return None
