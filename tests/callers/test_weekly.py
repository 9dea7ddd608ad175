"""Weekly keys: one per client and ISO week, out of nothing but a root; handed over without a refusal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zlib import crc32

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from aigateway.callers import Callers, Hand, StaticKeys, Visit, WeeklyKeys
from aigateway.errors import Unauthenticated
from aigateway.secrets import Secret

from .at_once import at_once

ROOT = Secret("root-of-these-tests-0123456789-abcdef")
MINUTE, DAY = 60, 86_400
WEEK = 7 * DAY
# Monday of the first week of 2027; the week before it is the 53rd of 2026.
TURN = datetime(2027, 1, 4, tzinfo=UTC).timestamp()
SPLIT = Hand(grace=15 * MINUTE, skew=5 * MINUTE)
MOMENTS = st.integers(0, int(datetime(9998, 1, 1, tzinfo=UTC).timestamp()))
# First and last days of years, 29 February, and the Mondays around them, to the second.
YEARS = st.integers(1970, 9000)


@st.composite
def borders(draw: st.DrawFn) -> float:
    """Draw a moment at the border of a week or a year, or in a leap day."""
    year = draw(YEARS)
    day = draw(st.sampled_from([date(year, 1, 1), date(year, 12, 31), date(year, 3, 1) - timedelta(days=1)]))
    if draw(st.booleans()):
        day -= timedelta(days=day.weekday())
    start = (day - date(1970, 1, 1)).days * DAY
    return start + draw(st.sampled_from([-1, -0.001, 0, 0.001, 1, DAY / 2, DAY - 1]))


def admits(keys: WeeklyKeys, key: Secret, at: float) -> bool:
    """Tell whether a key is let in at a moment."""
    try:
        at_once(Callers(StaticKeys([]), [keys]).caller(key.reveal(), Visit(at)))
    except Unauthenticated:
        return False
    return True


def keys_around(keys: WeeklyKeys, client: str, at: float, days: Iterable[float]) -> set[Secret]:
    """Give a client's keys of the days around a moment."""
    return {keys.key(client, at + day * DAY) for day in days}


def test_a_key_is_what_the_design_says() -> None:
    """`sk-`, 43 digits of HKDF over client and ISO week, 6 of CRC-32: worked out by other means."""
    info = b"aigateway/weekly/v1" + b"editor\x00" + b"2026-W53"
    number = int.from_bytes(HKDF(SHA256(), 32, None, info).derive(ROOT.reveal().encode()), "big")
    word = "sk-" + base62(number, 43)

    assert word + base62(crc32(word.encode()), 6) == WeeklyKeys(ROOT).key("editor", TURN - 1).reveal()


def base62(number: int, width: int) -> str:
    """Write a number in base 62."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(alphabet[number // 62**place % 62] for place in reversed(range(width)))


@given(MOMENTS | borders())
def test_exactly_one_key_is_valid_at_every_moment(at: float) -> None:
    """By default the week's own and no other: not the last, not the next, not last year's of the same number."""
    keys = WeeklyKeys(ROOT)
    around = keys_around(keys, "weekly", at, [*range(-15, 16), -364, -371, 364, 371])

    assert {keys.key("weekly", at)} == {key for key in around if admits(keys, key, at)}


@given(MOMENTS | borders())
def test_a_key_lasts_from_monday_to_monday(at: float) -> None:
    """It ends at 00:00 UTC on a Monday, within seven days, and is the same at every moment until then."""
    keys = WeeklyKeys(ROOT)
    ends = keys.ends(at)

    assert (0, 0, 0, 0, 0) == (ends.weekday(), ends.hour, ends.minute, ends.second, ends.microsecond)
    assert timedelta(0) < ends - datetime.fromtimestamp(at, UTC) <= timedelta(days=7)
    end = ends.timestamp()
    assert {keys.key("weekly", at)} == {keys.key("weekly", moment) for moment in (end - WEEK, end - WEEK / 2, end - 1)}
    assert keys.key("weekly", end) != keys.key("weekly", at) != keys.key("weekly", end - WEEK - 1)
    assert (end - WEEK) // DAY <= at // DAY < end // DAY


@pytest.mark.parametrize(
    ("moment", "ends"),
    [
        ("2026-12-27T23:59:59", "2026-12-28"),
        ("2026-12-28T00:00:00", "2027-01-04"),
        ("2026-12-31T12:00:00", "2027-01-04"),
        ("2027-01-01T00:00:00", "2027-01-04"),
        ("2027-01-03T23:59:59", "2027-01-04"),
        ("2027-01-04T00:00:00", "2027-01-11"),
        ("2028-02-29T12:00:00", "2028-03-06"),
        ("2020-12-31T12:00:00", "2021-01-04"),  # also a 53rd week
        ("2024-12-30T00:00:00", "2025-01-06"),  # the first week of 2025 begins in 2024
    ],
)
def test_weeks_end_when_the_calendar_says(moment: str, ends: str) -> None:
    """The 53rd week runs over New Year."""
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()

    assert datetime.fromisoformat(ends).replace(tzinfo=UTC) == WeeklyKeys(ROOT).ends(at)


@pytest.mark.parametrize("behind", [-5 * MINUTE, 0, 5 * MINUTE])
def test_no_client_is_refused_across_the_53rd_week(behind: float) -> None:
    """Every minute from New Year's Eve to the 4th of January: clocks within 5 minutes of ours are good enough."""
    keys, client = WeeklyKeys(ROOT, hand=SPLIT), WeeklyKeys(ROOT)
    start, end = (datetime(*day, tzinfo=UTC).timestamp() for day in ((2026, 12, 31), (2027, 1, 5)))
    minutes = range(int(start), int(end), MINUTE)

    assert 5 * 24 * 60 == len(minutes)
    assert [] == [at for at in minutes if not admits(keys, client.key("weekly", at - behind), at)]


