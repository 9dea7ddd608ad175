"""Bills: prices of the moment a call began, and an estimate where nobody told."""

from __future__ import annotations

from datetime import date

from aigateway.catalogue import FREE, Bill, Catalogue, Estimator, Meter
from aigateway.types import Cost, ModelInfo, Price, Target, Usage

from .test_cost import BASE, PEAK, at
from .test_listings import Clock

HERE = Target("p", "m")
ASKED = {"messages": [{"role": "user", "content": "x" * 4000}]}


def meter(clock: Clock, *prices: Price) -> Meter:
    return Meter(Catalogue({"p": [ModelInfo("m", "p", prices=prices)]}), Estimator(), clock)


def test_the_price_is_of_the_moment_a_call_began() -> None:
    """A call that begins at the peak and ends after it costs what the peak does, and the other way round."""
    clock, used = Clock(), Usage(10, source="reported")
    clock.at = at("2026-11-20T09:59:59")
    late = meter(clock, BASE, PEAK).open(HERE)
    clock.at = at("2026-11-20T00:59:59")
    early = meter(clock, BASE, PEAK).open(HERE)
    clock.at = at("2026-11-20T05:00")

    assert Cost(3_000_000, "priced") == late.cost(used)
    assert Cost(1_500_000, "priced") == early.cost(used)


def test_what_was_told_is_not_estimated() -> None:
    """Reported usage is taken as it is; none, or one nobody counted, is estimated from what was sent and came back."""
    bill = meter(Clock(), Price(date(2026, 1, 1), input=1, output=10)).open(HERE)
    told = Usage(5, 6, source="reported")

    assert told is bill.usage(told, ASKED, 400)
    assert Usage(1004, 100, source="estimated") == bill.usage(None, ASKED, 400) == bill.usage(Usage(), ASKED, 400)
    assert Cost(2004, "estimated") == bill.cost(bill.usage(None, ASKED, 400))


def test_bills_without_a_meter_know_nothing() -> None:
    """What nobody can know stays unknown."""
    assert None is Bill(HERE).usage(None, ASKED, 400)
    assert Cost() == Bill(HERE).cost(Usage(5, source="reported"))


def test_an_answer_nobody_was_asked_for_is_free() -> None:
    """A guard's answer costs nothing, whatever it once took to make."""
    assert Cost(0, "priced") == FREE.cost(Usage(5, 6, source="reported"))


def test_whole_answers_teach() -> None:
    """The next estimate is nearer to what the vendor counts."""
    made = meter(Clock())
    for _ in range(20):
        made.open(HERE).learn(Usage(2000, 7, source="reported"), ASKED)
    usage = made.open(HERE).usage(None, ASKED, 0)

    assert usage is not None
    assert 1900 <= usage.input <= 2100
