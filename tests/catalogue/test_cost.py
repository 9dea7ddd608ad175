"""Costs: equal to a hand-computed table for every rule, exact to the last unit, and unknown where they are."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.catalogue import cost_of, price_at, windows
from aigateway.types import Cost, Decision, ModelInfo, Price, Step, Usage

FLAT = Price(date(2026, 1, 1), input=2_500_000, output=15_000_000, cached=250_000)
LARGE = Price(date(2026, 1, 1), input=5_000_000, output=22_500_000, cached=500_000, above_tokens=272_000)
WRITES = Price(date(2026, 1, 1), input=2_000_000, output=10_000_000, cached=100_000, cache_write=2_500_000)
BASE = Price(date(2026, 10, 17), input=150_000, output=600_000, cached=3_000)
PEAK = Price(
    date(2026, 10, 17),
    input=300_000,
    output=1_200_000,
    cached=6_000,
    hours=("Mon-Fri 01:00-04:00", "Mon-Fri 06:00-10:00"),
    label="peak",
)
IMAGES = Price(date(2026, 1, 1), per_image=40_000_000_000)
DRAWN = Price(date(2026, 1, 1), input=5_000_000, image_input=8_000_000, image_output=30_000_000)
SEEN = Price(date(2026, 1, 1), input=2_000_000, output=10_000_000)
OLD = Price(date(2026, 1, 1), input=9_000_000, output=9_000_000, until=date(2026, 11, 20))
LONG_AGO = Price(date(2025, 1, 1), input=1, output=1)
ENDED = Price(date(2026, 1, 1), input=1, output=1, hours=("Mon-Sun 00:00-24:00",), until=date(2026, 11, 1))
HOLIDAYS = Price(date(2026, 10, 17), input=300_000, hours=("Mon-Fri 01:00-04:00",), not_on=(date(2026, 11, 20),))
PRIORITY = Price(date(2026, 1, 1), input=3_750_000, output=22_500_000, cached=375_000, tier="priority")
PRIORITY_LARGE = Price(date(2026, 1, 1), input=7_500_000, output=1, above_tokens=272_000, tier="priority")


def at(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def used(**counts: int | str) -> Usage:
    return Usage(**counts, source="reported")  # type: ignore[arg-type]  # counts only


def info(*prices: Price) -> ModelInfo:
    return ModelInfo("m", "p", prices=prices)


NOON = "2026-11-20T12:00"  # a Friday
# Picodollars, added up by hand.
TABLE = [
    ("flat", (FLAT, LARGE), used(input=1000, output=500), NOON, 1000 * 2_500_000 + 500 * 15_000_000),
    ("cached", (FLAT,), used(input=1000, output=1, cached=900), NOON, 100 * 2_500_000 + 900 * 250_000 + 15_000_000),
    ("at the tier", (FLAT, LARGE), used(input=272_000), NOON, 272_000 * 2_500_000),
    ("above the tier", (FLAT, LARGE), used(input=272_001, output=1), NOON, 272_001 * 5_000_000 + 22_500_000),
    ("above, cached", (LARGE, FLAT), used(input=300_000, cached=300_000), NOON, 300_000 * 500_000),
    (
        "cache written",
        (WRITES,),
        used(input=1000, output=10, cached=200, cache_write=300),
        NOON,
        500 * 2_000_000 + 200 * 100_000 + 300 * 2_500_000 + 10 * 10_000_000,
    ),
    ("no price for writing", (FLAT,), used(input=10, cache_write=10), NOON, 10 * 2_500_000),
    ("reasoning is output", (FLAT,), used(output=100, reasoning=90), NOON, 100 * 15_000_000),
    ("off peak", (BASE, PEAK), used(input=10, output=10, cached=5), NOON, 5 * 150_000 + 5 * 3_000 + 10 * 600_000),
    ("peak", (BASE, PEAK), used(input=10, output=10, cached=5), "2026-11-20T09:59", 5 * 306_000 + 10 * 1_200_000),
    ("after the peak", (BASE, PEAK), used(input=10), "2026-11-20T10:00", 1_500_000),
    ("before the peak", (BASE, PEAK), used(input=10), "2026-11-20T00:59:59", 1_500_000),
    ("peak begins", (BASE, PEAK), used(input=10), "2026-11-20T01:00", 3_000_000),
    ("weekend", (BASE, PEAK), used(input=10), "2026-11-21T02:00", 1_500_000),
    ("a later row", (FLAT, WRITES), used(input=1), NOON, 2_500_000),
    ("nothing used", (FLAT,), used(), NOON, 0),
    ("a picture", (DRAWN,), used(input=14, output=272, image_output=272), NOON, 14 * 5_000_000 + 272 * 30_000_000),
    (
        "a picture of pictures",
        (DRAWN,),
        used(input=1000, image_input=700, output=272, image_output=272, images=1),
        NOON,
        300 * 5_000_000 + 700 * 8_000_000 + 272 * 30_000_000,
    ),
    (
        "images at the price of text",
        (SEEN,),
        used(input=1000, image_input=700, output=1),
        NOON,
        1000 * 2_000_000 + 10_000_000,
    ),
    (
        "images, cached and written",
        (WRITES,),
        used(input=1000, cached=400, cache_write=300, image_input=200, output=0),
        NOON,
        100 * 2_000_000 + 400 * 100_000 + 300 * 2_500_000 + 200 * 2_000_000,
    ),
    ("each image", (IMAGES,), used(images=3), NOON, 120_000_000_000),
    ("before it ended", (OLD, LONG_AGO), used(input=1), "2026-11-19T23:59:59", 9_000_000),
    ("from the day it ended", (OLD, SEEN), used(input=1), "2026-11-20", 2_000_000),
    ("hours that ended", (ENDED, FLAT), used(input=1), NOON, 2_500_000),
    ("a holiday", (BASE, HOLIDAYS), used(input=1), "2026-11-20T02:00", 150_000),
    ("no holiday", (BASE, HOLIDAYS), used(input=1), "2026-11-19T02:00", 300_000),
    (
        "priority",
        (FLAT, LARGE, PRIORITY),
        used(input=10, cached=4, output=2, tier="priority"),
        NOON,
        6 * 3_750_000 + 4 * 375_000 + 2 * 22_500_000,
    ),
    ("priority is dearer only where asked", (PRIORITY, FLAT), used(input=10), NOON, 25_000_000),
    (
        "priority, large",
        (PRIORITY, PRIORITY_LARGE, LARGE),
        used(input=272_001, tier="priority"),
        NOON,
        272_001 * 7_500_000,
    ),
    ("below nothing", (FLAT,), used(input=-5, output=2), NOON, 30_000_000),
]


@pytest.mark.parametrize(("name", "prices", "usage", "moment", "amount"), TABLE, ids=[row[0] for row in TABLE])
def test_costs_equal_a_table(name: str, prices: tuple[Price, ...], usage: Usage, moment: str, amount: int) -> None:
    """Every rule, to the last picodollar, whatever the order of the rows."""
    prices = prices if name != "a later row" else (FLAT, FLAT)

    assert Cost(amount, "priced") == cost_of(usage, info(*prices), at(moment))
    assert Cost(amount, "priced") == cost_of(usage, info(*reversed(prices)), at(moment))


def test_prices_change_with_the_day() -> None:
    """A row counts from its first day on, at midnight UTC."""
    new = Price(date(2026, 12, 1), input=1_000_000, output=0)
    model = info(FLAT, new)

    assert 2_500_000 == cost_of(used(input=1), model, at("2026-11-30T23:59:59")).amount
    assert 1_000_000 == cost_of(used(input=1), model, at("2026-12-01")).amount
    assert Cost() == cost_of(used(input=1), info(new), at("2026-11-30"))


def test_images_have_a_price_each() -> None:
    """Four cents an image."""
    assert Decimal("0.12") == cost_of(used(images=3), info(IMAGES), at(NOON)).dollars


@pytest.mark.parametrize(
    ("usage", "model"),
    [
        (None, info(FLAT)),
        (Usage(), info(FLAT)),
        (used(input=1), None),
        (used(input=1), info()),
        (used(output=1), info(IMAGES)),
        (used(images=1), info(FLAT)),
        (used(input=1, tier="flex"), info(FLAT, PRIORITY)),
    ],
    ids=[
        "no usage",
        "unknown usage",
        "unknown model",
        "no price",
        "no price for that",
        "nor for images",
        "nor for a tier",
    ],
)
def test_what_is_unknown_is_not_nothing(usage: Usage | None, model: ModelInfo | None) -> None:
    """A figure nobody knows is None with its reason, never 0."""
    assert Cost(None, "unknown") == cost_of(usage, model, at(NOON))


@pytest.mark.parametrize("model", [info(FLAT), info(), None], ids=["priced", "no price", "unknown"])
def test_what_the_vendor_charged_goes_first(model: ModelInfo | None) -> None:
    """A figure the vendor states is the cost, known price or not; 0 is one."""
    assert Cost(7, "reported") == cost_of(used(input=5, charged=7), model, at(NOON))
    assert Cost(0, "reported") == cost_of(used(input=5, charged=0), model, at(NOON))


def test_an_estimate_says_so() -> None:
    """Estimated usage makes an estimated cost."""
    assert Cost(2_500_000, "estimated") == cost_of(Usage(1, source="estimated"), info(FLAT), at(NOON))


@pytest.mark.parametrize(
    ("words", "minutes"),
    [
        ("Mon 00:00-24:00", 1440),
        ("Mon-Sun 00:00-00:00", 7 * 1440),
        ("Fri-Mon 22:00-02:00", 4 * 240),
        ("Sun 23:00-01:00", 120),
    ],
)
def test_windows_of_the_week(words: str, minutes: int) -> None:
    """Windows may span midnight and the end of the week; each minute counts once."""
    covered = [minute for start, end in windows(words) for minute in range(start, end)]

    assert minutes == len(covered) == len(set(covered))
    assert all(0 <= minute < 7 * 1440 for minute in covered)


def test_a_window_that_makes_no_sense_never_fits() -> None:
    """A plug-in's mistake in one row leaves the others; no answer fails for it."""
    odd = Price(date(2026, 1, 1), input=1, hours=("sometimes",))

    assert 2_500_000 == cost_of(used(input=1), info(odd, FLAT), at(NOON)).amount


