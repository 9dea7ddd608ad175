"""How long a vendor asks us to wait: one parser for every form they use.

Order: retry-after-ms; Retry-After; the reset header of what ran out; "try again in 1m26.4s"; an
RFC 3339 time in the text. A header holds a duration or a moment (RFC 3339, HTTP date, seconds or
milliseconds since the epoch), a moment being measured from the vendor's own Date, else from `now`.
Everything is clamped to [0, 24 h]; what cannot be read is no wait at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST", "duration", "wait_time"]

LONGEST = 24 * 3600.0
# No form of a wait is longer; what is longer is not read, so a text of a megabyte costs nothing.
WRITTEN, TEXT = 64, 4096
# A plain number is seconds; one this large is a moment: seconds since the epoch, or milliseconds.
EPOCH, EPOCH_MS = 1e9, 1e11
PLAIN = re.compile(r"\d{1,18}(?:\.\d{0,18})?", re.ASCII)
UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
WORDS = {"day": "d", "hou": "h", "hr": "h", "hrs": "h", "min": "m", "sec": "s", "mil": "ms", "mse": "ms"}
NUMBER = r"\d{1,12}(?:\.\d{1,12})?"
UNIT = r"(?:days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|milliseconds?|msecs?|ms|us|µs|μs|ns|d|h|m|s)(?![a-zµμ])"
PARTS = rf"(?:{NUMBER}\s?{UNIT}(?:,? (?:and )?(?=\d))?)+"
PART = re.compile(rf"({NUMBER})\s?({UNIT})", re.ASCII | re.IGNORECASE)
SPAN = re.compile(PARTS, re.ASCII | re.IGNORECASE)
IN_TEXT = re.compile(rf"(?:try again|retry|wait|reset)[^0-9.\n]{{0,24}}(?<!-)({PARTS})", re.ASCII | re.IGNORECASE)
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def duration(text: str) -> float | None:
    """Read `7.66s`, `2m59.56s`, `120ms`, `1 hour` or plain seconds; None for anything else."""
    text = text.strip()
    if len(text) > WRITTEN:
        return None
    if PLAIN.fullmatch(text):
        return _clamp(float(text))
    return _sum(text) if SPAN.fullmatch(text) else None


def wait_time(headers: Mapping[str, str], text: str = "", *, now: float = 0.0, resets: bool = True) -> float | None:
    """Give the wait in seconds, None if none is named; `now` is seconds since the epoch.

    Reset headers come with every answer, so `resets` is for those that say a limit was reached.
    """
    date = _moment(headers.get("date", ""))
    named = _milliseconds(headers.get("retry-after-ms", ""))
    if named is None:
        named = _from_header(headers.get("retry-after", ""), date or now)
    if named is None and resets:
        named = _reset(headers, date or now)
    return _from_text(text[:TEXT], now or date or 0.0) if named is None else named


def _clamp(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST)  # in this order not a number is 0


def _sum(text: str) -> float:
    return _clamp(sum(float(number) * _unit(unit.lower()) for number, unit in PART.findall(text)))


def _unit(name: str) -> float:
    return UNITS[name] if name in UNITS else UNITS[WORDS[name[:3]]]


def _milliseconds(value: str) -> float | None:
    value = value.strip()
    return _clamp(float(value) / 1000) if PLAIN.fullmatch(value) else None


def _from_header(value: str, since: float) -> float | None:
    """Read a duration, or a moment measured from `since`; without a `since` a moment says nothing."""
    value = value.strip()
    moment = _moment(value)
    if moment is None:
        return duration(value)
    return _clamp(moment - since) if since else None


def _moment(value: str) -> float | None:
    """Read a point in time as seconds since the epoch."""
    if not value or len(value) > WRITTEN or not value.isascii():
        return None
    if PLAIN.fullmatch(value):
        number = float(value)
        return None if number < EPOCH else number if number < EPOCH_MS else number / 1000
    try:
        if RFC_3339.fullmatch(value):
            return datetime.fromisoformat(value.upper()).timestamp()
        parsed = parsedate_to_datetime(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _reset(headers: Mapping[str, str], since: float) -> float | None:
    """Read the reset of each dimension with nothing left; the longest of them."""
    waits = []
    for name, left in headers.items():
        name = name.lower()  # one of the doors keeps them as they were written
        if name.startswith("x-ratelimit-remaining") and left.strip() == "0":
            waits.append(_from_header(headers.get(name.replace("remaining", "reset", 1), ""), since))
    return max((wait for wait in waits if wait is not None), default=None)


def _from_text(text: str, now: float) -> float | None:
    if found := IN_TEXT.search(text):
        return _sum(found[1])
    moment = _moment(found[0]) if now and (found := RFC_3339.search(text)) else None
    return None if moment is None else _clamp(moment - now)
