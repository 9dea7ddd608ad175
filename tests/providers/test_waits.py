"""How long vendors ask us to wait, in every form they use."""

import math
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.providers import duration, wait_time

DAY = 24 * 3600.0
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ("retry-after-ms", "retry-after", "date", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")
# Texts that look like durations, and what people and machines write instead.
ODD = st.one_of(
    st.text(max_size=40),
    st.text("0123456789.hmsdnuµ -+einfaT:Z", max_size=40),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(lambda moment: format_datetime(moment.replace(tzinfo=UTC), usegmt=True)),
    st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='seconds')}Z"),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20", 20.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("120ms", 0.12),
        ("6ms", 0.006),
        ("428.64ms", 0.42864),
        ("7.66s", 7.66),
        ("55.125s", 55.125),
        ("2m59.56s", 179.56),
        ("9m38.016s", 578.016),
        ("1m26.4s", 86.4),
        ("1h0m0s", 3600.0),
        ("500us", 0.0005),
        ("500µs", 0.0005),
        ("500ns", 5e-7),
        ("1d", DAY),
        ("25h", DAY),
        ("999999999999999999", DAY),
    ],
)
def test_durations(text, seconds):
    """Plain numbers are seconds, parts are added, a day is the longest."""
    assert seconds == pytest.approx(duration(text))


@pytest.mark.parametrize(
    "text", ["", " ", "-1", "nan", "inf", "1e5", "soon", "5 apples", "5s!", "s5", "1h nonsense", "٣s", "5x"]
)
def test_garbage_is_no_duration(text):
    """What cannot be read is no wait at all."""
    assert duration(text) is None


@given(ODD)
def test_durations_are_bounded(text):
    """Whatever the text, the wait is none or between nothing and a day."""
    found = duration(text)

    assert found is None or (math.isfinite(found) and 0 <= found <= DAY)


@given(
    st.dictionaries(st.sampled_from(NAMES), ODD), ODD, st.sampled_from(["", "try again in ", "retry after ", "wait "])
)
def test_waits_are_bounded(headers, text, words):
    """Whatever headers and text say, the wait is none or between nothing and a day."""
    for now in (0.0, NOON.timestamp()):
        found = wait_time(headers, words + text, now=now)

        assert found is None or (math.isfinite(found) and 0 <= found <= DAY)


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, "try again in 7s", 1.5),
        ({"retry-after": "9"}, "try again in 7s", 9.0),
        ({"retry-after": "0.5"}, "", 0.5),
        ({"retry-after": "soon"}, "Please try again in 7.66s.", 7.66),
        ({"retry-after": "-3"}, "", None),
        ({}, "Please try again in 1m26.4s. Need more?", 86.4),
        ({}, "retry after 12 seconds", 12.0),
        ({}, "Please try again later.", None),
        ({}, "limit of 500. Please reduce", None),
        ({}, "Please retry after a short wait. (2064)", None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2m59.56s"}, "", 179.56),
        ({"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": "2m59.56s"}, "", None),
        (
            {
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6ms",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "7s",
            },
            "",
            7.0,
        ),
    ],
)
def test_order_of_sources(headers, text, seconds):
    """The most exact source wins; one that makes no sense is passed over."""
    assert (None if seconds is None else pytest.approx(seconds)) == wait_time(headers, text)


@pytest.mark.parametrize(
    ("date", "now", "seconds"),
    [
        ("Fri, 20 Nov 2026 12:00:00 GMT", 0.0, 90.0),
        ("Fri, 20 Nov 2026 12:01:00 GMT", NOON.timestamp(), 30.0),
        (None, NOON.timestamp(), 90.0),
        ("nonsense", NOON.timestamp(), 90.0),
        (None, 0.0, None),
        ("nonsense", 0.0, None),
        ("Fri, 20 Nov 2026 13:00:00 GMT", 0.0, 0.0),
    ],
)
def test_http_dates(date, now, seconds):
    """A date is measured from the vendor's own clock, else from ours, else it says nothing."""
    headers = {"retry-after": "Fri, 20 Nov 2026 12:01:30 GMT"} | ({"date": date} if date else {})

    assert seconds == wait_time(headers, now=now)


@pytest.mark.parametrize(
    ("text", "now", "seconds"),
    [
        ("resets at 2026-11-20T15:00:00Z (2056)", NOON.timestamp(), 10_800.0),
        ("resets at 2026-11-20T14:00:00+01:00", NOON.timestamp(), 3600.0),
        ("resets at 2026-11-20T11:00:00Z", NOON.timestamp(), 0.0),
        ("resets at 2026-99-99T15:00:00Z", NOON.timestamp(), None),
        ("resets at 2026-11-20T15:00:00Z", 0.0, None),
    ],
)
def test_iso_times_in_texts(text, now, seconds):
    """A moment named in the text is measured from now."""
    assert seconds == wait_time({}, text, now=now)


def test_iso_time_is_measured_from_the_vendors_date():
    """Where nobody noted when an answer came, its Date header says so."""
    headers = {"date": "Fri, 20 Nov 2026 12:00:00 GMT"}

    assert wait_time(headers, "resets at 2026-11-20T12:01:00Z") == 60.0
