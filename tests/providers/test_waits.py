"""How long vendors ask us to wait, in every form they use."""

import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
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
        ("500μs", 0.0005),
        ("1H", 3600.0),
        ("5 seconds", 5.0),
        ("2 hours and 5 minutes", 7500.0),
        ("1 hour, 5 secs", 3605.0),
        ("30 msecs", 0.03),
        ("1d", DAY),
        ("25h", DAY),
        ("999999999999999999", DAY),
    ],
)
def test_durations(text, seconds):
    """Plain numbers are seconds, parts are added, a day is the longest."""
    assert seconds == pytest.approx(duration(text))


GARBAGE = (
    *("", " ", "-1", "nan", "inf", "1e5", "soon", "5 apples", "5s!", "s5", "1h nonsense", "٣s", "٣", "5x"),
    *("12 messages", "-5s", "+5", "1e999", "Infinity", "9" * 400, "9" * 400 + "s", "5s " * 100, "\x005s", "0x10"),
)


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_no_duration(text):
    """What cannot be read is no wait at all."""
    assert duration(text) is None


@given(ODD)
@example("9" * 5000)
@example("Fri, 20 Nov 2026 12:00:00 +9999999999999")
@example("Fri, 20 Nov 99999 12:00:00 GMT")
def test_durations_are_bounded(text):
    """Whatever the text, the wait is none or between nothing and a day."""
    found = duration(text)

    assert found is None or (math.isfinite(found) and 0 <= found <= DAY)


@given(st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz-") | st.sampled_from(NAMES), ODD), ODD, st.floats())
def test_any_clock_and_any_header(headers, text, now):
    """Nor does a clock that makes no sense, or a header nobody knows, change that."""
    found = wait_time(headers, text, now=now)

    assert found is None or (math.isfinite(found) and 0 <= found <= DAY)


@given(st.binary(max_size=200))
def test_any_bytes(data):
    """Bytes that were no text are bounded as well."""
    text = data.decode("utf-8", "replace")
    found = wait_time({"retry-after": text, "retry-after-ms": data.decode("latin-1")}, text, now=NOON.timestamp())

    assert found is None or 0 <= found <= DAY


# Every form, written from a number of milliseconds.
PARTS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))
WAITS = st.integers(0, 86_400_000)


def compact(milliseconds):
    """Write 1h2m3s4ms."""
    written = ""
    for size, unit in PARTS:
        count, milliseconds = divmod(milliseconds, size)
        written += f"{count}{unit}" if count else ""
    return written or "0s"


def in_minutes(milliseconds):
    """Write 2m59.56s, as Groq does."""
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{rest / 1000:.3f}s" if minutes else f"{rest / 1000:.3f}s"


@given(WAITS, st.sampled_from([compact, in_minutes, lambda wait: f"{wait / 1000:.3f}", lambda wait: f"{wait}ms"]))
def test_every_duration_is_read_back(wait, write):
    """A wait written in any form is read as it was meant: as a header, as a reset, in a text."""
    written = write(wait)
    reset = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": written}

    assert wait / 1000 == pytest.approx(duration(written))
    assert wait / 1000 == pytest.approx(wait_time({"retry-after": written}))
    assert wait / 1000 == pytest.approx(wait_time(reset))
    if not written[-1].isdigit():
        assert wait / 1000 == pytest.approx(wait_time({}, f"Limit 9, Used 9. Please try again in {written}. More?"))


@given(WAITS)
def test_milliseconds_are_read_back(wait):
    """retry-after-ms holds milliseconds."""
    assert wait / 1000 == pytest.approx(wait_time({"retry-after-ms": str(wait), "retry-after": "7"}))


@given(
    st.integers(0, 86_400),
    st.sampled_from(
        [
            lambda moment: format_datetime(moment, usegmt=True),
            lambda moment: moment.isoformat(),
            lambda moment: moment.isoformat().replace("+00:00", "Z"),
            lambda moment: str(int(moment.timestamp())),
            lambda moment: str(int(moment.timestamp() * 1000)),
        ]
    ),
    st.booleans(),
)
def test_every_moment_is_read_back(wait, write, dated):
    """A moment in any form is measured from the vendor's clock, else from ours; with neither it says nothing."""
    written = write(NOON + timedelta(seconds=wait))
    clock = {"date": format_datetime(NOON, usegmt=True)} if dated else {}
    now = 7.0 if dated else NOON.timestamp()
    reset = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": written}

    assert wait == wait_time({**clock, "retry-after": written}, now=now)
    assert wait == wait_time({**clock, **reset}, now=now)
    assert wait_time({"retry-after": written}) is None


def test_resets_are_for_limits():
    """Reset headers come with every answer; they are read only where a limit was reached."""
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2h"}

    assert wait_time(headers, resets=False) is None
    assert wait_time({**headers, "retry-after": "3"}, resets=False) == 3.0


@pytest.mark.parametrize(
    "piece", ["9", "1h", "try again in ", "9.", "retry wait reset ", "9d9", " ", "2026-11-20T", "μs", "9 9s,", "-"]
)
def test_a_megabyte_is_read_in_no_time(piece):
    """However long a value is, reading it takes time in proportion, and little of it."""
    text = piece * (2**20 // len(piece))
    start = time.process_time()
    for value in (text, text + "s", "try again in " + text):
        wait_time(dict.fromkeys([*NAMES, "x-ratelimit-remaining"], value), value, now=NOON.timestamp())
        duration(value)

    assert time.process_time() - start < 5  # it is some milliseconds; anything quadratic would be minutes


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
        ({}, "Please try again in 6ms.", 0.006),
        ({}, "Please try again in 1h12m.", 4320.0),
        ({}, "Please try again in 5 minutes.", 300.0),
        ({}, "please WAIT 2 Hours", 7200.0),
        ({}, "your limit resets in 3d", DAY),
        ({}, "try again in -5s", None),
        ({}, "try again in nan seconds", None),
        ({}, "please retry: 12 messages are too many", None),
        ({}, "try again in ٣s", None),
        ({}, "try again in 1000000000000000000000s", None),
        ({"retry-after": "1 minute"}, "", 60.0),
        ({"retry-after-ms": "1e999", "retry-after": "inf"}, "", None),
        ({"retry-after-ms": "-5", "retry-after": "2"}, "", 2.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}, "", 30.0),
        ({"x-ratelimit-remaining-project-tokens": "0", "x-ratelimit-reset-project-tokens": "1m"}, "", 60.0),
        ({"x-ratelimit-remaining-tokens": "0"}, "", None),
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


class AsWritten(dict):
    """Keep names as a vendor wrote them and find them in any case, as one of the doors does."""

    def get(self, name, default=None):
        return next((value for key, value in self.items() if key.lower() == name.lower()), default)


def test_names_of_resets_in_any_case():
    """Vendors write header names as they like; a limit is read all the same."""
    headers = AsWritten({"X-RateLimit-Remaining-Requests": "0", "X-RateLimit-Reset-Requests": "42s"})

    assert 42.0 == wait_time(headers)
