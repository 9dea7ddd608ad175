"""What a limit lets through in any minute, whatever the pattern: plain values, no clock."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.guards._meter import WINDOW, Meter, counted, share
from aigateway.state import Rule

LIMITS = st.tuples(st.integers(2, 60), st.integers(1, 59)).filter(lambda pair: pair[1] < pair[0])
# Gaps between arrivals: none, tiny, of the order of a step, longer than the window.
GAPS = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.1), st.floats(0, 5), st.floats(0, 90)), max_size=300)


def most_in_a_window(taken: list[tuple[float, float]]) -> float:
    """Give the most that was taken in any 60 seconds."""
    times = [at for at, _ in taken]
    sums = [0.0]
    for _, amount in taken:
        sums.append(sums[-1] + amount)
    # a window begins at a taking; one that ends a moment before the minute is over is the longest that counts
    return max((sums[bisect_left(times, at + WINDOW - 1e-6)] - sums[i] for i, at in enumerate(times)), default=0.0)


@given(LIMITS, GAPS)
def test_no_minute_has_more_than_the_limit(limits: tuple[int, int], gaps: list[float]) -> None:
    """For any pattern of arrivals; and what is refused passes after the wait it is told."""
    rule, meter, now, taken = Rule(*limits), Meter(), 1000.0, []
    for gap in gaps:
        now += gap
        found = meter.take("a", 1, rule, now)
        if found.admitted:
            taken.append((now, 1.0))
        else:
            assert 0 == counted(found.left)
            refused = now + found.wait
            assert now < refused
            assert not meter.take("a", 1, rule, refused - 1e-3).admitted or found.wait < 1e-3
            now = refused + 1e-6
            assert meter.take("a", 1, rule, now).admitted
            taken.append((now, 1.0))

    assert most_in_a_window(taken) <= rule.limit


@given(LIMITS, GAPS, st.sampled_from([0.0, 1e5, 1e7, 3e7]))
def test_after_a_rest_the_burst_passes_at_once(limits: tuple[int, int], gaps: list[float], now: float) -> None:
    """However hard it was used before, and however long the machine runs."""
    rule, meter = Rule(*limits), Meter()
    for gap in gaps:
        now += gap
        meter.take("a", 1, rule, now)
    now += WINDOW * rule.burst / (rule.limit - rule.burst) + 1e-6

    assert rule.burst == counted(meter.look("a", rule, now).left)
    assert [True] * rule.burst == [meter.take("a", 1, rule, now).admitted for _ in range(rule.burst)]
    assert not meter.take("a", 1, rule, now).admitted


@given(LIMITS, st.lists(st.tuples(st.floats(0, 40), st.integers(1, 70), st.integers(0, 100)), max_size=80))
def test_amounts_of_any_size_that_turn_out_smaller(
    limits: tuple[int, int], calls: list[tuple[float, int, int]]
) -> None:
    """Tokens: an estimate is taken, and corrected later to a part of it; what was really used keeps the limit."""
    rule, meter, now = Rule(*limits), Meter(), 0.0
    taken: list[tuple[float, float]] = []
    for gap, amount, percent in calls:
        now += gap
        found = meter.take("a", amount, rule, now)
        assert not (found.admitted and amount > rule.limit)
        if found.admitted:
            used = amount * percent // 100
            taken.append((now, used))
            now += gap / 2
            meter.correct("a", used - amount, rule, found, now)

    assert most_in_a_window(taken) <= rule.limit + 1e-6


def test_corrections_come_late() -> None:
    """What has come back by itself is not given back again."""
    rule, meter = Rule(60, 10), Meter()
    first = meter.take("a", 10, rule, 0.0)
    meter.take("a", 10, rule, 12.0)  # all of the first is back
    meter.correct("a", -10, rule, first, 12.0)

    assert 0 == counted(meter.look("a", rule, 12.0).left)


def test_more_than_estimated_is_a_debt() -> None:
    """It is paid before anything else passes, within about a minute whatever was used."""
    rule, meter = Rule(60, 10), Meter()
    first = meter.take("a", 1, rule, 0.0)
    meter.correct("a", 14, rule, first, 0.0)
    assert not meter.take("a", 1, rule, 0.0).admitted
    assert meter.take("a", 1, rule, 7.2 + 1e-6).admitted

    meter.correct("a", 10**9, rule, first, 20.0)
    assert WINDOW < meter.take("a", 10, rule, 20.0).wait + 10 * rule.step <= 60 * rule.step + 10 * rule.step


def test_what_is_larger_than_the_burst_needs_a_rest() -> None:
    """One that was never seen has rested; more than the limit never passes."""
    rule = Rule(60, 10)
    for amount, passes in ((60, True), (61, False)):
        assert passes == Meter().take("a", amount, rule, 500.0).admitted
    meter = Meter()
    meter.take("a", 1, rule, 0.0)
    assert not meter.take("a", 20, rule, 1.2).admitted
    assert meter.take("a", 20, rule, 13.2 + 1e-6).admitted


def test_a_flood_neither_grows_the_table_nor_frees_who_is_limited() -> None:
    """Identities beyond the table's size share one place; what they took there is kept."""
    rule, meter = Rule(60, 10), Meter(most=100)
    while meter.take("busy", 1, rule, 0.0).admitted:
        pass
    admitted = sum(meter.take(f"flood-{n}", 1, rule, 0.0).admitted for n in range(10_000))

    assert 99 + 10 == admitted
    assert 100 == len(meter)
    assert not meter.take("busy", 1, rule, 0.5).admitted
    later = WINDOW + 20.0
    for n in range(50):
        meter.take(f"later-{n}", 1, rule, later)
    assert 50 <= len(meter) <= 100
    assert meter.take("busy", 1, rule, later).admitted

    crowded = Meter(most=1)
    crowded.take("a", 1, rule, 0.0)
    assert 10 == sum(crowded.take("b", 1, rule, 50.0).admitted for _ in range(20))
    assert not crowded.take("b", 10, rule, 61.9).admitted  # `a` has gone, and `b` has a place with what it took
    assert {"b"} == set(crowded._buckets)


@pytest.mark.parametrize(("limit", "burst", "workers"), [(1000, 100, 8), (60, 7, 4), (10, 1, 3)])
def test_parts_of_workers_keep_the_limit_together(limit: int, burst: int, workers: int) -> None:
    """And all their bursts are the burst at least."""
    part = share(Rule(limit, burst), workers)

    assert part.limit * workers <= limit
    assert part.burst * workers >= burst


def test_one_worker_has_the_whole() -> None:
    """There is nobody to divide with."""
    rule = Rule(7, 3)

    assert rule is share(rule, 1)
    assert (3, 2) == (share(rule, 2).limit, share(rule, 2).burst)
