"""The budget for second calls: emptied by failures, filled by answers, never above full."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aigateway.state._budget import FULL, THROTTLED, TRANSIENT, Budget


def test_an_outage_is_worth_few_second_calls() -> None:
    """Without an answer a full purse pays for 35 transient second calls, or 100 throttled ones."""
    transient, throttled = Budget(), Budget()

    assert 35 == sum(transient.take(TRANSIENT) for _ in range(1000))
    assert 100 == sum(throttled.take(THROTTLED) for _ in range(1000))


def test_an_answered_second_call_costs_nothing() -> None:
    """What it cost comes back, so a vendor that fails now and then is never short of second calls."""
    budget = Budget()
    for _ in range(1000):
        assert budget.take(TRANSIENT)
        budget.refund(TRANSIENT)

    assert FULL == budget.left


@given(st.lists(st.sampled_from([TRANSIENT, THROTTLED, 0.0, -1.0])))
def test_it_stays_within_its_bounds(moves: list[float]) -> None:
    """Never below nothing, never above full."""
    budget = Budget()
    for price in moves:
        if price > 0:
            budget.take(price)
        else:
            budget.refund(-price)
        assert 0 <= budget.left <= FULL