def test_no_stale_client_is_admitted_across_the_53rd_week() -> None:
    """Every minute: the last key for 15 minutes, the next one 5 minutes early, and nothing else at any time."""
    keys = WeeklyKeys(ROOT, hand=SPLIT)
    last, this, before = (keys.key("weekly", at) for at in (TURN - 1, TURN, TURN - WEEK - 1))
    start, end = int(TURN - 4 * DAY), int(TURN + DAY)

    for at in range(start, end, MINUTE):
        assert (at < TURN + SPLIT.grace) == admits(keys, last, at)
        assert (at >= TURN - SPLIT.skew) == admits(keys, this, at)
        assert not admits(keys, before, at)


@pytest.mark.parametrize("hand", [SPLIT, Hand(), Hand(grace=60), Hand(skew=60), Hand(grace=1, skew=3600), Hand(WEEK)])
def test_the_hand_over_is_exact(hand: Hand) -> None:
    """The last key ends with the grace (or the skew, where that is longer); the next begins with the skew."""
    keys = WeeklyKeys(ROOT, hand=hand)
    last, this, before = (keys.key("weekly", at) for at in (TURN - 1, TURN, TURN - WEEK - 1))
    over, early = TURN + max(hand), TURN - hand.skew

    assert [True, False, False] == [admits(keys, last, at) for at in (over - 0.01, over, over + 1)]
    assert [False, True, True] == [admits(keys, this, at) for at in (early - 0.01, early, TURN)]
    assert not admits(keys, before, TURN)
    if not max(hand):
        assert 1 == sum(admits(keys, key, TURN) for key in (last, this, before))


def test_clients_do_not_share_keys() -> None:
    """Nor does one client's name made of another's; each is told apart by its key."""
    names = ["a", "b", "ab", "a\0b", "a\0", "2026-W53", "", "é", "A", "weekly"]
    keys = WeeklyKeys(ROOT, names)

    assert len(names) == len({keys.key(name, TURN).reveal() for name in names})
    for name in names:
        grant = at_once(keys.find(keys.key(name, TURN).reveal(), TURN))
        assert grant is not None
        assert (name, f"weekly:{name}", keys.key(name, TURN).id) == (
            grant.caller.name,
            grant.caller.tenant,
            grant.caller.key,
        )
        assert {"chat"} == grant.caller.scopes


def test_whoever_is_not_on_the_list_has_no_key() -> None:
    """A client left out is refused at once, the others stay."""
    everybody, others = WeeklyKeys(ROOT, ["a", "b"]), WeeklyKeys(ROOT, ["b"])

    assert admits(everybody, everybody.key("a", TURN), TURN)
    assert not admits(others, everybody.key("a", TURN), TURN)
    assert admits(others, everybody.key("b", TURN), TURN)
    assert ("b",) == others.clients
    assert not admits(WeeklyKeys(ROOT, []), everybody.key("b", TURN), TURN)


@given(st.lists(MOMENTS | borders() | st.floats(TURN - 3 * WEEK, TURN + 3 * WEEK), max_size=12))
def test_a_restart_changes_nothing(moments: list[float]) -> None:
    """The same root gives the same keys, whatever was asked before and in which order."""
    old = WeeklyKeys(Secret(ROOT.reveal()), ["a", "b"], hand=SPLIT)
    for at in moments:
        new = WeeklyKeys(Secret(ROOT.reveal()), ["b", "a"], hand=SPLIT)
        assert old.key("a", at) == new.key("a", at)
        assert admits(old, new.key("a", at), at)
        for day in (-7, 7):
            assert admits(new, old.key("b", at + day * DAY), at) == admits(old, old.key("b", at + day * DAY), at)
        assert len(old._known) <= 3


@given(MOMENTS)
def test_another_root_has_nothing_in_common(at: float) -> None:
    """Whoever rotates the root ends every key."""
    old, new = WeeklyKeys(ROOT), WeeklyKeys(Secret(ROOT.reveal() + "2"))
    key, other = old.key("weekly", at).reveal(), new.key("weekly", at).reveal()

    assert not admits(new, Secret(key), at)
    assert not admits(old, Secret(other), at)
    pieces = [{word[i : i + 7] for i in range(3, len(word) - 6 - 6)} for word in (key, other)]
    assert set() == pieces[0] & pieces[1]


def test_nothing_shows_what_is_valid() -> None:
    """Neither the object nor what it remembers."""
    keys = WeeklyKeys(ROOT, ["a"])
    key = keys.key("a", TURN)
    assert admits(keys, key, TURN)

    shown = repr(keys) + repr(vars(keys)) + repr(key) + repr(keys.find)
    assert [] == [word for word in (key.reveal(), key.reveal()[:20], ROOT.reveal()) if word in shown]
    assert key.id in shown
