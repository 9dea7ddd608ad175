"""Planning stays cheap: the figure is the benchmark's (`python -m benchmarks --only plan`), this is its order."""

from __future__ import annotations

from benchmarks.planning import CASES, measure


def test_a_plan_of_twenty_targets_is_cheap() -> None:
    """Less than a millisecond of CPU on a machine that does much else; every case finds the targets it should."""
    found = measure(2)

    assert set(CASES) == set(found)
    assert max(found.values()) < 1000
