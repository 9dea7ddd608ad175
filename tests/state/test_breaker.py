"""The breaker counts: five in a row, or half of twenty within ten seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.state._breaker import CALLS, IN_A_ROW, SECONDS, SHARE, Breaker


def test_five_in_a_row() -> None:
    """The fifth failure in a row opens; what led to it does not count again."""
    breaker = Breaker()

    assert [False] * 4 + [True] == [breaker.failed(100.0 * n) for n in range(5)]
    assert not breaker.failed(500.0)


def test_an_answer_ends_the_row() -> None:
    """Four failures, an answer, four failures: not five in a row."""
    breaker = Breaker()
    opened = [breaker.failed(100.0 * n) for n in range(4)]
    breaker.succeeded(450.0)
    opened += [breaker.failed(500.0 + 100.0 * n) for n in range(4)]

    assert not any(opened)


@pytest.mark.parametrize("good", [0, 1])
def test_half_of_twenty(good: int) -> None:
    """A flapping target, every second call a failure, opens at its twentieth call, whichever comes first."""
    breaker = Breaker()
    for call in range(1, 40):
        if (breaker.succeeded if call % 2 == good else breaker.failed)(call / 10):
            break

    assert 20 == call


def test_old_calls_do_not_count() -> None:
    """Half of twenty calls over a minute is no reason."""
    breaker = Breaker()
    opened = []
    for call in range(60):
        if call % 2:
            breaker.succeeded(float(call))
        else:
            opened.append(breaker.failed(float(call)))

    assert not any(opened)


CALLS_MADE = st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=120)


@given(CALLS_MADE)
def test_it_agrees_with_counting_by_hand(calls: list[tuple[bool, float]]) -> None:
    """The slots give what a list of all calls gives, to the second."""
    breaker, seen, row, now = Breaker(), list[tuple[int, bool]](), 0, 0.0
    for good, later in calls:
        now += later
        seen.append((int(now), good))
        row = 0 if good else row + 1
        recent = [ok for second, ok in seen if second > int(now) - SECONDS]
        expected = row >= IN_A_ROW or (len(recent) >= CALLS and recent.count(False) >= SHARE * len(recent))
        assert expected == (breaker.succeeded if good else breaker.failed)(now)
        if expected:
            seen, row = [], 0