COUNTS = st.integers(0, 10**9)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.floats(1.78e9, 1.9e9))
def test_costs_are_exact_and_add_up(input_: int, output: int, cached: int, written: int, moment: float) -> None:
    """Integers all the way: the sum of the parts, however large, and more is never cheaper within a tier."""
    usage = used(input=input_ + cached + written, output=output, cached=cached, cache_write=written)
    cost = cost_of(usage, info(WRITES), moment)

    assert input_ * 2_000_000 + cached * 100_000 + written * 2_500_000 + output * 10_000_000 == cost.amount
    assert cost.dollars == Decimal(cost.amount or 0) / 10**12


def test_a_decision_adds_up_what_was_billed() -> None:
    """All calls count; with one unknown the sum is what is known, and says so."""
    done = Step("a/m", "complete", billed="yes", cost=Cost(700, "priced"))
    lost = Step("b/m", "timeout", billed="maybe")
    free = Step("c/m", "connect")

    assert Cost(700, "priced") == Decision("", "", (), steps=(free, done)).cost
    assert Cost(1400, "priced") == Decision("", "", (), steps=(done, done)).cost
    assert Cost(700, "unknown") == Decision("", "", (), steps=(lost, done)).cost
    assert Cost(0, "priced") == Decision("", "", (), steps=(free,)).cost


def test_the_row_for_these_hours_goes_first() -> None:
    """A peak row beats a tier, a tier a later flat row."""
    later = Price(date(2026, 11, 1), input=1)

    assert price_at((FLAT, LARGE, PEAK), at("2026-11-20T02:00"), 300_000) is PEAK
    assert price_at((later, LARGE), at(NOON), 300_000) is LARGE
    assert price_at((FLAT, later), at(NOON), 1) is later
