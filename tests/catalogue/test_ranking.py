"""Rankings: measured use alone decides, and what nobody measured is None and stands last."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from aigateway.catalogue import Catalogue, base_price, provider_rows, ranking_rows, visible
from aigateway.state import Use
from aigateway.types import IN_PROCESS, Caller, ModelInfo, Price

NOW = 1.8e9
CHEAP = Price(date(2026, 1, 1), input=100_000, output=400_000)
DEAR = Price(date(2026, 1, 1), input=9_000_000, output=9_000_000)
MODELS = {
    "a": [ModelInfo("one", "a", prices=(CHEAP,)), ModelInfo("two", "a", prices=(DEAR,)), ModelInfo("three", "a")],
    "b": [ModelInfo("one", "b"), ModelInfo("old", "b", successor="one")],
}
TABLE = Catalogue(MODELS)


def ranked(uses: dict[tuple[str, str], Use], caller: Caller = IN_PROCESS) -> list[str]:
    return [row["id"] for row in ranking_rows(TABLE, caller, uses, NOW)]


def test_what_was_not_measured_is_none() -> None:
    """Without any use the catalogue's order stands, with None for every figure but the price."""
    rows = ranking_rows(TABLE, IN_PROCESS, {}, NOW)

    assert ["a/one", "a/two", "a/three", "b/one"] == [row["id"] for row in rows]
    assert [1, 2, 3, 4] == [row["rank"] for row in rows]
    assert {
        "rank": 1,
        "id": "a/one",
        "score": None,
        "requests": 0,
        "success_rate": None,
        "first_content_ms": None,
        "tokens_per_s": None,
        "price": {"input": 0.1, "output": 0.4},
    } == rows[0]
    assert None is rows[2]["price"]


def test_the_figures() -> None:
    """Each is what was measured, in the unit its name says; the score is as the page defines it."""
    row = ranking_rows(TABLE, IN_PROCESS, {("a", "two"): Use(12, 8, 2, 0.25, 50.0)}, NOW)[0]

    assert ("a/two", 12, 0.8, 250.0, 50.0) == tuple(
        row[name] for name in ("id", "requests", "success_rate", "first_content_ms", "tokens_per_s")
    )
    assert round(100 * 0.75 * (0.7 + 0.15 / 1.25 + 0.15 * 0.5), 2) == row["score"]


def test_who_does_better_stands_higher() -> None:
    """Success first, then speed, then the price; what only others' faults ended has no score."""
    fine, poor = Use(100, 100, 0), Use(100, 60, 40)

    assert ["b/one", "a/three"] == ranked({("a", "three"): poor, ("b", "one"): fine})[:2]
    assert ["b/one", "a/three"] == ranked({("a", "three"): Use(9, 9, 0, 2.0), ("b", "one"): Use(9, 9, 0, 0.2)})[:2]
    assert ["b/one", "a/three"] == ranked(
        {("a", "three"): Use(9, 9, 0, None, 10.0), ("b", "one"): Use(9, 9, 0, None, 99.0)}
    )[:2]
    assert ["a/one", "a/two", "a/three"] == ranked({("a", "one"): fine, ("a", "two"): fine, ("a", "three"): fine})[:3]
    assert ["a/three", "b/one"] == ranked({("b", "one"): Use(1, 1, 0), ("a", "three"): fine})[:2]
    assert "a/one" == ranked({("b", "one"): Use(5, 0, 0)})[0]


USES = st.builds(
    Use,
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(0, 1e9),
)


@given(st.dictionaries(st.sampled_from([("a", "one"), ("a", "two"), ("b", "one"), ("c", "gone")]), USES))
def test_every_model_has_one_place(uses: dict[tuple[str, str], Use]) -> None:
    """Scores are 0 to 100 and fall with the rank; every living model stands in the list once."""
    rows = ranking_rows(TABLE, IN_PROCESS, uses, NOW)
    scores = [row["score"] for row in rows if row["score"] is not None]

    assert sorted(scores, reverse=True) == scores == [row["score"] for row in rows[: len(scores)]]
    assert all(0 <= score <= 100 for score in scores)
    assert {"a/one", "a/two", "a/three", "b/one"} == {row["id"] for row in rows}


def test_callers_see_what_they_may_use() -> None:
    """An allow-list holds for rankings and providers, and sums cover what it names."""
    caller = Caller("c", models=("a/one", "b/*"))
    uses = {("a", "one"): Use(1, 1, 0), ("a", "two"): Use(99, 0, 99)}
    seen = visible(TABLE, caller, NOW)

    assert ["a/one", "b/one"] == ranked(uses, caller)
    assert [
        {"id": "a", "models": 1, "healthy": True, "success_rate": 1.0, "first_content_ms": None},
        {"id": "b", "models": 1, "healthy": False, "success_rate": None, "first_content_ms": None},
    ] == provider_rows(TABLE, seen, uses, {"a": True, "b": False})
    assert ["b"] == [
        row["id"] for row in provider_rows(TABLE, visible(TABLE, Caller("c", models=("b/*",)), NOW), uses, {"b": True})
    ]


def test_providers_are_sums() -> None:
    """Averages weigh as much as their model was asked."""
    uses = {("a", "one"): Use(30, 20, 0, 0.1), ("a", "two"): Use(10, 5, 5, 0.5), ("a", "three"): Use(5, 0, 0)}
    (row, _) = provider_rows(TABLE, visible(TABLE, IN_PROCESS, NOW), uses, {"a": True, "b": True})

    assert (round(25 / 30, 4), 200.0) == (row["success_rate"], row["first_content_ms"])


def test_the_base_price_is_for_anybody() -> None:
    """Neither hours, sizes and tiers, nor what is over or to come."""
    rows = (
        CHEAP,
        Price(date(2026, 1, 1), input=1, hours=("Mon-Sun 00:00-24:00",)),
        Price(date(2026, 1, 1), input=2, above_tokens=1),
        Price(date(2026, 1, 1), input=3, tier="priority"),
        Price(date(2026, 2, 1), input=4, until=date(2026, 3, 1)),
        Price(date(2037, 1, 1), input=5),
    )

    assert CHEAP is base_price(ModelInfo("m", "a", prices=rows), NOW)
    assert None is base_price(ModelInfo("m", "a"), NOW)
